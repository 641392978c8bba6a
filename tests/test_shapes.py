"""Symbolic sizes and shape rules, checked against plain integers."""

import copy
import itertools
import operator
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import graphc as gc
from graphc.errors import DimError, ShapeError
from graphc.shapes import (
    Dim,
    Shape,
    Size,
    as_size,
    broadcast_shapes,
    ceil_div,
    dim_max,
    dim_min,
    evaluate,
    floor_div,
    format_shape,
    is_static,
    lower_bound,
    normalize_axes,
    normalize_axis,
    parse_size,
    reduced_shape,
    simplify,
    size_product,
    size_sum,
    substitute,
    symbols_of,
    upper_bound,
)

n, m, k, i, j = map(Dim.symbol, ("n", "m", "k", "i", "j"))


# Random expressions, as trees that both sizes and integers evaluate

Tree = tuple[object, ...]
NAMES = ("n", "m", "k")
BINARY: dict[str, Callable[[Size, Size], Size]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": floor_div,
    "%": lambda a, b: a % b,
    "max": dim_max,
    "min": dim_min,
}
PLAIN: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "max": max,
    "min": min,
}


def trees(names: tuple[str, ...], operators: str = "+ - * // % max min") -> st.SearchStrategy[Tree]:
    leaves = st.one_of(
        st.integers(-9, 9).map(lambda value: ("int", value)),
        st.sampled_from(names).map(lambda name: ("name", name)),
    )
    return st.recursive(
        leaves,
        lambda inner: st.tuples(st.sampled_from(operators.split()), inner, inner),
        max_leaves=8,
    )


def as_expression(tree: Tree) -> Size:
    match tree:
        case ("int", int() as value):
            return value
        case ("name", str() as name):
            return Dim.symbol(name)
        case (str() as name, tuple() as left, tuple() as right):
            return BINARY[name](as_expression(left), as_expression(right))
    raise AssertionError(tree)


def as_number(tree: Tree, bindings: dict[str, int]) -> int:
    match tree:
        case ("int", int() as value):
            return value
        case ("name", str() as name):
            return bindings[name]
        case (str() as name, tuple() as left, tuple() as right):
            return PLAIN[name](as_number(left, bindings), as_number(right, bindings))
    raise AssertionError(tree)


def built(tree: Tree) -> Size:
    """The size; a division by a constant zero is not a size at all."""
    try:
        return as_expression(tree)
    except (DimError, ZeroDivisionError):
        assume(False)
        raise


def number_or_none(tree: Tree, bindings: dict[str, int]) -> int | None:
    try:
        return as_number(tree, bindings)
    except ZeroDivisionError:
        return None


bindings_strategy = st.fixed_dictionaries({name: st.integers(0, 12) for name in NAMES})


@given(trees(NAMES), bindings_strategy)
@settings(max_examples=400, deadline=None)
def test_canonical_form_has_the_value_of_the_expression(
    tree: Tree, bindings: dict[str, int]
) -> None:
    size = built(tree)
    expected = number_or_none(tree, bindings)
    assume(expected is not None)
    assert evaluate(size, bindings) == expected


@given(trees(("n",), "+ - * // %"))
@settings(deadline=None)
def test_a_remaining_division_by_zero_is_an_error(tree: Tree) -> None:
    size = built(tree)
    try:
        evaluate(size, {"n": 0})
    except DimError as error:
        assert "division by zero" in str(error)


@given(trees(NAMES))
@settings(max_examples=400, deadline=None)
def test_text_reads_back_as_the_same_size(tree: Tree) -> None:
    size = built(tree)
    assert parse_size(str(size)) == size


@given(trees(NAMES), bindings_strategy)
@settings(deadline=None)
def test_text_is_python(tree: Tree, bindings: dict[str, int]) -> None:
    size = built(tree)
    try:
        expected = evaluate(size, bindings)
    except DimError:
        return
    code = compile(str(size), "size", "eval")
    assert eval(code, {"max": max, "min": min}, dict(bindings)) == expected


@given(trees(NAMES))
@settings(deadline=None)
def test_results_are_int_exactly_when_constant(tree: Tree) -> None:
    size = built(tree)
    assert isinstance(size, Dim) == bool(symbols_of(size))


@given(trees(NAMES), trees(NAMES), trees(NAMES, "+ - *"))
@settings(deadline=None)
def test_ring_laws_hold_structurally(left: Tree, right: Tree, third: Tree) -> None:
    a, b, c = built(left), built(right), built(third)
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) + c == a + (b + c)
    assert (a * b) * c == a * (b * c)
    assert a * (b + c) == a * b + a * c
    assert a - a == 0
    negative = -a
    assert -negative == a
    assert hash(a + b) == hash(b + a)


@given(trees(NAMES), trees(NAMES))
@settings(deadline=None)
def test_max_and_min_are_commutative_and_idempotent(left: Tree, right: Tree) -> None:
    a, b = built(left), built(right)
    assert dim_max(a, b) == dim_max(b, a)
    assert dim_min(a, b) == dim_min(b, a)
    assert dim_max(a, a) == a == dim_min(a, a)


def test_what_lies_just_below_0_is_divided() -> None:
    n = Dim.symbol("n")
    assert -1 // dim_max(n, 1) == -1
    assert -1 % dim_max(n, 1) == dim_max(n, 1) - 1
    assert str(1 // dim_max(n, 1)) == "1//max(n, 1)"
    assert -1 // (n + 1) == -1 and isinstance(-2 // (n + 1), Dim), "-2 where n is 0"


@given(trees(NAMES, "+ - * max min"), st.integers(1, 9), st.integers(1, 9))
@settings(deadline=None)
def test_nested_divisions_by_constants_are_one(tree: Tree, first: int, second: int) -> None:
    size = built(tree)
    assert (size * first) // first == size
    assert (Dim.symbol("x") + size) // first // second == (Dim.symbol("x") + size) // (
        first * second
    )


@given(trees(NAMES), trees(NAMES), bindings_strategy)
@settings(max_examples=300, deadline=None)
def test_comparisons_never_lie(left: Tree, right: Tree, bindings: dict[str, int]) -> None:
    a, b = built(left), built(right)
    x, y = number_or_none(left, bindings), number_or_none(right, bindings)
    assume(x is not None and y is not None)
    assert x is not None and y is not None
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        try:
            answer = compare(a, b)
        except DimError:
            continue
        assert answer == compare(x, y)


@given(trees(NAMES), bindings_strategy)
@settings(max_examples=300, deadline=None)
def test_lower_bound_is_below_every_value(tree: Tree, bindings: dict[str, int]) -> None:
    size = built(tree)
    minima = {name: value // 2 for name, value in bindings.items()}
    bound, raised = lower_bound(size), lower_bound(size, minima)
    value = number_or_none(tree, bindings)
    assume(value is not None)
    assert value is not None
    assert bound is None or bound <= value
    assert raised is None or raised <= value


@given(trees(NAMES), trees(NAMES), bindings_strategy)
@settings(deadline=None)
def test_substitution_commutes_with_evaluation(
    tree: Tree, replacement: Tree, bindings: dict[str, int]
) -> None:
    size, new = built(tree), built(replacement)
    try:
        value = evaluate(new, bindings)
        assume(value >= 0)  # symbols are >= 0
        expected = evaluate(size, {**bindings, "n": value})
    except DimError:
        assume(False)
    try:
        replaced = substitute(size, {"n": new})
        assert evaluate(replaced, bindings) == expected
    except DimError:
        assume(False)


@given(trees(NAMES), bindings_strategy)
@settings(deadline=None)
def test_coefficient_splits_affine_expressions(tree: Tree, bindings: dict[str, int]) -> None:
    size = built(tree)
    assume(isinstance(size, Dim))
    assert isinstance(size, Dim)
    factor = size.coefficient("n")
    if factor is None:
        return
    rest = size - factor * n
    assert "n" not in symbols_of(factor)
    assert "n" not in symbols_of(rest)


# Loop ranges

AXES = ("i", "j", "n")


@given(trees(AXES), st.integers(1, 5), st.integers(1, 5), st.integers(0, 6))
@settings(max_examples=400, deadline=None)
def test_simplify_agrees_on_every_point(tree: Tree, rows: int, columns: int, free: int) -> None:
    size = built(tree)
    simple = simplify(size, {"i": rows, "j": columns})
    bound = upper_bound(size, {"i": rows, "j": columns})
    assert bound is None or symbols_of(bound) <= {"n"}
    for row, column in itertools.product(range(rows), range(columns)):
        point = {"i": row, "j": column, "n": free}
        value = number_or_none(tree, point)
        if value is not None:
            assert evaluate(simple, point) == value
            assert bound is None or value <= evaluate(bound, point)


@given(trees(AXES), st.integers(0, 3), st.integers(0, 4))
@settings(max_examples=300, deadline=None)
def test_simplify_agrees_for_symbolic_extents(tree: Tree, offset: int, free: int) -> None:
    size = built(tree)
    extents: dict[str, Size] = {"i": n, "j": 2 * n + offset}
    simple, bound = simplify(size, extents), upper_bound(size, extents)
    for row, column in itertools.product(range(free), range(2 * free + offset)):
        point = {"i": row, "j": column, "n": free}
        value = number_or_none(tree, point)
        if value is not None:
            assert evaluate(simple, point) == value
            assert bound is None or value <= evaluate(bound, {"n": free})


@pytest.mark.parametrize(
    ("size", "extents", "expected"),
    [
        ((i * 784 + j) // 784, {"j": 784}, i),
        ((i * 784 + j) % 784, {"j": 784}, j),
        (j % 784, {"j": 784}, j),
        (j % 784, {"j": 785}, j % 784),
        (j // 28 // 28, {"j": 784}, 0),
        ((i * m + j) // m, {"j": m}, i),
        ((i * m + j) % m, {"j": m}, j),
        ((i * m * k + j * k + n) // (m * k), {"j": m, "n": k}, i),
        ((i * m * k + j * k + n) // k % m, {"j": m, "n": k}, j),
        ((i * m + j) // m, {"j": m + 1}, (i * m + j) // m),
        ((2 * i + j) // 4, {"j": 2}, i // 2),
        ((2 * i + j) // 4, {"j": 3}, (2 * i + j) // 4),
        ((28 * i + j) // 784, {"i": 28, "j": 28}, 0),
        (dim_max(i, 0), {"i": n}, i),
        (dim_max(i - n, 0), {"i": n}, 0),
        (dim_max(i - n + 1, 0), {"i": n}, 0),
        (dim_max(i - n + 2, 0), {"i": n}, dim_max(i - n + 2, 0)),
        (dim_min(i, n - 1), {"i": n}, i),
        (i // 7, {"i": 1}, 0),
        (3 * i + 1, {"i": 5}, 3 * i + 1),
    ],
)
def test_simplify_folds_loop_indices(size: Size, extents: dict[str, Size], expected: Size) -> None:
    assert simplify(size, extents) == expected


@pytest.mark.parametrize(
    ("size", "extents", "expected"),
    [
        (i * m + j, {"i": n, "j": m}, n * m - 1),
        (i * n - i, {"i": n}, (n - 1) * (n - 1)),
        (n - 1 - i, {"i": n}, n - 1),
        (i * i, {"i": 5}, 16),
        ((i + 1) // 2, {"i": n}, n // 2),
        (dim_max(i, j), {"i": 3, "j": 9}, 8),
        (k, {"i": 3}, k),
        (7, {}, 7),
    ],
)
def test_upper_bound_of_loop_indices(size: Size, extents: dict[str, Size], expected: Size) -> None:
    assert upper_bound(size, extents) == expected


def test_upper_bound_of_an_unknown_sign_is_none() -> None:
    assert upper_bound(i * (m - k), {"i": n}) is None


# Canonical form


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (n + n, 2 * n),
        ((n + 1) * 2, 2 * n + 2),
        (n * m, m * n),
        (n - n, 0),
        (n * 0, 0),
        (n**0, 1),
        ((n + 1) ** 2, n * n + 2 * n + 1),
        ((4 * n + 8) // 4, n + 2),
        ((4 * n + 7) // 4, n + 1),
        ((n + 5) // 4, (n + 1) // 4 + 1),
        ((2 * n) // 4, n // 2),
        ((n // 2) // 3, n // 6),
        (((n + 1) // 2 + 1) // 2, (n + 3) // 4),
        (n // 1, n),
        (n // -2, (-n) // 2),
        (n % 1, 0),
        ((4 * n + 3) % 4, 3),
        (ceil_div(n, 2), (n + 1) // 2),
        (ceil_div(7, 2), 4),
        (n * (k + 1) // (k + 1), n),
        ((n * k + n) // (k + 1), n),
        (dim_max(n, 0), n),
        (dim_max(n + 1, n), n + 1),
        (dim_max(n, dim_max(m, k)), dim_max(dim_max(k, n), m)),
        (dim_max(3, 5), 5),
        (dim_min(n, 0), 0),
        (dim_min(n + 1, n), n),
        (dim_max(n, n // 2), n),
        (dim_max(n, dim_min(n, m)), n),
        (n % 7 // 7, 0),
    ],
)
def test_equal_expressions_compare_equal(left: Size, right: Size) -> None:
    assert left == right
    assert hash(left) == hash(right)


def test_division_by_a_symbol_stays_as_the_symbol_may_be_zero() -> None:
    assert str((n * k) // n) == "k*n//n"
    assert str(n // n) == "n//n"
    assert str(0 // n) == "0//n"
    with pytest.raises(DimError, match="n is 0"):
        evaluate(n // n, {"n": 0})
    with pytest.raises(DimError, match="division by zero"):
        n // 0


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (2 * n + 3, "2*n + 3"),
        (3 - n, "3 - n"),
        (-n, "-n"),
        (-n - 1, "-n - 1"),
        (n * k + n, "k*n + n"),
        (n * n, "n*n"),
        ((n + 1) // 2, "(n + 1)//2"),
        (-(n // 2), "-(n//2)"),
        (n - n // 2, "n - n//2"),
        (-n // 2, "-n//2"),
        (2 * (n // 3), "2*(n//3)"),
        (n * k // 2, "k*n//2"),
        (n // (k * m), "n//(k*m)"),
        (n // k // m, "n//k//m"),
        (n // (k // m), "n//(k//m)"),
        (n // -k, "n//(-k)"),
        (dim_max(n - 2, 0), "max(n - 2, 0)"),
        (dim_min(n - 2, 0), "min(n - 2, 0)"),
        (m - dim_max(n, k), "m - max(k, n)"),
        (3 * dim_min(n, m), "3*min(m, n)"),
        (m - dim_min(n, k), "m + max(-k, -n)"),
        (dim_max(n, 1) // 2, "max(n, 1)//2"),
        (-(dim_max(n, 1) // 2), "-(max(n, 1)//2)"),
    ],
)
def test_text(size: Size, text: str) -> None:
    assert str(size) == text
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "n +", "n.m", "f(n)", "max()", "max(n, key=m)", "n / 2", "n ** 2", "1.5", "'a'", "True",
     "n if m else k", "[n]", "__import__('os')", "lambda: 0", "n; m", "max(*n)"],
)  # fmt: skip
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ShapeError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize("name", ["", "2n", "a b", "n-1", "for", "None", "ﬁ"])
def test_symbol_names_are_identifiers(name: str) -> None:
    with pytest.raises(DimError, match="identifier"):
        Dim.symbol(name)


# Behaviour as a Python object


def test_a_dim_never_equals_an_int() -> None:
    assert n != 3
    assert 3 != n  # noqa: SIM300
    assert n != "n"
    assert n in (n, 3)
    assert 3 not in (n,)


@pytest.mark.parametrize("use", [bool, int, float, range, [1, 2].__getitem__, operator.index])
def test_a_dim_is_no_number(use: Callable[[object], object]) -> None:
    with pytest.raises(DimError, match="run time"):
        use(n)


def test_simplify_leaves_a_division_by_zero() -> None:
    assert simplify(n // i, {"i": 1}) == n // i


def test_undecidable_comparisons_raise() -> None:
    with pytest.raises(DimError, match="cannot decide n < 3: the value is only known at run time"):
        n < 3  # noqa: B015


@pytest.mark.parametrize(
    "claim",
    [n >= 0, n < n + 1, n + 1 > n, n <= n, n > -1, n * m >= 0, n - n // 2 >= 0, n % 5 < 5,
     n % 5 >= 0, dim_max(n, m) >= n, dim_min(n, m) <= n, 2 * n + 3 >= 3, not n < 0,
     not n + 1 <= n],
)  # fmt: skip
def test_provable_comparisons(claim: bool) -> None:
    assert claim


def test_foreign_operands_are_type_errors() -> None:
    for use in (lambda: n + 1.5, lambda: n * "a", lambda: n < "a", lambda: n / 2):  # type: ignore[operator]
        with pytest.raises(TypeError):
            use()


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint8, np.intp])
def test_numpy_integers_are_integers(kind: Callable[[int], Any]) -> None:
    three = kind(3)
    for use in (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod):
        assert use(three, n) == use(3, n)
        assert use(n, three) == use(n, 3)


def test_a_dim_is_immutable() -> None:
    with pytest.raises(AttributeError):
        n.terms = ()
    with pytest.raises(AttributeError):
        del n.terms
    with pytest.raises(AttributeError):
        n.other = 1  # type: ignore[attr-defined, unused-ignore]


def test_copies_and_pickles_are_equal() -> None:
    size = dim_max(n - 2, (m + 1) // k) * n + 3
    assert copy.copy(size) == size
    assert copy.deepcopy(size) == size
    restored = pickle.loads(pickle.dumps(size))
    assert restored == size
    assert hash(restored) == hash(size)


def test_text_does_not_depend_on_the_hash_seed() -> None:
    program = (
        "from graphc.shapes import *; a = [Dim.symbol(c) for c in 'qwertz'];"
        "print(dim_max(*a) + size_product(a) + size_sum(a)//3 + dim_min(*a))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(texts) == 1


def test_long_sums_are_linear_work() -> None:
    names = [Dim.symbol(f"d{index}") for index in range(20_000)]
    total = size_sum(names)
    assert isinstance(total, Dim)
    assert total.evaluate({f"d{index}": 1 for index in range(20_000)}) == 20_000
    assert len(total.symbols()) == 20_000
    assert total.substitute({f"d{index}": 2 for index in range(20_000)}) == 40_000
    assert str(total).count("+") == 19_999


def test_chains_of_strides_stay_one_division() -> None:
    size: Size = n
    for _ in range(50):
        size = ceil_div(size, 2)
    assert size == (n + 2**50 - 1) // 2**50


# Queries


def test_symbols_and_division() -> None:
    size = dim_max(n // k, m) + 2
    assert symbols_of(size) == {"n", "k", "m"}
    assert symbols_of(3) == frozenset()
    assert isinstance(size, Dim) and size.has_division()
    assert not (n * m + 2).has_division()  # type: ignore[union-attr]


def test_evaluation_names_the_missing_symbol() -> None:
    with pytest.raises(DimError, match="'m' has no value"):
        evaluate(n + m, {"n": 1})


def test_substitution_is_simultaneous() -> None:
    assert substitute(n - 2 * m, {"n": m, "m": n}) == m - 2 * n
    assert substitute(n // k, {"k": 1}) == n
    assert substitute(3, {"n": 1}) == 3


def test_coefficient() -> None:
    size = 3 * n + n * k + m
    assert isinstance(size, Dim)
    assert size.coefficient("n") == k + 3
    assert size.coefficient("x") == 0
    assert Dim.symbol("n").coefficient("n") == 1
    for other in (n * n, n // 2 + n, dim_max(n, m)):
        assert isinstance(other, Dim)
        assert other.coefficient("n") is None


def test_lower_bound() -> None:
    assert lower_bound(n) == 0
    assert lower_bound(-n) is None
    assert lower_bound(n * m - n, {"m": 1}) == 0
    assert lower_bound(n - 3, {"n": 5}) == 2
    assert lower_bound(dim_max(n, 4)) == 4
    assert lower_bound(n - 3 * (n // 3)) == 0
    assert lower_bound(-7) == -7


# Shape rules


def refuse(a: Size, b: Size, axis: int) -> None:
    raise ShapeError(f"axis {axis}: {a} != {b}")


@given(st.lists(st.lists(st.integers(0, 3), max_size=4).map(tuple), max_size=4))
def test_static_broadcasting_is_numpys(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError):
            broadcast_shapes(shapes, refuse)
    else:
        assert broadcast_shapes(shapes, refuse) == expected


@pytest.mark.parametrize(
    ("shapes", "expected", "required"),
    [
        ([(n, 3), (3,)], (n, 3), []),
        ([(n, 1), (n, 5)], (n, 5), []),
        ([(n,), (m,)], (n,), [(n, m, -1)]),
        ([(n, 2), (4, 2)], (4, 2), [(n, 4, -2)]),
        ([(4, 2), (n, 2)], (4, 2), [(4, n, -2)]),
        ([(n,), (4,), (m,)], (4,), [(n, 4, -1), (4, m, -1)]),
        ([(n,), (0,)], (0,), [(n, 0, -1)]),
        ([(1,), (n,), ()], (n,), []),
        ([(2 * n,), (n + n,)], (2 * n,), []),
        ([], (), []),
    ],
)
def test_symbolic_broadcasting(
    shapes: list[Shape], expected: Shape, required: list[tuple[Size, Size, int]]
) -> None:
    seen: list[tuple[Size, Size, int]] = []
    assert broadcast_shapes(shapes, lambda a, b, axis: seen.append((a, b, axis))) == expected
    assert seen == required


def test_axes() -> None:
    assert [normalize_axis(axis, 3) for axis in (0, 2, -1, -3)] == [0, 2, 2, 0]
    assert normalize_axis(np.int64(-1), 3) == 2  # type: ignore[arg-type]
    assert normalize_axes(None, 3) == (0, 1, 2)
    assert normalize_axes(-1, 3) == (2,)
    assert normalize_axes((2, 0), 3) == (2, 0)
    assert normalize_axes((), 3) == ()
    with pytest.raises(ShapeError, match="axis 3 is out of range for ndim 3: allowed are -3 to 2"):
        normalize_axis(3, 3)
    with pytest.raises(ShapeError, match="scalar"):
        normalize_axis(0, 0)
    with pytest.raises(ShapeError, match="twice"):
        normalize_axes((0, -3), 3)
    for wrong in (1.0, True, "0", None):
        with pytest.raises(ShapeError, match="an axis is an integer"):
            normalize_axis(wrong, 3)  # type: ignore[arg-type]


def test_reduced_shape() -> None:
    assert reduced_shape((n, 3, m), (0, 2), keepdims=False) == (3,)
    assert reduced_shape((n, 3, m), (0, 2), keepdims=True) == (1, 3, 1)


def test_sizes_and_products() -> None:
    assert as_size(np.int32(4)) == 4
    assert type(as_size(np.int32(4))) is int
    assert as_size(n) == n
    for wrong in (True, 1.0, "n", None):
        with pytest.raises(ShapeError, match="a size is an integer"):
            as_size(wrong)
    assert size_product(()) == 1
    assert size_product((n, 2, m)) == 2 * n * m
    assert size_sum(()) == 0
    assert is_static((1, 2)) and not is_static((1, n))
    assert format_shape((n, 784)) == "[n, 784]"
    assert format_shape(()) == "[]"


def test_an_axis_that_does_not_exist_is_an_index_error_too() -> None:
    x = gc.placeholder("x", (2, 3))
    for build in (gc.expand_dims, gc.sum, gc.flip):
        with pytest.raises(IndexError, match="out of range") as info:
            build(x, axis=5)
        assert isinstance(info.value, gc.AxisError) and isinstance(info.value, ValueError)
