"""Transforms of known length, which are compiled, beside numpy.fft: lengths, axes, few columns."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.function import Function
from graphc.loops.ir import HostCall, KernelCall, flat_steps
from graphc.ops.column_fourier import radices_of

LENGTHS = [*range(1, 17), 18, 21, 32, 35, 48, 55, 60, 64, 81, 100, 121, 128, 169, 200, 256, 360]
REAL = sorted(LENGTHS[::2] + LENGTHS[1:12:2])
DTYPES = ("complex64", "complex128", "float32", "float64")
LONG = [512, 1001, 1024, 2310, 4096, 5000]
SHAPES: dict[
    str, Callable[[int], tuple[tuple[int, ...], int]]
] = {  # around the transform: single columns, few, many; many rows before it
    "alone": lambda n: ((n,), 0),
    "rows": lambda n: ((9, n), 1),
    "few columns": lambda n: ((2, n, 3), 1),
    "many columns": lambda n: ((n, 17), 0),
    "all": lambda n: ((3, n, 8), 1),
}


def steps(f: Function) -> tuple[int, int]:
    """(transforms that are kernels, calls of Python)"""
    assert f.stages.program is not None
    found = list(flat_steps(f.stages.program.steps))
    kernels = [s for s in found if isinstance(s, KernelCall) and "column_fourier" in s.comment]
    return len(kernels), sum(isinstance(step, HostCall) for step in found)


def agrees(name: str, array: np.ndarray, backend: str = "llvm", **options: Any) -> None:
    x = gc.placeholder("x", array.shape, array.dtype)
    f = gc.function([x], getattr(gc.fft, name)(x, **options), backend=backend, cache=False)
    assert steps(f)[1] == 0
    expected = getattr(np.fft, name)(array.astype(np.result_type(array, 1.0)), **options)
    found = f(array)
    single = array.dtype in (np.float32, np.complex64)
    scale = max(float(np.abs(expected).max(initial=0)), 1e-30)
    assert found.shape == expected.shape and found.dtype.kind == expected.dtype.kind
    assert np.abs(found - expected).max(initial=0) <= (1e-6 if single else 2e-15) * scale


def drawn(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(math.prod(shape))
    real = rng.normal(size=shape)
    return (real + 1j * rng.normal(size=shape) if dtype[0] == "c" else real).astype(dtype)


def test_radices() -> None:
    assert radices_of(1) == ()
    assert radices_of(16) == (4, 4) and radices_of(128) == (8, 4, 4)
    assert radices_of(2 * 3 * 5 * 7 * 11 * 13) == (2, 3, 5, 7, 11, 13)
    assert radices_of(17) is None and radices_of(4 * 19) is None
    for n in range(1, 500):
        found = radices_of(n)
        assert found is None or (math.prod(found) == n and max(found, default=1) <= 13)


def half(around: str, dtype: str, lengths: Sequence[int]) -> Sequence[int]:
    """Every other length, so that each meets each shape and each dtype."""
    first = (list(SHAPES).index(around) + DTYPES.index(dtype)) % 2
    return lengths[first::2]


@pytest.mark.parametrize("around", SHAPES)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_transforms(around: str, dtype: str) -> None:
    complex_transforms(around, dtype, half(around, dtype, LENGTHS))


@pytest.mark.slow
@pytest.mark.parametrize("around", SHAPES)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_transforms_of_all_lengths(around: str, dtype: str) -> None:
    complex_transforms(around, dtype, LENGTHS)


def complex_transforms(around: str, dtype: str, lengths: Sequence[int]) -> None:
    for n in lengths:
        shape, axis = SHAPES[around](n)
        name = ("fft", "ifft")[n % 2]
        agrees(name, drawn(shape, dtype), axis=axis, norm=("backward", "ortho")[n // 2 % 2])


@pytest.mark.parametrize("around", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transforms_of_real_numbers_and_back(around: str, dtype: str) -> None:
    transforms_of_real_numbers_and_back(around, dtype, half(around, dtype, REAL))


@pytest.mark.slow
@pytest.mark.parametrize("around", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_real_numbers_and_back_of_all_lengths(around: str, dtype: str) -> None:
    transforms_of_real_numbers_and_back(around, dtype, REAL)


def transforms_of_real_numbers_and_back(around: str, dtype: str, lengths: Sequence[int]) -> None:
    for n in lengths:
        shape, axis = SHAPES[around](n)
        agrees(("rfft", "ihfft")[n % 3 == 0], drawn(shape, dtype), axis=axis)
        kept = (*shape[:axis], n // 2 + 1, *shape[axis + 1 :])
        spectrum = drawn(kept, f"complex{2 * int(dtype[5:])}")
        agrees(("irfft", "hfft")[n % 3 == 0], spectrum, n=n, axis=axis, norm="forward")


@pytest.mark.parametrize("n", LONG)
def test_long_transforms(n: int) -> None:
    for name, dtype in (("fft", "complex64"), ("ifft", "complex128"), ("rfft", "float64")):
        agrees(name, drawn((n,), dtype))
        agrees(name, drawn((2, n), dtype))
    agrees("fft", drawn((n, 9), "complex64"), axis=0)
    agrees("irfft", drawn((n // 2 + 1,), "complex128"), n=n)


@pytest.mark.parametrize("backend", ["llvm", "interpreter", "numba_cpu"])
def test_several_axes_on_every_backend(backend: str) -> None:
    if backend == "numba_cpu":
        pytest.importorskip("numba")
    agrees("fftn", drawn((4, 3, 10), "complex64"), backend)
    agrees("ifftn", drawn((6, 5, 8), "complex128"), backend, axes=(0, 2), norm="ortho")
    agrees("rfftn", drawn((4, 6, 5), "float64"), backend)
    agrees("irfftn", drawn((4, 6, 5), "complex64"), backend, axes=(1, 2))


def test_symbolic_sizes_around_a_known_length() -> None:
    x = gc.placeholder("x", ("a", 12, "b"), "complex128")
    f = gc.function([x], [gc.fft.fft(x, axis=1), gc.fft.rfft(gc.real(x), axis=1)])
    assert steps(f) == (2, 0)
    for a, b in ((0, 3), (3, 0), (1, 1), (2, 8), (5, 33)):
        array = drawn((a, 12, b), "complex128")
        found = f(array)
        np.testing.assert_allclose(found[0], np.fft.fft(array, axis=1), atol=1e-13)
        np.testing.assert_allclose(found[1], np.fft.rfft(array.real, axis=1), atol=1e-13)


def test_other_lengths_are_calls_of_scipy() -> None:
    x, y = gc.placeholder("x", (17,)), gc.placeholder("y", ("n",))
    for z in (x, y):
        f = gc.function([z], gc.fft.rfft(z))
        assert steps(f) == (0, 1)
        array = drawn((17,), "float32")
        np.testing.assert_allclose(f(array), np.fft.rfft(array), rtol=1e-5, atol=1e-5)


def test_what_lies_between_transforms_reads_and_writes_their_arrays() -> None:
    x = gc.placeholder("x", (64, 64), "complex64")
    k = gc.placeholder("k", (64, 64))
    f = gc.function([x, k], gc.fft.ifftn(gc.fft.fftn(x) * k))
    assert steps(f) == (4, 0)
    array, factors = drawn((64, 64), "complex64"), drawn((64, 64), "float32")
    expected = np.fft.ifftn(np.fft.fftn(array) * factors)
    np.testing.assert_allclose(f(array, factors), expected, atol=1e-5)


@pytest.mark.parametrize("steps_of", [1, 3])
def test_threads_change_no_bit(steps_of: int) -> None:
    array = drawn((100, 40 * steps_of), "complex64")
    x = gc.placeholder("x", array.shape, "complex64")
    one, two = (
        gc.function([x], gc.fft.fftn(x), threads=threads, cache=False)(array) for threads in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_gradients_through_compiled_transforms() -> None:
    x = drawn((3, 10), "float64")
    weights = np.linspace(0.5, 2, 6)

    def energy(x: Any) -> Any:
        return gc.sum(gc.abs(gc.fft.rfft(x)) ** 2 * weights)

    gc.verify_grad(energy, [x])
    p = gc.placeholder("p", x.shape, "float64")
    assert steps(gc.function([p], gc.grad(energy(p), p)))[1] == 0


def test_a_loop_with_transforms_calls_no_python() -> None:
    """Heat on a ring, by its spectrum."""
    decay = np.exp(-0.01 * np.arange(33.0) ** 2)
    u = gc.placeholder("u", (64,), "float64")

    def step(u: Any, _: None) -> tuple[Any, None]:
        return gc.fft.irfft(gc.fft.rfft(u) * decay), None

    f = gc.function([u], gc.scan(step, u, None, length=20)[0])
    assert steps(f)[1] == 0
    start = drawn((64,), "float64")
    expected = np.fft.irfft(np.fft.rfft(start) * decay**20)
    np.testing.assert_allclose(f(start), expected, atol=1e-13)
