"""Matrix products: transposes become flags, and chains are multiplied in the cheapest order."""

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, attr, var
from graphc.rewrite.rule import Context, rule

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


CONTRACTION = (transposed_left, transposed_right, transposed_product)
