"""Horner's rule as an expression, and derivatives of coefficients."""

import pytest

from graphc.dtypes import float32, float64
from graphc.scalar.expr import Const, Local, cost
from graphc.scalar.polynomial import derivative, horner
from graphc.scalar.printer import format_expr

X = Local("x", float64)


def test_horner() -> None:
    assert format_expr(horner(X, (1.0, 2.0, -0.5))) == "(-0.5*x + 2.0)*x + 1.0"
    assert horner(X, (3.0,)) == Const(3.0, float64)
    assert cost(horner(X, (1.0,) * 9)) == 16


def test_coefficients_take_the_dtype_of_the_argument() -> None:
    constant = horner(Local("x", float32), (0.1,))
    assert isinstance(constant, Const) and constant.dtype == float32
    assert constant.value == pytest.approx(0.1, rel=1e-7) and constant.value != 0.1


def test_derivative() -> None:
    assert derivative((5.0, 2.0, 3.0)) == (2.0, 6.0)
    assert derivative((5.0,)) == (0.0,)
