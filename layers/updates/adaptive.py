"""Rules that divide each gradient by its own size so far: AdaGrad, RMSProp, AdaDelta."""

from typing import Any

import graphc as gc
from graphc.layers.limits import flag, fraction, within
from graphc.layers.updates.state import State, Updates, fitting, gradients, update_rule

__all__ = ["adadelta", "adagrad", "rmsprop"]


@update_rule
def adagrad(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 1.0,
    epsilon: float = 1e-6,
    *,
    initial_accumulator_value: float = 0.0,
    state: State | None = None,
) -> Updates:
    """a <- a + g^2;  w <- w - rate g / sqrt(a + epsilon).

    Duchi, Hazan and Singer, Adaptive subgradient methods, 2011.
    """
    within("adagrad", learning_rate=learning_rate, epsilon=epsilon)
    within("adagrad", initial_accumulator_value=initial_accumulator_value)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    for w, g in zip(wrt, grads, strict=True):
        a = kept.slot(w, "accumulator", initial_accumulator_value)
        result[a] = a + gc.square(g)
        result[w] = w - fitting(learning_rate, w) * g / gc.sqrt(result[a] + epsilon)
    return result


@update_rule
def rmsprop(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 1.0,
    rho: float = 0.9,
    epsilon: float = 1e-6,
    *,
    momentum: float = 0.0,
    centered: bool = False,
    state: State | None = None,
) -> Updates:
    """a <- rho a + (1 - rho) g^2;  w <- w - rate g / sqrt(a + epsilon).

    Tieleman and Hinton, Lecture 6.5 of Neural networks for machine learning, 2012. centered: the
    square of the mean gradient, kept in the same way, is taken off a: a variance (Graves, 2013,
    arXiv 1308.0850). momentum: v <- momentum v + the step;  w <- w - v.
    """
    within("rmsprop", learning_rate=learning_rate, epsilon=epsilon)
    fraction("rmsprop", rho=rho, momentum=momentum)
    flag("rmsprop", centered=centered)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    for w, g in zip(wrt, grads, strict=True):
        a = kept.slot(w, "mean_square")
        result[a] = rho * a + (1 - rho) * gc.square(g)
        spread = result[a]
        if centered:
            mean = kept.slot(w, "mean_gradient")
            result[mean] = rho * mean + (1 - rho) * g
            spread = spread - gc.square(result[mean])
        step = fitting(learning_rate, w) * g / gc.sqrt(spread + epsilon)
        if momentum:
            v = kept.slot(w, "velocity")
            step = result[v] = momentum * v + step
        result[w] = w - step
    return result


@update_rule
def adadelta(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 1.0,
    rho: float = 0.95,
    epsilon: float = 1e-6,
    *,
    state: State | None = None,
) -> Updates:
    """a <- rho a + (1 - rho) g^2;  s = g sqrt(d + epsilon) / sqrt(a + epsilon);  w <- w - rate s;
    d <- rho d + (1 - rho) s^2.

    Zeiler, ADADELTA, 2012 (arXiv 1212.5701); the rate of the paper is 1.
    """
    within("adadelta", learning_rate=learning_rate, epsilon=epsilon)
    fraction("adadelta", rho=rho)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    for w, g in zip(wrt, grads, strict=True):
        a, d = kept.slot(w, "mean_square"), kept.slot(w, "mean_square_step")
        result[a] = rho * a + (1 - rho) * gc.square(g)
        step = g * gc.sqrt(d + epsilon) / gc.sqrt(result[a] + epsilon)
        result[d] = rho * d + (1 - rho) * gc.square(step)
        result[w] = w - fitting(learning_rate, w) * step
    return result
