"""Of an output of which only the last row is read, only the last row is kept.

    scan(step, init, xs)[1][-1]: the output becomes a carry that no step reads

"Last" is the row that the loop writes last: row 0 of a loop that runs backwards. Without any step
there is no such row; the slice has asked for one, so the call has been refused before.
"""

from collections.abc import Sequence

import numpy as np

from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER, constant
from graphc.ir.lowering import Scan
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.passes.loops import Body
from graphc.passes.nested import Key


def keep_last_rows(graph: Graph) -> Graph:
    """The graph with such outputs as final carries of their loops."""
    loops = [node for node in graph.nodes if isinstance(node.op.lower, Scan)]
    if not loops:
        return graph
    wanted = _outputs_of_which_the_last_is_read(graph, loops)
    if not wanted:
        return graph
    made: dict[int, Sequence[Tensor]] = {}
    finals: dict[Key, Tensor] = {}

    def new(tensor: Tensor) -> Tensor:
        values = made.get(id(tensor.node))
        return tensor if values is None else values[tensor.index]

    for node in graph.nodes:
        inputs = [new(tensor) for tensor in node.inputs]
        with source_scope(node.sources):
            if id(node) in wanted:
                made[id(node)] = _with_last_rows(node, inputs, wanted[id(node)], finals)
            elif node.op.name == "slice" and node.inputs[0].key in finals:
                row = BUILDER.expand_dims(finals[node.inputs[0].key], axis=0)
                starts = (0, *node.attrs["starts"][1:])
                made[id(node)] = node.op.apply([row], {**node.attrs, "starts": starts})
            elif any(one is not old for one, old in zip(inputs, node.inputs, strict=True)):
                fresh = Node(node.op, tuple(inputs), node.attrs, node.types, node.sources)
                made[id(node)] = [Tensor(fresh, n) for n in range(len(node.types))]
    return graph.with_results([new(tensor) for tensor in graph.results])


def _outputs_of_which_the_last_is_read(graph: Graph, loops: Sequence[Node]) -> dict[int, list[int]]:
    """For loops (by id) the numbers of such outputs."""
    results = {tensor.key for tensor in graph.results}
    users: dict[Key, list[Node]] = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            users.setdefault(tensor.key, []).append(node)
    found: dict[int, list[int]] = {}
    for node in loops:
        length = node.attrs["length"]
        row = 0 if node.attrs["reverse"] else length - 1
        for number in range(node.attrs["carries"], len(node.types)):
            key = (id(node), number)
            readers = users.get(key, [])
            if readers and key not in results and all(_reads_row(one, row) for one in readers):
                found.setdefault(id(node), []).append(number)
    return found


def _reads_row(node: Node, row: object) -> bool:
    if node.op.name != "slice":
        return False
    return bool(node.attrs["sizes"][0] == 1 and node.attrs["starts"][0] == row)


def _with_last_rows(
    node: Node, inputs: list[Tensor], numbers: list[int], finals: dict[Key, Tensor]
) -> Sequence[Tensor]:
    """The loop with carries for these outputs; their last values go to `finals`."""
    body = Body.of(node, inputs)
    count = len(body.carries)
    for number in numbers:
        output = body.outputs[number - count]
        state = PLACEHOLDER(name="last", type=output.type)
        zero = constant(np.zeros((), output.dtype))
        start = BUILDER.broadcast_to(zero, output.shape)
        body.carries.append((state, start, output))
    made = body.build()
    added = len(body.carries)
    for number, value in zip(numbers, made[count:added], strict=True):
        finals[id(node), number] = value
    return [*made[:count], *made[added:]]
