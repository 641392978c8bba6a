"""Widrow and Hoff, 1960: ADALINE learns from the error before the threshold.

Rosenblatt's rule waits for mistakes; this is gradient descent on the squared error.
"""

import numpy as np
from gallery import figure

import graphc as gc
from graphc.layers import losses, updates

rng = np.random.default_rng(0)
points = rng.normal(size=(200, 2)) + np.repeat([[1.5, 1.0], [-1.5, -1.0]], 100, axis=0)
labels = np.repeat([1.0, -1.0], 100)

p, t = gc.placeholder("p", ("n", 2), "float64"), gc.placeholder("t", ("n",), "float64")
w, b = gc.variable(np.zeros(2), "w"), gc.variable(np.float64(0), "b")
activation = p @ w + b
loss = losses.mean_squared_error(t, activation)
adaline = gc.function([p, t], gc.mean(loss), updates=updates.sgd(gc.mean(loss), [w, b], 0.05))
decide = gc.function([p], gc.sign(activation))

history = [float(adaline(points, labels)) for _ in range(100)]
errors = int((decide(points) != labels).sum())
design = np.column_stack([points, np.ones(200)])
best = np.linalg.lstsq(design, labels)[0]
print(
    f"loss {history[0]:.3f} to {history[-1]:.3f}, {errors} errors, weights {w.value}, {b.value:.3f}"
)
assert np.allclose([*w.value, b.value], best, atol=1e-3)  # the line of least squares
assert errors <= 10


@figure(columns=2, size=(8, 3.2))
def _(left, right):
    left.plot(history)
    left.set(xlabel="step", ylabel="squared error", title="gradient descent")
    right.scatter(*points.T, c=labels, s=8, cmap="coolwarm")
    ends = np.array([-4.0, 4.0])
    right.plot(ends, -(w.value[0] * ends + b.value) / w.value[1], "k", label="ADALINE")
    right.plot(ends, -(best[0] * ends + best[2]) / best[1], "y--", label="least squares")
    right.set(xlim=(-5, 5), ylim=(-5, 5), title="where the activation is 0")
    right.legend()
