"""A residual network (He et al., 2016) of 100 blocks, which compiles in seconds.

Blocks of the same shape are the same kernels, and each is compiled once. Two moons to tell apart.
"""

import time

import numpy as np
from gallery import figure
from sklearn.datasets import make_moons

from graphc import layers
from graphc.layers import optimizers

X, Y = make_moons(400, noise=0.15, random_state=0)
X = X.astype("float32")

layers.set_random_seed(0)
x = layers.Input((2,))
h = layers.Dense(16)(x)
for _ in range(100):
    inner = layers.Dense(16, activation="relu")(h)
    h = layers.Add()(
        [h, layers.Dense(16, kernel_initializer=layers.initializers.Normal(0, 0.01))(inner)]
    )
model = layers.Model(x, layers.Dense(2, activation="softmax")(h))

model.compile(optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"])
begun = time.perf_counter()
model.train_on_batch(X[:32], Y[:32])
print(f"{len(model.layers)} layers, compiled in {time.perf_counter() - begun:.1f} s")
model.fit(X, Y, epochs=6, verbose=0)
accuracy = (model.predict(X, verbose=0).argmax(1) == Y).mean()
print(f"{accuracy:.1%} right")
assert accuracy > 0.9


@figure(size=(5, 3.6))
def _(axes):
    side = np.linspace(-1.6, 2.6, 81, dtype="float32"), np.linspace(-1.2, 1.7, 61, dtype="float32")
    grid = np.stack(np.meshgrid(*side), axis=-1).reshape(-1, 2)
    axes.contourf(*side, model.predict(grid)[:, 1].reshape(61, 81), 20, cmap="coolwarm", alpha=0.6)
    axes.scatter(*X.T, c=Y, s=8, cmap="coolwarm")
    axes.set(title=f"100 blocks, {accuracy:.1%} right")
