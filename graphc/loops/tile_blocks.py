"""Blocks of tiles, as minimal filtering computes them: their places, transforms and products."""

import math
from collections.abc import Callable, Sequence
from itertools import product

from graphc.dtypes import bool_, int64
from graphc.ir.node import Node
from graphc.loops.ir import Accumulate, Accumulator, Let, LoopKind, Scratch, Statement
from graphc.loops.tile_transforms import INPUT, POINTS, TileWriter
from graphc.loops.window_product import OPERANDS
from graphc.scalar.expr import Call, Expr, Index, Load, Local, all_of, constant
from graphc.shapes import Size, ceil_div, dim_min

# Channels in times channels out, and how many tiles a block has up to that number: it reads all
# matrices of the right operand once, from a cache that is farther away the larger they are.
TILES = ((1 << 13, 24), (1 << 16, 32))
MOST = 64
ROWS = 6  # of sums at once
LANES = 16  # numbers between the ends of matrices, lest all of them fall on the same cache lines


def part_of(whole: int, tiles: int, most: int) -> int:
    """How many rows or columns of so many tiles each make a block of about `most` tiles: a divisor
    of their number."""
    fitting = [count for count in range(1, whole + 1) if whole % count == 0]
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


class BlockWriter(TileWriter):
    """Writes what is done with a block of tiles.

    is_filled: blocks with fewer images than others are filled up with the last image.
    """

    is_filled = False

    def __init__(self, node: Node, symbols: set[str]) -> None:
        super().__init__(node, symbols)
        self.sums = 0  # so far
        self.batch = node.inputs[0].shape[0]
        self.inner, self.outer = node.attrs["channels"]
        self.count: tuple[int, int] = node.attrs["count"]
        self.rows, self.columns = -(-self.count[0] // 2), -(-self.count[1] // 2)
        products = self.inner * self.outer
        most = next((tiles for size, tiles in TILES if products <= size), MOST)
        # A block: rows of tiles, parts of rows where these are long, images where they are small.
        self.across = self.columns
        if self.columns > 2 * most:
            self.across = part_of(self.columns, 1, most)
        self.together = part_of(self.rows, self.across, most)
        self.images = 1
        if (self.together, self.across) == (self.rows, self.columns):
            self.images = max(1, most // (self.rows * self.columns))
            if isinstance(self.batch, int):
                self.images = max(1, min(self.images, self.batch))
        self.tiles = self.images * self.together * self.across

    def matrices(self, name: str, columns: int) -> Statement:
        """A matrix of a row for each tile, for each of the points."""
        return Scratch(name, self.dtype, (POINTS, self.tiles * columns + LANES))

    def over_tiles(self, body: list[Statement]) -> list[Statement]:
        inside = self.loop("x", self.across, "parallel", body)
        count = self.images if self.is_filled else self.present
        return self.over_images(count, [self.loop("r", self.together, "parallel", [inside])])

    def over_images(self, count: Size, body: list[Statement]) -> list[Statement]:
        return body if self.images == 1 else [self.loop("m", count, "parallel", body)]

    def over_blocks(self, kind: LoopKind, body: list[Statement]) -> Statement:
        if self.across != self.columns:
            body = [self.loop("a", self.columns // self.across, kind, body)]
        body = [self.loop("b", self.rows // self.together, kind, body)]
        return self.loop("n", ceil_div(self.batch, self.images), kind, body)

    @property
    def present(self) -> Size:
        """How many images the block has: the last one may have fewer than others."""
        if isinstance(self.batch, int) and self.batch % self.images == 0:
            return self.images
        return dim_min(self.images, self.batch - self.here("n") * self.images)

    @property
    def first_row(self) -> Size:
        """Of the block's tiles."""
        return self.here("b") * self.together

    @property
    def first_column(self) -> Size:
        return 0 if self.across == self.columns else self.here("a") * self.across

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
        place: Size = row * self.across + self.here("x")
        return place

    def input_tiles(self, channel: Size, channels: int) -> list[Statement]:
        """V of the block, for some channels in."""
        c = self.here("c")
        around: list[Statement] = []
        body: list[Statement] = []
        before: tuple[int, int] = self.node.attrs["before"]
        element = self.reader(around, "left", 4, before, channel + c)
        values = self.transformed(body, "dhv", INPUT, 4, element)
        self.stored(body, "V", values, channels, c)
        return self.over_tiles([*around, self.loop("c", channels, "vector", body)])

    def reader(
        self,
        around: list[Statement],
        array: str,
        size: int,
        before: tuple[int, int],
        channel: Size,
    ) -> Callable[[int, int], Expr]:
        """What reads an element of a tile of size times size; zeros outside of the array. around:
        what is the same for all channels."""
        row, column = self.first_row + self.here("r"), self.first_column + self.here("x")
        rows = self.along(around, array, 0, row, size, before[0])
        columns = self.along(around, array, 1, column, size, before[1])
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
        last = 2 * (self.rows, self.columns)[axis] - 2  # where the last tile begins, but `before`
        name = ("row", "column")[axis]
        found: list[tuple[Expr, Expr | None]] = []
        for step in range(size):
            ahead = step - before
            place, end = Index(tile * 2 + ahead), Index(length - 1)
            near: Expr = place
            known: list[Expr] = []
            if ahead < 0:
                near = Call("maximum", (near, Index(0)), int64)
                known.append(Call("le", (Index(0), place), bool_))
            if not isinstance(length, int) or last + ahead >= length:
                near = Call("minimum", (near, end), int64)
                known.append(Call("le", (place, end), bool_))
            if not known:
                found.append((place, None))
                continue
            here = self.let(around, f"{name}{step}", near)
            found.append((here, self.let(around, f"is_{name}{step}", all_of(known))))
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
