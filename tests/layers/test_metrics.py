"""Metrics against scikit-learn, over batches and with weights."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

import graphc as gc
from graphc import layers
from graphc.layers import metrics

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 50)
SCORES = RNG.dirichlet(np.ones(4), 50)
CHOSEN = SCORES.argmax(1)
BITS = RNG.integers(0, 2, 50)
CHANCES = RNG.integers(0, 100, 50) / 100 + 0.0026  # no two between the same thresholds of AUC
WEIGHTS = RNG.uniform(0.1, 2, 50)
REAL, NEAR = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3))
ONE_HOT = np.eye(4)[LABELS]

CASES: dict[str, tuple[Any, Any, Any, Any]] = {
    "accuracy of classes": (
        metrics.Accuracy(),
        LABELS,
        SCORES,
        lambda w: sk.accuracy_score(LABELS, CHOSEN, sample_weight=w),
    ),
    "accuracy of bits": (
        metrics.Accuracy(),
        BITS[:, None],
        CHANCES[:, None],
        lambda w: sk.accuracy_score(BITS, CHANCES > 0.5, sample_weight=w),
    ),
    "accuracy of numbers": (
        metrics.Accuracy(),
        LABELS,
        CHOSEN,
        lambda w: sk.accuracy_score(LABELS, CHOSEN, sample_weight=w),
    ),
    "binary": (
        metrics.BinaryAccuracy(threshold=0.3),
        BITS,
        CHANCES,
        lambda w: sk.accuracy_score(BITS, CHANCES > 0.3, sample_weight=w),
    ),
    "categorical": (
        metrics.CategoricalAccuracy(),
        ONE_HOT,
        SCORES,
        lambda w: sk.accuracy_score(LABELS, CHOSEN, sample_weight=w),
    ),
    "sparse": (
        metrics.SparseCategoricalAccuracy(),
        LABELS[:, None],
        SCORES,
        lambda w: sk.accuracy_score(LABELS, CHOSEN, sample_weight=w),
    ),
    "top 2": (
        metrics.SparseTopKCategoricalAccuracy(k=2),
        LABELS,
        SCORES,
        lambda w: sk.top_k_accuracy_score(LABELS, SCORES, k=2, sample_weight=w),
    ),
    "top 3": (
        metrics.TopKCategoricalAccuracy(k=3),
        ONE_HOT,
        SCORES,
        lambda w: sk.top_k_accuracy_score(LABELS, SCORES, k=3, sample_weight=w),
    ),
    "precision": (
        metrics.Precision(),
        BITS,
        CHANCES,
        lambda w: sk.precision_score(BITS, CHANCES > 0.5, sample_weight=w),
    ),
    "recall": (
        metrics.Recall(thresholds=0.4),
        BITS,
        CHANCES,
        lambda w: sk.recall_score(BITS, CHANCES > 0.4, sample_weight=w),
    ),
    "precision of a class": (
        metrics.Precision(class_id=2),
        ONE_HOT,
        SCORES,
        lambda w: sk.precision_score(LABELS == 2, SCORES[:, 2] > 0.5, sample_weight=w),
    ),
    "f1": (
        metrics.F1Score(),
        LABELS,
        SCORES,
        lambda w: sk.f1_score(LABELS, CHOSEN, average=None, sample_weight=w),
    ),
    "f1 macro": (
        metrics.F1Score(average="macro"),
        ONE_HOT,
        SCORES,
        lambda w: sk.f1_score(LABELS, CHOSEN, average="macro", sample_weight=w),
    ),
    "f1 micro": (
        metrics.F1Score(average="micro"),
        LABELS,
        SCORES,
        lambda w: sk.f1_score(LABELS, CHOSEN, average="micro", sample_weight=w),
    ),
    "f1 weighted": (
        metrics.F1Score(average="weighted"),
        LABELS,
        SCORES,
        lambda w: sk.f1_score(LABELS, CHOSEN, average="weighted", sample_weight=w),
    ),
    "f1 of bits": (
        metrics.F1Score(average="macro"),
        BITS,
        CHANCES,
        lambda w: sk.f1_score(BITS, CHANCES > 0.5, sample_weight=w),
    ),
    "roc": (
        metrics.AUC(),
        BITS,
        CHANCES,
        lambda w: sk.roc_auc_score(BITS, CHANCES, sample_weight=w),
    ),
    "pr": (
        metrics.AUC(curve="PR"),
        BITS,
        CHANCES,
        lambda w: sk.average_precision_score(BITS, CHANCES, sample_weight=w),
    ),
    "confusion": (
        metrics.ConfusionMatrix(num_classes=4),
        LABELS,
        SCORES,
        lambda w: sk.confusion_matrix(LABELS, CHOSEN, sample_weight=w),
    ),
    "confusion of numbers": (
        metrics.ConfusionMatrix(num_classes=4),
        LABELS,
        CHOSEN,
        lambda w: sk.confusion_matrix(LABELS, CHOSEN, sample_weight=w),
    ),
    "mse": (
        metrics.MeanSquaredError(),
        REAL,
        NEAR,
        lambda w: sk.mean_squared_error(REAL, NEAR, sample_weight=w),
    ),
    "rmse": (
        metrics.RootMeanSquaredError(),
        REAL,
        NEAR,
        lambda w: np.sqrt(sk.mean_squared_error(REAL, NEAR, sample_weight=w)),
    ),
    "mae": (
        metrics.MeanAbsoluteError(),
        REAL,
        NEAR,
        lambda w: sk.mean_absolute_error(REAL, NEAR, sample_weight=w),
    ),
    "r2": (metrics.R2Score(), REAL, NEAR, lambda w: sk.r2_score(REAL, NEAR, sample_weight=w)),
    "r2 each": (
        metrics.R2Score(class_aggregation=None),
        REAL,
        NEAR,
        lambda w: sk.r2_score(REAL, NEAR, multioutput="raw_values", sample_weight=w),
    ),
    "log loss": (
        metrics.get("sparse_categorical_crossentropy"),
        LABELS,
        SCORES,
        lambda w: sk.log_loss(LABELS, SCORES, sample_weight=w),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_scikit_learn(name: str) -> None:
    metric, y_true, y_pred, expected = CASES[name]
    for weight in (None, WEIGHTS):
        assert np.allclose(metric(y_true, y_pred, weight), expected(weight), rtol=1e-6)

    y, p = np.asarray(y_true), np.asarray(y_pred)
    fed = [gc.placeholder(n, ("n", *a.shape[1:]), a.dtype) for n, a in (("y", y), ("p", p))]
    w = gc.placeholder("w", ("n",), "float64")
    train = gc.function([*fed, w], updates=metric.update(*fed, w))
    result = gc.function([], metric.result())
    for _ in range(2):
        for part in (slice(0, 0), slice(0, 7), slice(7, 8), slice(8, 50)):
            train(y[part], p[part], WEIGHTS[part])
        assert np.allclose(result(), expected(WEIGHTS), rtol=1e-6)
        metric.reset()


def test_empty_metrics() -> None:
    for name in ("accuracy", "mse", "auc", "precision", "recall", "f1_score"):
        assert np.all(gc.run(metrics.get(name).result()) == 0)
    assert gc.run(metrics.get("r2_score").result()) == 1


def test_r2_of_constant_targets_and_far_means() -> None:
    assert metrics.R2Score()([2.0, 2.0], [2.0, 2.0]) == 1
    assert metrics.R2Score()([2.0, 2.0], [2.0, 3.0]) == 0
    y = 1e9 + np.arange(10.0)
    assert metrics.R2Score()(y, y + 1) == pytest.approx(sk.r2_score(y, y + 1))


def test_names_configs_and_functions() -> None:
    assert metrics.get("acc").name == "acc" and metrics.Accuracy().name == "accuracy"
    assert metrics.AUC().name == "auc" and metrics.MeanSquaredError().name == "mean_squared_error"
    f1 = metrics.F1Score(average="macro", threshold=0.5)
    config = json.loads(json.dumps({"class_name": "F1Score", "config": f1.get_config()}))
    assert metrics.get(config).get_config() == f1.get_config()
    own = metrics.get(lambda y, p: gc.abs(y - p))
    assert own(np.array([1.0, 2.0]), np.array([2.0, 4.0])) == 1.5
    mean = metrics.Mean()
    assert mean(None, np.array([1.0, 3.0]), np.array([3.0, 1.0])) == 1.5


def test_errors() -> None:
    with pytest.raises(gc.ParameterError, match="did you mean"):
        metrics.get("acuracy")
    with pytest.raises(gc.ShapeError, match="do not fit"):
        metrics.SparseCategoricalAccuracy()(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(gc.ShapeError, match="no rows of class scores"):
        metrics.SparseCategoricalAccuracy()(np.zeros(2), np.zeros(2))
    with pytest.raises(gc.ParameterError, match="k=0"):
        metrics.TopKCategoricalAccuracy(k=0)
    with pytest.raises(gc.ParameterError, match="curve"):
        metrics.AUC(curve="ROCK")
    with pytest.raises(gc.ParameterError, match="average"):
        metrics.F1Score(average="mean")
    with pytest.raises(gc.IndexOutOfRange):
        metrics.ConfusionMatrix(num_classes=2)([0, 2], [1, 1])


def test_intersections_over_unions() -> None:
    images = RNG.integers(0, 3, (4, 5, 6))
    found = RNG.integers(0, 3, (4, 5, 6))
    weights = RNG.uniform(size=(4, 5, 6))
    wanted = sk.jaccard_score(
        images.ravel(), found.ravel(), average="macro", sample_weight=weights.ravel()
    )
    assert metrics.MeanIoU(3)(images, found, weights) == pytest.approx(wanted)
    assert metrics.MeanIoU(9)(images, found, weights) == pytest.approx(wanted)  # absent classes
    scores = np.moveaxis(np.eye(3)[found], -1, 1)
    sparse = metrics.MeanIoU(3, sparse_y_pred=False, axis=1)
    assert sparse(images, scores, weights) == pytest.approx(wanted)
    strange = np.where(images == 2, 255, images)
    both = metrics.MeanIoU(3, ignore_class=2)
    assert metrics.MeanIoU(3)(strange, found) == both(images, found)
    assert metrics.MeanIoU(3)(images[:0], found[:0]) == 0
    binary = sk.jaccard_score(BITS, CHANCES >= 0.3)
    assert metrics.BinaryIoU([1], 0.3)(BITS, CHANCES) == pytest.approx(binary)


def test_a_model_is_measured_by_them() -> None:
    model = layers.Sequential([layers.Input((3,)), layers.Dense(3, "softmax")])
    own = [metrics.OneHotMeanIoU(3, name="overlap"), "cosine_similarity", metrics.TruePositives()]
    model.compile("sgd", "dice", metrics=own)
    rows = np.eye(3)[LABELS % 3]
    got = model.evaluate(REAL, rows, return_dict=True)
    p = model.predict(REAL)
    assert got["overlap"] == pytest.approx(
        sk.jaccard_score(LABELS % 3, p.argmax(1), average="macro"), rel=1e-6
    )
    assert got["cosine_similarity"] > 0
    assert got["true_positives"] == (rows * (p > 0.5)).sum()
    assert got["loss"] == pytest.approx(1 - 2 * (rows * p).sum() / (50 + p.sum()), rel=1e-2)


def test_states() -> None:
    mean = metrics.Mean()
    mean.update_state([1.0, 2.0])
    mean.update_state(6.0, sample_weight=2.0)
    assert gc.run(mean.result()) == 15 / 4
    mean.reset_state()
    mean.update_state(3.0)
    assert gc.run(mean.result()) == 3
    total = metrics.Sum()
    total.update_state(np.ones(3), [1.0, 0, 2])
    assert gc.run(total.result()) == 3


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: metrics.MeanIoU(0), "num_classes"),
        (lambda: metrics.IoU(2, [2]), "target_class_ids"),
        (lambda: metrics.TruePositives(thresholds=[0.5, 2.0]), "thresholds"),
        (lambda: metrics.PrecisionAtRecall(1.5), "recall=1.5"),
        (lambda: metrics.FBetaScore(beta=0.0), "beta"),
    ],
)
def test_settings_of_counts(make: Any, match: str) -> None:
    with pytest.raises(gc.ParameterError, match=match):
        make()
