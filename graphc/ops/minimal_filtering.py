"""Convolutions with 3x3 windows in tiles of 2 by 2 windows, by 16 products where there were 36.

    Y = A^T ((G w G^T) * (B^T d B)) A           summed over the channels in, for every tile d
    dw = G^T ((B^T d B) * (A dY A^T)) G         summed over the tiles

Source: A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphc.dtypes import float64, is_floating, is_half
from graphc.errors import DTypeError, ShapeError
from graphc.ir.lowering import FilterTransform, MinimalFiltering
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.registry import register
from graphc.ir.tensor import Tensor
from graphc.ops.definition import Accepts, check_dtype
from graphc.shapes import floor_div

POINTS = 16
FLOATS = Accepts(lambda dtype: is_floating(dtype) and not is_half(dtype), "float32 and float64")
INPUT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])  # B^T
FILTER = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])  # G
OUTPUT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])  # A^T


def _infer(call: Inference) -> TensorType:
    x, other = call.types
    check_dtype(call.op, x.dtype, FLOATS)
    if x.dtype != other.dtype:
        raise DTypeError(f"{call.op}: {x} and {other} differ in dtype")
    (height, width), (inner, outer) = call.attrs["count"], call.attrs["channels"]
    panel = call.attrs["panel"]
    if call.attrs["gradient"]:
        wanted = (x.shape[0], height, width, outer)
        found = TensorType(x.dtype, (POINTS, inner, outer))
    else:
        wanted = (POINTS, outer // panel, inner, panel)
        found = TensorType(x.dtype, (x.shape[0], height, width, outer))
    for given, known in ((x, (*x.shape[:3], inner)), (other, wanted)):
        pairs = list(zip(given.shape, known, strict=False))
        different = any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)
        if given.ndim != 4 or len(known) != 4 or different:
            raise ShapeError(f"{call.op}: {given} where {known} is known")
    return found


def _reference(attrs: Attributes, x: np.ndarray, other: np.ndarray) -> Any:
    """The equations above, in float64."""
    height, width = attrs["count"]
    rows, columns = -(-height // 2), -(-width // 2)
    around = [
        (before, max(0, 2 * half + 2 - before - size))
        for before, half, size in zip(attrs["before"], (rows, columns), x.shape[1:3], strict=True)
    ]
    x = np.pad(x, [(0, 0), *around, (0, 0)])[:, : 2 * rows + 2, : 2 * columns + 2]
    tiles = np.lib.stride_tricks.sliding_window_view(x.astype(float64), (4, 4), (1, 2))
    tiles = tiles[:, ::2, ::2]  # n, rows, columns, c, 4, 4
    v = np.einsum("ip,nyxcpq,jq->nyxcij", INPUT, tiles, INPUT, optimize=True)
    if attrs["gradient"]:
        odd = [(0, 2 * rows - height), (0, 2 * columns - width)]
        g = np.pad(other.astype(float64), [(0, 0), *odd, (0, 0)])
        g = g.reshape(x.shape[0], rows, 2, columns, 2, other.shape[-1])
        g = np.einsum("pi,nypxqo,qj->nyxoij", OUTPUT, g, OUTPUT, optimize=True)
        found = np.einsum("nyxcij,nyxoij->ijco", v, g, optimize=True)
        return found.reshape(POINTS, x.shape[-1], other.shape[-1]).astype(x.dtype)
    u = other.astype(float64).transpose(0, 2, 1, 3).reshape(4, 4, x.shape[-1], -1)
    m = np.einsum("nyxcij,ijco->nyxoij", v, u, optimize=True)
    y = np.einsum("pi,nyxoij,qj->nypxqo", OUTPUT, m, OUTPUT, optimize=True)
    y = y.reshape(x.shape[0], 2 * rows, 2 * columns, u.shape[-1])
    return y[:, :height, :width].astype(x.dtype)


def _examples(rng: Generator) -> list[Example]:
    def convolution(
        x: tuple[int, ...], count: tuple[int, int], outer: int, panel: int, *before: int
    ) -> Example:
        return example(x, (POINTS, outer // panel, x[-1], panel), count, outer, panel, before)

    def gradient(x: tuple[int, ...], count: tuple[int, int], outer: int, *before: int) -> Example:
        return example(x, (x[0], *count, outer), count, outer, 0, before)

    def example(
        x: tuple[int, ...],
        other: tuple[int, ...],
        count: tuple[int, int],
        outer: int,
        panel: int,
        before: tuple[int, ...],
    ) -> Example:
        attrs = {"count": count, "channels": (x[-1], outer), "panel": panel}

        def build(left: Tensor, right: Tensor) -> Tensor:
            return MINIMAL_FILTERING(
                left, right, before=before or (0, 0), gradient=not panel, **attrs
            )

        return Example(build, (rng.normal(size=x), rng.normal(size=other)))

    return [
        convolution((2, 6, 8, 3), (4, 6), 5, 5),
        convolution((5, 5, 7, 2), (5, 7), 3, 3, 1, 1),
        convolution((1, 6, 8, 2), (3, 5), 38, 19),
        convolution((1, 2, 9, 2), (4, 7), 3, 1, 2, 0),
        convolution((0, 4, 4, 2), (2, 2), 3, 3),
        gradient((2, 6, 8, 3), (4, 6), 5),
        gradient((2, 5, 4, 7), (3, 2), 35),
        gradient((7, 3, 5, 18), (3, 5), 2, 1, 1),
        gradient((0, 4, 4, 2), (2, 2), 3),
    ]


MINIMAL_FILTERING = register(
    OpDef(
        "minimal_filtering",
        infer=_infer,
        reference=_reference,
        lower=MinimalFiltering(),
        traits=frozenset({"nondifferentiable"}),  # made after differentiation
        examples=_examples,
        defaults={"gradient": False},
    )
)


# --- transforms of filters -----------------------------------------------------------------------


def _infer_transform(call: Inference) -> TensorType:
    (given,) = call.types
    check_dtype(call.op, given.dtype, FLOATS)
    back, last, turned = (call.attrs[name] for name in ("back", "channels_last", "turned"))
    if given.ndim != (3 if back else 4):
        raise ShapeError(f"{call.op}: {given}, which is no filter or transform of one")
    if back:
        inner, outer = given.shape[:0:-1] if turned else given.shape[1:]
        shape = (3, 3, inner, outer) if last else (outer, inner, 3, 3)
        return TensorType(given.dtype, shape)
    inner, outer = given.shape[2:] if last else given.shape[1::-1]
    inner, outer = (outer, inner) if turned else (inner, outer)
    panel = call.attrs["panel"]
    if isinstance(outer, int) and outer % panel:
        raise ShapeError(f"{call.op}: {outer} channels in panels of {panel}")
    return TensorType(given.dtype, (POINTS, floor_div(outer, panel), inner, panel))


def _transform(attrs: Attributes, given: np.ndarray) -> Any:
    """The equations of U and dw, in float64."""
    wide = given.astype(float64)
    turned, last = attrs["turned"], attrs["channels_last"]
    if attrs["back"]:
        wide = wide.reshape(4, 4, *wide.shape[1:])
        taps = np.einsum("ip,ijco,jq->pqco", FILTER, wide, FILTER, optimize=True)
        if turned:
            taps = taps[::-1, ::-1].swapaxes(2, 3)
        return (taps if last else taps.transpose(3, 2, 0, 1)).astype(given.dtype)
    taps = wide if last else wide.transpose(2, 3, 1, 0)
    if turned:
        taps = taps[::-1, ::-1].swapaxes(2, 3)
    points = np.einsum("ip,pqco,jq->ijco", FILTER, taps, FILTER, optimize=True)
    inner, outer = points.shape[2:]
    panel = attrs["panel"]
    points = points.reshape(POINTS, inner, outer // panel, panel)
    return points.transpose(0, 2, 1, 3).astype(given.dtype)


def _transforms(rng: Generator) -> list[Example]:
    def example(shape: tuple[int, ...], **attrs: Any) -> Example:
        def build(given: Tensor) -> Tensor:
            return FILTER_TRANSFORM(given, **attrs)

        return Example(build, (rng.normal(size=shape),))

    def both(last: bool, turned: bool) -> Iterator[Example]:
        """Of a filter with 2 channels in and 6 out, and back."""
        panel = 2 if turned else 3
        attrs = {"channels_last": last, "turned": turned}
        yield example((3, 3, 2, 6) if last else (6, 2, 3, 3), back=False, panel=panel, **attrs)
        yield example((POINTS, 3, 5), back=True, panel=0, **attrs)

    settings = itertools.product((False, True), repeat=2)
    return [one for last, turned in settings for one in both(last, turned)]


FILTER_TRANSFORM = register(
    OpDef(
        "filter_transform",
        infer=_infer_transform,
        reference=_transform,
        lower=FilterTransform(),
        traits=frozenset({"nondifferentiable"}),  # made after differentiation
        examples=_transforms,
    )
)
