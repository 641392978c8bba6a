"""Which values are computed together: the partition of a graph into fused groups.

A group has a domain (a shape) and, once a reduction joined, reduced axes A; the rows are what is
left of the domain without A. Its members are

    full       a value of the domain's shape, computed at every point
    reduction  over the axes A of a value of the domain's shape
    row        a value of the rows' shape (with or without the reduced axes kept as 1)

and they may read each other only at the same point or row. So softmax, layer norm and logsumexp
are one group each, an elementwise chain joins the reduction that follows it, and independent
reductions over one input share a pass.

Groups are numbered in the order they run. A value joins a group only if all it depends on lies in
groups of at most that number, which keeps the order valid without any search for cycles: the work
is linear in the nodes. Views, generators and cheap arithmetic belong to no group; each reader
computes them on the fly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from graphc.ir.graph import Graph
from graphc.ir.lowering import (
    Contraction,
    Cumulative,
    Elementwise,
    IndexMap,
    Leaf,
    Pieces,
    Reduction,
    Reinterpret,
    Scan,
    Scatter,
    ScatterAdd,
    Search,
    Sort,
)
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.values import (
    IndexTuple,
    Reading,
    context_of,
    inputs_in_memory,
    is_scalar_constant,
    root_of,
    trace,
)
from graphc.scalar.expr import Index, cost
from graphc.shapes import Dim, Shape, Size

Role = Literal["full", "reduction", "row"]

INLINE_COST = 4  # additions' worth of work that is rather repeated than stored
INLINE_READS = 3  # distinct values in memory that an inlined value may read
INLINE_DEPTH = 12
MAX_MEMBERS = 128  # keeps single kernels, and so LLVM's superlinear passes, small
OPEN_GROUPS = 4  # how many groups are tried for values that share only an input

AXIS_LETTERS = "ijklmnpqrstuvw"

BARRIERS = (Contraction, Pieces, ScatterAdd, Scatter, Cumulative, Sort, Search, Scan)


@dataclass
class Member:
    tensor: Tensor
    role: Role
    readings: list[Reading]


@dataclass
class Group:
    """Values that one kernel computes."""

    number: int
    domain: Shape
    axes: tuple[int, ...] | None = None
    members: list[Member] = field(default_factory=list)
    roles: dict[tuple[int, int], Role] = field(default_factory=dict)

    def row_index(self, shape: Shape, names: Sequence[str]) -> IndexTuple | None:
        """The index of a row value of `shape`, or None if the shape is not that of the rows."""
        if self.axes is None:
            return None
        full = domain_index(self.domain, names)
        kept = tuple(1 if a in self.axes else size for a, size in enumerate(self.domain))
        if shape == kept:
            return tuple(Index(0) if a in self.axes else item for a, item in enumerate(full))
        if shape == tuple(size for a, size in enumerate(self.domain) if a not in self.axes):
            return tuple(item for a, item in enumerate(full) if a not in self.axes)
        return None


@dataclass
class Barrier:
    """A step of its own: contraction, concatenation, scatter, running values, sort, loop."""

    number: int
    node: Node


@dataclass
class Partition:
    """steps in running order; `place` gives the number of the step that computes a value."""

    steps: list[Group | Barrier]
    place: dict[tuple[int, int], int]
    stored: set[tuple[int, int]]
    axis_names: tuple[str, ...]

    def is_boundary(self, tensor: Tensor) -> bool:
        return tensor.key in self.place or isinstance(tensor.node.op.lower, Leaf)


def domain_index(shape: Shape, names: Sequence[str]) -> IndexTuple:
    """One axis symbol per axis; axes of size 1 are always at 0."""
    return tuple(
        Index(0) if size == 1 else Index(Dim.symbol(name))
        for size, name in zip(shape, names, strict=False)
    )


def axis_extents(shape: Shape, names: Sequence[str]) -> dict[str, Size]:
    return {name: size for size, name in zip(shape, names, strict=False) if size != 1}


def choose_axis_names(graph: Graph, size_names: Sequence[str]) -> tuple[str, ...]:
    """i, j, k, ... without the names of symbolic sizes, and more if the rank asks for it."""
    taken: set[str] = set(size_names)
    rank = 1
    for node in graph.nodes:
        for declared in node.types:
            rank = max(rank, declared.ndim)
            for size in declared.shape:
                if isinstance(size, Dim):
                    taken |= size.symbols()
    names = [letter for letter in AXIS_LETTERS if letter not in taken]
    names += [f"i{number}" for number in range(rank + 1) if f"i{number}" not in taken]
    return tuple(names)


class Fuser:
    """Builds the partition in one walk over the nodes."""

    def __init__(
        self, graph: Graph, required: set[tuple[int, int]], size_names: Sequence[str]
    ) -> None:
        self.graph = graph
        self.required = required
        self.names = choose_axis_names(graph, size_names)
        self.partition = Partition([], {}, set(), self.names)
        self.inline_cost: dict[int, tuple[int, int, frozenset[int]]] = {}
        self.by_input: dict[tuple[tuple[int, int], Shape], list[Group]] = {}
        self.indices = self.checked_indices()

    def checked_indices(self) -> set[tuple[int, int]]:
        """Values that are checked between the step that computes them and all that read them."""
        return {
            root_of(node.inputs[check.input]).key
            for node in self.graph.nodes
            if node.op.index_checks is not None
            for check in node.op.index_checks(context_of(node))
        }

    def run(self) -> Partition:
        for node in self.graph.nodes:
            lower = node.op.lower
            if isinstance(lower, Leaf | Reinterpret):
                continue
            if isinstance(lower, Elementwise | IndexMap):
                if not self.stays_inline(node):
                    self.join(Tensor(node), None)
            elif isinstance(lower, Reduction):
                self.join(Tensor(node), node.attrs["axes"])
            elif isinstance(lower, BARRIERS):
                self.add_barrier(node)
            else:
                raise AssertionError(f"{node.op.name} was not expanded before lowering")
        self.partition.stored |= self.required
        return self.partition

    # --- inlining ----------------------------------------------------------------------------

    def stays_inline(self, node: Node) -> bool:
        """Whether readers rather compute the node on the fly; remembers what that costs."""
        work, depth, reads = self.own_cost(node), 1, frozenset[int]()
        for tensor in node.inputs:
            root = root_of(tensor)
            if root.key in self.partition.place or isinstance(root.node.op.lower, Leaf):
                if not is_scalar_constant(root):
                    reads |= {id(root.node)}
                continue
            inner = self.inline_cost[id(root.node)]
            work, depth, reads = work + inner[0], max(depth, inner[1] + 1), reads | inner[2]
        cheap = work <= INLINE_COST and depth <= INLINE_DEPTH and len(reads) <= INLINE_READS
        if cheap and Tensor(node).key not in self.required:
            self.inline_cost[id(node)] = (work, depth, reads)
            return True
        return False

    def own_cost(self, node: Node) -> int:
        lower = node.op.lower
        context = context_of(node)
        index = domain_index(node.types[0].shape, self.names)
        if isinstance(lower, Elementwise):
            reads = [context.read_broadcast(n, index) for n in range(len(node.inputs))]
            return cost(lower.expr(context, *reads))
        assert isinstance(lower, IndexMap)
        return cost(lower.expr(context, index)) // 2  # index arithmetic is mostly hoisted

    # --- grouping ----------------------------------------------------------------------------

    def readings_of(
        self, tensor: Tensor, index: IndexTuple, extents: dict[str, Size]
    ) -> list[Reading]:
        node = tensor.node
        if isinstance(node.op.lower, Reduction):
            return trace(
                [(node.inputs[0], index)], self.partition.is_boundary, extents, expand=False
            )
        return trace([(tensor, index)], self.partition.is_boundary, extents, expand=True)

    def join(self, tensor: Tensor, axes: tuple[int, ...] | None) -> None:
        node = tensor.node
        domain = node.inputs[0].shape if axes is not None else tensor.shape
        index = domain_index(domain, self.names)
        readings = self.readings_of(tensor, index, axis_extents(domain, self.names))
        lowest = max((self.place_of(r.tensor) for r in readings), default=-1)
        for group in self.candidates(readings, domain, lowest):
            member = self.as_member(group, tensor, axes, domain, readings)
            if member is not None:
                if axes is not None:
                    group.axes = axes
                self.add(group, member)
                return
        group = Group(len(self.partition.steps), domain, axes)
        self.partition.steps.append(group)
        self.add(group, Member(tensor, "full" if axes is None else "reduction", readings))

    def candidates(self, readings: list[Reading], domain: Shape, lowest: int) -> list[Group]:
        """Groups of the values read, then groups of the domain that read the same memory."""
        found: dict[int, Group] = {}
        if lowest >= 0:
            step = self.partition.steps[lowest]
            if isinstance(step, Group):
                found[lowest] = step
        for reading in readings:
            for group in self.by_input.get((reading.tensor.key, domain), ())[-OPEN_GROUPS:]:
                if group.number >= lowest:
                    found.setdefault(group.number, group)
        return [group for group in found.values() if len(group.members) < MAX_MEMBERS]

    def as_member(
        self,
        group: Group,
        tensor: Tensor,
        axes: tuple[int, ...] | None,
        domain: Shape,
        readings: list[Reading],
    ) -> Member | None:
        """The tensor as a member of the group, or None if it does not fit."""
        role: Role = "full" if axes is None else "reduction"
        if any(r.tensor.key in self.indices and r.tensor.key in group.roles for r in readings):
            return None
        if domain != group.domain:
            if axes is not None:
                return None
            row = group.row_index(tensor.shape, self.names)
            if row is None:
                return None
            role = "row"
            readings = self.readings_of(tensor, row, axis_extents(group.domain, self.names))
        elif axes is not None and group.axes is not None and group.axes != axes:
            return None
        if all(self.same_point(group, reading, role) for reading in readings):
            return Member(tensor, role, readings)
        return None

    def same_point(self, group: Group, reading: Reading, role: Role) -> bool:
        """Whether a read of a value of this very group is at the reader's own point or row."""
        held = group.roles.get(reading.tensor.key)
        if held is None:
            return True
        if reading.shape != reading.tensor.shape:
            return False
        if held == "full":
            return role != "row" and reading.index == domain_index(group.domain, self.names)
        return reading.index == group.row_index(reading.tensor.shape, self.names)

    def add(self, group: Group, member: Member) -> None:
        group.members.append(member)
        group.roles[member.tensor.key] = member.role
        self.partition.place[member.tensor.key] = group.number
        for reading in member.readings:
            key = reading.tensor.key
            if self.partition.place.get(key, -1) != group.number:
                self.store(reading.tensor)
                groups = self.by_input.setdefault((key, group.domain), [])
                if not groups or groups[-1] is not group:
                    groups.append(group)

    def add_barrier(self, node: Node) -> None:
        barrier = Barrier(len(self.partition.steps), node)
        self.partition.steps.append(barrier)
        if isinstance(node.op.lower, Pieces):
            for tensor in node.inputs:
                index = domain_index(tensor.shape, self.names)
                extents = axis_extents(tensor.shape, self.names)
                for reading in trace(
                    [(tensor, index)], self.partition.is_boundary, extents, expand=False
                ):
                    self.store(reading.tensor)
        else:
            for tensor in inputs_in_memory(node):
                self.store(tensor)
        for position in range(len(node.types)):
            tensor = Tensor(node, position)
            self.partition.place[tensor.key] = barrier.number
            self.partition.stored.add(tensor.key)

    def place_of(self, tensor: Tensor) -> int:
        return self.partition.place.get(tensor.key, -1)

    def store(self, tensor: Tensor) -> None:
        if tensor.key in self.partition.place:
            self.partition.stored.add(tensor.key)
