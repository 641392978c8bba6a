"""Densities and distribution functions, as `gc.stats.norm.logpdf`: the names of scipy.stats.

Each distribution has methods of a place x, its shape parameters, then loc and scale, by position or
by name: `gc.stats.gamma.logpdf(x, a, scale=2.0)`. All of them broadcast and have gradients; floats,
and integers become float32. Outside of the support a density is 0 and its logarithm -inf. All are
NaN where x is, and where a parameter is outside of its domain: scale=0, a probability of 2. To draw
numbers, see `gc.random`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from graphc.errors import FunctionError
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import floating, promote_inputs

Formula = Callable[..., Tensor]
b = BUILDER

__all__ = [
    "bernoulli",
    "beta",
    "binom",
    "cauchy",
    "chi2",
    "expon",
    "gamma",
    "geom",
    "gumbel_r",
    "laplace",
    "logistic",
    "lognorm",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "t",
    "uniform",
]


def __dir__() -> list[str]:
    return __all__


class Distribution:
    """A family of distributions. shapes: the names of its parameters.

    log_density and cdf are functions of a standard place inside of the support, and the shapes.
    low, high: where the support ends, before loc and scale; inside: a place in it. domain: whether
    shapes are those of a distribution; all are positive without it.
    """

    _last: tuple[str, ...] = ("loc", "scale")

    def __init__(
        self,
        name: str,
        shapes: Sequence[str],
        log_density: Formula,
        cdf: Formula,
        *,
        low: float = -math.inf,
        high: float = math.inf,
        inside: float = 0.5,
        log_cdf: Formula | None = None,
        survival: Formula | None = None,
        log_survival: Formula | None = None,
        domain: Formula | None = None,
        doc: str = "",
    ) -> None:
        self.name = name
        self.shapes = tuple(shapes)
        self._log_density, self._cdf = log_density, cdf
        self._log_cdf, self._survival = log_cdf, survival
        self._log_survival, self._domain = log_survival, domain
        self._low, self._high, self._inside = low, high, inside
        self.__doc__ = doc

    def __repr__(self) -> str:
        return f"<graphc distribution {self.name}({', '.join((*self.shapes, *self._last))})>"

    def _parameters(self, method: str, x: Any, args: Any, kwargs: Any) -> list[Tensor]:
        """x, the shapes, loc and scale in one dtype."""
        names = (*self.shapes, *self._last)
        given = dict(zip(names, args, strict=False)) | kwargs
        twice = [name for name in names[: len(args)] if name in kwargs]
        missing = [name for name in self.shapes if name not in given]
        unknown = [name for name in given if name not in names]
        if len(args) > len(names) or missing or unknown or twice:
            told = ", ".join(("x", *names))
            raise FunctionError(
                f"stats.{self.name}.{method}: got {1 + len(args)} arguments and {sorted(kwargs)}",
                code="E207",
                source=current_source(),
                fix=f"call it as {method}({told}); loc and scale may be left out",
            )
        defaults = {"loc": 0, "scale": 1}
        values = [given.get(name, defaults.get(name)) for name in names]
        found = promote_inputs(f"{self.name}.{method}", x, *values)
        return [floating(tensor) for tensor in found]

    def _standard(self, method: str, x: Any, args: Any, kwargs: Any) -> tuple[Any, ...]:
        """The standard place held inside of the support, whether it is there and below it, the
        shapes and the scale."""
        place, *shapes, loc, scale = self._parameters(method, x, args, kwargs)
        z = self._known((place - loc) / scale, shapes, [scale])
        below, above = b.less(z, self._low), b.greater(z, self._high)
        outside = b.logical_or(below, above)
        held = z if self._is_everywhere else b.where(outside, self._inside, z)
        return held, below, above, shapes, scale

    def _known(self, z: Tensor, shapes: Sequence[Tensor], positive: Sequence[Tensor]) -> Tensor:
        """z, or NaN where there is no such distribution."""
        if self._domain is None:
            positive = [*shapes, *positive]
        known = [] if self._domain is None else [self._domain(*shapes)]
        for condition in (*known, *(b.greater(value, 0) for value in positive)):
            z = b.where(condition, z, math.nan)
        return z

    @property
    def _is_everywhere(self) -> bool:
        return self._low == -math.inf and self._high == math.inf

    def logpdf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The logarithm of the density at x."""
        z, below, above, shapes, scale = self._standard("logpdf", x, args, kwargs)
        value = self._log_density(z, *shapes) - b.log(scale)
        if self._is_everywhere:
            return value
        return b.where(b.logical_or(below, above), -math.inf, value)

    def pdf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The density at x."""
        return b.exp(self.logpdf(x, *args, **kwargs))

    def cdf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The probability of a number that is not larger than x."""
        z, below, above, shapes, _ = self._standard("cdf", x, args, kwargs)
        return self._bounded(self._cdf(z, *shapes), below, above, 0, 1)

    def sf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The probability of a number that is larger than x: 1 - cdf."""
        z, below, above, shapes, _ = self._standard("sf", x, args, kwargs)
        if self._survival is None:
            value = 1 - self._cdf(z, *shapes)
        else:
            value = self._survival(z, *shapes)
        return self._bounded(value, below, above, 1, 0)

    def logcdf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The logarithm of cdf."""
        z, below, above, shapes, _ = self._standard("logcdf", x, args, kwargs)
        formula = self._log_cdf
        value = b.log(self._cdf(z, *shapes)) if formula is None else formula(z, *shapes)
        return self._bounded(value, below, above, -math.inf, 0)

    def logsf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The logarithm of sf."""
        z, below, above, shapes, _ = self._standard("logsf", x, args, kwargs)
        if self._log_survival is None:
            return b.log(self.sf(x, *args, **kwargs))
        return self._bounded(self._log_survival(z, *shapes), below, above, 0, -math.inf)

    def _bounded(self, value: Tensor, below: Any, above: Any, low: float, high: float) -> Tensor:
        if self._is_everywhere:
            return value
        return b.where(below, low, b.where(above, high, value))


class DiscreteDistribution(Distribution):
    """A family of distributions over whole numbers, without scale; logpmf and pmf for densities."""

    _last = ("loc",)

    def _standard(self, method: str, x: Any, args: Any, kwargs: Any) -> tuple[Any, ...]:
        place, *shapes, loc = self._parameters(method, x, args, kwargs)
        z = self._known(place - loc, shapes, [])
        whole = b.floor(z)
        below, above = b.less(whole, self._low), b.greater(whole, self._end(*shapes))
        held = b.where(b.logical_or(below, above), self._low, whole)
        return held, below, above, shapes, b.greater(z, whole)

    def _end(self, *shapes: Tensor) -> Any:
        return shapes[0] if self.name == "binom" else self._high

    @property
    def _is_everywhere(self) -> bool:
        return False

    def logpmf(self, k: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The logarithm of the probability of k; -inf where k is not whole."""
        z, below, above, shapes, broken = self._standard("logpmf", k, args, kwargs)
        outside = b.logical_or(b.logical_or(below, above), broken)
        return b.where(outside, -math.inf, self._log_density(z, *shapes))

    def pmf(self, k: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The probability of k."""
        return b.exp(self.logpmf(k, *args, **kwargs))

    def logpdf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """There is none: see logpmf."""
        raise AttributeError(f"stats.{self.name} has no density: use logpmf and pmf")


def _tail(z: Tensor, df: Tensor) -> Tensor:
    """The probability of a number of Student's that is beyond abs(z) on one side."""
    return 0.5 * b.betainc(df / 2, b.ones_like(df) * 0.5, df / (df + b.square(z)))


def _is_probability(p: Tensor) -> Tensor:
    return b.logical_and(b.greater_equal(p, 0), b.less_equal(p, 1))


norm = Distribution(
    "norm",
    (),
    lambda z: -0.5 * b.square(z) - 0.5 * math.log(2 * math.pi),
    lambda z: b.ndtr(z),
    log_cdf=lambda z: b.log_ndtr(z),
    survival=lambda z: b.ndtr(-z),
    log_survival=lambda z: b.log_ndtr(-z),
    doc="The normal distribution, exp(-z**2 / 2) / sqrt(2 pi).",
)
uniform = Distribution(
    "uniform", (), lambda z: z * 0, lambda z: z, low=0, high=1, doc="1 from 0 to 1."
)
expon = Distribution(
    "expon",
    (),
    lambda z: -z,
    lambda z: -b.expm1(-z),
    survival=lambda z: b.exp(-z),
    log_survival=lambda z: -z,
    low=0,
    doc="The exponential distribution, exp(-z) for z >= 0.",
)
gamma = Distribution(
    "gamma",
    ("a",),
    lambda z, a: b.xlogy(a - 1, z) - z - b.gammaln(a),
    lambda z, a: b.gammainc(a, z),
    survival=lambda z, a: b.gammaincc(a, z),
    low=0,
    doc="The gamma distribution, z**(a - 1) exp(-z) / gamma(a) for z >= 0.",
)
beta = Distribution(
    "beta",
    ("a", "b"),
    lambda z, p, q: b.xlogy(p - 1, z) + b.xlog1py(q - 1, -z) - b.betaln(p, q),
    lambda z, p, q: b.betainc(p, q, z),
    survival=lambda z, p, q: b.betainc(q, p, 1 - z),
    low=0,
    high=1,
    doc="The beta distribution, z**(a - 1) (1 - z)**(b - 1) / beta(a, b) from 0 to 1.",
)
chi2 = Distribution(
    "chi2",
    ("df",),
    lambda z, k: b.xlogy(k / 2 - 1, z) - z / 2 - b.gammaln(k / 2) - k * (math.log(2) / 2),
    lambda z, k: b.gammainc(k / 2, z / 2),
    survival=lambda z, k: b.gammaincc(k / 2, z / 2),
    low=0,
    doc="Chi squared: the sum of the squares of df normal numbers.",
)
cauchy = Distribution(
    "cauchy",
    (),
    lambda z: -b.log1p(b.square(z)) - math.log(math.pi),
    lambda z: b.atan2(b.ones_like(z), -z) / math.pi,
    survival=lambda z: b.atan2(b.ones_like(z), z) / math.pi,
    doc="Cauchy's distribution, 1 / (pi (1 + z**2)).",
)
laplace = Distribution(
    "laplace",
    (),
    lambda z: -b.abs(z) - math.log(2),
    lambda z: b.where(z < 0, 0.5 * b.exp(-b.abs(z)), 1 - 0.5 * b.exp(-b.abs(z))),
    survival=lambda z: b.where(z > 0, 0.5 * b.exp(-b.abs(z)), 1 - 0.5 * b.exp(-b.abs(z))),
    doc="Laplace's distribution, exp(-abs(z)) / 2.",
)
logistic = Distribution(
    "logistic",
    (),
    lambda z: -b.abs(z) - 2 * b.softplus(-b.abs(z)),
    lambda z: b.sigmoid(z),
    log_cdf=lambda z: -b.softplus(-z),
    survival=lambda z: b.sigmoid(-z),
    log_survival=lambda z: -b.softplus(z),
    doc="The logistic distribution, exp(-z) / (1 + exp(-z))**2.",
)
gumbel_r = Distribution(
    "gumbel_r",
    (),
    lambda z: -z - b.exp(-z),
    lambda z: b.exp(-b.exp(-z)),
    log_cdf=lambda z: -b.exp(-z),
    survival=lambda z: -b.expm1(-b.exp(-z)),
    doc="Gumbel's distribution of the largest of many, exp(-z - exp(-z)).",
)
lognorm = Distribution(
    "lognorm",
    ("s",),
    lambda z, s: -0.5 * b.square(b.log(z) / s) - b.log(s * z) - 0.5 * math.log(2 * math.pi),
    lambda z, s: b.ndtr(b.log(z) / s),
    log_cdf=lambda z, s: b.log_ndtr(b.log(z) / s),
    survival=lambda z, s: b.ndtr(-b.log(z) / s),
    log_survival=lambda z, s: b.log_ndtr(-b.log(z) / s),
    low=math.ulp(0.0),
    doc="exp(s y) for normal y: exp(-log(z)**2 / (2 s**2)) / (s z sqrt(2 pi)) for z > 0.",
)
pareto = Distribution(
    "pareto",
    ("b",),
    lambda z, p: b.log(p) - (p + 1) * b.log(z),
    lambda z, p: -b.expm1(-p * b.log(z)),
    survival=lambda z, p: b.exp(-p * b.log(z)),
    log_survival=lambda z, p: -p * b.log(z),
    low=1,
    inside=2,
    doc="Pareto's distribution, b / z**(b + 1) for z >= 1.",
)
t = Distribution(
    "t",
    ("df",),
    lambda z, k: (
        (b.gammaln((k + 1) / 2) - b.gammaln(k / 2) - 0.5 * b.log(k * math.pi))
        - (k + 1) / 2 * b.log1p(b.square(z) / k)
    ),
    lambda z, k: b.where(z < 0, _tail(z, k), 1 - _tail(z, k)),
    survival=lambda z, k: b.where(z > 0, _tail(z, k), 1 - _tail(z, k)),
    doc="Student's distribution with df degrees of freedom.",
)
bernoulli = DiscreteDistribution(
    "bernoulli",
    ("p",),
    lambda k, p: b.xlogy(k, p) + b.xlog1py(1 - k, -p),
    lambda k, p: b.where(k >= 1, 1, 1 - p + k),
    low=0,
    high=1,
    domain=lambda p: _is_probability(p),
    doc="1 with probability p, else 0.",
)
binom = DiscreteDistribution(
    "binom",
    ("n", "p"),
    lambda k, n, p: (
        (b.gammaln(n + 1) - b.gammaln(k + 1) - b.gammaln(n - k + 1))
        + (b.xlogy(k, p) + b.xlog1py(n - k, -p))
    ),
    lambda k, n, p: b.where(
        k >= n, b.ones_like(p), b.betainc(b.where(k >= n, 1, n - k), k + 1, 1 - p)
    ),
    low=0,
    domain=lambda n, p: b.logical_and(
        b.logical_and(b.greater_equal(n, 0), b.equal(n, b.floor(n))), _is_probability(p)
    ),
    doc="How many of n trials succeed, each with probability p.",
)
geom = DiscreteDistribution(
    "geom",
    ("p",),
    lambda k, p: b.xlog1py(k - 1, -p) + b.log(p),
    lambda k, p: -b.expm1(k * b.log1p(-p)),
    survival=lambda k, p: b.exp(b.xlog1py(k, -p)),
    log_survival=lambda k, p: b.xlog1py(k, -p),
    low=1,
    domain=lambda p: b.logical_and(b.greater(p, 0), b.less_equal(p, 1)),
    doc="The number of the first trial that succeeds, each with probability p.",
)
nbinom = DiscreteDistribution(
    "nbinom",
    ("n", "p"),
    lambda k, n, p: (
        (b.gammaln(n + k) - b.gammaln(k + 1) - b.gammaln(n)) + n * b.log(p) + b.xlog1py(k, -p)
    ),
    lambda k, n, p: b.betainc(n, k + 1, p),
    low=0,
    domain=lambda n, p: b.logical_and(
        b.greater(n, 0), b.logical_and(b.greater(p, 0), b.less_equal(p, 1))
    ),
    doc="How many trials fail before n have succeeded, each with probability p.",
)
poisson = DiscreteDistribution(
    "poisson",
    ("mu",),
    lambda k, mu: b.xlogy(k, mu) - b.gammaln(k + 1) - mu,
    lambda k, mu: b.gammaincc(k + 1, mu),
    survival=lambda k, mu: b.gammainc(k + 1, mu),
    low=0,
    domain=lambda mu: b.greater_equal(mu, 0),
    doc="How many events happen where mu are expected: mu**k exp(-mu) / k!.",
)
