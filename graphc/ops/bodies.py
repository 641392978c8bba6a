"""What loops and branches share: structures of tensors, cutting a body out, carries of one type.

A body is a graph of its own. What it uses from outside becomes an input of it.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import DType, promote, result_type
from graphc.errors import DTypeError, FunctionError
from graphc.ir.graph import Graph
from graphc.ir.leaf import CONSTANT, PLACEHOLDER, VARIABLE, as_tensor
from graphc.ir.lengths import with_own_lengths
from graphc.ir.lowering import IndexMap
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Inference
from graphc.ir.source import Source, current_source
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.records import dataclass
from graphc.shapes import Dim, Shape, Size

Tree = Any  # None, a tensor, or a tuple, list or dict of trees
Key = tuple[int, int]

# --- trees -------------------------------------------------------------------------------------


def call(loop: str, what: str, function: Callable[..., Tree], *arguments: Tree) -> Tree:
    """`function(*arguments)`; FunctionError E121 if it does not take that many."""
    try:
        return function(*arguments)
    except TypeError:
        if _takes(function, arguments):
            raise
    count = len(arguments)
    raise FunctionError(
        f"{loop}: {what} does not take {count} argument{'s' if count != 1 else ''}",
        code="E121",
        details=[f"got {getattr(function, '__name__', 'a function')}{_signature_of(function)}"],
        source=current_source(),
        fix=f"{loop} calls it with {count} argument{'s' if count != 1 else ''}: "
        f"{ARGUMENTS.get((loop, what), 'the operands')}",
    )


ARGUMENTS = {
    ("scan", "the step"): "the carry and one element of each sequence",
    ("associative_scan", "the function"): "what came before and the next element",
    ("map", "the function"): "one element of each sequence",
    ("fori_loop", "the step"): "the position and the carry",
    ("while_loop", "the body"): "the carry",
    ("while_loop", "the condition"): "the carry",
}


def _signature_of(function: Callable[..., Tree]) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return ""  # of a function in C


def _takes(function: Callable[..., Tree], arguments: Sequence[Tree]) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except ValueError:
        return True
    except TypeError:
        return not callable(function)
    return True


def leaves_of(tree: Tree) -> list[Any]:
    """The leaves of nested tuples, lists and dicts, in order; None has none."""
    return [leaf for _, leaf in named_leaves(tree, "")]


def named_leaves(tree: Tree, name: str) -> Iterator[tuple[str, Any]]:
    """Each leaf with where it stands: `carry[0]`, `carry['h']`."""
    if tree is None:
        return
    if isinstance(tree, dict):
        for key in sorted_keys(tree):
            yield from named_leaves(tree[key], f"{name}[{key!r}]")
    elif isinstance(tree, tuple | list):
        for position, value in enumerate(tree):
            yield from named_leaves(value, f"{name}[{position}]")
    else:
        yield name, tree


def sorted_keys(tree: dict[Any, Tree]) -> list[Any]:
    """The keys in the order of leaves, which is not that of insertion."""
    return sorted(tree, key=repr)


def rebuilt(tree: Tree, leaves: Sequence[Tensor]) -> Tree:
    """`tree` with other leaves."""
    following = iter(leaves)

    def build(part: Tree) -> Tree:
        if part is None:
            return None
        if isinstance(part, dict):
            made = {key: build(part[key]) for key in sorted_keys(part)}
            return {key: made[key] for key in part}
        if hasattr(part, "_fields"):  # a named tuple
            return type(part)(*(build(value) for value in part))
        if isinstance(part, tuple | list):
            return type(part)(build(value) for value in part)
        return next(following)

    return build(tree)


def structure(tree: Tree) -> str:
    """`(*, {'c': None, 'h': *})`: trees are alike if these are equal; a list is like a tuple."""
    if tree is None:
        return "None"
    if isinstance(tree, dict):
        inner = ", ".join(f"{key!r}: {structure(tree[key])}" for key in sorted_keys(tree))
        return f"{{{inner}}}"
    if isinstance(tree, tuple | list):
        return f"({', '.join(map(structure, tree))})"
    return "*"


# --- cutting a body out --------------------------------------------------------------------------


def is_generated(tensor: Tensor) -> bool:
    """Scalar constants, sizes, aranges, fills: rather made in the body than read from outside."""
    node = tensor.node
    if node.op is CONSTANT:
        size: int = node.attrs["value"].size
        return size == 1
    return not node.inputs and isinstance(node.op.lower, IndexMap)


def is_filled(tensor: Tensor) -> bool:
    """Generated, or one number everywhere."""
    node = tensor.node
    return is_generated(node.inputs[0] if node.op.name == "broadcast_to" else tensor)


def depends_on(order: Sequence[Node], own: Sequence[Tensor]) -> set[int]:
    """The nodes (by id) among `order` that depend on `own`, these included."""
    inside = {id(tensor.node) for tensor in own}
    for node in order:
        if any(id(tensor.node) in inside for tensor in node.inputs):
            inside.add(id(node))
    return inside


def built_since(order: Sequence[Node], serial: int) -> set[int]:
    """The nodes (by id) among `order` that were built from `serial` on, leaves excepted."""
    leaves = (PLACEHOLDER, VARIABLE, CONSTANT)
    return {id(node) for node in order if node.serial >= serial and node.op not in leaves}


def outer_values(
    order: Sequence[Node], results: Sequence[Tensor], inside: set[int]
) -> list[Tensor]:
    """What the nodes `inside` and the results read from outside, each value once."""
    found: dict[Key, Tensor] = {}
    read = [t for node in order if id(node) in inside for t in node.inputs]
    for tensor in (*read, *results):
        if id(tensor.node) not in inside and not is_generated(tensor):
            found.setdefault(tensor.key, tensor)
    return list(found.values())


def inner_input(tensor: Tensor, name: str) -> Tensor:
    """An input of a body that stands for an outer value."""
    return PLACEHOLDER(name=tensor.name or name, type=tensor.type)


def substituted(results: Sequence[Tensor], replaced: dict[Key, Tensor]) -> list[Tensor]:
    """The results, with other tensors in place of some; nodes that read none of them stay."""
    made: dict[int, Node] = {}

    def new(tensor: Tensor) -> Tensor:
        value = replaced.get(tensor.key)
        if value is not None:
            return value
        node = made.get(id(tensor.node))
        return tensor if node is None else Tensor(node, tensor.index, tensor._name)

    ends = {key[0] for key in replaced}
    for node in topological_order(results, lambda node: id(node) in ends):
        inputs = tuple(new(tensor) for tensor in node.inputs)
        if id(node) not in ends and any(
            one is not old for one, old in zip(inputs, node.inputs, strict=True)
        ):
            made[id(node)] = Node(node.op, inputs, node.attrs, node.types, node.sources)
    return [new(tensor) for tensor in results]


def written_out(
    body: Graph, values: Sequence[Tensor], name_of: Callable[[str], str]
) -> list[Tensor]:
    """The outputs of a body on these inputs, as part of the graph around it.

    name_of: a size that a loop of the body binds -> what it is called there. A body may be written
    out more than once, and its loops then take other numbers of steps.
    """
    replaced = {inner.key: value for inner, value in zip(body.inputs, values, strict=True)}
    results = substituted(body.outputs, replaced)
    return with_own_lengths(results, {id(value.node) for value in values}, name_of)


def seen_through(results: Sequence[Tensor]) -> list[Tensor]:
    """The results without the checks and effects on the way, which give their first input back.

    A gradient computes again what a body computed; what was checked and printed once is enough.
    """
    made: dict[Key, Tensor] = {}
    for node in topological_order(results):
        inputs = tuple(made.get(tensor.key, tensor) for tensor in node.inputs)
        if "transparent" in node.op.traits:
            made[id(node), 0] = inputs[0]
        elif any(one is not old for one, old in zip(inputs, node.inputs, strict=True)):
            fresh = Node(node.op, inputs, node.attrs, node.types, node.sources)
            for number in range(len(node.types)):
                made[id(node), number] = Tensor(fresh, number)
    return [made.get(tensor.key, tensor) for tensor in results]


def capture(
    results: Sequence[Tensor], own: Sequence[Tensor]
) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
    """Cut the body of a loop out of the graph around it.

    own: the inputs of the body. Returns the results over own and new inputs, and (new input, outer
    value) pairs: the largest values that do not depend on `own`. Scalar constants and sizes stay.
    """
    order = topological_order(results)
    outer = outer_values(order, results, depends_on(order, own))
    pairs = [(inner_input(tensor, f"outer{n}"), tensor) for n, tensor in enumerate(outer)]
    return substituted(results, {tensor.key: inner for inner, tensor in pairs}), pairs


# --- types ---------------------------------------------------------------------------------------


def is_weak(value: object) -> bool:
    """A Python number: it takes the dtype of what it meets."""
    return isinstance(value, bool | int | float | complex)


def common_dtype(value: object, dtype: DType, other: DType) -> DType:
    """The dtype that holds both; `value`, of `dtype`, is what the user wrote."""
    if isinstance(value, bool | int | float | complex):
        return result_type(other, value)
    return promote(dtype, other)


def may_be_equal(shape: Shape, other: Shape) -> bool:
    """Symbolic sizes are compared at the call."""
    return len(shape) == len(other) and all(
        one == two or isinstance(one, Dim) or isinstance(two, Dim)
        for one, two in zip(shape, other, strict=True)
    )


def loop_types(call: Inference, body: Graph, carries: int, length: Size) -> tuple[TensorType, ...]:
    """The types of a loop's outputs: final carries, then what its steps give, stacked."""
    finals = call.types[:carries]
    require_equal_types(call, [t.type for t in body.outputs[:carries]], finals, "carry")
    stacked = [TensorType(t.dtype, (length, *t.shape)) for t in body.outputs[carries:]]
    return (*finals, *stacked)


def interpreted(attrs: Any, *arrays: np.ndarray) -> Any:
    """The reference of an op with a body."""
    raise AssertionError("the interpreter runs bodies itself")


def require_equal_types(
    call: Inference, types: Sequence[TensorType], others: Sequence[TensorType], what: str
) -> None:
    """Equal dtypes and, now or at every call, equal shapes; see `Inference.require_equal`."""
    if [t.dtype for t in types] != [t.dtype for t in others]:
        shown = [", ".join(map(str, group)) for group in (types, others)]
        raise DTypeError(f"{call.op}: {what}: {shown[0]} against {shown[1]}")
    for number, (one, other) in enumerate(zip(types, others, strict=True)):
        if one.ndim != other.ndim:
            raise DTypeError(f"{call.op}: {what}: {one} against {other}")
        for axis, (size, wanted) in enumerate(zip(one.shape, other.shape, strict=True)):
            call.require_equal(size, wanted, f"{what} {number}, axis {axis}")


def where_written(tensor: Tensor, given: object, here: Source | None) -> str:
    """The user's line of a tensor; Python numbers have that of the call."""
    source = (tensor.sources[0] if tensor.sources else None) if isinstance(given, Tensor) else here
    return source.describe() if source is not None else "(line unknown)"


def two_types(name: str, rows: Sequence[tuple[str, TensorType, str]]) -> list[str]:
    """Rows `what is type   line` under a name, in columns."""
    words = max(len(word) for word, _, _ in rows)
    types = max(len(str(kind)) for _, kind, _ in rows)
    return [
        f"{name if not row else ' ' * len(name)}  {word:<{words}} {kind!s:<{types}}   {line}"
        for row, (word, kind, line) in enumerate(rows)
    ]


# --- carries -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settled:
    """A step traced with carries whose types stay: first values, inputs of the body, next values.

    answer: what else the step returned.
    """

    initial: list[Tensor]
    states: list[Tensor]
    following: list[Tensor]
    answer: Tree


ROUNDS = 8  # every round widens a dtype, and no chain of promotions is that long


def settle_carry(loop: str, init: Tree, step: Callable[[Tree], tuple[Tree, Tree]]) -> Settled:
    """Trace a step until the dtypes of its carries stay as they are.

    step: carry -> (next carry, whatever else). A carry takes the dtype that its first and its next
    value promote to; the step is then traced again. A Python number takes the dtype that the step
    gives it where its kind allows. FunctionError E121: another structure or shape, or dtypes that
    do not promote.
    """
    here = current_source()
    given = [leaf for _, leaf in named_leaves(init, "carry")]
    names = [name for name, _ in named_leaves(init, "carry")]
    initial = [as_tensor(leaf) for leaf in given]
    for turn in range(ROUNDS):
        states = [
            PLACEHOLDER(name=f"carry{n}", type=tensor.type) for n, tensor in enumerate(initial)
        ]
        next_carry, answer = step(rebuilt(init, states))
        _check_structure(loop, init, next_carry, here)
        following = [as_tensor(leaf) for leaf in leaves_of(next_carry)]
        dtypes: list[DType] = []
        wrong: list[str] = []
        for name, value, first, then in zip(names, given, initial, following, strict=True):
            fits = may_be_equal(first.shape, then.shape)
            try:
                dtypes.append(common_dtype(first if turn else value, first.dtype, then.dtype))
            except DTypeError:
                fits = False
            if not fits:
                wrong += two_types(
                    name,
                    [
                        ("is at first", first.type, where_written(first, value, here)),
                        ("then becomes", then.type, where_written(then, then, here)),
                    ],
                )
        if wrong:
            raise FunctionError(
                f"{loop}: a carry changes its type from step to step",
                code="E121",
                details=wrong,
                source=here,
                fix="start with the type that the step returns (reshape, zeros of that shape), "
                "or let the step return the type that it was given",
            )
        if all(t.dtype == dtype for t, dtype in zip(initial, dtypes, strict=True)):
            cast = [as_tensor(t, dtype) for t, dtype in zip(following, dtypes, strict=True)]
            return Settled(initial, states, cast, answer)
        initial = [
            as_tensor(value, dtype) if is_weak(value) else as_tensor(first, dtype)
            for value, first, dtype in zip(given, initial, dtypes, strict=True)
        ]
    raise FunctionError(
        f"{loop}: the dtypes of the carries do not settle",
        code="E121",
        details=[f"{name}  {tensor.type}" for name, tensor in zip(names, initial, strict=True)],
        source=here,
        fix="cast what the step returns with astype",
    )


def _check_structure(loop: str, init: Tree, following: Tree, here: Source | None) -> None:
    before, after = structure(init), structure(following)
    if before != after:
        raise FunctionError(
            f"{loop}: the step returns another structure than it was given",
            code="E121",
            details=[f"got      {after}", f"allowed  {before}"],
            source=here,
            fix="return the next carry in the structure of the first one",
        )
