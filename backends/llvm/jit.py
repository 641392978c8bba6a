"""LLVM text to running code: an object per module, linked by name, unloaded when it is dropped.

    Module -> module_object -> bytes -> Library([bytes]).address("entry")

No optimisation passes run: the text is in its final form. Code that runs once in a while is made by
LLVM's quick code generator (level PLAIN), in a fifth of the time. It knows no masks of AVX-512:
scalar code only. LLVM is not asked to do two things at
once: one lock guards every call into it.
"""

import ctypes
import importlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import count
from typing import NamedTuple

import llvmlite.binding as llvm

from graphc.backends.llvm.target import Target, host

PLAIN, FAST = 0, 2  # levels of code generation
_lock = threading.RLock()
_names = count(1)
# A fork waits for other threads' compilations: the child finds LLVM whole and the lock free.
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)


def _parse(text: str, target: Target) -> llvm.ModuleRef:
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    module.data_layout = target.data_layout
    module.verify()
    return module


class Module(NamedTuple):
    """A text, and how much work LLVM is to put into its code."""

    text: str
    level: int = FAST


def module_object(module: Module, target: Target) -> bytes:
    """The object file of a module."""
    with _lock:
        machine = _machine(target, module.level)
        result: bytes = machine.emit_object(_parse(module.text, target))
        return result


def module_assembly(module: Module, target: Target) -> str:
    """The assembly of a module, for people."""
    with _lock:
        machine = _machine(target, module.level)
        result: str = machine.emit_assembly(_parse(module.text, target))
        return result


@cache
def _machine(target: Target, level: int) -> llvm.TargetMachine:
    return target.machine(level)


@cache
def _linker() -> llvm.LLJIT:
    return llvm.create_lljit_compiler(host().machine(), use_jit_link=True)


class Library:
    """Objects in memory, which find each other's symbols.

    Their code is unmapped when the last reference to the library goes.
    """

    def __init__(
        self, objects: Sequence[bytes], exports: Sequence[str], imports: Mapping[str, int]
    ) -> None:
        builder = llvm.JITLibraryBuilder().add_current_process()
        for image in objects:
            builder.add_object_img(image)
        for name, address in imports.items():
            builder.import_symbol(name, address)
        for name in exports:
            builder.export_symbol(name)
        with _lock:
            self._tracker = builder.link(_linker(), f"graphc{next(_names)}")

    def address(self, name: str) -> int:
        """Of an exported symbol; valid as long as the library lives."""
        result: int = self._tracker[name]
        return result

    def __del__(
        self,
        lock: threading.RLock = _lock,  # globals go first at exit
        exiting: Callable[[], bool] = sys.is_finalizing,
    ) -> None:
        tracker = self.__dict__.pop("_tracker", None)
        if tracker is not None and not exiting():
            with lock:
                tracker.close()


@cache
def library_symbols(names: tuple[str, ...]) -> Mapping[str, int]:
    """Addresses of functions of C and its math library."""
    found = {name: _address(ctypes.CDLL(None), name) for name in names}
    missing = [name for name, at in found.items() if at is None]
    # Python is linked with the math library nearly everywhere; asking for it runs a program.
    if missing and (path := importlib.import_module("ctypes.util").find_library("m")):
        found |= {name: _address(ctypes.CDLL(path), name) for name in missing}
    return {name: at for name, at in found.items() if at is not None}


def _address(library: ctypes.CDLL, name: str) -> int | None:
    function = getattr(library, name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value
