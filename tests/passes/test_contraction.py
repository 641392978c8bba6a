"""Transposes as flags, and the order of matmul chains."""

import numpy as np
import pytest

import graphc as gc
from graphc.ir.printer import format_expression
from graphc.ir.tensor import Tensor
from graphc.passes.canonicalize.movement import MOVEMENT
from graphc.passes.contraction import CONTRACTION
from graphc.rewrite.driver import rewrite
from graphc.rewrite.rule import RuleTable
from tests.passes.rewriting import Build, rewritten

TABLE = RuleTable(CONTRACTION, movement=MOVEMENT)
SQUARES = ("float64[4, 4]",) * 4

TRANSPOSES: list[tuple[Build, str]] = [
    (lambda x, y: x.T @ y, "matmul(x, y, transpose_a=True)"),
    (lambda x, y: x @ y.T, "matmul(x, y, transpose_b=True)"),
    (lambda x, y: x.T @ y.T, "matmul(x, y, transpose_a=True, transpose_b=True)"),
    (lambda x, y: gc.matmul(x.T, y, transpose_a=True), "x @ y"),
    (lambda x, y: (x @ y).T, "matmul(y, x, transpose_a=True, transpose_b=True)"),
    (lambda x, y: (x.T @ y).T, "matmul(y, x, transpose_a=True)"),
    (lambda x, y: (x.T @ y.T).T, "y @ x"),
    (lambda x, y: x.T.T @ y, "x @ y"),
]


@pytest.mark.parametrize(("build", "after"), TRANSPOSES, ids=[after for _, after in TRANSPOSES])
def test_transposes_become_flags(build: Build, after: str) -> None:
    found = rewritten(TABLE, build, *SQUARES)
    assert found.after == after
    rng = np.random.default_rng(0)
    old, new = found.values([rng.normal(size=(4, 4)) for _ in found.inputs])
    np.testing.assert_allclose(new, old, rtol=1e-13)


def test_transposes_of_batches() -> None:
    batch = ("float32[n, 3, 4]", "float32[n, 3, 4]")
    assert rewritten(TABLE, lambda x, y: x.mT @ y, *batch).after == "matmul(x, y, transpose_a=True)"
    other = rewritten(TABLE, lambda x, y: gc.permute_dims(x, (1, 0, 2)) @ y, "f4[3, 2, 4]", "f4[4]")
    assert other.after == "permute_dims(x, axes=(1, 0, 2)) @ y"


def test_a_product_that_is_used_elsewhere_is_not_computed_twice() -> None:
    x, y = gc.placeholder("x", (4, 4)), gc.placeholder("y", (4, 4))
    product = x @ y
    first, _ = rewrite([product.T, product], TABLE)
    assert format_expression(first) == "permute_dims(x @ y, axes=(1, 0))"


def test_vectors_have_no_transpose() -> None:
    found = rewritten(TABLE, lambda x, y: x @ y, "float32[3]", "float32[3]")
    assert found.after == "x @ y"


CHAINS: list[tuple[Build, tuple[str, ...], str]] = [
    (lambda x, y, z: x @ y @ z, ("f4[9, 9]", "f4[9, 9]", "f4[9, 1]"), "x @ (y @ z)"),
    (lambda x, y, z: x @ (y @ z), ("f4[1, 9]", "f4[9, 9]", "f4[9, 9]"), "(x @ y) @ z"),
    (lambda x, y, z: x @ y @ z, ("f4[9, 9]", "f4[9, 9]", "f4[9]"), "x @ (y @ z)"),
    (lambda x, y, z: x @ (y @ z), ("f4[9]", "f4[9, 9]", "f4[9, 9]"), "(x @ y) @ z"),
    (
        lambda x, y, z, w: ((x @ y) @ z) @ w,
        ("f4[10, 100]", "f4[100, 5]", "f4[5, 50]", "f4[50]"),
        "x @ (y @ (z @ w))",
    ),
    (
        lambda x, y, z: x.T @ y.T @ z,
        ("f4[9, 9]", "f4[9, 9]", "f4[9, 1]"),
        "matmul(x, matmul(y, z, transpose_a=True), transpose_a=True)",
    ),
    # Symbolic sizes: where it is better for all sizes of two and more.
    (lambda x, y, z: x @ y @ z, ("f4[n, m]", "f4[m, k]", "f4[k]"), "x @ (y @ z)"),
    (lambda x, y, z: x @ (y @ z), ("f4[n]", "f4[n, m]", "f4[m, k]"), "(x @ y) @ z"),
    # Nothing to gain, or nothing to prove.
    (lambda x, y, z: x @ y @ z, ("f4[9, 9]", "f4[9, 9]", "f4[9, 9]"), "(x @ y) @ z"),
    (lambda x, y, z: x @ (y @ z), ("f4[9, 9]", "f4[9, 9]", "f4[9, 9]"), "x @ (y @ z)"),
    (lambda x, y, z: x @ y @ z, ("f4[n, m]", "f4[m, k]", "f4[k, l]"), "(x @ y) @ z"),
    # x @ v is a vector, and its product with z from the right no link of the chain.
    (lambda x, y, z: (x @ y) @ z, ("f4[9, 9]", "f4[9]", "f4[9, 9]"), "(x @ y) @ z"),
    (lambda x, y, z: x @ (y @ z), ("f4[9, 9]", "f4[9]", "f4[9, 9]"), "x @ (y @ z)"),
    # Batches keep their order.
    (lambda x, y, z: x @ y @ z, ("f4[2, 9, 9]", "f4[9, 9]", "f4[9, 1]"), "(x @ y) @ z"),
]


@pytest.mark.parametrize(("build", "types", "after"), CHAINS)
def test_order_of_a_chain(build: Build, types: tuple[str, ...], after: str) -> None:
    names = [name.replace("f4", "float64") for name in types]
    found = rewritten(TABLE, build, *names)
    assert found.after == after
    rng = np.random.default_rng(0)
    shapes = [[s if isinstance(s, int) else len(str(s)) + 5 for s in t.shape] for t in found.inputs]
    old, new = found.values([rng.normal(size=shape) for shape in shapes])
    np.testing.assert_allclose(new, old, rtol=1e-11)


def test_a_product_that_is_used_elsewhere_stays_in_its_chain() -> None:
    x, y = gc.placeholder("x", (9, 9)), gc.placeholder("y", (9, 9))
    v = gc.placeholder("v", (9,))
    product = x @ y
    first, _ = rewrite([product @ v, product], TABLE)
    assert format_expression(first) == "(x @ y) @ v"


def test_long_chains_are_ordered_piecewise() -> None:
    factors = [gc.placeholder(f"m{k}", (9, 9)) for k in range(40)]
    value: Tensor = factors[0]
    for factor in factors[1:]:
        value = value @ factor
    value = value @ gc.placeholder("v", (9,))
    (new,) = rewrite([value], TABLE)
    last = new
    while last.op.name == "matmul" and last.ndim == 1:
        last = last.node.inputs[0] if last.node.inputs[0].ndim == 1 else last.node.inputs[1]
    assert last.name == "v"
