"""Constants, ramps and identity matrices, of static and symbolic sizes."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError, FunctionError, ShapeError

Compute = Callable[..., Any]


def test_defaults() -> None:
    assert str(gc.zeros((2, 3)).type) == str(gc.ones((2, 3)).type) == "float32[2, 3]"
    assert gc.zeros(4).shape == (4,) and gc.zeros(()).shape == ()
    assert gc.full((2,), 1).dtype == np.int64
    assert gc.full((2,), 1.5).dtype == np.float32
    assert gc.full((2,), True).dtype == np.bool_
    assert gc.arange(3).dtype == np.int64 and gc.arange(3.0).dtype == np.float32
    assert gc.arange(3, dtype="int8").dtype == np.int8
    assert gc.linspace(0, 1, 5).dtype == gc.eye(3).dtype == np.float32


def test_like() -> None:
    x = gc.placeholder("x", ("n", 3), "int32")
    for like in (gc.zeros_like(x), gc.ones_like(x), gc.full_like(x, 7)):
        assert like.type == x.type
    assert gc.ones_like(x, "float64").dtype == np.float64


def test_symbolic_sizes(compute: Compute) -> None:
    x = np.zeros((3, 2), np.float32)
    full, ramp, down, line, unit = compute(
        lambda x: (
            gc.full((x.shape[0], 2), 4),
            gc.arange(x.shape[0]),
            gc.arange(2 * x.shape[0], 0, -2),
            gc.linspace(1, 3, x.shape[0]),
            gc.eye(x.shape[0], x.shape[1]),
        ),
        x,
    )
    assert full.tolist() == [[4, 4]] * 3
    assert ramp.tolist() == [0, 1, 2] and down.tolist() == [6, 4, 2]
    assert line.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(unit, np.eye(3, 2))


@pytest.mark.parametrize(
    "arguments",
    [
        (5,),
        (2, 9),
        (2, 9, 3),
        (9, 2, -3),
        (2, 9, -1),
        (0,),
        (0.0, 1.0, 0.25),
        (1.5,),
        (1, 2.5),
        (5.0, 1.0, -1.5),
    ],
)
def test_ranges(arguments: tuple[Any, ...]) -> None:
    for backend in ("reference", "llvm"):
        actual = gc.function([], gc.arange(*arguments), backend=backend)()
        np.testing.assert_allclose(actual, np.arange(*arguments), rtol=1e-6)


def test_numpy_numbers_are_numbers() -> None:
    ramp = gc.arange(np.int64(1), np.int32(4))
    assert ramp.dtype == np.int64 and gc.run(ramp).tolist() == [1, 2, 3]


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 2, 11])
def test_linspace(num: int, endpoint: bool) -> None:
    result = gc.run(gc.linspace(-1, 0.5, num, endpoint=endpoint))
    expected = np.linspace(-1, 0.5, num, endpoint=endpoint)
    np.testing.assert_allclose(result, expected, rtol=2e-6, atol=1e-7)
    if num > 1 and endpoint:
        assert result[-1] == 0.5


def test_linspace_between_tensors() -> None:
    x = gc.placeholder("x")
    gradient = gc.grad(gc.sum(gc.linspace(0.0, x, 5)), x)
    assert gc.run(gradient) == pytest.approx(2.5)


@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace_between_complex_numbers(endpoint: bool) -> None:
    z, x = gc.placeholder("z", (), "complex128"), gc.placeholder("x", (), "float64")
    ramp = gc.linspace(1j, 2 - 1j, 5, endpoint=endpoint)
    assert ramp.dtype == np.complex64
    expected = np.linspace(1j, 2 - 1j, 5, endpoint=endpoint)
    np.testing.assert_allclose(gc.run(ramp), expected, rtol=1e-6, atol=1e-7)
    ramp = gc.linspace(z, x, 4, dtype="complex128", endpoint=endpoint)
    expected = np.linspace(1 - 2j, 3.0, 4, endpoint=endpoint)
    np.testing.assert_allclose(gc.run(ramp, {z: 1 - 2j, x: 3.0}), expected, rtol=1e-12)
    ramp = gc.linspace(0, np.float32(2), 3, dtype="complex64", endpoint=endpoint)
    np.testing.assert_allclose(gc.run(ramp), np.linspace(0, 2, 3, endpoint=endpoint), rtol=1e-6)
    with pytest.raises(gc.DTypeError, match="linspace: not for float32"):
        gc.linspace(0, 1j, 3, dtype="float32")


def test_full_of_a_tensor() -> None:
    x = gc.placeholder("x")
    result = gc.run(gc.full((2, 2), x * 2), {x: np.float32(3)})
    assert result.tolist() == [[6, 6], [6, 6]]


def test_constants_of_different_dtypes_are_different() -> None:
    ones = [gc.full((2,), 1, dtype) for dtype in ("bool", "int64", "float32", "float64")]
    for one, result in zip(ones, gc.run(ones), strict=True):
        assert result.dtype == one.dtype and result.tolist() == [1, 1]
    zeros = gc.run([gc.full((1,), 0.0), gc.full((1,), -0.0)])
    assert np.signbit(zeros).ravel().tolist() == [False, True]


def test_errors_name_the_line() -> None:
    n = gc.dim("n")
    cases: list[tuple[type[Exception], str, Callable[[], Any]]] = [
        (ShapeError, "negative size", lambda: gc.zeros((-1,))),
        (ShapeError, "full: a size is", lambda: gc.zeros((2.5,))),  # type: ignore[arg-type]
        (ShapeError, "step is 0", lambda: gc.arange(0, 3, 0)),
        (DTypeError, "symbolic bounds", lambda: gc.arange(0.5, n)),
        (DTypeError, "arange: got 'a'", lambda: gc.arange("a")),
        (DTypeError, "linspace: not for int64", lambda: gc.linspace(0, 1, 3, dtype="int64")),
        (ShapeError, "eye: a size is", lambda: gc.eye(2.5)),  # type: ignore[arg-type]
    ]
    for error, text, build in cases:
        with pytest.raises(error, match=text) as caught:
            build()
        assert "test_creation.py:" in str(caught.value)


# --- the names of the Array API ------------------------------------------------------------------


def test_asarray_is_as_tensor_with_the_options_of_the_standard() -> None:
    x = gc.placeholder("x", ("n",))
    assert gc.asarray(x) is x and gc.asarray(x, copy=False) is x
    assert gc.asarray([1, 2], dtype="int8", device="cpu").dtype == np.int8
    assert gc.from_dlpack(np.arange(3.0)).dtype == np.float64
    refused: list[Any] = [
        lambda: gc.asarray([1], copy=False),
        lambda: gc.from_dlpack(x, copy=False),
    ]
    for build in refused:
        with pytest.raises(ValueError, match="copy=False"):
            build()
    with pytest.raises(TypeError, match="no memory"):
        gc.from_dlpack(x)


def test_there_is_one_device() -> None:
    assert gc.zeros(3, device="cpu").device == "cpu"
    makers: list[Any] = [gc.zeros, gc.ones, gc.empty, gc.arange, gc.eye, gc.asarray]
    for build in makers:
        with pytest.raises(FunctionError, match="there is no device 'cuda'"):
            build(3, device="cuda")


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("sizes", [(3,), (2, 3), (2, 1, 4), (0, 2), ()])
def test_meshgrid(compute: Compute, sizes: tuple[int, ...], indexing: Any) -> None:
    rows = [np.arange(size) for size in sizes]
    found = compute(lambda *x: tuple(gc.meshgrid(*x, indexing=indexing)), *rows)
    for one, other in zip(found, np.meshgrid(*rows, indexing=indexing), strict=True):
        np.testing.assert_array_equal(one, other)


def test_meshgrid_takes_rows_of_one_dtype() -> None:
    with pytest.raises(ShapeError, match="one axis"):
        gc.meshgrid(gc.zeros((2, 2)))
    with pytest.raises(DTypeError, match="float32 and int64"):
        gc.meshgrid(gc.zeros(2), gc.arange(2))
    with pytest.raises(ValueError, match='"xy" or "ij"'):
        gc.meshgrid(gc.zeros(2), indexing="yx")  # type: ignore[arg-type]


HELD: dict[str, Callable[[], Any]] = {
    "1.5 is no int32: the fraction": lambda: gc.constant(1.5, "int32"),
    "a list of 2 is no int8: the fraction": lambda: gc.asarray([1.0, 2.5], dtype="int8"),
    "-0.5 is no uint8: uint8 holds 0": lambda: gc.as_tensor(-0.5, "uint8"),
    "variable: 1.5 is no int32": lambda: gc.variable(1.5, dtype="int32"),
    "float16 is no|complex128 is no float32: the im": lambda: gc.constant(np.array(1j), "float32"),
    "full: 1.5 is no int32: the fraction": lambda: gc.full((2,), 1.5, "int32"),
    "full: nan is no int32": lambda: gc.full((2,), math.nan, "int32"),
    "full: 1e.300 is no int64": lambda: gc.full((2,), 1e300, "int64"),
    "full: 300 is no uint8": lambda: gc.full_like(gc.zeros(2, "uint8"), 300),
    "full: an integer does not fit": lambda: gc.full((2,), 10**400, "float32"),
    "linspace: an integer does not fit": lambda: gc.linspace(0, 10**400, 3),
    "arange: the end, 299, is no uint8": lambda: gc.arange(300, dtype="uint8"),
    "arange: the start, -1, is no uint8": lambda: gc.arange(-1, 5, dtype="uint8"),
    "arange: the start, 0.5, is no int32": lambda: gc.arange(0.5, 3, dtype="int32"),
    "arange: the step, 0.5, is no int32": lambda: gc.arange(0, 3, 0.5, dtype="int32"),
    "arange: the end, 92233720368547758": lambda: gc.arange(2**63 - 2, 2**63 + 3),
    "arange: the step, 9223372036854775808": lambda: gc.arange(-(2**63), 1, 2**63),
    "arange: the end, a value of type int": lambda: gc.arange(10**400),
}


@pytest.mark.parametrize("match", HELD)
def test_numbers_that_a_dtype_does_not_hold(match: str) -> None:
    with pytest.raises(DTypeError, match=match) as caught:
        HELD[match]()
    assert caught.value.fix and caught.value.source is not None
    assert caught.value.source.describe().startswith("test_creation.py")


def test_numbers_that_it_holds(compute: Compute) -> None:
    found = compute(
        lambda: (
            gc.constant(2.0, "int32"),
            gc.constant([1.0, -3.0], "int8"),
            gc.constant(np.array([1.7, -1.7]), "int32"),  # arrays are cast, as by astype
            gc.constant(1j, "complex64"),
            gc.full((2,), 3.0, "uint8"),
            gc.full((2,), 2**70, "float64"),
            gc.arange(256, dtype="uint8"),
            gc.arange(5, 0, -2, dtype="uint8"),
            gc.arange(0.0, 2.5, dtype="int32"),
            gc.arange(0, 2**63, 2**62),
            gc.arange(0, 10, 2**63),
            gc.arange(0, -10, -(2**70)),
            gc.arange(0.0, 10.0, 1e300),
            gc.arange(0, dtype="uint8"),
        )
    )
    expected = [
        *(2, [1, -3], [1, -1], 1j, [3, 3], [2.0**70] * 2, list(range(256)), [5, 3, 1], [0, 1, 2]),
        *([0, 2**62], [0], [0], [0.0], []),
    ]
    assert [array.tolist() for array in found] == expected


@pytest.mark.parametrize("k", [2**62 + 1, 2**63, 2**70, -(2**63), -(2**64) - 1, -(2**70)])
def test_diagonals_beyond_any_matrix(compute: Compute, k: int) -> None:
    x = np.ones((2, 3), np.float32)
    unit, low, high = compute(lambda x: (gc.eye(2, 3, k), gc.tril(x, k), gc.triu(x, k)), x)
    assert not unit.any()
    assert low.all() == low.any() == (k > 0) and high.all() == high.any() == (k < 0)
