"""LAPACK as graphc calls it: one table of routines that ops, loops and backends read.

A routine works on one matrix; a step runs it over a batch of them. All arrays are dense and
row-major, so LAPACK, which counts columns first, sees the transpose of every matrix: the table
says in each line what that makes of the routine. Routines come from the function pointers that
scipy exports, `scipy.linalg.cython_lapack` and `cython_blas`, with 32-bit integers.
"""

from collections.abc import Callable, Mapping
from dataclasses import field

import numpy as np

from graphc.dims import Size, dim_max, dim_min
from graphc.dtypes import DType, int32
from graphc.records import dataclass

Sizes = Mapping[str, Size]
BLOCK = 64  # columns that LAPACK's blocked routines take at a time, at most
MOST = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True)
class Operand:
    """The array of one matrix. shape: names of sizes; start: the input that it is a copy of."""

    shape: tuple[str, ...]
    integer: bool = False
    start: int | None = None

    def dtype(self, real: DType) -> DType:
        """int32, or the dtype of the matrices."""
        return int32 if self.integer else real


@dataclass(frozen=True)
class Routine:
    """arguments, in LAPACK's order, each passed by reference: 'U' is a letter; in0, out0 and work0
    are arrays; info is the status, and one the number 1; other names are sizes or options.

    required: sizes without which there is nothing to call, and outputs are zeros. derived: sizes
    that follow from others. guard: an input with a status for each matrix, 0 where it may be used.
    status: the output that takes the status, which is an error at once where there is none.
    complex: the matrices are complex; the last axis of their arrays, "two", has real and imaginary
    parts.
    """

    symbol: str
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    arguments: tuple[str, ...]
    required: tuple[str, ...]
    workspace: tuple[Operand, ...] = ()
    derived: Mapping[str, Callable[[Sizes], Size]] = field(default_factory=dict)
    guard: int | None = None
    status: int | None = None
    complex: bool = False
    library: str = "lapack"

    @property
    def targets(self) -> tuple[Operand, ...]:
        """All that is written: outputs and workspace."""
        return (*self.outputs, *self.workspace)

    @property
    def size_names(self) -> tuple[str, ...]:
        """All sizes, in order of first appearance."""
        operands = (*self.inputs, *self.targets)
        return tuple(dict.fromkeys(name for operand in operands for name in operand.shape))

    @property
    def options(self) -> tuple[str, ...]:
        """Letters that a call chooses."""
        known = {"one", "info", *self.size_names}
        return tuple(name for name in self.arguments if name.isalpha() and name not in known)

    @property
    def never_fails(self) -> bool:
        """Whether no call of it is an error at once."""
        return self.guard is None and ("info" not in self.arguments or self.status is not None)

    def complete(self, sizes: Sizes) -> dict[str, Size]:
        """The sizes with those that follow from them."""
        known = dict(sizes)
        for name, rule in self.derived.items():
            if name not in known:
                known[name] = rule(known)
        return known


def symbol_of(routine: Routine, dtype: DType) -> str:
    """`dpotrf`; dtype: of the numbers, or of their parts."""
    single, double = ("c", "z") if routine.complex else ("s", "d")
    return (single if dtype.itemsize == 4 else double) + routine.symbol


def _least(sizes: Sizes) -> Size:
    return dim_min(sizes["m"], sizes["n"])


def _most(sizes: Sizes) -> Size:
    return dim_max(sizes["m"], sizes["n"])


_MATRIX = Operand(("n", "n"))
_COPY = Operand(("n", "n"), start=0)
_COMPLEX = Operand(("n", "n", "two"))
_COMPLEX_COPY = Operand(("n", "n", "two"), start=0)
_EIGENVALUES = ("'U'", "n")

ROUTINES: dict[str, Routine] = {
    # The upper triangle that LAPACK reads and writes is the lower one of the rows: a = c @ c.T,
    # c the lower triangle of the output; above it stands what a has there.
    "potrf": Routine(
        "potrf", (_MATRIX,), (_COPY,), ("'U'", "n", "out0", "n", "info"), required=("n",)
    ),
    # a.T = P @ L @ U: the factors in one matrix of columns, the rows that were exchanged in order,
    # counted from 1, and the number of the first pivot that is 0, or 0.
    "getrf": Routine(
        "getrf",
        (_MATRIX,),
        (_COPY, Operand(("n",), integer=True), Operand((), integer=True)),
        ("n", "n", "out0", "n", "out1", "info"),
        required=("n",),
        status=2,
    ),
    # a matrix that lies by columns: a = P @ L @ U, the factors by columns too; otherwise as getrf.
    "getrf_columns": Routine(
        "getrf",
        (Operand(("n", "m")),),
        (
            Operand(("n", "m"), start=0),
            Operand(("least",), integer=True),
            Operand((), integer=True),
        ),
        ("m", "n", "out0", "m", "out1", "info"),
        required=("m", "n"),
        derived={"least": _least},
        status=2,
    ),
    # Rows of the output solve a @ row = right-hand side with "T", a.T @ row with "N".
    "getrs": Routine(
        "getrs",
        (
            _MATRIX,
            Operand(("n",), integer=True),
            Operand((), integer=True),
            Operand(("k", "n")),
        ),
        (Operand(("k", "n"), start=3),),
        ("transpose", "n", "k", "in0", "n", "in1", "out0", "n", "info"),
        required=("n", "k"),
        guard=2,
    ),
    # x.T @ op(a).T = b.T: from the right, and the other triangle.
    "trsm": Routine(
        "trsm",
        (_MATRIX, Operand((), integer=True), Operand(("n", "k"))),
        (Operand(("n", "k"), start=2),),
        ("'R'", "triangle", "transpose", "diagonal", "k", "n", "one", "in0", "n", "out0", "k"),
        required=("n", "k"),
        guard=1,
        library="blas",
    ),
    # a.T = L @ Q, so a = Q.T @ L.T: the triangle above the diagonal of the rows is R.
    "gelqf": Routine(
        "gelqf",
        (Operand(("m", "n")),),
        (Operand(("m", "n"), start=0), Operand(("least",))),
        ("n", "m", "out0", "n", "out1", "work0", "work", "info"),
        required=("m", "n"),
        workspace=(Operand(("work",)),),
        derived={"least": _least, "work": lambda s: BLOCK * s["n"]},
    ),
    # The first p columns of Q, m rows, from `reflectors` of them; m >= p >= reflectors.
    "orglq": Routine(
        "orglq",
        (Operand(("m", "p")), Operand(("reflectors",))),
        (Operand(("m", "p"), start=0),),
        ("p", "m", "reflectors", "out0", "p", "in1", "work0", "work", "info"),
        required=("m", "p"),
        workspace=(Operand(("work",)),),
        derived={"work": lambda s: BLOCK * s["p"]},
    ),
    # Rows of the output are the eigenvectors; the lower triangle of the rows is read.
    "syevd": Routine(
        "syevd",
        (_MATRIX,),
        (Operand(("n",)), _COPY),
        ("'V'", *_EIGENVALUES, "out1", "n", "out0", "work0", "work", "work1", "integers", "info"),
        required=("n",),
        workspace=(Operand(("work",)), Operand(("integers",), integer=True)),
        derived={
            "work": lambda s: 1 + (6 + BLOCK) * s["n"] + 2 * s["n"] * s["n"],
            "integers": lambda s: 3 + 5 * s["n"],
        },
    ),
    "syevd_values": Routine(
        "syevd",
        (_MATRIX,),
        (Operand(("n",)),),
        ("'N'", *_EIGENVALUES, "work2", "n", "out0", "work0", "work", "work1", "integers", "info"),
        required=("n",),
        workspace=(Operand(("work",)), Operand(("integers",), integer=True), _COPY),
        derived={
            "work": lambda s: 1 + (2 + BLOCK) * s["n"],
            "integers": lambda s: 1,
        },
    ),
    # A matrix that lies by columns: parts of its eigenvalues, and its eigenvectors by columns. Of
    # two conjugate ones the first column is the real part, the second the imaginary one.
    "geev": Routine(
        "geev",
        (_MATRIX,),
        (Operand(("n",)), Operand(("n",)), Operand(("n", "n"))),
        (
            *("'N'", "'V'", "n", "work1", "n", "out0", "out1", "work0", "n", "out2", "n"),
            *("work0", "work", "info"),
        ),
        required=("n",),
        workspace=(Operand(("work",)), _COPY),
        derived={"work": lambda s: (4 + BLOCK) * s["n"]},
    ),
    "geev_values": Routine(
        "geev",
        (_MATRIX,),
        (Operand(("n",)), Operand(("n",))),
        (
            *("'N'", "'N'", "n", "work1", "n", "out0", "out1", "work0", "n", "work0", "n"),
            *("work0", "work", "info"),
        ),
        required=("n",),
        workspace=(Operand(("work",)), _COPY),
        derived={"work": lambda s: (3 + BLOCK) * s["n"]},
    ),
    # A matrix that lies by columns = Z @ T @ Z.T, both by columns; no eigenvalues are selected.
    "gees": Routine(
        "gees",
        (_MATRIX,),
        (_COPY, Operand(("n", "n"))),
        (
            *("'V'", "'N'", "work0", "n", "out0", "n", "work3", "work1", "work2", "out1", "n"),
            *("work0", "work", "work3", "info"),
        ),
        required=("n",),
        workspace=(
            Operand(("work",)),
            Operand(("n",)),
            Operand(("n",)),
            Operand(("n",), integer=True),
        ),
        derived={"work": lambda s: (3 + BLOCK) * s["n"]},
    ),
    # Matrices that lie by columns: a @ x + x @ b = scale * c, a and b in Schur's form.
    "trsyl": Routine(
        "trsyl",
        (Operand(("m", "m")), Operand(("n", "n")), Operand(("n", "m"))),
        (Operand(("n", "m"), start=2), Operand(())),
        ("'N'", "'N'", "sign", "m", "n", "in0", "m", "in1", "n", "out0", "m", "out1", "info"),
        required=("m", "n"),
        workspace=(Operand(("sign",)),),  # that of x @ b, a number among the sizes
        derived={"sign": lambda s: 1},
    ),
    # a.T = U~ @ S @ V~.T: the rows of U~ are those of Vh.T, and the rows of V~.T those of U.T.
    "gesdd": Routine(
        "gesdd",
        (Operand(("m", "n")),),
        (Operand(("m", "p")), Operand(("least",)), Operand(("q", "n"))),
        (
            *("vectors", "n", "m", "work2", "n", "out1", "out2", "n", "out0", "p"),
            *("work0", "work", "work1", "info"),
        ),
        required=("m", "n"),
        workspace=(
            Operand(("work",)),
            Operand(("integers",), integer=True),
            Operand(("m", "n"), start=0),
        ),
        derived={
            "least": _least,
            "work": lambda s: (
                (4 * _least(s) + 7 + BLOCK) * _least(s) + (1 + BLOCK) * (s["m"] + s["n"])
            ),
            "integers": lambda s: 8 * _least(s),
        },
    ),
    "getrf_complex": Routine(
        "getrf",
        (_COMPLEX,),
        (_COMPLEX_COPY, Operand(("n",), integer=True), Operand((), integer=True)),
        ("n", "n", "out0", "n", "out1", "info"),
        required=("n",),
        status=2,
        complex=True,
    ),
    # As gelqf and orglq; nothing is conjugated: a.T = L @ Q, so a = Q.T @ L.T.
    "gelqf_complex": Routine(
        "gelqf",
        (Operand(("m", "n", "two")),),
        (Operand(("m", "n", "two"), start=0), Operand(("least", "two"))),
        ("n", "m", "out0", "n", "out1", "work0", "work", "info"),
        required=("m", "n"),
        workspace=(Operand(("work", "two")),),
        derived={"least": _least, "work": lambda s: BLOCK * s["n"]},
        complex=True,
    ),
    "unglq": Routine(
        "unglq",
        (Operand(("m", "p", "two")), Operand(("reflectors", "two"))),
        (Operand(("m", "p", "two"), start=0),),
        ("p", "m", "reflectors", "out0", "p", "in1", "work0", "work", "info"),
        required=("m", "p"),
        workspace=(Operand(("work", "two")),),
        derived={"work": lambda s: BLOCK * s["p"]},
        complex=True,
    ),
    # a.T = conj(a): rows of the output are the conjugates of the eigenvectors of a.
    "heevd": Routine(
        "heevd",
        (_COMPLEX,),
        (Operand(("n",)), _COMPLEX_COPY),
        (
            *("'V'", *_EIGENVALUES, "out1", "n", "out0", "work0", "work", "work1", "reals"),
            *("work2", "integers", "info"),
        ),
        required=("n",),
        workspace=(
            Operand(("work", "two")),
            Operand(("reals",)),
            Operand(("integers",), integer=True),
        ),
        derived={
            "work": lambda s: (2 + BLOCK) * s["n"] + s["n"] * s["n"],
            "reals": lambda s: 1 + 5 * s["n"] + 2 * s["n"] * s["n"],
            "integers": lambda s: 3 + 5 * s["n"],
        },
        complex=True,
    ),
    # A matrix that lies by columns: its eigenvalues, and its eigenvectors by columns.
    "geev_complex": Routine(
        "geev",
        (_COMPLEX,),
        (Operand(("n", "two")), Operand(("n", "n", "two"))),
        (
            *("'N'", "'V'", "n", "work1", "n", "out0", "work0", "n", "out1", "n"),
            *("work0", "work", "work2", "info"),
        ),
        required=("n",),
        workspace=(Operand(("work", "two")), _COMPLEX_COPY, Operand(("reals",))),
        derived={"work": lambda s: (2 + BLOCK) * s["n"], "reals": lambda s: 2 * s["n"]},
        complex=True,
    ),
    "gesdd_complex": Routine(
        "gesdd",
        (Operand(("m", "n", "two")),),
        (Operand(("m", "p", "two")), Operand(("least",)), Operand(("q", "n", "two"))),
        (
            *("vectors", "n", "m", "work3", "n", "out1", "out2", "n", "out0", "p"),
            *("work0", "work", "work1", "work2", "info"),
        ),
        required=("m", "n"),
        workspace=(
            Operand(("work", "two")),
            Operand(("reals",)),
            Operand(("integers",), integer=True),
            Operand(("m", "n", "two"), start=0),
        ),
        derived={
            "least": _least,
            "work": lambda s: (
                (2 * _least(s) + 4 + BLOCK) * _least(s) + (2 + BLOCK) * (s["m"] + s["n"])
            ),
            "reals": lambda s: (7 * _least(s) + 2 * _most(s) + 7) * _least(s) + 1,
            "integers": lambda s: 8 * _least(s),
        },
        complex=True,
    ),
    "gesdd_values": Routine(
        "gesdd",
        (Operand(("m", "n")),),
        (Operand(("least",)),),
        (
            *("'N'", "n", "m", "work2", "n", "out0", "work2", "n", "work2", "m"),
            *("work0", "work", "work1", "info"),
        ),
        required=("m", "n"),
        workspace=(
            Operand(("work",)),
            Operand(("integers",), integer=True),
            Operand(("m", "n"), start=0),
        ),
        derived={
            "least": _least,
            "work": lambda s: 7 * _least(s) + (3 + BLOCK) * (s["m"] + s["n"]),
            "integers": lambda s: 8 * _least(s),
        },
    ),
}


# --- failures ------------------------------------------------------------------------------------


class RoutineFailure(Exception):  # noqa: N818 - a status for the caller, never shown as an error
    """A matrix of the batch that a routine cannot handle, in an op's reference."""

    def __init__(self, routine: str, caller: str, code: int) -> None:
        super().__init__(routine, caller, code)
        self.routine = routine
        self.caller = caller
        self.code = code


def encode(matrix: int, status: int) -> int:
    """The number of a matrix and its status, which is not 0, in one number above 0."""
    return matrix << 32 | (status & 0xFFFFFFFF)


def explain_failure(routine: str, caller: str, code: int, batched: bool) -> tuple[str, str]:
    """What to say of a failure, and how to repair it. caller: the function that the user called."""
    number, status = code >> 32, code & 0xFFFFFFFF
    subject = f"matrix {number} of the batch" if batched else "the matrix"
    match ROUTINES[routine].symbol:
        case "potrf":
            return (
                f"{caller}: {subject} is not positive definite (leading minor of order {status})",
                "the matrix must be symmetric with eigenvalues above 0; "
                "adding a small multiple of the identity may help",
            )
        case "getrs" | "trsm":
            return (
                f"{caller}: {subject} is singular (pivot {status} is 0)",
                "for singular matrices use linalg.lstsq or linalg.pinv",
            )
        case "trsyl":
            return (
                f"{caller}: a and -b have an eigenvalue in common, {subject}",
                "the equation has no single solution there",
            )
    return (
        f"{caller}: the iteration did not converge for {subject}",
        "the matrix probably holds nan or infinity",
    )
