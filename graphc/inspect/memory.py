"""The memory plan as text."""

from collections.abc import Iterable, Mapping, Sequence

from graphc.errors import ParameterError
from graphc.loops.ir import Program
from graphc.memory.plan import MemoryPlan
from graphc.shapes import (
    Size,
    dim_max,
    evaluate,
    format_shape,
    size_product,
    size_sum,
    substitute,
    symbols_of,
    whole_number,
)

UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
PROBES = (1, 17, 256, 4096, 1 << 20)  # values of the sizes that find the largest of several sums
MOST_TERMS = 4  # sums that one expression names; more are told apart by the probes alone


def format_bytes(size: Size) -> str:
    """`1.5 KiB` for a number, the expression in the dims for a symbolic size."""
    if not isinstance(size, int):
        return f"{size} bytes"
    for unit, name in UNITS:
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


def format_plan(
    program: Program,
    plan: MemoryPlan,
    scratch: Sequence[Size] = (),
    values: Mapping[str, int] | None = None,
    rewrites: bool = False,
) -> str:
    """What a call needs, and one row a temporary: place, size, life in steps, whose memory it took.

    scratch: bytes for each step that needs some. values: of the sizes; without them bytes are
    expressions. rewrites: whether new values of variables are written over the old ones.
    ParameterError (E404): values for other sizes than those of the program.
    """
    known = checked_values(program, values or {})
    needs = Needs(program, plan, scratch, known, rewrites)
    at = ", ".join(f"{name}={value}" for name, value in known.items())
    rows = [
        ("peak", needs.peak, "of a call"),
        ("arena", needs.arena, "for temporaries"),
        ("bound", needs.bound, "alive at one step"),
        ("scratch", needs.scratch, "of single steps"),
        ("results", needs.results, ""),
        ("naive", needs.naive, "without reuse"),
    ]
    if rewrites:
        rows.append(("updates", needs.in_place, "in place, over the old values"))
    temporaries, areas = len(plan.lives), len(plan.areas)
    lines = [
        f"memory plan of {program.name}{f' at {at}' if at else ''}: "
        f"{temporaries} temporar{'y' if temporaries == 1 else 'ies'} in "
        f"{areas} area{'s' * (areas != 1)}"
    ]
    texts = [(name, format_bytes(size), note) for name, size, note in rows]
    lines += [f"  {name:<8}{text}{f'  {note}' if note else ''}" for name, text, note in texts]
    lines += _temporaries(program, plan, known)
    old_of = {new: old for old, new in program.updates} if rewrites else {}
    for buffer in program.buffers.values():
        if buffer.role not in ("output", "update", "heap"):
            continue
        old = old_of.get(buffer.name)
        kind = {
            "output": "output, fresh at every call",
            "update": "swapped in at the end" if old is None else f"in place of {old}",
            "heap": "on the heap, grows with the steps of a loop",
        }[buffer.role]
        lines.append(f"  {buffer.name}: {buffer.dtype.name}{format_shape(buffer.shape)}  {kind}")
    return "\n".join(lines)


def checked_values(program: Program, values: Mapping[str, int]) -> dict[str, int]:
    """Values for all sizes of the program or for none; ParameterError (E404) otherwise."""
    names = list(program.sizes)
    wrong = [name for name in values if name not in names]
    missing = [name for name in names if name not in values] if values else []
    numbers = {name: whole_number(value) for name, value in values.items()}
    bad = [n for n in numbers.values() if n is None or not 0 <= n < 1 << 63]
    if wrong or missing or bad:
        given = ", ".join(f"{name}={value!r:.60}" for name, value in values.items())
        raise ParameterError(
            f"{program.name}: sizes are {', '.join(names) or 'all known'}, got {given}",
            code="E404",
            fix="give each of these sizes one integer, 0 or more and below 2**63, or none at all",
        )
    return {name: number for name in names if (number := numbers.get(name)) is not None}


class Needs:
    """Bytes that a call needs, as numbers where all sizes are known, else as expressions.

    arena: for temporaries. bound: the most of these that is alive at one step. results: outputs
    and new values of variables, but for those that are written in place. scratch: the most that one
    step needs besides.
    """

    def __init__(
        self,
        program: Program,
        plan: MemoryPlan,
        scratch: Iterable[Size],
        values: Mapping[str, int],
        rewrites: bool,
    ) -> None:
        def known(size: Size) -> Size:
            return substitute(size, values) if values else size

        def together(*roles: str) -> Size:
            buffers = [b for b in program.buffers.values() if b.role in roles]
            return known(size_sum([size_product(b.shape) * b.dtype.itemsize for b in buffers]))

        self.arena = known(plan.peak)
        self.naive = known(plan.naive)
        self.in_place = together("update") if rewrites else 0
        self.results = together("output") if rewrites else together("output", "update")
        self.scratch = largest([known(size) for size in scratch])
        symbols = {symbol for size in plan.sizes.values() for symbol in symbols_of(size)}
        symbols -= values.keys()
        if symbols:
            steps = {
                _fullest(plan, {**dict.fromkeys(symbols, probe), **values}) for probe in PROBES
            }
            self.bound = largest([known(plan.live_sizes(step)) for step in sorted(steps)])
        else:
            self.bound = plan.live_bytes(values)
        self.peak = self.arena + self.scratch + self.results


def _fullest(plan: MemoryPlan, bindings: Mapping[str, int]) -> int:
    live = plan.live_at(bindings)
    return live.index(max(live, default=0)) if live else 0


def largest(sizes: Sequence[Size]) -> Size:
    """The largest of some sizes; of many expressions, those that are the largest somewhere."""
    distinct = list(dict.fromkeys(sizes))
    if len(distinct) > MOST_TERMS:
        symbols = {symbol for size in distinct for symbol in symbols_of(size)}
        probes = [dict.fromkeys(symbols, probe) for probe in PROBES]
        winners = [max(distinct, key=lambda size, p=p: evaluate(size, p)) for p in probes]  # type: ignore[misc]
        distinct = list(dict.fromkeys(winners))
    return dim_max(0, *distinct) if distinct else 0


def _temporaries(program: Program, plan: MemoryPlan, values: Mapping[str, int]) -> list[str]:
    offsets: Mapping[str, Size] = plan.layout(values)[0] if values else plan.offsets
    rows = []
    for name, life in plan.lives.items():
        buffer = program.buffers[name]
        note = f"in place of {plan.in_place[name]}" if name in plan.in_place else ""
        shape = f"{buffer.dtype.name}{format_shape(buffer.shape)}"
        where = buffer.sources[0].short if buffer.sources else ""
        place = f"at {offsets[name]}"
        rows.append((name, shape, place, f"steps {life.first}-{life.last}", note, where))
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(5)]
    found = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        found.append("  " + "  ".join([*cells, row[5]]).rstrip())
    return found
