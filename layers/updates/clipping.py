"""Gradients kept small: by value, by norm, by the norm of all together.

grads: a list of tensors, or lists, tuples and dicts of them in each other; the results have the
same structure.
"""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import graphc as gc
from graphc.layers import limits
from graphc.layers.configured import with_plain_numbers
from graphc.layers.precision import precise, precise_dtype
from graphc.layers.structures import leaves, mapped

__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value", "global_norm"]

G = TypeVar("G")


@with_plain_numbers
def clip_by_value(grads: G, limit: Any) -> G:
    """Each element brought into [-limit, limit]."""
    limits.limit("clip_by_value", limit=limit)
    return cast(G, mapped(lambda grad: gc.clip(grad, -limit, limit), grads))


@with_plain_numbers
def clip_by_norm(grads: G, limit: Any) -> G:
    """Each gradient that is longer than limit, scaled back to it."""
    limits.limit("clip_by_norm", limit=limit)
    return cast(G, mapped(lambda grad: _scaled(grad, _factor(global_norm([grad]), limit)), grads))


@with_plain_numbers
def clip_by_global_norm(grads: G, limit: Any) -> G:
    """All gradients by one factor, so that together they are no longer than limit.

    The direction stays. Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural
    networks, 2013 (arXiv 1211.5063).
    """
    limits.limit("clip_by_global_norm", limit=limit)
    every = leaves(grads)
    if not every:
        return grads
    factor = _factor(global_norm(every), limit)
    return cast(G, mapped(lambda grad: _scaled(grad, factor), grads))


def global_norm(tensors: Sequence[gc.Tensor]) -> gc.Tensor:
    """sqrt of the sum of the squares of all elements: a scalar, float32 for half precision."""
    return gc.sqrt(gc.add_n([gc.sum(gc.square(precise(gc.as_tensor(t)))) for t in tensors]))


def _scaled(grad: gc.Tensor, factor: gc.Tensor) -> gc.Tensor:
    """grad * factor; the factor of a long gradient may be 0 in half precision."""
    return (precise(grad) * factor.astype(precise_dtype(grad.dtype))).astype(grad.dtype)


def _factor(norm: gc.Tensor, limit: Any) -> gc.Tensor:
    return gc.where(norm > limit, limit / gc.where(norm > limit, norm, 1), 1)
