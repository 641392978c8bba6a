"""A variational autoencoder (Kingma and Welling, 2014): digits as points of a plane.

The encoder gives a mean and a spread; a point is drawn there, and the gradient goes through the
drawing (the reparametrisation trick). The loss is the negative evidence lower bound.
"""

import numpy as np
from gallery import figure, show, tiled
from sklearn.datasets import load_digits

import graphc as gc
from graphc import layers
from graphc.layers import data, optimizers

images, digits = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
layers.set_random_seed(0)
x, code = layers.Input((64,)), layers.Input((2,))
encoder = layers.Model(x, layers.Dense(4)(layers.Dense(64, activation="relu")(x)))
decoder = layers.Model(code, layers.Dense(64)(layers.Dense(64, activation="relu")(code)))

given, chance = gc.placeholder("given", ("n", 64)), gc.random.Stream(seed=0)
encoded = encoder(given)
mean, log_variance = encoded[:, :2], encoded[:, 2:]
point = mean + gc.exp(log_variance / 2) * chance.normal(mean.shape)
misfit = gc.sum(gc.nn.sigmoid_cross_entropy(decoder(point), given), axis=1)
divergence = gc.sum(gc.exp(log_variance) + gc.square(mean) - 1 - log_variance, axis=1) / 2
bound = gc.mean(misfit + divergence)

params = encoder.trainable_weights + decoder.trainable_weights
train = gc.function([given], bound, updates=optimizers.Adam(0.003).updates(bound, params))
batches = data.Dataset.from_arrays(images).shuffle(seed=0).batch(64, drop_remainder=True)
history = [np.mean([train(batch) for batch in batches]) for _ in range(40)]

place = gc.function([given], mean)(images)
# Digits of one kind lie together: most of their nearest neighbours are of the same kind.
near = np.linalg.norm(place[:, None] - place[None], axis=-1).argsort(1)[:, 1:6]
alike = (digits[near] == digits[:, None]).mean()
print(f"negative bound {history[0]:.1f} to {history[-1]:.1f}; {alike:.0%} of neighbours are alike")
assert history[-1] < 30 and alike > 0.5


@figure(columns=2, size=(9, 4))
def _(left, right):
    shown = left.scatter(*place.T, c=digits, s=5, cmap="tab10", vmin=-0.5, vmax=9.5)
    left.figure.colorbar(shown, ticks=range(10))
    left.set(title="digits as points")
    side = np.linspace(-2.2, 2.2, 14, dtype="float32")
    points = np.stack(np.meshgrid(side, -side), axis=-1).reshape(-1, 2)
    made = gc.run(gc.sigmoid(decoder(gc.constant(points))))
    show(right, tiled(made.reshape(-1, 8, 8), 14), "points as digits")
