"""Running extrema along an axis, and where they were met: cumulative max and min."""

from typing import Any

import numpy as np

from graphc.dtypes import highest, int64, lowest
from graphc.ir.batch import shifted
from graphc.ir.lowering import Cumulative, IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Gradients, OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.along_axis import accumulate, added_at, cumulative_examples, same_type, the_axis
from graphc.ops.definition import REAL, one_input
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index

__all__ = ["cumulative_max", "cumulative_min"]


def _lower_record(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    attrs = context.attrs
    axis, reverse = attrs["axis"], attrs["reverse"]
    place, last = index[axis], s.sub(Index(context.output.shape[axis]), Index(1))
    before = s.minimum(s.add(place, Index(1)), last) if reverse else s.maximum(
        s.sub(place, Index(1)), Index(0)
    )  # fmt: skip
    start = last if reverse else Index(0)
    now, old = context.read(0, index), context.read(0, (*index[:axis], before, *index[axis + 1 :]))
    stays = s.or_(s.eq(now, old), s.is_nan(old))
    return s.select(stays, start, place)


def _reference_record(attrs: Attributes, values: np.ndarray) -> np.ndarray:
    axis = attrs["axis"]
    shape = [1] * values.ndim
    shape[axis] = size = values.shape[axis]
    place = np.arange(size).reshape(shape)
    before = np.clip(place + (1 if attrs["reverse"] else -1), 0, max(size - 1, 0))
    old = np.take_along_axis(values, np.broadcast_to(before, values.shape), axis)
    stays = (values == old) | (old != old)
    return np.where(stays, size - 1 if attrs["reverse"] else 0, place).astype(np.int64)


# Of running extrema: the position where a new one is set, elsewhere the first position.
RECORD: OpDef = register(
    OpDef(
        "record",
        infer=lambda call: TensorType(int64, same_type(call).shape),
        reference=_reference_record,
        lower=IndexMap(_lower_record),
        batch=shifted("axis"),
        traits=frozenset({"nondifferentiable"}),
        examples=lambda rng: [
            Example(
                lambda x, axis=axis, reverse=reverse: RECORD(x, axis=axis, reverse=reverse),
                (rng.integers(0, 3, size=shape).astype(np.float64),),
                differentiable=False,
            )
            for shape, axis, reverse in (((4, 5), 1, False), ((4, 5), 0, True), ((0, 3), 0, False))
        ],
    )
)


def _positions(b: Builder, a: Application) -> Tensor:
    """For each running extremum the position of the element that set it; the first of equals."""
    reverse = a.attrs["reverse"]
    record = RECORD(a.output, **a.attrs)
    return (CUMULATIVE_MIN if reverse else CUMULATIVE_MAX)(record, **a.attrs)


def _extremum_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    assert gradients[0] is not None
    return [added_at(b, _positions(b, a), gradients[0], a.attrs["axis"])]


def _extremum_jvp(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None]
    return [b.take_along_axis(tangents[0], _positions(b, a), axis=a.attrs["axis"])]


@public
def cumulative_max(x: Any, axis: int | None = None, *, reverse: bool = False) -> Tensor:
    """out[j] = the largest of x[0], ..., x[j] along `axis`; NaN from the first NaN on.

    x: at least one axis, numeric dtypes. axis: may be left out if there is but one. reverse: of
    x[j], ..., x[n - 1]. The gradient goes to the first of equals that the row meets.
    Raises ShapeError for an axis that x does not have.
    """
    tensor = one_input("cumulative_max", x, REAL)
    axis = the_axis("cumulative_max", tensor, axis)
    return CUMULATIVE_MAX(tensor, axis=axis, reverse=bool(reverse))


@public
def cumulative_min(x: Any, axis: int | None = None, *, reverse: bool = False) -> Tensor:
    """out[j] = the smallest of x[0], ..., x[j] along `axis`; NaN from the first NaN on.

    x: at least one axis, numeric dtypes. axis: may be left out if there is but one. reverse: of
    x[j], ..., x[n - 1]. The gradient goes to the first of equals that the row meets.
    Raises ShapeError for an axis that x does not have.
    """
    tensor = one_input("cumulative_min", x, REAL)
    axis = the_axis("cumulative_min", tensor, axis)
    return CUMULATIVE_MIN(tensor, axis=axis, reverse=bool(reverse))


CUMULATIVE_MAX, CUMULATIVE_MIN = (
    register(
        OpDef(
            build.__name__,
            infer=same_type,
            reference=accumulate(function, wide=False),
            lower=Cumulative(step, initial, False),
            vjp=_extremum_vjp,
            jvp=_extremum_jvp,
            examples=cumulative_examples(build, initial=False),
            defaults={"reverse": False},
        )
    )
    for build, function, step, initial in (
        (cumulative_max, np.maximum, s.maximum, lowest),
        (cumulative_min, np.minimum, s.minimum, highest),
    )
)
