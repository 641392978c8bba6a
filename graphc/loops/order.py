"""The order of steps: one that keeps few temporaries alive at once.

Fusion leaves steps in the order of the graph, which in a training step computes all gradients of
activations before the first gradient of a weight. Here a step that frees more than it allocates is
run as soon as it can be, alone or together with the only reader of its result; otherwise the given
order is kept. Symbolic sizes count as `NOMINAL`. If the new order needs no less memory, the given
one stays.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence

from graphc.ir.node import sizes_in
from graphc.loops.ir import (
    Branch,
    Buffer,
    Contraction,
    HostCall,
    IndexCheck,
    KernelCall,
    Lapack,
    Loop,
    Step,
    While,
    flat_steps,
)
from graphc.shapes import Size, evaluate, size_product, symbols_of

NOMINAL = 128


def order_steps(steps: Sequence[Step], buffers: Mapping[str, Buffer]) -> list[Step]:
    """The steps, each after those that write what it reads, and after their index checks."""
    if len(steps) < 3:
        return list(steps)
    given = _Order(steps, buffers)
    found = _Order(steps, buffers)
    while not found.is_done:
        found.run(found.choose())
    for number in range(len(steps)):
        given.run(number)
    return [steps[number] for number in found.order] if found.peak < given.peak else list(steps)


def uses(step: Step) -> tuple[list[str], list[str]]:
    """Buffers that a step reads, and those it writes."""
    match step:
        case KernelCall():
            pairs = list(zip(step.kernel.parameters, step.arguments, strict=True))
            return (
                [name for parameter, name in pairs if not parameter.written],
                [name for parameter, name in pairs if parameter.written],
            )
        case Contraction():
            return [step.a, step.b], [step.out]
        case IndexCheck():
            return [step.buffer], []
        case HostCall():
            return [name for name, _ in step.inputs], [name for name, _ in step.outputs]
        case Lapack():
            return list(step.inputs), [*step.outputs, *step.workspace]
        case Loop():
            inside = [uses(inner) for inner in step.body]
            written = {name for _, writes in inside for name in writes}
            written |= {carry.final for carry in step.carries}
            stacked = {buffer for view, buffer in step.slices if view in written}
            read = {name for reads, _ in inside for name in reads}
            read |= {carry.initial for carry in step.carries}
            read |= {buffer for _, buffer in step.slices}
            written |= stacked
            return sorted(read - written), sorted(written)
        case While():
            inside = [uses(inner) for inner in (*step.test, *step.body)]
            written = {name for _, writes in inside for name in writes} | {step.count}
            written |= {carry.final for carry in step.carries}
            written |= {buffer for _, buffer in step.tapes}
            read = {name for reads, _ in inside for name in reads}
            read |= {carry.initial for carry in step.carries}
            return sorted(read - written), sorted(written)
        case Branch():
            inside = [uses(inner) for body in step.bodies for inner in body]
            written = {name for _, writes in inside for name in writes} | set(step.out)
            read = {name for reads, _ in inside for name in reads} | {step.selector}
            return sorted(read - written), sorted(written)


def uses_with_sizes(steps: Sequence[Step]) -> Callable[[Step], tuple[list[str], list[str]]]:
    """`uses`, with the sizes that loops among the steps bind as if they were buffers."""
    counts = {step.count for step in flat_steps(steps) if isinstance(step, While)}
    if not counts:
        return uses

    def with_sizes(step: Step) -> tuple[list[str], list[str]]:
        read, written = uses(step)
        found = {symbol for one in flat_steps([step]) for symbol in symbols_in(one)}
        return sorted({*read, *(found & counts)} - set(written)), written

    return with_sizes


def symbols_in(step: Step) -> set[str]:
    """The symbols of the sizes that a step itself uses."""
    sizes: list[Size] = []
    match step:
        case KernelCall():
            sizes += step.sizes
        case Contraction():
            sizes += (step.m, step.n, step.k, *step.batch, *step.distances, *step.starts)
            sizes += (size for strides in step.strides for size in strides)
        case IndexCheck():
            sizes += (step.count, step.minimum, step.size)
        case HostCall():
            sizes += (size for _, shape in (*step.inputs, *step.outputs) for size in shape)
            sizes += sizes_in(tuple(step.attrs.values()))
        case Lapack():
            sizes += (step.batch, *(size for _, size in step.sizes))
        case Loop():
            sizes.append(step.length)
    return {symbol for size in sizes for symbol in symbols_of(size)}


def has_effect(step: Step) -> bool:
    """Whether the step, or one inside it, does more than compute."""
    return any(isinstance(one, HostCall) and one.effect for one in flat_steps([step]))


class _Order:
    """Runs steps one after the other and counts the bytes alive."""

    def __init__(self, steps: Sequence[Step], buffers: Mapping[str, Buffer]) -> None:
        self.order: list[int] = []
        self.live = self.peak = 0
        self.bytes = {name: nominal_bytes(buffer) for name, buffer in buffers.items()}
        self.reads, self.writes = zip(*map(uses_with_sizes(steps), steps), strict=True)
        for names in self.writes:
            for name in names:
                self.bytes.setdefault(name, 0)  # a size
        self.is_check = [isinstance(step, IndexCheck) for step in steps]
        self.has_effect = [has_effect(step) for step in steps]
        # Steps still to come that use a buffer: how many, and the sum of their numbers.
        self.users: dict[str, int] = {}
        self.user_sum: dict[str, int] = {}
        self.alive: set[str] = set()
        # Steps that have to run before a step: how many, and the sum of their numbers.
        self.before = [0] * len(steps)
        self.before_sum = [0] * len(steps)
        self.after: list[list[int]] = [[] for _ in steps]
        self.done = [False] * len(steps)
        self._connect()
        self.ready = [number for number, count in enumerate(self.before) if not count]
        self.checks = [number for number in self.ready if self.is_check[number]]
        self.saving: list[tuple[int, int]] = []
        for number in self.ready:
            self.consider(number)

    def _connect(self) -> None:
        writers: dict[str, list[int]] = {}
        for number, names in enumerate(self.writes):
            for name in names:
                writers.setdefault(name, []).append(number)
        checked: dict[str, list[int]] = {}
        last_effect: set[int] = set()
        for number, names in enumerate(self.reads):
            earlier: set[int] = set()
            if self.has_effect[number]:
                earlier |= last_effect
                last_effect = {number}
            for name in names:
                earlier.update(writers.get(name, ()))
                earlier.update(checked.get(name, ()))
                if self.is_check[number]:
                    checked.setdefault(name, []).append(number)
            for other in earlier:
                self.after[other].append(number)
            self.before[number], self.before_sum[number] = len(earlier), sum(earlier)
            for name in {*names, *self.writes[number]}:
                self.users[name] = self.users.get(name, 0) + 1
                self.user_sum[name] = self.user_sum.get(name, 0) + number

    @property
    def is_done(self) -> bool:
        return len(self.order) == len(self.done)

    # --- choosing ----------------------------------------------------------------------------

    def choose(self) -> int:
        """A check, as errors come first; the step that saves most; the next one as given."""
        while self.checks:
            if not self.done[number := heapq.heappop(self.checks)]:
                return number
        while self.saving:
            change, number = heapq.heappop(self.saving)
            if not self.done[number] and self.change_with_reader(number) == change:
                return number
        while self.done[number := heapq.heappop(self.ready)]:
            pass
        return number

    def consider(self, number: int) -> None:
        """Note a step that can run, if running it now saves memory."""
        if not self.done[number] and not self.before[number]:
            change = self.change_with_reader(number)
            if change < 0:
                heapq.heappush(self.saving, (change, number))

    def change_with_reader(self, number: int) -> int:
        """Bytes that the step adds; with the only reader of its result, if that could follow."""
        change = self.change(number, set())
        readers = {
            self.user_sum[name] - number for name in self.writes[number] if self.users[name] == 2
        }
        if change < 0 or len(readers) != 1:
            return change
        reader = readers.pop()
        if self.before[reader] != 1 or self.before_sum[reader] != number:
            return change
        return change + self.change(reader, {number})

    def change(self, number: int, ran: set[int]) -> int:
        """Bytes that running the step adds to those alive. ran: steps that count as done."""
        added = 0
        mine = {*self.reads[number], *self.writes[number]}
        for name in mine:
            size = self.bytes[name]
            others = set()
            for other in ran:
                if name in self.reads[other] or name in self.writes[other]:
                    others.add(other)
            if name not in self.alive and not others and name in self.writes[number]:
                added += size
            if self.users[name] - len(others) == 1:
                added -= size
        return added

    # --- running -----------------------------------------------------------------------------

    def run(self, number: int) -> None:
        self.order.append(number)
        self.done[number] = True
        for name in self.writes[number]:
            if name not in self.alive:
                self.alive.add(name)
                self.live += self.bytes[name]
        self.peak = max(self.peak, self.live)
        candidates: list[int] = []
        for name in {*self.reads[number], *self.writes[number]}:
            self.users[name] -= 1
            self.user_sum[name] -= number
            if self.users[name] == 0 and name in self.alive:
                self.alive.discard(name)
                self.live -= self.bytes[name]
            elif self.users[name] == 1:
                candidates.append(self.user_sum[name])
        for other in self.after[number]:
            self.before[other] -= 1
            self.before_sum[other] -= number
            if self.before[other] == 0:
                heapq.heappush(self.checks if self.is_check[other] else self.ready, other)
            candidates.append(other)
        for other in candidates:
            if self.before[other] == 1:  # it may pay to run the one step that it waits for
                other = self.before_sum[other]
            self.consider(other)


def nominal_bytes(buffer: Buffer) -> int:
    """0 for what is not in the arena."""
    if buffer.role != "temporary":
        return 0
    size = size_product(buffer.shape)
    return evaluate(size, dict.fromkeys(symbols_of(size), NOMINAL)) * buffer.dtype.itemsize
