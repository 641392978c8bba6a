"""Optimizers that see each weight as a whole: LARS, LAMB, NovoGrad, Muon."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import graphc as gc
from graphc.layers import updates
from graphc.layers.limits import fraction, within
from graphc.layers.optimizers.base import Optimizer, Options, parts_of_names
from graphc.layers.optimizers.moments import MomentOptimizer
from graphc.layers.updates.state import Updates

__all__ = ["Lamb", "Lars", "Muon", "NovoGrad"]


def decayed_one_by_one(
    optimizer: Optimizer,
    function: Callable[..., Updates],
    grads: list[gc.Tensor],
    params: list[gc.Variable],
    rate: gc.Tensor,
    **settings: Any,
) -> Updates:
    """The updates of a function that has the weight decay of each weight in its formula."""
    result: Updates = {}
    for g, w in zip(grads, params, strict=True):
        result |= function([g], [w], rate, weight_decay=optimizer.decay_of(w), **settings)
    return result


class Lars(Optimizer):
    """`updates.lars`. weight_decay is part of the step scaled by norms."""

    settings = ("momentum", "trust_coefficient")
    decay_in_rule = True

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        trust_coefficient: float = 0.001,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        fraction("Lars", momentum=momentum)
        within("Lars", trust_coefficient=trust_coefficient)
        self.momentum, self.trust_coefficient = momentum, trust_coefficient

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        own = {name: getattr(self, name) for name in self.settings}
        own["state"] = self.state
        return decayed_one_by_one(self, updates.lars, grads, params, rate, **own)


class Lamb(MomentOptimizer):
    """`updates.lamb`. weight_decay is part of the step whose length is made that of the weight."""

    decay_in_rule = True

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return decayed_one_by_one(self, updates.lamb, grads, params, rate, **self.own())


class NovoGrad(MomentOptimizer):
    """`updates.novograd`. weight_decay is part of the mean gradient."""

    decay_in_rule = True

    def __init__(
        self,
        learning_rate: Any = 0.01,
        beta_1: float = 0.95,
        beta_2: float = 0.98,
        epsilon: float = 1e-8,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **options)

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return decayed_one_by_one(self, updates.novograd, grads, params, rate, **self.own())


class Muon(MomentOptimizer):
    """`updates.muon` for matrices, `updates.adam` for all other weights.

    Adam also trains the matrices whose names contain one of `exclude`: embeddings, say, and the
    last layer. rms_rate as for `updates.muon`.
    """

    settings = ("momentum", "nesterov", "rms_rate", "exclude", "beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        momentum: float = 0.95,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        exclude: Sequence[str] = ("embedding",),
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **options)
        self.momentum, self.nesterov, self.rms_rate = momentum, nesterov, rms_rate
        self.exclude = parts_of_names("Muon", exclude, "exclude")
        updates.muon([], [], 0.0, **self._own_of_matrices())

    def _own_of_matrices(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("momentum", "nesterov", "rms_rate")}

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        pairs = list(zip(grads, params, strict=True))

        def orthogonal(w: gc.Variable) -> bool:
            return w.ndim == 2 and not any(part in (w.name or "") for part in self.exclude)

        matrices = [pair for pair in pairs if orthogonal(pair[1])]
        others = [pair for pair in pairs if not orthogonal(pair[1])]
        own = self._own_of_matrices() | {"state": self.state}
        result = updates.muon([g for g, _ in matrices], [w for _, w in matrices], rate, **own)
        adam = updates.adam([g for g, _ in others], [w for _, w in others], rate, **self.own())
        return result | adam
