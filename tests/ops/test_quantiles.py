"""quantile, percentile, median and those that skip NaN, beside numpy's."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.ops.beside_numpy import agrees, draw

NAN, INF = np.nan, np.inf
METHODS: list[Any] = ["linear", "lower", "higher", "nearest", "midpoint"]
QS: list[Any] = [0.3, 0, 1.0, [0.0, 0.25, 0.5, 1.0], [[0.1, 0.9], [0.3, 0.7]]]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (2, 1)])
def test_axes(axis: Any, keepdims: bool) -> None:
    options = {"axis": axis, "keepdims": keepdims}
    names = ("median", "nanmedian", "quantile", "nanquantile")

    def build(library: Any, x: Any) -> list[Any]:
        q = ([0.2, 0.75],)
        return [getattr(library, name)(x, *q * ("q" in name), **options) for name in names]

    agrees(
        lambda x: build(gc, x),
        lambda x: build(np, x),
        (draw(3, 4, 5),),
        (draw(1, 1, 1),),
        (draw(2, 7, 1),),
        (draw(3, 8, 3, nan=0.1),),
        (draw(2, 2, 2, nan=0.5),),
        (draw(2, 3, 2, nan=1.0),),
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("q", QS)
def test_methods_and_shapes_of_q(method: Any, q: Any) -> None:
    def build(library: Any, x: Any) -> list[Any]:
        both = (library.quantile, library.nanquantile)
        return [function(x, q, 0, method=method) for function in both]

    agrees(
        lambda x: build(gc, x),
        lambda x: build(np, x),
        *[(draw(n, 2, seed=n),) for n in (1, 2, 3, 4, 10, 11, 50)],
        (draw(20, 2, nan=0.4),),
    )


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "int64", "float16", "float32"])
def test_dtypes(dtype: str) -> None:
    x = draw(6, 5, dtype=dtype)
    for method in ("lower", "nearest"):
        agrees(
            lambda x, m=method: gc.quantile(x, 0.4, 0, method=m),
            lambda x, m=method: np.quantile(x, 0.4, 0, method=m),
            (x,),
        )
    agrees(
        lambda x: [gc.median(x, 0), gc.percentile(x, [10, 60], 1)],
        lambda x: [np.median(x * 1.0, 0), np.percentile(x * 1.0, [10, 60], 1)],
        (x,),
        exact_dtype=False,
        rtol=2e-3 if dtype == "float16" else 1e-5,
        atol=1e-3 if dtype == "float16" else 1e-6,
    )
    held = gc.placeholder("x", ("n",), dtype)
    expected = gc.float32 if np.dtype(dtype).kind in "biu" else np.dtype(dtype)
    assert gc.median(held).dtype == expected
    assert gc.quantile(held, 0.5, method="higher").dtype == held.dtype


def test_infinite_neighbours() -> None:
    """numpy makes NaN of equal infinities, and of an infinite neighbour of weight 0."""
    for row, q, expected in (
        ([INF, INF], 0.5, INF),
        ([1, INF], 0.0, 1),
        ([1, INF], 0.5, INF),
        ([-INF, 2, 3], 0.5, 2),
        ([-INF, INF], 0.5, NAN),
        ([1, NAN, 2], 0.0, NAN),
    ):
        np.testing.assert_equal(gc.run(gc.quantile(np.array(row, float), q)), expected)


def test_q_that_is_a_tensor() -> None:
    q = np.array([0.0, 0.33, 1.0])
    agrees(
        lambda x, q: [gc.quantile(x, q, 0), gc.percentile(x, q * 100), gc.nanquantile(x, q[0])],
        lambda x, q: [np.quantile(x, q, 0), np.percentile(x, q * 100), np.nanquantile(x, q[0])],
        (draw(9, 2), q),
        (draw(1, 3), q[1:]),
    )
    x, p = gc.placeholder("x", (None,)), gc.placeholder("p", ())
    for backend in ("reference", "llvm"):
        f = gc.function([x, p], gc.quantile(x, p), backend=backend)
        for bad in (-0.1, 1.1, NAN):
            with pytest.raises(gc.AssertionFailed, match="q of quantile is within its range"):
                f([1, 2, 3], bad)


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_gradients(backend: str) -> None:
    x = draw(5, 4)
    for build in (
        lambda x: gc.median(x),
        lambda x: gc.median(x, 0),
        lambda x: gc.quantile(x, [0.1, 0.6], axis=(0, 1)),
        lambda x: gc.quantile(x, [[0.1], [0.6]], axis=1, method="midpoint"),
        lambda x: gc.quantile(x, 0.55, axis=1, method="nearest"),
        lambda x: gc.nanquantile(gc.where(np.eye(5, 4) > 0, NAN, x), 0.45, axis=0),
    ):
        gc.verify_grad(build, [x], backend=backend)
    gc.verify_grad(gc.quantile, [draw(7), np.array([0.11, 0.6])], backend=backend)


def test_gradients_of_equal_elements_and_nan() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    f = gc.function([x], [gc.grad(gc.median(x), x), gc.grad(gc.nanmedian(x), x)])
    of_median, skipping = f([3.0, 1, 2, NAN, 4])
    np.testing.assert_array_equal(skipping, [0.5, 0, 0.5, 0, 0])
    np.testing.assert_array_equal(of_median, 0)
    assert sum(f([2.0, 2, 2, 2])[0]) == 1


def test_errors() -> None:
    x = gc.placeholder("x", ("n", 3))
    for q in (1.5, [0.5, -0.1], NAN):
        with pytest.raises(gc.ParameterError, match="is not from 0 to 1"):
            gc.quantile(x, q)
    with pytest.raises(gc.ParameterError, match=r"\[101\.0\] is not from 0 to 100"):
        gc.percentile(x, [101])
    with pytest.raises(gc.ParameterError, match="method='median'"):
        gc.quantile(x, 0.5, method="median")  # type: ignore[arg-type]
    with pytest.raises(gc.DTypeError, match="no array of numbers"):
        gc.quantile(x, "half")
    with pytest.raises(gc.DTypeError, match="no array of numbers"):
        gc.percentile(x, {})
    with pytest.raises(gc.DTypeError, match="median: not for complex64"):
        gc.median(x.astype("complex64"))
    with pytest.raises(gc.ShapeError, match="no elements"):
        gc.median(np.zeros((2, 0)), axis=1)
    with pytest.raises(gc.ShapeError, match="axis 2"):
        gc.median(x, axis=2)
    f = gc.function([x], gc.median(x, axis=0))
    with pytest.raises(gc.IndexOutOfRange):
        f(np.zeros((0, 3), "float32"))
