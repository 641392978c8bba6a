"""Gradients kept small: by value, by norm, by the norm of all together."""

from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.layers import limits
from graphc.layers.configured import with_plain_numbers
from graphc.layers.precision import precise, precise_dtype

__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value", "global_norm"]


@with_plain_numbers
def clip_by_value(grads: Sequence[gc.Tensor], limit: Any) -> list[gc.Tensor]:
    """Each element brought into [-limit, limit]."""
    limits.limit("clip_by_value", limit=limit)
    return [gc.clip(grad, -limit, limit) for grad in grads]


@with_plain_numbers
def clip_by_norm(grads: Sequence[gc.Tensor], limit: Any) -> list[gc.Tensor]:
    """Each gradient that is longer than limit, scaled back to it."""
    limits.limit("clip_by_norm", limit=limit)
    return [_scaled(grad, _factor(global_norm([grad]), limit)) for grad in grads]


@with_plain_numbers
def clip_by_global_norm(grads: Sequence[gc.Tensor], limit: Any) -> list[gc.Tensor]:
    """All gradients by one factor, so that together they are no longer than limit.

    The direction stays. Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural
    networks, 2013 (arXiv 1211.5063).
    """
    limits.limit("clip_by_global_norm", limit=limit)
    if not grads:
        return []
    factor = _factor(global_norm(grads), limit)
    return [_scaled(grad, factor) for grad in grads]


def global_norm(tensors: Sequence[gc.Tensor]) -> gc.Tensor:
    """sqrt of the sum of the squares of all elements: a scalar, float32 for half precision."""
    return gc.sqrt(gc.add_n([gc.sum(gc.square(precise(gc.as_tensor(t)))) for t in tensors]))


def _scaled(grad: gc.Tensor, factor: gc.Tensor) -> gc.Tensor:
    """grad * factor; the factor of a long gradient may be 0 in half precision."""
    return (precise(grad) * factor.astype(precise_dtype(grad.dtype))).astype(grad.dtype)


def _factor(norm: gc.Tensor, limit: Any) -> gc.Tensor:
    return gc.where(norm > limit, limit / gc.where(norm > limit, norm, 1), 1)
