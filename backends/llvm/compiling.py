"""From a program to its code: emitted, compiled or found on disk, linked."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from graphc.backends.llvm.cache import cached_objects
from graphc.backends.llvm.emitted import Emitted
from graphc.backends.llvm.entry import emit_program
from graphc.backends.llvm.executable import LlvmExecutable, NativeCode
from graphc.backends.llvm.host import SYMBOL, HostCalls, address_of
from graphc.backends.llvm.imports import addresses, known_symbols
from graphc.backends.llvm.jit import Library, side_by_side
from graphc.backends.llvm.jitted import jitted_steps
from graphc.backends.llvm.lapack import imported_names
from graphc.backends.llvm.modules import names_in
from graphc.backends.llvm.one_thread import PARALLEL
from graphc.backends.llvm.profiling import LAPS
from graphc.backends.llvm.routines import Loaded, load
from graphc.backends.llvm.stored import PLAIN_STEPS, Facts
from graphc.backends.llvm.target import Target, host
from graphc.loops.ir import (
    Lapack,
    Program,
)
from graphc.loops.tidy import values_of
from graphc.memory.rewriting import rewriting_steps
from graphc.scalar.foreign import foreign_operations

# Steps whose time follows from the sizes, and that run no Python.


def compiled_program(
    program: Program,
    target: Target,
    threads: int,
    cache: bool = False,
    profiled: bool = False,
) -> LlvmExecutable:
    """A program in machine code. profiled: with a clock after every step."""
    clock = _Clock()
    with clock.timed("emit"):
        jitted = jitted_steps(program)
        symbols = {number: routine.symbol for number, routine in jitted.items()}
        emitted = emit_program(program, target, symbols, profiled)
        modules = emitted.modules
    with clock.timed("symbols"):
        foreign = foreign_operations(e for k in program.kernels for e in values_of(k.body))
        host_calls = HostCalls(program)
        callback = host_calls.callback() if host_calls else None
        own = {one.symbol: one.address for one in jitted.values()}
        own.update({name: op.address for name, op in foreign.items()})
        if callback is not None:
            own[SYMBOL] = address_of(callback)
        lapack = imported_names(program)
        elsewhere = known_symbols(lapack)
    used = names_in(emitted.functions)

    def ready() -> tuple[Loaded, dict[str, int]]:
        """What the program finds elsewhere, which may have to be compiled too."""
        loaded = load(emitted.shared, elsewhere, target, cache)
        known = {**elsewhere, **loaded.addresses, **own}
        return loaded, addresses(used, known, threads)

    with clock.timed("code"):
        found, (loaded, imports) = side_by_side(
            lambda: cached_objects(modules, target, cache),
            ready,
            bool(emitted.shared) or PARALLEL in used,
        )
    with clock.timed("link"):
        exported = ["entry", LAPS] if profiled else ["entry"]
        library = Library(found.objects, exported, imports)
    # What lies elsewhere in every process, or was made in this one, is not kept.
    made_here = bool(own or profiled or program.counts)
    code = NativeCode(
        _facts(program, emitted, loaded, set(imports), lapack),
        library,
        found.origin,
        host_calls,
        lambda: emitted,
        lambda: program,
        found.key,
        cache and not made_here and all(group.key for group in loaded.groups),
        clock.seconds,
        (jitted, callback),
    )
    return LlvmExecutable(program, code, threads)


def _facts(
    program: Program, emitted: Emitted, loaded: Loaded, used: set[str], lapack: dict[str, str]
) -> Facts:
    steps = program.all_steps
    routines = [step for step in steps if isinstance(step, Lapack)]
    areas = dict.fromkeys(emitted.areas)
    return Facts(
        tuple(once for once, _ in areas),
        tuple(each for _, each in areas),
        tuple(dict.fromkeys((step.routine, tuple(step.sizes)) for step in routines)),
        tuple(sorted(used)),
        lapack,
        all(isinstance(step, PLAIN_STEPS) for step in steps),
        loaded.groups,
        bool(rewriting_steps(program)),
        emitted.local,
    )


def emitted_program(program: Program) -> Emitted:
    """The texts of a program whose code came from the cache."""
    return emit_program(program, host())


class _Clock:
    """What was spent on each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[part] = time.perf_counter() - start
