"""Style transfer (Gatys, Ecker and Bethge, 2016) by optimising the input image.

What is trained is the picture: its features shall be those of one photograph, the correlations of
its features (Gram matrices) those of another. Filters with random weights are enough for textures
(Ustyuzhaninov et al., 2016), so no trained network is needed. Photographs of scikit-learn.
"""

import numpy as np
from gallery import QUICK, figure, show
from sklearn.datasets import load_sample_image

import graphc as gc
from graphc import layers
from graphc.layers import updates

SIZE, STEPS = (32, 40) if QUICK else (96, 300)


def photograph(name: str) -> np.ndarray:
    """The middle of a photograph, made small by means over blocks. [1, SIZE, SIZE, 3]"""
    whole = load_sample_image(name)[:, 100:500][:384, :384] / 255
    block = 384 // SIZE
    return whole.reshape(1, SIZE, block, SIZE, block, 3).mean((2, 4)).astype("float32")


content, style = photograph("china.jpg"), photograph("flower.jpg")
layers.set_random_seed(0)
filters = [
    layers.Conv2D(48, size, padding="same", activation="relu", kernel_initializer="he_normal")
    for size in (3, 5, 7)
]
pool = layers.AveragePooling2D(2)


def features(image: gc.Tensor) -> list[gc.Tensor]:
    """What filters of three sizes see, at three scales."""
    found = []
    for _ in range(3):
        found += [layer(image - 0.5) for layer in filters]
        image = pool(image)
    return found


def gram(seen: gc.Tensor) -> gc.Tensor:
    """Mean products of features, wherever they are. [filters, filters]"""
    flat = gc.reshape(seen, (-1, seen.shape[-1]))
    return flat.T @ flat / flat.shape[0]


given = gc.placeholder("given", content.shape)
describe = gc.function([given], [[gram(f) for f in features(given)], features(given)[3]])
wanted_style, _ = describe(style)
_, wanted_content = describe(content)

picture = gc.variable(content, "picture")
seen = features(picture)
style_cost = gc.add_n(
    [
        gc.mean(gc.square(gram(f) - target)) / float(np.square(target).mean())
        for f, target in zip(seen, wanted_style, strict=True)
    ]
)
content_cost = gc.mean(gc.square(seen[3] - wanted_content)) / float(
    np.square(wanted_content).mean()
)
roughness = gc.mean(gc.square(picture[:, 1:] - picture[:, :-1])) + gc.mean(
    gc.square(picture[:, :, 1:] - picture[:, :, :-1])
)
rule = updates.adam(6 * content_cost + style_cost + 10 * roughness, [picture], 0.02)
rule[picture] = gc.clip(rule[picture], 0, 1)
step = gc.function([], [style_cost, content_cost], updates=rule)
costs = np.array([step() for _ in range(STEPS)])

from_style = float(np.square(describe(style)[1] - wanted_content).mean())
from_picture = float(np.square(describe(picture.value)[1] - wanted_content).mean())
print(f"style {costs[0, 0]:.3f} to {costs[-1, 0]:.3f}, content {costs[-1, 1]:.3f}")
assert costs[-1, 0] < 0.25 * costs[0, 0]  # the style of the flower
assert from_picture < 0.5 * from_style  # and still the temple


@figure(columns=4, size=(11, 2.9))
def _(first, second, third, last):
    show(first, content[0], "content")
    show(second, style[0], "style")
    show(third, picture.value[0], f"after {STEPS} steps")
    last.semilogy(costs, label=["style", "content"])
    last.set(xlabel="step", title="costs")
    last.legend()
