"""What reverse and forward mode give together: Jacobians, Hessians and their products."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.autodiff.activity import describe, written
from graphc.autodiff.arguments import (
    Disconnected,
    Tensors,
    check_cost,
    check_floating,
    fill_gradients,
    fill_tangents,
    flatten,
    flatten_like,
)
from graphc.autodiff.forward import fill_flat, jvp, push_forward
from graphc.autodiff.gradient import grad, stabilize_for_differentiation
from graphc.autodiff.reverse import backpropagate
from graphc.dtypes import is_complex
from graphc.errors import DimError, GradientError
from graphc.ir.leaf import constant
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.shapes import is_static, size_product

__all__ = ["hessian", "hvp", "jacobian"]

MOST_ROWS = 1024  # derivatives that are built one by one

b = BUILDER


def jacobian(y: Tensor, x: Tensors) -> Any:
    """All partial derivatives: result[i..., j...] = dy[i...] / dx[j...], shape y.shape + x.shape.

    y: a floating tensor of any rank. x: one tensor, or a list, tuple or dict of tensors; the result
    has the same structure, each in the dtype of y. Entries that do not depend on x are zero.
    Of complex tensors it is the complex derivative, which holomorphic functions have.

    One of the two must have a static size: the graph holds one gradient per element of y, or one
    tangent per element of x, whichever are fewer (at most 1024).

    Raises DimError E305 if both sizes are symbolic, GradientError E305 above the limit, and the
    errors of `grad`.

    >>> gc.jacobian(A @ x, x)        # A
    """
    targets, rebuild = flatten(x, "x")
    check_floating([y], "y")
    check_floating(targets, "x")
    check_same_kind(y, targets)
    return rebuild([jacobian_of(y, target) for target in targets])


def check_same_kind(y: Tensor, targets: Sequence[Tensor]) -> None:
    """GradientError where one side is complex and the other is not."""
    for x in targets:
        if is_complex(x.dtype) is not is_complex(y.dtype):
            raise GradientError(
                f"jacobian of {y.dtype.name} by {x.dtype.name} values",
                code="E306",
                details=[f"{describe(t)}: {t.type}   {written(t.node)}" for t in (y, x)],
                source=current_source(),
                fix="take real and imaginary parts: gc.real(y), gc.imag(y), gc.complex(u, v)",
            )


def jacobian_of(y: Tensor, x: Tensor, disconnected: Disconnected = "raise") -> Tensor:
    """The Jacobian by one tensor, from rows or from columns."""
    rows = fewer_rows(y, x)
    (stable,) = stabilize_for_differentiation([y], [x])
    found: list[Tensor | None] = []
    if rows:
        for seed in unit_tensors(y):
            backward = backpropagate([(stable, seed)], [x])
            found += fill_gradients(backward.gradients, [y], [x], disconnected, backward.refused)
    else:
        for seed in unit_tensors(x):
            tangents = fill_flat(push_forward([stable], [(x, seed)]), [stable], [x])
            found += fill_tangents(tangents, [y], [x], disconnected)
    shape = (*y.shape, *x.shape)
    if not found:
        return b.zeros(shape, y.dtype)
    whole = b.reshape(b.stack(found, axis=0 if rows else y.ndim), shape)
    return whole if whole.dtype == y.dtype else whole.astype(y.dtype)


def fewer_rows(y: Tensor, x: Tensor) -> bool:
    """Whether y has fewer elements than x; DimError if neither size is known."""
    sizes = [size for size in (y.size, x.size) if isinstance(size, int)]
    details = [
        f"{describe(t)}: {t.type}   {size_product(t.shape)} elements   {written(t.node)}"
        for t in (y, x)
    ]
    if not sizes:
        raise DimError(
            f"jacobian: the sizes of {describe(y)} and {describe(x)} are both symbolic",
            code="E305",
            details=details,
            source=current_source(),
            fix="make the shape of one of them static, or use gc.vjp or gc.jvp for products",
        )
    if min(sizes) > MOST_ROWS:
        raise GradientError(
            f"jacobian: {min(sizes)} derivatives are more than the {MOST_ROWS} that are built "
            "one by one",
            code="E305",
            details=details,
            source=current_source(),
            fix="use gc.vjp or gc.jvp for products with the Jacobian",
        )
    return y.size == min(sizes)


def unit_tensors(like: Tensor) -> list[Tensor]:
    """For each element of `like`: one there and zero elsewhere."""
    assert is_static(like.shape)
    sizes = [size for size in like.shape if isinstance(size, int)]
    eye = np.eye(math.prod(sizes), dtype=like.dtype)
    return [constant(row.reshape(sizes)) for row in eye]


def hessian(cost: Tensor, x: Tensors) -> Any:
    """Second derivatives of a scalar: result[i..., j...], shape x.shape + x.shape.

    cost: a floating scalar. x: one tensor of static size; or a list or tuple of them, which gives
    a list of lists with the block for (x[i], x[j]) in shape x[i].shape + x[j].shape; or a dict,
    which gives a dict of dicts. Computed forward over reverse. Errors as in `jacobian`.

    >>> gc.hessian((x * x).sum(), x)     # 2 * eye
    """
    check_cost(cost)
    targets, rebuild = flatten(x, "x")
    gradients = grad(cost, targets)
    blocks = [
        rebuild([jacobian_of(gradient, other, "zero") for other in targets])
        for gradient in gradients
    ]
    return rebuild(blocks)


def hvp(cost: Tensor, wrt: Tensors, vectors: Any) -> Any:
    """Hessian-vector product: H(cost) @ vectors, without the Hessian, as jvp of the gradient.

    cost: a floating scalar. wrt: one tensor, or a list, tuple or dict of tensors. vectors: one per
    `wrt`, each broadcastable to its shape. The result has the structure of `wrt`. It costs a small
    constant times the cost itself (Pearlmutter, "Fast exact multiplication by the Hessian", 1994).
    Errors as in `grad` and `jvp`.

    >>> gc.hvp((x * x).sum(), x, v)      # 2 * v
    """
    targets, rebuild = flatten(wrt, "wrt")
    gradients = grad(cost, targets)
    given = flatten_like(vectors, len(targets), "vectors for wrt")
    return rebuild(jvp(gradients, targets, given, disconnected="zero"))
