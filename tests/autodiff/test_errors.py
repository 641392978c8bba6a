"""Every error of differentiation names the user's line and says what to do."""

from typing import Any

import pytest

import graphc as gc


def message(call: Any, kind: type[Exception] = gc.GradientError) -> str:
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert "test_errors.py:" in text, text
    return text


def test_a_cost_that_is_not_a_scalar() -> None:
    x = gc.placeholder("x", (3,))
    h = gc.tanh(x)
    text = message(lambda: gc.grad(h, x))
    assert "[E301] grad needs a scalar cost, got float32[3]" in text
    assert "h = gc.tanh(x)" in text
    assert "gc.grad(h, x)" in text
    assert "fix" in text


def test_neither_cost_nor_known_gradients() -> None:
    x = gc.placeholder("x")
    assert "[E301]" in message(lambda: gc.grad(None, x))


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_values_without_derivatives(dtype: str) -> None:
    x = gc.placeholder("x")
    n = gc.placeholder("n", dtype=dtype)
    assert f"[E306] wrt: {dtype} values" in message(lambda: gc.grad(x * 2, [x, n]))
    assert f"[E306] the cost: {dtype} values" in message(lambda: gc.grad(n, x))


def test_wrt_that_is_not_a_tensor() -> None:
    x = gc.placeholder("x")
    assert "[E306] wrt must be tensors, got float" in message(lambda: gc.grad(x * 2, [x, 1.0]))


def test_argmax_blocks_the_way() -> None:
    x = gc.placeholder("x", (5,))
    best = gc.argmax(x)
    cost = best.astype("float32") * 2.0
    text = message(lambda: gc.grad(cost, x), gc.DisconnectedError)
    assert "[E302]" in text
    assert "blocked by argmax" in text
    assert "best = gc.argmax(x)" in text


def test_all_blocking_ops_are_listed() -> None:
    x = gc.placeholder("x")
    first = x > 0
    second = x.astype("int32")
    third = gc.stop_gradient(x)
    cost = first.astype("float32") + second.astype("float32") + third
    text = message(lambda: gc.grad(cost, x), gc.DisconnectedError)
    assert "blocked by greater" in text and "first = x > 0" in text
    assert "blocked by astype" in text and "second = x.astype" in text
    assert "blocked by stop_gradient" in text and "third = gc.stop" in text


def test_loops_block_no_way_that_is_not_there() -> None:
    x, w, v = gc.placeholder("x", ("t",)), gc.variable(1.0, "w"), gc.variable(1.0, "v")
    total, weighted = gc.scan(lambda c, e: (c + e, e * w), 0.0, x)
    text = message(lambda: gc.grad(total, w), gc.DisconnectedError)
    assert "[E303] scan" in text and "does not depend on w" in text
    assert "w goes into scan, but not into this result of it" in text
    text = message(lambda: gc.grad(total + gc.sum(weighted), v), gc.DisconnectedError)
    assert "[E303]" in text and "ends at x, w" in text and "goes into" not in text
    inside, _ = gc.scan(lambda c, e: (c + gc.argmax(x * w).astype("float32"), None), 0.0, x)
    text = message(lambda: gc.grad(inside, w), gc.DisconnectedError)
    assert "[E302]" in text and "blocked by argmax" in text


def test_no_path_at_all() -> None:
    x, y, z = (gc.placeholder(name) for name in "xyz")
    cost = y * z
    text = message(lambda: gc.grad(cost, x), gc.DisconnectedError)
    assert "[E303]" in text
    assert "does not depend on x" in text
    assert "ends at y, z" in text
    assert "cost = y * z" in text


def test_differentiating_by_a_new_expression() -> None:
    x = gc.placeholder("x")
    cost = gc.exp(2 * x)
    text = message(lambda: gc.grad(cost, 2 * x), gc.DisconnectedError)
    assert "differentiate by the tensor that went into the cost" in text


def test_one_of_several_is_disconnected() -> None:
    x, y = gc.placeholder("x"), gc.placeholder("y")
    assert "does not depend on y" in message(lambda: gc.grad(x * x, [x, y]), gc.DisconnectedError)


def test_zero_and_none(run: Any) -> None:
    x, y = gc.placeholder("x"), gc.placeholder("y", (2,), "float64")
    dx, dy = gc.grad(x * x, [x, y], disconnected="zero")
    assert str(dy.type) == "float64[2]"
    assert run(dy, {}).tolist() == [0, 0]
    assert gc.grad(x * x, [x, y], disconnected="none")[1] is None
    assert dx is not None


def test_an_unknown_way_to_treat_disconnected_tensors() -> None:
    x = gc.placeholder("x")
    assert "'raise', 'zero' or 'none'" in message(
        lambda: gc.grad(x * x, x, disconnected="ignore")  # type: ignore[arg-type]
    )


def test_jvp_of_a_disconnected_output() -> None:
    x, y = gc.placeholder("x"), gc.placeholder("y")
    assert "[E303]" in message(lambda: gc.jvp(y * y, x, 1.0), gc.DisconnectedError)
    blocked = (x > 0).astype("float32")
    assert "[E302]" in message(lambda: gc.jvp(blocked, [y, x], [1.0, 1.0]), gc.DisconnectedError)


def test_blocking_ops_inside_loops_and_branches_are_named() -> None:
    x = gc.placeholder("x", (4,))
    inside = gc.checkpoint(lambda a: gc.floor(gc.stop_gradient(a)))(x)
    chosen = gc.cond(gc.sum(x) > 0, lambda a: gc.where(a > 0, 1.0, 0.0), gc.stop_gradient, x)
    for cost, name in ((gc.sum(inside), "stop_gradient"), (gc.sum(chosen), "greater")):
        with pytest.raises(gc.DisconnectedError, match=f"blocked by {name}") as caught:
            gc.grad(cost, x)
        assert "blocked by cond" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda: gc.constant(0.7), lambda: gc.ones((2,))])
def test_constants_inside_of_loops_are_no_targets(make: Any) -> None:
    """They are part of the body, and what comes from there would be missing: it once was."""
    p = make()
    one = gc.ones_like(p)
    results = [
        gc.while_loop(lambda c: gc.sum(c) < 5, lambda c: c * p + p, p),
        p * gc.scan(lambda c, _: (c * p, None), one, length=3)[0],
        gc.cond(gc.sum(one) > 0, lambda: gc.fori_loop(0, 2, lambda _, c: c * p, one), lambda: one),
    ]
    for y in results:
        for disconnected in ("raise", "zero"):
            with pytest.raises(gc.DisconnectedError, match="is a constant inside of") as error:
                gc.grad(gc.sum(y), p, disconnected=disconnected)
            assert "make it a variable" in str(error.value)
        with pytest.raises(gc.DisconnectedError, match="is a constant inside of"):
            gc.jvp(y, p, one)
    w = gc.variable(0.7)
    loop = gc.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * w + w), (0, w))[1]
    assert abs(float(gc.run(gc.grad(loop, w))) - 5.242) < 1e-5
