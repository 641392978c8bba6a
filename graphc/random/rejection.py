"""Distributions by rejection, with a fixed number of proposals: gamma, beta, Poisson.

A graph has no loops of unknown length, so each element gets a few proposals and takes the first
that is accepted. What is left over when none is, and how often that happens, stands with each.
"""

import math
from typing import Any, NoReturn

from graphc.dtypes import DType, as_dtype, float32, float64, int64, is_floating, is_integer, uint64
from graphc.errors import DTypeError, GradientError
from graphc.ir.arguments import ShapeLike
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.bitwise import bitwise_and, bitwise_right_shift
from graphc.ops.comparison import where
from graphc.ops.creation import full
from graphc.ops.elementwise import abs, floor, maximum
from graphc.ops.gradient_control import custom_gradient
from graphc.ops.power import sqrt
from graphc.ops.transcendental import exp, log, sigmoid
from graphc.random.continuous import standard_normal
from graphc.random.keys import Draws, Key, draws_of
from graphc.random.parameters import (
    NOT_NEGATIVE,
    POSITIVE,
    float_dtype,
    parameter,
    shape_of,
    shifted,
    working_dtype,
)
from graphc.random.uniforms import open_unit, unit
from graphc.shapes import Shape

__all__ = ["beta", "gamma", "poisson"]

GAMMA_ROUNDS = 6
POISSON_ROUNDS = 10
SMALL_RATE = 10.0
SMALL_COUNT = 40  # the largest number for smaller rates


def _without_gradient(name: str, what: str, value: Any, dtype: DType, shape: Shape) -> Tensor:
    """The parameter as a tensor, whose gradient is an error rather than a wrong number."""

    def refuse(*gradients: Any) -> NoReturn:
        raise GradientError(
            f"{name}: no gradient by {what}",
            code="E304",
            source=current_source(),
            fix=f"pass gc.stop_gradient({what}) if the numbers are to be constants",
        )

    given = parameter(name, what, value, shape, dtype, POSITIVE)
    if isinstance(given, float):
        return full(shape, given, dtype)
    guarded: Tensor = custom_gradient(lambda x: (x, refuse))(given)
    return guarded


def _first_accepted(proposals: Tensor, fallback: Tensor, rounds: int) -> Tensor:
    """Along the first axis the first number that is not negative; else the fallback."""
    result = fallback
    for number in reversed(range(rounds)):
        proposal = proposals[number]
        result = where(proposal >= 0, proposal, result)
    return result


# --- gamma ----------------------------------------------------------------------------------------


def _gamma_parts(draws: Draws, a: Tensor) -> tuple[Tensor, Tensor]:
    """g and t so that g exp(t) has the gamma distribution of a: g that of a or, where a < 1, of
    a + 1, and then t = log(u) / a."""
    shape, dtype = a.shape, a.dtype
    small = a < 1
    d = where(small, a + 1, a) - 1 / 3
    c = 1 / (sqrt(d) * 3)
    rounds = (GAMMA_ROUNDS, *shape)
    x = standard_normal(draws, rounds, dtype)
    root = 1 + c * x
    v = root * root * root
    positive = root > 0
    logarithm = log(where(positive, v, 1))
    accepted = log(open_unit(draws, rounds, dtype)) < x * x * 0.5 + d * (1 - v + logarithm)
    proposals = where(positive & accepted, d * v, -1)
    g = _first_accepted(proposals, d, GAMMA_ROUNDS)
    boost = log(open_unit(draws, shape, dtype)) / where(small, a, 1)
    return g, where(small, boost, 0)


def gamma(
    key: Key, shape: ShapeLike | None = None, a: Any = 1.0, dtype: Any = float32, scale: Any = 1.0
) -> Tensor:
    """Gamma numbers of shape parameter a > 0 and mean a * scale.

    By Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), with 6
    proposals; none is accepted with a probability below 2e-8 (for a = 1, less for others), and the
    number is then a - 1/3. a < 1: the number of a + 1 times u^(1 / a). shape = None: that of a.
    Gradients flow to scale; a gradient by a raises GradientError.
    """
    sizes, target = shape_of("gamma", shape, a), float_dtype("gamma", dtype)
    given = _without_gradient("gamma", "a", a, working_dtype(target), sizes)
    g, boost = _gamma_parts(draws_of("gamma", key), given)
    return shifted("gamma", g * exp(boost), 0.0, scale, target)


def beta(
    key: Key, shape: ShapeLike | None = None, a: Any = 1.0, b: Any = 1.0, dtype: Any = float32
) -> Tensor:
    """Beta numbers: X / (X + Y) for gamma numbers X of a and Y of b, from their logarithms.

    a, b > 0. shape = None: that of a and b together. A gradient by a or b raises GradientError.
    """
    sizes, target = shape_of("beta", shape, a, b), float_dtype("beta", dtype)
    draws, logarithms = draws_of("beta", key), []
    for what, value in (("a", a), ("b", b)):
        given = _without_gradient("beta", what, value, working_dtype(target), sizes)
        g, boost = _gamma_parts(draws, given)
        logarithms.append(log(g) + boost)
    return sigmoid(logarithms[0] - logarithms[1]).astype(target)


# --- poisson --------------------------------------------------------------------------------------


def _log_factorial(k: Tensor) -> Tensor:
    """log(k!) for k >= 0: Stirling's series at k + 8, less the logarithm of the product between.

    Its error is below 1e-12 of the value.
    """
    x = k + 1
    product = x
    for step in range(1, 7):
        product = product * (x + step)
    z = x + 7
    inverse = 1 / z
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680))))
    return (z - 0.5) * log(z) - z + (0.5 * math.log(2 * math.pi)) + series - log(product)


def _few(draws: Draws, rate: Tensor) -> Tensor:
    """By inversion: how many values of the distribution function a uniform number has reached."""
    left = unit(draws, rate.shape, float64)
    probability = exp(-rate)
    count = full(rate.shape, 0.0, float64)
    for number in range(1, SMALL_COUNT + 1):
        left = left - probability
        count = where(left >= 0, float(number), count)
        probability = probability * (rate * (1 / number))
    return count


def _many(draws: Draws, rate: Tensor) -> Tensor:
    """Transformed rejection: PTRS of Hörmann 1993, "The transformed rejection method for
    generating Poisson random variables"."""
    words = draws.bits((POISSON_ROUNDS, *rate.shape), uint64)
    u = bitwise_right_shift(words, 24).astype(float64) * 2.0**-40 - 0.5
    v = (bitwise_and(words, 0xFFFFFF).astype(float64) + 0.5) * 2.0**-24
    root = sqrt(rate)
    b = root * 2.53 + 0.931
    a = b * 0.02483 - 0.059
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    limit = 0.9277 - 3.6224 / (b - 2)
    us = maximum(0.5 - abs(u), 2.0**-41)
    k = floor((a * 2 / us + b) * u + rate + 0.43)
    held = maximum(k, 0)
    quick = (us >= 0.07) & (v <= limit)
    possible = (k >= 0) & ((us >= 0.013) | (v <= us))
    ratio = log(v * inverse_alpha / (a / (us * us) + b))
    slow = ratio <= held * log(rate) - rate - _log_factorial(held)
    proposals = where(quick | (possible & slow), k, -1)
    return _first_accepted(proposals, floor(rate), POISSON_ROUNDS)


def poisson(
    key: Key, shape: ShapeLike | None = None, rate: Any = 1.0, dtype: Any = int64
) -> Tensor:
    """Poisson numbers of mean rate.

    rate: from 0 to 1e9; shape = None: that of rate. Computed in float64. Below 10 by inversion,
    with numbers up to 40 (a larger one has a probability below 1e-12); from 10 on by Hörmann's
    transformed rejection with 10 proposals, of which none is accepted with a probability below
    1e-6; the number is then the floor of rate. NaN gives 0. No gradient flows to rate.
    """
    target = as_dtype(dtype)
    if not (is_integer(target) or is_floating(target)):
        raise DTypeError(f"poisson: not for {target.name}", code="E214", source=current_source())
    sizes, draws = shape_of("poisson", shape, rate), draws_of("poisson", key)
    given = parameter("poisson", "rate", rate, sizes, float64, NOT_NEGATIVE)
    if isinstance(given, float):
        method = _few if given < SMALL_RATE else _many
        return method(draws, full(sizes, given, float64)).astype(target)
    small = given < SMALL_RATE
    few = _few(draws, where(small, given, 1))
    many = _many(draws, where(given >= SMALL_RATE, given, SMALL_RATE))
    return where(small, few, where(given >= SMALL_RATE, many, 0)).astype(target)
