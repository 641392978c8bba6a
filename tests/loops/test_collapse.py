"""Nests of independent loops as one: what is read at polynomials, what stays, what cannot be."""

from dataclasses import replace

import numpy as np

import graphc as gc
from graphc.ir.graph import Graph
from graphc.loops.collapse import in_one_loop
from graphc.loops.epilogues import epilogue_at
from graphc.loops.interpreter import run_kernel
from graphc.loops.ir import For, Kernel, KernelCall, Program
from graphc.loops.kernel_verifier import verify_kernel
from graphc.loops.lower import lower
from graphc.loops.printer import format_kernel
from graphc.passes.pipeline import optimize


def program_of(graph: Graph) -> Program:
    return lower(optimize(graph)[0], ())


def masked(mask: gc.Tensor) -> Program:
    """Weights of attention, three examples and two heads."""
    q, k = (gc.placeholder(name, (3, 2, 4, 5)) for name in "qk")
    scores = gc.where(mask, q @ k.mT, -1e9)
    return program_of(Graph((q, k, mask), (gc.softmax(scores, axis=-1),)))


def kernel_of(program: Program) -> Kernel:
    (call,) = (step for step in program.steps if isinstance(step, KernelCall))
    return call.kernel


def test_a_mask_for_all_heads() -> None:
    program = masked(gc.placeholder("mask", (3, 1, 4, 4), "bool"))
    kernel = kernel_of(program)
    one = in_one_loop(kernel, 3)
    assert one is not None
    verify_kernel(one)
    text = format_kernel(one)
    assert "for i in 24 parallel" in text
    assert text.count(" parallel") == 1
    assert "t1[4*i + m] if mask[4*i + m - 16*(i//4) + 16*(i//8)]" in text
    rng = np.random.default_rng(0)
    shapes = {p.name: [int(size) for size in p.shape] for p in kernel.parameters}
    arrays = [
        rng.random(shapes[p.name]) < 0.6
        if p.dtype == np.bool_
        else rng.normal(size=shapes[p.name]).astype("float32")
        for p in kernel.parameters
    ]
    copies = [array.copy().reshape(-1) for array in arrays]
    run_kernel(kernel, arrays)
    run_kernel(one, copies)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array.reshape(-1), copy)


def test_follows_the_product() -> None:
    for shape in [(3, 1, 4, 4), (4, 4), (1, 2, 4, 4), (3, 1, 1, 4), (3, 2, 4, 4)]:
        program = masked(gc.placeholder("mask", shape, "bool"))
        found = epilogue_at(program.steps, 0)
        assert found is not None
        assert found.units == 1


def test_must_not_collapse() -> None:
    """A loop that is not independent, and more loops than there are."""
    kernel = kernel_of(masked(gc.placeholder("mask", (4, 4), "bool")))
    (outer,) = kernel.body
    assert isinstance(outer, For)
    serial = replace(kernel, body=(replace(outer, kind="serial"),))
    assert in_one_loop(serial, 2) is None
    assert in_one_loop(kernel, 9) is None


def test_another_order_does_not_follow() -> None:
    """A product that is written with its batch axes exchanged."""
    q, k = (gc.placeholder(name, (3, 2, 4, 5)) for name in "qk")
    moved = gc.permute_dims(q @ k.mT, (1, 0, 2, 3))
    program = program_of(Graph((q, k), (gc.exp(moved) + 1.0,)))
    assert epilogue_at(program.steps, 0) is None
