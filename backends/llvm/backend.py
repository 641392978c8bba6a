"""The llvm backend: a program becomes one native module that runs without Python."""

import ctypes
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.backends.base import BoundProgram, CallLayout, CForm, CRequest
from graphc.backends.blas_threads import (
    BlasThreads,
    may_use_threads,
    routine_may_use_threads,
)
from graphc.backends.llvm.blas import find_blas
from graphc.backends.llvm.c_entry import CEntry, native_call, wrapped
from graphc.backends.llvm.cache import cached_object
from graphc.backends.llvm.contraction import uses_blas
from graphc.backends.llvm.direct_call import DirectCall, is_possible
from graphc.backends.llvm.entry import emit_program
from graphc.backends.llvm.heap import HeapTable, memory_limit, python_symbols, raise_stopped
from graphc.backends.llvm.host import SYMBOL, HostCalls, address_of
from graphc.backends.llvm.jit import Library, library_symbols, module_assembly
from graphc.backends.llvm.jitted import jitted_steps
from graphc.backends.llvm.lapack import imported_routines
from graphc.backends.llvm.pool import MOST_WORKERS, PARALLEL, parallel_address
from graphc.backends.llvm.profiling import LAPS, words
from graphc.backends.llvm.repeat import repeat_routine
from graphc.backends.llvm.target import Target, host
from graphc.backends.llvm.vector_math import LIBM_SYMBOLS
from graphc.loops.ir import (
    Branch,
    Contraction,
    Fault,
    IndexCheck,
    KernelCall,
    Lapack,
    Loop,
    Program,
)
from graphc.loops.tidy import values_of
from graphc.scalar.foreign import foreign_operations
from graphc.shapes import evaluate
from graphc.threads import usable_cores

# Steps whose time follows from the sizes, and that run no Python.
PLAIN_STEPS = (KernelCall, Contraction, IndexCheck, Lapack, Loop, Branch)
C_SYMBOLS = (
    *("fmod", "fmodf", "memset", "memcpy", "memmove", "realloc", "free", "time"),
    "clock_gettime",
)
MANY = 1 << 20
_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class LlvmBackend:
    """Compiles for the processor of this process."""

    name = "llvm"

    def compile(
        self, program: Program, *, threads: int | None = None, cache: bool = True
    ) -> "LlvmExecutable":
        return LlvmExecutable(program, host(), _most(threads), cache)

    def c_form(self, form: CForm, request: CRequest, call: int, keep: Any) -> CEntry:
        """A C function of another form around one of pointers and sizes; see `c_entry`."""
        return wrapped(form, request, host(), call, keep)

    def profiled(self, program: Program, *, threads: int | None = None) -> "LlvmExecutable":
        """The program with a clock after every step; see `LlvmExecutable.laps`."""
        return LlvmExecutable(program, host(), _most(threads), profiled=True)


def _most(threads: int | None) -> int:
    """On how many threads calls run, at most."""
    return min(usable_cores() if threads is None else threads, MOST_WORKERS + 1)


def make_backend() -> LlvmBackend:
    return LlvmBackend()


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


class LlvmExecutable:
    """A program in machine code."""

    def __init__(
        self,
        program: Program,
        target: Target,
        threads: int,
        cache: bool = False,
        profiled: bool = False,
    ) -> None:
        blas = find_blas()
        self._jitted = jitted_steps(program)
        symbols = {number: routine.symbol for number, routine in self._jitted.items()}
        emitted = emit_program(program, target, blas, symbols, profiled)
        self.program = program
        self.texts: Mapping[str, str] = Texts(
            {
                "llvm": lambda: emitted.text,
                "asm": lambda: module_assembly(emitted.text, target),
            }
        )
        self._kernels = emitted.kernels
        self.threads = threads
        self._areas = emitted.areas
        self._thread_areas = emitted.thread_areas
        imports = dict(library_symbols(LIBM_SYMBOLS + C_SYMBOLS))
        imports.update(imported_routines(program))
        self.heap = HeapTable(program)
        if program.counts:
            imports.update(python_symbols())
        if blas is not None:
            imports.update(blas.addresses)
        self.host_calls = HostCalls(program)
        if self.host_calls:
            self._callback = self.host_calls.callback()
            imports[SYMBOL] = address_of(self._callback)
        foreign = foreign_operations(e for k in program.kernels for e in values_of(k.body))
        imports.update({one.symbol: one.address for one in self._jitted.values()})
        imports.update({name: op.address for name, op in foreign.items()})
        if f"@{PARALLEL}(" in emitted.text:
            imports[PARALLEL] = parallel_address()
        used = {name: at for name, at in imports.items() if f"@{name}(" in emitted.text}
        found = cached_object(emitted.text, target, cache)
        self.origin = found.origin
        exported = ["entry", LAPS] if profiled else ["entry"]
        self._library = Library(found.image, exported, used)
        self.address = self._library.address("entry")
        self.entry = entry = _ENTRY(self.address)
        self._routines = [step for step in program.all_steps if isinstance(step, Lapack)]
        self._products = [
            step
            for step in program.all_steps
            if isinstance(step, Contraction) and uses_blas(step, blas)
        ]
        self._limit = BlasThreads(1, bool(self._products), bool(self._routines))
        self._limited_entry = self.limited(entry)

    def laps(self) -> list[tuple[int, int]]:
        """Of a profiled program: nanoseconds and runs of each of `all_steps`, so far."""
        count = words(len(self.program.all_steps))
        found = (ctypes.c_int64 * count).from_address(self._library.address(LAPS))
        values = list(found)
        return list(zip(values[:-2:2], values[1:-2:2], strict=True))

    def kernel_source(self, position: int) -> str:
        return self._kernels[self.program.kernels[position].name]

    def limited(self, function: Callable[..., int]) -> Callable[..., int]:
        """The function with BLAS, and LAPACK, on one thread: threads are ours."""
        limit = self._limit

        def run(*arguments: int) -> int:
            with limit:
                return function(*arguments)

        return run

    def direct_call(self, layout: CallLayout) -> DirectCall | None:
        """A way to call the program without Python, if it allows one and so does this Python."""
        plain = all(isinstance(step, PLAIN_STEPS) for step in self.program.all_steps)
        if not plain or not is_possible():
            return None
        return DirectCall(self._library, layout)

    def c_call(self, request: CRequest) -> CEntry | None:
        """A C function that needs no Python, if the program allows one; see `c_entry`."""
        program = self.program
        plain = all(isinstance(step, PLAIN_STEPS) for step in program.all_steps)
        if not plain or program.counts or not is_possible():
            return None
        if (self._products or self._routines) and (program.sizes or self._wants_threads({})):
            return None
        areas = [*self._areas, *(area * self.threads for area in self._thread_areas)]
        code = (self.address, self._library)
        return native_call(request, program, areas, self.threads, host(), code)

    def bind(self, sizes: Sequence[int], temporaries: Sequence[np.ndarray]) -> BoundProgram:
        program = self.program
        values = dict(zip(program.sizes, map(int, sizes), strict=True))
        area = max((evaluate(size, values) for size in self._areas), default=0)
        each = max((evaluate(size, values) for size in self._thread_areas), default=0)
        area = max(area, each * self.threads)
        entry = self._limited_entry if self._wants_threads(values) else self.entry
        return _Bound(self, entry, list(values.values()), list(temporaries), area)

    def _wants_threads(self, sizes: Mapping[str, int]) -> bool:
        """Whether some product or some factorisation is so large that it would use threads."""
        # Steps of loops that count them: many, for all that is known here.
        known = {**dict.fromkeys(self.program.counts, MANY), **sizes}
        return any(
            may_use_threads(*(evaluate(size, known) for size in (step.m, step.n, step.k)))
            for step in self._products
        ) or any(
            routine_may_use_threads(
                step.routine, {name: evaluate(size, known) for name, size in step.sizes}
            )
            for step in self._routines
        )


class _Bound:
    """A program with its table of pointers; what it points to lives as long as it does.

    arguments: of the entry. is_direct: whether nothing but the entry runs in a call.
    """

    __slots__ = (
        "_entry",
        "_executable",
        "_fault",
        "_host_calls",
        "_keep",
        "_positions",
        "_table",
        "arguments",
        "is_direct",
    )

    def __init__(
        self,
        executable: LlvmExecutable,
        entry: Callable[..., int],
        sizes: list[int],
        temporaries: list[np.ndarray],
        area: int,
    ) -> None:
        buffers = list(executable.program.buffers.values())
        table = (ctypes.c_int64 * (len(buffers) + 2 + executable.heap.words))()
        scratch = np.empty(area + 64, np.uint8)
        given = iter(temporaries)
        positions: list[int] = []
        for position, buffer in enumerate(buffers):
            if buffer.role == "temporary":
                table[position] = _pointer(next(given))
            elif buffer.role not in ("view", "heap"):
                positions.append(position)
        table[len(buffers)] = -(-_pointer(scratch) // 64) * 64
        table[len(buffers) + 1] = executable.threads
        if executable.heap.words:
            table[executable.heap.account + 1] = memory_limit()
        counted = len(executable.program.counts)
        values = (ctypes.c_int64 * max(1, len(sizes) + counted))(*sizes)
        fault = ctypes.c_int64()
        self._table = table
        self._positions = positions
        self._fault = fault
        self.arguments = tuple(ctypes.addressof(item) for item in (table, values, fault))
        self._entry = entry
        self.is_direct = entry is executable.entry
        self._host_calls = executable.host_calls
        self._executable = executable
        self._keep = (temporaries, scratch, values)

    def __call__(self, arrays: Sequence[np.ndarray]) -> None:
        self.point(arrays)
        self._check(self._entry(*self.arguments))

    def repeat(
        self,
        count: int,
        arrays: Sequence[np.ndarray],
        moves: Sequence[tuple[int, int]],
        swaps: Sequence[tuple[int, int, np.ndarray]],
    ) -> None:
        """`count` steps in one native call; see `repeat`. Positions are those among `arrays`."""
        self.point(arrays)
        places = self._positions
        words = [word for place, width in moves for word in (places[place], width)]
        for value, new, second in swaps:
            words += (places[value], places[new], data_pointer(second))
        lists = (ctypes.c_int64 * (len(words) + 1))(*words)
        start = ctypes.addressof(lists)
        routine = repeat_routine()
        if not self.is_direct:
            routine = self._executable.limited(routine)
        entry = self._executable.address
        status = routine(
            entry, *self.arguments, count, start, len(moves), start + 16 * len(moves), len(swaps)
        )
        self._check(status)

    def point(self, arrays: Sequence[np.ndarray]) -> None:
        """Let the table say where the arrays lie: those of a call, in the order of `__call__`."""
        table = self._table
        for position, array in zip(self._positions, arrays, strict=True):
            table[position] = data_pointer(array)

    def _check(self, status: int) -> None:
        if status < 0:
            raise_stopped(status, self._fault.value)
        if status:
            error = self._host_calls.take_error(self.arguments[0])
            raise Fault(status - 1, self._fault.value, error)


def _pointer(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _field_pointer(array: np.ndarray) -> int:
    """The field `data` of numpy's array object, which follows the object's header."""
    return _word_at(id(array) + _DATA_FIELD).value


_DATA_FIELD = object.__basicsize__
_word_at = ctypes.c_int64.from_address


def _choose_pointer() -> Callable[[np.ndarray], int]:
    """The fast way, seven times as fast, where it is known to be right."""
    probes = [np.empty(size, dtype) for size, dtype in ((3, np.int8), (100, np.float64))]
    if sys.implementation.name == "cpython" and all(
        np.ndarray.__basicsize__ > _DATA_FIELD and _field_pointer(probe) == _pointer(probe)
        for probe in probes
    ):
        return _field_pointer
    return _pointer


data_pointer = _choose_pointer()
