"""Slices: entries at regular steps along each axis, their gradient, and other values there."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.errors import IndexOutOfRange, ShapeError
from graphc.ir.batch import with_attributes
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import linear_jvp
from graphc.polynomials import Max
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Dim, Shape, Size, dim_max, dim_min, floor_div, lower_bound

__all__ = ["slice_gradient", "strided_slice"]


# --- the op: starts, sizes and steps for every axis --------------------------------------------


def _check_range(
    call: Inference, axis: int, size: Size, start: Size, count: Size, step: int
) -> None:
    """The first and the last entry that is read must lie in the axis."""
    if not isinstance(count, int) or count == 0:
        return  # a symbolic count comes from clipping
    last = start + (count - 1) * step
    needed = dim_max(size, dim_max(start, last) + 1, size - dim_min(start, last))
    read = f"index {start} is" if count == 1 else f"entries {start} to {last} are"
    text = f"{read} out of range for axis {axis} of size {size}"
    call.require_equal(size, needed, text, error=IndexOutOfRange)


def _infer_slice(call: Inference) -> TensorType:
    (x,), attrs = call.types, call.attrs
    for axis, size in enumerate(x.shape):
        _check_range(
            call, axis, size, attrs["starts"][axis], attrs["sizes"][axis], attrs["steps"][axis]
        )
    return TensorType(x.dtype, attrs["sizes"])


def _python_slices(attrs: Attributes, sizes: Sequence[int]) -> tuple[slice, ...]:
    """numpy's slices; all attributes are ints here."""
    slices = []
    for start, count, step in zip(attrs["starts"], sizes, attrs["steps"], strict=True):
        stop = start + count * step
        slices.append(
            slice(0, 0) if count == 0 else slice(start, stop if stop >= 0 else None, step)
        )
    return tuple(slices)


def _lower_slice(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    starts, steps = context.attrs["starts"], context.attrs["steps"]
    return context.read(
        0,
        tuple(
            s.add(Index(start), s.mul(item, Index(step)))
            for item, start, step in zip(index, starts, steps, strict=True)
        ),
    )


def _vjp_slice(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    starts, steps = a.attrs["starts"], a.attrs["steps"]
    return [b.slice_gradient(gradients[0], a.inputs[0].shape, starts, steps)]


def _slice_examples(rng: Generator) -> list[Example]:
    builds: list[tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = [
        (lambda x: x[1:], (7,)),
        (lambda x: x[::-1], (5,)),
        (lambda x: x[3:3], (5,)),
        (lambda x: x[2:], (1,)),
        (lambda x: x[::2], (0,)),
        (lambda x: x[-2], (4,)),
        (lambda x: x[1:-1, ::2], (4, 7)),
        (lambda x: x[-1:0:-3, None, ..., 1], (8, 2, 3)),
        (lambda x: x[..., -3:], (2, 0, 5)),
        (lambda x: x[:2, ::-2], (1, 6)),
        (lambda x: x[: x.shape[0] // 2], (9,)),
    ]
    return [Example(build, (rng.normal(size=shape),)) for build, shape in builds]


SLICE = register(
    OpDef(
        "slice",
        infer=_infer_slice,
        reference=lambda attrs, x: x[_python_slices(attrs, attrs["sizes"])].copy(),
        lower=IndexMap(_lower_slice),
        vjp=_vjp_slice,
        jvp=linear_jvp,
        batch=with_attributes(
            lambda batch: {
                "starts": (0, *batch.attrs["starts"]),
                "sizes": (batch.size, *batch.attrs["sizes"]),
                "steps": (1, *batch.attrs["steps"]),
            }
        ),
        traits=frozenset({"linear", "view"}),
        parts=partwise,
        examples=_slice_examples,
    )
)


@public
def strided_slice(
    x: Any, starts: Sequence[Size], sizes: Sequence[Size], steps: Sequence[int] | None = None
) -> Tensor:
    """The entries `starts[k] + i * steps[k]`, `0 <= i < sizes[k]`, of each axis `k`.

    Nothing is clipped: IndexOutOfRange for positions outside an axis, FeedError at the call where
    a number of entries is symbolic. Steps are 1 if left out and may be negative.
    """
    tensor, needed = as_tensor(x), list[Size]()
    groups = zip(tensor.shape, starts, sizes, steps or (1,) * tensor.ndim, strict=False)
    for size, start, count, step in groups:
        ends = _reach(size, start, count, step)
        known = isinstance(count, int) or _is_whole(start, step, count, size)
        needed.append(size if known else dim_max(size, ends))
    if len(needed) == tensor.ndim:
        tensor = BUILDER.reshape(tensor, needed)  # a shape that x has if all entries are there
    return slice_within(tensor, starts, sizes, steps)


@public
def slice_within(
    x: Any, starts: Sequence[Size], sizes: Sequence[Size], steps: Sequence[int] | None = None
) -> Tensor:
    """`strided_slice` for callers who know that a symbolic number of entries is there."""
    tensor = as_tensor(x)
    strides = (1,) * tensor.ndim if steps is None else tuple(steps)
    given = (tuple(starts), tuple(sizes), strides)
    if any(len(group) != tensor.ndim for group in given) or 0 in strides:
        raise ShapeError(
            f"strided_slice: one start, size and step (not 0) for each of {tensor.ndim} axes",
            details=[f"starts {given[0]}, sizes {given[1]}, steps {given[2]}"],
            source=current_source(),
            fix="give a list of ints for starts, sizes and steps",
        )
    if given == ((0,) * tensor.ndim, tensor.shape, (1,) * tensor.ndim):
        return tensor
    return SLICE(tensor, starts=given[0], sizes=given[1], steps=strides)


# --- its gradient ----------------------------------------------------------------------------


def _infer_slice_gradient(call: Inference) -> TensorType:
    (values,), attrs = call.types, call.attrs
    _check_places(call, values.shape, attrs["shape"])
    return TensorType(values.dtype, attrs["shape"])


def _check_places(call: Inference, counts: Shape, shape: Shape) -> None:
    """All values must have a place, for they are written there."""
    starts, steps = call.attrs["starts"], call.attrs["steps"]
    if not len(counts) == len(shape) == len(starts) == len(steps):
        raise ShapeError(f"{call.op}: values of {len(counts)} axes in one of {len(shape)}")
    for axis, (size, start, count, step) in enumerate(
        zip(shape, starts, counts, steps, strict=True)
    ):
        if isinstance(count, int):
            _check_range(call, axis, size, start, count, step)
        elif not _surely_fits(size, start, count, step):
            needed = dim_max(size, _reach(size, start, count, step))
            text = f"{count} values from {start} in steps of {step} do not fit axis {axis}"
            call.require_equal(size, needed, text, error=IndexOutOfRange)


def _reach(size: Size, start: Size, count: Size, step: int) -> Size:
    """The size that an axis needs for so many entries; more than it has for those below 0."""
    last, some = start + (count - 1) * step, dim_min(count, 1)
    high, low = dim_max(start, last) + 1, dim_min(start, last)
    return dim_max(high * some, (size - low) * some)


def _surely_fits(size: Size, start: Size, count: Size, step: int) -> bool:
    """Whether that is known: where there are entries, max(count, 0) is count."""
    if _is_whole(start, step, count, size):
        return True
    cases = [count]
    atoms = tuple(count.atoms()) if isinstance(count, Dim) else ()
    if len(atoms) == 1 and isinstance(atoms[0], Max):
        cases += [one for one in atoms[0].sizes if dim_max(one, 0) == count]
    for one in cases:
        last = start + (one - 1) * step
        low, high = (start, last) if step > 0 else (last, start)
        rooms = [lower_bound(room) for room in (low, size - 1 - high)]
        if all(room is not None and room >= 0 for room in rooms):
            return True
    return False


def _reference_slice_gradient(attrs: Attributes, values: np.ndarray) -> np.ndarray:
    result = np.zeros(attrs["shape"], dtype=values.dtype)
    result[_python_slices(attrs, values.shape)] = values
    return result


def _is_whole(start: Size, step: int, count: Size, size: Size) -> bool:
    """Whether the values fill the axis as they are."""
    return start == 0 and step == 1 and count == size


def has_entries(
    values: Tensor | TensorType, shape: Shape, starts: Sequence[Size], steps: Sequence[int]
) -> bool:
    """Whether values have entries for any sizes, along the axes along which they fill a part."""
    rows = zip(starts, steps, values.shape, shape, strict=True)
    return all(_is_whole(*row) or (lower_bound(row[2]) or 0) >= 1 for row in rows)


def _lower_slice_gradient(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    zero = s.constant(0, context.inputs[0].dtype)
    return _value_there(context, 0, context.attrs["shape"], index, zero)


def _value_there(
    context: LoweringContext, number: int, shape: Shape, index: tuple[Expr, ...], otherwise: Expr
) -> Expr:
    """values[(i - start) / step] of input `number`, where it has such an entry; else otherwise."""
    attrs, values = context.attrs, context.inputs[number]
    assert has_entries(values, shape, attrs["starts"], attrs["steps"])  # see passes/pieces.py
    conditions: list[Expr] = []
    guarded: list[int] = []
    picked: list[Expr] = []
    for axis, item in enumerate(index):
        start, step, count = attrs["starts"][axis], attrs["steps"][axis], values.shape[axis]
        if _is_whole(start, step, count, shape[axis]):
            picked.append(item)
            continue
        guarded.append(axis)
        position = s.sub(item, Index(start)) if step > 0 else s.sub(Index(start), item)
        if count != 1 and abs(step) != 1:
            distance, stride = position, Index(abs(step))
            position = _floor_div(distance, abs(step))
            conditions.append(s.eq(s.mul(position, stride), distance))
        picked.append(position)
    return context.read_within(number, tuple(picked), guarded, otherwise, conditions)


def _floor_div(x: Expr, divisor: int) -> Expr:
    if isinstance(x, Index):
        return Index(floor_div(x.size, divisor))
    return s.floordiv(x, Index(divisor))


def _vjp_slice_gradient(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    starts, steps = a.attrs["starts"], a.attrs["steps"]
    return [b.slice_within(gradients[0], starts, a.inputs[0].shape, steps)]


SLICE_GRADIENT = register(
    OpDef(
        "slice_gradient",
        infer=_infer_slice_gradient,
        reference=_reference_slice_gradient,
        lower=IndexMap(_lower_slice_gradient),
        vjp=_vjp_slice_gradient,
        jvp=linear_jvp,
        batch=with_attributes(
            lambda batch: {
                "shape": (batch.size, *batch.attrs["shape"]),
                "starts": (0, *batch.attrs["starts"]),
                "steps": (1, *batch.attrs["steps"]),
            }
        ),
        traits=frozenset({"linear"}),
        parts=partwise,
        examples=lambda rng: [
            Example(lambda x: slice_gradient(x, (9,), (1,), (2,)), (rng.normal(size=(4,)),)),
            Example(lambda x: slice_gradient(x, (9,), (8,), (-3,)), (rng.normal(size=(3,)),)),
            Example(
                lambda x: slice_gradient(x, (2, 5), (0, 4), (1, -1)), (rng.normal(size=(2, 5)),)
            ),
            Example(lambda x: slice_gradient(x, (6,), (0,), (1,)), (rng.normal(size=(0,)),)),
            Example(
                lambda x: slice_gradient(x, (1, 3), (0, 1), (1, 1)), (rng.normal(size=(1, 1)),)
            ),
        ],
    )
)


@public
def slice_gradient(
    values: Any, shape: Sequence[Size], starts: Sequence[Size], steps: Sequence[int]
) -> Tensor:
    """Zeros of `shape` with `values` at the positions that a slice reads: its transpose.

    IndexOutOfRange for positions outside of the shape, at the call where sizes are symbolic.
    """
    tensor = as_tensor(values)
    sizes, first, strides = tuple(shape), tuple(starts), tuple(steps)
    placed = [
        axis
        for axis, count in enumerate(tensor.shape)
        if not _is_whole(first[axis], strides[axis], count, sizes[axis])
    ]
    if not placed:
        return tensor
    return SLICE_GRADIENT(tensor, shape=sizes, starts=first, steps=strides)


# --- other values in the place of a slice --------------------------------------------------------


def _infer_update_slice(call: Inference) -> TensorType:
    x, values = call.types
    if values.dtype != x.dtype or values.ndim != x.ndim:
        raise ShapeError(f"update_slice: values {values} for a slice of {x}")
    _check_places(call, values.shape, x.shape)
    return x


def _reference_update_slice(attrs: Attributes, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    result = x.copy()
    result[_python_slices(attrs, values.shape)] = values
    return result


def _lower_update_slice(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    return _value_there(context, 1, context.inputs[0].shape, index, context.read(0, index))


def _vjp_update_slice(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    (_, values), (gradient,) = a.inputs, gradients
    starts, steps = a.attrs["starts"], a.attrs["steps"]
    return [
        b.update_slice(gradient, b.zeros_like(values), starts, steps) if a.wants(0) else None,
        b.slice_within(gradient, starts, values.shape, steps) if a.wants(1) else None,
    ]


def _jvp_update_slice(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if all(tangent is None for tangent in tangents):
        return [None]
    pairs = zip(a.inputs, tangents, strict=True)
    parts = [b.zeros_like(value) if tangent is None else tangent for value, tangent in pairs]
    return [b.update_slice(*parts, a.attrs["starts"], a.attrs["steps"])]


def _update_slice_examples(rng: Generator) -> list[Example]:
    cases: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
        ((9,), (4,), (1,), (2,)),
        ((9,), (3,), (8,), (-3,)),
        ((5, 7), (5, 2), (0, 3), (1, 1)),
        ((4, 40), (2, 37), (1, 2), (1, 1)),
        ((6,), (1,), (5,), (1,)),
        ((3, 1), (2, 1), (2, 0), (-2, 1)),
    ]
    return [
        Example(
            lambda x, v, starts=starts, steps=steps: update_slice(x, v, starts, steps),
            (rng.normal(size=shape), rng.normal(size=part)),
        )
        for shape, part, starts, steps in cases
    ]


UPDATE_SLICE = register(
    OpDef(
        "update_slice",
        infer=_infer_update_slice,
        reference=_reference_update_slice,
        lower=IndexMap(_lower_update_slice),
        vjp=_vjp_update_slice,
        jvp=_jvp_update_slice,
        batch=with_attributes(
            lambda batch: {
                "starts": (0, *batch.attrs["starts"]),
                "steps": (1, *batch.attrs["steps"]),
            }
        ),
        parts=partwise,
        examples=_update_slice_examples,
    )
)


@public
def update_slice(x: Any, values: Any, starts: Sequence[Size], steps: Sequence[int]) -> Tensor:
    """x with `values`, of its dtype, at the positions that a slice reads."""
    old, new, place = as_tensor(x), as_tensor(values), (tuple(starts), tuple(steps))
    return UPDATE_SLICE(old, new, starts=place[0], steps=place[1])
