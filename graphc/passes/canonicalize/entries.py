"""Entries at known places: taken as slices, and of a concatenation from its piece."""

from typing import Any

import numpy as np

from graphc.ir.leaf import CONSTANT
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, attr, var
from graphc.rewrite.rule import rule

X = var("x")
Sizes = tuple[Any, ...]


@rule(P.take(X, var("indices"), axis=attr("axis")))
def take_at_known_places(b: Builder, x: Tensor, indices: Tensor, axis: int) -> Tensor | None:
    """take(x, [a, a + s, ..., a + (n - 1)*s]) = x[a : a + n*s : s]"""
    size = x.shape[axis]
    if indices.node.op is not CONSTANT or indices.ndim != 1 or not isinstance(size, int):
        return None
    places = np.asarray(indices.node.attrs["value"]).astype(np.int64)
    if not len(places) or places.min() < -size or places.max() >= size:
        return None
    places = np.where(places < 0, places + size, places)
    step = int(places[1] - places[0]) if len(places) > 1 else 1
    if step == 0 or (np.diff(places) != step).any():
        return None
    starts, sizes, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], sizes[axis], steps[axis] = int(places[0]), len(places), step
    return b.slice_within(x, starts, sizes, steps)


@rule(P.slice(X, starts=attr("starts"), sizes=attr("sizes"), steps=attr("steps")))
def slice_of_concat(
    b: Builder, x: Tensor, starts: Sizes, sizes: Sizes, steps: tuple[int, ...]
) -> Tensor | None:
    """concat([x, y, z])[a:b] = concat([x[a:], y[:b - n]]) for x of n entries: without the pieces of
    which nothing is read, if there are any. Slices of several pieces are at most half of the whole:
    windows of a padded image, one beside the other, read it where it lies once.
    """
    if x.op.name != "concat":
        return None
    axis, pieces = x.node.attrs["axis"], x.node.inputs
    start, count, step = starts[axis], sizes[axis], steps[axis]
    if not isinstance(start, int) or not isinstance(count, int) or count == 0:
        return None
    low, high = sorted((start, start + (count - 1) * step))
    found: list[Tensor] = []
    end = 0
    for piece in pieces:
        size = piece.shape[axis]
        if not isinstance(size, int) or end > high:
            break
        begin, end = end, end + size
        if end <= low or not size:
            continue
        inside = step > 0 and step != 1  # steps that go on in another piece are left alone
        if begin <= low and high < end:
            first, length = start - begin, count
        elif inside or step < 0:
            return None
        else:
            first = max(low - begin, 0)
            length = min(high + 1, end) - begin - first
        own = tuple(first if a == axis else place for a, place in enumerate(starts))
        shape = tuple(length if a == axis else size for a, size in enumerate(sizes))
        found.append(b.slice_within(piece, own, shape, steps))
    if end <= high or len(found) == len(pieces):
        return None
    if len(found) == 1:
        return found[0]
    whole = x.shape[axis]
    few = isinstance(whole, int) and 2 * (high + 1 - low) <= whole
    return b.concat(found, axis=axis) if few else None


ENTRIES = (take_at_known_places, slice_of_concat)
