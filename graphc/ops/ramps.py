"""Ramps and the identity matrix: numbers made from their positions.

Lengths may be symbolic. Nothing here has inputs, so nothing carries a derivative.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.conversion import integer_loss, shown
from graphc.dtypes import (
    DType,
    as_dtype,
    default_complex,
    default_float,
    float64,
    int64,
    is_complex,
    is_inexact,
    is_integer,
    real_dtype,
)
from graphc.errors import DTypeError, ParameterError, ShapeError
from graphc.ir.arguments import checked_device, checked_diagonal
from graphc.ir.lowering import IndexMap, LoweringContext
from graphc.ir.node import Attributes, Node, TensorType
from graphc.ir.opdef import Example, Inference, OpDef
from graphc.ir.parts import Parts, Value
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import as_float, convert, is_weak
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Dim, Size, as_size, ceil_div, dim_max

__all__ = ["arange", "eye", "linspace"]

_NO_DERIVATIVE = frozenset({"nondifferentiable"})


def _size(name: str, value: Any) -> Size:
    try:
        return as_size(value)
    except ShapeError as error:
        error.message, error.source = f"{name}: {error.message}", current_source()
        raise


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
        length = (stop - start) / step
        if not math.isfinite(length):
            raise ParameterError(
                f"arange: from {start} to {stop} by {step} has no end",
                source=current_source(),
                fix="give finite numbers",
            )
        return max(math.ceil(length), 0)
    first, last = as_size(start), as_size(stop)
    span = last - first if step > 0 else first - last
    return dim_max(ceil_div(span, int(abs(step))), 0)


def _check_range(dtype: DType, start: float, step: float, length: Size) -> None:
    """Whether an integer dtype holds all of these numbers."""
    last = start + (length - 1) * step if isinstance(length, int) and length else start
    # A negative step is for unsigned numbers, too.
    for what, value, held in (("start", start, dtype), ("step", step, int64), ("end", last, dtype)):
        lost = integer_loss(value, held)
        if lost is not None:
            raise DTypeError(
                f"arange: the {what}, {shown(value)}, is no {held.name}: {lost}",
                source=current_source(),
                fix="give a dtype that holds all the numbers, or cast with .astype after it",
            )


def _plain(value: Any) -> Any:
    """A number of numpy, or an array of one without axes, as a number of Python."""
    single = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim)
    return value.item() if single else value


@public
def arange(
    start: Any, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """start, start + step, start + 2 step, ... below stop; arange(stop) starts at 0.

    start, stop: numbers or symbolic sizes; the length is then symbolic too. step: a number, not 0.
    dtype: int64 for integers, float32 if one of them is a float.
    Raises ShapeError for step 0, DTypeError for bounds that are not numbers or mix floats and
    symbolic sizes, and for numbers that an integer dtype does not hold.
    """
    checked_device("arange", device)
    if stop is None:
        start, stop = 0, start
    bounds = [_plain(value) for value in (start, stop)]
    step = _plain(step)
    for value in (*bounds, step):
        if not isinstance(value, int | float | Dim) or (value is step and isinstance(value, Dim)):
            raise DTypeError(
                f"arange: got {value!r:.120}, a {type(value).__name__}",
                code="E216",
                source=current_source(),
                fix="start and stop are numbers or sizes such as x.shape[0], step is a number",
            )
    if step == 0:
        raise ShapeError(
            "arange: step is 0",
            source=current_source(),
            fix="give a step that is not 0",
        )
    length = _length(bounds[0], bounds[1], step)
    is_float = any(isinstance(value, float) for value in (*bounds, step))
    target = (default_float if is_float else int64) if dtype is None else as_dtype(dtype)
    if isinstance(length, int) and length <= 1:
        step = 1  # of any size: nothing is that many times away from start
    if is_integer(target) and not isinstance(bounds[0], Dim):
        _check_range(target, bounds[0], step, length)
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
    default, complex64 between complex numbers. Raises DTypeError for a dtype that is not inexact,
    and for a real one between complex numbers.
    """
    checked_device("linspace", device)
    has_complex = any(_is_complex(value) for value in (start, stop))
    usual = default_complex if has_complex else default_float
    target = usual if dtype is None else as_dtype(dtype)
    length = _size("linspace", num)
    if not is_inexact(target) or (has_complex and not is_complex(target)):
        raise DTypeError(
            f"linspace: not for {target.name}",
            code="E214",
            source=current_source(),
            fix="use a complex dtype"
            if has_complex
            else "use a floating-point dtype, and .astype after it",
        )
    if is_complex(target):
        kind = real_dtype(target)
        real, imag = (
            linspace(part(start), part(stop), length, dtype=kind, endpoint=endpoint)
            for part in (_real, _imag)
        )
        return BUILDER.complex(real, imag)
    options = {"length": length, "dtype": target, "endpoint": bool(endpoint)}
    if all(is_weak(value) and not isinstance(value, Dim) for value in (start, stop)):
        return LINSPACE(
            start=as_float("linspace", start), stop=as_float("linspace", stop), **options
        )
    first, last = convert(start, target), convert(stop, target)
    if first.ndim or last.ndim:
        raise ShapeError(
            f"linspace: from {first.type} to {last.type}",
            source=current_source(),
            fix="start and stop are scalars; gc.vmap makes a ramp for each of several",
        )
    ramp = LINSPACE(start=0.0, stop=1.0, **options)
    return BUILDER.add(first, BUILDER.multiply(ramp, BUILDER.subtract(last, first)))


def _is_complex(value: Any) -> bool:
    return isinstance(value, complex) or (hasattr(value, "dtype") and is_complex(value.dtype))


def _real(value: Any) -> Any:
    return BUILDER.real(value) if isinstance(value, Tensor) else value.real


def _imag(value: Any) -> Any:
    if isinstance(value, Tensor):
        return BUILDER.imag(value) if is_complex(value.dtype) else 0.0
    return value.imag


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
    return EYE(shape=(rows, cols), k=checked_diagonal("eye", "k", k), dtype=target)
