"""What one element of a value is, as a scalar expression over values that are held.

A value is asked for at an index under a shape: its own, or that of a row-major view of it. Views,
generators and cheap arithmetic are computed on the fly, down to boundaries: leaves, values in
memory, and values that the kernel around holds in a local. `Tracer` lists the boundary elements
that are read, `Resolver` makes the expression.

Normal form of (shape, index): the tensor's own shape if the view differs from it in axes of size 1
alone, else the view without its axes of size 1.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from graphc.dtypes import DType
from graphc.ir.leaf import CONSTANT, scalar_value
from graphc.ir.lowering import (
    Elementwise,
    IndexMap,
    LoweringContext,
    Reinterpret,
    Scatter,
    ScatterAdd,
)
from graphc.ir.node import Node
from graphc.ir.opdef import OpDef
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.scalar.expr import Call, Expr, Index, Load, Local, Read, constant, cost, transform, walk
from graphc.shapes import Dim, Shape, Size, simplify

IndexTuple = tuple[Expr, ...]
Key = tuple[int, int]
Place = tuple[Key, Shape, IndexTuple]

FIRST = Index(0)


@dataclass(frozen=True, slots=True)
class Reading:
    """One element read of a boundary value, in normal form."""

    tensor: Tensor
    shape: Shape
    index: IndexTuple


# --- shapes and indices ------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def core(shape: Shape) -> Shape:
    """The shape without its axes of size 1."""
    return tuple([size for size in shape if size != 1])


@lru_cache(maxsize=1024)
def axis_index(name: str) -> Index:
    return Index(Dim.symbol(name))


def domain_index(shape: Shape, names: Sequence[str]) -> IndexTuple:
    """One axis symbol per axis; axes of size 1 are always at 0."""
    pairs = zip(shape, names, strict=False)
    return tuple(FIRST if size == 1 else axis_index(name) for size, name in pairs)


def axis_extents(shape: Shape, names: Sequence[str]) -> dict[str, Size]:
    """The size of each axis that is not of size 1, by name."""
    return {name: size for size, name in zip(shape, names, strict=False) if size != 1}


def index_between(index: IndexTuple, shape: Shape, target: Shape) -> IndexTuple:
    """The same element under a shape that differs only in axes of size 1."""
    if shape == target:
        return index
    kept = iter([item for item, size in zip(index, shape, strict=True) if size != 1])
    return tuple(FIRST if size == 1 else next(kept) for size in target)


def normal_form(tensor: Tensor, shape: Shape, index: IndexTuple) -> tuple[Shape, IndexTuple]:
    """See the module's docstring."""
    own = tensor.shape
    if shape == own:
        return shape, index
    target = core(own)
    if core(shape) == target:
        return own, index_between(index, shape, own)
    target = core(shape)
    return target, index_between(index, shape, target)


# --- tensors -----------------------------------------------------------------------------------


def is_view(tensor: Tensor) -> bool:
    """Whether the tensor is another tensor's memory under a new shape."""
    return isinstance(tensor.node.op.lower, Reinterpret)


def root_of(tensor: Tensor) -> Tensor:
    """The tensor whose memory `tensor` reinterprets: through reshapes, else itself."""
    while is_view(tensor):
        tensor = tensor.node.inputs[0]
    return tensor


def has_one_element(tensor: Tensor) -> bool:
    return not core(tensor.shape)


def context_of(node: Node) -> LoweringContext:
    return LoweringContext(node.attrs, tuple(t.type for t in node.inputs), node.types)


def number_everywhere(tensor: Tensor) -> Expr | None:
    """The number that all elements of a constant, broadcast or not, are; else None."""
    root = root_of(tensor)
    if isinstance(root.node.op.lower, IndexMap):
        start = tuple(FIRST for _ in root.shape)
        element = root.node.op.lower.expr(context_of(root.node), start)
        if not isinstance(element, Read):
            return None
        root = root.node.inputs[element.input]
    value = scalar_value(root)
    return None if value is None else constant(value, tensor.dtype)


_WRITTEN: dict[type, tuple[int, ...]] = {Scatter: (0, 1), ScatterAdd: (1,)}


def inputs_in_memory(node: Node) -> list[Tensor]:
    """The inputs that a structured step reads from memory; numbers are written in its kernel."""
    written = _WRITTEN.get(type(node.op.lower), ())
    return [
        root_of(tensor)
        for place, tensor in enumerate(node.inputs)
        if place not in written or number_everywhere(tensor) is None
    ]


# --- lowerings ---------------------------------------------------------------------------------


class Lowerings:
    """The scalar expressions of ops, each made once."""

    def __init__(self) -> None:
        # With the nodes and ops, so that no id is given to another one.
        self._by_node: dict[int, tuple[Node, Expr, int]] = {}
        self._by_types: dict[tuple[int, tuple[Expr | DType, ...]], tuple[OpDef, Expr, int]] = {}
        self._scalars: dict[int, Expr | None] = {}
        self._simplified: dict[tuple[Size, tuple[tuple[str, Size], ...]], Size] = {}

    def scalar(self, tensor: Tensor) -> Expr | None:
        """The literal, if the tensor is a constant whose elements are all the same."""
        if tensor.node.op is not CONSTANT:
            return None
        key = id(tensor.node)
        if key not in self._scalars:
            value = scalar_value(tensor)
            self._scalars[key] = None if value is None else constant(value, tensor.dtype)
        return self._scalars[key]

    def elementwise(self, node: Node) -> Expr:
        """An elementwise op over its operands: operand k is `Read(k, ())`."""
        return self._elementwise(node)[1]

    def _elementwise(self, node: Node) -> tuple[object, Expr, int]:
        """(what keeps the id alive, the expression, its cost)"""
        known = self._by_node.get(id(node))
        if known is not None:
            return known
        given: list[Expr | None] = [None] * len(node.inputs)
        if "numbers" in node.op.traits:
            given = [self.scalar(tensor) for tensor in node.inputs]
        types = tuple([one or t.dtype for one, t in zip(given, node.inputs, strict=True)])
        if not node.attrs:
            shared = self._by_types.get((id(node.op), types))
            if shared is not None:
                return shared
        lower = node.op.lower
        assert isinstance(lower, Elementwise)
        operands = [one or Read(k, (), node.inputs[k].dtype) for k, one in enumerate(given)]
        expression = lower.expr(context_of(node), *operands)
        if node.attrs:
            self._by_node[id(node)] = (node, expression, cost(expression))
            return self._by_node[id(node)]
        found = self._by_types[(id(node.op), types)] = (node.op, expression, cost(expression))
        return found

    def index_map(self, node: Node, index: IndexTuple, extents: Mapping[str, Size]) -> Expr:
        """An index map at `index`; divisions that the extents of the axes decide are gone."""
        lower = node.op.lower
        assert isinstance(lower, IndexMap), f"{node.op.name} cannot be computed on the fly"
        expression = lower.expr(context_of(node), index)
        axes = tuple(extents.items())

        def leaf(item: Expr) -> Expr | None:
            if not isinstance(item, Index) or isinstance(item.size, int):
                return None
            key = (item.size, axes)
            if key not in self._simplified:
                self._simplified[key] = simplify(item.size, extents)
            return Index(self._simplified[key])

        return transform(expression, leaf)

    def cost(self, node: Node, names: tuple[str, ...]) -> int:
        """The work of one element by the node's own op."""
        if isinstance(node.op.lower, Elementwise):
            return self._elementwise(node)[2]
        index = tuple(axis_index(name) for name in names[: node.types[0].ndim])
        assert isinstance(node.op.lower, IndexMap)
        # Index arithmetic is mostly hoisted.
        return cost(node.op.lower.expr(context_of(node), index)) // 2


def operand_place(
    node: Node, number: int, shape: Shape, index: IndexTuple
) -> tuple[Shape, IndexTuple]:
    """Where an elementwise node at `index` under `shape` reads its operand `number`."""
    operand = node.inputs[number]
    own, output = operand.shape, node.types[0].shape
    if own == output:
        return shape, index
    if has_one_element(operand):
        return own, (FIRST,) * len(own)
    assert shape == output, f"{node.op.name} broadcasts under a view"
    trailing = index[len(index) - len(own) :]
    picked = tuple(FIRST if size == 1 else item for size, item in zip(own, trailing, strict=True))
    return own, picked


def _looked_up(item: Expr) -> Expr | None:
    """Stands for an index that lies in memory; equal to no axis."""
    return Local("?", item.dtype) if isinstance(item, Read) else None


class Tracer:
    """Lists the boundary elements that are read to compute an element."""

    def __init__(self, lowerings: Lowerings, is_boundary: Callable[[Tensor], bool]) -> None:
        self.lowerings = lowerings
        self.is_boundary = is_boundary

    def readings(
        self,
        tensor: Tensor,
        shape: Shape,
        index: IndexTuple,
        extents: Mapping[str, Size],
        expand: bool,
    ) -> list[Reading]:
        """expand: open the tensor by its own op, although it may be a boundary."""
        found: dict[Place, Reading | None] = {}
        if expand:
            shape, index = normal_form(tensor, shape, index)
            self._expand(tensor, shape, index, extents, found)
        else:
            self._visit(tensor, shape, index, extents, found)
        return [reading for reading in found.values() if reading is not None]

    def _visit(
        self,
        tensor: Tensor,
        shape: Shape,
        index: IndexTuple,
        extents: Mapping[str, Size],
        found: dict[Place, Reading | None],
    ) -> None:
        """found: by place; None for what is computed on the fly."""
        tensor = root_of(tensor)
        if self.lowerings.scalar(tensor) is not None:
            return
        shape, index = normal_form(tensor, shape, index)
        place = (tensor.key, shape, index)
        if place in found:
            return
        if self.is_boundary(tensor):
            found[place] = Reading(tensor, shape, index)
        else:
            found[place] = None
            self._expand(tensor, shape, index, extents, found)

    def _expand(
        self,
        tensor: Tensor,
        shape: Shape,
        index: IndexTuple,
        extents: Mapping[str, Size],
        found: dict[Place, Reading | None],
    ) -> None:
        node = tensor.node
        if isinstance(node.op.lower, Elementwise):
            for number, operand in enumerate(node.inputs):
                its_shape, its_index = operand_place(node, number, shape, index)
                self._visit(operand, its_shape, its_index, extents, found)
            return
        for item in walk(self.lowerings.index_map(node, index, extents)):
            if isinstance(item, Read):
                operand = node.inputs[item.input]
                place = tuple(transform(part, _looked_up) for part in item.index)
                self._visit(operand, operand.shape, place, extents, found)


class Resolver:
    """Makes the expression of an element down to boundaries.

    is_boundary: whether a tensor is held rather than computed on the fly. read: an element of a
    boundary. known: the local that holds an element, if any. bind: gives a name to what an op
    computes, or to a computed index.
    """

    def __init__(
        self,
        lowerings: Lowerings,
        extents: Mapping[str, Size],
        is_boundary: Callable[[Tensor], bool],
        known: Callable[[Place], Expr | None],
        read: Callable[[Tensor, Shape, IndexTuple], Expr],
        bind: Callable[[Tensor | None, Place | None, Expr], Expr],
    ) -> None:
        self.lowerings = lowerings
        self.extents = extents
        self.is_boundary = is_boundary
        self.known = known
        self.read = read
        self.bind = bind

    def element(self, tensor: Tensor, shape: Shape, index: IndexTuple) -> Expr:
        """The element of `tensor`. Depth is bounded by the limits on inlining."""
        tensor = root_of(tensor)
        scalar = self.lowerings.scalar(tensor)
        if scalar is not None:
            return scalar
        shape, index = normal_form(tensor, shape, index)
        known = self.known((tensor.key, shape, index))
        if known is not None:
            return known
        if self.is_boundary(tensor):
            return self.read(tensor, shape, index)
        return self.expand(tensor, shape, index)

    def expand(self, tensor: Tensor, shape: Shape, index: IndexTuple) -> Expr:
        """The element by the tensor's own op, its inputs resolved."""
        node = tensor.node
        shape, index = normal_form(tensor, shape, index)
        if isinstance(node.op.lower, Elementwise):
            value = transform(
                self.lowerings.elementwise(node),
                lambda item: self._operand(node, item, shape, index),
            )
        else:
            value = self._resolved(node, self.lowerings.index_map(node, index, self.extents))
        if isinstance(value, Call) or (isinstance(value, Load) and not is_plain(value.index)):
            return self.bind(tensor, (tensor.key, shape, index), value)
        return value

    def _operand(self, node: Node, item: Expr, shape: Shape, index: IndexTuple) -> Expr | None:
        if not isinstance(item, Read):
            return None
        its_shape, its_index = operand_place(node, item.input, shape, index)
        return self.element(node.inputs[item.input], its_shape, its_index)

    def _resolved(self, node: Node, expression: Expr) -> Expr:
        """Reads of the node's inputs, also inside indices, replaced by their elements."""

        def leaf(item: Expr) -> Expr | None:
            if not isinstance(item, Read):
                return None
            parts = [transform(part, leaf) for part in item.index]
            index = tuple(self.bind(None, None, p) if isinstance(p, Call) else p for p in parts)
            operand = node.inputs[item.input]
            return self.element(operand, operand.shape, index)

        return transform(expression, leaf)


def is_plain(index: IndexTuple) -> bool:
    """Whether the index is made of loop axes and sizes alone."""
    return all(isinstance(item, Index) for item in index)


def linear_position(shape: Shape, index: IndexTuple) -> Size:
    """Where a plain index points, row by row."""
    position: Size = 0
    for size, item in zip(shape, index, strict=True):
        assert isinstance(item, Index)
        position = position * size + item.size
    return position
