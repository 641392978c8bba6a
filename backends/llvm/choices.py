"""Values that are wanted under a condition alone, computed where the condition is known.

    for j in n vector:                               for j in n vector:
      p = minimum(maximum(j - 1, 0), 9)                t = 2.0*x[p] if 0 <= j - 1 ... else 0.0
      v = 2.0*x[p]                             ->      with p = minimum(maximum(j - 1, 0), 9)
      t = v if 0 <= j - 1 and j - 1 < 10 else 0.0      written out

In the first form the element is read whether it is wanted or not, so its index has to be clamped,
and lanes read one by one. In the second the condition stands for the clamps (expressions.py), and
neighbours are read together, those that are wanted.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from graphc.dtypes import int64
from graphc.loops.ir import Accumulate, For, Let, Statement, Store
from graphc.loops.tidy import map_values, values_of
from graphc.scalar.expr import Call, Expr, Index, Load, Local, children, cost, transform, walk
from graphc.shapes import Dim, Size

CLAMPS = ("minimum", "maximum")
FEW, CHEAP = 4, 8  # choices that each compute a value of so many additions, clamps included
MOST = 16  # parts of an index
PLACES = (*CLAMPS, "add", "sub", "mul")  # what indices are made of


def in_choices(body: Sequence[Statement], sizes: Collection[int]) -> tuple[Statement, ...]:
    """The statements with such values inside the choices that read them.

    sizes: of elements in bytes, of which some lanes are read as fast as all.
    """
    result: list[Statement] = []
    for item in body:
        if isinstance(item, For):
            inner = in_choices(item.body, sizes)
            if item.kind == "vector":
                own = frozenset(one.name for one in inner if isinstance(one, Let))
                inner = _Choices(item.axis, own, sizes).statements(inner)
            if any(one is not other for one, other in zip(inner, item.body, strict=False)):
                item = For(item.axis, item.extent, item.kind, inner)
        result.append(item)
    return tuple(result)


class _Choices(NamedTuple):
    """axis: of the lanes. own: values that may differ from lane to lane. sizes: as above."""

    axis: str
    own: frozenset[str]
    sizes: Collection[int]

    def statements(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        straight = all(isinstance(item, Let | Store | Accumulate) for item in body)
        if not straight or not any(map(_is_choice, _parts(body))):
            return body
        places: dict[str, Let] = {}
        parts: dict[str, int] = {}
        for item in body:
            count = _parts_of_place(item.value, parts) if isinstance(item, Let) else MOST + 1
            if isinstance(item, Let) and count <= MOST:
                places[item.name], parts[item.name] = item, count
        written = _without(body, places)
        found = False
        clamped: set[str] = set()
        for item in written:
            if isinstance(item, Let) and self.is_clamped(item, clamped):
                clamped.add(item.name)
        for item in reversed(written):
            if isinstance(item, Let) and item.name in clamped and _is_wanted(item, written):
                written = _without(written, {item.name: item})
                found = True
        return written if found else body

    def is_clamped(self, let: Let, others: Collection[str]) -> bool:
        """Whether it reads neighbours, if it were not for clamps of their indices. others: values
        that do."""
        parts = list(walk(let.value))
        loads = [part for part in parts if isinstance(part, Load)]
        clamped = [load for load in loads if any(map(_has_clamp, load.index))]
        made = any(isinstance(part, Local) and part.name in others for part in parts)
        return (made or bool(clamped)) and all(map(self.is_of_neighbours, clamped))

    def is_of_neighbours(self, load: Load) -> bool:
        *others, last = map(self.slope, load.index)
        near = last in (0, 1) and all(slope == 0 for slope in others)
        return near and load.dtype.itemsize in self.sizes

    def slope(self, index: Expr) -> Size | None:
        """What an index grows by from lane to lane where no clamp acts, if that is known."""
        match index:
            case Index(size=Dim() as size):
                return size.coefficient(self.axis)
            case Index():
                return 0
            case Local(name=name) if name not in self.own:
                return 0
            case Call(op="minimum" | "maximum", args=(inner, Index())):
                return self.slope(inner)
            case Call(op="mul", args=(inner, Index(size=int(factor)))):
                slope = self.slope(inner)
                return None if slope is None else slope * factor
            case Call(op="add" | "sub" as op, args=(left, right)):
                x, y = self.slope(left), self.slope(right)
                return None if x is None or y is None else x + y if op == "add" else x - y
        return None


def _parts(body: Sequence[Statement]) -> Iterator[Expr]:
    return (part for value in values_of(body) for part in walk(value))


def _is_choice(part: Expr) -> bool:
    return isinstance(part, Call) and part.op == "select"


def _parts_of_place(value: Expr, places: Mapping[str, int]) -> int:
    """How many parts an index made of axes has, written out; more than MOST for anything else.

    places: those of other indices. Integers made of integers made of integers have no end.
    """
    count = 0
    for part in walk(value):
        if isinstance(part, Local):
            count += places.get(part.name, MOST + 1)
        elif isinstance(part, Index) or (isinstance(part, Call) and part.op in PLACES):
            count += 1
        else:
            return MOST + 1
    return count if value.dtype == int64 else MOST + 1


def _has_clamp(index: Expr) -> bool:
    return any(isinstance(part, Call) and part.op in CLAMPS for part in walk(index))


def _is_wanted(let: Let, body: Sequence[Statement]) -> bool:
    """Whether choices alone read the value, and only where their conditions hold: one choice, or a
    few if that is cheap."""
    reads = Counter(
        guard for value in values_of(body) for name, guard in _reads(value) if name == let.name
    )
    few = reads[True] == 1 or (reads[True] <= FEW and cost(let.value) <= CHEAP)
    return reads[True] > 0 and not reads[False] and few


def _reads(value: Expr) -> Iterator[tuple[str, bool]]:
    """The locals of an expression, and whether each stands in the first branch of a choice."""
    pending = [(value, False)]
    while pending:
        part, guard = pending.pop()
        if isinstance(part, Local):
            yield part.name, guard
        for number, child in enumerate(children(part)):
            pending.append((child, guard or (_is_choice(part) and number == 1)))


def _without(body: Sequence[Statement], lets: dict[str, Let]) -> tuple[Statement, ...]:
    """The statements with values written out where they are read."""
    known: dict[str, Expr] = {}

    def leaf(part: Expr) -> Expr | None:
        return known.get(part.name) if isinstance(part, Local) else None

    result: list[Statement] = []
    for item in body:
        moved = map_values(item, lambda value: transform(value, leaf))
        if isinstance(moved, Let) and moved.name in lets:
            known[moved.name] = moved.value
        else:
            result.append(moved)
    return tuple(result)
