"""Arrays of more than 2^31 bytes, and of more than 2^31 elements: positions take 64 bits.

Inputs are zero but for marks at the places where a narrow number would turn over. Each test needs
5 GB at most; all of them are slow.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gc

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

BYTES = 1 << 31
FLOATS = BYTES // 4 + 1031  # float32: more than 2^31 bytes
BITS = BYTES + 4099  # int8: more than 2^31 elements
CHUNK = 1 << 26


def room(gigabytes: float) -> None:
    """Skip where the machine has less memory left."""
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
        left = int(lines["MemAvailable"].split()[0]) / 1e6
    except OSError:
        return
    if left < gigabytes + 1:
        pytest.skip(f"{left:.1f} GB of memory left, {gigabytes} needed")


def marks(size: int) -> list[int]:
    edges = (0, 1, size // 2, (1 << 29) + 5, (1 << 30) + 3, (1 << 31) - 1, 1 << 31, (1 << 31) + 7)
    return sorted({at for at in (*edges, size - 2, size - 1) if 0 <= at < size})


def marked(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Zeros, and the numbers 1, 2, 3, ... at the marks."""
    array = np.zeros(shape, dtype)
    flat = array.reshape(-1)
    for number, at in enumerate(marks(flat.size)):
        flat[at] = number + 1
    return array


def chunks(size: int) -> Iterator[slice]:
    return (slice(start, min(start + CHUNK, size)) for start in range(0, size, CHUNK))


def agrees(found: np.ndarray, given: np.ndarray, meaning: Callable[[Any], Any]) -> None:
    """found = meaning(given), element by element, looked at in chunks."""
    one, other = found.reshape(-1), given.reshape(-1)
    assert one.size == other.size
    for part in chunks(one.size):
        assert np.array_equal(one[part], meaning(other[part])), part


CASES = [("float32", (FLOATS,)), ("int8", (BITS,)), ("float32", (4099, FLOATS // 4099 + 1))]


@pytest.mark.parametrize(("dtype", "shape"), CASES)
def test_elementwise(dtype: str, shape: tuple[int, ...]) -> None:
    room(4.5)
    x = gc.placeholder("x", (None,) * len(shape), dtype)
    f = gc.function([x], x * 3 + 1)
    array = marked(shape, dtype)
    agrees(f(array), array, lambda a: a * 3 + 1)


def test_backwards() -> None:
    room(4.5)
    x = gc.placeholder("x", (None,), "int8")
    array = marked((BITS,), "int8")
    agrees(gc.function([x], x[::-1] + 1)(array), array[::-1], lambda a: a + 1)


@pytest.mark.parametrize(("dtype", "size"), [("float32", FLOATS), ("int8", BITS)])
def test_reductions_of_a_vector(dtype: str, size: int) -> None:
    x = gc.placeholder("x", (None,), dtype)
    array = marked((size,), dtype)
    f = gc.function([x], [gc.sum(x, dtype="int64"), gc.max(x), gc.argmax(x), gc.sum(x * x > 0)])
    total, largest, place, count = f(array)
    n = len(marks(size))
    assert (total, largest, place, count) == (n * (n + 1) // 2, n, size - 1, n)


@pytest.mark.parametrize("rows", [3, 70_001])
@pytest.mark.parametrize(("dtype", "size"), [("float32", FLOATS), ("int8", BITS)])
def test_reductions_of_an_axis(dtype: str, size: int, rows: int) -> None:
    x = gc.placeholder("x", (None, None), dtype)
    array = marked((rows, size // rows + 1), dtype)
    f = gc.function([x], [gc.max(x, axis=0), gc.max(x, axis=1), gc.argmax(x, axis=1)])
    by_column, by_row, places = f(array)
    columns = array.shape[1]
    wanted_columns, wanted_rows = np.zeros(columns, dtype), np.zeros(rows, dtype)
    for number, at in enumerate(marks(array.size)):
        row, column = divmod(at, columns)
        wanted_columns[column] = max(wanted_columns[column], number + 1)
        wanted_rows[row] = max(wanted_rows[row], number + 1)
    np.testing.assert_array_equal(by_column, wanted_columns)
    np.testing.assert_array_equal(by_row, wanted_rows)
    for row in np.flatnonzero(wanted_rows):
        assert array[row, places[row]] == wanted_rows[row]


@pytest.mark.parametrize(("dtype", "size"), [("float32", FLOATS), ("int8", BITS)])
def test_gather(dtype: str, size: int) -> None:
    x, i = gc.placeholder("x", (None,), dtype), gc.placeholder("i", (None,), "int64")
    array = marked((size,), dtype)
    places = np.array(marks(size)[::-1])
    f = gc.function([x, i], [x[i], gc.take(gc.reshape(x, (-1, 1)), i, axis=0)])
    picked, rows = f(array, places)
    np.testing.assert_array_equal(picked, np.arange(len(places), 0, -1))
    np.testing.assert_array_equal(rows[:, 0], picked)
    with pytest.raises(gc.IndexOutOfRange, match=str(size)):
        f(array, np.array([size]))


@pytest.mark.parametrize(("dtype", "size"), [("float32", FLOATS), ("int8", BITS)])
def test_scatter(dtype: str, size: int) -> None:
    room(4.5)
    x, i = gc.placeholder("x", (None,), dtype), gc.placeholder("i", (None,), "int64")
    array = marked((size,), dtype)
    places = np.array([*marks(size), size - 1])
    found = gc.function([x, i], x.at[i].add(2))(array, places)
    array[places] += 2
    array[-1] += 2
    agrees(found, array, lambda a: a)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("columns", [1, 2, 9])
def test_product_of_a_large_matrix(columns: int, transposed: bool) -> None:
    room(3)
    k = 65
    rows = FLOATS // k + 7
    a = gc.placeholder("a", (k, None) if transposed else (None, k))
    b = gc.placeholder("b", (k, columns))
    array = marked((k, rows) if transposed else (rows, k), "float32")
    weights = np.arange(k * columns, dtype="float32").reshape(k, columns) % 7
    found = gc.function([a, b], (a.T if transposed else a) @ b)(array, weights)
    matrix = array.T if transposed else array
    for part in chunks(rows):
        step = slice(part.start, part.stop)
        for start in range(step.start, step.stop, 1 << 20):
            some = slice(start, min(start + (1 << 20), step.stop))
            assert np.array_equal(found[some], matrix[some] @ weights)


def test_product_that_sums_over_a_long_axis() -> None:
    k, n = FLOATS // 3 + 5, 2
    a, b = gc.placeholder("a", (3, None)), gc.placeholder("b", (None, n))
    array, weights = marked((3, k), "float32"), np.ones((k, n), "float32")
    found = gc.function([a, b], a @ b)(array, weights)
    np.testing.assert_allclose(found, np.repeat(array.sum(1)[:, None], n, 1), rtol=1e-5)


def test_large_product() -> None:
    room(3)
    m, n, k = 30_011, 18_013, 4
    a, b = gc.placeholder("a", (None, k)), gc.placeholder("b", (k, None))
    left = np.arange(m * k, dtype="float32").reshape(m, k) % 5
    right = np.arange(k * n, dtype="float32").reshape(k, n) % 3
    found = gc.function([a, b], a @ b)(left, right)
    assert found.nbytes > BYTES
    for start in range(0, m, 1000):
        some = slice(start, start + 1000)
        assert np.array_equal(found[some], left[some] @ right)


def test_products_over_a_batch() -> None:
    room(4)
    count = FLOATS // 64 + 3
    a, b = gc.placeholder("a", (None, 8, 8)), gc.placeholder("b", (8, 2))
    array = marked((count, 8, 8), "float32")
    weights = np.arange(16, dtype="float32").reshape(8, 2)
    found = gc.function([a, b], a @ b)(array, weights)
    for start in range(0, count, 1 << 20):
        some = slice(start, start + (1 << 20))
        assert np.array_equal(found[some], array[some] @ weights)


@pytest.mark.parametrize(("dtype", "size"), [("float32", FLOATS), ("int8", BITS)])
def test_concat(dtype: str, size: int) -> None:
    room(4.5)
    x, y = gc.placeholder("x", (None,), dtype), gc.placeholder("y", (None,), dtype)
    array = marked((size,), dtype)
    found = gc.function([x, y], gc.concat([x, y]))(array[: size // 2], array[size // 2 :])
    agrees(found, array, lambda a: a)


def test_columns_put_side_by_side() -> None:
    room(4.5)
    x = gc.placeholder("x", (None, 3), "int8")
    array = marked((BITS // 6 + 1, 3), "int8")
    found = gc.function([x], gc.concat([x, x + 1], axis=1))(array)
    assert found.size > BYTES
    for start in range(0, len(array), CHUNK // 8):
        some = slice(start, start + CHUNK // 8)
        assert np.array_equal(found[some, :3], array[some])
        assert np.array_equal(found[some, 3:], array[some] + 1)


def test_transpose() -> None:
    room(4.5)
    x = gc.placeholder("x", (None, None), "int8")
    array = marked((32_771, BITS // 32_771 + 1), "int8")
    found = gc.function([x], x.T + 1)(array)
    for start in range(0, len(found), 512):
        part = array[:, start : start + 512].T
        assert np.array_equal(found[start : start + 512], part + 1)


@pytest.mark.parametrize(
    "name", ["softmax", "layer_norm", "sort", "cumulative_sum", "cumulative_max"]
)
def test_rows(name: str) -> None:
    """Many rows of 129 numbers, each computed as a whole."""
    room(4.5)
    x = gc.placeholder("x", (None, 129))
    mean = gc.mean(x, axis=1, keepdims=True)
    meanings: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "softmax": (
            gc.softmax(x, axis=1),
            lambda a: np.exp(a) / np.exp(a).sum(1, keepdims=True),
        ),
        "layer_norm": (
            (x - mean) / gc.sqrt(gc.var(x, axis=1, keepdims=True) + 1e-2),
            lambda a: (a - a.mean(1, keepdims=True)) / np.sqrt(a.var(1, keepdims=True) + 1e-2),
        ),
        "sort": (gc.sort(x, axis=1, descending=True), lambda a: -np.sort(-a, axis=1)),
        "cumulative_sum": (gc.cumulative_sum(x, axis=1), lambda a: a.cumsum(1)),
        "cumulative_max": (gc.cumulative_max(x, axis=1), lambda a: np.maximum.accumulate(a, 1)),
    }
    expression, meaning = meanings[name]
    array = marked((FLOATS // 129 + 3, 129), "float32")
    found = gc.function([x], expression)(array)
    assert found.nbytes > BYTES
    for start in range(0, len(array), 1 << 18):
        some = slice(start, start + (1 << 18))
        assert np.allclose(found[some], meaning(array[some]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["sort", "cumulative_max"])
def test_one_long_row(name: str) -> None:
    room(5)
    x = gc.placeholder("x", (None,), "int8")
    array = marked((BITS,), "int8")
    found = gc.function([x], getattr(gc, name)(x))(array)
    n = len(marks(BITS))
    if name == "sort":
        np.testing.assert_array_equal(found[-n:], np.arange(1, n + 1))
        assert found[-n - 1] == 0 and not found[:CHUNK].any()
    else:
        for number, at in enumerate(marks(BITS)):
            assert found[at] == number + 1 and (at == 0 or found[at - 1] == number)


def test_convolution() -> None:
    room(4.5)
    x, w = gc.placeholder("x", (1, 2, None, None)), gc.placeholder("w", (1, 2, 3, 3))
    array = marked((1, 2, 16_411, 16_411), "float32")
    assert array.nbytes > BYTES
    kernel = (np.arange(18, dtype="float32") % 5).reshape(1, 2, 3, 3)
    found = gc.function([x, w], gc.nn.conv2d(x, w))(array, kernel)
    height, width = found.shape[2:]
    wanted = np.zeros((height, width), "float32")
    for c, i, j in np.ndindex(2, 3, 3):
        wanted += kernel[0, c, i, j] * array[0, c, i : i + height, j : j + width]
    assert np.array_equal(found[0, 0], wanted)
