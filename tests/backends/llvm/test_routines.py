"""Routines that programs share: one copy in the process, one entry on disk."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm import cache, routines
from graphc.backends.llvm.jit import FAST, PLAIN, module_object
from graphc.backends.llvm.modules import modules_of
from graphc.backends.llvm.target import host
from graphc.backends.llvm.text import FunctionText

SCRIPT = """
import numpy as np
import graphc as gc
x, y = gc.placeholder("x", (None, 60)), gc.placeholder("y", (60, None))
first = gc.function([x, y], x @ y)
second = gc.function([x, y], gc.tanh(x @ y) @ (x @ y).T)
a, b = np.ones((30, 60), "float32"), np.ones((60, 40), "float32")
assert (first(a, b) == 60).all() and (second(a, b) == 2400).all()
print(first.stats()["program"], "|", second.stats()["program"])
"""


def product(rows: int) -> gc.Function:
    x, y = gc.placeholder("x", (rows, "k")), gc.placeholder("y", ("k", "n"))
    return gc.function([x, y], x @ y, cache=False)


def test_programs_share_their_products() -> None:
    product(100)
    before = len(routines._tables[host()].loaded)
    f = product(101)
    assert len(routines._tables[host()].loaded) == before
    a, b = np.ones((101, 70), "float32"), np.ones((70, 33), "float32")
    np.testing.assert_array_equal(f(a, b), a @ b)
    assert "@gemm_f32_nn" in f.llvm()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run() -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_routines_are_found_by_other_processes(folder: Path) -> None:
    assert run() == "compiled: first time | compiled: first time"
    kept = sorted(folder.iterdir())
    assert run() == "found | found"
    assert sorted(folder.iterdir()) == kept


def test_programs_whose_routines_are_gone_are_compiled_again(folder: Path) -> None:
    run()
    largest = max(folder.glob(f"*{cache.SUFFIX}"), key=lambda path: path.stat().st_size)
    largest.unlink()  # the product
    assert run().startswith("compiled: its object: first time |")
    assert run() == "found | found"


def test_code_between_kernels_is_a_module_of_its_own() -> None:
    kernel = FunctionText("define internal void @k(ptr %p) {\n  ret void\n}\n", set(), {})
    call = "  call void @k(ptr %p)\n"
    text = f"define void @entry(ptr %p) {{\n{call * 200}  ret void\n}}\n"
    fast, plain = modules_of([kernel, FunctionText(text, set(), {}, plain=True)], {})
    assert (fast.level, plain.level) == (FAST, PLAIN)
    assert "define void @k(ptr %p)" in fast.text  # no longer internal
    assert "declare void @k(ptr %p)" in plain.text


def test_a_little_code_between_kernels_is_compiled_beside_them_and_not_optimised() -> None:
    kernel = FunctionText("define internal void @k(ptr %p) {\n  ret void\n}\n", set(), {})
    text = "define void @entry(ptr %p) {\n  call void @k(ptr %p)\n  ret void\n}\n"
    (only,) = modules_of([kernel, FunctionText(text, set(), {}, plain=True)], {})
    assert only.level == FAST
    assert "define internal void @k(ptr %p) {" in only.text
    assert "define void @entry(ptr %p) noinline optnone {" in only.text
    assert module_object(only, host())
