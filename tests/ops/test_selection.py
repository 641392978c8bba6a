"""Entries that a mask selects and where they are: padded to a size, or trimmed at the call."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FeedError, ShapeError, SymbolicValueError

BACKENDS = ("reference", "interpreter", "llvm")
RNG = np.random.default_rng(3)
TABLE = (RNG.integers(-2, 3, size=(4, 3))).astype(np.float32)
TABLES = (TABLE, TABLE * 0, np.ones((1, 5), np.float32), np.ones((0, 3), np.float32))
ROW = np.array([0, 2, -1, 0, np.nan], np.float32)


def symbolic(*arrays: np.ndarray) -> list[gc.Tensor]:
    return [
        gc.placeholder(f"x{n}", [None if size != 1 else 1 for size in a.shape], a.dtype)
        for n, a in enumerate(arrays)
    ]


def padded(values: Any, size: int, fill: Any = 0) -> Any:
    rows = np.full((size, *np.shape(values)[1:]), fill, np.asarray(values).dtype)
    count = min(size, len(values))
    rows[:count] = values[:count]
    return rows


def check(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize("backend", BACKENDS)
def test_trimmed_at_the_call(backend: str) -> None:
    x, row = gc.placeholder("x", ("n", "m")), gc.placeholder("row", ("k",))
    outputs = {
        "nonzero": gc.nonzero(x),
        "flat": gc.flatnonzero(row),
        "where": gc.argwhere(x),
        "mask": x[x > 0],
        "rows": gc.compress(gc.any(x > 1, axis=1), x, axis=0),
        "columns": x[:, gc.any(x > 1, axis=0)],
        "extract": gc.extract(x < 0, x),
    }
    f = gc.function([x, row], outputs, backend=backend)
    for table in TABLES:
        found = f(table, ROW)
        for one, other in zip(found["nonzero"], np.nonzero(table), strict=True):
            check(one, other)
        check(found["flat"], np.flatnonzero(ROW))
        check(found["where"], np.argwhere(table))
        check(found["mask"], table[table > 0])
        check(found["rows"], table[(table > 1).any(axis=1)])
        check(found["columns"], table[:, (table > 1).any(axis=0)])
        check(found["extract"], table[table < 0])
        assert found["mask"].flags.owndata


@pytest.mark.parametrize("backend", BACKENDS)
def test_padded_to_a_size(backend: str) -> None:
    x, row = gc.placeholder("x", ("n", "m")), gc.placeholder("row", ("k",))
    sizes = (0, 3, 40)
    outputs = [
        (
            gc.nonzero(x, size=size, fill_value=(-1, -2)),
            gc.boolean_mask(x, x > 0, size=size, fill_value=7),
            gc.compress(x[:, 0] > 0, x, axis=0, size=size),
        )
        for size in sizes
    ]
    f = gc.function([x, row], [outputs, gc.flatnonzero(row, size=row.shape[0])], backend=backend)
    for table in TABLES[:1] if backend == "interpreter" else TABLES:
        groups, flat = f(table, ROW)
        check(flat, padded(np.flatnonzero(ROW), 5))
        for size, (indices, values, rows) in zip(sizes, groups, strict=True):
            for one, other, fill in zip(indices, np.nonzero(table), (-1, -2), strict=True):
                check(one, padded(other, size, fill))
            check(values, padded(table[table > 0], size, 7))
            check(rows, padded(table[table[:, 0] > 0], size))


def test_numba() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], [x[x > 0], gc.nonzero(x, size=2)], backend="numba_cpu")
    values, (places,) = f([1, 0, 2, 3])
    check(values, np.array([1, 2, 3], np.float32))
    check(places, np.array([0, 2]))


MIXED: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...]]] = {
    "int before": (lambda x, m: (0, m), (2, 4, 3), (4,)),
    "int behind": (lambda x, m: (m, 0), (2, 4, 3), (2,)),
    "apart": (lambda x, m: (0, slice(None), m), (2, 4, 3), (3,)),
    "two axes": (lambda x, m: (..., m), (2, 4, 3), (4, 3)),
    "new axis": (lambda x, m: (None, slice(1, None), m), (2, 4, 3), (4,)),
    "no axes": (lambda x, m: (m,), (2, 3), ()),
    "no axes behind": (lambda x, m: (..., m), (2, 3), ()),
}


@pytest.mark.parametrize("name", MIXED)
def test_masks_beside_slices_and_ints(name: str) -> None:
    key, shape, covered = MIXED[name]
    array = RNG.normal(size=shape).astype("float32")
    for mask in (RNG.uniform(size=covered) < 0.5, np.ones(covered, bool), np.zeros(covered, bool)):
        x, m = symbolic(array, np.asarray(mask))
        f = gc.function([x, m], x[key(x, m)])
        check(f(array, mask), array[key(array, mask)])


def test_known_masks_need_no_size() -> None:
    x = gc.placeholder("x", (3,))
    mask = np.array([True, False, True])
    assert gc.boolean_mask(x, mask).shape == gc.compress(mask, x).shape == (2,)
    assert gc.nonzero(mask)[0].shape == (2,)
    check(gc.run(gc.argwhere(mask), {}), np.array([[0], [2]]))
    check(gc.run(x[gc.asarray(True)], {x: [1, 2, 3]}), np.array([[1, 2, 3]], "float32"))


def test_count_nonzero() -> None:
    (x,) = symbolic(TABLE)
    f = gc.function([x], [gc.count_nonzero(x), gc.count_nonzero(x, axis=1, keepdims=True)])
    total, rows = f(TABLE)
    check(total, np.asarray(np.count_nonzero(TABLE)))
    check(rows, np.count_nonzero(TABLE, axis=1, keepdims=True))


def test_the_gradient_goes_to_the_selected_entries() -> None:
    (x,) = symbolic(ROW)
    picked = gc.boolean_mask(x, x > -2, size=4, fill_value=5)
    f = gc.function([x], gc.grad(gc.sum(picked * gc.arange(1.0, 5.0)), x))
    check(f([0, -3, 1, 2]), np.array([1, 0, 2, 3], np.float32))
    gc.verify_grad(
        lambda x: gc.boolean_mask(x, np.array([True, False, True]), size=3), [np.array([1.0, 2, 3])]
    )


USES: dict[str, Any] = {
    "operand": lambda x: gc.sum(x[x > 0]),
    "operator": lambda x: x[x > 0] + 1,
    "right side": lambda x: x * gc.flatnonzero(x),
    "index": lambda x: x[gc.nonzero(x)],
    "subscript": lambda x: gc.flatnonzero(x)[0],
    "shape": lambda x: x[x > 0].shape,
    "method": lambda x: x[x > 0].sum(),
    "list": lambda x: gc.stack([gc.flatnonzero(x)]),
    "truth": lambda x: bool(x[x > 0]),
    "length": lambda x: len(x[x > 0]),
    "numpy": lambda x: np.asarray(x[x > 0]),
}


@pytest.mark.parametrize("name", USES)
def test_a_size_that_depends_on_data_is_for_outputs(name: str) -> None:
    x = gc.placeholder("x", ("n",))
    with pytest.raises(SymbolicValueError, match=r"E217[\s\S]*size=") as info:
        USES[name](x)
    assert "test_selection.py:" in str(info.value)


def test_what_a_trimmed_result_says() -> None:
    x = gc.placeholder("x", ("n",))
    positive = x[x > 0]
    assert isinstance(positive, gc.Trimmed)
    assert positive.dtype == np.float32 and positive.ndim == 1
    assert repr(positive) == "<Trimmed: the result of boolean_mask, at most float32[n]>"
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        positive.colour  # noqa: B018
    check(gc.run({"a": [positive]}, {x: [1, -1]})["a"][0], np.array([1], np.float32))
    check(gc.jit(lambda x: x[x > 1])(np.arange(4)), np.array([2, 3]))
    with pytest.raises(gc.FunctionError, match="size of this result depends on data"):
        gc.function([x], updates={gc.variable(np.zeros(3, "float32"), "v"): positive})


def test_masks_that_do_not_fit() -> None:
    x, m = gc.placeholder("x", (3, 4)), gc.placeholder("m", (4,), "bool")
    one = gc.placeholder("one", (1,), "bool")
    for build in (
        lambda: x[m],
        lambda: x[one],
        lambda: gc.boolean_mask(x, m),
        lambda: gc.boolean_mask(x, gc.placeholder("t", (3, 4, 1), "bool")),
        lambda: gc.compress(x > 0, x),
        lambda: gc.extract(m, x),
        lambda: gc.boolean_mask(x[0], x > 0, size=3),
    ):
        with pytest.raises(ShapeError, match="mask does not fit"):
            build()
    n = gc.placeholder("n", ("n",))
    f = gc.function([n, m, one], [gc.boolean_mask(n, m, size=2)], on_unused_input="ignore")
    with pytest.raises(FeedError, match="E107"):
        f([0, 0, 0], np.ones(4, bool), [True])
    f = gc.function([n, one], n[one])
    check(f([5], [True]), np.array([5], np.float32))
    with pytest.raises(FeedError, match="E107"):
        f([5, 6], [True])


def test_arguments_of_nonzero() -> None:
    x = gc.placeholder("x", (3,))
    with pytest.raises(ShapeError, match="at least one axis"):
        gc.nonzero(gc.sum(x))
    with pytest.raises(ShapeError, match="2 fill values"):
        gc.nonzero(x, size=2, fill_value=(0, 1))
    with pytest.raises(ShapeError, match="size=-1"):
        gc.nonzero(x, size=-1)
