"""Steps that are not fused groups: contractions, concatenation piece by piece, scatters, Python."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from graphc.ir.indices import picked_entry, position_of
from graphc.ir.lowering import Elementwise, routine_sizes
from graphc.ir.lowering import HostCall as HostCallForm
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Inference, OpDef
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.lapack import ROUTINES, Operand
from graphc.late_imports import late_module
from graphc.loops.draft import Draft, Naming
from graphc.loops.groups import Barrier, Group, Member, Partition, Placement
from graphc.loops.ir import (
    Contraction,
    For,
    HostCall,
    Kernel,
    Lapack,
    LoopKind,
    Parameter,
    Statement,
    Store,
)
from graphc.loops.kernels import NEIGHBOURS, KernelBuilder
from graphc.loops.values import (
    Key,
    axis_extents,
    core,
    domain_index,
    number_everywhere,
    root_of,
)
from graphc.loops.views import (
    Matrices,
    Views,
    dense_matrices,
    dense_operand,
    joined_rows,
    merges,
)
from graphc.scalar.expr import Expr, Index, Load, add, constant, maximum, minimum, mul
from graphc.shapes import Shape, Size, size_product, symbols_of

# --- contraction -----------------------------------------------------------------------------


def contraction_step(
    node: Node, operands: Views, destination: Matrices | None, buffers: Mapping[Key, str]
) -> Contraction:
    """The matmul as one batched matrix product. operands: those that are read through views.
    destination: where it writes, if not matrix after matrix."""
    left, right = node.inputs
    output = Tensor(node)
    a = operands.get((id(node), 0)) or dense_operand(left, True, node.attrs["transpose_a"])
    b = operands.get((id(node), 1)) or dense_operand(right, False, node.attrs["transpose_b"])
    m, k = (a.columns, a.rows) if a.transposed else (a.rows, a.columns)
    n = b.rows if b.transposed else b.columns
    dtypes = (left.dtype, right.dtype)
    batch = output.shape[: output.ndim - (left.ndim > 1) - (right.ndim > 1)]
    out = destination or dense_matrices(output, batch, m, n)
    if out.transposed:  # (a @ b).T = b.T @ a.T
        a, b = b.turned, a.turned
        m, n, dtypes = n, m, dtypes[::-1]
    elif batch and merges(node):
        tall = joined_rows(out), joined_rows(a)
        if tall[0] is not None and tall[1] is not None:
            (out, a), batch = (tall[0], tall[1]), ()
            m = a.rows
    three = (out, a, b)
    rows = (out.row, a.row, b.row)
    offsets = (out.offset, a.offset, b.offset)
    names = [buffers[one.base.key] for one in three]
    return Contraction(
        names[0],
        names[1],
        names[2],
        output.dtype,
        m,
        n,
        k,
        a.transposed,
        b.transposed,
        batch,
        (_strides(out, batch), _strides(a, batch), _strides(b, batch)),
        node.sources,
        f"{names[0]} = {names[1]}{'.T' if a.transposed else ''} @ "
        f"{names[2]}{'.T' if b.transposed else ''}",
        None if all(one.row == one.columns for one in three) else rows,
        None if offsets == (0, 0, 0) else offsets,
        None if dtypes == (output.dtype, output.dtype) else dtypes,
    )


def _strides(operand: Matrices, batch: Shape) -> tuple[Size, ...]:
    """Distance in elements per batch axis; 0 where the operand is repeated."""
    missing = len(batch) - len(operand.batch)
    sizes = (1,) * missing + operand.batch
    strides = (0,) * missing + operand.strides
    return tuple([0 if size == 1 else stride for size, stride in zip(sizes, strides, strict=True)])


# --- host calls ------------------------------------------------------------------------------


def host_call_step(node: Node, buffers: Mapping[Key, str], comment: str) -> HostCall:
    """The op's reference on whole arrays."""
    lower = node.op.lower
    assert isinstance(lower, HostCallForm)
    if lower.module is not None:
        late_module(lower.module)
    outputs = [Tensor(node, number) for number in range(len(node.types))]
    return HostCall(
        node.op.reference,
        node.op.name,
        node.attrs,
        tuple((buffers[root_of(tensor).key], tensor.shape) for tensor in node.inputs),
        tuple((buffers[tensor.key], tensor.shape) for tensor in outputs),
        lower.owned,
        "effect" in node.op.traits,
        node.sources,
        comment,
        lower.jitted,
    )


# --- LAPACK ----------------------------------------------------------------------------------


def lapack_step(
    node: Node,
    routine: str,
    buffers: Mapping[Key, str],
    workspace: Callable[[Operand, Shape], str],
    comment: str,
) -> Lapack:
    """The routine over all matrices. workspace: makes a buffer."""
    table = ROUTINES[routine]
    batch, given = routine_sizes(table, [t.type for t in node.inputs], node.attrs)
    sizes = table.complete(given)
    return Lapack(
        routine,
        tuple(buffers[root_of(tensor).key] for tensor in node.inputs),
        tuple(buffers[Tensor(node, n).key] for n in range(len(node.types))),
        tuple(
            workspace(operand, tuple(sizes[name] for name in operand.shape))
            for operand in table.workspace
        ),
        node.types[0].dtype,
        size_product(batch),
        tuple((name, sizes[name]) for name in table.size_names),
        tuple((name, node.attrs[name]) for name in table.options),
        node.attrs["caller"],
        bool(batch),
        node.sources,
        comment,
    )


# --- concatenation ---------------------------------------------------------------------------


def _same_type(call: Inference) -> TensorType:
    return call.types[0]


PIECE = OpDef(
    "piece",
    infer=_same_type,
    reference=lambda attrs, array: array,
    lower=Elementwise(lambda context, element: element),
)


def piece_drafts(barrier: Barrier, partition: Partition, naming: Naming) -> Iterator[Draft]:
    """A draft per input that is not empty and that no other kernel puts in place.

    Offsets are run-time values, so that inputs of one shape share one kernel. A few inputs with
    one element each along the last axis are interleaved by one kernel, which stores neighbours.
    """
    node = barrier.node
    output, axis = Tensor(node), node.attrs["axis"]
    whole, around = partition.whole_of(output)
    # Something must write the output, even if there is nothing to write.
    all_empty = all(tensor.shape[axis] == 0 for tensor in node.inputs)
    together = len(node.inputs) <= NEIGHBOURS and axis == output.ndim - 1
    together = together and all(tensor.shape[axis] == 1 for tensor in node.inputs)
    offset: Size = 0
    placed: list[tuple[Tensor, Placement]] = []
    for number, tensor in enumerate(node.inputs):
        size = tensor.shape[axis]
        if number in barrier.pieces and (size != 0 or all_empty):
            with source_scope(node.sources):
                places = (*around, (axis, offset))
                placed.append((PIECE(tensor), Placement(whole, tensor.shape, places)))
        offset = offset + size
    for pieces in [placed] if together and placed else [[one] for one in placed]:
        group = Group(barrier.number, core(pieces[0][1].piece), partition.names)
        own = Partition(partition.names, partition.lowerings, place=partition.place)
        own.stored = partition.stored | {piece.key for piece, _ in pieces}
        own.placements = {piece.key: placement for piece, placement in pieces}
        for piece, _ in pieces:
            group.add(Member(piece, "full", []))
        yield KernelBuilder(group, own, naming).build()


# --- scatter ---------------------------------------------------------------------------------


def scatter_add_kernel(
    node: Node, names: Sequence[str], buffers: Mapping[Key, str]
) -> tuple[Kernel, tuple[str, ...]]:
    """Zeros, then `out[.., index[j], ..] += values[.., j, ..]` in the order of j.

    attrs: axis (of the output), size. values have the output's shape with the indexed axis
    replaced by the shape of the indices.
    """
    indices, values = node.inputs
    output, axis = Tensor(node), node.attrs["axis"]
    zero = constant(0, output.dtype)
    index = domain_index(output.shape, names)
    fill = _nest(
        [Store("out", index, zero, False, node.sources)],
        axis_extents(output.shape, names),
        "parallel",
        "vector",
    )
    place = domain_index(values.shape, names)
    count = indices.ndim
    picked = Load("indices", place[axis : axis + count], indices.dtype)
    position = position_of(picked, node.attrs["size"])
    target = (*place[:axis], position, *place[axis + count :])
    number = number_everywhere(values)
    value: Expr = Load("values", place, values.dtype) if number is None else number
    scatter = _nest(
        [Store("out", target, value, True, node.sources)],
        axis_extents(values.shape, names),
        "serial",
        "vector" if values.ndim > axis + count and values.shape[-1] != 1 else "serial",
    )
    parameters = (
        Parameter("out", output.dtype, output.shape, True),
        Parameter("indices", indices.dtype, indices.shape),
        *([Parameter("values", values.dtype, values.shape)] if number is None else []),
    )
    symbols: set[str] = set()
    for size_of in (*output.shape, *values.shape, *indices.shape, node.attrs["size"]):
        symbols |= symbols_of(size_of)
    kernel = Kernel(
        "scatter_add",
        parameters,
        tuple(sorted(symbols)),
        (*fill, *scatter),
        node.sources,
        node.op.name,
    )
    read = (indices,) if number is not None else (indices, values)
    return kernel, tuple(buffers[key] for key in (output.key, *(root_of(x).key for x in read)))


def scatter_kernel(
    node: Node, names: Sequence[str], buffers: Mapping[Key, str]
) -> tuple[Kernel, tuple[str, ...]]:
    """x, then `out[i[j], ...] = mode(out[i[j], ...], values[j, ...])` in the order of j.

    attrs: axes (of x), mode. The indices broadcast against each other.
    """
    x, values, *indices = node.inputs
    output, axes, mode = Tensor(node), node.attrs["axes"], node.attrs["mode"]
    parameters = [Parameter("out", output.dtype, output.shape, True)]
    arguments = [buffers[output.key]]

    def held(name: str, tensor: Tensor) -> str:
        parameters.append(Parameter(name, tensor.dtype, tensor.shape))
        arguments.append(buffers[root_of(tensor).key])
        return name

    index = domain_index(output.shape, names)
    number = number_everywhere(x)
    start = Load(held("x", x), index, x.dtype) if number is None else number
    body: list[Statement] = [Store("out", index, start, False, node.sources)]
    fill = _nest(body, axis_extents(output.shape, names), "parallel", "vector")
    place = domain_index(values.shape, names)
    count = max(tensor.ndim for tensor in indices)
    own = place[axes[0] : axes[0] + count]
    positions = []
    for number_of, (axis, tensor) in enumerate(zip(axes, indices, strict=True)):
        trailing = zip(tensor.shape, own[count - tensor.ndim :], strict=True)
        picked = tuple(Index(0) if size == 1 else item for size, item in trailing)
        load = Load(held(f"indices{number_of}", tensor), picked, tensor.dtype)
        positions.append(position_of(load, x.shape[axis]))
    target = picked_entry(place, axes, count, positions)
    same = number_everywhere(values)
    value: Expr = Load(held("values", values), place, values.dtype) if same is None else same
    if mode != "set":
        value = _COMBINE[mode](Load("out", target, output.dtype), value)
    rows = values.ndim > axes[0] + count and values.shape[-1] != 1
    scatter = _nest(
        [Store("out", target, value, False, node.sources)],
        axis_extents(values.shape, names),
        "serial",
        "vector" if rows else "serial",
    )
    symbols = {name for item in parameters for size in item.shape for name in symbols_of(size)}
    kernel = Kernel(
        "scatter",
        tuple(parameters),
        tuple(sorted(symbols)),
        (*fill, *scatter),
        node.sources,
        f"{node.op.name} {mode}",
    )
    return kernel, tuple(arguments)


_COMBINE = {"add": add, "multiply": mul, "min": minimum, "max": maximum}


def _nest(
    body: list[Statement], extents: dict[str, Size], kind: LoopKind, last: LoopKind
) -> list[Statement]:
    for number, (axis, extent) in enumerate(reversed(extents.items())):
        chosen = last if number == 0 else kind
        body = [For(axis, extent, chosen, tuple(body))]
    return body
