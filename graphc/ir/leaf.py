"""Leaves of a graph: placeholders, variables, constants and symbolic sizes as values."""

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import DType, as_dtype, default_float, int64, weak_result
from graphc.errors import DTypeError, FunctionError, ShapeError
from graphc.ir.lowering import IndexMap, Leaf, LoweringContext
from graphc.ir.node import Attributes, Node, TensorType
from graphc.ir.opdef import Inference, OpDef
from graphc.ir.registry import call, public, register
from graphc.ir.source import current_sources
from graphc.ir.tensor import Tensor
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Dim, Shape, Size, format_shape

_serial = itertools.count()  # names for the unnamed, and one order for locks


class Storage:
    """The memory of one variable. `array` is never handed out: reads and writes copy.

    A function that finished swaps in a whole new array while it holds `lock`.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.spare: np.ndarray | None = None
        self.lock = threading.RLock()
        self.serial = next(_serial)

    def take_spare(self) -> np.ndarray:
        """Memory for a new value: that of the value before the present one, if it is there."""
        spare, self.spare = self.spare, None
        return np.empty_like(self.array) if spare is None else spare

    def replace(self, array: np.ndarray) -> None:
        """Make `array` the value; the old value's memory serves the next update."""
        self.array, self.spare = array, self.array


def _declared(call: Inference) -> TensorType:
    """Leaves carry their type as an attribute."""
    declared: TensorType = call.attrs["type"]
    return declared


def _no_reference(attrs: Attributes) -> np.ndarray:
    raise AssertionError("the interpreter binds placeholders and variables itself")


PLACEHOLDER = register(
    OpDef("placeholder", infer=_declared, reference=_no_reference, lower=Leaf())
)
VARIABLE = register(OpDef("variable", infer=_declared, reference=_no_reference, lower=Leaf()))
CONSTANT = register(
    OpDef(
        "constant",
        infer=lambda call: TensorType(call.attrs["value"].dtype, call.attrs["value"].shape),
        reference=lambda attrs: attrs["value"],
        lower=Leaf(),
    )
)


def _lower_dim(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    return Index(context.attrs["size"])


DIM = register(
    OpDef(
        "dim",
        infer=lambda call: TensorType(int64, ()),
        reference=lambda attrs: np.asarray(attrs["size"], dtype=np.int64),
        lower=IndexMap(_lower_dim),
        traits=frozenset({"nondifferentiable"}),
    )
)


class Variable(Tensor):
    """A tensor with a value that lives between calls and that `updates` change."""

    __slots__ = ()

    @property
    def storage(self) -> Storage:
        storage: Storage = self.node.attrs["storage"]
        return storage

    @property
    def value(self) -> np.ndarray:
        """A copy of the current value; assign to set it (same shape and dtype)."""
        with self.storage.lock:
            return self.storage.array.copy()

    @value.setter
    def value(self, new: Any) -> None:
        array = np.asarray(new)
        weak = isinstance(new, bool | int | float | list | tuple)
        if array.shape != self.shape:
            raise ShapeError(
                f"variable {self.name!r} cannot change its shape",
                code="E208",
                details=[f"got {format_shape(array.shape)}", f"allowed {format_shape(self.shape)}"],
                source=self.sources[0] if self.sources else None,
                fix="make a new variable, or reshape the value",
            )
        safe = np.can_cast(array.dtype, self.dtype, "same_kind" if weak else "safe")
        if not safe and array.dtype != self.dtype:
            raise DTypeError(
                f"variable {self.name!r} is {self.dtype.name}; a {array.dtype.name} value "
                "would lose information",
                code="E208",
                source=self.sources[0] if self.sources else None,
                fix=f"pass value.astype({self.dtype.name!r}) if that is meant",
            )
        copied = np.array(array, dtype=self.dtype, order="C", copy=True)
        with self.storage.lock:
            self.storage.replace(copied)


def _check_name(name: str) -> str:
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        raise FunctionError(
            f"{name!r} is not a usable name",
            code="E206",
            fix="names are Python identifiers that do not start with an underscore",
        )
    return name


@public
def dim(name: str) -> Dim:
    """A named symbolic size: the same name in one function is the same number."""
    size = Dim.symbol(_check_name(name))
    assert isinstance(size, Dim)
    return size


def _placeholder_shape(name: str, shape: Sequence[int | str | Dim | None]) -> Shape:
    sizes: list[Size] = []
    for axis, size in enumerate(shape):
        if size is None:
            sizes.append(Dim.symbol(f"_{name}_{axis}"))
        elif isinstance(size, str):
            sizes.append(dim(size))
        elif isinstance(size, Dim):
            sizes.append(size)
        elif isinstance(size, int | np.integer) and not isinstance(size, bool) and size >= 0:
            sizes.append(int(size))
        else:
            sources = current_sources()
            raise ShapeError(
                f"placeholder {name!r}: axis {axis} has size {size!r}",
                code="E106",
                source=sources[0] if sources else None,
                fix="sizes are ints >= 0, None (any), a name ('n') or a dim expression",
            )
    return tuple(sizes)


@public
def placeholder(
    name: str | None = None,
    shape: Sequence[int | str | Dim | None] | int | str = (),
    dtype: Any = default_float,
) -> Tensor:
    """An input that is fed at every call.

    name: a Python identifier, used in errors and to feed by name. shape: sizes as ints, None (any
    size), names ("n": the same number wherever it occurs in one function) or dim expressions.
    dtype: float32 by default.
    """
    name = f"input_{next(_serial)}" if name is None else _check_name(name)
    if isinstance(shape, int | str | Dim) or shape is None:
        shape = (shape,)
    declared = TensorType(as_dtype(dtype), _placeholder_shape(name, shape))
    return PLACEHOLDER(name=name, type=declared)


@public
def variable(value: Any, name: str | None = None, dtype: Any = None) -> Variable:
    """A value that lives between calls; `updates` change it, `v.value` reads and sets it.

    value: array or number, copied. dtype: the array's own by default; Python floats are float32.
    """
    name = f"variable_{next(_serial)}" if name is None else _check_name(name)
    array = np.array(_to_array(value, dtype), order="C", copy=True)
    attrs = {
        "name": name,
        "type": TensorType(array.dtype, array.shape),
        "storage": Storage(array),
    }
    node = Node(VARIABLE, (), attrs, (attrs["type"],), current_sources())  # type: ignore[arg-type]
    return Variable(node)


def _to_array(value: Any, dtype: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        value._refuse(
            "a value was expected, but this is a symbolic tensor",
            "E211",
            "use the tensor directly; variables and constants hold numbers",
        )
    array = np.asarray(value)
    if dtype is not None:
        return array.astype(as_dtype(dtype))
    if not isinstance(value, np.ndarray | np.generic) and array.dtype.kind == "f":
        return array.astype(default_float)  # Python floats are weak
    as_dtype(array.dtype)  # refuses strings, objects and dtypes we do not know
    return array


@public
def constant(value: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """A fixed array, copied. dtype: the array's own by default; Python floats are float32."""
    array = np.array(_to_array(value, dtype), order="C", copy=True)
    array.flags.writeable = False
    return CONSTANT(value=array) if name is None else CONSTANT(value=array, name=_check_name(name))


@public
def as_tensor(value: Any, dtype: Any = None) -> Tensor:
    """A tensor from a tensor, array, number, symbolic size or nested list of numbers."""
    if isinstance(value, Tensor):
        if dtype is not None and value.dtype != as_dtype(dtype):
            return value.astype(dtype)
        return value
    if isinstance(value, Dim):
        tensor = DIM(size=value)
        return tensor if dtype is None else tensor.astype(dtype)
    if isinstance(value, list | tuple) and any(isinstance(v, Tensor | Dim) for v in value):
        return call("stack", [as_tensor(item, dtype) for item in value])
    return constant(value, dtype)


def scalar_value(tensor: Tensor) -> bool | int | float | None:
    """The number, if the tensor is a constant whose elements are all the same; else None."""
    if tensor.node.op is not CONSTANT:
        return None
    array: np.ndarray = tensor.node.attrs["value"]
    if array.size == 0:
        return None
    first = array.flat[0]
    if array.size > 1 and not (array == first).all():
        return None
    number: bool | int | float = first.item()
    return number


def weak_constant(value: bool | int | float, dtype: DType) -> Tensor:
    """A Python scalar next to a tensor of `dtype`; ints out of range are refused."""
    return constant(value, weak_result(dtype, value))
