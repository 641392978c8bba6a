"""What op files define their ops with: inputs of one dtype, and derivatives from partials."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import (
    DType,
    default_float,
    float32,
    is_bool,
    is_complex,
    is_half,
    is_inexact,
    is_integer,
    is_numeric,
    result_type,
)
from graphc.errors import DTypeError, GraphcError
from graphc.ir.leaf import CONSTANT, as_tensor
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Application, Gradients, real_instead
from graphc.ir.registry import Builder
from graphc.ir.source import current_source, current_sources
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.shapes import Dim

# Promotion


@dataclass(frozen=True, slots=True)
class Accepts:
    """The dtypes that an op takes, and the words for it in docstrings and errors."""

    holds: Callable[[DType], bool]
    text: str


ANY = Accepts(lambda dtype: True, "any dtype")
NUMERIC = Accepts(lambda dtype: not is_bool(dtype), "numeric dtypes (not bool)")
REAL = Accepts(is_numeric, "real numeric dtypes (not bool)")
NOT_HALF = Accepts(lambda dtype: is_numeric(dtype) and not is_half(dtype), "wider real dtypes")
FLOATING = ANY  # of ops that make integers float32 first
ANY_REAL = Accepts(lambda dtype: not is_complex(dtype), "any dtype but complex ones")
INTEGRAL = Accepts(lambda dtype: is_integer(dtype) or is_bool(dtype), "integer dtypes and bool")
INTEGER = Accepts(is_integer, "integer dtypes")
WITHOUT_COMPLEX = {NUMERIC: REAL, ANY: ANY_REAL}


def is_weak(value: Any) -> bool:
    """Python scalars and symbolic sizes take the dtype of what they meet."""
    return isinstance(value, bool | int | float | complex | Dim) and not isinstance(
        value, np.generic
    )


def located(error: GraphcError, name: str) -> GraphcError:
    """The error with the op's name and the user's line, where it has none yet."""
    if not error.message.startswith(name + ":"):
        error.message = f"{name}: {error.message}"
    if error.source is None:
        error.source = current_source()
    return error


def promote_inputs(name: str, *values: Any) -> tuple[Tensor, ...]:
    """Tensors of one common dtype; casts are explicit nodes, weak scalars become constants."""
    dtype = _shared_dtype(values)
    try:
        if dtype is not None:
            return tuple([v if isinstance(v, Tensor) else _number(v, dtype) for v in values])
        values = tuple(value if is_weak(value) else as_tensor(value) for value in values)
        dtype = result_type(*map(_promotable, values))
        return tuple(convert(value, dtype) for value in values)
    except GraphcError as error:
        raise located(error, name) from None
    except OverflowError:
        raise _too_long(name) from None


def _shared_dtype(values: tuple[Any, ...]) -> DType | None:
    """The answer in the common case: tensors of one dtype, and numbers beside floats."""
    shared: DType | None = None
    numbers = False
    for value in values:
        if isinstance(value, Tensor):
            dtype = value.dtype
            if shared is not None and dtype != shared:
                return None
            shared = dtype
        elif type(value) is float or type(value) is int:
            numbers = True
        else:
            return None
    return None if shared is None or (numbers and not is_inexact(shared)) else shared


def _promotable(value: Any) -> Any:
    if isinstance(value, Dim):
        return 1
    return value if is_weak(value) else value.dtype


def convert(value: Any, dtype: DType) -> Tensor:
    """`value` as a tensor of `dtype`."""
    if isinstance(value, Tensor):
        return value if value.dtype == dtype else value.astype(dtype)
    if is_weak(value) and not isinstance(value, Dim):
        return _number(value, dtype)
    return as_tensor(value, dtype)


def _number(value: complex, dtype: DType) -> Tensor:
    """A constant from a number of Python."""
    negative = (math.copysign(1.0, value.real) < 0, math.copysign(1.0, value.imag) < 0)
    array, type_ = _scalar(value, dtype, negative)
    return Tensor(Node(CONSTANT, (), {"value": array}, (type_,), current_sources()))


@functools.lru_cache(maxsize=1024, typed=True)
def _scalar(
    value: complex, dtype: DType, negative: tuple[bool, ...]
) -> tuple[np.ndarray, TensorType]:
    """A read-only scalar, shared by all constants of its value. negative: tells -0.0 from 0.0."""
    with np.errstate(over="ignore"):
        array = np.array(value, dtype=dtype)
    array.flags.writeable = False
    return array, TensorType(dtype, ())


def as_float(name: str, value: Any) -> Any:
    """A number of Python as a float, complex ones as they are; DTypeError for an endless one."""
    try:
        return value if isinstance(value, complex) else float(value)
    except OverflowError:
        raise _too_long(name) from None


def _too_long(name: str) -> GraphcError:
    error = DTypeError("an integer does not fit any dtype", fix="write it as a float")
    return located(error, name)


def check_dtype(name: str, dtype: DType, accepts: Accepts) -> None:
    """DTypeError if the op does not take `dtype`."""
    if not accepts.holds(dtype):
        error = DTypeError(
            f"{name}: not for {dtype.name}",
            code="E214",
            details=[f"got {dtype.name}, allowed: {accepts.text}"],
            fix=real_instead(name) if is_complex(dtype) else "cast with x.astype(...)",
        )
        raise located(error, name)


def one_input(name: str, value: Any, accepts: Accepts = ANY) -> Tensor:
    """`value` as a tensor whose dtype the op takes."""
    (tensor,) = promote_inputs(name, value)
    check_dtype(name, tensor.dtype, accepts)
    return tensor


def floating(tensor: Tensor) -> Tensor:
    """Integers and truth values become float32; floating-point and complex tensors stay."""
    return tensor if is_inexact(tensor.dtype) else tensor.astype(default_float)


def widened(tensor: Tensor) -> Tensor:
    """float16 and bfloat16 as float32: what adds up many numbers, or their squares, soon leaves
    the halves, and whole numbers end at some hundreds or thousands."""
    return tensor.astype(float32) if is_half(tensor.dtype) else tensor


def rounded_once(build: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """(b, *tensors, **attrs) -> build on them; halves are computed in float32."""

    def run(b: Any, *inputs: Tensor, **attrs: Any) -> Tensor:
        return convert(build(b, *map(widened, inputs), **attrs), inputs[0].dtype)

    return run


# Derivatives from partials


@dataclass(frozen=True, slots=True)
class Over:
    """A partial derivative 1 / divisor: the gradient is divided, which rounds once."""

    divisor: Tensor


# A number; a tensor to multiply by; a truth value: the gradient passes where it holds; or Over.
# None: the output does not depend on the input in a differentiable way.
Partial = Tensor | Over | int | float | None
PartialRule = Callable[[Builder, Application], Partial] | int | None


def scaled(b: Builder, gradient: Tensor, partial: Tensor | Over | int | float) -> Tensor:
    """gradient * partial."""
    if isinstance(partial, Over):
        return b.divide(gradient, partial.divisor)
    if isinstance(partial, Tensor):
        if is_bool(partial.dtype):
            return b.where(partial, gradient, 0)
        return b.multiply(gradient, partial)
    if partial == 1:
        return gradient
    return b.negative(gradient) if partial == -1 else b.multiply(gradient, partial)


def _partial(rule: PartialRule, b: Builder, application: Application) -> Partial:
    return rule(b, application) if callable(rule) else rule


def vjp_from_partials(partials: Sequence[PartialRule]) -> Callable[..., Gradients]:
    def vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
        gradient = gradients[0]
        assert gradient is not None
        results: list[Tensor | None] = []
        for number, rule in enumerate(partials):
            partial = _partial(rule, b, application) if application.wants(number) else None
            if partial is None:
                results.append(None)
            elif isinstance(partial, int | float) and partial == 0:
                results.append(b.zeros_like(application.inputs[number]))
            else:
                results.append(scaled(b, gradient, partial))
        return results

    return vjp


def jvp_from_partials(partials: Sequence[PartialRule]) -> Callable[..., Gradients]:
    def jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
        total: Tensor | None = None
        for rule, tangent in zip(partials, tangents, strict=True):
            if tangent is None:
                continue
            partial = _partial(rule, b, application)
            if partial is None or (isinstance(partial, int | float) and partial == 0):
                continue
            term = scaled(b, tangent, partial)
            if is_complex(term.dtype) and not is_complex(application.output.dtype):
                term = b.real(term)
            total = term if total is None else b.add(total, term)
        return [total]

    return jvp


def linear_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    """The jvp of a linear op of one input: the op on the tangent."""
    tangent = tangents[0]
    node = application.node
    return [None] if tangent is None else node.op.apply((tangent,), node.attrs)
