"""Which values are not computed once but by each of their readers, on the fly.

Cheap values are; and values of any cost that are read once, at another place than their own.
"""

from collections.abc import Callable

from graphc.ir.graph import Graph
from graphc.ir.lowering import (
    Elementwise,
    IndexMap,
    MinimalFiltering,
    Pieces,
    Reduction,
    WindowProduct,
)
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.groups import Partition
from graphc.loops.values import Key, core, has_one_element, is_view, root_of
from graphc.records import dataclass
from graphc.shapes import lower_bound, size_product

COST = 4  # additions' worth of work that is rather repeated than stored
HIGHER_COSTS = (50, 250, 1000)  # the same where memory is short; one exponential is 20
SCALAR_COST = 32  # the same for single numbers, which a kernel computes once
READS = 3  # distinct values in memory that an inlined value may read
DEPTH, MOST_DEPTH = 12, 48  # operations on the way to a value; the latter where memory is short


@dataclass(frozen=True, slots=True)
class Inlined:
    """A value that its readers compute on the fly.

    reads: the nodes that it reads in memory; computed: those of them that a group computes.
    linear: elementwise, and runs along all its operands in step.
    """

    work: int
    depth: int
    reads: frozenset[int]
    computed: frozenset[int]
    linear: bool


class Inlining:
    """Decides node by node, inputs first. is_grouped: whether a group computes a value. cost: the
    work that is rather repeated than stored."""

    def __init__(
        self,
        graph: Graph,
        partition: Partition,
        is_grouped: Callable[[Tensor], bool],
        cost: int = COST,
    ) -> None:
        self.partition = partition
        self.is_grouped = is_grouped
        self.inlined: dict[int, Inlined] = {}
        self.viewed = viewed_roots(graph)
        readers = readers_of(graph)
        self.moved = moved_values(graph, readers)
        self.pieces = lone_pieces(graph, readers)
        self.turned = turned_products(graph, readers)
        self.cost = cost
        self.chained = chained_values(graph, readers) if cost > COST else set()

    def admits(self, node: Node) -> bool:
        """Whether readers rather compute the node on the fly; remembers what that costs."""
        tensor = Tensor(node)
        linear = self.is_linear(node)
        if tensor.key in self.pieces or (tensor.key in self.viewed and not linear):
            return False
        if id(node) in self.turned:
            return False
        work, depth = self.partition.lowerings.cost(node, self.partition.names), 1
        reads: frozenset[int] = frozenset()
        computed: frozenset[int] = frozenset()
        for operand in node.inputs:
            root = root_of(operand)
            inner = self.inlined.get(id(root.node))
            if inner is not None:
                work, depth = work + inner.work, max(depth, inner.depth + 1)
                reads, computed = reads | inner.reads, computed | inner.computed
            elif self.partition.lowerings.scalar(root) is None:
                reads |= {id(root.node)}
                if self.is_grouped(root):
                    computed |= {id(root.node)}
        in_chain = linear and id(node) in self.chained
        if depth > (MOST_DEPTH if in_chain else DEPTH) or len(reads) > READS:
            return False
        if id(node) not in self.moved:
            limit = SCALAR_COST if has_one_element(tensor) else COST
            limit = max(limit, self.cost) if in_chain else limit
            # Rather one value in memory than the two that it is made of.
            if work > limit or len(computed) > 1:
                return False
        self.inlined[id(node)] = Inlined(work, depth, reads, computed, linear)
        return True

    def is_linear(self, node: Node) -> bool:
        """Whether the node is elementwise and runs along all its operands in step."""
        if not isinstance(node.op.lower, Elementwise):
            return False
        for operand in node.inputs:
            if has_one_element(operand):
                continue
            inner = self.inlined.get(id(root_of(operand).node))
            if operand.shape != node.types[0].shape or (inner is not None and not inner.linear):
                return False
        return True


# --- facts of a graph ----------------------------------------------------------------------------

Readers = dict[int, list[Node | None]]


def viewed_roots(graph: Graph) -> set[Key]:
    """Values that some reshape reads in an order that its own index does not tell."""
    found: set[Key] = set()
    roots: dict[int, Tensor] = {}  # of views
    for node in graph.nodes:
        if is_view(tensor := Tensor(node)):
            operand = node.inputs[0]
            root = roots[id(node)] = roots.get(id(operand.node), operand)
            if core(root.shape) != core(tensor.shape):
                found.add(root.key)
    return found


def readers_of(graph: Graph) -> Readers:
    """The readers of each node (by id), once for each input; None for the caller."""
    readers: Readers = {id(node): [] for node in graph.nodes}
    for node in graph.nodes:
        for tensor in node.inputs:
            readers[id(tensor.node)].append(node)
    for tensor in graph.results:
        readers[id(tensor.node)].append(None)
    return readers


def chained_values(graph: Graph, readers: Readers) -> set[int]:
    """Elementwise values that elementwise operations alone read, in the same place."""
    return {
        id(node)
        for node in graph.nodes
        if isinstance(node.op.lower, Elementwise)
        and all(
            user is not None
            and isinstance(user.op.lower, Elementwise)
            and user.types[0].shape == node.types[0].shape
            for user in readers[id(node)]
        )
    }


def moves(node: Node) -> bool:
    """Whether the node shows elements of its input in another place."""
    return "view" in node.op.traits and isinstance(node.op.lower, IndexMap)


def moved_values(graph: Graph, readers: Readers) -> set[int]:
    """Values of which a view is read and nothing else, each element at most once.

    Whoever reads the view computes them in their new place, however much they cost.
    """
    found: set[int] = set()
    for node in reversed(graph.nodes):
        if not (isinstance(node.op.lower, Elementwise) or moves(node)):
            continue
        own = readers[id(node)]
        reader = own[0] if len(own) == 1 else None
        if reader is None:
            continue
        shape, seen = node.types[0].shape, reader.types[0].shape
        if moves(reader):
            # Not for more elements than there are: some would be computed again and again.
            spare = lower_bound(size_product(shape) - size_product(seen))
            if spare is not None and spare >= 0:
                found.add(id(node))
        elif id(reader) in found and shape == seen:
            found.add(id(node))
    return found


def lone_pieces(graph: Graph, readers: Readers) -> set[Key]:
    """Elementwise inputs of a concatenation that nothing else reads: computed in their place.

    Also the two parts of complex numbers: what else reads them is likely to join their kernel.
    """
    found: set[Key] = set()
    for node in graph.nodes:
        if isinstance(node.op.lower, Pieces):
            pairs = node.types[0].shape[-1] == 2 and node.attrs["axis"] == node.types[0].ndim - 1
            pairs = pairs and len(node.inputs) == 2
            for tensor in map(root_of, node.inputs):
                lower = tensor.node.op.lower
                alone = len(readers[id(tensor.node)]) == 1
                if isinstance(lower, Elementwise) and (alone or pairs):
                    found.add(tensor.key)
    return found


def turned_products(graph: Graph, readers: Readers) -> set[int]:
    """Window products with another last axis, where sums along that axis are read.

    The product stores itself in that order at little cost (window_epilogues). Sums, such as those
    of a batch norm, would otherwise run across the order in memory, some of them several times.
    """
    products = {
        id(node)
        for node in graph.nodes
        if isinstance(node.op.lower, WindowProduct | MinimalFiltering)
    }
    if not products:
        return products
    summed: set[int] = set()  # what goes into sums, elementwise functions of it included
    for node in reversed(graph.nodes):
        if any(user is not None and _adds(node, user, summed) for user in readers[id(node)]):
            summed.add(id(node))
    return {
        id(node)
        for node in graph.nodes
        if id(node) in summed
        and node.op.name == "permute_dims"
        and node.attrs["axes"][-1] != len(node.attrs["axes"]) - 1
        and id(root_of(node.inputs[0]).node) in products
    }


def _adds(node: Node, user: Node, summed: set[int]) -> bool:
    """Whether the user adds the node up along its last axis, or goes into such sums."""
    if isinstance(user.op.lower, Reduction):
        return len(node.types[0].shape) - 1 in user.attrs["axes"]
    return id(user) in summed and (isinstance(user.op.lower, Elementwise) or is_view(Tensor(user)))
