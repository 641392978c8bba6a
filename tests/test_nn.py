"""The composites of gc.nn against their definitions."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.special

import graphc as gc
from graphc import nn
from graphc.errors import FunctionError, ShapeError
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


# --- activations ---------------------------------------------------------------------------------

WIDE = np.array([-40.0, -3.0, -1.0, -0.2, 0.0, 0.5, 2.0, 7.0, 50.0])
ACTIVATIONS: dict[str, Any] = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "relu6": lambda x: np.clip(x, 0, 6),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "log_sigmoid": scipy.special.log_expit,
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_jax(name: str) -> None:
    with np.errstate(over="ignore"):
        expected = ACTIVATIONS[name](WIDE)
    np.testing.assert_allclose(value(getattr(nn, name), WIDE), expected, rtol=1e-12, atol=1e-14)
    verify_grad(getattr(nn, name), [np.array([-4.0, -0.8, -0.3, 0.7, 2.5, 8.0])])
    assert getattr(nn, name)(gc.placeholder("x", (3,), "float32")).dtype == "float32"


def test_activations_with_parameters() -> None:
    for name, alpha in (("elu", 0.5), ("celu", 2.0)):
        below = np.expm1(X / alpha if name == "celu" else X) * alpha
        found = value(lambda x, name=name, alpha=alpha: getattr(nn, name)(x, alpha), X)
        np.testing.assert_allclose(found, np.where(X > 0, X, below), rtol=1e-12)
    far = value(lambda x: nn.squareplus(x, 1.0), np.array([-1e8]))
    np.testing.assert_allclose(far, [2.5e-9], rtol=1e-12)
    for name in ("elu", "celu", "selu", "mish"):
        build = getattr(nn, name)
        slope = value(lambda x, build=build: gc.grad(gc.sum(build(x)), x), np.array([800.0, -800]))
        expected = 1.0507009873554805 if name == "selu" else 1
        np.testing.assert_allclose(slope, [expected, 0])


def test_glu_and_standardize() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    expected = x[:, :2] * scipy.special.expit(x[:, 2:])
    np.testing.assert_allclose(value(nn.glu, x), expected, rtol=1e-12)
    with pytest.raises(ShapeError, match="no halves"):
        nn.glu(gc.placeholder("x", (3, 5)))
    found = value(lambda x: nn.standardize(x, axis=0), x)
    np.testing.assert_allclose(found, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), rtol=1e-12)
    verify_grad(nn.standardize, [x])


def attention(q: Any, k: Any, v: Any, bias: Any = 0.0, mask: Any = True) -> np.ndarray:
    each = q.shape[-2] // k.shape[-2]
    k, v = np.repeat(k, each, axis=-2), np.repeat(v, each, axis=-2)
    scores = np.einsum("btnh,bsnh->bnts", q, k) / math.sqrt(q.shape[-1]) + bias
    weights = scipy.special.softmax(np.where(mask, scores, -np.inf), axis=-1)
    return np.asarray(np.einsum("bnts,bsnh->btnh", weights, v))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention(groups: int) -> None:
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, t, n, 3)) for t, n in ((5, 4), (6, groups), (6, groups)))
    bias, mask = rng.normal(size=(4, 5, 6)), rng.random((2, 1, 5, 6)) < 0.7
    mask[..., 0] = True
    inputs: Any = [
        gc.placeholder(name, ("b", t, x.shape[2], 3), "float64")
        for name, x, t in (("q", q, "t"), ("k", k, "s"), ("v", v, "s"))
    ]
    one, two, three = inputs
    outputs = [
        nn.dot_product_attention(one, two, three),
        nn.dot_product_attention(one, two, three, is_causal=True),
        nn.dot_product_attention(one, two, three, bias, mask),
    ]
    found = gc.function(inputs, outputs)(q, k, v)
    causal = np.arange(5)[:, None] >= np.arange(6)
    expected = (attention(q, k, v), attention(q, k, v, mask=causal), attention(q, k, v, bias, mask))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)
    verify_grad(lambda q, k, v: nn.dot_product_attention(q, k, v, bias, mask), [q, k, v])


def test_attention_without_a_batch_and_errors() -> None:
    x = gc.placeholder("x", ("t", 2, 3), "float16")
    assert nn.dot_product_attention(x, x, x, scale=1.0).type == x.type
    for wrong in (gc.placeholder("k", ("t", 3, 3)), gc.placeholder("k", ("t", 2, 4)), x[0]):
        with pytest.raises(ShapeError, match="do not fit") as caught:
            nn.dot_product_attention(x, wrong, wrong)
        assert "test_nn.py:" in str(caught.value)
