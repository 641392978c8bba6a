"""Which values of a partition lie in memory, and which of them right in a concatenation.

Known when all groups are: a value is stored if a step reads it that does not compute it, or if the
program needs it there.
"""

from graphc.ir.lowering import Pieces, Sort
from graphc.ir.tensor import Tensor
from graphc.loops.destinations import Destinations
from graphc.loops.groups import Barrier, Group, Partition, Placement
from graphc.loops.values import Key, Reading, core, root_of
from graphc.loops.views import Views
from graphc.records import dataclass
from graphc.shapes import Shape, Size


@dataclass(frozen=True, slots=True)
class Needs:
    """Values that must be computed once, for reasons that no reader shows.

    results lie in memory; so do indices, which are checked between the step that computes them and
    all that read them; operands are what structured steps read. views: those of products that are
    read where they lie in another value. destinations: of products that write elsewhere than into
    memory of their own.
    """

    results: set[Key]
    indices: set[Key]
    operands: set[Key]
    views: Views
    destinations: Destinations


def choose_memory(partition: Partition, needs: Needs) -> None:
    """Set what is stored, and what each concatenation copies; steps and places are known."""
    readers = _readers_outside(partition)
    in_memory = needs.results | needs.indices
    partition.stored |= _results_of_barriers(partition, readers.keys() | in_memory)
    partition.stored |= readers.keys() | (in_memory & partition.place.keys())
    barriers = [step for step in partition.steps if isinstance(step, Barrier)]
    for barrier in barriers:
        if id(barrier.node) in needs.destinations:
            partition.stored.discard(Tensor(barrier.node).key)
    groups = {step.number: step for step in partition.steps if isinstance(step, Group)}
    for barrier in reversed(barriers):  # a concatenation before those that lie in it
        if isinstance(barrier.node.op.lower, Pieces):
            _put_in_place(barrier, partition, groups, needs, readers)


def _readers_outside(partition: Partition) -> dict[Key, list[int]]:
    """For each value the steps that read it and do not compute it."""
    readers: dict[Key, list[int]] = {}
    for step in partition.steps:
        for reading in _readings_of_step(step):
            if partition.place.get(reading.tensor.key, step.number) != step.number:
                readers.setdefault(reading.tensor.key, []).append(step.number)
    return readers


def _results_of_barriers(partition: Partition, wanted: set[Key]) -> set[Key]:
    """What structured steps write; of a sort what is read, or its values where nothing is."""
    written: set[Key] = set()
    for step in partition.steps:
        if not isinstance(step, Barrier):
            continue
        outputs = {Tensor(step.node, n).key for n in range(len(step.node.types))}
        if isinstance(step.node.op.lower, Sort):
            values, positions = (Tensor(step.node, n).key for n in range(2))
            unread = {values, positions} - wanted
            outputs -= unread if len(unread) == 1 else {positions}
        written |= outputs
    return written


def _put_in_place(
    barrier: Barrier,
    partition: Partition,
    groups: dict[int, Group],
    needs: Needs,
    readers: dict[Key, list[int]],
) -> None:
    """Let inputs of a concatenation that nothing else reads be computed into their place."""
    output, axis = Tensor(barrier.node), barrier.node.attrs["axis"]
    in_memory = needs.results | needs.indices
    there = {one.piece for one in needs.destinations.values()}
    written_into = {piece[0] for piece in there if piece is not None}
    whole, around = partition.whole_of(output)
    offset: Size = 0
    for number, tensor in enumerate(barrier.node.inputs):
        root = root_of(tensor)
        group = groups.get(partition.place_of(root))
        placement = Placement(whole, tensor.shape, (*around, (axis, offset)))
        alone = readers.get(root.key) == [barrier.number] and root.key not in in_memory
        if (
            group is not None
            and core(root.shape) == core(tensor.shape)
            and core(_group_shape(group, root)) == core(root.shape)
            and alone
        ):
            partition.placements[root.key] = placement
        elif (
            isinstance(tensor.node.op.lower, Pieces)
            and alone
            and id(tensor.node) not in written_into
        ):
            partition.placements[tensor.key] = placement
            partition.stored.discard(tensor.key)
        elif (id(barrier.node), number) not in there:
            barrier.pieces.append(number)
        offset = offset + tensor.shape[axis]


def _group_shape(group: Group, tensor: Tensor) -> Shape:
    """The shape under which a group computes one of its members."""
    return group.own_index(tensor, group.roles[tensor.key])[0]


def _readings_of_step(step: Group | Barrier) -> list[Reading]:
    if isinstance(step, Barrier):
        return [reading for readings in step.readings for reading in readings]
    return [reading for member in step.members for reading in member.readings]
