"""Calls of layers: what a layer accepts, was given and gave."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

import graphc as gc
from graphc.layers.configured import written
from graphc.layers.structures import tensors_in
from graphc.records import dataclass

__all__ = ["InputSpec", "LayerCall", "LayerOutput"]

Shape = tuple[Any, ...]


@dataclass(frozen=True)
class InputSpec:
    """What a layer demands of its input: a rank, and sizes of some axes."""

    ndim: int | None = None
    min_ndim: int | None = None
    axes: Mapping[int, int] = field(default_factory=dict)

    def complaint(self, shape: Shape) -> tuple[str, str] | None:
        """What is wrong with the shape, and what is allowed; None if nothing is."""
        rank = len(shape)
        if self.ndim is not None and rank != self.ndim:
            return f"the input has {rank} axes", f"{self.ndim} axes, the batch first"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"the input has {rank} axes", f"{self.min_ndim} axes or more, the batch first"
        for axis, size in self.axes.items():
            if isinstance(shape[axis], int) and shape[axis] != size:
                return f"axis {axis} of the input has size {shape[axis]}", f"size {size}"
        return None


@dataclass(eq=False)
class LayerCall:
    """One call of a layer: what it was given and what it gave.

    has_touched: whether the result may be another one in another context. state: what the layer
    was like; None if its results cannot be used again. See `layers.reuse`.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any = None
    has_touched: bool = True
    state: list[Any] | None = None

    @property
    def inputs(self) -> list[gc.Tensor]:
        return tensors_in([self.args, self.kwargs])

    @property
    def is_symbolic(self) -> bool:
        """Whether the layer was called with expressions, and not with data alone."""
        return any(tensor.op.name != "constant" for tensor in self.inputs)


class NeverCalledError(gc.FunctionError, AttributeError):
    """A layer was asked for the tensors of a call that there was not."""


class FirstCall:
    """Tensors of the first call of a layer outside of all contexts: one, or a list of several.

    It has no setter: a layer may have a part of its own that is called `output`.
    """

    def __init__(self, name: str, part: Callable[[LayerCall], list[gc.Tensor]]) -> None:
        self.name, self.part = name, part

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        if layer is None:
            return self
        if layer._first_call is None:
            raise NeverCalledError(
                f"{type(layer).__name__} {layer.name!r} has no {self.name}: it was not called",
                code="E249",
                source=written(),
                fix="call it with a tensor first: layer(x); it keeps the tensors of the first call",
            )
        found = self.part(layer._first_call)
        return found[0] if len(found) == 1 else found


class LayerOutput(gc.Tensor):
    """What a layer returns: a tensor like any other, that knows the call it came from.

    mask: bool, with the first axes of the tensor: False at steps that are padding. None: no mask.
    """

    __slots__ = ("call", "mask")

    def __init__(self, tensor: gc.Tensor, call: LayerCall, mask: gc.Tensor | None = None) -> None:
        super().__init__(tensor.node, tensor.index, tensor.name)
        self.call = call
        self.mask = mask
