"""Numbers as settings: what is none, or lies outside its bounds, is told by its name."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import (
    callbacks,
    constraints,
    initializers,
    limits,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from graphc.layers import updates as rules
from graphc.records import dataclass

NOT_NUMBERS = [1j, float("nan"), "0.1", True, [0.1], 10**400, np.complex64(1j)]
SETTINGS: dict[str, Callable[[Any], Any]] = {
    "learning_rate": lambda v: optimizers.Adam(learning_rate=v),
    "clipnorm": lambda v: optimizers.Adam(clipnorm=v),
    "clipvalue": lambda v: optimizers.SGD(clipvalue=v),
    "global_clipnorm": lambda v: optimizers.Lion(global_clipnorm=v),
    "weight_decay": lambda v: optimizers.AdamW(weight_decay=v),
    "ema_momentum": lambda v: optimizers.Adam(ema_momentum=v),
    "beta_1": lambda v: optimizers.Nadam(beta_1=v),
    "epsilon": lambda v: optimizers.RMSprop(epsilon=v),
    "momentum": lambda v: optimizers.SGD(momentum=v),
    "initial_accumulator_value": lambda v: optimizers.Adagrad(initial_accumulator_value=v),
    "decay_steps": lambda v: schedules.CosineDecay(0.1, v),
    "initial_learning_rate": lambda v: schedules.ExponentialDecay(v, 10, 0.5),
    "t_mul": lambda v: schedules.CosineDecayRestarts(0.1, 10, t_mul=v),
    "l1": lambda v: regularizers.L1(v),
    "max_value": lambda v: constraints.MaxNorm(v),
    "stddev": lambda v: initializers.RandomNormal(stddev=v),
    "gain": lambda v: initializers.Orthogonal(v),
}


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=lambda value: f"{value!r:.12}")
@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_no_number(name: str, value: Any) -> None:
    with pytest.raises(gc.GraphcError) as caught:
        SETTINGS[name](value)
    error = caught.value
    # A learning rate may be a schedule, too.
    assert isinstance(error, gc.ParameterError) and error.code in ("E404", "E231")
    assert error.code == "E231" or f"{name}=" in str(error)
    assert (
        error.fix
        and error.source is not None
        and error.source.describe().startswith("test_limits.py")
    )


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("-inf")])
@pytest.mark.parametrize("name", SETTINGS)
def test_what_lies_outside(name: str, value: float) -> None:
    if (name == "gain" and value == -1) or ("clip" in name and value > 0):
        SETTINGS[name](value)
        return
    with pytest.raises(gc.ParameterError, match=f"{name}="):
        SETTINGS[name](value)


def test_numpy_numbers_and_tensors_are_numbers() -> None:
    for value in (np.float32(0.5), np.float64(0.5), 0.5):
        for name, make in SETTINGS.items():
            if name != "t_mul":
                make(value)
    w = gc.variable(np.ones(3, "float32"), name="w")
    rate = gc.placeholder("rate", ())
    rules.sgd(gc.sum(w), [w], rate)
    limits.within("rule", epsilon=rate, other=np.array([0.1, 0.2]))
    limits.positive("rule", large=2**70)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.Adam(amsgrad="yes"),  # type: ignore[arg-type]
        lambda: optimizers.SGD(nesterov=1j),  # type: ignore[arg-type]
        lambda: optimizers.SGD(use_ema="no"),  # type: ignore[arg-type]
        lambda: optimizers.SGD(decay=0.1),  # type: ignore[call-arg]
        lambda: schedules.ExponentialDecay(0.1, 10, 0.5, staircase="no"),  # type: ignore[arg-type]
        lambda: schedules.PiecewiseConstantDecay(3, [0.1]),  # type: ignore[arg-type]
        lambda: schedules.PiecewiseConstantDecay([3], [0.1, "b"]),  # type: ignore[list-item]
        lambda: constraints.UnitNorm(axis=1.5),  # type: ignore[arg-type]
        lambda: constraints.MaxNorm(axis=None),  # type: ignore[arg-type]
        lambda: initializers.RandomNormal(seed=-1)((3,)),
        lambda: initializers.Constant(1j)((3,)),
        lambda: optimizers.Adam(gradient_accumulation_steps=1.5),  # type: ignore[arg-type]
        lambda: optimizers.Adam(ema_overwrite_frequency=True),
        # Letter by letter it would leave nearly all weights out.
        lambda: optimizers.Adam(exclude_from_weight_decay="bias"),
        lambda: optimizers.Adam(exclude_from_weight_decay=[0.1]),  # type: ignore[list-item]
    ],
)
def test_other_settings(make: Callable[[], Any]) -> None:
    with pytest.raises((gc.ParameterError, gc.ArgumentError)) as caught:
        make()
    assert caught.value.fix


def test_the_rate_of_an_optimizer_that_is_there() -> None:
    optimizer = optimizers.Adam()
    for value in (1j, "0.1", float("inf"), True):
        with pytest.raises(gc.ParameterError, match="learning_rate="):
            optimizer.learning_rate = value  # type: ignore[assignment]
    assert optimizer.learning_rate == pytest.approx(0.001)


KEPT: list[Callable[[], Any]] = [
    # What a constructor would keep, to go wrong in the first batch or never.
    lambda: layers.ELU(alpha=1j),  # type: ignore[arg-type]
    lambda: layers.Softmax(axis="zz"),  # type: ignore[arg-type]
    lambda: layers.Dense(3, trainable="no"),
    lambda: layers.Add(input_shape=3),  # type: ignore[arg-type]
    lambda: layers.PReLU(shared_axes=1j),  # type: ignore[arg-type]
    lambda: layers.ZeroPadding2D([0.1, 0.1]),
    lambda: layers.LayerNormalization(epsilon=10**400),
    lambda: layers.BatchNormalization(momentum=np.complex64(0.5)),  # type: ignore[arg-type]
    lambda: layers.GaussianNoise(math.nan),
    lambda: layers.Dropout(np.complex64(0.5)),  # type: ignore[arg-type]
    lambda: layers.Masking(math.nan),
    lambda: losses.Huber(delta="zz"),  # type: ignore[arg-type]
    lambda: losses.BinaryCrossentropy(label_smoothing=1j),  # type: ignore[arg-type]
    lambda: losses.CategoricalCrossentropy(from_logits="no"),  # type: ignore[arg-type]
    lambda: metrics.BinaryAccuracy(threshold=1j),  # type: ignore[arg-type]
    lambda: metrics.TopKCategoricalAccuracy(k=math.nan),  # type: ignore[arg-type]
    lambda: metrics.Precision(class_id=1.5),  # type: ignore[arg-type]
    lambda: callbacks.EarlyStopping(patience="3"),  # type: ignore[arg-type]
    lambda: callbacks.EarlyStopping(monitor=3),  # type: ignore[arg-type]
    lambda: callbacks.ReduceLROnPlateau(cooldown=1j),  # type: ignore[arg-type]
    lambda: callbacks.ModelCheckpoint(3),  # type: ignore[arg-type]
    lambda: callbacks.LearningRateScheduler(0.1),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", KEPT)
def test_settings_that_are_kept_for_later(make: Callable[[], Any]) -> None:
    with pytest.raises((gc.ParameterError, gc.ArgumentError)) as caught:
        make()
    assert caught.value.fix


def test_what_users_annotate_is_theirs() -> None:
    @dataclass(frozen=True)
    class Weighted(losses.Loss):
        weights: np.ndarray

        def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
            return gc.mean((y_true - y_pred) ** 2 * gc.constant(self.weights), axis=-1)

    class Twice(layers.Layer):
        def __init__(self, factor: float, **options: Any) -> None:
            super().__init__(**options)
            self.factor = factor

    assert Weighted([1.0, 2.0]).weights == [1.0, 2.0]  # type: ignore[arg-type]
    assert Twice("two").factor == "two"  # type: ignore[arg-type, comparison-overlap]
    assert callbacks.EarlyStopping(verbose=True).verbose is True
