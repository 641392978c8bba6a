"""gc.random: permutations, draws without replacement, vectors."""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

import graphc as gc
from graphc.errors import IndexOutOfRange
from graphc.random.keys import draws_of
from graphc.random.selection import few_of_many

R = gc.random
SIGNIFICANT = 1e-4  # of a fixed seed: a failure is a defect, not chance


def value(tensor: Any, backend: str = "llvm") -> Any:
    return gc.function([], tensor, backend=backend)()


def counted(rows: np.ndarray, outcomes: list[tuple[int, ...]]) -> np.ndarray:
    found = {outcome: 0 for outcome in outcomes}
    for row in rows.tolist():
        found[tuple(row)] += 1
    return np.array(list(found.values()))


def test_every_order_is_equally_likely() -> None:
    x = np.broadcast_to(np.arange(4), (6000, 4))
    rows = value(R.permuted(R.key(5), x))
    observed = counted(rows, list(itertools.permutations(range(4))))
    assert stats.chisquare(observed).pvalue > SIGNIFICANT


def test_permutations_move_whole_entries() -> None:
    x = np.arange(24.0).reshape(6, 4)
    whole = value(R.permutation(R.key(1), x))
    assert (
        sorted(whole[:, 0].tolist()) == x[:, 0].tolist() and (whole[:, 1] == whole[:, 0] + 1).all()
    )
    np.testing.assert_array_equal(value(R.shuffle(R.key(1), x)), whole)
    columns = value(R.permutation(R.key(1), x, axis=-1))
    assert sorted(columns[0].tolist()) == x[0].tolist() and (columns[1] == columns[0] + 4).all()
    own = value(R.permuted(R.key(1), x, axis=0))
    np.testing.assert_array_equal(np.sort(own, axis=0), x)
    assert len({tuple(np.argsort(column)) for column in own.T}) == 4
    numbers = value(R.permutation(R.key(2), 1000))
    assert numbers.dtype == np.int64 and sorted(numbers.tolist()) == list(range(1000))
    assert (numbers != np.arange(1000)).mean() > 0.98


def test_permutations_of_symbolic_sizes_and_their_gradients() -> None:
    x = gc.placeholder("x", ("n", 2), "float64")
    moved = R.permutation(R.key(3), x)
    order = R.permutation(R.key(3), x.shape[0])
    weight = gc.arange(x.shape[0]).astype("float64")
    run = gc.function([x], [moved, order, gc.grad(gc.sum(moved[:, 0] * weight), x)])
    for size in (0, 1, 7):
        array = np.arange(2.0 * size).reshape(size, 2)
        found, places, gradient = run(array)
        np.testing.assert_array_equal(found, array[places])
        np.testing.assert_array_equal(gradient[places, 0], np.arange(size))


@pytest.mark.parametrize("weighted", [False, True])
def test_draws_without_replacement(weighted: bool) -> None:
    """Pairs of 4 elements have the probabilities of drawing one by one."""
    p = np.array([0.1, 0.2, 0.3, 0.4]) if weighted else np.full(4, 0.25)
    key = gc.placeholder("key", (), "uint64")
    keys = R.split(key, 3000)
    given = p if weighted else None
    pairs = gc.map(lambda k: R.choice(k, 4, (2,), given, replace=False), keys)
    rows = gc.function([key], pairs)(np.uint64(9))
    outcomes: list[tuple[int, ...]] = list(itertools.permutations(range(4), 2))
    expected = np.array([p[i] * p[j] / (1 - p[i]) for i, j in outcomes])
    assert stats.chisquare(counted(rows, outcomes), expected * 3000).pvalue > SIGNIFICANT


def test_the_steps_of_a_shuffle_draw_every_order_equally_often() -> None:
    """Many of few, so that places change twice; and few of many, each element in each place."""
    keys = R.split(R.key(4), 6000)
    rows = value(gc.map(lambda k: few_of_many(draws_of("choice", k), 5, 4), keys))
    observed = counted(rows, list(itertools.permutations(range(5), 4)))
    assert stats.chisquare(observed).pvalue > SIGNIFICANT
    rows = value(gc.vmap(lambda k: R.choice(k, 512, (32,), replace=False))(keys))
    assert all(len(set(row)) == 32 for row in rows.tolist())
    for place in (0, 1, 31):
        observed = np.bincount(rows[:, place], minlength=512)
        assert len(observed) == 512 and stats.chisquare(observed).pvalue > SIGNIFICANT


def test_elements_with_probability_zero_are_not_drawn() -> None:
    names = gc.constant(np.array([10, 20, 30, 40]))
    drawn = value(R.choice(R.key(0), names, (2,), [0.0, 0.5, 0.0, 0.5], replace=False))
    assert sorted(drawn.tolist()) == [20, 40]
    assert value(R.choice(R.key(0), 5, (0,), replace=False)).shape == (0,)
    assert sorted(value(R.choice(R.key(0), 6, (2, 3), replace=False)).ravel()) == list(range(6))


def test_too_few_at_the_call() -> None:
    x = gc.placeholder("x", ("n",))
    run = gc.function([x], R.choice(R.key(0), x, (3,), replace=False))
    assert sorted(run([5.0, 6.0, 7.0]).tolist()) == [5, 6, 7]
    with pytest.raises(IndexOutOfRange):
        run([5.0, 6.0])


@pytest.mark.parametrize("backend", ["interpreter", "llvm", "numba_cpu"])
def test_equal_orders_on_every_backend(backend: str) -> None:
    x = gc.placeholder("x", ("n", 3))
    outputs = [
        R.permutation(R.key(1), x.shape[0]),
        R.permuted(R.key(2), x, axis=0),
        R.choice(R.key(3), x.shape[0], (2,), replace=False),
        R.choice(R.key(4), 1000, (40,), replace=False),
    ]
    run = gc.function([x], outputs, backend=backend, check=True)
    oracle = gc.function([x], outputs, backend="reference")
    array = np.arange(33, dtype=np.float32).reshape(11, 3)
    for found, expected in zip(run(array), oracle(array), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_vectors_have_the_mean_and_covariance() -> None:
    mean, cov = np.array([1.0, -2.0]), np.array([[2.0, -0.6], [-0.6, 0.5]])
    found = value(R.multivariate_normal(R.key(0), mean, cov, (20_000,), "float64"))
    np.testing.assert_allclose(found.mean(axis=0), mean, atol=0.04)
    np.testing.assert_allclose(np.cov(found.T), cov, atol=0.06)
    whitened = (found - mean) @ np.linalg.inv(np.linalg.cholesky(cov)).T
    assert stats.kstest(whitened.ravel(), "norm").pvalue > SIGNIFICANT
    many = R.multivariate_normal(R.key(0), np.zeros((3, 1, 2)), np.stack([cov, cov * 2]))
    assert many.shape == (3, 2, 2) and many.dtype == np.float32
    assert np.isfinite(value(many)).all()


def test_gradients_by_mean_and_covariance() -> None:
    """E[(w x)^2] = w cov w' + (w mean)^2"""
    mean = gc.variable(np.array([1.0, -2.0]), "mean")
    cov = gc.variable(np.array([[2.0, -0.6], [-0.6, 0.5]]), "cov")
    w = np.array([1.0, 3.0])
    x = R.multivariate_normal(R.key(1), mean, cov, (20_000,), "float64")
    by_mean, by_cov = value(gc.grad(gc.mean(gc.square(x @ w)), [mean, cov]))
    np.testing.assert_allclose(by_mean, 2 * (w @ mean.value) * w, rtol=0.05)
    np.testing.assert_allclose(by_cov + by_cov.T, 2 * np.outer(w, w), rtol=0.05)


def test_vectors_of_unfit_parameters() -> None:
    with pytest.raises(gc.ShapeError, match="do not fit together"):
        R.multivariate_normal(R.key(0), np.zeros(3), np.eye(2))
    with pytest.raises(gc.LinearAlgebraError):
        value(R.multivariate_normal(R.key(0), np.zeros(2), -np.eye(2)))


@pytest.mark.parametrize("bounds", [(-2.0, 2.0), (7.5, 9.0), (20.0, 21.0), (-30.0, -29.0)])
def test_truncated_normal_numbers_far_out(bounds: tuple[float, float]) -> None:
    """In float32 as in float64, whether float32 holds the probabilities or not."""
    single, double = (
        value(R.truncated_normal(R.key(6), (5000,), *bounds, dtype))
        for dtype in ("float32", "float64")
    )
    np.testing.assert_allclose(single, double, rtol=3e-6, atol=1e-6)
    law = stats.truncnorm(*bounds)
    assert stats.kstest(double, law.cdf).pvalue > SIGNIFICANT
