"""Many steps of a function in one call: a row of the data for each step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.conversion import as_array, is_weak_value, shown
from graphc.errors import FeedError, FunctionError
from graphc.feeds import FeedBinder
from graphc.ir.graph import Graph
from graphc.placement import fresh
from graphc.running import ComplexRunner, ProgramRunner, Runner, State
from graphc.shapes import evaluate, format_shape
from graphc.structure import Structure


def checked_count(count: Any, name: str) -> int:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
        raise FeedError(
            f"{name}.repeat: {shown(count)} is no number of steps",
            code="E202",
            fix="the first argument is how many steps to run, an int >= 0",
        )
    return int(count)


def check_stackable(structure: Structure, source: Any) -> None:
    """Results whose sizes depend on data differ from step to step."""
    parts = [structure]
    while parts:
        part = parts.pop()
        if part.kind == "trimmed":
            raise FunctionError(
                "repeat: an output has a size that depends on data, and may differ in every step",
                code="E205",
                source=source,
                fix="give the op size=, for a result of fixed size",
            )
        parts += part.items


def rows(
    binder: FeedBinder, count: int, values: Sequence[Any]
) -> tuple[list[np.ndarray], list[bool], list[np.ndarray]]:
    """Dense arrays, which of them have a row per step, and one step's feeds (for their shapes)."""
    arrays: list[np.ndarray] = []
    moving: list[bool] = []
    steps: list[np.ndarray] = []
    for number, value in enumerate(values):
        tensor = binder.inputs[number]
        rank = len(tensor.shape)
        array = _known(value)
        if array is None or array.ndim != rank + 1:  # errors are those of a plain call
            arrays.append(binder.convert(number, value))
            moving.append(False)
            steps.append(arrays[-1])
            continue
        if array.shape[0] != count:
            raise binder.error(
                FeedError,
                tensor,
                "E203",
                f"{tensor.name!r} has {array.shape[0]} rows for {count} steps",
                details=[
                    f"got     {array.dtype.name}{format_shape(array.shape)}",
                    f"allowed {format_shape((count, *tensor.shape))}, or {tensor.type} for all",
                ],
                fix="feed one row per step along the first axis",
            )
        binder.check_dtype(tensor, array, is_weak_value(value), value)
        dense = np.require(array, tensor.dtype, ["C", "A"]).reshape(array.shape)
        arrays.append(dense)
        moving.append(True)
        steps.append(np.empty(array.shape[1:], tensor.dtype) if count == 0 else dense[0])
    return arrays, moving, steps


def _known(value: Any) -> np.ndarray | None:
    """What may have a row per step, if it is an array at all."""
    if not isinstance(value, np.ndarray | list | tuple):
        return None
    try:
        return as_array(value)
    except (TypeError, ValueError):
        return None


def run_steps(
    run: Runner,
    graph: Graph,
    bindings: Mapping[str, int],
    count: int,
    arrays: Sequence[np.ndarray],
    moving: Sequence[bool],
    state: State,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Outputs with a row per step, and the new values of the updated variables.

    The values that the variables have are not written: whoever calls puts the new ones in place.
    """
    sizes = tuple(bindings.values())
    if count and isinstance(run, ProgramRunner | ComplexRunner):
        done = run.repeat(sizes, count, arrays, moving, state)
        if done is not None:
            return done
    outputs = [
        np.empty((count, *(evaluate(size, bindings) for size in t.shape)), t.dtype)
        for t in graph.outputs
    ]
    variables, new = list(state.variables), list(state.spare)
    for step in range(count):
        feeds = [a[step] if m else a for a, m in zip(arrays, moving, strict=True)]
        spare = [fresh(array.shape, array.dtype) for array in state.spare]
        values, new = run(sizes, feeds, variables, spare)
        for output, value in zip(outputs, values, strict=True):
            output[step] = value
        for position, value in zip(state.carried, new, strict=True):
            if position is not None:
                variables[position] = value
    return outputs, new
