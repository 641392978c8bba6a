"""Modules that are imported when they are first needed, and never while this process forks.

A module that one thread imports while another forks stays half imported in the child: no thread
there will ever finish it, and whoever needs it waits for ever. So a fork waits for imports of this
kind.
"""

import importlib
import os
import sys
import threading
from importlib.machinery import ExtensionFileLoader, PathFinder
from importlib.util import module_from_spec
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


def late_extension(name: str) -> ModuleType:
    """The extension module of that name, of the packages around it the outermost alone.

    For one that needs nothing else of them: the rest of scipy.linalg takes a quarter of a second.
    Raises what its import raises.
    """
    found = _known.get(name)
    if found is None:
        with _lock:
            found = _known[name] = _alone(name) or importlib.import_module(name)
    return found


def _alone(name: str) -> ModuleType | None:
    parent = name.rpartition(".")[0]
    if parent in sys.modules:
        return None
    first, *inner = parent.split(".")
    folders = [os.path.join(one, *inner) for one in importlib.import_module(first).__path__]
    spec = PathFinder.find_spec(name, folders)
    if spec is None or not isinstance(spec.loader, ExtensionFileLoader):
        return None
    try:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:  # it does need something
        return None
    finally:
        # Whoever imports it later imports its packages, which then know it.
        if parent not in sys.modules:
            sys.modules.pop(name, None)
    return module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
