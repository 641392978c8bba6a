"""Sums of products of two tensors at affine indices: what convolutions and their gradients are.

One op with one structured form. Convolutions are expanded to it after differentiation; which axis
runs in the lanes of vectors follows from the order of the result's axes.
"""

from typing import Any

import numpy as np

from graphc.dtypes import float32, float64, is_floating, uint32
from graphc.errors import DTypeError, ShapeError
from graphc.ir.lowering import WindowProduct
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.product_notation import ProductNotation, first_index, last_index
from graphc.ir.registry import register
from graphc.ir.tensor import Tensor
from graphc.ops.definition import NOT_HALF, Accepts, check_dtype
from graphc.scalar.evaluate import halves_of_pairs

PAIRS = Accepts(lambda dtype: dtype == uint32, "pairs of bfloat16, as uint32")


def _infer(call: Inference) -> TensorType:
    """Indices must stay in range; symbolic ones are what the op that is expanded has checked."""
    left, right = call.types
    check_dtype(call.op, left.dtype, PAIRS if call.attrs["pairs"] else NOT_HALF)
    if left.dtype != right.dtype:
        raise DTypeError(f"{call.op}: {left} and {right} differ in dtype")
    notation = ProductNotation.read(call.attrs["subscripts"])
    sizes = dict(zip(call.attrs["axes"], call.attrs["sizes"], strict=True))
    empty = 0 in call.attrs["sizes"]
    for operand, indices, starts in zip(
        call.types, notation.operands, notation.starts, strict=True
    ):
        if len(indices) != operand.ndim:
            raise ShapeError(f"{call.op}: {len(indices)} indices for {operand}")
        for terms, size, start in zip(indices, operand.shape, starts, strict=True):
            if start is not None:
                if sum(axis not in notation.result for axis, _ in terms) != 1:
                    text = "between zeros stand indices of one axis that is summed"
                    raise ShapeError(f"{call.op}: {text}, not {terms}")
                continue
            last = last_index(terms, sizes)
            if isinstance(last, int) and isinstance(size, int) and last >= size and not empty:
                raise ShapeError(f"{call.op}: index {last} is out of range in {operand}")
    dtype = float32 if call.attrs["pairs"] else left.dtype
    return TensorType(dtype, tuple(sizes[axis] for axis in notation.result))


def _reference(attrs: Attributes, left: np.ndarray, right: np.ndarray) -> Any:
    """Views of the operands over all loop axes, and numpy's einsum; floats in float64."""
    if attrs["pairs"]:
        halves = zip(halves_of_pairs(left), halves_of_pairs(right), strict=True)
        low, high = (_reference({**attrs, "pairs": False}, *both) for both in halves)
        return low + high
    notation = ProductNotation.read(attrs["subscripts"])
    sizes = dict(zip(attrs["axes"], attrs["sizes"], strict=True))
    dtype = left.dtype
    if 0 in sizes.values():  # numpy's einsum (2.4) reads an element of what has none
        return np.zeros([sizes[axis] for axis in notation.result], dtype)
    views, groups = [], []
    for array, indices, starts in zip(
        (left, right), notation.operands, notation.starts, strict=True
    ):
        wide = array.astype(float64) if is_floating(dtype) else array
        around: list[Any] = []
        origin: list[Any] = []
        for terms, start, size in zip(indices, starts, array.shape, strict=True):
            lowest = (start or 0) + first_index(terms, sizes)
            highest = (start or 0) + last_index(terms, sizes)
            around.append((max(0, -lowest), max(0, highest + 1 - size)))
            origin.append((start or 0) + around[-1][0])
        wide = np.pad(wide, around)
        strides: dict[str, int] = {}
        for terms, stride in zip(indices, wide.strides, strict=True):
            for axis, steps in terms:
                strides[axis] = strides.get(axis, 0) + steps * stride
        shape = tuple(sizes[axis] for axis in strides)
        inner = wide[tuple([slice(place, None) for place in origin])]
        views.append(np.lib.stride_tricks.as_strided(inner, shape, tuple(strides.values())))
        groups.append("".join(strides))
    result = np.einsum(f"{','.join(groups)}->{notation.result}", *views, optimize=True)
    return np.asarray(result).astype(dtype)


def _examples(rng: Generator) -> list[Example]:
    def example(
        subscripts: str, sizes: dict[str, int], *shapes: tuple[int, ...], outer: str = ""
    ) -> Example:
        def build(left: Tensor, right: Tensor) -> Tensor:
            return WINDOW_PRODUCT(
                left,
                right,
                subscripts=subscripts,
                axes="".join(sizes),
                sizes=tuple(sizes.values()),
                outer=outer,
                pairs=False,
            )

        return Example(build, tuple(rng.normal(size=shape) for shape in shapes))

    plane = {"n": 2, "o": 5, "y": 3, "x": 4, "c": 2, "p": 2, "q": 3}
    subscripts = "n,c,y+p,2x+q;o,c,p,q->n,o,y,x"
    return [
        example(subscripts, plane, (2, 2, 4, 9), (5, 2, 2, 3)),
        example(subscripts, plane | {"c": 0}, (2, 0, 4, 9), (5, 0, 2, 3)),
        example(subscripts, plane | {"n": 0}, (0, 2, 4, 9), (5, 2, 2, 3)),
        example(
            "n,2y+p,x+3q,c;n,y,x,o->p,q,c,o",
            {"n": 2, "y": 2, "p": 2, "q": 2, "c": 3, "o": 19, "x": 4},
            (2, 4, 7, 3),
            (2, 2, 4, 19),
            outer="ny",
        ),
        example(
            "n,y+p-2,x+q,c;p,q,c,o->n,y,x,o",
            {"n": 2, "y": 5, "x": 7, "o": 19, "p": 4, "q": 3, "c": 3},
            (2, 3, 9, 3),
            (4, 3, 3, 19),
        ),
        example(
            "n,y+p,x+q,c;u+2-2p,v+1-2q,c,o->n,y,u,x,v,o",
            {"n": 2, "u": 2, "v": 2, "y": 3, "x": 4, "o": 5, "p": 3, "q": 2, "c": 2},
            (2, 5, 5, 2),
            (3, 3, 2, 5),
        ),
        example(
            "y+p,c;u-3p,c,o->y,u,o", {"u": 3, "y": 4, "o": 5, "p": 1, "c": 2}, (4, 2), (2, 2, 5)
        ),
        example("2y+p-1,c;p,c,o->y,o", {"y": 4, "o": 8, "p": 3, "c": 2}, (7, 2), (3, 2, 8)),
        example("x+q;q->x", {"x": 33, "q": 3}, (35,), (3,)),
        example("n;n->", {"n": 3}, (3,), (3,)),
    ]


WINDOW_PRODUCT = register(
    OpDef(
        "window_product",
        infer=_infer,
        reference=_reference,
        lower=WindowProduct(),
        traits=frozenset({"nondifferentiable"}),  # made after differentiation
        examples=_examples,
        defaults={"outer": "", "pairs": False},
    )
)
