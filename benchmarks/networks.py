"""Networks at the size that people train: value and gradients, beside JAX and PyTorch.

taskset -c 0 python benchmarks/networks.py [--threads 1] [--dtype bfloat16] [--any-batch] [name ...]

Each network is one text for all three. Candidates take turns, medians; gradients are compared.
first: from the graph, or the function, to the first result, in a process that has loaded all
three. A library that is not installed is left out. With --threads 2 without `taskset`.

--any-batch: graphc does not know how many examples there are; what it compiles serves any number.

--dtype bfloat16: mixed precision. Weights are float32; products, convolutions and what follows them
element by element are bfloat16; norms, softmax, sums along the residual path and losses float32.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

import graphc as gc

RNG = np.random.default_rng(0)
LIMITS = {"float32": 0.05, "bfloat16": 0.5}  # relus, maxima at ties; norms of little variance
Parameters = Mapping[str, Any]
Network = Callable[..., Any]


def weights(*shape: int) -> np.ndarray:
    inputs = np.prod(shape[1:]) if len(shape) > 2 else shape[0]
    return (RNG.normal(size=shape) / np.sqrt(inputs)).astype("float32")


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, "float32")


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, "float32")


def images(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


class Model(NamedTuple):
    build: Network  # (library, parameters, *data)
    parameters: dict[str, np.ndarray]
    data: tuple[np.ndarray, ...]


# --- the three libraries -------------------------------------------------------------------------


class Library:
    dtype = "float32"

    def cast(self, x: Any, dtype: str) -> Any:
        return x.astype(dtype)

    def narrow(self, x: Any) -> Any:
        return x if self.dtype == "float32" else self.cast(x, self.dtype)

    def wide(self, x: Any) -> Any:
        return x if self.dtype == "float32" else self.cast(x, "float32")

    def product(self, a: Any, b: Any) -> Any:
        return self.narrow(a) @ self.narrow(b)

    def conv(self, x: Any, w: Any, stride: int = 1, padding: int = 0, groups: int = 1) -> Any:
        return self.convolved(self.narrow(x), self.narrow(w), stride, padding, groups)

    def convolved(self, x: Any, w: Any, stride: int, padding: int, groups: int) -> Any:
        raise TypeError(type(self).__name__)


class Graphc(Library):
    sqrt, relu = staticmethod(gc.sqrt), staticmethod(gc.nn.relu)
    reshape, transpose = staticmethod(gc.reshape), staticmethod(gc.permute_dims)

    def gelu(self, x: Any) -> Any:
        return gc.nn.gelu(x, approximate="tanh")

    def softmax(self, x: Any) -> Any:
        return gc.softmax(x, axis=-1)

    def mean(self, x: Any, axes: Any, keepdims: bool = False) -> Any:
        return gc.mean(x, axis=axes, keepdims=keepdims)

    def concat(self, parts: Sequence[Any], axis: int) -> Any:
        return gc.concat(list(parts), axis=axis)

    def convolved(self, x: Any, w: Any, stride: int, padding: int, groups: int) -> Any:
        return gc.nn.conv2d(x, w, stride=stride, padding=padding, groups=groups)

    def pool(self, x: Any) -> Any:
        return gc.nn.max_pool(x, 2, stride=2)

    def twice(self, x: Any) -> Any:
        return gc.nn.upsample(x, 2)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        return gc.mean(gc.nn.sparse_softmax_cross_entropy(z, y))

    any_batch = False

    def ready(self, model: Model, threads: int) -> Callable[[], Sequence[Any]]:
        given = {k: gc.placeholder(k, v.shape, str(v.dtype)) for k, v in model.parameters.items()}
        batch = model.data[0].shape[0]
        shapes = [
            ("n", *v.shape[1:]) if self.any_batch and v.shape[0] == batch else v.shape
            for v in model.data
        ]
        data = [
            gc.placeholder(f"data{i}", shape, str(v.dtype))
            for i, (shape, v) in enumerate(zip(shapes, model.data, strict=True))
        ]
        loss = model.build(self, given, *data)
        results = [loss, *gc.grad(loss, list(given.values()))]
        f = gc.function([*given.values(), *data], results, threads=threads)
        arrays = [*model.parameters.values(), *model.data]
        return lambda: f(*arrays)


class Jax(Library):
    def __init__(self) -> None:
        self.jax, self.np = import_module("jax"), import_module("jax.numpy")
        self.sqrt, self.relu = self.np.sqrt, self.jax.nn.relu
        self.gelu, self.softmax = self.jax.nn.gelu, self.jax.nn.softmax
        self.reshape, self.transpose = self.np.reshape, self.np.transpose
        self.concat = self.np.concatenate

    def mean(self, x: Any, axes: Any, keepdims: bool = False) -> Any:
        return self.np.mean(x, axis=axes, keepdims=keepdims)

    def convolved(self, x: Any, w: Any, stride: int, padding: int, groups: int) -> Any:
        around, names = [(padding, padding)] * 2, ("NCHW", "OIHW", "NCHW")
        convolve = self.jax.lax.conv_general_dilated
        return convolve(
            x, w, (stride, stride), around, dimension_numbers=names, feature_group_count=groups
        )

    def pool(self, x: Any) -> Any:
        size = (1, 1, 2, 2)
        return self.jax.lax.reduce_window(x, -np.inf, self.jax.lax.max, size, size, "VALID")

    def twice(self, x: Any) -> Any:
        return self.np.repeat(self.np.repeat(x, 2, axis=2), 2, axis=3)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        picked = self.np.take_along_axis(z, y[..., None], axis=-1)[..., 0]
        return self.np.mean(self.jax.nn.logsumexp(z, axis=-1) - picked)

    def ready(self, model: Model, threads: int) -> Callable[[], Sequence[Any]]:
        step = self.jax.jit(self.jax.value_and_grad(lambda p, *d: model.build(self, p, *d)))
        given = {k: self.np.asarray(v) for k, v in model.parameters.items()}
        data = [self.np.asarray(v) for v in model.data]

        def call() -> Sequence[Any]:
            loss, slopes = self.jax.block_until_ready(step(given, *data))
            return [loss, *(slopes[k] for k in given)]

        return call


class Torch(Library):
    def __init__(self) -> None:
        self.torch = import_module("torch")
        nn = self.nn = self.torch.nn.functional
        self.sqrt, self.relu = self.torch.sqrt, nn.relu
        self.reshape, self.transpose = self.torch.reshape, self.torch.permute
        self.concat = self.torch.cat

    def gelu(self, x: Any) -> Any:
        return self.nn.gelu(x, approximate="tanh")

    def softmax(self, x: Any) -> Any:
        return self.nn.softmax(x, -1)

    def mean(self, x: Any, axes: Any, keepdims: bool = False) -> Any:
        return x.mean(axes, keepdim=keepdims)

    def cast(self, x: Any, dtype: str) -> Any:
        return x.to(getattr(self.torch, dtype))

    def convolved(self, x: Any, w: Any, stride: int, padding: int, groups: int) -> Any:
        return self.nn.conv2d(x, w, stride=stride, padding=padding, groups=groups)

    def pool(self, x: Any) -> Any:
        return self.nn.max_pool2d(x, 2)

    def twice(self, x: Any) -> Any:
        return self.nn.interpolate(x, scale_factor=2, mode="nearest")

    def cross_entropy(self, z: Any, y: Any) -> Any:
        return self.nn.cross_entropy(z.reshape(-1, z.shape[-1]), y.reshape(-1))

    def ready(self, model: Model, threads: int) -> Callable[[], Sequence[Any]]:
        self.torch.set_num_threads(threads)
        tensor = self.torch.tensor
        given = {k: tensor(v, requires_grad=True) for k, v in model.parameters.items()}
        data = [tensor(v) for v in model.data]

        def call() -> Sequence[Any]:
            loss = model.build(self, given, *data)
            slopes = self.torch.autograd.grad(loss, list(given.values()))
            return [one.detach() for one in (loss, *slopes)]

        return call


# --- the networks --------------------------------------------------------------------------------


def layer_norm(use: Any, x: Any, scale: Any, shift: Any) -> Any:
    x = use.wide(x)
    d = x - use.mean(x, -1, True)
    return d / use.sqrt(use.mean(d * d, -1, True) + 1e-5) * scale + shift


def batch_norm(use: Any, x: Any, scale: Any, shift: Any) -> Any:
    x = use.wide(x)
    d = x - use.mean(x, (0, 2, 3), True)
    normal = d / use.sqrt(use.mean(d * d, (0, 2, 3), True) + 1e-5)
    return normal * use.reshape(scale, (1, -1, 1, 1)) + use.reshape(shift, (1, -1, 1, 1))


def gpt() -> Model:
    """4 blocks of width 256, 8 heads; 8 texts of 128 of 8,192 words."""
    width, heads, length, batch, words = 256, 8, 128, 8, 8192
    p = {"e": weights(words, width), "at": weights(length, width), "s": ones(width)}
    p["b"] = zeros(width)
    for i in range(4):
        p |= {f"qkv{i}": weights(width, 3 * width), f"o{i}": weights(width, width)}
        p |= {f"u{i}": weights(width, 4 * width), f"d{i}": weights(4 * width, width)}
        p |= {f"{k}{j}{i}": v for j in "12" for k, v in (("s", ones(width)), ("b", zeros(width)))}
    mask = np.where(np.tril(np.ones((length, length), bool)), 0, -1e9).astype("float32")

    def attention(use: Any, x: Any, p: Parameters, i: int, mask: Any) -> Any:
        split = use.reshape(use.product(x, p[f"qkv{i}"]), (-1, length, 3, heads, width // heads))
        q, k, v = (use.transpose(split[:, :, j], (0, 2, 1, 3)) for j in range(3))
        scores = use.wide(use.product(q, use.transpose(k, (0, 1, 3, 2))))
        found = use.product(use.softmax(scores / (width / heads) ** 0.5 + mask), v)
        found = use.reshape(use.transpose(found, (0, 2, 1, 3)), (-1, length, width))
        return use.product(found, p[f"o{i}"])

    def loss(use: Any, p: Parameters, x: Any, y: Any, mask: Any) -> Any:
        h = p["e"][x] + p["at"]
        for i in range(4):
            h = h + attention(use, layer_norm(use, h, p[f"s1{i}"], p[f"b1{i}"]), p, i, mask)
            inner = use.product(layer_norm(use, h, p[f"s2{i}"], p[f"b2{i}"]), p[f"u{i}"])
            h = h + use.product(use.gelu(inner), p[f"d{i}"])
        return use.cross_entropy(
            use.wide(use.product(layer_norm(use, h, p["s"], p["b"]), p["e"].T)), y
        )

    text = RNG.integers(0, words, (2, batch, length))
    return Model(loss, p, (text[0], text[1], mask))


def resnet18() -> Model:
    """16 images of 32 x 32."""
    widths = (64, 128, 256, 512)
    p = {"c": weights(64, 3, 3, 3), "s": ones(64), "b": zeros(64), "out": weights(512, 10)}
    blocks, before = [], 64
    for width in widths:
        for turn in range(2):
            name, stride = f"{width}{turn}", 2 if before != width else 1
            blocks.append((name, stride))
            p |= {f"c1{name}": weights(width, before, 3, 3), f"s1{name}": ones(width)}
            p |= {f"b1{name}": zeros(width), f"c2{name}": weights(width, width, 3, 3)}
            p |= {f"s2{name}": ones(width), f"b2{name}": zeros(width)}
            if stride == 2:
                p[f"past{name}"] = weights(width, before, 1, 1)
            before = width

    def loss(use: Any, p: Parameters, x: Any, y: Any) -> Any:
        h = use.relu(batch_norm(use, use.conv(x, p["c"], 1, 1), p["s"], p["b"]))
        for name, stride in blocks:
            z = use.conv(h, p[f"c1{name}"], stride, 1)
            z = use.relu(batch_norm(use, z, p[f"s1{name}"], p[f"b1{name}"]))
            z = use.conv(z, p[f"c2{name}"], 1, 1)
            z = batch_norm(use, z, p[f"s2{name}"], p[f"b2{name}"])
            h = use.relu(z + (use.conv(h, p[f"past{name}"], 2) if stride == 2 else h))
        return use.cross_entropy(use.wide(use.product(use.mean(h, (2, 3)), p["out"])), y)

    return Model(loss, p, (images(16, 3, 32, 32), RNG.integers(0, 10, 16)))


def unet() -> Model:
    """8 images of 64 x 64, four levels of 16 to 128 channels."""
    widths, p, before = (16, 32, 64, 128), {"out": weights(1, 16, 1, 1)}, 3
    for i, width in enumerate(widths):
        p |= {f"a{i}": weights(width, before, 3, 3), f"b{i}": weights(width, width, 3, 3)}
        before = width
    for i in range(3):
        p[f"u{i}"] = weights(widths[i], widths[i] + widths[i + 1], 3, 3)

    def loss(use: Any, p: Parameters, x: Any, y: Any) -> Any:
        h, kept = x, []
        for i in range(4):
            h = use.pool(h) if i else h
            h = use.relu(use.conv(use.relu(use.conv(h, p[f"a{i}"], 1, 1)), p[f"b{i}"], 1, 1))
            kept.append(h)
        for i in (2, 1, 0):
            h = use.relu(use.conv(use.concat([use.twice(h), kept[i]], 1), p[f"u{i}"], 1, 1))
        d = use.wide(use.conv(h, p["out"])) - y
        return use.mean(d * d, (0, 1, 2, 3))

    return Model(loss, p, (images(8, 3, 64, 64), images(8, 1, 64, 64)))


def mobilenet() -> Model:
    """16 images of 32 x 32; five pairs of a depthwise and a pointwise convolution."""
    pairs = ((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1))
    p = {"c": weights(32, 3, 3, 3), "out": weights(256, 10)}
    for i, (inner, outer, _) in enumerate(pairs):
        p |= {f"d{i}": weights(inner, 1, 3, 3), f"p{i}": weights(outer, inner, 1, 1)}
        p |= {f"s{i}": ones(outer), f"b{i}": zeros(outer)}

    def loss(use: Any, p: Parameters, x: Any, y: Any) -> Any:
        h = use.relu(use.conv(x, p["c"], 1, 1))
        for i, (inner, _, stride) in enumerate(pairs):
            z = use.conv(use.relu(use.conv(h, p[f"d{i}"], stride, 1, inner)), p[f"p{i}"])
            h = use.relu(batch_norm(use, z, p[f"s{i}"], p[f"b{i}"]))
        return use.cross_entropy(use.wide(use.product(use.mean(h, (2, 3)), p["out"])), y)

    return Model(loss, p, (images(16, 3, 32, 32), RNG.integers(0, 10, 16)))


def discriminator() -> Model:
    """32 images of 32 x 32; three convolutions of 4 x 4 with strides of 2."""
    p = {"a": weights(64, 3, 4, 4), "b": weights(128, 64, 4, 4), "c": weights(256, 128, 4, 4)}
    p["out"] = weights(4096, 1)

    def loss(use: Any, p: Parameters, x: Any) -> Any:
        h = x
        for name in "abc":
            z = use.conv(h, p[name], 2, 1)
            h = use.relu(z) - 0.2 * use.relu(-z)
        truth = use.wide(use.product(use.reshape(h, (-1, 4096)), p["out"]))
        return use.mean(use.relu(1 - truth), (0, 1))

    return Model(loss, p, (images(32, 3, 32, 32),))


NETWORKS = {one.__name__: one for one in (gpt, resnet18, unet, mobilenet, discriminator)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32", help="of products: float32 or bfloat16")
    parser.add_argument("--any-batch", action="store_true", help="graphc does not know its size")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each candidate")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NETWORKS))
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    libraries: dict[str, Any] = {"graphc": Graphc()}
    libraries |= {kind.__name__.lower(): kind() for kind in (Jax, Torch) if installed(kind)}
    Library.dtype, Graphc.any_batch = options.dtype, options.any_batch
    for name in options.names or NETWORKS:
        print(measured(name, NETWORKS[name](), libraries, options.threads, options.seconds))


def installed(kind: type) -> bool:
    return find_spec(kind.__name__.lower()) is not None


def measured(
    name: str, model: Model, libraries: Mapping[str, Any], threads: int, seconds: float
) -> str:
    """One row: milliseconds of a call, and of the first one, and ratios."""
    calls, firsts, results = {}, {}, {}
    for library, use in libraries.items():
        start = time.perf_counter()
        calls[library] = use.ready(model, threads)
        results[library] = [np.asarray(one) for one in calls[library]()]
        firsts[library] = time.perf_counter() - start
    for library, found in results.items():
        for one, other in zip(found, results["graphc"], strict=True):
            apart = np.abs(one - other).max() / (np.abs(other).max() + 1e-12)
            if apart > LIMITS[Library.dtype]:
                print(f"{name}: {library} differs from graphc by {apart:.2g}")
    times: dict[str, list[float]] = {library: [] for library in calls}
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end:
        for library, call in calls.items():
            start = time.perf_counter()
            call()
            times[library].append(time.perf_counter() - start)
    middle = {library: float(np.median(found)) for library, found in times.items()}
    row = [
        f"{library} {middle[library] * 1e3:.1f} ms (first {firsts[library] * 1e3:.0f})"
        for library in calls
    ]
    row += [
        f"/ {other} {middle['graphc'] / middle[other]:.2f}" for other in calls if other != "graphc"
    ]
    return f"{name:14} " + "  ".join(row)


if __name__ == "__main__":
    main()
