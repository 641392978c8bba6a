"""Dense, Activation, Lambda: the layers that most models have."""

from collections.abc import Callable, Sequence
from typing import Any

import graphc as gc
from graphc.layers import activations, regularizers
from graphc.layers.arguments import checked_flag, checked_units
from graphc.layers.kernels import KernelLayer
from graphc.layers.layer import InputSpec, Layer
from graphc.layers.masks import hidden, spread_mask

__all__ = [
    "Activation",
    "ActivityRegularization",
    "Dense",
    "ELU",
    "Identity",
    "Lambda",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "Softmax",
]


class Dense(KernelLayer):
    """activation(x @ kernel + bias), over the last axis.

    x: [..., features]. Result: [..., units]. kernel: [features, units], bias: [units].
    """

    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = checked_units(self, units)
        self.activation = activations.get(activation)
        self.use_bias = checked_flag(self, "use_bias", use_bias)
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.bias_regularizer = bias_regularizer
        self.kernel_constraint = kernel_constraint
        self.bias_constraint = bias_constraint
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        features = self.known_size(input_shape)
        self.kernel = self.add_kernel((features, self.units))
        self.bias = self.add_bias((self.units,))
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs: Any) -> Any:
        result = inputs @ self.kernel
        return self.activation(result if self.bias is None else result + self.bias)


class Identity(Layer):
    """x itself: a tensor, or a structure of them."""

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


class ActivityRegularization(Identity):
    """x itself, with a penalty l1 * sum(|x|) + l2 * sum(x^2) that is added to the loss."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **options)


class Activation(Layer):
    """A function of each element, by name or as a function of a tensor."""

    supports_masking = True

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)


class ReLU(Layer):
    """max(x, 0), at most max_value; negative_slope * (x - threshold) below the threshold."""

    supports_masking = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.max_value, self.negative_slope = max_value, negative_slope
        self.threshold = threshold

    def call(self, inputs: Any) -> Any:
        if self.threshold == 0 and self.negative_slope == 0:
            result = gc.relu(inputs)
        else:
            below = self.negative_slope * (inputs - self.threshold)
            result = gc.where(inputs > self.threshold, inputs, below)
        return result if self.max_value is None else gc.minimum(result, self.max_value)


class LeakyReLU(Layer):
    """x above 0, else negative_slope * x."""

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Any:
        return gc.nn.leaky_relu(inputs, self.negative_slope)


class ELU(Layer):
    """x above 0, else alpha * (exp(x) - 1) (Clevert et al., 2015, arXiv 1511.07289)."""

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return gc.nn.elu(inputs, self.alpha)


class PReLU(Layer):
    """x above 0, else alpha * x with a trained alpha for each feature (He et al., 2015).

    shared_axes: axes, counted with the batch as 0, along which one alpha serves all.
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.alpha_initializer, self.alpha_regularizer = alpha_initializer, alpha_regularizer
        self.alpha_constraint = alpha_constraint
        self.shared_axes = () if shared_axes is None else tuple(shared_axes)

    def build(self, input_shape: Any) -> None:
        sizes = [
            1 if axis in self.shared_axes else self.known_size(input_shape, axis)
            for axis in range(1, len(input_shape))
        ]
        self.alpha = self.add_param(
            "alpha",
            sizes,
            self.alpha_initializer,
            regularizable=False,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def call(self, inputs: Any) -> Any:
        return gc.where(inputs > 0, inputs, self.alpha * inputs)


class Softmax(Layer):
    """exp(x) / sum(exp(x)) along an axis. mask (of the call): bool, False for entries that get 0;
    with fewer axes than x it has the first ones."""

    supports_masking = True

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None and mask.ndim > self.axis % inputs.ndim:
            inputs = hidden(inputs, spread_mask(mask, inputs.ndim))
        return gc.softmax(inputs, axis=self.axis)


class Lambda(Layer):
    """A function of tensors as a layer. It has no weights, and is not saved as a layer.

    function: called with what the layer is called with. output_shape: not needed, shapes are
    inferred. mask: of the result, or a function of (inputs, mask) that returns it. arguments:
    further ones of the function, by name.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.function = function
        self.mask = mask
        self.supports_masking = mask is not None
        self.arguments = dict(arguments or {})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def call(self, inputs: Any) -> Any:
        return self.function(inputs, **self.arguments)
