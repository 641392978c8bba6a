"""Rules that measure each weight as a whole: LARS, LAMB and NovoGrad."""

from typing import Any

import graphc as gc
from graphc.layers.limits import fraction, within
from graphc.layers.precision import precise
from graphc.layers.updates.moments import running_mean
from graphc.layers.updates.state import (
    State,
    Updates,
    counted,
    fitting,
    gradients,
    update_rule,
)

__all__ = ["lamb", "lars", "novograd"]


def _norm(tensor: gc.Tensor) -> gc.Tensor:
    return gc.sqrt(gc.sum(gc.square(precise(tensor))))


def _trust(norm: gc.Tensor, length: gc.Tensor) -> gc.Tensor:
    """norm / length, and 1 where one of them is 0."""
    usable = (norm > 0) & (length > 0)
    return gc.where(usable, norm / gc.where(usable, length, 1), 1)


@update_rule
def lars(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any,
    momentum: float = 0.9,
    *,
    trust_coefficient: float = 0.001,
    weight_decay: float = 0.0,
    state: State | None = None,
) -> Updates:
    """v <- momentum v + rate c |w| / (|g| + weight_decay |w|) (g + weight_decay w);  w <- w - v,
    c = trust_coefficient.

    c and the quotient of norms are 1 where one of the norms is 0. You, Gitman and Ginsburg, Large
    batch training of convolutional networks, 2017 (arXiv 1708.03888), algorithm 1.
    """
    within("lars", learning_rate=learning_rate, weight_decay=weight_decay)
    within("lars", trust_coefficient=trust_coefficient)
    fraction("lars", momentum=momentum)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    for w, g in zip(wrt, grads, strict=True):
        v = kept.slot(w, "velocity")
        norm, length = _norm(w), _norm(g)
        usable = (norm > 0) & (length > 0)
        local = trust_coefficient * _trust(norm, length + weight_decay * norm)
        rate = fitting(learning_rate, w) * gc.where(usable, local, 1)
        result[v] = momentum * v + rate * (g + weight_decay * precise(w))
        result[w] = w - result[v]
    return result


@update_rule
def lamb(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    *,
    weight_decay: float = 0.0,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """r = Adam's step without the rate + weight_decay w;  w <- w - rate (|w| / |r|) r.

    The factor of norms is 1 where one of them is 0. You et al., Large batch optimization for deep
    learning, 2020 (arXiv 1904.00962).
    """
    within("lamb", learning_rate=learning_rate, epsilon=epsilon, weight_decay=weight_decay)
    fraction("lamb", beta1=beta1, beta2=beta2)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    t = counted(kept, step, result)
    mean_bias, square_bias = 1 - beta1**t, gc.sqrt(1 - beta2**t)
    for w, g in zip(wrt, grads, strict=True):
        m, v = kept.slot(w, "mean"), kept.slot(w, "mean_square")
        result[m], result[v] = running_mean(m, beta1, g), running_mean(v, beta2, gc.square(g))
        size = gc.sqrt(result[v]) / fitting(square_bias, w) + epsilon
        move = result[m] / fitting(mean_bias, w) / size + weight_decay * precise(w)
        result[w] = w - fitting(learning_rate, w) * _trust(_norm(w), _norm(move)) * move
    return result


@update_rule
def novograd(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.01,
    beta1: float = 0.95,
    beta2: float = 0.98,
    epsilon: float = 1e-8,
    *,
    weight_decay: float = 0.0,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """v <- beta2 v + (1 - beta2) |g|^2, one number for a weight, |g|^2 at first;
    m <- beta1 m + g / (sqrt(v) + epsilon) + weight_decay w;  w <- w - rate m.

    Ginsburg et al., Stochastic gradient methods with layer-wise adaptive moments, 2019
    (arXiv 1905.11286), algorithm 1. step: as for `adam`.
    """
    within("novograd", learning_rate=learning_rate, epsilon=epsilon, weight_decay=weight_decay)
    fraction("novograd", beta1=beta1, beta2=beta2)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    t = counted(kept, step, result)
    for w, g in zip(wrt, grads, strict=True):
        m, v = kept.slot(w, "mean"), kept.slot(w, "mean_square_norm", axes=())
        square = gc.sum(gc.square(g), keepdims=True)
        result[v] = gc.where(t > 1, running_mean(v, beta2, square), square)
        result[m] = beta1 * m + g / (gc.sqrt(result[v]) + epsilon) + weight_decay * precise(w)
        result[w] = w - fitting(learning_rate, w) * result[m]
    return result
