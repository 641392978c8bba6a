"""The contract of layers: expressions, weights, contexts."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import CallContext, Dense, Flatten, Input, Layer, Model, Reshape


class Scale(Layer):
    def build(self, input_shape: Any) -> None:
        self.scale = self.add_param("scale", (input_shape[-1],), "ones", tags=("gain",))
        self.seen = self.add_param("seen", (), "zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        context = layers.context.current_context()
        assert context is not None
        if training:
            context.update(self.seen, context.latest(self.seen) + 1)
        return x * self.scale * (2 if training else 1)


def data(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_a_layer_gives_an_expression() -> None:
    x = gc.placeholder("x", ("n", 3))
    dense = Dense(2, activation="tanh", bias_initializer="ones")
    y = dense(x)
    assert isinstance(y, gc.Tensor)
    assert y.shape[1] == 2
    f = gc.function([x], [y, gc.grad(gc.sum(y), dense.kernel)])
    value, gradient = f(data(5, 3))
    kernel, bias = dense.get_weights()
    wanted = np.tanh(data(5, 3) @ kernel + bias)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    np.testing.assert_allclose(gradient, data(5, 3).T @ (1 - wanted**2), rtol=1e-4)


def test_errors_name_the_line_that_calls_the_layer() -> None:
    x = gc.placeholder("x", ("n", 3))
    dense = Dense(2, name="head")
    dense(x)
    with pytest.raises(gc.ShapeError, match=r"Dense 'head': axis -1 .* size 4") as caught:
        dense(gc.placeholder("z", ("n", 4)))
    assert caught.value.code == "E241"
    assert "test_layer.py" in str(caught.value)


def test_a_tensor_in_place_of_settings() -> None:
    x = gc.placeholder("hidden", ("n", 3))
    with pytest.raises(gc.DTypeError, match=r"Dense\(units\)\(hidden\)") as caught:
        Dense(x)  # type: ignore[arg-type]
    assert caught.value.code == "E240"


@pytest.mark.parametrize("units", [0, -1, 2.5, "3", True, None])
def test_units_are_a_whole_number(units: Any) -> None:
    with pytest.raises(gc.ParameterError, match="whole number"):
        Dense(units)


def test_unknown_size_of_features() -> None:
    with pytest.raises(gc.ShapeError, match="must be known"):
        Dense(2)(gc.placeholder("x", ("n", None)))


def test_rank_is_checked() -> None:
    with pytest.raises(gc.ShapeError, match="1 axes"):
        Dense(2)(gc.placeholder("x", (4,)))


def test_weights_have_the_dtype_of_the_input() -> None:
    double = Dense(2)
    assert double(gc.placeholder("x", ("n", 3), "float64")).dtype == gc.float64
    single = Dense(2, dtype="float32")
    assert single(gc.placeholder("x", ("n", 3), "float64")).dtype == gc.float32
    assert double.kernel.dtype == gc.float64
    assert single.kernel.dtype == gc.float32


def test_training_is_static_and_inherited() -> None:
    x = gc.placeholder("x", ("n", 3))
    layer = Scale()
    model = layers.Sequential([layer])
    plain, trained = model(x), model(x, training=True)
    with CallContext(training=True) as context:
        inside = model(x)
        again = model(x)
        off = model(x, training=False)
    values = gc.run([plain, trained, inside, off], {x: data(4, 3)})
    for value, factor in zip(values, (1, 2, 2, 1), strict=True):
        np.testing.assert_allclose(value, data(4, 3) * factor)
    assert inside.key == again.key
    (update,) = context.updates
    f = gc.function([x], inside, updates=context.updates)
    f(data(1, 3))
    assert update[0].value == 1


def test_tags() -> None:
    layer = Scale()
    layer(gc.placeholder("x", ("n", 3)))
    assert [v.name for v in layer.get_params(gain=True)] == [layer.scale.name]
    assert layer.get_params(trainable=False)[0] is layer.seen
    dense = Dense(2)
    dense(gc.placeholder("x", ("n", 3)))
    assert [v.key for v in dense.get_params(regularizable=True)] == [dense.kernel.key]
    dense.trainable = False
    assert dense.trainable_weights == []
    assert len(dense.weights) == len(dense.non_trainable_weights) == 2


def test_penalties_are_expressions() -> None:
    x = gc.placeholder("x", ("n", 3))
    dense = Dense(2, kernel_regularizer="l2", activity_regularizer="l1")
    with CallContext(training=True) as context:
        y = dense(x)
    (penalty,), (activity,) = dense.losses, context.losses
    got = gc.run([penalty, activity, y], {x: data(4, 3)})
    np.testing.assert_allclose(got[0], 0.01 * (dense.kernel.value**2).sum(), rtol=1e-5)
    np.testing.assert_allclose(got[1], 0.01 * np.abs(got[2]).sum(), rtol=1e-5)


def test_shared_variables() -> None:
    x = gc.placeholder("x", ("n", 3))
    first = Dense(3)
    first(x)
    second = Dense(3, kernel_initializer=first.kernel)
    second(x)
    assert second.kernel is first.kernel
    assert len(layers.Sequential([first, second]).weights) == 3


def test_a_failed_build_leaves_nothing() -> None:
    class Broken(Layer):
        def build(self, input_shape: Any) -> None:
            self.add_param("a", (2,))
            if not hasattr(self, "second"):
                self.second = True
                raise RuntimeError

        def call(self, x: Any) -> Any:
            return x

    layer = Broken()
    with pytest.raises(RuntimeError):
        layer(gc.placeholder("x", (2, 2)))
    layer(gc.placeholder("x", (2, 2)))
    assert len(layer.weights) == 1


def test_set_weights_is_all_or_nothing() -> None:
    model = layers.Sequential([Input((3,)), Dense(2)])
    before = model.get_weights()
    for wrong in ([np.ones((3, 2)), np.ones(3)], [np.ones((3, 2))]):
        with pytest.raises(gc.ShapeError) as caught:
            model.set_weights(wrong)
        assert caught.value.code == "E245"
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.set_weights([np.ones((3, 2)), np.ones(2)])
    assert model.get_weights()[0].sum() == 6


def test_seeds_make_the_same_weights() -> None:
    def kernel() -> np.ndarray:
        dense = Dense(5)
        dense(gc.placeholder("x", ("n", 4)))
        return dense.kernel.value

    layers.set_random_seed(3)
    first, other = kernel(), kernel()
    layers.set_random_seed(3)
    np.testing.assert_array_equal(first, kernel())
    assert (first != other).any()


def test_output_shape() -> None:
    assert Dense(4).output_shape((None, 7)) == (None, 4)
    assert Flatten().output_shape((None, 3, 4)) == (None, 12)
    assert Reshape((2, -1)).output_shape((5, 3, 4)) == (5, 2, 6)
    assert layers.Permute((2, 1)).output_shape((None, 3, 4)) == (None, 4, 3)
    assert layers.RepeatVector(3).output_shape((None, 4)) == (None, 3, 4)


def test_shapes_that_cannot_be() -> None:
    x = gc.placeholder("x", ("n", 3, 4))
    with pytest.raises(gc.ShapeError, match="12 elements"):
        Reshape((5, -1))(x)
    with pytest.raises(gc.ParameterError, match="each axis once"):
        layers.Permute((1, 1))


def test_lambda_and_activations() -> None:
    x = gc.placeholder("x", ("n", 3))
    values = data(4, 3)
    y = layers.Lambda(lambda t, by: t * by, arguments={"by": 3})(x)
    np.testing.assert_allclose(gc.run(y, {x: values}), values * 3)
    for name in ("relu", "elu", "selu", "gelu", "swish", "hard_sigmoid", "softsign", "mish"):
        assert gc.run(layers.Activation(name)(x), {x: values}).shape == (4, 3)
    with pytest.raises(gc.ParameterError, match="did you mean sigmoid"):
        layers.Activation("sigmod")
    alpha = layers.PReLU(alpha_initializer=0.5)(x)
    np.testing.assert_allclose(
        gc.run(alpha, {x: values}), np.where(values > 0, values, values / 2), rtol=1e-6
    )
    assert isinstance(Model(x, alpha), Model)


# --- tensors of the first call --------------------------------------------------------------------


def test_input_and_output_are_those_of_the_first_call() -> None:
    x = Input((4,))
    first, second = Dense(3, "tanh"), Dense(2)
    model = Model(x, second(first(x)))
    assert first.input is x and second.input is first.output
    second(Dense(3)(gc.placeholder("z", ("n", 4))))
    assert second.input is first.output
    inner = Model(model.input, [layer.output for layer in model.layers])
    found = inner.predict(data(5, 4))
    assert [a.shape for a in found] == [(5, 4), (5, 3), (5, 2)]
    np.testing.assert_allclose(found[2], model.predict(data(5, 4)))
    both = layers.Add()
    both([x, x * 2])
    assert len(both.input) == 2
    lstm = layers.LSTM(3, return_state=True)
    lstm(Input((None, 2)))
    assert [t.shape[-1] for t in lstm.output] == [3, 3, 3]


def test_layers_that_were_not_called_have_no_output() -> None:
    dense = Dense(3, name="head")
    assert not hasattr(dense, "output")
    dense(data(2, 4))  # data alone is no expression
    assert dense.compute_output_shape((None, 4)) == (None, 3)
    with pytest.raises(gc.FunctionError, match="Dense 'head' has no input") as caught:
        _ = dense.input
    assert caught.value.code == "E249" and "layer(x)" in str(caught.value)


class WithPart(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.output = Dense(2)

    def call(self, x: Any) -> Any:
        return self.output(x)


def test_a_part_may_be_called_output() -> None:
    layer = WithPart()
    layer(Input((3,)))
    assert isinstance(layer.output, Dense) and len(layer.weights) == 2


def test_variables() -> None:
    layer = layers.Sequential(
        [Input((3,)), Dense(2), layers.BatchNormalization(), layers.Dropout(0.5)]
    )
    assert layer.trainable_variables == layer.trainable_weights
    assert len(layer.variables) == len(layer.weights) + 1  # the position of random numbers
    assert "seed" in str(layer.variables[-1].name)
    assert layer.non_trainable_variables[-1] is layer.variables[-1]


def test_a_sequential_model_built_in_training_predicts() -> None:
    model = layers.Sequential([Dense(3), layers.Dropout(0.5)])
    model(gc.placeholder("x", ("n", 4)), training=True)
    f = gc.function(model.inputs, model.output)
    np.testing.assert_array_equal(f(data(5, 4)), f(data(5, 4)))
    assert model.layers[0].output.shape[1] == 3
