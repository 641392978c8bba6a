"""while_loop: steps until a condition fails; their number is known when the loop has ended.

The node binds a size, the number of its steps. Values of every step, which reverse mode needs, are
stacked under that size like those of a scan; they lie in memory that grows while the loop runs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import int64, is_bool
from graphc.errors import DTypeError, FunctionError, ParameterError
from graphc.ir.graph import Graph
from graphc.ir.leaf import as_tensor
from graphc.ir.lengths import fresh_length, reserve_length
from graphc.ir.lowering import While
from graphc.ir.node import TensorType
from graphc.ir.opdef import Example, Inference, OpDef
from graphc.ir.registry import BUILDER, public, register
from graphc.ir.source import current_source
from graphc.ir.step_numbers import numbered_steps
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import Tree, call, capture, interpreted, loop_types, rebuilt, settle_carry
from graphc.ops.body_batches import batch_while
from graphc.ops.loop_derivatives import loop_jvp, loop_vjp
from graphc.shapes import Dim, whole_number

__all__ = ["while_loop"]

ENDLESS = (1 << 63) - 1  # steps: no loop ever makes more

# --- the op ------------------------------------------------------------------------------------
# attrs: body and condition (graphs with the same inputs: carries, then values from outside),
# carries (how many), length (the size that the loop binds), max_steps (or None); sequences, reverse
# and anchored as in scan, always 0 and False.
# outputs: final carries, then the stacked outputs of the steps.


def _infer(call: Inference) -> tuple[TensorType, ...]:
    body, carries, length = (call.attrs[k] for k in ("body", "carries", "length"))
    condition = [t.type for t in call.attrs["condition"].outputs]
    if condition != [TensorType(np.dtype(bool), ())]:
        raise DTypeError(f"{call.op}: the condition is {', '.join(map(str, condition))}")
    reserve_length(length)
    return loop_types(call, body, carries, length)


WHILE = register(
    OpDef(
        "while_loop",
        infer=_infer,
        reference=interpreted,
        lower=While(),
        vjp=loop_vjp,
        jvp=loop_jvp,
        batch=batch_while,
        traits=frozenset({"loop"}),
        defaults={"sequences": 0, "reverse": False, "anchored": False, "max_steps": None},
        examples=lambda rng: [
            *(
                Example(_halved, (rng.uniform(1, 2, size=shape), np.array(limit)))
                for shape, limit in (((3,), 0.21), ((), 0.3), ((0, 2), 1.0), ((2, 2), 100.0))
            ),
            Example(_root, (np.array(2.5),)),
        ],
    )
)


def _halved(x: Tensor, limit: Tensor) -> Tensor:
    found: Tensor = while_loop(
        lambda c: BUILDER.sum(BUILDER.abs(c)) > limit, lambda c: c * 0.5 * BUILDER.cos(c), x
    )
    return found


def _root(a: Tensor) -> tuple[Tensor, Tensor]:
    """Newton's iteration for sqrt(a), and how many steps it takes."""

    def step(c: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return (c[0] + a / c[0]) / 2, c[1] + 1

    found: tuple[Tensor, Tensor] = while_loop(
        lambda c: BUILDER.abs(c[0] * c[0] - a) > 1e-5, step, (a, 0)
    )
    return found


# --- building ----------------------------------------------------------------------------------


@public
def while_loop(
    condition: Callable[[Tree], Any],
    body: Callable[[Tree], Tree],
    init: Tree,
    *,
    max_steps: int | None = None,
) -> Tree:
    """`while condition(carry): carry = body(carry)`; a native loop that returns the last carry.

    init: the first carry: a tensor, or a tuple, list or dict of them. condition: gives a bool
    scalar, shape (). body: gives the next carry, of the shapes of `init`; dtypes are unified as in
    `scan`. Both are called with symbolic values. What they compute from outer values alone is
    computed once, before the loop. Without any step the result is `init`.

    max_steps: more steps than that are an error at run time, and no variable changes. Without it
    a loop that does not end runs until it is interrupted (Ctrl-C).

    Derivatives of any order and both modes: reverse mode keeps the carries of every step in memory
    that grows with the steps (MemoryError if there is not enough).

    Raises FunctionError: E121 a carry changes its shape or structure, E122 the condition is no
    bool scalar; ParameterError E404: a negative max_steps; at run time StepLimitError E421.

    >>> root = gc.while_loop(lambda r: gc.abs(r * r - a) > 1e-6, lambda r: (r + a / r) / 2, a)
    """
    steps = None if max_steps is None else whole_number(max_steps)
    if max_steps is not None and (steps is None or steps < 0):
        raise ParameterError(
            f"while_loop: max_steps is {max_steps!r}",
            source=current_source(),
            fix="pass a number of steps >= 0, or None",
        )
    with numbered_steps() as number:
        settled = settle_carry(
            "while_loop", init, lambda carry: (call("while_loop", "the body", body, carry), None)
        )
        states, first, following = settled.states, settled.initial, settled.following
        if not states:
            raise FunctionError(
                "while_loop: there is no carry, so the condition never changes",
                code="E121",
                source=current_source(),
                fix="pass what the condition depends on as init",
            )
        test = call("while_loop", "the condition", condition, rebuilt(init, states))
    if number.tensor is not None:
        states, first = [*states, number.tensor], [*first, as_tensor(0, int64)]
        following = [*following, number.tensor + 1]
    results, captured = capture([*following, _checked_condition(test)], states)
    inputs = (*states, *(inner for inner, _ in captured))
    name = getattr(body, "__name__", "body").strip("<>")
    made = WHILE.apply(
        [*first, *(outer for _, outer in captured)],
        {
            "body": Graph(inputs, tuple(results[:-1]), name=name),
            "condition": Graph(inputs, (results[-1],), name="condition"),
            "carries": len(states),
            "sequences": 0,
            "length": Dim.symbol(fresh_length()),
            "reverse": False,
            "anchored": False,
            "max_steps": None if steps is None else min(steps, ENDLESS),
        },
    )
    return rebuilt(init, made)


def _checked_condition(answer: Any) -> Tensor:
    tensor = as_tensor(answer)
    if tensor.shape == () and is_bool(tensor.dtype):
        return tensor
    raise FunctionError(
        f"while_loop: the condition gives {tensor.type}, not a bool scalar",
        code="E122",
        source=tensor.sources[0] if tensor.sources else current_source(),
        fix="compare (c > 0), or reduce with gc.any or gc.all",
    )
