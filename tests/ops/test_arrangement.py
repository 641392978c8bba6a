"""More axes, and indices of open meshes."""

import numpy as np
import pytest

import graphc as gc


@pytest.mark.parametrize("name", ["atleast_1d", "atleast_2d", "atleast_3d"])
@pytest.mark.parametrize("ndim", range(5))
def test_axes_are_added_as_in_numpy(name: str, ndim: int) -> None:
    x = np.arange(2.0**ndim).reshape((2,) * ndim)
    found = gc.run(getattr(gc, name)(gc.constant(x)))
    np.testing.assert_array_equal(found, getattr(np, name)(x))
    first, second = getattr(gc, name)(x, 1.0)
    assert (first.shape, second.shape) == (found.shape, getattr(np, name)(1.0).shape)


def test_symbolic_sizes_stay() -> None:
    x = gc.placeholder("x", ("n",))
    n = gc.dim("n")
    assert gc.atleast_2d(x).shape == (1, n)
    assert gc.atleast_3d(x).shape == (1, n, 1)


def test_open_meshes() -> None:
    x = np.arange(60).reshape(3, 4, 5)
    rows, columns = gc.placeholder("rows", ("k",), "int64"), [3, 0, 0]
    found = gc.run(gc.constant(x)[gc.ix_(rows, columns)], {rows: [2, 0]})
    np.testing.assert_array_equal(found, x[np.ix_(np.array([2, 0]), np.array(columns))])
    mask = np.array([True, False, True])
    deep = gc.ix_(mask, [1], [4, 0])
    np.testing.assert_array_equal(
        gc.run(gc.constant(x)[deep]), x[np.ix_(mask, np.array([1]), np.array([4, 0]))]
    )
    with pytest.raises(gc.ShapeError, match=r"ix_: argument 1 is int64\[2, 1\], not a vector"):
        gc.ix_([0], [[1], [2]])
