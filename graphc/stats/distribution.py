"""What a distribution of gc.stats is: functions of a place, or of a probability, and of shapes."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from graphc.dtypes import float32, is_half
from graphc.errors import FunctionError
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import floating, promote_inputs
from graphc.stats.whole_places import smallest_whole

Formula = Callable[..., Tensor]
b = BUILDER


def _rounded(method: Formula) -> Formula:
    """The result in the dtype of the arguments: half precision is computed in float32."""

    @functools.wraps(method)
    def call(self: "Distribution", x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        value = method(self, x, *args, **kwargs)
        promoted = promote_inputs(self.name, x, *args, *kwargs.values())[0].dtype
        return value.astype(promoted) if is_half(promoted) else value

    return call


def _at(place: float | Formula, shapes: Sequence[Tensor]) -> Any:
    return place(*shapes) if callable(place) else place


class Distribution:
    """A family of distributions. shapes: the names of its parameters.

    log_density and cdf are functions of a standard place inside of the support, and the shapes;
    quantile and upper_quantile, the inverses of cdf and survival, of a probability: of whole
    numbers a number near them. low, high:
    where the support ends, before loc and scale; open_low: low is not in it; inside: a place in it.
    These are numbers, or functions of the shapes.
    domain: whether shapes are those of a distribution; all are positive without it.
    """

    _last: tuple[str, ...] = ("loc", "scale")

    def __init__(
        self,
        name: str,
        shapes: Sequence[str],
        log_density: Formula,
        cdf: Formula,
        *,
        low: float | Formula = -math.inf,
        high: float | Formula = math.inf,
        open_low: bool = False,
        inside: float | Formula = 0.5,
        log_cdf: Formula | None = None,
        survival: Formula | None = None,
        log_survival: Formula | None = None,
        quantile: Formula | None = None,
        upper_quantile: Formula | None = None,
        domain: Formula | None = None,
        doc: str = "",
    ) -> None:
        self.name = name
        self.shapes = tuple(shapes)
        self._log_density, self._cdf = log_density, cdf
        self._log_cdf, self._survival = log_cdf, survival
        self._log_survival, self._domain = log_survival, domain
        self._quantile, self._upper_quantile = quantile, upper_quantile
        self._low, self._high, self._inside = low, high, inside
        self._open_low = open_low
        self.__doc__ = doc

    def __repr__(self) -> str:
        return f"<graphc distribution {self.name}({', '.join((*self.shapes, *self._last))})>"

    def _parameters(self, method: str, x: Any, args: Any, kwargs: Any) -> list[Tensor]:
        """x, the shapes, loc and scale in one dtype, float32 for half precision."""
        names = (*self.shapes, *self._last)
        given = dict(zip(names, args, strict=False)) | kwargs
        twice = [name for name in names[: len(args)] if name in kwargs]
        missing = [name for name in self.shapes if name not in given]
        unknown = [name for name in given if name not in names]
        if len(args) > len(names) or missing or unknown or twice:
            told = ", ".join(("q" if method in ("ppf", "isf") else "x", *names))
            raise FunctionError(
                f"stats.{self.name}.{method}: got {1 + len(args)} arguments and {sorted(kwargs)}",
                code="E207",
                source=current_source(),
                fix=f"call it as {method}({told}); loc and scale may be left out",
            )
        defaults = {"loc": 0, "scale": 1}
        values = [given.get(name, defaults.get(name)) for name in names]
        found = promote_inputs(f"{self.name}.{method}", x, *values)
        wide = [floating(tensor) for tensor in found]
        return [tensor.astype(float32) if is_half(tensor.dtype) else tensor for tensor in wide]

    def _standard(self, method: str, x: Any, args: Any, kwargs: Any) -> tuple[Any, ...]:
        """The standard place held inside of the support, whether it is there and below it, the
        shapes and the scale."""
        place, *shapes, loc, scale = self._parameters(method, x, args, kwargs)
        z = self._known((place - loc) / scale, shapes, [scale])
        low, high = self._ends(shapes)
        below = b.less_equal(z, low) if self._open_low else b.less(z, low)
        above = b.greater(z, high)
        outside = b.logical_or(below, above)
        held = z if self._is_everywhere else b.where(outside, _at(self._inside, shapes), z)
        return held, below, above, shapes, scale

    def _ends(self, shapes: Sequence[Tensor]) -> tuple[Any, Any]:
        return _at(self._low, shapes), _at(self._high, shapes)

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

    @_rounded
    def logpdf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The logarithm of the density at x."""
        return self._logpdf(x, args, kwargs)

    @_rounded
    def pdf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The density at x."""
        return b.exp(self._logpdf(x, args, kwargs))

    def _logpdf(self, x: Any, args: Any, kwargs: Any) -> Tensor:
        z, below, above, shapes, scale = self._standard("logpdf", x, args, kwargs)
        value = self._log_density(z, *shapes) - b.log(scale)
        value = b.where(b.isinf(z), -math.inf, value)
        if self._is_everywhere:
            return value
        return b.where(b.logical_or(below, above), -math.inf, value)

    @_rounded
    def cdf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The probability of a number that is not larger than x."""
        z, below, above, shapes, _ = self._standard("cdf", x, args, kwargs)
        return self._bounded(self._cdf(z, *shapes), below, above, 0, 1)

    @_rounded
    def sf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The probability of a number that is larger than x: 1 - cdf."""
        z, below, above, shapes, _ = self._standard("sf", x, args, kwargs)
        if self._survival is None:
            value = 1 - self._cdf(z, *shapes)
        else:
            value = self._survival(z, *shapes)
        return self._bounded(value, below, above, 1, 0)

    @_rounded
    def logcdf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The logarithm of cdf."""
        z, below, above, shapes, _ = self._standard("logcdf", x, args, kwargs)
        value = self._logarithm(self._log_cdf, self._cdf, self._survival, z, shapes)
        return self._bounded(value, below, above, -math.inf, 0)

    @_rounded
    def logsf(self, x: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The logarithm of sf."""
        z, below, above, shapes, _ = self._standard("logsf", x, args, kwargs)
        survival = self._survival or (lambda z, *shapes: 1 - self._cdf(z, *shapes))
        value = self._logarithm(self._log_survival, survival, self._cdf, z, shapes)
        return self._bounded(value, below, above, 0, -math.inf)

    @_rounded
    def ppf(self, q: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The place below which lies the probability q: the inverse of cdf. NaN for no probability.

        Of whole numbers the smallest up to which q lies, with slope 0.
        """
        return self._place("ppf", self._quantile, q, args, kwargs)

    @_rounded
    def isf(self, q: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The place above which lies the probability q: the inverse of sf. Otherwise as ppf."""
        return self._place("isf", self._upper_quantile, q, args, kwargs)

    def _place(
        self, method: str, formula: Formula | None, q: Any, args: Any, kwargs: Any
    ) -> Tensor:
        assert formula is not None
        given, *shapes, loc, scale = self._parameters(method, q, args, kwargs)
        p = self._known(given, shapes, [scale])
        inside = b.logical_and(b.greater(p, 0), b.less(p, 1))
        z = formula(b.where(inside, p, 0.5), *shapes)
        low, high = self._ends(shapes)
        first, last = (low, high) if method == "ppf" else (high, low)
        z = b.where(b.equal(p, 0), first, b.where(b.equal(p, 1), last, z))
        known = b.logical_and(b.greater_equal(p, 0), b.less_equal(p, 1))
        return b.where(known, loc + scale * z, math.nan)

    @staticmethod
    def _logarithm(
        formula: Formula | None, value: Formula, rest: Formula | None, z: Tensor, shapes: Any
    ) -> Tensor:
        """formula, or log(value), which is log1p(-rest) where value is near 1."""
        if formula is not None:
            return formula(z, *shapes)
        found = value(z, *shapes)
        if rest is None:
            return b.log(found)
        other = rest(z, *shapes)
        small = b.less(found, 0.5)
        near_one = b.log1p(-b.where(small, 0.5, other))
        return b.where(small, b.log(b.where(small, found, 0.5)), near_one)

    def _bounded(self, value: Tensor, below: Any, above: Any, low: float, high: float) -> Tensor:
        if self._is_everywhere:
            return value
        return b.where(below, low, b.where(above, high, value))


class DiscreteDistribution(Distribution):
    """A family of distributions over whole numbers, without scale; logpmf and pmf for densities."""

    _last = ("loc",)

    def _place(self, method: str, formula: Any, q: Any, args: Any, kwargs: Any) -> Tensor:
        given, *shapes, loc = self._parameters(method, q, args, kwargs)
        p = self._known(given, shapes, [])
        known = b.logical_and(b.greater_equal(p, 0), b.less_equal(p, 1))
        upper = method == "isf"
        none, all_ = (1, 0) if upper else (0, 1)
        first, last = self._ends(shapes)
        inside = b.logical_and(b.greater(p, 0), b.less(p, 1))
        held = b.where(inside, last + b.zeros_like(p), first)
        k = self._smallest(b.where(inside, p, 0.5), shapes, held, upper)
        k = b.where(b.equal(p, none), first - 1, b.where(b.equal(p, all_), last, k))
        return b.where(known, loc + k, math.nan)

    def _smallest(self, p: Tensor, shapes: Sequence[Tensor], last: Tensor, upper: bool) -> Tensor:
        """The smallest k <= last with cdf(k) >= p, or with sf(k) <= p."""
        fixed, last, *shapes = map(b.stop_gradient, (p, last, *shapes))
        assert self._quantile is not None

        def enough(k: Tensor) -> Tensor:
            if upper and self._survival is not None:
                return b.less_equal(self._survival(k, *shapes), fixed)
            return b.greater_equal(self._cdf(k, *shapes), 1 - fixed if upper else fixed)

        start = self._quantile(1 - fixed if upper else fixed, *shapes)
        return smallest_whole(enough, start, self._ends(shapes)[0], last)

    def _standard(self, method: str, x: Any, args: Any, kwargs: Any) -> tuple[Any, ...]:
        place, *shapes, loc = self._parameters(method, x, args, kwargs)
        z = self._known(place - loc, shapes, [])
        whole = b.floor(z)
        low, high = self._ends(shapes)
        below, above = b.less(whole, low), b.greater(whole, high)
        held = b.where(b.logical_or(below, above), low, whole)
        return held, below, above, shapes, b.greater(z, whole)

    @property
    def _is_everywhere(self) -> bool:
        return False

    @_rounded
    def logpmf(self, k: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The logarithm of the probability of k; -inf where k is not whole."""
        return self._logpmf(k, args, kwargs)

    @_rounded
    def pmf(self, k: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """The probability of k."""
        return b.exp(self._logpmf(k, args, kwargs))

    def _logpmf(self, k: Any, args: Any, kwargs: Any) -> Tensor:
        z, below, above, shapes, broken = self._standard("logpmf", k, args, kwargs)
        outside = b.logical_or(b.logical_or(below, above), broken)
        return b.where(outside, -math.inf, self._log_density(z, *shapes))

    def _logpdf(self, x: Any, args: Any, kwargs: Any) -> Tensor:
        """There is none: see logpmf."""
        raise AttributeError(f"stats.{self.name} has no density: use logpmf and pmf")
