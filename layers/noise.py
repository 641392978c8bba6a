"""Dropout and noise: layers that draw random numbers in training and do nothing otherwise."""

from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.layers.arguments import checked_rate
from graphc.layers.context import current_context
from graphc.layers.layer import InputSpec, Layer
from graphc.layers.limits import within
from graphc.layers.seeds import SeedGenerator

__all__ = [
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]


class RandomLayer(Layer):
    """A layer with random numbers of its own. seed: of them; drawn if it is left out."""

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.seed_generator = SeedGenerator(seed)

    def draw_key(self) -> gc.Tensor:
        """The key of the next draw of this layer in the open context. uint64[]"""
        context = current_context()
        return self.seed_generator.key(0 if context is None else context.next_draw(self))


def dropped(x: gc.Tensor, key: gc.Tensor, rate: float, shape: Any = None) -> gc.Tensor:
    """x with a part `rate` of its entries 0, and the others larger, so that the mean stays."""
    keep = gc.random.bernoulli(key, x.shape if shape is None else shape, 1 - rate)
    return gc.where(keep, x * (1 / (1 - rate)), 0)


class Dropout(RandomLayer):
    """In training each entry becomes 0 with probability `rate`, the others grow by 1/(1 - rate).

    Srivastava et al., 2014. noise_shape: of the mask; 1 along axes that share it, None for the size
    of the input.
    """

    supports_masking = True

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.rate = checked_rate(self, rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def mask_shape(self, inputs: gc.Tensor) -> tuple[Any, ...]:
        if self.noise_shape is None:
            return inputs.shape
        if len(self.noise_shape) != inputs.ndim:
            raise self.error(
                f"noise_shape={self.noise_shape} has {len(self.noise_shape)} axes",
                details=[f"got     {inputs.type}"],
                fix="give a size for each axis of the input, the batch first",
            )
        pairs = zip(self.noise_shape, inputs.shape, strict=True)
        return tuple(size if wanted is None else wanted for wanted, size in pairs)

    @property
    def differs_in_training(self) -> bool:
        return self.rate != 0

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return dropped(inputs, self.draw_key(), self.rate, self.mask_shape(inputs))


class _SpatialDropout(Dropout):
    spatial = 0

    def __init__(
        self,
        rate: float,
        data_format: str = "channels_last",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(rate, None, seed, **options)
        self.data_format = data_format
        self.input_spec = InputSpec(ndim=self.spatial + 2)

    def mask_shape(self, inputs: gc.Tensor) -> tuple[Any, ...]:
        ones = (1,) * self.spatial
        if self.data_format == "channels_first":
            return (inputs.shape[0], inputs.shape[1], *ones)
        return (inputs.shape[0], *ones, inputs.shape[-1])


class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of [batch, steps, channels] (Tompson et al., 2015)."""

    spatial = 1


class SpatialDropout2D(_SpatialDropout):
    """Drops whole channels of [batch, height, width, channels] (Tompson et al., 2015)."""

    spatial = 2


class SpatialDropout3D(_SpatialDropout):
    """Drops whole channels of [batch, depth, height, width, channels]."""

    spatial = 3


class GaussianNoise(RandomLayer):
    """In training adds normal numbers of this standard deviation."""

    supports_masking = True

    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        within("GaussianNoise", stddev=stddev)
        self.stddev = float(stddev)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        noise = gc.random.normal(self.draw_key(), inputs.shape, dtype=inputs.dtype)
        return inputs + self.stddev * noise


class GaussianDropout(RandomLayer):
    """In training multiplies by normal numbers of mean 1 and variance rate/(1 - rate)."""

    supports_masking = True

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = checked_rate(self, rate)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        stddev = (self.rate / (1 - self.rate)) ** 0.5
        noise = gc.random.normal(self.draw_key(), inputs.shape, dtype=inputs.dtype)
        return inputs * (1 + stddev * noise)


class AlphaDropout(RandomLayer):
    """Dropout for selu: keeps mean 0 and variance 1 (Klambauer et al., 2017, arXiv 1706.02515)."""

    supports_masking = True

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = checked_rate(self, rate)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        low = -1.7580993408473766  # -scale * alpha of selu
        keep = gc.random.bernoulli(self.draw_key(), inputs.shape, 1 - self.rate)
        a = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5
        return gc.where(keep, inputs, low) * a - a * low * self.rate
