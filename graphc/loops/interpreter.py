"""The loop interpreter: one element at a time, every access checked. It defines the meaning.

It raises VerificationError, naming the kernel and the statement, for an index outside its array,
a read of memory that was never written or now belongs to another buffer, a local assigned twice,
and iterations of a parallel or vector loop that meet in memory.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from graphc.dtypes import float64, is_floating
from graphc.errors import VerificationError
from graphc.lapack import ROUTINES
from graphc.lapack_calls import allocate, run_routine
from graphc.loops.accumulators import Cell
from graphc.loops.blame import blame
from graphc.loops.host import BoundHostCall
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Branch,
    Carry,
    Contraction,
    Fault,
    For,
    HostCall,
    If,
    IndexCheck,
    Kernel,
    KernelCall,
    Lapack,
    Let,
    Loop,
    Program,
    Scratch,
    Statement,
    Step,
    Store,
    While,
    flat_steps,
    written_buffers,
)
from graphc.loops.memory_check import Array, Iteration, fresh_array, read_only_array, track
from graphc.scalar.evaluate import Value, apply_quietly, evaluate_expr
from graphc.scalar.expr import Expr
from graphc.shapes import Size, evaluate, size_product

READ_ONLY_ROLES = ("input", "variable", "constant")


def run_program(
    program: Program, sizes: Mapping[str, int], arrays: Mapping[str, np.ndarray]
) -> None:
    """Run all steps in order; outputs, updates and temporaries are written in place.

    sizes: values of the program's sizes. arrays: dense arrays for all buffers; temporaries may
    overlap. Raises Fault if an IndexCheck or a Lapack step fails, and what a HostCall raises.
    """
    read_only = {
        name: read_only_array(name, arrays[name])
        for name, buffer in program.buffers.items()
        if buffer.role in READ_ONLY_ROLES
    }
    written = track({name: arrays[name] for name in arrays if name not in read_only})
    memory = read_only | written
    _run_steps(program, program.steps, 0, dict(sizes), memory)
    for name in (*program.outputs, *(value for _, value in program.updates)):
        memory[name].read_range(0, memory[name].flat.size)


def _run_steps(
    program: Program,
    steps: Sequence[Step],
    start: int,
    sizes: dict[str, int],
    memory: dict[str, Array],
) -> None:
    """start: the position of the first step among all of the program's."""
    number = start
    for step in steps:
        _allocate(program, step, sizes, memory)
        match step:
            case KernelCall(kernel, arguments, values):
                bound = [evaluate(value, sizes) for value in values]
                _KernelRun(kernel, [memory[name] for name in arguments], bound).run()
            case Contraction():
                _run_contraction(step, sizes, memory)
            case IndexCheck():
                _run_check(step, number, sizes, memory)
            case HostCall():
                _run_host_call(step, sizes, memory)
            case Lapack():
                _run_lapack(step, number, sizes, memory)
            case Loop():
                _run_loop(program, step, number, sizes, memory)
            case While():
                _run_while(program, step, number, sizes, memory)
            case Branch():
                _run_branch(program, step, number, sizes, memory)
        number += sum(1 for _ in flat_steps([step]))


def _run_loop(
    program: Program, step: Loop, number: int, sizes: dict[str, int], memory: dict[str, Array]
) -> None:
    length = evaluate(step.length, sizes)
    widths = {
        view: evaluate(size_product(program.buffers[view].shape), sizes) for view, _ in step.slices
    }
    states = _first_states(step.carries, memory)
    for turn in range(length):
        row = length - 1 - turn if step.reverse else turn
        for view, buffer in step.slices:
            memory[view] = memory[buffer].part(row * widths[view], widths[view])
        for carry in step.carries:
            if not carry.is_in_place:
                target = carry.final if turn == length - 1 else carry.spare[turn % 2]
                memory[carry.following] = memory[target]
        memory.update(states)
        _run_steps(program, step.body, number + 1, sizes, memory)
        states = {carry.state: memory[carry.following] for carry in step.carries}
    if length == 0:
        for carry in step.carries:
            if not carry.is_in_place:
                _copy(memory[carry.initial], memory[carry.final])


def _first_states(carries: Sequence[Carry], memory: dict[str, Array]) -> dict[str, Array]:
    """What the states are before the first step."""
    for carry in carries:
        if carry.is_in_place:
            _copy(memory[carry.initial], memory[carry.final])
    return {
        carry.state: memory[carry.final if carry.is_in_place else carry.initial]
        for carry in carries
    }


def _copy(source: Array, target: Array) -> None:
    target.write_range(0, source.read_range(0, source.flat.size))


def _allocate(
    program: Program, step: Step, sizes: Mapping[str, int], memory: dict[str, Array]
) -> None:
    """Memory for what the step writes to the heap, unless it fits already."""
    for name in written_buffers(step):
        buffer = program.buffers[name]
        if buffer.role == "heap":
            shape = tuple(evaluate(size, sizes) for size in buffer.shape)
            if name not in memory or memory[name].flat.size != int(np.prod(shape)):
                memory[name] = fresh_array(name, np.empty(shape, buffer.dtype))


def _run_while(
    program: Program, step: While, number: int, sizes: dict[str, int], memory: dict[str, Array]
) -> None:
    after_test = number + 1 + sum(1 for _ in flat_steps(step.test))
    rows: dict[str, list[np.ndarray]] = {buffer: [] for _, buffer in step.tapes}
    states = _first_states(step.carries, memory)
    count = 0
    while True:
        memory.update(states)
        _run_steps(program, step.test, number + 1, sizes, memory)
        if not memory[step.holds].read_range(0, 1)[0]:
            break
        if count == step.most:
            raise Fault(number, step.most)
        for view, buffer in step.tapes:
            shape = tuple(evaluate(size, sizes) for size in program.buffers[view].shape)
            rows[buffer].append(np.empty(shape, program.buffers[view].dtype))
            memory[view] = fresh_array(view, rows[buffer][-1])
        for carry in step.carries:
            if not carry.is_in_place:
                memory[carry.following] = memory[carry.spare[count % 2]]
        _run_steps(program, step.body, after_test, sizes, memory)
        states = {carry.state: memory[carry.following] for carry in step.carries}
        for view, _ in step.tapes:
            memory[view].read_range(0, memory[view].flat.size)
        count += 1
    for carry in step.carries:
        if not carry.is_in_place:
            _copy(memory[carry.state], memory[carry.final])
    sizes[step.count] = count
    for view, buffer in step.tapes:
        shape = tuple(evaluate(size, sizes) for size in program.buffers[buffer].shape)
        whole = np.empty(shape, program.buffers[view].dtype)
        for position, row in enumerate(rows[buffer]):
            whole[position] = row
        memory[buffer] = read_only_array(buffer, whole)


def _run_branch(
    program: Program, step: Branch, number: int, sizes: dict[str, int], memory: dict[str, Array]
) -> None:
    chosen = int(memory[step.selector].read_range(0, 1)[0])
    chosen = min(max(chosen, 0), len(step.bodies) - 1)
    before = sum(1 for body in step.bodies[:chosen] for _ in flat_steps(body))
    _run_steps(program, step.bodies[chosen], number + 1 + before, sizes, memory)


def run_kernel(kernel: Kernel, arrays: Sequence[np.ndarray], sizes: Sequence[int] = ()) -> None:
    """Run one kernel on dense arrays; written ones count as empty at the start."""
    memory = [
        fresh_array(parameter.name, array)
        if parameter.written
        else read_only_array(parameter.name, array)
        for parameter, array in zip(kernel.parameters, arrays, strict=True)
    ]
    _KernelRun(kernel, memory, sizes).run()


class _View:
    """A kernel's own shape over an array."""

    def __init__(self, name: str, shape: tuple[int, ...], array: Array, writable: bool) -> None:
        self.name = name
        self.shape = shape
        self.array = array
        self.writable = writable
        if int(np.prod(shape, dtype=object)) != array.flat.size:
            raise VerificationError(f"{name}: {list(shape)} of {array.flat.size} elements")

    def position(self, index: Sequence[int]) -> int:
        """The row-major position of an element; every axis is checked on its own."""
        position = 0
        for item, size in zip(index, self.shape, strict=True):
            if not 0 <= item < size:
                raise VerificationError(
                    f"index {list(index)} is outside {self.name} of shape {list(self.shape)}"
                )
            position = position * size + item
        return position


class _KernelRun:
    def __init__(self, kernel: Kernel, memory: Sequence[Array], sizes: Sequence[int]) -> None:
        self.kernel = kernel
        self.symbols = dict(zip(kernel.sizes, sizes, strict=True))
        self.buffers: dict[str, _View] = {}
        for parameter, array in zip(kernel.parameters, memory, strict=True):
            shape = tuple(evaluate(size, self.symbols) for size in parameter.shape)
            self.buffers[parameter.name] = _View(parameter.name, shape, array, parameter.written)
            array.begin_step()
        self.locals: dict[str, Value] = {}
        self.cells: dict[str, Cell] = {}
        self.positions: dict[str, Cell] = {}
        self.iteration: Iteration = ()
        self.loops_run = 0

    def run(self) -> None:
        with np.errstate(all="ignore"):
            self.run_body(self.kernel.body)

    def run_body(self, body: Sequence[Statement]) -> None:
        """Names bound here are forgotten at the end."""
        outer = self.buffers, self.locals, self.cells, self.positions
        self.buffers, self.locals = dict(self.buffers), dict(self.locals)
        self.cells, self.positions = dict(self.cells), dict(self.positions)
        for statement in body:
            try:
                self.run_statement(statement)
            except VerificationError as error:
                blame(error, self.kernel, statement)
                raise
        self.buffers, self.locals, self.cells, self.positions = outer

    def run_statement(self, statement: Statement) -> None:
        match statement:
            case For():
                self.run_loop(statement)
            case If(condition, body):
                if self.value(condition):
                    self.run_body(body)
            case Let(name, value):
                self.check_new(name)
                self.locals[name] = self.value(value)
            case Accumulator(name, combine, dtype, position_name):
                self.check_new(name)
                self.cells[name] = Cell(combine, dtype)
                if position_name is not None:
                    self.check_new(position_name)
                    self.positions[position_name] = self.cells[name]
            case Accumulate(name, value, position):
                at = None if position is None else self.value(position)
                self.cells[name].take(self.value(value), at)
            case Store():
                self.run_store(statement)
            case Scratch(name, dtype, shape):
                sizes = tuple(evaluate(size, self.symbols) for size in shape)
                array = fresh_array(name, np.empty(sizes, dtype))
                self.buffers[name] = _View(name, sizes, array, writable=True)

    def check_new(self, name: str) -> None:
        if name in self.locals or name in self.cells or name in self.positions:
            raise VerificationError(f"{name} is assigned twice")

    def run_loop(self, loop: For) -> None:
        outer = self.iteration
        self.loops_run += 1
        number = self.loops_run
        for value in range(evaluate(loop.extent, self.symbols)):
            self.symbols[loop.axis] = value
            if loop.kind != "serial":
                self.iteration = (*outer, (number, value))
            self.run_body(loop.body)
        self.symbols.pop(loop.axis, None)
        self.iteration = outer

    def run_store(self, store: Store) -> None:
        view = self.buffers[store.buffer]
        if not view.writable:
            raise VerificationError(f"{view.name} is not written by this kernel")
        value = self.value(store.value)
        position = view.position([int(self.value(item)) for item in store.index])
        if store.accumulate:
            old = view.array.read(position, self.iteration)
            value = apply_quietly("add", (old, value), store.value.dtype)
        view.array.write(position, value, self.iteration)

    def value(self, expr: Expr) -> Value:
        return evaluate_expr(expr, self)

    # What an expression asks for.

    def local(self, name: str) -> Value:
        if name in self.locals:
            return self.locals[name]
        if name in self.cells:
            return self.cells[name].value
        if name in self.positions:
            return self.positions[name].position
        raise VerificationError(f"{name} has no value here")

    def load(self, buffer: str, index: tuple[int, ...]) -> Value:
        view = self.buffers[buffer]
        return view.array.read(view.position(index), self.iteration)


def _run_contraction(
    step: Contraction, sizes: Mapping[str, int], memory: Mapping[str, Array]
) -> None:
    m, n, k = (evaluate(size, sizes) for size in (step.m, step.n, step.k))
    rows = [evaluate(size, sizes) for size in step.distances]
    starts = [evaluate(size, sizes) for size in step.starts]
    for index in np.ndindex(*(evaluate(size, sizes) for size in step.batch)):
        out, a, b = (
            start + _offset(strides, index, sizes)
            for start, strides in zip(starts, step.strides, strict=True)
        )
        left = _matrix(memory[step.a], a, (k, m) if step.transpose_a else (m, k), rows[1])
        right = _matrix(memory[step.b], b, (n, k) if step.transpose_b else (k, n), rows[2])
        left = left.T if step.transpose_a else left
        right = right.T if step.transpose_b else right
        wide = float64 if is_floating(step.dtype) else step.dtype
        left, right = left.astype(wide), right.astype(wide)
        with np.errstate(all="ignore"):
            product = (left @ right).astype(step.dtype)
        for number, values in enumerate(product if n else ()):
            memory[step.out].write_range(out + number * rows[0], values)


def _matrix(array: Array, start: int, shape: tuple[int, int], row: int) -> np.ndarray:
    """A matrix whose rows are `row` elements apart."""
    rows, columns = shape
    if 0 in shape:
        return np.empty(shape, array.flat.dtype)
    if row == columns:
        return array.read_range(start, rows * columns).reshape(shape)
    return np.stack([array.read_range(start + row * number, columns) for number in range(rows)])


def _offset(strides: Sequence[Size], index: Sequence[int], sizes: Mapping[str, int]) -> int:
    return sum(evaluate(stride, sizes) * item for stride, item in zip(strides, index, strict=True))


def _run_check(
    step: IndexCheck, number: int, sizes: Mapping[str, int], memory: Mapping[str, Array]
) -> None:
    low, high = evaluate(step.minimum, sizes), evaluate(step.size, sizes)
    for value in memory[step.buffer].read_range(0, evaluate(step.count, sizes)):
        if not low <= int(value) < high:
            raise Fault(number, int(value))


def _run_host_call(step: HostCall, sizes: Mapping[str, int], memory: Mapping[str, Array]) -> None:
    inputs = [memory[name].read_range(0, memory[name].flat.size) for name, _ in step.inputs]
    outputs = [np.empty_like(memory[name].flat) for name, _ in step.outputs]
    BoundHostCall(step, sizes, [a.dtype for a in outputs]).run_flat(inputs, outputs)
    for (name, _), array in zip(step.outputs, outputs, strict=True):
        memory[name].write_range(0, array)


def _run_lapack(
    step: Lapack, number: int, sizes: Mapping[str, int], memory: Mapping[str, Array]
) -> None:
    """On copies of the inputs, so that outputs may lie over them."""
    routine = ROUTINES[step.routine]
    known = {name: evaluate(size, sizes) for name, size in step.sizes}
    batch = evaluate(step.batch, sizes)
    inputs = []
    for operand, name in zip(routine.inputs, step.inputs, strict=True):
        shape = (batch, *(known[size] for size in operand.shape))
        count = int(np.prod(shape, dtype=np.int64))
        inputs.append(memory[name].read_range(0, count).reshape(shape).copy())
    outputs = allocate(routine, step.dtype, known, routine.outputs, batch)
    code = run_routine(step.routine, step.dtype, inputs, outputs, batch, known, dict(step.options))
    if code != 0:
        raise Fault(number, code)
    for name, output in zip(step.outputs, outputs, strict=True):
        memory[name].write_range(0, output)
