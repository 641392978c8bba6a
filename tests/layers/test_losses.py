"""Losses against PyTorch's values and gradients, and what they say about wrong targets."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.layers import losses

TRUTH = json.loads((Path(__file__).parent / "truth_losses.json").read_text(encoding="utf-8"))
NAMES = [
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "quadratic",
    "huber",
    "log_cosh",
    "poisson",
    "binary_crossentropy",
    "categorical_crossentropy",
    "kl_divergence",
    "hinge",
    "squared_hinge",
    "categorical_hinge",
    "cosine_similarity",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "dice",
    "tversky",
]


def value(loss: Any, y_true: Any, y_pred: Any, weight: Any = None) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.asarray(gc.run(losses.get(loss)(y_true, y_pred, weight)))


@pytest.mark.parametrize("name", TRUTH)
def test_values_and_gradients_equal_those_of_pytorch(name: str) -> None:
    case = TRUTH[name]
    cls, *options = name.split()
    settings = {"from_logits": True} if options else {}
    loss = losses.get({"class_name": cls, "config": {"reduction": "none"} | settings})
    y_pred = gc.placeholder("y_pred", (None,) * np.ndim(case["y_pred"]), "float64")
    if cls == "Triplet":
        y_pred = gc.placeholder("y_pred", (None, 3, None), "float64")
    y_true = np.asarray(case["y_true"])
    values = loss(y_true, y_pred)
    weights = np.arange(1.0, len(case["values"]) + 1)
    gradient = gc.grad(gc.sum(values * weights), y_pred)
    got = gc.function([y_pred], [values, gradient])(np.asarray(case["y_pred"]))
    assert np.allclose(got[0], case["values"], rtol=1e-9, atol=1e-9)
    assert np.allclose(got[1], case["gradient"], rtol=1e-8, atol=1e-8)


def test_formulas() -> None:
    y, p = np.array([[1.0, 2.0], [0.0, -3.0]]), np.array([[2.0, 2.0], [1.0, 1.0]])
    none: dict[str, Any] = {"reduction": None}
    assert value(losses.Quadratic(**none), y, p).tolist() == [0.5, 8.5]
    assert value(losses.MeanSquaredError(), y, p) == 4.5
    relative = losses.MeanAbsolutePercentageError(**none)
    assert value(relative, y[:1], p[:1]).tolist() == [50.0]
    logs = losses.MeanSquaredLogarithmicError(**none)
    assert np.allclose(value(logs, y[:1], p[:1]), [(np.log(1.5)) ** 2 / 2])
    assert np.allclose(value(losses.LogCosh(**none), y, p), np.log(np.cosh(p - y)).mean(1))
    assert value(losses.LogCosh(), [0.0], [1e4]) == pytest.approx(1e4 - np.log(2))
    counts = p - y * np.log(p + 1e-7)
    assert np.allclose(value(losses.Poisson(**none), y, p), counts.mean(1))
    signs = np.array([[1.0, -1.0], [-1.0, 1.0]])
    margins = np.maximum(1 - signs * p, 0)
    assert np.allclose(value(losses.Hinge(**none), signs, p), margins.mean(1))
    assert np.allclose(value(losses.Hinge(**none), (signs + 1) / 2, p), margins.mean(1))
    assert np.allclose(value(losses.SquaredHinge(**none), signs, p), (margins**2).mean(1))
    assert value(losses.CategoricalHinge(**none), [[0.0, 1.0]], [[3.0, 2.5]]).tolist() == [1.5]


def test_reductions_and_weights() -> None:
    y, p, w = np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 0.0, 2.0, 1.0])
    each = p**2
    assert value("mse", y, p) == each.mean()
    assert value("mse", y, p, w) == (w * each).sum() / 4
    assert value(losses.MeanSquaredError(reduction="sum"), y, p, w) == (w * each).sum()
    weighted = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    assert value(weighted, y, p, w) == (w * each).sum() / w.sum()
    assert value(losses.MeanSquaredError(reduction="none"), y, p, w).tolist() == [1, 0, 18, 16]
    assert value("mse", y[:, None], p[:, None], w) == (w * each).sum() / 4
    two = losses.MeanSquaredError(reduction=None)
    assert value(two, np.zeros((2, 2, 1)), p.reshape(2, 2, 1), [1.0, 10.0]).shape == (2, 2)


def test_a_missing_last_axis_is_no_broadcast() -> None:
    y, p = np.array([1.0, 2.0]), np.array([[1.0], [4.0]])
    assert value("mse", y, p) == value("mse", p, y) == 2.0
    with pytest.raises(gc.ShapeError, match="differ in shape"):
        losses.mean_squared_error(np.zeros((2, 1)), np.zeros((2, 3)))


def test_probabilities_of_activations_are_exact() -> None:
    z = gc.placeholder("z", ("n", 2), "float64")
    scores = np.array([[800.0, -800.0], [-800.0, 800.0]])
    binary = losses.binary_crossentropy(np.ones((2, 2)), gc.sigmoid(z))
    sparse = losses.sparse_categorical_crossentropy([0, 0], gc.softmax(z))
    dense = losses.categorical_crossentropy([[1, 0], [1, 0]], gc.softmax(z))
    got = gc.function([z], [binary, sparse, dense, gc.grad(gc.sum(sparse), z)])(scores)
    assert got[0].tolist() == [400, 400]
    assert got[1].tolist() == got[2].tolist() == [0, 1600]
    assert got[3].tolist() == [[0, 0], [-1, 1]]


def test_sparse_labels() -> None:
    p = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    expected = -np.log([0.8, 0.5, 0.9])
    sparse = losses.SparseCategoricalCrossentropy(reduction="none")
    assert np.allclose(value(sparse, [1, 1, 0], p), expected)
    assert np.allclose(value(sparse, [[1.0], [1.0], [0.0]], p), expected)
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=-1, reduction="none")
    assert np.allclose(value(ignoring, [1, -1, 0], p), expected * [1, 0, 1])
    images = losses.SparseCategoricalCrossentropy(axis=1, reduction="none")
    assert np.allclose(value(images, [[1, 1, 0]], p.T[None]), expected)
    label = gc.placeholder("label", ("n",), "int64")
    f = gc.function([label], losses.sparse_categorical_crossentropy(label, gc.constant(p)))
    with pytest.raises(gc.IndexOutOfRange):
        f([0, 2, 1])
    with pytest.raises(gc.ShapeError, match="no class numbers"):
        value(sparse, np.eye(3)[:, :2], p)
    with pytest.raises(gc.ShapeError, match="sparse_categorical_crossentropy"):
        value("categorical_crossentropy", [0, 1, 0], p)


def test_label_smoothing() -> None:
    y, p = np.array([[0.0, 1.0]]), np.array([[0.3, 0.7]])
    smooth = np.array([[0.1, 0.9]])
    binary = losses.BinaryCrossentropy(label_smoothing=0.2)
    assert np.allclose(
        value(binary, y, p), -np.mean(smooth * np.log(p) + smooth[:, ::-1] * np.log(1 - p))
    )
    rows = losses.CategoricalCrossentropy(label_smoothing=0.2)
    assert np.allclose(value(rows, y, p), -np.sum(smooth * np.log(p)))


def test_activation_mismatches_warn() -> None:
    x, w = gc.placeholder("x", ("n", 3)), gc.variable(np.zeros((3, 2), "float32"))
    y = gc.placeholder("y", ("n", 2))
    with pytest.warns(UserWarning, match="leave out that activation"):
        losses.CategoricalCrossentropy(from_logits=True)(y, gc.softmax(x @ w))
    with pytest.warns(UserWarning, match="end the model with sigmoid"):
        losses.BinaryCrossentropy()(y, x @ w + 1)


def test_ctc_lengths_and_impossible_labels() -> None:
    scores = np.random.default_rng(1).normal(size=(2, 6, 4))
    short = gc.run(losses.ctc([[1, 2], [3, 0]], scores, input_lengths=[4, 6]))
    assert np.allclose(short[0], gc.run(losses.ctc([[1, 2]], scores[:1, :4]))[0])
    padded = gc.run(losses.ctc([[1, 2, -1], [3, -1, -1]], scores, target_lengths=[2, 1]))
    assert np.allclose(padded, gc.run(losses.ctc([[1, 2, 0], [3, 0, 0]], scores)))
    x = gc.placeholder("x", (1, "t", 4), "float64")
    cost = losses.ctc([[1, 1]], x)  # needs a blank in between: three steps at least
    f = gc.function([x], [cost, gc.grad(gc.sum(cost), x)])
    value, gradient = f(scores[:1, :2])
    assert value == np.inf and not gradient.any()
    assert np.isfinite(f(scores[:1, :3])[0])


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: str) -> None:
    rng = np.random.default_rng(3)
    y, p = rng.dirichlet(np.ones(3), 4), rng.dirichlet(np.ones(3), 4) + 0.02
    gc.verify_grad(lambda x: losses.get(name)(y, x), [p])


def test_focal_losses_of_activations_are_exact() -> None:
    z = gc.placeholder("z", ("n", 2), "float64")
    scores = np.array([[800.0, -800.0], [-800.0, 800.0]])
    right, wrong = np.array([[1.0, 0.0]] * 2), np.array([[0.0, 1.0]] * 2)
    for y, wanted in ((right, [0, 1600]), (wrong, [1600, 0])):
        dense = losses.categorical_focal_crossentropy(y, gc.softmax(z), alpha=1.0)
        binary = losses.binary_focal_crossentropy(y, gc.sigmoid(z))
        slope = gc.grad(gc.sum(dense) + gc.sum(binary), z)
        got = gc.function([z], [dense, binary, slope])(scores)
        assert got[0].tolist() == wanted and got[1].tolist() == [w / 2 for w in wanted]
        assert np.isfinite(got[2]).all() and np.abs(got[2]).max() == 1.5
    plain = losses.binary_focal_crossentropy(right, gc.sigmoid(z), gamma=0)
    cross = losses.binary_crossentropy(right, gc.sigmoid(z))
    assert np.array_equal(
        *gc.function([z], [gc.grad(gc.sum(x), z) for x in (plain, cross)])(scores)
    )


def test_circle_without_partners() -> None:
    x = gc.placeholder("x", ("n", 2), "float64")
    cost = losses.circle([0, 1, 1], x)
    got = gc.function([x], [cost, gc.grad(gc.sum(cost), x)])(np.eye(3)[:, :2])
    assert got[0][0] == 0 and (got[0][1:] > 0).all() and np.isfinite(got[1]).all()


def test_names_functions_and_errors() -> None:
    assert losses.get("MSE") == losses.get("mean_squared_error") == losses.MeanSquaredError()
    own = losses.get(lambda y, p: gc.max(gc.abs(y - p), axis=-1))
    assert value(own, np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])) == 3.0
    for name in ("Huber", "BinaryCrossentropy", "CTC"):
        loss = losses.get(name)
        assert losses.get({"class_name": name, "config": loss.get_config()}) == loss
    with pytest.raises(gc.ParameterError, match="did you mean BinaryCrossentropy"):
        losses.get("binary_crossentropie")
    with pytest.raises(gc.ParameterError, match="reduction='average'"):
        losses.MeanSquaredError(reduction="average")
    with pytest.raises(gc.ParameterError, match="delta"):
        losses.Huber(delta=0)
    with pytest.raises(gc.ParameterError, match="label_smoothing"):
        losses.BinaryCrossentropy(label_smoothing=2)
    with pytest.raises(gc.ShapeError, match="sample_weight"):
        value("mse", np.zeros(3), np.zeros(3), np.zeros((3, 2)))
    with pytest.raises(gc.ShapeError, match="triplets"):
        losses.Triplet()(None, np.zeros((4, 2)))
    with pytest.raises(gc.ParameterError, match="gamma"):
        losses.CategoricalFocalCrossentropy(gamma=-1.0)
    with pytest.raises(gc.ParameterError, match="alpha"):
        losses.Tversky(alpha=-0.1)
    with pytest.raises(gc.ParameterError, match=r"\(0, 1\)"):
        losses.CategoricalGeneralizedCrossEntropy(q=1.0)
    with pytest.raises(gc.ShapeError, match="circle"):
        losses.circle([[0, 1]], np.zeros((2, 3)))
    with pytest.raises(gc.ShapeError, match="ctc"):
        losses.CTC()([1, 2], np.zeros((4, 2)))
