"""The direct way into a compiled function, for calls that repeat.

A call goes through Python: arguments are checked, sizes bound, memory taken, and the interpreter's
lock is given back while native code runs. A function whose calls last a few microseconds spends
most of its time on that. After some calls of the same shapes, such calls go to the backend's direct
call, which checks that nothing has changed and runs; whatever is unusual comes back here. So do
long calls that update variables, which take the lock of those. `BoundCall` is the same for arrays
that are known beforehand: nothing is left to check.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from graphc.backends.base import BoundProgram, CallLayout, DirectCall, Place
from graphc.call_arguments import MISSING
from graphc.conversion import real_view
from graphc.dtypes import is_complex
from graphc.errors import SymbolicValueError
from graphc.ir.graph import Graph
from graphc.ir.storage import REPLACING, ProcessLock, Storage, references
from graphc.running import Arrays, ComplexRunner, Given, ProgramRunner, Runner, Sizes, Workspace
from graphc.structure import LEAF, NONE, Structure

LONGEST = 50e-6  # seconds; longer calls let other threads of Python run meanwhile
# The same for calls that update little: to let others run, they have to take the long way.
LONGEST_UPDATING = 300e-6
LITTLE = 1 << 18  # bytes; more is better written over the old values, which the long way does
ENOUGH = 3  # calls of any shape before the first direct one
LATELY = 4  # sizes whose calls are counted, and that are direct at the same time
RETRY = 100  # calls after one whose sizes the direct way does not take


class Border:
    """The arguments and results of a function as its caller sees them, and its program's buffers.

    A complex array is an array of pairs of floats to the program: the same memory. defaults: an
    array for each input, or MISSING.
    """

    def __init__(
        self,
        runner: ProgramRunner,
        graph: Graph,
        variables: Sequence[Storage],
        updated: Sequence[Storage],
        structure: Structure,
        defaults: Sequence[Any],
    ) -> None:
        self.runner = runner
        self.defaults = tuple(None if default is MISSING else default for default in defaults)
        self.graph = graph
        self.variables = variables
        self.updated = updated
        self.structure = structure
        self.updates_little = sum(storage.array.nbytes for storage in updated) <= LITTLE

    @property
    def is_long(self) -> bool:
        """Whether other threads of Python are to run during a call like the last one."""
        longest = LONGEST_UPDATING if self.updated and self.updates_little else LONGEST
        return self.runner.seconds > longest

    def layout(self, slow: Callable[..., Any], ready: Any = None) -> CallLayout:
        """Where arguments, variables, new values and outputs stand among the buffers."""
        positions = self.positions()
        inputs = [
            Place(tensor.dtype, len(tensor.shape), position)
            for tensor, position in zip(self.graph.inputs, positions.get("input", []), strict=True)
        ]
        results = positions.get("output", [])
        outputs = [
            Place(tensor.dtype, len(tensor.shape), results[place])
            for tensor, place in zip(self.graph.outputs, self.runner.output_order, strict=True)
        ]
        variables, updates = self.rows(positions)
        structure = self.structure
        several = structure is not LEAF and structure is not NONE
        packs = several and not (structure.kind == "list" and structure.is_flat)
        flat = several and structure.is_flat
        keys = structure.keys if flat and structure.kind == "dict" else ()
        named = bool(keys) and all(type(key) is str for key in keys)
        return CallLayout(
            tuple(inputs),
            variables,
            updates,
            tuple(outputs),
            several,
            structure.packer() if packs else None,
            REPLACING,
            slow,
            (self.variables, self.updated),
            ready,
            all(tensor.name != "out" for tensor in self.graph.inputs),
            flat and structure.kind in ("list", "tuple"),
            keys if named else (),
            tuple(str(tensor.name) for tensor in self.graph.inputs),
            self.defaults,
            tuple(
                (self.runner.result_memory[n].kept, self.runner.result_memory[n].place)
                for n in self.runner.output_order
            ),
        )

    def positions(self) -> dict[str, list[int]]:
        """Of the program's buffers, by role."""
        found: dict[str, list[int]] = {}
        for position, buffer in enumerate(self.runner.program.buffers.values()):
            found.setdefault(buffer.role, []).append(position)
        return found

    def rows(
        self, positions: Mapping[str, Sequence[int]]
    ) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int, int], ...]]:
        """Variables and updates as a `CallLayout` has them."""
        variables = zip(self.variables, positions.get("variable", []), strict=True)
        updates = zip(self.updated, positions.get("update", []), strict=True)
        return (
            tuple((references(storage)[0], position) for storage, position in variables),
            tuple((*references(storage), position) for storage, position in updates),
        )

    def fixed(
        self, workspace: Workspace, sizes: Sizes, inputs: Sequence[np.ndarray], out: Given
    ) -> tuple[BoundProgram, list[tuple[int, ...]], list[np.ndarray]]:
        """See `ProgramRunner.fixed`; with the present arrays of the variables."""
        values = [storage.array for storage in self.variables]
        spare = [storage.array for storage in self.updated]
        reals = [real_view(array) for array in inputs]
        memory = [None if array is None else real_view(array) for array in out]
        return self.runner.fixed(workspace, sizes, reals, values, spare, memory)

    def result_shapes(self, shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """The shapes of the outputs, from those of the program's."""
        return [
            shape[:-1] if is_complex(tensor.dtype) else shape
            for tensor, shape in zip(self.graph.outputs, shapes, strict=True)
        ]


def program_of(run: Runner) -> ProgramRunner | None:
    """What runs a program in the end, if that is all that happens in a call."""
    if isinstance(run, ComplexRunner):
        run = run.run
    return run if isinstance(run, ProgramRunner) else None


class DirectRoute:
    """Decides when calls go the direct way.

    slow: the long way, which must not refer to what holds the route.
    """

    def __init__(self, border: Border, slow: Callable[..., Any]) -> None:
        self.border = border
        self.runner = border.runner
        self.slow = slow
        self._direct: DirectCall | None = None
        self._seen = 0
        self._recent: OrderedDict[Sizes, int] = OrderedDict()  # calls that came here, by sizes
        self._installed: deque[Sizes] = deque(maxlen=LATELY)
        self._workspace: Workspace | None = None  # its own: nobody else runs in it
        self._lock = ProcessLock()

    def consider(
        self, sizes: tuple[int, ...], arrays: Sequence[np.ndarray]
    ) -> Callable[..., Any] | None:
        """After a call of these sizes and arguments: what to call from now on, if that changes.

        Sizes become direct when they come twice while few others do: what comes once, such as the
        odd batch at the end of an epoch, is not installed for nothing, nor are many sizes in turns.
        """
        self._seen += 1
        recent = self._recent
        times = recent.pop(sizes, 0) + 1
        recent[sizes] = times
        if len(recent) > LATELY:
            recent.popitem(last=False)
        if times < 2 or self._seen < ENOUGH or sizes in self._installed:
            return None
        is_long = self.border.is_long
        if is_long and self.border.updated:
            return None
        with self._lock.current():
            return self._install(sizes, arrays, is_long)

    def for_converted(
        self, args: Sequence[Any], arrays: Sequence[np.ndarray], *, named: bool
    ) -> Callable[..., Any] | None:
        """What to call with the arrays that unusual arguments have become: the direct way, if any.

        It may come back here, with these arrays as its arguments: they must be usual ones then.
        """
        if self._direct is None:
            return None
        new = [array for array, given in zip(arrays, args, strict=True) if array is not given]
        usual = all(type(array) is np.ndarray and array.flags.carray for array in new)
        return self._direct.call if usual and (new or named) else None

    def _install(
        self, sizes: Sizes, arrays: Sequence[np.ndarray], is_long: bool
    ) -> Callable[..., Any] | None:
        executable, border = self.runner.executable, self.border
        direct = self._direct or executable.direct_call(border.layout(self.slow))
        if direct is None:
            self._seen = -(1 << 62)  # there is no direct way: do not ask again
            return None
        workspace = self._workspace or self.runner.take_bound(sizes)
        if workspace is None:
            return None
        arena = workspace.arena
        run, shapes, fixed = border.fixed(
            workspace, sizes, arrays, [None] * len(border.graph.outputs)
        )
        ordered = border.result_shapes(shapes)
        known = [*(array.shape for array in arrays), *ordered]
        alone = workspace.arena is not arena  # the frames before keep the smaller one alive
        if not direct.install(run, known, workspace, fixed, is_long=is_long, alone=alone):
            if self._workspace is None:
                self.runner.idle.append(workspace)
            self._seen = -RETRY
            return None
        if alone:
            self._installed.clear()
        self._installed.append(sizes)
        self._workspace = workspace
        self._direct = direct
        return direct.call


def unpicklable(what: str) -> SymbolicValueError:
    """The error of pickling what holds native code."""
    return SymbolicValueError(
        f"{what} cannot be pickled or copied deeply: native code belongs to its process",
        code="E219",
        fix="write it with f.save(path), and read it with gc.load_function(path); "
        "processes that are forked have it already",
    )


class BoundCall:
    """A function on arrays that are known: call it without arguments, as often as you like.

    inputs, out: the arrays, which it keeps alive. Nothing is checked, and nothing is converted: a
    call reads what the inputs hold at that moment, and the present values of the variables. `out`
    is None where every call makes new arrays; calls with memory of their own must not run at the
    same time in several threads.
    """

    __slots__ = ("__call__", "_direct", "_seen", "border", "inputs", "out")
    __call__: Callable[..., Any]

    def __init__(
        self,
        border: Border | None,
        sizes: tuple[int, ...],
        inputs: Arrays,
        out: Given,
        slow: Callable[..., Any],
    ) -> None:
        self.border = border
        self.inputs = tuple(inputs)
        self.out = tuple(out) if any(array is not None for array in out) else None
        self._seen = 0
        self._direct: DirectCall | None = None
        self.__call__ = slow
        if border is not None:
            self._prepare(border, sizes, out, slow)

    def __reduce__(self) -> NoReturn:
        raise unpicklable("a bound call")

    def _prepare(
        self, border: Border, sizes: tuple[int, ...], out: Given, slow: Callable[..., Any]
    ) -> None:
        """Calls are watched: those that turn out short go the direct way from then on."""

        def watch(*surplus: Any, **named: Any) -> Any:
            result = slow(*surplus, **named)
            self._seen += 1
            is_long = border.is_long
            if self._seen >= ENOUGH and not (is_long and border.updated):
                self._install(border, sizes, out, slow, is_long)
            return result

        self.__call__ = watch

    def _install(
        self,
        border: Border,
        sizes: Sizes,
        out: Given,
        slow: Callable[..., Any],
        is_long: bool,
    ) -> None:
        self._seen = -(1 << 62)  # once is enough
        complete = bool(out) and all(array is not None for array in out)
        ready = border.structure.pack(list(out)) if complete else None
        whole = border.layout(slow, ready)
        layout = CallLayout(
            (),
            whole.variables,
            whole.updates,
            () if complete else whole.outputs,
            whole.as_list and not complete,
            None if complete else whole.pack,
            whole.replacing,
            slow,
            whole.keep,
            ready,
            takes_out=False,
            memory=() if complete else whole.memory,
        )
        if not complete and any(array is not None for array in out):
            return  # some given, some not: the long way knows
        runner = border.runner
        direct = runner.executable.direct_call(layout)
        if direct is None:
            return
        workspace = Workspace()
        run, shapes, arrays = border.fixed(workspace, sizes, self.inputs, out)
        wanted = [] if complete else border.result_shapes(shapes)
        keep = (workspace, self.inputs, self.out)
        if direct.install(run, wanted, keep, arrays, is_long=is_long):
            self._direct = direct
            self.__call__ = direct.call

    def __repr__(self) -> str:
        shapes = ", ".join(f"{a.dtype.name}{list(a.shape)}" for a in self.inputs)
        return f"<graphc call bound to {shapes or 'no arrays'}>"
