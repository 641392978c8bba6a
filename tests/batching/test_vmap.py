"""vmap: axes, structures, nesting, loops, derivatives, errors."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FeedError, FunctionError, ShapeError
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order

rng = np.random.default_rng(0)


def ops_of(*tensors: Tensor) -> list[str]:
    return [node.op.name for node in topological_order(tensors)]


def optimised_ops(f: Any) -> list[str]:
    return [node.op.name for node in f.stages.graph.nodes]


# --- axes and structures -------------------------------------------------------------------------


def test_in_axes_and_out_axes_as_numpy_moves_them() -> None:
    a, b = rng.normal(size=(3, 5, 4)), rng.normal(size=(4, 2))

    def outer(x: Any, y: Any) -> Any:
        return gc.outer(x[0], y)

    found = gc.run(gc.vmap(outer, in_axes=(-1, 0), out_axes=1)(a, b))
    expected = np.stack([np.outer(a[0, :, n], b[n]) for n in range(4)], axis=1)
    np.testing.assert_allclose(found, expected)
    last = gc.run(gc.vmap(outer, in_axes=(2, 0), out_axes=-1)(a, b))
    np.testing.assert_allclose(last, np.moveaxis(expected, 1, -1))


def test_structures_of_arguments_and_results() -> None:
    w = {"kernel": rng.normal(size=(3, 4)), "bias": rng.normal(size=(6, 3))}
    x: list[Any] = [rng.normal(size=(6, 4)), None]

    def layer(w: Any, x: Any, scale: float) -> Any:
        assert scale == 2.0 and x[1] is None
        h = scale * (w["kernel"] @ x[0]) + w["bias"]
        return {"h": h, "parts": (h[0], [gc.constant(7.0)])}

    axes = ({"kernel": None, "bias": 0}, 0, None)
    out_axes = {"h": 1, "parts": (0, None)}
    f = gc.vmap(layer, in_axes=axes, out_axes=out_axes)(w, x, 2.0)
    found = gc.run(f)
    expected = 2 * x[0] @ w["kernel"].T + w["bias"]
    np.testing.assert_allclose(found["h"], expected.T)
    np.testing.assert_allclose(found["parts"][0], expected[:, 0])
    assert found["parts"][1][0].shape == ()


def test_arguments_by_name_are_mapped_along_axis_0() -> None:
    x, y = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    found = gc.run(gc.vmap(lambda x, *, y: gc.vecdot(x, y))(x, y=y))
    np.testing.assert_allclose(found, (x * y).sum(1))


def test_results_that_are_the_same_for_all() -> None:
    x = gc.placeholder("x", (5, 2))
    w = gc.placeholder("w", (3,))
    stretched, plain = gc.vmap(lambda v: (gc.exp(w), gc.exp(w)), out_axes=(0, None))(x)
    assert stretched.shape == (5, 3) and plain.shape == (3,)


def test_an_operator_outside_is_computed_once() -> None:
    x = gc.placeholder("x", (5, 2))
    w = gc.placeholder("w", (2, 2))
    result = gc.vmap(lambda v: v @ gc.exp(gc.tanh(w)))(x)
    (inner,) = [n for n in topological_order([result]) if n.op.name == "exp"]
    assert inner.types[0].shape == (2, 2)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_symbolic_numbers_of_examples(count: int) -> None:
    x = gc.placeholder("x", ("n", 3))
    y = gc.placeholder("y", ("m", 3))
    f = gc.function([x, y], gc.vmap(lambda a, b: gc.softmax(a) * gc.max(b))(x, y))
    a, b = (rng.normal(size=(count, 3)).astype("float32") for _ in range(2))
    expected = [gc.run(gc.softmax(one)) * two.max() for one, two in zip(a, b, strict=True)]
    np.testing.assert_allclose(f(a, b), np.reshape(expected, (count, 3)), rtol=1e-6)
    with pytest.raises(FeedError, match=r"broadcast_to: .*sizes differ"):
        f(a, np.zeros((count + 2, 3), "float32"))


def test_a_known_number_of_one_does_not_stretch() -> None:
    x = gc.placeholder("x", (1, 3))
    y = gc.placeholder("y", ("m", 3))
    f = gc.function([x, y], gc.vmap(lambda a, b: a + b)(x, y))
    assert f(np.ones((1, 3), "float32"), np.ones((1, 3), "float32")).shape == (1, 3)
    with pytest.raises(FeedError, match=r"broadcast_to: .*sizes differ"):
        f(np.ones((1, 3), "float32"), np.ones((2, 3), "float32"))


def test_nested() -> None:
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    distance = gc.vmap(
        lambda x: gc.vmap(lambda y: gc.sum(gc.square(x - y)))(gc.constant(b)),
    )(gc.constant(a))
    expected = np.square(a[:, None] - b).sum(-1)
    np.testing.assert_allclose(gc.run(distance), expected)
    both = gc.vmap(gc.vmap(gc.vecdot, in_axes=(None, 0)), in_axes=(0, None), out_axes=1)(a, b)
    np.testing.assert_allclose(gc.run(both), (a @ b.T).T)
    assert "scan" not in ops_of(distance, both)


def test_a_decorated_function_keeps_its_name_and_can_be_jitted() -> None:
    @gc.jit
    @gc.vmap
    def norm(x: Any) -> Any:
        """Length."""
        return gc.sqrt(gc.sum(x * x))

    assert norm.__name__ == "norm"
    np.testing.assert_allclose(norm(np.array([[3.0, 4.0], [0.0, 2.0]])), [5, 2])


# --- what is computed ----------------------------------------------------------------------------


def test_products_of_vectors_become_one_product_of_matrices() -> None:
    x = gc.placeholder("x", (8, 5))
    w = gc.placeholder("w", (5, 4))
    for build in (lambda v: v @ w, lambda v: w.mT @ v):
        result = gc.vmap(build)(x)
        (product,) = [n for n in topological_order([result]) if n.op.name == "matmul"]
        assert [t.ndim for t in product.inputs] == [2, 2]


def test_loops_are_batched_not_nested() -> None:
    """A carry that a step makes depend on the example; one that stays the same for all."""
    x = rng.normal(size=(4, 6, 2))

    def run(row: Any, start: Any) -> Any:
        def step(carry: Any, e: Any) -> Any:
            total, count = carry
            return (total * 0.5 + e, count + 1), (total, count)

        return gc.scan(step, (start, gc.constant(0.0, "float64")), row)

    start = np.zeros(2)
    made = gc.vmap(run, in_axes=(0, None))(gc.constant(x), gc.constant(start))
    loops = [n for n in topological_order([made[0][0]]) if n.op.name == "scan"]
    assert len(loops) == 1 and loops[0].types[1].shape == ()
    (total, count), (totals, counts) = gc.run(made)
    for n in range(4):
        (t, c), (ts, cs) = gc.run(run(gc.constant(x[n]), gc.constant(start)))
        np.testing.assert_allclose(total[n], t)
        np.testing.assert_allclose(totals[n], ts)
        assert count[n] == c
        np.testing.assert_array_equal(counts[n], cs)


def test_what_has_no_batched_form_is_a_loop() -> None:
    rows = np.sort(rng.normal(size=(4, 7)), axis=1)
    values = rng.normal(size=(4, 3))
    found = gc.vmap(gc.searchsorted)(gc.constant(rows), gc.constant(values))
    assert "scan" in ops_of(found)
    expected = [np.searchsorted(r, v) for r, v in zip(rows, values, strict=True)]
    np.testing.assert_array_equal(gc.run(found), expected)


def test_random_numbers_by_keys() -> None:
    keys = gc.random.split(gc.random.key(0), 3)
    found = gc.run(gc.vmap(lambda key: gc.random.integers(key, (5,), 0, 1000))(keys))
    for n in range(3):
        own = gc.random.integers(keys[n], (5,), 0, 1000)
        np.testing.assert_array_equal(found[n], gc.run(own))


def test_setting_entries_at_indices_of_each_example() -> None:
    x = np.zeros((3, 4))
    i = np.array([[0, 1], [2, -1], [3, 3]])
    found = gc.run(gc.vmap(lambda x, i: x.at[i].add(1.0))(gc.constant(x), gc.constant(i)))
    expected = np.zeros((3, 4))
    np.add.at(expected, (np.arange(3)[:, None], i), 1)
    np.testing.assert_array_equal(found, expected)


def test_bad_indices_of_one_example_raise() -> None:
    i = gc.placeholder("i", (3,), "int64")
    x = gc.placeholder("x", (3, 4))
    f = gc.function([x, i], gc.vmap(lambda x, i: gc.take(x, i, axis=0))(x, i))
    with pytest.raises(gc.IndexOutOfRange):
        f(np.zeros((3, 4), "float32"), np.array([0, 4, 1]))


def test_a_long_chain() -> None:
    x = gc.placeholder("x", (3,))

    def chain(v: Any) -> Any:
        for _ in range(10_000):
            v = gc.sin(v) + 1
        return v

    assert gc.vmap(chain)(x).shape == (3,)


# --- derivatives ---------------------------------------------------------------------------------


def network() -> tuple[list[gc.Variable], Any]:
    w = [
        gc.variable(rng.normal(size=shape).astype("float32"), name=name)
        for name, shape in (("w1", (6, 16)), ("b1", (16,)), ("w2", (16, 3)), ("b2", (3,)))
    ]

    def loss(x: Any, label: Any) -> Any:
        h = gc.tanh(x @ w[0] + w[1])
        return gc.nn.sparse_softmax_cross_entropy(h @ w[2] + w[3], label)

    return w, loss


def test_gradients_of_each_example_are_products_not_loops() -> None:
    w, loss = network()
    x, y = gc.placeholder("x", ("n", 6)), gc.placeholder("y", ("n",), "int64")
    each = gc.vmap(lambda a, b: gc.grad(loss(a, b), w))(x, y)
    f = gc.function([x, y], each)
    ops = optimised_ops(f)
    assert "scan" not in ops and ops.count("matmul") == 3
    a = rng.normal(size=(7, 6)).astype("float32")
    b = rng.integers(0, 3, size=7)
    found = f(a, b)
    one, label = gc.placeholder("one", (6,)), gc.placeholder("label", (), "int64")
    g = gc.function([one, label], gc.grad(loss(one, label), w))
    for n in range(7):
        for all_, expected in zip(found, g(a[n], b[n]), strict=True):
            np.testing.assert_allclose(all_[n], expected, rtol=2e-5, atol=1e-6)


def test_gradient_of_a_mean_over_examples() -> None:
    w, loss = network()
    x, y = gc.placeholder("x", (7, 6)), gc.placeholder("y", (7,), "int64")
    outside = gc.grad(gc.mean(gc.vmap(loss)(x, y)), w)
    inside = [gc.mean(g, axis=0) for g in gc.vmap(lambda a, b: gc.grad(loss(a, b), w))(x, y)]
    feed = {"x": rng.normal(size=(7, 6)).astype("float32"), "y": rng.integers(0, 3, size=7)}
    found = gc.function([x, y], [*outside, *inside])(**feed)
    for one, other in zip(found[:4], found[4:], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def test_custom_gradients_stay() -> None:
    @gc.custom_gradient
    def clipped(x: Any, scale: Any) -> Any:
        e = gc.exp(x * scale)
        return e, lambda dy: (gc.clip(dy * e, -1, 1), None)

    x = gc.placeholder("x", (4, 3), "float64")
    scale = gc.placeholder("scale", (), "float64")
    batched = gc.vmap(lambda v: gc.sum(clipped(v, scale)))(x)
    outside = gc.grad(gc.sum(batched), x)
    inside = gc.vmap(lambda v: gc.grad(gc.sum(clipped(v, scale)), v))(x)
    feed = rng.normal(size=(4, 3))
    value, one, other = gc.function([x, scale], [batched, outside, inside])(feed, np.float64(2.0))
    np.testing.assert_allclose(value, np.exp(2 * feed).sum(1))
    np.testing.assert_allclose(one, np.minimum(np.exp(2 * feed), 1))
    np.testing.assert_allclose(other, one)


def test_stopped_gradients_stay_stopped() -> None:
    x = gc.placeholder("x", (4,), "float64")
    found = gc.grad(gc.sum(gc.vmap(lambda v: gc.stop_gradient(v) * v)(x)), x)
    np.testing.assert_array_equal(gc.run(found, {x: np.arange(4.0)}), np.arange(4.0))


def test_hessians_of_each_example() -> None:
    a = rng.normal(size=(5, 3))
    found = gc.run(
        gc.vmap(lambda v: gc.hessian(gc.sum(v * v * v), v))(gc.constant(a)),
    )
    np.testing.assert_allclose(found, [np.diag(6 * row) for row in a])


# --- errors --------------------------------------------------------------------------------------


def test_numbers_of_examples_differ() -> None:
    x, y = gc.zeros((3, 4)), gc.zeros((2, 5))
    with pytest.raises(ShapeError) as caught:
        gc.vmap(lambda a, pair: a, in_axes=(0, (1, None)))(x, (y, 1))
    text = str(caught.value)
    assert "E130" in text and "3 and 5" in text and "test_vmap.py" in text
    assert "a: float32[3, 4], 3 along axis 0" in text
    assert "pair[0]: float32[2, 5], 5 along axis 1" in text


@pytest.mark.parametrize(
    ("in_axes", "out_axes", "words"),
    [
        (None, 0, "no argument is mapped"),
        ((0,), 0, "2 arguments"),
        ((0, "x"), 0, "in_axes"),
        ((0, True), 0, "in_axes"),
        (0, None, "depends on the example"),
        (0, (0, 0), "out_axes"),
    ],
)
def test_axes_that_do_not_fit(in_axes: Any, out_axes: Any, words: str) -> None:
    x = gc.zeros((3, 4))
    with pytest.raises(FunctionError, match=words) as caught:
        gc.vmap(lambda a, b: a + b, in_axes, out_axes)(x, x)
    assert caught.value.code == "E131" and caught.value.source is not None


def test_an_axis_that_does_not_exist() -> None:
    with pytest.raises(ShapeError, match="argument a"):
        gc.vmap(lambda a: a, in_axes=2)(gc.zeros((3, 4)))
    with pytest.raises(ShapeError, match="out_axes"):
        gc.vmap(lambda a: a, out_axes=2)(gc.zeros((3, 4)))


def test_errors_at_run_time_name_the_line_inside_the_function() -> None:
    x = gc.placeholder("x", (3, 4))
    y = gc.placeholder("y", ("m",))
    f = gc.function([x, y], gc.vmap(lambda v: v + y)(x))
    with pytest.raises(FeedError, match=r"lambda v: v \+ y"):
        f(np.zeros((3, 4), "float32"), np.zeros(5, "float32"))
