"""Shapes in symbolic sizes, evaluated together: each distinct size once."""

from collections.abc import Mapping, Sequence

from graphc.shapes import Dim, Shape


class ShapeTable:
    """What several shapes are at given sizes."""

    __slots__ = ("_dims", "_rows")

    def __init__(self, shapes: Sequence[Shape]) -> None:
        places: dict[Dim, int] = {}
        # Of each shape: its numbers, and which of them are replaced by the value of which size.
        self._rows: list[tuple[tuple[int, ...], tuple[tuple[int, int], ...]]] = []
        for shape in shapes:
            numbers = tuple(size if isinstance(size, int) else 0 for size in shape)
            symbolic = tuple(
                (axis, places.setdefault(size, len(places)))
                for axis, size in enumerate(shape)
                if isinstance(size, Dim)
            )
            self._rows.append((numbers, symbolic))
        self._dims = tuple(places)

    def at(self, bindings: Mapping[str, int]) -> list[tuple[int, ...]]:
        """The shapes in numbers, in order."""
        values = [dim.evaluate(bindings) for dim in self._dims]
        found: list[tuple[int, ...]] = []
        for numbers, symbolic in self._rows:
            if symbolic:
                row = list(numbers)
                for axis, place in symbolic:
                    row[axis] = values[place]
                found.append(tuple(row))
            else:
                found.append(numbers)
        return found
