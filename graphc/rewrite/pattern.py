"""The language that rules are written in: a pattern looks like the expression it matches.

    X, Y = var("x"), var("y")
    P.log(P.sigmoid(X))                                an op applied to patterns
    P.divide(1, P.add(P.exp(X), 1))                    a number: a constant of that value
    P.multiply(X, const("c"))                          any scalar constant, bound to its number
    P.sum(X, axes=attr("axes"), keepdims=True)         an attribute: bound, or of that value
    P.add(X, X)                                        twice the same value
    either(P.add(X, Y), P.add(Y, X))                   two spellings
    any_op(lambda op: "elementwise" in op.traits)      the root alone: any op of a kind

A number matches by value: 1 matches 1 and 1.0, 0 matches 0 and 0.0 but never -0.0, and a truth
value matches only itself. Constants that were broadcast count as scalars; the driver restores the
shape of the result. There is no blanket commutativity: canonical form has constants on the right,
and a rule that needs both orders says so with `either` or `commuted`.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any

from graphc.ir.leaf import CONSTANT
from graphc.ir.node import Node
from graphc.ir.opdef import OpDef
from graphc.ir.tensor import Tensor
from graphc.records import dataclass

Number = bool | int | float


@dataclass(slots=True)
class Match:
    """What a pattern found: values by name, and the nodes that were looked through."""

    bindings: dict[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def bind(self, name: str, value: Any) -> bool:
        """Whether `name` is free or already bound to the same value."""
        if name not in self.bindings:
            self.bindings[name] = value
            return True
        known = self.bindings[name]
        if isinstance(known, Tensor):
            return isinstance(value, Tensor) and known.key == value.key
        return same_number(known, value) if isinstance(value, Number) else bool(known == value)


def same_number(a: Any, b: Any) -> bool:
    """Equality that tells 0.0 from -0.0 and True from 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if not isinstance(a, int | float) or not isinstance(b, int | float):
        return False
    return a == b and math.copysign(1, a) == math.copysign(1, b)


def uniform_value(tensor: Tensor) -> Number | None:
    """The number, if the tensor is one scalar constant, possibly broadcast; else None."""
    node = tensor.node
    while node.op.name == "broadcast_to":
        node = node.inputs[0].node
    if node.op is not CONSTANT:
        return None
    array = node.attrs["value"]
    number: Number | None = array.item() if array.size == 1 else None
    return number


@dataclass(frozen=True, slots=True)
class Var:
    """Any value."""

    name: str

    def match(self, tensor: Tensor, match: Match) -> bool:
        return match.bind(self.name, tensor)


@dataclass(frozen=True, slots=True)
class ConstVar:
    """Any scalar constant; bound to its Python number."""

    name: str

    def match(self, tensor: Tensor, match: Match) -> bool:
        value = uniform_value(tensor)
        return value is not None and match.bind(self.name, value)


@dataclass(frozen=True, slots=True)
class Literal:
    """The scalar constant of one value."""

    value: Number

    def match(self, tensor: Tensor, match: Match) -> bool:
        value = uniform_value(tensor)
        return value is not None and same_number(value, self.value)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute's value, bound by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An op of one output applied to patterns; attributes that are not named may be anything."""

    op: str
    inputs: tuple["Pattern", ...]
    attrs: tuple[tuple[str, Any], ...] = ()

    def match(self, tensor: Tensor, match: Match) -> bool:
        node = tensor.node
        if node.op.name != self.op or len(node.inputs) != len(self.inputs):
            return False
        for name, wanted in self.attrs:
            value = node.attrs.get(name)
            if isinstance(wanted, Attribute):
                if not match.bind(wanted.name, value):
                    return False
            elif value != wanted:
                return False
        match.nodes.append(node)
        for pattern, operand in zip(self.inputs, node.inputs, strict=True):
            if not pattern.match(operand, match):
                return False
        return True

    def accepts(self, op: OpDef) -> bool:
        return op.name == self.op

    def possible(self, operands: tuple[str, ...]) -> bool:
        """Whether operands made by these ops can match at all."""
        return len(operands) == len(self.inputs) and all(
            name == pattern.op
            if isinstance(pattern, Apply)
            else isinstance(pattern, Var) or name in CONSTANT_OPS
            for name, pattern in zip(operands, self.inputs, strict=True)
        )


CONSTANT_OPS = frozenset({"constant", "broadcast_to"})
Operands = Callable[[tuple[str, ...]], bool]


@dataclass(frozen=True, slots=True)
class AnyOp:
    """Any op for which the condition holds; stands at the root of a rule alone.

    operands: what the ops that made the operands must be like, by their names.
    """

    condition: Callable[[OpDef], bool]
    operands: Operands

    def match(self, tensor: Tensor, match: Match) -> bool:
        match.nodes.append(tensor.node)
        return True

    def accepts(self, op: OpDef) -> bool:
        return self.condition(op)

    def possible(self, operands: tuple[str, ...]) -> bool:
        return self.operands(operands)


@dataclass(frozen=True, slots=True)
class Either:
    """One of several patterns; `alternatives` expands it before anything is matched."""

    patterns: tuple["Pattern", ...]

    def match(self, tensor: Tensor, match: Match) -> bool:
        raise AssertionError("alternatives() removes Either")


Pattern = Var | ConstVar | Literal | Apply | AnyOp | Either
Root = Apply | AnyOp


def alternatives(pattern: Pattern) -> Iterator[Pattern]:
    """The patterns without `Either` that together match the same."""
    if isinstance(pattern, Either):
        for one in pattern.patterns:
            yield from alternatives(one)
    elif isinstance(pattern, Apply):
        for inputs in itertools.product(*(list(alternatives(p)) for p in pattern.inputs)):
            yield Apply(pattern.op, inputs, pattern.attrs)
    else:
        yield pattern


def as_pattern(value: "Pattern | Number") -> Pattern:
    """Numbers stand for constants of that value."""
    return Literal(value) if isinstance(value, bool | int | float) else value


def var(name: str) -> Var:
    return Var(name)


def const(name: str) -> ConstVar:
    return ConstVar(name)


def attr(name: str) -> Attribute:
    return Attribute(name)


def either(*patterns: "Pattern | Number") -> Either:
    return Either(tuple(as_pattern(pattern) for pattern in patterns))


def commuted(pattern: Apply) -> Either:
    """The pattern with its two operands in either order."""
    first, second = pattern.inputs
    return Either((pattern, Apply(pattern.op, (second, first), pattern.attrs)))


def any_op(
    condition: Callable[[OpDef], bool] = lambda op: True,
    operands: Operands = lambda names: True,
) -> AnyOp:
    return AnyOp(condition, operands)


class Patterns:
    """`P.exp(X)`: the pattern of any op, by its name."""

    def __getattr__(self, op: str) -> Callable[..., Apply]:
        def build(*inputs: "Pattern | Number", **attrs: Any) -> Apply:
            return Apply(op, tuple(map(as_pattern, inputs)), tuple(sorted(attrs.items())))

        return build


P = Patterns()
