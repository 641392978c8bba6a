"""matmul and its relatives: against numpy, flags, derivatives and messages."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, ShapeError
from graphc.gradient_check import verify_grad

PAIRS = [
    ((3, 4), (4, 5)),
    ((1, 1), (1, 1)),
    ((0, 3), (3, 2)),
    ((3, 0), (0, 2)),
    ((7,), (7,)),
    ((0,), (0,)),
    ((4,), (4, 3)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((1, 3, 4), (6, 4, 2)),
    ((0, 3, 4), (4, 2)),
    ((2, 3, 0), (2, 0, 4)),
]


def value(build: Callable[..., Any], *arrays: np.ndarray, symbolic: bool = False) -> np.ndarray:
    """The reference's value. Symbolic sizes are named by their number: equal ones are the same."""
    shapes = [[f"n{n}" if symbolic and n > 1 else n for n in array.shape] for array in arrays]
    inputs = [
        gc.placeholder(f"x{k}", shape, array.dtype)
        for k, (shape, array) in enumerate(zip(shapes, arrays, strict=True))
    ]
    return evaluate_tensors([build(*inputs)], dict(zip(inputs, arrays, strict=True)))[0]


def draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("shapes", PAIRS, ids=str)
def test_matmul_equals_numpy(shapes: Any, symbolic: bool) -> None:
    a, b = draw(*shapes)
    np.testing.assert_array_equal(value(lambda x, y: x @ y, a, b, symbolic=symbolic), a @ b)


def swap(array: np.ndarray) -> np.ndarray:
    return np.swapaxes(array, -1, -2) if array.ndim > 1 else array


@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shapes", PAIRS, ids=str)
def test_flags_read_transposed_operands(shapes: Any, flags: tuple[bool, bool]) -> None:
    """Values and both derivatives, of first and second order, for every rank and flag."""
    a, b = draw(*shapes)
    stored = [swap(m) if flag else m for m, flag in zip((a, b), flags, strict=True)]

    def build(x: Any, y: Any) -> Any:
        return gc.matmul(x, y, transpose_a=flags[0], transpose_b=flags[1])

    np.testing.assert_allclose(value(build, *stored), a @ b, rtol=1e-14)
    verify_grad(build, stored)
    verify_grad(lambda x, y: gc.grad(gc.sum(gc.square(build(x, y))), [x, y]), stored)


def test_gradients_of_a_matrix_product_transpose_nothing() -> None:
    x, w = gc.placeholder("x", ("n", 5)), gc.placeholder("w", (5, 3))
    for operands in ((x, w), (x, gc.placeholder("v", (3, 5)).T)):
        gradients = gc.grad(gc.sum(gc.square(gc.matmul(*operands))), list(operands))
        assert [gradient.op.name for gradient in gradients] == ["matmul", "matmul"]
    first, second = gc.grad(gc.sum(gc.square(x @ w)), [x, w])
    assert dict(first.node.attrs) == {"transpose_a": False, "transpose_b": True}
    assert dict(second.node.attrs) == {"transpose_a": True, "transpose_b": False}


def test_a_shared_matrix_gets_its_gradient_in_one_product() -> None:
    x, w = gc.placeholder("x", ("n", 7, 5)), gc.placeholder("w", (5, 3))
    gradient = gc.grad(gc.sum(gc.square(x @ w)), w)
    assert gradient.op.name == "matmul"
    assert gradient.shape == (5, 3)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint32", "float16", "float32", "float64"])
def test_dtypes(dtype: str) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 9, size=shape).astype(dtype) for shape in ((3, 50), (50, 2)))
    result = value(gc.matmul, a, b)
    assert result.dtype == dtype
    expected = (a.astype("int64") @ b.astype("int64")).astype(dtype)
    np.testing.assert_array_equal(result, expected)


def test_dtypes_are_promoted() -> None:
    x = gc.placeholder("x", (2, 3), "float32")
    assert (x @ gc.placeholder("y", (3,), "float64")).dtype == "float64"
    assert (x @ np.ones((3, 3), "int32")).dtype == "float32"
    assert (np.ones((4, 2), "float32") @ x).shape == (4, 3)


def test_float32_is_summed_in_float64() -> None:
    a = np.array([[1e8, 1.0, -1e8]], "float32")
    assert value(gc.matmul, a, np.ones((3, 1), "float32")) == 1


# --- relatives ---------------------------------------------------------------------------------

TENSORDOTS: list[tuple[tuple[int, ...], tuple[int, ...], Any]] = [
    ((2, 3, 4), (3, 4, 5), 2),
    ((2, 3), (3, 5), 1),
    ((2, 3), (4, 5), 0),
    ((3, 4), (3, 4), 2),
    ((2, 3, 4), (4, 2, 5), ((0, 2), (1, 0))),
    ((2, 3, 4), (5, 3, 2), ((1, 0), (1, 2))),
    ((2, 3, 4), (2, 3), ((0, 1), (0, 1))),
    ((3, 2), (5, 2), (1, 1)),
    ((3, 2), (5, 3), ((0,), (-1,))),
    ((0, 3), (3, 2), 1),
    ((2, 0), (0, 3), 1),
    ((4,), (4,), 1),
    ((), (3,), 0),
]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("case", TENSORDOTS, ids=str)
def test_tensordot_equals_numpy(case: Any, symbolic: bool) -> None:
    a, b = draw(*case[:2])
    result = value(lambda x, y: gc.tensordot(x, y, case[2]), a, b, symbolic=symbolic)
    np.testing.assert_allclose(result, np.tensordot(a, b, case[2]), rtol=1e-13)


@pytest.mark.parametrize("case", TENSORDOTS, ids=str)
def test_tensordot_derivatives(case: Any) -> None:
    verify_grad(lambda x, y: gc.tensordot(x, y, case[2]), draw(*case[:2]))


def test_tensordot_moves_no_axes_where_flags_do() -> None:
    x, y = gc.placeholder("x", (2, 3, 4)), gc.placeholder("y", (5, 2, 3))
    product = gc.tensordot(x, y, ((0, 1), (1, 2)))
    assert product.op.name == "matmul"
    assert dict(product.node.attrs) == {"transpose_a": True, "transpose_b": True}
    assert [operand.op.name for operand in product.node.inputs] == ["reshape", "reshape"]


@pytest.mark.parametrize(
    ("shapes", "axis"),
    [(((5,), (5,)), -1), (((2, 3), (2, 3)), -1), (((2, 3), (2, 3)), 0), (((4, 1, 3), (2, 3)), -1)],
    ids=str,
)
def test_vecdot(shapes: Any, axis: int) -> None:
    a, b = draw(*shapes)
    expected = (np.moveaxis(a, axis, -1) * np.moveaxis(b, axis, -1)).sum(-1)
    result = value(lambda x, y: gc.vecdot(x, y, axis=axis), a, b)
    np.testing.assert_allclose(result, expected, rtol=1e-14)
    verify_grad(lambda x, y: gc.vecdot(x, y, axis=axis), [a, b])
    whole = value(gc.vecdot, np.arange(3, dtype="int32"), np.arange(3, dtype="int32"))
    assert whole == 5
    assert whole.dtype == "int32"


def test_outer_and_dot() -> None:
    a, b, c = draw((3,), (2, 4), (5, 4, 2))
    np.testing.assert_array_equal(value(gc.outer, a, b), np.outer(a, b))
    for one, other in ((a, a), (b, b.T), (b, c), (a[0], b), (c, c.transpose(0, 2, 1))):
        one, other = np.asarray(one), np.asarray(other)
        np.testing.assert_allclose(value(gc.dot, one, other), np.dot(one, other), rtol=1e-14)


# --- errors ------------------------------------------------------------------------------------


def test_the_message_of_inner_sizes() -> None:
    x = gc.placeholder("x", ("n", 5))
    W1 = gc.placeholder("W1", (4, 2))
    with pytest.raises(ShapeError) as info:
        x @ W1
    lines = str(info.value).splitlines()
    assert lines[0] == "[E102] matmul: inner sizes differ"
    assert lines[1] == "    x @ W1     x: float32[n, 5]    W1: float32[4, 2]      5 != 4"
    assert lines[2].startswith("  written   test_contraction.py:")
    assert lines[2].endswith("x @ W1")
    assert lines[3] == "  fix       W1 needs 5 rows, or x 4 columns"


@pytest.mark.parametrize(
    ("shapes", "flags", "fix"),
    [
        (((5, 3), (4, 2)), (True, False), "b needs 5 rows, or a 4 rows"),
        (((3, 5), (2, 4)), (False, True), "b needs 5 columns, or a 4 columns"),
        (((5,), (4, 2)), (False, False), "b needs 5 rows, or a 4 entries"),
        (((3, 5), (4,)), (False, False), "b needs 5 entries, or a 4 columns"),
    ],
)
def test_the_fix_names_the_side(shapes: Any, flags: tuple[bool, bool], fix: str) -> None:
    a, b = (gc.placeholder(name, shape) for name, shape in zip("ab", shapes, strict=True))
    with pytest.raises(ShapeError, match=fix):
        gc.matmul(a, b, transpose_a=flags[0], transpose_b=flags[1])


def test_names_survive_promotion() -> None:
    x, w = gc.placeholder("x", (3, 5), "int32"), gc.placeholder("w", (4, 2))
    with pytest.raises(ShapeError, match="x @ w"):
        x @ w


BAD: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "scalar": (lambda x: x @ gc.placeholder("s"), ShapeError, "an operand is a scalar"),
    "batch": (
        lambda x: gc.placeholder("p", (2, 3, 4)) @ gc.placeholder("q", (5, 4, 3)),
        ShapeError,
        r"shapes do not broadcast: \[2\] with \[5\]",
    ),
    "bool": (lambda x: (x > 0) @ (x > 0), DTypeError, "matmul does not take bool"),
    "tensordot": (
        lambda x: gc.tensordot(x, x, ((0,), (1,))),
        ShapeError,
        "sizes that are summed over differ",
    ),
    "tensordot count": (lambda x: gc.tensordot(x, x, 3), ShapeError, "cannot sum over 3 axes"),
    "tensordot pairs": (lambda x: gc.tensordot(x, x, ((0, 1), (0,))), ShapeError, "2 axes of x1"),
    "vecdot": (
        lambda x: gc.vecdot(x, gc.placeholder("y", (3, 1))),
        ShapeError,
        "axis 1 of x: .*4 != 1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_line(name: str) -> None:
    build, kind, message = BAD[name]
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(kind, match=message) as info:
        build(x)
    assert "test_contraction.py:" in str(info.value)


def test_symbolic_inner_sizes_are_checked_at_the_call() -> None:
    x, w = gc.placeholder("x", ("n", "k"), "float64"), gc.placeholder("w", ("m", 2), "float64")
    f = gc.function([x, w], x @ w, backend="reference")
    assert f(np.ones((3, 4)), np.ones((4, 2))).shape == (3, 2)
    with pytest.raises(ValueError, match="inner sizes") as info:
        f(np.ones((3, 4)), np.ones((5, 2)))
    assert "test_contraction.py:" in str(info.value)


def test_symbolic_pairs_of_tensordot_are_checked_one_by_one() -> None:
    x, y = gc.placeholder("x", ("a", "b"), "float64"), gc.placeholder("y", ("c", "d"), "float64")
    f = gc.function([x, y], gc.tensordot(x, y), backend="reference")
    assert f(np.ones((2, 3)), np.ones((2, 3))) == 6
    with pytest.raises(ValueError, match="broadcast_to"):
        f(np.ones((2, 3)), np.ones((3, 2)))
