"""Running values along an axis: cumulative sums, products and extrema; differences."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import int64, is_bool, is_inexact
from graphc.errors import ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Cumulative
from graphc.ir.node import Node
from graphc.ir.opdef import Application, Example, Generator, Gradients, OpDef
from graphc.ir.parts import Parts, Value, partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops import complex_formulas as formulas
from graphc.ops.along_axis import accumulate, cumulative_examples, same_type, the_axis, widened
from graphc.ops.definition import floating, linear_jvp, one_input, promote_inputs
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr
from graphc.shapes import whole_number

__all__ = [
    "cumulative_logsumexp",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
]

# --- sum -----------------------------------------------------------------------------------------


def _with_initial(
    result: Tensor, axis: int, reverse: bool, include: bool, initial: float
) -> Tensor:
    """The value before the first element too, as `include_initial` asks for."""
    if not include:
        return result
    shape = (*result.shape[:axis], 1, *result.shape[axis + 1 :])
    first = BUILDER.full(shape, initial, result.dtype)
    return BUILDER.concat([result, first] if reverse else [first, result], axis=axis)


def _sum_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    assert gradients[0] is not None
    return [_running_sum(gradients[0], a, not a.attrs["reverse"])]


def _running_sum(x: Tensor, a: Application, reverse: bool) -> Tensor:
    return CUMULATIVE_SUM(x, axis=a.attrs["axis"], reverse=reverse)


@public
def cumulative_sum(
    x: Any,
    axis: int | None = None,
    *,
    dtype: Any = None,
    include_initial: bool = False,
    reverse: bool = False,
) -> Tensor:
    """out[j] = x[0] + ... + x[j] along `axis`, which may be left out if there is but one.

    x: at least one axis, any dtype. dtype: of the result, as for `sum`. include_initial: the
    result begins with a 0, and is one longer. reverse: out[j] = x[j] + ... + x[n - 1].
    Floats are added in float64; neighbours may be added before what came before them, in an order
    that the place in the row decides. Raises ShapeError for an axis that x does not have.
    """
    tensor = widened(one_input("cumulative_sum", x), dtype)
    axis = the_axis("cumulative_sum", tensor, axis)
    result = CUMULATIVE_SUM(tensor, axis=axis, reverse=bool(reverse))
    return _with_initial(result, axis, reverse, include_initial, 0)


CUMULATIVE_SUM = register(
    OpDef(
        "cumulative_sum",
        infer=same_type,
        reference=accumulate(np.add),
        lower=Cumulative(s.add, lambda dtype: -0.0 if is_inexact(dtype) else 0),
        vjp=_sum_vjp,
        jvp=linear_jvp,
        traits=frozenset({"linear"}),
        parts=partwise,
        examples=cumulative_examples(cumulative_sum),
        defaults={"reverse": False},
    )
)

# --- prod ----------------------------------------------------------------------------------------


def _without_first_zero(b: Builder, a: Application) -> tuple[Tensor, Tensor, Tensor]:
    """(where the first zero of each row is, the products with 1 in its place, x with 1 for 0)."""
    x = a.inputs[0]
    zero = b.equal(x, 0)
    number = _running_sum(b.astype(zero, int64), a, a.attrs["reverse"])
    first = b.logical_and(zero, b.equal(number, 1))
    others = CUMULATIVE_PROD(b.where(first, 1, x), **a.attrs)
    return first, others, b.where(zero, 1, x)


def _prod_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Of an element before the first zero: the sum of gradient * out behind it, over the element.

    Of the first zero: the sum of gradient * (products without it). Behind it: 0.
    """
    gradient, back = gradients[0], not a.attrs["reverse"]
    first, others, divisor = _without_first_zero(b, a)
    ordinary = b.divide(_running_sum(b.multiply(gradient, a.output), a, back), divisor)
    return [b.where(first, _running_sum(b.multiply(gradient, others), a, back), ordinary)]


def _prod_jvp(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    tangent, reverse = tangents[0], a.attrs["reverse"]
    if tangent is None:
        return [None]
    first, others, divisor = _without_first_zero(b, a)
    relative = b.divide(b.where(b.equal(a.inputs[0], 0), 0, tangent), divisor)
    ordinary = b.multiply(a.output, _running_sum(relative, a, reverse))
    return [
        b.add(ordinary, b.multiply(others, _running_sum(b.where(first, tangent, 0), a, reverse)))
    ]


def _prod_parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Parts:
    """A loop along the axis, which stacks the products so far."""
    (z,), axis = inputs, node.attrs["axis"]
    assert isinstance(z, Parts)
    rows = tuple(b.moveaxis(x, axis, 0) for x in z)

    def step(product: Any, row: Any) -> tuple[Any, Any]:
        following = tuple(formulas.multiply(b, Parts(*product), Parts(*row)))
        return following, following

    first = tuple(b.full(rows[0].shape[1:], one, z.real.dtype) for one in (1, 0))
    _, stacked = b.scan(step, first, rows, reverse=node.attrs["reverse"])
    return Parts(*(b.moveaxis(part, 0, axis) for part in stacked))


@public
def cumulative_prod(
    x: Any,
    axis: int | None = None,
    *,
    dtype: Any = None,
    include_initial: bool = False,
    reverse: bool = False,
) -> Tensor:
    """out[j] = x[0] * ... * x[j] along `axis`, which may be left out if there is but one.

    x: at least one axis, any dtype. dtype: of the result, as for `prod`. include_initial: the
    result begins with a 1, and is one longer. reverse: out[j] = x[j] * ... * x[n - 1].
    Floats are multiplied in float64, those of float32 in an order as for `cumulative_sum`. First
    derivatives are exact at zeros too, second ones where a row has one zero at most. Raises
    ShapeError for an axis that x does not have.
    """
    tensor = widened(one_input("cumulative_prod", x), dtype)
    axis = the_axis("cumulative_prod", tensor, axis)
    result = CUMULATIVE_PROD(tensor, axis=axis, reverse=bool(reverse))
    return _with_initial(result, axis, reverse, include_initial, 1)


def _prod_examples(rng: Generator) -> list[Example]:
    zeros = np.array([[2.0, 0.0, 3.0, -1.0], [0.5, 0.0, 0.0, 2.0], [0.0, 1.5, 2.0, 0.0]])
    return [
        *cumulative_examples(cumulative_prod)(rng),
        Example(lambda x: cumulative_prod(x, axis=1), (zeros,)),
        Example(lambda x: cumulative_prod(x, axis=0, reverse=True), (zeros,)),
    ]


CUMULATIVE_PROD = register(
    OpDef(
        "cumulative_prod",
        infer=same_type,
        reference=accumulate(np.multiply),
        lower=Cumulative(s.mul, lambda dtype: 1),
        vjp=_prod_vjp,
        jvp=_prod_jvp,
        parts=_prod_parts,
        examples=_prod_examples,
        defaults={"reverse": False},
    )
)

# --- logsumexp -----------------------------------------------------------------------------------


def _log_add_exp(x: Expr, y: Expr) -> Expr:
    """log(exp(x) + exp(y)); the same infinity twice stays itself."""
    difference = s.select(s.eq(x, y), s.like(x, 0.0), s.abs_(s.sub(x, y)))
    return s.add(s.maximum(x, y), s.log1p(s.exp(s.neg(difference))))


def _slope(
    b: Builder, a: Application, weights: Tensor, start: Tensor, end: Tensor, reverse: bool
) -> Tensor:
    """exp(end[j]) * the running sum of weights * exp(start), without numbers that are too large.

    Positive and negative weights are summed as logarithms, apart from each other.
    """
    parts = []
    for part in (weights, b.negative(weights)):
        positive = b.greater(part, 0)
        logs = b.where(positive, b.add(b.log(b.where(positive, part, 1)), start), -np.inf)
        total = CUMULATIVE_LOGSUMEXP(logs, axis=a.attrs["axis"], reverse=reverse)
        parts.append(b.exp(b.add(total, end)))
    return b.subtract(*parts)


def _log_divisor(b: Builder, a: Application) -> Tensor:
    """The output; 0 for -inf, the sum of nothing but zeros, whose slopes are 0."""
    return b.where(b.equal(a.output, -np.inf), 0, a.output)


def _logsumexp_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    assert gradients[0] is not None
    start, back = b.negative(_log_divisor(b, a)), not a.attrs["reverse"]
    return [_slope(b, a, gradients[0], start, a.inputs[0], back)]


def _logsumexp_jvp(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None]
    end = b.negative(_log_divisor(b, a))
    return [_slope(b, a, tangents[0], a.inputs[0], end, a.attrs["reverse"])]


@public
def cumulative_logsumexp(
    x: Any, axis: int | None = None, *, include_initial: bool = False, reverse: bool = False
) -> Tensor:
    """out[j] = log(exp(x[0]) + ... + exp(x[j])) along `axis`, for x of any size.

    x: at least one axis; integers and bool become float32. axis: may be left out if there is but
    one. include_initial: the result begins with -inf, and is one longer. reverse: of x[j], ...,
    x[n - 1]. Raises ShapeError for an axis that x does not have.
    """
    tensor = floating(one_input("cumulative_logsumexp", x))
    axis = the_axis("cumulative_logsumexp", tensor, axis)
    result = CUMULATIVE_LOGSUMEXP(tensor, axis=axis, reverse=bool(reverse))
    return _with_initial(result, axis, reverse, include_initial, -np.inf)


CUMULATIVE_LOGSUMEXP: OpDef = register(
    OpDef(
        "cumulative_logsumexp",
        infer=same_type,
        reference=accumulate(np.logaddexp),
        lower=Cumulative(_log_add_exp, lambda dtype: -np.inf),
        vjp=_logsumexp_vjp,
        jvp=_logsumexp_jvp,
        examples=cumulative_examples(cumulative_logsumexp, initial=False),
        defaults={"reverse": False},
    )
)

# --- diff ----------------------------------------------------------------------------------------


@public
def diff(x: Any, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Tensor:
    """x[j + 1] - x[j] along `axis`, `n` times; each time the axis is one shorter.

    x: at least one axis, any dtype; of bool, whether neighbours differ. prepend, append: put
    before and behind x first; along `axis` of any size, or numbers.
    Raises ShapeError for an axis that x does not have, and where fewer than n + 1 are left.
    """
    tensor = as_tensor(x)
    if tensor.ndim == 0 or whole_number(n) is None or n < 0:
        raise ShapeError(
            f"diff: got {tensor.type}, n={n!r}",
            source=current_source(),
            fix="x needs an axis, and n is a number of times, 0 or more",
        )
    axis = checked_axis("diff", axis, tensor.ndim)
    around = [_edge(tensor, value, axis) for value in (prepend, append)]
    pieces = [*around[:1], tensor, *around[1:]]
    joined = [piece for piece in pieces if piece is not None]
    tensor = BUILDER.concat(joined, axis=axis) if len(joined) > 1 else tensor
    before = (slice(None),) * axis
    size = tensor.shape[axis]
    for _ in range(min(n, size) if isinstance(size, int) else n):  # nothing is left of nothing
        high = BUILDER.getitem(tensor, (*before, slice(1, None)))
        low = BUILDER.getitem(tensor, (*before, slice(None, -1)))
        differ = BUILDER.not_equal if is_bool(tensor.dtype) else BUILDER.subtract
        tensor = differ(high, low)
    return tensor


def _edge(x: Tensor, value: Any, axis: int) -> Tensor | None:
    if value is None:
        return None
    _, edge = promote_inputs("diff", x, value)
    if edge.ndim:
        return edge
    return BUILDER.broadcast_to(edge, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
