"""Kernels of window products: sums of products of two arrays at affine indices.

    for n, o/6, y/2 parallel:
      for x vector:                      lanes: the last axis of the result
        t0..t11 = 0                      a block: results that share loads of both operands
        for c serial:
          l0 = left[n, c, 2*y, x]        the taps p and q are written out: 9 times 12 products
          l1 = left[n, c, 2*y + 1, x]
          t0..t11 += right[6*o + 0..5, c, 0, 0] * l0, l1
          ...
        out[n, 6*o + 0..5, 2*y + 0..1, x] = t0..t11

Axes that run `outer` are summed outside of all that, in tiles whose operands stay in the cache: the
result begins with zeros and is added to. Which axis does what is decided in `window_schedule`.

What is computed of the result alone, element by element, may take the place of the stores: an
`Epilogue`. If it runs along another axis than the lanes, sums go to a tile in the first cache:

    for t, n, y parallel:
      tile: f32[1, 28, 16] scratch
      for x/6 parallel:
        for o vector: ... tile[0, 6*x + 0..5, o] = t0..t5
      for o parallel:
        for x vector: out[n, 16*t + o, y, x] = relu(tile[0, x, o] + b[16*t + o])
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

from graphc.dims import combine
from graphc.ir.node import Node
from graphc.ir.product_notation import ProductNotation
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    Kernel,
    Let,
    LoopKind,
    Scratch,
    Statement,
    Store,
)
from graphc.loops.kernel_writer import Epilogue, kernel_of_node
from graphc.loops.window_schedule import Schedule, schedule
from graphc.scalar.expr import Call, Expr, Index, Load, Local, constant
from graphc.shapes import Dim, Size, ceil_div, dim_max, dim_min, floor_div

OPERANDS = ("left", "right")

Point = Mapping[str, Size]  # where each loop axis stands
Places = Mapping[str, Sequence[Size]]  # where several points side by side stand
Inside = Callable[[Sequence[Size]], list[Statement]]
Finish = Callable[[int, Point, Expr], list[Statement]]  # a sum of a block: its number, where, what

SIDE_BY_SIDE = 4  # lanes of a tile that are read at once: neighbours in its memory


def window_product_kernel(node: Node) -> Kernel:
    """The kernel of a node with the lowering WindowProduct."""
    return window_product_with(node, None)


def window_product_with(node: Node, epilogue: Epilogue | None) -> Kernel:
    """The same for a result that is not stored, but used by an epilogue."""
    return kernel_of_node(
        node,
        "window_product",
        OPERANDS,
        lambda symbols: _Product(node, symbols, epilogue).statements(),
        epilogue=epilogue,
        sizes=node.attrs["sizes"],
    )


def plan_of(node: Node) -> tuple[Schedule, dict[str, Size]]:
    """How a window product is computed, and the sizes of its loops.

    Axes of size 1 have none, but where what they read may lie outside of an operand.
    """
    attrs, notation = node.attrs, ProductNotation.read(node.attrs["subscripts"])
    kept = notation.clipped - set(notation.result)
    pairs = zip(attrs["axes"], attrs["sizes"], strict=True)
    sizes: dict[str, Size] = {axis: size for axis, size in pairs if size != 1 or axis in kept}
    return schedule(notation, sizes, attrs["outer"]), sizes


class _Product:
    """Writes the statements. symbols: sizes of the kernel, which loops cannot be named after."""

    def __init__(self, node: Node, symbols: set[str], epilogue: Epilogue | None) -> None:
        self.node = node
        self.epilogue = epilogue
        self.notation = ProductNotation.read(node.attrs["subscripts"])
        self.plan, self.sizes = plan_of(node)
        self.names = {axis: axis for axis in self.sizes}
        for axis in self.sizes:
            while self.names[axis] in symbols:
                self.names[axis] += "_"
        self.symbols = symbols
        self.dtype = node.types[0].dtype
        self.product = "pair_product" if node.attrs["pairs"] else "mul"
        self.tiles = 0  # arrays of sums so far
        self.sums = 0  # accumulators so far
        self.reads = 0  # elements with a name so far
        self.totals: dict[tuple[tuple[Size, int], ...], Size] = {}

    # --- loops -------------------------------------------------------------------------------

    def here(self, axis: str) -> Size:
        return Dim.symbol(self.names[axis])

    def loop(self, axis: str, extent: Size, kind: LoopKind, body: list[Statement]) -> Statement:
        return For(self.names[axis], extent, kind, tuple(body))

    def statements(self) -> list[Statement]:
        body = self.summed_outside()
        for axis in reversed(self.plan.outside):
            body = [self.loop(axis, self.sizes[axis], "parallel", body)]
        return body

    def summed_outside(self) -> list[Statement]:
        """Zeros, and the loops over tiles of the outer axes that add to them."""
        start: dict[str, Sequence[Size]] = {axis: [self.here(axis)] for axis in self.plan.outside}
        if not self.plan.outer:
            return self.rows(self.plan.rows, start, {}, "parallel", self.plan.blocks)
        return [*self.zeros(), *self.outer(list(self.plan.outer), start, {})]

    def outer(
        self, axes: Sequence[str], places: Places, tiles: Mapping[str, tuple[Size, Size]]
    ) -> list[Statement]:
        """tiles: of each axis that is in tiles, where the tile starts and how long it is."""
        if not axes:
            return self.rows(self.plan.rows, places, tiles, "serial", self.plan.blocks)
        axis, tile = axes[0], self.plan.outer[axes[0]]
        size = self.sizes[axis]
        if tile == 1:
            inside = self.outer(axes[1:], {**places, axis: [self.here(axis)]}, tiles)
            return [self.loop(axis, size, "serial", inside)]
        name = f"{self.names[axis]}_tile"
        while name in self.symbols:
            name += "_"
        count = floor_div(size, tile)
        inside = self.outer(axes[1:], places, {**tiles, axis: (Dim.symbol(name) * tile, tile)})
        found: list[Statement] = [For(name, count, "serial", tuple(inside))]
        left = size - count * tile
        if left != 0:
            found += self.outer(axes[1:], places, {**tiles, axis: (count * tile, left)})
        return found

    def zeros(self) -> list[Statement]:
        rows = self.plan.rows
        point = {axis: self.here(axis) for axis in (*self.plan.outside, *rows)}
        store = Store("out", self.place(point), constant(0, self.dtype), False, self.node.sources)
        body: list[Statement] = [store]
        if self.plan.lanes is not None:
            body = [self.loop(self.plan.lanes, self.sizes[self.plan.lanes], "vector", body)]
        for axis in reversed(rows):
            body = [self.loop(axis, self.sizes[axis], "parallel", body)]
        return body

    def rows(
        self,
        axes: Sequence[str],
        places: Places,
        tiles: Mapping[str, tuple[Size, Size]],
        kind: LoopKind,
        blocks: Mapping[str, int],
    ) -> list[Statement]:
        """The loops over rows, in steps of a block, and inside the lanes."""
        if not axes:
            return self.vector(places, tiles, self.finished)
        axis = axes[0]
        step = blocks.get(axis, 1)
        if len(axes) == 1 and self.epilogue is not None and self.epilogue.in_tile:
            return self.in_tile(self.epilogue, axis, places, step)

        def inside(found: Sequence[Size]) -> list[Statement]:
            is_left = len(found) < step and not isinstance(self.sizes[axis], int)
            inner = self.plan.left_over if is_left else blocks
            return self.rows(axes[1:], {**places, axis: found}, tiles, kind, inner)

        return self.in_steps(axis, 0, self.sizes[axis], step, kind, inside)

    def in_steps(
        self, axis: str, start: Size, extent: Size, step: int, kind: LoopKind, inside: Inside
    ) -> list[Statement]:
        """A loop in which `step` places are handled at once, and what is left over."""
        if step == 1:
            return [self.loop(axis, extent, kind, inside([start + self.here(axis)]))]
        tiles = floor_div(extent, step)
        found: list[Statement] = []
        if tiles != 0:
            first: Size = start + (0 if tiles == 1 else self.here(axis) * step)
            body = inside([first + turn for turn in range(step)])
            found += body if tiles == 1 else [self.loop(axis, tiles, kind, body)]
        left, first = extent - tiles * step, start + tiles * step
        if not isinstance(left, int):
            body = inside([first + self.here(axis)])
            return [*found, self.loop(axis, left, kind, body)]
        return found + (inside([first + turn for turn in range(left)]) if left else [])

    # --- what happens at a block of points ---------------------------------------------------

    def in_tile(self, epilogue: Epilogue, axis: str, places: Places, step: int) -> list[Statement]:
        """The sums of whole rows along an axis, then what is done with them along that axis."""
        lanes, tile = self.plan.lanes, f"tile{self.tiles}"
        assert lanes is not None
        self.tiles += 1
        rows = [dict(zip(places, place, strict=True)) for place in product(*places.values())]
        sizes, here = (self.sizes[axis], self.sizes[lanes]), (self.here(axis), self.here(lanes))

        def stored(number: int, point: Point, value: Expr) -> list[Statement]:
            index = Index(number // len(spots)), Index(point[axis]), Index(here[1])
            return [Store(tile, index, value, False, self.node.sources)]

        spots: Sequence[Size] = ()

        def inside(found: Sequence[Size]) -> list[Statement]:
            nonlocal spots
            spots = found
            return self.vector({**places, axis: found}, {}, stored)

        body: list[Statement] = [Scratch(tile, self.dtype, (len(rows), *sizes))]
        body += self.in_steps(axis, 0, sizes[0], step, "parallel", inside)

        def done(found: Sequence[Size]) -> list[Statement]:
            inner: list[Statement] = []
            for number, row in enumerate(rows):
                for lane in found:
                    index = Index(number), Index(here[0]), Index(lane)
                    point = {**row, axis: here[0], lanes: lane}
                    inner += epilogue.at(self.where(point), Load(tile, index, self.dtype))
            return [self.loop(axis, sizes[0], "vector", inner)]

        return body + self.in_steps(lanes, 0, sizes[1], SIDE_BY_SIDE, "parallel", done)

    def finished(self, number: int, point: Point, value: Expr) -> list[Statement]:
        """What becomes of a sum."""
        if self.epilogue is not None:
            return self.epilogue.at(self.where(point), value)
        added = bool(self.plan.outer)
        return [Store("out", self.place(point), value, added, self.node.sources)]

    def vector(
        self, places: Places, tiles: Mapping[str, tuple[Size, Size]], finished: Finish
    ) -> list[Statement]:
        """The sums of a block of points, in lanes."""
        sources, lanes = self.node.sources, self.plan.lanes
        points = [dict(zip(places, place, strict=True)) for place in product(*places.values())]
        names = [f"t{self.sums + number}" for number in range(len(points))]
        self.sums += len(points)
        body: list[Statement] = [
            Accumulator(name, "add", self.dtype, None, sources) for name in names
        ]
        body += self.terms(self.plan.summed, {}, points, names, tiles)
        for number, (name, point) in enumerate(zip(names, points, strict=True)):
            body += finished(number, point, Local(name, self.dtype))
        return body if lanes is None else [self.loop(lanes, self.sizes[lanes], "vector", body)]

    def terms(
        self,
        axes: Sequence[str],
        places: Places,
        points: Sequence[Point],
        names: Sequence[str],
        tiles: Mapping[str, tuple[Size, Size]],
    ) -> list[Statement]:
        """The loops over summed axes, the inner ones written out."""
        if not axes:
            return self.products(places, points, names)
        axis = axes[0]
        start, extent = tiles.get(axis) or self.steps_of(axis, points)

        def inside(found: Sequence[Size]) -> list[Statement]:
            return self.terms(axes[1:], {**places, axis: found}, points, names, tiles)

        step = self.plan.unrolled.get(axis, 1)
        return self.in_steps(axis, start, extent, step, "serial", inside)

    def steps_of(self, axis: str, points: Sequence[Point]) -> tuple[Size, Size]:
        """Where a summed axis starts, and how many of its steps read both operands.

        Where zeros stand around an operand, steps that read them are left out. All points of a
        block have these in common.
        """
        start: Size = 0
        end = self.sizes[axis]
        if axis not in self.notation.clipped:
            return start, end
        for operand, indices, firsts in zip(
            self.node.inputs, self.notation.operands, self.notation.starts, strict=True
        ):
            for terms, first, length in zip(indices, firsts, operand.shape, strict=True):
                steps = dict(terms).get(axis, 0)
                if first is None or steps == 0:
                    continue
                others = tuple([term for term in terms if term[0] != axis])
                rest = first + self.total(others, points[0])
                if steps > 0:  # 0 <= rest + steps*i < length
                    least, beyond = -rest, length - rest
                else:
                    least, beyond, steps = rest - length + 1, rest + 1, -steps
                start = dim_max(start, ceil_div(dim_max(least, 0), steps))
                end = dim_min(end, ceil_div(dim_max(beyond, 0), steps))
        return start, dim_max(end - start, 0)

    def products(
        self, places: Places, points: Sequence[Point], names: Sequence[str]
    ) -> list[Statement]:
        """One product for each point and each place; what two of them read is read once."""
        steps = [dict(zip(places, place, strict=True)) for place in product(*places.values())]
        pairs = [
            (name, tuple(self.index(number, {**point, **step}) for number in (0, 1)))
            for step in steps
            for name, point in zip(names, points, strict=True)
        ]
        uses: dict[tuple[int, tuple[Size, ...]], int] = {}
        for _, indices in pairs:
            for key in enumerate(indices):
                uses[key] = uses.get(key, 0) + 1
        held: dict[tuple[int, tuple[Size, ...]], Expr] = {}
        found: list[Statement] = []
        for name, indices in pairs:
            factors = []
            for number, index in enumerate(indices):
                key = number, index
                value = held.get(key) or self.element(number, index)
                if uses[key] > 1 and key not in held:
                    local = f"{OPERANDS[number][0]}{self.reads}"
                    self.reads += 1
                    found.append(Let(local, value, self.node.sources))
                    value = held[key] = Local(local, value.dtype)
                factors.append(value)
            term = Call(self.product, tuple(factors), self.dtype)
            found.append(Accumulate(name, term, None, self.node.sources))
        return found

    def index(self, number: int, point: Point) -> tuple[Size, ...]:
        """Where operand `number` is read at a point."""
        indices, starts = self.notation.operands[number], self.notation.starts[number]
        return tuple(
            self.total(terms, point) + (start or 0)
            for terms, start in zip(indices, starts, strict=True)
        )

    def element(self, number: int, index: tuple[Size, ...]) -> Expr:
        dtype = self.node.inputs[number].dtype
        return Load(OPERANDS[number], tuple(map(Index, index)), dtype)

    def total(self, terms: Sequence[tuple[str, int]], point: Point) -> Size:
        found = tuple(
            [
                (point[axis] if axis in point else self.here(axis), steps)
                for axis, steps in terms
                if axis in self.sizes
            ]
        )
        total = self.totals.get(found)  # many points are the same along the axes of one index
        if total is None:
            total = self.totals[found] = combine(found)
        return total

    def place(self, point: Point) -> tuple[Expr, ...]:
        """Where a result is stored; lanes stand at their own axis."""
        return tuple(map(Index, self.where(point)))

    def where(self, point: Point) -> tuple[Size, ...]:
        return tuple(
            0 if axis not in self.sizes else point.get(axis, self.here(axis))
            for axis in self.notation.result
        )
