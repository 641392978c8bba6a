"""What one element of a value is, as a scalar expression over values that are in memory.

`Resolver.element(tensor, index)` follows lowerings through everything that is computed on the
fly (views, generators, cheap arithmetic) down to boundaries: leaves, stored values, and values
that the kernel around holds in a local.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from graphc.ir.leaf import CONSTANT, scalar_value
from graphc.ir.lowering import (
    Elementwise,
    IndexMap,
    LoweringContext,
    Reinterpret,
    Scatter,
)
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.scalar.expr import Call, Expr, Index, Load, Read, constant, transform
from graphc.shapes import Dim, Shape, Size, simplify

IndexTuple = tuple[Expr, ...]
# Reading a boundary: the tensor that is held, the shape it is viewed under, and the index.
ReadBoundary = Callable[[Tensor, Shape, IndexTuple], Expr]


@dataclass(frozen=True, slots=True)
class Reading:
    """One element read of a boundary value under a (row-major) view of its shape."""

    tensor: Tensor
    shape: Shape
    index: IndexTuple


def root_of(tensor: Tensor) -> Tensor:
    """The tensor whose memory `tensor` reinterprets: through reshapes, else itself."""
    while isinstance(tensor.node.op.lower, Reinterpret):
        tensor = tensor.node.inputs[0]
    return tensor


def context_of(node: Node) -> LoweringContext:
    return LoweringContext(node.attrs, tuple(t.type for t in node.inputs), node.types)


def is_scalar_constant(tensor: Tensor) -> bool:
    return tensor.node.op is CONSTANT and scalar_value(tensor) is not None


def number_everywhere(tensor: Tensor) -> Expr | None:
    """The number that all elements of a constant, broadcast or not, are; else None."""
    root = root_of(tensor)
    if isinstance(root.node.op.lower, IndexMap):
        start = tuple(Index(0) for _ in root.shape)
        element = root.node.op.lower.expr(context_of(root.node), start)
        if not isinstance(element, Read):
            return None
        root = root.node.inputs[element.input]
    value = scalar_value(root)
    return None if value is None else constant(value, tensor.dtype)


def inputs_in_memory(node: Node) -> list[Tensor]:
    """The inputs that a structured step reads from memory."""
    first = 0
    if isinstance(node.op.lower, Scatter) and number_everywhere(node.inputs[0]) is not None:
        first = 1
    return [root_of(tensor) for tensor in node.inputs[first:]]


def same_but_ones(shape: Shape, other: Shape) -> bool:
    """Whether two shapes differ only in axes of size 1."""
    return [size for size in shape if size != 1] == [size for size in other if size != 1]


def index_between(index: IndexTuple, shape: Shape, target: Shape) -> IndexTuple:
    """The same element under a shape that differs only in axes of size 1."""
    kept = iter(item for item, size in zip(index, shape, strict=True) if size != 1)
    return tuple(Index(0) if size == 1 else next(kept) for size in target)


def must_be_stored(tensor: Tensor) -> bool:
    """Whether reading a reshape on the fly would need divisions: then its root lies in memory."""
    if not isinstance(tensor.node.op.lower, Reinterpret):
        return False
    return not same_but_ones(tensor.shape, root_of(tensor).shape)


class Resolver:
    """Expands elements down to boundaries.

    is_boundary: whether a tensor is held rather than computed on the fly. extents: the size of
    each loop axis. bind: called with every expanded expression of an op (not of plain views), so
    that a kernel can give it a name; tracing passes the identity.
    """

    def __init__(
        self,
        is_boundary: Callable[[Tensor], bool],
        extents: dict[str, Size],
        read: ReadBoundary,
        bind: Callable[[Tensor, IndexTuple, Expr], Expr],
        known: Callable[[Tensor, IndexTuple], Expr | None],
    ) -> None:
        self.is_boundary = is_boundary
        self.extents = extents
        self.read = read
        self.bind = bind
        self.known = known

    def element(self, tensor: Tensor, index: IndexTuple) -> Expr:
        """The element of `tensor` at `index`. Depth is bounded by the limits on inlining."""
        known = self.known(tensor, index)
        if known is not None:
            return known
        if is_scalar_constant(tensor):
            value = scalar_value(tensor)
            assert value is not None
            return constant(value, tensor.dtype)
        if self.is_boundary(tensor):
            return self.read(tensor, tensor.shape, index)
        if isinstance(tensor.node.op.lower, Reinterpret):
            return self._reinterpreted(tensor, index)
        return self.expand(tensor, index)

    def expand(self, tensor: Tensor, index: IndexTuple) -> Expr:
        """The element by the tensor's own op, its inputs resolved."""
        node = tensor.node
        lower = node.op.lower
        context = context_of(node)
        if isinstance(lower, Elementwise):
            reads = [context.read_broadcast(n, index) for n in range(len(node.inputs))]
            expression = lower.expr(context, *reads)
        else:
            assert isinstance(lower, IndexMap), f"{node.op.name} cannot be computed on the fly"
            expression = lower.expr(context, index)
        resolved = self.resolve_reads(node, expression)
        if isinstance(resolved, Call) or (isinstance(resolved, Load) and expression != resolved):
            return self.bind(tensor, index, resolved)
        return resolved

    def resolve_reads(self, node: Node, expression: Expr) -> Expr:
        """Replace reads of the node's inputs, also inside indices, by their elements."""

        def leaf(item: Expr) -> Expr | None:
            if not isinstance(item, Read):
                return self._simplified(item)
            index = tuple(transform(part, leaf) for part in item.index)
            return self.element(node.inputs[item.input], index)

        return transform(expression, leaf)

    def _simplified(self, item: Expr) -> Expr | None:
        if isinstance(item, Index) and isinstance(item.size, Dim) and item.size.has_division():
            return Index(simplify(item.size, self.extents))
        return None

    def _reinterpreted(self, tensor: Tensor, index: IndexTuple) -> Expr:
        root = root_of(tensor)
        if same_but_ones(tensor.shape, root.shape):
            return self.element(root, index_between(index, tensor.shape, root.shape))
        return self.read(root, tensor.shape, index)


def trace(
    tensors: Iterable[tuple[Tensor, IndexTuple]],
    is_boundary: Callable[[Tensor], bool],
    extents: dict[str, Size],
    expand: bool,
) -> list[Reading]:
    """The boundary reads that computing these elements needs.

    expand: open the tensors themselves by their own op, although they may be boundaries.
    """
    readings: list[Reading] = []

    def read(tensor: Tensor, shape: Shape, index: IndexTuple) -> Expr:
        readings.append(Reading(tensor, shape, index))
        return Load(f"?{len(readings)}", index, tensor.dtype)

    resolver = Resolver(is_boundary, extents, read, lambda t, i, e: e, lambda t, i: None)
    for tensor, index in tensors:
        if expand:
            resolver.expand(tensor, index)
        else:
            resolver.element(tensor, index)
    return readings
