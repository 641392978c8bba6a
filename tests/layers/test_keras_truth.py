"""Layers, losses and metrics against Keras: values, gradients, settings as plain values, files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import Input, Model, load_model, losses, metrics
from graphc.layers.structures import leaves

with np.load(Path(__file__).parent / "truth_keras.npz") as _file:
    TRUTH = {name: _file[name] for name in _file.files}
CASES, LOSSES, METRICS = (json.loads(str(TRUTH.pop(n))) for n in ("cases", "losses", "metrics"))


def made(value: Any) -> Any:
    """Layers in the place of {"layer", "config"}, also inside of settings and lists."""
    if isinstance(value, list):
        return [made(one) for one in value]
    if isinstance(value, dict) and "config" in value:
        return getattr(layers, value["layer"])(**made(value["config"]))
    return {k: made(v) for k, v in value.items()} if isinstance(value, dict) else value


def arrays(name: str, part: str) -> list[np.ndarray]:
    return [TRUTH[f"{name}.{part}{n}"] for n in range(CASES[name][part])]


def tolerance(name: str) -> dict[str, Any]:
    """TensorFlow resizes in float32, whatever the images are."""
    single = CASES[name]["layer"] == "Resizing"
    return {"rtol": 1e-5, "atol": 1e-5} if single else {"rtol": 1e-8, "atol": 1e-9}


def called(name: str, layer: Any, inputs: list[gc.Tensor]) -> list[gc.Tensor]:
    case = CASES[name]
    options = dict(case["call"])
    if case["mask"] is not None:
        masks = [None if one is None else gc.constant(np.array(one)) for one in case["mask"]]
        options["mask"] = masks if len(masks) > 1 else masks[0]
    kept = len(inputs) - case["states"]
    if case["states"]:
        options["initial_state"] = inputs[kept:]
    return leaves(layer(inputs[:kept] if kept > 1 else inputs[0], **options))


@pytest.mark.parametrize("name", CASES)
def test_results_and_gradients_are_those_of_keras(name: str) -> None:
    given, layer = arrays(name, "input"), made(CASES[name])
    fixed = CASES[name]["mask"] is not None  # the mask is a constant
    x = [
        gc.placeholder(f"x{n}", a.shape if fixed else (None, *a.shape[1:]), a.dtype)
        for n, a in enumerate(given)
    ]
    found = called(name, layer, x)
    layer.set_weights(arrays(name, "weight"))
    waves = [gc.reshape(gc.cos(gc.arange(y.size).astype("float64")), y.shape) for y in found]
    total: Any = sum(gc.sum(y * c) for y, c in zip(found, waves, strict=True))
    gradients = gc.grad(total, [*x, *layer.trainable_weights], disconnected="zero")
    got = gc.function(x, [*found, *gradients], backend="llvm")(*given)
    parts = [*arrays(name, "result"), *arrays(name, "by_input"), *arrays(name, "by_weight")]
    for one, wanted in zip(got, parts, strict=True):
        np.testing.assert_allclose(one, wanted, **tolerance(name))


@pytest.mark.parametrize("name", CASES)
def test_settings_and_files(name: str, tmp_path: Path) -> None:
    layer = made(CASES[name])
    again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()
    given = arrays(name, "input")
    fixed = CASES[name]["mask"] is not None
    x = [Input(a.shape[1:], batch_size=len(a) if fixed else None, dtype=a.dtype) for a in given]
    outputs = called(name, layer, list(x))
    model = Model(x, outputs)
    layer.set_weights(arrays(name, "weight"))
    model.save(tmp_path / "model.gcx")
    found = leaves(load_model(tmp_path / "model.gcx").predict(given))
    for one, wanted in zip(found, arrays(name, "result"), strict=True):
        np.testing.assert_allclose(one, wanted, **tolerance(name))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_keras(name: str) -> None:
    y_true, y_pred, values, gradient = (TRUTH[f"{name}.loss{n}"] for n in range(4))
    loss = losses.get(json.loads(json.dumps(LOSSES[name])))
    assert losses.get({"class_name": type(loss).__name__, "config": loss.get_config()}) == loss
    x = gc.placeholder("x", (None, *y_pred.shape[1:]), "float64")
    found = loss(y_true, x)
    waves = gc.reshape(gc.cos(gc.arange(found.size).astype("float64")), found.shape)
    got = gc.function([x], [found, gc.grad(gc.sum(found * waves), x)])(y_pred)
    np.testing.assert_allclose(got[0], values, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(got[1], gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_those_of_keras(name: str) -> None:
    case = METRICS[name]
    metric = metrics.get({"class_name": case["class_name"], "config": case["config"]})
    assert metric.name == case["name"]
    assert metrics.get(type(metric)(**metric.get_config())).get_config() == metric.get_config()
    number = 0
    for size in case["batches"]:
        metric.update_state(*(TRUTH[f"{name}.metric{number + n}"] for n in range(size)))
        number += size
    wanted = TRUTH[f"{name}.metric{number}"]
    np.testing.assert_allclose(gc.run(metric.result()), wanted, rtol=1e-5, atol=1e-6)
    metric.reset_state()
    assert all((variable.value == 0).all() for variable in metric.variables)
