"""Graphs as networkx graphs."""

import networkx
import numpy as np

import graphc as gc
from graphc.ir.graph import Graph
from graphc.ir.to_networkx import to_networkx


def test_nodes_edges_and_labels() -> None:
    x = gc.placeholder("x", ("n", 2))
    w = gc.variable(np.zeros(2, "float32"), "w")
    p = gc.sigmoid(x @ w)
    p.name = "p"
    drawn = to_networkx(Graph((x,), (p * p,), ((w, w * 0.5),), "step", ("square",)))
    assert isinstance(drawn, networkx.MultiDiGraph)
    assert drawn.name == "step"
    labels = [drawn.nodes[k]["label"] for k in drawn]
    assert labels == ["x", "w", "x @ w", "sigmoid(t1)", "p * p", "0.5", "w * 0.5f32", "square", "w"]
    kinds = [drawn.nodes[k]["kind"] for k in drawn]
    assert kinds == ["input", "variable", "op", "op", "op", "constant", "op", "output", "update"]
    assert drawn.nodes[2]["type"] == "float32[n]"
    assert drawn.nodes[2]["source"].startswith("test_to_networkx.py:")
    assert drawn.number_of_edges(3, 4) == 2  # p * p reads p twice
    assert [drawn.edges[3, 4, k]["input"] for k in (0, 1)] == [0, 1]
    assert networkx.is_directed_acyclic_graph(drawn)
