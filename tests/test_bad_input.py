"""Bad input gets a clear error and changes nothing.

Every message has a code, what was got, how to repair it, and the user's own line: a line of this
file, marked by a comment at its end.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends import registry

FILE = Path(__file__)
BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")


def written(mark: str) -> str:
    """`test_bad_input.py:12`: the one line of this file that ends with the comment `# mark`."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    found = [number for number, line in enumerate(lines, 1) if line.endswith(f"  # {mark}")]
    assert len(found) == 1, f"{len(found)} lines are marked {mark!r}"
    return f"{FILE.name}:{found[0]}"


@contextmanager
def refused(
    kind: type[gc.GraphcError], code: str, mark: str, *parts: str, fix: str = ""
) -> Iterator[None]:
    """Expect one error of this kind that says all `parts` and names the marked line."""
    with pytest.raises(kind) as caught:
        yield
    message = str(caught.value)
    assert type(caught.value) is kind
    assert message.startswith(f"[{code}] ")
    assert f"\n  written   {written(mark)}   " in message
    assert re.search(r"\n  fix       \S", message)
    assert fix in message[message.index("\n  fix ") :]
    for part in parts:
        assert part in message, f"{part!r} is not in\n{message}"


def floats(*shape: int) -> np.ndarray:
    return np.ones(shape, "float32")


@pytest.fixture
def v() -> Iterator[gc.Variable]:
    """A variable that must have its old value when the test ends."""
    variable = gc.variable(np.array([1, 2, 3], "float32"), "v")
    yield variable
    np.testing.assert_array_equal(variable.value, [1, 2, 3])


# --- shapes --------------------------------------------------------------------------------------


def test_inner_sizes_of_a_product() -> None:
    x, w = gc.placeholder("x", ("n", 5)), gc.variable(floats(4, 2), "W1")
    with refused(
        gc.ShapeError, "E102", "product", "x: float32[n, 5]", "W1: float32[4, 2]", "5 != 4"
    ):
        gc.tanh(x @ w)  # product


def test_shapes_that_do_not_broadcast() -> None:
    x = gc.placeholder("x", ("n", 3))
    with refused(gc.ShapeError, "E101", "sum", "[n, 3] with [4]", "3 against 4"):
        x + floats(4)  # sum


def test_the_whole_message_of_a_shape_error() -> None:
    x, w = gc.placeholder("x", ("n", 5)), gc.variable(floats(4, 2), "W1")
    with pytest.raises(gc.ShapeError) as caught:
        x @ w  # whole
    assert str(caught.value) == (
        "[E102] matmul: inner sizes differ\n"
        "    x @ W1     x: float32[n, 5]    W1: float32[4, 2]      5 != 4\n"
        f"  written   {written('whole')}   x @ w  # whole\n"
        "  fix       W1 needs 5 rows, or x 4 columns"
    )


def test_sizes_that_differ_at_the_call(v: gc.Variable) -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    total = x * y  # at the call
    f = gc.function([x, y], gc.sum(total), updates={v: v + gc.sum(total)}, backend="reference")
    parts = ("n=4 from axis 0 of x", "m=5 from axis 0 of y")
    with refused(gc.FeedError, "E107", "at the call", *parts):
        f(floats(4), floats(5))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_feed_of_another_size(backend: str, v: gc.Variable) -> None:
    x = gc.placeholder("x", ("n", 3))  # size of a feed
    f = gc.function([x], updates={v: v + gc.sum(x, axis=0)}, backend=backend)
    parts = ("axis 1 has size 4, allowed is 3", "float32[2, 4]", "float32[n, 3]")
    with refused(gc.FeedError, "E203", "size of a feed", *parts):
        f(floats(2, 4))


def test_a_feed_of_another_rank() -> None:
    x = gc.placeholder("x", ("n", 3))  # rank of a feed
    f = gc.function([x], x * 2, backend="reference")
    with refused(gc.FeedError, "E203", "rank of a feed", "a 1-d array, allowed is 2-d"):
        f(floats(3))
    with refused(gc.FeedError, "E203", "rank of a feed", "a scalar, allowed is 2-d"):
        f(2.0)


def test_a_size_that_is_an_expression() -> None:
    n = gc.dim("n")
    x = gc.placeholder("x", (n,))
    y = gc.placeholder("y", (2 * n + 1,))  # expression
    f = gc.function([x, y], gc.sum(x) + gc.sum(y), backend="reference")
    assert f(floats(3), floats(7)) == 10
    with refused(gc.FeedError, "E203", "expression", "has size 6, allowed is 2*n + 1 = 7", "n=3"):
        f(floats(3), floats(6))


def test_a_named_size_that_clashes(v: gc.Variable) -> None:
    x = gc.placeholder("x", ("n", 2))
    y = gc.placeholder("y", ("n",))  # clash
    f = gc.function([x, y], updates={v: v + gc.sum(x) + gc.sum(y)}, backend="reference")
    parts = ("n=400 from x, n=399 from y", "x: float32[n, 2], got float32[400, 2]")
    with refused(gc.FeedError, "E204", "clash", *parts):
        f(floats(400, 2), floats(399))


def test_a_named_size_that_clashes_within_one_feed() -> None:
    x = gc.placeholder("x", ("n", "n"))  # square
    f = gc.function([x], gc.sum(x), backend="reference")
    with refused(gc.FeedError, "E204", "square", "n=2 from x, n=3 from x"):
        f(floats(2, 3))


def test_a_size_that_no_input_gives() -> None:
    x = gc.placeholder("x", ("n",))
    y = gc.zeros((gc.dim("m"),)) + gc.sum(x)  # size of no input
    with refused(gc.FunctionError, "E204", "size of no input", "'m' does not follow"):
        gc.function([x], y)


# --- missing and superfluous feeds ---------------------------------------------------------------


def test_a_feed_that_is_missing(v: gc.Variable) -> None:
    x = gc.placeholder("x", ("n",))
    y = gc.placeholder("y", ("n",))  # not fed
    cost = gc.sum(x * gc.log(y))
    cost.name = "cost"
    f = gc.function([x, y], cost, updates={v: v + cost}, backend="reference")
    parts = ("f: input 'y' was not fed", "f(x: float32[n], y: float32[n])")
    with refused(gc.FeedError, "E201", "not fed", *parts, "cost <- multiply <- log <- y"):
        f(floats(3))
    with refused(gc.FeedError, "E201", "not fed"):
        f(x=floats(3))


def test_a_long_path_is_shortened() -> None:
    y = x = gc.placeholder("x")  # long path
    for _ in range(100):
        y = gc.tanh(y)
    f = gc.function([x], y, backend="reference")
    with refused(gc.FeedError, "E201", "long path", "tanh <- ... <- tanh", "tanh <- x\n"):
        f()


def test_too_many_feeds_and_unknown_names() -> None:
    x = gc.placeholder("x", ("n",))
    double = x * 2  # superfluous
    f = gc.function([x], double, backend="reference")
    with refused(gc.FeedError, "E202", "superfluous", "f takes 1 input, got 2"):
        f(floats(2), floats(2))
    with refused(gc.FeedError, "E202", "superfluous", "f has no input 'z'"):
        f(floats(2), z=1)
    with refused(gc.FeedError, "E202", "superfluous", "f got two values for 'x'"):
        f(floats(2), x=floats(2))


def test_an_output_that_needs_a_placeholder_that_is_no_input() -> None:
    x = gc.placeholder("x", ("n",))
    y = gc.placeholder("y", ("n",))  # no input
    parts = ("placeholder 'y'", "add <- exp <- y")
    with refused(gc.FunctionError, "E201", "no input", *parts, fix="list y in the inputs"):
        gc.function([x], x + gc.exp(y))


def test_another_placeholder_of_the_same_name() -> None:
    def model() -> gc.Tensor:
        return gc.placeholder("x", ("n",)) * 2  # inner x

    x = gc.placeholder("x", ("n",))  # outer x
    where = f"another placeholder of this name is an input, written {written('outer x')}"
    with refused(gc.FunctionError, "E201", "inner x", "placeholder 'x'", where):
        gc.function([x], model())


def test_an_input_that_is_not_used() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))  # declared
    with refused(
        gc.FunctionError, "E205", "unused", f"y: float32[m], written {written('declared')}"
    ):
        gc.function([x, y], x * 2)  # unused


def test_names_that_are_taken() -> None:
    x = gc.placeholder("x", ("n",))
    other = gc.placeholder("x", ())  # second x
    with refused(
        gc.FunctionError, "E206", "taken", "two inputs are named 'x'", written("second x")
    ):
        gc.function([x, other], x * other)  # taken
    with refused(gc.FunctionError, "E206", "twice", "input 'x' is listed twice"):
        gc.function([x, x], x)  # twice


def test_names_that_are_not_usable() -> None:
    with refused(gc.FunctionError, "E206", "not a name", "'my input' is not a usable name"):
        gc.placeholder("my input")  # not a name
    with refused(gc.FunctionError, "E206", "underscore"):
        gc.variable(1.0, "_v")  # underscore
    with refused(gc.FunctionError, "E206", "shape first", fix="placeholder('x', (None, 3))"):
        gc.placeholder((None, 3))  # type: ignore[arg-type]  # shape first
    x = gc.placeholder("x")
    with refused(gc.FunctionError, "E206", "function name"):
        gc.function([x], x, name="f; import os")  # function name


@pytest.mark.parametrize("size", [-1, 1.5, True])
def test_a_placeholder_of_no_size(size: int) -> None:
    with refused(gc.ShapeError, "E106", "no size", f"axis 0 has size {size}"):
        gc.placeholder("x", (size, 3))  # no size


# --- dtypes of feeds -----------------------------------------------------------------------------


def test_float64_is_not_silently_float32(v: gc.Variable) -> None:
    x = gc.placeholder("x", ("n",))  # dtype
    f = gc.function([x], updates={v: v + gc.sum(x)}, backend="reference")
    parts = ("'x' is float32 and was fed float64 values", "float64[2]", "allowed float32[n]")
    with refused(gc.FeedTypeError, "E202", "dtype", *parts, fix=".astype('float32')"):
        f(np.ones(2))
    with refused(gc.FeedTypeError, "E202", "dtype", "int64"):
        f(np.array([1, 2]))


def test_fractions_are_not_silently_cut_off() -> None:
    k = gc.placeholder("k", (), "int64")  # fraction
    f = gc.function([k], k + 1, backend="reference")
    with refused(gc.FeedTypeError, "E202", "fraction", "was fed 1.7: fractions would be lost"):
        f(1.7)
    for value in (np.float64(1.7), np.float32(2.0), np.array(3.0)):
        with refused(gc.FeedTypeError, "E202", "fraction", fix="allow_downcast=True"):
            f(value)


def test_numbers_out_of_range() -> None:
    k = gc.placeholder("k", ("n",), "int8")  # range
    f = gc.function([k], k, allow_downcast=True, backend="reference")
    with refused(gc.FeedTypeError, "E202", "range", "int8 holds -128 to 127"):
        f([1, 300])
    for value in (np.array([np.nan]), np.array([np.inf]), np.array([128])):
        with refused(gc.FeedTypeError, "E202", "range"):
            f(value)
    x = gc.placeholder("x", ())  # too large
    g = gc.function([x], x, backend="reference")
    with refused(gc.FeedTypeError, "E202", "too large", "too large for float32"):
        g(1e300)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None is no array of numbers"),
        ("abc", "'abc' is no array of numbers"),
        (
            [[1.0], [2.0, 3.0]],
            "lists of unequal length along axis 1: 1 in the first, 2 in number 1",
        ),
        ({1j}, "of type set"),
        ({"x": 1}, "of type dict"),
        (np.array(["a"]), "an array of str"),
        (np.ma.masked_array([1.0, 2.0], [True, False], dtype="float32"), "masked"),
    ],
)
def test_feeds_that_are_no_numbers(value: object, text: str) -> None:
    x = gc.placeholder("x", ("n",))  # no numbers
    f = gc.function([x], x, backend="reference")
    with refused(gc.FeedTypeError, "E202", "no numbers", text, "allowed float32[n]"):
        f(value)


def test_feeding_what_is_symbolic() -> None:
    x = gc.placeholder("x", ("n",))  # symbolic
    w = gc.variable(floats(3), "w")
    f = gc.function([x], x * 2, backend="reference")
    with refused(gc.FeedTypeError, "E202", "symbolic", "a symbolic tensor", fix="givens={x:"):
        f(x + 1)
    with refused(gc.FeedTypeError, "E202", "symbolic", fix="feed w.value"):
        f(w)
    with refused(gc.FeedTypeError, "E202", "symbolic", "the size n"):
        f(x.shape[0])


# --- updates -------------------------------------------------------------------------------------


def test_two_updates_of_one_variable(v: gc.Variable) -> None:
    with refused(gc.FunctionError, "E207", "two updates", "'v' is updated twice", "v: float32[3]"):
        gc.function([], updates=[(v, v + 1), (v, v * 2)])  # two updates


def test_updates_of_what_is_no_variable(v: gc.Variable) -> None:
    x = gc.placeholder("x", (3,))
    with refused(gc.FunctionError, "E207", "no variable", "the placeholder 'x' is no variable"):
        gc.function([x], updates={x: x + 1})  # type: ignore[dict-item]  # no variable
    with refused(gc.FunctionError, "E207", "no pairs", fix="updates=[(old, new)]"):
        gc.function([], updates=[v, v + 1])  # type: ignore[list-item]  # no pairs
    with refused(gc.FunctionError, "E207", "a tensor", "the variable 'v'"):
        gc.function([], updates=v)  # type: ignore[arg-type]  # a tensor


def test_an_update_of_another_dtype(v: gc.Variable) -> None:
    new = v + np.ones(3)  # other dtype
    parts = ("another dtype", "got     float64[3]", "allowed float32[3]")
    with refused(gc.FunctionError, "E208", "other dtype", *parts, fix=".astype('float32')"):
        gc.function([], updates={v: new})
    count = gc.variable(0, "count")
    with refused(gc.FunctionError, "E208", "fractional", "allowed int64[]"):
        gc.function([], updates={count: 1.5})  # fractional
    assert count.value == 0


def test_an_update_of_another_shape(v: gc.Variable) -> None:
    new = gc.sum(v)  # other shape
    with refused(gc.FunctionError, "E208", "other shape", "another shape", "got     float32[]"):
        gc.function([], updates={v: new})
    with refused(gc.FunctionError, "E208", "no expression", "no expression", "[3]"):
        gc.function([], updates={v: [[1.0], [1.0, 2.0]]})  # no expression


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_update_whose_shape_is_known_at_the_call(backend: str, v: gc.Variable) -> None:
    x = gc.placeholder("x", ("n",))
    new = x * 2  # symbolic shape
    w = gc.variable(floats(3), "w")
    f = gc.function([x], updates={w: new}, backend=backend)
    f(2 * floats(3))
    np.testing.assert_array_equal(w.value, [4, 4, 4])
    with refused(gc.FeedError, "E208", "symbolic shape", "n = 4, 3", "n=4 from axis 0 of x"):
        f(floats(4))
    np.testing.assert_array_equal(w.value, [4, 4, 4])


def test_setting_a_variable(v: gc.Variable) -> None:
    where = f"float32[3], declared {v.source}"
    with refused(gc.ShapeError, "E208", "set shape", "cannot change its shape", "[4]", where):
        v.value = floats(4)  # set shape
    with refused(gc.DTypeError, "E208", "set dtype", "was set to float64[3]", where):
        v.value = np.ones(3)  # set dtype
    with refused(gc.DTypeError, "E208", "set tensor", "is a symbolic tensor"):
        v.value = v + 1  # set tensor
    count = gc.variable(0, "count", "int8")
    with refused(gc.DTypeError, "E208", "set range", "int8 holds -128 to 127"):
        count.value = 300  # set range
    assert count.value == 0


def test_variables_of_no_numbers() -> None:
    x = gc.placeholder("x", ())
    with refused(gc.DTypeError, "E110", "variable of a tensor", "x is a symbolic tensor"):
        gc.variable(x)  # variable of a tensor
    with refused(gc.DTypeError, "E110", "variable of None"):
        gc.variable(None)  # variable of None
    with refused(gc.DTypeError, "E110", "variable out of range", "int8 holds"):
        gc.variable(300, dtype="int8")  # variable out of range
    with refused(gc.DTypeError, "E110", "plus None", "add: None is no array of numbers"):
        x + None  # plus None


# --- givens, defaults, other arguments -----------------------------------------------------------


def test_givens_in_a_circle() -> None:
    x, y, z = (gc.placeholder(name) for name in "xyz")
    x2 = x * 2  # circle
    with refused(gc.FunctionError, "E209", "circle", "depends on itself"):
        gc.function([], x, givens={x: x2})
    with pytest.raises(gc.FunctionError, match="E209"):
        gc.function([], x + y, givens={x: y * 2, y: x * 2})
    with pytest.raises(gc.FunctionError, match="E209"):
        gc.function([], z, givens={z: x, x: y, y: x})


def test_givens_of_another_type() -> None:
    x, y = gc.placeholder("x", ("n", 3)), gc.placeholder("y", ("n",))
    with refused(gc.FunctionError, "E209", "given rank", "got     float32[n]", "float32[n, 3]"):
        gc.function([y], gc.sum(x), givens={x: y})  # given rank
    with refused(gc.FunctionError, "E209", "given size", "got     float32[5, 4]"):
        gc.function([], gc.sum(x), givens={x: floats(5, 4)})  # given size
    with refused(gc.FunctionError, "E209", "given dtype", "got     float64[5, 3]"):
        gc.function([], gc.sum(x), givens={x: np.ones((5, 3))})  # given dtype
    with refused(gc.FunctionError, "E209", "given twice", "x is replaced twice"):
        gc.function([], x, givens=[(x, floats(5, 3)), (x, floats(4, 3))])  # given twice
    with refused(gc.FunctionError, "E209", "given name", "not 'x'"):
        gc.function([], x, givens={"x": floats(5, 3)})  # type: ignore[dict-item]  # given name


def test_givens_whose_size_differs_at_the_call() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
    data = gc.constant(floats(5))
    f = gc.function([y], gc.sum(x) / x.shape[0] + y, givens={x: data}, backend="reference")  # given
    assert f(floats(5)).sum() == 10
    with refused(gc.FeedError, "E107", "given", "givens for x", "n = 4, 5"):
        f(floats(4))


def test_unfit_defaults() -> None:
    x = gc.placeholder("x", ("n",))  # default
    y = gc.placeholder("y")
    with refused(gc.FunctionError, "E205", "foreign default", "inputs: x"):
        gc.function([x], x, defaults={y: 1})  # foreign default
    with refused(gc.FeedTypeError, "E202", "default", "float64"):
        gc.function([x], x, defaults={x: np.ones(3)})


def test_arguments_that_are_no_inputs_or_outputs(v: gc.Variable) -> None:
    x = gc.placeholder("x", ("n",))
    with refused(gc.FunctionError, "E205", "input name", "got 'x'", fix="gc.placeholder"):
        gc.function(["x"], x)  # type: ignore[list-item]  # input name
    with refused(gc.FunctionError, "E205", "input dict", "of type dict"):
        gc.function({"x": x}, x)  # type: ignore[arg-type]  # input dict
    with refused(gc.FunctionError, "E205", "input variable", "the variable 'v'"):
        gc.function([v], v * 2)  # input variable
    with refused(gc.FunctionError, "E205", "input result", "the result of multiply"):
        gc.function([x * 2], x * 2)  # input result
    with refused(gc.FunctionError, "E205", "output string", "output 1 is no expression: 'abc'"):
        gc.function([x], [x, "abc"])  # output string
    with refused(gc.FunctionError, "E205", "mode"):
        gc.function([x], x, on_unused_input="no")  # mode
    with refused(gc.FunctionError, "E205", "threads"):
        gc.function([x], x, threads=0)  # threads


def test_an_unknown_backend() -> None:
    x = gc.placeholder("x")
    parts = ("unknown backend 'cuda'", "llvm, numba_cpu, interpreter, reference")
    with refused(gc.BackendError, "E501", "backend", *parts, fix='backend="auto"'):
        gc.function([x], x, backend="cuda")  # backend


def test_a_backend_whose_package_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "needy_backend.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry._MODULES, "numba_cpu", "needy_backend")
    x = gc.placeholder("x")
    with refused(gc.MissingExtraError, "E601", "extra", fix="a_package_that_is_not_there"):
        gc.function([x], x, backend="numba_cpu")  # extra


# --- differentiation -----------------------------------------------------------------------------


def test_the_gradient_of_no_scalar() -> None:
    x = gc.placeholder("x", ("n",))
    with refused(gc.GradientError, "E301", "no scalar", "float32[n]", fix="cost.sum()"):
        gc.grad(x**2, x)  # no scalar


def test_a_gradient_through_argmax() -> None:
    x = gc.placeholder("x", ("n", 3))
    best = gc.argmax(x, axis=1)  # argmax
    cost = gc.sum(best.astype("float32"))
    with refused(gc.DisconnectedError, "E302", "blocked", "blocked by argmax", written("argmax")):
        gc.grad(cost, x)  # blocked


def test_a_gradient_by_what_the_cost_does_not_contain() -> None:
    x, w = gc.placeholder("x", ("n",)), gc.variable(1.0, "w")
    with refused(gc.DisconnectedError, "E303", "disconnected", "does not depend on w", "ends at x"):
        gc.grad(gc.sum(x), w)  # disconnected


# --- indices -------------------------------------------------------------------------------------


def test_an_index_that_is_out_of_range_in_the_graph() -> None:
    x = gc.placeholder("x", ("n", 3))
    with refused(gc.IndexOutOfRange, "E401", "static index", "index 3", "axis 1 of size 3"):
        x[:, 3]  # static index


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [2, -3, 10**12])
def test_an_index_that_is_out_of_range_at_the_call(backend: str, bad: int, v: gc.Variable) -> None:
    labels = gc.placeholder("labels", ("n",), "int64")
    chosen = gc.take(gc.constant([1.0, 2.0]), labels)  # index
    f = gc.function([labels], chosen, updates={v: v + gc.sum(chosen)}, backend=backend)
    parts = (f"take: index {bad} is out of range for axis 0 of size 2",)
    with refused(gc.IndexOutOfRange, "E402", "index", *parts, fix="[-2, 2)"):
        f([0, 1, bad, 0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_slice_beyond_a_symbolic_axis(backend: str, v: gc.Variable) -> None:
    x = gc.placeholder("x", ("n",))
    fifth = x[4]  # position
    f = gc.function([x], updates={v: v * fifth}, backend=backend)
    with refused(gc.IndexOutOfRange, "E402", "position", "n=3 from axis 0 of x"):
        f(floats(3))


# --- sizes -------------------------------------------------------------------------------------


def test_negative_sizes_in_the_graph() -> None:
    with refused(gc.ShapeError, "E101", "negative", "eye: negative size in [-3, -3]", fix=">= 0"):
        gc.eye(-3)  # negative


@pytest.mark.parametrize("backend", BACKENDS)
def test_negative_sizes_at_the_call(backend: str, v: gc.Variable) -> None:
    x = gc.placeholder("x", ("n",))
    few = gc.zeros((x.shape[0] - 5,)) + 1  # five less
    g = gc.function([x], few, backend=backend)
    assert g(np.zeros(7, "float32")).tolist() == [1, 1]
    assert g(np.zeros(5, "float32")).tolist() == []
    f = gc.function([x], few, updates={v: v + 1}, backend=backend)
    with refused(gc.FeedError, "E107", "five less", "negative size: n - 5 = -2", fix="larger"):
        f(np.zeros(3, "float32"))


def test_arrays_beyond_the_addresses() -> None:
    with refused(gc.ShapeError, "E101", "huge", "[4611686018427387904, 4]"):
        gc.zeros((2**62, 4))  # huge
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], gc.zeros((x.shape[0] * 2**40, 2**40)))  # huge at the call
    with refused(gc.FeedError, "E107", "huge at the call", "more elements", "n = 3"):
        f(np.zeros(3, "float32"))


def test_labels_beyond_the_classes() -> None:
    logits, labels = gc.placeholder("logits", ("n", 3)), gc.placeholder("labels", ("n",), "int32")
    loss = gc.nn.sparse_softmax_cross_entropy(logits, labels)  # no such class
    f = gc.function([logits, labels], loss)
    text = "sparse_softmax_cross_entropy: index 3 is out of range"
    with refused(gc.IndexOutOfRange, "E402", "no such class", text, fix="[0, 3)"):
        f(np.zeros((2, 3), "float32"), np.array([0, 3], "int32"))


# --- symbolic tensors used as values -------------------------------------------------------------


def test_truth_values() -> None:
    x = gc.placeholder("x", ())
    with refused(gc.SymbolicValueError, "E211", "if", "greater: bool[]", fix="gc.where"):
        if x > 0:  # if
            pass
    with refused(gc.SymbolicValueError, "E211", "in"):
        assert x in [gc.constant(1.0)]  # in
    with refused(gc.SymbolicValueError, "E211", "and"):
        assert x and x  # and


def test_iteration_and_length() -> None:
    x = gc.placeholder("x", ("n", 3))
    with refused(gc.SymbolicValueError, "E212", "loop", "x: float32[n, 3]"):
        for _ in x:  # loop
            pass
    with refused(gc.SymbolicValueError, "E212", "len", fix="x.shape[0]"):
        len(x)  # len
    assert len(x.T) == 3 and len(list(x.T)) == 3


def test_item_assignment() -> None:
    x = gc.placeholder("x", (4,))
    with refused(gc.SymbolicValueError, "E213", "item", "no side effects", fix="gc.where"):
        x[0] = 1.0  # item


def test_numbers_and_arrays_of_tensors() -> None:
    x = gc.placeholder("x", ())
    with refused(gc.SymbolicValueError, "E211", "float", fix="gc.run(x, feed)"):
        float(x)  # float
    with refused(gc.SymbolicValueError, "E211", "int"):
        int(x)  # int
    with refused(gc.SymbolicValueError, "E211", "asarray", "numpy"):
        np.asarray(x)  # asarray
    with refused(gc.SymbolicValueError, "E211", "numpy sum", fix="use gc.sum"):
        np.sum(x)  # numpy sum
    with refused(gc.SymbolicValueError, "E211", "list index", fix="x[tensor]"):
        [1, 2][x]  # list index
    with refused(gc.SymbolicValueError, "E211", "numpy exp", fix="gc.exp(x) for np.exp(x)"):
        np.exp(x)  # numpy exp


def test_sizes_as_numbers() -> None:
    x = gc.placeholder("x", ("n", 3))
    for use in (lambda: range(x.shape[0]), lambda: np.zeros(x.shape), lambda: x.shape[0] > 5):
        with pytest.raises(
            gc.DimError, match=r"\[E108\].* only known at run time\n  written .*\n  fix  "
        ):
            use()
    assert gc.run(gc.zeros(x.shape), {x: floats(4, 3)}, backend="reference").shape == (4, 3)


# --- feeds that look odd and are right -----------------------------------------------------------

ODD: dict[str, Callable[[np.ndarray], Any]] = {
    "column-major": lambda a: np.asfortranarray(a),
    "strided": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda a: a.T.copy().T,
    "broadcast": lambda a: np.broadcast_to(a[:1, :1], a.shape),
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "list": lambda a: a.tolist(),
    "tuples": lambda a: tuple(map(tuple, a.tolist())),
    "narrow": lambda a: a.astype("float16"),
    "integers": lambda a: np.arange(12, dtype="int8").reshape(a.shape),
    "truth values": lambda a: a > 3,
    "unaligned": lambda a: unaligned(a),
    "no element masked": lambda a: np.ma.masked_array(a),
}


def unaligned(array: np.ndarray) -> np.ndarray:
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    memory[:] = np.frombuffer(array.tobytes(), np.uint8)
    result = memory.view(array.dtype).reshape(array.shape)
    assert not result.flags.aligned
    return result


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_odd_feeds(backend: str) -> None:
    x = gc.placeholder("x", ("n", 3))
    f = gc.function([x], x * 2 + x[0], backend=backend)
    array = np.arange(12, dtype="float32").reshape(4, 3)
    for name, change in ODD.items():
        feed = change(array)
        wanted = np.asarray(feed).astype("float32")
        np.testing.assert_array_equal(f(feed), wanted * 2 + wanted[0], err_msg=name)


def test_read_only_feeds() -> None:
    x, k = gc.placeholder("x", ("n",)), gc.placeholder("k", (), "int32")
    f = gc.function([x, k], x * k)
    array, scalar = floats(4), np.array(3, "int32")
    array.flags.writeable = scalar.flags.writeable = False
    np.testing.assert_array_equal(f(array, scalar), [3, 3, 3, 3])


@pytest.mark.parametrize("backend", BACKENDS)
def test_feeding_what_a_variable_handed_out(backend: str) -> None:
    v = gc.variable(np.arange(5, dtype="float32"), "v")
    x = gc.placeholder("x", (5,))
    f = gc.function([x], v + x, updates={v: x[::-1] * 2 + v[0]}, backend=backend)
    handed = v.value
    np.testing.assert_array_equal(f(handed), [0, 2, 4, 6, 8])
    np.testing.assert_array_equal(handed, np.arange(5))
    np.testing.assert_array_equal(v.value, [8, 6, 4, 2, 0])
    np.testing.assert_array_equal(f(v.value), [16, 12, 8, 4, 0])
    np.testing.assert_array_equal(v.value, [8, 12, 16, 20, 24])


def test_feeding_the_array_a_variable_was_made_of() -> None:
    array = np.arange(4, dtype="float32")
    v = gc.variable(array, "v")
    x = gc.placeholder("x", (4,))
    f = gc.function([x], updates={v: v[::-1] + x})
    f(array)
    np.testing.assert_array_equal(array, np.arange(4))
    np.testing.assert_array_equal(v.value, [3, 3, 3, 3])
    array[:] = 7
    np.testing.assert_array_equal(v.value, [3, 3, 3, 3])


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_inputs_in_one_buffer(backend: str) -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
    f = gc.function([x, y], [x + y[::-1], x - y], backend=backend)
    memory = np.arange(6, dtype="float32")
    total, difference = f(memory, memory)
    np.testing.assert_array_equal(total, [5] * 6)
    np.testing.assert_array_equal(difference, [0] * 6)
    total, difference = f(memory[:5], memory[1:])
    np.testing.assert_array_equal(total, [5] * 5)
    np.testing.assert_array_equal(difference, [-1] * 5)
    np.testing.assert_array_equal(memory, np.arange(6))
