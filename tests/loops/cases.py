"""Hand-made kernels and programs, shared by the tests of the loop IR and of its backends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from graphc.dtypes import bool_, float32, int32, int64
from graphc.ir.source import Source
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Buffer,
    Contraction,
    For,
    IndexCheck,
    Kernel,
    KernelCall,
    Let,
    Parameter,
    Program,
    Scratch,
    Store,
)
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index, Load, Local
from graphc.shapes import Dim

n, m = Dim.symbol("n"), Dim.symbol("m")
i, j = Dim.symbol("i"), Dim.symbol("j")
at_i, at_j = Index(i), Index(j)
LINE_12 = (Source("/home/user/train.py", 12),)
LINE_13 = (Source("/home/user/train.py", 13),)


def at(buffer: str, *index: Expr, dtype: np.dtype = float32) -> Load:
    """An element of a float32 buffer, unless said otherwise."""
    return Load(buffer, index, dtype)


def float32_local(name: str) -> Local:
    return Local(name, float32)


def c32(value: float) -> Expr:
    return s.constant(value, float32)


# Kernels

AFFINE = Kernel(
    "affine",
    (
        Parameter("x", float32, (n, m)),
        Parameter("b", float32, (m,)),
        Parameter("y", float32, (n, m), written=True),
    ),
    ("n", "m"),
    (
        For(
            "i",
            n,
            "parallel",
            (
                For(
                    "j",
                    m,
                    "vector",
                    (
                        Let("t0", s.add(at("x", at_i, at_j), at("b", at_j)), LINE_12),
                        Store(
                            "y",
                            (at_i, at_j),
                            s.mul(float32_local("t0"), s.tanh(float32_local("t0"))),
                            sources=LINE_13,
                        ),
                    ),
                ),
            ),
        ),
    ),
    (*LINE_12, *LINE_13),
    "y = t*tanh(t), t = x + b",
)

SOFTMAX = Kernel(
    "softmax",
    (Parameter("x", float32, (n, m)), Parameter("y", float32, (n, m), written=True)),
    ("n", "m"),
    (
        For(
            "i",
            n,
            "parallel",
            (
                Scratch("row", float32, (m,)),
                Accumulator("top", "maximum", float32, sources=LINE_12),
                For("j", m, "vector", (Accumulate("top", at("x", at_i, at_j), sources=LINE_12),)),
                Accumulator("total", "add", float32, sources=LINE_12),
                For(
                    "j",
                    m,
                    "vector",
                    (
                        Let("e", s.exp(s.sub(at("x", at_i, at_j), float32_local("top"))), LINE_12),
                        Store("row", (at_j,), float32_local("e"), sources=LINE_12),
                        Accumulate("total", float32_local("e"), sources=LINE_12),
                    ),
                ),
                For(
                    "j",
                    m,
                    "vector",
                    (
                        Store(
                            "y",
                            (at_i, at_j),
                            s.div(at("row", at_j), float32_local("total")),
                            sources=LINE_13,
                        ),
                    ),
                ),
            ),
        ),
    ),
    (*LINE_12, *LINE_13),
    "y = softmax(x)",
)

COLUMN_SUM = Kernel(
    "column_sum",
    (Parameter("x", float32, (n, m)), Parameter("y", float32, (m,), written=True)),
    ("n", "m"),
    (
        For(
            "j",
            m,
            "vector",
            (
                Accumulator("acc", "add", float32),
                For("i", n, "serial", (Accumulate("acc", at("x", at_i, at_j)),)),
                Store("y", (at_j,), float32_local("acc")),
            ),
        ),
    ),
)

ARGMAX = Kernel(
    "argmax",
    (Parameter("x", float32, (n, m)), Parameter("y", int64, (n,), written=True)),
    ("n", "m"),
    (
        For(
            "i",
            n,
            "parallel",
            (
                Accumulator("best", "argmax", float32, "where"),
                For("j", m, "vector", (Accumulate("best", at("x", at_i, at_j), at_j),)),
                Store("y", (at_i,), Local("where", int64)),
            ),
        ),
    ),
)

_picked = s.cast(at("index", at_i, dtype=int32), int64)
_row = s.select(s.lt(_picked, Index(0)), s.add(_picked, Index(n)), _picked)

GATHER = Kernel(
    "gather",
    (
        Parameter("x", float32, (n, 3)),
        Parameter("index", int32, (m,)),
        Parameter("y", float32, (m, 3), written=True),
    ),
    ("n", "m"),
    (
        For(
            "i",
            m,
            "parallel",
            (
                Let("row", _row),
                For(
                    "j",
                    3,
                    "vector",
                    (Store("y", (at_i, at_j), at("x", Local("row", int64), at_j)),),
                ),
            ),
        ),
    ),
)

SCATTER_ADD = Kernel(
    "scatter_add",
    (
        Parameter("index", int32, (m,)),
        Parameter("values", float32, (m,)),
        Parameter("y", float32, (n,), written=True),
    ),
    ("n", "m"),
    (
        For("i", n, "parallel", (Store("y", (at_i,), c32(0.0)),)),
        For(
            "i",
            m,
            "serial",
            (Store("y", (_row,), at("values", at_i), accumulate=True),),
        ),
    ),
)

POSITIVE_COUNT = Kernel(
    "positive_count",
    (
        Parameter("x", float32, (n,)),
        Parameter("y", int64, (), written=True),
        Parameter("all", bool_, (), written=True),
    ),
    ("n",),
    (
        Accumulator("acc", "add", int64),
        Accumulator("every", "and", bool_),
        For(
            "i",
            n,
            "serial",
            (
                Let("positive", s.lt(c32(0.0), at("x", at_i))),
                Accumulate("acc", s.cast(Local("positive", bool_), int64)),
                Accumulate("every", Local("positive", bool_)),
            ),
        ),
        Store("y", (), Local("acc", int64)),
        Store("all", (), Local("every", bool_)),
    ),
)


@dataclass(frozen=True)
class KernelCase:
    """A kernel with its sizes, arguments to read, and the expected content of what it writes."""

    kernel: Kernel
    make: Callable[[np.random.Generator, int, int], list[np.ndarray]]
    expected: Callable[..., list[np.ndarray]]

    def arrays(self, seed: int, size_n: int, size_m: int) -> list[np.ndarray]:
        return self.make(np.random.default_rng(seed), size_n, size_m)

    def sizes(self, size_n: int, size_m: int) -> list[int]:
        bound = {"n": size_n, "m": size_m}
        return [bound[name] for name in self.kernel.sizes]


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def _affine(x: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    return [(x + b) * np.tanh(x + b)]


def _softmax(x: np.ndarray) -> list[np.ndarray]:
    if x.size == 0:
        return [x.copy()]
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    return [(e / e.sum(1, keepdims=True)).astype(np.float32)]


def _argmax(x: np.ndarray) -> list[np.ndarray]:
    return [x.argmax(1) if x.shape[1] else np.zeros(x.shape[0], np.int64)]


def _scatter_add(index: np.ndarray, values: np.ndarray, size: int) -> list[np.ndarray]:
    out = np.zeros(size, np.float32)
    np.add.at(out, index, values)
    return [out]


def _with_ties(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    x = rng.integers(0, 3, (rows, columns)).astype(np.float32)
    x[rng.random((rows, columns)) < 0.1] = np.nan
    x[:1] = -np.inf
    return x


def _indices(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    return rng.integers(-size, size, count if size else 0).astype(np.int32)


CASES: Mapping[str, KernelCase] = {
    case.kernel.name: case
    for case in (
        KernelCase(AFFINE, lambda r, n, m: [_normal(r, n, m), _normal(r, m)], _affine),
        KernelCase(SOFTMAX, lambda r, n, m: [_normal(r, n, m)], _softmax),
        KernelCase(COLUMN_SUM, lambda r, n, m: [_normal(r, n, m)], lambda x: [x.sum(0)]),
        KernelCase(ARGMAX, lambda r, n, m: [_with_ties(r, n, m)], _argmax),
        KernelCase(
            POSITIVE_COUNT,
            lambda r, n, m: [_normal(r, n)],
            lambda x: [np.array((x > 0).sum()), np.array((x > 0).all())],
        ),
    )
}


# Programs


def layer_program() -> Program:
    """p = softmax(x @ w.T); rows[i] = p[index[i]]"""
    buffers = [
        Buffer("x", float32, (n, 5), "input", LINE_12),
        Buffer("w", float32, (3, 5), "variable"),
        Buffer("index", int32, (m,), "input", LINE_13),
        Buffer("t", float32, (n, 3), "temporary"),
        Buffer("p", float32, (n, 3), "output"),
        Buffer("rows", float32, (m, 3), "output", LINE_13),
    ]
    return Program(
        "layer",
        ("n", "m"),
        {buffer.name: buffer for buffer in buffers},
        (
            IndexCheck("index", m, -n, n, 0, "take", LINE_13),
            Contraction(
                "t",
                "x",
                "w",
                float32,
                n,
                3,
                5,
                transpose_b=True,
                sources=LINE_12,
                comment="x @ w.T",
            ),
            KernelCall(SOFTMAX, ("t", "p"), (n, 3)),
            KernelCall(GATHER, ("p", "index", "rows"), (n, m)),
        ),
        outputs=("p", "rows"),
    )


def batched_program() -> Program:
    """out[b, h] = a[b].T @ w[h], the operands broadcast along the batch axes."""
    buffers = [
        Buffer("a", float32, (n, 4, 2), "input"),
        Buffer("w", float32, (3, 4, 5), "input"),
        Buffer("out", float32, (n, 3, 2, 5), "output"),
    ]
    step = Contraction(
        "out",
        "a",
        "w",
        float32,
        2,
        5,
        4,
        transpose_a=True,
        batch=(n, 3),
        strides=((30, 10), (8, 0), (0, 20)),
    )
    return Program(
        "batched", ("n",), {buffer.name: buffer for buffer in buffers}, (step,), outputs=("out",)
    )
