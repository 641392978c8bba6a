"""What users hand in as values: arrays, numbers, nested lists; and which of them a dtype takes."""

import sys
from typing import Any

import numpy as np

from graphc.dtypes import (
    DType,
    complex_dtype,
    is_bool,
    is_complex,
    is_inexact,
    is_integer,
    kind_of,
    real_dtype,
)
from graphc.errors import SymbolicValueError

SURE = 65504  # all floats hold numbers of this size
MOST_SHOWN = 40  # characters of a value in a message


def is_weak_value(value: Any) -> bool:
    """Python's numbers and lists of them have no precision of their own."""
    return not isinstance(value, np.ndarray | np.generic) and not hasattr(value, "__array__")


def as_array(value: Any) -> np.ndarray:
    """`value` as numpy sees it. TypeError or ValueError, in words, if it is no array of numbers."""
    # Whoever has a masked array has imported the module; importing it here would cost every start.
    masked = sys.modules.get("numpy.ma") if isinstance(value, np.ndarray) else None
    if masked is not None and isinstance(value, masked.MaskedArray) and masked.is_masked(value):
        raise TypeError("a masked array has elements without a value; fill them with .filled(...)")
    try:
        array = np.asarray(value)
    except SymbolicValueError as error:  # of a tensor among the numbers
        raise TypeError(error.message) from None
    except (TypeError, ValueError) as error:
        raise type(error)(_uneven(value) or str(error)) from None
    if kind_of(array.dtype) not in "biufc":
        numbers = (isinstance(item, int | float) for item in array.flat)
        if array.dtype == object and array.size and all(numbers):
            raise TypeError("integers of more than 64 bits have no dtype; write them as floats")
        kind = (
            f", but of {array.dtype.name}" if isinstance(value, np.ndarray | list | tuple) else ""
        )
        raise TypeError(f"{shown(value)} is no array of numbers{kind}")
    return array


def _uneven(value: Any) -> str:
    """How nested lists fail to be an array: the first two rows of different lengths."""
    rows, level = [value], 0
    while rows and all(isinstance(row, list | tuple) for row in rows):
        first = len(rows[0])
        for number, row in enumerate(rows):
            if len(row) != first:
                return (
                    f"lists of unequal length along axis {level}: {first} in the first, "
                    f"{len(row)} in number {number}"
                )
        rows, level = [entry for row in rows for entry in row], level + 1
    kinds = [isinstance(row, list | tuple) for row in rows]
    if any(kinds):
        return f"numbers and lists side by side along axis {level - 1}"
    return ""


def shown(value: Any) -> str:
    """A value in a message: short, whatever it is."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype.name}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    text = (
        " ".join(repr(value).split())
        if isinstance(value, bool | int | float | complex | str)
        else ""
    )
    if value is None or (text and len(text) <= MOST_SHOWN):
        return text or "None"
    return f"a value of type {type(value).__name__}"


def loss(array: np.ndarray, wanted: DType, *, weak: bool, downcast: bool = False) -> str | None:
    """What is lost if `array` becomes `wanted`; None if it may be converted.

    weak: it comes from Python's numbers, which take any precision but must be in range. downcast:
    precision and fractions may be lost; the range may not.
    """
    got = array.dtype
    if got == wanted or np.can_cast(got, wanted, "safe") or (weak and array.size == 0):
        return None
    if is_bool(wanted):
        return None if downcast else "numbers are no truth values"
    if is_complex(got) and not is_complex(wanted):
        return "the imaginary part would be lost"
    if is_integer(wanted):
        if is_inexact(got) and not downcast:
            return "fractions would be lost"
        return None if (weak or downcast) and _in_range(array, wanted) else _range_text(wanted)
    if weak or downcast:
        return None if downcast or _stays_finite(array, wanted) else f"too large for {wanted.name}"
    return "precision would be lost"


def integer_loss(value: float | np.ndarray, wanted: DType) -> str | None:
    """What is lost if Python's numbers become integers; None if they are such integers."""
    if isinstance(value, int):
        limits = np.iinfo(wanted)
        return None if limits.min <= value <= limits.max else _range_text(wanted)
    array = np.asarray(value)
    if not _in_range(array, wanted):
        return _range_text(wanted)
    cut = is_inexact(array.dtype) and bool((array != np.trunc(array)).any())
    return "the fraction would be lost" if cut else None


def real_view(array: np.ndarray) -> np.ndarray:
    """A dense complex array as the floats that it is made of: [..., 2], in the same memory.

    (real, imaginary) is numpy's own layout of a complex number. Other arrays stay as they are.
    """
    if not is_complex(array.dtype):
        return array
    dense = array if array.ndim and array.flags.c_contiguous else array.reshape(-1)
    return dense.view(real_dtype(array.dtype)).reshape(*array.shape, 2)


def complex_view(array: np.ndarray) -> np.ndarray:
    """Floats [..., 2] as the complex numbers that they make up, in the same memory."""
    dense = array if array.flags.c_contiguous else array.reshape(-1)
    return dense.view(complex_dtype(array.dtype)).reshape(array.shape[:-1])


def _in_range(array: np.ndarray, wanted: DType) -> bool:
    if array.size == 0 or is_bool(array.dtype):
        return True
    limits = np.iinfo(wanted)
    low, high = array.min(), array.max()
    # Python's own numbers compare exactly; a NaN compares false.
    return bool(limits.min <= low.item() and high.item() <= limits.max)


def _range_text(wanted: DType) -> str:
    limits = np.iinfo(wanted)
    return f"{wanted.name} holds {limits.min} to {limits.max}"


def _stays_finite(array: np.ndarray, wanted: DType) -> bool:
    if array.ndim == 0 and abs(array.item()) <= SURE:  # most numbers, for a tenth of the time
        return True
    with np.errstate(over="ignore"):
        there = np.isfinite(array.astype(wanted))
    return bool(there.all() or (np.isfinite(array) <= there).all())
