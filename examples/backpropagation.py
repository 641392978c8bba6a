"""The four equations of backpropagation, written out and compared with gc.grad.

Nielsen, Neural Networks and Deep Learning, chapter 2. `*` is elementwise, layers l = 1 ... L:

    BP1   delta[L] = dE/da[L] * s'(z[L])
    BP2   delta[l] = (w[l+1].T @ delta[l+1]) * s'(z[l])
    BP3   dE/db[l] = delta[l]
    BP4   dE/dw[l] = delta[l] @ a[l-1].T
"""

from itertools import pairwise

import numpy as np

import graphc as gc


class Network:
    """Layers of sigmoid neurons; sizes such as [3, 4, 4, 1]. Columns are examples."""

    def __init__(self, sizes: list[int]) -> None:
        biases = [np.random.randn(n, 1) for n in sizes[1:]]
        weights = [np.random.randn(n, m) for m, n in pairwise(sizes)]
        self.biases = [gc.variable(b, name=f"b{k + 1}") for k, b in enumerate(biases)]
        self.weights = [gc.variable(w, name=f"w{k + 1}") for k, w in enumerate(weights)]

    @property
    def parameters(self) -> list[gc.Variable]:
        return [*self.biases, *self.weights]

    def layers(self, x: gc.Tensor) -> tuple[list[gc.Tensor], list[gc.Tensor]]:
        """The weighted inputs z[1] ... z[L] and the activations a[0] = x ... a[L]."""
        sums, activations = [], [x]
        for w, b in zip(self.weights, self.biases, strict=True):
            sums.append(w @ activations[-1] + b)
            activations.append(gc.sigmoid(sums[-1]))
        return sums, activations

    def backpropagate(self, x: gc.Tensor, slope: gc.Tensor) -> list[gc.Tensor]:
        """dE by the parameters, by the four equations. slope: dE/da[L]."""
        sums, activations = self.layers(x)
        delta = slope * derivative(sums[-1])  # BP1
        by_bias, by_weight = [delta], [delta @ activations[-2].T]  # BP3, BP4
        for z, a, w in zip(sums[-2::-1], activations[-3::-1], self.weights[::-1], strict=False):
            delta = (w.T @ delta) * derivative(z)  # BP2
            by_bias.insert(0, delta)  # BP3
            by_weight.insert(0, delta @ a.T)  # BP4
        return [*by_bias, *by_weight]


def derivative(z: gc.Tensor) -> gc.Tensor:
    """s'(z) of the sigmoid."""
    return gc.sigmoid(z) * (1 - gc.sigmoid(z))


np.random.seed(0)
network = Network([3, 4, 4, 1])
x, y = gc.placeholder("x", (3, 1), "float64"), gc.placeholder("y", (1, 1), "float64")
output = network.layers(x)[1][-1]
given, wanted = np.array([[0.5], [-1.0], [2.0]]), np.array([[1.0]])

# Squared error.
squared = gc.sum((y - output) ** 2) / 2
by_grad = gc.grad(squared, network.parameters)
by_hand = network.backpropagate(x, slope=output - y)
look = gc.function([x, y], {"output": output, "E": squared, "grad": by_grad[2]})
both = gc.function([x, y], [*by_grad, *by_hand])
step = gc.function(
    [x, y], updates=[(p, p - 3 * g) for p, g in zip(network.parameters, by_grad, strict=True)]
)

found = look(given, wanted)
gradients = both(given, wanted)
half = len(network.parameters)
for p, automatic, manual in zip(network.parameters, gradients, gradients[half:], strict=False):
    print(f"dE/d{p.name}: largest difference {np.abs(automatic - manual).max():.1e}")
    np.testing.assert_allclose(automatic, manual, rtol=1e-12, atol=1e-15)
print(f"output {found['output'].item():.12f}  E {found['E']:.12f}")
np.testing.assert_allclose(found["output"].item(), 0.653117248526, rtol=1e-11)
np.testing.assert_allclose(found["E"], 0.060163821635, rtol=1e-10)
np.testing.assert_allclose(gradients[2].item(), -0.0785880593, rtol=1e-8)  # dE/db3
np.testing.assert_allclose(gradients[3][0, 0], -0.000079685677, rtol=1e-7)  # dE/dw1[0, 0]

# Cross-entropy: s'(z) cancels, and the optimised gradient has p - y and no division.
cross_entropy = -gc.sum(y * gc.log(output) + (1 - y) * gc.log(1 - output))
slope = gc.grad(cross_entropy, network.biases[2])
entropy = gc.function([x, y], {"E": cross_entropy, "slope": slope})
entropy_slope = gc.function([x, y], slope, name="entropy_slope")
print(entropy_slope.graph_text())
value = entropy(given, wanted)
np.testing.assert_allclose(value["E"], 0.425998612185, rtol=1e-11)
np.testing.assert_allclose(value["slope"].item(), -0.3468827515, rtol=1e-9)
assert " / " not in entropy_slope.graph_text()
assert " - y " in entropy_slope.graph_text()

step(given, wanted)
after = look(given, wanted)["output"].item()
print(f"output after one step {after:.12f}")
np.testing.assert_allclose(after, 0.786328118345, rtol=1e-11)
