"""More cases for guard pages: what is stored with a product or a convolution, strips, lanes.

Kernels that passes make of several steps, at the sizes around their tiles, blocks and strips.
"""

from collections.abc import Iterator
from typing import Any

import graphc as gc
from tests.guarded_cases import EDGES, Case, along

STRIPS = (0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 511, 513, 1031)  # 128 floats are a strip
AROUND = (0, 1, 5, 6, 7, 15, 16, 17, 33, 49, 65)
IMAGES = [
    {"p": p, "h": h, "w": w}
    for p, h, w in ((0, 5, 5), (1, 3, 3), (1, 5, 7), (2, 8, 9), (1, 17, 16), (3, 9, 31))
]


def finished(x: Any, y: Any, w: Any, b: Any, s: Any) -> list[Any]:
    """Work on the sums of a product while they are in registers, or behind blocks of rows."""
    found = [w - s * (x @ y), gc.nn.relu(x @ y + b), (x @ y) * (1 - w * w)]
    found += [x @ y * gc.expand_dims(w[:, 0], 1), gc.tanh(x @ y + b), gc.erf(y.T @ x.T) * w.T]
    return [*found, gc.softmax(x @ y + b, axis=1), gc.sum((x @ y) ** 2, axis=0)]


def layers(x: Any, w: Any, b: Any, u: Any, d: Any) -> list[Any]:
    """A step of two layers with other activations, and new weights."""
    h = gc.nn.gelu(x @ w + b)
    y = gc.sigmoid(h @ u)
    cost = gc.mean((y - d) ** 2) + 0.01 * gc.sum(w * w)
    news = [p - 0.1 * g for p, g in zip((w, b, u), gc.grad(cost, [w, b, u]), strict=True)]
    return [cost, *news]


def adam(w: Any, g: Any, m: Any, v: Any, t: Any) -> list[Any]:
    m, v = 0.9 * m + 0.1 * g, 0.999 * gc.abs(v) + 0.001 * g * g
    rate = 1e-2 * gc.sqrt(1 - 0.999 ** (t + 4)) / (1 - 0.9 ** (t + 4))
    return [w - rate * m / (gc.sqrt(v) + 1e-8), m, v]


def neighbours(x: Any, y: Any) -> list[Any]:
    """Three and four elements of each lane side by side."""
    a, b, c = (x[:, k] for k in range(3))
    return [gc.cross(x, y), gc.stack([a, b, c, a * b], axis=-1), x[:, ::-1] * y, gc.sort(x)]


def small_products(x: Any, y: Any, z: Any, w: Any) -> list[Any]:
    """Of many matrices of known sizes, in all layouts."""
    return [x @ y, x @ z.mT, w.mT @ y, w.mT @ z.mT]


def ordered(x: Any, y: Any) -> list[Any]:
    """Rows in lanes, across and down; a few of them, and where they stood."""
    down = gc.argsort(y, axis=1, descending=True)
    few = [*gc.top_k(x, 3), *gc.top_k(x, 11, largest=False), *gc.top_k(y, 2, axis=1)]
    return [gc.sort(x), gc.argsort(-x), gc.sort(y, axis=1), down, *few]


def strips(x: Any, y: Any) -> list[Any]:
    """Long chains, cut into stages over a strip; reversed and shifted reads among them."""
    low, high = gc.log(gc.abs(x) + 0.25) / gc.sqrt(gc.abs(y) + 0.1), gc.exp(-y)
    long = gc.tanh(gc.log1p(gc.abs(x)) - gc.erf(y))
    found = [x * gc.erf(low) - high * gc.erf(low - y), gc.where(x < y, long, gc.floor(y))]
    found += [gc.sum(gc.erf(gc.tanh(x) * gc.exp(-y * y))), gc.flip(gc.tanh(gc.erf(x)))]
    return [*found, gc.astype(gc.tanh(gc.erf(x) + gc.exp(y)), "float16"), gc.sin(x * 1e6)]


def joined(i: Any, x: Any, y: Any, r: Any, t: Any) -> list[Any]:
    """Sums that scatter along the same indices, of numbers and of rows."""
    zeros = t[:, 0] * 0
    found = [zeros.at[i].add(x), zeros.at[i].add(y * x), (zeros + 1).at[i].add(gc.sin(y))]
    found += [t.at[i].add(r), t.at[i].max(r), t.at[i[::-1]].set(r)]
    found += [zeros.at[i].add(1), t.at[i].max(0), gc.scatter_add(i, gc.ones(i.shape), 0, 7)]
    return [*found, gc.grad(gc.sum(t[i] * r), t)]


def short_rows(x: Any, y: Any, w: Any) -> list[Any]:
    """Rows of a known few elements, side by side in lanes."""
    found = [gc.sum(x * x, axis=1), gc.softmax(y, axis=1), gc.max(x, axis=1) - x[:, 3]]
    found += [x @ w[:9], gc.sum(gc.exp(y) * y, axis=1), gc.argmax(x, axis=1)]
    return [*found, gc.grad(gc.sum(gc.logsumexp(x, axis=1) ** 2), x)]


def blocks_of_rows(x: Any, y: Any, g: Any) -> list[Any]:
    """Rows of a known number of elements, pass after pass over some rows at a time."""
    found = [gc.softmax(x, axis=1), gc.nn.log_softmax(y, axis=1), gc.logsumexp(x, axis=1)]
    d = x - gc.mean(x, axis=1, keepdims=True)
    normal = d / gc.sqrt(gc.mean(d * d, axis=1, keepdims=True) + 1e-5) * g
    return [*found, normal, *gc.grad(gc.sum(normal * gc.softmax(x, axis=1)), [x, g])]


def convolved(x: Any, w: Any, b: Any, r: Any) -> list[Any]:
    """What is stored once with a convolution: bias, activation, residual, another order."""
    each = b[:, None, None]
    same = gc.nn.conv2d(x, w, padding="same")
    chain = gc.nn.relu(same * each + each + r)
    moved = gc.reshape(same * r, (x.shape[0], w.shape[0], -1)) + b[:, None]
    last = gc.tanh(gc.nn.conv2d(gc.moveaxis(x, 1, -1), gc.permute_dims(w, (2, 3, 1, 0)),
                                layout="NHWC", padding="same") + b)  # fmt: skip
    strided = gc.nn.conv2d(x, w, stride=2, padding="same") + each
    cost = gc.sum(chain * chain) + gc.sum(strided * strided)
    return [chain, moved, last, strided, *gc.grad(cost, [x, w, b])]


def normalised(x: Any, w: Any, b: Any) -> list[Any]:
    """Statistics of a batch behind a convolution, and their gradients."""
    y = gc.nn.conv2d(x, w, padding=1)
    mean = gc.mean(y, axis=(0, 2, 3), keepdims=True)
    scale = gc.rsqrt(gc.mean((y - mean) ** 2, axis=(0, 2, 3), keepdims=True) + 1e-3)
    out = gc.nn.relu((y - mean) * scale + b[:, None, None])
    return [out, *gc.grad(gc.sum(out * gc.sin(out)), [x, w, b])]


def depthwise(x: Any, w: Any, b: Any) -> list[Any]:
    y = gc.nn.relu(gc.nn.depthwise_conv2d(x, w, padding="same") + b[:, None, None])
    z = gc.nn.depthwise_conv2d(x, w, stride=2)
    return [y, z, *gc.grad(gc.sum(y * y) + gc.sum(z), [x, w])]


def pools(x: Any) -> list[Any]:
    """Windows that overlap, in one and in two axes, and their gradients."""
    ways = [gc.nn.max_pool(x, (3, 3), stride=2, padding="same"), gc.nn.max_pool(x, 2, stride=1)]
    ways += [gc.nn.average_pool(x, (3, 3), stride=2), gc.nn.max_pool(x, (1, 3), stride=(1, 2))]
    ways += [gc.nn.max_pool(x, (3, 2), stride=(2, 3), padding="same")]
    return [*ways, *(gc.grad(gc.sum(y * gc.sin(y)), x) for y in ways)]


def searched(x: Any, y: Any) -> list[Any]:
    """Tiles of values searched for in a row, and what is picked by what was found."""
    x = gc.sort(x)
    found = [gc.searchsorted(x, y), gc.searchsorted(x, y, side="right"), gc.digitize(y, x)]
    return [*found, gc.interp(y, gc.sort(gc.concat([x, y])), gc.concat([y, x]))]


def elementwise_inputs(dtype: str) -> list[Any]:
    return [("x", ("m",), dtype), ("y", ("m",), dtype)]


def transformed(x: Any) -> list[Any]:
    spectrum = gc.fft.rfft(x, axis=1)
    whole = gc.fft.fft(x * (1 + 2j), axis=1)
    return [gc.real(whole), gc.imag(whole), gc.fft.irfft(spectrum * 2, n=x.shape[1], axis=1)]


def more_cases() -> Iterator[tuple[str, Case]]:
    for dtype in ("float32", "float64"):
        of_products: list[tuple[str, tuple[Any, ...]]] = [("x", ("m", "k")), ("y", ("k", "n"))]
        of_products += [("w", ("m", "n")), ("b", ("n",)), ("s", ())]
        sizes = [s for s in along("m", "n", "k", values=AROUND) if s["n"]]
        yield (
            f"finished products {dtype}",
            Case(
                [(name, shape, dtype) for name, shape in of_products],
                finished,
                [*sizes, {"m": 97, "n": 131, "k": 259}, {"m": 6, "n": 48, "k": 600}],
            ),
        )
        yield (
            f"strips {dtype}",
            Case(elementwise_inputs(dtype), strips, [{"m": m} for m in STRIPS]),
        )
        tiles = [
            {"m": m, "n": n} for m, n in ((1, 255), (31, 256), (257, 257), (1000, 513), (2, 1))
        ]
        yield (
            f"searches {dtype}",
            Case([("x", ("m",), dtype), ("y", ("n",), dtype)], searched, tiles),
        )
        parts: list[tuple[str, tuple[Any, ...]]] = [("w", ("m", "n")), ("g", ("m", "n"))]
        parts += [("a", ("m", "n")), ("v", ("m", "n")), ("t", ())]
        yield (
            f"adam {dtype}",
            Case([(name, shape, dtype) for name, shape in parts], adam, along("m", "n")),
        )
    shapes = {"x": ("m", "n"), "w": ("n", "k"), "b": ("k",), "u": ("k", "c"), "d": ("m", "c")}
    yield (
        "steps of layers",
        Case(
            [(name, shape, "float32") for name, shape in shapes.items()],
            layers,
            [s for s in along("m", "n", "k", "c", values=EDGES[1:]) if s["m"] and s["c"]],
        ),
    )
    yield (
        "scatters",
        Case(
            [
                ("i", ("m",), "int64"),
                *((name, ("m",), "float64") for name in "xy"),
                *(("r", ("m", "n"), "float64"), ("t", (7, "n"), "float64")),
            ],
            joined,
            [s for s in along("m", "n") if s["n"]],
        ),
    )
    for dtype in ("float32", "float64", "float16"):
        yield (
            f"short rows {dtype}",
            Case(
                [("x", ("m", 9), dtype), ("y", ("m", 5), dtype), ("w", (11,), dtype)],
                short_rows,
                along("m"),
            ),
        )
    for dtype in ("float32", "float64"):
        yield (
            f"blocks of rows {dtype}",
            Case(
                [("x", ("m", 37), dtype), ("y", ("m", 13), dtype), ("g", (37,), dtype)],
                blocks_of_rows,
                along("m"),
            ),
        )
    for channels in (5, 16, 33):
        yield (
            f"convolution and what follows, {channels} channels",
            Case(
                [
                    *(("x", ("p", 3, "h", "w"), "float32"), ("k", (channels, 3, 3, 3), "float32")),
                    ("b", (channels,), "float32"),
                    ("r", ("p", channels, "h", "w"), "float32"),
                ],
                convolved,
                IMAGES,
            ),
        )
    for size in ((15, 13), (6, 123)):
        shape = ("p", 17, *size)
        arrays = [("x", shape, "float32"), ("k", (19, 17, 3, 3), "float32")]
        both = [*arrays, ("b", (19,), "float32"), ("r", ("p", 19, *size), "float32")]
        yield f"filtered convolution of {size}", Case(both, convolved, along("p"))
        yield f"filtered batches of {size}", Case(both[:3], normalised, along("p"))
    yield (
        "normalised batches",
        Case(
            [
                *(("x", ("p", 4, "h", "w"), "float32"), ("k", (16, 4, 3, 3), "float32")),
                ("b", (16,), "float32"),
            ],
            normalised,
            IMAGES[1:],
        ),
    )
    yield (
        "depthwise convolution",
        Case(
            [
                *(("x", ("p", 6, "h", "w"), "float32"), ("k", (6, 1, 3, 3), "float32")),
                ("b", (6,), "float32"),
            ],
            depthwise,
            IMAGES,
        ),
    )
    for dtype in ("float32", "float64"):
        yield f"overlapping pools {dtype}", Case([("x", ("p", 3, "h", "w"), dtype)], pools, IMAGES)
    for points, dtype in ((12, "float32"), (35, "float64"), (100, "float32"), (300, "float32")):
        inputs = [("x", ("p", points, "h"), dtype)]
        yield f"transforms of {points}", Case(inputs, transformed, along("p", "h"))
    for dtype in ("float32", "float64", "int8"):
        vectors = [(name, ("p", 3), dtype) for name in "xy"]
        yield f"points {dtype}", Case(vectors, neighbours, along("p"))
    for m, k, n in ((3, 5, 9), (13, 12, 17), (9, 6, 33)):
        pairs = zip("xyzw", ((m, k), (k, n), (n, k), (k, m)), strict=True)
        given = [(name, ("p", *pair), "float32") for name, pair in pairs]
        yield f"products {m} x {k} x {n}", Case(given, small_products, along("p"))
    for dtype, length in (("float32", 17), ("float32", 41), ("float64", 33), ("int16", 20)):
        across, down = ("x", ("m", length), dtype), ("y", (2, length, "n"), dtype)
        yield f"rows of {length} in order, {dtype}", Case([across, down], ordered, along("m", "n"))
