"""What all reductions share: axes as arguments, the shape that is left, examples."""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.ir.arguments import AxisLike, checked_axes
from graphc.ir.node import TensorType
from graphc.ir.opdef import Application, Example, Generator, Inference, OpDef
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.definition import Accepts, one_input
from graphc.shapes import reduced_shape

Axes = tuple[int, ...]


def infer_reduced(call: Inference) -> TensorType:
    (x,) = call.types
    return TensorType(x.dtype, reduced_shape(x.shape, call.attrs["axes"], call.attrs["keepdims"]))


def with_axes_back(b: Builder, value: Tensor, application: Application) -> Tensor:
    """A reduced value with its axes back, of size 1."""
    attrs = application.attrs
    return value if attrs["keepdims"] else b.expand_dims(value, attrs["axes"])


def reduction_examples(
    build: Callable[..., Tensor],
    differentiable: bool = True,
    empty: bool = True,
    several: bool = True,
) -> Callable[[Generator], list[Example]]:
    """Over all axes and one, kept or not, also over `empty` ones and `several` at once."""

    def examples(rng: Generator) -> list[Example]:
        def example(shape: tuple[int, ...], **options: Any) -> Example:
            values = rng.permutation(np.linspace(-2, 2, int(np.prod(shape)))) + 0.1  # no ties
            return Example(lambda x: build(x, **options), (values.reshape(shape),), differentiable)

        found = [example(shape) for shape in ((), (1,), (7,), (3, 1, 5), (4, 19))]
        found += [example((3, 4, 5), axis=axis) for axis in (0, 1, -1)]
        found += [example((3, 4, 5), axis=axis, keepdims=True) for axis in (1, None)]
        found += [example((2, 0, 3), axis=axis) for axis in (0, -1)]
        if empty:
            found += [example((0,)), example((2, 0, 3)), example((2, 0, 3), axis=1)]
        if several:
            found += [example((2, 3, 4, 5), axis=(2, 0))]
            found += [example((2, 3, 4, 5), axis=(-1, 1), keepdims=True)]
        return found

    return examples


def reduce_axes(
    op: OpDef, x: Any, axis: AxisLike | None, keepdims: bool, accepts: Accepts, **attrs: Any
) -> Tensor:
    tensor = one_input(op.name, x, accepts)
    axes = tuple(sorted(checked_axes(op.name, axis, tensor.ndim)))
    return op(tensor, axes=axes, keepdims=bool(keepdims), **attrs) if axes else tensor
