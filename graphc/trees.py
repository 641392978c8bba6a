"""Parameters in nested lists, tuples and dicts: `tree_map` and `tree_leaves`, as JAX has them."""

from collections.abc import Callable
from typing import Any

from graphc.errors import ArgumentError
from graphc.ir.source import current_source
from graphc.structure import flatten
from graphc.surface import surface

__all__ = ["tree_leaves", "tree_map"]


@surface
def tree_leaves(tree: Any) -> list[Any]:
    """What is inside of nested lists, tuples and dicts, in order; None is nothing.

    >>> gc.tree_leaves([(W, b), {"scale": s}])
    [W, b, s]
    """
    return flatten(tree)[0]


@surface
def tree_map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """The structure of `tree` with function(leaf, *leaves of the rest there) in place of each leaf.

    tree, rest: nested lists, tuples and dicts around anything, all of one structure; None stays.
    ArgumentError for structures that differ.

    >>> params = [(W1, b1), (W2, b2)]
    >>> new = gc.tree_map(lambda p, g: p - 0.1 * g, params, gc.grad(cost, params))
    >>> updates = dict(zip(gc.tree_leaves(params), gc.tree_leaves(new)))
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for number, other in enumerate(rest, 1):
        others, shape = flatten(other)
        if shape != structure:
            raise ArgumentError(
                f"tree_map: tree {number} of the rest has another structure than the first",
                details=[f"{len(leaves)} leaves and {len(others)}"],
                source=current_source(),
                fix="give lists, tuples and dicts nested in the same way, with the same keys",
            )
        columns.append(others)
    return structure.pack([function(*row) for row in zip(*columns, strict=True)])
