"""Values that an op cannot take: one clear error on every backend, or what numpy does.

After each error a variable that the function updates has its old value.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
each_backend = pytest.mark.parametrize("backend", BACKENDS)
MOST = np.iinfo(np.int64).max

Build = Callable[..., Any]


def refused(
    backend: str, build: Build, arrays: list[np.ndarray], kind: type[Exception], *words: str
) -> None:
    """The call raises `kind` with all the words and this file's line, and changes nothing."""
    inputs = [
        gc.placeholder(f"x{k}", [f"n{k}_{axis}" for axis in range(a.ndim)], a.dtype)
        for k, a in enumerate(arrays)
    ]
    v = gc.variable(np.ones(2, "float32"), "v")
    f = gc.function(inputs, build(*inputs), updates={v: v * 2}, backend=backend)
    with pytest.raises(kind) as caught:
        f(*arrays)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "test_bad_values.py" in message
    np.testing.assert_array_equal(v.value, [1, 1])


def stack_of(*matrices: list[list[float]]) -> np.ndarray:
    return np.array(matrices, "float64")


REGULAR = [[2.0, 1.0], [1.0, 2.0]]
SINGULAR = [[1.0, 2.0], [2.0, 4.0]]
INDEFINITE = [[1.0, 2.0], [2.0, 1.0]]
SOLVERS: dict[str, Build] = {
    "inv": gc.linalg.inv,
    "solve": lambda a: gc.linalg.solve(a, a),
}


@each_backend
@pytest.mark.parametrize("name", SOLVERS)
def test_singular_matrices(backend: str, name: str) -> None:
    matrices = stack_of(REGULAR, SINGULAR)
    refused(backend, SOLVERS[name], [matrices], gc.LinearAlgebraError, "singular", "1")
    assert np.linalg.det(matrices[1]) == 0  # no error here: it is a number
    a = gc.placeholder("a", (2, 2), "float64")
    f = gc.function([a], [gc.linalg.det(a), *gc.linalg.slogdet(a)], backend=backend)
    np.testing.assert_allclose(f(np.array(SINGULAR)), [0, 0, -np.inf], atol=1e-15)


@each_backend
def test_matrices_that_are_not_positive_definite(backend: str) -> None:
    matrices = stack_of(REGULAR, INDEFINITE)
    refused(
        backend, gc.linalg.cholesky, [matrices], gc.LinearAlgebraError, "positive definite", "1"
    )


INDEXED: dict[str, Build] = {
    "take": lambda x, i: gc.take(x, i, axis=0),
    "subscript": lambda x, i: x[i],
    "take_along_axis": lambda x, i: gc.take_along_axis(x, i, axis=0),
    "set": lambda x, i: x.at[i].set(0.0),
    "add": lambda x, i: x.at[i].add(1.0),
}


@each_backend
@pytest.mark.parametrize("index", [MOST, -MOST - 1, -6, 5])
@pytest.mark.parametrize("name", INDEXED)
def test_indices_beyond_the_axis(backend: str, name: str, index: int) -> None:
    """Also those that overflow where sizes are added or multiplied."""
    arrays = [np.zeros(5), np.array([0, index, 1])]
    refused(backend, INDEXED[name], arrays, gc.IndexOutOfRange, str(index), "5")


@each_backend
def test_indices_of_narrow_integers(backend: str) -> None:
    """They are compared in 64 bits: 200 is no negative int8, and -1 no large uint8."""
    x, i = gc.placeholder("x", ("n",), "float64"), gc.placeholder("i", ("m",), "int8")
    f = gc.function([x, i], gc.take(x, i), backend=backend)
    values = np.arange(300.0)
    indices = np.array([127, -128, -1], "int8")
    np.testing.assert_array_equal(f(values, indices), values[indices.astype("int64")])
    refused(
        backend, lambda x, i: x[i], [np.zeros(100), np.array([200], "uint8")],
        gc.IndexOutOfRange, "200",
    )  # fmt: skip


EXTREMA: dict[str, Build] = {
    "max": gc.max,
    "min": gc.min,
    "argmax": gc.argmax,
    "argmin": gc.argmin,
}


@each_backend
@pytest.mark.parametrize("name", EXTREMA)
def test_extrema_of_nothing(backend: str, name: str) -> None:
    op = EXTREMA[name]
    refused(backend, op, [np.zeros(0)], gc.GraphcError, name)
    refused(backend, lambda x: op(x, axis=1), [np.zeros((3, 0))], gc.GraphcError, name)
    with pytest.raises(gc.GraphcError, match=name):
        op(gc.placeholder("x", (3, 0)), axis=1)
    x = gc.placeholder("x", ("n", "m"), "float64")  # nothing is asked of empty rows that are not
    assert gc.function([x], op(x, axis=1), backend=backend)(np.zeros((0, 4))).shape == (0,)


@each_backend
def test_sums_of_nothing(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "float64")
    outputs = [gc.sum(x), gc.prod(x), gc.any(x != 0), gc.all(x != 0), gc.mean(x), gc.logsumexp(x)]
    found = gc.function([x], outputs, backend=backend)(np.zeros(0))
    np.testing.assert_array_equal([float(value) for value in found], [0, 1, 0, 1, np.nan, -np.inf])


@each_backend
def test_nan_in_orders(backend: str) -> None:
    rows = np.array([[2.0, np.nan, -1.0, np.nan], [np.inf, 1.0, 1.0, -np.inf]])
    x = gc.placeholder("x", ("n", 4), "float64")
    ops: dict[str, Build] = {"sort": gc.sort, "argsort": gc.argsort, **EXTREMA}
    f = gc.function([x], [op(x, axis=1) for op in ops.values()], backend=backend)
    expected = [
        np.sort(rows, axis=1),
        np.argsort(rows, axis=1, kind="stable"),
        *(getattr(np, name)(rows, axis=1) for name in EXTREMA),
    ]
    for name, found, wanted in zip(ops, f(rows), expected, strict=True):
        np.testing.assert_array_equal(found, wanted, name)


@each_backend
def test_negative_sizes(backend: str) -> None:
    for build in (
        lambda x: gc.zeros((x.shape[0] - 3,)),
        lambda x: gc.broadcast_to(gc.sum(x), (x.shape[0] - 3, 2)),
    ):
        refused(backend, build, [np.zeros(2)], gc.GraphcError, "- 3")
    at_once: tuple[Build, ...] = (
        lambda: gc.zeros((-1,)),
        lambda: gc.placeholder("x", (-2,)),
        lambda: gc.eye(-1),
        lambda: gc.reshape(gc.zeros(4), (-2, -2)),
    )
    for make in at_once:
        with pytest.raises(gc.GraphcError, match=r"-[12]"):
            make()


def test_carries_that_change() -> None:
    x = gc.placeholder("x", ("n", 3))
    for step in (
        lambda carry, row: (gc.concat([carry, row]), None),
        lambda carry, row: (gc.sum(carry), None),
        lambda carry, row: ((carry, carry), None),
    ):
        with pytest.raises(gc.GraphcError) as caught:
            gc.scan(step, gc.zeros(3), x)
        assert "carry" in str(caught.value) and "test_bad_values.py" in str(caught.value)
