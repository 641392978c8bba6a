"""Adam with other measures of the gradients: RAdam, AdaBelief, Yogi, Adan."""

from typing import Any

import graphc as gc
from graphc.layers.limits import fraction, within
from graphc.layers.updates.moments import running_mean
from graphc.layers.updates.state import Fitting, State, Updates, counted, gradients, update_rule

__all__ = ["adabelief", "adan", "radam", "yogi"]


@update_rule
def radam(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """Adam whose step is multiplied by r, or w <- w - rate m / (1 - beta1^t) as long as p <= 5,
    with q = 2 / (1 - beta2) - 1,  p = q - 2 t beta2^t / (1 - beta2^t) and
    r = sqrt((p - 4) (p - 2) q / ((q - 4) (q - 2) p)).

    Liu et al., On the variance of the adaptive learning rate and beyond, 2020 (arXiv 1908.03265),
    with the bound 5 of the authors' program. step: as for `adam`.
    """
    within("radam", learning_rate=learning_rate, epsilon=epsilon)
    fraction("radam", beta1=beta1, beta2=beta2)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    t = counted(kept, step, result)
    # p never exceeds q: whatever stands for a q of 5 or less is not used.
    longest = gc.maximum(gc.asarray(2 / (1 - beta2) - 1, dtype="float64"), 5)
    length = longest - 2 * t * beta2**t / (1 - beta2**t)
    known = length > 5
    p = gc.where(known, length, 5)
    scale = longest / ((longest - 4) * (longest - 2))
    rectified = gc.where(known, gc.sqrt((p - 4) * (p - 2) / p * scale), 1)
    rates = Fitting(learning_rate * rectified / (1 - beta1**t))
    biases = Fitting(gc.sqrt(1 - beta2**t))
    for w, g in zip(wrt, grads, strict=True):
        m, v = kept.slot(w, "mean"), kept.slot(w, "mean_square")
        result[m], result[v] = running_mean(m, beta1, g), running_mean(v, beta2, gc.square(g))
        size = gc.where(known, gc.sqrt(result[v]) / biases(w) + epsilon, 1)
        result[w] = w - rates(w) * result[m] / size
    return result


@update_rule
def adabelief(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-16,
    *,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """Adam with s <- beta2 s + (1 - beta2) (g - m)^2 + epsilon, with the new m, in place of v.

    Zhuang et al., AdaBelief optimizer, 2020 (arXiv 2010.07468), algorithm 2. step: as for `adam`.
    """
    within("adabelief", learning_rate=learning_rate, epsilon=epsilon)
    fraction("adabelief", beta1=beta1, beta2=beta2)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    t = counted(kept, step, result)
    rates, biases = Fitting(learning_rate / (1 - beta1**t)), Fitting(gc.sqrt(1 - beta2**t))
    for w, g in zip(wrt, grads, strict=True):
        m, s = kept.slot(w, "mean"), kept.slot(w, "mean_deviation")
        result[m] = running_mean(m, beta1, g)
        result[s] = running_mean(s, beta2, gc.square(g - result[m])) + epsilon
        result[w] = w - rates(w) * result[m] / (gc.sqrt(result[s]) / biases(w) + epsilon)
    return result


@update_rule
def yogi(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-3,
    *,
    initial_accumulator_value: float = 1e-6,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """Adam with v <- v - (1 - beta2) sign(v - g^2) g^2, which begins at initial_accumulator_value.

    Zaheer et al., Adaptive methods for nonconvex optimization, 2018, with Adam's corrections of
    bias. step: as for `adam`.
    """
    within("yogi", learning_rate=learning_rate, epsilon=epsilon)
    within("yogi", initial_accumulator_value=initial_accumulator_value)
    fraction("yogi", beta1=beta1, beta2=beta2)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    t = counted(kept, step, result)
    rates, biases = Fitting(learning_rate / (1 - beta1**t)), Fitting(gc.sqrt(1 - beta2**t))
    for w, g in zip(wrt, grads, strict=True):
        m, v = kept.slot(w, "mean"), kept.slot(w, "accumulator", initial_accumulator_value)
        square = gc.square(g)
        result[m] = running_mean(m, beta1, g)
        result[v] = v - (1 - beta2) * gc.sign(v - square) * square
        result[w] = w - rates(w) * result[m] / (gc.sqrt(result[v]) / biases(w) + epsilon)
    return result


@update_rule
def adan(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.001,
    beta1: float = 0.98,
    beta2: float = 0.92,
    beta3: float = 0.99,
    epsilon: float = 1e-8,
    *,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """With d the change of the gradient since the last update, 0 at first:
    m <- beta1 m + (1 - beta1) g;  u <- beta2 u + (1 - beta2) d;
    v <- beta3 v + (1 - beta3) (g + beta2 d)^2;  all three divided by 1 - beta^t;
    w <- w - rate (m + beta2 u) / (sqrt(v) + epsilon).

    Xie et al., Adan: adaptive Nesterov momentum algorithm, 2022 (arXiv 2208.06677); a beta here
    is 1 - beta there. step: as for `adam`.
    """
    within("adan", learning_rate=learning_rate, epsilon=epsilon)
    fraction("adan", beta1=beta1, beta2=beta2, beta3=beta3)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    t = counted(kept, step, result)
    rates = Fitting(learning_rate / (1 - beta1**t))
    changes = Fitting(learning_rate * beta2 / (1 - beta2**t))
    biases = Fitting(gc.sqrt(1 - beta3**t))
    for w, g in zip(wrt, grads, strict=True):
        m, u, v = (kept.slot(w, role) for role in ("mean", "mean_change", "mean_square"))
        last = kept.slot(w, "last_gradient")
        change = gc.where(t > 1, g - last, 0)
        result[last] = g
        result[m], result[u] = running_mean(m, beta1, g), running_mean(u, beta2, change)
        result[v] = running_mean(v, beta3, gc.square(g + beta2 * change))
        move = rates(w) * result[m] + changes(w) * result[u]
        result[w] = w - move / (gc.sqrt(result[v]) / biases(w) + epsilon)
    return result
