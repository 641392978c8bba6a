"""Rescaling, Normalization, CategoryEncoding: data brought to a range, or to one-hot rows."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.arguments import checked_choice, checked_flag, checked_units, is_whole
from graphc.layers.configured import parameter_error
from graphc.layers.data.dataset import Dataset
from graphc.layers.layer import Layer
from graphc.layers.losses.base import EPSILON
from graphc.layers.values import assign

__all__ = ["CategoryEncoding", "Normalization", "Rescaling"]


class Preparation(Layer):
    """A layer of data as they are: integers become floats of the layer's dtype."""

    supports_masking = True

    def prepared(self, inputs: gc.Tensor) -> gc.Tensor:
        floating = gc.isdtype(inputs.dtype, "real floating")
        return inputs if floating else inputs.astype(self.dtype)


def _setting(name: str, value: Any) -> np.ndarray:
    """A number or an array of real numbers, as float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise parameter_error(f"{name}={value!r:.60}", "give a number, or an array of numbers")
    return array.astype("float64")


class Rescaling(Preparation):
    """x * scale + offset: Rescaling(1 / 255) brings images to [0, 1].

    x: [...], integers become float32. scale, offset: numbers, or arrays that broadcast to x.
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale = _setting("Rescaling: scale", scale)
        self.offset = _setting("Rescaling: offset", offset)

    def call(self, inputs: Any) -> Any:
        x = self.prepared(inputs)
        return x * self.scale.astype(x.dtype) + self.offset.astype(x.dtype)


class Normalization(Preparation):
    """(x - mean) / sqrt(variance), of numbers that were measured before training.

    axis: those that have a mean and a variance for each place; None for one of all. mean, variance:
    numbers or arrays with these axes; without them `adapt(data)` measures data. Before that they
    are 0 and 1. invert: x * sqrt(variance) + mean. Deviations are at least 1e-7.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        given: Any = () if axis is None else (axis,) if is_whole(axis) else axis
        if not isinstance(given, list | tuple) or not all(map(is_whole, given)):
            raise parameter_error(
                f"Normalization: axis={axis!r:.60}", "give a whole number, several, or None"
            )
        self.axis = tuple(int(one) for one in given)
        self.invert = checked_flag(self, "invert", invert)
        if (mean is None) != (variance is None):
            raise parameter_error(
                f"Normalization: mean={mean!r:.40}, variance={variance!r:.40}",
                "give both, or none of them and call adapt(data)",
            )
        self.given: tuple[np.ndarray, np.ndarray] | None = None
        if mean is not None:
            self.given = (
                _setting("Normalization: mean", mean),
                _setting("Normalization: variance", variance),
            )
            self._check_given(*self.given)

    def _check_given(self, mean: np.ndarray, variance: np.ndarray) -> None:
        if mean.shape != variance.shape or mean.ndim > len(self.axis) or (variance < 0).any():
            raise parameter_error(
                f"Normalization: mean of shape {mean.shape}, variance of shape {variance.shape}",
                f"give two arrays of one shape with the axes {self.axis}, no variance below 0",
            )

    def build(self, input_shape: Any) -> None:
        ndim = len(input_shape)
        if any(not -ndim <= axis < ndim for axis in self.axis):
            raise self.error(
                f"axis={self.axis} for an input with {ndim} axes",
                fix=f"give axes from {-ndim} to {ndim - 1}, the batch is axis 0",
            )
        self.kept = tuple(sorted({axis % ndim for axis in self.axis}))
        sizes = tuple(self.known_size(input_shape, axis) for axis in self.kept)
        self.spread = tuple(
            sizes[self.kept.index(axis)] if axis in self.kept else 1 for axis in range(ndim)
        )
        if self.given is not None:
            for array in self.given:
                self._fitted(array, sizes)
            return
        self.mean = self.add_param("mean", sizes, "zeros", trainable=False)
        self.variance = self.add_param("variance", sizes, "ones", trainable=False)
        self.count = self.add_param("count", (), "zeros", trainable=False, dtype="int64")

    def _fitted(self, array: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
        try:
            return np.broadcast_to(array, sizes).reshape(self.spread)
        except ValueError:
            raise self.error(
                f"mean and variance of shape {array.shape} do not fit axes of sizes {sizes}",
                fix="give a number for each place along the axes that are kept",
            ) from None

    @property
    def moments(self) -> tuple[Any, Any]:
        """Mean and variance with axes of size 1, so that they broadcast to the input."""
        if self.given is not None:
            sizes = tuple(self.spread[axis] for axis in self.kept)
            mean, variance = (self._fitted(array, sizes).astype(self.dtype) for array in self.given)
            return gc.constant(mean), gc.constant(variance)
        return gc.reshape(self.mean, self.spread), gc.reshape(self.variance, self.spread)

    def adapt(self, data: Any) -> None:
        """Measure data, an array [examples, ...] or an iterable of batches such as a Dataset; of
        batches (x, y) the x. All measurements before are forgotten.

        ParameterError: no data, or a layer that was given its mean. ShapeError (E241): batches of
        another shape.
        """
        if self.given is not None:
            raise parameter_error(
                f"{type(self).__name__} {self.name!r} was given its mean and variance",
                "leave out adapt, or the arguments mean and variance",
            )
        count, mean, square = 0, np.zeros(()), np.zeros(())
        for batch in _batches(data):
            if not self.built:
                self.build(batch.shape)
                self.built = True
            self._check_batch(batch)
            over = tuple(axis for axis in range(batch.ndim) if axis not in self.kept)
            size = math.prod(batch.shape[axis] for axis in over)
            if not size:
                continue
            # The means and spreads of two parts make those of the whole (Chan et al., 1983).
            own, whole = batch.mean(axis=over), count + size
            apart = own - mean
            square = square + ((batch - batch.mean(axis=over, keepdims=True)) ** 2).sum(axis=over)
            square = square + apart**2 * (count * size / whole)
            mean, count = mean + apart * (size / whole), whole
        if not count:
            raise parameter_error(
                f"{type(self).__name__} {self.name!r}: adapt was given no examples",
                "give an array [examples, ...], or an iterable of such batches",
            )
        targets = [("mean", self.mean), ("variance", self.variance), ("count", self.count)]
        assign(self, targets, [mean, square / count, count])

    def _check_batch(self, batch: np.ndarray) -> None:
        fits = batch.ndim == len(self.spread)
        if not fits or any(batch.shape[axis] != self.spread[axis] for axis in self.kept):
            sizes = {axis: self.spread[axis] for axis in self.kept}
            raise self.error(
                f"adapt was given a batch of shape {batch.shape}",
                details=[f"allowed {len(self.spread)} axes, of sizes {sizes}"],
                fix="measure data of the shape that the layer is called with",
            )

    def call(self, inputs: Any) -> Any:
        x = self.prepared(inputs)
        mean, variance = (moment.astype(x.dtype) for moment in self.moments)
        deviation = gc.maximum(gc.sqrt(variance), EPSILON)
        return x * deviation + mean if self.invert else (x - mean) / deviation


class CategoryEncoding(Preparation):
    """Whole numbers in [0, num_tokens) as rows of num_tokens entries.

    output_mode: "one_hot", a row for each number [..., 1] or [...]; "multi_hot", for each group
    along the last axis a row with 1 for those that are there; "count", how often they are there,
    times count_weights (of the call), which have the shape of the numbers.
    """

    def __init__(self, num_tokens: int, output_mode: str = "multi_hot", **options: Any) -> None:
        super().__init__(**options)
        self.num_tokens = checked_units(self, num_tokens, "num_tokens")
        modes = ("multi_hot", "one_hot", "count")
        self.output_mode = checked_choice(self, "output_mode", output_mode, modes)

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        numbers = inputs if gc.isdtype(inputs.dtype, "integral") else inputs.astype("int64")
        rows = gc.one_hot(numbers, self.num_tokens).astype(self.dtype)
        if self.output_mode == "one_hot":
            single = numbers.ndim > 1 and numbers.shape[-1] == 1
            return gc.squeeze(rows, axis=-2) if single else rows
        if self.output_mode == "multi_hot":
            return gc.max(rows, axis=-2)
        if count_weights is not None:
            rows = rows * gc.expand_dims(count_weights.astype(rows.dtype), axis=-1)
        return gc.sum(rows, axis=-2)


def _batches(data: Any) -> Iterator[np.ndarray]:
    """float64 batches of an array, or of an iterable of arrays or tuples of arrays."""
    if isinstance(data, Dataset):
        first = _first_part(next(iter(data), None))
        if first is not None and np.ndim(first) < 2:  # examples that are not batched
            data = data.batch(128)
    listed = isinstance(data, list | tuple) and not any(hasattr(one, "shape") for one in data)
    single = listed or hasattr(data, "__array__") or not isinstance(data, Iterable)
    for batch in [data] if single else data:
        array = np.asarray(_first_part(batch) if not single else batch)
        if array.dtype.kind not in "biuf" or not array.ndim:
            raise parameter_error(
                f"adapt was given {type(batch).__name__} of {array.dtype.name}",
                "give an array of numbers [examples, ...], or an iterable of such batches",
            )
        yield array.astype("float64")


def _first_part(batch: Any) -> Any:
    return batch[0] if isinstance(batch, tuple) else batch
