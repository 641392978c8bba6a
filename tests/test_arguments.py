"""Numbers and lists of numpy are arguments as Python's are; what is no argument gets an error."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

X = gc.placeholder("x", (4, 4))
V = gc.placeholder("v", (5,))
IMAGES = gc.placeholder("images", (2, 4, 6, 6))
FILTERS = gc.placeholder("filters", (4, 2, 3, 3))
KEY = gc.random.key(0)

EQUAL: dict[str, Callable[[Any], Any]] = {
    "axis": lambda n: gc.sum(X, axis=n(1)),
    "axes": lambda n: gc.sum(X, axis=n([0, 1])),
    "shape": lambda n: gc.zeros(n([2, 3])),
    "size": lambda n: gc.one_hot(gc.constant([1, 2]), n(5)),
    "offset": lambda n: gc.linalg.diagonal(X, offset=n(1)),
    "power": lambda n: gc.linalg.matrix_power(X, n(3)),
    "paired axes": lambda n: gc.linalg.tensordot(X, X, axes=n(1)),
    "order": lambda n: gc.linalg.vector_norm(V, ord=n(3)),
    "groups": lambda n: gc.nn.conv(IMAGES, FILTERS, groups=n(2)),
    "stride": lambda n: gc.nn.conv2d(IMAGES, FILTERS, groups=2, stride=n([2, 1])),
    "window": lambda n: gc.nn.max_pool(IMAGES, n([2, 3]), stride=n(2), padding=n([1, 1])),
    "padding": lambda n: gc.nn.conv2d(IMAGES, FILTERS, groups=2, padding=n([[1, 0], [0, 1]])),
    "points": lambda n: gc.fft.fft(V, n=n(4), axis=n(0)),
    "distance": lambda n: gc.fft.fftfreq(n(5), d=n(2)),
    "rows": lambda n: gc.top_k(V, n(2))[0],
    "range": lambda n: gc.arange(n(2), n(9), n(3), dtype="int32"),
    "bins": lambda n: gc.histogram(V, n(5))[0],
    "widths": lambda n: gc.pad(X, n(1)),
    "sizes": lambda n: gc.placeholder("z", (n(2), 3)),
    "steps": lambda n: gc.scan(lambda c, _: (c, c), V, None, length=n(3))[1],
    "shape of draws": lambda n: gc.random.normal(KEY, n([2, 2])),
}


@pytest.mark.parametrize("name", EQUAL)
def test_integers_and_lists_of_numpy(name: str) -> None:
    build = EQUAL[name]
    expected = build(lambda value: value)
    for kind in (np.int64, np.int8, np.uint16):
        found = build(lambda value, kind=kind: np.asarray(value, kind))
        assert found.type == expected.type
    scalars = build(lambda value: value if isinstance(value, list) else np.int32(value))
    assert scalars.type == expected.type


def test_numbers_of_the_dtype_that_is_asked_for() -> None:
    distance: Any
    for distance in (0.1, np.float64(0.1), np.array(0.1), gc.constant(np.float64(0.1))):
        for function, count in ((gc.fft.fftfreq, 5), (gc.fft.rfftfreq, 3)):
            assert function(5, d=distance).type == gc.zeros((count,)).type
            found = gc.run(function(5, d=distance, dtype="float64"))
            expected = getattr(np.fft, function.__name__)(5, d=0.1)
            np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_a_largest_number_of_numpy_does_not_widen() -> None:
    one: Any
    for one in (np.float64(1), np.array(1.0), 1, gc.constant(np.float32(1))):
        assert gc.max(X, initial=one).dtype == gc.min(X, initial=one).dtype == gc.float32
        assert float(gc.run(gc.max(gc.zeros((0,)), initial=one))) == 1


HUGE = 10**400
REFUSED: dict[str, tuple[Callable[[], Any], type[gc.GraphcError], str]] = {
    "order": (lambda: gc.linalg.vector_norm(V, ord=HUGE), gc.ParameterError, "ord is 1000"),
    "stride": (lambda: gc.nn.conv(IMAGES, FILTERS, groups=2, stride=HUGE), gc.ShapeError, "stride"),
    "dilation": (lambda: gc.nn.max_pool(IMAGES, 2, dilation=2**63), gc.ShapeError, "dilation"),
    "layout": (
        lambda: gc.nn.conv2d(IMAGES, FILTERS, layout=np.zeros(2)),
        gc.ShapeError,
        "layout",
    ),
    "flip": (
        lambda: gc.nn.conv2d(IMAGES, FILTERS, groups=2, filter_flip="no"),
        gc.ArgumentError,
        "filter_flip='no'",
    ),
    "device": (lambda: gc.fft.fftfreq(5, device=np.zeros(2)), gc.FunctionError, "device"),
    "complex distance": (lambda: gc.fft.fftfreq(5, d=1j), gc.ParameterError, "d=1j"),  # type: ignore[arg-type]
    "distances": (lambda: gc.fft.rfftfreq(5, d=[1.0, 2.0]), gc.ParameterError, "d=[1.0, 2.0]"),  # type: ignore[arg-type]
    "a set": (lambda: gc.fft.fftn(X, s={4, 5}), gc.ShapeError, "s={4, 5}"),  # type: ignore[arg-type]
    "bytes": (lambda: gc.random.normal(KEY, b"ab"), gc.ShapeError, "b'ab'"),
    "range": (lambda: gc.histogram(V, range=(0, HUGE)), gc.ParameterError, "range=(0, 1000"),
    "correction": (lambda: gc.var(V, correction="1"), gc.ArgumentError, "correction='1'"),  # type: ignore[arg-type]
    "large correction": (lambda: gc.nanstd(V, correction=HUGE), gc.ArgumentError, "correction"),
    "share": (lambda: gc.quantile(V, "0.5"), gc.DTypeError, "q='0.5'"),
    "initial": (lambda: gc.max(X, axis=0, initial=np.zeros(4)), gc.ShapeError, "initial=array"),
    "name of sizes": (lambda: gc.placeholder("z", b"ab"), gc.ShapeError, "b'ab'"),
    "length": (lambda: gc.scan(lambda c, _: (c, c), V, length=-1), gc.ShapeError, "size=-1"),
    "rate": (lambda: gc.random.poisson(KEY, (3,), HUGE), gc.ParameterError, "rate is 1000"),
    "complex": (lambda: gc.random.binomial(KEY, (3,), 1j), gc.DTypeError, "no number"),
    "letters": (lambda: gc.random.dirichlet(KEY, np.array(["a"])), gc.DTypeError, "array"),
    "objects": (lambda: gc.random.integers(KEY, (), np.array([None])), gc.DTypeError, "array"),
    "corners": (lambda: gc.random.triangular(KEY, (), np.array(["a"])), gc.DTypeError, "array"),
    "low": (lambda: gc.random.integers(KEY, (2,), [1, 5], [2, 4]), gc.ParameterError, "below high"),
    "alpha": (lambda: gc.random.dirichlet(KEY, [1.0, -1.0]), gc.ParameterError, "-1.0"),
    "weights": (lambda: gc.random.multinomial(KEY, 3, [1.0, -1.0]), gc.ParameterError, "-1.0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_argument(name: str) -> None:
    build, error, text = REFUSED[name]
    with pytest.raises(error) as caught:
        build()
    message = str(caught.value)
    assert text in message and "test_arguments.py" in message and " fix " in message
