"""pad: against numpy, with static and symbolic sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, IndexOutOfRange, ShapeError
from graphc.gradient_check import verify_grad
from tests.ops.both_ways import both_ways

RNG = np.random.default_rng(0)

PADS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "all": (2, (3, 4)),
    "pair": ((1, 3), (5,)),
    "pairs": (((0, 1), (2, 0)), (2, 3)),
    "one axis": (((0, 0), (1, 1), (0, 2)), (2, 1, 3)),
    "none": (0, (2, 3)),
    "empty": ((1, 2), (0,)),
    "empty axis": (((1, 0), (0, 2)), (3, 0)),
    "scalar": (0, ()),
    "numpy": (np.array([[1, 0], [0, 1]]), (2, 2)),
}


@pytest.mark.parametrize("name", PADS)
def test_pad_equals_numpy(name: str) -> None:
    width, shape = PADS[name]
    array = RNG.normal(size=shape)
    result = both_ways(lambda x: gc.pad(x, width, constant_values=2.5), array)
    np.testing.assert_array_equal(result, np.pad(array, width, constant_values=2.5))
    verify_grad(lambda x: gc.square(gc.pad(x, width, constant_values=2.5)), [array])


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("mode", ["reflect", "symmetric", "wrap"])
def test_borders_of_symbolic_width_repeat_the_axis(mode: Any, backend: str) -> None:
    x, w = gc.placeholder("x", (2, "n"), "float64"), gc.placeholder("w", ("p",), "float64")
    width = gc.dim("p")
    padded = gc.pad(x, ((0, 0), (width, width)), mode=mode) + 0 * gc.sum(w)
    f = gc.function([x, w], padded, backend=backend)
    array = np.arange(6.0).reshape(2, 3)
    for p in range(9):
        for a in (array, array[:, :1]):
            wanted = np.pad(a, ((0, 0), (p, p)), mode=mode)
            np.testing.assert_array_equal(f(a, np.zeros(p)), wanted)
    with pytest.raises(IndexOutOfRange, match="axis 1 of size 0"):
        f(array[:, :0], np.zeros(1))


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_borders_wider_than_the_axis_repeat_it(size: int, mode: Any) -> None:
    array, width = RNG.normal(size=(size, size + 1)), ((5, 8), (1, 7))
    result = both_ways(lambda x: gc.pad(x, width, mode=mode), array)
    np.testing.assert_array_equal(result, np.pad(array, width, mode=mode))
    verify_grad(lambda x: gc.square(gc.pad(x, width, mode=mode)), [array])


def test_pad_of_bool_is_false() -> None:
    x = np.array([[True, False], [True, True]])
    for build in (lambda x: gc.pad(x, 1), lambda x: gc.pad(x, 1, constant_values=0.0)):
        np.testing.assert_array_equal(both_ways(build, x), np.pad(x, 1))


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("name", ["all", "pair", "pairs", "none"])
def test_borders_equal_numpy(name: str, mode: str) -> None:
    width, shape = PADS[name]
    array = RNG.normal(size=tuple(size + 1 for size in shape))
    result = both_ways(lambda x: gc.pad(x, width, mode=mode), array)
    np.testing.assert_array_equal(result, np.pad(array, width, mode=mode))  # type: ignore[call-overload]
    verify_grad(lambda x: gc.square(gc.pad(x, width, mode=mode)), [array])


def test_symbolic_widths() -> None:
    x, y = gc.placeholder("x", (2,), "float64"), gc.placeholder("y", ("k",), "float64")
    padded = gc.pad(x, gc.dim("k"))
    assert padded.shape == (2 * gc.dim("k") + 2,)
    feeds = {x: np.ones(2), y: np.zeros(3)}
    np.testing.assert_array_equal(evaluate_tensors([padded + 0 * gc.sum(y)], feeds)[0].sum(), 2)


def test_special_values_are_kept() -> None:
    for value in (-0.0, np.inf, -np.inf, np.nan, True, np.float64(3)):
        result = both_ways(lambda x, value=value: gc.pad(x, 1, constant_values=value), np.ones(2))
        assert np.signbit(result[0]) == np.signbit(float(value)) or np.isnan(value)
        np.testing.assert_array_equal(result, [value, 1, 1, value])


BAD: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "negative": (lambda x: gc.pad(x, -1), ShapeError, "a width is or may be negative"),
    "may be negative": (
        lambda x: gc.pad(x, gc.dim("k") - 1),
        ShapeError,
        "a width is or may be negative",
    ),
    "pairs": (
        lambda x: gc.pad(x, ((1, 1), (0, 0), (2, 2))),
        ShapeError,
        "3 pairs of widths for",
    ),
    "mode": (lambda x: gc.pad(x, 1, mode="maximum"), ShapeError, "unknown mode 'maximum'"),
    "empty": (lambda x: gc.pad(x[:0], 3, mode="wrap"), ShapeError, "axis 0 of .* is empty"),
    "tensor": (
        lambda x: gc.pad(x, 1, constant_values=x[0, 0]),
        ShapeError,
        "constant_values is one number, got Tensor",
    ),
    "dtype": (
        lambda x: gc.pad(x.astype("int32"), 1, constant_values=0.5),
        DTypeError,
        "0.5 does not fit int32",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_line(name: str) -> None:
    build, kind, message = BAD[name]
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(kind, match=message) as info:
        build(x)
    assert "test_padding.py:" in str(info.value)
