"""A native loop over arrays for one function of the table: what tests and measurements call."""

from graphc.backends.llvm.text import FunctionText, TextBuilder, vector_type
from graphc.backends.llvm.vector_math.table import EMITTERS

TWO_ARGUMENTS = frozenset({"pow", "atan2"})


def sample_function(
    name: str,
    type: str,
    lanes: int,
    has_fma: bool = True,
    symbol: str = "sample",
    waits: bool = False,
    has_avx512: bool = False,
) -> FunctionText:
    """`void @symbol(ptr x, ptr y, ptr out, i64 n)`: out[i] = name(x[i], y[i]) for n elements, n a
    positive multiple of lanes. Functions of one argument leave y alone."""
    b = TextBuilder(has_fma=has_fma, has_avx512=has_avx512, waits=waits)
    b.branch("loop")
    b.block("loop")
    phi = len(b.lines)
    pointers = ["%x", "%y"] if name in TWO_ARGUMENTS else ["%x"]
    arguments = []
    for pointer in pointers:
        at = b.value(f"getelementptr {type}, ptr {pointer}, i64 %i")
        arguments.append(b.load(at, type, lanes))
    result = EMITTERS[name](b, *arguments)
    assert result.ir_type == vector_type(type, lanes)
    b.store(result, b.value(f"getelementptr {type}, ptr %out, i64 %i"))
    b.line(f"%next = add i64 %i, {lanes}")
    b.line("%more = icmp ult i64 %next, %n")
    b.line("br i1 %more, label %loop, label %end")
    b.lines.insert(phi, f"  %i = phi i64 [ 0, %entry ], [ %next, %{b.block_label} ]")
    b.block("end")
    b.line("ret void")
    return b.function(
        f'define void @{symbol}(ptr %x, ptr %y, ptr %out, i64 %n) "prefer-vector-width"="512"'
    )
