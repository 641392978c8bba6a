"""What every scalar operation means, in numpy; the oracle of all backends.

Operands are numpy scalars or arrays of exactly the dtypes of the expression, and results have
exactly the dtype of the call. Integers wrap around; integer division and remainder by zero are 0;
a shift by the width or more (or by a negative amount) moves every bit out. Functions of floats
narrower than float64 are computed in float64 and rounded once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from graphc.dtypes import DType, iinfo, int64, integer_dtypes, is_bool, is_floating, is_integer
from graphc.errors import VerificationError
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local
from graphc.scalar.foreign import Foreign
from graphc.shapes import evaluate

Value = Any  # np.generic or np.ndarray: numpy's scalar types are not distinguished statically

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _integer_power(base: Value, exponent: Value) -> Value:
    """By squaring, wrapping around; a negative exponent truncates 1 / base**-exponent."""
    base, exponent = np.broadcast_arrays(base, exponent)
    result = np.ones_like(base)
    square, left = base.copy(), np.where(exponent < 0, exponent & 1, exponent)
    while np.any(left != 0):
        result = np.where(left & 1, result * square, result)
        square, left = square * square, left >> 1
    if base.dtype.kind == "i":
        unit = (base == 1) | (base == -1)
        result = np.where((exponent < 0) & ~unit, 0, result)
    return result.astype(base.dtype)


def _power(base: Value, exponent: Value) -> Value:
    if is_integer(np.asarray(base).dtype):
        return _integer_power(base, exponent)
    return _rounded(np.power)(base, exponent)


def _rounded(function: Callable[..., Value]) -> Callable[..., Value]:
    """`function` computed in float64, rounded to the dtype of the first operand."""

    def apply(*args: Value) -> Value:
        dtype = args[0].dtype
        return np.asarray(function(*(np.asarray(arg, np.float64) for arg in args))).astype(dtype)

    return apply


def _on_truth_values(
    logic: Callable[..., Value], numeric: Callable[..., Value]
) -> Callable[..., Value]:
    def apply(*args: Value) -> Value:
        return logic(*args) if is_bool(args[0].dtype) else numeric(*args)

    return apply


def halves_of_pairs(pairs: Value) -> tuple[np.ndarray, np.ndarray]:
    """Both bfloat16 that each uint32 holds, the lower half first, as float32."""
    bits = np.asarray(pairs)
    low, high = np.left_shift(bits, np.uint32(16)), np.bitwise_and(bits, np.uint32(0xFFFF0000))
    return low.view(np.float32), high.view(np.float32)


def _pair_product(a: Value, b: Value) -> Value:
    (low, high), (other_low, other_high) = halves_of_pairs(a), halves_of_pairs(b)
    return high * other_high + low * other_low


_MEANING: dict[str, Callable[..., Value]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "neg": np.negative,
    "abs": np.abs,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": _on_truth_values(np.logical_not, np.invert),
    "shl": np.left_shift,
    "shr": np.right_shift,
    "sqrt": np.sqrt,
    "exp": _rounded(np.exp),
    "exp2": _rounded(np.exp2),
    "expm1": _rounded(np.expm1),
    "log": _rounded(np.log),
    "log2": _rounded(np.log2),
    "log10": _rounded(np.log10),
    "log1p": _rounded(np.log1p),
    "sin": _rounded(np.sin),
    "cos": _rounded(np.cos),
    "tan": _rounded(np.tan),
    "asin": _rounded(np.arcsin),
    "acos": _rounded(np.arccos),
    "atan": _rounded(np.arctan),
    "atan2": _rounded(np.arctan2),
    "sinh": _rounded(np.sinh),
    "cosh": _rounded(np.cosh),
    "tanh": _rounded(np.tanh),
    "asinh": _rounded(np.arcsinh),
    "acosh": _rounded(np.arccosh),
    "atanh": _rounded(np.arctanh),
    "erf": _rounded(_erf),
    "pow": _power,
    "cbrt": _rounded(np.cbrt),
    "copysign": np.copysign,
    "select": np.where,
    "pair_product": _pair_product,
    "bits": lambda x: np.asarray(x).view(f"u{np.asarray(x).dtype.itemsize}"),
}


_RANGES = {dtype: (int(iinfo(dtype).min), int(iinfo(dtype).max)) for dtype in integer_dtypes}


def apply_op(op: str, args: Sequence[Value], dtype: DType) -> Value:
    """The value of `Call(op, args, dtype)`; elementwise if the operands are arrays."""
    with np.errstate(all="ignore"):
        return apply_quietly(op, args, dtype)


def apply_quietly(op: str, args: Sequence[Value], dtype: DType) -> Value:
    """`apply_op` for callers that have silenced numpy's floating-point warnings."""
    if isinstance(op, Foreign):
        return op.evaluate(*args)[()]
    if op == "cast":
        result = cast_value(args[0], dtype)
    elif op == "from_bits":
        result = np.asarray(args[0]).view(dtype)
    else:
        result = np.asarray(_MEANING[op](*args))
    if result.dtype != dtype:
        raise VerificationError(f"{op} of {args[0].dtype} gives {result.dtype}, not {dtype}")
    return result[()]


def cast_value(value: Value, dtype: DType) -> np.ndarray:
    """numpy's astype; a float outside an integer dtype's range saturates, and NaN becomes 0."""
    array = np.asarray(value)
    if not (is_floating(array.dtype) and is_integer(dtype)):
        return array.astype(dtype)
    limits = np.iinfo(dtype)
    wide = np.trunc(array.astype(np.float64))
    low, high = wide < float(limits.min), wide >= float(limits.max) + (limits.max < 2**53)
    inside = np.where(low | high | np.isnan(wide), 0.0, wide).astype(dtype)
    return np.where(low, dtype.type(limits.min), np.where(high, dtype.type(limits.max), inside))


def literal_value(value: Any, dtype: DType) -> Value:
    """A literal as a numpy scalar; an integer outside the range of its dtype wraps around."""
    if is_integer(dtype):
        lowest, highest = _RANGES[dtype]
        if not lowest <= value <= highest:
            value = (int(value) - lowest) % (1 << 8 * dtype.itemsize) + lowest
    return dtype.type(value)


class Environment(Protocol):
    """What an expression of a kernel refers to."""

    @property
    def symbols(self) -> Mapping[str, int]:
        """Values of axes and symbolic sizes."""
        ...

    def local(self, name: str) -> Value: ...

    def load(self, buffer: str, index: tuple[int, ...]) -> Value: ...


def evaluate_expr(expr: Expr, environment: Environment) -> Value:
    """The value of a kernel's expression, as a numpy scalar of its dtype.

    Every operand is evaluated, also the one that a select does not take. Callers silence numpy's
    floating-point warnings.
    """
    match expr:
        case Const(value, dtype):
            return literal_value(value, dtype)
        case Index(size):
            return literal_value(evaluate(size, environment.symbols), int64)
        case Local(name, _):
            return environment.local(name)
        case Load(buffer, index, _):
            position = tuple(int(evaluate_expr(item, environment)) for item in index)
            return environment.load(buffer, position)
        case Call(op, args, dtype):
            return apply_quietly(op, [evaluate_expr(arg, environment) for arg in args], dtype)
    raise VerificationError(f"a kernel cannot hold {expr!r}")
