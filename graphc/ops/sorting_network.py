"""Short rows in order by a network of comparisons, written out: many rows side by side.

A comparison puts the lower of two elements in front. Which elements are compared depends on
nothing, so that rows fill the lanes of vectors. What leads to no element that is read is left out.
"""

import numpy as np

from graphc.dtypes import int64, is_floating, is_signed, uint64
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Elementwise, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.registry import Builder, register
from graphc.ir.tensor import Tensor
from graphc.ops.definition import REAL, check_dtype
from graphc.scalar.comparisons import sorting_network
from graphc.scalar.expr import Expr
from graphc.scalar.sort_keys import key_dtype, of_sort_key, sort_key
from graphc.shapes import size_product

LONGEST = 16  # elements of a row
ROWS = 4  # of which there are this often as many as an element has others to meet

Pair = tuple[Tensor, Tensor]  # a key, and where its element stood


def is_worth_it(x: Tensor, axis: int) -> bool:
    """Whether rows are short, and so many that the longer code pays."""
    size = x.shape[axis]
    if not isinstance(size, int) or not 2 <= size <= LONGEST:
        return False
    rows = size_product((*x.shape[:axis], *x.shape[axis + 1 :]))
    return not isinstance(rows, int) or rows >= ROWS * size * size


# --- keys ----------------------------------------------------------------------------------------


def _infer_key(call: Inference) -> TensorType:
    check_dtype(call.op, call.types[0].dtype, REAL)
    return TensorType(key_dtype(call.types[0].dtype), call.types[0].shape)


def _lower_key(context: LoweringContext, x: Expr) -> Expr:
    attrs = context.attrs
    return sort_key(x, attrs["descending"], zeros_apart=attrs["zeros_apart"])


def _reference_key(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    """In the order of sorting: of equals, and of nan, one."""
    unsigned = key_dtype(x.dtype)
    top = unsigned.type(1 << 8 * x.dtype.itemsize - 1)
    if not is_floating(x.dtype):
        key = x.view(unsigned) ^ top if is_signed(x.dtype) else x
        return np.asarray(~key if attrs["descending"] else key)
    pattern = (x if attrs["zeros_apart"] else np.where(x == 0, x.dtype.type(0), x)).view(unsigned)
    key = np.where(pattern >= top, ~pattern, pattern | top)
    key = ~key if attrs["descending"] else key
    return np.where(np.isnan(x), ~unsigned.type(0), key)


def _infer_element(call: Inference) -> TensorType:
    return TensorType(call.attrs["dtype"], call.types[0].shape)


def _lower_element(context: LoweringContext, key: Expr) -> Expr:
    return of_sort_key(key, context.attrs["dtype"], context.attrs["descending"])


def _reference_element(attrs: Attributes, key: np.ndarray) -> np.ndarray:
    dtype = np.dtype(attrs["dtype"])
    key = ~key if attrs["descending"] else key
    top = key.dtype.type(1 << 8 * dtype.itemsize - 1)
    if not is_floating(dtype):
        return np.asarray((key ^ top if is_signed(dtype) else key).view(dtype))
    return np.where(key >= top, key ^ top, ~key).view(dtype)


def _examples(rng: Generator) -> list[Example]:
    values = np.append(np.round(rng.normal(size=9) * 9), [0.0, -0.0])
    return [
        Example(
            lambda x, descending=descending: _there_and_back(x, descending),
            (array,),
            differentiable=False,
        )
        for descending in (False, True)
        for array in (values, rng.normal(size=(2, 0, 3)))
    ]


def _there_and_back(x: Tensor, descending: bool) -> Tensor:
    key = SORT_KEY(x, descending=descending, zeros_apart=True)
    return OF_SORT_KEY(key, dtype=x.dtype, descending=descending)


SORT_KEY = register(
    OpDef(
        "sort_key",
        infer=_infer_key,
        reference=_reference_key,
        lower=Elementwise(_lower_key),
        traits=frozenset({"elementwise", "nondifferentiable"}),  # made after differentiation
        examples=_examples,
    )
)

OF_SORT_KEY = register(
    OpDef(
        "of_sort_key",
        infer=_infer_element,
        reference=_reference_element,
        lower=Elementwise(_lower_element),
        traits=frozenset({"elementwise", "nondifferentiable"}),
        examples=_examples,
    )
)

# --- rows ----------------------------------------------------------------------------------------


def sorted_entries(b: Builder, x: Tensor, axis: int, descending: bool) -> tuple[Tensor, Tensor]:
    """Values and positions, as those of the op `sort`."""
    x = b.moveaxis(x, axis, -1)
    size = x.shape[-1]
    assert isinstance(size, int)
    entries = [x[..., i] for i in range(size)]
    values, positions = _values(b, entries, descending), _positions(b, entries, descending)
    return b.stack(values, axis=axis), b.stack(positions, axis=axis)


def _values(b: Builder, entries: list[Tensor], descending: bool) -> list[Tensor]:
    keys = [SORT_KEY(x, descending=descending, zeros_apart=True) for x in entries]
    for i, j in sorting_network(len(keys)):
        keys[i], keys[j] = b.minimum(keys[i], keys[j]), b.maximum(keys[i], keys[j])
    dtype = entries[0].dtype
    return [OF_SORT_KEY(key, dtype=dtype, descending=descending) for key in keys]


def _positions(b: Builder, entries: list[Tensor], descending: bool) -> list[Tensor]:
    """No two elements are equal, as the first one comes first."""
    keys = [SORT_KEY(x, descending=descending, zeros_apart=False) for x in entries]
    if keys[0].dtype == uint64:
        return _positions_of_long_keys(b, keys)
    # Key and position in one number.
    both = [
        b.bitwise_or(b.bitwise_left_shift(b.astype(key, uint64), np.uint64(32)), np.uint64(i))
        for i, key in enumerate(keys)
    ]
    for i, j in sorting_network(len(both)):
        both[i], both[j] = b.minimum(both[i], both[j]), b.maximum(both[i], both[j])
    return [b.astype(b.bitwise_and(one, np.uint64(0xFFFFFFFF)), int64) for one in both]


def _positions_of_long_keys(b: Builder, keys: list[Tensor]) -> list[Tensor]:
    rows: list[Pair] = [
        (key, b.broadcast_to(as_tensor(np.int64(i)), key.shape)) for i, key in enumerate(keys)
    ]
    for i, j in sorting_network(len(rows)):
        (key, place), (other, there) = rows[i], rows[j]
        is_tie = b.logical_and(b.equal(key, other), b.less(there, place))
        swap = b.logical_or(b.less(other, key), is_tie)
        rows[i] = b.where(swap, other, key), b.where(swap, there, place)
        rows[j] = b.where(swap, key, other), b.where(swap, place, there)
    return [place for _, place in rows]
