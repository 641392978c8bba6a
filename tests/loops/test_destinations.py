"""Results of products that are written where they are wanted."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.loops.programs import check_at_sizes, check_values, program_of, step_lines

RNG = np.random.default_rng(11)


def merged(x: Any) -> Any:
    """(b, h, s, d) -> (b, s, h*d)"""
    y = gc.permute_dims(x, (0, 2, 1, 3))
    return gc.reshape(y, (*y.shape[:2], -1))


# name, shapes, the value, the steps
CASES: list[tuple[str, list[tuple[Any, ...]], Callable[..., Any], list[str]]] = [
    (
        "heads",
        [("b", 3, "s", "t"), ("b", 3, "t", 4), (12, 5)],
        lambda p, v, w: merged(p @ v) @ w,
        [
            "t2[b, 3, s, 4] = p[b, 3, s, t] @ v[b, 3, t, 4]  strides (12*s, 4) (3*s*t, s*t) "
            "(12*t, 4*t)  rows 12 t 4",
            "out[b*s, 5] = t2[b*s, 12] @ w[12, 5]",
        ],
    ),
    (
        "a result",
        [("b", 3, "s", "t"), ("b", 3, "t", 4)],
        lambda p, v: merged(p @ v),
        [
            "out[b, 3, s, 4] = p[b, 3, s, t] @ v[b, 3, t, 4]  strides (12*s, 4) (3*s*t, s*t) "
            "(12*t, 4*t)  rows 12 t 4",
        ],
    ),
    (
        "columns outside",
        [("b", "s", "t"), ("b", "t", 4)],
        lambda p, v: gc.permute_dims(p @ v, (2, 0, 1)),
        [
            "out[b, 4, s] = v[b, t, 4].T @ p[b, s, t].T  strides (s) (4*t) (s*t)  rows b*s 4 t",
        ],
    ),
    (
        "blocks of columns",
        [("n", 5), (5, 3), (5, 4)],
        lambda x, w, u: gc.concat([x @ w, x @ u], axis=1),
        [
            "out[n, 3] = x[n, 5] @ w[5, 3]  rows 7 5 3",
            "out[n, 4] = x[n, 5] @ u[5, 4]  rows 7 5 4  from 3 0 0",
        ],
    ),
    (
        "a block and a copy",
        [("n", 5), (5, 3)],
        lambda x, w: gc.concat([x @ w, x], axis=1),
        ["out[n, 3] = x[n, 5] @ w[5, 3]  rows 8 5 3", "out = k0(x, n, offset=3)"],
    ),
    (
        "stacked",
        [("n", 5), (5, 3)],
        lambda x, w: gc.stack([x @ w, (x + 1.0) @ w]),
        [
            "out[n, 3] = x[n, 5] @ w[5, 3]",
            "t3 = k0(x, n)",
            "out[n, 3] = t3[n, 5] @ w[5, 3]  from 3*n 0 0",
        ],
    ),
]


@pytest.mark.parametrize(
    ("shapes", "build", "rows"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_products_write_where_they_are_wanted(
    shapes: list[tuple[Any, ...]], build: Callable[..., Any], rows: list[str]
) -> None:
    names = {"p": "pvw", "x": "xwu"}[build.__code__.co_varnames[0]]
    inputs = [gc.placeholder(name, shape) for name, shape in zip(names, shapes, strict=False)]
    output = build(*inputs)
    assert step_lines(program_of(inputs, output)) == rows
    check_at_sizes(inputs, output, shapes)


def test_what_others_read_stays_where_it_is() -> None:
    p, v = gc.placeholder("p", (2, 3, 5, 6)), gc.placeholder("v", (2, 3, 6, 4))
    product = p @ v
    program = program_of([p, v], [merged(product), product])
    assert len(step_lines(program)) == 2  # and a copy
    check_values(
        [p, v], [merged(product), product], [RNG.normal(size=s.shape).astype("f4") for s in (p, v)]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
@pytest.mark.parametrize("kind", ["heads", "turned", "blocks"])
def test_native_products(kind: str, dtype: str) -> None:
    x = gc.placeholder("x", ("b", 3, "n", 40), dtype)
    w = gc.placeholder("w", (3, 40, 24), dtype)
    if kind == "heads":
        output = merged(x @ w)
    elif kind == "turned":
        output = gc.permute_dims(x @ w, (3, 0, 1, 2))
    else:
        output = gc.concat([x[:, 0] @ w[0], x[:, 1] @ w[1], x[:, 2]], axis=-1)
    inputs = [x, w]
    plain = gc.function(inputs, output, backend="reference", optimize=False)
    compiled = [gc.function(inputs, output, backend="llvm", threads=t) for t in (1, 2)]
    if dtype == "float32":
        compiled.append(gc.function(inputs, output, backend="numba_cpu"))
    for n, b in ((3, 2), (1, 1), (0, 1), (67, 3), (301, 2)):
        arrays = [
            RNG.integers(-4, 5, size=size).astype(dtype) for size in ((b, 3, n, 40), (3, 40, 24))
        ]
        wanted = plain(*arrays).astype("float64")
        found = [f(*arrays) for f in compiled]
        tolerance = 4e-3 if dtype == "float16" else 1e-5
        for one in found:
            np.testing.assert_allclose(
                one.astype("float64"), wanted, rtol=tolerance, atol=tolerance * 100
            )
        assert found[0].tobytes() == found[1].tobytes()
