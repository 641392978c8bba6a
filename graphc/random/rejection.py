"""Distributions by rejection, with a fixed number of proposals: gamma and beta.

A graph has no loops of unknown length, so each element gets a few proposals and takes the first
that is accepted. What is left over when none is, and how often that happens, stands with each.
"""

import math
from typing import Any

from graphc.dtypes import DType, float32
from graphc.ir.arguments import ShapeLike
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ops.comparison import where
from graphc.ops.creation import full
from graphc.ops.gradient_control import custom_gradient
from graphc.ops.power import sqrt
from graphc.ops.transcendental import exp, log, sigmoid
from graphc.random.continuous import standard_normal
from graphc.random.keys import Draws, Key, draws_of
from graphc.random.parameters import (
    POSITIVE,
    float_dtype,
    parameter,
    shape_of,
    shifted,
    working_dtype,
)
from graphc.random.uniforms import open_unit
from graphc.shapes import Shape
from graphc.surface import surface

__all__ = ["beta", "first_accepted", "gamma", "gamma_numbers", "loggamma", "positive_tensor"]

GAMMA_ROUNDS = 6


def first_accepted(proposals: Tensor, fallback: Tensor, rounds: int) -> Tensor:
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
    g = first_accepted(proposals, d, GAMMA_ROUNDS)
    boost = log(open_unit(draws, shape, dtype)) / where(small, a, 1)
    return g, where(small, boost, 0)


def gamma_numbers(draws: Draws, a: Tensor, logarithm: bool = False) -> Tensor:
    """Gamma numbers of a, float32 or float64, or their logarithms, which do not underflow.

    The gradient by a is that of the number at a fixed value of its distribution function (M.
    Figurnov, S. Mohamed, A. Mnih, "Implicit reparameterization gradients", 2018).
    """

    g, boost = _gamma_parts(draws, a)
    height = log(g) + boost
    value = where(a > 0, g * exp(boost), math.nan)
    height = where(a > 0, height, math.nan)

    def slope(a: Tensor) -> Tensor:
        return BUILDER.gammainc_slope(a, height_of(a))

    def height_of(a: Tensor) -> Tensor:
        held: Tensor = custom_gradient(lambda a: (height, lambda dy: dy * slope(a)))(a)
        return held

    def value_of(a: Tensor) -> Tensor:
        held: Tensor = custom_gradient(lambda a: (value, lambda dy: dy * value_of(a) * slope(a)))(a)
        return held

    return height_of(a) if logarithm else value_of(a)


def positive_tensor(name: str, what: str, value: Any, shape: Shape, dtype: DType) -> Tensor:
    """A parameter > 0 in the shape of the result."""
    given = parameter(name, what, value, shape, dtype, POSITIVE)
    return full(shape, given, dtype) if isinstance(given, float) else given


@surface
def gamma(
    key: Key, shape: ShapeLike | None = None, a: Any = 1.0, dtype: Any = float32, scale: Any = 1.0
) -> Tensor:
    """Gamma numbers of shape parameter a > 0 and mean a * scale.

    By Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), with 6
    proposals; none is accepted with a probability below 2e-8 (for a = 1, less for others), and the
    number is then a - 1/3. a < 1: the number of a + 1 times u^(1 / a). shape = None: that of
    a and scale.
    NaN where a is not positive. Gradients flow to scale, and to a implicitly: by how the number
    with the same value of the distribution function moves (Figurnov et al. 2018).
    """
    sizes, target = shape_of("gamma", shape, a, scale), float_dtype("gamma", dtype)
    given = positive_tensor("gamma", "a", a, sizes, working_dtype(target))
    return shifted("gamma", gamma_numbers(draws_of("gamma", key), given), 0.0, scale, target)


@surface
def loggamma(
    key: Key, shape: ShapeLike | None = None, a: Any = 1.0, dtype: Any = float32
) -> Tensor:
    """The logarithms of gamma numbers of shape parameter a > 0.

    For small a, whose gamma numbers underflow. Otherwise as `gamma`, gradient by a included.
    """
    sizes, target = shape_of("loggamma", shape, a), float_dtype("loggamma", dtype)
    given = positive_tensor("loggamma", "a", a, sizes, working_dtype(target))
    return gamma_numbers(draws_of("loggamma", key), given, logarithm=True).astype(target)


@surface
def beta(
    key: Key, shape: ShapeLike | None = None, a: Any = 1.0, b: Any = 1.0, dtype: Any = float32
) -> Tensor:
    """Beta numbers: X / (X + Y) for gamma numbers X of a and Y of b, from their logarithms.

    a, b > 0. shape = None: that of a and b together. Gradients flow to a and b as in `gamma`.
    """
    sizes, target = shape_of("beta", shape, a, b), float_dtype("beta", dtype)
    draws, logarithms = draws_of("beta", key), []
    for what, value in (("a", a), ("b", b)):
        given = positive_tensor("beta", what, value, sizes, working_dtype(target))
        logarithms.append(gamma_numbers(draws, given, logarithm=True))
    return sigmoid(logarithms[0] - logarithms[1]).astype(target)
