"""The signature of a function: inputs, outputs, pairs of updates; all checked."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphc.conversion import as_array, loss, shown
from graphc.dtypes import DType
from graphc.errors import FunctionError, GraphcError
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER, VARIABLE, Variable, as_tensor, constant
from graphc.ir.source import Sources
from graphc.ir.tensor import Tensor
from graphc.ops.definition import convert
from graphc.shapes import Dim, Size
from graphc.structure import Structure, flatten


def output_tensors(outputs: Any, sources: Sources) -> tuple[list[Tensor], Structure]:
    """The output tensors in order, and the structure in which to give their values back."""
    leaves, structure = flatten(outputs)
    source = sources[0] if sources else None
    tensors: list[Tensor] = []
    for position, leaf in enumerate(leaves):
        try:
            tensors.append(as_tensor(leaf))
        except GraphcError as error:
            raise FunctionError(
                f"output {position} is no expression: {shown(leaf)}",
                code="E205",
                details=[error.message],
                source=error.source or source,
                fix="outputs are tensors, in a list, tuple or dict if there are several",
            ) from None
    return tensors, structure


def output_names(structure: Structure) -> tuple[str | None, ...]:
    """What the caller calls each output, where the keys that lead to it make a usable name."""
    names: list[str | None] = []
    for path in structure.paths():
        name = "_".join(map(str, path))
        usable = any(isinstance(part, str) for part in path) and name.isidentifier()
        names.append(name if usable else None)
    return tuple(names)


def check_inputs(inputs: Sequence[Any], sources: Sources) -> None:
    """Inputs are placeholders, each once, with names of their own."""
    source = sources[0] if sources else None
    seen: dict[str, Tensor] = {}
    for tensor in inputs:
        if not isinstance(tensor, Tensor) or tensor.node.op is not PLACEHOLDER:
            raise FunctionError(
                f"inputs must be placeholders, got {called(tensor)}",
                code="E205",
                details=[_declared(tensor)] if isinstance(tensor, Tensor) else (),
                source=source,
                fix=_input_fix(tensor),
            )
        name = str(tensor.name)
        if name in seen:
            same = seen[name].node is tensor.node
            raise FunctionError(
                f"input {name!r} is listed twice" if same else f"two inputs are named {name!r}",
                code="E206",
                details=[_declared(t) for t in (seen[name], tensor)],
                source=source,
                fix="list each placeholder once" if same else "give each a name of its own",
            )
        seen[name] = tensor


def called(value: Any) -> str:
    if isinstance(value, Variable):
        return f"the variable {value.name!r}"
    if isinstance(value, Tensor) and value.op is PLACEHOLDER:
        return f"the placeholder {value.name!r}"
    return f"the result of {value.op.name}" if isinstance(value, Tensor) else shown(value)


def _declared(tensor: Tensor) -> str:
    return f"{tensor.name or tensor.op.name}: {tensor.type}, written {tensor.source or 'nowhere'}"


def _input_fix(value: Any) -> str:
    if isinstance(value, Variable):
        return "leave it out: variables bring their values; set them with v.value = ... or updates"
    if isinstance(value, Tensor):
        return "list the placeholders it is made of, or replace it by one with givens"
    return "make inputs with gc.placeholder(name, shape, dtype) and list those"


def named_updates(updates: Any, sources: Sources) -> list[tuple[Variable, Tensor]]:
    """(variable, new value) pairs of matching dtype and rank; each variable once."""
    source = sources[0] if sources else None
    seen: set[int] = set()
    result: list[tuple[Variable, Tensor]] = []
    for key, value in pairs_of("updates", "E207", updates, sources):
        if not isinstance(key, Tensor) or key.node.op is not VARIABLE:
            raise FunctionError(
                f"updates: {called(key)} is no variable",
                code="E207",
                details=[_declared(key)] if isinstance(key, Tensor) else (),
                source=source,
                fix="only what gc.variable made can be updated",
            )
        variable = key if isinstance(key, Variable) else Variable(key.node)
        if id(variable.node) in seen:
            raise FunctionError(
                f"variable {variable.name!r} is updated twice",
                code="E207",
                details=[_declared(variable)],
                source=source,
                fix="combine the two expressions into one update",
            )
        seen.add(id(variable.node))
        result.append((variable, new_value(variable, value, sources)))
    return result


def with_default_updates(graph: Graph, sources: Sources) -> Graph:
    """The graph, and the default updates of the variables that it reads and does not update."""
    while True:
        updated = {id(variable.node) for variable, _ in graph.updates}
        more = tuple(
            (variable, new_value(variable, rule(variable), sources))
            for variable in graph.variables
            if (rule := variable.default_update) is not None and id(variable.node) not in updated
        )
        if not more:
            return graph
        updates = (*graph.updates, *more)
        graph = Graph(graph.inputs, graph.outputs, updates, graph.name, graph.output_names)


def pairs_of(what: str, code: str, given: Any, sources: Sources) -> list[tuple[Any, Any]]:
    """A dict or a sequence of pairs as a list of pairs."""
    pairs = list(given.items()) if isinstance(given, Mapping) else given
    good = isinstance(pairs, list | tuple) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    )
    if pairs is not None and not good:
        raise FunctionError(
            f"{what} must be a dict or a list of pairs, got {called(given)}",
            code=code,
            source=sources[0] if sources else None,
            fix=f"write {what}={{old: new}} or {what}=[(old, new)]",
        )
    return list(pairs or ())


def new_value(variable: Variable, value: Any, sources: Sources) -> Tensor:
    """The value of an update as a tensor; FunctionError (E208) if it does not fit the variable."""
    source = sources[0] if sources else None
    try:
        new = as_expression(value, variable.dtype)
    except (GraphcError, TypeError, ValueError) as error:
        reason = error.message if isinstance(error, GraphcError) else str(error)
        raise FunctionError(
            f"the update of {variable.name!r} is no expression: {shown(value)}",
            code="E208",
            details=[reason, f"allowed {variable.type}"],
            source=source,
            fix="an update is a tensor, an array or numbers of the variable's dtype and shape",
        ) from None
    same_dtype, same_shape = new.dtype == variable.dtype, _may_equal(new, variable)
    if same_dtype and same_shape:
        return new
    fixes = [] if same_dtype else [f"cast with .astype({variable.dtype.name!r})"]
    if not same_shape:
        fixes.append("reduce, reshape or broadcast the new value to the variable's shape")
    what = " and ".join(["dtype"] * (not same_dtype) + ["shape"] * (not same_shape))
    raise FunctionError(
        f"the update of {variable.name!r} has another {what}",
        code="E208",
        details=[f"got     {new.type}", f"allowed {variable.type}, written {variable.source}"],
        source=new.sources[0] if new.sources else source,
        fix="; ".join(fixes),
    )


def as_expression(value: Any, dtype: DType) -> Tensor:
    """Python's numbers, and lists of them, take the variable's dtype if that loses nothing."""
    leaves, _ = flatten(value)
    if all(isinstance(leaf, bool | int | float) for leaf in leaves):
        array = as_array(value)
        return constant(array, dtype if loss(array, dtype, weak=True) is None else None)
    return convert(value, dtype) if isinstance(value, Dim) else as_tensor(value)


def _may_equal(new: Tensor, variable: Variable) -> bool:
    """Static sizes are equal; symbolic ones are compared at the call."""
    return new.ndim == variable.ndim and all(
        not isinstance(size, int) or size == wanted
        for size, wanted in zip(new.shape, variable.shape, strict=True)
    )


def whole_sizes(inputs: Sequence[Tensor]) -> frozenset[str]:
    """The symbolic sizes that the shapes of the inputs give."""
    return frozenset(str(size) for t in inputs for size in t.shape if is_symbol(size))


def is_symbol(size: Size) -> bool:
    """Whether a size is one name, and no expression of names."""
    return isinstance(size, Dim) and {str(size)} == size.symbols()
