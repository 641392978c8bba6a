"""tree_map and tree_leaves."""

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import graphc as gc

Layer = namedtuple("Layer", "W b")


def test_leaves_in_order() -> None:
    assert gc.tree_leaves([(1, 2), {"b": [3], "a": None}, Layer(4, ())]) == [1, 2, 3, 4]
    assert gc.tree_leaves(5) == [5]
    assert gc.tree_leaves(None) == []


def test_structures_stay() -> None:
    tree: Any = {"first": Layer(1, [2]), "none": None, "rest": (3, [])}
    assert gc.tree_map(lambda x: 10 * x, tree) == {
        "first": Layer(10, [20]),
        "none": None,
        "rest": (30, []),
    }
    assert isinstance(gc.tree_map(lambda x: x, tree)["first"], Layer)
    assert gc.tree_map(lambda x, y, z: x + y * z, 1, 2, 3) == 7
    assert gc.tree_map(lambda x: x, []) == []


def test_structures_that_differ() -> None:
    for other in ([1, (2,)], [1, 2, 3], {"a": 1, "b": 2}, None):
        with pytest.raises(gc.ArgumentError, match="tree 1 of the rest has another structure"):
            gc.tree_map(lambda x, y: x, [1, 2], other)


def test_descent_on_nested_parameters() -> None:
    params: Any = [
        (gc.variable(np.ones((2, 3))), gc.variable(np.zeros(3))),
        {"w": gc.variable(2.0)},
    ]
    x = gc.placeholder("x", (None, 2), "float64")
    cost = gc.mean((x @ params[0][0] + params[0][1]) ** 2) * params[1]["w"]
    gradients = gc.grad(cost, params)
    new = gc.tree_map(lambda p, g: p - 0.1 * g, params, gradients)
    updates = dict(zip(gc.tree_leaves(params), gc.tree_leaves(new), strict=True))
    step = gc.function([x], cost, updates=updates)
    costs = [float(step(np.eye(2))) for _ in range(5)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0] / 2
