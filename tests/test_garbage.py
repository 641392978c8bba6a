"""Python's garbage collector rests while a graph grows, and no longer."""

import gc as garbage
import weakref

import pytest

import graphc.garbage
from graphc.garbage import FEWEST, MANY, uncollected


@pytest.fixture(autouse=True)
def own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphc.garbage, "FEWEST", FEWEST)
    monkeypatch.setattr(graphc.garbage, "_holding", graphc.garbage._Holding())


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


def test_nothing_is_collected_inside() -> None:
    assert garbage.isenabled()
    with uncollected():
        assert not garbage.isenabled()
        with uncollected():
            pass
        assert not garbage.isenabled()
    assert garbage.isenabled()


def test_the_collector_stays_off_where_it_was() -> None:
    garbage.disable()
    try:
        with uncollected():
            pass
        assert not garbage.isenabled()
    finally:
        garbage.enable()


def test_what_becomes_garbage_inside_goes() -> None:
    """As with Python's own rule, when there are a quarter more objects than before."""
    last = weakref.ref(Ring())
    assert last() is not None
    made, most = 0, FEWEST + len(garbage.get_objects())
    while last() is not None and made < most:
        with uncollected():
            for _ in range(1000):
                Ring()
        made += 1000
    assert last() is None


def test_what_goes_by_itself_is_not_looked_for() -> None:
    def looks_at_all() -> int:
        before = garbage.get_stats()[2]["collections"]
        for _ in range(10 * FEWEST // 1000 + len(garbage.get_objects()) // 1000):
            with uncollected():
                kept: list[list[int]] = [[] for _ in range(1000)]
            kept.clear()
        return int(garbage.get_stats()[2]["collections"] - before)

    looks_at_all()  # at what other tests have left
    assert looks_at_all() == 0


def test_what_much_work_leaves_behind_goes_at_once() -> None:
    """Without a look at what was there before."""
    old = Ring()
    garbage.collect()
    survivor, before = weakref.ref(old), garbage.get_stats()[2]["collections"]
    del old
    with uncollected():
        last = [weakref.ref(Ring()) for _ in range(MANY + 1)][-1]
    assert last() is None
    assert garbage.get_stats()[2]["collections"] == before
    assert survivor() is not None
    garbage.collect()
    assert survivor() is None
