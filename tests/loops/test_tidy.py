"""Hoisting, sharing and inlining of statements."""

from collections.abc import Sequence

from graphc.dtypes import float32
from graphc.loops.facts import FactsOf, gather
from graphc.loops.ir import Accumulate, Accumulator, For, Let, Scratch, Statement, Store
from graphc.loops.printer import format_statement
from graphc.loops.tidy import hoist, tidy
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Dim
from tests.loops.cases import at, at_i, at_j, c32, float32_local, n


def let(name: str, value: Expr) -> Let:
    return Let(name, value)


def text(body: Sequence[Statement], depth: int = 0) -> list[str]:
    rows: list[str] = []
    for item in body:
        rows.append("  " * depth + format_statement(item))
        rows += text(getattr(item, "body", ()), depth + 1)
    return rows


def hoisted(body: Sequence[Statement], written: set[str]) -> tuple[list[str], list[str]]:
    before, inside = hoist(body, "j", written, FactsOf())
    return text(before), text(inside)


def tidied(
    body: Sequence[Statement], written: set[str], named: set[str] | None = None
) -> list[str]:
    return text(tidy(body, written, named or set(), FactsOf()))


def test_facts() -> None:
    value = s.add(s.mul(at("x", at_i, s.cast(at_j, s.like(at_j, 1).dtype)), c32(-0.0)), c32(0.0))
    facts = gather(value)
    assert facts.loads == [("x", (at_i, at_j))]
    assert facts.zeros == ("-0.0", "0.0")
    assert facts.operations == 2
    assert facts.used_sizes == [] and len(facts.sizes) == 2


# --- hoist ---------------------------------------------------------------------------------------


def test_arithmetic_goes_before_the_loop_with_the_loads_it_needs() -> None:
    body: list[Statement] = [
        let("a", at("x", at_i)),
        let("b", s.exp(float32_local("a"))),
        let("c", at("y", at_i)),
        Store("out", (at_i, at_j), s.add(float32_local("b"), float32_local("c"))),
    ]
    before, inside = hoisted(body, {"out"})
    assert before == ["a = x[i]", "b = exp(a)"]
    assert inside == ["c = y[i]", "out[i, j] = b + c"]


def test_what_depends_on_the_loop_stays() -> None:
    body: list[Statement] = [
        Accumulator("total", "add", float32),
        let("a", s.exp(at("x", at_j))),
        let("b", s.exp(float32_local("a"))),
        let("c", s.exp(float32_local("total"))),
        let("d", s.exp(at("out", at_i))),
        Scratch("row", float32, (4,)),
        let("e", s.exp(at("row", Index(0)))),
    ]
    before, inside = hoisted(body, {"out"})
    assert before == [] and len(inside) == len(body)


def test_a_division_that_may_be_by_zero_stays() -> None:
    rate = s.cast(Index(Dim.symbol("m") // n), float32)
    before, inside = hoisted([let("rate", rate)], set())
    assert before == [] and inside == ["rate = f32(m//n)"]


# --- share ---------------------------------------------------------------------------------------


def test_equal_values_become_one() -> None:
    e = s.exp(at("x", at_i))
    body: list[Statement] = [
        let("a", e),
        let("b", e),
        Store("out", (at_i,), s.add(float32_local("a"), float32_local("b"))),
    ]
    assert tidied(body, {"out"}) == ["a = exp(x[i])", "out[i] = a + a"]


def test_zeros_of_two_signs_are_two_values() -> None:
    a, b = (s.mul(at("x", at_i), c32(zero)) for zero in (0.0, -0.0))
    body: list[Statement] = [
        let("a", a),
        let("b", b),
        Store("out", (at_i,), s.add(*map(float32_local, "ab"))),
    ]
    assert tidied(body, {"out"}) == ["out[i] = x[i]*0.0 + x[i]*-0.0"]


def test_another_name_for_a_value_goes() -> None:
    body: list[Statement] = [
        let("a", s.exp(at("x", at_i))),
        let("b", float32_local("a")),
        Store("out", (at_i,), s.mul(float32_local("b"), float32_local("b"))),
    ]
    assert tidied(body, {"out"}) == ["a = exp(x[i])", "out[i] = a*a"]


def test_a_value_is_not_shared_out_of_its_loop() -> None:
    e = s.exp(at("x", at_i))
    total = Accumulate("total", float32_local("a"))
    body: list[Statement] = [
        Accumulator("total", "add", float32),
        For("j", 4, "vector", (let("a", e), total)),
        let("b", e),
        Store("out", (at_i,), s.add(float32_local("b"), float32_local("total"))),
    ]
    assert tidied(body, {"out"})[-1] == "out[i] = exp(x[i]) + total"


def test_loads_from_memory_that_changes_are_not_shared() -> None:
    body: list[Statement] = [
        let("a", s.exp(at("out", at_i))),
        Store("out", (at_i,), float32_local("a")),
        let("b", s.exp(at("out", at_i))),
        Store("other", (at_i,), float32_local("b")),
    ]
    assert tidied(body, {"out", "other"}) == ["out[i] = exp(out[i])", "other[i] = exp(out[i])"]


# --- inline --------------------------------------------------------------------------------------


def test_values_used_once_are_written_where_they_are_used() -> None:
    body: list[Statement] = [
        let("a", at("x", at_i)),
        let("b", s.exp(float32_local("a"))),
        let("c", s.mul(float32_local("b"), c32(2.0))),
        Store("out", (at_i,), float32_local("c")),
    ]
    assert tidied(body, {"out"}) == ["out[i] = exp(x[i])*2.0"]
    assert tidied(body, {"out"}, {"b"}) == ["b = exp(x[i])", "out[i] = b*2.0"]


def test_expressions_stay_short() -> None:
    body: list[Statement] = [let("t0", at("x", at_i))]
    for number in range(10):
        body.append(let(f"t{number + 1}", s.exp(float32_local(f"t{number}"))))
    body.append(Store("out", (at_i,), float32_local("t10")))
    rows = tidied(body, {"out"})
    assert len(rows) == 2 and all(row.count("exp") <= 6 for row in rows)


def test_a_load_is_not_moved_past_a_store() -> None:
    body: list[Statement] = [
        let("a", at("out", at_i)),
        Store("out", (at_i,), c32(1.0)),
        Store("other", (at_i,), float32_local("a")),
    ]
    assert tidied(body, {"out", "other"}) == ["a = out[i]", "out[i] = 1.0", "other[i] = a"]


def test_a_value_is_not_moved_into_a_loop() -> None:
    body: list[Statement] = [
        let("a", s.exp(at("x", at_i))),
        For("j", 4, "vector", (Store("out", (at_i, at_j), float32_local("a")),)),
    ]
    assert tidied(body, {"out"}) == ["a = exp(x[i])", "for j in 4 vector:", "  out[i, j] = a"]
