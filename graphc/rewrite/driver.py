"""The rewrite driver: rebuilds a graph bottom-up and applies rules until none fires.

Every node is rebuilt from finished inputs, looked up among the nodes that are already there (equal
nodes become one) and offered to the rules of its op. What a rule returns is processed in the same
way, so one sweep ends in normal form: rules look downwards, and all below is finished. The work is
kept on an explicit stack, and every node is touched a constant number of times.

Chores are done here, not in the rules: the sources of all that is replaced are merged, dtype and
shape are checked (a result of a smaller shape that broadcasts is broadcast), the user's names are
kept, hits are logged, and rules that undo each other or never end are named.
"""

from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import cached_property

import numpy as np

from graphc.errors import RewriteError, VerificationError
from graphc.ir.leaf import PLACEHOLDER, VARIABLE
from graphc.ir.node import Node, has_complex_type, structural_key
from graphc.ir.printer import format_expression
from graphc.ir.registry import BUILDER
from graphc.ir.source import Sources, merge_sources, source_scope
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.records import dataclass
from graphc.rewrite.barriers import Barriers
from graphc.rewrite.rule import Rule, RuleTable, find_match
from graphc.shapes import Shape

BUDGET = 64  # firings in a row, each on what the one before made
HASHED_BYTES = 1 << 16  # larger constants are compared by identity, not by content


@dataclass(frozen=True, eq=False)
class RewriteEntry:
    """One hit: which rule of which group turned what into what, and the rule's equation."""

    group: str
    rule: str
    old: Tensor
    new: Tensor
    sources: Sources
    equation: str

    @cached_property
    def before(self) -> str:
        return format_expression(self.old)

    @cached_property
    def after(self) -> str:
        return format_expression(self.new)

    @property
    def where(self) -> str:
        """`train.py:12`, or several lines."""
        return ", ".join(source.short for source in self.sources)


@dataclass(eq=False)
class RewriteLog:
    """All hits in order; prints as a table.

    limit: after so many hits no rule fires any more, in whatever is rewritten with this log. So
    all graphs between a graph and its normal form can be had, one hit apart.
    """

    entries: list[RewriteEntry] = field(default_factory=list)
    limit: int | None = None

    @property
    def is_full(self) -> bool:
        return self.limit is not None and len(self.entries) >= self.limit

    def __iter__(self) -> Iterator[RewriteEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def rules(self) -> list[str]:
        """The names of the rules that fired, in order."""
        return [entry.rule for entry in self.entries]

    def __str__(self) -> str:
        head = ("pass", "rule", "before", "after", "source")
        rows = [(e.group, e.rule, e.before, e.after, e.where) for e in self.entries]
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [head, *rows]
        )


def rewrite(
    results: Sequence[Tensor],
    table: RuleTable,
    *,
    log: RewriteLog | None = None,
    barriers: Sequence[Tensor] = (),
    budget: int = BUDGET,
    unique: bool = False,
) -> list[Tensor]:
    """`results` in normal form under the rules. barriers: values that stay as they are, seen as
    leaves. unique: equal nodes are one already, as after another rewriting. RewriteError: rules
    that undo each other or fire more than `budget` times in a row."""
    leaves = Barriers(barriers)
    given = leaves.hide(results)
    driver = _Driver(given, table, log, budget)
    if unique and driver.is_normal(given):
        return list(results)
    return leaves.restore(driver.run(given))


class _Driver:
    def __init__(
        self,
        results: Sequence[Tensor],
        table: RuleTable,
        log: RewriteLog | None,
        budget: int,
    ) -> None:
        self.table = table
        self.log = log
        self.budget = budget
        self.known: dict[tuple[object, ...], Node] = {}  # structure -> the one node that has it
        self.final: dict[int, tuple[Tensor, ...]] = {}  # node -> its values in normal form
        self.replaced: dict[int, tuple[Tensor, ...]] = {}  # node in progress -> what to finish
        self.fired: dict[int, str] = {}  # node -> the rule that replaced it
        self.lineage: dict[int, tuple[str, ...]] = {}  # node -> the rules in a row that led to it
        self.alive: list[Node] = []
        self.uses: dict[int, int] = {}
        if any("context" in rule.parameters for rule in table.rules):
            for node in topological_order(results):
                self._count_uses(node.inputs)
            self._count_uses(results)

    # --- the walk ----------------------------------------------------------------------------

    def is_normal(self, results: Sequence[Tensor]) -> bool:
        """Whether no rule fires anywhere: then nothing has to be built again."""
        return not any(self._found(node) is not None for node in topological_order(results))

    def run(self, results: Sequence[Tensor]) -> list[Tensor]:
        for tensor in results:
            self._finish(tensor.node)
        return [self._resolve(tensor) for tensor in results]

    def _finish(self, root: Node) -> None:
        final, replaced = self.final, self.replaced
        stack = [root]
        while stack:
            node = stack[-1]
            identity = id(node)
            if identity in final:
                stack.pop()
                continue
            goals = replaced.get(identity)
            needed = node.inputs if goals is None else goals
            pending = [t.node for t in needed if id(t.node) not in final]
            if pending:
                for one in pending:
                    if id(one) in replaced:
                        self._report_cycle(stack, pending)
                pending.reverse()
                stack += pending
            elif goals is not None:
                self._settle(node, tuple([self._resolve(tensor) for tensor in goals]))
                stack.pop()
            else:
                self._examine(node)

    def _examine(self, node: Node) -> None:
        """All inputs are finished: make the node final, or say by what it is replaced."""
        self.alive.append(node)
        unique = self._unique(node)
        if unique is not node:
            self.lineage.setdefault(id(unique), self.lineage.get(id(node), ()))
            self.replaced[id(node)] = _outputs(unique)
            if id(unique) in self.final:
                self._count_uses(unique.inputs, -1)
                self._settle(node, self.final[id(unique)])
            return
        result = self._fire(node)
        if result is None:
            self.final[id(node)] = _outputs(node)
        else:
            self.replaced[id(node)] = result

    def _settle(self, node: Node, values: tuple[Tensor, ...]) -> None:
        """`node` is replaced by finished values."""
        self.final[id(node)] = values
        del self.replaced[id(node)]
        moved = self.uses.get(id(node), 0)
        if moved:
            for producer in {id(tensor.node) for tensor in values}:
                self.uses[producer] = self.uses.get(producer, 0) + moved

    def _unique(self, node: Node) -> Node:
        """The one node of this structure over finished inputs."""
        if node.op is PLACEHOLDER or node.op is VARIABLE:
            return node
        old = node.inputs
        if old:
            inputs = tuple([self._resolve(tensor) for tensor in old])
            for position, tensor in enumerate(inputs):
                if tensor is not old[position]:
                    node = node.with_inputs(inputs)
                    break
        try:
            return self.known.setdefault(_key(node), node)
        except TypeError:  # attributes that cannot be compared: the node is like no other
            return node

    def _resolve(self, tensor: Tensor) -> Tensor:
        """The finished value, under the user's name."""
        new = self.final[id(tensor.node)][tensor.index]
        if new.node is tensor.node and new.index == tensor.index:
            return tensor
        if tensor._name is not None and new.name is None:
            return Tensor(new.node, new.index, tensor._name)
        return new

    # --- rules -------------------------------------------------------------------------------

    def _fire(self, node: Node) -> tuple[Tensor, ...] | None:
        found = self._found(node)
        if found is None:
            return None
        rule, results, sources = found
        self._record(rule, Tensor(node), results, sources)
        return results

    def _found(self, node: Node) -> tuple[Rule, tuple[Tensor, ...], Sources] | None:
        """The first rule that applies to the node, and what it makes of it."""
        candidates = self.table.candidates(node)
        if not candidates or (self.log is not None and self.log.is_full):
            return None
        root = Tensor(node)
        for rule, pattern in candidates:
            match = find_match(pattern, root)
            if match is None:
                continue
            if any(map(has_complex_type, match.nodes)):
                continue  # rules are equations of real numbers, such as sqrt(x * x) = abs(x)
            sources = merge_sources(*(matched.sources for matched in match.nodes))
            with source_scope(sources):
                result = rule.apply(root, match, self)
                if result is None:
                    continue
                results = result if isinstance(result, tuple) else (result,)
                results = self._check(rule, node, results)
            return rule, results, sources
        return None

    def _check(self, rule: Rule, node: Node, results: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """As many values as before, of their dtypes, and of their shapes or broadcast to them."""
        if len(results) != len(node.types):
            raise VerificationError(
                f"rule {rule.name} returned {len(results)} values for {len(node.types)}"
            )
        checked: list[Tensor] = []
        for result, expected in zip(results, node.types, strict=True):
            if result.type == expected:
                checked.append(result)
                continue
            if result.dtype != expected.dtype or not _broadcasts(result.shape, expected.shape):
                raise VerificationError(
                    f"rule {rule.name} turned {expected} into {result.type}",
                    details=[f"{rule.equation}", f"at {format_expression(Tensor(node))}"],
                    source=node.sources[0] if node.sources else None,
                )
            checked.append(BUILDER.broadcast_to(result, expected.shape))
        return tuple(checked)

    def _record(
        self, rule: Rule, root: Tensor, results: tuple[Tensor, ...], sources: Sources
    ) -> None:
        self.fired[id(root.node)] = rule.name
        if self.log is not None:
            group = self.table.group[rule]
            self.log.entries.append(
                RewriteEntry(group, rule.name, root, results[0], sources, rule.equation)
            )
        lineage = (*self.lineage.get(id(root.node), ()), rule.name)
        if len(lineage) > self.budget:
            raise RewriteError(
                f"rewriting does not end: {self.budget} steps from one expression",
                details=[
                    f"rules {', '.join(dict.fromkeys(lineage[-8:]))}",
                    f"at {format_expression(root)}",
                ],
                source=sources[0] if sources else None,
            )
        self._count_uses(root.node.inputs, -1)
        fresh = [tensor.node for tensor in results]
        while fresh:
            node = fresh.pop()
            if id(node) in self.final or id(node) in self.lineage or id(node) in self.replaced:
                continue
            self.lineage[id(node)] = lineage
            self.alive.append(node)
            self._count_uses(node.inputs)
            fresh.extend(tensor.node for tensor in node.inputs)

    def _report_cycle(self, stack: list[Node], pending: list[Node]) -> None:
        target = next(one for one in pending if id(one) in self.replaced)
        start = max(place for place, node in enumerate(stack) if node is target)
        names = [self.fired[id(node)] for node in stack[start:] if id(node) in self.fired]
        unique = list(dict.fromkeys(names))
        raise RewriteError(
            "rewrite rules undo each other" if len(unique) > 1 else "a rewrite rule undoes itself",
            details=[
                f"rules {', '.join(unique)}",
                f"the result contains {format_expression(Tensor(target))} again",
            ],
            source=target.sources[0] if target.sources else None,
        )

    # --- uses --------------------------------------------------------------------------------

    def _count_uses(self, tensors: Sequence[Tensor], change: int = 1) -> None:
        for tensor in tensors:
            self.uses[id(tensor.node)] = self.uses.get(id(tensor.node), 0) + change

    def single_use(self, tensor: Tensor) -> bool:
        return self.uses.get(id(tensor.node), 0) <= 1


def _outputs(node: Node) -> tuple[Tensor, ...]:
    if len(node.types) == 1:
        return (Tensor(node),)
    return tuple(Tensor(node, position) for position in range(len(node.types)))


def _key(node: Node) -> tuple[object, ...]:
    if "effect" in node.op.traits:
        return ("unique", id(node))
    if not node.attrs:
        return (node.op, *[(id(tensor.node), tensor.index) for tensor in node.inputs])
    value = node.attrs.get("value")
    if isinstance(value, np.ndarray) and value.nbytes > HASHED_BYTES:
        return ("large", node.op, id(value))
    return structural_key(node)


def _broadcasts(shape: Shape, wanted: Shape) -> bool:
    """Whether `shape` may be broadcast to `wanted`; sizes that only differ in spelling count."""
    if len(shape) > len(wanted):
        return False
    trailing = wanted[len(wanted) - len(shape) :]
    return all(
        a == b or a == 1 or not (isinstance(a, int) and isinstance(b, int))
        for a, b in zip(shape, trailing, strict=True)
    )
