"""Functions found in the cache: no passes, the same results, the lines of the present program."""

import gc as collector
import os
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm import cache
from graphc.backends.llvm.recent import Recent, state_of
from graphc.fingerprint import fingerprint

ROOT = Path(__file__).resolve().parents[1]
X = np.arange(6, dtype="float32")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "folder"
    monkeypatch.setenv("GRAPHC_CACHE", str(path))
    monkeypatch.setattr(cache, "_told", set())
    return path


def found(f: gc.Function) -> str:
    answer: str = f.stats()["program"]
    return answer


def training() -> tuple[gc.Function, gc.Variable]:
    x, y = gc.placeholder("x", ("n", 3)), gc.placeholder("y", ("n",))
    w, rate = gc.variable(np.zeros(3, "float32"), "w"), gc.variable(np.float32(0.1), "rate")
    cost = gc.mean((gc.tanh(x @ w) - y) ** 2) + gc.sum(w * gc.constant(X[:3]))
    f = gc.function([x, y], {"cost": cost}, {w: w - rate * gc.grad(cost, w)}, name="f")
    return f, w


def test_a_function_is_found_and_trains_the_same() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)).astype("float32"), rng.normal(size=7).astype("float32")
    first, w1 = training()
    second, w2 = training()
    assert found(first) == "compiled: first time" and found(second) == "found"
    assert "passes" not in second.stats()["seconds"]
    for size in (7, 1, 0, 5, 5, 5, 5, 5):
        for f in (first, second):
            if size:
                f(x[:size], y[:size])
        np.testing.assert_array_equal(w1.value, w2.value)
    np.testing.assert_array_equal(
        first.repeat(2, x[:6].reshape(2, 3, 3), y[:6].reshape(2, 3))["cost"],
        second.repeat(2, x[:6].reshape(2, 3, 3), y[:6].reshape(2, 3))["cost"],
    )


def test_stages_are_made_when_somebody_looks() -> None:
    first, _ = training()
    second, _ = training()
    assert found(second) == "found"
    assert second.stats() | {"seconds": 0} == first.stats() | {
        "seconds": 0,
        "program": "found",
        "origin": "found",
    }
    for look in ("rewrites", "kernels", "loops", "memory_plan", "source", "llvm", "asm"):
        assert str(getattr(second, look)()) == str(getattr(first, look)())
    assert str(second.graph_text()) == str(first.graph_text())


CASES: list[Callable[[Any], Any]] = [
    lambda x: x + 1,
    lambda x: x + 2,
    lambda x: x + 1.5,
    lambda x: [x + 1],
    lambda x: gc.astype(x, "float64") + 1,
    lambda x: x * gc.constant(X),
    lambda x: x * gc.constant(X + 1),
    lambda x: x[::2],
    lambda x: x[1::2],
    lambda x: x + 1j,
    lambda x: gc.scan(lambda c, row: (c + row, c), gc.constant(np.float32(0)), x),
    lambda x: gc.scan(lambda c, row: (c - row, c), gc.constant(np.float32(0)), x),
    lambda x: gc.cond(gc.sum(x) > 0, lambda: x, lambda: -x),
    lambda x: gc.linalg.solve(gc.eye(6) * 2, x),
    lambda x: gc.sort(x),
]


def test_different_functions_have_different_names() -> None:
    def compiled(case: Callable[[Any], Any]) -> gc.Function:
        x = gc.placeholder("x", (6,))
        return gc.function([x], case(x), name="f")

    expected = [compiled(case) for case in CASES]
    names = [fingerprint(f.stages.user_graph) for f in expected]
    assert None not in names and len(set(names)) == len({repr(f(X)) for f in expected})
    for case, meant in zip(CASES, expected, strict=True):
        f = compiled(case)
        assert found(f) == "found"
        for _ in range(5):
            assert repr(f(X)) == repr(meant(X))


def test_run_time_errors_name_the_present_lines() -> None:
    def compiled() -> gc.Function:
        i, y = gc.placeholder("i", (1,), "int64"), gc.placeholder("y", ("m",))
        w = gc.variable(X, "w")
        return gc.function([i, y], [w[i], y[1:] + gc.constant(X)], name="f")

    first = compiled()
    second = eval("compiled()", {"compiled": compiled})
    assert found(second) == "found"
    seven, three = np.zeros(7, "float32"), np.zeros(3, "float32")
    for arguments in ((np.array([9]), seven), (np.array([1]), three)):
        errors = []
        for f in (first, second):
            with pytest.raises(gc.GraphcError, match="test_recall") as error:
                f(*arguments)
            errors.append(str(error.value))
        assert errors[0] == errors[1]


def test_what_is_not_kept() -> None:
    x = gc.placeholder("x", ("n",))
    twice = gc.custom_op("twice", lambda a: a * 2, infer=lambda a: a)
    for _ in range(2):
        f = gc.function([x], twice(x))
        assert "its own" in found(f) or "this process" in found(f)
        np.testing.assert_array_equal(f(X), X * 2)
        f = gc.function([x], gc.while_loop(lambda v: gc.sum(v) < 100, lambda v: v * 2, x + 1))
        assert found(f) != "found"
    assert found(gc.function([x], x + 1, cache=False)) == "not looked for"


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:60],
        lambda content: content[:-1],
        lambda content: content[:150] + bytes([content[150] ^ 1]) + content[151:],
        lambda content: b"\x80\x04]." + content,
    ],
)
def test_a_broken_entry_is_replaced(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    training()
    (entry,) = (path for path in folder.iterdir() if path.suffix == cache.PROGRAM_SUFFIX)
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    with pytest.warns(UserWarning, match="was damaged"):
        assert found(training()[0]) == "compiled: the entry was broken"
    assert entry.read_bytes() == whole
    assert found(training()[0]) == "found"


def test_without_its_object_an_entry_is_worth_nothing(folder: Path) -> None:
    training()
    for path in folder.glob(f"*{cache.SUFFIX}"):
        path.unlink()
    assert found(training()[0]) == "compiled: its object: first time"
    assert found(training()[0]) == "found"


PROGRAM = """
    import os, sys, time
    import numpy as np, graphc as gc
    if len(sys.argv) > 1:  # all begin at once
        print("ready", flush=True)
        parent = os.getppid()
        while not os.path.exists(sys.argv[1]) and os.getppid() == parent:
            time.sleep(0.01)
    x = gc.placeholder("x", ("n",))
    w = gc.variable(np.ones(1, "float32"), "w")
    cost = gc.sum(gc.exp(x * w))
    f = gc.function([x], cost, updates={w: w - gc.grad(cost, w)})
    assert np.isclose(f([0, 1]), 1 + np.exp(1)), f([0, 1])
    print(f.stats()["program"])
"""


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments],
        env={**os.environ, "GRAPHC_CACHE": str(folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [3, pytest.param(32, marks=pytest.mark.slow)])
def test_processes_that_compile_the_same_at_once(folder: Path, tmp_path: Path, count: int) -> None:
    signal = tmp_path / "go"
    together = [start(folder, str(signal)) for _ in range(count)]
    try:
        for process in together:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        signal.touch()
        answers = [process.communicate(timeout=500)[0] for process in together]
    finally:
        for process in together:
            process.kill()  # those that wait for a start that never comes
    assert all(process.returncode == 0 for process in together), answers
    assert start(folder).communicate(timeout=100)[0] == "found\n"
    assert not list(folder.glob("*.new"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_processes_killed_at_any_moment(folder: Path, tmp_path: Path) -> None:
    """From the moment when the imports are done, in steps of 20 ms, until one comes to its end."""
    signal = tmp_path / "go"
    signal.touch()
    ended = killed = 0
    for step in range(2000):  # on a busy machine it takes long
        for path in folder.glob("*") if step % 5 == 0 else ():
            path.unlink()  # half of them write new entries, half of them read what is there
        process = start(folder, str(signal))
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        try:
            process.wait(0.02 * step)
            ended += 1
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.communicate()
        if ended == 3:
            break
    assert killed > 1 and ended == 3
    assert start(folder).communicate(timeout=100)[0].startswith(("found", "compiled"))
    assert start(folder).communicate(timeout=100)[0] == "found\n"


def test_a_writer_killed_in_the_middle(folder: Path) -> None:
    """It dies after some bytes of an entry, of an object or of a program."""
    dying = textwrap.dedent(
        """
        import os, signal, sys, tempfile
        import graphc as gc
        from graphc.backends.llvm import cache

        real, left = tempfile.mkstemp, [int(sys.argv[1])]

        def mkstemp(**options):
            handle, path = real(**options)
            left[0] -= 1
            if left[0] == 0:
                os.write(handle, b"graphc object 1\\nhalf")
                os.kill(os.getpid(), signal.SIGKILL)
            return handle, path

        tempfile.mkstemp = mkstemp
        x = gc.placeholder("x", ("n",))
        gc.function([x], gc.exp(x))
        """
    )
    environment = {**os.environ, "GRAPHC_CACHE": str(folder)}
    for number in ("1", "2"):
        command = [sys.executable, "-c", dying, number]
        assert subprocess.run(command, cwd=ROOT, env=environment).returncode == -9
    assert len(list(folder.glob("*.new"))) == 2
    first, again = training(), training()
    assert found(first[0]).startswith("compiled") and found(again[0]) == "found"


def test_equal_functions_share_code_while_its_files_stay(folder: Path) -> None:
    def library(f: gc.Function) -> Any:
        executable: Any = f.stages.executable
        return executable._library

    training()
    second, w2 = training()
    third, w3 = training()
    assert library(second) is library(third) and found(third) == "found"
    x, y = np.ones((4, 3), "float32"), np.ones(4, "float32")
    second(x, y)
    assert np.all(w3.value == 0) and np.any(w2.value != 0)
    third(x, y)
    np.testing.assert_array_equal(w2.value, w3.value)
    for path in folder.iterdir():
        path.touch()
    assert library(training()[0]) is not library(third)
    for path in folder.iterdir():
        path.unlink()
    assert found(training()[0]).startswith("compiled: ")


def test_a_dropped_function_is_freed_at_once() -> None:
    training()
    collector.disable()
    try:
        f, _ = training()
        watched = weakref.ref(f.stages.executable)
        assert found(f) == "found" and watched() is not None
        del f
        assert watched() is None
    finally:
        collector.enable()


def test_what_was_used_longest_ago_is_forgotten(tmp_path: Path) -> None:
    recent: Recent[int] = Recent(most=3, largest=100)
    paths = [tmp_path / str(number) for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(20))
        state = state_of((path,))
        assert state is not None
        recent.find("0", tmp_path)
        recent.add(str(number), (path,), state, number)
    assert [recent.find(str(n), tmp_path) for n in range(5)] == [0, None, None, 3, 4]
    assert recent.find("4", tmp_path / "elsewhere") is None
    paths[4].unlink()
    assert recent.find("4", tmp_path) is None
    large = tmp_path / "large"
    large.write_bytes(bytes(101))
    state = state_of((large,))
    assert state is not None
    recent.add("large", (large,), state, 7)
    assert recent.find("large", tmp_path) is None and state_of((paths[4],)) is None
