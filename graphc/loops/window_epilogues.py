"""What is computed of a window product alone is computed with it.

    t = window_product(left, right)        out = relu(window_product(left, right) + b)
    out = relu(t + b)                 ->   stored once, while the sums are in registers

The kernel that reads t must be elementwise in t: loops around Let and Store, which read one element
of t in each iteration and every element once. Its loops may have another order and another cut than
the axes of t, as after a permutation or a reshape. t itself is not stored: nothing else may read
it. The product moves to where its reader stood.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from graphc.dims import divide
from graphc.ir.lowering import MinimalFiltering
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.epilogues import with_sizes
from graphc.loops.ir import Buffer, For, KernelCall, Let, Parameter, Statement, Step, Store
from graphc.loops.order import uses
from graphc.loops.tidy import map_values, values_of
from graphc.loops.window_product import plan_of
from graphc.scalar.expr import Expr, Index, Load, Local, cost, transform, walk
from graphc.shapes import Dim, Size, size_product, substitute, symbols_of

MOST = 24  # cost of what is written out behind every sum of a block; dearer in loops alone
TILE_BYTES = 1 << 16  # of sums kept until a row is complete


def with_epilogues(
    steps: Sequence[Step],
    buffers: dict[str, Buffer],
    products: Mapping[str, Node],
    call: "Callable[[Node, Epilogue, KernelCall, KernelCall], KernelCall]",
) -> list[Step]:
    """The steps, with readers of window products as epilogues of these.

    products: the nodes of window products by the buffers of their results. call: of the kernel of
    a product with an epilogue, in place of the calls of the product and of the reader.
    """
    if not products:
        return list(steps)
    readers = Counter(name for step in steps for name in uses(step)[0])
    made: dict[str, tuple[int, KernelCall]] = {}
    found: list[Step | None] = list(steps)
    for position, step in enumerate(steps):
        if not isinstance(step, KernelCall):
            continue
        read, written = uses(step)
        name = next((one for one in reversed(read) if one in made), None)
        if name is not None and readers[name] == 1 and buffers[name].role == "temporary":
            place, product = made[name]
            epilogue = epilogue_of(step, name, products[name])
            if epilogue is not None:
                found[place] = None
                found[position] = call(products[name], epilogue, product, step)
                del buffers[name]
        made |= {one: (position, step) for one in written if one in products}
    return [step for step in found if step is not None]


class Epilogue:
    """A kernel that reads a window product, as statements for one element of the product.

    See `window_product.Epilogue`. arguments: the buffers of the parameters.
    """

    def __init__(
        self,
        reader: "_Reader",
        axes: Mapping[str, Sequence[tuple[int, Size]]],
        in_tile: bool,
    ) -> None:
        self.reader = reader
        self.axes = axes
        self.in_tile = in_tile
        self.parameters, self.arguments = reader.others()
        self.symbols = reader.symbols
        self.copies = 0

    def at(self, index: tuple[Size, ...], value: Expr) -> list[Statement]:
        """What the kernel does with the element of the product at an index, which is `value`."""
        here: dict[str, Size] = dict(self.reader.bound)
        for axis, terms in self.axes.items():
            here[axis] = sum((index[place] * step for place, step in terms), start=0)
        number, names = self.copies, self.reader.names
        self.copies += 1

        def leaf(expr: Expr) -> Expr | None:
            match expr:
                case Index(size):
                    return Index(with_sizes(size, here))
                case Local(name, dtype):
                    return Local(f"{name}.{number}", dtype)
                case Load(buffer, place, dtype):
                    if buffer == self.reader.own.name:
                        return value
                    return Load(names[buffer], tuple(transform(p, leaf) for p in place), dtype)
            return None

        found: list[Statement] = []
        for item in self.reader.body:
            moved = map_values(item, lambda one: transform(one, leaf))
            if isinstance(moved, Let):
                moved = replace(moved, name=f"{moved.name}.{number}")
            elif isinstance(moved, Store):
                moved = replace(moved, buffer=names[moved.buffer])
            found.append(moved)
        return found


def epilogue_of(call: KernelCall, name: str, node: Node) -> Epilogue | None:
    """The kernel that reads buffer `name`, as an epilogue of the product that fills it."""
    order = _order_of(node)
    reader = _Reader.of(call, name)
    if reader is None or order is None:
        return None
    shape = Tensor(node).shape
    axes = reader.axes_of(shape)
    if axes is None:
        return None
    if reader.step_along(axes, order.lanes) == {1}:
        if isinstance(order.at_once, int) and reader.cost * max(order.at_once, 1) > MOST * 6:
            return None
        return Epilogue(reader, axes, in_tile=False)
    tile = size_product((shape[order.row], shape[order.lanes], Tensor(node).dtype.itemsize))
    if reader.step_along(axes, order.row) != {1} or (isinstance(tile, int) and tile > TILE_BYTES):
        return None
    return Epilogue(reader, axes, in_tile=True)


class _Order(NamedTuple):
    """The axes of a result that its lanes and the loop around them run along, and how many of its
    elements are there at once."""

    lanes: int
    row: int
    at_once: Size


def _order_of(node: Node) -> _Order | None:
    """None: what is done with the result cannot be done inside the product."""
    if isinstance(node.op.lower, MinimalFiltering):
        return _Order(3, 2, 1)
    plan, _ = plan_of(node)
    if plan.lanes is None or plan.outer or not plan.rows:
        return None
    result = node.attrs["subscripts"].split("->")[1].replace(",", "")
    blocks = size_product(tuple(plan.blocks.values()))
    return _Order(result.index(plan.lanes), result.index(plan.rows[-1]), blocks)


class _Reader:
    """A kernel of loops around Let and Store; own: the parameter for the result of a product."""

    def __init__(
        self, call: KernelCall, own: Parameter, loops: Sequence[For], body: Sequence[Statement]
    ) -> None:
        self.call, self.own, self.body = call, own, body
        self.bound = dict(zip(call.kernel.sizes, call.sizes, strict=True))
        self.extents = {loop.axis: self.with_sizes(loop.extent) for loop in loops}
        self.names = {p.name: f"{p.name}_" for p in call.kernel.parameters}
        self.shapes = {p.name: p.shape for p in call.kernel.parameters}
        self.symbols = frozenset(symbol for size in call.sizes for symbol in symbols_of(size))
        self.cost = sum(map(cost, values_of(body)))

    @staticmethod
    def of(call: KernelCall, name: str) -> "_Reader | None":
        """The kernel, if it is of this form and only reads the buffer."""
        pairs = zip(call.kernel.parameters, call.arguments, strict=True)
        own = [parameter for parameter, argument in pairs if argument == name]
        loops: list[For] = []
        body: list[Statement] = []
        inner: Sequence[Statement] = call.kernel.body
        while inner and isinstance(last := inner[-1], For) and last.kind != "serial":
            body += inner[:-1]
            loops.append(last)
            inner = last.body
        body += inner
        simple = all(
            isinstance(item, Let) or (isinstance(item, Store) and not item.accumulate)
            for item in body
        )
        if len(own) != 1 or own[0].written or not loops or not simple:
            return None
        if len({loop.axis for loop in loops}) < len(loops):
            return None
        return _Reader(call, own[0], loops, body)

    def with_sizes(self, size: Size) -> Size:
        return with_sizes(size, self.bound)

    def others(self) -> tuple[tuple[Parameter, ...], tuple[str, ...]]:
        """The other parameters, written ones first, and the buffers that they get."""
        pairs = [
            (parameter, argument)
            for parameter, argument in zip(
                self.call.kernel.parameters, self.call.arguments, strict=True
            )
            if parameter is not self.own
        ]
        pairs.sort(key=lambda pair: not pair[0].written)
        parameters = tuple(
            Parameter(
                self.names[one.name], one.dtype, tuple(map(self.with_sizes, one.shape)), one.written
            )
            for one, _ in pairs
        )
        return parameters, tuple(argument for _, argument in pairs)

    def position(self, buffer: str, index: Sequence[Expr]) -> Size | None:
        """Of an element in its array, in the sizes of the program."""
        total: Size = 0
        shape = self.shapes[buffer]
        for number, item in enumerate(index):
            if not isinstance(item, Index):
                return None
            total = total + item.size * size_product(shape[number + 1 :])
        return self.with_sizes(total)

    def axes_of(self, shape: Sequence[Size]) -> dict[str, list[tuple[int, Size]]] | None:
        """Of each loop, which axes of the product it runs along, and how many iterations a step
        along each of them is; None unless each element of the product is read at one point."""
        places = {
            self.position(part.buffer, part.index)
            for value in values_of(self.body)
            for part in walk(value)
            if isinstance(part, Load) and part.buffer == self.own.name
        }
        if len(places) != 1 or (place := places.pop()) is None:
            return None
        if size_product(shape) == 0:
            return None
        pending = {axis: size for axis, size in self.extents.items() if size != 1}
        steps: dict[str, Size] = {}
        rest = place
        for axis in pending:
            step = 0 if isinstance(place, int) else place.coefficient(axis)
            if step is None or symbols_of(step) & pending.keys():
                return None
            steps[axis] = step
            rest = rest - step * Dim.symbol(axis)
        if rest != 0:
            return None
        found: dict[str, list[tuple[int, Size]]] = {axis: [] for axis in self.extents}
        one: Size = 1
        apart = one  # in the product
        number = len(shape)
        while pending:
            axis = next((name for name in pending if steps[name] == apart), "")
            if not axis:
                return None
            extent, inside = pending.pop(axis), one
            while inside != extent:
                number -= 1
                if number < 0:
                    return None
                if shape[number] != 1:
                    found[axis].append((number, inside))
                inside = inside * shape[number]
                if inside != extent and divide(extent, inside)[1] != 0:
                    return None
            apart = apart * extent
        return found if apart == size_product(shape) else None

    def step_along(
        self, axes: Mapping[str, Sequence[tuple[int, Size]]], number: int
    ) -> set[Size | None]:
        """How far apart the elements are that neighbours along an axis of the product write."""
        here: dict[str, Size] = {}
        for axis, terms in axes.items():
            steps = [step for place, step in terms if place == number]
            here[axis] = Dim.symbol(axis) + (steps[0] if steps else 0)
        found: set[Size | None] = set()
        for item in self.body:
            if isinstance(item, Store):
                place = self.position(item.buffer, item.index)
                if place is None:
                    return {None}
                found.add(substitute(place, here) - place if isinstance(place, Dim) else 0)
        return found
