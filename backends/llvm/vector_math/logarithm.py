"""log, log2, log10 and log1p.

Method: x = 2^k * (1+f) with 1+f between sqrt(1/2) and sqrt(2) (float32: 2/3 and 4/3), and
log(1+f) = f + low, low from a minimax polynomial in f (float32) or in s = f/(2+f) as in fdlibm's
e_log.c (float64). Every logarithm is a combination of k, f and low that adds the large term last.
"""

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.backends.llvm.vector_math.arithmetic import (
    FORMATS,
    as_float,
    as_int,
    fills_register,
    horner,
)
from graphc.records import dataclass


@dataclass(frozen=True, slots=True)
class _Tables:
    lower: int  # bits of the least 1+f
    upper: float  # twice that
    ln2: tuple[float, float]  # k times the first is exact
    log2_e: tuple[float, float]
    log10_e: tuple[float, float]
    log10_2: tuple[float, float]  # k times the first is exact
    polynomial: tuple[float, ...]


FLOAT = _Tables(
    lower=0x3F2AAAAB,
    upper=1.3333333730697632,
    ln2=(0.693145751953125, 1.428606765330187e-06),
    log2_e=(1.4426950216293335, 1.925963033500011e-08),
    log10_e=(0.4342944920063019, -1.0103049952192578e-08),
    log10_2=(0.301025390625, 4.605039066518657e-06),
    # (log(1+f) - f + f^2/2) / f^3 on [-1/3, 1/3], relative to log(1+f)
    polynomial=(
        0.3333321511745453,
        -0.24999797344207764,
        0.2001044601202011,
        -0.16680504381656647,
        0.14005307853221893,
        -0.12184005975723267,
        0.1398688405752182,
        -0.12892849743366241,
    ),
)
DOUBLE = _Tables(
    lower=0x3FE6A09E667F3BCD,
    upper=1.4142135623730951,
    ln2=(0.6931471804855391, 7.440617110012397e-11),
    log2_e=(1.4426950408889634, 2.0355273740931033e-17),
    log10_e=(0.4342944819032518, 1.098319650216765e-17),
    log10_2=(0.30102999566361177, 3.694239077158931e-13),
    # (log((1+s)/(1-s))/s - 2) / s^2 in s^2, |s| <= (sqrt(2)-1)/(sqrt(2)+1)
    polynomial=(
        0.6666666666666745,
        0.3999999999933685,
        0.2857142876107882,
        0.22222196525249172,
        0.18183676982251912,
        0.15311020686068036,
        0.1482764132116357,
    ),
)
TABLES = {"float": FLOAT, "double": DOUBLE}


@dataclass(slots=True)
class Reduced:
    """x = 2^k * (1+f), log(1+f) = f + low. `minus_k` is +0 where k = 0, so that no product with
    it changes the sign of a zero that it is added to."""

    minus_k: Val
    f: Val
    low: Val


def log_low(b: TextBuilder, f: Val) -> Val:
    """log(1+f) - f for 1+f near [sqrt(1/2), sqrt(2)]."""
    polynomial = TABLES[f.type].polynomial
    if f.type == "float":
        return b.fmul(b.fmul(f, f), horner(b, f, (-0.5, *polynomial)))
    s = b.fdiv(f, b.fadd(f, b.const(2.0, f)))
    z = b.fmul(s, s)
    half_square = b.fmul(b.fmul(f, b.const(0.5, f)), f)
    r = b.fma(z, horner(b, z, polynomial), half_square)
    return b.fma(s, r, b.fneg(half_square))


def _shifted_bits(b: TextBuilder, x: Val) -> Val:
    """The bits of a normal x > 0, moved so that the exponent field is k + bias."""
    f, bits = FORMATS[x.type], as_int(b, x)
    return b.add(bits, b.const((f.bias << f.mantissa) - TABLES[x.type].lower, bits))


def _exponent_base(x: Val) -> float:
    """What `_minus_exponent` subtracts from."""
    f = FORMATS[x.type]
    return 2.0**f.mantissa + f.bias


def _minus_exponent(b: TextBuilder, shifted: Val, base: Val) -> Val:
    """base - (2^mantissa + the exponent field of shifted), as a float.

    The field becomes a float by standing in the low bits of 2^mantissa, as 64-bit integers have
    no vector conversion on many targets.
    """
    f = FORMATS[base.type]
    field = b.lshr(shifted, b.const(f.mantissa, shifted))
    power = b.const((f.mantissa + f.bias) << f.mantissa, shifted)
    return b.fsub(base, as_float(b, b.or_(field, power)))


def split(b: TextBuilder, x: Val, subnormals: bool = True) -> tuple[Val, Val]:
    """(-k, m) with x = 2^k * m > 0 and m near 1; subnormals are scaled up first."""
    f = FORMATS[x.type]
    base = b.const(_exponent_base(x), x)
    if subnormals:
        up = f.mantissa + 1
        small = b.fcmp("olt", x, b.const(f.smallest_normal, x))
        x = b.select(small, b.fmul(x, b.const(2.0**up, x)), x)
        base = b.select(small, b.const(_exponent_base(x) + up, x), base)
    shifted = _shifted_bits(b, x)
    fraction = b.and_(shifted, b.const(f.mantissa_mask, shifted))
    m = as_float(b, b.add(fraction, b.const(TABLES[x.type].lower, shifted)))
    return _minus_exponent(b, shifted, base), m


def split_at_once(b: TextBuilder, x: Val) -> tuple[Val, Val]:
    """(-k, m) as of `split`, with AVX-512; for 0 (inf, 1), infinity (-inf, 1), below 0 m is NaN.

    Logarithms made of that are what `_with_limits` makes of others.
    """
    m = b.getmant(x)
    upper = b.fcmp("oge", m, b.const(TABLES[x.type].upper, x))
    base = b.select(upper, b.const(-1.0, x), b.const(0.0, x))
    return b.fsub(base, b.getexp(x)), b.select(upper, b.fmul(m, b.const(0.5, x)), m)


def reduce_argument(b: TextBuilder, x: Val) -> Reduced:
    minus_k, m = split_at_once(b, x) if fills_register(b, x) else split(b, x)
    f = b.fsub(m, b.const(1.0, x))
    return Reduced(minus_k, f, log_low(b, f))


def _with_limits(b: TextBuilder, x: Val, result: Val, pole: float) -> Val:
    """-infinity at the pole, NaN below it, x itself where it is NaN or infinity."""
    result = b.select(b.fcmp("olt", x, b.const(float("inf"), x)), result, x)
    at_pole = b.fcmp("oeq", x, b.const(pole, x))
    outside = b.select(at_pole, b.const(float("-inf"), x), b.const(float("nan"), x))
    return b.select(b.fcmp("ugt", x, b.const(pole, x)), result, outside)


def natural(b: TextBuilder, reduced: Reduced) -> Val:
    """k*ln2 + log(1+f)."""
    high, low = TABLES[reduced.f.type].ln2
    small = b.fma(reduced.minus_k, b.const(-low, reduced.f), reduced.low)
    return b.fma(reduced.minus_k, b.const(-high, reduced.f), b.fadd(reduced.f, small))


def _limited(b: TextBuilder, x: Val, result: Val) -> Val:
    """Logarithms of what is no positive number."""
    return result if fills_register(b, x) else _with_limits(b, x, result, 0.0)


def log(b: TextBuilder, x: Val) -> Val:
    return _limited(b, x, natural(b, reduce_argument(b, x)))


def _scaled(b: TextBuilder, reduced: Reduced, factor: tuple[float, float]) -> Val:
    """log(1+f) * factor, the factor given in two parts."""
    high, low = (b.const(part, reduced.f) for part in factor)
    small = b.fma(reduced.low, high, b.fmul(reduced.f, low))
    return b.fma(reduced.f, high, small)


def log2(b: TextBuilder, x: Val) -> Val:
    """k + log(1+f)*log2(e): exact at powers of two."""
    reduced = reduce_argument(b, x)
    y = b.fsub(_scaled(b, reduced, TABLES[x.type].log2_e), reduced.minus_k)
    return _limited(b, x, y)


def log10(b: TextBuilder, x: Val) -> Val:
    """k*log10(2) + log(1+f)*log10(e)."""
    reduced = reduce_argument(b, x)
    high, low = TABLES[x.type].log10_2
    y = b.fma(reduced.minus_k, b.const(-low, x), _scaled(b, reduced, TABLES[x.type].log10_e))
    y = b.fma(reduced.minus_k, b.const(-high, x), y)
    return _limited(b, x, y)


def log1p_in_range(b: TextBuilder, x: Val, doubled: Val | None = None) -> Val:
    """log(1+x) for finite x > -1; where the mask `doubled` is set, ln2 is added.

    2^k is the exponent of 1+x as rounded; f = x*2^-k + (2^-k - 1) is then formed from x itself
    and nearly exact (after N. Juffa's log1pf), so that no correction term is needed.
    """
    f = FORMATS[x.type]
    shifted = _shifted_bits(b, b.fadd(x, b.const(1.0, x)))
    base = b.const(_exponent_base(x), x)
    if doubled is not None:
        base = b.select(doubled, b.const(_exponent_base(x) - 1, x), base)
    minus_k = _minus_exponent(b, shifted, base)
    exponent = b.and_(shifted, b.const(~f.mantissa_mask, shifted))
    down = b.sub(b.const(f.bias << f.mantissa, shifted), exponent)  # -k in the exponent field
    scaled = as_float(b, b.add(as_int(b, x), down))
    four_times = as_float(b, b.add(down, b.const((f.bias + 2) << f.mantissa, shifted)))  # 2^(2-k)
    missing = b.fma(four_times, b.const(-0.25, x), b.const(1.0, x))
    fraction = b.fsub(scaled, missing)
    return natural(b, Reduced(minus_k, fraction, log_low(b, fraction)))


def log1p(b: TextBuilder, x: Val) -> Val:
    return _with_limits(b, x, log1p_in_range(b, x), -1.0)
