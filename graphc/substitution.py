"""Givens: replace expressions inside a graph by others before it is compiled."""

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from graphc.errors import FunctionError, GraphcError
from graphc.ir.leaf import as_tensor
from graphc.ir.lengths import fresh_length, with_own_lengths
from graphc.ir.node import Attributes, Node
from graphc.ir.opdef import Constraint
from graphc.ir.resizing import mentions, resized_attributes
from graphc.ir.source import Sources, current_sources, source_scope
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.shapes import Dim, Size, symbols_of
from graphc.shapes import substitute as substitute_size
from graphc.signature import as_expression, called, is_symbol, pairs_of, whole_sizes
from graphc.structure import flatten
from graphc.surface import surface

__all__ = ["substitute"]

Key = tuple[int, int]


@dataclass
class Givens:
    """What stands for what.

    tensors: the replacement of each value, by key. sizes: the same for symbolic sizes that no
    input gives any more. constraints: sizes that must turn out to be equal at the call.
    """

    tensors: dict[Key, Tensor] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    constraints: list[Constraint] = field(default_factory=list)

    def tensor(self, tensor: Tensor) -> Tensor:
        """What stands in the place of `tensor`, by any number of replacements."""
        start = tensor
        for _ in range(len(self.tensors) + 1):
            replacement = self.tensors.get(tensor.key)
            if replacement is None:
                return tensor
            tensor = replacement
        raise circular(start)

    def size(self, size: Size) -> Size:
        while not symbols_of(size).isdisjoint(self.sizes):
            size = substitute_size(size, self.sizes)
        return size

    def unify(
        self, old: Size, new: Size, kept: frozenset[str], text: str, sources: Sources
    ) -> None:
        """One axis of a replaced value and of its replacement have one size.

        kept: the sizes that inputs give; they stay, and are compared with `new` at the call.
        """
        old, new = self.size(old), self.size(new)
        name = str(old)
        if is_symbol(old) and name not in kept and name not in symbols_of(new):
            self.sizes[name] = new
        elif old != new:
            self.constraints.append(Constraint(old, new, text, sources))


def givens_of(givens: Any, inputs: Sequence[Tensor], sources: Sources) -> Givens:
    """Givens as a table; each replacement must have the dtype and shape of what it replaces."""
    result = Givens()
    source = sources[0] if sources else None
    kept = whole_sizes(inputs)
    shapes: list[tuple[Tensor, Tensor]] = []
    for key, value in pairs_of("givens", "E209", givens, sources):
        if not isinstance(key, Tensor):
            raise FunctionError(
                f"givens replace tensors, not {called(key)}",
                code="E209",
                source=source,
                fix="write givens={tensor: expression}",
            )
        name = key.name or f"the result of {key.op.name}"
        if key.key in result.tensors:
            raise FunctionError(
                f"givens: {name} is replaced twice",
                code="E209",
                details=[f"{key.type}, written {key.source}"],
                source=source,
                fix="give each tensor once",
            )
        try:
            replacement = as_expression(value, key.dtype)
        except (GraphcError, TypeError, ValueError) as error:
            raise FunctionError(
                f"givens: {name} cannot be replaced by {called(value)}",
                code="E209",
                details=[error.message if isinstance(error, GraphcError) else str(error)],
                source=source,
                fix="a replacement is a tensor, an array or numbers",
            ) from None
        if not _may_replace(key, replacement):
            raise FunctionError(
                f"givens: {name} is replaced by an expression of another type",
                code="E209",
                details=[f"got     {replacement.type}", f"allowed {key.type}"],
                source=source,
                fix="cast with .astype, reshape or broadcast the replacement",
            )
        result.tensors[key.key] = replacement
        shapes.append((key, replacement))
    for old, new in shapes:
        text = f"givens for {old.name or old.op.name}"
        for left, right in zip(old.shape, new.shape, strict=True):
            result.unify(left, right, kept, text, sources)
    return result


def _may_replace(old: Tensor, new: Tensor) -> bool:
    """dtype, rank and static sizes agree; symbolic sizes are compared at the call."""
    return (
        old.dtype == new.dtype
        and old.ndim == new.ndim
        and all(
            isinstance(a, Dim) or isinstance(b, Dim) or a == b
            for a, b in zip(old.shape, new.shape, strict=True)
        )
    )


def substitute_tensors(results: Sequence[Tensor], givens: Givens) -> list[Tensor]:
    """`results` with everything replaced, in the replacements too.

    FunctionError (E209) if replacements depend on each other in a circle. Iterative.
    """
    rebuilt: dict[int, tuple[Tensor, ...]] = {}
    active: set[int] = set()

    def lookup(tensor: Tensor) -> Tensor:
        final = givens.tensor(tensor)
        found = rebuilt[id(final.node)][final.index]
        if found.name is None:
            found.name = final.name
        return found

    for result in results:
        stack: list[tuple[Node, bool]] = [(givens.tensor(result).node, False)]
        while stack:
            node, opened = stack.pop()
            if opened:
                active.discard(id(node))
                rebuilt[id(node)] = _rebuild(node, [lookup(t) for t in node.inputs], givens)
                continue
            if id(node) in rebuilt:
                continue
            if id(node) in active:
                raise circular(Tensor(node))
            active.add(id(node))
            stack.append((node, True))
            for tensor in node.inputs:
                following = givens.tensor(tensor).node
                if id(following) not in rebuilt:
                    stack.append((following, False))
    return [lookup(result) for result in results]


def circular(tensor: Tensor) -> FunctionError:
    return FunctionError(
        "givens: an expression is replaced by something that depends on itself",
        code="E209",
        details=[f"the circle leads through {tensor.name or tensor.op.name}: {tensor.type}"],
        source=tensor.sources[0] if tensor.sources else None,
        fix="replacements are replaced in too: none may lead back to its own key",
    )


def _rebuild(node: Node, inputs: list[Tensor], givens: Givens) -> tuple[Tensor, ...]:
    attrs: Attributes = node.attrs
    while givens.sizes and any(mentions(value, givens.sizes) for value in attrs.values()):
        attrs = resized_attributes(attrs, givens.sizes)
    if attrs is node.attrs and all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return tuple(Tensor(node, position) for position in range(len(node.types)))
    with source_scope(node.sources):
        return node.op.apply(inputs, attrs)


@surface
def substitute(outputs: Any, givens: Any) -> Any:
    """Expressions with others put in the place of tensors inside them; the originals stay.

    outputs: a tensor, or a list, tuple or dict of them, also nested; the result has the same
    structure. givens: tensors and what replaces them, as a dict or pairs: tensors, arrays or
    numbers of the same dtype and rank, of any sizes. All are replaced at once: what replaces stays
    as it is, also where it contains what is replaced. Raises FunctionError (E209) as the givens of
    gc.function do.

    >>> there = gc.substitute(cost, {w: w + step})
    """
    leaves, structure = flatten(outputs)
    table = givens_of(givens, (), current_sources())
    return structure.pack(_substituted_once([as_tensor(leaf) for leaf in leaves], table))


def _substituted_once(results: Sequence[Tensor], givens: Givens) -> list[Tensor]:
    """`results` with everything replaced but what stands in replacements. Iterative."""
    rebuilt: dict[int, tuple[Tensor, ...]] = {}

    def lookup(tensor: Tensor) -> Tensor:
        replacement = givens.tensors.get(tensor.key)
        if replacement is not None:
            return replacement
        found = rebuilt[id(tensor.node)][tensor.index]
        if found.name is None:
            found.name = tensor.name
        return found

    stack = [(tensor.node, False) for tensor in results if tensor.key not in givens.tensors]
    while stack:
        node, opened = stack.pop()
        if id(node) in rebuilt:
            continue
        if opened:
            rebuilt[id(node)] = _rebuild(node, [lookup(t) for t in node.inputs], givens)
            continue
        stack.append((node, True))
        for tensor in node.inputs:
            if tensor.key not in givens.tensors and id(tensor.node) not in rebuilt:
                stack.append((tensor.node, False))
    replacing = {id(tensor.node) for tensor in givens.tensors.values()}
    return with_own_lengths(
        [lookup(result) for result in results],
        replacing,
        fresh_length,
        lambda node: id(node) not in rebuilt,  # the originals stay as well
    )
