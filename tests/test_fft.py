"""gc.fft against numpy.fft: arguments, sizes, dtypes, derivatives, errors."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.fft

import graphc as gc
from graphc import running
from graphc.errors import HostCallError

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
TO_COMPLEX = ("fft", "ifft", "rfft", "ihfft")
TO_REAL = ("irfft", "hfft")
SEVERAL = ("fftn", "ifftn", "rfftn", "irfftn")


def values(*shape: int, of_complex: bool = True) -> Any:
    rng = np.random.default_rng(sum(shape))
    real = rng.normal(size=shape)
    return real + 1j * rng.normal(size=shape) if of_complex else real


def given(name: str, *shape: int) -> Any:
    return values(*shape, of_complex=name not in ("rfft", "ihfft", "rfftn"))


def assert_same(found: Any, expected: Any, tolerance: float = 1e-13) -> None:
    assert found.shape == expected.shape and found.dtype.kind == expected.dtype.kind
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend(backend: str) -> None:
    x = gc.placeholder("x", ("n", "m"), "complex64")
    y = gc.fft.ifft(gc.exp(1j * gc.fft.fft(x)), axis=0)
    f = gc.function([x], [y, gc.fft.rfft(gc.real(x)), gc.fft.irfft(x)], backend=backend)
    for shape in ((3, 4), (1, 5), (4, 2)):
        a = values(*shape).astype("complex64")
        found = f(a)
        assert [r.dtype for r in found] == ["complex64", "complex64", "float32"]
        expected = np.fft.ifft(np.exp(1j * np.fft.fft(a)), axis=0)
        assert_same(found[0], expected, 1e-5)
        assert_same(found[1], np.fft.rfft(a.real), 1e-5)
        assert_same(found[2], np.fft.irfft(a), 1e-5)


@pytest.mark.parametrize("name", [*TO_COMPLEX, *TO_REAL])
def test_points_axes_and_norms(name: str) -> None:
    a = given(name, 4, 5)
    calls: list[dict[str, Any]] = [
        {"n": n, "axis": axis, "norm": norm}
        for n, axis, norm in (
            (None, -1, "backward"),
            (None, 0, "ortho"),
            (3, 1, "forward"),
            (8, 0, "backward"),
            (7, -1, "ortho"),
            (1, 0, "forward"),
        )
    ]
    x = gc.placeholder("x", (None, None), a.dtype)
    fixed = gc.placeholder("y", a.shape, a.dtype)
    for options in calls:
        expected = getattr(np.fft, name)(a, **options)
        for tensor in (x, fixed):
            found = gc.run(getattr(gc.fft, name)(tensor, **options), {tensor: a})
            assert_same(found, expected)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes(name: str) -> None:
    a = given(name, 3, 4, 5)
    x = gc.placeholder("x", (None, 4, None), a.dtype)
    for options in (
        {},
        {"axes": (0, 2)},
        {"axes": (1,), "norm": "ortho"},
        {"s": (2, 7), "axes": (2, 0), "norm": "forward"},
        {"s": (3, 6), "axes": (-2, -1)},
    ):
        found = gc.run(getattr(gc.fft, name)(x, **options), {x: a})
        assert_same(found, getattr(np.fft, name)(a, **options), 1e-12)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_frequencies_and_shifts(size: int) -> None:
    n = gc.dim("n")
    x = gc.placeholder("x", ("n", 3))
    f = gc.function(
        [x],
        [
            gc.fft.fftfreq(n, d=0.5),
            gc.fft.rfftfreq(n, dtype="float64"),
            gc.fft.fftshift(x),
            gc.fft.ifftshift(x, axes=0),
            gc.fft.ifftshift(gc.fft.fftshift(x)),
        ],
    )
    a = values(size, 3, of_complex=False).astype("float32")
    found = f(a)
    assert_same(found[0], np.fft.fftfreq(size, 0.5).astype("float32"), 1e-6)
    assert_same(found[1], np.fft.rfftfreq(size))
    assert_same(found[2], np.fft.fftshift(a))
    assert_same(found[3], np.fft.ifftshift(a, axes=0))
    assert_same(found[4], a)


def test_dtypes() -> None:
    def result(x: Any) -> Any:
        return gc.fft.fft(x).dtype

    assert result(gc.placeholder("x", (3,), "int32")) == "complex64"
    assert result(gc.placeholder("x", (3,), "float16")) == "complex64"
    assert result(gc.placeholder("x", (3,), "float64")) == "complex128"
    assert gc.fft.hfft(gc.placeholder("x", (3,), "float64")).dtype == "float64"
    assert gc.fft.rfft(gc.placeholder("x", (3,), "bool")).dtype == "complex64"


@pytest.mark.parametrize("name", [*TO_COMPLEX, *TO_REAL])
def test_derivatives(name: str) -> None:
    for n in (None, 3, 6):
        gc.verify_grad(lambda x, n=n: getattr(gc.fft, name)(x, n=n, axis=0), [given(name, 5, 2)])


@pytest.mark.parametrize("name", SEVERAL)
def test_derivatives_along_several_axes(name: str) -> None:
    gc.verify_grad(getattr(gc.fft, name), [given(name, 3, 4)])


def test_convolution_by_transforms() -> None:
    x, k = gc.placeholder("x", ("n",)), gc.placeholder("k", ("n",))
    spectrum = gc.fft.rfft(x) * gc.fft.rfft(k)
    cost = gc.sum(gc.square(gc.fft.irfft(spectrum, n=x.shape[0])))
    f = gc.function([x, k], [gc.grad(cost, x), gc.fft.irfft(spectrum, n=x.shape[0])])
    a, b = (values(n, of_complex=False)[:7].astype("float32") for n in (7, 9))
    gradient, convolved = f(a, b)
    circulant = np.stack([np.roll(b, j) for j in range(7)], axis=1)
    assert_same(convolved, circulant @ a, 1e-5)
    assert_same(gradient, 2 * circulant.T @ circulant @ a, 1e-5)


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda x: gc.fft.fft(x, norm="half"), gc.ParameterError, "norm='half'"),
        (lambda x: gc.fft.fft(x, n=0), gc.ShapeError, "0 points along axis 1"),
        (lambda x: gc.fft.fft(x, axis=2), gc.ShapeError, "axis 2"),
        (lambda x: gc.fft.fftn(x, s=(2, 3), axes=(0,)), gc.ShapeError, "s=(2, 3)"),
        (lambda x: gc.fft.fftn(x, axes=(1, 1)), gc.ShapeError, "fftn"),
        (lambda x: gc.fft.rfft(x), gc.DTypeError, "use gc.fft.fft"),
        (lambda x: gc.fft.ihfft(x), gc.DTypeError, "use gc.fft.ifft"),
        (lambda x: gc.fft.fftfreq(4, dtype="int32"), gc.DTypeError, "int32"),
        (lambda x: gc.fft.fft(x[:, :0]), gc.ShapeError, "0 points"),
    ],
)
def test_errors(build: Any, error: type[Exception], text: str) -> None:
    x = gc.placeholder("x", (3, 4), "complex64")
    with pytest.raises(error) as caught:
        build(x)
    assert text in str(caught.value) and "test_fft.py" in str(caught.value)


def test_no_points_at_the_call() -> None:
    x = gc.placeholder("x", ("n",), "complex64")
    f = gc.function([x], gc.fft.fft(x))
    with pytest.raises(gc.FeedError, match="at least 1"):
        f(np.zeros(0, "complex64"))


def test_transforms_of_unknown_length_are_called_without_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calls that repeat go straight to native code, which calls scipy; what goes wrong is told."""
    x = gc.placeholder("x", ("n",), "complex64")
    f = gc.function([x], gc.fft.fft(x) * 2, backend="llvm")
    array = np.arange(12).astype("complex64")
    wanted = 2 * np.fft.fft(array)
    for _ in range(8):
        np.testing.assert_allclose(f(array), wanted, rtol=1e-5)
    plain, raised = scipy.fft.fft, list[BaseException]()

    def transform(*args: Any, **named: Any) -> Any:
        if raised:
            raise raised.pop()
        return plain(*args, **named)

    monkeypatch.setattr(scipy.fft, "fft", transform)
    monkeypatch.setattr(running.ProgramRunner, "__call__", lambda *args: pytest.fail("slow"))
    np.testing.assert_allclose(f(array), wanted, rtol=1e-5)
    raised.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        f(array)
    np.testing.assert_allclose(f(array), wanted, rtol=1e-5)
    monkeypatch.undo()
    monkeypatch.setattr(scipy.fft, "fft", transform)
    raised.append(MemoryError("once"))
    np.testing.assert_allclose(f(array), wanted, rtol=1e-5)
    raised.extend(MemoryError("always") for _ in range(2))
    with pytest.raises(HostCallError, match="always"):
        f(array)
    with ThreadPoolExecutor(4) as pool:
        arrays = [array + n for n in range(200)]
        for one, found in zip(arrays, pool.map(f, arrays), strict=True):
            np.testing.assert_allclose(found, 2 * np.fft.fft(one), rtol=1e-4, atol=1e-4)
