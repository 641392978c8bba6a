"""Distributions that follow from others: powers and logarithms of exponential numbers, quotients of
normal and gamma numbers. Gradients flow to all parameters."""

from typing import Any

from graphc.dtypes import DType, float32, uint32
from graphc.errors import ParameterError, ShapeError
from graphc.ir.arguments import ShapeLike
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.comparison import where
from graphc.ops.power import sqrt, square
from graphc.ops.transcendental import exp, log
from graphc.random.continuous import standard_gumbel, standard_normal
from graphc.random.keys import Draws, Key, draws_of, sizes_of
from graphc.random.parameters import (
    POSITIVE,
    check_range,
    fixed,
    float_dtype,
    parameter,
    shape_of,
    shifted,
    spread,
    working_dtype,
)
from graphc.random.rejection import gamma_numbers, positive_tensor
from graphc.random.uniforms import open_unit
from graphc.shapes import Shape
from graphc.surface import surface

__all__ = [
    "chisquare",
    "dirichlet",
    "double_sided_maxwell",
    "f",
    "generalized_normal",
    "lognormal",
    "maxwell",
    "multivariate_normal",
    "pareto",
    "rayleigh",
    "student_t",
    "triangular",
    "two_sided_power",
    "wald",
    "weibull",
]


@surface
def lognormal(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, loc: Any = 0.0, scale: Any = 1.0
) -> Tensor:
    """Numbers whose logarithms are normal, of mean loc and standard deviation scale."""
    target, sizes = float_dtype("lognormal", dtype), shape_of("lognormal", shape, loc, scale)
    work = working_dtype(target)
    noise = standard_normal(draws_of("lognormal", key), sizes, work)
    return exp(shifted("lognormal", noise, loc, scale, work)).astype(target)


@surface
def rayleigh(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, scale: Any = 1.0
) -> Tensor:
    """Lengths of pairs of normal numbers of standard deviation scale: scale sqrt(-2 log(u))."""
    target, sizes = float_dtype("rayleigh", dtype), shape_of("rayleigh", shape, scale)
    u = open_unit(draws_of("rayleigh", key), sizes, working_dtype(target))
    return shifted("rayleigh", sqrt(log(u) * -2.0), 0.0, scale, target)


@surface
def maxwell(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, loc: Any = 0.0, scale: Any = 1.0
) -> Tensor:
    """Maxwell's speeds: loc + scale times the length of three normal numbers."""
    target, sizes = float_dtype("maxwell", dtype), shape_of("maxwell", shape, loc, scale)
    noise = _speeds(draws_of("maxwell", key), sizes, working_dtype(target))
    return shifted("maxwell", noise, loc, scale, target)


@surface
def double_sided_maxwell(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, loc: Any = 0.0, scale: Any = 1.0
) -> Tensor:
    """Maxwell's speeds of either sign: loc + scale s m, s = -1 or 1."""
    name = "double_sided_maxwell"
    target, sizes = float_dtype(name, dtype), shape_of(name, shape, loc, scale)
    draws = draws_of(name, key)
    noise = _with_signs(draws, _speeds(draws, sizes, working_dtype(target)))
    return shifted(name, noise, loc, scale, target)


def _speeds(draws: Draws, shape: Shape, dtype: DType) -> Tensor:
    """sqrt(z^2 - 2 log(u)): the squares of two normal numbers are an exponential one"""
    z = standard_normal(draws, shape, dtype)
    return sqrt(square(z) - log(open_unit(draws, shape, dtype)) * 2)


def _with_signs(draws: Draws, x: Tensor) -> Tensor:
    """x or -x"""
    return where(draws.bits(x.shape, uint32) >= 1 << 31, -x, x)


@surface
def wald(
    key: Key,
    shape: ShapeLike | None = None,
    mean: Any = 1.0,
    dtype: Any = float32,
    scale: Any = 1.0,
) -> Tensor:
    """Wald's or inverse Gaussian numbers: when a motion of drift 1 / mean first reaches 1.

    mean, scale > 0; the variance is mean^3 / scale. shape = None: that of mean and scale. By J.
    Michael, W. Schucany and R. Haas 1976; gradients hold the choice of one of two roots fixed.
    """
    target, sizes = float_dtype("wald", dtype), shape_of("wald", shape, mean, scale)
    work, draws = working_dtype(target), draws_of("wald", key)
    centre = parameter("wald", "mean", mean, sizes, work, POSITIVE)
    force = parameter("wald", "scale", scale, sizes, work, POSITIVE)
    w = square(standard_normal(draws, sizes, work)) * (centre / force)
    larger = 1 + w * 0.5 + sqrt(w + square(w) * 0.25)  # times mean; the other root is its inverse
    is_other = open_unit(draws, sizes, work) * (1 + larger) < larger
    return (where(is_other, 1 / larger, larger) * centre).astype(target)


@surface
def triangular(
    key: Key,
    shape: ShapeLike | None = None,
    left: Any = 0.0,
    mode: Any = 0.5,
    right: Any = 1.0,
    dtype: Any = float32,
) -> Tensor:
    """Numbers from left to right whose density rises to the mode in a line, and falls in a line.

    left <= mode <= right, left < right; shape = None: that of the three. By inversion. Raises
    ParameterError where they are known and not in this order.
    """
    name = "triangular"
    target, sizes = float_dtype(name, dtype), shape_of(name, shape, left, mode, right)
    known = [fixed(value) for value in (left, mode, right)]
    if all(value is not None for value in known):
        ordered = (known[0] <= known[1]) & (known[1] <= known[2]) & (known[0] < known[2])
        if not as_tensor(ordered).node.attrs["value"].all():
            raise ParameterError(
                f"{name}: left, mode and right are not in order",
                details=[f"left {left}    mode {mode}    right {right}"],
                source=current_source(),
                fix="left <= mode <= right, and left < right",
            )
    work = working_dtype(target)
    low, top, high = (
        parameter(name, what, value, sizes, work)
        for what, value in (("left", left), ("mode", mode), ("right", right))
    )
    u = open_unit(draws_of(name, key), sizes, work)
    width = high - low
    rises = u * width < top - low
    area = where(rises, u * (top - low), (1 - u) * (high - top)) * width
    flat = area <= 0
    step = where(flat, 0, sqrt(where(flat, 1, area)))
    return where(rises, low + step, high - step).astype(target)


@surface
def weibull(
    key: Key, shape: ShapeLike | None = None, a: Any = 1.0, dtype: Any = float32, scale: Any = 1.0
) -> Tensor:
    """Weibull numbers of shape parameter a > 0: scale (-log(u))^(1 / a).

    shape = None: that of a and scale.
    """
    target, sizes = float_dtype("weibull", dtype), shape_of("weibull", shape, a, scale)
    work = working_dtype(target)
    power = parameter("weibull", "a", a, sizes, work, POSITIVE)
    height = -standard_gumbel(draws_of("weibull", key), sizes, work)
    return shifted("weibull", exp(height / power), 0.0, scale, target)


@surface
def pareto(
    key: Key, shape: ShapeLike | None = None, a: Any = 1.0, dtype: Any = float32, scale: Any = 1.0
) -> Tensor:
    """Pareto numbers, from scale on, with the density a scale^a / x^(a + 1): scale u^(-1 / a).

    a > 0; shape = None: that of a and scale. numpy's function of this name gives x / scale - 1.
    """
    target, sizes = float_dtype("pareto", dtype), shape_of("pareto", shape, a, scale)
    work = working_dtype(target)
    power = parameter("pareto", "a", a, sizes, work, POSITIVE)
    noise = exp(-log(open_unit(draws_of("pareto", key), sizes, work)) / power)
    return shifted("pareto", noise, 0.0, scale, target)


@surface
def chisquare(
    key: Key, shape: ShapeLike | None = None, df: Any = 1.0, dtype: Any = float32
) -> Tensor:
    """Chi-square numbers of df > 0 degrees of freedom: twice the gamma numbers of df / 2.

    shape = None: that of df.
    """
    target, sizes = float_dtype("chisquare", dtype), shape_of("chisquare", shape, df)
    freedom = positive_tensor("chisquare", "df", df, sizes, working_dtype(target))
    return (gamma_numbers(draws_of("chisquare", key), freedom * 0.5) * 2).astype(target)


@surface
def f(
    key: Key,
    shape: ShapeLike | None = None,
    dfnum: Any = 1.0,
    dfden: Any = 1.0,
    dtype: Any = float32,
) -> Tensor:
    """Fisher's F: chi-square numbers of dfnum > 0 degrees of freedom over dfnum, divided by those
    of dfden > 0 over dfden.

    shape = None: that of both.
    """
    target, sizes = float_dtype("f", dtype), shape_of("f", shape, dfnum, dfden)
    work, draws = working_dtype(target), draws_of("f", key)
    top = positive_tensor("f", "dfnum", dfnum, sizes, work)
    bottom = positive_tensor("f", "dfden", dfden, sizes, work)
    first = gamma_numbers(draws, top * 0.5, logarithm=True)
    second = gamma_numbers(draws, bottom * 0.5, logarithm=True)
    return (exp(first - second) * (bottom / top)).astype(target)


@surface
def generalized_normal(
    key: Key, shape: ShapeLike | None = None, p: Any = 2.0, dtype: Any = float32
) -> Tensor:
    """Numbers with a density proportional to exp(-|x|^p), p > 0: Laplace's for 1, normal ones of
    variance 1/2 for 2. shape = None: that of p."""
    name = "generalized_normal"
    target, sizes = float_dtype(name, dtype), shape_of(name, shape, p)
    power = positive_tensor(name, "p", p, sizes, working_dtype(target))
    return two_sided_power(draws_of(name, key), power).astype(target)


def two_sided_power(draws: Draws, power: Tensor) -> Tensor:
    """Numbers with the density exp(-|x|^p): their powers are gamma numbers of 1 / p."""
    inverse = 1 / power
    height = gamma_numbers(draws, inverse, logarithm=True) * inverse
    return _with_signs(draws, exp(height))


@surface
def student_t(
    key: Key,
    shape: ShapeLike | None = None,
    df: Any = 1.0,
    dtype: Any = float32,
    loc: Any = 0.0,
    scale: Any = 1.0,
) -> Tensor:
    """Student's t of df > 0 degrees of freedom: loc + scale z / sqrt(chi-square / df).

    shape = None: that of all parameters together.
    """
    target, sizes = float_dtype("student_t", dtype), shape_of("student_t", shape, df, loc, scale)
    work, draws = working_dtype(target), draws_of("student_t", key)
    half = positive_tensor("student_t", "df", df, sizes, work) * 0.5
    z = standard_normal(draws, sizes, work)
    height = (log(half) - gamma_numbers(draws, half, logarithm=True)) * 0.5
    return shifted("student_t", z * exp(height), loc, scale, target)


@surface
def dirichlet(key: Key, alpha: Any, shape: ShapeLike | None = None, dtype: Any = float32) -> Tensor:
    """Probabilities with the density prod(x^(alpha - 1)); the last axis sums to 1.

    alpha: numbers > 0, along the last axis. shape: that of the result without the last axis; by
    default that of alpha without it. By the softmax of logarithms of gamma numbers, which are
    right for small alpha too.
    """
    target = float_dtype("dirichlet", dtype)
    work = working_dtype(target)
    given = as_tensor(alpha)
    check_range("dirichlet", "alpha", given, POSITIVE)
    given = given.astype(work)
    if given.ndim == 0:
        raise ShapeError(
            "dirichlet: alpha has no axis",
            details=[f"got alpha: {given.type}"],
            source=current_source(),
            fix="alpha has one number for each component along its last axis",
        )
    sizes = given.shape[:-1] if shape is None else sizes_of("dirichlet", shape)
    parameters = spread("dirichlet", "alpha", given, (*sizes, given.shape[-1]))
    logarithms = gamma_numbers(draws_of("dirichlet", key), parameters, logarithm=True)
    return BUILDER.softmax(logarithms, axis=-1).astype(target)


@surface
def multivariate_normal(
    key: Key, mean: Any, cov: Any, shape: ShapeLike | None = None, dtype: Any = float32
) -> Tensor:
    """Vectors of normal numbers with a mean and a covariance matrix: mean + L z, cov = L L^T.

    mean: [..., k]. cov: [..., k, k], symmetric and positive definite. shape: that of the result
    without the last axis; by default that of mean and cov together. Gradients flow to mean and cov.
    Raises ShapeError where the shapes do not fit, and LinearAlgebraError, at the call, where cov
    is not positive definite.
    """
    name = "multivariate_normal"
    target = float_dtype(name, dtype)
    work = working_dtype(target)
    centre, matrix = as_tensor(mean).astype(work), as_tensor(cov).astype(work)
    size = centre.shape[-1] if centre.ndim else None
    wrong = matrix.ndim < 2 or size is None
    pairs = [(matrix.shape[-1], matrix.shape[-2]), (matrix.shape[-1], size)] if not wrong else []
    if wrong or any(
        isinstance(one, int) and isinstance(other, int) and one != other for one, other in pairs
    ):
        raise ShapeError(
            f"{name}: mean and cov do not fit together",
            details=[f"got mean: {centre.type}    cov: {matrix.type}"],
            source=current_source(),
            fix="mean is [..., k], and cov [..., k, k]",
        )
    batch = shape_of(name, shape, centre[..., 0], matrix[..., 0, 0])
    z = standard_normal(draws_of(name, key), (*batch, matrix.shape[-1]), work)
    if matrix.ndim == 2:
        noise = z @ BUILDER.matrix_transpose(BUILDER.cholesky(matrix))
    else:
        noise = (BUILDER.cholesky(matrix) @ BUILDER.expand_dims(z, -1))[..., 0]
    return (spread(name, "mean", centre, noise.shape) + noise).astype(target)
