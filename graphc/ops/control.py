"""Loops in the graph: scan, and what is made of it (fori_loop, map).

The body of a loop is a graph of its own, an attribute of the node: its inputs are, in this order,
the carries, the elements of the sequences, and the values from outside that the step uses. What a
step computes from outside values alone is not part of the body: it is computed once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import int64
from graphc.errors import FunctionError, ShapeError
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER, as_tensor
from graphc.ir.lowering import Scan
from graphc.ir.node import TensorType
from graphc.ir.opdef import Example, Inference, OpDef
from graphc.ir.registry import BUILDER, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import (
    Tree,
    capture,
    leaves_of,
    rebuilt,
    require_equal_types,
    settle_carry,
)
from graphc.ops.loop_derivatives import loop_jvp, loop_vjp
from graphc.shapes import Size, as_size

__all__ = ["fori_loop", "map", "scan"]


# --- the op ------------------------------------------------------------------------------------
# attrs: body (Graph), carries (how many), sequences (how many), length, reverse; anchored: the last
# input only says on what the length depends, a loop that counts its steps.
# outputs: final carries, then the stacked per-step outputs.


def _infer(call: Inference) -> tuple[TensorType, ...]:
    body, carries, sequences = (call.attrs[k] for k in ("body", "carries", "sequences"))
    length = call.attrs["length"]
    for position in range(carries, carries + sequences):
        text = f"length of sequence {position - carries}"
        call.require_equal(call.types[position].shape[0], length, text)
    finals = call.types[:carries]
    require_equal_types(call, [t.type for t in body.outputs[:carries]], finals, "carry")
    stacked = [TensorType(t.dtype, (length, *t.shape)) for t in body.outputs[carries:]]
    return (*finals, *stacked)


def _interpreted(attrs: Any, *arrays: np.ndarray) -> Any:
    raise AssertionError("the interpreter runs loops itself")


SCAN = register(
    OpDef(
        "scan",
        infer=_infer,
        reference=_interpreted,
        lower=Scan(),
        vjp=loop_vjp,
        jvp=loop_jvp,
        traits=frozenset({"loop"}),
        defaults={"reverse": False, "anchored": False},
        examples=lambda rng: [
            *(
                Example(
                    _running_product,
                    tuple(rng.uniform(0.5, 1.5, size=s) for s in (shape, shape[1:])),
                )
                for shape in ((5,), (4, 3), (0, 2), (1, 1))
            ),
            Example(
                _recurrence,
                (rng.normal(size=(6, 2, 3)), rng.normal(size=(3, 3)), np.zeros((2, 3))),
            ),
        ],
    )
)


def _running_product(x: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = scan(lambda c, e: (c * e, c + e), initial, x)
    return found


def _recurrence(x: Tensor, w: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
    def step(h: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        h = h @ w + e
        return h, h * h

    found: tuple[Tensor, Tensor] = scan(step, initial, x, reverse=True)
    return found


# --- building ----------------------------------------------------------------------------------


@public
def scan(
    step: Callable[..., tuple[Tree, Tree]],
    init: Tree,
    xs: Tree = None,
    *,
    length: Size | None = None,
    reverse: bool = False,
) -> tuple[Tree, Tree]:
    """Run `carry, y = step(carry, x)` over the first axis of `xs`; compiled as a native loop.

    init: the first carry: a tensor, or a tuple, list or dict of them (also None). xs: sequences of
    shape (length, ...), a tensor or a structure of them; may be None if `length` is given. The
    step is called with symbolic values and returns the next carry, of the shapes of `init`, and
    what is to be stacked for this step, or None. Where the dtypes of the next carry and of `init`
    differ, the carry has what they promote to, and the step is called again. reverse: from the
    last element to the first; stacked outputs keep the positions of their elements.

    Returns (final carry, stacked outputs of shape (length, ...)). Zero steps give `init` and empty
    outputs. What the step computes from outer values alone is computed once, before the loop.

    Raises ShapeError (E120): sequences of different lengths, no length; FunctionError (E121): a
    carry that changes its shape or structure, a step that does not return a pair.

    >>> total, sums = gc.scan(lambda c, x: (c + x, c + x), 0.0, x)     # cumulative sums
    """
    sequences = [as_tensor(leaf) for leaf in leaves_of(xs)]
    size = _common_length(sequences, length)
    elements = [
        PLACEHOLDER(name=f"x{n}", type=TensorType(t.dtype, t.shape[1:]))
        for n, t in enumerate(sequences)
    ]

    def traced(carry: Tree) -> tuple[Tree, Tree]:
        return _checked_pair(step(carry, rebuilt(xs, elements)))

    settled = settle_carry("scan", init, traced)
    carry, states = settled.initial, settled.states
    outputs = [as_tensor(leaf) for leaf in leaves_of(settled.answer)]
    results, captured = capture([*settled.following, *outputs], [*states, *elements])
    body = Graph(
        (*states, *elements, *(placeholder for placeholder, _ in captured)),
        tuple(results),
        name=getattr(step, "__name__", "step").strip("<>"),
    )
    made = SCAN.apply(
        [*carry, *sequences, *(outer for _, outer in captured)],
        {
            "body": body,
            "carries": len(carry),
            "sequences": len(sequences),
            "length": size,
            "reverse": bool(reverse),
            "anchored": False,
        },
    )
    final, stacked = made[: len(carry)], made[len(carry) :]
    return rebuilt(init, final), rebuilt(settled.answer, stacked)


def _checked_pair(answer: object) -> tuple[Tree, Tree]:
    if isinstance(answer, tuple | list) and len(answer) == 2:
        return answer[0], answer[1]
    raise FunctionError(
        f"scan: the step returned {type(answer).__name__}",
        code="E121",
        source=current_source(),
        fix="return a pair: the next carry and the output of this step (or None)",
    )


def _common_length(sequences: list[Tensor], length: Size | None) -> Size:
    for tensor in sequences:
        if tensor.ndim == 0:
            raise ShapeError(
                f"scan: {tensor.name or tensor.op.name} has no axis to run over",
                code="E120",
                details=[f"got {tensor.type}"],
                source=current_source(),
                fix="sequences have the steps along their first axis",
            )
    if length is not None:
        return as_size(length)
    if not sequences:
        raise ShapeError(
            "scan: neither sequences nor a length are given",
            code="E120",
            source=current_source(),
            fix="pass xs, or length=",
        )
    return sequences[0].shape[0]


@public
def fori_loop(lower: Size, upper: Size, step: Callable[[Tensor, Tree], Tree], init: Tree) -> Tree:
    """Run `carry = step(i, carry)` for i = lower, ..., upper - 1; returns the final carry.

    lower, upper: ints or symbolic sizes. i is an int64 scalar. Types and errors as in `scan`.
    """
    start, stop = as_size(lower), as_size(upper)
    positions = BUILDER.arange(start, stop, dtype=int64)

    def one(carry: Tree, position: Tensor) -> tuple[Tree, None]:
        return step(position, carry), None

    final, _ = scan(one, init, positions)
    return final


@public
def map(function: Callable[..., Tree], xs: Tree) -> Tree:
    """`function` of each element along the first axis of `xs`, stacked; one at a time."""
    _, stacked = scan(lambda carry, x: (None, function(x)), None, xs)
    return stacked
