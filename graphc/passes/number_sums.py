"""Numbers that a loop adds up are added up after it, from the values of all steps.

    total + f(a_t, b_t)   over all t   =   sum(f(as, bs))

A loop of numbers that holds no sum forgets where it began, runs in pieces side by side, and waits
for less in every step. What the loop computes anyway is stacked; what it computes for the sums
alone is computed after it, for all steps at once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from graphc.dtypes import is_floating, is_integer
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.lowering import Elementwise
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.passes.loops import Body
from graphc.passes.nested import Key
from graphc.shapes import Size, size_product

STACKED = 2  # bytes that may be stacked for sums, for each that the loop reads or stacks anyway
SAME = frozenset({"reshape", "broadcast_to"})  # of a number


class Sum(NamedTuple):
    """A carry whose following value is its state and a term; nothing else reads either."""

    carry: tuple[Tensor, Tensor, Tensor]  # (state, initial, following)
    term: Tensor


def is_number(tensor: Tensor) -> bool:
    return size_product(tensor.shape) == 1


def can_add(term: Tensor) -> bool:
    """Whether the term is a number that may be added up in any order."""
    return is_number(term) and (is_floating(term.dtype) or is_integer(term.dtype))


class NumberSums:
    """The sums of a loop. stacked: the values of its body that they need from all steps."""

    def __init__(self, body: Body, sums: Sequence[Sum]) -> None:
        """body: without the carries of the sums."""
        self.body = body
        self.length: Size = body.attrs["length"]
        self.sequences = {inner.key: outer for inner, outer in body.sequences if is_number(inner)}
        self.shared = {inner.key: outer for inner, outer in body.shared if is_number(inner)}
        self.made: dict[Key, Tensor] = {}  # values of all steps: (length,), or () if all are one
        results = [*(following for _, _, following in body.carries), *body.outputs]
        self.inside = {id(node) for node in topological_order(results)}
        terms = [one.term for one in sums]
        order = topological_order(terms, lambda node: not self._is_later(node))
        self.later = [node for node in order if self._is_later(node)]
        used = {t.key: t for t in (*(t for node in self.later for t in node.inputs), *terms)}
        computed = {id(node) for node in self.later}
        given = {*self.sequences, *self.shared}
        self.stacked = [
            tensor
            for key, tensor in used.items()
            if id(tensor.node) not in computed and key not in given
        ]

    def _is_later(self, node: Node) -> bool:
        """Whether the value is computed after the loop."""
        if not node.inputs:
            return node.op is not PLACEHOLDER and is_number(Tensor(node))
        if id(node) in self.inside:
            return False
        elementwise = "elementwise" in node.op.traits and isinstance(node.op.lower, Elementwise)
        if not elementwise and node.op.name not in SAME:
            return False
        return all(is_number(tensor) for tensor in (Tensor(node), *node.inputs))

    def pays(self) -> bool:
        """Not where a step works on arrays, beside which a sum costs nothing; nor may memory grow
        with the length of a loop that would do without."""
        if not all(is_number(state) for state, _, _ in self.body.carries):
            return False
        before = [*(inner for inner, _ in self.body.sequences), *self.body.outputs]
        return _row_bytes(self.stacked) <= STACKED * _row_bytes(before)

    def after(self, one: Sum) -> Callable[[Sequence[Tensor]], Tensor]:
        """What makes the sum of the stacked outputs of the loop."""

        def total(stacked: Sequence[Tensor]) -> Tensor:
            terms = self._values(stacked)[one.term.key]
            if terms.ndim == 0:
                terms = BUILDER.broadcast_to(terms, (self.length,))
            state = one.carry[0]
            return BUILDER.broadcast_to(BUILDER.sum(terms, axis=0, dtype=state.dtype), state.shape)

        return total

    def _values(self, stacked: Sequence[Tensor]) -> Mapping[Key, Tensor]:
        """All that is computed after the loop, in all steps."""
        made = self.made
        if made:
            return made
        for tensor in self.stacked:
            made[tensor.key] = BUILDER.reshape(stacked[self.body.stack(tensor)], (self.length,))
        for key, outer in self.sequences.items():
            made[key] = BUILDER.reshape(outer, (self.length,))
        for key, outer in self.shared.items():
            made[key] = BUILDER.reshape(outer, ())
        for node in self.later:
            inputs = [made[tensor.key] for tensor in node.inputs]
            made[Tensor(node).key] = self._value(node, inputs)
        return made

    def _value(self, node: Node, inputs: Sequence[Tensor]) -> Tensor:
        if not inputs:
            return BUILDER.reshape(Tensor(node), ())
        if node.op.name in SAME:
            return inputs[0]
        with source_scope(node.sources):
            return node.op(*inputs, **node.attrs)


def _row_bytes(tensors: Sequence[Tensor]) -> int:
    """Bytes of a step, or less where sizes are not known."""
    sizes = [(size_product(tensor.shape), tensor.dtype.itemsize) for tensor in tensors]
    return sum(item * (size if isinstance(size, int) else 1) for size, item in sizes)
