"""AlexNet (Krizhevsky, Sutskever and Hinton, 2012) in shape: five convolutions, three dense layers.

60,965,224 weights, two groups in three convolutions (there were two GPUs), and responses normalised
by those of neighbouring filters. One image of noise goes through.
"""

import numpy as np
from gallery import QUICK, figure

import graphc as gc
from graphc import layers


class LocalResponseNorm(layers.Layer):
    """x / (2 + 1e-4 s)^0.75, where s is the sum of squares of five neighbouring channels."""

    def call(self, x):
        squares = gc.pad(gc.square(x), [(0, 0), (0, 0), (0, 0), (2, 2)])
        channels = x.shape[-1]
        near = gc.add_n([squares[..., k : k + channels] for k in range(5)])
        return x * (2 + 1e-4 * near) ** -0.75


def conv(filters, size, strides=1, padding="same", groups=1):
    return layers.Conv2D(filters, size, strides, padding, groups=groups, activation="relu")


STACK = [
    ("conv1", conv(96, 11, 4, "valid"), (55, 55, 96)),
    ("norm1", LocalResponseNorm(), (55, 55, 96)),
    ("pool1", layers.MaxPooling2D(3, 2), (27, 27, 96)),
    ("conv2", conv(256, 5, groups=2), (27, 27, 256)),
    ("norm2", LocalResponseNorm(), (27, 27, 256)),
    ("pool2", layers.MaxPooling2D(3, 2), (13, 13, 256)),
    ("conv3", conv(384, 3), (13, 13, 384)),
    ("conv4", conv(384, 3, groups=2), (13, 13, 384)),
    ("conv5", conv(256, 3, groups=2), (13, 13, 256)),
    ("pool5", layers.MaxPooling2D(3, 2), (6, 6, 256)),
    ("flat", layers.Flatten(), (9216,)),
    ("dense6", layers.Dense(4096, activation="relu"), (4096,)),
    ("drop6", layers.Dropout(0.5), (4096,)),
    ("dense7", layers.Dense(4096, activation="relu"), (4096,)),
    ("drop7", layers.Dropout(0.5), (4096,)),
    ("dense8", layers.Dense(1000, activation="softmax"), (1000,)),
]

layers.set_random_seed(0)
x = h = layers.Input((227, 227, 3))
for name, layer, shape in STACK:
    h = layer(h)
    print(f"{name:<7} {'x'.join(map(str, h.shape[1:])):<10} {layer.count_params():>10,}")
    assert h.shape[1:] == shape
model = layers.Model(x, h)
print(f"{model.count_params():,} weights")
assert model.count_params() == 60_965_224

image = np.random.default_rng(0).normal(size=(1, 227, 227, 3)).astype("float32")
chances = model.predict(image)
assert chances.shape == (1, 1000) and np.isclose(chances.sum(), 1, atol=1e-4)
if not QUICK:
    model.compile(layers.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    losses = [float(model.train_on_batch(image, np.array([7]))) for _ in range(3)]
    print("cost of one image in three steps", np.round(losses, 3))
    assert losses[-1] < losses[0]


@figure(columns=2, size=(9, 3.4))
def _(left, right):
    weighted = [(name, layer.count_params()) for name, layer, _ in STACK if layer.weights]
    left.barh(*zip(*weighted, strict=True))
    left.invert_yaxis()
    left.set(xscale="log", title="weights")
    right.barh([name for name, *_ in STACK], [np.prod(shape) for *_, shape in STACK])
    right.invert_yaxis()
    right.set(xscale="log", title="outputs")
