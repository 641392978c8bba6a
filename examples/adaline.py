"""Widrow and Hoff, 1960: ADALINE learns from the error before the threshold.

Rosenblatt's rule waits for mistakes; this is gradient descent on the squared error.

First the perceptron rule with worked numbers: x = (1, 0.5, 1), wanted (1, 0), all weights 1, rate
0.1. Both units fire, the second must not: its weights become 0.9, 0.95, 0.9.
"""

import numpy as np

import graphc as gc
from graphc.layers import losses, updates

x = gc.placeholder("x", (3,), "float64")
wanted = gc.placeholder("wanted", (2,), "float64")
W = gc.variable(np.ones((3, 2)), "W")
fires = (x @ W > 0).astype("float64")
learn = gc.function([x, wanted], updates={W: W + 0.1 * gc.outer(x, wanted - fires)})
learn([1.0, 0.5, 1.0], [1.0, 0.0])
print(W.value.T)
assert np.allclose(W.value.T, [[1, 1, 1], [0.9, 0.95, 0.9]])

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
