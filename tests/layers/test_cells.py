"""Cells and RNN: cells of users' own, masks and states, and that ours are as fast as the layers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import CallContext, Dense, Input, Layer, Model, load_model

X = np.random.default_rng(0).normal(size=(3, 5, 2))
SHOWN = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]], bool)


class Minimal(Layer):
    """Output and state differ: y = h @ head, h' = tanh(x @ kernel + h @ recurrent) + decay * c."""

    def __init__(self, units: int, outputs: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.outputs = units, outputs
        self.state_size = [units, units]
        self.head = Dense(outputs, use_bias=False)

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight((self.units, self.units), name="recurrent")

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, c = states
        h = gc.tanh(inputs @ self.kernel + h @ self.recurrent) + 0.5 * c
        return self.head(h) * (2 if training else 1), [h, c + h]


def reference(layer: Any, mask: Any = None, times: float = 1.0, zero: bool = False) -> Any:
    """All outputs, and the last states."""
    kernel, recurrent, head = (np.asarray(w) for w in layer.get_weights())
    h = c = np.zeros((3, kernel.shape[1]))
    y, outputs = np.zeros((3, head.shape[1])), []
    for step in range(5):
        there = np.ones((3, 1), bool) if mask is None else mask[:, step, None]
        new = np.tanh(X[:, step] @ kernel + h @ recurrent) + 0.5 * c
        h, c = np.where(there, new, h), np.where(there, c + new, c)
        y = np.where(there, times * new @ head, y)
        outputs.append(np.where(there, y, 0) if zero else y)
    return np.stack(outputs, 1), h, c


def test_a_cell_of_ones_own() -> None:
    layer = layers.RNN(Minimal(4), return_sequences=True, return_state=True)
    found = gc.run(layer(X))
    for got, wanted in zip(found, reference(layer), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
    found = gc.run(layer(X, mask=gc.constant(SHOWN)))
    for got, wanted in zip(found, reference(layer, SHOWN), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
    found = gc.run(layer(X, training=True))
    np.testing.assert_allclose(found[0], reference(layer, times=2)[0], rtol=1e-6)
    last = layers.RNN(layer.cell)
    np.testing.assert_allclose(gc.run(last(X)), reference(layer)[0][:, -1], rtol=1e-6)
    zero = layers.RNN(layer.cell, return_sequences=True, zero_output_for_mask=True)
    wanted = reference(layer, SHOWN, zero=True)[0]
    np.testing.assert_allclose(gc.run(zero(X, mask=gc.constant(SHOWN))), wanted, rtol=1e-6)
    assert layer.compute_output_shape((None, None, 2)) == [(None, None, 3), (None, 4), (None, 4)]


def test_gradients_of_a_cell_of_ones_own() -> None:
    x = gc.placeholder("x", (None, None, 2), "float64")
    layer = layers.RNN([Minimal(4), Minimal(2)])
    cost = gc.sum(layer(x, mask=gc.constant(SHOWN)) ** 2)
    f = gc.function([x], [cost, *gc.grad(cost, [x, *layer.trainable_weights])])
    value, *gradients = f(X)
    assert len(gradients) == 7
    for place in [(0, 0, 0), (1, 3, 1)]:
        more, less = X.copy(), X.copy()
        more[place] += 1e-5
        less[place] -= 1e-5
        slope = (f(more)[0] - f(less)[0]) / 2e-5
        assert slope == pytest.approx(gradients[0][place], rel=1e-5)
    assert (gradients[0][~SHOWN] == 0).all() and value > 0


def test_it_is_trained_and_comes_back_from_a_file(tmp_path: Path) -> None:
    layers.set_random_seed(0)
    x = Input((None, 2))
    h = layers.RNN([layers.GRUCell(4, dropout=0.1), Minimal(4)], return_sequences=True)(x)
    model = Model(x, Dense(1)(layers.Bidirectional(layers.RNN(Minimal(3)))(h)))
    model.compile(layers.optimizers.Adam(0.02), "mse")
    rng = np.random.default_rng(0)
    data = rng.normal(size=(64, 5, 2)).astype("float32")
    target = data[:, -1, :1] - data[:, 0, :1]
    history = model.fit(data, target, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]
    model.save(tmp_path / "m.gcx")
    again = load_model(tmp_path / "m.gcx", {"Minimal": Minimal})
    np.testing.assert_array_equal(again.predict(data), model.predict(data))
    with pytest.raises(gc.FunctionError, match="Minimal"):
        load_model(tmp_path / "m.gcx")


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_cells_are_compiled_as_the_layers_are(name: str) -> None:
    x = gc.placeholder("x", (None, None, 2), "float64")
    layer = getattr(layers, name)(4, return_sequences=True)
    other = layers.RNN(getattr(layers, f"{name}Cell")(4), return_sequences=True)
    functions = []
    for one in (layer, other):
        y = one(x)
        one.set_weights(layer.get_weights())
        cost = gc.sum(gc.square(y))
        functions.append(gc.function([x], [y, *gc.grad(cost, one.weights)], backend="llvm"))
    for a, b in zip(functions[0](X), functions[1](X), strict=True):
        np.testing.assert_array_equal(a, b)
    first, second = (f.kernels() for f in functions)
    assert len(str(first).splitlines()) == len(str(second).splitlines())
    cell = other.cell
    state = [np.ones((3, 4))] * (2 if name == "LSTM" else 1)
    output, new = cell(X[:, 0], [gc.constant(one) for one in state])
    initial = layers.RNN(cell, return_state=True)
    wanted = gc.run(initial(X[:, :1], initial_state=[gc.constant(one) for one in state]))
    for a, b in zip(gc.run([output, *new]), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert cell.state_size == (4 if len(state) == 1 else [4, 4]) and cell.output_size == 4


def test_the_bias_of_the_forget_gate_is_one() -> None:
    cell = layers.LSTMCell(2, bias_initializer="random_normal")
    cell.ensure_built(gc.placeholder("x", (None, 3)))
    bias = cell.get_weights()[2]
    assert (bias[2:4] == 1).all() and (bias[:2] != 0).all() and (bias[4:] != 0).all()
    plain = layers.LSTM(2, unit_forget_bias=False)
    plain(gc.placeholder("x", (None, None, 3)))
    assert (plain.get_weights()[2] == 0).all()


def test_states_are_carried_on() -> None:
    x = Input((2, 2), batch_size=3, dtype="float64")
    whole = layers.RNN([layers.LSTMCell(4), Minimal(2)])
    y = whole(X)
    layer = layers.RNN(whole.cell, stateful=True)
    model = Model(x, layer(x))
    model.predict(X[:, :2])
    found = model.predict(X[:, 2:4])
    np.testing.assert_allclose(found, gc.run(whole(X[:, :4])), rtol=1e-9)
    model.reset_states()
    assert all((v.value == 0).all() for v in layer.carried) and len(layer.carried) == 4
    assert gc.run(y).shape == (3, 3)


def test_dropout_of_cells_has_one_mask() -> None:
    x = gc.placeholder("x", (2, 4, 3))
    for cell in (
        layers.SimpleRNNCell(50, "linear", dropout=0.5, seed=1),
        layers.StackedRNNCells([layers.LSTMCell(50, recurrent_dropout=0.5, seed=1)]),
    ):
        layer = layers.RNN(cell)
        f = gc.function([x], [layer(x, training=True), layer(x)])
        ones = np.ones((2, 4, 3), "float32")
        (first, plain), (second, same) = f(ones), f(ones)
        np.testing.assert_array_equal(plain, same)
        assert (first != second).any() and (first != plain).any()


class Wrong(Minimal):
    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        return inputs


class Losing(Minimal):
    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        self.add_loss(gc.sum(inputs))
        return super().call(inputs, states, training)


def test_what_is_no_cell() -> None:
    x = gc.placeholder("x", (None, None, 2))
    for wrong in (layers.LSTM(3), Dense(3), 4, [layers.GRUCell(2), Dense(2)], []):
        with pytest.raises(gc.ParameterError, match="cell"):
            layers.RNN(wrong)
    with pytest.raises(gc.ShapeError, match="return h, "):
        layers.RNN(Wrong(3))(x)
    with pytest.raises(gc.ShapeError, match="adds no losses"):
        layers.RNN(Losing(3))(x)
    with pytest.raises(gc.ShapeError, match=r"3 states of sizes \[3\], \[2\], \[2\]"):
        cells = [layers.GRUCell(3), Minimal(2)]
        layers.RNN(cells)(x, initial_state=[gc.zeros((1, 3))])
    with pytest.raises(gc.ShapeError, match="1 states, and has 2"):
        layers.LSTMCell(3)(x[:, 0], [gc.zeros((1, 3))])
    with pytest.raises(gc.ParameterError, match="one of them must be 1"):
        layers.ConvLSTM2D(2, 3, strides=2, dilation_rate=2)
    with pytest.raises(gc.ShapeError, match="must be known"):
        layers.ConvLSTM1D(2, 3)(gc.placeholder("x", (None, None, None, 2)))


def test_conv_lstm_states_and_dropout() -> None:
    x = Input((2, 6, 3), batch_size=2)
    layer = layers.ConvLSTM1D(4, 3, padding="same", stateful=True, recurrent_dropout=0.5)
    model = Model(x, layer(x))
    data = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype("float32")
    parts = [model.predict(part) for part in (data[:, :2], data[:, 2:])]
    plain = layers.ConvLSTM1D(4, 3, padding="same", data_format="channels_first")
    plain(np.swapaxes(data, 2, 3))
    plain.set_weights(layer.get_weights())
    wanted = np.swapaxes(gc.run(plain(np.swapaxes(data, 2, 3))), 1, 2)
    np.testing.assert_allclose(parts[1], wanted, rtol=1e-4, atol=1e-5)
    with CallContext(training=True) as context:
        y = layer(x)
    f = gc.function([x], y, updates=context.updates)
    layer.reset_states()
    assert (f(data[:, :2]) != parts[0]).any()
