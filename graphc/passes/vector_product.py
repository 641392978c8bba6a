"""Products with a vector become sums of products, so that they fuse with what is around them.

They are bound by memory: what counts is that `sigmoid(x @ w + b)` runs through x once and that
`w - rate * (x.T @ d)` writes nothing but the new w.

Factors in half precision are multiplied as float32, where their products are exact: what is rounded
is the sum, once, as in products of matrices.
"""

from graphc.dtypes import float32, is_floating, is_half
from graphc.ir.leaf import PLACEHOLDER
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
            return _sum_of_products(b, x, b.expand_dims(y, 1), -2)
        return _sum_of_products(b, x, y, -1)
    if root.node.attrs["transpose_b"]:
        return _sum_of_products(b, y, x, -1)
    return _sum_of_products(b, y, b.expand_dims(x, 1), -2)


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
        return _sum_of_products(b, left, b.matrix_transpose(right), 1, keepdims=True)
    if left.shape[0] == 1:
        return _sum_of_products(b, right, b.matrix_transpose(left), 0, keepdims=True)
    return None


def _sum_of_products(b: Builder, x: Tensor, y: Tensor, axis: int, keepdims: bool = False) -> Tensor:
    if not is_half(x.dtype):
        return b.sum(b.multiply(x, y), axis=axis, keepdims=keepdims)
    products = b.multiply(b.astype(x, float32), b.astype(y, float32))
    return b.astype(b.sum(products, axis=axis, keepdims=keepdims), x.dtype)


@rule(P.matmul(X, Y))
def vector_first(b: Builder, root: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """w @ v = v @ w.T for a matrix that is given to the body of a loop"""
    if not is_floating(root.dtype) or x.ndim != 2 or y.ndim != 1 or x.op is not PLACEHOLDER:
        return None
    return root.op(y, x, transpose_a=False, transpose_b=not root.node.attrs["transpose_a"])


VECTOR_PRODUCT = (product_with_vector, thin_product)
VECTOR_FIRST = (vector_first,)
