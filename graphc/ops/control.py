"""Loops in the graph: scan, and what is made of it (fori_loop, map).

The body of a loop is a graph of its own, an attribute of the node: its inputs are, in this order,
the carries, the elements of the sequences, and the values from outside that the step uses. What a
step computes from outside values alone is not part of the body: it is computed once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import int64, is_inexact
from graphc.errors import FunctionError, ShapeError
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER, as_tensor
from graphc.ir.lowering import Scan
from graphc.ir.node import TensorType
from graphc.ir.opdef import Application, Example, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import (
    Tree,
    capture,
    leaves_of,
    rebuilt,
    require_equal_types,
    seen_through,
    settle_carry,
)
from graphc.shapes import Size, as_size

__all__ = ["fori_loop", "map", "scan"]


# --- the op ------------------------------------------------------------------------------------
# attrs: body (Graph), carries (how many), sequences (how many), length, reverse.
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


def _vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    """Backpropagation through time: the same loop backwards over the carries of every step.

    What a step computes is computed again from its saved carries, so that memory grows with the
    carries and not with all intermediate values of the steps.
    """
    attrs, inputs = application.attrs, application.inputs
    body, carries, sequences = attrs["body"], attrs["carries"], attrs["sequences"]
    saved = _with_saved_carries(application)
    floating = [position for position, t in enumerate(body.inputs) if is_inexact(t.dtype)]
    states = [position for position in floating if position < carries]
    outputs = [n for n, t in enumerate(body.outputs) if is_inexact(t.dtype)]
    cotangents = {n: _like("cotangent", body.outputs[n]) for n in outputs}
    pulled = b.vjp(
        seen_through([body.outputs[n] for n in outputs]),
        [body.inputs[p] for p in floating],
        [b.conj(cotangents[n]) for n in outputs],  # vjp speaks of what users see
        disconnected="none",
    )
    turned = [None if gradient is None else b.conj(gradient) for gradient in pulled]
    by_input = dict(zip(floating, turned, strict=True))
    shared = [p for p in floating if p >= carries + sequences and by_input[p] is not None]
    totals = {p: _like("total", body.inputs[p]) for p in shared}
    per_step = [p for p in floating if carries <= p < carries + sequences]
    steps = [n for n in outputs if n >= carries]

    def or_zeros(position: int) -> Tensor:
        found = by_input[position]
        return b.zeros_like(body.inputs[position]) if found is None else found

    backward = Graph(
        (
            *(cotangents[p] for p in states),
            *(totals[p] for p in shared),
            *body.inputs[: carries + sequences],
            *(cotangents[n] for n in steps),
            *body.inputs[carries + sequences :],
        ),
        (
            *(or_zeros(p) for p in states),
            *(b.add(totals[p], or_zeros(p)) for p in shared),
            *(or_zeros(p) for p in per_step),
        ),
        name=f"{body.name}_backward",
    )
    arriving = [
        b.zeros_like(output) if gradient is None else gradient
        for output, gradient in zip(application.outputs, gradients, strict=True)
    ]
    results = SCAN.apply(
        [
            *(arriving[p] for p in states),
            *(b.zeros_like(inputs[p]) for p in shared),
            *saved,
            *inputs[carries : carries + sequences],
            *(arriving[n] for n in steps),
            *inputs[carries + sequences :],
        ],
        {
            "body": backward,
            "carries": len(states) + len(shared),
            "sequences": carries + sequences + len(steps),
            "length": attrs["length"],
            "reverse": not attrs["reverse"],
        },
    )
    found: dict[int, Tensor] = dict(zip([*states, *shared, *per_step], results, strict=True))
    return [found.get(position) for position in range(len(inputs))]


def _jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    """The same loop with the tangents of the carries handed on beside the carries."""
    attrs, inputs = application.attrs, application.inputs
    body, carries, sequences = attrs["body"], attrs["carries"], attrs["sequences"]
    until = carries + sequences
    states = [p for p in range(carries) if is_inexact(inputs[p].dtype)]
    moving = [p for p in range(carries, len(inputs)) if tangents[p] is not None]
    inner = {p: _like("tangent", body.inputs[p]) for p in (*states, *moving)}
    outputs = [n for n, t in enumerate(body.outputs) if is_inexact(t.dtype)]
    pushed = b.jvp(
        [body.outputs[n] for n in outputs],
        [body.inputs[p] for p in inner],
        list(inner.values()),
        disconnected="zero",
    )
    moved = dict(zip(outputs, pushed, strict=True))
    steps = [n for n in outputs if n >= carries]
    elements = [p for p in moving if p < until]
    outer = [p for p in moving if p >= until]
    dual = Graph(
        (
            *body.inputs[:carries],
            *(inner[p] for p in states),
            *body.inputs[carries:until],
            *(inner[p] for p in elements),
            *body.inputs[until:],
            *(inner[p] for p in outer),
        ),
        (
            *body.outputs[:carries],
            *(moved[p] for p in states),
            *(moved[n] for n in steps),
        ),
        name=f"{body.name}_tangent",
    )
    zeros = [b.zeros_like(inputs[p]) for p in states]
    results = SCAN.apply(
        [
            *inputs[:carries],
            *(_or(tangents[p], zeros[k]) for k, p in enumerate(states)),
            *inputs[carries:until],
            *(_or(tangents[p], None) for p in elements),
            *inputs[until:],
            *(_or(tangents[p], None) for p in outer),
        ],
        {
            **attrs,
            "body": dual,
            "carries": carries + len(states),
            "sequences": sequences + len(elements),
        },
    )
    found = dict(zip([*states, *steps], results[carries:], strict=True))
    return [found.get(n) for n in range(len(application.outputs))]


def _with_saved_carries(application: Application) -> tuple[Tensor, ...]:
    """The carries that each step saw, stacked: the loop once more, with them as outputs.

    A pass makes one loop of both.
    """
    attrs = application.attrs
    body, carries = attrs["body"], attrs["carries"]
    extended = Graph(body.inputs, (*body.outputs, *body.inputs[:carries]), name=body.name)
    results = SCAN.apply(application.inputs, {**attrs, "body": extended})
    return results[len(body.outputs) :]


def _or(tensor: Tensor | None, otherwise: Tensor | None) -> Tensor:
    found = otherwise if tensor is None else tensor
    assert found is not None
    return found


def _like(name: str, tensor: Tensor) -> Tensor:
    """A fresh input of a loop body."""
    return PLACEHOLDER(name=name, type=tensor.type)


SCAN = register(
    OpDef(
        "scan",
        infer=_infer,
        reference=_interpreted,
        lower=Scan(),
        vjp=_vjp,
        jvp=_jvp,
        traits=frozenset({"loop"}),
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
