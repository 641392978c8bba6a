"""Which axes of a window product become blocks, tiles and loops.

What bounds these kernels is arithmetic as long as two vectors of sums take a product each at a time
and every load serves several of them. So up to 12 vectors of sums are kept at once, which with the
operands fill the 16 registers of AVX2. The numbers were measured with benchmarks/convolution.py.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from graphc.ir.product_notation import ProductNotation
from graphc.records import dataclass
from graphc.shapes import Size

SUMS = 12  # vectors of sums at once
REGISTERS = 16  # of vectors
MANY = 10  # results of two blocked axes at once, whose sums are single vectors
FEW = 4  # results of one blocked axis where the number is not known, or all is soon done
SMALL = 1 << 16  # products in all
AXES = 3  # innermost ones that may be blocked
FURTHER = 1.1  # what a block along another axis than the innermost one must gain
MASKED = 1.3  # what a vector under a mask costs, in whole ones
WRITTEN_OUT = 48  # products in the body of the innermost loop
AT_ONCE = (3, 4)  # results whose products are not: LLVM would load more ahead than registers hold
LATENCY = 4.4  # cycles until a sum can be added to again
STEPS = 8  # steps of one axis that are written out
UNKNOWN = 64  # what sizes are taken for that are known at run time only
NEAR = 512  # points of an outer tile: rows of 16 floats for each of them fit the first cache


@dataclass(frozen=True, slots=True)
class Schedule:
    """lanes: the axis whose neighbours are computed side by side. blocks: how many places along
    other axes of the result share loads. left_over: the same where fewer places of a size known at
    run time are left than a block has. outside: axes of the result around the outer sums. outer:
    axes summed outside of the block, each with how many steps the block sums inside. rows: the
    other axes of the result. summed: axes summed inside, outermost first. unrolled: how many steps
    of them are written out."""

    lanes: str | None
    blocks: Mapping[str, int]
    left_over: Mapping[str, int]
    outside: tuple[str, ...]
    outer: Mapping[str, int]
    rows: tuple[str, ...]
    summed: tuple[str, ...]
    unrolled: Mapping[str, int]


def schedule(notation: ProductNotation, sizes: Mapping[str, Size], outer_axes: str) -> Schedule:
    """sizes: of the axes that are not 1, outermost loop first."""
    kept = [axis for axis in notation.result if axis in sizes]
    # What lies outside of an operand is left out for all lanes, or for none.
    lanes = kept[-1] if kept and kept[-1] not in notation.clipped else None
    rows = [axis for axis in sizes if axis in notation.result and axis != lanes]
    outer = _tiles(sizes, outer_axes, notation)
    first = next(iter(outer), None)
    order = list(sizes)
    outside = [
        axis for axis in rows if first is not None and order.index(axis) < order.index(first)
    ]
    inside = [axis for axis in rows if axis not in outside]
    summed = [axis for axis in sizes if axis not in notation.result and outer.get(axis, 2) > 1]
    small = _is_small(sizes)
    free = _free(notation, inside)
    blocks = _blocks(notation, sizes, lanes, free, small)
    known = [axis for axis in free if isinstance(sizes[axis], int)]
    left_over = (
        blocks if blocks.keys() <= {*known} else _blocks(notation, sizes, lanes, known, small)
    )
    return Schedule(
        lanes,
        blocks,
        left_over,
        tuple(outside),
        outer,
        tuple(inside),
        tuple(summed),
        {} if small else _unrolled(sizes, summed, notation.clipped, math.prod(blocks.values())),
    )


def _is_small(sizes: Mapping[str, Size]) -> bool:
    """Whether compiling much code takes longer than it will ever gain."""
    total = 1
    for size in sizes.values():
        if not isinstance(size, int):
            return False
        total *= size
    return total < SMALL


def _tiles(sizes: Mapping[str, Size], outer: str, notation: ProductNotation) -> dict[str, int]:
    """How many steps of each outer axis are summed inside; whole axes are no outer ones."""
    found: dict[str, int] = {}
    points = 1
    for axis, size in sizes.items():
        if axis not in notation.result and axis not in outer:
            points *= max(_known(size), 1)
    for axis in reversed([axis for axis in sizes if axis in outer]):
        size = sizes[axis]
        room = max(1, NEAR // points)
        if isinstance(size, int) and size <= room:
            points *= max(size, 1)
            continue
        found[axis] = room if not isinstance(size, int) else _divisor(size, room)
        points *= found[axis]
    return dict(reversed(found.items()))


def _divisor(size: int, most: int) -> int:
    """A tile of at most `most` steps, without rest if that costs less than half of it."""
    fitting = max(tile for tile in range(1, most + 1) if size % tile == 0)
    return fitting if 2 * fitting >= most else most


def _free(notation: ProductNotation, rows: Sequence[str]) -> list[str]:
    """Axes that not both operands depend on: the others' loads are shared along them."""
    operands = [notation.axes_of(number) for number in (0, 1)]
    free = [axis for axis in rows[-AXES:] if not all(axis in own for own in operands)]
    return [axis for axis in free if axis not in notation.clipped]  # each place has its own steps


def _blocks(
    notation: ProductNotation,
    sizes: Mapping[str, Size],
    lanes: str | None,
    free: Sequence[str],
    small: bool,
) -> dict[str, int]:
    """One or two of the free axes."""
    if lanes is None:
        return {}
    operands = [notation.axes_of(number) for number in (0, 1)]
    best, least = {}, _cost(sizes, {}, operands, lanes)
    for blocks, further in _candidates(sizes, free):
        if small and (len(blocks) > 1 or max(blocks.values()) > FEW):
            continue
        value = _cost(sizes, blocks, operands, lanes) * FURTHER**further
        if value < least:
            best, least = blocks, value
    return best


def _candidates(
    sizes: Mapping[str, Size], axes: Sequence[str]
) -> Iterator[tuple[dict[str, int], int]]:
    """Blocks, and how many axes they go beyond the innermost one."""
    for further, axis in enumerate(reversed(axes)):
        for count in range(SUMS // 2, 1, -1):
            if not _fits(sizes[axis], count):
                continue
            yield {axis: count}, further
            known = [other for other in axes if isinstance(sizes[other], int)]
            for distance, other in enumerate(reversed(axes[: len(axes) - 1 - further])):
                for more in range(2, MANY // count + 1):
                    if other in known and axis in known and _fits(sizes[other], more):
                        yield {other: more, axis: count}, further + distance + 1


def _fits(size: Size, count: int) -> bool:
    return size >= count if isinstance(size, int) else count <= FEW


def _cost(
    sizes: Mapping[str, Size],
    blocks: Mapping[str, int],
    operands: Sequence[frozenset[str]],
    lanes: str,
) -> float:
    """Cycles for a step of all sums: two operations and two loads at once."""
    total = 0.0
    tiles = [_tiles_of(sizes[axis], block) for axis, block in blocks.items()]
    for tile in product(*tiles):
        results = math.prod(count for count, _ in tile)
        single = [1, 1]
        for number, own in enumerate(operands):
            for axis, (count, _) in zip(blocks, tile, strict=True):
                single[number] *= count if axis in own else 1
        often = math.prod(times for _, times in tile)
        for vectors, pieces in _pieces(sizes[lanes], blocks):
            loads = sum(
                count * (vectors if lanes in own else 1)
                for count, own in zip(single, operands, strict=True)
            )
            read = [count for count, own in zip(single, operands, strict=True) if lanes in own]
            if max(read) > 3 or vectors * (results + sum(read)) >= REGISTERS:
                return math.inf
            cycles = max(results * vectors / 2, LATENCY, 0.55 * loads) + 0.02 * loads
            total += often * pieces * cycles
    return total / _all(sizes, blocks)


def _all(sizes: Mapping[str, Size], blocks: Mapping[str, int]) -> int:
    """How many places there are along the axes of the blocks."""
    return math.prod(_known(sizes[axis]) for axis in blocks)


def _known(size: Size) -> int:
    return size if isinstance(size, int) else UNKNOWN


def _tiles_of(size: Size, block: int) -> list[tuple[int, int]]:
    """(places, how often)"""
    whole = size if isinstance(size, int) else UNKNOWN // block * block
    found = [(block, whole // block)]
    return [*found, (whole % block, 1)] if whole % block else found


def _pieces(size: Size, blocks: Mapping[str, int]) -> list[tuple[int, float]]:
    """(vectors at once, how often) along the lanes, of 8 numbers; what is masked costs more."""
    sums, whole = math.prod(blocks.values()), _known(size)
    at_once = 1 if 2 * sums > SUMS else 2
    found = [(at_once, float(whole // (8 * at_once)))]
    rest = whole % (8 * at_once)
    if rest >= 8:
        found.append((1, 1.0))
    return [*found, (1, MASKED)] if rest % 8 else found


def _unrolled(
    sizes: Mapping[str, Size], summed: Sequence[str], clipped: frozenset[str], results: int
) -> dict[str, int]:
    """From the innermost axis on, as long as whole axes are written out."""
    found: dict[str, int] = {}
    room = 1 if results in AT_ONCE else max(1, WRITTEN_OUT // results)
    for axis in reversed(summed):
        size = sizes[axis]
        if axis in clipped:
            break
        if isinstance(size, int) and size <= min(room, STEPS):
            found[axis] = max(size, 1)
            room //= found[axis]
            continue
        if isinstance(size, int) and not found and room >= 2:
            found[axis] = _divisor(size, min(room, STEPS))
        break
    return found
