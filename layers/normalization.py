"""Normalisation: entries with mean 0 and variance 1, over the batch, features or groups."""

from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.layers.arguments import is_whole
from graphc.layers.configured import parameter_error
from graphc.layers.context import current_context
from graphc.layers.layer import InputSpec, Layer
from graphc.layers.limits import is_real, positive
from graphc.layers.masks import spread_mask
from graphc.layers.precision import precise, precise_dtype

__all__ = [
    "BatchNorm",
    "BatchNormalization",
    "GroupNorm",
    "GroupNormalization",
    "LayerNorm",
    "LayerNormalization",
    "RMSNorm",
    "RMSNormalization",
    "UnitNormalization",
]


def _checked_axis(layer: Layer, axis: Any) -> int | Sequence[int]:
    """An axis or several, as they were given."""
    if not all(map(is_whole, axis if isinstance(axis, list | tuple) else (axis,))):
        raise parameter_error(
            f"{type(layer).__name__}: axis={axis!r:.60}", "an axis is a whole number, or several"
        )
    found: int | Sequence[int] = axis
    return found


class _Normalization(Layer):
    """What the layers share: scale (gamma) and shift (beta) along some axes."""

    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        positive(type(self).__name__, epsilon=epsilon)
        self.axis, self.epsilon = _checked_axis(self, axis), float(epsilon)
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer
        self.beta_constraint, self.gamma_constraint = beta_constraint, gamma_constraint

    def axes(self, ndim: int) -> tuple[int, ...]:
        """The axes of the weights, counted from the front, in order."""
        given = (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)
        if any(not -ndim <= axis < ndim for axis in given):
            raise self.error(f"axis={self.axis!r} for an input with {ndim} axes")
        return tuple(sorted({axis % ndim for axis in given}))

    def build(self, input_shape: Any) -> None:
        axes = self.axes(len(input_shape))
        shape = tuple(self.known_size(input_shape, axis) for axis in axes)
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_param(
                "gamma",
                shape,
                self.gamma_initializer,
                regularizable=False,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_param(
                "beta",
                shape,
                self.beta_initializer,
                regularizable=False,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        sizes = dict(zip(axes, shape, strict=True))
        self.input_spec = InputSpec(ndim=len(input_shape), axes=sizes)

    def spread(self, weight: gc.Tensor, ndim: int) -> gc.Tensor:
        """A weight with axes of size 1, so that it broadcasts to the input."""
        axes = self.axes(ndim)
        sizes = dict(zip(axes, weight.shape, strict=True))
        return gc.reshape(weight, tuple(sizes.get(axis, 1) for axis in range(ndim)))

    def affine(self, normal: gc.Tensor) -> gc.Tensor:
        if self.gamma is not None:
            normal = normal * self.spread(self.gamma, normal.ndim)
        return normal if self.beta is None else normal + self.spread(self.beta, normal.ndim)


def _moments(
    x: gc.Tensor, axes: tuple[int, ...], mask: gc.Tensor | None = None
) -> tuple[gc.Tensor, gc.Tensor]:
    """Mean and variance (divided by the number of entries) with axes of size 1.

    mask: with the first axes of x; what it hides does not count.
    """
    if mask is None:
        mean = gc.mean(x, axis=axes, keepdims=True)
        return mean, gc.mean(gc.square(x - mean), axis=axes, keepdims=True)
    weight = gc.broadcast_to(spread_mask(mask, x.ndim).astype(x.dtype), x.shape)
    count = gc.maximum(gc.sum(weight, axis=axes, keepdims=True), 1)
    mean = gc.sum(x * weight, axis=axes, keepdims=True) / count
    return mean, gc.sum(gc.square(x - mean) * weight, axis=axes, keepdims=True) / count


class BatchNormalization(_Normalization):
    """Each feature with mean 0 and variance 1 over the batch, then times gamma, plus beta.

    Ioffe and Szegedy, 2015 (arXiv 1502.03167). axis: that of the features. In training the batch
    itself is measured, and moving averages are updated: `momentum` of the old and the rest of the
    new. Otherwise, and always if `trainable` is False, the averages are used. Variances are divided
    by the number of entries. Steps that a mask hides are not measured. The averages of a layer in
    half precision are float32.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        **options: Any,
    ) -> None:
        super().__init__(
            axis, epsilon, center, scale, beta_initializer, gamma_initializer, **options
        )
        if not is_real(momentum) or not 0 <= momentum <= 1:
            raise parameter_error(f"BatchNormalization: momentum={momentum!r:.60}", "use 0 to 1")
        self.momentum = float(momentum)
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        shape = tuple(self.known_size(input_shape, axis) for axis in self.axes(len(input_shape)))
        kind: dict[str, Any] = {"trainable": False, "dtype": precise_dtype(self.dtype)}
        self.moving_mean = self.add_param(
            "moving_mean", shape, self.moving_mean_initializer, **kind
        )
        self.moving_variance = self.add_param(
            "moving_variance", shape, self.moving_variance_initializer, **kind
        )

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        ndim, x = inputs.ndim, precise(inputs)
        if training and self.trainable:
            others = tuple(axis for axis in range(ndim) if axis not in self.axes(ndim))
            mean, variance = _moments(x, others, mask)
            self._remember(self.moving_mean, mean)
            self._remember(self.moving_variance, variance)
        else:
            mean = self.spread(self.moving_mean, ndim)
            variance = self.spread(self.moving_variance, ndim)
        normal = (x - mean) * gc.rsqrt(variance + self.epsilon)
        return self.affine(normal.astype(inputs.dtype))

    def _remember(self, average: gc.Variable, new: gc.Tensor) -> None:
        context = current_context()
        if context is not None:
            old = context.latest(average)
            new = gc.stop_gradient(gc.reshape(new, average.shape))
            mean = old * self.momentum + new * (1 - self.momentum)
            context.update(average, mean.astype(average.dtype))


class LayerNormalization(_Normalization):
    """Each example with mean 0 and variance 1 over its features, then times gamma, plus beta.

    Ba et al., 2016 (arXiv 1607.06450). axis: one or several, over which is normalised.
    """

    def call(self, inputs: Any) -> Any:
        x = precise(inputs)
        mean, variance = _moments(x, self.axes(x.ndim))
        normal = (x - mean) * gc.rsqrt(variance + self.epsilon)
        return self.affine(normal.astype(inputs.dtype))


class RMSNormalization(_Normalization):
    """x / sqrt(mean(x^2) + epsilon) over the features, times gamma (Zhang and Sennrich, 2019)."""

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-6,
        scale: bool = True,
        gamma_initializer: Any = "ones",
        **options: Any,
    ) -> None:
        super().__init__(
            axis, epsilon, False, scale, gamma_initializer=gamma_initializer, **options
        )

    def call(self, inputs: Any) -> Any:
        x = precise(inputs)
        power = gc.mean(gc.square(x), axis=self.axes(x.ndim), keepdims=True)
        return self.affine((x * gc.rsqrt(power + self.epsilon)).astype(inputs.dtype))


class GroupNormalization(_Normalization):
    """Mean 0 and variance 1 over groups of channels of each example (Wu and He, 2018).

    groups: how many; they divide the channels. axis: that of the channels.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(axis, epsilon, center, scale, **options)
        self.groups = groups

    def build(self, input_shape: Any) -> None:
        (axis,) = self.axes(len(input_shape))
        channels = self.known_size(input_shape, axis)
        if not isinstance(self.groups, int) or self.groups < 1 or channels % self.groups:
            raise self.error(
                f"{channels} channels do not fall into {self.groups} groups",
                fix="give a number of groups that divides the channels",
            )
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        (axis,) = self.axes(inputs.ndim)
        sizes = list(inputs.shape)
        channels = self.known_size(inputs.shape, axis)
        split = [*sizes[:axis], self.groups, channels // self.groups, *sizes[axis + 1 :]]
        grouped = gc.reshape(precise(inputs), split)
        over = tuple(n for n in range(1, len(split)) if n != axis)
        mean, variance = _moments(grouped, over)
        normal = (grouped - mean) * gc.rsqrt(variance + self.epsilon)
        return self.affine(gc.reshape(normal, sizes).astype(inputs.dtype))


class UnitNormalization(Layer):
    """x / sqrt(sum(x^2)) along one axis or several; zeros stay zeros."""

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = _checked_axis(self, axis)

    def call(self, inputs: Any) -> Any:
        x = precise(inputs)
        axes = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        power = gc.sum(gc.square(x), axis=axes, keepdims=True)
        there = power > 0
        scale = gc.where(there, gc.rsqrt(gc.where(there, power, 1)), 0)
        return (x * scale).astype(inputs.dtype)


BatchNorm, LayerNorm = BatchNormalization, LayerNormalization
GroupNorm, RMSNorm = GroupNormalization, RMSNormalization
