"""McCulloch and Pitts, 1943: neurons with given weights are logic gates, two layers make XOR."""

import numpy as np

import graphc as gc

inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
x = gc.placeholder("x", ("n", 2))


def neuron(x: gc.Tensor, weights: list[float], threshold: float) -> gc.Tensor:
    """1 where the weighted sum reaches the threshold, else 0."""
    return (x @ gc.constant(weights) >= threshold).astype("float32")


gates = {
    "and": neuron(x, [1, 1], 2),
    "or": neuron(x, [1, 1], 1),
    "nand": neuron(x, [-1, -1], -1),
    "not first": neuron(x, [-1, 0], 0),
}
# What no single neuron can do, because no line separates the two classes (Minsky, Papert 1969):
hidden = gc.stack([gates["or"], gates["nand"]], axis=1)
gates["xor"] = neuron(hidden, [1, 1], 2)

outputs = gc.function([x], gates)(inputs)
for name, output in outputs.items():
    print(f"{name:<10} {output.astype(int)}")

first, second = inputs.astype(bool).T
assert (outputs["and"] == (first & second)).all()
assert (outputs["or"] == (first | second)).all()
assert (outputs["nand"] == ~(first & second)).all()
assert (outputs["not first"] == ~first).all()
assert (outputs["xor"] == (first ^ second)).all()
