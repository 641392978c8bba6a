"""Graph -> Program: buffers for what is stored, a kernel per fused group, structured steps.

The graph must be expanded: no op with a Composite lowering is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from graphc.ir.graph import Graph
from graphc.ir.lowering import (
    Branches,
    ColumnFourier,
    DepthwiseProduct,
    FilterTransform,
    HostCall,
    MinimalFiltering,
    Pieces,
    Scan,
    Scatter,
    ScatterAdd,
    While,
    WindowProduct,
)
from graphc.ir.lowering import Contraction as ContractionForm
from graphc.ir.lowering import IndexCheck as OpIndexCheck
from graphc.ir.lowering import Lapack as LapackForm
from graphc.ir.node import Node
from graphc.ir.printer import AUTOMATIC
from graphc.ir.source import merge_sources
from graphc.ir.tensor import Tensor
from graphc.lapack import Operand
from graphc.loops.buffers import GraphBuffers
from graphc.loops.column_fourier import column_fourier_kernel
from graphc.loops.depthwise_product import depthwise_product_kernel
from graphc.loops.destinations import destinations
from graphc.loops.draft import Draft, Naming
from graphc.loops.equations import Equations
from graphc.loops.extents import with_common_extents
from graphc.loops.filter_transforms import filter_transform_kernel
from graphc.loops.followers import before_followers
from graphc.loops.fuse import BARRIERS, partition_graph
from graphc.loops.groups import Barrier, Group, Partition, choose_axis_names
from graphc.loops.index_checks import index_checks, indices_to_check
from graphc.loops.inlining import COST
from graphc.loops.ir import (
    Branch,
    Buffer,
    Carry,
    Contraction,
    Kernel,
    KernelCall,
    Lapack,
    Loop,
    Program,
    Role,
    Step,
)
from graphc.loops.ir import While as WhileStep
from graphc.loops.kept_rows import with_rows_kept
from graphc.loops.kernel_writer import sizes_of_call
from graphc.loops.kernels import KernelBuilder, sources_of
from graphc.loops.known_kernels import KnownKernels
from graphc.loops.minimal_filtering import filtering_kernel, filtering_with
from graphc.loops.order import order_steps
from graphc.loops.overwritten import with_states_in_place
from graphc.loops.repeated import Outline, Repeated
from graphc.loops.rows import row_kernel
from graphc.loops.scattered_values import with_values_inside
from graphc.loops.scatters import join_scatters
from graphc.loops.schedule import schedule
from graphc.loops.stored import Needs
from graphc.loops.structured import (
    contraction_step,
    host_call_step,
    lapack_step,
    piece_drafts,
    scatter_add_kernel,
    scatter_kernel,
)
from graphc.loops.updates_last import with_updates_last
from graphc.loops.values import inputs_in_memory, root_of
from graphc.loops.views import Views, operands_in_memory, strided_operands
from graphc.loops.window_epilogues import Epilogue, with_epilogues
from graphc.loops.window_product import window_product_kernel, window_product_with
from graphc.shapes import Dim, Shape, Size

STRUCTURED_KERNELS = {Scatter: scatter_kernel, ScatterAdd: scatter_add_kernel}
KERNELS_OF_NODES: dict[type, Callable[[Node], Kernel]] = {  # which nothing else has to be known for
    WindowProduct: window_product_kernel,
    MinimalFiltering: filtering_kernel,
    FilterTransform: filter_transform_kernel,
    DepthwiseProduct: depthwise_product_kernel,
    ColumnFourier: column_fourier_kernel,
}
WITH_EPILOGUES: dict[type, Callable[[Node, Epilogue], Kernel]] = {
    WindowProduct: window_product_with,
    MinimalFiltering: filtering_with,
}


def lower(graph: Graph, sizes: tuple[str, ...], cost: int = COST) -> Program:
    """The program of a graph. sizes: names of the symbolic sizes that calls bind, in order. cost:
    the work for an element that each reader rather does again than that the value is stored."""
    return _Lowering(graph, sizes, cost=cost).run()


class _Lowering(GraphBuffers):
    """Lowers one graph; the body of a loop by another one that shares names and kernels."""

    def __init__(
        self,
        graph: Graph,
        size_names: tuple[str, ...],
        outer: "_Lowering | None" = None,
        cost: int = COST,
    ) -> None:
        super().__init__(graph, size_names, outer)
        self.cost: int = cost if outer is None else outer.cost
        self.axes: set[str] = set() if outer is None else outer.axes
        self.kernels: KnownKernels = KnownKernels() if outer is None else outer.kernels
        self.repeated: Repeated = Repeated() if outer is None else outer.repeated
        self.steps: list[Step] = []
        self.views: Views = {}
        self.products: dict[str, Node] = {}  # window products, by the buffers of their results

    def run(self) -> Program:
        self.name_inputs()
        results = self.lower_graph("output")
        count = len(self.graph.outputs)
        updates = tuple(
            (self.buffer_of[variable.key], name)
            for (variable, _), name in zip(self.graph.updates, results[count:], strict=True)
        )
        self.steps = with_common_extents(with_updates_last(self.steps, self.buffers, updates))
        return Program(
            self.graph.name,
            self.size_names,
            self.buffers,
            tuple(self.steps),
            tuple(results[:count]),
            updates,
            self.constants,
        )

    def find_needs(self, checked: Sequence[tuple[Node, OpIndexCheck]]) -> Needs:
        """What must lie in memory, and which products read or write where other values lie."""
        results = {root_of(t).key for t in self.graph.results}
        indices = {root_of(node.inputs[check.input]).key for node, check in checked}
        structured = [
            node
            for node in self.graph.nodes
            if isinstance(node.op.lower, BARRIERS) and not isinstance(node.op.lower, Pieces)
        ]
        whole = {
            tensor.key
            for node in structured
            if not isinstance(node.op.lower, ContractionForm)
            for tensor in inputs_in_memory(node)
        }
        self.views = strided_operands(self.graph, results | indices | whole)
        operands = {
            tensor.key for node in structured for tensor in operands_in_memory(node, self.views)
        }
        in_memory = results | indices | operands
        self.destinations = destinations(self.graph, in_memory)
        return Needs(results, indices, operands, self.views, self.destinations)

    def lower_graph(self, output_role: Role) -> list[str]:
        """Steps for all results; the names of their buffers. Inputs are named already."""
        checked = indices_to_check(self.graph)
        needs = self.find_needs(checked)
        self.name_constants(needs.indices | needs.operands)
        self.name_results(output_role)
        given = set(self.printed.of.values())
        axis_names = choose_axis_names(self.graph, (self.names.taken - self.axes) | given)
        self.axes.update(axis_names)
        self.names.taken.update(axis_names)
        partition = partition_graph(self.graph, axis_names, needs, self.cost)
        self.name_temporaries(partition)
        checks = index_checks(checked, partition.place, self.buffer_of)
        named = {key for key, name in self.printed.of.items() if not AUTOMATIC.fullmatch(name)}
        self.naming = Naming(self.buffer_of, self.printed.of, named, self.names.taken)
        self.equations = Equations(self.buffer_of, self.printed.of)
        self.steps += checks.get(-1, [])
        for step in partition.steps:
            self.lower_step(step, partition)
            self.steps += checks.get(step.number, [])
        self.steps = with_values_inside(join_scatters(self.steps), self.buffers, self.joined_call)
        self.steps = order_steps(self.steps, self.buffers)
        self.steps = before_followers(self.steps, self.buffers)
        self.steps = with_epilogues(self.steps, self.buffers, self.products, self.product_call)
        self.steps = with_rows_kept(self.steps, self.buffers, self.joined_call)
        return [self.buffer_of[root_of(t).key] for t in self.graph.results]

    # --- steps -------------------------------------------------------------------------------

    def lower_step(self, step: Group | Barrier, partition: Partition) -> None:
        """Append what computes one step of the partition."""
        if isinstance(step, Group):
            self.lower_group(step, partition)
            return
        node = step.node
        if isinstance(node.op.lower, ContractionForm):
            self.steps.append(self.contraction(node))
            return
        outputs = [Tensor(node, number) for number in range(len(node.types))]
        made = next((tensor for tensor in outputs if tensor.key in self.buffer_of), outputs[0])
        comment = self.equations.of([made], partition.placements)
        lower = node.op.lower
        if isinstance(lower, LapackForm):
            self.steps.append(self.lower_routine(node, lower.routine, comment))
        elif isinstance(lower, Pieces):
            for draft in piece_drafts(step, partition, self.naming):
                self.call(draft, comment)
        elif isinstance(lower, HostCall):
            self.steps.append(host_call_step(node, self.buffer_of, comment))
        elif isinstance(lower, Scan):
            self.steps.append(self.lower_loop(node))
        elif isinstance(lower, While):
            self.steps.append(self.lower_while(node))
        elif isinstance(lower, Branches):
            self.steps.append(self.lower_branches(node))
        else:
            self.lower_structured(node, partition.names, comment)

    def lower_structured(self, node: Node, names: Sequence[str], comment: str) -> None:
        """A call of a kernel of its own."""
        lower = node.op.lower
        sizes: dict[str, Size] = {}
        if type(lower) in KERNELS_OF_NODES:
            make_kernel = KERNELS_OF_NODES[type(lower)]
            kernel = self.kernels.of_node(node, lambda: make_kernel(node))
            keys = (Tensor(node).key, *(root_of(tensor).key for tensor in node.inputs))
            arguments = tuple(self.buffer_of[key] for key in keys)
            sizes = sizes_of_call(kernel, node)
        else:
            make = STRUCTURED_KERNELS.get(type(lower), row_kernel)
            kernel, arguments = make(node, names, self.buffer_of)
        name = f"{kernel.name}_{len(self.kernels)}"
        kernel = replace(kernel, name=name, comment=comment, sources=node.sources)
        self.add_call(kernel, arguments, sizes)
        if type(lower) in WITH_EPILOGUES:
            self.products[arguments[0]] = node

    def product_call(
        self, node: Node, epilogue: Epilogue, product: KernelCall, reader: KernelCall
    ) -> KernelCall:
        """The two calls as one."""
        kernel = WITH_EPILOGUES[type(node.op.lower)](node, epilogue)
        kernel = replace(
            kernel,
            name=f"{kernel.name}_{len(self.kernels)}",
            comment=f"{product.comment}, {reader.comment}",
            sources=merge_sources(product.sources, reader.sources),
        )
        return self.shared_call(kernel, (*epilogue.arguments, *product.arguments[1:]), {})

    def joined_call(self, kernel: Kernel, arguments: tuple[str, ...]) -> KernelCall:
        """A call of a kernel that was made of two."""
        kernel = replace(kernel, name=f"k{len(self.kernels)}")
        return self.shared_call(kernel, arguments, {})

    def contraction(self, node: Node) -> Contraction:
        destination = self.destinations.get(id(node))
        place = None if destination is None else destination.matrices
        return contraction_step(node, self.views, place, self.buffer_of)

    def lower_group(self, group: Group, partition: Partition) -> None:
        """A kernel call; the kernel is built unless an equal group has one."""
        stored = [m.tensor for m in group.members if m.tensor.key in partition.stored]
        comment = self.equations.of(stored, partition.placements)
        outline = Outline(group, partition, self.naming)
        found = self.repeated.find(outline)
        if found is not None:
            known, arguments = found
            sources = sources_of(group)
            self.steps.append(KernelCall(known.kernel, arguments, known.sizes, sources, comment))
            return
        draft = KernelBuilder(group, partition, self.naming).build()
        kernel, shared = self.call(draft, comment)
        self.repeated.remember(outline, shared, draft, kernel)

    def lower_routine(self, node: Node, routine: str, comment: str) -> Lapack:
        def workspace(operand: Operand, shape: Shape) -> str:
            name = self.names.fresh("work")
            dtype = operand.dtype(node.types[0].dtype)
            role = self.temporary_role(shape)
            self.buffers[name] = Buffer(name, dtype, shape, role, node.sources)
            return name

        return lapack_step(node, routine, self.buffer_of, workspace, comment)

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
            view = inner.add_buffer(tensor, inner.printed.of[tensor.key], "view")
            if position >= carries:
                slices.append((view, outer[position]))
        results = inner.lower_graph("view")
        outputs = [self.buffer_of[Tensor(node, n).key] for n in range(len(node.types))]
        handed = inner.hand_on(carries, results, outer, outputs)
        slices += zip(results[carries:], outputs[carries:], strict=True)
        loop = Loop(
            attrs["length"],
            attrs["reverse"],
            tuple(inner.steps),
            handed,
            tuple(slices),
            node.sources,
            body.name,
        )
        return with_states_in_place(loop, self.buffers, self.kernels.shared)

    def hand_on(
        self, count: int, results: list[str], outer: list[str], outputs: list[str]
    ) -> tuple[Carry, ...]:
        """The carries of this body, each with two buffers to be written in turn."""
        handed: list[Carry] = []
        for position, tensor in enumerate(self.graph.inputs[:count]):
            state = self.buffer_of[tensor.key]
            even, odd = (
                self.add_buffer(tensor, f"{state}_{turn}", "temporary") for turn in ("even", "odd")
            )
            self.buffer_of[tensor.key] = state
            handed.append(
                Carry(state, results[position], outer[position], outputs[position], (even, odd))
            )
        return tuple(handed)

    def lower_while(self, node: Node) -> WhileStep:
        """The loop and its condition; both see the carries under the same names."""
        attrs = node.attrs
        body, condition, carries = attrs["body"], attrs["condition"], attrs["carries"]
        count = str(attrs["length"])
        outer = [self.buffer_of[root_of(tensor).key] for tensor in node.inputs]
        inner = _Lowering(body, self.size_names, self)
        for position, tensor in enumerate(body.inputs):
            if position < carries:
                inner.add_buffer(tensor, inner.printed.of[tensor.key], "view")
            else:
                inner.buffer_of[tensor.key] = outer[position]
        test = _Lowering(condition, self.size_names, self)
        for own, tensor in zip(condition.inputs, body.inputs, strict=True):
            test.buffer_of[own.key] = inner.buffer_of[tensor.key]
        (holds,) = test.lower_graph("temporary")
        results = inner.lower_graph("view")
        outputs = [self.buffer_of[Tensor(node, n).key] for n in range(len(node.types))]
        loop = WhileStep(
            count,
            holds,
            tuple(test.steps),
            tuple(inner.steps),
            inner.hand_on(carries, results, outer, outputs),
            tuple(zip(results[carries:], outputs[carries:], strict=True)),
            attrs["max_steps"],
            node.sources,
            body.name,
        )
        return with_states_in_place(loop, self.buffers, self.kernels.shared)

    def lower_branches(self, node: Node) -> Branch:
        """Every body writes its results to the buffers of the node's outputs."""
        outer = [self.buffer_of[root_of(tensor).key] for tensor in node.inputs]
        outputs = [self.buffer_of[Tensor(node, n).key] for n in range(len(node.types))]
        bodies: list[tuple[Step, ...]] = []
        for branch in node.attrs["branches"]:
            inner = _Lowering(branch, self.size_names, self)
            for tensor, name in zip(branch.inputs, outer[1:], strict=True):
                inner.buffer_of[tensor.key] = name
            inner.given_results = outputs
            inner.lower_graph("temporary")
            bodies.append(tuple(inner.steps))
        comment = node.attrs["branches"][-1].name
        return Branch(outer[0], tuple(bodies), tuple(outputs), node.sources, comment)

    def call(self, draft: Draft, comment: str) -> tuple[Kernel, Kernel]:
        """Append a call of the draft's kernel; the kernel, and the one that is called for it."""
        kernel = schedule(draft, f"k{len(self.kernels)}", comment)
        arguments = tuple(draft.arguments[p.name] for p in kernel.parameters)
        return kernel, self.add_call(kernel, arguments, draft.sizes)

    def add_call(
        self, kernel: Kernel, arguments: tuple[str, ...], sizes: dict[str, Size]
    ) -> Kernel:
        """Append a call; the kernel that is called."""
        call = self.shared_call(kernel, arguments, sizes)
        self.steps.append(call)
        return call.kernel

    def shared_call(
        self, kernel: Kernel, arguments: tuple[str, ...], sizes: dict[str, Size]
    ) -> KernelCall:
        """A call of the kernel, or of an earlier one that is equal: that is not emitted again."""
        shared = self.kernels.shared(kernel)
        values = tuple(sizes[name] if name in sizes else Dim.symbol(name) for name in kernel.sizes)
        return KernelCall(shared, arguments, values, kernel.sources, kernel.comment)
