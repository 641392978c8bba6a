"""The draft of a kernel: what is computed row by row, before loops are wrapped around it."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import field

from graphc.dtypes import DType, float64, is_floating
from graphc.ir.source import Sources
from graphc.loops.ir import Parameter, Statement
from graphc.loops.values import Key
from graphc.records import dataclass
from graphc.scalar.expr import Expr, Local, cast
from graphc.shapes import Shape, Size


@dataclass
class Phase:
    """One pass over the reduced axes."""

    statements: list[Statement] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Column:
    """A reduction over the rows, made row by row in an array: partial[columns] combine= value.

    The partial results of several chunks of rows are combined in `total`; short sums of long ones
    in float64.
    """

    partial: str
    total: str
    combine: str
    dtype: DType
    sources: Sources

    @property
    def total_dtype(self) -> DType:
        return float64 if self.combine == "add" and is_floating(self.dtype) else self.dtype

    @property
    def result(self) -> Expr:
        return cast(Local(self.total, self.total_dtype), self.dtype)


@dataclass
class Draft:
    """A kernel before its loops are wrapped around it.

    group_axes: the reduced axes of the domain. named: locals that carry a name of the user's.
    sizes: run-time values that only this call knows. arrays: scratch of a row, with its shape.
    columns: reductions over the rows; empty, taken, foot: what sets their arrays up, combines their
    elements, and stores the totals.
    """

    group_axes: tuple[int, ...]
    domain: Shape
    names: Sequence[str]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)  # parameter -> buffer
    body: list[Statement | Phase] = field(default_factory=list)
    arrays: dict[str, Shape] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    empty: list[Statement | Phase] = field(default_factory=list)
    taken: list[Statement | Phase] = field(default_factory=list)
    foot: list[Statement | Phase] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    sizes: dict[str, Size] = field(default_factory=dict)
    sources: Sources = ()

    @property
    def bodies(self) -> tuple[list[Statement | Phase], ...]:
        return self.body, self.empty, self.taken, self.foot

    @property
    def column_like(self) -> bool:
        """The last axis is a row axis: lanes run over rows, reductions run in serial loops."""
        return bool(self.domain) and len(self.domain) - 1 not in self.group_axes


def plain(body: Sequence[Statement | Phase]) -> list[Statement]:
    """A body that has no phases."""
    return [_as_statement(item) for item in body]


def _as_statement(item: Statement | Phase) -> Statement:
    assert not isinstance(item, Phase)
    return item


class Names:
    """Unique names: the wanted one, or with a number behind it."""

    def __init__(self, reserved: Container[str] = ()) -> None:
        self.reserved = reserved
        self.taken: set[str] = set()
        self.last: dict[str, int] = {}

    def fresh(self, wanted: str) -> str:
        name = wanted
        while name in self.taken or name in self.reserved:
            self.last[wanted] = self.last.get(wanted, 1) + 1
            name = f"{wanted}_{self.last[wanted]}"
        self.taken.add(name)
        return name

    def numbered(self, prefix: str) -> str:
        while True:
            name = f"{prefix}{self.last.get(prefix, 0)}"
            self.last[prefix] = self.last.get(prefix, 0) + 1
            if name not in self.taken and name not in self.reserved:
                self.taken.add(name)
                return name


@dataclass(frozen=True, slots=True)
class Naming:
    """buffers: of stored values. values: what the printed graph calls any value; of those, `given`
    are the user's. reserved: names that mean something in the whole program.
    """

    buffers: Mapping[Key, str]
    values: Mapping[Key, str]
    given: Container[Key]
    reserved: Container[str]
