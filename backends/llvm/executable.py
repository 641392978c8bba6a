"""A program in machine code, and what may be asked of it."""

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.backends.base import BoundProgram, CallLayout, CRequest
from graphc.backends.blas_threads import (
    BlasThreads,
    routine_may_use_threads,
)
from graphc.backends.llvm.bound import Bound, Places
from graphc.backends.llvm.direct_call import DirectCall, is_possible
from graphc.backends.llvm.emitted import Emitted
from graphc.backends.llvm.exchange import Exchange
from graphc.backends.llvm.heap import HeapTable
from graphc.backends.llvm.host import HostCalls
from graphc.backends.llvm.jit import Library, module_assembly
from graphc.backends.llvm.profiling import LAPS, words
from graphc.backends.llvm.stored import PLAIN_STEPS, Facts
from graphc.backends.llvm.target import host
from graphc.late_imports import late_module
from graphc.loops.ir import HostCall, Program
from graphc.records import dataclass
from graphc.shapes import evaluate

if TYPE_CHECKING:  # imported when it is used, which is rare
    from graphc.backends.llvm.c_entry import CEntry

MANY = 1 << 20
_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Texts(Mapping[str, str]):
    """Texts by kind, each made when it is first asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], str]]) -> None:
        self._makers = makers
        self._made: dict[str, str] = {}

    def __getitem__(self, kind: str) -> str:
        if kind not in self._made:
            self._made[kind] = self._makers[kind]()
        return self._made[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class Once:
    """The value of a function, computed at the first request."""

    def __init__(self, make: Callable[[], Emitted]) -> None:
        self._make = make
        self._made: Emitted | None = None

    def __call__(self) -> Emitted:
        if self._made is None:
            self._made = self._make()
        return self._made


@dataclass(frozen=True, slots=True)
class NativeCode:
    """The code of a program.

    emitted, full: its texts and all of the program, made when somebody looks. key: of its entry in
    the cache. seconds: what was spent on each part of compiling. keep: what the code points to.
    """

    facts: Facts
    library: Library
    origin: str
    host_calls: HostCalls
    emitted: Callable[[], Emitted]
    full: Callable[[], Program]
    key: str = ""
    can_be_kept: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)
    keep: tuple[Any, ...] = ()


class LlvmExecutable:
    """A program in machine code."""

    def __init__(self, program: Program, code: NativeCode, threads: int) -> None:
        """program: its buffers are enough, if `code.full` knows the steps."""
        self.program = program
        self.threads = threads
        self.facts = code.facts
        self.local = frozenset(code.facts.local)
        self.origin = code.origin
        self.key = code.key
        self.can_be_kept = code.can_be_kept
        self.rewrites = code.facts.rewrites
        self.seconds = code.seconds
        self.host_calls = code.host_calls
        self.heap = HeapTable(program)
        self.places = Places(program)
        self._calls_libraries = bool(self.facts.routines)
        areas = zip(self.facts.areas, self.facts.thread_areas, strict=True)
        self.scratch = [once + each * threads for once, each in areas]
        emitted = self._emitted = Once(code.emitted)  # the texts do not own the executable
        self._full = code.full
        self.texts: Mapping[str, str] = Texts(
            {
                "llvm": lambda: emitted().text,
                "asm": lambda: "\n".join(
                    module_assembly(module, host()) for module in emitted().modules
                ),
            }
        )
        self._library = code.library
        self._keep = code.keep
        self.address = self._library.address("entry")
        self.entry: Callable[..., int] = _ENTRY(self.address)
        self._limit = BlasThreads(1, products=False, lapack=bool(self.facts.routines))
        self._limited_entry = self.limited(self.entry)

    def laps(self) -> list[tuple[int, int]]:
        """Of a profiled program: nanoseconds and runs of each of `all_steps`, so far."""
        count = words(len(self.program.all_steps))
        found = (ctypes.c_int64 * count).from_address(self._library.address(LAPS))
        values = list(found)
        return list(zip(values[:-2:2], values[1:-2:2], strict=True))

    def kernel_source(self, position: int) -> str:
        return self._emitted().kernels[self._full().kernels[position].name]

    def limited(self, function: Callable[..., int]) -> Callable[..., int]:
        """The function with LAPACK on one thread: threads are ours."""
        limit = self._limit

        def run(*arguments: int) -> int:
            with limit:
                return function(*arguments)

        return run

    def direct_call(self, layout: CallLayout) -> DirectCall | None:
        """A way to call the program without Python, if it allows one and so does this Python."""
        if not is_possible():
            return None
        if self.facts.is_plain:
            return DirectCall(self._library, layout)
        steps, known = self.program.all_steps, (*PLAIN_STEPS, HostCall)
        if not self.host_calls.are_pure or not all(isinstance(step, known) for step in steps):
            return None
        return DirectCall(self._library, layout, self.host_calls)

    def exchange(
        self,
        variables: tuple[tuple[int, int], ...],
        updates: tuple[tuple[int, int, int], ...],
        keep: Any,
    ) -> Exchange | None:
        """A way for new values to replace old ones without Python."""
        return Exchange(variables, updates, keep) if is_possible() else None

    def c_call(self, request: CRequest) -> "CEntry | None":
        """A C function that needs no Python, if the program allows one; see `c_entry`."""
        program, facts = self.program, self.facts
        if not facts.is_plain or program.counts or not is_possible():
            return None
        if facts.routines and (program.sizes or self._wants_threads({})):
            return None
        code = (self.address, self._library)
        make = late_module("graphc.backends.llvm.c_entry").native_call
        made: CEntry = make(request, program, self.scratch, self.threads, host(), code)
        return made

    def object_file(
        self, request: CRequest, values: Sequence[np.ndarray], symbol: str
    ) -> bytes | None:
        """The program as an object file, if it needs C's own library alone; see `export`."""
        program, facts = self.program, self.facts
        if not facts.is_plain or facts.routines or program.counts:
            return None
        areas = [once + each for once, each in zip(facts.areas, facts.thread_areas, strict=True)]
        make = late_module("graphc.backends.llvm.export").object_file
        made: tuple[bytes, tuple[str, ...]] = make(
            request, program, areas, self.texts["llvm"], values, symbol, host()
        )
        return None if made[1] else made[0]

    def bind(
        self,
        sizes: Sequence[int],
        temporaries: Sequence[np.ndarray],
        scratch: np.ndarray | None = None,
    ) -> BoundProgram:
        program = self.program
        values = dict(zip(program.sizes, map(int, sizes), strict=True))
        if scratch is None:
            area = max((evaluate(size, values) for size in self.scratch), default=0)
            scratch = np.empty(area + 63, np.uint8)
        entry = self._limited_entry if self._wants_threads(values) else self.entry
        return Bound(self, entry, list(values.values()), list(temporaries), scratch)

    def _wants_threads(self, sizes: Mapping[str, int]) -> bool:
        """Whether LAPACK is called for what is so large that it would use threads."""
        if not self._calls_libraries:
            return False
        # Steps of loops that count them: many, for all that is known here.
        counts = self.program.counts
        known = {**dict.fromkeys(counts, MANY), **sizes}
        return any(
            routine_may_use_threads(name, {axis: evaluate(size, known) for axis, size in axes})
            for name, axes in self.facts.routines
        )
