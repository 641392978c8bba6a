"""Kernels of window products: sums of products of two arrays at affine indices.

    for n, o/4, y parallel:
      for x vector:                      lanes: the last axis of the result
        t0..t3 = 0                       a block: four results that share one of the operands
        for c, p, q serial:
          v = left[n, c, y + p, x + q]
          t0..t3 += v * right[4*o + 0..3, c, p, q]
        out[n, 4*o + 0..3, y, x] = t0..t3

Axes that run `outer` are summed outside of all that: the result begins with zeros and is added to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphc.dtypes import DType, float32, is_half
from graphc.ir.node import Node
from graphc.ir.product_notation import ProductNotation
from graphc.ir.tensor import Tensor
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    Kernel,
    Let,
    LoopKind,
    Parameter,
    Statement,
    Store,
)
from graphc.loops.values import Key, root_of
from graphc.scalar.expr import Call, Expr, Index, Load, Local, cast, constant
from graphc.shapes import Dim, Size, floor_div, symbols_of

BLOCK = 4  # results that one load serves; with two vectors of each, all registers of AVX2 are used
OPERANDS = ("left", "right")

Point = Mapping[str, Size]  # where each loop axis stands


def window_product_kernel(
    node: Node, names: Sequence[str], buffers: Mapping[Key, str]
) -> tuple[Kernel, tuple[str, ...]]:
    """The kernel of a node with the lowering WindowProduct, and its arguments."""
    output = Tensor(node)
    parameters = (
        Parameter("out", output.dtype, output.shape, True),
        *(
            Parameter(name, tensor.dtype, tensor.shape)
            for name, tensor in zip(OPERANDS, node.inputs, strict=True)
        ),
    )
    symbols: set[str] = set()
    for size in (*node.attrs["sizes"], *(size for item in parameters for size in item.shape)):
        symbols |= symbols_of(size)
    body = _Product(node, symbols).statements()
    kernel = Kernel(
        "window_product",
        parameters,
        tuple(sorted(symbols)),
        tuple(body),
        node.sources,
        node.op.name,
    )
    keys = (output.key, *(root_of(tensor).key for tensor in node.inputs))
    return kernel, tuple(buffers[key] for key in keys)


@dataclass(slots=True)
class _Product:
    """Writes the statements. symbols: sizes of the kernel, which loops cannot be named after."""

    node: Node
    symbols: set[str]
    notation: ProductNotation = field(init=False)
    sizes: dict[str, Size] = field(init=False)
    dtype: DType = field(init=False)
    outer: str = field(init=False)
    lanes: str | None = field(init=False)
    block: str | None = field(init=False)
    sums: int = 0  # accumulators so far

    def __post_init__(self) -> None:
        attrs = self.node.attrs
        self.notation = ProductNotation.read(attrs["subscripts"])
        self.sizes = {
            axis: size
            for axis, size in zip(attrs["axes"], attrs["sizes"], strict=True)
            if size != 1
        }
        self.dtype = self.node.types[0].dtype
        # Halves are summed in float32, which an array of halves cannot hold.
        outer = "" if is_half(self.dtype) else attrs["outer"]
        self.outer = "".join(axis for axis in outer if axis in self.sizes)
        kept = [axis for axis in self.notation.result if axis in self.sizes]
        self.lanes = kept[-1] if kept else None
        self.block = self.choose_block([axis for axis in kept if axis != self.lanes])

    def choose_block(self, axes: Sequence[str]) -> str | None:
        """An axis that one operand does not depend on: rather the one whose loads are vectors."""
        depends = [self.notation.axes_of(number) for number in (0, 1)]

        def worth(axis: str) -> tuple[bool, bool, bool, int]:
            size = self.sizes[axis]
            spared = [own for own in depends if axis not in own]
            return (
                any(self.lanes in own for own in spared),
                isinstance(size, int) and size >= BLOCK,
                isinstance(size, int) and size % BLOCK == 0,
                list(self.sizes).index(axis),
            )

        free = [axis for axis in axes if not all(axis in own for own in depends)]
        return max(free, key=worth, default=None)

    # --- loops -------------------------------------------------------------------------------

    def name(self, axis: str) -> str:
        while axis in self.symbols:
            axis += "_"
        return axis

    def here(self, axis: str) -> Size:
        return Dim.symbol(self.name(axis))

    def statements(self) -> list[Statement]:
        summed_outside = [axis for axis in self.sizes if axis in self.outer]
        rows = [axis for axis in self.sizes if axis in self.notation.result and axis != self.lanes]
        kind: LoopKind = "serial" if summed_outside else "parallel"
        start: dict[str, Size] = {axis: self.here(axis) for axis in summed_outside}
        body = self.nest(rows, start, kind)
        if not summed_outside:
            return body
        for axis in reversed(summed_outside):
            body = [For(self.name(axis), self.sizes[axis], "serial", tuple(body))]
        return [*self.zeros(rows), *body]

    def nest(self, rows: Sequence[str], point: Point, kind: LoopKind) -> list[Statement]:
        """The loops over rows, and inside the lanes; the block axis in steps of a block."""
        if not rows:
            return self.vector(point, [point])
        axis, size = rows[0], self.sizes[rows[0]]
        if axis == self.block:
            return self.blocks(axis, rows[1:], point, kind)
        inside = self.nest(rows[1:], {**point, axis: self.here(axis)}, kind)
        return [For(self.name(axis), size, kind, tuple(inside))]

    def blocks(
        self, axis: str, rows: Sequence[str], point: Point, kind: LoopKind
    ) -> list[Statement]:
        size = self.sizes[axis]
        tiles = floor_div(size, BLOCK)
        left = size - tiles * BLOCK
        found: list[Statement] = []
        if tiles != 0:
            first: Size = 0 if tiles == 1 else self.here(axis) * BLOCK
            inside = self.members(axis, rows, point, [first + turn for turn in range(BLOCK)], kind)
            found += inside if tiles == 1 else [For(self.name(axis), tiles, kind, tuple(inside))]
        if isinstance(left, int):
            places = [tiles * BLOCK + turn for turn in range(left)]
            return found + (self.members(axis, rows, point, places, kind) if places else [])
        inside = self.members(axis, rows, point, [tiles * BLOCK + self.here(axis)], kind)
        return [*found, For(self.name(axis), left, kind, tuple(inside))]

    def members(
        self,
        axis: str,
        rows: Sequence[str],
        point: Point,
        places: Sequence[Size],
        kind: LoopKind,
    ) -> list[Statement]:
        """The loops over the other rows around a block of places along the axis."""
        points = [
            {**point, **{row: self.here(row) for row in rows}, axis: place} for place in places
        ]
        body = self.vector(points[0], points)
        for row in reversed(rows):
            body = [For(self.name(row), self.sizes[row], kind, tuple(body))]
        return body

    def zeros(self, rows: Sequence[str]) -> list[Statement]:
        point = {axis: self.here(axis) for axis in rows}
        store = Store("out", self.place(point), constant(0, self.dtype), False, self.node.sources)
        body: list[Statement] = [store]
        if self.lanes is not None:
            body = [For(self.name(self.lanes), self.sizes[self.lanes], "vector", tuple(body))]
        for axis in reversed(rows):
            body = [For(self.name(axis), self.sizes[axis], "parallel", tuple(body))]
        return body

    # --- what happens at a point -------------------------------------------------------------

    def vector(self, point: Point, points: Sequence[Point]) -> list[Statement]:
        """The sums of a block of points, in lanes; `point` is any of them."""
        sources = self.node.sources
        wide = float32 if is_half(self.dtype) else self.dtype
        summed = [
            axis
            for axis in self.sizes
            if axis not in self.notation.result and axis not in self.outer
        ]
        names = [f"t{self.sums + number}" for number in range(len(points))]
        self.sums += len(points)
        body: list[Statement] = [*self.terms(points, summed, names, wide)]
        for axis in reversed(summed):
            body = [For(self.name(axis), self.sizes[axis], "serial", tuple(body))]
        stores = [
            Store(
                "out",
                self.place(place),
                cast(Local(name, wide), self.dtype),
                bool(self.outer),
                sources,
            )
            for name, place in zip(names, points, strict=True)
        ]
        declared = [Accumulator(name, "add", wide, None, sources) for name in names]
        statements: list[Statement] = [*declared, *body, *stores]
        if self.lanes is None:
            return statements
        return [For(self.name(self.lanes), self.sizes[self.lanes], "vector", tuple(statements))]

    def terms(
        self, points: Sequence[Point], summed: Sequence[str], names: Sequence[str], wide: DType
    ) -> list[Statement]:
        found: list[Statement] = []
        inner = {axis: self.here(axis) for axis in summed}
        shared: dict[int, Expr] = {}
        for number, operand in enumerate(OPERANDS):
            if self.block not in self.notation.axes_of(number):
                found.append(Let(operand[0], self.element(number, points[0], inner, wide)))
                shared[number] = Local(operand[0], wide)
        for name, point in zip(names, points, strict=True):
            first, second = (
                shared.get(number) or self.element(number, point, inner, wide) for number in (0, 1)
            )
            product = Call("mul", (first, second), wide)
            found.append(Accumulate(name, product, None, self.node.sources))
        return found

    def element(self, number: int, point: Point, inner: Point, wide: DType) -> Expr:
        """The element of an operand, in the dtype that sums have."""
        operand = self.node.inputs[number]
        indices = (self.notation.left, self.notation.right)[number]
        place = tuple(Index(self.total(terms, {**point, **inner})) for terms in indices)
        return cast(Load(OPERANDS[number], place, operand.dtype), wide)

    def total(self, terms: Sequence[tuple[str, int]], point: Point) -> Size:
        total: Size = 0
        for axis, steps in terms:
            if axis in self.sizes:
                total = total + point.get(axis, self.here(axis)) * steps
        return total

    def place(self, point: Point) -> tuple[Expr, ...]:
        """Where a result is stored; lanes stand at their own axis."""
        return tuple(
            Index(0 if axis not in self.sizes else point.get(axis, self.here(axis)))
            for axis in self.notation.result
        )
