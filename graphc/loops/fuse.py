"""Which values are computed together: the partition of a graph into groups (see groups.py).

Softmax, layer norm and logsumexp are one group each, an elementwise chain joins the reduction that
follows it, and independent reductions over one input share a pass.

Groups are numbered in the order they run. A value joins a group only if all it depends on lies in
groups of at most that number, which keeps the order valid without any search for cycles: the work
is linear in the nodes. Views, generators and cheap arithmetic belong to no group; each reader
computes them on the fly.
"""

from graphc.dtypes import is_half
from graphc.ir.graph import Graph
from graphc.ir.lowering import (
    Branches,
    ColumnFourier,
    Contraction,
    Cumulative,
    DepthwiseProduct,
    Elementwise,
    FilterTransform,
    HostCall,
    IndexMap,
    Lapack,
    Leaf,
    MinimalFiltering,
    Pieces,
    Reduction,
    Reinterpret,
    Scan,
    Scatter,
    ScatterAdd,
    Search,
    Sort,
    While,
    WindowProduct,
)
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.accumulators import POSITIONAL
from graphc.loops.groups import Barrier, Group, Member, Partition, Role
from graphc.loops.inlining import COST, Inlining
from graphc.loops.stored import Needs, choose_memory
from graphc.loops.values import Key, Lowerings, Reading, Tracer, core
from graphc.loops.views import operands_in_memory, unread_values
from graphc.records import dataclass
from graphc.shapes import Shape, size_product

MAX_MEMBERS = 128  # keeps single kernels, and so LLVM's superlinear passes, small
MAX_WORK = 640  # additions for an element, for the same end; one exponential is 20
MAX_COLUMNS = 1 << 14  # sums that one pass over a row may add to
FEW_STEPS = 8  # that a group may be moved behind
OPEN_GROUPS = 4  # how many groups are tried for values that share only an input

BARRIERS = (
    Contraction,
    Pieces,
    ScatterAdd,
    Scatter,
    Cumulative,
    Sort,
    Search,
    HostCall,
    Lapack,
    Scan,
    While,
    Branches,
    WindowProduct,
    MinimalFiltering,
    FilterTransform,
    DepthwiseProduct,
    ColumnFourier,
)

Axes = tuple[int, ...] | None


@dataclass(slots=True)
class Candidate:
    """A value looking for a group: its domain, the reduced axes of it, what it reads."""

    tensor: Tensor
    domain: Shape
    axes: Axes
    readings: list[Reading]
    linear: bool


def is_full(work: int, members: int) -> bool:
    """Whether a kernel of so many values takes no more."""
    return members >= MAX_MEMBERS or work >= MAX_WORK


def partition_graph(
    graph: Graph, names: tuple[str, ...], needs: Needs, cost: int = COST
) -> Partition:
    return _Fuser(graph, names, needs, cost).run()


class _Fuser:
    """Builds the partition in one walk over the nodes."""

    def __init__(self, graph: Graph, names: tuple[str, ...], needs: Needs, cost: int) -> None:
        self.graph = graph
        self.needs = needs
        self.not_inlined = needs.results | needs.indices | needs.operands
        self.partition = Partition(names, Lowerings())
        self.tracer = Tracer(self.partition.lowerings, self.partition.is_boundary)
        self.steps: list[Group | Barrier | None] = []  # None: merged into an earlier group
        self.by_input: dict[tuple[Key, Shape], list[Group]] = {}
        self.closed: set[int] = set()  # numbers of groups that nothing joins
        self.inlining = Inlining(graph, self.partition, self.is_grouped, cost)

    def run(self) -> Partition:
        unread = unread_values(self.graph, self.needs.views)
        unread.update(*(one.through for one in self.needs.destinations.values()))
        for node in self.graph.nodes:
            lower = node.op.lower
            if isinstance(lower, Leaf | Reinterpret) or id(node) in unread:
                continue
            if isinstance(lower, Elementwise | IndexMap):
                if Tensor(node).key in self.not_inlined or not self.inlining.admits(node):
                    self.join(Tensor(node), None)
            elif isinstance(lower, Reduction):
                self.join(Tensor(node), node.attrs["axes"])
            elif isinstance(lower, BARRIERS):
                self.add_barrier(node)
            else:
                raise AssertionError(f"{node.op.name} was not expanded before lowering")
        self.partition.steps += [step for step in self.steps if step is not None]
        choose_memory(self.partition, self.needs)
        return self.partition

    def is_grouped(self, tensor: Tensor) -> bool:
        place = self.partition.place_of(tensor)
        return place >= 0 and isinstance(self.steps[place], Group)

    # --- grouping ----------------------------------------------------------------------------

    def join(self, tensor: Tensor, axes: Axes) -> None:
        """Put a value into the first open group that takes it, or into one of its own.

        axes: those that it reduces, None for an elementwise value.
        """
        source = tensor if axes is None else tensor.node.inputs[0]
        domain = core(source.shape)
        if axes is not None:
            kept = [a for a, size in enumerate(source.shape) if size != 1]
            axes = tuple(kept.index(a) for a in axes if a in kept)
        alone = Group(len(self.steps), domain, self.partition.names, axes)
        role: Role = "full" if axes is None else "reduction"
        linear = axes is None and self.inlining.is_linear(tensor.node)
        value = Candidate(tensor, domain, axes, self.readings(tensor, role, alone), linear)
        turned = id(tensor.node) in self.inlining.turned
        for group in () if turned else self.open_groups(value):
            if self.wants_rows(group, value):
                group.turn()
            member = self.as_member(group, value)
            if member is not None:
                group = self.merge_earlier(group, value)
                self.add(group, member)
                if member.role == "reduction":
                    group.axes = axes
                return
        if turned:
            self.closed.add(alone.number)
        self.steps.append(alone)
        self.add(alone, Member(tensor, role, value.readings, linear))

    def readings(self, tensor: Tensor, role: Role, group: Group) -> list[Reading]:
        """What computing the value reads as a member of the group."""
        if role == "reduction":
            source = tensor.node.inputs[0]
            return self.tracer.readings(
                source, group.domain, group.index, group.extents, expand=False
            )
        shape, index = group.own_index(tensor, role)
        return self.tracer.readings(tensor, shape, index, group.extents, expand=True)

    def open_groups(self, value: Candidate) -> list[Group]:
        """The latest group that the value reads, then groups that read the same memory."""
        lowest = max((self.partition.place_of(r.tensor) for r in value.readings), default=-1)
        found: dict[int, Group] = {}
        if lowest >= 0:
            step = self.steps[lowest]
            if isinstance(step, Group):
                found[lowest] = step
        for reading in value.readings:
            sharing = self.by_input.get((reading.tensor.key, value.domain), ())
            for group in sharing[-OPEN_GROUPS:]:
                if group.number >= lowest and self.steps[group.number] is group:
                    found.setdefault(group.number, group)
        return [
            group
            for group in found.values()
            if not is_full(group.work, len(group.members)) and group.number not in self.closed
        ]

    def as_member(self, group: Group, value: Candidate) -> Member | None:
        """The value as a member of the group, or None if it does not fit."""
        tensor, axes = value.tensor, value.axes
        role: Role = "full" if axes is None else "reduction"
        readings, linear = value.readings, value.linear
        if self.reads_index(group, readings):
            return None
        if value.domain == group.domain:
            if axes is not None and group.axes is not None and group.axes != axes:
                if axes != group.row_axes or not has_columns(group, tensor):
                    return None
                role = "column"
        elif axes is None and (found := self.beside_points(group, value)) is not None:
            return found
        elif not self.reads(group, value) or not same_count(value.domain, group.domain):
            return None
        elif linear:
            readings = self.readings(tensor, role, group)
        elif group.is_linear:
            return self.as_member_of_view(group, value)
        else:
            return None
        if all(group.may_read(reading, role) for reading in readings):
            return Member(tensor, role, readings, linear)
        return None

    def beside_points(self, group: Group, value: Candidate) -> Member | None:
        """The value as one at every row, or at every column."""
        if value.domain == group.rows:
            readings = self.readings(value.tensor, "row", group)
            if all(group.may_read(reading, "row") for reading in readings):
                return Member(value.tensor, "row", readings)
        if value.domain == group.columns and self.reads(group, value):
            readings = self.readings(value.tensor, "foot", group)
            if all(group.may_read(reading, "foot") for reading in readings):
                return Member(value.tensor, "foot", readings)
        return None

    def wants_rows(self, group: Group, value: Candidate) -> bool:
        """Whether the value reduces the rows of a group that so far reduces its columns alone."""
        if value.axes is None or group.axes is None or value.domain != group.domain:
            return False
        if value.axes != group.row_axes:
            return False
        beside = {member.tensor.key for member in group.members if member.role != "full"}
        return all(
            member.role == "row"
            or (
                not any(reading.tensor.key in beside for reading in member.readings)
                and (member.role == "full" or has_columns(group, member.tensor))
            )
            for member in group.members
        )

    def as_member_of_view(self, group: Group, value: Candidate) -> Member | None:
        """Give the group the value's domain, if the value then fits."""
        role: Role = "full" if value.axes is None else "reduction"
        view = Group(group.number, value.domain, group.names, roles=group.roles)
        if not all(view.may_read(reading, role) for reading in value.readings):
            return None
        group.view_under(value.domain)
        for member in group.members:
            member.readings = self.readings(member.tensor, member.role, group)
            self.remember_inputs(group, member)
        return Member(value.tensor, role, value.readings)

    def reads(self, group: Group, value: Candidate) -> bool:
        return any(reading.tensor.key in group.roles for reading in value.readings)

    def reads_index(self, group: Group, readings: list[Reading]) -> bool:
        """Whether a checked index is computed in the group that would read it."""
        return any(
            r.tensor.key in self.needs.indices and r.tensor.key in group.roles for r in readings
        )

    def add(self, group: Group, member: Member) -> None:
        group.add(member)
        node = member.tensor.node
        if isinstance(node.op.lower, Elementwise | IndexMap):
            group.work += self.partition.lowerings.cost(node, self.partition.names)
        self.partition.place[member.tensor.key] = group.number
        self.remember_inputs(group, member)

    def remember_inputs(self, group: Group, member: Member) -> None:
        """File the group under what it reads from memory, for values that read the same."""
        for reading in member.readings:
            if self.partition.place_of(reading.tensor) != group.number:
                groups = self.by_input.setdefault((reading.tensor.key, group.domain), [])
                if not groups or groups[-1] is not group:
                    groups.append(group)

    def merge_earlier(self, later: Group, value: Candidate) -> Group:
        """Move the group into earlier ones that the value reads as well, as far as they fit.

        So the sum of w joins the pass over exp(x), which does not read w, when exp(x)*sum(w) is
        met.
        """
        while True:
            places = {self.partition.place_of(reading.tensor) for reading in value.readings}
            number = max(places - {later.number}, default=-1)
            earlier = self.steps[number] if number >= 0 else None
            if not isinstance(earlier, Group):
                return later
            if not self.can_merge(earlier, later, value):
                if not self.can_wait(earlier, later, value):
                    return later
                self.merge_later(earlier, later)
                continue
            earlier.axes = later.axes if earlier.axes is None else earlier.axes
            for member in later.members:
                self.add(earlier, member)
            self.steps[later.number] = None
            later = earlier

    def can_wait(self, earlier: Group, later: Group, value: Candidate) -> bool:
        """Whether an elementwise group may run where a later one does, which holds its members
        then: none of the few steps between reads any of them."""
        if earlier.axes is not None or earlier.number > later.number:
            return False
        between = self.steps[earlier.number + 1 : later.number]
        return (
            len(between) <= FEW_STEPS
            and not any(
                reading.tensor.key in earlier.roles
                for step in between
                if step is not None
                for reading in step.all_readings()
            )
            and self.can_merge(earlier, later, value, later.number)
        )

    def merge_later(self, earlier: Group, later: Group) -> None:
        own, later.members, later.work = later.members, [], 0
        for member in (*earlier.members, *own):
            self.add(later, member)
        self.steps[earlier.number] = None

    def can_merge(
        self, earlier: Group, later: Group, value: Candidate, running: int | None = None
    ) -> bool:
        """Whether one group holds the members of both, and the value too. running: its number, if
        not that of the earlier one."""
        first = earlier.number if running is None else running
        axes = {group.axes for group in (earlier, later, value) if group.axes is not None}
        if earlier.domain != later.domain or len(axes) > 1:
            return False
        if self.closed & {earlier.number, later.number}:
            return False
        if is_full(earlier.work + later.work, len(earlier.members) + len(later.members)):
            return False
        union = Group(
            earlier.number,
            earlier.domain,
            earlier.names,
            next(iter(axes), None),
            roles=earlier.roles | later.roles,
        )
        for member in later.members:
            if self.reads_index(earlier, member.readings):
                return False
            for reading in member.readings:
                place = self.partition.place_of(reading.tensor)
                if first < place != later.number or not union.may_read(reading, member.role):
                    return False
        if value.domain not in (union.domain, union.rows):
            return False
        return self.as_member(union, value) is not None

    # --- structured steps --------------------------------------------------------------------

    def add_barrier(self, node: Node) -> None:
        """A step of its own, behind all groups so far."""
        if isinstance(node.op.lower, Pieces):
            readings = [self.piece_readings(tensor) for tensor in node.inputs]
        else:
            readings = [
                [Reading(tensor, tensor.shape, ())]
                for tensor in operands_in_memory(node, self.needs.views)
            ]
        barrier = Barrier(len(self.steps), node, readings)
        self.steps.append(barrier)
        for position in range(len(node.types)):
            self.partition.place[Tensor(node, position).key] = barrier.number
        destination = self.needs.destinations.get(id(node))
        if destination is not None and destination.moved is not None:
            self.partition.place[destination.moved.key] = barrier.number

    def piece_readings(self, tensor: Tensor) -> list[Reading]:
        alone = Group(len(self.steps), core(tensor.shape), self.partition.names)
        return self.tracer.readings(tensor, alone.domain, alone.index, alone.extents, expand=False)


def has_columns(group: Group, tensor: Tensor) -> bool:
    """Whether a reduction over the first axes of the domain may be made row by row, as columns."""
    lower, domain = tensor.node.op.lower, group.domain
    assert isinstance(lower, Reduction)
    kept = [a for a, size in enumerate(tensor.node.inputs[0].shape) if size != 1]
    axes = tuple(kept.index(a) for a in tensor.node.attrs["axes"] if a in kept)
    if not axes or axes != tuple(range(len(axes))) or len(axes) == len(domain):
        return False
    if lower.combine in POSITIONAL or is_half(tensor.dtype):
        return False
    count = size_product(domain[len(axes) :])
    return not isinstance(count, int) or count <= MAX_COLUMNS


def same_count(shape: Shape, other: Shape) -> bool:
    return size_product(shape) == size_product(other)
