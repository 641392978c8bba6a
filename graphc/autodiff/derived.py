"""What reverse and forward mode give together: Jacobians, Hessians and their products."""

from collections.abc import Sequence
from typing import Any

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
from graphc.batching.walk import Batching
from graphc.dtypes import is_complex
from graphc.errors import GradientError
from graphc.ir.batch import whole
from graphc.ir.leaf import placeholder
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.surface import surface

__all__ = ["hessian", "hvp", "jacobian"]

b = BUILDER


@surface
def jacobian(y: Tensor, x: Tensors) -> Any:
    """All partial derivatives: result[i..., j...] = dy[i...] / dx[j...], shape y.shape + x.shape.

    y: a floating tensor of any rank. x: one tensor, or lists, tuples and dicts of them; the result
    has the same structure, each in the dtype of y. Entries that do not depend on x are zero.
    Of complex tensors it is the complex derivative, which holomorphic functions have.

    One derivative is built, and batched: reverse mode over the elements of y where these are known
    to be fewer than those of x, else forward mode over the elements of x. Sizes may be symbolic.

    Raises the errors of `grad`.

    >>> gc.jacobian(A @ x, x)        # A
    """
    (y,), _ = flatten([y], "y")
    targets, structure = flatten(x, "x")
    check_floating([y], "y")
    check_floating(targets, "x")
    check_same_kind(y, targets)
    return structure.pack([jacobian_of(y, target) for target in targets])


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
    """The Jacobian by one tensor: one row or column of it, for all unit vectors at once."""
    rows = has_fewer_elements(y, x)
    (stable,) = stabilize_for_differentiation([y], [x])
    like = y if rows else x
    unit = placeholder(None, like.shape, like.dtype)
    if rows:
        backward = backpropagate([(stable, unit)], [x])
        found = fill_gradients(backward.gradients, [y], [x], disconnected, backward.refused)
    else:
        tangents = fill_flat(push_forward([stable], [(x, unit)]), [stable], [x])
        found = fill_tangents(tangents, [y], [x], disconnected)
    (one,) = found
    assert one is not None
    count = like.size
    units = b.reshape(b.eye(count, dtype=like.dtype), (count, *like.shape))
    (all_,) = Batching(count).batched([one], [(unit, units)])
    all_ = whole(all_, one.ndim, count)
    all_ = all_ if rows else b.moveaxis(all_, 0, -1)
    result = b.reshape(all_, (*y.shape, *x.shape))
    return result if result.dtype == y.dtype else result.astype(y.dtype)


def has_fewer_elements(y: Tensor, x: Tensor) -> bool:
    """Whether y is known to have fewer elements than x, or alone has a known number."""
    if isinstance(y.size, int) and isinstance(x.size, int):
        return y.size < x.size
    return isinstance(y.size, int)


@surface
def hessian(cost: Tensor, x: Tensors) -> Any:
    """Second derivatives of a scalar: result[i..., j...], shape x.shape + x.shape.

    cost: a floating scalar. x: one tensor; or a list or tuple of them, which gives a list of lists
    with the block for (x[i], x[j]) in shape x[i].shape + x[j].shape; or a dict, which gives a dict
    of dicts; or such in each other: the structure of x, with one more for each tensor in it.
    Computed forward over reverse. Sizes may be symbolic. Errors as in `jacobian`.

    >>> gc.hessian((x * x).sum(), x)     # 2 * eye
    """
    check_cost(cost)
    targets, structure = flatten(x, "x")
    gradients = grad(cost, targets)
    blocks = [
        structure.pack([jacobian_of(gradient, other, "zero") for other in targets])
        for gradient in gradients
    ]
    return structure.pack(blocks)


@surface
def hvp(cost: Tensor, wrt: Tensors, vectors: Any) -> Any:
    """Hessian-vector product: H(cost) @ vectors, without the Hessian, as jvp of the gradient.

    cost: a floating scalar. wrt: one tensor, or lists, tuples and dicts of them. vectors: one per
    `wrt`, each broadcastable to its shape. The result has the structure of `wrt`. It costs a small
    constant times the cost itself (Pearlmutter, "Fast exact multiplication by the Hessian", 1994).
    Errors as in `grad` and `jvp`.

    >>> gc.hvp((x * x).sum(), x, v)      # 2 * v
    """
    targets, structure = flatten(wrt, "wrt")
    gradients = grad(cost, targets)
    given = flatten_like(vectors, structure, "vectors for wrt")
    return structure.pack(jvp(gradients, targets, given, disconnected="zero"))
