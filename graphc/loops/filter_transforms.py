"""Kernels that transform the filter of a minimal filtering, and the gradient of its transform back.

for c parallel:
  for o vector: out[0..15, j, c, o] = G w[64*j + o, c, 0..2, 0..2] G^T

for c parallel:
  for o vector: out[o, c, 0..2, 0..2] = G^T points[0..15, c, o] G

Filters are small beside images, and a network has many: how many channels there are is said at the
call, so that all its filters have one kernel.
"""

from graphc.ir.node import Node
from graphc.loops.ir import Kernel, Statement
from graphc.loops.kernel_writer import kernel_of_node
from graphc.loops.tile_transforms import FILTER, POINTS, TAPS, TileWriter
from graphc.shapes import Dim, Shape, Size

PANELS, CHANNELS, LANES = (Dim.symbol(name) for name in ("panels", "channels", "lanes"))


def filter_transform_kernel(node: Node) -> Kernel:
    """The kernel of a node with the lowering FilterTransform."""
    back = node.attrs["back"]
    points: Shape = (POINTS, CHANNELS, LANES) if back else (POINTS, PANELS, CHANNELS, LANES)
    taps = _filter(node, CHANNELS, LANES if back else PANELS * LANES, 3, 3)

    def statements(symbols: set[str]) -> list[Statement]:
        return _FilterWriter(node, symbols).statements()

    shapes = (taps, points) if back else (points, taps)
    return kernel_of_node(node, node.op.name, ("given",), statements, shapes=shapes, fused=False)


def _filter(node: Node, channel: Size, lane: Size, p: int, q: int) -> tuple[Size, ...]:
    """An index or a shape of a filter, in the order of its axes."""
    outer, inner = (channel, lane) if node.attrs["turned"] else (lane, channel)
    return (p, q, inner, outer) if node.attrs["channels_last"] else (outer, inner, p, q)


class _FilterWriter(TileWriter):
    def statements(self) -> list[Statement]:
        back = self.node.attrs["back"]
        c, o = self.here("c"), self.here("o")
        lane: Size = o if back else self.here("j") * LANES + o

        def tap(p: int, q: int) -> tuple[Size, ...]:
            p, q = (2 - p, 2 - q) if self.node.attrs["turned"] else (p, q)
            return _filter(self.node, c, lane, p, q)

        body: list[Statement] = []
        if back:
            values = self.transformed(
                body, "uhw", TAPS, 4, lambda p, q: self.load("given", 4 * p + q, c, o)
            )
            for p, row in enumerate(values):
                body += [self.store("out", tap(p, q), value) for q, value in enumerate(row)]
            lanes = self.loop("o", LANES, "vector", body)
            return [self.loop("c", CHANNELS, "parallel", [lanes])]
        values = self.transformed(
            body, "whu", FILTER, 3, lambda p, q: self.load("given", *tap(p, q))
        )
        for number, value in enumerate([value for row in values for value in row]):
            body.append(self.store("out", (number, self.here("j"), c, o), value))
        lanes = self.loop("o", LANES, "vector", body)
        panel = self.loop("c", CHANNELS, "parallel", [lanes])
        return [self.loop("j", PANELS, "parallel", [panel])]
