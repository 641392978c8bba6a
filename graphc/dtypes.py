"""Element types and their promotion.

dtypes are plain ``numpy.dtype`` objects in native byte order. Promotion follows the Array API
standard; Python scalars are weak: they take the dtype of the array they meet. Where the standard
leaves the result open (integer with floating point), the floating-point dtype wins with its own
width, so that float32 in never makes float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from graphc.errors import DTypeError

# Public as gc.float32, gc.promote, ...; the rest is for graphc itself.
__all__ = [
    "as_dtype",
    "bfloat16",
    "bool_",
    "complex128",
    "complex64",
    "float16",
    "float32",
    "float64",
    "int16",
    "int32",
    "int64",
    "int8",
    "promote",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
]


def __dir__() -> list[str]:
    return __all__


DType: TypeAlias = np.dtype[Any]
Scalar: TypeAlias = bool | int | float | complex

bool_: DType = np.dtype(np.bool_)
int8: DType = np.dtype(np.int8)
int16: DType = np.dtype(np.int16)
int32: DType = np.dtype(np.int32)
int64: DType = np.dtype(np.int64)
uint8: DType = np.dtype(np.uint8)
uint16: DType = np.dtype(np.uint16)
uint32: DType = np.dtype(np.uint32)
uint64: DType = np.dtype(np.uint64)
float16: DType = np.dtype(np.float16)
bfloat16: DType = np.dtype(ml_dtypes.bfloat16)
float32: DType = np.dtype(np.float32)
float64: DType = np.dtype(np.float64)
complex64: DType = np.dtype(np.complex64)
complex128: DType = np.dtype(np.complex128)

signed_dtypes: tuple[DType, ...] = (int8, int16, int32, int64)
unsigned_dtypes: tuple[DType, ...] = (uint8, uint16, uint32, uint64)
integer_dtypes: tuple[DType, ...] = signed_dtypes + unsigned_dtypes
floating_dtypes: tuple[DType, ...] = (float16, bfloat16, float32, float64)
half_dtypes: tuple[DType, ...] = (float16, bfloat16)  # kept narrow, computed in float32
complex_dtypes: tuple[DType, ...] = (complex64, complex128)
real_dtypes: tuple[DType, ...] = (bool_, *integer_dtypes, *floating_dtypes)  # what backends know
all_dtypes: tuple[DType, ...] = (*real_dtypes, *complex_dtypes)

default_float: DType = float32
default_complex: DType = complex64
default_int: DType = int64

finfo: Callable[[DType], Any] = ml_dtypes.finfo  # numpy's own, and that of bfloat16
iinfo = np.iinfo

_PYTHON_TYPES: dict[object, DType] = {
    bool: bool_,
    int: default_int,
    float: default_float,
    complex: default_complex,
}
_KNOWN = frozenset(all_dtypes)


def as_dtype(value: object) -> DType:
    """The dtype that ``value`` names: a name such as 'float32' or 'f4', a numpy dtype or scalar
    type, or Python's bool, int, float or complex (bool, int64, float32 and complex64)."""
    if isinstance(value, type) and value in _PYTHON_TYPES:
        return _PYTHON_TYPES[value]
    if isinstance(value, str) and value in _BY_SHORT_NAME:
        return _BY_SHORT_NAME[value]
    if value is None:  # numpy would read None as float64
        raise _unknown(value)
    try:
        dtype: DType = np.dtype(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, SyntaxError) as error:
        raise _unknown(value) from error
    dtype = dtype.newbyteorder("=")
    if dtype not in _KNOWN:
        raise _unknown(value)
    return np.dtype(dtype.type)


def _unknown(value: object) -> DTypeError:
    allowed = ", ".join(dtype.name for dtype in all_dtypes)
    sizes = "; sizes go into one tuple: (2, 3)" if isinstance(value, int | float) else ""
    return DTypeError(
        f"not a dtype: {value!r}; allowed are {allowed}",
        fix=f"write its name, or gc.float32{sizes}",
    )


def is_bool(dtype: DType) -> bool:
    """Whether the values are truth values."""
    return dtype.kind == "b"


def is_integer(dtype: DType) -> bool:
    """Whether the values are integers, signed or not; bool is not an integer."""
    return dtype.kind in "iu"


def is_signed(dtype: DType) -> bool:
    """Whether the values can be negative."""
    return dtype.kind in "if" or dtype == bfloat16


def is_floating(dtype: DType) -> bool:
    """Whether the values are real floating-point numbers."""
    return dtype.kind == "f" or dtype == bfloat16


def is_half(dtype: DType) -> bool:
    """Whether the values are kept in 16 bits and computed in float32: float16 and bfloat16."""
    return dtype in half_dtypes


def is_complex(dtype: DType) -> bool:
    """Whether the values are complex numbers."""
    return dtype.kind == "c"


def is_inexact(dtype: DType) -> bool:
    """Whether the values are floating-point numbers, real or complex: what has derivatives."""
    return dtype.kind in "fc" or dtype == bfloat16


def is_numeric(dtype: DType) -> bool:
    """Whether the values are real numbers: integer or floating point."""
    return dtype.kind in "iuf" or dtype == bfloat16


def kind_of(dtype: DType) -> str:
    """numpy's letter for the kind: b i u f c. To numpy bfloat16, which it does not have, is V."""
    return "f" if dtype == bfloat16 else dtype.kind


def real_dtype(dtype: DType) -> DType:
    """The dtype of the real and imaginary parts; a real dtype is its own."""
    return _PARTS.get(dtype, dtype)


def complex_dtype(dtype: DType) -> DType:
    """The complex dtype whose parts hold the values of `dtype`; complex64 for what is no float."""
    return complex128 if dtype in (float64, complex128) else complex64


def double(dtype: DType) -> DType:
    """float64 or complex128: what narrower numbers are computed in where they are rounded once."""
    return complex128 if is_complex(dtype) else float64


_PARTS = {complex64: float32, complex128: float64}


def lowest(dtype: DType) -> float:
    """The value that no real one is below: -inf of floating-point numbers, False of bool."""
    if is_floating(dtype):
        return -np.inf
    return False if is_bool(dtype) else int(np.iinfo(dtype).min)


def highest(dtype: DType) -> float:
    """The value that no real one is above."""
    if is_floating(dtype):
        return np.inf
    return True if is_bool(dtype) else int(np.iinfo(dtype).max)


def short_name(dtype: DType) -> str:
    """'f32', 'bf16', 'c64', 'i64', 'u8', 'bool'."""
    if dtype == bfloat16:
        return "bf16"
    return "bool" if dtype.kind == "b" else f"{dtype.kind}{8 * dtype.itemsize}"


_BY_SHORT_NAME = {  # numpy's 'i8' means 8 bytes: a name that numpy knows keeps numpy's meaning
    short_name(dtype): dtype for dtype in all_dtypes if dtype.itemsize > 1
}


# Promotion


def promote(*dtypes: DType) -> DType:
    """The dtype of an operation on arrays of ``dtypes``: associative and commutative."""
    if not dtypes:
        raise DTypeError("promote needs at least one dtype")
    if not all(isinstance(dtype, np.dtype) for dtype in dtypes):
        dtypes = tuple(map(as_dtype, dtypes))
    result = dtypes[0]
    for dtype in dtypes[1:]:
        if dtype != result:
            result = _promote_pair(result, dtype)
    return result


def _promote_pair(a: DType, b: DType) -> DType:
    if is_half(a) and is_half(b):  # neither holds the other
        return float32
    if kind_of(a) == kind_of(b):
        return a if a.itemsize >= b.itemsize else b
    if is_bool(a) or is_bool(b):
        return b if is_bool(a) else a
    if is_complex(a) or is_complex(b):
        return _promote_complex(*((a, b) if is_complex(a) else (b, a)))
    if is_floating(a) or is_floating(b):
        return a if is_floating(a) else b
    signed, unsigned = (a, b) if is_signed(a) else (b, a)
    if unsigned == uint64:
        raise DTypeError(
            f"{signed.name} and {unsigned.name} have no common integer dtype",
            fix="cast one of them, for example x.astype('int64')",
        )
    return next(
        dtype
        for dtype in signed_dtypes
        if dtype.itemsize >= signed.itemsize and dtype.itemsize > unsigned.itemsize
    )


def _promote_complex(number: DType, real: DType) -> DType:
    """complex64 with float64 is complex128; integers take the width of the complex dtype."""
    return complex_dtype(real) if real == float64 else number


def weak_result(dtype: DType, scalar: Scalar) -> DType:
    """The dtype of an operation on an array of ``dtype`` and a Python scalar.

    The scalar takes the array's dtype where its kind allows: bool < int < float < complex. An int
    must fit the integer dtype it takes.
    """
    if isinstance(scalar, bool):
        return dtype
    if isinstance(scalar, int):
        result = default_int if is_bool(dtype) else dtype
        if is_integer(result):
            _check_range(result, scalar)
        return result
    if isinstance(scalar, float):
        return dtype if is_inexact(dtype) else default_float
    if isinstance(scalar, complex):
        return dtype if is_complex(dtype) else complex_dtype(dtype)
    raise DTypeError(
        f"not a Python scalar: {scalar!r} of type {type(scalar).__name__}; "
        "allowed are bool, int, float and complex",
        fix="pass a number, an array or a dtype",
    )


def _check_range(dtype: DType, value: int) -> None:
    limits = np.iinfo(dtype)
    if not limits.min <= value <= limits.max:
        raise DTypeError(
            f"the integer {value} is out of the range of {dtype.name}: "
            f"{limits.min} to {limits.max}",
            fix="cast the array to a wider dtype",
        )


def scalar_dtype(scalar: Scalar) -> DType:
    """The dtype of a Python scalar that meets no array: bool, int64, float32 or complex64."""
    return weak_result(bool_, scalar)


def result_type(*args: DType | Scalar) -> DType:
    """The dtype of an operation on arrays (given by their dtypes) and Python scalars.

    The arrays promote first, then the scalars join weakly.
    """
    dtypes = [arg for arg in args if isinstance(arg, np.dtype)]
    scalars = [arg for arg in args if not isinstance(arg, np.dtype)]
    if not args:
        raise DTypeError(
            "result_type needs at least one dtype or scalar",
            fix="pass arrays, numbers or dtypes",
        )
    result = promote(*dtypes) if dtypes else bool_
    # The kind is settled first: an int beside a float only has to fit the float.
    for scalar in sorted(scalars, key=_kind_rank, reverse=True):
        result = weak_result(result, scalar)
    return result


def _kind_rank(scalar: Scalar) -> int:
    if isinstance(scalar, bool):
        return 0
    if isinstance(scalar, int):
        return 1
    return 2 if isinstance(scalar, float) else 3
