"""What kernels of nodes with one structured form are written with: heads, and names of loops."""

from collections.abc import Callable, Sequence
from typing import Protocol

from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.ir import For, Kernel, LoopKind, Parameter, Statement, Store
from graphc.scalar.expr import Expr, Index, Load
from graphc.shapes import Dim, Shape, Size, symbols_of


class Epilogue(Protocol):
    """What is done with the result. parameters: of arrays that it reads and writes.

    symbols: the sizes it uses. in_tile: whether it runs along the last axis of rows, not the lanes.
    """

    parameters: tuple[Parameter, ...]
    symbols: frozenset[str]
    in_tile: bool

    def at(self, index: tuple[Size, ...], value: Expr) -> list[Statement]:
        """For the element of the result at `index`."""
        ...


def kernel_of_node(
    node: Node,
    name: str,
    operands: Sequence[str],
    statements: Callable[[set[str]], Sequence[Statement]],
    *,
    epilogue: Epilogue | None = None,
    sizes: Sequence[Size] = (),
    shapes: Sequence[Shape] | None = None,
    fused: bool = True,
) -> Kernel:
    """A kernel that stores the node's only output, or hands it to an epilogue.

    operands: names of the inputs. statements: made of the symbols of the kernel, which loops cannot
    be named after. sizes: used beside those of the parameters. shapes: of the output and the
    inputs, where sizes of theirs are symbols of the kernel alone; see `sizes_of_call`.
    """
    output = Tensor(node)
    own, *given = shapes or [tensor.shape for tensor in (output, *node.inputs)]
    stored = (Parameter("out", output.dtype, own, True),)
    inputs = zip(operands, node.inputs, given, strict=True)
    parameters = (
        *(stored if epilogue is None else epilogue.parameters),
        *(Parameter(name, tensor.dtype, shape) for name, tensor, shape in inputs),
    )
    symbols = set(() if epilogue is None else epilogue.symbols)
    for size in (*sizes, *(size for item in parameters for size in item.shape)):
        symbols |= symbols_of(size)
    return Kernel(
        name,
        parameters,
        tuple(sorted(symbols)),
        tuple(statements(symbols)),
        node.sources,
        node.op.name,
        fused=fused,
    )


def sizes_of_call(kernel: Kernel, node: Node) -> dict[str, Size]:
    """What the kernel's symbols stand for where it is called for the node."""
    own = {Dim.symbol(name): name for name in kernel.sizes}
    tensors = (Tensor(node), *node.inputs)
    return {
        own[symbol]: size
        for parameter, tensor in zip(kernel.parameters, tensors, strict=True)
        for symbol, size in zip(parameter.shape, tensor.shape, strict=True)
        if isinstance(symbol, Dim) and symbol in own
    }


class KernelWriter:
    """symbols: sizes of the kernel, which loops cannot be named after."""

    def __init__(self, node: Node, symbols: set[str]) -> None:
        self.node, self.symbols = node, symbols
        self.dtype, self.sources = node.types[0].dtype, node.sources

    def named(self, axis: str) -> str:
        while axis in self.symbols:
            axis += "_"
        return axis

    def here(self, axis: str) -> Dim:
        return Dim.symbol(self.named(axis))

    def loop(self, axis: str, extent: Size, kind: LoopKind, body: list[Statement]) -> Statement:
        return For(self.named(axis), extent, kind, tuple(body))

    def load(self, array: str, *index: Size) -> Expr:
        return Load(array, tuple(map(Index, index)), self.dtype)

    def store(self, array: str, index: Sequence[Size], value: Expr, added: bool = False) -> Store:
        return Store(array, tuple(map(Index, index)), value, added, self.sources)
