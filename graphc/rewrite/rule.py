"""Rules: small functions whose docstring is the equation that they apply.

    @rule(P.log(P.sigmoid(X)))
    def log_sigmoid(b, x):
        "log(sigmoid(x)) = -softplus(-x)"
        return b.negative(b.softplus(b.negative(x)))

The parameters after the builder name what the pattern bound; `root` is the matched tensor and
`context` tells about its surroundings. None means: does not apply here. A rule has a direction,
looks at its pattern only, and is never worse than what it replaces.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias, cast

from graphc.ir.node import Node
from graphc.ir.opdef import OpDef
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.rewrite.pattern import Match, Pattern, Root, alternatives

Result: TypeAlias = "Tensor | tuple[Tensor, ...] | None"
RuleFunction = Callable[..., Result]


class Context(Protocol):
    """What a rule may ask about the graph around its root."""

    def single_use(self, tensor: Tensor) -> bool:
        """Whether nothing but the matched expression needs the value."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """name: the function's. equation: its docstring. patterns: spellings, tried in order."""

    name: str
    equation: str
    patterns: tuple[Root, ...]
    function: RuleFunction
    parameters: tuple[str, ...]

    def apply(self, root: Tensor, match: Match, context: Context) -> Result:
        """The replacement of `root`, or None."""
        known = {"root": root, "context": context, **match.bindings}
        return self.function(BUILDER, **{name: known[name] for name in self.parameters})

    def __repr__(self) -> str:
        return f"<rule {self.name}: {self.equation.splitlines()[0]}>"


def rule(*patterns: Pattern) -> Callable[[RuleFunction], Rule]:
    """Make a function a rule for any of the patterns."""

    def decorate(function: RuleFunction) -> Rule:
        name = function.__name__
        equation = inspect.cleandoc(function.__doc__ or "")
        if not equation:
            raise ValueError(f"rule {name}: the docstring must be its equation")
        plain = [one for pattern in patterns for one in alternatives(pattern)]
        if not plain or not all(isinstance(one, Root) for one in plain):
            raise ValueError(f"rule {name}: a pattern needs an op at its root")
        code = function.__code__  # inspect.signature is ten times as slow, and rules are many
        parameters = code.co_varnames[1 : code.co_argcount]
        roots = cast("tuple[Root, ...]", tuple(plain))
        return Rule(name, equation, roots, function, parameters)

    return decorate


Candidate: TypeAlias = "tuple[Rule, Root]"
LOOKED_UP = 4  # nodes of more operands are only looked up by their op


class RuleTable:
    """Rules by the op at their root, in the order given; each belongs to a named group."""

    def __init__(self, rules: Iterable[Rule] = (), /, **groups: Iterable[Rule]) -> None:
        self.group: dict[Rule, str] = dict.fromkeys(rules, "rewrite")
        for name, group in groups.items():
            for one in group:
                self.group.setdefault(one, name)
        self._by_op: dict[str, tuple[Candidate, ...]] = {}
        self._by_operands: dict[tuple[str, ...], tuple[Candidate, ...]] = {}

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(self.group)

    def candidates(self, node: Node) -> tuple[Candidate, ...]:
        """The rules, with their patterns, that may match; looked up by the op and its operands'."""
        if len(node.inputs) > LOOKED_UP:
            return self._candidates_of(node.op)
        operands = tuple([tensor.node.op.name for tensor in node.inputs])
        key = (node.op.name, *operands)
        found = self._by_operands.get(key)
        if found is None:
            found = tuple(
                (one, pattern)
                for one, pattern in self._candidates_of(node.op)
                if pattern.possible(operands)
            )
            self._by_operands[key] = found
        return found

    def _candidates_of(self, op: OpDef) -> tuple[Candidate, ...]:
        found = self._by_op.get(op.name)
        if found is None:
            found = tuple(
                (one, pattern)
                for one in self.group
                for pattern in one.patterns
                if pattern.accepts(op)
            )
            self._by_op[op.name] = found
        return found


def find_match(pattern: Root, tensor: Tensor) -> Match | None:
    """What the pattern binds on `tensor`, or None."""
    match = Match()
    return match if pattern.match(tensor, match) else None
