"""The forms in which an op says what its output elements are.

An op lowers to exactly one of these. Backends never see ops: lowering turns the forms into loops
over scalar expressions, or into one of the few structured steps.

    Elementwise(expr)      out[i] = expr(in0[i], in1[i], ...)            after broadcasting
    IndexMap(expr)         out[i] = expr(read, i): any reads at any index expressions
    Reduction(combine)     out[i] = combine over the axes in attrs["axes"]
    Composite(build)       a graph of simpler ops, put in place before lowering
    Reinterpret()          the same elements in row-major order under another shape
    Pieces(axis)           inputs laid side by side along an axis
    Contraction()          matmul with attrs transpose_a, transpose_b
    ScatterAdd()           zeros, then out[index[j], ...] += values[j, ...] in order of j
    Scatter()              x, then out[i[j], k[j], ...] = mode(it, values[j, ...]) in order of j
    Cumulative(step)       out[.., j, ..] = step(out[.., j - 1, ..], in[.., j, ..])
    Sort()                 the input in order along an axis, or the first of them, and where each
                           element stood
    OfParts()                            nothing: complex numbers become pairs of real ones before
    Search()               for each value how many elements of a sorted row stand before it
    HostCall()             whole arrays, by the op's own reference: Python, called from native code
    Lapack(routine)        a routine of LAPACK for each matrix of a batch
    WindowProduct()        sums of products of two inputs at affine indices: convolutions
    MinimalFiltering()     convolutions with 3x3 windows by fewer products than they have
    FilterTransform()      what is made of a filter for that, and its gradient back
    DepthwiseProduct()     the same for gradients by filters whose groups have one channel in
    ColumnFourier()        discrete Fourier transforms along an axis, others behind it side by side
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphc.dtypes import DType
from graphc.errors import GraphcError
from graphc.ir.node import Attributes, TensorType
from graphc.lapack import Routine
from graphc.records import dataclass
from graphc.scalar.expr import Expr, Index, Read, all_of, eq, le, lt, maximum, minimum, select
from graphc.shapes import Shape, Size

if TYPE_CHECKING:
    from graphc.ir.tensor import Tensor


@dataclass(frozen=True, slots=True)
class LoweringContext:
    """What a lowering may look at: attributes and types, and `read` for input elements."""

    attrs: Attributes
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]

    @property
    def output(self) -> TensorType:
        return self.outputs[0]

    def read(self, number: int, index: tuple[Expr, ...]) -> Expr:
        """The element of input `number` at `index` (one expression per axis)."""
        assert len(index) == self.inputs[number].ndim
        return Read(number, index, self.inputs[number].dtype)

    def read_within(
        self,
        number: int,
        index: tuple[Expr, ...],
        axes: Sequence[int],
        otherwise: Expr,
        conditions: Sequence[Expr] = (),
    ) -> Expr:
        """The element of input `number` at `index`, or `otherwise` where that lies outside the
        input along one of `axes`, or where one of `conditions` fails.

        Along `axes` the input must not be empty: all branches of a select are evaluated, so the
        read is moved into range where it does not count.
        """
        tests = list(conditions)
        held = list(index)
        for axis in axes:
            size, position = self.inputs[number].shape[axis], index[axis]
            if size == 1:
                tests.append(eq(position, Index(0)))
                held[axis] = Index(0)
            else:
                tests += [le(Index(0), position), lt(position, Index(size))]
                held[axis] = minimum(maximum(position, Index(0)), Index(size - 1))
        element = self.read(number, tuple(held))
        return select(all_of(tests), element, otherwise) if tests else element

    def read_broadcast(self, number: int, index: tuple[Expr, ...]) -> Expr:
        """The element of input `number` that numpy broadcasting puts at output `index`."""
        shape = self.inputs[number].shape
        trailing = index[len(index) - len(shape) :]
        picked = tuple(
            Index(0) if size == 1 else item for size, item in zip(shape, trailing, strict=True)
        )
        return self.read(number, picked)


@dataclass(frozen=True, slots=True)
class Elementwise:
    """expr: (context, *input elements) -> output element; it reads dtypes and attributes alone."""

    expr: Callable[..., Expr]


@dataclass(frozen=True, slots=True)
class IndexMap:
    expr: Callable[[LoweringContext, tuple[Expr, ...]], Expr]


@dataclass(frozen=True, slots=True)
class Reduction:
    combine: str  # add mul maximum minimum and or argmax argmin


@dataclass(frozen=True, slots=True)
class Composite:
    build: Callable[..., "Tensor | tuple[Tensor, ...]"]  # (builder, *inputs, **attrs)


@dataclass(frozen=True, slots=True)
class Reinterpret:
    pass


@dataclass(frozen=True, slots=True)
class Pieces:
    pass


@dataclass(frozen=True, slots=True)
class Contraction:
    pass


@dataclass(frozen=True, slots=True)
class ScatterAdd:
    pass


@dataclass(frozen=True, slots=True)
class Scatter:
    """inputs: x, values, an index tensor for each of attrs["axes"]; attrs["mode"] combines."""


@dataclass(frozen=True, slots=True)
class Cumulative:
    """Along attrs["axis"], from its end where attrs["reverse"].

    initial: of a dtype, what stands before the first element. wide: floats are kept in float64
    and rounded where they are stored.
    """

    step: Callable[[Expr, Expr], Expr]
    initial: Callable[[DType], float]
    wide: bool = True


@dataclass(frozen=True, slots=True)
class Sort:
    """Outputs: values and positions. Along attrs["axis"], downwards where attrs["descending"].
    attrs["count"], an int that ops may have: only so many, the first.

    Stable; NaN comes last either way.
    """


@dataclass(frozen=True, slots=True)
class Search:
    """Inputs: a sorted row and values. Those equal to the value count where attrs["side"] is
    "right"; NaN stands after all numbers.
    """


@dataclass(frozen=True, slots=True)
class HostCall:
    """The op's reference runs on whole arrays; symbolic sizes in its attributes are bound.

    Its inputs are read-only arrays. owned: they are copies that it may keep beyond the call, and
    whatever it raises is reported as an error of the user's function. jitted: the function on
    arrays and attributes that Numba compiles, which needs no Python where its types allow that.
    module: what the function would import in its first call, and compilation does before.
    """

    owned: bool = False
    jitted: Any = None
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Lapack:
    """Inputs and outputs: those of the routine, after batch axes that are equal for all.

    attrs: the routine's options, sizes that no input shows, and caller, for errors.
    """

    routine: str


@dataclass(frozen=True, slots=True)
class WindowProduct:
    """attrs: subscripts (ir.product_notation), the loops (axes, sizes) from the outermost inwards,
    and `outer`: summed axes that run outside, so that what is summed inside stays in a cache.
    """


@dataclass(frozen=True, slots=True)
class MinimalFiltering:
    """attrs: count, before, channels, panel, gradient, all sizes known; see
    ops.minimal_filtering."""


@dataclass(frozen=True, slots=True)
class FilterTransform:
    """attrs: panel, channels_last, turned, back; see ops.minimal_filtering."""


@dataclass(frozen=True, slots=True)
class DepthwiseProduct:
    """attrs: size, count, kernel, stride, dilation, before, each with whole numbers for the spatial
    axes; see ops.depthwise_product.
    """


@dataclass(frozen=True, slots=True)
class ColumnFourier:
    """attrs: radices, whose product is the length of the transform, inverse, scale, given and made;
    see ops.column_fourier."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A loop over the graph in attrs["body"]; see ops.control."""


@dataclass(frozen=True, slots=True)
class While:
    """A loop over the graph in attrs["body"] while attrs["condition"] holds; see ops.while_loop.

    It binds the size attrs["length"] to the number of its steps.
    """


@dataclass(frozen=True, slots=True)
class Branches:
    """One of the graphs in attrs["branches"], chosen by input 0; see ops.branches."""


@dataclass(frozen=True, slots=True)
class OfParts:
    """Ops between complex numbers and their parts; the op's `parts` rule is all there is."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Placeholders, variables and array constants: values that exist before the program runs."""


Lowering = (
    Elementwise
    | IndexMap
    | Reduction
    | Composite
    | Reinterpret
    | Pieces
    | Contraction
    | ScatterAdd
    | Scatter
    | Cumulative
    | Sort
    | Search
    | HostCall
    | Lapack
    | WindowProduct
    | MinimalFiltering
    | FilterTransform
    | DepthwiseProduct
    | ColumnFourier
    | Scan
    | While
    | Branches
    | OfParts
    | Leaf
)


ALL_WELL = 1 << 62  # what a check of values computes where it finds nothing; else a position
CheckError = Callable[[int, Mapping[str, int]], GraphcError]


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """Input `input` must hold integers in [minimum, size).

    minimum: -size by default, so that negative indices count from the end. error: what to raise,
    of the bad number and the values of symbolic sizes; IndexOutOfRange by default. op: the name
    that the user knows, if it is not that of the op.
    """

    input: int
    axis: int
    size: Size
    minimum: Size | None = None
    error: CheckError | None = None
    op: str | None = None

    @property
    def lowest(self) -> Size:
        return -self.size if self.minimum is None else self.minimum


IndexChecks = Callable[[LoweringContext], list[IndexCheck]]


def routine_sizes(
    routine: Routine, types: Sequence[TensorType], attrs: Attributes
) -> tuple[Shape, dict[str, Size]]:
    """The batch axes of a routine's inputs, and the sizes that inputs and attributes show."""
    first = types[0].shape
    batch = first[: len(first) - len(routine.inputs[0].shape)]
    sizes: dict[str, Size] = {}
    for operand, type_ in zip(routine.inputs, types, strict=True):
        own = type_.shape[type_.ndim - len(operand.shape) :]
        for name, size in zip(operand.shape, own, strict=True):
            sizes.setdefault(name, size)
    sizes |= {name: attrs[name] for name in routine.size_names if name in attrs}
    return batch, sizes
