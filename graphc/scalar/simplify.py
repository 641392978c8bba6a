"""Simplification of scalar expressions inside loops.

Every rule keeps the value of every operand, NaN, infinities and the sign of zero included; rules
that hold for integers alone ask for integers. Index polynomials are simplified under the ranges
of the axes, and comparisons of indices are decided where the ranges decide them.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from graphc.dtypes import DType, bool_, is_bool, is_floating, is_integer
from graphc.scalar.evaluate import apply_op, literal_value
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Read, abs_, constant, not_
from graphc.shapes import Dim, Size, floor_div, lower_bound, simplify, upper_bound

Extents = Mapping[str, Size]


def simplify_expr(expr: Expr, extents: Extents) -> Expr:
    """The same value in fewer operations, for axes `0 <= axis < extents[axis]`."""
    match expr:
        case Index(size):
            return Index(simplify(size, extents))
        case Load(buffer, index, dtype):
            return Load(buffer, tuple(simplify_expr(item, extents) for item in index), dtype)
        case Read(number, index, dtype):
            return Read(number, tuple(simplify_expr(item, extents) for item in index), dtype)
        case Call(op, args, dtype):
            simpler = tuple(simplify_expr(arg, extents) for arg in args)
            return _simplify_call(op, simpler, dtype, extents)
        case _:
            return expr


def _simplify_call(op: str, args: tuple[Expr, ...], dtype: DType, extents: Extents) -> Expr:
    if all(_value(arg) is not None for arg in args):
        operands = [literal_value(_value(arg), arg.dtype) for arg in args]
        return constant(apply_op(op, operands, dtype).item(), dtype)
    if op in _ON_INDICES and all(isinstance(arg, Index) for arg in args):
        sizes = [arg.size for arg in args if isinstance(arg, Index)]
        folded = _ON_INDICES[op](sizes, extents)
        if folded is not None:
            return folded
    if op in _RULES:
        simpler = _RULES[op](*args)
        if simpler is not None:
            return simpler
    return Call(op, args, dtype)


def _value(expr: Expr) -> bool | int | float | None:
    """The value of a literal; None for everything else."""
    match expr:
        case Const(value, _):
            return value
        case Index(int() as size):
            return size
        case _:
            return None


def _is(expr: Expr, number: int) -> bool:
    """Whether the expression is the literal `number`; zero means 0.0 or an integer 0."""
    value = _value(expr)
    if value is None or is_bool(expr.dtype) or value != number:
        return False
    return number != 0 or math.copysign(1.0, value) > 0


def _is_minus_zero(expr: Expr) -> bool:
    value = _value(expr)
    return is_floating(expr.dtype) and value == 0 and math.copysign(1.0, value) < 0


# Rules: operands -> a simpler expression or None


def _add(x: Expr, y: Expr) -> Expr | None:
    """x + 0 -> x for integers, x + -0.0 -> x for floats (0.0 would turn -0.0 into 0.0)"""
    neutral: Callable[[Expr], bool] = (
        _is_minus_zero if is_floating(x.dtype) else lambda item: _is(item, 0)
    )
    if neutral(y):
        return x
    return y if neutral(x) else None


def _sub(x: Expr, y: Expr) -> Expr | None:
    """x - 0 -> x;  x - x -> 0 for integers"""
    if _is(y, 0):
        return x
    return constant(0, x.dtype) if is_integer(x.dtype) and _same(x, y) else None


def _mul(x: Expr, y: Expr) -> Expr | None:
    """x * 1 -> x;  x * 0 -> 0 for integers"""
    for one, other in ((x, y), (y, x)):
        if _is(one, 1):
            return other
        if _is(one, 0) and is_integer(one.dtype):
            return one
    return None


def _div(x: Expr, y: Expr) -> Expr | None:
    """x / 1 -> x"""
    return x if _is(y, 1) else None


def _floordiv(x: Expr, y: Expr) -> Expr | None:
    """x // 1 -> x for integers"""
    return x if is_integer(x.dtype) and _is(y, 1) else None


def _mod(x: Expr, y: Expr) -> Expr | None:
    """x % 1 -> 0 for integers"""
    return constant(0, x.dtype) if is_integer(x.dtype) and _is(y, 1) else None


def _involution(op: str) -> Callable[[Expr], Expr | None]:
    def rule(x: Expr) -> Expr | None:
        """op(op(x)) -> x"""
        return x.args[0] if isinstance(x, Call) and x.op == op else None

    return rule


def _abs(x: Expr) -> Expr | None:
    """abs(abs(x)) -> abs(x);  abs(-x) -> abs(x)"""
    if isinstance(x, Call) and x.op == "neg" and not is_integer(x.dtype):
        return abs_(x.args[0])
    return x if isinstance(x, Call) and x.op == "abs" else None


def _idempotent(op: str) -> Callable[[Expr], Expr | None]:
    def rule(x: Expr) -> Expr | None:
        """op(op(x)) -> op(x)"""
        return x if isinstance(x, Call) and x.op == op else None

    return rule


def _extreme(x: Expr, y: Expr) -> Expr | None:
    """maximum(x, x) -> x"""
    return x if _same(x, y) else None


def _logic(absorbing: bool) -> Callable[[Expr, Expr], Expr | None]:
    def rule(x: Expr, y: Expr) -> Expr | None:
        """x and True -> x, x and False -> False; or likewise; x and x -> x"""
        if _same(x, y):
            return x
        if not is_bool(x.dtype):
            return None
        for literal, other in ((x, y), (y, x)):
            value = _value(literal)
            if value is not None:
                return literal if value == absorbing else other
        return None

    return rule


def _select(condition: Expr, x: Expr, y: Expr) -> Expr | None:
    """select(True, x, y) -> x;  select(c, x, x) -> x;  select(not c, x, y) -> select(c, y, x)"""
    value = _value(condition)
    if value is not None:
        return x if value else y
    if _same(x, y):
        return x
    if isinstance(condition, Call) and condition.op == "not":
        return Call("select", (condition.args[0], y, x), x.dtype)
    if is_bool(x.dtype) and _value(x) is True and _value(y) is False:
        return condition
    if is_bool(x.dtype) and _value(x) is False and _value(y) is True:
        return not_(condition)
    return None


def _same(x: Expr, y: Expr) -> bool:
    """Equal in every bit: 0.0 == -0.0 and 1 == True do not count."""
    return x == y and repr(x) == repr(y)


_RULES: dict[str, Callable[..., Expr | None]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "floordiv": _floordiv,
    "mod": _mod,
    "neg": _involution("neg"),
    "not": _involution("not"),
    **{op: _idempotent(op) for op in ("floor", "ceil", "trunc", "round")},
    "abs": _abs,
    "maximum": _extreme,
    "minimum": _extreme,
    "and": _logic(absorbing=False),
    "or": _logic(absorbing=True),
    "select": _select,
}


# Indices


def proves_less(x: Size, y: Size, extents: Extents) -> bool:
    """Whether `x < y` holds for all axes within their extents and all sizes."""
    bound = upper_bound(x - y, extents)
    if bound is None:
        return False
    positive = {  # inside the loops, every extent is at least 1
        str(extent): 1
        for extent in extents.values()
        if isinstance(extent, Dim) and extent.symbols() == {str(extent)}
    }
    least = lower_bound(-bound, positive)
    return least is not None and least >= 1


def _less(sizes: Sequence[Size], extents: Extents) -> Expr | None:
    """i < n -> True where i < n always, False where i >= n always"""
    x, y = sizes
    if proves_less(x, y, extents):
        return constant(True, bool_)
    return constant(False, bool_) if proves_less(y, x + 1, extents) else None


def _less_equal(sizes: Sequence[Size], extents: Extents) -> Expr | None:
    x, y = sizes
    return _less((x, y + 1), extents)


def _equal(sizes: Sequence[Size], extents: Extents) -> Expr | None:
    x, y = sizes
    if x == y:
        return constant(True, bool_)
    apart = proves_less(x, y, extents) or proves_less(y, x, extents)
    return constant(False, bool_) if apart else None


def _unequal(sizes: Sequence[Size], extents: Extents) -> Expr | None:
    equal = _equal(sizes, extents)
    return None if equal is None else constant(not _value(equal), bool_)


def _maximum(sizes: Sequence[Size], extents: Extents) -> Expr | None:
    """maximum(i, 0) -> i"""
    x, y = sizes
    if proves_less(x, y + 1, extents):
        return Index(y)
    return Index(x) if proves_less(y, x + 1, extents) else None


def _minimum(sizes: Sequence[Size], extents: Extents) -> Expr | None:
    """minimum(i, n) -> i for i < n"""
    larger = _maximum(sizes, extents)
    if not isinstance(larger, Index):
        return None
    x, y = sizes
    return Index(y if larger.size == x else x)


def _index_floordiv(sizes: Sequence[Size], extents: Extents) -> Expr | None:
    """Division by a positive constant is polynomial arithmetic."""
    x, y = sizes
    if isinstance(y, int) and y > 0:
        return Index(simplify(floor_div(x, y), extents))
    return None


def _index_mod(sizes: Sequence[Size], extents: Extents) -> Expr | None:
    x, y = sizes
    if isinstance(y, int) and y > 0:
        return Index(simplify(x - y * floor_div(x, y), extents))
    return None


_ON_INDICES: dict[str, Callable[[Sequence[Size], Extents], Expr | None]] = {
    "add": lambda sizes, extents: Index(simplify(sizes[0] + sizes[1], extents)),
    "sub": lambda sizes, extents: Index(simplify(sizes[0] - sizes[1], extents)),
    "mul": lambda sizes, extents: Index(simplify(sizes[0] * sizes[1], extents)),
    "neg": lambda sizes, extents: Index(simplify(-sizes[0], extents)),
    "floordiv": _index_floordiv,
    "mod": _index_mod,
    "maximum": _maximum,
    "minimum": _minimum,
    "lt": _less,
    "le": _less_equal,
    "eq": _equal,
    "ne": _unequal,
}
