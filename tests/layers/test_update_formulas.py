"""Update rules beside plain transcriptions of the published algorithms in numpy."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.layers import updates

SHAPES: list[tuple[int, ...]] = [(3, 4), (5,), (), (2, 3, 2)]
STEPS = 12
RATE = 0.05

Path = Iterator[np.ndarray]
Formula = Callable[..., Path]


def data(shape: tuple[int, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng([len(shape), *shape])
    return rng.normal(size=shape), [rng.normal(size=shape) for _ in range(STEPS)]


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x * x)))


def radam(w: np.ndarray, grads: list[np.ndarray], beta2: float = 0.999) -> Path:
    m = v = np.zeros_like(w)
    longest = 2 / (1 - beta2) - 1
    for t, g in enumerate(grads, 1):
        m, v = 0.9 * m + 0.1 * g, beta2 * v + (1 - beta2) * g * g
        mean = m / (1 - 0.9**t)
        p = longest - 2 * t * beta2**t / (1 - beta2**t)
        if p > 5:
            r = (p - 4) * (p - 2) * longest / ((longest - 4) * (longest - 2) * p)
            w = w - RATE * np.sqrt(r) * mean / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
        else:
            w = w - RATE * mean
        yield w


def adabelief(w: np.ndarray, grads: list[np.ndarray], epsilon: float) -> Path:
    m = s = np.zeros_like(w)
    for t, g in enumerate(grads, 1):
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * (g - m) ** 2 + epsilon
        w = w - RATE * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + epsilon)
        yield w


def yogi(w: np.ndarray, grads: list[np.ndarray], beta2: float) -> Path:
    m, v = np.zeros_like(w), np.full_like(w, 1e-6)
    for t, g in enumerate(grads, 1):
        m = 0.9 * m + 0.1 * g
        v = v - (1 - beta2) * np.sign(v - g * g) * g * g
        w = w - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - beta2**t)) + 1e-3)
        yield w


def adan(w: np.ndarray, grads: list[np.ndarray]) -> Path:
    """Algorithm 1 of the paper, whose betas are 1 - those of the function."""
    b1, b2, b3 = 0.02, 0.08, 0.01
    m = u = n = np.zeros_like(w)
    last = grads[0]
    for t, g in enumerate(grads, 1):
        m = (1 - b1) * m + b1 * g
        u = (1 - b2) * u + b2 * (g - last)
        n = (1 - b3) * n + b3 * (g + (1 - b2) * (g - last)) ** 2
        last = g
        size = np.sqrt(n / (1 - (1 - b3) ** t)) + 1e-8
        move = m / (1 - (1 - b1) ** t) + (1 - b2) * u / (1 - (1 - b2) ** t)
        w = w - RATE * move / size
        yield w


def lars(w: np.ndarray, grads: list[np.ndarray]) -> Path:
    v = np.zeros_like(w)
    for g in grads:
        norm = np.linalg.norm(w.ravel())
        local = 0.1 * norm / (np.linalg.norm(g.ravel()) + 0.2 * norm)
        v = 0.9 * v + RATE * local * (g + 0.2 * w)
        w = w - v
        yield w


def novograd(w: np.ndarray, grads: list[np.ndarray]) -> Path:
    m, v = np.zeros_like(w), 0.0
    for t, g in enumerate(grads, 1):
        square = float(np.sum(g * g))
        v = square if t == 1 else 0.98 * v + 0.02 * square
        m = 0.95 * m + g / (np.sqrt(v) + 1e-8) + 0.2 * w
        w = w - RATE * m
        yield w


def adafactor(w: np.ndarray, grads: list[np.ndarray], relative_step: bool) -> Path:
    r = c = v = 0.0
    for t, g in enumerate(grads, 1):
        b = 1 - t**-0.8
        rate = min(RATE, 1 / np.sqrt(t)) if relative_step else RATE
        square: Any = g * g + 1e-30
        if w.ndim < 2:
            v = b * v + (1 - b) * square
            mean = v
        else:
            r = b * r + (1 - b) * square.mean(-1)
            c = b * c + (1 - b) * square.mean(-2)
            mean = r[..., :, None] * c[..., None, :] / r.mean(-1)[..., None, None]
        move = g / np.sqrt(mean)
        move = move / max(1.0, rms(move))
        w = w - rate * max(1e-3, rms(w)) * move
        yield w


def sm3(w: np.ndarray, grads: list[np.ndarray]) -> Path:
    """SM3-II, entry by entry: the cover of an entry is its slices along each axis."""
    covers: dict[tuple[int, int], float] = {}
    m = np.zeros_like(w)
    for g in grads:
        largest: dict[tuple[int, int], float] = {}
        move = np.zeros_like(w)
        for place in np.ndindex(w.shape):
            slices = list(enumerate(place)) or [(0, 0)]
            v = float(min(covers.get(one, 0.0) for one in slices) + g[place] ** 2)
            for one in slices:
                largest[one] = max(largest.get(one, 0.0), v)
            move[place] = g[place] / np.sqrt(v)
        covers = largest
        m = 0.9 * m + 0.1 * move
        w = w - RATE * m
        yield w


def sign_sgd(w: np.ndarray, grads: list[np.ndarray]) -> Path:
    m = np.zeros_like(w)
    for g in grads:
        m = 0.9 * m + 0.1 * g
        w = w - RATE * np.sign(m)
        yield w


def muon(w: np.ndarray, grads: list[np.ndarray], nesterov: bool, rms_rate: float | None) -> Path:
    m = np.zeros_like(w)
    rows, columns = w.shape
    for g in grads:
        m = 0.95 * m + 0.05 * g
        x = 0.95 * m + 0.05 * g if nesterov else m
        x = x / (np.linalg.norm(x) + 1e-7)
        for _ in range(5):
            square = x @ x.T
            x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
        if rms_rate is None:
            w = w - RATE * np.sqrt(max(1, rows / columns)) * x
        else:
            w = w - RATE * rms_rate * np.sqrt(max(rows, columns)) * x
        yield w


@pytest.mark.parametrize(
    ("formula", "options", "plain"),
    [
        (radam, {}, {}),
        (radam, {"beta2": 0.8}, {"beta2": 0.8}),
        (radam, {"beta2": 0.5}, {"beta2": 0.5}),  # p never exceeds 5
        (adabelief, {}, {"epsilon": 1e-16}),
        (adabelief, {"epsilon": 1e-2}, {"epsilon": 1e-2}),
        (yogi, {}, {"beta2": 0.999}),
        (yogi, {"beta2": 0.9}, {"beta2": 0.9}),
        (adan, {}, {}),
        (lars, {"trust_coefficient": 0.1, "weight_decay": 0.2}, {}),
        (novograd, {"weight_decay": 0.2}, {}),
        (adafactor, {}, {"relative_step": True}),
        (adafactor, {"relative_step": False}, {"relative_step": False}),
        (sm3, {}, {}),
        (sign_sgd, {"momentum": 0.9}, {}),
    ],
)
def test_rules_are_their_formulas(
    formula: Formula, options: dict[str, Any], plain: dict[str, Any]
) -> None:
    for shape in SHAPES:
        compare(formula, options, plain, shape)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("rms_rate", [None, 0.2])
@pytest.mark.parametrize("shape", [(3, 4), (4, 4), (5, 2)])
def test_muon(nesterov: bool, rms_rate: float | None, shape: tuple[int, ...]) -> None:
    options = {"nesterov": nesterov, "rms_rate": rms_rate}
    compare(muon, options, options, shape)


def compare(formula: Formula, options: Any, plain: Any, shape: tuple[int, ...]) -> None:
    start, grads = data(shape)
    fed = gc.placeholder("g", shape, "float64")
    w = gc.variable(start, "w")
    rule = getattr(updates, formula.__name__)
    train = gc.function([fed], updates=rule([fed], [w], RATE, **options))
    for g, expected in zip(grads, formula(start, grads, **plain), strict=True):
        train(g)
        np.testing.assert_allclose(w.value, expected, rtol=1e-9, atol=1e-11)


def test_slots_of_rows_and_columns() -> None:
    state = updates.State()
    w = gc.variable(np.zeros((2, 3, 4), "float32"), "w")
    updates.adafactor([gc.zeros_like(w)], [w], state=state)
    updates.sm3([gc.zeros_like(w)], [w], momentum=0.0, state=state)
    updates.novograd([gc.zeros_like(w)], [w], state=state)
    shapes = {variable.name: variable.shape for variable in state.variables}
    assert shapes["w_row_mean_square"] == (2, 3, 1)
    assert shapes["w_column_mean_square"] == (2, 1, 4)
    assert [shapes[f"w_largest_of_axis_{axis}"] for axis in range(3)] == [
        (2, 1, 1),
        (1, 3, 1),
        (1, 1, 4),
    ]
    assert shapes["w_mean_square_norm"] == (1, 1, 1)


def test_muon_refuses_what_is_no_matrix() -> None:
    w = gc.variable(np.zeros(3), "bias")
    with pytest.raises(gc.ParameterError, match="bias has 1 axes"):
        updates.muon([gc.zeros(3)], [w])


def test_tiny_gradients_of_float32_do_not_vanish_in_products() -> None:
    w = gc.variable(np.ones((2, 2), "float32"), "w")
    g = np.full((2, 2), 1e-15, "float32")
    gc.function([], updates=updates.adafactor([gc.constant(g)], [w], 0.1))()
    assert np.allclose(w.value, 0.9, atol=0.03)
