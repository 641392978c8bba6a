"""Arrays that have their values: conversions, errors, and how calls are kept."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import eager as xp
from graphc.eager import calls


def test_conversions() -> None:
    assert float(xp.asarray(1.5)) == 1.5 and int(xp.asarray(3)) == 3
    assert bool(xp.asarray(True)) and not bool(xp.asarray(0.0))
    assert complex(xp.asarray(2)) == 2 and [10, 20][xp.asarray(1)] == 20
    assert len(xp.asarray([1, 2])) == 2
    assert [int(x) for x in xp.asarray([1, 2])] == [1, 2]
    assert repr(xp.asarray([1, 2])) == "Array([1, 2])" and str(xp.asarray([1, 2])) == "[1 2]"
    refused: list[Any] = [
        lambda: bool(xp.ones(2)),
        lambda: float(xp.ones(1)),
        lambda: [1][xp.asarray(0.0)],
        lambda: hash(xp.asarray(1)),
        lambda: xp.Array([1]),
        lambda: xp.asarray(1) + "1",
    ]
    for build in refused:
        with pytest.raises(TypeError):
            build()


def test_values_are_not_shared_by_accident() -> None:
    values = np.arange(3.0)
    x = xp.asarray(values)
    values[0] = 9
    assert float(x[0]) == 0
    np.asarray(x)[0] = 9
    assert float(x[0]) == 0
    y, z = xp.asarray(x), xp.asarray(x, copy=True)
    y[0] = 5
    assert float(x[0]) == 5 and float(z[0]) == 0
    assert np.from_dlpack(x).tolist() == [5, 1, 2]


def test_numbers_take_the_dtype_of_the_array() -> None:
    x = xp.asarray([1, 2], dtype=xp.int8)
    assert (x + 1).dtype == (2 * x).dtype == xp.maximum(x, 3).dtype == xp.int8
    assert (xp.asarray([1.5]) * 2).dtype == xp.float32
    assert xp.where(xp.asarray([True]), x[:1], 4).dtype == xp.int8
    with pytest.raises(gc.DTypeError, match="300 is out of the range of int8"):
        x + 300
    with pytest.raises(TypeError, match=r"1\.5 does not fit into int8"):
        x[0] = 1.5


def test_errors_name_the_users_line() -> None:
    refused: list[Any] = [lambda: xp.ones(3) + xp.ones(4), lambda: xp.ones(3)[7]]
    for build in refused:
        with pytest.raises(gc.GraphcError, match=r"test_array\.py"):
            build()
    with pytest.raises(IndexError):
        xp.ones(3)[3]


def test_sizes_do_not_compile_anew() -> None:
    def run(size: int) -> int:
        x = xp.reshape(xp.zeros((size, 2)) + 1.25 * size, (2, size))
        x[0, size - 1] = size
        xp.unique_values(x[x > 1])
        return len(calls._calls.kept)

    count = run(3)
    assert run(7) == run(30) == count


def test_numbers_that_compare_equal_are_different_calls() -> None:
    for value in (0.0, -0.0):
        assert bool(xp.signbit(xp.full((1,), value))[0]) == bool(np.signbit(value))
    assert xp.full((), True).dtype == xp.bool
    assert xp.full((), 1).dtype == xp.int64
    assert xp.full((), 1.0).dtype == xp.float32


def test_the_backend_can_be_chosen() -> None:
    with pytest.raises(gc.BackendError, match="E501"):
        xp.set_backend("abacus")
    try:
        for name in ("reference", "interpreter"):
            xp.set_backend(name)
            assert float(xp.sum(xp.asarray([1.5, 2]))) == 3.5
    finally:
        xp.set_backend("auto")


def test_the_namespace() -> None:
    x = xp.ones((2, 3))
    assert x.__array_namespace__() is xp and x.device == "cpu" and x.to_device("cpu") is x
    assert xp.__array_namespace_info__().capabilities()["boolean indexing"] is True
    assert x.T.shape == x.mT.shape == (3, 2) and x.size == 6 and x.ndim == 2
    with pytest.raises(ValueError, match="2 axes"):
        x[0].T  # noqa: B018
    with pytest.raises(AttributeError, match="names of the Array API"):
        xp.softmax  # noqa: B018
    copies: list[Any] = [
        lambda: xp.asarray([1], copy=False),
        lambda: xp.asarray(x, dtype="f8", copy=False),
    ]
    for build in copies:
        with pytest.raises(ValueError, match="copy=False"):
            build()


def test_functions_that_outlive_their_users_end_quietly() -> None:
    """Compiled functions are kept in a module, which goes late when Python ends."""
    script = "from graphc import eager as xp; print(float(xp.sum(xp.ones(3))))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("3.0\n", "")
