"""Models in one file: a zip of architecture.json, weights.safetensors and state.safetensors."""

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gc
from graphc.errors import FileFormatError
from graphc.layers import configs, optimizers
from graphc.layers.configured import written
from graphc.layers.values import assign
from graphc.surface import surface
from graphc.tensor_files import read_tensors, write_tensors

if TYPE_CHECKING:
    from graphc.layers.model import Model

__all__ = ["load_model"]

FORMAT, VERSION = "graphc model", 1
ARCHITECTURE, WEIGHTS, STATE = "architecture.json", "weights.safetensors", "state.safetensors"
LARGEST = 1 << 40  # bytes of one part


def save_model(model: "Model", path: str | os.PathLike[str], include_optimizer: bool) -> None:
    """Write the file beside the old one, then put it in its place."""
    description: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "graphc": gc.__version__,
        "model": {"layer": type(model).__name__, "config": model.get_config()},
        "build": _build_inputs(model),
        "compile": None,
    }
    state = {f"state/{name}": variable.value for name, variable in model.states()}
    if model.compiled and include_optimizer:
        description["compile"] = _compile_config(model)
        for number, variable in enumerate(model.optimizer.variables):
            state[f"optimizer/{number}"] = variable.value
    text = json.dumps(description, indent=1)
    weights = {name: parameter.variable.value for name, parameter in model.parameters()}
    target = Path(path)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        whole = Path(folder) / "model"
        with zipfile.ZipFile(whole, "w") as file:
            file.writestr(ARCHITECTURE, text)
            for name, arrays in ((WEIGHTS, weights), (STATE, state)):
                write_tensors(Path(folder) / name, arrays)
                file.write(Path(folder) / name, name)
        with whole.open("rb") as written_file:
            os.fsync(written_file.fileno())
        os.replace(whole, target)


def _build_inputs(model: "Model") -> Any:
    """Shapes of what a model without declared inputs was called with."""
    if model.graph is not None:
        return None
    steps = getattr(model, "_steps", None) or getattr(model, "_untrained", None)
    if steps is None:
        return None
    return [
        {"shape": [s if isinstance(s, int) else None for s in t.shape], "dtype": t.dtype.name}
        for t in steps.inputs
    ]


def _compile_config(model: "Model") -> dict[str, Any]:
    settings = model._compiled_settings()

    def plain(name: str, value: Any) -> Any:
        return configs.described(model, name, value)

    return {
        "optimizer": plain("optimizer", settings.optimizer),
        "loss": plain("loss", settings.losses),
        "loss_weights": plain("loss_weights", settings.loss_weights),
        "metrics": plain("metrics", settings.metrics),
        "weighted_metrics": plain("weighted_metrics", settings.weighted_metrics),
        "options": plain("options", settings.options),
        "steps_per_execution": model._steps_per_call,
        "shuffling": list(model._shuffling),
    }


@surface
def load_model(
    path: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
) -> Any:
    """The model that `model.save(path)` wrote, with its weights.

    custom_objects: classes of layers and models of your own, by name. compile: also compile it as
    it was, with the state of the optimizer, so that training goes on bit by bit.

    Raises FileFormatError (E602): no whole file of a model; FunctionError (E247): a class that is
    not known; ShapeError (E245): weights that do not fit. Nothing in the file is run.
    """
    description, weights, state = _parts(path)
    custom = custom_objects or {}
    model: Any = configs.layer_from(description["model"], custom)
    if description["build"] is not None and not model.built:
        given = [
            gc.placeholder(f"x{n}", [gc.dim("batch"), *one["shape"][1:]], one["dtype"])
            for n, one in enumerate(description["build"])
        ]
        model(given if len(given) > 1 else given[0])
    set_by_name(model, weights)
    if compile and description["compile"] is not None:
        _compile(model, description["compile"], state)
    kept = dict(model.states())
    found = [name for name in kept if f"state/{name}" in state]
    assign(model, [(n, kept[n]) for n in found], [state[f"state/{n}"] for n in found])
    return model


def _compile(model: Any, config: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> None:
    def value(name: str) -> Any:
        return configs.restored(config[name])

    model.compile(
        optimizers.get(config["optimizer"]),
        value("loss"),
        value("loss_weights"),
        value("metrics"),
        value("weighted_metrics"),
        config["steps_per_execution"],
        **value("options"),
    )
    model._shuffling = [int(number) for number in config["shuffling"]]
    kept = [name for name in state if name.startswith("optimizer/")]
    if len(kept) > len(model.optimizer.variables):
        model.optimizer.build(model.trainable_weights)
    variables = [(str(v.name), v) for v in model.optimizer.variables]
    assign(model, variables, [state[f"optimizer/{number}"] for number in range(len(kept))])


def _parts(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Any, Any]:
    """The description and the arrays of a file."""
    try:
        with zipfile.ZipFile(path) as file, tempfile.TemporaryDirectory() as folder:
            description = json.loads(file.read(ARCHITECTURE))
            if description["format"] != FORMAT or description["version"] != VERSION:
                raise ValueError(f"format {description['format']!r} {description['version']!r}")
            arrays = []
            for name in (WEIGHTS, STATE):
                if file.getinfo(name).file_size > LARGEST:
                    raise ValueError(f"{name} is too large")
                (Path(folder) / name).write_bytes(file.read(name))
                arrays.append(read_tensors(Path(folder) / name)[0])
        return description, *arrays
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        raise FileFormatError(
            f"{os.fspath(path)} is no whole file of a model",
            details=[str(error) or type(error).__name__],
            source=written(),
            fix="model.save(path) makes such files",
        ) from None


def weights_in(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The weights of a file of a model, by name."""
    found: dict[str, np.ndarray] = _parts(path)[1]
    return found


def set_by_name(model: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Set all weights by their names; all of them or, after an error, none."""
    named = {name: parameter.variable for name, parameter in model.parameters()}
    problems = [f"{name}: not in the file" for name in named if name not in arrays]
    problems += [f"{name}: only in the file" for name in arrays if name not in named]
    if problems:
        raise gc.ShapeError(
            f"{type(model).__name__} {model.name!r}: the file has other weights",
            code="E245",
            details=problems[:12],
            source=written(),
            fix="load weights into a model with the same layers, after it was built",
        )
    assign(model, list(named.items()), [arrays[name] for name in named])
