"""Products of many small matrices of known sizes, some rows at a time."""

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.contraction import LONGEST_SUM, is_in_groups
from graphc.loops.ir import Contraction

LAYOUTS = ("nn", "nt", "tn", "tt")
SIZES = (
    (2, 1, 8),
    (3, 5, 9),
    (8, 8, 8),
    (6, 7, 16),
    (13, 12, 17),
    (16, 16, 16),
    (25, 30, 33),
    (64, 3, 65),
)


def contraction(m: int, k: int, n: int, batch: int = 9) -> Contraction:
    x, y = gc.placeholder("x", (batch, m, k)), gc.placeholder("y", (batch, k, n))
    program = gc.function([x, y], x @ y, backend="llvm").stages.program
    assert program is not None
    step = program.steps[0]
    assert isinstance(step, Contraction)
    return step


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sizes", SIZES)
def test_values(sizes: tuple[int, int, int], layout: str, dtype: str) -> None:
    m, k, n = sizes
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5, 3, *((m, k) if layout[0] == "n" else (k, m)))).astype(dtype)
    b = rng.normal(size=(3, *((k, n) if layout[1] == "n" else (n, k)))).astype(dtype)
    x, y = gc.placeholder("x", ("p", *a.shape[1:]), dtype), gc.placeholder("y", b.shape, dtype)
    product = (x if layout[0] == "n" else x.mT) @ (y if layout[1] == "n" else y.mT)
    found = gc.function([x, y], product, backend="llvm", threads=2)(a, b)
    left, right = a if layout[0] == "n" else a.mT, b if layout[1] == "n" else b.mT
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(found, left @ right, rtol=tolerance, atol=tolerance)
    assert found.shape == (5, 3, m, n)


def test_which_products_are_computed_so() -> None:
    assert is_in_groups(contraction(2, 4, 8)) and is_in_groups(contraction(64, 64, 64))
    assert not is_in_groups(contraction(2, 4, 7)), "too few columns"
    assert not is_in_groups(contraction(1, 40, 8)), "a single row"
    assert not is_in_groups(contraction(64, 64, 65)), "large"
    assert not is_in_groups(contraction(2, LONGEST_SUM + 1, 8)), "long sums"
    assert not is_in_groups(contraction(8, 8, 8, batch=1)), "one product"


def test_epilogues_and_gradients() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(7, 10, 12)), rng.normal(size=(7, 12, 9))
    x, y = gc.placeholder("x", a.shape, "float64"), gc.placeholder("y", b.shape, "float64")
    value = gc.tanh(x @ y + 1)
    outputs = [value, *gc.grad(gc.sum(value * value), [x, y])]
    found = gc.function([x, y], outputs, backend="llvm")(a, b)
    wanted = gc.function([x, y], outputs, backend="reference")(a, b)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)
