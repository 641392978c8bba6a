"""Recurrences in pieces, side by side: what one state costs is waited for once, for several.

A step that waits for the one before leaves most of the processor idle. Here the steps are cut into
pieces; each piece begins with a guess of its state: that of an earlier step, sent through the last
steps before the piece (the warm-up). Maps that forget where they came from (leaky integrators,
cells with tanh, gradients through them) arrive at the very state of the serial loop, to the bit.

Nothing is taken on trust. In order of the pieces, the bits of the state that one ends with are
compared with those that the next began with. Where they differ, the piece is run again from the
right state, until it meets the states that were kept of the first run: from there on its results
are right, for a step depends on nothing but its state and its inputs. Pieces are the lanes of
vectors, and every operation gives the same bits in a vector as alone: all results are those of the
serial loop, whatever the map does. (But for signs of NaN, which depend on the order in which the
operands of an instruction stand.)

    @KERNEL(ptr buffers..., i64 sizes...)                       what the entry calls
    @KERNEL.serial(ptr frame, ptr state, i64 begin, i64 end)    one step after the other
    @KERNEL.lanes(ptr frame, ptr states, i64 begin, i64 end, i64 stride, i64 keeps)
                                                                the same in pieces stride apart

frame: the buffers and sizes. state: a word for each carry. keeps: 0 in a warm-up, whose rows are
not stored.
"""

from collections.abc import Mapping, Sequence

from graphc.backends.llvm.chain import FRAMED, ChainEmitter
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.pieces import LEAST, ROUTINE
from graphc.backends.llvm.scalar_ops import from_memory, memory_type, to_memory
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import INT_OF, FunctionText, Val
from graphc.dtypes import DType
from graphc.loops.ir import Buffer, Carry, KernelCall, Let, Loop, Program, Store
from graphc.loops.tidy import values_of
from graphc.scalar.expr import Call, Expr, Index, Load, Local, walk
from graphc.scalar.foreign import Foreign
from graphc.shapes import Size, size_product

MOST_CARRIES = 4
LANES = 8
LINES = 500  # of a step; longer ones do not wait much
ZERO = Val("0", "i64")


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
    if any(buffers[name].role not in ("view", "temporary") for name in written):
        return False
    if len(calls) == 1 and any(_adds_up(calls[0], carry) for carry in step.carries):
        return False
    own = written | {view for view, _ in step.slices}
    return all(_is_plain(call, own) for call in calls)


def _is_plain(call: KernelCall, own: frozenset[str]) -> bool:
    """Whether no place in memory depends on a number that is computed, places in what a step has
    of its own are numbers, and nothing foreign runs."""
    names = {p.name: a for p, a in zip(call.kernel.parameters, call.arguments, strict=True)}
    shapes = {p.name: p.shape for p in call.kernel.parameters}

    def has_place(buffer: str, index: Sequence[Expr]) -> bool:
        sizes: list[object] = [item.size for item in index if isinstance(item, Index)]
        if len(sizes) < len(index):
            return False
        sizes += shapes[buffer]
        return names[buffer] not in own or all(isinstance(size, int) for size in sizes)

    stores = [item for item in call.kernel.body if isinstance(item, Store)]
    if not all(has_place(item.buffer, item.index) for item in stores):
        return False
    return all(
        has_place(part.buffer, part.index)
        if isinstance(part, Load)
        else not (isinstance(part, Call) and isinstance(part.op, Foreign))
        for value in values_of(call.kernel.body)
        for part in walk(value)
    )


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


class LanesEmitter(ChainEmitter):
    """@KERNEL.lanes: states and all that is computed are vectors, a lane for each piece."""

    def __init__(
        self, program: Program, step: Loop, target: Target, values: Mapping[str, Size]
    ) -> None:
        super().__init__(program, step, target, values)
        self.stores: list[tuple[Val, list[Val]]] = []  # a value, and where its lanes go
        self.distance = Val("%stride", "i64")
        self.keeps = Val("%keeps", "i1")

    def emit(self, calls: Sequence[KernelCall], written: frozenset[str]) -> FunctionText | None:
        """None if a step is too long."""
        code, builder = self.code, self.code.builder
        dtypes = [self.buffer(carry.initial).dtype for carry in self.step.carries]
        builder.line("%keeps = icmp ne i64 %keep, 0")
        if self.step.reverse:
            self.distance = code.operation("sub", code.constant(0, "i64"), self.distance)
        initial = self._load_states(dtypes)
        ends = self.steps(calls, written, (BEGIN, END), initial, None)
        if len(builder.lines) > LINES:
            return None
        self._store_states(ends, dtypes)
        builder.line("ret void")
        return self.function("KERNEL.lanes", f"{FRAMED}, i64 %stride, i64 %keep")

    def handed_on(self) -> list[Val]:
        """The states after a step, whose rows are stored if they are to be kept."""
        states = [self.code.splat(value, LANES) for value in super().handed_on()]
        if self.stores:
            self.code.branch(self.keeps, [], self._store_rows)
        return states

    def _store_rows(self) -> list[Val]:
        for value, places in self.stores:
            for lane, at in enumerate(places):
                self.code.builder.store(self.code.builder.lane(value, lane), at.text)
        self.stores = []
        return []

    # Elements of rows

    def read(self, load: Load) -> Load:
        name, registers = load.buffer, self.memory.registers
        element = self._element(name, load.index)
        if element in registers:
            return Load(element, (), load.dtype)
        if name not in self.rows:
            return load
        type, builder = memory_type(load.dtype), self.code.builder
        places = self._places(name, load.index)

        def gathered() -> Val:
            vector = Val("poison", type, LANES)
            for lane, at in enumerate(places):
                one = builder.load(at.text, type)
                vector = builder.emit(
                    f"insertelement {vector.ir_type} {vector.text}, {type} {one.text}, i64 {lane}",
                    type,
                    LANES,
                )
            return from_memory(builder, vector, load.dtype)

        registers[element] = self.code.pure(("row", element), places, gathered)
        return Load(element, (), load.dtype)

    def write(self, name: str, index: Sequence[Expr], value: Val) -> None:
        value = self.code.splat(value, LANES)
        if name in self.rows and name not in self.held:
            stored = to_memory(self.code.builder, value, self.buffer(name).dtype)
            self.stores.append((stored, self._places(name, index)))
        self.memory.registers[self._element(name, index)] = self.as_stored(name, value)

    def _element(self, name: str, index: Sequence[Expr]) -> str:
        """The name of a register; that of the buffer itself where it is all of it."""
        whole = size_product(self.buffer(name).shape) == 1
        return name if whole else f"{name}.{self._number(name, index)}"

    def _number(self, name: str, index: Sequence[Expr]) -> Size:
        """Of an element of a buffer, whose shape kernels may see in different ways."""
        number: Size = 0
        for item, size in zip(index, self.memory.arrays[name].shape, strict=True):
            assert isinstance(item, Index)
            number = number * size + item.size
        return number

    def _places(self, name: str, index: Sequence[Expr]) -> list[Val]:
        """Where the lanes find an element of their rows."""
        code, itemsize = self.code, self.buffer(name).dtype.itemsize
        number = self._number(name, index)
        assert isinstance(number, int)
        start = code.gep("i8", self.rows[name], code.constant(number * itemsize, "i64"))
        width = self.sizes.first(self.bytes_of(name))
        apart = code.operation("mul", self.distance, width)
        places: list[Val] = []
        for lane in range(LANES):
            if lane and lane % 4 == 0:
                start = code.gep("i8", start, self._times(apart, 4))
            places.append(code.gep("i8", start, self._times(apart, lane % 4)))
        return places

    def _times(self, value: Val, factor: int) -> Val:
        code = self.code
        return code.operation("mul", value, code.constant(factor, "i64")) if factor else ZERO

    # States

    def _load_states(self, dtypes: Sequence[DType]) -> list[Val]:
        builder, carries = self.code.builder, len(dtypes)
        words = builder.load("%state", "i64", LANES * carries)
        found = []
        for number, dtype in enumerate(dtypes):
            picked = ", ".join(f"i32 {lane * carries + number}" for lane in range(LANES))
            own = words
            if carries > 1:
                own = builder.emit(
                    f"shufflevector {words.ir_type} {words.text}, {words.ir_type} poison, "
                    f"<{LANES} x i32> <{picked}>",
                    "i64",
                    LANES,
                )
            if dtype.itemsize < 8:
                own = builder.trunc(own, f"i{8 * dtype.itemsize}")
            type = memory_type(dtype)
            own = own if own.type == type else builder.bitcast(own, type)
            found.append(from_memory(builder, own, dtype))
        return found

    def _store_states(self, values: Sequence[Val], dtypes: Sequence[DType]) -> None:
        builder, carries = self.code.builder, len(dtypes)
        for number, (value, dtype) in enumerate(zip(values, dtypes, strict=True)):
            stored = to_memory(builder, value, dtype)
            if stored.type in INT_OF:
                stored = builder.bitcast(stored, INT_OF[stored.type])
            words = builder.zext(stored, "i64") if dtype.itemsize < 8 else stored
            if carries == 1:
                builder.store(words, "%state")
                return
            for lane in range(LANES):
                at = builder.value(f"getelementptr i64, ptr %state, i64 {lane * carries + number}")
                builder.store(builder.lane(words, lane), at)


# What calls them


def calling_function(
    step: Loop,
    framed: Sequence[str],
    sizes: Sequence[str],
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
        f"i64 {length.text}, i64 {LANES}, i64 {carries})"
    )
    for at, carry in zip(places, step.carries, strict=True):
        type = memory_type(buffers[carry.final].dtype)
        builder.store(builder.load(at, type), of_name[carry.final].text)
    builder.line("ret void")
    declared = ", ".join(f"{value.type} {value.text}" for value in (*given, *values))
    signature = f"define internal void @KERNEL({declared}) {target.function_attributes}"
    return builder.function(signature, plain=True), tuple(names)
