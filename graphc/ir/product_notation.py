"""The subscripts of a window product: which elements of two operands meet at a point of the loops.

    n,c,2y+p,2x+q;o,c,p,q->n,o,y,x

A letter is a loop axis. An index is a sum of axes, each with a whole number of steps in front of it
unless that is 1. The two operands stand before the arrow, with an index for each of their axes; the
result behind it, with one letter an axis. Axes that the result lacks are summed over.

    n,y+p-4,x+q,c;p,q,c,o->n,y,x,o

An index of the left operand may have a number taken off: along that axis the operand stands between
zeros, which are not stored. Products with them are left out.
"""

import re
from collections.abc import Mapping

from graphc.records import dataclass
from graphc.shapes import Size

Terms = tuple[tuple[str, int], ...]  # (axis, steps)

_TERM = re.compile(r"(\d*)([a-z])")
_BEFORE = re.compile(r"-(\d+)$")


@dataclass(frozen=True, slots=True)
class ProductNotation:
    """left, right: an index for each axis of an operand. result: its axes in order. before: how
    many zeros stand before each axis of left; None: nothing is read outside of it."""

    left: tuple[Terms, ...]
    right: tuple[Terms, ...]
    result: str
    before: tuple[int | None, ...]

    @staticmethod
    def read(subscripts: str) -> "ProductNotation":
        operands, _, result = subscripts.partition("->")
        left, _, right = operands.partition(";")
        found = [_BEFORE.search(index) for index in left.split(",")]
        before = tuple(None if match is None else int(match.group(1)) for match in found)
        indices = ",".join([_BEFORE.sub("", index) for index in left.split(",")])
        return ProductNotation(_indices(indices), _indices(right), result.replace(",", ""), before)

    @property
    def clipped(self) -> frozenset[str]:
        """The axes of indices that may lie outside of the left operand."""
        pairs = zip(self.left, self.before, strict=True)
        return frozenset(axis for terms, before in pairs if before is not None for axis, _ in terms)

    def axes_of(self, number: int) -> frozenset[str]:
        """The axes that operand `number` depends on."""
        operand = (self.left, self.right)[number]
        return frozenset(axis for terms in operand for axis, _ in terms)


def _indices(operand: str) -> tuple[Terms, ...]:
    return tuple(_terms(index) for index in operand.split(","))


def _terms(index: str) -> Terms:
    found = []
    for term in index.split("+"):
        match = _TERM.fullmatch(term)
        if match is None:
            raise ValueError(f"{index!r} is no index of a window product")
        found.append((match.group(2), int(match.group(1) or 1)))
    return tuple(found)


def last_index(terms: Terms, sizes: Mapping[str, Size]) -> Size:
    """The highest value of an index over loops of these sizes, if none of them is empty."""
    total: Size = 0
    for axis, steps in terms:
        total = total + (sizes[axis] - 1) * steps
    return total
