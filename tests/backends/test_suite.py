"""One suite on every backend: each op's examples and their gradients against the interpreter.

The reference interprets the graph as the user wrote it; the backends run it through all passes.
"""

import zlib
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError
from graphc.ir.opdef import Example
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim, Size

LEAVES = {"placeholder", "variable", "constant", "dim"}
NAMES = sorted(name for name, op in OPS.items() if name not in LEAVES and op.examples)
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}
# Compiling a kernel takes numba half a second; a few examples of each op are run by default.
BACKENDS = ("interpreter", "llvm", "numba_cpu")
NUMBA_EXAMPLES = 2


def examples_of(name: str, backend: str) -> list[Example]:
    make = OPS[name].examples
    assert make is not None
    examples = make(np.random.default_rng(zlib.crc32(name.encode())))
    if backend != "numba_cpu":
        return examples
    return sorted(examples, key=lambda e: -sum(a.size for a in e.inputs))[:NUMBA_EXAMPLES]


def cast(array: np.ndarray, dtype: str) -> np.ndarray:
    if array.dtype.kind == "c":
        return array.astype("complex64" if dtype == "float32" else "complex128")
    return array if array.dtype.kind != "f" else array.astype(dtype)


def shape_of(array: np.ndarray, symbolic: bool) -> tuple[Size, ...]:
    if not symbolic:
        return array.shape
    return tuple(size if size == 1 else Dim.symbol(f"n{size}") for size in array.shape)


def build(
    example: Example, arrays: list[np.ndarray], symbolic: bool
) -> tuple[list[Tensor], list[Tensor]]:
    inputs = [
        gc.placeholder(f"x{number}", shape_of(array, symbolic), array.dtype)
        for number, array in enumerate(arrays)
    ]
    built = example.build(*inputs)
    outputs = list(built) if isinstance(built, tuple | list) else [built]
    return inputs, [output for output in outputs if isinstance(output, Tensor)]


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


def run(
    inputs: list[Tensor], outputs: list[Tensor], arrays: list[np.ndarray], backend: str
) -> list[np.ndarray]:
    optimize = backend != "reference"
    compiled = gc.function(
        inputs,
        outputs,
        backend=backend,
        on_unused_input="ignore",
        optimize=optimize,
        check=optimize,
    )
    results: list[np.ndarray] = compiled(*arrays)
    if backend == "llvm":
        for once, again in zip(results, compiled(*arrays), strict=True):
            assert once.tobytes() == again.tobytes(), "a repeated call gave other bits"
    return results


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if found.dtype.kind not in "fc":
        np.testing.assert_array_equal(found, expected)
        return
    finite = np.isfinite(expected)
    scale = np.abs(expected[finite]).max(initial=0.0)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * float(scale))


# Numba's integer arithmetic has tests of its own.
CASES = [
    (backend, name, dtype)
    for backend in BACKENDS
    for name in NAMES
    for dtype in ("float64", "float32", "int64", "bool")
    if backend != "numba_cpu" or dtype.startswith("float")
]


@pytest.mark.parametrize(("backend", "name", "dtype"), CASES)
def test_values(backend: str, name: str, dtype: str) -> None:
    for number, example in enumerate(examples_of(name, backend)):
        arrays = [cast(array, dtype) for array in example.inputs]
        symbolic = number % 2 == 1
        try:
            inputs, outputs = build(example, arrays, symbolic)
        except DTypeError:
            assert not dtype.startswith("float")
            continue
        expected = run(inputs, outputs, arrays, "reference")
        found = run(inputs, outputs, arrays, backend)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, TOLERANCE.get(dtype, 2e-6))


@pytest.mark.parametrize("name", [n for n in NAMES if OPS[n].vjp is not None])
@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_gradients(backend: str, name: str) -> None:
    rng = np.random.default_rng(1)
    for example in examples_of(name, backend):
        if not example.differentiable:
            continue
        inputs, outputs = build(example, list(example.inputs), symbolic=False)
        gradients = gradients_of(inputs, outputs, rng)
        if not gradients:
            continue
        arrays = list(example.inputs)
        expected = run(inputs, gradients, arrays, "reference")
        found = run(inputs, gradients, arrays, backend)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, 1e-12)
