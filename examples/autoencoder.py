"""An autoencoder with tied weights: the decoder is the encoder's matrix turned over.

It learns to give back digits of which a third of the pixels were blanked out (a denoising
autoencoder: Vincent et al., 2008). The 64 pixels go through 24 units.
"""

import numpy as np
from gallery import figure, show, tiled
from sklearn.datasets import load_digits

import graphc as gc
from graphc.layers import data, initializers, losses, updates

images = (load_digits().data / 16).astype("float32")
rng = np.random.default_rng(0)
rng.shuffle(images)
learn, test = images[:1500], images[1500:]

x, blanks = gc.placeholder("x", ("n", 64)), gc.random.Stream(seed=0)
W = gc.variable(initializers.GlorotUniform(seed=1)((64, 24)), "W")
b, c = gc.variable(np.zeros(24, "float32"), "b"), gc.variable(np.zeros(64, "float32"), "c")


def restored(x: gc.Tensor) -> gc.Tensor:
    return gc.sigmoid(gc.sigmoid(x @ W + b) @ W.T + c)


noisy = x * blanks.bernoulli(x.shape, p=2 / 3).astype("float32")
loss = losses.BinaryCrossentropy()(x, restored(noisy))
train = gc.function([x], loss, updates=updates.adam(loss, [W, b, c], 0.01))
look = gc.function([x], [noisy, restored(noisy), restored(x)])

batches = data.Dataset.from_arrays(learn).shuffle(seed=0).batch(50)
for _ in range(25):
    for batch in batches:
        value = train(batch)
damaged, repaired, plain = look(test)
errors = [float(np.square(a - test).mean()) for a in (damaged, repaired, plain)]
print(f"loss {float(value):.3f}; squared error of damaged digits {errors[0]:.4f}, ", end="")
print(f"repaired {errors[1]:.4f}, of whole ones through the network {errors[2]:.4f}")
assert errors[1] < 0.45 * errors[0] and errors[2] < errors[1]


@figure(size=(6, 2.6))
def _(axes):
    rows = np.concatenate([test[:12], damaged[:12], repaired[:12]]).reshape(-1, 8, 8)
    show(axes, tiled(rows, 12), "digits; a third of the pixels lost; repaired")
