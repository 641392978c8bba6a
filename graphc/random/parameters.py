"""Parameters of distributions: numbers or tensors that broadcast to the shape, checked."""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import DType, as_dtype, float32, is_floating, is_half
from graphc.errors import DTypeError, ParameterError, ShapeError
from graphc.ir.arguments import ShapeLike
from graphc.ir.leaf import CONSTANT, as_tensor
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.broadcasting import broadcast_arrays, broadcast_to
from graphc.random.keys import sizes_of
from graphc.records import dataclass
from graphc.shapes import Shape, format_shape

__all__ = [
    "ANY",
    "NOT_NEGATIVE",
    "POSITIVE",
    "PROBABILITY",
    "Allowed",
    "Parameter",
    "check_range",
    "fixed",
    "float_dtype",
    "known_integer",
    "parameter",
    "shape_of",
    "shifted",
    "spread",
    "working_dtype",
]

Parameter = Tensor | float


@dataclass(frozen=True, slots=True)
class Allowed:
    """The numbers that a parameter may be, and the words for them."""

    holds: Callable[[np.ndarray], Any]
    text: str


ORDER = "pass parameters by name, as in rng.normal(loc=mean) or rng.poisson((3,), rate=mean)"

ANY = Allowed(lambda x: x == x, "numbers")
POSITIVE = Allowed(lambda x: x > 0, "numbers > 0")
NOT_NEGATIVE = Allowed(lambda x: x >= 0, "numbers >= 0")
PROBABILITY = Allowed(lambda x: (x >= 0) & (x <= 1), "probabilities, from 0 to 1")


def float_dtype(name: str, dtype: Any) -> DType:
    """A floating-point dtype, or DTypeError."""
    if isinstance(dtype, int | float | tuple | Tensor | np.ndarray):
        raise DTypeError(
            f"{name}: the dtype is {' '.join(repr(dtype).split()):.60}",
            code="E110",
            source=current_source(),
            fix=f"the arguments are the shape, the dtype, then the parameters: {ORDER}",
        )
    target = as_dtype(dtype)
    if not is_floating(target):
        raise DTypeError(
            f"{name}: not for {target.name}",
            code="E214",
            details=[f"got {target.name}, allowed: floating-point dtypes"],
            source=current_source(),
            fix="gc.random.integers draws integers",
        )
    return target


def working_dtype(dtype: DType) -> DType:
    """In what the numbers are computed: float16 and bfloat16 as float32."""
    return float32 if is_half(dtype) else dtype


def known_integer(value: Any) -> int | None:
    """A Python or numpy integer as an int; None for everything else."""
    return int(value) if isinstance(value, int | np.integer) else None


def fixed(value: Any) -> Any:
    """The number or array, if it is known while the graph is built; else None."""
    if isinstance(value, np.ndarray | np.generic | list | tuple):
        value = as_tensor(value)
    if isinstance(value, Tensor):
        return value.node.attrs["value"] if value.node.op is CONSTANT else None
    return value if isinstance(value, int | float) else None


def check_range(name: str, what: str, value: Any, allowed: Allowed) -> None:
    """ParameterError if the value is known now and not allowed."""
    known = fixed(value)
    if known is None:
        return
    if isinstance(known, int):
        _check_finite(name, what, known)
    array = np.asarray(known)
    if array.dtype.kind in "cmMOSU" or array.dtype.names:
        raise _refused(name, what, known)
    wrong = ~np.asarray(allowed.holds(array))
    if wrong.any():
        raise ParameterError(
            f"{name}: {what} is {array[wrong].flat[0]}",
            details=[f"allowed: {allowed.text}"],
            source=current_source(),
            fix="give values in the range that is allowed",
        )


def _check_finite(name: str, what: str, value: int) -> None:
    try:
        float(value)
    except OverflowError:
        raise ParameterError(
            f"{name}: {what} is {value!r:.40}...",
            details=["allowed: numbers that float64 holds, up to 1.8e308"],
            source=current_source(),
            fix="give a smaller number, or float('inf')",
        ) from None


def _refused(name: str, what: str, value: Any) -> DTypeError:
    return DTypeError(
        f"{name}: {what} is no number: {value!r:.60}",
        code="E214",
        source=current_source(),
        fix="the arguments are the key, the shape, then the parameters",
    )


def parameter(
    name: str, what: str, value: Any, shape: Shape, dtype: DType, allowed: Allowed = ANY
) -> Parameter:
    """A Python number as it is; anything else as a tensor of the shape and dtype."""
    if isinstance(value, bool | str | type) or value is None:
        raise _refused(name, what, value)
    if isinstance(value, int | float):
        check_range(name, what, value, allowed)
        return float(value)
    tensor = as_tensor(value)
    check_range(name, what, tensor, allowed)
    return spread(name, what, tensor.astype(dtype), shape)


def spread(name: str, what: str, tensor: Tensor, shape: Shape) -> Tensor:
    """The tensor in the shape of the result, or ShapeError."""
    if tensor.shape == shape:
        return tensor
    try:
        return broadcast_to(tensor, shape)
    except ShapeError:
        raise ShapeError(
            f"{name}: {what} does not broadcast to the shape",
            details=[f"{what}: {format_shape(tensor.shape)}    shape: {format_shape(shape)}"],
            source=current_source(),
            fix="the shape is that of the result, with the axes of all parameters",
        ) from None


def shape_of(name: str, shape: ShapeLike | None, *parameters: Any) -> Shape:
    """The shape asked for; that of the parameters together, if it is None."""
    if shape is not None:
        if isinstance(shape, float | Tensor):
            raise ShapeError(
                f"{name}: the shape is {shape!r:.60}",
                source=current_source(),
                fix=f"the first argument is the shape: {ORDER}",
            )
        return sizes_of(name, shape)
    alone = int | float | str | type | None  # numbers, and what `parameter` refuses
    tensors = [as_tensor(value) for value in parameters if not isinstance(value, alone)]
    if len(tensors) < 2:
        return tensors[0].shape if tensors else ()
    return broadcast_arrays(*tensors)[0].shape


def shifted(
    name: str, noise: Tensor, loc: Any, scale: Any, dtype: DType, allowed: Allowed = NOT_NEGATIVE
) -> Tensor:
    """loc + scale * noise, in the dtype asked for."""
    factor = parameter(name, "scale", scale, noise.shape, noise.dtype, allowed)
    offset = parameter(name, "loc", loc, noise.shape, noise.dtype)
    if isinstance(factor, Tensor) or factor != 1:
        noise = noise * factor
    if isinstance(offset, Tensor) or offset != 0:
        noise = noise + offset
    return noise.astype(dtype)
