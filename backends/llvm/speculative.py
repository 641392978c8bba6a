"""Recurrences in pieces, side by side: what one state costs is waited for once, for several.

A step that waits for the one before leaves most of the processor idle. Here the steps are cut into
pieces; each piece begins with a guess of its state: that of an earlier step, sent through the last
steps before the piece (the warm-up). Maps that forget where they came from (leaky integrators,
cells with tanh, gradients through them) arrive at the very state of the serial loop, to the bit.

Nothing is taken on trust. In order of the pieces, the bits of the state that one ends with are
compared with those that the next began with. Where they differ, the piece is run again from the
right state, until it meets the states that were kept of the first run: from there on its results
are right, for a step depends on nothing but its state and its inputs. The instructions of a step
are the same in both loops, so that all results are those of the serial loop, whatever the map does.

    @KERNEL(ptr buffers..., i64 sizes...)                       what the entry calls
    @KERNEL.serial(ptr frame, ptr state, i64 begin, i64 end)    one step after the other
    @KERNEL.lanes(ptr frame, ptr states, i64 begin, i64 end, i64 stride, i64 keeps)
                                                                the same in pieces stride apart

frame: the buffers and sizes. state: a word for each carry. keeps: 0 in a warm-up, whose rows are
not stored.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graphc.backends.llvm.pieces import LEAST, ROUTINE
from graphc.backends.llvm.scalar_ops import from_memory, memory_type, to_memory
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, TextBuilder, Val
from graphc.dtypes import DType
from graphc.loops.ir import Buffer, Carry, Kernel, KernelCall, Let, Loop, Store
from graphc.loops.tidy import values_of
from graphc.scalar.expr import Call, Expr, Index, Load, Local, walk
from graphc.scalar.foreign import Foreign
from graphc.shapes import Size, size_product

MOST_CARRIES = 4
MOST_LANES = 8
LINES = 240  # of all lanes together

_DEFINED = re.compile(r"^  (%[\w.]+) = ", re.MULTILINE)
_LABEL = re.compile(r"^([\w.]+):", re.MULTILINE)
_NAME = re.compile(r"%[\w.]+")


def may_speculate(
    step: Loop,
    calls: Sequence[KernelCall],
    written: frozenset[str],
    buffers: Mapping[str, Buffer],
) -> bool:
    """Whether pieces of the loop may run, several times and from any state."""
    if isinstance(step.length, int) and step.length < LEAST:
        return False
    if len(step.carries) > MOST_CARRIES:
        return False
    stored = {buffer for view, buffer in step.slices if view in written}
    if stored & {buffer for view, buffer in step.slices if view not in written}:
        return False
    if not all(isinstance(row_bytes(buffers[v]), int) for v, _ in step.slices if v in written):
        return False
    if any(buffers[name].role not in ("view", "temporary") for name in written):
        return False
    if len(calls) == 1 and any(_adds_up(calls[0], carry) for carry in step.carries):
        return False
    return all(_reads_rows_only(call.kernel) for call in calls)


def _adds_up(call: KernelCall, carry: Carry) -> bool:
    """Whether a state is a plain sum over the steps, which never forgets where it began."""
    names = {p.name: a for p, a in zip(call.kernel.parameters, call.arguments, strict=True)}
    same: set[str] = set()  # locals that are the state
    used: set[str] = set()  # locals that depend on it
    sums: set[str] = set()  # locals that are the state and a number that does not depend on it

    def is_state(expr: Expr) -> bool:
        if isinstance(expr, Load):
            return names[expr.buffer] == carry.state
        return isinstance(expr, Local) and expr.name in same

    def depends(expr: Expr) -> bool:
        return any(
            is_state(part) or (isinstance(part, Local) and part.name in used) for part in walk(expr)
        )

    def is_sum(expr: Expr) -> bool:
        if isinstance(expr, Local):
            return expr.name in sums
        if not isinstance(expr, Call) or expr.op != "add":
            return False
        return sorted((is_state(arg), depends(arg)) for arg in expr.args) == [
            (False, False),
            (True, True),
        ]

    for item in call.kernel.body:
        if isinstance(item, Let):
            if is_sum(item.value):
                sums.add(item.name)
            if is_state(item.value):
                same.add(item.name)
            elif depends(item.value):
                used.add(item.name)
        elif isinstance(item, Store) and names[item.buffer] == carry.following:
            return is_sum(item.value)
    return False


def row_bytes(buffer: Buffer) -> Size:
    return size_product(buffer.shape) * buffer.dtype.itemsize


def _reads_rows_only(kernel: Kernel) -> bool:
    """Whether no place in memory depends on a number that is computed, and nothing foreign runs."""
    stores = [item for item in kernel.body if isinstance(item, Store)]
    if not all(isinstance(part, Index) for item in stores for part in item.index):
        return False
    return all(_is_free(part) for value in values_of(kernel.body) for part in walk(value))


def _is_free(part: Expr) -> bool:
    if isinstance(part, Load):
        return all(isinstance(item, Index) for item in part.index)
    return not (isinstance(part, Call) and isinstance(part.op, Foreign))


class Chain(NamedTuple):
    """A loop from %begin to %end, as text.

    lines: all before the loop, which stands in block `label`. first, body: the label and the
    lines of a step. number, states, results: what a step is given, and the states that it makes.
    rows: the pointer to the row of each view that is written, and its bytes.
    """

    lines: list[str]
    label: str
    first: str
    body: list[str]
    number: Val
    states: list[Val]
    results: list[Val]
    rows: list[tuple[Val, Size]]


def chain(
    lines: Sequence[str], given: Sequence[Val], results: list[Val], rows: list[tuple[Val, Size]]
) -> Chain:
    """The parts of the loop that `Code.loop` has just written. given: the index and the states."""
    number, *states = given
    start = next(place for place, line in enumerate(lines) if line.startswith("loop."))
    label = re.findall(r"%([\w.]+) \]", lines[start + 1])[0]
    # A step stands between phis, comparison, branch and label, and the next index and branch.
    first = start + 4 + len(states)
    own = f"  {number.text} = "
    body = [line for line in lines[first + 1 : -3] if not line.startswith(own)]
    before = list(lines[: start - 1])
    return Chain(before, label, lines[first][:-1], body, number, states, results, rows)


def lanes_of(body: Sequence[str]) -> int:
    """How many pieces run side by side; 0: none."""
    lanes = min(LINES // max(len(body), 1), MOST_LANES)
    return lanes if lanes > 1 else 0


def write_lanes(builder: TextBuilder, chain: Chain, lanes: int, dtypes: Sequence[DType]) -> None:
    """The lines of @KERNEL.lanes. builder: the one that wrote the chain."""
    builder.lines = ["  %keeps = icmp ne i64 %keep, 0"]
    for number, (_, size) in enumerate(chain.rows):
        builder.line(f"%elsewhere.{number} = alloca [{size} x i8], align 64")
    builder.lines += chain.lines
    initial = []
    for lane in range(lanes):
        builder.line(f"%offset.{lane} = mul i64 %stride, {lane}")
        initial.append(load_states(builder, lane * len(dtypes), dtypes))
    builder.branch("lanes")
    builder.block("lanes")
    builder.line(f"%index = phi i64 [ %begin, %{chain.label} ], [ %index.next, %last ]")
    template, names = _template(chain)

    def of_lane(value: Val, lane: int) -> str:
        return f"{value.text}.c{lane}" if value.text in names else value.text

    for lane in range(lanes):
        for state, start, result in zip(chain.states, initial[lane], chain.results, strict=True):
            builder.line(
                f"{of_lane(state, lane)} = phi {state.ir_type} [ {start.text}, %{chain.label} ], "
                f"[ {of_lane(result, lane)}, %last ]"
            )
    builder.line("%more = icmp slt i64 %index, %end")
    builder.line("br i1 %more, label %step, label %done")
    builder.block("step")
    joined = "\n".join(chain.body)
    has_blocks = f"%{chain.first}" in joined
    for lane in range(lanes):
        if has_blocks:
            builder.branch(f"{chain.first}.c{lane}")
            builder.block(f"{chain.first}.c{lane}")
        builder.line(f"{of_lane(chain.number, lane)} = add i64 %index, %offset.{lane}")
        builder.lines.append(template.replace("\0", f".c{lane}"))
    builder.branch("last")
    builder.block("last")
    builder.line("%index.next = add nuw nsw i64 %index, 1")
    builder.branch("lanes")
    builder.block("done")
    for lane in range(lanes):
        ends = [Val(of_lane(state, lane), state.type) for state in chain.states]
        store_states(builder, lane * len(dtypes), ends, dtypes)
    builder.line("ret void")


def _template(chain: Chain) -> tuple[str, set[str]]:
    """The text of a step with a mark behind every name of its own, and these names."""
    text = "\n".join(chain.body)
    for number, (row, _) in enumerate(chain.rows):
        made, kept = f"  {row.text} = ", f"  {row.text}.kept = "
        head, _, tail = text.partition(made)
        line, _, rest = tail.partition("\n")
        chosen = f"{made}select i1 %keeps, ptr {row.text}.kept, ptr %elsewhere.{number}"
        text = f"{head}{kept}{line}\n{chosen}\n{rest}"
    names = {*_DEFINED.findall(text), *(f"%{label}" for label in _LABEL.findall(text))}
    names |= {f"%{chain.first}", *(value.text for value in (chain.number, *chain.states))}

    def marked(found: re.Match[str]) -> str:
        return f"{found[0]}\0" if found[0] in names else found[0]

    return _LABEL.sub("\\1\0:", _NAME.sub(marked, text)), names


def load_states(builder: TextBuilder, first: int, dtypes: Sequence[DType]) -> list[Val]:
    """The states in the words from `first` on."""
    found = []
    for place, dtype in enumerate(dtypes):
        at = builder.value(f"getelementptr i64, ptr %state, i64 {first + place}")
        found.append(from_memory(builder, builder.load(at, memory_type(dtype)), dtype))
    return found


def store_states(
    builder: TextBuilder, first: int, values: Sequence[Val], dtypes: Sequence[DType]
) -> None:
    for place, (value, dtype) in enumerate(zip(values, dtypes, strict=True)):
        at = builder.value(f"getelementptr i64, ptr %state, i64 {first + place}")
        builder.store(to_memory(builder, value, dtype), at)


# What calls them


def calling_function(
    step: Loop,
    framed: Sequence[str],
    sizes: Sequence[str],
    lanes: int,
    buffers: Mapping[str, Buffer],
    target: Target,
) -> tuple[FunctionText, tuple[str, ...]]:
    """@KERNEL(ptr buffers..., i64 sizes...), and its buffers: those in the frame, and those of the
    first and the last states."""
    names = list(framed)
    for carry in step.carries:
        names += [name for name in (carry.initial, carry.final) if name not in names]
    code = Code(has_fma=target.has_fma)
    builder = code.builder
    given = [Val(f"%b{number}", "ptr") for number in range(len(names))]
    values = [Val(f"%s{number}", "i64") for number in range(len(sizes))]
    known = Sizes(code)
    known.symbols.update(zip(sizes, values, strict=True))
    words = [*given[: len(framed)], *values]
    carries = len(step.carries)
    builder.line(f"%frame = alloca [{max(len(words), 1)} x i64], align 16")
    builder.line(f"%state = alloca [{carries} x i64], align 16")
    for number, word in enumerate(words):
        at = builder.value(f"getelementptr i64, ptr %frame, i64 {number}")
        builder.line(f"store {word.type} {word.text}, ptr {at}, align 8")
    of_name = dict(zip(names, given, strict=True))
    places = []
    for number, carry in enumerate(step.carries):
        at = builder.value(f"getelementptr i64, ptr %state, i64 {number}")
        builder.line(f"store i64 0, ptr {at}, align 8")
        type = memory_type(buffers[carry.initial].dtype)
        builder.store(builder.load(of_name[carry.initial].text, type), at)
        places.append(at)
    length = known.first(step.length)
    builder.line(
        f"call void @{ROUTINE}(ptr @KERNEL.serial, ptr @KERNEL.lanes, ptr %frame, ptr %state, "
        f"i64 {length.text}, i64 {lanes}, i64 {carries})"
    )
    for at, carry in zip(places, step.carries, strict=True):
        type = memory_type(buffers[carry.final].dtype)
        builder.store(builder.load(at, type), of_name[carry.final].text)
    builder.line("ret void")
    declared = ", ".join(f"{value.type} {value.text}" for value in (*given, *values))
    signature = f"define internal void @KERNEL({declared}) {target.function_attributes}"
    return builder.function(signature, plain=True), tuple(names)
