"""Logarithms, hyperbolic functions and tails: every rule by text, by value and by slope."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import special

import graphc as gc
from graphc.ir.registry import OPS
from graphc.passes.pipeline import PREPARATION
from graphc.passes.stabilize_logarithms import STABILIZE_LOGARITHMS
from tests.passes.rewriting import Build, Case, check, rewritten

X = np.array([-1000.0, -90.0, -25.0, -2.0, -1e-3, 1e-3, 0.7, 1.5, 30.0, 100.0, 1000.0])
POSITIVE = np.abs(X)
Y = X[::-1].copy()
LOG_2 = np.log(2)


def log_cosh(x: Any) -> Any:
    size = np.abs(x)
    near = np.log1p(2 * np.sinh(np.minimum(size, 1) / 2) ** 2)
    return np.where(size < 1, near, size + np.log1p(np.exp(-2 * size)) - LOG_2)


def log1p_tanh(x: Any) -> Any:
    near = np.log1p(np.tanh(np.maximum(x, -1)))
    return np.where(x < -1, LOG_2 + 2 * x - np.logaddexp(0, 2 * x), near)


def log1mexp(x: Any) -> Any:
    return np.where(x < -LOG_2, np.log1p(-np.exp(x)), np.log(-np.expm1(x)))


def log_softplus(x: Any) -> Any:
    return np.where(x < -40, x, np.log(np.logaddexp(0, np.maximum(x, -40))))


@dataclass(frozen=True)
class Stable:
    """build(*arrays) becomes `after`; its values and slopes are those of `oracle`."""

    rule: str
    build: Build
    after: str
    oracle: Callable[..., Any]
    arrays: tuple[np.ndarray, ...] = (X,)
    has_slopes: bool = True

    def __str__(self) -> str:
        return f"{self.rule}: {self.after}"


CASES = [
    Stable("log_of_quotient", lambda x: gc.log(gc.exp(x) / gc.sum(gc.exp(2 * x))),
           "x - logsumexp(x * 2.0, axes=(0,), keepdims=False)",
           lambda x: x - special.logsumexp(2 * x), has_slopes=False),
    Stable("log_of_quotient", lambda x: gc.log(gc.mean(gc.exp(x))),
           "logsumexp(x, axes=(0,), keepdims=False) - log(astype(dim(size=n), dtype=DTYPE))",
           lambda x: special.logsumexp(x) - np.log(x.size), has_slopes=False),
    Stable("softmax_of_two", lambda x, y: gc.log(gc.exp(x) / (gc.exp(x) + gc.exp(y + 1))),
           "-softplus((y + 1.0) - x)", lambda x, y: -np.logaddexp(0, y + 1 - x), (X, Y)),
    Stable("log_of_multiple", lambda x: gc.log(3 * gc.exp(x)), "x + log(3)",
           lambda x: x + np.log(3)),
    Stable("log_of_multiple", lambda x, y: gc.log((gc.exp(x) + gc.exp(y)) / 2),
           "logaddexp(x, y) + -log(2)", lambda x, y: np.logaddexp(x, y) - LOG_2, (X, 2 * Y)),
    Stable("log_of_totals", lambda x, y: gc.log(gc.sum(gc.exp(x)) + gc.exp(y)),
           "logaddexp(logsumexp(x, axes=(0,), keepdims=False), y)",
           lambda x, y: np.logaddexp(special.logsumexp(x), y), (X, Y), has_slopes=False),
    Stable("log1p_of_exponentials", lambda x, y: gc.log(1 + gc.exp(x) + gc.exp(y)),
           "softplus(logaddexp(x, y))",
           lambda x, y: np.logaddexp(0, np.logaddexp(x, y)), (X, 2 * X)),
    Stable("log_of_difference", lambda x, y: gc.log(gc.exp(x) - gc.exp(y)),
           "x + log1mexp(where(x == y, 0.0, y - x))",
           lambda x, y: x + log1mexp(y - x), (X, X - POSITIVE / 2)),
    Stable("log_of_complement", lambda x: gc.log(1 - gc.exp(x)), "log1mexp(x)", log1mexp,
           (-POSITIVE,)),
    Stable("log_of_complement", lambda x: gc.log1p(-gc.exp(x)), "log1mexp(x)", log1mexp,
           (-POSITIVE,)),
    Stable("softmax_of_two", lambda x, y: gc.exp(x) / (gc.exp(x) + gc.exp(y)), "sigmoid(x - y)",
           lambda x, y: special.expit(x - y), (X, X + 3)),
    Stable("softmax_of_two", lambda x, y: gc.exp(x) / (gc.exp(y) + gc.exp(x)), "sigmoid(x - y)",
           lambda x, y: special.expit(x - y), (X, Y)),
    Stable("odds", lambda x: gc.sigmoid(x) / (1 - gc.sigmoid(x)), "exp(x)", np.exp,
           (np.minimum(X, 30),)),
    Stable("odds", lambda x: gc.log(gc.sigmoid(x) / (1 - gc.sigmoid(x))), "x", lambda x: x),
    Stable("log_of_inverse_sigmoid", lambda x: gc.log(1 / gc.sigmoid(x)), "softplus(-x)",
           lambda x: np.logaddexp(0, -x)),
    Stable("difference_of_softplus",
           lambda x: gc.log(gc.sigmoid(x)) - gc.log(1 - gc.sigmoid(x)), "x", lambda x: x),
    Stable("log_of_softplus", lambda x: gc.log(-gc.log(1 - gc.sigmoid(x))), "log_softplus(x)",
           log_softplus),
    Stable("log_of_cosh", lambda x: gc.log(gc.cosh(x)), "log_cosh(x)", log_cosh),
    Stable("log_of_sinh", lambda x: gc.log(gc.sinh(x)), "(x - log(2)) + log1mexp(x * -2.0)",
           lambda x: x - LOG_2 + log1mexp(-2 * x), (POSITIVE,)),
    Stable("tanh_of_quotient", lambda x: gc.sinh(x) / gc.cosh(x), "tanh(x)", np.tanh),
    Stable("tanh_of_exponentials",
           lambda x: (gc.exp(x) - gc.exp(-x)) / (gc.exp(x) + gc.exp(-x)), "tanh(x)", np.tanh),
    Stable("tanh_of_half", lambda x: (gc.exp(2 * x) - 1) / (gc.exp(2 * x) + 1), "tanh(x)",
           np.tanh),
    Stable("tanh_of_half", lambda x: (1 - gc.exp(-x)) / (1 + gc.exp(-x)), "-tanh(x * -0.5)",
           lambda x: np.tanh(x / 2)),
    Stable("log_of_tanh_slope", lambda x: gc.log(1 - gc.tanh(x) ** 2), "log_cosh(x) * -2.0",
           lambda x: -2 * log_cosh(x)),
    Stable("log1p_tanh", lambda x: gc.log(1 + gc.tanh(x)), "where", log1p_tanh),
    Stable("log1p_minus_tanh", lambda x: gc.log(1 - gc.tanh(x)), "where",
           lambda x: log1p_tanh(-x)),
    Stable("log_of_ndtr", lambda x: gc.log(gc.ndtr(x)), "log_ndtr(x)", special.log_ndtr),
    Stable("log_of_erfc", lambda x: gc.log(gc.erfc(x)), "log_ndtr(x * -sqrt(2)) + log(2)",
           lambda x: special.log_ndtr(-np.sqrt(2) * x) + LOG_2, (X[np.abs(X) > 0.1],)),
    Stable("log_of_lower_tail", lambda x: gc.log(0.5 * (1 + gc.erf(x))), "log_ndtr(x * sqrt(2))",
           lambda x: special.log_ndtr(np.sqrt(2) * x)),
    Stable("log_of_upper_tail", lambda x: gc.log((1 - gc.erf(x)) / 2), "log_ndtr(x * -sqrt(2))",
           lambda x: special.log_ndtr(-np.sqrt(2) * x)),
    Stable("log_of_square", lambda x: gc.log(x**2), "log(abs(x)) * 2.0",
           lambda x: 2 * np.log(np.abs(x)), (X * 1e30,)),
    Stable("log_of_sqrt", lambda x: gc.log(gc.sqrt(gc.exp(x))), "x * 0.5", lambda x: x / 2),
    Stable("log_of_power", lambda x: gc.log(x**-50), "log(abs(x)) * -50.0",
           lambda x: -50 * np.log(np.abs(x))),
    Stable("log_of_power", lambda x: gc.log(x**31), "log(x) * 31.0", lambda x: 31 * np.log(x),
           (POSITIVE,)),
    Stable("one_minus_cos", lambda x: 1 - gc.cos(x), "square(sin(x * 0.5)) * 2.0",
           lambda x: 2 * np.sin(x / 2) ** 2),
    Stable("cos_minus_one", lambda x: gc.cos(x) - 1, "square(sin(x * 0.5)) * -2.0",
           lambda x: -2 * np.sin(x / 2) ** 2),
]  # fmt: skip


def numbers(text: str, dtype: str) -> str:
    """The text with its words for numbers as the dtype prints them."""
    shown = np.dtype(dtype).type
    for word in ("-log(2)", "log(2)", "log(3)", "-sqrt(2)", "sqrt(2)"):
        value = eval(word, {"log": np.log, "sqrt": np.sqrt})  # our own text
        text = text.replace(word, str(shown(value)))
    return text.replace("DTYPE", dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_written_naively_computed_stably(case: Stable, dtype: str) -> None:
    found = rewritten(PREPARATION, case.build, *(f"{dtype}[n]",) * len(case.arrays))
    if case.after != "where":
        assert found.after == numbers(case.after, dtype)
    assert case.rule in found.log.rules()
    arrays = [array.astype(dtype).astype("float64") for array in case.arrays]
    with np.errstate(all="ignore"):
        _, value = found.values(arrays)
        expected = np.asarray(case.oracle(*arrays)).astype(dtype)
    tolerance = 4e-6 if dtype == "float32" else 1e-12
    smallest = float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(value, expected, rtol=tolerance, atol=smallest)


@pytest.mark.parametrize("case", [case for case in CASES if case.has_slopes], ids=str)
def test_slopes(case: Stable) -> None:
    scale = 1e30 if np.abs(case.arrays[0]).max() > 1e6 else 1.0
    inputs = [gc.placeholder(None, ("n",), "float64") for _ in case.arrays]
    y = case.build(*inputs)
    slopes = gc.function(inputs, gc.grad(gc.sum(y), inputs))(*case.arrays)
    for number, slope in enumerate(slopes):
        ends = []
        for step in (1e-5, -1e-5):
            moved = list(case.arrays)
            moved[number] = moved[number] + step * scale
            with np.errstate(all="ignore"):
                ends.append(case.oracle(*moved))
        expected = (ends[0] - ends[1]) / (2e-5 * scale)
        usual = np.abs(case.arrays[number]) > 1e-2 * scale
        usual &= np.isfinite(expected) & (np.abs(expected) < 1e8)
        np.testing.assert_allclose(slope[usual], expected[usual], rtol=1e-5, atol=1e-6)
        assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.arrays) == 1 and case.has_slopes], ids=str
)
def test_special_values_are_kept(case: Stable) -> None:
    """NaN and infinities are what they were; a NaN of inf / inf may become a number."""
    points = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -2.5])
    found = rewritten(PREPARATION, case.build, "float64[n]")
    with np.errstate(all="ignore"):
        before, after = found.values([points])
    assert np.isnan(after[0])
    known = ~np.isnan(before)
    np.testing.assert_allclose(after[known], before[known], rtol=1e-12, atol=1e-300)


def test_equal_infinities_and_numbers() -> None:
    x, y = gc.placeholder("x", ("n",), "float64"), gc.placeholder("y", ("n",), "float64")
    points = {
        x: [np.inf, -np.inf, 2.0, 1.0, np.inf, 3.0],
        y: [np.inf, -np.inf, 2.0, 2.0, 0, -np.inf],
    }
    found = gc.run(gc.log(gc.exp(x) - gc.exp(y)), points)
    np.testing.assert_array_equal(found, [np.nan, -np.inf, -np.inf, np.nan, np.inf, 3.0])


UNTOUCHED = [
    Case("log_of_quotient", lambda x, y: gc.log(gc.exp(x) / y), None),
    Case("log_of_quotient", lambda x: gc.log(gc.exp(x) / -2.0), None),
    Case("log_of_multiple", lambda x: gc.log(gc.exp(x) * -2.0), None),
    Case("log_of_multiple", lambda x: gc.log(x * 2.0), None),
    Case("log_of_totals", lambda x, y: gc.log(gc.sum(gc.exp(x)) + y), None),
    Case("log1p_of_exponentials", lambda x, y: gc.log1p(gc.exp(x) - gc.exp(y)), None),
    Case("log_of_difference", lambda x, y: gc.log(gc.exp(x) - y), None),
    Case("log_of_complement", lambda x: gc.log(gc.expm1(x)), None),
    Case("softmax_of_two", lambda x, y, z: gc.exp(z) / (gc.exp(x) + gc.exp(y)), None),
    Case("odds", lambda x, y: gc.sigmoid(x) / gc.sigmoid(y), None),
    Case("log_of_inverse_sigmoid", lambda x: gc.log(2 / gc.sigmoid(x)), None),
    Case("difference_of_softplus", lambda x, y: gc.softplus(x) - gc.softplus(y), None),
    Case("log_of_softplus", lambda x: gc.log2(gc.softplus(x)), None),
    Case("log_of_cosh", lambda x: gc.log2(gc.cosh(x)), None),
    Case("log_of_sinh", lambda x: gc.log2(gc.sinh(x)), None),
    Case("tanh_of_quotient", lambda x, y: gc.sinh(x) / gc.cosh(y), None),
    Case(
        "tanh_of_exponentials",
        lambda x, y: (gc.exp(x) - gc.exp(-x)) / (gc.exp(y) + gc.exp(-x)),
        None,
    ),
    Case("tanh_of_half", lambda x: gc.expm1(x) / (gc.exp(x) + 2), None),
    Case("log_of_tanh_slope", lambda x: 1 - gc.square(gc.tanh(x)), None),  # slopes of layers
    Case("log1p_tanh", lambda x: gc.log1p(gc.tan(x)), None),
    Case("log1p_minus_tanh", lambda x: gc.log1p(-gc.tan(x)), None),
    Case("log_of_ndtr", lambda x: gc.log2(gc.ndtr(x)), None),
    Case("log_of_erfc", lambda x: gc.log2(gc.erfc(x)), None),
    Case("log_of_lower_tail", lambda x: gc.log1p(gc.erf(x)), None),  # accurate near 0
    Case("log_of_upper_tail", lambda x: gc.log1p(-gc.erf(x)), None),
    Case("log_of_square", lambda x: gc.log2(gc.square(x)), None),
    Case("log_of_sqrt", lambda x: gc.sqrt(gc.log(x)), None),
    Case("log_of_power", lambda x: gc.log(x**2.5), None),
    Case("log_of_power", lambda x: gc.log(x**-3.0), None),  # -0.0
    Case("log_of_power", lambda x: gc.log(OPS["pow"](x, gc.constant(np.float32(0)))), None),
    Case("one_minus_cos", lambda x: 2 - gc.cos(x), None),
    Case("cos_minus_one", lambda x: gc.cos(x) + 1, None),
]


@pytest.mark.parametrize("case", UNTOUCHED, ids=str)
def test_does_not_fire(case: Case) -> None:
    check(PREPARATION, case)


def test_every_rule_has_a_case() -> None:
    names = {rule.name for rule in STABILIZE_LOGARITHMS}
    assert {case.rule for case in CASES} == names
    assert {case.rule for case in UNTOUCHED} == names
