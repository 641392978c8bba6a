"""Regularizers and constraints against numpy."""

import numpy as np
import pytest

import graphc as gc
from graphc.layers import constraints, regularizers

W = np.array([[3.0, 0.0, -0.1], [-4.0, 0.0, 0.2]])


def test_costs() -> None:
    assert gc.run(regularizers.L1(0.5)(gc.constant(W))) == pytest.approx(3.65)
    assert gc.run(regularizers.L2(0.5)(gc.constant(W))) == pytest.approx(12.525)
    both = regularizers.get({"class_name": "L1L2", "config": {"l1": 1.0, "l2": 2.0}})
    assert gc.run(both(gc.constant(W))) == pytest.approx(7.3 + 2 * 25.05)
    assert regularizers.get("l2") == regularizers.L2(0.01)
    assert gc.run(regularizers.get(gc.max)(gc.constant(W))) == 3.0


def test_weight_decay_of_the_books() -> None:
    """w <- (1 - rate lambda / m) w - rate g, worked by hand: 1.99 - 0.15."""
    w, rate, decay, m, g = gc.variable(np.float64(2.0), "w"), 0.5, 0.1, 10, 0.3
    cost = g * w + regularizers.L2(decay / (2 * m))(w)
    gc.function([], updates={w: w - rate * gc.grad(cost, w)})()
    assert w.value == pytest.approx(1.84, abs=1e-15)


def test_constraints() -> None:
    def apply(constraint: constraints.Constraint) -> np.ndarray:
        return np.asarray(gc.run(constraint(gc.constant(W))))

    assert np.allclose(apply(constraints.MaxNorm(2.5)), W * [0.5, 1, 1])
    assert np.array_equal(apply(constraints.MaxNorm(10.0)), W)
    assert np.array_equal(apply(constraints.NonNeg()), np.maximum(W, 0))
    unit = apply(constraints.UnitNorm())
    assert np.allclose(np.linalg.norm(unit, axis=0), [1, 0, 1])
    rows = apply(constraints.UnitNorm(axis=1))
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    bounded = apply(constraints.MinMaxNorm(1.0, 2.0))
    assert np.allclose(np.linalg.norm(bounded, axis=0), [2, 0, 1])
    half = apply(constraints.MinMaxNorm(1.0, 2.0, rate=0.5))
    assert np.allclose(np.linalg.norm(half, axis=0)[0], 3.5)
    kernel = gc.run(constraints.MaxNorm(1.0, axis=(1, 2, 3))(gc.ones((2, 3, 2, 2))))
    assert np.allclose((kernel**2).sum((1, 2, 3)), 1)


def test_errors() -> None:
    with pytest.raises(gc.ParameterError, match="l2=-1"):
        regularizers.L2(-1)
    with pytest.raises(gc.ParameterError, match="no regularizer"):
        regularizers.get(3)
    with pytest.raises(gc.ParameterError, match="rate"):
        constraints.MinMaxNorm(rate=0)
    with pytest.raises(gc.ParameterError, match="min_value <= max_value"):
        constraints.MinMaxNorm(2, 1)
    with pytest.raises(gc.ParameterError, match="did you mean NonNeg"):
        constraints.get("non_negs")


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_orthogonal_regularizer(mode: str) -> None:
    w = np.random.default_rng(0).normal(size=(4, 3))
    vectors = w if mode == "rows" else w.T
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [abs(a @ b) for n, a in enumerate(vectors) for b in vectors[:n]]
    penalty = regularizers.OrthogonalRegularizer(0.1, mode)
    assert gc.run(penalty(gc.constant(w))) == pytest.approx(0.1 * np.mean(pairs))
    assert gc.run(penalty(gc.constant(np.eye(3)))) == 0
    with pytest.raises(gc.ShapeError, match="rows and columns"):
        penalty(gc.constant([1.0]))
    with pytest.raises(gc.ParameterError, match="mode"):
        regularizers.OrthogonalRegularizer(mode="rank")


def test_names_of_keras() -> None:
    assert regularizers.l2(1e-4) == regularizers.L2(1e-4)
    assert regularizers.l1_l2(l1=0.1, l2=0.2) == regularizers.L1L2(0.1, 0.2)
    assert constraints.max_norm(2.0) == constraints.MaxNorm(2.0)
