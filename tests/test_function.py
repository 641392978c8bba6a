"""Compiled functions: what they return, how they are called, what they say about themselves."""

import importlib
import inspect
import subprocess
import sys
import warnings
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends import registry
from graphc.ir.tensor import Tensor

BACKENDS = ("reference", "interpreter", "llvm")
ALL_BACKENDS = (*BACKENDS, "numba_cpu")


def floats(*values: float) -> np.ndarray:
    return np.array(values, "float32")


# --- outputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_outputs_keep_their_structure(backend: str) -> None:
    x = gc.placeholder("x", ("n",))
    a, b = x + 1, gc.sum(x)
    feed = floats(1, 2)

    def call(outputs: Any) -> Any:
        return gc.function([x], outputs, backend=backend)(feed)

    np.testing.assert_array_equal(call(a), [2, 3])
    assert isinstance(call(a), np.ndarray) and isinstance(call(b), np.ndarray)
    assert type(call([a])) is list and len(call([a])) == 1
    assert type(call((a, b))) is tuple and call((a, b))[1] == 3
    found = call({"a": a, "the sum": b})
    assert list(found) == ["a", "the sum"] and found["the sum"] == 3
    assert gc.function([x], backend=backend, on_unused_input="ignore")(feed) is None
    structures: list[Any] = [[], (), {}]
    for empty in structures:
        assert gc.function([], empty, backend=backend)() == empty


class Pair(namedtuple("Pair", "left right")):
    pass


def test_nested_outputs() -> None:
    x = gc.placeholder("x")
    cost = x**3
    f = gc.function(
        [x],
        {"cost": cost, "grads": [gc.grad(cost, x), (x, None)], 3: Pair(x + 1, []), "none": None},
        backend="reference",
    )
    found = f(2.0)
    assert found["cost"] == 8 and found["grads"] == [12, (2, None)]
    assert isinstance(found[3], Pair) and found[3].left == 3 and found[3].right == []
    assert found["none"] is None and list(found) == ["cost", "grads", 3, "none"]
    ordered = gc.function([x], OrderedDict(b=x, a=x), backend="reference")(1.0)
    assert list(ordered) == ["b", "a"]


def test_outputs_of_value_and_grad() -> None:
    w = gc.variable(floats(1, 2), "w")
    f = gc.function([], gc.value_and_grad(gc.sum(w**2), [w]), backend="reference")
    value, gradients = f()
    assert value == 5
    np.testing.assert_array_equal(gradients[0], [2, 4])


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_constant_outputs(backend: str) -> None:
    f = gc.function([], [1.5, np.arange(3), gc.constant([[1, 2]]), True], backend=backend)
    number, array, matrix, truth = f()
    assert number == 1.5 and number.dtype == np.float32 and number.shape == ()
    np.testing.assert_array_equal(array, [0, 1, 2])
    np.testing.assert_array_equal(matrix, [[1, 2]])
    assert truth.dtype == bool and truth
    array[:] = 7
    np.testing.assert_array_equal(f()[1], [0, 1, 2])


def test_constants_are_copies() -> None:
    array = np.arange(3)
    f = gc.function([], gc.constant(array), backend="reference")
    array[:] = 9
    np.testing.assert_array_equal(f(), [0, 1, 2])


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_outputs_never_share_memory(backend: str) -> None:
    x = gc.placeholder("x", ("n", "m"))
    v = gc.variable(np.arange(6, dtype="float32").reshape(2, 3), "v")
    c = gc.constant(floats(1, 2, 3))
    doubled = x * 2
    results = [x, x, x.T, gc.reshape(x, (-1,)), v, v, v[0], c, doubled, doubled, doubled.T]
    f = gc.function([x], results, backend=backend)
    feed = np.arange(6, dtype="float32").reshape(3, 2)
    outputs = f(feed)
    others = [feed, v.storage.array, *f(feed)]
    for position, output in enumerate(outputs):
        assert output.flags.writeable and output.flags.c_contiguous
        for other in (*others, *outputs[:position]):
            assert not np.shares_memory(output, other)
    kept = [output.copy() for output in outputs]
    for output in outputs:
        output[...] = -1
    np.testing.assert_array_equal(feed, np.arange(6).reshape(3, 2))
    np.testing.assert_array_equal(v.value, np.arange(6).reshape(2, 3))
    for output, before in zip(f(feed), kept, strict=True):
        np.testing.assert_array_equal(output, before)
    np.testing.assert_array_equal(kept[10], feed.T * 2)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_no_elements_and_no_axes(backend: str) -> None:
    x, s = gc.placeholder("x", ("n", 3)), gc.placeholder("s")
    results = [x * s, gc.sum(x, axis=0), gc.sum(x), gc.concat([x, x]), x.T @ x]
    f = gc.function([x, s], results, backend=backend)
    scaled, columns, total, twice, product = f(np.zeros((0, 3), "float32"), 2)
    assert scaled.shape == (0, 3) and twice.shape == (0, 3)
    np.testing.assert_array_equal(columns, [0, 0, 0])
    np.testing.assert_array_equal(product, np.zeros((3, 3)))
    assert total.shape == () and total == 0
    assert f(np.ones((1, 3), "float32"), np.float32(2))[2] == 3


# --- calls -------------------------------------------------------------------------------------


def test_inputs_by_position_and_by_name() -> None:
    x, y, z = (gc.placeholder(name) for name in "xyz")
    f = gc.function([x, y, z], x * 100 + y * 10 + z, backend="reference")
    assert f(1, 2, 3) == f(1, z=3, y=2) == f(z=3, x=1, y=2) == 123


def test_one_input_need_not_be_in_a_list() -> None:
    x = gc.placeholder("x")
    assert gc.function(x, x * 2, backend="reference")(3) == 6


def test_names_that_python_uses() -> None:
    names = ["self", "args", "kwargs", "lambda", "class", "f"]
    inputs = [gc.placeholder(name) for name in names]
    f = gc.function(inputs, gc.add_n(inputs), backend="reference")
    assert f(**dict.fromkeys(names, 1)) == 6


def test_defaults() -> None:
    x, rate = gc.placeholder("x", ("n",)), gc.placeholder("rate")
    array = floats(1, 2)
    f = gc.function([x, rate], x * rate, defaults={"x": array, "rate": 0.5}, backend="reference")
    array[:] = 9
    np.testing.assert_array_equal(f(), [0.5, 1])
    np.testing.assert_array_equal(f(floats(4)), [2])
    np.testing.assert_array_equal(f(rate=2), [2, 4])
    np.testing.assert_array_equal(f(floats(4), 3), [12])


def test_downcasts() -> None:
    x, k = gc.placeholder("x", ("n",)), gc.placeholder("k", (), "int32")
    f = gc.function([x, k], x * k, allow_downcast=True, backend="reference")
    found = f(np.array([0.5, 1.5]), 2.9)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [1, 3])


def test_inputs_that_are_not_used() -> None:
    x, y = gc.placeholder("x"), gc.placeholder("y")
    f = gc.function([x, y], x * 2, on_unused_input="ignore", backend="reference")
    assert f(1, 5) == 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.function([x, y], x, on_unused_input="warn", backend="reference")
        line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    assert len(caught) == 1 and caught[0].category is UserWarning
    assert "input 'y' is not used" in str(caught[0].message)
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


def test_an_input_that_gives_only_its_size() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], gc.arange(x.shape[0]), backend="reference")
    np.testing.assert_array_equal(f(floats(5, 5, 5)), [0, 1, 2])


def test_only_what_the_results_need_is_computed() -> None:
    x = gc.placeholder("x", ("n",))
    gc.exp(x)
    f = gc.function([x], gc.sin(x))
    assert "exp" not in f.graph_text() and "sin" in f.graph_text()


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_one_function_for_all_sizes(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function_module = importlib.import_module("graphc.function")
    compiled: list[str] = []

    def counted(compile_graph: Any) -> Any:
        def count(graph: gc.Graph, name: str, **options: Any) -> Any:
            compiled.append(f"graph for {name}")
            return compile_graph(graph, name, **options)

        return count

    monkeypatch.setattr(function_module, "compile_graph", counted(function_module.compile_graph))
    if backend != "reference":
        kind = type(registry.get_backend(backend))
        original = kind.compile

        def compile_program(self: Any, program: Any, **options: Any) -> Any:
            compiled.append(f"program for {backend}")
            return original(self, program, **options)

        monkeypatch.setattr(kind, "compile", compile_program)
    x, y = gc.placeholder("x", ("n", 3)), gc.placeholder("y", ("n",))
    w = gc.variable(floats(1, 2, 3), "w")
    difference = gc.tanh(x @ w) - y
    cost = gc.mean(difference**2)
    f = gc.function([x, y], cost, {w: w - 0.01 * gc.grad(cost, w)}, backend=backend)
    first = list(compiled)
    rng = np.random.default_rng(0)
    weights = w.value.astype("float64")
    for n in (*range(1, 100), 1000):
        a, b = rng.normal(size=(n, 3)).astype("float32"), rng.normal(size=n).astype("float32")
        found = f(a, b)
        h = np.tanh(a @ weights)
        np.testing.assert_allclose(found, np.mean((h - b) ** 2), rtol=1e-4)
        weights -= 0.01 * (2 / n) * (((h - b) * (1 - h**2)) @ a)
    np.testing.assert_allclose(w.value, weights, rtol=1e-4)
    assert compiled == first and len(first) == (1 if backend == "reference" else 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_repeated_calls_are_bit_identical(backend: str) -> None:
    x = gc.placeholder("x", ("n", "m"))
    f = gc.function([x], gc.softmax(gc.sin(x) * 3, axis=1) @ x.T, backend=backend)
    feed = np.random.default_rng(0).normal(size=(7, 19)).astype("float32")
    first = f(feed)
    for _ in range(5):
        f(feed[:3])
        assert f(feed).tobytes() == first.tobytes()


# --- what a function says about itself -----------------------------------------------------------


def test_the_name_comes_from_the_users_line() -> None:
    x = gc.placeholder("x")
    train = gc.function([x], x, backend="reference")
    typed: gc.Function = gc.function([x], x, backend="reference")
    named = gc.function([x], x, backend="reference", name="other")
    assert (train.name, typed.name, named.name) == ("train", "typed", "other")
    assert gc.function([x], x, backend="reference").name == "function"


def test_text_signature_and_documentation() -> None:
    x, labels = gc.placeholder("x", ("n", 784)), gc.placeholder("labels", ("n",), "int64")
    rate = gc.placeholder("rate")
    w = gc.variable(np.zeros(784, "float32"), "w")
    cost = gc.mean(x @ w - labels)
    train = gc.function(
        [x, labels, rate],
        {"cost": cost},
        {w: w - rate * gc.grad(cost, w)},
        defaults={rate: 0.1},
        backend="reference",
    )
    shown = "train(x: float32[n, 784], labels: int64[n], rate: float32[])"
    assert repr(train) == f"<graphc function {shown} on reference>"
    assert train.__doc__ == (
        f"{shown}, compiled by graphc for reference.\n\n"
        "output  cost: float32[]\nupdate  w: float32[784]"
    )
    assert train.__name__ == "train"
    signature = inspect.signature(train)
    assert list(signature.parameters) == ["x", "labels", "rate"]
    assert signature.parameters["x"].annotation == "float32[n, 784]"
    assert signature.parameters["rate"].default == np.float32(0.1)


def test_the_backend_is_named() -> None:
    x = gc.placeholder("x")
    f = gc.function([x], x * 2)
    assert f.backend == "llvm" and repr(f).endswith("on llvm>")


def test_many_inputs_and_outputs_have_a_short_text() -> None:
    inputs = [gc.placeholder(f"x{number}") for number in range(1000)]
    f = gc.function(inputs, [x * 2 for x in inputs], backend="reference")
    assert len(repr(f)) < 400 and "... 1000 inputs" in repr(f)
    assert len(str(f.__doc__)) < 1200 and "... 1000 results" in str(f.__doc__)


def test_signatures_with_defaults_in_the_middle() -> None:
    x, y, z = (gc.placeholder(name) for name in "xyz")
    f = gc.function([x, y, z], x + y + z, defaults={y: 2}, backend="reference")
    assert f(1, z=3) == 6
    kinds = [p.kind for p in inspect.signature(f).parameters.values()]
    assert kinds[2] is inspect.Parameter.KEYWORD_ONLY


# --- arguments of placeholder, variable, constant ------------------------------------------------


def test_shapes_of_placeholders() -> None:
    n = gc.dim("n")
    assert gc.placeholder("x").shape == ()
    assert gc.placeholder("x", 3).shape == (3,)
    assert gc.placeholder("x", "n").shape == (n,)
    assert gc.placeholder("x", ["n", 2 * n, np.int64(3)]).shape == (n, 2 * n, 3)
    first, second = gc.placeholder("x", (None, None)).shape
    assert first != second
    assert gc.placeholder("x").dtype == np.float32


def test_unnamed_placeholders_and_variables_have_names() -> None:
    inputs = [gc.placeholder() for _ in range(3)]
    names = [t.name for t in inputs]
    assert len(set(names)) == 3 and all(name and name.isidentifier() for name in names)
    assert gc.function(inputs, gc.add_n(inputs), backend="reference")(1, 2, 3) == 6
    assert gc.variable(1.0).name != gc.variable(1.0).name


def test_dtypes_of_variables_and_constants() -> None:
    for make in (gc.variable, gc.constant):
        dtypes = [
            make(value).dtype.name
            for value in (1.5, 1, True, [1.0], [1], np.ones(2), np.float16(1))
        ]
        assert dtypes == ["float32", "int64", "bool", "float32", "int64", "float64", "float16"]
        assert make(1, dtype="int8").dtype == np.int8
        assert make(np.ones(2), dtype="float32").dtype == np.float32
        assert make(np.ones(2, ">f4")).dtype == np.float32


# --- the package ---------------------------------------------------------------------------------

STATE = """
import gc, json, locale, os, random, signal, sys, threading, warnings
import numpy as np
import scipy.special, networkx, llvmlite.binding  # what others set is not our doing
sys.path.insert(0, {path!r})
def state():
    return dict(
        errors=np.geterr(),
        printing=str(np.get_printoptions()),
        filters=list(map(str, warnings.filters)),
        signals=[str(signal.getsignal(s)) for s in signal.valid_signals()],
        hooks=[str(sys.excepthook), str(sys.displayhook), str(sys.gettrace())],
        limits=[sys.getrecursionlimit(), sys.getswitchinterval(), gc.get_threshold()],
        locale=locale.setlocale(locale.LC_ALL),
        environment=dict(os.environ),
        threads=threading.active_count(),
        path=list(sys.path),
        random=[hash(random.getstate()), hash(np.random.get_state()[1].tobytes())],
        files=[os.getcwd(), *os.listdir()],
    )
before = state()
import graphc
after = state()
print(json.dumps([[k, before[k], after[k]] for k in before if before[k] != after[k]]))
"""


def test_importing_sets_no_global_state(tmp_path: Path) -> None:
    root = str(Path(inspect.getfile(gc)).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", STATE.format(path=root)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_tensors_are_keys_by_identity() -> None:
    x = gc.placeholder("x")
    same = Tensor(x.node)
    assert hash(same) == hash(x) and same.key == x.key
    assert {x: 1}[x] == 1
