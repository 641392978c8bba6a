"""A generative adversarial network (Goodfellow et al., 2014) draws two moons.

Two models and two updates in one compiled function: the critic learns to tell points of the data
from generated ones, the generator to be taken for data.
"""

import numpy as np
from gallery import figure
from sklearn.datasets import make_moons

import graphc as gc
from graphc import layers
from graphc.layers import losses, optimizers

data = make_moons(4000, noise=0.05, random_state=0)[0].astype("float32")
layers.set_random_seed(0)


def perceptron(inputs: int, outputs: int) -> layers.Model:
    x = h = layers.Input((inputs,))
    for _ in range(2):
        h = layers.Dense(64, activation=layers.LeakyReLU(0.2))(h)
    return layers.Model(x, layers.Dense(outputs)(h))


generator, critic = perceptron(4, 2), perceptron(2, 1)
chance = gc.random.Stream(seed=0)
real = gc.placeholder("real", ("n", 2))
fake = generator(chance.normal((real.shape[0], 4)))
loss = losses.BinaryCrossentropy(from_logits=True)
on_real, on_fake = critic(real), critic(fake)
critic_loss = loss(gc.ones_like(on_real), on_real) + loss(gc.zeros_like(on_fake), on_fake)
generator_loss = loss(gc.ones_like(on_fake), on_fake)

train = gc.function(
    [real],
    [critic_loss, generator_loss],
    updates=optimizers.Adam(0.001, beta_1=0.5).updates(critic_loss, critic.trainable_weights)
    | optimizers.Adam(0.001, beta_1=0.5).updates(generator_loss, generator.trainable_weights),
)
draw = gc.function([], generator(chance.normal((1000, 4))))


def distance() -> float:
    """How far generated points lie from the nearest data, and data from the nearest generated."""
    made, some = draw(), data[:1000]
    apart = np.linalg.norm(made[:, None] - some[None], axis=-1)
    return float(apart.min(1).mean() + apart.min(0).mean())


before = distance()
rng = np.random.default_rng(0)
train.repeat(3000, data[rng.integers(0, len(data), (3000, 128))])
after = distance()
print(f"mean distance between generated points and moons: {before:.3f} to {after:.3f}")
assert after < 0.2 < before


@figure(size=(5.5, 3.6))
def _(axes):
    axes.scatter(*data[:1000].T, s=4, color="0.7", label="data")
    axes.scatter(*draw().T, s=4, color="tab:red", label="generated")
    axes.set(xlim=(-1.6, 2.6), ylim=(-1, 1.5), title=f"mean distance {after:.2f}")
    axes.legend()
