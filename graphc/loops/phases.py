"""Phases: in which pass over a row each value of a fused group is computed.

A phase is one pass over the reduced axes, and what needs a finished reduction waits for the next
phase. So a softmax has three passes: the maximum, the sum of exponentials, the quotients. A value
that costs much and is needed in a later pass again is kept in scratch; cheap ones are computed
again.
"""

from collections.abc import Callable

from graphc.ir.tensor import Tensor
from graphc.loops.groups import Group, Member, Partition
from graphc.loops.values import Key, core, root_of
from graphc.shapes import is_static, size_product

KEEP_COST = 16  # work from which a value of an earlier phase is kept rather than recomputed
KEEP_WORK = 10  # the same for it and all that it is made of
SCRATCH_LIMIT = 1 << 18  # elements of one row in scratch


class Phases:
    """of: the phase of each member; `count` of them. kept: values that have a row of scratch."""

    def __init__(self, group: Group, partition: Partition) -> None:
        self.group = group
        self.partition = partition
        self.kept: set[Key] = set()
        self.of: dict[Key, int] = {}
        self.count = self._assign()

    def _assign(self) -> int:
        """The phase of each member: full and reduction: of its pass; row: before which pass."""
        levels = 1
        for member in self.group.members:
            phase = 0
            for reading in member.readings:
                role = self.group.roles.get(reading.tensor.key)
                if role is None:
                    continue
                before = self.of[reading.tensor.key]
                phase = max(phase, before + 1 if role == "reduction" else before)
            self.of[member.tensor.key] = phase
            levels = max(levels, phase + 1 + (member.role == "reduction"))
        for member in self.group.members:
            if member.role == "column":
                self._delay(member, levels)
        return levels

    def _delay(self, column: Member, levels: int) -> None:
        """Reduce in the pass that computes most of what the column reads, the first of these."""
        first = self.of[column.tensor.key]
        wanted = {reading.tensor.key for reading in column.readings}
        best, most = first, -1
        for level in range(first, levels):
            read = {member.tensor.key for member in self.needed(level)}
            for member in (*self.needed(level), *self.targets(level)):
                if member is not column:
                    read |= {reading.tensor.key for reading in member.readings}
            if len(wanted & read) > most:
                best, most = level, len(wanted & read)
        self.of[column.tensor.key] = best

    def targets(self, level: int) -> list[Member]:
        """What the phase is there for: reductions, and values that are written."""
        return [
            member
            for member in self.group.members
            if self.of[member.tensor.key] == level
            and (
                member.role in ("reduction", "column")
                or (member.role == "full" and self._is_written(member.tensor))
            )
        ]

    def _is_written(self, tensor: Tensor) -> bool:
        return tensor.key in self.partition.stored or tensor.key in self.kept

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
                if self.of[key] < level and self._can_load(reading.tensor):
                    continue  # from where the earlier phase put it
                wanted.add(key)
        return order[::-1]

    def _can_load(self, tensor: Tensor) -> bool:
        """Whether later phases find it: where it is put into a larger array, only in scratch."""
        if tensor.key in self.kept:
            return True
        return self._is_written(tensor) and tensor.key not in self.partition.placements

    def keep_expensive(self) -> list[Tensor]:
        """Values that a later phase would compute again at a price; from now on it reads them."""
        shape = self.group.columns
        total = size_product(shape)
        if is_static(shape) and isinstance(total, int) and total > SCRATCH_LIMIT:
            return []
        found: list[Tensor] = []
        for least, work in ((KEEP_COST, self._own_cost), (KEEP_WORK, self._work_again)):
            for level in range(1, self.count):
                while (tensor := self._worth_keeping(level, least, work)) is not None:
                    self.kept.add(tensor.key)
                    found.append(tensor)
        return found

    def _worth_keeping(
        self, level: int, least: int, work: Callable[[Tensor], int]
    ) -> Tensor | None:
        """A value of an earlier phase that takes so much work, the last in order."""
        for member in reversed(self.needed(level)):
            tensor = member.tensor
            early = member.role == "full" and self.of[tensor.key] < level
            if early and not self._can_load(tensor) and work(tensor) >= least:
                return tensor
        return None

    def _work_again(self, tensor: Tensor) -> int:
        """What computing the value again takes, down to what is in memory; a load counts 1."""
        total, rank = 0, len(core(self.group.domain))
        seen: set[Key] = set()
        pending = [tensor]
        while pending:
            value = root_of(pending.pop())
            if value.key in seen or self.partition.lowerings.scalar(value) is not None:
                continue
            seen.add(value.key)
            role = self.group.roles.get(value.key)
            if role in ("row", "reduction") or len(core(value.shape)) == 0:
                continue  # in a register
            again = role == "full" or (role is None and not self.partition.is_boundary(value))
            if not again or (value is not tensor and self._can_load(value)):
                total += 1
                continue
            if role == "full" or len(core(value.shape)) == rank:
                total += self._own_cost(value)
            pending += value.node.inputs
        return total

    def _own_cost(self, tensor: Tensor) -> int:
        return self.partition.lowerings.cost(tensor.node, self.partition.names)
