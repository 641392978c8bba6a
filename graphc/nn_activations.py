"""Activations and attention, as `gc.nn.elu`, `gc.nn.glu`, `gc.nn.dot_product_attention`."""

import math
from typing import Any

from graphc.dtypes import float32, is_half
from graphc.errors import ShapeError
from graphc.ir.arguments import AxisLike, checked_axis
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import floating, one_input, promote_inputs, widened

__all__ = [
    "celu",
    "dot_product_attention",
    "elu",
    "glu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "log_sigmoid",
    "mish",
    "relu6",
    "selu",
    "softsign",
    "squareplus",
    "standardize",
]

SELU_SCALE = 1.0507009873554805  # Klambauer et al., 2017 (arXiv 1706.02515)
SELU_ALPHA = 1.6732632423543772


@public
def elu(x: Any, alpha: Any = 1.0) -> Tensor:
    """x above 0, else alpha (exp(x) - 1) (Clevert et al. 2015, arXiv 1511.07289).

    x: any shape; integers and bool become float32. alpha: a number, or a tensor that broadcasts.
    """
    tensor = floating(one_input("elu", x))
    return BUILDER.where(tensor > 0, tensor, alpha * BUILDER.expm1(tensor))


@public
def celu(x: Any, alpha: Any = 1.0) -> Tensor:
    """x above 0, else alpha (exp(x / alpha) - 1): elu with a slope of 1 at 0 (Barron 2017, arXiv
    1704.07483). x, alpha: as of elu."""
    tensor = floating(one_input("celu", x))
    return BUILDER.where(tensor > 0, tensor, alpha * BUILDER.expm1(tensor / alpha))


@public
def selu(x: Any) -> Tensor:
    """The scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017, arXiv 1706.02515).

    x: any shape; integers and bool become float32.
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


@public
def relu6(x: Any) -> Tensor:
    """relu, at most 6. x: any shape and real dtype."""
    return BUILDER.clip(one_input("relu6", x), 0, 6)


@public
def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6. x: any shape; integers and bool become float32."""
    return BUILDER.clip(floating(one_input("hard_sigmoid", x)) + 3, 0, 6) / 6


@public
def hard_silu(x: Any) -> Tensor:
    """x hard_sigmoid(x), also called hard swish (Howard et al. 2019, arXiv 1905.02244). x: any
    shape; integers and bool become float32."""
    tensor = floating(one_input("hard_silu", x))
    return tensor * hard_sigmoid(tensor)


@public
def hard_tanh(x: Any) -> Tensor:
    """x between -1 and 1, else the nearer of the two. x: any shape and real dtype."""
    return BUILDER.clip(one_input("hard_tanh", x), -1, 1)


@public
def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)), exact in both tails. x: any shape; integers and bool become float32."""
    return BUILDER.log_expit(one_input("log_sigmoid", x))


@public
def mish(x: Any) -> Tensor:
    """x tanh(softplus(x)) (Misra 2019, arXiv 1908.08681). x: any shape; integers and bool become
    float32."""
    tensor = floating(one_input("mish", x))
    return tensor * BUILDER.tanh(BUILDER.softplus(tensor))


@public
def softsign(x: Any) -> Tensor:
    """x / (1 + |x|). x: any shape; integers and bool become float32."""
    tensor = floating(one_input("softsign", x))
    return tensor / (1 + BUILDER.abs(tensor))


@public
def squareplus(x: Any, b: Any = 4.0) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2, a softplus without exponentials (Barron 2021, arXiv 2112.11687).

    x: any shape; integers and bool become float32. b: a number > 0, or a tensor that broadcasts.
    Computed as b / (sqrt(x^2 + b) - x) / 2 for x < 0, where the sum cancels.
    """
    tensor = floating(one_input("squareplus", x))
    root = BUILDER.sqrt(BUILDER.square(tensor) + b)
    falls = tensor < 0
    below = b / (root - BUILDER.where(falls, tensor, 0))
    return BUILDER.where(falls, below, tensor + root) * 0.5


@public
def glu(x: Any, axis: int = -1) -> Tensor:
    """a sigmoid(b), a and b the halves of x along an axis (Dauphin et al. 2016, arXiv 1612.08083).

    x: integers and bool become float32; the size of the axis is even, else ShapeError.
    """
    tensor = floating(one_input("glu", x))
    place = checked_axis("glu", axis, tensor.ndim)
    size = tensor.shape[place]
    if isinstance(size, int) and size % 2:
        raise ShapeError(
            f"glu: axis {place} of {tensor.type} has no halves",
            source=current_source(),
            fix="the size of the axis must be even",
        )
    first, second = BUILDER.split(tensor, 2, axis=place)
    return first * BUILDER.sigmoid(second)


@public
def standardize(x: Any, axis: AxisLike | None = -1, epsilon: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) along the axes.

    x: any shape; integers and bool become float32. Raises ShapeError for axes that x does not have.
    """
    tensor = floating(one_input("standardize", x))
    wide = widened(tensor)
    centred = wide - BUILDER.mean(wide, axis=axis, keepdims=True)
    variance = BUILDER.mean(BUILDER.square(centred), axis=axis, keepdims=True)
    return (centred * BUILDER.rsqrt(variance + epsilon)).astype(tensor.dtype)


@public
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
) -> Tensor:
    """softmax(scale query key^T + bias) value for each head; jax.nn.dot_product_attention.

    query: [..., T, N, H]. key, value: [..., S, K, H], where K divides N: each head of key and value
    serves N / K heads of query. bias: broadcasts to [..., N, T, S]. mask: bool that broadcasts to
    it; where it is False a position is not looked at. is_causal: position t looks at s <= t. scale:
    1 / sqrt(H) by default. Result: the shape of query. Floats; float16 and bfloat16 have their
    softmax in float32. A row that looks at nothing weighs all positions equally. Vaswani et al.
    2017 (arXiv 1706.03762). Raises ShapeError.
    """
    q, k, v = (floating(x) for x in promote_inputs("dot_product_attention", query, key, value))
    _check_heads(q, k, v)
    heads, groups = q.shape[-2], k.shape[-2]
    q, k, v = (BUILDER.swapaxes(x, -2, -3) for x in (q, k, v))  # [..., heads, positions, H]
    shape = q.shape
    if heads != groups:
        each = heads // groups
        k, v = (BUILDER.repeat(x, each, axis=-3) for x in (k, v))
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = BUILDER.matmul(q, BUILDER.matrix_transpose(k)) * factor
    if is_half(scores.dtype):
        scores = scores.astype(float32)
    if bias is not None:
        scores = scores + as_tensor(bias).astype(scores.dtype)
    least = -2.4e38  # finite, so that a row of nothing else is no nan
    if mask is not None:
        scores = BUILDER.where(as_tensor(mask), scores, least)
    if is_causal:
        rows, columns = BUILDER.arange(shape[-2]), BUILDER.arange(k.shape[-2])
        scores = BUILDER.where(BUILDER.expand_dims(rows, -1) >= columns, scores, least)
    weights = BUILDER.softmax(scores, axis=-1).astype(v.dtype)
    return BUILDER.swapaxes(BUILDER.matmul(weights, v), -2, -3)


def _check_heads(q: Tensor, k: Tensor, v: Tensor) -> None:
    ranks = {x.ndim for x in (q, k, v)}
    fits = len(ranks) == 1 and q.ndim >= 3
    if fits:
        sizes = q.shape[-2], k.shape[-2]
        known = all(isinstance(size, int) for size in (*sizes, q.shape[-1]))
        fits = known and sizes[1] == v.shape[-2] and sizes[1] > 0 and sizes[0] % sizes[1] == 0
        fits = fits and q.shape[-1] == k.shape[-1]
    if not fits:
        raise ShapeError(
            "dot_product_attention: the operands do not fit",
            details=[f"query: {q.type}    key: {k.type}    value: {v.type}"],
            source=current_source(),
            fix="query [..., T, N, H], key and value [..., S, K, H]; N, K and H are numbers, and K "
            "divides N",
        )
