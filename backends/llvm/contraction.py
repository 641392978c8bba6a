"""Matrix products: which routine computes which.

gemm               our own routine (gemm.py)
matrix_product     a kernel in the loop grammar, for small matrices, truths and integer vectors
in_groups          the same for many small matrices of known size: some rows of a at a time
"""

from collections.abc import Sequence

from graphc.dtypes import float32, is_bool, is_floating, is_half, is_numeric
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Contraction,
    For,
    Kernel,
    Let,
    Parameter,
    Scratch,
    Statement,
    Store,
)
from graphc.scalar.expr import Call, Expr, Index, Load, Local, cast
from graphc.shapes import Dim, Size

# Multiplications up to which plain loops are faster.
SMALL = 4096
ROW_NAMES = ("out_row", "a_row", "b_row")
SMALL_DOTS = 1024  # where every element is a sum over lanes
MANY = 1 << 18  # the same for many matrices of known size
LONGEST_SUM = 512  # products, which are added one after the other
NARROWEST = 8  # columns from which lanes run along them
ROWS, ROWS_OF_ONE_VECTOR = 6, 8  # of a, whose sums stay in registers
ONE_VECTOR = 64  # bytes
TURNED = 4  # columns of a transposed b that are read together
TOGETHER = 4  # of the products that are summed, in one step of a loop


def is_small(step: Contraction) -> bool:
    """Whether the matrices are known to be small."""
    work = step.m * step.n * step.k
    return isinstance(work, int) and work <= (SMALL_DOTS if _is_dots(step) else SMALL)


def is_in_groups(step: Contraction) -> bool:
    """Whether there are many matrices of known small sizes, whose rows are computed in groups."""
    sizes = (step.m, step.n, step.k)
    if not is_floating(step.dtype) or is_half(step.dtype) or step.operands is not None:
        return False
    if all(size == 1 for size in step.batch) or not all(isinstance(size, int) for size in sizes):
        return False
    work = step.m * step.n * step.k
    if not isinstance(work, int) or work > MANY or step.m == 1:
        return False
    return step.n >= NARROWEST and step.k <= LONGEST_SUM


def _is_dots(step: Contraction) -> bool:
    """Whether rows of a meet rows of b in memory (of one column, the column is one)."""
    if step.k == 1:
        return False
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
    if is_in_groups(step):
        return _kernel(step, sizes, in_groups(step), (m, n, k), rows)
    _, of_a, of_b = step.dtypes
    a = Load("a", _indices(p, i) if step.transpose_a else _indices(i, p), of_a)
    b = Load("b", _indices(j, p) if step.transpose_b else _indices(p, j), of_b)
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
    return _kernel(step, sizes, [loops], (m, n, k), rows)


def _kernel(
    step: Contraction,
    sizes: tuple[str, ...],
    body: Sequence[Statement],
    dims: tuple[Size, Size, Size],
    rows: Sequence[Size],
) -> Kernel:
    (m, n, k), (_, of_a, of_b) = dims, step.dtypes
    return Kernel(
        "product",
        (
            Parameter("out", step.dtype, (m, rows[0]), written=True),
            Parameter("a", of_a, (k if step.transpose_a else m, rows[1])),
            Parameter("b", of_b, (n if step.transpose_b else k, rows[2])),
        ),
        sizes,
        tuple(body),
        fused=is_in_groups(step),
    )


def in_groups(step: Contraction) -> list[Statement]:
    """for some rows i of a: for j in n vector: for p in k: totals[i] += a[i, p] * b[p, j]"""
    m, n, k = step.m, step.n, step.k
    assert isinstance(m, int) and isinstance(n, int) and isinstance(k, int)
    result: list[Statement] = []
    b, j, p = "b", Dim.symbol("j"), Dim.symbol("p")
    if step.transpose_b:
        b = "turned"
        result.append(Scratch(b, step.dtype, (k, n)))
        groups = k // TURNED
        result.append(For("p", groups, "parallel", (_turned(step, p * TURNED, TURNED),)))
        if k % TURNED:
            result.append(_turned(step, groups * TURNED, k % TURNED))
    most = ROWS_OF_ONE_VECTOR if n * step.dtype.itemsize <= ONE_VECTOR else ROWS
    height = -(-m // -(-m // most))

    def terms(first: Size, names: list[str], start: Size, count: int) -> tuple[Statement, ...]:
        found: list[Statement] = []
        for number in range(count):
            place = start + number
            factor = Local(f"factor{number}", step.dtype)
            found.append(Let(factor.name, Load(b, _indices(place, j), step.dtype)))
            for row, name in enumerate(names):
                of_a = (place, first + row) if step.transpose_a else (first + row, place)
                element = Load("a", _indices(*of_a), step.dtype)
                found.append(Accumulate(name, Call("mul", (element, factor), step.dtype)))
        return tuple(found)

    def group(first: Size, rows: int, number: int = 0) -> For:
        names = [f"total{number + row}" for row in range(rows)]
        steps, left = divmod(k, TOGETHER)
        each = terms(first, names, TOGETHER * p, TOGETHER)
        body: tuple[Statement, ...] = (
            *(Accumulator(name, "add", step.dtype) for name in names),
            *([For("p", steps, "serial", each)] if steps else []),
            *terms(first, names, TOGETHER * steps, left),
            *(
                Store("out", _indices(first + row, j), Local(name, step.dtype))
                for row, name in enumerate(names)
            ),
        )
        return For("j", n, "vector", body)

    groups, rest = divmod(m, height)
    result.append(For("i", groups, "parallel", (group(Dim.symbol("i") * height, height),)))
    if rest:
        result.append(group(groups * height, rest, height))
    return result


def _turned(step: Contraction, first: Size, columns: int) -> For:
    """Columns of b, which is transposed, as rows of a matrix that lies as if it were not."""
    j = Dim.symbol("j")
    loads = [Load("b", _indices(j, first + column), step.dtype) for column in range(columns)]
    values = [Let(f"value{column}", load) for column, load in enumerate(loads)]
    stores = [
        Store("turned", _indices(first + column, j), Local(let.name, step.dtype))
        for column, let in enumerate(values)
    ]
    return For("j", step.n, "vector", (*values, *stores))


def product_sizes(step: Contraction) -> dict[str, Size]:
    """What the kernel of a product is given besides its matrices, by name."""
    known: dict[str, Size] = {"m": step.m, "n": step.n, "k": step.k}
    if step.rows is not None:
        known.update(zip(ROW_NAMES, step.rows, strict=True))
    return {name: size for name, size in known.items() if not isinstance(size, int)}


def _indices(*dims: Size) -> tuple[Expr, ...]:
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
