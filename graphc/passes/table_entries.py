"""Large arrays of which few entries change: those entries alone are written.

The gradient by a table whose rows are looked up is zero but for those rows. Plain gradient descent
would write zeros of the size of the table, add the rows to them, and pass over both.
"""

from graphc.dtypes import is_half
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, var
from graphc.rewrite.rule import Context, rule
from graphc.shapes import size_product

LEAST = 1 << 14  # elements of a table
FEW = 4  # entries are one in so many at most, where their number is known

X, Y = var("x"), var("y")


@rule(P.add(X, Y), P.subtract(X, Y))
def changed_entries(
    b: Builder, root: Tensor, context: Context, x: Tensor, y: Tensor
) -> Tensor | None:
    """x + c*scatter_add(i, v) = x.at[i].add(c*v), x - c*scatter_add(i, v) = x.at[i].add(-c*v)

    where x is large, c a number and v small. The sum of v at an entry is rounded beside x then, so
    that halves stay as they are.
    """
    if is_half(root.dtype) or not _is_large(root):
        return None
    if root.op.name == "subtract":
        return _changed(b, x, y, context, negated=True)
    found = _changed(b, x, y, context)
    return _changed(b, y, x, context) if found is None else found


def _changed(
    b: Builder, table: Tensor, change: Tensor, context: Context, negated: bool = False
) -> Tensor | None:
    factors: list[Tensor] = []
    shape = change.shape
    while context.single_use(change) and change.op.name in ("multiply", "negative"):
        negated ^= change.op.name == "negative"
        arrays = [tensor for tensor in change.node.inputs if tensor.ndim]
        if len(arrays) != 1:
            return None
        factors += [tensor for tensor in change.node.inputs if not tensor.ndim]
        change = arrays[0]
    if change.op.name != "scatter_add" or not context.single_use(change):
        return None
    indices, values = change.node.inputs
    if not table.shape == change.shape == shape or not _is_small(values, table):
        return None
    for factor in factors:
        values = b.multiply(values, factor)
    values = b.negative(values) if negated else values
    return b.scatter(table, [indices], values, (change.node.attrs["axis"],), mode="add")


def _is_large(table: Tensor) -> bool:
    size = size_product(table.shape)
    return isinstance(size, int) and size >= LEAST


def _is_small(values: Tensor, table: Tensor) -> bool:
    entries, size = size_product(values.shape), size_product(table.shape)
    return not isinstance(entries, int) or not isinstance(size, int) or entries * FEW <= size


TABLE_ENTRIES = (changed_entries,)
