"""Entries written where integer tensors say: the counterpart of `gather`.

x itself is never changed: the result is a new value. Updates happen one after the other, in the
row-major order of the indices, so that the last of several to one entry wins with mode "set".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import is_bool, is_complex, result_type
from graphc.errors import DTypeError, ParameterError, ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.batch import Batch, moved
from graphc.ir.indices import checked_index_group, checked_indices, picked_shape, positions_of
from graphc.ir.leaf import CONSTANT, as_tensor
from graphc.ir.lowering import IndexCheck, LoweringContext, Scatter
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import convert, is_weak
from graphc.shapes import Dim, Shape, broadcast_shapes, size_product

__all__ = ["put_along_axis", "scatter"]

MODES = ("set", "add", "multiply", "min", "max")


def _infer_scatter(call: Inference) -> TensorType:
    (x, values, *indices), axes = call.types, call.attrs["axes"]
    picked = picked_shape(x.shape, axes, call.broadcast([index.shape for index in indices]))
    if values.dtype != x.dtype:
        raise DTypeError(f"scatter: values {values} for {x}", code="E214")
    if is_complex(x.dtype) and call.attrs["mode"] not in ("set", "add"):
        mode = call.attrs["mode"]
        raise DTypeError(
            f"scatter: mode {mode!r} is not for {x.dtype.name}",
            code="E214",
            fix="use set or add; for products gather, multiply, and set",
        )
    if values.ndim != len(picked):
        raise ShapeError(f"scatter: values {values} differ in rank from what is indexed")
    for axis, (given, needed) in enumerate(zip(values.shape, picked, strict=True)):
        call.require_equal(given, needed, f"values and what is indexed, axis {axis}")
    return x


def _reference_scatter(
    attrs: Attributes, x: np.ndarray, values: np.ndarray, *indices: np.ndarray
) -> np.ndarray:
    axes, mode = attrs["axes"], attrs["mode"]
    result = x.copy()
    picks = np.broadcast_arrays(
        *(positions_of(i, x.shape[a]) for i, a in zip(indices, axes, strict=True))
    )
    count = picks[0].ndim
    rows = np.moveaxis(result, axes, range(len(axes)))
    moved = np.moveaxis(values, range(axes[0], axes[0] + count), range(count))
    if mode == "set":
        rows[tuple(picks)] = moved
        return result
    combine = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}[mode]
    combine.at(rows, tuple(picks), moved)
    return result


# --- derivatives -------------------------------------------------------------------------------


def _index_shape(a: Application) -> Shape:
    _, values, *indices = a.inputs
    first, count = a.attrs["axes"][0], max(index.ndim for index in indices)
    return values.shape[first : first + count]


def _picked(b: Builder, a: Application, tensor: Tensor) -> Tensor:
    """The entries of `tensor`, of the shape of x, that the updates go to."""
    return b.gather(tensor, a.inputs[2:], a.attrs["axes"])


def _are_distinct(a: Application) -> bool:
    """Whether it is known that no two updates go to one entry."""
    x, _, *indices = a.inputs
    if size_product(_index_shape(a)) in (0, 1):
        return True
    if not all(index.node.op is CONSTANT for index in indices):
        return False
    picks: list[np.ndarray] = []
    for axis, index in zip(a.attrs["axes"], indices, strict=True):
        size, values = x.shape[axis], index.node.attrs["value"]
        if isinstance(size, int):
            values = positions_of(values, size)
        elif values.min(initial=0) < 0 <= values.max(initial=-1):
            return False  # -1 and 3 may be one entry
        picks.append(values)
    broadcast = np.broadcast_arrays(*picks)
    entries = np.stack([pick.reshape(-1) for pick in broadcast], axis=1)
    return len(np.unique(entries, axis=0)) == len(entries)


def _numbers(b: Builder, shape: Shape, behind: int) -> Tensor:
    """The updates counted in order, with `behind` axes of size 1 after those of the indices."""
    return b.reshape(b.arange(size_product(shape)), (*shape, *(1,) * behind))


def _last(b: Builder, a: Application) -> Tensor | None:
    """Which updates are the last of their entry; None if all are."""
    if _are_distinct(a):
        return None
    x, values, *indices = a.inputs
    axes, shape = a.attrs["axes"], _index_shape(a)
    number = _numbers(b, shape, 0)
    own = tuple(range(len(axes)))
    none = b.full([x.shape[axis] for axis in axes], 0, dtype="int64")
    last = b.gather(b.scatter(none, indices, number, own), indices, own) == number
    behind = values.ndim - axes[0] - len(shape)
    return b.reshape(last, (*shape, *(1,) * behind))


def _deciding(b: Builder, a: Application) -> Tensor:
    """Which updates made an entry of a minimum or maximum what it is: the first of equals."""
    x, values, *indices = a.inputs
    axes, shape = a.attrs["axes"], _index_shape(a)
    result, before = _picked(b, a, a.output), _picked(b, a, x)
    reached = b.logical_and(values == result, before != result)
    number = _numbers(b, shape, values.ndim - axes[0] - len(shape))
    beyond = size_product(shape)
    order = b.where(reached, number, beyond)
    first = b.scatter(b.full(x.shape, beyond, dtype="int64"), indices, order, axes, mode="min")
    return b.logical_and(reached, _picked(b, a, first) == number)


def _factors(b: Builder, a: Application) -> Tensor:
    x, values, *indices = a.inputs
    return b.scatter(b.ones_like(x), indices, values, a.attrs["axes"], mode="multiply")


def _without_own(b: Builder, a: Application) -> Tensor:
    """For each factor, what its entry of the result would be without it."""
    x, values, *indices = a.inputs
    if _are_distinct(a):
        return _picked(b, a, x)
    axes, zero = a.attrs["axes"], values == 0
    # Zeros are counted: they cannot be divided by.
    safe = b.where(zero, 1, values)
    product = x * b.scatter(b.ones_like(x), indices, safe, axes, mode="multiply")
    count = b.full(x.shape, 0, dtype="int64")
    count = b.scatter(count, indices, b.astype(zero, "int64"), axes, mode="add")
    others = _picked(b, a, count) - b.astype(zero, "int64")
    return b.where(others > 0, 0, _picked(b, a, product) / safe)


def _vjp_scatter(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    x, values, *indices = a.inputs
    axes, mode, gradient = a.attrs["axes"], a.attrs["mode"], gradients[0]
    assert gradient is not None
    by_x: Tensor | None = gradient
    by_values: Tensor | None = None
    if a.wants(0) and mode == "set":
        by_x = b.scatter(gradient, indices, b.zeros_like(values), axes)
    elif a.wants(0) and mode == "multiply":
        by_x = gradient * _factors(b, a)
    elif a.wants(0) and mode in ("min", "max"):
        by_x = b.where(x == a.output, gradient, 0)
    if a.wants(1) and mode == "multiply":
        by_values = _picked(b, a, gradient) * _without_own(b, a)
    elif a.wants(1):
        by_values = _picked(b, a, gradient)
        counts = {"set": _last, "min": _deciding, "max": _deciding}.get(mode)
        chosen = None if counts is None else counts(b, a)
        by_values = by_values if chosen is None else b.where(chosen, by_values, 0)
    return [by_x, by_values, *(None for _ in indices)]


def _jvp_scatter(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    (x, values, *indices), (of_x, of_values, *_) = a.inputs, tangents
    axes, mode = a.attrs["axes"], a.attrs["mode"]
    if of_x is None and of_values is None:
        return [None]
    base = b.zeros_like(x) if of_x is None else of_x
    if mode == "set":
        of_values = b.zeros_like(values) if of_values is None else of_values
        return [b.scatter(base, indices, of_values, axes)]
    if mode == "multiply":
        base = base if of_x is None else base * _factors(b, a)
        if of_values is not None:
            of_values = of_values * _without_own(b, a)
    elif mode in ("min", "max"):
        base = base if of_x is None else b.where(x == a.output, base, 0)
        if of_values is not None:
            of_values = b.where(_deciding(b, a), of_values, 0)
    if of_values is None:
        return [base]
    return [b.scatter(base, indices, of_values, axes, mode="add")]


# --- the op ------------------------------------------------------------------------------------


def _scatter_examples(rng: Generator) -> list[Example]:
    cases: list[tuple[tuple[int, ...], tuple[int, ...], tuple[Any, ...], tuple[int, ...]]] = [
        ((4,), (0,), ([0, -1, 2],), (3,)),
        ((4, 3), (0, 1), ([0, -1, 2], [1, 0, -3]), (3,)),
        ((2, 4, 3), (1,), ([3, 0],), (2, 2, 3)),
        ((2, 4, 3), (0, 2), ([[1], [0]], [-1, -3]), (2, 2, 4)),
        ((3, 2), (0, 1), ([], []), (0,)),
        ((1, 3), (0,), (0,), (3,)),
    ]
    examples = [
        Example(
            lambda x, v, i=i, axes=axes, mode=mode: scatter(x, i, v, axes, mode=mode),
            (rng.normal(size=shape), rng.normal(size=updates)),
        )
        for mode in MODES
        for shape, axes, i, updates in cases
    ]
    for mode in MODES:
        repeated = Example(
            lambda x, v, mode=mode: scatter(x, ([1, 0, -3, 1],), v, mode=mode),
            (rng.normal(size=(3, 2)), rng.normal(size=(4, 2))),
        )
        computed = Example(
            lambda x, v, i, mode=mode: scatter(x, (i.astype("int32"),), v, (1,), mode=mode),
            (
                rng.normal(size=(2, 3)),
                rng.normal(size=(2, 4)),
                rng.integers(-3, 3, size=4).astype(np.float64),
            ),
            differentiable=False,
        )
        examples += [repeated, computed]
    return examples


def _checks(context: LoweringContext) -> list[IndexCheck]:
    shape = context.inputs[0].shape
    return [IndexCheck(n, axis, shape[axis]) for n, axis in enumerate(context.attrs["axes"], 2)]


def _batch_scatter(batch: Batch) -> Sequence[Tensor]:
    """Where indices differ from example to example, so does the entry of the first axis."""
    axes = batch.attrs["axes"]
    own = tuple(axis + 1 for axis in axes)
    x, values = batch.whole(0), batch.whole(1)
    numbers = range(2, len(batch.inputs))
    if not any(map(batch.mapped, numbers)):
        return batch.apply([x, values, *batch.inputs[2:]], axes=own)
    count = max(batch.node.inputs[number].ndim for number in numbers)
    indices = [batch.numbers(count + 1), *(batch.aligned(number, count) for number in numbers)]
    return batch.apply([x, moved(values, axes[0] + 1, count, 1), *indices], axes=(0, *own))


SCATTER = register(
    OpDef(
        "scatter",
        infer=_infer_scatter,
        reference=_reference_scatter,
        lower=Scatter(),
        vjp=_vjp_scatter,
        jvp=_jvp_scatter,
        batch=_batch_scatter,
        parts=partwise,
        examples=_scatter_examples,
        index_checks=_checks,
    )
)


@public
def scatter(
    x: Any,
    indices: Sequence[Any],
    values: Any,
    axes: Sequence[int] | None = None,
    *,
    mode: str = "set",
) -> Tensor:
    """x with the entries that `gather(x, indices, axes)` picks replaced or combined with `values`.

    values: any shape that broadcasts to that of `gather(x, indices, axes)`, of the dtype of x.
    mode: set, add, multiply, min or max. Updates happen in the order of the indices: with "set" the
    last of several to one entry wins. Gradients: with min and max the first of equal numbers gets
    all, x before the values; with multiply no gradient by values where indices may repeat.
    """
    x = as_tensor(x)
    tensors, chosen = checked_index_group("scatter", x, indices, axes)
    updates = fitting_updates(x, values, mode)
    common = broadcast_shapes([t.shape for t in tensors], lambda a, b, axis: None)
    updates = BUILDER.broadcast_to(updates, picked_shape(x.shape, chosen, common))
    return SCATTER(x, updates, *tensors, axes=chosen, mode=mode)


@public
def fitting_updates(x: Tensor, values: Any, mode: str) -> Tensor:
    """`values` in the dtype of x; DTypeError if they do not fit it."""
    if mode not in MODES:
        raise ParameterError(
            f"scatter: mode={mode!r:.60}",
            source=current_source(),
            fix=f"mode is one of {', '.join(MODES)}",
        )
    given = values if is_weak(values) else as_tensor(values)
    if mode != "set" and is_bool(x.dtype):
        raise DTypeError(
            f"{mode}: not for bool",
            code="E214",
            source=current_source(),
            fix="use set, or cast: x.astype('int32')",
        )
    if isinstance(given, Tensor):
        own, name = result_type(x.dtype, given.dtype), given.dtype.name
    else:
        number = 1 if isinstance(given, Dim) else given
        own, name = result_type(x.dtype, number), type(given).__name__
    if own != x.dtype:
        raise DTypeError(
            f"{mode}: {name} does not fit into {x.type}",
            code="E214",
            source=current_source(),
            fix=f"cast it: values.astype('{x.dtype.name}'), or cast x first",
        )
    return convert(given, x.dtype)


@public
def put_along_axis(
    x: Any, indices: Any, values: Any, axis: int = -1, *, mode: str = "set"
) -> Tensor:
    """x with the entries that `take_along_axis(x, indices, axis)` picks set to `values`.

    indices: integers of the rank of x, which broadcasts against it but for `axis`. values: any
    shape that broadcasts to that of the indices. mode: as for `scatter`.
    """
    x = as_tensor(x)
    axis = checked_axis("put_along_axis", axis, x.ndim)
    tensor = checked_indices("put_along_axis", indices, axis, x.shape[axis])
    if tensor.ndim != x.ndim:
        raise ShapeError(
            f"put_along_axis: indices of {tensor.ndim} axes for {x.type}",
            source=current_source(),
            fix="indices need as many axes as x, for example labels[:, None]",
        )
    grid = [
        BUILDER.reshape(BUILDER.arange(size), (size, *(1,) * (x.ndim - 1 - other)))
        for other, size in enumerate(x.shape)
    ]
    grid[axis] = tensor
    return scatter(x, grid, values, mode=mode)
