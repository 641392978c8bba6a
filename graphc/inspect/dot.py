"""Graphs as pictures: Graphviz text, and SVG with or without Graphviz.

Without Graphviz the layout is layered: every node stands below its inputs (leaves just above
their first user), nodes of a layer are ordered by the places of their neighbours, and long edges
pass through invisible nodes.
"""

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import networkx as nx

from graphc.errors import MissingExtraError
from graphc.ir.graph import Graph
from graphc.ir.leaf import CONSTANT, PLACEHOLDER, VARIABLE
from graphc.ir.node import Node
from graphc.ir.printer import Names, format_application, format_sources
from graphc.records import dataclass

COLOURS = {
    "input": "#cfe2ff",
    "variable": "#fff3c4",
    "constant": "#e9ecef",
    "op": "#ffffff",
    "result": "#d1f0d5",
}
LINE, CHARACTER, PADDING = 15, 7, 8  # pixels
GAP, LAYER_GAP = 24, 44
SWEEPS = 8
MOST_WAYPOINTS = 20_000  # above that, long edges are drawn straight
LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Box:
    """What is drawn for one node: rows of text, a kind (see COLOURS) and the user's lines."""

    rows: tuple[str, ...]
    kind: str
    sources: str


@dataclass
class Picture:
    """Boxes by key, and edges from a box to the boxes that use it."""

    boxes: dict[str, Box] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)


def picture(graph: Graph) -> Picture:
    """Boxes and edges of a graph; scalar constants stand inside the boxes that use them."""
    names = Names(graph)
    drawn = Picture()
    keys: dict[int, str] = {}
    unused = [t.node for t in graph.inputs] + [v.node for v in graph.variables]
    for node in dict.fromkeys([*unused, *graph.nodes]):
        if (id(node), 0) not in names.of:
            continue  # a scalar constant
        key = keys[id(node)] = f"n{len(keys)}"
        drawn.boxes[key] = _box(node, names)
        for producer in dict.fromkeys(id(tensor.node) for tensor in node.inputs):
            if producer in keys:
                drawn.edges.append((keys[producer], key))
    labels: dict[int, list[str]] = {}
    for name, tensor in zip(graph.output_names, graph.outputs, strict=True):
        labels.setdefault(id(tensor.node), []).append(f"return {name or ''}".rstrip())
    for variable, value in graph.updates:
        labels.setdefault(id(value.node), []).append(f"{names.operand(variable)} <-")
    for number, (node_id, texts) in enumerate(labels.items()):
        if node_id in keys:
            drawn.boxes[f"r{number}"] = Box(tuple(texts), "result", "")
            drawn.edges.append((keys[node_id], f"r{number}"))
    return drawn


def _box(node: Node, names: Names) -> Box:
    called = ", ".join(names.of[(id(node), k)] for k in range(len(node.types)))
    types = ", ".join(map(str, node.types))
    kinds = {PLACEHOLDER: "input", VARIABLE: "variable", CONSTANT: "constant"}
    kind = kinds.get(node.op, "op")
    if kind == "op":
        called += f" = {format_application(node, [names.operand(t) for t in node.inputs])}"
    return Box((_shortened(called), _shortened(types)), kind, format_sources(node.sources))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 3]}..."


# --- Graphviz ------------------------------------------------------------------------------------


def format_dot(graph: Graph) -> str:
    """The graph in the DOT language."""
    drawn = picture(graph)
    rows = [
        f"digraph {_quoted(graph.name)} {{",
        '  node [shape=box, style="rounded,filled", fontname="monospace", fontsize=11];',
    ]
    for key, box in drawn.boxes.items():
        label = "\\n".join(_quoted(row)[1:-1] for row in box.rows)
        rows.append(
            f'  {key} [label="{label}", fillcolor="{COLOURS[box.kind]}", '
            f"tooltip={_quoted(box.sources)}];"
        )
    rows += [f"  {start} -> {end};" for start, end in drawn.edges]
    return "\n".join([*rows, "}"]) + "\n"


def _quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# --- SVG -----------------------------------------------------------------------------------------


@dataclass
class _Place:
    """A box, or a point that an edge passes through (box is None)."""

    box: Box | None
    layer: int
    width: float
    height: float
    x: float = 0.0  # of the centre
    y: float = 0.0  # of the top


def format_svg(graph: Graph) -> str:
    """The graph as an SVG image."""
    drawn = picture(graph)
    places, edges = _layered(drawn)
    rows = _order_and_place(places, edges)
    width = max((p.x + p.width / 2 for p in places.values()), default=0.0) + GAP
    height = max((p.y + p.height for p in places.values()), default=0.0) + GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="11">',
        f"<title>{_text(graph.name)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#666"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    lines += [_edge(places, path) for path in edges]
    lines += [_drawn_box(place) for row in rows for place in row if place.box is not None]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _text(text: str) -> str:
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return escape(plain)


def _layered(drawn: Picture) -> tuple[dict[str, _Place], list[list[str]]]:
    """A place for every box and waypoint, and the path of every edge through them."""
    layers = _layers(drawn)
    places = {
        key: _Place(
            box,
            layers[key],
            max(map(len, box.rows)) * CHARACTER + 2 * PADDING,
            len(box.rows) * LINE + PADDING,
        )
        for key, box in drawn.boxes.items()
    }
    spans = sum(layers[end] - layers[start] - 1 for start, end in drawn.edges)
    paths: list[list[str]] = []
    for number, (start, end) in enumerate(drawn.edges):
        path = [start]
        if spans <= MOST_WAYPOINTS:
            for layer in range(layers[start] + 1, layers[end]):
                places[f"w{number}.{layer}"] = _Place(None, layer, PADDING, 0.0)
                path.append(f"w{number}.{layer}")
        paths.append([*path, end])
    return places, paths


def _layers(drawn: Picture) -> dict[str, int]:
    """A box's layer: below its inputs; boxes without inputs stand just above their first user."""
    net = nx.DiGraph()
    net.add_nodes_from(drawn.boxes)
    net.add_edges_from(drawn.edges)
    layers = {
        key: number
        for number, generation in enumerate(nx.topological_generations(net))
        for key in generation
    }
    for key in drawn.boxes:
        users = list(net.successors(key))
        if users and not list(net.predecessors(key)):
            layers[key] = min(layers[user] for user in users) - 1
    return layers


def _order_and_place(
    places: Mapping[str, _Place], paths: Iterable[Sequence[str]]
) -> list[list[_Place]]:
    """Give every place its x and y; the rows of places, from the top."""
    above: dict[int, list[_Place]] = {}
    below: dict[int, list[_Place]] = {}
    for path in paths:
        for start, end in pairwise(path):
            below.setdefault(id(places[start]), []).append(places[end])
            above.setdefault(id(places[end]), []).append(places[start])
    depth = max((place.layer for place in places.values()), default=-1) + 1
    rows: list[list[_Place]] = [[] for _ in range(depth)]
    for place in places.values():
        rows[place.layer].append(place)
    y = float(GAP)
    for row in rows:
        _pack(row)
        for place in row:
            place.y = y
        y += max((place.height for place in row), default=0.0) + LAYER_GAP
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            _align(row, above if downwards else below)
    leftmost = min((p.x - p.width / 2 for p in places.values()), default=0.0)
    for place in places.values():
        place.x += GAP - leftmost
    return rows


def _pack(row: Sequence[_Place]) -> None:
    """Side by side, centred."""
    x = -sum(place.width + GAP for place in row) / 2
    for place in row:
        place.x = x + place.width / 2
        x += place.width + GAP


def _align(row: list[_Place], neighbours: Mapping[int, list[_Place]]) -> None:
    """Order a row by the mean place of its neighbours and move it there without overlaps."""
    wanted = {}
    for place in row:
        near = neighbours.get(id(place), [])
        wanted[id(place)] = sum(n.x for n in near) / len(near) if near else place.x
    row.sort(key=lambda place: wanted[id(place)])
    from_left: list[float] = []
    right = float("-inf")
    for place in row:
        from_left.append(max(wanted[id(place)], right + place.width / 2))
        right = from_left[-1] + place.width / 2 + GAP
    from_right: list[float] = []
    left = float("inf")
    for place in reversed(row):
        from_right.append(min(wanted[id(place)], left - place.width / 2))
        left = from_right[-1] - place.width / 2 - GAP
    for place, low, high in zip(row, from_left, reversed(from_right), strict=True):
        place.x = (low + high) / 2


def _edge(places: Mapping[str, _Place], path: Sequence[str]) -> str:
    first = places[path[0]]
    x, y = first.x, first.y + first.height
    parts = [f"M{x:.1f},{y:.1f}"]
    for key in path[1:]:
        place = places[key]
        middle = (y + place.y) / 2
        parts.append(
            f"C{x:.1f},{middle:.1f} {place.x:.1f},{middle:.1f} {place.x:.1f},{place.y:.1f}"
        )
        x, y = place.x, place.y + place.height
    return f'<path d="{" ".join(parts)}" fill="none" stroke="#666" marker-end="url(#tip)"/>'


def _drawn_box(place: _Place) -> str:
    assert place.box is not None
    left = place.x - place.width / 2
    second = ' fill="#555"'
    rows = "".join(
        f'<text x="{place.x:.1f}" y="{place.y + (k + 1) * LINE - 2:.1f}" text-anchor="middle"'
        f"{second if k else ''}>{_text(row)}</text>"
        for k, row in enumerate(place.box.rows)
    )
    return (
        f'<g><title>{_text(place.box.sources)}</title><rect x="{left:.1f}" y="{place.y:.1f}" '
        f'width="{place.width:.1f}" height="{place.height:.1f}" rx="4" '
        f'fill="{COLOURS[place.box.kind]}" stroke="#888"/>{rows}</g>'
    )


# --- files ---------------------------------------------------------------------------------------


def write_picture(graph: Graph, path: Path) -> None:
    """Write the graph to a file: .dot or .gv text, .svg, or any format that Graphviz knows.

    SVG is drawn by Graphviz where it is installed. MissingExtraError where another format is asked
    for and Graphviz is not there.
    """
    suffix = path.suffix.lower().removeprefix(".")
    if suffix in ("dot", "gv"):
        path.write_text(format_dot(graph), encoding="utf-8")
        return
    program = shutil.which("dot")
    if program is not None:
        subprocess.run(
            [program, f"-T{suffix or 'svg'}", "-o", str(path)],
            input=format_dot(graph).encode(),
            check=True,
        )
    elif suffix in ("svg", ""):
        path.write_text(format_svg(graph), encoding="utf-8")
    else:
        raise MissingExtraError(
            f"a {suffix} picture needs Graphviz, and there is no program called 'dot'",
            code="E601",
            fix="write to a .svg or .dot file, or install Graphviz",
        )
