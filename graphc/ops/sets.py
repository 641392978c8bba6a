"""The distinct elements of an array. How many there are depends on data: see `selection`.

NaN differs from everything, so each NaN is an element of its own; 0.0 and -0.0 are one.
"""

from typing import Any, NamedTuple

from graphc.dtypes import is_complex
from graphc.ir.arguments import checked_size
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.tensor import Tensor
from graphc.ir.trimmed import Trimmed
from graphc.ops.definition import promote_inputs
from graphc.shapes import Size

COMPARED = 32  # so many test elements are rather compared than sorted and searched

__all__ = [
    "UniqueAllResult",
    "UniqueCountsResult",
    "UniqueInverseResult",
    "isin",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


class UniqueAllResult(NamedTuple):
    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCountsResult(NamedTuple):
    values: Any
    counts: Any


class UniqueInverseResult(NamedTuple):
    values: Any
    inverse_indices: Any


class _Runs:
    """The elements in order, cut into runs of equal ones."""

    def __init__(self, name: str, x: Any, size: Size | None) -> None:
        self.name = name
        self.shape = as_tensor(x).shape
        flat = BUILDER.reshape(x, (-1,))
        self.length = flat.shape[0]
        self.is_bounded = size is not None
        self.size = self.length if size is None else checked_size(name, size)
        self.sorted, self.order = _in_order(flat)
        begins = BUILDER.not_equal(self.sorted, BUILDER.roll(self.sorted, 1))
        self.first = BUILDER.logical_or(begins, BUILDER.equal(BUILDER.arange(self.length), 0))
        self.number = BUILDER.subtract(BUILDER.cumulative_sum(self.first), 1)

    def at_starts(self, row: Tensor, fill_value: Any) -> Any:
        """The entries of a row where the runs begin."""
        places = BUILDER.true_places(self.first, self.size)
        if self.is_bounded:
            return BUILDER.picked_or_filled(row, places, fill_value)
        return self.trimmed(BUILDER.picked_within(row, places))

    def trimmed(self, row: Tensor) -> Any:
        if self.is_bounded:
            return row
        return Trimmed(self.name, row, BUILDER.count_nonzero(self.first))

    def counts(self) -> Any:
        """How long the runs are; 0 behind the last."""
        slot = BUILDER.minimum(self.number, self.size)
        none = BUILDER.full((self.size + 1,), 0, "int64")
        one = BUILDER.full((self.length,), 1, "int64")
        counts = BUILDER.scatter(none, (slot,), one, mode="add")
        return self.trimmed(BUILDER.slice_within(counts, (0,), (self.size,)))

    def inverse(self) -> Tensor:
        """For each element of x the number of its run."""
        none = BUILDER.full((self.length,), 0, "int64")
        return BUILDER.reshape(BUILDER.scatter(none, (self.order,), self.number), self.shape)


def _in_order(row: Tensor) -> tuple[Tensor, Tensor]:
    """The elements in order, and where they stood; complex ones by their real part, then by the
    imaginary one."""
    if not is_complex(row.dtype):
        return BUILDER.sort(row), BUILDER.argsort(row)
    by_imag = BUILDER.argsort(BUILDER.imag(row))
    by_real = BUILDER.argsort(BUILDER.take(BUILDER.real(row), by_imag))
    order = BUILDER.take(by_imag, by_real)
    return BUILDER.take(row, order), order


@public
def unique_values(x: Any, /, *, size: Size | None = None, fill_value: Any = 0) -> Any:
    """The distinct elements of x, in order (complex ones by real part first): of one axis.

    x: any shape and dtype; each NaN counts. size: how many, symbolic sizes too: the first ones,
    and fill_value behind the last; without it there are as many as x has distinct elements, and
    the result can only be an output of a function. The gradient goes to the first of equals.
    """
    runs = _Runs("unique_values", x, size)
    return runs.at_starts(runs.sorted, fill_value)


@public
def unique_counts(
    x: Any, /, *, size: Size | None = None, fill_value: Any = 0
) -> UniqueCountsResult:
    """(values, counts): the distinct elements of x, and how often each occurs, int64.

    size, fill_value: as for `unique_values`; behind the last the counts are 0.
    """
    runs = _Runs("unique_counts", x, size)
    return UniqueCountsResult(runs.at_starts(runs.sorted, fill_value), runs.counts())


@public
def unique_inverse(
    x: Any, /, *, size: Size | None = None, fill_value: Any = 0
) -> UniqueInverseResult:
    """(values, inverse_indices): the distinct elements of x, and for each element of x, in its
    shape, which of them it is, int64.

    size, fill_value: as for `unique_values`. Indices are not cut off: those of values that found
    no place in `size` are `size` or larger.
    """
    runs = _Runs("unique_inverse", x, size)
    return UniqueInverseResult(runs.at_starts(runs.sorted, fill_value), runs.inverse())


@public
def unique_all(x: Any, /, *, size: Size | None = None, fill_value: Any = 0) -> UniqueAllResult:
    """(values, indices, inverse_indices, counts): the distinct elements of x; where each occurs
    first in x flattened; for each element of x which of them it is; how often each occurs.

    size, fill_value: as for `unique_values`; behind the last, indices and counts are 0.
    """
    runs = _Runs("unique_all", x, size)
    return UniqueAllResult(
        runs.at_starts(runs.sorted, fill_value),
        runs.at_starts(runs.order, 0),
        runs.inverse(),
        runs.counts(),
    )


@public
def isin(x: Any, test_elements: Any, *, invert: bool = False) -> Tensor:
    """Whether each element of x is among test_elements: bool, of the shape of x.

    x, test_elements: any shapes and real dtypes, which are promoted. NaN is in nothing. invert:
    whether it is not. A few test_elements are compared with each element; more are sorted, and
    searched.
    """
    tensor, others = promote_inputs("isin", x, test_elements)
    size = others.size
    if isinstance(size, int) and size == 0:
        return BUILDER.broadcast_to(bool(invert), tensor.shape)
    if isinstance(size, int) and size <= COMPARED:
        column = BUILDER.reshape(others, (size,) + (1,) * tensor.ndim)
        found = BUILDER.any(BUILDER.equal(column, tensor), axis=0)
        return ~found if invert else found
    row = BUILDER.sort(BUILDER.reshape(others, (-1,)))
    if not isinstance(size, int):  # there may be none: then what stands here is not looked at
        row = BUILDER.concat([row, BUILDER.zeros((1,), row.dtype)])
    place = BUILDER.searchsorted(row[:size], tensor)
    found = BUILDER.equal(BUILDER.take(row, BUILDER.minimum(place, row.shape[0] - 1)), tensor)
    found = found & (place < size)
    result: Tensor = ~found if invert else found
    return result
