"""The largest and the smallest elements over any axes, and where: max, min, argmax, argmin."""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import DType, highest, int8, int64, is_bool, lowest
from graphc.errors import ShapeError
from graphc.ir.arguments import AxisLike, checked_axis
from graphc.ir.lowering import Reduction
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import REAL, one_input
from graphc.ops.over_axes import (
    Axes,
    infer_reduced,
    reduce_axes,
    reduction_examples,
    with_axes_back,
)
from graphc.shapes import dim_max, reduced_shape

__all__ = ["argmax", "argmin", "max", "min"]


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
    return infer_reduced(call)


def _infer_position(call: Inference) -> TensorType:
    return TensorType(int64, _infer_nonempty(call).shape)


def _extremum(
    function: Callable[..., Any], of_nothing: Callable[[DType], float]
) -> Callable[..., Any]:
    def reference(attrs: Attributes, x: np.ndarray) -> Any:
        options = {"initial": of_nothing(x.dtype)} if attrs["allow_empty"] else {}
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
    return [b.where(_winners(b, application), with_axes_back(b, gradient, application), 0)]


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
            reference=_extremum(function, highest if build.__name__ == "min" else lowest),
            lower=Reduction(combine),
            vjp=_extremum_vjp,
            jvp=_extremum_jvp,
            examples=reduction_examples(build, empty=False),
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
    result = reduce_axes(MAX, x, axis, keepdims, REAL, allow_empty=initial is not None)
    return _with_initial(BUILDER.maximum, result, initial, lowest(result.dtype))


@public
def min(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, initial: Any = None
) -> Tensor:
    """The smallest element over `axis`: an int, several, or None for all; NaN if one is NaN.

    x: any shape, numeric dtypes. initial: a value that takes part, so that axes may be empty.
    keepdims: reduced axes stay, with size 1. The gradient goes to the first of the smallest.
    Raises ShapeError, at build or at the call, for an empty axis without `initial`.
    """
    result = reduce_axes(MIN, x, axis, keepdims, REAL, allow_empty=initial is not None)
    return _with_initial(BUILDER.minimum, result, initial, highest(result.dtype))


def _with_initial(
    larger: Callable[..., Tensor], result: Tensor, initial: Any, neutral: float
) -> Tensor:
    """The result and a number together; a number of numpy makes no other dtype of it."""
    if isinstance(initial, np.generic | np.ndarray) and not initial.ndim:
        initial = initial.item()
    several = isinstance(initial, np.ndarray | list | tuple)
    if several or (isinstance(initial, Tensor) and initial.ndim > 0):
        raise ShapeError(
            f"{result.op.name}: initial={initial!r:.60} is no number",
            source=current_source(),
            fix="give a number; gc.maximum and gc.minimum take arrays",
        )
    if initial is None or (not isinstance(initial, Tensor) and initial == neutral):
        return result
    return larger(result, initial)


MAX = _register_extremum(max, "maximum", np.max)
MIN = _register_extremum(min, "minimum", np.min)


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
            examples=reduction_examples(build, differentiable=False, empty=False, several=False),
            defaults={"allow_empty": False},
        )
    )
    for build, reference in ((argmax, np.argmax), (argmin, np.argmin))
)
