"""Sylvester's equation, a @ x + x @ b = q, by the Schur forms of both matrices."""

from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.ir.batch import leading
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import matrix_inputs, mT, regular, require_square, routine

__all__: list[str] = []  # public in the namespace graphc.linalg


def _infer_sylvester(call: Inference) -> TensorType:
    a, b, q = call.types
    call.require_equal(a.shape[-2], a.shape[-1], f"rows and columns of {a}")
    call.require_equal(b.shape[-2], b.shape[-1], f"rows and columns of {b}")
    call.require_equal(a.shape[-1], q.shape[-2], f"rows of {q} beside {a}")
    call.require_equal(b.shape[-1], q.shape[-1], f"columns of {q} beside {b}")
    return q


def _reference_sylvester(
    attrs: Attributes, a: np.ndarray, b: np.ndarray, q: np.ndarray
) -> np.ndarray:
    t, u = routine("gees", np.swapaxes(a, -1, -2), caller="solve_sylvester")
    s, v = routine("gees", np.swapaxes(b, -1, -2), caller="solve_sylvester")
    inner = v @ np.swapaxes(q, -1, -2) @ np.swapaxes(u, -1, -2)
    y, scale = routine("trsyl", t, s, inner, caller="solve_sylvester")
    whole = np.swapaxes(v, -1, -2) @ y @ u / scale[..., None, None]
    return np.asarray(np.swapaxes(whole, -1, -2)).astype(q.dtype)


def _build_sylvester(b: Builder, first: Tensor, second: Tensor, q: Tensor) -> Tensor:
    """a = U T U^T, b = V S V^T: T y + y S = U^T q V. All matrices lie by columns here."""
    t, u = b.lapack("gees", mT(b, first), caller="solve_sylvester")
    s, v = b.lapack("gees", mT(b, second), caller="solve_sylvester")
    inner = b.matmul(b.matmul(v, mT(b, q)), u, transpose_b=True)
    y, scale = b.lapack("trsyl", t, s, inner, caller="solve_sylvester")
    whole = b.matmul(b.matmul(v, y, transpose_a=True), u)
    return mT(b, b.divide(whole, b.expand_dims(b.expand_dims(scale, -1), -1)))


def _vjp_sylvester(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """a^T y + y b^T = dx:  dq = y, da = -y x^T, db = -x^T y."""
    first, second, _ = a.inputs
    assert gradients[0] is not None
    y = SYLVESTER(mT(b, first), mT(b, second), gradients[0])
    x = a.output
    return [
        b.negative(b.matmul(y, x, transpose_b=True)),
        b.negative(b.matmul(x, y, transpose_a=True)),
        y,
    ]


def _jvp_sylvester(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    """a dx + dx b = dq - da x - x db"""
    first, second, q = a.inputs
    side = b.zeros_like(q) if tangents[2] is None else tangents[2]
    if tangents[0] is not None:
        side = b.subtract(side, b.matmul(tangents[0], a.output))
    if tangents[1] is not None:
        side = b.subtract(side, b.matmul(a.output, tangents[1]))
    return [SYLVESTER(first, second, side)]


def _sylvester_examples(rng: Generator) -> list[Example]:
    def build(a: Tensor, b: Tensor, q: Tensor) -> Tensor:
        return solve_sylvester(regular(a), regular(b), q)

    none: tuple[int, ...] = ()
    shapes = ((none, 3, 2), (none, 2, 4), ((2,), 2, 2), (none, 0, 2), (none, 1, 1))
    return [
        Example(build, tuple(rng.uniform(-1, 1, batch + two) for two in ((m, m), (n, n), (m, n))))
        for batch, m, n in shapes
    ]


SYLVESTER: OpDef = register(
    OpDef(
        "sylvester",
        infer=_infer_sylvester,
        reference=_reference_sylvester,
        lower=Composite(_build_sylvester),
        vjp=_vjp_sylvester,
        jvp=_jvp_sylvester,
        batch=leading,
        examples=_sylvester_examples,
    )
)


@public
def solve_sylvester(a: Any, b: Any, q: Any) -> Tensor:
    """The x with a @ x + x @ b = q, by Bartels' and Stewart's algorithm (LAPACK gees, trsyl);
    scipy.linalg.solve_sylvester.

    a: [..., m, m], b: [..., n, n], q and x: [..., m, n]; batch axes broadcast. float32 or float64;
    integers and bool become float32. Gradients solve an equation of the same kind. Raises
    ShapeError, DTypeError; LinearAlgebraError (E406) at the call where a and -b have eigenvalues
    that are the same or too near.
    """
    first, second, right = matrix_inputs("solve_sylvester", a, b, q)
    for matrix in (first, second):
        require_square("solve_sylvester", matrix)
    if right.ndim < 2:
        raise ShapeError(
            f"solve_sylvester: q needs at least 2 axes, got {right.type}",
            source=current_source(),
            fix="q has the rows of a and the columns of b",
        )
    batch = BUILDER.add(
        BUILDER.add(BUILDER.zeros(first.shape[:-2]), BUILDER.zeros(second.shape[:-2])),
        BUILDER.zeros(right.shape[:-2]),
    ).shape
    return SYLVESTER(
        *(BUILDER.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (first, second, right))
    )
