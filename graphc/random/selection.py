"""One of several, and orders: categorical, choice, permutations."""

from typing import Any

import numpy as np

from graphc.dtypes import float32, int64, is_floating, promote, uint64
from graphc.errors import ParameterError, ShapeError
from graphc.ir.arguments import ShapeLike, checked_axis
from graphc.ir.leaf import as_tensor
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.comparison import where
from graphc.ops.control import scan
from graphc.ops.creation import full
from graphc.ops.elementwise import maximum
from graphc.ops.extrema import argmax, max
from graphc.ops.indexing import take
from graphc.ops.movement import moveaxis, reshape
from graphc.ops.ramps import arange
from graphc.ops.sorting import argsort, top_k
from graphc.ops.take_along_axis import take_along_axis
from graphc.ops.transcendental import log
from graphc.random.continuous import standard_gumbel
from graphc.random.keys import Draws, Key, draws_of, sizes_of
from graphc.random.parameters import NOT_NEGATIVE, check_range, fixed, working_dtype
from graphc.random.uniforms import high_product, integers
from graphc.shapes import Dim, Size, format_shape, size_product
from graphc.surface import surface

__all__ = ["categorical", "choice", "permutation", "permuted", "shuffle"]


@surface
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
        raise ShapeError(
            "categorical: nothing to choose from",
            source=current_source(),
            fix="give one logit or more along the axis",
        )
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
            fix="let shape end in the shape of the logits without the axis, or leave it out",
        )
    noise = standard_gumbel(
        draws_of("categorical", key), (*sizes, weights.shape[-1]), weights.dtype
    )
    return argmax(weights + noise, axis=-1)


@surface
def choice(
    key: Key, a: Any, shape: ShapeLike = (), p: Any = None, axis: int = 0, replace: bool = True
) -> Tensor:
    """Elements of a, drawn with or without replacement.

    a: a size n, for integers in [0, n), or a tensor, for its entries along `axis`. p: their
    probabilities, one axis, up to a factor; equal by default. replace = False: no element twice,
    in the order in which they would be drawn one by one: few of many by the first steps of a
    shuffle, else by the largest of log(p) plus Gumbel noise (W. Kool et al., "Stochastic beams and
    where to find them", 2019). The result has the shape in
    place of the axis.
    Raises ParameterError where n is 0 or a probability is negative, and where more elements are to
    be drawn without replacement than there are with p > 0; IndexOutOfRange at the call, where n or
    the shape is symbolic.
    """
    sizes = sizes_of("choice", shape)
    whole = isinstance(a, int | Dim) and not isinstance(a, bool)
    values = None if whole else as_tensor(a)
    position = 0 if values is None else checked_axis("choice", axis, values.ndim)
    count = a if values is None else values.shape[position]
    wanted = size_product(sizes)
    if isinstance(count, int) and (count < 0 or (count == 0 and wanted != 0)):
        raise ParameterError(
            "choice: nothing to choose from",
            source=current_source(),
            fix="give one element or more",
        )
    p = None if p is None else as_tensor(p)
    weights = None if p is None else _weights(p, count)
    if not replace:
        _check_enough(count if p is None else _drawable(p, count), wanted)
        chosen = reshape(_without_replacement(key, weights, count, wanted), sizes)
    elif weights is None:
        chosen = integers(key, sizes, 0, count)
    else:
        chosen = categorical(key, log(weights), shape=sizes)
    return chosen.astype(int64) if values is None else take(values, chosen, axis=position)


def _weights(p: Tensor, count: Size) -> Tensor:
    check_range("choice", "p", p, NOT_NEGATIVE)
    weights = p.astype(promote(float32, p.dtype))
    known = weights.ndim == 1 and isinstance(count, int) and isinstance(weights.shape[0], int)
    if weights.ndim != 1 or (known and weights.shape[0] != count):
        raise ShapeError(
            "choice: p has not one probability for each element",
            details=[f"p: {format_shape(weights.shape)}    elements: {count}"],
            source=current_source(),
            fix="give p one probability for each element",
        )
    return weights


def _drawable(p: Tensor, count: Size) -> Size:
    """How many elements can be drawn: those with p > 0, if p is known."""
    known = fixed(p)
    return count if known is None else int(np.count_nonzero(np.asarray(known) > 0))


def _check_enough(count: Size, wanted: Size) -> None:
    if isinstance(count, int) and isinstance(wanted, int) and wanted > count:
        raise ParameterError(
            f"choice: {wanted} of {count} elements without replacement",
            source=current_source(),
            fix="draw fewer, or pass replace=True",
        )


def _without_replacement(key: Key, weights: Tensor | None, count: Size, wanted: Size) -> Tensor:
    """Positions: int64[wanted]."""
    draws = draws_of("choice", key)
    if weights is None and _are_few(wanted, count):
        return few_of_many(draws, count, wanted)
    if weights is None:
        return top_k(draws.bits((count,), uint64), wanted)[1]
    noise = standard_gumbel(draws, weights.shape, working_dtype(weights.dtype))
    return top_k(log(weights) + noise, wanted)[1]


def _are_few(wanted: Size, count: Size) -> bool:
    """Whether `few_of_many` takes less time than random bits for all."""
    if not isinstance(count, int) or not isinstance(wanted, int):
        return False
    return 0 < wanted <= count // 16 and wanted * wanted <= 32 * count


def few_of_many(draws: Draws, count: Size, wanted: Size) -> Tensor:
    """The first steps of the shuffle of Fisher and Yates (D. Knuth, "The Art of Computer
    Programming", 3.4.2, algorithm P) of 0, 1, ..., count - 1: step i draws place j >= i, and what
    stood at i comes to j. Only the places that have changed are kept, newest last: the time grows
    with wanted^2, not with count."""
    slots = arange(wanted, dtype=int64)
    words = draws.bits((wanted,), uint64)
    left = (count - slots).astype(uint64)
    drawn_places = slots + high_product(words, left).astype(int64)

    def step(state: tuple[Tensor, Tensor], x: tuple[Tensor, Tensor]) -> Any:
        places, values = state
        i, j = x

        def standing(place: Tensor) -> Tensor:
            newest = max(where(places == place, slots, -1))
            return where(newest >= 0, take(values, maximum(newest, 0)), place)

        return (places.at[i].set(j), values.at[i].set(standing(i))), standing(j)

    start = (full((wanted,), -1, int64), full((wanted,), 0, int64))
    chosen: Tensor = scan(step, start, (slots, drawn_places))[1]
    return chosen


# --- orders ---------------------------------------------------------------------------------------


@surface
def permutation(key: Key, x: Any, axis: int = 0) -> Tensor:
    """The entries of x along an axis in random order, each order equally likely.

    x: a tensor, or a size n for a permutation of 0, 1, ..., n - 1: int64[n]. By sorting random
    bits, 64 for each entry. Gradients flow to where the entries stood.
    Raises ShapeError for an axis that x does not have, and for a negative size.
    """
    draws = draws_of("permutation", key)
    if isinstance(x, int | Dim) and not isinstance(x, bool):
        return argsort(draws.bits(sizes_of("permutation", x), uint64))
    tensor = as_tensor(x)
    position = checked_axis("permutation", axis, tensor.ndim)
    order = argsort(draws.bits((tensor.shape[position],), uint64))
    return take(tensor, order, axis=position)


@surface
def shuffle(key: Key, x: Any, axis: int = 0) -> Tensor:
    """A new tensor: the entries of x along an axis in random order. The same as `permutation`."""
    return permutation(key, as_tensor(x), axis)


@surface
def permuted(key: Key, x: Any, axis: int = -1) -> Tensor:
    """The elements of x along an axis in random order, in each row in another one.

    x: at least one axis. `permutation` moves whole entries instead. Gradients flow to where the
    elements stood. Raises ShapeError for an axis that x does not have.
    """
    tensor = as_tensor(x)
    position = checked_axis("permuted", axis, tensor.ndim)
    order = argsort(draws_of("permuted", key).bits(tensor.shape, uint64), axis=position)
    return take_along_axis(tensor, order, axis=position)
