"""Graphs and expressions as text."""

import io
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import graphc as gc
from graphc.ir.graph import Graph
from graphc.ir.opdef import OpDef
from graphc.ir.printer import (
    as_graph,
    dprint,
    format_attribute,
    format_expression,
    format_graph,
    format_scalar,
    format_sources,
    large_constants,
    usable_name,
)
from graphc.ir.registry import OPS
from graphc.ir.source import Source, source_scope
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim

GRAPH = """\
graph train(x: float32[n, 784], y: float32[n])
  variable w: float32[784]
  constant scale: float32[1] = [2.0]
  constant c1: float32[1, 20]
  t1  = y > 0.5f32                           : bool[n]         train.py:7
  t2  = x @ w                                : float32[n]      train.py:7
  p   = sigmoid(t2)                          : float32[n]      train.py:7
  t3  = -p                                   : float32[n]      train.py:7
  t4  = where(t1, p, t3)                     : float32[n]      train.py:7
  t5  = t4 * scale                           : float32[n]      train.py:7
  t6  = sum(t5, axes=(0,), keepdims=False)   : float32[]       train.py:7
  t7  = dim(size=n)                          : int64[]         train.py:7
  t8  = astype(t7, dtype=float32)            : float32[]       train.py:7
  t9  = t6 / t8                              : float32[]       train.py:7
  t10 = t5 + c1                              : float32[1, 20]  train.py:7
  t11 = sum(t10, axes=(0,), keepdims=False)  : float32[20]     train.py:7
  t12 = t5 @ x                               : float32[784]    train.py:7
  t13 = 0.1f32 * t12                         : float32[784]    train.py:7
  t14 = w - t13                              : float32[784]    train.py:7
  return cost = t9, t11, w <- t14
"""


@pytest.fixture(autouse=True)
def written() -> Iterator[None]:
    """Every node is written in train.py:7."""
    with source_scope((Source("/home/user/train.py", 7),)):
        yield


def test_a_whole_graph() -> None:
    x, y = gc.placeholder("x", ("n", 784)), gc.placeholder("y", ("n",))
    w = gc.variable(np.zeros(784, "float32"), name="w")
    p = gc.sigmoid(x @ w)
    p.name = "p"
    error = gc.where(y > 0.5, p, -p) * gc.constant([2.0], name="scale")
    total = gc.sum(error + gc.constant(np.zeros((1, 20), "float32")), axis=0)
    graph = Graph((x, y), (gc.mean(error), total), ((w, w - 0.1 * (error @ x)),), "train",
                  ("cost", None))  # fmt: skip
    assert format_graph(graph) == GRAPH
    assert large_constants(graph).keys() == {"c1"}


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (0.01, "float32", "0.01f32"),
        (0.1, "float64", "0.1f64"),
        (-0.0, "float32", "-0.0f32"),
        (1e-20, "float32", "1e-20f32"),
        (np.nan, "float32", "nanf32"),
        (-np.inf, "float16", "-inff16"),
        (2.0, "bfloat16", "2.0bf16"),
        (0.1, "bfloat16", "0.100098bf16"),
        (3, "int64", "3i64"),
        (200, "uint8", "200u8"),
        (True, "bool", "True"),
    ],
)
def test_scalars_say_their_dtype(value: float, dtype: str, text: str) -> None:
    assert format_scalar(np.dtype(dtype).type(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (-3, "-3"),
        (0.5, "0.5"),
        ("it's", '"it\'s"'),
        ((), "()"),
        ((1,), "(1,)"),
        ((0, (None, False)), "(0, (None, False))"),
        (Dim.symbol("n") * 2 + 1, "2*n + 1"),
        (Dim.symbol("nan"), "dim('nan')"),
        (np.dtype("int8"), "int8"),
        (np.array([[1, 2]], "int8"), "array(int8[1, 2], [1, 2])"),
        (np.float32(2), "scalar(2.0f32)"),
        (print, "<builtin_function_or_method>"),
    ],
)
def test_attributes(value: object, text: str) -> None:
    assert format_attribute(value) == text


def test_names_are_unique_and_mean_one_thing() -> None:
    first, second = gc.placeholder("t1", (3,)), gc.placeholder("t1", (3,))
    names = ["t7", "t1", "float32", "not a name!", "lambda"]
    values = [gc.exp(first * k) for k in range(2, 7)]
    for value, name in zip(values, names, strict=True):
        value.name = name
    text = format_graph(as_graph([*values, second]))
    shown = [line.split()[0] for line in text.splitlines() if "exp(" in line]
    assert text.startswith("graph expression(t1: float32[3], t1_1: float32[3])")
    assert shown == ["t7_", "t1_", "float32_", "not_a_name_", "lambda_"]
    assert usable_name("1st") == "_1st"
    assert usable_name("") == "_"


def test_sources_are_grouped_by_file() -> None:
    sources = (Source("/a/x.py", 3), Source("/a/y.py", 1), Source("/a/x.py", 4))
    assert format_sources(sources) == "x.py:3,4, y.py:1"
    assert format_sources(()) == ""


def test_prefix_and_infix_operators() -> None:
    x = gc.placeholder("x", (3,), "bool")
    assert format_expression(gc.logical_not(x)) == "not x"
    assert format_expression(gc.logical_and(x, ~x)) == "x and (~x)"
    a = gc.placeholder("a", (3,))
    assert format_expression(-(a + 1) * a) == "(-(a + 1.0)) * a"
    assert format_expression(-gc.constant(1.0)) == "-1.0"
    assert "negative(1.0f32)" in format_graph(as_graph(-gc.constant(1.0)))
    assert format_expression(gc.matmul(a, a)) == "a @ a"
    b = gc.placeholder("b", (3, 3))
    assert format_expression(gc.matmul(b, a, transpose_a=True)) == "matmul(b, a, transpose_a=True)"


def test_expressions_end_at_names_and_at_the_depth() -> None:
    x = gc.placeholder("x", ("n",))
    inner = gc.exp(gc.tanh(gc.sin(gc.cos(x))))
    outer = gc.log(inner)
    assert format_expression(outer, 2) == "log(exp(...))"
    assert format_expression(outer, 9) == "log(exp(tanh(sin(cos(x)))))"
    inner.name = "weights"
    assert format_expression(outer) == "log(weights)"
    assert format_expression(inner, 1) == "exp(...)"
    assert format_expression(gc.add_n([x] * 9)) == "add_n(x, x, x, x, ...)"
    assert format_expression(gc.constant([1.0, 2.0]) + x[:2]).startswith("[1.0, 2.0] + ")
    assert format_expression(gc.constant(np.zeros(9, "float32"))) == "constant float32[9]"


def test_one_of_several_results() -> None:
    exp = OPS["exp"]
    op = OpDef("pair", infer=lambda c: (c.types[0],) * 2, reference=exp.reference, lower=exp.lower)
    _, second = op.apply([gc.placeholder("x", (3,))], {})
    assert format_expression(second) == "pair(x)[1]"
    assert "t1, t2 = pair(x)  : float32[3], float32[3]" in format_graph(as_graph(second))


def test_dprint_takes_tensors_and_graphs(capsys: pytest.CaptureFixture[str]) -> None:
    x = gc.placeholder("x", ("n",))
    value = gc.exp(x)
    dprint(value)
    printed = capsys.readouterr().out
    assert printed == format_graph(as_graph(value))
    file = io.StringIO()
    dprint(as_graph([value, x]), file)
    assert "return t1, x = x" in file.getvalue()


def test_deep_graphs_print() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        value: Tensor = gc.placeholder("x", (3,))
        for _ in range(20_000):
            value = -value
        text = format_graph(as_graph(value))
    finally:
        sys.setrecursionlimit(limit)
    assert "t20000 = -t19999" in text
