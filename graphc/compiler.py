"""compile(): Graph -> passes -> Program -> MemoryPlan -> Executable. The only file that knows all
stages; every stage is kept, so that it can be printed, verified and interpreted.
"""

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

from graphc.backends.base import (
    Executable,
    KeepingBackend,
    keeps,
    local_buffers,
    scratch_of,
)
from graphc.backends.registry import REFERENCE, get_backend
from graphc.errors import BackendError, GraphcError
from graphc.fingerprint import fingerprint
from graphc.ir.graph import Graph
from graphc.ir.opdef import Constraint
from graphc.ir.storage import ProcessLock, Storage
from graphc.ir.verifier import verify
from graphc.late_updates import LateGraph
from graphc.loops.inlining import HIGHER_COSTS
from graphc.loops.ir import Program
from graphc.loops.lower import lower
from graphc.loops.verifier import verify_program
from graphc.memory.limit import MemoryLimit, within_limit
from graphc.memory.plan import MemoryPlan, plan_memory
from graphc.passes.pipeline import expand, optimize, real_numbers
from graphc.recall import NotPlainError, Outline, description, outline_of, with_sources
from graphc.rewrite.driver import RewriteLog
from graphc.running import ComplexRunner, GraphRunner, ProgramRunner, Runner
from graphc.shapes import symbols_of


class Stages:
    """Everything compilation made, in order; None for stages a backend does not have.

    A function that was found in the cache has no graph, log, program and plan until somebody asks:
    then they are made. variables: the memory of the variables that the program reads. figures: the
    numbers of nodes, steps and kernels. found: "found", or why the function was compiled.
    """

    def __init__(self, user_graph: Graph) -> None:
        self.user_graph = user_graph
        self.constraints: list[Constraint] = []
        self.size_names = size_names(user_graph)
        self.executable: Executable | None = None
        self.complex_parts = False  # the program computes with pairs of real numbers
        self.variables: list[Storage] = []
        self.figures: dict[str, Any] = {}
        self.found = "not looked for"
        self.seconds: dict[str, float] = {}
        self._graph = user_graph
        self._log = RewriteLog()
        self._program: Program | None = None
        self._plan: MemoryPlan | None = None
        self._late: Callable[[Stages], None] | None = None
        self._lock = ProcessLock()

    @property
    def graph(self) -> Graph:
        self._make()
        return self._graph

    @property
    def log(self) -> RewriteLog:
        self._make()
        return self._log

    @property
    def program(self) -> Program | None:
        self._make()
        return self._program

    @property
    def plan(self) -> MemoryPlan | None:
        self._make()
        return self._plan

    def _make(self) -> None:
        if self._late is None:
            return
        with self._lock.current():
            late, self._late = self._late, None
            if late is not None:
                try:
                    late(self)
                except BaseException:
                    self._late = late
                    raise

    def whole_program(self) -> Program:
        """The program with its steps and the user's lines."""
        assert self.program is not None
        return self.program

    def exact(self, constraint: Constraint) -> Constraint:
        """The constraint with the user's lines, which a function from the cache does not know."""
        for place, one in enumerate(self.constraints):
            if one is constraint and not one.sources:
                whole = _constraints(self.user_graph)
                return with_sources(one, place, whole)
        return constraint

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def compile_graph(
    graph: Graph,
    backend: str,
    *,
    threads: int | None = None,
    check: bool = False,
    optimized: bool = True,
    cache: bool = True,
    limit: MemoryLimit | None = None,
    demand: Callable[[Graph], None] | None = None,
) -> tuple[Stages, Runner]:
    """All stages of a graph and a way to run it. check: verify every IR on the way.

    limit: of the memory of a call; see `memory.limit`. demand: raises if the graph cannot be
    compiled; one that is in the cache was compiled once."""
    stages = Stages(graph)
    with stages.timed("load backend"):
        chosen = None if backend == REFERENCE else get_backend(backend)
    options = f"optimized={optimized}"
    name = None
    if limit is not None and chosen is None:
        raise BackendError("reference has no memory plan", code="E501", fix='use backend="llvm"')
    keeping = cache and not check and limit is None
    if keeping and keeps(chosen) and chosen.keeps:
        with stages.timed("recall"):
            name = graph.fingerprint() if isinstance(graph, LateGraph) else fingerprint(graph)
            stages.found = "compiled: the graph has an op or a function of its own"
            if name is not None:
                runner = _recalled(stages, chosen, name, options, optimized, threads)
                if runner is not None:
                    return stages, _around(stages, runner)
    if isinstance(graph, LateGraph):
        with stages.timed("updates"):
            early, graph = graph, graph.whole
            stages.user_graph = stages._graph = graph
    else:
        early = None
    if demand is not None:
        demand(graph)
    with stages.timed("infer"):
        stages.constraints = _constraints(graph)
    if chosen is None:
        with stages.timed("passes"):
            if optimized:
                stages._graph, stages._log = optimize(graph, check=check)
            else:
                stages._graph = expand(graph)
        stages.variables = [variable.storage for variable in stages.graph.variables]
        return stages, GraphRunner(stages.graph, stages.size_names)
    _lowered(stages, optimized, check)
    assert stages.program is not None
    if limit is not None:
        with stages.timed("memory"):
            others = (lower(stages.graph, stages.size_names, cost) for cost in HIGHER_COSTS)
            stages._program, stages._plan = within_limit(
                chain([stages.program], others),
                limit,
                lambda program: scratch_of(chosen.compile(program, threads=threads, cache=cache)),
            )
            verify_program(stages._program)
    with stages.timed("backend"):
        stages.executable = chosen.compile(stages.program, threads=threads, cache=cache)
    if limit is None:
        _planned(stages)
    assert stages.plan is not None
    parts: Mapping[str, float] = getattr(stages.executable, "seconds", {})
    stages.seconds.update({f"backend: {part}": seconds for part, seconds in parts.items()})
    stages.variables = [variable.storage for variable in stages.graph.variables]
    if name is not None:
        assert keeps(chosen)
        with stages.timed("keep"):
            _keep(stages, chosen, name, options, early)
    runner = ProgramRunner(stages.program, stages.plan, stages.executable, stages.whole_program)
    return stages, _around(stages, runner)


def _constraints(graph: Graph) -> list[Constraint]:
    # What depends on the number of steps of a loop is not known at the call.
    known = set(size_names(graph))
    return [one for one in verify(graph) if symbols_of(one.left) | symbols_of(one.right) <= known]


def _lowered(stages: Stages, optimized: bool, check: bool = False) -> None:
    """Passes and lowering."""
    with stages.timed("passes"):
        graph = real_numbers(stages.user_graph)
        stages.complex_parts = graph is not stages.user_graph
        if optimized:
            stages._graph, stages._log = optimize(graph, check=check)
        else:
            stages._graph = expand(graph)
    with stages.timed("lower"):
        stages._program = lower(stages._graph, stages.size_names)
    if check:
        verify_program(stages._program)


def _planned(stages: Stages) -> None:
    """The plan, for what the executable leaves to it."""
    assert stages._program is not None
    with stages.timed("plan"):
        stages._plan = plan_memory(stages._program, local_buffers(stages.executable))


def _look_up(stages: Stages, optimized: bool) -> None:
    """The stages of a function from the cache."""
    _lowered(stages, optimized)
    _planned(stages)


def _around(stages: Stages, runner: ProgramRunner) -> Runner:
    return ComplexRunner(stages.user_graph, runner) if stages.complex_parts else runner


def _recalled(
    stages: Stages,
    backend: KeepingBackend,
    name: bytes,
    options: str,
    optimized: bool,
    threads: int | None,
) -> ProgramRunner | None:
    """The function from the cache, if it is there. Its stages are made when somebody looks."""
    found = backend.recall(name, options)
    if isinstance(found, str):
        stages.found = f"compiled: {found}"
        return None
    graph = stages.user_graph
    try:
        words = found.description
        known = graph.recalled(words["late"]) if isinstance(graph, LateGraph) else _known(graph)
        outline = found.made.get("outline") or found.made.setdefault("outline", outline_of(words))
        variables = [known[place] for place in outline.variables]
        executable = found.executable(outline.program, _for_texts(stages), threads)
    except (GraphcError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        stages.found = "compiled: the entry was broken"
        return None
    stages.found = "found"
    stages.constraints = list(outline.constraints)
    stages.variables = variables
    stages.complex_parts = outline.complex_parts
    stages.figures = dict(outline.figures)
    stages.executable = executable
    stages._late = partial(_look_up, optimized=optimized)
    return ProgramRunner(outline.program, outline.plan, executable, stages.whole_program)


def _for_texts(stages: Stages) -> Callable[[], Program]:
    """The whole program for the executable, which the stages own: it does not own them."""
    owner = weakref.ref(stages)

    def whole() -> Program:
        found = owner()
        if found is None:
            raise ReferenceError("the compiled function of this code is gone")
        return found.whole_program()

    return whole


def _known(graph: Graph) -> list[Storage]:
    return [variable.storage for variable in graph.variables]


def _keep(
    stages: Stages, backend: KeepingBackend, name: bytes, options: str, early: LateGraph | None
) -> None:
    """Keep a function for other processes; one that cannot be kept is none the worse for it.

    early: the graph before its updates were made, if the name is that of this one.
    """
    program, plan, executable = stages.program, stages.plan, stages.executable
    assert program is not None and plan is not None and executable is not None
    stages.figures = {
        "nodes": len(stages.graph.nodes),
        "steps": len(program.all_steps),
        "kernels": len(program.kernels),
    }
    try:
        known, late = _names_of(stages, early)
        numbers = {id(storage): number for number, storage in enumerate(known)}
        outline = Outline(
            program,
            plan,
            stages.constraints,
            stages.size_names,
            [numbers[id(storage)] for storage in stages.variables],
            stages.complex_parts,
            stages.figures,
        )
        words = {**description(outline), **late}
        failure = backend.keep(name, options, executable, words)
    except NotPlainError as error:
        failure = str(error)
    if failure:
        stages.found += f", not kept: {failure.removeprefix(', not kept: ')}"


def _names_of(stages: Stages, early: LateGraph | None) -> tuple[Sequence[Storage], dict[str, Any]]:
    """The variables that have a number in the description; and what it says of late updates."""
    if early is None:
        return _known(stages.user_graph), {}
    late = early.described()
    if late is None:
        raise NotPlainError("its updates are known when they are made")
    known = early.variables_of(late)
    if not {id(storage) for storage in stages.variables} <= {id(storage) for storage in known}:
        raise NotPlainError("its updates read variables that are known when they are made")
    return known, {"late": late}


def size_names(graph: Graph) -> tuple[str, ...]:
    """The symbolic sizes of the inputs, in order of first appearance."""
    found: dict[str, None] = {}
    for tensor in graph.inputs:
        for size in tensor.shape:
            if not isinstance(size, int):
                found.update(dict.fromkeys(sorted(size.symbols())))
    return tuple(found)
