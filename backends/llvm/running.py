"""Running sums, products and extrema along a row: a vector of elements at a time.

    running[1] scratch                         running: f64 = -0.0 (running add)
    running[0] = -0.0                          for j in m vector:
    for j in m serial:                           running += f64(x[j])
      now = running[0] + f64(x[j])      ->       out[j] = f32(running)
      running[0] = now
      out[j] = f32(now)

In the second form the accumulator has in lane k what the row comes to up to element k. Groups of so
many neighbours as a register holds are combined by themselves, in log2 steps (Hillis and Steele,
"Data parallel algorithms", 1986):

    a b c d  ->  a, ab, bc, cd  ->  a, ab, abc, abcd

and what came before the group is combined with all of them. From group to group the sum waits for
one addition, not for one an element. The order follows from the processor and the places in the
row alone.

Only what keeps its meaning is computed so: sums, extrema, and products of float32 in float64, of
four at a time, which neither overflow nor become 0 where the product of all does not.
"""

import math
from collections.abc import Sequence

from graphc.backends.llvm.accumulate import State, identity_value, part
from graphc.backends.llvm.neighbours import shuffled
from graphc.backends.llvm.scalar_ops import emit_operation, register_type
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.text import Val
from graphc.dtypes import DType, float32, float64, is_floating
from graphc.loops.accumulators import ARITHMETIC
from graphc.loops.ir import Accumulate, Accumulator, For, Let, Scratch, Statement, Store
from graphc.loops.tidy import loads_of
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local, walk

PREFIX = "running "  # of the combination of such accumulators
FACTORS = 4  # that are multiplied without what came before


class Running:
    """How the state of such an accumulator changes: see `accumulate.Combination`.

    The state is what came before, in all lanes.
    """

    has_position = is_sum = is_inexact_sum = False

    def __init__(self, combine: str, dtype: DType, register_bytes: int) -> None:
        self.combine = combine
        self.dtype = dtype
        self.group = FACTORS if combine == "mul" else max(1, register_bytes // dtype.itemsize)

    def identity(self, code: Code, lanes: int) -> State:
        start = start_of(self.combine, self.dtype)
        return [code.constant(start, register_type(self.dtype), lanes)]

    def narrow(self, code: Code, state: State, lanes: int) -> State:
        return [part(code, state[0], 0, lanes)] if lanes < state[0].lanes else state

    def merge(self, code: Code, first: State, second: State) -> State:
        return second

    def taken(self, code: Code, before: Val, elements: Val) -> tuple[Val, Val]:
        """(what the row comes to up to each of the elements, the state behind them)"""
        lanes = elements.lanes
        group = min(self.group, lanes)
        found: list[Val] = []
        state = part(code, before, 0, group) if group < lanes else before
        for start in range(0, lanes, group):
            own = elements if group == lanes else part(code, elements, start, group)
            own = self._within(code, code.splat(own, group))
            found.append(self._combined(code, state, own))
            last = own if group == 1 else shuffled(code, own, own, [group - 1] * group)
            state = self._combined(code, state, last)
        while len(found) > 1:
            pairs = zip(found[::2], found[1::2], strict=True)
            found = [shuffled(code, a, b, range(2 * a.lanes)) for a, b in pairs]
        if group < lanes:
            state = (
                shuffled(code, state, state, [0] * lanes) if group > 1 else code.splat(state, lanes)
            )
        return found[0], state

    def _within(self, code: Code, elements: Val) -> Val:
        """Of each element and those before it in the vector."""
        lanes, distance = elements.lanes, 1
        neutral = self.identity(code, lanes)[0]
        while distance < lanes:
            places = [*range(distance), *range(lanes, 2 * lanes - distance)]
            elements = self._combined(code, shuffled(code, neutral, elements, places), elements)
            distance *= 2
        return elements

    def _combined(self, code: Code, x: Val, y: Val) -> Val:
        return code.pure(
            ("combine", self.combine, x.text, y.text, x.type, x.lanes),
            (x, y),
            lambda: emit_operation(code.builder, self.combine, (x, y), self.dtype, self.dtype),
        )


def start_of(combine: str, dtype: DType) -> float:
    """What comes before the first element. A sum of zeros is -0.0 as long as all of them are."""
    return -0.0 if combine == "add" and is_floating(dtype) else identity_value(combine, dtype)


def running_in_lanes(body: Sequence[Statement]) -> tuple[Statement, ...]:
    """The statements, with such loops turned into loops over lanes."""
    result: list[Statement] = []
    for item in body:
        if isinstance(item, For) and item.kind != "vector":
            item = For(item.axis, item.extent, item.kind, running_in_lanes(item.body))
        result.append(item)
    for place in range(len(result) - 2):
        row = _matched(*result[place : place + 3])
        if row is not None and not _is_read(result[place + 3 :], row[0].name):
            result[place : place + 3] = row
            return tuple(result)
    return tuple(result)


def _is_read(body: Sequence[Statement], name: str) -> bool:
    return any(load.buffer == name for load in loads_of(body))


def _matched(held: Statement, start: Statement, row: Statement) -> tuple[Accumulator, For] | None:
    """The accumulator and the loop over lanes, of statements of the first form."""
    if not (isinstance(held, Scratch) and isinstance(start, Store) and isinstance(row, For)):
        return None
    if held.shape != (1,) or start.buffer != held.name or row.kind != "serial":
        return None
    if len(row.body) != 3:
        return None
    now, put, out = row.body
    if not (isinstance(now, Let) and isinstance(put, Store) and isinstance(out, Store)):
        return None
    local = Local(now.name, held.dtype)
    if put.buffer != held.name or put.value != local or out.buffer == held.name:
        return None
    element = _element(now.value, held)
    combine = now.value.op if isinstance(now.value, Call) else ""
    if element is None or not _keeps_meaning(combine, element, held.dtype):
        return None
    begin = start_of(combine, held.dtype)
    if not isinstance(start.value, Const) or start.value.value != begin:
        return None
    if math.copysign(1, start.value.value) != math.copysign(1, begin):
        return None
    if out.accumulate or any(load.buffer == out.buffer for load in loads_of(row.body)):
        return None
    if not all(isinstance(part, Index) for part in out.index):
        return None
    name = now.name
    state = Accumulator(name, PREFIX + combine, held.dtype, None, now.sources)
    lanes = For(row.axis, row.extent, "vector", (Accumulate(name, element, None, now.sources), out))
    return state, lanes


def _element(value: Expr, held: Scratch) -> Expr | None:
    """What is combined with the state, if nothing else is computed of that."""
    if not isinstance(value, Call) or value.op not in ARITHMETIC or value.dtype != held.dtype:
        return None
    state, element = value.args
    if not isinstance(state, Load) or state.buffer != held.name:
        return None
    inside = [part for part in walk(element) if isinstance(part, Load | Local)]
    alone = all(isinstance(part, Load) and part.buffer != held.name for part in inside)
    return element if alone else None


def _keeps_meaning(combine: str, element: Expr, dtype: DType) -> bool:
    if combine != "mul":
        return True
    narrow = isinstance(element, Call) and element.op == "cast" and element.args[0].dtype == float32
    return dtype == float64 and narrow
