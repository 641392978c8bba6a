"""The verifier: is this a graph at all? Re-runs inference on every node, without recursion."""

from collections.abc import Iterable
from typing import NoReturn

from graphc.errors import GraphcError, VerificationError
from graphc.ir.graph import Graph, bodies_of
from graphc.ir.leaf import CONSTANT, PLACEHOLDER, VARIABLE
from graphc.ir.lowering import Elementwise, LoweringContext
from graphc.ir.node import Node, TensorType, has_complex_type
from graphc.ir.opdef import Constraint
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor
from graphc.scalar.expr import Index, Read
from graphc.shapes import Dim, Shape, Size, dim_max, lower_bound


def verify(graph: Graph) -> list[Constraint]:
    """The size equalities to check at every call, in order.

    VerificationError if a node's types are not what its op infers, operands are too few or too
    many, a value is used before it is made, a placeholder is not an input, names are taken twice,
    or an update does not fit its variable.
    """
    _verify_leaves(graph)
    _verify_order(graph)
    constraints: list[Constraint] = []
    elements: set[tuple[int, ...]] = set()
    for node in graph.nodes:
        constraints += verify_node(node, elements)
    _verify_updates(graph)
    return [*constraints, *_sizes_not_negative(graph.nodes)]


def _sizes_not_negative(nodes: Iterable[Node]) -> list[Constraint]:
    """max(size, 0) = size for each size like n - 5, where it first occurs."""
    found: dict[Size, Constraint] = {}
    known: set[Size] = set()
    for node in nodes:
        for type in node.types:
            for size in type.shape:
                if isinstance(size, int) or size in known:
                    continue
                known.add(size)
                least = lower_bound(size)
                if least is None or least < 0:
                    text = f"{node.op.name}: negative size"
                    found[size] = Constraint(size, dim_max(size, 0), text, node.sources)
    return list(found.values())


def verify_node(node: Node, elements: set[tuple[int, ...]] | None = None) -> list[Constraint]:
    """Check one node on its own, and its bodies; the size equalities that it demands.

    elements: the ops and types of which an element has been looked at, by identity.
    """
    elements = set() if elements is None else elements
    if "custom" not in node.op.traits and OPS.get(node.op.name) is not node.op:
        _fail(node, f"op {node.op.name!r} is not registered")
    given: list[TensorType] = []
    for tensor in node.inputs:
        if not 0 <= tensor.index < len(tensor.node.types):
            _fail(node, f"{node.op.name} reads output {tensor.index} of {tensor.node.op.name}")
        given.append(tensor.node.types[tensor.index])
    try:
        types, constraints = node.op.infer_types(tuple(given), node.attrs, node.sources)
    except (GraphcError, LookupError, TypeError, ValueError) as error:
        message = error.message if isinstance(error, GraphcError) else repr(error)
        _fail(node, f"{node.op.name}: inference fails: {message}")
    if types is not node.types and types != node.types:
        inferred, stated = (", ".join(map(str, group)) for group in (types, node.types))
        _fail(node, f"{node.op.name}: inference gives {inferred}, the node says {stated}")
    if isinstance(node.op.lower, Elementwise):
        key = (id(node.op), *map(id, given), *map(id, node.types))
        if (node.attrs or key not in elements) and not has_complex_type(node):
            elements.add(key)
            _verify_element(node, node.op.lower)
    if node.op is CONSTANT and node.attrs["value"].flags.writeable:
        _fail(node, "a constant's array must be read-only")
    for body in bodies_of(node):
        for inner in body.nodes:
            constraints += verify_node(inner, elements)
    return constraints


def _verify_element(node: Node, lower: Elementwise) -> None:
    """The lowering takes the operands that are there and gives the promised dtype."""
    context = LoweringContext(node.attrs, tuple(t.type for t in node.inputs), node.types)
    index = (Index(0),)
    reads = [Read(k, index * t.ndim, t.dtype) for k, t in enumerate(node.inputs)]
    try:
        element = lower.expr(context, *reads)
    except (TypeError, IndexError) as error:
        _fail(node, f"{node.op.name} does not take {len(reads)} operands: {error}")
    except AssertionError as error:
        _fail(node, f"{node.op.name} does not take operands of these dtypes: {error}")
    if element.dtype != node.types[0].dtype:
        _fail(node, f"{node.op.name}: its elements are {element.dtype}, the node {node.types[0]}")


def _verify_leaves(graph: Graph) -> None:
    inputs = [tensor.node for tensor in graph.inputs]
    for node in inputs:
        if node.op is not PLACEHOLDER:
            _fail(node, f"input {node.op.name} is not a placeholder")
    _refuse_twice([tensor.name for tensor in graph.inputs], inputs, "two inputs are called")
    known = {id(node) for node in inputs}
    for node in graph.nodes:
        if node.op is PLACEHOLDER and id(node) not in known:
            _fail(node, f"placeholder {node.attrs['name']!r} is not an input")
    if len(graph.output_names) != len(graph.outputs):
        raise VerificationError(
            f"{len(graph.output_names)} output names for {len(graph.outputs)} outputs"
        )


def _verify_order(graph: Graph) -> None:
    made: set[int] = set()
    for node in graph.nodes:
        for tensor in node.inputs:
            if id(tensor.node) not in made:
                _fail(node, f"{node.op.name} uses {tensor.node.op.name} before it is made")
        if id(node) in made:
            _fail(node, f"{node.op.name} is listed twice")
        made.add(id(node))
    for tensor in graph.results:
        if id(tensor.node) not in made or not 0 <= tensor.index < len(tensor.node.types):
            _fail(tensor.node, f"result {tensor.node.op.name} is not computed")


def _verify_updates(graph: Graph) -> None:
    variables = [variable.node for variable, _ in graph.updates]
    _refuse_twice([id(node) for node in variables], variables, "two updates of variable")
    for variable, value in graph.updates:
        if variable.node.op is not VARIABLE:
            _fail(variable.node, f"{variable.node.op.name} is updated but is no variable")
        if value.dtype != variable.dtype or not _may_be_equal(value.shape, variable.shape):
            _fail(
                value.node,
                f"update of {variable.name!r}: the variable is {variable.type}, "
                f"the value {value.type}",
            )


def _may_be_equal(shape: Shape, wanted: Shape) -> bool:
    """Symbolic sizes of an update are compared at the call."""
    return len(shape) == len(wanted) and all(
        isinstance(size, Dim) or size == needed for size, needed in zip(shape, wanted, strict=True)
    )


def _refuse_twice(keys: Iterable[object], nodes: Iterable[Node], text: str) -> None:
    seen: set[object] = set()
    for key, node in zip(keys, nodes, strict=True):
        if key in seen:
            _fail(node, f"{text} {Tensor(node).name!r}")
        seen.add(key)


def _fail(node: Node, message: str) -> NoReturn:
    raise VerificationError(message, source=node.sources[0] if node.sources else None)
