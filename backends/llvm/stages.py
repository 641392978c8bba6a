"""Long straight bodies of vector loops, cut into stages that run one after the other over a strip.

    for i = start ... end:                for s = start ... end, a strip at a time:
      q = f(x[i])               ->          for i in the strip: kept[i - s] = f(x[i])
      out[i] = g(q)                         for i in the strip: out[i] = g(kept[i - s])

The values of one element wait for each other. A processor works on later elements meanwhile, but
it looks ahead over so many instructions only: where an element is a chain of a hundred cycles, its
pipes are idle half of the time. The chain of a stage is shorter, so that what the processor looks
at belongs to more elements. What later stages need is kept in the first-level cache; loads,
addresses, splats and comparisons are repeated. Every value is made by the same instructions as
before: results are the same, bit by bit.

Strips are short: the stages that read arrays follow each other closely enough for processors to
fetch what comes next meanwhile, and a dozen kept values leave most of the cache alone.

Cuts are made where they cost least by a simple model of such a processor (`_Body.time`).
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import NamedTuple

from graphc.backends.llvm.text import BITS, TextBuilder

STRIP_BYTES = 512  # of a value in the iterations of a strip
APART = 64  # bytes between what is kept of two values: see Code.keep
WINDOW = 90  # vector instructions that are looked at, where two threads share a core
STAGE = 2.0  # cycles that a further loop costs each iteration
KEEPING = 1.0  # cycles to keep a value and to take it again
GRAIN = 4  # cycles between places that are considered for cuts
BACK = 64  # places that a stage may begin at: a longer one is best cut
REGISTERS = 16  # more constants than these stand outside of a loop
WORTH = 0.72  # of the time of the uncut body: more takes longer to compile than it gains
SHORT = 40  # cycles of a chain that is left alone

# fmt: off
LATENCY = {
    "fadd": 3, "fsub": 3, "fmul": 3, "fdiv": 11, "fma": 4, "fmuladd": 4, "sqrt": 14, "minimum": 2,
    "maximum": 2, "copysign": 2, "roundeven": 8, "floor": 8, "ceil": 8, "trunc": 8,
}
# fmt: on
MULTIPLIES = frozenset(("fmul", "fma", "fmuladd", "select"))  # two of four pipes have these
DIVIDES = {"fdiv": 5.5, "sqrt": 5.5}  # cycles, one at a time
MOVES = frozenset(("load", "bitcast", "insertelement", "shufflevector", "getelementptr"))
ADDRESSES = frozenset(("add", "sub", "mul", "xor", "and", "or", "shl", "getelementptr", "load"))
SPLATS = frozenset(("insertelement", "shufflevector", "load"))

PREFETCH = "@llvm.prefetch"  # changes nothing that is read
NAME = re.compile(r"%[\w.]+")
DEFINITION = re.compile(r"  (%[\w.]+) = (\w+) (.*)")
INTRINSIC = re.compile(r"@llvm\.(\w+)")
CONSTANT_TAKER = re.compile(
    r"  %[\w.]+ = (?:(?:fadd|fsub|fmul|add|and|or) <(\d+) x|call <(\d+) x \w+> @llvm\.fma)"
)
SPLAT = re.compile(r"splat \((float|double|i\d\d+) (-?\w+)\)")  # not of truth values
PLACE = "%kept.place"  # of the iteration in its strip, in elements
VECTOR = re.compile(r"(?:nsz )?<(\d+) x (\w+)>")
MASK = re.compile(r"<(\d+) x i32> (?:<[^<>]*>|zeroinitializer)$")


class Line(NamedTuple):
    """An instruction, or all that follows the first branch.

    name: what it defines, or nothing; uses: what it takes of the other lines; type: lanes and
    element of a result that may be kept; again: whether it is repeated where it is needed; last:
    whether it must stand in the last stage.
    """

    text: str
    name: str
    uses: tuple[str, ...]
    op: str
    type: tuple[int, str] | None
    again: bool
    last: bool


class Stages(NamedTuple):
    """The lines of each stage but the last, and of the last.

    kept: name, lanes and element of each value; strip: how many iterations it is kept for.
    """

    first: tuple[tuple[str, ...], ...]
    last: tuple[str, ...]
    kept: tuple[tuple[str, int, str], ...]
    strip: int


def cut(text: Sequence[str], carried: Sequence[str], vector_bytes: int, step: int) -> Stages | None:
    """The body of a loop in stages; None if it is best as it is.

    carried: names of accumulators; step: how many elements an iteration has.
    """
    lines = _parsed(text, frozenset(carried))
    if lines is None:
        return None
    body = _Body(lines, vector_bytes, step)
    if body.length < SHORT:
        return None
    cuts = body.cuts()
    return body.stages(cuts) if cuts else None


def _parsed(text: Sequence[str], carried: frozenset[str]) -> list[Line] | None:
    lines: list[Line] = []
    known: dict[str, bool] = {}  # the names that are defined, and whether they are repeated
    wrote = False
    late = set(carried)  # what is made of accumulators
    for number, line in enumerate(text):
        if not line.startswith("  ") or line.startswith("  br "):
            rest = "\n".join(text[number:])
            uses = tuple(name for name in dict.fromkeys(NAME.findall(rest)) if name in known)
            lines.append(Line(rest, "", uses, "", None, False, True))
            break
        found = DEFINITION.match(line)
        if found is None:
            uses = tuple(name for name in NAME.findall(line) if name in known)
            lines.append(Line(line, "", uses, "", None, False, True))
            wrote |= PREFETCH not in line
            continue
        name, op, operands = found.groups()
        if op == "call":
            intrinsic = INTRINSIC.search(operands)
            if intrinsic is None:
                return None  # what it does is not known here
            op = intrinsic[1]
        taken = NAME.findall(operands)
        uses = tuple(item for item in taken if item in known)
        is_late = name in carried or not late.isdisjoint(taken)
        is_late |= wrote and op in ("load", "masked")
        if is_late:
            late.add(name)
        is_vector = "<" in operands
        repeats = op in (SPLATS if is_vector else ADDRESSES) and all(map(known.__getitem__, uses))
        again = not is_late and (repeats or op in ("fcmp", "icmp"))
        lines.append(Line(line, name, uses, op, _kept_type(op, operands), again, is_late))
        known[name] = again
    return lines


def _kept_type(op: str, operands: str) -> tuple[int, str] | None:
    """Lanes and element of a result that may be kept in memory."""
    if op == "extractelement":
        return None  # a scalar
    if op == "select":
        operands = operands.partition(", ")[2]
    found = VECTOR.match(operands.rpartition(" to ")[2])  # of a conversion, what it makes
    if found is None or op in ("fcmp", "icmp") or BITS.get(found[2], 0) < 32:
        return None
    lanes = found
    if op == "shufflevector":
        mask = MASK.search(operands)
        if mask is None:
            return None
        lanes = mask
    return int(lanes[1]), found[2]


def defined(lines: Sequence[str]) -> list[str]:
    """The names that lines of `Stages` define."""
    return [name for line in lines for name in re.findall(r"^  (%[\w.]+) = ", line, re.MULTILINE)]


def has_many_constants(lines: Sequence[str]) -> bool:
    """Whether a body has more constants than registers hold."""
    return len({splat[0] for line in lines for splat in SPLAT.finditer(line)}) > REGISTERS


def with_constants(lines: Sequence[str], builder: TextBuilder) -> list[str]:
    """The lines with constants as values, which `builder` gets the loads of.

    The code generator would make most of them again in each iteration. Values stay in registers
    as far as these suffice, and are operands in memory beyond.
    """
    found: dict[str, str] = {}

    def loaded(lanes: str, splat: re.Match[str]) -> str:
        if int(splat[2], 0) == 0:
            return splat[0]  # a register is cleared faster than loaded
        name = f"constant.{lanes}.{splat[1]}.{splat[2].replace('-', 'm')}"
        if name not in found:
            vector = f"<{lanes} x {splat[1]}>"
            text = f"@{name} = internal constant {vector} {splat[0]}, align 64"
            builder.define(name, text)
            found[name] = builder.value(f"load {vector}, ptr @{name}, align 64")
        return found[name]

    changed: list[str] = []
    for line in "\n".join(lines).split("\n"):
        taker = CONSTANT_TAKER.match(line)
        if taker is not None:
            line = SPLAT.sub(partial(loaded, taker[1] or taker[2]), line)
        changed.append(line)
    return changed


def renamed(line: str, names: Mapping[str, str]) -> str:
    return NAME.sub(lambda found: names.get(found[0], found[0]), line)


class _Body:
    def __init__(self, lines: list[Line], vector_bytes: int, step: int) -> None:
        self.lines = lines
        self.step = step
        self.strip = STRIP_BYTES // vector_bytes
        self.at = {line.name: number for number, line in enumerate(lines) if line.name}
        ends: dict[str, int] = {}
        for line in lines:
            begin = max((ends[name] for name in line.uses), default=0)
            ends[line.name] = begin + _latency(line)
        self.length = max(ends.values(), default=0)
        if self.length < SHORT:
            return
        # Each line as late as its result allows: what is kept is kept for a short time.
        due: dict[str, int] = {}
        starts: list[int] = []
        for line in reversed(lines):
            start = due.get(line.name, self.length) - _latency(line)
            starts.append(start)
            for name in line.uses:
                due[name] = min(due.get(name, start), start)
        self.starts = starts[::-1]
        self.needs = self._needs()
        self.last_use: dict[str, int] = {}
        for line, start, needed in zip(lines, self.starts, self.needs, strict=True):
            if not line.again:
                for name in needed:
                    self.last_use[name] = max(self.last_use.get(name, 0), start)
        self._sum_up(vector_bytes)

    def _needs(self) -> list[tuple[str, ...]]:
        """For each line the values that it takes, itself or through lines that are repeated."""
        needs: list[tuple[str, ...]] = []
        for line in self.lines:
            found: dict[str, None] = {}
            for name in line.uses:
                number = self.at[name]
                if self.lines[number].again:
                    found |= dict.fromkeys(needs[number])
                else:
                    found[name] = None
            needs.append(tuple(found))
        return needs

    def _sum_up(self, vector_bytes: int) -> None:
        """Sums over all lines that start before each place."""
        count = -(-self.length // GRAIN) + 1
        steps, multiplies, divides = ([0.0] * count for _ in range(3))
        self.crossing = [0.0] * count
        limit = self.length
        for line, start in zip(self.lines, self.starts, strict=True):
            place = min(max(start, 0) // GRAIN + 1, count - 1)
            if line.last:
                limit = min(limit, start)
            if line.again or line.op in MOVES or line.type is None:
                width = 0.0
            else:
                width = max(1.0, line.type[0] * BITS[line.type[1]] / 8 / vector_bytes)
            steps[place] += width * (3 if line.op == "copysign" else 1)
            multiplies[place] += width * (line.op in MULTIPLIES)
            divides[place] += width * DIVIDES.get(line.op, 0.0)
            if line.name and not line.again and line.name in self.last_use:
                end = self.last_use[line.name] // GRAIN
                # What is kept lies at the places of the elements, one for each of them.
                fits = line.type is not None and line.type[0] == self.step
                cost = width or 1.0 if fits else float("inf")
                for crossed in range(place, min(end, count - 1) + 1):
                    self.crossing[crossed] += cost
        self.steps, self.multiplies, self.divides = (
            list(accumulate(one)) for one in (steps, multiplies, divides)
        )
        self.places = min(max(limit, 0) // GRAIN, count - 1)  # no cut behind this one
        self.end = count - 1

    def time(self, first: int, last: int) -> float:
        """Cycles of one iteration of a stage between two places."""
        steps = self.steps[last] - self.steps[first]
        pipes = max((self.multiplies[last] - self.multiplies[first]) / 2, steps / 3)
        divides = self.divides[last] - self.divides[first]
        return max(pipes, divides, steps * (last - first + 1) * GRAIN / WINDOW)

    def cuts(self) -> list[int]:
        """The places of the cuts, in cycles."""
        allowed = [p for p in range(1, self.places + 1) if self.crossing[p] < float("inf")]
        best: dict[int, tuple[float, int]] = {0: (0.0, 0)}
        for place in [*allowed, self.end]:
            best[place] = min(
                (best[other][0] + self.time(other, place) + self.cost_of_cut(other), other)
                for other in list(best)[-BACK:]
            )
        if best[self.end][0] > WORTH * self.time(0, self.end):
            return []
        cuts: list[int] = []
        place = best[self.end][1]
        while place:
            cuts.insert(0, place * GRAIN)
            place = best[place][1]
        return cuts

    def cost_of_cut(self, place: int) -> float:
        return STAGE + KEEPING * self.crossing[place] if place else 0.0

    def stages(self, cuts: Sequence[int]) -> Stages:
        number_of = [bisect_left(cuts, start + 1) for start in self.starts]
        wanted: list[dict[int, None]] = [{} for _ in range(len(cuts) + 1)]  # numbers of lines
        kept: dict[str, None] = {}
        taken: list[dict[str, None]] = [{} for _ in wanted]

        def want(stage: int, number: int) -> None:
            pending = [number]
            while pending:
                number = pending.pop()
                if number in wanted[stage]:
                    continue
                wanted[stage][number] = None
                for name in self.lines[number].uses:
                    source = self.at[name]
                    if self.lines[source].again:
                        pending.append(source)
                    elif number_of[source] != stage:
                        kept[name] = None
                        taken[stage][name] = None

        for number, line in enumerate(self.lines):
            if not line.again:
                want(number_of[number], number)
        slots = {name: slot for slot, name in enumerate(kept)}
        texts = []
        for stage, numbers in enumerate(wanted):
            lines = [_take(slots[name], name, self.type_of(name)) for name in taken[stage]]
            for number in sorted(numbers):
                line = self.lines[number]
                lines.append(line.text)
                if line.name in slots and not line.again:
                    lines.append(_keep(slots[line.name], line.name, self.type_of(line.name)))
            texts.append(tuple(lines))
        types = tuple((name, *self.type_of(name)) for name in kept)
        return Stages(tuple(texts[:-1]), texts[-1], types, self.strip)

    def type_of(self, name: str) -> tuple[int, str]:
        found = self.lines[self.at[name]].type
        assert found is not None
        return found


def _latency(line: Line) -> int:
    if line.again or line.op in MOVES or not line.name:
        return 0
    return LATENCY.get(line.op, 1)


def _place(slot: int, name: str, element: str, how: str) -> str:
    return f"  {name}.{how} = getelementptr {element}, ptr %kept.{slot}, i64 {PLACE}"


def _take(slot: int, name: str, type: tuple[int, str]) -> str:
    lanes, element = type
    address = _place(slot, name, element, "from")
    return f"{address}\n  {name} = load <{lanes} x {element}>, ptr {name}.from, align 4"


def _keep(slot: int, name: str, type: tuple[int, str]) -> str:
    lanes, element = type
    address = _place(slot, name, element, "to")
    return f"{address}\n  store <{lanes} x {element}> {name}, ptr {name}.to, align 4"
