"""Reductions over the rows that are made along with the rows: one pass over memory for both."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor
from graphc.loops.ir import KernelCall
from tests.loops.programs import body_of, check_values, program_of

RNG = np.random.default_rng(0)
SIZES = ((0, 3), (3, 0), (1, 1), (1, 17), (31, 7), (32, 16), (33, 15), (67, 129), (131, 10))


def array(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


def matrices(*names: str, shape: tuple[int | str, ...] = ("n", "m")) -> list[Tensor]:
    return [gc.placeholder(name, shape) for name in names]


def kernels(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> int:
    steps = program_of(list(inputs), list(outputs)).all_steps
    assert all(isinstance(step, KernelCall) for step in steps)
    return len(steps)


def layer_norm(x: Tensor, g: Tensor, gain: Tensor, bias: Tensor) -> list[Tensor]:
    centred = x - gc.mean(x, axis=-1, keepdims=True)
    deviation = gc.sqrt(gc.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)
    out = centred / deviation * gain + bias
    return [out, *gc.grad(gc.sum(out * g), [x, gain, bias])]


def cross_entropy(x: Tensor, p: Tensor, bias: Tensor) -> list[Tensor]:
    cost = gc.sum(gc.nn.softmax_cross_entropy(x + bias, gc.nn.softmax(p)))
    return [cost, *gc.grad(cost, [x, bias])]


# --- what is computed together -------------------------------------------------------------------


def test_both_gradients_of_a_layer_norm_are_one_kernel() -> None:
    x, g = matrices("x", "g")
    gain, bias = matrices("gain", "bias", shape=("m",))
    assert kernels([x, g, gain, bias], layer_norm(x, g, gain, bias)) == 1
    arrays = [array(33, 7), array(33, 7), array(7), array(7)]
    check_values([x, g, gain, bias], layer_norm(x, g, gain, bias), arrays)


def test_sums_of_columns_and_rows() -> None:
    x = gc.placeholder("x", ("n", 10))
    assert body_of([x], [gc.sum(gc.exp(x), axis=0), gc.sum(x, axis=1)]) == [
        "  acc_out_rows: f32[(n + 255)//256, 10] scratch",
        "  for k in (n + 255)//256 parallel:",
        "    for j in 10 vector:",
        "      acc_out_rows[k, j] = 0.0",
        "    for i in -max(256*k - n, -256) serial:",
        "      acc_out_2: f32 = 0.0 (add)",
        "      for j in 10 vector:",
        "        v0 = x[i + 256*k, j]",
        "        acc_out_rows[k, j] = acc_out_rows[k, j] + exp(v0)",
        "        acc_out_2 += v0",
        "      out_2[i + 256*k] = acc_out_2",
        "  for j in 10 vector:",
        "    acc_out: f64 = 0.0 (add)",
        "    for k in (n + 255)//256 serial:",
        "      acc_out += f64(acc_out_rows[k, j])",
        "    out[j] = f32(acc_out)",
    ]


def test_little_is_one_chunk() -> None:
    x = gc.placeholder("x", (64, 10))
    text = "\n".join(body_of([x], [gc.sum(x, axis=0), gc.sum(x, axis=1)]))
    assert "acc_out_rows: f32[1, 10] scratch" in text and "for k in 1 parallel" in text
    check_values([x], [gc.sum(x, axis=0), gc.sum(x, axis=1)], [array(64, 10)])


def test_columns_are_summed_where_their_rows_are_read_anyway() -> None:
    """sum(w, 0) needs nothing of the first pass, which reads x alone."""
    x, w = matrices("x", "w")
    y = w * (x - gc.max(x, axis=1, keepdims=True))
    lines = body_of([x, w], [y, gc.sum(w, axis=0)])
    start = next(n for n, line in enumerate(lines) if "max=" in line)
    assert any("acc_out_2_rows[k, j] +" in line for line in lines[start + 1 :])
    assert sum("w[i" in line for line in lines) == 1


def test_columns_that_were_there_first_wait_for_the_rows() -> None:
    x, w = matrices("x", "w")
    y = gc.exp(x) * w
    columns = gc.sum(y, axis=0)
    rows = y / gc.sum(y, axis=1, keepdims=True)
    assert kernels([x, w], [columns, rows]) == 1
    check_values([x, w], [columns, rows], [array(35, 6), array(35, 6)])


def test_what_is_computed_of_columns_alone_is_the_foot_of_the_kernel() -> None:
    x, b = gc.placeholder("x", ("n", 7)), gc.placeholder("b", (7,))
    y = gc.exp(x)
    rows = y / gc.sum(y, axis=1, keepdims=True)
    outputs = [rows, b - 0.1 * gc.sum(rows, axis=0) * b]
    assert kernels([x, b], outputs) == 1
    check_values([x, b], outputs, [array(35, 7), array(7)])
    check_values([x, b], outputs, [array(0, 7), array(7)])


def test_a_foot_of_columns_that_were_there_first() -> None:
    x, b = gc.placeholder("x", ("n", 7)), gc.placeholder("b", (7,))
    y = gc.exp(x)
    outputs = [b - gc.sum(y, axis=0), y - gc.sum(y * y, axis=1, keepdims=True)]
    assert kernels([x, b], outputs) == 1
    check_values([x, b], outputs, [array(35, 7), array(7)])


def test_as_many_rows_as_columns() -> None:
    """Values at every row and at every column look the same."""
    x = gc.placeholder("x", (6, 6))
    y = gc.exp(x)
    rows, columns = gc.sum(y, axis=1), gc.sum(y, axis=0)
    outputs = [gc.sqrt(rows), gc.sqrt(columns), gc.sqrt(rows) + gc.sqrt(columns)]
    check_values([x], outputs, [array(6, 6)])


def test_what_reads_columns_is_another_kernel() -> None:
    x = gc.placeholder("x", ("n", "m"))
    y = x - gc.sum(x, axis=1, keepdims=True)
    centred = y - gc.sum(y, axis=0)
    assert kernels([x], [centred]) == 2
    check_values([x], [centred], [array(35, 6)])


def test_batch_statistics_stay_reductions() -> None:
    """Columns that the rows read again are complete only when all rows are."""
    x = gc.placeholder("x", ("n", "m"))
    y = x / gc.sum(x, axis=0)
    assert kernels([x], [y]) == 1
    both = [y, y / gc.sum(y, axis=1, keepdims=True)]
    check_values([x], both, [np.abs(array(35, 6)) + 1])


def test_positions_and_halves_are_not_columns() -> None:
    x = gc.placeholder("x", ("n", "m"))
    assert kernels([x], [gc.argmax(x, axis=0), gc.sum(x, axis=1)]) == 2
    h = gc.placeholder("h", ("n", "m"), "float16")
    outputs = [gc.sum(h, axis=0), gc.sum(h, axis=1)]
    check_values([h], outputs, [np.ones((35, 6), "float16")])


def test_columns_in_their_place_in_a_concatenation() -> None:
    x, w = matrices("x", "w")
    y = gc.exp(x - gc.max(x, axis=1, keepdims=True))
    outputs = [y, gc.concat([gc.sum(y * w, axis=0), gc.sum(w, axis=0)])]
    check_values([x, w], outputs, [array(40, 5), array(40, 5)])


def test_neighbouring_axes_run_as_one() -> None:
    x = gc.placeholder("x", ("a", "b", "c", "d"))
    y = gc.exp(x)
    outputs = [y / gc.sum(y, axis=(2, 3), keepdims=True), gc.sum(y, axis=(0, 1))]
    text = "\n".join(body_of([x], outputs))
    assert "acc_out_2_rows: f32[(a*b + 31)//32, c*d] scratch" in text
    check_values([x], outputs, [array(5, 8, 2, 3)])
    check_values([x], outputs, [array(0, 8, 2, 3)])


def test_rows_of_several_axes() -> None:
    x, w = gc.placeholder("x", ("a", "b", "c")), gc.placeholder("w", ("b", 1))
    y = gc.exp(x) * w  # differs along b: the two axes of the rows stay two
    outputs = [y / gc.sum(y, axis=2, keepdims=True), gc.sum(y, axis=(0, 1))]
    assert kernels([x, w], outputs) == 1
    check_values([x, w], outputs, [array(35, 3, 4), np.abs(array(3, 1)) + 1])


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_every_reduction(name: str, dtype: str) -> None:
    x = gc.placeholder("x", ("n", "m"), dtype)
    reduce: Callable[..., Tensor] = getattr(gc, name)
    outputs = [reduce(x, axis=0), reduce(x, axis=1), gc.sum(x, axis=1)]
    assert kernels([x], outputs) == 1
    for n in (1, 40):
        data = RNG.integers(-1, 2, size=(n, 5)).astype(dtype)
        check_values([x], outputs, [data])


# --- values on every backend ---------------------------------------------------------------------

FAMILIES: dict[str, tuple[int, Callable[..., list[Tensor]]]] = {
    "layer_norm": (4, layer_norm),
    "cross_entropy": (3, cross_entropy),
}


def function_of(
    name: str, n: int | str, m: int | str, backend: str, threads: int = 1
) -> gc.Function:
    count, build = FAMILIES[name]
    shapes: list[tuple[int | str, ...]] = [(n, m), (n, m), (m,), (m,)]
    inputs = [gc.placeholder(f"x{k}", shape) for k, shape in enumerate(shapes[:count])]
    return gc.function(inputs, build(*inputs), backend=backend, threads=threads)


def arrays_of(name: str, n: int, m: int) -> list[np.ndarray]:
    rng = np.random.default_rng(n * 1000 + m)
    shapes = [(n, m), (n, m), (m,), (m,)][: FAMILIES[name][0]]
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def close(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        # Of rows with one element the deviation is that of rounding alone.
        room = 1e-4 * (1 + np.abs(other).max(initial=0)) if one.ndim != 2 else 1e-3
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=room)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu", "llvm"])
def test_all_sizes_on_every_backend(name: str, backend: str) -> None:
    reference = function_of(name, "n", "m", "reference")
    function = function_of(name, "n", "m", backend)
    for n, m in SIZES:
        if backend == "interpreter" and n * m > 2000:
            continue
        arrays = arrays_of(name, n, m)
        expected = reference(*arrays)
        close(function(*arrays), expected)
        if backend == "llvm":
            close(function_of(name, n, m, backend)(*arrays), expected)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("static", [False, True])
def test_the_same_bits_on_any_number_of_threads(name: str, static: bool) -> None:
    for n, m in ((131, 10), (1021, 257)):
        sizes: tuple[int | str, int | str] = (n, m) if static else ("n", "m")
        arrays = arrays_of(name, n, m)
        one, *others = (function_of(name, *sizes, "llvm", threads) for threads in (1, 2, 3))
        bits = [np.asarray(result).tobytes() for result in one(*arrays)]
        for function in others:
            assert [np.asarray(result).tobytes() for result in function(*arrays)] == bits


def test_long_sums_stay_accurate() -> None:
    x = gc.placeholder("x", ("n", 3))
    f = gc.function([x], [gc.sum(x, axis=0), gc.max(x, axis=1)], backend="llvm")
    data = np.full((1_000_003, 3), 0.1, "float32")
    np.testing.assert_allclose(f(data)[0], data.astype("float64").sum(0), rtol=1e-6)
