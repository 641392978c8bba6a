"""`python -m tests.guarded_runs SIDE TASK...`: the tasks with guard pages around all memory.

Prints a line before and after each task, so that the parent knows where a process has died. Tasks:
"op NAME" (some variants), "widths NAME" (all sizes in one dtype of each width, others for each
side), "all NAME" (all variants, many in a function), "one NAME" and "one-width NAME" (the same, one
in a function: they find the variant), "gradients NAME", "case NAME", "stray PLACE" (an access that
must be found).
"""

import contextlib
import ctypes
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

import numpy as np

import graphc as gc
from tests.backends.grouped import GROUP, assert_close, check_all
from tests.backends.test_suite import GRADIENTS, gradients_of, variant_of
from tests.backends.test_variants import TOLERANCE
from tests.guard_pages import Side, guard
from tests.guarded_cases import Case, all_cases
from tests.variants import Variant, examples_of, sampled, seed_of, thinned, variants_of

CALLS = 4  # of one function on the same sizes: the last ones go the direct way
CLOSE = {"float16": 2e-2, "bfloat16": 2e-1, "float32": 2e-4, "float64": 1e-10}


def run(task: str, side: Side) -> None:
    kind, _, name = task.partition(" ")
    rng = np.random.default_rng(seed_of(task))
    if kind == "op":
        check_all(sampled(name, 3, rng), "llvm", TOLERANCE)
    elif kind == "all":
        check_all(variants_of(name), "llvm", TOLERANCE)
    elif kind == "widths":
        check_all(thinned(name, side), "llvm", TOLERANCE)
    elif kind == "one-width":
        check_all(told(thinned(name, side)), "llvm", TOLERANCE, size=1)
    elif kind == "one":
        check_all(told(variants_of(name)), "llvm", TOLERANCE, size=1)
    elif kind == "gradients":
        check_all(gradients(name, rng), "llvm", GRADIENTS)
    elif kind == "stray":
        stray(name)
    else:
        check_case(all_cases()[name])


def stray(place: str) -> None:
    """Write to an array, one byte behind its end or one byte before its start."""
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
    for number, sizes in enumerate(case.sizes):
        print(f"  {sizes}", flush=True)
        rng = np.random.default_rng(number)
        feeds = [values(rng, shape, dtype, sizes) for _, shape, dtype in case.inputs]
        wanted = plain(*feeds)
        for _ in range(CALLS):
            same(f(*feeds), wanted)
        same(two(*feeds), wanted)
        if case.has_memory:
            memory = [np.empty_like(array) for array in wanted]
            for _ in range(CALLS):
                same(f(*feeds, out=memory), wanted)
            bound = f.bind(*feeds, out=memory)
            for _ in range(CALLS):
                same(bound(), wanted)


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


def main(side: Side, tasks: Sequence[str]) -> None:
    guard(side)
    for task in tasks:
        print(f"> {task}", flush=True)
        try:
            run(task, side)
        except Exception:
            print(f"! {task}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"< {task}", flush=True)


if __name__ == "__main__":
    assert sys.argv[1] in get_args(Side) and GROUP > 1
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1], sys.argv[2:])  # type: ignore[arg-type]
