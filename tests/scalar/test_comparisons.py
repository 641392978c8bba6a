"""Networks of comparisons, on all rows of zeros and ones: what sorts these sorts all rows.

Knuth, The Art of Computer Programming 3, theorem 5.3.4 Z.
"""

import itertools
from collections.abc import Sequence

import pytest

from graphc.scalar.comparisons import bitonic_merge, sorting_network


def compared(row: Sequence[int], comparisons: list[tuple[int, int]]) -> list[int]:
    found = list(row)
    for i, j in comparisons:
        found[i], found[j] = min(found[i], found[j]), max(found[i], found[j])
    return found


@pytest.mark.parametrize("size", range(1, 17))
def test_networks_sort(size: int) -> None:
    comparisons = sorting_network(size)
    for row in itertools.product((0, 1), repeat=size) if size <= 12 else ():
        assert compared(row, comparisons) == sorted(row)
    assert len(comparisons) == {2: 1, 4: 5, 8: 19, 16: 63}.get(size, len(comparisons))


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16])
def test_runs_up_and_down_are_merged(size: int) -> None:
    comparisons = bitonic_merge(size)
    for ones in range(size + 1):
        for shift in range(size):
            row = [int((place - shift) % size < ones) for place in range(size)]
            assert compared(row, comparisons) == sorted(row)
