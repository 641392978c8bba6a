"""Complex tensors as pairs of real ones: what an op does to the real and the imaginary parts.

Backends know real numbers alone. `passes.complex_parts` replaces every complex value of a graph by
its two parts before lowering, with the rule that each op brings:

    parts(b, node, inputs) -> the output, or a tuple of the outputs

inputs: for each input of the node a `Parts` if it is complex, else the real tensor. An output is a
`Parts` where its type is complex. An op without a rule refuses complex numbers.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from graphc.ir.source import source_scope

if TYPE_CHECKING:
    from graphc.ir.node import Node
    from graphc.ir.registry import Builder
    from graphc.ir.tensor import Tensor


class Parts(NamedTuple):
    """A complex value: two real tensors of its shape."""

    real: "Tensor"
    imag: "Tensor"


Value: TypeAlias = "Tensor | Parts"

T = TypeVar("T")
PARTS_AXIS = {"first": 0, "middle": 2, "last": 3}  # in an array of pairs with three other axes


def with_parts(layout: str, place: Sequence[T], part: T) -> tuple[T, ...]:
    """The three others and that of the parts, in order."""
    axis = PARTS_AXIS[layout]
    return (*place[:axis], part, *place[axis:])


PartsRule = Callable[..., Any]


def partwise(b: "Builder", node: "Node", inputs: Sequence[Value]) -> tuple[Parts, ...]:
    """For ops that are linear over the reals: the op on all real parts, and on all imaginary ones.

    Inputs that are real (indices, conditions) are the same for both.
    """
    halves = [
        node.op.apply([x[side] if isinstance(x, Parts) else x for x in inputs], node.attrs)
        for side in (0, 1)
    ]
    return tuple(Parts(real, imag) for real, imag in zip(*halves, strict=True))


def joined(b: "Builder", value: Value) -> "Tensor":
    """A value as it crosses a border: both parts side by side in a trailing axis of 2."""
    if not isinstance(value, Parts):
        return value
    whole = pairs_of(value)
    if whole is not None:
        return whole
    shape = value.real.shape
    with source_scope(value.real.sources or value.imag.sources):
        return b.stack([value.real, b.broadcast_to(value.imag, shape)], axis=-1)


def pairs_of(value: Parts) -> "Tensor | None":
    """What the parts are the two halves of, along a trailing axis of 2; None if they are not."""
    found: list[Tensor] = []
    for side, part in enumerate(value):
        node = part.node
        cut = node.inputs[0].node if node.op.name == "squeeze" else node
        if cut.op.name != "slice":
            return None
        whole = cut.inputs[0]
        shape = whole.shape
        if shape[-1] != 2 or shape[:-1] != part.shape:
            return None
        starts = (*(0 for _ in shape[:-1]), side)
        if cut.attrs["starts"] != starts or set(cut.attrs["steps"]) != {1}:
            return None
        found.append(whole)
    return found[0] if found[0].key == found[1].key else None


def expanded(b: "Builder", node: "Node", inputs: Sequence[Value]) -> Any:
    """For composite ops: the parts of the graph that they stand for. The pass does it."""
    raise AssertionError(f"{node.op.name} is expanded by the pass")
