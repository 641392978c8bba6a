"""Values of expressions by the reference and as native code."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

Compute = Callable[..., Any]


@pytest.fixture(params=["reference", "llvm"])
def compute(request: pytest.FixtureRequest) -> Compute:
    """compute(build, *arrays): the value of build(*placeholders), with symbolic sizes.

    A tuple of outputs gives a tuple of arrays.
    """

    def run(build: Callable[..., Any], *arrays: Any) -> Any:
        held = [np.asarray(array) for array in arrays]
        held = [a.astype(np.float32) if a.dtype == np.float64 else a for a in held]
        inputs = [
            gc.placeholder(f"x{n}", [None if s != 1 else 1 for s in a.shape], a.dtype)
            for n, a in enumerate(held)
        ]
        return gc.function(inputs, build(*inputs), backend=request.param)(*held)

    return run
