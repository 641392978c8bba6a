"""Every example runs, and asserts its own result."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run_example(path: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "path", [p for p in EXAMPLES if p.name != "demo.py"], ids=lambda path: path.stem
)
def test_example(path: Path) -> None:
    assert run_example(path)


def test_demo_shows_every_stage() -> None:
    """Two epochs only; `make demo` trains to the end and checks the test error."""
    text = run_example(ROOT / "examples" / "demo.py", "--quick")
    for part in (
        "logistic regression",
        "test accuracy",
        "graph train(x: float32[n, 64], y: int64[n])",
        "the rules that fired",
        "memory plan of train",
        "numpy, by hand",
        "numba_cpu",
    ):
        assert part in text
    assert "demo.py:" in text.split("kernels, with the lines")[1]


@pytest.mark.slow
def test_demo_reaches_the_test_error() -> None:
    assert "test error 9." in run_example(ROOT / "examples" / "demo.py")
