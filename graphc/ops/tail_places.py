"""Places where tails of distributions have a given value, by Halley's method.

The logarithm of a number with gamma's, beta's or Student's distribution has a log-concave density,
so the logarithms of its tails are concave (M. Bagnoli and T. Bergstrom, "Log-concave probability
and its applications", Economic Theory 26, 2005): Newton's method on them converges from everywhere.
"""

from collections.abc import Callable

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor

# What a place is held between: its logarithm is finite, and so are quotients of places.
LEAST, MOST = 1e-300, 1e300
_CLOSE = 1e-6  # a step from there multiplies the distance by less than 1e-10
_STILL = 4e-16
_STEPS = 60
_LEAST_SLOPE = 1e-290

# place -> the logarithm of the tail, and its first two derivatives by the place's logarithm
Tail = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


def tail_place(b: Builder, tail: Tail, log_value: Tensor, start: Tensor) -> Tensor:
    """The place x > 0 with log(tail(x)) = log_value, from `start`.

    log_value, start: one shape. All elements take steps together, until the last is done; one that
    is done stays, so that its value does not depend on the others.
    """

    def following(carry: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        count, place, moves = carry
        value, slope, bend = tail(place)
        off = value - log_value
        newton = -off / b.where(b.less(b.abs(slope), _LEAST_SLOPE), _LEAST_SLOPE, slope)
        ratio = newton * bend / b.where(b.equal(slope, 0), 1, slope)
        step = b.clip(newton / b.clip(1 + 0.5 * ratio, 0.5, 4), -1400, 1400)
        moved = b.clip(place + place * b.expm1(step), LEAST, MOST)
        far = b.logical_and(b.greater(b.abs(off), _CLOSE), b.greater(b.abs(step), _STILL))
        return count + 1, b.where(moves, moved, place), b.logical_and(moves, far)

    start = b.clip(start, LEAST, MOST)
    _, place, _ = b.while_loop(
        lambda carry: b.logical_and(b.less(carry[0], _STEPS), b.any(carry[2])),
        following,
        (b.zeros((), "int64"), start, b.isfinite(start)),
    )
    return place
