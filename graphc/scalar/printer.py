"""Scalar expressions as infix text: one precedence printer, several dialects.

    x[i, j]*0.5 if i < n else 0.0

`Dialect` writes for people. A code generator subclasses it and says how its language writes
constants, casts, loads and operations; what binds how tightly is decided here alone.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from graphc.dims import Dim, Size
from graphc.dtypes import DType, bfloat16, is_bool, is_floating, short_name
from graphc.polynomials import FloorDiv
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local, Read

# How tightly text binds; an operand that binds less tightly than its place gets parentheses.
CONDITIONAL, OR, AND, NOT, COMPARE, BIT_OR, BIT_XOR, BIT_AND, SHIFT, SUM, PRODUCT, SIGN, ATOM = (
    range(13)
)

_INFIX = {
    "add": ("+", SUM),
    "sub": ("-", SUM),
    "mul": ("*", PRODUCT),
    "div": ("/", PRODUCT),
    "floordiv": ("//", PRODUCT),
    "mod": ("%", PRODUCT),
    "eq": ("==", COMPARE),
    "ne": ("!=", COMPARE),
    "lt": ("<", COMPARE),
    "le": ("<=", COMPARE),
    "or": ("|", BIT_OR),
    "xor": ("^", BIT_XOR),
    "and": ("&", BIT_AND),
    "shl": ("<<", SHIFT),
    "shr": (">>", SHIFT),
}
_LOGIC = {"or": ("or", OR), "and": ("and", AND)}
_TIGHT = ("*", "/", "//", "%")  # written without spaces

Piece = tuple[str, int]  # text, and how tightly it binds


def infix(op: str, dtype: DType) -> tuple[str, int] | None:
    """The symbol of a binary operation on operands of `dtype` and its precedence, or None."""
    if is_bool(dtype) and op in _LOGIC:
        return _LOGIC[op]
    return _INFIX.get(op)


def parenthesized(piece: Piece, least: int) -> str:
    """The text, in parentheses where it binds less tightly than `least`."""
    return piece[0] if piece[1] >= least else f"({piece[0]})"


@lru_cache(maxsize=4096)  # the sizes of a program are few, and many kernels name axes alike
def size_piece(size: Size, renamed: tuple[tuple[str, str], ...] = ()) -> Piece:
    """A size under other names for its symbols: pairs of old and new."""
    if isinstance(size, Dim) and renamed:
        size = size.substitute({old: Dim.symbol(new) for old, new in renamed})
    if isinstance(size, int):
        return str(size), (ATOM if size >= 0 else SIGN)
    text = str(size)
    if len(size.terms) > 1:
        return text, SUM
    monomial, factor = size.terms[0]
    atom = monomial.only_atom()
    if factor == 1 and atom is not None and not isinstance(atom, FloorDiv):
        return text, ATOM
    return text, (PRODUCT if not text.startswith("-") else SUM)


class Dialect:
    """Text for people. Each kind of name has its own renaming; absent names stay.

    Symbols are axes and sizes, buffers parameters and scratch, locals lets and accumulators.
    """

    exact = False

    def __init__(self) -> None:
        self.buffers: dict[str, str] = {}
        self.locals: dict[str, str] = {}
        self._symbols: dict[str, str] = {}
        self._pieces: dict[Size, Piece] = {}  # of sizes under the present names

    def rename_symbol(self, old: str, new: str) -> None:
        """`new` stands for the axis or size `old` from here on."""
        if self._symbols.get(old) != new:
            self._symbols[old] = new
            self._pieces.clear()

    def buffer(self, name: str) -> str:
        return self.buffers.get(name, name)

    def local(self, name: str) -> str:
        return self.locals.get(name, name)

    def symbol(self, name: str) -> str:
        return self._symbols.get(name, name)

    def size(self, size: Size) -> Piece:
        found = self._pieces.get(size)
        if found is None:
            names = sorted(size.symbols()) if isinstance(size, Dim) else ()
            renamed = tuple(
                [(name, self._symbols[name]) for name in names if name in self._symbols]
            )
            found = self._pieces[size] = size_piece(size, renamed)
        return found

    def text(self, expr: Expr, least: int = CONDITIONAL) -> str:
        """The expression, ready to stand where at least the precedence `least` is needed."""
        return parenthesized(self.piece(expr), least)

    def piece(self, expr: Expr) -> Piece:
        match expr:
            case Const(value, dtype):
                return self.constant(value, dtype)
            case Index(size):
                return self.size(size)
            case Local(name, _):
                return self.local(name), ATOM
            case Load(buffer, index, dtype):
                return self.load(buffer, index, dtype)
            case Read(number, index, _):
                return f"in{number}[{self.indices(index)}]", ATOM
            case Call(op, args, dtype):
                return self.call(op, args, dtype)

    def indices(self, index: Sequence[Expr]) -> str:
        return ", ".join(self.text(item) for item in index)

    def load(self, buffer: str, index: Sequence[Expr], dtype: DType) -> Piece:
        return f"{self.buffer(buffer)}[{self.indices(index)}]", ATOM

    def constant(self, value: bool | int | float, dtype: DType) -> Piece:
        text = constant_text(value, dtype)
        if self.exact and not is_bool(dtype):
            return f"{short_name(dtype)}({text})", ATOM
        return text, (SIGN if text.startswith("-") else ATOM)

    def call(self, op: str, args: Sequence[Expr], dtype: DType) -> Piece:
        match op, args:
            case "select", (condition, x, y):
                return self.select(condition, x, y)
            case "cast", (x,):
                return f"{short_name(dtype)}({self.text(x)})", ATOM
            case "neg", (x,):
                return f"-{self.text(x, SIGN)}", SIGN
            case "not", (x,):
                if is_bool(dtype):
                    return f"not {self.text(x, NOT)}", NOT
                return f"~{self.text(x, SIGN)}", SIGN
            case _, (x, y) if (symbol := infix(op, x.dtype)) is not None:
                return self.binary(*symbol, x, y)
        return f"{op}({self.indices(args)})", ATOM

    def binary(self, symbol: str, precedence: int, left: Expr, right: Expr) -> Piece:
        # Every level but comparisons groups to the left; comparisons chain in Python: never bare.
        first = self.text(left, precedence + (precedence == COMPARE))
        second = self.text(right, precedence + 1)
        space = "" if symbol in _TIGHT else " "
        return f"{first}{space}{symbol}{space}{second}", precedence

    def select(self, condition: Expr, x: Expr, y: Expr) -> Piece:
        text = f"{self.text(x, OR)} if {self.text(condition, OR)} else {self.text(y)}"
        return text, CONDITIONAL


def number_text(value: np.generic) -> str:
    """A scalar as numpy prints it. bfloat16 gets the point that its type leaves out of `2.0`."""
    text = str(value)
    return f"{text}.0" if value.dtype == bfloat16 and text.lstrip("-").isdigit() else text


def constant_text(value: bool | int | float, dtype: DType) -> str:
    """The shortest text that reads back as the same value of `dtype`; -0.0, inf and nan too."""
    if is_bool(dtype):
        return str(bool(value))
    if not is_floating(dtype):
        return str(int(value))
    text = number_text(dtype.type(value))
    if np.isfinite(value) and dtype.type(float(text)) != dtype.type(value):
        text = repr(float(value))
    return text


def format_expr(expr: Expr) -> str:
    """The expression for people."""
    return Dialect().text(expr)
