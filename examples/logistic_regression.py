"""Logistic regression, written as in a textbook. The compiler makes it numerically stable.

1 / (1 + exp(-z)) overflows, and log(p) is -inf where p underflows; graphc recognises both and
computes with softplus instead. `n` is a symbolic size: one compiled function serves any batch.
"""

import numpy as np
from gallery import figure

import graphc as gc

rng = np.random.default_rng(0)
EXAMPLES, FEATURES, STEPS = 400, 784, 1000
X = rng.normal(size=(EXAMPLES, FEATURES)).astype("float32")
Y = rng.integers(0, 2, EXAMPLES).astype("float32")

x = gc.placeholder("x", ("n", FEATURES))
y = gc.placeholder("y", ("n",))
w = gc.variable(np.zeros(FEATURES, "float32"), name="w")
b = gc.variable(np.float32(0), name="b")

p = 1 / (1 + gc.exp(-(x @ w) - b))
cross_entropy = -y * gc.log(p) - (1 - y) * gc.log(1 - p)
cost = gc.mean(cross_entropy) + 0.01 * gc.sum(w**2)
gw, gb = gc.grad(cost, [w, b])

train = gc.function([x, y], cost, updates={w: w - 0.1 * gw, b: b - 0.1 * gb})
predict = gc.function([x], p > 0.5)

costs = []
for step in range(STEPS):
    value = train(X, Y)
    costs.append(float(value))
    if step % 200 == 0:
        print(f"step {step:4}  cost {float(value):.4f}")
errors = int((predict(X) != Y).sum())
print(f"step {STEPS:4}  cost {float(value):.4f}  errors {errors}")

assert abs(float(value) - 0.128) < 1e-4
assert errors == 0
assert np.isfinite(train(1000 * X[:3], Y[:3]))  # three examples, exponents of 1000 and more


@figure(columns=2, size=(8, 3.2))
def _(left, right):
    left.semilogy(costs)
    left.set(xlabel="step", title="cost")
    z = X @ w.value + b.value
    bins = np.linspace(z.min(), z.max(), 40)
    right.hist(z[Y == 0], bins, alpha=0.7, label="0")
    right.hist(z[Y == 1], bins, alpha=0.7, label="1")
    right.set(xlabel="x @ w + b", title="no errors: 784 features tell 400 examples apart")
    right.title.set_fontsize(9)
    right.legend(title="label")
