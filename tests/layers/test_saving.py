"""Models in files: the same model comes back, training goes on bit by bit, bad files are told."""

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import Dense, Dropout, Input, Model, Sequential, load_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6)).astype("float32")
TARGETS = (X[:, :1] - X[:, 1:2]).astype("float32")


def sequential() -> Model:
    return Sequential(
        [
            Input((6,)),
            Dense(8, "tanh", kernel_regularizer=layers.regularizers.L2(0.01)),
            layers.BatchNormalization(),
            Dropout(0.3),
            Dense(1),
        ]
    )


def functional() -> Model:
    a = Input((6,), name="a")
    shared = Dense(6, "relu")
    h = layers.Add()([shared(a), shared(shared(a)), a])
    steps = layers.Reshape((3, 2))(h)
    attended = layers.MultiHeadAttention(2, 2)(steps, steps, use_causal_mask=True)
    y = Dense(1, name="y")(Dropout(0.2)(layers.Flatten()(attended)))
    return Model(a, y)


def nested() -> Model:
    x = Input((6,))
    block = Sequential([Dense(5, "tanh"), layers.GaussianNoise(0.1)], name="block")
    rows = layers.Reshape((2, 3))(x)
    both = layers.Bidirectional(layers.GRU(2, dropout=0.1))(rows)
    return Model(x, Dense(1)(layers.Concatenate()([block(x), both])))


MODELS = {"sequential": sequential, "functional": functional, "nested": nested}


@pytest.mark.parametrize("name", MODELS)
def test_training_goes_on_bit_by_bit(name: str, tmp_path: Path) -> None:
    layers.set_random_seed(0)
    model = MODELS[name]()
    model.compile(layers.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.fit(X, TARGETS, epochs=2, batch_size=20, verbose=0)
    path = tmp_path / "m.gcx"
    model.save(path)
    again = load_model(path)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.get_config() == load_model(path).get_config()
    first = model.fit(X, TARGETS, epochs=2, batch_size=20, verbose=0).history
    second = again.fit(X, TARGETS, epochs=2, batch_size=20, verbose=0).history
    assert first == second
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.optimizer.iterations.value == model.optimizer.iterations.value == 16


def test_another_process_goes_on(tmp_path: Path) -> None:
    layers.set_random_seed(0)
    model = sequential()
    model.compile("adam", "mse")
    model.fit(X, TARGETS, verbose=0)
    model.save(tmp_path / "m.gcx")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", TARGETS)
    code = (
        "import sys, numpy as np\n"
        "from graphc.layers import load_model\n"
        "m = load_model('m.gcx'); x, y = np.load('x.npy'), np.load('y.npy')\n"
        "m.fit(x, y, verbose=0); np.save('out.npy', m.predict(x))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    model.fit(X, TARGETS, verbose=0)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), model.predict(X))


class Doubled(layers.Layer):
    def __init__(self, times: float = 2.0, **options: Any) -> None:
        super().__init__(**options)
        self.times = times

    def call(self, x: Any) -> Any:
        return x * self.times


class Net(Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.hidden, self.head = Dense(units, "tanh"), Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.head(self.hidden(inputs))


def test_classes_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "m.gcx"
    model = Sequential([Input((6,)), Doubled(3.0), Dense(1)])
    model.save(path)
    with pytest.raises(gc.FunctionError, match="custom_objects") as caught:
        load_model(path)
    assert caught.value.code == "E247"
    again = load_model(path, {"Doubled": Doubled})
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    net = Net(4)
    net.compile("sgd", "mse")
    net.fit(X, TARGETS, verbose=0)
    net.save(path)
    again = load_model(path, {"Net": Net})
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_what_no_file_can_hold(tmp_path: Path) -> None:
    x = Input((6,))
    for model, match in (
        (Sequential([x, layers.Lambda(lambda t: t + 1)]), "function is"),
        (Model(x, Dense(1)(Dense(6)(x) + x)), "expression between"),
    ):
        with pytest.raises(gc.FunctionError, match=match) as caught:
            model.save(tmp_path / "m.gcx")
        assert caught.value.code == "E247"
        model.save_weights(tmp_path / "m.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "gcx"])
def test_weights_alone(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w.{suffix}"
    model, other = nested(), nested()
    if suffix == "gcx":
        model.save(path)
    else:
        model.save_weights(path)
    assert (other.predict(X) != model.predict(X)).any()
    other.load_weights(path)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    (tmp_path / "any").touch()
    assert path.stat().st_mode == (tmp_path / "any").stat().st_mode  # others may read it, too


@pytest.mark.parametrize(
    "other", [Sequential([Input((6,)), Dense(9), Dense(1)]), Sequential([Input((6,)), Dense(1)])]
)
def test_weights_of_another_model(other: Model, tmp_path: Path) -> None:
    Sequential([Input((6,)), Dense(8), Dense(1)]).save_weights(tmp_path / "w.npz")
    before = other.get_weights()
    with pytest.raises(gc.ShapeError, match="weight") as caught:
        other.load_weights(tmp_path / "w.npz")
    assert caught.value.code == "E245"
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "m.gcx"
    sequential().save(path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:100], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(gc.FileFormatError) as caught:
            load_model(path)
        assert caught.value.code == "E602"
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none.gcx")
    np.savez(tmp_path / "w.npz", w=np.array([{}], object))  # numpy would unpickle it
    with pytest.raises(gc.FileFormatError):
        sequential().load_weights(tmp_path / "w.npz")
    with pytest.raises(gc.ParameterError, match=r"w\.txt"):
        sequential().save_weights(tmp_path / "w.txt")


def test_a_file_holds_names_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "m.gcx"
    functional().save(path)
    with zipfile.ZipFile(path) as file:
        assert file.namelist() == ["architecture.json", "weights.safetensors", "state.safetensors"]
        description = json.loads(file.read("architecture.json"))
    assert description["compile"] is None
    assert description["model"]["config"]["layers"][1]["layer"] == "Dense"
    assert not [name for name in os.listdir(tmp_path) if name != "m.gcx"]


def test_an_error_while_saving_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.gcx"
    sequential().save(path)
    old = path.read_bytes()

    def broken(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", broken)
    for save in (sequential().save, sequential().save_weights):
        with pytest.raises(KeyboardInterrupt):
            save(path if save.__name__ == "save" else tmp_path / "w.npz")
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["m.gcx"]


def test_pictures(tmp_path: Path) -> None:
    text = functional().plot(tmp_path / "m.svg")
    assert "multi_head_attention" in text
    assert (tmp_path / "m.svg").read_text().count("<rect") == text.count("label=")
    with pytest.raises(gc.ParameterError, match=r"\.svg"):
        functional().plot(tmp_path / "m.pdf")


def test_weights_of_keras(tmp_path: Path) -> None:
    """The layout of Keras 3: layers/<name>/vars/<number>, cells in a group of their own."""
    h5py = pytest.importorskip("h5py", reason="reads HDF5")
    model = Sequential([Input((2, 3)), layers.LSTM(4), Dense(5), Dense(1)])
    arrays = [RNG.normal(size=v.shape) for v in model.weights]
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        for number, place in enumerate(
            ["lstm/cell/vars/0", "lstm/cell/vars/1", "lstm/cell/vars/2"]
            + [f"dense{n}/vars/{k}" for n in ("", "_1") for k in (0, 1)]
        ):
            file[f"layers/{place}"] = arrays[number]
    model.load_weights(tmp_path / "w.weights.h5")
    for a, b in zip(arrays, model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_weights_of_keras_in_branches(tmp_path: Path) -> None:
    """Keras writes layers by their classes, the longest way to the output first."""
    h5py = pytest.importorskip("h5py", reason="reads HDF5")
    x = Input((4,))
    short = Dense(4, name="short")(x)
    long = Dense(4, "relu", name="long")(Dense(4, name="first")(x))
    cells = layers.RNN([layers.LSTMCell(4), layers.GRUCell(3), layers.LSTMCell(2)], name="cells")
    h = cells(layers.Reshape((2, 2))(layers.Add()([short, long])))
    model = Model(x, Dense(2, name="head")(h))
    stacked = [f"rnn/cell/cells/{name}" for name in ("lstm_cell", "gru_cell", "lstm_cell_1")]
    places = ["dense", "dense_1", "dense_2", *stacked, "dense_3"]
    names = ["first", "short", "long", *cells.cell.cells, "head"]
    wanted: list[tuple[Any, np.ndarray]] = []
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        for place, name in zip(places, names, strict=True):
            layer = model.get_layer(name) if isinstance(name, str) else name
            for number, variable in enumerate(layer.weights):
                array = RNG.normal(size=variable.shape).astype("float32")
                file[f"layers/{place}/vars/{number}"] = array
                wanted.append((variable, array))
    model.load_weights(tmp_path / "w.weights.h5")
    assert len(wanted) == len(model.weights)
    for variable, array in wanted:
        np.testing.assert_array_equal(variable.value, array)


def test_weights_of_keras_of_shared_layers(tmp_path: Path) -> None:
    """A layer of two models stands in the file where Keras meets it first."""
    h5py = pytest.importorskip("h5py", reason="reads HDF5")
    x = Input((4,))
    shared, last = Dense(3, name="shared"), Dense(2, name="last")
    parts = [Model(x, shared(x)), Model(x, last(shared(x)))]
    y = Input((4,))
    model = Model(y, [part(y) for part in parts])
    arrays = [RNG.normal(size=w.shape).astype("float32") for w in model.weights]
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        for place, pair in (("functional", arrays[:2]), ("functional_1", arrays[2:])):
            number = "_1" if place[-1] == "1" else ""  # counted where it is not written too
            for n, array in enumerate(pair):
                file[f"layers/{place}/layers/dense{number}/vars/{n}"] = array
    model.load_weights(tmp_path / "w.weights.h5")
    for layer, pair in ((shared, arrays[:2]), (last, arrays[2:])):
        for a, b in zip(layer.get_weights(), pair, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_kill_during_save_leaves_a_whole_file(tmp_path: Path) -> None:
    """The writer is killed in the middle of its work, several times; the file is always whole."""
    path = tmp_path / "m.gcx"
    code = (
        "from graphc.layers import Dense, Input, Sequential\n"
        "m = Sequential([Input((100,)), Dense(3000), Dense(1)])\n"
        "m.save('m.gcx'); print('saved', flush=True)\n"
        "while True: m.save('m.gcx')"
    )
    for delay in (0.0, 0.013, 0.031):
        with subprocess.Popen(
            [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"saved\n"
            time.sleep(delay)
            writer.kill()
        assert load_model(path).count_params() == 3000 * 102 + 1
