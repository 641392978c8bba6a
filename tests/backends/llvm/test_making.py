"""Objects begun while more text is written: the same as without, and all of them used."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm import making, modules
from graphc.backends.llvm.jit import FAST, Module, module_object
from graphc.backends.llvm.making import NAME, Making
from graphc.backends.llvm.modules import EarlyModules, early_parts, modules_of
from graphc.backends.llvm.target import host
from graphc.backends.llvm.text import FunctionText


def constant(name: str, rows: int, calls: str = "") -> FunctionText:
    """i64 @name(): some additions, and perhaps a call."""
    first = f"  %v0 = call i64 @{calls}()" if calls else "  %v0 = add i64 1, 0"
    lines = [f"  %v{row + 1} = add i64 %v{row}, 1" for row in range(rows)]
    text = "\n".join([f"define internal i64 @{name}() {{", first, *lines])
    return FunctionText(f"{text}\n  ret i64 %v{rows}\n}}", set(), {})


def functions(count: int, rows: int = 20) -> list[FunctionText]:
    """Each calls the one before it."""
    return [constant(f"f{n}", rows, f"f{n - 1}" if n else "") for n in range(count)]


def as_modules(count: int) -> list[Module]:
    return [
        Module(one.text.replace("define internal", "define"), FAST)
        for one in (constant(f"f{n}", 5) for n in range(count))
    ]


def helpers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == NAME]


@pytest.mark.parametrize("cores", [1, 2, 5])
@pytest.mark.parametrize("begun", [0, 1, 4])
def test_objects_are_the_same_whatever_was_begun(
    begun: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "usable_cores", lambda: cores)
    wanted = as_modules(5)
    ahead = Making(host())
    for module in wanted[:begun]:
        ahead.begin(module)
    assert ahead.objects(wanted) == tuple(module_object(one, host()) for one in wanted)


def test_what_was_begun_and_is_not_wanted_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "usable_cores", lambda: 2)
    wanted = as_modules(2)
    ahead = Making(host())
    ahead.begin(Module("define i64 @other() {\n  ret i64 0\n}"))
    assert len(ahead.objects(wanted)) == 2


def test_helpers_end_when_nothing_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "usable_cores", lambda: 3)
    ahead = Making(host())
    for module in as_modules(4):
        ahead.begin(module)
    before = helpers()
    assert 1 <= len(before) <= 2
    ahead.stop()
    for one in before:
        one.join(timeout=60)
    assert not any(one.is_alive() for one in before)


def test_what_fails_early_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "usable_cores", lambda: 2)
    ahead = Making(host())
    broken = Module("define nonsense")
    ahead.begin(broken)
    with pytest.raises(RuntimeError, match="nonsense"):
        ahead.objects([*as_modules(3), broken])


def test_early_parts_stay_as_more_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "PART", 1000)
    monkeypatch.setattr(modules, "EARLY", 2000)
    every = functions(20)
    known: list[list[FunctionText]] = []
    for count in range(21):
        parts, rest = early_parts(every[:count])
        assert [one for part in [*parts, rest] for one in part] == every[:count]
        found = [list(part) for part in parts]
        assert found[: len(known)] == known
        known = found
    assert len(known) > 5


def test_modules_begun_early_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "PART", 1000)
    monkeypatch.setattr(modules, "EARLY", 2000)
    every, begun = functions(20), list[Module]()
    early = EarlyModules(begun.append)
    for count in range(1, 21):
        early.look(every[:count], {})
    whole = modules_of(every, {}, ["f19"])
    assert begun == whole[: len(begun)] and len(begun) == len(early_parts(every)[0])


def test_a_part_that_names_what_comes_later_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "PART", 1000)
    monkeypatch.setattr(modules, "EARLY", 1000)
    first, last = constant("first", 60, "last"), constant("last", 60)
    begun: list[Module] = []
    early = EarlyModules(begun.append)
    early.look([first], {})
    assert not begun
    early.look([first, last], {})
    whole = modules_of([first, last], {}, ["first"])
    assert len(whole) == 2 and begun == whole[1:]
    outside = EarlyModules(begun.append)
    outside.look([first], {"last": last})
    assert "declare" in begun[-1].text


def test_a_program_compiled_early_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "PART", 3000)
    monkeypatch.setattr(modules, "EARLY", 6000)
    monkeypatch.setattr(making, "usable_cores", lambda: 2)
    begun: list[Module] = []
    wanted: list[Module] = []
    begin, objects = Making.begin, Making.objects

    def begins(self: Making, module: Module) -> None:
        begun.append(module)
        begin(self, module)

    def makes(self: Making, some: Sequence[Module]) -> tuple[bytes, ...]:
        wanted.extend(some)
        return objects(self, some)

    monkeypatch.setattr(Making, "begin", begins)
    monkeypatch.setattr(Making, "objects", makes)
    x = gc.placeholder("x", (None, 12))
    values: list[gc.Tensor] = [x]
    for width in (7, 9, 11, 12):
        weights = gc.constant(np.ones((values[-1].shape[1], width), np.float32) / 8)
        values.append(gc.tanh(gc.nn.softmax(values[-1] @ weights, axis=-1) * width))
    cost = gc.sum(gc.logsumexp(values[-1], axis=-1))
    outputs = [cost, gc.grad(cost, x)]
    f = gc.function([x], outputs, backend="llvm", cache=False)
    assert len(begun) > 1 and set(begun) <= set(wanted)
    data = np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32)
    expected = gc.function([x], outputs, backend="reference")(data)
    for found, value in zip(f(data), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=2e-5, atol=1e-6)
