"""Kernel -> Python source that a person can read and Numba compiles.

    def softmax(x, y, n, m):
        # y = softmax(x)                                                train.py:12,13
        # x: f32[n, m], y: f32[n, m] written
        row = np.empty((m,), np.float32)
        for i in range(n):
            top = np.float32(-np.inf)
            for j in range(m):
                top = maximum(top, x[i, j])                             # train.py:12

Every operation has exactly the dtype of the expression: Numba would make int64 of narrower
integers and float64 of most mixtures, so constants are typed and narrow results are wrapped.
"""

import math
from collections.abc import Iterator, Sequence

from graphc.backends.numba_cpu.names import Identifiers
from graphc.dtypes import (
    DType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int64,
    is_bool,
    is_floating,
    is_half,
    is_integer,
    is_signed,
    uint64,
)
from graphc.ir.source import Sources
from graphc.loops.accumulators import POSITIONAL, identity, working_dtype
from graphc.loops.epilogues import feeds_outside
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
from graphc.loops.printer import format_parameters, format_sources, one_line
from graphc.scalar.evaluate import literal_value
from graphc.scalar.expr import FLOAT_FUNCTIONS, Const, Expr, Index
from graphc.scalar.foreign import Foreign
from graphc.scalar.printer import (
    ATOM,
    BIT_AND,
    BIT_OR,
    COMPARE,
    SIGN,
    SUM,
    Dialect,
    Piece,
    constant_text,
    infix,
)
from graphc.shapes import Shape, Size, symbols_of

COMMENT_COLUMN = 72
_NATURAL = (int64, uint64, float32, float64)  # arithmetic that Numba leaves in its dtype
_FUNCTIONS = {"round": "rint", "pow": "power"}
# Functions that round; with _bits and _value appended, those to and from memory.
_ROUNDING = {float16: "half", bfloat16: "bfloat"}
_EXACT_ON_HALVES = frozenset(
    ("neg", "abs", "maximum", "minimum", "floor", "ceil", "trunc", "round", "copysign")
)


def register_dtype(dtype: DType) -> DType:
    """What a value is held as: float16 and bfloat16 are computed in float32."""
    return float32 if is_half(dtype) else dtype


class PythonDialect(Dialect):
    """Scalar expressions as Numba reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.half_arrays: dict[str, str] = {}  # the functions of buffers that hold bits

    def size(self, size: Size) -> Piece:
        if isinstance(size, int):
            size = int(literal_value(size, int64))
        return super().size(size)

    def constant(self, value: bool | int | float, dtype: DType) -> Piece:
        if is_bool(dtype):
            return str(bool(value)), ATOM
        if is_floating(dtype):
            held = register_dtype(dtype)
            text = constant_text(value, held)
            if not math.isfinite(value):
                text = text.replace("inf", "np.inf").replace("nan", "np.nan")
            if held == float32:
                return f"np.float32({text})", ATOM
        else:
            text = str(int(literal_value(value, dtype)))
            if dtype != int64:
                return f"np.{dtype.name}({text})", ATOM
        return text, (SIGN if text.startswith("-") else ATOM)

    def load(self, buffer: str, index: Sequence[Expr], dtype: DType) -> Piece:
        text = f"{self.buffer(buffer)}[{self.indices(index) or '0'}]"
        return (
            f"{self.half_arrays[buffer]}_value({text})" if buffer in self.half_arrays else text
        ), ATOM

    def call(self, op: str, args: Sequence[Expr], dtype: DType) -> Piece:
        if isinstance(op, Foreign):
            convert = "" if is_bool(dtype) else f"np.{dtype.name}"
            return f"{convert}(__{op}({self.indices(args)}))", ATOM
        match op, args:
            case "select", _:
                return f"select({self.indices(args)})", ATOM
            case "cast", (x,):
                return self.cast(x, dtype)
            case "bits", (x,):
                name = _ROUNDING[x.dtype] if is_half(x.dtype) else x.dtype.name
                return f"{name}_bits({self.text(x)})", ATOM
            case "from_bits", (x,):
                name = _ROUNDING[dtype] if is_half(dtype) else dtype.name
                return f"{name}_value({self.text(x)})", ATOM
        piece = self.operation(op, args, dtype)
        if is_half(dtype) and op not in _EXACT_ON_HALVES:
            return f"{_ROUNDING[dtype]}({piece[0]})", ATOM
        return piece

    def operation(self, op: str, args: Sequence[Expr], dtype: DType) -> Piece:
        operand = args[0].dtype
        if is_integer(operand):
            special = self.integer_operation(op, args, operand)
            if special is not None:
                return special
        match op, args:
            case "neg", (x,):
                return self.wrapped(f"-{self.text(x, SIGN)}", SIGN, dtype)
            case "abs", (x,):
                return self.wrapped(f"abs({self.text(x)})", ATOM, dtype)
            case "not", (x,) if is_bool(dtype):
                return f"not ({self.text(x)})", COMPARE - 1
            case "not", (x,):
                return self.wrapped(f"~{self.text(x, SIGN)}", SIGN, dtype)
            case "floordiv" | "mod", (x, y):
                name = "floor_divide_float" if op == "floordiv" else "remainder_float"
                return f"{name}({self.indices(args)})", ATOM
            case "and", (x, y) if is_bool(operand):
                return self.binary("&", BIT_AND, x, y)
            case "or", (x, y) if is_bool(operand):
                return self.binary("|", BIT_OR, x, y)
            case "xor", (x, y) if is_bool(operand):
                return self.binary("!=", COMPARE, x, y)
            case _, (x, y) if (symbol := infix(op, operand)) is not None:
                text, precedence = self.binary(*symbol, x, y)
                return self.wrapped(text, precedence, dtype)
        texts = [self.text(arg) for arg in args]
        if is_half(operand) and op in FLOAT_FUNCTIONS and op != "copysign":
            texts = [f"np.float64({text})" for text in texts]  # rounded once, by half()
        return f"{_FUNCTIONS.get(op, op)}({', '.join(texts)})", ATOM

    def integer_operation(self, op: str, args: Sequence[Expr], dtype: DType) -> Piece | None:
        """Where Python or Numba would trap, widen or change the sign."""
        signed, operands = is_signed(dtype), self.indices(args)
        unsigned = "" if signed else "_unsigned"
        match op:
            case "floordiv":
                return f"floor_divide{unsigned}({operands})", ATOM
            case "mod":
                return f"remainder{unsigned}({operands})", ATOM
            case "shl" | "shr" if not self.is_amount(args[1], 8 * dtype.itemsize):
                name = "shift_left" if op == "shl" else "shift_right"
                return f"{name}({operands}, {8 * dtype.itemsize})", ATOM
            case "pow":
                return f"integer_power({operands})", ATOM
            case "abs" if not signed:
                return self.piece(args[0])
            case "neg" if not signed:
                text = f"np.{dtype.name}(0) - {self.text(args[0], SUM + 1)}"
                return self.wrapped(text, SUM, dtype)
        return None

    def is_amount(self, amount: Expr, width: int) -> bool:
        """Whether a shift by a literal amount keeps some bits, as Python's own operator does."""
        match amount:
            case Const(value, _) | Index(int() as value):
                return 0 <= value < width
            case _:
                return False

    def wrapped(self, text: str, precedence: int, dtype: DType) -> Piece:
        """The result in the dtype of the expression, where Numba would widen it."""
        if is_integer(dtype) and dtype not in _NATURAL:
            return f"np.{dtype.name}({text})", ATOM
        return text, precedence

    def cast(self, x: Expr, dtype: DType) -> Piece:
        if is_bool(dtype):
            return f"{self.text(x, COMPARE + 1)} != 0", COMPARE
        if is_half(dtype):
            return f"{_ROUNDING[dtype]}({self.text(x)})", ATOM
        if register_dtype(x.dtype) == dtype:
            return self.piece(x)
        if is_integer(dtype) and is_floating(x.dtype):
            return f"to_{dtype.name}({self.text(x)})", ATOM
        return f"np.{dtype.name}({self.text(x)})", ATOM


def can_split(loop: For) -> bool:
    """Whether the iterations of an outermost loop are independent of each other."""
    if loop.kind == "parallel":
        return True
    return loop.kind == "vector" and not feeds_outside(loop.body)


def kernel_source(kernel: Kernel, name: str, *, split: bool) -> str:
    """The Python function of a kernel: its parameters, then its sizes, by position.

    name: a safe identifier. split: outermost loops with independent iterations become prange.
    """
    return _KernelSource(kernel, split).text(name)


class _KernelSource:
    def __init__(self, kernel: Kernel, split: bool) -> None:
        self.kernel = kernel
        self.split = split
        self.identifiers = Identifiers()
        self.dialect = PythonDialect()
        self.accumulators: dict[str, Accumulator] = {}
        self.held: dict[str, str] = {}  # the identifiers of accumulators and positions
        self.axes: dict[str, str] = {}
        self.scratch: list[str] = []  # rows that allocate, before the loops

    def text(self, name: str) -> str:
        arguments = []
        for parameter in self.kernel.parameters:
            arguments.append(self.buffer(parameter.name))
            if is_half(parameter.dtype):
                self.dialect.half_arrays[parameter.name] = _ROUNDING[parameter.dtype]
        for size in self.kernel.sizes:
            arguments.append(self.identifiers.fresh(size))
            self.dialect.rename_symbol(size, arguments[-1])
        body = list(self.body(self.kernel.body, 1))
        title = one_line(self.kernel.comment)
        rows = [f"def {name}({', '.join(arguments)}):"]
        rows.append(_row(f"    # {title}".rstrip(), self.kernel.sources, mark="  "))
        rows.append(f"    # {one_line(format_parameters(self.kernel))}")
        return (
            "\n".join([*(row for row in rows if row.strip() != "#"), *self.scratch, *body]) + "\n"
        )

    def buffer(self, name: str) -> str:
        self.dialect.buffers[name] = self.identifiers.fresh(name)
        return self.dialect.buffers[name]

    def local(self, name: str) -> str:
        """Every definition has an identifier of its own, so that it has one type."""
        self.dialect.locals[name] = self.identifiers.fresh(name)
        return self.dialect.locals[name]

    def body(self, body: Sequence[Statement], depth: int) -> Iterator[str]:
        indent = "    " * depth
        if not body:
            yield f"{indent}pass"
        for statement in body:
            match statement:
                case For():
                    yield from self.loop(statement, depth)
                case If(condition, inner):
                    yield f"{indent}if {self.dialect.text(condition)}:"
                    yield from self.body(inner, depth + 1)
                case Scratch():
                    row = self.allocation(statement)
                    if self.can_hoist(statement):
                        self.scratch.append(f"    {row}")
                    else:
                        yield indent + row
                case _:
                    for row in self.simple(statement):
                        yield _row(indent + row, statement.sources)

    def loop(self, loop: For, depth: int) -> Iterator[str]:
        indent = "    " * depth
        if loop.axis not in self.axes:
            self.axes[loop.axis] = self.identifiers.fresh(loop.axis)
        extent = self.dialect.size(loop.extent)[0]
        axis = self.axes[loop.axis]
        self.dialect.rename_symbol(loop.axis, axis)
        if self.split and depth == 1 and can_split(loop):
            number = self.identifiers.fresh(f"{axis}_")
            yield f"{indent}for {number} in prange({extent}):"
            yield f"{indent}    {axis} = np.int64({number})"  # prange counts in uint64
        else:
            yield f"{indent}for {axis} in range({extent}):"
        yield from self.body(loop.body, depth + 1)

    def can_hoist(self, scratch: Scratch) -> bool:
        """One array for all iterations, where they run one after the other."""
        return not self.split and all(
            symbols_of(size) <= set(self.kernel.sizes) for size in scratch.shape
        )

    def allocation(self, scratch: Scratch) -> str:
        held = register_dtype(scratch.dtype)
        kind = "bool_" if held == bool_ else held.name
        return f"{self.buffer(scratch.name)} = np.empty({self.shape(scratch.shape)}, np.{kind})"

    def shape(self, shape: Shape) -> str:
        return shape_text([self.dialect.size(size)[0] for size in shape])

    def simple(self, statement: Let | Accumulator | Accumulate | Store) -> Iterator[str]:
        match statement:
            case Let(name, value):
                text = self.dialect.text(value)
                yield f"{self.local(name)} = {text}"
            case Accumulator():
                yield from self.accumulator(statement)
            case Accumulate():
                yield from self.accumulate(statement)
            case Store():
                yield self.store(statement)

    def accumulator(self, statement: Accumulator) -> Iterator[str]:
        name, dtype = statement.name, statement.dtype
        working = working_dtype(statement.combine, dtype)
        start = self.dialect.constant(identity(statement.combine, dtype), working)[0]
        self.accumulators[name] = statement
        held = self.held[name] = self.local(name)
        yield f"{held} = {start}"
        if working != register_dtype(dtype):
            rounded = _ROUNDING.get(dtype, f"np.{dtype.name}")
            self.dialect.locals[name] = f"{rounded}({held})"
        if statement.position_name is not None:
            position = self.held[statement.position_name] = self.local(statement.position_name)
            self.dialect.locals[statement.position_name] = f"max({position}, 0)"
            yield f"{position} = -1"

    def accumulate(self, statement: Accumulate) -> Iterator[str]:
        accumulator = self.accumulators[statement.name]
        combine, dtype = accumulator.combine, accumulator.dtype
        held = self.held[statement.name]
        value = self.dialect.text(statement.value)
        if combine in POSITIONAL:
            assert statement.position is not None and accumulator.position_name is not None
            best = self.held[accumulator.position_name]
            candidate = self.identifiers.fresh("value")
            position = self.dialect.text(statement.position)
            yield f"{candidate} = {value}"
            yield f"if wins_{combine}({candidate}, {position}, {held}, {best}):"
            yield f"    {held} = {candidate}"
            yield f"    {best} = {position}"
        elif combine in ("add", "mul"):
            sign = "+" if combine == "add" else "*"
            if is_integer(dtype) and dtype not in _NATURAL:
                yield f"{held} = np.{dtype.name}({held} {sign} ({value}))"
            else:
                yield f"{held} {sign}= {value}"
        elif combine in ("and", "or"):
            yield f"{held} {'&' if combine == 'and' else '|'}= {value}"
        else:
            yield f"{held} = {combine}({held}, {value})"

    def store(self, statement: Store) -> str:
        dialect, dtype = self.dialect, statement.value.dtype
        target = f"{dialect.buffer(statement.buffer)}[{dialect.indices(statement.index) or '0'}]"
        value = dialect.text(statement.value)
        if statement.accumulate:
            if dtype in _NATURAL:
                return f"{target} += {value}"
            old = dialect.load(statement.buffer, statement.index, dtype)[0]
            value = f"{old} + {dialect.text(statement.value, SUM + 1)}"
            if is_half(dtype):
                value = f"{_ROUNDING[dtype]}({value})"
            else:
                value = dialect.wrapped(value, SUM, dtype)[0]
        if statement.buffer in dialect.half_arrays:
            value = f"{dialect.half_arrays[statement.buffer]}_bits({value})"
        return f"{target} = {value}"


def shape_text(sizes: Sequence[str]) -> str:
    """A tuple; scalars are arrays of one element, because prange takes no 0-d arrays."""
    if not sizes:
        return "(1,)"
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def _row(text: str, sources: Sources, mark: str = "  # ") -> str:
    origin = one_line(format_sources(sources))
    return f"{text:<{COMMENT_COLUMN}}{mark}{origin}" if origin else text
