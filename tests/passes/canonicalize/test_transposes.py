"""Rules that put transposes behind what is computed of elements and sums."""

import numpy as np
import pytest

import graphc as gc
from graphc.passes.canonicalize.transposes import TRANSPOSES
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import Case, check

TABLE = RuleTable(TRANSPOSES)
TWO = ("float32[n, 5]", "float32[n, 5]")
VECTOR = ("float32[n, 5]", "float32[n]")
SQUARES = ("float32[5, 5]", "float32[5, 5]")
CUBE = ("float32[n, 4, 5]",)
CUBES = ("float32[5, 5, 5]", "float32[5, 5, 5]")


def turned(x: gc.Tensor) -> gc.Tensor:
    return gc.permute_dims(x, (2, 0, 1))


CASES = [
    Case("transposed_operands", lambda x, y: x.T * y.T, "permute_dims(x * y, axes=(1, 0))", TWO),
    Case(
        "transposed_operands",
        lambda x, v: x.T + v,
        "permute_dims(x + expand_dims(v, axis=(1,)), axes=(1, 0))",
        VECTOR,
    ),
    Case(
        "transposed_operands",
        lambda x, v: turned(x) * v,
        "permute_dims(x * expand_dims(squeeze(v, axis=(0, 2)), axis=(1, 2)), axes=(2, 0, 1))",
        (*CUBE, "float32[1, n, 1]"),
    ),
    Case(
        "reduction_of_transpose",
        lambda x: gc.sum(turned(x), axis=(0, 2)),
        "sum(x, axes=(1, 2), keepdims=False)",
        CUBE,
        extremes=False,
    ),
    Case(
        "reduction_of_transpose",
        lambda x: gc.max(turned(x), axis=1),
        "permute_dims(max(x, axes=(0,), keepdims=False), axes=(1, 0))",
        CUBE,
    ),
    Case(
        "reduction_of_transpose",
        lambda x: gc.logsumexp(turned(x), axis=0, keepdims=True),
        "permute_dims(logsumexp(x, axes=(2,), keepdims=True), axes=(2, 0, 1))",
        CUBE,
    ),
    Case(
        "softmax_of_transpose",
        lambda x: gc.softmax(turned(x), axis=1),
        "permute_dims(softmax(x, axis=0), axes=(2, 0, 1))",
        CUBE,
    ),
]

UNTOUCHED = [
    Case("transposed_operands", lambda x, y: x.T * gc.permute_dims(y, (0, 1)), None, SQUARES),
    Case(
        "transposed_operands", lambda x, y: turned(x) * gc.permute_dims(y, (1, 0, 2)), None, CUBES
    ),
    Case("transposed_operands", lambda x, y: (x @ y).T + 1, None, SQUARES),
    Case("transposed_operands", lambda x: x.T + 1, None, ("float32[1, n]",)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: Case) -> None:
    check(TABLE, case)


@pytest.mark.parametrize("case", UNTOUCHED, ids=str)
def test_does_not_fire(case: Case) -> None:
    check(TABLE, case)


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in TRANSPOSES}


def test_statistics_of_a_transpose_are_those_of_columns() -> None:
    """Sums of the columns, then one loop that stores the transpose."""
    x = gc.placeholder("x", ("n", 40))
    rows = x.T
    f = gc.function([x], (rows - gc.mean(rows, axis=1, keepdims=True)) / gc.std(x, axis=0)[:, None])
    values = np.random.default_rng(0).normal(size=(300, 40)).astype("float32")
    expected = ((values - values.mean(0)) / values.std(0)).T
    np.testing.assert_allclose(f(values), expected, rtol=1e-4, atol=1e-5)
    assert "sum(x, 0)" in f.kernels()
