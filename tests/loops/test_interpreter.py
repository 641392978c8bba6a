"""The loop interpreter against numpy, and what it refuses."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from graphc.backends.interpreter.backend import make_backend
from graphc.dtypes import float32
from graphc.errors import VerificationError
from graphc.loops.interpreter import run_kernel, run_program
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Buffer,
    Fault,
    For,
    If,
    Kernel,
    KernelCall,
    Let,
    LoopKind,
    Parameter,
    Program,
    Statement,
    Store,
)
from graphc.scalar import expr as s
from graphc.scalar.expr import Index
from tests.loops.cases import (
    CASES,
    COLUMN_SUM,
    GATHER,
    LINE_12,
    SCATTER_ADD,
    KernelCase,
    at,
    at_i,
    batched_program,
    c32,
    float32_local,
    i,
    layer_program,
    n,
)


@pytest.mark.parametrize(("size_n", "size_m"), [(0, 3), (3, 0), (1, 1), (2, 7), (5, 13)])
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_kernel_equals_numpy(case: KernelCase, size_n: int, size_m: int) -> None:
    arguments = case.arrays(size_n, size_n, size_m)
    expected = case.expected(*arguments)
    written = [np.zeros_like(array) for array in expected]
    run_kernel(case.kernel, [*arguments, *written], case.sizes(size_n, size_m))
    for got, wanted in zip(written, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=1e-7)


def test_gather_and_scatter() -> None:
    rng = np.random.default_rng(0)
    index = np.array([0, -1, 4, 4, -5], np.int32)
    x, values = rng.normal(size=(5, 3)).astype("f"), rng.normal(size=5).astype("f")
    rows, sums = np.empty((5, 3), "f"), np.empty(5, "f")
    run_kernel(GATHER, [x, index, rows], [5, 5])
    run_kernel(SCATTER_ADD, [index, values, sums], [5, 5])
    expected = np.zeros(5, "f")
    np.add.at(expected, index, values)
    np.testing.assert_array_equal(rows, x[index])
    np.testing.assert_allclose(sums, expected, rtol=1e-6)


def layer_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(4, 5)).astype("f"),
        "w": rng.normal(size=(3, 5)).astype("f"),
        "index": np.array([3, -4, 0], np.int32),
        "t": np.empty((4, 3), "f"),
        "p": np.empty((4, 3), "f"),
        "rows": np.empty((3, 3), "f"),
    }


def test_program() -> None:
    arrays = layer_arrays()
    run_program(layer_program(), {"n": 4, "m": 3}, arrays)
    (p,) = CASES["softmax"].expected(arrays["x"] @ arrays["w"].T)
    np.testing.assert_allclose(arrays["p"], p, rtol=2e-6)
    np.testing.assert_array_equal(arrays["rows"], arrays["p"][arrays["index"]])


def test_batched_contraction() -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.normal(size=(2, 4, 2)).astype("f"),
        "w": rng.normal(size=(3, 4, 5)).astype("f"),
        "out": np.empty((2, 3, 2, 5), "f"),
    }
    run_program(batched_program(), {"n": 2}, arrays)
    expected = np.einsum("bki,hkj->bhij", arrays["a"], arrays["w"])
    np.testing.assert_allclose(arrays["out"], expected, rtol=2e-6, atol=1e-6)


def test_backend_wraps_the_interpreter() -> None:
    arrays = layer_arrays()
    executable = make_backend().compile(layer_program())
    bound = executable.bind([4, 3], [arrays.pop("t")])
    bound(list(arrays.values()))
    np.testing.assert_array_equal(arrays["rows"], arrays["p"][arrays["index"]])
    assert executable.kernel_source(0) in executable.texts["loops"]


@pytest.mark.parametrize("bad", [4, -5])
def test_index_check_raises_fault(bad: int) -> None:
    arrays = layer_arrays() | {"index": np.array([0, bad, 99], np.int32)}
    with pytest.raises(Fault) as caught:
        run_program(layer_program(), {"n": 4, "m": 3}, arrays)
    assert (caught.value.step, caught.value.value) == (0, bad)


# Refusals


def kernel(*body: Statement) -> Kernel:
    parameters = (Parameter("x", float32, (n,)), Parameter("y", float32, (n,), written=True))
    return Kernel("k", parameters, ("n",), body, LINE_12)


def refused(*body: Statement) -> str:
    with pytest.raises(VerificationError) as caught:
        run_kernel(kernel(*body), [np.zeros(3, "f"), np.zeros(3, "f")], [3])
    return str(caught.value)


def test_index_outside_its_array() -> None:
    message = refused(For("i", n + 1, "serial", (Store("y", (at_i,), at("x", at_i)),)))
    assert "index [3] is outside x of shape [3]" in message
    assert "k: y[i] = x[i]" in message
    assert "train.py:12" in message


def test_negative_index() -> None:
    message = refused(For("i", n, "serial", (Store("y", (Index(i - 1),), c32(1.0)),)))
    assert "index [-1] is outside y of shape [3]" in message


def test_the_branch_not_taken_is_checked_too() -> None:
    value = s.select(s.lt(at_i, Index(1)), c32(0.0), at("x", Index(i + 1)))
    message = refused(For("i", n, "serial", (Store("y", (at_i,), value),)))
    assert "index [3] is outside x" in message


def test_unwritten_memory() -> None:
    message = refused(For("i", n, "serial", (Store("y", (at_i,), at("y", at_i)),)))
    assert "reads element 0 of y, never written" in message
    message = refused(For("i", n, "serial", (Store("y", (at_i,), c32(1), accumulate=True),)))
    assert "never written" in message


def test_writing_what_is_read_only() -> None:
    assert "not written by this kernel" in refused(Store("x", (Index(0),), c32(1.0)))


def test_single_assignment() -> None:
    assert "t is assigned twice" in refused(Let("t", c32(1)), Let("t", c32(2)))
    assert "t is assigned twice" in refused(
        Let("t", c32(1)), Accumulator("t", "add", float32), Accumulate("t", c32(1))
    )


def test_locals_end_with_their_body() -> None:
    inner = If(s.lt(Index(0), Index(n)), (Let("t", c32(1)),))
    assert "t has no value here" in refused(inner, Store("y", (Index(0),), float32_local("t")))


@pytest.mark.parametrize("kind", ["parallel", "vector"])
def test_iterations_that_meet(kind: LoopKind) -> None:
    loop = For("i", n, "serial", (Store("y", (Index(0),), at("x", at_i)),))
    run_kernel(kernel(loop), [np.zeros(3, "f"), np.zeros(3, "f")], [3])
    message = refused(replace(loop, kind=kind))
    assert "iterations 0 and 1 of a parallel loop meet in y" in message


def copy_program(*names: str) -> Program:
    """Copies along a chain of temporaries: x -> first -> ... -> y."""
    body = (For("i", n, "parallel", (Store("y", (at_i,), at("x", at_i)),)),)
    copy = kernel(*body)
    chain = ["x", *names, "y"]
    roles = dict.fromkeys(names, "temporary") | {"x": "input", "y": "output"}
    return Program(
        "copy",
        ("n",),
        {name: Buffer(name, float32, (n,), roles[name]) for name in chain},  # type: ignore[arg-type]
        tuple(KernelCall(copy, (source, target), (n,)) for source, target in pairwise(chain)),
        outputs=("y",),
    )


def test_memory_may_be_reused_after_the_last_read() -> None:
    arena = np.empty(6, "f")
    arrays = {"x": np.arange(3, dtype="f"), "y": np.empty(3, "f")}
    views = {"a": arena[:3], "b": arena[3:], "c": arena[:3]}
    run_program(copy_program("a", "b", "c"), {"n": 3}, arrays | views)
    np.testing.assert_array_equal(arrays["y"], arrays["x"])


def test_memory_reused_too_early() -> None:
    arena = np.empty(6, "f")
    arrays = {"x": np.arange(3, dtype="f"), "y": np.empty(3, "f")}
    views = {"a": arena[:3], "b": arena[1:4]}  # b overwrites a while a is read
    with pytest.raises(VerificationError, match="element 1 of a, never written or overwritten"):
        run_program(copy_program("a", "b"), {"n": 3}, arrays | views)


def test_an_output_that_is_not_written() -> None:
    program = replace(copy_program(), steps=())
    with pytest.raises(VerificationError, match="elements of y never written"):
        run_program(program, {"n": 3}, {"x": np.zeros(3, "f"), "y": np.zeros(3, "f")})


def test_sums_of_float32_are_formed_in_float64() -> None:
    x = np.full((1 << 15, 1), 0.1, "f")
    y = np.empty(1, "f")
    run_kernel(COLUMN_SUM, [x, y], [x.shape[0], 1])
    assert y[0] == np.float32(x.astype("d").sum())
