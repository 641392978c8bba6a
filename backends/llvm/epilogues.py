"""Epilogues of matrix products: kernels as functions of a part of the result.

    void @e0.rows(ptr frame, i64 rows from, i64 to, i64 columns from, i64 to, ptr area)

Which parts a kernel can do is its kind:

    WHOLE    rows from end to end
    CELLS    any columns: its loop runs over all elements, one after the other
    INNER    any columns: each row is one loop over them, which gets the first and how many

The product hands over what is still in a cache: with columns that is a block of the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphc.backends.llvm.emitter import AREA
from graphc.backends.llvm.gemm_layout import Arithmetic
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.loops.epilogues import Epilogue, RowsOf, feeds_outside
from graphc.loops.facts import FactsOf
from graphc.loops.ir import Contraction, For, If, Kernel, Let, Parameter, Statement
from graphc.loops.tidy import map_values, values_of
from graphc.scalar.expr import Expr, Index, transform
from graphc.shapes import Dim, Size, substitute

WHOLE, CELLS, INNER = "whole rows", "cells one by one", "columns of each row"


def kernel_of_part(product: Contraction, epilogue: Epilogue) -> tuple[Kernel, str]:
    """The kernel that does a part, and its kind."""
    kernel = epilogue.call.kernel
    if epilogue.units == product.n:
        return kernel, CELLS
    pairs = zip(kernel.parameters, epilogue.call.arguments, strict=True)
    (parameter,) = (parameter for parameter, name in pairs if name == product.out)
    bound = dict(zip(kernel.sizes, epilogue.call.sizes, strict=True))
    if epilogue.units == 1:
        parted = _with_columns(kernel, bound, parameter, product.n)
        if parted is not None:
            return parted, INNER
    return kernel, WHOLE


def _with_columns(
    kernel: Kernel, bound: Mapping[str, Size], result: Parameter, width: Size
) -> Kernel | None:
    """for i: for j in n: f(i, j)  ->  for i: for j in columns: f(i, j + first)

    Where that is all the kernel does, and (i, j) reads no other element of `result`.
    """
    if not all(isinstance(item, Let) for item in kernel.body[:-1]):
        return None
    outer = kernel.body[-1]
    if not isinstance(outer, For) or not all(isinstance(item, Let) for item in outer.body[:-1]):
        return None
    inner = outer.body[-1]
    if not isinstance(inner, For) or inner.kind == "serial" or feeds_outside(inner.body):
        return None
    facts, mine = FactsOf(), RowsOf(kernel, bound, result, outer, width)
    loads = [load for value in values_of(kernel.body) for load in facts(value).loads]
    if any(name == result.name and mine.column(at) != inner.axis for name, at in loads):
        return None
    taken = {*kernel.sizes, outer.axis, *_axes(outer.body)}
    first, columns = _free("first_column", taken), _free("columns", taken)
    moved = Dim.symbol(inner.axis) + Dim.symbol(first)
    body = tuple(_moved(item, inner.axis, moved) for item in inner.body)
    parted = replace(inner, extent=Dim.symbol(columns), body=body)
    rows = replace(outer, body=(*outer.body[:-1], parted))
    return replace(kernel, sizes=(*kernel.sizes, first, columns), body=(*kernel.body[:-1], rows))


def _axes(body: Sequence[Statement]) -> set[str]:
    found: set[str] = set()
    pending = list(body)
    while pending:
        item = pending.pop()
        if isinstance(item, For | If):
            pending.extend(item.body)
        if isinstance(item, For):
            found.add(item.axis)
    return found


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _moved(item: Statement, axis: str, place: Size) -> Statement:
    def leaf(expr: Expr) -> Expr | None:
        if isinstance(expr, Index) and not isinstance(expr.size, int):
            return Index(substitute(expr.size, {axis: place}))
        return None

    if isinstance(item, For):
        return replace(item, body=tuple(_moved(one, axis, place) for one in item.body))
    if isinstance(item, If):
        body = tuple(_moved(one, axis, place) for one in item.body)
        return If(transform(item.condition, leaf), body)
    return map_values(item, lambda value: transform(value, leaf))


def epilogue_function(
    kernel: str, kind: str, types: Sequence[str], has_area: bool, target: Target
) -> FunctionText:
    """@kernel.rows: the kernel on a part of the result.

    frame: units of the kernel's range for each row, then its arguments. types: of these. kind:
    for INNER @kernel.range takes the first column and how many there are.
    """
    x = Arithmetic(Code(has_fma=target.has_fma))
    builder = x.code.builder
    held: list[Val] = []
    for place, type in enumerate(("i64", *types)):
        at = builder.value(f"getelementptr i64, ptr %frame, i64 {place}")
        held.append(builder.emit(f"load {type}, ptr {at}, align 8", type))
    units, *arguments = held
    left, right = Val("%left", "i64"), Val("%right", "i64")
    if kind == INNER:
        arguments += [left, x.sub(right, left)]

    own = [AREA] * has_area

    def call(begin: Val, end: Val) -> None:
        x.call(f"{kernel}.range", [*arguments, *own, begin, end])

    if kind == CELLS:

        def row(number: Val, _: list[Val]) -> list[Val]:
            start = x.mul(number, units)
            call(x.add(start, left), x.add(start, right))
            return []

        x.code.loop(BEGIN, END, 1, [], row)
    else:
        call(x.mul(BEGIN, units), x.mul(END, units))
    builder.line("ret void")
    given = (Val("%frame", "ptr"), BEGIN, END, left, right, AREA)
    return x.function(f"{kernel}.rows", given, target, plain=kind != CELLS)
