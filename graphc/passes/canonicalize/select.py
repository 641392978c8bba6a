"""Selection, logic and conversion in canonical form."""

import numpy as np

from graphc.dtypes import DType, finfo, is_bool, is_floating, is_integer
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, attr, const, var
from graphc.rewrite.rule import rule

X, Y, Z, CONDITION = var("x"), var("y"), var("z"), var("condition")
C = const("c")


@rule(P.where(C, X, Y))
def where_constant(b: Builder, c: bool, x: Tensor, y: Tensor) -> Tensor:
    """where(True, x, y) = x;  where(False, x, y) = y"""
    return x if c else y


@rule(P.where(CONDITION, X, X))
def where_same(b: Builder, x: Tensor) -> Tensor:
    """where(c, x, x) = x"""
    return x


@rule(P.where(P.logical_not(CONDITION), X, Y))
def where_not(b: Builder, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """where(not c, x, y) = where(c, y, x)"""
    return b.where(condition, y, x)


@rule(P.where(CONDITION, P.where(CONDITION, X, Y), Z))
def where_taken(b: Builder, condition: Tensor, x: Tensor, z: Tensor) -> Tensor:
    """where(c, where(c, x, y), z) = where(c, x, z)"""
    return b.where(condition, x, z)


@rule(P.where(CONDITION, X, P.where(CONDITION, Y, Z)))
def where_not_taken(b: Builder, condition: Tensor, x: Tensor, z: Tensor) -> Tensor:
    """where(c, x, where(c, y, z)) = where(c, x, z)"""
    return b.where(condition, x, z)


@rule(P.logical_not(P.logical_not(X)), P.bitwise_invert(P.bitwise_invert(X)))
def double_not(b: Builder, x: Tensor, root: Tensor) -> Tensor | None:
    """not not x = x;  ~~x = x"""
    return x if x.dtype == root.dtype else None


@rule(P.astype(X, dtype=attr("dtype")))
def same_dtype(b: Builder, x: Tensor, dtype: DType) -> Tensor | None:
    """astype(x, dtype of x) = x"""
    return x if x.dtype == dtype else None


@rule(P.astype(P.astype(X), dtype=attr("dtype")))
def cast_of_cast(b: Builder, root: Tensor, x: Tensor, dtype: DType) -> Tensor | None:
    """astype(astype(x, wide), d) = astype(x, d) where `wide` holds every value of x"""
    wide = root.node.inputs[0].dtype
    if not _holds(wide, x.dtype):
        return None
    # A float that is out of an integer's range converts to anything; an integer wraps around.
    if is_floating(wide) and is_integer(x.dtype) and is_integer(dtype) and dtype != x.dtype:
        return None
    return b.astype(x, dtype)


def _holds(wide: DType, narrow: DType) -> bool:
    """Whether every value of `narrow` is a value of `wide`."""
    if wide == narrow or is_bool(narrow):
        return True
    if is_floating(wide) and is_integer(narrow):
        return bool(np.iinfo(narrow).bits <= finfo(wide).nmant + 1)
    return wide.kind != "b" and np.can_cast(narrow, wide, "safe")


SELECT = (
    where_constant,
    where_same,
    where_not,
    where_taken,
    where_not_taken,
    double_not,
    same_dtype,
    cast_of_cast,
)
