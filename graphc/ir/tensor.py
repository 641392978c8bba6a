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
from graphc.ir.methods import Methods
from graphc.ir.node import Node, TensorType
from graphc.ir.operators import Operators
from graphc.ir.source import Sources, current_sources
from graphc.shapes import Shape, Size, size_product

if TYPE_CHECKING:
    from graphc.ir.opdef import OpDef

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
    "dimshuffle": "use gc.permute_dims(x, axes), or x[:, None]",
    "unsqueeze": "use gc.expand_dims(x, axis)",
    "norm": "use gc.linalg.norm(x, ord, axis)",
    "fill": "use gc.full_like(x, value)",
    "nonzero": "use gc.nonzero(x), or keep the shape: gc.where(mask, x, 0)",
    "sort": "use gc.sort(x, axis): nothing is sorted in place",
    "searchsorted": "use gc.searchsorted(x, values)",
    "compress": "use x[mask], or gc.where(mask, x, 0)",
    "choose": "use gc.select, or gc.where(condition, a, b)",
    "ptp": "use gc.max(x) - gc.min(x)",
    "numel": "use x.size",
    "dim": "use x.ndim",
    "rank": "use x.ndim",
    "get_shape": "use x.shape, a tuple",
    "broadcastable": "axes of size 1 broadcast: see x.shape",
    "to": "use x.astype(dtype); gc.function(..., backend=...) says what runs it",
    "float": "use x.astype('float32')",
    "double": "use x.astype('float64')",
    "int": "use x.astype('int32')",
    "long": "use x.astype('int64')",
    "bool": "use x.astype('bool')",
    "type_as": "use x.astype(y.dtype)",
    "t": "use x.T",
    "mm": "use x @ y",
    "bmm": "use x @ y",
    "matmul": "use x @ y",
    "add": "use x + y",
    "sub": "use x - y",
    "mul": "use x * y",
    "div": "use x / y",
    "pow": "use x ** y",
    "eq": "use gc.equal(x, y), x == y",
    "gt": "use x > y",
    "lt": "use x < y",
    "expand": "use gc.broadcast_to(x, shape)",
    "contiguous": "leave it out: results of functions are contiguous",
    "cpu": "leave it out: gc.function(..., backend=...) says what runs it",
    "cuda": "gc.function(..., backend=...) says what runs it",
    "requires_grad": "gc.grad(cost, x) differentiates by any tensor",
    "grad": "gc.grad(cost, x) gives the gradient as a tensor",
    "gather": "use gc.take_along_axis(x, indices, axis)",
    "scatter": "use x.at[key].set(values), or gc.put_along_axis",
    "index_select": "use gc.take(x, indices, axis)",
    "masked_fill": "use gc.where(mask, value, x)",
    "clamp": "use x.clip(low, high)",
    "topk": "use gc.top_k(x, k)",
    "chunk": "use gc.split(x, count)",
    "new_zeros": "use gc.zeros(shape, x.dtype)",
    "zero_": "build a new value: gc.zeros_like(x)",
    "block_until_ready": "leave it out: functions of graphc return when they are done",
}
FUNCTIONS = (
    "abs exp log log1p expm1 sqrt rsqrt sin cos tan sinh cosh tanh sigmoid relu softmax square "
    "sign floor ceil erf flip roll tile split stack logsumexp isnan isfinite maximum "
    "minimum"
)
ELSEWHERE |= {name: f"use gc.{name}(x)" for name in FUNCTIONS.split()}


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


class Tensor(Operators, Methods):
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


for _name, _fix in ELSEWHERE.items():
    setattr(Tensor, _name, Elsewhere(_name, _fix))
