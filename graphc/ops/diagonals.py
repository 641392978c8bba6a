"""Diagonals and triangles of matrices: entries picked by comparing the two indices."""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.ir.arguments import checked_axes, checked_diagonal, checked_whole
from graphc.ir.batch import leading
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import linear_jvp
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Dim, Size, dim_max, dim_min

__all__ = ["diag", "diagonal", "trace", "tril", "triu"]

_MATRICES: tuple[tuple[int, ...], ...] = ((1, 1), (4, 4), (3, 5), (5, 3), (2, 3, 3), (0, 0), (0, 3))

# --- diagonal ------------------------------------------------------------------------------------


def _infer_diagonal(call: Inference) -> TensorType:
    (x,) = call.types
    return TensorType(x.dtype, (*x.shape[:-2], dim_min(x.shape[-2], x.shape[-1])))


def _lower_diagonal(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    return context.read(0, (*index, index[-1]))


def _vjp_diagonal(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    assert gradients[0] is not None
    return [DIAGONAL_MATRIX(gradients[0], shape=a.inputs[0].shape[-2:])]


DIAGONAL: OpDef = register(
    OpDef(
        "diagonal",
        infer=_infer_diagonal,
        reference=lambda attrs, x: np.diagonal(x, axis1=-2, axis2=-1).copy(),
        lower=IndexMap(_lower_diagonal),
        vjp=_vjp_diagonal,
        jvp=linear_jvp,
        batch=leading,
        traits=frozenset({"linear", "view"}),
        parts=partwise,
        examples=lambda rng: [
            *(Example(DIAGONAL, (rng.normal(size=shape),)) for shape in _MATRICES),
            Example(lambda x: diagonal(x, 1), (rng.normal(size=(3, 4)),)),
            Example(lambda x: diagonal(x, -1, 2, 0), (rng.normal(size=(4, 2, 3)),)),
            Example(lambda x: diagonal(x, 7), (rng.normal(size=(3, 4)),)),
        ],
    )
)


@public
def diagonal(x: Any, offset: Size = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The entries whose index along `axis2` is that along `axis1` plus `offset`.

    x: at least two axes, any dtype. offset: an int, or a size such as x.shape[0] // 2. Result: the
    other axes of x, then the diagonal; empty where the offset leads out of the matrix. ShapeError
    for axes that x does not have, or twice one.
    """
    matrices = _matrices("diagonal", x, (axis1, axis2))
    if not isinstance(offset, Dim):
        offset = checked_diagonal("diagonal", "offset", offset)
    if offset != 0:
        matrices = matrices[..., dim_max(-offset, 0) :, dim_max(offset, 0) :]
    return DIAGONAL(matrices)


def _matrices(name: str, x: Any, axes: tuple[int, int] = (-2, -1)) -> Tensor:
    """x with the two axes last."""
    tensor = as_tensor(x)
    if tensor.ndim < 2:
        raise ShapeError(
            f"{name}: needs at least 2 axes, got {tensor.type}",
            source=current_source(),
            fix="give a matrix, or a stack of matrices",
        )
    return BUILDER.moveaxis(tensor, checked_axes(name, axes, tensor.ndim), (-2, -1))


@public
def trace(x: Any, offset: Size = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of `diagonal(x, offset, axis1, axis2)`; integers narrower than int64 become int64."""
    _matrices("trace", x, (axis1, axis2))
    return BUILDER.sum(diagonal(x, offset, axis1, axis2), axis=-1)


# --- its transpose -------------------------------------------------------------------------------


def _infer_diagonal_matrix(call: Inference) -> TensorType:
    (values,), (rows, columns) = call.types, call.attrs["shape"]
    call.require_equal(values.shape[-1], dim_min(rows, columns), f"the diagonal of {values}")
    return TensorType(values.dtype, (*values.shape[:-1], rows, columns))


def _diagonal_matrix_reference(attrs: Attributes, values: np.ndarray) -> np.ndarray:
    result = np.zeros((*values.shape[:-1], *attrs["shape"]), values.dtype)
    places = np.arange(values.shape[-1])
    result[..., places, places] = values
    return result


def _lower_diagonal_matrix(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    """Where there is a matrix at all, the diagonal is not empty: the read may be moved into it."""
    *outer, row, column = index
    zero = s.constant(0, context.output.dtype)
    return context.read_within(
        0, (*outer, row), (len(outer),), zero, conditions=[s.eq(row, column)]
    )


def _vjp_diagonal_matrix(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    assert gradients[0] is not None
    return [DIAGONAL(gradients[0])]


DIAGONAL_MATRIX: OpDef = register(
    OpDef(
        "diagonal_matrix",
        infer=_infer_diagonal_matrix,
        reference=_diagonal_matrix_reference,
        lower=IndexMap(_lower_diagonal_matrix),
        vjp=_vjp_diagonal_matrix,
        jvp=linear_jvp,
        batch=leading,
        traits=frozenset({"linear"}),
        parts=partwise,
        examples=lambda rng: [
            Example(
                lambda x, more=more: DIAGONAL_MATRIX(
                    x, shape=(x.shape[-1] + more[0], x.shape[-1] + more[1])
                ),
                (rng.normal(size=shape),),
            )
            for shape in ((1,), (4,), (2, 3), (0, 2))
            for more in ((0, 0), (2, 0), (0, 1))
        ],
    )
)


@public
def diag(x: Any, k: int = 0) -> Tensor:
    """The matrix with a vector on its k-th diagonal (k > 0: above the main one), zeros elsewhere;
    of a matrix its k-th diagonal, as `diagonal` has it.

    x: one or two axes, any dtype; else ShapeError. Result: [n + |k|, n + |k|], or a vector.
    """
    tensor = as_tensor(x)
    offset = checked_whole("diag", "k", k)
    if tensor.ndim == 2:
        return diagonal(tensor, offset)
    if tensor.ndim != 1:
        raise ShapeError(
            f"diag: got {tensor.type}, allowed are one and two axes",
            source=current_source(),
            fix="gc.diagonal picks from stacks of matrices; gc.vmap goes over stacks of vectors",
        )
    size = tensor.shape[0]
    matrix = DIAGONAL_MATRIX(tensor, shape=(size, size))
    if offset == 0:
        return matrix
    below, above = max(-offset, 0), max(offset, 0)
    return BUILDER.pad(matrix, ((below, above), (above, below)))


# --- triangles -----------------------------------------------------------------------------------


def _lower_triangle(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    """x where column <= row + k, or where column >= row + k"""
    row, column = s.add(index[-2], Index(context.attrs["k"])), index[-1]
    inside = s.le(column, row) if context.attrs["lower"] else s.le(row, column)
    return s.select(inside, context.read(0, index), s.constant(0, context.output.dtype))


def _triangle_reference(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    return (np.tril if attrs["lower"] else np.triu)(x, attrs["k"])


def _vjp_triangle(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    assert gradients[0] is not None
    return [TRIANGLE(gradients[0], **a.attrs)]


def _triangle_examples(rng: Generator) -> list[Example]:
    builds: list[Callable[[Tensor], Tensor]] = [tril, triu]
    builds += [lambda x: tril(x, 1), lambda x: triu(x, -2)]
    return [
        Example(build, (rng.normal(size=shape),)) for shape in _MATRICES[1:] for build in builds
    ]


TRIANGLE = register(
    OpDef(
        "triangle",
        infer=lambda call: call.types[0],
        reference=_triangle_reference,
        lower=IndexMap(_lower_triangle),
        vjp=_vjp_triangle,
        jvp=linear_jvp,
        batch=leading,
        traits=frozenset({"linear"}),
        parts=partwise,
        examples=_triangle_examples,
    )
)


@public
def tril(x: Any, k: int = 0) -> Tensor:
    """x with zeros above the k-th diagonal of its last two axes (k > 0: above the main one).

    x: at least two axes, any dtype; else ShapeError. NaN and infinities above become 0 too.
    """
    return TRIANGLE(_matrices("tril", x), k=checked_diagonal("tril", "k", k), lower=True)


@public
def triu(x: Any, k: int = 0) -> Tensor:
    """x with zeros below the k-th diagonal of its last two axes; see tril."""
    return TRIANGLE(_matrices("triu", x), k=checked_diagonal("triu", "k", k), lower=False)
