"""Rules of entries at known places, and of parts of concatenations."""

import pytest

import graphc as gc
from graphc.passes.canonicalize.entries import ENTRIES
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import Case, check

TABLE = RuleTable(ENTRIES)
MATRIX = ("float32[n, 5]",)
PAIR = ("float32[n, 3]", "float32[n, 2]")


def joined(x: gc.Tensor, y: gc.Tensor) -> gc.Tensor:
    return gc.concat([x, y, x], axis=1)


CASES = [
    Case(
        "take_at_known_places",
        lambda x: gc.take(x, [1, 3], axis=1),
        "slice(x, sizes=(n, 2), starts=(0, 1), steps=(1, 2))",
        MATRIX,
    ),
    Case(
        "take_at_known_places",
        lambda x: gc.take(x, [-1, -2, -3], axis=1),
        "slice(x, sizes=(n, 3), starts=(0, 4), steps=(1, -1))",
        MATRIX,
    ),
    Case(
        "slice_of_concat",
        lambda x, y: joined(x, y)[:, 3:5],
        "y",
        PAIR,
    ),
    Case(
        "slice_of_concat",
        lambda x, y: joined(x, y)[:, 1:4],
        "concat(slice(x, sizes=(n, 2), starts=(0, 1), steps=(1, 1)), "
        "slice(y, sizes=(n, 1), starts=(0, 0), steps=(1, 1)), axis=1)",
        PAIR,
    ),
    Case(
        "slice_of_concat",
        lambda x, y: joined(x, y)[:, 7:4:-2],
        "slice(x, sizes=(n, 2), starts=(0, 2), steps=(1, -2))",
        PAIR,
    ),
]

UNTOUCHED = [
    Case("take_at_known_places", lambda x: gc.take(x, [0, 1, 3], axis=1), None, MATRIX),
    Case("take_at_known_places", lambda x: gc.take(x, [1, 1], axis=1), None, MATRIX),
    Case("take_at_known_places", lambda x: gc.take(x, [0, 1], axis=0), None, MATRIX),
    Case("slice_of_concat", lambda x, y: joined(x, y)[:, 2:7], None, PAIR),
    Case("slice_of_concat", lambda x, y: joined(x, y)[:, 0:5], None, PAIR),
    Case("slice_of_concat", lambda x, y: joined(x, y)[:, 1:5:2], None, PAIR),
    Case("slice_of_concat", lambda x, y: joined(x, y)[:, 4:1:-1], None, PAIR),
    Case("slice_of_concat", lambda x: gc.concat([x, x])[:2], None, MATRIX),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: Case) -> None:
    check(TABLE, case)


@pytest.mark.parametrize("case", UNTOUCHED, ids=str)
def test_does_not_fire(case: Case) -> None:
    check(TABLE, case)


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in ENTRIES}
