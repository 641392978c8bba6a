"""fmod, fmax, fmin, heaviside, gcd, lcm, polyval and select beside numpy's."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.ops.beside_numpy import agrees, draw

NAN, INF = np.nan, np.inf
ODD = np.array([0.0, -0.0, 1, -1, 2.5, -7.25, 1e-20, -1e-20, 3e8, INF, -INF, NAN])
FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["int8", "uint8", "int32", "int64", "uint64"]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["fmod", "fmax", "fmin", "heaviside"])
def test_floats(name: str, dtype: str) -> None:
    ours, theirs = getattr(gc, name), getattr(np, name)
    x = ODD.astype(dtype)
    agrees(
        lambda a, b: ours(a[:, None], b),
        lambda a, b: theirs(a[:, None], b),
        (x, x),
        (x[:0], x),
        (x[:1], x[:1]),
        atol=0,
    )


def test_signs_of_zero() -> None:
    for x, y in ((-6.0, 3.0), (-0.0, 2.0), (6.0, -3.0)):
        found = gc.run(gc.fmod(np.array(x), np.array(y)))
        assert found == 0 and np.signbit(found) == np.signbit(np.fmod(x, y))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", ["fmod", "fmax", "fmin", "gcd", "lcm"])
def test_integers(name: str, dtype: str) -> None:
    ours, theirs = getattr(gc, name), getattr(np, name)
    limits = np.iinfo(dtype)
    x = np.array([0, 1, 2, 3, 12, 18, 100, limits.max, limits.max - 1, limits.min, limits.min + 1])
    x = np.unique(np.concatenate([x.astype(dtype), -x.astype(dtype)]))
    if name == "lcm":
        x = x[np.abs(x.astype(float)) < 128]
    with np.errstate(all="ignore"):
        agrees(
            lambda a, b: ours(a[:, None], b), lambda a, b: theirs(a[:, None], b), (x, x), (x[:0], x)
        )


def test_drawn_divisors() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-(10**6), 10**6, size=(2, 7, 40))
    agrees(
        lambda a, b: [gc.gcd(a, b), gc.lcm(a, b)],
        lambda a, b: [np.gcd(a, b), np.lcm(a, b)],
        (a, b),
        (a[:1, :1], b[:1, :1]),
    )


@pytest.mark.parametrize("count", [0, 1, 2, 5, 70])
@pytest.mark.parametrize("dtype", ["int64", "float64", "complex128"])
def test_polyval(count: int, dtype: str) -> None:
    p = draw(count, dtype=dtype)
    x = draw(3, 4, dtype=dtype) / (9 if dtype != "int64" else 1)
    x = x.astype(dtype) if dtype != "int64" else (x % 3).astype(dtype)
    cases = [(x,), (x[:0],), (x[:1, :1],)]
    agrees(lambda x: gc.polyval(p, x), lambda x: np.polyval(p, x), *cases, rtol=1e-10, atol=1e-10)
    agrees(gc.polyval, np.polyval, (p, x), (p[:1], x), (p[:0], x), rtol=1e-10, atol=1e-10)


def test_select() -> None:
    x = draw(4, 5)

    def build(library: Any, where: Any, x: Any) -> list[Any]:
        tests, choices = [x > 3, x > 0, x > -3], [x * 2, where, -x]
        return [library.select(tests, choices), library.select(tests[:1], choices[:1], x)]

    for case in ((x,), (x[:0],), (x[:1, :1],)):
        agrees(lambda x: build(gc, 2.5, x), lambda x: build(np, np.float64(2.5), x), case)
    agrees(
        lambda x: gc.select([x > 2, x > 0], [x, 7], -1),
        lambda x: np.select([x > 2, x > 0], [x, np.full_like(x, 7)], -1),
        (np.arange(-3, 6),),
    )


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_gradients(backend: str) -> None:
    x, y = draw(6), draw(6, seed=1)
    for build in (gc.fmod, gc.fmax, gc.fmin):
        gc.verify_grad(build, [x, y], backend=backend)
    gc.verify_grad(gc.polyval, [y, x / 9], backend=backend)
    gc.verify_grad(gc.polyval, [draw(70), x / 9], backend=backend)
    gc.verify_grad(lambda x, y: gc.select([x > 0, y > 0], [x * y, y], x), [x, y], backend=backend)
    gc.verify_grad(
        lambda y: gc.heaviside(np.array([-1.0, 0, 0, 2, 0, -3]), y), [y], backend=backend
    )


def test_nothing_leaks() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    value = gc.sum(gc.select([x > 0, x <= 0], [gc.sqrt(x), x * 2]))
    f = gc.function([x], gc.grad(value, x))
    np.testing.assert_array_equal(f([4.0, 0, -1]), [0.25, 2, 2])
    y = gc.placeholder("y", ("n",), "float64")
    f = gc.function([x, y], gc.grad(gc.sum(gc.fmax(x, y)), [x, y]))
    dx, dy = f([NAN, 1, 2], [5, NAN, 7])
    np.testing.assert_array_equal([dx, dy], [[0, 1, 0], [1, 0, 1]])


def test_errors() -> None:
    x, i = gc.placeholder("x", ("n",)), gc.placeholder("i", ("n",), "int64")
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: gc.gcd(x, i), gc.DTypeError, "gcd: not for float32"),
        (lambda: gc.fmod(x > 0, x > 0), gc.DTypeError, "fmod: not for bool"),
        (lambda: gc.fmax(x.astype("complex64"), x), gc.DTypeError, "complex64"),
        (lambda: gc.polyval(x[:, None], x), gc.ShapeError, "polyval: coefficients"),
        (lambda: gc.select([x > 0], [x, x]), gc.ShapeError, "1 conditions for 2 choices"),
        (lambda: gc.select([], []), gc.ShapeError, "0 conditions"),
    ]
    for call, kind, words in cases:
        with pytest.raises(kind, match=words):
            call()


def test_divmod_and_modf() -> None:
    x, y = np.array([7.5, -7.5, 0.0, -0.0, 3.0]), np.array([2.0, 2.0, 3.0, 3.0, -1.25])
    one, other = gc.placeholder("x", ("n",), "float64"), gc.placeholder("y", ("n",), "float64")
    found = gc.function([one, other], gc.divmod(one, other))(x, y)
    for part, expected in zip(found, np.divmod(x, y), strict=True):
        np.testing.assert_array_equal(part, expected)
    x = np.array([2.75, -2.75, 0.0, -0.0, np.inf, -np.inf, np.nan, -3.0])
    for part, expected in zip(gc.function([one], gc.modf(one))(x), np.modf(x), strict=True):
        np.testing.assert_array_equal(part, expected)
        np.testing.assert_array_equal(np.signbit(part[:6]), np.signbit(expected[:6]))
    gc.verify_grad(lambda x: gc.modf(x)[0], [np.array([0.3, -1.7])])


def test_logaddexp2() -> None:
    x, y = np.array([1.0, 2000.0, -np.inf, -3.0]), np.array([0.5, 1999.0, -np.inf, np.inf])
    one, other = gc.placeholder("x", ("n",), "float64"), gc.placeholder("y", ("n",), "float64")
    found = gc.function([one, other], gc.logaddexp2(one, other))(x, y)
    np.testing.assert_allclose(found, np.logaddexp2(x, y), rtol=1e-14)
    gc.verify_grad(gc.logaddexp2, [np.array([0.3, -1.7]), np.array([2.0, 4.0])])
