"""Every function of the Array API through the adapter, compared with numpy's function of the same
name: dtypes, shapes and values. The calls are built, compiled by llvm and run."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import eager

Call = Callable[..., Any]
RNG = np.random.default_rng(12)
SHAPES = ((), (0,), (5,), (2, 1, 3))
FLOATS = ("float32", "float64")
INTEGERS = ("int8", "uint64")


def names(text: str) -> list[str]:
    return text.split()


def numbers(dtype: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    values = np.asarray(RNG.uniform(low, high, size=shape))
    if np.dtype(dtype).kind == "u":
        values = np.abs(values)
    return np.asarray(values > 0 if dtype == "bool" else values.round(1)).astype(dtype)


def both(build: Call, *arrays: Any) -> None:
    """build(namespace, *arrays) in eager and in numpy."""
    given = [eager.asarray(a) if isinstance(a, np.ndarray) else a for a in arrays]
    with np.errstate(all="ignore"):
        expected = build(np, *arrays)
    compare(build(eager, *given), expected)


def compare(found: Any, expected: Any) -> None:
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            compare(one, other)
        return
    wanted = np.asarray(expected)
    assert isinstance(found, eager.Array)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    tolerance = {"float32": 4e-6, "float64": 1e-13, "complex64": 4e-6}.get(wanted.dtype.name, 0)
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=tolerance, atol=tolerance)


# name: (dtypes, low, high)
UNARY: dict[str, tuple[tuple[str, ...], float, float]] = {
    **dict.fromkeys(names("acos asin atanh"), (FLOATS, -1, 1)),
    **dict.fromkeys(names("log log2 log10 sqrt reciprocal"), (FLOATS, 0.1, 9)),
    "acosh": (FLOATS, 1, 9),
    "log1p": (FLOATS, -0.9, 9),
    **dict.fromkeys(names("asinh atan cos cosh exp expm1 sin sinh tan tanh"), (FLOATS, -3, 3)),
    **dict.fromkeys(names("isfinite isinf isnan signbit"), (FLOATS, -3, 3)),
    **dict.fromkeys(
        names("abs ceil floor negative positive round sign square trunc"),
        ((*FLOATS, *INTEGERS), -7, 7),
    ),
    "bitwise_invert": (("bool", *INTEGERS), -9, 9),
    "logical_not": (("bool",), -1, 1),
}


@pytest.mark.parametrize("name", UNARY)
def test_of_one_array(name: str) -> None:
    dtypes, low, high = UNARY[name]
    for dtype in dtypes:
        for shape in SHAPES:
            both(lambda xp, x: getattr(xp, name)(x), numbers(dtype, shape, low, high))


BINARY: dict[str, tuple[tuple[str, ...], float, float]] = {
    **dict.fromkeys(names("add subtract multiply maximum minimum"), ((*FLOATS, *INTEGERS), -7, 7)),
    **dict.fromkeys(names("floor_divide remainder"), ((*FLOATS, *INTEGERS), 1, 9)),
    **dict.fromkeys(names("divide atan2 copysign hypot logaddexp nextafter"), (FLOATS, 0.1, 9)),
    **dict.fromkeys(
        names("equal not_equal less less_equal greater greater_equal"), ((*FLOATS, "int8"), -2, 2)
    ),
    **dict.fromkeys(names("bitwise_and bitwise_or bitwise_xor"), (("bool", *INTEGERS), -9, 9)),
    **dict.fromkeys(names("bitwise_left_shift bitwise_right_shift"), (INTEGERS, 0, 4)),
    **dict.fromkeys(names("logical_and logical_or logical_xor"), (("bool",), -1, 1)),
    "pow": (("float32", "float64", "int64"), 0, 3),
}
PAIRS = (((3,), ()), ((0,), (1,)), ((2, 1, 3), (4, 1)))


@pytest.mark.parametrize("name", BINARY)
def test_of_two_arrays(name: str) -> None:
    dtypes, low, high = BINARY[name]
    for dtype in dtypes:
        for left, right in PAIRS:
            pair = numbers(dtype, left, low, high), numbers(dtype, right, low, high)
            both(lambda xp, x, y: getattr(xp, name)(x, y), *pair)
    if set(dtypes) & {"float32", "int8"}:
        x = numbers("float32" if "float32" in dtypes else "int8", (3,), low, high)
        both(lambda xp, x: getattr(xp, name)(x, 2), x)
        both(lambda xp, x: getattr(xp, name)(1, x), x)


COMPLEX = names(
    "conj imag real abs exp expm1 log log1p sqrt sin cos tan sinh cosh tanh asin acos atan asinh "
    "acosh atanh reciprocal square sign isnan isfinite isinf positive negative"
)

OPERATORS = names("+ - * / // % @ == != < <= > >=")


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators(operator: str) -> None:
    x, y = numbers("float32", (3, 3), 1, 5), numbers("float32", (3, 3), 1, 5)
    build = eval(f"lambda xp, x, y: x {operator} y")
    both(build, x, y)
    if operator != "@":
        both(build, x, 2)
        both(build, 2.5, x)


def test_operators_of_integers() -> None:
    x, y = numbers("int16", (4,), 0, 9), numbers("uint8", (4,), 1, 4)
    both(lambda xp, x, y: [x & y, x | y, x ^ y, x << y, x >> y, x**y, ~x, -x, +x, abs(x)], x, y)
    both(lambda xp, x: [x & 3, 3 | x, x ^ 1, 2 << x, x >> 1, 2**x], x)


REDUCTIONS = {
    **dict.fromkeys(names("sum prod"), ("float32", "float64", "int8", "uint16", "bool")),
    **dict.fromkeys(names("mean std var"), FLOATS),
    **dict.fromkeys(names("max min"), ("float32", "int8")),
    **dict.fromkeys(names("any all count_nonzero"), ("float32", "bool")),
}
OPTIONS: list[dict[str, Any]] = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}]
OPTIONS += [{"axis": (0, 2)}, {"axis": ()}]


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str) -> None:
    for dtype in REDUCTIONS[name]:
        for options in OPTIONS:
            x = numbers(dtype, (3, 1, 4), -2, 2)
            both(lambda xp, x, o=options: getattr(xp, name)(x, **o), x)
    if name in ("std", "var"):
        both(
            lambda xp, x: getattr(xp, name)(x, axis=0, correction=1.5), numbers("f8", (4, 2), 0, 3)
        )
    if name not in ("max", "min", "mean", "std", "var"):
        both(lambda xp, x: getattr(xp, name)(x, axis=1), np.zeros((2, 0, 3), "float32"))


X = numbers("float32", (2, 3, 4), -3, 3)
ROW = np.array([3, 1, 2, 1, 0], np.int32)
CALLS: dict[str, Call] = {
    # creation
    "arange": lambda xp: [xp.arange(5), xp.arange(2, 9, 3, dtype="int32"), xp.arange(3, 0, -1)],
    "asarray": lambda xp: [xp.asarray([1, 2]), xp.asarray(True), xp.asarray([1.5], dtype="f8")],
    "empty": lambda xp: xp.astype(xp.empty((2, 3), dtype="float32") * 0 == 0, "bool"),
    "empty_like": lambda xp: xp.empty_like(xp.asarray(ROW)) * 0,
    "eye": lambda xp: [xp.eye(3, dtype="int8"), xp.eye(2, 4, k=1, dtype="f8")],
    "from_dlpack": lambda xp: xp.from_dlpack(X),
    "full": lambda xp: [xp.full((2,), 3), xp.full((), True), xp.full((0, 2), 1.5, dtype="f4")],
    "full_like": lambda xp: xp.full_like(xp.asarray(X), 7),
    "linspace": lambda xp: [xp.linspace(0, 1, 5, dtype="f8"), xp.linspace(2, 4, 4, dtype="f4")],
    "meshgrid": lambda xp: xp.meshgrid(xp.arange(2), xp.arange(3), indexing="ij"),
    "ones": lambda xp: [xp.ones((2, 3), dtype="int8"), xp.ones(2, dtype="f4")],
    "ones_like": lambda xp: xp.ones_like(xp.asarray(X)),
    "tril": lambda xp: xp.tril(xp.asarray(X), k=1),
    "triu": lambda xp: xp.triu(xp.asarray(X), k=-1),
    "zeros": lambda xp: [xp.zeros((0, 2), dtype="f4"), xp.zeros((), dtype="bool")],
    "zeros_like": lambda xp: xp.zeros_like(xp.asarray(ROW), dtype="f4"),
    # data types
    "astype": lambda xp: [xp.astype(xp.asarray(X), "int32"), xp.astype(xp.asarray(ROW), "f4")],
    "broadcast_arrays": lambda xp: xp.broadcast_arrays(xp.ones((2, 1)) > 0, xp.arange(3)),
    "broadcast_to": lambda xp: xp.broadcast_to(xp.asarray(ROW), (2, 5)),
    # elementwise
    "clip": lambda xp: [xp.clip(xp.asarray(X), -1, 1), xp.clip(xp.asarray(ROW), 1, None)],
    "where": lambda xp: xp.where(xp.asarray(X) > 0, xp.asarray(X), 0),
    # indexing
    "take": lambda xp: xp.take(xp.asarray(X), xp.asarray([2, 0]), axis=1),
    "take_along_axis": lambda xp: xp.take_along_axis(
        xp.asarray(X), xp.argsort(xp.asarray(X), axis=1), axis=1
    ),
    # linear algebra
    "matmul": lambda xp: xp.matmul(xp.asarray(X), xp.permute_dims(xp.asarray(X), (0, 2, 1))),
    "matrix_transpose": lambda xp: xp.matrix_transpose(xp.asarray(X)),
    "tensordot": lambda xp: xp.tensordot(xp.asarray(X), xp.asarray(X), axes=((0, 2), (0, 2))),
    "vecdot": lambda xp: xp.vecdot(xp.asarray(X), xp.asarray(X), axis=-1),
    # manipulation
    "concat": lambda xp: [
        xp.concat([xp.asarray(X), xp.asarray(X)], axis=1),
        xp.concat([xp.asarray(X), xp.asarray(X)], axis=None),
    ],
    "expand_dims": lambda xp: xp.expand_dims(xp.asarray(X), axis=-1),
    "flip": lambda xp: [xp.flip(xp.asarray(X)), xp.flip(xp.asarray(X), axis=(0, -1))],
    "moveaxis": lambda xp: xp.moveaxis(xp.asarray(X), 0, -1),
    "permute_dims": lambda xp: xp.permute_dims(xp.asarray(X), (2, 0, 1)),
    "repeat": lambda xp: [
        xp.repeat(xp.asarray(X), 2, axis=1),
        xp.repeat(xp.asarray(ROW), xp.asarray([0, 2, 1, 0, 3])),
    ],
    "reshape": lambda xp: [xp.reshape(xp.asarray(X), (4, -1)), xp.reshape(xp.asarray(X), (24,))],
    "roll": lambda xp: [xp.roll(xp.asarray(X), 2), xp.roll(xp.asarray(X), (1, -1), axis=(0, 2))],
    "squeeze": lambda xp: xp.squeeze(xp.asarray(X[:1]), axis=0),
    "stack": lambda xp: xp.stack([xp.asarray(X), xp.asarray(X)], axis=1),
    "tile": lambda xp: xp.tile(xp.asarray(X), (2, 1, 1, 3)),
    "unstack": lambda xp: xp.unstack(xp.asarray(X), axis=1),
    # searching
    "argmax": lambda xp: [xp.argmax(xp.asarray(X)), xp.argmax(xp.asarray(X), axis=1)],
    "argmin": lambda xp: xp.argmin(xp.asarray(X), axis=-1, keepdims=True),
    "nonzero": lambda xp: xp.nonzero(xp.asarray(X) > 0),
    "searchsorted": lambda xp: xp.searchsorted(
        xp.asarray([1, 2, 3]), xp.asarray([0, 1, 2, 5]), side="right"
    ),
    # sets
    "unique_all": lambda xp: xp.unique_all(xp.asarray(ROW)),
    "unique_counts": lambda xp: xp.unique_counts(xp.asarray(ROW)),
    "unique_inverse": lambda xp: xp.unique_inverse(xp.asarray(ROW)),
    "unique_values": lambda xp: xp.unique_values(xp.asarray(X)),
    # sorting
    "argsort": lambda xp: xp.argsort(xp.asarray(ROW), stable=True),
    "sort": lambda xp: xp.sort(xp.asarray(X), axis=0),
    # statistics and differences
    "cumulative_prod": lambda xp: xp.cumulative_prod(xp.asarray(X), axis=1),
    "cumulative_sum": lambda xp: [
        xp.cumulative_sum(xp.asarray(ROW), include_initial=True),
        xp.cumulative_sum(xp.asarray(X), axis=-1, dtype="f8"),
    ],
    "diff": lambda xp: xp.diff(xp.asarray(X), axis=1, n=2),
}


@pytest.mark.parametrize("name", CALLS)
def test_call(name: str) -> None:
    compare(CALLS[name](eager), CALLS[name](np))


def test_every_function_is_compared() -> None:
    compared = {*UNARY, *BINARY, *REDUCTIONS, *CALLS, *COMPLEX}
    asked = {"can_cast", "finfo", "iinfo", "isdtype", "result_type", "__array_namespace_info__"}
    known = set(eager.functions.FUNCTIONS) | set(eager.functions.WRITTEN)
    assert known - compared - asked == set()


def complex_numbers(shape: tuple[int, ...]) -> np.ndarray:
    pair = RNG.normal(size=(2, *shape)).round(2)
    return np.asarray(pair[0] + 1j * pair[1]).astype("complex64")


@pytest.mark.parametrize("name", COMPLEX)
def test_of_a_complex_array(name: str) -> None:
    for shape in ((), (0,), (2, 3)):
        both(lambda xp, x: getattr(xp, name)(x), complex_numbers(shape))


def test_operators_of_complex_arrays() -> None:
    x, y = complex_numbers((2, 2)), complex_numbers((2, 2))
    both(lambda xp, x, y: [x + y, x - y, x * y, x / y, x @ y, x == y, -x, abs(x)], x, y)
    both(lambda xp, x: [x * 2j, 1.5 - x, xp.sum(x), xp.linalg.vector_norm(x)], x)


def test_distinct_complex_numbers() -> None:
    x = np.array([1 + 1j, 1, 1 + 1j, -1j, 1], "complex64")
    both(lambda xp, x: xp.unique_all(x), x)


def test_descending_order_is_stable() -> None:
    x = eager.asarray([1, 3, 1, 3])
    np.testing.assert_array_equal(eager.argsort(x, descending=True), [1, 3, 0, 2])


KEYS: list[Any] = [0, -1, (1, 2), (..., 0), (0, None, slice(None, None, -1)), slice(1, None)]
KEYS += [(slice(None), slice(2, 0, -1)), (0, ..., slice(1, 3)), (), ..., None, (1, 2, 3)]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_subscripts(key: Any) -> None:
    both(lambda xp, x: x[key], X)

    def changed(xp: Any, x: Any) -> Any:
        x = xp.asarray(x, copy=True)
        x[key] = 5
        return x

    both(changed, X)


def test_masks_and_index_arrays() -> None:
    both(lambda xp, x: [x[x > 0], x[x[:, :, 0] > 0], x[xp.asarray([1, 0]), 0]], X)

    def changed(xp: Any, x: Any) -> Any:
        x, y = xp.asarray(x, copy=True), xp.asarray(x, copy=True)
        x[x > 0] = -1
        y[y > 0] = y[y > 0] * 2
        x[xp.asarray([0, 1]), 1] = 9
        return [x, y]

    both(changed, X)


def test_constants_and_dtypes() -> None:
    for name in names("e inf nan newaxis pi"):
        assert repr(getattr(eager, name)) == repr(getattr(gc, name))
    for name in names("bool int8 uint64 float32 float64"):
        assert getattr(eager, name) == getattr(gc, name) == np.dtype(name)
