"""How rules are declared and looked up."""

import pytest

import graphc as gc
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, either, var
from graphc.rewrite.rule import RuleTable, rule

X = var("x")


@rule(either(P.exp(X), P.log(X)))
def forget(b: Builder, x: Tensor) -> Tensor:
    """exp(x) = x;  log(x) = x"""
    return x


def test_the_docstring_is_the_equation() -> None:
    assert forget.name == "forget"
    assert forget.equation == "exp(x) = x;  log(x) = x"
    assert "exp(x) = x" in repr(forget)


def test_a_rule_without_an_equation_is_refused() -> None:
    def nameless(b: Builder, x: Tensor) -> Tensor:
        return x

    with pytest.raises(ValueError, match="docstring must be its equation"):
        rule(P.exp(X))(nameless)


def test_a_pattern_without_a_root_is_refused() -> None:
    def rootless(b: Builder, x: Tensor) -> Tensor:
        """x = x"""
        return x

    with pytest.raises(ValueError, match="needs an op at its root"):
        rule(X)(rootless)


def test_a_table_offers_what_can_match() -> None:
    x = gc.placeholder("x", (3,))

    @rule(P.add(X, P.exp(X)))
    def deep(b: Builder, x: Tensor) -> None:
        """x + exp(x) = ..."""

    @rule(P.add(X, 1))
    def idle(b: Builder, x: Tensor) -> None:
        """x + 1 = ..."""

    table = RuleTable(first=(forget, deep), second=(idle, forget))
    names = [
        [one.name for one, _ in table.candidates(t.node)] for t in (x + gc.exp(x), x + 1, x + x)
    ]
    assert names == [["deep"], ["idle"], []]
    assert table.rules == (forget, deep, idle)
    assert [table.group[one] for one in table.rules] == ["first", "first", "second"]
