"""Sums, means, products and extrema of segments beside loops over the rows."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.ops.beside_numpy import agrees, draw

COUNT = 5
IDS = np.array([0, 2, -3, 0, 4, 2, 0])  # -3 is 2; none is in 1 and 3


def by_rows(combine: Any, start: Any) -> Any:
    def expected(x: np.ndarray, ids: np.ndarray) -> np.ndarray:
        result = np.full((COUNT, *x.shape[ids.ndim :]), start, x.dtype)
        for place in np.ndindex(ids.shape):
            result[ids[place]] = combine(result[ids[place]], x[place])
        return result

    return expected


def cases(dtype: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(draw(7, 3, dtype=dtype), IDS), (draw(0, 3, dtype=dtype), IDS[:0])]


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", "float64", "complex64"])
def test_sums_and_products(dtype: str) -> None:
    agrees(lambda x, i: gc.segment_sum(x, i, COUNT), by_rows(np.add, 0), *cases(dtype))
    if dtype != "complex64":
        agrees(lambda x, i: gc.segment_prod(x, i, COUNT), by_rows(np.multiply, 1), *cases(dtype))


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
def test_extrema(dtype: str) -> None:
    real = dtype.startswith("float")
    low = -np.inf if real else np.iinfo(dtype).min
    high = np.inf if real else np.iinfo(dtype).max
    agrees(lambda x, i: gc.segment_max(x, i, COUNT), by_rows(np.maximum, low), *cases(dtype))
    agrees(lambda x, i: gc.segment_min(x, i, COUNT), by_rows(np.minimum, high), *cases(dtype))


@pytest.mark.parametrize("dtype", ["int32", "float16", "float32", "float64", "complex128"])
def test_means(dtype: str) -> None:
    def expected(x: np.ndarray, ids: np.ndarray) -> np.ndarray:
        wide = x.astype("float32") if x.dtype.kind == "i" or x.dtype == np.float16 else x
        rows = [wide[ids % COUNT == k] for k in range(COUNT)]
        found = np.stack([row.sum(axis=0) / max(len(row), 1) for row in rows])
        return found.astype("float32" if x.dtype.kind == "i" else x.dtype)

    agrees(lambda x, i: gc.segment_mean(x, i, COUNT), expected, *cases(dtype))


def test_several_axes_of_ids_and_plain_numbers() -> None:
    ids = np.array([[0, 4, 1], [1, 1, 0]])
    for shape in ((2, 3), (2, 3, 2)):
        case = draw(*shape, dtype="float64"), ids
        agrees(lambda x, i: gc.segment_sum(x, i, COUNT), by_rows(np.add, 0), case)
        agrees(lambda x, i: gc.segment_max(x, i, COUNT), by_rows(np.maximum, -np.inf), case)
        means = gc.run(gc.segment_mean(*case, COUNT))
        sums, rows = (gc.run(gc.segment_sum(v, ids, COUNT)) for v in (case[0], np.ones(ids.shape)))
        rows = np.maximum(rows, 1).reshape((-1,) + (1,) * (len(shape) - 2))
        np.testing.assert_allclose(means, sums / rows)


def test_a_symbolic_number_of_segments() -> None:
    x, i = gc.placeholder("x", ("n",), "float64"), gc.placeholder("i", ("n",), "int64")
    f = gc.function([x, i], gc.segment_sum(x, i, x.shape[0]))
    np.testing.assert_array_equal(f([1.0, 2.0, 4.0], [2, 0, 2]), [2, 0, 5])


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min"])
def test_gradients(name: str) -> None:
    op = getattr(gc, f"segment_{name}")
    x = draw(7, 2, dtype="float64")
    occupied = np.array([0, 2, 4])
    gc.verify_grad(lambda x: op(x, IDS, COUNT)[occupied], [x])


def test_nan_stays_in_its_segment() -> None:
    x = np.array([np.nan, 1, 2])
    for name in ("sum", "mean", "prod", "max", "min"):
        found = gc.run(getattr(gc, f"segment_{name}")(x, [1, 0, 1], 2))
        assert np.isnan(found[1]) and found[0] == 1


def test_errors() -> None:
    x = gc.placeholder("x", (4, 3))
    with pytest.raises(gc.ShapeError, match="first axes of x"):
        gc.segment_sum(x, np.zeros(3, "int64"), 5)
    with pytest.raises(gc.ShapeError, match="first axes of x"):
        gc.segment_sum(x, 0, 5)
    with pytest.raises(gc.DTypeError, match=r"segment_ids of segment_sum: .*, got float64"):
        gc.segment_sum(x, np.zeros(4), 5)
    with pytest.raises(gc.DTypeError):
        gc.segment_max(x.astype("complex64"), [0, 0, 0, 0], 5)
    with pytest.raises(gc.GraphcError):
        gc.segment_sum(x, [0, 0, 0, 0], -1)
    i = gc.placeholder("i", (4,), "int64")
    f = gc.function([x, i], gc.segment_mean(x, i, 2))
    with pytest.raises(gc.IndexOutOfRange, match="index 2"):
        f(np.zeros((4, 3), "float32"), [0, 1, 2, 0])
