"""Masks: which steps of padded sequences are data. Results of layers carry them along."""

from typing import Any

import graphc as gc
from graphc.layers.structures import mapped, tensors_in


def mask_of(value: Any) -> gc.Tensor | None:
    """The mask that a tensor carries: bool[batch, steps, ...], False where nothing is."""
    return getattr(value, "mask", None)


def masks_of(value: Any) -> Any:
    """The masks of a structure of tensors, in the same structure; None if there are none."""
    found = mapped(mask_of, value)
    return found if tensors_in(found) else None


def spread_mask(mask: gc.Tensor, ndim: int) -> gc.Tensor:
    """The mask with axes of size 1 at the end, so that it broadcasts to `ndim` axes."""
    while mask.ndim < ndim:
        mask = gc.expand_dims(mask, axis=-1)
    return mask


def truth_of(mask: Any) -> gc.Tensor:
    """The mask as bool; in masks of numbers 0 hides."""
    tensor = gc.as_tensor(mask)
    return tensor if tensor.dtype == gc.bool else tensor != 0


def causal_mask(queries: Any, keys: Any) -> gc.Tensor:
    """bool[queries, keys], from two numbers of steps: True for keys that are no later."""
    return gc.expand_dims(gc.arange(queries), axis=1) >= gc.arange(keys)


def hidden(scores: gc.Tensor, mask: gc.Tensor) -> gc.Tensor:
    """Scores for a softmax, which makes 0 of the masked ones.

    They become the lowest finite number and not -inf: a softmax of only masked scores, such as that
    of a padded step, has equal entries and no NaN in values or gradients.
    """
    return gc.where(mask, scores, gc.finfo(scores.dtype).min)
