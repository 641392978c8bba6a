"""One suite on every backend: each op's examples and their gradients against the interpreter.

The reference interprets the graph as the user wrote it; the backends run it through all passes.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.opdef import Example
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim, Size
from tests.backends.grouped import check_all
from tests.variants import NAMES, Variant, build, examples_of

BACKENDS = ("interpreter", "llvm")  # and numba_cpu on fewer examples: it compiles for long
TOLERANCE = dict.fromkeys(("float32", "complex64"), 2e-6) | dict.fromkeys(
    ("float64", "complex128"), 1e-13
)
GRADIENTS = dict.fromkeys(("float64", "complex128"), 1e-12)
# Compiling a kernel takes numba a tenth of a second or more: by default it gets one example of an
# op in one dtype. Its integer arithmetic has tests of its own.
NUMBA_EXAMPLES = 2


def cast(array: np.ndarray, dtype: str) -> np.ndarray:
    if array.dtype.kind == "c":
        return array.astype("complex64" if dtype == "float32" else "complex128")
    return array if array.dtype.kind != "f" else array.astype(dtype)


def shape_of(array: np.ndarray, symbolic: bool, prefix: str) -> tuple[Size, ...]:
    if not symbolic:
        return array.shape
    return tuple(size if size == 1 else Dim.symbol(f"{prefix}_n{size}") for size in array.shape)


def variant_of(name: str, number: int, example: Example, dtype: str) -> Variant | None:
    """An example in a dtype, every other one with symbolic sizes; None where no op takes it."""
    arrays = [cast(array, dtype) for array in example.inputs]
    prefix = f"x{number}{dtype}"
    shapes = [shape_of(array, number % 2 == 1, prefix) for array in arrays]
    built = build(example, shapes, [array.dtype for array in arrays], prefix)
    if built is None:
        assert not dtype.startswith("float"), f"{name} does not take {dtype}"
        return None
    return Variant(f"{name} {number} {dtype}", *built, [arrays])


def in_dtypes(name: str, dtypes: tuple[str, ...]) -> Iterator[Variant]:
    for number, example in enumerate(examples_of(name)):
        for dtype in dtypes:
            variant = variant_of(name, number, example, dtype)
            if variant is not None:
                yield variant


def gradients_of(
    inputs: list[Tensor], outputs: list[Tensor], rng: np.random.Generator
) -> list[Tensor]:
    """Gradients of a weighted sum of all outputs, so that no symmetry hides a mistake."""
    floating = [t for t in outputs if t.dtype.kind == "f"]
    wrt = [t for t in inputs if t.dtype.kind == "f"]
    if not floating or not wrt:
        return []
    cost: Any = 0
    for tensor in floating:
        cost = cost + gc.sum(tensor * gc.sin(tensor + float(rng.normal())))
    found = gc.grad(cost, wrt, disconnected="none")
    return [gradient for gradient in found if gradient is not None]


@lru_cache(1)
def examples_in_dtypes(name: str) -> list[Variant]:
    """Made once for all backends, which take turns at each op; so are their expected values."""
    return list(in_dtypes(name, ("float64", "float32", "int64", "bool")))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NAMES)
def test_values(name: str, backend: str) -> None:
    check_all(examples_in_dtypes(name), backend, TOLERANCE)


def largest(name: str, count: int, dtypes: tuple[str, ...]) -> list[Variant]:
    found = sorted(in_dtypes(name, dtypes), key=lambda v: -sum(a.size for a in v.calls[0]))
    return found[:count]


@pytest.mark.parametrize("name", NAMES)
def test_values_with_numba(name: str) -> None:
    dtype = "float32" if NAMES.index(name) % 2 else "float64"
    check_all(largest(name, 1, (dtype,)), "numba_cpu", TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_more_values_with_numba(name: str) -> None:
    dtypes = ("float64", "float32")
    check_all(largest(name, NUMBA_EXAMPLES * len(dtypes), dtypes), "numba_cpu", TOLERANCE)


@lru_cache(1)
def gradients_of_examples(name: str) -> list[Variant]:
    rng = np.random.default_rng(1)
    found = []
    for number, example in enumerate(examples_of(name)):
        variant = variant_of(name, number, example, "float64") if example.differentiable else None
        if variant is not None:
            gradients = gradients_of(variant.inputs, variant.outputs, rng)
            found += [replace(variant, outputs=gradients)] if gradients else []
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [n for n in NAMES if OPS[n].vjp is not None])
def test_gradients(name: str, backend: str) -> None:
    check_all(gradients_of_examples(name), backend, GRADIENTS)
