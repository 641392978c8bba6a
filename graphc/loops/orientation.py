"""Which axis of a kernel runs innermost: the one along which memory is read.

    for i in m parallel:                       for i in m vector:
      for j in n vector: a += x[j, i]    ->      for j in n serial: a += x[j, i]
      out[i] = a                                 out[i] = a

Axes are numbered as the user's array has them, and the last one runs innermost. Where that array is
the transpose of one in memory, neighbours lie along another axis: that one becomes the last.
"""

from collections.abc import Iterable, Iterator, Sequence

from graphc.loops.draft import Draft, Phase
from graphc.loops.facts import Access, FactsOf
from graphc.loops.ir import Accumulator, Statement, Store
from graphc.loops.tidy import values_of
from graphc.loops.values import is_plain, linear_position
from graphc.scalar.expr import Index
from graphc.shapes import Dim, Size


def turned(draft: Draft, facts: FactsOf) -> Draft:
    """The draft with its axes in the order in which most of its memory lies.

    Only of drafts with reductions: where all is stored, loops are cut into tiles instead, which
    serve both sides. Rows that are kept in scratch memory stay rows.
    """
    rank = len(draft.domain)
    if rank < 2 or not draft.group_axes or draft.columns or draft.arrays:
        return draft
    axes = draft.names[:rank]
    touched = list(_accesses_of_axes(draft, axes, facts))
    full = [one for one in touched if len(one[1]) == rank]
    order = _memory_order(axes, full) if full else _lane_order(draft, axes, touched)
    if order is None or (len(draft.group_axes) > 1 and _is_positional(draft)):
        return draft
    place = {axis: number for number, axis in enumerate(order)}
    draft.group_axes = tuple(sorted(place[axis] for axis in draft.group_axes))
    draft.domain = tuple(draft.domain[axis] for axis in order)
    draft.names = (*(draft.names[axis] for axis in order), *draft.names[rank:])
    return draft


def _memory_order(
    axes: Iterable[str], touched: list[tuple[Access, dict[str, Size]]]
) -> tuple[int, ...] | None:
    """The axes by their distance in memory, if no access has its neighbours along the last one."""
    numbers = {name: number for number, name in enumerate(axes)}
    last = next(reversed(numbers))
    found: tuple[int, ...] | None = None
    for (_, index), steps in touched:
        if steps.get(last) in (1, -1):
            return None
        if 1 in steps.values() and found is None:
            order = [name for item in index for name in _symbols(item, numbers)]
            if len(set(order)) == len(order) == len(numbers) and steps.get(order[-1]) == 1:
                found = tuple(numbers[name] for name in order)
    return found


def _lane_order(
    draft: Draft, axes: Sequence[str], touched: list[tuple[Access, dict[str, Size]]]
) -> tuple[int, ...] | None:
    """The axes, with one of results last along which some memory is read, if rows that are summed
    lie across memory: sum(x[k, i]*x[k, j]) over k goes along j."""
    last = len(axes) - 1
    if draft.group_axes != (last,) or any(steps.get(axes[last]) in (1, -1) for _, steps in touched):
        return None
    along = [n for n in range(last) if any(steps.get(axes[n]) == 1 for _, steps in touched)]
    if not along:
        return None
    return (*(n for n in range(len(axes)) if n != along[-1]), along[-1])


def _symbols(item: object, numbers: dict[str, int]) -> list[str]:
    """The axes that an index counts; no order can be read from those that count several."""
    assert isinstance(item, Index)
    if not isinstance(item.size, Dim):
        return []
    return [name for name in numbers if item.size.coefficient(name) != 0]


def _accesses_of_axes(
    draft: Draft, axes: Iterable[str], facts: FactsOf
) -> Iterator[tuple[Access, dict[str, Size]]]:
    """Accesses to known places, with how far each axis on which they depend moves in memory."""
    shapes = {name: one.shape for name, one in draft.parameters.items()}
    known = dict.fromkeys(one for body in draft.bodies for one in _accesses(body, facts))
    for buffer, index in known:
        if buffer not in shapes or not is_plain(index):
            continue
        total = linear_position(shapes[buffer], index)
        steps = {
            axis: step
            for axis in axes
            if isinstance(total, Dim) and (step := total.coefficient(axis)) is not None
        }
        if len(steps) == len(draft.domain):
            yield (buffer, index), {axis: step for axis, step in steps.items() if step != 0}


def _accesses(body: Iterable[Statement | Phase], facts: FactsOf) -> Iterator[Access]:
    for item in body:
        inner = item.statements if isinstance(item, Phase) else [item]
        for one in inner:
            if isinstance(one, Store):
                yield one.buffer, one.index
        for value in values_of(inner):
            yield from facts(value).loads


def _is_positional(draft: Draft) -> bool:
    """Whether an extremum's position is wanted: its elements are met in order."""
    return any(isinstance(one, Accumulator) and one.position_name for one in draft.body)
