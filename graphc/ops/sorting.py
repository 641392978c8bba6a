"""Order along an axis: sort, argsort, the k largest, and places in a sorted row."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from graphc.dtypes import bool_, float32, int8, int64, is_bool, is_floating, is_half
from graphc.errors import GraphcError, IndexOutOfRange, ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.batch import Batch, one_by_one, shifted
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Composite, Search, Sort
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.along_axis import added_at
from graphc.ops.definition import one_input, promote_inputs
from graphc.ops.sorting_network import is_worth_it, sorted_entries
from graphc.shapes import Dim, Size, dim_max, whole_number

SORTED = 256  # elements of a short row, of which a tenth is selected, or
FEW = 8
LONG = 4096  # elements of a long row, of which a quarter is
MANY = 256  # of a row of unknown length

__all__ = ["argsort", "lexsort", "searchsorted", "sort", "top_k"]

# --- sort ----------------------------------------------------------------------------------------


def _infer_sort(call: Inference) -> tuple[TensorType, TensorType]:
    (x,) = call.types
    checked_axis(call.op, call.attrs["axis"], len(x.shape))
    return x, TensorType(int64, x.shape)


def _reference_sort(attrs: Attributes, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Downwards, the row is sorted from its end and turned round, so that equals keep their order.

    NaN counts as the lowest number there, and is then moved behind the others.
    """
    axis = attrs["axis"]
    if not attrs["descending"]:
        positions = np.argsort(x, axis=axis, kind="stable")
        return np.take_along_axis(x, positions, axis), positions.astype(np.int64)
    nan = np.isnan(x) if is_floating(x.dtype) else np.zeros(x.shape, bool)
    held = np.where(nan, -np.inf, x).astype(x.dtype) if nan.any() else x
    ranks = np.argsort(np.flip(held, axis), axis=axis, kind="stable")
    positions = np.flip(x.shape[axis] - 1 - ranks, axis)
    behind = np.argsort(np.take_along_axis(nan, positions, axis), axis=axis, kind="stable")
    positions = np.take_along_axis(positions, behind, axis)
    return np.take_along_axis(x, positions, axis), positions.astype(np.int64)


def _vjp_sort(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    gradient = gradients[0]
    return [None if gradient is None else added_at(b, a.outputs[1], gradient, a.attrs["axis"])]


def _jvp_sort(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None, None]
    return [b.take_along_axis(tangents[0], a.outputs[1], axis=a.attrs["axis"]), None]


def _sorted(name: str, x: Any, axis: int, descending: bool) -> tuple[Tensor, Tensor]:
    tensor = one_input(name, x)
    axis = checked_axis(name, axis, tensor.ndim)
    if is_half(tensor.dtype):
        values, positions = _sorted(name, tensor.astype(float32), axis, descending)
        return values.astype(tensor.dtype), positions
    if not is_bool(tensor.dtype):
        values, positions = SORT.apply((tensor,), {"axis": axis, "descending": bool(descending)})
        return values, positions
    values, positions = _sorted(name, tensor.astype(int8), axis, descending)
    return values.astype(bool_), positions


@public
def sort(x: Any, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements of x in order along `axis`; NaN last, upwards and downwards.

    x: at least one axis, any dtype. stable: equal elements always keep their order.
    The gradient of an element goes to where it stood. Raises ShapeError for an axis that x does
    not have.
    """
    return _sorted("sort", x, axis, descending)[0]


@public
def argsort(x: Any, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """Where the elements of sort(x) stood along `axis`: int64.

    x: at least one axis, any dtype; NaN last, upwards and downwards. stable: equal elements
    always keep their order. Raises ShapeError for an axis that x does not have.
    """
    return _sorted("argsort", x, axis, descending)[1]


@public
def lexsort(keys: Sequence[Any], axis: int = -1) -> Tensor:
    """The order along `axis` by the last of the keys, of equal ones by the one before it, and so
    on: int64.

    keys: at least one, of one shape, any dtypes; NaN last. Raises ShapeError for no keys, and for
    an axis that they do not have.
    """
    tensors = [one_input("lexsort", key) for key in keys]
    if not tensors:
        raise ShapeError(
            "lexsort: got no keys", source=current_source(), fix="give keys, the last one first"
        )
    axis = checked_axis("lexsort", axis, tensors[0].ndim)
    order = argsort(tensors[0], axis)
    for key in tensors[1:]:
        held = BUILDER.take_along_axis(key, order, axis=axis)
        order = BUILDER.take_along_axis(order, argsort(held, axis), axis=axis)
    return order


@public
def top_k(x: Any, k: Size, axis: int = -1, *, largest: bool = True) -> tuple[Tensor, Tensor]:
    """(values, positions) of the k largest elements along `axis`, the largest first.

    x: at least one axis, any dtype; NaN comes after all numbers. k: at most the size of the axis.
    Of equals the first comes first. largest: False for the k smallest, the smallest first.
    Raises ShapeError for an axis that x does not have, and for a k that is too large; FeedError at
    the call for a symbolic one.
    """
    tensor = as_tensor(x)
    axis = checked_axis("top_k", axis, tensor.ndim)
    size = tensor.shape[axis]
    number = k if isinstance(k, Dim) else whole_number(k)
    if number is None:
        raise _wrong_count(tensor, k, axis)
    k = number
    if isinstance(k, int) and (k < 0 or (isinstance(size, int) and k > size)):
        raise _wrong_count(tensor, k, axis)
    if isinstance(k, int) and k > 0 and _is_few(k, size) and not is_worth_it(tensor, axis):
        return _selected(tensor, k, axis, bool(largest))
    before, after = tensor.shape[:axis], tensor.shape[axis + 1 :]
    sizes, starts = (*before, k, *after), (0,) * tensor.ndim
    values, positions = _sorted("top_k", tensor, axis, largest)
    return (
        BUILDER.strided_slice(values, starts, sizes),
        BUILDER.strided_slice(positions, starts, sizes),
    )


def _is_few(k: int, size: Size) -> bool:
    """Whether they are selected; more are taken from the sorted row."""
    if not isinstance(size, int):
        return k <= MANY
    return k <= (size // 4 if size > LONG else max(FEW, size // 10))


def _selected(x: Tensor, k: int, axis: int, largest: bool) -> tuple[Tensor, Tensor]:
    if is_half(x.dtype) or is_bool(x.dtype):
        wide = float32 if is_half(x.dtype) else int8
        values, positions = _selected(x.astype(wide), k, axis, largest)
        return values.astype(x.dtype), positions
    values, positions = TOP_K.apply((x,), {"axis": axis, "descending": largest, "count": k})
    return values, positions


def _infer_top_k(call: Inference) -> tuple[TensorType, TensorType]:
    (x,) = call.types
    axis, count = call.attrs["axis"], call.attrs["count"]
    size = x.shape[axis]
    text = f"k = {count} for axis {axis} of size {size}"
    call.require_equal(size, dim_max(size, count), text, error=IndexOutOfRange)
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    return TensorType(x.dtype, shape), TensorType(int64, shape)


def _reference_top_k(attrs: Attributes, x: np.ndarray) -> tuple[np.ndarray, ...]:
    first = np.arange(attrs["count"])
    return tuple(np.take(a, first, axis=attrs["axis"]) for a in _reference_sort(attrs, x))


def _vjp_top_k(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    gradient, axis = gradients[0], a.attrs["axis"]
    if gradient is None:
        return [None]
    return [added_at(b, a.outputs[1], gradient, axis, a.inputs[0].shape[axis])]


def _wrong_count(x: Tensor, k: Any, axis: int) -> GraphcError:
    return ShapeError(
        f"top_k: k is {k!r:.120}",
        details=[f"axis {axis} of {x.type} has {x.shape[axis]} elements"],
        source=current_source(),
        fix="k is an int from 0 to the size of the axis",
    )


def _sort_examples(rng: Generator) -> list[Example]:
    def example(shape: tuple[int, ...], **options: Any) -> Example:
        values = rng.permutation(np.linspace(-2, 2, int(np.prod(shape)))).reshape(shape)
        return Example(lambda x: sort(x, **options), (values,))

    distinct = rng.permutation(np.arange(15.0)).reshape(5, 3)
    ties = rng.integers(0, 4, size=(3, 40)).astype(np.float64)
    found = [example(shape) for shape in ((7,), (1,), (0,), (3, 20), (2, 0))]
    found += [example((3, 4, 5), axis=axis) for axis in (0, 1)]
    found += [example((3, 17), descending=True), example((0, 3), axis=1), example((0, 3), axis=0)]
    found += [
        Example(lambda x: argsort(x, descending=True), (ties,), differentiable=False),
        Example(lambda x: argsort(x, axis=0), (ties,), differentiable=False),
        Example(
            lambda x: argsort(x, axis=1),
            (rng.integers(0, 3, size=(70, 4)) * 1.0,),
            differentiable=False,
        ),
        Example(lambda x: sort(x, axis=0, descending=True), (rng.normal(size=(3, 40)),)),
        Example(lambda x: top_k(x, 2, axis=0), (distinct,)),
        Example(lambda x: top_k(x, 1, largest=False), (distinct,)),
    ]
    return found


def _row_sort_examples(rng: Generator) -> list[Example]:
    def example(shape: tuple[int, ...], **attrs: Any) -> Example:
        values = rng.integers(-9, 9, size=shape).astype(np.float64)

        def build(x: Tensor) -> Tensor:
            x = x.astype(float32 if is_half(x.dtype) else int8 if is_bool(x.dtype) else x.dtype)
            return ROW_SORT.apply((x,), attrs)[0]

        return Example(build, (values,), differentiable=False)

    return [
        example((3, 20), axis=1, descending=True),
        example((2, 300), axis=1, descending=False),
        example((7, 0, 3), axis=0, descending=False),
    ]


def _top_k_examples(rng: Generator) -> list[Example]:
    def example(shape: tuple[int, ...], k: int, axis: int, largest: bool = True) -> Example:
        values = rng.permutation(np.linspace(-2, 2, int(np.prod(shape)))).reshape(shape)
        return Example(lambda x: _selected(as_tensor(x), k, axis, largest)[0], (values,))

    ties = rng.integers(0, 4, size=(2, 40)).astype(np.float64)
    return [
        example((9,), 1, 0),
        example((2, 13), 4, 1),
        example((7, 3), 3, 0, largest=False),
        example((3, 0, 5), 2, 2),
        Example(lambda x: _selected(as_tensor(x), 5, 1, True)[1], (ties,), differentiable=False),
    ]


def _lower_sort(b: Builder, x: Tensor, axis: int, descending: bool) -> tuple[Tensor, Tensor]:
    if is_worth_it(x, axis):
        return sorted_entries(b, x, axis, descending)
    values, positions = ROW_SORT.apply((x,), {"axis": axis, "descending": descending})
    return values, positions


SORT: OpDef = register(
    OpDef(
        "sort",
        infer=_infer_sort,
        reference=_reference_sort,
        lower=Composite(_lower_sort),
        vjp=_vjp_sort,
        jvp=_jvp_sort,
        batch=shifted("axis"),
        examples=_sort_examples,
        defaults={"descending": False},
    )
)

# Rows one by one.
ROW_SORT: OpDef = register(
    OpDef(
        "row_sort",
        infer=_infer_sort,
        reference=_reference_sort,
        lower=Sort(),
        traits=frozenset({"nondifferentiable"}),  # made after differentiation
        examples=_row_sort_examples,
    )
)

# k of many elements: their order beyond the k-th does not matter.
TOP_K: OpDef = register(
    OpDef(
        "top_k",
        infer=_infer_top_k,
        reference=_reference_top_k,
        lower=Sort(),
        vjp=_vjp_top_k,
        jvp=_jvp_sort,
        examples=_top_k_examples,
    )
)

# --- searchsorted --------------------------------------------------------------------------------


def _infer_search(call: Inference) -> TensorType:
    return TensorType(int64, call.types[1].shape)


def _reference_search(attrs: Attributes, row: np.ndarray, values: np.ndarray) -> np.ndarray:
    if is_half(row.dtype):  # NaN is no number among others to the searches of all dtypes
        row, values = row.astype(np.float32), values.astype(np.float32)
    return np.asarray(np.searchsorted(row, values, side=attrs["side"])).astype(np.int64)


@public
def searchsorted(
    x1: Any, x2: Any, /, *, side: Literal["left", "right"] = "left", sorter: Any = None
) -> Tensor:
    """Where each element of x2 would go in x1, so that x1 stays in order: int64.

    x1: one axis, in order, NaN last. x2: any shape; both are promoted to one dtype. side: "left"
    goes before equal elements, "right" behind them. sorter: argsort(x1), if x1 is not in order.
    Raises ShapeError where x1 has not one axis.
    """
    row = as_tensor(x1)
    if sorter is not None:
        order = as_tensor(sorter).shape
        sizes = (*row.shape, *order)
        if len(order) != 1 or (all(isinstance(n, int) for n in sizes) and order != row.shape):
            raise ShapeError(
                f"searchsorted: a sorter of shape {list(order)} for x1 {row.type}",
                source=current_source(),
                fix="pass sorter=gc.argsort(x1)",
            )
        row = BUILDER.take(row, sorter, axis=0)
    row, values = promote_inputs("searchsorted", row, x2)
    if row.ndim != 1 or side not in ("left", "right"):
        raise ShapeError(
            f"searchsorted: got x1 {row.type}, side {side!r:.20}",
            source=current_source(),
            fix='x1 has one axis, and side is "left" or "right"',
        )
    if is_bool(row.dtype):
        row, values = row.astype(int8), values.astype(int8)
    return SEARCH(row, values, side=side)


def _search_examples(rng: Generator) -> list[Example]:
    row = np.array([-1.0, 0, 0, 1, 1, 1, 2.5, 2.5, 4])
    values = np.array([[-2.0, -1, 0, 0.5, 1], [2, 2.5, 4, 5, -0.0]])
    cases: list[tuple[np.ndarray, np.ndarray]] = [
        (row, values),
        (row[:1], values),
        (row[:0], values[0]),
        (row[:8], np.zeros((0, 2))),
        (row, np.array(1.0)),
    ]
    return [
        Example(lambda x, v, side=side: searchsorted(x, v, side=side), case, differentiable=False)
        for case in cases
        for side in ("left", "right")
    ]


def _batch_search(batch: Batch) -> Sequence[Tensor]:
    return one_by_one(batch) if batch.mapped(0) else batch.apply(batch.inputs)


SEARCH: OpDef = register(
    OpDef(
        "searchsorted",
        infer=_infer_search,
        reference=_reference_search,
        lower=Search(),
        batch=_batch_search,
        traits=frozenset({"nondifferentiable"}),
        examples=_search_examples,
        defaults={"side": "left"},
    )
)
