"""Steps that are nearly orthogonal matrices: Muon."""

from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.limits import flag, fraction, positive, within
from graphc.layers.updates.state import State, Updates, fitting, gradients, update_rule

__all__ = ["muon"]

_A, _B, _C = 3.4445, -4.7750, 2.0315  # steep at 0, and within [0.7, 1.2] after five steps
_STEPS = 5
_SMALL = 1e-7  # keeps gradients of zeros at zero


@update_rule
def muon(
    loss_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.02,
    momentum: float = 0.95,
    *,
    nesterov: bool = True,
    rms_rate: float | None = None,
    state: State | None = None,
) -> Updates:
    """m <- momentum m + (1 - momentum) g;
    w <- w - rate s orthogonal(momentum m + (1 - momentum) g), or of m itself without nesterov.

    For weights that are matrices. orthogonal(x) has the singular vectors of x and singular values
    near 1: five steps x <- 3.4445 x + (-4.775 x x^T + 2.0315 (x x^T)^2) x from x / |x|.
    s = sqrt(max(1, rows / columns)), or rms_rate sqrt(max(rows, columns)): with rms_rate=0.2, rates
    that suit Adam suit it too. Jordan et al., Muon: an optimizer for hidden layers in neural
    networks, 2024; Liu et al., Muon is scalable for LLM training, 2025 (arXiv 2502.16982).
    """
    within("muon", learning_rate=learning_rate)
    fraction("muon", momentum=momentum)
    flag("muon", nesterov=nesterov)
    if rms_rate is not None:
        positive("muon", rms_rate=rms_rate)
    kept, result = state or State(), Updates()
    grads, wrt = gradients(loss_or_grads, params)
    for w, g in zip(wrt, grads, strict=True):
        if w.ndim != 2:
            raise parameter_error(
                f"muon: {w.name} has {w.ndim} axes, and a matrix has 2",
                "train weights that are no matrices by adamw; optimizers.Muon does this",
            )
        m = kept.slot(w, "mean")
        result[m] = momentum * m + (1 - momentum) * g
        move = momentum * result[m] + (1 - momentum) * g if nesterov else result[m]
        rows, columns = (int(size) for size in w.shape)
        longer = max(rows, columns)
        scale = max(1, rows / columns) ** 0.5 if rms_rate is None else rms_rate * longer**0.5
        result[w] = w - fitting(learning_rate, w) * scale * _orthogonal(move)
    return result


def _orthogonal(matrix: gc.Tensor) -> gc.Tensor:
    """A matrix of the same singular vectors, with singular values near 1."""
    tall = int(matrix.shape[0]) > int(matrix.shape[1])
    x = matrix.T if tall else matrix  # the smaller of the two products
    x = x / (gc.sqrt(gc.sum(gc.square(x))) + _SMALL)
    for _ in range(_STEPS):
        square = x @ x.T
        x = _A * x + (_B * square + _C * (square @ square)) @ x
    return x.T if tall else x
