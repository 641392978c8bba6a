"""bincount, digitize and histogram beside numpy's."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.ops.beside_numpy import agrees, draw

NAN, INF = np.nan, np.inf
ROW = np.array([-1.0, 0, 0, 1.5, 3])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "uint64"])
def test_bincount(dtype: str) -> None:
    cases = [(np.arange(n) % 7 % (2 if dtype == "bool" else 7),) for n in (0, 1, 20, 65)]
    cases = [(x.astype(dtype),) for (x,) in cases]
    agrees(
        lambda x: gc.bincount(x, length=9),
        lambda x: np.bincount(x.astype("int64"), minlength=9),
        *cases,
    )


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", "float64", "complex64"])
def test_weights(dtype: str) -> None:
    x, w = np.array([3, 0, 3, 1, 3]), draw(5, dtype=dtype)
    if dtype == "complex64":
        parts = [np.bincount(x, part, 5) for part in (w.real, w.imag)]
        expected = parts[0] + 1j * parts[1]
    else:
        expected = np.bincount(x, w, 5)
    agrees(
        lambda x, w: gc.bincount(x, w, length=5),
        lambda x, w: expected.astype("int64" if dtype == "int8" else dtype),
        (x, w),
    )


def test_symbolic_and_constant_lengths() -> None:
    x = gc.placeholder("x", ("n",), "int64")
    f = gc.function([x], gc.bincount(x, length=x.shape[0]))
    np.testing.assert_array_equal(f([0, 2, 2]), [1, 0, 2])
    np.testing.assert_array_equal(f([]), [])
    np.testing.assert_array_equal(gc.run(gc.bincount([1, 4, 1])), [0, 2, 0, 0, 1])
    assert gc.bincount(np.zeros(0, "int32")).shape == (0,)


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm"])
def test_values_that_have_no_count(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "int32")
    f = gc.function([x], gc.bincount(x, length=3), backend=backend)
    with pytest.raises(gc.IndexOutOfRange, match=r"index 3 .*size 3"):
        f(np.array([0, 3], "int32"))
    with pytest.raises(gc.AssertionFailed, match="bincount counts no negative numbers"):
        f(np.array([0, -1], "int32"))


@pytest.mark.parametrize("right", [False, True])
def test_digitize(right: bool) -> None:
    x = np.array([[-2, -1, 0, 0.5], [1.5, 3, 4, NAN]])
    cases = [(x, ROW), (x, ROW[::-1].copy()), (x, ROW[:1]), (x[:0], ROW), (x, ROW[1:3])]
    agrees(lambda x, b: gc.digitize(x, b, right), lambda x, b: np.digitize(x, b, right), *cases)
    for _, bins in cases:
        agrees(
            lambda x, b=bins: gc.digitize(x, b, right=right),
            lambda x, b=bins: np.digitize(x, b, right),
            (x,),
        )
    agrees(lambda x: gc.digitize(x, [2, 4]), lambda x: np.digitize(x, [2, 4]), (np.arange(6),))
    assert gc.run(gc.digitize(np.ones(3), np.zeros(0))).tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "bool"])
@pytest.mark.parametrize("bins", [1, 10, 37])
def test_histogram_of_equal_bins(dtype: str, bins: int) -> None:
    """Edges as numpy's, and counts as numpy counts between those edges."""
    cases = [(draw(*shape, dtype=dtype),) for shape in ((500, 2), (1, 1), (0, 3))]
    float_dtype = np.dtype("float32" if np.dtype(dtype).kind in "bi" else dtype)
    x = gc.placeholder("x", ("n", "m"), dtype)
    for backend in ("reference", "interpreter", "llvm"):
        f = gc.function([x], gc.histogram(x, bins), backend=backend)
        for (held,) in cases:
            counts, edges = f(held)
            assert counts.dtype == np.int64 and edges.dtype == float_dtype
            wide = held.astype("float32" if dtype == "float16" else dtype)
            expected, wanted = np.histogram(wide * 1 if dtype != "bool" else wide.astype(int), bins)
            np.testing.assert_allclose(edges, wanted, rtol=1e-3 if dtype == "float16" else 1e-6)
            assert counts.sum() == held.size
            if dtype != "float16":
                np.testing.assert_array_equal(counts, expected)


def test_edges_decide() -> None:
    """0.1 * 3 is not 0.3: elements that are edges are in the bin above."""
    edges = np.linspace(0, 1, 11)
    x = np.concatenate([edges, np.nextafter(edges, 2), np.nextafter(edges, -1)])
    agrees(
        lambda x: gc.histogram(x, 10, (0, 1)),
        lambda x: np.histogram(x, 10, (0, 1)),
        (x,),
        (x[:1],),
        (np.array([NAN, INF, -INF, 0.5, 2.0]),),
    )


def test_given_edges_weights_and_density() -> None:
    x, weights = draw(60), np.abs(draw(60, seed=1))
    edges = np.array([-5.0, -1, 0, 0.5, 7])
    odd = np.concatenate([edges, [NAN, INF, -INF]])
    agrees(lambda x, e: gc.histogram(x, e), np.histogram, (x, edges), (odd, edges), (x, edges[:2]))
    agrees(lambda x: gc.histogram(x, [0, 2, 5]), lambda x: np.histogram(x, [0, 2, 5]), (draw(9),))
    agrees(
        lambda x, w: [
            *gc.histogram(x, 7, weights=w),
            *gc.histogram(x, edges, density=True),
            *gc.histogram(x, 5, (-3, 3), weights=w, density=True),
        ],
        lambda x, w: [
            *np.histogram(x, 7, weights=w),
            *np.histogram(x, edges, density=True),
            *np.histogram(x, 5, (-3, 3), weights=w, density=True),
        ],
        (x, weights),
    )


def test_a_symbolic_number_of_bins() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    f = gc.function([x], gc.histogram(x, x.shape[0]))
    for held in ([1.0, 2, 4], [3.0]):
        counts, edges = f(held)
        expected, wanted = np.histogram(held, len(held))
        np.testing.assert_array_equal(counts, expected)
        np.testing.assert_allclose(edges, wanted)


def test_the_gradient_goes_to_the_weights() -> None:
    places = np.array([2, 0, 2, 1])
    gc.verify_grad(lambda w: gc.bincount(places, w, length=4), [draw(4)])
    x = draw(6)
    gc.verify_grad(lambda w: gc.histogram(x, 3, weights=w)[0], [draw(6)])


def test_errors() -> None:
    x, i = gc.placeholder("x", ("n",)), gc.placeholder("i", ("n",), "int64")
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: gc.bincount(i), gc.ShapeError, "size of the result depends"),
        (lambda: gc.bincount(x, length=3), gc.DTypeError, "not for float32"),
        (lambda: gc.bincount(i[:, None], length=3), gc.ShapeError, "one axis"),
        (lambda: gc.bincount([1, 2], [1, 2, 3]), gc.ShapeError, "weights"),
        (lambda: gc.bincount(i, minlength=3), gc.ArgumentError, "use length="),  # type: ignore[call-arg]
        (lambda: gc.digitize(x, 3), gc.ShapeError, "digitize: bins"),
        (lambda: gc.digitize(x, [0, 2, 1]), gc.ParameterError, "not in order"),
        (lambda: gc.histogram(x, 0), gc.ParameterError, "0 bins"),
        (lambda: gc.histogram(x, 2.5), gc.ParameterError, "2.5 bins"),
        (lambda: gc.histogram(x, 3, (2, 1)), gc.ParameterError, "range"),
        (lambda: gc.histogram(x, 3, 1.5), gc.ParameterError, "range=1.5"),
        (lambda: gc.histogram(x, 3, (-3e38, 3e38)), gc.ParameterError, "range"),
        (lambda: gc.histogram(x, [1.0]), gc.ParameterError, "0 bins"),
        (lambda: gc.histogram(x, [3, 2, 1]), gc.ParameterError, "histogram: the bins are not in"),
        (lambda: gc.histogram(x, [1.0, NAN, 2.0]), gc.ParameterError, "not in order"),
        (lambda: gc.histogram(x.astype("complex64")), gc.DTypeError, "complex64"),
    ]
    for call, kind, words in cases:
        with pytest.raises(kind, match=words):
            call()
    f = gc.function([x], gc.histogram(x))
    for values in ([1, NAN], [1, INF], [-3e38, 3e38]):  # the last are too far apart
        with pytest.raises(gc.AssertionFailed, match="finite range"):
            f(values)
