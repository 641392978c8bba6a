"""By how much two integer scalars differ, where that does not depend on their values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.linear_sums import difference, known_value


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda i, j: ((i + 1) * 4, i * 4), 4),
        (lambda i, j: (i * 4 + 4, 4 * i), 4),
        (lambda i, j: (-(j - i), i - j - 7), 7),
        (lambda i, j: ((i + j) * 2 - 1, j + (j + i) + i), -1),
        (lambda i, j: (3 * (2 * i + 1), 6 * i), 3),
        (lambda i, j: (i, j), None),
        (lambda i, j: (i * j + 1, i * j), None),  # two products, written twice
        (lambda i, j: (i * 2, i), None),
        (lambda i, j: (i.astype("int64") + 2, i.astype("int64")), 2),
        (lambda i, j: (i.astype("int8") + 2, i.astype("int8")), None),
    ],
)
def test_differences(build: Callable[..., Any], expected: int | None) -> None:
    i, j = gc.placeholder("i", (), "int32"), gc.placeholder("j", (), "int32")
    assert difference(*build(i, j)) == expected


def test_sizes_count_as_known() -> None:
    i, n = gc.placeholder("i", (), "int64"), gc.dim("n")
    assert difference((i + 1) * n, i * n) == n
    assert known_value(gc.as_tensor(n) * 2 - 3) == 2 * n - 3
    assert known_value(gc.constant(np.int32(5))) == 5
    assert known_value(i) is None


def test_a_long_chain() -> None:
    i = gc.placeholder("i", (), "int64")
    end = i
    for _ in range(20_000):
        end = end + 1
    assert difference(end, i) == 20_000
