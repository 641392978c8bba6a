"""The kernels that a program has so far: equal ones are one, which is emitted once."""

from collections.abc import Callable

from graphc.ir.node import Node
from graphc.loops.ir import Kernel
from graphc.loops.printer import kernel_key

Outline = tuple[object, ...]


class KnownKernels:
    def __init__(self) -> None:
        self._alike: dict[Outline, list[Kernel]] = {}
        self._keys: dict[str, str] = {}  # by name
        self._of_nodes: dict[Outline, Kernel] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def shared(self, kernel: Kernel) -> Kernel:
        """The kernel, or an earlier one that is equal. Keys take long to make: only kernels that
        look alike get one."""
        alike = self._alike.setdefault(_outline(kernel), [])
        key = None
        for known in alike:
            if known.body is kernel.body:
                return known
            key = kernel_key(kernel) if key is None else key
            if known.name not in self._keys:
                self._keys[known.name] = kernel_key(known)
            if self._keys[known.name] == key:
                return known
        alike.append(kernel)
        if key is not None:
            self._keys[kernel.name] = key
        self._count += 1
        return kernel

    def of_node(self, node: Node, make: Callable[[], Kernel]) -> Kernel:
        """The kernel of a node of which nothing else has to be known; nodes with the same op,
        attributes and types share it."""
        outline = (
            node.op,
            node.attributes_key,
            node.types,
            *[tensor.type for tensor in node.inputs],
        )
        if outline not in self._of_nodes:
            self._of_nodes[outline] = make()
        return self._of_nodes[outline]


def _outline(kernel: Kernel) -> Outline:
    """What equal kernels have in common, free of names."""
    parameters = [
        (one.dtype, one.written, *[size if isinstance(size, int) else None for size in one.shape])
        for one in kernel.parameters
    ]
    return (len(kernel.sizes), len(kernel.body), kernel.fused, *parameters)
