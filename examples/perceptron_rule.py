"""Rosenblatt's rule: after a mistake, add the example to the weights. `updates` and `where`.

Novikoff's theorem bounds the mistakes by (R / margin)**2, whatever the order of the examples.
"""

import numpy as np

import graphc as gc

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

mistakes = 0
for sweep in range(1, 100):
    made = sum(bool(learn(point, answer)) for point, answer in zip(points, labels, strict=True))
    mistakes += made
    print(f"sweep {sweep}: {made} mistakes, w = {w.value}")
    if made == 0:
        break

margin = np.abs(points @ direction).min()
bound = (np.linalg.norm(points, axis=1).max() / margin) ** 2
print(f"{mistakes} mistakes, at most {bound:.0f} were possible")
assert made == 0
assert mistakes <= bound
assert (np.sign(points @ w.value) == labels).all()
