"""Monte-Carlo dropout (Gal and Ghahramani, 2016): a network that says how sure it is.

Dropout stays on while predicting; the spread of many predictions is large where there were no data.
"""

import numpy as np
from gallery import figure

import graphc as gc
from graphc import layers
from graphc.layers import optimizers

rng = np.random.default_rng(0)
X = np.concatenate([rng.uniform(-3, -1, 150), rng.uniform(1, 3, 150)]).astype("float32")[:, None]
Y = np.sin(X) + 0.05 * rng.normal(size=X.shape).astype("float32")

layers.set_random_seed(0)
x = h = layers.Input((1,))
for _ in range(2):
    h = layers.Dropout(0.1)(layers.Dense(64, activation="relu")(h))
model = layers.Model(x, layers.Dense(1)(h))
model.compile(optimizers.Adam(0.005), "mean_squared_error")
model.fit(X, Y, epochs=60, verbose=0)

given = gc.placeholder("given", ("n", 1))
draw = gc.function([given], model(given, training=True))  # other masks at every call
side = np.linspace(-5, 5, 101, dtype="float32")[:, None]
draws = np.stack([draw(side)[:, 0] for _ in range(200)])
mean, spread = draws.mean(0), draws.std(0)
known, unknown = spread[np.abs(np.abs(side[:, 0]) - 2) < 0.8], spread[np.abs(side[:, 0]) > 4]
print(f"spread {known.mean():.3f} where there are data, {unknown.mean():.3f} far from them")
assert unknown.mean() > 1.5 * known.mean()
assert np.abs(mean - np.sin(side[:, 0]))[np.abs(np.abs(side[:, 0]) - 2) < 0.8].mean() < 0.15


@figure()
def _(axes):
    axes.fill_between(side[:, 0], mean - 2 * spread, mean + 2 * spread, alpha=0.3)
    axes.plot(side, mean, label="mean of 200 predictions, ± 2 deviations")
    axes.plot(X, Y, ".", markersize=2, label="data")
    axes.set(ylim=(-3.2, 3.2))
    axes.legend(loc="upper center")
