"""Every registered op on its own examples, for a batch of them: as a loop over the examples does.

A new op is tested here as soon as it is registered.
"""

import itertools
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.ir.opdef import Example
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor

LEAVES = {"placeholder", "variable", "constant", "dim"}
NAMES = sorted(name for name, op in OPS.items() if name not in LEAVES and op.examples)
COUNT = 3  # examples in a batch
SAMPLE = 3  # examples of an op in the default run


def examples_of(name: str) -> list[Example]:
    make = OPS[name].examples
    assert make is not None
    return [e for e in make(np.random.default_rng(zlib.crc32(name.encode()))) if e.inputs]


def sampled(name: str, count: int = SAMPLE) -> list[Example]:
    found = examples_of(name)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    chosen = rng.permutation(len(found))[:count]
    return [found[number] for number in sorted(chosen)]


def batch_of(array: np.ndarray) -> np.ndarray:
    """The array and others like it: smaller numbers in the same order, integers elsewhere."""
    if array.dtype.kind in "fc":
        return np.stack([array * array.dtype.type(1 - 0.1 * n) for n in range(COUNT)])
    return np.stack([np.roll(array.reshape(-1), n).reshape(array.shape) for n in range(COUNT)])


def outputs_of(example: Example, *tensors: Tensor) -> tuple[Tensor, ...]:
    built = example.build(*tensors)
    outputs = built if isinstance(built, tuple | list) else [built]
    return tuple(output for output in outputs if isinstance(output, Tensor))


def gradients_of(example: Example, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Of a sum in which every element has a weight of its own."""
    cost: Any = 0.0
    for output in outputs_of(example, *tensors):
        parts = [gc.real(output), gc.imag(output)] if output.dtype.kind == "c" else [output]
        for part in parts if output.dtype.kind in "fc" else []:
            cost = cost + gc.sum(gc.sin(part) * gc.reshape(gc.arange(part.size), part.shape))
    moving = [tensor for tensor in tensors if tensor.dtype.kind in "fc"]
    return tuple(gc.grad(cost, moving, disconnected="zero"))


def placeholders(arrays: Sequence[np.ndarray]) -> list[Tensor]:
    return [gc.placeholder(f"x{n}", a.shape, a.dtype) for n, a in enumerate(arrays)]


def compare(
    example: Example, mapped: Sequence[bool], function: Any, backend: str = "reference"
) -> None:
    arrays = [
        batch_of(array) if own else array for array, own in zip(example.inputs, mapped, strict=True)
    ]
    inputs = placeholders(arrays)
    axes = tuple(0 if own else None for own in mapped)
    batched = gc.vmap(lambda *xs: function(example, *xs), in_axes=axes)(*inputs)
    if backend == "reference":
        found = evaluate_tensors(batched, dict(zip(inputs, arrays, strict=True)))
    else:
        options: Any = {"backend": backend, "on_unused_input": "ignore"}
        found = gc.function(inputs, list(batched), **options)(*arrays)
    ones = placeholders(example.inputs)
    results = function(example, *ones)
    for number in range(COUNT):
        values = [a[number] if own else a for a, own in zip(arrays, mapped, strict=True)]
        expected = evaluate_tensors(results, dict(zip(ones, values, strict=True)))
        for all_, one in zip(found, expected, strict=True):
            assert all_.dtype == one.dtype
            assert all_.shape == (COUNT, *one.shape)
            if one.dtype.kind not in "fc":
                np.testing.assert_array_equal(all_[number], one)
                continue
            scale = np.abs(one[np.isfinite(one)]).max(initial=0.0)
            precision = 1e-12 if one.dtype.itemsize >= 8 else 1e-5
            np.testing.assert_allclose(
                all_[number], one, rtol=precision, atol=precision * float(scale)
            )


def which_are_mapped(example: Example) -> list[tuple[bool, ...]]:
    """Each input alone, and all."""
    count = len(example.inputs)
    alone = [tuple(n == one for n in range(count)) for one in range(count)]
    return alone if count == 1 else [*alone, (True,) * count]


@pytest.mark.parametrize("name", NAMES)
def test_values(name: str) -> None:
    for example in sampled(name):
        for mapped in which_are_mapped(example):
            compare(example, mapped, outputs_of)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_values_of_all_examples(name: str) -> None:
    for example in examples_of(name):
        for mapped in which_are_mapped(example):
            compare(example, mapped, outputs_of)


DIFFERENTIABLE = [
    name
    for name in NAMES
    if "nondifferentiable" not in OPS[name].traits
    and any(example.differentiable for example in examples_of(name))
    and name != "while_loop"  # steps of each example's own: E132, tested by itself
]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_of_examples(name: str) -> None:
    found = [example for example in sampled(name, 12) if example.differentiable]
    for example in found[:1]:
        compare(example, (True,) * len(example.inputs), gradients_of)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_outside_are_those_inside(name: str) -> None:
    """The gradient of a batch, summed, is a batch of gradients."""
    example = next(one for one in sampled(name, 12) if one.differentiable)
    arrays = [batch_of(array) for array in example.inputs]
    inputs = placeholders(arrays)
    moving = [tensor for tensor in inputs if tensor.dtype.kind in "fc"]

    def cost(*tensors: Tensor) -> Any:
        total: Any = 0.0
        for output in outputs_of(example, *tensors):
            if output.dtype.kind in "fc":
                total = total + gc.sum(
                    gc.sin(gc.real(output) if output.dtype.kind == "c" else output)
                )
        return total

    def slopes(*tensors: Tensor) -> Any:
        own = [tensor for tensor in tensors if tensor.dtype.kind in "fc"]
        return gc.grad(cost(*tensors), own, disconnected="zero")

    outside = gc.grad(gc.sum(gc.vmap(cost)(*inputs)), moving, disconnected="zero")
    inside = gc.vmap(slopes)(*inputs)
    values = evaluate_tensors([*outside, *inside], dict(zip(inputs, arrays, strict=True)))
    for found, expected in zip(values[: len(moving)], values[len(moving) :], strict=True):
        precision = 1e-9 if expected.dtype.itemsize >= 8 else 1e-4
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
        np.testing.assert_allclose(found, expected, rtol=precision, atol=precision * float(scale))


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_of_all_examples(name: str) -> None:
    for example in examples_of(name):
        for mapped in which_are_mapped(example) if example.differentiable else ():
            compare(example, mapped, gradients_of)


COMPILED = [
    *("cond", "gather", "matmul", "random_bits", "scan", "scatter", "searchsorted", "solve"),
    *("sort", "svd", "take", "while_loop"),
]


@pytest.mark.parametrize("name", COMPILED)
def test_values_compiled(name: str) -> None:
    for example in sampled(name, 2):
        for mapped in itertools.islice(which_are_mapped(example), 2):
            compare(example, mapped, outputs_of, backend="llvm")
