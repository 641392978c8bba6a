"""Comparison, logic, selection and conversion of single elements."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import (
    DType,
    as_dtype,
    bool_,
    is_bool,
    is_complex,
    is_floating,
    is_inexact,
    real_dtype,
)
from graphc.errors import DTypeError, GraphcError
from graphc.ir.arguments import checked_device
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Elementwise, LoweringContext
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import Parts, PartsRule, Value, partwise
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops import complex_formulas as formulas
from graphc.ops.definition import ANY, INTEGER, located, one_input, promote_inputs
from graphc.ops.elementwise_definition import BOOL, define_elementwise, register_elementwise
from graphc.scalar import expr as s
from graphc.scalar.evaluate import cast_value
from graphc.scalar.expr import Expr

__all__ = [
    "astype",
    "cast",
    "equal",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
    "where",
]

# Comparison


def _less(x: Expr, y: Expr) -> Expr:
    return s.and_(s.not_(x), y) if is_bool(x.dtype) else s.lt(x, y)


def _less_equal(x: Expr, y: Expr) -> Expr:
    return s.or_(s.not_(x), y) if is_bool(x.dtype) else s.le(x, y)


def _define_comparison(
    name: str,
    symbol: str,
    doc: str,
    reference: Callable[..., Any],
    expr: Callable[[Expr, Expr], Expr],
    *traits: str,
    parts: PartsRule | None = None,
) -> Callable[..., Tensor]:
    return define_elementwise(
        name,
        doc,
        arity=2,
        accepts=ANY,
        result=BOOL,
        reference=reference,
        expr=expr,
        symbol=symbol,
        traits=traits,
        domain=(-1.5, 1.5),
        parts=parts,
    )


equal = _define_comparison(
    "equal",
    "==",
    "x1 == x2. NaN equals nothing.",
    np.equal,
    s.eq,
    "commutative",
    parts=formulas.of_two(formulas.equal),
)
not_equal = _define_comparison(
    "not_equal",
    "!=",
    "x1 != x2. NaN differs from everything.",
    np.not_equal,
    s.ne,
    "commutative",
    parts=formulas.of_two(formulas.not_equal),
)
less = _define_comparison("less", "<", "x1 < x2; false for NaN.", np.less, _less)
less_equal = _define_comparison(
    "less_equal", "<=", "x1 <= x2; false for NaN.", np.less_equal, _less_equal
)
greater = _define_comparison(
    "greater", ">", "x1 > x2; false for NaN.", np.greater, lambda x, y: _less(y, x)
)
greater_equal = _define_comparison(
    "greater_equal",
    ">=",
    "x1 >= x2; false for NaN.",
    np.greater_equal,
    lambda x, y: _less_equal(y, x),
)


def _is_inf(x: Expr) -> Expr:
    if not is_floating(x.dtype):
        return s.constant(False, bool_)
    return s.eq(s.abs_(x), s.like(x, float("inf")))


def _is_finite(x: Expr) -> Expr:
    if not is_floating(x.dtype):
        return s.constant(True, bool_)
    return s.lt(s.abs_(x), s.like(x, float("inf")))


isnan = define_elementwise(
    "isnan",
    "Whether x is NaN, or one of its parts.",
    accepts=ANY,
    result=BOOL,
    reference=np.isnan,
    expr=s.is_nan,
    parts=formulas.either("isnan"),
)
isinf = define_elementwise(
    "isinf",
    "Whether x is inf or -inf, or one of its parts.",
    accepts=ANY,
    result=BOOL,
    reference=np.isinf,
    expr=_is_inf,
    parts=formulas.either("isinf"),
)
isfinite = define_elementwise(
    "isfinite",
    "Whether x is neither infinite nor NaN.",
    accepts=ANY,
    result=BOOL,
    reference=np.isfinite,
    expr=_is_finite,
    parts=formulas.both("isfinite"),
)

# Logic: each input becomes a truth value first


def truth(name: str, value: Any) -> Tensor:
    """`value` as bool: nonzero is true, so NaN is."""
    tensor = one_input(name, value)
    return tensor if is_bool(tensor.dtype) else astype(tensor, bool_)


@public
def logical_and(x1: Any, x2: Any, /) -> Tensor:
    """Whether both are true. x1, x2: shapes that broadcast, any dtypes (nonzero is true).

    Raises ShapeError where the shapes do not broadcast.
    """
    return LOGICAL_AND(truth("logical_and", x1), truth("logical_and", x2))


@public
def logical_or(x1: Any, x2: Any, /) -> Tensor:
    """Whether one or both are true. x1, x2: shapes that broadcast, any dtypes (nonzero is true).

    Raises ShapeError where the shapes do not broadcast.
    """
    return LOGICAL_OR(truth("logical_or", x1), truth("logical_or", x2))


@public
def logical_xor(x1: Any, x2: Any, /) -> Tensor:
    """Whether exactly one is true. x1, x2: shapes that broadcast, any dtypes (nonzero is true).

    Raises ShapeError where the shapes do not broadcast.
    """
    return LOGICAL_XOR(truth("logical_xor", x1), truth("logical_xor", x2))


@public
def logical_not(x: Any, /) -> Tensor:
    """Whether x is false. x: any shape, any dtype (nonzero is true)."""
    return LOGICAL_NOT(truth("logical_not", x))


def _register_logic(
    build: Callable[..., Tensor],
    symbol: str,
    reference: Callable[..., Any],
    expr: Callable[..., Expr],
    arity: int = 2,
) -> OpDef:
    return register_elementwise(
        build.__name__,
        build,
        arity=arity,
        accepts=INTEGER,
        result=BOOL,
        reference=reference,
        expr=expr,
        symbol=symbol,
        traits=("commutative",) if arity == 2 else (),
        domain=(-0.9, 0.9),
    )


LOGICAL_AND = _register_logic(logical_and, "and", np.logical_and, s.and_)
LOGICAL_OR = _register_logic(logical_or, "or", np.logical_or, s.or_)
LOGICAL_XOR = _register_logic(logical_xor, "xor", np.logical_xor, s.xor)
LOGICAL_NOT = _register_logic(logical_not, "not", np.logical_not, s.not_, arity=1)

# Selection


def _where_infer(call: Inference) -> TensorType:
    return TensorType(call.types[1].dtype, call.broadcast())


def _where_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    condition, gradient = application.inputs[0], gradients[0]
    return [None, b.where(condition, gradient, 0), b.where(condition, 0, gradient)]


def _where_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    _, taken, other = tangents
    if taken is None and other is None:
        return [None]
    return [
        b.where(application.inputs[0], 0 if taken is None else taken, 0 if other is None else other)
    ]


def _where_examples(rng: Generator) -> list[Example]:
    shapes: list[tuple[tuple[int, ...], ...]] = [((),) * 3, ((0,),) * 3, ((1,),) * 3, ((4, 5),) * 3]
    shapes += [((3, 4), (4,), ()), ((2, 1), (1, 3), (2, 3)), ((4,), (3, 4), (3, 1)), ((2,), (), ())]
    return [
        Example(where, (rng.uniform(size=c) < 0.5, rng.normal(size=x), rng.normal(size=y)))
        for c, x, y in shapes
    ]


WHERE = register(
    OpDef(
        "where",
        infer=_where_infer,
        reference=lambda attrs, condition, x, y: np.where(condition, x, y),
        lower=Elementwise(lambda context, condition, x, y: s.select(condition, x, y)),
        vjp=_where_vjp,
        jvp=_where_jvp,
        traits=frozenset({"elementwise"}),
        examples=_where_examples,
        parts=partwise,
    )
)


@public
def where(condition: Any, x1: Any, x2: Any, /) -> Tensor:
    """x1 where the condition holds, else x2: never a blend, in values and in gradients.

    condition: any dtype (nonzero is true). x1, x2: any dtypes, promoted together. All shapes
    broadcast. Raises ShapeError where they do not.
    """
    taken, other = promote_inputs("where", x1, x2)
    return WHERE(truth("where", condition), taken, other)


# Conversion


def _astype_lowering(context: LoweringContext, x: Expr) -> Expr:
    dtype: DType = context.attrs["dtype"]
    return s.ne(x, s.like(x, 0)) if is_bool(dtype) else s.cast(x, dtype)


def _astype_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    source, gradient = application.inputs[0].dtype, gradients[0]
    if not (is_inexact(source) and is_inexact(application.output.dtype)):
        return [None]
    real = is_complex(application.output.dtype) and not is_complex(source)
    return [b.astype(b.real(gradient) if real else gradient, source)]


def _astype_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    tangent, dtype = tangents[0], application.output.dtype
    if tangent is None or not is_inexact(dtype):
        return [None]
    return [b.astype(tangent, dtype)]


def _astype_parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    """A real number is the real part of a complex one; a complex number is true if a part is."""
    (x,) = inputs
    dtype: DType = node.attrs["dtype"]
    if not isinstance(x, Parts):
        real = b.astype(x, real_dtype(dtype))
        return Parts(real, b.zeros_like(real))
    if is_bool(dtype):
        return b.logical_or(x.real, x.imag)
    return Parts(b.astype(x.real, real_dtype(dtype)), b.astype(x.imag, real_dtype(dtype)))


def _astype_examples(rng: Generator) -> list[Example]:
    def example(dtype: str, shape: tuple[int, ...]) -> Example:
        values = rng.uniform(-50, 50, size=shape)
        return Example(lambda x: astype(x, dtype), (values,), dtype == "float64")

    names = ("float64", "float32", "int64", "int32", "int8", "bool")
    return [example(name, shape) for name in names for shape in ((), (0, 2), (3, 4))]


ASTYPE = register(
    OpDef(
        "astype",
        infer=lambda call: TensorType(call.attrs["dtype"], call.types[0].shape),
        reference=lambda attrs, x: cast_value(x, attrs["dtype"]),
        lower=Elementwise(_astype_lowering),
        vjp=_astype_vjp,
        jvp=_astype_jvp,
        traits=frozenset({"elementwise", "linear"}),
        examples=_astype_examples,
        parts=_astype_parts,
    )
)


@public
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """x with its elements converted to `dtype`: a name, a numpy dtype, or bool, int, float.

    Floats become integers by dropping the fraction; from NaN and from what is out of range comes
    some integer, as in numpy. Anything nonzero, NaN too, becomes True. The result is x itself if it
    has the dtype already; values never change, so copy means nothing. Raises DTypeError for what is
    not a dtype, and for complex x and a real dtype: gc.real(x) and gc.imag(x) say which part is
    meant.
    """
    checked_device("astype", device)
    try:
        tensor, target = as_tensor(x), as_dtype(dtype)
    except GraphcError as error:
        raise located(error, "astype") from None
    if is_complex(tensor.dtype) and not (is_complex(target) or is_bool(target)):
        raise located(_loses_a_part(tensor, target), "astype")
    return tensor if tensor.dtype == target else ASTYPE(tensor, dtype=target)


def _loses_a_part(x: Tensor, target: DType) -> DTypeError:
    return DTypeError(
        f"{x.dtype.name} does not become {target.name}: the imaginary part would be lost",
        code="E214",
        details=[f"got {x.type}"],
        fix="take gc.real(x), gc.imag(x) or gc.abs(x) first",
    )


@public
def cast(x: Any, dtype: Any, /) -> Tensor:
    """The same as astype(x, dtype)."""
    return astype(x, dtype)
