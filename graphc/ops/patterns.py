"""Arrays laid out by a pattern: ramps with equal ratios, powers in columns, quarter turns."""

from typing import Any

from graphc.dtypes import as_dtype, default_float, float64, is_floating
from graphc.errors import DTypeError, ParameterError, ShapeError
from graphc.ir.arguments import checked_axes, checked_size, checked_whole
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import ANY_REAL, is_weak, one_input
from graphc.shapes import Size

__all__ = ["geomspace", "logspace", "rot90", "vander"]


def _floating(name: str, dtype: Any, *ends: Any) -> Any:
    """The dtype of a ramp between real numbers."""
    for end in ends:
        one_input(name, end, ANY_REAL)
    target = default_float if dtype is None else as_dtype(dtype)
    if not is_floating(target):
        raise DTypeError(
            f"{name}: not for {target.name}",
            code="E214",
            source=current_source(),
            fix="use a floating-point dtype, and .astype after it",
        )
    return target


@public
def logspace(
    start: Any,
    stop: Any,
    num: Size = 50,
    *,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
) -> Tensor:
    """num numbers from base**start to base**stop whose logarithms are equally spaced.

    start, stop, base: numbers or scalar tensors. num: a size, symbolic ones too. endpoint: whether
    base**stop is the last. dtype: float32 by default; powers are computed in float64. Errors are
    those of `linspace`.
    """
    target = _floating("logspace", dtype, start, stop)
    exponents = BUILDER.linspace(start, stop, num, dtype=float64, endpoint=endpoint)
    return BUILDER.pow(as_tensor(base, float64), exponents).astype(target)


@public
def geomspace(
    start: Any, stop: Any, num: Size = 50, *, endpoint: bool = True, dtype: Any = None
) -> Tensor:
    """num numbers from start to stop, each the same multiple of the one before.

    start, stop: numbers or scalar tensors, both positive or both negative. num: a size, symbolic
    ones too. endpoint: whether stop is the last; both ends are exact. dtype: float32 by default;
    computed in float64. ParameterError for constants of different signs and 0 (tensors: NaN).
    """
    target = _floating("geomspace", dtype, start, stop)
    if is_weak(start) and is_weak(stop) and not start * stop > 0:
        raise ParameterError(
            f"geomspace: from {start} to {stop}",
            source=current_source(),
            fix="both ends are positive, or both negative",
        )
    first, last = as_tensor(start, float64), as_tensor(stop, float64)
    sign = BUILDER.sign(first)
    ends = (BUILDER.log(first * sign), BUILDER.log(last * sign))
    exponents = BUILDER.linspace(*ends, num, dtype=float64, endpoint=endpoint)
    size = exponents.shape[0]
    number = BUILDER.arange(size)
    values = BUILDER.exp(exponents) * sign
    if endpoint:
        values = BUILDER.where(BUILDER.equal(number, size - 1), last, values)
    return BUILDER.where(BUILDER.equal(number, 0), first, values).astype(target)


@public
def vander(x: Any, N: Size | None = None, increasing: bool = False) -> Tensor:
    """Powers of x in columns: x**(N - 1), ..., x, 1, or from 1 upwards if increasing.

    x: one axis, any dtype; integers are int64 or uint64, as in products. N: how many columns, a
    size; as many as x has entries by default. ShapeError where x has not one axis.
    """
    tensor = one_input("vander", x)
    if tensor.ndim != 1:
        raise ShapeError(
            f"vander: got {tensor.type}, allowed is one axis",
            source=current_source(),
            fix="flatten it: gc.reshape(x, (-1,))",
        )
    count = tensor.shape[0] if N is None else checked_size("vander", N)
    numbers = BUILDER.arange(count)
    factors = BUILDER.where(BUILDER.equal(numbers, 0), 1, BUILDER.expand_dims(tensor, 1))
    powers = BUILDER.cumulative_prod(factors.astype(tensor.dtype), axis=1)
    return powers if increasing else BUILDER.flip(powers, 1)


@public
def rot90(x: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """x turned by k quarter turns, from the first of the axes towards the second.

    x: at least two axes, any dtype. Raises ShapeError for axes that x does not have, or twice one.
    """
    tensor = as_tensor(x)
    places = checked_axes("rot90", tuple(axes), tensor.ndim)
    if len(places) != 2:
        raise ShapeError(
            f"rot90: axes={axes!r:.40}",
            source=current_source(),
            fix="give two axes: those of the plane in which x is turned",
        )
    turns = checked_whole("rot90", "k", k) % 4
    if turns == 0:
        return tensor
    if turns == 2:
        return BUILDER.flip(tensor, places)
    if turns == 3:
        return BUILDER.flip(BUILDER.swapaxes(tensor, *places), places[1])
    return BUILDER.swapaxes(BUILDER.flip(tensor, places[1]), *places)
