"""Sorting against numpy: axes, dtypes, sizes, NaN, ties and their order, derivatives, errors."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FeedError, GraphcError, ShapeError
from graphc.gradient_check import verify_grad

NAN, INF = np.nan, np.inf
BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
NATIVE = ("interpreter", "llvm")


def run(
    backend: str, build: Callable[..., Any], *arrays: np.ndarray, symbolic: bool = True
) -> list[np.ndarray]:
    inputs = [
        gc.placeholder(f"x{n}", (None,) * a.ndim if symbolic else a.shape, a.dtype)
        for n, a in enumerate(arrays)
    ]
    outputs: list[np.ndarray] = gc.function(
        inputs, list(build(*inputs)), backend=backend, check=True
    )(*arrays)
    return outputs


def both(x: Any, **options: Any) -> tuple[Any, Any]:
    return gc.sort(x, **options), gc.argsort(x, **options)


def descending(array: np.ndarray, axis: int = -1) -> np.ndarray:
    """Positions by python's own sort, which is stable: the largest first, NaN last."""

    def row(values: np.ndarray) -> list[int]:
        number = range(len(values))
        with np.errstate(invalid="ignore"):
            ranks = np.where(values != values, 0, -values.astype(float))
        return sorted(number, key=lambda k: (values[k] != values[k], ranks[k]))

    return np.apply_along_axis(row, axis, array).astype(np.int64)


@pytest.mark.parametrize("symbolic", [True, False])
@pytest.mark.parametrize("backend", NATIVE)
def test_every_axis(backend: str, symbolic: bool) -> None:
    rng = np.random.default_rng(0)
    for shape in ((3, 4, 18), (2, 1, 5), (1, 2, 3)):
        array = rng.integers(0, 6, size=shape).astype(np.float32)
        for axis in range(-3, 3):
            build = functools.partial(both, axis=axis)
            values, positions = run(backend, build, array, symbolic=symbolic)
            np.testing.assert_array_equal(values, np.sort(array, axis), strict=True)
            expected = np.argsort(array, axis, kind="stable")
            np.testing.assert_array_equal(positions, expected, strict=True)
            build = functools.partial(both, axis=axis, descending=True)
            _, positions = run(backend, build, array, symbolic=symbolic)
            np.testing.assert_array_equal(positions, descending(array, axis), strict=True)


@pytest.mark.parametrize("backend", NATIVE)
def test_sizes(backend: str) -> None:
    """One function for all of them, and one for each."""
    x = gc.placeholder("x", (None,), "int32")
    compiled = gc.function([x], list(both(x)), backend=backend)
    for size in (*range(10), 15, 16, 17, 31, 33, 64, 100):
        array = np.random.default_rng(size).integers(0, 9, size=size).astype(np.int32)
        for found in (compiled(array), run(backend, both, array, symbolic=False)):
            np.testing.assert_array_equal(found[0], np.sort(array), strict=True)
            np.testing.assert_array_equal(found[1], np.argsort(array, kind="stable"), strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint16", "int32", "int64"])
@pytest.mark.parametrize("backend", ["llvm", "numba_cpu"])
def test_long_rows(backend: str, dtype: str) -> None:
    """Sorted digit by digit: all signs and exponents, ties, zeros of both signs, NaN."""
    if backend == "numba_cpu" and dtype in ("float64", "int32", "uint16"):
        pytest.skip("the same code")
    rng = np.random.default_rng(6)
    bits = rng.integers(0, 256, size=(2, 700 * np.dtype(dtype).itemsize), dtype=np.uint8)
    array = bits.view(dtype).copy()
    array[:, ::7] = array[:, :100]
    array[:, 5::11] = 0
    if array.dtype.kind == "f":
        array[:, 3::13], array[:, 7::17] = -0.0, NAN
    build = functools.partial(both, descending=True) if backend == "llvm" else both
    (values, positions), down = run(backend, both, array), run(backend, build, array)[1]
    np.testing.assert_array_equal(values, np.sort(array), strict=True)
    expected = np.argsort(array, axis=-1, kind="stable")
    np.testing.assert_array_equal(positions, expected, strict=True)
    assert not np.signbit(values[values == 0]).all()
    np.testing.assert_array_equal(
        np.signbit(values), np.signbit(np.take_along_axis(array, positions, -1))
    )
    if backend == "llvm" and array.dtype.kind == "f":
        np.testing.assert_array_equal(down, descending(array))


def test_one_function_for_short_and_long_rows() -> None:
    x = gc.placeholder("x", ("n", 2), "float32")
    f = gc.function([x], list(both(x, axis=0)), check=True)
    for size in (0, 1, 255, 256, 257, 1000):
        array = np.random.default_rng(size).normal(size=(size, 2)).astype(np.float32)
        values, positions = f(array)
        np.testing.assert_array_equal(values, np.sort(array, axis=0))
        np.testing.assert_array_equal(positions, np.argsort(array, axis=0, kind="stable"))


def test_long_rows_in_the_interpreter() -> None:
    array = np.random.default_rng(8).integers(-99, 99, size=300).astype(np.int16)
    values, positions = run("interpreter", both, array, symbolic=False)
    np.testing.assert_array_equal(values, np.sort(array))
    np.testing.assert_array_equal(positions, np.argsort(array, kind="stable"))


def test_large_rows() -> None:
    array = np.random.default_rng(3).normal(size=(2, 30_011))
    values, positions = run("llvm", both, array)
    np.testing.assert_array_equal(values, np.sort(array))
    np.testing.assert_array_equal(positions, np.argsort(array, kind="stable"))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", "bool", "float16"])
def test_dtypes(dtype: str) -> None:
    array = np.random.default_rng(1).integers(0, 256, size=(3, 11)).astype(dtype)
    for backend in NATIVE:
        values, positions = run(backend, both, array)
        np.testing.assert_array_equal(values, np.sort(array), strict=True)
        np.testing.assert_array_equal(positions, np.argsort(array, kind="stable"))


def test_extreme_integers() -> None:
    array = np.array([2**63 - 1, -(2**63), 0, -1, 2**63 - 1])
    values, positions = run("llvm", lambda x: both(x, descending=True), array)
    np.testing.assert_array_equal(values, np.sort(array)[::-1])
    np.testing.assert_array_equal(positions, [0, 4, 2, 3, 1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_is_last_either_way(backend: str) -> None:
    array = np.array([[NAN, 1, INF, NAN, -INF, -0.0, 0.0], [NAN] * 7], np.float32)
    up, up_positions, down, down_positions = run(
        backend, lambda x: (*both(x), *both(x, descending=True)), array
    )
    np.testing.assert_array_equal(up, np.sort(array))
    np.testing.assert_array_equal(up_positions, np.argsort(array, kind="stable"))
    np.testing.assert_array_equal(down[0], [INF, 1, 0, 0, -INF, NAN, NAN])
    np.testing.assert_array_equal(down_positions, [[2, 1, 5, 6, 4, 0, 3], range(7)])


@pytest.mark.parametrize("backend", BACKENDS)
def test_top_k(backend: str) -> None:
    array = np.array([[3.0, 1, 3, 2], [0, NAN, -1, 0]])

    def build(x: Any) -> list[Any]:
        return [*gc.top_k(x, 3), *gc.top_k(x, 1, axis=0, largest=False), *gc.top_k(x, 0)]

    values, positions, least, where, nothing, nowhere = run(backend, build, array)
    np.testing.assert_array_equal(values, [[3, 3, 2], [0, 0, -1]])
    np.testing.assert_array_equal(positions, [[0, 2, 3], [0, 3, 2]])
    np.testing.assert_array_equal(least, [[0, 1, -1, 0]])
    np.testing.assert_array_equal(where, [[1, 0, 1, 1]])
    assert nothing.shape == nowhere.shape == (2, 0) and nowhere.dtype == np.int64


@pytest.mark.parametrize("largest", [True, False])
def test_top_k_of_rows_of_any_length(largest: bool) -> None:
    """Few are selected, more are sorted: the same elements of the same rows."""
    rng = np.random.default_rng(3)
    for size in (1, 2, 8, 9, 30, 100, 257):
        x = rng.integers(-9, 9, size=(4, size)).astype("float32")
        x[0, ::2] = NAN
        counts = sorted({1, 2, 8, 9, size // 10, size // 10 + 1, size} & set(range(1, size + 1)))
        found = run(
            "llvm",
            lambda x, counts=counts: [y for k in counts for y in gc.top_k(x, k, largest=largest)],
            x,
        )
        order = descending(x) if largest else np.argsort(x, axis=-1, kind="stable")
        for number, k in enumerate(counts):
            expected = np.take_along_axis(x, order[:, :k], -1)
            np.testing.assert_array_equal(found[2 * number + 1], order[:, :k])
            np.testing.assert_array_equal(found[2 * number], expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_top_k_of_long_rows(backend: str) -> None:
    """Selected, not sorted: NaN, ties, the highest and lowest numbers, fewer numbers than k."""
    rng = np.random.default_rng(9)
    many = rng.integers(0, 9, size=(3, 300)).astype(np.float32)
    many[0, ::3], many[1, 3:] = NAN, NAN
    many[2, :2], many[2, 5] = INF, -INF
    counts = rng.integers(0, 3, size=300).astype(np.uint8) * 127
    for largest in (True, False):
        found = run(
            backend,
            lambda x, n, largest=largest: [
                *gc.top_k(x, 5, largest=largest),
                *gc.top_k(n, 32, largest=largest),
            ],
            many,
            counts,
        )
        order = descending(many) if largest else np.argsort(many, axis=-1, kind="stable")
        np.testing.assert_array_equal(found[1], order[:, :5])
        np.testing.assert_array_equal(found[0], np.take_along_axis(many, order[:, :5], -1))
        order = descending(counts) if largest else np.argsort(counts, kind="stable")
        np.testing.assert_array_equal(found[3], order[:32])
        np.testing.assert_array_equal(found[2], counts[order[:32]], strict=True)


@pytest.mark.parametrize("kind", ["any", "rising", "ties", "equal", "nan"])
@pytest.mark.parametrize(("size", "count"), [(1000, 40), (4097, 33), (5000, 500), (9000, 2200)])
def test_top_k_of_many(size: int, count: int, kind: str) -> None:
    """Selected, or sorted where too many would enter; chosen by their highest digit."""
    x = np.random.default_rng(size).normal(size=(2, size))
    x = {
        "any": x,
        "rising": np.sort(x),
        "ties": np.round(x * 2),
        "equal": x * 0,
        "nan": np.where(np.abs(x) < 2.5, NAN, x),
    }[kind]
    integers = np.nan_to_num(x * 1000).astype("int32")
    for array, shape in ((x, x.shape), (integers, ("rows", "size"))):
        given = gc.placeholder("x", shape, str(array.dtype))
        for largest in (True, False):
            out = list(gc.top_k(given, count, largest=largest))
            values, positions = gc.function([given], out, backend="llvm")(array)
            order = descending(array) if largest else np.argsort(array, axis=-1, kind="stable")
            np.testing.assert_array_equal(positions, order[:, :count])
            np.testing.assert_array_equal(values, np.take_along_axis(array, order[:, :count], -1))


@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu"])
@pytest.mark.parametrize("count", [40, 600])
def test_top_k_of_many_on_every_backend(count: int, backend: str) -> None:
    x = np.random.default_rng(1).normal(size=4100)
    given = gc.placeholder("x", (None,), "float64")
    f = gc.function([given], list(gc.top_k(given, count)), backend=backend, check=True)
    # The interpreter takes a second for each thousand.
    for array in (
        (x, np.sort(x)) if backend == "numba_cpu" else ((x if count == 40 else np.sort(x)),)
    ):
        np.testing.assert_array_equal(f(array)[1], np.argsort(-array, kind="stable")[:count])


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_top_k_of_a_symbolic_number_stays_within_the_axis(backend: str) -> None:
    x, w = gc.placeholder("x", ("n",), "float64"), gc.placeholder("w", ("k",), "float64")
    values, positions = gc.top_k(x, gc.dim("k"))
    f = gc.function([x, w], [values + 0 * gc.sum(w), positions], backend=backend)
    array = np.array([3.0, 1.0, 2.0])
    for k in range(4):
        found, where = f(array, np.zeros(k))
        np.testing.assert_array_equal(found, [3.0, 2.0, 1.0][:k])
        np.testing.assert_array_equal(where, [0, 2, 1][:k])
    with pytest.raises(FeedError):
        f(array, np.zeros(4))


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_top_k_of_too_few(backend: str) -> None:
    x = gc.placeholder("x", ("n", 2))
    f = gc.function([x], list(gc.top_k(x, 3, axis=0)), backend=backend)
    assert [a.shape for a in f(np.zeros((3, 2), np.float32))] == [(3, 2), (3, 2)]
    with pytest.raises(gc.IndexOutOfRange, match="k = 3 for axis 0"):
        f(np.zeros((2, 2), np.float32))


def test_derivatives() -> None:
    array = np.random.default_rng(4).normal(size=(3, 5))
    for axis in (0, 1):
        verify_grad(functools.partial(gc.sort, axis=axis), [array])
        verify_grad(lambda x, axis=axis: gc.sort(x, axis=axis, descending=True) ** 2, [array])
        verify_grad(lambda x, axis=axis: gc.top_k(gc.sin(x), 2, axis=axis)[0], [array])
    verify_grad(lambda x: gc.grad(gc.sum(gc.sin(gc.sort(x))), x), [array])
    slope = run("llvm", lambda x: [gc.grad(gc.sum(gc.top_k(x, 2)[0]), x)], array)[0]
    np.testing.assert_array_equal(slope, array >= np.sort(array)[:, -2:-1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_searchsorted(backend: str) -> None:
    rng = np.random.default_rng(5)
    sides: tuple[Any, ...] = ("left", "right")

    def build(row: Any, values: Any) -> list[Any]:
        return [gc.searchsorted(row, values, side=side) for side in sides]

    sizes = (0, 1, 2, 7, 8, 33) if backend != "numba_cpu" else (7,)
    for size in sizes:
        row = np.sort(rng.integers(0, 12, size=size).astype(np.float32))
        values = np.array([[-1, 0, 5, 20], [NAN, INF, 3.5, 11]], np.float32)
        for held in (row, np.concatenate([row, [NAN, NAN]]).astype(np.float32)):
            for symbolic in (True, False):
                found = run(backend, build, held, values, symbolic=symbolic)
                for side, places in zip(sides, found, strict=True):
                    expected = np.searchsorted(held, values, side=side)
                    np.testing.assert_array_equal(places, expected, strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64", "uint64"])
def test_searchsorted_in_tiles(dtype: str) -> None:
    """Values are searched for 256 at a time, on any number of threads."""
    rng = np.random.default_rng(6)
    x, y = gc.placeholder("x", ("n",), dtype), gc.placeholder("y", ("m", "k"), dtype)
    places = [gc.searchsorted(x, y), gc.searchsorted(x, y, side="right")]
    for threads in (1, 3):
        f = gc.function([x, y], places, threads=threads)
        for size, shape in (
            (1000, (255, 1)),
            (1, (16, 16)),
            (31, (257, 3)),
            (0, (2, 300)),
            (9, (0, 4)),
        ):
            row = np.sort(rng.integers(0, 100, size=size)).astype(dtype)
            values = rng.integers(0, 100, size=shape).astype(dtype)
            for found, side in zip(f(row, values), ("left", "right"), strict=True):
                expected = np.searchsorted(row, values, side=side)  # type: ignore[call-overload]
                np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float16", gc.bfloat16])
def test_searchsorted_of_few_digits(backend: str, dtype: Any) -> None:
    """NaN is the largest of these numbers too."""
    row = np.array([-1, 0, 3, INF, NAN, NAN], dtype)
    values = np.array([NAN, 0.5, INF, -2], dtype)
    found = run(
        backend,
        lambda r, v: [gc.searchsorted(r, v), gc.searchsorted(r, v, side="right")],
        *(row, values),
    )
    assert [places.tolist() for places in found] == [[4, 2, 3, 0], [6, 2, 4, 0]]


def test_searchsorted_of_integers_and_by_a_sorter() -> None:
    row, values = np.array([5, -3, 9, 5], np.int16), np.array([5, 4, 100, -7], np.int64)
    found = run("llvm", lambda r, v: [gc.searchsorted(r, v, sorter=gc.argsort(r))], row, values)[0]
    np.testing.assert_array_equal(found, np.searchsorted(np.sort(row), values), strict=True)


def test_errors() -> None:
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(ShapeError, match="sort"):
        gc.sort(x, axis=2)
    with pytest.raises(ShapeError, match="argsort"):
        gc.argsort(gc.placeholder("y", ()))
    with pytest.raises(ShapeError, match="top_k: k is 5"):
        gc.top_k(x, 5)
    with pytest.raises(ShapeError, match="top_k: k is -1"):
        gc.top_k(x, -1)
    with pytest.raises(ShapeError, match="searchsorted"):
        gc.searchsorted(x, 1.0)
    with pytest.raises(ShapeError, match="side 'middle'"):
        gc.searchsorted(x[0], 1.0, side="middle")  # type: ignore[arg-type]
    with pytest.raises(GraphcError, match="sort"):
        gc.grad(gc.sum(gc.argsort(x).astype("float32")), x)
    short = gc.placeholder("short", (None,))
    few = gc.function([short], gc.top_k(short, 3)[0])
    with pytest.raises(GraphcError):
        few(np.zeros(2, np.float32))


@pytest.mark.parametrize("axis", [0, -1])
def test_lexsort(axis: int) -> None:
    rng = np.random.default_rng(0)
    keys = [rng.integers(0, 3, (5, 7)).astype(d) for d in ("int32", "float32", "int64")]
    inputs = [gc.placeholder(None, ("n", 7), key.dtype) for key in keys]
    found = gc.function(inputs, gc.lexsort(inputs, axis))(*keys)
    np.testing.assert_array_equal(found, np.lexsort(keys, axis))
    with pytest.raises(ShapeError, match="no keys"):
        gc.lexsort([])
