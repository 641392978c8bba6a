"""The scalar and index expression language that op lowerings and kernels share.

    Expr = Const(value)                  a literal of any dtype
         | Index(size)                   an int64 polynomial in loop axes and symbolic sizes
         | Local(name)                   a value bound by Let or an accumulator
         | Read(input, index)            op lowering only: an element of the op's input
         | Load(buffer, index)           kernels only: an element of a buffer
         | Call(op, args)                one of the scalar operations below

Backends implement these and nothing else; what can be composed from them is composed.
Arithmetic on indices stays polynomial (`Index`), so that access patterns can be read off.
"""

import operator
from collections.abc import Callable, Iterator

import numpy as np

from graphc.dtypes import DType, bool_, int64, is_floating, uint16, uint32, uint64
from graphc.records import dataclass
from graphc.shapes import Dim, Size


@dataclass(frozen=True, slots=True)
class Const:
    value: bool | int | float
    dtype: DType


@dataclass(frozen=True, slots=True)
class Index:
    size: Size

    @property
    def dtype(self) -> DType:
        return int64


@dataclass(frozen=True, slots=True)
class Local:
    name: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Read:
    input: int
    index: tuple["Expr", ...]
    dtype: DType


@dataclass(frozen=True, slots=True)
class Load:
    buffer: str
    index: tuple["Expr", ...]
    dtype: DType


@dataclass(frozen=True, slots=True)
class Call:
    op: str
    args: tuple["Expr", ...]
    dtype: DType


Expr = Const | Index | Local | Read | Load | Call

ARITHMETIC = ("add", "sub", "mul", "div", "floordiv", "mod", "neg", "abs", "maximum", "minimum")
ROUNDING = ("floor", "ceil", "trunc", "round")  # round: half to even
COMPARISON = ("eq", "ne", "lt", "le")
BITWISE = ("and", "or", "xor", "not", "shl", "shr")  # on bool: logic
# fmt: off
FLOAT_FUNCTIONS = (
    "sqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin",
    "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "pow",
    "cbrt", "copysign",
)
# fmt: on
# pair_product: of pairs of bfloat16 in uint32, the sum of both products in float32.
OTHER = ("select", "cast", "bits", "from_bits", "pair_product")
SCALAR_OPS = frozenset((*ARITHMETIC, *ROUNDING, *COMPARISON, *BITWISE, *FLOAT_FUNCTIONS, *OTHER))

# Relative cost of one element, for fusion: 1 = an addition. From instruction counts of the
# vector polynomials.
COST = dict.fromkeys(SCALAR_OPS, 1) | {
    **dict.fromkeys(FLOAT_FUNCTIONS, 20),
    **dict.fromkeys(("div", "sqrt"), 4),
    **dict.fromkeys(("floordiv", "mod"), 8),
    "copysign": 1,
    "pow": 40,
}


UNKNOWN_COST = 40  # of a user's operation


def constant(value: bool | int | float, dtype: DType) -> Expr:
    """A literal, rounded to its dtype."""
    if dtype == int64:
        return Index(int(value))
    if dtype == bool_:
        return Const(bool(value), dtype)
    return Const(np.asarray(value).astype(dtype).item(), dtype)


def like(expr: Expr, value: bool | int | float) -> Expr:
    """A literal of the dtype of `expr`."""
    return constant(value, expr.dtype)


def _unary(op: str) -> Callable[[Expr], Expr]:
    def build(x: Expr) -> Expr:
        return Call(op, (x,), x.dtype)

    build.__name__ = op
    return build


def _binary(op: str) -> Callable[[Expr, Expr], Expr]:
    def build(x: Expr, y: Expr) -> Expr:
        assert x.dtype == y.dtype, (op, x.dtype, y.dtype)
        return Call(op, (x, y), x.dtype)

    build.__name__ = op
    return build


def _comparison(op: str) -> Callable[[Expr, Expr], Expr]:
    def build(x: Expr, y: Expr) -> Expr:
        assert x.dtype == y.dtype, (op, x.dtype, y.dtype)
        return Call(op, (x, y), bool_)

    build.__name__ = op
    return build


def _index_arithmetic(
    op: str, fold: Callable[[Size, Size], Size], neutral: int
) -> Callable[[Expr, Expr], Expr]:
    def build(x: Expr, y: Expr) -> Expr:
        """Known places are folded, and 0 + p * 1 is p."""
        if isinstance(x, Index) and isinstance(y, Index):
            return Index(fold(x.size, y.size))
        assert x.dtype == y.dtype, (op, x.dtype, y.dtype)
        if isinstance(y, Index) and y.size == neutral:
            return x
        if isinstance(x, Index) and x.size == neutral and op != "sub":
            return y
        return Call(op, (x, y), x.dtype)

    build.__name__ = op
    return build


add = _index_arithmetic("add", lambda x, y: x + y, 0)
sub = _index_arithmetic("sub", lambda x, y: x - y, 0)
mul = _index_arithmetic("mul", lambda x, y: x * y, 1)
div, floordiv, mod = _binary("div"), _binary("floordiv"), _binary("mod")
neg, abs_ = _unary("neg"), _unary("abs")
maximum, minimum = _binary("maximum"), _binary("minimum")
floor, ceil, trunc, round_ = _unary("floor"), _unary("ceil"), _unary("trunc"), _unary("round")
eq, ne, lt, le = _comparison("eq"), _comparison("ne"), _comparison("lt"), _comparison("le")
and_, or_, xor, not_ = _binary("and"), _binary("or"), _binary("xor"), _unary("not")
shl, shr = _binary("shl"), _binary("shr")
sqrt, exp, exp2, expm1 = _unary("sqrt"), _unary("exp"), _unary("exp2"), _unary("expm1")
log, log2, log10, log1p = _unary("log"), _unary("log2"), _unary("log10"), _unary("log1p")
sin, cos, tan = _unary("sin"), _unary("cos"), _unary("tan")
asin, acos, atan, atan2 = _unary("asin"), _unary("acos"), _unary("atan"), _binary("atan2")
sinh, cosh, tanh = _unary("sinh"), _unary("cosh"), _unary("tanh")
asinh, acosh, atanh = _unary("asinh"), _unary("acosh"), _unary("atanh")
erf, cbrt = _unary("erf"), _unary("cbrt")
pow_, copysign = _binary("pow"), _binary("copysign")


def gt(x: Expr, y: Expr) -> Expr:
    return lt(y, x)


def ge(x: Expr, y: Expr) -> Expr:
    return le(y, x)


def select(condition: Expr, x: Expr, y: Expr) -> Expr:
    """`x` where the bool `condition` holds, else `y`; never a blend of the two."""
    assert condition.dtype == bool_ and x.dtype == y.dtype
    return Call("select", (condition, x, y), x.dtype)


def cast(x: Expr, dtype: DType) -> Expr:
    """Conversion as numpy's astype; float to integer truncates towards zero."""
    if x.dtype == dtype:
        return x
    if isinstance(x, Index) and isinstance(x.size, int):
        return constant(x.size, dtype)
    return Call("cast", (x,), dtype)


def bits(x: Expr) -> Expr:
    """The bits of a float as an unsigned integer of its width."""
    return Call("bits", (x,), {2: uint16, 4: uint32, 8: uint64}[x.dtype.itemsize])


def from_bits(x: Expr, dtype: DType) -> Expr:
    """The float of `dtype` that has the bits of an unsigned integer of its width."""
    return Call("from_bits", (x,), dtype)


def is_nan(x: Expr) -> Expr:
    return ne(x, x) if is_floating(x.dtype) else constant(False, bool_)


def all_of(conditions: list[Expr]) -> Expr:
    """The conjunction; true for none."""
    result: Expr = constant(True, bool_)
    for position, condition in enumerate(conditions):
        result = condition if position == 0 else and_(result, condition)
    return result


def children(expr: Expr) -> tuple[Expr, ...]:
    if isinstance(expr, Call):
        return expr.args
    if isinstance(expr, Read | Load):
        return expr.index
    return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """All sub-expressions, each before its parts."""
    pending = [expr]
    while pending:
        item = pending.pop()
        yield item
        if isinstance(item, Call):
            pending += item.args[::-1]
        elif isinstance(item, Read | Load):
            pending += item.index[::-1]


def transform(expr: Expr, leaf: Callable[[Expr], Expr | None]) -> Expr:
    """Replace, top down, every sub-expression for which `leaf` answers."""
    replaced = leaf(expr)
    if replaced is not None:
        return replaced
    parts = children(expr)
    if not parts:
        return expr
    rebuilt = tuple([transform(part, leaf) for part in parts])
    if all(map(operator.is_, rebuilt, parts)):
        return expr
    if isinstance(expr, Call):
        build = _REBUILD.get(expr.op)
        return Call(expr.op, rebuilt, expr.dtype) if build is None else build(*rebuilt)
    if isinstance(expr, Read):
        return Read(expr.input, rebuilt, expr.dtype)
    assert isinstance(expr, Load)
    return Load(expr.buffer, rebuilt, expr.dtype)


_REBUILD = {"add": add, "sub": sub, "mul": mul}


def cost(expr: Expr) -> int:
    """Estimated work of one evaluation in additions; leaves are free."""
    return sum(COST.get(item.op, UNKNOWN_COST) for item in walk(expr) if isinstance(item, Call))


def dim_symbols(expr: Expr) -> frozenset[str]:
    """Axis and size symbols of all index polynomials inside."""
    names: set[str] = set()
    for item in walk(expr):
        if isinstance(item, Index) and isinstance(item.size, Dim):
            names |= item.size.symbols()
    return frozenset(names)
