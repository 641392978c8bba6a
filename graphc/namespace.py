"""What the Array API standard asks of a namespace: its constants, questions about data types, and
what the namespace says of itself."""

import math
from typing import Any

import numpy as np

from graphc import dtypes
from graphc.dtypes import (
    DType,
    as_dtype,
    default_float,
    default_int,
    is_bool,
    is_floating,
    is_inexact,
    kind_of,
)
from graphc.errors import DTypeError, GraphcError
from graphc.ir.arguments import checked_device
from graphc.ir.source import current_source
from graphc.ir.tensor import API_VERSION, CPU, Tensor
from graphc.ops.definition import is_weak
from graphc.records import dataclass
from graphc.surface import surface

__all__ = [
    "__array_api_version__",
    "__array_namespace_info__",
    "can_cast",
    "e",
    "finfo",
    "iinfo",
    "inf",
    "isdtype",
    "nan",
    "newaxis",
    "pi",
    "result_type",
]

__array_api_version__ = API_VERSION

e = math.e
inf = math.inf
nan = math.nan
pi = math.pi
newaxis = None

# --- questions about data types ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FloatInfo:
    """The limits of a floating-point dtype, as Python's numbers."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True, slots=True)
class IntInfo:
    """The limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: DType


@surface
def finfo(type: Any, /) -> FloatInfo:
    """The limits of a floating-point dtype, or of that of a tensor; of a complex one, those of
    its parts.

    Raises DTypeError for other dtypes.
    """
    dtype = _dtype_of(type)
    if not is_inexact(dtype):
        raise _refused("finfo", dtype, "floating-point dtypes")
    limits = dtypes.finfo(dtype)
    return FloatInfo(
        bits=int(limits.bits),
        eps=float(limits.eps),
        max=float(limits.max),
        min=float(limits.min),
        smallest_normal=float(limits.smallest_normal),
        dtype=np.dtype(limits.dtype),
    )


@surface
def iinfo(type: Any, /) -> IntInfo:
    """The limits of an integer dtype, or of that of a tensor.

    Raises DTypeError for other dtypes.
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "iu":
        raise _refused("iinfo", dtype, "integer dtypes")
    limits = np.iinfo(dtype)
    return IntInfo(int(limits.bits), int(limits.max), int(limits.min), dtype)


@surface
def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype of an operation on tensors, arrays, dtypes and Python's numbers.

    The dtypes promote first, as the standard says; then the numbers, which have no dtype of their
    own, join in. Where the standard leaves the result open, as for an integer dtype and a floating
    one, the floating one wins with its own width.
    Raises DTypeError for no arguments, and for a signed integer dtype and uint64.
    """
    try:
        return dtypes.result_type(
            *(given if is_weak(given) else _dtype_of(given) for given in arrays_and_dtypes)
        )
    except GraphcError as error:
        if error.source is None:
            error.source = current_source()
        raise


@surface
def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether every value of a dtype, or of that of a tensor, is a value of the dtype `to`."""
    return bool(np.can_cast(_dtype_of(from_), _dtype_of(to), casting="safe"))


_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


@surface
def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind, or of one of a tuple of kinds.

    kind: a dtype, or "bool", "signed integer", "unsigned integer", "integral", "real floating",
    "complex floating" or "numeric". Raises DTypeError for what is neither.
    """
    if isinstance(kind, tuple):
        return any([isdtype(dtype, one) for one in kind])
    if isinstance(kind, str) and kind in _KINDS:
        return kind_of(_dtype_of(dtype)) in _KINDS[kind]
    if isinstance(kind, str):
        raise DTypeError(
            f"isdtype: {kind!r} is not a kind of dtypes",
            code="E214",
            source=current_source(),
            fix=f"a kind is a dtype or one of {', '.join(map(repr, _KINDS))}",
        )
    return _dtype_of(dtype) == _dtype_of(kind)


def _dtype_of(value: Any) -> DType:
    """The dtype of a tensor or an array, or the one that is named."""
    return as_dtype(value.dtype if isinstance(value, Tensor | np.ndarray | np.generic) else value)


def _refused(name: str, dtype: DType, allowed: str) -> DTypeError:
    return DTypeError(
        f"{name}: not for {dtype.name}",
        code="E214",
        details=[f"got {dtype.name}, allowed: {allowed}"],
        source=current_source(),
        fix="gc.finfo is for floating-point dtypes, gc.iinfo for integer ones",
    )


# --- what the namespace says of itself -----------------------------------------------------------


class NamespaceInfo:
    """What `__array_namespace_info__` returns."""

    def capabilities(self) -> dict[str, Any]:
        """Sizes that depend on data are possible in the last step of a function alone, so the
        standard's answer is no."""
        return {
            "boolean indexing": False,
            "data-dependent shapes": False,
            "max dimensions": None,
        }

    def default_device(self) -> str:
        return CPU

    def devices(self) -> list[str]:
        return [CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The dtypes that creation functions choose."""
        checked_device("default_dtypes", device)
        found = {
            "real floating": default_float,
            "complex floating": getattr(dtypes, "complex64", None),
            "integral": default_int,
            "indexing": default_int,
        }
        return {kind: dtype for kind, dtype in found.items() if dtype is not None}

    def dtypes(
        self, *, device: Any = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, DType]:
        """The dtypes of the standard by name, those of a kind or of several."""
        checked_device("dtypes", device)
        standard = [dtype for dtype in dtypes.all_dtypes if _is_standard(dtype)]
        kinds = kind if kind is None or isinstance(kind, tuple) else (kind,)
        return {
            dtype.name: dtype for dtype in standard if kinds is None or isdtype(dtype, tuple(kinds))
        }


def _is_standard(dtype: DType) -> bool:
    """Not the narrow floats, which the standard does not have."""
    return is_bool(dtype) or not is_floating(dtype) or dtype.itemsize >= 4


def __array_namespace_info__() -> NamespaceInfo:  # noqa: N807
    """Capabilities, devices and dtypes of this namespace."""
    return NamespaceInfo()
