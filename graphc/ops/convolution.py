"""Convolution, and the two other sums that it makes with its gradients.

The sum over n, o, c, y, p of g[n, o, y] * x[n, c, stride*y + dilation*p] * w[o, c, p] is linear in
each of g, x and w. Its derivative by one of them takes the other two:

    convolution                    x, w -> g     slide and sum: cross-correlation
    convolution_input_gradient     g, w -> x     the transposed convolution
    convolution_filter_gradient    x, g -> w

So the derivatives of each of the three are the other two, with the same attributes, of any order.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np

from graphc.dtypes import float64, is_floating
from graphc.errors import DTypeError, ShapeError
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Gradients, Inference, OpDef
from graphc.ir.registry import Builder, register
from graphc.ir.tensor import Tensor
from graphc.ir.windows import Windows
from graphc.ops.definition import REAL, check_dtype
from graphc.ops.direct_convolution import Setting, convolve, filter_gradient, input_gradient
from graphc.shapes import Shape, Size, evaluate, floor_div

# --- types -----------------------------------------------------------------------------------


def _sizes(array: TensorType, last: bool) -> tuple[Size, Size, Shape]:
    """Batch, channels and spatial sizes."""
    if last:
        return array.shape[0], array.shape[-1], array.shape[1:-1]
    return array.shape[0], array.shape[1], array.shape[2:]


def _shape(batch: Size, channels: Size, spatial: Shape, last: bool) -> Shape:
    return (batch, *spatial, channels) if last else (batch, channels, *spatial)


def _filter_sizes(w: TensorType, last: bool) -> tuple[Size, Size, Shape]:
    """Channels out, channels in of one group, and the kernel."""
    if last:
        return w.shape[-1], w.shape[-2], w.shape[:-2]
    return w.shape[0], w.shape[1], w.shape[2:]


def _windows(attrs: Attributes, kernel: Shape) -> Windows:
    return Windows(kernel, attrs["stride"], attrs["dilation"], attrs["padding"])


def _check_channels(call: Inference, channels: Size, inner: Size, outer: Size) -> None:
    groups = call.attrs["groups"]
    call.require_equal(
        channels,
        inner * groups,
        f"x has {channels} channels, the filter takes {inner} in each of {groups} groups",
        fix="a filter has [out, in / groups, kernel...] or, with channels last, "
        "[kernel..., in / groups, out]",
    )
    if groups > 1:
        whole = floor_div(outer, groups) * groups
        call.require_equal(outer, whole, f"{outer} output channels in {groups} equal groups")


def _check(call: Inference, *ranks: int) -> None:
    """Dtypes and ranks."""
    for array in call.types:
        check_dtype(call.op, array.dtype, REAL)
    if call.types[0].dtype != call.types[1].dtype:
        raise DTypeError(f"{call.op}: {' and '.join(map(str, call.types))} differ in dtype")
    if len({*ranks, len(call.attrs["stride"]) + 2}) > 1:
        raise ShapeError(
            f"{call.op}: {' and '.join(map(str, call.types))} have different ranks",
            fix="x, the filter and the result have two axes more than there are spatial ones",
        )


def _infer_convolution(call: Inference) -> TensorType:
    x, w = call.types
    last = call.attrs["channels_last"]
    _check(call, x.ndim, w.ndim)
    batch, channels, spatial = _sizes(x, last)
    outer, inner, kernel = _filter_sizes(w, last)
    _check_channels(call, channels, inner, outer)
    count = _windows(call.attrs, kernel).check(call, spatial)
    return TensorType(x.dtype, _shape(batch, outer, count, last))


def _check_count(call: Inference, windows: Windows, spatial: Shape, given: Shape) -> None:
    for axis, (count, size) in enumerate(zip(windows.count(spatial), given, strict=True)):
        call.require_equal(count, size, f"windows along spatial axis {axis} of {spatial}")


def _infer_input_gradient(call: Inference) -> TensorType:
    g, w = call.types
    last, spatial = call.attrs["channels_last"], call.attrs["spatial"]
    _check(call, g.ndim, w.ndim, len(spatial) + 2)
    batch, channels, given = _sizes(g, last)
    outer, inner, kernel = _filter_sizes(w, last)
    groups = call.attrs["groups"]
    call.require_equal(
        channels,
        outer,
        f"x has {channels} channels, the filter {outer}",
        fix="the filter is that of the convolution which this one is the transpose of: "
        "[channels of x, channels of the result / groups, kernel...] or, with channels last, "
        "[kernel..., channels of the result / groups, channels of x]",
    )
    _check_channels(call, inner * groups, inner, outer)
    _check_count(call, _windows(call.attrs, kernel), spatial, given)
    return TensorType(g.dtype, _shape(batch, inner * groups, spatial, last))


def _infer_filter_gradient(call: Inference) -> TensorType:
    x, g = call.types
    last, kernel, groups = call.attrs["channels_last"], call.attrs["kernel"], call.attrs["groups"]
    _check(call, x.ndim, g.ndim, len(kernel) + 2)
    batch, channels, spatial = _sizes(x, last)
    other, outer, given = _sizes(g, last)
    inner = floor_div(channels, groups)
    call.require_equal(batch, other, "batch sizes")
    _check_channels(call, channels, inner, outer)
    _check_count(call, _windows(call.attrs, kernel), spatial, given)
    shape = (*kernel, inner, outer) if last else (outer, inner, *kernel)
    return TensorType(x.dtype, shape)


# --- meaning: tap by tap ---------------------------------------------------------------------


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


def _split(array: np.ndarray, groups: int, axis: int) -> np.ndarray:
    """An axis of channels as groups and channels of a group."""
    size = array.shape[axis] // groups
    return array.reshape(*array.shape[:axis], groups, size, *array.shape[axis + 1 :])


def _reference_convolution(attrs: Attributes, x: np.ndarray, w: np.ndarray) -> Any:
    """Floats are summed in float64 and rounded once."""
    last, groups, dtype = attrs["channels_last"], attrs["groups"], x.dtype
    x, w = _first(_wide(x), last), _filter_first(_wide(w), last)
    windows = _windows(attrs, w.shape[2:])
    count = _numbers(windows.count(x.shape[2:]))
    x = _split(np.pad(x, _pads(windows, x.shape[2:])), groups, 1)
    w = _split(w, groups, 0)
    out = np.zeros((x.shape[0], *w.shape[:2], *count), x.dtype)
    for tap, under in _taps(windows, count):
        out += np.einsum("ngc...,goc->ngo...", x[:, :, :, *under], _at_tap(w, tap))
    joined = (x.shape[0], w.shape[0] * w.shape[1], *count)
    return _in_layout(out.reshape(joined), last, dtype)


def _reference_input_gradient(attrs: Attributes, g: np.ndarray, w: np.ndarray) -> Any:
    last, groups, dtype = attrs["channels_last"], attrs["groups"], g.dtype
    g, w = _first(_wide(g), last), _filter_first(_wide(w), last)
    windows, spatial = _windows(attrs, w.shape[2:]), _numbers(attrs["spatial"])
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


def _reference_filter_gradient(attrs: Attributes, x: np.ndarray, g: np.ndarray) -> Any:
    last, groups, dtype = attrs["channels_last"], attrs["groups"], x.dtype
    x, g = _first(_wide(x), last), _first(_wide(g), last)
    kernel = _numbers(attrs["kernel"])
    windows = _windows(attrs, kernel)
    x = _split(np.pad(x, _pads(windows, x.shape[2:])), groups, 1)
    g = _split(g, groups, 1)
    w = np.zeros((groups, g.shape[2], x.shape[2], *kernel), x.dtype)
    area = "xyz"[: len(kernel)]
    for tap, under in _taps(windows, g.shape[3:]):
        _at_tap(w, tap)[...] = np.einsum(f"ngc{area},ngo{area}->goc", x[:, :, :, *under], g)
    w = w.reshape(w.shape[0] * w.shape[1], *w.shape[2:])
    return (np.moveaxis(w, (0, 1), (-1, -2)) if last else w).astype(dtype)


# --- derivatives -----------------------------------------------------------------------------

SHARED = ("stride", "dilation", "padding", "groups", "channels_last")


def _third(role: str, operands: dict[str, Tensor], attrs: Attributes) -> Tensor:
    """x, w or g from the other two; attrs has `spatial` and `kernel`, too."""
    shared = {name: attrs[name] for name in SHARED}
    if role == "g":
        return CONVOLUTION(operands["x"], operands["w"], **shared)
    if role == "x":
        spatial = attrs["spatial"]
        return INPUT_GRADIENT(operands["g"], operands["w"], spatial=spatial, **shared)
    return FILTER_GRADIENT(operands["x"], operands["g"], kernel=attrs["kernel"], **shared)


def _all_attributes(a: Application, roles: str) -> dict[str, Any]:
    """The attributes with the sizes of x and of the filter, from tensors where there are such."""
    last = a.attrs["channels_last"]
    found = dict(a.attrs)
    for role, tensor in zip(roles, a.inputs, strict=True):
        if role == "x":
            found["spatial"] = _sizes(tensor.type, last)[2]
        elif role == "w":
            found["kernel"] = _filter_sizes(tensor.type, last)[2]
    return found


def _rules(roles: str) -> dict[str, Any]:
    """vjp and jvp of the op that makes roles[2] of roles[0] and roles[1]."""
    made = roles[2]

    def vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
        gradient = gradients[0]
        assert gradient is not None
        attrs = _all_attributes(a, roles[:2])
        found: list[Tensor | None] = []
        for number, role in enumerate(roles[:2]):
            other = {made: gradient, roles[1 - number]: a.inputs[1 - number]}
            found.append(_third(role, other, attrs) if a.wants(number) else None)
        return found

    def jvp(b: Builder, a: Application, tangents: Gradients) -> Gradients:
        attrs = _all_attributes(a, roles[:2])
        terms = []
        for number, role in enumerate(roles[:2]):
            tangent = tangents[number]
            if tangent is not None:
                other = {role: tangent, roles[1 - number]: a.inputs[1 - number]}
                terms.append(_third(made, other, attrs))
        return [None] if not terms else [terms[0] if len(terms) == 1 else b.add(*terms)]

    return {"vjp": vjp, "jvp": jvp, "traits": frozenset({"linear"})}


# --- lowering --------------------------------------------------------------------------------


def _setting(attrs: Attributes, kernel: Shape) -> Setting:
    return Setting(_windows(attrs, kernel), attrs["groups"], attrs["channels_last"])


def _lower_convolution(b: Builder, x: Tensor, w: Tensor, **attrs: Any) -> Tensor:
    kernel = _filter_sizes(w.type, attrs["channels_last"])[2]
    return convolve(b, x, w, _setting(attrs, kernel))


def _lower_input_gradient(b: Builder, g: Tensor, w: Tensor, **attrs: Any) -> Tensor:
    kernel = _filter_sizes(w.type, attrs["channels_last"])[2]
    return input_gradient(b, g, w, attrs["spatial"], _setting(attrs, kernel))


def _lower_filter_gradient(b: Builder, x: Tensor, g: Tensor, **attrs: Any) -> Tensor:
    return filter_gradient(b, x, g, _setting(attrs, attrs["kernel"]))


# --- the ops ---------------------------------------------------------------------------------


def _cases() -> Iterator[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]]:
    """Shapes of x and w, channels first, and attributes: every branch of the lowering."""

    def case(
        x: tuple[int, ...],
        w: tuple[int, ...],
        stride: int = 1,
        dilation: int = 1,
        padding: Any = None,
        groups: int = 1,
        last: bool = False,
    ) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
        rank = len(x) - 2
        attrs = {
            "stride": (stride,) * rank,
            "dilation": (dilation,) * rank,
            "padding": padding or ((0, 0),) * rank,
            "groups": groups,
            "channels_last": last,
        }
        if last:
            x, w = (x[0], *x[2:], x[1]), (*w[2:], w[1], w[0])
        return x, w, attrs

    yield case((2, 3, 6), (4, 3, 2), last=True)
    yield case((2, 2, 5, 6), (3, 2, 3, 2), padding=((1, 0), (0, 3)))
    yield case((1, 2, 7, 6), (5, 2, 3, 3), stride=2, padding="same")
    yield case((1, 2, 6, 5), (4, 2, 3, 2), stride=2, padding="same", last=True)
    yield case((2, 4, 5, 4), (6, 2, 2, 3), groups=2)
    yield case((2, 3, 5, 4), (3, 1, 3, 2), groups=3, padding="same", last=True)
    yield case((1, 2, 7), (4, 1, 2), stride=2, dilation=3, groups=2)
    yield case((2, 3, 3, 4), (2, 3, 1, 1), stride=2)
    yield case((2, 1, 2, 3, 3), (2, 1, 1, 2, 2), dilation=2, padding="same")
    yield case((0, 2, 4), (3, 2, 3))


def _examples(roles: str) -> Callable[[np.random.Generator], list[Example]]:
    def examples(rng: np.random.Generator) -> list[Example]:
        return [_example(rng, roles, *case) for case in _cases()]

    return examples


def _example(
    rng: np.random.Generator,
    roles: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    attrs: dict[str, Any],
) -> Example:
    """Sizes that an op has as attributes are those of the case; a symbolic `g` must fit them."""
    last = attrs["channels_last"]
    spatial, kernel = (x[1:-1], w[:-2]) if last else (x[2:], w[2:])
    count = _windows(attrs, kernel).count(spatial)
    shapes = {"x": x, "w": w, "g": _shape(x[0], w[-1] if last else w[0], count, last)}
    arrays = tuple(rng.normal(size=shapes[role]) for role in roles[:2])
    known = {**attrs, "spatial": spatial, "kernel": kernel}

    def build(first: Tensor, second: Tensor) -> Tensor:
        return _third(roles[2], {roles[0]: first, roles[1]: second}, known)

    return Example(build, arrays)


DEFAULTS = {"groups": 1, "channels_last": False}

CONVOLUTION = register(
    OpDef(
        "convolution",
        infer=_infer_convolution,
        reference=_reference_convolution,
        lower=Composite(_lower_convolution),
        examples=_examples("xwg"),
        defaults=DEFAULTS,
        **_rules("xwg"),
    )
)
INPUT_GRADIENT = register(
    OpDef(
        "convolution_input_gradient",
        infer=_infer_input_gradient,
        reference=_reference_input_gradient,
        lower=Composite(_lower_input_gradient),
        examples=_examples("gwx"),
        defaults=DEFAULTS,
        **_rules("gwx"),
    )
)
FILTER_GRADIENT = register(
    OpDef(
        "convolution_filter_gradient",
        infer=_infer_filter_gradient,
        reference=_reference_filter_gradient,
        lower=Composite(_lower_filter_gradient),
        examples=_examples("xgw"),
        defaults=DEFAULTS,
        **_rules("xgw"),
    )
)
