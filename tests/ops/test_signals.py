"""convolve, correlate, interp, trapezoid and unwrap beside numpy's."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.ops.beside_numpy import agrees, draw

GC: Any = gc  # what these calls are given, types do not allow
NAN = np.nan
SIZES = [(1, 1), (5, 2), (2, 5), (7, 4), (4, 7), (6, 6), (9, 3), (3, 8), (40, 17), (1, 4), (4, 1)]


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_convolutions(name: str, mode: Any) -> None:
    """One function for all sizes, and one for each."""
    ours, theirs = getattr(gc, name), getattr(np, name)
    cases = [(draw(n), draw(m, seed=1)) for n, m in SIZES]
    agrees(lambda a, b: ours(a, b, mode), lambda a, b: theirs(a, b, mode), *cases, atol=1e-11)
    for a, b in cases:
        x = gc.placeholder("x", a.shape, "float64")
        found = gc.function([x], ours(x, b, mode))(a)
        np.testing.assert_allclose(found, theirs(a, b, mode), atol=1e-11)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float16", "float32", "complex64"])
def test_dtypes_of_convolutions(dtype: str) -> None:
    a, b = draw(9, dtype=dtype), draw(4, dtype=dtype, seed=1)
    rtol = {"float16": 1e-2}.get(dtype, 1e-5)
    for name, mode in (("convolve", "full"), ("correlate", "same"), ("correlate", "full")):
        ours, theirs = getattr(gc, name), getattr(np, name)
        agrees(
            lambda a, b, f=ours, m=mode: f(a, b, m),
            lambda a, b, f=theirs, m=mode: f(a, b, m),
            (a, b),
            (b, a),
            rtol=rtol,
            atol=0.1 if dtype == "float16" else 1e-4,
        )


def test_default_modes() -> None:
    a, b = draw(6), draw(3, seed=1)
    agrees(
        lambda a, b: [gc.convolve(a, b), gc.correlate(a, b)],
        lambda a, b: [np.convolve(a, b), np.correlate(a, b)],
        (a, b),
        atol=1e-11,
    )


POINTS = (np.array([-3.0, 0, 0.5, 4]), np.array([1.0, -2, 5, 0.25]))
PLACES = np.array([[-5, -3, -1.5, 0, 0.2], [0.5, 3, 4, 6, NAN]])


def test_interp() -> None:
    xs, ys = POINTS
    cases = [
        (PLACES, xs, ys),
        (PLACES[:, :4], xs[:1], ys[:1]),  # numpy loses a NaN beside a single point
        (PLACES[:, :0], xs, ys),
        (PLACES, xs[:2], ys[:2]),
    ]
    agrees(gc.interp, np.interp, *cases)
    agrees(
        lambda x, xp, fp: gc.interp(x, xp, fp, -7, right=NAN),
        lambda x, xp, fp: np.interp(x, xp, fp, -7, right=NAN),
        *cases,
    )
    for period in (3.5, -10):
        agrees(
            lambda x, xp, fp, p=period: gc.interp(x, xp[::-1], fp, period=p),
            lambda x, xp, fp, p=period: np.interp(x, xp[::-1], fp, period=p),
            *cases,
        )


def test_interp_of_dtypes_and_jumps() -> None:
    xs, ys = POINTS
    agrees(
        lambda x, xp, fp: gc.interp(x, xp, fp),
        lambda x, xp, fp: np.interp(x, xp, fp).astype("float32"),
        (PLACES.astype("float32"), xs.astype("float32"), ys.astype("float32")),
    )
    agrees(gc.interp, np.interp, (PLACES, xs, ys + 1j * ys[::-1]))
    agrees(
        gc.interp,
        np.interp,
        (np.arange(9), np.array([1, 4, 6]), np.array([0, 3, 9])),
        exact_dtype=False,
    )
    jump = np.array([0.0, 1, 1, 2])
    agrees(gc.interp, np.interp, (np.array([0.5, 1, 1.5]), jump, np.array([0.0, 1, 5, 6])))


def test_trapezoid() -> None:
    for axis in (0, 1, -1):
        agrees(
            lambda y, a=axis: [gc.trapezoid(y, axis=a), gc.trapezoid(y, dx=0.5, axis=a)],
            lambda y, a=axis: [np.trapezoid(y, axis=a), np.trapezoid(y, dx=0.5, axis=a)],
            (draw(3, 4, 5),),
            (draw(1, 1, 2),),
            (draw(2, 0, 3),),
        )
        agrees(
            lambda y, x, a=axis: gc.trapezoid(y, x, axis=a),
            lambda y, x, a=axis: np.trapezoid(y, x, axis=a),
            (draw(4, 4, 4), draw(4, 4, 4, seed=1)),
        )
    agrees(
        lambda y, x: gc.trapezoid(y, x, axis=1),
        lambda y, x: np.trapezoid(y, x, axis=1),
        (draw(3, 6, 2), draw(6, seed=2)),
        (draw(3, 1, 2), draw(1)),
    )
    agrees(gc.trapezoid, np.trapezoid, (np.array([1, 2, 5]),), exact_dtype=False)


def test_unwrap() -> None:
    steps = np.array([0, 3.0, np.pi, -1, 7, -np.pi, 2, np.pi, np.pi, -9])
    cases = [(np.stack([np.cumsum(steps), steps]),), (steps[None, :1],), (np.zeros((2, 0)),)]
    for options in ({}, {"discont": 4.0}, {"period": 3.0}, {"period": 2.0, "discont": 1.5}):
        for axis in (0, 1):
            agrees(
                lambda p, a=axis, o=options: gc.unwrap(p, axis=a, **o),
                lambda p, a=axis, o=options: np.unwrap(p, axis=a, **o),
                *cases,
                atol=1e-12,
            )
    whole = np.array([0, 3, 6, 5, 1, 9, 2, 7])
    for period in (4, 5, 10):
        agrees(
            lambda p, n=period: gc.unwrap(p, period=n),
            lambda p, n=period: np.unwrap(p, period=n),
            (whole,),
        )
    agrees(gc.unwrap, np.unwrap, (whole,), exact_dtype=False, rtol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_gradients(backend: str) -> None:
    a, b = draw(7), draw(3, seed=1)
    for mode in ("full", "same", "valid"):
        gc.verify_grad(lambda a, b, m=mode: gc.convolve(a, b, m), [a, b], backend=backend)
        gc.verify_grad(lambda a, b, m=mode: gc.correlate(b, a, m), [a, b], backend=backend)
    xs, ys = POINTS
    inside = np.array([-5, -1.5, 0.2, 3.0, 6.0])
    gc.verify_grad(gc.interp, [inside, xs, ys], backend=backend)
    gc.verify_grad(gc.trapezoid, [draw(2, 5), draw(5)], backend=backend)
    gc.verify_grad(gc.unwrap, [draw(9)], backend=backend)


def test_errors() -> None:
    x, table = gc.placeholder("x", ("n",)), gc.placeholder("table", ("n", 2))
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: gc.convolve(x, table), gc.ShapeError, "convolve: got"),
        (lambda: gc.correlate(x, np.zeros(0, "float32")), gc.ShapeError, "correlate: got"),
        (lambda: GC.convolve(x, x, "some"), gc.ParameterError, "mode='some'"),
        (lambda: gc.convolve(x > 0, x > 0), gc.DTypeError, "convolve: not for bool"),
        (lambda: gc.interp(x, [1, 2], [1, 2, 3]), gc.ShapeError, "interp: points"),
        (lambda: gc.interp(x, [], []), gc.ShapeError, "interp: points"),
        (lambda: gc.interp(x.astype("complex64"), [1], [1]), gc.DTypeError, "complex64"),
        (lambda: gc.interp(x, [1], [1], period=1j), gc.DTypeError, "interp: not for complex"),
        (lambda: gc.trapezoid(x, axis=1), gc.ShapeError, "axis 1"),
        (lambda: gc.unwrap(x.astype("complex64")), gc.DTypeError, "complex64"),
    ]
    for call, kind, words in cases:
        with pytest.raises(kind, match=words):
            call()
    y = gc.placeholder("y", ("m",))
    for backend in ("reference", "llvm"):
        f = gc.function([x, y], gc.convolve(x, y), backend=backend)
        for n, m in ((3, 0), (0, 0)):
            with pytest.raises(gc.GraphcError):
                f(np.zeros(n, "float32"), np.zeros(m, "float32"))
