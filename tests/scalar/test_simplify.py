"""Simplification: before, after, and where a rule must not fire; values never change."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.dtypes import bool_, float32, float64, int32, int64
from graphc.scalar import expr as s
from graphc.scalar.evaluate import Value, evaluate_expr
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local
from graphc.scalar.printer import format_expr
from graphc.scalar.simplify import proves_less, simplify_expr
from graphc.shapes import Dim, Size, floor_div

i, j, n, m = (Dim.symbol(name) for name in "ijnm")
EXTENTS: dict[str, Size] = {"i": n, "j": 4}
x, y = Local("x", float32), Local("y", float32)
k = Local("k", int32)
p, q = Local("p", bool_), Local("q", bool_)
ZERO, ONE = s.constant(0, int32), s.constant(1, int32)


def f(value: float) -> Expr:
    return s.constant(value, float32)


def ix(size: int | Dim) -> Expr:
    return Index(size)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # constants
        (s.add(f(1), f(2)), "3.0"),
        (s.exp(f(0)), "1.0"),
        (s.lt(f(1), f(2)), "True"),
        (s.cast(f(2.7), int32), "2"),
        (s.cast(Index(3), float32), "3.0"),
        (s.mul(s.add(f(1), f(2)), x), "3.0*x"),
        (Call("floordiv", (Index(7), Index(0)), int64), "0"),
        # floats
        (s.add(x, f(-0.0)), "x"),
        (s.add(f(-0.0), x), "x"),
        (s.sub(x, f(0.0)), "x"),
        (s.mul(f(1), x), "x"),
        (s.div(x, f(1)), "x"),
        (s.neg(s.neg(x)), "x"),
        (s.floor(s.floor(x)), "floor(x)"),
        (s.abs_(s.abs_(x)), "abs(x)"),
        (s.abs_(s.neg(x)), "abs(x)"),
        (s.maximum(x, x), "x"),
        # integers
        (s.add(ZERO, k), "k"),
        (s.sub(k, k), "0"),
        (s.mul(k, ZERO), "0"),
        (s.floordiv(k, ONE), "k"),
        (s.mod(k, ONE), "0"),
        # logic
        (s.and_(p, s.constant(True, bool_)), "p"),
        (s.and_(s.constant(False, bool_), p), "False"),
        (s.or_(p, s.constant(True, bool_)), "True"),
        (s.or_(p, p), "p"),
        (s.not_(s.not_(p)), "p"),
        (s.select(s.constant(True, bool_), x, y), "x"),
        (s.select(p, x, x), "x"),
        (s.select(s.not_(p), x, y), "y if p else x"),
        (s.select(p, s.constant(True, bool_), s.constant(False, bool_)), "p"),
        (s.select(p, s.constant(False, bool_), s.constant(True, bool_)), "not p"),
        # indices
        (ix(floor_div(4 * i + j, 4)), "i"),
        (Load("x", (ix(floor_div(4 * i + j, 4)),), float32), "x[i]"),
        (s.floordiv(ix(4 * i + j), ix(4)), "i"),
        (s.mod(ix(4 * i + j), ix(4)), "j"),
        (s.neg(ix(i)), "-i"),
        (s.lt(ix(i), ix(n)), "True"),
        (s.lt(ix(n), ix(i)), "False"),
        (s.le(ix(0), ix(i)), "True"),
        (s.lt(ix(i), ix(0)), "False"),
        (s.lt(ix(j), ix(4)), "True"),
        (s.le(ix(j), ix(3)), "True"),
        (s.lt(ix(i), ix(n + m)), "True"),
        (s.eq(ix(i), ix(n)), "False"),
        (s.ne(ix(i), ix(i + 1)), "True"),
        (s.eq(ix(i + j), ix(j + i)), "True"),
        (s.maximum(ix(i), ix(0)), "i"),
        (s.minimum(ix(i), ix(n - 1)), "i"),
        (s.minimum(ix(n), ix(i)), "i"),
        (s.select(s.lt(ix(i), ix(0)), f(0), x), "x"),
    ],
)
def test_fires(before: Expr, after: str) -> None:
    assert format_expr(simplify_expr(before, EXTENTS)) == after


@pytest.mark.parametrize(
    "expr",
    [
        s.add(x, f(0.0)),  # -0.0 + 0.0 is 0.0
        s.sub(x, f(-0.0)),
        s.sub(x, x),  # inf - inf is NaN
        s.mul(x, f(0)),
        s.div(x, x),
        s.mul(x, f(-1)),
        s.lt(x, x),
        s.eq(x, x),  # false for NaN
        s.lt(ix(i), ix(j)),
        s.lt(ix(i), ix(m)),
        s.le(ix(j), ix(2)),
        s.eq(ix(i), ix(0)),
        s.maximum(ix(i), ix(j)),
        s.select(p, x, y),
        s.select(p, f(0.0), f(-0.0)),
        s.maximum(s.copysign(x, f(0.0)), s.copysign(x, f(-0.0))),
        s.and_(s.lt(x, y), p),
        Call("floordiv", (ix(i), ix(n)), int64),
    ],
    ids=format_expr,
)
def test_does_not_fire(expr: Expr) -> None:
    assert simplify_expr(expr, EXTENTS) is not None
    assert repr(simplify_expr(expr, EXTENTS)) == repr(expr)


def test_constants_keep_their_sign_and_dtype() -> None:
    assert repr(simplify_expr(s.neg(f(0.0)), {})) == repr(Const(-0.0, float32))
    third = simplify_expr(s.div(f(1), f(3)), {})
    assert third == Const(float(np.float32(1) / np.float32(3)), float32)
    assert simplify_expr(s.cast(third, float64), {}).dtype == float64


def test_integers_wrap_around() -> None:
    big = s.constant(2**31 - 1, int32)
    assert simplify_expr(Call("add", (big, ONE), int32), {}) == Const(-(2**31), int32)
    product = Call("mul", (Index(2**62), Index(4)), int64)
    assert simplify_expr(product, {}) == Index(0)


def test_proofs() -> None:
    assert proves_less(i, n, EXTENTS)
    assert proves_less(0, n, EXTENTS)  # inside the loop over i, n >= 1
    assert not proves_less(0, m, EXTENTS)
    assert proves_less(4 * i + j, 4 * n, EXTENTS)
    assert not proves_less(4 * i + j, 4 * n - 1, EXTENTS)


# Values never change, whatever the tree.

VALUES: Mapping[str, Value] = {
    "x": np.float32(-0.0),
    "y": np.float32(np.nan),
    "z": np.float32(1.5),
}


class Environment:
    def __init__(self, symbols: Mapping[str, int], local: Mapping[str, Value]) -> None:
        self.symbols = symbols
        self.values = local

    def local(self, name: str) -> Value:
        return self.values[name]

    def load(self, buffer: str, index: tuple[int, ...]) -> Value:
        raise AssertionError


_floats = st.sampled_from([x, y, Local("z", float32), f(0), f(-0.0), f(1), f(2), f(np.inf)])
_indices = st.sampled_from([ix(i), ix(j), ix(n), ix(0), ix(1), ix(3), ix(4 * i + j), ix(i - 1)])


def _grow_floats(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    unary = st.builds(
        lambda op, a: Call(op, (a,), float32), st.sampled_from(["neg", "abs", "floor"]), inner
    )
    binary = st.builds(
        lambda op, a, b: Call(op, (a, b), float32),
        st.sampled_from(["add", "sub", "mul", "div", "maximum", "minimum"]),
        inner,
        inner,
    )
    choice = st.builds(
        lambda op, a, b, c: s.select(s.not_(Call(op, (a, b), bool_)), b, c),
        st.sampled_from(["eq", "lt", "le", "ne"]),
        inner,
        inner,
        inner,
    )
    return unary | binary | choice


def _grow_indices(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    binary = st.builds(
        lambda op, a, b: Call(op, (a, b), int64),
        st.sampled_from(["add", "sub", "mul", "maximum", "minimum", "floordiv", "mod"]),
        inner,
        inner,
    )
    choice = st.builds(
        lambda op, a, b, c: s.select(Call(op, (a, b), bool_), b, c),
        st.sampled_from(["eq", "lt", "le", "ne"]),
        inner,
        inner,
        inner,
    )
    return binary | choice


@given(st.recursive(_floats, _grow_floats, max_leaves=8), st.permutations(list(VALUES.values())))
@settings(max_examples=300, deadline=None)
def test_float_values_stay(expr: Expr, values: list[Value]) -> None:
    environment = Environment({}, dict(zip(VALUES, values, strict=True)))
    with np.errstate(all="ignore"):
        before = evaluate_expr(expr, environment)
        after = evaluate_expr(simplify_expr(expr, {}), environment)
    np.testing.assert_array_equal(after, before)
    assert np.isnan(before) or np.signbit(after) == np.signbit(before)


@given(st.recursive(_indices, _grow_indices, max_leaves=8), st.integers(1, 3), st.data())
@settings(max_examples=300, deadline=None)
def test_index_values_stay(expr: Expr, size: int, data: st.DataObject) -> None:
    symbols = {
        "n": size,
        "i": data.draw(st.integers(0, size - 1)),
        "j": data.draw(st.integers(0, 3)),
    }
    environment = Environment(symbols, {})
    with np.errstate(all="ignore"):
        before = evaluate_expr(expr, environment)
        assert evaluate_expr(simplify_expr(expr, EXTENTS), environment) == before
