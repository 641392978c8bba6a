"""Powers and roots of single elements."""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import float32, float64, is_integer, is_signed
from graphc.errors import DTypeError
from graphc.ir.leaf import scalar_value
from graphc.ir.lowering import Composite, Elementwise, IndexCheck
from graphc.ir.node import TensorType
from graphc.ir.opdef import Application, Example, OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops import complex_formulas as formulas
from graphc.ops.definition import FLOATING, NUMERIC, Over, Partial, check_dtype, promote_inputs
from graphc.ops.elementwise_definition import FLOAT, define_elementwise, register_elementwise, wide
from graphc.scalar import expr as s
from graphc.scalar.expr import Const, Expr

__all__ = ["cbrt", "hypot", "pow", "reciprocal", "rsqrt", "sqrt", "square"]

# Powers that are computed otherwise. x ** -2 of a large float64 is subnormal, 1 / (x * x) is 0.
PRODUCTS = {float32: (-3.0, -2.0, 3.0, 4.0), float64: (3.0, 4.0)}
ROOTS = (-0.5, 0.5)

square = define_elementwise(
    "square",
    "x * x. Integers wrap around.",
    reference=np.square,
    expr=lambda x: s.mul(x, x),
    partials=(lambda b, a: b.multiply(a.inputs[0], 2),),
    parts=formulas.of_one(formulas.square),
)
reciprocal = define_elementwise(
    "reciprocal",
    "1 / x.",
    accepts=FLOATING,
    result=FLOAT,
    reference=lambda x: np.divide(np.ones((), x.dtype), x),
    expr=lambda x: s.div(s.like(x, 1), x),
    partials=(lambda b, a: b.negative(b.square(a.output)),),
    domain=(0.5, 3.0),
    parts=formulas.of_one(formulas.reciprocal),
)


def _power_by_base(b: Builder, application: Application) -> Partial:
    """y x^(y - 1); 0 for y = 0, where x^(y - 1) may be infinite."""
    x, y = application.inputs
    exponent = scalar_value(y) if y.ndim == 0 else None
    if exponent is not None:
        if exponent in (0, 1):
            return 0 if exponent == 0 else 1
        return b.multiply(x, 2) if exponent == 2 else b.multiply(b.pow(x, exponent - 1), y)
    zero = b.equal(y, 0)
    return b.where(zero, 0, b.multiply(y, b.pow(x, b.where(zero, 1, b.subtract(y, 1)))))


def _power_by_exponent(b: Builder, application: Application) -> Partial:
    """x^y log(x); 0 for x = 0 and y >= 0."""
    x = application.inputs[0]
    return b.multiply(application.output, b.log(b.where(b.equal(x, 0), 1, x)))


def _check_exponents(exponents: Tensor) -> Tensor:
    """Integers to negative powers are refused: constants now, others at every call."""
    if not is_signed(exponents.dtype):
        return exponents
    if exponents.node.op.name != "constant":
        return INTEGER_EXPONENT(exponents)
    values = exponents.node.attrs["value"]
    if (values < 0).any():
        raise DTypeError(
            f"pow: an integer to the negative power {values[values < 0].flat[0]} is not an integer",
            code="E215",
            source=current_source(),
            fix="make the base floating point: x.astype('float32')",
        )
    return exponents


@public
def pow(x1: Any, x2: Any, /) -> Tensor:
    """x1 to the power x2. Integer powers of integers are exact (they wrap around).

    x1, x2: shapes that broadcast, numeric dtypes. Result: the promoted dtype.
    The gradient by x1 is x2 x1^(x2 - 1) and 0 for x2 = 0; the gradient by x2 is x1^x2 log(x1) and 0
    for x1 = 0 and x2 >= 0.
    Raises DTypeError for bool and for negative constant powers of integers, IndexOutOfRange where
    such a power turns up at a call, ShapeError where the shapes do not broadcast.
    """
    base, exponent = promote_inputs("pow", x1, x2)
    check_dtype("pow", base.dtype, NUMERIC)
    if is_integer(base.dtype):
        return INTEGER_POW(base, _check_exponents(exponent))
    return POW(base, exponent)


def _power(x: Expr, y: Expr) -> Expr:
    """x ** y; small known powers as products and roots, with the results of pow at zeros and
    infinities. Products are rounded once in float32, up to three times in float64."""
    if not isinstance(y, Const) or x.dtype not in PRODUCTS:
        return s.pow_(x, y)
    if y.value not in (*ROOTS, *PRODUCTS[x.dtype]):
        return s.pow_(x, y)
    if y.value in ROOTS:
        root = s.select(
            s.eq(x, s.like(x, -np.inf)), s.like(x, np.inf), s.sqrt(s.add(x, s.like(x, 0.0)))
        )
        return root if y.value > 0 else s.div(s.like(x, 1), root)
    base = s.cast(x, float64) if x.dtype == float32 else x
    whole = s.mul(base, base)
    if abs(y.value) > 2:
        whole = s.mul(whole, base if abs(y.value) == 3 else whole)
    if y.value < 0:
        whole = s.div(s.like(base, 1), whole)
    return s.cast(whole, x.dtype) if x.dtype == float32 else whole


POW = register_elementwise(
    "pow",
    pow,
    arity=2,
    reference=wide(np.power),
    expr=_power,
    traits=("numbers",),
    partials=(_power_by_base, _power_by_exponent),
    symbol="**",
    domain=(0.2, 3.0),
    parts=formulas.power,
)
INTEGER_EXPONENT = register(
    OpDef(
        "integer_exponent",
        infer=lambda call: call.types[0],
        reference=lambda attrs, x: x,
        lower=Elementwise(lambda context, x: x),
        index_checks=lambda context: [
            IndexCheck(0, axis=0, size=int(np.iinfo(context.output.dtype).max), minimum=0)
        ],
        traits=frozenset({"elementwise", "nondifferentiable"}),
        examples=lambda rng: [
            Example(lambda n: pow(3, n), (rng.integers(0, 9, size=shape),), False)
            for shape in ((), (0, 2), (3, 4))
        ],
    )
)


def _power_by_squaring(b: Builder, base: Tensor, exponent: Tensor) -> Tensor:
    """Square and multiply: x^n is the product of x^(2^k) over the bits k of n."""
    known = scalar_value(exponent) if exponent.ndim == 0 else None
    if known is not None:
        bits = max(int(known).bit_length(), 1)
    else:
        bits = np.iinfo(exponent.dtype).bits - is_signed(exponent.dtype)
    result = b.ones_like(b.multiply(base, exponent))
    for bit in range(bits):
        if known is None:
            is_set = b.not_equal(b.bitwise_and(b.bitwise_right_shift(exponent, bit), 1), 0)
            result = b.where(is_set, b.multiply(result, base), result)
        elif int(known) >> bit & 1:
            result = b.multiply(result, base)
        if bit + 1 < bits:
            base = b.square(base)
    return result


INTEGER_POW = register(
    OpDef(
        "integer_pow",
        infer=lambda call: TensorType(call.types[0].dtype, call.broadcast()),
        reference=lambda attrs, x, n: np.power(x, n),
        lower=Composite(_power_by_squaring),
        traits=frozenset({"elementwise", "nondifferentiable"}),
        examples=lambda rng: [
            Example(
                build, (rng.integers(-9, 9, size=(3, 4)), rng.integers(0, 70, size=shape)), False
            )
            for shape in ((), (4,), (3, 1))
            for build in (pow, lambda x, n: pow(x, 5), lambda x, n: pow(x, 0))
        ],
        symbol="**",
    )
)
sqrt = define_elementwise(
    "sqrt",
    "The square root; NaN for x < 0, -0.0 for -0.0. For complex x that with real part >= 0.",
    accepts=FLOATING,
    result=FLOAT,
    reference=np.sqrt,
    expr=s.sqrt,
    partials=(lambda b, a: Over(b.multiply(a.output, 2)),),
    domain=(0.1, 4.0),
    parts=formulas.of_one(formulas.sqrt),
)
rsqrt = define_elementwise(
    "rsqrt",
    "1 / sqrt(x).",
    accepts=FLOATING,
    result=FLOAT,
    reference=wide(lambda x: 1 / np.sqrt(x)),
    expr=lambda x: s.div(s.like(x, 1), s.sqrt(x)),
    partials=(lambda b, a: b.divide(b.multiply(a.output, -0.5), a.inputs[0]),),
    domain=(0.1, 4.0),
    parts=formulas.of_one(formulas.rsqrt),
)
cbrt = define_elementwise(
    "cbrt",
    "The real cube root.",
    accepts=FLOATING,
    result=FLOAT,
    reference=wide(np.cbrt),
    expr=s.cbrt,
    partials=(lambda b, a: Over(b.multiply(b.square(a.output), 3)),),
    domain=(0.1, 4.0),
)


def _hypot(x: Expr, y: Expr) -> Expr:
    """a sqrt(1 + (b / a)^2) with a the larger: no overflow; inf wins over NaN as in C99."""
    x, y = s.abs_(x), s.abs_(y)
    large, small, inf = s.maximum(x, y), s.minimum(x, y), s.like(x, float("inf"))
    zero = s.eq(large, s.like(x, 0))
    ratio = s.div(small, s.select(zero, s.like(x, 1), large))
    length = s.mul(large, s.sqrt(s.add(s.like(x, 1), s.mul(ratio, ratio))))
    return s.select(s.or_(s.eq(x, inf), s.eq(y, inf)), inf, length)


def _hypot_partial(number: int) -> Callable[[Builder, Application], Partial]:
    def partial(b: Builder, application: Application) -> Partial:
        length = application.output
        return b.divide(application.inputs[number], b.where(b.equal(length, 0), 1, length))

    return partial


hypot = define_elementwise(
    "hypot",
    "sqrt(x1**2 + x2**2) without overflow. The gradient at the origin is 0.",
    arity=2,
    accepts=FLOATING,
    result=FLOAT,
    reference=wide(np.hypot),
    expr=_hypot,
    partials=(_hypot_partial(0), _hypot_partial(1)),
    traits=("commutative",),
)
