"""Matrix products: transposes become flags, and chains are multiplied in the cheapest order."""

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.rewrite.pattern import P, attr, var
from graphc.rewrite.rule import Context, rule
from graphc.shapes import Size, evaluate, lower_bound, symbols_of

X, Y = var("x"), var("y")
Axes = tuple[int, ...]


def swaps_last_axes(axes: Axes) -> bool:
    """Whether a transpose exchanges the last two axes and leaves the others."""
    count = len(axes)
    return count >= 2 and axes == (*range(count - 2), count - 1, count - 2)


@rule(P.matmul(P.permute_dims(X, axes=attr("axes")), Y))
def transposed_left(b: Builder, root: Tensor, x: Tensor, y: Tensor, axes: Axes) -> Tensor | None:
    """x.mT @ y = matmul(x, y, transpose_a=True)"""
    if not swaps_last_axes(axes):
        return None
    attrs = root.node.attrs
    return root.op(x, y, **{**attrs, "transpose_a": not attrs["transpose_a"]})


@rule(P.matmul(X, P.permute_dims(Y, axes=attr("axes"))))
def transposed_right(b: Builder, root: Tensor, x: Tensor, y: Tensor, axes: Axes) -> Tensor | None:
    """x @ y.mT = matmul(x, y, transpose_b=True)"""
    if not swaps_last_axes(axes):
        return None
    attrs = root.node.attrs
    return root.op(x, y, **{**attrs, "transpose_b": not attrs["transpose_b"]})


@rule(P.permute_dims(P.matmul(X, Y), axes=attr("axes")))
def transposed_product(
    b: Builder, root: Tensor, context: Context, x: Tensor, y: Tensor, axes: Axes
) -> Tensor | None:
    """(x @ y).mT = y.mT @ x.mT, where nothing else uses the product"""
    product = root.node.inputs[0]
    if not swaps_last_axes(axes) or min(x.ndim, y.ndim) < 2 or not context.single_use(product):
        return None
    attrs = product.node.attrs
    flags = {"transpose_a": not attrs["transpose_b"], "transpose_b": not attrs["transpose_a"]}
    return product.op(y, x, **{**attrs, **flags})


# --- the order of a chain ------------------------------------------------------------------------

LONGEST = 8  # factors that are reordered at once
TYPICAL = 256  # what a symbolic size is taken for to find a candidate
LEAST = 2  # a candidate must be better for all sizes from here on: those of 1 cost little anyway


@dataclass(frozen=True, slots=True)
class Factor:
    """A matrix, or a vector at either end, with the flag under which it enters."""

    tensor: Tensor
    transposed: bool


@rule(P.matmul(X, Y))
def chain_order(b: Builder, root: Tensor, context: Context) -> Tensor | None:
    """(x @ y) @ z = x @ (y @ z) where that takes fewer multiplications"""
    factors, spent = _flatten(root, context)
    if not 3 <= len(factors) <= LONGEST:
        return None
    sizes = _sizes(factors)
    order = _cheapest([evaluate(size, dict.fromkeys(symbols_of(size), TYPICAL)) for size in sizes])
    if not _fewer(_cost(order, sizes), spent):
        return None
    return _product(b, order, factors)


def _flatten(root: Tensor, context: Context) -> tuple[list[Factor], Size]:
    """The factors of a chain of products, left to right, and its multiplications as written."""
    pending = [Factor(root, False)]
    factors: list[Factor] = []
    spent: Size = 0
    while pending:
        factor = pending.pop()
        inside = factor.tensor is root or (
            not factor.transposed
            and len(factors) + len(pending) < LONGEST
            and _is_link(factor.tensor, context, leftmost=not factors, rightmost=not pending)
        )
        if not inside:
            factors.append(factor)
            continue
        node = factor.tensor.node
        left, right = node.inputs
        pair = (
            Factor(left, node.attrs["transpose_a"]),
            Factor(right, node.attrs["transpose_b"]),
        )
        if factor.tensor is root and max(left.ndim, right.ndim) > 2:
            return [], 0
        pending += reversed(pair)
        rows, inner, columns = _sizes(pair)
        spent = spent + rows * inner * columns
    return factors, spent


def _is_link(tensor: Tensor, context: Context, leftmost: bool, rightmost: bool) -> bool:
    """Whether a factor is itself a product of the chain, used nowhere else."""
    if tensor.op.name != "matmul" or not context.single_use(tensor):
        return False
    left, right = tensor.node.inputs
    if left.ndim == 2 and right.ndim == 2:
        return True
    # A vector may stand at the outer end of the whole chain only.
    if left.ndim == 1 and right.ndim == 2:
        return leftmost and not rightmost
    return left.ndim == 2 and right.ndim == 1 and rightmost and not leftmost


def _sizes(factors: list[Factor] | tuple[Factor, ...]) -> list[Size]:
    """Rows of the first factor, then the columns of each; 1 outside of a vector."""
    first, last = factors[0], factors[-1]
    sizes: list[Size] = [1 if first.tensor.ndim == 1 else first.tensor.shape[-1 - _rows(first)]]
    for factor in factors:
        if factor.tensor.ndim == 2:
            sizes.append(factor.tensor.shape[-2 + _rows(factor)])
        else:
            sizes.append(1 if factor is last else factor.tensor.shape[0])
    return sizes


def _rows(factor: Factor) -> int:
    """1 if the rows are the second to last axis, 0 if they are the last."""
    return 0 if factor.transposed else 1


Order = int | tuple["Order", "Order"]


def _cheapest(sizes: list[int]) -> Order:
    """The order of fewest multiplications: dynamic programming over all splits."""
    count = len(sizes) - 1
    best: dict[tuple[int, int], tuple[int, Order]] = {(k, k + 1): (0, k) for k in range(count)}
    for length in range(2, count + 1):
        for start in range(count - length + 1):
            stop = start + length
            options = []
            for middle in range(start + 1, stop):
                (left, one), (right, other) = best[start, middle], best[middle, stop]
                own = sizes[start] * sizes[middle] * sizes[stop]
                options.append((left + right + own, (one, other)))
            best[start, stop] = min(options, key=lambda option: option[0])
    return best[0, count][1]


def _span(order: Order) -> tuple[int, int]:
    first, last = order, order
    while isinstance(first, tuple):
        first = first[0]
    while isinstance(last, tuple):
        last = last[1]
    return first, last + 1


def _cost(order: Order, sizes: list[Size]) -> Size:
    if isinstance(order, int):
        return 0
    left, right = order
    (start, middle), (_, stop) = _span(left), _span(right)
    own = sizes[start] * sizes[middle] * sizes[stop]
    return _cost(left, sizes) + _cost(right, sizes) + own


def _fewer(cost: Size, spent: Size) -> bool:
    """Whether `cost` is less, for all symbolic sizes of at least 2."""
    saved = spent - cost
    least = lower_bound(saved, dict.fromkeys(symbols_of(saved), LEAST))
    return least is not None and least > 0


def _product(b: Builder, order: Order, factors: list[Factor]) -> Tensor:
    parts = [factors[order]] if isinstance(order, int) else []
    if isinstance(order, tuple):
        parts = [
            factors[part] if isinstance(part, int) else Factor(_product(b, part, factors), False)
            for part in order
        ]
    if len(parts) == 1:
        return parts[0].tensor
    left, right = parts
    return b.matmul(
        left.tensor, right.tensor, transpose_a=left.transposed, transpose_b=right.transposed
    )


CONTRACTION = (transposed_left, transposed_right, transposed_product, chain_order)
