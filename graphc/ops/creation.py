"""Arrays made from sizes and numbers: constants, and values of the user.

Shapes may contain symbolic sizes. Nothing here has inputs, so nothing carries a derivative.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from graphc.conversion import integer_loss, shown
from graphc.dtypes import (
    as_dtype,
    default_float,
    is_complex,
    is_inexact,
    is_integer,
    real_dtype,
    scalar_dtype,
)
from graphc.errors import DTypeError, ParameterError, ShapeError
from graphc.ir.arguments import ShapeLike, checked_device, checked_shape
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexMap
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Example, OpDef
from graphc.ir.parts import Parts, Value
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import as_float, is_weak
from graphc.scalar import expr as s
from graphc.shapes import Dim

__all__ = [
    "asarray",
    "empty",
    "empty_like",
    "from_dlpack",
    "full",
    "full_like",
    "meshgrid",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]

_NO_DERIVATIVE = frozenset({"nondifferentiable"})


# --- full ----------------------------------------------------------------------------------------


def _full_parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Parts:
    value, dtype, shape = node.attrs["value"], node.attrs["dtype"], node.attrs["shape"]
    return Parts(*(full(shape, part, real_dtype(dtype)) for part in (value.real, value.imag)))


FULL = register(
    OpDef(
        "full",
        infer=lambda call: TensorType(call.attrs["dtype"], call.attrs["shape"]),
        reference=lambda attrs: np.full(attrs["shape"], attrs["value"], dtype=attrs["dtype"]),
        lower=IndexMap(
            lambda context, index: s.constant(context.attrs["value"], context.attrs["dtype"])
        ),
        traits=_NO_DERIVATIVE,
        parts=_full_parts,
        examples=lambda rng: [
            Example(lambda x, v=v: BUILDER.add(x, full(x.shape, v, x.dtype)), (np.ones(shape),))
            for shape in ((), (0,), (3, 4))
            for v in (0, 2)
        ],
    )
)


@public
def full(shape: ShapeLike, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """An array with the same value everywhere.

    shape: sizes, symbolic ones too. fill_value: a number, or a tensor that broadcasts to the
    shape. dtype: by default that of the value: float32, int64 or bool.
    Raises ShapeError for what is not a shape, DTypeError for what is not a dtype, and for a number
    that it does not hold: 1.5 is no integer.
    """
    checked_device("full", device)
    sizes = checked_shape("full", shape)
    if any(isinstance(size, int) and size < 0 for size in sizes):
        raise ShapeError(
            f"full: negative size in {sizes}",
            source=current_source(),
            fix="sizes are ints >= 0",
        )
    if not is_weak(fill_value) or isinstance(fill_value, Dim):
        return BUILDER.broadcast_to(as_tensor(fill_value, dtype), sizes)
    target = scalar_dtype(fill_value) if dtype is None else as_dtype(dtype)
    if isinstance(fill_value, complex) and not is_complex(target):
        raise DTypeError(
            f"full: {fill_value} is no {target.name}",
            code="E214",
            source=current_source(),
            fix="give a complex dtype, or a real number",
        )
    if is_integer(target) and not isinstance(fill_value, bool):
        lost = integer_loss(fill_value, target)
        if lost is not None:
            raise DTypeError(
                f"full: {fill_value!r:.60} is no {target.name}: {lost}",
                source=current_source(),
                fix="give another dtype, or round the number first",
            )
    if is_inexact(target):
        as_float("full", fill_value)  # which refuses what no float holds
    with np.errstate(over="ignore"):
        value = np.asarray(fill_value).astype(target).item()
    return FULL(value=value, dtype=target, shape=sizes)


@public
def zeros(shape: ShapeLike, dtype: Any = None, *, device: Any = None) -> Tensor:
    """An array of zeros. shape: sizes, symbolic ones too. dtype: float32 by default."""
    return full(shape, 0, default_float if dtype is None else dtype, device=device)


@public
def ones(shape: ShapeLike, dtype: Any = None, *, device: Any = None) -> Tensor:
    """An array of ones. shape: sizes, symbolic ones too. dtype: float32 by default."""
    return full(shape, 1, default_float if dtype is None else dtype, device=device)


@public
def full_like(x: Any, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """fill_value in the shape of x; dtype: that of x by default."""
    tensor = as_tensor(x)
    return full(tensor.shape, fill_value, tensor.dtype if dtype is None else dtype, device=device)


@public
def zeros_like(x: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Zeros in the shape of x; dtype: that of x by default."""
    return full_like(x, 0, dtype, device=device)


@public
def ones_like(x: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Ones in the shape of x; dtype: that of x by default."""
    return full_like(x, 1, dtype, device=device)


@public
def empty(shape: ShapeLike, dtype: Any = None, *, device: Any = None) -> Tensor:
    """The same as zeros: a value has no elements without a meaning."""
    return zeros(shape, dtype, device=device)


@public
def empty_like(x: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """The same as zeros_like."""
    return zeros_like(x, dtype, device=device)


# --- from values ---------------------------------------------------------------------------------


@public
def asarray(
    obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
) -> Tensor:
    """A tensor from a tensor, array, number, symbolic size or nested list of them.

    dtype: the array's own by default; Python's floats are float32, ints int64. copy: values never
    change, so that True and None mean the same; False raises ValueError for what is no tensor of
    the dtype yet, because constants are copies.
    """
    checked_device("asarray", device)
    if copy is False:
        same = isinstance(obj, Tensor) and (dtype is None or obj.dtype == as_dtype(dtype))
        if not same:
            raise ParameterError(
                "asarray: copy=False, and this cannot be done without a copy",
                source=current_source(),
                fix="leave copy out",
            )
    return as_tensor(obj, dtype)


@public
def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A constant from an array of another library that has `__dlpack__`: a copy of it.

    Raises ValueError for copy=False, DTypeError for what has no `__dlpack__`, or no numbers.
    """
    checked_device("from_dlpack", device)
    if copy is False:
        raise ParameterError(
            "from_dlpack: copy=False, and constants are copies",
            source=current_source(),
            fix="leave copy out",
        )
    try:
        array = np.from_dlpack(x)
    except (AttributeError, BufferError) as error:
        raise DTypeError(
            f"from_dlpack: {shown(x)} gives no array of numbers: {error}",
            source=current_source(),
            fix="pass an array with __dlpack__ in the memory of the processor; gc.asarray takes "
            "lists and numbers",
        ) from None
    return as_tensor(array)


@public
def meshgrid(*arrays: Any, indexing: Literal["xy", "ij"] = "xy") -> list[Tensor]:
    """The coordinates of the points of a grid: the k-th result has arrays[k] along one axis and
    repeats it along the others.

    arrays: of one axis (or scalars), all of one dtype. indexing: "ij", the k-th array goes along
    axis k; "xy", the first two axes are exchanged. Raises ShapeError for arrays of more axes.
    """
    if indexing not in ("xy", "ij"):
        raise ParameterError(
            f"meshgrid: indexing={indexing!r:.20}",
            source=current_source(),
            fix='indexing is "xy" or "ij"',
        )
    rows = [BUILDER.reshape(as_tensor(array), (-1,)) for array in arrays]
    for array in arrays:
        tensor = as_tensor(array)
        if tensor.ndim > 1:
            raise ShapeError(
                f"meshgrid: got {tensor.type}, allowed is one axis",
                source=current_source(),
                fix="flatten it: gc.reshape(x, (-1,))",
            )
    if len({row.dtype for row in rows}) > 1:
        raise DTypeError(
            f"meshgrid: arrays of {' and '.join(sorted({row.dtype.name for row in rows}))}",
            code="E214",
            source=current_source(),
            fix="cast them to one dtype with x.astype(...)",
        )
    order = list(range(len(rows)))
    if indexing == "xy" and len(rows) > 1:
        order[0], order[1] = 1, 0
    shape = [rows[number].shape[0] for number in order]
    return [
        BUILDER.broadcast_to(
            BUILDER.reshape(
                row, [size if n == k else 1 for n, size in zip(order, shape, strict=True)]
            ),
            shape,
        )
        for k, row in enumerate(rows)
    ]
