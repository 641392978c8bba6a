"""Means, variances and log-sum-exp over any axes: reductions made of simpler ones."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import float64, is_complex, real_dtype
from graphc.ir.arguments import AxisLike, checked_axes, checked_number
from graphc.ir.batch import shifted
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.definition import (
    floating,
    one_input,
    promote_inputs,
    rounded_once,
    widened,
)
from graphc.shapes import Dim, Size, reduced_shape, size_product

__all__ = ["logsumexp", "mean", "std", "var"]

Axes = tuple[int, ...]
Slope = Callable[[Builder, Application], Tensor]  # of a result by each element that it combines
Derivative = Callable[[Builder, Application, Gradients], Gradients]


def _infer(call: Inference) -> TensorType:
    (x,) = call.types
    return TensorType(x.dtype, reduced_shape(x.shape, call.attrs["axes"], call.attrs["keepdims"]))


def _prepare(name: str, x: Any, axis: AxisLike | None) -> tuple[Tensor, Axes]:
    tensor = floating(one_input(name, x))
    return tensor, tuple(sorted(checked_axes(name, axis, tensor.ndim)))


def _count(x: Tensor, axes: Axes) -> Size:
    """How many elements are combined into one."""
    return size_product([x.shape[axis] for axis in axes])


def _spread(b: Builder, value: Tensor, application: Application) -> Tensor:
    """A reduced value with its axes back, of size 1."""
    attrs = application.attrs
    return value if attrs["keepdims"] else b.expand_dims(value, attrs["axes"])


def _vjp_by(slope: Slope) -> Derivative:
    def vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
        gradient = gradients[0]
        assert gradient is not None
        return [b.multiply(_spread(b, gradient, application), slope(b, application))]

    return vjp


def _jvp_by(slope: Slope) -> Derivative:
    def jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
        tangent, attrs = tangents[0], application.attrs
        if tangent is None:
            return [None]
        terms = b.multiply(tangent, slope(b, application))
        return [b.sum(terms, axis=attrs["axes"], keepdims=attrs["keepdims"])]

    return jvp


def _examples(build: Callable[..., Tensor]) -> Callable[[Generator], list[Example]]:
    """Over all axes, one, several, none, kept or not; over an empty one without derivatives."""

    def examples(rng: Generator) -> list[Example]:
        def example(shape: tuple[int, ...], smooth: bool = True, **options: Any) -> Example:
            return Example(lambda x: build(x, **options), (rng.normal(size=shape),), smooth)

        found = [example(shape) for shape in ((), (1,), (7,), (3, 1, 5))]
        found += [example((3, 4, 5), axis=axis) for axis in (0, -1, (0, 2), ())]
        found += [example((3, 4, 5), axis=axis, keepdims=True) for axis in (1, None, (-1, 0))]
        return [*found, example((2, 0, 3), axis=0), example((2, 0, 3), smooth=False, axis=1)]

    return examples


# --- mean ----------------------------------------------------------------------------------------


@public
def mean(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis` divided by the number of elements; NaN where there are none.

    x: any shape and dtype; integers and bool become float32. axis: an int, several, or None for
    all. keepdims: reduced axes stay, with size 1. Raises ShapeError for axes that x does not have.
    """
    tensor, axes = _prepare("mean", x, axis)
    total = BUILDER.sum(widened(tensor), axis=axes, keepdims=keepdims)
    return BUILDER.divide(total, _count(tensor, axes)).astype(tensor.dtype)


# --- variance ------------------------------------------------------------------------------------


def _centred(b: Builder, x: Tensor, axes: Axes) -> Tensor:
    return b.subtract(x, b.mean(x, axis=axes, keepdims=True))


def _freedom(b: Builder, x: Tensor, axes: Axes, correction: float) -> Tensor | float:
    """The number of elements less the correction, and not below 0."""
    count = _count(x, axes)
    if isinstance(count, Dim):
        return b.maximum(b.subtract(b.as_tensor(count, x.dtype), correction), 0)
    return max(count - correction, 0.0)


def _build_var(b: Builder, x: Tensor, axes: Axes, keepdims: bool, correction: float) -> Tensor:
    total = b.sum(b.square(_centred(b, x, axes)), axis=axes, keepdims=keepdims)
    return b.divide(total, _freedom(b, x, axes, correction))


def _var_slope(b: Builder, application: Application) -> Tensor:
    """2 (x - mean) / (n - correction). The mean's own derivative cancels: deviations sum to 0."""
    x, attrs = application.inputs[0], application.attrs
    wide = widened(x)
    freedom = _freedom(b, wide, attrs["axes"], attrs["correction"])
    slope = b.divide(b.multiply(_centred(b, wide, attrs["axes"]), 2), freedom)
    return slope.astype(x.dtype)


def _var_reference(attrs: Attributes, x: np.ndarray) -> Any:
    wide = x.astype(float64)
    count = np.prod([x.shape[axis] for axis in attrs["axes"]])
    centred = wide - wide.sum(axis=attrs["axes"], keepdims=True) / count
    total = np.square(centred).sum(axis=attrs["axes"], keepdims=attrs["keepdims"])
    return np.asarray(total / np.maximum(count - attrs["correction"], 0.0)).astype(x.dtype)


@public
def var(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, correction: float = 0.0
) -> Tensor:
    """The mean square deviation from the mean: sum((x - mean)^2) / (n - correction).

    x: any shape and dtype; integers and bool become float32; complex x has a real variance, the
    mean of |x - mean|^2. axis: an int, several, or None for all. keepdims: reduced axes stay, with
    size 1. correction: 0 for the variance of the elements, 1 for the unbiased estimate; where
    n <= correction the result is NaN or inf, as in numpy. Raises ShapeError for axes that x does
    not have.
    """
    tensor, axes = _prepare("var", x, axis)
    if is_complex(tensor.dtype):
        parts = (BUILDER.real(tensor), BUILDER.imag(tensor))
        one, other = (var(part, axes, keepdims, correction=correction) for part in parts)
        return BUILDER.add(one, other)
    return VAR(
        tensor,
        axes=axes,
        keepdims=bool(keepdims),
        correction=checked_number("var", "correction", correction),
    )


VAR = register(
    OpDef(
        "var",
        infer=_infer,
        reference=_var_reference,
        lower=Composite(rounded_once(_build_var)),
        vjp=_vjp_by(_var_slope),
        jvp=_jvp_by(_var_slope),
        batch=shifted("axes"),
        examples=_examples(lambda x, **options: var(x, correction=0.5, **options)),
    )
)


@public
def std(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, correction: float = 0.0
) -> Tensor:
    """sqrt(var(x, axis, keepdims, correction=correction)).

    The gradient is not finite where all elements are equal.
    """
    tensor = floating(one_input("std", x))
    variance = var(widened(tensor), axis, keepdims, correction=correction)
    return BUILDER.sqrt(variance).astype(real_dtype(tensor.dtype))


# --- logsumexp -----------------------------------------------------------------------------------


def _build_logsumexp(b: Builder, x: Tensor, axes: Axes, keepdims: bool) -> Tensor:
    """m + log(sum(exp(x - m))) with m the largest element, or 0 where that is not finite."""
    largest = b.max(x, axis=axes, keepdims=True, initial=float("-inf"))
    shift = b.where(b.isfinite(largest), largest, 0)
    total = b.sum(b.exp(b.subtract(x, shift)), axis=axes, keepdims=True)
    result = b.add(b.log(total), shift)
    return result if keepdims else b.squeeze(result, axes)


def _weights(b: Builder, application: Application) -> Tensor:
    """exp(x - result): what each element contributes; 0 where all are -inf."""
    result = _spread(b, application.output, application)
    bounded = b.where(b.equal(result, float("-inf")), 0, result)
    return b.exp(b.subtract(application.inputs[0], bounded))


def _logsumexp_reference(attrs: Attributes, x: np.ndarray) -> Any:
    axes, wide = attrs["axes"], x.astype(float64)
    largest = np.max(wide, axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0)
    result = np.log(np.exp(wide - shift).sum(axis=axes, keepdims=True)) + shift
    return (result if attrs["keepdims"] else np.squeeze(result, axes)).astype(x.dtype)


def _weighted_logsumexp(x: Any, b: Any, axis: AxisLike | None, keepdims: bool) -> Tensor:
    """log(sum(b exp(x - m))) + m with the largest x as m; what b = 0 belongs to does not count"""
    x, b = map(widened, promote_inputs("logsumexp", x, b))
    tensor, axes = _prepare("logsumexp", BUILDER.where(b == 0, -math.inf, floating(x)), axis)
    largest = BUILDER.max(tensor, axis=axes, keepdims=True, initial=-math.inf)
    largest = BUILDER.stop_gradient(largest)
    largest = BUILDER.where(BUILDER.isfinite(largest), largest, 0)
    total = BUILDER.sum(b * BUILDER.exp(tensor - largest), axis=axes, keepdims=True)
    result: Tensor = BUILDER.log(total) + largest
    return result if keepdims else BUILDER.squeeze(result, axis=axes)


@public
def logsumexp(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, b: Any = None
) -> Tensor:
    """log(sum(b exp(x))) over `axis` without overflow; -inf where there are no elements.

    x: any shape and dtype; integers and bool become float32. axis: an int, several, or None for
    all. keepdims: reduced axes stay, with size 1. The gradient is exp(x - result), softmax.
    b: factors that broadcast with x, 1 by default; NaN where the sum is negative.
    Raises ShapeError for axes that x does not have.
    """
    if b is not None:
        dtype = floating(promote_inputs("logsumexp", x, b)[0]).dtype
        return _weighted_logsumexp(x, b, axis, keepdims).astype(dtype)
    tensor, axes = _prepare("logsumexp", x, axis)
    return LOGSUMEXP(tensor, axes=axes, keepdims=bool(keepdims)) if axes else tensor


LOGSUMEXP = register(
    OpDef(
        "logsumexp",
        infer=_infer,
        reference=_logsumexp_reference,
        lower=Composite(rounded_once(_build_logsumexp)),
        vjp=_vjp_by(_weights),
        jvp=_jvp_by(_weights),
        batch=shifted("axes"),
        examples=_examples(logsumexp),
    )
)
