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

from graphc.ir.node import Node
from graphc.loops.ir import Kernel, Scratch, Statement
from graphc.loops.kernel_writer import Epilogue, kernel_of_node
from graphc.loops.tile_blocks import LANES, BlockWriter
from graphc.loops.tile_transforms import OUTPUT, POINTS, SPREAD
from graphc.loops.window_product import OPERANDS, SIDE_BY_SIDE
from graphc.scalar.expr import Expr, constant
from graphc.shapes import Size, dim_min

WIDE = 64  # channels of a block of the filter gradient


def filtering_kernel(node: Node) -> Kernel:
    """The kernel of a node with the lowering MinimalFiltering."""
    return filtering_with(node, None)


def filtering_with(node: Node, epilogue: Epilogue | None) -> Kernel:
    """The same for a result that is not stored, but used by an epilogue."""

    def statements(symbols: set[str]) -> list[Statement]:
        if node.attrs["gradient"]:
            return _FilterGradient(node, symbols).statements()
        return _Convolution(node, symbols, epilogue).statements()

    return kernel_of_node(node, "minimal_filtering", OPERANDS, statements, epilogue=epilogue)


def block_of(size: int, most: int) -> int:
    """How many of so many channels make a block: at most so many, equal parts if that may be."""
    equal = [count for count in range(LANES, most + 1) if size % count == 0]
    return max(equal) if equal else min(size, most)


class _Convolution(BlockWriter):
    """out[n, y, x, o] = sum over c, p, q of left[n, y + p, x + q, c] * w[p, q, c, o]"""

    is_filled = True

    def __init__(self, node: Node, symbols: set[str], epilogue: Epilogue | None) -> None:
        super().__init__(node, symbols)
        self.epilogue = epilogue

    def statements(self) -> list[Statement]:
        inner, outer = self.inner, self.outer
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
            Scratch("Y", self.dtype, (rows, 2 * self.across, outer)),
            *self.input_tiles(0, inner),
            self.loop("k", POINTS, "parallel", sums),
            *self.output_tiles(),
            *self.over_images(self.present, self.finished()),
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

    def finished(self) -> list[Statement]:
        """What becomes of the results."""
        y, x, o = (self.here(axis) for axis in "yxo")
        rows = self.kept(0, 2 * self.together, self.first_row * 2)
        width = self.kept(1, 2 * self.across, self.first_column * 2)
        place = self.image, self.first_row * 2 + y, self.first_column * 2 + x
        value = self.load("Y", self.row_of_y(y), x, o)
        epilogue = self.epilogue
        inner: list[Statement]
        if epilogue is None:
            inner = [self.store("out", (*place, o), value)]
        elif not epilogue.in_tile:
            inner = epilogue.at((*place, o), value)
        else:
            return [self.loop("y", rows, "parallel", self.turned(epilogue, place, width))]
        body = self.loop("x", width, "parallel", [self.loop("o", self.outer, "vector", inner)])
        return [self.loop("y", rows, "parallel", [body])]

    def kept(self, axis: int, extent: int, first: Size) -> Size:
        """How many of so many results from `first` on are wanted: images may have odd sizes."""
        wanted = self.count[axis]
        return extent if wanted % 2 == 0 else dim_min(extent, wanted - first)

    def turned(
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


class _FilterGradient(BlockWriter):
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
            ("s", self.present * (self.together * self.across)),
            "c",
            height,
            ("o", width),
            lambda channel: self.load("V", k, s * height + channel),
            self.load("G", k, s * width + o),
            lambda channel, total: self.store("out", (k, row + channel, lane + o), total, True),
        )
        body = [
            self.matrices("V", height),
            self.matrices("G", width),
            *self.input_tiles(row, height),
            *self.gradient_tiles(lane, width),
            self.loop("k", POINTS, "serial", sums),
        ]
        return [self.loop("k", POINTS, "parallel", [zeros]), self.over_blocks("serial", body)]

    def gradient_tiles(self, lane: Size, width: int) -> list[Statement]:
        o = self.here("o")
        around: list[Statement] = []
        body: list[Statement] = []
        element = self.reader(around, "right", 2, (0, 0), lane + o)
        values = self.transformed(body, "ghs", SPREAD, 2, element)
        self.stored(body, "G", values, width, o)
        return self.over_tiles([*around, self.loop("o", width, "vector", body)])
