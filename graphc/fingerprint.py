"""The name of a graph: equal for graphs that compile to the same code, in any process.

It covers ops, attributes, types of leaves, structure, names and the bytes of constants; not the
values of variables, and not the lines where all that was written. A graph with something in it that
has no such description (an op of the user's own, a function as an attribute) has no name.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.ir.graph import Graph
from graphc.ir.leaf import CONSTANT, VARIABLE
from graphc.ir.node import Node, TensorType
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim


class _NoNameError(Exception):
    """Something in the graph cannot be described."""


def fingerprint(graph: Graph, key: Any = None) -> bytes | None:
    """A hash of the graph, None if it has no name.

    key: plain values that say what is to be made of the graph, its derivatives among it. Then there
    is no name if an op has derivatives of the user's own.
    """
    try:
        describer = _Describer(key is not None)
        found = describer.graph(graph)
        return found if key is None else describer.derived(found, key)
    except _NoNameError:
        return None


class _Describer:
    """storages: the number of each variable's memory, in order of appearance.

    differentiated: whether derivative rules matter.
    """

    def __init__(self, differentiated: bool = False) -> None:
        self.differentiated = differentiated
        self.storages: dict[int, int] = {}
        self.sizes: dict[Dim, str] = {}
        self.bodies: dict[int, bytes] = {}
        self.arrays: dict[int, str] = {}  # numbers share theirs
        self.dtypes: dict[np.dtype[Any], str] = {}  # names that numpy spells out every time
        self.known: set[int] = set()  # ops that may be described
        self.alive: list[Any] = []  # keys are identities

    def graph(self, graph: Graph) -> bytes:
        numbers: dict[int, int] = {}
        lines: list[str] = []
        leaves = [tensor.node for tensor in graph.inputs]
        leaves += [variable.node for variable, _ in graph.updates]
        for node in (*leaves, *graph.nodes):
            if id(node) in numbers:
                continue
            reads = " ".join([f"{numbers[id(t.node)]}.{t.index}" for t in node.inputs])
            attributes = self._attributes(node)
            lines.append(f"{node.op.name}({reads}){attributes}")
            numbers[id(node)] = len(numbers)

        def places(tensors: Sequence[Tensor]) -> str:
            return " ".join([f"{numbers[id(t.node)]}.{t.index}" for t in tensors])

        updates = places([variable for variable, _ in graph.updates])
        lines += [places(graph.inputs), places(graph.results), updates]
        lines += [graph.name, str(graph.output_names), str(len(graph.outputs))]
        return hashlib.sha256("\n".join(lines).encode()).digest()

    def derived(self, graph: bytes, key: Any) -> bytes:
        """The name of what the key says is made of the graph of that name."""
        return hashlib.sha256(f"derived {graph.hex()} {self._value(key)}".encode()).digest()

    def _attributes(self, node: Node) -> str:
        op, attrs = node.op, node.attrs
        if id(op) not in self.known:
            rules = (op.infer, op.vjp, op.jvp) if self.differentiated else (op.infer,)
            own = [getattr(rule, "__module__", "").startswith("graphc.") for rule in rules if rule]
            if "custom" in op.traits or not all(own):
                raise _NoNameError
            self.known.add(id(op))
        if not attrs:
            return ""
        if op is VARIABLE:
            number = self.storages.setdefault(id(attrs["storage"]), len(self.storages))
            attrs = {**attrs, "storage": number}
        if op is CONSTANT and len(attrs) == 1:
            return f"value={self._value(attrs['value'])}"
        return ";".join([f"{name}={self._value(attrs[name])}" for name in sorted(attrs)])

    def _value(self, value: Any) -> str:
        kind = type(value)
        if kind is str:
            return f"s{len(value)}:{value}"
        if kind is int or kind is bool or value is None:
            return repr(value)
        if kind is float:
            return value.hex() if value == value else f"nan{np.float64(value).tobytes().hex()}"
        if kind is complex:
            return f"c({self._value(value.real)},{self._value(value.imag)})"
        if kind is tuple or kind is list:
            return f"{kind.__name__}({','.join([self._value(item) for item in value])})"
        if kind is Dim:
            text = self.sizes.get(value)
            if text is None:
                text = self.sizes[value] = f"d{value}"
            return text
        if kind is TensorType:
            return f"{self._dtype(value.dtype)}{self._value(tuple(value.shape))}"
        if isinstance(value, np.dtype):
            return f"t{self._dtype(value)}"
        if isinstance(value, np.ndarray | np.generic):
            text = self.arrays.get(id(value))
            if text is None:
                text = self.arrays[id(value)] = self._array(value)
                self.alive.append(value)
            return text
        if kind is Graph:
            if id(value) not in self.bodies:
                self.bodies[id(value)] = self.graph(value)
                self.alive.append(value)
            return f"g{self.bodies[id(value)].hex()}"
        if kind is dict and all(type(key) is str for key in value):
            return f"m({','.join([f'{key}:{self._value(item)}' for key, item in value.items()])})"
        raise _NoNameError

    def _array(self, value: np.ndarray | np.generic) -> str:
        array = np.ascontiguousarray(value)
        if array.dtype.hasobject:
            raise _NoNameError
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        return f"a{self._dtype(array.dtype)}{np.shape(value)}{digest}"

    def _dtype(self, dtype: np.dtype[Any]) -> str:
        name = self.dtypes.get(dtype)
        if name is None:
            name = self.dtypes[dtype] = dtype.name
        return name
