"""Errors of the elementwise functions in units in the last place, against mpmath.

    python -m benchmarks.accuracy             a table of all functions
    python -m benchmarks.accuracy exp gamma   of some of them
    python -m benchmarks.accuracy --write     into docs/accuracy.md

Arguments are drawn from all floating-point numbers, bit pattern by bit pattern, from the range
where most calls lie, and close to zeros, poles and branch points. An infinite error is a finite
number, an infinity or NaN where another of these is right.
"""

import argparse
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np

import graphc as gc
from graphc.ops.transcendental import sigmoid_slope

Array = np.ndarray[Any, Any]
DIGITS = 45
DTYPES = ("float32", "float64")
PAGE = Path(__file__).parent.parent / "docs" / "accuracy.md"
MARK = "<!-- table -->\n"


@dataclass(frozen=True)
class Case:
    """exact: in mpmath. points: where arguments are drawn closely. low, high: where they may lie.
    common: the range of common arguments."""

    exact: Callable[..., Any]
    points: tuple[float, ...] = (0.0,)
    low: float = -math.inf
    high: float = math.inf
    common: tuple[float, float] = (-12.0, 12.0)
    arity: int = 1
    build: Callable[..., Any] | None = None


def _of_probability(exact: Callable[..., Any], build: Callable[..., Any]) -> Case:
    return Case(exact, points=(0.0, 0.5, 1.0), low=0, high=1, common=(0, 1), build=build)


def _log_gamma(x: Any) -> Any:
    return mp.log(abs(mp.gamma(x))) if x < 0 else mp.loggamma(x)


def _erfinv(x: Any) -> Any:
    return mp.erfinv(x) if abs(x) < 1 else mp.sign(x) * mp.inf


def _normal_root(x: Any) -> Any:
    """The z of ndtr(z) = x, by Newton's method on logarithms"""
    if x in (0, 1):
        return mp.inf if x else -mp.inf
    if x > 0.4:
        return mp.sqrt(2) * mp.erfinv(2 * x - 1)
    z = -mp.sqrt(-2 * mp.log(2 * x))
    for _ in range(60):
        value = mp.erfc(-z / mp.sqrt(2)) / 2
        step = value * mp.log(value / x) / (mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi))
        z -= step
        if abs(step) < abs(z) * mp.mpf(10) ** -35:
            break
    return z


def _newton(log_tail: Callable[..., Any], slope: Callable[..., Any], u: Any, value: Any) -> Any:
    """The u of log_tail(u) = log(value), a concave function"""
    for _ in range(300):
        found = log_tail(u)
        step = (found - mp.log(value)) / (slope(u) / mp.exp(found))
        u -= step
        if abs(step) < mp.mpf(10) ** -35:
            break
    return u


def _gamma_place(p: Any, upper: bool = False) -> Any:
    """The x of gammainc(5/2, x) = p, or of gammaincc"""
    a = mp.mpf(2.5)
    if p in (0, 1):
        return mp.inf if (p == 1) != upper else mp.mpf(0)
    low = p if not upper else 1 - p
    swap = p > 0.5  # the smaller tail is solved for
    ends = (0, None) if upper == swap else (None, mp.inf)

    def log_tail(u: Any) -> Any:
        x = mp.exp(u)
        return mp.log(
            mp.gammainc(a, *(x if end is None else end for end in ends), regularized=True)
        )

    def slope(u: Any) -> Any:
        value = mp.exp(a * u - mp.exp(u)) / mp.gamma(a)
        return value if upper == swap else -value

    start = (mp.log(low) + mp.loggamma(a + 1)) / a
    if ends[0] is None:
        start = max(start, mp.log(-mp.log(1 - p if swap else p)))
    return mp.exp(_newton(log_tail, slope, start, 1 - p if swap else p))


def _beta_place(p: Any, upper: bool = False) -> Any:
    """The x of betainc(5/2, 1/2, x) = p, or of betaincc: in logarithms of odds"""
    a, c = mp.mpf(2.5), mp.mpf(0.5)
    if p in (0, 1):
        return mp.mpf(1 if (p == 1) != upper else 0)
    low = p if not upper else 1 - p
    swap = p > 0.5
    below = upper == swap

    def log_tail(u: Any) -> Any:
        x, y = 1 / (1 + mp.exp(-u)), 1 / (1 + mp.exp(u))
        first, second, place = (a, c, x) if below else (c, a, y)
        return mp.log(mp.betainc(first, second, 0, place, regularized=True))

    def slope(u: Any) -> Any:
        value = (1 + mp.exp(-u)) ** -a * (1 + mp.exp(u)) ** -c / mp.beta(a, c)
        return value if below else -value

    start = (mp.log(low * a * mp.beta(a, c))) / a
    return 1 / (1 + mp.exp(-_newton(log_tail, slope, start, 1 - p if swap else p)))


def _scaled_erfc(x: Any) -> Any:
    if x > 1e8:
        return 1 / (x * mp.sqrt(mp.pi)) * (1 - 1 / (2 * x * x))
    return mp.exp(x * x) * mp.erfc(x)


def _dawson(x: Any) -> Any:
    return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)


def _spence(x: Any) -> Any:
    if x <= 2:
        return mp.re(mp.polylog(2, 1 - x))
    return -(mp.log(x - 1) ** 2) / 2 - mp.pi**2 / 6 - mp.re(mp.polylog(2, 1 / (1 - x)))


def _log_ndtr(x: Any) -> Any:
    rest = mp.erfc(abs(x) * mp.sqrt(0.5)) / 2
    return mp.log1p(-rest) if x > 0 else mp.log(rest)


def _logaddexp(x: Any, y: Any) -> Any:
    return max(x, y) + mp.log1p(mp.exp(-abs(x - y)))


def _zeta(s: Any, q: Any) -> Any:
    """Forty terms, and the formula of Euler and Maclaurin"""
    a = q + 40
    total = sum(((q + k) ** -s for k in range(40)), a ** (1 - s) / (s - 1) + a**-s / 2)
    factor = s * a ** (-s - 1)
    for j in range(1, 30):
        total += mp.bernoulli(2 * j) / mp.factorial(2 * j) * factor
        factor *= (s + 2 * j - 1) * (s + 2 * j) / a**2
    return total


CASES: dict[str, Case] = {
    "sqrt": Case(mp.sqrt, low=0),
    "cbrt": Case(lambda x: mp.sign(x) * mp.cbrt(abs(x))),
    "rsqrt": Case(lambda x: 1 / mp.sqrt(x), low=0),
    "reciprocal": Case(lambda x: 1 / x),
    "hypot": Case(mp.hypot, arity=2),
    "pow": Case(mp.power, arity=2, low=0, points=(0.0, 1.0)),
    "exp": Case(mp.exp, points=(0.0, 88.7, -87.3, 709.7, -708.3, -745)),
    "exp2": Case(lambda x: mp.power(2, x), points=(0.0, 128, -126, 1024, -1022)),
    "expm1": Case(mp.expm1, points=(0.0, 88.7, 709.7, math.log(2))),
    "log": Case(mp.log, points=(0.0, 1.0), low=0),
    "log2": Case(lambda x: mp.log(x, 2), points=(0.0, 1.0), low=0),
    "log10": Case(mp.log10, points=(0.0, 1.0), low=0),
    "log1p": Case(mp.log1p, points=(0.0, -1.0), low=-1),
    "logaddexp": Case(_logaddexp, arity=2),
    "sin": Case(mp.sin, points=(0.0, math.pi, 2 * math.pi, 22.0)),
    "cos": Case(mp.cos, points=(0.0, math.pi / 2, 1.5 * math.pi)),
    "tan": Case(mp.tan, points=(0.0, math.pi / 2, math.pi)),
    "asin": Case(mp.asin, points=(0.0, 1.0, -1.0), low=-1, high=1, common=(-1, 1)),
    "acos": Case(mp.acos, points=(0.0, 1.0, -1.0), low=-1, high=1, common=(-1, 1)),
    "atan": Case(mp.atan, points=(0.0, 1.0)),
    "atan2": Case(mp.atan2, arity=2),
    "sinh": Case(mp.sinh, points=(0.0, 89.4, 710.4)),
    "cosh": Case(mp.cosh, points=(0.0, 89.4, 710.4)),
    "tanh": Case(mp.tanh),
    "asinh": Case(mp.asinh),
    "acosh": Case(mp.acosh, points=(1.0,), low=1, common=(1, 12)),
    "atanh": Case(mp.atanh, points=(0.0, 1.0, -1.0), low=-1, high=1, common=(-1, 1)),
    "sigmoid": Case(lambda x: 1 / (1 + mp.exp(-x)), points=(0.0, -87.3, -708.3)),
    "sigmoid_slope": Case(
        lambda x: mp.exp(-x) / (1 + mp.exp(-x)) ** 2,
        points=(0.0, -87.3, 87.3, -708.3),
        build=sigmoid_slope,
    ),
    "softplus": Case(lambda x: mp.log1p(mp.exp(x)), points=(0.0, -87.3), build=gc.nn.softplus),
    "log_expit": Case(lambda x: -mp.log1p(mp.exp(-x)), points=(0.0, -17.0)),
    "logit": Case(
        lambda x: mp.log(x / (1 - x)), points=(0.0, 0.5, 1.0), low=0, high=1, common=(0, 1)
    ),
    "sinc": Case(lambda x: mp.sincpi(x), points=(0.0, 1.0, 7.0)),
    "exprel": Case(lambda x: mp.expm1(x) / x, points=(0.0, 88.7)),
    "erf": Case(mp.erf),
    "erfc": Case(mp.erfc, points=(0.0, 9.2, 26.0)),
    "erfcx": Case(_scaled_erfc, low=-26),
    "erfinv": Case(_erfinv, points=(0.0, 1.0, -1.0), low=-1, high=1, common=(-1, 1)),
    "erfcinv": Case(
        lambda x: -_normal_root(x / 2) * mp.sqrt(0.5),
        points=(0.0, 1.0, 2.0),
        low=0,
        high=2,
        common=(0, 2),
    ),
    "ndtr": Case(lambda x: mp.erfc(-x * mp.sqrt(0.5)) / 2, points=(0.0, -12.9, -37.5)),
    "log_ndtr": Case(_log_ndtr, low=-1e8),
    "ndtri": Case(_normal_root, points=(0.0, 0.5, 1.0), low=0, high=1, common=(0, 1)),
    "gamma": Case(mp.gamma, points=(0.0, 1.0, 2.0, 34.0, 171.0), low=-185, common=(0, 35)),
    "gammaln": Case(_log_gamma, points=(0.0, 1.0, 2.0), low=0, common=(0, 35)),
    "digamma": Case(mp.digamma, points=(0.0, 1.4616321449683623), low=0, common=(0, 35)),
    "betaln": Case(
        lambda x, y: mp.loggamma(x) + mp.loggamma(y) - mp.loggamma(x + y),
        arity=2,
        low=1e-30,
        high=1e10,
        common=(0, 35),
    ),
    "gammainc": Case(
        lambda a, x: mp.gammainc(a, 0, x, regularized=True),
        arity=2,
        low=1e-10,
        high=500,
        common=(0, 35),
    ),
    "gammaincc": Case(
        lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True),
        arity=2,
        low=1e-10,
        high=500,
        common=(0, 35),
    ),
    "gammaincinv": _of_probability(_gamma_place, lambda p: gc.gammaincinv(2.5, p)),
    "gammainccinv": _of_probability(
        lambda q: _gamma_place(q, upper=True), lambda q: gc.gammainccinv(2.5, q)
    ),
    "betaincinv": _of_probability(_beta_place, lambda p: gc.betaincinv(2.5, 0.5, p)),
    "betainccinv": _of_probability(
        lambda q: _beta_place(q, upper=True), lambda q: gc.betainccinv(2.5, 0.5, q)
    ),
    "i0": Case(lambda x: mp.besseli(0, x), low=-720, high=720),
    "i1": Case(lambda x: mp.besseli(1, x), low=-720, high=720),
    "i0e": Case(lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), low=-1e5, high=1e5),
    "i1e": Case(lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), low=-1e5, high=1e5),
    "exp1": Case(mp.e1, low=0, high=750, common=(0, 12)),
    "j0": Case(lambda x: mp.besselj(0, x), points=(0.0, 2.4, 5.5, 8.0), low=-8, high=8),
    "j1": Case(lambda x: mp.besselj(1, x), points=(0.0, 3.8, 7.0, 8.0), low=-8, high=8),
    "k0": Case(lambda x: mp.besselk(0, x), points=(0.0, 2.0, 8.0), low=0, high=700, common=(0, 20)),
    "k0e": Case(lambda x: mp.besselk(0, x) * mp.exp(x), low=0, high=1e4, common=(0, 20)),
    "k1": Case(lambda x: mp.besselk(1, x), points=(0.0, 2.0, 8.0), low=0, high=700, common=(0, 20)),
    "k1e": Case(lambda x: mp.besselk(1, x) * mp.exp(x), low=0, high=1e4, common=(0, 20)),
    "expi": Case(mp.ei, points=(0.0, 0.3725, 6.0), low=-700, high=700),
    "dawsn": Case(_dawson, points=(0.0, 2.0, 4.0), low=-60, high=60),
    "erfi": Case(mp.erfi, low=-26, high=26, common=(-9, 9)),
    "sine_integral": Case(mp.si, low=-1e5, high=1e5, build=lambda x: gc.sici(x)[0]),
    "fresnel_sine": Case(mp.fresnels, low=-1e4, high=1e4, build=lambda x: gc.fresnel(x)[0]),
    "fresnel_cosine": Case(mp.fresnelc, low=-1e4, high=1e4, build=lambda x: gc.fresnel(x)[1]),
    "ellipk": Case(mp.ellipk, points=(0.0, 1.0), high=1, common=(-12, 1)),
    "ellipe": Case(mp.ellipe, points=(0.0, 1.0), high=1, common=(-12, 1)),
    "lambertw": Case(
        mp.lambertw, points=(0.0, -math.exp(-1)), low=-math.exp(-1), common=(-0.3678, 12)
    ),
    "spence": Case(_spence, points=(0.0, 1.0, 2.0), low=0, common=(0, 12)),
    "zeta": Case(_zeta, arity=2, low=1.01, high=60, common=(1.01, 12)),
    "entr": Case(lambda x: -x * mp.log(x), points=(0.0, 1.0), low=0, common=(0, 12)),
    "xlogy": Case(lambda x, y: x * mp.log(y), arity=2, points=(1.0,), low=0, common=(0, 12)),
    "xlog1py": Case(lambda x, y: x * mp.log1p(y), arity=2, points=(0.0,), low=0, common=(0, 12)),
    "kl_div": Case(
        lambda x, y: x * mp.log(x / y) - x + y, arity=2, low=1e-6, high=1e6, common=(0.1, 12)
    ),
}
# The largest errors in float32 and float64 that tests allow; 2 for the others.
LIMITS: dict[str, tuple[float, float]] = {
    "sqrt": (0.5, 0.5),
    "reciprocal": (0.5, 0.5),
    "cbrt": (1, 1),
    "pow": (1.25, 1),
    "tan": (3, 3),
    "asin": (3, 3),
    "logaddexp": (40, 40),
    "logit": (3, 3),
    "sigmoid_slope": (3, 3),
    "sinc": (4, 4),
    "exprel": (2, 4),
    "erfc": (4, 8),
    "erfcx": (4, 8),
    "erfinv": (4, 4),
    "erfcinv": (4, 4),
    "ndtr": (5, 8),
    "log_ndtr": (5, 10),
    "ndtri": (4, 8),
    "gamma": (1, 8),
    "gammaln": (4, 8),
    "digamma": (4, 8),
    "betaln": (1, 40),
    "gammainc": (4, 3000),
    "gammaincc": (4, 3000),
    "gammaincinv": (1, 600),
    "gammainccinv": (1, 60),
    "betaincinv": (1, 600),
    "betainccinv": (1, 60),
    "i0": (5, 6),
    "i1": (5, 6),
    "i0e": (5, 6),
    "i1e": (4, 6),
    "exp1": (1, 6),
    "j0": (1, 30),
    "j1": (1, 25),
    "k0": (1, 15),
    "k0e": (1, 12),
    "k1": (1, 12),
    "k1e": (1, 10),
    "expi": (1, 6),
    "dawsn": (1, 6),
    "erfi": (1, 8),
    "sine_integral": (1, 4),
    "fresnel_sine": (1, 5),
    "fresnel_cosine": (1, 6),
    "ellipk": (1, 6),
    "ellipe": (1, 8),
    "lambertw": (1, 5),
    "spence": (1, 6),
    "zeta": (1, 10),
    "kl_div": (8, 20),
}


# --- arguments -----------------------------------------------------------------------------------


def _patterns(rng: np.random.Generator, dtype: str, count: int) -> Array:
    """Numbers of any exponent and sign, subnormal ones included."""
    bits = rng.integers(0, 1 << 64, size=count, dtype=np.uint64)
    values = (bits >> np.uint64(32)).astype(np.uint32) if dtype == "float32" else bits
    return values.view(dtype)


def _near(rng: np.random.Generator, point: float, count: int) -> Array:
    """On both sides, from far to the next numbers."""
    distance = np.exp2(rng.uniform(-54, -1, count)) * rng.choice([-1, 1], count)
    return np.asarray(point * (1 + distance) if point else distance)


def arguments(case: Case, dtype: str, count: int, seed: int = 0) -> tuple[Array, ...]:
    """About `count` arguments (or pairs) in the range of the case, all finite."""
    rng = np.random.default_rng(seed)

    def drawn() -> Array:
        parts = [_patterns(rng, dtype, count), rng.uniform(*case.common, count // 2)]
        low = max(case.low, -1e4)
        wide = rng.uniform(low, min(case.high, 1e4), count // 4)
        parts += [wide, *(_near(rng, point, count // 8) for point in case.points)]
        with np.errstate(over="ignore", under="ignore"):
            values = np.concatenate([part.astype(dtype) for part in parts])
        inside = np.isfinite(values) & (values >= case.low) & (values <= case.high)
        return np.compress(inside, values)

    first = drawn()
    if case.arity == 1:
        return (first,)
    others = rng.permutation(drawn())
    size = min(first.size, others.size)
    return first[:size], others[:size]


# --- errors --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    worst: float
    mean: float
    at: tuple[float, ...]


def _error(found: float, exact: Any, dtype: str) -> float:
    """In units in the last place of the exact value."""
    info = np.finfo(dtype)
    largest = mp.mpf(float(info.max)) * (1 + mp.mpf(2) ** (-info.nmant - 2))
    if not mp.isfinite(exact) or abs(exact) >= largest:
        right = math.isinf(found) and (found > 0) == (exact > 0)
        return 0.0 if right else math.inf
    if not math.isfinite(found):
        return math.inf
    exponent = max(mp.frexp(exact)[1] - 1, int(info.minexp)) if exact else int(info.minexp)
    return float(abs(mp.mpf(found) - exact) / mp.mpf(2) ** (exponent - info.nmant))


def measured(name: str, dtype: str, count: int, backend: str = "llvm") -> Outcome:
    """The errors of one function."""
    case = CASES[name]
    arrays = arguments(case, dtype, count)
    inputs = [gc.placeholder(f"x{n}", ("n",), dtype) for n in range(case.arity)]
    build = case.build or getattr(gc, name)
    found = gc.function(inputs, build(*inputs), backend=backend)(*arrays)
    worst, total, seen, at = 0.0, 0.0, 0, tuple(float(a[0]) for a in arrays)
    with mp.workdps(DIGITS), warnings.catch_warnings():
        for value, *point in zip(found.tolist(), *(a.tolist() for a in arrays), strict=True):
            try:
                exact = case.exact(*map(mp.mpf, point))
            except (ValueError, ZeroDivisionError, mp.mp.NoConvergence, OverflowError):
                continue  # a pole, or more than mpmath does
            if not isinstance(exact, mp.mpf) or mp.isnan(exact):
                continue
            error = _error(value, exact, dtype)
            seen += 1
            total += error if math.isfinite(error) else 0.0
            if error > worst:
                worst, at = error, tuple(point)
    return Outcome(worst, total / max(seen, 1), at)


# --- the table -----------------------------------------------------------------------------------


def table(names: Sequence[str], count: int) -> str:
    """A row for each function: largest error, mean error and worst argument, in both dtypes."""
    rows = ["| function | float32 | mean | worst at | float64 | mean | worst at |"]
    rows.append("|---|---:|---:|---|---:|---:|---|")
    for name in names:
        cells = [f"`{name}`"]
        for dtype in DTYPES:
            outcome = measured(name, dtype, count)
            shown = ", ".join(f"{v:.9g}" if dtype == "float32" else f"{v!r}" for v in outcome.at)
            cells += [f"{outcome.worst:.3g}", f"{outcome.mean:.2g}", shown]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CASES))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="replace the table in the page")
    options = parser.parse_args()
    text = table(options.names, options.count)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        page = re.sub(f"{MARK}.*?{MARK}", lambda _: MARK + text + MARK, page, flags=re.DOTALL)
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
