"""Constant folding, and where it stops."""

import numpy as np
import pytest

import graphc as gc
from graphc.ir.leaf import CONSTANT
from graphc.ir.opdef import OpDef
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor
from graphc.passes.fold import FOLD
from graphc.rewrite.driver import rewrite
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import rewritten

TABLE = RuleTable(FOLD)


def folded(tensor: Tensor) -> Tensor:
    return rewrite([tensor], TABLE)[0]


def test_constants_are_computed_by_the_reference() -> None:
    value = folded(gc.exp(gc.constant([0.0, 1.0])) + 1)
    assert value.op is CONSTANT
    np.testing.assert_array_equal(
        value.node.attrs["value"], np.exp([0, 1]).astype("float32") + np.float32(1)
    )
    assert not value.node.attrs["value"].flags.writeable


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 1e38, -0.0])
def test_extreme_values_fold_as_they_compute(number: float) -> None:
    value = folded(gc.constant(number) * 10).node.attrs["value"]
    with np.errstate(all="ignore"):
        expected = np.float32(number) * np.float32(10)
    np.testing.assert_array_equal(value, expected)
    assert np.signbit(value) == np.signbit(expected)


def test_what_depends_on_an_input_stays() -> None:
    found = rewritten(TABLE, lambda x: x + gc.exp(gc.constant(0.0)), "float32[n]")
    assert found.after == "x + 1.0"


def test_variables_are_not_constants() -> None:
    value = gc.variable(1.0, "w") * 2
    assert folded(value) is value


def test_results_that_outgrow_their_inputs_stay() -> None:
    wide = gc.broadcast_to(gc.constant(1.5), (100, 100))
    assert folded(wide) is wide
    rows = gc.concat([gc.constant([[1.0, 2.0]])] * 8)
    assert folded(rows).op is CONSTANT


def test_large_results_stay() -> None:
    large = gc.exp(gc.constant(np.zeros(1 << 15, "float32")))
    assert folded(large) is large
    medium = gc.exp(gc.constant(np.zeros(1 << 13, "float32")))
    assert folded(medium).op is CONSTANT


def test_ops_without_inputs_stay() -> None:
    """A range is computed where it is used; as an array it would have to be read."""
    numbers = gc.arange(4)
    assert folded(numbers) is numbers


def test_symbolic_sizes_stay() -> None:
    size = gc.as_tensor(gc.dim("n")) + gc.constant(1, "int64")
    assert folded(size) is size


def test_a_reference_that_fails_leaves_the_node() -> None:
    def fail(attrs: object, x: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError

    exp: OpDef = OPS["exp"]
    broken = OpDef("broken", infer=exp.infer, reference=fail, lower=exp.lower)
    value = broken(gc.constant(1.0))
    assert folded(value) is value


def test_several_results() -> None:
    op = OpDef(
        "both",
        infer=lambda call: (call.types[0], call.types[0]),
        reference=lambda attrs, x: (x + 1, x + 2),
        lower=OPS["exp"].lower,
    )
    first, second = op.apply([gc.constant([1.0, 2.0])], {})
    values = rewrite([second, first], TABLE)
    assert [v.node.attrs["value"].tolist() for v in values] == [[3.0, 4.0], [2.0, 3.0]]
