"""Numbers of events: Poisson, binomial, geometric, negative binomial, multinomial.

Computed in float64: by inversion where few events are expected, else by transformed rejection with
a fixed number of proposals. No gradient flows to parameters.
"""

import math
from typing import Any

import numpy as np

from graphc.dtypes import DType, as_dtype, float64, int64, is_floating, is_integer, uint64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.arguments import ShapeLike
from graphc.ir.leaf import as_tensor
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.bitwise import bitwise_and, bitwise_right_shift
from graphc.ops.comparison import logical_and, where
from graphc.ops.control import scan
from graphc.ops.creation import full
from graphc.ops.elementwise import abs, ceil, floor, maximum, minimum
from graphc.ops.gradient_control import stop_gradient
from graphc.ops.movement import moveaxis
from graphc.ops.power import sqrt
from graphc.ops.reduce import sum
from graphc.ops.transcendental import exp, log, log1p
from graphc.random.keys import Draws, Key, draws_of, fold_in, sizes_of
from graphc.random.parameters import (
    NOT_NEGATIVE,
    PROBABILITY,
    Allowed,
    check_range,
    parameter,
    shape_of,
    spread,
)
from graphc.random.rejection import first_accepted, gamma_numbers, positive_tensor
from graphc.random.uniforms import bernoulli, open_unit, unit
from graphc.shapes import Shape
from graphc.surface import surface

__all__ = ["binomial", "geometric", "multinomial", "negative_binomial", "poisson"]

ROUNDS = 10
SMALL_MEAN = 10.0
SMALL_COUNT = 40  # the largest number for smaller means
WHOLE = Allowed(lambda x: (x >= 0) & (x == x // 1), "whole numbers >= 0")
CHANCE = Allowed(lambda x: (x > 0) & (x <= 1), "probabilities > 0, up to 1")


def _count_dtype(name: str, dtype: Any) -> DType:
    target = as_dtype(dtype)
    if not (is_integer(target) or is_floating(target)):
        raise DTypeError(
            f"{name}: not for {target.name}",
            code="E214",
            details=[f"got {target.name}, allowed: integer and floating-point dtypes"],
            source=current_source(),
            fix='use dtype="int64"',
        )
    return target


def _double(name: str, what: str, value: Any, shape: Shape, allowed: Allowed) -> Tensor:
    """A parameter in the shape of the result, without gradient."""
    given = parameter(name, what, value, shape, float64, allowed)
    return full(shape, given, float64) if isinstance(given, float) else stop_gradient(given)


def _proposals(draws: Draws, shape: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """u in (-1/2, 1/2) and v in (0, 1), ROUNDS of each, and 1/2 - |u|."""
    words = draws.bits((ROUNDS, *shape), uint64)
    u = bitwise_right_shift(words, 24).astype(float64) * 2.0**-40 - 0.5
    v = (bitwise_and(words, 0xFFFFFF).astype(float64) + 0.5) * 2.0**-24
    return u, v, maximum(0.5 - abs(u), 2.0**-41)


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
    u, v, us = _proposals(draws, rate.shape)
    root = sqrt(rate)
    b = root * 2.53 + 0.931
    a = b * 0.02483 - 0.059
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    limit = 0.9277 - 3.6224 / (b - 2)
    k = floor((a * 2 / us + b) * u + rate + 0.43)
    held = maximum(k, 0)
    quick = (us >= 0.07) & (v <= limit)
    possible = (k >= 0) & ((us >= 0.013) | (v <= us))
    ratio = log(v * inverse_alpha / (a / (us * us) + b))
    slow = ratio <= held * log(rate) - rate - _log_factorial(held)
    proposals = where(quick | (possible & slow), k, -1)
    return first_accepted(proposals, floor(rate), ROUNDS)


@surface
def poisson(
    key: Key, shape: ShapeLike | None = None, rate: Any = 1.0, dtype: Any = int64
) -> Tensor:
    """Poisson numbers of mean rate.

    rate: from 0 to 1e9; shape = None: that of rate. Computed in float64. Below 10 by inversion,
    with numbers up to 40 (a larger one has a probability below 1e-12); from 10 on by Hörmann's
    transformed rejection with 10 proposals, of which none is accepted with a probability below
    1e-6; the number is then the floor of rate. NaN and rates below 0 give 0.
    """
    target = _count_dtype("poisson", dtype)
    sizes, draws = shape_of("poisson", shape, rate), draws_of("poisson", key)
    given = parameter("poisson", "rate", rate, sizes, float64, NOT_NEGATIVE)
    if isinstance(given, float):
        method = _few if given < SMALL_MEAN else _many
        return method(draws, full(sizes, given, float64)).astype(target)
    small = given < SMALL_MEAN
    few = _few(draws, where(small, given, 1))
    many = _many(draws, where(given >= SMALL_MEAN, given, SMALL_MEAN))
    possible = logical_and(small, given >= 0)
    return where(possible, few, where(given >= SMALL_MEAN, many, 0)).astype(target)


# --- binomial -------------------------------------------------------------------------------------


def _few_of(draws: Draws, n: Tensor, p: Tensor) -> Tensor:
    """By inversion, for n p < 10."""
    left = unit(draws, n.shape, float64)
    odds = p / (1 - p)
    probability = exp(n * log1p(-p))
    count = full(n.shape, 0.0, float64)
    for number in range(1, SMALL_COUNT + 1):
        left = left - probability
        count = where(left >= 0, float(number), count)
        probability = probability * (odds * (n - (number - 1)) * (1 / number))
    return minimum(count, n)


def _many_of(draws: Draws, n: Tensor, p: Tensor) -> Tensor:
    """Transformed rejection: BTRS of Hörmann 1993, "The generation of binomial random variates",
    for p <= 1/2 and n p >= 10."""
    u, v, us = _proposals(draws, n.shape)
    mean = n * p
    width = sqrt(mean * (1 - p))
    b = width * 2.53 + 1.15
    a = b * 0.0248 + p * 0.01 - 0.0873
    alpha = (2.83 + 5.1 / b) * width
    k = floor((a * 2 / us + b) * u + mean + 0.5)
    quick = (us >= 0.07) & (v <= 0.92 - 4.2 / b)
    possible = (k >= 0) & (k <= n)
    held = minimum(maximum(k, 0), n)
    mode = floor((n + 1) * p)
    ratio = log(v * alpha / (a / (us * us) + b))
    height = _log_factorial(mode) + _log_factorial(n - mode) + (held - mode) * log(p / (1 - p))
    slow = ratio <= height - _log_factorial(held) - _log_factorial(n - held)
    return first_accepted(where(possible & (quick | slow), k, -1), floor(mean), ROUNDS)


def _binomial(draws: Draws, n: Tensor, p: Tensor) -> Tensor:
    """float64 of one shape; of the rarer outcome, and from that of the other."""
    possible = logical_and(logical_and(n >= 0, p >= 0), p <= 1)
    n, p = floor(where(possible, n, 0)), where(possible, p, 0)
    rare = minimum(p, 1 - p)
    small = n * rare < SMALL_MEAN
    few = _few_of(draws, where(small, n, 0), rare)
    many = _many_of(draws, where(small, 4 * SMALL_MEAN, n), where(small, 0.5, rare))
    count = where(small, few, many)
    return where(p > 0.5, n - count, count)


@surface
def binomial(
    key: Key, shape: ShapeLike | None = None, n: Any = 1, p: Any = 0.5, dtype: Any = int64
) -> Tensor:
    """How many of n trials succeed, if each does with probability p.

    n: whole numbers from 0 to 1e9; p: from 0 to 1; shape = None: that of both together. Up to a
    mean of 10 by inversion, beyond by Hörmann's transformed rejection with 10 proposals, of which
    none is accepted with a probability below 1e-6; the number is then the floor of n p. Parameters
    outside of their range give 0. n = 1 is `bernoulli` in another dtype.
    """
    target, sizes = _count_dtype("binomial", dtype), shape_of("binomial", shape, n, p)
    if isinstance(n, int | np.integer) and n == 1:
        return bernoulli(key, sizes, p).astype(target)
    trials = _double("binomial", "n", n, sizes, WHOLE)
    chance = _double("binomial", "p", p, sizes, PROBABILITY)
    return _binomial(draws_of("binomial", key), trials, chance).astype(target)


# --- geometric, negative binomial -----------------------------------------------------------------


@surface
def geometric(key: Key, shape: ShapeLike | None = None, p: Any = 0.5, dtype: Any = int64) -> Tensor:
    """How many trials until the first success, from 1 on: ceil(log(u) / log(1 - p)).

    p: above 0, up to 1; shape = None: that of p. Other p give 1.
    """
    target, sizes = _count_dtype("geometric", dtype), shape_of("geometric", shape, p)
    chance = _double("geometric", "p", p, sizes, CHANCE)
    held = where(logical_and(chance > 0, chance <= 1), chance, 1)
    count = ceil(log(open_unit(draws_of("geometric", key), sizes, float64)) / log1p(-held))
    return maximum(count, 1).astype(target)


@surface
def negative_binomial(
    key: Key, shape: ShapeLike | None = None, n: Any = 1, p: Any = 0.5, dtype: Any = int64
) -> Tensor:
    """How many trials fail before the n-th success: Poisson numbers of a gamma number of n times
    (1 - p) / p.

    n: above 0, not only whole numbers; p: above 0, up to 1; shape = None: that of both together.
    """
    name = "negative_binomial"
    target, sizes, draws = (
        _count_dtype(name, dtype),
        shape_of(name, shape, n, p),
        draws_of(name, key),
    )
    trials = stop_gradient(positive_tensor(name, "n", n, sizes, float64))
    chance = _double(name, "p", p, sizes, CHANCE)
    rate = gamma_numbers(draws, trials) * ((1 - chance) / chance)
    return poisson(draws, sizes, rate, target)


# --- multinomial ----------------------------------------------------------------------------------


@surface
def multinomial(
    key: Key, n: Any, p: Any, shape: ShapeLike | None = None, dtype: Any = int64
) -> Tensor:
    """How often each of several outcomes comes up in n trials; the last axis sums to n.

    p: their probabilities along the last axis, up to a factor. n: whole numbers that broadcast to
    the shape. shape: that of the result without the last axis; by default that of p without it.
    By binomial numbers of what the outcomes before have left, one outcome after the other.
    """
    name = "multinomial"
    target = _count_dtype(name, dtype)
    weights = as_tensor(p)
    check_range(name, "p", weights, NOT_NEGATIVE)
    weights = stop_gradient(weights.astype(float64))
    if weights.ndim == 0:
        raise ShapeError(
            f"{name}: p has no axis of outcomes",
            details=[f"got p: {weights.type}"],
            source=current_source(),
            fix="p has the probabilities of the outcomes along its last axis",
        )
    sizes = weights.shape[:-1] if shape is None else sizes_of(name, shape)
    trials = _double(name, "n", n, sizes, WHOLE)
    shares = moveaxis(spread(name, "p", weights, (*sizes, weights.shape[-1])), -1, 0)
    total = sum(shares, axis=0)
    seed = draws_of(name, key).bits((), uint64)

    def step(carry: Any, share: Tensor) -> Any:
        trials, total, number = carry
        chance = where(
            total > share, share / where(total > 0, total, 1), where(share > 0, 1.0, 0.0)
        )
        count = _binomial(Draws(fold_in(seed, number)), trials, chance)
        return (trials - count, maximum(total - share, 0), number + 1), count

    start = (trials, total, as_tensor(0, int64))
    _, counts = scan(step, start, shares)
    return moveaxis(counts, 0, -1).astype(target)
