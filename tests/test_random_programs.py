"""Random programs of families against the interpreted graph; they reach what they are for."""

import importlib
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.base import local_buffers
from graphc.backends.llvm import emitter, short_rows
from graphc.backends.llvm.pieces import ROUTINE
from graphc.loops.ir import Contraction
from tests import random_programs
from tests.random_blocks import blocks
from tests.random_networks import NETWORKS
from tests.random_programs import RandomProgram
from tests.random_tables import tables
from tests.variants import seed_of

FAMILIES = {**random_programs.FAMILIES, "tables": tables, "blocks": blocks, **NETWORKS}
COUNT = {"updates": 12, "short rows": 10, "recurrences": 3}  # in the default run; 5 of the others


@pytest.fixture(autouse=True)
def rewriting(monkeypatch: pytest.MonkeyPatch) -> None:
    """New values take the memory of the old ones in small variables too, and are written last."""
    for module in ("graphc.function", "graphc.loops.updates_last"):
        monkeypatch.setattr(importlib.import_module(module), "REWRITTEN", 1)


def drawn(family: str, seed: int) -> RandomProgram:
    return FAMILIES[family](np.random.default_rng(seed_of(family, seed)))


def same(found: Any, wanted: Any, tolerance: float, where: str) -> None:
    assert found.dtype == wanted.dtype and found.shape == wanted.shape, where
    if found.tobytes() == wanted.tobytes():
        return
    finite = np.isfinite(wanted)
    scale = np.abs(wanted[finite]).max(initial=1.0)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=where)


def check(family: str, seed: int) -> gc.Function:
    """On one thread and on two: the same bits, close to the interpreted graph, call after call."""
    program = drawn(family, seed)
    held = [variable for variable, _ in program.updates]
    first = [variable.value for variable in held]
    runs = []
    functions = []
    for options in ({"backend": "reference", "optimize": False}, {"threads": 1}, {"threads": 2}):
        f = gc.function(
            program.inputs,
            program.outputs,
            program.updates,
            on_unused_input="ignore",
            check="ir",
            **options,
        )
        functions.append(f)
        for variable, value in zip(held, first, strict=True):
            variable.value = value
        found: list[list[np.ndarray]] = []
        for number, feeds in enumerate(program.calls):
            kept = [variable.value for variable in held] if number % 2 else []
            copies = [array.copy() for array in kept]
            with np.errstate(all="ignore"):
                results = [np.array(result) for result in f(*feeds)]
                again = f(*feeds) if not held else results
            for once, twice in zip(results, again, strict=True):
                assert once.tobytes() == np.asarray(twice).tobytes(), "another call, other bits"
            for array, copy in zip(kept, copies, strict=True):
                np.testing.assert_array_equal(array, copy, "a value that was handed out changed")
            found.append([*results, *(np.array(variable.value) for variable in held)])
        runs.append(found)
    expected, one, two = runs
    for number, (wanted, single, double) in enumerate(zip(expected, one, two, strict=True)):
        for place, (a, b, c) in enumerate(zip(single, double, wanted, strict=True)):
            where = f"{family} {seed}, call {number}, result {place}"
            assert a.tobytes() == b.tobytes(), f"{where}: other bits on two threads"
            same(a, c, program.tolerance, where)
    return functions[1]


CASES = [(family, seed) for family in FAMILIES for seed in range(COUNT.get(family, 5))]


@pytest.mark.parametrize(("family", "seed"), CASES)
def test_random_program(family: str, seed: int) -> None:
    check(family, seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_many_random_programs(family: str) -> None:
    for seed in range(1000, 1200):
        check(family, seed)


def compiled(family: str, seed: int) -> gc.Function:
    program = drawn(family, seed)
    outputs = program.outputs[:1] if family == "pools" else program.outputs  # without gradients
    return gc.function(
        program.inputs, outputs, program.updates, on_unused_input="ignore", threads=1
    )


def test_the_families_reach_what_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the programs of a family, at least a third has what the family is drawn for."""
    turned: list[bool] = []
    plain = short_rows.side_by_side

    def seen(body: Any) -> Any:
        found = plain(body)
        turned.append(found != tuple(body))
        return found

    monkeypatch.setattr(emitter, "side_by_side", seen)

    def contractions(f: gc.Function) -> list[Contraction]:
        assert f.stages.program is not None
        return [step for step in f.stages.program.all_steps if isinstance(step, Contraction)]

    def reaches(family: str, f: gc.Function) -> bool:
        match family:
            case "recurrences":
                return ROUTINE in f.llvm()
            case "chains":
                return bool(local_buffers(f.stages.executable))
            case "views":
                return any(c.rows is not None or c.offsets is not None for c in contractions(f))
            case "short rows":
                return any(turned)
            case "updates":
                return f._rewrites
            case _:
                return len(f.kernels().splitlines()) == 2  # one, below the names of the columns

    for family in random_programs.FAMILIES:
        count = 0
        for seed in range(6):
            turned.clear()
            count += reaches(family, compiled(family, seed))
        assert count >= 2, f"{family}: {count} of 6"
