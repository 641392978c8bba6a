"""Matrix products: which routine computes which.

    gemm               our own routine for float matrices (gemm.py)
    matrix_product     a kernel in the loop grammar, for small and for integer matrices
    blas_function      @product_f32_nt(out, a, b, sizes, rows) and the like: vectors, by BLAS

BLAS is column-major: the row-major product a @ b is the column-major product of the transposes in
reverse order, on the same memory.
"""

from graphc.backends.llvm.blas import Blas
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText
from graphc.dtypes import float32, float64, is_bool, is_floating, is_half
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

# Multiplications up to which our own loops are faster than a call to BLAS.
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
    """Whether our own routine computes the product, but for what turns out to be vectors."""
    return is_floating(step.dtype) and not is_small(step) and 1 not in (step.m, step.n)


def uses_blas(step: Contraction, blas: Blas | None) -> bool:
    """Whether BLAS may be called: for vectors, known as such or found at run time."""
    if blas is None or step.dtype not in (float32, float64) or is_small(step):
        return False
    return 1 in (step.m, step.n) or not (isinstance(step.m, int) and isinstance(step.n, int))


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
    a = Load("a", _indices(p, i) if step.transpose_a else _indices(i, p), step.dtype)
    b = Load("b", _indices(j, p) if step.transpose_b else _indices(p, j), step.dtype)
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
            Parameter("a", step.dtype, (k if step.transpose_a else m, rows[1])),
            Parameter("b", step.dtype, (n if step.transpose_b else k, rows[2])),
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


# BLAS


def blas_name(step: Contraction) -> str:
    """The name of the function for these matrices."""
    letters = ("t" if step.transpose_a else "n") + ("t" if step.transpose_b else "n")
    return f"product_f{8 * step.dtype.itemsize}_{letters}"


def blas_function(step: Contraction, blas: Blas, target: Target) -> FunctionText:
    """void @product_f32_nt(ptr out, ptr a, ptr b, i64 m, i64 n, i64 k, rows), of a vector.

    rows: how many elements lie from row to row in out, a and b. Nothing is done for m = 0 or
    n = 0; k = 0 fills with zeros.
    """
    type = "float" if step.dtype.itemsize == 4 else "double"
    letter = "s" if step.dtype.itemsize == 4 else "d"
    emit = _cblas if blas.style == "cblas" else _fortran
    calls, declarations = emit(step, type, letter)
    size = step.dtype.itemsize
    text = f"""define internal void @{blas_name(step)}(ptr %out, ptr %a, ptr %b, i64 %m, i64 %n, \
i64 %k, i64 %out.row, i64 %a.row, i64 %b.row) {target.function_attributes} {{
entry:
  %one = add i64 0, 1
  %m.some = icmp sgt i64 %m, 0
  %n.some = icmp sgt i64 %n, 0
  %some = and i1 %m.some, %n.some
  br i1 %some, label %nonempty, label %done
nonempty:
  %k.some = icmp sgt i64 %k, 0
  br i1 %k.some, label %choose, label %clear
clear:
  %i = phi i64 [ 0, %nonempty ], [ %i.next, %clear ]
  %start = mul i64 %i, %out.row
  %start.bytes = mul i64 %start, {size}
  %place = getelementptr i8, ptr %out, i64 %start.bytes
  %width = mul i64 %n, {size}
  call void @llvm.memset.p0.i64(ptr %place, i8 0, i64 %width, i1 false)
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %m
  br i1 %more, label %clear, label %done
choose:
  %one.column = icmp eq i64 %n, 1
  br i1 %one.column, label %column, label %row
{calls}
done:
  ret void
}}
"""
    memset = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"
    return FunctionText(text, {*declarations, memset}, {}, plain=True)


def _steps(step: Contraction) -> tuple[str, str]:
    """From entry to entry of b as a column, and of a as a row."""
    return "%one" if step.transpose_b else "%b.row", "%a.row" if step.transpose_a else "%one"


def _cblas(step: Contraction, type: str, letter: str) -> tuple[str, set[str]]:
    """CBLAS with 64-bit integers. 101 row-major, 111 as it stands, 112 transposed."""
    transpose_a = 112 if step.transpose_a else 111
    flipped_b = 111 if step.transpose_b else 112
    one, zero = f"{type} 1.0", f"{type} 0.0"
    # a as it is stored, [rows, columns].
    a_rows, a_columns = ("%k", "%m") if step.transpose_a else ("%m", "%k")
    b_rows, b_columns = ("%n", "%k") if step.transpose_b else ("%k", "%n")
    b_step, a_step = _steps(step)
    text = f"""column:
  call void @{letter}gemv(i32 101, i32 {transpose_a}, i64 {a_rows}, i64 {a_columns}, {one}, \
ptr %a, i64 %a.row, ptr %b, i64 {b_step}, {zero}, ptr %out, i64 %out.row)
  br label %done
row:
  call void @{letter}gemv(i32 101, i32 {flipped_b}, i64 {b_rows}, i64 {b_columns}, {one}, \
ptr %b, i64 %b.row, ptr %a, i64 {a_step}, {zero}, ptr %out, i64 1)
  br label %done"""
    return text, {
        f"declare void @{letter}gemv(i32, i32, i64, i64, {type}, ptr, i64, ptr, i64, {type}, "
        "ptr, i64)",
    }


def _fortran(step: Contraction, type: str, letter: str) -> tuple[str, set[str]]:
    """Fortran: everything by reference, 32-bit integers, column-major, so the operands swap."""
    setup: list[str] = []
    for name in ("m", "n", "k", "one", "out.row", "a.row", "b.row"):
        setup.append(f"  %{name}.32 = trunc i64 %{name} to i32")
        setup.append(f"  %{name}.at = alloca i32")
        setup.append(f"  store i32 %{name}.32, ptr %{name}.at")
    letters = {False: ord("N"), True: ord("T")}
    for name, code in (
        ("tb", letters[step.transpose_b]),
        ("flip.a", letters[not step.transpose_a]),
    ):
        setup.append(f"  %{name}.at = alloca i8")
        setup.append(f"  store i8 {code}, ptr %{name}.at")
    setup += [
        f"  %unit.at = alloca {type}",
        f"  store {type} 1.0, ptr %unit.at",
        f"  %zero.at = alloca {type}",
        f"  store {type} 0.0, ptr %zero.at",
    ]
    a_rows, a_columns = ("k", "m") if step.transpose_a else ("m", "k")
    b_rows, b_columns = ("n", "k") if step.transpose_b else ("k", "n")
    b_step, a_step = _steps(step)
    # In column-major order a is [a_columns, a_rows].
    gemv = f"call void @{letter}gemv("
    prepare = "\n".join(setup)
    blocks = {
        "column": (
            f"  {gemv}ptr %flip.a.at, ptr %{a_columns}.at, ptr %{a_rows}.at, ptr %unit.at, "
            f"ptr %a, ptr %a.row.at, ptr %b, ptr {b_step}.at, ptr %zero.at, ptr %out, "
            "ptr %out.row.at)"
        ),
        "row": (
            f"  {gemv}ptr %tb.at, ptr %{b_columns}.at, ptr %{b_rows}.at, ptr %unit.at, ptr %b, "
            f"ptr %b.row.at, ptr %a, ptr {a_step}.at, ptr %zero.at, ptr %out, ptr %one.at)"
        ),
    }
    text = "\n".join(
        line
        for name, call in blocks.items()
        for line in (
            f"{name}:",
            _suffixed(prepare, name),
            _suffixed(call, name),
            "  br label %done",
        )
    )
    pointers = ", ".join(["ptr"] * 11)
    return text, {f"declare void @{letter}gemv({pointers})"}


def _suffixed(text: str, name: str) -> str:
    """The text with its local names made unique to a block."""
    return text.replace(".at", f".at.{name}").replace(".32", f".32.{name}")
