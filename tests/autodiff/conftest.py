"""Evaluation by the reference interpreter."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.ir.tensor import Tensor


@pytest.fixture
def run() -> Callable[..., Any]:
    """run(outputs, {placeholder: value}) -> arrays; one tensor gives one array."""

    def evaluate(
        outputs: Tensor | Sequence[Tensor], feeds: Mapping[Tensor, Any] | None = None
    ) -> Any:
        arrays = {t: np.asarray(value, t.dtype) for t, value in (feeds or {}).items()}
        several = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        results = evaluate_tensors(several, arrays)
        return results[0] if isinstance(outputs, Tensor) else results

    return evaluate


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
