"""One update for several batches."""

from collections.abc import Callable
from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.updates.state import State, Updates, gradients

__all__ = ["accumulated"]


def accumulated(
    rule: Callable[..., Updates],
    loss_or_grads: Any,
    params: Any,
    steps: int,
    *,
    state: State | None = None,
    **options: Any,
) -> Updates:
    """The updates of `rule` with the mean gradient of `steps` batches, once in so many calls.

    In the calls between, gradients are added up and nothing else changes. rule: one of the
    functions of this package, such as adam; options go to it.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise parameter_error(f"accumulated: steps={steps!r}", "use an int >= 1")
    kept = state or State()
    grads, wrt = gradients(loss_or_grads, params)
    batch = kept.scalar("accumulated_batches", 0, "int64")
    full = batch + 1 >= steps
    totals = {w: kept.slot(w, "gradient_sum") + g for w, g in zip(wrt, grads, strict=True)}
    rule_updates = rule([total / steps for total in totals.values()], wrt, **options)
    result = {v: gc.where(full, new, v) for v, new in rule_updates.items()}
    for w, total in totals.items():
        result[kept.slot(w, "gradient_sum")] = gc.where(full, 0, total)
    result[batch] = gc.where(full, 0, batch + 1)
    return result
