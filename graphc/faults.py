"""What keeps a program from running to its end, as errors with the user's lines."""

from collections.abc import Mapping

from graphc.backends.reference.interpreter import too_many_steps
from graphc.errors import FeedError, GraphcError, IndexOutOfRange, LinearAlgebraError
from graphc.lapack import explain_failure
from graphc.loops.ir import Buffer, IndexCheck, Lapack, Step, While
from graphc.shapes import evaluate, symbols_of


def failure(step: Step, value: int, bindings: Mapping[str, int]) -> GraphcError:
    """The error of a step that failed with a value: see `loops.ir.Fault`."""
    source = step.sources[0] if step.sources else None
    if isinstance(step, Lapack):
        message, fix = explain_failure(step.routine, step.caller, value, step.batched)
        return LinearAlgebraError(message, source=source, fix=fix)
    if isinstance(step, While):
        return too_many_steps(value, step.sources)
    assert isinstance(step, IndexCheck)
    if step.error is not None:
        error = step.error(value, bindings)
        error.source = source
        return error
    low, high = (
        evaluate(size, bindings) if symbols_of(size) <= bindings.keys() else size
        for size in (step.minimum, step.size)
    )
    return IndexOutOfRange(
        f"{step.op}: index {value} is out of range for axis {step.axis} of size {high}",
        code="E402",
        source=source,
        fix=f"indices must be in [{low}, {high})",
    )


def too_large(buffer: Buffer, shape: tuple[int, ...], bindings: Mapping[str, int]) -> FeedError:
    """The error of an array that would have more bytes than there are addresses."""
    return FeedError(
        f"{buffer.name}: {buffer.dtype.name}{list(shape)} has more elements than memory has "
        "addresses",
        code="E107",
        details=[", ".join(f"{name} = {value}" for name, value in bindings.items())],
        source=buffer.sources[0] if buffer.sources else None,
        fix="feed smaller arrays",
    )
