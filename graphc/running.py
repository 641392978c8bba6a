"""Runners: compiled programs between the checks of a call and the backend.

They give a program its arena, memory for its results and the sizes, and turn its faults into errors
with the user's lines.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np

from graphc.backends.base import (
    BoundProgram,
    Executable,
    RepeatableProgram,
    ScratchExecutable,
    TableProgram,
    has_scratch,
    may_exchange,
    scratch_of,
)
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.conversion import complex_view, real_view
from graphc.dtypes import is_complex
from graphc.errors import MemoryLimitError
from graphc.faults import failure, too_large
from graphc.ir.graph import Graph
from graphc.loops.ir import INNER_ROLES, Fault, Program
from graphc.memory.lives import ALIGNMENT
from graphc.memory.plan import MemoryPlan
from graphc.memory.results import ResultMemory
from graphc.memory.shortage import shortage
from graphc.placement import fresh
from graphc.records import dataclass
from graphc.shape_table import ShapeTable
from graphc.shapes import evaluate

KEPT_SIZES = 64  # layouts of recent sizes kept per workspace: as many as batches may differ in

Sizes = tuple[int, ...]
Arrays = Sequence[np.ndarray]
Given = Sequence[np.ndarray | None]  # memory for each output, None for a new array; or nothing

# run(sizes, inputs, variables, buffers for the updates) -> outputs, new values of the updates
Runner = Callable[[Sizes, Arrays, Arrays, Arrays], tuple[list[np.ndarray], list[np.ndarray]]]


class ComplexRunner:
    """Runs a program of real numbers for a function of complex ones: the same memory, seen as pairs
    of floats."""

    def __init__(self, graph: Graph, run: "ProgramRunner") -> None:
        self.run = run
        self.dtypes = [tensor.dtype for tensor in graph.outputs]

    def __call__(
        self, sizes: Sizes, inputs: Arrays, variables: Arrays, spare: Arrays, out: Given = ()
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        given = [None if array is None else real_view(array) for array in out]
        outputs, _ = self.run(sizes, _real(inputs), _real(variables), _real(spare), given)
        results = self._complex(outputs)
        for position, array in enumerate(out):
            if array is not None:
                results[position] = array
        return results, list(spare)

    def repeat(
        self, sizes: Sizes, count: int, inputs: Arrays, moving: Sequence[bool], state: "State"
    ) -> tuple[list[np.ndarray], list[np.ndarray]] | None:
        """See `ProgramRunner.repeat`."""
        reals = State(_real(state.variables), _real(state.spare), state.carried)
        done = self.run.repeat(sizes, count, _real(inputs), moving, reals)
        if done is None:
            return None
        news = [
            complex_view(new) if is_complex(old.dtype) else new
            for new, old in zip(done[1], state.spare, strict=True)
        ]
        return self._complex(done[0]), news

    def _complex(self, outputs: Arrays) -> list[np.ndarray]:
        return [
            complex_view(array) if is_complex(dtype) else array
            for array, dtype in zip(outputs, self.dtypes, strict=True)
        ]


def _real(arrays: Arrays) -> list[np.ndarray]:
    return [real_view(array) for array in arrays]


class GraphRunner:
    """Runs the optimised graph through the reference interpreter."""

    def __init__(self, graph: Graph, size_names: tuple[str, ...]) -> None:
        self.graph, self.size_names = graph, size_names

    def __call__(
        self, sizes: Sizes, inputs: Arrays, variables: Arrays, spare: Arrays
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        graph = self.graph
        leaves = (*graph.inputs, *graph.variables)
        feeds = dict(zip(leaves, (*inputs, *variables), strict=True))
        bindings = dict(zip(self.size_names, sizes, strict=True))
        results = evaluate_tensors(graph.results, feeds, bindings)
        copies = [np.array(result, order="C", copy=True) for result in results]
        count = len(graph.outputs)
        return copies[:count], copies[count:]


@dataclass(frozen=True, slots=True)
class State:
    """The variables of many steps: present values, buffers for the new ones, and for each update
    the position of its variable among those that the program reads."""

    variables: Arrays
    spare: Arrays
    carried: Sequence[int | None]


class Workspace:
    """An arena and the programs bound to it. Used by one call at a time.

    The scratch memory of single steps is apart, so that it stays, and stays warm in the caches,
    where calls of other sizes need a larger arena.
    """

    def __init__(self) -> None:
        self.arena = np.empty(0, np.uint8)
        self.scratch = np.empty(0, np.uint8)
        self.begin = 0  # of the arena, at the start of a cache line
        self.bound: OrderedDict[Sizes, tuple[BoundProgram, list[tuple[int, ...]]]] = OrderedDict()

    def reserve(self, bytes_: int, scratch: int) -> int:
        """Have room for so many bytes of each; where the arena begins."""
        if self.scratch.nbytes < scratch + ALIGNMENT - 1:
            self.bound.clear()
            self.scratch = _larger(self.scratch, scratch)
        if self.arena.nbytes < bytes_ + ALIGNMENT - 1:
            self.bound.clear()
            self.arena = _larger(self.arena, bytes_)
            address: int = self.arena.__array_interface__["data"][0]
            self.begin = -address % ALIGNMENT
        return self.begin


def _larger(memory: np.ndarray, size: int) -> np.ndarray:
    """Memory for `size` bytes, and some more where sizes keep growing."""
    return np.empty(max(size, memory.nbytes * 3 // 2) + ALIGNMENT - 1, np.uint8)


class ProgramRunner:
    """Runs an executable: memory for temporaries and results, faults as errors."""

    def __init__(
        self,
        program: Program,
        plan: MemoryPlan,
        executable: Executable,
        full: Callable[[], Program] | None = None,
    ) -> None:
        self.program = program  # one from the cache has no steps and no lines; full() has
        self.full: Callable[[], Program] = full or (lambda: program)
        self.plan = plan
        self.executable = executable
        self.scratch = scratch_of(executable)
        buffers = list(program.buffers.values())
        self.has_area = has_scratch(executable)
        # Heap buffers grow with the steps of a loop: they have no shape before.
        self.sized = [b for b in buffers if b.role != "heap"]
        self.shapes = ShapeTable([b.shape for b in self.sized])
        self.unchecked = list(enumerate(self.sized))  # whose bytes may be too many to address
        # How to fill the list of arrays: (role, position among its role).
        counts: dict[str, int] = {}
        self.layout: list[tuple[str, int, np.dtype[np.generic]]] = []
        constants = []
        for buffer in buffers:
            if buffer.role in INNER_ROLES:
                continue
            position = counts.setdefault(buffer.role, 0)
            counts[buffer.role] += 1
            self.layout.append((buffer.role, position, buffer.dtype))
            if buffer.role == "constant":
                constants.append(np.ascontiguousarray(program.constants[buffer.name]))
        self.constants = constants
        roles = [role for role, _, _ in self.layout]
        # The places of what is no variable and no new value.
        self.own = [n for n, role in enumerate(roles) if role not in ("variable", "update")]
        self.has_table = may_exchange(executable)
        outputs = {b.name: n for n, b in enumerate(b for b in buffers if b.role == "output")}
        self.output_order = [outputs[name] for name in program.outputs]
        self.result_of = {place: result for result, place in enumerate(self.output_order)}
        self.result_memory = [ResultMemory() for _ in outputs]
        # Workspaces not in use; concurrent calls take one each.
        self.idle: deque[Workspace] = deque()
        self.seconds = 0.0  # of the last run

    def __call__(
        self, sizes: Sizes, inputs: Arrays, variables: Arrays, spare: Arrays, out: Given = ()
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        workspace = self.workspace()
        bound = workspace.bound.get(sizes)
        if bound is None:
            bound = self.bind(workspace, sizes)
        run, shapes = bound
        arrays: list[np.ndarray] = []
        outputs: list[np.ndarray] = []
        for role, position, dtype in self.layout:
            if role == "output":
                array = self.memory(position, shapes[position], dtype, out, sizes)
                outputs.append(array)
            elif role == "input":
                array = inputs[position]
            elif role == "variable":
                array = variables[position]
            elif role == "update":
                array = spare[position]
            else:
                array = self.constants[position]
            arrays.append(array)
        try:
            if self.has_table:
                program = cast(TableProgram, run)
                program.point(arrays)
                self.timed(program.run, sizes)
            else:
                self.timed(partial(run, arrays), sizes)
        finally:
            self.idle.append(workspace)
        return [outputs[position] for position in self.output_order], list(spare)

    def workspace(self) -> Workspace:
        """One that nobody else uses; whoever takes it appends it to `idle` afterwards."""
        try:
            return self.idle.pop()
        except IndexError:
            return Workspace()

    def timed(self, run: Callable[[], None], sizes: Sizes) -> None:
        """A call, whose time decides how later ones are made; see graphc.direct."""
        start = time.perf_counter()
        try:
            self.native(run, sizes)
        finally:
            self.seconds = time.perf_counter() - start

    def native(self, run: Callable[[], None], sizes: Sizes) -> None:
        """Native code, its faults as errors with the user's lines."""
        try:
            run()
        except Fault as fault:
            error = self.error_of(fault, sizes)
            raise error from error.__cause__

    def memory(
        self,
        position: int,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        out: Given,
        sizes: Sizes,
    ) -> np.ndarray:
        """Memory for one of the program's outputs."""
        given = out[self.result_of[position]] if out else None
        if given is not None:
            return given
        try:
            return self.result_memory[position].take(shape, dtype)
        except MemoryError as missing:
            raise self.shortage(sizes, missing) from None

    def repeat(
        self, sizes: Sizes, count: int, inputs: Arrays, moving: Sequence[bool], state: "State"
    ) -> tuple[list[np.ndarray], list[np.ndarray]] | None:
        """Steps in one native call, as `repeat.run_steps`; None where the backend has none."""
        workspace = self.workspace()
        try:
            run, shapes = workspace.bound.get(sizes) or self.bind(workspace, sizes)
            if not isinstance(run, RepeatableProgram):
                return None
            arrays: list[np.ndarray] = []
            outputs: list[np.ndarray] = []
            moves: list[tuple[int, int]] = []
            values, news = {}, {}  # places among the arrays
            for place, (role, position, dtype) in enumerate(self.layout):
                if role == "output":
                    try:
                        array = np.empty((count, *shapes[position]), dtype)
                    except MemoryError as missing:
                        raise self.shortage(sizes, missing) from None
                    outputs.append(array)
                    moves.append((place, array.nbytes // count))
                elif role == "input":
                    array = inputs[position]
                    if moving[position]:
                        moves.append((place, array.nbytes // count))
                elif role == "variable":
                    array, values[position] = state.variables[position], place
                elif role == "update":
                    array, news[position] = state.spare[position], place
                else:
                    array = self.constants[position]
                arrays.append(array)
            second = [fresh(array.shape, array.dtype) for array in state.spare]
            swaps = [
                (values[variable], news[update], second[update])
                for update, variable in enumerate(state.carried)
                if variable is not None
            ]
            # Not timed: what counts is how long a single step takes.
            self.native(partial(run.repeat, count, arrays, moves, swaps), sizes)
            new = [
                second[update] if variable is not None and count % 2 == 0 else state.spare[update]
                for update, variable in enumerate(state.carried)
            ]
            return [outputs[position] for position in self.output_order], new
        finally:
            self.idle.append(workspace)

    def fixed(
        self,
        workspace: Workspace,
        sizes: Sizes,
        inputs: Arrays,
        variables: Arrays,
        spare: Arrays,
        out: Given,
    ) -> tuple[BoundProgram, list[tuple[int, ...]], list[np.ndarray]]:
        """For calls on the same arrays in a workspace: a program that nobody else runs, the shapes
        of the outputs, and the arrays in the order of the program's buffers."""
        run, shapes = self.bind(workspace, sizes)
        given = {"input": inputs, "variable": variables, "update": spare}
        given |= {"constant": self.constants}
        arrays: list[np.ndarray] = []
        for role, position, dtype in self.layout:
            if role != "output":
                arrays.append(given[role][position])
                continue
            memory = out[self.result_of[position]]
            arrays.append(np.empty(0, dtype) if memory is None else memory)
        return run, [shapes[position] for position in self.output_order], arrays

    def take_bound(self, sizes: Sizes) -> Workspace | None:
        """An idle workspace in which these sizes have run, no longer for others to use."""
        try:
            workspace = self.idle.pop()
        except IndexError:
            return None
        if sizes in workspace.bound:
            return workspace
        self.idle.append(workspace)
        return None

    def bind(
        self, workspace: Workspace, sizes: Sizes
    ) -> tuple[BoundProgram, list[tuple[int, ...]]]:
        """Lay the temporaries out for these sizes; remembered for the next call."""
        bindings = dict(zip(self.program.sizes, sizes, strict=True))
        shapes = self.shapes.at(bindings)
        self.check_addressable(shapes, bindings)
        places, bytes_ = self.plan.layout(bindings)
        room = max((evaluate(size, bindings) for size in self.scratch), default=0)
        try:
            base = workspace.reserve(bytes_, room)
        except MemoryError as missing:
            raise self.shortage(sizes, missing) from None
        temporaries, outputs = [], []
        for buffer, shape in zip(self.sized, shapes, strict=True):
            if buffer.role == "temporary":
                place = places.get(buffer.name)
                temporaries.append(
                    np.empty(0, buffer.dtype)  # it has scratch memory
                    if place is None
                    else np.ndarray(shape, buffer.dtype, workspace.arena, base + place)
                )
            elif buffer.role == "output":
                outputs.append(shape)
        if self.has_area:
            scratched = cast(ScratchExecutable, self.executable)
            bound = (scratched.bind(sizes, temporaries, workspace.scratch), outputs)
        else:
            bound = (self.executable.bind(sizes, temporaries), outputs)
        workspace.bound[sizes] = bound
        if len(workspace.bound) > KEPT_SIZES:
            workspace.bound.popitem(last=False)
        return bound

    def check_addressable(
        self, shapes: Sequence[tuple[int, ...]], bindings: Mapping[str, int]
    ) -> None:
        """FeedError where an array would have more bytes than there are addresses."""
        for place, buffer in self.unchecked:
            if math.prod(shapes[place]) * buffer.dtype.itemsize >= 1 << 63:
                raise too_large(self.full().buffers[buffer.name], shapes[place], bindings)
        if len(self.unchecked) == len(self.sized):  # once will do for sizes that are numbers
            self.unchecked = [
                (place, buffer)
                for place, buffer in self.unchecked
                if not all(isinstance(size, int) for size in buffer.shape)
            ]

    def shortage(self, sizes: Sizes, error: MemoryError) -> MemoryLimitError:
        """The error of a call for which there is no memory."""
        return shortage(self.full(), dict(zip(self.program.sizes, sizes, strict=True)), error)

    def error_of(self, fault: Fault, sizes: Sizes) -> BaseException:
        """What a host call raised, with its own cause, or which check failed."""
        if fault.error is not None:
            return fault.error
        bindings = dict(zip(self.program.sizes, sizes, strict=True))
        return failure(self.full().all_steps[fault.step], fault.value, bindings)
