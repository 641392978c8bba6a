"""What `function` demands of inputs, names, sizes and placeholders before it compiles."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from graphc.errors import FunctionError
from graphc.ir.graph import Graph, counted_size, nested_nodes
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.opdef import Constraint
from graphc.ir.source import Sources
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import path_to
from graphc.late_updates import LateGraph
from graphc.shapes import Dim, symbols_of
from graphc.signature import called, pairs_of, whole_sizes


def input_sequence(inputs: Any) -> tuple[Any, ...]:
    if isinstance(inputs, Mapping) or not isinstance(inputs, Sequence):
        raise FunctionError(
            f"inputs must be a list of placeholders, got {called(inputs)}",
            code="E205",
            fix="write gc.function([x, y], outputs); [] if there are none",
        )
    return tuple(inputs)


def checked_name(name: str) -> str:
    if not isinstance(name, str) or not name.isidentifier():
        raise FunctionError(
            f"{name!r} is not a usable name for a function",
            code="E206",
            fix="names of functions are Python identifiers",
        )
    return name


def caller_name(sources: Sources) -> str:
    """`train` for `train = gc.function(...)`, as far as the user's line tells."""
    if sources:
        target, assigned, _ = sources[0].text.partition("=")
        target, _, _ = target.partition(":")  # train: gc.Function = ...
        if assigned and target.strip().isidentifier():
            return target.strip()
    return "function"


def named_defaults(defaults: Any, inputs: Sequence[Tensor]) -> dict[str, Any]:
    """Defaults by the name of their input."""
    by_key = {tensor.key: str(tensor.name) for tensor in inputs}
    named: dict[str, Any] = {}
    for key, value in pairs_of("defaults", "E205", defaults, ()):
        name = by_key.get(key.key) if isinstance(key, Tensor) else key
        if not isinstance(name, str) or name not in by_key.values():
            raise FunctionError(
                f"defaults: {name or called(key)} is not among the inputs",
                code="E205",
                details=[f"inputs: {', '.join(by_key.values()) or 'none'}"],
                fix="give defaults to inputs of this function",
            )
        named[name] = value
    return named


def check_options(on_unused_input: str) -> None:
    if on_unused_input not in ("raise", "warn", "ignore"):
        raise FunctionError(
            f"on_unused_input={on_unused_input!r}",
            code="E205",
            fix='use "raise", "warn" or "ignore"',
        )


def check_placeholders(graph: Graph, sources: Sources, on_unused_input: str) -> None:
    """Every placeholder that is needed is an input, every input is needed."""
    declared = {id(tensor.node) for tensor in graph.inputs}
    used: set[int] = set()
    for node in graph.nodes:
        if node.op is not PLACEHOLDER:
            continue
        used.add(id(node))
        if id(node) not in declared:
            raise _not_an_input(graph, Tensor(node))
    unused = [tensor for tensor in graph.inputs if id(tensor.node) not in used]
    if not unused or on_unused_input == "ignore":
        return
    used_sizes = {name for node in nested_nodes(graph) for name in _sizes_in(node.attrs.values())}
    for tensor in unused:
        gives_size = any(isinstance(s, Dim) and s.symbols() & used_sizes for s in tensor.shape)
        if gives_size:
            continue
        error = FunctionError(
            f"input {tensor.name!r} is not used by any output or update",
            code="E205",
            details=[f"{tensor.name}: {tensor.type}, written {tensor.source or 'nowhere'}"],
            source=sources[0] if sources else None,
            fix='remove it from the inputs, or pass on_unused_input="ignore"',
        )
        if on_unused_input == "raise":
            raise error
        warnings.warn(str(error), stacklevel=5)


def _not_an_input(graph: Graph, tensor: Tensor) -> FunctionError:
    same = [t for t in graph.inputs if t.name == tensor.name]
    details = path_text(graph, tensor)
    details += [f"another placeholder of this name is an input, written {t.source}" for t in same]
    fix = f"list {tensor.name} in the inputs, or replace it with givens"
    if re.fullmatch(r"(carry|x)\d+", str(tensor.name)):  # the names that loops give
        fix += "; if the step of a loop was given it, let the step return what is needed outside"
    return FunctionError(
        f"the results need placeholder {tensor.name!r}, which is not among the inputs",
        code="E201",
        details=details,
        source=tensor.sources[0] if tensor.sources else None,
        fix=fix,
    )


def _sizes_in(values: Any) -> set[str]:
    found: set[str] = set()
    for value in values:
        if isinstance(value, Dim):
            found |= value.symbols()
        elif isinstance(value, tuple):
            found |= _sizes_in(value)
    return found


def check_sizes(graph: Graph) -> None:
    """Every symbolic size must follow from the shape of some input."""
    given = whole_sizes(graph.inputs)
    for node in nested_nodes(graph):
        symbol = counted_size(node)
        # Copies of the loop, written out by a pass, add numbers to the name.
        taken = [name for name in given if symbol and re.fullmatch(rf"{symbol}(_\d+)*", name)]
        if taken:
            raise FunctionError(
                f"the size {taken[0]!r} is the number of steps of a loop, and that of an axis",
                code="E204",
                details=[
                    f"{t.name}: {t.type}" for t in graph.inputs if taken[0] in _sizes_in(t.shape)
                ],
                source=node.sources[0] if node.sources else None,
                fix="name the axis otherwise: loops call their steps steps_0, steps_1, ...",
            )
    bound = given | {s for s in map(counted_size, graph.nodes) if s}
    leaves = [tensor.node for tensor in graph.inputs]
    known: set[Dim] = set()  # nodes are many, sizes are few
    for node in (*leaves, *graph.nodes):
        for declared in node.types:
            for size in (*declared.shape, node.attrs.get("size", 0)):
                if not isinstance(size, Dim) or size in known:
                    continue
                free = symbols_of(size) - bound
                if not free:
                    known.add(size)
                if free:
                    raise FunctionError(
                        f"the size {min(free)!r} does not follow from any input's shape",
                        code="E204",
                        details=[f"{node.attrs.get('name') or node.op.name}: {declared}"],
                        source=node.sources[0] if node.sources else None,
                        fix="list a placeholder that has this size as a whole axis",
                    )


def update_constraints(graph: Graph) -> list[Constraint]:
    """Symbolic sizes of an update must turn out to be those of its variable."""
    if isinstance(graph, LateGraph) and graph.is_recalled:
        return []  # there are none in what is kept
    return [
        Constraint(new, old, f"update of {variable.name}", value.sources, FunctionError)
        for variable, value in graph.updates
        for new, old in zip(value.shape, variable.shape, strict=True)
        if new != old
    ]


def path_text(graph: Graph, tensor: Tensor) -> list[str]:
    """`cost <- mean <- log <- x`: how the results depend on a placeholder."""
    for result in graph.results:
        chain = path_to(result, tensor)
        if chain:
            names = [str(node.attrs.get("name") or node.op.name) for node in chain]
            if result.name:
                names[0] = result.name
            if len(names) > 12:
                names = [*names[:6], "...", *names[-5:]]
            return ["path      " + " <- ".join(names)]
    return []
