"""A perceptron of 2500, 2000, 1500, 1000 and 500 hidden units for images of 28 x 28 pixels.

11,972,510 weights: the deep and plain network of Cireşan et al. (2010), here a few steps on
generated images, to see that shapes, counts and training are right.
"""

import sys

import numpy as np
from gallery import figure

from graphc.layers import Dense, Input, Model, set_random_seed

set_random_seed(0)
x = h = Input((784,))
for units in (2500, 2000, 1500, 1000, 500):
    h = Dense(units, activation="tanh", kernel_initializer="lecun_normal")(h)
model = Model(x, Dense(10, activation="softmax")(h))
if "--summary" in sys.argv:
    model.summary()
print(f"{model.count_params():,} weights")
assert model.count_params() == 11_972_510

rng = np.random.default_rng(0)
labels = rng.integers(0, 10, 64)
prototypes = rng.uniform(size=(10, 784))
images = (prototypes[labels] + 0.1 * rng.normal(size=(64, 784))).astype("float32")
model.compile("sgd", "sparse_categorical_crossentropy")
losses = model.fit(images, labels, batch_size=32, epochs=3, verbose=0).history["loss"]
print("losses", [round(value, 3) for value in losses])
assert losses[-1] < losses[0]


@figure(columns=2, size=(7, 3))
def _(left, right):
    sizes = [v.value.size for v in model.weights if v.value.ndim == 2]
    left.bar([f"{v.value.shape[1]}" for v in model.weights if v.value.ndim == 2], sizes)
    left.set(xlabel="units", title="weights of each layer")
    right.plot(range(1, 4), losses, "o-")
    right.set(xlabel="epoch", xticks=[1, 2, 3], title="cross-entropy")
