"""Sums of exponentials that need a maximum first: one pass over memory for both.

    most: f32 = -inf (maximum)                for c in chunks parallel:
    for i in n vector:                          most: f32 = -inf (maximum)
      most max= x[i]                            for i in the chunk vector: most max= x[i]
    m = most if abs(most) < inf else 0    ->    m = most if abs(most) < inf else 0
    total: f32 = 0 (add)                        total: f32 = 0 (add)
    for i in n vector:                          for i in the chunk vector: total += exp(x[i] - m)
      total += exp(x[i] - m)                    most_partial[c], total_partial[c] = most, total
                                              most = the maximum of most_partial
                                              m = most if abs(most) < inf else 0
                                              total = sum of total_partial*exp(most_partial - m)

A chunk is still in the cache when its exponentials are summed up (Milakov and Gimelshein, "Online
normalizer calculation for softmax", 2018). A partial total is at least 1, or 0 where all elements
are -inf, or it is inf or nan, which the whole is then, too: the factors hide nothing.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from graphc.dtypes import float64, is_floating
from graphc.loops.ir import Accumulate, Accumulator, For, Let, Statement, Store
from graphc.loops.tidy import map_values, with_sizes
from graphc.scalar.expr import (
    Const,
    Expr,
    Load,
    Local,
    abs_,
    cast,
    exp,
    lt,
    mul,
    select,
    sub,
    transform,
    walk,
)
from graphc.shapes import Dim


class Pair(NamedTuple):
    """The loop that sums exponentials, the maximum it needs, and what is subtracted."""

    second: For
    most: Accumulator
    subtracted: Let

    def weighted(self, total: Expr, most: Expr) -> Expr:
        """A partial total, for a maximum of its own, as part of the whole one: in float64."""
        whole = Local(self.subtracted.name, self.most.dtype)
        factor = exp(sub(cast(most, float64), cast(whole, float64)))
        return mul(cast(total, float64), factor)


def pairs(
    body: Sequence[Statement],
    loops: Mapping[int, Sequence[str]],
    accumulators: Mapping[str, Accumulator],
) -> dict[int, Pair]:
    """For the first loops of pairs, by identity: the rest of the pair.

    loops: the reductions of a body that may be cut into chunks, and the accumulators they feed.
    """
    found: dict[int, Pair] = {}
    taken: set[int] = set()
    places = [place for place, item in enumerate(body) if id(item) in loops]
    for first, second in pairwise(places):
        loop, last = body[first], body[second]
        assert isinstance(loop, For) and isinstance(last, For)
        if id(loop) in taken or not _alike(loop, last):
            continue
        between = body[first + 1 : second]
        fed = [accumulators[name] for name in loops[id(loop)]]
        for item in between:
            if isinstance(item, Let):
                most = _maximum_of(item, fed)
                if most is not None and _sums_exponentials(loop, last, between, item, most):
                    found[id(loop)] = Pair(last, most, item)
                    taken.add(id(last))
    return found


def _alike(first: For, second: For) -> bool:
    return first.kind == second.kind == "vector" and first.extent == second.extent


def _maximum_of(let: Let, fed: Collection[Accumulator]) -> Accumulator | None:
    """The maximum that a local is, wherever it is finite."""
    for one in fed:
        most = Local(one.name, one.dtype)
        if one.combine == "maximum" and is_floating(one.dtype):
            finite = lt(abs_(most), Const(math.inf, one.dtype))
            if let.value == select(finite, most, Const(0.0, one.dtype)):
                return one
    return None


def _sums_exponentials(
    first: For, second: For, between: Sequence[Statement], subtracted: Let, most: Accumulator
) -> bool:
    """Whether all that `second` does is sum up exp(x - m), m the maximum of the same x."""
    late = {item.name for item in between if isinstance(item, Let | Accumulator)}
    written = {item.buffer for item in between if isinstance(item, Store)}
    if not all(isinstance(item, Let | Accumulator | Store) for item in between):
        return False
    if not all(isinstance(item, Let | Accumulate) for item in (*first.body, *second.body)):
        return False
    of_first = [a.value for a in _fed(first.body) if a.name == most.name]
    shift = {second.axis: Dim.symbol(first.axis)}
    of_second = [a.value for a in _fed(with_sizes(second.body, shift))]
    if len(of_first) != 1:
        return False
    wanted = exp(sub(of_first[0], Local(subtracted.name, most.dtype)))
    parts = list(walk(of_first[0]))
    return (
        all(value == wanted for value in of_second)
        and not any(isinstance(part, Local) and part.name in late for part in parts)
        and not any(isinstance(part, Load) and part.buffer in written for part in parts)
    )


def _fed(body: Sequence[Statement]) -> list[Accumulate]:
    """The statements that accumulate, with the locals of the body written out."""
    known: dict[str, Expr] = {}

    def leaf(expr: Expr) -> Expr | None:
        return known.get(expr.name) if isinstance(expr, Local) else None

    found: list[Accumulate] = []
    for item in body:
        changed = map_values(item, lambda value: transform(value, leaf))
        if isinstance(changed, Let):
            known[changed.name] = changed.value
        elif isinstance(changed, Accumulate):
            found.append(changed)
    return found
