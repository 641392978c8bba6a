"""concat, stack, split, unstack: against numpy, with static and symbolic sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import ShapeError
from graphc.gradient_check import verify_grad
from tests.ops.both_ways import both_ways
from tests.work import steps


def draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


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


def test_nested_lists_of_tensors() -> None:
    """A rotation as people write it; numbers beside tensors take their dtype."""
    angle = gc.placeholder("angle", ())
    c, s = gc.cos(angle), gc.sin(angle)
    rows = [gc.as_tensor([[c, -s], [s, c]]), gc.as_tensor([[c, 0], [0, 1]]), gc.stack([[c], (s,)])]
    assert [(one.dtype.name, one.shape) for one in rows] == [
        ("float32", (2, 2)),
        ("float32", (2, 2)),
        ("float32", (2, 1)),
    ]
    rotation, *_ = gc.function([angle], rows)(np.float32(0.5))
    wanted = [[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]]
    np.testing.assert_allclose(rotation, wanted, rtol=1e-6)
    with pytest.raises(ShapeError):
        gc.as_tensor([[c, s], [c]])


@pytest.mark.parametrize("sizes", ["known", "symbolic"])
def test_a_concatenation_inside_of_another_is_written_where_it_ends_up(sizes: str) -> None:
    shape: tuple[Any, ...] = (5, 7, 3) if sizes == "known" else ("n", "m", "k")
    x = gc.placeholder("x", shape)
    row = gc.concat([gc.zeros_like(x[:, :1]), gc.tanh(x), x[:, -1:]], axis=1)
    whole = gc.concat([row[:1] * 0 + 2, row, gc.exp(row[:1])], axis=0)
    lone = gc.concat([gc.zeros_like(x[:1]), gc.concat([x, gc.sin(x)], axis=2)[:, :, :3]], axis=0)
    inner = gc.concat([gc.cos(x), gc.concat([gc.tanh(x), x], axis=1)], axis=1)
    around = gc.concat([gc.ones_like(inner[..., :1]), inner, gc.ones_like(inner[..., :1])], axis=2)
    results = [whole, lone, around]
    (values,) = (array.astype("float32") for array in draw((5, 7, 3)))
    meaning = gc.function([x], results, backend="reference")(values)
    for backend in ("llvm", "interpreter", "numba_cpu"):
        f = gc.function([x], results, backend=backend)
        for found, wanted in zip(f(values), meaning, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    f = gc.function([x], around)
    assert " temporary" not in f.loops()
