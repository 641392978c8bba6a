"""Updates: simultaneous, atomic, and in memory of their own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("reference", "interpreter", "llvm")
ALL_BACKENDS = (*BACKENDS, "numba_cpu")


def variable(name: str, *values: float) -> gc.Variable:
    return gc.variable(np.array(values, "float32"), name)


def values(*variables: gc.Variable) -> list[list[float]]:
    return [v.value.tolist() for v in variables]


# --- all at once ------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_swap(backend: str) -> None:
    a, b = variable("a", 1, 2), variable("b", 3, 4)
    f = gc.function([], updates={a: b, b: a}, backend=backend)
    assert f() is None
    assert values(a, b) == [[3, 4], [1, 2]]
    f()
    assert values(a, b) == [[1, 2], [3, 4]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_three_in_a_circle(backend: str) -> None:
    a, b, c = variable("a", 1, 2), variable("b", 3, 4), variable("c", 5, 6)
    f = gc.function([], updates={a: b + 0, b: c * 1, c: a}, backend=backend)
    f()
    assert values(a, b, c) == [[3, 4], [5, 6], [1, 2]]
    f()
    f()
    assert values(a, b, c) == [[1, 2], [3, 4], [5, 6]]


SHIFTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "left": (lambda v: gc.concat([v[1:], v[:1]]), lambda a: np.roll(a, -1, 0)),
    "right": (lambda v: gc.concat([v[-1:], v[:-1]]), lambda a: np.roll(a, 1, 0)),
    "reversed": (lambda v: v[::-1], lambda a: a[::-1]),
    "transposed": (lambda v: v.T, lambda a: a.T),
    "neighbours": (
        lambda v: v + gc.concat([v[1:], v[:1]]) * 2,
        lambda a: a + np.roll(a, -1, 0) * 2,
    ),
    "scaled by its sum": (lambda v: v * gc.sum(v) - v[0], lambda a: a * a.sum() - a[0]),
    "its product": (lambda v: v @ v, lambda a: a @ a),
    "reshaped": (
        lambda v: gc.reshape(gc.reshape(v, (-1,))[::-1], v.shape),
        lambda a: a.reshape(-1)[::-1].reshape(a.shape),
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SHIFTS)
def test_updates_read_old_values_everywhere(name: str, backend: str) -> None:
    symbolic, numeric = SHIFTS[name]
    start = np.arange(9, dtype="float32").reshape(3, 3) - 3
    v, w = gc.variable(start, "v"), gc.variable(start.T, "w")
    f = gc.function([], [v, w], {v: symbolic(w), w: symbolic(v)}, backend=backend)
    a, b = start, start.T
    for _ in range(3):
        old = f()
        np.testing.assert_allclose(old[0], a, rtol=1e-6)
        np.testing.assert_allclose(old[1], b, rtol=1e-6)
        a, b = numeric(b), numeric(a)
        np.testing.assert_allclose(v.value, a, rtol=1e-6)
        np.testing.assert_allclose(w.value, b, rtol=1e-6)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_outputs_see_old_values(backend: str) -> None:
    x, v = gc.placeholder("x", (2,)), variable("v", 1, 2)
    f = gc.function([x], {"old": v, "sum": v + x}, {v: v + x}, backend=backend)
    found = f([10, 20])
    assert found["old"].tolist() == [1, 2] and found["sum"].tolist() == [11, 22]
    assert f([0, 0])["old"].tolist() == [11, 22]


@pytest.mark.parametrize("backend", BACKENDS)
def test_updates_by_the_same_value_have_memory_of_their_own(backend: str) -> None:
    x = gc.placeholder("x", (2,))
    a, b, c = variable("a", 0, 0), variable("b", 0, 0), variable("c", 1, 2)
    new = x * 2
    f = gc.function([x], new, {a: new, b: new, c: c}, backend=backend)
    output = f([1, 2])
    output[:] = -1
    assert values(a, b, c) == [[2, 4], [2, 4], [1, 2]]
    gc.function([], updates={a: a + 1}, backend=backend)()
    assert values(a, b) == [[3, 5], [2, 4]]
    memory = [v.storage.array for v in (a, b, c)]
    assert not any(np.shares_memory(p, q) for p in memory for q in memory if p is not q)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_updates_by_inputs_constants_and_other_variables(backend: str) -> None:
    x = gc.placeholder("x", (2,))
    a, b, c = variable("a", 0, 0), variable("b", 0, 0), variable("c", 1, 2)
    f = gc.function([x], updates=[(a, x), (b, [5, 6]), (c, a)], backend=backend)
    feed = np.array([1, 2], "float32")
    f(feed)
    feed[:] = 9
    assert values(a, b, c) == [[1, 2], [5, 6], [0, 0]]
    f(feed)
    assert values(a, b, c) == [[9, 9], [5, 6], [1, 2]]


def test_python_numbers_take_the_dtype_of_the_variable() -> None:
    whole, half = gc.variable(1, "whole", "int8"), gc.variable(0.0, "half", "float16")
    truth = gc.variable(False, "truth")
    gc.function([], updates={whole: -3, half: 0.5, truth: True}, backend="reference")()
    assert [v.value.item() for v in (whole, half, truth)] == [-3, 0.5, True]
    assert whole.value.dtype == np.int8 and half.value.dtype == np.float16


def test_no_elements_and_no_axes() -> None:
    empty, scalar = gc.variable(np.zeros((0, 3), "float32"), "e"), gc.variable(2.0, "s")
    f = gc.function([], [empty], {empty: empty + scalar, scalar: scalar * 3})
    assert f()[0].shape == (0, 3) and scalar.value == 6 and scalar.value.shape == ()


def test_hundreds_of_variables() -> None:
    variables = [variable(f"v{k}", k) for k in range(300)]
    following = [*variables[1:], variables[0]]
    f = gc.function([], updates=list(zip(variables, following, strict=True)))
    f()
    assert [v.value[0] for v in variables] == [*range(1, 300), 0]


def test_one_variable_in_several_functions() -> None:
    v, x = variable("v", 1), gc.placeholder("x")
    add = gc.function([x], updates={v: v + x})
    double = gc.function([], v, {v: v * 2})
    look = gc.function([], v * 1, backend="reference")
    add(2)
    assert double() == 3 and look() == 6
    add(1)
    assert look() == 7


# --- reading and setting ------------------------------------------------------------------------


def test_values_are_copies() -> None:
    array = np.array([1, 2], "float32")
    v = gc.variable(array, "v")
    array[:] = 9
    assert values(v) == [[1, 2]]
    v.value[:] = 9
    assert values(v) == [[1, 2]]
    array[:] = (3, 4)
    v.value = array
    array[:] = 9
    assert values(v) == [[3, 4]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_setting_between_calls(backend: str) -> None:
    v = variable("v", 1, 2)
    f = gc.function([], v * 10, {v: v + 1}, backend=backend)
    for _ in range(3):
        f()
    assert values(v) == [[4, 5]]
    kept = v.value
    v.value = [7, 8]
    assert f().tolist() == [70, 80]
    assert values(v) == [[8, 9]] and kept.tolist() == [4, 5]


def test_what_may_be_set() -> None:
    v, whole = variable("v", 1, 2), gc.variable(1, "whole")
    v.value = (3, 4)
    v.value = np.array([5, 6], "int8")
    v.value = np.array([[1, 0], [2, 0]], ">f4")[:, 0]
    assert values(v) == [[1, 2]] and v.value.dtype == np.float32
    whole.value = True
    assert whole.value == 1 and whole.value.dtype == np.int64


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ALL_BACKENDS)
@pytest.mark.parametrize("order", ["check first", "check last"])
def test_an_error_changes_no_variable(order: str, backend: str) -> None:
    k = gc.placeholder("k", ("n",), "int64")
    a, b = variable("a", 1, 2, 3), variable("b", 4, 5, 6)
    if order == "check first":
        chosen = gc.take(b, k)
    else:  # the bad index is known only after work was done
        chosen = gc.take(b, k + gc.astype(gc.sum(gc.tanh(a) * 0), "int64"))
    f = gc.function([k], chosen, {a: a * 2 + gc.sum(chosen), b: a}, backend=backend)
    for bad in ([0, 3], [-4, 0], [10**12]):
        with pytest.raises(gc.IndexOutOfRange):
            f(bad)
        assert values(a, b) == [[1, 2, 3], [4, 5, 6]]
    assert f([0]).tolist() == [4]
    assert values(a, b) == [[6, 8, 10], [1, 2, 3]]


def test_a_failing_backend_changes_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = variable("a", 1), variable("b", 2)
    f = gc.function([], updates={a: b, b: a + 1})

    def fail(*args: Any) -> Any:
        for array in args[3]:
            array[...] = -99  # as a call that was broken off half way
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(f, "_run", fail)
        for _ in range(3):
            with pytest.raises(MemoryError):
                f()
    assert values(a, b) == [[1], [2]]
    f()
    assert values(a, b) == [[2], [2]]
