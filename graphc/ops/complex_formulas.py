"""Functions of complex numbers in real and imaginary parts: the `parts` rules of the ops.

Written for z = x + iy with real tensors x and y. Formulas are chosen to keep their digits and not
to overflow where the result does not; branch cuts are those of C99 and the Array API. Sources are
named where a formula is not a textbook identity; "Kahan" is W. Kahan, "Branch cuts for complex
elementary functions, or much ado about nothing's sign bit" (1987). Where a part is infinite or
NaN, results are those of C99 (annex G) and the Array API.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from graphc.ir.leaf import constant, scalar_value
from graphc.ir.node import Node
from graphc.ir.parts import Parts, PartsRule, Value
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor

Function = Callable[[Builder, Parts], Parts]


def of_one(function: Callable[[Builder, Parts], Any]) -> PartsRule:
    """The rule of an op of one complex input."""

    def parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Any:
        (z,) = inputs
        assert isinstance(z, Parts)
        return function(b, z)

    return parts


def of_two(function: Callable[[Builder, Parts, Parts], Any]) -> PartsRule:
    """The rule of an op of two complex inputs."""

    def parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Any:
        z, w = inputs
        assert isinstance(z, Parts) and isinstance(w, Parts)
        return function(b, z, w)

    return parts


def is_zero(tensor: Tensor) -> bool:
    """Whether a part is known to be 0: that of a real number next to a complex one."""
    node = tensor.node
    if node.op.name == "full":
        return bool(node.attrs["value"] == 0)
    return bool(scalar_value(tensor) == 0)


def like(x: Tensor, value: float) -> Tensor:
    return constant(value, x.dtype)


# --- arithmetic ----------------------------------------------------------------------------------


def multiply(b: Builder, z: Parts, w: Parts) -> Parts:
    """(xu - yv) + i(xv + yu); a real factor scales both parts, as in C99."""
    if is_zero(w.imag):
        return Parts(b.multiply(z.real, w.real), b.multiply(z.imag, w.real))
    if is_zero(z.imag):
        return Parts(b.multiply(z.real, w.real), b.multiply(z.real, w.imag))
    return Parts(
        b.subtract(b.multiply(z.real, w.real), b.multiply(z.imag, w.imag)),
        b.add(b.multiply(z.real, w.imag), b.multiply(z.imag, w.real)),
    )


def times_i(b: Builder, z: Parts) -> Parts:
    """iz"""
    return Parts(b.negative(z.imag), z.real)


def over_i(b: Builder, z: Parts) -> Parts:
    """-iz"""
    return Parts(z.imag, b.negative(z.real))


def scaled(b: Builder, z: Parts, factor: float) -> Parts:
    """z times a real number."""
    return Parts(b.multiply(z.real, factor), b.multiply(z.imag, factor))


def _ratio(b: Builder, w: Parts) -> tuple[Tensor, Tensor, Tensor]:
    """(whether |v| > |u|, the smaller part over the larger, the divisor |w|^2 / larger part)."""
    swapped = b.less(b.abs(w.real), b.abs(w.imag))
    large = b.where(swapped, w.imag, w.real)
    small = b.where(swapped, w.real, w.imag)
    ratio = b.where(b.equal(large, 0), 0, b.divide(small, large))
    return swapped, ratio, b.add(large, b.multiply(small, ratio))


def divide(b: Builder, z: Parts, w: Parts) -> Parts:
    """z / w without overflow of |w|^2 (R. L. Smith, "Algorithm 116: complex division", 1962)."""
    if is_zero(w.imag):
        return Parts(b.divide(z.real, w.real), b.divide(z.imag, w.real))
    swapped, ratio, divisor = _ratio(b, w)
    x, y = z
    real = b.where(swapped, b.add(b.multiply(x, ratio), y), b.add(x, b.multiply(y, ratio)))
    imag = b.where(
        swapped, b.subtract(b.multiply(y, ratio), x), b.subtract(y, b.multiply(x, ratio))
    )
    return Parts(b.divide(real, divisor), b.divide(imag, divisor))


def reciprocal(b: Builder, w: Parts) -> Parts:
    """1 / w, as `divide`."""
    swapped, ratio, divisor = _ratio(b, w)
    return Parts(
        b.divide(b.where(swapped, ratio, 1), divisor),
        b.divide(b.where(swapped, -1, b.negative(ratio)), divisor),
    )


def square(b: Builder, z: Parts) -> Parts:
    """(x - y)(x + y) + 2ixy"""
    x, y = z
    return Parts(b.multiply(b.subtract(x, y), b.add(x, y)), b.multiply(b.multiply(x, y), 2))


def magnitude(b: Builder, z: Parts) -> Tensor:
    """|z|"""
    return b.hypot(z.real, z.imag)


def matmul(b: Builder, node: Node, inputs: Sequence[Value]) -> Parts:
    """Four real products, two where an operand is real."""
    z, w = inputs
    assert isinstance(z, Parts) and isinstance(w, Parts)

    def product(left: Tensor, right: Tensor) -> Tensor:
        return node.op(left, right, **node.attrs)

    if is_zero(w.imag):
        return Parts(product(z.real, w.real), product(z.imag, w.real))
    if is_zero(z.imag):
        return Parts(product(z.real, w.real), product(z.real, w.imag))
    return Parts(
        b.subtract(product(z.real, w.real), product(z.imag, w.imag)),
        b.add(product(z.real, w.imag), product(z.imag, w.real)),
    )


# --- comparison ----------------------------------------------------------------------------------


def equal(b: Builder, z: Parts, w: Parts) -> Tensor:
    return b.logical_and(b.equal(z.real, w.real), b.equal(z.imag, w.imag))


def not_equal(b: Builder, z: Parts, w: Parts) -> Tensor:
    return b.logical_or(b.not_equal(z.real, w.real), b.not_equal(z.imag, w.imag))


def either(name: str) -> PartsRule:
    """A test that holds where it holds for one of the parts."""
    return of_one(lambda b, z: b.logical_or(getattr(b, name)(z.real), getattr(b, name)(z.imag)))


def both(name: str) -> PartsRule:
    """A test that holds where it holds for both parts."""
    return of_one(lambda b, z: b.logical_and(getattr(b, name)(z.real), getattr(b, name)(z.imag)))


# --- exponentials and logarithms -----------------------------------------------------------------


def _turned(b: Builder, length: Tensor, angle: Tensor) -> Parts:
    """length * (cos + i sin) of an angle; the real axis stays real, and 0 stays 0."""
    nothing = b.equal(length, 0)

    def part(value: Tensor) -> Tensor:
        return b.where(b.logical_and(nothing, b.isnan(value)), 0, value)

    x, y = b.multiply(length, b.cos(angle)), b.multiply(length, b.sin(angle))
    return Parts(part(x), on_axis(b, angle, part(y)))


def on_axis(b: Builder, y: Tensor, value: Tensor) -> Tensor:
    """An imaginary part that is 0 where y is, with its sign: the real axis stays real."""
    return b.where(b.equal(y, 0), y, value)


def kept(b: Builder, y: Tensor, value: Tensor, x: Tensor) -> Tensor:
    """`value`; where the angle y is infinite or NaN, x if that is 0 or infinite: such a size needs
    no angle."""
    without = b.logical_and(b.logical_not(b.isfinite(y)), b.logical_or(b.equal(x, 0), b.isinf(x)))
    return b.where(without, x, value)


def exp(b: Builder, z: Parts) -> Parts:
    """exp(x) (cos y + i sin y)"""
    x, y = z
    size = b.exp(x)
    real, imag = _turned(b, size, y)
    real = kept(b, y, real, b.where(b.isinf(x), size, 1))
    unknown = b.logical_and(b.isfinite(x), b.logical_not(b.isfinite(y)))
    nan = like(x, float("nan"))
    return Parts(b.where(unknown, nan, real), b.where(unknown, nan, imag))


def exp2(b: Builder, z: Parts) -> Parts:
    return _turned(b, b.exp2(z.real), b.multiply(z.imag, math.log(2)))


def expm1(b: Builder, z: Parts) -> Parts:
    """expm1(x) cos y - 2 sin(y / 2)^2 + i exp(x) sin y"""
    x, y = z
    half = b.sin(b.multiply(y, 0.5))
    grown = b.expm1(x)
    real = b.subtract(b.multiply(grown, b.cos(y)), b.multiply(b.square(half), 2))
    imag = b.multiply(b.exp(x), b.sin(y))
    ended = b.equal(x, float("-inf"))  # whatever the angle is
    real = b.where(ended, -1, kept(b, y, real, b.where(b.isinf(x), x, 1)))
    return Parts(
        b.where(b.equal(y, 0), b.where(b.equal(x, 0), 0, grown), real),
        on_axis(b, y, b.where(b.logical_and(ended, b.logical_not(b.isfinite(y))), 0, imag)),
    )


def log_magnitude(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """log |z|; near |z| = 1 as log1p(|z|^2 - 1) / 2, where |z|^2 - 1 is (a - 1)(a + 1) + b^2."""
    x, y = b.abs(x), b.abs(y)
    large, small = b.maximum(x, y), b.minimum(x, y)
    near = b.logical_and(b.less(0.5, large), b.less(large, 2))
    excess = b.add(b.multiply(b.subtract(large, 1), b.add(large, 1)), b.square(small))
    close = b.multiply(b.log1p(b.where(near, excess, 0)), 0.5)
    return b.where(near, close, b.log(b.hypot(x, y)))


def log(b: Builder, z: Parts) -> Parts:
    """log |z| + i atan2(y, x)"""
    return Parts(log_magnitude(b, z.real, z.imag), b.atan2(z.imag, z.real))


def log_to_base(base: float) -> Function:
    def rule(b: Builder, z: Parts) -> Parts:
        return scaled(b, log(b, z), 1 / math.log(base))

    return rule


def log1p(b: Builder, z: Parts) -> Parts:
    """log(1 + z); near 0 the real part is log1p(x (2 + x) + y^2) / 2."""
    x, y = z
    near = b.less(b.maximum(b.abs(x), b.abs(y)), 0.5)
    excess = b.add(b.multiply(x, b.add(x, 2)), b.square(y))
    close = b.multiply(b.log1p(b.where(near, excess, 0)), 0.5)
    shifted = b.add(x, 1)
    return Parts(b.where(near, close, log_magnitude(b, shifted, y)), b.atan2(y, shifted))


# --- powers --------------------------------------------------------------------------------------


def sqrt(b: Builder, z: Parts) -> Parts:
    """t + iy/2t for x >= 0, |y|/2t + it with the sign of y below; t = sqrt((|x| + |z|) / 2)."""
    x, y = z
    half = b.multiply(x, 0.5)
    t = b.sqrt(b.add(b.abs(half), b.hypot(half, b.multiply(y, 0.5))))
    other = b.divide(b.abs(y), b.where(b.equal(t, 0), 1, b.multiply(t, 2)))
    right = b.greater_equal(x, 0)
    endless = b.isinf(y)
    return Parts(
        b.where(endless, float("inf"), b.where(right, t, other)),
        b.where(endless, y, b.copysign(b.where(right, other, t), y)),
    )


def rsqrt(b: Builder, z: Parts) -> Parts:
    return reciprocal(b, sqrt(b, z))


MOST_SQUARINGS = 64  # constant integer powers up to this size are products


def power(b: Builder, node: Node, inputs: Sequence[Value]) -> Parts:
    """exp(w log z); products for small integer powers; 1 for w = 0, 0 for z = 0 and u > 0."""
    z, w = inputs
    assert isinstance(z, Parts) and isinstance(w, Parts)
    known = scalar_value(w.real) if is_zero(w.imag) else None
    if known is not None and float(known).is_integer() and abs(known) <= MOST_SQUARINGS:
        return _integer_power(b, z, int(known))
    origin = equal(b, z, Parts(like(z.real, 0), like(z.real, 0)))
    safe = Parts(b.where(origin, 1, z.real), z.imag)
    real, imag = exp(b, multiply(b, w, log(b, safe)))
    nothing = equal(b, w, Parts(like(w.real, 0), like(w.real, 0)))
    at_origin = b.where(b.greater(w.real, 0), like(w.real, 0), float("nan"))
    return Parts(
        b.where(nothing, 1, b.where(origin, at_origin, real)),
        b.where(nothing, 0, b.where(origin, at_origin, imag)),
    )


def _integer_power(b: Builder, z: Parts, exponent: int) -> Parts:
    result: Parts | None = None
    remaining, base = abs(exponent), z
    while remaining:
        if remaining & 1:
            result = base if result is None else multiply(b, result, base)
        remaining >>= 1
        base = square(b, base) if remaining else base
    if result is None:
        return Parts(b.ones_like(z.real), b.zeros_like(z.real))
    return reciprocal(b, result) if exponent < 0 else result
