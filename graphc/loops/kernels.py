"""A fused group becomes one kernel.

The group's rows are the outer loops. Within a row the members fall into phases: a phase is one
pass over the reduced axes, and what needs a finished reduction waits for the next phase. So a
softmax has three passes: the maximum, the sum of exponentials, the quotients. A value that costs
much and is needed in a later pass again is kept in scratch; cheap ones are computed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphc.dtypes import bool_
from graphc.ir.lowering import Reduction
from graphc.ir.source import Sources, merge_sources
from graphc.ir.tensor import Tensor
from graphc.loops.fuse import Group, Member, Partition, axis_extents, domain_index
from graphc.loops.ir import Accumulate, Accumulator, Let, Parameter, Scratch, Statement, Store
from graphc.loops.values import IndexTuple, Resolver
from graphc.scalar.expr import Call, Expr, Index, Load, Local, cast, cost
from graphc.shapes import Dim, Shape, Size, is_static, size_product

KEEP_COST = 16  # work from which a value of an earlier phase is kept rather than recomputed
SCRATCH_LIMIT = 1 << 14  # elements of one row in scratch

Key = tuple[tuple[int, int], IndexTuple]


@dataclass
class Phase:
    """One pass over the reduced axes."""

    statements: list[Statement] = field(default_factory=list)


@dataclass
class Draft:
    """A kernel before its loops are wrapped around it."""

    group_axes: tuple[int, ...]  # reduced axes
    domain: Shape
    names: tuple[str, ...]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)  # parameter -> buffer
    body: list[Statement | Phase] = field(default_factory=list)
    sources: Sources = ()

    @property
    def column_like(self) -> bool:
        """The last axis is a row axis: lanes run over rows, reductions run in serial loops."""
        last = max((a for a, size in enumerate(self.domain) if size != 1), default=None)
        return last is not None and last not in self.group_axes


class Names:
    """Unique readable names: the user's where there is one."""

    def __init__(self, taken: Sequence[str] = ()) -> None:
        self.taken = set(taken)
        self.counter = 0
        self.suffixes: dict[str, int] = {}  # the last one given for each wanted name

    def fresh(self, wanted: str | None, prefix: str = "t") -> str:
        if wanted is None:
            while True:
                name = f"{prefix}{self.counter}"
                self.counter += 1
                if name not in self.taken:
                    break
        else:
            name, suffix = wanted, self.suffixes.get(wanted, 1)
            while name in self.taken:
                suffix += 1
                name = f"{wanted}_{suffix}"
            self.suffixes[wanted] = suffix
        self.taken.add(name)
        return name


class KernelBuilder:
    """Writes the statements of one group. buffers: name of the buffer of each stored value."""

    def __init__(
        self,
        group: Group,
        partition: Partition,
        buffers: dict[tuple[int, int], str],
        size_names: Sequence[str],
    ) -> None:
        self.group = group
        self.partition = partition
        self.buffers = buffers
        axes = group.axes or ()
        self.draft = Draft(axes, group.domain, partition.axis_names)
        self.local_names = Names([*partition.axis_names[: len(group.domain)], *size_names])
        self.parameter_of: dict[tuple[str, Shape], str] = {}
        self.scratch: dict[tuple[int, int], str] = {}
        self.row_values: dict[Key, Expr] = {}
        self.point_values: dict[Key, Expr] = {}
        self.row_statements: list[Statement | Phase] = self.draft.body
        self.statements: list[Statement] | list[Statement | Phase] = self.row_statements
        self.in_phase = False
        self.sources: Sources = ()
        self.index = domain_index(group.domain, partition.axis_names)
        self.reduced = [a for a in axes if group.domain[a] != 1]
        self.resolver = Resolver(
            self.is_boundary,
            axis_extents(group.domain, partition.axis_names),
            self.read,
            self.bind,
            self.known,
        )
        self.phase_of: dict[tuple[int, int], int] = {}
        self.accumulator_of: dict[tuple[int, int], str] = {}

    # --- resolver callbacks --------------------------------------------------------------------

    def is_boundary(self, tensor: Tensor) -> bool:
        return self.partition.is_boundary(tensor)

    def known(self, tensor: Tensor, index: IndexTuple) -> Expr | None:
        key = (tensor.key, index)
        if self.in_phase and key in self.point_values:
            return self.point_values[key]
        return self.row_values.get(key)

    def bind(self, tensor: Tensor, index: IndexTuple, value: Expr) -> Expr:
        name = self.local_names.fresh(tensor.name)
        self.statements.append(Let(name, value, tensor.sources or self.sources))
        local = Local(name, value.dtype)
        self.remember(tensor, index, local)
        return local

    def remember(self, tensor: Tensor, index: IndexTuple, value: Expr) -> None:
        values = self.point_values if self.in_phase else self.row_values
        values[(tensor.key, index)] = value

    def read(self, tensor: Tensor, shape: Shape, index: IndexTuple) -> Expr:
        if tensor.key in self.scratch:
            picked = tuple(index[a] for a in self.reduced)
            return Load(self.scratch[tensor.key], picked, tensor.dtype)
        load = Load(self.parameter(tensor, shape), index, tensor.dtype)
        if shape != tensor.shape:
            return load
        name = self.local_names.fresh(None, "v")
        self.statements.append(Let(name, load, self.sources))
        local = Local(name, tensor.dtype)
        self.remember(tensor, index, local)
        return local

    def parameter(self, tensor: Tensor, shape: Shape, written: bool = False) -> str:
        buffer = self.buffers[tensor.key]
        key = (buffer, shape)
        if key not in self.parameter_of:
            name = self.local_names.fresh(buffer)
            self.parameter_of[key] = name
            self.draft.parameters[name] = Parameter(name, tensor.dtype, shape, written)
            self.draft.arguments[name] = buffer
        elif written:
            name = self.parameter_of[key]
            self.draft.parameters[name] = Parameter(name, tensor.dtype, shape, True)
        return self.parameter_of[key]

    # --- phases ------------------------------------------------------------------------------

    def build(self) -> Draft:
        levels = self.assign_phases()
        self.keep_expensive(levels)
        for level in range(levels):
            self.write_row_level(level)
            self.write_phase(level)
        self.draft.sources = merge_sources(*(m.tensor.sources for m in self.group.members))
        return self.draft

    def assign_phases(self) -> int:
        """The phase of each member: full and reduction: of its pass; row: before which pass."""
        levels = 1
        for member in self.group.members:
            phase = 0
            for reading in member.readings:
                role = self.group.roles.get(reading.tensor.key)
                if role is None:
                    continue
                before = self.phase_of[reading.tensor.key]
                phase = max(phase, before + 1 if role == "reduction" else before)
            self.phase_of[member.tensor.key] = phase
            levels = max(levels, phase + 1 + (member.role == "reduction"))
        return levels

    def targets(self, level: int) -> list[Member]:
        return [
            member
            for member in self.group.members
            if self.phase_of[member.tensor.key] == level
            and (
                member.role == "reduction"
                or (member.role == "full" and self.is_written(member.tensor))
            )
        ]

    def is_written(self, tensor: Tensor) -> bool:
        return tensor.key in self.partition.stored or tensor.key in self.scratch

    def needed(self, level: int) -> list[Member]:
        """Full members that the phase computes, in order: what its targets read, transitively."""
        wanted = {member.tensor.key for member in self.targets(level)}
        order: list[Member] = []
        for member in reversed(self.group.members):
            if member.tensor.key not in wanted:
                continue
            order.append(member)
            for reading in member.readings:
                key = reading.tensor.key
                if self.group.roles.get(key) != "full":
                    continue
                if self.phase_of[key] < level and self.is_written(reading.tensor):
                    continue  # loaded from where the earlier phase put it
                wanted.add(key)
        return order[::-1]

    def keep_expensive(self, levels: int) -> None:
        """Give values that a later phase would compute again at a price a row of scratch."""
        if levels < 2 or self.draft.column_like or not self.reduced:
            return
        shape = tuple(self.group.domain[a] for a in self.reduced)
        if is_static(shape) and _static_size(shape) > SCRATCH_LIMIT:
            return
        for level in range(1, levels):
            for member in self.needed(level):
                tensor = member.tensor
                early = member.role == "full" and self.phase_of[tensor.key] < level
                if early and not self.is_written(tensor) and self.own_cost(tensor) >= KEEP_COST:
                    name = self.local_names.fresh(tensor.name, "row")
                    self.scratch[tensor.key] = name
                    self.draft.body.append(Scratch(name, tensor.dtype, shape))

    def own_cost(self, tensor: Tensor) -> int:
        probe = Resolver(
            lambda t: True,
            {},
            lambda t, s, i: Load("?", i, t.dtype),
            lambda t, i, e: e,
            lambda t, i: None,
        )
        return cost(probe.expand(tensor, self.index))

    # --- statements --------------------------------------------------------------------------

    def write_row_level(self, level: int) -> None:
        """Row values that are ready now, and results of reductions that just finished."""
        self.statements, self.in_phase = self.row_statements, False
        for member in self.group.members:
            tensor, phase = member.tensor, self.phase_of[member.tensor.key]
            if member.role == "row" and phase == level:
                self.sources = tensor.sources
                index = self.row_index(tensor)
                self.remember(tensor, index, self.named(tensor, index))
                self.store(tensor, index)
            elif member.role == "reduction" and phase + 1 == level:
                self.store(tensor, self.row_index(tensor))

    def row_index(self, tensor: Tensor) -> IndexTuple:
        index = self.group.row_index(tensor.shape, self.partition.axis_names)
        assert index is not None
        return index

    def named(self, tensor: Tensor, index: IndexTuple) -> Expr:
        """The tensor's own expression, always bound to a local."""
        value = self.resolver.expand(tensor, index)
        if isinstance(value, Local) and self.known(tensor, index) == value:
            return value
        return self.bind(tensor, index, value)

    def store(self, tensor: Tensor, index: IndexTuple) -> None:
        value = self.known(tensor, index)
        assert value is not None
        if tensor.key in self.scratch:
            picked = tuple(self.index[a] for a in self.reduced)
            self.statements.append(
                Store(self.scratch[tensor.key], picked, value, False, tensor.sources)
            )
        elif tensor.key in self.partition.stored:
            name = self.parameter(tensor, tensor.shape, written=True)
            self.statements.append(Store(name, index, value, False, tensor.sources))

    def write_phase(self, level: int) -> None:
        """One pass: values, accumulations, stores."""
        targets = self.targets(level)
        if not targets:
            return
        self.statements, self.in_phase = self.row_statements, False
        for member in targets:
            if member.role == "reduction":
                self.declare(member.tensor)
        if not self.reduced and self.group.axes is None:
            self.write_points(level)  # no reduction: the points are the rows
            return
        phase = Phase()
        self.row_statements.append(phase)
        self.statements, self.in_phase, self.point_values = phase.statements, True, {}
        self.write_points(level)
        self.in_phase = False

    def write_points(self, level: int) -> None:
        for member in self.needed(level):
            tensor = member.tensor
            self.sources = tensor.sources
            if member.role == "reduction":
                self.accumulate(tensor)
                continue
            self.remember(tensor, self.index, self.named(tensor, self.index))
            if self.phase_of[tensor.key] == level:
                self.store(tensor, self.index)

    def declare(self, tensor: Tensor) -> None:
        lower = tensor.node.op.lower
        assert isinstance(lower, Reduction)
        positional = lower.combine in ("argmax", "argmin")
        name = self.local_names.fresh(tensor.name, "acc")
        position = self.local_names.fresh(f"{name}_position") if positional else None
        dtype = tensor.node.inputs[0].dtype if positional else tensor.dtype
        self.row_statements.append(
            Accumulator(name, lower.combine, dtype, position, tensor.sources)
        )
        result = Local(position, tensor.dtype) if position is not None else Local(name, dtype)
        self.row_values[(tensor.key, self.row_index(tensor))] = result
        self.accumulator_of[tensor.key] = name

    def accumulate(self, tensor: Tensor) -> None:
        lower = tensor.node.op.lower
        assert isinstance(lower, Reduction)
        value = self.resolver.element(tensor.node.inputs[0], self.index)
        position: Expr | None = None
        if lower.combine in ("argmax", "argmin"):
            offset: Size = 0
            for axis in self.group.axes or ():
                item = self.index[axis]
                assert isinstance(item, Index)
                offset = offset * self.group.domain[axis] + item.size
            position = Index(offset)
        elif lower.combine in ("and", "or"):
            value = cast(value, bool_)
        else:
            value = cast(value, tensor.dtype)
        name = self.accumulator_of[tensor.key]
        self.statements.append(Accumulate(name, value, position, tensor.sources))


def _static_size(shape: Shape) -> int:
    total = size_product(shape)
    return total if isinstance(total, int) else 0


def depends_on(expr: Expr, symbol: str) -> bool:
    """Whether an index polynomial inside the expression mentions the axis."""
    match expr:
        case Index(size):
            return isinstance(size, Dim) and symbol in size.symbols()
        case Load(_, index, _):
            return any(depends_on(item, symbol) for item in index)
        case Call(_, args, _):
            return any(depends_on(item, symbol) for item in args)
        case _:
            return False
