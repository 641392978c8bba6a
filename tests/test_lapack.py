"""The table of routines, the calls that it describes, and the step that runs them."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

import graphc as gc
from graphc.backends.blas_threads import routine_may_use_threads
from graphc.errors import VerificationError
from graphc.lapack import (
    ROUTINES,
    encode,
    explain_failure,
    symbol_of,
)
from graphc.lapack_calls import allocate, routine_address, run_routine
from graphc.loops.ir import Lapack, Program
from graphc.loops.printer import format_program, summary
from graphc.loops.verifier import verify_program

FLOATS = (np.dtype("float32"), np.dtype("float64"))


@pytest.mark.parametrize("name", ROUTINES)
def test_arguments_are_those_of_the_exported_function(name: str) -> None:
    """One for each pointer of its signature, and each is known."""
    routine = ROUTINES[name]
    module = importlib.import_module(f"scipy.linalg.cython_{routine.library}")
    for dtype in FLOATS:
        capsule = repr(module.__pyx_capi__[symbol_of(routine, dtype)])
        assert capsule.count("*") == len(routine.arguments)
        assert routine_address(symbol_of(routine, dtype), routine.library)
    operands = {f"in{n}" for n in range(len(routine.inputs))}
    operands |= {f"out{n}" for n in range(len(routine.outputs))}
    operands |= {f"work{n}" for n in range(len(routine.workspace))}
    known = {*operands, *routine.size_names, *routine.options, "info", "one"}
    assert all(argument in known or argument[0] == "'" for argument in routine.arguments)
    for number, operand in enumerate((*routine.outputs, *routine.workspace)):
        assert operand.start is None or routine.inputs[operand.start].shape == operand.shape, number
    assert set(routine.required) <= set(routine.size_names)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (40, 40), (200, 3), (3, 200), (150, 149)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_workspaces_are_large_enough(shape: tuple[int, int], dtype: np.dtype) -> None:
    """LAPACK would refuse a smaller one."""
    m, n = shape
    rng = np.random.default_rng(0)
    given = {"m": m, "n": n, "p": min(m, n), "q": min(m, n), "reflectors": min(m, n), "k": 2}
    names = ("gelqf", "gesdd", "gesdd_values", "syevd", "syevd_values")
    for name in (*names, *(("geev", "geev_values", "gees") if m == n else ())):
        routine = ROUTINES[name]
        sizes = {key: int(str(size)) for key, size in routine.complete(given).items()}
        x = rng.normal(size=(1, n, n) if "syevd" in name else (1, m, n))
        x = (x + np.swapaxes(x, 1, 2) if "syevd" in name else x).astype(dtype)
        outputs = allocate(routine, dtype, sizes, routine.outputs, 1)
        options = dict.fromkeys(routine.options, "S")
        assert run_routine(name, dtype, [x], outputs, 1, sizes, options) == 0
        if name not in ("gesdd_values", "syevd_values"):
            continue
        expected = np.linalg.eigvalsh(x) if "syevd" in name else np.linalg.svdvals(x)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(outputs[0], expected, rtol=1e-4, atol=1e-5 * scale)


def test_full_factors_of_long_matrices() -> None:
    routine, dtype = ROUTINES["gesdd"], np.dtype("float64")
    for m, n in ((300, 2), (2, 300)):
        sizes = routine.complete({"m": m, "n": n, "p": m, "q": n})
        numbers = {key: int(str(size)) for key, size in sizes.items()}
        x = np.random.default_rng(0).normal(size=(1, m, n))
        outputs = allocate(routine, dtype, numbers, routine.outputs, 1)
        assert run_routine("gesdd", dtype, [x], outputs, 1, numbers, {"vectors": "A"}) == 0
        u, s, vh = (output[0] for output in outputs)
        np.testing.assert_allclose(u[:, :2] * s @ vh[:2], x[0], atol=1e-12)


def test_codes_name_matrix_and_status() -> None:
    code = encode(7, 3)
    message, fix = explain_failure("potrf", "cholesky", code, batched=True)
    assert message == (
        "cholesky: matrix 7 of the batch is not positive definite (leading minor of order 3)"
    )
    assert fix
    assert encode(0, -4) > 0
    assert "converge" in explain_failure("gesdd", "svd", encode(0, -4), batched=False)[0]


def program() -> tuple[Program, int, Lapack]:
    x = gc.placeholder("x", (4, 3, 3), "float64")
    f = gc.function([x], list(gc.linalg.svd(x)))
    made = f.stages.program
    assert made is not None
    number, step = next((n, s) for n, s in enumerate(made.steps) if isinstance(s, Lapack))
    return made, number, step


def changed(made: Program, number: int, step: Lapack) -> Program:
    return replace(made, steps=(*made.steps[:number], step, *made.steps[number + 1 :]))


def test_the_step_prints() -> None:
    made, _, step = program()
    assert "gesdd(x, vectors=A)  4 matrices, m = 3, n = 3" in format_program(made)
    assert step.routine in summary(made)


def test_the_verifier_refuses_what_does_not_fit() -> None:
    made, number, step = program()
    verify_program(made)
    wrong = {
        "sizes": replace(step, sizes=step.sizes[1:]),
        "does not take": replace(step, dtype=np.dtype("float16")),
        "elements": replace(step, batch=5),
        "of 3": replace(step, outputs=step.outputs[1:]),
        "twice": replace(step, outputs=(step.outputs[0],) * 3),
        "both read and written": replace(step, outputs=(step.inputs[0], *step.outputs[1:])),
    }
    for text, other in wrong.items():
        with pytest.raises(VerificationError, match=text):
            verify_program(changed(made, number, other))


def test_small_matrices_run_without_a_change_of_threads() -> None:
    assert not routine_may_use_threads("syevd", {"n": 32})
    assert routine_may_use_threads("syevd", {"n": 33})
    assert routine_may_use_threads("potrf", {"n": 64})
    assert not routine_may_use_threads("getrs", {"n": 8, "k": 1})
    assert routine_may_use_threads("getrs", {"n": 8, "k": 8})
