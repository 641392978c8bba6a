"""Distributions of vectors: the methods of scipy.stats that have a density."""

import math
from typing import Any

from graphc.dtypes import float32, is_half
from graphc.errors import ShapeError
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.linalg import cholesky, triangular_solve
from graphc.ops.definition import floating, promote_inputs

b = BUILDER


class _Distribution:
    _shown = ""

    def __repr__(self) -> str:
        return f"<graphc distribution {self._shown}>"


def _inputs(name: str, *values: Any) -> list[Tensor]:
    """The values as floats of one dtype, float32 for half precision."""
    wide = [floating(tensor) for tensor in promote_inputs(f"stats.{name}", *values)]
    return [tensor.astype(float32) if is_half(tensor.dtype) else tensor for tensor in wide]


def _rounded(value: Tensor, name: str, *values: Any) -> Tensor:
    """The value in the dtype of the arguments."""
    promoted = promote_inputs(f"stats.{name}", *values)[0].dtype
    return value.astype(promoted) if is_half(promoted) else value


def _vector(name: str, what: str, value: Tensor) -> Tensor:
    if value.ndim == 0:
        raise ShapeError(
            f"stats.{name}: {what} is a number, of shape ()",
            source=current_source(),
            fix=f"give {what} with an axis of components, (..., k)",
        )
    return value


def _log_factorial(x: Tensor) -> Tensor:
    return b.gammaln(x + 1)


def _squared_distance(x: Tensor, mean: Tensor, cov: Tensor) -> tuple[Tensor, Tensor, Any]:
    """(x - mean)^T cov^-1 (x - mean), log(det(cov)) and the number of components."""
    if mean.ndim == cov.ndim == 0:
        return b.square(x - mean) / cov, b.log(cov), 1
    if cov.ndim < 2:
        away = x - mean
        variances = b.broadcast_to(cov, away.shape[-1:])
        return (
            b.sum(b.square(away) / variances, axis=-1),
            b.sum(b.log(variances)),
            away.shape[-1],
        )
    factor, away = cholesky(cov), x - mean
    if cov.ndim == 2 and away.ndim == 2:
        scaled = triangular_solve(factor, b.swapaxes(away, -1, -2), lower=True)
        distance = b.sum(b.square(scaled), axis=0)
    else:
        column = b.expand_dims(away, -1)
        scaled = triangular_solve(factor, column, lower=True)
        distance = b.sum(b.square(scaled), axis=(-2, -1))
    logarithms = b.log(b.diagonal(factor, axis1=-2, axis2=-1))
    return distance, 2 * b.sum(logarithms, axis=-1), cov.shape[-1]


class _MultivariateNormal(_Distribution):
    """The normal distribution of vectors.

    x: (..., k). mean: (..., k), 0 by default. cov: the covariances (..., k, k), positive definite,
    or variances (k,), or one for all, 1 by default; LinearAlgebraError where there is no such
    distribution. Where mean and cov are numbers so are the vectors, and x is (...).
    """

    _shown = "multivariate_normal(mean, cov)"

    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1.0) -> Tensor:
        """The logarithm of the density at x, (...)."""
        values = (x, 0 if mean is None else mean, cov)
        distance, log_det, k = _squared_distance(*_inputs("multivariate_normal", *values))
        value = -0.5 * (distance + log_det + k * math.log(2 * math.pi))
        return _rounded(value, "multivariate_normal", *values)

    def pdf(self, x: Any, mean: Any = None, cov: Any = 1.0) -> Tensor:
        """The density at x."""
        return b.exp(self.logpdf(x, mean, cov))


class _MultivariateT(_Distribution):
    """Student's distribution of vectors, of df degrees of freedom.

    x: (..., k). loc: (..., k), 0 by default. shape: (..., k, k), positive definite, or numbers (k,)
    on a diagonal, or one, 1 by default; covariances are shape df / (df - 2). As for the normal
    one, x is (...) where loc and shape are numbers.
    """

    _shown = "multivariate_t(loc, shape, df)"

    def logpdf(self, x: Any, loc: Any = None, shape: Any = 1.0, df: Any = 1.0) -> Tensor:
        """The logarithm of the density at x, (...)."""
        values = (x, 0 if loc is None else loc, shape, df)
        place, mean, spread, freedom = _inputs("multivariate_t", *values)
        distance, log_det, k = _squared_distance(place, mean, spread)
        known = b.greater(freedom, 0)
        held = b.where(known, freedom, 1)
        half = 0.5 * (held + k)
        front = b.gammaln(half) - b.gammaln(0.5 * held) - 0.5 * (k * b.log(math.pi * held))
        value = front - 0.5 * log_det - half * b.log1p(distance / held)
        return _rounded(b.where(known, value, math.nan), "multivariate_t", *values)

    def pdf(self, x: Any, loc: Any = None, shape: Any = 1.0, df: Any = 1.0) -> Tensor:
        """The density at x."""
        return b.exp(self.logpdf(x, loc, shape, df))


class _Dirichlet(_Distribution):
    """The distribution of k shares of 1, gamma numbers of alpha over their sum.

    x: (k, ...), components first as scipy has it, or k - 1 of them. alpha: (k,), positive.
    """

    _shown = "dirichlet(alpha)"

    def logpdf(self, x: Any, alpha: Any) -> Tensor:
        """The logarithm of the density at x, (...). -inf where x are no shares, of the sum 1."""
        place, a = _inputs("dirichlet", x, alpha)
        place, a = _vector("dirichlet", "x", place), _vector("dirichlet", "alpha", a)
        if place.shape[0] == a.shape[0] - 1:
            place = b.concat([place, 1 - b.sum(place, axis=0, keepdims=True)], axis=0)
        tolerance = 1e-10 if place.dtype == "float64" else 1e-5
        shares = b.logical_and(
            b.all(b.greater_equal(place, 0), axis=0),
            b.less(b.abs(b.sum(place, axis=0) - 1), tolerance),
        )
        column = b.reshape(a, (-1, *(1,) * (place.ndim - 1)))
        value = b.sum(b.xlogy(column - 1, place), axis=0)
        value = value + b.gammaln(b.sum(a)) - b.sum(b.gammaln(a))
        value = b.where(b.logical_or(shares, b.any(b.isnan(place), axis=0)), value, -math.inf)
        value = b.where(b.all(b.greater(a, 0)), value, math.nan)
        return _rounded(value, "dirichlet", x, alpha)

    def pdf(self, x: Any, alpha: Any) -> Tensor:
        """The density at x."""
        return b.exp(self.logpdf(x, alpha))


def _counts_only(value: Tensor, x: Tensor, n: Tensor, known: Tensor) -> Tensor:
    """value where x are whole numbers >= 0 of the sum n, else -inf; NaN where nothing is known."""
    whole = b.logical_and(b.greater_equal(x, 0), b.equal(x, b.floor(x)))
    counts = b.logical_and(b.all(whole, axis=-1), b.equal(b.sum(x, axis=-1), n))
    value = b.where(counts, value, -math.inf)
    total = b.logical_and(b.greater_equal(n, 0), b.equal(n, b.floor(n)))
    known = b.logical_and(known, b.logical_and(total, b.logical_not(b.any(b.isnan(x), axis=-1))))
    return b.where(known, value, math.nan)


class _Multinomial(_Distribution):
    """How often each of k outcomes comes in n trials.

    x: (..., k), whole numbers of the sum n. n: (...). p: (..., k), probabilities of the sum 1.
    """

    _shown = "multinomial(n, p)"

    def logpmf(self, x: Any, n: Any, p: Any) -> Tensor:
        """The logarithm of the probability of x, (...). -inf where the sum of x is not n."""
        counts, trials, shares = _inputs("multinomial", x, n, p)
        counts = _vector("multinomial", "x", counts)
        shares = _vector("multinomial", "p", shares)
        terms = b.xlogy(counts, shares) - _log_factorial(counts)
        value = _log_factorial(trials) + b.sum(terms, axis=-1)
        tolerance = 1e-8 if shares.dtype == "float64" else 1e-4
        known = b.logical_and(
            b.all(b.greater_equal(shares, 0), axis=-1),
            b.less(b.abs(b.sum(shares, axis=-1) - 1), tolerance),
        )
        return _rounded(_counts_only(value, counts, trials, known), "multinomial", x, n, p)

    def pmf(self, x: Any, n: Any, p: Any) -> Tensor:
        """The probability of x."""
        return b.exp(self.logpmf(x, n, p))


class _DirichletMultinomial(_Distribution):
    """How often each of k outcomes comes in n trials, whose probabilities are Dirichlet's of alpha.

    x: (..., k), whole numbers of the sum n. alpha: (..., k), positive. n: (...).
    """

    _shown = "dirichlet_multinomial(alpha, n)"

    def logpmf(self, x: Any, alpha: Any, n: Any) -> Tensor:
        """The logarithm of the probability of x, (...). -inf where the sum of x is not n."""
        counts, a, trials = _inputs("dirichlet_multinomial", x, alpha, n)
        counts = _vector("dirichlet_multinomial", "x", counts)
        a = _vector("dirichlet_multinomial", "alpha", a)
        total = b.sum(a, axis=-1)
        front = b.gammaln(total) + _log_factorial(trials) - b.gammaln(trials + total)
        terms = b.gammaln(counts + a) - b.gammaln(a) - _log_factorial(counts)
        known = b.all(b.greater(a, 0), axis=-1)
        value = _counts_only(front + b.sum(terms, axis=-1), counts, trials, known)
        return _rounded(value, "dirichlet_multinomial", x, alpha, n)

    def pmf(self, x: Any, alpha: Any, n: Any) -> Tensor:
        """The probability of x."""
        return b.exp(self.logpmf(x, alpha, n))


multivariate_normal = _MultivariateNormal()
multivariate_t = _MultivariateT()
dirichlet = _Dirichlet()
multinomial = _Multinomial()
dirichlet_multinomial = _DirichletMultinomial()
