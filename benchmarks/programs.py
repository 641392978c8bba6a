"""Programs as people write them, each in one text for graphc and for JAX: run time and compilation.

taskset -c 0 python benchmarks/programs.py [--threads 1] [name ...]

Every program is a function of arrays that ends in a number. Measured are the value, value and
gradients by all float arrays, and the cold compilation of the latter, up to the first result.
Candidates take turns, medians; values and gradients are compared. Without JAX installed graphc's
times stand alone. JAX takes as many threads as it may run on: hence `taskset`.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

import graphc as gc

SECONDS = 0.3  # for each candidate
RNG = np.random.default_rng(0)
Function = Callable[..., Any]


class Library(NamedTuple):
    """What the programs call by different names: array functions, and those below."""

    array: Any
    scan: Function
    segment_sum: Function
    logsumexp: Function
    softplus: Function
    gammaln: Function
    log_ndtr: Function


class Program(NamedTuple):
    build: Callable[[Library], Function]
    arrays: Sequence[np.ndarray]


PROGRAMS: dict[str, Program] = {}


def program(*arrays: Any) -> Callable[[Callable[[Library], Function]], None]:
    def known(build: Callable[[Library], Function]) -> None:
        PROGRAMS[build.__name__] = Program(build, [np.asarray(array) for array in arrays])

    return known


def normal(*shape: int, scale: float = 0.5) -> np.ndarray:
    return (RNG.normal(size=shape) * scale).astype("float32")


def whole(limit: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, limit, shape)


# --- fits and likelihoods ------------------------------------------------------------------------


@program(normal(5000, 8), normal(16, 8), normal(16, 8))
def gaussian_mixture(use: Library) -> Function:
    xp = use.array

    def step(x: Any, means: Any, scales: Any) -> Any:
        d = (x[:, None, :] - means[None]) * xp.exp(-scales)[None]
        logs = -0.5 * xp.sum(d * d, axis=-1) - xp.sum(scales, axis=-1)[None]
        share = xp.exp(logs - use.logsumexp(logs, axis=1)[:, None])
        count = xp.sum(share, axis=0)
        new = (share.T @ x) / count[:, None]
        return xp.sum(new * new) + xp.sum((share.T @ (x * x)) / count[:, None] - new * new)

    return step


@program(normal(300, 200), normal(300, 20), normal(20, 200))
def matrix_factors(use: Library) -> Function:
    xp = use.array

    def fit(v: Any, w: Any, h: Any) -> Any:
        v, w, h = v * v, w * w, h * h
        for _ in range(3):
            h = h * (w.T @ v) / ((w.T @ w) @ h + 1e-6)
            w = w * (v @ h.T) / (w @ (h @ h.T) + 1e-6)
        return xp.sum((v - w @ h) ** 2)

    return fit


@program(normal(2000, 32), normal(1000, 32), normal(20000), whole(2000, 20000), whole(1000, 20000))
def ratings(use: Library) -> Function:
    xp = use.array
    return lambda u, v, r, i, j: xp.mean((r - xp.sum(u[i] * v[j], axis=1)) ** 2)


@program(normal(5000, 64), normal(5000, 64), whole(5000, 512), whole(5000, 512, 10))
def word_vectors(use: Library) -> Function:
    xp = use.array

    def loss(e: Any, c: Any, i: Any, j: Any) -> Any:
        near = xp.sum(e[i] * c[i], axis=1)
        far = xp.einsum("bd,bkd->bk", e[i], c[j])
        return xp.mean(use.softplus(-near)) + xp.mean(xp.sum(use.softplus(far), axis=1))

    return loss


@program(normal(1000, 32), normal(32, 64), whole(1000, 8000), whole(1000, 8000))
def graph_convolution(use: Library) -> Function:
    xp = use.array

    def energy(x: Any, w: Any, start: Any, end: Any) -> Any:
        h = xp.maximum(x @ w, 0)
        return xp.sum(use.segment_sum(h[start], end, 1000) ** 2)

    return energy


@program(normal(200), normal(200), np.float32(1))
def gaussian_process(use: Library) -> Function:
    xp = use.array

    def loss(x: Any, y: Any, width: Any) -> Any:
        d = x[:, None] - x[None, :]
        k = xp.exp(-d * d / (2 * width * width)) + 0.1 * xp.eye(200, dtype="float32")
        logs = xp.log(xp.linalg.diagonal(xp.linalg.cholesky(k)))
        return xp.sum(y * xp.linalg.solve(k, y)) / 2 + xp.sum(logs)

    return loss


@program(normal(1000, 4, 4), normal(1000, 4))
def small_covariances(use: Library) -> Function:
    """Normal numbers, each with a covariance of its own."""
    xp = use.array

    def loss(a: Any, x: Any) -> Any:
        covariance = a @ a.mT + xp.eye(4, dtype="float32")
        lower = xp.linalg.cholesky(covariance)
        white = xp.linalg.solve(covariance, x[:, :, None])
        heights = xp.log(xp.linalg.diagonal(lower))
        return 0.5 * xp.sum(x * white[:, :, 0]) + xp.sum(heights)

    return loss


@program(np.abs(normal(20000)) + 0.2, np.abs(normal(20000)) + 0.5, normal(20000))
def counts_and_thresholds(use: Library) -> Function:
    """Negative binomial and probit terms: gammaln, and the normal distribution function."""
    gammaln, log_ndtr = use.gammaln, use.log_ndtr
    xp = use.array

    def loss(y: Any, r: Any, z: Any) -> Any:
        counts = gammaln(y + r) - gammaln(r) - gammaln(y + 1) + r * xp.log(r / (r + 1))
        return -xp.sum(counts) - xp.sum(log_ndtr(z))

    return loss


@program(normal(256, 64), normal(256, 64))
def contrast(use: Library) -> Function:
    xp = use.array

    def loss(a: Any, b: Any) -> Any:
        a = a / xp.sqrt(xp.sum(a * a, axis=1, keepdims=True))
        b = b / xp.sqrt(xp.sum(b * b, axis=1, keepdims=True))
        s, d = a @ b.T / 0.1, xp.sum(a * b, axis=1) / 0.1
        return xp.mean(use.logsumexp(s, axis=1) - d) + xp.mean(use.logsumexp(s, axis=0) - d)

    return loss


@program(normal(128, 128))
def median_filter(use: Library) -> Function:
    """An image without speckles: the median of each 3 x 3 neighbours."""
    xp = use.array

    def loss(x: Any) -> Any:
        places = [(i, j) for i in range(3) for j in range(3)]
        near = [x[i : i + 126, j : j + 126] for i, j in places]
        return xp.sum((xp.median(xp.stack(near), axis=0) - x[1:-1, 1:-1]) ** 2)

    return loss


# --- loops ---------------------------------------------------------------------------------------


@program(normal(500, 24), normal(32), normal(32, 24), normal(32, 32, scale=0.1))
def vector_network(use: Library) -> Function:
    xp = use.array

    def energy(x: Any, h: Any, w: Any, u: Any) -> Any:
        return xp.sum(use.scan(lambda h, e: (xp.tanh(u @ h + w @ e), h), h, x)[1])

    return energy


@program(normal(200, 100), normal(200), normal(100))
def sparse_regression(use: Library) -> Function:
    xp = use.array

    def fitted(a: Any, b: Any, x: Any) -> Any:
        def step(x: Any, _: None) -> tuple[Any, None]:
            z = x - 0.001 * (a.T @ (a @ x - b))
            return xp.sign(z) * xp.maximum(xp.abs(z) - 0.01, 0), None

        x, _ = use.scan(step, x, None, length=50)
        return xp.sum(x * x)

    return fitted


@program(normal(2000), np.float32(0.3), np.float32(0.3), np.float32(0.8))
def volatility(use: Library) -> Function:
    xp = use.array

    def likelihood(r: Any, w: Any, a: Any, b: Any) -> Any:
        def step(s: Any, x: Any) -> tuple[Any, Any]:
            s = w * w + a * a * x * x + b * b * s
            return s, xp.log(s) + x * x / s

        return xp.sum(use.scan(step, r[0] * r[0] + 0.1, r)[1])

    return likelihood


@program(normal(40, 32, 20), normal(20, 20), normal(32, 20))
def tag_sequences(use: Library) -> Function:
    xp = use.array

    def score(emitted: Any, turn: Any, start: Any) -> Any:
        def step(a: Any, e: Any) -> tuple[Any, None]:
            return use.logsumexp(a[:, :, None] + turn[None], axis=1) + e, None

        return xp.sum(use.logsumexp(use.scan(step, start, emitted)[0], axis=1))

    return score


@program(np.abs(normal(100, 100)), normal(100))
def transport(use: Library) -> Function:
    xp = use.array

    def potential(c: Any, a: Any) -> Any:
        def step(u: Any, _: None) -> tuple[Any, None]:
            v = -use.logsumexp(u[:, None] - c, axis=0)
            return a - use.logsumexp(v[None] - c, axis=1), None

        u, _ = use.scan(step, xp.zeros_like(a), None, length=30)
        return xp.sum(u * u)

    return potential


@program(normal(64, 64), normal(64, 64))
def waves(use: Library) -> Function:
    xp = use.array

    def energy(u: Any, v: Any) -> Any:
        def step(state: Any, _: None) -> tuple[Any, None]:
            u, v = state
            around = [xp.roll(u, shift, axis=axis) for shift in (1, -1) for axis in (0, 1)]
            v = v + 0.1 * (around[0] + around[1] + around[2] + around[3] - 4 * u)
            return (u + 0.1 * v, v), None

        (u, _), _ = use.scan(step, (u, v), None, length=100)
        return xp.sum(u * u)

    return energy


@program(normal(8, 16), normal(16, 1), normal(100, 32, 8), normal(100, 32, 1))
def training_in_a_loop(use: Library) -> Function:
    xp = use.array

    def last_loss(w: Any, v: Any, xs: Any, ys: Any) -> Any:
        def step(state: Any, batch: Any) -> tuple[Any, Any]:
            w, v = state
            x, y = batch
            h = xp.tanh(x @ w)
            e = (h @ v - y) / 32
            d = (e @ v.T) * (1 - h * h)
            return (w - 0.1 * x.T @ d, v - 0.1 * h.T @ e), xp.sum(e * e)

        return use.scan(step, (w, v), (xs, ys))[1][-1]

    return last_loss


# --- spectra -------------------------------------------------------------------------------------


@program(normal(256))
def chaotic_flames(use: Library) -> Function:
    """Kuramoto-Sivashinsky on a ring, by spectra."""
    xp = use.array
    k = (np.arange(129) * 0.1).astype("float32")
    decay = np.exp(0.01 * (k * k - 0.5 * k**4)).astype("float32")

    def energy(u: Any) -> Any:
        def step(v: Any, _: None) -> tuple[Any, None]:
            u = xp.fft.irfft(v, n=256)
            return decay * (v - 0.005j * k * xp.fft.rfft(u * u)), None

        v, _ = use.scan(step, xp.fft.rfft(u), None, length=200)
        return xp.sum(xp.fft.irfft(v, n=256) ** 2)

    return energy


@program(normal(8, 32, 32), normal(12, 12), normal(12, 12))
def spectral_layer(use: Library) -> Function:
    xp = use.array

    def energy(x: Any, real: Any, imag: Any) -> Any:
        low = xp.fft.rfftn(x, axes=(1, 2))[:, :12, :12]
        return xp.sum(xp.abs(low * (real + 1j * imag)) ** 2)

    return energy


# --- measuring -----------------------------------------------------------------------------------


def in_graphc(which: Program, threads: int) -> tuple[Function, Callable[[], Function]]:
    """The value, and what compiles value and gradients."""
    own = (gc.scan, gc.segment_sum, gc.logsumexp, gc.softplus, gc.gammaln, gc.log_ndtr)
    use = Library(gc, *own)
    inputs = [gc.placeholder(f"x{n}", a.shape, a.dtype) for n, a in enumerate(which.arrays)]
    floats = [x for x in inputs if x.dtype.kind == "f"]
    options: dict[str, Any] = {"threads": threads, "cache": False}
    value = gc.function(inputs, which.build(use)(*inputs), **options)

    def compiled() -> Function:
        result = which.build(use)(*inputs)
        return gc.function(inputs, [result, *gc.grad(result, floats)], **options)

    return value, compiled


def in_jax(which: Program) -> tuple[Function, Callable[[], Function]]:
    jax: Any = import_module("jax")
    special: Any = import_module("jax.scipy.special")
    use = Library(
        jax.numpy,
        jax.lax.scan,
        jax.ops.segment_sum,
        special.logsumexp,
        jax.nn.softplus,
        special.gammaln,
        special.log_ndtr,
    )
    floats = tuple(n for n, array in enumerate(which.arrays) if array.dtype.kind == "f")
    value = jax.jit(which.build(use))

    def compiled() -> Function:
        made = jax.jit(jax.value_and_grad(which.build(use), argnums=floats))

        def call(*arrays: Any) -> Any:
            result, gradients = jax.block_until_ready(made(*arrays))
            return [result, *gradients]

        return call

    return lambda *arrays: value(*arrays).block_until_ready(), compiled


def agree(found: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Within what single precision leaves of the largest element."""
    return all(
        np.allclose(a, b, rtol=2e-2, atol=2e-2 * float(np.abs(b).max(initial=0)))
        for a, b in zip(map(np.asarray, found), map(np.asarray, expected), strict=True)
    )


def in_turns(calls: dict[str, Function]) -> str:
    """The time of each, and the ratio of the first to the others."""
    found = gc.compare(calls, seconds=SECONDS * len(calls))
    own, *others = found.timings
    shown = f"{found.timings[own].median * 1e6:8.0f}"
    for other in others:
        shown += f" /{found.timings[other].median * 1e6:7.0f} us {found.ratio(other):5.2f}"
    return shown


def measure(name: str, threads: int) -> str:
    which = PROGRAMS[name]
    values, results = {}, {}
    makers = {"graphc": in_graphc(which, threads)}
    if find_spec("jax"):
        makers["jax"] = in_jax(which)
    compiled: list[float] = []
    for library, (value, compile_gradients) in makers.items():
        start = time.perf_counter()
        gradients = compile_gradients()
        found = gradients(*which.arrays)
        compiled.append(time.perf_counter() - start)
        results[library] = found
        arrays = which.arrays
        if library == "jax":
            arrays = [import_module("jax").numpy.asarray(array) for array in arrays]
        values[library] = (
            lambda f=value, a=arrays: f(*a),
            lambda f=gradients, a=arrays: f(*a),
        )
    same = agree(*results.values()) if len(results) > 1 else True
    cells = [in_turns({library: pair[n] for library, pair in values.items()}) for n in (0, 1)]
    times = " /".join(f"{seconds * 1e3:5.0f}" for seconds in compiled)
    return f"{name:<20}{cells[0]}   {cells[1]}   {times} ms{'' if same else '   they differ'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*PROGRAMS, []], metavar="name")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    gc.run(gc.tanh(gc.ones((2,))))  # what the first compilation loads
    print("graphc / JAX: the value, value and gradients, cold compilation of the latter")
    for name in options.names or PROGRAMS:
        print(measure(name, options.threads), flush=True)


if __name__ == "__main__":
    main()
