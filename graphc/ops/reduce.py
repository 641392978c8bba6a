"""Reductions over any axes: sum, prod, max, min, any, all, argmax, argmin."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import (
    DType,
    as_dtype,
    bool_,
    double,
    int8,
    int64,
    is_bool,
    is_floating,
    is_inexact,
    is_integer,
    is_signed,
    uint64,
)
from graphc.errors import ShapeError
from graphc.ir.arguments import AxisLike, checked_axes, checked_axis
from graphc.ir.lowering import Reduction
from graphc.ir.node import Attributes, Node, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import Parts, Value, partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops import complex_formulas as formulas
from graphc.ops.definition import ANY, REAL, Accepts, linear_jvp, one_input
from graphc.shapes import dim_max, reduced_shape, size_product

__all__ = ["all", "any", "argmax", "argmin", "max", "min", "prod", "sum"]

Axes = tuple[int, ...]

# --- what all reductions share -----------------------------------------------------------------


def _infer(call: Inference) -> TensorType:
    (x,) = call.types
    return TensorType(x.dtype, reduced_shape(x.shape, call.attrs["axes"], call.attrs["keepdims"]))


def _infer_nonempty(call: Inference) -> TensorType:
    """An extremum of nothing is undefined: sizes of 0 are refused now or at the call."""
    (x,) = call.types
    for axis in () if call.attrs["allow_empty"] else call.attrs["axes"]:
        size = x.shape[axis]
        if size == 0:
            raise ShapeError(
                f"{call.op}: axis {axis} is empty, and no elements have no {call.op}",
                code="E107",
                fix="give max and min initial=..., or select rows before",
            )
        call.require_equal(dim_max(size, 1), size, f"axis {axis} must not be empty")
    return _infer(call)


def _infer_position(call: Inference) -> TensorType:
    return TensorType(int64, _infer_nonempty(call).shape)


def _narrowly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Floats are combined in double precision and rounded once; integers wrap around."""

    def reference(attrs: Attributes, x: np.ndarray) -> Any:
        wide = x.astype(double(x.dtype)) if is_inexact(x.dtype) else x
        result = function(wide, axis=attrs["axes"], keepdims=attrs["keepdims"], dtype=wide.dtype)
        return np.asarray(result).astype(x.dtype)

    return reference


def _extremum(function: Callable[..., Any], highest: bool) -> Callable[..., Any]:
    def reference(attrs: Attributes, x: np.ndarray) -> Any:
        options = {"initial": identity(x.dtype, highest)} if attrs["allow_empty"] else {}
        return function(x, axis=attrs["axes"], keepdims=attrs["keepdims"], **options)

    return reference


def _position(function: Callable[..., Any]) -> Callable[..., Any]:
    """The row-major position within the reduced axes."""

    def reference(attrs: Attributes, x: np.ndarray) -> Any:
        axes: Axes = attrs["axes"]
        kept = reduced_shape(x.shape, axes, False)
        if x.size == 0:
            return np.zeros(reduced_shape(x.shape, axes, attrs["keepdims"]), dtype=np.int64)
        last = np.moveaxis(x, axes, range(-len(axes), 0)).reshape(*kept, -1)
        return function(last, axis=-1).reshape(reduced_shape(x.shape, axes, attrs["keepdims"]))

    return reference


def identity(dtype: DType, highest: bool) -> int | float:
    """The largest (highest) or smallest value of a dtype."""
    if is_floating(dtype):
        return float("inf") if highest else float("-inf")
    limits = np.iinfo(dtype)
    return int(limits.max if highest else limits.min)


def _expanded(b: Builder, value: Tensor, application: Application) -> Tensor:
    """A reduced value with its axes back, of size 1."""
    attrs = application.attrs
    return value if attrs["keepdims"] else b.expand_dims(value, attrs["axes"])


def _examples(
    build: Callable[..., Tensor],
    differentiable: bool = True,
    empty: bool = True,
    several: bool = True,
) -> Callable[[Generator], list[Example]]:
    """Over all axes and one, kept or not, also over `empty` ones and `several` at once."""

    def examples(rng: Generator) -> list[Example]:
        def example(shape: tuple[int, ...], **options: Any) -> Example:
            values = rng.permutation(np.linspace(-2, 2, int(np.prod(shape)))) + 0.1  # no ties
            return Example(lambda x: build(x, **options), (values.reshape(shape),), differentiable)

        found = [example(shape) for shape in ((), (1,), (7,), (3, 1, 5), (4, 19))]
        found += [example((3, 4, 5), axis=axis) for axis in (0, 1, -1)]
        found += [example((3, 4, 5), axis=axis, keepdims=True) for axis in (1, None)]
        found += [example((2, 0, 3), axis=axis) for axis in (0, -1)]
        if empty:
            found += [example((0,)), example((2, 0, 3)), example((2, 0, 3), axis=1)]
        if several:
            found += [example((2, 3, 4, 5), axis=(2, 0))]
            found += [example((2, 3, 4, 5), axis=(-1, 1), keepdims=True)]
        return found

    return examples


def _reduce(
    op: OpDef, x: Any, axis: AxisLike | None, keepdims: bool, accepts: Accepts, **attrs: Any
) -> Tensor:
    tensor = one_input(op.name, x, accepts)
    axes = tuple(sorted(checked_axes(op.name, axis, tensor.ndim)))
    return op(tensor, axes=axes, keepdims=bool(keepdims), **attrs) if axes else tensor


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
    spread = _expanded(b, gradient, application)
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
    return _reduce(SUM, _widened(one_input("sum", x), dtype), axis, keepdims, ANY)


SUM = register(
    OpDef(
        "sum",
        infer=_infer,
        reference=_narrowly(np.sum),
        lower=Reduction("add"),
        vjp=_sum_vjp,
        jvp=linear_jvp,
        traits=frozenset({"linear"}),
        parts=partwise,
        examples=_examples(sum),
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
    spread = _expanded(b, gradient, application)
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
    return _reduce(PROD, _widened(one_input("prod", x), dtype), axis, keepdims, ANY)


PROD = register(
    OpDef(
        "prod",
        infer=_infer,
        reference=_narrowly(np.prod),
        lower=Reduction("mul"),
        vjp=_prod_vjp,
        jvp=_prod_jvp,
        parts=_prod_parts,
        examples=_examples(prod),
    )
)

# --- max and min ---------------------------------------------------------------------------------


def _winners(b: Builder, application: Application) -> Tensor:
    """True at the first element, in row-major order, that holds the extremum."""
    op, attrs, value = application.node.op, application.attrs, application.inputs[0]
    find = ARGMAX if op is MAX else ARGMIN
    winners: Tensor | None = None
    for axis in reversed(attrs["axes"]):
        options = {**attrs, "axes": (axis,), "keepdims": True}
        numbers = [1] * value.ndim
        numbers[axis] = value.shape[axis]
        here = b.equal(b.reshape(b.arange(value.shape[axis]), numbers), find(value, **options))
        winners = here if winners is None else b.logical_and(here, winners)
        value = op(value, **options)
    assert winners is not None
    return winners


def _extremum_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    gradient = gradients[0]
    assert gradient is not None
    return [b.where(_winners(b, application), _expanded(b, gradient, application), 0)]


def _extremum_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    tangent, attrs = tangents[0], application.attrs
    if tangent is None:
        return [None]
    picked = b.where(_winners(b, application), tangent, 0)
    return [b.sum(picked, axis=attrs["axes"], keepdims=attrs["keepdims"])]


def _register_extremum(build: Callable[..., Tensor], combine: str, function: Any) -> OpDef:
    return register(
        OpDef(
            build.__name__,
            infer=_infer_nonempty,
            reference=_extremum(function, highest=build.__name__ == "min"),
            lower=Reduction(combine),
            vjp=_extremum_vjp,
            jvp=_extremum_jvp,
            examples=_examples(build, empty=False),
            defaults={"allow_empty": False},
        )
    )


@public
def max(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, initial: Any = None
) -> Tensor:
    """The largest element over `axis`: an int, several, or None for all; NaN if one is NaN.

    x: any shape, numeric dtypes. initial: a value that takes part, so that axes may be empty.
    keepdims: reduced axes stay, with size 1. The gradient goes to the first of the largest.
    Raises ShapeError, at build or at the call, for an empty axis without `initial`.
    """
    result = _reduce(MAX, x, axis, keepdims, REAL, allow_empty=initial is not None)
    return _with_initial(result, initial, maximum=True)


@public
def min(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, initial: Any = None
) -> Tensor:
    """The smallest element over `axis`: an int, several, or None for all; NaN if one is NaN.

    x: any shape, numeric dtypes. initial: a value that takes part, so that axes may be empty.
    keepdims: reduced axes stay, with size 1. The gradient goes to the first of the smallest.
    Raises ShapeError, at build or at the call, for an empty axis without `initial`.
    """
    result = _reduce(MIN, x, axis, keepdims, REAL, allow_empty=initial is not None)
    return _with_initial(result, initial, maximum=False)


MAX = _register_extremum(max, "maximum", np.max)
MIN = _register_extremum(min, "minimum", np.min)


def _with_initial(result: Tensor, initial: Any, maximum: bool) -> Tensor:
    if initial is None or initial == identity(result.dtype, not maximum):
        return result
    return BUILDER.maximum(result, initial) if maximum else BUILDER.minimum(result, initial)


# --- argmax and argmin ---------------------------------------------------------------------------


def _reduce_to_position(op: OpDef, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    tensor = one_input(op.name, x)
    if is_bool(tensor.dtype):
        tensor = tensor.astype(int8)
    if axis is None and tensor.ndim == 0:
        tensor, keepdims = tensor.reshape(1), False
    axes = range(tensor.ndim) if axis is None else (checked_axis(op.name, axis, tensor.ndim),)
    return op(tensor, axes=tuple(axes), keepdims=bool(keepdims), allow_empty=False)


@public
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest element is along `axis`, or in x flattened for None: int64.

    The first of equals wins; NaN counts as largest. keepdims: reduced axes stay, with size 1.
    Raises ShapeError, at build or at the call, for an empty axis.
    """
    return _reduce_to_position(ARGMAX, x, axis, keepdims)


@public
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element is along `axis`, or in x flattened for None: int64.

    The first of equals wins; NaN counts as smallest. keepdims: reduced axes stay, with size 1.
    Raises ShapeError, at build or at the call, for an empty axis.
    """
    return _reduce_to_position(ARGMIN, x, axis, keepdims)


ARGMAX, ARGMIN = (
    register(
        OpDef(
            build.__name__,
            infer=_infer_position,
            reference=_position(reference),
            lower=Reduction(build.__name__),
            traits=frozenset({"nondifferentiable"}),
            examples=_examples(build, differentiable=False, empty=False, several=False),
            defaults={"allow_empty": False},
        )
    )
    for build, reference in ((argmax, np.argmax), (argmin, np.argmin))
)

# --- any and all ---------------------------------------------------------------------------------


@public
def any(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` is true: an int, several, or None for all.

    x: any shape and dtype (nonzero is true). Result: bool; False where there are no elements.
    """
    return _reduce(ANY_TRUE, one_input("any", x).astype(bool_), axis, keepdims, ANY)


@public
def all(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` are true: an int, several, or None for all.

    x: any shape and dtype (nonzero is true). Result: bool; True where there are no elements.
    """
    return _reduce(ALL_TRUE, one_input("all", x).astype(bool_), axis, keepdims, ANY)


def _register_logic(build: Callable[..., Tensor], combine: str, function: Any) -> OpDef:
    return register(
        OpDef(
            build.__name__,
            infer=_infer,
            reference=lambda attrs, x: function(x, axis=attrs["axes"], keepdims=attrs["keepdims"]),
            lower=Reduction(combine),
            traits=frozenset({"nondifferentiable"}),
            examples=_examples(build, differentiable=False),
        )
    )


ANY_TRUE = _register_logic(any, "or", np.any)
ALL_TRUE = _register_logic(all, "and", np.all)
