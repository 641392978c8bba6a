"""Memory for results: what a caller passes as `out=`, checked before anything runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.errors import FeedError
from graphc.ir.source import Source
from graphc.ir.tensor import Tensor
from graphc.shapes import evaluate, format_shape
from graphc.structure import LEAF, Structure

Given = list[np.ndarray | None]  # an array per output; None for a new one


class ResultChecker:
    """What `out=` of one function may be: the structure of its outputs, around arrays or None.

    An array must have the dtype and the shape of its output, be C-contiguous, aligned and
    writable, and overlap neither an argument nor another result.
    """

    def __init__(
        self,
        name: str,
        outputs: Sequence[Tensor],
        structure: Structure,
        size_names: Sequence[str],
    ) -> None:
        self.name = name
        self.outputs = tuple(outputs)
        self.structure = structure
        self.size_names = tuple(size_names)

    def leaves(self, out: Any) -> Given:
        """One array or None per output."""
        found: Given = []
        if out is None:
            return [None] * len(self.outputs)
        for label, value in self._walk(self.structure, out, "out"):
            if value is not None and not isinstance(value, np.ndarray):
                raise self.error(
                    f"{label} is a {type(value).__name__}, not an array",
                    len(found),
                    fix="pass arrays that numpy made, such as np.empty(shape, dtype)",
                )
            found.append(value)
        return found

    def _walk(self, structure: Structure, value: Any, label: str) -> list[tuple[str, Any]]:
        if structure is LEAF:
            return [(label, value)]
        if structure.kind == "none":
            return []
        if structure.kind == "trimmed":
            if value is None:
                return [(label, None)] * 2
            raise self.error(
                f"{label}: the size of this output depends on data, so it takes no memory",
                None,
                fix="pass None in its place, or give the op size=, for a result of fixed size",
            )
        if structure.kind == "dict":
            fits = isinstance(value, Mapping) and set(value) == set(structure.keys)
            wanted = f"a dict of {', '.join(map(repr, structure.keys))}"
            items = [value[key] for key in structure.keys] if fits else []
        else:
            fits = isinstance(value, list | tuple) and len(value) == len(structure.items)
            wanted = f"a {structure.kind} of {len(structure.items)} arrays"
            items = list(value) if fits else []
        if value is None:
            items, fits = [None] * len(structure.items), True
        if not fits:
            raise self.error(
                f"{label} does not look like what a call returns: {wanted}",
                None,
                fix="pass out= in the structure of the outputs, with None where an array is new",
            )
        found = []
        for position, (key, part, item) in enumerate(
            zip(structure.keys, structure.items, items, strict=True)
        ):
            inner = f"{label}[{position if key is None else key!r}]"
            if part.kind == "leaf" or item is not None:
                found += self._walk(part, item, inner)
            else:
                found += [(inner, None)] * len(list(part.paths()))
        return found

    def check(self, given: Given, sizes: Sequence[int], feeds: Mapping[str, np.ndarray]) -> None:
        """FeedError where an array cannot hold its result."""
        bindings = dict(zip(self.size_names, sizes, strict=True))
        for position, (array, output) in enumerate(zip(given, self.outputs, strict=True)):
            if array is None:
                continue
            shape = tuple(evaluate(size, bindings) for size in output.shape)
            problem = _problem(array, output.dtype, shape)
            if problem is not None:
                wanted = f"{output.dtype.name}{format_shape(shape)}"
                raise self.error(
                    f"{self.label(position)} {problem}",
                    position,
                    details=[f"allowed {wanted}, C-contiguous and writable"],
                    fix=f"pass np.empty({shape}, {output.dtype.name!r}), or None",
                )
        self._check_overlaps(given, feeds)

    def _check_overlaps(self, given: Given, feeds: Mapping[str, np.ndarray]) -> None:
        """Neighbours in memory are enough: they come sorted."""
        # Inputs have negative numbers.
        spans = [_span(array, ~number) for number, array in enumerate(feeds.values())]
        spans += [
            _span(array, position) for position, array in enumerate(given) if array is not None
        ]
        spans = sorted(span for span in spans if span[0] < span[1])

        def name(number: int) -> str:
            if number < 0:
                return f"input {list(feeds)[~number]!r}"
            return self.label(number)

        owners = {True: (0, 0), False: (0, -1)}
        for start, end, number in spans:
            is_out = number >= 0
            for other_out, (other_end, other) in owners.items():
                if (is_out or other_out) and start < other_end:
                    raise self.error(
                        f"{name(number)} overlaps {name(other)}",
                        number if is_out else other,
                        fix="pass memory that nothing else in the call uses",
                    )
            if end > owners[is_out][0]:
                owners[is_out] = (end, number)

    def label(self, position: int) -> str:
        """The array of an output as the caller wrote it: `out['y'][0]`."""
        path = [*self.structure.paths()][position]
        return "out" + "".join(f"[{key!r}]" for key in path)

    def error(
        self, message: str, position: int | None, *, details: Sequence[str] = (), fix: str
    ) -> FeedError:
        source: Source | None = None
        if position is not None and position < len(self.outputs):
            sources = self.outputs[position].sources
            source = sources[0] if sources else None
        return FeedError(
            f"{self.name}: {message}", code="E218", details=list(details), source=source, fix=fix
        )


def _problem(array: np.ndarray, dtype: np.dtype[Any], shape: tuple[int, ...]) -> str | None:
    """Why the array cannot hold a result of this dtype and shape."""
    if array.dtype != dtype or array.shape != shape:
        foreign = array.dtype.newbyteorder() == dtype and array.dtype != dtype
        order = f" in the other byte order ({array.dtype.str})" if foreign else ""
        return f"is {array.dtype.name}{format_shape(array.shape)}{order}"
    if not array.flags.c_contiguous:
        return f"is not contiguous: its strides are {array.strides}"
    if not array.flags.aligned:
        return f"is not aligned: its address is no multiple of {dtype.alignment}"
    return None if array.flags.writeable else "is read-only"


def _span(array: np.ndarray, number: int) -> tuple[int, int, int]:
    """The addresses of a dense array; none if it is empty."""
    start = int(array.__array_interface__["data"][0])
    return start, start + array.nbytes, number
