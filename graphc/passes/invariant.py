"""Work that is the same in every step of a loop is done once, before it.

    for t: h = f(h, exp(w))   =   e = exp(w); for t: h = f(h, e)

What the user writes so is taken out when the loop is built; this pass finds what derivatives and
rewrites bring in. Inner loops come first, so that work may leave several of them. Views, numbers
and what is larger than all it is computed from stay in the loop; so do calls of Python and checks,
which belong where they stand. Nothing leaves a branch: it might not be taken.
"""

from collections.abc import Sequence

from graphc.ir.graph import Graph
from graphc.ir.lowering import Branches, HostCall, IndexMap, Leaf, Pieces, Reinterpret
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.ops.bodies import depends_on, inner_input, is_filled, outer_values, substituted
from graphc.passes.loops import Body, is_loop
from graphc.passes.nested import map_bodies, rebuild
from graphc.shapes import Size, evaluate, size_product, symbols_of

NOMINAL = 128  # what symbolic sizes count as


def hoist_invariant(graph: Graph) -> Graph:
    """The graph with invariant work before its loops, at every depth."""
    graph = map_bodies(graph, lambda body: hoist_invariant(body) if _has_loops(body) else body)

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        if not is_loop(node):
            return None
        body = Body.of(node, inputs)
        return body.build() if _lift(body) else None

    return rebuild(graph, replace)


def _has_loops(graph: Graph) -> bool:
    return any(is_loop(node) or isinstance(node.op.lower, Branches) for node in graph.nodes)


def _lift(body: Body) -> bool:
    """Let the body read what is invariant; whether there was anything."""
    tests = [] if body.test is None else [body.test]
    results = [*(following for _, _, following in body.carries), *body.outputs, *tests]
    order = topological_order(results)
    own = [state for state, _, _ in body.carries] + [inner for inner, _ in body.sequences]
    inside = depends_on(order, own)
    kept = {id(inner.node) for inner, _ in body.shared}
    values = [t for t in outer_values(order, results, inside) if id(t.node) not in kept]
    shared = {inner.key: outer for inner, outer in body.shared}
    lifted = [tensor for tensor in values if _worthwhile(tensor)]
    if not lifted:
        return False
    pairs = [(inner_input(tensor, f"invariant{n}"), tensor) for n, tensor in enumerate(lifted)]
    outer = substituted(lifted, shared)
    new = substituted(results, {tensor.key: inner for inner, tensor in pairs})
    count, until = len(body.carries), len(body.carries) + len(body.outputs)
    body.carries = [(s, i, f) for (s, i, _), f in zip(body.carries, new[:count], strict=True)]
    body.outputs = new[count:until]
    body.test = new[until] if tests else None
    made = [(inner, value) for (inner, _), value in zip(pairs, outer, strict=True)]
    body.shared = [*made, *body.shared]  # an anchor stays the last
    return True


def _worthwhile(tensor: Tensor) -> bool:
    """Whether there is work, its result is no larger than its operands, and it may move."""
    order = topological_order([tensor])
    if any(isinstance(n.op.lower, HostCall) or "transparent" in n.op.traits for n in order):
        return False
    if is_filled(tensor) or all(_is_view(node) for node in order):
        return False
    sizes = [_elements(n.types[0].shape) for n in order if isinstance(n.op.lower, Leaf)]
    return _elements(tensor.shape) <= max(sizes, default=1)


def _is_view(node: Node) -> bool:
    return isinstance(node.op.lower, Leaf | IndexMap | Reinterpret | Pieces)


def _elements(shape: Sequence[Size]) -> int:
    size = size_product(shape)
    return evaluate(size, dict.fromkeys(symbols_of(size), NOMINAL))
