"""The subscripts of a window product: which elements of two operands meet at a point of the loops.

    n,c,2y+p,2x+q;o,c,p,q->n,o,y,x

A letter is a loop axis. An index is a sum of axes, each with a whole number of steps in front of it
unless that is 1. The two operands stand before the arrow, with an index for each of their axes; the
result behind it, with one letter an axis. Axes that the result lacks are summed over.

    n,y+p-4,x+q,c;p,q,c,o->n,y,x,o

An index may have a number added or taken off, and terms taken off: along that axis the operand
stands between zeros, which are not stored. Products with them are left out.

    n,y+p,c;u+2-2p,c,o->n,y,u,o
"""

import re
from collections.abc import Mapping

from graphc.records import dataclass
from graphc.shapes import Size

Terms = tuple[tuple[str, int], ...]  # (axis, steps)

_TERM = re.compile(r"([+-]?)(\d*)([a-z]?)")


@dataclass(frozen=True, slots=True)
class ProductNotation:
    """left, right: an index for each axis of an operand. result: its axes in order. starts: of the
    indices of both, the number that is added; None: nothing is read outside of the operand."""

    left: tuple[Terms, ...]
    right: tuple[Terms, ...]
    result: str
    starts: tuple[tuple[int | None, ...], tuple[int | None, ...]]

    @staticmethod
    def read(subscripts: str) -> "ProductNotation":
        operands, _, result = subscripts.partition("->")
        found = [list(map(_index, operand.split(","))) for operand in operands.split(";")]
        left, right = (tuple([terms for terms, _ in indices]) for indices in found)
        starts = tuple([start for _, start in found[0]]), tuple([start for _, start in found[1]])
        return ProductNotation(left, right, result.replace(",", ""), starts)

    @property
    def operands(self) -> tuple[tuple[Terms, ...], tuple[Terms, ...]]:
        return self.left, self.right

    @property
    def clipped(self) -> frozenset[str]:
        """The axes of indices that may lie outside of their operand."""
        return frozenset(
            axis
            for indices, starts in zip(self.operands, self.starts, strict=True)
            for terms, start in zip(indices, starts, strict=True)
            if start is not None
            for axis, _ in terms
        )

    def axes_of(self, number: int) -> frozenset[str]:
        """The axes that operand `number` depends on."""
        return frozenset(axis for terms in self.operands[number] for axis, _ in terms)


def _index(text: str) -> tuple[Terms, int | None]:
    """Its terms, and the number that is added to them, if there is one."""
    terms: list[tuple[str, int]] = []
    start: int | None = None
    place = 0
    while place < len(text):
        match = _TERM.match(text, place)
        assert match is not None  # it matches the empty string
        sign, digits, axis = match.groups()
        if not (digits or axis) or (place and not sign) or (not axis and start is not None):
            raise ValueError(f"{text!r} is no index of a window product")
        number = int(digits or 1) * (-1 if sign == "-" else 1)
        if axis:
            terms.append((axis, number))
        else:
            start = number
        place = match.end()
    taken_off = any(steps < 0 for _, steps in terms)
    return tuple(terms), 0 if start is None and taken_off else start


def last_index(terms: Terms, sizes: Mapping[str, Size]) -> Size:
    """The highest value of an index over loops of these sizes, if none of them is empty."""
    total: Size = 0
    for axis, steps in terms:
        total = total + (sizes[axis] - 1) * max(steps, 0)
    return total


def first_index(terms: Terms, sizes: Mapping[str, Size]) -> Size:
    """The lowest one."""
    return -last_index(tuple([(axis, -steps) for axis, steps in terms]), sizes)
