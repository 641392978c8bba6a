"""gc.bisect: which rule, which lowering or which kernel makes a compiled function differ.

    graph as written ─ passes ─▶ graph ─ lowering ─▶ loops ─ backend ─▶ native code ─ plan ─▶ call

Each arrow is tried on the given inputs: both sides are computed, and the first pair that differs is
looked into, down to the rule, op or kernel.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphc.backends.base import local_buffers
from graphc.backends.registry import REFERENCE
from graphc.checks.compare import Difference, coarsest, find_difference
from graphc.checks.validation import Culprit, Evaluation, find_culprit, snapshots_of
from graphc.compiler import Stages, compile_graph
from graphc.dtypes import DType
from graphc.errors import FunctionError
from graphc.function import Function, function
from graphc.ir.graph import Graph
from graphc.ir.lowering import Leaf
from graphc.ir.printer import format_expression
from graphc.ir.source import Sources, current_source
from graphc.ir.tensor import Tensor
from graphc.loops.interpreter import run_program
from graphc.loops.ir import Buffer, Contraction, KernelCall, Program, Step
from graphc.loops.order import uses
from graphc.loops.printer import format_step, step_sources
from graphc.memory.products import ProductPlaces
from graphc.ops.bodies import seen_through
from graphc.passes.pipeline import real_numbers
from graphc.records import dataclass
from graphc.shapes import evaluate
from graphc.surface import surface

__all__ = ["Bisection", "bisect"]

Memory = dict[str, np.ndarray]


@dataclass(frozen=True)
class Bisection:
    """What `bisect` found. Prints as text; false where nothing differs.

    stage: "nothing", "passes", "lowering", "kernel" or "call". culprit: the rule, op or kernel.
    """

    stage: str
    culprit: str
    details: tuple[str, ...] = ()
    sources: Sources = ()

    def __bool__(self) -> bool:
        return self.stage != "nothing"

    def __str__(self) -> str:
        if not self:
            return self.culprit
        rows = [f"{self.stage}: {self.culprit}", *(f"    {row}" for row in self.details)]
        if self.sources:
            rows.append(f"  written   {self.sources[0].describe()}")
        return "\n".join(rows)

    def __repr__(self) -> str:
        return str(self)


@surface
def bisect(
    compiled: Function | Graph,
    *args: Any,
    backends: Sequence[str] | None = None,
    **kwargs: Any,
) -> Bisection:
    """The first stage, and in it the rule, op or kernel, that changes the numbers of a call.

    compiled: a function, or a graph. args, kwargs: its inputs; small ones, as much is computed
    element by element in Python. Variables keep their values. backends: which ones to look at;
    that of the function by default. Callbacks and Python functions inside run several times.

    Returns a Bisection; it prints as text, and is false where nothing differs: up to rounding, or
    where the difference is an improvement on the graph as it is written.

    Raises what a call raises for inputs that do not fit; FunctionError (E205): something that is
    neither a function nor a graph.

    >>> print(gc.bisect(f, x, y))
    >>> print(gc.bisect(f, x, y, backends=["llvm", "numba_cpu"]))
    """
    if isinstance(compiled, Graph):
        compiled = function(
            list(compiled.inputs),
            list(compiled.outputs),
            dict(compiled.updates),
            backend=REFERENCE,
            on_unused_input="ignore",
            default_updates=False,
        )
        backends = ("llvm",) if backends is None else backends
    if not isinstance(compiled, Function):
        raise FunctionError(
            f"bisect: {type(compiled).__name__} is no compiled function",
            code="E205",
            source=current_source(),
            fix="pass what gc.function returned, then its inputs",
        )
    sizes, arrays = compiled.bound(*args, **kwargs)
    written, optimized = compiled.stages.user_graph, compiled.optimized
    graph = real_numbers(written)
    names = compiled.stages.size_names
    stored = {id(variable.storage): variable.value for variable in written.variables}
    variables = [stored[id(variable.storage)] for variable in graph.variables]
    evaluation = Evaluation(graph, (*arrays, *variables), dict(zip(names, sizes, strict=True)))
    if optimized:
        culprit = find_culprit(evaluation, snapshots_of(graph), written)
        if culprit is not None:
            return _in_passes(graph, culprit)
    for backend in backends or (compiled.backend,):
        if backend != REFERENCE:
            found = _in_backend(evaluation, backend, optimized)
            if found is not None:
                return found
    tried = ", ".join(backends or (compiled.backend,))
    return Bisection("nothing", f"{graph.name}: nothing differs on {tried}")


def _in_passes(graph: Graph, culprit: Culprit) -> Bisection:
    entry = culprit.entry
    name = f"rule {entry.rule}" if entry is not None else f"pass {culprit.name}"
    sources = graph.results[culprit.difference.result].sources if entry is None else entry.sources
    return Bisection("passes", name, tuple(culprit.lines()), sources)


def _in_backend(evaluation: Evaluation, backend: str, optimized: bool) -> Bisection | None:
    """Lowering, code generation, and the call as a whole."""
    stages, run = compile_graph(evaluation.graph, backend, optimized=optimized)
    assert stages.program is not None
    meant = _Memory(stages, evaluation)
    meant.interpret()
    difference = meant.difference(evaluation)
    if difference is not None:
        return _in_lowering(stages, evaluation, difference)
    native = _Memory(stages, evaluation)
    native.execute()
    local = local_buffers(stages.executable)
    precision = coarsest(evaluation.precisions)
    found = _first_step(stages.program, (meant.arrays, native.arrays), local, precision)
    if found is not None:
        step, buffer, difference = found
        return Bisection(
            "kernel",
            f"{backend}: {format_step(step)}",
            (getattr(step, "comment", "") or buffer, *difference.lines("loops", backend)),
            step_sources(step),
        )
    graph = stages.graph
    values = dict(zip((t.key for t in evaluation.feeds), evaluation.feeds.values(), strict=True))
    given = [values[tensor.key] for tensor in (*graph.inputs, *graph.variables)]
    count = len(graph.inputs)
    spare = [np.empty_like(values[variable.key]) for variable, _ in graph.updates]
    sizes = tuple(evaluation.sizes.values())
    outputs, updates = run(sizes, given[:count], given[count:], spare)
    difference = evaluation.apart([*outputs, *updates])
    if difference is None:
        return None
    return Bisection(
        "call",
        f"{backend}: every kernel is right, the call is not: the memory plan or the entry",
        tuple(difference.lines("op by op", backend)),
        graph.results[difference.result].sources,
    )


class _Memory:
    """An array for every buffer of a program, none shared, so that all values stay."""

    def __init__(self, stages: Stages, evaluation: Evaluation) -> None:
        assert stages.program is not None
        self.stages = stages
        self.program = stages.program
        self.sizes = evaluation.sizes
        graph = stages.graph
        feeds = {tensor.key: array for tensor, array in evaluation.feeds.items()}
        given = iter([feeds[tensor.key] for tensor in (*graph.inputs, *graph.variables)])
        self.arrays: Memory = {}
        for name, buffer in self.program.buffers.items():
            if buffer.role in ("input", "variable"):
                self.arrays[name] = np.ascontiguousarray(next(given))
            elif buffer.role == "constant":
                self.arrays[name] = np.ascontiguousarray(self.program.constants[name])
            elif buffer.role not in ("view", "heap"):  # the program's own
                self.arrays[name] = np.zeros(self.shape(buffer), buffer.dtype)

    def shape(self, buffer: Buffer) -> tuple[int, ...]:
        return tuple(evaluate(size, self.sizes) for size in buffer.shape)

    def interpret(self) -> None:
        run_program(self.program, self.sizes, self.arrays)

    def execute(self) -> None:
        assert self.stages.executable is not None
        roles = {name: buffer.role for name, buffer in self.program.buffers.items()}
        own = [a for name, a in self.arrays.items() if roles[name] == "temporary"]
        given = [a for name, a in self.arrays.items() if roles[name] != "temporary"]
        sizes = [self.sizes[name] for name in self.program.sizes]
        self.stages.executable.bind(sizes, own)(given)

    def difference(self, evaluation: Evaluation) -> Difference | None:
        """Between the graph and what the results lie at here."""
        names = (*self.program.outputs, *(value for _, value in self.program.updates))
        found = [
            self.arrays[name].reshape(value.shape)
            for name, value in zip(names, evaluation.values, strict=True)
        ]
        return evaluation.apart(found)


def _first_step(
    program: Program, memories: tuple[Memory, Memory], local: frozenset[str], precision: DType
) -> tuple[Step, str, Difference] | None:
    """The first step that leaves other values in the second memory; buffers count when they are
    whole. precision: the coarsest dtype of the program."""
    meant, native = memories
    last = {name: number for number, step in enumerate(program.steps) for name in uses(step)[1]}
    places = ProductPlaces(program)
    for number, step in enumerate(program.steps):
        for name in uses(step)[1]:
            if last[name] != number or name not in meant or name in local:
                continue
            following = program.steps[number + 1 : number + 2]
            if isinstance(step, Contraction) and any(
                isinstance(after, KernelCall) and places.place(step, after) != name
                for after in following
            ):
                continue  # it may have been computed in the memory of what follows
            pair = [meant[name]], [native[name]]
            digits = [coarsest([precision, meant[name].dtype])]
            difference = find_difference(*pair, lambda: pair[0], digits)  # noqa: B023 - used at once
            if difference is not None:
                return step, name, difference
    return None


def _in_lowering(stages: Stages, evaluation: Evaluation, difference: Difference) -> Bisection:
    """The first op that is computed wrongly if every value is stored."""
    graph = stages.graph
    nodes = [
        node
        for node in replace(graph, outputs=tuple(seen_through(graph.outputs))).nodes
        if not isinstance(node.op.lower, Leaf)
    ]
    every = [Tensor(node, number) for node in nodes for number in range(len(node.types))]
    whole = Graph(graph.inputs, tuple(every), (), graph.name)
    given = {tensor.key: array for tensor, array in evaluation.feeds.items()}
    alone = Evaluation(
        whole,
        [given[tensor.key] for tensor in (*whole.inputs, *whole.variables)],
        evaluation.sizes,
    )
    stored, _ = compile_graph(whole, "interpreter", optimized=False)
    memory = _Memory(stored, alone)
    memory.interpret()
    found = memory.difference(alone)
    if found is None:
        return Bisection(
            "lowering",
            "the fused loops differ from the graph; with every value stored they do not",
            tuple(difference.lines("op by op", "loops")),
            graph.results[difference.result].sources,
        )
    culprit = every[found.result]
    return Bisection(
        "lowering",
        f"op {culprit.op.name}: {format_expression(culprit)}",
        tuple(found.lines("op by op", "loops")),
        culprit.sources,
    )
