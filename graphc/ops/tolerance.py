"""Comparison within a tolerance and of whole arrays; infinities, and numbers in place of them."""

from typing import Any

from graphc.dtypes import finfo, float32, float64, is_complex, is_half, is_inexact
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.tensor import Tensor
from graphc.ops.definition import one_input, promote_inputs

__all__ = ["allclose", "array_equal", "isclose", "isneginf", "isposinf", "nan_to_num"]


@public
def isclose(
    x1: Any, x2: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether |x1 - x2| <= atol + rtol |x2|, as numpy compares; infinities are close to themselves.

    x1, x2: shapes that broadcast, any dtypes, which are promoted; integers and bool are compared as
    float64, halves as float32. rtol, atol: numbers, or tensors that broadcast with them.
    equal_nan: whether two NaN are close. Result: bool. ShapeError where shapes do not broadcast.
    """
    a, b = (_comparable(x) for x in promote_inputs("isclose", x1, x2))
    near = BUILDER.abs(a - b) <= BUILDER.abs(b) * rtol + atol
    close = near & BUILDER.isfinite(b) | BUILDER.equal(a, b)
    if equal_nan:
        close = close | BUILDER.isnan(a) & BUILDER.isnan(b)
    result: Tensor = close
    return result


def _comparable(x: Tensor) -> Tensor:
    """Tolerances are small: neither integers nor halves hold them, and differences wrap around."""
    if is_half(x.dtype):
        return x.astype(float32)
    return x if is_inexact(x.dtype) else x.astype(float64)


@public
def allclose(
    x1: Any, x2: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether all elements are close: a bool scalar of `isclose`; True where there are none."""
    return BUILDER.all(isclose(x1, x2, rtol, atol, equal_nan))


@public
def array_equal(x1: Any, x2: Any, equal_nan: bool = False) -> Tensor:
    """Whether two arrays have the same shape and elements: a bool scalar.

    x1, x2: any dtypes, which are promoted. equal_nan: whether two NaN are equal. Sizes that are
    symbolic have to be equal at the call, else FeedError.
    """
    a, b = promote_inputs("array_equal", x1, x2)
    if a.ndim != b.ndim or any(
        isinstance(one, int) and isinstance(other, int) and one != other
        for one, other in zip(a.shape, b.shape, strict=True)
    ):
        return as_tensor(False)
    same = BUILDER.equal(a, b)
    if equal_nan:
        same = same | BUILDER.isnan(a) & BUILDER.isnan(b)
    return BUILDER.all(same)


@public
def isposinf(x: Any) -> Tensor:
    """Whether each element is inf: bool. x: any shape and real dtype."""
    return BUILDER.equal(one_input("isposinf", x), float("inf"))


@public
def isneginf(x: Any) -> Tensor:
    """Whether each element is -inf: bool. x: any shape and real dtype."""
    return BUILDER.equal(one_input("isneginf", x), float("-inf"))


@public
def nan_to_num(x: Any, *, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """x with `nan` in place of NaN, `posinf` in place of inf and `neginf` in place of -inf.

    x: any shape and dtype; of complex numbers both parts, integers and bool as they are. posinf,
    neginf: by default the largest and the lowest finite number of the dtype. All three are numbers,
    or tensors that broadcast with x. The gradient is 0 where a number was put in.
    """
    tensor = one_input("nan_to_num", x)
    if is_complex(tensor.dtype):
        parts = (BUILDER.real(tensor), BUILDER.imag(tensor))
        real, imag = (_finite(part, nan, posinf, neginf) for part in parts)
        return BUILDER.complex(real, imag)
    return _finite(tensor, nan, posinf, neginf) if is_inexact(tensor.dtype) else tensor


def _finite(x: Tensor, nan: Any, posinf: Any, neginf: Any) -> Tensor:
    limits = finfo(x.dtype)
    high, low = (
        float(limit) if given is None else given
        for given, limit in ((posinf, limits.max), (neginf, limits.min))
    )
    above = BUILDER.equal(x, float("inf"))
    below = BUILDER.equal(x, float("-inf"))
    bounded = BUILDER.where(
        above, as_tensor(high, x.dtype), BUILDER.where(below, as_tensor(low, x.dtype), x)
    )
    return BUILDER.where(BUILDER.isnan(x), as_tensor(nan, x.dtype), bounded)
