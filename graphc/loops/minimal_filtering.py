"""Kernels of convolutions with 3x3 windows by minimal filtering, and of their filter gradients.

    for n, b parallel:                              b: some rows of tiles of 2 by 2 windows
      V: f32[16, 32 * 64] scratch, M: f32[16, 32 * 64] scratch, Y: f32[4, 32, 64] scratch
      for r, x parallel:                            tiles
        for c vector: V[0..15, r, x, c] = B^T left[n, 2*y..2*y + 3, 2*x..2*x + 3, c] B
      for k, j parallel:                            16 products of matrices, in panels of columns
        for x/6 parallel: for o vector:
          t0..t5 = 0
          for c serial: t0..t5 += V[k, 6*x + 0..5, c] * right[k, c, o]
          M[k, 6*x + 0..5, j, o] = t0..t5
      for r, x parallel:
        for o vector: Y[2*r + 0..1, 2*x + 0..1, o] = A^T M[0..15, r, x, o] A
      for y, x parallel:
        for o vector: out[n, y, x, o] = Y[y, x, o]

16 products stand for the 36 of 2 by 2 windows, and what a block of tiles needs stays in the second
cache. In the gradient by the filter the sums run over tiles instead of channels.

Source: A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016, F(2x2, 3x3) and
F(3x3, 2x2).
"""

import math
from collections.abc import Callable, Sequence
from itertools import product

from graphc.dtypes import bool_, int64
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Kernel,
    Let,
    LoopKind,
    Parameter,
    Scratch,
    Statement,
)
from graphc.loops.tile_transforms import INPUT, OUTPUT, POINTS, SPREAD, Writer
from graphc.loops.window_product import OPERANDS, SIDE_BY_SIDE, Epilogue
from graphc.scalar.expr import Call, Expr, Index, Load, Local, constant
from graphc.shapes import Size, ceil_div, dim_min, symbols_of

# Channels in times channels out, and how many tiles a block has up to that number: it reads all
# matrices of the right operand once, from a cache that is farther away the larger they are.
TILES = ((1 << 13, 24), (1 << 16, 32))
MOST = 64
ROWS = 6  # of sums at once
LANES = 16  # numbers between the ends of matrices, lest all of them fall on the same cache lines
WIDE = 64  # channels of a block of the filter gradient


def filtering_kernel(node: Node) -> Kernel:
    """The kernel of a node with the lowering MinimalFiltering."""
    return filtering_with(node, None)


def filtering_with(node: Node, epilogue: Epilogue | None) -> Kernel:
    """The same for a result that is not stored, but used by an epilogue."""
    output = Tensor(node)
    stored = (Parameter("out", output.dtype, output.shape, True),)
    parameters = (
        *(stored if epilogue is None else epilogue.parameters),
        *(
            Parameter(name, tensor.dtype, tensor.shape)
            for name, tensor in zip(OPERANDS, node.inputs, strict=True)
        ),
    )
    symbols = set(() if epilogue is None else epilogue.symbols)
    symbols |= {one for item in parameters for size in item.shape for one in symbols_of(size)}
    maker = _FilterGradient if node.attrs["gradient"] else _Convolution
    return Kernel(
        "minimal_filtering",
        parameters,
        tuple(sorted(symbols)),
        tuple(maker(node, symbols, epilogue).statements()),
        node.sources,
        node.op.name,
        fused=True,
    )


def rows_of_tiles(rows: int, tiles: int, most: int) -> int:
    """How many of so many rows make a block of about `most` tiles; a divisor of their number."""
    fitting = [count for count in range(1, rows + 1) if rows % count == 0]
    return min(fitting, key=lambda count: abs(math.log(count * tiles / most)))


def sums_of(extent: int) -> int:
    """How many of so many rows are summed at once, two vectors of each: with few sums the products
    wait for each other, and rows that are left over take code of their own."""

    def cycles(count: int) -> int:
        return max(2 * count, 5) + 1

    def total(count: int) -> int:
        whole, rest = divmod(extent, count)
        return whole * cycles(count) + (cycles(rest) + 1 if rest else 0)

    return min(range(ROWS, 3, -1), key=total)


def block_of(size: int, most: int) -> int:
    """How many of so many channels make a block: at most so many, equal parts if that may be."""
    equal = [count for count in range(LANES, most + 1) if size % count == 0]
    return max(equal) if equal else min(size, most)


class _Tiled(Writer):
    """What both kernels share. is_filled: blocks with fewer images than others are filled up with
    the last image."""

    is_filled = False

    def __init__(self, node: Node, symbols: set[str], epilogue: Epilogue | None) -> None:
        super().__init__(node, symbols)
        self.epilogue = epilogue
        self.sums = 0  # so far
        self.batch = node.inputs[0].shape[0]
        self.inner, self.outer = node.attrs["channels"]
        self.count: tuple[int, int] = node.attrs["count"]
        self.rows, self.columns = -(-self.count[0] // 2), -(-self.count[1] // 2)
        products = self.inner * self.outer
        most = next((tiles for size, tiles in TILES if products <= size), MOST)
        self.together = rows_of_tiles(self.rows, self.columns, most)
        self.images = 1  # in a block
        if self.together == self.rows:
            self.images = max(1, most // (self.rows * self.columns))
            if isinstance(self.batch, int):
                self.images = max(1, min(self.images, self.batch))
        self.tiles = self.images * self.together * self.columns  # in a block

    def matrices(self, name: str, columns: int) -> Statement:
        """A matrix of a row for each tile, for each of the points."""
        return Scratch(name, self.dtype, (POINTS, self.tiles * columns + LANES))

    def over_tiles(self, body: list[Statement]) -> list[Statement]:
        inside = self.loop("x", self.columns, "parallel", body)
        count = self.images if self.is_filled else self.present
        return self.over_images(count, [self.loop("r", self.together, "parallel", [inside])])

    def over_images(self, count: Size, body: list[Statement]) -> list[Statement]:
        return body if self.images == 1 else [self.loop("m", count, "parallel", body)]

    def over_blocks(self, kind: LoopKind, body: list[Statement]) -> Statement:
        body = [self.loop("b", self.rows // self.together, kind, body)]
        return self.loop("n", ceil_div(self.batch, self.images), kind, body)

    @property
    def present(self) -> Size:
        """How many images the block has: the last one may have fewer than others."""
        if isinstance(self.batch, int) and self.batch % self.images == 0:
            return self.images
        return dim_min(self.images, self.batch - self.here("n") * self.images)

    @property
    def in_block(self) -> Size:
        """Which image of the block it is."""
        return 0 if self.images == 1 else self.here("m")

    @property
    def image(self) -> Size:
        return self.here("n") * self.images + self.in_block

    @property
    def tile(self) -> Size:
        """Which tile of the block it is, inside `over_tiles`."""
        row: Size = self.here("r") + self.in_block * self.together
        place: Size = row * self.columns + self.here("x")
        return place

    def input_tiles(self, first_row: Size, channel: Size, channels: int) -> list[Statement]:
        """V of a block whose tiles begin in row `first_row` of tiles, for some channels in."""
        c = self.here("c")
        around: list[Statement] = []
        body: list[Statement] = []
        before: tuple[int, int] = self.node.attrs["before"]
        element = self.reader(around, "left", first_row, 4, before, channel + c)
        values = self.transformed(body, "dhv", INPUT, 4, element)
        self.stored(body, "V", values, channels, c)
        return self.over_tiles([*around, self.loop("c", channels, "vector", body)])

    def reader(
        self,
        around: list[Statement],
        array: str,
        first_row: Size,
        size: int,
        before: tuple[int, int],
        channel: Size,
    ) -> Callable[[int, int], Expr]:
        """What reads an element of a tile of size times size, in a block of tiles that begins in
        row `first_row` of tiles; zeros outside of the array. around: what is the same for all
        channels."""
        rows = self.along(around, array, 0, first_row + self.here("r"), size, before[0])
        columns = self.along(around, array, 1, self.here("x"), size, before[1])
        inside: dict[tuple[int, int], Expr] = {}
        for i, j in product(range(size), repeat=2):
            both = [known for _, known in (rows[i], columns[j]) if known is not None]
            if both:
                known = both[0] if len(both) == 1 else Call("and", tuple(both), bool_)
                inside[i, j] = self.let(around, f"inside{i}{j}", known)

        image = self.image
        if self.is_filled and self.present != self.images:
            image = dim_min(image, self.batch - 1)

        def element(i: int, j: int) -> Expr:
            index = Index(image), rows[i][0], columns[j][0], Index(channel)
            value = Load(array, index, self.dtype)
            if (i, j) not in inside:
                return value
            return Call("select", (inside[i, j], value, constant(0, self.dtype)), self.dtype)

        return element

    def along(
        self, around: list[Statement], array: str, axis: int, tile: Size, size: int, before: int
    ) -> list[tuple[Expr, Expr | None]]:
        """Where the elements of a tile stand along a spatial axis, and whether they are there."""
        length = self.node.inputs[OPERANDS.index(array)].shape[axis + 1]
        tiles = (self.rows, self.columns)[axis]
        last = 2 * tiles + size - 3 - before
        is_inside = before == 0 and isinstance(length, int) and last < length
        name = ("row", "column")[axis]
        found: list[tuple[Expr, Expr | None]] = []
        for step in range(size):
            place, end = Index(tile * 2 + (step - before)), Index(length - 1)
            if is_inside:
                found.append((place, None))
                continue
            near = Call("minimum", (Call("maximum", (place, Index(0)), int64), end), int64)
            known = Call("le", (Index(0), place), bool_), Call("le", (place, end), bool_)
            here = self.let(around, f"{name}{step}", near)
            found.append((here, self.let(around, f"is_{name}{step}", Call("and", known, bool_))))
        return found

    def stored(
        self,
        body: list[Statement],
        array: str,
        values: Sequence[Sequence[Expr]],
        columns: Size,
        lane: Size,
    ) -> None:
        place = self.tile * columns + lane
        points = [value for row in values for value in row]
        body += [self.store(array, (number, place), value) for number, value in enumerate(points)]

    # --- products ----------------------------------------------------------------------------

    def products(
        self,
        steps: tuple[str, Size],
        row: str,
        extent: int,
        lanes: tuple[str, int],
        left: Callable[[Size], Expr],
        right: Expr,
        stored: Callable[[Size, Expr], Statement],
    ) -> list[Statement]:
        """Sums of left * right over the steps for each of the rows, some at once, in lanes."""

        def block(first: Size, count: int) -> list[Statement]:
            names = [f"t{self.sums + number}" for number in range(count)]
            self.sums += count
            body: list[Statement] = [
                Accumulator(name, "add", self.dtype, None, self.sources) for name in names
            ]
            inside: list[Statement] = [Let("factor", right, self.sources)]
            for number, name in enumerate(names):
                term = Call("mul", (left(first + number), Local("factor", self.dtype)), self.dtype)
                inside.append(Accumulate(name, term, None, self.sources))
            body.append(self.loop(*steps, "serial", inside))
            for number, name in enumerate(names):
                body.append(stored(first + number, Local(name, self.dtype)))
            return [self.loop(*lanes, "vector", body)]

        at_once = sums_of(extent)
        whole, rest = divmod(extent, at_once)
        found: list[Statement] = []
        if whole:
            inside = block(self.here(row) * at_once, at_once)
            found.append(self.loop(row, whole, "parallel", inside))
        return found + (block(whole * at_once, rest) if rest else [])


class _Convolution(_Tiled):
    """out[n, y, x, o] = sum over c, p, q of left[n, y + p, x + q, c] * w[p, q, c, o]"""

    is_filled = True

    def statements(self) -> list[Statement]:
        inner, outer = self.inner, self.outer
        first = self.here("b") * self.together
        k, j, o, c = (self.here(axis) for axis in "kjoc")
        width: int = self.node.attrs["panel"]
        sums = self.products(
            ("c", inner),
            "s",
            self.tiles,
            ("o", width),
            lambda tile: self.load("V", k, tile * inner + c),
            self.load("right", k, j, c, o),
            lambda tile, total: self.store("M", (k, tile * outer + j * width + o), total),
        )
        sums = [self.loop("j", outer // width, "parallel", sums)]
        rows = 2 * self.images * self.together
        body = [
            self.matrices("V", inner),
            self.matrices("M", outer),
            Scratch("Y", self.dtype, (rows, 2 * self.columns, outer)),
            *self.input_tiles(first, 0, inner),
            self.loop("k", POINTS, "parallel", sums),
            *self.output_tiles(),
            *self.over_images(self.present, self.finished(first * 2)),
        ]
        return [self.over_blocks("parallel", body)]

    def row_of_y(self, row: Size) -> Size:
        return self.in_block * (2 * self.together) + row

    def output_tiles(self) -> list[Statement]:
        o, x = self.here("o"), self.here("x")
        top = self.row_of_y(self.here("r") * 2)
        place = self.tile * self.outer + o
        body: list[Statement] = []

        def element(i: int, j: int) -> Expr:
            return self.load("M", 4 * i + j, place)

        values = self.transformed(body, "mhy", OUTPUT, 4, element)
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                body.append(self.store("Y", (top + i, x * 2 + j, o), value))
        return self.over_tiles([self.loop("o", self.outer, "vector", body)])

    def finished(self, first_row: Size) -> list[Statement]:
        """What becomes of the results, whose rows begin at `first_row`."""
        height, width = self.count
        y, x, o = (self.here(axis) for axis in "yxo")
        rows: Size = 2 * self.together
        if height != 2 * self.rows:
            rows = dim_min(rows, height - first_row)
        place = self.image, first_row + y, x
        value = self.load("Y", self.row_of_y(y), x, o)
        epilogue = self.epilogue
        inner: list[Statement]
        if epilogue is None:
            inner = [self.store("out", (*place, o), value)]
        elif not epilogue.in_tile:
            inner = epilogue.at((*place, o), value)
        else:
            return [self.loop("y", rows, "parallel", self.across(epilogue, place, width))]
        body = self.loop("x", width, "parallel", [self.loop("o", self.outer, "vector", inner)])
        return [self.loop("y", rows, "parallel", [body])]

    def across(
        self, epilogue: Epilogue, place: tuple[Size, Size, Size], width: Size
    ) -> list[Statement]:
        """A row of results, lanes along the row."""
        y, x, o = self.row_of_y(self.here("y")), self.here("x"), self.here("o")

        def some(first: Size, count: int) -> list[Statement]:
            inner: list[Statement] = []
            for number in range(count):
                value = self.load("Y", y, x, first + number)
                inner += epilogue.at((*place, first + number), value)
            return [self.loop("x", width, "vector", inner)]

        whole, rest = divmod(self.outer, SIDE_BY_SIDE)
        body: list[Statement] = []
        if whole:
            body.append(self.loop("o", whole, "parallel", some(o * SIDE_BY_SIDE, SIDE_BY_SIDE)))
        return body + (some(whole * SIDE_BY_SIDE, rest) if rest else [])


class _FilterGradient(_Tiled):
    """The sums over all tiles of V[k, tile, c] * G[k, tile, o] where G = A right A^T"""

    def statements(self) -> list[Statement]:
        rows, lanes = block_of(self.inner, WIDE), block_of(self.outer, WIDE)
        if (rows, lanes) == (self.inner, self.outer):  # threads share what is at least two parts
            if lanes >= WIDE:
                lanes = block_of(lanes, lanes // 2)
            else:
                rows = block_of(rows, max(LANES, rows // 2))
        found: list[Statement] = []
        for first_row, row, height in self.cut("i", self.inner, rows):
            for first_lane, lane, width in self.cut("j", self.outer, lanes):
                body = self.block(first_row, height, first_lane, width)
                for axis, times in (("j", lane), ("i", row)):
                    body = [self.loop(axis, times, "parallel", body)] if times else body
                found += body
        return found

    def cut(self, axis: str, size: int, block: int) -> list[tuple[Size, int, int]]:
        """Where blocks begin, how many there are (0: one without a loop), and their length."""
        whole, rest = divmod(size, block)
        found: list[tuple[Size, int, int]] = [(self.here(axis) * block, whole, block)]
        return [*found, (whole * block, 0, rest)] if rest else found

    def block(self, row: Size, height: int, lane: Size, width: int) -> list[Statement]:
        """Some channels in, from `row` on, and some channels out."""
        k, c, o, s = (self.here(axis) for axis in "kcos")
        zero = self.store("out", (k, row + c, lane + o), constant(0, self.dtype))
        zeros = self.loop("c", height, "parallel", [self.loop("o", width, "vector", [zero])])
        sums = self.products(
            ("s", self.present * (self.together * self.columns)),
            "c",
            height,
            ("o", width),
            lambda channel: self.load("V", k, s * height + channel),
            self.load("G", k, s * width + o),
            lambda channel, total: self.store("out", (k, row + channel, lane + o), total, True),
        )
        first = self.here("b") * self.together
        body = [
            self.matrices("V", height),
            self.matrices("G", width),
            *self.input_tiles(first, row, height),
            *self.gradient_tiles(first, lane, width),
            self.loop("k", POINTS, "serial", sums),
        ]
        return [self.loop("k", POINTS, "parallel", [zeros]), self.over_blocks("serial", body)]

    def gradient_tiles(self, first_row: Size, lane: Size, width: int) -> list[Statement]:
        o = self.here("o")
        around: list[Statement] = []
        body: list[Statement] = []
        element = self.reader(around, "right", first_row, 2, (0, 0), lane + o)
        values = self.transformed(body, "ghs", SPREAD, 2, element)
        self.stored(body, "G", values, width, o)
        return self.over_tiles([*around, self.loop("o", width, "vector", body)])
