"""vmap of loops, branches, matrices and Python functions: values and derivatives."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order

rng = np.random.default_rng(1)
BACKENDS = ["reference", "llvm"]


def ops_of(*tensors: Tensor) -> list[str]:
    return [node.op.name for node in topological_order(tensors)]


def call(backend: str, function: Any, *arrays: np.ndarray) -> Any:
    inputs = [gc.placeholder(f"x{n}", ("n", *a.shape[1:]), a.dtype) for n, a in enumerate(arrays)]
    outputs = function(*inputs)
    options: Any = {"backend": backend, "on_unused_input": "ignore"}
    return gc.function(inputs, outputs, **options)(*arrays)


# --- branches ------------------------------------------------------------------------------------


def rooted(x: Any) -> Any:
    """sqrt where that is defined; its derivative at 0 is never asked for."""
    return gc.cond(x > 0, lambda: gc.sqrt(x), lambda: x * 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_example_takes_its_own_branch(backend: str) -> None:
    x = np.array([4.0, -1.0, 0.0, 9.0])
    np.testing.assert_allclose(call(backend, gc.vmap(rooted), x), [2, -2, 0, 3])
    each = gc.vmap(lambda x: gc.grad(rooted(x), x))
    np.testing.assert_allclose(call(backend, each, x), [0.25, 2, 2, 1 / 6])
    outside = call(backend, lambda x: gc.grad(gc.sum(gc.vmap(rooted)(x)), x), x)
    np.testing.assert_allclose(outside, [0.25, 2, 2, 1 / 6])
    assert call(backend, gc.vmap(rooted), x[:0]).shape == (0,)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("flag", [False, True])
def test_a_branch_for_all_examples_is_no_loop(backend: str, flag: bool) -> None:
    p = gc.placeholder("p", (), "bool")
    x = gc.placeholder("x", ("n", 3), "float64")
    both = gc.vmap(lambda x: gc.cond(p, lambda: (gc.sum(x), x), lambda: (0.0, x * x)))(x)
    assert "scan" not in ops_of(*both)
    values = rng.normal(size=(4, 3))
    total, same = gc.function([p, x], list(both), backend=backend)(flag, values)
    np.testing.assert_allclose(total, values.sum(1) if flag else np.zeros(4))
    np.testing.assert_allclose(same, values if flag else values**2)


def test_checkpoint_keeps_its_branch() -> None:
    x = gc.placeholder("x", (5, 3), "float64")
    w = gc.placeholder("w", (3, 3), "float64")
    layer = gc.checkpoint(lambda h: gc.tanh(h @ w))
    found = gc.vmap(lambda h: gc.sum(layer(layer(h))))(x)
    assert ops_of(found).count("cond") == 2
    assert "scan" not in ops_of(found)
    plain = gc.sum(gc.tanh(gc.tanh(x @ w) @ w), axis=1)
    feeds = {x: rng.normal(size=(5, 3)), w: rng.normal(size=(3, 3))}
    for one, other in ((found, plain), (gc.grad(gc.sum(found), w), gc.grad(gc.sum(plain), w))):
        np.testing.assert_allclose(gc.run(one, feeds), gc.run(other, feeds), rtol=1e-12)


# --- loops ---------------------------------------------------------------------------------------


def root(a: Any) -> Any:
    """(sqrt(a), steps of Newton's iteration)"""
    return gc.while_loop(
        lambda c: gc.abs(c[0] * c[0] - a) > 1e-12,
        lambda c: ((c[0] + a / c[0]) / 2, c[1] + 1),
        (a, 0),
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_example_takes_its_own_steps(backend: str) -> None:
    a = np.array([1.0, 2.0, 100.0])
    found, steps = call(backend, gc.vmap(root), a)
    np.testing.assert_allclose(found, np.sqrt(a))
    assert steps[0] == 0 < steps[1] < steps[2]
    forward = gc.vmap(lambda a: gc.jvp(root(a)[0], a, 1.0))
    np.testing.assert_allclose(call(backend, forward, a[1:]), 0.5 / np.sqrt(a[1:]))
    outside = call(backend, lambda a: gc.grad(gc.sum(gc.vmap(root)(a)[0]), a), a[1:])
    np.testing.assert_allclose(outside, 0.5 / np.sqrt(a[1:]))


def test_a_reverse_derivative_of_ones_own_steps_is_an_error() -> None:
    a = gc.placeholder("a", ("n",), "float64")
    with pytest.raises(gc.FunctionError, match=r"\[E132\].*number of steps") as caught:
        gc.vmap(lambda a: gc.grad(root(a)[0], a))(a)
    assert "gc.grad(gc.sum(gc.vmap(loss)(xs)), xs)" in str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_common_number_of_steps_is_one_loop(backend: str) -> None:
    k = gc.placeholder("k", (), "int64")
    x = gc.placeholder("x", ("n",), "float64")

    def power(x: Any) -> Any:
        return gc.fori_loop(0, k, lambda i, c: c * x, 1.0)

    each = gc.vmap(lambda x: (power(x), gc.grad(power(x), x)))(x)
    assert ops_of(each[0]).count("while_loop") == 1
    assert "scan" not in ops_of(each[0])
    f = gc.function([k, x], list(each), backend=backend)
    values = np.array([0.5, 1.5, 2.0])
    for steps in (0, 1, 4):
        found, slopes = f(steps, values)
        np.testing.assert_allclose(found, values**steps)
        np.testing.assert_allclose(slopes, steps * values ** max(steps - 1, 0), rtol=1e-12)


# --- matrices ------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("right", [(3,), (3, 2), (2, 3, 2)])
def test_equations(which: tuple[int | None, int | None], right: tuple[int, ...]) -> None:
    matrices = 3 * np.eye(3) + 0.3 * rng.normal(size=(4, 3, 3))
    rights = rng.normal(size=(4, *right))
    a = matrices if which[0] == 0 else matrices[0]
    b = rights if which[1] == 0 else rights[0]
    functions = [gc.linalg.solve]
    if len(right) < 3:
        functions.append(gc.linalg.triangular_solve)
    for function in functions:
        x, y = gc.constant(a), gc.constant(b)
        mapped = gc.vmap(function, in_axes=which)(x, y)
        assert "scan" not in ops_of(mapped)
        ones = [
            function(x[n] if which[0] == 0 else x, y[n] if which[1] == 0 else y) for n in range(4)
        ]
        found, expected = (
            gc.run([z, *gc.grad(gc.sum(gc.sin(z)), [x, y])]) for z in (mapped, gc.stack(ones))
        )
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_derivatives_of_matrix_functions_outside() -> None:
    x = gc.placeholder("x", (4, 3, 3), "float64")
    value = 3 * np.eye(3) + 0.3 * rng.normal(size=(4, 3, 3))
    for one in (gc.linalg.det, gc.linalg.inv, gc.linalg.svdvals, gc.linalg.pinv, gc.linalg.expm):
        mapped, plain = gc.vmap(one)(x), one(x)
        assert "scan" not in ops_of(mapped)
        slopes = [gc.grad(gc.sum(gc.sin(y)), x) for y in (mapped, plain)]
        found, expected = gc.run(slopes, {x: value})
        np.testing.assert_allclose(found, expected, rtol=1e-10)


# --- complex numbers and Python functions --------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_transforms_of_complex_rows(backend: str) -> None:
    z = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
    found = call(backend, gc.vmap(lambda z: gc.abs(gc.fft.fft(z) * z.conj())), z)
    np.testing.assert_allclose(found, np.abs(np.fft.fft(z) * z.conj()), rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_python_functions_are_called_for_each_example(backend: str) -> None:
    seen: list[tuple[int, ...]] = []

    def ranks(x: np.ndarray) -> np.ndarray:
        seen.append(x.shape)
        return np.argsort(np.argsort(x))

    op = gc.custom_op("ranks", ranks, dtype="int64")
    x = rng.normal(size=(3, 5))
    found = call(backend, gc.vmap(lambda row: op(row) * 2), x)
    np.testing.assert_array_equal(found, 2 * np.argsort(np.argsort(x, axis=1), axis=1))
    assert seen.count((5,)) == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_checks_inside(backend: str) -> None:
    checked = gc.vmap(lambda x: gc.sqrt(gc.assert_(x, x >= 0, "not negative")))
    np.testing.assert_allclose(call(backend, checked, np.array([1.0, 4.0])), [1, 2])
    with pytest.raises(gc.GraphcError, match=r"\[E414\]"):
        call(backend, checked, np.array([1.0, -4.0]))
