"""Numbers of numpy as settings of layers, optimizers and losses are numbers of Python."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.layers import constraints, initializers, losses, optimizers, regularizers, schedules
from graphc.layers.configured import Configured, plain_number
from graphc.layers.metrics import ConfusionMatrix, Precision
from graphc.layers.optimizers.named import CLASSES

KINDS: list[Callable[[Any], Any]] = [np.float32, np.float64, np.array]
RULES = [cls.__name__ for cls in CLASSES]


def test_plain_numbers() -> None:
    for given, expected in (
        (np.float64(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.uint8(3), 3),
        (np.bool_(True), True),
        (np.array(4), 4),
    ):
        assert plain_number(given) == expected
        assert type(plain_number(given)) is type(expected)
    kept = [np.zeros(1), np.array("a"), "a", None, 1j, gc.constant(1.0)]
    assert all(plain_number(value) is value or value == "a" for value in kept)


def trained(rule: Any) -> np.ndarray:
    w = gc.variable(np.arange(3, dtype="float32"), "w")
    step = gc.function([], updates=rule(gc.sum(gc.square(w - 1)), [w]))
    step()
    step()
    return w.value


@pytest.mark.parametrize("name", RULES)
def test_settings_of_optimizers(name: str) -> None:
    cls = getattr(optimizers, name)
    parameters = inspect.signature(cls.__init__).parameters.values()
    settings = {p.name: p.default for p in parameters if isinstance(p.default, float)}
    settings |= {"weight_decay": 0.25, "clipnorm": 0.5}
    expected = trained(cls(**settings).updates)
    for kind in KINDS:
        given = {name: kind(value) for name, value in settings.items()}
        plain = {name: float(value) for name, value in given.items()}
        optimizer = cls(**given)
        if kind is not np.float32:  # which rounds
            np.testing.assert_array_equal(trained(optimizer.updates), expected)
        config = {key: optimizer.get_config()[key] for key in plain}
        assert config == plain
        assert {type(value) for value in config.values()} == {float}


def of(kind: Callable[[Any], Any], value: float) -> Any:
    return kind(value)


def test_rules_and_means() -> None:
    from graphc.layers import updates

    rate = of(np.float64, 0.1)
    for name in ("sgd", "momentum", "nesterov_momentum", "adagrad", "rmsprop", "adadelta", "adam"):
        rule = getattr(updates, name)
        found = trained(lambda loss, params, rule=rule: rule(loss, params, rate))
        assert (found == trained(lambda loss, params, rule=rule: rule(loss, params, 0.1))).all()
    average = updates.ExponentialMovingAverage(of(np.float64, 0.5))
    trained(lambda loss, params: average.extend(updates.sgd(loss, params, rate), params))


def test_settings_of_everything_else() -> None:
    half = of(np.float64, 0.5)
    one = gc.constant(np.ones(3, "float32"))
    found: list[Configured] = [
        regularizers.L2(half),
        constraints.MaxNorm(half),
        initializers.Constant(half),
        losses.Huber(delta=half),
        schedules.ExponentialDecay(half, of(np.int64, 3), of(np.array, 0.5)),
        schedules.PiecewiseConstantDecay([of(np.int64, 2)], list(np.linspace(0, 1, 2))),
    ]
    for made in found:
        config = made.get_config()
        values = [value for value in config.values() if not isinstance(value, list)]
        values += [item for value in config.values() if isinstance(value, list) for item in value]
        assert not any(isinstance(value, np.generic | np.ndarray) for value in values), made
        assert type(made).from_config(config).get_config() == config
    assert regularizers.L2(half)(one).dtype == constraints.MaxNorm(half)(one).dtype == gc.float32
    for layer in (gc.layers.LeakyReLU(half), gc.layers.ELU(half), gc.layers.GaussianNoise(half)):
        assert layer(gc.placeholder("x", (2, 3))).dtype == gc.float32


def test_layers_by_numbers_of_numpy_train_and_are_saved(tmp_path: Path) -> None:
    layers = gc.layers
    model = layers.Sequential(
        [
            layers.Dense(of(np.int32, 4), kernel_regularizer=regularizers.L2(of(np.float64, 0.1))),
            layers.LayerNormalization(axis=of(np.int8, 1), epsilon=of(np.float64, 1e-3)),
            layers.BatchNormalization(axis=of(np.array, 1), momentum=of(np.float32, 0.5)),
            layers.LeakyReLU(of(np.float64, 0.1)),
            layers.Dropout(of(np.float64, 0.25), seed=of(np.int64, 3)),
            layers.Dense(of(np.array, 3), activation="softmax"),
        ]
    )
    loss = losses.SparseCategoricalCrossentropy(ignore_class=of(np.int64, -1))
    rate = schedules.ExponentialDecay(of(np.float64, 0.1), of(np.int64, 3), of(np.float32, 0.5))
    model.compile(optimizers.SGD(rate, momentum=of(np.float64, 0.5)), loss)
    x = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
    y = np.arange(8) % 3
    model.fit(x, y, epochs=2, verbose=0)
    expected = model.predict(x)
    assert expected.dtype == np.float32
    model.save(tmp_path / "model.gc")
    loaded = layers.load_model(tmp_path / "model.gc")
    np.testing.assert_array_equal(loaded.predict(x), expected)
    loaded.fit(x, y, epochs=1, verbose=0)


def test_sizes_as_arrays() -> None:
    layers, x = gc.layers, gc.placeholder("x", ("n", 6, 6, 2))
    for build in (
        lambda size: layers.Conv2D(3, size, strides=size),
        lambda size: layers.MaxPooling2D(size),
    ):
        found = build(np.array([2, 3]))(x)
        assert found.shape == build((2, 3))(x).shape


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "name": (lambda: gc.layers.Dense(3, name=np.zeros(2)), "name=array"),
    "a number as a name": (lambda: gc.layers.Dense(3, name=5), "name=5"),
    "seed": (lambda: gc.layers.SeedGenerator("abc"), "seed='abc'"),  # type: ignore[arg-type]
    "seed of all": (lambda: gc.layers.set_random_seed(-1), "seed=-1"),
    "letters": (lambda: optimizers.SGD(momentum=np.array(["a"])), "momentum=array"),  # type: ignore[arg-type]
    "classes": (lambda: ConfusionMatrix(num_classes=0), "num_classes=0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_setting(name: str) -> None:
    build, text = REFUSED[name]
    with pytest.raises(gc.ParameterError) as caught:
        build()
    assert text in str(caught.value) and "test_configured.py" in str(caught.value)


def test_a_threshold_of_0() -> None:
    targets, scores = np.array([1, 1, 0]), np.array([0.4, 0.2, 0.0], "float32")
    assert float(Precision(thresholds=0.0)(targets, scores)) == 1
    assert float(Precision()(targets, scores)) == 0
