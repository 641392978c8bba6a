"""Products that sum over shared axes: matmul and what is made of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import double, float32, is_half, is_inexact
from graphc.errors import ShapeError
from graphc.ir.arguments import AxisLike, checked_axes, checked_axis
from graphc.ir.batch import Batch
from graphc.ir.lowering import Contraction
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops import complex_formulas as formulas
from graphc.ops.definition import NUMERIC, check_dtype, promote_inputs
from graphc.shapes import Shape, Size, size_product, whole_number

__all__ = ["dot", "matmul", "outer", "tensordot", "vecdot"]


# --- the op ----------------------------------------------------------------------------------


def _swapped(shape: Shape, transpose: bool) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if transpose else shape


def _infer_matmul(call: Inference) -> TensorType:
    """Shapes after the flags: [..., n, k] and [..., k, m], or a vector [k] on either side."""
    a, b = call.types
    for operand, flag in ((a, "transpose_a"), (b, "transpose_b")):
        if operand.ndim == 0:
            raise ShapeError(
                "matmul: an operand is a scalar",
                code="E103",
                fix="multiply by a scalar with *",
            )
        if operand.ndim == 1 and call.attrs[flag]:
            raise ShapeError(
                f"matmul: {flag} needs an operand with at least 2 axes",
                fix="only matrices can be transposed; leave the flag out",
            )
    left = _swapped(a.shape, call.attrs["transpose_a"])
    right = _swapped(b.shape, call.attrs["transpose_b"])
    call.require_equal(left[-1], right[0 if b.ndim == 1 else -2], f"inner sizes of {a} and {b}")
    batch = call.broadcast([left[:-2], right[:-2]])
    rows = left[-2:-1]
    columns = right[-1:] if b.ndim > 1 else ()
    return TensorType(a.dtype, (*batch, *rows, *columns))


def _reference_matmul(attrs: Attributes, a: np.ndarray, b: np.ndarray) -> Any:
    """Narrow floats are summed in float64 and rounded once."""
    dtype = a.dtype
    if is_inexact(dtype):
        a, b = a.astype(double(dtype)), b.astype(double(dtype))
    a = np.swapaxes(a, -1, -2) if attrs["transpose_a"] else a
    b = np.swapaxes(b, -1, -2) if attrs["transpose_b"] else b
    return np.asarray(np.matmul(a, b)).astype(dtype)


def _jvp_matmul(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    x1, x2 = a.inputs
    terms = []
    if tangents[0] is not None:
        terms.append(MATMUL(tangents[0], x2, **a.attrs))
    if tangents[1] is not None:
        terms.append(MATMUL(x1, tangents[1], **a.attrs))
    if not terms:
        return [None]
    return [terms[0] if len(terms) == 1 else b.add(*terms)]


def _vjp_matmul(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dA = G B^T and dB = A^T G, by flags; broadcast batch axes are summed by the driver."""
    (gradient,) = gradients
    assert gradient is not None
    x1, x2 = a.inputs
    first, second = a.attrs["transpose_a"], a.attrs["transpose_b"]
    return [
        _left_gradient(b, x1, x2, gradient, first, second) if a.wants(0) else None,
        _right_gradient(b, x1, x2, gradient, first, second) if a.wants(1) else None,
    ]


def _left_gradient(
    b: Builder, x1: Tensor, x2: Tensor, gradient: Tensor, first: bool, second: bool
) -> Tensor:
    if x2.ndim == 1:
        if x1.ndim == 1:
            return b.multiply(gradient, x2)
        return _outer(b, x2, gradient) if first else _outer(b, gradient, x2)
    if x1.ndim == 1:
        if x2.ndim == 2:
            return MATMUL(gradient, x2, **_flags(False, not second))
        return b.squeeze(MATMUL(x2, b.expand_dims(gradient, -1), **_flags(second)), -1)
    if first:
        return MATMUL(x2, gradient, **_flags(second, True))
    return MATMUL(gradient, x2, **_flags(False, not second))


def _right_gradient(
    b: Builder, x1: Tensor, x2: Tensor, gradient: Tensor, first: bool, second: bool
) -> Tensor:
    if x1.ndim == 1:
        if x2.ndim == 1:
            return b.multiply(gradient, x1)
        return _outer(b, gradient, x1) if second else _outer(b, x1, gradient)
    if x2.ndim == 1 and first:
        if x1.ndim == 2:
            return MATMUL(x1, gradient, **_flags())
        return b.squeeze(MATMUL(x1, b.expand_dims(gradient, -1), **_flags()), -1)
    if x2.ndim <= 2 and x1.ndim > 2 and not first:
        # One product over all rows of the batch instead of a product for each and a sum.
        rows = size_product(x1.shape[:-1])
        gradient = b.reshape(gradient, (rows, *gradient.shape[x1.ndim - 1 :]))
        x1 = b.reshape(x1, (rows, x1.shape[-1]))
    if x2.ndim == 1:
        return MATMUL(gradient, x1, **_flags())
    if second:
        return MATMUL(gradient, x1, **_flags(True, first))
    return MATMUL(x1, gradient, **_flags(not first))


def _flags(transpose_a: bool = False, transpose_b: bool = False) -> dict[str, bool]:
    return {"transpose_a": transpose_a, "transpose_b": transpose_b}


def _outer(b: Builder, column: Tensor, row: Tensor) -> Tensor:
    """column[..., i] * row[..., j]"""
    return b.multiply(b.expand_dims(column, -1), b.expand_dims(row, -2))


def _matmul_examples(rng: Generator) -> list[Example]:
    plain: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((3, 4), (4, 5)),
        ((1, 7), (7, 1)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((5,), (5,)),
        ((0,), (0,)),
        ((4,), (4, 3)),
        ((3, 4), (4,)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (4,)),
        ((4,), (2, 4, 3)),
        ((3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((0, 3, 4), (4, 2)),
    ]
    examples = [
        Example(lambda x, y: matmul(x, y), (rng.normal(size=a), rng.normal(size=b)))
        for a, b in plain
    ]
    turned: list[tuple[bool, bool, tuple[int, ...], tuple[int, ...]]] = [
        (True, False, (4, 3), (4, 5)),
        (False, True, (3, 4), (5, 4)),
        (True, True, (4, 3), (5, 4)),
        (True, False, (2, 4, 3), (4, 5)),
        (False, True, (2, 3, 4), (5, 4)),
        (True, True, (4, 3), (2, 5, 4)),
        (True, False, (4, 3), (4,)),
        (False, True, (4,), (3, 4)),
        (True, False, (2, 4, 3), (4,)),
        (False, True, (4,), (2, 3, 4)),
    ]
    for first, second, a, b in turned:
        flags = _flags(first, second)
        examples.append(
            Example(
                lambda x, y, flags=flags: matmul(x, y, **flags),
                (rng.normal(size=a), rng.normal(size=b)),
            )
        )
    return examples


def _batch_matmul(batch: Batch) -> Sequence[Tensor]:
    """Vectors of all examples are the rows of a matrix, where the other operand is a matrix for
    all; else each is a matrix of one row or column in a batch of products."""
    (x1, x2), (one1, one2) = batch.inputs, batch.node.inputs
    first, second = batch.attrs["transpose_a"], batch.attrs["transpose_b"]
    mapped = (batch.mapped(0), batch.mapped(1))
    if one1.ndim == 1 and mapped == (True, False) and one2.ndim <= 2:
        return batch.apply([x1, x2])
    if mapped == (False, True) and one1.ndim <= 2:
        turned = _flags(False, one1.ndim > 1 and not first)
        if one2.ndim == 1:
            return [MATMUL(x2, x1, **turned)]
        column = -2 if second else -1
        if one1.ndim == one2.ndim == 2 and x2.shape[column] == 1:
            return [BUILDER.expand_dims(MATMUL(BUILDER.squeeze(x2, column), x1, **turned), -1)]
    axes = max(one1.ndim, one2.ndim, 2) - 2  # of batches that each example has
    left = _as_matrices(batch, 0, axes, -2)
    right = _as_matrices(batch, 1, axes, -1)
    product = MATMUL(left, right, **_flags(first, second))
    dropped = [axis for axis, one in ((-2, one1), (-1, one2)) if one.ndim == 1]
    return [BUILDER.squeeze(product, dropped) if dropped else product]


def _as_matrices(batch: Batch, number: int, axes: int, position: int) -> Tensor:
    """An operand with at least two axes; where it is mapped, with `axes` between that of the
    examples and the last two. position: of the new axis of a vector."""
    tensor, ndim = batch.inputs[number], batch.node.inputs[number].ndim
    if ndim == 1:
        tensor = BUILDER.expand_dims(tensor, position)
    missing = axes + 3 - tensor.ndim
    if not batch.mapped(number) or not missing:
        return tensor
    return BUILDER.expand_dims(tensor, tuple(range(1, 1 + missing)))


MATMUL = register(
    OpDef(
        "matmul",
        infer=_infer_matmul,
        reference=_reference_matmul,
        lower=Contraction(),
        vjp=_vjp_matmul,
        jvp=_jvp_matmul,
        batch=_batch_matmul,
        traits=frozenset({"linear"}),
        parts=formulas.matmul,
        examples=_matmul_examples,
        symbol="@",
        defaults={"transpose_a": False, "transpose_b": False},
    )
)


# --- public functions ------------------------------------------------------------------------


def _operands(name: str, x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    a, b = promote_inputs(name, x1, x2)
    check_dtype(name, a.dtype, NUMERIC)
    # Casts keep the names that errors show.
    for tensor, given in ((a, x1), (b, x2)):
        if tensor is not given and isinstance(given, Tensor) and tensor.name is None:
            tensor.name = given.name
    return a, b


@public
def matmul(x1: Any, x2: Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """The matrix product, by numpy's rules.

    x1: [..., n, k] or a vector [k]; x2: [..., k, m] or a vector [k], of numeric dtypes, which are
    promoted. Result: [..., n, m], without n or m for a vector. Leading axes broadcast. The flags
    read an operand with at least two axes as if its last two were exchanged. ShapeError (E102) if
    the inner sizes differ, DTypeError for bool.
    """
    a, b = _operands("matmul", x1, x2)
    flags = _flags(transpose_a and a.ndim > 1, transpose_b and b.ndim > 1)
    if a.ndim and b.ndim:
        inner_a = _swapped(a.shape, flags["transpose_a"])[-1]
        inner_b = _swapped(b.shape, flags["transpose_b"])[-2 if b.ndim > 1 else 0]
        if isinstance(inner_a, int) and isinstance(inner_b, int) and inner_a != inner_b:
            raise _inner_sizes_differ(a, b, inner_a, inner_b, flags)
    return MATMUL(a, b, **flags)


def _inner_sizes_differ(
    a: Tensor, b: Tensor, inner_a: int, inner_b: int, flags: dict[str, bool]
) -> ShapeError:
    first, second = _name(a), _name(b)
    side_a = "rows" if flags["transpose_a"] else "columns" if a.ndim > 1 else "entries"
    side_b = "columns" if flags["transpose_b"] else "rows" if b.ndim > 1 else "entries"
    shown_a = f"{first}.mT" if flags["transpose_a"] else first
    shown_b = f"{second}.mT" if flags["transpose_b"] else second
    return ShapeError(
        "matmul: inner sizes differ",
        code="E102",
        details=[
            f"{shown_a} @ {shown_b}     {first}: {a.type}    {second}: {b.type}"
            f"      {inner_a} != {inner_b}"
        ],
        source=current_source(),
        fix=f"{second} needs {inner_a} {side_b}, or {first} {inner_b} {side_a}",
    )


def _name(tensor: Tensor) -> str:
    return tensor.name or tensor.node.op.name


@public
def dot(x1: Any, x2: Any) -> Tensor:
    """numpy's dot: scalars multiply, vectors and matrices as matmul, else the last axis of x1
    with the last but one of x2."""
    a, b = _operands("dot", x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        return BUILDER.multiply(a, b)
    return matmul(a, b) if b.ndim <= 2 else tensordot(a, b, ((-1,), (-2,)))


@public
def outer(x1: Any, x2: Any) -> Tensor:
    """x1[i] * x2[j] as a matrix; operands of other ranks are flattened."""
    a, b = _operands("outer", x1, x2)
    return BUILDER.multiply(BUILDER.reshape(a, (-1, 1)), BUILDER.reshape(b, (1, -1)))


@public
def vecdot(x1: Any, x2: Any, axis: int = -1) -> Tensor:
    """The sum of conj(x1) * x2 over `axis`, counted in each operand; the other axes broadcast.

    The result has the promoted dtype of the operands. ShapeError if the sizes along `axis` differ.
    """
    a, b = _operands("vecdot", x1, x2)
    moved = [BUILDER.moveaxis(t, checked_axis("vecdot", axis, t.ndim), -1) for t in (a, b)]
    a, b = _agree("vecdot", moved[0], moved[1], (a.ndim - 1,), (b.ndim - 1,))
    if is_half(a.dtype):  # rounded once, as products of matrices
        return vecdot(a.astype(float32), b.astype(float32)).astype(a.dtype)
    total = BUILDER.sum(BUILDER.multiply(BUILDER.conj(a), b), axis=-1)
    return total if total.dtype == a.dtype else total.astype(a.dtype)


def _agree(
    name: str, a: Tensor, b: Tensor, axes_a: Sequence[int], axes_b: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The operands with equal sizes along the axes; symbolic ones are checked by broadcast_to."""
    shape_a, shape_b = list(a.shape), list(b.shape)
    for one, other in zip(axes_a, axes_b, strict=True):
        left, right = shape_a[one], shape_b[other]
        if isinstance(left, int) and isinstance(right, int) and left != right:
            raise ShapeError(
                f"{name}: sizes that are summed over differ",
                code="E102",
                details=[
                    f"axis {one} of {_name(a)}: {a.type}    axis {other} of {_name(b)}: {b.type}"
                    f"      {left} != {right}"
                ],
                source=current_source(),
                fix="both operands need the same size along the axes that are summed over",
            )
        if isinstance(right, int):
            shape_a[one] = right
        else:
            shape_b[other] = left
    # A static size 1 is never the one that is broadcast here: it is kept, and the other must match.
    return BUILDER.broadcast_to(a, tuple(shape_a)), BUILDER.broadcast_to(b, tuple(shape_b))


@public
def tensordot(x1: Any, x2: Any, axes: int | Sequence[AxisLike] = 2) -> Tensor:
    """The sum of products over pairs of axes.

    axes: a number k (the last k axes of x1 with the first k of x2), or two lists of axes. Result:
    the other axes of x1, then those of x2. ShapeError if paired sizes differ.
    """
    a, b = _operands("tensordot", x1, x2)
    first, second = _paired_axes(a, b, axes)
    a, b = _agree("tensordot", a, b, first, second)
    inner = size_product([a.shape[axis] for axis in first])
    left, rows, transpose_a = _as_matrix(a, first, inner, inner_last=True)
    right, columns, transpose_b = _as_matrix(b, second, inner, inner_last=False)
    product = matmul(left, right, transpose_a=transpose_a, transpose_b=transpose_b)
    return BUILDER.reshape(product, (*rows, *columns))


def _paired_axes(
    a: Tensor, b: Tensor, axes: int | Sequence[AxisLike]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    count = int(axes) if isinstance(axes, bool) else whole_number(axes)
    if count is not None:
        if not 0 <= count <= min(a.ndim, b.ndim):
            raise ShapeError(
                f"tensordot: cannot sum over {count} axes of {a.type} and {b.type}",
                source=current_source(),
                fix="give a number of axes that both have, or axes=([of x1], [of x2])",
            )
        return tuple(range(a.ndim - count, a.ndim)), tuple(range(count))
    if isinstance(axes, int) or len(axes) != 2:
        raise ShapeError(
            f"tensordot: axes={axes!r:.60} are not two",
            source=current_source(),
            fix="give axes=([of x1], [of x2])",
        )
    first = checked_axes("tensordot", axes[0], a.ndim)
    second = checked_axes("tensordot", axes[1], b.ndim)
    if len(first) != len(second):
        raise ShapeError(
            f"tensordot: {len(first)} axes of x1 are paired with {len(second)} of x2",
            source=current_source(),
            fix="name as many axes of x1 as of x2",
        )
    pairs = sorted(zip(first, second, strict=True))  # fewer transposes: in the order of x1
    return tuple(one for one, _ in pairs), tuple(other for _, other in pairs)


def _as_matrix(
    x: Tensor, summed: tuple[int, ...], inner: Size, inner_last: bool
) -> tuple[Tensor, Shape, bool]:
    """x as a matrix, the sizes of its free axes, and whether matmul must transpose it."""
    free = tuple(axis for axis in range(x.ndim) if axis not in summed)
    sizes = tuple(x.shape[axis] for axis in free)
    orders = {True: (*summed, *free), False: (*free, *summed)}
    unchanged = tuple(range(x.ndim))
    starts_with_inner = not inner_last
    if orders[inner_last] == unchanged != orders[starts_with_inner]:
        starts_with_inner = inner_last
    else:
        x = BUILDER.permute_dims(x, orders[starts_with_inner])
    outer_size = size_product(sizes)
    matrix = (inner, outer_size) if starts_with_inner else (outer_size, inner)
    return BUILDER.reshape(x, matrix), sizes, starts_with_inner == inner_last
