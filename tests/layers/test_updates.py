"""Update rules: worked numbers, PyTorch's numbers, formulas in numpy; clipping, averages."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.layers import updates

TRUTH = json.loads((Path(__file__).parent / "truth_optimizers.json").read_text(encoding="utf-8"))
START = [np.array(w) for w in TRUTH["start"]]
GRADIENTS = [[np.array(g) for g in step] for step in TRUTH["gradients"]]
ALL = [
    "sgd",
    "momentum",
    "nesterov_momentum",
    "adagrad",
    "rmsprop",
    "adadelta",
    "adam",
    "amsgrad",
    "adamw",
    "adamax",
    "nadam",
    "lion",
    "lamb",
    "radam",
    "adabelief",
    "yogi",
    "adan",
    "lars",
    "novograd",
    "adafactor",
    "sm3",
    "sign_sgd",
    "rprop",
]


def path_of(rule: str, learning_rate: Any, **options: Any) -> list[list[np.ndarray]]:
    params = [gc.variable(w, f"w{i}") for i, w in enumerate(START)]
    fed = [gc.placeholder(f"g{i}", w.shape, "float64") for i, w in enumerate(START)]
    train = gc.function(fed, updates=getattr(updates, rule)(fed, params, learning_rate, **options))
    result = []
    for step in GRADIENTS:
        train(*step)
        result.append([w.value for w in params])
    return result


def equal(one: Any, other: Any, rtol: float = 1e-9) -> bool:
    pairs = [pair for x, y in zip(one, other, strict=True) for pair in zip(x, y, strict=True)]
    return all(np.allclose(a, b, rtol=rtol, atol=1e-11) for a, b in pairs)


@pytest.mark.parametrize("rule", TRUTH["rules"])
def test_weights_are_those_of_pytorch(rule: str) -> None:
    case = TRUTH["rules"][rule]
    # PyTorch keeps one scalar of NAdam, the product of the mu, in float32.
    rtol = 1e-6 if rule == "nadam" else 1e-9
    assert equal(path_of(rule, 0.1, **case["options"]), case["path"], rtol)


def test_momentum_worked_by_hand() -> None:
    w = gc.variable(np.float64(1.0), "w")
    train = gc.function([], updates=updates.momentum(w * w / 2, [w], 0.1, 0.9))
    path = [(train(), float(w.value))[1] for _ in range(3)]
    assert np.allclose(path, [0.9, 0.72, 0.486], rtol=0, atol=1e-15)


def test_nesterov_worked_by_hand() -> None:
    """v = -0.1, w = 1 - 0.09 - 0.1;  v = -0.09 - 0.081, w = 0.81 - 0.1539 - 0.081."""
    w = gc.variable(np.float64(1.0), "w")
    train = gc.function([], updates=updates.nesterov_momentum(w * w / 2, [w], 0.1, 0.9))
    path = [(train(), float(w.value))[1] for _ in range(2)]
    assert np.allclose(path, [0.81, 0.5751], rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("rule", "options", "expected"),
    [
        ("radam", {}, 3 - 0.5 * 2),  # after one step, the spread is not known
        ("adabelief", {"epsilon": 0.0}, 3 - 0.5 * 2 / 1.8),
        ("yogi", {"initial_accumulator_value": 0.0, "epsilon": 0.5}, 3 - 0.5 * 2 / 2.5),
        ("adan", {"epsilon": 0.5}, 3 - 0.5 * 2 / 2.5),
        ("lars", {"trust_coefficient": 0.1, "weight_decay": 0.5}, 3 - 0.5 * 0.3 / 3.5 * 3.5),
        ("novograd", {"epsilon": 0.5, "weight_decay": 0.1}, 3 - 0.5 * (2 / 2.5 + 0.3)),
        ("adafactor", {}, 3 - 0.5 * 3),
        ("sm3", {"momentum": 0.5}, 3 - 0.5 * 0.5),
        ("sign_sgd", {"momentum": 0.5}, 3 - 0.5),
        ("rprop", {}, 3 - 0.5),
        # The gradient is 2, the weight 3, the rate 0.5.
        ("sgd", {}, 3 - 0.5 * 2),
        ("adagrad", {"epsilon": 0.0}, 3 - 0.5),
        ("rmsprop", {"rho": 0.75, "epsilon": 0.0}, 3 - 0.5 * 2 / np.sqrt(0.25 * 4)),
        ("adadelta", {"rho": 0.75, "epsilon": 0.5}, 3 - 0.5 * 2 * np.sqrt(0.5) / np.sqrt(1.5)),
        ("adam", {"epsilon": 0.5}, 3 - 0.5 * 2 / 2.5),
        ("amsgrad", {"epsilon": 0.5}, 3 - 0.5 * 2 / 2.5),
        ("adamw", {"epsilon": 0.5, "weight_decay": 0.1}, 3 - 0.5 * 2 / 2.5 - 0.5 * 0.1 * 3),
        ("adamax", {"epsilon": 0.0}, 3 - 0.5),
        ("lion", {"weight_decay": 0.1}, 3 - 0.5 * (1 + 0.3)),
        ("lamb", {"epsilon": 0.0}, 3 - 0.5 * 3 * 1),
        ("lamb", {"epsilon": 0.0, "weight_decay": 0.1}, 3 - 0.5 * 3),
    ],
)
def test_first_step_worked_by_hand(rule: str, options: dict[str, Any], expected: float) -> None:
    w = gc.variable(np.array([3.0]), "w")
    gc.function([], updates=getattr(updates, rule)(2 * gc.sum(w), [w], 0.5, **options))()
    assert np.allclose(w.value, expected, rtol=1e-14, atol=0)


def test_lion_and_lamb_in_numpy() -> None:
    lion, lamb = [w.copy() for w in START], [w.copy() for w in START]
    m1, m2, v2 = ([np.zeros_like(w) for w in START] for _ in range(3))
    lions, lambs = [], []
    for t, step in enumerate(GRADIENTS, 1):
        for i, g in enumerate(step):
            lion[i] = lion[i] - 0.1 * (np.sign(0.9 * m1[i] + 0.1 * g) + 0.2 * lion[i])
            m1[i] = 0.99 * m1[i] + 0.01 * g
            m2[i], v2[i] = 0.9 * m2[i] + 0.1 * g, 0.999 * v2[i] + 0.001 * g**2
            r = m2[i] / (1 - 0.9**t) / (np.sqrt(v2[i] / (1 - 0.999**t)) + 1e-6) + 0.2 * lamb[i]
            lamb[i] = lamb[i] - 0.1 * np.linalg.norm(lamb[i]) / np.linalg.norm(r) * r
        lions.append(list(lion))
        lambs.append(list(lamb))
    assert equal(path_of("lion", 0.1, weight_decay=0.2), lions)
    assert equal(path_of("lamb", 0.1, weight_decay=0.2), lambs)


@pytest.mark.parametrize("rule", ALL)
def test_every_rule_finds_the_minimum_and_keeps_the_dtype(rule: str) -> None:
    w = gc.variable(np.array([1.0, -2.0], "float32"), "w")
    rate = {"adadelta": 20.0, "adagrad": 0.5, "sm3": 0.5, "lars": 2.0}.get(rule, 0.05)
    loss = gc.sum(gc.square(w - 0.5))
    result = getattr(updates, rule)(loss, w, gc.constant(np.float64(rate)))
    assert all(new.dtype == old.dtype and new.shape == old.shape for old, new in result.items())
    gc.function([], updates=result).repeat(300)
    assert np.abs(w.value - 0.5).max() < 0.06


def test_gradients_of_zero_move_nothing() -> None:
    for rule in ALL:
        w = gc.variable(np.ones((2, 2)), "w")
        options = {"weight_decay": 0.0} if rule == "adamw" else {}
        gc.function([], updates=getattr(updates, rule)([gc.zeros((2, 2))], [w], 0.1, **options))()
        assert np.array_equal(w.value, np.ones((2, 2))), rule


def test_clipping() -> None:
    grads = [gc.constant(np.array([3.0, -4.0])), gc.constant(np.array([[0.1]])), gc.zeros((2,))]
    value = gc.run(updates.clip_by_value(grads, 2.0))
    assert value[0].tolist() == [2, -2] and value[1].tolist() == [[0.1]]
    norm = gc.run(updates.clip_by_norm(grads, 1.0))
    assert np.allclose(norm[0], [0.6, -0.8]) and norm[1] == 0.1 and not norm[2].any()
    together = gc.run([updates.global_norm(grads), *updates.clip_by_global_norm(grads, 1.0)])
    assert np.allclose(together[0], np.sqrt(25.01))
    assert np.allclose(together[1], np.array([3, -4]) / np.sqrt(25.01))
    assert np.allclose(together[2], 0.1 / np.sqrt(25.01))
    assert gc.run(updates.clip_by_global_norm(grads, 10.0))[0].tolist() == [3, -4]
    assert updates.clip_by_global_norm([], 1.0) == []
    with pytest.raises(gc.ParameterError, match="limit=0"):
        updates.clip_by_norm(grads, 0)


def test_accumulated_batches_are_one_large_batch() -> None:
    x = gc.placeholder("x", ("n", 2), "float64")
    data = np.random.default_rng(0).normal(size=(6, 2))
    w, large = gc.variable(np.ones(2), "w"), gc.variable(np.ones(2), "large")

    def loss(weight: gc.Tensor) -> gc.Tensor:
        return gc.mean(gc.square(x @ weight - 1))

    small_steps = gc.function([x], updates=updates.accumulated(updates.adam, loss(w), [w], 3))
    one_step = gc.function([x], updates=updates.adam(loss(large), [large]))
    for _ in range(4):
        for part in range(3):
            before = w.value
            small_steps(data[2 * part : 2 * part + 2])
            assert (part == 2) != np.array_equal(w.value, before)
        one_step(data)
        assert np.allclose(w.value, large.value, rtol=1e-12)


def test_averages() -> None:
    w = gc.variable(np.float64(0.0), "w")
    x = gc.placeholder("x", (), "float64")
    moving, mean = updates.ExponentialMovingAverage(0.75), updates.PolyakAverage(start=1)
    steps = mean.extend(moving.extend({w: x}, [w]), [w])
    train = gc.function([x], updates=steps)
    for value in (4.0, 8.0, 2.0):
        train(value)
    assert moving.averages[w].value == 0.75 * (0.75 * 4 + 0.25 * 8) + 0.25 * 2
    assert mean.averages[w].value == 5.0
    mean.swap()
    assert w.value == 5.0 and mean.averages[w].value == 2.0
    mean.swap()
    assert w.value == 2.0 and mean.averages[w].value == 5.0


def test_momentum_of_any_updates() -> None:
    w = gc.variable(np.float64(1.0), "w")
    twice = gc.function([], updates=updates.apply_momentum(updates.sgd(w * w / 2, [w], 0.1)))
    twice()
    twice()
    assert w.value == pytest.approx(0.72)


def test_weights_and_gradients_in_layers() -> None:
    W, b = gc.variable(np.ones((2, 3)), name="W"), gc.variable(np.zeros(3), name="b")
    loss = gc.sum((gc.constant(np.ones((4, 2))) @ W + b) ** 2)
    flat = gc.run(list(updates.sgd(loss, [W, b], 0.1).values()))
    for params in ([(W, b)], {"dense": {"W": W, "b": b}}, [[W], None, (b,)], {W, b}):
        grads = gc.grad(loss, params) if isinstance(params, dict | list) else loss
        for given in (loss, grads):
            moved = updates.sgd(given, params, 0.1)
            assert set(moved) == {W, b}
            for one, expected in zip((W, b), flat, strict=True):
                np.testing.assert_array_equal(gc.run(moved[one]), expected)


def test_clipping_keeps_the_structure() -> None:
    grads = [(gc.constant([3.0, 0.0]), gc.constant([4.0])), {"w": None}]
    for clip, expected in (
        (updates.clip_by_global_norm, [[0.6, 0.0], [0.8]]),
        (updates.clip_by_norm, [[1.0, 0.0], [1.0]]),
        (updates.clip_by_value, [[1.0, 0.0], [1.0]]),
    ):
        (first, second), rest = clip(grads, 1.0)
        assert rest == {"w": None}
        np.testing.assert_allclose(gc.run(first), expected[0], rtol=1e-6)
        np.testing.assert_allclose(gc.run(second), expected[1], rtol=1e-6)
    assert updates.clip_by_global_norm([], 1.0) == []


def test_one_state_for_two_functions() -> None:
    w, state = gc.variable(np.float64(1.0), "w"), updates.State()
    one = gc.function([], updates=updates.momentum(w * w / 2, [w], 0.1, state=state))
    other = gc.function([], updates=updates.momentum(w * w / 2, [w], 0.1, state=state))
    one()
    other()
    assert w.value == pytest.approx(0.72) and len(state.variables) == 1


def test_errors() -> None:
    w, x = gc.variable(np.ones(2), "w"), gc.placeholder("x", (2,))
    with pytest.raises(gc.ShapeError, match="a loss is a scalar"):
        updates.sgd(w * 2, [w], 0.1)
    with pytest.raises(gc.FunctionError, match="cannot be trained"):
        updates.sgd(gc.sum(x), [x], 0.1)
    with pytest.raises(gc.FunctionError, match="cannot be trained"):
        updates.sgd(gc.sum(x), [gc.variable(1)], 0.1)
    with pytest.raises(gc.ParameterError, match="1 gradients for 2"):
        updates.sgd([w], [w, w], 0.1)
    with pytest.raises(gc.ParameterError, match="learning_rate=-1"):
        updates.adam(gc.sum(w), [w], -1)
    with pytest.raises(gc.ParameterError, match=r"beta1=1\.0"):
        updates.adam(gc.sum(w), [w], beta1=1.0)
    with pytest.raises(gc.ParameterError, match="steps=0"):
        updates.accumulated(updates.sgd, gc.sum(w), [w], 0)
    with pytest.raises(gc.DisconnectedError):
        updates.sgd(gc.sum(gc.square(x)), [w], 0.1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_small_steps_and_means(dtype: str) -> None:
    """Steps too small for the weight gather in the velocity, and means move by less than an ulp."""
    w = gc.variable(1.0, "w", dtype=dtype)
    state, average = updates.State(), updates.ExponentialMovingAverage(0.999)
    steps = updates.momentum([gc.constant(1.0, dtype)], [w], 2e-4, 0.99, state=state)
    gc.function([], updates=average.extend(steps, [w])).repeat(40)
    (velocity,) = state.variables
    assert np.isclose(velocity.value, -2e-4 * (1 - 0.99**40) / 0.01, rtol=1e-3)
    assert w.value < 0.95
    mean = average.averages[w]
    assert mean.dtype == gc.float32 and 0.99 < mean.value < 1
    last = w.value
    average.swap()
    assert 0.99 < w.value <= 1
    average.swap()
    assert w.value == last
