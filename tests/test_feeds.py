"""Feeds: conversion, binding of sizes, and what is left untouched."""

import itertools
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.conversion import as_array, is_weak_value, loss, shown
from graphc.dtypes import all_dtypes, is_inexact
from graphc.feeds import FeedBinder

BACKENDS = ("reference", "interpreter", "llvm")


def identity(dtype: Any, **options: Any) -> gc.Function:
    x = gc.placeholder("x", (None,), dtype)
    return gc.function([x], x, backend="reference", **options)


# --- dtypes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", all_dtypes, ids=str)
def test_arrays_are_converted_where_nothing_is_lost(wanted: np.dtype[Any]) -> None:
    exact, rounding = identity(wanted), identity(wanted, allow_downcast=True)
    for given in all_dtypes:
        array = np.array([0, 1], given)
        if np.can_cast(given, wanted, "safe"):
            assert exact(array).dtype == wanted
        else:
            with pytest.raises(gc.FeedTypeError, match="E202"):
                exact(array)
        if given.kind == "c" and wanted.kind not in "cb":
            with pytest.raises(gc.FeedTypeError, match="E202"):
                rounding(array)
            continue
        assert rounding(array).dtype == wanted
        assert rounding(array).tolist() == [0, 1]


@pytest.mark.parametrize("wanted", all_dtypes, ids=str)
def test_python_numbers_are_weak(wanted: np.dtype[Any]) -> None:
    f = identity(wanted)
    assert f([]).shape == (0,)
    assert f([True, False]).tolist() == [1, 0]
    for values in ([1, 2], (1, 2)):
        if wanted.kind == "b":
            with pytest.raises(gc.FeedTypeError, match="no truth values"):
                f(values)
        else:
            assert f(values).dtype == wanted and f(values).tolist() == [1, 2]
    if is_inexact(wanted):
        assert f([0.1]).tolist() == [np.array(0.1, wanted).item()]
        assert np.isnan(f([np.nan, np.inf])).tolist() == [True, False]
    else:
        with pytest.raises(gc.FeedTypeError, match=r"fractions would be lost|no truth values"):
            f([1.0])


def test_integers_at_the_ends_of_their_range() -> None:
    for dtype in (np.int8, np.uint8, np.int64, np.uint64):
        limits, f = np.iinfo(dtype), identity(dtype)
        for end in (limits.min, limits.max):
            assert f([end]).tolist() == [end]
        for beyond in (limits.min - 1, limits.max + 1):
            with pytest.raises(gc.FeedTypeError, match="E202"):
                f([beyond])
    assert identity("int64")(np.array([2**63 - 1], np.int64)).tolist() == [2**63 - 1]
    rounding = identity("int64", allow_downcast=True)
    with pytest.raises(gc.FeedTypeError):  # the float above is 2**63, one too many
        rounding(np.array([2.0**63]))


def test_what_is_lost() -> None:
    def lost(value: Any, wanted: str, **options: Any) -> str | None:
        return loss(as_array(value), np.dtype(wanted), weak=is_weak_value(value), **options)

    assert lost(1.5, "float32") is None and lost([1, 2], "float16") is None
    assert lost(np.float64(1.5), "float32") == "precision would be lost"
    assert lost(1e300, "float32") == "too large for float32"
    assert lost(float("inf"), "float32") is None
    assert lost(np.float64(1e300), "float32", downcast=True) is None
    assert lost(1.5, "int64") == "fractions would be lost"
    assert lost(np.float64(1.5), "int64", downcast=True) is None
    assert lost(np.float64("nan"), "int8", downcast=True) == "int8 holds -128 to 127"
    assert lost(np.int64(1), "int8") == "int8 holds -128 to 127"
    assert lost(np.zeros(0, "int64"), "int8") == "int8 holds -128 to 127"
    assert lost(2, "bool") == "numbers are no truth values"
    assert lost(2, "bool", downcast=True) is None


def test_values_in_messages_are_short() -> None:
    assert shown(1.5) == "1.5" and shown("abc") == "'abc'" and shown(None) == "None"
    assert shown("x" * 1000) == "a value of type str"
    assert shown(list(range(10**6))) == "a list of 1000000"
    assert shown(np.zeros(3)) == "an array of float64"

    class Loud:
        def __repr__(self) -> str:
            raise RuntimeError

    assert shown(Loud()) == "a value of type Loud"


def test_objects_that_know_how_to_be_arrays() -> None:
    class Frame:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.array([1.0, 2.0], "float32")

    assert identity("float32")(Frame()).tolist() == [1, 2]
    with pytest.raises(gc.FeedTypeError):
        identity("float16")(Frame())  # their dtype is as firm as an array's


# --- sizes ---------------------------------------------------------------------------------------


def binder(*shapes: Any) -> FeedBinder:
    inputs = [gc.placeholder(f"x{k}", shape) for k, shape in enumerate(shapes)]
    names = sorted(
        {s for t in inputs for n in t.shape if not isinstance(n, int) for s in n.symbols()}
    )
    return FeedBinder(inputs, names, [], False)


def test_binding_sizes() -> None:
    n, m = gc.dim("n"), gc.dim("m")
    feeds = binder(("n", 3), (n * m, "m"), (n + 1, 2 * m))
    shapes = [(4, 3), (20, 5), (5, 10)]
    assert feeds.size_names == ("m", "n")
    assert feeds.sizes([np.zeros(shape) for shape in shapes]) == (5, 4)
    for position, wrong in itertools.product(range(3), (0, 1, 7)):
        changed = [list(shape) for shape in shapes]
        changed[position][1] = wrong
        with pytest.raises(gc.FeedError, match=r"E20[34]"):
            feeds.sizes([np.zeros(shape) for shape in changed])


def test_a_size_may_be_zero_or_one() -> None:
    feeds = binder(("n",), ("n", None))
    assert feeds.sizes([np.zeros(0), np.zeros((0, 0))]) == (0, 0)
    assert feeds.sizes([np.zeros(1), np.zeros((1, 9))]) == (9, 1)
    with pytest.raises(gc.FeedError, match="n=1 from x0, n=2 from x1"):
        feeds.sizes([np.zeros(1), np.zeros((2, 1))])  # a symbolic size never broadcasts


def test_constraints_are_checked_for_every_combination_of_sizes() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    f = gc.function([x, y], x + y, backend="reference")
    for n in range(5):
        assert f([1] * n, [2] * n).tolist() == [3] * n
        for _ in range(2):
            with pytest.raises(gc.FeedError, match="E107"):
                f([1] * n, [2] * (n + 2))


# --- memory --------------------------------------------------------------------------------------


def test_fitting_arrays_are_passed_as_they_are() -> None:
    x = gc.placeholder("x", ("n", 3))
    feeds = FeedBinder([x], ["n"], [], False)
    dense = np.zeros((2, 3), "float32")
    assert feeds.arrays([dense])[0] is dense
    dense.flags.writeable = False
    assert np.shares_memory(feeds.arrays([dense])[0], dense)
    for odd in (dense.T.copy().T, dense.astype(">f4"), dense.tolist(), dense[:, ::-1]):
        found = feeds.arrays([odd])[0]
        assert found.flags.carray and found.dtype == np.float32 and found.dtype.isnative


def test_scalars_stay_scalars() -> None:
    feeds = FeedBinder([gc.placeholder("x")], [], [], False)
    for value in (1, 1.5, True, np.float32(2), np.array(3, "float16"), np.array(4, ">f4")):
        assert feeds.arrays([value])[0].shape == ()


@pytest.mark.parametrize("backend", BACKENDS)
def test_feeds_are_never_written_to(backend: str) -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
    v = gc.variable(np.zeros(4, "float32"), "v")
    z = gc.exp(x * 2) + y
    f = gc.function([x, y], [z, z * 2, x], {v: gc.tanh(z) + v}, backend=backend)
    a, b = np.arange(4, dtype="float32"), np.ones(4, "float32")
    a.flags.writeable = False
    results = f(a, b)
    for result in results:
        result[:] = -1
    v.value = [9, 9, 9, 9]
    assert a.tolist() == [0, 1, 2, 3] and b.tolist() == [1] * 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_high_ranks(backend: str) -> None:
    x = gc.placeholder("x", [None] * 7)
    f = gc.function([x], gc.sum(x * 2, axis=(1, 3, 5)), backend=backend)
    array = np.random.default_rng(0).integers(0, 9, (2, 3, 1, 2, 2, 1, 3)).astype("float32")
    np.testing.assert_array_equal(f(array), (array * 2).sum((1, 3, 5)))


def test_a_symbolic_size_that_is_1_at_the_call_does_not_stretch() -> None:
    x, y = gc.placeholder("x", ("n", "m")), gc.placeholder("y", ("n", "k"))
    f = gc.function([x, y], x + y)
    with pytest.raises(gc.FeedError, match="say 1 in the shape of the input"):
        f(np.ones((2, 3), "float32"), np.ones((2, 1), "float32"))
    g = gc.function([x], x + x[:, 0][:, None])
    assert g(np.ones((2, 3), "float32")).shape == (2, 3)
