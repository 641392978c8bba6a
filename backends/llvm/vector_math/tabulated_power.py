"""pow of float32 with AVX-512: logarithms from tables in registers, as sums of two numbers.

x = 2^k * m, 1 <= m < 2. The first five bits of m choose c near 1/m, of so few bits that f = m*c - 1
is exact and |f| <= 1/32; log2 x = (k - log2 c) + log2(1+f). At both ends of the range c is 1 and
1/2, so that nothing is lost where log2 x is near 0. log(1+f) = f - f^2/2 + f^3*P(f), where the
first two terms and the product with y are sums of two numbers; what 2^r then loses is less than an
ulp. 0 and infinity need no care: their logarithms are infinite, and 2^r of that 0 and infinity.
"""

import functools
import math
from collections.abc import Sequence

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.backends.llvm.vector_math.arithmetic import as_int, fast_two_sum, horner
from graphc.backends.llvm.vector_math.exponential import FLOAT as EXPONENTIAL
from graphc.backends.llvm.vector_math.exponential import clamp
from graphc.backends.llvm.vector_math.logarithm import FLOAT as LOGARITHM

LANES = 16  # of a register
ROWS = 32  # of the tables
INDEX_SHIFT = 18  # the bits of a mantissa below those that number a row
LARGEST = 1 / 32  # of |f|
EXACT = 1 / 64  # up to which f is exact for c of 7 bits; beyond for those of 6
STEP = 2.0**-16  # the first part of log2 c is a multiple of it: k minus it is exact
# (log(1+f) - f + f^2/2) / f^3 on [-1/64, 1/32], to 26 bits
LOG_TAIL = (0.3333333432674408, -0.25000110268592834, 0.19997502863407135, -0.1608411967754364)
BEYOND_ALL = 200.0  # powers of two that overflow or underflow


def power(b: TextBuilder, x: Val, y: Val) -> Val:
    """x^y for x >= 0 or NaN, in whole registers: the bits do not depend on the number of lanes."""
    if x.lanes < LANES:
        result = _power(b, *(_widened(b, one) for one in (x, y)))
        return b.lane(result, 0) if x.lanes == 1 else b.shuffle(result, result, range(x.lanes))
    if x.lanes == LANES:
        return _power(b, x, y)
    halves = (range(x.lanes // 2), range(x.lanes // 2, x.lanes))
    low, high = (power(b, *(b.shuffle(one, one, half) for one in (x, y))) for half in halves)
    return b.shuffle(low, high, range(x.lanes))


def _widened(b: TextBuilder, x: Val) -> Val:
    """With lanes that hold anything behind its own."""
    if x.lanes == 1:
        text = f"insertelement <{LANES} x float> poison, float {x.text}, i64 0"
        return b.emit(text, x.type, LANES)
    places = [min(lane, x.lanes - 1) for lane in range(LANES)]
    return b.shuffle(x, x, places)


def _power(b: TextBuilder, x: Val, y: Val) -> Val:
    high, low = _log2(b, x)
    product = b.fmul(y, high)
    rest = b.fma(y, low, b.fma(y, high, b.fneg(product)))
    one = b.const(1.0, x)
    product = clamp(b, product, -BEYOND_ALL, BEYOND_ALL)
    # Where the product is too large, the rest is anything, or NaN.
    for predicate, limit in (("ogt", b.const(-1.0, x)), ("olt", one)):
        rest = b.select(b.fcmp(predicate, rest, limit), rest, limit)
    n = b.roundeven(product)
    r = b.fadd(b.fsub(product, n), rest)
    result = b.scalef(b.fma(horner(b, r, EXPONENTIAL.exp2), r, one), n)
    zero = b.const(0.0, x)
    is_one = b.or_(b.fcmp("oeq", high, zero), b.fcmp("oeq", y, zero))
    return b.select(is_one, one, result)


def _log2(b: TextBuilder, x: Val) -> tuple[Val, Val]:
    """log2 of x > 0 as high + low, to about 34 bits."""
    k, m = b.getexp(x), b.getmant_of_abs(x)
    bits = as_int(b, m)
    row = b.lshr(bits, b.const(INDEX_SHIFT, bits))
    inverse, start, start_low = (b.looked_up(row, table) for table in tables())
    f = b.fma(m, inverse, b.const(-1.0, x))
    minus_half = b.fmul(f, b.const(-0.5, f))
    g = b.fma(minus_half, f, f)
    g_low = b.fma(minus_half, f, b.fsub(f, g))
    g_low = b.fma(b.fmul(b.fmul(f, f), f), horner(b, f, LOG_TAIL), g_low)
    factor, factor_low = (b.const(part, x) for part in LOGARITHM.log2_e)
    term = b.fmul(g, factor)
    term_low = b.fma(g, factor, b.fneg(term))
    term_low = b.fma(g, factor_low, b.fma(g_low, factor, term_low))
    high, low = fast_two_sum(b, b.fadd(k, start), term)
    return high, b.fadd(low, b.fadd(start_low, term_low))


@functools.cache
def tables() -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    """For each row c, and -log2 c in two parts."""
    inverses = [_inverse(row) for row in range(ROWS)]
    starts = [round(-math.log2(c) / STEP) * STEP for c in inverses]
    rests = [-math.log2(c) - start for c, start in zip(inverses, starts, strict=True)]
    return inverses, starts, rests


def _inverse(row: int) -> float:
    """The c of the row with the smallest f, among those for which all f are exact."""
    if row in (0, ROWS - 1):
        return 1.0 if row == 0 else 0.5
    ends = (1 + row / ROWS, 1 + (row + 1) / ROWS)

    def largest(c: float) -> float:
        return max(abs(end * c - 1) for end in ends)

    fine = min((number / 128 for number in range(64, 129)), key=largest)
    if largest(fine) < EXACT:
        return fine
    return min((number / 64 for number in range(32, 65)), key=largest)
