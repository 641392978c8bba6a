"""float16 on every backend: computed in wider numbers, rounded where it is stored."""

import zlib
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.opdef import Example
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor

NAMES = sorted(name for name, op in OPS.items() if op.examples is not None)
TOLERANCE = 3e-3  # a few units in the last place; single precision where an op says so


def largest_example(name: str) -> Example | None:
    make = OPS[name].examples
    assert make is not None
    examples = make(np.random.default_rng(zlib.crc32(name.encode())))
    examples = [e for e in examples if any(a.dtype.kind == "f" for a in e.inputs)]
    return max(examples, key=lambda e: sum(a.size for a in e.inputs), default=None)


def build(example: Example) -> tuple[list[Tensor], list[Tensor], list[np.ndarray]]:
    arrays = [a.astype("float16") if a.dtype.kind == "f" else a for a in example.inputs]
    inputs = [gc.placeholder(f"x{n}", a.shape, a.dtype) for n, a in enumerate(arrays)]
    built = example.build(*inputs)
    outputs = list(built) if isinstance(built, tuple | list) else [built]
    return inputs, [output for output in outputs if isinstance(output, Tensor)], arrays


def assert_close(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if found.dtype.kind not in "fc":
        np.testing.assert_array_equal(found, expected)
        return
    wide = expected.astype("complex128" if expected.dtype.kind == "c" else "float64")
    scale = np.abs(wide[np.isfinite(wide)]).max(initial=0.0)
    np.testing.assert_allclose(found, wide, rtol=TOLERANCE, atol=TOLERANCE * scale)


def check(name: str, backend: str) -> None:
    example = largest_example(name)
    if example is None:
        return
    options: Any = {"on_unused_input": "ignore"}
    try:
        inputs, outputs, arrays = build(example)
        plain = gc.function(inputs, outputs, backend="reference", optimize=False, **options)
        expected = plain(*arrays)
    except gc.DTypeError:  # linear algebra and transforms start at float32
        return
    found = gc.function(inputs, outputs, backend=backend, **options)(*arrays)
    for one, two in zip(found, expected, strict=True):
        assert_close(one, two)


@pytest.mark.parametrize("name", NAMES)
def test_values(name: str) -> None:
    check(name, "llvm")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_values_elsewhere(name: str, backend: str) -> None:
    check(name, backend)


def test_gradients_keep_the_dtype() -> None:
    x = gc.placeholder("x", ("n", 3), "float16")
    w = gc.variable(np.ones((3, 2), "float16"), "w")
    cost = gc.mean(gc.square(gc.tanh(x @ w)))
    gradient = gc.grad(cost, w)
    assert cost.dtype == gradient.dtype == np.float16
    found = gc.function([x], [cost, gradient])(np.full((5, 3), 0.1, "float16"))
    assert [array.dtype for array in found] == [np.float16, np.float16]
    np.testing.assert_allclose(found[0], np.tanh(0.3) ** 2, rtol=2e-3)


@pytest.mark.parametrize("backend", ["interpreter", "llvm", "numba_cpu"])
def test_sums_are_wide(backend: str) -> None:
    """A running float16 sum of ones would stop at 2048."""
    x = gc.placeholder("x", ("n",), "float16")
    f = gc.function([x], [gc.sum(x), gc.mean(x), x @ x], backend=backend)
    assert [float(value) for value in f(np.ones(4000, "float16"))] == [4000, 1, 4000]
