"""Functions beside numpy: drawn arrays of several sizes, one compiled function for them all."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphc as gc

BACKENDS = ("reference", "interpreter", "llvm")
Arrays = Sequence[Any]
NUMPY: Any = np  # its functions on arrays and options of any kind


def assert_same(found: Any, expected: Any, exact_dtype: bool = True, **tolerance: float) -> None:
    """Equal structures of arrays; floats within a tolerance, by default that of their dtype."""
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, exact_dtype, **tolerance)
        return
    expected = np.asarray(expected)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    if exact_dtype:
        assert found.dtype == expected.dtype, (found.dtype, expected.dtype)
    if found.dtype.kind in "biu":
        np.testing.assert_array_equal(found, expected)
        return
    width = {2: 2e-3, 4: 2e-6, 8: 1e-13}[found.real.itemsize]
    wide = np.complex128 if found.dtype.kind == "c" else np.float64
    limits: dict[str, Any] = {"rtol": width, "atol": width, **tolerance}
    np.testing.assert_allclose(found.astype(wide), expected.astype(wide), **limits)


def agrees(
    build: Callable[..., Any],
    expected: Callable[..., Any],
    *cases: Arrays,
    backends: Sequence[str] = BACKENDS,
    **options: Any,
) -> None:
    """build(*placeholders), whose sizes are all symbolic, against expected(*arrays) on every case.

    cases: arrays for the inputs, of the ranks and dtypes of the first case.
    """
    first = [np.asarray(array) for array in cases[0]]
    inputs = [
        gc.placeholder(f"x{n}", [f"n{n}_{axis}" for axis in range(array.ndim)], array.dtype)
        for n, array in enumerate(first)
    ]
    output = build(*inputs)
    for backend in backends:
        f = gc.function(inputs, output, backend=backend, on_unused_input="ignore")
        for case in cases:
            with warnings.catch_warnings(action="ignore"):
                wanted = expected(*case)
            assert_same(f(*case), wanted, **options)


def draw(*shape: int, seed: int = 0, dtype: Any = "float64", nan: float = 0.0) -> np.ndarray:
    """Numbers in (-9, 9), of which the share `nan` is NaN."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-9, 9, size=shape)
    values[rng.random(size=shape) < nan] = np.nan
    kind = np.dtype(dtype).kind
    if kind in "biu":
        values = np.floor(np.abs(values) if kind == "u" else values) * (kind != "b") + (
            (values > 0) * (kind == "b")
        )
    if kind == "c":
        values = values + 1j * np.roll(values, 1)
    return np.asarray(values).astype(dtype)
