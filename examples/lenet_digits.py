"""A network in the form of LeNet (LeCun et al., 1998) on the digits of scikit-learn.

Convolution, pooling, dense layers with dropout; AdamW with a cosine schedule. 99 % of the test
digits are right after some seconds.
"""

import numpy as np
from gallery import QUICK, figure, show, tiled
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
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]
)
epochs = 5 if QUICK else 20
steps = epochs * -(-len(learn) // 32)
model.compile(
    optimizers.AdamW(schedules.CosineDecay(0.002, steps), weight_decay=1e-3),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
history = model.fit(
    images[learn],
    digits[learn],
    batch_size=32,
    epochs=epochs,
    validation_data=(images[test], digits[test]),
    steps_per_call=15,
    verbose=0,
).history
accuracy = history["val_accuracy"][-1]
print(f"{model.count_params():,} weights, {accuracy:.2%} of {len(test)} test digits")
assert accuracy >= (0.97 if QUICK else 0.985)


@figure(columns=3, size=(9, 3))
def _(left, middle, right):
    left.plot(range(1, epochs + 1), history["accuracy"], label="training, with dropout")
    left.plot(range(1, epochs + 1), history["val_accuracy"], label="test")
    left.set(xlabel="epoch", ylim=(0.8, 1.005), title="accuracy")
    left.legend()
    filters = np.moveaxis(model.layers[0].get_weights()[0][:, :, 0], -1, 0)
    show(middle, tiled(filters - filters.min(), 8), "filters of the first layer")
    said = model.predict(images[test], verbose=0)
    doubt = np.argsort(said[np.arange(len(test)), digits[test]])[:12]
    names = " ".join(map(str, said[doubt].argmax(1)))
    show(right, tiled(images[test][doubt, :, :, 0], 4), f"the hardest, called\n{names}")
