"""Reductions that skip NaN, beside numpy's: values, empty and all-NaN slices, gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.ops.beside_numpy import agrees, draw

NAN, INF = np.nan, np.inf
ODD = np.array([[NAN, NAN, NAN], [NAN, 2, NAN], [INF, NAN, 1], [-INF, 3, NAN], [0, -0.0, 1]])
AXES: list[Any] = [None, 0, 1, -1, (0, 2), (), (1, 2, 0)]
SUMS = ("nansum", "nanprod", "nanmean", "nanvar", "nanstd")
EXTREMA = ("nanmax", "nanmin")


def both(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return getattr(gc, name), getattr(np, name)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
def test_of_drawn_arrays(axis: Any, keepdims: bool) -> None:
    """One function of all of them, for all sizes."""
    options = {"axis": axis, "keepdims": keepdims}
    cases = [
        (draw(3, 4, 5, nan=0.3),),
        (draw(1, 1, 1),),
        (draw(1, 7, 2, nan=0.9),),
        (draw(2, 33, 3, nan=1.0),),
        (draw(4, 19, 1, nan=0.1),),
    ]
    agrees(
        lambda x: [getattr(gc, name)(x, **options) for name in (*SUMS, *EXTREMA)],
        lambda x: [getattr(np, name)(x, **options) for name in (*SUMS, *EXTREMA)],
        *cases,
        rtol=1e-11,
    )
    agrees(
        lambda x: [getattr(gc, name)(x, **options) for name in SUMS],
        lambda x: [getattr(np, name)(x, **options) for name in SUMS],
        (np.zeros((2, 0, 3)),),
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes_and_odd_values(dtype: str) -> None:
    x = ODD.astype(dtype)
    for name in (*SUMS, *EXTREMA):
        ours, theirs = both(name)
        agrees(lambda x, f=ours: f(x, axis=1), lambda x, f=theirs: f(x, axis=1), (x,))
    for name in ("nanvar", "nanstd"):
        ours, theirs = both(name)
        for ddof in (1, 2, 1.5):
            agrees(
                lambda x, f=ours, c=ddof: f(x, axis=1, correction=c),
                lambda x, f=theirs, c=ddof: f(x, axis=1, ddof=c),
                (x,),
            )


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64"])
def test_integers_have_no_nan(dtype: str) -> None:
    x = draw(4, 5, dtype=dtype)
    agrees(
        lambda x: [gc.nansum(x, axis=0), gc.nanprod(x, axis=1)],
        lambda x: [np.nansum(x, axis=0), np.nanprod(x, axis=1)],
        (x,),
    )
    agrees(
        lambda x: [gc.nanmean(x, axis=0), gc.nanvar(x, axis=1), gc.nanargmax(x, axis=1)],
        lambda x: [np.nanmean(x, axis=0), np.nanvar(x, axis=1), np.nanargmax(x, axis=1)],
        (x,),
        exact_dtype=False,
        rtol=1e-5,
    )


def test_complex_numbers() -> None:
    x = draw(4, 5, dtype="complex128", nan=0.3)
    agrees(
        lambda x: [getattr(gc, name)(x, axis=0) for name in SUMS],
        lambda x: [getattr(np, name)(x, axis=0) for name in SUMS],
        (x,),
        rtol=1e-11,
    )


def test_bfloat16_counts_beyond_its_precision() -> None:
    x = np.ones(1000, gc.bfloat16)
    x[::5] = NAN
    held = gc.placeholder("x", ("n",), "bfloat16")
    mean, var = gc.function([held], [gc.nanmean(held), gc.nanvar(held)])(x)
    assert (mean, var) == (1, 0) and mean.dtype == var.dtype == gc.bfloat16


@pytest.mark.parametrize("name", ["nanargmax", "nanargmin"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_positions(name: str, axis: Any) -> None:
    ours, theirs = both(name)
    for keepdims in (False, True):
        agrees(
            lambda x, k=keepdims: ours(x, axis=axis, keepdims=k),
            lambda x, k=keepdims: theirs(x, axis=axis, keepdims=k),
            (draw(5, 9, nan=0.2),),
            (draw(1, 1),),
            (draw(20, 6, nan=0.3),),
            (np.array([[NAN, 3, 3, -INF], [2, INF, INF, 1]]),),
        )
    nowhere = gc.run(ours(np.array([[NAN, NAN], [NAN, 1.0]]), axis=1))
    np.testing.assert_array_equal(nowhere, [-1, 1])


def test_gradients() -> None:
    x = draw(4, 6, nan=0.3)
    for name in (*SUMS, *EXTREMA):
        ours = getattr(gc, name)

        def build(y: Any, ours: Any = ours) -> Any:
            """NaN stands where x has it; elsewhere the numbers move."""
            return ours(gc.where(np.isnan(x), NAN, y), axis=0)

        gc.verify_grad(build, [np.nan_to_num(x)])


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("name", [*SUMS, *EXTREMA])
def test_nan_has_no_gradient(name: str, backend: str) -> None:
    held = np.array([[NAN, 2, 5, NAN], [NAN, NAN, NAN, NAN], [1, NAN, 3, 4.5]])
    x = gc.placeholder("x", ("n", "m"), "float64")
    value = getattr(gc, name)(x, axis=1)
    f = gc.function([x], gc.grad(gc.sum(value), x), backend=backend)
    gradient = f(held)
    np.testing.assert_array_equal(gradient[np.isnan(held)], 0)
    assert np.isfinite(gradient).all() and np.any(gradient != 0)


def test_errors() -> None:
    x = gc.placeholder("x", ("n",))
    with pytest.raises(gc.DTypeError, match="nanmax: not for complex64"):
        gc.nanmax(x.astype("complex64"))
    with pytest.raises(gc.ShapeError, match="axis 1"):
        gc.nanmean(x, axis=1)
    f = gc.function([x], gc.nanmin(x))
    with pytest.raises(gc.GraphcError, match="min"):
        f(np.zeros(0, "float32"))
