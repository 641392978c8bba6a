"""The transforms of Box and Cox, and their inverses."""

from typing import Any

from graphc.ir.registry import BUILDER, public
from graphc.ir.tensor import Tensor
from graphc.ops.definition import floating, promote_inputs

__all__ = ["boxcox", "boxcox1p", "inv_boxcox", "inv_boxcox1p"]

_LOGARITHM = tuple((-1) ** k / (k + 1) for k in range(10))  # log1p(z) / z


def _transformed(logarithm: Tensor, lmbda: Tensor) -> Tensor:
    """expm1(lmbda log) / lmbda, as log times (exp(z) - 1) / z, which has a slope at 0"""
    infinite = BUILDER.isinf(logarithm)
    inside = BUILDER.where(infinite, 0, logarithm)
    falls = BUILDER.less(BUILDER.where(infinite, logarithm, 0) * lmbda, 0)
    limit = BUILDER.where(falls, -1 / BUILDER.where(falls, lmbda, 1), logarithm)
    return BUILDER.where(infinite, limit, inside * BUILDER.exprel(inside * lmbda))


def _exponent(y: Tensor, lmbda: Tensor) -> Tensor:
    """log1p(lmbda y) / lmbda, by its series where that is 0 / 0"""
    z = lmbda * y
    near = BUILDER.less(BUILDER.abs(z), 0.01)
    series = y * BUILDER.polynomial(BUILDER.where(near, z, 0), _LOGARITHM)
    far = BUILDER.where(near, 1, z)
    return BUILDER.where(near, series, BUILDER.log1p(far) / BUILDER.where(near, 1, lmbda))


def _inputs(name: str, x: Any, lmbda: Any) -> tuple[Tensor, Tensor]:
    first, second = promote_inputs(name, x, lmbda)
    return floating(first), floating(second)


@public
def boxcox(x: Any, lmbda: Any, /) -> Tensor:
    """(x**lmbda - 1) / lmbda, log(x) for lmbda = 0; exact near that, in gradients too.

    x, lmbda: real, shapes that broadcast; integers and bool become float32. NaN for x < 0. G. Box
    and D. Cox, "An analysis of transformations", 1964. Raises ShapeError, DTypeError.
    """
    tensor, power = _inputs("boxcox", x, lmbda)
    return _transformed(BUILDER.log(tensor), power)


@public
def boxcox1p(x: Any, lmbda: Any, /) -> Tensor:
    """boxcox(1 + x, lmbda), exact near x = 0; see boxcox. NaN for x < -1."""
    tensor, power = _inputs("boxcox1p", x, lmbda)
    return _transformed(BUILDER.log1p(tensor), power)


@public
def inv_boxcox(y: Any, lmbda: Any, /) -> Tensor:
    """The x with boxcox(x, lmbda) = y: (1 + lmbda y)**(1 / lmbda), exp(y) for lmbda = 0.

    y, lmbda: real, shapes that broadcast; integers and bool become float32. NaN where lmbda y < -1.
    Raises ShapeError, DTypeError.
    """
    tensor, power = _inputs("inv_boxcox", y, lmbda)
    return BUILDER.exp(_exponent(tensor, power))


@public
def inv_boxcox1p(y: Any, lmbda: Any, /) -> Tensor:
    """The x with boxcox1p(x, lmbda) = y; see inv_boxcox."""
    tensor, power = _inputs("inv_boxcox1p", y, lmbda)
    return BUILDER.expm1(_exponent(tensor, power))
