"""Kernels that hand rows from one to the other are one kernel."""

import itertools
from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ["llvm", "numba_cpu", "interpreter"]


def distances(x: Any, y: Any) -> Any:
    return gc.sum((x[:, None, :] - y[None, :, :]) ** 2, axis=2)


def points(*shapes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(-4, 5, shape).astype(np.float32) for shape in shapes]


def inputs() -> tuple[Any, Any]:
    return gc.placeholder("x", ("n", "m")), gc.placeholder("y", ("p", "m"))


def kernels(f: gc.Function) -> int:
    return len(f.kernels().splitlines())


@pytest.mark.parametrize("backend", BACKENDS)
def test_nearest_points(backend: str) -> None:
    x, y = inputs()
    d = distances(x, y)
    density = gc.sum(gc.exp(-d), axis=1) + gc.sum(y[0])
    f = gc.function([x, y], gc.argmin(d, axis=1), backend=backend, check=True)
    g = gc.function([x, y], density, backend=backend, check=True)
    assert kernels(f) == 1 and "n*p" not in f.memory_plan()
    assert "row_" in f.loops() and "row_" in g.loops()
    for n, m, p in itertools.product((0, 1, 5), (0, 1, 3), (1, 9)):
        a, b = points((n, m), (p, m))
        table = ((a[:, None] - b) ** 2).sum(-1)
        np.testing.assert_array_equal(f(a, b), table.argmin(1))
        np.testing.assert_allclose(g(a, b), np.exp(-table).sum(1) + b[0].sum(), rtol=1e-5)


def test_names_and_arrays_of_both_stay_apart() -> None:
    """Both kernels read y, under the same and under other shapes, and both have reductions."""
    x, y = inputs()
    z = gc.placeholder("z", ("p",))
    weighed = gc.sum(gc.sum(abs(x[:, None, :] - y), axis=2) * z + y[:, 0], axis=1)
    largest = gc.max(gc.sum(x[:, None, :] * y, axis=2) - z, axis=1)
    for backend in BACKENDS:
        f = gc.function([x, y, z], weighed, backend=backend, check=True)
        g = gc.function([x, y, z], largest, backend=backend, check=True)
        a, b, (c,) = points((4, 3), (6, 3), (1, 6))
        np.testing.assert_allclose(
            f(a, b, c), (abs(a[:, None] - b).sum(-1) * c + b[:, 0]).sum(1), rtol=1e-5
        )
        np.testing.assert_allclose(g(a, b, c), (a @ b.T - c).max(1), rtol=1e-5)


def test_known_sizes_and_threads_change_no_bit() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((300, 5), (200, 5)))
    answers = []
    for known, threads in itertools.product((False, True), (1, 2)):
        x, y = inputs()
        if known:
            x, y = gc.placeholder("x", (300, 5)), gc.placeholder("y", (200, 5))
        d = distances(x, y)
        f = gc.function([x, y], gc.sum(gc.sqrt(gc.exp(-d) + 1), axis=1), threads=threads)
        assert kernels(f) == 1
        answers.append(f(a, b))
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[2], answers[3])
    np.testing.assert_allclose(answers[0], answers[2], rtol=1e-5)


def test_what_else_reads_the_rows_keeps_them() -> None:
    x, y = inputs()
    d = distances(x, y)
    nearest = gc.argmin(d, axis=1)
    a, b = points((7, 3), (5, 3))
    table = ((a[:, None] - b) ** 2).sum(-1)
    f = gc.function([x, y], [nearest, d], check=True)  # an output
    g = gc.function([x, y], [nearest, gc.argmin(d, axis=0)], check=True)  # columns, too
    h = gc.function([x, y], gc.argmin(d, axis=0), check=True)  # columns alone
    for one in (f, g, h):
        assert "row_" not in one.loops()
    np.testing.assert_array_equal(f(a, b)[0], table.argmin(1))
    np.testing.assert_array_equal(f(a, b)[1], table)
    np.testing.assert_array_equal(g(a, b)[0], table.argmin(1))
    np.testing.assert_array_equal(g(a, b)[1], table.argmin(0))
    np.testing.assert_array_equal(h(a, b), table.argmin(0))


def test_few_rows_are_shared_along_the_row() -> None:
    x, y = gc.placeholder("x", (2, 3)), gc.placeholder("y", ("p", 3))
    f = gc.function([x, y], gc.argmin(distances(x, y), axis=1))
    assert "row_" not in f.loops()


def test_in_a_loop() -> None:
    """Nearest centre of each point, centres that move: one kernel for each of them."""
    x, start = gc.placeholder("x", ("n", 2)), gc.placeholder("start", ("k", 2))

    def step(centres: Any) -> Any:
        nearest = gc.argmin(distances(x, centres), axis=1)
        one = (nearest[:, None] == gc.arange(centres.shape[0])).astype("float32")
        return (one.T @ x) / gc.maximum(gc.sum(one, axis=0), 1)[:, None]

    moved = gc.fori_loop(0, 3, lambda i, c: step(c), start)
    a, b = points((40, 2), (4, 2))
    got = gc.function([x, start], moved, check=True)(a, b)
    centres = b
    for _ in range(3):
        nearest = ((a[:, None] - centres) ** 2).sum(-1).argmin(1)
        one = (nearest[:, None] == np.arange(len(centres))).astype(np.float32)
        centres = one.T @ a / np.maximum(one.sum(0), 1)[:, None]
    np.testing.assert_allclose(got, centres, rtol=1e-5)


def test_loops_of_the_second_kernel_are_not_called_as_the_one_over_the_rows() -> None:
    """Sums along the first two axes count their rows by the name that others have for columns."""
    x, y = gc.placeholder("x", (2, 3, "n", "m"), "int64"), gc.placeholder("y", ("n", "m"), "int64")
    sums = gc.sum(gc.roll(x, 2, axis=2), axis=(0, 1))
    out = gc.permute_dims(sums[:, :, None] * y[:, :, None] + gc.arange(3), (0, 2, 1))
    for backend in BACKENDS:
        f = gc.function([x, y], out, backend=backend, check=True)
        assert "row_" in f.loops() and kernels(f) == 1
        a, b = np.arange(6 * 20).reshape(2, 3, 5, 4), np.arange(20).reshape(5, 4)
        expected = np.roll(a, 2, axis=2).sum((0, 1)) * b
        np.testing.assert_array_equal(f(a, b), expected[:, None, :] + np.arange(3)[:, None])
