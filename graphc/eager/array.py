"""Array: a value, with the operators and methods of the Array API."""

import operator
import sys
from collections.abc import Callable, Iterator
from types import EllipsisType, ModuleType
from typing import Any

import numpy as np

import graphc as gc
from graphc.dtypes import kind_of
from graphc.eager.calls import Size, evaluate

Scalar = bool | int | float | complex


class Array:
    """An array that has its value now. Made by `asarray` and the other functions of graphc.eager.

    Each operation compiles a graph, once for each combination of operation, dtypes and ranks, and
    runs it. Nothing is differentiated or fused: for that, build graphs.
    """

    __slots__ = ("_value",)
    __array_ufunc__ = None  # numpy's arrays leave operators to us
    __array_priority__ = 1000
    __hash__ = None  # type: ignore[assignment]

    _value: np.ndarray

    def __init__(self, *args: Any) -> None:
        raise TypeError("make arrays with graphc.eager.asarray(values)")

    # --- what it is ------------------------------------------------------------------------------

    @property
    def dtype(self) -> Any:
        return self._value.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def ndim(self) -> int:
        return self._value.ndim

    @property
    def size(self) -> int:
        return self._value.size

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def T(self) -> "Array":
        """The two axes of a matrix exchanged. ValueError for another number of axes."""
        if self.ndim != 2:
            raise ValueError(f"x.T needs 2 axes, got {self.ndim}; use x.mT or permute_dims")
        return one(gc.matrix_transpose, self)

    @property
    def mT(self) -> "Array":
        """The last two axes exchanged."""
        return one(gc.matrix_transpose, self)

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """The module graphc.eager. ValueError for a version of the standard that it lacks."""
        gc.zeros(()).__array_namespace__(api_version=api_version)  # refuses for us
        return sys.modules["graphc.eager"]

    def to_device(self, device: Any, /, *, stream: Any = None) -> "Array":
        gc.zeros(()).to_device(device, stream=stream)
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            return np.asarray(self._value, dtype=dtype, copy=False)
        return np.array(self._value, dtype=dtype)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:
        return self._value.__dlpack__(
            stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
        )

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._value.__dlpack_device__()

    def __repr__(self) -> str:
        return repr(self._value).replace("array(", "Array(", 1)

    def __str__(self) -> str:
        return str(self._value)

    # --- as one of Python's numbers --------------------------------------------------------------

    def _single(self, kinds: str, what: str) -> Any:
        if self.ndim or kind_of(self.dtype) not in kinds:
            text = f"{self.dtype.name}{list(self.shape)}"
            raise TypeError(
                f"{text} is no {what}: that takes an array without axes of fitting dtype"
            )
        return self._value.item()

    def __bool__(self) -> bool:
        return bool(self._single("biufc", "truth value"))

    def __int__(self) -> int:
        return int(self._single("biuf", "int"))

    def __float__(self) -> float:
        return float(self._single("biuf", "float"))

    def __complex__(self) -> complex:
        return complex(self._single("biufc", "complex number"))

    def __index__(self) -> int:
        return operator.index(self._single("iu", "index"))

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator["Array"]:
        return (self[position] for position in range(len(self)))

    # --- subscripts ------------------------------------------------------------------------------

    def __getitem__(self, key: Any, /) -> "Array":
        return one(_getitem, self, _read_key(key))

    def __setitem__(self, key: Any, value: Any, /) -> None:
        given = value if isinstance(value, Scalar) else asarray(value)
        if isinstance(given, Scalar):
            if gc.result_type(self.dtype, given) != self.dtype:
                raise TypeError(f"{given!r} does not fit into {self.dtype.name}")
            given = wrapped(np.asarray(given, self.dtype))
        key = _read_key(key)
        if given.ndim and not isinstance(key, tuple) and _is_mask(key):
            key = tuple(wrapped(row) for row in np.nonzero(key._value))
        self._value = call(_set, self, key, given)._value

    # --- operators -------------------------------------------------------------------------------

    def __neg__(self, /) -> "Array":
        return one(gc.negative, self)

    def __pos__(self, /) -> "Array":
        return one(gc.positive, self)

    def __abs__(self, /) -> "Array":
        return one(gc.abs, self)

    def __invert__(self, /) -> "Array":
        return one(gc.bitwise_invert, self)


def _operator(function: Callable[..., Any], name: str, reflected: bool = False) -> Any:
    """A method for one of Python's operators."""

    def method(self: Array, other: Any, /) -> Any:
        if not isinstance(other, Array | Scalar):
            return NotImplemented
        left, right = (other, self) if reflected else (self, other)
        return binary(function, left, right)

    method.__name__ = method.__qualname__ = name
    return method


_OPERATORS = {
    "add": gc.add,
    "sub": gc.subtract,
    "mul": gc.multiply,
    "truediv": gc.divide,
    "floordiv": gc.floor_divide,
    "mod": gc.remainder,
    "pow": gc.pow,
    "matmul": gc.matmul,
    "and": gc.bitwise_and,
    "or": gc.bitwise_or,
    "xor": gc.bitwise_xor,
    "lshift": gc.bitwise_left_shift,
    "rshift": gc.bitwise_right_shift,
}
_COMPARISONS = {
    "lt": gc.less,
    "le": gc.less_equal,
    "gt": gc.greater,
    "ge": gc.greater_equal,
    "eq": gc.equal,
    "ne": gc.not_equal,
}
for _name, _function in (*_OPERATORS.items(), *_COMPARISONS.items()):
    setattr(Array, f"__{_name}__", _operator(_function, f"__{_name}__"))
for _name, _function in _OPERATORS.items():
    setattr(Array, f"__r{_name}__", _operator(_function, f"__r{_name}__", reflected=True))


# --- arrays and values -----------------------------------------------------------------------


def wrapped(value: Any) -> Any:
    """Numpy's arrays as Arrays, also in lists and (named) tuples."""
    if isinstance(value, np.ndarray | np.generic):
        array = object.__new__(Array)
        array._value = np.asarray(value)
        return array
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(wrapped, value))
    if isinstance(value, list | tuple):
        return type(value)(map(wrapped, value))
    return value


def unwrapped(value: Any) -> Any:
    """Arrays as numpy's, also in lists, tuples and dicts."""
    if isinstance(value, Array):
        return value._value
    if isinstance(value, list | tuple):
        return type(value)(map(unwrapped, value))
    if isinstance(value, dict):
        return {name: unwrapped(item) for name, item in value.items()}
    return value


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The value of function(*args, **kwargs), a function of tensors."""
    return wrapped(evaluate(function, unwrapped(args), unwrapped(kwargs)))


def one(function: Callable[..., Any], *args: Any) -> Array:
    """`call` for a function of one result."""
    array: Array = call(function, *args)
    return array


def static_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`call` for a function that needs to know all sizes."""
    return wrapped(evaluate(function, unwrapped(args), unwrapped(kwargs), static=True))


def binary(function: Callable[..., Any], *args: Any) -> Any:
    """`call` for arrays and Python's numbers, which take the dtype of the arrays."""
    dtypes = [arg.dtype for arg in args if isinstance(arg, Array)]
    return call(function, *(_beside(arg, dtypes) for arg in args))


def _beside(value: Any, dtypes: list[Any]) -> Any:
    """A Python number as an array: one compiled function serves all numbers."""
    if not isinstance(value, Scalar) or not dtypes:
        return value
    with np.errstate(over="ignore"):
        return wrapped(np.asarray(value).astype(gc.result_type(*dtypes, value)))


def asarray(
    obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
) -> Array:
    """An Array from an Array, a numpy array, a number or nested lists of numbers.

    dtype: the array's own by default; Python's floats are float32. copy: False raises ValueError
    where a copy would have to be made.
    """
    gc.zeros((), device=device)  # refuses another device
    if isinstance(obj, Array):
        same = dtype is None or dtype == obj.dtype
        if same and not copy:
            return obj
        if copy is False:
            raise ValueError("asarray: copy=False, and another dtype needs a copy")
        result: Array = wrapped(obj._value.copy()) if same else call(gc.astype, obj, dtype)
        return result
    if copy is False and not isinstance(obj, np.ndarray):
        raise ValueError("asarray: copy=False, and these values need a copy")
    found: Array = wrapped(gc.variable(unwrapped(obj), dtype=dtype).value)
    return found


# --- subscripts --------------------------------------------------------------------------------


def _getitem(x: gc.Tensor, key: Any) -> Any:
    return x[key]


def _set(x: gc.Tensor, key: Any, value: gc.Tensor) -> gc.Tensor:
    return x.at[key].set(value)


def _is_mask(item: Any) -> bool:
    return isinstance(item, Array) and item.dtype.kind == "b"


def _read_key(key: Any) -> Any:
    """Ints as arrays, so that one compiled function serves all positions."""
    if isinstance(key, tuple):
        return tuple(map(_read_key, key))
    if isinstance(key, slice):
        bounds = (None if b is None else operator.index(b) for b in (key.start, key.stop, key.step))
        return slice(*bounds)
    if key is None or isinstance(key, EllipsisType | Array):
        return key
    if isinstance(key, bool | list | np.ndarray):
        return asarray(np.asarray(key))
    return wrapped(np.asarray(operator.index(key), np.int64))


def sizes(shape: Any) -> Any:
    """A shape whose sizes may differ between calls; 1 stays, for it broadcasts."""
    if isinstance(shape, tuple | list):
        return tuple(map(sizes, shape))
    size = operator.index(shape)
    return size if size in (1, -1) else Size(size)
