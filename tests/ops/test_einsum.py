"""einsum: numpy on many subscripts and on generated ones, sizes, gradients, errors."""

import string
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc as gc
from graphc.errors import DTypeError, FeedError, ShapeError

SIZES = dict(
    zip(string.ascii_letters, [2, 3, 4, 5, 1, 3, 2, 0, 4, 3, 2, 5, 3, 2] * 4, strict=False)
)
TEXT = """
a ab ba->ab ab->ba ab-> ab->a ab->b abc->cab abc->b aa aa->a aab->b aab->ab aba aba->ba aaa->a
aabb->ab aabb abab->ab a,a a,a->a a,b a,b->ba a,a-> a,ab ab,b ab,bc ab,bc->ca ab,cb ba,bc ba,cb
ab,ab ab,ab->a ab,ba ab,ab->ab ab,ab->ba ab,cd abc,cd abc,dc->abd abc,cda abc,bad->acd abc,abd->acd
bac,bad->bcd bca,bda->bdc bca,dba->dc abcd,dcba abcd,abce->de abcd,cd abcd,bd->ac abcd,ab,cd
ab,bc,cd ab,bc,cd,da ab,ab,ab ab,ac,ad->bcd ab,b,b->a ab,a,b a,b,c->cba a,a,a ab,bc,cd,de,ef->fa
abi,bcj,cak,ijk aab,b ab,bb abb,bcc->ac h,h hb,bc h,hb->b ea,ea ah->a e e,e->e ,a , ab,->b
"""
NAMED = TEXT.split()
ELLIPSES: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("...", ((2, 3),)),
    ("...a->a...", ((2, 3, 4),)),
    ("...ab->...ba", ((2, 3, 4),)),
    ("a...->...", ((2, 3, 4),)),
    ("...aa", ((2, 3, 3),)),
    ("...ab,...bc", ((5, 2, 3), (5, 3, 4))),
    ("...ab,...bc->...ac", ((6, 1, 2, 3), (5, 3, 4))),
    ("...ab,bc...->c...a", ((6, 5, 2, 3), (3, 4, 6, 5))),
    ("...a,...a", ((4, 3), (2, 1, 3))),
    ("...,...", ((4, 3), (3,))),
    ("a...,b...->ab...", ((2, 3), (4, 3))),
    ("...a,a", ((3,), (3,))),
    ("a..., -> ...a", ((2, 3), ())),
    ("... , a", ((), (3,))),
    ("ab,bc", ((2, 1), (3, 4))),
    ("ab,ab->ab", ((2, 1), (1, 3))),
    ("ab,cb->ac", ((2, 3), (4, 1))),
    ("aab,b", ((1, 1, 3), (3,))),
]


def drawn(text: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    groups = text.partition("->")[0].split(",")
    return [rng.normal(size=[SIZES[letter] for letter in group]) for group in groups]


def values(
    build: Callable[..., Any], arrays: list[np.ndarray], backend: str, symbolic: bool
) -> Any:
    inputs = [
        gc.placeholder(f"x{n}", [None if symbolic and k != 1 else k for k in a.shape], a.dtype)
        for n, a in enumerate(arrays)
    ]
    return gc.function(inputs, build(*inputs), backend=backend)(*arrays)


def check(
    text: str, arrays: list[np.ndarray], backend: str = "llvm", symbolic: bool = True
) -> None:
    expected = np.einsum(text, *arrays)
    found = values(lambda *x: gc.einsum(text, *x), arrays, backend, symbolic)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("text", NAMED)
def test_named_indices(text: str, backend: str) -> None:
    check(text, drawn(text), backend, symbolic=backend == "llvm")


@pytest.mark.parametrize("text, shapes", ELLIPSES)
def test_ellipses_and_broadcasting(text: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    check(text, arrays)
    check(text, arrays, symbolic=False)


@st.composite
def subscripts(draw: st.DrawFn) -> str:
    letter = st.sampled_from("abcdeh")
    groups = draw(st.lists(st.text(letter, max_size=3), min_size=1, max_size=4))
    used = sorted(set("".join(groups)))
    text = ",".join(groups)
    if not draw(st.booleans()):
        return text
    kept = draw(st.lists(st.sampled_from(used), unique=True)) if used else []
    return f"{text}->{''.join(kept)}"


@settings(max_examples=60, deadline=None)
@given(subscripts())
def test_generated_subscripts(text: str) -> None:
    check(text, drawn(text), "reference")
    x = [gc.constant(array) for array in drawn(text)]
    expanded = gc.function([], gc.einsum(text, *x), backend="interpreter")()
    np.testing.assert_allclose(expanded, np.einsum(text, *drawn(text)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_the_dtype_is_the_promoted_one(dtype: str) -> None:
    arrays = [np.arange(6).reshape(2, 3).astype(dtype), np.arange(3).astype(dtype)]
    for text in ("ab,b", "ab,c", "ab,b->ab"):
        check(text, arrays)
    mixed = gc.einsum("ab,b", gc.constant(arrays[0]), gc.constant(np.ones(3)))
    assert mixed.dtype == np.float64


@pytest.mark.parametrize(
    "text",
    ["ab,bc->ca", "abc,abd->acd", "aab,b", "ab,bc,cd->da", "a,b", "ab->", "eb,bc", "ab,ab,a"],
)
def test_gradients(text: str) -> None:
    gc.verify_grad(lambda *x: gc.einsum(text, *x), drawn(text))

    def slopes(*x: gc.Tensor) -> Any:
        return gc.grad(gc.sum(gc.sin(gc.einsum(text, *x))), list(x))

    gc.verify_grad(slopes, drawn(text), rtol=3e-5)


def test_a_matrix_product_needs_no_transpose() -> None:
    """The flags of matmul say how the operands lie."""
    x, y = gc.placeholder("x", ("b", "k", "n")), gc.placeholder("y", ("b", "m", "k"))
    f = gc.function([x, y], gc.einsum("bkn,bmk->bnm", x, y), backend="llvm")
    ops = {node.op.name for node in f.stages.graph.nodes}
    assert "matmul" in ops and not ops & {"einsum", "permute_dims"}


def test_many_operands_are_multiplied_in_a_cheap_order() -> None:
    """(a b) (b c) (c): from the right, so that no matrix times matrix is left."""
    n = 200
    x, y, z = (gc.placeholder(name, (n,) * rank) for name, rank in (("x", 2), ("y", 2), ("z", 1)))
    f = gc.function([x, y, z], gc.einsum("ab,bc,c->a", x, y, z), backend="llvm")
    products = [node for node in f.stages.graph.nodes if node.op.name in ("matmul", "sum")]
    assert [node.types[0].shape for node in products] == [(n,), (n,)]


def test_sizes_that_differ_at_the_call() -> None:
    x, y = gc.placeholder("x", ("n", None)), gc.placeholder("y", (None, 2))
    f = gc.function([x, y], gc.einsum("ab,bc", x, y))
    a, b = np.ones((3, 4), "float32"), np.ones((5, 2), "float32")
    with pytest.raises(FeedError, match=r"einsum: 'ab,bc->ac', index b: sizes differ: .* 4, .* 5"):
        f(a, b)
    z = gc.placeholder("z", (None, None))
    g = gc.function([z], gc.einsum("aa", z))
    assert g(np.eye(3, dtype="float32")) == 3
    with pytest.raises(FeedError, match=r"sizes differ: .* 3, .* 4"):
        g(a)


X, Y = (3, 4), (5, 2)


@pytest.mark.parametrize(
    "text, shapes, message",
    [
        ("ab,bc", (X, Y), "index b has sizes 4 and 5"),
        ("aa", (X,), "index a has sizes 3 and 4"),
        ("...a,...a", ((2, 3), (4, 3)), "an axis of '...' has sizes 2 and 4"),
        ("ab,bc", (X,), "2 operands named, 1 given"),
        ("ab", (X, X), "1 operands named, 2 given"),
        ("abc", (X,), "'abc' names 3 axes of operand 0, which has 2"),
        ("a", (X,), "'a' names 1 axes of operand 0, which has 2"),
        ("ab->ac", (X,), "no operand has index c"),
        ("ab->aa", (X,), "index a stands twice in the result"),
        ("a1", (X,), "cannot read 'a1'"),
        ("ab->a->b", (X,), "cannot read 'a->b'"),
        ("a..b", (X,), r"cannot read 'a\.\.b'"),
        ("......", (X,), r"cannot read '\.\.\.\.\.\.'"),
        ("...a->a", (X,), "axes that the result does not have"),
        (3, (X,), "subscripts come first"),
        ("", (), "no operands"),
    ],
)
def test_errors(text: Any, shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    operands = [gc.placeholder(f"x{n}", shape) for n, shape in enumerate(shapes)]
    with pytest.raises(ShapeError, match=message) as caught:
        gc.einsum(text, *operands)
    assert caught.value.source is not None
    assert "test_einsum.py" in str(caught.value)


def test_truth_values_are_refused() -> None:
    with pytest.raises(DTypeError, match="einsum"):
        gc.einsum("a->", gc.placeholder("x", (3,), "bool"))


def test_more_axes_than_letters() -> None:
    x = gc.reshape(gc.placeholder("x", ()), (1,) * 60)
    with pytest.raises(ShapeError, match="more than 52 axes"):
        gc.einsum("...->...", x)


# --- numbers for letters -----------------------------------------------------------------------

LEFT, RIGHT = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    "arguments",
    [
        (LEFT, [0, 1], RIGHT, [1, 2]),
        (LEFT, [0, 1], RIGHT, [1, 2], [2, 0]),
        (LEFT, [5, 1], RIGHT, [1, 30]),
        (LEFT, [30, 26]),
        (LEFT, [..., 1], RIGHT, [1, 2], [..., 2]),
        (LEFT, (0, 1), []),
    ],
)
def test_numbers_for_letters(arguments: tuple[Any, ...]) -> None:
    found = gc.run(gc.einsum(*arguments))
    np.testing.assert_array_equal(found, np.einsum(*arguments))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((LEFT,), "no operands"),
        (([0, 1],), "no operands"),
        ((LEFT, 5), "these are no indices"),
        ((LEFT, [0, 60]), "these are no indices"),
        ((LEFT, ["i", "j"]), "these are no indices"),
        ((LEFT, [0, 1, 2]), "3 axes"),
    ],
)
def test_errors_of_numbers(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        gc.einsum(*arguments)
    assert "test_einsum.py" in str(caught.value)
