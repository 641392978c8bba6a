"""Factorisations of small matrices, written out entry by entry: many matrices side by side.

LAPACK takes about a tenth of a microsecond for a matrix of 4 x 4, whatever its size; the formulas
of a batch run in the lanes of vectors and are fused with what is around them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from graphc.errors import GraphcError, LinearAlgebraError
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import ALL_WELL, Elementwise, IndexCheck, LoweringContext
from graphc.ir.opdef import Application, Example, Generator, Gradients, OpDef
from graphc.ir.registry import Builder, register
from graphc.ir.tensor import Tensor
from graphc.lapack import encode, explain_failure
from graphc.shapes import size_product

Rows = list[list[Tensor]]

LARGEST = 4  # rows, and right-hand sides


def is_small(a: Tensor, rhs: Tensor | None = None) -> bool:
    """Whether a square matrix is, and has few right-hand sides."""
    sizes = [a.shape[-1]] if rhs is None else [a.shape[-1], rhs.shape[-1]]
    return all(isinstance(size, int) and 1 <= size <= LARGEST for size in sizes)


def entries(x: Tensor) -> Rows:
    """x[..., i, j], the sizes of both axes known."""
    rows, columns = x.shape[-2:]
    assert isinstance(rows, int) and isinstance(columns, int)
    return [[x[..., i, j] for j in range(columns)] for i in range(rows)]


def joined(b: Builder, rows: Rows) -> Tensor:
    """The matrices of these entries."""
    flat = b.stack([entry for row in rows for entry in row], axis=-1)
    return b.reshape(flat, (*flat.shape[:-1], len(rows), len(rows[0])))


# --- failures ------------------------------------------------------------------------------------


def _checks(context: LoweringContext) -> list[IndexCheck]:
    routine, caller = context.attrs["routine"], context.attrs["caller"]
    batched = context.attrs["batched"]

    def error(code: int, sizes: Mapping[str, int]) -> GraphcError:
        message, fix = explain_failure(routine, caller, encode(code >> 8, code & 0xFF), batched)
        return LinearAlgebraError(message, fix=fix)

    return [IndexCheck(1, 0, ALL_WELL + 1, ALL_WELL, error)]


def _vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    return [gradients[0], None]


def _examples(rng: Generator) -> list[Example]:
    well = {"routine": "potrf", "caller": "cholesky", "batched": True}
    return [
        Example(
            lambda x: FACTORED(x, as_tensor(np.int64(ALL_WELL)), **well), (rng.normal(size=(2, 3)),)
        )
    ]


FACTORED: OpDef = register(
    OpDef(
        "factored",
        infer=lambda call: call.types[0],
        reference=lambda attrs, x, code: x,
        lower=Elementwise(lambda context, x, code: x),
        vjp=_vjp,
        jvp=lambda b, a, tangents: [tangents[0]],
        index_checks=_checks,
        traits=frozenset({"transparent"}),
        examples=_examples,
    )
)


class Failures:
    """Which pivots of which matrices are no use, and the check of it."""

    def __init__(self, b: Builder, routine: str, caller: str) -> None:
        self.b = b
        self.attrs = {"routine": routine, "caller": caller}
        self.useless: list[Tensor] = []

    def checked(self, values: Sequence[Tensor]) -> list[Tensor]:
        """The values, of the shape of the batch; the call fails where a pivot is useless."""
        b, status = self.b, as_tensor(np.int64(0))
        for number in reversed(range(len(self.useless))):
            status = b.where(self.useless[number], as_tensor(np.int64(number + 1)), status)
        shape = self.useless[0].shape
        count = size_product(shape)
        flat = b.reshape(status, (count,))
        place = b.multiply(b.arange(count), as_tensor(np.int64(256)))
        code = b.where(b.equal(flat, 0), as_tensor(np.int64(ALL_WELL)), b.add(place, flat))
        found = b.min(code, initial=ALL_WELL)
        return [FACTORED(value, found, batched=bool(shape), **self.attrs) for value in values]


# --- Cholesky ------------------------------------------------------------------------------------


def cholesky_factor(b: Builder, a: Tensor) -> Tensor:
    """L with L @ L.T = a, from the lower triangle of a."""
    size = len(rows := entries(a))
    failures = Failures(b, "potrf", "cholesky")
    factor: Rows = [[] for _ in range(size)]
    for j in range(size):
        square = _less_products(b, rows[j][j], factor[j], factor[j])
        failures.useless.append(b.logical_not(b.greater(square, 0)))
        root = b.sqrt(square)
        inverse = b.divide(1, root)
        for i in range(j + 1, size):
            rest = _less_products(b, rows[i][j], factor[i], factor[j])
            factor[i].append(b.multiply(rest, inverse))
        factor[j].append(root)
    known = iter(failures.checked([entry for row in factor for entry in row]))
    zero = b.zeros_like(rows[0][0])
    return joined(b, [[next(known) if j <= i else zero for j in range(size)] for i in range(size)])


def _less_products(b: Builder, x: Tensor, left: list[Tensor], right: list[Tensor]) -> Tensor:
    """x - left[0] right[0] - left[1] right[1] ..."""
    for one, other in zip(left, right, strict=False):
        x = b.subtract(x, b.multiply(one, other))
    return x


# --- equations -----------------------------------------------------------------------------------


def solution(b: Builder, a: Rows, rhs: Rows, caller: str) -> Tensor:
    """The x with a @ x = rhs, by elimination with the largest pivot of each column."""
    size, failures = len(a), Failures(b, "getrs", caller)
    rows = [[*left, *right] for left, right in zip(a, rhs, strict=True)]
    for k in range(size):
        for i in range(k + 1, size):  # the row with the larger entry comes to place k
            larger = b.greater(b.abs(rows[i][k]), b.abs(rows[k][k]))
            rows[k], rows[i] = (
                [*rows[i][:k], *[b.where(larger, x, y) for x, y in zip(one, other, strict=True)]]
                for one, other in ((rows[i][k:], rows[k][k:]), (rows[k][k:], rows[i][k:]))
            )
        failures.useless.append(b.equal(rows[k][k], 0))
        inverse = b.divide(1, rows[k][k])
        for i in range(k + 1, size):
            factor = b.multiply(rows[i][k], inverse)
            for j in range(k + 1, len(rows[i])):
                rows[i][j] = b.subtract(rows[i][j], b.multiply(factor, rows[k][j]))
    found: Rows = [[] for _ in range(size)]
    for k in reversed(range(size)):
        for column in range(len(rhs[0])):
            value = rows[k][size + column]
            for j in range(k + 1, size):
                value = b.subtract(value, b.multiply(rows[k][j], found[j][column]))
            found[k].append(b.divide(value, rows[k][k]))
    known = iter(failures.checked([entry for row in found for entry in row]))
    return joined(b, [[next(known) for _ in row] for row in found])


def triangular_solution(
    b: Builder, a: Rows, rhs: Rows, lower: bool, transpose: bool, unit_diagonal: bool
) -> Tensor:
    """The x with t @ x = rhs, t the lower or upper triangle of a, or its transpose."""
    size = len(a)
    failures = Failures(b, "trsm", "triangular_solve")
    if transpose:
        a = [[a[j][i] for j in range(size)] for i in range(size)]
    forwards = lower is not transpose
    order = range(size) if forwards else range(size - 1, -1, -1)
    found: Rows = [[] for _ in range(size)]
    for i in order:
        before = range(i) if forwards else range(i + 1, size)
        for column in range(len(rhs[0])):
            value = rhs[i][column]
            for j in before:
                value = b.subtract(value, b.multiply(a[i][j], found[j][column]))
            found[i].append(value if unit_diagonal else b.divide(value, a[i][i]))
    values = [entry for row in found for entry in row]
    if not unit_diagonal:
        failures.useless = [b.equal(a[i][i], 0) for i in range(size)]
        values = failures.checked(values)
    known = iter(values)
    return joined(b, [[next(known) for _ in row] for row in found])
