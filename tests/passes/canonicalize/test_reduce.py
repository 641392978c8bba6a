"""Rules of reductions."""

import numpy as np
import pytest

import graphc as gc
from graphc.ir.registry import OPS
from graphc.passes.canonicalize.reduce import REDUCE
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import Case, check, rewritten

TABLE = RuleTable(REDUCE)
ROWS = ("float32[n, 1, 5]",)
CUBE = ("float32[n, 4, 5]",)

CASES = [
    Case("reduce_axes_of_one", lambda x: gc.max(x, axis=1), "squeeze(x, axis=(1,))", ROWS),
    Case("reduce_axes_of_one", lambda x: gc.prod(x, axis=1, keepdims=True), "x", ROWS),
    Case(  # the sum of -0.0 alone is -0.0 then
        "reduce_axes_of_one",
        lambda x: OPS["sum"](x, axes=(), keepdims=False),
        "x",
        ROWS,
        extremes=False,
    ),
    Case(
        "reduce_of_reduce",
        lambda x: gc.max(gc.max(x, axis=1), axis=1),
        "max(x, axes=(1, 2), keepdims=False)",
        CUBE,
    ),
    Case(
        "reduce_of_reduce",
        lambda x: gc.min(gc.min(x, axis=2, keepdims=True), axis=0, keepdims=True),
        "min(x, axes=(0, 2), keepdims=True)",
        CUBE,
    ),
    Case(
        "keep_reduced_axes",
        lambda x: gc.max(x, axis=1)[:, None],
        "max(x, axes=(1,), keepdims=True)",
        CUBE,
    ),
    Case(
        "drop_reduced_axes",
        lambda x: gc.squeeze(gc.max(x, axis=(0, 1), keepdims=True), (0, 1)),
        "max(x, axes=(0, 1), keepdims=False)",
        CUBE,
    ),
    Case(
        "sum_of_scaled",
        lambda x: gc.sum(x * 0.5, axis=0),
        "sum(x, axes=(0,), keepdims=False) * 0.5",
        CUBE,
        extremes=False,
    ),
    Case(
        "sum_of_broadcast",
        lambda x: gc.sum(gc.broadcast_to(x, (4, 3, 5)), axis=(0, 1)),
        "squeeze(x, axis=(0,)) * 12.0",
        ("float32[1, 5]",),
        extremes=False,
    ),
    Case(
        "sum_of_broadcast",
        lambda x: gc.sum(gc.broadcast_to(x, (4, 3)), axis=0, keepdims=True),
        "x * 4.0",
        ("float32[1, 3]",),
        extremes=False,
    ),
    Case(
        "sum_of_broadcast",
        lambda x: gc.sum(gc.broadcast_to(2.0, x.shape)),
        "2.0 * astype(dim(size=n), dtype=float32)",
        ("float32[n]",),
    ),
]

UNTOUCHED = [
    Case("reduce_axes_of_one", lambda x: gc.sum(x, axis=0), None, ROWS),
    Case("reduce_of_reduce", lambda x: gc.sum(gc.max(x, axis=1), axis=1), None, CUBE),
    Case("reduce_of_reduce", lambda x: gc.max(gc.max(x, axis=1, keepdims=True)), None, CUBE),
    Case(  # the row sums are needed in any case, and are fewer than the elements
        "reduce_of_reduce",
        lambda x: (lambda rows: rows / gc.sum(rows))(gc.sum(x, axis=1)),
        None,
        ("float32[n, 4]",),
    ),
    Case("keep_reduced_axes", lambda x: gc.max(x, axis=1)[None], None, CUBE),
    Case("sum_of_scaled", lambda x: gc.sum(x * 3), None, CUBE),
    Case("sum_of_scaled", lambda x: gc.sum(x * -2), None, CUBE),  # -(0.0) is -0.0
    Case(
        "sum_of_broadcast",
        lambda x: gc.sum(gc.broadcast_to(x, (4, 5)), axis=1),
        None,
        ("float32[5]",),
    ),
    Case(  # no copies of inf sum to 0
        "sum_of_broadcast",
        lambda x, y: gc.sum(gc.broadcast_to(x, y.shape)),
        None,
        ("float32[]", "float32[n]"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: Case) -> None:
    found = check(TABLE, case)
    if not case.extremes:
        rng = np.random.default_rng(0)
        arrays = [rng.normal(size=[3 if not isinstance(s, int) else s for s in t.shape])
                  for t in found.inputs]  # fmt: skip
        old, new = found.values(arrays)
        np.testing.assert_allclose(new, old, rtol=1e-6)


@pytest.mark.parametrize("case", UNTOUCHED, ids=str)
def test_does_not_fire(case: Case) -> None:
    check(TABLE, case)


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in REDUCE}


def test_sum_of_a_broadcast_is_more_accurate() -> None:
    found = rewritten(TABLE, lambda x: gc.sum(gc.broadcast_to(x, (1000,))), "float32[]")
    _, new = found.values([0.1])
    assert new == np.float32(0.1) * np.float32(1000)
