"""Graphs as text, equation style: one row a node, with its type and the user's line.

    graph train(x: float32[n, 784], y: float32[n])
      variable w: float32[784]
      constant c1: float32[3] = [1.0, 2.0, 3.0]
      t1 = x @ w                               : float32[n]  train.py:17
      t2 = sum(t1, axes=(0,), keepdims=False)  : float32[]   train.py:18
      return cost = t2, w <- t9

The user's names are shown where there are any, made unique; other values are t1, t2, ... and
unnamed constants c1, c2, ... Scalar constants stand where they are used, with their dtype:
0.01f32, 3i64, -0.0f32, nanf32, (1.0+2.0j)c64, True. `ir.parser` reads the text back. Arrays of
more than 16 elements and the values of variables are not part of the text.
"""

import keyword
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TextIO

import numpy as np

from graphc.dtypes import all_dtypes, is_bool, is_complex, short_name
from graphc.ir.graph import Graph, bodies_of
from graphc.ir.leaf import CONSTANT, PLACEHOLDER, VARIABLE
from graphc.ir.lengths import numbered_lengths
from graphc.ir.lowering import Elementwise, LoweringContext
from graphc.ir.node import Attributes, Node, TensorType, attribute_key
from graphc.ir.opdef import OpDef
from graphc.ir.registry import OPS, public
from graphc.ir.source import Sources
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.scalar.expr import Read
from graphc.scalar.printer import number_text
from graphc.shapes import Dim, format_shape

SHOWN_ELEMENTS = 16  # arrays up to this size are written out
DEPTH = 4  # levels of a one-line expression
AUTOMATIC = re.compile(r"[tc][0-9]+")
RESERVED = frozenset(
    {
        *("True", "False", "None", "nan", "inf", "max", "min", "dim", "array", "scalar"),
        *("graph", "variable", "constant", "return"),
        *(dtype.name for dtype in all_dtypes),
        *(word + short_name(dtype) for word in ("nan", "inf") for dtype in all_dtypes),
    }
)

# --- literals ----------------------------------------------------------------------------------


def format_scalar(value: np.generic) -> str:
    """`0.01f32`, `3i64`, `-0.0f32`, `nanf32`, `(1.0+2.0j)c64`, `True`."""
    if is_bool(value.dtype):
        return str(bool(value))
    if is_complex(value.dtype):
        return f"{format_complex(value)}{short_name(value.dtype)}"
    return f"{number_text(value)}{short_name(value.dtype)}"


def format_complex(value: Any) -> str:
    """`(1.0-0.0j)`: both parts as they are, signs of zeros too."""
    imag = str(value.imag)
    return f"({value.real!s}{imag if imag[0] == '-' else '+' + imag}j)"


def format_elements(array: np.ndarray) -> str:
    """`[1.0, 2.0]`: all elements in row-major order."""
    write = format_complex if is_complex(array.dtype) else number_text
    return f"[{', '.join(write(element) for element in array.ravel())}]"


def format_attribute(value: Any, bodies: Mapping[Graph, str] | None = None) -> str:
    """An attribute's value as the parser reads it; objects it cannot read are in <>.

    bodies: names of graphs.
    """
    if isinstance(value, Graph):
        return f"<{(bodies or {}).get(value, value.name)}>"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, complex):
        return format_complex(value)
    if isinstance(value, Dim):
        ambiguous = not RESERVED.isdisjoint(value.symbols())
        return f"dim({str(value)!r})" if ambiguous else str(value)
    if isinstance(value, tuple):
        items = ", ".join(format_attribute(item, bodies) for item in value)
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, TensorType):
        return str(value)
    if isinstance(value, np.ndarray) and value.size <= SHOWN_ELEMENTS:
        return f"array({value.dtype.name}{format_shape(value.shape)}, {format_elements(value)})"
    if isinstance(value, np.generic):
        return f"scalar({format_scalar(value)})"
    return f"<{type(value).__name__}>"


def shown_attributes(op: OpDef, attrs: Attributes) -> list[tuple[str, Any]]:
    """The attributes that are not at their default, by name."""
    return [
        (name, value)
        for name, value in sorted(attrs.items())
        if name not in op.defaults or attribute_key(op.defaults[name]) != attribute_key(value)
    ]


def format_sources(sources: Sources) -> str:
    """`train.py:12,13, model.py:7`"""
    lines: dict[str, list[str]] = {}
    for source in sources:
        file, _, line = source.short.rpartition(":")
        lines.setdefault(" ".join(file.split()), []).append(line)
    return ", ".join(f"{file}:{','.join(dict.fromkeys(found))}" for file, found in lines.items())


# --- infix operators ---------------------------------------------------------------------------


def takes_operands(op: OpDef, types: Sequence[TensorType], attrs: Attributes) -> bool:
    """Whether an elementwise op takes this many operands: its lowering is tried on them."""
    if not isinstance(op.lower, Elementwise):
        return True
    context = LoweringContext(attrs, tuple(types), tuple(types[:1]))
    try:
        op.lower.expr(context, *(Read(k, (), t.dtype) for k, t in enumerate(types)))
    except (TypeError, IndexError, ValueError):
        return False
    return True


def operator(symbol: str, arity: int) -> OpDef | None:
    """The op that `symbol` stands for between two operands or before one."""
    return _operator(symbol, arity, len(OPS))


@lru_cache(maxsize=64)
def _operator(symbol: str, arity: int, registered: int) -> OpDef | None:
    """The first op of that symbol and arity; looked for anew when ops were registered since."""
    probes = [TensorType(np.dtype(name), ()) for name in ("float32", "int64", "bool")]
    for op in list(OPS.values()):
        if op.symbol == symbol and any(takes_operands(op, (one,) * arity, {}) for one in probes):
            return op
    return None


def is_infix(node: Node) -> bool:
    """Whether the node prints as `a + b` or `-a`."""
    symbol = node.op.symbol
    if symbol is None or len(node.inputs) > 2 or shown_attributes(node.op, node.attrs):
        return False
    return operator(symbol, len(node.inputs)) is node.op


# --- names -------------------------------------------------------------------------------------


def usable_name(name: str) -> str:
    """`name` as an identifier that means nothing else in the text."""
    name = re.sub(r"\W", "_", name) or "_"
    if not name.isidentifier():
        name = f"_{name}"
    return f"{name}_" if name in RESERVED or keyword.iskeyword(name) else name


class Names:
    """A unique name for every value of a graph; `constants` are those in rows of their own."""

    def __init__(self, graph: Graph) -> None:
        self.of: dict[tuple[int, int], str] = {}
        self.constants: list[Node] = []
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}
        for tensor in graph.inputs:
            self._claim(tensor.key, tensor.name or "input")
        for variable in graph.variables:
            self._claim(variable.key, variable.name or "variable")
        given = self._given_names(graph)
        for node in graph.nodes:
            if node.op is CONSTANT and not _is_inline(node):
                self.constants.append(node)
                self._claim((id(node), 0), given.get((id(node), 0)), "c")
        for node in graph.nodes:
            if node.op not in (PLACEHOLDER, VARIABLE, CONSTANT):
                for position in range(len(node.types)):
                    self._claim((id(node), position), given.get((id(node), position)), "t")

    def _given_names(self, graph: Graph) -> dict[tuple[int, int], str]:
        given: dict[tuple[int, int], str] = {}
        for tensor in (*(t for node in graph.nodes for t in node.inputs), *graph.results):
            if tensor.name is not None:
                given.setdefault(tensor.key, tensor.name)
        return given

    def _claim(self, key: tuple[int, int], wanted: str | None, automatic: str = "") -> None:
        if key in self.of:
            return
        if wanted is None:
            wanted, separator = automatic, ""
        else:
            wanted, separator = usable_name(wanted), "_"
            if automatic and AUTOMATIC.fullmatch(wanted):
                wanted += "_"
        name = wanted
        while name in self._taken or (not separator and name == automatic):
            self._last[wanted] = self._last.get(wanted, 0) + 1
            name = f"{wanted}{separator}{self._last[wanted]}"
        self._taken.add(name)
        self.of[key] = name

    def operand(self, tensor: Tensor) -> str:
        node = tensor.node
        if _is_inline(node):
            return format_scalar(node.attrs["value"][()])
        return self.of[tensor.key]


def _is_inline(node: Node) -> bool:
    return node.op is CONSTANT and node.types[0].shape == () and "name" not in node.attrs


# --- graphs ------------------------------------------------------------------------------------


def format_graph(
    graph: Graph,
    names_of: Callable[[Graph], Names] = Names,
    width: Callable[[str], int] = len,
) -> str:
    """The whole graph as text; see the module's docstring.

    names_of, width: for names that carry marks, which take no place in a column.
    """
    return _formatted(numbered_lengths(graph), names_of, width)


def _formatted(
    graph: Graph, names_of: Callable[[Graph], Names], width: Callable[[str], int]
) -> str:
    names = names_of(graph)
    inputs = ", ".join(f"{names.operand(t)}: {t.type}" for t in graph.inputs)
    lines = [f"graph {usable_name(graph.name)}({inputs})"]
    lines += [f"  variable {names.operand(v)}: {v.type}" for v in graph.variables]
    lines += [f"  {_constant_row(node, names)}" for node in names.constants]
    bodies = named_bodies(graph)
    for body, name in bodies.items():
        inner = _formatted(body, names_of, width).splitlines()
        lines += [f"  {name}:", *(f"    {line}" for line in inner)]
    rows = [
        _Row(
            ", ".join(names.of[(id(node), k)] for k in range(len(node.types))),
            format_application(node, [names.operand(t) for t in node.inputs], bodies),
            ", ".join(map(str, node.types)),
            format_sources(node.sources),
        )
        for node in graph.nodes
        if node.op not in (PLACEHOLDER, VARIABLE, CONSTANT)
    ]
    lines += _aligned(rows, width)
    lines.append(f"  return {_results(graph, names)}".rstrip())
    return "\n".join(lines) + "\n"


def named_bodies(graph: Graph) -> dict[Graph, str]:
    """Graphs that are attributes of nodes, each with a name: bodies of loops, branches."""
    found: dict[Graph, str] = {}
    for node in graph.nodes:
        for body in bodies_of(node):
            found.setdefault(body, f"body{len(found) + 1}")
    return found


@dataclass(frozen=True, slots=True)
class _Row:
    names: str
    text: str
    types: str
    sources: str


def _aligned(rows: Sequence[_Row], width: Callable[[str], int] = len, limit: int = 60) -> list[str]:
    """Columns as wide as their entries, except that a very long entry does not widen them all."""

    def column(entries: Iterable[str]) -> list[str]:
        found = [(entry, width(entry)) for entry in entries]
        widest = max((one for _, one in found if one <= limit), default=0)
        return [entry + " " * (widest - one) for entry, one in found]

    names = column(row.names for row in rows)
    texts = column(row.text for row in rows)
    types = column(row.types for row in rows)
    return [
        f"  {name} = {text}  : {kind}  {row.sources}".rstrip()
        for name, text, kind, row in zip(names, texts, types, rows, strict=True)
    ]


def _constant_row(node: Node, names: Names) -> str:
    array = node.attrs["value"]
    head = f"constant {names.of[(id(node), 0)]}: {node.types[0]}"
    return f"{head} = {format_elements(array)}" if array.size <= SHOWN_ELEMENTS else head


def _results(graph: Graph, names: Names) -> str:
    parts = [
        names.operand(tensor) if name is None else f"{_label(name)} = {names.operand(tensor)}"
        for name, tensor in zip(graph.output_names, graph.outputs, strict=True)
    ]
    parts += [f"{names.operand(v)} <- {names.operand(new)}" for v, new in graph.updates]
    return ", ".join(parts)


def _label(name: str) -> str:
    plain = name.isidentifier() and name not in RESERVED
    return name if plain else repr(name)


def format_application(
    node: Node, operands: Sequence[str], bodies: Mapping[Graph, str] | None = None
) -> str:
    """`a + b`, `-a` or `sum(a, axes=(0,), keepdims=False)`."""
    if is_infix(node) and not (len(operands) == 1 and _is_inline(node.inputs[0].node)):
        return _infix(node, operands)
    return _call(node, operands, bodies or {})


def _infix(node: Node, operands: Sequence[str]) -> str:
    symbol = node.op.symbol or ""
    if len(operands) == 2:
        return f"{operands[0]} {symbol} {operands[1]}"
    return f"{symbol} {operands[0]}" if symbol.isalpha() else f"{symbol}{operands[0]}"


def _call(node: Node, operands: Sequence[str], bodies: Mapping[Graph, str]) -> str:
    attrs = [
        f"{name}={format_attribute(value, bodies)}"
        for name, value in shown_attributes(node.op, node.attrs)
    ]
    return f"{node.op.name}({', '.join([*operands, *attrs])})"


def large_constants(graph: Graph) -> dict[str, np.ndarray]:
    """The arrays that `format_graph` leaves out, by the name it gives them."""
    names = Names(graph)
    return {
        names.of[(id(node), 0)]: node.attrs["value"]
        for node in names.constants
        if node.attrs["value"].size > SHOWN_ELEMENTS
    }


# --- expressions -------------------------------------------------------------------------------


def format_expression(tensor: Tensor, depth: int = DEPTH) -> str:
    """`log(sigmoid(x @ w))`: one line, `depth` levels deep, then names or `...`."""
    return _expression(tensor, depth, outermost=True)


def _expression(tensor: Tensor, depth: int, outermost: bool = False) -> str:
    node = tensor.node
    if _is_inline(node):
        value = node.attrs["value"][()]
        return str(value)
    if not node.inputs or (tensor.name is not None and not outermost):
        return tensor.name or _leaf_text(node)
    if depth == 0:
        return "..."
    operands = [_expression(t, depth - 1) for t in node.inputs[:4]]
    if is_infix(node):
        text = _infix(node, [_bracketed(*pair) for pair in zip(node.inputs, operands, strict=True)])
    else:
        text = _call(node, operands + ["..."] * (len(node.inputs) > 4), {})
    return text if len(node.types) == 1 else f"{text}[{tensor.index}]"


def _bracketed(tensor: Tensor, text: str) -> str:
    """Operands that are themselves infix stand in brackets."""
    shown_as_name = text in (tensor.name, "...")
    inner = is_infix(tensor.node) and bool(tensor.node.inputs) and not shown_as_name
    return f"({text})" if inner else text


def _leaf_text(node: Node) -> str:
    if node.op is CONSTANT:
        array = node.attrs["value"]
        return format_elements(array) if array.size <= 4 else f"constant {node.types[0]}"
    return format_application(node, ())


# --- for people --------------------------------------------------------------------------------


@public
def dprint(what: Graph | Tensor | Sequence[Tensor], file: TextIO | None = None) -> None:
    """Print a graph, or the graph that computes the given tensors."""
    print(format_graph(as_graph(what)), end="", file=file or sys.stdout)


def as_graph(what: Graph | Tensor | Sequence[Tensor], name: str = "expression") -> Graph:
    """A graph of tensors; its inputs are the placeholders that they depend on."""
    if isinstance(what, Graph):
        return what
    outputs = (what,) if isinstance(what, Tensor) else tuple(what)
    found = Graph((), outputs)
    inputs = tuple(Tensor(node) for node in found.nodes if node.op is PLACEHOLDER)
    return Graph(inputs, outputs, name=name, output_names=tuple(t.name for t in outputs))
