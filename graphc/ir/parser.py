"""Reads back what `ir.printer` wrote. Names and literals are data: nothing is evaluated as code."""

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphc.errors import GraphcError, ParseError
from graphc.ir.graph import Graph
from graphc.ir.leaf import CONSTANT, PLACEHOLDER, Variable, variable
from graphc.ir.lengths import fresh_lengths
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import OpDef
from graphc.ir.printer import AUTOMATIC, RESERVED, operator
from graphc.ir.registry import OPS
from graphc.ir.scanner import (
    COMPLEX,
    DTYPES,
    NAME,
    NUMBER,
    SCALAR,
    SOURCE,
    STRING,
    SYMBOL,
    Scanner,
    complex_of,
    element_of,
    indentation,
    scalar_of,
)
from graphc.ir.source import Source, Sources, source_scope
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim, Shape, Size, parse_size, size_product
from graphc.surface import surface


@surface
def parse_graph(
    text: str,
    constants: Mapping[str, Any] | None = None,
    variables: Mapping[str, Variable] | None = None,
) -> Graph:
    """The graph that `format_graph` printed; printing it again gives the same text.

    constants: arrays that the text leaves out, by name (`printer.large_constants`). variables: by
    name; those that are missing are made anew and hold zeros. ParseError for anything else.
    """
    reader = _Reader(constants or {}, variables or {})
    try:
        with source_scope(()):
            return fresh_lengths(reader.read(text))
    except RecursionError:
        raise ParseError(
            "brackets are nested too deeply",
            fix="write the deepest brackets as a line of their own",
        ) from None


class _Reader:
    def __init__(self, constants: Mapping[str, Any], variables: Mapping[str, Variable]) -> None:
        self.constants = constants
        self.given = variables
        self.values: dict[str, Tensor] = {}
        self.variables: dict[str, Variable] = {}
        self.bodies: dict[str, Graph] = {}

    # --- lines ---------------------------------------------------------------------------------

    def read(self, text: str) -> Graph:
        lines = [
            Scanner(line.rstrip(), number)
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip()
        ]
        if not lines:
            raise ParseError(
                "no graph: the text is empty",
                fix="pass the text that f.graph_text() returns",
            )
        return self.graph(lines)

    def graph(self, lines: list[Scanner]) -> Graph:
        name, inputs = self.header(lines[0])
        until = 0  # lines before this one belong to the body of a loop
        for position, line in enumerate(lines[1:], 1):
            if position < until:
                continue
            line.skip()
            body = re.fullmatch(r"(body[0-9]+):", line.text[line.position :])
            if body is not None:
                until = self.body(body.group(1), lines, position)
                continue
            if re.match(r"return(?: |$)", line.text[line.position :]):
                if position != len(lines) - 1:
                    line.fail("the graph goes on after its results")
                return self.results(line, name, inputs)
            self.statement(line)
        lines[-1].fail("the graph has no line of results")

    def body(self, name: str, lines: list[Scanner], position: int) -> int:
        """Read the body of a loop, which is indented; the position of the line after it."""
        depth = lines[position].position
        end = position + 1
        while end < len(lines) and indentation(lines[end]) > depth:
            end += 1
        if end == position + 1:
            lines[position].fail("the body of the loop is missing")
        reader = _Reader(self.constants, self.given)
        self.bodies[name] = reader.graph(lines[position + 1 : end])
        return end

    def header(self, line: Scanner) -> tuple[str, tuple[Tensor, ...]]:
        line.expect("graph ")
        name = line.name()
        line.expect("(")
        inputs = []
        for _ in line.items(")"):
            label, found = self.declaration(line)
            node = Node(PLACEHOLDER, (), {"name": label, "type": found}, (found,), ())
            inputs.append(self.define(line, label, Tensor(node)))
        if not line.at_end():
            line.fail("unexpected text")
        return name, tuple(inputs)

    def statement(self, line: Scanner) -> None:
        for keyword, read in (("variable ", self.variable), ("constant ", self.constant)):
            if line.accept(keyword):
                read(line)
                if not line.at_end():
                    line.fail("unexpected text")
                return
        self.row(line)

    def declaration(self, line: Scanner) -> tuple[str, TensorType]:
        name = line.name()
        line.expect(":")
        return name, self.type(line)

    def variable(self, line: Scanner) -> None:
        name, found = self.declaration(line)
        known = self.given.get(name)
        if known is None:
            if not all(isinstance(size, int) for size in found.shape):
                line.fail("a variable has a static shape")
            known = variable(np.zeros(found.shape, found.dtype), None)
            attrs = {**known.node.attrs, "name": name}
            known = Variable(Node(known.op, (), attrs, known.node.types, ()))
        if known.type != found:
            line.fail(f"variable {name} is {known.type}")
        self.variables[name] = known
        self.define(line, name, known)

    def constant(self, line: Scanner) -> None:
        name, found = self.declaration(line)
        if line.accept("="):
            array = self.elements(line, found)
        elif name in self.constants:
            array = np.array(self.constants[name], order="C", copy=True)
            array.flags.writeable = False
        else:
            line.fail(f"the array of {name} is not part of the text: pass it in constants")
        if TensorType(array.dtype, array.shape) != found:
            line.fail(f"constant {name} is {array.dtype}{list(array.shape)}")
        attrs: dict[str, Any] = {"value": array}
        if not AUTOMATIC.fullmatch(name):
            attrs["name"] = name
        self.define(line, name, Tensor(Node(CONSTANT, (), attrs, (found,), ())))

    def row(self, line: Scanner) -> None:
        names = [line.name()]
        while line.accept(","):
            names.append(line.name())
        line.expect("=")
        op, inputs, attrs = self.application(line)
        line.expect(":")
        types = [self.type(line)]
        while line.accept(","):
            types.append(self.type(line))
        sources = self.sources(line)
        try:
            inferred, _ = op.infer_types(tuple(t.type for t in inputs), attrs, sources)
        except (GraphcError, LookupError, TypeError, ValueError) as error:
            line.fail(f"{op.name} cannot be applied: {error}")
        if inferred != tuple(types) or len(names) != len(types):
            line.fail(f"{op.name} gives {', '.join(map(str, inferred))}")
        node = Node(op, tuple(inputs), attrs, inferred, sources)
        for position, name in enumerate(names):
            own = None if AUTOMATIC.fullmatch(name) else name
            self.define(line, name, Tensor(node, position, own))

    def results(self, line: Scanner, name: str, inputs: tuple[Tensor, ...]) -> Graph:
        line.expect("return")
        outputs: list[Tensor] = []
        names: list[str | None] = []
        updates: list[tuple[Variable, Tensor]] = []
        while not line.at_end():
            label = self.label(line)
            if label is None:
                start = line.position
                target = self.operand(line)
                if line.accept("<-"):
                    updated = self.variables.get(line.text[start : line.position - 2].strip())
                    if updated is None:
                        line.fail("only variables are updated")
                    updates.append((updated, self.operand(line)))
                else:
                    outputs.append(target)
                    names.append(None)
            else:
                outputs.append(self.operand(line))
                names.append(label)
            if not line.accept(",") and not line.at_end():
                line.fail("expected ','")
        return Graph(inputs, tuple(outputs), tuple(updates), name, tuple(names))

    def label(self, line: Scanner) -> str | None:
        """`cost =` or `'total cost' =` before an output."""
        start = line.position
        found = line.match(STRING) or line.match(NAME)
        if found is not None and line.accept("="):
            text = found.group()
            return str(ast.literal_eval(text)) if text[0] in "'\"" else text
        line.position = start
        return None

    def define(self, line: Scanner, name: str, value: Tensor) -> Tensor:
        if name in self.values:
            line.fail(f"{name} is defined twice")
        if name in RESERVED:
            line.fail(f"{name} cannot be a name")
        self.values[name] = value
        return value

    # --- applications --------------------------------------------------------------------------

    def application(self, line: Scanner) -> tuple[OpDef, list[Tensor], dict[str, Any]]:
        start = line.position
        called = line.match(NAME)
        if called is not None and line.accept("("):
            return self.call(line, called.group())
        line.position = start
        line.skip()
        if not SCALAR.match(line.text, line.position):
            prefix = line.match(SYMBOL)
            if prefix is not None:
                return self.infix(line, prefix.group(), [self.operand(line)])
        first = self.operand(line)
        symbol = line.match(SYMBOL)
        if symbol is None:
            line.fail("expected an operator")
        return self.infix(line, symbol.group(), [first, self.operand(line)])

    def infix(
        self, line: Scanner, symbol: str, operands: list[Tensor]
    ) -> tuple[OpDef, list[Tensor], dict[str, Any]]:
        op = operator(symbol, len(operands))
        if op is None:
            line.fail(f"no operator {symbol} for {len(operands)} operands")
        return op, operands, dict(op.defaults)

    def call(self, line: Scanner, name: str) -> tuple[OpDef, list[Tensor], dict[str, Any]]:
        op = OPS.get(name)
        if op is None:
            line.fail(f"no op is called {name}")
        inputs: list[Tensor] = []
        attrs = dict(op.defaults)
        for _ in line.items(")"):
            attribute = line.match(re.compile(r"([^\W\d]\w*)=(?!=)"))
            if attribute is not None:
                attrs[attribute.group(1)] = self.attribute(line)
            else:
                inputs.append(self.operand(line))
        return op, inputs, attrs

    def operand(self, line: Scanner) -> Tensor:
        scalar = line.match(SCALAR)
        if scalar is not None:
            array = np.array(scalar_of(scalar, line))
            array.flags.writeable = False
            found = TensorType(array.dtype, ())
            return Tensor(Node(CONSTANT, (), {"value": array}, (found,), ()))
        name = line.name()
        if name not in self.values:
            line.fail(f"{name} is not defined")
        return self.values[name]

    # --- attributes ----------------------------------------------------------------------------

    def attribute(self, line: Scanner) -> Any:
        number = line.match(COMPLEX)
        if number is not None:
            return complex_of(number.group())
        if line.in_brackets():
            line.expect("(")
            return tuple(self.attribute(line) for _ in line.items(")"))
        if line.accept("<"):
            name = line.name()
            line.expect(">")
            if name not in self.bodies:
                line.fail(f"{name} has no text")
            return self.bodies[name]
        string = line.match(STRING)
        if string is not None:
            return ast.literal_eval(string.group())
        special: dict[str, Callable[[Scanner], Any]] = {
            "dim(": self.quoted_dim,
            "array(": self.array,
            "scalar(": self.scalar,
        }
        for opening, read in special.items():
            if line.accept(opening):
                value = read(line)
                line.expect(")")
                return value
        return self.word(line)

    def word(self, line: Scanner) -> Any:
        """A number, a constant, a dtype, a type or a symbolic size."""
        start = line.position
        text = line.piece()
        if text in ("None", "True", "False"):
            return ast.literal_eval(text)
        if re.fullmatch(r"-?[0-9]+", text):
            return int(text)
        if re.fullmatch(rf"-?{NUMBER}", text):
            return float(text)
        if text in DTYPES:
            return DTYPES[text]
        if text.partition("[")[0] in DTYPES:
            line.position = start
            return self.type(line)
        return self.size(line, text)

    def quoted_dim(self, line: Scanner) -> Size:
        string = line.match(STRING)
        if string is None:
            line.fail("expected a quoted size")
        return self.size(line, str(ast.literal_eval(string.group())))

    def array(self, line: Scanner) -> np.ndarray:
        found = self.type(line)
        line.expect(",")
        return self.elements(line, found)

    def scalar(self, line: Scanner) -> Any:
        found = line.match(SCALAR)
        if found is None:
            line.fail("expected a number with its dtype")
        return scalar_of(found, line)

    # --- types and arrays ------------------------------------------------------------------------

    def type(self, line: Scanner) -> TensorType:
        name = line.name()
        if name not in DTYPES:
            line.fail(f"{name} is not a dtype")
        line.expect("[")
        sizes = tuple(self.size(line, line.piece()) for _ in line.items("]"))
        return TensorType(DTYPES[name], sizes)

    def size(self, line: Scanner, text: str) -> Size:
        try:
            size = parse_size(text)
        except GraphcError:
            line.fail(f"{text!r} is not a size")
        return size

    def elements(self, line: Scanner, found: TensorType) -> np.ndarray:
        line.expect("[")
        values = [element_of(line.piece(), found.dtype, line) for _ in line.items("]")]
        shape = _static(found.shape, line)
        if len(values) != size_product(shape):
            line.fail(f"{len(values)} elements for {found}")
        array = np.array(values, dtype=found.dtype).reshape(shape)
        array.flags.writeable = False
        return array

    def sources(self, line: Scanner) -> Sources:
        line.skip()
        sources: list[Source] = []
        while line.position < len(line.text):
            found = line.match(SOURCE)
            if found is None:
                line.fail("expected file:line")
            sources += [Source(found.group(1), int(number)) for number in found.group(2).split(",")]
        return tuple(sources)


def _static(shape: Shape, line: Scanner) -> tuple[int, ...]:
    sizes = tuple(size for size in shape if not isinstance(size, Dim))
    if len(sizes) != len(shape):
        line.fail("an array has a static shape")
    return sizes
