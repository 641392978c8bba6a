"""What may be computed twice: steps that cost little, as steps for one of their results alone."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from graphc.loops.facts import FactsOf
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Contraction,
    For,
    HostCall,
    If,
    IndexCheck,
    Kernel,
    KernelCall,
    Lapack,
    Let,
    Program,
    Scratch,
    Statement,
    Step,
    Store,
)
from graphc.loops.tidy import values_of
from graphc.records import dataclass
from graphc.shapes import evaluate, size_product, substitute, symbols_of

CHEAP = 8  # iterations for each element that the kernel reads or writes


@dataclass
class Recomputing:
    """Answers for the kernels of one program, at given sizes."""

    values: Mapping[str, int]
    costs: dict[int, int | None] = field(default_factory=dict)
    alone: dict[tuple[int, str], Kernel] = field(default_factory=dict)
    loaded: dict[int, set[str]] = field(default_factory=dict)
    facts: FactsOf = field(default_factory=FactsOf)
    held: list[Kernel | KernelCall] = field(default_factory=list)  # so that ids stay theirs

    def cost(self, program: Program, call: KernelCall) -> int | None:
        """Elements that the kernel reads and writes; None where it does much more than that."""
        if id(call) not in self.costs:
            self.held.append(call)
            elements = sum(
                evaluate(size_product(program.buffers[name].shape), self.values)
                for name in call.arguments
            )
            work = self._iterations(call)
            cheap = work is not None and work <= CHEAP * max(elements, 1)
            self.costs[id(call)] = elements if cheap else None
        return self.costs[id(call)]

    def _iterations(self, call: KernelCall) -> int | None:
        """How often its loops run, a few statements counted as one; None if a loop decides it."""
        sizes = dict(zip(call.kernel.sizes, call.sizes, strict=True))

        def count(body: Sequence[Statement]) -> int | None:
            total = 0
            for item in body:
                if isinstance(item, If):
                    inner, times = count(item.body), 1
                elif isinstance(item, For):
                    extent = item.extent
                    if not isinstance(extent, int):
                        extent = substitute(extent, sizes)
                    if not symbols_of(extent) <= self.values.keys():
                        return None
                    inner, times = count(item.body), evaluate(extent, self.values)
                else:
                    inner, times = 1, 1
                if inner is None:
                    return None
                total += inner * times
            return total

        statements = sum(1 for _ in values_of(call.kernel.body))
        found = count(call.kernel.body)
        return None if found is None else found // max(1, min(statements, CHEAP))

    def only(self, call: KernelCall, name: str) -> KernelCall | None:
        """A call that computes `name`, and of the other results of this one only those that the
        kernel reads again; None where there is none."""
        pairs = list(zip(call.kernel.parameters, call.arguments, strict=True))
        own = [parameter for parameter, argument in pairs if argument == name]
        if len(own) != 1 or not own[0].written:
            return None
        others = {p.name for p, _ in pairs if p.written and p.name != own[0].name}
        others -= self._loaded(call.kernel)
        if not others:
            return call
        key = (id(call.kernel), own[0].name)
        if key not in self.alone:
            self.held.append(call)
            self.alone[key] = self._without(call.kernel, others)
        kernel = self.alone[key]
        arguments = tuple(argument for p, argument in pairs if p.name not in others)
        return replace(call, kernel=kernel, arguments=arguments)

    def _loaded(self, kernel: Kernel) -> set[str]:
        if id(kernel) not in self.loaded:
            self.held.append(kernel)
            self.loaded[id(kernel)] = {
                buffer for value in values_of(kernel.body) for buffer, _ in self.facts(value).loads
            }
        return self.loaded[id(kernel)]

    def _without(self, kernel: Kernel, dropped: set[str]) -> Kernel:
        needed: set[str | None] = set()
        body: tuple[Statement, ...] = kernel.body
        while True:  # loops carry values from one iteration to the next
            before = len(needed)
            kept = self._live(body, needed, dropped)
            if len(needed) == before:
                break
        parameters = tuple(p for p in kernel.parameters if p.name not in dropped)
        name = f"{kernel.name}_{'_'.join(p.name for p in parameters if p.written)}"
        return replace(kernel, name=name, parameters=parameters, body=kept)

    def _live(
        self, body: Sequence[Statement], needed: set[str | None], dropped: set[str]
    ) -> tuple[Statement, ...]:
        """The statements that matter to what is still stored; names that they use are added."""
        kept: list[Statement] = []
        for item in reversed(body):
            if isinstance(item, For | If):
                inner = self._live(item.body, needed, dropped)
                if not inner:
                    continue
                if isinstance(item, If):
                    needed.update(self.facts(item.condition).locals)
                item = replace(item, body=inner)
            elif isinstance(item, Store):
                if item.buffer in dropped:
                    continue
                for value in (item.value, *item.index):
                    needed.update(self.facts(value).locals)
            elif isinstance(item, Let):
                if item.name not in needed:
                    continue
                needed.update(self.facts(item.value).locals)
            elif isinstance(item, Accumulate):
                if item.name not in needed:
                    continue
                needed.update(self.facts(item.value).locals)
                if item.position is not None:
                    needed.update(self.facts(item.position).locals)
            elif isinstance(item, Accumulator):
                if item.name not in needed and item.position_name not in needed:
                    continue
                needed.add(item.name)
            else:
                assert isinstance(item, Scratch)
            kept.append(item)
        return tuple(reversed(kept))


def renamed(step: Step, new: Mapping[str, str]) -> Step:
    """The step, reading other buffers. Not for loops and branches."""

    def name(one: str) -> str:
        return new.get(one, one)

    match step:
        case KernelCall():
            return replace(step, arguments=tuple(map(name, step.arguments)))
        case Contraction():
            return replace(step, a=name(step.a), b=name(step.b))
        case IndexCheck():
            return replace(step, buffer=name(step.buffer))
        case HostCall():
            inputs = tuple((name(one), shape) for one, shape in step.inputs)
            return replace(step, inputs=inputs)
        case Lapack():
            return replace(step, inputs=tuple(map(name, step.inputs)))
    raise TypeError(f"{type(step).__name__} holds steps of its own")
