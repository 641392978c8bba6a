"""Gradients by the filter of depthwise convolutions: one kernel, which reads each image once."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import graphc as gc

RNG = np.random.default_rng(5)
CASES = [  # (n, channels, multiplier, image), kernel, stride, dilation, padding
    ((2, 3, 1, (9, 8)), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((3, 4, 1, (12, 17)), (3, 5), (2, 3), (1, 1), (1, 2)),
    ((2, 3, 2, (15, 16)), (3, 2), (1, 1), (2, 3), (2, 1)),
    ((2, 2, 1, (21, 19)), (3, 3), (2, 2), (3, 3), (3, 3)),  # strides and dilations
    ((1, 2, 1, (40,)), (7,), (1,), (1,), (0,)),
    ((2, 3, 1, (8, 9, 10)), (3, 2, 3), (2, 1, 2), (1, 1, 1), (1, 0, 1)),
    ((1, 2, 1, (20, 20)), (7, 7), (1, 1), (1, 1), (9, 9)),  # windows of nothing but padding
    ((0, 3, 1, (9, 8)), (3, 3), (1, 1), (1, 1), (1, 1)),
]


def gradient(case: Any, dtype: str, batch: Any = None, **options: Any) -> tuple[gc.Function, Any]:
    (n, channels, more, image), kernel, stride, dilation, padding = case
    x = gc.placeholder("x", (n if batch is None else batch, channels, *image), dtype)
    w = gc.placeholder("w", (channels * more, 1, *kernel), dtype)
    pairs = [(one, one) for one in padding]
    y = gc.nn.conv(x, w, stride=stride, dilation=dilation, padding=pairs, groups=channels)
    g = gc.placeholder("g", y.shape, dtype)
    by_filter = gc.grad(gc.sum(y * g), [w])[0]
    f = gc.function([x, g], by_filter, name="by_filter", **options)
    return f, (RNG.normal(size=(n, channels, *image)), RNG.normal(size=(n, *map(int, g.shape[1:]))))


def expected(case: Any, x: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Tap by tap."""
    (n, channels, more, _), kernel, stride, dilation, padding = case
    x = np.pad(x, [(0, 0), (0, 0), *((one, one) for one in padding)])
    g = g.reshape(n, channels, more, *g.shape[2:])
    out = np.zeros((channels, more, *kernel))
    for tap in product(*map(range, kernel)):
        spots = [
            slice(at * apart, at * apart + (count - 1) * step + 1, step)
            for at, apart, count, step in zip(tap, dilation, g.shape[3:], stride, strict=True)
        ]
        index: Any = (slice(None), slice(None), *spots)
        seen = x[index][:, :, None]
        spot: Any = (slice(None), slice(None), *tap)
        out[spot] = (seen * g).sum(axis=(0, *range(3, g.ndim)))
    return out.reshape(channels * more, 1, *kernel)


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_the_sums_of_the_definition(case: Any, backend: str) -> None:
    f, arrays = gradient(case, "float64", backend=backend)
    assert "= depthwise_product(" in f.loops()
    np.testing.assert_allclose(f(*arrays), expected(case, *arrays), rtol=1e-11, atol=1e-11)


def test_images_are_read_by_one_kernel_without_temporaries() -> None:
    f, _ = gradient(((8, 64, 1, (56, 56)), (3, 3), (1, 1), (1, 1), (1, 1)), "float32")
    assert f.loops().count("kernel ") == 1 and "temporary" not in f.loops()


def test_one_function_serves_every_number_of_images() -> None:
    case = CASES[0]
    f, _ = gradient(case, "float64", batch="n")
    for n in (0, 1, 5):
        own = ((n, *case[0][1:]), *case[1:])
        _, arrays = gradient(own, "float64")
        np.testing.assert_allclose(f(*arrays), expected(own, *arrays), rtol=1e-11, atol=1e-11)


def test_few_terms_and_many_taps_are_summed_as_before() -> None:
    for shape, kernel in (((2, 3, 1, (5, 5)), (3, 3)), ((1, 2, 1, (30, 30)), (9, 9))):
        case = (shape, kernel, (1, 1), (1, 1), (0, 0))
        f, arrays = gradient(case, "float64")
        assert "= depthwise_product(" not in f.loops()
        np.testing.assert_allclose(f(*arrays), expected(case, *arrays), rtol=1e-11, atol=1e-11)


def test_the_number_of_threads_changes_no_bit() -> None:
    case = ((3, 40, 1, (33, 31)), (3, 3), (1, 1), (1, 1), (1, 1))
    one, arrays = gradient(case, "float32", threads=1)
    two, _ = gradient(case, "float32", threads=2)
    given = [array.astype("float32") for array in arrays]
    found = one(*given)
    assert np.array_equal(found, two(*given))
    exact = expected(case, *arrays)
    assert np.abs(found - exact).max() <= 2e-6 * np.abs(exact).max()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_summed_as_float32(dtype: str) -> None:
    case = ((4, 3, 1, (24, 24)), (3, 3), (2, 2), (1, 1), (1, 1))
    x = gc.placeholder("x", (4, 3, 24, 24))
    w = gc.placeholder("w", (3, 1, 3, 3))
    half = [gc.astype(one, dtype) for one in (x, w)]
    y = gc.nn.conv(*half, stride=2, padding=1, groups=3)
    g = gc.placeholder("g", y.shape)
    by_filter = gc.grad(gc.sum(gc.astype(y * gc.astype(g, dtype), "float32")), [w])[0]
    f = gc.function([x, g], by_filter)
    assert "= depthwise_product(" in f.loops()
    arrays = [
        RNG.integers(-2, 3, size=s).astype("float32") for s in ((4, 3, 24, 24), (4, 3, 12, 12))
    ]
    exact = expected(case, *arrays)
    np.testing.assert_allclose(f(*arrays), exact, rtol=2**-7)
