"""Scalar expressions as text: precedence, constants, sizes under other names."""

import ast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.dtypes import bfloat16, bool_, float16, float32, float64, int32, int64
from graphc.scalar import expr as s
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local, Read
from graphc.scalar.printer import Dialect, constant_text, format_expr
from graphc.shapes import Dim, floor_div

i, j, n = Dim.symbol("i"), Dim.symbol("j"), Dim.symbol("n")
a, b, c = Local("a", float32), Local("b", float32), Local("c", float32)
p, q = Local("p", bool_), Local("q", bool_)
k, m = Local("k", int64), Local("m", int64)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (s.add(a, s.mul(b, c)), "a + b*c"),
        (s.mul(s.add(a, b), c), "(a + b)*c"),
        (s.sub(a, s.sub(b, c)), "a - (b - c)"),
        (s.sub(s.sub(a, b), c), "a - b - c"),
        (s.div(a, s.mul(b, c)), "a/(b*c)"),
        (s.neg(s.add(a, b)), "-(a + b)"),
        (s.mul(s.neg(a), b), "-a*b"),
        (s.neg(s.neg(a)), "--a"),
        (s.exp(s.neg(a)), "exp(-a)"),
        (s.pow_(a, b), "pow(a, b)"),
        (s.and_(p, s.or_(q, p)), "p and (q or p)"),
        (s.not_(s.lt(a, b)), "not a < b"),
        (s.eq(s.lt(a, b), p), "(a < b) == p"),
        (s.and_(k, s.shl(m, k)), "k & m << k"),
        (s.not_(k), "~k"),
        (s.select(p, a, s.select(q, b, c)), "a if p else b if q else c"),
        (s.select(p, s.select(q, a, b), c), "(a if q else b) if p else c"),
        (s.add(s.select(p, a, b), c), "(a if p else b) + c"),
        (s.cast(k, float32), "f32(k)"),
        (s.mod(k, Index(i + 1)), "k % (i + 1)".replace(" % ", "%")),
        (Load("x", (Index(i), Index(2 * j + 1)), float32), "x[i, 2*j + 1]"),
        (Load("x", (), float32), "x[]"),
        (Read(1, (Index(i),), float32), "in1[i]"),
        (s.floordiv(Index(i), k), "i//k"),
        (s.floordiv(k, Index(floor_div(n, 2))), "k//(n//2)"),
        (s.maximum(Index(-i), Index(3)), "maximum(-i, 3)"),
    ],
)
def test_infix(expr: Expr, text: str) -> None:
    assert format_expr(expr) == text


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (0.1, float32, "0.1"),
        (float(np.float32(0.1)), float32, "0.1"),
        (-0.0, float32, "-0.0"),
        (1e30, float64, "1e+30"),
        (float("inf"), float32, "inf"),
        (float("nan"), float64, "nan"),
        (True, bool_, "True"),
        (-3, int32, "-3"),
        (float(np.float16(0.1)), float16, "0.1"),
        (-2.0, bfloat16, "-2.0"),
        (1e30, bfloat16, "1.00026e+30"),
    ],
)
def test_constants(value: float, dtype: np.dtype, text: str) -> None:
    assert constant_text(value, dtype) == text


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=500)
def test_constants_read_back(bits: int) -> None:
    value = np.uint32(bits).view(np.float32)
    text = constant_text(value.item(), float32)
    np.testing.assert_array_equal(np.float32(float(text)), value)


def test_names() -> None:
    dialect = Dialect()
    dialect.buffers["x"], dialect.locals["x"] = "array", "value"
    dialect.rename_symbol("x", "axis")
    load = Load("x", (Index(Dim.symbol("x")),), float32)
    assert dialect.text(s.mul(load, Local("x", float32))) == "array[axis]*value"
    dialect.rename_symbol("x", "other")
    assert dialect.text(load) == "array[other]"
    assert dialect.symbol("x") == "other" and dialect.symbol("y") == "y"


_LEAVES = st.sampled_from([a, b, c])
_BINARY = ("add", "sub", "mul", "div", "floordiv", "mod")


def _grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    binary = st.builds(
        lambda op, x, y: Call(op, (x, y), float32), st.sampled_from(_BINARY), inner, inner
    )
    choice = st.builds(
        lambda x, y, z, w: s.select(s.and_(s.lt(x, y), s.not_(s.eq(y, z))), z, w),
        inner,
        inner,
        inner,
        inner,
    )
    return binary | st.builds(s.neg, inner) | choice


@given(st.recursive(_LEAVES, _grow, max_leaves=12))
def test_parentheses_say_what_the_tree_says(expr: Expr) -> None:
    """Python reads the text as the same tree."""
    assert ast.dump(ast.parse(format_expr(expr), mode="eval").body) == ast.dump(_as_ast(expr))


_OPERATORS: dict[str, type[ast.operator]] = {
    "add": ast.Add,
    "sub": ast.Sub,
    "mul": ast.Mult,
    "div": ast.Div,
    "floordiv": ast.FloorDiv,
    "mod": ast.Mod,
}


def _as_ast(expr: Expr) -> ast.expr:
    match expr:
        case Local(name, _):
            return ast.Name(name, ast.Load())
        case Call("neg", (x,), _):
            return ast.UnaryOp(ast.USub(), _as_ast(x))
        case Call("not", (x,), _):
            return ast.UnaryOp(ast.Not(), _as_ast(x))
        case Call("and", (x, y), _):
            return ast.BoolOp(ast.And(), [_as_ast(x), _as_ast(y)])
        case Call("lt", (x, y), _):
            return ast.Compare(_as_ast(x), [ast.Lt()], [_as_ast(y)])
        case Call("eq", (x, y), _):
            return ast.Compare(_as_ast(x), [ast.Eq()], [_as_ast(y)])
        case Call("select", (condition, x, y), _):
            return ast.IfExp(_as_ast(condition), _as_ast(x), _as_ast(y))
        case Call(op, (x, y), _):
            return ast.BinOp(_as_ast(x), _OPERATORS[op](), _as_ast(y))
    raise AssertionError(expr)


def test_unusual_constants_stand_in_expressions() -> None:
    assert format_expr(s.sub(a, Const(-1.0, float32))) == "a - -1.0"
    assert format_expr(s.mul(Const(-1.0, float32), a)) == "-1.0*a"
