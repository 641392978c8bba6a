"""Weights alone: .npz and .safetensors both ways, Keras's .h5 and .keras in."""

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gc
from graphc.errors import FileFormatError
from graphc.layers import saving
from graphc.layers.configured import parameter_error, written
from graphc.layers.layer import Layer, Parameter
from graphc.layers.naming import snake_case, unique
from graphc.layers.values import assign
from graphc.tensor_files import read_tensors, write_tensors
from graphc.whole_files import write_whole

if TYPE_CHECKING:
    from graphc.layers.model import Model

WRITTEN = (".npz", ".safetensors")
READ = (*WRITTEN, ".gcx", ".h5", ".hdf5", ".keras")
# Keras keeps the weights of some layers in parts; the order is that of our parameters.
PARTS = (
    "cell",
    "forward_layer",
    "backward_layer",
    "layer",
    "query_dense",
    "key_dense",
    "value_dense",
    "output_dense",
)


def save_weights(model: "Model", path: str | os.PathLike[str]) -> None:
    """Write the weights by name; a kill at any moment leaves the old file or the new one."""
    target = Path(path)
    arrays = {name: parameter.variable.value for name, parameter in model.parameters()}
    if target.suffix not in WRITTEN:
        raise parameter_error(
            f"save_weights: {target.name}", "write to a .npz or .safetensors file"
        )
    if target.suffix == ".safetensors":
        write_tensors(target, arrays)
        return
    write_whole(target, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def load_weights(model: "Model", path: str | os.PathLike[str]) -> None:
    """Set the weights; all of them or, after an error, none."""
    target = Path(path)
    match target.suffix:
        case ".npz":
            saving.set_by_name(model, _npz(target))
        case ".safetensors":
            saving.set_by_name(model, read_tensors(target)[0])
        case ".gcx":
            saving.set_by_name(model, saving.weights_in(target))
        case ".h5" | ".hdf5" | ".keras":
            _load_keras(model, target)
        case _:
            raise parameter_error(f"load_weights: {target.name}", f"give one of {', '.join(READ)}")


def _npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays without objects: nothing in the file is run."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise FileFormatError(
            f"{path} is no whole file of arrays",
            details=[str(error)],
            source=written(),
            fix="model.save_weights(path) makes such files",
        ) from None


# --- Keras ---


def _library() -> Any:
    try:
        import h5py
    except ImportError:
        raise gc.MissingExtraError(
            "files of Keras need the package h5py",
            source=written(),
            fix="pip install 'graphc[keras]'",
        ) from None
    return h5py


def _load_keras(model: "Model", path: Path) -> None:
    """The layers are found by their classes: `dense`, `dense_1`, ... in the order of Keras."""
    h5py = _library()
    try:
        if path.suffix == ".keras":
            with (
                zipfile.ZipFile(path) as whole,
                whole.open("model.weights.h5") as part,
                h5py.File(part, "r") as file,
            ):
                pairs = list(_matched(model, file))
        else:
            with h5py.File(path, "r") as file:
                pairs = list(_matched(model, file))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise FileFormatError(
            f"{path} is no whole file of Keras weights",
            details=[str(error)],
            source=written(),
            fix="write it again with model.save_weights",
        ) from None
    targets = [(name, parameter.variable) for name, parameter, _ in pairs]
    assign(model, targets, [array for _, _, array in pairs])


def _matched(
    model: Layer, file: Any, seen: set[int] | None = None
) -> Iterator[tuple[str, Parameter, np.ndarray]]:
    """Each parameter with its array.

    seen: layers that were met: one that stands in several models is in the file where it is first.
    """
    seen = set() if seen is None else seen
    old = file.get("model_weights", file)
    groups: Mapping[str, Any]
    if "layer_names" in old.attrs:  # Keras 1 and 2
        names = [_text(name) for name in old.attrs["layer_names"]]
        listed = [
            [np.asarray(old[name][_text(weight)]) for weight in old[name].attrs["weight_names"]]
            for name in names
        ]
        ours = [(label, layer) for label, layer in _named(model) if layer.weights]
        found = [arrays for arrays in listed if arrays]
        if len(found) != len(ours):
            raise _other(model, f"{len(found)} layers with weights, this model has {len(ours)}")
        for (label, layer), arrays in zip(ours, found, strict=True):
            yield from _layer(model, label, layer, arrays)
        return
    groups = file["layers"] if "layers" in file else file["_layer_checkpoint_dependencies"]
    for label, layer in _named(model):
        if not layer.weights or id(layer) in seen:
            continue
        seen.add(id(layer))
        if label not in groups and layer.name in groups:
            label = layer.name
        if label not in groups:
            raise _other(model, f"{label}: not in the file, which has {', '.join(groups)}")
        if "layers" in groups[label]:
            yield from _matched(layer, groups[label], seen)
        else:
            yield from _layer(model, label, layer, list(_arrays(groups[label], layer)))


def _named(model: Any) -> list[tuple[str, Any]]:
    """The layers of a model with the names that they have in files of Keras."""
    graph = getattr(model, "graph", None)
    return list(model.sublayers()) if graph is None else _by_class(graph.by_depth())


def _by_class(layers: Sequence[Any]) -> list[tuple[str, Any]]:
    """Names made of classes, and numbers: those that layers were given are not in the files."""
    kinds = [type(layer).__name__ for layer in layers]
    names = unique((snake_case({"Model": "Functional"}.get(k, k)), False) for k in kinds)
    return list(zip(names, layers, strict=True))


def _arrays(group: Any, layer: Any) -> Iterator[np.ndarray]:
    """The weights of a layer, in the order in which Keras makes them."""
    variables = group.get("vars", {})
    for key in sorted(variables, key=int):
        yield np.asarray(variables[key])
    for part in PARTS:
        if part in group:
            yield from _arrays(group[part], getattr(layer, part, None))
    if "cells" in group:  # one upon another
        for label, cell in _by_class(getattr(layer, "cells", ())):
            yield from _arrays(group["cells"][label], cell)


def _layer(
    model: Layer, label: str, layer: Layer, arrays: list[np.ndarray]
) -> Iterator[tuple[str, Parameter, np.ndarray]]:
    own = layer.parameters()
    if len(own) != len(arrays):
        raise _other(model, f"{label}: {len(arrays)} weights, this model has {len(own)}")
    for (name, parameter), array in zip(own, arrays, strict=True):
        yield f"{label}/{name}", parameter, array


def _other(model: Layer, problem: str) -> gc.ShapeError:
    return gc.ShapeError(
        f"{type(model).__name__} {model.name!r}: the file has other weights",
        code="E245",
        details=[problem],
        source=written(),
        fix="make a model with the same layers and sizes, and build it before",
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
