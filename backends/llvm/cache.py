"""Objects kept on disk, so that a program is compiled once for all processes.

An entry is named by the hash of everything that decides its bytes: the text, the processor, the
versions. It holds a hash of its name and content. Entries are written to a file of their own and
renamed: a reader sees a whole entry or none, and writers need no lock. Objects are code, so the
folder is used only if it belongs to the user and nobody else may write to it; nothing in it is
unpickled.

The folder is $GRAPHC_CACHE, or graphc under $XDG_CACHE_HOME or ~/.cache; GRAPHC_CACHE=off means
none. It is made when the first entry is written. The oldest entries go when it outgrows LARGEST.
A folder that is not trusted, a damaged entry and one that cannot be written are no errors: each is
told once, as a warning.
"""

import hashlib
import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from graphc import errors
from graphc.backends.llvm.jit import Module, module_objects
from graphc.backends.llvm.recent import State, state_of
from graphc.backends.llvm.target import Target
from graphc.ir.source import current_source

FORMAT = b"graphc object 3\n"
PROGRAM_FORMAT = b"graphc program 3\n"
SUFFIX = ".gco"
PROGRAM_SUFFIX = ".gcp"
LARGEST = 256 << 20  # bytes of all entries
PRUNE_EVERY = 64  # entries written by one process


class CachedObjects(NamedTuple):
    """The objects of modules. origin: "found", or why they were compiled."""

    objects: tuple[bytes, ...]
    origin: str
    key: str = ""  # of the entry


def cached_objects(modules: Sequence[Module], target: Target, use: bool = True) -> CachedObjects:
    """The object files of modules, from the cache if they are there, else compiled and kept."""
    if not use:
        return CachedObjects(module_objects(modules, target), "compiled: cache=False")
    folder = cache_folder()
    if folder is None:
        return CachedObjects(module_objects(modules, target), "compiled: no folder for a cache")
    doubt = distrust(folder)
    if doubt is not None:
        _warn_of_folder(doubt)
        return CachedObjects(module_objects(modules, target), f"compiled: {doubt}")
    key = entry_key(modules, target)
    path = folder / (key + SUFFIX)
    image, reason = _read(path, FORMAT)
    if image is not None:
        return CachedObjects(_parted(image), "found", key)
    objects = module_objects(modules, target)
    failure = _write(path, FORMAT, _joined(objects))
    return CachedObjects(objects, f"compiled: {reason}{failure}", key)


def _joined(objects: Sequence[bytes]) -> bytes:
    """Objects as one: the length of each, in 8 bytes, and the object."""
    return b"".join(len(one).to_bytes(8, "little") + one for one in objects)


def _parted(image: bytes) -> tuple[bytes, ...]:
    objects: list[bytes] = []
    start = 0
    while start < len(image):
        first = start + 8
        start = first + int.from_bytes(image[start:first], "little")
        objects.append(image[first:start])
    return tuple(objects)


def trusted_folder() -> Path | str:
    """Where entries are read, or why none are."""
    folder = cache_folder()
    if folder is None:
        return "no folder for a cache"
    doubt = distrust(folder)
    if doubt is not None:
        _warn_of_folder(doubt)
        return doubt
    return folder


class KeptProgram(NamedTuple):
    """A description and its objects, as they were kept. paths, state: of their files."""

    description: bytes
    objects: tuple[bytes, ...]
    paths: tuple[Path, ...]
    state: State


def recalled_program(name: str, folder: Path) -> KeptProgram | str:
    """What was kept under this name in a folder that is trusted; or why there is nothing.

    A description is kept apart from its objects, which several may share; without them it is worth
    nothing.
    """
    path = folder / (name + PROGRAM_SUFFIX)
    before = state_of((path,))
    content, reason = _read(path, PROGRAM_FORMAT)
    if content is None:
        return reason
    head, _, description = content.partition(b"\n")
    key = head.decode("ascii", "replace")
    if len(key) != 64 or not key.isalnum():
        return "the entry was broken"
    others = (folder / (key + SUFFIX),)
    state = state_of(others)
    objects = kept_objects(key, folder)
    if isinstance(objects, str):
        return objects
    known = () if before is None or state is None else before + state
    return KeptProgram(description, objects, (path, *others), known)


def kept_objects(key: str, folder: Path) -> tuple[bytes, ...] | str:
    """The objects of an entry, or why there are none. The folder is one that is trusted."""
    image, reason = _read(folder / (key + SUFFIX), FORMAT, remove=False)
    return f"its object: {reason}" if image is None else _parted(image)


def keep_program(name: str, key: str, description: bytes) -> str:
    """Keep the description of a program whose object has that key. What went wrong, if anything."""
    folder = cache_folder()
    if folder is None or not key:
        return "no folder for a cache"
    path = folder / (name + PROGRAM_SUFFIX)
    return _write(path, PROGRAM_FORMAT, key.encode() + b"\n" + description)


def program_key(fingerprint: bytes, target: Target, *parts: str) -> str:
    """The name of a program: a hash of its graph's name and of all that turns it into code."""
    return _hash(target, fingerprint.hex(), _sources(), *parts)


@cache
def _sources() -> str:
    """The version of the compiler: the paths, sizes and dates of its files."""
    backends, compiler = Path(__file__).resolve().parents[1], Path(errors.__file__).resolve().parent
    layers = (compiler / "layers").resolve()  # of a checkout it is a link, which is not followed
    roots = [backends, compiler, *([layers] if layers.parent != compiler else [])]
    waiting = [str(root) for root in roots]
    files: list[str] = []
    while waiting:
        with os.scandir(waiting.pop()) as found:
            for entry in found:
                if entry.name.endswith(".py"):
                    state = entry.stat()
                    files.append(f"{entry.path} {state.st_size} {state.st_mtime_ns}\n")
                elif entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__":
                    waiting.append(entry.path)
    return hashlib.sha256("".join(sorted(files)).encode(errors="surrogateescape")).hexdigest()


def cache_folder() -> Path | None:
    """Where entries are kept; None where the user wants none or has no home."""
    known = os.environ.get
    home = known("HOME", ""), known("USERPROFILE", "")  # what expanduser goes by
    return _folder_of(known("GRAPHC_CACHE", ""), known("XDG_CACHE_HOME", ""), home)


@lru_cache(8)
def _folder_of(chosen: str, base: str, _: tuple[str, str]) -> Path | None:
    if chosen:
        return None if chosen.lower() in ("off", "0", "no", "false") else Path(chosen)
    if base and os.path.isabs(base):
        return Path(base) / "graphc"
    home = os.path.expanduser("~")
    return Path(home) / ".cache" / "graphc" if os.path.isabs(home) else None


def distrust(folder: Path) -> str | None:
    """Why code from this folder must not be run; None if it may, or if it does not exist yet."""
    if not hasattr(os, "geteuid"):
        return None
    try:
        found = folder.stat()
    except FileNotFoundError:
        return f"{folder} is a dangling link" if folder.is_symlink() else None
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is no folder"
    if found.st_uid != os.geteuid():
        return f"{folder} belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{folder} may be written by others"
    return None


def entry_key(modules: Sequence[Module], target: Target) -> str:
    """The name of the entry: a hash of all that the objects depend on."""
    return _hash(target, *(f"level {module.level}\n{module.text}" for module in modules))


def _hash(target: Target, *parts: str) -> str:
    processor = (target.triple, target.cpu, target.features, target.data_layout)
    digest = hashlib.sha256(FORMAT)
    for part in (*processor, _versions(), *parts):
        data = part.encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


@cache
def _versions() -> str:
    numpy, python = np.__version__, sys.version
    return f"llvmlite {llvmlite.__version__}, LLVM {llvm.llvm_version_info}, {numpy}, {python}"


def _read(path: Path, format: bytes, remove: bool = True) -> tuple[bytes | None, str]:
    """The content, or None and why there is none. What is broken is removed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, "first time"
    except OSError as error:
        return None, f"{path}: {error.strerror}"
    head = len(format) + hashlib.sha256().digest_size
    image = content[head:]
    if content[:head] == format + _digest(path, image):
        return image, ""
    if remove:
        with suppress(OSError):
            path.unlink()
    _warn(f"{path} was damaged: the function is compiled anew, and the entry replaced")
    return None, "the entry was broken"


def _digest(path: Path, image: bytes) -> bytes:
    """Of the name too: a whole entry under the name of another is other code."""
    digest = hashlib.sha256(path.name.encode() + b"\n")
    digest.update(image)
    return digest.digest()


def _write(path: Path, format: bytes, image: bytes) -> str:
    """Keep an entry. What went wrong, if something did: a cache that fails is no error."""
    global _written
    temporary = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        doubt = distrust(path.parent)  # somebody may have been quicker to make it
        if doubt is not None:
            return f", not kept: {doubt}"
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".new")
        with os.fdopen(handle, "wb") as file:
            file.write(format + _digest(path, image) + image)
        os.replace(temporary, path)
        temporary = None
        _written += 1
        if _written % PRUNE_EVERY == 0:
            prune(path.parent)
    except OSError as error:
        problem = error.strerror or str(error)
        _warn(
            f"compiled code cannot be kept in {path.parent}: {problem}. Functions are compiled in "
            "every process; set $GRAPHC_CACHE to a folder of yours, or to off"
        )
        return f", not kept: {problem}"
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return ""


_written = 0
_told: set[str] = set()


def _warn(message: str) -> None:
    """Once in a process, at the user's line."""
    if message not in _told:
        _told.add(message)
        place = current_source()
        filename, line = (__file__, 1) if place is None else (place.filename, place.line)
        warnings.warn_explicit(f"graphc: {message}", UserWarning, filename, line)


def _warn_of_folder(doubt: str) -> None:
    _warn(
        f"{doubt}: code in it is not run, and none is kept. Use a folder that is yours alone "
        "(chmod 700), or set $GRAPHC_CACHE to another one, or to off"
    )


def prune(folder: Path, largest: int = LARGEST) -> int:
    """Remove the entries that were written longest ago until `largest` bytes are left; how many."""
    entries = sorted(_entries(folder), key=lambda entry: entry[1].st_mtime_ns, reverse=True)
    total = removed = 0
    for path, found in entries:
        total += found.st_size
        if total > largest:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def clear(folder: Path) -> int:
    """Remove all entries; how many."""
    return prune(folder, -1)


def usage(folder: Path) -> tuple[int, int]:
    """The number of entries, and their bytes."""
    sizes = [found.st_size for _, found in _entries(folder)]
    return len(sizes), sum(sizes)


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Entries, and what interrupted writers left behind."""
    found = []
    try:
        paths = [p for p in folder.iterdir() if p.suffix in (SUFFIX, PROGRAM_SUFFIX, ".new")]
    except OSError:
        return []
    for path in paths:
        try:
            found.append((path, path.lstat()))
        except OSError:
            continue  # gone meanwhile
    return found
