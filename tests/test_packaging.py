"""The package list, the two mapped folders, and what `import graphc` leaves behind."""

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAPPED = ("backends", "layers")
SOURCE_FOLDERS = ("graphc", *MAPPED, "tests", "examples", "benchmarks", "scripts")

# Runs in a fresh interpreter. numpy comes first: what it sets up itself is not graphc's doing.
IMPORT_PROBE = """
import os, sys
import numpy

def state():
    return {
        "numpy error state": numpy.geterr(),
        "numpy print options": numpy.get_printoptions(),
        "environment": dict(os.environ),
        "recursion limit": sys.getrecursionlimit(),
        "numpy random state": str(numpy.random.get_state()),
    }

written = []
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}

def watch(event, arguments):
    if event == "open" and arguments[2] & WRITES and arguments[0] != os.devnull:
        written.append(str(arguments[0]))
    elif event in CHANGES:
        written.append(f"{event}: {arguments[0]}")

before = state()
sys.addaudithook(watch)
import graphc
assert not written, f"import graphc wrote {written}"
after = state()
changed = [name for name in before if before[name] != after[name]]
assert not changed, f"import graphc changed {changed}"
"""


def python_files() -> Iterator[Path]:
    for folder in SOURCE_FOLDERS:
        for parent, _, files in os.walk(ROOT / folder):  # os.walk does not follow the links
            yield from (Path(parent, name) for name in sorted(files) if name.endswith(".py"))


def imported_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_packages_are_the_folders_with_an_init_file() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed: list[str] = settings["tool"]["setuptools"]["packages"]
    found = set()
    for path in python_files():
        folder = path.parent.relative_to(ROOT)
        if path.name == "__init__.py" and folder.parts[0] in ("graphc", *MAPPED):
            prefix = ("graphc",) if folder.parts[0] in MAPPED else ()
            found.add(".".join(prefix + folder.parts))
    assert len(listed) == len(set(listed))
    assert set(listed) == found


@pytest.mark.parametrize("name", MAPPED)
def test_link_leads_to_the_top_level_folder(name: str) -> None:
    link = ROOT / "graphc" / name
    assert link.is_symlink()
    assert link.resolve() == ROOT / name


def test_imports_are_absolute_and_under_graphc() -> None:
    wrong = []
    for path in python_files():
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        wrong += [
            f"{path.relative_to(ROOT)}: {name}"
            for name in imported_names(tree)
            if name.startswith(".") or name.partition(".")[0] in MAPPED
        ]
    assert not wrong


@pytest.mark.parametrize("name", MAPPED)
def test_mapped_package_has_one_name(name: str, tmp_path: Path) -> None:
    probe = (
        f"import importlib.util, graphc.{name}\n"
        f"assert importlib.util.find_spec({name!r}) is None, 'a bare {name} can be imported'\n"
    )
    run_python(probe, tmp_path)


def test_import_writes_nothing_and_sets_no_global_state(tmp_path: Path) -> None:
    run_python(IMPORT_PROBE, tmp_path)
    assert not list(tmp_path.iterdir())


def run_python(code: str, folder: Path) -> None:
    """Run code in a fresh interpreter whose working, home, cache and temporary folder is folder."""
    places = {name: str(folder) for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR", "NUMBA_CACHE_DIR")}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=folder,
        env=environment | places,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_heavy_packages_load_when_they_are_needed() -> None:
    program = "import sys, graphc; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split())
    heavy = {"matplotlib", "networkx", "numba", "rich", "scipy", "sklearn", "typer"}
    assert "graphc" in loaded and not loaded & heavy


def test_lowest_versions_are_those_that_can_be_tested() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    lines = (ROOT / "tests" / "lowest.txt").read_text().splitlines()
    lowest = dict(line.split("==") for line in lines if not line.startswith("#"))
    allowed = dict(one.split(">=") for one in needed)
    assert list(lowest) == list(allowed)
    for name, version in allowed.items():
        assert lowest[name].removesuffix(".0") == version.removesuffix(".0"), name
