"""McCulloch and Pitts, 1943: neurons with given weights are logic gates, two layers make XOR."""

import numpy as np
from gallery import figure, show

import graphc as gc

inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
x = gc.placeholder("x", ("n", 2))


def neuron(x: gc.Tensor, weights: list[float], threshold: float) -> gc.Tensor:
    """1 where the weighted sum reaches the threshold, else 0."""
    return (x @ gc.constant(weights) >= threshold).astype("float32")


gates = {
    "and": neuron(x, [1, 1], 1.5),
    "or": neuron(x, [1, 1], 0.5),
    "nand": neuron(x, [-1, -1], -1.5),
    "not first": neuron(x, [-1, 0], -0.5),
}
# What no single neuron can do, because no line separates the two classes (Minsky, Papert 1969):
hidden = gc.stack([gates["or"], gates["nand"]], axis=1)
gates["xor"] = neuron(hidden, [1, 1], 1.5)

outputs = gc.function([x], gates)(inputs)
for name, output in outputs.items():
    print(f"{name:<10} {output.astype(int)}")

first, second = inputs.astype(bool).T
assert (outputs["and"] == (first & second)).all()
assert (outputs["or"] == (first | second)).all()
assert (outputs["nand"] == ~(first & second)).all()
assert (outputs["not first"] == ~first).all()
assert (outputs["xor"] == (first ^ second)).all()


@figure(columns=5, size=(9, 2.2))
def _(*all_axes):
    side = np.linspace(-0.5, 1.5, 81, dtype="float32")
    square = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    fires = gc.function([x], gates)(square)
    for axes, (name, output) in zip(all_axes, outputs.items(), strict=True):
        show(
            axes,
            fires[name].reshape(81, 81),
            name,
            cmap="Pastel1_r",
            origin="lower",
            extent=(-0.5, 1.5, -0.5, 1.5),
        )
        axes.scatter(*inputs.T, c=output, cmap="gray_r", edgecolors="black", vmin=0, vmax=1)
