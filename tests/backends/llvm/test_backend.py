"""Whole programs: contractions, index checks, temporaries, and the life of compiled code."""

import gc
import os
import threading
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from graphc.backends.llvm.backend import make_backend
from graphc.dtypes import DType, float16, float32, float64, int32, int64, uint8
from graphc.loops.ir import (
    Buffer,
    Contraction,
    Fault,
    For,
    IndexCheck,
    Kernel,
    KernelCall,
    Parameter,
    Program,
    Step,
    Store,
)
from graphc.scalar import expr as s
from graphc.scalar.expr import Const, Index, Load
from graphc.shapes import Dim, Shape, Size
from tests.children import child_of

Array = np.ndarray[Any, Any]
n, m, k, i = (Dim.symbol(name) for name in "nmki")


def contraction_program(step: Contraction, shapes: dict[str, Shape], *sizes: str) -> Program:
    buffers = {
        name: Buffer(name, step.dtype, shape, "output" if name == "out" else "input")
        for name, shape in shapes.items()
    }
    return Program("product", sizes, buffers, (step,), ("out",))


def randoms(shape: tuple[int, ...], dtype: DType, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 10, shape).astype(dtype)


def check(a: Array, b: Array, out: Array, flips: tuple[bool, bool]) -> None:
    wanted = (a.T if flips[0] else a) @ (b.T if flips[1] else b)
    tolerance = {"f4": 1e-3, "f8": 1e-12, "f2": 1e-2}.get(f"{a.dtype.kind}{a.dtype.itemsize}", 0)
    np.testing.assert_allclose(out, wanted, rtol=tolerance, atol=tolerance)


EXTENTS = [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (1, 5, 4), (5, 1, 4), (1, 1, 9), (7, 17, 33)]


@pytest.mark.parametrize("flips", list(product((False, True), repeat=2)), ids=str)
@pytest.mark.parametrize("dtype", [float32, float64, int32, uint8, float16], ids=str)
def test_products_of_any_size(dtype: DType, flips: tuple[bool, bool]) -> None:
    step = Contraction("out", "a", "b", dtype, n, m, k, *flips)
    shapes: dict[str, Shape] = {
        "a": (k, n) if flips[0] else (n, k),
        "b": (m, k) if flips[1] else (k, m),
        "out": (n, m),
    }
    executable = make_backend().compile(contraction_program(step, shapes, "n", "m", "k"))
    for rows, columns, inner in [*EXTENTS, (64, 70, 80)]:
        a = randoms((inner, rows) if flips[0] else (rows, inner), dtype, 0)
        b = randoms((columns, inner) if flips[1] else (inner, columns), dtype, 1)
        out = randoms((rows, columns), dtype, 2)
        executable.bind([rows, columns, inner], [])([a, b, out])
        check(a, b, out, flips)


@pytest.mark.parametrize("flips", list(product((False, True), repeat=2)), ids=str)
@pytest.mark.parametrize(
    "extents", [*EXTENTS, (9, 10, 11), (16, 8, 4), (30, 1, 20), (1, 30, 20)], ids=str
)
def test_small_static_products(extents: tuple[int, int, int], flips: tuple[bool, bool]) -> None:
    rows, columns, inner = extents
    step = Contraction("out", "a", "b", float32, rows, columns, inner, *flips)
    shapes: dict[str, Shape] = {
        "a": (inner, rows) if flips[0] else (rows, inner),
        "b": (columns, inner) if flips[1] else (inner, columns),
        "out": (rows, columns),
    }
    executable = make_backend().compile(contraction_program(step, shapes))
    a, b, out = (randoms(tuple(map(int, shape)), float32, 3) for shape in shapes.values())
    executable.bind([], [])([a, b, out])
    check(a, b, out, flips)


@pytest.mark.parametrize("inner", [3, 40])
def test_batches_with_broadcast_strides(inner: int) -> None:
    size: Size = 6 * inner
    strides = ((60, 30), (2 * size, size), (5 * inner, 0))
    step = Contraction(
        "out", "a", "b", float32, 6, 5, inner, False, True, (n, 2), strides
    )  # fmt: skip
    shapes: dict[str, Shape] = {"a": (n, 2, 6, inner), "b": (n, 5, inner), "out": (n, 2, 6, 5)}
    executable = make_backend().compile(contraction_program(step, shapes, "n"))
    for batch in (0, 1, 3):
        a, b = randoms((batch, 2, 6, inner), float32, 0), randoms((batch, 5, inner), float32, 1)
        out = randoms((batch, 2, 6, 5), float32, 2)
        executable.bind([batch], [])([a, b, out])
        wanted = a @ b.transpose(0, 2, 1)[:, None]
        np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-4)


def copy_kernel(dtype: DType, name: str = "copy", factor: float = 1.0) -> Kernel:
    value = s.mul(Load("x", (Index(i),), dtype), Const(factor, dtype))
    return Kernel(
        name,
        (Parameter("x", dtype, (n,)), Parameter("out", dtype, (n,), written=True)),
        ("n",),
        (For("i", n, "vector", (Store("out", (Index(i),), value),)),),
    )


def checked_program(dtype: DType) -> Program:
    buffers = {
        "ids": Buffer("ids", dtype, (n,), "input"),
        "x": Buffer("x", float32, (m,), "input"),
        "out": Buffer("out", float32, (m,), "output"),
    }
    minimum: Size = 0 if dtype.kind == "u" else -k
    steps: tuple[Step, ...] = (
        IndexCheck("ids", n, minimum, k, 0, "take"),
        KernelCall(copy_kernel(float32), ("x", "out"), (m,)),
    )
    return Program("checked", ("n", "m", "k"), buffers, steps, ("out",))


@pytest.mark.parametrize("dtype", [int32, int64, uint8], ids=str)
def test_index_checks(dtype: DType) -> None:
    executable = make_backend().compile(checked_program(dtype))
    x = randoms((3,), float32, 0)
    for size in (0, 1, 7, 8, 9, 100):
        bound = executable.bind([size, 3, 10], [])
        ids = np.random.default_rng(0).integers(0, 10, size).astype(dtype)
        out = np.zeros(3, np.float32)
        bound([ids, x, out])
        np.testing.assert_array_equal(out, x)
        for place in {0, size // 2, size - 1} if size else ():
            for bad in (10, 200) if dtype == uint8 else (10, -11):
                broken = ids.copy()
                broken[place:] = bad
                if place + 1 < size:
                    broken[place + 1] = 77
                out = np.zeros(3, np.float32)
                with pytest.raises(Fault) as caught:
                    bound([broken, x, out])
                assert (caught.value.step, caught.value.value) == (0, bad)
                assert not out.any()


def chain_program(length: int) -> Program:
    """length copies through temporaries, each doubling."""
    names = [f"b{position}" for position in range(length + 1)]
    buffers = {
        name: Buffer(name, float32, (n,), "temporary" if 0 < position < length else "input")
        for position, name in enumerate(names)
    }
    buffers[names[-1]] = Buffer(names[-1], float32, (n,), "output")
    kernel = copy_kernel(float32, factor=2.0)
    steps = tuple(KernelCall(kernel, (source, target), (n,)) for source, target in pairwise(names))
    return Program("chain", ("n",), buffers, steps, (names[-1],))


def test_temporaries_and_one_function_for_equal_kernels() -> None:
    executable = make_backend().compile(chain_program(10))
    assert executable.texts["llvm"].count("define ") == 3  # the kernel, the steps, the entry
    assert "entry" in executable.texts["asm"]
    assert "fmul" in executable.kernel_source(0)
    x, out = randoms((33,), float32, 0), np.empty(33, np.float32)
    bound = executable.bind([33], [np.empty(33, np.float32) for _ in range(9)])
    bound([x, out])
    np.testing.assert_array_equal(out, x * 1024)


def test_sizes_are_evaluated_in_the_entry() -> None:
    half: Size = (n + 1) // 2 * 3 - 1
    buffers = {
        "x": Buffer("x", float32, (half,), "input"),
        "out": Buffer("out", float32, (half,), "output"),
    }
    step = KernelCall(copy_kernel(float32), ("x", "out"), (half,))
    executable = make_backend().compile(Program("sizes", ("n",), buffers, (step,), ("out",)))
    for value in (1, 2, 9):
        size = (value + 1) // 2 * 3 - 1
        x, out = randoms((size,), float32, 0), np.zeros(size + 1, np.float32)
        executable.bind([value], [])([x, out])
        np.testing.assert_array_equal(out[:-1], x)
        assert out[-1] == 0


def test_threads_compile_at_once() -> None:
    results: list[bool] = []

    def work(factor: float) -> None:
        kernel = copy_kernel(float64, factor=factor)
        buffers = {
            "x": Buffer("x", float64, (n,), "input"),
            "out": Buffer("out", float64, (n,), "output"),
        }
        step = KernelCall(kernel, ("x", "out"), (n,))
        executable = make_backend().compile(Program("p", ("n",), buffers, (step,), ("out",)))
        x, out = randoms((9,), float64, 0), np.empty(9)
        executable.bind([9], [])([x, out])
        results.append(bool((out == x * factor).all()))

    threads = [threading.Thread(target=work, args=(float(f),)) for f in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_compiles_and_calls() -> None:
    program = chain_program(2)
    stop = threading.Event()

    def compile_on() -> None:
        while not stop.is_set():
            make_backend().compile(program)

    busy = threading.Thread(target=compile_on)
    busy.start()

    def compile_and_call() -> None:
        x, out = np.ones(9, np.float32), np.empty(9, np.float32)
        bound = make_backend().compile(program).bind([9], [np.empty(9, np.float32)])
        bound([x, out])
        assert (out == 4).all()

    try:
        for _ in range(5):
            child_of(compile_and_call)
    finally:
        stop.set()
        busy.join()


def test_results_do_not_depend_on_old_contents() -> None:
    """BLAS must overwrite: NaN in the memory of the result does not stay."""
    for rows, columns, inner in ((5, 1, 3000), (1, 300, 300), (50, 60, 70), (50, 60, 0)):
        step = Contraction("out", "a", "b", float32, rows, columns, inner)
        shapes: dict[str, Shape] = {
            "a": (rows, inner),
            "b": (inner, columns),
            "out": (rows, columns),
        }
        executable = make_backend().compile(contraction_program(step, shapes))
        a, b = randoms((rows, inner), float32, 0), randoms((inner, columns), float32, 1)
        out = np.full((rows, columns), np.nan, np.float32)
        executable.bind([], [])([a, b, out])
        check(a, b, out, (False, False))


def resident_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.slow
def test_dropped_programs_are_freed() -> None:
    program = chain_program(3)
    for _ in range(50):
        make_backend().compile(program)
    gc.collect()
    before = resident_kib()
    for _ in range(300):
        make_backend().compile(program)
    gc.collect()
    assert resident_kib() - before < 20_000
