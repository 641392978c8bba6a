"""Convolutions and their gradients beside numpy (windows and one matrix product) and PyTorch.

python benchmarks/convolution.py [nchw|nhwc] [N] ...      N: only the layers with these numbers
python benchmarks/convolution.py chains [N] ...           what stands behind convolutions, with them

One thread, float32, the same operands, calls in turns, the least processor time of many. For each
layer: the forward pass, the gradient by the input and the gradient by the filter, in milliseconds,
with GFLOP/s of ours, and the seconds that compiling ours took. PyTorch is measured where it is
installed. Above that the speed of numpy's matrix product, which is the ceiling.

Chains are bias and relu, a scale and shift for each channel with a residual and relu, and bias,
relu and max pooling: alone, and with the gradients by the filter and the bias.
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import graphc as gc

try:
    import torch
except ImportError:
    torch = None

Call = Callable[[], object]
LIMIT = 0.6  # seconds for each kind of call
KINDS = ("forward", "by input", "by filter")


@dataclass(frozen=True)
class Layer:
    """Images [n, inner, size, size], filters [outer, inner / groups, kernel, kernel]."""

    n: int
    inner: int
    size: int
    outer: int
    kernel: int
    stride: int = 1
    pad: int = 0
    groups: int = 1

    @property
    def count(self) -> int:
        return (self.size + 2 * self.pad - self.kernel) // self.stride + 1

    @property
    def operations(self) -> int:
        each = self.inner // self.groups * self.kernel**2
        return 2 * self.n * self.outer * self.count**2 * each

    def __str__(self) -> str:
        text = f"{self.n}x{self.inner}x{self.size}x{self.size}"
        text += f" {self.outer} {self.kernel}x{self.kernel}"
        text += f" stride {self.stride}" if self.stride > 1 else ""
        return text + (f" groups {self.groups}" if self.groups > 1 else "")


LAYERS = [
    Layer(8, 64, 56, 64, 3, pad=1),
    Layer(8, 128, 28, 128, 3, pad=1),
    Layer(8, 256, 14, 256, 3, pad=1),
    Layer(8, 512, 7, 512, 3, pad=1),
    Layer(8, 64, 56, 128, 3, stride=2, pad=1),
    Layer(8, 3, 112, 64, 7, stride=2, pad=3),
    Layer(8, 64, 56, 256, 1),
    Layer(32, 64, 32, 64, 3, pad=1),
    Layer(64, 1, 28, 20, 5),
    Layer(64, 20, 12, 50, 5),
    Layer(8, 64, 56, 64, 3, pad=1, groups=64),
    Layer(3, 37, 41, 43, 3, pad=1),
]


def ours(
    layer: Layer, x: np.ndarray, w: np.ndarray, g: np.ndarray, layout: str
) -> tuple[list[Call], float]:
    if layout == "nhwc":
        x, w, g = np.moveaxis(x, 1, -1), np.moveaxis(w, (0, 1), (-1, -2)), np.moveaxis(g, 1, -1)
    arrays = [np.ascontiguousarray(array) for array in (x, w, g)]
    inputs = [gc.placeholder(name, a.shape) for name, a in zip("xwg", arrays, strict=True)]
    out = gc.nn.conv2d(
        *inputs[:2],
        stride=layer.stride,
        padding=layer.pad,
        groups=layer.groups,
        layout=layout.upper(),
    )
    by_x, by_w = gc.grad(gc.sum(out * inputs[2]), inputs[:2])
    start = time.thread_time()
    calls: list[Call] = []
    for result, used in ((out, (0, 1)), (by_x, (1, 2)), (by_w, (0, 2))):
        f = gc.function([inputs[i] for i in used], result, threads=1, cache=False)
        calls.append(lambda f=f, a=[arrays[i] for i in used]: f(*a))  # type: ignore[misc]
    return calls, time.thread_time() - start


def numpys(layer: Layer, x: np.ndarray, w: np.ndarray, g: np.ndarray) -> list[Call]:
    """Windows of the padded images as columns, and one product for each image."""
    pad, stride, k = layer.pad, layer.stride, layer.kernel
    groups, count = layer.groups, layer.count
    rows = w.reshape(groups, layer.outer // groups, -1)

    def columns() -> np.ndarray:
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        seen = np.lib.stride_tricks.sliding_window_view(padded, (k, k), (2, 3))
        seen = seen[:, :, ::stride, ::stride].transpose(0, 1, 4, 5, 2, 3)
        return np.ascontiguousarray(seen).reshape(layer.n, groups, rows.shape[2], -1)

    def by_input() -> np.ndarray:
        given = g.reshape(layer.n, groups, -1, count * count)
        spread = (rows.transpose(0, 2, 1) @ given).reshape(layer.n, layer.inner, k, k, count, count)
        size = layer.size + 2 * pad
        out = np.zeros((layer.n, layer.inner, size, size), x.dtype)
        reach = (count - 1) * stride + 1
        for p in range(k):
            for q in range(k):
                out[:, :, p : p + reach : stride, q : q + reach : stride] += spread[:, :, p, q]
        return out[:, :, pad : pad + layer.size, pad : pad + layer.size]

    def by_filter() -> np.ndarray:
        given = g.reshape(layer.n, groups, -1, count * count)
        return (given @ columns().swapaxes(-1, -2)).sum(axis=0)  # type: ignore[no-any-return]

    return [lambda: rows @ columns(), by_input, by_filter]


def torchs(layer: Layer, x: np.ndarray, w: np.ndarray, g: np.ndarray, layout: str) -> list[Call]:
    torch.set_num_threads(1)
    order = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    a, b, c = (torch.from_numpy(array).contiguous(memory_format=order) for array in (x, w, g))
    sizes = ([layer.stride] * 2, [layer.pad] * 2, [1, 1], False, [0, 0], layer.groups)

    def backward(*mask: bool) -> object:
        return torch.ops.aten.convolution_backward(c, a, b, None, *sizes, [*mask, False])

    forward = lambda: torch.nn.functional.conv2d(  # noqa: E731
        a, b, stride=layer.stride, padding=layer.pad, groups=layer.groups
    )
    return [forward, lambda: backward(True, False), lambda: backward(False, True)]


def least(calls: Sequence[Call]) -> list[float]:
    """The least time of each, called in turns."""
    best = [math.inf] * len(calls)
    for call in calls:
        call()
    end = time.thread_time() + LIMIT * len(calls)
    while time.thread_time() < end:
        for number, call in enumerate(calls):
            start = time.thread_time()
            call()
            best[number] = min(best[number], time.thread_time() - start)
    return best


def ceiling() -> float:
    a = np.ones((512, 512), "float32")
    return 2e-9 * 512**3 / least([lambda: a @ a])[0]


def measure(layer: Layer, layout: str) -> list[float]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(layer.n, layer.inner, layer.size, layer.size)).astype("float32")
    shape = (layer.outer, layer.inner // layer.groups, layer.kernel, layer.kernel)
    w = rng.normal(size=shape).astype("float32")
    g = rng.normal(size=(layer.n, layer.outer, layer.count, layer.count)).astype("float32")
    own, seconds = ours(layer, x, w, g, layout)
    others = [numpys(layer, x, w, g)]
    if torch is not None:
        others.append(torchs(layer, x, w, g, layout))
    ratios = []
    print(f"{layer}    {layout}, compiled in {seconds:.2f} s")
    for number, kind in enumerate(KINDS):
        times = least([own[number], *(calls[number] for calls in others)])
        ratios.append(times[0] / min(times[1:]))
        rate = 1e-9 * layer.operations / times[0]
        shown = "".join(f"{1e3 * t:10.2f}" for t in times)
        print(f"    {kind:10}{rate:7.1f}{shown}{ratios[-1]:8.2f}", flush=True)
    return ratios


def chain_of(kind: str, x: Any, w: Any, b: Any, pad: int, lib: Any) -> Any:
    """lib: graphc's functions or PyTorch's, which have the same names here."""
    out = lib.conv2d(x, w, padding=pad)
    if kind == "bias relu":
        return lib.relu(out + b[:, None, None])
    if kind == "affine residual relu":
        return lib.relu(out * b[:, None, None] + b[:, None, None] + x[:, :1])
    pool = lib.max_pool2d if hasattr(lib, "max_pool2d") else lib.max_pool
    return pool(lib.relu(out + b[:, None, None]), 2)


def chain(layer: Layer, kind: str) -> None:
    rng = np.random.default_rng(0)
    shapes = [(layer.n, layer.inner, layer.size, layer.size)]
    shapes += [(layer.outer, layer.inner, layer.kernel, layer.kernel), (layer.outer,)]
    arrays = [rng.normal(size=shape).astype("float32") for shape in shapes]
    inputs = [gc.placeholder(name, a.shape) for name, a in zip("xwb", arrays, strict=True)]
    out = chain_of(kind, *inputs, layer.pad, gc.nn)
    gradients = gc.grad(gc.sum(out), inputs[1:])
    own = [gc.function(inputs, r, threads=1, cache=False) for r in (out, gradients)]
    calls: list[list[Call]] = [[lambda f=f: f(*arrays)] for f in own]  # type: ignore[misc]
    if torch is not None:
        torch.set_num_threads(1)
        given = [torch.from_numpy(a) for a in arrays]
        leaves = [given[0], *(t.clone().requires_grad_() for t in given[1:])]
        functions = torch.nn.functional
        calls[0].append(lambda: chain_of(kind, *given, layer.pad, functions))
        calls[1].append(
            lambda: torch.autograd.grad(
                chain_of(kind, *leaves, layer.pad, functions).sum(), leaves[1:]
            )
        )
    for name, both in zip(("forward", "gradients"), calls, strict=True):
        times = least(both)
        shown = "".join(f"{1e3 * t:10.2f}" for t in times)
        ratio = f"{times[0] / times[1]:8.2f}" if len(times) > 1 else ""
        print(f"{layer!s:34}{kind:22}{name:10}{shown}{ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="as above")
    words = parser.parse_args().words
    if "chains" in words:
        numbers = [int(word) for word in words if word.isdigit()] or [0, 2, 7, 8, 9, 11]
        print("milliseconds: graphc, PyTorch, and the ratio")
        for number in numbers:
            layer = LAYERS[number]
            kinds = ["bias relu", "bias relu pool"]
            if layer.stride == 1 and layer.count == layer.size:
                kinds.append("affine residual relu")
            for kind in kinds:
                chain(layer, kind)
        return
    chosen = [int(word) for word in words if word.isdigit()] or range(len(LAYERS))
    layouts = [word for word in words if word in ("nchw", "nhwc")] or ["nchw"]
    print(f"matrix product of numpy: {ceiling():.0f} GFLOP/s")
    names = "    graphc     numpy" + ("     torch" if torch is not None else "")
    print(f"    {'':10}GFLOP/s{names}   ratio to the best other")
    ratios = [r for layout in layouts for n in chosen for r in measure(LAYERS[n], layout)]
    print(f"geometric mean of the ratios {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}")


if __name__ == "__main__":
    main()
