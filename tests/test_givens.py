"""Givens: expressions in the place of others."""

from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("reference", "interpreter", "llvm")


def run(outputs: Any, givens: Any, **options: Any) -> Any:
    return gc.function([], outputs, givens=givens, backend="reference", **options)()


@pytest.mark.parametrize("backend", BACKENDS)
def test_minibatches_of_data_in_a_variable(backend: str) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3)).astype("float32")
    labels = rng.integers(0, 2, 20)
    data, targets = gc.variable(points, "data"), gc.variable(labels, "targets")
    x, y = gc.placeholder("x", ("n", 3)), gc.placeholder("y", ("n",), "int64")
    w = gc.variable(np.zeros(3, "float32"), "w")
    cost = gc.mean((x @ w - y) ** 2)
    rows = gc.placeholder("rows", ("b",), "int64")
    step = gc.function(
        [rows],
        cost,
        {w: w - 0.1 * gc.grad(cost, w)},
        {x: gc.take(data, rows, axis=0), y: gc.take(targets, rows)},
        backend=backend,
    )
    weights = np.zeros(3)
    for chosen in ([0, 1, 2], [5, 6], list(range(20))):
        a, b = points[chosen].astype("float64"), labels[chosen]
        np.testing.assert_allclose(step(chosen), np.mean((a @ weights - b) ** 2), rtol=1e-5)
        weights -= 0.1 * 2 / len(chosen) * a.T @ (a @ weights - b)
    np.testing.assert_allclose(w.value, weights, rtol=1e-5)


def test_an_array_for_a_placeholder() -> None:
    x = gc.placeholder("x", ("n", 3))
    array = np.arange(6, dtype="float32").reshape(2, 3)
    total, count, mean = run([gc.sum(x), x.shape[0], gc.mean(x, axis=0)], {x: array})
    assert total == 15 and count == 2
    np.testing.assert_array_equal(mean, [1.5, 2.5, 3.5])


def test_python_numbers_take_the_dtype() -> None:
    x, k = gc.placeholder("x", (), "float64"), gc.placeholder("k", (), "int8")
    found = run([x, k], {x: 0.1, k: 3})
    assert found == [0.1, 3] and found[0].dtype == np.float64 and found[1].dtype == np.int8


def test_an_intermediate_result() -> None:
    x = gc.placeholder("x", ("n",))
    hidden = gc.exp(x)
    y = hidden * 2 + gc.sum(hidden)
    z = gc.placeholder("z", ("n",))
    f = gc.function([z], y, givens={hidden: z + 1}, backend="reference")
    np.testing.assert_array_equal(f([0, 1]), [5, 7])
    assert "exp" not in f.graph_text("before")


def test_a_result_itself() -> None:
    x = gc.placeholder("x")
    y = x * 2
    assert run([y, y + 1], {y: 5.0}) == [5, 6]
    assert run(x, [(x, 7.0)]) == 7


def test_a_variable() -> None:
    v, w = gc.variable(2.0, "v"), gc.variable(5.0, "w")
    f = gc.function([], v * 10, {v: v + 1}, {v: w}, backend="reference")
    assert f() == 50
    assert v.value == 6 and w.value == 5


def test_one_after_the_other() -> None:
    x, y, z = (gc.placeholder(name) for name in "xyz")
    f = gc.function([z], x + y, givens={x: y * 2, y: z + 1}, backend="reference")
    assert f(3) == 12
    assert run(x, {x: y, y: z, z: 4.0}) == 4


def test_exchanging_two_variables() -> None:
    v, w = gc.variable(2.0, "v"), gc.variable(5.0, "w")
    x, y = gc.placeholder("x"), gc.placeholder("y")
    assert run(x - y, {x: w, y: v}) == 3
    with pytest.raises(gc.FunctionError, match="E209"):
        run(v - w, {v: w, w: v})


def test_updates_are_replaced_in() -> None:
    x, v = gc.placeholder("x", (2,)), gc.variable(np.ones(2, "float32"), "v")
    gc.function([], updates={v: v + x}, givens={x: [1.0, 2.0]}, backend="reference")()
    np.testing.assert_array_equal(v.value, [2, 3])


def test_gradients_are_taken_before() -> None:
    x = gc.placeholder("x")
    y = x**2
    assert run(gc.grad(y, x), {x: 3.0}) == 6
    assert run(gc.grad(y, x) + y, {y: gc.constant(1.0), x: 3.0}) == 7


def test_sizes_follow_from_the_replacement() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    n = x.shape[0]
    results = [n, gc.arange(n), gc.zeros((n, 2)), gc.reshape(x, (n, 1))]
    f = gc.function([y], results, givens={x: gc.concat([y, y])}, backend="reference")
    count, numbers, zeros, column = f([1, 2, 3])
    assert count == 6 and numbers.tolist() == list(range(6))
    assert zeros.shape == (6, 2) and column.tolist() == [[1], [2], [3], [1], [2], [3]]


def test_sizes_through_several_replacements() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    found = run(gc.arange(x.shape[0]), {x: y * 2, y: np.zeros(4, "float32")})
    assert found.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_size_that_an_input_gives_is_compared(backend: str) -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
    v = gc.variable(np.ones(3, "float32"), "v")
    f = gc.function([y], gc.sum(x) + gc.sum(y), givens={x: v}, backend=backend)
    assert f([1, 2, 3]) == 9
    with pytest.raises(gc.FeedError, match="givens for x: sizes differ: n = 2, 3"):
        f([1, 2])


def test_the_graph_itself_does_not_change() -> None:
    x = gc.placeholder("x", ("n",))
    y = gc.exp(x) * 2
    y.name = "y"
    before = gc.function([x], y, backend="reference", name="f").graph_text("before")
    replaced = gc.function([], y, givens={x: np.zeros(3, "float32")}, backend="reference")
    np.testing.assert_array_equal(replaced(), [2, 2, 2])
    assert gc.function([x], y, backend="reference", name="f").graph_text("before") == before
    assert "y" in replaced.graph_text("before")  # names are kept


def test_replacing_in_a_long_chain() -> None:
    y = x = gc.placeholder("x")
    for _ in range(20_000):
        y = y + 1
    assert run(y, {x: 1.0}, optimize=False) == 20_001


def test_substitute_replaces_once() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    f = gc.exp(x) * 2 + x
    values = np.array([1.0, 2.0], "float32")
    shifted = gc.substitute(f, {x: x + 1})  # its own replacement contains x
    np.testing.assert_allclose(
        gc.run(shifted, {x: values}), np.exp(values + 1) * 2 + values + 1, rtol=1e-5
    )
    moved = gc.substitute({"f": [f, x]}, {x: y[1:]})
    assert str(moved["f"][0].shape[0]) == str((y[1:]).shape[0])
    np.testing.assert_allclose(
        gc.run(moved["f"][0], {y: values}), np.exp(values[1:]) * 2 + 2, rtol=1e-5
    )
    swapped = gc.substitute(gc.sum(x) - x, [(x, gc.substitute(x * 3, {x: values}))])
    np.testing.assert_allclose(gc.run(swapped), [6, 3])
    with pytest.raises(gc.FunctionError) as caught:
        gc.substitute(f, {x: gc.ones((2, 2))})
    assert caught.value.code == "E209"


def test_substitute_takes_work_in_proportion_to_what_it_replaces() -> None:
    x = gc.placeholder("x", ("n",))
    y = x
    for _ in range(3000):
        y = gc.substitute(x + 1, {x: y})
    assert gc.run(y, {x: np.zeros(2, "float32")})[0] == 3000


def test_sizes_are_replaced_in_the_bodies_of_loops_too() -> None:
    x, y = gc.placeholder("x", ("a", "b")), gc.placeholder("y", ("k", "l"))
    _, rows = gc.scan(lambda c, row: (gc.tanh(c + row), c * row), x[0], x)
    results = [rows, gc.grad(gc.sum(rows), x)]
    values = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    expected = gc.run(results, {x: values * 2})
    for found in (
        gc.function([y], results, givens={x: y * 2}, check=True)(values),
        gc.function([y], gc.substitute(results, {x: y * 2}), check=True)(values),
        gc.run(gc.substitute(results, {x: values * 2})),
    ):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)
