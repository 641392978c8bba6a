"""Fused groups and the partition of a graph into steps.

A group has a domain and, once a reduction joined, reduced axes; the rows are what is left of the
domain without them. Domains carry no axes of size 1: shapes that differ in those alone are one.
Its members are

    full       a value at every point of the domain
    reduction  over the reduced axes of a value at every point
    row        a value at every row
    column     a reduction over all other axes, those of the rows, where these come first
    foot       a value at every column, computed of columns

and they read each other only at the same point, row or column; what is not a foot reads neither
columns nor feet, and a foot reads nothing else of its group. A value of another shape but as many
elements is a full member if its op runs along all its operands in step: it is computed under the
row-major view of the domain.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import field
from typing import Literal

from graphc.ir.graph import Graph
from graphc.ir.lowering import Leaf
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.values import (
    IndexTuple,
    Key,
    Lowerings,
    Reading,
    axis_index,
    core,
    index_between,
)
from graphc.records import dataclass
from graphc.shapes import Dim, Shape, Size

Role = Literal["full", "reduction", "row", "column", "foot"]

TURNED: dict[Role, Role] = {"reduction": "column", "row": "foot"}

AXIS_LETTERS = "ijklmnpqrstuvw"


@dataclass(slots=True)
class Member:
    """linear: elementwise, and runs along all its operands in step."""

    tensor: Tensor
    role: Role
    readings: list[Reading]
    linear: bool = False


@dataclass(slots=True)
class Group:
    """Values that one kernel computes. names: of the axes of the domain (and of more). work: of
    all members for one element, in additions."""

    number: int
    domain: Shape
    names: Sequence[str]
    axes: tuple[int, ...] | None = None
    members: list[Member] = field(default_factory=list)
    roles: dict[Key, Role] = field(default_factory=dict)
    work: int = 0
    index: IndexTuple = field(init=False)
    extents: dict[str, Size] = field(init=False)

    def __post_init__(self) -> None:
        self.view_under(self.domain)

    def view_under(self, domain: Shape) -> None:
        """Run through the same points under another shape."""
        self.domain = domain
        self.index = tuple(axis_index(name) for name in self.names[: len(domain)])
        self.extents = dict(zip(self.names, domain, strict=False))

    @property
    def rows(self) -> Shape | None:
        if self.axes is None:
            return None
        return tuple(size for a, size in enumerate(self.domain) if a not in self.axes)

    @property
    def row_index(self) -> IndexTuple:
        return tuple(item for a, item in enumerate(self.index) if a not in (self.axes or ()))

    @property
    def columns(self) -> Shape:
        return tuple(self.domain[a] for a in self.axes or ())

    @property
    def row_axes(self) -> tuple[int, ...]:
        return tuple(a for a in range(len(self.domain)) if a not in (self.axes or ()))

    def turn(self) -> None:
        """Make rows of what were the reduced axes: reductions become columns."""
        self.axes = self.row_axes
        for member in self.members:
            member.role = self.roles[member.tensor.key] = TURNED.get(member.role, member.role)

    @property
    def is_linear(self) -> bool:
        return all(member.linear for member in self.members)

    def own_index(self, tensor: Tensor, role: Role) -> tuple[Shape, IndexTuple]:
        """Shape and index, in normal form, under which a member is computed."""
        shape, index = self.domain, self.index
        if role in ("column", "foot"):
            shape = self.columns
            index = tuple(self.index[a] for a in self.axes or ())
        elif role != "full":
            shape, index = self.rows or (), self.row_index
        if core(tensor.shape) == shape:
            return tensor.shape, index_between(index, shape, tensor.shape)
        return shape, index

    def may_read(self, reading: Reading, role: Role) -> bool:
        """Whether a reader of `role` meets a member of this group only at its own point or row."""
        held = self.roles.get(reading.tensor.key)
        if held is None:
            return True
        if (held in ("column", "foot")) != (role == "foot"):
            return False
        if held == "full" and role == "row":
            return False
        return (reading.shape, reading.index) == self.own_index(reading.tensor, held)

    def all_readings(self) -> Iterator[Reading]:
        return (reading for member in self.members for reading in member.readings)

    def add(self, member: Member) -> None:
        self.members.append(member)
        self.roles[member.tensor.key] = member.role


@dataclass(slots=True)
class Barrier:
    """A step of its own: contraction, concatenation, scatter, running values, sort,
    host call, loop.

    readings: per input, the boundary elements that are read. pieces: of a concatenation, the
    inputs that are still to be put in place.
    """

    number: int
    node: Node
    readings: list[list[Reading]]
    pieces: list[int] = field(default_factory=list)

    def all_readings(self) -> Iterator[Reading]:
        return itertools.chain.from_iterable(self.readings)


@dataclass(frozen=True, slots=True)
class Placement:
    """A value that is computed right into its place in a concatenation. places: axes along which it
    begins at an offset, of all concatenations around it, the outermost first."""

    output: Tensor
    piece: Shape
    places: tuple[tuple[int, Size], ...]


@dataclass(slots=True)
class Partition:
    """steps in running order; `place` gives the number of the step that computes a value.

    stored: values that need memory. placements: those of them that lie inside a concatenation, and
    concatenations that lie inside of others.
    """

    names: tuple[str, ...]
    lowerings: Lowerings
    steps: list[Group | Barrier] = field(default_factory=list)
    place: dict[Key, int] = field(default_factory=dict)
    stored: set[Key] = field(default_factory=set)
    placements: dict[Key, Placement] = field(default_factory=dict)

    def is_boundary(self, tensor: Tensor) -> bool:
        return tensor.key in self.place or isinstance(tensor.node.op.lower, Leaf)

    def place_of(self, tensor: Tensor) -> int:
        return self.place.get(tensor.key, -1)

    def whole_of(self, pieces: Tensor) -> tuple[Tensor, tuple[tuple[int, Size], ...]]:
        """The concatenation that one lies in, or is, and where."""
        placement = self.placements.get(pieces.key)
        return (pieces, ()) if placement is None else (placement.output, placement.places)


def choose_axis_names(graph: Graph, taken: Collection[str]) -> tuple[str, ...]:
    """i, j, k, ... without the names that are taken: two more than the highest rank."""
    rank = 1
    symbols: set[str] = set()
    for node in graph.nodes:
        for declared in node.types:
            rank = max(rank, declared.ndim)
            for size in declared.shape:
                if isinstance(size, Dim):
                    symbols |= size.symbols()
    letters = itertools.chain(AXIS_LETTERS, (f"i{number}" for number in itertools.count()))
    free = (name for name in letters if name not in taken and name not in symbols)
    return tuple(itertools.islice(free, rank + 2))
