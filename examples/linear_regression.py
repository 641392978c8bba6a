"""Linear regression on the diabetes data: gradient descent, and least squares as the answer.

Lasso and ridge are the same loss with a regularizer; L1 sets weights to zero.
"""

import numpy as np
from gallery import figure
from sklearn.datasets import load_diabetes

import graphc as gc
from graphc.layers import metrics, regularizers, updates, whole_batch

X, Y = load_diabetes(return_X_y=True)
X, Y = (X - X.mean(0)) / X.std(0), (Y - Y.mean()) / Y.std()

x, y = gc.placeholder("x", ("n", 10), "float64"), gc.placeholder("y", ("n",), "float64")
w = gc.variable(np.zeros(10), "w")
loss = gc.mean(gc.square(x @ w - y))

descend = gc.function([x, y], loss, updates=updates.nesterov_momentum(loss, [w], 0.02, 0.95))
for _ in range(2000):
    descend(X, Y)
exact = np.linalg.lstsq(X, Y)[0]
r2 = float(metrics.R2Score()(Y, X @ w.value))
print(f"R2 {r2:.4f}, away from least squares by {np.abs(w.value - exact).max():.1e}")
assert np.allclose(w.value, exact, atol=1e-3) and abs(r2 - 0.5177) < 1e-4

plain = w.value
ridge = loss + regularizers.L2(0.1)(w)
whole_batch.minimize(ridge, w, {x: X, y: Y}, tolerance=1e-10)
shrunk = w.value
closed = np.linalg.solve(X.T @ X / len(X) + 0.1 * np.eye(10), X.T @ Y / len(X))
print("ridge", w.value.round(3))
assert np.allclose(w.value, closed, atol=1e-8)

# Lasso: a gradient step on the squares, then every weight 0.002 nearer to 0 (soft threshold).
step = w - 0.02 * gc.grad(loss, w)
lasso = gc.function([x, y], updates={w: gc.sign(step) * gc.maximum(gc.abs(step) - 0.002, 0)})
for _ in range(3000):
    lasso(X, Y)
print("lasso", w.value.round(3))
assert 3 <= (w.value == 0).sum() <= 6


@figure(size=(6, 3.4))
def _(axes):
    names = load_diabetes().feature_names
    for k, (name, values) in enumerate(
        {"least squares": plain, "ridge": shrunk, "lasso": w.value}.items()
    ):
        axes.bar(np.arange(10) + 0.27 * (k - 1), values, 0.27, label=name)
    axes.set(xticks=range(10), xticklabels=names, title="weights of the ten measurements")
    axes.axhline(0, color="black", linewidth=0.5)
    axes.legend()
