"""Factorisations of small matrices, written out entry by entry: many matrices side by side.

LAPACK takes about a tenth of a microsecond for a matrix of 4 x 4, whatever its size; the formulas
of a batch run in the lanes of vectors and are fused with what is around them.
"""

from collections.abc import Mapping

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

    def checked_rows(self, rows: Rows) -> Rows:
        """The entries, of the shape of the batch; the call fails where a pivot is useless."""
        if not self.useless:
            return rows
        b, status = self.b, as_tensor(np.int64(0))
        for number in reversed(range(len(self.useless))):
            status = b.where(self.useless[number], as_tensor(np.int64(number + 1)), status)
        shape = self.useless[0].shape
        count = size_product(shape)
        flat = b.reshape(status, (count,))
        place = b.multiply(b.arange(count), as_tensor(np.int64(256)))
        code = b.where(b.equal(flat, 0), as_tensor(np.int64(ALL_WELL)), b.add(place, flat))
        found = b.min(code, initial=ALL_WELL)
        attrs = {**self.attrs, "batched": bool(shape)}
        return [[FACTORED(entry, found, **attrs) for entry in row] for row in rows]


# --- Cholesky ------------------------------------------------------------------------------------


def cholesky_factor(b: Builder, a: Tensor) -> Tensor:
    """L with L @ L.T = a, from the lower triangle of a."""
    size = len(rows := entries(a))
    failures = Failures(b, "potrf", "cholesky")
    factor: Rows = [[] for _ in range(size)]
    for j in range(size):
        square = _less_products(b, rows[j][j], factor[j], factor[j])
        failures.useless.append(b.less_equal(square, 0))  # nan is no failure: it propagates
        root = b.sqrt(square)
        inverse = b.divide(1, root)
        for i in range(j + 1, size):
            rest = _less_products(b, rows[i][j], factor[i], factor[j])
            factor[i].append(b.multiply(rest, inverse))
        factor[j].append(root)
    zero = b.zeros_like(rows[0][0])
    return joined(b, [row + [zero] * (size - len(row)) for row in failures.checked_rows(factor)])


def _less_products(b: Builder, x: Tensor, left: list[Tensor], right: list[Tensor]) -> Tensor:
    """x - left[0] right[0] - left[1] right[1] ..."""
    for one, other in zip(left, right, strict=False):
        x = b.subtract(x, b.multiply(one, other))
    return x


# --- equations -----------------------------------------------------------------------------------


Exchanges = list[tuple[int, int, Tensor]]  # two rows, and where they change places


def _exchanged(
    b: Builder, where: Tensor, one: list[Tensor], other: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Two rows, in each other's place where that is wanted."""
    pairs = list(zip(one, other, strict=True))
    return (
        [b.where(where, y, x) for x, y in pairs],
        [b.where(where, x, y) for x, y in pairs],
    )


def _factors(b: Builder, a: Rows) -> tuple[Rows, Exchanges]:
    """L without its ones and U in one matrix, of a with its rows exchanged in order: the row with
    the largest entry comes to each place."""
    rows, exchanges = [list(row) for row in a], []
    for k in range(len(a)):
        for i in range(k + 1, len(a)):
            larger = b.greater(b.abs(rows[i][k]), b.abs(rows[k][k]))
            rows[k], rows[i] = _exchanged(b, larger, rows[k], rows[i])
            exchanges.append((k, i, larger))
        inverse = b.divide(1, rows[k][k])
        for i in range(k + 1, len(a)):
            rows[i][k] = b.multiply(rows[i][k], inverse)
            for j in range(k + 1, len(a)):
                rows[i][j] = b.subtract(rows[i][j], b.multiply(rows[i][k], rows[k][j]))
    return rows, exchanges


def _substituted(
    b: Builder, a: Rows, rhs: Rows, *, forwards: bool, unit_diagonal: bool = False
) -> Rows:
    """The x with t @ x = rhs, t the lower triangle (forwards) or the upper one."""
    size = len(a)
    found: Rows = [[] for _ in range(size)]
    for i in range(size) if forwards else range(size - 1, -1, -1):
        before = range(i) if forwards else range(i + 1, size)
        known = [a[i][j] for j in before]
        for column, value in enumerate(rhs[i]):
            rest = _less_products(b, value, known, [found[j][column] for j in before])
            found[i].append(rest if unit_diagonal else b.divide(rest, a[i][i]))
    return found


def solution(b: Builder, a: Rows, rhs: Rows, transpose: bool, caller: str) -> Tensor:
    """The x with a @ x = rhs, or a.T @ x = rhs, by elimination with the largest pivot of each
    column. Both share the factors of a."""
    factors, exchanges = _factors(b, a)
    failures = Failures(b, "getrs", caller)
    failures.useless = [b.equal(row[k], 0) for k, row in enumerate(factors)]
    x = [list(row) for row in rhs]
    if transpose:
        turned = [list(column) for column in zip(*factors, strict=True)]
        x = _substituted(b, turned, x, forwards=True)
        x = _substituted(b, turned, x, forwards=False, unit_diagonal=True)
        for k, i, larger in reversed(exchanges):
            x[k], x[i] = _exchanged(b, larger, x[k], x[i])
    else:
        for k, i, larger in exchanges:
            x[k], x[i] = _exchanged(b, larger, x[k], x[i])
        x = _substituted(b, factors, x, forwards=True, unit_diagonal=True)
        x = _substituted(b, factors, x, forwards=False)
    return joined(b, failures.checked_rows(x))


def triangular_solution(
    b: Builder, a: Rows, rhs: Rows, lower: bool, transpose: bool, unit_diagonal: bool
) -> Tensor:
    """The x with t @ x = rhs, t the lower or upper triangle of a, or its transpose."""
    failures = Failures(b, "trsm", "triangular_solve")
    if not unit_diagonal:
        failures.useless = [b.equal(row[k], 0) for k, row in enumerate(a)]
    if transpose:
        a = [list(column) for column in zip(*a, strict=True)]
    forwards = lower is not transpose
    x = _substituted(b, a, rhs, forwards=forwards, unit_diagonal=unit_diagonal)
    return joined(b, failures.checked_rows(x))
