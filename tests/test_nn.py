"""The composites of gc.nn against their definitions."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.special

import graphc as gc
from graphc import nn
from graphc.errors import FunctionError
from graphc.gradient_check import verify_grad

X = np.array([-3.0, -1.0, 0.0, 0.5, 2.0])


def value(build: Any, array: Any) -> Any:
    x = gc.placeholder("x", np.shape(array), np.asarray(array).dtype)
    return gc.run(build(x), {x: np.asarray(array)})


def test_activations() -> None:
    normal = X * (1 + scipy.special.erf(X / math.sqrt(2))) / 2
    bent = X * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3))) / 2
    np.testing.assert_allclose(value(nn.gelu, X), normal, rtol=1e-12)
    np.testing.assert_allclose(value(lambda x: nn.gelu(x, "tanh"), X), bent, rtol=1e-12)
    np.testing.assert_allclose(value(nn.silu, X), X * scipy.special.expit(X), rtol=1e-12)
    np.testing.assert_allclose(value(nn.leaky_relu, X), np.where(X > 0, X, 0.01 * X), rtol=1e-12)
    np.testing.assert_allclose(
        value(lambda x: nn.leaky_relu(x, 0.3), X), np.where(X > 0, X, 0.3 * X), rtol=1e-12
    )


@pytest.mark.parametrize("name", ["gelu", "silu", "leaky_relu", "softplus", "sigmoid"])
def test_gradients(name: str) -> None:
    verify_grad(getattr(nn, name), [np.array([-2.0, -0.3, 0.7, 3.0])])


def test_float32_stays_and_integers_become_it() -> None:
    for name in ("gelu", "silu", "leaky_relu", "softplus", "softmax", "log_softmax"):
        for dtype in ("float32", "int32"):
            assert getattr(nn, name)(gc.placeholder("x", (3,), dtype)).dtype == np.float32


def test_gradient_of_leaky_relu_at_zero_is_its_slope() -> None:
    x = gc.placeholder("x")
    assert gc.run(gc.grad(nn.leaky_relu(x, 0.25), x), {x: np.float32(0)}) == 0.25


def test_unknown_approximation() -> None:
    with pytest.raises(FunctionError, match="approximate='fast'") as caught:
        nn.gelu(gc.placeholder("x"), "fast")
    assert "test_nn.py:" in str(caught.value)
