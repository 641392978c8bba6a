"""f.profile: a row per step, in the words of f.kernels; nothing changes."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc


def trainer(backend: str = "llvm") -> gc.Function:
    x = gc.placeholder("x", ("n", 6))
    w = gc.variable(np.ones((6, 3), "float32"), "w")
    states, _ = gc.scan(lambda h, row: (gc.tanh(h + row), h), gc.zeros((3,)), x @ w)
    cost = gc.sum(states)
    return gc.function([x], cost, updates={w: w - 0.1 * gc.grad(cost, w)}, backend=backend)


def test_a_row_for_every_step() -> None:
    train = trainer()
    before = train.variables["w"].value
    text = train.profile(np.ones((7, 6), "float32"), seconds=0.01)
    head, *rows = text.splitlines()
    assert re.fullmatch(r"profile of function: .* a call, \d+ calls, n = 7", head), head
    steps = train.kernels().splitlines()
    assert len(rows) == len(steps)
    for row, step in zip(rows, steps, strict=True):
        assert row.endswith(step) and " %" in row
    assert any(" 7 x " in row for row in rows)  # a step of the loop
    assert "GFLOP/s" in text and "GB/s" in text and "test_profile.py:" in text
    np.testing.assert_array_equal(train.variables["w"].value, before)


def test_complex_numbers_and_empty_arrays() -> None:
    z = gc.placeholder("z", ("n",), "complex64")
    f = gc.function([z], gc.abs(z * z + 1), name="f")
    assert "n = 0" in f.profile(np.zeros(0, "complex64"), seconds=0)
    assert "n = 5" in f.profile(np.zeros(5, "complex64"), seconds=0)


@pytest.mark.parametrize("backend", ["reference", "interpreter", "numba_cpu"])
def test_other_backends_say_so(backend: str) -> None:
    x = gc.placeholder("x", (3,))
    f = gc.function([x], x + 1, backend=backend)
    with pytest.raises(gc.errors.BackendError, match="E501"):
        f.profile(np.zeros(3, "float32"))


def test_feeds_are_checked_as_in_a_call() -> None:
    with pytest.raises(gc.FeedError):
        trainer().profile(np.ones((7, 5), "float32"))


@pytest.mark.parametrize("seconds", [1j, "a", None, [1], -1, math.nan, math.inf, True])
def test_times_that_are_none(seconds: Any) -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], gc.exp(x), name="f")
    feed = np.ones(3, "float32")
    calls: list[Callable[[], Any]] = [
        lambda: f.profile(feed, seconds=seconds),
        lambda: gc.benchmark(f, feed, seconds=seconds),
        lambda: gc.compare({"f": f}, feed, seconds=seconds),
    ]
    for call in calls:
        with pytest.raises(gc.ParameterError, match="seconds=") as caught:
            call()
        assert caught.value.code == "E404" and caught.value.fix
