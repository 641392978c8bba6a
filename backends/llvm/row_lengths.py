"""Sums along rows of unknown length: short rows by code of their own.

    for i in n parallel:              for i in n parallel:
      total = 0.0                       total = 0.0
      for j in m vector:                if m <= 256:
        total += x[i, j]          ->      for j in min(m, 256) vector:
      out[i] = total                        total += x[i, j]
                                        if 256 < m:
                                          for j in m vector:
                                            total += x[i, j]
                                        out[i] = total

Long sums have several vectors side by side and are made of sums over blocks, all of which has to be
put together in the end. For a row of a few vectors that takes longer than the row itself.
"""

from collections.abc import Sequence

from graphc.backends.llvm.lanes import LIGHT, SHORT, most_of, survey
from graphc.backends.llvm.target import Target
from graphc.loops.ir import Accumulator, For, If, Statement
from graphc.loops.tidy import with_body
from graphc.scalar.expr import Index, le, lt
from graphc.shapes import dim_min


def in_lengths(
    body: Sequence[Statement], target: Target, in_loop: bool = False
) -> tuple[Statement, ...]:
    """The statements, with such loops inside of other ones in two versions."""
    result: list[Statement] = []
    placed = {s.name for s in body if isinstance(s, Accumulator) and s.position_name is not None}
    for item in body:
        if isinstance(item, For) and item.kind == "vector":
            short = _short(item, placed, target) if in_loop else 0
            result += _in_two(item, short) if short else [item]
        elif isinstance(item, For | If):
            inside = in_loop or isinstance(item, For)
            result.append(with_body(item, in_lengths(item.body, target, inside)))
        else:
            result.append(item)
    return tuple(result)


def _short(loop: For, placed: set[str], target: Target) -> int:
    """Elements of rows that are worth code of their own; 0 where none are, or nothing is summed.

    Of heavy elements even a short row takes longer than what comes after it. Lanes with sums of
    their own have nothing to put together.
    """
    facts = survey(loop.body)
    if (
        facts.sums
        or facts.cost > LIGHT
        or placed & {*facts.accumulated}
        or most_of(loop.extent) is not None
    ):
        return 0
    vectors = SHORT // 2 * min(2, len(facts.accumulated))  # one sum has to wait for itself
    return vectors * target.native_lanes(facts.element_bytes)


def _in_two(loop: For, short: int) -> list[Statement]:
    extent, most = Index(loop.extent), Index(short)
    few = For(loop.axis, dim_min(loop.extent, short), "vector", loop.body)
    return [If(le(extent, most), (few,)), If(lt(most, extent), (loop,))]
