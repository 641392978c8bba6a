"""How a vector loop is cut: lanes of the main loop, and what is left over.

dynamic extent   a main loop of several native vectors, then a masked loop of one native vector
static extent    as few pieces as cover it; small ones in straight lines without a loop
no masks         where the processor has no masked instructions the rest is done one by one
"""

from collections.abc import Sequence
from typing import NamedTuple

from graphc.backends.llvm.target import LINE, Target
from graphc.dims import lower_bound
from graphc.dtypes import DType, is_bool, is_floating
from graphc.loops.ir import Accumulate, Accumulator, For, If, Let, Statement, Store
from graphc.scalar.expr import COST, Call, Expr, Index, Load
from graphc.shapes import Dim, Size

HEAVY = 40  # cost of a body from which one native vector keeps the processor busy
LIGHT = 14  # cost up to which four are needed
REGISTERS = 8  # vectors of sums that are kept apart
SHORT = 32  # vectors of a row that is summed: it ends soon, and what is left over takes one more
SUMS = 12  # where every element has many of them, of 16 registers


class Piece(NamedTuple):
    """Elements start to stop in steps of `lanes`; None: only known at run time.

    For a dynamic extent n: the main loop has stop None, the rest has start None. above: it runs
    only where more elements than that are left.
    """

    lanes: int
    start: int | None
    stop: int | None
    masked: bool = False
    above: int = 0


class Body(NamedTuple):
    """Facts about statements: buffers written, accumulators fed, the work of one element."""

    stored: frozenset[str]
    accumulated: tuple[str, ...]
    cost: int
    sums: int  # accumulators that each element has for itself
    access_bytes: frozenset[int]  # element sizes in memory
    dtypes: frozenset[DType]

    @property
    def element_bytes(self) -> int:
        """Of the values that lanes are counted in."""
        floats = {max(one.itemsize, 4) for one in self.dtypes if is_floating(one)}
        others = {one.itemsize for one in self.dtypes if not is_floating(one) and not is_bool(one)}
        return max(floats or others or {1})


class Survey:
    """Facts about statements, gathered once for the body of every loop."""

    def __init__(self) -> None:
        # With the body, so that ids stay its own.
        self._known: dict[int, tuple[tuple[Statement, ...], Body]] = {}

    def __call__(self, statements: tuple[Statement, ...]) -> Body:
        known = self._known.get(id(statements))
        if known is None:
            known = self._known[id(statements)] = statements, self._gathered(statements)
        return known[1]

    def _gathered(self, statements: tuple[Statement, ...]) -> Body:
        stored: set[str] = set()
        accumulated: dict[str, None] = {}
        dtypes: set[DType] = set()
        access: set[int] = set()
        cost = sums = 0
        pending: list[Expr] = []
        for item in statements:
            match item:
                case For() | If():
                    if isinstance(item, If):
                        pending.append(item.condition)
                    inner = self(item.body)
                    stored |= inner.stored
                    accumulated |= dict.fromkeys(inner.accumulated)
                    dtypes |= inner.dtypes
                    access |= inner.access_bytes
                    cost += inner.cost
                    sums += inner.sums
                case Let():
                    pending.append(item.value)
                case Accumulate():
                    accumulated[item.name] = None
                    pending.append(item.value)
                    if item.position is not None:
                        pending.append(item.position)
                case Store():
                    stored.add(item.buffer)
                    access.add(item.value.dtype.itemsize)
                    pending += (item.value, *item.index)
                case Accumulator():
                    sums += 1
        while pending:
            expr = pending.pop()
            if isinstance(expr, Index):
                continue
            dtypes.add(expr.dtype)
            if isinstance(expr, Call):
                cost += COST.get(expr.op, 1)
                pending += expr.args
            elif isinstance(expr, Load):
                access.add(expr.dtype.itemsize)
                pending += expr.index
        return Body(
            frozenset(stored),
            tuple(accumulated),
            cost,
            sums,
            frozenset(access),
            frozenset(dtypes),
        )


def survey(statements: tuple[Statement, ...]) -> Body:
    """Facts about statements that are asked for once."""
    return Survey()(statements)


def positions_along(loop: For, names: Sequence[str]) -> dict[str, Index]:
    """The accumulators whose position counts the iterations of a loop, with the position."""
    return {
        item.name: item.position
        for item in loop.body
        if isinstance(item, Accumulate)
        and item.name in names
        and isinstance(item.position, Index)
        and isinstance(item.position.size, Dim)
        and isinstance(item.position.size.coefficient(loop.axis), int)
    }


def pieces(
    extent: Size, body: Body, target: Target, narrow: bool = False, in_rows: bool = False
) -> list[Piece]:
    """The pieces of a vector loop, in order. narrow: half a native vector at a time. in_rows: the
    loop runs many times, and may be short each time."""
    native = target.native_lanes(body.element_bytes)
    factor = 1 if body.cost > HEAVY else 2 if body.cost > LIGHT or not body.accumulated else 4
    masks = (body.access_bytes or {1}) <= target.masked_sizes
    while factor > 1 and factor * len(body.accumulated) > SUMS:
        factor //= 2
    if narrow and native > 2:
        native, factor = native // 2, 1
    blocked = body.sums > 1
    if blocked:
        factor = max(1, min(factor, REGISTERS // body.sums))
        if body.sums > 3:  # what bounds them is arithmetic
            factor = 1 if 2 * body.sums > SUMS else 2
    if not isinstance(extent, int):
        while factor > 1 and _is_at_most(extent, native * factor - 1):
            factor //= 2
        while native > 1 and _is_at_most(extent, native // 2):
            native //= 2
        if body.accumulated:
            if _is_at_most(extent, SHORT * native):
                factor = 1
        elif in_rows and body.cost <= LIGHT and native * body.element_bytes >= LINE:
            factor = 1 if most_of(extent) is None else factor
        main = native * factor if masks else native * min(factor, 2)
        rest = native if masks else 1
        if main == 1:
            return [Piece(1, None, None)]
        if masks and body.sums == 1 and main > 2 * native:
            # Every piece has the loop inside, which may be long.
            once = Piece(main, None, None, masked=True, above=native)
            return [Piece(main, 0, None), once, Piece(native, None, None, masked=True)]
        return [Piece(main, 0, None), Piece(rest, None, None, masked=masks)]
    if extent <= 0:
        return []
    if masks and body.sums == 1 and native < extent <= REGISTERS * native:
        lanes = _power_of_two_from(extent)
        return [Piece(lanes, 0, extent, masked=lanes != extent)]
    if masks and blocked:
        return _static_blocked(extent, native, factor)
    if masks:
        return _static_masked(extent, native, factor)
    return _static_unmasked(extent, native, factor)


def most_of(extent: Size) -> int | None:
    """A number of iterations that there are never more of, if one is known."""
    least = lower_bound(0 - extent)
    return None if least is None else -least


def _is_at_most(extent: Size, number: int) -> bool:
    most = most_of(extent)
    return most is not None and most <= number


def _static_masked(extent: int, native: int, factor: int) -> list[Piece]:
    if extent <= 2 * native and (factor > 1 or extent != 2 * native):
        lanes = _power_of_two_from(extent)
        return [Piece(lanes, 0, extent, masked=lanes != extent)]
    main = native * factor
    while main > extent or (extent <= 2 * native * factor and extent % main and main > native):
        main //= 2
    stop = extent - extent % main
    result = [Piece(main, 0, stop)]
    if rest := extent - stop:
        lanes = min(native, _power_of_two_from(rest))
        result.append(Piece(lanes, stop, extent, masked=rest % lanes != 0))
    return result


def _static_blocked(extent: int, native: int, factor: int) -> list[Piece]:
    """As many full sets of registers as fit, then whole vectors: what bounds them is arithmetic."""
    result = []
    start, lanes = 0, native * factor
    while lanes >= native:
        if stop := (extent - start) // lanes * lanes:
            result.append(Piece(lanes, start, start + stop))
            start += stop
        lanes //= 2
    if rest := extent - start:
        lanes = min(native, _power_of_two_from(rest))
        result.append(Piece(lanes, start, extent, masked=rest != lanes))
    return result


def _static_unmasked(extent: int, native: int, factor: int) -> list[Piece]:
    result = []
    start, lanes = 0, native * factor
    while start < extent:
        if stop := (extent - start) // lanes * lanes:
            result.append(Piece(lanes, start, start + stop))
            start += stop
        lanes //= 2
    return result


def _power_of_two_from(n: int) -> int:
    return 1 << (n - 1).bit_length()
