"""A call for which the machine has not enough memory: what it wanted, and for which lines."""

from collections.abc import Mapping

from graphc.errors import MemoryLimitError
from graphc.loops.ir import Program
from graphc.memory.rematerialize import largest_buffers

SHOWN = 3  # buffers that the error names


def shortage(program: Program, values: Mapping[str, int], error: MemoryError) -> MemoryLimitError:
    """The error of a call at these sizes that found no memory; program: with steps and lines."""
    roles = ("output", "temporary", "update")
    sources = [b.sources[0] for b in program.buffers.values() if b.role in roles and b.sources]
    sizes = ", ".join(f"{name} = {value}" for name, value in values.items())
    return MemoryLimitError(
        f"{program.name}: there is not enough memory for this call",
        code="E605",
        details=[
            *([f"sizes: {sizes}"] if sizes else []),
            str(error),
            "the largest buffers:",
            *largest_buffers(program, values, SHOWN),
        ],
        source=sources[0] if len(set(sources)) == 1 else None,
        fix="feed less at a time; with memory_limit= cheap values are computed twice, not kept",
    )
