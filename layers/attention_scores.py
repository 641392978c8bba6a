"""Attention and AdditiveAttention: weights of values by scores of queries and keys, one head."""

from typing import Any

import graphc as gc
from graphc.layers.arguments import checked_choice, checked_flag, checked_rate
from graphc.layers.masks import causal_mask, hidden, truth_of
from graphc.layers.noise import RandomLayer, dropped

__all__ = ["AdditiveAttention", "Attention"]


class _ScoredAttention(RandomLayer):
    """softmax(scores(query, key)) value: see Attention."""

    supports_masking = True

    def __init__(
        self, use_scale: bool, dropout: float = 0.0, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(seed, **options)
        self.use_scale = checked_flag(self, "use_scale", use_scale)
        self.dropout = checked_rate(self, dropout, "dropout")
        self.scale: gc.Variable | None = None

    @property
    def differs_in_training(self) -> bool:
        return self.dropout != 0

    def check_input(self, value: Any) -> None:
        if not isinstance(value, list | tuple) or len(value) not in (2, 3):
            found = f"{len(value)} inputs" if isinstance(value, list | tuple) else "one input"
            raise self.error(
                f"it was called with {found}",
                fix="call it with a list: layer([query, value]) or layer([query, value, key])",
            )

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None if mask is None else mask[0]

    def scores(self, query: gc.Tensor, key: gc.Tensor) -> gc.Tensor:
        """[batch, T, features], [batch, S, features] -> [batch, T, S]"""
        raise TypeError(f"{type(self).__name__} does not define scores(query, key)")

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value, key = (*inputs, inputs[1])[:3]
        query_mask, value_mask = self._pair(mask)
        scores = self.scores(query, key)
        shown: Any = None
        if use_causal_mask:
            shown = causal_mask(query.shape[-2], key.shape[-2])
        if value_mask is not None:
            there = gc.expand_dims(truth_of(value_mask), axis=-2)
            shown = there if shown is None else there & shown
        weights = gc.softmax(scores if shown is None else hidden(scores, shown), axis=-1)
        if training and self.dropout:
            weights = dropped(weights, self.draw_key(), self.dropout)
        result = weights @ value
        if query_mask is not None:
            result = gc.where(gc.expand_dims(truth_of(query_mask), axis=-1), result, 0)
        return (result, weights) if return_attention_scores else result

    def _pair(self, mask: Any) -> tuple[Any, Any]:
        if mask is None:
            return None, None
        if not isinstance(mask, list | tuple) or len(mask) not in (2, 3):
            raise self.error(
                f"mask is {type(mask).__name__}, and no list of two",
                fix="pass mask=[query_mask, value_mask], each of them a mask or None",
            )
        return mask[0], mask[1]


class Attention(_ScoredAttention):
    """softmax(query key^T) value (Luong, Pham and Manning, 2015, arXiv 1508.04025).

    score_mode: "dot" for query key^T, "concat" for w * sum(tanh(query + key)) over the features,
    with a trained scalar w. use_scale: a trained scalar that scores, or with "concat" the sums, are
    multiplied by.

    Called with [query, value] or [query, value, key]: [batch, T, features], [batch, S, features'],
    [batch, S, features]; key is value unless given. Result: [batch, T, features']; with
    return_attention_scores also the weights [batch, T, S]. mask (of the call): [query_mask,
    value_mask], bool [batch, T] and [batch, S], by default those that the inputs carry: no query
    sees a value that is masked, and results of masked queries are 0. use_causal_mask: no position
    sees a later one. dropout: of the weights. Where all values are hidden, weights are equal.
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(use_scale, dropout, seed, **options)
        self.score_mode = checked_choice(self, "score_mode", score_mode, ("dot", "concat"))

    def build(self, input_shape: Any) -> None:
        if self.use_scale:
            self.scale = self.add_param("scale", (), "ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_param("concat_score_weight", (), "ones")

    def scores(self, query: gc.Tensor, key: gc.Tensor) -> gc.Tensor:
        if self.score_mode == "dot":
            found = query @ gc.matrix_transpose(key)
            return found if self.scale is None else found * self.scale
        both = _sums(query, key)
        scaled = both if self.scale is None else self.scale * both
        return self.concat_score_weight * gc.sum(gc.tanh(scaled), axis=-1)


class AdditiveAttention(_ScoredAttention):
    """softmax(sum(scale * tanh(query + key))) value (Bahdanau, Cho and Bengio, 2014,
    arXiv 1409.0473).

    use_scale: a trained scale for each feature; else 1. All else is as in Attention.
    """

    def __init__(
        self,
        use_scale: bool = True,
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(use_scale, dropout, seed, **options)

    def build(self, input_shape: Any) -> None:
        if self.use_scale:
            self.scale = self.add_param("scale", (self.known_size(input_shape[0]),))

    def scores(self, query: gc.Tensor, key: gc.Tensor) -> gc.Tensor:
        each = gc.tanh(_sums(query, key))
        # A sum of products with a vector is a product of a matrix with it.
        return gc.sum(each, axis=-1) if self.scale is None else each @ self.scale


def _sums(query: gc.Tensor, key: gc.Tensor) -> gc.Tensor:
    """[..., T, features], [..., S, features] -> [..., T, S, features]"""
    return gc.expand_dims(query, axis=-2) + gc.expand_dims(key, axis=-3)
