"""An LSTM (Hochreiter and Schmidhuber, 1997) reads a rhyme letter by letter, and writes it.

It learns which letter follows the last sixteen, and then continues from its own letters.
"""

import numpy as np
from gallery import figure, show

from graphc import layers
from graphc.layers import optimizers

TEXT = """the house that jack built. this is the malt that lay in the house that jack built.
this is the rat that ate the malt that lay in the house that jack built.
this is the cat that killed the rat that ate the malt that lay in the house that jack built.
""".replace("\n", " ")
STEPS = 16
letters = sorted(set(TEXT))
numbers = np.array([letters.index(letter) for letter in TEXT])
windows = np.lib.stride_tricks.sliding_window_view(numbers, STEPS + 1)
X, Y = windows[:, :-1].copy(), windows[:, -1].copy()

layers.set_random_seed(0)
model = layers.Sequential(
    [
        layers.Input((STEPS,), dtype="int64"),
        layers.Embedding(len(letters), 16),
        layers.LSTM(64),
        layers.Dense(len(letters), activation="softmax"),
    ]
)
model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(X, Y, batch_size=32, epochs=40, verbose=0).history

written = list(X[0])
for _ in range(60):
    chances = model.predict_on_batch(np.array([written[-STEPS:]]))
    written.append(int(chances[0].argmax()))
text = "".join(letters[number] for number in written)
print(f"{history['accuracy'][-1]:.1%} of the next letters; it writes: {text}")
assert history["accuracy"][-1] > 0.95
assert "that jack built" in text


@figure(columns=2, size=(8, 3))
def _(left, right):
    left.plot(history["accuracy"])
    left.set(xlabel="epoch", title="right next letters")
    chances = model.predict(X[:40], verbose=0)
    show(right, chances.T, "chance of each next letter", aspect="auto")
    right.set(yticks=range(len(letters)), yticklabels=letters, xticks=range(40))
    right.set_xticklabels([letters[n] for n in Y[:40]], fontsize=6)
    right.tick_params(axis="y", labelsize=6)
