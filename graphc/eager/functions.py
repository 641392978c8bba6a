"""The functions of the Array API on Arrays: each is graphc's function of the same name."""

import functools
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import graphc as gc
from graphc.eager.array import Array, asarray, binary, call, sizes, static_call, unwrapped

Function = Callable[..., Any]


def _lifted(function: Function, run: Function) -> Function:
    """`run` under the name and signature of a function of graphc."""

    @functools.wraps(function)
    def lifted(*args: Any, **kwargs: Any) -> Any:
        return run(function, *args, **kwargs)

    lifted.__module__ = "graphc.eager"
    lifted.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return lifted


def _of_numbers(function: Function, *args: Any, **kwargs: Any) -> Any:
    """Python's numbers may stand beside arrays."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    return binary(function, *bound.args) if not bound.kwargs else call(function, *args, **kwargs)


def _with_shape(function: Function, shape: Any, *args: Any, **kwargs: Any) -> Any:
    """The first argument is a shape."""
    return call(function, sizes(shape), *args, **kwargs)


def _shaped(function: Function, x: Any, shape: Any, **kwargs: Any) -> Any:
    """The second argument is a shape."""
    return call(function, x, sizes(shape), **kwargs)


def names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PLAIN = names(
    "abs acos acosh all any argmax argmin argsort asin asinh atan atanh bitwise_invert "
    "broadcast_arrays ceil concat conj cos cosh count_nonzero cumulative_prod cumulative_sum diff "
    "exp expand_dims expm1 flip floor imag isfinite isinf isnan linspace log log10 log1p log2 "
    "logical_not matmul matrix_transpose max mean meshgrid min moveaxis negative nonzero "
    "permute_dims positive prod real reciprocal roll round sign signbit sin sinh sort sqrt square "
    "squeeze stack std sum take take_along_axis tan tanh tensordot tile tril triu trunc "
    "unique_all unique_counts unique_inverse unique_values var vecdot arange eye searchsorted "
    "empty_like full_like ones_like zeros_like"
)
OF_NUMBERS = names(
    "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor clip "
    "copysign divide equal floor_divide greater greater_equal hypot less less_equal logaddexp "
    "logical_and logical_or logical_xor maximum minimum multiply nextafter not_equal pow remainder "
    "subtract where"
)
WITH_SHAPE = names("empty full ones zeros")
SHAPED = names("broadcast_to reshape")
STATIC = names("unstack")

_RUN: dict[tuple[str, ...], Function] = {
    PLAIN: lambda function, *args, **kwargs: call(function, *args, **kwargs),
    OF_NUMBERS: _of_numbers,
    WITH_SHAPE: _with_shape,
    SHAPED: _shaped,
    STATIC: lambda function, *args, **kwargs: static_call(function, *args, **kwargs),
}

FUNCTIONS: dict[str, Function] = {
    name: _lifted(getattr(gc, name), run) for group, run in _RUN.items() for name in group
}


# --- written out -------------------------------------------------------------------------------


def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    """x with its elements converted; x itself if it has the dtype already and copy is False."""
    if not copy and x.dtype == dtype:
        return x
    result: Array = call(gc.astype, x, dtype, device=device)
    return result


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An Array from an array of another library that has `__dlpack__`."""
    gc.zeros((), device=device)
    found: Array = asarray(np.from_dlpack(x, copy=copy))
    return found


def repeat(x: Array, repeats: Any, /, *, axis: int | None = None) -> Array:
    """Each entry along `axis` repeated: `repeats` is an int, or an array of counts."""
    if isinstance(repeats, Array) and repeats.size != 1:
        result: Array = call(gc.repeat, x, repeats, axis=axis, size=int(repeats._value.sum()))
        return result
    found: Array = call(gc.repeat, x, int(np.asarray(repeats).item()), axis=axis)
    return found


def result_type(*arrays_and_dtypes: Any) -> Any:
    return gc.result_type(*map(unwrapped, arrays_and_dtypes))


def can_cast(from_: Any, to: Any, /) -> bool:
    return gc.can_cast(unwrapped(from_), to)


def finfo(type: Any, /) -> Any:
    return gc.finfo(unwrapped(type))


def iinfo(type: Any, /) -> Any:
    return gc.iinfo(unwrapped(type))


class Info:
    """What `__array_namespace_info__` returns: like that of graphc, but sizes may depend on
    data."""

    def __init__(self) -> None:
        told = gc.__array_namespace_info__()
        self.default_device = told.default_device
        self.default_dtypes = told.default_dtypes
        self.devices = told.devices
        self.dtypes = told.dtypes

    def capabilities(self) -> dict[str, Any]:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}


def __array_namespace_info__() -> Info:  # noqa: N807
    """Capabilities, devices and dtypes of this namespace."""
    return Info()


WRITTEN: dict[str, Any] = {
    function.__name__: function
    for function in (
        asarray,
        astype,
        can_cast,
        finfo,
        from_dlpack,
        iinfo,
        repeat,
        result_type,
        __array_namespace_info__,
    )
}


# --- the extensions of the standard ------------------------------------------------------------

EXTENSIONS = {
    "linalg": names(
        "cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power "
        "matrix_rank matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace "
        "vecdot vector_norm"
    ),
    "fft": names(
        "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift"
    ),
}


def extension(name: str) -> SimpleNamespace:
    """The functions of an extension on Arrays."""
    module = getattr(gc, name)
    return SimpleNamespace(
        **{one: _lifted(getattr(module, one), _RUN[PLAIN]) for one in EXTENSIONS[name]}
    )
