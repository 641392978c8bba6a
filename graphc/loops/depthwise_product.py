"""Kernels of gradients by filters whose groups have one channel in.

    for c parallel, o parallel:
      x_rows: f32[3364] scratch = 0      an image with its padding
      g_rows: f32[3248] scratch = 0      zeros behind each row, as many as windows reach over
      t0..t8 = 0
      for n serial:
        x_rows[58*j + k + 59] = x[n, c, j, k];  g_rows[58*j + k] = g[n, c, o, j, k]
        for i in 3246 vector:
          r = g_rows[i]
          t0..t8 += x_rows[i + 0..2 + 58*(0..2)]*r
      out[c, o, 0..2, 0..2] = t0..t8

So the terms of every sum lie side by side a fixed distance apart, and each image is read once. With
strides x_rows holds an image of every stride-th entry for each remainder that taps have.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from graphc.ir.node import Node
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Kernel,
    Let,
    Scratch,
    Statement,
)
from graphc.loops.kernel_writer import KernelWriter, kernel_of_node
from graphc.loops.window_schedule import SUMS
from graphc.scalar.expr import Call, Expr, Index, Load, Local, constant
from graphc.shapes import Size


class _Axis(NamedTuple):
    """A spatial axis. size: entries of x; steps: places of g; apart: of neighbours in x_rows."""

    size: int
    steps: int
    stride: int
    before: int
    whole: int  # entries in x_rows
    apart: int


def depthwise_product_kernel(node: Node) -> Kernel:
    """The kernel of a node with the lowering DepthwiseProduct."""
    return kernel_of_node(
        node, "depthwise_product", "xg", lambda symbols: _Sums(node, symbols).statements()
    )


class _Sums(KernelWriter):
    """Writes the statements."""

    def __init__(self, node: Node, symbols: set[str]) -> None:
        super().__init__(node, symbols)
        attrs = node.attrs
        reach = [
            (size - 1) * apart // stride
            for size, apart, stride in zip(
                attrs["kernel"], attrs["dilation"], attrs["stride"], strict=True
            )
        ]
        counts = attrs["count"]
        wholes = [count + more for count, more in zip(counts, reach, strict=True)]
        self.axes = [
            _Axis(
                attrs["size"][number],
                count,
                attrs["stride"][number],
                attrs["before"][number],
                wholes[number],
                math.prod(wholes[number + 1 :]),
            )
            for number, count in enumerate(counts)
        ]
        self.taps = list(itertools.product(*map(range, attrs["kernel"])))
        self.area = math.prod(wholes)
        self.terms = 1 + sum((axis.steps - 1) * axis.apart for axis in self.axes)

    def places(self, tap: Sequence[int]) -> tuple[tuple[int, ...], int]:
        """Which remainders a tap has, and how far behind a place of g it reads x_rows."""
        steps = [at * apart for at, apart in zip(tap, self.node.attrs["dilation"], strict=True)]
        pairs = [divmod(step, axis.stride) for step, axis in zip(steps, self.axes, strict=True)]
        behind = sum(q * axis.apart for (q, _), axis in zip(pairs, self.axes, strict=True))
        return tuple(rest for _, rest in pairs), behind

    def statements(self) -> list[Statement]:
        x, g = self.node.inputs
        sources = self.node.sources
        found = [self.places(tap) for tap in self.taps]
        images = {rests: number for number, rests in enumerate(dict.fromkeys(r for r, _ in found))}
        zero = constant(0, self.dtype)
        body: list[Statement] = []
        for rows, size in (("x_rows", self.area * len(images)), ("g_rows", self.terms)):
            body.append(Scratch(rows, self.dtype, (size,)))
            body.append(self.loop("i", size, "vector", [self.store(rows, (self.here("i"),), zero)]))
        names = [f"t{number}" for number in range(len(self.taps))]
        body += [Accumulator(name, "add", self.dtype, None, sources) for name in names]
        once: list[Statement] = []
        for rests, number in images.items():
            once += self.image(rests, number * self.area)
        starts = [
            (name, images[rests] * self.area + behind)
            for name, (rests, behind) in zip(names, found, strict=True)
        ]
        groups = -(-len(starts) // SUMS)
        for number in range(groups):
            once.append(self.sums(number, starts[number::groups]))
        body.append(self.loop("n", x.shape[0], "serial", [*self.rows_of_g(), *once]))
        for name, tap in zip(names, self.taps, strict=True):
            value = Local(name, self.dtype)
            body.append(self.store("out", (self.here("c"), self.here("o"), *tap), value))
        body = [self.loop("o", g.shape[2], "parallel", body)]
        return [self.loop("c", x.shape[1], "parallel", body)]

    def sums(self, number: int, starts: Sequence[tuple[str, int]]) -> Statement:
        """Some of the sums, in lanes; starts: where in x_rows each of them begins."""
        place, factor = self.here("i"), f"r{number}"
        inner: list[Statement] = [
            Let(factor, Load("g_rows", (Index(place),), self.dtype), self.node.sources)
        ]
        for name, start in starts:
            element = Load("x_rows", (Index(place + start),), self.dtype)
            term = Call("mul", (element, Local(factor, self.dtype)), self.dtype)
            inner.append(Accumulate(name, term, None, self.node.sources))
        return self.loop("i", self.terms, "vector", inner)

    def image(self, rests: Sequence[int], start: int) -> list[Statement]:
        """x[n, c] at every stride-th place, from the remainders on, into x_rows from `start`."""
        begin, extents = [], []
        for rest, axis in zip(rests, self.axes, strict=True):
            first = max(0, -((rest - axis.before) // axis.stride))
            behind = -(-(axis.size - rest + axis.before) // axis.stride)
            begin.append(first)
            extents.append(max(0, min(behind, axis.whole) - first))
        if 0 in extents:
            return []
        read: list[Size] = []
        place: Size = start
        letters = "jkl"[-len(self.axes) :]
        for letter, first, rest, axis in zip(letters, begin, rests, self.axes, strict=True):
            here = self.here(letter) + first
            read.append(here * axis.stride + (rest - axis.before))
            place = place + here * axis.apart
        x = self.node.inputs[0]
        value = Load("x", tuple(map(Index, (self.here("n"), self.here("c"), *read))), x.dtype)
        return self.copied("x_rows", place, value, letters, extents)

    def rows_of_g(self) -> list[Statement]:
        letters = "jkl"[-len(self.axes) :]
        place: Size = 0
        for letter, axis in zip(letters, self.axes, strict=True):
            place = place + self.here(letter) * axis.apart
        index = [self.here(one) for one in ("n", "c", "o", *letters)]
        value = Load("g", tuple(map(Index, index)), self.dtype)
        counts = [axis.steps for axis in self.axes]
        return self.copied("g_rows", place, value, letters, counts)

    def copied(
        self, rows: str, place: Size, value: Expr, letters: str, extents: Sequence[int]
    ) -> list[Statement]:
        body: list[Statement] = [self.store(rows, (place,), value)]
        pairs = list(zip(letters, extents, strict=True))
        body = [self.loop(*pairs[-1], "vector", body)]
        for letter, extent in reversed(pairs[:-1]):
            body = [self.loop(letter, extent, "serial", body)]
        return body
