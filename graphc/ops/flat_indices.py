"""Places in an array as one number, counted in row-major order, and as an index for each axis."""

from collections.abc import Sequence
from typing import Any, Literal

from graphc.dtypes import int64
from graphc.errors import IndexOutOfRange, ParameterError, ShapeError
from graphc.ir.arguments import ShapeLike, checked_shape
from graphc.ir.leaf import CONSTANT
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import INTEGER, one_input
from graphc.shapes import Shape, Size, format_shape, size_product

__all__ = ["ravel_multi_index", "unravel_index"]


def _inside(name: str, index: Tensor, size: Size, what: str) -> Tensor:
    """The index, which is in [0, size): known ones are looked at here, others at the call."""
    if index.node.op is CONSTANT and isinstance(size, int):
        values = index.node.attrs["value"]
        bad = values[(values < 0) | (values >= size)]
        if bad.size:
            raise IndexOutOfRange(
                f"{name}: index {bad.flat[0]} is out of range for {what} of size {size}",
                source=current_source(),
                fix=f"indices must be in [0, {size})",
            )
        return index
    holds = (index >= 0) & (index < BUILDER.as_tensor(size, int64))
    return BUILDER.assert_(index, holds, f"the index of {name} lies within {what}")


@public
def unravel_index(indices: Any, shape: ShapeLike) -> tuple[Tensor, ...]:
    """For each axis of an array of `shape` the index of the elements that are number `indices` in
    row-major order: int64, in the shape of indices.

    indices: integers in [0, size). shape: sizes, symbolic ones too. IndexOutOfRange for constants
    outside; AssertionFailed at the call for others.
    """
    sizes = checked_shape("unravel_index", shape)
    number = one_input("unravel_index", indices, INTEGER).astype(int64)
    whole = f"an array of shape {format_shape(sizes)}"
    number = _inside("unravel_index", number, size_product(sizes), whole)
    found: list[Tensor] = []
    for axis, size in enumerate(sizes):
        inner = size_product(sizes[axis + 1 :])
        index = number if inner == 1 else BUILDER.floor_divide(number, inner)
        found.append(index if axis == 0 else BUILDER.remainder(index, size))
    return tuple(found)


@public
def ravel_multi_index(
    multi_index: Sequence[Any],
    dims: ShapeLike,
    mode: Literal["raise", "wrap", "clip"] = "raise",
) -> Tensor:
    """The number, in row-major order, of the elements of an array of shape `dims` that have these
    indices: int64.

    multi_index: integers for each axis, of shapes that broadcast. dims: sizes, symbolic ones too.
    mode: what becomes of an index outside [0, size): an error, the remainder by the size, or the
    nearest end. ShapeError for another number of indices; errors as for `unravel_index`.
    """
    sizes: Shape = checked_shape("ravel_multi_index", dims)
    if mode not in ("raise", "wrap", "clip"):
        raise ParameterError(
            f"ravel_multi_index: mode={mode!r:.30}",
            source=current_source(),
            fix='mode is "raise", "wrap" or "clip"',
        )
    given = list(multi_index)
    if len(given) != len(sizes) or not given:
        raise ShapeError(
            f"ravel_multi_index: {len(given)} indices for {format_shape(sizes)}",
            source=current_source(),
            fix="give an array of integers for each axis",
        )
    total: Any = None
    for axis, (value, size) in enumerate(zip(given, sizes, strict=True)):
        index = one_input("ravel_multi_index", value, INTEGER).astype(int64)
        if mode == "raise":
            index = _inside("ravel_multi_index", index, size, f"axis {axis}")
        elif mode == "wrap":
            index = BUILDER.remainder(index, size)
        else:
            index = BUILDER.maximum(BUILDER.minimum(index, size - 1), 0)
        total = index if total is None else total * size + index
    result: Tensor = total
    return result
