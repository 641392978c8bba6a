"""The Backend protocol: what a backend gets and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np

from graphc.dtypes import DType
from graphc.loops.ir import Program
from graphc.records import dataclass
from graphc.shapes import Size

# run(arrays): arrays for all buffers that are not temporaries, in the program's buffer order.
# Raises loops.ir.Fault if a check fails; nothing but outputs, updates and temporaries is written.
BoundProgram = Callable[[Sequence[np.ndarray]], None]


@runtime_checkable
class RepeatableProgram(Protocol):
    """A bound program that can run many steps at once."""

    def __call__(self, arrays: Sequence[np.ndarray]) -> None: ...

    def repeat(
        self,
        count: int,
        arrays: Sequence[np.ndarray],
        moves: Sequence[tuple[int, int]],
        swaps: Sequence[tuple[int, int, np.ndarray]],
    ) -> None:
        """Run `count` steps, at least one.

        moves: for each array that has a row per step, its position among `arrays` and the bytes of
        a row. swaps: for each variable that is read and updated, the positions of its value and of
        its new value, and a second buffer. The present value is not written; after an odd number
        of steps the result is in the array given for the new value, else in the second buffer.
        """
        ...


@runtime_checkable
class TableProgram(Protocol):
    """A bound program that knows where the arrays of its last call lie."""

    def __call__(self, arrays: Sequence[np.ndarray]) -> None: ...

    def point(self, arrays: Sequence[np.ndarray]) -> None:
        """The arrays of the next run, those of a call."""
        ...

    def point_some(self, places: Sequence[int], arrays: Sequence[np.ndarray]) -> None:
        """Some of them; places: among those of a call. Others stay."""
        ...

    def run(self) -> None:
        """A call on these arrays."""
        ...


class Exchange(Protocol):
    """The arrays of variables, given to a program, and new values that replace them.

    It costs little however many variables there are. Callers hold the lock of the variables.
    """

    def take(self, run: BoundProgram, over: bool) -> bool:
        """Let `run`, a TableProgram, find the present values, and memory for the new ones: that of
        the old ones, if `over`, else the spare arrays. False if one of these is missing, or
        somebody holds it."""
        ...

    def swap(self) -> None:
        """Put the new values in place, all of them in one step. The old ones are spare then."""
        ...


@runtime_checkable
class ExchangingExecutable(Protocol):
    """An executable whose bound programs are TablePrograms."""

    def exchange(
        self,
        variables: tuple[tuple[int, int], ...],
        updates: tuple[tuple[int, int, int], ...],
        keep: Any,
    ) -> Exchange | None:
        """variables, updates, keep: as in a `CallLayout`. None where objects lie in memory
        otherwise than expected."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """An array of a call: its dtype and rank, and its position among the program's buffers."""

    dtype: DType
    rank: int
    position: int


@dataclass(frozen=True, slots=True)
class CallLayout:
    """How the arguments and answers of a function lie in its program; see `DirectCall`.

    inputs, outputs: in the order of arguments and answers. variables: the address of the reference
    to each array, and its position. updates: the addresses of the references to each array and to
    its spare, and the position. as_list: whether the answer is a list; pack: what to make of that
    list; ready: the answer where there are no outputs. takes_out: whether `out=` is memory for the
    outputs; is_flat: whether it may be a list then, or a dict of these keys. replacing: the address
    of the number of calls elsewhere that are about to replace variables. slow: takes the calls that
    must go the long way. keep: what the addresses belong to. names, defaults: of the inputs; a
    default is an array, or None. memory: for each output the list of what its large arrays were in,
    each free if nobody else refers to it, and the place in a page where they begin; see
    `graphc.memory.results`.
    """

    inputs: tuple[Place, ...]
    variables: tuple[tuple[int, int], ...]
    updates: tuple[tuple[int, int, int], ...]
    outputs: tuple[Place, ...]
    as_list: bool
    pack: Callable[[list[Any]], Any] | None
    replacing: int
    slow: Callable[..., Any]
    keep: Any
    ready: Any = None
    takes_out: bool = True
    is_flat: bool = False
    keys: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    defaults: tuple[np.ndarray | None, ...] = ()
    memory: tuple[tuple[list[np.ndarray], int], ...] = ()


class DirectCall(Protocol):
    """A way into a program that does not pass through Python.

    `call` answers like the function. Calls that must go the long way are handed to `slow`:
    arguments of other shapes than the installed ones, that are neither dense arrays nor plain
    numbers; a check that fails; updates while other calls replace variables; any while a long one
    runs. It reads variables and replaces updated ones in one step.
    """

    call: Callable[..., Any]

    def install(
        self,
        run: BoundProgram,
        shapes: Sequence[Sequence[int]],
        keep: Any,
        fixed: Sequence[np.ndarray] = (),
        *,
        is_long: bool = False,
        alone: bool = False,
    ) -> bool:
        """Take calls of these shapes (inputs, then outputs) from now on; False if `run` cannot.

        Those of the last few shapes stay as well, unless these are to be alone. What `run` was
        last called with stays in place but for what the layout names. fixed: other arrays to put
        there, as for a call. keep: what `run` needs to live. is_long: calls give the interpreter's
        lock back while they run; not for functions with updates.
        """
        ...


@dataclass(frozen=True, slots=True)
class CRequest:
    """What a C function of a program needs to know of its surroundings.

    inputs: how many. sizes: their names, in the order of the arguments. outputs: for each result
    its number among the program's outputs. constraints: sizes that must be equal. peak, offsets:
    the memory plan. variables: the addresses of the references to their arrays; data_field: where
    an array keeps the address of its data. record: the address of a `c_failures.FailureRecord`.
    """

    inputs: int
    sizes: tuple[str, ...]
    outputs: tuple[int, ...]
    record: int
    constraints: tuple[tuple[Size, Size], ...] = ()
    peak: Size = 0
    offsets: Mapping[str, Size] = field(default_factory=dict)
    variables: tuple[int, ...] = ()
    data_field: int = 0


@dataclass(frozen=True, slots=True)
class CForm:
    """A C function of scalars of one type ("float", "double"), or of one vector of them.

    kind: "values" (T, T, ...) -> T; "vector" (int n, T *) -> T; "filter" (T *, intptr_t n,
    T *result) -> int. spread: whether elements of the vector are the inputs, one each; length: how
    many there must be. has_user_data: a void * more at the end.
    """

    kind: str
    element: str
    spread: bool = False
    length: int | None = None
    has_user_data: bool = False


class CAddress(Protocol):
    """A C function: its address, valid as long as this lives."""

    @property
    def address(self) -> int: ...


@runtime_checkable
class ForeignCallable(Protocol):
    """An executable that can be a C function."""

    def c_call(self, request: CRequest) -> CAddress | None:
        """(input pointers, sizes, output pointers) -> int64: 0 if all went well. None where a call
        needs more than that."""
        ...


@runtime_checkable
class ExportableExecutable(Protocol):
    """An executable that can be an object file."""

    def object_file(
        self, request: CRequest, values: Sequence[np.ndarray], symbol: str
    ) -> bytes | None:
        """The C function of `c_call` by the name `symbol`, with these values of the variables in
        it. None where a call needs more than C's own library."""
        ...


@runtime_checkable
class FormingBackend(Protocol):
    """A backend that writes C functions of other forms around such a one."""

    def c_form(self, form: CForm, request: CRequest, call: int, keep: Any) -> CAddress: ...


@runtime_checkable
class KeepingBackend(Protocol):
    """A backend that keeps what it compiled on disk, with what else a program needs.

    fingerprint: the name of the graph; options: what else decides the code. description: what the
    caller wants to have kept, in values of JSON.
    """

    @property
    def keeps(self) -> bool:
        """Whether there is a place to keep anything."""
        ...

    def recall(self, fingerprint: bytes, options: str) -> "Recalled | str":
        """What was kept under that name, or why there is nothing."""
        ...

    def keep(
        self, fingerprint: bytes, options: str, executable: "Executable", description: Any
    ) -> str:
        """Keep it, if that can be done. What went wrong, if anything; it is no error."""
        ...


class Recalled(Protocol):
    """A program found on disk, with what was kept.

    executable: program has buffers and no steps; full gives the whole of it, for people. made: for
    the caller, who may put there what it makes of the description; equal functions share it.
    """

    @property
    def description(self) -> Any: ...

    @property
    def made(self) -> dict[str, Any]: ...

    def executable(
        self, program: Program, full: Callable[[], Program], threads: int | None
    ) -> "Executable": ...


class Executable(Protocol):
    """A compiled program. Immutable; `bind` and the bound program may be used by any thread."""

    @property
    def origin(self) -> str:
        """Where the code came from: "found" in a cache, or compiled and why."""
        ...

    @property
    def threads(self) -> int:
        """On how many threads a call runs, at most."""
        ...

    @property
    def texts(self) -> Mapping[str, str]:
        """What people may look at, by kind: `llvm`, `asm`, `source`; made on request."""
        ...

    def kernel_source(self, position: int) -> str:
        """The generated text of one kernel of the program."""
        ...

    def bind(self, sizes: Sequence[int], temporaries: Sequence[np.ndarray]) -> BoundProgram:
        """A program for fixed sizes.

        sizes: values of `program.sizes`, in order. temporaries: dense arrays (dtype and shape of
        the buffer, at these sizes) for the buffers of role temporary, in the program's buffer
        order; they may overlap as the memory plan allows. A bound program is not re-entrant.
        """
        ...

    def direct_call(self, layout: CallLayout) -> DirectCall | None:
        """A way around Python, where there is one."""
        ...


class Backend(Protocol):
    """One folder under graphc.backends provides one of these."""

    name: str

    def compile(
        self, program: Program, *, threads: int | None = None, cache: bool = True
    ) -> Executable:
        """threads: how many a call may run on; None: what suits the backend.

        Numbers must not depend on it.
        """
        ...


@runtime_checkable
class ScratchExecutable(Protocol):
    """An executable whose steps need memory beside the temporaries, one after the other."""

    scratch: list[Size]  # bytes for each such step, multiples of a cache line
    local: frozenset[str]  # temporaries whose memory is part of that

    def bind(
        self,
        sizes: Sequence[int],
        temporaries: Sequence[np.ndarray],
        scratch: np.ndarray | None = None,
    ) -> BoundProgram:
        """See `Executable.bind`. scratch: that memory, at the start of a cache line."""
        ...


@runtime_checkable
class RewritingExecutable(Protocol):
    """An executable that may get the array of a variable as memory for its new value."""

    rewrites: bool  # whether that holds for all new values of this program


_answers: dict[tuple[type, Any], bool] = {}


def _is(thing: object, protocol: Any) -> bool:
    """isinstance, which takes long for protocols, once for each type."""
    key = type(thing), protocol
    answer = _answers.get(key)
    if answer is None:
        answer = _answers[key] = isinstance(thing, protocol)
    return answer


def keeps(backend: Backend | None) -> TypeGuard[KeepingBackend]:
    """Whether the backend can keep what it compiled."""
    return _is(backend, KeepingBackend)


def may_exchange(executable: Executable | None) -> TypeGuard[ExchangingExecutable]:
    """Whether new values may replace old ones without Python."""
    return _is(executable, ExchangingExecutable)


def has_scratch(executable: Executable | None) -> TypeGuard[ScratchExecutable]:
    """Whether steps of the executable may need memory of their own."""
    return _is(executable, ScratchExecutable)


def may_rewrite(executable: Executable | None) -> TypeGuard[RewritingExecutable]:
    """Whether the executable says which memory new values of variables may have."""
    return _is(executable, RewritingExecutable)


def scratch_of(executable: Executable | None) -> list[Size]:
    """Bytes beside the temporaries, for each step that needs some."""
    return executable.scratch if has_scratch(executable) else []


def local_buffers(executable: Executable | None) -> frozenset[str]:
    """Temporaries for which the caller need not have memory: the arrays it gives are not used."""
    return executable.local if has_scratch(executable) else frozenset()


class Clocked(Executable, Protocol):
    """An executable that times its steps."""

    def laps(self) -> list[tuple[int, int]]:
        """Nanoseconds and runs of each of the program's `all_steps`, since it was compiled."""
        ...


@runtime_checkable
class ProfilingBackend(Protocol):
    """A backend that can time the steps of a program."""

    def profiled(self, program: Program, *, threads: int | None = None) -> Clocked: ...
