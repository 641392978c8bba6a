"""Sums, products and logic over any axes: sum, prod, any, all."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import as_dtype, bool_, double, int64, is_inexact, is_integer, is_signed, uint64
from graphc.ir.arguments import AxisLike
from graphc.ir.lowering import Reduction
from graphc.ir.node import Attributes, Node
from graphc.ir.opdef import Application, Gradients, OpDef
from graphc.ir.parts import Parts, Value, partwise
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops import complex_formulas as formulas
from graphc.ops.definition import ANY, linear_jvp, one_input
from graphc.ops.over_axes import infer_reduced, reduce_axes, reduction_examples, with_axes_back
from graphc.shapes import size_product

__all__ = ["all", "any", "prod", "sum"]


def _narrowly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Floats are combined in double precision and rounded once; integers wrap around."""

    def reference(attrs: Attributes, x: np.ndarray) -> Any:
        wide = x.astype(double(x.dtype)) if is_inexact(x.dtype) else x
        result = function(wide, axis=attrs["axes"], keepdims=attrs["keepdims"], dtype=wide.dtype)
        return np.asarray(result).astype(x.dtype)

    return reference


# --- sum -----------------------------------------------------------------------------------------


def _widened(x: Tensor, dtype: Any) -> Tensor:
    """bool and small integers are summed as int64, small unsigned ones as uint64."""
    if dtype is not None:
        return x.astype(as_dtype(dtype))
    if is_inexact(x.dtype):
        return x
    return x.astype(uint64 if is_integer(x.dtype) and not is_signed(x.dtype) else int64)


def _sum_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    gradient = gradients[0]
    assert gradient is not None
    spread = with_axes_back(b, gradient, application)
    return [b.broadcast_to(spread, application.inputs[0].shape)]


@public
def sum(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, dtype: Any = None
) -> Tensor:
    """The sum over `axis`: an int, several, or None for all; 0 where there are no elements.

    x: any shape and dtype. dtype: of the result; by default that of x, but int64 for bool and
    signed integers and uint64 for unsigned ones, which wrap around. keepdims: reduced axes stay,
    with size 1. Raises ShapeError for axes that x does not have.
    """
    return reduce_axes(SUM, _widened(one_input("sum", x), dtype), axis, keepdims, ANY)


SUM = register(
    OpDef(
        "sum",
        infer=infer_reduced,
        reference=_narrowly(np.sum),
        lower=Reduction("add"),
        vjp=_sum_vjp,
        jvp=linear_jvp,
        traits=frozenset({"linear"}),
        parts=partwise,
        examples=reduction_examples(sum),
    )
)

# --- prod ----------------------------------------------------------------------------------------


def _product_of_others(b: Builder, application: Application) -> Tensor:
    """For each element the product of all others along the axes.

    Without zeros it is rest / x, where rest is the product of the nonzero elements. A zero among
    the others makes it 0; written as rest / x times that zero, its derivative is right too. With
    more zeros the second derivative is 0, and so it is here. The third is not exact there.
    """
    x, axes = application.inputs[0], application.attrs["axes"]
    is_zero = b.equal(x, 0)
    nonzero, zero = b.where(is_zero, 1, x), b.where(is_zero, x, 0)
    rest = b.prod(nonzero, axis=axes, keepdims=True)
    other_zeros = b.subtract(b.sum(is_zero, axis=axes, keepdims=True), b.astype(is_zero, int64))
    other_zero = b.subtract(b.sum(zero, axis=axes, keepdims=True), zero)
    factor = b.where(b.equal(other_zeros, 1), other_zero, 0)
    return b.multiply(b.divide(rest, nonzero), b.where(b.equal(other_zeros, 0), 1, factor))


def _prod_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    gradient = gradients[0]
    assert gradient is not None
    spread = with_axes_back(b, gradient, application)
    return [b.multiply(spread, _product_of_others(b, application))]


def _prod_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    tangent = tangents[0]
    if tangent is None:
        return [None]
    attrs = application.attrs
    terms = b.multiply(tangent, _product_of_others(b, application))
    return [b.sum(terms, axis=attrs["axes"], keepdims=attrs["keepdims"])]


def _prod_parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Parts:
    """A loop over the reduced axes, which hands on the product of the rows so far."""
    (z,), axes = inputs, node.attrs["axes"]
    assert isinstance(z, Parts)
    kept = [axis for axis in range(z.real.ndim) if axis not in axes]
    sizes = [z.real.shape[axis] for axis in kept]
    count = size_product([z.real.shape[axis] for axis in axes])
    rows = [b.reshape(b.permute_dims(x, (*axes, *kept)), (count, *sizes)) for x in z]

    def step(product: Any, row: Any) -> tuple[Any, None]:
        return tuple(formulas.multiply(b, Parts(*product), Parts(*row))), None

    first = tuple(b.full(sizes, one, z.real.dtype) for one in (1, 0))
    found, _ = b.scan(step, first, tuple(rows))
    shape = node.types[0].shape
    return Parts(*(b.reshape(part, shape) for part in found))


@public
def prod(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, dtype: Any = None
) -> Tensor:
    """The product over `axis`: an int, several, or None for all; 1 where there are no elements.

    x: any shape and dtype. dtype: of the result; by default that of x, but int64 for bool and
    signed integers and uint64 for unsigned ones, which wrap around. keepdims: reduced axes stay,
    with size 1. First and second derivatives are exact at zeros too.
    Raises ShapeError for axes that x does not have.
    """
    return reduce_axes(PROD, _widened(one_input("prod", x), dtype), axis, keepdims, ANY)


PROD = register(
    OpDef(
        "prod",
        infer=infer_reduced,
        reference=_narrowly(np.prod),
        lower=Reduction("mul"),
        vjp=_prod_vjp,
        jvp=_prod_jvp,
        parts=_prod_parts,
        examples=reduction_examples(prod),
    )
)


# --- any and all ---------------------------------------------------------------------------------


@public
def any(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` is true: an int, several, or None for all.

    x: any shape and dtype (nonzero is true). Result: bool; False where there are no elements.
    """
    return reduce_axes(ANY_TRUE, one_input("any", x).astype(bool_), axis, keepdims, ANY)


@public
def all(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` are true: an int, several, or None for all.

    x: any shape and dtype (nonzero is true). Result: bool; True where there are no elements.
    """
    return reduce_axes(ALL_TRUE, one_input("all", x).astype(bool_), axis, keepdims, ANY)


def _register_logic(build: Callable[..., Tensor], combine: str, function: Any) -> OpDef:
    return register(
        OpDef(
            build.__name__,
            infer=infer_reduced,
            reference=lambda attrs, x: function(x, axis=attrs["axes"], keepdims=attrs["keepdims"]),
            lower=Reduction(combine),
            traits=frozenset({"nondifferentiable"}),
            examples=reduction_examples(build, differentiable=False),
        )
    )


ANY_TRUE = _register_logic(any, "or", np.any)
ALL_TRUE = _register_logic(all, "and", np.all)
