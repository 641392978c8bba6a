"""Elements side by side that a loop reads with a stride: loaded together, and transposed.

    for i in n vector:                     lane 0     x[0, 0] x[0, 1]        x[0, 0] x[0, 1]
      y[i] = f(x[i, 0], x[i, 1])    ->     lane 1     x[1, 0] x[1, 1]   ->   x[1, 0] x[1, 1]
                                           ...           loaded              one vector each

A load for each element and each lane becomes one for each lane. Only elements are loaded that the
loop reads in any case: no lane looks beyond the end of an array.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from graphc.backends.llvm.addresses import Array, index_polynomial
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.text import BITS, Val
from graphc.loops.ir import Accumulate, Let, Statement, Store
from graphc.scalar.expr import Call, Expr, Load
from graphc.shapes import Dim, Size

HALF = 128  # bits; most instructions that shuffle do so within halves of a register
TOGETHER = {"float": (4, 2), "i32": (4, 2), "double": (2,), "i64": (2,)}
MANY = 8  # elements that are loaded or stored lane by lane
Element = tuple[str, Size]  # an array, and a place in it


class Group(NamedTuple):
    """Neighbours: the place of the first one, how many, and which of them is meant."""

    start: Size
    length: int
    which: int


def groups(
    body: Sequence[Statement], axis: str, arrays: Mapping[str, Array]
) -> dict[Element, Group]:
    """The elements that a vector loop over `axis` may load together with others."""
    runs: dict[Element, set[int]] = {}
    for load in loads_of_every_lane(body):
        array = arrays.get(load.buffer)
        if array is None or array.lanes > 1 or array.type not in TOGETHER:
            continue
        place = index_polynomial(array, load.index)
        if isinstance(place, Dim) and place.coefficient(axis) not in (None, 0, 1, -1):
            constant = _constant(place)
            runs.setdefault((array.name, place - constant), set()).add(constant)
    found: dict[Element, Group] = {}
    for (name, base), places in runs.items():
        for first in sorted(places):
            if (name, base + first) in found:
                continue
            for count in TOGETHER[arrays[name].type]:
                if all(first + k in places for k in range(count)):
                    start = base + first
                    found |= {(name, start + k): Group(start, count, k) for k in range(count)}
                    break
    return found


def stands_apart(body: Sequence[Statement], axis: str, arrays: Mapping[str, Array]) -> bool:
    """Whether a vector loop over `axis` mostly moves single elements: wide lanes then save little
    time, and their code is long."""
    together = groups(body, axis, arrays)
    places: set[tuple[bool, Element]] = set()
    stores = [(True, item.buffer, item.index) for item in body if isinstance(item, Store)]
    loads = [(False, load.buffer, load.index) for load in loads_of_every_lane(body)]
    for is_store, buffer, index in (*stores, *loads):
        array = arrays.get(buffer)
        place = None if array is None else index_polynomial(array, index)
        if not isinstance(place, Dim) or place.coefficient(axis) in (None, 0, 1, -1, 2):
            continue
        if is_store or (buffer, place) not in together:
            places.add((is_store, (buffer, place)))
    return len(places) >= MANY


def loads_of_every_lane(body: Sequence[Statement]) -> Iterator[Load]:
    """The loads that happen in every lane."""
    pending: list[Expr] = []
    for item in body:
        if isinstance(item, Let | Store | Accumulate):
            pending.append(item.value)
    while pending:
        expr = pending.pop()
        if isinstance(expr, Load):
            yield expr
            pending += expr.index
        elif isinstance(expr, Call):
            pending += expr.args[:1] if expr.op == "select" else expr.args


def _constant(place: Dim) -> int:
    return sum(factor for monomial, factor in place.terms if not monomial.factors)


def load_together(
    code: Code, type: str, pointers: Sequence[Val], count: int, which: int, version: int, floor: int
) -> Val:
    """Element `which` of the `count` neighbours that each of the pointers points to."""
    whole = BITS[type] * count == HALF
    kind, elements = (type, count) if whole else ("double", 1)

    def row(pointer: Val) -> Val:
        align = BITS[type] // 8
        return code.pure(
            ("row", type, count, pointer.text, version),
            (pointer,),
            lambda: code.builder.load(pointer.text, kind, elements, align),
            floor,
        )

    rows, most = [row(pointer) for pointer in pointers], 2 * HALF // BITS[type]
    pieces = [rows[k : k + most] for k in range(0, len(rows), most)]
    found = [
        _whole(code, piece, which) if whole else _pairs(code, type, piece, which)
        for piece in pieces
    ]
    while len(found) > 1:
        found = [
            shuffled(code, a, b, range(2 * a.lanes))
            for a, b in zip(found[::2], found[1::2], strict=True)
        ]
    return found[0]


def _whole(code: Code, rows: Sequence[Val], which: int) -> Val:
    """Element `which` of rows of half a register each; instructions keep to halves."""
    count = rows[0].lanes
    if len(rows) > count:
        rows = [
            shuffled(code, a, b, range(2 * count))
            for a, b in zip(rows[:count], rows[count:], strict=True)
        ]
    if count == 2:
        return _picked(code, rows[0], rows[1], (which, which + 2))
    side = 2 * (which // 2)
    pairs = [
        _picked(code, a, b, (side, side + 4, side + 1, side + 5)) for a, b in (rows[:2], rows[2:])
    ]
    side = 2 * (which % 2)
    return _picked(code, pairs[0], pairs[1], (side, side + 1, side + 4, side + 5))


def _pairs(code: Code, type: str, rows: Sequence[Val], which: int) -> Val:
    """Element `which` of pairs that were loaded as a number of twice the width."""
    orders: dict[int, tuple[Sequence[int], Sequence[int]]] = {
        4: ((0, 1), (2, 3)),
        8: ((0, 1, 4, 5), (2, 3, 6, 7)),
    }
    first, second = (_joined(code, type, [rows[k] for k in order]) for order in orders[len(rows)])
    return _picked(code, first, second, (which, which + 2, which + 4, which + 6))


def _joined(code: Code, type: str, pairs: Sequence[Val]) -> Val:
    """Pairs as one vector of their elements."""

    def make() -> Val:
        builder, lanes = code.builder, len(pairs)
        joined = Val("poison", "double", lanes)
        for lane, pair in enumerate(pairs):
            text = f"insertelement {joined.ir_type} {joined.text}, double {pair.text}, i64 {lane}"
            joined = builder.emit(text, "double", lanes)
        text = f"bitcast {joined.ir_type} {joined.text} to <{2 * lanes} x {type}>"
        return builder.emit(text, type, 2 * lanes)

    return code.pure(("joined", type, *[pair.text for pair in pairs]), pairs, make)


def _picked(code: Code, a: Val, b: Val, places: Sequence[int]) -> Val:
    """The chosen places of a, then b, in every part of as many lanes alike."""
    part = len(places)
    order = [
        first + (place if place < part else a.lanes + place - part)
        for first in range(0, a.lanes, part)
        for place in places
    ]
    return shuffled(code, a, b, order)


def shuffled(code: Code, a: Val, b: Val, places: Sequence[int], floor: int = 0) -> Val:
    """A vector of the chosen places of a, then b. floor: see `Code.pure`.

    Of constants (masks of a known number of lanes) a constant again: where LLVM 22 shuffles
    them itself for AVX2, the second of two masked loads reads its last lanes without the mask.
    """
    if a.text.startswith("<") and b.text.startswith("<"):
        items = [*a.text[1:-1].split(", "), *b.text[1:-1].split(", ")]
        return Val(f"<{', '.join(items[place] for place in places)}>", a.type, len(places))
    order = ", ".join(f"i32 {place}" for place in places)
    return code.pure(
        ("shuffle", a.text, b.text, a.type, order),
        (a, b),
        lambda: code.builder.emit(
            f"shufflevector {a.ir_type} {a.text}, {b.ir_type} {b.text}, "
            f"<{len(places)} x i32> <{order}>",
            a.type,
            len(places),
        ),
        floor,
    )
