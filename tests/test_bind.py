"""f.bind(x): calls on the same arrays, without checks."""

import gc as garbage
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("llvm", "numba_cpu", "interpreter", "reference")
X = np.arange(6, dtype="float32")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("with_out", [False, True])
def test_it_reads_what_is_there(backend: str, with_out: bool) -> None:
    x, t = gc.placeholder("x", ("n",)), gc.placeholder("t", ())
    f = gc.function([x, t], {"a": x * t, "b": gc.sum(x)}, backend=backend)
    array = X.copy()
    out = {"a": np.empty(6, "float32"), "b": np.empty((), "float32")}
    call = f.bind(array, 2, out=out) if with_out else f.bind(array, t=2)
    for turn in range(9):
        array[:] = X + turn
        found = call()
        np.testing.assert_array_equal(found["a"], (X + turn) * 2)
        assert found["b"] == (X + turn).sum()
        assert (found["a"] is out["a"]) == with_out


@pytest.mark.parametrize(
    "outputs", [lambda x: x, lambda x: [], lambda x: None, lambda x: (x, [x, x + 1])]
)
def test_every_structure(outputs: Any) -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], outputs(x), on_unused_input="ignore")
    call = f.bind(X)
    for _ in range(6):
        assert repr(call()) == repr(f(X))
        assert type(call()) is type(f(X))


def test_new_arrays_are_new() -> None:
    x = gc.placeholder("x", ("n",))
    call = gc.function([x], x * 2).bind(X)
    found = [call() for _ in range(8)]
    assert len({array.ctypes.data for array in found}) == 8


@pytest.mark.parametrize("with_out", [False, True])
def test_variables_move(with_out: bool) -> None:
    x, w = gc.placeholder("x", (3,)), gc.variable(np.zeros(3, "float32"), "w")
    f = gc.function([x], w * 10, updates={w: w + x})
    one = np.ones(3, "float32")
    out = np.empty(3, "float32") if with_out else None
    call = f.bind(one, out=out)
    expected = 0.0
    for turn in range(20):
        if turn % 5 == 4:
            w.value = np.full(3, 100 * turn, "float32")
            expected = 100 * turn
        found = f(one) if turn % 3 == 0 else f([1, 1, 1]) if turn % 3 == 1 else call()
        np.testing.assert_array_equal(found, np.full(3, expected * 10))
        expected += 1
        np.testing.assert_array_equal(w.value, np.full(3, expected))


def test_complex_arrays() -> None:
    z, w = gc.placeholder("z", ("n",), "complex64"), gc.variable(np.complex64(1j), "w")
    f = gc.function([z], z * w, updates={w: w * 1j})
    array = X.astype("complex64")
    call = f.bind(array)
    for turn in range(9):
        np.testing.assert_allclose(call(), (array * 1j ** (turn + 1)).astype("complex64"))


def test_failed_checks_change_nothing() -> None:
    i, w = gc.placeholder("i", (1,), "int64"), gc.variable(np.zeros(3, "float32"), "w")
    index = np.array([1])
    call = gc.function([i], w[i], updates={w: w + 1}).bind(index)
    for _ in range(6):
        call()
    index[0] = 3
    with pytest.raises(gc.IndexOutOfRange, match="test_bind"):
        call()
    np.testing.assert_array_equal(w.value, np.full(3, 6))
    index[0] = 2
    assert call()[0] == 6


def test_what_would_be_copied_is_refused() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], x * 2)
    for array in (X[::2], X.astype("float16"), np.arange(3)):
        with pytest.raises(gc.FeedTypeError, match=r"copied|precision"):
            f.bind(array)
    with pytest.raises(gc.FeedError, match="overlaps"):
        f.bind(X, out=X)
    y = gc.placeholder("y", ("n", 3))
    with pytest.raises(gc.FeedError, match="axis 1 has size 2"):
        gc.function([y], y + 1).bind(np.ones((4, 4), "float32")[:, :2])


def test_a_bound_call_takes_no_arguments() -> None:
    x = gc.placeholder("x", ("n",))
    bound = gc.function([x], x * 2, name="f").bind([1.0, 2.0])
    for _ in range(2):
        with pytest.raises(TypeError, match=r"f: a bound call takes no arguments, got 1.*\n.*bind"):
            bound(X)
        with pytest.raises(gc.FeedError, match="write new values into those arrays"):
            bound(x=X)
        for _ in range(6):
            np.testing.assert_array_equal(bound(), [2, 4])


def test_it_keeps_what_it_needs_and_no_more() -> None:
    x, w = gc.placeholder("x", ("n",)), gc.variable(np.float32(3), "w")
    f = gc.function([x], x * w)
    call = f.bind(np.ones(1000, "float32"))
    function = weakref.ref(f)
    del f, w
    garbage.collect()
    for _ in range(9):
        np.testing.assert_array_equal(call(), np.full(1000, 3))
    del call
    garbage.collect()
    assert function() is None


def test_long_calls_and_threads() -> None:
    x = gc.placeholder("x", ("n", 200))
    f = gc.function([x], x.T @ x)
    array = np.random.default_rng(0).normal(size=(400, 200)).astype("float32")
    call = f.bind(array)
    expected = f(array)
    failures: list[Any] = []

    def work() -> None:
        for _ in range(20):
            if not np.array_equal(call(), expected):
                failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
