"""When two computations of one graph count as different.

Rewrites and backends may round in another order, and stabilised forms are more accurate. So where
two values are not close, a third one decides: the graph as the user wrote it, computed in float64.
The new value is wrong where it is further away from that than the old one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.backends.reference.interpreter import Values, evaluate_tensors, run_node
from graphc.conversion import complex_view, real_view
from graphc.dtypes import DType, finfo, float64, is_floating
from graphc.ir.graph import Graph, after_counted_sizes, bodies_of, nested_nodes
from graphc.ir.lowering import HostCall, Leaf
from graphc.ir.node import Node, substitute_dims
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.ops.bodies import seen_through
from graphc.records import dataclass

ROUNDING = 1024  # in units of the last place of the largest number of an array
# Below this, float64 has lost what a stabilised form keeps: log(sigmoid(40)) is 0 in float64.
SMALLEST = ROUNDING * float(np.finfo(np.float64).eps)
WORSE = 8  # times as far away as before is no longer an accident of rounding

Feeds = Mapping[Tensor, np.ndarray]
Wide = Callable[[], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Difference:
    """The worst element of the first result that differs."""

    result: int
    position: tuple[int, ...]
    before: Any
    after: Any
    exact: Any

    def lines(self, before: str, after: str) -> list[str]:
        """In words; before and after say what is compared."""
        where = f" at {list(self.position)}" if self.position else ""
        width = max(len(before), len(after), 7)
        rows = [
            f"{before:<{width}}  {self.before}{where}",
            f"{after:<{width}}  {self.after}",
            f"{'float64':<{width}}  {self.exact}",
        ]
        if isinstance(self.before, np.floating) and np.isfinite([self.before, self.after]).all():
            gap = abs(float(self.after) - float(self.before))
            units = gap / max(float(np.spacing(abs(self.before))), np.finfo(float64).tiny)
            share = gap / abs(float(self.before)) if self.before != 0 else np.inf
            rows.append(
                f"{'apart':<{width}}  {share:.3g} of it, {units:.3g} units in the last place"
            )
        return rows


def precisions_of(graph: Graph) -> list[DType]:
    """For each result the coarsest dtype that it was computed in; its own where none is coarser.

    Inputs do not count: what is stored in few digits is an exact number to all that follows.
    """
    found: dict[int, DType] = {}
    results = seen_through(graph.results)
    for node in topological_order(results):
        inner = [other for body in bodies_of(node) for other in nested_nodes(body)]
        computed = [other for other in (node, *inner) if other.inputs]
        dtypes = [type.dtype for other in computed for type in other.types]
        dtypes += [found[id(tensor.node)] for tensor in node.inputs]
        found[id(node)] = coarsest(dtypes)
    return [coarsest([found[id(tensor.node)], tensor.dtype]) for tensor in results]


def coarsest(dtypes: Sequence[DType]) -> DType:
    """That with the fewest digits; float64 where none is floating."""
    return max(filter(is_floating, dtypes), key=lambda dtype: finfo(dtype).eps, default=float64)


def find_difference(
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    wide: Wide,
    precisions: Sequence[DType] | None = None,
) -> Difference | None:
    """The first result in which some element of `after` is wrong; complex ones as pairs.

    precisions: those that the results were computed in, by default their own dtypes.
    """
    with np.errstate(all="ignore"):
        for number, pair in enumerate(zip(before, after, strict=True)):
            old, new = map(real_view, pair)
            precision = old.dtype if precisions is None else precisions[number]
            if _close(old, new, precision).all():
                continue
            exact = real_view(np.asarray(wide()[number]))
            wrong = _wrong(old, new, exact, precision)
            if wrong.any():
                gap = np.abs(np.subtract(new, old, dtype=float64))
                gap = np.where(wrong, np.where(np.isnan(gap), np.inf, gap), -1)
                worst = np.unravel_index(int(gap.argmax()), gap.shape)
                position = tuple(int(part) for part in worst)
                return Difference(number, position, old[position], new[position], exact[position])
    return None


def _tolerance(dtype: DType, scale: np.ndarray) -> float:
    finite = scale[np.isfinite(scale)]
    return max(SMALLEST, float(ROUNDING * finfo(dtype).eps * np.abs(finite).max(initial=0.0)))


def _close(old: np.ndarray, new: np.ndarray, precision: DType) -> np.ndarray:
    if not is_floating(old.dtype):
        return np.asarray(old == new)
    equal = (old == new) | (np.isnan(old) & np.isnan(new))
    return np.asarray(equal | (np.abs(_gap(new, old)) <= _tolerance(precision, old)))


def _gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.subtract(a, b, dtype=float64))


def _wrong(old: np.ndarray, new: np.ndarray, exact: np.ndarray, precision: DType) -> np.ndarray:
    if not is_floating(old.dtype):
        return np.asarray((new != old) & (new != exact))
    tolerance = _tolerance(precision, exact)
    error_before, error_after = np.abs(_gap(old, exact)), np.abs(_gap(new, exact))
    right = (new == exact) | (np.isnan(new) & np.isnan(exact))
    right |= error_after <= WORSE * error_before + tolerance  # False for NaN
    right |= ~np.isfinite(exact) & ~np.isfinite(new)
    # Out of the range of the dtype, though not of float64.
    right |= np.isinf(new) & (np.abs(exact) > finfo(old.dtype).max)
    return np.asarray(~_close(old, new, precision) & ~right)


# --- evaluation --------------------------------------------------------------------------------


def feeds_of(graph: Graph, arrays: Sequence[np.ndarray]) -> Feeds:
    """The arrays of a call for inputs and variables; a graph of real numbers gets pairs of them."""
    leaves = (*graph.inputs, *graph.variables)
    return {
        leaf: array if array.dtype == leaf.dtype else real_view(array)
        for leaf, array in zip(leaves, arrays, strict=True)
    }


def as_declared(array: np.ndarray, leaf: Tensor) -> np.ndarray:
    """What `feeds_of` made of an array, undone."""
    return array if array.dtype == leaf.dtype else complex_view(array)


def evaluate_graph(graph: Graph, feeds: Feeds, sizes: Mapping[str, int]) -> list[np.ndarray]:
    """The results of a graph, op by op, without its checks and effects."""
    return evaluate_tensors(seen_through(graph.results), feeds, sizes)


def evaluate_wide(graph: Graph, feeds: Feeds, sizes: Mapping[str, int]) -> list[np.ndarray]:
    """The results with all floating-point numbers in float64.

    Loops, branches and Python functions are computed in their own dtypes.
    """
    results = seen_through(graph.results)
    values: Values = {tensor.key: _widened(array) for tensor, array in feeds.items()}
    counted = dict(sizes)  # and the numbers of steps that loops count
    for node in after_counted_sizes(topological_order(results)):
        if (id(node), 0) not in values:
            for number, value in enumerate(_run_wide(node, values, counted)):
                values[id(node), number] = _widened(value)
    return [values[tensor.key] for tensor in results]


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(float64) if is_floating(array.dtype) else array


def _run_wide(node: Node, values: Values, sizes: dict[str, int]) -> list[np.ndarray]:
    arrays = [values[tensor.key] for tensor in node.inputs]
    own_dtype = node.op.lower is None or isinstance(node.op.lower, HostCall | Leaf)
    if not own_dtype and not any(name in node.attrs for name in ("body", "branches")):
        attrs = {
            name: float64 if isinstance(value, np.dtype) and is_floating(value) else value
            for name, value in node.attrs.items()
        }
        attrs = {name: substitute_dims(value, sizes) for name, value in attrs.items()}
        try:
            with np.errstate(all="ignore"):
                result = node.op.reference(attrs, *arrays)
            found = [np.asarray(r) for r in (result if isinstance(result, tuple) else (result,))]
            if len(found) == len(node.types):
                return found
        except Exception:  # an op that exists in its own dtypes alone
            pass
    narrow: Values = {
        tensor.key: array.astype(tensor.dtype)
        for tensor, array in zip(node.inputs, arrays, strict=True)
    }
    run_node(node, narrow, sizes)
    return [narrow[id(node), number] for number in range(len(node.types))]
