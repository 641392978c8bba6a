"""Every op that takes complex numbers, on its own examples with imaginary parts added."""

import zlib
from typing import Any

import numpy as np
import pytest

import graphc as gc
import graphc.conversion
import graphc.nn  # registers its functions
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.ir.graph import Graph
from graphc.ir.opdef import Example
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor
from graphc.ir.verifier import verify
from graphc.passes.complex_parts import split_complex

EXAMPLES = 4  # of each op, the largest ones
NAMES = sorted(name for name, op in OPS.items() if op.parts is not None and op.examples is not None)
# Flat; vectors whose phases are free, so that those of neighbours have little to do with each other
# (what does not depend on phases is checked in test_complex_matrices).
NOT_SMOOTH = {"round", "eigh", "svd"}


def with_imaginary_part(array: np.ndarray) -> np.ndarray:
    """Another number in each imaginary part, of the size of the real one."""
    if array.dtype.kind != "f":
        return array
    return np.asarray(array + 1j * np.cos(np.arange(array.size)).reshape(array.shape) * array)


def examples_of(name: str) -> list[tuple[Example, list[np.ndarray]]]:
    make = OPS[name].examples
    assert make is not None
    examples = make(np.random.default_rng(zlib.crc32(name.encode())))
    examples.sort(key=lambda e: -sum(a.size for a in e.inputs))
    found: list[tuple[Example, list[np.ndarray]]] = []
    for example in examples:
        arrays = [with_imaginary_part(array) for array in example.inputs]
        try:
            build(example, arrays)
        except (gc.DTypeError, TypeError):  # where a dtype or a number is an argument
            continue
        found.append((example, arrays))
    return found[:EXAMPLES]


def build(example: Example, arrays: list[np.ndarray]) -> tuple[list[Tensor], list[Tensor]]:
    inputs = [gc.placeholder(f"x{n}", a.shape, a.dtype) for n, a in enumerate(arrays)]
    built = example.build(*inputs)
    outputs = list(built) if isinstance(built, tuple | list) else [built]
    return inputs, [output for output in outputs if isinstance(output, Tensor)]


def assert_close(found: Any, expected: Any, tolerance: float) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape
    scale = np.abs(expected).max(initial=0.0) if expected.dtype.kind in "fc" else 0.0
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * float(scale))


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_what_the_reference_says(name: str) -> None:
    """The rule of each op, as graphs of real numbers that the reference interprets."""
    examples = examples_of(name)
    if not examples:
        pytest.skip("its examples take real numbers alone")
    for example, arrays in examples:
        inputs, outputs = build(example, arrays)
        graph = Graph(tuple(inputs), tuple(outputs))
        split = split_complex(graph)
        verify(split)
        feeds = dict(zip(inputs, arrays, strict=True))
        halves = dict(zip(split.inputs, map(gc.conversion.real_view, arrays), strict=True))
        expected = evaluate_tensors(outputs, feeds)
        found = evaluate_tensors(split.outputs, halves)
        for one, two, tensor in zip(found, expected, outputs, strict=True):
            value = gc.conversion.complex_view(one) if tensor.dtype.kind == "c" else one
            assert_close(value, two, 1e-13)


@pytest.mark.parametrize("backend", ["interpreter", "llvm", "numba_cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_backends(name: str, backend: str) -> None:
    count = 1 if backend == "numba_cpu" else EXAMPLES
    for example, arrays in examples_of(name)[:count]:
        narrow = backend != "interpreter"
        arrays = [a.astype("complex64") if narrow and a.dtype.kind == "c" else a for a in arrays]
        inputs, outputs = build(example, arrays)
        options: Any = {"on_unused_input": "ignore"}
        expected = gc.function(inputs, outputs, backend="reference", **options)(*arrays)
        found = gc.function(inputs, outputs, backend=backend, check=True, **options)(*arrays)
        for one, two in zip(found, expected, strict=True):
            assert_close(one, two, 3e-6 if narrow else 1e-13)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_SMOOTH])
def test_derivatives(name: str) -> None:
    for example, arrays in examples_of(name):
        if example.differentiable and "nondifferentiable" not in OPS[name].traits:
            gc.verify_grad(example.build, arrays, directions=1)
