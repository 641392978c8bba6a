"""What batching rules see, and the rules that most ops share.

A rule makes an application of an op for many examples at once. In what it is given, inputs that
differ from example to example have the axis of the examples in front; the others are as they were.
It answers with the outputs, each with the axis of the examples in front; one that is the same for
all examples may come without.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from graphc.ir.node import Attributes, Node
from graphc.ir.registry import BUILDER
from graphc.records import dataclass
from graphc.shapes import Size

if TYPE_CHECKING:
    from graphc.ir.tensor import Tensor

    Pairs = Sequence[tuple["Tensor", "Tensor"]]
    Batched = Callable[[Sequence["Tensor"], Pairs], list["Tensor"]]
    BatchRule = Callable[["Batch"], Sequence["Tensor"]]


@dataclass(frozen=True, slots=True)
class Batch:
    """An application of an op (`node`) for one example, and its inputs for `size` of them.

    For rules that look into graphs: batched(tensors, pairs) gives tensors for all examples, from
    pairs of what a tensor is for one and for all, and from all that is known so far; those that are
    the same for all as they are. inside(tensors, pairs): in the body of a loop, from pairs alone.
    """

    node: Node
    inputs: tuple["Tensor", ...]
    size: Size
    batched: "Batched"
    inside: "Batched"

    @property
    def attrs(self) -> Attributes:
        return self.node.attrs

    def mapped(self, number: int) -> bool:
        """Whether input `number` differs from example to example."""
        return self.inputs[number].ndim > self.node.inputs[number].ndim

    def whole(self, number: int) -> "Tensor":
        """Input `number` with the axis of the examples."""
        return whole(self.inputs[number], self.node.inputs[number].ndim, self.size)

    def aligned(self, number: int, ndim: int) -> "Tensor":
        """Input `number`, where it is mapped with axes of size 1 put in, so that those of the
        example are the last of `ndim`: for ops that broadcast."""
        tensor, own = self.inputs[number], self.node.inputs[number].ndim
        if not self.mapped(number) or own >= ndim:
            return tensor
        return BUILDER.expand_dims(tensor, tuple(range(1, 1 + ndim - own)))

    def numbers(self, ndim: int) -> "Tensor":
        """The numbers of the examples as int64[size, 1, ...], of `ndim` axes."""
        return BUILDER.reshape(BUILDER.arange(self.size), (self.size, *(1,) * (ndim - 1)))

    def apply(self, inputs: Sequence["Tensor"], **changes: Any) -> tuple["Tensor", ...]:
        """The op on `inputs`, with other values for some attributes."""
        return self.node.op.apply(inputs, {**self.node.attrs, **changes} if changes else self.attrs)


def whole(tensor: "Tensor", ndim: int, size: Size) -> "Tensor":
    """A tensor with the axis of the examples in front; ndim: of one example."""
    if tensor.ndim > ndim:
        return tensor
    return BUILDER.broadcast_to(tensor, (size, *tensor.shape))


def moved(tensor: "Tensor", start: int, count: int, to: int) -> "Tensor":
    """`count` axes from `start` on, moved to begin at `to`."""
    if start == to or count == 0:
        return tensor
    axes = range(count)
    return BUILDER.moveaxis(tensor, [start + k for k in axes], [to + k for k in axes])


# --- rules ---------------------------------------------------------------------------------------


def leading(batch: Batch) -> Sequence["Tensor"]:
    """For ops on the last axes, which take any axes in front, the same ones in all inputs."""
    return batch.apply([batch.whole(number) for number in range(len(batch.inputs))])


def with_attributes(change: Callable[[Batch], dict[str, Any]]) -> "BatchRule":
    """For ops whose attributes say what happens along which axis."""

    def rule(batch: Batch) -> Sequence["Tensor"]:
        inputs = [batch.whole(number) for number in range(len(batch.inputs))]
        return batch.apply(inputs, **change(batch))

    return rule


def shifted(name: str) -> "BatchRule":
    """For ops along axes: attribute `name` is an axis, or a tuple of them, counted from 0."""

    def change(batch: Batch) -> dict[str, Any]:
        axis = batch.attrs[name]
        further = tuple(one + 1 for one in axis) if isinstance(axis, tuple) else axis + 1
        return {name: further}

    return with_attributes(change)


def broadcasting(batch: Batch) -> Sequence["Tensor"]:
    """For ops that broadcast as numpy does and know no axes: the elementwise ones."""
    ndim = max(tensor.ndim for tensor in batch.node.inputs)
    return batch.apply([batch.aligned(number, ndim) for number in range(len(batch.inputs))])


def one_by_one(batch: Batch) -> Sequence["Tensor"]:
    """For any op: a loop over the examples."""
    numbers = [number for number in range(len(batch.inputs)) if batch.mapped(number)]

    def one(elements: Sequence["Tensor"]) -> tuple["Tensor", ...]:
        inputs = list(batch.inputs)
        for number, element in zip(numbers, elements, strict=True):
            inputs[number] = element
        return batch.apply(inputs)

    outputs: Any = BUILDER.map(one, [batch.inputs[number] for number in numbers])
    return list(outputs)
