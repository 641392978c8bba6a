"""Python functions on complex arrays, in programs of real numbers: pairs go in and come out."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from graphc.conversion import complex_view, real_view
from graphc.dtypes import DType, is_complex, real_dtype
from graphc.ir.lowering import HostCall
from graphc.ir.node import Attributes, Node, TensorType
from graphc.ir.opdef import Inference, OpDef
from graphc.ir.parts import Parts, Value, joined
from graphc.ir.registry import Builder


def through_pairs(b: Builder, node: Node, inputs: Sequence[Value]) -> tuple[Value, ...]:
    """For ops that call Python: the same call, with floats [..., 2] for complex numbers."""
    dtypes = tuple(
        tensor.dtype if isinstance(value, Parts) else None
        for tensor, value in zip(node.inputs, inputs, strict=True)
    )
    outputs = _of_pairs(node.op, dtypes).apply([joined(b, value) for value in inputs], node.attrs)
    return tuple(
        Parts(output[..., 0], output[..., 1]) if is_complex(declared.dtype) else output
        for output, declared in zip(outputs, node.types, strict=True)
    )


@lru_cache(maxsize=64)
def _of_pairs(op: OpDef, dtypes: tuple[DType | None, ...]) -> OpDef:
    """The op on pairs. dtypes: of the inputs that are complex, else None."""

    def infer(call: Inference) -> tuple[TensorType, ...]:
        types = tuple(
            one if dtype is None else TensorType(dtype, one.shape[:-1])
            for one, dtype in zip(call.types, dtypes, strict=True)
        )
        found, _ = op.infer_types(types, call.attrs)
        return tuple(
            TensorType(real_dtype(one.dtype), (*one.shape, 2)) if is_complex(one.dtype) else one
            for one in found
        )

    def reference(attrs: Attributes, *arrays: np.ndarray) -> Any:
        whole = [
            array if dtype is None else complex_view(array)
            for array, dtype in zip(arrays, dtypes, strict=True)
        ]
        for array in whole:
            array.flags.writeable = False
        result = op.reference(attrs, *whole)
        if isinstance(result, tuple):
            return tuple(map(_pairs, result))
        return _pairs(result)

    return OpDef(
        op.name,
        infer=infer,
        reference=reference,
        lower=HostCall(owned=True),
        traits=op.traits | {"custom"},
    )


def _pairs(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and is_complex(value.dtype):
        return real_view(np.ascontiguousarray(value).reshape(np.shape(value)))  # 0-d stays so
    return value
