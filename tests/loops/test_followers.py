"""Products and the kernels that can follow them row by row stand next to each other."""

from collections.abc import Sequence

import numpy as np
import pytest

import graphc as gc
from graphc.ir.graph import Graph
from graphc.loops.epilogues import epilogue_at
from graphc.loops.ir import Contraction, KernelCall, Step
from graphc.loops.lower import lower
from graphc.passes.pipeline import optimize


def steps_of(inputs: Sequence[gc.Tensor], outputs: Sequence[gc.Tensor]) -> tuple[Step, ...]:
    return lower(optimize(Graph(tuple(inputs), tuple(outputs)))[0], ()).steps


def test_no_product_between_another_and_its_epilogue() -> None:
    """The gradient of v would stand between the gradient of the weights and that of the scores."""
    q, k, v = (gc.placeholder(name, (2, 3, 64, 16)) for name in "qkv")
    result = gc.softmax(q @ k.mT, axis=-1) @ v
    loss = gc.sum(result * result)
    gradients = gc.grad(loss, [q, k, v])
    steps = steps_of([q, k, v], [loss, *gradients])
    finished = [
        isinstance(step, Contraction) and epilogue_at(steps, number) is not None
        for number, step in enumerate(steps)
    ]
    assert sum(finished) == 2  # the scores, and the gradient of the weights
    arrays = [np.random.default_rng(n).normal(size=(2, 3, 64, 16)).astype("f4") for n in range(3)]
    found = gc.function([q, k, v], [loss, *gradients])(*arrays)
    meant = gc.function([q, k, v], [loss, *gradients], backend="reference")(*arrays)
    for one, other in zip(found, meant, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-4)


def test_a_product_stays_where_another_is_followed_already() -> None:
    a, b, c = (gc.placeholder(name, (40, 40)) for name in "abc")
    steps = steps_of([a, b, c], [gc.tanh(a @ b + b @ c)])
    assert [type(step) for step in steps] == [Contraction, Contraction, KernelCall]
    first, second = steps[:2]
    assert isinstance(first, Contraction) and isinstance(second, Contraction)
    assert (first.a, second.a) == ("a", "b")


def test_a_product_stays_where_its_operands_would_live_longer() -> None:
    """x and y are large and last read by the product, whose result is small."""
    a, b = gc.placeholder("a", (64, 4096)), gc.placeholder("b", (64, 64))
    small = gc.tanh(a) @ gc.sin(a).mT
    other = b @ b
    steps = steps_of([a, b], [gc.exp(small) * other, other @ b])
    products = [step for step in steps if isinstance(step, Contraction)]
    assert products[0].k == 4096


def test_a_product_does_not_read_old_weights_behind_their_update() -> None:
    """New weights are written over the old ones where nobody reads those any more."""
    rng = np.random.default_rng(0)
    x = gc.placeholder("x", ("b", 300))
    weights = [
        gc.variable((rng.normal(size=shape) / 32).astype("float32"), f"w{n}")
        for n, shape in enumerate(((300, 1024), (1024, 1024), (1024, 300)))
    ]
    h: gc.Tensor = x
    for w in weights:
        h = gc.tanh(h @ w)
    cost = gc.mean((h - x) ** 2)
    slopes = gc.grad(cost, weights)
    updates = [(w, w - 10 * slope) for w, slope in zip(weights, slopes, strict=True)]
    plan = str(gc.function([x], cost, updates=updates).memory_plan())
    assert plan.count("in place of w") == 3


@pytest.mark.parametrize("is_optimized", [False, True])
def test_a_product_of_two_vectors_has_no_rows_to_follow(is_optimized: bool) -> None:
    """A kernel reads its result, which has no axes, in every iteration."""
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", (2, 3))
    result = gc.exp((gc.tanh(x) @ x) * gc.sort(y, axis=1))
    arrays = np.linspace(-1, 1, 5, dtype="f4"), np.linspace(1, -1, 6, dtype="f4").reshape(2, 3)
    found = gc.function([x, y], result, optimize=is_optimized)(*arrays)
    wanted = np.exp(np.tanh(arrays[0]) @ arrays[0] * np.sort(arrays[1], axis=1))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
