"""Operands of products that are read where they lie in other values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.loops import views
from graphc.loops.ir import Buffer, Contraction, Program
from graphc.loops.verifier import verify_program
from graphc.loops.views import view_of
from tests.loops.programs import check_at_sizes, check_values, kernel_calls, program_of, step_lines

RNG = np.random.default_rng(7)

Build = Callable[..., Any]


def heads(x: Any, count: int = 4) -> Any:
    """(b, s, count*d) -> (b, count, s, d)"""
    split = gc.reshape(x, (*x.shape[:-1], count, x.shape[-1] // count))
    return gc.permute_dims(split, (0, 2, 1, 3))


def halves(x: Any, y: Any) -> Any:
    return x[:, :3] @ y[:3] + x[:, 3:] @ y[3:]


# name, shapes, the product, rows of the program that copy nothing
CASES: list[tuple[str, list[tuple[Any, ...]], Build, list[str]]] = [
    (
        "first columns",
        [("n", 8), (5, 4)],
        lambda x, w: x[:, :5] @ w,
        ["out[n, 4] = x[n, 5] @ w[5, 4]  rows 4 8 4"],
    ),
    (
        "last rows and columns",
        [("n", 8), (9, 4)],
        lambda x, w: x[:, 5:] @ w[6:, 1:],
        ["out[n, 3] = x[n, 3] @ w[3, 3]  rows 3 8 4  from 0 5 25"],
    ),
    (
        "every other row",
        [(9, 4), (4, 5)],
        lambda x, w: x[::2] @ w,
        ["out[5, 5] = x[5, 4] @ w[4, 5]  rows 5 8 5"],
    ),
    (
        "every other column is copied",
        [(4, 8), (4, 5)],
        lambda x, w: x[:, ::2] @ w,
        ["t1 = k0(x)", "out[4, 5] = t1[4, 4] @ w[4, 5]"],
    ),
    (
        "rows backwards are copied",
        [(4, 8), (8, 5)],
        lambda x, w: x[::-1] @ w,
        ["t1 = k0(x)", "out[4, 5] = t1[4, 8] @ w[8, 5]"],
    ),
    (
        "transposed blocks",
        [(6, "n"), (9, 7)],
        lambda x, w: x[1:5].T @ w[:, 2:6].T,
        ["out[n, 9] = x[4, n].T @ w[9, 4].T  rows 9 n 7  from 0 n 2"],
    ),
    (
        "a transposed batch axis",
        [("s", "b", 3), ("b", 3, 4)],
        lambda x, w: gc.permute_dims(x, (1, 0, 2)) @ w,
        [
            "out[b, s, 4] = x[b, s, 3] @ w[b, 3, 4]  strides (4*s) (3) (12)  rows 4 3*b 4",
        ],
    ),
    (
        "heads",
        [("b", "s", 12), ("b", "t", 12)],
        lambda q, k: heads(q) @ heads(k).mT,
        [
            "out[b, 4, s, t] = q[b, 4, s, 3] @ k[b, 4, t, 3].T  "
            "strides (4*s*t, s*t) (12*s, 3) (12*t, 3)  rows t 12 12",
        ],
    ),
    (
        "rows of a batch as one matrix",
        [("b", "s", 6), (4, 5)],
        lambda x, w: x[:, :, 1:5] @ w,
        ["out[b*s, 5] = x[b*s, 4] @ w[4, 5]  rows 5 6 5  from 0 1 0"],
    ),
    (
        "the last of each sequence",
        [("b", 7, 6), (6, 5)],
        lambda x, w: x[:, -1:] @ w,
        ["out[b, 5] = x[b, 6] @ w[6, 5]  rows 5 42 5  from 0 36 0"],
    ),
    (
        "few rows of many sequences are copied",
        [("b", 7, 6), (6, 5)],
        lambda x, w: x[:, :3] @ w,
        ["t1 = k0(x, b)", "out[3*b, 5] = t1[3*b, 6] @ w[6, 5]"],
    ),
    (
        "a repeated batch",
        [("n", 8), (3, 5, 4)],
        lambda x, w: x[:, 1:6] @ w,
        [
            "out[3, n, 4] = x[3, n, 5] @ w[3, 5, 4]  strides (4*n) (0) (20)  rows 4 8 4  "
            "from 0 1 0",
        ],
    ),
]


@pytest.mark.parametrize(
    ("shapes", "build", "rows"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_operands_are_read_where_they_lie(
    shapes: list[tuple[Any, ...]], build: Build, rows: list[str]
) -> None:
    names = ["q", "k"] if "q" in rows[-1].split("=")[1] else ["x", "w"]
    inputs = [gc.placeholder(name, shape) for name, shape in zip(names, shapes, strict=True)]
    output = build(*inputs)
    assert step_lines(program_of(inputs, output)) == rows
    check_at_sizes(inputs, output, shapes)


def test_what_lies_in_memory_anyway_is_read_there() -> None:
    x, w = gc.placeholder("x", (6, 8)), gc.placeholder("w", (4, 5))
    middle = x[:, 2:6]
    program = program_of([x, w], [middle @ w, middle])
    assert [step for step in step_lines(program) if "@" in step] == [
        "out[6, 5] = out_2[6, 4] @ w[4, 5]"
    ]


def test_computed_values_are_stored_once_if_all_is_read() -> None:
    x, w, u = gc.placeholder("x", (6, 8)), gc.placeholder("w", (8, 4)), gc.placeholder("u", (4, 3))
    h = gc.tanh(x @ w + 1.0)
    both = program_of([x, w, u], [h[:3] @ u, h[3:] @ u])
    assert len(kernel_calls(both)) == 1
    half = program_of([x, w, u], [h[:3] @ u])
    (call,) = kernel_calls(half)
    names = [name for p, name in zip(call.kernel.parameters, call.arguments, strict=True)]
    assert all(half.buffers[name].shape != (6, 4) for name in names if name != "t1"), names


def test_a_vector_may_be_a_column() -> None:
    x, w = gc.placeholder("x", ("n", 8)), gc.placeholder("w", (3, 70, "n"))
    output = w @ x[:, 2]
    check_values(
        [x, w],
        [output],
        [*(RNG.normal(size=size).astype("float32") for size in ((5, 8), (3, 70, 5)))],
    )


def test_views_through_reshapes() -> None:
    x = gc.placeholder("x", ("b", "s", 12))
    view = view_of(heads(x))
    assert view is not None and view.base is x
    s = x.shape[1]
    assert (view.offset, view.strides) == (0, (12 * s, 3, 12, 1))
    assert view_of(gc.reshape(gc.permute_dims(x, (1, 0, 2)), (-1, 12))) is None
    assert view_of(gc.roll(x, 1)) is not None  # itself: it computes


def test_matrices_outside_their_buffers_are_no_program() -> None:
    buffers = {
        name: Buffer(name, gc.float32, shape, role)  # type: ignore[arg-type]
        for name, shape, role in (
            ("a", (3, 8), "input"),
            ("b", (5, 4), "input"),
            ("out", (3, 4), "output"),
        )
    }

    def program(row: int, start: int) -> Program:
        step = Contraction(
            "out", "a", "b", gc.float32, 3, 4, 5, rows=(4, row, 4), offsets=(0, start, 0)
        )
        return Program("f", (), buffers, (step,), ("out",))

    verify_program(program(8, 3))
    with pytest.raises(gc.VerificationError, match="reaches element 24 of a, which has 24"):
        verify_program(program(8, 4))
    with pytest.raises(gc.VerificationError, match="rows of 5 elements of a are 4 apart"):
        verify_program(program(4, 0))


# --- native code ---------------------------------------------------------------------------------

PRODUCTS: list[tuple[str, list[tuple[Any, ...]], Build]] = [
    ("blocks", [("n", 41), (47, 53)], lambda x, w: x[:, 2:33] @ w[9:40, 5:]),
    ("turned blocks", [(41, "n"), (53, 47)], lambda x, w: x[2:33].T @ w[5:, 9:40].T),
    ("halves", [("n", 33), (33, 19)], halves),
    (
        "split heads",
        [("b", "n", 3 * 36)],
        lambda x: heads(x[..., :36]) @ heads(x[..., 36:72]).mT / 3.0 @ heads(x[..., 72:]),
    ),
    ("column", [("n", 300), ("n", 5)], lambda x, y: x.T @ y[:, 3]),
    ("row", [(5, 300), ("n", 300)], lambda x, y: x[2] @ y.T),
    (
        "recurrence",
        [("n", 6, 24), (16, 16)],
        lambda x, w: gc.scan(
            lambda h, row: ((new := gc.tanh(row[:, 8:] @ w + h), new)), x[0, :, :16], x
        )[1],
    ),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int32"])
@pytest.mark.parametrize(
    ("shapes", "build"), [c[1:] for c in PRODUCTS], ids=[c[0] for c in PRODUCTS]
)
def test_native_products(shapes: list[tuple[Any, ...]], build: Build, dtype: str) -> None:
    inputs = [gc.placeholder(f"x{n}", shape, dtype) for n, shape in enumerate(shapes)]
    try:
        output = build(*inputs)
    except gc.DTypeError:
        return
    plain = gc.function(inputs, output, backend="reference", optimize=False)
    compiled = [gc.function(inputs, output, backend="llvm", threads=t) for t in (1, 2, 3)]
    if dtype == "float32":
        compiled.append(gc.function(inputs, output, backend="numba_cpu"))
    for n, b in ((3, 2), (1, 1), (0, 1), (67, 3), (301, 2)):
        sizes = [[{"n": n, "b": b}.get(s, s) for s in shape] for shape in shapes]
        arrays = [RNG.integers(-4, 5, size=size).astype(dtype) for size in sizes]
        if build is PRODUCTS[-1][2] and n == 0:
            continue
        wanted = plain(*arrays).astype("float64")
        found = [f(*arrays) for f in compiled]
        tolerance = {"float16": 4e-3, "bfloat16": 3e-2}.get(dtype, 1e-5)
        scale = np.abs(wanted).max(initial=1.0)
        for one in found:
            np.testing.assert_allclose(
                one.astype("float64"), wanted, rtol=tolerance, atol=tolerance * scale
            )
        assert all(one.tobytes() == found[0].tobytes() for one in found[:3])


def test_equal_ways_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gc.placeholder("x", ("b", "s", 24)), gc.placeholder("y", ("b", "s", 24))
    tensors = [heads(one[..., begin : begin + 8]) for begin in (0, 8) for one in (x, y)]
    expected = [view_of(tensor) for tensor in tensors]
    known, worked_out = views.KnownViews(), []

    def counted(tensor: Any) -> views.View | None:
        worked_out.append(tensor)
        return view_of(tensor)

    monkeypatch.setattr(views, "view_of", counted)
    for tensor, view in zip(tensors, expected, strict=True):
        found = known.view(tensor)
        assert found is not None and view is not None
        assert found.base.key == view.base.key
        assert (found.offset, found.strides) == (view.offset, view.strides)
    assert len(worked_out) == 2
