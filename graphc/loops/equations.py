"""What a step computes, as an equation that a person recognises: `h = tanh(t1 + b0)`.

Right-hand sides go down to what lies in memory as long as they stay short; what is left bears the
name that the printed graph gives it. Views do not show, and of attributes only the axes of
reductions and the dtypes of casts.
"""

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from graphc.ir.leaf import CONSTANT
from graphc.ir.lowering import Reduction, Reinterpret
from graphc.ir.node import Node
from graphc.ir.printer import is_infix
from graphc.ir.tensor import Tensor
from graphc.loops.groups import Placement
from graphc.loops.values import Key
from graphc.scalar.printer import ATOM, COMPARE, PRODUCT, SIGN, SUM, Piece, parenthesized
from graphc.shapes import Dim

LENGTH = 50  # characters of one right-hand side
OPENED = 12  # values that one right-hand side may hold besides its own
TOTAL = 30  # characters of all equations of a kernel, from where the rest does not show
OPERANDS = 4
TRANSPARENT = ("broadcast_to", "stop_gradient", "copy")
PRECEDENCE = dict.fromkeys(("*", "/", "//", "%", "@"), PRODUCT) | dict.fromkeys(("+", "-"), SUM)
TIGHT = ("*", "/", "//", "%")


class Equations:
    """buffers: the names of what is stored; values: those of everything else."""

    def __init__(self, buffers: Mapping[Key, str], values: Mapping[Key, str]) -> None:
        self.buffers = buffers
        self.values = values

    def of(self, stored: Sequence[Tensor], placements: Mapping[Key, Placement]) -> str:
        """`a = ..., b = ...` for what a kernel stores; `c[...] =` is a part of a concatenation."""
        shown: list[str] = []
        for tensor in stored:
            if sum(map(len, shown)) > TOTAL:
                return ", ".join([*shown, "..."])
            placement = placements.get(tensor.key)
            name = self.buffers[tensor.key if placement is None else placement.output.key]
            part = "" if placement is None else "[...]"
            shown.append(f"{name}{part} = {self.right_side(tensor)}")
        return ", ".join(shown)

    def right_side(self, tensor: Tensor) -> str:
        """Opens the values behind names, nearest first, while the text stays short."""
        opened: set[int] = set()
        best = self.application(tensor.node, opened)[0]
        waiting = deque(map(self.visible, tensor.node.inputs[:OPERANDS]))
        for _ in range(OPENED):
            while waiting and self.is_closed(waiting[0]):
                waiting.popleft()
            if not waiting:
                break
            node = waiting.popleft().node
            opened.add(id(node))
            text = self.application(tensor.node, opened)[0]
            if len(text) > LENGTH:
                opened.discard(id(node))
            else:
                best = text
                waiting += map(self.visible, node.inputs[:OPERANDS])
        return best

    def visible(self, tensor: Tensor) -> Tensor:
        """The tensor behind views."""
        while tensor.key not in self.buffers and is_transparent(tensor.node):
            tensor = tensor.node.inputs[0]
        return tensor

    def is_closed(self, tensor: Tensor) -> bool:
        return tensor.key in self.buffers or tensor.node.op is CONSTANT

    def operand(self, tensor: Tensor, opened: set[int]) -> Piece:
        tensor = self.visible(tensor)
        node = tensor.node
        if tensor.key in self.buffers:
            return self.buffers[tensor.key], ATOM
        if node.op is CONSTANT:
            value = node.attrs["value"]
            text = str(value.flat[0]) if value.size else "[]"
            return text, (SIGN if text.startswith("-") else ATOM)
        if id(node) in opened:
            return self.application(node, opened)
        return self.values.get(tensor.key, node.op.name), ATOM

    def application(self, node: Node, opened: set[int]) -> Piece:
        """The node's op on its operands, and how tightly the text binds."""
        symbol = node.op.symbol
        operands = [self.operand(t, opened) for t in node.inputs[:OPERANDS]]
        if is_transparent(node):
            return operands[0]
        if symbol is not None and is_infix(node):
            precedence = PRECEDENCE.get(symbol, COMPARE)
            if len(operands) == 1:
                return f"{symbol}{parenthesized(operands[0], SIGN)}", SIGN
            left = parenthesized(operands[0], precedence + (precedence == COMPARE))
            right = parenthesized(operands[1], precedence + 1)
            space = "" if symbol in TIGHT else " "
            return f"{left}{space}{symbol}{space}{right}", precedence
        if node.op.name in ("permute_dims", "slice"):
            sign = ".T" if node.op.name == "permute_dims" else "[...]"
            return f"{parenthesized(operands[0], ATOM)}{sign}", ATOM
        return self.call(node, [text for text, _ in operands]), ATOM

    def call(self, node: Node, operands: list[str]) -> str:
        name, attrs = node.op.name, node.attrs
        if len(node.inputs) > OPERANDS:
            operands.append("...")
        if isinstance(node.op.lower, Reduction) and len(attrs["axes"]) < node.inputs[0].ndim:
            axes = attrs["axes"]
            operands.append(str(axes[0]) if len(axes) == 1 else str(axes))
        elif isinstance(attrs.get("dtype"), np.dtype) and len(operands) == 1:
            name = attrs["dtype"].name
        elif not operands:
            operands = [
                str(value) for value in attrs.values() if isinstance(value, int | float | Dim)
            ]
        return f"{name}({', '.join(operands)})"


def is_transparent(node: Node) -> bool:
    return isinstance(node.op.lower, Reinterpret) or node.op.name in TRANSPARENT
