"""What convolutions and their gradients mean: numpy, tap by tap. Floats are summed in float64."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np

from graphc.dtypes import float64, is_floating
from graphc.ir.node import Attributes
from graphc.ir.windows import Windows
from graphc.ops.convolution_setting import windows_of
from graphc.shapes import Shape, Size, evaluate


def _first(array: np.ndarray, last: bool) -> np.ndarray:
    return np.moveaxis(array, -1, 1) if last else array


def _filter_first(w: np.ndarray, last: bool) -> np.ndarray:
    return np.moveaxis(w, (-1, -2), (0, 1)) if last else w


def _in_layout(array: np.ndarray, last: bool, dtype: Any) -> Any:
    return (np.moveaxis(array, 1, -1) if last else array).astype(dtype)


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(float64) if is_floating(array.dtype) else array


def _numbers(sizes: Iterable[Size]) -> tuple[int, ...]:
    """Sizes that are known, as they are when arrays are there."""
    return tuple(evaluate(size, {}) for size in sizes)


def _taps(
    windows: Windows, count: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each tap of the filter, and what lies under it of the padded input in all windows."""
    for tap in product(*map(range, _numbers(windows.kernel))):
        yield (
            tap,
            tuple(
                slice(k * d, k * d + max(0, (n - 1) * s + 1), s)
                for k, n, s, d in zip(tap, count, windows.stride, windows.dilation, strict=True)
            ),
        )


def _at_tap(w: np.ndarray, tap: tuple[Any, ...]) -> np.ndarray:
    """A view of a filter [groups, out, in, taps...] at a tap."""
    view: np.ndarray = w[(slice(None), slice(None), slice(None), *tap)]
    return view


def _pads(windows: Windows, spatial: Shape) -> list[tuple[int, ...]]:
    return [(0, 0), (0, 0), *map(_numbers, windows.pairs(spatial))]


def _groups(attrs: Attributes) -> int:
    return evaluate(attrs["groups"], {})


def _split(array: np.ndarray, groups: int, axis: int) -> np.ndarray:
    """An axis of channels as groups and channels of a group."""
    size = array.shape[axis] // max(groups, 1)
    return array.reshape(*array.shape[:axis], groups, size, *array.shape[axis + 1 :])


def convolution_meaning(attrs: Attributes, x: np.ndarray, w: np.ndarray) -> Any:
    """Floats are summed in float64 and rounded once."""
    last, groups, dtype = attrs["channels_last"], _groups(attrs), x.dtype
    x, w = _first(_wide(x), last), _filter_first(_wide(w), last)
    windows = windows_of(attrs, w.shape[2:])
    count = _numbers(windows.count(x.shape[2:]))
    x = _split(np.pad(x, _pads(windows, x.shape[2:])), groups, 1)
    w = _split(w, groups, 0)
    out = np.zeros((x.shape[0], *w.shape[:2], *count), x.dtype)
    for tap, under in _taps(windows, count):
        out += np.einsum("ngc...,goc->ngo...", x[:, :, :, *under], _at_tap(w, tap))
    joined = (x.shape[0], w.shape[0] * w.shape[1], *count)
    return _in_layout(out.reshape(joined), last, dtype)


def input_gradient_meaning(attrs: Attributes, g: np.ndarray, w: np.ndarray) -> Any:
    last, groups, dtype = attrs["channels_last"], _groups(attrs), g.dtype
    g, w = _first(_wide(g), last), _filter_first(_wide(w), last)
    windows, spatial = windows_of(attrs, w.shape[2:]), _numbers(attrs["spatial"])
    pads, whole = _pads(windows, spatial), _numbers(windows.padded(spatial))
    g, w = _split(g, groups, 1), _split(w, groups, 0)
    x = np.zeros((g.shape[0], groups, w.shape[2], *whole), g.dtype)
    for tap, under in _taps(windows, g.shape[3:]):
        x[:, :, :, *under] += np.einsum("ngo...,goc->ngc...", g, _at_tap(w, tap))
    x = x.reshape(x.shape[0], groups * w.shape[2], *whole)
    inside = tuple(
        slice(before, before + n) for (before, _), n in zip(pads[2:], spatial, strict=True)
    )
    return _in_layout(x[:, :, *inside], last, dtype)


def filter_gradient_meaning(attrs: Attributes, x: np.ndarray, g: np.ndarray) -> Any:
    last, groups, dtype = attrs["channels_last"], _groups(attrs), x.dtype
    x, g = _first(_wide(x), last), _first(_wide(g), last)
    kernel = _numbers(attrs["kernel"])
    windows = windows_of(attrs, kernel)
    x = _split(np.pad(x, _pads(windows, x.shape[2:])), groups, 1)
    g = _split(g, groups, 1)
    w = np.zeros((groups, g.shape[2], x.shape[2], *kernel), x.dtype)
    area = "xyz"[: len(kernel)]
    for tap, under in _taps(windows, g.shape[3:]):
        _at_tap(w, tap)[...] = np.einsum(f"ngc{area},ngo{area}->goc", x[:, :, :, *under], g)
    w = w.reshape(w.shape[0] * w.shape[1], *w.shape[2:])
    return (np.moveaxis(w, (0, 1), (-1, -2)) if last else w).astype(dtype)
