"""asin, acos, atan and atan2: minimax polynomials in the square of a reduced argument."""

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.backends.llvm.vector_math.arithmetic import horner
from graphc.records import dataclass


@dataclass(frozen=True, slots=True)
class _Tables:
    half_pi: tuple[float, float]
    pi: tuple[float, float]
    asin: tuple[float, ...]  # (asin(x)/x - 1) / x^2 in x^2, |x| <= 1/2
    atan: tuple[float, ...]  # (atan(x)/x - 1) / x^2 in x^2, |x| <= 1


FLOAT = _Tables(
    half_pi=(1.5707963705062866, -4.371138828673793e-08),
    pi=(3.1415927410125732, -8.742277657347586e-08),
    asin=(
        0.16666752099990845,
        0.07495307177305222,
        0.04546963796019554,
        0.0241815447807312,
        0.042164988815784454,
    ),
    atan=(
        -0.33333298563957214,
        0.1999853551387787,
        -0.14264126121997833,
        0.10951653867959976,
        -0.08402050286531448,
        0.05793561786413193,
        -0.031157497316598892,
        0.010904346592724323,
        -0.0017914498457685113,
    ),
)
DOUBLE = _Tables(
    half_pi=(1.5707963267948966, 6.123233995736766e-17),
    pi=(3.141592653589793, 1.2246467991473532e-16),
    asin=(
        0.16666666666665403,
        0.07500000000338597,
        0.04464285682693388,
        0.03038195919735752,
        0.022371756543803557,
        0.017359728259257592,
        0.013884996503158402,
        0.012170821998421892,
        0.006520844226704044,
        0.01954820876343662,
        -0.01625618599979694,
        0.0319345755914478,
    ),
    atan=(
        -0.3333333333333307,
        0.1999999999995176,
        -0.14285714282588807,
        0.11111111007364234,
        -0.09090907008185457,
        0.07692279893242013,
        -0.06666404456891928,
        0.05880529997057428,
        -0.05253527579347617,
        0.0472235094367774,
        -0.042192500538697,
        0.03664328676497308,
        -0.029905941124796692,
        0.021987307261498203,
        -0.01390278537224741,
        0.007198025252610017,
        -0.002885677562433623,
        0.0008315822371541826,
        -0.000152215768200787,
        1.323043812539994e-05,
    ),
)
TABLES = {"float": FLOAT, "double": DOUBLE}


def _odd(b: TextBuilder, x: Val, z: Val, coefficients: tuple[float, ...]) -> Val:
    """x + x*z*P(z)."""
    return b.fma(b.fmul(x, z), horner(b, z, coefficients), x)


def _minus_from(b: TextBuilder, base: tuple[float, float], y: Val) -> Val:
    """base - y, the base given in two parts."""
    return b.fsub(b.const(base[0], y), b.fsub(y, b.const(base[1], y)))


def _asin_magnitude(b: TextBuilder, x: Val) -> tuple[Val, Val]:
    """(|x| > 1/2, p): asin|x| is p, or pi/2 - 2p where the mask is set (p is asin of
    sqrt((1-|x|)/2) there; NaN for |x| > 1)."""
    half = b.const(0.5, x)
    a = b.fabs(x)
    large = b.fcmp("ogt", a, half)
    folded = b.fma(a, b.const(-0.5, x), half)
    z = b.select(large, folded, b.fmul(x, x))
    s = b.select(large, b.sqrt(z), a)
    return large, _odd(b, s, z, TABLES[x.type].asin)


def asin(b: TextBuilder, x: Val) -> Val:
    large, p = _asin_magnitude(b, x)
    folded = _minus_from(b, TABLES[x.type].half_pi, b.fadd(p, p))
    return b.copysign(b.select(large, folded, p), x)


def acos(b: TextBuilder, x: Val) -> Val:
    """pi/2 - asin x for |x| <= 1/2; else 2p, or pi - 2p for negative x."""
    tables = TABLES[x.type]
    large, p = _asin_magnitude(b, x)
    p = b.copysign(p, x)
    negative = b.fcmp("olt", x, b.const(0.0, x))
    parts = []
    for of_pi, of_half_pi in zip(tables.pi, tables.half_pi, strict=True):
        far = b.select(negative, b.const(of_pi, x), b.const(0.0, x))
        parts.append(b.select(large, far, b.const(of_half_pi, x)))
    moved = b.select(large, b.fadd(p, p), b.fneg(p))
    return b.fadd(parts[0], b.fadd(moved, parts[1]))


def atan(b: TextBuilder, x: Val) -> Val:
    """atan a for a <= 1, else pi/2 - atan(1/a)."""
    one = b.const(1.0, x)
    a = b.fabs(x)
    large = b.fcmp("ogt", a, one)
    q = b.select(large, b.fdiv(one, a), a)
    p = _odd(b, q, b.fmul(q, q), TABLES[x.type].atan)
    folded = _minus_from(b, TABLES[x.type].half_pi, p)
    return b.copysign(b.select(large, folded, p), x)


def atan2(b: TextBuilder, y: Val, x: Val) -> Val:
    """The angle of the point (x, y), in (-pi, pi]; zeros and infinities as in C99 annex F."""
    tables = TABLES[x.type]
    zero, one = b.const(0.0, x), b.const(1.0, x)
    ax, ay = b.fabs(x), b.fabs(y)
    steep = b.fcmp("ogt", ay, ax)
    largest, least = b.select(steep, ay, ax), b.select(steep, ax, ay)
    q = b.fdiv(least, largest)
    # 0/0 is 0 here, and inf/inf is 1
    equal = b.select(b.fcmp("oeq", ax, zero), zero, one)
    q = b.select(b.fcmp("oeq", ax, ay), equal, q)
    p = _odd(b, q, b.fmul(q, q), tables.atan)
    p = b.select(steep, _minus_from(b, tables.half_pi, p), p)
    negative = b.fcmp("olt", b.copysign(one, x), zero)  # -0 counts as negative
    p = b.select(negative, _minus_from(b, tables.pi, p), p)
    return b.copysign(p, y)
