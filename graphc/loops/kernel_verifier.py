"""Checks that a kernel obeys the grammar of loops.ir; says which statement does not."""

from collections.abc import Iterable, Sequence

from graphc.dtypes import DType, bool_, int64, is_bool, is_integer
from graphc.errors import VerificationError
from graphc.loops.accumulators import COMBINES, POSITIONAL
from graphc.loops.blame import blame, require
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    If,
    Kernel,
    Let,
    Scratch,
    Statement,
    Store,
)
from graphc.loops.tidy import accumulators_fed
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local, dim_symbols
from graphc.scalar.printer import format_expr
from graphc.scalar.types import type_error
from graphc.shapes import Shape, Size, symbols_of

LOOP_KINDS = ("parallel", "serial", "vector")


def verify_kernel(kernel: Kernel) -> None:
    """VerificationError, with the printed statement, if the kernel breaks a rule."""
    checker = _KernelChecker(kernel)
    checker.check_head()
    checker.check_body(kernel.body)
    checker.check_written()


class _KernelChecker:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.symbols = set(kernel.sizes)
        self.buffers = {item.name: (item.dtype, item.shape) for item in kernel.parameters}
        self.writable = {item.name for item in kernel.parameters if item.written}
        self.stored: set[str] = set()
        self.locals: dict[str, DType] = {}
        self.accumulators: dict[str, tuple[Accumulator, int]] = {}  # and loops around it
        self.fed: set[str] = set()  # accumulators that a loop around the statement feeds
        self.loops: list[For] = []

    def check_head(self) -> None:
        kernel = self.kernel
        for kind, names in (
            ("parameter", [item.name for item in kernel.parameters]),
            ("size", list(kernel.sizes)),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            require(not twice, f"{kernel.name}: {kind} {', '.join(twice)} is declared twice")
        for parameter in kernel.parameters:
            self.check_sizes(parameter.shape, f"{kernel.name}: the shape of {parameter.name}")

    def check_written(self) -> None:
        missing = sorted(
            item.name
            for item in self.kernel.parameters
            if item.written and item.name not in self.stored
        )
        require(not missing, f"{self.kernel.name}: nothing is stored in {', '.join(missing)}")

    # Statements

    def check_body(self, body: Sequence[Statement]) -> None:
        """Names declared in a body end with it."""
        outer = dict(self.locals), dict(self.buffers), dict(self.accumulators), set(self.writable)
        for statement in body:
            try:
                self.check_statement(statement)
            except VerificationError as error:
                blame(error, self.kernel, statement)
                raise
        self.locals, self.buffers, self.accumulators, self.writable = outer

    def check_statement(self, statement: Statement) -> None:
        match statement:
            case For():
                self.check_loop(statement)
            case If(condition, body):
                self.check_expr(condition, bool_, "the condition")
                self.check_body(body)
            case Let(name, value):
                self.declare_local(name, self.check_expr(value))
            case Accumulator():
                self.check_accumulator(statement)
            case Accumulate():
                self.check_accumulate(statement)
            case Store():
                self.check_store(statement)
            case Scratch(name, dtype, shape):
                require(name not in self.buffers, f"{name} is declared twice")
                self.check_sizes(shape, f"the shape of {name}")
                self.buffers[name] = (dtype, shape)
                self.writable.add(name)

    def check_loop(self, loop: For) -> None:
        require(loop.kind in LOOP_KINDS, f"{loop.kind!r} is no kind of loop")
        require(loop.axis not in self.symbols, f"{loop.axis} already names an axis or size")
        self.check_sizes((loop.extent,), "the extent")
        for outer in self.loops:
            if outer.kind != "vector":
                continue
            require(loop.kind == "serial", f"a {loop.kind} loop inside a vector loop")
            require(
                outer.axis not in symbols_of(loop.extent),
                f"the extent depends on {outer.axis}, the axis of a vector loop",
            )
        before = self.fed
        self.fed = before | (accumulators_fed(loop.body) & self.accumulators.keys())
        self.symbols.add(loop.axis)
        self.loops.append(loop)
        self.check_body(loop.body)
        self.loops.pop()
        self.symbols.remove(loop.axis)
        self.fed = before

    def declare_local(self, name: str, dtype: DType) -> None:
        require(name not in self.locals, f"{name} is assigned twice")
        self.locals[name] = dtype

    def check_accumulator(self, statement: Accumulator) -> None:
        combine, dtype = statement.combine, statement.dtype
        require(combine in COMBINES, f"{combine!r} does not combine")
        logical = combine in ("and", "or")
        require(not logical or is_bool(dtype), f"{combine} does not combine {dtype}")
        arithmetic = combine in ("add", "mul")
        require(not (arithmetic and is_bool(dtype)), f"{combine} does not combine {dtype}")
        positional = combine in POSITIONAL
        require(
            positional == (statement.position_name is not None),
            f"{combine} {'needs a' if positional else 'has no'} position",
        )
        self.declare_local(statement.name, dtype)
        self.accumulators[statement.name] = (statement, len(self.loops))
        if statement.position_name is not None:
            self.declare_local(statement.position_name, int64)
            self.accumulators[statement.position_name] = (statement, len(self.loops))

    def check_accumulate(self, statement: Accumulate) -> None:
        name = statement.name
        require(name in self.accumulators, f"{name} is not an accumulator in scope")
        accumulator, depth = self.accumulators[name]
        require(accumulator.name == name, f"{name} is a position, not an accumulator")
        for loop in self.loops[depth:]:
            require(loop.kind != "parallel", f"the parallel loop over {loop.axis} feeds {name}")
        self.check_expr(statement.value, accumulator.dtype, "the value")
        positional = accumulator.position_name is not None
        require(
            positional == (statement.position is not None),
            f"{accumulator.combine} {'needs a' if positional else 'takes no'} position",
        )
        if statement.position is not None:
            self.check_expr(statement.position, int64, "the position")

    def check_store(self, statement: Store) -> None:
        name = statement.buffer
        require(name in self.buffers, f"{name} is not a buffer in scope")
        require(name in self.writable, f"{name} is not written by this kernel")
        dtype, _ = self.buffers[name]
        self.check_index(name, statement.index)
        self.check_expr(statement.value, dtype, "the value")
        self.stored.add(name)
        if not statement.accumulate:
            return
        used = frozenset[str]().union(*map(dim_symbols, statement.index))
        for loop in self.loops:
            require(
                loop.kind == "serial" or loop.axis in used,
                f"iterations of the {loop.kind} loop over {loop.axis} may add to one element",
            )

    # Expressions

    def check_expr(self, expr: Expr, expected: DType | None = None, what: str = "") -> DType:
        """The dtype, after a check of everything inside."""
        # Messages are made where something is wrong: there are many expressions, with long texts.
        match expr:
            case Const(value, dtype):
                kind = bool if is_bool(dtype) else int if is_integer(dtype) else float
                if type(value) is not kind:
                    raise VerificationError(f"{value!r} is not the value of a {dtype} constant")
            case Index(size):
                if not symbols_of(size) <= self.symbols:
                    self.check_sizes((size,), format_expr(expr))
            case Local(name, dtype):
                self.check_local(name, dtype)
            case Load(buffer, index, dtype):
                require(buffer in self.buffers, f"{buffer} is not a buffer in scope")
                held = self.buffers[buffer][0]
                if held != dtype:
                    raise VerificationError(f"{buffer} holds {held}, not {dtype}")
                self.check_index(buffer, index)
            case Call(op, args, dtype):
                operands = tuple(self.check_expr(arg) for arg in args)
                problem = type_error(op, operands, dtype)
                if problem is not None:
                    call = f"{op}({', '.join(map(format_expr, args))})"
                    raise VerificationError(f"{problem} in {call}")
            case _:
                raise VerificationError(f"a kernel cannot hold {format_expr(expr)}")
        if expected is not None and expr.dtype != expected:
            raise VerificationError(f"{what} is {expr.dtype}, expected {expected}")
        return expr.dtype

    def check_local(self, name: str, dtype: DType) -> None:
        require(name in self.locals, f"{name} has no value here")
        held = self.locals[name]
        if held != dtype:
            raise VerificationError(f"{name} is {held}, not {dtype}")
        if name in self.accumulators:
            owner = self.accumulators[name][0].name
            require(owner not in self.fed, f"{name} is read inside a loop that feeds it")

    def check_index(self, buffer: str, index: Sequence[Expr]) -> None:
        rank = len(self.buffers[buffer][1])
        require(len(index) == rank, f"{buffer} has {rank} axes, got {len(index)} indices")
        for item in index:
            self.check_expr(item, int64, "an index")

    def check_sizes(self, sizes: Shape | Iterable[Size], what: str) -> None:
        for size in sizes:
            unknown = symbols_of(size) - self.symbols
            require(not unknown, f"{what} uses {', '.join(sorted(unknown))}, not in scope")
