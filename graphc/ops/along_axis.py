"""What the ops that go along an axis in order share: checks, wide sums, gradients by position."""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import as_dtype, double, int64, is_inexact, is_integer, is_signed, uint64
from graphc.errors import ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference
from graphc.ir.registry import Builder
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.shapes import Size, size_product


def widened(x: Tensor, dtype: Any) -> Tensor:
    """bool and small integers are summed as int64, small unsigned ones as uint64."""
    if dtype is not None:
        return x.astype(as_dtype(dtype))
    if is_inexact(x.dtype):
        return x
    return x.astype(uint64 if is_integer(x.dtype) and not is_signed(x.dtype) else int64)


def the_axis(name: str, x: Tensor, axis: int | None) -> int:
    """The axis counted from 0; None means the only one."""
    if axis is None and x.ndim != 1:
        raise ShapeError(
            f"{name}: which axis?",
            details=[f"got {x.type}, {x.ndim} axes, and no axis"],
            source=current_source(),
            fix="give axis=..., or flatten with gc.reshape(x, (-1,))",
        )
    return checked_axis(name, 0 if axis is None else axis, x.ndim)


def added_at(
    b: Builder, positions: Tensor, values: Tensor, axis: int, size: Size | None = None
) -> Tensor:
    """Zeros in the shape of values, with each value added at its position along the axis.

    positions: in range, of the shape of values. size: of the axis of the result, that of values by
    default. This is the transpose of `take_along_axis`.
    """
    shape = values.shape
    size = shape[axis] if size is None else size
    rows, inner = size_product(shape[:axis]), size_product(shape[axis + 1 :])
    row = b.reshape(b.arange(rows), (*shape[:axis], *(1,) * (values.ndim - axis)))
    within = b.reshape(b.arange(inner), (*(1,) * (axis + 1), *shape[axis + 1 :]))
    place = b.add(b.multiply(row, size), positions)
    flat = b.reshape(b.add(b.multiply(place, inner), within), (-1,))
    total = b.scatter_add(flat, b.reshape(values, (-1,)), 0, rows * size * inner)
    return b.reshape(total, (*shape[:axis], size, *shape[axis + 1 :]))


def same_type(call: Inference) -> TensorType:
    """The type of the input, which has the axis."""
    x, axis = call.types[0], call.attrs["axis"]
    if not 0 <= axis < x.ndim:
        raise ShapeError(f"{call.op}: {x} has no axis {axis}", fix="axes are counted from 0")
    return x


def accumulate(function: Any, wide: bool = True) -> Callable[..., np.ndarray]:
    """The reference of running values: a numpy function of two arguments; floats in float64."""

    def reference(attrs: Attributes, x: np.ndarray) -> np.ndarray:
        axis = attrs["axis"]
        values = x.astype(double(x.dtype)) if wide and is_inexact(x.dtype) else x
        values = np.flip(values, axis) if attrs["reverse"] else values
        with np.errstate(all="ignore"):
            result = function.accumulate(values, axis=axis, dtype=values.dtype)
            result = np.flip(result, axis) if attrs["reverse"] else result
            return np.asarray(result).astype(x.dtype)

    return reference


def cumulative_examples(
    build: Callable[..., Tensor], initial: bool = True
) -> Callable[[Generator], list[Example]]:
    def examples(rng: Generator) -> list[Example]:
        def example(shape: tuple[int, ...], **options: Any) -> Example:
            values = rng.permutation(np.linspace(-2, 2, int(np.prod(shape)))) + 0.1  # no ties
            return Example(lambda x: build(x, **options), (values.reshape(shape),))

        found = [example(shape) for shape in ((7,), (1,), (0,))]
        found += [example((3, 4, 5), axis=axis) for axis in (0, 1, -1)]
        found += [example((4, 19), axis=0, reverse=True), example((3, 5), axis=1, reverse=True)]
        found += [example((2, 0, 3), axis=axis) for axis in (0, 1)]
        found += [example((3, 1), axis=1), example((3, 1), axis=0)]
        if initial:
            found += [example((3, 4), axis=axis, include_initial=True) for axis in (0, 1)]
        return found

    return examples
