"""Radial basis functions: units that answer to what is near (Broomhead and Lowe, 1988).

Centres, widths and weights are all learned, to fit a curve.
"""

import numpy as np
from gallery import figure

import graphc as gc
from graphc.layers import losses, updates

rng = np.random.default_rng(0)
X = rng.uniform(-3, 3, (200, 1))
Y = np.sin(2 * X[:, 0]) * np.exp(-(X[:, 0] ** 2) / 4) + 0.02 * rng.normal(size=200)

UNITS = 12
x, y = gc.placeholder("x", ("n", 1), "float64"), gc.placeholder("y", ("n",), "float64")
centres = gc.variable(np.linspace(-3, 3, UNITS)[:, None], "centres")
log_width = gc.variable(np.full(UNITS, np.log(0.5)), "log_width")
weights = gc.variable(np.zeros(UNITS), "weights")
distance = gc.sum(gc.square(x[:, None, :] - centres), axis=-1)  # [n, units]
activation = gc.exp(-distance / (2 * gc.exp(2 * log_width)))
loss = losses.MeanSquaredError()(y, activation @ weights)

params = [centres, log_width, weights]
train = gc.function([x, y], loss, updates=updates.adam(loss, params, 0.02))
values = train.repeat(1500, X, Y)  # all steps in one native call
predict = gc.function([x], activation @ weights)
test = np.linspace(-2.8, 2.8, 57)[:, None]
error = np.abs(predict(test) - np.sin(2 * test[:, 0]) * np.exp(-(test[:, 0] ** 2) / 4)).max()
print(f"mean squared error {values[0]:.4f} to {values[-1]:.6f}, largest error {error:.3f}")
assert values[-1] < 1e-3 and error < 0.06


@figure()
def _(axes):
    units = gc.function([x], activation * weights)(test)
    axes.plot(test, units, color="0.8")
    axes.plot(X, Y, ".", markersize=3, label="data")
    axes.plot(test, predict(test), "r", label="sum of the grey units")
    axes.legend()
