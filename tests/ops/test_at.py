"""x.at[key], scatter and put_along_axis: against numpy's assignment and ufunc.at."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, IndexOutOfRange, ShapeError, SymbolicValueError
from graphc.gradient_check import verify_grad

MODES = ("set", "add", "multiply", "min", "max")
UFUNCS = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}


def numbers(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def expected(x: np.ndarray, key: Any, values: Any, mode: str) -> np.ndarray:
    result = x.copy()
    if mode == "set":
        result[key] = values
    else:
        UFUNCS[mode].at(result, key, values)
    return result


def updated(x: Any, key: Any, values: Any, mode: str) -> Any:
    return getattr(x.at[key], mode)(values)


def placeholder(array: np.ndarray, symbolic: bool, name: str = "x") -> gc.Tensor:
    return gc.placeholder(name, [None] * array.ndim if symbolic else array.shape, array.dtype)


@st.composite
def shapes_and_keys(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    common = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    key: list[Any] = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        kinds = ["slice", "none", *(["int", "array", "array"] if size else [])]
        kind = draw(st.sampled_from(kinds))
        if kind == "none":
            key.append(None)
        if kind == "int":
            key.append(draw(st.integers(-size, size - 1)))
        elif kind == "array":
            count = int(np.prod(common, dtype=int))
            flat = [draw(st.integers(-size, size - 1)) for _ in range(count)]
            key.append(np.array(flat, dtype="int64").reshape(common))
        else:
            bounds = st.none() | st.integers(-5, 5)
            key.append(slice(draw(bounds), draw(bounds), draw(st.sampled_from([None, 2, -1, -2]))))
    return shape, tuple(key)


@given(shapes_and_keys(), st.sampled_from(MODES), st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_key_equals_numpy(case: Any, mode: str, symbolic: bool, scalar: bool) -> None:
    shape, key = case
    array = numbers(shape)
    values = numbers(() if scalar else array[key].shape, 2)
    x, v = placeholder(array, symbolic), placeholder(values, symbolic, "v")
    (value,) = evaluate_tensors([updated(x, key, v, mode)], {x: array, v: values})
    np.testing.assert_array_equal(value, expected(array, key, values, mode))


@given(shapes_and_keys(), st.sampled_from(("set", "add", "min")))
@settings(max_examples=150, deadline=None)
def test_gradients_do_not_depend_on_what_is_known(case: Any, mode: str) -> None:
    shape, key = case
    array = numbers(shape)
    values = numbers(array[key].shape, 2)
    found = []
    for symbolic in (False, True):
        x, v = placeholder(array, symbolic), placeholder(values, symbolic, "v")
        y = gc.grad(gc.sum(gc.sin(updated(x, key, v, mode))), [x, v], disconnected="zero")
        found.append(evaluate_tensors(y, {x: array, v: values}))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)


@given(shapes_and_keys(), st.sampled_from(MODES), st.sampled_from(("interpreter", "llvm")))
@settings(max_examples=40, deadline=None)
def test_any_key_compiled(case: Any, mode: str, backend: str) -> None:
    shape, key = case
    array = numbers(shape)
    values = numbers(array[key].shape, 2)
    x, v = placeholder(array, True), placeholder(values, True, "v")
    f = gc.function([x, v], updated(x, key, v, mode), backend=backend, on_unused_input="ignore")
    np.testing.assert_array_equal(f(array, values), expected(array, key, values, mode))


ROWS, COLUMNS = np.array([0, -1, 2, 0]), np.array([[1], [0]])
KEYS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "int": (1, (3, 4)),
    "ints": ((0, -1), (3, 4)),
    "slice": (slice(1, None), (3, 4)),
    "steps": ((slice(None, None, 2), slice(None, None, -3)), (3, 7)),
    "whole": (..., (3, 4)),
    "scalar": ((), ()),
    "new axes": ((None, 1, ..., None), (3, 4)),
    "empty slice": (slice(2, 1), (3, 4)),
    "empty axis": (slice(None), (0, 4)),
    "size 1": ((0, slice(None)), (1, 3)),
    "array": ([0, 2, 0], (3, 4)),
    "array behind": ((slice(None), [3, 0, 3]), (3, 4)),
    "pairs": ((ROWS, ROWS), (3, 4)),
    "broadcast": ((COLUMNS, ROWS), (3, 4)),
    "with a slice": ((slice(1, None), [0, 0, 1]), (3, 2)),
    "apart": ((ROWS, slice(None), COLUMNS), (3, 2, 4)),
    "int and array": ((1, slice(None, None, 2), [0, 0, -1]), (2, 3, 4)),
    "nothing": (([], []), (3, 4)),
    "mask": (np.array([True, False, True]), (3, 4)),
    "mask of two axes": (np.arange(12).reshape(3, 4) % 5 < 2, (3, 4, 2)),
}


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm"])
@pytest.mark.parametrize("name", KEYS)
def test_backends(name: str, backend: str) -> None:
    key, shape = KEYS[name]
    array = numbers(shape)
    values = numbers(array[key].shape, 2)
    x, v = placeholder(array, "mask" not in name), placeholder(values, True, "v")
    f = gc.function([x, v], [updated(x, key, v, mode) for mode in MODES], backend=backend)
    before = array.copy()
    for mode, value in zip(MODES, f(array, values), strict=True):
        np.testing.assert_allclose(value, expected(array, key, values, mode), rtol=1e-15)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("name", ["steps", "broadcast", "int and array"])
def test_numba(name: str) -> None:
    key, shape = KEYS[name]
    array = numbers(shape)
    values = numbers(array[key].shape, 2)
    x, v = placeholder(array, False), placeholder(values, False, "v")
    f = gc.function([x, v], [updated(x, key, v, m) for m in MODES], backend="numba_cpu")
    for mode, value in zip(MODES, f(array, values), strict=True):
        np.testing.assert_allclose(value, expected(array, key, values, mode), rtol=1e-15)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", KEYS)
def test_derivatives(name: str, mode: str) -> None:
    key, shape = KEYS[name]
    array = numbers(shape)
    values = numbers(array[key].shape, 2)
    verify_grad(lambda x, v: gc.sin(updated(x, key, v, mode)), [array, values])


def test_second_derivatives() -> None:
    for mode in MODES:

        def first(x: Any, v: Any, mode: str = mode) -> Any:
            cost = gc.sum(gc.sin(updated(x, [0, 2, -1], v, mode)) * 2)
            return gc.grad(cost, x)

        verify_grad(lambda x, first=first: first(x, numbers((3,), 3)), [numbers((5,))])


def test_several_factors_of_one_entry_with_zeros_among_them() -> None:
    """The derivative by a factor is the product of the others, also where it is 0 itself."""
    factors = np.array([2.0, 3.0, 0.0, 5.0, 0.0, 0.0, 7.0])
    places = [0, 0, 1, 1, 2, 2, 2]  # none is 0, one is, two are
    x, v = gc.placeholder("x", (3,), "float64"), gc.placeholder("v", (7,), "float64")
    result = x.at[places].multiply(v)
    weights = np.array([1.0, 10.0, 100.0])
    array = np.array([0.5, 2.0, 4.0])
    expected = [3 * 0.5, 2 * 0.5, 5 * 2.0 * 10, 0, 0, 0, 0]
    for backend in ("reference", "llvm"):
        f = gc.function([x, v], gc.grad(gc.sum(result * weights), v), backend=backend)
        np.testing.assert_allclose(f(array, factors), expected, rtol=1e-12)
    index = gc.placeholder("i", (7,), "int64")
    by_v = gc.grad(gc.sum(gc.exp(x.at[index].multiply(v))), v)  # places that only the call knows
    verify_grad(lambda x, v: gc.sin(x.at[places].multiply(v)), [array, factors])
    found = gc.run(by_v, {x: array, v: factors + 1.0, index: np.array(places)})
    total = np.array([12.0, 6.0, 8.0]) * array
    np.testing.assert_allclose(found, (np.exp(total) * total)[places] / (factors + 1.0), rtol=1e-12)


def test_ties() -> None:
    """x comes before the values, and of the values the first."""
    x, v = gc.placeholder("x", (2,), "float64"), gc.placeholder("v", (3,), "float64")
    cost = gc.sum(x.at[[0, 1, 1]].max(v))
    by_x, by_v = gc.grad(cost, [x, v])
    feeds = {x: np.array([1.0, 0.0]), v: np.array([1.0, 2.0, 2.0])}
    values = evaluate_tensors([by_x, by_v], feeds)
    np.testing.assert_array_equal(values[0], [1, 0])
    np.testing.assert_array_equal(values[1], [0, 1, 0])


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
def test_the_last_of_several_wins(backend: str) -> None:
    x, v = gc.placeholder("x", ("n", 2), "float32"), gc.placeholder("v", ("k", 2), "float32")
    i = gc.placeholder("i", ("k",), "int32")
    y = x.at[i].set(v)
    f = gc.function([x, v, i], [y, *gc.grad(gc.sum(y * y), [x, v])], backend=backend)
    array, values = np.ones((3, 2), "float32"), np.arange(8, dtype="float32").reshape(4, 2)
    result, by_x, by_v = f(array, values, np.array([1, 0, -2, 1], "int32"))
    np.testing.assert_array_equal(result, [[2, 3], [6, 7], [1, 1]])
    np.testing.assert_array_equal(by_x, [[0, 0], [0, 0], [2, 2]])
    np.testing.assert_array_equal(by_v, [[0, 0], [4, 6], [0, 0], [12, 14]])


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint32", "float16", "float32", "bool"])
@pytest.mark.parametrize("backend", ["interpreter", "llvm", "numba_cpu"])
def test_dtypes(backend: str, dtype: str) -> None:
    array = np.array([[1, 2, 3], [4, 5, 6]]).astype(dtype)
    values = np.array([[7, 0], [1, 9]]).astype(dtype)
    x, v = gc.placeholder("x", (2, 3), dtype), gc.placeholder("v", (2, 2), dtype)
    modes = MODES[:1] if dtype == "bool" else MODES
    f = gc.function([x, v], [updated(x, (..., [2, 2]), v, mode) for mode in modes], backend=backend)
    for mode, value in zip(modes, f(array, values), strict=True):
        assert value.dtype == dtype
        np.testing.assert_array_equal(value, expected(array, (..., [2, 2]), values, mode))


def test_zero_and_nan() -> None:
    """Entries that are not written keep their bits; NaN goes through min and max."""
    array = np.array([-0.0, np.nan, 1.0, 2.0])
    x = gc.placeholder("x", ("n",), "float64")
    builds = [x.at[2:].add(1.0), x.at[[2]].add(0.0), x.at[[1, 3]].max(5.0), x.at[:1].min(np.nan)]
    for backend in ("reference", "llvm"):
        plus, still, most, least = gc.function([x], builds, backend=backend)(array)
        assert np.signbit(plus[0]) and np.signbit(still[0])
        np.testing.assert_array_equal(most, [-0.0, np.nan, 1, 5])
        assert np.isnan(least[0])


def test_slices_of_symbolic_axes_are_pieces() -> None:
    """No mask and no zeros in memory: each piece is written to its place."""
    x, v = gc.placeholder("x", ("n", "m"), "float64"), gc.placeholder("v", ("m",), "float64")
    y = x.at[1:, :-2].add(v[2:])
    f = gc.function([x, v], y, backend="llvm")
    for shape in ((0, 3), (1, 2), (3, 5), (4, 2), (2, 3)):
        array, values = numbers(shape), numbers(shape[1:], 2)
        wanted = array.copy()
        wanted[1:, :-2] += values[2:]
        np.testing.assert_array_equal(f(array, values), wanted)
    ones = x.at[1:].set(1.0)
    assert ones.shape == x.shape and ones.op.name == "update_slice"


# --- masks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_computed_masks(mode: str) -> None:
    array = numbers((3, 4))
    x = gc.placeholder("x", ("n", "m"), "float64")
    for value in (2.0, np.float64(0.5)):
        (result,) = evaluate_tensors([updated(x, x > 0, value, mode)], {x: array})
        np.testing.assert_array_equal(result, expected(array, array > 0, value, mode))
    row = numbers((4,), 3)
    rows = gc.sum(x, axis=1) > 0
    (result,) = evaluate_tensors([updated(x, rows, row, mode)], {x: array})
    np.testing.assert_array_equal(result, expected(array, array.sum(1) > 0, row, mode))
    with pytest.raises(SymbolicValueError, match=r"E215.*values of 1 axes"):
        updated(x, x > 0, row, mode)


def test_get_is_x_of_key() -> None:
    array = numbers((3, 4))
    x = gc.placeholder("x", (3, 4), "float64")
    (value,) = evaluate_tensors([x.at[1:, [0, 2]].get()], {x: array})
    np.testing.assert_array_equal(value, array[1:, [0, 2]])


# --- functions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_put_along_axis(backend: str) -> None:
    array, values = numbers((3, 4)), numbers((3, 2), 2)
    index = np.array([[0, -1], [2, 1], [3, 0]])
    x, i = gc.placeholder("x", ("n", "m"), "float64"), gc.placeholder("i", ("n", "k"), "int64")
    v = gc.placeholder("v", ("n", "k"), "float64")
    f = gc.function([x, i, v], gc.put_along_axis(x, i, v, 1), backend=backend)
    wanted = array.copy()
    np.put_along_axis(wanted, index, values, 1)
    np.testing.assert_array_equal(f(array, index, values), wanted)
    labels = np.array([[1], [3], [0]])
    (one,) = evaluate_tensors([gc.put_along_axis(x, labels, 1.0)], {x: array})
    wanted = array.copy()
    np.put_along_axis(wanted, labels, 1.0, 1)
    np.testing.assert_array_equal(one, wanted)
    verify_grad(lambda x, v: gc.sin(gc.put_along_axis(x, index, v, 1)), [array, values])


def test_embedding_gradients_add_up() -> None:
    """The update of a table of variables, in place of x[i] += v."""
    table = gc.variable(np.zeros((4, 2)), "table")
    i = gc.placeholder("i", ("n",), "int64")
    step = gc.function([i], [], updates={table: table.at[i].add(1.0)}, backend="llvm")
    step(np.array([1, 1, -1]))
    np.testing.assert_array_equal(table.value[:, 0], [0, 2, 0, 1])


# --- errors ------------------------------------------------------------------------------------

BAD: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "int": (lambda x: x.at[3].set(0.0), IndexOutOfRange, "E401.*index 3 .* axis 0 of size 3"),
    "array": (lambda x: x.at[[0, 4]].add(0.0), IndexOutOfRange, "E401.*index 4 .* axis 0"),
    "values": (lambda x: x.at[1:].set(np.zeros((3, 4), "float32")), ShapeError, "broadcast"),
    "dtype": (lambda x: x.at[0].set(np.zeros(4)), DTypeError, "E214.*float64 does not fit"),
    "axes": (lambda x: gc.scatter(x, ([0],), 1.0, (2,)), ShapeError, "axis 2 is out of range"),
    "rank": (lambda x: gc.put_along_axis(x, [0], 1.0), ShapeError, "as many axes as x"),
    "assignment": (lambda x: x.__setitem__(0, 1.0), SymbolicValueError, r"x.at\[key\].set"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_line(name: str) -> None:
    build, kind, message = BAD[name]
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(kind, match=f"(?s){message}") as info:
        build(x)
    assert "test_at.py:" in str(info.value)


def test_integers_do_not_take_floats() -> None:
    k = gc.placeholder("k", (3,), "int32")
    with pytest.raises(DTypeError, match="set: float does not fit into int32"):
        k.at[0].set(0.5)
    with pytest.raises(DTypeError, match="add: not for bool"):
        (k > 0).at[0].add(True)
    with pytest.raises(ValueError, match="mode is one of"):
        gc.scatter(k, ([0],), 1, mode="subtract")


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
def test_bad_indices_at_the_call_change_nothing(backend: str) -> None:
    start = numbers((3, 2))
    table = gc.variable(start.copy(), "table")
    i = gc.placeholder("i", ("n",), "int64")
    f = gc.function([i], [], updates={table: table.at[i].set(1.0)}, backend=backend)
    with pytest.raises(IndexOutOfRange, match=r"E402.*index 3 .* axis 0 of size 3") as info:
        f(np.array([0, 3]))
    assert "test_at.py:" in str(info.value) and "table.at[i]" in str(info.value)
    np.testing.assert_array_equal(table.value, start)


def test_a_loop_replaces_slices_without_masks_in_memory() -> None:
    """Updates of parts of arrays beside each other are one pass, which asks where it stands."""
    electric, magnetic = gc.placeholder("electric", (20, 21)), gc.placeholder("magnetic", (20, 21))

    def step(carry: Any, _: Any) -> Any:
        e, h = carry
        h = h.at[:, :-1].add(0.5 * (e[:, 1:] - e[:, :-1]))
        e = e.at[:, 1:-1].add(0.5 * (h[:, 1:-1] - h[:, :-2]))
        return (e, h), None

    (e, h), _ = gc.scan(step, (electric, magnetic), None, length=3)
    f = gc.function([electric, magnetic], [e, h])
    assert "bool" not in f.loops()
    assert len(f.kernels().splitlines()) == 3  # the loop, and a kernel for each update
    arrays = [numbers((20, 21), seed).astype("float32") for seed in (1, 2)]
    reference = gc.function([electric, magnetic], [e, h], backend="reference")
    for got, wanted in zip(f(*arrays), reference(*arrays), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=2e-6)
