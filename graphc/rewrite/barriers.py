"""Barriers: values that rules see as leaves, since placeholders stand for them while rules fire.

Rules look at what made a value, in their patterns and in what they do once these match. Without
the placeholder a barrier that is a constant or a broadcast would be taken for one.
"""

from collections.abc import Mapping, Sequence

from graphc.ir.leaf import PLACEHOLDER, VARIABLE, placeholder
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order

Key = tuple[int, int]


class Barriers:
    """What stands for each barrier that is no leaf anyway."""

    def __init__(self, barriers: Sequence[Tensor]) -> None:
        hidden = {
            tensor.key: tensor for tensor in barriers if tensor.op not in (PLACEHOLDER, VARIABLE)
        }
        pairs = [(one, placeholder(None, one.shape, one.dtype)) for one in hidden.values()]
        self._stand_ins = {barrier.key: stand_in for barrier, stand_in in pairs}
        self._barriers = {stand_in.key: barrier for barrier, stand_in in pairs}

    def hide(self, results: Sequence[Tensor]) -> list[Tensor]:
        """`results` with placeholders in the place of the barriers."""
        return _replaced(results, self._stand_ins)

    def restore(self, results: Sequence[Tensor]) -> list[Tensor]:
        """`results` with the barriers as they are in the place of the placeholders."""
        return _replaced(results, self._barriers)


def _replaced(results: Sequence[Tensor], instead: Mapping[Key, Tensor]) -> list[Tensor]:
    """`results` with other tensors of the same types in the place of some. Iterative."""
    if not instead:
        return list(results)
    made = dict(instead)

    def lookup(tensor: Tensor) -> Tensor:
        found = made.get(tensor.key, tensor)
        if found is tensor or tensor._name is None or tensor.key in instead:
            return found
        return Tensor(found.node, found.index, tensor._name)

    order = topological_order(
        results, lambda node: len(node.types) == 1 and (id(node), 0) in instead
    )
    for node in order:
        inputs = tuple([lookup(tensor) for tensor in node.inputs])
        if any(new is not old for new, old in zip(inputs, node.inputs, strict=True)):
            again = node.with_inputs(inputs)
            for index in range(len(node.types)):
                made.setdefault((id(node), index), Tensor(again, index))
    return [lookup(tensor) for tensor in results]
