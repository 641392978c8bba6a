"""Values of the reference with static sizes, which must equal those with symbolic ones."""

from collections.abc import Callable

import numpy as np

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.ir.tensor import Tensor


def both_ways(build: Callable[..., Tensor], *arrays: np.ndarray) -> np.ndarray:
    """The value with static placeholders, which must equal that with symbolic sizes."""
    results = []
    for unknown in (False, True):
        shapes = [[None if unknown and n != 1 else n for n in array.shape] for array in arrays]
        inputs = [
            gc.placeholder(f"x{k}", shape, array.dtype)
            for k, (shape, array) in enumerate(zip(shapes, arrays, strict=True))
        ]
        feeds = dict(zip(inputs, arrays, strict=True))
        results.append(evaluate_tensors([build(*inputs)], feeds)[0])
    static, symbolic = results
    np.testing.assert_array_equal(static, symbolic)
    return static
