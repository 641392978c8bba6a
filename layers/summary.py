"""The table that `model.summary()` prints."""

from typing import TYPE_CHECKING, Any

from graphc.layers.layer import Layer, LayerOutput
from graphc.layers.structures import tensors_in

if TYPE_CHECKING:
    from graphc.layers.model import Model

HEAD = ("layer (type)", "output shape", "weights", "comes from")


def summary_of(model: "Model") -> str:
    """A row for each layer, and the numbers of weights."""
    rows = [HEAD, *(_row(model, name, layer) for name, layer in _in_order(model))]
    shown: list[tuple[str, ...]] = list(rows)
    if all(not row[3] for row in rows[1:]):  # one after the other
        shown = [row[:3] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in shown]
    lines.insert(1, "-" * (sum(widths) + 2 * len(widths) - 2))
    total = model.count_params()
    trained = sum(variable.value.size for variable in model.trainable_weights)
    lines += [
        lines[1],
        f"{type(model).__name__} {model.name!r}: {total:,} weights, {trained:,} trained, "
        f"{total - trained:,} not",
    ]
    return "\n".join(lines)


def _in_order(model: "Model") -> list[tuple[str, Layer]]:
    pairs = list(model.sublayers())
    first = next(iter(model.inputs), None)
    if isinstance(first, LayerOutput) and all(layer is not first.call.layer for _, layer in pairs):
        pairs.insert(0, ("input", first.call.layer))
    return pairs


def _row(model: "Model", name: str, layer: Layer) -> tuple[str, str, str, str]:
    calls = [] if model.graph is None else [c for c in model.graph.calls if c.layer is layer]
    shapes = [_shape(tensor) for call in calls[:1] for tensor in tensors_in(call.outputs)]
    labels = {id(part): label for label, part in _in_order(model)}
    origins: list[str] = []
    for call in calls:
        for tensor in call.inputs:
            known = isinstance(tensor, LayerOutput)
            origin = labels.get(id(tensor.call.layer), "") if known else tensor.op.name  # type: ignore[attr-defined]
            origins.append(origin)
    place = [label for label, _ in _in_order(model)]
    before = place[place.index(name) - 1] if place.index(name) else None
    straight = origins in ([], [before])
    shown = ", ".join(shapes) if shapes else "?"
    count = f"{layer.count_params():,}" if layer.built else "not built"
    return f"{name} ({type(layer).__name__})", shown, count, "" if straight else ", ".join(origins)


def _shape(tensor: Any) -> str:
    return "(" + ", ".join(str(s) if isinstance(s, int) else "None" for s in tensor.shape) + ")"
