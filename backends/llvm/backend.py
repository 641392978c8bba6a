"""The llvm backend: a program becomes one native module that runs without Python."""

import ctypes
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.backends.base import BoundProgram, CallLayout, CForm, CRequest, Executable
from graphc.backends.blas_threads import (
    BlasThreads,
    may_use_threads,
    routine_may_use_threads,
)
from graphc.backends.llvm.blas import find_blas
from graphc.backends.llvm.c_entry import CEntry, native_call, wrapped
from graphc.backends.llvm.cache import (
    cache_folder,
    cached_objects,
    keep_program,
    program_key,
    recalled_program,
)
from graphc.backends.llvm.contraction import uses_blas
from graphc.backends.llvm.direct_call import DirectCall, is_possible
from graphc.backends.llvm.entry import Emitted, emit_program
from graphc.backends.llvm.heap import HeapTable, memory_limit, raise_stopped
from graphc.backends.llvm.host import SYMBOL, HostCalls, address_of
from graphc.backends.llvm.imports import addresses, known_symbols
from graphc.backends.llvm.jit import Library, module_assembly
from graphc.backends.llvm.jitted import jitted_steps
from graphc.backends.llvm.lapack import imported_names
from graphc.backends.llvm.modules import names_in
from graphc.backends.llvm.pool import MOST_WORKERS, PARALLEL
from graphc.backends.llvm.profiling import LAPS, words
from graphc.backends.llvm.repeat import repeat_routine
from graphc.backends.llvm.routines import load, recall
from graphc.backends.llvm.stored import Facts, read_stored, stored_text
from graphc.backends.llvm.target import Target, host
from graphc.errors import ShapeError
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

    @property
    def keeps(self) -> bool:
        return cache_folder() is not None

    def recall(self, fingerprint: bytes, options: str) -> "RecalledProgram | str":
        """See `backends.base.KeepingBackend`."""
        found = recalled_program(_program_key(fingerprint, options))
        if isinstance(found, str):
            return found
        text, objects = found
        try:
            facts, description = read_stored(text)
        except (ValueError, KeyError, TypeError, ShapeError):
            return "the entry was broken"
        symbols = known_symbols(facts.lapack)
        routines = recall(facts.routine_groups, symbols, host())
        if isinstance(routines, str):
            return routines
        imports = addresses(facts.imports, {**symbols, **routines})
        return RecalledProgram(facts, description, Library(objects, ["entry"], imports))

    def keep(
        self, fingerprint: bytes, options: str, executable: Executable, description: Any
    ) -> str:
        """See `backends.base.KeepingBackend`."""
        assert isinstance(executable, LlvmExecutable)
        if not executable.can_be_kept:
            return "the program needs what this process made"
        text = stored_text(executable.facts, description)
        return keep_program(_program_key(fingerprint, options), executable.key, text)

    def profiled(self, program: Program, *, threads: int | None = None) -> "LlvmExecutable":
        """The program with a clock after every step; see `LlvmExecutable.laps`."""
        return LlvmExecutable(program, host(), _most(threads), profiled=True)


def _most(threads: int | None) -> int:
    """On how many threads calls run, at most."""
    return min(usable_cores() if threads is None else threads, MOST_WORKERS + 1)


def _program_key(fingerprint: bytes, options: str) -> str:
    blas = find_blas()
    provider = "none" if blas is None else blas.style
    return program_key(fingerprint, host(), options, provider)


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


@dataclass(frozen=True, slots=True)
class RecalledProgram:
    """A program from the cache: its facts, what the compiler had kept, and its code."""

    facts: Facts
    description: Any
    library: Library

    def executable(
        self, program: Program, full: Callable[[], Program], threads: int | None
    ) -> "LlvmExecutable":
        return LlvmExecutable.recalled(program, self.facts, self.library, _most(threads), full)


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
        self._emitted: Callable[[], Emitted] = lambda: emitted
        self._full: Callable[[], Program] = lambda: program
        foreign = foreign_operations(e for k in program.kernels for e in values_of(k.body))
        self.host_calls = HostCalls(program)
        own = {one.symbol: one.address for one in self._jitted.values()}
        own.update({name: op.address for name, op in foreign.items()})
        if self.host_calls:
            self._callback = self.host_calls.callback()
            own[SYMBOL] = address_of(self._callback)
        steps = program.all_steps
        routines = [step for step in steps if isinstance(step, Lapack)]
        products = [s for s in steps if isinstance(s, Contraction) and uses_blas(s, blas)]
        lapack = imported_names(program)
        elsewhere = known_symbols(lapack)
        loaded = load(emitted.shared, elsewhere, target, cache)
        known = {**elsewhere, **loaded.addresses, **own}
        used = names_in(emitted.functions) & {*known, PARALLEL}
        areas = dict.fromkeys(emitted.areas)
        self.facts = Facts(
            tuple(once for once, _ in areas),
            tuple(each for _, each in areas),
            tuple(dict.fromkeys((step.m, step.n, step.k) for step in products)),
            tuple(dict.fromkeys((step.routine, tuple(step.sizes)) for step in routines)),
            tuple(sorted(used)),
            lapack,
            all(isinstance(step, PLAIN_STEPS) for step in steps),
            loaded.groups,
        )
        # What lies elsewhere in every process, or was made in this one, is not kept.
        made_here = bool(own or profiled or program.counts)
        made_here |= not all(group.key for group in loaded.groups)
        self.can_be_kept = cache and not made_here
        found = cached_objects(emitted.modules, target, cache)
        self.key = found.key
        exported = ["entry", LAPS] if profiled else ["entry"]
        library = Library(found.objects, exported, addresses(used, known))
        self._load(program, library, found.origin, threads)

    @classmethod
    def recalled(
        cls,
        program: Program,
        facts: Facts,
        library: Library,
        threads: int,
        full: Callable[[], Program],
    ) -> "LlvmExecutable":
        """An executable from the cache. program: its buffers, without steps; full: all of it."""
        executable = cls.__new__(cls)
        executable.facts = facts
        executable.can_be_kept = False
        executable.key = ""
        executable._jitted = {}
        executable.host_calls = HostCalls(program)
        executable._full = full
        executable._emitted = _Once(lambda: emit_program(full(), host(), find_blas()))
        executable._load(program, library, "found", threads)
        return executable

    def _load(self, program: Program, library: Library, origin: str, threads: int) -> None:
        self.program = program
        self.origin = origin
        self.threads = threads
        self.heap = HeapTable(program)
        areas = zip(self.facts.areas, self.facts.thread_areas, strict=True)
        self.scratch = [once + each * threads for once, each in areas]
        self.texts: Mapping[str, str] = Texts(
            {
                "llvm": lambda: self._emitted().text,
                "asm": lambda: "\n".join(
                    module_assembly(module, host()) for module in self._emitted().modules
                ),
            }
        )
        self._library = library
        self.address = library.address("entry")
        self.entry = _ENTRY(self.address)
        self._limit = BlasThreads(1, bool(self.facts.products), bool(self.facts.routines))
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
        """The function with BLAS, and LAPACK, on one thread: threads are ours."""
        limit = self._limit

        def run(*arguments: int) -> int:
            with limit:
                return function(*arguments)

        return run

    def direct_call(self, layout: CallLayout) -> DirectCall | None:
        """A way to call the program without Python, if it allows one and so does this Python."""
        if not self.facts.is_plain or not is_possible():
            return None
        return DirectCall(self._library, layout)

    def c_call(self, request: CRequest) -> CEntry | None:
        """A C function that needs no Python, if the program allows one; see `c_entry`."""
        program, facts = self.program, self.facts
        if not facts.is_plain or program.counts or not is_possible():
            return None
        if (facts.products or facts.routines) and (program.sizes or self._wants_threads({})):
            return None
        code = (self.address, self._library)
        return native_call(request, program, self.scratch, self.threads, host(), code)

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
        return _Bound(self, entry, list(values.values()), list(temporaries), scratch)

    def _wants_threads(self, sizes: Mapping[str, int]) -> bool:
        """Whether some product or some factorisation is so large that it would use threads."""
        # Steps of loops that count them: many, for all that is known here.
        known = {**dict.fromkeys(self.program.counts, MANY), **sizes}
        return any(
            may_use_threads(*(evaluate(size, known) for size in sizes_))
            for sizes_ in self.facts.products
        ) or any(
            routine_may_use_threads(name, {axis: evaluate(size, known) for axis, size in axes})
            for name, axes in self.facts.routines
        )


class _Once:
    """The value of a function, computed at the first request."""

    def __init__(self, make: Callable[[], Emitted]) -> None:
        self._make = make
        self._made: Emitted | None = None

    def __call__(self) -> Emitted:
        if self._made is None:
            self._made = self._make()
        return self._made


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
        scratch: np.ndarray,
    ) -> None:
        buffers = list(executable.program.buffers.values())
        table = (ctypes.c_int64 * (len(buffers) + 2 + executable.heap.words))()
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
