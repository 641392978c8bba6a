"""The buffers of a graph: which values have memory in a program, and what it is called."""

from collections.abc import Sequence

import numpy as np

from graphc.ir.graph import Graph, counted_size
from graphc.ir.leaf import CONSTANT, scalar_value
from graphc.ir.lowering import Elementwise, Leaf
from graphc.ir.node import TensorType
from graphc.ir.opdef import Inference, OpDef
from graphc.ir.printer import Names as PrintedNames
from graphc.ir.printer import usable_name
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.loops.destinations import Destinations
from graphc.loops.draft import Names
from graphc.loops.groups import Barrier, Partition
from graphc.loops.ir import Buffer, Role
from graphc.loops.values import Key, root_of
from graphc.shapes import Shape, symbols_of


def _copy_type(call: Inference) -> TensorType:
    return call.types[0]


# Not in the registry: users cannot write it. A result that is a leaf, a view, or a result
# already needs memory of its own.
COPY = OpDef(
    "copy",
    infer=_copy_type,
    reference=lambda attrs, array: array.copy(),
    lower=Elementwise(lambda context, element: element),
)


class GraphBuffers:
    """Gives buffers to the values of one graph; the body of a loop shares names with `outer`."""

    def __init__(
        self, graph: Graph, size_names: tuple[str, ...], outer: "GraphBuffers | None" = None
    ) -> None:
        self.printed = PrintedNames(graph)
        self.graph, self.result_roles = give_results_memory(graph)
        self.size_names = size_names
        self.names: Names = Names() if outer is None else outer.names
        self.names.taken.update(size_names)
        self.names.taken.update(filter(None, map(counted_size, graph.nodes)))
        self.buffers: dict[str, Buffer] = {} if outer is None else outer.buffers
        self.constants: dict[str, np.ndarray] = {} if outer is None else outer.constants
        self.buffer_of: dict[Key, str] = {}
        self.destinations: Destinations = {}
        self.given_results: Sequence[str] = ()  # buffers that are there already

    def add_buffer(
        self, tensor: Tensor, wanted: str, role: Role, shape: Shape | None = None
    ) -> str:
        name = self.names.fresh(wanted)
        whole = tensor.shape if shape is None else shape
        if role == "temporary":
            role = self.temporary_role(whole)
        self.buffers[name] = Buffer(name, tensor.dtype, whole, role, tensor.sources)
        self.buffer_of[tensor.key] = name
        return name

    def temporary_role(self, shape: Shape) -> Role:
        """Sizes that loops count are not known when the arena is laid out."""
        known = set(self.size_names)
        return "temporary" if all(symbols_of(size) <= known for size in shape) else "heap"

    def name_inputs(self) -> None:
        for tensor in self.graph.inputs:
            self.add_buffer(tensor, self.printed.of[tensor.key], "input")
        for variable in self.graph.variables:
            self.add_buffer(variable, self.printed.of[variable.key], "variable")

    def name_constants(self, in_memory: set[Key]) -> None:
        for node in self.graph.nodes:
            tensor = Tensor(node)
            if node.op is CONSTANT and (tensor.key in in_memory or scalar_value(tensor) is None):
                wanted = self.printed.of.get(tensor.key, "constant")
                name = self.add_buffer(tensor, wanted, "constant")
                self.constants[name] = node.attrs["value"]

    def name_results(self, output_role: Role) -> None:
        for position, (tensor, role) in enumerate(
            zip(self.graph.results, self.result_roles, strict=True)
        ):
            root = root_of(tensor)
            if self.given_results:
                self.buffer_of[root.key] = self.buffer_of[tensor.key] = self.given_results[position]
                continue
            if role == "update":
                variable = self.graph.updates[position - len(self.graph.outputs)][0]
                wanted = f"new_{self.printed.of[variable.key]}"
            else:
                given = self.graph.output_names[position] or tensor.name or root.name
                wanted = usable_name(given) if given else "out"
                role = output_role
            name = self.add_buffer(root, wanted, role, tensor.shape)
            self.buffer_of[tensor.key] = name

    def name_temporaries(self, partition: Partition) -> None:
        for step in partition.steps:
            tensors = (
                [Tensor(step.node, n) for n in range(len(step.node.types))]
                if isinstance(step, Barrier)
                else [member.tensor for member in step.members]
            )
            if isinstance(step, Barrier) and id(step.node) in self.destinations:
                moved = self.destinations[id(step.node)].moved
                tensors += [] if moved is None else [moved]
            for tensor in tensors:
                key = tensor.key
                if (
                    key in partition.stored
                    and key not in self.buffer_of
                    and key not in partition.placements
                ):
                    self.add_buffer(tensor, self.printed.of[key], "temporary")


def give_results_memory(graph: Graph) -> tuple[Graph, tuple[Role, ...]]:
    """Every result gets memory of its own: a copy where its root is a leaf or taken already."""
    taken: set[Key] = set()
    results: list[Tensor] = []
    for tensor in graph.results:
        root = root_of(tensor)
        if isinstance(root.node.op.lower, Leaf) or root.key in taken:
            with source_scope(tensor.sources):
                tensor = root = COPY(tensor)
        taken.add(root.key)
        results.append(tensor)
    output: Role = "output"
    update: Role = "update"
    roles = (output,) * len(graph.outputs) + (update,) * len(graph.updates)
    return graph.with_results(results), roles
