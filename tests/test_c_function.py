"""Compiled functions as C functions, called by ctypes, numba and scipy."""

import ctypes
import gc as garbage
import math
import re
import threading
from typing import Any

import numba
import numpy as np
import pytest
import scipy.integrate
import scipy.ndimage
from scipy import LowLevelCallable

import graphc as gc

BACKENDS = ("llvm", "numba_cpu", "reference")


def pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(np.ctypeslib.as_ctypes_type(array.dtype)))


def model(backend: str = "llvm") -> gc.Function:
    """Log-density and gradient, as samplers want it; temporaries, a constant and a variable."""
    q, x = gc.placeholder("q", (3,), "float64"), gc.placeholder("x", ("n", 3), "float64")
    scale = gc.variable(np.float64(2), "scale")
    z = gc.sum(x * q, axis=1) * gc.constant(np.array([1.5]))
    logp = -gc.sum(gc.log1p(gc.exp(z - gc.sum(z) / 9))) * scale
    return gc.function([q, x], [logp, gc.grad(logp, q)], backend=backend, name="model")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rows", [0, 1, 7, 3000])
def test_the_general_signature(backend: str, rows: int) -> None:
    f = model(backend)
    rng = np.random.default_rng(rows)
    q, x = rng.normal(size=3), rng.normal(size=(rows, 3))
    made = f.c_function()
    assert made.signature == "int64_t (const double *, const double *, int64_t, double *, double *)"
    assert made.sizes == ("n",) and made.needs_python == (backend != "llvm")
    value, gradient = np.zeros(()), np.zeros(3)
    assert f.ctypes(pointer(q), pointer(x), rows, pointer(value), pointer(gradient)) == 0
    for found, meant in zip((value, gradient), f(q, x), strict=True):
        np.testing.assert_allclose(found, meant, rtol=1e-13)


def test_from_numba() -> None:
    f = model()
    call = f.ctypes

    @numba.njit
    def descend(q: Any, x: Any, steps: int) -> Any:
        value, gradient = np.zeros(1), np.zeros(3)
        for _ in range(steps):
            status = call(q.ctypes, x.ctypes, x.shape[0], value.ctypes, gradient.ctypes)
            if status != 0:
                return gradient
            q = q + 0.01 * gradient
        return q

    rng = np.random.default_rng(0)
    q, x = rng.normal(size=3), rng.normal(size=(20, 3))
    expected = q.copy()
    for _ in range(5):
        expected = expected + 0.01 * f(expected, x)[1]
    np.testing.assert_allclose(descend(q, x, 5), expected, rtol=1e-12)


def test_from_scipy_quad() -> None:
    x, a = gc.placeholder("x", (), "float64"), gc.variable(np.float64(1), "a")
    f = gc.function([x], gc.exp(-a * x**2))
    integrand = LowLevelCallable(f.c_function("double (double)").ctypes)
    del f
    garbage.collect()
    assert integrand.signature == "double (double)"
    found, _ = scipy.integrate.quad(integrand, -np.inf, np.inf)
    assert math.isclose(found, math.sqrt(math.pi), rel_tol=1e-9)
    a.value = 4.0
    found, _ = scipy.integrate.quad(integrand, -np.inf, np.inf)
    assert math.isclose(found, math.sqrt(math.pi / 4), rel_tol=1e-9)


@pytest.mark.parametrize("signature", ["double (int, double *)", "double (int, double*, void*)"])
def test_several_arguments_in_scipy(signature: str) -> None:
    x, y = gc.placeholder("x", (), "float64"), gc.placeholder("y", (), "float64")
    f = gc.function([x, y], x * y**2)
    integrand = LowLevelCallable(f.c_function(signature).ctypes)
    found, _ = scipy.integrate.nquad(integrand, [[0, 1], [0, 3]])
    assert math.isclose(found, 4.5, rel_tol=1e-9)


def test_a_filter_in_scipy() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    f = gc.function([x], gc.sqrt(gc.mean(x * x)))
    made = f.c_function("int (double *, intptr_t, double *, void *)")
    image = np.random.default_rng(0).normal(size=(9, 8))
    found = scipy.ndimage.generic_filter(image, LowLevelCallable(made.ctypes), size=3)
    expected = scipy.ndimage.generic_filter(image, lambda a: math.sqrt((a * a).mean()), size=3)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_vectors_of_a_length() -> None:
    x = gc.placeholder("x", (3,), "float32")
    call = gc.function([x], gc.sum(x)).c_function("float (int, float *)").ctypes
    data = np.array([1, 2, 3], "float32")
    assert call(3, pointer(data)) == 6
    assert math.isnan(call(2, pointer(data)))


def test_failures_are_told() -> None:
    i, x = gc.placeholder("i", (), "int64"), gc.placeholder("x", ("n",), "float64")
    y = gc.placeholder("y", ("m",), "float64")
    f = gc.function([i, x, y], x[i] + gc.sum(x[1:] - y))
    data, out, index = np.arange(4.0), np.zeros(()), np.array(2)
    arguments = [pointer(data), pointer(data)]
    assert f.ctypes(pointer(index), *arguments, 4, 3, pointer(out)) == 0
    assert out == f(index, data, data[:3])
    assert f.ctypes(pointer(index), *arguments, 4, 2, pointer(out)) != 0
    assert f.ctypes(pointer(index), *arguments, 4, -1, pointer(out)) != 0
    index[...] = 4
    assert f.ctypes(pointer(index), *arguments, 4, 3, pointer(out)) != 0


def test_failures_say_what_calls_would() -> None:
    i, x = gc.placeholder("i", (), "int64"), gc.placeholder("x", ("n",), "float64")
    y = gc.placeholder("y", ("m",), "float64")
    f = gc.function([i, x, y], x[i] + gc.sum(x[1:] - y))
    made = f.c_function()
    assert not made.needs_python and made.error is None
    data, out = np.arange(4.0), np.zeros(())

    def failed(index: int, *sizes: int) -> str:
        given = np.array(index)
        status = made.ctypes(pointer(given), pointer(data), pointer(data), *sizes, pointer(out))
        assert status != 0
        assert made.error is made.error
        return str(made.error)

    def raised(index: int, rows: int, columns: int) -> str:
        with pytest.raises(gc.GraphcError) as error:
            f(index, data[:rows], data[:columns])
        return str(error.value)

    for case in ((4, 4, 3), (-5, 4, 3), (2, 3, 3), (0, 4, 1)):
        assert failed(*case) == raised(*case)
    assert "{'n': 4, 'm': -1}" in failed(0, 4, -1)
    last = made.error
    fine = np.array(1)
    assert made.ctypes(pointer(fine), pointer(data), pointer(data), 4, 3, pointer(out)) == 0
    assert made.error is last


def test_failures_of_other_signatures() -> None:
    x = gc.placeholder("x", (3,), "float64")
    plain = gc.function([x], gc.sum(x)).c_function("double (int, double *)")
    data, w = np.arange(3.0), gc.variable(np.float64(0), "w")
    with_update = gc.function([x], gc.sum(x), updates={w: w + 1})
    for made in (plain, with_update.c_function("double (int, double *)")):
        assert made.ctypes(3, pointer(data)) == 3 and made.error is None
        assert math.isnan(made.ctypes(2, pointer(data)))
        assert "the vector has 2 elements, allowed is 3" in str(made.error)
    i = gc.placeholder("i", ("k",), "float64")
    picked = gc.function([i], gc.sum(gc.constant(data)[gc.astype(i, "int64")]))
    made = picked.c_function("double (int, double *)")
    for bad in (7, 8):
        indices = np.array([0.0, bad])
        assert math.isnan(made.ctypes(2, pointer(indices)))
        assert isinstance(made.error, gc.IndexOutOfRange) and f"index {bad}" in str(made.error)


def test_calls_without_memory() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    y = gc.sort(gc.exp(x))
    made = gc.function([x], gc.sum(gc.cumulative_sum(y) * y)).c_function()
    data, out = np.ones(3), np.zeros(())
    assert made.ctypes(pointer(data), 1 << 55, pointer(out)) != 0
    assert isinstance(made.error, gc.MemoryLimitError)
    assert "[E605]" in str(made.error) and f"n = {1 << 55}" in str(made.error)


def test_failures_in_many_threads() -> None:
    i, x = gc.placeholder("i", (), "int64"), gc.placeholder("x", ("n",), "float64")
    made = gc.function([i, x], x[i]).c_function()
    data, wrong = np.arange(64.0), []

    def work(size: int) -> None:
        out, index = np.zeros(()), np.array(size)
        for _ in range(200):
            made.ctypes(pointer(index), pointer(data), size, pointer(out))
            text = str(made.error).splitlines()[0]
            found = re.search(r"index (\d+) is out of range for axis 0 of size (\d+)", text)
            if found is None or found[1] != found[2]:
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 2, 40, 64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


def test_updates_go_through_python() -> None:
    x, w = gc.placeholder("x", (), "float64"), gc.variable(np.float64(0), "w")
    made = gc.function([x], w * 1, updates={w: w + x}).c_function("double (double)")
    assert made.needs_python
    assert [made.ctypes(2.0) for _ in range(4)] == [0, 2, 4, 6]
    assert w.value == 8


def test_errors_of_python_calls_are_kept() -> None:
    i, w = gc.placeholder("i", (1,), "int64"), gc.variable(np.zeros(3), "w")
    made = gc.function([i], w[i] * 1, updates={w: w + 1}).c_function()
    bad, out = np.array([5]), np.zeros(1)
    assert made.ctypes(pointer(bad), pointer(out)) == 1
    assert isinstance(made.error, gc.IndexOutOfRange)
    np.testing.assert_array_equal(w.value, np.zeros(3))


@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "float32", "complex64", "float16"])
def test_every_kind_of_element(dtype: str) -> None:
    x = gc.placeholder("x", ("n",), dtype)
    f = gc.function([x], gc.where(x == 0, x, x))
    data = np.array([0, 1, 3], dtype)
    out = np.zeros(3, dtype)
    types = f.ctypes.argtypes
    start, end = ctypes.cast(data.ctypes.data, types[0]), ctypes.cast(out.ctypes.data, types[2])
    assert f.ctypes(start, 3, end) == 0
    np.testing.assert_array_equal(out, data)


def test_products_and_factorisations() -> None:
    a = gc.placeholder("a", ("n", "n"), "float64")
    f = gc.function([a], [a @ a, gc.linalg.cholesky(a)])
    data = np.eye(5) * 4
    product, factor = np.zeros((5, 5)), np.zeros((5, 5))
    assert f.ctypes(pointer(data), 5, pointer(product), pointer(factor)) == 0
    np.testing.assert_allclose(product, data @ data)
    np.testing.assert_allclose(factor, np.eye(5) * 2)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_products_of_symbolic_sizes_need_no_python(n: int) -> None:
    x, w = gc.placeholder("x", ("n", 40)), gc.placeholder("w", (40, 300))
    f = gc.function([x, w], gc.tanh(x @ w))
    made = f.c_function()
    assert not made.needs_python
    rng = np.random.default_rng(n)
    rows, weights = rng.normal(size=(n, 40)).astype("float32"), rng.normal(size=(40, 300))
    weights = weights.astype("float32")
    out = np.full((n, 300), np.nan, "float32")
    types = made.ctypes.argtypes
    data = [ctypes.cast(array.ctypes.data, types[0]) for array in (rows, weights, out)]
    assert made.ctypes(data[0], data[1], n, data[2]) == 0
    np.testing.assert_array_equal(out, f(rows, weights))
    assert made.error is None


def test_many_threads_without_the_lock() -> None:
    f = model()
    rng = np.random.default_rng(1)
    q, x = rng.normal(size=3), rng.normal(size=(5000, 3))
    expected = f(q, x)[0]
    found: list[bool] = []

    def work() -> None:
        value, gradient = np.zeros(()), np.zeros(3)
        for _ in range(20):
            f.ctypes(pointer(q), pointer(x), 5000, pointer(value), pointer(gradient))
            found.append(np.isclose(value, expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80 and all(found)


def test_signatures_that_do_not_fit() -> None:
    x = gc.placeholder("x", ())
    f = gc.function([x], x * 2)
    with pytest.raises(gc.FunctionError, match=r"float \(float\)"):
        f.c_function("double (double)")
    with pytest.raises(gc.FunctionError):
        f.c_function("int main()")
    with pytest.raises(gc.FunctionError, match="f: 3 is no signature"):
        f.c_function(3)  # type: ignore[arg-type]
    assert f.c_function("float(float)").ctypes(3.0) == 6
    assert isinstance(f.address, int) and f.c_function() is f.c_function()
    general = f.c_function().signature
    assert f.c_function(general).signature == general and f.c_function(general).sizes == ()
    n = gc.placeholder("n", ("n", 2))
    with pytest.raises(gc.FunctionError, match=r"it can be: int64_t \(const float \*, int64_t"):
        gc.function([n], n * 2).c_function("double (double)")
