"""Whole-batch training: SciPy's minimisers on the compiled loss, gradient and Hessian product."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.optimize

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.updates.state import weights
from graphc.records import dataclass

__all__ = ["Minimum", "minimize"]

METHODS = {
    "cg": "CG",
    "conjugate_gradient": "CG",
    "bfgs": "BFGS",
    "l-bfgs": "L-BFGS-B",
    "lbfgs": "L-BFGS-B",
    "newton-cg": "Newton-CG",
    "newton_cg": "Newton-CG",
}


@dataclass(frozen=True)
class Minimum:
    """How a minimisation ended. gradient_norm: the largest element of the last gradient."""

    loss: float
    gradient_norm: float
    iterations: int
    evaluations: int
    converged: bool
    message: str


def minimize(
    loss: gc.Tensor,
    params: Any,
    feed: Mapping[gc.Tensor, Any] | None = None,
    *,
    method: str = "l-bfgs",
    max_iterations: int = 200,
    tolerance: float = 1e-6,
    callback: Callable[[int, float], Any] | None = None,
) -> Minimum:
    """Change params until the gradient of the loss vanishes.

    loss: a scalar; it must not draw random numbers. feed: values of its placeholders, all data at
    once. method: "cg" (Polak and Ribière), "bfgs", "l-bfgs" (limited memory; Liu and Nocedal,
    1989) or "newton-cg" (Hessian times vector, no Hessian); Nocedal and Wright, Numerical
    Optimization, 2006. tolerance: on the largest element of the gradient; for newton-cg, on the
    mean step. callback(iteration, loss) is called after each iteration; StopIteration ends it.

    The params get their values at the end, all at once: after an error they are as before.
    float64 params reach tolerances that float32 ones cannot.
    """
    wrt = weights(params)
    if not isinstance(loss, gc.Tensor) or loss.ndim != 0:
        raise gc.ShapeError(f"minimize: a loss is a scalar, got {loss!r}", fix="use gc.mean")
    chosen = METHODS.get(method.lower())
    if chosen is None:
        raise parameter_error(
            f"minimize: there is no method {method!r}", f"use one of {', '.join(METHODS)}", "E231"
        )
    fed = dict(feed or {})
    problem = _Problem(loss, wrt, fed)
    done = 0

    def after(intermediate_result: Any) -> None:
        nonlocal done
        done += 1
        if callback is not None:
            callback(done, float(problem.last_loss))

    result = scipy.optimize.minimize(
        problem.value_and_gradient,
        problem.start(),
        jac=True,
        hessp=problem.hessian_product if chosen == "Newton-CG" else None,
        method=chosen,
        callback=after,
        options={
            "maxiter": max_iterations,
            {"L-BFGS-B": "gtol", "Newton-CG": "xtol"}.get(chosen, "gtol"): tolerance,
        }
        | ({"ftol": 0.0, "maxfun": 20 * max_iterations} if chosen == "L-BFGS-B" else {}),
    )
    problem.assign(result.x)
    return Minimum(
        loss=float(result.fun),
        gradient_norm=float(np.abs(result.jac).max(initial=0.0)),
        iterations=int(result.nit),
        evaluations=int(result.nfev),
        converged=bool(result.success),
        message=str(result.message),
    )


class _Problem:
    """The loss as a function of one vector. Its weights are inputs: no variable is written."""

    def __init__(self, loss: gc.Tensor, wrt: list[gc.Variable], feed: dict[gc.Tensor, Any]) -> None:
        self.wrt, self.data, self.last_loss = wrt, list(feed.values()), np.nan
        self.shapes = [w.value.shape for w in wrt]
        self.cuts = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        self.inputs = [gc.placeholder(f"weight_{i}", w.shape, w.dtype) for i, w in enumerate(wrt)]
        givens: dict[gc.Tensor, gc.Tensor] = dict(zip(wrt, self.inputs, strict=True))
        self.there = gc.substitute(loss, givens)
        self.fed = list(feed)
        self.gradients = list(gc.grad(self.there, self.inputs, disconnected="zero"))
        self.function = gc.function(
            [*self.fed, *self.inputs], [self.there, *self.gradients], on_unused_input="ignore"
        )
        self.product: gc.Function | None = None

    def start(self) -> np.ndarray:
        return self.joined([w.value for w in self.wrt])

    def joined(self, arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.ravel(array).astype(np.float64) for array in arrays])

    def split(self, vector: np.ndarray) -> list[np.ndarray]:
        parts = zip(np.split(vector, self.cuts), self.wrt, self.shapes, strict=True)
        return [part.reshape(shape).astype(w.dtype) for part, w, shape in parts]

    def value_and_gradient(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        value, *gradients = self.function(*self.data, *self.split(vector))
        self.last_loss = float(value)
        return self.last_loss, self.joined(gradients)

    def hessian_product(self, vector: np.ndarray, direction: np.ndarray) -> np.ndarray:
        if self.product is None:
            along = [
                gc.placeholder(f"direction_{i}", w.shape, w.dtype) for i, w in enumerate(self.wrt)
            ]
            slope = gc.add_n([gc.sum(g * d) for g, d in zip(self.gradients, along, strict=True)])
            products = gc.grad(slope, self.inputs, disconnected="zero")
            self.product = gc.function(
                [*self.fed, *self.inputs, *along], list(products), on_unused_input="ignore"
            )
        given = [*self.split(vector), *self.split(direction)]
        return self.joined(self.product(*self.data, *given))

    def assign(self, vector: np.ndarray) -> None:
        values = dict(zip(self.wrt, map(gc.constant, self.split(vector)), strict=True))
        gc.function([], updates=values)()
