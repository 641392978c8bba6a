"""How long temporaries live, and how many bytes they have."""

from collections import Counter
from collections.abc import Collection, Sequence

from graphc.loops.chains import chains_in
from graphc.loops.epilogues import Collapsed, epilogue_at
from graphc.loops.ir import (
    Branch,
    Buffer,
    Contraction,
    HostCall,
    IndexCheck,
    KernelCall,
    Lapack,
    Loop,
    Program,
    Step,
    While,
    bodies_of,
    flat_steps,
)
from graphc.records import dataclass
from graphc.shapes import Size, ceil_div, size_product

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


@dataclass(frozen=True, slots=True)
class Life:
    """Steps of the first write and the last use of a temporary, both included."""

    first: int
    last: int


def padded_bytes(buffer: Buffer) -> Size:
    """Bytes of a buffer, rounded up to the alignment."""
    size = size_product(buffer.shape) * buffer.dtype.itemsize
    return ceil_div(size, ALIGNMENT) * ALIGNMENT


def temporaries_lives(program: Program, local: Collection[str] = ()) -> dict[str, Life]:
    """First write and last use of each temporary, by position among all steps.

    What was written before a loop and is used in it lives until the loop ends; so does what the
    loop itself holds: carries and stacked outputs. The operands of a product live until its
    epilogue has run. What a chain of products touches is alive during all of it. local: what is
    left out.
    """
    lives: dict[str, Life] = {}
    collapsed = Collapsed()
    uses = uses_of(program)

    def use(name: str, position: int, loops: Sequence[Life]) -> None:
        if program.buffers[name].role != "temporary" or name in local:
            return
        first = lives[name].first if name in lives else position
        last = max(position, lives[name].last) if name in lives else position
        for loop in loops:
            if first <= loop.first:
                last = max(last, loop.last)
        lives[name] = Life(first, last)

    def visit(steps: Sequence[Step], start: int, loops: tuple[Life, ...]) -> int:
        position = start
        chains = chains_in(steps, program.buffers, uses, collapsed)
        for number, step in enumerate(steps):
            if number in chains:
                end = number + chains[number].count
                for name in dict.fromkeys(n for one in steps[number:end] for n in buffers_of(one)):
                    use(name, position, loops)
                    use(name, position + end - number - 1, loops)
            if isinstance(step, Contraction) and epilogue_at(steps, number, collapsed) is not None:
                for name in (step.a, step.b):
                    use(name, position + 1, loops)
            if isinstance(step, Loop | While):
                end = position - 1 + sum(1 for _ in flat_steps([step]))
                inside = (*loops, Life(position, end))
                for name in buffers_of(step):
                    use(name, position, inside)
                position += 1
                for body in bodies_of(step):
                    position = visit(body, position, inside)
                continue
            for name in buffers_of(step):
                use(name, position, loops)
            position += 1
            for body in bodies_of(step):
                position = visit(body, position, loops)
        return position

    visit(program.steps, 0, ())
    return lives


def uses_of(program: Program) -> Counter[str]:
    """How often each buffer stands in a step."""
    return Counter(name for step in program.all_steps for name in buffers_of(step))


def buffers_of(step: Step) -> tuple[str, ...]:
    """The buffers that a step itself reads or fills; see `loops.ir.written_buffers`."""
    match step:
        case KernelCall():
            return step.arguments
        case Contraction():
            return (step.out, step.a, step.b)
        case IndexCheck():
            return (step.buffer,)
        case HostCall():
            return tuple(name for name, _ in (*step.outputs, *step.inputs))
        case Lapack():
            return (*step.outputs, *step.inputs, *step.workspace)
        case Loop():
            held = [name for c in step.carries for name in (c.initial, c.final, *c.spare)]
            return (*held, *(buffer for _, buffer in step.slices))
        case While():
            held = [name for c in step.carries for name in (c.initial, c.final, *c.spare)]
            return (step.holds, *held)
        case Branch():
            return (step.selector, *step.out)
