"""concat, stack, split, unstack, pad: against numpy, with static and symbolic sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, FeedError, ShapeError
from graphc.gradient_check import verify_grad
from graphc.ir.tensor import Tensor
from tests.work import steps


def draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


def both_ways(build: Callable[..., Tensor], *arrays: np.ndarray) -> np.ndarray:
    """The value with static placeholders, which must equal that with symbolic sizes."""
    results = []
    for unknown in (False, True):
        shapes = [[None if unknown and n != 1 else n for n in array.shape] for array in arrays]
        inputs = [
            gc.placeholder(f"x{k}", shape, array.dtype)
            for k, (shape, array) in enumerate(zip(shapes, arrays, strict=True))
        ]
        feeds = dict(zip(inputs, arrays, strict=True))
        results.append(evaluate_tensors([build(*inputs)], feeds)[0])
    static, symbolic = results
    np.testing.assert_array_equal(static, symbolic)
    return static


# --- concat and stack --------------------------------------------------------------------------

JOINS: list[tuple[int | None, tuple[tuple[int, ...], ...]]] = [
    (0, ((3,), (4,))),
    (0, ((1,), (0,), (5,))),
    (1, ((2, 3), (2, 1), (2, 4))),
    (-2, ((2, 3), (5, 3))),
    (2, ((2, 0, 3), (2, 0, 2))),
    (0, ((7, 1),)),
    (None, ((2, 3), (4,), ())),
]


@pytest.mark.parametrize("case", JOINS, ids=str)
def test_concat_equals_numpy(case: Any) -> None:
    axis, shapes = case
    arrays = draw(*shapes)
    result = both_ways(lambda *xs: gc.concat(xs, axis), *arrays)
    np.testing.assert_array_equal(result, np.concatenate(arrays, axis))


@pytest.mark.parametrize("case", JOINS, ids=str)
def test_concat_derivatives(case: Any) -> None:
    axis, shapes = case
    verify_grad(lambda *xs: gc.square(gc.concat(xs, axis)), draw(*shapes))


def test_the_gradient_of_one_input_of_many() -> None:
    x = gc.placeholder("x", ("n", 2), "float64")
    joined = gc.concat([np.ones((1, 2)), x, x[::-1]])
    tangent = np.ones((3, 2))
    array = np.arange(6.0).reshape(3, 2)
    (value,) = evaluate_tensors([gc.jvp(joined, x, tangent)], {x: array})
    np.testing.assert_array_equal(value, [[0, 0], *[[1, 1]] * 6])


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3)], ids=str)
def test_stack_equals_numpy(shape: tuple[int, ...]) -> None:
    arrays = draw(shape, shape, shape)
    for axis in range(-len(shape) - 1, len(shape) + 1):
        result = both_ways(lambda *xs, axis=axis: gc.stack(xs, axis), *arrays)
        np.testing.assert_array_equal(result, np.stack(arrays, axis))
    verify_grad(lambda *xs: gc.square(gc.stack(xs)), arrays)


def test_lists_of_tensors_are_stacked() -> None:
    x = gc.placeholder("x", (), "float64")
    (value,) = evaluate_tensors([gc.as_tensor([x, 2 * x, [x, 1][1]])], {x: np.asarray(3.0)})
    np.testing.assert_array_equal(value, [3, 6, 1])


def test_dtypes_are_promoted() -> None:
    x = gc.placeholder("x", (2,), "int32")
    assert gc.concat([x, np.ones(1, "float64")]).dtype == "float64"
    assert gc.stack([gc.placeholder("y"), 1]).dtype == "float32"


def test_the_size_of_the_whole_is_the_sum() -> None:
    n, m = gc.dim("n"), gc.dim("m")
    x, y = gc.placeholder("x", (n, 3)), gc.placeholder("y", (m, 3))
    assert gc.concat([x, y, x]).shape == (2 * n + m, 3)


def test_concatenations_of_many_inputs_are_linear() -> None:
    """Building 2,000 inputs and their gradient is about ten times the work of 200."""

    def build(count: int) -> Callable[[], None]:
        inputs = [gc.placeholder(f"x{k}", ("n", 2)) for k in range(count)]

        def differentiate() -> None:
            gradients = gc.grad(gc.sum(gc.square(gc.concat(inputs))), inputs)
            assert gradients[-1].shape == inputs[0].shape

        return differentiate

    build(5000)()
    assert steps(build(2000)) < 10 * 1.5 * steps(build(200))


# --- split and unstack -------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [3, 1, [2], [0, 2, 5], [4, 4, 9], [-1]], ids=str)
def test_split_equals_numpy(cuts: Any) -> None:
    (array,) = draw((2, 6))
    x = gc.placeholder("x", (2, 6), "float64")
    pieces = evaluate_tensors(gc.split(x, cuts, axis=1), {x: array})
    for piece, expected in zip(pieces, np.split(array, cuts, axis=1), strict=True):
        np.testing.assert_array_equal(piece, expected)


def test_split_of_symbolic_sizes() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    half = gc.dim("n") // 2
    for size in (0, 1, 5, 8):
        array = np.arange(size, dtype="float64")
        pieces = evaluate_tensors(gc.split(x, [half, 6]), {x: array})
        for piece, expected in zip(pieces, np.split(array, [size // 2, 6]), strict=True):
            np.testing.assert_array_equal(piece, expected)
    verify_grad(lambda x: [gc.square(part) for part in gc.split(x, 3)], draw((6, 2)))


def test_unstack() -> None:
    (array,) = draw((2, 3))
    x = gc.placeholder("x", (None, 3), "float64")
    columns = evaluate_tensors(gc.unstack(x, -1), {x: array})
    np.testing.assert_array_equal(columns, array.T)


# --- pad ---------------------------------------------------------------------------------------

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
    (array,) = draw(shape)
    result = both_ways(lambda x: gc.pad(x, width, constant_values=2.5), array)
    np.testing.assert_array_equal(result, np.pad(array, width, constant_values=2.5))
    verify_grad(lambda x: gc.square(gc.pad(x, width, constant_values=2.5)), [array])


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("mode", ["reflect", "symmetric", "wrap"])
def test_borders_of_symbolic_width_stay_within_the_axis(mode: Any, backend: str) -> None:
    x, w = gc.placeholder("x", (2, "n"), "float64"), gc.placeholder("w", ("p",), "float64")
    width = gc.dim("p")
    padded = gc.pad(x, ((0, 0), (width, width)), mode=mode) + 0 * gc.sum(w)
    f = gc.function([x, w], padded, backend=backend)
    array = np.arange(6.0).reshape(2, 3)
    most = 2 if mode == "reflect" else 3
    for p in range(most + 1):
        wanted = np.pad(array, ((0, 0), (p, p)), mode=mode)
        np.testing.assert_array_equal(f(array, np.zeros(p)), wanted)
    with pytest.raises(FeedError):
        f(array, np.zeros(most + 1))


def test_pad_of_bool_is_false() -> None:
    x = np.array([[True, False], [True, True]])
    for build in (lambda x: gc.pad(x, 1), lambda x: gc.pad(x, 1, constant_values=0.0)):
        np.testing.assert_array_equal(both_ways(build, x), np.pad(x, 1))


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("name", ["all", "pair", "pairs", "none"])
def test_borders_equal_numpy(name: str, mode: str) -> None:
    width, shape = PADS[name]
    (array,) = draw(tuple(size + 1 for size in shape))
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


# --- errors ------------------------------------------------------------------------------------

BAD: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "nothing": (lambda x: gc.concat([]), ShapeError, "concat: needs at least one array"),
    "scalars": (lambda x: gc.concat([1.0, 2.0]), ShapeError, "scalars have no axis"),
    "ranks": (
        lambda x: gc.concat([x, x[0]]),
        ShapeError,
        r"ranks differ: input 1 is float32\[4\], the first float32\[3, 4\]",
    ),
    "sizes": (
        lambda x: gc.concat([x, x, x[:, 1:]]),
        ShapeError,
        r"input 2 is float32\[3, 3\].*sizes of axis 1 differ: 4 != 3",
    ),
    "axis": (lambda x: gc.concat([x, x], 2), ShapeError, "concat: axis 2 is out of range"),
    "stack ranks": (lambda x: gc.stack([x, x[0]]), ShapeError, "stack: ranks differ: input 1"),
    "stack axis": (lambda x: gc.stack([x], 3), ShapeError, "stack: axis 3 is out of range"),
    "split": (lambda x: gc.split(x, 2), ShapeError, "2 equal pieces of axis 0, whose size is 3"),
    "split nothing": (
        lambda x: gc.split(x, 1.5),  # type: ignore[arg-type]
        ShapeError,
        "1.5 says nothing about pieces",
    ),
    "split symbolic": (
        lambda x: gc.split(gc.placeholder("y", ("n",)), 2),
        ShapeError,
        "whose size is n",
    ),
    "unstack": (lambda x: gc.unstack(gc.placeholder("y", ("n",))), ShapeError, "symbolic size"),
    "pad negative": (lambda x: gc.pad(x, -1), ShapeError, "a width is or may be negative"),
    "pad may be negative": (
        lambda x: gc.pad(x, gc.dim("k") - 1),
        ShapeError,
        "a width is or may be negative",
    ),
    "pad pairs": (
        lambda x: gc.pad(x, ((1, 1), (0, 0), (2, 2))),
        ShapeError,
        "3 pairs of widths for",
    ),
    "pad mode": (lambda x: gc.pad(x, 1, mode="maximum"), ShapeError, "unknown mode 'maximum'"),
    "pad far": (lambda x: gc.pad(x, 3, mode="reflect"), ShapeError, "a border of 3"),
    "pad tensor": (
        lambda x: gc.pad(x, 1, constant_values=x[0, 0]),
        ShapeError,
        "constant_values is one number, got Tensor",
    ),
    "pad dtype": (
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
    assert "test_joining.py:" in str(info.value)


def test_symbolic_sizes_that_differ_are_found_at_the_call() -> None:
    x, y = gc.placeholder("x", ("n", "a")), gc.placeholder("y", ("m", "b"))
    f = gc.function([x, y], gc.concat([x, y]), backend="reference")
    one, two = np.ones((2, 3), "float32"), np.ones((1, 3), "float32")
    assert f(one, two).shape == (3, 3)
    with pytest.raises(ValueError, match="sizes of axis 1 differ") as info:
        f(one, two[:, :2])
    assert "test_joining.py:" in str(info.value)
