"""A transformer (Vaswani et al., 2017) learns to write sequences backwards.

What stands at a place depends on another place alone: attention has to find it by position.
"""

import numpy as np
from gallery import figure, show

import graphc as gc
from graphc import layers
from graphc.layers import optimizers

STEPS, SYMBOLS = 8, 10
rng = np.random.default_rng(0)
sequences = rng.integers(0, SYMBOLS, (2500, STEPS))
learn, test = sequences[:2200], sequences[2200:]

layers.set_random_seed(0)
model = layers.Sequential(
    [
        layers.Input((STEPS,), dtype="int64"),
        layers.Embedding(SYMBOLS, 32),
        layers.PositionalEncoding(),
        layers.TransformerBlock(num_heads=4, ff_dim=64),
        layers.Dense(SYMBOLS, activation="softmax"),
    ]
)
model.compile(optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(learn, learn[:, ::-1].copy(), batch_size=50, epochs=12, verbose=0)
loss, accuracy = model.evaluate(test, test[:, ::-1].copy(), verbose=0)
shown = model.predict(test[:1], verbose=0).argmax(-1)[0]
print(f"{test[0]} backwards: {shown}; {accuracy:.1%} of all symbols")
assert accuracy > 0.95

block = model.layers[2]
h = gc.placeholder("h", ("n", STEPS, 32))
_, weights = block.attention(h, h, return_attention_scores=True)
front = layers.Model(model.input, model.layers[1](model.layers[0](model.input)))
where = gc.function([h], weights)(front.predict(test))


@figure(columns=4, size=(9, 2.6))
def _(*all_axes):
    for head, axes in enumerate(all_axes):
        show(axes, where[:, head].mean(0), f"head {head + 1}", vmin=0)
        axes.set(xlabel="looks at place", ylabel="place" if head == 0 else "")
