"""Graph -> Program: buffers for what is stored, a kernel per fused group, structured steps.

The graph must be expanded: no op with a Composite lowering is left.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from graphc.ir.graph import Graph
from graphc.ir.leaf import CONSTANT
from graphc.ir.lowering import (
    Contraction as ContractionForm,
)
from graphc.ir.lowering import (
    Cumulative,
    Elementwise,
    Leaf,
    Pieces,
    Scan,
    Scatter,
    ScatterAdd,
    Search,
    Sort,
)
from graphc.ir.lowering import IndexCheck as OpIndexCheck
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Inference, OpDef
from graphc.ir.tensor import Tensor
from graphc.loops.fuse import Barrier, Fuser, Group, Partition
from graphc.loops.ir import (
    Buffer,
    Carry,
    IndexCheck,
    Kernel,
    KernelCall,
    Loop,
    Program,
    Role,
    Step,
)
from graphc.loops.kernels import Draft, KernelBuilder, Names
from graphc.loops.printer import kernel_key
from graphc.loops.rows import row_kernel
from graphc.loops.schedule import schedule
from graphc.loops.structured import (
    contraction_step,
    piece_drafts,
    scatter_add_kernel,
    scatter_kernel,
)
from graphc.loops.values import (
    context_of,
    inputs_in_memory,
    is_scalar_constant,
    must_be_stored,
    root_of,
)
from graphc.shapes import Dim, Shape, Size, size_product

Key = tuple[int, int]

ROWS = (Cumulative, Sort, Search)


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


def lower(graph: Graph, sizes: tuple[str, ...]) -> Program:
    """The program of a graph. sizes: names of the symbolic sizes that calls bind, in order."""
    return _Lowering(graph, sizes).run()


class _Lowering:
    """Lowers one graph; the body of a loop by another one that shares names and kernels."""

    def __init__(
        self, graph: Graph, size_names: tuple[str, ...], outer: "_Lowering | None" = None
    ) -> None:
        self.graph, self.result_roles = give_results_memory(graph)
        self.size_names = size_names
        self.names: Names = Names(size_names) if outer is None else outer.names
        self.buffers: dict[str, Buffer] = {} if outer is None else outer.buffers
        self.constants: dict[str, np.ndarray] = {} if outer is None else outer.constants
        self.kernels: dict[str, Kernel] = {} if outer is None else outer.kernels
        self.buffer_of: dict[Key, str] = {}
        self.checks: dict[int, list[IndexCheck]] = {}
        self.steps: list[Step] = []

    def run(self) -> Program:
        self.name_inputs()
        results = self.lower_graph("output")
        count = len(self.graph.outputs)
        updates = tuple(
            (self.buffer_of[variable.key], name)
            for (variable, _), name in zip(self.graph.updates, results[count:], strict=True)
        )
        return Program(
            self.graph.name,
            self.size_names,
            self.buffers,
            tuple(self.steps),
            tuple(results[:count]),
            updates,
            self.constants,
        )

    def lower_graph(self, output_role: Role) -> list[str]:
        """Steps for all results; the names of their buffers. Inputs are named already."""
        checked = self.indices_to_check()
        required = {root_of(t).key for t in self.graph.results}
        required |= {root_of(node.inputs[c.input]).key for node, c in checked}
        required |= {
            root_of(Tensor(node)).key for node in self.graph.nodes if must_be_stored(Tensor(node))
        }
        for node in self.graph.nodes:
            if isinstance(node.op.lower, (ContractionForm, ScatterAdd, Scatter, Scan, *ROWS)):
                required |= {tensor.key for tensor in inputs_in_memory(node)}
        partition = Fuser(self.graph, required, self.size_names).run()
        self.name_constants(required)
        self.name_results(output_role)
        self.name_temporaries(partition)
        self.place_checks(checked, partition)
        self.steps += self.checks.get(-1, [])
        for step in partition.steps:
            self.lower_step(step, partition)
            self.steps += self.checks.get(step.number, [])
        return [self.buffer_of[root_of(t).key] for t in self.graph.results]

    # --- buffers -----------------------------------------------------------------------------

    def add_buffer(
        self, tensor: Tensor, wanted: str | None, role: Role, shape: Shape | None = None
    ) -> str:
        name = self.names.fresh(wanted, "buffer")
        self.buffers[name] = Buffer(
            name, tensor.dtype, tensor.shape if shape is None else shape, role, tensor.sources
        )
        self.buffer_of[tensor.key] = name
        return name

    def name_inputs(self) -> None:
        for tensor in self.graph.inputs:
            self.add_buffer(tensor, tensor.name, "input")
        for variable in self.graph.variables:
            self.add_buffer(variable, variable.name, "variable")

    def name_constants(self, required: set[Key]) -> None:
        for node in self.graph.nodes:
            tensor = Tensor(node)
            if node.op is CONSTANT and (tensor.key in required or not is_scalar_constant(tensor)):
                name = self.add_buffer(tensor, tensor.name or "constant", "constant")
                self.constants[name] = node.attrs["value"]

    def name_results(self, output_role: Role) -> None:
        for position, (tensor, role) in enumerate(
            zip(self.graph.results, self.result_roles, strict=True)
        ):
            root = root_of(tensor)
            if role == "update":
                variable = self.graph.updates[position - len(self.graph.outputs)][0]
                wanted = f"new_{variable.name}"
            else:
                wanted = self.graph.output_names[position] or tensor.name or root.name or "out"
            role = output_role if role == "output" else role
            name = self.add_buffer(root, wanted, role, tensor.shape)
            self.buffer_of[tensor.key] = name

    def name_temporaries(self, partition: Partition) -> None:
        for step in partition.steps:
            tensors = (
                [Tensor(step.node, n) for n in range(len(step.node.types))]
                if isinstance(step, Barrier)
                else [member.tensor for member in step.members]
            )
            for tensor in tensors:
                if tensor.key in partition.stored and tensor.key not in self.buffer_of:
                    self.add_buffer(tensor, tensor.name, "temporary")

    # --- index checks ------------------------------------------------------------------------

    def indices_to_check(self) -> list[tuple[Node, OpIndexCheck]]:
        found: list[tuple[Node, OpIndexCheck]] = []
        for node in self.graph.nodes:
            if node.op.index_checks is not None:
                found += [(node, check) for check in node.op.index_checks(context_of(node))]
        return found

    def place_checks(self, checked: list[tuple[Node, OpIndexCheck]], partition: Partition) -> None:
        """A check runs right after its indices are computed, before any kernel that reads them."""
        seen: set[tuple[str, Size, Size]] = set()
        for node, check in checked:
            root = root_of(node.inputs[check.input])
            buffer = self.buffer_of[root.key]
            minimum = -check.size if check.minimum is None else check.minimum
            if (buffer, minimum, check.size) in seen:
                continue
            seen.add((buffer, minimum, check.size))
            step = IndexCheck(
                buffer,
                size_product(root.shape),
                minimum,
                check.size,
                check.axis,
                node.op.name,
                node.sources,
            )
            self.checks.setdefault(partition.place.get(root.key, -1), []).append(step)

    # --- steps -------------------------------------------------------------------------------

    def lower_step(self, step: Group | Barrier, partition: Partition) -> None:
        if isinstance(step, Group):
            builder = KernelBuilder(step, partition, self.buffer_of, self.size_names)
            self.call(builder.build(), equation([m.tensor for m in step.members], partition))
            return
        node = step.node
        lower = node.op.lower
        if isinstance(lower, ContractionForm):
            self.steps.append(contraction_step(node, self.buffer_of))
        elif isinstance(lower, Pieces):
            for draft, sizes in piece_drafts(node, partition, self.buffer_of, self.size_names):
                self.call(draft, node.op.name, sizes)
        elif isinstance(lower, Scan):
            self.steps.append(self.lower_loop(node))
        elif isinstance(lower, ROWS):
            kernel, arguments = row_kernel(node, partition.axis_names, self.buffer_of)
            self.add_call(replace(kernel, name=f"{kernel.name}_{len(self.kernels)}"), arguments)
        else:
            assert isinstance(lower, ScatterAdd | Scatter)
            make = scatter_kernel if isinstance(lower, Scatter) else scatter_add_kernel
            kernel, arguments = make(node, partition.axis_names, self.buffer_of)
            self.add_call(replace(kernel, name=f"{kernel.name}_{len(self.kernels)}"), arguments)

    def lower_loop(self, node: Node) -> Loop:
        """The loop of a scan; its body shares names, buffers and kernels with what is around."""
        attrs = node.attrs
        body: Graph = attrs["body"]
        carries, sequences = attrs["carries"], attrs["sequences"]
        outer = [self.buffer_of[root_of(tensor).key] for tensor in node.inputs]
        inner = _Lowering(body, self.size_names, self)
        slices: list[tuple[str, str]] = []
        for position, tensor in enumerate(body.inputs):
            if position >= carries + sequences:
                inner.buffer_of[tensor.key] = outer[position]
                continue
            view = inner.add_buffer(tensor, tensor.name, "view")
            if position >= carries:
                slices.append((view, outer[position]))
        results = inner.lower_graph("view")
        outputs = [self.buffer_of[Tensor(node, n).key] for n in range(len(node.types))]
        handed: list[Carry] = []
        for position in range(carries):
            state = inner.buffer_of[body.inputs[position].key]
            spare = [
                inner.add_buffer(body.inputs[position], f"{state}_{turn}", "temporary")
                for turn in ("even", "odd")
            ]
            inner.buffer_of[body.inputs[position].key] = state
            handed.append(
                Carry(
                    state,
                    results[position],
                    outer[position],
                    outputs[position],
                    (spare[0], spare[1]),
                )
            )
        slices += zip(results[carries:], outputs[carries:], strict=True)
        return Loop(
            attrs["length"],
            attrs["reverse"],
            tuple(inner.steps),
            tuple(handed),
            tuple(slices),
            node.sources,
            body.name,
        )

    def call(self, draft: Draft, comment: str, sizes: dict[str, Size] | None = None) -> None:
        kernel = schedule(draft, f"k{len(self.kernels)}", comment)
        arguments = tuple(draft.arguments[p.name] for p in kernel.parameters)
        self.add_call(kernel, arguments, sizes)

    def add_call(
        self, kernel: Kernel, arguments: tuple[str, ...], sizes: dict[str, Size] | None = None
    ) -> None:
        """Append a call; a kernel equal to an earlier one is not emitted again."""
        shared = self.kernels.setdefault(kernel_key(kernel), kernel)
        values = tuple((sizes or {}).get(name, _symbol(name)) for name in kernel.sizes)
        self.steps.append(KernelCall(shared, arguments, values, kernel.sources, kernel.comment))


def _symbol(name: str) -> Size:
    return Dim.symbol(name)


def give_results_memory(graph: Graph) -> tuple[Graph, tuple[Role, ...]]:
    """Every result gets memory of its own: a copy where its root is a leaf or taken already."""
    taken: set[Key] = set()
    results: list[Tensor] = []
    for tensor in graph.results:
        root = root_of(tensor)
        if isinstance(root.node.op.lower, Leaf) or root.key in taken:
            tensor = root = COPY(tensor)
        taken.add(root.key)
        results.append(tensor)
    output: Role = "output"
    update: Role = "update"
    roles = (output,) * len(graph.outputs) + (update,) * len(graph.updates)
    return graph.with_results(results), roles


def equation(tensors: Sequence[Tensor], partition: Partition) -> str:
    """`h = tanh, cost = sum`: what a kernel stores, for people."""
    stored = [t for t in tensors if t.key in partition.stored]
    shown = [f"{t.name} = {t.node.op.name}" if t.name else t.node.op.name for t in stored[:4]]
    return ", ".join(shown) + (", ..." if len(stored) > 4 else "")
