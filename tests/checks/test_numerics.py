"""check="nan": where the first NaN comes from."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FunctionError, NumericsError

BACKENDS = ("llvm", "numba_cpu", "interpreter", "reference")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def message(f: Any, *arrays: Any) -> str:
    with pytest.raises(NumericsError) as caught:
        f(*arrays)
    assert caught.value.code == "E415"
    return str(caught.value)


def test_names_the_op_its_inputs_the_position_and_the_line(backend: str) -> None:
    x = gc.placeholder("x", ("n", 2))
    w = gc.variable(np.ones(2, "float32"), "w")
    y = gc.sqrt(x)  # the culprit
    cost = gc.sum(y * w)
    f = gc.function([x], {"cost": cost}, {w: w - gc.mean(y, axis=0)}, backend=backend, check="nan")
    f(np.ones((3, 2), "float32"))
    before = w.value
    text = message(f, np.array([[1, 2], [3, -4]], "float32"))
    assert "output cost is nan" in text
    assert "sqrt(x) is the first to give nan at [1, 1] of [2, 2]" in text
    assert "with x = -4.0" in text and "# the culprit" in text
    np.testing.assert_array_equal(w.value, before)


def test_an_update_that_is_not_finite(backend: str) -> None:
    x = gc.placeholder("x", ())
    w = gc.variable(np.float32(1), "w")
    f = gc.function([x], x, {w: w / x}, backend=backend, check="nan")
    text = message(f, np.float32(0))
    assert "the update of w is inf" in text and "w / x is the first to give inf" in text
    assert w.value == 1


def test_says_where_the_infinity_behind_a_nan_comes_from() -> None:
    x = gc.placeholder("x", (2,))
    top = gc.exp(x)  # overflows
    f = gc.function([x], top - top * 2, check="nan")
    text = message(f, np.array([1, 100], "float32"))
    assert "is nan at [1]" in text and "the inf: exp(x) is the first to give inf" in text


def test_a_mask_of_minus_infinity_is_well() -> None:
    x = gc.placeholder("x", (3,))
    f = gc.function([x], gc.nn.softmax(gc.where(x > 0, x, -np.inf)), check="nan")
    np.testing.assert_allclose(f(np.array([-1, 1, 1], "float32")), [0, 0.5, 0.5])


def test_bad_feeds_are_named() -> None:
    x = gc.placeholder("x", (3,))
    f = gc.function([x], x * 2, check="nan")
    assert "x holds nan at [1]" in message(f, np.array([0, np.nan, 0], "float32"))


def test_inside_loops_and_branches(backend: str) -> None:
    x = gc.placeholder("x", ("n",))

    def step(c: Any, e: Any) -> Any:
        c = gc.tanh(c) + gc.log(e)
        return c, c

    total, _ = gc.scan(step, 0.0, x)
    f = gc.function([x], total, backend=backend, check="nan")
    assert f(np.ones(3, "float32")) == 0
    text = message(f, np.array([1, 1, -2, 1], "float32"))
    assert "is the first to give nan" in text and "in run 2 of the body of scan" in text
    y = gc.cond(gc.sum(x) > 0, lambda: gc.sum(x), lambda: gc.sum(gc.log(x)))
    g = gc.function([x], y, backend=backend, check="nan")
    text = message(g, np.array([-2], "float32"))
    assert "log(" in text and "with" in text and "-2.0" in text


def test_large_finite_sums_are_finite() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], x * 1.0, check="nan")
    assert np.isfinite(f(np.full(100, 3e38, "float32"))).all()
    assert f(np.zeros(0, "float32")).shape == (0,)


@pytest.mark.parametrize("check", ["nans", ("nan", "everything"), 3, ["x"]])
def test_unknown_words(check: Any) -> None:
    x = gc.placeholder("x", (3,))
    with pytest.raises(FunctionError, match="check=") as caught:
        gc.function([x], x, check=check)
    assert caught.value.code == "E205" and "'nan'" in str(caught.value)
    assert "test_numerics.py" in str(caught.value)
