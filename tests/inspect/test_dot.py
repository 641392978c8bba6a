"""Pictures of graphs: the same boxes and edges as DOT text and as SVG, whatever the names."""

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.errors import MissingExtraError
from graphc.inspect.dot import format_dot, format_svg, picture, write_picture
from graphc.ir.graph import Graph

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def graph() -> Graph:
    x = gc.placeholder("x", ("n", 4))
    w = gc.variable(np.ones(4, "float32"), name="w")
    cost = gc.mean(gc.log(1 + gc.exp(-(x @ w))))
    update = w - 0.1 * gc.grad(cost, w)
    return gc.function([x], cost, updates={w: update}, backend="reference").stages.graph


def test_picture_has_every_value(graph: Graph) -> None:
    drawn = picture(graph)
    texts = [box.rows[0] for box in drawn.boxes.values()]
    assert "x" in texts and "w" in texts
    assert any("softplus" in text for text in texts)
    results = [box.rows for box in drawn.boxes.values() if box.kind == "result"]
    assert sorted(results) == [("return",), ("w <-",)]
    assert all(start in drawn.boxes and end in drawn.boxes for start, end in drawn.edges)
    assert any("test_dot.py" in box.sources for box in drawn.boxes.values())


def test_dot_text_is_balanced(graph: Graph) -> None:
    text = format_dot(graph)
    assert text.startswith("digraph ") and text.endswith("}\n")
    assert text.count(" -> ") == len(picture(graph).edges)
    assert text.replace('\\"', "").count('"') % 2 == 0


def boxes_of(svg: str) -> list[tuple[float, float, float, float]]:
    root = ET.fromstring(svg)
    found = []
    for rect in root.iter(f"{SVG}rect"):
        if rect.get("rx") is not None:
            x, y, w, h = (float(rect.get(k, "")) for k in ("x", "y", "width", "height"))
            found.append((x, y, x + w, y + h))
    return found


def test_svg_boxes_do_not_overlap_and_lie_inside(graph: Graph) -> None:
    svg = format_svg(graph)
    boxes = boxes_of(svg)
    assert len(boxes) == len(picture(graph).boxes)
    size = re.search(r'width="(\d+)" height="(\d+)"', svg)
    assert size is not None
    width, height = map(int, size.groups())
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
        for other in boxes[:number]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart


def test_svg_is_the_same_every_time(graph: Graph) -> None:
    assert format_svg(graph) == format_svg(graph)


def test_names_are_text() -> None:
    x = gc.placeholder("x", ())
    hostile = Graph((x,), (x + 1,), name='a"]; b <script> & \n', output_names=("y",))
    ET.fromstring(format_svg(hostile))
    assert "<script>" not in format_svg(hostile)
    assert "\n b" not in format_dot(hostile)


def test_graphs_without_ops_and_long_chains() -> None:
    x = gc.placeholder("x", ())
    ET.fromstring(format_svg(Graph((x,), (x,))))
    ET.fromstring(format_svg(Graph((), ())))
    y = x
    for _ in range(2000):
        y = gc.sin(y) + x
    assert len(boxes_of(format_svg(Graph((x,), (y,))))) == 4002


def test_files_by_suffix(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    write_picture(graph, tmp_path / "g.svg")
    write_picture(graph, tmp_path / "g.dot")
    assert (tmp_path / "g.svg").read_text(encoding="utf-8").startswith("<svg")
    assert (tmp_path / "g.dot").read_text(encoding="utf-8").startswith("digraph")
    with pytest.raises(MissingExtraError, match="Graphviz"):
        write_picture(graph, tmp_path / "g.png")
