"""Selection, logic and conversion rules."""

import pytest

import graphc as gc
from graphc.passes.canonicalize.select import SELECT
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import INT, Case, check

TABLE = RuleTable(SELECT)
CHOICE = ("bool[n]", "float32[n]", "float32[n]", "float32[n]")

CASES = [
    Case("where_constant", lambda x, y: gc.where(True, x, y), "x"),
    Case("where_constant", lambda x, y: gc.where(False, x, y), "y"),
    Case(
        "where_constant",
        lambda x, y: gc.where(True, x, y),
        "broadcast_to(x, shape=(n,))",
        ("float32[]", "float32[n]"),
    ),
    Case("where_same", lambda x, y: gc.where(x, y, y), "y", CHOICE),
    Case("where_not", lambda x, y, z: gc.where(gc.logical_not(x), y, z), "where(x, z, y)", CHOICE),
    Case(
        "where_taken",
        lambda x, y, z, w: gc.where(x, gc.where(x, y, z), w),
        "where(x, y, w)",
        CHOICE,
    ),
    Case(
        "where_not_taken",
        lambda x, y, z, w: gc.where(x, y, gc.where(x, z, w)),
        "where(x, y, w)",
        CHOICE,
    ),
    Case("double_not", lambda x: gc.logical_not(gc.logical_not(x)), "x", CHOICE),
    Case("double_not", lambda x: ~~x, "x", INT),
    Case("cast_of_cast", lambda x: x.astype("float64").astype("float32"), "x"),
    Case("cast_of_cast", lambda x: x.astype("int64").astype("int32"), "x", INT),
    Case("cast_of_cast", lambda x: x.astype("int64").astype("int8"), "astype(x, dtype=int8)", INT),
    Case(
        "cast_of_cast",
        lambda x: x.astype("float64").astype("float32"),
        "astype(x, dtype=float32)",
        INT,
    ),
    Case(
        "cast_of_cast",
        lambda x: x.astype("float32").astype("int64"),
        "astype(x, dtype=int64)",
        ("bool[n]",),
    ),
]

UNTOUCHED = [
    Case("where_same", lambda x, y, z: gc.where(x, y, z), None, CHOICE),
    Case(
        "where_taken", lambda x, y, z, w: gc.where(x, gc.where(gc.isnan(y), y, z), w), None, CHOICE
    ),
    Case("cast_of_cast", lambda x: x.astype("float16").astype("float32"), None),  # rounds
    Case("cast_of_cast", lambda x: x.astype("float32").astype("int32"), None, INT),  # rounds
    Case("cast_of_cast", lambda x: x.astype("int32").astype("float32"), None),  # drops a fraction
    Case("cast_of_cast", lambda x: x.astype("float64").astype("int8"), None, INT),  # wraps, or not
    Case("cast_of_cast", lambda x: x.astype("bool").astype("float32"), None),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: Case) -> None:
    check(TABLE, case)


@pytest.mark.parametrize("case", UNTOUCHED, ids=str)
def test_does_not_fire(case: Case) -> None:
    check(TABLE, case)


def test_every_rule_has_a_case() -> None:
    # same_dtype only meets what other rules make: astype builds no such node.
    assert {case.rule for case in CASES} == {rule.name for rule in SELECT} - {"same_dtype"}
