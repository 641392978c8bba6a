"""average, cov and corrcoef beside numpy's."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.ops.beside_numpy import NUMPY, agrees, draw


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (2, 0)])
def test_average(axis: Any, keepdims: bool) -> None:
    agrees(
        lambda x, w: [
            gc.average(x, axis, w, keepdims),
            gc.average(x, axis=axis, keepdims=keepdims),
        ],
        lambda x, w: [
            NUMPY.average(x, axis, w, keepdims=keepdims),
            NUMPY.average(x, axis, keepdims=keepdims),
        ],
        (draw(3, 4, 5), np.abs(draw(3, 4, 5, seed=1))),
        (draw(1, 1, 1), np.ones((1, 1, 1))),
    )


@pytest.mark.parametrize(
    ("axis", "shape"), [(1, (4,)), (-1, (5,)), ((0, 2), (3, 5)), ((2, 0), (5, 3))]
)
def test_weights_of_the_axes(axis: Any, shape: tuple[int, ...]) -> None:
    agrees(
        lambda x, w: gc.average(x, axis, w),
        lambda x, w: NUMPY.average(x, axis, w),
        (draw(3, 4, 5), np.abs(draw(*shape))),
    )


def test_dtypes_of_averages() -> None:
    x, w = np.array([1, 2, 4]), np.array([3, 1, 0])
    agrees(gc.average, np.average, (x,), exact_dtype=False, rtol=1e-6)
    agrees(
        lambda x, w: gc.average(x, weights=w),
        lambda x, w: NUMPY.average(x, weights=w),
        (x, w),
        exact_dtype=False,
    )
    assert np.isnan(gc.run(gc.average([1.0, 2.0], weights=[0.0, 0.0])))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("rowvar", [True, False])
def test_cov(dtype: str, rowvar: bool) -> None:
    cases = [(draw(4, 9, dtype=dtype),), (draw(2, 2, dtype=dtype),)]
    rtol = 1e-4 if dtype == "float32" else 1e-11
    for correction in (0, 1, 1.5):
        if correction != 1.5:
            agrees(
                lambda x, c=correction: gc.cov(x, rowvar=rowvar, correction=c),
                lambda x, c=correction: np.cov(x, rowvar=rowvar, ddof=c).astype(dtype),
                *cases,
                rtol=rtol,
            )
    agrees(
        lambda x: gc.corrcoef(x, rowvar=rowvar),
        lambda x: np.corrcoef(x, rowvar=rowvar).astype(dtype),
        *cases,
        rtol=rtol,
    )


def test_single_variables_and_pairs() -> None:
    x, y = draw(7), draw(7, seed=3)
    agrees(lambda x: [gc.cov(x), gc.corrcoef(x)], lambda x: [np.cov(x), np.corrcoef(x)], (x,))
    agrees(
        lambda x, y: [gc.cov(x, y), gc.corrcoef(x, y), gc.cov(x, y, rowvar=False)],
        lambda x, y: [np.cov(x, y), np.corrcoef(x, y), np.cov(x, y, rowvar=False)],
        (x, y),
        (x[:2], y[:2]),
        (x[:1], y[:1]),
    )
    agrees(
        lambda x, y: gc.cov(x, y),
        lambda x, y: np.cov(x, y),
        (draw(3, 6), draw(2, 6, seed=1)),
        rtol=1e-12,
    )
    one_row = gc.placeholder("x", (1, None))
    assert gc.cov(one_row).shape == ()


def test_correlations_are_not_above_1() -> None:
    x = draw(40)
    table = np.stack([x, 3 * x, -x * 1e-7])
    found = gc.run(gc.corrcoef(table))
    assert (np.abs(found) <= 1).all()
    assert np.isnan(gc.run(gc.corrcoef(np.ones((2, 4))))).all()


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_gradients(backend: str) -> None:
    x, y = draw(3, 6), draw(2, 6, seed=1)
    gc.verify_grad(lambda x, y: gc.cov(x, y), [x, y], backend=backend)
    gc.verify_grad(lambda x: gc.corrcoef(x)[0, 1:], [x], backend=backend)
    gc.verify_grad(lambda x, w: gc.average(x, 1, w), [x, np.abs(draw(6)) + 1], backend=backend)


def test_errors() -> None:
    x = gc.placeholder("x", ("n", 3, 2))
    for array, axis, weights in (
        (x, None, np.ones(2)),
        (x, 1, np.ones(2)),
        (np.ones((2, 3)), None, np.ones((2, 1))),
    ):
        with pytest.raises(gc.ShapeError, match="average: weights"):
            gc.average(array, axis, weights)
    with pytest.raises(gc.ShapeError, match=r"cov: got .* at most two axes"):
        gc.cov(x)
    with pytest.raises(gc.ShapeError):
        gc.cov(np.ones((2, 3)), np.ones((2, 4)))
    y = gc.placeholder("y", ("n",))
    f = gc.function([y], gc.cov(np.ones(1, "float32"), y))
    with pytest.raises(gc.GraphcError, match="sizes"):
        f([1, 2])
