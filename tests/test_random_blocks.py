"""Random programs over arrays of three axes: what must hold of vmap and of derivatives."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from tests.random_blocks import AXIS_NAMES, grow, leaves, sizes_of
from tests.random_programs import Rng, fed, pick
from tests.variants import seed_of

DTYPE = "float64"
LONGEST = 20  # entries of an axis
SEEDS = range(8)
MANY = pytest.param(range(1000, 1400), marks=[pytest.mark.slow, pytest.mark.timeout(3600)])


def drawn(rng: Rng) -> tuple[dict[str, int], list[gc.Tensor]]:
    """Sizes for a call, and one or two inputs."""
    a, b, c = (min(size, LONGEST) for size in sizes_of(rng))
    inputs = leaves(rng, (a, b, c), DTYPE, int(rng.integers(1, 3)))
    return dict(zip(AXIS_NAMES, (a, b, c), strict=True)), inputs


def close(found: Any, wanted: Any, where: str) -> None:
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-8 * scale, err_msg=where)


def as_written(inputs: list[gc.Tensor], outputs: Any) -> gc.Function:
    return gc.function(
        inputs, outputs, on_unused_input="ignore", backend="reference", optimize=False
    )


@pytest.mark.parametrize("seeds", [SEEDS, MANY])
def test_many_examples_are_one_after_the_other(seeds: range) -> None:
    for seed in seeds:
        rng = np.random.default_rng(seed_of("vmap", seed))
        sizes, inputs = drawn(rng)
        own, count, slope = int(rng.integers(2**31)), int(rng.integers(1, 6)), rng.random() < 0.4

        def build(*tensors: Any, own: int = own, count: int = count, slope: bool = slope) -> Any:
            found = grow(np.random.default_rng(own), tensors, DTYPE, count)[-1]
            if not slope:
                return [found]
            cost = gc.sum(gc.tanh(found))
            return [found, *gc.grad(cost, list(tensors), disconnected="zero")]

        axes = [int(rng.integers(4)) for _ in inputs]
        examples = int(pick(rng, (1, 2, 3, 5)))
        many: list[gc.Tensor] = []
        for tensor, axis in zip(inputs, axes, strict=True):
            shape: list[Any] = list(tensor.shape)
            shape.insert(axis, pick(rng, ("examples", examples)))
            many.append(gc.placeholder(tensor.name, tuple(shape), DTYPE))
        feeds = [fed(rng, tensor, sizes | {"examples": examples}, DTYPE) for tensor in many]
        mapped = list(gc.vmap(build, in_axes=tuple(axes))(*many))
        found = gc.function(many, mapped, on_unused_input="ignore")(*feeds)
        each = as_written(inputs, build(*inputs))
        rows = [
            each(*(np.take(array, row, axis) for array, axis in zip(feeds, axes, strict=True)))
            for row in range(examples)
        ]
        for place, result in enumerate(found):
            close(result, np.stack([row[place] for row in rows]), f"seed {seed}, result {place}")


@pytest.mark.parametrize("seeds", [SEEDS, MANY])
def test_gradients_by_what_is_on_the_way(seeds: range) -> None:
    """As if an input stood in its place, also inside of what one function is made of."""
    for seed in seeds:
        rng = np.random.default_rng(seed_of("on the way", seed))
        sizes, inputs = drawn(rng)
        grown = grow(rng, inputs, DTYPE, 5)
        cost = gc.sum(gc.tanh(grown[-1])) + gc.sum(gc.sin(grown[-2]))
        made = [
            Tensor(node)
            for node in topological_order([cost])
            if node.inputs and [type_.dtype for type_ in node.types] == [DTYPE]
        ]
        w = pick(rng, made)
        if w is cost:
            continue
        slope = gc.grad(cost, w, disconnected="zero")
        feeds = [fed(rng, tensor, sizes, DTYPE) for tensor in inputs]
        found = gc.function(inputs, slope, on_unused_input="ignore")(*feeds)
        value = as_written(inputs, w)(*feeds)  # of equal values one stays as large as the other
        there = gc.placeholder("w", w.shape, DTYPE)
        other = gc.grad(gc.substitute(cost, {w: there}), there, disconnected="zero")
        wanted = as_written([*inputs, there], other)(*feeds, value)
        close(found, wanted, f"seed {seed}, {w.op.name}")


@pytest.mark.parametrize("seeds", [SEEDS, MANY])
def test_forward_and_reverse_derivatives_agree(seeds: range) -> None:
    """u . (J v) = (J^T u) . v"""
    for seed in seeds:
        rng = np.random.default_rng(seed_of("both ways", seed))
        sizes, inputs = drawn(rng)
        y = grow(rng, inputs, DTYPE, 5)[-1]
        try:
            slopes = gc.grad(gc.sum(y), inputs)
        except gc.DisconnectedError:
            continue
        tangents = [gc.placeholder(f"d{x.name}", x.shape, DTYPE) for x in inputs]
        u = gc.placeholder("u", y.shape, DTYPE)
        slopes = gc.grad(gc.sum(y * u), inputs)
        forward = gc.sum(gc.jvp(y, inputs, tangents) * u)
        reverse = gc.add_n([gc.sum(g * t) for g, t in zip(slopes, tangents, strict=True)])
        everything = [*inputs, *tangents, u]
        f = gc.function(everything, [forward, reverse], on_unused_input="ignore")
        one, other = f(*(fed(rng, tensor, sizes, DTYPE) for tensor in everything))
        close(one, other, f"seed {seed}")
