"""Loops: what need not be in them leaves them, what is not used goes, equal loops become one.

    merge        the loop of the value and the loop that saves its carries for the gradient are one
    hoist        x_t @ W = (xs @ W)_t: one product over the whole sequence before the loop
    postpone     total + a_t.T @ b_t over all t = as.T @ bs: one product after the loop; also sums
                 over rows, and outputs a_t @ W

Bodies are graphs: the whole pipeline runs on them as well.
"""

from collections.abc import Callable, Sequence
from typing import Any

from graphc.dtypes import is_floating
from graphc.ir.graph import Graph, counted_size
from graphc.ir.leaf import PLACEHOLDER, scalar_value
from graphc.ir.lowering import Contraction, Reduction, Scan, While
from graphc.ir.node import Attributes, Node, TensorType
from graphc.ir.opdef import OpDef
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order, users_of
from graphc.ops.loop_derivatives import condition_of
from graphc.passes.nested import Key, rebuild
from graphc.records import dataclass
from graphc.shapes import symbols_of


def is_loop(node: Node) -> bool:
    return isinstance(node.op.lower, Scan | While)


TAKEN_APART = {"body", "condition", "carries", "sequences"}


@dataclass
class Body:
    """A loop taken apart: body inputs with the outer values they stand for, and its outputs."""

    op: OpDef
    name: str
    carries: list[tuple[Tensor, Tensor, Tensor]]  # (state, initial, following)
    sequences: list[tuple[Tensor, Tensor]]  # (element, sequence)
    shared: list[tuple[Tensor, Tensor]]  # (inner, outer)
    outputs: list[Tensor]
    test: Tensor | None  # whether another step follows, of a loop that counts its steps
    attrs: Attributes  # all that is not said above

    @staticmethod
    def of(node: Node, inputs: Sequence[Tensor]) -> "Body":
        attrs = node.attrs
        graph: Graph = attrs["body"]
        count, until = attrs["carries"], attrs["carries"] + attrs["sequences"]
        pairs = list(zip(graph.inputs, inputs, strict=True))
        return Body(
            node.op,
            graph.name,
            [
                (state, initial, following)
                for (state, initial), following in zip(pairs[:count], graph.outputs, strict=False)
            ],
            pairs[count:until],
            pairs[until:],
            list(graph.outputs[count:]),
            condition_of(attrs) if "condition" in attrs else None,
            {name: attrs[name] for name in attrs.keys() - TAKEN_APART},
        )

    def build(self) -> tuple[Tensor, ...]:
        """The loop as a new node; final carries, then outputs."""
        inputs = tuple(inner for inner, *_ in (*self.carries, *self.sequences, *self.shared))
        graph = Graph(
            inputs,
            (*(following for _, _, following in self.carries), *self.outputs),
            name=self.name,
        )
        graphs = {"body": graph}
        if self.test is not None:
            graphs["condition"] = Graph(inputs, (self.test,), name="condition")
        return self.op.apply(
            [
                *(initial for _, initial, _ in self.carries),
                *(sequence for _, sequence in self.sequences),
                *(outer for _, outer in self.shared),
            ],
            {
                **self.attrs,
                **graphs,
                "carries": len(self.carries),
                "sequences": len(self.sequences),
            },
        )

    def stack(self, tensor: Tensor) -> int:
        """The number of the output that stacks `tensor`; added if it is not there."""
        for number, output in enumerate(self.outputs):
            if output.key == tensor.key:
                return number
        self.outputs.append(tensor)
        return len(self.outputs) - 1


# --- merge -------------------------------------------------------------------------------------


def merge(graph: Graph) -> Graph:
    """Loops over the same values that hand on the same carries become one with all outputs."""
    groups: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        if is_loop(node):
            groups.setdefault(_identity(node), []).append(node)
    merged = {id(node): nodes for nodes in groups.values() if len(nodes) > 1 for node in nodes}
    if not merged:
        return graph
    whole: dict[int, tuple[Body, tuple[Tensor, ...]]] = {}

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        nodes = merged.get(id(node))
        if nodes is None:
            return None
        first = id(nodes[0])
        if first not in whole:
            union = Body.of(node, inputs)
            for other in nodes:
                for output in other.attrs["body"].outputs[other.attrs["carries"] :]:
                    union.stack(output)
            whole[first] = (union, union.build())
        union, values = whole[first]
        count = len(union.carries)
        own = node.attrs["body"].outputs[count:]
        return [*values[:count], *(values[count + union.stack(output)] for output in own)]

    return rebuild(graph, replace)


def _identity(node: Node) -> Any:
    attrs = node.attrs
    body: Graph = attrs["body"]
    return (
        tuple(tensor.key for tensor in node.inputs),
        tuple(tensor.key for tensor in body.inputs),
        tuple(tensor.key for tensor in body.outputs[: attrs["carries"]]),
        condition_of(attrs).key if "condition" in attrs else None,
        *((name, attrs[name]) for name in sorted(attrs.keys() - TAKEN_APART)),
    )


# --- hoist and postpone ------------------------------------------------------------------------


def move(graph: Graph) -> Graph:
    """Products of sequences leave the loops, to before or after them."""

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        if not isinstance(node.op.lower, Scan) or node.attrs["local"]:
            return None
        body = Body.of(node, inputs)
        changed = hoist(body)
        own = list(body.outputs)
        after = postpone(body)
        if not changed and not after:
            return None
        order = {state.key: n for n, (state, _, _) in enumerate(body.carries)}
        values = body.build()
        count = len(body.carries)
        stacked = values[count:]
        results: list[Tensor] = []
        for state, initial in _states(node, inputs):
            postponed = after.get(state.key)
            if postponed is None:
                results.append(values[order[state.key]])
            else:
                total = postponed(stacked)
                results.append(total if is_zero(initial) else BUILDER.add(initial, total))
        for output in own:
            later = after.get(output.key)
            results.append(later(stacked) if later else stacked[body.stack(output)])
        return results

    return rebuild(graph, replace)


def is_zero(tensor: Tensor) -> bool:
    """Zeros everywhere; a sum that starts from them is never -0.0."""
    uniform = tensor.node.inputs[0] if tensor.op.name == "broadcast_to" else tensor
    return bool(scalar_value(uniform) == 0)


def _states(node: Node, inputs: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    count = node.attrs["carries"]
    return list(zip(node.attrs["body"].inputs[:count], inputs, strict=False))


def hoist(body: Body) -> bool:
    """x_t @ W = (xs @ W)_t"""
    sequences = {inner.key: outer for inner, outer in body.sequences}
    shared = {inner.key: outer for inner, outer in body.shared}
    results = [*(following for _, _, following in body.carries), *body.outputs]
    replaced: dict[int, Tensor] = {}
    for node in topological_order(results):
        if not isinstance(node.op.lower, Contraction) or not is_floating(node.types[0].dtype):
            continue
        left, right = node.inputs
        fits = left.key in sequences and right.key in shared and right.ndim == 2
        if not fits or left.ndim == 0 or node.attrs["transpose_a"]:
            continue
        whole = node.op(sequences[left.key], shared[right.key], **node.attrs)
        element = PLACEHOLDER(
            name=f"product{len(body.sequences)}", type=TensorType(whole.dtype, whole.shape[1:])
        )
        body.sequences.append((element, whole))
        replaced[id(node)] = element
    if replaced:
        new = _substitute(results, replaced)
        count = len(body.carries)
        body.carries = [(s, i, f) for (s, i, _), f in zip(body.carries, new[:count], strict=True)]
        body.outputs = new[count:]
    return bool(replaced)


def _substitute(results: list[Tensor], replaced: dict[int, Tensor]) -> list[Tensor]:
    """The results with single-output nodes replaced."""
    made: dict[int, Tensor | Node] = dict(replaced)

    def new(tensor: Tensor) -> Tensor:
        value = made.get(id(tensor.node))
        if value is None:
            return tensor
        if isinstance(value, Tensor):
            return value
        return Tensor(value, tensor.index, tensor._name)

    for node in topological_order(results):
        if id(node) in made:
            continue
        inputs = tuple(new(tensor) for tensor in node.inputs)
        if any(one is not old for one, old in zip(inputs, node.inputs, strict=True)):
            made[id(node)] = Node(node.op, inputs, node.attrs, node.types, node.sources)
    return [new(tensor) for tensor in results]


Later = Callable[[Sequence[Tensor]], Tensor]


def postpone(body: Body) -> dict[Key, Later]:
    """What is computed after the loop: by the state of a dropped carry, or by output."""
    results = [*(following for _, _, following in body.carries), *body.outputs]
    order = topological_order(results)
    users = users_of(order)
    sequences = {inner.key: outer for inner, outer in body.sequences}
    shared = {inner.key: outer for inner, outer in body.shared}
    counted = {symbol for node in order if (symbol := counted_size(node)) is not None}
    after: dict[Key, Later] = {}
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    stacked_keys: set[Key] = set()

    def whole(tensor: Tensor) -> Later:
        """All steps' values of a body tensor, stacked."""
        if tensor.key in sequences:
            return lambda stacked: sequences[tensor.key]
        body.stack(tensor)
        stacked_keys.add(tensor.key)
        # Outputs are numbered when the loop is built, after some were dropped.
        return lambda stacked: stacked[body.stack(tensor)]

    def may_stack(value: Tensor) -> bool:
        """Whether the operands have the same shape in every step."""
        sizes = [size for tensor in value.node.inputs for size in tensor.shape]
        return counted.isdisjoint(symbol for size in sizes for symbol in symbols_of(size))

    for state, initial, following in body.carries:
        term = _added(state, following)
        alone = len(users.get(id(state.node), ())) == 1
        fits = term is not None and alone and may_stack(term)
        total = _total(term, whole) if fits and term is not None else None
        if total is None:
            kept.append((state, initial, following))
        else:
            after[state.key] = total
    body.carries = kept
    for output in list(body.outputs):
        node = output.node
        product = isinstance(node.op.lower, Contraction) and is_floating(output.dtype)
        if not product or node.attrs["transpose_a"] or users.get(id(node)) or not may_stack(output):
            continue
        left, right = node.inputs
        if right.key in shared and right.ndim == 2 and left.ndim >= 1 and left.key not in shared:
            after[output.key] = _product(node, whole(left), shared[right.key])
    body.outputs = [one for one in body.outputs if one.key not in after or one.key in stacked_keys]
    return after


def _product(node: Node, values: Later, outer: Tensor) -> Later:
    return lambda stacked: node.op(values(stacked), outer, **node.attrs)


def _added(state: Tensor, following: Tensor) -> Tensor | None:
    """The term of following = state + term."""
    if following.op.name != "add":
        return None
    left, right = following.node.inputs
    if left.key == state.key and right.key != state.key:
        return right
    return left if right.key == state.key else None


def _total(term: Tensor, whole: Callable[[Tensor], Later]) -> Later | None:
    """The sum of a term over all steps, from the stacked values of what it is made of."""
    node = term.node
    if isinstance(node.op.lower, Contraction) and is_floating(term.dtype):
        left, right = node.inputs
        flags = (node.attrs["transpose_a"], node.attrs["transpose_b"])
        if left.ndim == 2 and right.ndim == 2 and flags == (True, False):
            a, c = whole(left), whole(right)

            def product(stacked: Sequence[Tensor]) -> Tensor:
                one, other = a(stacked), c(stacked)
                rows = one.shape[0] * one.shape[1]
                return node.op(
                    BUILDER.reshape(one, (rows, one.shape[2])),
                    BUILDER.reshape(other, (rows, other.shape[2])),
                    **node.attrs,
                )

            return product
    if isinstance(node.op.lower, Reduction) and node.op.lower.combine == "add":
        source = node.inputs[0]
        if is_floating(source.dtype) and not node.attrs["keepdims"]:
            values = whole(source)
            axes = (0, *(axis + 1 for axis in node.attrs["axes"]))
            return lambda stacked: BUILDER.sum(values(stacked), axis=axes)
    return None
