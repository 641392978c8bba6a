"""Matrix products: which routine computes which.

gemm               our own routine (gemm.py)
matrix_product     a kernel in the loop grammar, for small matrices, truths and integer vectors
"""

from graphc.dtypes import float32, is_bool, is_floating, is_half, is_numeric
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Contraction,
    For,
    Kernel,
    Parameter,
    Statement,
    Store,
)
from graphc.scalar.expr import Call, Expr, Index, Load, Local, cast
from graphc.shapes import Dim, Size

# Multiplications up to which plain loops are faster.
SMALL = 4096
ROW_NAMES = ("out_row", "a_row", "b_row")
SMALL_DOTS = 1024  # where every element is a sum over lanes


def is_small(step: Contraction) -> bool:
    """Whether the matrices are known to be small."""
    work = step.m * step.n * step.k
    return isinstance(work, int) and work <= (SMALL_DOTS if _is_dots(step) else SMALL)


def _is_dots(step: Contraction) -> bool:
    """Whether rows of a meet rows of b in memory (of one column, the column is one)."""
    return step.transpose_b or (step.n == 1 and not step.transpose_a)


def uses_gemm(step: Contraction) -> bool:
    """Whether our own routine computes the product."""
    if not is_numeric(step.dtype) or step.dtype.itemsize < 4 or is_small(step):
        return False
    return 1 not in (step.m, step.n) or _reads_vectors(step)


def may_be_vector(step: Contraction) -> bool:
    """Whether an operand is a vector, known as such or found at run time."""
    known = isinstance(step.m, int) and isinstance(step.n, int)
    return _reads_vectors(step) and (1 in (step.m, step.n) or not known)


def _reads_vectors(step: Contraction) -> bool:
    """Whether there are routines for products with a vector."""
    return is_floating(step.dtype) and step.operands is None


# Loops


def matrix_product(step: Contraction) -> Kernel:
    """out[i, j] = sum_k a[i, k] * b[k, j] as a kernel of three matrices; static sizes stay.

    Where rows do not follow each other, matrices are seen with all that is between the rows.
    """
    given = product_sizes(step)
    sizes = tuple(given)
    m, n, k = (
        Dim.symbol(name) if name in given else getattr(step, name) for name in ("m", "n", "k")
    )
    rows = [
        Dim.symbol(name) if name in given else row
        for name, row in zip(ROW_NAMES, step.distances, strict=True)
    ]
    if step.rows is None:
        rows = [n, m if step.transpose_a else k, k if step.transpose_b else n]
    i, j, p = (Dim.symbol(name) for name in ("i", "j", "p"))
    operand = step.dtypes[1]
    a = Load("a", _indices(p, i) if step.transpose_a else _indices(i, p), operand)
    b = Load("b", _indices(j, p) if step.transpose_b else _indices(p, j), operand)
    total, terms, store = _sum(step, a, b)
    loops: Statement
    if _is_dots(step):
        row = (total, For("p", k, "vector", (terms,)), store)
        loops = For("i", m, "parallel", (For("j", n, "serial", row),))
    else:
        element = (total, For("p", k, "serial", (terms,)), store)
        if n == 1:  # lanes run along the columns of a, which is transposed
            loops = For("j", n, "serial", (For("i", m, "vector", element),))
        else:
            loops = For("i", m, "parallel", (For("j", n, "vector", element),))
    return Kernel(
        "product",
        (
            Parameter("out", step.dtype, (m, rows[0]), written=True),
            Parameter("a", operand, (k if step.transpose_a else m, rows[1])),
            Parameter("b", operand, (n if step.transpose_b else k, rows[2])),
        ),
        sizes,
        (loops,),
    )


def product_sizes(step: Contraction) -> dict[str, Size]:
    """What the kernel of a product is given besides its matrices, by name."""
    known: dict[str, Size] = {"m": step.m, "n": step.n, "k": step.k}
    if step.rows is not None:
        known.update(zip(ROW_NAMES, step.rows, strict=True))
    return {name: size for name, size in known.items() if not isinstance(size, int)}


def _indices(*dims: Dim) -> tuple[Expr, ...]:
    return tuple(Index(dim) for dim in dims)


def _sum(step: Contraction, a: Expr, b: Expr) -> tuple[Accumulator, Accumulate, Store]:
    """The accumulator of one element, what it takes, and where it goes; halves are summed wide."""
    dtype = float32 if is_half(step.dtype) else step.dtype
    combine, product = ("or", "and") if is_bool(dtype) else ("add", "mul")
    term = Call(product, (cast(a, dtype), cast(b, dtype)), dtype)
    result = cast(Local("total", dtype), step.dtype)
    place = _indices(Dim.symbol("i"), Dim.symbol("j"))
    return (
        Accumulator("total", combine, dtype),
        Accumulate("total", term),
        Store("out", place, result),
    )
