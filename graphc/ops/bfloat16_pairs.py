"""Pairs of bfloat16 as one number each: what processors multiply and add in one instruction.

The element that comes first is the lower half; an odd last one has zero beside it.
"""

from typing import Any

import numpy as np

from graphc.dtypes import bfloat16, float32, uint32
from graphc.ir.lowering import IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.registry import register
from graphc.ops.definition import Accepts, check_dtype
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import ceil_div

__all__: list[str] = []

ONLY_BFLOAT16 = Accepts(lambda dtype: dtype == bfloat16, "bfloat16")


def _infer(call: Inference) -> TensorType:
    (x,), axis = call.types, call.attrs["axis"]
    check_dtype(call.op, x.dtype, ONLY_BFLOAT16)
    shape = (*x.shape[:axis], ceil_div(x.shape[axis], 2), *x.shape[axis + 1 :])
    return TensorType(uint32, shape)


def _reference(attrs: Attributes, x: np.ndarray) -> Any:
    axis = attrs["axis"]
    around = [(0, 0)] * x.ndim
    around[axis] = 0, x.shape[axis] % 2
    bits = np.moveaxis(np.pad(x.view(np.uint16), around).astype(np.uint32), axis, 0)
    return np.ascontiguousarray(np.moveaxis(bits[::2] | bits[1::2] << 16, 0, axis))


def _lower(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    axis = context.attrs["axis"]
    size = context.inputs[0].shape[axis]
    first = s.mul(index[axis], Index(2))
    low, high = (
        (*index[:axis], place, *index[axis + 1 :]) for place in (first, s.add(first, Index(1)))
    )
    even = isinstance(size, int) and size % 2 == 0
    zero = s.constant(0, bfloat16)
    second = context.read(0, high) if even else context.read_within(0, high, [axis], zero)
    below, above = (s.bits(s.cast(one, float32)) for one in (context.read(0, low), second))
    return s.or_(
        s.shr(below, s.constant(16, uint32)), s.and_(above, s.constant(0xFFFF0000, uint32))
    )


def _examples(rng: Generator) -> list[Example]:
    def example(axis: int, *shape: int) -> Example:
        return Example(
            lambda x: BFLOAT16_PAIRS(x.astype(bfloat16), axis=axis), (rng.normal(size=shape),)
        )

    return [example(0, 4, 3), example(1, 4, 3), example(1, 2, 6, 20), example(0, 0, 3)]


BFLOAT16_PAIRS = register(
    OpDef(
        "bfloat16_pairs",
        infer=_infer,
        reference=_reference,
        lower=IndexMap(_lower),
        traits=frozenset({"nondifferentiable"}),  # made after differentiation
        examples=_examples,
    )
)
