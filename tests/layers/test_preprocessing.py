"""Rescaling and Normalization: what adapt measures, integers, wrong settings."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import Input, Model, Sequential
from graphc.layers.data import Dataset

X = np.random.default_rng(0).normal(3, 2, (50, 4, 3))


def test_integers_become_floats() -> None:
    images = np.array([[0, 51, 255]], "uint8")
    scaled = gc.run(layers.Rescaling(1 / 127.5, offset=-1)(images))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[-1, -0.6, 1]], rtol=1e-6)
    both = gc.run(layers.Normalization(mean=1.0, variance=4.0)(np.array([[1, 3]])))
    assert both.dtype == np.float32 and both.tolist() == [[0, 1]]


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), (-1, 1), None])
@pytest.mark.parametrize(
    "given",
    [
        lambda: X,
        lambda: [X[:20], X[20:21], X[21:]],
        lambda: Dataset.from_arrays(X, X[:, 0]).batch(7),
        lambda: (part for part in (X[:1], X[1:])),
        lambda: X.tolist(),
    ],
)
def test_adapt(axis: Any, given: Callable[[], Any]) -> None:
    layer = layers.Normalization(axis)
    layer.adapt(given())
    kept = () if axis is None else tuple(a % 3 for a in np.atleast_1d(axis))
    over = tuple(a for a in range(3) if a not in kept)
    mean, variance, count = layer.get_weights()
    np.testing.assert_allclose(mean, X.mean(over), rtol=1e-6)
    np.testing.assert_allclose(variance, X.var(over), rtol=1e-6)
    assert count == X.size // max(mean.size, 1)
    wanted = (X - X.mean(over, keepdims=True)) / X.std(over, keepdims=True)
    np.testing.assert_allclose(gc.run(layer(X)), wanted, rtol=1e-5, atol=1e-5)


def test_adapt_after_the_model_was_made() -> None:
    layer = layers.Normalization()
    x = Input((3,))
    model = Model(x, layer(x))
    assert layer.trainable_weights == [] and len(layer.weights) == 3
    rows = X.reshape(-1, 3)
    np.testing.assert_allclose(model.predict(rows), rows, rtol=1e-6)
    layer.adapt(Dataset.from_arrays(rows))  # examples without batches
    np.testing.assert_allclose(model.predict(rows).std(0), 1, rtol=1e-4)
    layer.adapt(rows + 5)  # what was measured before is forgotten
    np.testing.assert_allclose(model.predict(rows + 5).mean(0), 0, atol=1e-5)
    back = layers.Normalization(mean=layer.mean.value, variance=layer.variance.value, invert=True)
    np.testing.assert_allclose(gc.run(back(model.predict(rows))), rows, atol=1e-4)


def test_adapt_does_not_change_anything_after_an_error() -> None:
    layer = layers.Normalization()
    layer.adapt(X)
    before = layer.get_weights()
    for wrong in ([X, X[..., :2]], X[0], [], X[:0]):
        with pytest.raises((gc.ShapeError, gc.ParameterError)):
            layer.adapt(wrong)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(gc.ParameterError, match="given its mean"):
        layers.Normalization(mean=1.0, variance=1.0).adapt(X)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: layers.Rescaling("1/255"), "scale"),
        (lambda: layers.Rescaling(1, offset=np.nan), "offset"),
        (lambda: layers.Normalization(axis=1.5), "axis"),  # type: ignore[arg-type]
        (lambda: layers.Normalization(mean=1.0), "give both"),
        (lambda: layers.Normalization(mean=[1.0, 2], variance=[1.0]), "one shape"),
        (lambda: layers.Normalization(mean=1.0, variance=-1.0), "below 0"),
        (lambda: layers.EinsumDense("ab,bc", 3), "equation"),
        (lambda: layers.EinsumDense("ab,bc->ad", 3), "d of the result"),
        (lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="b"), "b of bias_axes"),
        (lambda: layers.EinsumDense("ab,bc->ac", 0), "output_shape"),
        (lambda: layers.Attention(score_mode="sum"), "score_mode"),
        (lambda: layers.AdditiveAttention(dropout=1.0), "dropout"),
        (lambda: layers.UnitNormalization(axis=0.5), "axis"),  # type: ignore[arg-type]
    ],
)
def test_settings(make: Callable[[], Any], match: str) -> None:
    with pytest.raises(gc.ParameterError, match=match):
        make()


def test_inputs_that_do_not_fit() -> None:
    row, steps = gc.placeholder("r", ("n", 3)), gc.placeholder("s", ("n", "t", 3))
    cases: list[tuple[Any, Any, str]] = [
        (layers.Normalization(axis=2), row, "axis"),
        (layers.Normalization(mean=[1.0, 2], variance=[1.0, 2]), row, "do not fit"),
        (layers.Normalization(axis=1), steps, "must be known"),
        (layers.EinsumDense("abc,cd->abd", (None, 4)), row, "2 axes"),
        (layers.EinsumDense("abc,cd->abd", 4), steps, "1 sizes for the 2 axes"),
        (layers.EinsumDense("abc,bd->adc", (4, None)), steps, "'b' of the kernel"),
        (layers.Attention(), row, "one input"),
        (layers.Attention(), [steps], "1 inputs"),
    ]
    for layer, x, match in cases:
        with pytest.raises(gc.ShapeError, match=match) as caught:
            layer(x)
        assert caught.value.code == "E241" and layer.weights == []


def test_einsum_draws_for_the_matrix_that_acts() -> None:
    layers.set_random_seed(0)
    layer = layers.EinsumDense("abc,dce->abde", (None, 8, 25))
    assert layer.compute_output_shape((None, 7, 100)) == (None, 7, 8, 25)
    bound = np.sqrt(6 / (100 + 200))
    largest = np.abs(layer.kernel.value).max()
    assert layer.kernel.shape == (8, 100, 25) and 0.99 * bound < largest <= bound


def test_attention_takes_masks_along() -> None:
    words = Input((None,), dtype="int64")
    h = layers.Embedding(9, 4, mask_zero=True)(words)
    found, weights = layers.Attention(use_scale=True)([h, h], return_attention_scores=True)
    assert found.mask is not None
    model = Model(words, [layers.GlobalAveragePooling1D()(found), weights])
    short, padded = model.predict([[3, 5]]), model.predict([[3, 5, 0, 0]])
    np.testing.assert_allclose(short[0], padded[0], rtol=1e-5)
    assert (padded[1][0, :, 2:] == 0).all()


def test_attention_dropout_is_for_training() -> None:
    x = gc.placeholder("x", (2, 6, 3))
    layer = layers.AdditiveAttention(dropout=0.5, seed=1)
    _, weights = layer([x, x], training=True, return_attention_scores=True)
    f = gc.function([x], [weights, layer([x, x])])
    dropped, plain = f(np.ones((2, 6, 3), "float32"))
    np.testing.assert_allclose(np.unique(dropped), [0, 1 / 3], rtol=1e-5)
    np.testing.assert_allclose(plain, 1, rtol=1e-6)


def test_names_of_keras() -> None:
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.GlobalAvgPool1D is layers.GlobalAveragePooling1D
    assert layers.Convolution2D is layers.Conv2D
    a, b = X[0], X[1]
    np.testing.assert_allclose(gc.run(layers.add([a, b])), a + b)
    np.testing.assert_allclose(gc.run(layers.concatenate([a, b])), np.concatenate([a, b], 1))
    np.testing.assert_allclose(gc.run(layers.dot([X, X], (1, 1))), X.swapaxes(1, 2) @ X)


def test_activity_regularization_is_added_to_the_loss() -> None:
    layer = layers.ActivityRegularization(l1=0.1, l2=0.01)
    model = Sequential([Input((3,), dtype="float64"), layer])
    model.compile("sgd", "mse")
    x = X[0]
    loss = model.evaluate(x, x)
    assert loss == pytest.approx(0.1 * np.abs(x).sum() + 0.01 * (x**2).sum())
    assert layers.ActivityRegularization.from_config(layer.get_config()).get_config() == {
        "l1": 0.1,
        "l2": 0.01,
    }
