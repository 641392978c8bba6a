"""run, Session and jit."""

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("reference", "interpreter", "llvm")
REFERENCE = "reference"


def floats(*values: float) -> np.ndarray:
    return np.array(values, "float32")


# --- run ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", (*BACKENDS, "numba_cpu"))
def test_run(backend: str) -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y")
    feed = {x: [1, 2], "y": 3}
    assert gc.run(gc.sum(x * y), feed, backend=backend) == 9
    found = gc.run({"a": x * y, "b": (x, [y])}, feed, backend=backend)
    np.testing.assert_array_equal(found["a"], [3, 6])
    assert found["b"][1] == [3] and isinstance(found["b"], tuple)


def test_run_without_feeds() -> None:
    v = gc.variable(2.0, "v")
    assert gc.run(v * 3, backend=REFERENCE) == 6
    assert gc.run([1.5, gc.constant(2)], backend=REFERENCE) == [1.5, 2]
    assert gc.run(None, backend=REFERENCE) is None


# --- Session -----------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions that were compiled."""
    names: list[str] = []
    original = gc.Function.__init__

    def count(self: Any, graph: gc.Graph, *args: Any, **options: Any) -> None:
        names.append(graph.name)
        original(self, graph, *args, **options)

    monkeypatch.setattr(gc.Function, "__init__", count)
    return names


def test_a_session_compiles_once(compiled: list[str]) -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y")
    total, product = gc.sum(x), x * y
    with gc.Session(REFERENCE) as session:
        for n in range(1, 6):
            assert session.run(total, {x: np.ones(n, "float32")}) == n
            assert session.run([product, total], {x: [2] * n, y: 3})[1] == 2 * n
            assert session.run([product, total], {"y": 3, "x": [2] * n})[1] == 2 * n
            session.run((product, total), {x: [2] * n, y: 3})
        assert len(compiled) == 4
        assert session.run(gc.sum(x), {x: [1]}) == 1  # another expression
        assert len(compiled) == 5
    assert session.run(total, {x: [1]}) == 1  # it was closed and has forgotten
    assert len(compiled) == 6


def test_one_feed_for_several_fetches() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
    prediction = x * 2
    cost = gc.mean((prediction - y) ** 2)
    session, feed = gc.Session(REFERENCE), {x: [1, 2], y: [2, 3]}
    assert session.run(cost, feed) == 0.5
    np.testing.assert_array_equal(session.run(prediction, feed), [2, 4])


def test_a_fed_placeholder_gives_its_size() -> None:
    x = gc.placeholder("x", ("n", 3))
    n = x.shape[0]
    found = gc.run(
        [gc.arange(n), n, gc.zeros((2, n))], {x: np.ones((4, 3), "f4")}, backend=REFERENCE
    )
    np.testing.assert_array_equal(found[0], [0, 1, 2, 3])
    assert found[1] == 4 and found[2].shape == (2, 4)
    with pytest.raises(gc.FunctionError, match="E204"):
        gc.run(gc.arange(n), backend=REFERENCE)


def test_variables_are_read_at_every_run() -> None:
    v, session = gc.variable(1.0, "v"), gc.Session(REFERENCE)
    assert session.run(v * 2) == 2
    v.value = 5
    assert session.run(v * 2) == 10


def test_a_session_trains(compiled: list[str]) -> None:
    x = gc.placeholder("x", (None, 2), "float64")
    w, steps = gc.variable(np.ones(2)), gc.variable(np.int64(0))
    cost = gc.mean((x @ w) ** 2)
    updates = {w: w - 0.1 * gc.grad(cost, w), steps: steps + 1}
    data, expected = np.array([[1.0, 2.0], [3.0, -1.0]]), np.ones(2)
    with gc.Session() as session:
        for _ in range(3):
            value = session.run(cost, {x: data}, updates=updates)
            assert value == pytest.approx(((data @ expected) ** 2).mean())  # of the old weights
            expected = expected - 0.1 * data.T @ (data @ expected)
        np.testing.assert_allclose(w.value, expected)
        assert session.run(steps) == 3
        assert len(compiled) == 2
        assert session.run(None, updates=[(steps, 7), (w, np.zeros(2))]) is None
        assert steps.value == 7
        assert not w.value.any()
        assert session.run([steps], updates={}) == [7]
        assert session.run([steps], {x: data}, updates={steps: x.shape[0] + steps}) == [7]
        assert steps.value == 9
        with pytest.raises(gc.FunctionError, match="is no variable"):
            session.run(cost, {x: data}, updates={x: x})  # type: ignore[dict-item]
        with pytest.raises(gc.FunctionError, match="a dict or a list of pairs"):
            session.run(cost, {x: data}, updates=[w])  # type: ignore[list-item]


def test_wider_feeds_are_cast_where_that_is_allowed() -> None:
    x = gc.placeholder("x", (2,))
    k = gc.placeholder("k", (), "int32")
    feed = {x: np.array([0.5, 1.5]), k: np.int64(3)}
    for run in (gc.run, gc.Session().run):
        with pytest.raises(gc.FeedTypeError, match="allow_downcast=True"):
            run(x * k, feed)
    for value in (
        gc.run(x * k, feed, allow_downcast=True),
        gc.Session(allow_downcast=True).run(x * k, feed),
    ):
        assert value.dtype == (x * k).dtype
        assert value.tolist() == [1.5, 4.5]


def test_unfit_feeds_of_a_session() -> None:
    x, y, v = gc.placeholder("x"), gc.placeholder("y"), gc.variable(1.0, "v")
    hidden = x * v
    cost = hidden + y
    session = gc.Session(REFERENCE)
    with pytest.raises(gc.FeedError, match=r"E201.*'y' was not fed"):
        session.run(cost, {x: 1})
    with pytest.raises(gc.FeedError, match="'z' was fed, but is no placeholder") as caught:
        session.run(cost, {"z": 1, x: 1, y: 1})
    assert "they need: x, y" in str(caught.value)
    with pytest.raises(gc.FeedError, match=r"set v.value = \.\.\."):
        session.run(cost, {v: 1, x: 1, y: 1})
    with pytest.raises(gc.FeedError, match="givens"):
        session.run(cost, {hidden: 1, y: 1})
    with pytest.raises(gc.FeedError, match="fed twice"):
        session.run(cost, {x: 1, "x": 1, y: 1})
    with pytest.raises(gc.FeedError, match="another placeholder of the name 'x'"):
        session.run(cost, {gc.placeholder("x"): 1, y: 1})
    with pytest.raises(gc.FeedError, match="E202"):
        session.run(cost, {3: 1, x: 1, y: 1})
    assert session.run(cost, {x: 1, y: 1}) == 2


def test_placeholders_of_one_name_are_refused() -> None:
    with pytest.raises(gc.FunctionError, match="two inputs are named 'x'"):
        gc.run(gc.placeholder("x") + gc.placeholder("x"), {"x": 1}, backend=REFERENCE)


# --- jit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", (*BACKENDS, "numba_cpu"))
def test_jit_compiles_once_for_all_sizes(backend: str) -> None:
    traced = []

    @gc.jit(backend=backend)
    def normalised(x: gc.Tensor) -> gc.Tensor:
        """Rows of mean 0."""
        traced.append(x.shape)
        return x - gc.mean(x, axis=1, keepdims=True)

    for n, m in ((2, 3), (5, 7), (0, 4), (3, 3)):
        array = np.arange(n * m, dtype="float32").reshape(n, m)
        found = normalised(array)
        assert found.dtype == np.float32
        wanted = array - array.mean(1, keepdims=True)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    assert len(traced) == 1 and len(normalised.functions) == 1
    assert normalised.__name__ == "normalised" and normalised.__doc__ == "Rows of mean 0."
    assert normalised.functions[0].name == "normalised"
    assert "compiled for 1 signatures" in repr(normalised)


def test_jit_compiles_per_dtype_rank_and_axis_of_one() -> None:
    @gc.jit(backend=REFERENCE)
    def add(x: gc.Tensor, y: gc.Tensor) -> gc.Tensor:
        return x + y

    a = np.ones((4, 3), "float32")
    np.testing.assert_array_equal(add(a, a[:1]), a + a[:1])
    np.testing.assert_array_equal(add(a[:2], a[:1]), a[:2] + 1)
    np.testing.assert_array_equal(add(a[:, :1], a[:1]), a[:, :1] + a[:1])
    assert len(add.functions) == 2
    assert add(a, a.astype("float64")).dtype == np.float64
    assert add(a.astype("int8"), a.astype("int64")).dtype == np.int64
    assert len(add.functions) == 4
    assert add(a, a[0]).shape == (4, 3)
    with pytest.raises(gc.FeedError, match="E107"):
        add(a, a[:2])


class Layer(namedtuple("Layer", "w b")):
    pass


def test_jit_of_structures() -> None:
    @gc.jit(backend=REFERENCE)
    def predict(layers: list[Layer], x: gc.Tensor, *, options: dict[str, Any]) -> Any:
        assert isinstance(layers[0], Layer)
        hidden = []
        for layer in layers:
            x = x @ layer.w + layer.b
            hidden.append(x)
        return {"out": x * options["scale"], "hidden": hidden, "layers": layers, "none": None}

    w, b = np.eye(2, dtype="float32") * 2, floats(1, 1)
    found = predict([Layer(w, b), Layer(w, b)], floats(1, 2), options={"scale": 10})
    np.testing.assert_array_equal(found["out"], [70, 110])
    np.testing.assert_array_equal(found["hidden"][0], [3, 5])
    assert isinstance(found["layers"][1], Layer) and found["none"] is None
    names = [t.name for t in predict.functions[0].inputs]
    assert names == ["layers_0_0", "layers_0_1", "layers_1_0", "layers_1_1", "x", "options_scale"]
    predict([Layer(w, b)], floats(1, 2), options={"scale": 10})
    assert len(predict.functions) == 2


def test_jit_by_name_and_with_defaults() -> None:
    @gc.jit(backend=REFERENCE)
    def scaled(x: gc.Tensor, rate: float = 0.5, *more: Any, **named: Any) -> Any:
        return [x * rate, *more, *named.values()]

    assert scaled(2.0) == [1]
    assert scaled(x=2.0) == [1]
    assert len(scaled.functions) == 1
    assert scaled(2.0, 3.0) == scaled(2.0, rate=3.0) == scaled(rate=3.0, x=2.0) == [6]
    assert len(scaled.functions) == 2
    assert scaled(2.0, 3.0, 4, y=5) == [6, 4, 5]
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        scaled(rate=1)
    with pytest.raises(TypeError):
        scaled()


def test_python_numbers_in_jit_take_the_dtype_of_the_arrays() -> None:
    @gc.jit(backend=REFERENCE)
    def times(x: gc.Tensor, y: gc.Tensor) -> gc.Tensor:
        return x * y

    assert times(np.ones(2), 0.1)[0] == 0.1  # not rounded to float32
    assert times(np.ones(2), 0.1).dtype == np.float64
    assert times(np.ones(2, "float32"), 0.1).dtype == np.float32
    assert times(np.ones(2, "float16"), 0.1).dtype == np.float16
    assert times(np.ones(2, "uint8"), 3).dtype == np.uint8
    assert times(np.ones(2, "uint8"), 300).dtype == np.int64
    assert times(np.ones(2, "int64"), 0.5).dtype == np.float32
    assert times(2.5, 2).dtype == np.float32 and times(2, 3).dtype == np.int64


def test_jit_knows_arguments_again() -> None:
    """Every call after the first of a kind finds its function without looking at names and dtypes;
    and what decides which function it is is never passed over."""

    def traced(x: Any, y: Any = 2, *, scale: Any = 1.0, more: Any = None) -> Any:
        others = [] if more is None else [more["a"][0], more["b"]]
        return sum([x * 100 * scale, y, *others])

    one, many = floats(1), floats(1, 2, 3)
    arguments: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((many,), {}),
        ((many, 3), {}),
        ((many, 3.5), {}),
        ((many, 1e6), {}),
        ((many, float("nan")), {}),
        ((many, True), {}),
        ((many, many), {}),
        ((many, one), {}),
        ((one, many), {}),
        ((many[::2], np.float64(0.1)), {}),
        ((many, np.float32(0.1)), {}),
        ((many.astype(np.float64), 0.1), {}),
        ((many.astype(">f4"), 0.1), {}),
        ((np.array([1], "int8"), 100), {}),
        ((np.array([1], "int8"), 200), {}),
        ((np.array([1], "uint8"), -1), {}),
        ((np.array([1], "int8"), -128), {}),
        ((np.array([1], "int8"), -129), {}),
        ((), {"y": 3, "x": many}),
        ((), {"x": 3, "y": many}),
        ((many,), {"scale": 2, "y": 3}),
        ((many,), {"y": 2, "scale": 3}),
        ((many,), {"more": {"a": [1, 2], "b": 3}, "y": 4}),
        ((many,), {"more": {"b": 1, "a": [2, 3]}, "y": 4}),
        ((many,), {"more": {"a": (1, 2), "b": [3]}, "y": 4}),
        ((4 + 2j, 1), {}),
    ]

    def result(function: Any, args: Any, named: Any) -> tuple[Any, ...]:
        found = function(*args, **named)
        return (found.dtype, found.shape, found.tobytes())

    expected = [result(gc.jit(traced, backend=REFERENCE), *both) for both in arguments]
    again = gc.jit(traced, backend=REFERENCE)
    for both, wanted in list(zip(arguments, expected, strict=True)) * 2:
        assert result(again, *both) == wanted, both
    plain = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, *range(18, 26)]
    again.parameters = None  # type: ignore[assignment]  # what it needs to look at names
    for number in plain:
        assert result(again, *arguments[number]) == expected[number]


def test_jit_knows_keys_of_another_kind_from_each_other() -> None:
    """1, 1.0 and True are equal as keys of a dict."""

    @gc.jit(backend=REFERENCE)
    def scaled(parts: dict[Any, Any]) -> Any:
        return [part * key for key, part in parts.items()]

    x = np.arange(3)
    for _ in range(3):
        for key in (1, 1.0, True):
            (found,) = scaled({key: x})
            assert found.dtype == (np.float32 if isinstance(key, float) else x.dtype)
    assert len(scaled.functions) == 3


def test_jit_with_static_arguments() -> None:
    seen: list[Any] = []

    @gc.jit(static_argnames="activation", static_argnums=(1,))
    def layers(x: Any, count: int, scale: Any = 2.0, *, activation: Any = gc.tanh) -> Any:
        """Layers."""
        seen.append((count, activation))
        for _ in range(count):
            x = activation(x * scale)
        return x

    x = np.linspace(-1, 1, 5)
    for _ in range(2):
        np.testing.assert_allclose(layers(x, 2), np.tanh(2 * np.tanh(2 * x)))
        np.testing.assert_allclose(layers(x, count=1, scale=3.0), np.tanh(3 * x))
        np.testing.assert_allclose(layers(x, 1, 3.0, activation=gc.sin), np.sin(3 * x))
    assert layers(x[:2], 2).shape == (2,)
    kinds = [(2, gc.tanh), (1, gc.tanh), (1, gc.sin)]
    assert seen == kinds
    assert len(layers.functions) == 3
    assert layers.__doc__ == "Layers."
    assert "for 3 values of ['count', 'activation']" in repr(layers)
    assert gc.run(layers(gc.constant(x), 1)).shape == (5,)  # inside another function


def test_static_values_are_told_apart_by_type() -> None:
    double = gc.jit(lambda x, by: x * 2 if by is True else x * by, static_argnums=-1)
    assert [double(3.0, by) for by in (1, True, 1.0, 2)] == [3, 6, 3, 6]
    assert len(double.functions) == 4


def test_a_method_whose_object_is_static() -> None:
    class Scale:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        @gc.jit(static_argnums=0)
        def __call__(self, x: Any) -> Any:
            return x * self.factor

    assert [Scale(2.0)(np.float64(4)), Scale(3.0)(np.float64(4))] == [8, 12]


def test_static_arguments_that_do_not_fit() -> None:
    def sized(x: Any, shape: Any) -> Any:
        return gc.broadcast_to(x, shape)

    assert gc.jit(sized, static_argnums=1)(1.0, (2, 3)).shape == (2, 3)
    with pytest.raises(gc.ArgumentError, match="static shape of type list without a hash"):
        gc.jit(sized, static_argnums=1)(1.0, [2, 3])
    for wrong in (2, -3):
        with pytest.raises(gc.ArgumentError, match=rf"no parameter {wrong} that can be static"):
            gc.jit(sized, static_argnums=wrong)
    with pytest.raises(gc.ArgumentError, match="no parameter 'sizes'"):
        gc.jit(sized, static_argnames=["sizes"])


def test_jit_inside_jit() -> None:
    @gc.jit(backend=REFERENCE)
    def square(x: gc.Tensor) -> gc.Tensor:
        return x * x

    @gc.jit(backend=REFERENCE)
    def norm(x: gc.Tensor) -> gc.Tensor:
        return gc.sqrt(gc.sum(square(x)))

    assert norm(floats(3, 4)) == 5
    assert square.functions == []
    x = gc.placeholder("x")
    assert isinstance(square(x), gc.Tensor)
    assert gc.run(gc.grad(square(x), x), {x: 3}, backend=REFERENCE) == 6


def test_jit_reads_variables() -> None:
    v = gc.variable(2.0, "v")
    scale = gc.jit(lambda x: x * v, backend=REFERENCE)
    assert scale(3.0) == 6
    v.value = 5
    assert scale(3.0) == 15 and len(scale.functions) == 1
    assert scale.functions[0].name == "jitted"


def test_jit_of_constants_and_unused_arguments() -> None:
    assert gc.jit(lambda x, y: (1.5, y), backend=REFERENCE)(1, 2) == (1.5, 2)
    assert gc.jit(lambda: gc.constant(3), backend=REFERENCE)() == 3


def test_jit_refuses_what_is_no_array() -> None:
    @gc.jit(backend=REFERENCE)
    def f(x: gc.Tensor, mode: Any = "fast") -> gc.Tensor:
        return x * (2 if mode == "fast" else 3)

    assert f(1) == 2
    with pytest.raises(gc.FeedTypeError, match="argument mode is no array of numbers: 'slow'") as e:
        f(1, "slow")
    assert "test_session.py" in str(e.value)
    with pytest.raises(gc.FeedTypeError, match="argument x"):
        f(np.array(["a"]))

    class Model:
        @gc.jit(backend=REFERENCE)
        def predict(self, x: gc.Tensor) -> gc.Tensor:
            return x

    with pytest.raises(gc.FeedTypeError, match="argument self"):
        Model().predict(1)


def test_errors_while_tracing_leave_nothing_behind() -> None:
    @gc.jit(backend=REFERENCE)
    def f(x: gc.Tensor) -> Any:
        return x if x > 0 else -x

    for _ in range(2):
        with pytest.raises(gc.SymbolicValueError, match="if x > 0"):
            f(1.0)
    assert f.functions == []


def test_names_of_traced_inputs_are_usable() -> None:
    @gc.jit(backend=REFERENCE)
    def f(tree: Any, tree_a: Any, _hidden: Any) -> Any:
        return tree["a"] + tree["an odd key!"] + tree[3] + tree_a + _hidden

    assert f({"a": 1, "an odd key!": 2, 3: 3}, 4, 5) == 15
    names = [str(t.name) for t in f.functions[0].inputs]
    assert names == ["tree_a", "tree_an_odd_key_", "tree_3", "tree_a_", "hidden"]
