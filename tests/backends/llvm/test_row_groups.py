"""Short rows that end in the middle of a vector: several as one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

LENGTHS = (2, 3, 5, 7, 9, 12, 17, 20, 33, 40)
COUNTS = (0, 1, 5, 127, 128, 129, 1000, 1003)
FORMULAS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "centred": lambda m, x, c: m.tanh(x - c),
    "scaled": lambda m, x, c: (x - c) / (c * c + 1) - c,
    "above": lambda m, x, c: x > c,
    "chosen": lambda m, x, c: m.where(c > 0, x, c * 2),
    "two": lambda m, x, c: m.exp(-m.abs(x * m.sqrt(m.abs(c)))) + x,
}


def are_grouped(f: gc.Function) -> bool:
    """Of rows of three float32 numbers."""
    return "alloca [48 x float]" in f.llvm()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("length", LENGTHS)
def test_rows_of_any_number(length: int, dtype: str) -> None:
    rng = np.random.default_rng(length)
    x, c = gc.placeholder("x", ("n", length), dtype), gc.placeholder("c", (length,), dtype)
    formulas = ["above", "chosen"] if dtype == "int32" else list(FORMULAS)
    f = gc.function([x, c], [FORMULAS[name](gc, x, c) for name in formulas])
    for count in COUNTS:
        a = (rng.normal(size=(count, length)) * 3).astype(dtype)
        b = (rng.normal(size=length) * 3).astype(dtype)
        for name, found in zip(formulas, f(a, b), strict=True):
            expected = FORMULAS[name](np, a, b)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("count", [127, 128, 1000, 1003])
def test_rows_of_known_number(count: int) -> None:
    x, c = gc.placeholder("x", (count, 3)), gc.placeholder("c", (3,))
    f = gc.function([x, c], gc.tanh(x * c))
    a = np.random.default_rng(0).normal(size=(count, 3)).astype("float32")
    b = np.array([1, -2, 0.5], "float32")
    np.testing.assert_allclose(f(a, b), np.tanh(a * b), rtol=1e-5, atol=1e-6)
    assert are_grouped(f) == (count >= 128)


def test_images_with_colours_last() -> None:
    """Rows inside of other loops, which the pattern does not depend on."""
    x, c = gc.placeholder("x", ("b", "h", "w", 3)), gc.placeholder("c", (3,))
    y = gc.placeholder("y", ("b", "h", 1, 3))
    f = gc.function([x, c], gc.tanh(x - c))
    g = gc.function([x, y], gc.tanh(x - y))  # another pattern for each line
    part = gc.function([x, c], gc.tanh(x[:, 1:, ::2] - c))
    assert are_grouped(f) and not are_grouped(g)
    rng = np.random.default_rng(0)
    colours = np.array([0.1, 0.2, 0.3], "float32")
    for shape in [(2, 20, 30), (1, 1, 1), (3, 0, 4), (1, 7, 150)]:
        a = rng.normal(size=(*shape, 3)).astype("float32")
        lines = rng.normal(size=(*shape[:2], 1, 3)).astype("float32")
        np.testing.assert_allclose(f(a, colours), np.tanh(a - colours), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(g(a, lines), np.tanh(a - lines), rtol=1e-5, atol=1e-6)
        if shape[1]:
            expected = np.tanh(a[:, 1:, ::2] - colours)
            np.testing.assert_allclose(part(a, colours), expected, rtol=1e-5, atol=1e-6)


def test_what_belongs_to_a_row_keeps_rows_apart() -> None:
    x, r = gc.placeholder("x", ("n", 5)), gc.placeholder("r", ("n",))
    f = gc.function([x, r], gc.tanh(x * r[:, None]))
    places = gc.function([x], gc.where(gc.arange(x.shape[0])[:, None] > gc.arange(5), x, 0.0))
    a = np.random.default_rng(0).normal(size=(300, 5)).astype("float32")
    b = np.random.default_rng(1).normal(size=300).astype("float32")
    np.testing.assert_allclose(f(a, b), np.tanh(a * b[:, None]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(places(a), np.tril(a, -1))


def test_threads_give_the_same_bits() -> None:
    x, c = gc.placeholder("x", ("n", 7)), gc.placeholder("c", (7,))
    a = np.random.default_rng(0).normal(size=(60_001, 7)).astype("float32")
    b = np.random.default_rng(1).normal(size=7).astype("float32")
    one, two = (gc.function([x, c], gc.tanh(x * c), threads=n)(a, b) for n in (1, 2))
    assert one.tobytes() == two.tobytes()
