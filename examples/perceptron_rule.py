"""Rosenblatt's rule: after a mistake, add the example to the weights. `updates` and `where`.

First with worked numbers: x = (1, 0.5, 1), wanted (1, 0), all weights 1, rate 0.1. Both units fire,
the second must not: its weights become 0.9, 0.95, 0.9. Then until there are no mistakes: Novikoff's
theorem bounds their number by (R / margin)**2, whatever the order of the examples.
"""

import numpy as np
from gallery import figure

import graphc as gc
from graphc import layers

units = layers.Perceptron(2, use_bias=False, kernel_initializer="ones")
given, wanted = gc.placeholder("given", ("n", 3)), gc.placeholder("wanted", ("n", 2))
gc.function([given, wanted], updates=units.updates(given, wanted, rate=0.1))(
    np.array([[1, 0.5, 1]], "float32"), np.array([[1, 0]], "float32")
)
print(units.kernel.value.T)
assert np.allclose(units.kernel.value.T, [[1, 1, 1], [0.9, 0.95, 0.9]])

rng = np.random.default_rng(1)
direction = np.array([0.6, -0.8], "float32")
points = rng.uniform(-1, 1, (300, 2)).astype("float32")
points = points[np.abs(points @ direction) > 0.02]  # a margin between the two classes
labels = np.sign(points @ direction).astype("float32")

x = gc.placeholder("x", (2,))
label = gc.placeholder("label", ())
w = gc.variable(np.zeros(2, "float32"), name="w")

mistake = label * (x @ w) <= 0
learn = gc.function([x, label], mistake, updates={w: gc.where(mistake, w + label * x, w)})

mistakes, weights = 0, []
for sweep in range(1, 100):
    made = sum(bool(learn(point, answer)) for point, answer in zip(points, labels, strict=True))
    mistakes += made
    weights.append(w.value)
    print(f"sweep {sweep}: {made} mistakes, w = {w.value}")
    if made == 0:
        break

margin = np.abs(points @ direction).min()
bound = (np.linalg.norm(points, axis=1).max() / margin) ** 2
print(f"{mistakes} mistakes, at most {bound:.0f} were possible")
assert made == 0
assert mistakes <= bound
assert (np.sign(points @ w.value) == labels).all()


@figure(size=(4.6, 4.2))
def _(axes):
    axes.scatter(*points.T, c=labels, s=8, cmap="coolwarm")
    ends = np.array([-1.5, 1.5])
    for number, (a, b) in enumerate(weights, 1):
        shade = str(0.8 * (1 - number / len(weights)))
        axes.plot(ends, -a / b * ends, color=shade, label=f"after sweep {number}")
    axes.set(xlim=(-1, 1), ylim=(-1, 1), title=f"{mistakes} mistakes until all are right")
    axes.legend(loc="lower right")
