"""Arithmetic of single elements: sums, products, quotients, signs, rounding, extrema."""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import bool_, finfo, is_complex, is_floating, is_inexact, is_signed
from graphc.ir.opdef import Application
from graphc.ir.parts import PartsRule, partwise
from graphc.ir.registry import BUILDER, Builder, public
from graphc.ir.tensor import Tensor
from graphc.ops import complex_formulas as formulas
from graphc.ops.definition import (
    ANY,
    FLOATING,
    NUMERIC,
    REAL,
    Over,
    check_dtype,
    one_input,
    promote_inputs,
)
from graphc.ops.elementwise_definition import (
    BOOL,
    FLOAT,
    MAGNITUDE,
    define_elementwise,
    register_elementwise,
)
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr

__all__ = [
    "abs",
    "add",
    "ceil",
    "clip",
    "copysign",
    "divide",
    "floor",
    "floor_divide",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "positive",
    "remainder",
    "round",
    "sign",
    "signbit",
    "subtract",
    "trunc",
]

# Sums and products

add = define_elementwise(
    "add",
    "x1 + x2. Integers wrap around.",
    arity=2,
    reference=np.add,
    expr=s.add,
    partials=(1, 1),
    traits=("commutative", "linear"),
    symbol="+",
    parts=partwise,
)
subtract = define_elementwise(
    "subtract",
    "x1 - x2. Integers wrap around.",
    arity=2,
    reference=np.subtract,
    expr=s.sub,
    partials=(1, -1),
    traits=("linear",),
    symbol="-",
    parts=partwise,
)
multiply = define_elementwise(
    "multiply",
    "x1 * x2. Integers wrap around.",
    arity=2,
    reference=np.multiply,
    expr=s.mul,
    partials=(lambda b, a: a.inputs[1], lambda b, a: a.inputs[0]),
    traits=("commutative",),
    symbol="*",
    parts=formulas.of_two(formulas.multiply),
)
negative = define_elementwise(
    "negative",
    "-x. Unsigned integers wrap around.",
    reference=np.negative,
    expr=s.neg,
    partials=(-1,),
    traits=("linear",),
    symbol="-",
    parts=partwise,
)


@public
def positive(x: Any, /) -> Tensor:
    """+x: x itself. Raises DTypeError for bool."""
    return one_input("positive", x, NUMERIC)


# Quotients

divide = define_elementwise(
    "divide",
    "x1 / x2, true division; by zero it is inf, -inf or NaN.",
    arity=2,
    accepts=FLOATING,
    result=FLOAT,
    reference=np.divide,
    expr=s.div,
    partials=(
        lambda b, a: Over(a.inputs[1]),
        lambda b, a: b.negative(b.divide(a.output, a.inputs[1])),
    ),
    symbol="/",
    domain=(0.5, 3.0),
    parts=formulas.of_two(formulas.divide),
)
floor_divide = define_elementwise(
    "floor_divide",
    "The largest integer not above x1 / x2. Integers divided by zero are 0, as in numpy.",
    arity=2,
    reference=np.floor_divide,
    expr=s.floordiv,
    partials=(0, 0),
    symbol="//",
    domain=(0.6, 5.4),
    smooth=False,
)
remainder = define_elementwise(
    "remainder",
    "x1 - floor(x1 / x2) * x2: it has the sign of x2. For integers and x2 = 0 it is 0, as in\n"
    "    numpy. The gradient by x2 is -floor(x1 / x2).",
    arity=2,
    reference=np.remainder,
    expr=s.mod,
    partials=(1, lambda b, a: b.negative(b.floor_divide(a.inputs[0], a.inputs[1]))),
    symbol="%",
    domain=(0.6, 5.4),
    smooth=False,
)

# Signs, rounding, extrema


def _sign(x: Expr) -> Expr:
    zero, one = s.like(x, 0), s.like(x, 1)
    if not is_signed(x.dtype):
        return s.select(s.eq(x, zero), zero, one)
    other = s.select(s.eq(x, zero), zero, x) if is_floating(x.dtype) else zero  # x: NaN stays
    return s.select(s.lt(zero, x), one, s.select(s.lt(x, zero), s.like(x, -1), other))


def _sign_bit(x: Expr) -> Expr:
    if is_floating(x.dtype):
        return s.lt(s.copysign(s.like(x, 1), x), s.like(x, 0))
    return s.lt(x, s.like(x, 0)) if is_signed(x.dtype) else s.constant(False, bool_)


def _next_after(x: Expr, y: Expr) -> Expr:
    """x + e or x - e, rounded, where e is a little more than half the distance to the neighbour:
    S. M. Rump et al., "Computing predecessor and successor in rounding to nearest" (2009),
    algorithm 2. Below the normal numbers the distance is the smallest number; just above them, x
    is scaled, for else e is not exact enough."""
    limits = finfo(x.dtype)
    half, least = float(limits.eps) / 2, s.like(x, float(limits.smallest_subnormal))
    size = s.abs_(x)
    factor = s.like(x, half * (1 + 2 * half))
    signed = s.select(s.lt(x, y), s.like(x, 1), s.like(x, -1))

    def moved(start: Expr, distance: Expr) -> Expr:
        return s.add(start, s.mul(signed, distance))

    scaled = s.mul(x, s.like(x, 1 / half))
    near = s.mul(moved(scaled, s.mul(factor, s.abs_(scaled))), s.like(x, half))
    is_large = s.le(s.like(x, float(limits.smallest_normal) / half), size)
    is_small = s.lt(size, s.like(x, 2 * float(limits.smallest_normal)))
    value = s.select(is_large, moved(x, s.mul(factor, size)), near)
    value = s.select(is_small, moved(x, least), value)
    # From an infinity to the largest number; the sign stays where the way ends at 0.
    value = s.select(s.eq(size, s.like(x, np.inf)), s.like(x, float(limits.max)), s.abs_(value))
    value = s.copysign(value, s.select(s.eq(x, s.like(x, 0)), y, x))
    is_number = s.and_(s.eq(x, x), s.eq(y, y))
    return s.select(is_number, s.select(s.eq(x, y), y, value), s.add(x, y))


def _abs_partial(b: Builder, application: Application) -> Tensor:
    """sign(x); for complex x its conjugate: d|x| = Re(conj(sign(x)) dx)."""
    x = application.inputs[0]
    return b.conj(b.sign(x)) if is_complex(x.dtype) else b.sign(x)


abs = define_elementwise(
    "abs",
    "The absolute value, |x| for complex x too. The gradient at 0 is 0.",
    result=MAGNITUDE,
    reference=np.abs,
    expr=lambda x: s.abs_(x) if is_signed(x.dtype) else x,
    partials=(_abs_partial,),
    parts=formulas.of_one(formulas.magnitude),
)


@public
def sign(x: Any, /) -> Tensor:
    """-1, 0 or 1; NaN for NaN. x / |x| for complex x, and 0 at 0.

    x: any shape, numeric dtypes (not bool). Result: the shape and dtype of x. The gradient is 0 for
    real x. Raises DTypeError for bool.
    """
    tensor = one_input("sign", x, NUMERIC)
    if not is_complex(tensor.dtype):
        return SIGN(tensor)
    length = abs(tensor)
    nothing = BUILDER.equal(length, 0)
    return BUILDER.where(nothing, 0, divide(tensor, BUILDER.where(nothing, 1, length)))


def _reference_sign(x: np.ndarray) -> np.ndarray:
    """Of -0.0 it is 0.0 in numpy's own dtypes, and -0.0 in others."""
    return np.asarray(np.sign(x) + np.zeros((), x.dtype))


SIGN = register_elementwise("sign", sign, reference=_reference_sign, expr=_sign, partials=(0,))
copysign = define_elementwise(
    "copysign",
    "The magnitude of x1 with the sign of x2, be it 0 or NaN. The gradient by x1 at 0 is 0.",
    arity=2,
    accepts=FLOATING,
    result=FLOAT,
    reference=np.copysign,
    expr=s.copysign,
    partials=(lambda b, a: b.multiply(b.sign(a.inputs[0]), b.copysign(1, a.inputs[1])), 0),
)

signbit = define_elementwise(
    "signbit",
    "Whether the sign is negative, also that of -0.0 and of NaN.",
    accepts=ANY,
    result=BOOL,
    reference=lambda x: np.signbit(x) if is_floating(x.dtype) else x < 0,
    expr=_sign_bit,
)
nextafter = define_elementwise(
    "nextafter",
    "The number next to x1 in the direction of x2; x2 where they are equal. The gradient by x1\n"
    "    is 1.",
    arity=2,
    accepts=FLOATING,
    result=FLOAT,
    reference=np.nextafter,
    expr=_next_after,
    partials=(1, 0),
    smooth=False,
)


def _define_rounding(
    name: str,
    doc: str,
    reference: Callable[..., Any],
    expr: Callable[[Expr], Expr],
    parts: PartsRule | None = None,
) -> Callable[..., Tensor]:
    def rounded(x: np.ndarray) -> Any:
        return reference(x) if is_inexact(x.dtype) else x

    return define_elementwise(
        name,
        f"{doc} Integers stay as they are. The gradient is 0.",
        reference=rounded,
        expr=lambda x: expr(x) if is_floating(x.dtype) else x,
        partials=(0,),
        traits=("integer_valued",),
        parts=parts,
    )


floor = _define_rounding("floor", "The largest integer not above x.", np.floor, s.floor)
ceil = _define_rounding("ceil", "The smallest integer not below x.", np.ceil, s.ceil)
trunc = _define_rounding("trunc", "x without its fraction.", np.trunc, s.trunc)
round = _define_rounding(
    "round", "The nearest integer, halves to even.", np.rint, s.round_, partwise
)

maximum = define_elementwise(
    "maximum",
    "The larger of two; NaN if either is NaN. The gradient goes to x1 where they are equal.",
    arity=2,
    reference=np.maximum,
    expr=s.maximum,
    partials=(
        lambda b, a: b.logical_not(b.less(a.inputs[0], a.inputs[1])),
        lambda b, a: b.less(a.inputs[0], a.inputs[1]),
    ),
    traits=("commutative",),
)
minimum = define_elementwise(
    "minimum",
    "The smaller of two; NaN if either is NaN. The gradient goes to x1 where they are equal.",
    arity=2,
    reference=np.minimum,
    expr=s.minimum,
    partials=(
        lambda b, a: b.logical_not(b.less(a.inputs[1], a.inputs[0])),
        lambda b, a: b.less(a.inputs[1], a.inputs[0]),
    ),
    traits=("commutative",),
)


@public
def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:
    """minimum(maximum(x, min), max): x moved into [min, max]; NaN stays NaN.

    x, min, max: shapes that broadcast, numeric dtypes; None is no bound. Result: the promoted
    dtype. Where min > max the result is max. The gradient by x is 1 inside and at the bounds.
    Raises DTypeError for bool, ShapeError where the shapes do not broadcast.
    """
    bounds = [bound for bound in (min, max) if bound is not None]
    x, *promoted = promote_inputs("clip", x, *bounds)
    check_dtype("clip", x.dtype, REAL)
    if min is not None:
        x = maximum(x, promoted[0])
    return x if max is None else minimum(x, promoted[-1])
