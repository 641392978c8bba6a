"""Timing: turns, quartiles, and variables that keep their values."""

import time

import numpy as np
import pytest

import graphc as gc
from graphc.benchmark import Timing, format_seconds, summarize


class Clock:
    """In the place of the clock that is measured with: only `pass_by` moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_benchmark_measures_the_call(clock: Clock) -> None:
    timing = gc.benchmark(clock.pass_by, 0.002, seconds=0.03)
    assert [timing.lower, timing.median, timing.upper] == pytest.approx([0.002] * 3)
    assert 14 <= timing.samples <= 16
    assert "2.00 ms per call" in str(timing)
    assert gc.benchmark(clock.pass_by, 0.02, seconds=0.03).samples == 5


def test_short_calls_are_timed_together(clock: Clock) -> None:
    calls: list[float] = []

    def short(seconds: float) -> None:
        calls.append(seconds)
        clock.pass_by(seconds)

    timing = gc.benchmark(short, 1e-5, seconds=0.0)
    assert timing.median == pytest.approx(1e-5) and timing.samples == 5
    assert len(calls) == 4 + 5 * 20  # four to see how long one takes


def test_compare_takes_turns(clock: Clock) -> None:
    order: list[str] = []

    def slow(name: str) -> None:
        order.append(name)
        clock.pass_by(0.03)

    gc.compare({name: lambda name=name: slow(name) for name in "abc"}, seconds=0.0)
    measured = order[3:]  # one call of each to see how long it takes
    assert len(measured) == 15
    rounds = [measured[k : k + 3] for k in range(0, 15, 3)]
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert len({names[0] for names in rounds}) == 3


def test_ratio_is_speed_relative_to_the_baseline(clock: Clock) -> None:
    slow, fast = (lambda seconds=seconds: clock.pass_by(seconds) for seconds in (0.004, 0.001))
    result = gc.compare({"slow": slow, "fast": fast}, seconds=0.05)
    assert result.baseline == "slow"
    assert result.ratio("slow") == 1
    assert result.ratio("fast") == pytest.approx(4)
    assert "slow = 1" in str(result)


def test_variables_keep_their_values() -> None:
    v = gc.variable(np.zeros(3, "float32"), name="v")
    count = gc.function([], gc.sum(v), updates={v: v + 1}, backend="reference")
    count()
    gc.compare({"one": count, "two": count}, seconds=0.0)
    np.testing.assert_array_equal(v.value, np.ones(3, "float32"))


def test_variables_keep_their_values_after_an_error() -> None:
    v = gc.variable(0.0, name="v")
    count = gc.function([], v, updates={v: v + 1}, backend="reference")

    def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        gc.compare({"count": count, "fail": fail}, seconds=0.0)
    assert v.value == 0


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="no candidates"):
        gc.compare({})
    with pytest.raises(ValueError, match="baseline='b' is no candidate"):
        gc.compare({"a": lambda: None}, baseline="b")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.000 µs"),
        (1.2344e-6, "1.23 µs"),
        (12.34e-6, "12.3 µs"),
        (123.4e-6, "123 µs"),
        (999.9e-6, "1.00 ms"),
        (0.5, "500 ms"),
        (2.0, "2.00 s"),
    ],
)
def test_seconds_have_three_digits(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_summary_has_quartiles() -> None:
    assert summarize([1.0, 2.0, 3.0, 4.0, 5.0]) == Timing(3.0, 2.0, 4.0, 5)
