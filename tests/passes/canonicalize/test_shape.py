"""Rules of shapes: broadcasts move outwards, reshapes compose."""

import numpy as np
import pytest

import graphc as gc
from graphc.ir.registry import OPS
from graphc.passes.canonicalize.shape import SHAPE
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import Case, check

TABLE = RuleTable(SHAPE)
MATRIX = ("float32[n, 5]", "float32[n, 5]")
MIXED = ("float32[n, 5]", "float32[5]")
SCALAR = ("float32[]",)

CASES = [
    Case("broadcast_operand", lambda x, y: x * gc.broadcast_to(y, x.shape), "x * y", MIXED),
    Case("broadcast_operand", lambda x, y: x * y[None], "x * y", MIXED),
    Case(
        "broadcast_operand",
        lambda x: gc.exp(gc.broadcast_to(x, (3, 4))),
        "broadcast_to(exp(x), shape=(3, 4))",
        SCALAR,
    ),
    Case(
        "broadcast_operand",
        lambda x, y: gc.where(x > 0, gc.broadcast_to(y, x.shape), gc.zeros(x.shape)),
        "where(x > 0.0, y, 0.0)",
        MIXED,
    ),
    Case("same_shape_broadcast", lambda x: OPS["broadcast_to"](x, shape=x.shape), "x", MATRIX),
    Case(
        "broadcast_of_one_number",
        lambda x: gc.sum(gc.broadcast_to(gc.constant([[2.0]]), (3, 5)), axis=0) + x,
        "sum(broadcast_to(2.0, shape=(3, 5)), axes=(0,), keepdims=False) + x",
        ("float32[5]",),
    ),
    Case(
        "broadcast_adds_axes",
        lambda x: gc.broadcast_to(x, (1, 1, *x.shape)),
        "expand_dims(x, axis=(0, 1))",
        MATRIX,
    ),
    Case(
        "broadcast_of_broadcast",
        lambda x: gc.broadcast_to(gc.broadcast_to(x, (3, 5)), (2, 3, 5)),
        "broadcast_to(x, shape=(2, 3, 5))",
        ("float32[5]",),
    ),
    Case(
        "broadcast_of_new_axes",
        lambda x: gc.broadcast_to(x[None, None], (2, 3, 5)),
        "broadcast_to(x, shape=(2, 3, 5))",
        ("float32[5]",),
    ),
    Case(
        "reshape_of_reshape",
        lambda x: gc.reshape(gc.reshape(x, (5, -1)), (-1,)),
        "reshape(x, shape=(5*n,))",
        MATRIX,
    ),
    Case(
        "reshape_of_reshape",
        lambda x: gc.reshape(x[:, None], (-1,)),
        "reshape(x, shape=(5*n,))",
        MATRIX,
    ),
    Case("same_shape_reshape", lambda x: OPS["reshape"](x, shape=x.shape), "x", MATRIX),
    Case(
        "reshape_of_broadcast",
        lambda x: gc.reshape(gc.broadcast_to(x, (3, 4)), (12,)),
        "broadcast_to(x, shape=(12,))",
        SCALAR,
    ),
    Case("squeeze_of_new_axes", lambda x: gc.squeeze(x[:, None], 1), "x", MATRIX),
    Case("new_axes_of_squeeze", lambda x: gc.squeeze(x, 1)[:, None], "x", ("float32[n, 1]",)),
    Case(
        "new_axes_of_new_axes",
        lambda x: gc.expand_dims(gc.expand_dims(x, 1), (0, 3)),
        "expand_dims(x, axis=(0, 2, 3))",
        MATRIX,
    ),
    Case(
        "squeeze_of_squeeze",
        lambda x: gc.squeeze(gc.squeeze(x, 1), 1),
        "squeeze(x, axis=(1, 2))",
        ("float32[n, 1, 1]",),
    ),
    Case(
        "uniform_constant",
        lambda x: x + gc.constant(np.full(5, 2.0, "float32")),
        "x + 2.0",
        MATRIX,
    ),
    Case("full", lambda x: x + gc.ones(x.shape), "x + 1.0", MATRIX),
]

UNTOUCHED = [
    Case("broadcast_of_one_number", lambda x: gc.broadcast_to(x, (3,)), None, ("float32[1]",)),
    Case("broadcast_operand", lambda x, y: x[:, None] * y, None, ("float32[3]", "float32[5]")),
    Case("broadcast_operand", lambda x: gc.sum(gc.broadcast_to(x, (3, 5)), axis=1), None, SCALAR),
    Case("broadcast_adds_axes", lambda x: gc.broadcast_to(x, (2, 5)), None, ("float32[5]",)),
    Case(
        "broadcast_of_new_axes",
        lambda x: gc.broadcast_to(x[:, None], (5, 3)),
        None,
        ("float32[5]",),
    ),
    Case(
        "reshape_of_broadcast",
        lambda x: gc.reshape(gc.broadcast_to(x, (3, 5)), (15,)),
        None,
        ("float32[5]",),
    ),
    Case("new_axes_of_squeeze", lambda x: gc.squeeze(x, 1)[:, None], None, ("float32[n, m]",)),
    Case("uniform_constant", lambda x: x + gc.constant([0.0, -0.0, 0.0, 0.0, 0.0]), None, MATRIX),
    Case("uniform_constant", lambda x: x + gc.constant([1.0, 1.0, 2.0, 1.0, 1.0]), None, MATRIX),
    Case("uniform_constant", lambda x: x + gc.constant([1.0] * 5, name="bias"), None, MATRIX),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: Case) -> None:
    check(TABLE, case)


@pytest.mark.parametrize("case", UNTOUCHED, ids=str)
def test_does_not_fire(case: Case) -> None:
    check(TABLE, case)


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in SHAPE}
