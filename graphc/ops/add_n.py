"""Sums of any number of tensors: add_n."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from graphc.dtypes import double, is_inexact
from graphc.errors import FunctionError
from graphc.ir.lowering import Composite, Elementwise, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import NUMERIC, check_dtype, promote_inputs
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr

__all__ = ["add_n"]

SMALL_SUM = 16  # inputs of one kernel; longer sums become a tree


def _infer_sum(call: Inference) -> TensorType:
    shapes = tuple(dict.fromkeys(t.shape for t in call.types))  # equal ones are looked at once
    return TensorType(call.types[0].dtype, call.broadcast(shapes))


def _sum_reference(attrs: Attributes, *arrays: np.ndarray) -> Any:
    dtype = arrays[0].dtype
    if not is_inexact(dtype):
        return reduce(np.add, arrays)
    total = arrays[0].astype(double(dtype))
    for array in arrays[1:]:
        total = total + array
    return np.asarray(total).astype(dtype)


def _sum_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    return [gradients[0]] * len(application.inputs)


def _sum_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    known = [tangent for tangent in tangents if tangent is not None]
    return [b.add_n(known) if known else None]


def _sum_lowering(context: LoweringContext, *elements: Expr) -> Expr:
    return reduce(s.add, elements)


def _sum_examples(*counts: int) -> Callable[[Generator], list[Example]]:
    def build(*tensors: Any) -> Tensor:
        return add_n(tensors)

    def examples(rng: Generator) -> list[Example]:
        groups: list[list[tuple[int, ...]]] = [[(3, 4)] * count for count in counts]
        groups += [([(2, 1), (), (1, 3)] * count)[:count] for count in counts]
        return [
            Example(build, tuple(rng.normal(size=shape) for shape in group)) for group in groups
        ]

    return examples


def _sum_tree(b: Builder, *tensors: Tensor) -> Tensor:
    level = list(tensors)
    while len(level) > 1:
        level = [b.add_n(level[i : i + SMALL_SUM]) for i in range(0, len(level), SMALL_SUM)]
    return level[0]


ADD_N = register(
    OpDef(
        "add_n",
        infer=_infer_sum,
        reference=_sum_reference,
        lower=Elementwise(_sum_lowering),
        vjp=_sum_vjp,
        jvp=_sum_jvp,
        traits=frozenset({"elementwise", "linear"}),
        examples=_sum_examples(3, SMALL_SUM),
        parts=partwise,
    )
)


ADD_MANY = register(
    OpDef(
        "add_many",
        infer=_infer_sum,
        reference=_sum_reference,
        lower=Composite(_sum_tree),
        vjp=_sum_vjp,
        jvp=_sum_jvp,
        traits=frozenset({"elementwise", "linear"}),
        examples=_sum_examples(SMALL_SUM + 1, 40),
        parts=partwise,
    )
)


@public
def add_n(tensors: Sequence[Any]) -> Tensor:
    """The sum of one or more tensors; 100,000 of them are one node.

    tensors: shapes that broadcast, numeric dtypes. Result: the promoted dtype; integers wrap
    around. Long sums are summed in groups of 16, and the groups again.
    Raises FunctionError for no tensors, ShapeError where the shapes do not broadcast.
    """
    if isinstance(tensors, Tensor) or not len(tensors):
        raise FunctionError(
            "add_n: needs a list of at least one tensor",
            source=current_source(),
            code="E205",
            fix="write gc.add_n([a, b])",
        )
    promoted = promote_inputs("add_n", *tensors)
    check_dtype("add_n", promoted[0].dtype, NUMERIC)
    if len(promoted) == 1:
        return promoted[0]
    if len(promoted) == 2:
        return BUILDER.add(*promoted)
    return ADD_N(*promoted) if len(promoted) <= SMALL_SUM else ADD_MANY(*promoted)
