"""A picture of a model: a box for each layer, an arrow for each tensor."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from graphc.layers.configured import parameter_error
from graphc.layers.layer import LayerOutput
from graphc.layers.structures import tensors_in

if TYPE_CHECKING:
    from graphc.layers.model import Model

WIDTH, HEIGHT, GAP = 230, 44, 30


def picture_of(model: "Model", path: str | os.PathLike[str] | None = None) -> str:
    """Graphviz text; also a file .dot, .gv or .svg."""
    boxes, arrows = _parts(model)
    lines = ["digraph model {", '  node [shape=box, fontname="sans-serif"];']
    lines += [f'  n{n} [label="{title}\\n{shape}"];' for n, (title, shape) in enumerate(boxes)]
    lines += [f"  n{start} -> n{end};" for start, end in arrows]
    text = "\n".join([*lines, "}"]) + "\n"
    if path is not None:
        target = Path(path)
        if target.suffix not in (".dot", ".gv", ".svg"):
            raise parameter_error(f"plot: {target.name}", "write to a .svg, .dot or .gv file")
        target.write_text(_svg(boxes, arrows) if target.suffix == ".svg" else text, "utf-8")
    return text


def _parts(model: "Model") -> tuple[list[tuple[str, str]], list[tuple[int, int]]]:
    """Titles and shapes of the layers, and which of them hang together."""
    pairs = list(model.sublayers())
    if model.graph is None:
        boxes = [(f"{name} ({type(layer).__name__})", "") for name, layer in pairs]
        return boxes, []
    labels = {id(layer): name for name, layer in pairs}
    numbers = {id(call): n for n, call in enumerate(model.graph.calls)}
    boxes, arrows = [], []
    for number, call in enumerate(model.graph.calls):
        name = labels.get(id(call.layer), call.layer.name)
        shapes = ", ".join(str(tensor.type) for tensor in tensors_in(call.outputs))
        boxes.append((f"{name} ({type(call.layer).__name__})", shapes))
        arrows += [(origin, number) for origin in _origins(call.inputs, numbers)]
    return boxes, arrows


def _origins(tensors: list[Any], numbers: dict[int, int]) -> list[int]:
    """The calls that the tensors come from, through expressions between layers."""
    found: dict[int, None] = {}
    seen: set[tuple[int, int]] = set()
    waiting = list(tensors)
    while waiting:
        tensor = waiting.pop()
        if tensor.key in seen:
            continue
        seen.add(tensor.key)
        if isinstance(tensor, LayerOutput) and id(tensor.call) in numbers:
            found[numbers[id(tensor.call)]] = None
        else:
            waiting += tensor.node.inputs
    return sorted(found)


def _svg(boxes: list[tuple[str, str]], arrows: list[tuple[int, int]]) -> str:
    """Layers below all that they need, those of one depth side by side."""
    depth = [0] * len(boxes)
    for start, end in arrows:
        depth[end] = max(depth[end], depth[start] + 1)
    if not arrows:
        depth = list(range(len(boxes)))
    column: list[int] = []
    used: dict[int, int] = {}
    for level in depth:
        column.append(used.get(level, 0))
        used[level] = column[-1] + 1
    width = max(used.values(), default=1) * (WIDTH + GAP) + GAP
    height = (max(depth, default=0) + 1) * (HEIGHT + GAP) + GAP

    def place(number: int) -> tuple[int, int]:
        x = GAP + column[number] * (WIDTH + GAP)
        return x, GAP + depth[number] * (HEIGHT + GAP)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">'
    ]
    for start, end in arrows:
        (x1, y1), (x2, y2) = place(start), place(end)
        lines.append(
            f'<line x1="{x1 + WIDTH // 2}" y1="{y1 + HEIGHT}" x2="{x2 + WIDTH // 2}" y2="{y2}" '
            'stroke="gray"/>'
        )
    for number, (title, shape) in enumerate(boxes):
        x, y = place(number)
        middle = x + WIDTH // 2
        lines += [
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="white" '
            'stroke="black"/>',
            f'<text x="{middle}" y="{y + 18}" text-anchor="middle">{escape(title)}</text>',
            f'<text x="{middle}" y="{y + 35}" text-anchor="middle" fill="gray">'
            f"{escape(shape)}</text>",
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
