"""Code for other processors: what can run here runs, the rest must pass code generation."""

import re
from collections.abc import Mapping

import numpy as np
import pytest

from graphc.backends.llvm.compiling import compiled_program
from graphc.backends.llvm.entry import emit_program
from graphc.backends.llvm.gemm import functions_of
from graphc.backends.llvm.gemm_layout import Layout
from graphc.backends.llvm.jit import FAST, PLAIN, Module, module_assembly
from graphc.backends.llvm.modules import modules_of
from graphc.dtypes import DType, bfloat16, float16, float32, float64, int8, int64, uint8, uint16
from graphc.loops.ir import Accumulate, Accumulator, For, Kernel, Parameter, Statement, Store
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index, Load, Local
from graphc.shapes import Dim
from tests.backends.llvm.conftest import program_of
from tests.backends.llvm.targets import lesser_target, other_target
from tests.backends.llvm.test_random_kernels import Grower, check_random_kernel

n, m, i, j = (Dim.symbol(name) for name in "nmij")


@pytest.mark.parametrize("name", ["sse2", "avx2"])
def test_random_kernels_on_lesser_processors(name: str) -> None:
    target = lesser_target(name)

    def run(kernel: Kernel, arrays: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> None:
        executable = compiled_program(program_of(kernel), target, 1)
        bound = executable.bind([sizes[size] for size in kernel.sizes], [])
        bound([arrays[p.name] for p in kernel.parameters])

    for seed in range(100, 115):
        check_random_kernel(run, seed)


@pytest.mark.parametrize("name", ["sse2", "avx2"])
def test_halves_on_lesser_processors(name: str) -> None:
    """Exact where no instruction converts them: all halves, and floats at and beside each."""
    target = lesser_target(name)

    def converted(values: np.ndarray, dtype: DType) -> np.ndarray:
        own = values.dtype
        parameters = (Parameter("x", own, (n,)), Parameter("out", dtype, (n,), written=True))
        value = s.cast(Load("x", (Index(i),), own), dtype)
        loop = For("i", n, "vector", (Store("out", (Index(i),), value),))
        program = program_of(Kernel("converted", parameters, ("n",), (loop,)))
        found = np.empty(values.shape, dtype)
        compiled_program(program, target, 1).bind([len(values)], [])([values, found])
        return found

    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    wide = halves.astype(np.float32)
    found = converted(halves, float32)
    np.testing.assert_array_equal(found, wide)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wide))
    with np.errstate(all="ignore"):
        up, down = (np.nextafter(wide, np.float32(end)) for end in (np.inf, -np.inf))
        between = (wide + up.astype(np.float16)) / 2  # ties, where steps are even
        floats = np.concatenate([wide, up, down, between, wide * 1.0004883]).astype(np.float32)
        expected = floats.astype(np.float16)
    found = converted(floats, float16)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def sum_of_exponentials() -> Kernel:
    x: Expr = Load("x", (Index(i),), float32)
    return Kernel(
        "sum",
        (Parameter("x", float32, (n,)), Parameter("out", float32, (), written=True)),
        ("n",),
        (
            Accumulator("a", "add", float32),
            For("i", n, "vector", (Accumulate("a", s.exp(x)),)),
            Store("out", (), Local("a", float32)),
        ),
    )


@pytest.mark.parametrize(
    ("name", "register"), [("sse2", "xmm"), ("avx2", "ymm"), ("avx512", "zmm"), ("neon", ".4s")]
)
def test_native_registers_are_used(name: str, register: str) -> None:
    target = other_target(name)
    program = program_of(sum_of_exponentials())
    text = emit_program(program, target).text
    assembly = module_assembly(Module(text), target)
    assert register in assembly
    assert "fmaf" not in assembly  # no library call for a fused product


def test_lanes_are_loaded_one_by_one_where_gathers_are_slow() -> None:
    """AMD's processors have the masks of AVX-512, and gathers that cost more than loads."""
    x = Load("x", (Index(3 * i),), float32)
    parameters = (Parameter("x", float32, (3 * n,)), Parameter("out", float32, (n,), written=True))
    loop = For("i", n, "vector", (Store("out", (Index(i),), x),))
    program = program_of(Kernel("every_third", parameters, ("n",), (loop,)))
    plain = other_target("avx512")
    texts = [emit_program(program, t).text for t in (plain, plain._replace(cpu="znver4"))]
    assert ["llvm.masked.gather" in text for text in texts] == [True, False]
    assert all("llvm.masked.store" in text for text in texts)


def test_masks_of_loads_outlive_code_generation() -> None:
    """Of a load, a product with what stays in its register and a choice under the same mask, LLVM
    makes one instruction, and then two of which the first reads beyond the end."""
    x = Load("x", (Index(m * j + i),), float32)
    parameters = (
        *(Parameter("x", float32, (m * n,)), Parameter("w", float32, (1,))),
        Parameter("out", float32, (m * n,), written=True),
    )
    lanes: tuple[Statement, ...] = (
        Accumulator("a", "add", float32),
        Accumulate("a", s.mul(x, Load("w", (Index(0),), float32))),
        Store("out", (Index(m * j + i),), Local("a", float32)),
    )
    rows = For("j", n, "parallel", (For("i", m, "vector", lanes),))
    program = program_of(Kernel("weighted", parameters, ("n", "m"), (rows,), fused=True))
    target = other_target("avx512")
    text = "".join(module_assembly(one, target) for one in emit_program(program, target).modules)
    assert "vfmadd" in text
    assert re.search(r"vmovups\s\(\S+\), %zmm\d+ {%k\d} {z}", text)


@pytest.mark.parametrize("name", ["avx512", "neon"])
def test_random_kernels_pass_code_generation(name: str) -> None:
    target = other_target(name)
    for seed in range(200, 210):
        program = program_of(Grower(seed).kernel())
        for module in emit_program(program, target).modules:
            module_assembly(module, target)


@pytest.mark.parametrize("name", ["sse2", "avx2", "avxvnni", "avx512", "pairs", "neon"])
def test_shared_routines_pass_code_generation(name: str) -> None:
    """Those that only call others by the quick generator, which knows no masks of AVX-512."""
    target = other_target(name)
    for dtype in (float32, float64, float16, bfloat16, int8, uint16, int64):
        for transpose_a, transpose_b in ((False, False), (True, True)):
            layout = Layout(dtype, transpose_a, transpose_b, dtype in (float32, float64), True)
            modules = modules_of(list(functions_of(layout, target).values()), {}, [layout.name])
            assert {module.level for module in modules[:-1]} == {FAST}
            assert modules[-1].level == PLAIN
            for module in modules:
                module_assembly(module, target)


@pytest.mark.parametrize(
    ("name", "instruction"),
    [("avxvnni", "vpdpbusd"), ("pairs", "vpdpbusd"), ("avx512", "vpmaddwd"), ("avx2", "vpmaddwd")],
)
def test_bytes_are_multiplied_together(name: str, instruction: str) -> None:
    """Four at a time where there is an instruction for it, or two."""
    target, layout = other_target(name), Layout(uint8, False, False)
    modules = modules_of(list(functions_of(layout, target).values()), {}, [layout.name])
    assert any(instruction in module_assembly(module, target) for module in modules)
