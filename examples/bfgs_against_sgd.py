"""Whole batches against small ones: BFGS, L-BFGS, conjugate gradients and Newton-CG reach the
optimum of logistic regression to many digits; stochastic gradient descent gets near it quickly.

Breast cancer data of scikit-learn, with L2, so that the optimum is one point.
"""

import numpy as np
from gallery import figure
from sklearn.datasets import load_breast_cancer

import graphc as gc
from graphc.layers import data, losses, regularizers, updates, whole_batch

X, Y = load_breast_cancer(return_X_y=True)
X, Y = (X - X.mean(0)) / X.std(0), Y.astype("float64")

x, y = gc.placeholder("x", ("n", 30), "float64"), gc.placeholder("y", ("n",), "float64")
w, b = gc.variable(np.zeros(30), "w"), gc.variable(np.float64(0), "b")
cost = losses.BinaryCrossentropy()(y, gc.sigmoid(x @ w + b)) + regularizers.L2(1e-3)(w)
value = gc.function([x, y], cost)


def begin() -> None:
    w.value, b.value = np.zeros(30), 0.0


reached, paths = {}, {}
for method in ("bfgs", "l-bfgs", "cg", "newton-cg"):
    begin()
    path = paths[method] = []
    found = whole_batch.minimize(
        cost,
        [w, b],
        {x: X, y: Y},
        method=method,
        max_iterations=500,
        tolerance=1e-7,
        callback=lambda _, loss, path=path: path.append(loss),
    )
    reached[method] = found.loss
    print(f"{method:<10} {found.loss:.10f}  {found.iterations:4} iterations of the whole data")

begin()
batches = data.Dataset.from_arrays(X, Y).shuffle(seed=0).batch(32)
sgd = gc.function([x, y], updates=updates.sgd(cost, [w, b], 0.1))
paths["sgd"] = []
for _ in range(20):
    for batch in batches:
        sgd(*batch)
    paths["sgd"].append(float(value(X, Y)))
reached["sgd"] = float(value(X, Y))
print(f"{'sgd':<10} {reached['sgd']:.10f}  {20:4} passes over the data")

best = min(reached.values())
assert all(reached[name] - best < 1e-9 for name in ("bfgs", "l-bfgs", "cg", "newton-cg"))
assert 1e-9 < reached["sgd"] - best < 0.1


@figure()
def _(axes):
    for name, losses_ in paths.items():
        axes.semilogy(np.array(losses_) - best + 1e-12, label=name)
    axes.set(xlabel="iterations, or passes over the data", ylabel="loss above the least")
    axes.legend()
