"""Functions of whole matrices: the exponential."""

from typing import Any

import numpy as np

from graphc.dtypes import float32
from graphc.ir.batch import leading
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes
from graphc.ir.opdef import Application, Gradients, OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import identity, matrix_examples, mT, square_input, square_type

__all__: list[str] = []  # public in the namespace graphc.linalg

# Higham 2005, "The scaling and squaring method for the matrix exponential revisited": by the
# precision of the dtype, the norm up to which the Padé approximant is exact, and its coefficients.
_SINGLE = (
    3.925724783138660,
    (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0),
)
_DOUBLE = (
    5.371920351148152,
    (
        *(64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0),
        *(129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0),
        *(40840800.0, 960960.0, 16380.0, 182.0, 1.0),
    ),
)
MOST_SQUARINGS = 1100  # more than any finite matrix needs


def _reference_expm(attrs: Attributes, a: np.ndarray) -> np.ndarray:
    limit, c = _SINGLE if a.dtype == float32 else _DOUBLE
    size = np.sqrt(np.sum(a * a, axis=(-2, -1)))
    finite = np.isfinite(size)
    steps = np.ceil(np.log2(np.where(finite & (size > limit), size, limit) / limit))
    a = (a / 2.0 ** steps[..., None, None]).astype(a.dtype)
    one = np.eye(a.shape[-1], dtype=a.dtype)
    powers = [one, a @ a]
    powers += [powers[1] @ powers[1], powers[1] @ powers[1] @ powers[1]]
    odd: Any = sum(k * p for k, p in zip(c[1:8:2], powers, strict=True))
    even: Any = sum(k * p for k, p in zip(c[:8:2], powers, strict=True))
    if len(c) > 8:
        odd = odd + powers[3] @ sum(k * p for k, p in zip(c[9::2], powers[1:], strict=True))
        even = even + powers[3] @ sum(k * p for k, p in zip(c[8::2], powers[1:], strict=True))
    odd = a @ odd
    result = np.linalg.solve((even - odd).astype(a.dtype), (even + odd).astype(a.dtype))
    for step in range(int(steps.max(initial=0.0))):
        result = np.where((step < steps)[..., None, None], result @ result, result)
    return np.asarray(result).astype(a.dtype)


def _build_expm(b: Builder, a: Tensor) -> Tensor:
    """exp(a) = exp(a / 2^s)^(2^s): the matrices of a batch are squared together, as often as the
    largest needs, and stay when they are done."""
    limit, c = _SINGLE if a.dtype == float32 else _DOUBLE
    size = b.sqrt(b.sum(b.square(a), axis=(-2, -1)))
    counts = b.logical_and(b.isfinite(size), b.greater(size, limit))
    steps = b.ceil(b.log2(b.divide(b.where(counts, size, limit), limit)))
    steps = b.expand_dims(b.expand_dims(b.clip(steps, 0, MOST_SQUARINGS), -1), -1)
    a = b.multiply(a, b.exp2(b.negative(steps)))
    one = identity(b, a)
    second = b.matmul(a, a)
    fourth = b.matmul(second, second)
    powers = [one, second, fourth, b.matmul(fourth, second)]
    odd, even = _weighted(b, c[1:8:2], powers), _weighted(b, c[:8:2], powers)
    if len(c) > 8:
        odd = b.add(odd, b.matmul(powers[3], _weighted(b, c[9::2], powers[1:])))
        even = b.add(even, b.matmul(powers[3], _weighted(b, c[8::2], powers[1:])))
    odd = b.matmul(a, odd)
    small = b.solve_system(b.subtract(even, odd), b.add(even, odd), caller="expm")
    _, result = b.while_loop(
        lambda carry: b.any(b.less(carry[0], steps)),
        lambda carry: (
            b.add(carry[0], 1),
            b.where(b.less(carry[0], steps), b.matmul(carry[1], carry[1]), carry[1]),
        ),
        (b.zeros((), a.dtype), small),
    )
    return result


def _weighted(b: Builder, factors: tuple[float, ...], powers: list[Tensor]) -> Tensor:
    total = b.multiply(powers[0], factors[0])
    for factor, power in zip(factors[1:], powers[1:], strict=True):
        total = b.add(total, b.multiply(power, factor))
    return total


def _derivative(b: Builder, a: Tensor, direction: Tensor) -> Tensor:
    """exp([[a, d], [0, a]]) = [[exp(a), its derivative in direction d], [0, exp(a)]] (Najfeld and
    Havel 1995, "Derivatives of the matrix exponential and their computation")."""
    n = a.shape[-1]
    above = b.concat([a, direction], axis=-1)
    below = b.concat([b.zeros_like(a), a], axis=-1)
    return EXPM(b.concat([above, below], axis=-2))[..., :n, n:]


def _jvp_expm(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    return [None if tangents[0] is None else _derivative(b, a.inputs[0], tangents[0])]


def _vjp_expm(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """The adjoint of the derivative at x is the derivative at x.T."""
    assert gradients[0] is not None
    return [_derivative(b, mT(b, a.inputs[0]), gradients[0])]


EXPM: OpDef = register(
    OpDef(
        "expm",
        infer=square_type,
        reference=_reference_expm,
        lower=Composite(_build_expm),
        vjp=_vjp_expm,
        jvp=_jvp_expm,
        batch=leading,
        examples=matrix_examples(lambda x: expm(x * 3), ((2, 2, 2), (0, 0))),
    )
)


@public
def expm(x: Any, /) -> Tensor:
    """The exponential of square matrices, 1 + x + x @ x / 2 + ...: [..., n, n].

    By scaling and squaring (Higham 2005). float32 or float64; integers and bool become float32.
    Raises ShapeError, DTypeError.
    """
    return EXPM(square_input("expm", x))
