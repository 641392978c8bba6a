"""Chains: products over one batch, each with its epilogue, that may run matrix by matrix.

    s = q @ k.T          for each matrix of the batch
    p = softmax(s)       the epilogue
    o = p @ v            reads of p what the same matrix wrote

A backend may do all of it for the first matrix of the batch, then for the second, and so on: s and
p of one matrix stay in a cache. Where no product needs more than its own rows of what the others
wrote, blocks of rows will do. The meaning is that of the steps one after the other. What a chain
touches is alive during all of it (memory.lives); what nothing else touches may be memory for one
matrix or one block (`local`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from graphc.dims import divide
from graphc.loops.epilogues import Collapsed, Epilogue, epilogue_at, row_loop, with_sizes
from graphc.loops.ir import Buffer, Contraction, For, If, Statement, Step, Store
from graphc.loops.tidy import values_of
from graphc.records import dataclass
from graphc.scalar.expr import Expr, Index, Load, walk
from graphc.shapes import Dim, Size, size_product, symbols_of

ROLES = ("input", "variable", "constant", "output", "update", "temporary")
FEWEST = 2  # links


@dataclass(frozen=True, slots=True)
class Link:
    """A product and what follows it."""

    product: Contraction
    epilogue: Epilogue | None


@dataclass(frozen=True, slots=True)
class Region:
    """Where the elements of a matrix of the batch lie: the first matrix begins at `start`, each
    has `length` elements, one after the other."""

    start: Size
    length: Size


@dataclass(frozen=True, slots=True)
class Chain:
    """count: steps. by_rows: whether blocks of rows may run one after the other. local: buffers
    that nothing else touches, and how many elements of each belong to a matrix."""

    links: tuple[Link, ...]
    count: int
    by_rows: bool
    local: Mapping[str, Size]


class _Access:
    """How one link touches a buffer."""

    def __init__(self) -> None:
        self.regions: list[Region | None] = []
        self.writes = False
        self.reads = False
        self.by_product = True


def chain_at(
    steps: Sequence[Step],
    position: int,
    buffers: Mapping[str, Buffer],
    uses: Mapping[str, int],
    collapsed: Collapsed,
) -> Chain | None:
    """The longest chain that begins at a step. uses: in how many steps each buffer stands."""
    first = steps[position]
    if not isinstance(first, Contraction) or all(size == 1 for size in first.batch):
        return None
    links: list[Link] = []
    accesses: list[dict[str, _Access]] = []
    at = position
    end = position
    while at < len(steps):
        product = steps[at]
        if not isinstance(product, Contraction) or not _is_alike(first, product):
            break
        epilogue = epilogue_at(steps, at, collapsed)
        link = Link(product, epilogue)
        found = _accesses(link)
        if any(buffers[name].role not in ROLES for name in found):
            break
        if not all(_agrees(before, found, first) for before in accesses):
            break
        links.append(link)
        accesses.append(found)
        at += 1 if epilogue is None else 2
        end = at
    if len(links) < FEWEST or not _hands_on(accesses):
        return None
    return Chain(
        tuple(links),
        end - position,
        _is_by_rows(links, accesses),
        _local(links, accesses, buffers, uses),
    )


def _is_alike(first: Contraction, other: Contraction) -> bool:
    return first.batch == other.batch and first.dtype == other.dtype


def _hands_on(accesses: Sequence[Mapping[str, _Access]]) -> bool:
    """Whether a link reads what one before it wrote."""
    written: set[str] = set()
    for link in accesses:
        if any(access.reads and name in written for name, access in link.items()):
            return True
        written |= {name for name, access in link.items() if access.writes}
    return False


# --- what a link touches ------------------------------------------------------------------------


def _accesses(link: Link) -> dict[str, _Access]:
    """By buffer; of the product and of its epilogue."""
    found: dict[str, _Access] = {}
    product = link.product
    for number, name in enumerate((product.out, product.a, product.b)):
        access = found.setdefault(name, _Access())
        access.regions.append(_matrices(product, number))
        access.writes |= number == 0
        access.reads |= number > 0
    if link.epilogue is None:
        return found
    call = link.epilogue.call
    places = _Places(link.epilogue, product.m)
    for parameter, name in zip(call.kernel.parameters, call.arguments, strict=True):
        access = found.setdefault(name, _Access())
        access.regions.append(places.region(parameter.name))
        access.writes |= parameter.written
        access.by_product &= not parameter.written
        access.reads |= parameter.name in places.read
    return found


def _matrices(product: Contraction, number: int) -> Region | None:
    """Of the result (0), a (1) or b (2), where one matrix follows the other without a gap."""
    rows, columns = product.shapes[number]
    if product.distances[number] != columns:
        return None
    matrix = expected = rows * columns
    strides = product.strides[number]
    for size, stride in reversed(list(zip(product.batch, strides, strict=True))):
        if size == 1:
            continue
        if stride != expected:
            return None
        expected = expected * size
    return Region(product.starts[number], matrix)


class _Places:
    """Where the iterations of an epilogue touch its parameters."""

    def __init__(self, epilogue: Epilogue, rows: Size) -> None:
        call = epilogue.call
        loop = row_loop(call.kernel.body)
        assert loop is not None
        self.loop, self.iterations = loop, epilogue.units * rows
        self.bound = dict(zip(call.kernel.sizes, call.sizes, strict=True))
        self.parameters = {p.name: p for p in call.kernel.parameters}
        self.extents: dict[str, set[Size]] = {}
        self.indices: dict[str, list[Sequence[Expr]]] = {}
        self.read: set[str] = set()
        self.collect(call.kernel.body)

    def collect(self, body: Sequence[Statement]) -> None:
        """Which buffers the body indexes, and how; which of them it reads; its inner loops."""
        for value in values_of(body):
            for part in walk(value):
                if isinstance(part, Load):
                    self.indices.setdefault(part.buffer, []).append(part.index)
                    self.read.add(part.buffer)
        pending = list(body)
        while pending:
            item = pending.pop()
            if isinstance(item, Store):
                self.indices.setdefault(item.buffer, []).append(item.index)
                if item.accumulate:
                    self.read.add(item.buffer)
            if isinstance(item, For):
                extent = with_sizes(item.extent, self.bound)
                self.extents.setdefault(item.axis, set()).add(extent)
            if isinstance(item, For | If):
                pending.extend(item.body)

    def region(self, name: str) -> Region | None:
        """If each iteration touches its own elements, those of an iteration side by side."""
        shape = [with_sizes(size, self.bound) for size in self.parameters[name].shape]
        found = {self._place(shape, index) for index in self.indices.get(name, [])}
        if len(found) != 1:
            return None
        (place,) = found
        if place is None:
            return None
        start, width = place
        return Region(start, width * self.iterations)

    def _place(self, shape: Sequence[Size], index: Sequence[Expr]) -> tuple[Size, Size] | None:
        """Where the elements of the first iteration begin, and how many there are for each."""
        own = self.loop.axis
        place: Size = 0
        for size, part in zip(shape, index, strict=True):
            if not isinstance(part, Index):
                return None
            place = place * size + with_sizes(part.size, self.bound)
        if not isinstance(place, Dim):
            return None
        width = place.coefficient(own)
        if width is None or width == 0:
            return None
        start = place - width * Dim.symbol(own)
        inner = symbols_of(start) & self.extents.keys()
        if len(inner) > 1 or any(self.extents[axis] != {width} for axis in inner):
            return None
        for axis in inner:
            start = start - Dim.symbol(axis)
        if symbols_of(start) & self.extents.keys():
            return None
        return start, width


# --- how links get along ------------------------------------------------------------------------


def _agrees(
    before: Mapping[str, _Access], after: Mapping[str, _Access], first: Contraction
) -> bool:
    """Whether both may run matrix by matrix in turn."""
    count = size_product(first.batch)
    for name in before.keys() & after.keys():
        one, other = before[name], after[name]
        if not one.writes and not other.writes:
            continue
        for a in one.regions:
            for b in other.regions:
                if a is None or b is None or not (a == b or _are_apart(a, b, count)):
                    return False
    return True


def _are_apart(a: Region, b: Region, count: Size) -> bool:
    """Whether no matrix of the one has an element of a matrix of the other."""
    return _ends_before(a, b, count) or _ends_before(b, a, count)


def _ends_before(a: Region, b: Region, count: Size) -> bool:
    whole = a.length * count
    if whole == 0:
        return False
    times, rest = divide(b.start - a.start, whole)
    return isinstance(times, int) and times >= 1 and rest == 0


def _is_by_rows(links: Sequence[Link], accesses: Sequence[Mapping[str, _Access]]) -> bool:
    rows = links[0].product.m
    written = {name for link in accesses for name, access in link.items() if access.writes}
    return all(
        link.product.m == rows and not link.product.transpose_a and link.product.b not in written
        for link in links
    )


def _local(
    links: Sequence[Link],
    accesses: Sequence[Mapping[str, _Access]],
    buffers: Mapping[str, Buffer],
    uses: Mapping[str, int],
) -> dict[str, Size]:
    """Temporaries that are written first, always at the matrix, and stand in no other step."""
    found: dict[str, Size] = {}
    here: Counter[str] = Counter(name for link in links for name in _names(link))
    for number, link in enumerate(accesses):
        for name, access in link.items():
            if not access.writes or any(name in one for one in accesses[:number]):
                continue
            regions = {region for one in accesses if name in one for region in one[name].regions}
            if buffers[name].role != "temporary" or uses[name] != here[name] or len(regions) != 1:
                continue
            (region,) = regions
            if region is None or region.start != 0:
                continue
            whole = size_product(buffers[name].shape)
            if region.length * size_product(links[0].product.batch) == whole:
                found[name] = region.length
    return found


def _names(link: Link) -> Iterator[str]:
    product = link.product
    yield from (product.out, product.a, product.b)
    if link.epilogue is not None:
        yield from link.epilogue.call.arguments


def chains_in(
    steps: Sequence[Step],
    buffers: Mapping[str, Buffer],
    uses: Mapping[str, int],
    collapsed: Collapsed,
) -> dict[int, Chain]:
    """Chains that do not overlap, by the number of their first steps."""
    found: dict[int, Chain] = {}
    free = 0
    for number, step in enumerate(steps):
        if number >= free and isinstance(step, Contraction):
            chain = chain_at(steps, number, buffers, uses, collapsed)
            if chain is not None:
                found[number] = chain
                free = number + chain.count
    return found
