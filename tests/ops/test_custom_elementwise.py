"""Scalar functions that Numba compiles, as elementwise ops in the loops of every backend."""

import math
from typing import Any

import numba
import numpy as np
import pytest

import graphc as gc
from graphc.errors import CustomOpError, DTypeError, GradientError
from graphc.scalar.foreign import Foreign

BACKENDS = ("llvm", "numba_cpu", "interpreter", "reference")
njit: Any = numba.njit


@gc.custom_elementwise(vjp=lambda x, dy: dy * gc.where(x > 0, 1.0, 0.1))
def leaky(x: float) -> float:
    return x if x > 0 else 0.1 * x


soft_maximum: Any = gc.custom_elementwise(
    njit(lambda a, b: math.log(math.exp(a) + math.exp(b))),
    name="soft_maximum",
    vjp=lambda a, b, dy: (
        dy * gc.exp(a - soft_maximum(a, b)),
        dy * gc.exp(b - soft_maximum(a, b)),
    ),
)
is_large = gc.custom_elementwise(lambda x: x > 0.5, name="is_large", dtype="bool")
collatz = gc.custom_elementwise(
    lambda n: n // 2 if n % 2 == 0 else 3 * n + 1, name="collatz", dtype="int64"
)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_fuses_broadcasts_and_differentiates(backend: str) -> None:
    x, y = gc.placeholder("x", ("n", 7)), gc.placeholder("y", (7,))
    z = gc.sum(leaky(x * 2) + soft_maximum(x, y), axis=0)
    f = gc.function([x, y], [z, *gc.grad(gc.sum(z), [x, y])], backend=backend, check=True)
    rng = np.random.default_rng(0)
    b = rng.normal(size=7).astype("float32")
    for rows in (5, 1, 0):  # 35 elements: whole vectors and what is left over
        a = rng.normal(size=(rows, 7)).astype("float32")
        soft = np.log(np.exp(a) + np.exp(b))
        value, by_x, by_y = f(a, b)
        expected = (np.where(a > 0, 2 * a, 0.2 * a) + soft).sum(axis=0)
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(by_x, np.where(a > 0, 2, 0.2) + np.exp(a - soft), rtol=1e-5)
        np.testing.assert_allclose(by_y, np.exp(b - soft).sum(axis=0), rtol=1e-5)
    if backend == "llvm":
        assert len(gc.function([x, y], z).stages.program.steps) == 1  # type: ignore[union-attr]


def test_other_dtypes(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "float64")
    k = gc.placeholder("k", ("n",), "int64")
    outputs = [is_large(x), gc.sum(is_large(x)), collatz(k), leaky(x) + 1]
    f = gc.function([x, k], outputs, backend=backend, check=True)
    large, count, following, values = f(np.linspace(-1, 1, 21), np.arange(21))
    np.testing.assert_array_equal(large, np.linspace(-1, 1, 21) > 0.5)
    assert count == large.sum() and values.dtype == np.float64
    np.testing.assert_array_equal(
        following, [n // 2 if n % 2 == 0 else 3 * n + 1 for n in range(21)]
    )


def test_numbers_and_loops() -> None:
    x = gc.placeholder("x", ("n",))
    total, _ = gc.scan(lambda c, e: (leaky(c - e), None), 0.0, x)
    f = gc.function([x], [total, soft_maximum(x, 0), leaky(-2.0)])
    value, soft, number = f(np.array([1, -2], "float32"))
    assert value == pytest.approx(1.9) and number == pytest.approx(-0.2)
    np.testing.assert_allclose(soft, np.log1p(np.exp([1, -2])), rtol=1e-6)


def test_derivatives() -> None:
    gc.verify_grad(soft_maximum, [np.array([0.5, -1.0]), np.array([1.0, 2.0])])
    x = gc.placeholder("x", ("n",))
    rough = gc.custom_elementwise(lambda x: x * 3, name="rough")
    with pytest.raises(GradientError, match="rough has no derivative"):
        gc.grad(gc.sum(rough(x)), x)


def test_functions_of_one_name_are_different() -> None:
    one, two = (gc.custom_elementwise(f, name="f") for f in (lambda x: x + 1, lambda x: x + 2))
    x = gc.placeholder("x", ("n",))
    a, b = gc.function([x], [one(x), two(x)])(np.zeros(3, "float32"))
    assert (a.tolist(), b.tolist()) == ([1, 1, 1], [2, 2, 2])


def test_what_numba_does_not_compile_is_refused_where_it_is_applied() -> None:
    def lookup(x: Any) -> Any:
        return {"a": object()}[x]

    op = gc.custom_elementwise(lookup)
    with pytest.raises(CustomOpError, match="numba does not compile") as caught:
        op(gc.placeholder("x", ("n",)))
    assert caught.value.code == "E413" and "test_custom_elementwise.py" in str(caught.value)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: gc.custom_elementwise(lambda x: x, name="a b"), CustomOpError, "not a usable"),
        (lambda: gc.custom_elementwise(lambda x: x, name="größe"), CustomOpError, "not a usable"),
        (lambda: leaky(), CustomOpError, "no inputs"),
        (lambda: leaky(gc.zeros((2,), "float16")), DTypeError, "float16"),
        (lambda: leaky(gc.zeros((2,), "complex64")), DTypeError, "complex64"),
    ],
)
def test_wrong_uses(build: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build()


def test_foreign_operations_evaluate_and_have_names_of_their_own() -> None:
    float32 = np.dtype("float32")
    one = Foreign("half", lambda x: x / 2, (float32,), float32)
    other = Foreign("half", lambda x: x / 2, (float32,), float32)
    assert one != other and str(one).startswith("half_")
    np.testing.assert_array_equal(one.evaluate(np.array([[1, 2]], float32)), [[0.5, 1]])
