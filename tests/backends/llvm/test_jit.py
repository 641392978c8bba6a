"""Objects from text: several at once, in any number of threads, whole after a fork."""

import ctypes
import os
import threading

import pytest

from graphc.backends.llvm import jit
from graphc.backends.llvm.jit import (
    FAST,
    PLAIN,
    Library,
    Module,
    module_object,
    module_objects,
    once,
    side_by_side,
)
from graphc.backends.llvm.modules import PART, SHORT, modules_of
from graphc.backends.llvm.target import host
from graphc.backends.llvm.text import FunctionText
from tests.children import child_of


def adding(name: str, rows: int = 200, calls: str = "") -> FunctionText:
    """i64 @name(i64): adds `rows` times 1, and calls another function first."""
    first = f"  %y = call i64 @{calls}(i64 %x)" if calls else "  %y = add i64 %x, 0"
    lines = ["  %v0 = mul i64 %y, 1", *(f"  %v{n + 1} = add i64 %v{n}, 1" for n in range(rows))]
    text = "\n".join([f"define internal i64 @{name}(i64 %x) {{", first, *lines])
    return FunctionText(f"{text}\n  ret i64 %v{rows}\n}}", set(), {})


def many(count: int) -> list[Module]:
    return [
        Module(adding(f"f{n}").text.replace("define internal", "define"), (FAST, PLAIN)[n % 2])
        for n in range(count)
    ]


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_objects_are_the_same_on_any_number_of_cores(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jit, "usable_cores", lambda: cores)
    modules = many(9)
    found = module_objects(modules, host())
    assert found == tuple(module_object(module, host()) for module in modules)
    assert module_objects([], host()) == ()


def test_an_error_in_any_of_them_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "usable_cores", lambda: 3)
    modules = many(6)
    for place in (0, 3, 5):
        broken = [*modules[:place], Module("define nonsense"), *modules[place:]]
        with pytest.raises(RuntimeError, match="nonsense"):
            module_objects(broken, host())
    assert threading.active_count() == 1 or not any(
        thread.name == "graphc compiler" for thread in threading.enumerate()
    )


def test_long_functions_are_parted_and_find_each_other() -> None:
    rows = PART // 60
    functions = [adding("f0", rows)]
    functions += [adding(f"f{n}", rows, calls=f"f{n - 1}") for n in range(1, 8)]
    modules = modules_of(functions, {}, ["f7"])
    assert 2 <= len(modules) <= 8
    assert modules == modules_of(functions, {}, ["f7"])
    library = Library(module_objects(modules, host()), ["f7"], {})
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("f7"))
    assert call(5) == 5 + 8 * rows


def test_two_functions_of_some_length_are_two_modules() -> None:
    for rows, count in ((10, 1), (SHORT // 30, 2)):
        assert len(modules_of([adding("f0", rows), adding("f1", rows)], {}, ["f0", "f1"])) == count


def test_two_compilations_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores in (1, 2):
        monkeypatch.setattr(jit, "usable_cores", lambda cores=cores: cores)
        assert side_by_side(lambda: 1, lambda: "b") == (1, "b")
        with pytest.raises(ZeroDivisionError):
            side_by_side(lambda: 1, lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            side_by_side(lambda: 1 // 0, lambda: 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_others_compile_can_compile() -> None:
    modules, stop = many(6), threading.Event()

    def compile_on() -> None:
        while not stop.is_set():
            module_objects(modules, host())

    threads = [threading.Thread(target=compile_on) for _ in range(3)]
    for thread in threads:
        thread.start()

    def compile_six() -> None:
        made = module_objects(many(6), host())
        assert len(made) == 6 and all(made)

    try:
        for _ in range(5):
            child_of(compile_six)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_what_a_process_has_one_of_is_made_once() -> None:
    made: list[int] = []
    gate = threading.Barrier(4)

    @once
    def single() -> object:
        made.append(1)
        return object()

    found: list[object] = []

    def ask() -> None:
        gate.wait()
        found.append(single())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and len({id(one) for one in found}) == 1


def test_linkers_go_with_the_last_of_their_libraries() -> None:
    text = "define i64 @f(i64 %x) {\n  %y = mul i64 %x, 3\n  ret i64 %y\n}\n"
    image = module_object(Module(text, PLAIN), host())
    before = len(jit._linkers)
    kept = [Library([image], ["f"], {}) for _ in range(3 * jit.SERVED)]
    assert len(jit._linkers) == before + 3
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(kept[-1].address("f"))
    del kept[: 2 * jit.SERVED]
    assert len(jit._linkers) <= before + 2
    assert call(5) == 15
    kept.clear()
    assert len(jit._linkers) <= before + 1
