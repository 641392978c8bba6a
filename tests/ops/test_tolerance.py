"""isclose, allclose and nan_to_num beside numpy's."""

import numpy as np
import pytest

import graphc as gc
from tests.ops.beside_numpy import agrees, draw

NAN, INF = np.nan, np.inf
SPECIAL = np.array([1, 1 + 1e-6, 1.1, 0, 1e-9, NAN, INF, -INF, -0.0, 3e-8])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("equal_nan", [False, True])
def test_isclose(dtype: str, equal_nan: bool) -> None:
    x = SPECIAL.astype(dtype)
    agrees(
        lambda a, b: gc.isclose(a[:, None], b, equal_nan=equal_nan),
        lambda a, b: np.isclose(a[:, None], b, equal_nan=equal_nan),
        (x, x),
        (x[:0], x),
        (x[:1], x[:1]),
    )


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64"])
def test_isclose_of_integers(dtype: str) -> None:
    lowest, highest = (-128, 127) if dtype == "int8" else (0, 127)
    x = np.array([0, 1, lowest, highest, 2, 100]).astype(dtype)
    for rtol, atol in ((1e-5, 1e-8), (0.0, 1.0), (0.02, 0)):
        agrees(
            lambda a, b, r=rtol, t=atol: gc.isclose(a[:, None], b, r, t),
            lambda a, b, r=rtol, t=atol: np.isclose(
                a[:, None].astype(float), b.astype(float), r, t
            ),
            (x, x),
        )


def test_large_integers_differ() -> None:
    a, b = np.array([2**24 + 1, 2**50]), np.array([2**24, 2**50 + 1])
    assert not gc.run(gc.any(gc.isclose(a, b, rtol=0, atol=0)))


def test_tolerances_may_be_tensors() -> None:
    x, tolerance = draw(5), np.array([0, 0.5, 1, 2, 4.0])
    agrees(
        lambda a, b, t: gc.isclose(a, b, t, 0),
        lambda a, b, t: np.isclose(a, b, t, 0),
        (x, x * 1.4, tolerance),
    )


def test_allclose() -> None:
    agrees(
        lambda a, b: [gc.allclose(a, b), gc.allclose(a, b, atol=1, equal_nan=True)],
        lambda a, b: [np.allclose(a, b), np.allclose(a, b, atol=1, equal_nan=True)],
        (SPECIAL, SPECIAL),
        (SPECIAL, SPECIAL + 0.5),
        (SPECIAL[:0], SPECIAL[:0]),
        (SPECIAL[:4], SPECIAL[:4]),
    )


@pytest.mark.parametrize("dtype", ["bool", "int32", "float16", "float32", "float64", "complex64"])
def test_nan_to_num(dtype: str) -> None:
    x = np.abs(SPECIAL[:5]).astype(dtype) if dtype in ("bool", "int32") else SPECIAL.astype(dtype)
    for options in ({}, {"nan": 2.0, "posinf": 3.0, "neginf": -1.0}):
        agrees(
            lambda a, o=options: gc.nan_to_num(a, **o),
            lambda a, o=options: np.nan_to_num(a, **o),
            (x,),
            (x[:0],),
            (x[:1],),
        )


def test_nan_to_num_of_bfloat16_and_with_tensors() -> None:
    x = gc.placeholder("x", ("n",), "bfloat16")
    found = gc.function([x], gc.nan_to_num(x))(SPECIAL.astype(gc.bfloat16))
    assert found.dtype == gc.bfloat16 and np.isfinite(found.astype(float)).all()
    y, fill = gc.placeholder("y", ("n",)), gc.placeholder("fill", ("n",))
    np.testing.assert_array_equal(
        gc.run(gc.nan_to_num(y, nan=fill), {y: [1, NAN, NAN], fill: [7, 8, 9]}), [1, 8, 9]
    )


def test_the_gradient_is_0_where_a_number_was_put_in() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    for backend in ("reference", "llvm"):
        f = gc.function([x], gc.grad(gc.sum(gc.nan_to_num(x) * x.shape[0]), x), backend=backend)
        np.testing.assert_array_equal(f([1, NAN, INF, -INF, 2]), [5, 0, 0, 0, 5])
    gc.verify_grad(gc.nan_to_num, [draw(7)])


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(gc.ShapeError):
        gc.isclose(np.ones(2), np.ones(3))


def test_equal_arrays_and_infinities() -> None:
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    one, other = gc.placeholder("x", ("n",), "float64"), gc.placeholder("y", ("n",), "float64")
    outputs = [gc.array_equal(one, other), gc.array_equal(one, other, equal_nan=True)]
    f = gc.function([one, other], [*outputs, gc.isposinf(one), gc.isneginf(other)])
    found = f(x, x)
    assert not found[0] and found[1]
    np.testing.assert_array_equal(found[2], np.isposinf(x))
    np.testing.assert_array_equal(found[3], np.isneginf(x))
    assert f(x[:1], x[:1])[0] and not f(x, x[::-1].copy())[1]
    assert not gc.run(gc.array_equal(np.zeros(3), np.zeros(4)))
    assert not gc.run(gc.array_equal(np.zeros(3), np.zeros((3, 1))))
