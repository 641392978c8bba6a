"""The rewrites that run before an expression is differentiated.

The derivative of log(sigmoid(x)) is stable only if it is known as such: 1/p * p * (1 - p) cannot be
put right afterwards. So the canonical and the stabilising rules come first, and differentiation
sees -softplus(-x), whose derivative is sigmoid(-x).
"""

from collections.abc import Sequence

from graphc.ir.tensor import Tensor
from graphc.passes.pipeline import PREPARATION
from graphc.rewrite.driver import rewrite

__all__ = ["prepare"]


def prepare(outputs: Sequence[Tensor], barriers: Sequence[Tensor]) -> list[Tensor]:
    """The outputs in the form in which they are differentiated.

    barriers: tensors that survive as they are, like leaves.
    """
    return rewrite(outputs, PREPARATION, barriers=barriers)
