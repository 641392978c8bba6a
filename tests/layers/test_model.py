"""Models: functional, sequential, by subclassing; calling them anew."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import Dense, Flatten, Input, Model, Sequential


def data(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_a_model_is_called_anew() -> None:
    x = Input((4,))
    gain = gc.variable(3.0, "gain")
    h = Dense(5, activation="tanh")(x)
    y = Dense(2)(gc.exp(h) * gain + h)  # expressions between layers belong to the model
    model = Model(x, y)
    z = gc.placeholder("z", ("k", 4))
    values = data(6, 4)
    direct = gc.run(y, {x: values})
    np.testing.assert_array_equal(gc.run(model(z), {z: values}), direct)
    np.testing.assert_allclose(gc.run(model(gc.constant(values))), direct, rtol=1e-4)
    assert gain.key in {v.key for v in model.trainable_weights}
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense", "Dense"]


def test_several_inputs_and_outputs() -> None:
    a, b = Input((2,), name="a"), Input((3,), name="b")
    shared = Dense(4, name="shared")
    left = shared(Dense(6)(a))
    right = shared(Dense(6)(b))
    model = Model({"a": a, "b": b}, {"sum": left + right, "left": left})
    got = model({"b": gc.constant(data(5, 3)), "a": gc.constant(data(5, 2))})
    values = gc.run(got)
    wanted = gc.run({"sum": left + right, "left": left}, {a: data(5, 2), b: data(5, 3)})
    np.testing.assert_allclose(values["sum"], wanted["sum"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values["left"], wanted["left"], rtol=1e-4, atol=1e-6)
    assert len(model.weights) == 6
    with pytest.raises(gc.ShapeError, match="2 inputs and was given 1"):
        model(gc.constant(data(5, 2)))


def test_a_model_of_models() -> None:
    inner = Sequential([Dense(5, "relu"), Dense(3)], name="inner")
    x = Input((4,))
    outer = Model(x, Dense(1)(inner(x)))
    assert [path for path, _ in outer.parameters()] == [
        "inner/dense/kernel",
        "inner/dense/bias",
        "inner/dense_1/kernel",
        "inner/dense_1/bias",
        "dense/kernel",
        "dense/bias",
    ]
    assert outer.count_params() == 5 * 4 + 5 + 5 * 3 + 3 + 3 + 1


def test_subclass() -> None:
    class Net(Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [Dense(5, "tanh"), Dense(4, "tanh")]
            self.head = Dense(2)

        def call(self, inputs: Any, training: bool = False) -> Any:
            for layer in self.hidden:
                inputs = layer(inputs)
            return self.head(inputs)

    net = Net()
    y = net(gc.placeholder("x", ("n", 3)))
    assert y.shape[1] == 2
    assert len(net.weights) == 6
    assert next(path for path, _ in net.parameters()) == "hidden.0/kernel"


def test_missing_input() -> None:
    a, b = Input((2,)), Input((2,), name="other")
    with pytest.raises(gc.FunctionError, match="need 'other'") as caught:
        Model(a, Dense(1)(a + b))
    assert caught.value.code == "E246"
    with pytest.raises(gc.FunctionError, match="must be tensors"):
        Model(Dense(2), Dense(3))


def test_input_with_the_shape_of_all_data() -> None:
    X = data(150, 4)
    x = Input(shape=X.shape)
    model = Model(x, Dense(3)(x))
    with pytest.raises(gc.ShapeError, match=r"Input\(shape=X.shape\[1:\]\)") as caught:
        model(gc.constant(X))
    assert caught.value.code == "E242"


def test_sequential_is_built_by_what_it_sees() -> None:
    model = Sequential([Flatten(), Dense(3)])
    assert model.weights == []
    model(gc.placeholder("x", ("n", 2, 5)))
    assert model.output.shape[1] == 3
    assert model.count_params() == 33
    model.add(Dense(2))
    assert model.output.shape[1] == 2
    model.pop()
    assert model.output.shape[1] == 3
    assert Sequential([Dense(3, input_shape=(4,))]).count_params() == 15
    with pytest.raises(gc.FunctionError, match="is no layer"):
        Sequential([Dense(3)(Input((4,)))])


def test_summary_counts(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = (2500, 2000, 1500, 1000, 500)
    model = Sequential([Input((784,)), *(Dense(n, "relu") for n in sizes), Dense(10)])
    assert model.count_params() == 11_972_510
    model.summary()
    text = capsys.readouterr().out
    assert "dense_5 (Dense)" in text
    assert "11,972,510" in text


def test_long_chains() -> None:
    x = Input((4,))
    h: Any = x
    for _ in range(400):
        h = layers.Activation("tanh")(h + 1)
    model = Model(x, h)
    again = model(gc.placeholder("z", ("k", 4)))
    assert again.shape[1] == 4
    assert len(model.layers) == 401


def test_a_model_of_its_own_input() -> None:
    x = Input((4,))
    model = Model(x, Dense(4)(x * 2))
    twice = model(model(x) + x)
    values = data(3, 4)
    inner = model.predict(values) + values
    np.testing.assert_allclose(gc.run(twice, {x: values}), model.predict(inner), rtol=1e-4)
