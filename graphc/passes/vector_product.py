"""Products with a vector become sums of products, so that they fuse with what is around them.

They are bound by memory: what counts is that `sigmoid(x @ w + b)` runs through x once and that
`w - rate * (x.T @ d)` writes nothing but the new w.
"""

from graphc.dtypes import is_floating
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, var
from graphc.rewrite.rule import rule

X, Y = var("x"), var("y")


@rule(P.matmul(X, Y))
def product_with_vector(b: Builder, root: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """x @ w = sum(x * w, axis=-1);  v @ y = sum(v[:, None] * y, axis=-2)"""
    if not is_floating(root.dtype) or min(x.ndim, y.ndim) != 1:
        return None
    if y.ndim == 1:
        if x.ndim >= 2 and root.node.attrs["transpose_a"]:
            return b.sum(b.multiply(x, b.expand_dims(y, 1)), axis=-2)
        return b.sum(b.multiply(x, y), axis=-1)
    if root.node.attrs["transpose_b"]:
        return b.sum(b.multiply(y, x), axis=-1)
    return b.sum(b.multiply(y, b.expand_dims(x, 1)), axis=-2)


@rule(P.matmul(X, Y))
def thin_product(b: Builder, root: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """x[m, k] @ y[k, 1] = sum(x * y.T, axis=1);  x[m, 1] @ y[1, n] = x * y"""
    if not is_floating(root.dtype) or x.ndim != 2 or y.ndim != 2:
        return None
    left = b.matrix_transpose(x) if root.node.attrs["transpose_a"] else x
    right = b.matrix_transpose(y) if root.node.attrs["transpose_b"] else y
    if left.shape[1] == 1 and right.shape[0] == 1:
        return b.multiply(left, right)
    if right.shape[1] == 1:
        return b.sum(b.multiply(left, b.matrix_transpose(right)), axis=1, keepdims=True)
    if left.shape[0] == 1:
        return b.sum(b.multiply(right, b.matrix_transpose(left)), axis=0, keepdims=True)
    return None


VECTOR_PRODUCT = (product_with_vector, thin_product)
