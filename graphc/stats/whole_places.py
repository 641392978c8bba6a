"""The smallest whole number that is large enough, by steps that double and then halve."""

from collections.abc import Callable
from typing import Any

from graphc.dtypes import float64
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor

b = BUILDER
_STEPS = 2200  # more than there are exponents of float64, up and down


def smallest_whole(
    enough: Callable[[Tensor], Tensor], start: Tensor, low: float | Tensor, last: Tensor
) -> Tensor:
    """The smallest whole number from low to last with enough(k), or last.

    enough: from numbers of the dtype of start to bool; false, and from some number on true. start:
    where the search begins; the closer, the fewer steps. last: of its dtype, may be infinite; low
    and the two broadcast.
    """
    most = 1e300 if start.dtype == float64 else 1e38
    first = b.floor(b.where(b.isfinite(start), start, low))
    first = b.minimum(b.maximum(first, low), b.minimum(last, most))
    below, above = low - 1 + b.zeros_like(first), last + b.zeros_like(first)

    def is_open(below: Tensor, above: Tensor) -> Tensor:
        """Some numbers are between. Far out, where floats are further apart than 1, there may be
        none."""
        middle = _middle(below, above, most)
        return b.logical_and(b.greater(middle, below), b.less(middle, above))

    def following(carry: tuple[Tensor, ...]) -> tuple[Any, ...]:
        count, below, above, place, stride = carry
        opened = is_open(below, above)
        held = b.minimum(b.maximum(place, below), above)
        found = enough(b.minimum(held, most))
        above = b.where(b.logical_and(opened, found), held, above)
        below = b.where(b.logical_or(found, b.logical_not(opened)), below, held)
        middle = _middle(below, above, most)
        down, up = b.maximum(middle, above - stride), b.minimum(middle, below + stride)
        return count + 1, below, above, b.where(found, down, up), 2 * stride

    carry = (b.zeros((), "int64"), below, above, first, b.ones_like(first))
    _, _, above, *_ = b.while_loop(
        lambda c: b.logical_and(b.less(c[0], _STEPS), b.any(is_open(c[1], c[2]))), following, carry
    )
    return above


def _middle(below: Tensor, above: Tensor, most: float) -> Tensor:
    """Far from an infinite end a number that is larger."""
    finite = b.isfinite(above)
    middle = b.floor(0.5 * (below + b.where(finite, above, 0)))
    return b.where(finite, middle, b.minimum(2 * b.maximum(below, 0) + 1, most))
