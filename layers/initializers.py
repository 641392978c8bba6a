"""First values of weights: zeros, random numbers of a good scale, orthogonal matrices.

An initializer is called with a shape, and returns a numpy array. Names follow Keras.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

import graphc as gc
from graphc.layers.configured import Configured, Names, parameter_error, undefined
from graphc.layers.limits import positive, real, within
from graphc.records import dataclass

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Normal",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "Zeros",
    "fans",
    "get",
]

Shape = tuple[int, ...]

# The standard deviation of a standard normal number that is cut off at -2 and 2.
_CUT_STDDEV = 0.87962566103423978


def fans(shape: Sequence[int], in_axis: int = -2, out_axis: int = -1) -> tuple[float, float]:
    """How many inputs an output unit has, and how many outputs an input unit.

    shape: of a weight. in_axis, out_axis: the axes that count inputs and outputs; all other axes
    are the window of a convolution. A vector counts as square, a scalar as 1 x 1.
    """
    if len(shape) < 2:
        size = float(shape[0]) if shape else 1.0
        return size, size
    window = math.prod(shape) / max(shape[in_axis] * shape[out_axis], 1)
    return shape[in_axis] * window, shape[out_axis] * window


class Initializer(Configured):
    """Base of all initializers: `initializer(shape, dtype, rng)` is a numpy array.

    is_random: whether `draw` may use the generator, which takes longer to make than most weights.
    """

    is_random: ClassVar[bool] = True

    def __call__(
        self,
        shape: Sequence[int],
        dtype: Any = "float32",
        rng: np.random.Generator | None = None,
        *,
        in_axis: int = -2,
        out_axis: int = -1,
    ) -> np.ndarray:
        """A new array.

        shape: ints >= 0. rng: where random numbers come from; an initializer with a seed of its
        own draws from that instead. in_axis, out_axis: the axes of inputs and outputs, -2 and -1
        for dense weights; 1 and 0 for the kernels [out, in, height, width] of gc.nn.conv2d.
        """
        sizes = _checked_shape(type(self).__name__, shape)
        seed = getattr(self, "seed", None)
        source: Any = rng  # None for those that do not draw
        if seed is not None or (rng is None and self.is_random):
            try:
                source = np.random.default_rng(seed)
            except (TypeError, ValueError):
                raise parameter_error(
                    f"{type(self).__name__}: seed={seed!r:.60}", "use a whole number >= 0, or None"
                ) from None
        return np.asarray(self.draw(sizes, source, (in_axis, out_axis))).astype(gc.as_dtype(dtype))

    def draw(
        self, shape: tuple[int, ...], rng: np.random.Generator, axes: tuple[int, int]
    ) -> np.ndarray:
        """The values, before they get their dtype. Subclasses define it."""
        raise undefined(self, "draw(self, shape, rng, axes)")


def _checked_shape(name: str, shape: Any) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 0:
            raise parameter_error(
                f"{name}: {size!r} in the shape {shape!r} is no size of a weight",
                "weights have fixed sizes: ints >= 0",
            )
    return tuple(int(size) for size in sizes)


def _checked(name: str, argument: str, value: Any, allowed: bool, fix: str) -> None:
    if not allowed:
        raise parameter_error(f"{name}: {argument}={value!r}", fix)


@dataclass(frozen=True)
class Zeros(Initializer):
    """All 0."""

    is_random = False

    def draw(self, shape: Any, rng: Any, axes: Any) -> np.ndarray:
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones(Initializer):
    """All 1."""

    is_random = False

    def draw(self, shape: Any, rng: Any, axes: Any) -> np.ndarray:
        return np.ones(shape)


@dataclass(frozen=True)
class Constant(Initializer):
    """All `value`: a number, or an array or nested list that broadcasts to the shape."""

    is_random = False

    value: Any = 0.0

    def __post_init__(self) -> None:
        if np.asarray(self.value).dtype.kind not in "biufV":  # V: bfloat16
            raise parameter_error(
                f"Constant: value={self.value!r:.60}", "use a real number, or an array of them"
            )

    def draw(self, shape: Any, rng: Any, axes: Any) -> np.ndarray:
        value = np.asarray(self.value)
        try:
            return np.broadcast_to(value, shape).copy()
        except ValueError:
            raise parameter_error(
                f"Constant: a value of shape {value.shape} for a weight of shape {shape}",
                "give a number, or an array of the shape of the weight",
            ) from None

    def get_config(self) -> dict[str, Any]:
        return {"value": np.asarray(self.value).tolist()}


@dataclass(frozen=True)
class RandomNormal(Initializer):
    """Normal numbers."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        real("RandomNormal", mean=self.mean)
        within("RandomNormal", stddev=self.stddev)

    def draw(self, shape: Shape, rng: np.random.Generator, axes: Any) -> np.ndarray:
        return rng.normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class RandomUniform(Initializer):
    """Numbers that are equally likely from minval to maxval."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        real("RandomUniform", minval=self.minval, maxval=self.maxval)
        allowed = self.minval <= self.maxval
        _checked("RandomUniform", "minval", self.minval, allowed, "use minval <= maxval")

    def draw(self, shape: Shape, rng: np.random.Generator, axes: Any) -> np.ndarray:
        return rng.uniform(self.minval, self.maxval, shape)


def _truncated(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers; those beyond two standard deviations are drawn again."""
    values = rng.standard_normal(shape)
    beyond = np.abs(values) > 2
    while beyond.any():
        values[beyond] = rng.standard_normal(int(beyond.sum()))
        beyond = np.abs(values) > 2
    return values


@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Normal numbers within two standard deviations of the mean; stddev is that before the cut."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        real("TruncatedNormal", mean=self.mean)
        within("TruncatedNormal", stddev=self.stddev)

    def draw(self, shape: Shape, rng: np.random.Generator, axes: Any) -> np.ndarray:
        return self.mean + self.stddev * _truncated(rng, np.empty(shape).shape)


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Random numbers of mean 0 and variance scale / n.

    n: inputs of a unit ("fan_in"), outputs ("fan_out"), or their mean ("fan_avg").
    distribution: "truncated_normal", "untruncated_normal" or "uniform".
    """

    scale: float = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "truncated_normal"
    seed: int | None = None

    def __post_init__(self) -> None:
        positive("VarianceScaling", scale=self.scale)
        modes = ("fan_in", "fan_out", "fan_avg")
        _checked("VarianceScaling", "mode", self.mode, self.mode in modes, f"use one of {modes}")
        kinds = ("truncated_normal", "untruncated_normal", "uniform")
        kind = self.distribution
        _checked("VarianceScaling", "distribution", kind, kind in kinds, f"use one of {kinds}")

    def draw(
        self, shape: tuple[int, ...], rng: np.random.Generator, axes: tuple[int, int]
    ) -> np.ndarray:
        fan_in, fan_out = fans(shape, *axes)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        stddev = math.sqrt(self.scale / max(1.0, count[self.mode]))
        if self.distribution == "uniform":
            limit = math.sqrt(3) * stddev
            return rng.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return rng.normal(0.0, stddev, shape)
        return stddev / _CUT_STDDEV * _truncated(rng, shape)


def _scaled(scale: float, mode: Any, distribution: Any) -> Callable[..., np.ndarray]:
    def draw(self: Any, shape: Shape, rng: np.random.Generator, axes: Any) -> np.ndarray:
        return VarianceScaling(scale, mode, distribution).draw(shape, rng, axes)

    return draw


@dataclass(frozen=True)
class LecunNormal(Initializer):
    """Truncated normal, variance 1 / fan_in (LeCun et al., Efficient BackProp, 1998)."""

    seed: int | None = None
    draw = _scaled(1.0, "fan_in", "truncated_normal")


@dataclass(frozen=True)
class LecunUniform(Initializer):
    """Uniform within sqrt(3 / fan_in) (LeCun et al., Efficient BackProp, 1998)."""

    seed: int | None = None
    draw = _scaled(1.0, "fan_in", "uniform")


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Truncated normal, variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""

    seed: int | None = None
    draw = _scaled(1.0, "fan_avg", "truncated_normal")


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform within sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""

    seed: int | None = None
    draw = _scaled(1.0, "fan_avg", "uniform")


@dataclass(frozen=True)
class HeNormal(Initializer):
    """Truncated normal, variance 2 / fan_in, for relu (He et al., 2015, arXiv 1502.01852)."""

    seed: int | None = None
    draw = _scaled(2.0, "fan_in", "truncated_normal")


@dataclass(frozen=True)
class HeUniform(Initializer):
    """Uniform within sqrt(6 / fan_in), for relu (He et al., 2015, arXiv 1502.01852)."""

    seed: int | None = None
    draw = _scaled(2.0, "fan_in", "uniform")


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """gain times a random matrix with orthonormal rows or columns, whichever are fewer.

    Saxe, McClelland and Ganguli, 2014 (arXiv 1312.6120). Uniform over such matrices: the Q of a
    normal matrix, with the signs that make the diagonal of R positive. All axes but out_axis
    count as one. The weight has two axes or more.
    """

    gain: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        real("Orthogonal", gain=self.gain)

    def draw(
        self, shape: tuple[int, ...], rng: np.random.Generator, axes: tuple[int, int]
    ) -> np.ndarray:
        if len(shape) < 2:
            raise parameter_error(
                f"Orthogonal: a weight of shape {shape} has no rows and columns",
                "use it for weights with two axes or more",
            )
        moved = np.moveaxis(np.empty(shape), axes[1], -1).shape
        rows, columns = math.prod(moved[:-1]), moved[-1]
        normal = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(normal)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        if rows < columns:
            q = q.T
        return np.moveaxis(self.gain * q.reshape(moved), -1, axes[1])


@dataclass(frozen=True)
class Identity(Initializer):
    """gain times the identity matrix; zeros beside it if the weight is not square."""

    is_random = False

    gain: float = 1.0

    def __post_init__(self) -> None:
        real("Identity", gain=self.gain)

    def draw(self, shape: tuple[int, ...], rng: Any, axes: Any) -> np.ndarray:
        if len(shape) != 2:
            raise parameter_error(
                f"Identity: a weight of shape {shape} is no matrix", "use it for two axes"
            )
        return self.gain * np.eye(*shape)


Normal, Uniform = RandomNormal, RandomUniform


@dataclass(frozen=True)
class _Function(Initializer):
    """A user's function of (shape, dtype)."""

    function: Callable[..., Any]

    def __call__(self, shape: Any, dtype: Any = "float32", rng: Any = None, **_: Any) -> np.ndarray:
        sizes = _checked_shape("initializer", shape)
        value = np.asarray(self.function(sizes, dtype))
        if value.shape != sizes:
            raise parameter_error(
                f"an initializer returned shape {value.shape} for a weight of shape {sizes}",
                "return an array of the shape that it is called with",
            )
        return value.astype(gc.as_dtype(dtype))


_CLASSES: list[type[Initializer]] = [
    GlorotUniform,
    GlorotNormal,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    Identity,
    Zeros,
    Ones,
    Constant,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
]
_names = Names(
    "initializer", Initializer, _CLASSES, {"Normal": Normal, "Uniform": Uniform}, _Function
)


def get(given: Any) -> Initializer:
    """The initializer of a name, a class, a number, a config, or a function of (shape, dtype)."""
    if isinstance(given, int | float | np.ndarray) and not isinstance(given, bool):
        return Constant(given)
    return _names.get(given)
