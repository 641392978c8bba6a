"""Random feeds for a compiled function: arrays of the declared types at given sizes."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from graphc.commands.terminal import UsageError
from graphc.dtypes import is_bool, is_complex, is_floating
from graphc.function import Function
from graphc.ir.graph import Graph
from graphc.ir.lowering import LoweringContext
from graphc.ir.node import substitute_dims
from graphc.ir.tensor import Tensor
from graphc.shapes import evaluate

DEFAULT_SIZE = 32
DEFAULT_RANGE = (0, 10)  # of integers that do not index anything
PASSED_ON = frozenset(
    ("astype", "reshape", "expand_dims", "squeeze", "transpose", "broadcast_to", "flip")
)

Range = tuple[int, int]


def parse_shapes(texts: Sequence[str], function: Function) -> list[dict[str, int]]:
    """`["n=32,400", "t=5"]` as one dict of sizes per combination. Sizes not given are 32."""
    known = function.stages.size_names
    values: dict[str, list[int]] = {name: [DEFAULT_SIZE] for name in known}
    for text in texts:
        name, equals, numbers = text.partition("=")
        try:
            sizes = [int(number) for number in numbers.split(",")]
        except ValueError:
            sizes = []
        if not equals or not sizes or min(sizes) < 0:
            raise UsageError(f"--shape {text}: not of the form n=32 or n=32,400")
        if name not in values:
            shown = ", ".join(known) or "none: all sizes are fixed"
            raise UsageError(f"--shape {text}: no such size", f"symbolic sizes: {shown}")
        values[name] = sizes
    return [
        dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())
    ]


def parse_ranges(texts: Sequence[str], function: Function) -> dict[str, Range]:
    """`["y=0:10"]` as {"y": (0, 10)}: the lowest value and the first that is too high."""
    names = [str(tensor.name) for tensor in function.inputs]
    ranges: dict[str, Range] = {}
    for text in texts:
        name, equals, bounds = text.partition("=")
        low, colon, high = bounds.partition(":")
        try:
            found = (int(low), int(high))
        except ValueError:
            found = (0, 0)
        if not equals or not colon or found[0] >= found[1]:
            raise UsageError(f"--range {text}: not of the form y=0:10 (0 to 9)")
        if name not in names:
            raise UsageError(f"--range {text}: no such input", f"inputs: {', '.join(names)}")
        ranges[name] = found
    return ranges


def random_feeds(
    function: Function, sizes: Mapping[str, int], ranges: Mapping[str, Range], seed: int = 0
) -> list[np.ndarray]:
    """One array per input: floats and parts of complex numbers from the standard normal
    distribution, integers from `ranges`, else from what the graph demands of an index, else from 0
    to 9."""
    rng = np.random.default_rng(seed)
    demanded = index_ranges(function.stages.graph, sizes)
    feeds: list[np.ndarray] = []
    for tensor in function.inputs:
        shape = tuple(evaluate(size, sizes) for size in tensor.shape)
        if is_floating(tensor.dtype):
            feeds.append(rng.standard_normal(shape).astype(tensor.dtype))
        elif is_complex(tensor.dtype):
            real, imag = rng.standard_normal((2, *shape))
            feeds.append(np.asarray(real + 1j * imag).astype(tensor.dtype))
        elif is_bool(tensor.dtype):
            feeds.append(rng.integers(0, 2, shape).astype(np.bool_))
        else:
            name = str(tensor.name)
            low, high = ranges.get(name) or demanded.get(name, DEFAULT_RANGE)
            feeds.append(rng.integers(low, max(high, low + 1), shape).astype(tensor.dtype))
    return feeds


def index_ranges(graph: Graph, sizes: Mapping[str, int]) -> dict[str, Range]:
    """For inputs that are used as indices: from 0 to the size of the smallest indexed axis."""
    names = {tensor.key: str(tensor.name) for tensor in graph.inputs}
    found: dict[str, Range] = {}
    for index, size in _checked_indices(graph, sizes):
        tensor = index
        while tensor.key not in names and tensor.op.name in PASSED_ON:
            tensor = tensor.node.inputs[0]
        name = names.get(tensor.key)
        if name is not None:
            found[name] = (0, min(size, found.get(name, (0, size))[1]))
    return found


def _checked_indices(graph: Graph, sizes: Mapping[str, int]) -> Iterator[tuple[Tensor, int]]:
    """Tensors used as indices, with the size of the axis that they index."""
    for node in graph.nodes:
        if node.op.index_checks is None:
            continue
        attrs = {name: substitute_dims(value, sizes) for name, value in node.attrs.items()}
        context = LoweringContext(attrs, tuple(t.type for t in node.inputs), node.types)
        for check in node.op.index_checks(context):
            yield node.inputs[check.input], evaluate(check.size, sizes)
