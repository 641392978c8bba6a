"""Units of the field's history: Perceptron, RBF, RBM."""

from typing import Any

import graphc as gc
from graphc.layers.activations import heaviside
from graphc.layers.arguments import checked_units
from graphc.layers.layer import InputSpec, Layer
from graphc.layers.limits import positive
from graphc.layers.noise import RandomLayer

__all__ = ["RBF", "RBM", "Perceptron"]

Updates = list[tuple[gc.Variable, gc.Tensor]]


class Perceptron(Layer):
    """1 where x @ kernel + bias >= 0, else 0 (McCulloch and Pitts, 1943; Rosenblatt, 1958).

    Its derivative is 0 everywhere: `updates` has the rule that trains it.
    """

    def __init__(
        self,
        units: int = 1,
        use_bias: bool = True,
        kernel_initializer: Any = "zeros",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units, self.use_bias = checked_units(self, units), use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        features = self.known_size(input_shape)
        self.kernel = self.add_param("kernel", (features, self.units), self.kernel_initializer)
        self.bias: gc.Variable | None = None
        if self.use_bias:
            self.bias = self.add_param(
                "bias", (self.units,), self.bias_initializer, regularizable=False
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs: Any) -> Any:
        z = inputs @ self.kernel
        return heaviside(z if self.bias is None else z + self.bias)

    def updates(self, inputs: Any, targets: Any, rate: Any = 1.0) -> Updates:
        """The perceptron rule: w + rate * x^T (target - output), summed over the examples.

        inputs: [batch, features], targets: [batch, units]. Pairs for `gc.function(updates=...)`.
        """
        error = targets - self(inputs)
        pairs = [(self.kernel, self.kernel + rate * (gc.matrix_transpose(inputs) @ error))]
        if self.bias is not None:
            pairs.append((self.bias, self.bias + rate * gc.sum(error, axis=0)))
        return pairs


class RBF(Layer):
    """exp(-gamma_j |x - center_j|^2): radial basis functions (Broomhead and Lowe, 1988).

    x: [batch, features]. centers: [units, features], best a part of the data; gamma: a number for
    each unit, trained too unless gamma_trainable is False.
    """

    def __init__(
        self,
        units: int,
        gamma: float = 1.0,
        centers_initializer: Any = "uniform",
        gamma_trainable: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units = checked_units(self, units)
        positive("RBF", gamma=gamma)
        self.start, self.gamma_trainable = float(gamma), gamma_trainable
        self.centers_initializer = centers_initializer
        self.input_spec = InputSpec(ndim=2)

    def build(self, input_shape: Any) -> None:
        features = self.known_size(input_shape)
        self.centers = self.add_param(
            "centers", (self.units, features), self.centers_initializer, regularizable=False
        )
        self.gamma = self.add_param(
            "gamma", (self.units,), self.start, self.gamma_trainable, regularizable=False
        )
        self.input_spec = InputSpec(ndim=2, axes={-1: features})

    def call(self, inputs: Any) -> Any:
        apart = gc.expand_dims(inputs, axis=1) - self.centers
        return gc.exp(-self.gamma * gc.sum(gc.square(apart), axis=2))


class RBM(RandomLayer):
    """Restricted Boltzmann machine of binary units (Smolensky, 1986; Hinton, 2002).

    The layer maps visible units v [batch, features] to the probabilities of the hidden ones,
    sigmoid(v @ kernel + hidden_bias). kernel: [features, units].
    """

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "random_normal",
        visible_bias_initializer: Any = "zeros",
        hidden_bias_initializer: Any = "zeros",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.units = checked_units(self, units)
        self.kernel_initializer = kernel_initializer
        self.visible_bias_initializer = visible_bias_initializer
        self.hidden_bias_initializer = hidden_bias_initializer
        self.input_spec = InputSpec(ndim=2)

    def build(self, input_shape: Any) -> None:
        features = self.known_size(input_shape)
        self.kernel = self.add_param("kernel", (features, self.units), self.kernel_initializer)
        self.visible_bias = self.add_param(
            "visible_bias", (features,), self.visible_bias_initializer, regularizable=False
        )
        self.hidden_bias = self.add_param(
            "hidden_bias", (self.units,), self.hidden_bias_initializer, regularizable=False
        )
        self.input_spec = InputSpec(ndim=2, axes={-1: features})

    def call(self, inputs: Any) -> Any:
        return gc.sigmoid(inputs @ self.kernel + self.hidden_bias)

    def visible(self, hidden: Any) -> gc.Tensor:
        """The probabilities of visible units, given hidden ones [batch, units]."""
        return gc.sigmoid(hidden @ gc.matrix_transpose(self.kernel) + self.visible_bias)

    def free_energy(self, visible: Any) -> gc.Tensor:
        """-log of the sum over hidden states of exp(-energy), for each example. [batch]"""
        z = gc.softplus(visible @ self.kernel + self.hidden_bias)
        energy: gc.Tensor = -(visible @ self.visible_bias) - gc.sum(z, axis=1)
        return energy

    def sampled(self, probabilities: gc.Tensor, key: gc.Tensor) -> gc.Tensor:
        """1 with these probabilities, else 0."""
        uniform = gc.random.uniform(key, probabilities.shape, dtype=probabilities.dtype)
        return (uniform < probabilities).astype(probabilities.dtype)

    def gibbs(self, visible: Any, steps: int = 1) -> gc.Tensor:
        """Visible units after so many steps from v to h and back, sampled both ways."""
        self.ensure_built(visible)
        start = self.draw_key()

        def step(number: Any, v: Any) -> Any:
            down, up = gc.random.split(gc.random.fold_in(start, number), 2)
            h = self.sampled(gc.sigmoid(v @ self.kernel + self.hidden_bias), down)
            return self.sampled(self.visible(h), up)

        return gc.stop_gradient(gc.fori_loop(0, checked_units(self, steps, "steps"), step, visible))

    def cost(self, visible: Any, steps: int = 1) -> gc.Tensor:
        """A scalar whose gradient is that of contrastive divergence, CD-steps (Hinton, 2002)."""
        model = self.gibbs(visible, steps)
        return gc.mean(self.free_energy(visible)) - gc.mean(self.free_energy(model))
