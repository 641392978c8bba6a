"""Integer operations with numpy's meaning: wrapping, floor division, no traps.

Division and remainder by zero are 0, the smallest number divided by -1 is itself, and a shift by
the width or more, or by a negative number, moves every bit out.
"""

from collections.abc import Callable

from graphc.backends.llvm.text import BITS, TextBuilder, Val

Table = dict[str, Callable[..., Val]]
B = TextBuilder


def _nonzero_divisor(b: TextBuilder, y: Val) -> Val:
    """1 where y is 0, else y."""
    return b.select(b.icmp("eq", y, b.const(0, y)), b.const(1, y), y)


def _literal(y: Val) -> int | None:
    """The value of a constant, for all lanes alike; else None."""
    text = y.text
    if text.startswith("splat ("):
        text = text[len("splat (") : -1].split(" ")[1]
    return int(text) if text.lstrip("-").isdigit() else None


def _signed_quotient(b: TextBuilder, x: Val, y: Val) -> tuple[Val, Val, Val]:
    """Quotient and remainder towards zero, and a divisor that is neither 0 nor -1."""
    known = _literal(y)
    if known is None or known in (0, -1):
        trap = b.or_(b.icmp("eq", y, b.const(0, y)), b.icmp("eq", y, b.const(-1, y)))
        y = b.select(trap, b.const(1, y), y)
    quotient = b.sdiv(x, y) if _in_one_piece(x, known) else _float_quotient(b, x, y, signed=True)
    return quotient, b.sub(x, b.mul(quotient, y)), y


def _unsigned_quotient(b: TextBuilder, x: Val, y: Val) -> Val:
    if _in_one_piece(x, _literal(y)):
        return b.udiv(x, y)
    return _float_quotient(b, x, y, signed=False)


def _in_one_piece(x: Val, divisor: int | None) -> bool:
    """Whether LLVM divides well: scalars, constants, and what no float holds."""
    return x.lanes == 1 or divisor is not None or x.type == "i64"


def _float_quotient(b: TextBuilder, x: Val, y: Val, signed: bool) -> Val:
    """Lanes are divided as floats with more digits than the integers: then rounding the quotient
    never reaches the next integer."""
    type = "double" if x.type == "i32" else "float"
    if signed:
        return b.fptosi(b.fdiv(b.sitofp(x, type), b.sitofp(y, type)), x.type)
    return b.fptoui(b.fdiv(b.uitofp(x, type), b.uitofp(y, type)), x.type)


def _signed_floordiv(b: TextBuilder, x: Val, y: Val) -> Val:
    known = _literal(y)
    if known is not None and known > 0 and known & (known - 1) == 0:
        return b.ashr(x, b.const(known.bit_length() - 1, x))
    zero = b.const(0, x)
    quotient, remainder, safe = _signed_quotient(b, x, y)
    below = b.and_(b.icmp("ne", remainder, zero), b.icmp("slt", b.xor(remainder, safe), zero))
    result = b.sub(quotient, b.zext(below, x.type))
    if known is not None and known not in (0, -1):
        return result
    result = b.select(b.icmp("eq", y, b.const(-1, y)), b.sub(zero, x), result)
    return b.select(b.icmp("eq", y, zero), zero, result)


def _signed_mod(b: TextBuilder, x: Val, y: Val) -> Val:
    known = _literal(y)
    if known is not None and known > 0 and known & (known - 1) == 0:
        return b.and_(x, b.const(known - 1, x))
    zero = b.const(0, x)
    _, remainder, safe = _signed_quotient(b, x, y)
    below = b.and_(b.icmp("ne", remainder, zero), b.icmp("slt", b.xor(remainder, safe), zero))
    result = b.select(below, b.add(remainder, safe), remainder)
    if known is not None and known not in (0, -1):
        return result
    trap = b.or_(b.icmp("eq", y, zero), b.icmp("eq", y, b.const(-1, y)))
    return b.select(trap, zero, result)


def _unsigned_floordiv(b: TextBuilder, x: Val, y: Val) -> Val:
    zero = b.const(0, x)
    quotient = _unsigned_quotient(b, x, _nonzero_divisor(b, y))
    return b.select(b.icmp("eq", y, zero), zero, quotient)


def _unsigned_mod(b: TextBuilder, x: Val, y: Val) -> Val:
    zero = b.const(0, x)
    divisor = _nonzero_divisor(b, y)
    remainder = b.sub(x, b.mul(_unsigned_quotient(b, x, divisor), divisor))
    return b.select(b.icmp("eq", y, zero), zero, remainder)


def _shl(b: TextBuilder, x: Val, y: Val) -> Val:
    """0 for shifts of the width and more; a negative count counts as such."""
    inside = b.icmp("ult", y, b.const(BITS[x.type], y))
    return b.select(inside, b.shl(x, y), b.const(0, x))


def _lshr(b: TextBuilder, x: Val, y: Val) -> Val:
    inside = b.icmp("ult", y, b.const(BITS[x.type], y))
    return b.select(inside, b.lshr(x, y), b.const(0, x))


def _ashr(b: TextBuilder, x: Val, y: Val) -> Val:
    return b.ashr(x, b.umin(y, b.const(BITS[x.type] - 1, y)))


def _integer_pow(signed: bool) -> Callable[..., Val]:
    """By squaring, wrapping around; 1 / x**-n, truncated, for negative n."""

    def emit(b: TextBuilder, x: Val, n: Val) -> Val:
        name = f"integer_pow_{'s' if signed else 'u'}_{x.type}"
        b.define(name, _integer_pow_text(name, x.type, signed))
        return b.per_lane(name, (x, n))

    return emit


def _integer_pow_text(name: str, type: str, signed: bool) -> str:
    """A scalar function with a loop over the bits of the exponent."""
    negative = f"icmp slt {type} %n, 0" if signed else "icmp ne i1 false, false"
    return f"""define internal {type} @{name}({type} %x, {type} %n) nounwind {{
entry:
  %negative = {negative}
  br i1 %negative, label %inverse, label %loop
loop:
  %left = phi {type} [ %n, %entry ], [ %half, %next ]
  %square = phi {type} [ %x, %entry ], [ %squared, %next ]
  %result = phi {type} [ 1, %entry ], [ %product, %next ]
  %done = icmp eq {type} %left, 0
  br i1 %done, label %end, label %next
next:
  %bit = trunc {type} %left to i1
  %times = mul {type} %result, %square
  %product = select i1 %bit, {type} %times, {type} %result
  %squared = mul {type} %square, %square
  %half = lshr {type} %left, 1
  br label %loop
inverse:
  %one = icmp eq {type} %x, 1
  %minus = icmp eq {type} %x, -1
  %odd = trunc {type} %n to i1
  %sign = select i1 %odd, {type} -1, {type} 1
  %unit = select i1 %minus, {type} %sign, {type} 0
  %inverted = select i1 %one, {type} 1, {type} %unit
  ret {type} %inverted
end:
  ret {type} %result
}}
"""


def _signed_abs(b: TextBuilder, x: Val) -> Val:
    return b.smax(x, b.sub(b.const(0, x), x))


def _negate(b: TextBuilder, x: Val) -> Val:
    return b.sub(b.const(0, x), x)


def identity(b: TextBuilder, x: Val) -> Val:
    return x


def icmp(predicate: str) -> Callable[..., Val]:
    return lambda b, x, y: b.icmp(predicate, x, y)


INTEGER: Table = {
    "add": B.add,
    "sub": B.sub,
    "mul": B.mul,
    "neg": _negate,
    "floor": identity,
    "ceil": identity,
    "trunc": identity,
    "round": identity,
    "eq": icmp("eq"),
    "ne": icmp("ne"),
    "and": B.and_,
    "or": B.or_,
    "xor": B.xor,
    "not": B.not_,
    "shl": _shl,
}

SIGNED: Table = INTEGER | {
    "floordiv": _signed_floordiv,
    "mod": _signed_mod,
    "abs": _signed_abs,
    "maximum": B.smax,
    "minimum": B.smin,
    "lt": icmp("slt"),
    "le": icmp("sle"),
    "shr": _ashr,
    "pow": _integer_pow(signed=True),
}

UNSIGNED: Table = INTEGER | {
    "floordiv": _unsigned_floordiv,
    "mod": _unsigned_mod,
    "abs": identity,
    "maximum": B.umax,
    "minimum": B.umin,
    "lt": icmp("ult"),
    "le": icmp("ule"),
    "shr": _lshr,
    "pow": _integer_pow(signed=False),
}
