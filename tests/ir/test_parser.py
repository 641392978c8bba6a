"""What was printed reads back: the same text, the same values; anything else is an error."""

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import ParseError
from graphc.ir.graph import Graph
from graphc.ir.parser import parse_graph
from graphc.ir.printer import as_graph, format_graph, large_constants
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor
from graphc.ir.verifier import verify
from graphc.passes.pipeline import optimize
from graphc.shapes import Dim

# The users' functions that these hold are no text.
WITH_FUNCTIONS = ("custom_gradient", "callback")
PRINTABLE = sorted(
    name for name, op in OPS.items() if op.examples is not None and name not in WITH_FUNCTIONS
)


def round_trip(graph: Graph) -> Graph:
    text = format_graph(graph)
    parsed = parse_graph(text, large_constants(graph))
    assert format_graph(parsed) == text
    verify(parsed)
    return parsed


@pytest.mark.parametrize("name", PRINTABLE)
def test_every_op_reads_back(name: str) -> None:
    examples = OPS[name].examples
    assert examples is not None
    for example in examples(np.random.default_rng(0)):
        inputs = [gc.placeholder(f"x{k}", a.shape, a.dtype) for k, a in enumerate(example.inputs)]
        graph = as_graph(example.build(*inputs))
        parsed = round_trip(graph)
        feeds = dict(zip(inputs, example.inputs, strict=True))
        by_name = {tensor.name: array for tensor, array in feeds.items()}
        again = {tensor: by_name[tensor.name] for tensor in parsed.inputs}
        for expected, value in zip(
            evaluate_tensors(graph.outputs, feeds),
            evaluate_tensors(parsed.outputs, again),
            strict=True,
        ):
            np.testing.assert_array_equal(value, expected)
        round_trip(optimize(graph)[0])


def test_a_training_step_reads_back() -> None:
    x, y = gc.placeholder("x", ("n", 5)), gc.placeholder("y", (None,))
    w, b = gc.variable(np.ones(5, "float32"), "w"), gc.variable(0.5, "b")
    p = gc.sigmoid(x @ w + b)
    p.name = "p"
    loss = gc.mean(gc.square(p - y)) + gc.sum(w * gc.constant(np.linspace(0, 1, 5)))
    by_w, by_b = gc.grad(loss, [w, b])
    updates = ((w, w - 0.1 * by_w), (b, b - 0.1 * by_b))
    graph = Graph((x, y), (loss, p), updates, "train", ("the loss", None))
    for one in (graph, optimize(graph)[0]):
        parsed = parse_graph(format_graph(one), large_constants(one), {"w": w, "b": b})
        assert format_graph(parsed) == format_graph(one)
        assert [v.node for v, _ in parsed.updates] == [w.node, b.node]
        assert parsed.output_names == ("the loss", None)
        assert parsed.outputs[1].name == "p"
        assert parsed.outputs[1].sources[0].line == p.sources[0].line


def test_sizes_and_names_of_all_kinds() -> None:
    n, odd = gc.dim("n"), Dim.symbol("inf")
    x = gc.placeholder("x", (n, odd, 2 * n + 1))
    values = [gc.reshape(x, (-1,)), gc.broadcast_to(x, (3, *x.shape)), gc.sum(x, axis=(0, 2)),
              x[1:, :, ::-2], gc.concat([x, x], axis=2)]  # fmt: skip
    for value, name in zip(values, ["c5", "return", "größe", "a b", "x"], strict=True):
        value.name = name
    round_trip(as_graph(values))


def test_constants_of_all_kinds() -> None:
    x = gc.placeholder("x", ())
    values: list[Tensor] = []
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        values += [x.astype(dtype) + gc.constant(v, dtype)
                   for v in (0.1, -0.0, np.inf, -np.inf, np.nan, 1e-7, -65504.0)]  # fmt: skip
    for dtype in ("int8", "uint64", "int64"):
        limits = np.iinfo(dtype)
        both = np.array([limits.min, limits.max], dtype)
        values += [gc.constant(both) + gc.constant(1, dtype)]
    values += [gc.constant([[True], [False]]), gc.constant(np.zeros((0, 3))), gc.constant(True)]
    values += [gc.constant(0.5, name="half") * x, gc.constant(np.arange(99), name="many")]
    graph = as_graph(values)
    parsed = round_trip(graph)
    for expected, value in zip(
        evaluate_tensors(graph.outputs, {x: np.array(1, "float32")}),
        evaluate_tensors(parsed.outputs, {parsed.inputs[0]: np.array(1, "float32")}),
        strict=True,
    ):
        assert value.dtype == expected.dtype
        if value.dtype == gc.bfloat16:  # numpy's comparison does not know its NaN
            value, expected = value.astype("float32"), expected.astype("float32")
        np.testing.assert_array_equal(value, expected)


def test_variables_that_are_not_given_are_new() -> None:
    parsed = parse_graph("graph f()\n  variable w: float32[2]\n  return w, w <- w\n")
    ((variable, _),) = parsed.updates
    assert variable.name == "w"
    np.testing.assert_array_equal(variable.value, [0, 0])


HEAD = "graph f(x: float32[n, 3], y: float32[3])\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        ("hello", "expected 'graph '"),
        ("graph f(x: float32)\n  return x", r"expected '\['"),
        ("graph f(x: f4[3])\n  return x", "f4 is not a dtype"),
        ("graph f(x: float32[3], x: float32[3])\n  return x", "x is defined twice"),
        ("graph f(x: float32[n**2])\n  return x", "is not a size"),
        ("graph f(x: float32[3]\n  return x", r"expected '\)'"),
        (HEAD, "no line of results"),
        (HEAD + "  return z", "z is not defined"),
        (HEAD + "  return x\n  return x", "goes on after its results"),
        (HEAD + "  return x y", "expected ','"),
        (HEAD + "  return x <- y", "only variables are updated"),
        (HEAD + "  t1 = x ++ y  : float32[n, 3]\n  return t1", "no operator"),
        (HEAD + "  t1 = x\n  return t1", "expected an operator"),
        (HEAD + "  t1 = x + y  : float32[n]\n  return t1", r"add gives float32\[n, 3\]"),
        (HEAD + "  t1 = x + y  : float64[n, 3]\n  return t1", "add gives"),
        (HEAD + "  t1 = nothing(x)  : float32[n]\n  return t1", "no op is called nothing"),
        (HEAD + "  t1 = sum(x)  : float32[]\n  return t1", "sum cannot be applied"),
        (HEAD + "  t1, t2 = x + y  : float32[n, 3]\n  return t1", "add gives"),
        (HEAD + "  t1 = x + 1x32  : float32[n, 3]\n  return t1", "expected a name"),
        (HEAD + "  t1 = x + 300u8  : float32[n, 3]\n  return t1", "'300' is not a uint8"),
        (HEAD + "  t1 = x + y  : float32[n, 3]  nowhere\n  return t1", "expected file:line"),
        (HEAD + "  constant c1: float32[20]\n  return c1", "is not part of the text"),
        (HEAD + "  constant c1: float32[2] = [1.0]\n  return c1", "1 elements for"),
        (HEAD + "  constant c1: int8[1] = [1.5]\n  return c1", "'1.5' is not a int8"),
        (HEAD + "  constant c1: float32[n] = [1.0]\n  return c1", "static shape"),
        (HEAD + "  variable w: float32[n]\n  return w", "static shape"),
        (HEAD + "  variable w: float32[2] = 3\n  return w", "unexpected text"),
        (HEAD + "  nan = x + y  : float32[n, 3]\n  return x", "nan cannot be a name"),
        (
            HEAD + "  t1 = sum(x, axes=(0,), keepdims=<thing>)  : float32[3]\n  return t1",
            "thing has no text",
        ),
        (HEAD + f"  t1 = sum(x, axes={'(' * 9999}) : float32[3]\n  return t1", "nested too deeply"),
    ],
)
def test_other_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        parse_graph(text)
    assert caught.value.code == "E505"


def test_the_error_shows_the_place() -> None:
    with pytest.raises(ParseError) as caught:
        parse_graph(HEAD + "  t1 = x + z  : float32[n, 3]\n  return t1\n")
    assert caught.value.details == ("  t1 = x + z  : float32[n, 3]", "            ^")
    assert caught.value.message == "line 2: z is not defined"


def test_what_is_given_must_fit() -> None:
    with pytest.raises(ParseError, match=r"constant c1 is float64\[20\]"):
        parse_graph("graph f()\n  constant c1: float32[20]\n  return c1", {"c1": np.zeros(20)})
    with pytest.raises(ParseError, match=r"variable w is float32\[2\]"):
        text = "graph f()\n  variable w: float32[3]\n  return w"
        parse_graph(text, variables={"w": gc.variable([1.0, 2.0])})
