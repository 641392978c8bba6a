"""Distributions whose tails have no closed inverse: derivatives of the tails, and their places.

All is computed in float64. The derivative of a tail by the place is the density, and those by the
shapes are given, so no derivative is taken through an integral or a search.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from graphc.dtypes import float64
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ops.gradient_control import custom_gradient

b = BUILDER
Formula = Callable[..., Tensor]
# (z, *shapes) -> for each shape c and L, the derivative of cdf being c exp(L)
Slopes = Callable[..., Sequence[tuple[Tensor, Tensor]]]

_custom_gradient: Callable[[Callable[..., Any]], Formula] = custom_gradient

_STEPS = 100
_CLOSE = 1e-8  # of logarithms of tails: from there a step of Newton's squares the distance
_STILL = 4e-16
_MOST = 4.0  # times 1 + |z|: the longest step where there is no bracket


def in_double(formula: Formula) -> Formula:
    """The formula of float64 tensors of one shape, in the dtype of its arguments again."""

    def call(*tensors: Tensor) -> Tensor:
        wide = b.broadcast_arrays(*(tensor.astype(float64) for tensor in tensors))
        return formula(*wide).astype(tensors[0].dtype)

    return call


def joined_log(own: Tensor, other: Tensor) -> Tensor:
    """The logarithm of a tail, from it and from that of the other tail, which counts near 0."""
    near = b.greater(own, -math.log(2))
    return b.where(near, b.log1p(-b.exp(b.where(near, other, -1))), own)


def tails(
    log_lower: Formula, log_upper: Formula, log_density: Formula, slopes: Slopes
) -> dict[str, Any]:
    """cdf, log_cdf, survival and log_survival, by the names that Distribution has for them.

    log_lower, log_upper: of the place and shapes, exact where they are far below 0.
    """

    def method(upper: bool, logarithm: bool) -> Formula:
        def value(z: Tensor, *shapes: Tensor) -> Tensor:
            low, high = log_lower(z, *shapes), log_upper(z, *shapes)
            log = joined_log(high, low) if upper else joined_log(low, high)
            return log if logarithm else b.exp(log)

        @_custom_gradient
        def tail(z: Tensor, *shapes: Tensor) -> Any:
            def gradient(change: Tensor) -> list[Tensor]:
                change = -change if upper else change
                below = tail(z, *shapes) if logarithm else b.zeros_like(z)
                by_shapes = [change * c * b.exp(log - below) for c, log in slopes(z, *shapes)]
                return [change * b.exp(log_density(z, *shapes) - below), *by_shapes]

            return value(z, *shapes), gradient

        return in_double(tail)

    return {
        "cdf": method(False, False),
        "log_cdf": method(False, True),
        "survival": method(True, False),
        "log_survival": method(True, True),
    }


def quantiles(
    log_lower: Formula,
    log_upper: Formula,
    log_density: Formula,
    slopes: Slopes,
    start: Formula,
    ends: Callable[..., tuple[Any, Any]] = lambda *shapes: (-math.inf, math.inf),
    *,
    positive: bool = False,
) -> dict[str, Any]:
    """quantile and upper_quantile, by the names that Distribution has for them.

    start: a place near that of a probability and the shapes. ends: what the place lies between.
    positive: the search is for the logarithm of the place, where the logarithms of tails are
    concave; start and ends are logarithms.
    """

    def method(upper: bool) -> Formula:
        @_custom_gradient
        def place(p: Tensor, *shapes: Tensor) -> Any:
            other = 1 - p
            first, last = (other, p) if upper else (p, other)
            fixed = [b.stop_gradient(one) for one in (first, last, *shapes)]
            found = _search(
                log_lower, log_upper, log_density, start, ends, fixed, positive=positive
            )

            def gradient(change: Tensor) -> list[Tensor]:
                z = place(p, *shapes)
                log = log_density(z, *shapes)
                by_shapes = [-change * c * b.exp(one - log) for c, one in slopes(z, *shapes)]
                return [(-change if upper else change) * b.exp(-log), *by_shapes]

            return found, gradient

        return in_double(place)

    return {"quantile": method(False), "upper_quantile": method(True)}


def _search(
    log_lower: Formula,
    log_upper: Formula,
    log_density: Formula,
    start: Formula,
    ends: Callable[..., tuple[Any, Any]],
    arguments: Sequence[Tensor],
    *,
    positive: bool,
) -> Tensor:
    """Newton's method on the logarithm of the lesser tail, held in a bracket. All elements take
    steps together; one that is done stays, so that it does not depend on the others."""
    p, q, *shapes = arguments
    lower = b.less_equal(p, q)
    target = b.where(lower, b.log(p), b.log(q))

    def following(carry: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        count, u, low, high, moves = carry
        z = b.exp(u) if positive else u
        tail = b.where(lower, log_lower(z, *shapes), log_upper(z, *shapes))
        slope = b.exp(log_density(z, *shapes) + (u if positive else 0) - tail)
        off = b.where(lower, target - tail, tail - target)
        low = b.where(b.greater(off, 0), b.maximum(low, u), low)
        high = b.where(b.less(off, 0), b.minimum(high, u), high)
        most = _MOST * (1 + b.abs(u))
        step = b.clip(off / slope, -most, most)
        moved = u + b.where(b.isnan(step), b.sign(off) * most, step)
        inside = b.logical_and(b.greater_equal(moved, low), b.less_equal(moved, high))
        middle = b.where(b.isfinite(low), low, u) * 0.5 + b.where(b.isfinite(high), high, u) * 0.5
        moved = b.where(inside, moved, middle)
        far = b.logical_and(
            b.greater(b.abs(off), _CLOSE), b.greater(b.abs(moved - u), _STILL * b.abs(u))
        )
        return (
            count + 1,
            b.where(moves, moved, u),
            b.where(moves, low, carry[2]),
            b.where(moves, high, carry[3]),
            b.logical_and(moves, far),
        )

    low, high = (end + b.zeros_like(p) for end in ends(*shapes))
    first = b.clip(start(p, q, *shapes), low, high)
    carry = (b.zeros((), "int64"), first, low, high, b.isfinite(first))
    _, u, *_ = b.while_loop(
        lambda c: b.logical_and(b.less(c[0], _STEPS), b.any(c[4])), following, carry
    )
    return b.exp(u) if positive else u
