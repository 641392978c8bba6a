"""Loops cut into segments of k steps: checkpointed, or unrolled into straight code.

Checkpoints are built when the user writes the loop, so that derivatives see loops in a loop.
Unrolling is done by a pass, when derivatives are taken and products have left the loop.

    length = whole * k + rest

The main loop runs over `whole` segments, rows of the sequences taken k at a time; what is left
over is a loop of its own, after the main one, or before it where the loop runs backwards.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import isqrt

from graphc.errors import ParameterError
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.node import TensorType
from graphc.ir.registry import BUILDER, OPS
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import written_out
from graphc.records import dataclass
from graphc.shapes import Size, floor_div, whole_number

USUAL_SEGMENT = 32  # steps between two checkpoints where the number of steps is symbolic


@dataclass(frozen=True)
class Steps:
    """A loop to be built. body: over carries, elements of the sequences, outer values."""

    body: Graph
    carry: tuple[Tensor, ...]
    sequences: tuple[Tensor, ...]
    outer: tuple[Tensor, ...]
    length: Size
    reverse: bool
    unroll: int = 1
    local: bool = False  # nothing that grows with the length leaves this loop

    @property
    def outputs(self) -> int:
        return len(self.body.outputs) - len(self.carry)


Results = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]  # final carries, stacked outputs


def build_loop(steps: Steps, every: int | None = None) -> Results:
    """The loop as one scan, or as a scan over checkpointed segments."""
    if every is not None:
        return _in_segments(steps, every, _nested, unroll=1, local=True)
    count = len(steps.carry)
    made = OPS["scan"].apply(
        [*steps.carry, *steps.sequences, *steps.outer],
        {
            "body": steps.body,
            "carries": count,
            "sequences": len(steps.sequences),
            "length": steps.length,
            "reverse": steps.reverse,
            "anchored": False,
            "local": steps.local,
            "unroll": steps.unroll,
        },
    )
    return made[:count], made[count:]


def unrolled_loop(steps: Steps) -> Results:
    """The loop with `steps.unroll` steps written out in every run, and nothing to unroll left."""
    return _in_segments(replace(steps, unroll=1), steps.unroll, _unrolled)


def segment_length(checkpoint_every: int | str | None, length: Size) -> int | None:
    """How many steps lie between checkpoints; ParameterError E404 if that is no such number."""
    if checkpoint_every is None:
        return None
    if checkpoint_every == "sqrt":
        return max(1, isqrt(length)) if isinstance(length, int) else USUAL_SEGMENT
    return checked_count("checkpoint_every", checkpoint_every, '"sqrt", or None')


def checked_count(name: str, value: object, otherwise: str) -> int:
    count = whole_number(value)
    if count is not None and count >= 1:
        return count
    raise ParameterError(
        f"scan: {name} is {value!r}",
        source=current_source(),
        fix=f"pass a number of steps >= 1, {otherwise}",
    )


def _in_segments(
    steps: Steps,
    k: int,
    segment: Callable[[Steps, int], Graph],
    unroll: int | None = None,
    local: bool | None = None,
) -> Results:
    """unroll, local: of the loop over segments; as in `steps` by default."""
    whole = floor_div(steps.length, k)
    covered = whole * k
    parts: list[tuple[bool, Steps]] = []
    if covered != 0:
        rows = tuple(
            BUILDER.reshape(_rows(x, 0, covered, steps.length), (whole, k, *x.shape[1:]))
            for x in steps.sequences
        )
        body = segment(steps, k)
        main = replace(
            steps,
            body=body,
            sequences=rows,
            length=whole,
            unroll=steps.unroll if unroll is None else unroll,
            local=steps.local if local is None else local,
        )
        parts.append((True, main))
    if covered != steps.length:
        rest = tuple(_rows(x, covered, steps.length, steps.length) for x in steps.sequences)
        parts.append((False, replace(steps, sequences=rest, length=steps.length - covered)))
    if not parts:
        return build_loop(steps)
    carry, pieces = steps.carry, []
    for is_main, part in reversed(parts) if steps.reverse else parts:
        carry, stacked = build_loop(replace(part, carry=carry))
        if is_main:
            stacked = tuple(BUILDER.reshape(y, (covered, *y.shape[2:])) for y in stacked)
        pieces.append(stacked)
    if steps.reverse:
        pieces.reverse()
    if len(pieces) == 1:
        return carry, pieces[0]
    return carry, tuple(BUILDER.concat(list(pair)) for pair in zip(*pieces, strict=True))


def _rows(x: Tensor, start: Size, stop: Size, length: Size) -> Tensor:
    """x[start:stop], of `length` rows."""
    if start == 0 and stop == length:
        return x
    found: Tensor = x[start:] if stop == length else x[start:stop]
    return found


def _segment_inputs(steps: Steps, k: int) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Fresh inputs of a segment: carries, k elements of each sequence, outer values."""
    count, until = len(steps.carry), len(steps.carry) + len(steps.sequences)
    inner = steps.body.inputs
    states = [_input(t, t.type) for t in inner[:count]]
    rows = [_input(t, TensorType(t.dtype, (k, *t.shape))) for t in inner[count:until]]
    outer = [_input(t, t.type) for t in inner[until:]]
    return states, rows, outer


def _input(like: Tensor, type: TensorType) -> Tensor:
    return PLACEHOLDER(name=like.name or "x", type=type)


def _unrolled(steps: Steps, k: int) -> Graph:
    """k steps one after the other."""
    states, rows, outer = _segment_inputs(steps, k)
    carry: Sequence[Tensor] = states
    outputs: list[Sequence[Tensor]] = []
    positions = range(k)
    for position in reversed(positions) if steps.reverse else positions:
        values = [*carry, *(row[position] for row in rows), *outer]
        results = written_out(steps.body, values, partial("{1}_{0}".format, position))
        carry = results[: len(states)]
        outputs.append(results[len(states) :])
    if steps.reverse:
        outputs.reverse()
    stacked = [BUILDER.stack(list(column)) for column in zip(*outputs, strict=True)]
    return Graph((*states, *rows, *outer), (*carry, *stacked), name=steps.body.name)


def _nested(steps: Steps, k: int) -> Graph:
    """A loop of k steps, whose carries are not kept for the gradient."""
    states, rows, outer = _segment_inputs(steps, k)
    inner = replace(steps, carry=tuple(states), sequences=tuple(rows), outer=tuple(outer), length=k)
    carry, stacked = build_loop(inner)
    return Graph((*states, *rows, *outer), (*carry, *stacked), name=steps.body.name)
