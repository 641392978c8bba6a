"""Network([64, 30, 10]): a network as a class of a few lines, as in Nielsen's book (2015).

Quadratic cost and cross-entropy, with L1 or L2, on the digits of scikit-learn: sigmoid units that
are wrong and sure of it learn slowly with the quadratic cost, and not so with cross-entropy.
"""

import itertools

import numpy as np
from gallery import QUICK, figure
from sklearn.datasets import load_digits

import graphc as gc
from graphc.layers import data, initializers, losses, regularizers, updates


class Network:
    """Layers of sigmoid units of the given sizes."""

    def __init__(
        self, sizes: list[int], cost: str, penalty: regularizers.Regularizer | None = None
    ):
        rng = np.random.default_rng(0)
        self.x, self.y = gc.placeholder("x", ("n", sizes[0])), gc.placeholder("y", ("n", sizes[-1]))
        self.params, weights, a = [], [], self.x
        for k, (inputs, units) in enumerate(itertools.pairwise(sizes)):
            w = gc.variable(initializers.LecunNormal()((inputs, units), "float32", rng), f"w{k}")
            b = gc.variable(np.zeros(units, "float32"), f"b{k}")
            a = gc.sigmoid(a @ w + b)
            self.params += [w, b]
            weights.append(w)
        loss = losses.get(cost)(self.y, a)
        if penalty is not None:
            loss = loss + gc.add_n([penalty(w) for w in weights])
        rule = updates.sgd(loss, self.params, {"quadratic": 3.0, "binary_crossentropy": 5.0}[cost])
        self.train = gc.function([self.x, self.y], loss, updates=rule)
        self.predict = gc.function([self.x], gc.argmax(a, axis=1))


images, digits = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
targets = np.eye(10, dtype="float32")[digits]
order = np.random.default_rng(1).permutation(len(images))
learn, test = order[:1437], order[1437:]
epochs = 8 if QUICK else 40

accuracy, curves = {}, {}
for name, cost, penalty in [
    ("quadratic", "quadratic", None),
    ("cross-entropy", "binary_crossentropy", None),
    ("cross-entropy, L2", "binary_crossentropy", regularizers.L2(1e-5)),
    ("cross-entropy, L1", "binary_crossentropy", regularizers.L1(1e-5)),
]:
    network = Network([64, 30, 10], cost, penalty)
    batches = data.Dataset.from_arrays(images[learn], targets[learn]).shuffle(seed=2).batch(10)
    right = []
    for _ in range(epochs):
        for batch in batches:
            network.train(*batch)
        right.append((network.predict(images[test]) == digits[test]).mean())
    curves[name] = right
    accuracy[name] = float((network.predict(images[test]) == digits[test]).mean())
    print(f"{name:<18} {accuracy[name]:.1%} of {len(test)} test digits")
assert min(accuracy.values()) > 0.9 and max(accuracy.values()) >= 0.95


@figure()
def _(axes):
    for name, right in curves.items():
        axes.plot(range(1, epochs + 1), right, label=name)
    axes.set(xlabel="epoch", ylabel="right test digits", ylim=(0.8, 1))
    axes.legend()
