"""Wide and deep (Cheng et al., 2016): two inputs, and a linear path joined to a deep one.

Wine data of scikit-learn: all 13 measurements go through the deep path, the first five also
straight to the output.
"""

import numpy as np
from gallery import figure, show
from sklearn.datasets import load_wine

from graphc import layers
from graphc.layers import optimizers

X, Y = load_wine(return_X_y=True)
X = ((X - X.mean(0)) / X.std(0)).astype("float32")
order = np.random.default_rng(0).permutation(len(X))
learn, test = order[:120], order[120:]

layers.set_random_seed(1)
wide, deep = layers.Input((5,), name="wide"), layers.Input((13,), name="deep")
h = layers.Dense(16, activation="relu")(deep)
h = layers.Dense(16, activation="relu")(h)
joined = layers.Concatenate()([wide, h])
model = layers.Model([wide, deep], layers.Dense(3, activation="softmax")(joined))

model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit([X[learn, :5], X[learn]], Y[learn], epochs=40, verbose=0).history
loss, accuracy = model.evaluate([X[test, :5], X[test]], Y[test], verbose=0)
print(f"loss {history['loss'][0]:.3f} to {history['loss'][-1]:.4f}, test accuracy {accuracy:.1%}")
assert accuracy > 0.92


@figure(columns=2, size=(8, 3.2))
def _(left, right):
    left.semilogy(history["loss"])
    left.set(xlabel="epoch", title="cross-entropy")
    said = model.predict([X[test, :5], X[test]], verbose=0).argmax(1)
    counts = np.histogram2d(Y[test], said, bins=3)[0]
    show(right, counts, f"test wines, {accuracy:.1%} right", cmap="Blues")
    right.set(xlabel="said", ylabel="true", xticks=range(3), yticks=range(3))
    for row in range(3):
        for column in range(3):
            dark = "white" if row == column else "black"
            right.text(column, row, int(counts[row, column]), ha="center", color=dark)
