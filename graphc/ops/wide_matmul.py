"""Products of matrices of narrow numbers, in a wider dtype: what matmul of halves is made of."""

from typing import Any

import numpy as np

from graphc.dtypes import double, float32, is_inexact
from graphc.ir.lowering import Contraction
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.registry import register
from graphc.ops.contraction import MATMUL

__all__: list[str] = []


def _infer(call: Inference) -> TensorType:
    """The shape of matmul, in attrs["dtype"]."""
    shape = MATMUL.infer(call)
    assert isinstance(shape, TensorType)
    return TensorType(call.attrs["dtype"], shape.shape)


def _reference(attrs: Attributes, a: np.ndarray, b: np.ndarray) -> Any:
    dtype = attrs["dtype"]
    wide = double(dtype) if is_inexact(dtype) else dtype
    return np.asarray(MATMUL.reference(attrs, a.astype(wide), b.astype(wide))).astype(dtype)


def _examples(rng: Generator) -> list[Example]:
    def example(first: str, second: str, shapes: tuple[tuple[int, ...], ...]) -> Example:
        flags = {"transpose_a": first == "t", "transpose_b": second == "t"}
        return Example(
            lambda x, y: WIDE_MATMUL(
                x.astype("bfloat16"), y.astype("bfloat16"), dtype=float32, **flags
            ),
            tuple(rng.normal(size=shape) for shape in shapes),
        )

    return [
        example("n", "n", ((3, 4), (4, 5))),
        example("t", "n", ((4, 3), (4, 5))),
        example("n", "t", ((3, 5), (4, 5))),
        example("t", "t", ((5, 3), (4, 5))),
        example("n", "n", ((2, 0), (0, 3))),
        example("n", "n", ((0, 3), (3, 2))),
        example("n", "t", ((2, 1, 3, 4), (5, 2, 4))),
        example("n", "n", ((20, 33), (33, 40))),
        example("t", "n", ((33, 20), (33, 40))),
        example("n", "t", ((20, 33), (40, 33))),
    ]


WIDE_MATMUL = register(
    OpDef(
        "wide_matmul",
        infer=_infer,
        reference=_reference,
        lower=Contraction(),
        traits=frozenset({"nondifferentiable"}),  # made after differentiation
        examples=_examples,
        defaults={"transpose_a": False, "transpose_b": False},
    )
)
