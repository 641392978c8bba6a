"""No read and no write outside the memory of a call: tasks run between guard pages.

Each batch of tasks runs in a process of its own (see `tests.guarded_runs`), which a stray access
ends; the task that it was at is reported, and the others go on in the next process.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from graphc.ir.registry import OPS
from tests.guarded_runs import cases
from tests.random_programs import FAMILIES
from tests.variants import NAMES

ROOT = Path(__file__).resolve().parents[3]
SIDES = ("end", "start")
TOGETHER = 12  # ops in one test
QUICK_CASES = (
    *(
        "product float32",
        "product bfloat16",
        "softmax",
        "convolution 3x3",
        "tape",
        "static rests",
        "pieces",
    ),
    *("neighbours", "regression"),
)
GRADIENTS = [name for name in NAMES if OPS[name].vjp is not None]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the mmap of Linux")


def process(tasks: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    threads = {"OPENBLAS_NUM_THREADS": "1", "GRAPHC_CACHE": "off", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "tests.guarded_runs", *tasks],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **threads},
        check=False,
    )


def failures(tasks: Sequence[str]) -> list[str]:
    """What went wrong with each task that failed."""
    found: list[str] = []
    waiting = list(tasks)
    while waiting:
        done = process(waiting)
        started = [line[2:] for line in done.stdout.splitlines() if line.startswith("> ")]
        assert started, done.stderr
        failed = done.stdout.split("\n! ")[1:]
        found += [text.split("\n> ")[0] for text in failed]
        if done.returncode:
            last = done.stdout.splitlines()[-1]
            end = -done.returncode
            name = signal.Signals(end).name if end > 0 else f"status {-end}"
            found.append(f"{started[-1]}: {name} at {last.strip()!r}\n{done.stderr[-500:]}")
        waiting = waiting[len(started) :]
    return found


def check(tasks: Sequence[str]) -> None:
    found = failures(tasks)
    assert not found, "\n\n".join(found)


def test_a_stray_access_is_found() -> None:
    """The mode itself: reads and writes behind, before and beside an array."""
    for side in SIDES:
        for place in ("behind", "before"):
            done = process([f"stray {side} {place}"])
            assert done.returncode in (-signal.SIGSEGV, -signal.SIGABRT), (side, place, done)


@pytest.mark.parametrize("first", range(4))
def test_some_cases(first: int) -> None:
    check([f"case {name}" for name in QUICK_CASES[first::4]])


def test_some_ops() -> None:
    check([f"op {name}" for name in ("matmul", *NAMES[::8])])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("first", range(4))
def test_all_cases(first: int) -> None:
    check([f"case {name}" for name in [*cases()][first::4]])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("family", FAMILIES)
def test_random_programs(family: str) -> None:
    check([f"random {seed} {family}" for seed in range(3000, 3020)])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("first", range(0, len(NAMES), TOGETHER))
def test_every_size_and_width_of_ops(first: int) -> None:
    """What stands for the whole product below, which takes a day: see `tests.variants.thinned`.

    A quarter of an hour of processor time for all ops.
    """
    check([f"widths {name}" for name in NAMES[first : first + TOGETHER]])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(0, len(NAMES), TOGETHER))
def test_all_variants_of_ops(first: int) -> None:
    check([f"all {name}" for name in NAMES[first : first + TOGETHER]])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("first", range(0, len(GRADIENTS), 4 * TOGETHER))
def test_gradients_of_ops(first: int) -> None:
    check([f"gradients {name}" for name in GRADIENTS[first : first + 4 * TOGETHER]])
