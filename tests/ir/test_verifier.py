"""Broken graphs are found, each with the user's line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import VerificationError
from graphc.ir.graph import Graph
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import OpDef
from graphc.ir.registry import OPS
from graphc.ir.source import Source
from graphc.ir.tensor import Tensor
from graphc.ir.verifier import verify

FLOAT3 = TensorType(np.dtype("float32"), (3,))
LINE = (Source("train.py", 12),)
Attrs = dict[str, Any]


def node(op: str, *inputs: Tensor, attrs: Attrs | None = None, out: TensorType = FLOAT3) -> Tensor:
    return Tensor(Node(OPS[op], inputs, attrs or {}, (out,), LINE))


@pytest.fixture
def x() -> Tensor:
    return gc.placeholder("x", (3,))


def test_a_good_graph_gives_its_constraints() -> None:
    x, y = gc.placeholder("x", ("n", 3)), gc.placeholder("y", ("m", "k"))
    w = gc.variable(np.zeros((3, 2), "float32"), "w")
    graph = Graph((x, y), (x + y,), ((w, w - x[:3, :2]),))
    found = [(str(c.left), str(c.right)) for c in verify(graph)]
    assert ("n", "m") in found
    assert ("3", "k") in found
    assert all(c.sources[0].filename == __file__ for c in verify(graph))


def test_static_sizes_have_no_constraints(x: Tensor) -> None:
    assert verify(Graph((x,), (x + x,))) == []


def wrong_type(x: Tensor) -> Tensor:
    return node("exp", x, out=TensorType(np.dtype("float64"), (3,)))


def axis_beyond(x: Tensor) -> Tensor:
    return node("cumulative_sum", x, attrs={"axis": 1, "reverse": False})


def labels_of_floats(x: Tensor) -> Tensor:
    return node("is_class", x, attrs={"classes": 2}, out=TensorType(np.dtype("bool"), (3, 2)))


def wrong_shape(x: Tensor) -> Tensor:
    return node("exp", x, out=TensorType(np.dtype("float32"), (4,)))


def missing_operand(x: Tensor) -> Tensor:
    return node("add", x)


def spare_operand(x: Tensor) -> Tensor:
    return node("exp", x, x)


def mixed_dtypes(x: Tensor) -> Tensor:
    return node("multiply", x, gc.constant(1, "int64"))


def missing_attribute(x: Tensor) -> Tensor:
    return node("sum", x)


def missing_output(x: Tensor) -> Tensor:
    return node("exp", Tensor(gc.exp(x).node, 1))


def foreign_op(x: Tensor) -> Tensor:
    exp = OPS["exp"]
    op = OpDef("exp", infer=exp.infer, reference=exp.reference, lower=exp.lower)
    return Tensor(Node(op, (x,), {}, (FLOAT3,), LINE))


def writeable_constant(x: Tensor) -> Tensor:
    return node("constant", attrs={"value": np.zeros(3, "float32")})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (wrong_type, r"inference gives float32\[3\], the node says float64\[3\]"),
        (wrong_shape, r"inference gives float32\[3\], the node says float32\[4\]"),
        (missing_operand, "add does not take 1 operands"),
        (spare_operand, "exp does not take 2 operands"),
        (mixed_dtypes, "multiply does not take operands of these dtypes"),
        (missing_attribute, "sum: inference fails"),
        (axis_beyond, r"cumulative_sum: float32\[3\] has no axis 1"),
        (labels_of_floats, "is_class: not for float32"),
        (missing_output, "exp reads output 1 of exp"),
        (foreign_op, "op 'exp' is not registered"),
        (writeable_constant, "must be read-only"),
    ],
)
def test_broken_nodes(x: Tensor, build: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(VerificationError, match=message) as caught:
        verify(Graph((x,), (build(x),)))
    assert caught.value.code == "E503"
    assert caught.value.source == LINE[0]


def reordered(graph: Graph, nodes: tuple[Node, ...]) -> Graph:
    object.__setattr__(graph, "nodes", nodes)
    return graph


def test_the_order_of_nodes(x: Tensor) -> None:
    value = gc.exp(gc.tanh(x))
    first, second, third = Graph((x,), (value,)).nodes
    with pytest.raises(VerificationError, match="exp uses tanh before it is made"):
        verify(reordered(Graph((x,), (value,)), (first, third, second)))
    with pytest.raises(VerificationError, match="listed twice"):
        verify(reordered(Graph((x,), (value,)), (first, second, second, third)))
    with pytest.raises(VerificationError, match="result exp is not computed"):
        verify(reordered(Graph((x,), (value,)), (first, second)))


def test_inputs(x: Tensor) -> None:
    with pytest.raises(VerificationError, match="placeholder 'x' is not an input"):
        verify(Graph((), (x,)))
    with pytest.raises(VerificationError, match="input exp is not a placeholder"):
        verify(Graph((gc.exp(x),), (x,)))
    with pytest.raises(VerificationError, match="two inputs are called 'x'"):
        verify(Graph((x, gc.placeholder("x", (4,))), (x,)))


def test_output_names(x: Tensor) -> None:
    with pytest.raises(VerificationError, match="2 output names for 1 outputs"):
        verify(Graph((x,), (x,), output_names=("a", "b")))


def test_updates(x: Tensor) -> None:
    v = gc.variable([1.0, 2.0, 3.0], "v")
    verify(Graph((x,), (), ((v, x),)))
    with pytest.raises(VerificationError, match="two updates of variable 'v'"):
        verify(Graph((x,), (), ((v, x), (v, v))))
    with pytest.raises(VerificationError, match=r"'v': the variable is float32\[3\], the value"):
        verify(Graph((x,), (), ((v, gc.sum(x)),)))
    with pytest.raises(VerificationError, match="placeholder is updated but is no variable"):
        verify(Graph((x,), (), ((x, v),)))  # type: ignore[arg-type]


def test_deep_graphs_are_verified_without_recursion(x: Tensor) -> None:
    value = x
    for _ in range(20_000):
        value = -value
    assert verify(Graph((x,), (value,))) == []
