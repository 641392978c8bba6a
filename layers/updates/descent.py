"""Gradient descent, with momentum and with Nesterov's momentum."""

from collections.abc import Mapping
from typing import Any

import graphc as gc
from graphc.layers.limits import fraction, within
from graphc.layers.precision import precise
from graphc.layers.updates.state import (
    State,
    Updates,
    fitting,
    gradients,
    update_rule,
    weights,
)

__all__ = ["apply_momentum", "apply_nesterov_momentum", "momentum", "nesterov_momentum", "sgd"]


@update_rule
def sgd(loss_or_grads: Any, params: Any, learning_rate: Any) -> Updates:
    """w <- w - rate g: stochastic gradient descent (Robbins and Monro, 1951)."""
    return _descended(loss_or_grads, params, learning_rate)


def _descended(loss_or_grads: Any, params: Any, learning_rate: Any) -> Updates:
    """The updates of `sgd` as they are computed: their differences from w keep their digits."""
    within("sgd", learning_rate=learning_rate)
    grads, wrt = gradients(loss_or_grads, params)
    return {w: w - fitting(learning_rate, w) * g for w, g in zip(wrt, grads, strict=True)}


@update_rule
def momentum(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any,
    momentum: float = 0.9,
    *,
    state: State | None = None,
) -> Updates:
    """v <- mu v - rate g;  w <- w + v (Polyak, 1964; Rumelhart, Hinton and Williams, 1986).

    `v`, of the shape of the weight, is 0 at first.
    """
    steps = _descended(loss_or_grads, params, learning_rate)
    return apply_momentum(steps, params, momentum, state=state)


@update_rule
def nesterov_momentum(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any,
    momentum: float = 0.9,
    *,
    state: State | None = None,
) -> Updates:
    """v <- mu v - rate g;  w <- w + mu v - rate g, with the new v.

    Nesterov, 1983, in the form of Bengio, Boulanger-Lewandowski and Pascanu, 2013
    (arXiv 1212.0901), which has the gradient where the weights are.
    """
    steps = _descended(loss_or_grads, params, learning_rate)
    return apply_nesterov_momentum(steps, params, momentum, state=state)


@update_rule
def apply_momentum(
    updates: Mapping[gc.Variable, gc.Tensor],
    params: Any = None,
    momentum: float = 0.9,
    *,
    state: State | None = None,
) -> Updates:
    """Momentum on top of any updates: v <- mu v + (updated w - w);  w <- w + v.

    params: those that get momentum; all that are updated without it.
    """
    fraction("momentum", momentum=momentum)
    kept, result = state or State(), dict(updates)
    for w in weights(updates if params is None else params):
        v = kept.slot(w, "velocity")
        result[v] = momentum * v + (precise(updates[w]) - w)
        result[w] = w + result[v]
    return result


@update_rule
def apply_nesterov_momentum(
    updates: Mapping[gc.Variable, gc.Tensor],
    params: Any = None,
    momentum: float = 0.9,
    *,
    state: State | None = None,
) -> Updates:
    """v <- mu v + (updated w - w);  w <- updated w + mu v, with the new v."""
    fraction("nesterov_momentum", momentum=momentum)
    kept, result = state or State(), dict(updates)
    for w in weights(updates if params is None else params):
        v = kept.slot(w, "velocity")
        result[v] = momentum * v + (precise(updates[w]) - w)
        result[w] = precise(updates[w]) + momentum * result[v]
    return result
