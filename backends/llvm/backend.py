"""The llvm backend: a program becomes one native module that runs without Python."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from graphc.backends.base import CForm, CRequest, Executable
from graphc.backends.llvm.cache import (
    cache_folder,
    keep_program,
    program_key,
    recalled_program,
    trusted_folder,
)
from graphc.backends.llvm.compiling import compiled_program, emitted_program
from graphc.backends.llvm.executable import LlvmExecutable, NativeCode
from graphc.backends.llvm.host import HostCalls
from graphc.backends.llvm.imports import addresses, known_symbols
from graphc.backends.llvm.jit import Library
from graphc.backends.llvm.pool import MOST_WORKERS
from graphc.backends.llvm.recent import Recent
from graphc.backends.llvm.routines import recall
from graphc.backends.llvm.stored import Facts, read_stored, stored_text
from graphc.backends.llvm.target import host
from graphc.errors import ShapeError
from graphc.late_imports import late_module
from graphc.loops.ir import Program
from graphc.threads import usable_cores

if TYPE_CHECKING:  # imported when it is used, which is rare
    from graphc.backends.llvm.c_entry import CEntry


class LlvmBackend:
    """Compiles for the processor of this process."""

    name = "llvm"

    def compile(
        self, program: Program, *, threads: int | None = None, cache: bool = True
    ) -> "LlvmExecutable":
        return compiled_program(program, host(), _most(threads), cache)

    def c_form(self, form: CForm, request: CRequest, call: int, keep: Any) -> "CEntry":
        """A C function of another form around one of pointers and sizes; see `c_entry`."""
        wrapped = late_module("graphc.backends.llvm.c_entry").wrapped
        made: CEntry = wrapped(form, request, host(), call, keep)
        return made

    @property
    def keeps(self) -> bool:
        return cache_folder() is not None

    def recall(self, fingerprint: bytes, options: str) -> "RecalledProgram | str":
        """See `backends.base.KeepingBackend`."""
        folder = trusted_folder()
        if isinstance(folder, str):
            return folder
        key = _program_key(fingerprint, options)
        again = _recent.find(key, folder)
        if again is not None:
            return again
        found = recalled_program(key, folder)
        if isinstance(found, str):
            return found
        try:
            facts, description = read_stored(found.description)
        except (ValueError, KeyError, TypeError, ShapeError):
            return "the entry was broken"
        symbols = known_symbols(facts.lapack)
        routines = recall(facts.routine_groups, symbols, host(), folder)
        if isinstance(routines, str):
            return routines
        imports = addresses(facts.imports, {**symbols, **routines})
        library = Library(found.objects, ["entry"], imports)
        recalled = RecalledProgram(facts, description, library, {})
        if found.state:
            _recent.add(key, found.paths, found.state, recalled)
        return recalled

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
        return compiled_program(program, host(), _most(threads), profiled=True)


def _most(threads: int | None) -> int:
    """On how many threads calls run, at most."""
    return min(usable_cores() if threads is None else threads, MOST_WORKERS + 1)


def _program_key(fingerprint: bytes, options: str) -> str:
    return program_key(fingerprint, host(), options)


def make_backend() -> LlvmBackend:
    return LlvmBackend()


class RecalledProgram(NamedTuple):
    """A program from the cache: its facts, what the compiler had kept, and its code.

    Functions that are equal share it.
    """

    facts: Facts
    description: Any
    library: Library
    made: dict[str, Any]

    def executable(
        self, program: Program, full: Callable[[], Program], threads: int | None
    ) -> "LlvmExecutable":
        code = NativeCode(
            self.facts,
            self.library,
            "found",
            HostCalls(program),
            lambda: emitted_program(full()),
            full,
        )
        return LlvmExecutable(program, code, _most(threads))


_recent: Recent[RecalledProgram] = Recent()
