"""Adam and its kin: rules that keep the mean of the gradients, and mostly that of their squares."""

from typing import Any

import graphc as gc
from graphc.layers.limits import flag, fraction, within
from graphc.layers.precision import precise
from graphc.layers.updates.state import (
    Fitting,
    State,
    Updates,
    counted,
    fitting,
    gradients,
    update_rule,
)

__all__ = ["adam", "adamax", "adamw", "amsgrad", "lion", "nadam"]


def running_mean(kept: gc.Variable, beta: float, new: gc.Tensor) -> gc.Tensor:
    """The mean of what came before and of `new`, which counts 1 - beta."""
    return beta * kept + (1 - beta) * new


@update_rule
def adam(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    amsgrad: bool = False,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2;
    w <- w - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon), t = 1, 2, ...

    Kingma and Ba, Adam, 2015 (arXiv 1412.6980), algorithm 1. amsgrad: the largest v so far in
    place of v (Reddi, Kale and Kumar, 2018). step: how many updates were made before; a variable
    counts them without it.
    """
    within("adam", learning_rate=learning_rate, epsilon=epsilon)
    fraction("adam", beta1=beta1, beta2=beta2)
    flag("adam", amsgrad=amsgrad)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    t = counted(kept, step, result)
    rates = Fitting(learning_rate / (1 - beta1**t))
    biases = Fitting(gc.sqrt(1 - beta2**t))
    means, squares = (Fitting(beta1), Fitting(1 - beta1)), (Fitting(beta2), Fitting(1 - beta2))
    small = Fitting(epsilon)
    for w, g in zip(wrt, grads, strict=True):
        m, v = kept.slot(w, "mean"), kept.slot(w, "mean_square")
        result[m] = means[0](w) * m + means[1](w) * g
        result[v] = squares[0](w) * v + squares[1](w) * gc.square(g)
        size = result[v]
        if amsgrad:
            largest = kept.slot(w, "largest_mean_square")
            size = result[largest] = gc.maximum(largest, size)
        result[w] = w - rates(w) * result[m] / (gc.sqrt(size) / biases(w) + small(w))
    return result


@update_rule
def amsgrad(loss_or_grads: Any, params: Any, learning_rate: Any = 0.001, **options: Any) -> Updates:
    """`adam` with the largest mean square so far: Reddi, Kale and Kumar, On the convergence of Adam
    and beyond, 2018 (arXiv 1904.09237), with Adam's corrections of bias."""
    return adam(loss_or_grads, params, learning_rate, amsgrad=True, **options)


@update_rule
def adamw(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.001,
    weight_decay: float = 0.01,
    **options: Any,
) -> Updates:
    """`adam`, and w <- ... - rate weight_decay w: decay that is not part of the gradient.

    Loshchilov and Hutter, Decoupled weight decay, 2019 (arXiv 1711.05101).
    """
    within("adamw", weight_decay=weight_decay)
    grads, wrt = gradients(loss_or_grads, params)
    result = adam(grads, wrt, learning_rate, **options)
    for w in wrt:
        result[w] = result[w] - fitting(learning_rate, w) * weight_decay * w
    return result


@update_rule
def adamax(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """m as in Adam;  u <- max(beta2 u, |g|);  w <- w - rate / (1 - beta1^t) m / (u + epsilon).

    Kingma and Ba, 2015 (arXiv 1412.6980), section 7.1.
    """
    within("adamax", learning_rate=learning_rate, epsilon=epsilon)
    fraction("adamax", beta1=beta1, beta2=beta2)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    rate = learning_rate / (1 - beta1 ** counted(kept, step, result))
    for w, g in zip(wrt, grads, strict=True):
        m, u = kept.slot(w, "mean"), kept.slot(w, "largest")
        result[m], result[u] = running_mean(m, beta1, g), gc.maximum(beta2 * u, gc.abs(g))
        result[w] = w - fitting(rate, w) * result[m] / (result[u] + epsilon)
    return result


@update_rule
def nadam(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    momentum_decay: float = 0.004,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """Adam with Nesterov's momentum: with mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2) and
    P_t = mu_1 ... mu_t, the m / (1 - beta1^t) of Adam becomes
    mu_{t+1} m / (1 - P_{t+1}) + (1 - mu_t) g / (1 - P_t).

    Dozat, Incorporating Nesterov momentum into Adam, 2016.
    """
    within("nadam", learning_rate=learning_rate, epsilon=epsilon, momentum_decay=momentum_decay)
    fraction("nadam", beta1=beta1, beta2=beta2)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    t = counted(kept, step, result)
    now = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    then = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    product = kept.scalar("momentum_product", 1.0, "float64")
    result[product] = product * now
    by_mean = learning_rate * then / (1 - result[product] * then)
    by_gradient = learning_rate * (1 - now) / (1 - result[product])
    square_bias = gc.sqrt(1 - beta2**t)
    for w, g in zip(wrt, grads, strict=True):
        m, v = kept.slot(w, "mean"), kept.slot(w, "mean_square")
        result[m], result[v] = running_mean(m, beta1, g), running_mean(v, beta2, gc.square(g))
        size = gc.sqrt(result[v]) / fitting(square_bias, w) + epsilon
        result[w] = w - (fitting(by_mean, w) * result[m] + fitting(by_gradient, w) * g) / size
    return result


@update_rule
def lion(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.0001,
    beta1: float = 0.9,
    beta2: float = 0.99,
    *,
    weight_decay: float = 0.0,
    state: State | None = None,
) -> Updates:
    """w <- w - rate (sign(beta1 m + (1 - beta1) g) + weight_decay w);
    m <- beta2 m + (1 - beta2) g.

    Chen et al., Symbolic discovery of optimization algorithms, 2023 (arXiv 2302.06675).
    """
    within("lion", learning_rate=learning_rate, weight_decay=weight_decay)
    fraction("lion", beta1=beta1, beta2=beta2)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    for w, g in zip(wrt, grads, strict=True):
        m = kept.slot(w, "mean")
        direction = gc.sign(running_mean(m, beta1, g))
        if weight_decay:
            direction = direction + weight_decay * precise(w)
        result[w] = w - fitting(learning_rate, w) * direction
        result[m] = running_mean(m, beta2, g)
    return result
