"""Function: a compiled graph that is called with arrays; and `function`, which compiles one."""

import keyword
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from graphc.backends.base import may_rewrite
from graphc.backends.registry import DEFAULT
from graphc.c_function import CCallable
from graphc.call_arguments import MISSING, CallArguments
from graphc.checks.numerics import NumericsGuard
from graphc.checks.options import check_words
from graphc.checks.validation import PassesGuard
from graphc.compiler import Stages, compile_graph
from graphc.direct import Border, BoundCall, DirectRoute, program_of, unpicklable
from graphc.errors import FeedTypeError, GraphcError
from graphc.exchanges import Exchanges
from graphc.feeds import FeedBinder
from graphc.function_checks import (
    caller_name,
    check_options,
    check_sizes,
    checked_name,
    input_sequence,
    named_defaults,
    update_constraints,
)
from graphc.function_files import Saved, named_variables, write_function
from graphc.garbage import uncollected
from graphc.inspect.profile import checked_seconds, format_profile, measure
from graphc.inspect.text import FunctionText, Text
from graphc.ir.graph import Graph
from graphc.ir.leaf import Variable
from graphc.ir.opdef import Constraint
from graphc.ir.source import current_source, current_sources, source_scope
from graphc.ir.storage import Run, Storage, replaced_by, share_lock, snapshot
from graphc.ir.tensor import Tensor
from graphc.late_updates import LateGraph, LateUpdates
from graphc.loops.updates_last import REWRITTEN
from graphc.memory.limit import MemoryLimit, checked_limit
from graphc.repeat import check_stackable, checked_count, rows, run_steps
from graphc.request import Request
from graphc.results import ResultChecker
from graphc.running import Arrays, ComplexRunner, Given, ProgramRunner, State
from graphc.saving import values_of
from graphc.signature import check_inputs, output_tensors
from graphc.structure import Structure
from graphc.substitution import givens_of
from graphc.surface import surface
from graphc.threads import thread_count

__all__ = ["Function", "function"]


class Function(FunctionText, CCallable):
    """A compiled function. Call it with one array per input, by position or by name.

    Calls are thread-safe; each is atomic: it reads the variables as they were when it began, and
    their new values appear together when it ends. If it fails, nothing has changed. Calls that
    update no variable run at the same time, also while other calls update theirs; they wait where
    new values of 4 MiB or more are written over the old ones. An interrupt during such a call comes
    after it.

    Arrays of another dtype are converted where that loses nothing. A call returns what `outputs`
    was: one array, a list, a tuple, a dict, or None. With `out=` (arrays in that structure, None
    where one is new) results go into memory that is there already, unless an input has that name.
    It raises FeedError (missing, superfluous, ill-shaped feeds; memory in which a result does not
    fit), FeedTypeError (a dtype that would lose information), IndexOutOfRange. After an error every
    variable has its old value; what `out` holds is as it was if the error is about arguments.
    """

    # Each function has a call of its own: native code where that is shorter. See graphc.direct.
    __slots__ = ("__call__",)
    __call__: Callable[..., Any]

    def __init__(
        self,
        graph: Graph,
        structure: Structure,
        defaults: Mapping[str, Any],
        *,
        backend: str,
        allow_downcast: bool,
        threads: int | None,
        checks: frozenset[str],
        optimize: bool,
        cache: bool = True,
        constraints: Sequence[Constraint] = (),
        limit: MemoryLimit | None = None,
    ) -> None:
        self.name = self.__name__ = graph.name
        self.backend = DEFAULT if backend == "auto" else backend
        self.inputs = graph.inputs
        self.optimized = optimize
        self._options = {
            "backend": self.backend,
            "allow_downcast": allow_downcast,
            "checks": sorted(checks),
            "optimize": optimize,
        }
        self._constraints = tuple(constraints)
        self._structure = structure
        self._pack = structure.packer()
        self.__call__ = _long_way(weakref.ref(self))
        self.stages: Stages
        with uncollected():
            self.stages, self._run = compile_graph(
                graph,
                backend,
                threads=threads,
                check="ir" in checks,
                optimized=optimize,
                cache=cache,
                limit=limit,
                demand=check_sizes,
            )
        graph = self.stages.user_graph
        if "passes" in checks:
            self._run = PassesGuard(self._run, self.stages, self.backend)
        if "nan" in checks:
            self._run = NumericsGuard(self._run, self.stages)
        self._binder = FeedBinder(
            graph.inputs,
            self.stages.size_names,
            [*self.stages.constraints, *constraints, *update_constraints(graph)],
            allow_downcast,
            self.stages.exact,
        )
        names = [str(tensor.name) for tensor in graph.inputs]
        self._arguments = CallArguments(
            graph,
            [
                self._binder.convert(number, defaults[name]).copy() if name in defaults else MISSING
                for number, name in enumerate(names)
            ],
        )
        # Variables as the program knows them: those of the optimised graph.
        self._variables: list[Storage] = self.stages.variables
        self._updated: list[Storage] = [v.storage for v in graph.updated]
        share_lock([*self._variables, *self._updated])
        self._results = ResultChecker(self.name, graph.outputs, structure, self.stages.size_names)
        self._c_functions = {}
        self._rewrites = False
        self._border: Border | None = None
        self._exchanges: Exchanges | None = None
        self._route: DirectRoute | None = None
        program = program_of(self._run)
        if program is not None:
            executable = program.executable
            large = sum(storage.array.nbytes for storage in self._updated) >= REWRITTEN
            can = may_rewrite(executable) and executable.rewrites
            self._rewrites = large and can
            self._border = Border(
                program,
                graph,
                self._variables,
                self._updated,
                structure,
                self._arguments.defaults,
            )
            self._route = DirectRoute(self._border, self.__call__)
            if self._updated and program is self._run:
                self._exchanges = Exchanges(self._border, self._rewrites)
        self.__doc__ = self._arguments.describe(self.backend)
        if not any(map(keyword.iskeyword, names)):
            self.__signature__ = self._arguments.for_inspect()

    def _call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        out = None
        if kwargs or len(args) != len(self.inputs):
            args, out = self._arguments.complete(args, kwargs)
        arrays = self._binder.arrays(args)
        if self._route is not None and out is None:
            direct = self._route.for_converted(args, arrays, named=bool(kwargs))
            if direct is not None:
                return direct(*arrays)
        sizes = self._binder.sizes(arrays)
        given = () if out is None else self._memory(out, sizes, arrays)
        outputs = self._run_once(sizes, arrays, given)
        if self._route is not None:
            direct = self._route.consider(sizes, arrays)
            if direct is not None:
                self.__call__ = direct
        return self._pack(outputs)

    def _run_once(self, sizes: tuple[int, ...], arrays: Arrays, given: Given) -> list[np.ndarray]:
        """A call whose arguments are checked."""
        run = self._run
        if self._exchanges is not None:
            outputs = self._exchanges.run(sizes, arrays, given)
            if outputs is not None:
                return outputs
        if not given:
            return self._apply(
                lambda old, spare: run(sizes, arrays, old, spare), rewrites=self._rewrites
            )
        if isinstance(run, ProgramRunner | ComplexRunner):
            into = run
            return self._apply(
                lambda old, spare: into(sizes, arrays, old, spare, given), rewrites=self._rewrites
            )
        outputs = self._apply(lambda old, spare: run(sizes, arrays, old, spare))
        return [_copied(array, memory) for array, memory in zip(outputs, given, strict=True)]

    def _memory(self, out: Any, sizes: tuple[int, ...], arrays: Arrays) -> Given:
        """`out=` as an array, or None, per output; FeedError if it does not fit."""
        given = self._results.leaves(out)
        feeds = {str(t.name): array for t, array in zip(self.inputs, arrays, strict=True)}
        self._results.check(given, sizes, feeds)
        return given

    def bind(self, /, *args: Any, **kwargs: Any) -> BoundCall:
        """A callable without arguments for many calls on the same arrays: it checks nothing more.

        It keeps the arrays and reads what they hold when it is called, and the values that the
        variables have then. With `out=`, as in a call, every result goes there, and each call
        answers with the same object; else every call makes new arrays. Raises as a call does, and
        FeedTypeError (E202) for an array that would have to be converted: a copy would not follow
        the array. Numbers and lists are read now.
        """
        out = None
        if kwargs or len(args) != len(self.inputs):
            args, out = self._arguments.complete(args, kwargs)
        arrays = self._binder.arrays(args)
        sizes = self._binder.sizes(arrays)
        for tensor, value, array in zip(self.inputs, args, arrays, strict=True):
            if isinstance(value, np.ndarray) and array is not value:
                raise self._binder.error(
                    FeedTypeError,
                    tensor,
                    "E202",
                    f"{self.name}.bind: {tensor.name!r} would have to be copied",
                    details=[
                        f"got     {value.dtype.name}, strides {value.strides}",
                        f"allowed {tensor.type}, C-contiguous and aligned",
                    ],
                    fix="bind np.ascontiguousarray(array, dtype), and write new values into that",
                )
        given = (
            [None] * len(self._results.outputs) if out is None else self._memory(out, sizes, arrays)
        )
        held = tuple(arrays)

        def call(*surplus: Any, **named: Any) -> Any:
            if surplus or named:
                count = len(surplus) + len(named)
                raise FeedTypeError(
                    f"{self.name}: a bound call takes no arguments, got {count}",
                    code="E202",
                    details=["it reads what the arrays hold that were given to bind"],
                    source=current_source(),
                    fix="write new values into those arrays, as in X[:] = batch, or call "
                    f"{self.name} itself",
                )
            return self._pack(self._run_once(sizes, held, given))

        return BoundCall(self._border, sizes, held, given, call)

    def bound(self, /, *args: Any, **kwargs: Any) -> tuple[tuple[int, ...], list[np.ndarray]]:
        """The sizes and the arrays of a call with these arguments, which is not made."""
        if kwargs or len(args) != len(self.inputs):
            args, _ = self._arguments.complete(args, kwargs)
        arrays = self._binder.arrays(args)
        return self._binder.sizes(arrays), arrays

    def profile(self, /, *args: Any, seconds: float = 0.5, **kwargs: Any) -> Text:
        """How long each step of a call with these arguments takes; a row of `kernels()` each.

        The function is compiled once more, with a clock after every step, and called for about
        `seconds`. The rate of a kernel counts the buffers that it is given, each once: kernels
        that gather or repeat elements move other amounts. Variables keep their values. Raises as a
        call does, BackendError (E501) for backends without a clock (all but llvm), and
        ParameterError (E404) for seconds below 0 or without an end.
        """
        seconds = checked_seconds(f"{self.name}.profile", seconds)
        sizes, arrays = self.bound(*args, **kwargs)
        laps, calls = measure(
            self.stages, self.backend, sizes, arrays, snapshot(self._variables), seconds
        )
        assert self.stages.program is not None
        named = dict(zip(self.stages.size_names, sizes, strict=True))
        self._profiled = Text(format_profile(self.stages.program, named, laps, calls))
        return self._profiled

    def repeat(self, count: int, /, *args: Any, **kwargs: Any) -> Any:
        """`count` calls in one: an epoch over an array of batches runs in native code.

        An input takes an array with a row per step along a new first axis, or one array for all
        steps. Returns the outputs of all steps, stacked along a new first axis. The call is atomic
        as a whole: if step 17 fails, or Ctrl-C comes, the variables have the values from before
        step 0. Raises as a call does, and FeedError (E203) if the number of rows is not `count`.
        """
        count = checked_count(count, self.name)
        check_stackable(self._structure, self._arguments.source())
        if kwargs or len(args) != len(self.inputs):
            args, out = self._arguments.complete(args, kwargs)
            if out is not None:
                raise self._results.error(
                    "repeat makes its results itself", None, fix="leave out= away"
                )
        arrays, moving, one = rows(self._binder, count, args)
        sizes = dict(zip(self._binder.size_names, self._binder.sizes(one), strict=True))
        places = {id(storage): place for place, storage in enumerate(self._variables)}
        carried = [places.get(id(storage)) for storage in self._updated]

        def run(old: Arrays, spare: Arrays) -> tuple[list[np.ndarray], list[np.ndarray]]:
            state, graph = State(old, spare, carried), self.stages.user_graph
            return run_steps(self._run, graph, sizes, count, arrays, moving, state)

        return self._pack(self._apply(run) if count else run(snapshot(self._variables), ())[0])

    @property
    def variables(self) -> dict[str, Variable]:
        """The variables that it reads or updates, by the names that its text has for them."""
        return named_variables(self.stages.user_graph)

    @surface
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the function and the values of its variables to a file, for gc.load_function.

        The file is a safetensors file: the graph before the passes as text, with the user's lines,
        and its arrays. Outputs in a named tuple come back in a tuple. Raises FunctionError: a
        custom op, which is Python code (E505), a dict of outputs with keys that are no strings or
        integers (E206). MissingExtraError (E601): `pip install 'graphc[save]'`.
        """
        variables = self.variables
        names = [str(tensor.name) for tensor in self.inputs]
        given = zip(names, self._arguments.defaults, strict=True)
        defaults = {name: value for name, value in given if value is not MISSING}
        saved = Saved(
            self.stages.user_graph,
            self._structure,
            variables,
            defaults,
            self._constraints,
            self._options,
        )
        values = dict(zip(variables, values_of(list(variables.values())), strict=True))
        write_function(path, saved, values)

    def _apply(self, run: Run, rewrites: bool = False) -> list[np.ndarray]:
        """Run on the variables, and set those that are updated as the last thing."""
        if not self._updated:
            return run(snapshot(self._variables), ())[0]
        return replaced_by(run, self._variables, self._updated, rewrites)

    def __copy__(self) -> "Function":
        return self  # as functions of Python do

    def __reduce__(self) -> NoReturn:
        raise unpicklable(f"the compiled function {self.name}")

    def __repr__(self) -> str:
        return f"<graphc function {self._arguments.signature()} on {self.backend}>"


def _long_way(function: weakref.ref[Function]) -> Callable[..., Any]:
    """The call through Python. It does not keep the function alive: the function keeps it."""

    def call(*args: Any, **kwargs: Any) -> Any:
        called = function()
        if called is None:
            raise ReferenceError("the compiled function of this call is gone")
        return called._call(args, kwargs)

    return call


def _copied(array: np.ndarray, memory: np.ndarray | None) -> np.ndarray:
    if memory is None:
        return array
    memory[...] = array
    return memory


@surface
def function(
    inputs: Sequence[Tensor] | Tensor,
    outputs: Any = None,
    updates: Mapping[Variable, Any] | Sequence[tuple[Variable, Any]] | LateUpdates | None = None,
    givens: Mapping[Tensor, Any] | Sequence[tuple[Tensor, Any]] | None = None,
    *,
    defaults: Mapping[Tensor, Any] | Mapping[str, Any] | None = None,
    backend: str = "auto",
    name: str | None = None,
    on_unused_input: str = "raise",
    allow_downcast: bool = False,
    threads: int | None = None,
    check: bool | str | Sequence[str] | None = None,
    optimize: bool = True,
    default_updates: bool = True,
    cache: bool = True,
    memory_limit: int | tuple[int, Mapping[str, int]] | None = None,
) -> Function:
    """Compile expressions of placeholders and variables into a function.

    inputs: placeholders, in the order of the call's arguments. outputs: one expression, or a list,
    a tuple or a dict of them, also nested; the call returns the same structure. updates: new
    values of variables, as a dict or pairs; all right-hand sides see the old values. givens:
    expressions to put in the place of others. defaults: values of inputs that a call leaves out.
    backend: "auto" (llvm), "llvm", "numba_cpu", "interpreter", "reference". name: an identifier;
    that of the variable on the left by default. on_unused_input: "raise", "warn", "ignore".
    allow_downcast: convert feeds that lose information, like float64 arrays to float32. threads:
    how many threads a call runs on, at most; by default $GRAPHC_THREADS, else OMP_NUM_THREADS,
    else all cores that this process may use (numba_cpu: 1). Results do not depend on it. check:
    "nan": results must be finite, else NumericsError names the op that made the first NaN or
    infinity; "passes": every pass must keep the numbers of every call, else ValidationError names
    the rule (slow); "ir" (or True): verify every intermediate representation while compiling; or a
    tuple of these. optimize: False skips all passes but the expansion of composite ops.
    default_updates: False
    leaves variables alone that carry an update of their own, such as the position of a
    gc.random.Stream. cache: keep the compiled object on disk for other processes (backend
    llvm; the folder is $GRAPHC_CACHE or ~/.cache/graphc). memory_limit: bytes that a call may need
    beside its inputs and the present values of the variables; cheap values are computed twice until
    it is kept, with the same results. With symbolic sizes: (bytes, {"n": 64}), the sizes up to
    which it holds; calls with larger ones run and may need more.

    Raises FunctionError: an output that needs a placeholder which is no input (E201), a size that
    no input gives (E204), unused inputs (E205), duplicate names (E206), two updates of one
    variable (E207), an update of another dtype or shape (E208), circular givens (E209).
    BackendError: an unknown backend (E501). MemoryLimitError: a limit that cannot be kept (E506).
    """
    sources = current_sources()
    try:
        inputs = (inputs,) if isinstance(inputs, Tensor) else input_sequence(inputs)
        check_options(on_unused_input)
        check_inputs(inputs, sources)
        tensors, structure = output_tensors(outputs, sources)
        replaced = givens_of(givens, inputs, sources)
        called = caller_name(sources) if name is None else checked_name(name)

        asked = Request(inputs, tensors, structure, replaced, called, sources, default_updates)

        def expanded() -> Graph:
            with source_scope(sources), uncollected():
                made = updates.make() if isinstance(updates, LateUpdates) else updates
                return asked.graph(made, unused=on_unused_input)

        with uncollected():
            if isinstance(updates, LateUpdates):
                graph: Graph = LateGraph(asked.graph(updates.early, updates.of), updates, expanded)
                if on_unused_input != "ignore" or replaced.tensors:
                    graph = expanded()
            else:
                graph = asked.graph(updates, unused=on_unused_input)
            return Function(
                graph,
                structure,
                named_defaults(defaults, inputs),
                backend=backend,
                allow_downcast=allow_downcast,
                threads=thread_count(threads),
                checks=check_words(check),
                optimize=optimize,
                cache=cache,
                constraints=replaced.constraints,
                limit=checked_limit(memory_limit),
            )
    except GraphcError as error:
        if error.source is None and sources:
            error.source = sources[0]
        raise
