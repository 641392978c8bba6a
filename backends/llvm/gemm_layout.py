"""What the routines of matrix products are called, and arithmetic to write them with."""

from collections.abc import Sequence
from typing import NamedTuple

from graphc.backends.llvm.gemm_tile import Tile, tile_for
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import DType, float32, float64, is_integer
from graphc.loops.ir import Contraction
from graphc.records import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """What one routine serves: the dtypes of operands, and which of them are transposed.

    Products and sums of halves are of float32, those of integers at least of int32. other: the
    dtype of b, where it is not that of a.

    vectors: whether m or n may be 1. divides: whether there may be work for several threads.
    long: whether sums may be long and elements few, so that k is cut (gemm_split.py). turned: the
    transpose is computed, for b of a few columns (gemm_turned.py). few: so many columns at the
    end, at most, are dot products (gemm_few.py). slim: whether half a vector may hold the last.
    """

    dtype: DType
    transpose_a: bool
    transpose_b: bool
    vectors: bool = False
    divides: bool = False
    long: bool = False
    turned: bool = False
    few: int = 0
    slim: bool = False
    other: DType | None = None

    @property
    def type(self) -> str:
        if is_integer(self.dtype):
            return f"i{8 * max(self.dtype.itemsize, 4)}"
        return "double" if self.dtype == float64 else "float"

    @property
    def narrow(self) -> DType | None:
        """The dtype of the operands, if that of the sums is another one."""
        return self.dtype if self.dtype.itemsize < 4 else None

    def tile(self, target: Target) -> Tile:
        return tile_for(target, self.type, self.narrow, self.other)

    @property
    def name(self) -> str:
        words = [f"gemm_{self.prefix}_{self.letters}"] + ["turned"] * self.turned
        words += ["or_vector"] * self.vectors + ["divides"] * self.divides + ["long"] * self.long
        words += [f"few{self.few}"] * (self.few > 0) + ["slim"] * self.slim
        return "_".join(words)

    @property
    def letters(self) -> str:
        return ("t" if self.transpose_a else "n") + ("t" if self.transpose_b else "n")

    @property
    def prefix(self) -> str:
        name = {float32: "f32", float64: "f64"}.get(self.dtype, self.dtype.name)
        return name if self.other is None else f"{name}_{self.other.name}"


def layout_of(
    step: Contraction, *, vectors: bool = False, divides: bool = False, long: bool = False
) -> Layout:
    """What a routine for the product serves."""
    _, a, b = step.dtypes
    other = None if a == b else b
    transposed = (step.transpose_a, step.transpose_b)
    return Layout(a, *transposed, vectors, divides, long, other=other)


class Names(NamedTuple):
    """What the routines of a product are called: equal ones of several layouts are emitted once."""

    layout: Layout

    @property
    def tile(self) -> str:
        return f"tile_{self.layout.prefix}"

    @property
    def low_tile(self) -> str:
        return f"{self.tile}_low"

    @property
    def half_tile(self) -> str:
        return f"{self.tile}_half"

    @property
    def narrow_tile(self) -> str:
        return f"{self.tile}_narrow"

    @property
    def slim_tile(self) -> str:
        return f"{self.tile}_slim"

    @property
    def pack_slim(self) -> str:
        return f"{self.pack_b}_slim"

    @property
    def widen(self) -> str:
        return f"widen_{self.layout.prefix}"

    @property
    def pack_a(self) -> str:
        return f"pack_rows_{self.layout.prefix}"

    @property
    def pack_b(self) -> str:
        across = "across" if self.layout.transpose_b else "along"
        return f"pack_columns_{across}_{self.layout.prefix}"

    @property
    def tiles(self) -> str:
        across = "across" if self.layout.transpose_b else "along"
        return f"tiles_{across}_{self.layout.prefix}"

    @property
    def rows(self) -> str:
        name = f"rows_{self.layout.prefix}_{self.layout.letters}"
        few = f"_few{self.layout.few}" if self.layout.few else ""
        return name + few + "_slim" * self.layout.slim

    @property
    def few(self) -> str:
        return f"few_{self.layout.prefix}"

    @property
    def pack_few(self) -> str:
        return f"pack_few_{self.layout.prefix}"


class Arithmetic:
    """i64 arithmetic in a function under construction."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def const(self, value: int) -> Val:
        return self.code.constant(value, "i64")

    def add(self, a: Val, b: Val) -> Val:
        return self.code.operation("add", a, b)

    def sub(self, a: Val, b: Val) -> Val:
        return self.code.operation("sub", a, b)

    def mul(self, a: Val, b: Val | int) -> Val:
        return self.code.operation("mul", a, self.const(b) if isinstance(b, int) else b)

    def extremum(self, op: str, a: Val, b: Val) -> Val:
        emit = self.code.builder.smin if op == "smin" else self.code.builder.smax
        return self.code.pure((op, a.text, b.text), (a, b), lambda: emit(a, b))

    def ceil_div(self, a: Val, b: Val | int) -> Val:
        """Of positive numbers."""
        divisor = self.const(b) if isinstance(b, int) else b
        above = self.add(a, self.sub(divisor, self.const(1)))
        return self.code.operation("udiv", above, divisor)

    def compare(self, predicate: str, a: Val, b: Val) -> Val:
        builder = self.code.builder
        key = (predicate, a.text, b.text)
        return self.code.pure(key, (a, b), lambda: builder.icmp(predicate, a, b))

    def choose(self, condition: Val, a: Val, b: Val) -> Val:
        builder = self.code.builder
        key = ("choose", condition.text, a.text, b.text)
        return self.code.pure(key, (condition, a, b), lambda: builder.select(condition, a, b))

    def at(self, pointer: Val, offset: Val) -> Val:
        return self.code.gep("i8", pointer, offset)

    def call(self, name: str, arguments: Sequence[Val]) -> None:
        passed = ", ".join(f"{one.type} {one.text}" for one in arguments)
        self.code.builder.line(f"call void @{name}({passed})")

    def function(
        self, name: str, parameters: Sequence[Val], target: Target, *, plain: bool = True
    ) -> FunctionText:
        declared = ", ".join(f"{one.type} {one.text}" for one in parameters)
        return self.code.builder.function(
            f"define internal void @{name}({declared}) {target.function_attributes}", plain=plain
        )
