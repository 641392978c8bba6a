"""Convolution, and the two other sums that it makes with its gradients.

The sum over n, o, c, y, p of g[n, o, y] * x[n, c, stride*y + dilation*p] * w[o, c, p] is linear in
each of g, x and w. Its derivative by one of them takes the other two:

    convolution                    x, w -> g     slide and sum: cross-correlation
    convolution_input_gradient     g, w -> x     the transposed convolution
    convolution_filter_gradient    x, g -> w

So the derivatives of each of the three are the other two, with the same attributes, of any order.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from graphc.dtypes import DType, bfloat16, float32, is_half
from graphc.errors import DTypeError, ShapeError
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import Builder, register
from graphc.ir.tensor import Tensor
from graphc.ir.windows import Windows
from graphc.ops.bfloat16_pairs import BFLOAT16_PAIRS
from graphc.ops.convolution_batches import batch_rule
from graphc.ops.convolution_meaning import (
    convolution_meaning,
    filter_gradient_meaning,
    input_gradient_meaning,
)
from graphc.ops.convolution_setting import (
    Setting,
    filter_sizes,
    image_shape,
    image_sizes,
    per_group,
    windows_of,
)
from graphc.ops.definition import REAL, check_dtype
from graphc.ops.direct_convolution import convolve
from graphc.ops.direct_gradients import filter_gradient, input_gradient
from graphc.processor import multiplies_pairs
from graphc.shapes import Shape, Size

# --- types -----------------------------------------------------------------------------------


def _check_channels(call: Inference, channels: Size, inner: Size, outer: Size) -> None:
    groups = call.attrs["groups"]
    call.require_equal(
        channels,
        inner * groups,
        f"x has {channels} channels, the filter takes {inner} in each of {groups} groups",
        fix="a filter has [out, in / groups, kernel...], and the channels of x are axis 1; with "
        'channels last, as layout="NHWC" says, [kernel..., in / groups, out]',
    )
    if groups != 1:
        whole = per_group(outer, groups) * groups
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
    batch, channels, spatial = image_sizes(x, last)
    outer, inner, kernel = filter_sizes(w, last)
    _check_channels(call, channels, inner, outer)
    count = windows_of(call.attrs, kernel).check(call, spatial)
    return TensorType(x.dtype, image_shape(batch, outer, count, last))


def _check_count(call: Inference, windows: Windows, spatial: Shape, given: Shape) -> None:
    windows.check_kernel(call)
    for axis, (count, size) in enumerate(zip(windows.count(spatial), given, strict=True)):
        call.require_equal(count, size, f"windows along spatial axis {axis} of {spatial}")


def _infer_input_gradient(call: Inference) -> TensorType:
    g, w = call.types
    last, spatial = call.attrs["channels_last"], call.attrs["spatial"]
    _check(call, g.ndim, w.ndim, len(spatial) + 2)
    batch, channels, given = image_sizes(g, last)
    outer, inner, kernel = filter_sizes(w, last)
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
    _check_count(call, windows_of(call.attrs, kernel), spatial, given)
    return TensorType(g.dtype, image_shape(batch, inner * groups, spatial, last))


def _infer_filter_gradient(call: Inference) -> TensorType:
    x, g = call.types
    last, kernel, groups = call.attrs["channels_last"], call.attrs["kernel"], call.attrs["groups"]
    _check(call, x.ndim, g.ndim, len(kernel) + 2)
    batch, channels, spatial = image_sizes(x, last)
    other, outer, given = image_sizes(g, last)
    inner = per_group(channels, groups)
    call.require_equal(batch, other, "batch sizes")
    _check_channels(call, channels, inner, outer)
    _check_count(call, windows_of(call.attrs, kernel), spatial, given)
    shape = (*kernel, inner, outer) if last else (outer, inner, *kernel)
    return TensorType(x.dtype, shape)


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
            found["spatial"] = image_sizes(tensor.type, last)[2]
        elif role == "w":
            found["kernel"] = filter_sizes(tensor.type, last)[2]
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

    return {"vjp": vjp, "jvp": jvp, "batch": batch_rule(roles), "traits": frozenset({"linear"})}


# --- lowering --------------------------------------------------------------------------------


def _setting(attrs: Attributes, kernel: Shape) -> Setting:
    return Setting(windows_of(attrs, kernel), attrs["groups"], attrs["channels_last"])


def _lower_convolution(b: Builder, x: Tensor, w: Tensor, **attrs: Any) -> Tensor:
    last, dtype = attrs["channels_last"], x.dtype
    setting = _setting(attrs, filter_sizes(w.type, last)[2])
    x, w, setting = _for_sums(b, (x, w), (x.ndim - 1, w.ndim - 2) if last else (1, 1), setting)
    return _rounded(b, convolve(b, x, w, setting), dtype)


def _lower_input_gradient(b: Builder, g: Tensor, w: Tensor, **attrs: Any) -> Tensor:
    last, dtype = attrs["channels_last"], g.dtype
    setting = _setting(attrs, filter_sizes(w.type, last)[2])
    g, w, setting = _for_sums(b, (g, w), (g.ndim - 1, w.ndim - 1) if last else (1, 0), setting)
    return _rounded(b, input_gradient(b, g, w, attrs["spatial"], setting), dtype)


def _lower_filter_gradient(b: Builder, x: Tensor, g: Tensor, **attrs: Any) -> Tensor:
    setting, dtype = _setting(attrs, attrs["kernel"]), x.dtype
    x, g, setting = _for_sums(b, (x, g), (0, 0), setting)
    return _rounded(b, filter_gradient(b, x, g, setting), dtype)


def _for_sums(
    b: Builder, operands: tuple[Tensor, Tensor], axes: tuple[int, int], setting: Setting
) -> tuple[Tensor, Tensor, Setting]:
    """Operands in half precision as they are multiplied, for sums in float32: widened, or as pairs
    along the axes that are summed. Matrix products take them as they are."""
    first, second = operands
    if not is_half(first.dtype) or setting.is_pointwise:
        return first, second, setting
    sizes = [one.shape[axis] for one, axis in zip(operands, axes, strict=True)]
    several = setting.groups == 1 and not any(size in (0, 1) for size in sizes)
    if first.dtype == bfloat16 and several and multiplies_pairs():
        first = BFLOAT16_PAIRS(first, axis=axes[0])
        second = BFLOAT16_PAIRS(second, axis=axes[1])
        return first, second, replace(setting, pairs=True)
    return b.astype(first, float32), b.astype(second, float32), setting


def _rounded(b: Builder, result: Tensor, dtype: DType) -> Tensor:
    return result if result.dtype == dtype else b.astype(result, dtype)


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


def _examples(roles: str) -> Callable[[Generator], list[Example]]:
    def examples(rng: Generator) -> list[Example]:
        return [_example(rng, roles, *case) for case in _cases()]

    return examples


def _example(
    rng: Generator,
    roles: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    attrs: dict[str, Any],
) -> Example:
    """Sizes that an op has as attributes are those of the case; a symbolic `g` must fit them."""
    last = attrs["channels_last"]
    spatial, kernel = (x[1:-1], w[:-2]) if last else (x[2:], w[2:])
    count = windows_of(attrs, kernel).count(spatial)
    shapes = {"x": x, "w": w, "g": image_shape(x[0], w[-1] if last else w[0], count, last)}
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
        reference=convolution_meaning,
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
        reference=input_gradient_meaning,
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
        reference=filter_gradient_meaning,
        lower=Composite(_lower_filter_gradient),
        examples=_examples("xgw"),
        defaults=DEFAULTS,
        **_rules("xgw"),
    )
)
