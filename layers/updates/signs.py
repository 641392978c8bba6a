"""Rules that look at the signs of gradients alone: signSGD and Rprop."""

from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.limits import fraction, positive, within
from graphc.layers.updates.moments import running_mean
from graphc.layers.updates.state import State, Updates, fitting, gradients, update_rule

__all__ = ["rprop", "sign_sgd"]


@update_rule
def sign_sgd(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.001,
    momentum: float = 0.0,
    *,
    state: State | None = None,
) -> Updates:
    """w <- w - rate sign(g); with momentum, m <- momentum m + (1 - momentum) g and sign(m): Signum.

    Bernstein et al., signSGD: compressed optimisation for non-convex problems, 2018
    (arXiv 1802.04434).
    """
    within("sign_sgd", learning_rate=learning_rate)
    fraction("sign_sgd", momentum=momentum)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    for w, g in zip(wrt, grads, strict=True):
        if momentum:
            m = kept.slot(w, "mean")
            g = result[m] = running_mean(m, momentum, g)
        result[w] = w - fitting(learning_rate, w) * gc.sign(g)
    return result


@update_rule
def rprop(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.01,
    shrink: float = 0.5,
    grow: float = 1.2,
    *,
    smallest: float = 1e-6,
    largest: float = 50.0,
    state: State | None = None,
) -> Updates:
    """Each entry has a step of its own, the rate at first. It grows by the factor `grow` where the
    gradient has kept its sign, and shrinks by `shrink` where the sign has changed; there the entry
    rests once. w <- w - sign(g) step, with steps from `smallest` to `largest`.

    For gradients of all data, not of batches. Riedmiller and Braun, The RPROP algorithm, 1993, in
    the form iRprop- of Igel and Hüsken, 2000.
    """
    within("rprop", learning_rate=learning_rate)
    fraction("rprop", shrink=shrink)
    within("rprop", low=1.0, grow=grow)
    positive("rprop", smallest=smallest, largest=largest)
    if smallest > largest:
        raise parameter_error(
            f"rprop: steps from {smallest!r} to {largest!r}", "use smallest <= largest"
        )
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    for w, g in zip(wrt, grads, strict=True):
        size, last = kept.slot(w, "step_size"), kept.slot(w, "last_sign")
        sign = gc.sign(g)
        agreement = sign * last
        # No step is 0 once there has been an update.
        before = gc.where(size > 0, size, fitting(learning_rate, w))
        scaled = gc.where(agreement < 0, before * shrink, before)
        scaled = gc.where(agreement > 0, before * grow, scaled)
        result[size] = gc.clip(scaled, smallest, largest)
        result[last] = gc.where(agreement < 0, 0, sign)
        result[w] = w - result[last] * result[size]
    return result
