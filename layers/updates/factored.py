"""Rules that keep numbers for rows and columns, not for every entry: Adafactor, SM3."""

from typing import Any

import graphc as gc
from graphc.layers.limits import flag, fraction, positive, within
from graphc.layers.precision import precise
from graphc.layers.updates.moments import running_mean
from graphc.layers.updates.state import (
    Fitting,
    State,
    Updates,
    counted,
    fitting,
    gradients,
    update_rule,
)

__all__ = ["adafactor", "sm3"]


@update_rule
def adafactor(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.01,
    beta2_decay: float = -0.8,
    epsilon1: float = 1e-30,
    epsilon2: float = 1e-3,
    *,
    clip_threshold: float = 1.0,
    relative_step: bool = True,
    state: State | None = None,
    step: Any = None,
) -> Updates:
    """With b = 1 - t^beta2_decay, and rows and columns the last two axes of a weight:
    r <- b r + (1 - b) mean over columns(g^2 + epsilon1);  c likewise over rows;
    u = g / sqrt(r c / mean(r));  u <- u / max(1, rms(u) / clip_threshold);
    w <- w - min(rate, 1 / sqrt(t)) max(epsilon2, rms(w)) u.

    rms is the root of the mean square. A weight with fewer than two axes has a mean square of each
    entry in place of r and c. relative_step=False: the rate alone, without 1 / sqrt(t). Shazeer
    and Stern, Adafactor, 2018 (arXiv 1804.04235), algorithms 4 to 6. step: as for `adam`.
    """
    within("adafactor", learning_rate=learning_rate, epsilon1=epsilon1, epsilon2=epsilon2)
    within("adafactor", low=-1.0, beta2_decay=beta2_decay)
    positive("adafactor", clip_threshold=clip_threshold)
    flag("adafactor", relative_step=relative_step)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    t = counted(kept, step, result)
    new = t**beta2_decay
    shares = Fitting(1 - new), Fitting(new)
    rates = Fitting(gc.minimum(learning_rate, 1 / gc.sqrt(t)) if relative_step else learning_rate)

    def kept_mean(w: gc.Variable, role: str, square: gc.Tensor, axes: Any, over: Any) -> gc.Tensor:
        slot = kept.slot(w, role, axes=axes)
        mean = square if over is None else gc.mean(square, axis=over, keepdims=True)
        result[slot] = shares[0](w) * slot + shares[1](w) * mean
        return result[slot]

    for w, g in zip(wrt, grads, strict=True):
        square = gc.square(g) + epsilon1
        if w.ndim < 2:
            move = g / gc.sqrt(kept_mean(w, "mean_square", square, None, None))
        else:
            *front, row, column = range(w.ndim)
            r = kept_mean(w, "row_mean_square", square, [*front, row], column)
            c = kept_mean(w, "column_mean_square", square, [*front, column], row)
            # One root for each: the product of two tiny means would be 0.
            share = gc.sqrt(r / gc.mean(r, axis=row, keepdims=True))
            move = g / share / gc.sqrt(c)
        move = move / gc.maximum(1, _rms(move) / clip_threshold)
        result[w] = w - rates(w) * gc.maximum(epsilon2, _rms(w)) * move
    return result


def _rms(tensor: gc.Tensor) -> gc.Tensor:
    return gc.sqrt(gc.mean(gc.square(precise(tensor))))


@update_rule
def sm3(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.1,
    momentum: float = 0.9,
    *,
    state: State | None = None,
) -> Updates:
    """With a number for each slice along each axis:  v = g^2 + the smallest number of the slices
    that an entry lies in;  each number <- the largest v of its slice;
    m <- momentum m + (1 - momentum) g / sqrt(v);  w <- w - rate m.

    g / sqrt(v) is 0 where v is 0. Anil, Gupta, Koren and Singer, Memory-efficient adaptive
    optimization, 2019 (arXiv 1901.11150), algorithm SM3-II.
    """
    within("sm3", learning_rate=learning_rate)
    fraction("sm3", momentum=momentum)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    for w, g in zip(wrt, grads, strict=True):
        covers = [kept.slot(w, f"largest_of_axis_{axis}", axes=[axis]) for axis in range(w.ndim)]
        covers = covers or [kept.slot(w, "sum_of_squares")]
        v: gc.Tensor = covers[0]
        for cover in covers[1:]:
            v = gc.minimum(v, cover)
        v = v + gc.square(g)
        for axis, cover in enumerate(covers):
            others = tuple(other for other in range(w.ndim) if other != axis)
            result[cover] = gc.max(v, axis=others, keepdims=True) if others else v
        move = gc.where(v > 0, g / gc.sqrt(gc.where(v > 0, v, 1)), 0)
        if momentum:
            m = kept.slot(w, "mean")
            move = result[m] = running_mean(m, momentum, move)
        result[w] = w - fitting(learning_rate, w) * move
    return result
