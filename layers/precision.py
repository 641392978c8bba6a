"""Half precision is for what is stored: what is computed of many numbers is computed in float32."""

from typing import Any

import graphc as gc

_HALF = (gc.float16, gc.bfloat16)


def precise_dtype(dtype: Any) -> Any:
    """float32 for half precision, any other dtype as it is.

    In float16 an epsilon of 1e-8 is 0, and squares of gradients overflow or vanish; in both, means
    that change by less than three digits do not change.
    """
    return gc.float32 if dtype in _HALF else dtype


def precise(tensor: gc.Tensor) -> gc.Tensor:
    """The tensor in the `precise_dtype` of its dtype."""
    return tensor.astype(precise_dtype(tensor.dtype))
