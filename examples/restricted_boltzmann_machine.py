"""A restricted Boltzmann machine, trained by contrastive divergence (Hinton, 2002).

CD-k compares the data with what k steps of Gibbs sampling make of them. Bars and stripes: of the
2^16 pictures of 4 x 4 pixels, 30 occur; after training the machine dreams mostly of these.
"""

import itertools

import numpy as np
from gallery import figure, show, tiled

import graphc as gc
from graphc.layers import updates

SIDE, HIDDEN, K = 4, 16, 5
rows = [np.repeat(bits, SIDE) for bits in itertools.product([0.0, 1.0], repeat=SIDE)]
columns = [np.tile(bits, SIDE) for bits in itertools.product([0.0, 1.0], repeat=SIDE)]
pictures = np.unique(np.array(rows + columns, "float32"), axis=0)
assert len(pictures) == 30

rng, chance = np.random.default_rng(0), gc.random.Stream(seed=0)
v = gc.placeholder("v", ("n", SIDE * SIDE))
W = gc.variable(rng.normal(0, 0.1, (SIDE * SIDE, HIDDEN)).astype("float32"), "W")
a = gc.variable(np.zeros(SIDE * SIDE, "float32"), "a")
b = gc.variable(np.zeros(HIDDEN, "float32"), "b")


def gibbs(v: gc.Tensor, steps: int) -> gc.Tensor:
    """Visible units after `steps` rounds of drawing the hidden ones and the visible ones."""
    for _ in range(steps):
        p_hidden = gc.sigmoid(v @ W + b)
        hidden = (chance.uniform(p_hidden.shape) < p_hidden).astype("float32")
        p_visible = gc.sigmoid(hidden @ W.T + a)
        v = (chance.uniform(p_visible.shape) < p_visible).astype("float32")
    return v


def free_energy(v: gc.Tensor) -> gc.Tensor:
    """-log of the unnormalised probability, with the hidden units summed out."""
    return -(v @ a) - gc.sum(gc.softplus(v @ W + b), axis=1)


# The gradient of CD: that of the difference of free energies, with the sample as a constant.
fantasy = gc.stop_gradient(gibbs(v, K))
loss = gc.mean(free_energy(v)) - gc.mean(free_energy(fantasy))
train = gc.function([v], loss, updates=updates.momentum(loss, [W, a, b], 0.05, 0.5))
dream = gc.function([v], gibbs(v, 50))

batch = np.tile(pictures, (5, 1))
known = {picture.tobytes() for picture in pictures}


def share() -> float:
    """How many of 1000 dreams, from noise, are bars or stripes."""
    noise = rng.integers(0, 2, (1000, SIDE * SIDE)).astype("float32")
    return sum(one.tobytes() in known for one in dream(noise)) / 1000


before = share()
train.repeat(3500, batch)  # all steps in one native call
after = share()
print(f"bars and stripes among dreams: {before:.1%} before training, {after:.1%} after")
assert before < 0.02 and after > 0.4


@figure(columns=2, size=(7, 3.4))
def _(left, right):
    noise = rng.integers(0, 2, (64, SIDE * SIDE)).astype("float32")
    show(left, tiled(noise.reshape(-1, SIDE, SIDE), 8), "noise")
    show(right, tiled(dream(noise).reshape(-1, SIDE, SIDE), 8), "dreams from this noise")
