"""Modules that are imported when they are first needed, and never while this process forks.

A module that one thread imports while another forks stays half imported in the child: no thread
there will ever finish it, and whoever needs it waits for ever. So a fork waits for imports of this
kind.
"""

import importlib
import os
import threading
from types import ModuleType

_lock = threading.RLock()
_known: dict[str, ModuleType] = {}


def late_module(name: str) -> ModuleType:
    """The module of that name. Raises what its import raises."""
    found = _known.get(name)
    if found is None:
        with _lock:
            found = _known[name] = importlib.import_module(name)
    return found


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
