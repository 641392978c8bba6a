"""Identifiers for generated source: users' names are data, so they are rewritten, never trusted."""

import builtins
import keyword
import re
from collections.abc import Iterable

from graphc.backends.numba_cpu import functions

DRIVER_NAMES = frozenset(
    ("np", "prange", "view", "strided", "check", "sizes", "temporaries", "kernels", "arrays")
) | {"bind", "run"}
RESERVED = (
    frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(dir(functions)) | DRIVER_NAMES
)


class Identifiers:
    """Different identifiers for different things, close to the names that were wanted."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def fresh(self, wanted: str) -> str:
        base = re.sub(r"[^A-Za-z0-9_]", "_", wanted)
        if not base.strip("_") or base[0].isdigit() or base.startswith("__"):
            base = f"v_{base.strip('_')}"
        name, count = base, 1
        while name in self._taken or name in RESERVED:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name
