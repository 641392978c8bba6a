"""The cache of compiled objects: found again, never trusted blindly, never in the way."""

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm import cache
from graphc.backends.llvm.jit import FAST, PLAIN, Module
from graphc.backends.llvm.pool import parallel_address
from graphc.backends.llvm.target import describe, host
from tests.children import told_by

ROOT = Path(__file__).resolve().parents[3]
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    parallel_address()  # the thread pool, whose object is kept as well
    path = tmp_path / "some" / "folder"
    monkeypatch.setenv("GRAPHC_CACHE", str(path))
    monkeypatch.setattr(cache, "_told", set())
    return path


def origin(**options: Any) -> str:
    """Compile, check the result, and tell where the object came from."""
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], gc.tanh(x) + 1, **options)
    np.testing.assert_allclose(f([0, 1]), np.tanh([0, 1]) + 1, rtol=1e-6)
    found: str = f.stats()["origin"]
    return found


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_an_object_is_found_again(folder: Path) -> None:
    assert origin() == "compiled: first time"
    assert origin() == "found"
    entry, program = entries(folder)
    assert {entry.suffix, program.suffix} == {cache.SUFFIX, cache.PROGRAM_SUFFIX}
    assert folder.stat().st_mode & 0o077 == 0
    assert cache.usage(folder) == (2, entry.stat().st_size + program.stat().st_size)


def test_functions_may_do_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert origin(cache=False) == "compiled: cache=False"
    monkeypatch.setenv("GRAPHC_CACHE", "off")
    assert origin() == "compiled: no folder for a cache"
    assert not folder.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
        lambda content: b"\x80\x04]." + content,
    ],
)
def test_a_broken_entry_is_replaced(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    origin()
    (entry,) = (path for path in entries(folder) if path.suffix == cache.SUFFIX)
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    with pytest.warns(UserWarning, match="was damaged") as warned:
        assert origin() == "compiled: the entry was broken"
    assert {warning.filename for warning in warned} == {__file__}  # the line that compiles
    assert entry.read_bytes() == whole
    assert origin() == "found"


def test_an_entry_under_the_name_of_another_is_not_used(folder: Path) -> None:
    """Whole and with a right hash, but other code: by a copy or a rename of the user's."""
    x = gc.placeholder("x", ("n",))
    for function in (gc.sin, gc.cos):
        gc.function([x], function(x) + 1)
    for suffix in (cache.SUFFIX, cache.PROGRAM_SUFFIX):
        paths = [path for path in entries(folder) if path.suffix == suffix]
        contents = [path.read_bytes() for path in paths]
        for path, content in zip(paths, [*contents[1:], contents[0]], strict=True):
            path.write_bytes(content)
        with pytest.warns(UserWarning, match="was damaged"):
            for function, wanted in ((gc.sin, 1.0), (gc.cos, 2.0)):
                assert gc.function([x], function(x) + 1)([0]) == wanted


@posix
def test_a_folder_that_others_may_write_is_not_used(folder: Path) -> None:
    folder.mkdir(parents=True)
    with pytest.warns(UserWarning, match="may be written by others") as warned:
        for mode in (0o770, 0o707, 0o777):
            folder.chmod(mode)
            assert "may be written by others" in origin()
    assert len(warned) == 1  # once in a process
    assert entries(folder) == []
    folder.chmod(0o700)
    assert origin() == "compiled: first time"


@posix
def test_a_folder_of_another_user_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.warns(UserWarning, match="belongs to another user"):
        assert "belongs to another user" in origin()


@pytest.mark.skipif(not hasattr(os, "fork") or os.geteuid() != 0, reason="needs root")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:graphc")
def test_another_user_at_the_same_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may read what root has kept does not run it; who may not write keeps nothing."""
    parallel_address()
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        folder, own = Path(open_to_all) / "folder", Path(open_to_all) / "own"
        monkeypatch.setenv("GRAPHC_CACHE", str(folder))
        origin()
        folder.chmod(0o755)
        before = [(path, path.read_bytes()) for path in entries(folder)]
        own.mkdir(0o500)
        os.chown(own, 65534, 65534)
        answers = as_user(65534, folder, own)
        assert "belongs to another user" in answers and "not kept: Permission denied" in answers
        assert [(path, path.read_bytes()) for path in entries(folder)] == before
        assert entries(own) == []


def as_user(number: int, *folders: Path) -> str:
    """What `origin` says for each folder in a child of that user."""

    def answers() -> str:
        os.seteuid(number)
        found = []
        for folder in folders:
            os.environ["GRAPHC_CACHE"] = str(folder)
            found.append(origin())
        return repr(found)

    return told_by(answers)


@pytest.mark.filterwarnings("ignore:graphc")
def test_a_file_a_dangling_link_or_a_loop_in_its_place(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("mine")
    with pytest.warns(UserWarning, match="is no folder"):
        assert "is no folder" in origin()
    assert folder.read_text() == "mine"
    folder.unlink()
    folder.symlink_to(folder.parent / "nowhere")
    assert "dangling" in origin()
    folder.unlink()
    folder.symlink_to(folder)
    assert origin().startswith("compiled: ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert "not kept" in origin()
    folder.chmod(0o700)


def test_a_full_disk_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert origin() == "compiled: first time, not kept: No space left on device"
    assert entries(folder) == []


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GRAPHC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "graphc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.cache_folder() == tmp_path / "home" / ".cache" / "graphc"


def test_the_key_tells_texts_processors_and_levels_apart() -> None:
    target = host()
    other = describe(target.triple, "x86-64", "", frozenset())
    keys = {
        cache.entry_key([Module(text, level)], t)
        for text in ("a", "b")
        for t in (target, other)
        for level in (PLAIN, FAST)
    }
    assert len(keys) == 8


def test_the_oldest_entries_go_first(tmp_path: Path) -> None:
    for age in range(5):
        path = tmp_path / f"{age}{cache.SUFFIX}"
        path.write_bytes(bytes(10))
        os.utime(path, ns=(0, 10**9 * (100 - age)))
    (tmp_path / "other.txt").write_text("not mine")
    assert cache.prune(tmp_path, 25) == 3
    assert [p.name for p in entries(tmp_path)] == ["0.gco", "1.gco", "other.txt"]
    assert cache.clear(tmp_path) == 2


PROGRAM = """
    import numpy as np, graphc as gc
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], gc.exp(x) * gc.sum(x))
    assert np.allclose(f([0, 1]), np.exp([0, 1]))
    print(f.stats()["origin"])
"""


def start(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        env={**os.environ, "GRAPHC_CACHE": str(folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_share_it(folder: Path) -> None:
    together = [start(folder) for _ in range(3)]
    assert all(p.communicate(timeout=100)[0] for p in together)
    assert all(p.returncode == 0 for p in together)
    suffixes = sorted(p.suffix for p in entries(folder))
    assert suffixes == [cache.SUFFIX, cache.SUFFIX, cache.PROGRAM_SUFFIX]  # and the thread pool
    assert start(folder).communicate(timeout=100)[0] == "found\n"


def test_a_killed_writer_leaves_no_half_entry(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    (folder / "abc.new").write_bytes(b"half")
    assert origin() == "compiled: first time"
    assert origin() == "found"
    assert cache.clear(folder) == 3
