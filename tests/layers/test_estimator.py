"""Estimators in scikit-learn's own checks, searches and pipelines."""

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import graphc as gc
from graphc.layers import Dense, Input, Model, optimizers
from graphc.layers.estimator import GraphClassifier, GraphRegressor

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


@pytest.mark.slow
@pytest.mark.parametrize("cls", [GraphClassifier, GraphRegressor])
def test_checks_of_scikit_learn(cls: Any) -> None:
    check_estimator(cls(epochs=30, hidden=(20,)), on_skip=None)


def own_model(features: int, outputs: int) -> Model:
    x = Input((features,), dtype="float64")
    return Model(x, Dense(outputs, activation="softmax")(x))


def test_classifier() -> None:
    net = GraphClassifier((16,), epochs=40, random_state=0)
    pipeline = make_pipeline(StandardScaler(), net).fit(X, NAMES)
    assert pipeline.score(X, NAMES) > 0.95 and net.n_iter_ == 40
    chances = pipeline.predict_proba(X)
    assert chances.shape == (150, 3) and np.allclose(chances.sum(1), 1)
    again = clone(net).fit(StandardScaler().fit_transform(X), NAMES)
    assert np.array_equal(again.predict_proba(StandardScaler().fit_transform(X)), chances)
    copied = pickle.loads(pickle.dumps(pipeline))
    assert np.array_equal(copied.predict_proba(X), chances)
    assert net.history_["loss"][-1] < net.history_["loss"][0]


def test_own_model_and_optimizer() -> None:
    optimizer = optimizers.SGD(0.5, momentum=0.5)
    net = GraphClassifier(model=own_model, optimizer=optimizer, epochs=20, random_state=1)
    scaled = StandardScaler().fit_transform(X)
    first = net.fit(scaled, Y).predict(scaled)
    assert (first == Y).mean() > 0.9 and optimizer.iterations.value == 0
    assert np.array_equal(net.fit(scaled, Y).predict(scaled), first)


def test_searches() -> None:
    scaled = StandardScaler().fit_transform(X)
    net = GraphClassifier((8,), epochs=5, random_state=0)
    search = GridSearchCV(net, {"learning_rate": [1e-6, 0.05]}, cv=2).fit(scaled, Y)
    assert search.best_params_ == {"learning_rate": 0.05}
    drawn = RandomizedSearchCV(net, {"hidden": [(4,), (8,)]}, n_iter=1, cv=2, random_state=0)
    assert drawn.fit(scaled, Y).best_score_ > 0.5


def test_regressor() -> None:
    data, target = load_diabetes(return_X_y=True)
    data, target = StandardScaler().fit_transform(data), (target - 150) / 80
    net = GraphRegressor((16,), epochs=30, random_state=0)
    assert cross_val_score(net, data, target, cv=2).min() > 0.25
    both = net.fit(data, np.stack([target, -target], axis=1))
    assert both.predict(data).shape == (442, 2)


def test_weights_of_samples() -> None:
    """A weight counts as so many examples: one batch of either is the same."""
    scaled = StandardScaler().fit_transform(X)[::6]
    labels, weight = Y[::6], np.random.default_rng(0).integers(0, 3, 25)
    net = GraphClassifier((8,), epochs=30, batch_size=100, random_state=0)
    weighted = net.fit(scaled, labels, sample_weight=weight).predict_proba(scaled)
    repeated = net.fit(scaled.repeat(weight, 0), labels.repeat(weight)).predict_proba(scaled)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-7)
    regressor = GraphRegressor((8,), epochs=30, batch_size=100, random_state=0)
    weighted = regressor.fit(scaled, scaled[:, 0], sample_weight=weight).predict(scaled)
    repeated = regressor.fit(scaled.repeat(weight, 0), scaled[:, 0].repeat(weight)).predict(scaled)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6, atol=1e-9)
    pipeline = make_pipeline(StandardScaler(), net)
    pipeline.fit(X, Y, graphclassifier__sample_weight=(Y != 2).astype(float))
    assert (pipeline.predict(X) == 2).sum() < 25


def test_partial_fit() -> None:
    scaled = StandardScaler().fit_transform(X)
    net = GraphClassifier((16,), learning_rate=0.02, random_state=0)
    with pytest.raises(ValueError, match="classes"):
        net.partial_fit(scaled, NAMES)
    order = np.random.default_rng(0).permutation(150)
    for _ in range(10):
        for part in np.split(order, 3):
            net.partial_fit(scaled[part], NAMES[part], classes=np.unique(NAMES))
    assert net.score(scaled, NAMES) > 0.9 and net.n_iter_ == 30
    assert len(net.history_["loss"]) == 30
    with pytest.raises(ValueError, match="'rose' is not among the classes"):
        net.partial_fit(scaled[:2], ["rose", "setosa"])
    net = GraphRegressor((8,), random_state=0)
    for _ in range(20):
        net.partial_fit(scaled, scaled[:, :2])
    assert net.predict(scaled).shape == (150, 2) and net.score(scaled, scaled[:, :2]) > 0.5


def test_search_through_a_pipeline() -> None:
    pipeline = make_pipeline(StandardScaler(), GraphClassifier(epochs=5, random_state=0))
    grid = {"graphclassifier__hidden": [(8,)], "graphclassifier__batch_size": [8, 150]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss").fit(X, Y)
    assert search.best_params_["graphclassifier__batch_size"] == 8
    assert cross_val_score(pipeline, X, Y, cv=2, scoring="accuracy").shape == (2,)


def test_errors() -> None:
    with pytest.raises(gc.ParameterError, match="epochs=0"):
        GraphClassifier(epochs=0).fit(X, Y)
    with pytest.raises(ValueError, match="Unknown label type"):
        GraphClassifier().fit(X, X[:, 0])
