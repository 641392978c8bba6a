"""float16 and bfloat16 on every backend: computed in wider numbers, rounded where stored."""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.dtypes import double, is_inexact
from graphc.ir.opdef import Example
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor

NAMES = sorted(name for name, op in OPS.items() if op.examples is not None)
DTYPES = ("float16", "bfloat16")
TOLERANCE = {"float16": 3e-3, "bfloat16": 2.4e-2}  # a few units in the last place


def largest_example(name: str) -> Example | None:
    make = OPS[name].examples
    assert make is not None
    examples = make(np.random.default_rng(zlib.crc32(name.encode())))
    examples = [e for e in examples if any(a.dtype.kind == "f" for a in e.inputs)]
    return max(examples, key=lambda e: sum(a.size for a in e.inputs), default=None)


def build(example: Example, dtype: str) -> tuple[list[Tensor], list[Tensor], list[np.ndarray]]:
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in example.inputs]
    inputs = [gc.placeholder(f"x{n}", a.shape, a.dtype) for n, a in enumerate(arrays)]
    built = example.build(*inputs)
    outputs = list(built) if isinstance(built, tuple | list) else [built]
    return inputs, [output for output in outputs if isinstance(output, Tensor)], arrays


def assert_close(found: Any, expected: Any, tolerance: float) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if not is_inexact(found.dtype):
        np.testing.assert_array_equal(found, expected)
        return
    wide = expected.astype(double(expected.dtype))
    scale = np.abs(wide[np.isfinite(wide)]).max(initial=0.0)
    np.testing.assert_allclose(found, wide, rtol=tolerance, atol=tolerance * scale)


def check(name: str, backend: str, dtype: str) -> None:
    example = largest_example(name)
    if example is None:
        return
    options: Any = {"on_unused_input": "ignore"}
    try:
        inputs, outputs, arrays = build(example, dtype)
        plain = gc.function(inputs, outputs, backend="reference", optimize=False, **options)
        expected = plain(*arrays)
    except gc.DTypeError:  # linear algebra and transforms start at float32
        return
    found = gc.function(inputs, outputs, backend=backend, **options)(*arrays)
    for one, two in zip(found, expected, strict=True):
        assert_close(one, two, TOLERANCE[dtype])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values(name: str, dtype: str) -> None:
    check(name, "llvm", dtype)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_elsewhere(name: str, backend: str, dtype: str) -> None:
    check(name, backend, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_keep_the_dtype(dtype: str) -> None:
    x = gc.placeholder("x", ("n", 3), dtype)
    w = gc.variable(np.ones((3, 2), dtype), "w")
    cost = gc.mean(gc.square(gc.tanh(x @ w)))
    gradient = gc.grad(cost, w)
    assert cost.dtype == gradient.dtype == gc.as_dtype(dtype)
    found = gc.function([x], [cost, gradient])(np.full((5, 3), 0.1, dtype))
    assert [array.dtype for array in found] == [dtype, dtype]
    np.testing.assert_allclose(found[0], np.tanh(0.3) ** 2, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("backend", ["interpreter", "llvm", "numba_cpu"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_are_wide(backend: str, dtype: str) -> None:
    """A running float16 sum of ones would stop at 2048, one in bfloat16 at 256."""
    x = gc.placeholder("x", ("n",), dtype)
    f = gc.function([x], [gc.sum(x), gc.mean(x), x @ x], backend=backend)
    assert [float(value) for value in f(np.ones(3072, dtype))] == [3072, 1, 3072]


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_are_rounded_once(backend: str, dtype: str, optimize: bool) -> None:
    x = gc.placeholder("x", (60, "n"), dtype)
    sums = [gc.sum(x), gc.sum(x, axis=0), gc.sum(x, axis=1), gc.prod(x[:3, :3])]
    f = gc.function([x], sums, backend=backend, optimize=optimize)
    array = np.random.default_rng(0).uniform(0, 1, (60, 70)).astype(dtype)
    wide = array.astype("float64")
    exact = [wide.sum(), wide.sum(axis=0), wide.sum(axis=1), wide[:3, :3].prod()]
    for found, expected in zip(f(array), exact, strict=True):
        half_a_step = np.abs(expected) * float(gc.finfo(dtype).eps) / 2
        assert (np.abs(found.astype("float64") - expected) <= half_a_step * 1.01).all()


def products(x: Any, w: Any) -> list[Any]:
    """The product of x (m, k) and w (k), in all ways to write it."""
    column = w[:, None]
    return [
        *(x @ w, w @ x.T, (column.T @ x.T)[0], (x @ column)[:, 0]),
        *(gc.vecdot(x, w), gc.einsum("ij,j->i", x, w), gc.tensordot(x, w, 1)),
    ]


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_with_vectors_are_rounded_once(backend: str, dtype: str) -> None:
    x, w = gc.placeholder("x", ("m", "k"), dtype), gc.placeholder("w", ("k",), dtype)
    f = gc.function([x, w], products(x, w), backend=backend)
    rng = np.random.default_rng(0)
    feeds = [rng.uniform(-1, 1, shape).astype(dtype) for shape in ((20, 500), (500,))]
    exact = feeds[0].astype("float64") @ feeds[1].astype("float64")
    half_a_step = np.abs(exact) * float(gc.finfo(dtype).eps) / 2
    for found in f(*feeds):
        assert (np.abs(found.astype("float64") - exact) <= half_a_step + 1e-5).all()


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
def test_products_with_vectors_stay_finite(backend: str) -> None:
    """300 * 300 is beyond float16."""
    x, w = gc.placeholder("x", ("m", "k"), "float16"), gc.placeholder("w", ("k",), "float16")
    f = gc.function([x, w], products(x, w), backend=backend)
    for found in f(np.full((3, 8), 300, "float16"), np.array([300, -300] * 4, "float16")):
        assert found.tolist() == [0, 0, 0]


MEANS: dict[str, Callable[[Any], Any]] = {
    "mean": gc.mean,
    "var": gc.var,
    "std": gc.std,
    "nanstd": gc.nanstd,
    "average": lambda x: gc.average(x, weights=x + 1.0),
    "cov": lambda x: gc.cov(x) / 64,
    "vector_norm": gc.linalg.vector_norm,
    "standardize": gc.nn.standardize,
    "logsumexp": gc.logsumexp,
    "softmax": gc.softmax,
    "softmax_cross_entropy": lambda x: gc.nn.softmax_cross_entropy(x, gc.softmax(x)),
    "sparse_softmax_cross_entropy": lambda x: gc.nn.sparse_softmax_cross_entropy(x, 3),
    "average_pool": lambda x: gc.nn.average_pool(x[None, None], 400, stride=100),
    "adaptive_average_pool": lambda x: gc.nn.adaptive_average_pool(x[None, None], 3),
}


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("name", MEANS)
def test_means_and_sums_of_many_stay_in_range(name: str, backend: str) -> None:
    """Sums, squares and numbers of elements beyond float16, of results that are not."""
    rng = np.random.default_rng(0)
    for values in (rng.uniform(-1000, 1000, 500), np.full(70_000, 0.5)):
        given = values.astype("float16")
        single, half = (gc.placeholder("x", ("n",), d) for d in ("float32", "float16"))
        functions = [
            gc.function([x], [y, *gc.grad(gc.sum(y), [x], disconnected="zero")], backend=backend)
            for x in (single, half)
            for y in [MEANS[name](x)]
        ]
        wanted, found = functions[0](given.astype("float32")), functions[1](given)
        assert np.isfinite(wanted[0]).all()
        with np.errstate(over="ignore"):  # a variance may be beyond float16 itself
            rounded = wanted[0].astype("float16")
        np.testing.assert_allclose(found[0], rounded, rtol=2e-3, atol=1e-6)
        if name not in ("std", "nanstd") or np.isfinite(wanted[1]).all():
            np.testing.assert_allclose(found[1], wanted[1], rtol=1e-2, atol=2e-3)


PATTERNS = np.array(  # ties to either side, up to infinity, subnormal numbers, zeros, NaN
    [0x3F808000, 0x3F818000, 0x3F808001, 0x3F817FFF, 0x7F7FFFFF, 0x7F7F7FFF, 0xFF800000, 0x00008000,
     0x00018000, 0x00000001, 0x80008001, 0x80000000, 0x7F800001, 0xFFFFFFFF, 0x00800000],
    np.uint32,
)  # fmt: skip
ROUNDED = [0x3F80, 0x3F82, 0x3F81, 0x3F81, 0x7F80, 0x7F7F, 0xFF80, 0, 2, 0, 0x8001, 0x8000]


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
def test_bfloat16_rounding(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "float32")
    f = gc.function(
        [x], [x.astype("bfloat16"), x.astype("bf16").astype("float32")], backend=backend
    )
    many = np.random.default_rng(0).integers(0, 1 << 32, 200, np.uint32)
    given = np.concatenate([PATTERNS, many]).view("float32")
    kept, back = f(given)
    assert kept.dtype == gc.bfloat16 and back.dtype == np.float32
    assert kept.view("uint16")[: len(ROUNDED)].tolist() == ROUNDED
    assert np.isnan(kept[12:14]).all() and kept.view("uint16")[14] == 0x0080
    with np.errstate(invalid="ignore"):
        expected = given.astype(gc.bfloat16)
    numbers = ~np.isnan(given)
    assert (kept.view("uint16") == expected.view("uint16"))[numbers].all()
    np.testing.assert_array_equal(back, kept.astype("float32"))


@pytest.mark.parametrize("backend", ["interpreter", "llvm", "numba_cpu"])
def test_every_bfloat16_number_survives(backend: str) -> None:
    step = 1 if backend == "llvm" else 97
    numbers = np.arange(0, 1 << 16, step, dtype=np.uint16).view(gc.bfloat16)
    x = gc.placeholder("x", ("n",), "bfloat16")
    found = gc.function([x], [gc.negative(gc.negative(x)), x.astype("float32")], backend=backend)
    back, wide = found(numbers)
    same = back.view("uint16") == numbers.view("uint16")
    assert (same | np.isnan(wide)).all()
    np.testing.assert_array_equal(wide, numbers.astype("float32"))


def test_training_with_bfloat16_weights() -> None:
    rng = np.random.default_rng(1)
    x, y = gc.placeholder("x", ("n", 4)), gc.placeholder("y", ("n",))
    w = gc.variable(np.zeros(4, gc.bfloat16), "w")
    cost = gc.mean(gc.square(x @ w.astype("float32") - y))
    slope = gc.grad(cost, w)
    assert slope.dtype == gc.bfloat16
    step = gc.function([x, y], cost, updates={w: w - 0.1 * slope})
    points = rng.normal(size=(64, 4)).astype("float32")
    wanted = np.array([1, -2, 0.5, 3], "float32")
    costs = [float(step(points, points @ wanted)) for _ in range(60)]
    assert w.value.dtype == gc.bfloat16 and costs[-1] < 1e-3 * costs[0]
    np.testing.assert_allclose(w.value.astype("float32"), wanted, atol=0.05)
