"""Arrays made from sizes and numbers: constants, ramps and the identity matrix.

Shapes may contain symbolic sizes. Nothing here has inputs, so nothing carries a derivative.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from graphc.dtypes import (
    DType,
    as_dtype,
    default_float,
    float64,
    int64,
    is_complex,
    is_floating,
    is_integer,
    real_dtype,
    scalar_dtype,
)
from graphc.errors import DTypeError, ShapeError
from graphc.ir.arguments import ShapeLike, checked_device, checked_shape
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexMap, LoweringContext
from graphc.ir.node import Attributes, Node, TensorType
from graphc.ir.opdef import Example, Inference, OpDef
from graphc.ir.parts import Parts, Value
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import convert, is_weak
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Dim, Size, as_size, ceil_div, dim_max

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]

_NO_DERIVATIVE = frozenset({"nondifferentiable"})


def _size(name: str, value: Any) -> Size:
    try:
        return as_size(value)
    except ShapeError as error:
        error.message, error.source = f"{name}: {error.message}", current_source()
        raise


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
    Raises ShapeError for what is not a shape, DTypeError for what is not a dtype.
    """
    checked_device("full", device)
    sizes = checked_shape("full", shape)
    if any(isinstance(size, int) and size < 0 for size in sizes):
        raise ShapeError(f"full: negative size in {sizes}", source=current_source())
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
            raise ValueError(
                "asarray: copy=False, and this cannot be done without a copy; leave copy out"
            )
    return as_tensor(obj, dtype)


@public
def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A constant from an array of another library that has `__dlpack__`: a copy of it.

    Raises ValueError for copy=False.
    """
    checked_device("from_dlpack", device)
    if copy is False:
        raise ValueError("from_dlpack: copy=False, and constants are copies; leave copy out")
    return as_tensor(np.from_dlpack(x))


@public
def meshgrid(*arrays: Any, indexing: Literal["xy", "ij"] = "xy") -> list[Tensor]:
    """The coordinates of the points of a grid: the k-th result has arrays[k] along one axis and
    repeats it along the others.

    arrays: of one axis (or scalars), all of one dtype. indexing: "ij", the k-th array goes along
    axis k; "xy", the first two axes are exchanged. Raises ShapeError for arrays of more axes.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid: indexing is "xy" or "ij", got {indexing!r:.20}')
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


# --- arange --------------------------------------------------------------------------------------


def _lower_arange(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    start, step = context.attrs["start"], context.attrs["step"]
    dtype: DType = context.attrs["dtype"]
    if is_integer(dtype):
        return s.cast(s.add(Index(start), s.mul(index[0], Index(step))), dtype)
    position = s.cast(index[0], dtype)
    return s.add(_number(start, dtype), s.mul(position, _number(step, dtype)))


def _number(value: Any, dtype: DType) -> Expr:
    return s.cast(Index(value), dtype) if isinstance(value, Dim) else s.constant(value, dtype)


def _arange_reference(attrs: Attributes) -> np.ndarray:
    dtype = attrs["dtype"]
    positions = np.arange(attrs["length"])
    if is_integer(dtype):
        return np.asarray(attrs["start"] + positions * attrs["step"]).astype(dtype)
    start, step = dtype.type(attrs["start"]), dtype.type(attrs["step"])
    return np.asarray(start + positions.astype(dtype) * step)


def _infer_length(call: Inference) -> TensorType:
    return TensorType(call.attrs["dtype"], (call.attrs["length"],))


ARANGE = register(
    OpDef(
        "arange",
        infer=_infer_length,
        reference=_arange_reference,
        lower=IndexMap(_lower_arange),
        traits=_NO_DERIVATIVE,
        examples=lambda rng: [
            Example(build, (rng.normal(size=shape),))
            for shape in ((0,), (1,), (5,))
            for build in (
                lambda x: BUILDER.multiply(x, arange(x.shape[0])),
                lambda x: BUILDER.add(x, arange(1, 1 + 2 * x.shape[0], 2, dtype=x.dtype)),
                lambda x: BUILDER.add(x, arange(x.shape[0] - 1, -1, -1, dtype=x.dtype)),
                lambda x: BUILDER.add(BUILDER.sum(x), arange(0.0, 1.0, 0.25)),
            )
        ],
    )
)


def _length(start: float | Dim, stop: float | Dim, step: float) -> Size:
    """ceil((stop - start) / step), and 0 where that is negative."""
    if any(isinstance(value, float) for value in (start, stop, step)):
        if isinstance(start, Dim) or isinstance(stop, Dim):
            raise DTypeError(
                "arange: symbolic bounds need integers beside them",
                code="E216",
                source=current_source(),
                fix="scale afterwards: gc.arange(n) * 0.5",
            )
        return max(math.ceil((stop - start) / step), 0)
    first, last = as_size(start), as_size(stop)
    span = last - first if step > 0 else first - last
    return dim_max(ceil_div(span, int(abs(step))), 0)


@public
def arange(
    start: Any, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """start, start + step, start + 2 step, ... below stop; arange(stop) starts at 0.

    start, stop: numbers or symbolic sizes; the length is then symbolic too. step: a number, not 0.
    dtype: int64 for integers, float32 if one of them is a float.
    Raises ShapeError for step 0, DTypeError for bounds that are not numbers or mix floats and
    symbolic sizes.
    """
    checked_device("arange", device)
    if stop is None:
        start, stop = 0, start
    bounds = [value.item() if isinstance(value, np.generic) else value for value in (start, stop)]
    step = step.item() if isinstance(step, np.generic) else step
    for value in (*bounds, step):
        if not isinstance(value, int | float | Dim) or (value is step and isinstance(value, Dim)):
            raise DTypeError(
                f"arange: got {value!r:.40}, a {type(value).__name__}",
                code="E216",
                source=current_source(),
                fix="start and stop are numbers or sizes such as x.shape[0], step is a number",
            )
    if step == 0:
        raise ShapeError("arange: step is 0", source=current_source())
    length = _length(bounds[0], bounds[1], step)
    is_float = any(isinstance(value, float) for value in (*bounds, step))
    target = (default_float if is_float else int64) if dtype is None else as_dtype(dtype)
    if is_integer(target) and is_float:
        return ARANGE(start=bounds[0], step=step, length=length, dtype=float64).astype(target)
    return ARANGE(start=bounds[0], step=step, length=length, dtype=target)


# --- linspace ------------------------------------------------------------------------------------


def _lower_linspace(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    attrs, dtype = context.attrs, context.output.dtype
    start, stop = (s.constant(attrs[name], dtype) for name in ("start", "stop"))
    last = dim_max(attrs["length"] - 1, 1) if attrs["endpoint"] else attrs["length"]
    fraction = s.div(s.cast(index[0], dtype), s.cast(Index(last), dtype))
    value = s.add(start, s.mul(fraction, s.sub(stop, start)))
    if not attrs["endpoint"]:
        return value
    at_end = s.and_(s.eq(index[0], Index(last)), s.ne(index[0], Index(0)))
    return s.select(at_end, stop, value)


def _linspace_reference(attrs: Attributes) -> np.ndarray:
    start, stop = float(attrs["start"]), float(attrs["stop"])
    values = np.linspace(start, stop, attrs["length"], endpoint=attrs["endpoint"])
    return values.astype(attrs["dtype"])


LINSPACE = register(
    OpDef(
        "linspace",
        infer=_infer_length,
        reference=_linspace_reference,
        lower=IndexMap(_lower_linspace),
        traits=_NO_DERIVATIVE,
        examples=lambda rng: [
            Example(
                lambda x, end=end: BUILDER.multiply(
                    x, linspace(1, 3, x.shape[0], dtype=x.dtype, endpoint=end)
                ),
                (rng.normal(size=shape),),
            )
            for shape in ((0,), (1,), (2,), (9,))
            for end in (True, False)
        ],
    )
)


@public
def linspace(
    start: Any,
    stop: Any,
    num: Size,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """num equally spaced numbers from start to stop; endpoint: whether stop is the last.

    start, stop: numbers or scalar tensors. num: a size, symbolic ones too. dtype: float32 by
    default. Raises DTypeError for a dtype that is not floating.
    """
    checked_device("linspace", device)
    target = default_float if dtype is None else as_dtype(dtype)
    length = _size("linspace", num)
    if not is_floating(target):
        raise DTypeError(f"linspace: not for {target.name}", code="E214", source=current_source())
    options = {"length": length, "dtype": target, "endpoint": bool(endpoint)}
    if all(is_weak(value) and not isinstance(value, Dim) for value in (start, stop)):
        return LINSPACE(start=float(start), stop=float(stop), **options)
    first, last = convert(start, target), convert(stop, target)
    ramp = LINSPACE(start=0.0, stop=1.0, **options)
    return BUILDER.add(first, BUILDER.multiply(ramp, BUILDER.subtract(last, first)))


# --- eye -----------------------------------------------------------------------------------------


def _eye_reference(attrs: Attributes) -> np.ndarray:
    rows, cols = attrs["shape"]
    dtype: DType = attrs["dtype"]
    return np.eye(rows, cols, attrs["k"], dtype=dtype)


def _lower_eye(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    on_diagonal = s.eq(index[1], s.add(index[0], Index(context.attrs["k"])))
    return s.cast(on_diagonal, context.output.dtype)


def _eye_parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Parts:
    real = EYE(**{**node.attrs, "dtype": real_dtype(node.attrs["dtype"])})
    return Parts(real, b.zeros_like(real))


EYE = register(
    OpDef(
        "eye",
        infer=lambda call: TensorType(call.attrs["dtype"], call.attrs["shape"]),
        reference=_eye_reference,
        lower=IndexMap(_lower_eye),
        traits=_NO_DERIVATIVE,
        parts=_eye_parts,
        examples=lambda rng: [
            Example(
                lambda x, k=k: BUILDER.multiply(x, eye(x.shape[0], x.shape[1], k, dtype=x.dtype)),
                (rng.normal(size=shape),),
            )
            for shape in ((0, 0), (1, 1), (4, 4), (2, 5))
            for k in (0, 1, -1)
        ],
    )
)


@public
def eye(
    n_rows: Size,
    n_cols: Size | None = None,
    k: int = 0,
    *,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Ones on the k-th diagonal (positive: above the main one), zeros elsewhere.

    n_rows, n_cols: sizes, symbolic ones too; n_cols is n_rows by default. dtype: float32.
    """
    checked_device("eye", device)
    rows = _size("eye", n_rows)
    cols = rows if n_cols is None else _size("eye", n_cols)
    target = default_float if dtype is None else as_dtype(dtype)
    return EYE(shape=(rows, cols), k=int(k), dtype=target)
