"""Calls that go around Python answer as those that do not, and hand over what is unusual."""

import gc as garbage
import os
import sys
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.direct_call import is_possible
from graphc.direct import LITTLE
from tests.children import child_of
from tests.direct_calls import X, is_direct, warm

pytestmark = pytest.mark.skipif(not is_possible(), reason="needs CPython with its lock")


def doubled() -> gc.Function:
    x = gc.placeholder("x", ("n",))
    return warm(gc.function([x], x * 2), X)


def counter() -> tuple[gc.Function, gc.Variable]:
    x, w = gc.placeholder("x", (3,)), gc.variable(np.zeros(3, "float32"), "w")
    return warm(gc.function([x], gc.sum(w), updates={w: w + x}), np.zeros(3, "float32")), w


STRUCTURES: list[Any] = [
    lambda x: x + 1,
    lambda x: [x + 1],
    lambda x: [x + 1, gc.sum(x)],
    lambda x: [x, [gc.sum(x), (x, {"a": x})]],
    lambda x: [gc.nonzero(x)[0], x],
    lambda x: (x + 1, x),
    lambda x: {"a": x + 1, "b": x},
    lambda x: {"a": [x + 1, {"c": x}], "b": None},
    lambda x: [],
    lambda x: None,
]


@pytest.mark.parametrize("outputs", STRUCTURES)
def test_every_structure_of_outputs(outputs: Any) -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], outputs(x), on_unused_input="ignore")
    expected = f(X)
    found = warm(f, X)(X)
    assert repr(found) == repr(expected)
    assert type(found) is type(expected)


def test_results_are_new_arrays() -> None:
    f = doubled()
    first, second = f(X), f(X)
    first[:] = 0
    np.testing.assert_array_equal(second, X * 2)
    assert first.flags.owndata and first.flags.writeable and first.dtype == np.float32


def test_unusual_arguments_go_the_long_way() -> None:
    f = doubled()
    frozen = X.copy()
    frozen.flags.writeable = False
    for argument in (
        X[::-1],
        frozen,
        list(range(8)),
        X[:3],
        np.empty(0, "float32"),
        X.astype("f2"),
    ):
        np.testing.assert_array_equal(f(argument), np.asarray(argument) * 2)
    np.testing.assert_array_equal(f(x=X), X * 2)
    np.testing.assert_array_equal(f(X), X * 2)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), gc.FeedError),
        ((X, X), gc.FeedError),
        ((X.astype("float64") + 0.1,), gc.FeedTypeError),
        ((X.reshape(2, 4),), gc.FeedError),
        ((None,), gc.FeedTypeError),
    ],
)
def test_wrong_arguments_are_refused_in_the_same_words(arguments: Any, error: Any) -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], x * 2, name="f")
    with pytest.raises(error) as before:
        f(*arguments)
    warm(f, X)
    with pytest.raises(error) as after:
        f(*arguments)
    assert str(after.value) == str(before.value)


def test_another_shape_becomes_the_direct_one() -> None:
    f = doubled()
    for size in (3, 8, 0, 1, 3, 3, 100, 100, 8):
        argument = np.arange(size, dtype="float32")
        np.testing.assert_array_equal(f(argument), argument * 2)


def test_updates_see_old_values_and_alternate_with_long_calls() -> None:
    f, w = counter()
    one = np.ones(3, "float32")
    for turn in range(20):
        found = f(one) if turn % 3 else f([1, 1, 1])
        assert found == 3 * turn
        np.testing.assert_array_equal(w.value, one * (turn + 1))
    w.value = np.full(3, 7, "float32")
    assert f(one) == 21
    np.testing.assert_array_equal(w.value, one * 8)


def test_a_value_that_was_read_stays() -> None:
    f, w = counter()
    f(np.ones(3, "float32"))
    seen = w.value
    f(np.ones(3, "float32"))
    np.testing.assert_array_equal(seen, np.ones(3))
    f(w.value)  # a feed that was the variable's value
    np.testing.assert_array_equal(w.value, np.full(3, 4))


def test_swaps_of_variables() -> None:
    a, b = (gc.variable(np.full(2, v, "float32"), n) for v, n in ((1, "a"), (2, "b")))
    f = gc.function([], updates={a: b, b: a})
    for turn in range(9):
        f()
        assert (a.value[0], b.value[0]) == ((2, 1) if turn % 2 == 0 else (1, 2))


def test_a_failed_check_changes_nothing() -> None:
    i, w = gc.placeholder("i", (1,), "int64"), gc.variable(np.zeros(3, "float32"), "w")
    f = warm(gc.function([i], w[i], updates={w: w + 1 + gc.sum(w[i])}), np.array([1]))
    before = w.value
    with pytest.raises(gc.IndexOutOfRange, match="test_direct"):
        f(np.array([3]))
    np.testing.assert_array_equal(w.value, before)
    f(np.array([2]))


def test_calls_that_are_waiting_for_no_one_are_direct_in_threads() -> None:
    f, w = counter()
    one = np.ones(3, "float32")

    def work(long_way: bool) -> None:
        for _ in range(300):
            f([1, 1, 1]) if long_way else f(one)

    threads = [threading.Thread(target=work, args=(n % 2 == 0,)) for n in range(4)]
    start = w.value[0]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.value[0] == start + 1200


def test_a_dropped_function_is_freed_at_once() -> None:
    garbage.disable()
    try:
        x = gc.placeholder("x", ("n",))
        f = warm(gc.function([x], x * 2), X)
        gone = weakref.ref(f)
        del f
        assert gone() is None
    finally:
        garbage.enable()


def test_the_call_alone_lives_on() -> None:
    f = doubled()
    call = f.__call__
    del f
    garbage.collect()
    np.testing.assert_array_equal(call(X), X * 2)
    with pytest.raises(ReferenceError):
        call(X[:2])


def test_memory_stays_flat() -> None:
    f, _ = counter()
    g = doubled()
    one = np.ones(3, "float32")
    for _ in range(100):  # a result's count of references would grow without bound
        assert garbage.get_referrers(f(one)) == []
    before = _resident()
    for _ in range(100_000):
        f(one)
        g(X)
    assert _resident() - before < 1 << 20


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if not os.path.exists("/proc/self/statm"):
    test_memory_stays_flat = pytest.mark.skip(reason="no /proc")(test_memory_stays_flat)


def test_a_forked_child_calls() -> None:
    f, w = counter()

    def call() -> None:
        f(np.ones(3, "float32"))
        assert w.value[0] == 1

    child_of(call)
    assert w.value[0] == 0


def test_sizes_in_turns_are_direct() -> None:
    x, w = gc.placeholder("x", ("n",)), gc.variable(np.float32(0), "w")
    f = gc.function([x], [gc.cumulative_sum(x * gc.constant(np.float32(2))), w], {w: w + 1})
    arrays = [np.arange(size, dtype="float32") for size in (5, 0, 300)]
    count = 0
    for turn in range(20):
        for array in arrays:
            sums, calls = f(array)
            assert calls == count
            np.testing.assert_allclose(sums, np.cumsum(array * 2), rtol=1e-6)
            count += 1
            if turn > 15:
                assert is_direct(f, array)
                count += 1
    assert not is_direct(f, np.arange(7, dtype="float32")) and is_direct(f, arrays[0])
    assert is_direct(f, arrays[0][::-1])  # after it has become dense


def test_many_sizes_in_turns_push_nothing_out() -> None:
    f = doubled()
    for _ in range(5):
        for size in range(20, 26):
            assert not is_direct(f, np.arange(size, dtype="float32"))
            assert is_direct(f, X)


def long_one() -> tuple[gc.Function, gc.Variable, np.ndarray]:
    """Calls take far longer than the interpreter's lock may be held."""
    x, w = gc.placeholder("x", ("n",)), gc.variable(np.zeros((), "float32"), "w")
    f = gc.function([x], [gc.sum(gc.sin(x)) * 0 + w, x + w])
    data = np.arange(200_000, dtype="float32")
    for _ in range(5):
        f(data)
    assert type(f.__call__) is type(len) and is_direct(f, data)
    return f, w, data


def test_long_calls_in_threads() -> None:
    """Values of the variable change meanwhile; each call sees one of them."""
    f, w, data = long_one()
    step = gc.function([], updates={w: w + 1})
    wrong: list[Any] = []

    def work(offset: float) -> None:
        own = data + np.float32(offset)
        for _ in range(20):
            value, moved = f(own)
            if not np.array_equal(moved, own + value):
                wrong.append((value, moved))

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        step()
        w.value = w.value + np.float32(1)
    for thread in threads:
        thread.join()
    assert not wrong and is_direct(f, data)


def test_variables_are_not_written_over_while_a_long_call_reads_them() -> None:
    """They are large enough for new values in the memory of the old ones."""
    x, w = gc.placeholder("x", ()), gc.variable(np.zeros(1 << 21, "float32"), "w")
    f = gc.function([x], [gc.min(w) + x, gc.max(gc.sqrt(w * w)) + x])
    step = gc.function([], updates={w: w + 1})
    one = np.float32(0).reshape(())
    for _ in range(5):
        f(one)
    done = threading.Event()
    wrong: list[Any] = []

    def work() -> None:
        while not done.is_set():
            least, most = f(one)
            if least != most:
                wrong.append((least, most))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        step()
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_other_sizes_become_direct_while_a_long_call_runs() -> None:
    f, _, data = long_one()
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            assert np.array_equal(f(data)[1], data)

    thread = threading.Thread(target=work)
    thread.start()
    for size in [100 * (k % 7 + 1) for k in range(70)] + [1 << 19, 1 << 20, 50, 60] * 5:
        other = np.arange(size, dtype="float32")
        for _ in range(3):
            np.testing.assert_array_equal(f(other)[1], other)
    done.set()
    thread.join()


@pytest.mark.parametrize(("count", "direct"), [(LITTLE // 4, True), (LITTLE // 4 + 1, False)])
def test_long_calls_with_updates_take_the_lock_of_the_variables(
    count: int, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless they update little, and are not that long."""
    monkeypatch.setattr(sys.modules["graphc.direct"], "LONGEST", -1.0)
    monkeypatch.setattr(sys.modules["graphc.direct"], "LONGEST_UPDATING", 1e9)
    x, w = gc.placeholder("x", ("n",)), gc.variable(np.zeros(count, "float32"), "w")
    f = gc.function([x], gc.sum(gc.sin(x)), updates={w: w + 1})
    data = np.arange(200_000, dtype="float32")
    for turn in range(8):
        f(data)
        assert w.value[0] == w.value[-1] == turn + 1
    assert is_direct(f, data) == direct


def test_a_function_dropped_during_a_long_call() -> None:
    f, _, data = long_one()
    call, results = [f.__call__], []
    thread = threading.Thread(target=lambda: results.append(call.pop()(data)))
    del f
    thread.start()
    thread.join()
    np.testing.assert_array_equal(results[0][1], data)


def test_a_child_forked_during_long_calls() -> None:
    f, _, data = long_one()
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            f(data)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(5):
        child_of(lambda: np.testing.assert_array_equal(f(data)[1], data))
    done.set()
    thread.join()


def test_bound_calls_that_are_long() -> None:
    x, w = gc.placeholder("x", ("n",)), gc.variable(np.zeros((), "float32"), "w")
    f = gc.function([x], [gc.sum(gc.sin(x)) * 0 + w, x + w])
    data = np.arange(200_000, dtype="float32")
    memory = [np.empty((), "float32"), np.empty_like(data)]
    for call in (f.bind(data), f.bind(data, out=memory)):
        for turn in range(8):
            w.value = np.float32(turn)
            np.testing.assert_array_equal(call()[1], data + np.float32(turn))
        assert type(call.__call__) is type(len)


def test_unusual_arguments_are_converted_and_then_direct() -> None:
    x, y = gc.placeholder("x", ("n", 4)), gc.placeholder("y", ("n",))
    f = gc.function([x, y], gc.sum(x, axis=1) - y)
    a, b = np.arange(12, dtype="float32").reshape(3, 4), np.ones(3, "float32")
    expected = f(a, b)
    warm(f, a, b)
    swapped = a.astype(">f4")
    locked = a.copy()
    locked.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view("float32").reshape(3, 4)
    unusual = [a.tolist(), np.repeat(a, 2, axis=1)[:, ::2], np.asfortranarray(a), a[::-1][::-1]]
    unusual += [swapped, locked, unaligned, a.astype("int16"), np.broadcast_to(a, (3, 4))]
    unusual += [a.view(np.matrix), a.view(np.recarray)]
    for given in unusual:
        kept = np.array(given)
        np.testing.assert_array_equal(f(given, b), expected)
        np.testing.assert_array_equal(f(y=b, x=given), expected)
        np.testing.assert_array_equal(f(given, y=b.tolist()), expected)
        np.testing.assert_array_equal(np.array(given), kept)
    longer = np.ones((5, 4), "float32")  # sizes that have not been direct
    np.testing.assert_array_equal(f(longer.tolist(), y=np.ones(5, "float32")), np.full(5, 3.0))
    with pytest.raises(gc.FeedError):
        f(x=a.tolist(), y=np.ones(4, "float32"))
    with pytest.raises(gc.FeedError):
        f(a.tolist(), y=np.ones((3, 1), "float32"))


def test_unusual_arguments_of_updates() -> None:
    f, w = counter()
    for _ in range(4):
        f([1.0, 2.0, 3.0])
        f(x=np.ones(3, "float32"))
    np.testing.assert_array_equal(w.value, [8, 12, 16])
