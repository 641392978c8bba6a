"""Results of layers that a training step uses again, and those that it must not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import functional
from graphc.layers.context import current_context
from graphc.layers.reuse import is_unchanged, state_of

RNG = np.random.default_rng(5)
X = RNG.normal(size=(8, 6)).astype("float32")
Y = RNG.normal(size=(8, 2)).astype("float32")


def built(*inner: layers.Layer) -> layers.Model:
    x = layers.Input((6,), name="given")
    h: Any = x
    for layer in inner:
        h = layer(h)
    model = layers.Model(x, layers.Dense(2, name="last")(h))
    model.compile("sgd", "mean_squared_error", cache=False, backend="reference")
    return model


def calls_of(model: layers.Model, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the layers that the training step calls."""
    found: list[str] = []
    known = layers.Layer.__call__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self is not model:
            found.append(self.name)
        return known(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(layers.Layer, "__call__", call)
        model.train_on_batch(X, Y)
    return found


def test_layers_without_a_context_are_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = [
        layers.Dense(6, activation="tanh", kernel_regularizer="l2", name="dense"),
        layers.LayerNormalization(name="norm"),
        layers.Dropout(0.0, name="nothing"),
        layers.BatchNorm(name="batch"),
        layers.Dense(6, name="behind"),
    ]
    assert calls_of(built(*inner), monkeypatch) == ["batch", "behind", "last"]
    reshaped = [layers.Reshape((3, 2)), layers.TransformerBlock(1, 4), layers.Flatten()]
    assert calls_of(built(*reshaped), monkeypatch) == []


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_training_is_the_same_bit_for_bit(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> tuple[list[float], list[np.ndarray]]:
        layers.set_random_seed(3)
        model = built(
            layers.Dense(6, activation="relu"),
            layers.Reshape((3, 2)),
            layers.TransformerBlock(1, 4, dropout=rate),
            layers.Flatten(),
            layers.BatchNorm(),
            layers.Dropout(rate),
        )
        values = [model.train_on_batch(X, Y) for _ in range(3)]
        return values, model.get_weights()

    values, weights = trained()
    monkeypatch.setattr(functional, "is_unchanged", lambda *_: False)
    others, known = trained()
    assert values == others
    for a, b in zip(weights, known, strict=True):
        np.testing.assert_array_equal(a, b)


CHANGES: list[tuple[Callable[[], layers.Layer], Callable[[Any], None]]] = [
    (lambda: layers.Dropout(0.0), lambda layer: setattr(layer, "rate", 0.5)),
    (lambda: layers.Dense(6), lambda layer: setattr(layer, "activation", gc.tanh)),
    (lambda: layers.Dense(6), lambda layer: setattr(layer, "bias", layer.bias * 2)),
    (lambda: layers.Dense(6), lambda layer: setattr(layer, "kernel", layer.kernel * 1)),
    (lambda: layers.LayerNorm(), lambda layer: setattr(layer, "epsilon", 0.5)),
    (lambda: layers.LeakyReLU(0.1), lambda layer: setattr(layer, "negative_slope", 0.2)),
    (
        lambda: layers.Dropout(0.0),
        lambda layer: setattr(layer, "call", lambda x, training=False: -x),
    ),
]


@pytest.mark.parametrize("case", range(len(CHANGES)))
def test_layers_that_were_changed_are_called_again(
    case: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, change = CHANGES[case]
    layer = make()
    model = built(layer)
    call = model.outputs[0].call.args[0].call  # type: ignore[attr-defined]
    assert call.layer is layer and is_unchanged(call.state, layer)
    change(layer)
    assert not is_unchanged(call.state, layer)
    assert calls_of(model, monkeypatch) == [layer.name, "last"]


def test_settings_inside_of_blocks_count() -> None:
    x = layers.Input((4, 6))
    block = layers.TransformerBlock(2, 4)
    state = block(x).call.state
    assert is_unchanged(state, block)
    block.attention.dropout = 0.5
    assert not is_unchanged(state, block)


def test_code_of_the_user_is_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def own(x: Any) -> Any:
        seen.append("activation")
        return gc.tanh(x)

    class Scaled(layers.Layer):
        def call(self, x: Any) -> Any:
            seen.append("layer")
            return x * 2

    class Sharp(layers.Dense):
        pass

    for inner in (
        layers.Dense(6, activation=own, name="first"),
        layers.Lambda(own, name="first"),
        Scaled(name="first"),
        Sharp(6, name="first"),
        layers.TimeDistributed(Scaled(), name="first"),
    ):
        given = [layers.Reshape((3, 2)), inner, layers.Flatten()]
        if not isinstance(inner, layers.TimeDistributed):
            given = [inner]
        model = built(*given)
        seen.clear()
        assert "first" in calls_of(model, monkeypatch)
        assert bool(seen) == (type(inner) is not Sharp)


def test_layers_that_leave_something_behind_are_called_in_training() -> None:
    class Asks(layers.Layer):
        def call(self, x: Any) -> Any:
            context = current_context()
            return x if context is not None and context.training else -x

    x = layers.Input((6,))
    for layer in (
        layers.Dense(6, activity_regularizer="l2"),
        layers.Dropout(0.5),
        layers.GaussianNoise(0.1),
        layers.BatchNorm(),
        Asks(),
    ):
        call = layer(x).call
        assert call.has_touched and call.state is None, layer
    x = layers.Input((3, 6))
    for found in (
        layers.TransformerBlock(2, 4, dropout=0.5)(x),
        layers.MultiHeadAttention(2, 3, dropout=0.5)(x, x),
        layers.TimeDistributed(layers.BatchNorm())(x),
    ):
        assert found.call.has_touched and found.call.state is None


def test_penalties_of_activities_are_part_of_the_loss() -> None:
    layers.set_random_seed(1)
    model = built(layers.Dense(6, activity_regularizer="l2", name="penalised"))
    loss = model.train_on_batch(X, Y)
    layers.set_random_seed(1)
    plain = built(layers.Dense(6, name="penalised")).train_on_batch(X, Y)
    assert loss > plain


def test_one_layer_called_twice_is_reused_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = layers.Dense(6, activation="tanh", name="shared")
    x = layers.Input((6,), name="given")
    y = layers.Dense(2, name="last")(shared(shared(x)) + 1)
    model = layers.Model(x, y)
    model.compile("sgd", "mean_squared_error", cache=False, backend="reference")
    assert calls_of(model, monkeypatch) == []
    other = layers.Input((6,), name="other")
    made = model(other)
    assert made.key != y.key
    f = gc.function([other], made, backend="reference")
    g = gc.function([x], y, backend="reference")
    np.testing.assert_array_equal(f(X), g(X))


def test_states_tell_what_cannot_be_told() -> None:
    assert state_of(layers.Lambda(lambda x: x)) is None
    assert state_of(layers.Dense(3, activation=lambda x: x)) is None
    assert state_of(layers.Dense(3, activation="relu")) is not None
    assert state_of(layers.Dense(3, kernel_initializer=lambda shape, dtype: 0)) is None
