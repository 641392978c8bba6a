"""Kernels that transform the filter of a minimal filtering, and the gradient of its transform back.

for c parallel:
  for o vector: out[0..15, j, c, o] = G w[64*j + o, c, 0..2, 0..2] G^T

for c parallel:
  for o vector: out[o, c, 0..2, 0..2] = G^T points[0..15, c, o] G
"""

from graphc.ir.node import Node
from graphc.loops.ir import Kernel, Statement
from graphc.loops.kernel_writer import kernel_of_node
from graphc.loops.tile_transforms import FILTER, TAPS, TileWriter
from graphc.shapes import Size


def filter_transform_kernel(node: Node) -> Kernel:
    """The kernel of a node with the lowering FilterTransform."""

    def statements(symbols: set[str]) -> list[Statement]:
        return _FilterWriter(node, symbols).statements()

    return kernel_of_node(node, node.op.name, ("given",), statements, fused=False)


class _FilterWriter(TileWriter):
    def statements(self) -> list[Statement]:
        back, last = self.node.attrs["back"], self.node.attrs["channels_last"]
        shape = self.node.inputs[0].shape if back else self.node.types[0].shape
        c, o = self.here("c"), self.here("o")
        lane: Size = o if back else self.here("j") * shape[3] + o
        turned = self.node.attrs["turned"]
        outer, inner = (c, lane) if turned else (lane, c)

        def tap(p: int, q: int) -> tuple[Size, ...]:
            p, q = (2 - p, 2 - q) if turned else (p, q)
            return (p, q, inner, outer) if last else (outer, inner, p, q)

        body: list[Statement] = []
        if back:
            values = self.transformed(
                body, "uhw", TAPS, 4, lambda p, q: self.load("given", 4 * p + q, c, o)
            )
            for p, row in enumerate(values):
                body += [self.store("out", tap(p, q), value) for q, value in enumerate(row)]
            lanes = self.loop("o", shape[2], "vector", body)
            return [self.loop("c", shape[1], "parallel", [lanes])]
        values = self.transformed(
            body, "whu", FILTER, 3, lambda p, q: self.load("given", *tap(p, q))
        )
        for number, value in enumerate([value for row in values for value in row]):
            body.append(self.store("out", (number, self.here("j"), c, o), value))
        lanes = self.loop("o", shape[3], "vector", body)
        panel = self.loop("c", shape[2], "parallel", [lanes])
        return [self.loop("j", shape[1], "parallel", [panel])]
