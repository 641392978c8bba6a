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


def test_errors() -> None:
    with pytest.raises(gc.ParameterError, match="epochs=0"):
        GraphClassifier(epochs=0).fit(X, Y)
    with pytest.raises(ValueError, match="Unknown label type"):
        GraphClassifier().fit(X, X[:, 0])
