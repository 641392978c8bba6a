"""A network in the form of LeNet (LeCun et al., 1998) on the digits of scikit-learn.

Convolution, pooling, convolution, dense layers; Adam with a cosine schedule.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

from graphc import layers
from graphc.layers import optimizers, schedules

images, digits = load_digits(return_X_y=True)
images = (images / 16).reshape(-1, 8, 8, 1).astype("float32")
order = np.random.default_rng(0).permutation(len(images))
learn, test = order[:1437], order[1437:]

layers.set_random_seed(0)
model = layers.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.4),
        layers.Dense(10, activation="softmax"),
    ]
)
epochs = 40 if "--long" in sys.argv else 10
steps = epochs * -(-len(learn) // 32)
model.compile(
    optimizers.Adam(schedules.CosineDecay(0.003, steps)),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(images[learn], digits[learn], batch_size=32, epochs=epochs, verbose=0)
loss, accuracy = model.evaluate(images[test], digits[test], verbose=0)
print(f"{model.count_params():,} weights, {accuracy:.2%} of {len(test)} test digits")
assert accuracy >= 0.975
