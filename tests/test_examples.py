"""Every example runs, and asserts its own result."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = [p for p in sorted((ROOT / "examples").glob("*.py")) if p.name != "gallery.py"]
DRAWING = {path.stem for path in EXAMPLES if "from gallery import" in path.read_text()}


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
def test_example(path: Path, tmp_path: Path) -> None:
    """A small run; where the example draws, also its figure."""
    if path.stem not in DRAWING:
        assert run_example(path)
        return
    picture = tmp_path / "figure.png"
    assert run_example(path, "--quick", "--figure", str(picture))
    if importlib.util.find_spec("matplotlib"):
        data = picture.read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) > 5000


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DRAWING))
def test_whole_example(name: str, tmp_path: Path) -> None:
    """All epochs, and the results that the examples promise then."""
    assert run_example(ROOT / "examples" / f"{name}.py", "--figure", str(tmp_path / "figure.png"))


def test_the_page_on_examples_has_all() -> None:
    page = (ROOT / "docs" / "examples.md").read_text()
    for path in EXAMPLES:
        assert f"(../examples/{path.name})" in page, path.name


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
