"""assert_, check_numerics and gc.debug."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import AssertionFailed, CustomOpError, DTypeError, HostCallError, NumericsError

BACKENDS = ("llvm", "numba_cpu", "interpreter", "reference")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def numbers(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def test_assert_names_position_message_and_line(backend: str) -> None:
    x = gc.placeholder("x", ("n", 3))
    w = gc.variable(np.zeros(3, "float32"), "w")
    y = gc.assert_(gc.exp(x) * 2, x < 4, "small numbers", gc.sum(x, axis=0))
    z = gc.assert_(gc.exp(x) * 2, x < 4, "small numbers")
    for value, shows in ((y, True), (z, False)):
        f = gc.function([x], gc.sum(value), {w: w + 1}, backend=backend, check="ir")
        np.testing.assert_allclose(f(numbers(1, 3)), 2 * np.exp([0, 1, 2]).sum(), rtol=1e-5)
        assert f(numbers(0, 3)) == 0
        before = w.value
        with pytest.raises(AssertionFailed, match="small numbers") as caught:
            f(numbers(3, 3))
        text = str(caught.value)
        assert caught.value.code == "E414" and "test_checks.py" in text
        assert "fails first at [1, 1] of [3, 3]" in text
        assert (" = [ 9. 12. 15.]" in text) == shows
        np.testing.assert_array_equal(w.value, before)


def test_assert_passes_gradients_and_tangents(backend: str) -> None:
    x = gc.placeholder("x", ("n",))
    y = gc.assert_(x * x, x >= 0)
    f = gc.function([x], [gc.grad(gc.sum(y), x), gc.jvp(y, x, gc.ones_like(x))], backend=backend)
    for found in f(numbers(3)):
        np.testing.assert_array_equal(found, 2 * numbers(3))


def test_assert_vanishes_where_it_holds() -> None:
    x = gc.placeholder("x", ("n",))
    assert gc.assert_(x, True) is x
    assert gc.assert_(x, np.bool_(True)) is x
    f = gc.function([x], gc.assert_(x, gc.constant([1.0, 2.0]) > 0) + 1)
    assert "assert" not in f.kernels()
    g = gc.function([x], gc.assert_(x, gc.constant([1.0, 2.0]) > 1, "no"))
    with pytest.raises(AssertionFailed, match="no"):
        g(numbers(2))


def test_wrong_asserts() -> None:
    x = gc.placeholder("x", ("n",))
    with pytest.raises(AssertionFailed, match="never") as caught:
        gc.assert_(x, False, "never")
    assert "test_checks.py" in str(caught.value)
    with pytest.raises(DTypeError, match=r"condition is float32\[n\]"):
        gc.assert_(x, x)
    with pytest.raises(CustomOpError, match="the message is Tensor"):
        gc.assert_(x, x > 0, x)  # type: ignore[arg-type]


def test_assert_inside_a_loop(backend: str) -> None:
    x = gc.placeholder("x", ("n",))
    total, _ = gc.scan(lambda c, e: (gc.assert_(c + e, c < 5, "sum", e), None), 0.0, x)
    f = gc.function([x], [total, gc.grad(total, x)], backend=backend, check="ir")
    assert f(numbers(3))[0] == 3
    with pytest.raises(AssertionFailed, match="sum") as caught:
        f(numbers(6))
    assert "4." in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "word"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "-inf"), (None, "")]
)
def test_check_numerics(backend: str, bad: float | None, word: str) -> None:
    x = gc.placeholder("x", ("n", 3))
    y = gc.check_numerics(x + 1)
    f = gc.function([x], [gc.sum(y), gc.grad(gc.sum(y * y), x)], backend=backend, check="ir")
    array = numbers(4, 3)
    if bad is None:
        np.testing.assert_array_equal(f(array)[1], 2 * (array + 1))
        return
    array[2, 1] = array[3, 0] = bad
    with pytest.raises(NumericsError, match="check_numerics") as caught:
        f(array)
    text = str(caught.value)
    assert caught.value.code == "E415" and "test_checks.py" in text
    assert f"x + 1.0 is {word} at [2, 1] of float32[4, 3]" in text


def test_check_numerics_has_words_of_its_own_and_leaves_integers() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    k = gc.placeholder("k", ("n",), "int64")
    assert gc.check_numerics(k) is k
    f = gc.function([x], gc.check_numerics(x, "the loss"))
    with pytest.raises(NumericsError, match="check_numerics: the loss"):
        f(np.array([1, np.nan]))


def test_print(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    x = gc.placeholder("x", ("n",))
    y = gc.debug.print("x {} sum {:.2f}", x * 2, gc.sum(x))
    f = gc.function([x], [gc.sum(y), gc.grad(gc.sum(y), x)], backend=backend)
    assert f(numbers(3))[0] == 6
    assert capsys.readouterr().out == "x [0. 2. 4.] sum 3.00\n"


def test_callback_in_a_loop_is_called_once_a_step(backend: str) -> None:
    seen: list[Any] = []
    x = gc.placeholder("x", ("n",))

    def step(c: Any, e: Any) -> Any:
        c = gc.debug.callback(lambda c, e: seen.append((float(c), float(e))), gc.sin(c) + e, e)
        return c, None

    last, _ = gc.scan(step, 0.0, x)
    f = gc.function([x], [last, gc.grad(last, x)], backend=backend)
    f(numbers(3))
    assert [e for _, e in seen] == [0, 1, 2]
    np.testing.assert_allclose([c for c, _ in seen], [0, 1, np.sin(1) + 2], rtol=1e-6)


def test_callbacks_keep_what_they_got_and_their_order() -> None:
    seen: list[Any] = []
    x = gc.placeholder("x", ("n",))
    first = gc.debug.callback(seen.append, x + 1)
    second = gc.debug.callback(seen.append, first * 2)
    f = gc.function([x], second * 3)
    f(numbers(2))
    f(numbers(2) + 10)
    assert [array.tolist() for array in seen] == [[1, 2], [2, 4], [11, 12], [22, 24]]


def test_callback_that_raises(backend: str) -> None:
    def fail(x: np.ndarray) -> None:
        raise StopIteration("enough")

    x = gc.placeholder("x", ("n",))
    w = gc.variable(np.float32(0), "w")
    f = gc.function([x], gc.debug.callback(fail, x), {w: w + 1}, backend=backend)
    with pytest.raises(HostCallError, match="StopIteration: enough") as caught:
        f(numbers(2))
    assert isinstance(caught.value.__cause__, StopIteration)
    assert w.value == 0


def test_what_is_not_needed_is_not_called() -> None:
    seen: list[Any] = []
    x = gc.placeholder("x", ("n",))
    gc.debug.callback(seen.append, x)
    gc.function([x], x + 1)(numbers(2))
    assert seen == []


@pytest.mark.parametrize(
    ("format", "words"),
    [("{} {}", "2 places for 1"), ("{1}", "2 places for 1"), ("{name}", "a name"), ("{", "read")],
)
def test_wrong_formats(format: str, words: str) -> None:
    with pytest.raises(CustomOpError, match=words) as caught:
        gc.debug.print(format, gc.zeros((2,)))
    assert "test_checks.py" in str(caught.value)


def test_complex_values(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    z = gc.placeholder("z", ("n",), "complex64")
    y = gc.assert_(gc.debug.print("{}", z), gc.abs(z) > 0)
    f = gc.function([z], gc.check_numerics(y) * 2, backend=backend, check=True)
    np.testing.assert_array_equal(f(np.array([1j, 1], "complex64")), [2j, 2])
    assert "1.j" in capsys.readouterr().out
    with pytest.raises(NumericsError, match="imag"):
        f(np.array([1j, complex(1, np.inf)], "complex64"))
    with pytest.raises(AssertionFailed, match=r"fails first|does not hold"):
        f(np.array([1j, 0], "complex64"))
