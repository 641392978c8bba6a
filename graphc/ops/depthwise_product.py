"""Gradients by filters whose groups have one channel in: long sums for few results.

One op with one structured form, which the gradients of depthwise convolutions are expanded to.
"""

import itertools
import math
from typing import Any

import numpy as np

from graphc.dtypes import float64, is_floating
from graphc.errors import DTypeError, ShapeError
from graphc.ir.lowering import DepthwiseProduct
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.registry import register
from graphc.ir.tensor import Tensor
from graphc.ops.definition import NOT_HALF, check_dtype
from graphc.shapes import Shape

TAPS = 64  # sums at most, each of which is written out
TERMS = 32  # of a sum in an image, at least
FILLED = 2  # terms at most, for each that is not a zero between rows


def is_worth_it(kernel: Shape, count: Shape, stride: Shape, dilation: Shape) -> bool:
    """Whether few sums are made of many terms; all sizes are known."""
    whole = 1
    for size, places, steps, apart in zip(kernel, count, stride, dilation, strict=True):
        whole *= int(places) + (int(size) - 1) * int(apart) // int(steps)
    wanted = math.prod(map(int, count))
    taps = math.prod(map(int, kernel))
    return 0 < taps <= TAPS and wanted >= TERMS and whole <= FILLED * wanted


def _infer(call: Inference) -> TensorType:
    x, g = call.types
    check_dtype(call.op, x.dtype, NOT_HALF)
    if x.dtype != g.dtype:
        raise DTypeError(f"{call.op}: {x} and {g} differ in dtype")
    if g.ndim != x.ndim + 1 or x.ndim != 2 + len(call.attrs["kernel"]):
        raise ShapeError(f"{call.op}: {x} and {g} for a kernel {call.attrs['kernel']}")
    for given, known in ((x.shape[2:], call.attrs["size"]), (g.shape[3:], call.attrs["count"])):
        if any(isinstance(one, int) and one != two for one, two in zip(given, known, strict=True)):
            raise ShapeError(f"{call.op}: {given} where {known} is known")
    return TensorType(x.dtype, (x.shape[1], g.shape[2], *call.attrs["kernel"]))


def _reference(attrs: Attributes, x: np.ndarray, g: np.ndarray) -> Any:
    """Tap by tap; floats in float64."""
    kernel, dtype = attrs["kernel"], x.dtype
    if is_floating(dtype):
        x, g = x.astype(float64), g.astype(float64)
    count, pairs, spans = g.shape[3:], [(0, 0), (0, 0)], []
    for axis, size in enumerate(kernel):
        span = (count[axis] - 1) * attrs["stride"][axis] + 1
        before = attrs["before"][axis]
        whole = span + (size - 1) * attrs["dilation"][axis]
        pairs.append((before, max(whole - before - x.shape[2 + axis], 0)))
        spans.append(span)
    x = np.pad(x, pairs)
    out = np.zeros((x.shape[1], g.shape[2], *kernel), x.dtype)
    rest = tuple(range(3, g.ndim))
    for tap in itertools.product(*map(range, kernel)):
        places: list[Any] = list(
            slice(at * apart, at * apart + span, stride)
            for at, apart, span, stride in zip(
                tap, attrs["dilation"], spans, attrs["stride"], strict=True
            )
        )
        index: Any = (slice(None), slice(None), *places)
        seen = x[index]
        spot: Any = (slice(None), slice(None), *tap)
        out[spot] = np.sum(seen[:, :, None] * g, axis=(0, *rest))
    return out.astype(dtype)


def _examples(rng: Generator) -> list[Example]:
    def example(
        x: tuple[int, ...], g: tuple[int, ...], kernel: tuple[int, ...], **settings: tuple[int, ...]
    ) -> Example:
        ones = (1,) * len(kernel)
        attrs = {"stride": ones, "dilation": ones, "before": (0,) * len(kernel)} | settings
        attrs |= {"size": x[2:], "count": g[3:]}

        def build(left: Tensor, right: Tensor) -> Tensor:
            return DEPTHWISE_PRODUCT(left, right, kernel=kernel, **attrs)

        return Example(build, (rng.normal(size=x), rng.normal(size=g)))

    return [
        example((2, 3, 7, 9), (2, 3, 2, 7, 9), (3, 3), before=(1, 1)),
        example((2, 3, 8, 9), (2, 3, 1, 4, 3), (3, 2), stride=(2, 3), before=(1, 0)),
        example((1, 2, 11), (1, 2, 1, 7), (3,), dilation=(2,)),
        example((1, 2, 12), (1, 2, 1, 5), (3,), dilation=(3,), stride=(2,), before=(2,)),
        example((2, 1, 3, 4, 5), (2, 1, 1, 3, 4, 4), (1, 3, 4), before=(0, 1, 1)),
        example((0, 2, 4, 4), (0, 2, 1, 4, 4), (3, 3), before=(1, 1)),
        example((2, 0, 4, 4), (2, 0, 1, 4, 4), (3, 3), before=(1, 1)),
    ]


DEPTHWISE_PRODUCT = register(
    OpDef(
        "depthwise_product",
        infer=_infer,
        reference=_reference,
        lower=DepthwiseProduct(),
        traits=frozenset({"nondifferentiable"}),  # made after differentiation
        examples=_examples,
    )
)
