"""Rules of transposes, slices and reversals."""

import pytest

import graphc as gc
from graphc.ir.registry import OPS
from graphc.passes.canonicalize.movement import MOVEMENT
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import Case, check

TABLE = RuleTable(MOVEMENT)
MATRIX = ("float32[n, 5]",)
CUBE = ("float32[n, 4, 5]",)
SCALAR = ("float32[]",)


def place(x: gc.Tensor, start: int, spare: int) -> gc.Tensor:
    """x among `spare` columns of zeros, the first of its own at `start`."""
    shape, ones = (x.shape[0], x.shape[1] + spare), (1, 1)
    return OPS["slice_gradient"](x, shape=shape, starts=(0, start), steps=ones)


CASES = [
    Case("identity_transpose", lambda x: OPS["permute_dims"](x, axes=(0, 1)), "x", MATRIX),
    Case("transpose_of_transpose", lambda x: x.T.T, "x", MATRIX),
    Case(
        "transpose_of_transpose",
        lambda x: gc.permute_dims(gc.permute_dims(x, (1, 2, 0)), (0, 2, 1)),
        "permute_dims(x, axes=(1, 0, 2))",
        CUBE,
    ),
    Case(
        "transpose_of_broadcast",
        lambda x: gc.broadcast_to(x, (3, 5)).T,
        "broadcast_to(x, shape=(5, 3))",
        SCALAR,
    ),
    Case(
        "full_slice",
        lambda x: OPS["slice"](x, starts=(0, 0), sizes=x.shape, steps=(1, 1)),
        "x",
        MATRIX,
    ),
    Case(
        "slice_of_slice",
        lambda x: x[:, 1:][:, 1::2],
        "slice(x, sizes=(n, 2), starts=(0, 2), steps=(1, 2))",
        MATRIX,
    ),
    Case(
        "slice_of_slice",
        lambda x: x[:, ::-1][:, ::-1],
        "x",
        MATRIX,
    ),
    Case(
        "slice_of_slice",
        lambda x: x[:, ::-2][:, 1:],
        "slice(x, sizes=(n, 2), starts=(0, 2), steps=(1, -2))",
        MATRIX,
    ),
    Case(
        "slice_of_broadcast",
        lambda x: gc.broadcast_to(x, (7,))[2:5],
        "broadcast_to(x, shape=(3,))",
        SCALAR,
    ),
    Case(
        "gradient_of_an_empty_slice",
        lambda x: place(x[:, :0], 6, 6),
        "broadcast_to(0.0, shape=(n, 6))",
        ("float32[n, 2]",),
    ),
    Case("flip_of_flip", lambda x: gc.flip(gc.flip(x, 1), 1), "x", MATRIX),
    Case(
        "sum_of_pieces",
        lambda x: (
            (place(gc.exp(x), 0, 6) + place(x, 4, 6)) + (place(gc.sin(x), 2, 6) + place(x, 6, 6))
        ),
        "concat(exp(x) + 0.0, sin(x) + 0.0, x + 0.0, x + 0.0, axis=1)",
        ("float32[n, 2]",),
    ),
    Case(
        "sum_of_pieces",
        lambda x: (place(x, 0, 4) + place(gc.exp(x), 2, 4)) + place(x, 4, 4),
        "concat((x + 0.0) + 0.0, (exp(x) + 0.0) + 0.0, x + 0.0, axis=1)",
        ("float32[n, 2]",),
    ),
    Case(
        "sum_of_pieces",
        lambda x: place(gc.exp(x), 3, 6) + place(x, 1, 6),
        "slice_gradient(concat(x + 0.0, exp(x) + 0.0, axis=1), shape=(n, 8), starts=(0, 1), "
        "steps=(1, 1))",
        ("float32[n, 2]",),
    ),
    Case("idle_movement", lambda x: OPS["concat"](x, axis=0), "x", MATRIX),
    Case(
        "idle_movement",
        lambda x: gc.stop_gradient(gc.stop_gradient(x)),
        "stop_gradient(x)",
        MATRIX,
    ),
]

UNTOUCHED = [
    Case("identity_transpose", lambda x: x.T, None, MATRIX),
    Case("full_slice", lambda x: x[:, 1:], None, MATRIX),
    Case("full_slice", lambda x: x[:, ::-1], None, MATRIX),
    Case("flip_of_flip", lambda x: gc.flip(gc.flip(x, 0), 1), None, MATRIX),
    Case("sum_of_pieces", lambda x: place(x, 0, 6) + place(x, 4, 6), None, ("float32[2, 2]",)),
    Case("sum_of_pieces", lambda x: place(x, 0, 6) + place(x, 1, 6), None, ("float32[2, 2]",)),
    Case("slice_of_broadcast", lambda x: gc.broadcast_to(x, (3, 5))[0], None, ("float32[5]",)),
    Case("idle_movement", lambda x: gc.concat([x, x]), None, MATRIX),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: Case) -> None:
    check(TABLE, case)


@pytest.mark.parametrize("case", UNTOUCHED, ids=str)
def test_does_not_fire(case: Case) -> None:
    check(TABLE, case)


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in MOVEMENT}
