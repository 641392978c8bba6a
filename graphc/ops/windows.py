"""Windows over axes of a tensor as axes of their own, and the transpose: overlapping sums."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from graphc.dtypes import float64, is_floating
from graphc.errors import ShapeError
from graphc.ir.arguments import AxisLike, checked_axes
from graphc.ir.batch import Batch, moved
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Composite, IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ir.windows import Windows, numbers, window_sizes
from graphc.ops.definition import ANY_REAL, REAL, check_dtype, linear_jvp
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Shape, Size, ceil_div, dim_max, evaluate, floor_div

__all__ = ["overlapping_sum", "sliding_windows"]


def _windows(attrs: Attributes, kernel: Shape) -> Windows:
    return Windows(kernel, attrs["stride"], attrs["dilation"], ((0, 0),) * len(kernel))


def along(shape: Shape, axes: Sequence[int], sizes: Sequence[Size]) -> Shape:
    """The shape with other sizes along the axes."""
    found = list(shape)
    for axis, size in zip(axes, sizes, strict=True):
        found[axis] = size
    return tuple(found)


# --- windows ---------------------------------------------------------------------------------


def _infer_windows(call: Inference) -> TensorType:
    (x,), axes, kernel = call.types, call.attrs["axes"], call.attrs["kernel"]
    check_dtype(call.op, x.dtype, ANY_REAL)
    windows, sizes = _windows(call.attrs, kernel), tuple(x.shape[axis] for axis in axes)
    count = windows.count(sizes) if call.attrs["may_be_none"] else windows.check(call, sizes)
    return TensorType(x.dtype, (*kernel, *along(x.shape, axes, count)))


def _reference_windows(attrs: Attributes, x: np.ndarray) -> Any:
    axes, kernel = attrs["axes"], attrs["kernel"]
    sizes = tuple(x.shape[axis] for axis in axes)
    count = [evaluate(size, {}) for size in _windows(attrs, kernel).count(sizes)]
    out = np.empty((*kernel, *along(x.shape, axes, count)), x.dtype)
    for tap in product(*map(range, kernel)):
        out[tap] = x[under(attrs, tap, count, x.ndim)]
    return out


def under(
    attrs: Attributes, tap: Sequence[int], count: Sequence[int], ndim: int
) -> tuple[slice, ...]:
    """What lies under a tap in all windows."""
    found = [slice(None)] * ndim
    for axis, k, n, step, d in zip(
        attrs["axes"], tap, count, attrs["stride"], attrs["dilation"], strict=True
    ):
        found[axis] = slice(k * d, k * d + max(0, (n - 1) * step + 1), step)
    return tuple(found)


def _lower_windows(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    attrs = context.attrs
    taps, place = index[: len(attrs["axes"])], list(index[len(attrs["axes"]) :])
    for axis, tap, step, d in zip(
        attrs["axes"], taps, attrs["stride"], attrs["dilation"], strict=True
    ):
        place[axis] = s.add(s.mul(place[axis], Index(step)), s.mul(tap, Index(d)))
    return context.read(0, tuple(place))


def _batch_windows(batch: Batch) -> Sequence[Tensor]:
    """The axes of the window come first in the result."""
    axes = batch.attrs["axes"]
    (found,) = batch.apply(batch.inputs, axes=tuple(axis + 1 for axis in axes))
    return [moved(found, len(axes), 1, 0)]


def _batch_sums(batch: Batch) -> Sequence[Tensor]:
    """The axes of the window come first in the windows."""
    axes = batch.attrs["axes"]
    windows = moved(batch.inputs[0], 0, 1, len(axes))
    return batch.apply([windows], axes=tuple(axis + 1 for axis in axes))


def _shared(attrs: Attributes) -> dict[str, Any]:
    return {name: attrs[name] for name in ("axes", "stride", "dilation")}


def _vjp_windows(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    assert gradients[0] is not None
    sizes = tuple(a.inputs[0].shape[axis] for axis in a.attrs["axes"])
    return [OVERLAPPING_SUM(gradients[0], sizes=sizes, **_shared(a.attrs))]


Case = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int]

# shape of x, axes, kernel, stride, dilation
CASES: tuple[Case, ...] = (
    ((5,), (0,), (2,), 1, 1),
    ((2, 6, 7), (1, 2), (2, 3), 2, 1),
    ((8, 1), (0,), (2,), 2, 3),
    ((3, 0, 4), (2,), (4,), 3, 1),
)


def _window_examples(rng: Generator) -> list[Example]:
    def example(case: Case) -> Example:
        shape, axes, kernel, stride, dilation = case
        return Example(
            lambda x: sliding_windows(x, kernel, axes, stride=stride, dilation=dilation),
            (rng.normal(size=shape),),
        )

    return [example(case) for case in CASES]


SLIDING_WINDOWS = register(
    OpDef(
        "sliding_windows",
        infer=_infer_windows,
        reference=_reference_windows,
        lower=IndexMap(_lower_windows),
        batch=_batch_windows,
        vjp=_vjp_windows,
        jvp=linear_jvp,
        traits=frozenset({"linear"}),
        examples=_window_examples,
        # may_be_none: x may be too short for a window, by less than a stride.
        defaults={"may_be_none": False},
    )
)


@public
def sliding_windows(
    x: Any,
    window: Size | Sequence[Size],
    axis: AxisLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """All windows that lie within x: out[k.., i..] = x[stride*i + dilation*k ..].

    x: any shape, any dtype but complex ones. window: its size along each axis of `axis` (all axes
    for None). Result: the axes of the window first, then those of x, with
    floor((n - dilation*(k - 1) - 1)/stride) + 1 entries along `axis`. Nothing is copied where a
    reduction reads it.
    ShapeError, at build or at the call, where the window is larger than x.
    """
    tensor = as_tensor(x)
    axes = checked_axes("sliding_windows", axis, tensor.ndim)
    count = len(axes)
    kernel = window_sizes("sliding_windows", "window", window, count)
    steps = numbers("sliding_windows", "stride", stride, count)
    gaps = numbers("sliding_windows", "dilation", dilation, count)
    return SLIDING_WINDOWS(
        tensor, axes=axes, kernel=kernel, stride=steps, dilation=gaps, may_be_none=False
    )


# --- overlapping sums ------------------------------------------------------------------------


def _infer_sum(call: Inference) -> TensorType:
    (windows,), axes, sizes = call.types, call.attrs["axes"], call.attrs["sizes"]
    check_dtype(call.op, windows.dtype, REAL)
    kernel, shape = windows.shape[: len(axes)], windows.shape[len(axes) :]
    for axis, count in zip(axes, _windows(call.attrs, kernel).count(sizes), strict=True):
        call.require_equal(shape[axis], count, f"windows along axis {axis} of size {sizes}")
    return TensorType(windows.dtype, along(shape, axes, sizes))


def _reference_sum(attrs: Attributes, windows: np.ndarray) -> Any:
    """Floats are summed in float64 and rounded once."""
    axes = attrs["axes"]
    kernel, shape = windows.shape[: len(axes)], windows.shape[len(axes) :]
    count = [shape[axis] for axis in axes]
    wide = float64 if is_floating(windows.dtype) else windows.dtype
    out = np.zeros(along(shape, axes, attrs["sizes"]), wide)
    for tap in product(*map(range, kernel)):
        out[under(attrs, tap, count, out.ndim)] += windows[tap]
    return out.astype(windows.dtype)


def _lower_sum(b: Builder, windows: Tensor, **attrs: Any) -> Tensor:
    """Each entry is a sum over the windows that it lies in, which are next to each other."""
    axes, count = attrs["axes"], len(attrs["axes"])
    kernel = windows.shape[:count]
    stride, dilation = list(attrs["stride"]), attrs["dilation"]
    widths: list[tuple[Size, Size]] = [(0, 0)] * windows.ndim
    turns: list[Size] = []
    for number, (axis, size) in enumerate(zip(axes, attrs["sizes"], strict=True)):
        place = count + axis
        if stride[number] > 1 and dilation[number] > 1:
            whole = _not_negative(size - dilation[number] * (kernel[number] - 1))
            windows = _spread(b, windows, place, stride[number], whole)
            stride[number] = 1
        step = stride[number]
        turn = ceil_div(kernel[number], step)
        reach = (turn - 1) * dilation[number]
        widths[number] = (0, _not_negative(turn * step - kernel[number]))
        behind = ceil_div(size, step) - windows.shape[place]
        widths[place] = (_not_negative(reach), _not_negative(behind))
        turns.append(turn)
    if any(pair != (0, 0) for pair in widths):
        windows = b.pad(windows, widths)
    terms = WINDOW_TERMS(
        windows,
        axes=axes,
        sizes=attrs["sizes"],
        stride=tuple(stride),
        dilation=dilation,
        turns=tuple(turns),
    )
    return b.sum(terms, axis=tuple(range(count)), dtype=terms.dtype)


def _spread(b: Builder, windows: Tensor, place: int, step: int, whole: Size) -> Tensor:
    """Zeros between the windows, so that their stride is 1."""
    shape = (*windows.shape[:place], whole, *windows.shape[place + 1 :])
    steps = [1] * windows.ndim
    steps[place] = step
    return b.slice_gradient(windows, shape, (0,) * windows.ndim, tuple(steps))


def _not_negative(width: Size) -> Size:
    return width if isinstance(width, int) else dim_max(width, 0)


def _vjp_sum(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    assert gradients[0] is not None
    kernel = a.inputs[0].shape[: len(a.attrs["axes"])]
    return [SLIDING_WINDOWS(gradients[0], kernel=kernel, may_be_none=True, **_shared(a.attrs))]


def _sum_examples(rng: Generator) -> list[Example]:
    def example(case: Case) -> Example:
        shape, axes, kernel, stride, dilation = case
        attrs: dict[str, Any] = {
            "axes": axes,
            "stride": (stride,) * len(axes),
            "dilation": (dilation,) * len(axes),
        }
        sizes = tuple(shape[axis] for axis in axes)
        count = [evaluate(size, {}) for size in _windows(attrs, kernel).count(sizes)]
        values = rng.normal(size=(*kernel, *along(shape, axes, count)))
        return Example(lambda x: OVERLAPPING_SUM(x, sizes=sizes, **attrs), (values,))

    return [example(case) for case in CASES]


OVERLAPPING_SUM = register(
    OpDef(
        "overlapping_sum",
        infer=_infer_sum,
        reference=_reference_sum,
        lower=Composite(_lower_sum),
        batch=_batch_sums,
        vjp=_vjp_sum,
        jvp=linear_jvp,
        traits=frozenset({"linear"}),
        examples=_sum_examples,
    )
)


@public
def overlapping_sum(
    windows: Any,
    sizes: Size | Sequence[Size],
    axis: AxisLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The transpose of `sliding_windows`: each window added in its place.

    windows: the axes of the window first, then those of the result, as `sliding_windows` gives
    them. sizes: of the result along `axis` (all its axes for None).
    ShapeError, at build or at the call, where the number of windows does not fit.
    """
    tensor = as_tensor(windows)
    rank = tensor.ndim // 2 if axis is None else None
    if rank is None:
        rank = tensor.ndim - len(axis if isinstance(axis, Sequence) else (axis,))
    axes = checked_axes("overlapping_sum", axis, rank)
    count = len(axes)
    if tensor.ndim != rank + count:
        raise ShapeError(
            f"overlapping_sum: {tensor.type} has no {count} axes of windows before {rank} others",
            source=current_source(),
            fix="give the axes that windows slide along",
        )
    return OVERLAPPING_SUM(
        tensor,
        axes=axes,
        sizes=window_sizes("overlapping_sum", "sizes", sizes, count),
        stride=numbers("overlapping_sum", "stride", stride, count),
        dilation=numbers("overlapping_sum", "dilation", dilation, count),
    )


# --- the terms of an overlapping sum ---------------------------------------------------------


def _infer_terms(call: Inference) -> TensorType:
    (x,), attrs = call.types, call.attrs
    shape = x.shape[len(attrs["axes"]) :]
    return TensorType(x.dtype, (*attrs["turns"], *along(shape, attrs["axes"], attrs["sizes"])))


def _reference_places(attrs: Attributes, number: int, turn: Any, place: Any) -> tuple[Any, Any]:
    """(tap, window) of an entry in its turn-th window."""
    step, gap, turns = attrs["stride"][number], attrs["dilation"][number], attrs["turns"][number]
    if step == 1:
        return turn, place + (turns - 1 - turn) * gap
    return place % step + turn * step, place // step + (turns - 1 - turn)


def _reference_terms(attrs: Attributes, x: np.ndarray) -> Any:
    axes, count = attrs["axes"], len(attrs["axes"])
    shape = (*attrs["turns"], *along(x.shape[count:], axes, attrs["sizes"]))
    index = list(np.indices(shape, sparse=True))
    picked = list(index)
    for number, axis in enumerate(axes):
        picked[number], picked[count + axis] = _reference_places(
            attrs, number, index[number], index[count + axis]
        )
    return x[tuple(picked)]


def _lower_terms(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    """As `_reference_places`, of indices that may be expressions: a reshape can be read through."""
    attrs, count = context.attrs, len(context.attrs["axes"])
    picked = list(index)
    for number, axis in enumerate(attrs["axes"]):
        turn, place = index[number], index[count + axis]
        step, gap, turns = (attrs[name][number] for name in ("stride", "dilation", "turns"))
        left = s.sub(Index(turns - 1), turn)
        if step == 1:
            picked[count + axis] = s.add(place, s.mul(left, Index(gap)))
            continue
        if isinstance(place, Index):
            quotient: Expr = Index(floor_div(place.size, step))
        else:
            quotient = s.floordiv(place, Index(step))
        within = s.sub(place, s.mul(quotient, Index(step)))
        picked[number] = s.add(within, s.mul(turn, Index(step)))
        picked[count + axis] = s.add(quotient, left)
    return context.read(0, tuple(picked))


def _term_examples(rng: Generator) -> list[Example]:
    def example(shape: tuple[int, ...], stride: int, dilation: int, turns: int) -> Example:
        attrs = {"axes": (0,), "sizes": (6,), "stride": (stride,), "dilation": (dilation,)}
        return Example(
            lambda x: WINDOW_TERMS(x, turns=(turns,), **attrs), (rng.normal(size=shape),)
        )

    return [example((4, 4, 2), 2, 1, 2), example((3, 10), 1, 2, 3)]


WINDOW_TERMS = register(
    OpDef(
        "window_terms",
        infer=_infer_terms,
        reference=_reference_terms,
        lower=IndexMap(_lower_terms),
        traits=frozenset({"nondifferentiable"}),  # made after differentiation
        examples=_term_examples,
    )
)
