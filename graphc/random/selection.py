"""One of several: categorical and choice."""

from typing import Any

from graphc.dtypes import float32, int64, is_floating, promote
from graphc.errors import ParameterError, ShapeError
from graphc.ir.arguments import ShapeLike, checked_axis
from graphc.ir.leaf import as_tensor
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.indexing import take
from graphc.ops.movement import moveaxis
from graphc.ops.reduce import argmax
from graphc.ops.transcendental import log
from graphc.random.continuous import standard_gumbel
from graphc.random.keys import Key, draws_of, sizes_of
from graphc.random.parameters import NOT_NEGATIVE, check_range, working_dtype
from graphc.random.uniforms import integers
from graphc.shapes import Dim, format_shape

__all__ = ["categorical", "choice"]


def categorical(key: Key, logits: Any, axis: int = -1, shape: ShapeLike | None = None) -> Tensor:
    """Positions along an axis, each with the probability softmax(logits): int64.

    logits: log-probabilities, up to a constant; -inf is never drawn. shape: that of the result,
    which ends in the shape of logits without the axis (the default). By the largest of logits plus
    Gumbel noise, so it costs as many random numbers as there are logits per result.
    """
    weights = as_tensor(logits)
    weights = weights if is_floating(weights.dtype) else weights.astype(float32)
    position = checked_axis("categorical", axis, weights.ndim)
    weights = moveaxis(weights.astype(working_dtype(weights.dtype)), position, -1)
    if weights.shape[-1] == 0:
        raise ShapeError("categorical: nothing to choose from", source=current_source())
    batch = weights.shape[:-1]
    sizes = batch if shape is None else sizes_of("categorical", shape)
    if len(sizes) < len(batch) or any(
        isinstance(one, int) and isinstance(other, int) and one != other and other != 1
        for one, other in zip(sizes[len(sizes) - len(batch) :], batch, strict=True)
    ):
        raise ShapeError(
            "categorical: the shape does not end in that of the logits without the axis",
            details=[f"shape: {format_shape(sizes)}    logits: {format_shape(batch)} without it"],
            source=current_source(),
        )
    noise = standard_gumbel(
        draws_of("categorical", key), (*sizes, weights.shape[-1]), weights.dtype
    )
    return argmax(weights + noise, axis=-1)


def choice(key: Key, a: Any, shape: ShapeLike = (), p: Any = None, axis: int = 0) -> Tensor:
    """Elements of a, drawn with replacement.

    a: a size n, for integers in [0, n), or a tensor, for its entries along `axis`. p: their
    probabilities, one axis, up to a factor; equal by default. The result has the shape in place of
    the axis. Raises ParameterError where n is 0 or a probability is negative.
    """
    sizes = sizes_of("choice", shape)
    whole = isinstance(a, int | Dim) and not isinstance(a, bool)
    values = None if whole else as_tensor(a)
    position = 0 if values is None else checked_axis("choice", axis, values.ndim)
    count = a if values is None else values.shape[position]
    if isinstance(count, int) and count <= 0:
        raise ParameterError("choice: nothing to choose from", source=current_source())
    if p is None:
        chosen = integers(key, sizes, 0, count)
    else:
        check_range("choice", "p", p, NOT_NEGATIVE)
        weights = as_tensor(p)
        weights = weights.astype(promote(float32, weights.dtype))
        known = isinstance(count, int) and isinstance(weights.shape[0], int)
        if weights.ndim != 1 or (known and weights.shape[0] != count):
            raise ShapeError(
                "choice: p has not one probability for each element",
                details=[f"p: {format_shape(weights.shape)}    elements: {count}"],
                source=current_source(),
            )
        chosen = categorical(key, log(weights), shape=sizes)
    return chosen.astype(int64) if values is None else take(values, chosen, axis=position)
