"""A program as one LLVM module, and its entry.

    i64 @entry(ptr table, ptr sizes, ptr fault)

table: a pointer per buffer, in the program's order, then the scratch area and the number of
threads; sizes: the value of each of the program's sizes. Steps run in order. The result is 0, or
1 + the position of the step that failed: an index check, whose bad value is then in `fault`, a
LAPACK routine, with the code of its failure, or a host call. Nothing after that step has run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from graphc.backends.llvm.chain_steps import ChainSteps
from graphc.backends.llvm.check_steps import CheckSteps
from graphc.backends.llvm.emitted import Emitted
from graphc.backends.llvm.emitter import FRAME
from graphc.backends.llvm.heap import freeing_entry
from graphc.backends.llvm.launches import LaunchSteps
from graphc.backends.llvm.loop_steps import LoopSteps
from graphc.backends.llvm.one_thread import PARALLEL
from graphc.backends.llvm.parallel import marking_entry
from graphc.backends.llvm.profiling import lap, lap_function
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText
from graphc.loops.epilogues import epilogue_at
from graphc.loops.ir import (
    Branch,
    Contraction,
    HostCall,
    IndexCheck,
    KernelCall,
    Lapack,
    Loop,
    Program,
    Step,
    While,
)
from graphc.loops.launches import launches_in

PART = 256  # steps in one function: LLVM's time grows with the square of its length
PARAMETERS = "(ptr %table, ptr %sizes, ptr %fault)"


def emit_program(
    program: Program,
    target: Target,
    jitted: Mapping[int, str] = MappingProxyType({}),
    profiled: bool = False,
) -> Emitted:
    """jitted: the symbols of host calls that need no Python, by the number of the step.
    profiled: with a clock; see `profiling`."""
    return _ProgramEmitter(program, target, jitted, profiled).emit()


class _ProgramEmitter(LoopSteps, CheckSteps, ChainSteps, LaunchSteps):
    """All of a program."""

    def emit(self) -> Emitted:
        steps = self.program.steps
        parts: list[FunctionText] = []
        has_heap = bool(self.program.counts)
        name = "internal i64 @run" if has_heap else "internal i64 @steps"
        if len(steps) <= PART:
            entry = self._function(name, steps)
        else:
            for start in range(0, len(steps), PART):
                header = f"internal i64 @part{len(parts)}"
                parts.append(self._function(header, steps[start : start + PART]))
            entry = self._entry_of_parts(name, len(parts))
        functions = [*self.functions.functions, *self.routines.values(), *parts]
        attributes = self.target.function_attributes
        shared = any(PARALLEL in one.text for one in (*functions, *self.products.values(), entry))
        if has_heap:
            functions += [entry, freeing_entry(self.heap, PARAMETERS, attributes)]
        elif shared and len(self.program.all_steps) > 1:
            functions += [entry, marking_entry(PARAMETERS, len(self.slots) + 1, attributes)]
        else:
            text = entry.text.replace("define internal i64 @steps(", "define i64 @entry(", 1)
            functions.append(replace(entry, text=text))
        if self.profiled:
            clock = lap_function(len(self.program.all_steps), self.target.function_attributes)
            functions.insert(0, clock)
        areas = tuple(self.areas)
        return Emitted(tuple(functions), self.products, self.kernels, areas, tuple(self.local))

    def _function(self, name: str, steps: Sequence[Step]) -> FunctionText:
        """A function that runs some of the steps."""
        self.code = Code(has_fma=self.target.has_fma)
        self.sizes = Sizes(self.code)
        builder = self.code.builder
        for position, size in enumerate((*self.program.sizes, *self.program.counts)):
            pointer = f"%size.at.{position}"
            builder.line(f"{pointer} = getelementptr i64, ptr %sizes, i64 {position}")
            self.sizes.symbols[size] = builder.load(pointer, "i64")
        builder.line(f"%at.threads = getelementptr i64, ptr %table, i64 {len(self.slots) + 1}")
        builder.line("%threads = load i64, ptr %at.threads, align 8")
        self._flags()
        if self.profiled:
            builder.line(lap(len(self.program.all_steps)))
        self.frame_words = 0
        self._steps(steps)
        if self.frame_words:
            builder.lines.insert(0, f"  {FRAME} = alloca [{self.frame_words} x i64], align 16")
        builder.line("ret i64 0")
        attributes = self.target.function_attributes
        return builder.function(f"define {name}{PARAMETERS} {attributes}", plain=True)

    def _entry_of_parts(self, name: str, count: int) -> FunctionText:
        """An entry that calls the parts until one reports a failed check."""
        self.code = Code(has_fma=self.target.has_fma)
        builder = self.code.builder
        failed = builder.fresh_label("failed")
        results = []
        for number in range(count):
            result = builder.emit(f"call i64 @part{number}{PARAMETERS}", "i64")
            results.append((result, builder.block_label))
            passed = builder.fresh_label("passed")
            bad = builder.icmp("ne", result, builder.const(0, result))
            builder.branch_if(bad, failed, passed)
            builder.block(passed)
        builder.line("ret i64 0")
        builder.block(failed)
        builder.line(f"ret i64 {builder.phi(results).text}")
        attributes = self.target.function_attributes
        return builder.function(f"define {name}{PARAMETERS} {attributes}", plain=True)

    def _steps(self, steps: Sequence[Step]) -> None:
        done = False  # with the step before it
        chains, behind = self._chains(steps), 0
        launches = launches_in(steps, self.program)
        for number, step in enumerate(steps):
            position = self.position
            self.position += 1
            if number in chains and self._chain(chains[number]):
                behind = number + chains[number].count
            elif number in launches and not done and self._launch(launches[number]):
                behind = number + len(launches[number])
            if number < behind:
                if self.profiled:
                    self.code.builder.line(lap(position))
                continue
            self._allocate(step)
            match step:
                case KernelCall():
                    if not done:
                        self._kernel(step)
                    done = False
                case Contraction():
                    done = self._with_epilogue(step, epilogue_at(steps, number, self.collapsed))
                    if not done:
                        self._contraction(step)
                case IndexCheck():
                    self._check(position, step)
                case HostCall():
                    self._jitted_call(position)
                case Lapack():
                    self._routine(position, step)
                case Loop():
                    self._loop(step)
                case While():
                    self._while(position, step)
                case Branch():
                    self._branch(step)
            if self.profiled:
                self.code.builder.line(lap(position))
