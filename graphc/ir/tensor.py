"""Tensor: what users hold. One output of a node, with numpy's operators and methods.

Operators and methods find their op in the registry by name, so `ir` never imports `ops`.
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from graphc.dtypes import DType
from graphc.errors import SymbolicAttributeError, SymbolicValueError
from graphc.ir import registry
from graphc.ir.at import At
from graphc.ir.node import Node, TensorType
from graphc.ir.operators import Operators
from graphc.ir.source import Sources, current_sources
from graphc.shapes import Shape, Size, size_product

if TYPE_CHECKING:
    from graphc.ir.opdef import OpDef

Axis = int | tuple[int, ...] | list[int] | None

CPU = "cpu"  # the one device that expressions know
API_VERSION = "2024.12"  # of the Array API standard
API_VERSIONS = ("2021.12", "2022.12", "2023.12", API_VERSION)


RUN = "gc.run(x, feed) gives the value of a tensor, v.value that of a variable"
SET = "assign to v.value, or give gc.function(..., updates={v: new})"
ELSEWHERE = {
    "numpy": RUN,
    "eval": RUN,
    "item": RUN,
    "tolist": RUN,
    "get_value": RUN,
    "set_value": SET,
    "assign": SET,
    "assign_add": SET,
    "backward": "gc.grad(cost, [w, b]) gives the gradients as tensors",
    "detach": "use gc.stop_gradient(x)",
    "view": "use x.reshape(...)",
    "permute": "use gc.permute_dims(x, axes)",
    "dot": "use x @ y",
    "dimshuffle": "use gc.permute_dims(x, axes), or x[:, None]",
    "unsqueeze": "use gc.expand_dims(x, axis)",
}


class Elsewhere:
    """An attribute that tensors of other libraries have. (__getattr__ would slow all others.)"""

    def __init__(self, name: str, fix: str) -> None:
        self.name = name
        self.fix = fix

    def __get__(self, tensor: "Tensor | None", owner: type) -> NoReturn:
        details = (
            [f"{tensor.name or tensor.node.op.name}: {tensor.type}"] if tensor is not None else ()
        )
        raise SymbolicAttributeError(
            f"a symbolic tensor has no .{self.name}", details=details, fix=self.fix
        )


class Tensor(Operators):
    """A symbolic value: dtype and shape are known, elements are not until a function runs.

    Compares and hashes by identity as a dict key; `==` builds an elementwise comparison.
    """

    __slots__ = ("__weakref__", "_name", "index", "node")
    # numpy arrays on the left of an operator leave the operator to us. `__array_ufunc__ = None`
    # says the same, but then np.exp(x) never comes to __array__, which tells what to use.
    __array_priority__ = 1000

    def __init__(self, node: Node, index: int = 0, name: str | None = None) -> None:
        self.node = node
        self.index = index
        self._name = name

    # --- what it is ------------------------------------------------------------------------

    @property
    def type(self) -> TensorType:
        return self.node.types[self.index]

    @property
    def dtype(self) -> DType:
        return self.node.types[self.index].dtype

    @property
    def shape(self) -> Shape:
        return self.node.types[self.index].shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Size:
        return size_product(self.shape)

    @property
    def op(self) -> "OpDef":
        return self.node.op

    @property
    def sources(self) -> Sources:
        return self.node.sources

    @property
    def source(self) -> str:
        """`train.py:12`, the user's line; empty if unknown."""
        return self.node.sources[0].short if self.node.sources else ""

    @property
    def key(self) -> tuple[int, int]:
        """Identifies the value: equal for two Tensor objects of one node output."""
        return (id(self.node), self.index)

    @property
    def name(self) -> str | None:
        """The user's name; settable, and shown wherever the value is printed."""
        return self._name or self.node.attrs.get("name")

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name

    def __repr__(self) -> str:
        label = f" {self.name}" if self.name else ""
        where = f" from {self.source}" if self.source else ""
        return f"<Tensor{label}: {self.type} = {self.node.op.name}{where}>"

    def __hash__(self) -> int:
        return hash((id(self.node), self.index))

    # --- what it refuses to be ---------------------------------------------------------------

    def _refuse(self, message: str, code: str, fix: str) -> NoReturn:
        sources = current_sources()
        raise SymbolicValueError(
            message,
            code=code,
            details=[f"{self.name or self.node.op.name}: {self.type}"],
            source=sources[0] if sources else None,
            fix=fix,
        )

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in ELSEWHERE]

    def __format__(self, text: str) -> str:
        if text:
            self._refuse(
                "a symbolic tensor has no value yet", "E211", "compile it: gc.run(x, feed)"
            )
        return repr(self)

    def __bool__(self) -> bool:
        self._refuse(
            "a symbolic tensor has no truth value while the graph is being built",
            "E211",
            "use gc.where(condition, a, b), logical_and/or/not or & | ~; "
            "compare tensors with `is` to ask whether they are the same object",
        )

    def __iter__(self) -> Iterator["Tensor"]:
        if self.ndim == 0 or not isinstance(self.shape[0], int):
            self._refuse(
                "cannot iterate over a symbolic tensor without a static first size",
                "E212",
                "index it (x[0]), reduce over the axis, or give the first size as an int",
            )
        return (self[position] for position in range(self.shape[0]))

    def __len__(self) -> int:
        if self.ndim == 0 or not isinstance(self.shape[0], int):
            self._refuse(
                "len() of a symbolic tensor without a static first size",
                "E212",
                "use x.shape[0], which may be symbolic",
            )
        return self.shape[0]

    def __contains__(self, value: object) -> NoReturn:
        self._refuse(
            "what a symbolic tensor contains is not known while the graph is being built",
            "E211",
            "use gc.any(x == value)",
        )

    def __setitem__(self, key: object, value: object) -> NoReturn:
        self._refuse(
            "a symbolic tensor cannot be assigned to; graphs have no side effects",
            "E213",
            "build a new value: x.at[key].set(values), or gc.where(mask, new, x)",
        )

    def __float__(self) -> float:
        self._refuse("a symbolic tensor has no value yet", "E211", "compile it: gc.run(x, feed)")

    def __int__(self) -> int:
        self._refuse("a symbolic tensor has no value yet", "E211", "compile it: gc.run(x, feed)")

    def __complex__(self) -> complex:
        self._refuse("a symbolic tensor has no value yet", "E211", "compile it: gc.run(x, feed)")

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: Any = None,
        dl_device: Any = None,
        copy: Any = None,
    ) -> NoReturn:
        self._refuse("a symbolic tensor has no memory", "E211", "compile it: gc.run(x, feed)")

    def __index__(self) -> int:
        self._refuse(
            "a symbolic tensor cannot be used as a Python index or size",
            "E211",
            "for positions use gc.take or x[tensor]; sizes come from x.shape",
        )

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        self._refuse(
            "numpy was asked to convert a symbolic tensor to an array",
            "E211",
            "use functions of graphc: gc.exp(x) for np.exp(x); or compile first: gc.run(x, feed)",
        )

    def __array_function__(
        self, function: Any, types: object, args: object, kwargs: object
    ) -> NoReturn:
        name = function.__name__
        known = name in registry.FUNCTIONS
        self._refuse(
            f"numpy.{name} does not take symbolic tensors",
            "E211",
            f"use gc.{name}" if known else "use functions of graphc on tensors",
        )

    def __reduce__(self) -> NoReturn:
        self._refuse(
            "a symbolic tensor cannot be pickled or copied deeply",
            "E219",
            "f.save(path) writes a compiled function, gc.dprint(x) prints the graph",
        )

    # --- what the Array API asks of arrays ---------------------------------------------------

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """The module `graphc`. ValueError for a version of the standard that it does not have."""
        if api_version is not None and api_version not in API_VERSIONS:
            raise ValueError(
                f"version {api_version!r} of the Array API; graphc has {', '.join(API_VERSIONS)}"
            )
        return sys.modules[__name__.partition(".")[0]]

    @property
    def device(self) -> str:
        """Always "cpu": what a function runs on is said where it is compiled."""
        return CPU

    def to_device(self, device: Any, /, *, stream: Any = None) -> "Tensor":
        """The tensor itself. ValueError for another device than "cpu", or for a stream."""
        if device != CPU or stream is not None:
            raise ValueError(
                f"to_device: expressions know the device {CPU!r} alone, and no streams; "
                "gc.function(..., backend=...) says what runs them"
            )
        return self

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # kDLCPU

    # --- methods -----------------------------------------------------------------------------

    @property
    def T(self) -> "Tensor":
        """All axes reversed."""
        return registry.call("permute_dims", self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> "Tensor":
        """The last two axes exchanged."""
        return registry.call("matrix_transpose", self)

    @property
    def real(self) -> "Tensor":
        """The real part."""
        return registry.call("real", self)

    @property
    def imag(self) -> "Tensor":
        """The imaginary part."""
        return registry.call("imag", self)

    def conj(self) -> "Tensor":
        """The complex conjugate."""
        return registry.call("conj", self)

    @property
    def at(self) -> At:
        """`x.at[key].set(values)`, and add, multiply, min, max: x with other values at x[key]."""
        return At(self)

    def astype(self, dtype: Any, *, copy: bool = True) -> "Tensor":
        return registry.call("astype", self, dtype, copy=copy)

    def reshape(self, *shape: Any) -> "Tensor":
        return registry.call("reshape", self, _unpack(shape))

    def transpose(self, *axes: Any) -> "Tensor":
        return registry.call("transpose", self, _unpack(axes) if axes else None)

    def squeeze(self, axis: Axis = None) -> "Tensor":
        return registry.call("squeeze", self, axis)

    def flatten(self) -> "Tensor":
        return registry.call("reshape", self, (-1,))

    def dot(self, other: Any) -> "Tensor":
        return registry.call("matmul", self, other)

    def clip(self, min: Any = None, max: Any = None) -> "Tensor":
        return registry.call("clip", self, min, max)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return registry.call("sum", self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return registry.call("prod", self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return registry.call("mean", self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return registry.call("var", self, axis=axis, keepdims=keepdims)

    def std(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return registry.call("std", self, axis=axis, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return registry.call("max", self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return registry.call("min", self, axis=axis, keepdims=keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return registry.call("any", self, axis=axis, keepdims=keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return registry.call("all", self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> "Tensor":
        return registry.call("argmax", self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> "Tensor":
        return registry.call("argmin", self, axis=axis, keepdims=keepdims)


def _unpack(values: tuple[Any, ...]) -> Any:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    return values[0] if len(values) == 1 and isinstance(values[0], tuple | list) else values


for _name, _fix in ELSEWHERE.items():
    setattr(Tensor, _name, Elsewhere(_name, _fix))
