"""Arithmetic rules: text before and after, and every IEEE result kept."""

import pytest

import graphc as gc
from graphc.ir.registry import OPS
from graphc.passes.canonicalize.arith import ARITH
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import INT, Case, check

TABLE = RuleTable(ARITH)
ADD_N = OPS["add_n"]

CASES = [
    Case("constants_right", lambda x: 2 + x, "x + 2.0"),
    Case("constants_right", lambda x: 2 * x, "x * 2.0"),
    Case("multiply_by_one", lambda x: x * 1, "x"),
    Case("multiply_by_one", lambda x: 1 * x, "x"),
    Case("multiply_by_one", lambda x: x / 1, "x"),
    Case("multiply_by_minus_one", lambda x: x * -1, "-x"),
    Case("multiply_by_minus_one", lambda x: x / -1, "-x"),
    Case("subtract_zero", lambda x: x - 0.0, "x"),
    Case("subtract_zero", lambda x: x + -0.0, "x"),
    Case("add_zero", lambda x: x + 0, "x", INT),
    Case("add_zero", lambda x: gc.exp(x) + 0.0, "exp(x)"),
    Case("add_zero", lambda x: (x + 1) + 0.0, "x + 1.0"),
    Case("subtract_from_zero", lambda x: -0.0 - x, "-x"),
    Case("subtract_from_zero", lambda x: 0 - x, "-x", INT),
    Case("multiply_by_zero", lambda x: x * 0, "broadcast_to(0, shape=(n,))", INT),
    Case("subtract_self", lambda x: x - x, "broadcast_to(0, shape=(n,))", INT),
    Case("floor_divide_by_one", lambda x: x // 1, "x", INT),
    Case("idempotent", lambda x: gc.maximum(x, x), "x"),
    Case("idempotent", lambda x: x & x, "x", INT),
    Case("idempotent_logic", lambda x: gc.logical_or(x, x), "x", ("bool[n]",)),
    Case("double_negative", lambda x: gc.negative(-x), "x"),
    Case("subtract_negative", lambda x, y: x - (-y), "x + y"),
    Case("add_negative", lambda x, y: x + (-y), "x - y"),
    Case("add_negative", lambda x, y: (-x) + y, "y - x"),
    Case("multiply_negatives", lambda x, y: (-x) * (-y), "x * y"),
    Case("divide_negatives", lambda x, y: (-x) / (-y), "x / y"),
    Case("multiply_negative", lambda x, y: (-x) * y, "-(x * y)"),
    Case("multiply_negative", lambda x, y: x * (-y), "-(x * y)"),
    Case("divide_negative", lambda x, y: (-x) / y, "-(x / y)"),
    Case("divide_by_negative", lambda x, y: x / (-y), "-(x / y)"),
    Case("negative_of_scaled", lambda x: -(x * 3), "x * -3.0"),
    Case("negative_of_quotient", lambda x: -(x / 3), "x / -3.0"),
    Case("negative_of_inverse", lambda x: -(3 / x), "-3.0 / x"),
    Case("negative_factor", lambda x, y: x + y * -3, "x - (y * 3.0)"),
    Case("negative_factor", lambda x, y: x - y * -3, "x + (y * 3.0)"),
    Case("even_function", lambda x: gc.abs(-x), "abs(x)"),
    Case("even_function", lambda x: gc.square(-x), "square(x)"),
    Case("divide_by_power_of_two", lambda x: x / 4, "x * 0.25"),
    Case("divide_by_power_of_two", lambda x: x / -0.5, "x * -2.0"),
    Case("merge_factors", lambda x: (x * 3) * 0.5, "x * 1.5", extremes=False),
    Case("merge_factors", lambda x: (x * 2) * 3, "x * 6.0", extremes=False),
    Case("merge_factors", lambda x: (x * 65536) * 3, "x * 196608", INT),
    Case("merge_factors", lambda x: (x * 65536) * 65536, "broadcast_to(0, shape=(n,))", INT),
    Case("merge_terms", lambda x: (x + 3) + 4, "x + 7", INT),
    Case("merge_terms", lambda x: (x + 2147483647) + 1, "x + -2147483648", INT),
    Case("subtract_constant", lambda x: x - 3, "x + -3", INT),
    Case("subtract_constant", lambda x: (x + 5) - 3, "x + 2", INT),
    Case("multiply_self", lambda x: x * x, "square(x)"),
    Case("reciprocal", lambda x: gc.reciprocal(x), "1.0 / x"),
    Case("multiply_by_inverse", lambda x, y: x * (1 / y), "x / y", extremes=False),
    Case("multiply_by_inverse", lambda x, y: (1 / y) * x, "x / y", extremes=False),
    Case("small_power", lambda x: x**2, "square(x)"),
    Case("small_power", lambda x: x**1, "x"),
    Case("small_power", lambda x: x**0, "broadcast_to(1.0, shape=(n,))"),
    Case("small_power", lambda x: x**-1, "1.0 / x"),
    Case("small_power", lambda x: x**2, "square(x)", INT),
    Case("abs_of_nonnegative", lambda x: gc.abs(gc.exp(x)), "exp(x)"),
    Case("abs_of_nonnegative", lambda x: gc.abs(gc.abs(x)), "abs(x)", INT),
    Case("square_of_abs", lambda x: gc.square(gc.abs(x)), "square(x)"),
    Case("short_sum", lambda x, y: ADD_N(x, y), "x + y"),
    Case("short_sum", lambda x: ADD_N(x), "x"),
]

UNTOUCHED = [
    Case("constants_right", lambda x: gc.maximum(0.0, x), None),  # the gradient at ties differs
    Case("constants_right", lambda x: 2 - x, None),
    Case("add_zero", lambda x: x + 0.0, None),  # -0.0 + 0.0 is 0.0
    Case("add_zero", lambda x, y: (x * y) + 0.0, None),
    Case("subtract_zero", lambda x: x - -0.0, None),
    Case("subtract_from_zero", lambda x: 0.0 - x, None),  # 0.0 - 0.0 is 0.0, not -0.0
    Case("multiply_by_zero", lambda x: x * 0.0, None),  # inf * 0 is nan
    Case("subtract_self", lambda x: x - x, None),  # inf - inf is nan
    Case("idempotent", lambda x, y: gc.maximum(x, y), None),
    Case("multiply_by_one", lambda x: x * 2, None),
    Case("multiply_by_one", lambda x: 1 / x, None),
    Case("double_negative", lambda x, y: -(x - y), None),  # -(1 - 1) is -0.0
    Case("divide_by_power_of_two", lambda x: x / 3, None),
    Case("divide_by_power_of_two", lambda x: x / 2.0**-140, None),  # the inverse overflows
    Case("merge_factors", lambda x: (x * 3) * 5, None),  # two roundings, not one
    Case("merge_factors", lambda x: (x * 2.0**100) * 2.0**100, None),  # the factor overflows
    Case("merge_terms", lambda x: (x + 3) + 4, None),
    Case("multiply_self", lambda x, y: x * y, None),
    Case("multiply_by_inverse", lambda x, y: x * (1 / y), None, ("float32[n]", "float32[]")),
    Case("small_power", lambda x: x**3, None),
    Case("small_power", lambda x: x**0.5, None),  # sqrt(-inf) is nan, (-inf) ** 0.5 is inf
    Case("abs_of_nonnegative", lambda x: gc.abs(gc.square(x)), None, INT),  # may wrap around
    Case("negative_factor", lambda x, y: x + y * 3, None),
    Case("even_function", lambda x: gc.sin(-x), None),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: Case) -> None:
    check(TABLE, case)


@pytest.mark.parametrize("case", UNTOUCHED, ids=str)
def test_does_not_fire(case: Case) -> None:
    check(TABLE, case)


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in ARITH}
