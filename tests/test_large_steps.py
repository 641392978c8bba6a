"""Steps on arrays of more than 2^31 bytes or elements: convolutions, pools, products, columns.

As in `tests.test_large_arrays`: zeros with marks, 5 GB at most, all of them slow.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.test_large_arrays import BITS, BYTES, CHUNK, FLOATS, marked, marks, room

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SIDE = 16_411  # two channels of float32 are more than 2^31 bytes
TALL = (FLOATS // 129 + 3, 129)


def same_rows(found: np.ndarray, given: np.ndarray, meaning: Callable[[Any], Any]) -> None:
    """found = meaning(given), row by row, looked at in parts."""
    step = max(1, CHUNK // given.shape[1])
    assert len(found) == len(given)
    for start in range(0, len(given), step):
        some = slice(start, start + step)
        np.testing.assert_allclose(found[some], meaning(given[some]), rtol=1e-4, atol=1e-5)


def kernel_of(channels: int) -> np.ndarray:
    return (np.arange(9 * channels, dtype="float32") % 5).reshape(1, channels, 3, 3)


def test_gradient_of_an_image() -> None:
    room(5)
    x, w = gc.placeholder("x", (1, 2, None, None)), gc.placeholder("w", (1, 2, 3, 3))
    g = gc.placeholder("g", (1, 1, None, None))
    (gradient,) = gc.grad(gc.sum(gc.nn.conv2d(x, w, padding="same") * g), [x])
    f = gc.function([w, g, x], gradient, on_unused_input="ignore")
    given = marked((1, 1, SIDE, SIDE), "float32")
    kernel = kernel_of(2)
    found = f(kernel, given, np.broadcast_to(np.float32(0), (1, 2, SIDE, SIDE)))
    assert found.nbytes > BYTES
    framed = np.pad(given[0, 0], 1)
    for c in range(2):
        wanted = np.zeros((SIDE, SIDE), "float32")
        for i, j in np.ndindex(3, 3):
            part = framed[2 - i : 2 - i + SIDE, 2 - j : 2 - j + SIDE]
            wanted += kernel[0, c, i, j] * part
        assert np.array_equal(found[0, c], wanted)


def test_gradient_of_a_kernel() -> None:
    room(4)
    x, w = gc.placeholder("x", (1, 2, None, None)), gc.placeholder("w", (1, 2, 3, 3))
    (gradient,) = gc.grad(gc.sum(gc.nn.conv2d(x, w)), [w])
    image = marked((1, 2, SIDE, SIDE), "float32")
    found = gc.function([x, w], gradient, on_unused_input="ignore")(image, kernel_of(2))
    inner = SIDE - 2
    for c, i, j in np.ndindex(2, 3, 3):
        assert found[0, c, i, j] == image[0, c, i : i + inner, j : j + inner].sum(dtype="float64")


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_pools(kind: str) -> None:
    room(5)
    x = gc.placeholder("x", (1, 2, None, None))
    pool = gc.nn.max_pool if kind == "max" else gc.nn.average_pool
    image = marked((1, 2, SIDE, SIDE), "float32")
    found = gc.function([x], pool(x, 2))(image)
    half = SIDE // 2
    for c in range(2):
        parts = image[0, c, : 2 * half, : 2 * half].reshape(half, 2, half, 2)
        wanted = parts.max((1, 3)) if kind == "max" else parts.mean((1, 3))
        assert np.array_equal(found[0, c], wanted)


def test_gradient_of_a_pool() -> None:
    room(5)
    x = gc.placeholder("x", (1, 2, None, None))
    image = marked((1, 2, SIDE, SIDE), "float32")
    found = gc.function([x], gc.grad(gc.sum(gc.nn.max_pool(x, 2)), x))(image)
    half = SIDE // 2
    assert found.nbytes > BYTES
    for c in range(2):
        parts = found[0, c, : 2 * half, : 2 * half].reshape(half, 2, half, 2)
        assert np.all(parts.sum((1, 3)) == 1)
        assert not found[0, c, 2 * half :].any() and not found[0, c, :, 2 * half :].any()
        for at in marks(image.size):
            row, column = divmod(at - c * SIDE * SIDE, SIDE)
            if 0 <= row < 2 * half and column < 2 * half:
                window = image[0, c, row & ~1 : (row & ~1) + 2, column & ~1 : (column & ~1) + 2]
                if window.argmax() == (row & 1) * 2 + (column & 1):
                    assert found[0, c, row, column] == 1


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("rows", [1, 5])
def test_product_with_a_large_matrix(rows: int, transposed: bool) -> None:
    """The large one on the right: 65 rows, or columns, of many numbers."""
    room(4)
    k, n = 65, FLOATS // 65 + 7
    a = gc.placeholder("a", (rows, k))
    b = gc.placeholder("b", (None, k) if transposed else (k, None))
    array = marked((n, k) if transposed else (k, n), "float32")
    weights = np.arange(rows * k, dtype="float32").reshape(rows, k) % 7
    found = gc.function([a, b], a @ (b.T if transposed else b))(weights, array)
    matrix = array.T if transposed else array
    for start in range(0, n, 1 << 20):
        some = slice(start, start + (1 << 20))
        assert np.array_equal(found[:, some], weights @ matrix[:, some])


def test_a_matrix_and_vectors() -> None:
    room(4)
    rows, columns = 33_001, 16_301
    a = gc.placeholder("a", (None, None))
    u, v = gc.placeholder("u", (None,)), gc.placeholder("v", (None,))
    array = marked((rows, columns), "float32")
    assert array.nbytes > BYTES
    left, right = (np.arange(n, dtype="float32") % 7 for n in (rows, columns))
    first, second = gc.function([a, u, v], [a @ v, u @ a])(array, left, right)
    np.testing.assert_array_equal(first, array @ right)
    np.testing.assert_array_equal(second, left @ array)


def test_outer_product() -> None:
    room(4)
    u, v = gc.placeholder("u", (None,)), gc.placeholder("v", (None,))
    left, right = (np.arange(n, dtype="float32") % 7 for n in (33_001, 16_301))
    found = gc.function([u, v], gc.outer(u, v) + 1)(left, right)
    assert found.nbytes > BYTES
    for start in range(0, len(left), 1024):
        some = slice(start, start + 1024)
        assert np.array_equal(found[some], np.outer(left[some], right) + 1)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_columns(dtype: str) -> None:
    """Sums, extrema and their places down columns, of the array and of its transpose."""
    room(4)
    shape = TALL if dtype == "float32" else (BITS // 129 + 3, 129)
    x = gc.placeholder("x", (None, 129), dtype)
    array = marked(shape, dtype)
    outputs = [gc.sum(x, axis=0), gc.max(x, axis=0), gc.argmax(x, axis=0), gc.sum(x.T, axis=1)]
    total, largest, place, across = gc.function([x], outputs)(array)
    across_rows = gc.function([x], gc.max(x.T, axis=0))(array)
    wanted_total, wanted_largest = np.zeros(129), np.zeros(129)
    wanted_rows = np.zeros(shape[0], dtype)
    for number, at in enumerate(marks(array.size)):
        row, column = divmod(at, 129)
        wanted_total[column] += number + 1
        wanted_largest[column] = max(wanted_largest[column], number + 1)
        wanted_rows[row] = max(wanted_rows[row], number + 1)
    np.testing.assert_array_equal(total, wanted_total)
    np.testing.assert_array_equal(across, wanted_total)
    np.testing.assert_array_equal(largest, wanted_largest)
    np.testing.assert_array_equal(across_rows, wanted_rows)
    for seen in np.flatnonzero(wanted_largest):
        assert array[place[seen], seen] == wanted_largest[seen]


def test_running_sums_down_columns() -> None:
    room(5)
    x = gc.placeholder("x", (None, 129))
    array = marked(TALL, "float32")
    found = gc.function([x], gc.cumulative_sum(x, axis=0))(array)
    before = np.zeros(129, "float32")
    for start in range(0, len(array), 1 << 18):
        some = slice(start, start + (1 << 18))
        wanted = before + array[some].cumsum(0, dtype="float32")
        np.testing.assert_array_equal(found[some], wanted)
        before = wanted[-1]


def test_transpose_of_floats() -> None:
    room(5)
    x = gc.placeholder("x", (None, 129))
    array = marked(TALL, "float32")
    found = gc.function([x], x.T * 2)(array)
    assert found.flags.c_contiguous
    for row in range(129):
        assert np.array_equal(found[row], array[:, row] * 2)


@pytest.mark.parametrize("kind", ["int32", "uint16", "int64"])
def test_picked_entries_by_narrow_indices(kind: str) -> None:
    """The indices fit into few bits, the places that they name do not."""
    rows = 60_001
    columns = BITS // rows + 3
    x = gc.placeholder("x", (None, None), "int8")
    i, j = gc.placeholder("i", (None,), kind), gc.placeholder("j", (None,), kind)
    array = marked((rows, columns), "int8")
    first, second = np.divmod(np.array(marks(array.size)), columns)
    found = gc.function([x, i, j], [x[i, j], x[i][:, 0], gc.take(x, i, axis=0)[:, 1]])(
        array, first.astype(kind), second.astype(kind)
    )
    np.testing.assert_array_equal(found[0], np.arange(1, len(first) + 1))
    np.testing.assert_array_equal(found[1], array[first, 0])
    np.testing.assert_array_equal(found[2], array[first, 1])


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_added_rows(kind: str) -> None:
    """The gradient of picked rows: rows added to zeros."""
    room(4)
    x, i = gc.placeholder("x", (None, 129)), gc.placeholder("i", (None,), kind)
    y = gc.placeholder("y", (None, 129))
    gradient = gc.grad(gc.sum(gc.take(x, i, axis=0) * y), x)
    places = np.array([0, 5, 5, *(at // 129 for at in marks(FLOATS))], kind)
    added = np.arange(len(places) * 129, dtype="float32").reshape(len(places), 129)
    f = gc.function([x, i, y], gradient, on_unused_input="ignore")
    found = f(np.broadcast_to(np.float32(0), TALL), places, added)
    wanted: dict[int, np.ndarray] = {}
    for place, row in zip(places.tolist(), added, strict=True):
        wanted[place] = wanted.get(place, np.zeros(129, "float32")) + row
    for place, row in wanted.items():
        np.testing.assert_array_equal(found[place], row)
        found[place] = 0
    same_rows(found, found, np.zeros_like)


def test_positions_as_values() -> None:
    """Numbers that count elements."""
    room(4)
    n = gc.placeholder("n", (None,), "int8")
    array = np.zeros(BITS, "int8")
    count = gc.arange(n.shape[0])
    f = gc.function([n], [gc.sum(gc.where(count >= BITS - 5, count, 0)), gc.max(count + n)])
    total, last = f(array)
    assert (total, last) == (sum(range(BITS - 5, BITS)), BITS - 1)


def test_long_rows() -> None:
    """Two rows of more than 2^30 elements each."""
    room(5)
    x = gc.placeholder("x", (2, None), "int8")
    array = marked((2, BITS // 2 + 5), "int8")
    shifted = gc.astype(x, "float32")
    outputs = [gc.sum(gc.exp(shifted - 8), axis=1), gc.logsumexp(shifted, axis=1)]
    total, log = gc.function([x], outputs)(array)
    exact = np.array([np.exp(row[row != 0].astype("float64") - 8).sum() for row in array])
    zeros = np.array([np.count_nonzero(row == 0) for row in array])
    np.testing.assert_allclose(total, exact + zeros * np.exp(-8.0), rtol=2e-3)  # of float32
    np.testing.assert_allclose(log, np.log(exact * np.exp(8.0) + zeros), rtol=1e-4)
