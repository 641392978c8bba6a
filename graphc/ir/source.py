"""Where the user wrote an expression: the first frame outside graphc."""

import linecache
import os
import sys
import threading
from types import CodeType, FrameType

import numpy as np

from graphc.errors import GraphcError
from graphc.records import dataclass

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# backends/ and layers/ are reached through symlinks in a checkout; both spellings are ours. Nor has
# the user written numpy, which asks for what a tensor does not have: np.sum(x), np.roll(a, x).
_OWN_PREFIXES = tuple(
    {
        _PACKAGE + os.sep,
        os.path.dirname(np.__file__) + os.sep,
        *(
            os.path.realpath(os.path.join(_PACKAGE, name)) + os.sep
            for name in ("backends", "layers")
        ),
    }
)

MOST_FILES = 4096  # cells of notebooks are files too
MOST_LINES = 4096
_own: dict[str, bool] = {}  # whether a file is graphc's: asked for every frame of every node


@dataclass(frozen=True, slots=True)
class Source:
    """One line of the user's program."""

    filename: str
    line: int
    function: str = ""

    @property
    def short(self) -> str:
        """`train.py:12`"""
        return f"{os.path.basename(self.filename)}:{self.line}"

    @property
    def text(self) -> str:
        """The line as the user wrote it, or an empty string if the file is not readable."""
        return linecache.getline(self.filename, self.line).strip()

    def describe(self) -> str:
        """`train.py:12   h = gc.tanh(x @ W1 + b1)`"""
        text = self.text
        return f"{self.short}   {text}" if text else self.short


Sources = tuple[Source, ...]

_lines: dict[tuple[int, int], tuple[CodeType, Sources]] = {}


class _Scope(threading.local):
    sources: Sources | None = None


_scope = _Scope()


class source_scope:  # noqa: N801 - used as `with source_scope(...)`; a generator takes thrice as long
    """Nodes built inside carry `sources` instead of the current frame (rewrites, derivatives)."""

    __slots__ = ("previous", "sources")

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def __enter__(self) -> None:
        self.previous = _scope.sources
        _scope.sources = self.sources

    def __exit__(self, *error: object) -> None:
        _scope.sources = self.previous


def current_sources() -> Sources:
    """The sources for a node that is built now."""
    sources = _scope.sources
    if sources is not None:
        return sources
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        own = _own.get(filename)
        if own is None:
            own = filename.startswith(_OWN_PREFIXES)
            if len(_own) < MOST_FILES:
                _own[filename] = own
        if not own:
            return _line_of(frame)
        frame = frame.f_back
    return ()


def _line_of(frame: FrameType) -> Sources:
    """The line that a frame is at. Kept by instruction: finding its number means counting."""
    code = frame.f_code
    key = (id(code), frame.f_lasti)
    known = _lines.get(key)
    if known is not None and known[0] is code:
        return known[1]
    if len(_lines) >= MOST_LINES:
        _lines.clear()
    sources = (Source(code.co_filename, frame.f_lineno, code.co_name),)
    _lines[key] = (code, sources)
    return sources


def current_source() -> Source | None:
    """The user's line, for an error that is raised now."""
    sources = current_sources()
    return sources[0] if sources else None


GraphcError.locate = staticmethod(current_source)


def merge_sources(*groups: Sources, limit: int = 8) -> Sources:
    """The union in order of first appearance; at most `limit`, so that chains stay cheap."""
    first = groups[0] if groups else ()
    for group in groups:
        if group is not first and group != first:
            break
    else:
        return first if len(first) <= limit else first[:limit]
    merged: dict[Source, None] = {}
    for group in groups:
        for source in group:
            merged.setdefault(source)
            if len(merged) == limit:
                return tuple(merged)
    return tuple(merged)
