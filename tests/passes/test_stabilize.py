"""Written naively, computed stably: every rule by text, and by value at extreme inputs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special

import graphc as gc
from graphc.passes.pipeline import PREPARATION
from graphc.passes.stabilize import STABILIZE
from tests.passes.rewriting import Build, Case, check, rewritten

X = np.array([-800.0, -90.0, -20.0, -1.0, -1e-20, 0.0, 1e-20, 0.5, 30.0, 100.0, 1000.0])
NONNEGATIVE = np.abs(X)
SMALL = np.array([-0.5, -1e-20, 0.0, 1e-20, 1e-9, 0.5, 3.0])
LABELS = np.linspace(0, 1, X.size)
ROWS = np.array([[0.0, -800.0, 3.0], [1000.0, 1000.0, 1000.0], [-1e4, -1e4, 0.0]])
TARGET = np.array([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
VECTOR, MATRIX = "float[n]", "float[n, 3]"


@dataclass(frozen=True)
class Stable:
    """build(*arrays) becomes `after`, and is as accurate as `oracle` on the arrays."""

    rule: str
    build: Build
    after: str
    arrays: tuple[np.ndarray, ...]
    oracle: Callable[..., np.ndarray]
    shape: str = VECTOR

    def __str__(self) -> str:
        return f"{self.rule}: {self.after}"


def keep(array: np.ndarray) -> np.ndarray:
    return array


def naive_probability(x: gc.Tensor) -> gc.Tensor:
    return 1 / (1 + gc.exp(-x))


def naive_cross_entropy(x: gc.Tensor, y: gc.Tensor) -> gc.Tensor:
    p = naive_probability(x)
    return -y * gc.log(p) - (1 - y) * gc.log(1 - p)


def naive_softmax(x: gc.Tensor) -> gc.Tensor:
    return gc.exp(x) / gc.sum(gc.exp(x), axis=1, keepdims=True)


def cross_entropy(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z))


def dense_cross_entropy(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(-special.xlogy(y, 1).sum(1) - (y * special.log_softmax(z, 1)).sum(1))


CASES = [
    Stable("sigmoid_of_inverse", naive_probability, "sigmoid(x)", (X,), special.expit),
    Stable("sigmoid_of_inverse", lambda x: 1 / (1 + gc.exp(x)), "sigmoid(-x)", (X,),
           lambda x: special.expit(-x)),
    Stable("sigmoid_of_inverse", lambda x: (1 + gc.exp(-x)) ** -1, "sigmoid(x)", (X,),
           special.expit),
    Stable("sigmoid_of_inverse", lambda x: gc.reciprocal(gc.exp(-x) + 1), "sigmoid(x)", (X,),
           special.expit),
    Stable("sigmoid_of_inverse", lambda x: gc.exp(x) / (1 + gc.exp(x)), "sigmoid(x)", (X,),
           special.expit),
    Stable("sigmoid_of_inverse", lambda x, y: 1 / (1 + gc.exp(-x - y)), "sigmoid(x + y)",
           (X, X[::-1]), lambda x, y: special.expit(x + y)),
    Stable("sigmoid_of_inverse", lambda x, y: 1 / (1 + gc.exp(y - x)), "sigmoid(x - y)",
           (X, X[::-1]), lambda x, y: special.expit(x - y)),
    Stable("silu", lambda x: x / (1 + gc.exp(-x)), "x * sigmoid(x)", (X,),
           lambda x: x * special.expit(x)),
    Stable("one_minus_sigmoid", lambda x: 1 - gc.sigmoid(x), "sigmoid(-x)", (X,),
           lambda x: special.expit(-x)),
    Stable("one_minus_sigmoid", lambda x: 1 - gc.sigmoid(-x), "sigmoid(x)", (X,), special.expit),
    Stable("sigmoid_of_difference", lambda x, y: gc.sigmoid(-(x - y)), "sigmoid(y - x)",
           (X, X[::-1]), lambda x, y: special.expit(y - x)),
    Stable("log_sigmoid", lambda x: gc.log(gc.sigmoid(x)), "-softplus(-x)", (X,),
           special.log_expit),
    Stable("log_sigmoid", lambda x: gc.log(naive_probability(x)), "-softplus(-x)", (X,),
           special.log_expit),
    Stable("log_sigmoid", lambda x: gc.log(1 - naive_probability(x)), "-softplus(x)", (X,),
           lambda x: special.log_expit(-x)),
    Stable("log1p_minus_sigmoid", lambda x: gc.log1p(-gc.sigmoid(x)), "-softplus(x)", (X,),
           lambda x: special.log_expit(-x)),
    Stable("softplus", lambda x: gc.log(1 + gc.exp(x)), "softplus(x)", (X,),
           lambda x: np.logaddexp(0, x)),
    Stable("softplus", lambda x: gc.log1p(gc.exp(x)), "softplus(x)", (X,),
           lambda x: np.logaddexp(0, x)),
    Stable("logaddexp", lambda x, y: gc.log(gc.exp(x) + gc.exp(y)), "logaddexp(x, y)",
           (X, X[::-1]), np.logaddexp),
    Stable("sigmoid_cross_entropy",
           naive_cross_entropy,
           "sigmoid_cross_entropy(x, y)", (X, LABELS), cross_entropy),
    Stable("sigmoid_cross_entropy",
           lambda x, y: -(y * gc.log(gc.sigmoid(x))) - gc.log(1 - gc.sigmoid(x)) * (1 - y),
           "sigmoid_cross_entropy(x, y)", (X, LABELS), cross_entropy),
    Stable("sigmoid_cross_entropy",
           lambda x, y: -(1 - y) * gc.log(1 - gc.sigmoid(x)) - y * gc.log(gc.sigmoid(x)),
           "sigmoid_cross_entropy(x, y)", (X, LABELS), cross_entropy),
    Stable("sigmoid_log_likelihood",
           lambda x, y: -(y * gc.log(gc.sigmoid(x)) + (1 - y) * gc.log(1 - gc.sigmoid(x))),
           "sigmoid_cross_entropy(x, y)", (X, LABELS), cross_entropy),
    Stable("sigmoid_log_likelihood",
           lambda x, y: (1 - y) * gc.log(1 - gc.sigmoid(x)) + y * gc.log(gc.sigmoid(x)),
           "-sigmoid_cross_entropy(x, y)", (X, LABELS), lambda z, y: -cross_entropy(z, y)),
    Stable("expm1", lambda x: gc.exp(x) - 1, "expm1(x)", (SMALL,), np.expm1),
    Stable("expm1", lambda x: -1 + gc.exp(x), "expm1(x)", (SMALL,), np.expm1),
    Stable("one_minus_exp", lambda x: 1 - gc.exp(x), "-expm1(x)", (SMALL,),
           lambda x: -np.expm1(x)),
    Stable("log1p", lambda x: gc.log(1 + x), "log1p(x)", (SMALL,), np.log1p),
    Stable("log1p_negative", lambda x: gc.log(1 - x), "log1p(-x)", (-SMALL,),
           lambda x: np.log1p(-x)),
    Stable("log_of_exp", lambda x: gc.log(gc.exp(x)), "x", (X,), keep),
    Stable("log_of_exp", lambda x: gc.log1p(gc.exp(x) - 1), "x", (X,), keep),
    Stable("x_log_x", lambda x: x * gc.log(x),
           "where(x == 0.0, 0.0, x * log(where(x == 0.0, 1.0, x)))", (NONNEGATIVE,),
           lambda x: special.xlogy(x, x)),
    Stable("sqrt_of_square", lambda x: gc.sqrt(x * x), "abs(x)", (X * 1e30,), np.abs),
    Stable("sqrt_of_square", lambda x: gc.sqrt(x**2), "abs(x)", (X * 1e-30,), np.abs),
    Stable("logsumexp", lambda x: gc.log(gc.sum(gc.exp(x), axis=1)),
           "logsumexp(x, axes=(1,), keepdims=False)", (ROWS,),
           lambda x: special.logsumexp(x, 1), MATRIX),
    Stable("softmax", naive_softmax, "softmax(x, axis=1)", (ROWS,),
           lambda x: special.softmax(x, 1), MATRIX),
    Stable("softmax", lambda x: gc.exp(x) / gc.sum(gc.exp(x), axis=1)[:, None],
           "softmax(x, axis=1)", (ROWS,), lambda x: special.softmax(x, 1), MATRIX),
    Stable("softmax_of_all", lambda x: gc.exp(x) / gc.sum(gc.exp(x)), "softmax(x, axis=0)", (X,),
           special.softmax),
    Stable("log_of_softmax", lambda x: gc.log(gc.softmax(x)), "log_softmax(x, axis=1)", (ROWS,),
           lambda x: special.log_softmax(x, 1), MATRIX),
    Stable("log_of_softmax", lambda x: gc.log(naive_softmax(x)), "log_softmax(x, axis=1)",
           (ROWS,), lambda x: special.log_softmax(x, 1), MATRIX),
    Stable("log_softmax", lambda x: x - gc.logsumexp(x, axis=1, keepdims=True),
           "log_softmax(x, axis=1)", (ROWS,), lambda x: special.log_softmax(x, 1), MATRIX),
    Stable("exp_of_log_softmax", lambda x: gc.exp(gc.nn.log_softmax(x)), "softmax(x, axis=1)",
           (ROWS,), lambda x: special.softmax(x, 1), MATRIX),
    Stable("softmax_of_shifted", lambda x: naive_softmax(x - gc.max(x, axis=1, keepdims=True)),
           "softmax(x, axis=1)", (ROWS,), lambda x: special.softmax(x, 1), MATRIX),
    Stable("softmax_log_likelihood",
           lambda x, y: -gc.sum(y * gc.log(naive_softmax(x)), axis=1),
           "softmax_cross_entropy(x, y, axis=1)", (ROWS, TARGET), dense_cross_entropy, MATRIX),
    Stable("softmax_log_likelihood",
           lambda x, y: -gc.sum(gc.log(gc.softmax(x)) * y),
           "sum(softmax_cross_entropy(x, y, axis=1), axes=(0,), keepdims=False)", (ROWS, TARGET),
           lambda z, y: dense_cross_entropy(z, y).sum(), MATRIX),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: Stable, dtype: str) -> None:
    types = (case.shape.replace("float", dtype),) * 4
    found = rewritten(PREPARATION, case.build, *types)
    assert found.after == case.after
    assert case.rule in found.log.rules()
    arrays = [array.astype(dtype).astype("float64") for array in case.arrays]
    with np.errstate(all="ignore"):
        _, value = found.values(arrays)
        expected = case.oracle(*arrays)
    tolerance = 2e-6 if dtype == "float32" else 1e-13
    smallest = float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(value, expected.astype(dtype), rtol=tolerance, atol=smallest)


UNTOUCHED = [
    Case("sigmoid_of_inverse", lambda x: 1 / (2 + gc.exp(-x)), None),
    Case("sigmoid_of_inverse", lambda x, y: gc.exp(y) / (1 + gc.exp(x)), None),
    Case("silu", lambda x, y: y / (1 + gc.exp(-x)), None),
    Case("one_minus_sigmoid", lambda x: 2 - gc.sigmoid(x), None),
    Case("one_minus_sigmoid", lambda x: gc.sigmoid(x) - 1, None),
    Case("sigmoid_of_difference", lambda x, y: gc.sigmoid(x - y), None),
    Case("log_sigmoid", lambda x: gc.log2(gc.sigmoid(x)), None),
    Case("log1p_minus_sigmoid", lambda x: gc.log1p(gc.sigmoid(x)), None),
    Case("softplus", lambda x: gc.log(2 + gc.exp(x)), None),
    Case("softplus", lambda x: gc.log(1 - gc.exp(x)), None),
    Case("logaddexp", lambda x, y: gc.log(gc.exp(x) - gc.exp(y)), None),
    Case(  # the labels do not add up to 1
        "sigmoid_cross_entropy",
        lambda x, y, z: -y * gc.log(gc.sigmoid(x)) - (1 - z) * gc.log(1 - gc.sigmoid(x)),
        None,
    ),
    Case(  # two different logits
        "sigmoid_cross_entropy",
        lambda x, y, z: -y * gc.log(gc.sigmoid(x)) - (1 - y) * gc.log(1 - gc.sigmoid(z)),
        None,
    ),
    Case(
        "sigmoid_log_likelihood",
        lambda x, y: y * gc.log(gc.sigmoid(x)) - (1 - y) * gc.log(1 - gc.sigmoid(x)),
        None,
    ),
    Case("expm1", lambda x: gc.exp(x) + 1, None),
    Case("one_minus_exp", lambda x: 2 - gc.exp(x), None),
    Case("log1p", lambda x: gc.log(2 + x), None),
    Case("log1p_negative", lambda x: gc.log(x - 1), None),
    Case("log_of_exp", lambda x: gc.exp(gc.log(x)), None),  # log(-1) is nan
    Case("x_log_x", lambda x, y: x * gc.log(y), None),
    Case("sqrt_of_square", lambda x: gc.square(gc.sqrt(x)), None),
    Case("logsumexp", lambda x, y: gc.log(gc.sum(gc.exp(x) * y)), None),
    Case("softmax", lambda x, y: gc.exp(x) / gc.sum(gc.exp(y)), None),
    Case(
        "softmax",
        lambda x: gc.exp(x) / gc.sum(gc.exp(x), axis=(0, 1), keepdims=True),
        None,
        ("float32[n, 3]",),
    ),
    Case(
        "softmax_of_all",
        lambda x: gc.exp(x) / gc.sum(gc.exp(x), axis=0),
        None,
        ("float32[n, 3]",),
    ),
    Case("log_of_softmax", lambda x: gc.log2(gc.softmax(x)), None),
    Case("log_softmax", lambda x: x - gc.logsumexp(x), None, ("float32[n, 3]",)),
    Case("exp_of_log_softmax", lambda x: gc.exp2(gc.nn.log_softmax(x)), None),
    Case("softmax_of_shifted", lambda x, y: gc.softmax(x - gc.max(y, keepdims=True)), None),
    Case(
        "softmax_log_likelihood",
        lambda x, y: gc.sum(y * gc.nn.log_softmax(x, 1), axis=0),
        None,
        ("float32[n, 3]", "float32[n, 3]"),
    ),
]


@pytest.mark.parametrize("case", UNTOUCHED, ids=str)
def test_does_not_fire(case: Case) -> None:
    check(PREPARATION, case)


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in STABILIZE}
    assert {case.rule for case in UNTOUCHED} == {rule.name for rule in STABILIZE}


def test_labels_that_are_constants() -> None:
    """1 - y of a constant y may be folded by then."""
    y = gc.constant([0.0, 0.25, 1.0])
    rest = gc.constant([1.0, 0.75, 0.0])

    def build(x: gc.Tensor) -> gc.Tensor:
        return -y * gc.log(gc.sigmoid(x)) - rest * gc.log(1 - gc.sigmoid(x))

    found = rewritten(PREPARATION, build, "float32[3]")
    assert found.after == "sigmoid_cross_entropy(x, [0.0, 0.25, 1.0])"


def test_nothing_is_looked_through_twice() -> None:
    """What a rule made is a user's expression like any other: p stays named where it is used."""
    found = rewritten(PREPARATION, lambda x: gc.log(gc.sigmoid(x)) + gc.sigmoid(x), "float32[n]")
    assert found.after == "sigmoid(x) - softplus(-x)"
