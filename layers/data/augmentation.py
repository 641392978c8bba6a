"""Random changes of images, for `Dataset.map`: flips, crops, rotation, contrast, brightness.

Each is called with a batch of images and whatever comes with it, `augment(images, labels)`, and
returns the same with changed images: [batch, height, width, channels], or with
channels="first" [batch, channels, height, width]. Every image is changed in its own way. With a
seed, the changes are the same in each run.
"""

from typing import Any

import numpy as np

from graphc.layers.configured import parameter_error

__all__ = [
    "Augmentation",
    "Compose",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
]


class Augmentation:
    """Base of all: a subclass defines `change(images, rng)` for images with channels last."""

    def __init__(self, channels: str = "last", seed: int | None = None) -> None:
        if channels not in ("first", "last"):
            raise parameter_error(
                f"{type(self).__name__}: channels={channels!r}", 'use "first" or "last"'
            )
        self.channels = channels
        self.rng = np.random.default_rng(seed)

    def __call__(self, images: Any, *rest: Any) -> Any:
        array = np.asarray(images)
        if array.ndim != 4:
            raise parameter_error(
                f"{type(self).__name__}: an array of shape {array.shape} is no batch of images",
                "map it after batch, over [batch, height, width, channels]",
            )
        if self.channels == "first":
            changed = np.moveaxis(self.change(np.moveaxis(array, 1, -1), self.rng), -1, 1)
        else:
            changed = self.change(array, self.rng)
        result = np.ascontiguousarray(changed.astype(array.dtype, copy=False))
        return (result, *rest) if rest else result

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Changed images. images: [batch, height, width, channels]."""
        raise TypeError(f"{type(self).__name__} does not define change(images, rng)")


class Compose(Augmentation):
    """Several changes one after the other."""

    def __init__(self, *changes: Augmentation) -> None:
        super().__init__()
        self.changes = changes

    def __call__(self, images: Any, *rest: Any) -> Any:
        for change in self.changes:
            images = change(images)
        return (images, *rest) if rest else images


class RandomFlip(Augmentation):
    """Mirrors half of the images: "horizontal" (left and right), "vertical", or "both"."""

    def __init__(
        self, mode: str = "horizontal", channels: str = "last", seed: int | None = None
    ) -> None:
        super().__init__(channels, seed)
        if mode not in ("horizontal", "vertical", "both"):
            raise parameter_error(
                f"RandomFlip: mode={mode!r}", 'use "horizontal", "vertical" or "both"'
            )
        self.mode = mode

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for mode, axis in (("vertical", 1), ("horizontal", 2)):
            if self.mode in (mode, "both"):
                chosen = rng.random(len(images)) < 0.5
                images = np.where(chosen[:, None, None, None], np.flip(images, axis), images)
        return images


class RandomCrop(Augmentation):
    """A window of height x width at a random place, after `padding` zeros at every side."""

    def __init__(
        self,
        height: int,
        width: int,
        padding: int = 0,
        channels: str = "last",
        seed: int | None = None,
    ) -> None:
        super().__init__(channels, seed)
        self.height, self.width, self.padding = height, width, padding

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        p = self.padding
        padded = np.pad(images, [(0, 0), (p, p), (p, p), (0, 0)])
        count, height, width, _ = padded.shape
        if self.height > height or self.width > width:
            raise parameter_error(
                f"RandomCrop: no window of {self.height} x {self.width} fits into images of "
                f"{height} x {width}",
                "give a smaller window, or more padding",
            )
        top = rng.integers(0, height - self.height + 1, count)
        left = rng.integers(0, width - self.width + 1, count)
        rows = top[:, None] + np.arange(self.height)
        columns = left[:, None] + np.arange(self.width)
        cropped: np.ndarray = padded[
            np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]
        ]
        return cropped


class RandomRotation(Augmentation):
    """Turns by an angle from -degrees to degrees round the middle; linear between pixels, zeros
    from outside."""

    def __init__(self, degrees: float, channels: str = "last", seed: int | None = None) -> None:
        super().__init__(channels, seed)
        if not degrees >= 0:
            raise parameter_error(f"RandomRotation: degrees={degrees!r}", "use a number >= 0")
        self.degrees = degrees

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rotated(images, rng.uniform(-self.degrees, self.degrees, len(images)))


def rotated(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Each image turned counterclockwise by its angle. images: [batch, height, width, channels]."""
    count, height, width, _ = images.shape
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    angle = np.deg2rad(degrees)[:, None, None]
    # A pixel shows what lay where the opposite turn takes it (the y axis points down).
    rows = np.sin(angle) * x + np.cos(angle) * y + (height - 1) / 2
    columns = np.cos(angle) * x - np.sin(angle) * y + (width - 1) / 2
    low, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    result = np.zeros(images.shape, np.result_type(images.dtype, np.float32))
    which = np.arange(count)[:, None, None]
    for down in (0, 1):
        for right in (0, 1):
            r, c = low + down, left + right
            share = (1 - np.abs(rows - r)) * (1 - np.abs(columns - c))
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            taken = images[which, np.clip(r, 0, height - 1), np.clip(c, 0, width - 1)]
            result += (share * inside)[..., None] * taken
    return np.round(result) if images.dtype.kind in "iu" else result


class RandomContrast(Augmentation):
    """Moves every image away from its mean, or towards it, by a factor within 1 - factor and
    1 + factor; per channel. Integers stay within their type."""

    def __init__(self, factor: float, channels: str = "last", seed: int | None = None) -> None:
        super().__init__(channels, seed)
        if not 0 <= factor <= 1:
            raise parameter_error(f"RandomContrast: factor={factor!r}", "use one from 0 to 1")
        self.factor = factor

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        by = rng.uniform(1 - self.factor, 1 + self.factor, (len(images), 1, 1, 1))
        mean = images.mean(axis=(1, 2), keepdims=True)
        return _kept((images - mean) * by + mean, images.dtype)


class RandomBrightness(Augmentation):
    """Adds one number within -delta and delta to each image. Integers stay within their type."""

    def __init__(self, delta: float, channels: str = "last", seed: int | None = None) -> None:
        super().__init__(channels, seed)
        if not delta >= 0:
            raise parameter_error(f"RandomBrightness: delta={delta!r}", "use a number >= 0")
        self.delta = delta

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        added = rng.uniform(-self.delta, self.delta, (len(images), 1, 1, 1))
        return _kept(images + added, images.dtype)


def _kept(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Values for a dtype: rounded and clipped for integers, which would wrap round."""
    if dtype.kind not in "iu":
        return values
    limits = np.iinfo(dtype)
    return np.clip(np.round(values), limits.min, limits.max)
