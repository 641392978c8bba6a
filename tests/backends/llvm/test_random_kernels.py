"""Kernels grown at random, against the loop interpreter, which defines the meaning."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from graphc.dtypes import (
    DType,
    bool_,
    float32,
    float64,
    int8,
    int32,
    int64,
    is_bool,
    is_floating,
    uint16,
)
from graphc.loops.interpreter import run_kernel
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    If,
    Kernel,
    Let,
    LoopKind,
    Parameter,
    Scratch,
    Statement,
    Store,
)
from graphc.scalar import expr as s
from graphc.scalar.expr import Call, Expr, Index, Load, Local
from graphc.shapes import Dim, Size, evaluate

Run = Callable[[Kernel, Mapping[str, np.ndarray], Mapping[str, int]], None]

n, m, i, j, k = (Dim.symbol(name) for name in "nmijk")
DTYPES = (float32, float64, int32, int64, int8, uint16, bool_)


class Grower:
    """Grows one kernel: loops i and j over an array of [n, m], reductions over k or j inside."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.parameters: dict[str, Parameter] = {}
        self.locals: list[Local] = []
        self.axes: list[tuple[Dim, Size]] = []
        self.count = 0
        self.rows = self.pick(n, n, 3)
        self.columns = self.pick(m, m, m, 1, 4, 8, 13, 24, 45)
        self.inner = self.pick(n, 5, 1)

    def pick(self, *sizes: Size) -> Size:
        return self.random.choice(sizes)

    def name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def dtype(self) -> DType:
        return self.random.choice(DTYPES)

    # Expressions

    def position(self) -> tuple[Expr, Size]:
        """An index expression over one axis, and the size of an axis that it stays inside."""
        axis, extent = self.random.choice(self.axes)
        match self.random.randrange(9):
            case 0:
                return Index(extent - 1 - axis), extent
            case 1:
                return Index(2 * axis + 1), 2 * extent
            case 2:
                return Index(axis // 3), extent
            case 3:
                return Index(0), 1
            case 4:
                number = self.load(int64, [axis], [extent])
                return s.mod(s.abs_(number), Index(7)), 7
            case 5:
                shift = s.sub(Index(axis), Index(2))
                moved = s.maximum(s.minimum(shift, Index(extent - 1)), Index(0))
                return moved, extent
            case _:
                return Index(axis), extent

    def load(self, dtype: DType, axes: list[Dim], shape: list[Size]) -> Expr:
        return self.load_at(dtype, [Index(axis) for axis in axes], shape)

    def load_at(self, dtype: DType, index: list[Expr], shape: list[Size]) -> Expr:
        name = self.name("x")
        self.parameters[name] = Parameter(name, dtype, tuple(shape))
        return Load(name, tuple(index), dtype)

    def leaf(self, dtype: DType) -> Expr:
        fitting = [local for local in self.locals if local.dtype == dtype]
        choice = self.random.random()
        if fitting and choice < 0.3:
            return self.random.choice(fitting)
        if choice < 0.85:
            places = [self.position() for _ in range(self.random.choice([1, 1, 2, 2]))]
            return self.load_at(dtype, [p[0] for p in places], [p[1] for p in places])
        if dtype == int64 and choice < 0.95:
            return Index(self.random.choice(self.axes)[0])
        return s.constant(self.random.randrange(2 if is_bool(dtype) else 5), dtype)

    def expr(self, dtype: DType, depth: int) -> Expr:
        if depth == 0:
            return self.leaf(dtype)
        choice = self.random.random()
        if choice < 0.15:
            return s.cast(self.expr(self.dtype(), depth - 1), dtype)
        if choice < 0.35:
            condition = self.expr(bool_, depth - 1)
            return s.select(condition, self.expr(dtype, depth - 1), self.expr(dtype, depth - 1))
        if is_bool(dtype):
            if choice < 0.6:
                op = self.random.choice(["and", "or", "xor"])
                return Call(op, (self.expr(bool_, depth - 1), self.expr(bool_, depth - 1)), bool_)
            kind = self.dtype()
            op = self.random.choice(["lt", "le", "eq", "ne"])
            return Call(op, (self.expr(kind, depth - 1), self.expr(kind, depth - 1)), bool_)
        ops = ["add", "sub", "mul", "maximum", "minimum", "floordiv", "mod"]
        if is_floating(dtype):
            ops.append("div")
        build = getattr(s, self.random.choice(ops))
        result: Expr = build(self.expr(dtype, depth - 1), self.expr(dtype, depth - 1))
        return result

    # Statements

    def let(self) -> Statement:
        dtype, name = self.dtype(), self.name("t")
        value = self.expr(dtype, self.random.choice([1, 2, 3]))
        self.locals.append(Local(name, dtype))
        return Let(name, value)

    def store(self) -> Statement:
        dtype, name = self.dtype(), self.name("out")
        value = self.expr(dtype, 2)
        axes = list(self.axes)
        if self.random.random() < 0.25:
            axes.reverse()
        shape = tuple(extent for _, extent in axes)
        self.parameters[name] = Parameter(name, dtype, shape, written=True)
        index = tuple(Index(axis) for axis, _ in axes)
        if self.random.random() < 0.2:
            index = tuple(Index(extent - 1 - axis) for axis, extent in axes)
        return Store(name, index, value)

    def reduction(self, axis: Dim, extent: Size, kind: LoopKind) -> list[Statement]:
        """An accumulator, its loop, and the result as a local."""
        combine = self.random.choice(
            ["add", "mul", "maximum", "minimum", "argmax", "argmin", "or", "and"]
        )
        dtype = bool_ if combine in ("or", "and") else self.dtype()
        if combine in ("add", "mul"):  # sums in another order must give the same
            dtype = self.random.choice([int32, int64, uint16])
        name = self.name("a")
        position_name = self.name("p") if combine.startswith("arg") else None
        outer = list(self.locals)
        self.axes.append((axis, extent))
        body: list[Statement] = [self.let()] if self.random.random() < 0.5 else []
        position = Index(axis) if position_name else None
        step: Statement = Accumulate(name, self.expr(dtype, 2), position)
        if self.random.random() < 0.3:
            step = If(self.expr(bool_, 1), (step,))
        body.append(step)
        self.axes.pop()
        self.locals = [*outer, Local(name, dtype)]
        if position_name:
            self.locals.append(Local(position_name, int64))
        loop = For(str(axis), extent, kind, tuple(body))
        return [Accumulator(name, combine, dtype, position_name), loop]

    def scratch(self, axis: Dim, extent: Size, kind: LoopKind) -> list[Statement]:
        """Write a row to scratch memory, and read it in a reduction."""
        dtype, name = self.random.choice([float32, int32, int8]), self.name("r")
        self.axes.append((axis, extent))
        outer = list(self.locals)
        value = self.expr(dtype, 2)
        self.axes.pop()
        self.locals = outer
        total = self.name("a")
        index: tuple[Expr, ...] = (Index(extent - 1 - axis),)
        statements: list[Statement] = [
            Scratch(name, dtype, (extent,)),
            For(str(axis), extent, kind, (Store(name, (Index(axis),), value),)),
            Accumulator(total, "maximum", dtype),
            For(str(axis), extent, kind, (Accumulate(total, Load(name, index, dtype)),)),
        ]
        self.locals.append(Local(total, dtype))
        return statements

    def kernel(self) -> Kernel:
        """Lanes along j, with serial loops over k inside; or along j inside each row."""
        lanes_outside = self.random.random() < 0.5
        self.axes = [(i, self.rows)]
        if lanes_outside:
            self.axes.append((j, self.columns))
        inner: tuple[Dim, Size, LoopKind] = (
            (k, self.inner, "serial") if lanes_outside else (j, self.columns, "vector")
        )
        body: list[Statement] = []
        for _ in range(self.random.randrange(1, 4)):
            match self.random.randrange(5):
                case 0:
                    body += self.reduction(*inner)
                case 1:
                    body += self.scratch(*inner)
                case 2:
                    outer = list(self.locals)
                    body.append(If(self.expr(bool_, 1), (self.let(), self.store())))
                    self.locals = outer
                case 3:
                    body.append(self.let())
                case _:
                    body.append(self.store())
        if lanes_outside:
            body.append(self.store())
            body = [For("j", self.columns, "vector", tuple(body))]
        else:
            outer = list(self.locals)
            self.axes.append((j, self.columns))
            body.append(For("j", self.columns, "vector", (self.let(), self.store())))
            self.axes.pop()
            self.locals = outer
            body.append(self.store())
        loops = (For("i", self.rows, "parallel", tuple(body)),)
        return Kernel("random", tuple(self.parameters.values()), ("n", "m"), loops)


def contents(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: DType
) -> np.ndarray[Any, Any]:
    values = rng.integers(-6 if dtype.kind in "if" else 0, 7, shape).astype(dtype)
    if is_floating(dtype):
        special = rng.random(shape)
        values = np.where(special < 0.04, np.nan, values * dtype.type(0.75)).astype(dtype)
        values = np.where(special > 0.97, np.inf, values).astype(dtype)
    return np.ascontiguousarray(values)


@pytest.mark.parametrize("seed", range(60))
def test_random_kernel(run: Run, seed: int) -> None:
    check_random_kernel(run, seed)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 3000, 100))
def test_many_random_kernels(run: Run, start: int) -> None:
    for seed in range(start, start + 100):
        check_random_kernel(run, seed)


def check_random_kernel(run: Run, seed: int) -> None:
    kernel = Grower(seed).kernel()
    rng = np.random.default_rng(seed)
    for rows, columns in ((2, 1), (3, 9), (1, 37), (2, 16)):
        sizes = {"n": rows, "m": columns}
        arrays = {}
        for p in kernel.parameters:
            shape = tuple(evaluate(size, sizes) for size in p.shape)
            arrays[p.name] = contents(rng, shape, p.dtype)
        wanted = {name: array.copy() for name, array in arrays.items()}
        run_kernel(kernel, [wanted[p.name] for p in kernel.parameters], [rows, columns])
        run(kernel, arrays, sizes)
        for p in kernel.parameters:
            np.testing.assert_array_equal(arrays[p.name], wanted[p.name], err_msg=p.name)
