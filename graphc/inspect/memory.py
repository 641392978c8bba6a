"""The memory plan as text."""

from graphc.loops.ir import Program
from graphc.memory.plan import MemoryPlan
from graphc.shapes import Size, format_shape

UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def format_bytes(size: Size) -> str:
    """`1.5 KiB` for a number, the expression in the dims for a symbolic size."""
    if not isinstance(size, int):
        return f"{size} bytes"
    for unit, name in UNITS:
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


def format_plan(program: Program, plan: MemoryPlan) -> str:
    """One row a temporary: its place, size, life in steps, and whose memory it took over."""
    saved = plan.naive - plan.peak
    lines = [
        f"memory plan of {program.name}: {len(plan.offsets)} temporaries in "
        f"{len(plan.slots)} slots",
        f"  peak   {format_bytes(plan.peak)}",
        f"  naive  {format_bytes(plan.naive)} (without reuse; saved {format_bytes(saved)})",
    ]
    rows = []
    for name, offset in plan.offsets.items():
        buffer, life = program.buffers[name], plan.lives[name]
        note = f"in place of {plan.in_place[name]}" if name in plan.in_place else ""
        shape = f"{buffer.dtype.name}{format_shape(buffer.shape)}"
        where = buffer.sources[0].short if buffer.sources else ""
        rows.append((name, shape, f"at {offset}", f"steps {life.first}-{life.last}", note, where))
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(5)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  " + "  ".join([*cells, row[5]]).rstrip())
    results = [b for b in program.buffers.values() if b.role in ("output", "update")]
    for buffer in results:
        kind = "output, fresh at every call" if buffer.role == "output" else "swapped in at the end"
        lines.append(f"  {buffer.name}: {buffer.dtype.name}{format_shape(buffer.shape)}  {kind}")
    return "\n".join(lines)
