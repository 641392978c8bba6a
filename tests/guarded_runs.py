"""`python -m tests.guarded_runs TASK...`: the tasks with guard pages around all memory.

What a task compiles is called on both sides of the fences. Prints a line before and after each
task, so that the parent knows where a process has died. Tasks: "op NAME" (some variants), "widths
NAME" (all sizes in one dtype of each width), "all NAME" (all variants, many in a function), "one
NAME" and "one-width NAME" (the same, one in a function: they find the variant), "gradients NAME",
"case NAME", "random SEED FAMILY" (one side, by the seed), "stray SIDE PLACE" (an access that must
be found).
"""

import contextlib
import ctypes
import importlib
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, get_args

import numpy as np

import graphc as gc
from tests import test_random_programs
from tests.backends import grouped
from tests.backends.grouped import assert_close
from tests.backends.test_suite import GRADIENTS, gradients_of, variant_of
from tests.backends.test_variants import TOLERANCE
from tests.guard_pages import Side, fence, guard, renew
from tests.guarded_cases import Case, all_cases
from tests.guarded_kernels import more_cases
from tests.variants import Variant, examples_of, sampled, seed_of, thinned, variants_of

SIDES: tuple[Side, ...] = get_args(Side)[::-1]
CALLS = 4  # of one function on the same sizes: the last ones go the direct way
CLOSE = {"float16": 2e-2, "bfloat16": 2e-1, "float32": 2e-4, "float64": 1e-10}


def run(task: str) -> None:
    kind, _, name = task.partition(" ")
    rng = np.random.default_rng(seed_of(task))
    if kind == "op":
        check_all(sampled(name, 3, rng), "llvm", TOLERANCE)
    elif kind == "all":
        check_all(variants_of(name), "llvm", TOLERANCE)
    elif kind == "widths":
        check_all(thinned(name, "guarded"), "llvm", TOLERANCE)
    elif kind == "one-width":
        check_all(told(thinned(name, "guarded")), "llvm", TOLERANCE, size=1)
    elif kind == "one":
        check_all(told(variants_of(name)), "llvm", TOLERANCE, size=1)
    elif kind == "gradients":
        check_all(gradients(name, rng), "llvm", GRADIENTS)
    elif kind == "random":
        seed, _, family = name.partition(" ")
        random_program(family, int(seed))
    elif kind == "stray":
        stray(*name.split())  # type: ignore[arg-type]
    else:
        check_case(cases()[name])


def cases() -> dict[str, Case]:
    return all_cases() | dict(more_cases())


def sides(*functions: gc.Function) -> Iterator[Side]:
    """Each side in turn, and the functions without memory of the last one."""
    try:
        for side in SIDES:
            fence(side)
            for function in functions:
                renew(function)
            print(f"  {side}", flush=True)
            yield side
    finally:
        fence(None)


check_all = partial(grouped.check_all, rounds=sides)


def random_program(family: str, seed: int) -> None:
    """One of `tests.random_programs`, with new values of all variables over the old ones."""
    vars(importlib.import_module("graphc.function"))["REWRITTEN"] = 1
    fence(SIDES[seed % 2])
    try:
        test_random_programs.check(family, seed)
    finally:
        fence(None)


def stray(side: Side, place: str) -> None:
    """Write to an array, one byte behind its end or one byte before its start."""
    fence(side)
    array = np.empty(5, np.int8)
    offset = {"inside": 4, "behind": 5, "before": -1}[place]
    ctypes.c_int8.from_address(array.ctypes.data + offset).value = 1


def told(variants: Iterable[Variant]) -> Iterator[Variant]:
    for variant in variants:
        print(f"  {variant.label}", flush=True)
        yield variant


def gradients(name: str, rng: np.random.Generator) -> Iterator[Variant]:
    for number, example in enumerate(examples_of(name)):
        variant = variant_of(name, number, example, "float64") if example.differentiable else None
        if variant is not None:
            found = gradients_of(variant.inputs, variant.outputs, rng)
            if found:
                yield Variant(variant.label, variant.inputs, found, variant.calls)


def check_case(case: Case) -> None:
    """Each size several times, then with memory for the results, then bound."""
    inputs = [gc.placeholder(name, shape, dtype) for name, shape, dtype in case.inputs]
    built = case.build(*inputs)
    outputs = list(built) if isinstance(built, list | tuple) else [built]
    f = gc.function(inputs, outputs, check="ir")
    plain = gc.function(inputs, outputs, backend="reference", optimize=False)
    two = gc.function(inputs, outputs, threads=2)
    expected: dict[int, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for side in sides(f, two):
        for number, sizes in enumerate(case.sizes):
            print(f"  {side} {sizes}", flush=True)
            if number not in expected:
                rng = np.random.default_rng(number)
                feeds = [values(rng, shape, dtype, sizes) for _, shape, dtype in case.inputs]
                expected[number] = (feeds, plain(*feeds))
            feeds, wanted = expected[number]
            check_calls(f, two, [array.copy() for array in feeds], wanted, case.has_memory)
        if len(case.sizes) > 1:
            check_turns(f, [expected[number] for number in range(len(case.sizes))])


def check_calls(
    f: gc.Function,
    two: gc.Function,
    feeds: list[np.ndarray],
    wanted: list[np.ndarray],
    has_memory: bool,
) -> None:
    for _ in range(CALLS):
        same(f(*feeds), wanted)
    same(two(*feeds), wanted)
    if has_memory:
        memory = [np.empty_like(array) for array in wanted]
        for _ in range(CALLS):
            same(f(*feeds, out=memory), wanted)
        bound = f.bind(*feeds, out=memory)
        for _ in range(CALLS):
            same(bound(), wanted)


def check_turns(f: gc.Function, known: Sequence[tuple[list[np.ndarray], list[np.ndarray]]]) -> None:
    """Sizes in turns, the first ones and the last ones: several are direct at the same time."""
    for few in (known[:4], known[-3:]):
        held = [([array.copy() for array in feeds], wanted) for feeds, wanted in few]
        for _ in range(CALLS):
            for feeds, wanted in held:
                same(f(*feeds), wanted)


def values(
    rng: np.random.Generator, shape: Sequence[Any], dtype: str, sizes: dict[str, int]
) -> np.ndarray:
    extents = [size if isinstance(size, int) else sizes[size] for size in shape]
    if dtype.startswith("int"):
        return rng.integers(0, 4, extents).astype(dtype)
    return rng.uniform(-1, 1, extents).astype(gc.as_dtype(dtype) if dtype == "bfloat16" else dtype)


def same(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert_close(np.asarray(one), np.asarray(other), CLOSE.get(other.dtype.name, 2e-4))


def main(tasks: Sequence[str]) -> None:
    guard()
    for task in tasks:
        print(f"> {task}", flush=True)
        try:
            run(task)
        except Exception:
            print(f"! {task}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"< {task}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1:])
