"""A fused group becomes the draft of a kernel: the statements of each of its phases.

The group's rows are the outer loops; within a row the members are computed in phases (phases.py).
"""

from graphc.dtypes import bool_
from graphc.ir.lowering import Reduction
from graphc.ir.source import Sources, merge_sources
from graphc.ir.tensor import Tensor
from graphc.loops.accumulators import identity
from graphc.loops.draft import Column, Draft, Names, Naming, Phase
from graphc.loops.groups import Group, Member, Partition, Placement
from graphc.loops.ir import Accumulate, Accumulator, Let, Parameter, Scratch, Statement, Store
from graphc.loops.phases import Phases
from graphc.loops.values import IndexTuple, Key, Place, Resolver, axis_index, index_between
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local, add, cast
from graphc.shapes import Shape, Size

NEIGHBOURS = 4  # pieces along the last axis, with one element each, that one kernel puts there


def sources_of(group: Group) -> Sources:
    """The user's lines that a group computes."""
    return merge_sources(*(member.tensor.sources for member in group.members))


class KernelBuilder:
    """Writes the statements of one group.

    `repeated.Outline` describes all of a group that is looked at here and in `phases`: what is
    added here is added there.
    """

    def __init__(self, group: Group, partition: Partition, naming: Naming) -> None:
        self.group = group
        self.partition = partition
        self.naming = naming
        self.draft = Draft(group.axes or (), group.domain, group.names)
        self.names = Names(naming.reserved)
        self.parameter_of: dict[tuple[str, Shape], str] = {}
        self.scratch: dict[Key, str] = {}
        self.row_values: dict[Place, Expr] = {}
        self.point_values: dict[Place, Expr] = {}
        self.statements: list[Statement] | list[Statement | Phase] = self.draft.body
        self.in_phase = False
        self.sources: Sources = ()
        self.index = group.index
        self.resolver = Resolver(
            partition.lowerings,
            group.extents,
            partition.is_boundary,
            self.known,
            self.read,
            self.bind,
        )
        self.phases = Phases(group, partition)
        self.accumulators: dict[tuple[str, Key], Expr] = {}  # by operation and operand
        self.accumulator_of: dict[Key, str] = {}
        self.column_of: dict[Key, Column] = {}

    # --- resolver callbacks --------------------------------------------------------------------

    def known(self, place: Place) -> Expr | None:
        if self.in_phase and place in self.point_values:
            return self.point_values[place]
        return self.row_values.get(place)

    def bind(self, tensor: Tensor | None, place: Place | None, value: Expr) -> Expr:
        name = self.names.numbered("p") if tensor is None else self.local_name(tensor)
        sources = (tensor.sources if tensor is not None else ()) or self.sources
        self.statements.append(Let(name, value, sources))
        local = Local(name, value.dtype)
        if place is not None:
            self.remember(place, local)
        return local

    def local_name(self, tensor: Tensor) -> str:
        if tensor.key in self.naming.buffers:
            return self.names.fresh(f"v_{self.naming.buffers[tensor.key]}")
        wanted = self.naming.values.get(tensor.key)
        if wanted is None:
            return self.names.numbered("v")
        name = self.names.fresh(wanted)
        if tensor.key in self.naming.given:
            self.draft.named.add(name)
        return name

    def remember(self, place: Place, value: Expr) -> None:
        values = self.point_values if self.in_phase else self.row_values
        values[place] = value

    def read(self, tensor: Tensor, shape: Shape, index: IndexTuple) -> Expr:
        if tensor.key in self.scratch:
            picked = tuple(self.index[a] for a in self.draft.group_axes)
            load = Load(self.scratch[tensor.key], picked, tensor.dtype)
        else:
            load = Load(self.parameter(tensor, shape), index, tensor.dtype)
        name = self.names.numbered("v")
        self.statements.append(Let(name, load, self.sources))
        local = Local(name, tensor.dtype)
        self.remember((tensor.key, shape, index), local)
        return local

    def parameter(self, tensor: Tensor, shape: Shape, written: bool = False) -> str:
        buffer = self.naming.buffers[tensor.key]
        name = self.parameter_of.get((buffer, shape))
        if name is None:
            name = self.names.fresh(f"{buffer}_view") if buffer in self.names.taken else buffer
            self.names.taken.add(name)
            self.parameter_of[(buffer, shape)] = name
            self.draft.arguments[name] = buffer
            self.draft.parameters[name] = Parameter(name, tensor.dtype, shape, written)
        elif written:
            self.draft.parameters[name] = Parameter(name, tensor.dtype, shape, True)
        return name

    # --- the whole kernel --------------------------------------------------------------------

    def build(self) -> Draft:
        self.declare_scratch()
        for level in range(self.phases.count):
            self.write_row_level(level)
            self.write_phase(level)
        self.write_foot()
        self.draft.sources = sources_of(self.group)
        return self.draft

    def declare_scratch(self) -> None:
        """Rows for the values that later phases read again."""
        if self.draft.column_like or not self.draft.group_axes:
            return
        for tensor in self.phases.keep_expensive():
            name = self.names.fresh(f"row_{self.naming.values.get(tensor.key, 'kept')}")
            self.scratch[tensor.key] = name
            self.draft.arrays[name] = self.group.columns
            self.draft.body.append(Scratch(name, tensor.dtype, self.group.columns))

    # --- statements --------------------------------------------------------------------------

    def write_row_level(self, level: int) -> None:
        """Row values that are ready now, and results of reductions that just finished."""
        self.statements, self.in_phase = self.draft.body, False
        for member in self.group.members:
            phase = self.phases.of[member.tensor.key]
            if member.role == "row" and phase == level:
                self.compute(member)
                self.store(member)
            elif member.role == "reduction" and phase + 1 == level:
                self.sources = member.tensor.sources
                self.store(member)

    def place_of(self, member: Member) -> Place:
        return (member.tensor.key, *self.group.own_index(member.tensor, member.role))

    def compute(self, member: Member) -> None:
        """The member by its own op; readers then find it."""
        self.sources = member.tensor.sources
        place = self.place_of(member)
        self.remember(place, self.resolver.expand(member.tensor, place[1], place[2]))

    def store(self, member: Member) -> None:
        """Put the member's value where it belongs: scratch, its own buffer, a concatenation."""
        tensor, (key, shape, index) = member.tensor, self.place_of(member)
        value = self.known((key, shape, index))
        assert value is not None
        if key in self.scratch:
            own = tuple(self.index[a] for a in self.draft.group_axes)
            self.statements.append(Store(self.scratch[key], own, value, False, tensor.sources))
        if key in self.partition.placements:
            placement = self.partition.placements[key]
            target = list(index_between(index, shape, placement.piece))
            for axis, offset in placement.places:
                target[axis] = add(target[axis], self.offset(placement, axis, offset))
            name = self.parameter(placement.output, placement.output.shape, written=True)
            self.statements.append(Store(name, tuple(target), value, False, tensor.sources))
        elif key in self.partition.stored:
            name = self.parameter(tensor, shape, written=True)
            self.statements.append(Store(name, index, value, False, tensor.sources))

    def offset(self, placement: Placement, axis: int, offset: Size) -> Expr:
        """Where a piece begins: a run-time value, so that pieces of one shape share a kernel; but
        known for a few neighbours, whose stores become one."""
        whole = placement.output.shape[-1]
        is_last = axis == len(placement.piece) - 1
        if isinstance(whole, int) and whole <= NEIGHBOURS and is_last:
            return Index(offset)
        name = self.names.fresh("offset")
        self.draft.sizes[name] = offset
        return axis_index(name)

    def write_phase(self, level: int) -> None:
        """One pass: values, accumulations, stores."""
        targets = self.phases.targets(level)
        if not targets:
            return
        self.statements, self.in_phase = self.draft.body, False
        for member in targets:
            if member.role == "reduction":
                self.declare(member.tensor)
            elif member.role == "column":
                self.declare_column(member.tensor)
        if self.group.axes is None:
            self.write_points(level)  # no reduction: the points are the rows
            return
        phase = Phase()
        self.draft.body.append(phase)
        self.statements, self.in_phase, self.point_values = phase.statements, True, {}
        self.write_points(level)
        self.in_phase = False

    def write_points(self, level: int) -> None:
        for member in self.phases.needed(level):
            if member.role == "reduction":
                self.accumulate(member.tensor)
                continue
            if member.role == "column":
                self.accumulate_column(member.tensor)
                continue
            self.compute(member)
            if self.phases.of[member.tensor.key] == level:
                self.store(member)

    def declare(self, tensor: Tensor) -> None:
        """The accumulator of a reduction; one for all that combine the same values alike."""
        lower = tensor.node.op.lower
        assert isinstance(lower, Reduction)
        place = (tensor.key, *self.group.own_index(tensor, "reduction"))
        operand = tensor.node.inputs[0]
        known = self.accumulators.get((f"{lower.combine} {tensor.dtype}", operand.key))
        if known is not None:
            self.row_values[place] = known
            return
        positional = lower.combine in ("argmax", "argmin")
        buffer = self.naming.buffers.get(tensor.key)
        wanted = f"acc_{buffer}" if buffer else self.naming.values.get(tensor.key, "total")
        name = self.names.fresh(wanted)
        position = self.names.fresh(f"{name}_position") if positional else None
        dtype = operand.dtype if positional else tensor.dtype
        self.draft.body.append(Accumulator(name, lower.combine, dtype, position, tensor.sources))
        result = Local(position, tensor.dtype) if position is not None else Local(name, dtype)
        self.row_values[place] = result
        self.accumulators[(f"{lower.combine} {tensor.dtype}", operand.key)] = result
        self.accumulator_of[tensor.key] = name

    def accumulate(self, tensor: Tensor) -> None:
        name = self.accumulator_of.get(tensor.key)
        if name is None:  # another reduction does it
            return
        lower = tensor.node.op.lower
        assert isinstance(lower, Reduction)
        self.sources = tensor.sources
        value = self.resolver.element(tensor.node.inputs[0], self.group.domain, self.index)
        position: Expr | None = None
        if lower.combine in ("argmax", "argmin"):
            offset: Size = 0
            for axis in self.draft.group_axes:
                item = self.index[axis]
                assert isinstance(item, Index)
                offset = offset * self.group.domain[axis] + item.size
            position = Index(offset)
        elif lower.combine in ("and", "or"):
            value = cast(value, bool_)
        else:
            value = cast(value, tensor.dtype)
        self.statements.append(Accumulate(name, value, position, tensor.sources))

    # --- columns -----------------------------------------------------------------------------

    def declare_column(self, tensor: Tensor) -> None:
        lower = tensor.node.op.lower
        assert isinstance(lower, Reduction)
        buffer = self.naming.buffers.get(tensor.key)
        total = self.names.fresh(f"acc_{buffer}" if buffer else "total")
        partial = self.names.fresh(f"{total}_rows")
        column = Column(partial, total, lower.combine, tensor.dtype, tensor.sources)
        self.column_of[tensor.key] = column
        self.draft.columns.append(column)
        self.draft.arrays[partial] = tuple(self.group.domain[a] for a in self.draft.group_axes)
        zero = Const(identity(column.combine, column.dtype), column.dtype)
        place = self.column_place
        self.draft.empty.append(Store(partial, place, zero, False, tensor.sources))
        held = Load(partial, place, column.dtype)
        taken = cast(held, column.total_dtype)
        self.draft.taken.append(Accumulate(total, taken, None, tensor.sources))

    @property
    def column_place(self) -> IndexTuple:
        return tuple(self.index[a] for a in self.draft.group_axes)

    def accumulate_column(self, tensor: Tensor) -> None:
        column = self.column_of[tensor.key]
        self.sources = tensor.sources
        value = self.resolver.element(tensor.node.inputs[0], self.group.domain, self.index)
        value = cast(value, column.dtype)
        place = self.column_place
        before = Load(column.partial, place, column.dtype)
        value = Call(column.combine, (before, value), column.dtype)
        self.statements.append(Store(column.partial, place, value, False, tensor.sources))

    def write_foot(self) -> None:
        """Results of the columns, and what is computed of them: outside of the loops over rows."""
        self.statements, self.in_phase, self.row_values = self.draft.foot, False, {}
        for member in self.group.members:
            if member.role == "column":
                self.row_values[self.place_of(member)] = self.column_of[member.tensor.key].result
                self.store(member)
            elif member.role == "foot":
                self.compute(member)
                self.store(member)
