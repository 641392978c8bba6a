"""A multilayer perceptron on the digits of scikit-learn: 98 % of the test digits in two seconds."""

import numpy as np
from gallery import QUICK, figure, show
from sklearn.datasets import load_digits

from graphc import layers
from graphc.layers import optimizers, schedules

images, digits = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
order = np.random.default_rng(0).permutation(len(images))
learn, test = order[:1437], order[1437:]

layers.set_random_seed(0)
model = layers.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(256, activation="relu"),
        layers.Dropout(0.3),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.3),
        layers.Dense(10, activation="softmax"),
    ]
)
epochs = 15 if QUICK else 40
steps = epochs * -(-len(learn) // 32)
model.compile(
    optimizers.AdamW(schedules.CosineDecay(0.003, steps), weight_decay=1e-3),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
history = model.fit(
    images[learn], digits[learn], epochs=epochs, steps_per_call=15, verbose=0
).history
loss, accuracy = model.evaluate(images[test], digits[test], verbose=0)
print(f"{model.count_params():,} weights, {accuracy:.2%} of {len(test)} test digits")
assert accuracy >= 0.97


@figure(columns=2, size=(7, 3.2))
def _(left, right):
    left.semilogy(history["loss"])
    left.set(xlabel="epoch", title="cross-entropy in training")
    said = model.predict(images[test], verbose=0).argmax(1)
    counts = np.histogram2d(digits[test], said, bins=10)[0]
    show(right, counts, f"{accuracy:.1%} of the test digits", cmap="Blues")
    right.set(xlabel="said", ylabel="true", xticks=range(10), yticks=range(10))
    for row, column in np.argwhere(counts):
        dark = "white" if row == column else "black"
        right.text(column, row, int(counts[row, column]), ha="center", va="center", color=dark)
