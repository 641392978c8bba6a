"""Node and TensorType: the frozen data that a graph is made of."""

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.dtypes import DType
from graphc.ir.source import Sources
from graphc.records import dataclass
from graphc.shapes import Dim, Shape, format_shape, substitute

if TYPE_CHECKING:
    from graphc.ir.opdef import OpDef
    from graphc.ir.tensor import Tensor

Attributes = Mapping[str, Any]

KEPT_BYTES = 256  # of an array, in a key that a node keeps

_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class TensorType:
    """dtype and shape of one value; prints as `float32[n, 784]`."""

    dtype: DType
    shape: Shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.name}{format_shape(self.shape)}"


MOST_TYPES = 4096
_types: dict[TensorType, TensorType] = {}


def unique_type(one: TensorType) -> TensorType:
    """One object for equal types: what is known of a type can then be found by its identity."""
    if len(_types) >= MOST_TYPES:
        _types.clear()
    return _types.setdefault(one, one)


class Node:
    """One application of an op: frozen, compared by identity.

    `types` holds the type of each output. `sources` says where the user wrote it; a rewrite merges
    the sources of all that it replaces. `serial` grows with every node: it tells what was there
    before a branch was built from what the branch itself has built.
    """

    __slots__ = ("__weakref__", "_key", "attrs", "inputs", "op", "serial", "sources", "types")

    def __init__(
        self,
        op: "OpDef",
        inputs: tuple["Tensor", ...],
        attrs: Attributes,
        types: tuple[TensorType, ...],
        sources: Sources,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.types = types
        self.sources = sources
        self.serial = next(_serial)
        self._key: tuple[Any, ...] | None = None  # of the attributes

    @property
    def attributes_key(self) -> tuple[Any, ...]:
        """Equal for nodes with equal attributes; see `attribute_key`."""
        if self._key is not None:
            return self._key
        attrs = self.attrs
        key = tuple([(name, attribute_key(attrs[name])) for name in sorted(attrs)])
        value = attrs.get("value")
        if not isinstance(value, np.ndarray) or value.nbytes <= KEPT_BYTES:
            self._key = key
        return key

    def with_inputs(self, inputs: tuple["Tensor", ...]) -> "Node":
        """The same op on other tensors of the same types."""
        node = Node(self.op, inputs, self.attrs, self.types, self.sources)
        node._key = self._key
        return node

    def __repr__(self) -> str:
        # Never prints its inputs: a repr must stay cheap on graphs of any depth.
        return f"<Node {self.op.name} {', '.join(map(str, self.types))}>"


def next_serial() -> int:
    """The serial number that no node has yet; nodes built later have larger ones."""
    return next(_serial)


def has_complex_type(node: Node) -> bool:
    """Whether an input or an output is complex."""
    for tensor in node.inputs:
        if tensor.node.types[tensor.index].dtype.kind == "c":
            return True
    return any([one.dtype.kind == "c" for one in node.types])


def attribute_key(value: Any) -> Any:
    """A hashable key under which 0.0 and -0.0, 1, True and 1.0, and dtypes stay different."""
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.name, value.shape, value.tobytes())
    if isinstance(value, float):
        return ("float", value.hex() if value == value else "nan")
    if isinstance(value, complex):
        return ("complex", attribute_key(value.real), attribute_key(value.imag))
    if isinstance(value, tuple):
        return tuple(attribute_key(item) for item in value)
    return (type(value).__name__, value)


def structural_key(node: Node) -> tuple[Any, ...]:
    """Equal for two nodes that apply the same op to the same values with the same attributes."""
    inputs = tuple([(id(tensor.node), tensor.index) for tensor in node.inputs])
    return (node.op, inputs, node.attributes_key)


def substitute_dims(value: Any, mapping: Mapping[str, Any]) -> Any:
    """Replace symbolic sizes inside an attribute value (tuples included)."""
    if isinstance(value, Dim):
        return substitute(value, mapping)
    if isinstance(value, tuple):
        return tuple(substitute_dims(item, mapping) for item in value)
    return value


def sizes_in(value: Any) -> Iterator[Dim]:
    """The symbolic sizes inside an attribute value (tuples included)."""
    if isinstance(value, Dim):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from sizes_in(item)
