"""memory_limit: a function that computes values twice until a call needs no more than it may."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphc.errors import MemoryLimitError, ParameterError
from graphc.loops.ir import Program
from graphc.memory.plan import MemoryPlan
from graphc.memory.rematerialize import largest_buffers, rematerialized
from graphc.records import dataclass
from graphc.shapes import Size, evaluate, size_product, whole_number

SHOWN = 5  # buffers that an error names


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """bytes: the most that a call may need at these sizes, and so at smaller ones."""

    bytes: int
    sizes: Mapping[str, int]


def checked_limit(value: Any) -> MemoryLimit | None:
    """What the user gave as `memory_limit`; ParameterError (E404) if it is nothing of that kind."""
    if value is None or isinstance(value, MemoryLimit):
        return value
    bytes_, sizes = value if isinstance(value, tuple) and len(value) == 2 else (value, {})
    values = sizes.values() if isinstance(sizes, Mapping) else [None]
    most, *numbers = (-1 if n is None else n for n in map(whole_number, (bytes_, *values)))
    if min(most, *numbers, 0) < 0:
        raise ParameterError(
            f"memory_limit={value!r} is no number of bytes",
            code="E404",
            fix='give an int >= 0, as in 1 << 30; with symbolic sizes, (1 << 30, {"n": 64})',
        )
    return MemoryLimit(most, dict(zip(map(str, sizes), numbers, strict=True)))


def within_limit(
    programs: Iterable[Program], limit: MemoryLimit, scratch_of: Callable[[Program], list[Size]]
) -> tuple[Program, MemoryPlan]:
    """The first program that keeps to the limit, perhaps with repeated steps, and its plan.

    programs: of one function, one at least. scratch_of: bytes that steps need beside the
    temporaries. MemoryLimitError (E506) where none can keep to it, or where a size has no value for
    which it could be checked.
    """
    least: _Attempt | None = None
    for program in programs:
        attempt = _attempt(program, limit, scratch_of)
        if attempt.needed <= limit.bytes:
            return attempt.program, attempt.plan
        if least is None or attempt.needed < least.needed:
            least = attempt
    assert least is not None
    raise MemoryLimitError(
        f"{least.program.name} needs {least.needed} bytes, the limit is {limit.bytes}",
        details=[
            f"temporaries {least.arena}, results {least.results}, "
            f"scratch of single steps {least.scratch}",
            "the largest buffers:",
            *largest_buffers(least.program, limit.sizes, SHOWN),
        ],
        fix="raise the limit, feed less at a time, or wrap parts in gc.checkpoint",
    )


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A program that computes values twice, and the bytes that it needs all the same."""

    program: Program
    plan: MemoryPlan
    arena: int
    results: int
    scratch: int

    @property
    def needed(self) -> int:
        return self.arena + self.results + self.scratch


def _attempt(
    program: Program, limit: MemoryLimit, scratch_of: Callable[[Program], list[Size]]
) -> _Attempt:
    if set(program.sizes) != limit.sizes.keys():
        given = ", ".join(sorted(limit.sizes)) or "none"
        raise MemoryLimitError(
            f"{program.name}: a memory limit needs a value for each size of the function",
            details=[f"sizes   {', '.join(program.sizes) or 'none'}", f"given   {given}"],
            fix="pass memory_limit=(bytes, sizes) with the largest value of each symbolic size, "
            'like (1 << 30, {"n": 64})',
        )
    values = dict(limit.sizes)
    results = sum(
        evaluate(size_product(buffer.shape), values) * buffer.dtype.itemsize
        for buffer in program.buffers.values()
        if buffer.role in ("output", "update")
    )
    scratch = max((evaluate(size, values) for size in scratch_of(program)), default=0)
    found, plan = rematerialized(program, values, max(limit.bytes - results - scratch, 0))
    return _Attempt(found, plan, plan.layout(values)[1], results, scratch)
