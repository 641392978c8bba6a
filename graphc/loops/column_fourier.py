"""Kernels of Fourier transforms down columns: lanes run along the columns, passes through scratch.

    for b parallel:
      for k vector:                                   n = 32 = 8*4
        for p in 4 serial:                            the first pass
          v0..v7 = x[:, b, p + 4*(0..7), k]
          u0..u7 = the transform of v0..v7
          t[8*p + 0..7] = u0, u1*w^p, ..., u7*w^(7*p)
        for q in 8 serial:                            the second, which is the last
          v0..v3 = t[q + 8*(0..3)]
          out[:, b, q + 8*(0..3), k] = the transform of v0..v3

Every lane transforms a column of its own, so nothing moves between lanes.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from graphc.ir.node import Node
from graphc.ir.parts import PARTS_AXIS, with_parts
from graphc.loops.ir import Kernel, Let, Scratch, Statement
from graphc.loops.kernel_writer import KernelWriter, kernel_of_node
from graphc.scalar.expr import Call, Expr, Local, constant
from graphc.shapes import Size


def column_fourier_kernel(node: Node) -> Kernel:
    """The kernel of a node with the lowering ColumnFourier."""
    return kernel_of_node(
        node, "column_fourier", ("x", "turns"), lambda symbols: _Passes(node, symbols).statements()
    )


class _Number(NamedTuple):
    real: Expr
    imag: Expr


class _Passes(KernelWriter):
    """Writes the statements. lines: of the short transform that is being written."""

    def __init__(self, node: Node, symbols: set[str]) -> None:
        super().__init__(node, symbols)
        where = PARTS_AXIS[node.attrs["given"]]
        shape = node.inputs[0].shape
        self.extents: tuple[Size, ...] = (*shape[:where], *shape[where + 1 :])
        self.sign = 1 if node.attrs["inverse"] else -1
        self.lines: list[Statement] = []
        self.count = 0

    def statements(self) -> list[Statement]:
        radices: tuple[int, ...] = self.node.attrs["radices"]
        before, length, behind = self.extents
        body: list[Statement] = [
            Scratch(f"{part}{number}", self.dtype, (length,))
            for number in range(min(len(radices) - 1, 2))
            for part in ("real", "imag")
        ]
        left, stride, first = math.prod(radices), 1, 1
        for number, radix in enumerate(radices):
            left //= radix
            last = number == len(radices) - 1
            source = None if number == 0 else (number - 1) % 2
            target = None if last else number % 2
            body += self.one_pass(radix, left, stride, first, source, target)
            first += left * (radix - 1)
            stride *= radix
        columns = self.loop("k", behind, "vector", body)
        return [columns if before == 1 else self.loop("b", before, "parallel", [columns])]

    def one_pass(
        self,
        radix: int,
        left: int,
        stride: int,
        first: int,
        source: int | None,
        target: int | None,
    ) -> list[Statement]:
        """left: the length of the transforms that remain. first: where its powers of w begin.
        source, target: numbers of scratch arrays; None for x and the result."""
        p: Size = self.here("p") if left > 1 else 0
        q: Size = self.here("q") if stride > 1 else 0
        self.lines = []
        values = [self.read(source, q + stride * (p + left * i)) for i in range(radix)]
        sums = self.transform(values)
        powers: list[Statement] = []
        for k, value in enumerate(sums):
            if target is None:
                value = self.scaled(value, self.node.attrs["scale"])
            elif k:
                place = first + p * (radix - 1) + k - 1
                turn = _Number(*(self.load("turns", place, side) for side in (0, 1)))
                kept = self.named_number(turn)
                powers += self.lines[-2:]
                del self.lines[-2:]
                value = self.product(value, kept)
            self.write(target, q + stride * (radix * p + k), value)
        body = self.lines
        if stride > 1:
            body = [self.loop("q", stride, "serial", body)]
        body = [*powers, *body]
        return [self.loop("p", left, "serial", body)] if left > 1 else body

    # Numbers in memory

    def read(self, source: int | None, row: Size) -> _Number:
        if source is None:
            places = (self.place("given", row, side) for side in (0, 1))
            return self.named_number(_Number(*(self.load("x", *place) for place in places)))
        parts = (self.load(f"{part}{source}", row) for part in ("real", "imag"))
        return self.named_number(_Number(*parts))

    def write(self, target: int | None, row: Size, value: _Number) -> None:
        for side, (name, part) in enumerate(zip(("real", "imag"), value, strict=True)):
            if target is None:
                self.lines.append(self.store("out", self.place("made", row, side), part))
            else:
                self.lines.append(self.store(f"{name}{target}", (row,), part))

    def place(self, layout: str, row: Size, side: int) -> tuple[Size, ...]:
        """Of a part in x ("given") or in the result ("made")."""
        batch = 0 if self.extents[0] == 1 else self.here("b")
        return with_parts(self.node.attrs[layout], (batch, row, self.here("k")), side)

    # Short transforms

    def transform(self, values: Sequence[_Number]) -> list[_Number]:
        """The discrete Fourier transform of a few numbers."""
        count = len(values)
        if count == 1:
            return list(values)
        if count % 2:
            return self.odd(values)
        even, odd = self.transform(values[::2]), self.transform(values[1::2])
        turned = [self.turned(value, k, count) for k, value in enumerate(odd)]
        pairs = list(zip(even, turned, strict=True))
        return [self.sum("add", a, b) for a, b in pairs] + [self.sum("sub", a, b) for a, b in pairs]

    def odd(self, values: Sequence[_Number]) -> list[_Number]:
        """y[k], y[r - k] = (x[0] + sum_j cos(2 pi jk/r) s[j]) +- i sum_j sin(2 pi jk/r) d[j]

        with s[j] = x[j] + x[r - j], d[j] = x[j] - x[r - j], j = 1 ... (r - 1) / 2.
        """
        count, start = len(values), values[0]
        half = range(1, (count + 1) // 2)
        sums = [self.sum("add", values[j], values[-j]) for j in half]
        differences = [self.sum("sub", values[j], values[-j]) for j in half]
        result = [start] * count
        for value in sums:
            result[0] = self.sum("add", result[0], value)
        for k in half:
            middle, beside = start, None
            for j, both, apart in zip(half, sums, differences, strict=True):
                angle = 2 * math.pi * (j * k % count) / count
                middle = self.sum("add", middle, self.scaled(both, math.cos(angle)))
                term = self.scaled(apart, self.sign * math.sin(angle))
                beside = term if beside is None else self.sum("add", beside, term)
            assert beside is not None
            result[k] = self.named_number(
                _Number(
                    Call("sub", (middle.real, beside.imag), self.dtype),
                    Call("add", (middle.imag, beside.real), self.dtype),
                )
            )
            result[count - k] = self.named_number(
                _Number(
                    Call("add", (middle.real, beside.imag), self.dtype),
                    Call("sub", (middle.imag, beside.real), self.dtype),
                )
            )
        return result

    def turned(self, value: _Number, k: int, count: int) -> _Number:
        """value * w^k, for a short transform of so many numbers; k is less than half of them."""
        if k == 0:
            return value
        if 4 * k == count:
            back = value.real if self.sign < 0 else value.imag
            minus = Call("neg", (back,), self.dtype)
            if self.sign < 0:
                return self.named_number(_Number(value.imag, minus))
            return self.named_number(_Number(minus, value.real))
        angle = self.sign * 2 * math.pi * k / count
        parts = (constant(part, self.dtype) for part in (math.cos(angle), math.sin(angle)))
        return self.product(value, _Number(*parts))

    def product(self, a: _Number, b: _Number) -> _Number:
        def times(x: Expr, y: Expr) -> Expr:
            return Call("mul", (x, y), self.dtype)

        return self.named_number(
            _Number(
                Call("sub", (times(a.real, b.real), times(a.imag, b.imag)), self.dtype),
                Call("add", (times(a.real, b.imag), times(a.imag, b.real)), self.dtype),
            )
        )

    def scaled(self, a: _Number, factor: float) -> _Number:
        if factor == 1:
            return a
        number = constant(factor, self.dtype)
        return self.named_number(_Number(*(Call("mul", (x, number), self.dtype) for x in a)))

    def sum(self, op: str, a: _Number, b: _Number) -> _Number:
        parts = (Call(op, pair, self.dtype) for pair in zip(a, b, strict=True))
        return self.named_number(_Number(*parts))

    def named_number(self, value: _Number) -> _Number:
        names = []
        for part in value:
            name = f"v{self.count}"
            self.count += 1
            self.lines.append(Let(name, part, self.sources))
            names.append(Local(name, self.dtype))
        return _Number(*names)
