"""The graph interpreter: numpy, one node at a time. Slow and obvious; it defines the meaning."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.conversion import real_view
from graphc.errors import (
    IndexOutOfRange,
    LinearAlgebraError,
    StepLimitError,
    VerificationError,
)
from graphc.ir.graph import Graph, after_counted_sizes
from graphc.ir.leaf import PLACEHOLDER, VARIABLE
from graphc.ir.lowering import Branches, HostCall, LoweringContext, Scan, While
from graphc.ir.node import Node, TensorType, substitute_dims
from graphc.ir.source import Sources
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.lapack import ROUTINES, RoutineFailure, explain_failure
from graphc.loops.host import host_results
from graphc.shapes import Dim, evaluate

Values = dict[tuple[int, int], np.ndarray]


def bind_sizes(feeds: Mapping[Tensor, np.ndarray]) -> dict[str, int]:
    """The value of every symbolic size that is a whole axis of a fed placeholder."""
    bindings: dict[str, int] = {}
    for tensor, array in feeds.items():
        for size, actual in zip(tensor.shape, array.shape, strict=True):
            if isinstance(size, Dim) and str(size) in size.symbols():
                bindings[str(size)] = actual
    return bindings


def evaluate_tensors(
    outputs: Sequence[Tensor],
    feeds: Mapping[Tensor, np.ndarray],
    sizes: Mapping[str, int] | None = None,
) -> list[np.ndarray]:
    """The values of `outputs`. feeds: arrays for the placeholders, already of their dtype."""
    bindings = bind_sizes(feeds) if sizes is None else dict(sizes)
    values: Values = {tensor.key: array for tensor, array in feeds.items()}
    nodes = after_counted_sizes(topological_order(outputs))
    remaining: dict[int, int] = {}  # uses left, so that long chains do not keep every value
    for node in nodes:
        for tensor in node.inputs:
            remaining[id(tensor.node)] = remaining.get(id(tensor.node), 0) + 1
    kept = {id(tensor.node) for tensor in outputs}
    for node in nodes:
        if (id(node), 0) not in values:
            run_node(node, values, bindings)
        for tensor in node.inputs:
            remaining[id(tensor.node)] -= 1
            if remaining[id(tensor.node)] == 0 and id(tensor.node) not in kept:
                for position in range(len(tensor.node.types)):
                    values.pop((id(tensor.node), position), None)
    return [values[tensor.key] for tensor in outputs]


Evaluate = Callable[
    [Sequence[Tensor], Mapping[Tensor, np.ndarray], Mapping[str, int]], list[np.ndarray]
]


def run_node(
    node: Node,
    values: Values,
    bindings: dict[str, int],
    evaluate_body: Evaluate = evaluate_tensors,
) -> None:
    """Compute one node and check that it has the type that inference promised.

    A loop that counts its steps adds their number to `bindings`.
    evaluate_body: how the bodies of loops and branches are computed.
    """
    if node.op is VARIABLE:
        array = node.attrs["storage"].read().copy()
        if array.dtype != node.types[0].dtype:  # the parts of a complex variable
            array = real_view(array)
        values[(id(node), 0)] = array
        return
    if node.op is PLACEHOLDER:
        raise VerificationError(f"placeholder {node.attrs['name']!r} has no value")
    attrs = {name: substitute_dims(value, bindings) for name, value in node.attrs.items()}
    arrays = [values[tensor.key] for tensor in node.inputs]
    check_indices(node, attrs, arrays)
    if isinstance(node.op.lower, Scan):
        result: Any = run_scan(attrs, arrays, bindings, evaluate_body)
    elif isinstance(node.op.lower, HostCall):
        result = run_host_call(node, attrs, arrays, bindings)
    elif isinstance(node.op.lower, While):
        result = run_while(node, arrays, bindings, evaluate_body)
    elif isinstance(node.op.lower, Branches):
        result = run_branch(attrs, arrays, bindings, evaluate_body)
    else:
        try:
            with np.errstate(all="ignore"):
                result = node.op.reference(attrs, *arrays)
        except RoutineFailure as failure:
            raise failed_routine(node, failure) from None
    results = result if isinstance(result, tuple) else (result,)
    for position, (value, expected) in enumerate(zip(results, node.types, strict=True)):
        array = np.asarray(value)
        shape = tuple(evaluate(size, bindings) for size in expected.shape)
        if array.dtype != expected.dtype or array.shape != shape:
            raise VerificationError(
                f"{node.op.name}: the reference gives {array.dtype}{list(array.shape)}, "
                f"inference promised {expected} = {list(shape)}",
                source=node.sources[0] if node.sources else None,
            )
        values[(id(node), position)] = array


def run_host_call(
    node: Node, attrs: Mapping[str, Any], arrays: Sequence[np.ndarray], bindings: Mapping[str, int]
) -> tuple[np.ndarray, ...]:
    """The op's reference, with the checks that a compiled program makes."""
    lower = node.op.lower
    assert isinstance(lower, HostCall)
    expected = [(t.dtype, tuple(evaluate(size, bindings) for size in t.shape)) for t in node.types]
    return host_results(
        node.op.reference, node.op.name, attrs, arrays, expected, lower.owned, node.sources
    )


def run_scan(
    attrs: Mapping[str, Any],
    arrays: Sequence[np.ndarray],
    bindings: Mapping[str, int],
    evaluate_body: Evaluate,
) -> tuple[np.ndarray, ...]:
    """The loop, a step at a time."""
    body, carries, sequences = attrs["body"], attrs["carries"], attrs["sequences"]
    carry = list(arrays[:carries])
    outer = list(arrays[carries + sequences :])
    stacked = [
        np.empty((attrs["length"], *(evaluate(size, bindings) for size in t.shape)), dtype=t.dtype)
        for t in body.outputs[carries:]
    ]
    positions = range(attrs["length"])
    for position in reversed(positions) if attrs["reverse"] else positions:
        elements = [array[position] for array in arrays[carries : carries + sequences]]
        feeds = dict(zip(body.inputs, [*carry, *elements, *outer], strict=True))
        results = evaluate_body(body.outputs, feeds, bindings)
        carry = [np.array(result, copy=True) for result in results[:carries]]
        for array, result in zip(stacked, results[carries:], strict=True):
            array[position] = result
    return (*carry, *stacked)


def run_while(
    node: Node,
    arrays: Sequence[np.ndarray],
    bindings: dict[str, int],
    evaluate_body: Evaluate,
) -> tuple[np.ndarray, ...]:
    """Steps as long as the condition holds."""
    attrs = node.attrs
    body, condition, carries = attrs["body"], attrs["condition"], attrs["carries"]
    carry, outer = list(arrays[:carries]), list(arrays[carries:])
    rows: list[list[np.ndarray]] = []

    def values(graph: Graph) -> list[np.ndarray]:
        feeds = dict(zip(graph.inputs, [*carry, *outer], strict=True))
        return evaluate_body(graph.outputs, feeds, bindings)

    while values(condition)[0]:
        if len(rows) == attrs["max_steps"]:
            raise too_many_steps(attrs["max_steps"], node.sources)
        results = [np.array(result, copy=True) for result in values(body)]
        carry = results[:carries]
        rows.append(results[carries:])
    bindings[str(attrs["length"])] = len(rows)
    stacked = []
    for number, t in enumerate(body.outputs[carries:]):
        shape = (len(rows), *(evaluate(size, bindings) for size in t.shape))
        array = np.empty(shape, t.dtype)
        for position, row in enumerate(rows):
            array[position] = row[number]
        stacked.append(array)
    return (*carry, *stacked)


def too_many_steps(limit: int, sources: Sources) -> StepLimitError:
    """The run-time error of a loop with max_steps; the same words on every backend."""
    return StepLimitError(
        f"while_loop: the condition still holds after {limit} steps",
        source=sources[0] if sources else None,
        fix="correct the condition, or raise max_steps",
    )


def run_branch(
    attrs: Mapping[str, Any],
    arrays: Sequence[np.ndarray],
    bindings: Mapping[str, int],
    evaluate_body: Evaluate,
) -> tuple[np.ndarray, ...]:
    """The branch that is taken, and nothing of the others."""
    branches = attrs["branches"]
    chosen = branches[min(max(int(arrays[0]), 0), len(branches) - 1)]
    feeds = dict(zip(chosen.inputs, arrays[1:], strict=True))
    return tuple(evaluate_body(chosen.outputs, feeds, bindings))


def check_indices(node: Node, attrs: dict[str, Any], arrays: list[np.ndarray]) -> None:
    """IndexOutOfRange, with the first bad index, before an op that indexes runs."""
    if node.op.index_checks is None:
        return
    types = tuple(TensorType(array.dtype, array.shape) for array in arrays)
    context = LoweringContext(attrs, types, node.types)
    for check in node.op.index_checks(context):
        size, lowest = check.size, check.lowest
        assert isinstance(size, int) and isinstance(lowest, int)
        indices = arrays[check.input]
        bad = (indices < lowest) | (indices >= size)
        if not bad.any():
            continue
        first = int(indices[bad].flat[0])
        if check.error is None:
            raise out_of_range(node, first, check.axis, size, lowest, check.op)
        error = check.error(first, {})
        error.source = node.sources[0] if node.sources else None
        raise error


def failed_routine(node: Node, failure: RoutineFailure) -> LinearAlgebraError:
    """The run-time error for a matrix that a routine cannot handle."""
    batched = node.inputs[0].ndim > len(ROUTINES[failure.routine].inputs[0].shape)
    message, fix = explain_failure(failure.routine, failure.caller, failure.code, batched)
    return LinearAlgebraError(message, source=node.sources[0] if node.sources else None, fix=fix)


def out_of_range(
    node: Node,
    index: int,
    axis: int,
    size: int,
    lowest: int | None = None,
    op: str | None = None,
) -> IndexOutOfRange:
    """The run-time error for a bad index; the same words on every backend."""
    return IndexOutOfRange(
        f"{op or node.op.name}: index {index} is out of range for axis {axis} of size {size}",
        code="E402",
        source=node.sources[0] if node.sources else None,
        fix=f"indices must be in [{-size if lowest is None else lowest}, {size})",
    )
