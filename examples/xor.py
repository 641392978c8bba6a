"""XOR, which no single neuron can do: two hidden units learn it by backpropagation.

Rumelhart, Hinton and Williams, 1986. The figure shows what the network says of the whole square.
"""

import numpy as np
from gallery import figure

import graphc as gc
from graphc.layers import initializers, losses, updates

inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
answers = np.array([0, 1, 1, 0], "float32")

rng = np.random.default_rng(5)
x, y = gc.placeholder("x", ("n", 2)), gc.placeholder("y", ("n",))
W = gc.variable(initializers.Normal(0, 1)((2, 2), "float32", rng), "W")
V = gc.variable(initializers.Normal(0, 1)((2,), "float32", rng), "V")
b, c = gc.variable(np.zeros(2, "float32"), "b"), gc.variable(0.0, "c")
p = gc.sigmoid(gc.tanh(x @ W + b) @ V + c)
loss = losses.BinaryCrossentropy()(y, p)

train = gc.function([x, y], loss, updates=updates.adam(loss, [W, b, V, c], 0.05))
predict = gc.function([x], p)
costs = [float(train(inputs, answers)) for _ in range(600)]
print(f"cost {costs[0]:.3f} to {costs[-1]:.4f}, outputs {predict(inputs).round(3)}")
assert ((predict(inputs) > 0.5) == answers).all() and costs[-1] < 0.05


@figure(columns=2, size=(8, 3.2))
def _(left, right):
    left.semilogy(costs)
    left.set(xlabel="step", title="cross-entropy")
    side = np.linspace(-0.5, 1.5, 101, dtype="float32")
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    shown = right.contourf(side, side, predict(grid.reshape(-1, 2)).reshape(101, 101), 20)
    right.figure.colorbar(shown, label="output")
    right.scatter(*inputs.T, c=answers, edgecolors="white", cmap="gray")
    right.set(title="what it says of the square")
