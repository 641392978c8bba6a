"""The logarithm of whole matrices."""

from typing import Any

import numpy as np

from graphc.ir.batch import leading
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes
from graphc.ir.opdef import OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import (
    identity,
    matrix_examples,
    of_any,
    regular,
    square_input,
    square_type,
)
from graphc.ops.matrix_functions import SQRTM, block_jvp, block_vjp

__all__: list[str] = []  # public in the namespace graphc.linalg

# Gauss and Legendre's nodes and weights on [0, 1]: log(1 + x) is the integral of x / (1 + t x),
# and eight of them have 16 digits of it up to a norm of 0.3 (Higham 2008, "Functions of matrices",
# table 11.1).
_NODES, _WEIGHTS = (values.tolist() for values in np.polynomial.legendre.leggauss(8))
NEAR = 0.3
MOST_ROOTS = 64  # many times what finite matrices need


def _reference_logm(attrs: Attributes, a: np.ndarray) -> np.ndarray:
    one = np.eye(a.shape[-1], dtype=a.dtype)
    roots = np.zeros((*a.shape[:-2], 1, 1))
    for _ in range(MOST_ROOTS):
        far = np.sqrt(np.sum(np.square(a - one), axis=(-2, -1), keepdims=True)) > NEAR
        if not far.any():
            break
        a = np.where(far, SQRTM.reference({}, a), a)
        roots = roots + far
    x = a - one
    total = np.zeros_like(x)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        if np.isfinite(x).all():
            total += weight / 2 * np.linalg.solve(one + (node + 1) / 2 * x, x)
        else:
            total += np.nan
    return np.asarray(total * 2.0**roots).astype(a.dtype)


def _build_logm(b: Builder, a: Tensor) -> Tensor:
    """Square roots until the matrix is near the identity, a quadrature, and back by powers of 2."""
    one = identity(b, a)

    def is_far(x: Tensor) -> Tensor:
        size = b.sum(b.square(b.subtract(x, one)), axis=(-2, -1), keepdims=True)
        return b.greater(b.sqrt(size), NEAR)

    def step(x: Tensor, roots: Tensor) -> tuple[Tensor, Tensor]:
        far = is_far(x)
        return b.where(far, SQRTM(x), x), b.add(roots, far.astype(a.dtype))

    _, (near, roots) = b.while_loop(
        lambda carry: b.logical_and(b.less(carry[0], MOST_ROOTS), b.any(is_far(carry[1][0]))),
        lambda carry: (b.add(carry[0], 1), step(*carry[1])),
        (0, (a, b.zeros((*a.shape[:-2], 1, 1), a.dtype))),
    )
    x = b.subtract(near, one)
    terms = [
        b.multiply(b.solve(b.add(one, b.multiply(x, (node + 1) / 2)), x), weight / 2)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True)
    ]
    return b.multiply(b.add_n(terms), b.exp2(roots))


LOGM: OpDef = register(
    OpDef(
        "logm",
        infer=square_type,
        reference=_reference_logm,
        lower=Composite(_build_logm),
        vjp=block_vjp,
        jvp=block_jvp,
        batch=leading,
        examples=matrix_examples(lambda x: logm(regular(x)), ((3, 3), (2, 2, 2), (1, 1), (0, 0))),
    )
)


@public
def logm(x: Any, /) -> Tensor:
    """The principal logarithm of square matrices, expm(logm(x)) = x: [..., n, n];
    scipy.linalg.logm.

    By inverse scaling and squaring (Higham 2008, "Functions of matrices", 11.5). Singular matrices
    and those with an eigenvalue on the negative real axis give nan; take the logarithm of the
    matrix as complex128 a little beside the axis instead. Floats of 4 and 8 bytes and complex
    numbers of them; integers and bool become float32. Raises ShapeError, DTypeError.
    """
    return of_any(LOGM, square_input("logm", x))
