"""The driver's chores: names, sources, shapes, the log, barriers, budgets and linear work."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import RewriteError, VerificationError
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.printer import format_expression
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.rewrite.driver import RewriteLog, rewrite
from graphc.rewrite.pattern import P, commuted, const, var
from graphc.rewrite.rule import Context, RuleTable, rule
from tests.work import steps

X, Y = var("x"), var("y")


@rule(P.multiply(X, 1))
def drop_one(b: Builder, x: Tensor) -> Tensor:
    """x * 1 = x"""
    return x


@rule(P.negative(P.negative(X)))
def drop_signs(b: Builder, x: Tensor) -> Tensor:
    """--x = x"""
    return x


@rule(P.log(P.exp(X)))
def drop_log(b: Builder, x: Tensor) -> Tensor:
    """log(exp(x)) = --x * 1"""
    return b.multiply(b.negative(b.negative(x)), 1)


@rule(commuted(P.add(X, P.negative(Y))))
def to_subtraction(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """x + -y = x - y"""
    return b.subtract(x, y)


@rule(P.subtract(X, Y))
def to_addition(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """x - y = x + -y"""
    return b.add(x, b.negative(y))


@pytest.fixture
def x() -> Tensor:
    return gc.placeholder("x", ("n", 3))


def one(tensor: Tensor, *rules: object, **options: object) -> Tensor:
    return rewrite([tensor], RuleTable(rules), **options)[0]  # type: ignore[arg-type]


# --- normal forms --------------------------------------------------------------------------------


def test_what_a_rule_makes_is_rewritten_too(x: Tensor) -> None:
    log = RewriteLog()
    assert one(gc.log(gc.exp(x)), drop_log, drop_signs, drop_one, log=log) is x
    assert log.rules() == ["drop_log", "drop_signs", "drop_one"]


def test_users_of_a_replaced_value_see_the_new_one(x: Tensor) -> None:
    inner = gc.exp(x) * 1
    old = [gc.tanh(inner), gc.sum(inner, axis=0)]
    new = rewrite(old, RuleTable((drop_one,)))
    assert [format_expression(t) for t in new] == [
        "tanh(exp(x))",
        "sum(exp(x), axes=(0,), keepdims=False)",
    ]
    assert new[0].node.inputs[0].node is new[1].node.inputs[0].node


def test_nothing_to_do_gives_the_same_nodes(x: Tensor) -> None:
    old = gc.exp(x) + gc.tanh(x)
    assert one(old, drop_one) is old


def test_equal_nodes_become_one(x: Tensor) -> None:
    total = one(gc.exp(x * 1) + gc.exp(x), drop_one)
    assert total.node.inputs[0].key == total.node.inputs[1].key


def test_unlike_constants_and_leaves_stay_apart(x: Tensor) -> None:
    def distinct(*tensors: Tensor) -> int:
        return len({t.key for t in rewrite(tensors, RuleTable())})

    assert distinct(x + 0.0, x + -0.0, x + 0.0) == 2
    flag = gc.placeholder("flag", (3,), "bool")
    assert distinct(flag.astype("int64"), flag.astype("float32"), flag.astype("int64")) == 2
    assert distinct(*(gc.constant(1, dtype) for dtype in ("bool", "int64", "float32"))) == 3
    assert distinct(gc.placeholder("same", (3,)), gc.placeholder("same", (3,))) == 2
    assert distinct(gc.variable(1.0, "v"), gc.variable(1.0, "v")) == 2


def test_large_constants_are_compared_by_identity() -> None:
    array = np.zeros(100_000, "float32")
    first, second = gc.constant(array), gc.constant(array)
    new = rewrite([first + 1, second + 1, first + 1], RuleTable())
    assert len({t.key for t in new}) == 2


# --- chores --------------------------------------------------------------------------------------


def test_names_are_kept(x: Tensor) -> None:
    kept = gc.exp(x) * 1
    kept.name = "weights"
    assert one(kept, drop_one).name == "weights"
    total = one(gc.sum(kept), drop_one)
    assert total.node.inputs[0].name == "weights"
    assert format_expression(total) == "sum(weights, axes=(0, 1), keepdims=False)"


def test_leaves_keep_their_own_name(x: Tensor) -> None:
    alias = x * 1
    alias.name = "alias"
    assert one(alias, drop_one).name == "x"


def test_sources_are_merged(x: Tensor) -> None:
    inner = gc.exp(x)
    outer = gc.log(inner)
    log = RewriteLog()

    @rule(P.log(P.exp(X)))
    def replace(b: Builder, x: Tensor) -> Tensor:
        """log(exp(x)) = tanh(x)"""
        return b.tanh(x)

    new = one(outer, replace, log=log)
    lines = [source.line for source in new.sources]
    assert lines == [outer.sources[0].line, inner.sources[0].line]
    (entry,) = log
    assert entry.sources == new.sources
    assert entry.where == ", ".join(source.short for source in new.sources)


def test_smaller_results_are_broadcast(x: Tensor) -> None:
    y = gc.placeholder("y", (3,))
    log = RewriteLog()
    new = one(y * gc.ones(x.shape), drop_full, log=log)
    assert new.type == x.type
    assert format_expression(new) == "broadcast_to(y, shape=(n, 3))"


@rule(P.multiply(X, P.full()))
def drop_full(b: Builder, x: Tensor) -> Tensor:
    """x * full = x"""
    return x


def test_another_dtype_is_a_defect_of_the_rule(x: Tensor) -> None:
    @rule(P.exp(X))
    def wrong(b: Builder, x: Tensor) -> Tensor:
        """exp(x) = astype(x, float64)"""
        return x.astype("float64")

    with pytest.raises(VerificationError, match=r"wrong turned float32\[n, 3\] into float64"):
        one(gc.exp(x), wrong)


def test_another_shape_is_a_defect_of_the_rule(x: Tensor) -> None:
    @rule(P.sum(X))
    def wrong(b: Builder, x: Tensor) -> Tensor:
        """sum(x) = x"""
        return x

    with pytest.raises(VerificationError, match="wrong turned"):
        one(gc.sum(x), wrong)


def test_the_number_of_results_is_checked(x: Tensor) -> None:
    @rule(P.exp(X))
    def wrong(b: Builder, x: Tensor) -> tuple[Tensor, ...]:
        """exp(x) = x, x"""
        return x, x

    with pytest.raises(VerificationError, match="2 values for 1"):
        one(gc.exp(x), wrong)


def test_none_means_that_a_rule_does_not_apply(x: Tensor) -> None:
    @rule(P.exp(X))
    def never(b: Builder, x: Tensor) -> None:
        """exp(x) = ..."""

    old = gc.exp(x)
    log = RewriteLog()
    assert one(old, never, log=log) is old
    assert len(log) == 0


def test_the_log_prints_as_a_table(x: Tensor) -> None:
    log = RewriteLog()
    value = gc.tanh(x)
    value.name = "activation"
    rewrite([value * 1], RuleTable(tidy=(drop_one,)), log=log)
    (entry,) = log
    assert (entry.group, entry.rule) == ("tidy", "drop_one")
    assert (entry.before, entry.after) == ("activation * 1.0", "tanh(x)")
    head, row = str(log).splitlines()
    assert head.split() == ["pass", "rule", "before", "after", "source"]
    assert row.startswith("tidy")
    assert "test_driver.py:" in row


# --- barriers and uses ---------------------------------------------------------------------------


def test_barriers_are_leaves(x: Tensor) -> None:
    barrier = gc.exp(x * 1)
    other = gc.exp(x)
    new = rewrite([gc.log(barrier), barrier * 1, other], RuleTable((drop_log, drop_one)),
                  barriers=[barrier])  # fmt: skip
    assert new[0].node.inputs[0].node is barrier.node
    assert new[1].node is barrier.node
    assert new[2].node is other.node  # equal to the barrier, and not the same
    assert format_expression(barrier) == "exp(x * 1.0)"


def test_rules_can_ask_for_other_uses(x: Tensor) -> None:
    @rule(P.exp(P.tanh(X)))
    def private(b: Builder, root: Tensor, context: Context, x: Tensor) -> Tensor | None:
        """exp(tanh(x)) = sinh(x), where nothing else needs tanh(x)"""
        return b.sinh(x) if context.single_use(root.node.inputs[0]) else None

    table = RuleTable((private, drop_one))
    inner = gc.tanh(x)
    assert format_expression(rewrite([gc.exp(inner)], table)[0]) == "sinh(x)"
    assert format_expression(rewrite([gc.exp(inner * 1)], table)[0]) == "sinh(x)"
    assert format_expression(rewrite([gc.exp(inner), inner], table)[0]) == "exp(tanh(x))"
    assert format_expression(rewrite([gc.exp(inner), inner + x], table)[0]) == "exp(tanh(x))"
    # Two equal nodes become one with two uses; the sum of uses counts.
    assert format_expression(rewrite([gc.exp(gc.tanh(x)), gc.tanh(x)], table)[1]) == "tanh(x)"


# --- rules that do not end -----------------------------------------------------------------------


def test_rules_that_undo_each_other_are_named(x: Tensor) -> None:
    y = gc.placeholder("y", ("n", 3))
    with pytest.raises(RewriteError, match="undo each other") as caught:
        one(x - y, to_subtraction, to_addition)
    assert caught.value.code == "E504"
    assert "to_addition" in str(caught.value)
    assert "to_subtraction" in str(caught.value)
    assert "test_driver.py" in str(caught.value)


def test_a_rule_that_contains_what_it_replaces_is_named(x: Tensor) -> None:
    @rule(P.exp(X))
    def wrap(b: Builder, root: Tensor, x: Tensor) -> Tensor:
        """exp(x) = -exp(x)"""
        return b.negative(b.exp(x))

    with pytest.raises(RewriteError, match="undoes itself") as caught:
        one(gc.exp(x), wrap)
    assert "wrap" in str(caught.value)


def test_a_rule_that_returns_its_root_is_named(x: Tensor) -> None:
    @rule(P.exp(X))
    def idle(b: Builder, root: Tensor) -> Tensor:
        """exp(x) = exp(x)"""
        return root

    with pytest.raises(RewriteError, match="idle"):
        one(gc.exp(x), idle)


def test_growth_without_end_is_named(x: Tensor) -> None:
    @rule(P.add(X, const("c")))
    def grow(b: Builder, x: Tensor, c: float) -> Tensor:
        """x + c = x + 2c"""
        return b.add(x, 2 * c)

    with pytest.raises(RewriteError, match="does not end: 64 steps") as caught:
        one(x + 1, grow)
    assert "grow" in str(caught.value)
    with pytest.raises(RewriteError, match="does not end: 5 steps"):
        one(x + 1, grow, budget=5)


def test_long_chains_do_not_exhaust_the_budget(x: Tensor) -> None:
    value = x
    for _ in range(1000):
        value = gc.log(gc.exp(value * 1))
    assert one(value, drop_log, drop_signs, drop_one) is x


# --- scale ---------------------------------------------------------------------------------------


@pytest.fixture
def shallow_stack() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    yield
    sys.setrecursionlimit(limit)


def chain(x: Tensor, length: int) -> Tensor:
    """Of every ten nodes, rules remove three."""
    value = x
    while length > 0:
        value = gc.tanh(gc.exp(gc.tanh(gc.exp(gc.tanh(gc.exp(gc.tanh(value * 1)))))))
        value = gc.negative(-value)
        length -= 10
    return value


@pytest.mark.usefixtures("shallow_stack")
def test_a_chain_of_100_000_nodes(x: Tensor) -> None:
    (new,) = rewrite([chain(x, 100_000)], RuleTable((drop_one, drop_signs)), log=RewriteLog())
    assert len(topological_order([new])) == 70_001


@pytest.mark.usefixtures("shallow_stack")
def test_the_work_on_a_chain_is_linear(x: Tensor) -> None:
    table = RuleTable((drop_one, drop_signs))

    def work(length: int) -> int:
        value = chain(x, length)
        return steps(lambda: rewrite([value], table, log=RewriteLog()))

    work(10)
    assert work(8_000) < 8 * 1.2 * work(1_000)


@pytest.mark.usefixtures("shallow_stack")
def test_wide_sums(x: Tensor) -> None:
    terms = [x * 1 for _ in range(20_000)]
    (new,) = rewrite([gc.add_n(terms)], RuleTable((drop_one,)))
    assert {t.node for t in new.node.inputs} == {x.node}


@pytest.mark.usefixtures("shallow_stack")
def test_a_rule_may_make_a_deep_graph(x: Tensor) -> None:
    @rule(P.tanh(X))
    def unroll(b: Builder, x: Tensor) -> Tensor:
        """tanh(x) = 5000 times exp, * 1"""
        for _ in range(5000):
            x = b.multiply(b.exp(x), 1)
        return x

    (new,) = rewrite([gc.tanh(x)], RuleTable((unroll, drop_one)))
    assert len(topological_order([new])) == 5001


def test_values_are_kept(x: Tensor) -> None:
    old = gc.log(gc.exp(x * 1)) - gc.negative(-gc.tanh(x * 1))
    (new,) = rewrite([old], RuleTable((drop_one, drop_signs, drop_log)))
    feed = {x: np.random.default_rng(0).normal(size=(4, 3)).astype("float32")}
    before, after = evaluate_tensors([old], feed)[0], evaluate_tensors([new], feed)[0]
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert all(node.op is PLACEHOLDER or node.inputs for node in topological_order([new]))


def test_a_unique_graph_without_hits_is_left_alone() -> None:
    x = gc.placeholder("x", (3,))
    table = RuleTable([drop_one, drop_signs])
    plain = [gc.exp(x) + 2, gc.tanh(x)]
    results = rewrite(plain, table, unique=True)
    assert all(new is old for new, old in zip(results, plain, strict=True))
    log = RewriteLog()
    (result,) = rewrite([gc.tanh(gc.exp(x) * 1) + 2], table, log=log, unique=True)
    assert log.rules() == ["drop_one"] and format_expression(result) == "tanh(exp(x)) + 2.0"
