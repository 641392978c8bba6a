"""What is computed of a convolution alone is stored once, with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

RNG = np.random.default_rng(0)
FEW = 5_000  # multiplications that the interpreter is given


def chain(x: Any, w: Any, b: Any, r: Any) -> Any:
    out = gc.nn.conv2d(x, w, padding=w.shape[-1] // 2)
    return gc.nn.relu(out * b[:, None, None] + b[:, None, None] + r)


def masked(x: Any, w: Any, b: Any, r: Any) -> Any:
    """Two results of one convolution, which itself is none; strides, a mask."""
    out = gc.nn.conv2d(x, w, stride=2, padding="same")
    return [gc.where(r > 0, out + b[:, None, None], 0), r * r]


def channels_last(x: Any, w: Any, b: Any, r: Any) -> Any:
    x, w = gc.moveaxis(x, 1, -1), gc.permute_dims(w, (2, 3, 1, 0))
    return gc.tanh(gc.nn.conv2d(x, w, layout="NHWC", padding="same") + b) + gc.moveaxis(r, 1, -1)


def moved(x: Any, w: Any, b: Any, r: Any) -> Any:
    """Another order of axes, and two axes as one."""
    out = gc.nn.conv2d(x, w, padding="same") * r
    return gc.reshape(out, (out.shape[0], out.shape[1], -1)) + b[:, None]


def grouped(x: Any, w: Any, b: Any, r: Any) -> Any:
    return gc.nn.relu(gc.nn.depthwise_conv2d(x, w[: x.shape[1], :1], padding="same")) + b[0]


def convolved(x: np.ndarray, w: np.ndarray, stride: int = 1) -> np.ndarray:
    """For odd kernels with "same" padding."""
    n, k = x.shape[2:], w.shape[-1]
    total = [max(0, (-(-size // stride) - 1) * stride + k - size) for size in n]
    pads = [(t // 2, t - t // 2) for t in total]
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    seen = np.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))
    return np.asarray(np.einsum("ncyxpq,ocpq->noyx", seen[:, :, ::stride, ::stride], w))


def expected(function: Any, x: Any, w: Any, b: Any, r: Any) -> list[np.ndarray]:
    each = b[:, None, None]
    if function is chain:
        return [np.maximum(convolved(x, w) * each + each + r, 0)]
    if function is masked:
        return [np.where(r > 0, convolved(x, w, 2) + each, 0), r * r]
    if function is channels_last:
        return [np.moveaxis(np.tanh(convolved(x, w) + each) + r, 1, -1)]
    if function is moved:
        return [
            (convolved(x, w) * r).reshape(*r.shape[:2], r[0, 0].size if len(r) else 64) + b[:, None]
        ]
    channels = [convolved(x[:, c : c + 1], w[c : c + 1, :1]) for c in range(x.shape[1])]
    return [np.maximum(np.concatenate(channels, 1), 0) + b[0]]


SIZES = (  # examples, channels in and out, height, width, kernel
    (1, 1, 1, 1, 1, 3),
    (2, 3, 16, 8, 8, 3),
    (1, 2, 17, 9, 7, 3),
    (3, 5, 32, 13, 31, 3),
    (2, 3, 48, 7, 5, 5),
    (1, 4, 6, 5, 37, 3),
    (0, 3, 16, 8, 8, 3),
)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("function", [chain, masked, channels_last, moved, grouped])
def test_results(function: Callable[..., Any], known: bool, sizes: tuple[int, ...]) -> None:
    n, inner, outer, height, width, k = sizes
    outer = max(outer, inner)
    out = (-(-height // 2), -(-width // 2)) if function is masked else (height, width)
    shapes = [(n, inner, height, width), (outer, inner, k, k), (outer,), (n, outer, *out)]
    arrays = [RNG.normal(size=shape).astype("float32") for shape in shapes]
    dims = [(("n" if known else None), *shape[1:]) for shape in shapes]
    if known:
        dims[1:3] = shapes[1:3]
    else:
        dims[0] = (None, inner, None, None)
        dims[1:] = [*shapes[1:3], (None, outer, None, None)]
    inputs = [gc.placeholder(name, shape) for name, shape in zip("xwbr", dims, strict=True)]
    wanted = expected(function, *[array.astype("float64") for array in arrays])
    few = n * inner * outer * height * width * k * k < FEW
    for backend in ("llvm", "interpreter") if few else ("llvm",):
        f = gc.function(inputs, function(*inputs), backend=backend, on_unused_input="ignore")
        found = f(*arrays)
        for one, other in zip(found if isinstance(found, list) else [found], wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


def kernels(inputs: list[Any], *results: Any) -> list[str]:
    f = gc.function(inputs, list(results), backend="interpreter")
    assert f.stages.program is not None
    return [kernel.comment for kernel in f.stages.program.kernels]


def test_one_kernel() -> None:
    x, w = gc.placeholder("x", ("n", 3, 20, 20)), gc.placeholder("w", (8, 3, 3, 3))
    b, r = gc.placeholder("b", (8,)), gc.placeholder("r", ("n", 8, 18, 18))
    out = gc.nn.conv2d(x, w)
    found = kernels([x, w, b, r], gc.nn.relu(out + b[:, None, None] + r))
    assert found[-1].startswith("t") and "relu(" in found[-1]
    assert sum("window_product" in comment for comment in found) == 1 and len(found) == 1
    # Lanes are channels: rows of sums wait in the first cache.
    f = gc.function([x, w], gc.nn.conv2d(x, gc.concat([w, w]), stride=2), backend="interpreter")
    assert "tile0: f32[1, 9, 16] scratch" in str(f.loops())
    assert "[n, 9, 9, 16] temporary" not in str(f.loops())


def test_what_is_stored() -> None:
    """Results, what two kernels read, and what is read at other places."""
    x, w = gc.placeholder("x", ("n", 3, 20, 20)), gc.placeholder("w", (8, 3, 3, 3))
    out = gc.nn.conv2d(x, w)
    for results in (
        [out, gc.nn.relu(out)],
        [gc.nn.relu(out), gc.sum(out, axis=(0, 2, 3))],
        [gc.pad(out, ((0, 0), (0, 0), (1, 1), (0, 0)))],
        [gc.flip(out, axis=3) + out],
    ):
        found = kernels([x, w], *results)
        assert any(comment.endswith("= window_product(x, w)") for comment in found), found


def test_equal_layers_are_one_kernel() -> None:
    x = h = gc.placeholder("x", ("n", 8, 12, 12))
    weights = [gc.placeholder(f"w{number}", (8, 8, 3, 3)) for number in range(4)]
    for w in weights:
        h = gc.nn.relu(gc.nn.conv2d(h, w, padding=1) + h)
    found = kernels([x, *weights], h)
    assert sum("window_product" in comment for comment in found) == 1


def test_threads_change_no_bit() -> None:
    x = RNG.normal(size=(3, 16, 40, 40)).astype("float32")
    w, b = (RNG.normal(size=s).astype("float32") for s in ((32, 16, 3, 3), (32,)))
    inputs = [gc.placeholder(n, a.shape) for n, a in zip("xwb", (x, w, b), strict=True)]
    for stride in (1, 2):
        out = gc.nn.relu(gc.nn.conv2d(*inputs[:2], stride=stride) + inputs[2][:, None, None])
        found = [gc.function(inputs, out, threads=n)(x, w, b) for n in (1, 2, 3)]
        assert all(np.array_equal(found[0], other) for other in found[1:])


def batch_norm(x: Any, axes: tuple[int, ...]) -> Any:
    d = x - gc.mean(x, axis=axes, keepdims=True)
    return d / gc.sqrt(gc.mean(d * d, axis=axes, keepdims=True) + 1e-5)


@pytest.mark.parametrize(("size", "name"), [(5, "window_product"), (3, "minimal_filtering")])
def test_sums_run_along_the_order_in_memory(size: int, name: str) -> None:
    """Lanes of the products are channels; statistics run over the image, so it is stored so."""
    x, w = gc.placeholder("x", ("n", 32, 14, 14)), gc.placeholder("w", (32, 32, size, size))
    out = gc.nn.conv2d(x, w, padding=size // 2)
    found = kernels([x, w], batch_norm(out, (0, 2, 3)))
    assert sum(name in one and one.endswith(".T") for one in found) == 1
    b = gc.placeholder("b", (32,))
    cost = gc.sum(gc.nn.relu(out + b[:, None, None]) ** 2)
    found = kernels([x, w, b], *gc.grad(cost, [x, b]))
    assert sum(name in one and one.endswith(".T") for one in found) == 1
    # Sums over the channels run along the lanes.
    (kernel,) = [one for one in kernels([x, w], gc.nn.softmax(out, axis=1)) if "exp" in one]
    assert ".T" in kernel


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("sizes", [(2, 3, 16, 7, 9), (1, 32, 32, 6, 6), (3, 2, 33, 4, 9)])
def test_gradients_behind_statistics(sizes: tuple[int, ...], known: bool, dtype: str) -> None:
    n, inner, outer, height, width = sizes
    shapes = [(n, inner, height, width), (outer, inner, 3, 3), (outer,), (n, outer, height, width)]
    arrays = [RNG.normal(size=shape).astype(dtype) for shape in shapes]
    dims: list[Any] = list(shapes)
    if not known:
        dims[0], dims[3] = ("n", inner, "h", "w"), ("n", outer, "h", "w")
    x, w, b, r = (
        gc.placeholder(name, shape, dtype) for name, shape in zip("xwbr", dims, strict=True)
    )
    y = batch_norm(gc.nn.conv2d(x, w, padding=1), (0, 2, 3)) * b[:, None, None]
    cost = gc.sum(gc.nn.relu(y + b[:, None, None]) * r)
    results = [cost, *gc.grad(cost, [x, w, b])]
    wanted = gc.function([x, w, b, r], results, backend="reference")(*arrays)
    found = gc.function([x, w, b, r], results)(*arrays)
    tolerance = 2e-3 if dtype == "float32" else 1e-9
    for one, other in zip(found, wanted, strict=True):
        scale = max(1.0, float(np.abs(other).max()))
        np.testing.assert_allclose(one / scale, other / scale, atol=tolerance)
