"""Loops in the graph: scan, and what is made of it (fori_loop, map).

The body of a loop is a graph of its own, an attribute of the node: its inputs are, in this order,
the carries, the elements of the sequences, and the values from outside that the step uses. What a
step computes from outside values alone is not part of the body: it is computed once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import int64, is_integer
from graphc.errors import FunctionError, ParameterError, ShapeError
from graphc.ir.arguments import checked_size
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER, as_tensor
from graphc.ir.lowering import Scan
from graphc.ir.node import TensorType
from graphc.ir.opdef import Example, Inference, OpDef
from graphc.ir.registry import BUILDER, public, register
from graphc.ir.source import current_source
from graphc.ir.step_numbers import numbered_steps
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import (
    Tree,
    call,
    capture,
    interpreted,
    leaves_of,
    loop_types,
    rebuilt,
    settle_carry,
)
from graphc.ops.body_batches import batch_scan
from graphc.ops.loop_derivatives import loop_jvp, loop_vjp
from graphc.ops.loop_segments import Steps, build_loop, checked_count, segment_length
from graphc.shapes import Size, as_size

__all__ = ["fori_loop", "map", "scan"]


# --- the op ------------------------------------------------------------------------------------
# attrs: body (Graph), carries (how many), sequences (how many), length, reverse;
#     anchored: the last input only says on what the length depends, a loop that counts its steps
#     local: nothing that grows with the length is to leave the loop
#     unroll: how many steps a pass is to write out in every run of the loop
# outputs: final carries, then the stacked per-step outputs.


def _infer(call: Inference) -> tuple[TensorType, ...]:
    body, carries, sequences = (call.attrs[k] for k in ("body", "carries", "sequences"))
    length = call.attrs["length"]
    for position in range(carries, carries + sequences):
        text = f"length of sequence {position - carries}"
        call.require_equal(call.types[position].shape[0], length, text)
    return loop_types(call, body, carries, length)


SCAN = register(
    OpDef(
        "scan",
        infer=_infer,
        reference=interpreted,
        lower=Scan(),
        vjp=loop_vjp,
        jvp=loop_jvp,
        batch=batch_scan,
        traits=frozenset({"loop"}),
        defaults={"reverse": False, "anchored": False, "local": False, "unroll": 1},
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
    unroll: int = 1,
    checkpoint_every: int | str | None = None,
) -> tuple[Tree, Tree]:
    """Run `carry, y = step(carry, x)` over the first axis of `xs`; compiled as a native loop.

    init: the first carry: a tensor, or a tuple, list or dict of them (also None). xs: sequences of
    shape (length, ...), a tensor or a structure of them; may be None if `length` is given. The
    step is called with symbolic values and returns the next carry, of the shapes of `init`, and
    what is to be stacked for this step, or None. Where the dtypes of the next carry and of `init`
    differ, the carry has what they promote to, and the step is called again. reverse: from the
    last element to the first; stacked outputs keep the positions of their elements.

    unroll: how many steps are written out one after the other in each run of the loop; steps that
    do little run faster. checkpoint_every: reverse mode keeps the carry of every k-th step alone,
    and computes those in between again: memory for length/k + k carries in place of length, for one
    more forward run. "sqrt" is the root of a length that is a number, else 32. Values are the same
    with and without both, and any length is right, whether or not it is a multiple of them.

    Returns (final carry, stacked outputs of shape (length, ...)). Zero steps give `init` and empty
    outputs. What the step computes from outer values alone is computed once, before the loop.

    Raises ShapeError (E120): sequences of different lengths, no length; FunctionError (E121): a
    carry that changes its shape or structure, a step that does not return a pair; ParameterError
    (E404): unroll or checkpoint_every is no number of steps.

    >>> total, sums = gc.scan(lambda c, x: (c + x, c + x), 0.0, x)     # cumulative sums
    """
    sequences = [as_tensor(leaf) for leaf in leaves_of(xs)]
    size = _common_length(sequences, length)
    unroll = checked_count("unroll", unroll, "1 for no unrolling")
    every = segment_length(checkpoint_every, size)
    elements = [
        PLACEHOLDER(name=f"x{n}", type=TensorType(t.dtype, t.shape[1:]))
        for n, t in enumerate(sequences)
    ]

    def traced(carry: Tree) -> tuple[Tree, Tree]:
        return _checked_pair(call("scan", "the step", step, carry, rebuilt(xs, elements)))

    with numbered_steps() as number:
        settled = settle_carry("scan", init, traced)
    if number.tensor is not None:
        sequences.append(BUILDER.arange(0, size, dtype=int64))
        elements.append(number.tensor)
    carry, states = settled.initial, settled.states
    outputs = [as_tensor(leaf) for leaf in leaves_of(settled.answer)]
    results, captured = capture([*settled.following, *outputs], [*states, *elements])
    body = Graph(
        (*states, *elements, *(placeholder for placeholder, _ in captured)),
        tuple(results),
        name=getattr(step, "__name__", "step").strip("<>"),
    )
    outer = tuple(outer for _, outer in captured)
    steps = Steps(body, tuple(carry), tuple(sequences), outer, size, bool(reverse), unroll)
    final, stacked = build_loop(steps, every)
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
        return checked_size("scan", length)
    if not sequences:
        raise ShapeError(
            "scan: neither sequences nor a length are given",
            code="E120",
            source=current_source(),
            fix="pass xs, or length=",
        )
    return sequences[0].shape[0]


@public
def fori_loop(
    lower: Size | Tensor, upper: Size | Tensor, step: Callable[[Tensor, Tree], Tree], init: Tree
) -> Tree:
    """Run `carry = step(i, carry)` for i = lower, ..., upper - 1; returns the final carry.

    lower, upper: ints, symbolic sizes, or integer scalars that are computed: the loop is a
    `while_loop` then. i is an int64 scalar. No step if upper <= lower. Types and errors as in
    `scan`; ParameterError (E404) for bounds that are no integer scalars.
    """
    if isinstance(lower, Tensor) or isinstance(upper, Tensor):
        return _counting_loop(as_tensor(lower), as_tensor(upper), step, init)
    start, stop = as_size(lower), as_size(upper)
    positions = BUILDER.arange(start, stop, dtype=int64)

    def one(carry: Tree, position: Tensor) -> tuple[Tree, None]:
        return call("fori_loop", "the step", step, position, carry), None

    final, _ = scan(one, init, positions)
    return final


def _counting_loop(
    lower: Tensor, upper: Tensor, step: Callable[[Tensor, Tree], Tree], init: Tree
) -> Tree:
    for bound in (lower, upper):
        if bound.shape != () or not is_integer(bound.dtype):
            raise ParameterError(
                f"fori_loop: a bound is {bound.type}",
                source=current_source(),
                fix="bounds are integer scalars",
            )
    stop = upper.astype(int64)

    def following(carry: tuple[Tensor, Tree]) -> tuple[Tensor, Tree]:
        position, inner = carry
        return position + 1, call("fori_loop", "the step", step, position, inner)

    last: Any = BUILDER.while_loop(
        lambda carry: carry[0] < stop, following, (lower.astype(int64), init)
    )
    return last[1]


@public
def map(function: Callable[..., Tree], xs: Tree) -> Tree:
    """`function` of each element along the first axis of `xs`, stacked; one at a time."""
    _, stacked = scan(lambda carry, x: (None, call("map", "the function", function, x)), None, xs)
    return stacked
