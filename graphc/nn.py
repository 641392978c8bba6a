"""Functions for neural networks: activations, losses, convolutions, pooling: `gc.nn.relu`, ..."""

import math
from typing import TYPE_CHECKING, Any

from graphc.errors import FunctionError
from graphc.ir.registry import public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.nn_activations import (
    celu,
    dot_product_attention,
    elu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    log_sigmoid,
    mish,
    relu6,
    selu,
    softsign,
    squareplus,
    standardize,
)
from graphc.nn_convolution import (
    conv,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    depthwise_conv2d,
)
from graphc.nn_resizing import resize, upsample
from graphc.ops.adaptive_pooling import (
    adaptive_average_pool,
    adaptive_max_pool,
    global_average_pool,
    global_max_pool,
)
from graphc.ops.comparison import where
from graphc.ops.definition import floating, one_input
from graphc.ops.elementwise import add, multiply
from graphc.ops.indexing import one_hot
from graphc.ops.neural import (
    log_softmax,
    relu,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
    sparse_softmax_cross_entropy,
)
from graphc.ops.pooling import average_pool, max_pool
from graphc.ops.statistics import logsumexp
from graphc.ops.transcendental import erf, sigmoid, softplus, tanh
from graphc.other_names import missing

__all__ = [
    "adaptive_average_pool",
    "adaptive_max_pool",
    "average_pool",
    "celu",
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "depthwise_conv2d",
    "dot_product_attention",
    "elu",
    "gelu",
    "global_average_pool",
    "global_max_pool",
    "glu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "max_pool",
    "mish",
    "one_hot",
    "relu",
    "relu6",
    "resize",
    "selu",
    "sigmoid",
    "sigmoid_cross_entropy",
    "silu",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "softsign",
    "sparse_softmax_cross_entropy",
    "squareplus",
    "standardize",
    "tanh",
    "upsample",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a checker of types is to find such names

    def __getattr__(name: str) -> object:
        raise missing("nn", name, __all__)


@public
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """x for x > 0, else negative_slope * x. x: any shape; integers and bool become float32.

    The gradient at 0 is negative_slope.
    """
    tensor = floating(one_input("leaky_relu", x))
    return where(tensor > 0, tensor, multiply(tensor, negative_slope))


@public
def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish. x: any shape; integers and bool become float32."""
    tensor = floating(one_input("silu", x))
    return multiply(tensor, sigmoid(tensor))


@public
def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x times the probability that a standard normal number is below x.

    approximate: "none" for x (1 + erf(x / sqrt(2))) / 2; "tanh" for
    x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, both from Hendrycks and Gimpel 2016
    (arXiv 1606.08415). x: any shape; integers and bool become float32.
    """
    tensor = floating(one_input("gelu", x))
    if approximate == "none":
        bent = erf(multiply(tensor, math.sqrt(0.5)))
    elif approximate == "tanh":
        cubic = multiply(multiply(tensor * tensor, tensor), 0.044715)
        bent = tanh(multiply(add(tensor, cubic), math.sqrt(2 / math.pi)))
    else:
        raise FunctionError(
            f"gelu: approximate={approximate!r} is not known",
            source=current_source(),
            fix='use "none" or "tanh"',
        )
    return multiply(multiply(tensor, 0.5), add(bent, 1))
