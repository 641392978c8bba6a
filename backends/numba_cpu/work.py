"""How much a kernel has to do, in additions: whether threads are worth it."""

from collections.abc import Mapping, Sequence

from graphc.loops.ir import Accumulate, For, If, Kernel, Let, Statement, Store
from graphc.scalar.expr import cost
from graphc.shapes import evaluate


def kernel_work(kernel: Kernel, sizes: Sequence[int]) -> int:
    """An estimate for these sizes; every branch of an If counts."""
    return _work(kernel.body, dict(zip(kernel.sizes, sizes, strict=True)))


def _work(body: Sequence[Statement], symbols: Mapping[str, int]) -> int:
    total = 0
    for statement in body:
        match statement:
            case For(axis, extent, _, inner):
                count = evaluate(extent, symbols)
                if count > 0:
                    total += count * _work(inner, {**symbols, axis: count - 1})
            case If(condition, inner):
                total += cost(condition) + _work(inner, symbols)
            case Let(_, value) | Store(_, _, value) | Accumulate(_, value):
                total += 1 + cost(value)
            case _:
                total += 1
    return total
