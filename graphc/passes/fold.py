"""Constant folding: an op on constants is computed now, by its reference."""

from collections.abc import Iterable

import numpy as np

from graphc.ir.leaf import CONSTANT, constant
from graphc.ir.node import Node
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import any_op
from graphc.rewrite.rule import rule
from graphc.shapes import is_static

MOST_BYTES = 1 << 16  # a result is never larger
GROWTH = 4  # nor than this many times its inputs, unless it is tiny: views cost nothing
TINY_BYTES = 64
MOST_WORK = 1 << 22  # bytes read


def _of_constants(names: tuple[str, ...]) -> bool:
    return set(names) == {"constant"}


@rule(any_op(operands=_of_constants))
def fold_constants(b: Builder, root: Tensor) -> Tensor | tuple[Tensor, ...] | None:
    """op(constants) = constant. Not for results that outgrow their inputs; an op whose reference
    fails stays, so that the error appears where the value is needed. So does one that does more
    than compute."""
    return _folded(root.node)


@rule(any_op(operands=_of_constants))
def fold_numbers(b: Builder, root: Tensor) -> Tensor | tuple[Tensor, ...] | None:
    """op(numbers) = number. Arrays stay as they are: 1 - y tells what y is."""
    node = root.node
    return None if any(tensor.ndim for tensor in node.inputs) else _folded(node)


def _folded(node: Node) -> Tensor | tuple[Tensor, ...] | None:
    if "effect" in node.op.traits:
        return None
    if any(tensor.node.op is not CONSTANT for tensor in node.inputs):
        return None  # a node of many operands
    arrays = [tensor.node.attrs["value"] for tensor in node.inputs]
    if node.op.name == "broadcast_to":
        return None  # costs nothing, and is the canonical form of a uniform array
    if not _worthwhile(node, arrays):
        return None
    try:
        with np.errstate(all="ignore"):
            result = node.op.reference(node.attrs, *arrays)
    except Exception:
        return None
    values = result if isinstance(result, tuple) else (result,)
    folded = tuple(constant(value) for value in values)
    return folded if tuple(tensor.type for tensor in folded) == node.types else None


def _worthwhile(node: Node, arrays: Iterable[np.ndarray]) -> bool:
    if node.op.index_checks is not None or not all(is_static(t.shape) for t in node.types):
        return False
    read = sum(array.nbytes for array in arrays)
    made = sum(
        t.dtype.itemsize * int(np.prod([int(size) for size in t.shape], dtype=np.int64))
        for t in node.types
    )
    return made <= MOST_BYTES and made <= max(GROWTH * read, TINY_BYTES) and read <= MOST_WORK


FOLD = (fold_constants,)
FOLD_NUMBERS = (fold_numbers,)
