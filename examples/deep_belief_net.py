"""A deep belief net (Hinton, Osindero and Teh, 2006): Boltzmann machines, one on top of the other.

Each machine learns, without labels, from what the one below makes of the data. A deep network of
sigmoid units hardly learns from random weights by gradient descent; from theirs it does.
"""

import numpy as np
from gallery import QUICK, figure, show, tiled
from sklearn.datasets import load_digits

import graphc as gc
from graphc import layers
from graphc.layers import optimizers, updates

images, digits = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
order = np.random.default_rng(0).permutation(len(images))
learn, test = order[:1437], order[1437:]
rng = np.random.default_rng(1)

layers.set_random_seed(0)
SIZES = [100, 64, 36]
machines, data = [], images[learn]
for units in SIZES:
    machine = layers.RBM(units, kernel_initializer=layers.initializers.Normal(0, 0.05))
    v = gc.placeholder("v", ("n", data.shape[1]))
    hidden = machine(v)
    cost = machine.cost(v)
    misfit = gc.mean(gc.square(v - machine.visible(hidden)))
    train = gc.function([v], misfit, updates=updates.adam(cost, machine.trainable_weights, 0.005))
    batches = np.concatenate(
        [rng.permutation(len(data))[:1400] for _ in range(15 if QUICK else 50)]
    )
    errors = train.repeat(len(batches) // 50, data[batches].reshape(-1, 50, data.shape[1]))
    print(f"{data.shape[1]} to {units}: restored up to {errors[0]:.3f}, then {errors[-1]:.3f}")
    assert errors[-1] < 0.95 * errors[0]
    machines.append(machine)
    data = gc.function([v], hidden)(data)
    data = (rng.uniform(size=data.shape) < data).astype("float32")  # what fires


def right(pretrained: bool) -> list[float]:
    """The part of the test digits that is right, after each epoch."""
    layers.set_random_seed(3)
    hidden = [layers.Dense(units, activation="sigmoid") for units in SIZES]
    model = layers.Sequential([layers.Input((64,)), *hidden, layers.Dense(10, "softmax")])
    if pretrained:
        for layer, machine in zip(hidden, machines, strict=True):
            layer.set_weights([machine.kernel.value, machine.hidden_bias.value])
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(
        images[learn],
        digits[learn],
        epochs=10 if QUICK else 30,
        validation_data=(images[test], digits[test]),
        verbose=0,
    ).history["val_accuracy"]


without, pretrained = right(False), right(True)
print(f"test digits: {without[-1]:.1%} from random weights, {pretrained[-1]:.1%} from the machines")
assert pretrained[-1] > without[-1] + 0.1 and pretrained[-1] > (0.3 if QUICK else 0.8)


@figure(columns=3, size=(10, 3.2))
def _(left, middle, last):
    kernel = machines[0].kernel.value.T[:64].reshape(-1, 8, 8)
    show(left, tiled(kernel - kernel.min(), 8), "what the lowest units see")
    v = gc.placeholder("v", ("n", 64))
    h = v
    for machine in machines:
        h = machine(h)
    for machine in reversed(machines):
        h = machine.visible(h)
    some = images[test[:20]]
    both = np.stack([some, gc.run(h, {v: some})]).reshape(2, 4, 5, 8, 8)
    pairs = both.transpose(1, 0, 2, 3, 4).reshape(-1, 8, 8)
    show(middle, tiled(pairs, 5), f"digits, and what {SIZES[-1]} units keep")
    last.plot(without, label="random weights")
    last.plot(pretrained, label="weights of the machines")
    last.set(xlabel="epoch", ylim=(0, 1), title="right test digits")
    last.legend()
