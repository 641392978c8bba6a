"""Golden texts of kernels and programs, and keys that know what a kernel computes."""

from dataclasses import replace

import pytest

from graphc.dtypes import float32, float64
from graphc.ir.source import Source
from graphc.loops.ir import For, If, Kernel, Let, Parameter, Statement, Store
from graphc.loops.printer import (
    format_kernel,
    format_program,
    format_sources,
    kernel_key,
    summary,
)
from graphc.scalar import expr as s
from graphc.scalar.expr import Const, Expr, Index, Load, Local
from graphc.shapes import Dim
from tests.loops.cases import (
    ARGMAX,
    CASES,
    SCATTER_ADD,
    SOFTMAX,
    at,
    at_i,
    batched_program,
    layer_program,
    n,
)


def unpadded(text: str) -> str:
    """Runs of spaces before the user's lines as two."""
    rows = []
    for row in text.splitlines():
        body, gap, origin = row.rpartition("  ")
        rows.append(f"{body.rstrip()}{gap}{origin}" if ".py:" in origin else row)
    return "\n".join(rows)


def test_kernel() -> None:
    assert unpadded(format_kernel(SOFTMAX)) == (
        "kernel softmax  y = softmax(x)  train.py:12,13\n"
        "  x: f32[n, m], y: f32[n, m] written\n"
        "  for i in n parallel:\n"
        "    row: f32[m] scratch\n"
        "    top: f32 = -inf (maximum)  train.py:12\n"
        "    for j in m vector:\n"
        "      top max= x[i, j]  train.py:12\n"
        "    total: f32 = 0.0 (add)  train.py:12\n"
        "    for j in m vector:\n"
        "      e = exp(x[i, j] - top)  train.py:12\n"
        "      row[j] = e  train.py:12\n"
        "      total += e  train.py:12\n"
        "    for j in m vector:\n"
        "      y[i, j] = row[j]/total  train.py:13"
    )


def test_the_user_lines_stand_in_one_column() -> None:
    rows = format_kernel(SOFTMAX).splitlines()
    assert {row.index("train.py") for row in rows if "train.py" in row} == {72}
    assert max(map(len, rows)) <= 100


def test_argmax_and_scatter() -> None:
    assert "best, where: f32, i64 = -inf, 0 (argmax)" in format_kernel(ARGMAX)
    assert "best argmax= x[i, j] at j" in format_kernel(ARGMAX)
    row = "y[i64(index[i]) + n if i64(index[i]) < 0 else i64(index[i])] += values[i]"
    assert row in format_kernel(SCATTER_ADD)


def test_if_and_scalars() -> None:
    body = (If(s.lt(Index(2), Index(n)), (Store("y", (), s.constant(1, float32)),)),)
    kernel = Kernel("k", (Parameter("y", float32, (), written=True),), ("n",), body)
    assert format_kernel(kernel) == ("kernel k\n  y: f32[] written\n  if 2 < n:\n    y[] = 1.0")


def test_program() -> None:
    text = unpadded(format_program(layer_program()))
    assert text.startswith(
        "program layer(n, m)\n"
        "  x: f32[n, 5] input  train.py:12\n"
        "  w: f32[3, 5] variable\n"
        "  index: i32[m] input  train.py:13\n"
        "  t: f32[n, 3] temporary\n"
        "  p: f32[n, 3] output\n"
        "  rows: f32[m, 3] output  train.py:13\n"
        "  0: check index[m] in [-n, n)  axis 0 of take  train.py:13\n"
        "  1: t[n, 3] = x[n, 5] @ w[3, 5].T  train.py:12\n"
        "  2: p = softmax(t, n, m=3)  train.py:12,13\n"
        "  3: rows = gather(p, index, n, m)\n"
        "  return p, rows\n"
        "\n"
        "kernel softmax  y = softmax(x)  train.py:12,13\n"
    )
    assert text.count("kernel gather") == 1


def test_batched_contraction() -> None:
    assert (
        "out[n, 3, 2, 5] = a[n, 3, 4, 2].T @ w[n, 3, 4, 5]  strides (30, 10) (8, 0) (0, 20)"
    ) in format_program(batched_program())


def test_summary_has_one_line_a_step() -> None:
    assert unpadded(summary(layer_program())) == (
        "  0  check    index[m] in [-n, n)  axis 0 of take  train.py:13\n"
        "  1  matmul   x @ w.T  n x 5 x 3  t: f32[n, 3]  train.py:12\n"
        "  2  softmax  y = softmax(x)  p: f32[n, 3]  train.py:12,13\n"
        "  3  gather   rows: f32[m, 3]"
    )


def test_sources_are_grouped_by_file() -> None:
    sources = (Source("/a/train.py", 13), Source("/b/model.py", 4), Source("/a/train.py", 12))
    assert format_sources(sources) == "train.py:12,13, model.py:4"


def test_a_comment_stays_on_its_line() -> None:
    text = format_kernel(replace(SOFTMAX, comment="a\nimport os\r\x85b\u2028c"))
    assert text.splitlines()[0].startswith(r"kernel softmax  a\nimport os\r\x85b\u2028c")
    assert len(text.splitlines()) == len(format_kernel(SOFTMAX).splitlines())


# Keys


def scale(
    x: str = "x",
    y: str = "y",
    axis: str = "i",
    size: str = "n",
    local: str = "t",
    value: Expr | None = None,
    second: Statement | None = None,
) -> Kernel:
    extent, position = Dim.symbol(size), (Index(Dim.symbol(axis)),)
    factor = s.constant(2.0, float32) if value is None else value
    body: tuple[Statement, ...] = (
        Let(local, s.mul(Load(x, position, float32), factor)),
        Store(y, position, Local(local, float32)),
    )
    return Kernel(
        f"{x}_{y}",
        (Parameter(x, float32, (extent,)), Parameter(y, float32, (extent,), written=True)),
        (size,),
        (For(axis, extent, "parallel", body if second is None else (*body, second)),),
        comment=f"{y} = 2*{x}",
    )


def test_names_comments_and_sources_do_not_matter() -> None:
    key = kernel_key(scale())
    assert kernel_key(scale("a", "b", "k", "rows", "value")) == key
    assert kernel_key(scale("y", "x")) == key
    assert kernel_key(scale(size="x", axis="y", local="x")) == key  # names of other kinds
    assert kernel_key(replace(SOFTMAX, name="k", sources=(), comment="")) == kernel_key(SOFTMAX)


def test_order_of_polynomials_does_not_matter() -> None:
    def flat(rows: str, columns: str) -> Kernel:
        a, b = Dim.symbol(rows), Dim.symbol(columns)
        body = Store("y", (Index(a * 7 + b),), s.constant(1, float32))
        inner = For(columns, 7, "vector", (body,))
        parameter = Parameter("y", float32, (35,), written=True)
        return Kernel("k", (parameter,), (), (For(rows, 5, "parallel", (inner,)),))

    assert kernel_key(flat("i", "j")) == kernel_key(flat("j", "i"))


@pytest.mark.parametrize(
    "other",
    [
        scale(value=s.constant(3.0, float32)),
        scale(value=Const(-0.0, float32)),
        scale(value=s.cast(Const(0.1, float64), float32)),
        scale(value=at("x", Index(0))),
        replace(scale(), sizes=("n", "m")),
        scale(second=Store("y", (at_i,), s.constant(1, float32))),
    ],
    ids=["constant", "minus zero", "cast", "load", "sizes", "store"],
)
def test_what_is_computed_does_matter(other: Kernel) -> None:
    assert kernel_key(other) != kernel_key(scale())
    assert kernel_key(other) == kernel_key(other)


def test_constants_of_different_kinds_differ() -> None:
    keys = {
        kernel_key(scale(value=value))
        for value in (
            Const(0.0, float32),
            Const(-0.0, float32),
            Const(0.1, float32),
            s.cast(Const(0.1, float64), float32),
            Const(float("nan"), float32),
            Const(float("inf"), float32),
        )
    }
    assert len(keys) == 6


def test_loop_kinds_matter() -> None:
    loop = scale().body[0]
    assert isinstance(loop, For)
    serial = replace(scale(), body=(replace(loop, kind="serial"),))
    assert kernel_key(serial) != kernel_key(scale())


def test_all_kernels_have_different_keys() -> None:
    assert len({kernel_key(case.kernel) for case in CASES.values()}) == len(CASES)
