"""Loops and branches for many examples at once.

A loop that takes the same number of steps for all examples stays one loop, whose steps are those of
all examples; branches that are selected for all examples alike stay branches. Otherwise the
examples run one after the other, each with its own steps and its own branch.
"""

from collections.abc import Sequence

from graphc.errors import FunctionError
from graphc.ir.batch import Batch, one_by_one, whole
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.node import Attributes, TensorType
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import depends_on, substituted
from graphc.ops.loop_derivatives import condition_of
from graphc.shapes import Size


def batch_scan(batch: Batch) -> list[Tensor]:
    """The same loop over the steps of all examples."""
    return _batch_loop(batch, _mapped_carries(batch))


def batch_while(batch: Batch) -> Sequence[Tensor]:
    """As `batch_scan`, where the condition is the same for all examples."""
    attrs = batch.attrs
    mapped = _mapped_carries(batch)
    if not any(_reached(attrs["condition"], mapped)):
        return _batch_loop(batch, mapped)
    if len(batch.node.types) > attrs["carries"]:
        raise FunctionError(
            "vmap: a reverse derivative of a while_loop whose number of steps differs from "
            "example to example",
            code="E132",
            source=batch.node.sources[0] if batch.node.sources else current_source(),
            fix="differentiate outside, gc.grad(gc.sum(gc.vmap(loss)(xs)), xs), or by gc.jvp, or "
            "give all examples one number of steps (gc.scan, gc.fori_loop)",
        )
    return one_by_one(batch)


def batch_branches(batch: Batch) -> Sequence[Tensor]:
    """The same branches, each for all examples, where all take the same one."""
    if batch.mapped(0):
        return one_by_one(batch)
    branches: Sequence[Graph] = batch.attrs["branches"]
    mapped = [batch.mapped(number) for number in range(1, len(batch.inputs))]
    made = [_inside(batch, branch, mapped) for branch in branches]
    ranks = [output.ndim for output in branches[0].outputs]
    for number, ndim in enumerate(ranks):
        if any(outputs[number].ndim > ndim for _, outputs in made):
            for _, outputs in made:
                outputs[number] = whole(outputs[number], ndim, batch.size)
    graphs = tuple(
        Graph(tuple(inputs), tuple(outputs), name=branch.name)
        for branch, (inputs, outputs) in zip(branches, made, strict=True)
    )
    return batch.apply(batch.inputs, branches=graphs)


def _mapped_carries(batch: Batch) -> list[bool]:
    """Which inputs of a loop are mapped: a carry as soon as a step makes it so."""
    carries: int = batch.attrs["carries"]
    mapped = [batch.mapped(number) for number in range(len(batch.inputs))]
    growing = True
    while growing:
        reached = _reached(batch.attrs["body"], mapped)
        after = [own or reached[n] for n, own in enumerate(mapped[:carries])]
        growing = after != mapped[:carries]
        mapped[:carries] = after
    return mapped


def _batch_loop(batch: Batch, mapped: Sequence[bool]) -> list[Tensor]:
    attrs = batch.attrs
    body, carries, sequences = attrs["body"], attrs["carries"], attrs["sequences"]
    inputs, outputs = _inside(batch, body, mapped)
    for n, own in enumerate(mapped[:carries]):
        if own:
            outputs[n] = whole(outputs[n], body.outputs[n].ndim, batch.size)
    given = [batch.whole(n) if own else batch.inputs[n] for n, own in enumerate(mapped)]
    for n in range(carries, carries + sequences):
        if mapped[n]:
            given[n] = BUILDER.moveaxis(given[n], 0, 1)
    own_body = Graph(tuple(inputs), tuple(outputs), name=body.name)
    changes: Attributes = {"body": own_body, **_condition_over(attrs, own_body)}
    results = list(batch.apply(given, **changes))
    for n in range(carries, len(results)):
        if outputs[n].ndim > body.outputs[n].ndim:
            results[n] = BUILDER.moveaxis(results[n], 1, 0)
    return results


def _condition_over(attrs: Attributes, body: Graph) -> Attributes:
    """The condition, which depends on no mapped input, over the inputs of the new body."""
    if "condition" not in attrs:
        return {}
    pairs = zip(attrs["body"].inputs, body.inputs, strict=True)
    moved = substituted([condition_of(attrs)], {one.key: new for one, new in pairs})
    return {"condition": Graph(body.inputs, tuple(moved), name=attrs["condition"].name)}


def _inside(batch: Batch, body: Graph, mapped: Sequence[bool]) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and outputs of a body for all examples; outputs that are the same for all as they
    are."""
    pairs = [
        (one, _of_all(one, batch.size) if own else one)
        for one, own in zip(body.inputs, mapped, strict=True)
    ]
    return [new for _, new in pairs], batch.inside(
        body.outputs, [p for p in pairs if p[0] is not p[1]]
    )


def _of_all(one: Tensor, size: Size) -> Tensor:
    return PLACEHOLDER(name=one.name, type=TensorType(one.dtype, (size, *one.shape)))


def _reached(body: Graph, mapped: Sequence[bool]) -> list[bool]:
    """Which outputs of a body depend on an input that is mapped."""
    starts = [tensor for tensor, own in zip(body.inputs, mapped, strict=True) if own]
    inside = depends_on(body.nodes, starts)
    return [id(output.node) in inside for output in body.outputs]
