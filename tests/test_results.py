"""f(x, out=memory): results go into arrays that are there already, if they fit."""

import gc as garbage
import sys
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.direct_call import is_possible

BACKENDS = ("llvm", "numba_cpu", "interpreter", "reference")
X = np.arange(6, dtype="float32")


def warm(f: gc.Function, *args: Any) -> gc.Function:
    """Until calls are direct, where they can be."""
    for _ in range(200 if is_possible() else 1):
        f(*args)
        if type(f.__call__) is type(len):
            break
    return f


def compiled(outputs: Any, backend: str = "llvm", direct: bool = False) -> gc.Function:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], outputs(x), backend=backend, name="f", on_unused_input="ignore")
    return warm(f, X) if direct else f


def memory(found: Any) -> Any:
    """The structure of a result around new arrays."""
    if isinstance(found, dict):
        return {key: memory(item) for key, item in found.items()}
    if isinstance(found, list | tuple):
        return type(found)(memory(item) for item in found)
    return np.full_like(found, 7)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


STRUCTURES: list[Any] = [
    lambda x: x + 1,
    lambda x: [x + 1],
    lambda x: [x + 1, gc.sum(x), x],
    lambda x: (x + 1, x),
    lambda x: {"a": x + 1, "b": x},
    lambda x: {1: x + 1, "b": x},
    lambda x: [x, [gc.sum(x), (x * 2, {"a": x})]],
    lambda x: [x + 1, x + 1],
    lambda x: x + 1j * x,
]


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("outputs", STRUCTURES)
def test_every_structure(outputs: Any, direct: bool) -> None:
    f = compiled(outputs, direct=direct)
    expected = f(X)
    out = memory(expected)
    for argument in (X, X * 3, list(X), X):
        found = f(argument, out=out)
        assert type(found) is type(expected)
        for result, given, meant in zip(
            leaves(found), leaves(out), leaves(f(argument)), strict=True
        ):
            assert result is given
            np.testing.assert_array_equal(result, meant)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("check", [None, "nan"])
def test_every_backend(backend: str, check: str | None) -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], [x * 2, gc.sum(x)], backend=backend, check=check)
    first, second = np.empty(6, "float32"), np.empty((), "float32")
    found = f(X, out=[first, second])
    assert found[0] is first and found[1] is second
    np.testing.assert_array_equal(first, X * 2)
    assert second == 15


@pytest.mark.parametrize("direct", [False, True])
def test_none_is_new_memory(direct: bool) -> None:
    f = compiled(lambda x: [x + 1, x * 2], direct=direct)
    given = np.empty(6, "float32")
    for _ in range(3):
        new, same = f(X, out=[None, given])
        assert same is given and new is not given
        np.testing.assert_array_equal(new, X + 1)
    np.testing.assert_array_equal(f(X, out=None)[0], X + 1)
    np.testing.assert_array_equal(f(X, out=(None, None))[1], X * 2)


def strided() -> np.ndarray:
    return np.full(12, 7, "float32")[::2]


def frozen() -> np.ndarray:
    array = np.full(6, 7, "float32")
    array.flags.writeable = False
    return array


def misplaced() -> np.ndarray:
    return np.full(25, 7, "uint8")[1:].view("float32")


SINGLE: list[Any] = [
    (np.full(6, 7.0), "is float64"),
    (np.full(5, 7, "float32"), r"is float32\[5\]"),
    (np.full((6, 1), 7, "float32"), r"is float32\[6, 1\]"),
    (np.full(6, 7, ">f4"), r"is float32\[6\] in the other byte order \(>f4\)"),
    (strided(), "not contiguous"),
    (misplaced(), "is not aligned: its address is no multiple of 4"),
    (frozen(), "read-only"),
    (X, "overlaps"),
    (X[:6].view(), "overlaps"),
    ([1.0] * 6, "list"),
    ("memory", "str"),
]


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(("out", "text"), SINGLE)
def test_what_does_not_fit(out: Any, text: str, direct: bool) -> None:
    f = compiled(lambda x: x + 1, direct=direct)
    before = np.array(out) if isinstance(out, np.ndarray) else None
    with pytest.raises(gc.FeedError, match=text) as error:
        f(X, out=out)
    assert error.value.code == "E218"
    if before is not None:
        np.testing.assert_array_equal(out, before)


WRONG: list[Any] = [
    lambda a, b: a,
    lambda a, b: [a],
    lambda a, b: [a, b, b],
    lambda a, b: {"a": a, "b": b},
    lambda a, b: [a, a],
    lambda a, b: [a, X],
    lambda a, b: [b, a[:3]],
]


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("out", WRONG)
def test_wrong_structures_and_overlaps(out: Any, direct: bool) -> None:
    f = compiled(lambda x: [x + 1, x * 2], direct=direct)
    a, b = np.full(6, 7, "float32"), np.full(6, 7, "float32")
    counts = sys.getrefcount(a), sys.getrefcount(b)
    with pytest.raises(gc.FeedError):
        f(X, out=out(a, b))
    assert (a == 7).all() and (b == 7).all()
    if (sys.getrefcount(a), sys.getrefcount(b)) != counts:  # else there is nothing to look for
        garbage.collect()
    assert (sys.getrefcount(a), sys.getrefcount(b)) == counts


def test_errors_name_the_array_as_the_caller_wrote_it() -> None:
    f = compiled(lambda x: {"a": [x + 1, None], "b": x * 2})
    good, bad = np.empty(6, "float32"), np.empty(5, "float32")
    with pytest.raises(gc.FeedError, match=r"f: out\['a'\]\[0\] is float32\[5\]"):
        f(X, out={"a": [bad, None], "b": good})
    with pytest.raises(gc.FeedError, match=r"f: out\['b'\] overlaps out\['a'\]\[0\]|'a'.*'b'"):
        f(X, out={"a": [good, None], "b": good})
    with pytest.raises(gc.FeedError, match=r"f: out is float32\[5\]"):
        compiled(lambda x: x + 1)(X, out=bad)


def test_neighbours_in_one_array_do_not_overlap() -> None:
    f = compiled(lambda x: [x + 1, x * 2], direct=True)
    whole = np.empty(12, "float32")
    for _ in range(2):
        f(X, out=[whole[:6], whole[6:]])
        np.testing.assert_array_equal(whole, np.concatenate([X + 1, X * 2]))
    with pytest.raises(gc.FeedError, match=r"out\[[01]\] overlaps out\[[10]\]"):
        f(X, out=[whole[:6], whole[5:11]])
    big = np.arange(12, dtype="float32")
    f(big[:6], out=[big[6:], np.empty(6, "float32")])
    np.testing.assert_array_equal(big[6:], np.arange(6) + 1)


def test_empty_arrays_never_overlap() -> None:
    x = gc.placeholder("x", ("n",))
    f = warm(gc.function([x], x * 2), X[:0])
    assert f(X[:0], out=X[2:2]).shape == (0,)


def test_memory_is_not_kept() -> None:
    f = compiled(lambda x: [x + 1, x * 2], direct=True)
    out = [np.empty(6, "float32"), np.empty(6, "float32")]
    before = [sys.getrefcount(array) for array in out]
    for _ in range(100):
        f(X, out=out)
    assert [sys.getrefcount(array) for array in out] == before


def test_an_input_of_that_name() -> None:
    out = gc.placeholder("out", ("n",))
    f = warm(gc.function([out], out * 2), X)
    np.testing.assert_array_equal(f(out=X), X * 2)


def test_updates_are_as_without() -> None:
    x, w = gc.placeholder("x", ("n",)), gc.variable(np.float32(0), "w")
    f = gc.function([x], x * w, updates={w: w + 1})
    out = np.empty(6, "float32")
    for turn in range(9):
        np.testing.assert_array_equal(f(X, out=out), X * turn)
    with pytest.raises(gc.FeedError):
        f(X, out=X)
    assert w.value == 9


def test_results_whose_size_depends_on_data() -> None:
    f = compiled(lambda x: [gc.nonzero(x)[0], x])
    out = np.empty(6, "float32")
    np.testing.assert_array_equal(f(X, out=[None, out])[0], np.arange(1, 6))
    with pytest.raises(gc.FeedError, match="depends on data"):
        f(X, out=[np.empty(6, "int64"), out])


def test_repeat_takes_no_memory() -> None:
    with pytest.raises(gc.FeedError, match="repeat"):
        compiled(lambda x: x).repeat(2, np.ones((2, 3), "float32"), out=X)
