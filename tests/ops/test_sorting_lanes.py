"""Many rows that are sorted at once, a lane for each."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.loops.sorting_lanes import LONGEST, SHORTEST

DTYPES = ("float32", "float64", "float16", "int8", "uint16", "int32", "uint64", "bool")
LANES = "held"  # the array that such kernels sort in


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Ties, both zeros, infinities and nan among them."""
    rng = np.random.default_rng(shape[-1])
    x = np.round(rng.normal(size=shape) * 9)
    if dtype.startswith("float"):
        for special in (np.nan, np.inf, -np.inf, -0.0, 0.0):
            x[rng.random(shape) < 0.03] = special
    return (
        (x > 0) if dtype == "bool" else np.abs(x).astype(dtype) if "u" in dtype else x.astype(dtype)
    )


def sorted_ways(x: Any, axis: int) -> list[Any]:
    """Values and positions together, and each of them alone, upwards and downwards."""
    return [
        gc.sort(x, axis=axis),
        gc.argsort(x, axis=axis),
        gc.sort(x, axis=axis, descending=True),
        gc.argsort(-x if x.dtype == "float32" else x, axis=axis, descending=True),
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((70, SHORTEST), 1), ((64, 33), 1), ((5, 100), 1), ((50, 21), 0), ((2, 19, 24), 1)],
)
def test_values_and_positions(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    x = numbers(shape, dtype)
    given = gc.placeholder("x", shape, dtype)
    f = gc.function([given], sorted_ways(given, axis), backend="llvm", check=True)
    assert LANES in str(f.loops())
    wanted = gc.function([given], sorted_ways(given, axis), backend="reference")(x)
    outputs = f(x)
    for found, value in zip(outputs, wanted, strict=True):
        np.testing.assert_array_equal(found, value, strict=True)
    if x.dtype.kind == "f":  # zeros of both signs are equal, and keep their order
        signs = np.signbit(outputs[0][wanted[0] == 0])
        np.testing.assert_array_equal(signs, np.signbit(wanted[0][wanted[0] == 0]))


@pytest.mark.parametrize("size", [17, 31, 32, 63, 65, 96, 255, 257, 520, 1000, 2049, LONGEST])
def test_sizes(size: int) -> None:
    x = numbers((19, size), "float32")
    given = gc.placeholder("x", ("n", size))
    f = gc.function([given], [gc.sort(given), gc.argsort(given)], backend="llvm")
    assert LANES in str(f.loops())
    values, positions = f(x)
    np.testing.assert_array_equal(values, np.sort(x))
    np.testing.assert_array_equal(positions, np.argsort(x, kind="stable"))


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 15, 16, 17, 33])
def test_any_number_of_rows(rows: int) -> None:
    """One function for all of them: whole tiles, and what is left over."""
    across, down = gc.placeholder("x", ("n", 20)), gc.placeholder("y", (3, 20, "n"), "float64")
    outputs = [gc.sort(across), gc.argsort(across), gc.sort(down, axis=1)]
    f = gc.function([across, down], outputs, backend="llvm")
    assert str(f.loops()).count(f"{LANES}:") == 2
    x = numbers((rows + 1, 20), "float32")[:rows]
    y = numbers((3, 20, rows + 1), "float64")[:, :, :rows].copy()
    values, positions, below = f(x, y)
    np.testing.assert_array_equal(values, np.sort(x))
    np.testing.assert_array_equal(positions, np.argsort(x, kind="stable"))
    np.testing.assert_array_equal(below, np.sort(y, axis=1))


@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_backends(backend: str, dtype: str) -> None:
    shape = (9, 18) if dtype == "float64" else (17, 18)
    x = numbers(shape, dtype)
    given = gc.placeholder("x", shape, dtype)
    f = gc.function([given], [gc.sort(given), gc.argsort(given)], backend=backend)
    assert LANES in str(f.loops())
    values, positions = f(x)
    np.testing.assert_array_equal(values, np.sort(x))
    np.testing.assert_array_equal(positions, np.argsort(x, kind="stable"))


def test_few_rows_are_sorted_one_by_one() -> None:
    for shape, axis in (((1, 40), 1), ((3, 600), 1), ((40, 5), 0), ((9, 16), 1), ((9, 9000), 1)):
        given = gc.placeholder("x", shape)
        f = gc.function([given], gc.sort(given, axis=axis), backend="llvm")
        assert f"{LANES}: u32[" not in str(f.loops())


def test_positions_of_equal_elements_stand_in_order() -> None:
    given = gc.placeholder("x", (16, 100))
    f = gc.function([given], gc.argsort(given), backend="llvm")
    for x in (np.zeros((16, 100)), np.full((16, 100), np.nan), np.tile([0.0, -0.0], (16, 50))):
        np.testing.assert_array_equal(f(x.astype("float32")), np.tile(np.arange(100), (16, 1)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(
    ("shape", "axis", "count"),
    [((37, 20), 1, 1), ((64, 50), 1, 3), ((40, 131), 1, 8), ((33, 200), 1, 16), ((60, 24), 0, 5)],
)
def test_selection(
    shape: tuple[int, ...], axis: int, count: int, largest: bool, dtype: str
) -> None:
    x = numbers(shape, dtype)
    given = gc.placeholder("x", shape, dtype)
    outputs = list(gc.top_k(given, count, axis=axis, largest=largest))
    f = gc.function([given], outputs, backend="llvm", check=True)
    wanted = gc.function([given], outputs, backend="reference")(x)
    assert LANES in str(f.loops())
    for found, value in zip(f(x), wanted, strict=True):
        np.testing.assert_array_equal(found, value, strict=True)


@pytest.mark.parametrize("backend", ["llvm", "interpreter", "numba_cpu"])
def test_selection_from_any_number_of_rows(backend: str) -> None:
    given = gc.placeholder("x", ("n", 21))
    values, positions = gc.top_k(given, 3)
    f = gc.function([given], [values, positions], backend=backend)
    assert LANES in str(f.loops())
    for rows in (0, 1, 8, 15, 19):
        x = numbers((rows + 1, 21), "float32")[:rows]
        wanted = gc.function([given], [values, positions], backend="reference")(x)
        for found, value in zip(f(x), wanted, strict=True):
            np.testing.assert_array_equal(found, value)


def test_many_of_a_row_are_sorted() -> None:
    given = gc.placeholder("x", ("n", 1000))
    f = gc.function([given], list(gc.top_k(given, 100)), backend="llvm")
    assert "held: u64[1024, 8]" in str(f.loops())
    x = numbers((21, 1000), "float32")
    values, positions = f(x)
    wanted = gc.function([given], list(gc.top_k(given, 100)), backend="reference")(x)
    np.testing.assert_array_equal(values, wanted[0])
    np.testing.assert_array_equal(positions, wanted[1])


@pytest.mark.parametrize("dtype", ["int16", "uint8"])
@pytest.mark.parametrize("size", [32_768, 32_769])
def test_positions_fit_below_short_keys(size: int, dtype: str) -> None:
    given = gc.placeholder("x", (32, size), dtype)
    values, positions = gc.top_k(given, 2)
    f = gc.function([given], [values, positions], backend="llvm")
    assert (LANES in str(f.loops())) == (size == 32_768)
    x = np.zeros((32, size), dtype)
    x[:, -1], x[:, size // 2] = 7, 5
    np.testing.assert_array_equal(f(x)[0], [[7, 5]] * 32)
    np.testing.assert_array_equal(f(x)[1], [[size - 1, size // 2]] * 32)
