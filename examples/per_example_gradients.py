"""Private training: the gradient of every example, clipped to a length, then summed with noise.

Abadi et al., Deep Learning with Differential Privacy (2016). A gradient for each example usually
takes a loop over the batch. Here the loss is written for one example, and vmap makes the program
for all: batched products of matrices, no loop.
"""

import numpy as np

import graphc as gc

CLIP, NOISE, RATE, BATCH, STEPS = 1.0, 0.5, 0.5, 64, 150

rng = np.random.default_rng(0)
centers = rng.normal(size=(3, 8))
labels = rng.integers(0, 3, size=600)
points = (centers[labels] + 0.5 * rng.normal(size=(600, 8))).astype("float32")

parameters = {
    "w1": gc.variable((rng.normal(size=(8, 32)) / 3).astype("float32"), "w1"),
    "b1": gc.variable(np.zeros(32, "float32"), "b1"),
    "w2": gc.variable((rng.normal(size=(32, 3)) / 6).astype("float32"), "w2"),
    "b2": gc.variable(np.zeros(3, "float32"), "b2"),
}


def scores(x: gc.Tensor) -> gc.Tensor:
    h = gc.tanh(x @ parameters["w1"] + parameters["b1"])
    return h @ parameters["w2"] + parameters["b2"]


def clipped_gradient(x: gc.Tensor, label: gc.Tensor) -> dict[str, gc.Tensor]:
    """The gradient of the loss of one example, shortened to CLIP where it is longer."""
    loss = gc.nn.sparse_softmax_cross_entropy(scores(x), label)
    gradient = gc.grad(loss, parameters)
    length = gc.sqrt(sum(gc.sum(gc.square(g)) for g in gradient.values()))
    return {name: g * gc.minimum(1, CLIP / length) for name, g in gradient.items()}


x, y = gc.placeholder("x", ("n", 8)), gc.placeholder("y", ("n",), "int64")
each = gc.vmap(clipped_gradient)(x, y)  # every parameter with an axis of examples in front
noise = gc.random.Stream(seed=1)
updates = {}
for name, gradients in each.items():
    disturbed = gc.sum(gradients, axis=0) + NOISE * CLIP * noise.normal(gradients.shape[1:])
    updates[parameters[name]] = parameters[name] - RATE * disturbed / gradients.shape[0]
train = gc.function([x, y], each["b2"], updates=updates, name="train")

# A loop over the examples gives the same.
one, label = gc.placeholder("one", (8,)), gc.placeholder("label", (), "int64")
slowly = gc.function([one, label], clipped_gradient(one, label)["b2"])
expected = [slowly(a, b) for a, b in zip(points[:5], labels[:5], strict=True)]
found = train(points[:5], labels[:5])
assert np.allclose(found, expected, atol=1e-5)
assert "loop" not in train.kernels() and "scan" not in train.graph_text()

predict = gc.function([x], gc.argmax(scores(x), axis=-1))
before = np.mean(predict(points) == labels)
for _ in range(STEPS):
    chosen = rng.integers(0, len(points), size=BATCH)
    train(points[chosen], labels[chosen])
after = np.mean(predict(points) == labels)
print(f"right before {before:.0%}, after {after:.0%}")
assert after > 0.95
