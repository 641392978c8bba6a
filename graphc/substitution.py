"""Givens: replace expressions inside a graph by others before it is compiled."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphc.errors import FunctionError
from graphc.ir.leaf import as_tensor
from graphc.ir.node import Node
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor

Replacements = dict[tuple[int, int], Tensor]


def givens_of(givens: Mapping[Tensor, Any] | Sequence[tuple[Tensor, Any]] | None) -> Replacements:
    """Pairs as a table; each replacement must have the dtype and rank of what it replaces."""
    pairs = list(givens.items()) if isinstance(givens, Mapping) else list(givens or ())
    table: Replacements = {}
    for key, value in pairs:
        replacement = as_tensor(value)
        same = replacement.dtype == key.dtype and replacement.ndim == key.ndim
        if not same or key.key in table:
            problem = "is given twice" if same else "cannot be replaced by another type"
            raise FunctionError(
                f"givens: {key.name or key.op.name} {problem}",
                code="E209",
                details=[f"got {replacement.type}, allowed {key.type}"],
                source=key.sources[0] if key.sources else None,
                fix="give each tensor once, by an expression of its dtype and rank",
            )
        table[key.key] = replacement
    return table


def substitute_tensors(results: Sequence[Tensor], table: Replacements) -> list[Tensor]:
    """`results` with every tensor in the table replaced, in the replacements too.

    FunctionError (E209) if replacements depend on each other in a circle. Iterative.
    """
    rebuilt: dict[int, tuple[Tensor, ...]] = {}
    active: set[int] = set()

    def target(tensor: Tensor) -> Tensor:
        return table.get(tensor.key, tensor)

    def lookup(tensor: Tensor) -> Tensor:
        final = target(tensor)
        return rebuilt[id(final.node)][final.index]

    for result in results:
        stack: list[tuple[Node, bool]] = [(target(result).node, False)]
        while stack:
            node, opened = stack.pop()
            if opened:
                active.discard(id(node))
                rebuilt[id(node)] = _rebuild(node, [lookup(t) for t in node.inputs])
                continue
            if id(node) in rebuilt:
                continue
            if id(node) in active:
                raise FunctionError(
                    f"givens replace {node.op.name} by an expression that depends on itself",
                    code="E209",
                    source=node.sources[0] if node.sources else None,
                    fix="break the circle: a replacement may not lead back to its own key",
                )
            active.add(id(node))
            stack.append((node, True))
            for tensor in node.inputs:
                following = target(tensor).node
                if id(following) not in rebuilt:
                    stack.append((following, False))
    return [lookup(result) for result in results]


def _rebuild(node: Node, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    if all(new is old for new, old in zip(inputs, node.inputs, strict=True)):
        return tuple(Tensor(node, position) for position in range(len(node.types)))
    with source_scope(node.sources):
        return node.op.apply(inputs, node.attrs)
