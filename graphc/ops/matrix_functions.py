"""Functions of whole matrices: the exponential and the square root."""

from typing import Any

import numpy as np

from graphc.dtypes import float32
from graphc.ir.batch import leading
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes
from graphc.ir.opdef import Application, Gradients, OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import (
    identity,
    matrix_examples,
    mT,
    of_any,
    regular,
    routine,
    square_input,
    square_type,
)

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


def _derivative(b: Builder, function: OpDef, a: Tensor, direction: Tensor) -> Tensor:
    """f([[a, d], [0, a]]) = [[f(a), its derivative in direction d], [0, f(a)]] (Mathias 1996, "A
    chain rule for matrix functions and applications")."""
    n = a.shape[-1]
    above = b.concat([a, direction], axis=-1)
    below = b.concat([b.zeros_like(a), a], axis=-1)
    return function(b.concat([above, below], axis=-2))[..., :n, n:]


def block_jvp(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    return [None if tangents[0] is None else _derivative(b, a.node.op, a.inputs[0], tangents[0])]


def block_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """The adjoint of the derivative at x is the derivative at x.T."""
    assert gradients[0] is not None
    return [_derivative(b, a.node.op, mT(b, a.inputs[0]), gradients[0])]


EXPM: OpDef = register(
    OpDef(
        "expm",
        infer=square_type,
        reference=_reference_expm,
        lower=Composite(_build_expm),
        vjp=block_vjp,
        jvp=block_jvp,
        batch=leading,
        examples=matrix_examples(lambda x: expm(x * 3), ((2, 2, 2), (0, 0))),
    )
)


@public
def expm(x: Any, /) -> Tensor:
    """The exponential of square matrices, 1 + x + x @ x / 2 + ...: [..., n, n].

    By scaling and squaring (Higham 2005). Floats of 4 and 8 bytes and complex numbers of them;
    integers and bool become float32.
    Raises ShapeError, DTypeError.
    """
    return of_any(EXPM, square_input("expm", x))


# --- square root ---------------------------------------------------------------------------------

MOST_STEPS = 60  # many times what converges needs
FAR = 0.01  # scaling pays beyond this distance from the identity


def _close(dtype: Any) -> float:
    """How far from the identity one step more is exact."""
    return 1e-4 if dtype == float32 else 1e-8


def _reference_sqrtm(attrs: Attributes, a: np.ndarray) -> np.ndarray:
    one, n = np.eye(a.shape[-1], dtype=a.dtype), max(a.shape[-1], 1)
    x, m = a, a
    done = np.zeros((*a.shape[:-2], 1, 1), dtype=bool)
    for _ in range(MOST_STEPS):
        if done.all():
            break
        far = np.sqrt(np.sum(np.square(m - one), axis=(-2, -1), keepdims=True))
        factors, exchanges, status = routine("getrf", m, caller="lu")
        held = factors, exchanges, np.zeros_like(status), np.broadcast_to(one, m.shape)
        pivots = np.abs(np.diagonal(factors, axis1=-2, axis2=-1))
        scale = np.exp(-np.sum(np.log(pivots), axis=-1) / n)[..., None, None]
        factor = np.where(far > FAR, scale, 1)
        inverse = routine("getrs", *held, caller="sqrtm", transpose="N")[0] / factor
        moved = 0.5 * np.sqrt(factor) * (x + x @ inverse)
        nearer = 0.5 * (one + 0.5 * (factor * m + inverse))
        x = np.where(done, x, np.where(np.isfinite(far), moved, np.nan)).astype(a.dtype)
        m = np.where(done, m, nearer).astype(a.dtype)
        done = done | ~(far > _close(a.dtype) * n)
    return np.where(done, x, a.dtype.type(np.nan))


def _build_sqrtm(b: Builder, a: Tensor) -> Tensor:
    """M[0] = X[0] = a, with factors f = |det M|^(-1/n) as long as M is far from the identity:

        X' = sqrt(f) (X + X (f M)^-1) / 2    M' = (1 + (f M + (f M)^-1) / 2) / 2

    X goes to the root and M to the identity, twice as many digits each step. A singular M, whose
    factors are used all the same, makes nan."""
    one, n = identity(b, a), b.astype(b.maximum(a.shape[-1], 1), a.dtype)
    start = b.zeros((*a.shape[:-2], 1, 1), "bool")

    def step(x: Tensor, m: Tensor, done: Tensor) -> tuple[Tensor, ...]:
        far = b.sqrt(b.sum(b.square(b.subtract(m, one)), axis=(-2, -1), keepdims=True))
        factors, exchanges, status = b.lapack("getrf", m, caller="lu")
        held = factors, exchanges, b.zeros_like(status), b.broadcast_to(one, m.shape)
        size = b.sum(b.log(b.abs(b.diagonal(factors, 0, -2, -1))), axis=-1)
        scale = b.expand_dims(b.expand_dims(b.exp(b.negative(b.divide(size, n))), -1), -1)
        factor = b.where(b.greater(far, FAR), scale, 1)
        inverse = b.divide(b.lapack("getrs", *held, caller="sqrtm", transpose="N")[0], factor)
        moved = b.multiply(b.add(x, b.matmul(x, inverse)), b.multiply(b.sqrt(factor), 0.5))
        mean = b.multiply(b.add(b.multiply(m, factor), inverse), 0.5)
        nearer = b.multiply(b.add(one, mean), 0.5)
        moved = b.where(b.isfinite(far), moved, np.nan)
        over = b.logical_not(b.greater(far, b.multiply(n, _close(a.dtype))))
        return b.where(done, x, moved), b.where(done, m, nearer), b.logical_or(done, over)

    _, (found, _, done) = b.while_loop(
        lambda carry: b.logical_and(
            b.less(carry[0], MOST_STEPS), b.logical_not(b.all(carry[1][2]))
        ),
        lambda carry: (b.add(carry[0], 1), step(*carry[1])),
        (0, (a, a, start)),
    )
    return b.where(done, found, np.nan)


SQRTM: OpDef = register(
    OpDef(
        "sqrtm",
        infer=square_type,
        reference=_reference_sqrtm,
        lower=Composite(_build_sqrtm),
        vjp=block_vjp,
        jvp=block_jvp,
        batch=leading,
        examples=matrix_examples(
            lambda x: sqrtm(regular(x)), ((3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2))
        ),
    )
)


@public
def sqrtm(x: Any, /) -> Tensor:
    """The principal square root of square matrices, r @ r = x: [..., n, n]; scipy.linalg.sqrtm.

    The root whose eigenvalues have positive real parts, by the product form of Denman's and
    Beavers' iteration (Cheng, Higham, Kenney and Laub 2001, "Approximating the logarithm of a
    matrix to specified accuracy"). Singular matrices and those with an eigenvalue on the negative
    real axis give nan. Floats of 4 and 8 bytes and complex numbers of them; integers and bool
    become float32. Raises ShapeError, DTypeError.
    """
    return of_any(SQRTM, square_input("sqrtm", x))
