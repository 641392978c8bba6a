"""logspace, geomspace, vander, rot90, diag, toeplitz and indices as numbers beside numpy's."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import graphc as gc
from tests.ops.beside_numpy import agrees, assert_same, draw

GC: Any = gc  # what these calls are given, types do not allow


@pytest.mark.parametrize("num", [0, 1, 2, 9])
@pytest.mark.parametrize("endpoint", [True, False])
def test_ramps_with_equal_ratios(num: int, endpoint: bool) -> None:
    options: dict[str, Any] = {"endpoint": endpoint, "dtype": "float64"}
    for start, stop in ((0, 3), (2.5, -1.5)):
        for base in (10.0, 2):
            found = gc.run(gc.logspace(start, stop, num, base=base, **options))
            assert_same(found, np.logspace(start, stop, num, base=base, **options), rtol=1e-12)
    for start, stop in ((1, 1000), (-8, -0.5), (3.0, 3.0)):
        found = gc.run(gc.geomspace(start, stop, num, **options))
        assert_same(found, np.geomspace(start, stop, num, **options), rtol=1e-12)
        narrow = gc.run(gc.geomspace(start, stop, num, endpoint=endpoint))
        assert narrow.dtype == np.float32


def test_ramps_of_tensors() -> None:
    x, low, high = (
        gc.placeholder("x", ("n",)),
        gc.placeholder("low", ()),
        gc.placeholder("high", ()),
    )
    n = x.shape[0]
    ramps = [gc.geomspace(low, high, n), gc.logspace(low, high, n)]
    for backend in ("reference", "interpreter", "llvm"):
        f = gc.function([x, low, high], ramps, backend=backend, on_unused_input="ignore")
        for size in (0, 1, 6):
            spaced, powers = f(np.zeros(size, "float32"), 0.5, 3)
            np.testing.assert_allclose(spaced, np.geomspace(0.5, 3, size), rtol=1e-6)
            np.testing.assert_allclose(powers, np.logspace(0.5, 3, size), rtol=1e-6)
    gc.verify_grad(lambda a, b: gc.geomspace(a, b, 5, dtype="float64"), [0.7, 4.0])


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32", "float64", "complex128"])
def test_vander(dtype: str) -> None:
    cases = [(draw(n, dtype=dtype),) for n in (4, 1, 0)]
    for columns in (None, 0, 1, 6):
        for increasing in (False, True):
            agrees(
                lambda x, c=columns, i=increasing: gc.vander(x, c, i),
                lambda x, c=columns, i=increasing: np.vander(x, c, i),
                *cases,
                exact_dtype=dtype != "float32",  # numpy makes float64 of it
                rtol=1e-6 if dtype == "float32" else 1e-12,
            )
    gc.verify_grad(lambda x: gc.vander(x, 4), [np.array([0.0, 0.5, -2])])


@pytest.mark.parametrize("k", [0, 1, 2, 3, -1, 6])
@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (2, 0), (-1, -2)])
def test_rot90(k: int, axes: tuple[int, int]) -> None:
    agrees(
        lambda x: gc.rot90(x, k, axes),
        lambda x: np.rot90(x, k, axes),
        (draw(2, 3, 4),),
        (draw(1, 1, 2),),
        (draw(2, 0, 3),),
    )


@pytest.mark.parametrize("k", [0, 1, -2])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "complex64"])
def test_diag(k: int, dtype: str) -> None:
    rows = [(draw(n, dtype=dtype),) for n in (3, 1, 0)]
    agrees(lambda x: gc.diag(x, k), lambda x: np.diag(x, k), *rows)
    tables = [(draw(*shape, dtype=dtype),) for shape in ((3, 5), (4, 4), (1, 1), (0, 2))]
    agrees(lambda x: gc.diag(x, k), lambda x: np.diag(x, k), *tables)
    gc.verify_grad(lambda x: gc.diag(x, k), [draw(3)])


@pytest.mark.parametrize("dtype", ["int8", "float32", "complex64"])
def test_toeplitz(dtype: str) -> None:
    c, r = draw(4, dtype=dtype), draw(3, seed=1, dtype=dtype)
    agrees(gc.linalg.toeplitz, scipy.linalg.toeplitz, (c,), (c[:1],))
    agrees(gc.linalg.toeplitz, scipy.linalg.toeplitz, (c, r), (c[:1], r), (c, r[:1]))
    if dtype == "float32":
        gc.verify_grad(gc.linalg.toeplitz, [c, r])


@pytest.mark.parametrize("p", [None, 2, -2, "fro", "nuc", 1, -1, np.inf, -np.inf])
def test_cond(p: Any) -> None:
    x = draw(2, 4, 4)
    agrees(
        lambda x: gc.linalg.cond(x, p),
        lambda x: np.linalg.cond(x, p),
        (x,),
        rtol=1e-9,
        backends=("reference", "llvm"),
    )
    gc.verify_grad(lambda x: gc.linalg.cond(x, p), [x[0]], rtol=1e-4)


def test_cond_of_singular_matrices() -> None:
    x = np.array([[[0.0, 0], [0, 0]], [[1, 0], [0, 0]], [[np.nan, 0], [0, 1]]])
    found = gc.run(gc.linalg.cond(x[:2]))
    np.testing.assert_array_equal(found, [np.inf, np.inf])
    wide = draw(3, 5)
    np.testing.assert_allclose(gc.run(gc.linalg.cond(wide)), np.linalg.cond(wide))
    with pytest.raises(gc.LinearAlgebraError):
        gc.run(gc.linalg.cond(x[1], 1))


SHAPES = [(4, 3, 5), (7,), (1, 1), (2, 6)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["int8", "uint32", "int64"])
def test_indices_as_numbers(shape: tuple[int, ...], dtype: str) -> None:
    size = int(np.prod(shape))
    numbers = np.arange(size).astype(dtype)
    agrees(
        lambda i: list(gc.unravel_index(i, shape)),
        lambda i: list(np.unravel_index(i, shape)),
        (numbers,),
        (numbers[:0],),
    )
    rows = np.stack(np.unravel_index(np.arange(size), shape)).astype(dtype)
    agrees(
        lambda r: gc.ravel_multi_index([r[k] for k in range(len(shape))], shape),
        lambda r: np.ravel_multi_index(list(r), shape),
        (rows,),
        (rows[:, :1],),
    )


@pytest.mark.parametrize("mode", ["wrap", "clip"])
def test_modes(mode: Any) -> None:
    rows = np.random.default_rng(0).integers(-20, 20, size=(2, 30))
    agrees(
        lambda r: gc.ravel_multi_index((r[0], r[1]), (3, 4), mode),
        lambda r: np.ravel_multi_index((r[0], r[1]), (3, 4), mode),
        (rows,),
    )


def test_symbolic_shapes_and_indices_outside() -> None:
    x = gc.placeholder("x", ("n", "m"))
    i = gc.placeholder("i", ("k",), "int64")
    places = gc.unravel_index(i, x.shape)
    for backend in ("reference", "interpreter", "llvm"):
        f = gc.function(
            [x, i],
            [*places, gc.ravel_multi_index(places, x.shape)],
            backend=backend,
            on_unused_input="ignore",
        )
        for shape in ((3, 4), (1, 7)):
            numbers = np.arange(np.prod(shape))
            *rows, back = f(np.zeros(shape, "float32"), numbers)
            assert_same(rows, list(np.unravel_index(numbers, shape)))
            np.testing.assert_array_equal(back, numbers)
        for bad in (-1, 12):
            with pytest.raises(gc.AssertionFailed, match="unravel_index lies within"):
                f(np.zeros((3, 4), "float32"), [bad])


def test_errors() -> None:
    x = gc.placeholder("x", ("n",))
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: gc.logspace(0, 1, 3, dtype="int32"), gc.DTypeError, "not for int32"),
        (lambda: gc.geomspace(0, 1, 3), gc.ParameterError, "from 0 to 1"),
        (lambda: gc.geomspace(-1, 1, 3), gc.ParameterError, "both positive|both ends"),
        (lambda: gc.logspace(1j, 1, 3), gc.DTypeError, "logspace: not for complex"),
        (lambda: gc.vander(x[:, None]), gc.ShapeError, "vander: got"),
        (lambda: gc.rot90(x), gc.ShapeError, "axis"),
        (lambda: gc.rot90(x[:, None], axes=(0, 0)), gc.ShapeError, "ax"),
        (lambda: GC.rot90(x[:, None], axes=(0,)), gc.ShapeError, "axes"),
        (lambda: gc.diag(x[:, None, None]), gc.ShapeError, "diag: got"),
        (lambda: gc.linalg.toeplitz(x[:, None]), gc.ShapeError, "toeplitz: got"),
        (lambda: gc.unravel_index([1, 6], (2, 3)), gc.IndexOutOfRange, "index 6 .* size 6"),
        (lambda: gc.unravel_index([-1], (2, 3)), gc.IndexOutOfRange, "index -1"),
        (lambda: gc.unravel_index(x, (2, 3)), gc.DTypeError, "float32"),
        (lambda: gc.ravel_multi_index(([2], [0]), (2, 3)), gc.IndexOutOfRange, "index 2 .* axis 0"),
        (lambda: gc.ravel_multi_index(([2],), (2, 3)), gc.ShapeError, "1 indices"),
        (lambda: GC.ravel_multi_index(([2],), (3,), "no"), gc.ParameterError, "mode='no'"),
        (lambda: gc.linalg.cond(np.ones((2, 3)), 1), gc.ShapeError, "square"),
    ]
    for call, kind, words in cases:
        with pytest.raises(kind, match=words):
            call()


@pytest.mark.parametrize("name", ["hanning", "hamming", "blackman", "bartlett", "kaiser"])
def test_windows(name: str) -> None:
    more = (8.6,) if name == "kaiser" else ()
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], getattr(gc, name)(x.shape[0], *more), on_unused_input="ignore")
    for size in (0, 1, 2, 3, 8, 51):
        expected = getattr(np, name)(size, *more)
        found = gc.run(getattr(gc, name)(size, *more, dtype="float64"))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(f(np.zeros(size, "float32")), expected, atol=1e-6)
    with pytest.raises(gc.DTypeError, match=name):
        getattr(GC, name)(4, *more, dtype="int32")


def test_slope_of_a_window() -> None:
    gc.verify_grad(lambda beta: gc.kaiser(7, beta, "float64"), [2.5])


@pytest.mark.parametrize("k", [-2, 0, 3])
def test_triangles_and_positions(k: int) -> None:
    for n, m in ((4, None), (3, 5), (5, 2), (0, None)):
        np.testing.assert_array_equal(gc.run(gc.tri(n, m, k)), np.tri(n, m, k))
        for name in ("tril_indices", "triu_indices"):
            assert_same(gc.run(getattr(gc, name)(n, k, m)), getattr(np, name)(n, k, m))
    for shape in ((2, 3), (4,), (), (2, 0)):
        assert_same(gc.run(gc.indices(shape)), np.indices(shape))
    x = gc.placeholder("x", ("n", 3))
    f = gc.function([x], gc.indices(x.shape, "int32"), on_unused_input="ignore")
    assert_same(f(np.zeros((2, 3), "float32")), np.indices((2, 3), "int32"))
    with pytest.raises(gc.ShapeError, match="tril_indices"):
        GC.tril_indices(x.shape[0])
