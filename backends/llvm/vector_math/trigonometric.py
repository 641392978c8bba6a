"""sin, cos and tan.

Method: |x| = j*(pi/2) + r with |r| <= pi/4, pi/2 in three parts (four without FMA) after Cody and
Waite; minimax polynomials for sin r and cos r; the quadrant j mod 4 picks one and its sign.
Beyond a limit of about 1e5 (float32) and 1e9 (float64) that is not exact enough: lanes that are
larger go through libm, in a helper function that is called when there is such a lane. A lane's
result depends on that lane alone.
"""

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.backends.llvm.vector_math.arithmetic import (
    FORMATS,
    as_int,
    flip_sign,
    horner,
    sign_bits,
)
from graphc.records import dataclass

TWO_OVER_PI = 0.6366197723675814
LIBM = {
    ("sin", "float"): "sinf",
    ("cos", "float"): "cosf",
    ("tan", "float"): "tanf",
    ("sin", "double"): "sin",
    ("cos", "double"): "cos",
    ("tan", "double"): "tan",
}


@dataclass(frozen=True, slots=True)
class _Tables:
    half_pi: tuple[float, ...]  # with FMA
    half_pi_split: tuple[float, ...]  # without: trailing zeros make the products exact
    limit: float  # of |x|, with FMA
    limit_split: float
    sin: tuple[float, ...]  # (sin(r)/r - 1) / r^2 in r^2
    cos: tuple[float, ...]  # (cos(r) - 1 + r^2/2) / r^4 in r^2


FLOAT = _Tables(
    half_pi=(1.570796251296997, 7.549789415861596e-08, 5.390302953474238e-15),
    half_pi_split=(
        1.5703125,
        0.0004837512969970703,
        7.549533620476723e-08,
        2.5633440682570896e-12,
    ),
    limit=117435.0,
    limit_split=12000.0,
    sin=(-0.16666655242443085, 0.008332188241183758, -0.00019518073531799018),
    cos=(0.04166664555668831, -0.0013887309469282627, 2.4432338250335306e-05),
)
DOUBLE = _Tables(
    half_pi=(1.5707963267948966, 6.123233995736765e-17, 1.082856673921914e-32),
    half_pi_split=(
        1.5707963267341256,
        6.077100506303966e-11,
        2.0222662487111665e-21,
        8.4784276603689e-32,
    ),
    limit=1e9,
    limit_split=8e5,
    sin=(
        -0.1666666666666663,
        0.00833333333332189,
        -0.00019841269829420813,
        2.755731356578148e-06,
        -2.5050739333196517e-08,
        1.5895751394180452e-10,
    ),
    cos=(
        0.041666666666666595,
        -0.001388888888887332,
        2.4801587288977326e-05,
        -2.75573142071557e-07,
        2.0875703733212967e-09,
        -1.135864867114999e-11,
    ),
)
TABLES = {"float": FLOAT, "double": DOUBLE}


def _limit(b: TextBuilder, x: Val) -> float:
    return TABLES[x.type].limit if b.has_fma else TABLES[x.type].limit_split


def _reduce(b: TextBuilder, x: Val) -> tuple[Val, Val]:
    """(bits whose low part is j, r) with x = j*(pi/2) + r, for |x| up to the limit."""
    tables = TABLES[x.type]
    shifter = b.const(FORMATS[x.type].shifter, x)
    shifted = b.fma(x, b.const(TWO_OVER_PI, x), shifter)
    j = b.fsub(shifted, shifter)
    r = x
    for part in tables.half_pi if b.has_fma else tables.half_pi_split:
        r = b.fma(j, b.const(-part, x), r)
    return as_int(b, shifted), r


def _sin_polynomial(b: TextBuilder, r: Val, z: Val) -> Val:
    return b.fma(b.fmul(r, z), horner(b, z, TABLES[r.type].sin), r)


def _cos_polynomial(b: TextBuilder, z: Val) -> Val:
    return horner(b, z, (1.0, -0.5, *TABLES[z.type].cos))


def _is_odd(b: TextBuilder, bits: Val) -> Val:
    """The lowest bit, tested as a sign: what x86 blends look at."""
    moved = b.shl(bits, b.const(31 if bits.type == "i32" else 63, bits))
    return b.icmp("slt", moved, b.const(0, bits))


def _second_bit_as_sign(b: TextBuilder, bits: Val) -> Val:
    """Bit 1 moved to the sign bit, the rest cleared."""
    width = 32 if bits.type == "i32" else 64
    return b.shl(b.and_(bits, b.const(2, bits)), b.const(width - 2, bits))


def sin(b: TextBuilder, x: Val) -> Val:
    magnitude = b.fabs(x)
    j, r = _reduce(b, magnitude)
    z = b.fmul(r, r)
    y = b.select(_is_odd(b, j), _cos_polynomial(b, z), _sin_polynomial(b, r, z))
    sign = b.xor(_second_bit_as_sign(b, j), sign_bits(b, x))  # keeps sin(-0) = -0
    return _or_libm(b, "sin", x, magnitude, flip_sign(b, y, sign))


def cos(b: TextBuilder, x: Val) -> Val:
    magnitude = b.fabs(x)
    j, r = _reduce(b, magnitude)
    z = b.fmul(r, r)
    y = b.select(_is_odd(b, j), _sin_polynomial(b, r, z), _cos_polynomial(b, z))
    sign = _second_bit_as_sign(b, b.add(j, b.const(1, j)))
    return _or_libm(b, "cos", x, magnitude, flip_sign(b, y, sign))


def tan(b: TextBuilder, x: Val) -> Val:
    """sin r / cos r, and -cos r / sin r in odd quadrants."""
    magnitude = b.fabs(x)
    j, r = _reduce(b, magnitude)
    z = b.fmul(r, r)
    sine, cosine = _sin_polynomial(b, r, z), _cos_polynomial(b, z)
    odd = _is_odd(b, j)
    y = b.fdiv(b.select(odd, cosine, sine), b.select(odd, sine, cosine))
    width = FORMATS[x.type].width
    sign = b.xor(b.shl(j, b.const(width - 1, j)), sign_bits(b, x))
    return _or_libm(b, "tan", x, magnitude, flip_sign(b, y, sign))


def _or_libm(b: TextBuilder, name: str, x: Val, magnitude: Val, y: Val) -> Val:
    """y, but libm's result in lanes whose magnitude is above the limit."""
    large = b.fcmp("ogt", magnitude, b.const(_limit(b, x), x))
    helper = _libm_helper(b, name, x)
    (result,) = b.branch_if_any(large, [y], lambda: [b.call(helper, [x, y], x.type, x.lanes)])
    return result


def _libm_helper(b: TextBuilder, name: str, like: Val) -> str:
    """Define (once a module) a function (x, y) -> y with libm's result in the large lanes."""
    symbol = LIBM[name, like.type]
    helper = f"graphc.{name}.large.{like.type}.{like.lanes}"
    t, scalar = like.ir_type, like.type
    b.declare(symbol, f"{scalar} @{symbol}({scalar})")
    fabs = "llvm.fabs.f32" if scalar == "float" else "llvm.fabs.f64"
    b.declare(fabs, f"{scalar} @{fabs}({scalar})")
    limit = b.constant(_limit(b, like), scalar).text
    text = f"""\
define internal {t} @{helper}({t} %x, {t} %y) cold noinline nounwind {{
entry:
  %px = alloca {t}
  %py = alloca {t}
  store {t} %x, ptr %px
  store {t} %y, ptr %py
  br label %lane
lane:
  %i = phi i64 [ 0, %entry ], [ %next, %done ]
  %at = getelementptr {scalar}, ptr %px, i64 %i
  %one = load {scalar}, ptr %at
  %magnitude = call {scalar} @{fabs}({scalar} %one)
  %large = fcmp ogt {scalar} %magnitude, {limit}
  br i1 %large, label %call, label %done
call:
  %result = call {scalar} @{symbol}({scalar} %one)
  %to = getelementptr {scalar}, ptr %py, i64 %i
  store {scalar} %result, ptr %to
  br label %done
done:
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {like.lanes}
  br i1 %more, label %lane, label %end
end:
  %all = load {t}, ptr %py
  ret {t} %all
}}
"""
    b.define(helper, text)
    return helper
