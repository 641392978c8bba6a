"""Values without vectors where nothing reads these, and values that the vectors bring with them."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor

la = gc.linalg
RNG = np.random.default_rng(0)
SYMMETRIC = np.cov(RNG.normal(size=(4, 9)))
TALL = RNG.normal(size=(2, 5, 3))
SQUARE = RNG.normal(size=(4, 4))


def routines(function: gc.Function) -> list[str]:
    """Those that it calls, in order."""
    names = ("gesdd_values", "gesdd", "syevd_values", "syevd", "geev_values", "geev")
    words = [word for line in function.kernels().splitlines() for word in line.split()[:3]]
    return [word for word in words if word in names]


def with_gradient(values: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Sequence[Tensor]]:
    return lambda x: [gc.sum(values(x)), gc.grad(gc.sum(values(x)), x)]


CASES: list[tuple[Callable[[Tensor], Sequence[Tensor]], np.ndarray, list[str]]] = [
    (lambda x: [la.svd(x)[1]], TALL, ["gesdd_values"]),
    (lambda x: [la.svd(x, full_matrices=False)[1]], TALL, ["gesdd_values"]),
    (lambda x: [la.eigh(x)[0]], SYMMETRIC, ["syevd_values"]),
    (lambda x: [gc.abs(la.eig(x)[0])], SQUARE, ["geev_values"]),
    (with_gradient(la.svdvals), TALL, ["gesdd"]),
    (with_gradient(la.eigvalsh), SYMMETRIC, ["syevd"]),
    (lambda x: [la.svdvals(x), gc.abs(la.svd(x)[0])], TALL, ["gesdd"]),
    (lambda x: [gc.abs(la.svd(x)[2]), la.svdvals(x)], TALL, ["gesdd"]),
    (lambda x: [la.eigvalsh(x), la.eigvalsh(x + 1)], SYMMETRIC, ["syevd_values"] * 2),
    (
        lambda x: [gc.abs(la.svd(x)[0]), gc.abs(la.svd(x, full_matrices=False)[0]), la.svdvals(x)],
        TALL,
        ["gesdd", "gesdd"],
    ),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_routine_does_what_is_read(number: int) -> None:
    build, value, expected = CASES[number]
    x = gc.placeholder("x", value.shape, "float64")
    f = gc.function([x], build(x), check=True)
    assert routines(f) == expected
    plain = gc.function([x], build(x), backend="reference", optimize=False)
    for one, other in zip(f(value), plain(value), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_in_loops_and_of_symbolic_sizes() -> None:
    x = gc.placeholder("x", ("n", "m", "m"), "float64")

    def step(total: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        values = la.eigh(a)[0]
        return total + gc.sum(values**2), values

    total, values = gc.scan(step, 0.0, x)
    beside = la.svd(gc.sum(x, axis=0) * total)[1]  # of what another loop has made
    f = gc.function([x], [total, values, beside])
    assert routines(f) == ["syevd_values", "gesdd_values"]
    batch = np.stack([SYMMETRIC, 2 * SYMMETRIC])
    np.testing.assert_allclose(
        f(batch)[2], np.linalg.svdvals(3 * SYMMETRIC * f(batch)[0]), rtol=1e-9
    )
    np.testing.assert_allclose(f(batch)[1], np.linalg.eigvalsh(batch))
    np.testing.assert_allclose(f(batch)[0], np.sum(np.linalg.eigvalsh(batch) ** 2))


def test_a_routine_carries_the_lines_of_all_that_it_serves() -> None:
    x = gc.placeholder("x", (3, 3), "float64")
    values = la.svdvals(x)
    vectors = la.svd(x)[0]
    f = gc.function([x], [values, vectors])
    (line,) = [line for line in f.kernels().splitlines() if "gesdd" in line]
    places = [values.node.sources[0].line, vectors.node.sources[0].line]
    assert "test_spectra.py:{},{}".format(*places) in line


def test_errors_name_what_was_written() -> None:
    x = gc.placeholder("x", (3, 3), "float64")
    f = gc.function([x], la.svd(x)[1])
    with pytest.raises(gc.LinearAlgebraError, match=r"svd: [\s\S]*test_spectra.py"):
        f(np.full((3, 3), np.nan))
