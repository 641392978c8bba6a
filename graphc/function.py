"""Function: a compiled graph that is called with arrays; and `function`, which compiles one."""

import contextlib
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from graphc.compiler import Stages, compile_graph
from graphc.errors import FeedError, FunctionError
from graphc.feeds import FeedBinder
from graphc.inspect.text import FunctionText
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER, Storage, Variable
from graphc.ir.opdef import Constraint
from graphc.ir.source import Sources, current_sources
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import path_to
from graphc.shapes import Dim, format_shape
from graphc.signature import Structure, check_inputs, named_updates, result_structure
from graphc.substitution import givens_of, substitute_tensors

__all__ = ["Function", "function"]

Outputs = Tensor | Sequence[Any] | Mapping[str, Any] | None


class Function(FunctionText):
    """A compiled function. Call it with one array per input, by position or by name.

    Calls are thread-safe; each is atomic: it reads the variables as they were when it began, and
    their new values appear together when it ends. If it fails, nothing has changed.
    """

    def __init__(
        self,
        graph: Graph,
        structure: Structure,
        defaults: Mapping[Tensor, Any],
        *,
        backend: str,
        allow_downcast: bool,
        threads: int,
        check: bool,
        optimize: bool,
    ) -> None:
        self.name = graph.name
        self.backend = backend
        self.inputs = graph.inputs
        self._structure = structure
        self.stages: Stages
        self.stages, self._run = compile_graph(
            graph, backend, threads=threads, check=check, optimized=optimize
        )
        constraints = [*self.stages.constraints, *update_constraints(graph)]
        self._binder = FeedBinder(
            graph.inputs, self.stages.size_names, constraints, allow_downcast
        )
        names = [tensor.name for tensor in graph.inputs]
        self._positions = {name: number for number, name in enumerate(names)}
        self._defaults: list[Any] = [defaults.get(t, _MISSING) for t in graph.inputs]
        # Variables as the program knows them: those of the optimised graph.
        self._variables: list[Storage] = [v.storage for v in self.stages.graph.variables]
        self._updated: list[Storage] = [v.storage for v, _ in graph.updates]
        # One order for all functions, so that two of them never wait for each other.
        unique = {s.serial: s for s in (*self._variables, *self._updated)}
        self._locks = [unique[serial].lock for serial in sorted(unique)]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run. Arrays of another dtype are converted where that loses nothing.

        Returns what `outputs` was: one array, a list, a tuple, a dict, or None. Raises FeedError
        (missing, superfluous, ill-shaped feeds), FeedTypeError (a dtype that would lose
        information), IndexOutOfRange. After an error every variable has its old value.
        """
        if kwargs or len(args) != len(self.inputs):
            args = self._complete(args, kwargs)
        arrays = self._binder.arrays(args)
        sizes = self._binder.sizes(arrays)
        if not self._locks:
            outputs, _ = self._run(sizes, arrays, (), ())
            return self._structure.pack(outputs)
        with contextlib.ExitStack() as held:
            for lock in self._locks:
                held.enter_context(lock)
            variables = [storage.array for storage in self._variables]
            spare = [storage.take_spare() for storage in self._updated]
            outputs, values = self._run(sizes, arrays, variables, spare)
            for storage, value in zip(self._updated, values, strict=True):
                storage.replace(value)
        return self._structure.pack(outputs)

    def _complete(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Positions, names and defaults as one value per input."""
        if len(args) > len(self.inputs):
            raise FeedError(
                f"{self.name} takes {len(self.inputs)} inputs, got {len(args)}",
                code="E202",
                details=[self._signature()],
                fix="pass one array per input",
            )
        values = [*args, *self._defaults[len(args) :]]
        for name, value in kwargs.items():
            position = self._positions.get(name)
            if position is None or position < len(args):
                problem = "has no input" if position is None else "got two values for"
                raise FeedError(
                    f"{self.name} {problem} {name!r}",
                    code="E202",
                    details=[self._signature()],
                    fix="pass each input once, by position or by its name",
                )
            values[position] = value
        for tensor, value in zip(self.inputs, values, strict=True):
            if value is _MISSING:
                raise self._missing(tensor)
        return tuple(values)

    def _signature(self) -> str:
        return f"{self.name}({', '.join(f'{t.name}: {t.type}' for t in self.inputs)})"

    def _missing(self, tensor: Tensor) -> FeedError:
        return FeedError(
            f"{self.name}: input {tensor.name!r} was not fed",
            code="E201",
            details=[self._signature(), *_path_text(self.stages.user_graph, tensor)],
            source=tensor.sources[0] if tensor.sources else None,
            fix=f"pass a value for {tensor.name}, or give it a default",
        )

    def __repr__(self) -> str:
        return f"<graphc function {self._signature()} on {self.backend}>"


class _Missing:
    def __repr__(self) -> str:
        return "<not fed>"


_MISSING = _Missing()


def function(
    inputs: Sequence[Tensor] | Tensor,
    outputs: Outputs = None,
    updates: Mapping[Variable, Any] | Sequence[tuple[Variable, Any]] | None = None,
    givens: Mapping[Tensor, Any] | Sequence[tuple[Tensor, Any]] | None = None,
    *,
    defaults: Mapping[Tensor, Any] | None = None,
    backend: str = "auto",
    name: str | None = None,
    on_unused_input: str = "raise",
    allow_downcast: bool = False,
    threads: int | None = None,
    check: bool = False,
    optimize: bool = True,
) -> Function:
    """Compile expressions of placeholders and variables into a function.

    inputs: placeholders, in the order of the call's arguments. outputs: one expression, a list, a
    tuple or a dict of them; the call returns the same structure. updates: new values of variables,
    as a dict or pairs; all right-hand sides see the old values. givens: expressions to put in the
    place of others. defaults: values of inputs that a call leaves out. backend: "auto" (llvm),
    "llvm", "numba_cpu", "interpreter", "reference". on_unused_input: "raise", "warn", "ignore".
    allow_downcast: convert feeds that lose information, like float64 arrays to float32. threads:
    for backends that run in parallel; OMP_NUM_THREADS or 1 by default. check: verify every
    intermediate representation. optimize: False skips all passes but the expansion of composite
    ops.

    Raises FunctionError: an output that needs a placeholder which is no input (E201), unused
    inputs (E205), duplicate names (E206), two updates of one variable (E207), an update of another
    dtype or shape (E208), circular givens (E209).
    """
    sources = current_sources()
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if on_unused_input not in ("raise", "warn", "ignore"):
        raise FunctionError(
            f"on_unused_input={on_unused_input!r}",
            code="E205",
            source=sources[0] if sources else None,
            fix='use "raise", "warn" or "ignore"',
        )
    check_inputs(inputs, sources)
    tensors, structure = result_structure(outputs)
    pairs = named_updates(updates, sources)
    results = [*tensors, *(value for _, value in pairs)]
    if givens:
        results = substitute_tensors(results, givens_of(givens))
    graph = Graph(
        inputs,
        tuple(results[: len(tensors)]),
        tuple((v, new) for (v, _), new in zip(pairs, results[len(tensors) :], strict=True)),
        name or _caller_name(sources),
        structure.names,
    )
    check_placeholders(graph, sources, on_unused_input)
    check_sizes(graph, sources)
    return Function(
        graph,
        structure,
        {key: value for key, value in (defaults or {}).items()},
        backend=backend,
        allow_downcast=allow_downcast,
        threads=threads or int(os.environ.get("OMP_NUM_THREADS", "1") or 1),
        check=check,
        optimize=optimize,
    )


def _caller_name(sources: Sources) -> str:
    """`train` for `train = gc.function(...)`, as far as the user's line tells."""
    if sources:
        target, assigned, _ = sources[0].text.partition("=")
        if assigned and target.strip().isidentifier():
            return target.strip()
    return "function"


def check_placeholders(graph: Graph, sources: Sources, on_unused_input: str) -> None:
    """Every placeholder that is needed is an input, every input is needed."""
    declared = {id(tensor.node) for tensor in graph.inputs}
    used: set[int] = set()
    for node in graph.nodes:
        if node.op is not PLACEHOLDER:
            continue
        used.add(id(node))
        if id(node) not in declared:
            tensor = Tensor(node)
            raise FunctionError(
                f"the outputs need placeholder {tensor.name!r}, which is not among the inputs",
                code="E201",
                details=_path_text(graph, tensor),
                source=sources[0] if sources else None,
                fix=f"add {tensor.name} to the inputs, or replace it with givens",
            )
    used_sizes = {name for node in graph.nodes for name in _sizes_in(node.attrs.values())}
    for tensor in graph.inputs:
        gives_size = any(isinstance(s, Dim) and s.symbols() & used_sizes for s in tensor.shape)
        if id(tensor.node) in used or gives_size or on_unused_input == "ignore":
            continue
        error = FunctionError(
            f"input {tensor.name!r} is not used by any output or update",
            code="E205",
            details=[f"{tensor.name}: {tensor.type}, declared {tensor.source}"],
            source=sources[0] if sources else None,
            fix='remove it from the inputs, or pass on_unused_input="ignore"',
        )
        if on_unused_input == "raise":
            raise error
        warnings.warn(str(error), stacklevel=3)


def _sizes_in(values: Any) -> set[str]:
    found: set[str] = set()
    for value in values:
        if isinstance(value, Dim):
            found |= value.symbols()
        elif isinstance(value, tuple):
            found |= _sizes_in(value)
    return found


def check_sizes(graph: Graph, sources: Sources) -> None:
    """Every symbolic size must follow from the shape of some input."""
    bound: set[str] = set()
    for tensor in graph.inputs:
        bound |= {str(size) for size in tensor.shape if isinstance(size, Dim)}
    for node in graph.nodes:
        for declared in node.types:
            for size in declared.shape:
                free = size.symbols() - bound if isinstance(size, Dim) else frozenset()
                if free:
                    raise FunctionError(
                        f"the size {min(free)!r} does not follow from any input's shape",
                        code="E204",
                        details=[f"{node.op.name}: {declared}"],
                        source=node.sources[0] if node.sources else None,
                        fix="declare a placeholder that has this size as a whole axis",
                    )


def update_constraints(graph: Graph) -> list[Constraint]:
    """Symbolic sizes of an update must turn out to be those of its variable."""
    return [
        Constraint(
            new,
            old,
            f"update of {variable.name}: shape {format_shape(value.shape)} for "
            f"{format_shape(variable.shape)}",
            value.sources,
        )
        for variable, value in graph.updates
        for new, old in zip(value.shape, variable.shape, strict=True)
        if new != old
    ]


def _path_text(graph: Graph, tensor: Tensor) -> list[str]:
    """`cost <- mean <- log <- x`: how the results depend on a placeholder."""
    for result in graph.results:
        chain = path_to(result, tensor)
        if chain:
            names = [str(node.attrs.get("name") or node.op.name) for node in chain]
            if result.name:
                names[0] = result.name
            if len(names) > 12:
                names = [*names[:6], "...", *names[-5:]]
            return [" <- ".join(names)]
    return []

