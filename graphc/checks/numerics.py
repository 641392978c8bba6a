"""check="nan": the results of every call are looked through; a bad one is traced to its origin.

The program runs as fast as ever. Only where a result is not finite is the optimised graph computed
again, op by op, to find the first op that made a NaN out of numbers (or, if there is no NaN, an
infinity out of finite numbers).
"""

from collections.abc import Mapping, Sequence
from dataclasses import field

import numpy as np

from graphc.backends.reference.interpreter import Values, evaluate_tensors, run_node
from graphc.checks.compare import feeds_of
from graphc.compiler import Stages
from graphc.dtypes import is_inexact
from graphc.errors import NumericsError
from graphc.ir.graph import after_counted_sizes
from graphc.ir.leaf import scalar_value
from graphc.ir.lowering import Elementwise, Leaf
from graphc.ir.node import Node
from graphc.ir.printer import format_expression
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.records import dataclass
from graphc.running import Arrays, Runner, Sizes

SHOWN = 6  # elements of an input in a message
TESTS = {"nan": np.isnan, "inf": np.isinf}


class NumericsGuard:
    """A runner whose results are finite; else NumericsError (E415), and nothing is updated."""

    def __init__(self, run: Runner, stages: Stages) -> None:
        self.run = run
        self.stages = stages
        graph = stages.user_graph
        self.names = [
            f"output {name or tensor.name or number}"
            for number, (name, tensor) in enumerate(
                zip(graph.output_names, graph.outputs, strict=True)
            )
        ]
        self.names += [f"the update of {variable.name}" for variable, _ in graph.updates]

    def __call__(
        self, sizes: Sizes, inputs: Arrays, variables: Arrays, spare: Arrays
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        outputs, updates = self.run(sizes, inputs, variables, spare)
        with np.errstate(all="ignore"):
            for number, array in enumerate((*outputs, *updates)):
                if not all_finite(array):
                    raise self.blame(number, array, sizes, (*inputs, *variables))
        return outputs, updates

    def blame(self, number: int, array: np.ndarray, sizes: Sizes, given: Arrays) -> NumericsError:
        """The error for a result that is not finite."""
        graph = self.stages.graph
        feeds = feeds_of(graph, given)
        bindings = dict(zip(self.stages.size_names, sizes, strict=True))
        kind = "nan" if np.isnan(array).any() else "inf"
        first = _first(array, kind)
        head = f"{self.stages.user_graph.name}: {self.names[number]} is {array[first]}"
        head += f" at {_index(first)}" if array.ndim else ""
        finding = find_origin(graph.results[number], feeds, bindings, kind)
        if finding is None:
            sources = graph.results[number].sources
            return NumericsError(
                head,
                details=["computed op by op, it is finite"],
                source=sources[0] if sources else None,
                fix="gc.bisect tells where the two differ",
            )
        return NumericsError(
            head,
            details=finding.lines(),
            source=finding.node.sources[0] if finding.node.sources else None,
            fix=_fix(finding),
        )


def all_finite(array: np.ndarray) -> bool:
    """Whether there is neither NaN nor infinity. The caller silences numpy's warnings."""
    if not is_inexact(array.dtype) or np.isfinite(np.add.reduce(array, axis=None)):
        return True  # a sum with a NaN or an infinity in it is never finite
    return bool(np.isfinite(array).all())


def _first(array: np.ndarray, kind: str) -> tuple[int, ...]:
    flat = int(TESTS[kind](array).argmax())
    return tuple(int(part) for part in np.unravel_index(flat, array.shape))


def _index(position: tuple[int, ...]) -> str:
    return str(list(position))


@dataclass
class Finding(Exception):  # noqa: N818 - leaves the loops it was found in as an exception
    """The op that made the first NaN or infinity. values: of its inputs, for people."""

    node: Node
    position: tuple[int, ...]
    value: complex
    shape: tuple[int, ...]
    values: list[str]
    inside: list[str] = field(default_factory=list)  # innermost loop first
    earlier: "Finding | None" = None

    def lines(self) -> list[str]:
        made = format_expression(Tensor(self.node))
        where = f" at {_index(self.position)} of {list(self.shape)}" if self.position else ""
        verb = "holds" if isinstance(self.node.op.lower, Leaf) else "is the first to give"
        found = [f"{made} {verb} {self.value}{where}", *self.inside]
        found += [f"with {value}" for value in self.values]
        if self.earlier is not None and self.earlier.node is not self.node:
            origin = self.earlier.node
            line = f", {origin.sources[0].short}" if origin.sources else ""
            found.append(f"the {self.earlier.value}: {self.earlier.lines()[0]}{line}")
        return found


def _fix(finding: Finding) -> str:
    if isinstance(finding.node.op.lower, Leaf):
        return "feed finite numbers"
    return "keep the inputs of this op in its domain, or replace what it gives with gc.where"


def find_origin(
    result: Tensor, feeds: Mapping[Tensor, np.ndarray], sizes: Mapping[str, int], kind: str
) -> Finding | None:
    """The first op below `result` that gives a NaN (or "inf") and takes none."""
    search = _Search(kind)
    try:
        search.evaluate([result], feeds, sizes)
    except Finding as found:
        return found
    return None


class _Search:
    """An evaluation that ends with an exception where the origin is found."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.is_bad = TESTS[kind]

    def evaluate(
        self,
        outputs: Sequence[Tensor],
        feeds: Mapping[Tensor, np.ndarray],
        sizes: Mapping[str, int],
    ) -> list[np.ndarray]:
        """The values, if all is well; else the first origin among what bad outputs need."""
        results = evaluate_tensors(outputs, feeds, sizes)
        for output, array in zip(outputs, results, strict=True):
            if self.has(array):
                self.look(output, feeds, sizes)
        return results

    def has(self, array: np.ndarray) -> bool:
        return is_inexact(array.dtype) and bool(self.is_bad(array).any())

    def look(
        self, output: Tensor, feeds: Mapping[Tensor, np.ndarray], sizes: Mapping[str, int]
    ) -> None:
        """Compute what `output` needs, one op after the other, until one is bad by itself."""
        values: Values = {tensor.key: array for tensor, array in feeds.items()}
        order = after_counted_sizes(topological_order([output]))
        bound = dict(sizes)
        last_use = {id(t.node): node for node in order for t in node.inputs}
        for node in order:
            if (id(node), 0) not in values:
                self.run(node, values, bound)
            for number in range(len(node.types)):
                array = values[id(node), number]
                if self.has(array) and not any(self.has(values[t.key]) for t in node.inputs):
                    raise self.finding(node, array, values, feeds, bound)
            for tensor in node.inputs:
                if last_use[id(tensor.node)] is node:
                    for number in range(len(tensor.node.types)):
                        values.pop((id(tensor.node), number), None)

    def run(self, node: Node, values: Values, sizes: dict[str, int]) -> None:
        """One op; the steps of a loop are looked through if nothing bad goes into it."""
        if any(self.has(values[t.key]) for t in node.inputs):
            run_node(node, values, sizes)
            return
        steps = 0

        def body(
            outputs: Sequence[Tensor],
            feeds: Mapping[Tensor, np.ndarray],
            bindings: Mapping[str, int],
        ) -> list[np.ndarray]:
            nonlocal steps
            try:
                results = self.evaluate(outputs, feeds, bindings)
            except Finding as found:
                line = f", {node.sources[0].short}" if node.sources else ""
                found.inside.append(f"in run {steps} of the body of {node.op.name}{line}")
                raise
            steps += 1
            return results

        run_node(node, values, sizes, body)

    def finding(
        self,
        node: Node,
        array: np.ndarray,
        values: Values,
        feeds: Mapping[Tensor, np.ndarray],
        sizes: Mapping[str, int],
    ) -> Finding:
        position = _first(array, self.kind)
        arrays = [values[tensor.key] for tensor in node.inputs]
        shown = [
            _shown(node, tensor, value, position)
            for tensor, value in zip(node.inputs, arrays, strict=True)
            if scalar_value(tensor) is None
        ]
        found = Finding(node, position, array[position].item(), array.shape, shown)
        if self.kind == "nan":
            for tensor, value in zip(node.inputs, arrays, strict=True):
                if is_inexact(value.dtype) and np.isinf(value).any():
                    found.earlier = find_origin(tensor, feeds, sizes, "inf")
                    break
        return found


def _shown(node: Node, tensor: Tensor, array: np.ndarray, position: tuple[int, ...]) -> str:
    """`x = -1.0`: an input at the position, or as a whole where ops do not go element by element"""
    name = tensor.name or format_expression(tensor)
    if isinstance(node.op.lower, Elementwise):
        trailing = position[len(position) - array.ndim :]
        index = tuple(0 if n == 1 else p for n, p in zip(array.shape, trailing, strict=True))
        return f"{name} = {array[index]}"
    if array.size <= SHOWN:
        return f"{name} = {' '.join(np.array2string(array).split())}"
    kind = f"{name}: {array.dtype}{list(array.shape)}"
    return f"{kind} from {array.min()} to {array.max()}"
