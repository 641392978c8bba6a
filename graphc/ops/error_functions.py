"""The error functions, the normal distribution function, and their inverses.

The complement of erf is exp(-x**2) erfcx(x), and the scaled function erfcx is smooth enough for one
polynomial over the whole half line (M. Shepherd and J. Laframboise, "Chebyshev approximation of
(1 + 2x) exp(x**2) erfc x in 0 <= x < inf", Math. Comp. 36, 1981). The inverses are x times a
function of -log(1 - x**2), in three pieces (the form is M. Giles', "Approximating the erfinv
function", GPU Computing Gems, 2010). All coefficients are of our own interpolation at Chebyshev
points, in 60 digits.
"""

import math

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special, single_partial
from graphc.ops.series import gaussian

__all__ = ["erfc", "erfcinv", "erfcx", "erfinv", "log_ndtr", "ndtr", "ndtri"]

# ((1 + 2x) erfcx(x) - 1) / (1 + t) in t = (x - 3.75) / (x + 3.75)
_SCALED = (
    0.2375126308378276,
    -0.3777532294233746,
    0.3813386449088395,
    -0.29906190641868974,
    0.19025797627692215,
    -0.09795365511666321,
    0.03926025652730712,
    -0.010897979106929788,
    0.0011513995467633167,
    0.0006042262966685475,
    -0.00031051262172745374,
    2.0358579693926705e-05,
    3.1290494349244584e-05,
    -8.906355823587831e-06,
    -2.5377500097954473e-06,
    1.5643624930460329e-06,
    1.8723734471233091e-07,
    -2.4464810544247007e-07,
    -1.4005353074201294e-08,
    3.740388738724219e-08,
    1.276092806152313e-09,
    -5.07428260388852e-09,
    -1.0652100892560516e-10,
    4.270472427184967e-10,
)
# erfinv(x) / x with w = -log(1 - x^2), in w / 3.125 - 1 for w <= 6.25
_CENTRE = (
    1.6536545626831027,
    0.7504943200799635,
    -0.05892256710377784,
    -0.022604447453449802,
    0.017808361818295655,
    -0.00413731437741443,
    -0.0012716922684373015,
    0.0012324855686812834,
    -0.0002643936684366174,
    -0.0001168888399309713,
    9.33673917780479e-05,
    -1.5027710420277575e-05,
    -1.1257319182677936e-05,
    7.1300572630824496e-06,
    -6.83718721812117e-07,
    -1.059321402540731e-06,
    5.394320648707009e-07,
    -1.0185147576818285e-08,
    -9.867713140174249e-08,
    3.915473114023045e-08,
    4.792369996100387e-09,
    -8.562787796742932e-09,
    1.5401738716654886e-09,
    7.689312733742569e-10,
    -2.7032254091069344e-10,
)
# the same in 0.8 s - 3 with s = sqrt(w), 2.5 <= s <= 5
_MIDDLE = (
    3.5875041872852242,
    1.2608470495124553,
    0.0032100697498899885,
    -0.0025130603601855976,
    0.0013296875362446413,
    -0.0008104755783764461,
    0.0006085808890185243,
    -0.00045646593709769,
    0.0002819156748837284,
    -0.00011949303030927574,
    1.4562074542977125e-05,
    2.4981716655158706e-05,
    -2.3521161743451563e-05,
    1.0192373247633269e-05,
    -9.143671830035124e-07,
    -1.8795404773622346e-06,
    1.3831661900439078e-06,
    -4.33759544618799e-07,
    -1.846829249986558e-08,
    9.278127051701379e-08,
    -5.360675359862195e-08,
    1.4446605451272868e-08,
    2.911665563973756e-09,
    -3.825346968744879e-09,
    9.260008657108533e-10,
)
# erfinv(x) / (x s) in (280 / s - 33) / 23 for 5 <= s <= 28
_TAIL = (
    0.9859388830308825,
    -0.01479404926488717,
    -0.0018169723467840215,
    0.0007658181983572153,
    -0.0001397083924533413,
    3.677068611142181e-05,
    -1.3180614546115437e-05,
    5.3049382124877384e-06,
    -2.3099653318631715e-06,
    1.0724345157330431e-06,
    -5.234488628177699e-07,
    2.6530453816566373e-07,
    -1.363998683906493e-07,
    7.289544730283934e-08,
    -4.7788321159657734e-08,
    2.7219037608680942e-08,
    3.85080951949765e-09,
    -3.282389604907063e-09,
    -3.127094419683902e-08,
    1.9732710350185806e-08,
    2.840070839709645e-08,
    -1.8174513979463262e-08,
    -2.231701583284853e-08,
    1.4224475480417553e-08,
    9.373818494334222e-09,
    -5.987082667627087e-09,
    -2.0782826615933027e-09,
    1.3233760291200107e-09,
)


def _scaled(b: Builder, a: Tensor) -> Tensor:
    """erfcx(a) for a >= 0, exactly 1 at 0. 1 + t is 2a / (a + 3.75), without cancellation."""
    held = b.minimum(a, 1e30)
    above = b.divide(b.multiply(held, 2), b.add(held, 3.75))
    top = b.add(b.multiply(above, _in_range(b, b.subtract(above, 1), _SCALED)), 1)
    return b.divide(b.multiply(top, 0.5), b.add(a, 0.5))  # 2a may overflow


def _in_range(b: Builder, t: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    return b.polynomial(t, coefficients, within=(-1, 1))


def _tail(b: Builder, x: Tensor, factor: float, scale: float, beyond: float) -> Tensor:
    """exp(factor x^2) erfcx(|x| scale), 0 from |x| = beyond on"""
    a = b.minimum(b.abs(x), beyond)
    return b.multiply(gaussian(b, a, factor), _scaled(b, b.multiply(a, scale)))


def _erfc(b: Builder, x: Tensor) -> Tensor:
    tail = _tail(b, x, -1.0, 1.0, 28.0)
    return b.where(b.less(x, 0), b.subtract(2, tail), tail)


def _erfcx(b: Builder, x: Tensor) -> Tensor:
    """For x < 0: 2 exp(x^2) - erfcx(|x|)"""
    value = _scaled(b, b.abs(x))
    growth = gaussian(b, b.minimum(b.abs(x), 28), 1.0)
    return b.where(b.less(x, 0), b.subtract(b.multiply(growth, 2), value), value)


def _ndtr(b: Builder, x: Tensor) -> Tensor:
    half = b.multiply(_tail(b, x, -0.5, math.sqrt(0.5), 40.0), 0.5)
    return b.where(b.less(x, 0), half, b.subtract(1, half))


def _log_ndtr(b: Builder, x: Tensor) -> Tensor:
    """log(erfcx(-x / sqrt(2)) / 2) - x^2 / 2 below -1, log1p(-Q) with Q = 1 - ndtr(x) above"""
    scaled = _scaled(b, b.multiply(b.abs(x), math.sqrt(0.5)))
    square_half = b.multiply(b.multiply(x, 0.5), x)  # where x^2 overflows, this need not
    below = b.subtract(b.log(b.multiply(scaled, 0.5)), square_half)
    above = b.log1p(b.negative(_ndtr(b, b.negative(x))))
    return b.where(b.less(x, -1), below, above)


def _inverse(b: Builder, x: Tensor, complement: Tensor) -> Tensor:
    """erfinv(x), given 1 - x^2 with all its digits"""
    w = b.negative(b.log(complement))
    root = b.sqrt(w)
    centre = _in_range(b, b.subtract(b.multiply(w, 0.32), 1), _CENTRE)
    middle = _in_range(b, b.subtract(b.multiply(root, 0.8), 3), _MIDDLE)
    z = b.maximum(b.divide(1, root), 1 / 28)
    tail = _in_range(b, b.subtract(b.multiply(z, 280 / 23), 33 / 23), _TAIL)
    far = b.where(b.less(root, 5), middle, b.multiply(root, tail))
    return b.multiply(x, b.where(b.less(w, 6.25), centre, far))


def _erfinv(b: Builder, x: Tensor) -> Tensor:
    return _inverse(b, x, b.multiply(b.subtract(1, x), b.add(x, 1)))


def _ndtri(b: Builder, p: Tensor) -> Tensor:
    """sqrt(2) erfinv(2p - 1); 1 - (2p - 1)^2 = 4p (1 - p)"""
    complement = b.multiply(b.multiply(p, 4), b.subtract(1, p))
    x = b.subtract(b.multiply(p, 2), 1)
    return b.multiply(_inverse(b, x, complement), math.sqrt(2))


# --- derivatives ---------------------------------------------------------------------------------

# sqrt(pi)/2 erfcx'(x) x^2, the asymptotic series in 1/x^2
_SLOPE = tuple((-1) ** k * math.prod(range(1, 2 * k, 2)) / 2**k for k in range(1, 13))


def _erfcx_slope(b: Builder, x: Tensor) -> Tensor:
    """2x erfcx(x) - 2/sqrt(pi), and its asymptotic series from 16 on, where that cancels"""
    far = b.greater(x, 16)
    near = b.where(far, 0, x)
    v = b.square(b.divide(1, b.where(far, x, 16)))
    series = b.multiply(b.multiply(v, b.polynomial(v, _SLOPE)), 2 / math.sqrt(math.pi))
    closed = b.subtract(b.multiply(b.multiply(near, b.erfcx(near)), 2), 2 / math.sqrt(math.pi))
    return b.where(far, series, closed)


def _density(b: Builder, x: Tensor) -> Tensor:
    power = gaussian(b, b.minimum(b.abs(x), 40), -0.5)
    return b.multiply(power, 1 / math.sqrt(2 * math.pi))


def _log_ndtr_slope(b: Builder, x: Tensor) -> Tensor:
    """density / ndtr = sqrt(2/pi) / erfcx(-x / sqrt(2)), where nothing underflows for x < 0"""
    negative = b.less(x, 0)
    scaled = b.erfcx(b.multiply(b.where(negative, x, 0), -math.sqrt(0.5)))
    below = b.divide(math.sqrt(2 / math.pi), scaled)
    return b.where(negative, below, b.divide(_density(b, x), b.ndtr(x)))


erfc = define_composed(
    "erfc",
    "1 - erf(x), exact for large x: exp(-x**2) erfcx(x).",
    build=_erfc,
    reference=scipy_special("erfc"),
    partials=(
        single_partial(
            lambda b, x: b.multiply(
                gaussian(b, b.minimum(b.abs(x), 28), -1.0), -2 / math.sqrt(math.pi)
            )
        ),
    ),
    single=True,
)
erfcx = define_composed(
    "erfcx",
    "exp(x**2) erfc(x), which neither over- nor underflows for x > 0.\n\n"
    "One polynomial after Shepherd and Laframboise; 2 exp(x**2) - erfcx(-x) for x < 0.",
    build=_erfcx,
    reference=scipy_special("erfcx"),
    partials=(double_partial(_erfcx_slope),),
    single=True,
)
erfinv = define_composed(
    "erfinv",
    "The x of erf(x): inf at 1, -inf at -1, NaN beyond.\n\n"
    "x times three polynomials in -log(1 - x**2), after Giles.",
    build=_erfinv,
    reference=scipy_special("erfinv"),
    partials=(lambda b, a: b.multiply(b.exp(b.square(a.output)), math.sqrt(math.pi) / 2),),
    domain=(-0.9, 0.9),
    single=True,
)
erfcinv = define_composed(
    "erfcinv",
    "The x of erfc(x): inf at 0, -inf at 2, NaN outside of [0, 2].\n\n"
    "The polynomials of erfinv; exact for x down to the smallest positive number.",
    build=lambda b, x: _inverse(b, b.subtract(1, x), b.multiply(x, b.subtract(2, x))),
    reference=scipy_special("erfcinv"),
    partials=(lambda b, a: b.multiply(b.exp(b.square(a.output)), -math.sqrt(math.pi) / 2),),
    domain=(0.1, 1.9),
    single=True,
)
ndtr = define_composed(
    "ndtr",
    "The standard normal distribution function: the probability of values up to x.",
    build=_ndtr,
    reference=scipy_special("ndtr"),
    partials=(single_partial(_density),),
    single=True,
)
log_ndtr = define_composed(
    "log_ndtr",
    "log(ndtr(x)), also where ndtr underflows or is nearly 1.",
    build=_log_ndtr,
    reference=scipy_special("log_ndtr"),
    partials=(single_partial(_log_ndtr_slope),),
    single=True,
)
ndtri = define_composed(
    "ndtri",
    "The x of ndtr(x): -inf at 0, inf at 1, NaN outside of [0, 1].\n\n"
    "The polynomials of erfinv; exact for x down to the smallest positive number.",
    build=_ndtri,
    reference=scipy_special("ndtri"),
    partials=(
        lambda b, a: b.multiply(b.exp(b.multiply(b.square(a.output), 0.5)), math.sqrt(2 * math.pi)),
    ),
    domain=(0.05, 0.95),
    single=True,
)
