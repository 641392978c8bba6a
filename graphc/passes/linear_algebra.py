"""Inverses and determinants that were written naively: systems are solved, determinants do not
overflow."""

import math

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.passes.contraction import swaps_last_axes
from graphc.rewrite.pattern import P, attr, var
from graphc.rewrite.rule import Context, rule

A, X = var("a"), var("x")
INVERSE = P.inv(A)
TRANSPOSED = P.permute_dims(INVERSE, axes=attr("axes"))
Axes = tuple[int, ...]


@rule(P.matmul(INVERSE, X))
def product_with_inverse(b: Builder, root: Tensor, context: Context) -> Tensor | None:
    """inv(a) @ x = solve(a, x), where nothing else uses the inverse"""
    return _solved(b, root, context, 0)


@rule(P.matmul(TRANSPOSED, X))
def product_with_transposed(
    b: Builder, root: Tensor, context: Context, axes: Axes
) -> Tensor | None:
    """inv(a).mT @ x = solve(a.mT, x), where nothing else uses the inverse"""
    return _solved(b, root, context, 0) if swaps_last_axes(axes) else None


@rule(P.matmul(X, INVERSE))
def inverse_on_the_right(b: Builder, root: Tensor, context: Context) -> Tensor | None:
    """x @ inv(a) = solve(a.mT, x.mT).mT, where nothing else uses the inverse"""
    return _solved(b, root, context, 1)


@rule(P.matmul(X, TRANSPOSED))
def transposed_on_the_right(
    b: Builder, root: Tensor, context: Context, axes: Axes
) -> Tensor | None:
    """x @ inv(a).mT = solve(a, x.mT).mT, where nothing else uses the inverse"""
    return _solved(b, root, context, 1) if swaps_last_axes(axes) else None


def _solved(b: Builder, root: Tensor, context: Context, place: int) -> Tensor | None:
    """The product as the solution of a system, if its operand at `place` has no other use."""
    operands, flags = root.node.inputs, root.node.attrs
    inverse, x = operands[place], operands[1 - place]
    transposed = [flags["transpose_a"], flags["transpose_b"]]
    is_turned = transposed[place]
    if not context.single_use(inverse):
        return None
    if inverse.op.name == "permute_dims":
        inverse, is_turned = inverse.node.inputs[0], not is_turned
        if not context.single_use(inverse):
            return None
    from_right = place == 1
    is_vector = x.ndim == 1
    if is_vector:
        x = b.expand_dims(x, -1)
    elif transposed[1 - place] is not from_right:
        x = b.matrix_transpose(x)
    (a,), caller = inverse.node.inputs, inverse.node.attrs["caller"]
    found = b.solve_system(a, x, transpose=is_turned is not from_right, caller=caller)
    if is_vector:
        return b.squeeze(found, -1)
    return b.matrix_transpose(found) if from_right else found


@rule(P.log(P.abs(P.det(A))))
def log_of_size_of_det(b: Builder, a: Tensor) -> Tensor:
    """log(abs(det(a))) = slogdet(a).logabsdet"""
    return b.slogdet(a)[1]


@rule(P.log(P.det(A)))
def log_of_det(b: Builder, a: Tensor) -> Tensor:
    """log(det(a)) = slogdet(a).logabsdet where the sign is not negative, else nan"""
    sign, logarithm = b.slogdet(a)
    return b.where(b.less(sign, 0), math.nan, logarithm)


LINEAR_ALGEBRA = (
    product_with_inverse,
    product_with_transposed,
    inverse_on_the_right,
    transposed_on_the_right,
    log_of_size_of_det,
    log_of_det,
)
