"""Code in nested scopes: every instruction is placed as far out as its operands allow.

LLVM runs no optimisation passes over our text, so what would be loop-invariant code motion and
common subexpression elimination happens here, while the text is written. A scope is the body of a
loop or of a branch, and the function itself. The lines of an outer scope end just before the loop
that is being written inside it: appending to them hoists.

    level     the position of a scope in the stack; 0 is the function
    pure      an instruction without side effects, found again or placed at the best level
    loop      for index = start, start + step, ... below end, with values carried around it
    branch    a body under a scalar condition
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import field, replace

from graphc.backends.llvm.stages import (
    APART,
    PLACE,
    Stages,
    cut,
    defined,
    has_many_constants,
    renamed,
    with_constants,
)
from graphc.backends.llvm.text import BITS, TextBuilder, Val
from graphc.records import dataclass

Key = tuple[Hashable, ...]


_NEUTRAL = {"add": "0", "sub": "0", "mul": "1"}


@dataclass(slots=True)
class Scope:
    """lines: its text so far; stored: the buffers written in it; runs: see `Code.loop`."""

    lines: list[str]
    label: str
    is_loop: bool
    stored: frozenset[str] = frozenset()
    runs: Callable[[], Val] | None = None
    found: dict[Key, Val] = field(default_factory=dict)


# The same number, but LLVM does not know. It would look through all loops before this one for what
# they say of the index: with many stages that is most of its time, and changes no instruction.
UNKNOWN = 'call i64 asm "", "=r,0"(i64 {}.known)'


@dataclass(frozen=True, slots=True)
class _Loop:
    """The labels, the index and the lines of a loop from start to end."""

    header: str
    inside: str
    latch: str
    done: str
    index: Val
    start: Val
    end: Val
    lines: list[str]


def is_constant(a: Val) -> bool:
    return not a.text.startswith("%")


class Code:
    """The text of one function. Values at level 0 need no entry in `levels`."""

    def __init__(self, *, has_fma: bool, has_avx512: bool = False) -> None:
        self.builder = TextBuilder(has_fma=has_fma, has_avx512=has_avx512)
        self.scopes = [Scope(self.builder.lines, "entry", is_loop=False)]
        self.levels: dict[str, int] = {}
        self.kept_bytes: list[int] = []  # of the arrays between stages of loops, see stages.py
        self._filling = 0

    @property
    def depth(self) -> int:
        return len(self.scopes) - 1

    def level(self, a: Val) -> int:
        return self.levels.get(a.text, 0)

    # Placement

    def pure(
        self, key: Key, operands: Sequence[Val], make: Callable[[], Val], floor: int = 0
    ) -> Val:
        """The value of an instruction: an earlier equal one, or `make()` at the best level.

        key identifies the instruction together with its operands. floor: not further out.
        Instructions leave a branch only together with a loop: what a branch computes for itself
        stays under its condition.
        """
        lowest = self.lowest(operands, floor)
        for scope in self.scopes[lowest:]:
            found = scope.found.get(key)
            if found is not None:
                return found
        place, before = self.place(lowest), self._filling
        if place == before:
            result = make()
        else:
            self._fill(place)
            result = make()
            self._fill(before)
        text, levels = result.text, self.levels
        known = not place or text in levels or is_constant(result)
        if not known and text not in [item.text for item in operands]:
            levels[text] = place
        self.scopes[place].found[key] = result
        return result

    def lowest(self, operands: Sequence[Val], floor: int = 0) -> int:
        """The outermost level where all operands are known."""
        levels = self.levels
        for operand in operands:
            level = levels.get(operand.text, 0)
            if level > floor:
                floor = level
        return floor

    def place(self, lowest: int) -> int:
        """Where an instruction goes whose operands are known at level `lowest`."""
        for level in range(lowest + 1, len(self.scopes)):
            if self.scopes[level].is_loop:
                return level - 1
        return len(self.scopes) - 1

    def _fill(self, level: int) -> None:
        if level == self._filling:
            return
        builder = self.builder
        self.scopes[self._filling].label = builder.block_label
        scope = self.scopes[level]
        builder.lines = scope.lines
        builder.block_label = scope.label
        self._filling = level

    def operation(self, op: str, a: Val, b: Val) -> Val:
        """`add`, `sub`, `mul`, `and`... of integers; a scalar meets every lane of a vector."""
        if b.text == _NEUTRAL.get(op) and a.lanes >= b.lanes:
            return a
        if a.text == "0" and op == "add" and b.lanes >= a.lanes:
            return b
        if op == "mul" and "0" in (a.text, b.text) and a.lanes == b.lanes == 1:
            return a if a.text == "0" else b
        a, b = self.match(a, b)
        return self.pure(
            (op, a.text, b.text, a.type, a.lanes),
            (a, b),
            lambda: self.builder.emit(f"{op} {a.ir_type} {a.text}, {b.text}", a.type, a.lanes),
        )

    def match(self, a: Val, b: Val) -> tuple[Val, Val]:
        """Both with the lanes of the wider one."""
        if a.lanes == b.lanes:
            return a, b
        lanes = max(a.lanes, b.lanes)
        return self.splat(a, lanes), self.splat(b, lanes)

    def splat(self, a: Val, lanes: int) -> Val:
        """A scalar in every lane; vectors stay as they are."""
        if a.lanes == lanes:
            return a
        if is_constant(a):
            return Val(f"splat ({a.type} {a.text})", a.type, lanes)
        return self.pure(("splat", a.text, lanes), (a,), lambda: self.builder.splat(a, lanes))

    def constant(self, value: float, type: str, lanes: int = 1) -> Val:
        return self.builder.constant(value, type, lanes)

    def iota(self, type: str, lanes: int, step: int = 1) -> Val:
        """0, step, 2*step, ..."""
        items = ", ".join(f"{type} {k * step}" for k in range(lanes))
        return Val(f"<{items}>", type, lanes) if lanes > 1 else self.constant(0, type)

    def gep(self, type: str, pointer: Val, offset: Val) -> Val:
        """The address `offset` elements behind `pointer`; a vector of them for a vector offset."""
        if offset.text == "0":
            return pointer
        return self.pure(
            ("gep", type, pointer.text, offset.text),
            (pointer, offset),
            lambda: self.builder.emit(
                f"getelementptr {type}, ptr {pointer.text}, {offset.ir_type} {offset.text}",
                "ptr",
                offset.lanes,
            ),
        )

    # Scopes

    def _push(
        self, hint: str, is_loop: bool, stored: frozenset[str], runs: Callable[[], Val] | None
    ) -> Scope:
        self._fill(self.depth)
        label = self.builder.fresh_label(hint)
        self.scopes.append(Scope([], label, is_loop, stored, runs))
        self._fill(self.depth)
        return self.scopes[-1]

    def _pop(self) -> tuple[list[str], str]:
        """The lines of the innermost scope and the label of its last block."""
        self._fill(self.depth)
        lines, label = self.builder.lines, self.builder.block_label
        self._fill(self.depth - 1)
        self.scopes.pop()
        return lines, label

    def loop(
        self,
        start: Val,
        end: Val,
        step: int,
        carried: Sequence[Val],
        body: Callable[[Val, list[Val]], Sequence[Val]],
        *,
        stored: frozenset[str] = frozenset(),
        runs: Callable[[], Val] | None = None,
        vector_bytes: int = 0,
    ) -> list[Val]:
        """for index = start, start + step, ... < end: carried = body(index, carried).

        Returns the carried values after the loop. stored: the buffers its body writes. runs: emits
        the i1 that tells whether the body runs at all; None where it surely does. vector_bytes: of
        a register, for a loop whose iterations are apart and may be cut into stages: from start to
        end there are whole steps then.
        """
        builder = self.builder
        header, done = builder.fresh_label("loop"), builder.fresh_label("done")
        index = Val(builder.fresh("i"), "i64")
        values = [Val(builder.fresh("a"), value.type, value.lanes) for value in carried]
        scope = self._push("body", True, stored, runs)
        inside = scope.label
        for value in (index, *values):
            self.levels[value.text] = self.depth
        results = body(self._opaque(index), values)
        self._fill(self.depth)
        following = builder.value(f"add nuw nsw i64 {index.text}, {step}")
        lines, latch = self._pop()
        whole = _Loop(header, inside, latch, done, index, start, end, lines)
        if vector_bytes:
            names = [value.text for value in (*values, *results)]
            stages = cut(lines[:-1], names, vector_bytes, step)
            if stages is not None:
                return self._in_stages(stages, whole, step, carried, values, results)
            if has_many_constants(lines):
                whole = replace(whole, lines=with_constants(lines, builder))
        self._around(whole, following, values, carried, results)
        return values

    def _around(
        self,
        loop: "_Loop",
        following: str,
        values: Sequence[Val],
        carried: Sequence[Val],
        results: Sequence[Val],
    ) -> None:
        """The text of a loop around the lines of its body."""
        builder, index = self.builder, loop.index
        before = builder.block_label
        builder.branch(loop.header)
        builder.block(loop.header)
        start, latch = loop.start.text, loop.latch
        builder.line(f"{index.text} = phi i64 [ {start}, %{before} ], [ {following}, %{latch} ]")
        for value, initial, result in zip(values, carried, results, strict=True):
            builder.line(
                f"{value.text} = phi {value.ir_type} "
                f"[ {initial.text}, %{before} ], [ {result.text}, %{latch} ]"
            )
        more = builder.value(f"icmp slt i64 {index.text}, {loop.end.text}")
        builder.line(f"br i1 {more}, label %{loop.inside}, label %{loop.done}")
        builder.lines.append(f"{loop.inside}:")
        builder.lines.extend(loop.lines)
        builder.branch(loop.header)
        builder.block(loop.done)
        for value in (index, *values):
            self.levels[value.text] = self.depth

    def _in_stages(
        self,
        stages: Stages,
        loop: "_Loop",
        step: int,
        carried: Sequence[Val],
        values: Sequence[Val],
        results: Sequence[Val],
    ) -> list[Val]:
        """A loop over strips around one loop for each stage; the last has the carried values."""
        builder = self.builder
        self.keep(stages)
        header, inside, done = map(builder.fresh_label, ("strips", "strip", "done"))
        first = Val(builder.fresh("i"), "i64")
        totals = [Val(builder.fresh("a"), value.type, value.lanes) for value in carried]
        label, lines = builder.block_label, builder.lines
        builder.block_label, builder.lines = inside, []
        behind = Val(builder.value(f"add nuw nsw i64 {first.text}, {stages.strip * step}"), "i64")
        limit = builder.smin(behind, loop.end)
        length, zero = builder.sub(limit, first), builder.constant(0, "i64")
        for number, stage in enumerate((*stages.first, stages.last)):
            place, index, following = (builder.fresh(hint) for hint in ("place", "i", "t"))
            names = {loop.index.text: index, PLACE: place}
            is_last = number == len(stages.first)
            if not is_last:
                names |= {name: f"{name}.{number}" for name in defined(stage)}
            text = [
                f"  {index} = add nuw nsw i64 {first.text}, {place}",
                *with_constants([renamed(line, names) for line in stage], builder),
                f"  {following}.known = add nuw nsw i64 {place}, {step}",
                f"  {following} = {UNKNOWN.format(following)}",
            ]
            at = Val(place, "i64")
            if is_last:
                part = replace(loop, index=at, start=zero, end=length, lines=text)
                self._around(part, following, values, totals, results)
            else:
                start, middle, end = map(builder.fresh_label, ("stage", "body", "done"))
                part = _Loop(start, middle, middle, end, at, zero, length, text)
                self._around(part, following, [], [], [])
        body, latch = builder.lines, builder.block_label
        builder.block_label, builder.lines = label, lines
        strips = _Loop(header, inside, latch, done, first, loop.start, loop.end, body)
        self._around(strips, limit.text, totals, carried, values)
        return totals

    def keep(self, stages: Stages) -> None:
        """Have room for what stages hand on: loops use the same memory one after the other.

        Values of one iteration lie at different places of a memory page: processors take addresses
        that are equal in their last twelve bits for the same one at first, and loads wait for
        stores that do not concern them.
        """
        for slot, (_, lanes, element) in enumerate(stages.kept):
            size = stages.strip * lanes * BITS[element] // 8 + APART
            self.kept_bytes += [0] * (slot + 1 - len(self.kept_bytes))
            self.kept_bytes[slot] = max(self.kept_bytes[slot], size)

    def repeat(self, test: Callable[[], Val], body: Callable[[Val], None]) -> Val:
        """for index = 0, 1, ... while test(): body(index); how many times the body ran."""
        builder = self.builder
        header, done = builder.fresh_label("while"), builder.fresh_label("done")
        index = Val(builder.fresh("i"), "i64")
        first = self._push("test", True, frozenset(), None).label
        self.levels[index.text] = self.depth
        holds = test()
        inside = builder.fresh_label("step")
        builder.branch_if(holds, inside, done)
        builder.block(inside)
        body(index)
        self._fill(self.depth)
        following = builder.value(f"add nuw nsw i64 {index.text}, 1")
        lines, latch = self._pop()

        before = builder.block_label
        builder.branch(header)
        builder.block(header)
        builder.line(f"{index.text} = phi i64 [ 0, %{before} ], [ {following}, %{latch} ]")
        builder.branch(first)
        builder.lines.append(f"{first}:")
        builder.lines.extend(lines)
        builder.branch(header)
        builder.block(done)
        self.levels[index.text] = self.depth
        return index

    def _opaque(self, index: Val) -> Val:
        """The index of a loop in a form that LLVM's loop strength reduction does not follow.

        It takes a fifth of the time of code generation and finds nothing to improve here.
        """
        value = self.builder.emit(f"xor i64 {index.text}, 0", "i64")
        self.levels[value.text] = self.depth
        return value

    def branch(
        self,
        condition: Val,
        carried: Sequence[Val],
        body: Callable[[], Sequence[Val]],
        *,
        stored: frozenset[str] = frozenset(),
    ) -> list[Val]:
        """carried, replaced by what `body` returns where the scalar condition holds."""
        builder = self.builder
        joined = builder.fresh_label("join")
        inside = self._push("then", False, stored, None).label
        results = body()
        lines, last = self._pop()
        before = builder.block_label
        builder.branch_if(condition, inside, joined)
        builder.lines.append(f"{inside}:")
        builder.lines.extend(lines)
        builder.branch(joined)
        builder.block(joined)
        merged: list[Val] = []
        for initial, result in zip(carried, results, strict=True):
            value = builder.phi([(initial, before), (result, last)])
            self.levels[value.text] = self.depth
            merged.append(value)
        return merged
