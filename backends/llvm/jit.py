"""LLVM text to running code: an object per module, linked by name, unloaded when it is dropped.

    Module -> module_object -> bytes -> Library([bytes]).address("entry")

No optimisation passes run: the text is in its final form. Code that runs once in a while is made by
LLVM's quick code generator (level PLAIN), in a fifth of the time. It knows no masks of AVX-512:
scalar code only.

Objects are made in lanes: each has code generators of its own, every module a context of its own,
so that LLVM works on several modules at once. llvmlite would let only one thread into LLVM at a
time; the two calls that take long go around its lock. One lock guards the linker.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from typing import NamedTuple, TypeVar

import llvmlite.binding as llvm
from llvmlite.binding import ffi

from graphc.backends.llvm.target import Target, host
from graphc.late_imports import late_module
from graphc.threads import usable_cores

# Levels of code generation. 2 only adds a second scheduling of instructions, whose results are as
# fast as without, for a tenth of LLVM's time.
PLAIN, FAST = 0, 1
MOST_LANES = 8
SERVED = 64  # libraries of one linker
ALONE = 1 << 13  # characters of text that are compiled sooner than a thread starts to help
First = TypeVar("First")
Second = TypeVar("Second")
_lock = threading.RLock()


class Module(NamedTuple):
    """A text, and how much work LLVM is to put into its code."""

    text: str
    level: int = FAST


class _Lane:
    """Code generators, for one thread at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._machines: dict[tuple[Target, int], llvm.TargetMachine] = {}

    def machine(self, target: Target, level: int) -> llvm.TargetMachine:
        key = (target, level)
        if key not in self._machines:
            self._machines[key] = target.machine(level)
        return self._machines[key]


_lanes = tuple(_Lane() for _ in range(MOST_LANES))


def _hold() -> None:
    """A fork waits for other threads' compilations: the child finds LLVM whole, the locks free."""
    _lock.acquire()
    for lane in _lanes:
        lane.lock.acquire()


def _let_go() -> None:
    for lane in _lanes:
        lane.lock.release()
    _lock.release()


os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)


@contextmanager
def _lane() -> Iterator[_Lane]:
    """The first lane that is free; where none is, one to wait for."""
    found = next((one for one in _lanes if one.lock.acquire(blocking=False)), None)
    if found is None:
        found = _lanes[threading.get_ident() % MOST_LANES]
        found.lock.acquire()
    try:
        yield found
    finally:
        found.lock.release()


def _parse(text: str, target: Target) -> llvm.ModuleRef:
    context, error = llvm.create_context(), ctypes.c_char_p()
    parsed = _without_lock().LLVMPY_ParseAssembly(context, text.encode(), ctypes.byref(error))
    if parsed:
        module = llvm.ModuleRef(parsed, context)
    else:
        module = llvm.parse_assembly(text, context)  # raises what is wrong
    module.triple = target.triple
    module.data_layout = target.data_layout
    module.verify()
    return module


def module_object(module: Module, target: Target) -> bytes:
    """The object file of a module."""
    with _lane() as lane:
        return _object(module, target, lane.machine(target, module.level))


def _object(module: Module, target: Target, machine: llvm.TargetMachine) -> bytes:
    parsed, error = _parse(module.text, target), ctypes.c_char_p()
    memory = _without_lock().LLVMPY_TargetMachineEmitToMemory(
        machine, parsed, 1, ctypes.byref(error)
    )
    if not memory:
        result: bytes = machine.emit_object(parsed)  # raises what is wrong
        return result
    try:
        start, size = ffi.lib.LLVMPY_GetBufferStart(memory), ffi.lib.LLVMPY_GetBufferSize(memory)
        return ctypes.string_at(start, size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(memory)


@cache
def _without_lock() -> ctypes.CDLL:
    """llvmlite's library by a handle of our own."""
    library = ctypes.CDLL(ffi.lib._name)
    for name in ("LLVMPY_ParseAssembly", "LLVMPY_TargetMachineEmitToMemory"):
        known, function = getattr(ffi.lib, name), getattr(library, name)
        function.argtypes, function.restype = known.argtypes, known.restype
    return library


def module_objects(modules: Sequence[Module], target: Target) -> tuple[bytes, ...]:
    """The object files of modules, the longest first, on as many cores as there are."""
    lanes = min(len(modules), usable_cores(), MOST_LANES)
    if sum(len(module.text) for module in modules) < ALONE:
        lanes = 1
    longest = sorted(range(len(modules)), key=lambda number: -len(modules[number].text))
    numbers = iter(longest)  # a list's iterator gives each number to one thread
    made: dict[int, bytes] = {}
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for number in numbers:
                if errors:
                    return
                made[number] = module_object(modules[number], target)
        except BaseException as error:
            errors.append(error)

    helpers = [threading.Thread(target=work, name="graphc compiler") for _ in range(lanes - 1)]
    for helper in helpers:
        helper.start()
    work()
    try:
        for helper in helpers:
            helper.join()
    except BaseException as error:  # an interrupt: what has begun ends by itself
        errors.append(error)
    if errors:
        raise errors[0]
    return tuple(made[number] for number in range(len(modules)))


def side_by_side(
    first: Callable[[], First], second: Callable[[], Second], long: bool = True
) -> tuple[First, Second]:
    """Two compilations, at once if the second is long and there is a core for it."""
    if not long or usable_cores() == 1:
        return first(), second()
    made: list[Second] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            made.append(second())
        except BaseException as error:
            errors.append(error)

    helper = threading.Thread(target=work, name="graphc compiler")
    helper.start()
    try:
        result = first()
    finally:
        helper.join()
    if errors:
        raise errors[0]
    return result, made[0]


def module_assembly(module: Module, target: Target) -> str:
    """The assembly of a module, for people."""
    with _lane() as lane:
        machine = lane.machine(target, module.level)
        result: str = machine.emit_assembly(_parse(module.text, target))
        return result


class _Linker:
    """Links libraries one after the other. What it knows of each stays even when that is gone (9
    KiB), so it serves only some, and is freed with the last of them. Used under the lock."""

    def __init__(self) -> None:
        self.jit = llvm.create_lljit_compiler(_lanes[0].machine(host(), FAST), use_jit_link=True)
        self.left, self.open = SERVED, 0

    def link(self, builder: llvm.JITLibraryBuilder) -> llvm.ResourceTracker:
        self.left -= 1
        tracker = builder.link(self.jit, f"graphc{self.left}")
        self.open += 1
        return tracker

    def release(self, tracker: llvm.ResourceTracker) -> None:
        tracker.close()
        self.open -= 1
        if not self.open and not self.left:
            _linkers.remove(self)
            self.jit.close()


_linkers: list[
    _Linker
] = []  # here, as the garbage collector must not free one before its libraries


def _linker() -> _Linker:
    """The one for the next library."""
    if not _linkers or not _linkers[-1].left:
        _linkers.append(_Linker())
    return _linkers[-1]


def once(make: Callable[[], First]) -> Callable[[], First]:
    """What a process has one of, whichever thread asks first."""
    made: list[First] = []

    @wraps(make)
    def found() -> First:
        if not made:
            with _lock:
                if not made:
                    made.append(make())
        return made[0]

    return found


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
            self._linker = _linker()
            self._tracker = self._linker.link(builder)

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
                self._linker.release(tracker)


@cache
def library_symbols(names: tuple[str, ...]) -> Mapping[str, int]:
    """Addresses of functions of C and its math library."""
    process = ctypes.CDLL(None)
    found = {name: _address(process, name) for name in names}
    missing = [name for name, at in found.items() if at is None]
    # Python is linked with the math library nearly everywhere; asking for it runs a program.
    if missing and (path := late_module("ctypes.util").find_library("m")):
        library = ctypes.CDLL(path)
        found |= {name: _address(library, name) for name in missing}
    return {name: at for name, at in found.items() if at is not None}


def _address(library: ctypes.CDLL, name: str) -> int | None:
    function = getattr(library, name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value
