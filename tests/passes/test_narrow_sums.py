"""Sums and products in half precision: float32, rounded once; other dtypes stay as they are."""

import numpy as np
import pytest

import graphc as gc
from graphc.passes.narrow_sums import NARROW_SUMS
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import Build, rewritten

TABLE = RuleTable(NARROW_SUMS)

CASES: list[tuple[Build, str, str]] = [
    (
        lambda x: gc.sum(x, axis=0),
        "float16[60, n]",
        "astype(sum(astype(x, dtype=float32), axes=(0,), keepdims=False), dtype=float16)",
    ),
    (
        lambda x: gc.prod(x, axis=1, keepdims=True),
        "bfloat16[60, n]",
        "astype(prod(astype(x, dtype=float32), axes=(1,), keepdims=True), dtype=bfloat16)",
    ),
    (lambda x: gc.sum(x, axis=0), "float32[60, n]", "sum(x, axes=(0,), keepdims=False)"),
    (lambda x: gc.prod(x, axis=0), "int8[60, n]", "prod(astype(x, dtype=int64), axes=(0,), keep"),
]


@pytest.mark.parametrize(("build", "type", "after"), CASES)
def test_sums_of_narrow_numbers_are_wide(build: Build, type: str, after: str) -> None:
    found = rewritten(TABLE, build, type)
    assert found.after.startswith(after)
    rng = np.random.default_rng(0)
    old, new = found.values([rng.integers(1, 3, (60, 13))])
    np.testing.assert_array_equal(old, new)
