"""Groups that compute the same: the kernel of the first is called for all of them.

A deep network repeats its blocks. Kernels of equal text are emitted once anyway; here the text is
not even made: a group is described by all that `phases`, `kernels` and `schedule` look at, with
numbers in place of names, and a description that was met before leads straight to its kernel.

Whoever lets the builder look at more must add it to the description; `tests/loops/test_repeated.py`
compares programs with those of a lowering that builds every kernel.
"""

from collections.abc import Hashable
from typing import Any

from graphc.ir.leaf import CONSTANT
from graphc.ir.tensor import Tensor
from graphc.loops.draft import Draft, Naming
from graphc.loops.groups import Group, Partition
from graphc.loops.ir import Kernel
from graphc.loops.values import Key, root_of
from graphc.records import dataclass
from graphc.shapes import Dim, Size


@dataclass(frozen=True, slots=True)
class Known:
    """A kernel, and which of the buffers of a group are its arguments, by their numbers."""

    kernel: Kernel
    arguments: tuple[int, ...]
    sizes: tuple[Size, ...]


class Repeated:
    """The kernels of the groups that were met so far."""

    def __init__(self) -> None:
        self.known: dict[Hashable, Known] = {}

    def find(self, outline: "Outline") -> tuple[Known, tuple[str, ...]] | None:
        """The kernel of an equal group, and its arguments for this one."""
        if outline.key is None:
            return None
        found = self.known.get(outline.key)
        if found is None:
            return None
        return found, tuple([outline.buffers[number] for number in found.arguments])

    def remember(self, outline: "Outline", kernel: Kernel, draft: Draft, own: Kernel) -> None:
        """kernel: what equal groups share; own: what was built for this one, for its parameters."""
        if outline.key is None or draft.sizes:  # run-time values that only one call knows
            return
        numbers = {name: number for number, name in enumerate(outline.buffers)}
        buffers = [draft.arguments[parameter.name] for parameter in own.parameters]
        if all(buffer in numbers for buffer in buffers):
            sizes = tuple([Dim.symbol(name) for name in own.sizes])
            self.known[outline.key] = Known(
                kernel, tuple([numbers[buffer] for buffer in buffers]), sizes
            )


class Outline:
    """A group in numbers. key: equal for groups that one kernel computes; None if it has none.

    buffers: the names of the buffers that it reads and writes, by their numbers in the key.
    """

    def __init__(self, group: Group, partition: Partition, naming: Naming) -> None:
        self.group = group
        self.partition = partition
        self.naming = naming
        self.buffers: list[str] = []
        self._buffer_numbers: dict[str, int] = {}
        self._numbers: dict[Key, int] = {}
        self._waiting: list[Tensor] = []
        self.key = self._made()

    def _made(self) -> Hashable:
        group = self.group
        rows: list[Any] = [group.axes, group.domain, tuple(group.names)]
        for member in group.members:
            readings = tuple([(self._number(r.tensor), r.shape, r.index) for r in member.readings])
            rows.append((self._number(member.tensor), member.role, readings))
        done = 0
        while done < len(self._waiting):  # grows as operands are met
            rows.append(self._row(self._waiting[done]))
            done += 1
        key = tuple(rows)
        try:
            hash(key)
        except TypeError:  # attributes that cannot be compared
            return None
        return key

    def _number(self, tensor: Tensor) -> int:
        number = self._numbers.get(tensor.key)
        if number is None:
            number = self._numbers[tensor.key] = len(self._numbers)
            self._waiting.append(tensor)
        return number

    def _buffer(self, key: Key) -> int | None:
        name = self.naming.buffers.get(key)
        if name is None:
            return None
        number = self._buffer_numbers.get(name)
        if number is None:
            number = self._buffer_numbers[name] = len(self.buffers)
            self.buffers.append(name)
        return number

    def _row(self, tensor: Tensor) -> tuple[Any, ...]:
        """All that is looked at of one value; its operands by their numbers."""
        node, key = tensor.node, tensor.key
        declared = node.types[tensor.index]
        if node.op is CONSTANT:
            scalar = self.partition.lowerings.scalar(tensor)
            if scalar is not None:
                return ("number", declared, node.attrs["value"].flat[0].tobytes())
        partition = self.partition
        if key not in self.group.roles and partition.is_boundary(tensor):
            return ("read", declared, self._buffer(key))
        placement = partition.placements.get(key)
        placed: tuple[Any, ...] | None = None
        if placement is not None:
            output = placement.output
            placed = (
                output.node.types[output.index],
                self._buffer(output.key),
                placement.piece,
                placement.places,
            )
        buffer = self._buffer(key)
        named = buffer is None and key in self.naming.given and key in self.naming.values
        return (
            node.op,
            tensor.index,
            node.attributes_key,
            node.types,
            buffer,
            key in partition.stored,
            placed,
            named,
            tuple([self._operand(operand) for operand in node.inputs]),
        )

    def _operand(self, tensor: Tensor) -> tuple[Any, ...]:
        """Views count by their shape: what is behind them is read."""
        return tensor.node.types[tensor.index].shape, self._number(root_of(tensor))
