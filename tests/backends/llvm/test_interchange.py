"""Sums down columns that are computed row by row."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm import emitter, interchange
from graphc.backends.llvm.lanes import pieces, survey
from graphc.dtypes import float32
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Accumulate, Accumulator, For, If, KernelCall
from graphc.loops.tidy import statements_of
from graphc.scalar.expr import Index, Load
from graphc.scalar.printer import format_expr
from graphc.shapes import Dim
from tests.backends.llvm.targets import other_target

SHAPES = [(256, 257), (257, 511), (511, 512), (513, 513), (1021, 1024), (260, 1027)]
TINY = [(0, 300), (1, 1), (2, 513), (3, 0), (5, 7), (257, 1), (259, 1025)]


def is_turned(f: gc.Function) -> bool:
    return "scratch" in f.llvm()


def sums(x: Tensor) -> list[Tensor]:
    y = gc.exp(-x * x)
    return [gc.sum(y, axis=0), gc.mean(x * y, axis=0) + 1, y]


def expected(x: np.ndarray) -> list[np.ndarray]:
    y = np.exp(-(x.astype(np.float64) ** 2))
    return [y.sum(0), (x * y).sum(0) / max(len(x), 1) + 1, y]


def compare(got: list[np.ndarray], x: np.ndarray) -> None:
    tolerance = 1e-5 if x.dtype == np.float32 else 1e-12
    wanted = expected(x)
    if not len(x):
        wanted[1] = np.full(x.shape[1:], np.nan)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_known_sizes(shape: tuple[int, int]) -> None:
    x = gc.placeholder("x", shape)
    f = gc.function([x], sums(x))
    assert is_turned(f)
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    compare(f(values), values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_symbolic_sizes(dtype: str) -> None:
    x = gc.placeholder("x", ("n", "m"), dtype)
    f = gc.function([x], sums(x))
    assert is_turned(f)
    for shape in [*SHAPES, *TINY]:
        values = np.random.default_rng(0).normal(size=shape).astype(dtype)
        compare(f(values), values)


@pytest.mark.parametrize("columns", [33, 40, 64, 100, 255])
def test_narrow_arrays(columns: int) -> None:
    """Lanes would come back for the other half of every row, when it is in no cache any more."""
    x = gc.placeholder("x", ("n", columns))
    centred = x - gc.mean(x, axis=0)
    f = gc.function([x], [*sums(x), gc.argmax(x, axis=0), centred])
    assert is_turned(f)
    for rows in (0, 1, 2, 255, 1000, 20_001):
        values = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
        if rows:
            *both, position, difference = f(values)
            compare(both, values)
            np.testing.assert_array_equal(position, values.argmax(0))
            wanted = values - values.mean(0, dtype=np.float64)
            np.testing.assert_allclose(difference, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(300, 1000), (1000, 70), ("n", "m")], ids=str)
def test_rows_that_are_only_written(shape: tuple[int | str, int | str]) -> None:
    x, w = gc.placeholder("x", shape), gc.placeholder("w", (shape[0],))
    f = gc.function([x, w], w[:, None] * gc.sum(x, axis=0))
    assert is_turned(f)
    sizes = [(300, 1000), (3, 5), (1, 600)] if shape[0] == "n" else [shape]
    for rows, columns in sizes:
        assert isinstance(rows, int) and isinstance(columns, int)
        values = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
        weights = np.arange(rows, dtype=np.float32)
        wanted = weights[:, None] * values.sum(0, dtype=np.float64)
        np.testing.assert_allclose(f(values, weights), wanted, rtol=1e-4, atol=1e-2)


def test_products_and_integers() -> None:
    x = gc.placeholder("x", ("n", "m"), "int64")
    f = gc.function([x], [gc.prod(x, axis=0), gc.sum(x * 3, axis=0)])
    for shape in [*SHAPES, *TINY]:
        values = np.random.default_rng(1).integers(-3, 4, shape)
        got = f(values)
        np.testing.assert_array_equal(got[0], values.prod(0))
        np.testing.assert_array_equal(got[1], (values * 3).sum(0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_extrema(dtype: str) -> None:
    x = gc.placeholder("x", ("n", "m"), dtype)
    f = gc.function([x], [gc.max(x, axis=0), gc.min(x, axis=0), gc.sum(x, axis=0)])
    assert dtype == "uint8" or is_turned(f)
    for shape in [*SHAPES, (1, 1), (3, 0), (5, 7), (257, 1), (259, 1025)]:
        values = np.random.default_rng(4).integers(0, 200, shape).astype(dtype)
        if dtype.startswith("float"):
            values[0, :9], values[-1, 3:12] = np.nan, -0.0
        largest, smallest, total = f(values)
        np.testing.assert_array_equal(largest, values.max(0))
        np.testing.assert_array_equal(smallest, values.min(0))
        np.testing.assert_array_equal(total, values.sum(0, dtype=total.dtype))


def test_batches_of_matrices() -> None:
    x = gc.placeholder("x", ("b", "n", 600))
    f = gc.function([x], gc.sum(x, axis=1))
    for batch, rows in ((0, 3), (1, 0), (3, 1), (2, 777)):
        values = np.random.default_rng(2).normal(size=(batch, rows, 600)).astype(np.float32)
        np.testing.assert_allclose(f(values), values.sum(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [3, "b"])
def test_products_over_a_batch_with_sums_outside_the_stack(
    batch: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitter, "STACK_BYTES", 64)
    a = gc.placeholder("a", (2, 260), "int64")
    b = gc.placeholder("b", (batch, 260, 300), "int64")
    f = gc.function([a, b], a @ b, threads=2, cache=False)
    rng = np.random.default_rng(0)
    left, right = rng.integers(-9, 9, (2, 260)), rng.integers(-9, 9, (3, 260, 300))
    np.testing.assert_array_equal(f(left, right), left @ right)


def test_the_number_of_threads_changes_no_bit() -> None:
    x = gc.placeholder("x", ("n", "m"))
    values = np.random.default_rng(3).normal(size=(3001, 2050)).astype(np.float32)
    one, two = (gc.function([x], sums(x), threads=count)(values) for count in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_long_sums_keep_their_digits() -> None:
    x = gc.placeholder("x", ("n", 512))
    values = np.full((1 << 16, 512), 0.1, np.float32)
    got = gc.function([x], gc.sum(x, axis=0))(values)
    np.testing.assert_allclose(got, values.astype(np.float64).sum(0), rtol=5e-6)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: gc.sum(x[:100], axis=0),  # few rows
        lambda x: gc.sum(x, axis=1),
        lambda x: gc.sum(x[:, :100].reshape((1600, 32)), axis=0),  # narrow
    ],
)
def test_what_stays(f: object) -> None:
    assert callable(f)
    x = gc.placeholder("x", (512, 512))
    assert not is_turned(gc.function([x], f(x)))
    assert interchange.NARROW >= 32 * 4


@pytest.mark.parametrize(
    ("rows", "columns", "several"),
    [(100, 1000, False), (100, 3001, True), (33, 9000, True), (20, 90000, False)],
)
def test_rows_are_enough_for_the_caches(rows: int, columns: int, several: bool) -> None:
    x = gc.placeholder("x", (rows, columns))
    f = gc.function([x], [gc.sum(x, axis=0), gc.max(x, axis=0)])
    assert is_turned(f) == several
    values = np.random.default_rng(3).normal(size=(rows, columns)).astype(np.float32)
    got = f(values)
    np.testing.assert_allclose(got[0], values.astype(np.float64).sum(0), atol=1e-4)
    np.testing.assert_array_equal(got[1], values.max(0))
    softmax = gc.function([x], gc.nn.softmax(x, axis=0))
    assert is_turned(softmax) == (rows >= interchange.FEWEST)


def test_flags() -> None:
    """In memory, truth values are bytes."""
    x = gc.placeholder("x", ("n", "m"))
    flags = gc.placeholder("flags", ("n", "m"), "bool")
    found = [
        gc.any(x > 2, axis=0),
        gc.all(x > -2, axis=0),
        gc.where(gc.any(flags, axis=0), 1.0, 2.0),
        gc.all(flags, axis=0) & gc.any(x < 0, axis=0),
    ]
    f = gc.function([x, flags], found)
    assert is_turned(f)
    for shape in [*SHAPES, *TINY]:
        random = np.random.default_rng(4)
        values = random.normal(size=shape).astype(np.float32)
        given = random.random(shape) < 1 / max(shape[0], 1)
        one, other = given.any(0), given.all(0)
        expected = [(values > 2).any(0), (values > -2).all(0), np.where(one, 1.0, 2.0)]
        for got, wanted in zip(
            f(values, given), [*expected, other & (values < 0).any(0)], strict=True
        ):
            np.testing.assert_array_equal(got, wanted)


def passes(x: Tensor) -> list[Tensor]:
    return [gc.nn.softmax(x, axis=0), gc.logsumexp(x, axis=0), gc.var(x, axis=0)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_passes(dtype: str) -> None:
    x = gc.placeholder("x", ("n", "m"), dtype)
    functions = [gc.function([x], one) for one in passes(x)]
    assert all(map(is_turned, functions))
    for shape in [*SHAPES[:3], (1, 1), (2, 513), (5, 7), (257, 1), (259, 1025), (700, 3)]:
        values = np.random.default_rng(5).normal(0, 3, shape).astype(dtype)
        values[:, 0] = values[:, 0] * 0 - 1000
        wide = values.astype(np.float64)
        weights = np.exp(wide - wide.max(0))
        wanted = (
            weights / weights.sum(0),
            np.log(weights.sum(0)) + wide.max(0),
            wide.var(0),
        )
        for f, expected_one in zip(functions, wanted, strict=True):
            tolerance = 2e-5 if dtype == "float32" else 1e-12
            np.testing.assert_allclose(f(values), expected_one, rtol=tolerance, atol=tolerance)


def test_several_passes_of_known_sizes_and_threads() -> None:
    values = np.random.default_rng(6).normal(size=(300, 1027)).astype(np.float32)
    values[7, 3], values[:, 5], values[9, 6] = np.nan, -np.inf, np.inf
    for shape in ((300, 1027), ("n", "m")):
        x = gc.placeholder("x", shape)
        for build in passes(x):
            one, two = (gc.function([x], build, threads=threads)(values) for threads in (1, 2))
            np.testing.assert_array_equal(one, two)
            interpreted = gc.function([x], build, backend="reference")(values)
            np.testing.assert_allclose(one, interpreted, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_positions(dtype: str) -> None:
    x = gc.placeholder("x", ("n", "m"), dtype)
    outputs = [gc.argmax(x, axis=0), gc.argmin(x, axis=0), gc.sum(x, axis=0), gc.max(x, axis=0)]
    f, alone = gc.function([x], outputs), gc.function([x], outputs[0])
    assert dtype == "uint8" or is_turned(alone)
    for shape in [*SHAPES, (1, 1), (3, 0), (5, 7), (257, 1), (259, 1025), (700, 3)]:
        values = np.random.default_rng(7).integers(0, 9, shape).astype(dtype)
        if dtype.startswith("float"):
            values[-1, :9], values[0, 3:12], values[:, 12:14] = np.nan, np.nan, -np.inf
            values[:, 14:15] = np.inf
        largest, smallest, _, most = f(values)
        np.testing.assert_array_equal(largest, values.argmax(0))
        np.testing.assert_array_equal(smallest, values.argmin(0))
        np.testing.assert_array_equal(most, values.max(0))
        np.testing.assert_array_equal(alone(values), values.argmax(0))


def test_positions_of_known_sizes_and_between_others() -> None:
    values = np.random.default_rng(8).integers(0, 5, (300, 7, 530)).astype(np.float32)
    x = gc.placeholder("x", values.shape)
    f = gc.function([x], [gc.argmax(x, axis=0), gc.argmin(-x, axis=0)])
    for got in f(values):
        np.testing.assert_array_equal(got, values.argmax(0))
    y = gc.placeholder("y", ("a", "b", "c"))
    got = gc.function([y], gc.argmin(y, axis=1))(values.transpose(1, 0, 2))
    np.testing.assert_array_equal(got, values.transpose(1, 0, 2).argmin(1))


REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda x: gc.sum(x, axis=1),
    "largest": lambda x: gc.max(x, axis=1),
    "place": lambda x: gc.argmin(x, axis=1),
    "any": lambda x: gc.any(x > 3, axis=1),
    "spread": lambda x: gc.max(x, axis=1) - gc.min(x, axis=1),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_batches_of_rows_of_any_width(name: str) -> None:
    """Narrow ones keep their sums in registers, wide ones are read row by row."""
    x = gc.placeholder("x", ("b", "n", "m"))
    y = REDUCTIONS[name](x)
    f, meaning = (gc.function([x], y, backend=backend) for backend in ("llvm", "reference"))
    for width in (1, 15, 16, 17, 33, 63, 64, 65, 81, 129, 255, 256, 257, 521):
        for count in (1, 2, 31, 300):
            values = np.random.default_rng(0).normal(size=(2, count, width)).astype(np.float32)
            np.testing.assert_allclose(f(values), meaning(values), rtol=1e-5, atol=1e-4)


def test_form_of_batches() -> None:
    """Two versions; of rows whose width is known there is one, and of one matrix."""

    def forms(*shape: int | str) -> list[str]:
        x = gc.placeholder("x", shape)
        f = gc.function([x], gc.sum(x, axis=-2), backend="interpreter")
        assert f.stages.program is not None
        (step,) = f.stages.program.steps
        assert isinstance(step, KernelCall)
        body = interchange.interchanged(step.kernel, step.kernel.body)
        versions = [item for item in statements_of(body) if isinstance(item, If)]
        return sorted(format_expr(item.condition) for item in versions)

    assert forms("b", "n", "m") == ["1024 <= 4*m", "4*m < 1024"]
    assert forms("b", "n", 64) == forms("b", "n", 512) == forms("n", "m") == []


@pytest.mark.parametrize("extent", [17, 50, 100, 127, 128])
def test_narrow_columns_are_one_piece(extent: int) -> None:
    """What comes before the next piece is the whole loop over the rows."""
    target, x = other_target("avx512"), Load("x", (Index(0),), float32)
    rows = For("i", 1000, "serial", (Accumulate("total", x),))
    facts = survey((Accumulator("total", "add", float32), rows))
    (piece,) = pieces(extent, facts, target)
    assert piece.lanes >= extent
    assert [(p.lanes, p.masked) for p in pieces(Dim.symbol("m"), facts, target)] == [
        (64, False),
        (64, True),
        (16, True),
    ]
