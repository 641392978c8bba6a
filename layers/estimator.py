"""Models as scikit-learn estimators: in pipelines, grid searches and cross-validation.

`from graphc.layers.estimator import GraphClassifier`; it needs the extra "sklearn".
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers import optimizers
from graphc.layers.configured import parameter_error
from graphc.layers.core import Dense
from graphc.layers.input import Input
from graphc.layers.model import Model
from graphc.layers.seeds import random_seed

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import (
        _check_partial_fit_first_call,
        check_classification_targets,
    )
    from sklearn.utils.validation import (
        _check_sample_weight,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ImportError as error:  # pragma: no cover - the tests have scikit-learn
    raise gc.MissingExtraError(
        "GraphClassifier and GraphRegressor need scikit-learn",
        code="E601",
        fix='pip install "graphc[sklearn]"',
    ) from error

__all__ = ["GraphClassifier", "GraphRegressor"]


class _GraphEstimator(BaseEstimator):  # type: ignore[misc]
    """What both share. Fitted: model_, history_ (a dict of lists), n_features_in_."""

    def __init__(
        self,
        hidden: Sequence[int] = (100,),
        activation: str = "relu",
        model: Any = None,
        loss: Any = None,
        optimizer: Any = "adam",
        learning_rate: float | None = 0.005,
        batch_size: int = 32,
        epochs: int = 100,
        validation_split: float = 0.0,
        callbacks: Any = None,
        dtype: str = "float64",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_split = validation_split
        self.callbacks = callbacks
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def _begin(self, features: int, outputs: int) -> None:
        """A model with new weights."""
        if self.epochs < 1 or self.batch_size < 1:
            raise parameter_error(
                f"epochs={self.epochs!r}, batch_size={self.batch_size!r}", "use numbers >= 1"
            )
        self._sizes = (features, outputs)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        with nullcontext() if self.random_state is None else random_seed(seed):
            self.model_ = self._built()
            self.model_.compile(self._optimizer(), self._loss())
        self.history_: dict[str, list[Any]] = {}
        self.n_iter_ = 0

    def _train(self, X: np.ndarray, y: np.ndarray, sample_weight: Any, epochs: int) -> None:
        """Go on training. Weights count relative to each other: as many times an example."""
        split = self.validation_split
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, X, dtype="float64", ensure_non_negative=True
            )
            used = weight > 0
            if not used.any():
                raise ValueError("sample_weight: all weights are 0; give one that is not")
            X, y, weight = X[used], y[used], weight[used]
            sample_weight = weight / weight.mean()
        history = self.model_.fit(
            X,
            y,
            batch_size=self.batch_size,
            epochs=epochs,
            verbose=self.verbose,
            callbacks=self.callbacks,
            validation_split=split,
            sample_weight=sample_weight,
        )
        for name, values in history.history.items():
            self.history_.setdefault(name, []).extend(values)
        self.n_iter_ += len(history.epoch)

    def _built(self) -> Model:
        features, outputs = self._sizes
        if self.model is not None:
            made: Model = self.model(features, outputs)
            return made
        x = h = Input((features,), dtype=self.dtype)
        for units in self.hidden:
            h = Dense(units, activation=self.activation)(h)
        return Model(x, Dense(outputs, activation=self._last_activation)(h))

    _last_activation: str | None = None

    def _loss(self) -> Any:
        return self.loss or "mean_squared_error"

    def _optimizer(self) -> optimizers.Optimizer:
        found = optimizers.get(self.optimizer)
        fresh = type(found).from_config(found.get_config())  # fits do not share their state
        if isinstance(self.optimizer, str) and self.learning_rate is not None:
            fresh.learning_rate = self.learning_rate
        return fresh

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        given = validate_data(self, X, reset=False, dtype=self.dtype)
        return np.asarray(self.model_.predict(given, verbose=0))

    # Compiled functions stay in the process that compiled them: a copy has the weights.

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        fitted = state.pop("model_", None)
        if fitted is not None:
            state["_weights"] = fitted.get_weights()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = dict(state)
        values = kept.pop("_weights", None)
        super().__setstate__(kept)
        if values is not None:
            self.model_ = self._built()
            self.model_.set_weights(values)
            self.model_.compile(self._optimizer(), self._loss())


class GraphClassifier(ClassifierMixin, _GraphEstimator):  # type: ignore[misc]
    """A neural network that tells classes apart.

    hidden, activation: layers of a perceptron; or model: a function (features, classes) that
    returns a Model whose output is a row of class probabilities. loss: of class numbers, sparse
    categorical cross-entropy by default. optimizer: a name, with learning_rate, or an object.
    validation_split, callbacks, batch_size, epochs, verbose: as those of Model.fit. dtype: of data
    and weights. random_state: the same gives the same model.
    """

    _last_activation = "softmax"

    def _loss(self) -> Any:
        return self.loss or "sparse_categorical_crossentropy"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "GraphClassifier":
        """Train from new weights. X: [examples, features]; y: [examples], labels of any type.

        sample_weight: [examples], how many times each counts.
        """
        X, y = validate_data(self, X, y, dtype=self.dtype)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(column_or_1d(y), return_inverse=True)
        self._begin(X.shape[1], len(self.classes_))
        self._train(X, numbers.astype("int64"), sample_weight, self.epochs)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> "GraphClassifier":
        """Go on training with one pass over these examples.

        classes: all labels that will come; the first call needs them.
        """
        first = not hasattr(self, "model_")
        X, y = validate_data(self, X, y, dtype=self.dtype, reset=first)
        if _check_partial_fit_first_call(self, classes) or first:
            check_classification_targets(y)
            self._begin(X.shape[1], len(self.classes_))
        labels = column_or_1d(y)
        numbers = np.searchsorted(self.classes_, labels).clip(0, len(self.classes_) - 1)
        unknown = self.classes_[numbers] != labels
        if unknown.any():
            raise ValueError(
                f"partial_fit: the label {labels[unknown].tolist()[0]!r} is not among the classes "
                f"{self.classes_.tolist()!r} of the first call"
            )
        self._train(X, numbers.astype("int64"), sample_weight, 1)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class: [examples, classes]."""
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each example."""
        best = self._outputs(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[best]
        return labels


class GraphRegressor(RegressorMixin, _GraphEstimator):  # type: ignore[misc]
    """A neural network for numbers: y [examples] or [examples, outputs].

    Arguments are those of GraphClassifier; model: a function (features, outputs). loss: mean
    squared error by default. Targets are best scaled to about 1.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "GraphRegressor":
        """Train from new weights. sample_weight: [examples], how many times each counts."""
        X, y = self._checked(X, y, True)
        self._begin(X.shape[1], y.shape[1])
        self._train(X, y, sample_weight, self.epochs)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "GraphRegressor":
        """Go on training with one pass over these examples."""
        first = not hasattr(self, "model_")
        X, y = self._checked(X, y, first)
        if first:
            self._begin(X.shape[1], y.shape[1])
        self._train(X, y, sample_weight, 1)
        return self

    def _checked(self, X: Any, y: Any, first: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(
            self, X, y, dtype=self.dtype, multi_output=True, y_numeric=True, reset=first
        )
        if first:
            self._flat = y.ndim == 1
        return X, y.reshape(len(y), -1).astype(self.dtype)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions in the shape of the targets."""
        values = self._outputs(X)
        return values[:, 0] if self._flat else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
