"""Sums of any number of tensors, in values, gradients and errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import FunctionError

Compute = Callable[..., Any]


@pytest.mark.parametrize("count", [1, 2, 16, 17, 300])
def test_add_n(compute: Compute, count: int) -> None:
    arrays = [np.array([n, 0.5], np.float32) for n in range(count)]
    total = compute(lambda *xs: gc.add_n(xs), *arrays)
    assert total.tolist() == [sum(range(count)), count / 2]


def test_a_sum_of_100000_inputs_is_one_node_and_has_a_gradient() -> None:
    x = gc.placeholder("x", (2,))
    terms = [x * 2.0] * 50_000 + [x] * 50_000
    total = gc.add_n(terms)
    assert total.node.op.name == "add_many" and len(total.node.inputs) == 100_000
    gradient = gc.grad(gc.sum(total), x)
    value = evaluate_tensors([gradient], {x: np.ones(2, np.float32)})[0]
    assert value.tolist() == [150_000.0, 150_000.0]


def test_add_n_broadcasts_and_promotes() -> None:
    x, y = gc.placeholder("x", (3, 1)), gc.placeholder("y", (4,), "int32")
    assert str(gc.add_n([x, y, 1]).type) == "float32[3, 4]"


def test_add_n_of_nothing() -> None:
    with pytest.raises(FunctionError, match="add_n: needs a list") as caught:
        gc.add_n([])
    assert "test_add_n.py:" in str(caught.value)
