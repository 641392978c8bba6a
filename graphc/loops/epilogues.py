"""Epilogues: kernels that may run behind a matrix product row by row, while rows are in a cache.

    t = x @ w            step p, a Contraction
    h = tanh(t + b)      step p + 1, a KernelCall whose outermost loop runs along the rows of t

A backend may run such a pair as one: some rows of the product, the kernel on these rows, the next
rows. A kernel that has a loop for each axis of a batch counts as one with a loop over all rows
(`collapse`). The meaning is that of the two steps one after the other. What both touch is alive
during both, and nothing that the kernel writes lies over an operand of the product (memory.plan).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphc.dims import divide
from graphc.loops.collapse import in_one_loop
from graphc.loops.facts import FactsOf
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Contraction,
    For,
    If,
    Kernel,
    KernelCall,
    Let,
    Parameter,
    Statement,
    Step,
)
from graphc.loops.tidy import values_of
from graphc.records import dataclass
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Dim, Size, size_product, substitute


@dataclass(frozen=True, slots=True)
class Epilogue:
    """call: the kernel, in one loop. units: iterations of that loop for each row of the product.

    The rows of a batch are those of all its matrices, one after the other.
    """

    call: KernelCall
    units: Size


class Collapsed:
    """Kernels in one loop, each made once."""

    def __init__(self) -> None:
        self.made: dict[tuple[int, int], tuple[Kernel, Kernel | None]] = {}

    def kernel(self, kernel: Kernel, depth: int) -> Kernel | None:
        key = (id(kernel), depth)
        if key not in self.made:
            self.made[key] = kernel, in_one_loop(kernel, depth)
        return self.made[key][1]


def epilogue_at(
    steps: Sequence[Step], position: int, collapsed: Collapsed | None = None
) -> Epilogue | None:
    """The kernel behind the step at `position`, if that is a product whose rows it follows.

    collapsed: kernels that are known already.
    """
    if position + 1 >= len(steps):
        return None
    product, call = steps[position], steps[position + 1]
    if not isinstance(product, Contraction) or not isinstance(call, KernelCall):
        return None
    if not product.fills_rows:
        return None
    count = size_product(product.batch) * product.m
    call = _in_rows(call, count, collapsed or Collapsed())
    pairs = list(zip(call.kernel.parameters, call.arguments, strict=True))
    seen = [parameter for parameter, name in pairs if name == product.out]
    loop = row_loop(call.kernel.body)
    if len(seen) != 1 or seen[0].written or loop is None:
        return None
    if any(parameter.written and name in (product.a, product.b) for parameter, name in pairs):
        return None
    (parameter,) = seen
    bound = dict(zip(call.kernel.sizes, call.sizes, strict=True))
    rows = RowsOf(call.kernel, bound, parameter, loop, product.n)
    facts = FactsOf()
    for value in values_of(call.kernel.body):
        for buffer, index in facts(value).loads:
            if buffer == parameter.name and not rows.holds(index):
                return None
    whole = size_product([with_sizes(size, bound) for size in parameter.shape])
    if whole != count * product.n or count == 0:
        return None
    units, rest = divide(with_sizes(loop.extent, bound), count)
    if rest != 0 or units == 0 or (rows.is_flat and units != 1):
        return None
    return Epilogue(call, units)


def _in_rows(call: KernelCall, count: Size, collapsed: Collapsed) -> KernelCall:
    """The call with as many of the outermost loops in one as run `count` times together."""
    bound = dict(zip(call.kernel.sizes, call.sizes, strict=True))
    extent: Size = 1
    depth = 0
    body: Sequence[Statement] = call.kernel.body
    while body and isinstance(last := body[-1], For) and last.kind == "parallel":
        extent = extent * with_sizes(last.extent, bound)
        depth += 1
        if extent == count:
            break
        body = last.body
    if depth < 2 or extent != count:
        return call
    kernel = collapsed.kernel(call.kernel, depth)
    return call if kernel is None else replace(call, kernel=kernel)


class RowsOf:
    """What an iteration of a kernel's outermost loop may read of a product's result."""

    def __init__(
        self,
        kernel: Kernel,
        bound: Mapping[str, Size],
        parameter: Parameter,
        loop: For,
        width: Size,
    ) -> None:
        self.bound, self.width = bound, width
        self.own = Dim.symbol(loop.axis)
        # Rows one after the other, seen as one long vector.
        self.is_flat = parameter.shape[:1] != (loop.extent,)
        self.whole = {name for name, sizes in extents_of(loop.body).items() if self._all(sizes)}

    def _all(self, sizes: Sequence[Size]) -> bool:
        return all(with_sizes(size, self.bound) == self.width for size in sizes)

    def holds(self, index: Sequence[Expr]) -> bool:
        """Whether an element with this index lies in the row of the iteration."""
        if not self.is_flat:
            return index[0] == Index(self.own)
        return self.column(index) is not None

    def column(self, index: Sequence[Expr]) -> str | None:
        """The axis j if the element is [i, j] of the result, i the iteration, j along the row."""
        if not self.is_flat:
            wanted = [Index(Dim.symbol(name)) for name in self.whole]
            found = index[0] == Index(self.own) and len(index) == 2 and index[1] in wanted
            return str(index[1].size) if found and isinstance(index[1], Index) else None
        if len(index) != 1 or not isinstance(index[0], Index):
            return None
        offset = with_sizes(index[0].size, self.bound) - self.width * self.own
        return next((name for name in self.whole if offset == Dim.symbol(name)), None)


def with_sizes(size: Size, bound: Mapping[str, Size]) -> Size:
    return size if isinstance(size, int) else substitute(size, bound)


def extents_of(body: Sequence[Statement]) -> dict[str, list[Size]]:
    """Of all loops inside, by axis."""
    found: dict[str, list[Size]] = {}
    pending = list(body)
    while pending:
        item = pending.pop()
        if isinstance(item, For):
            found.setdefault(item.axis, []).append(item.extent)
        if isinstance(item, For | If):
            pending.extend(item.body)
    return found


def row_loop(body: Sequence[Statement]) -> For | None:
    """The loop of independent iterations that is all that a kernel does, but for values before."""
    if not body or not all(isinstance(item, Let) for item in body[:-1]):
        return None
    last = body[-1]
    if not isinstance(last, For):
        return None
    if last.kind == "vector" and feeds_outside(last.body):
        return None
    return last if last.kind in ("parallel", "vector") else None


def feeds_outside(body: Sequence[Statement]) -> bool:
    """Whether a body feeds accumulators that are declared outside of it."""
    own: set[str] = set()
    pending = list(reversed(body))
    while pending:
        statement = pending.pop()
        if isinstance(statement, Accumulator):
            own.add(statement.name)
        elif isinstance(statement, Accumulate) and statement.name not in own:
            return True
        elif isinstance(statement, For | If):
            pending.extend(reversed(statement.body))
    return False
