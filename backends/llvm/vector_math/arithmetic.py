"""Floating formats, polynomials and exact arithmetic that the function families share."""

from collections.abc import Callable, Sequence

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.records import dataclass

Emitter = Callable[..., Val]  # (builder, argument, ...) -> result, all of one type and lanes


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """One of the two IEEE formats, and the integer constants of its bit pattern."""

    type: str
    int_type: str
    mantissa: int  # stored bits
    bias: int
    smallest_normal: float

    @property
    def width(self) -> int:
        return 32 if self.type == "float" else 64

    @property
    def shifter(self) -> float:
        """Adding it rounds to an integer, which then stands in the low bits (1.5 * 2^mantissa)."""
        return 1.5 * 2.0**self.mantissa

    @property
    def sign_bit(self) -> int:
        return 1 << (self.width - 1)

    @property
    def mantissa_mask(self) -> int:
        return (1 << self.mantissa) - 1


SHORT = 3  # coefficients for which Horner's rule is as short as others
LONG = 7  # coefficients from which two chains are faster: a core has work for both at a time

FLOAT32 = FloatFormat("float", "i32", 23, 127, 2.0**-126)
FLOAT64 = FloatFormat("double", "i64", 52, 1023, 2.0**-1022)
FORMATS = {"float": FLOAT32, "double": FLOAT64}


def horner(b: TextBuilder, x: Val, coefficients: Sequence[float], factor: Val | None = None) -> Val:
    """c[0] + x*(c[1] + x*(c[2] + ...)), coefficients in rising order.

    Long ones as c[0] + x*(even(x^2) + x*odd(x^2)): two chains side by side, for one product more;
    the last step, whose rounding counts, is Horner's. In code that waits for its results by
    Estrin's scheme: more products, the shortest chain.

    factor: a power of two that all is multiplied with, where c[0] is 1. The last step takes it in,
    so that no product waits for the sum.
    """
    if b.waits and len(coefficients) > SHORT:
        return estrin(b, x, [b.const(c, x) for c in coefficients])
    if len(coefficients) >= LONG:
        square = b.fmul(x, x)
        even, odd = (_chain(b, square, coefficients[start::2]) for start in (1, 2))
        slope = b.fma(odd, x, even)
    else:
        slope = _chain(b, x, coefficients[1:])
    if factor is None:
        return b.fma(slope, x, b.const(coefficients[0], x))
    assert coefficients[0] == 1
    return b.fma(slope, b.fmul(x, factor), factor)


def _chain(b: TextBuilder, x: Val, coefficients: Sequence[float]) -> Val:
    *rest, last = coefficients
    result = b.const(last, x)
    for c in reversed(rest):
        result = b.fma(result, x, b.const(c, x))
    return result


def estrin(b: TextBuilder, x: Val, coefficients: Sequence[Val]) -> Val:
    """The same polynomial, pairs of its terms first: (c[0] + x*c[1]) + x^2*(c[2] + x*c[3]) ..."""
    terms, power = list(coefficients), x
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        joined = [b.fma(high, power, low) for low, high in pairs]
        terms = [*joined, *terms[len(joined) * 2 :]]
        if len(terms) > 1:
            power = b.fmul(power, power)
    return terms[0]


def fills_register(b: TextBuilder, x: Val) -> bool:
    """Whether the instructions of AVX-512 for exponents and mantissas take x, or parts of it."""
    return b.has_avx512 and FORMATS[x.type].width * x.lanes in (128, 256, 512, 1024, 2048)


def as_int(b: TextBuilder, a: Val) -> Val:
    return b.bitcast(a, FORMATS[a.type].int_type)


def as_float(b: TextBuilder, bits: Val) -> Val:
    return b.bitcast(bits, "float" if bits.type == "i32" else "double")


def flip_sign(b: TextBuilder, a: Val, sign: Val) -> Val:
    """a with its sign bit xor-ed with the bits of `sign`, which are zero below the sign bit."""
    return as_float(b, b.xor(as_int(b, a), sign))


def sign_bits(b: TextBuilder, a: Val) -> Val:
    """The bits of a, all cleared but the sign bit."""
    bits = as_int(b, a)
    return b.and_(bits, b.const(FORMATS[a.type].sign_bit, bits))


def two_product(b: TextBuilder, x: Val, y: Val) -> tuple[Val, Val]:
    """x*y as high + low without error; Dekker's splitting (1971) where there is no FMA."""
    high = b.fmul(x, y)
    if b.has_fma:
        return high, b.fma(x, y, b.fneg(high))
    x1, x2 = _halves(b, x)
    y1, y2 = _halves(b, y)
    low = b.fsub(b.fmul(x1, y1), high)
    low = b.fadd(low, b.fmul(x1, y2))
    low = b.fadd(low, b.fmul(x2, y1))
    return high, b.fadd(low, b.fmul(x2, y2))


def _halves(b: TextBuilder, x: Val) -> tuple[Val, Val]:
    splitter = 2.0 ** ((FORMATS[x.type].mantissa + 2) // 2) + 1
    scaled = b.fmul(x, b.const(splitter, x))
    high = b.fsub(scaled, b.fsub(scaled, x))
    return high, b.fsub(x, high)


def fast_two_sum(b: TextBuilder, x: Val, y: Val) -> tuple[Val, Val]:
    """x+y as high + low without error, given |x| >= |y| or x = 0."""
    high = b.fadd(x, y)
    return high, b.fsub(y, b.fsub(high, x))
