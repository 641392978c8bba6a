"""What patterns match, and what they bind."""

import pytest

import graphc as gc
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import (
    Match,
    P,
    Root,
    alternatives,
    any_op,
    attr,
    commuted,
    const,
    either,
    same_number,
    uniform_value,
    var,
)
from graphc.rewrite.rule import find_match

X, Y, C = var("x"), var("y"), const("c")


@pytest.fixture
def x() -> Tensor:
    return gc.placeholder("x", ("n", 3))


@pytest.fixture
def y() -> Tensor:
    return gc.placeholder("y", ("n", 3))


def found(pattern: Root, tensor: Tensor) -> Match:
    match = find_match(pattern, tensor)
    assert match is not None
    return match


def test_an_op_binds_its_operands_and_lists_its_nodes(x: Tensor) -> None:
    inner = gc.exp(x)
    outer = gc.log(inner)
    match = found(P.log(P.exp(X)), outer)
    assert match.bindings["x"] is x
    assert match.nodes == [outer.node, inner.node]
    assert find_match(P.exp(P.exp(X)), outer) is None


def test_a_variable_twice_is_the_same_value(x: Tensor, y: Tensor) -> None:
    assert find_match(P.multiply(X, X), x * x) is not None
    assert find_match(P.multiply(X, X), x * y) is None


@pytest.mark.parametrize(
    ("literal", "value", "matches"),
    [
        (1, 1.0, True),
        (0, 0.0, True),
        (0, -0.0, False),
        (-0.0, -0.0, True),
        (-0.0, 0.0, False),
        (1, 2.0, False),
        (0.5, 0.5, True),
    ],
)
def test_numbers_match_by_value_and_sign(
    x: Tensor, literal: float, value: float, matches: bool
) -> None:
    assert (find_match(P.add(X, literal), x + value) is not None) == matches


def test_truth_values_are_not_numbers() -> None:
    flag = gc.placeholder("flag", (), "bool")
    both = gc.logical_and(flag, True)
    assert find_match(P.logical_and(X, True), both) is not None
    assert find_match(P.logical_and(X, 1), both) is None
    assert not same_number(1, True)
    assert not same_number("1", 1)


def test_constants_match_through_a_broadcast(x: Tensor) -> None:
    wide = gc.broadcast_to(gc.constant(2.0), x.shape)
    assert found(P.multiply(X, C), x * wide).bindings["c"] == 2.0
    assert uniform_value(wide) == 2.0
    assert uniform_value(gc.constant([1.0, 1.0])) is None
    assert find_match(P.multiply(X, C), x * x) is None


def test_one_constant_twice_is_the_same_number(x: Tensor) -> None:
    pattern = P.multiply(P.add(X, C), C)
    assert find_match(pattern, (x + 2) * 2) is not None
    assert find_match(pattern, (x + 2) * 3) is None
    assert find_match(pattern, (x + 0.0) * -0.0) is None


def test_attributes_are_bound_or_compared(x: Tensor) -> None:
    total = gc.sum(x, axis=1, keepdims=True)
    assert found(P.sum(X, axes=attr("axes"), keepdims=True), total).bindings["axes"] == (1,)
    assert find_match(P.sum(X, keepdims=False), total) is None


def test_one_attribute_twice_has_the_same_value(x: Tensor) -> None:
    pattern = P.flip(P.flip(X, axis=attr("a")), axis=attr("a"))
    assert find_match(pattern, gc.flip(gc.flip(x, 0), 0)) is not None
    assert find_match(pattern, gc.flip(gc.flip(x, 0), 1)) is None


def test_alternatives_are_all_combinations() -> None:
    pattern = commuted(P.multiply(either(P.exp(X), P.log(X)), Y))
    assert len(list(alternatives(pattern))) == 4
    assert [one.op for one in alternatives(either(P.exp(X), P.log(X)))] == ["exp", "log"]  # type: ignore[union-attr]


def test_any_op_asks_for_a_kind_of_op(x: Tensor) -> None:
    pattern = any_op(lambda op: "elementwise" in op.traits)
    assert pattern.accepts(gc.exp(x).op)
    assert not pattern.accepts(gc.sum(x).op)
