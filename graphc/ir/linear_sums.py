"""Integer scalars as sums of others: by how much two of them differ, known before their values."""

from graphc.ir.leaf import CONSTANT
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.shapes import Size

Key = tuple[int, int]
# What a scalar is: factors of other scalars, and under None the rest.
Sum = dict[Key | None, Size]

ARITHMETIC = ("add", "subtract", "multiply", "negative", "astype")


def difference(x: Tensor, y: Tensor) -> Size | None:
    """x - y of two integer scalars, or None if it depends on values.

    (i + 1) * B - i * B = B
    """
    sums = _sums([x, y])
    return _constant(_combined(sums[x.key], sums[y.key], -1))


def known_value(x: Tensor) -> Size | None:
    """The value of an integer scalar, or None if it depends on others."""
    return _constant(_sums([x])[x.key])


def _constant(found: Sum) -> Size | None:
    return found.get(None, 0) if found.keys() <= {None} else None


def _sums(tensors: list[Tensor]) -> dict[Key, Sum]:
    sums: dict[Key, Sum] = {}
    for node in topological_order(tensors, lambda node: not _is_arithmetic(node)):
        if len(node.types) == 1:
            sums[id(node), 0] = _sum_of(node, sums)
    for tensor in tensors:
        sums.setdefault(tensor.key, {tensor.key: 1})
    return sums


def _is_arithmetic(node: Node) -> bool:
    """Narrow integers wrap around too soon to be sums."""
    return node.op.name in ARITHMETIC and all(
        tensor.ndim == 0 and tensor.dtype.kind == "i" and tensor.dtype.itemsize >= 4
        for tensor in (Tensor(node), *node.inputs)
    )


def _sum_of(node: Node, sums: dict[Key, Sum]) -> Sum:
    own: Sum = {(id(node), 0): 1}
    if node.op is CONSTANT and node.types[0].ndim == 0:
        return {None: int(node.attrs["value"])}
    if node.op.name == "dim":
        return {None: node.attrs["size"]}
    if not _is_arithmetic(node):
        return own
    parts = [sums.get(tensor.key, {tensor.key: 1}) for tensor in node.inputs]
    match node.op.name:
        case "add":
            return _combined(parts[0], parts[1], 1)
        case "subtract":
            return _combined(parts[0], parts[1], -1)
        case "negative":
            return _combined({}, parts[0], -1)
        case "astype":
            return parts[0]
    for one, other in (parts, parts[::-1]):
        factor = _constant(other)
        if factor is not None:
            return _combined({}, one, factor)
    return own


def _combined(x: Sum, y: Sum, factor: Size) -> Sum:
    """x + factor * y"""
    total = dict(x)
    for key, value in y.items():
        total[key] = total.get(key, 0) + factor * value
    return {key: value for key, value in total.items() if value != 0}
