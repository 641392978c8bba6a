"""Epilogues: kernels that may run behind a matrix product row by row, while rows are in a cache.

    t = x @ w            step p, a Contraction
    h = tanh(t + b)      step p + 1, a KernelCall whose outermost loop runs along the rows of t

A backend may run such a pair as one: some rows of the product, the kernel on these rows, the next
rows. The meaning is that of the two steps one after the other. What both touch is alive during
both, and nothing that the kernel writes lies over an operand of the product (memory.plan).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.dims import divide
from graphc.loops.facts import FactsOf
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Contraction,
    For,
    If,
    KernelCall,
    Let,
    Statement,
    Step,
)
from graphc.loops.tidy import values_of
from graphc.scalar.expr import Index
from graphc.shapes import Dim, Size, size_product, substitute


@dataclass(frozen=True, slots=True)
class Epilogue:
    """call: the kernel. units: iterations of its outermost loop for each row of the product."""

    call: KernelCall
    units: Size


def epilogue_at(steps: Sequence[Step], position: int) -> Epilogue | None:
    """The kernel behind the step at `position`, if that is a product whose rows it follows."""
    if position + 1 >= len(steps):
        return None
    product, call = steps[position], steps[position + 1]
    if not isinstance(product, Contraction) or not isinstance(call, KernelCall):
        return None
    if product.batch:
        return None
    pairs = list(zip(call.kernel.parameters, call.arguments, strict=True))
    seen = [parameter for parameter, name in pairs if name == product.out]
    loop = row_loop(call.kernel.body)
    if len(seen) != 1 or seen[0].written or loop is None:
        return None
    if any(parameter.written and name in (product.a, product.b) for parameter, name in pairs):
        return None
    (parameter,) = seen
    if not parameter.shape or parameter.shape[0] != loop.extent:
        return None
    own = Index(Dim.symbol(loop.axis))
    facts = FactsOf()
    for value in values_of(call.kernel.body):
        for buffer, index in facts(value).loads:
            if buffer == parameter.name and index[0] != own:
                return None
    bound = dict(zip(call.kernel.sizes, call.sizes, strict=True))
    extent = loop.extent if isinstance(loop.extent, int) else substitute(loop.extent, bound)
    whole = size_product([substitute(size, bound) for size in parameter.shape])
    if whole != product.m * product.n or product.m == 0:
        return None
    units, rest = divide(extent, product.m)
    return Epilogue(call, units) if rest == 0 and units != 0 else None


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
