"""Derivatives of loops: of those that run a given number of steps, and of those that count them.

Both save the carries that each step saw, by running once more with these as outputs; a pass makes
one loop of both runs. The number of steps of a loop that counts them is a size that it binds when
it ends, so its saved carries are an array like any other, and the loop backwards is a scan.
"""

from graphc.dtypes import is_inexact
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.node import Attributes
from graphc.ir.opdef import Application, Gradients
from graphc.ir.registry import OPS, Builder
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import inner_input, seen_through, substituted


def loop_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    """Backpropagation through time: the same loop backwards over the carries of every step.

    What a step computes is computed again from its saved carries, so that memory grows with the
    carries and not with all intermediate values of the steps.
    """
    attrs, inputs = application.attrs, application.inputs
    body, carries, sequences = attrs["body"], attrs["carries"], attrs["sequences"]
    until = carries + sequences
    again = _with_saved_carries(application)
    saved = again[len(body.outputs) :]
    floating = [position for position, t in enumerate(body.inputs) if is_inexact(t.dtype)]
    states = [position for position in floating if position < carries]
    steps = [n for n, gradient in enumerate(gradients) if n >= carries and gradient is not None]
    outputs = [*states, *steps]
    cotangents = {n: _like("cotangent", body.outputs[n]) for n in outputs}
    pulled = b.vjp(
        seen_through([body.outputs[n] for n in outputs]),
        [body.inputs[p] for p in floating],
        [b.conj(cotangents[n]) for n in outputs],  # vjp speaks of what users see
        disconnected="none",
    )
    turned = [None if gradient is None else b.conj(gradient) for gradient in pulled]
    by_input = dict(zip(floating, turned, strict=True))
    shared = [p for p in floating if p >= until and by_input[p] is not None]
    totals = {p: _like("total", body.inputs[p]) for p in shared}
    per_step = [p for p in floating if carries <= p < until]

    def or_zeros(position: int) -> Tensor:
        found = by_input[position]
        return b.zeros_like(body.inputs[position]) if found is None else found

    anchor = again[:1] if "condition" in attrs else ()
    backward = Graph(
        (
            *(cotangents[p] for p in states),
            *(totals[p] for p in shared),
            *body.inputs[:until],
            *(cotangents[n] for n in steps),
            *body.inputs[until:],
            *(inner_input(tensor, "anchor") for tensor in anchor),
        ),
        (
            *(or_zeros(p) for p in states),
            *(b.add(totals[p], or_zeros(p)) for p in shared),
            *(or_zeros(p) for p in per_step),
        ),
        name=f"{body.name}_backward",
    )
    results = OPS["scan"].apply(
        [
            *(_or(gradients[p], b.zeros_like(inputs[p])) for p in states),
            *(b.zeros_like(inputs[p]) for p in shared),
            *saved,
            *inputs[carries:until],
            *(_or(gradients[n], None) for n in steps),
            *inputs[until:],
            *anchor,
        ],
        {
            "body": backward,
            "carries": len(states) + len(shared),
            "sequences": until + len(steps),
            "length": attrs["length"],
            "reverse": not attrs["reverse"],
            "anchored": attrs["anchored"] or bool(anchor),
            "local": attrs.get("local", False),
            "unroll": attrs.get("unroll", 1),
        },
    )
    found: dict[int, Tensor] = dict(zip([*states, *shared, *per_step], results, strict=True))
    return [found.get(position) for position in range(len(inputs))]


def loop_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
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
            *(inner[p] for p in outer),
            *body.inputs[until:],
        ),
        (
            *body.outputs[:carries],
            *(moved[p] for p in states),
            *(moved[n] for n in steps),
        ),
        name=f"{body.name}_tangent",
    )
    results = application.node.op.apply(
        [
            *inputs[:carries],
            *(_or(tangents[p], b.zeros_like(inputs[p])) for p in states),
            *inputs[carries:until],
            *(_or(tangents[p], None) for p in elements),
            *(_or(tangents[p], None) for p in outer),
            *inputs[until:],
        ],
        {
            **attrs,
            **_condition_over(attrs, dual),
            "body": dual,
            "carries": carries + len(states),
            "sequences": sequences + len(elements),
        },
    )
    found = dict(zip([*states, *steps], results[carries:], strict=True))
    return [found.get(n) for n in range(len(application.outputs))]


def condition_of(attrs: Attributes) -> Tensor:
    """The condition of a loop, over the inputs of its body."""
    condition, body = attrs["condition"], attrs["body"]
    pairs = zip(condition.inputs, body.inputs, strict=True)
    return substituted(condition.outputs, {own.key: other for own, other in pairs})[0]


def _condition_over(attrs: Attributes, body: Graph) -> Attributes:
    """The attribute `condition` for a body with more inputs."""
    if "condition" not in attrs:
        return {}
    name = attrs["condition"].name
    return {"condition": Graph(body.inputs, (condition_of(attrs),), name=name)}


def _with_saved_carries(application: Application) -> tuple[Tensor, ...]:
    """The loop once more, with the carries that each step saw, stacked, as its last outputs."""
    attrs = application.attrs
    body, carries = attrs["body"], attrs["carries"]
    extended = Graph(body.inputs, (*body.outputs, *body.inputs[:carries]), name=body.name)
    return application.node.op.apply(application.inputs, {**attrs, "body": extended})


def _or(tensor: Tensor | None, otherwise: Tensor | None) -> Tensor:
    found = otherwise if tensor is None else tensor
    assert found is not None
    return found


def _like(name: str, tensor: Tensor) -> Tensor:
    """A fresh input of a loop body."""
    return PLACEHOLDER(name=name, type=tensor.type)
