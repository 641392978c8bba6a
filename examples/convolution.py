"""A small convolutional network reads handwritten digits: convolutions, pooling, dropout, Adam.

The images are 8x8. One compiled function takes a step for any batch size; the test error is
computed by another one, without dropout.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import graphc as gc

EPOCHS, BATCH, RATE = 25, 32, 3e-3

digits = load_digits()
images = (digits.images[:, None] / 16).astype("float32")  # [image, channel, height, width]
x_train, x_test, y_train, y_test = train_test_split(
    images, digits.target, test_size=0.25, random_state=0, stratify=digits.target
)
rng = np.random.default_rng(0)


def weights(name: str, *shape: int) -> gc.Tensor:
    """Normal with variance 2 / inputs (He et al. 2015). Filters are [out, in, height, width]."""
    inputs = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
    scale = np.sqrt(2 / inputs)
    return gc.variable((scale * rng.normal(size=shape)).astype("float32"), name)


parameters = {
    "f1": weights("f1", 16, 1, 3, 3),
    "b1": gc.variable(np.zeros((16, 1, 1), "float32"), "b1"),
    "f2": weights("f2", 32, 16, 3, 3),
    "b2": gc.variable(np.zeros((32, 1, 1), "float32"), "b2"),
    "w3": weights("w3", 32 * 2 * 2, 10),
    "b3": gc.variable(np.zeros(10, "float32"), "b3"),
}


def scores(x: gc.Tensor, noise: gc.random.Stream | None = None) -> gc.Tensor:
    """x: [n, 1, 8, 8]. Result: [n, 10]. noise: drops half of the features."""
    p = parameters
    h = gc.nn.relu(gc.nn.conv2d(x, p["f1"], padding="same") + p["b1"])
    h = gc.nn.max_pool(h, 2)  # [n, 16, 4, 4]
    h = gc.nn.relu(gc.nn.conv2d(h, p["f2"], padding="same") + p["b2"])
    h = gc.nn.max_pool(h, 2)  # [n, 32, 2, 2]
    h = gc.reshape(h, (-1, 32 * 2 * 2))
    if noise is not None:
        h = h * noise.bernoulli(h.shape, 0.5) * 2
    return h @ p["w3"] + p["b3"]


def adam(cost: gc.Tensor) -> dict[gc.Tensor, gc.Tensor]:
    """New values of all variables: Kingma and Ba, Adam (2015)."""
    step = gc.variable(np.float32(0), "step")
    updates = {step: step + 1}
    for name, gradient in gc.grad(cost, parameters).items():
        parameter = parameters[name]
        mean = gc.variable(np.zeros(parameter.shape, "float32"), f"{name}_mean")
        square = gc.variable(np.zeros(parameter.shape, "float32"), f"{name}_square")
        updates[mean] = 0.9 * mean + 0.1 * gradient
        updates[square] = 0.999 * square + 0.001 * gradient**2
        first = updates[mean] / (1 - 0.9 ** (step + 1))
        second = updates[square] / (1 - 0.999 ** (step + 1))
        updates[parameter] = parameter - RATE * first / (gc.sqrt(second) + 1e-8)
    return updates


x = gc.placeholder("x", ("n", 1, 8, 8))
y = gc.placeholder("y", ("n",), "int64")
cost = gc.mean(gc.nn.sparse_softmax_cross_entropy(scores(x, gc.random.Stream(seed=1)), y))
train = gc.function([x, y], cost, updates=adam(cost), name="train")
predict = gc.function([x], gc.argmax(scores(x), axis=-1), name="predict")

for epoch in range(EPOCHS):
    order = rng.permutation(len(x_train))
    costs = [
        float(train(x_train[chosen], y_train[chosen]))
        for chosen in np.array_split(order, len(order) // BATCH)
    ]
    right = np.mean(predict(x_test) == y_test)
    print(f"epoch {epoch + 1:2}  cost {np.mean(costs):.4f}  test accuracy {right:.1%}")

assert right > 0.97
assert predict(x_test[:1]).shape == (1,)
