"""The stabilising rewrites that run before an expression is differentiated."""

from collections.abc import Sequence

from graphc.ir.tensor import Tensor

__all__ = ["prepare"]


def prepare(outputs: Sequence[Tensor], barriers: Sequence[Tensor]) -> list[Tensor]:
    """The outputs in the form in which they are differentiated.

    barriers: tensors that survive as they are, like leaves.
    """
    return list(outputs)
