"""Numbers that are known: a network worked out by hand, a polynomial, and extreme values that a
naive evaluation gets wrong."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
DTYPES = ("float32", "float64")

# --- Network([3, 4, 4, 1]) -----------------------------------------------------------------------


class Network:
    """Layers of sigmoid neurons. Columns are examples; biases are drawn before weights."""

    def __init__(self, sizes: list[int]) -> None:
        np.random.seed(0)
        biases = [np.random.randn(n, 1) for n in sizes[1:]]
        weights = [np.random.randn(n, m) for m, n in pairwise(sizes)]
        self.b = [gc.variable(b, f"b{k}") for k, b in enumerate(biases, 1)]
        self.w = [gc.variable(w, f"w{k}") for k, w in enumerate(weights, 1)]
        self.x = gc.placeholder("x", (3, 1), "float64")
        self.y = gc.placeholder("y", (1, 1), "float64")
        a = self.x
        for w, b in zip(self.w, self.b, strict=True):
            a = gc.sigmoid(w @ a + b)
        self.p = a
        self.p.name = "p"

    @property
    def parameters(self) -> list[gc.Variable]:
        return [*self.b, *self.w]


X, Y = np.array([[0.5], [-1.0], [2.0]]), np.array([[1.0]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_and_one_step_of_descent(backend: str) -> None:
    net = Network([3, 4, 4, 1])
    error = gc.sum((net.y - net.p) ** 2) / 2
    gradients = gc.grad(error, net.parameters)
    look = gc.function([net.x], net.p, backend=backend)
    step = gc.function(
        [net.x, net.y],
        [error, gradients[2], gradients[3]],
        [(p, p - 3 * g) for p, g in zip(net.parameters, gradients, strict=True)],
        backend=backend,
    )
    assert look(X).item() == pytest.approx(0.653117248526, rel=1e-11)
    found, by_b3, by_w1 = step(X, Y)
    assert found == pytest.approx(0.060163821635, rel=1e-10)
    assert by_b3.item() == pytest.approx(-0.0785880593, rel=1e-8)
    assert by_w1[0, 0] == pytest.approx(-0.000079685677, rel=1e-7)
    assert look(X).item() == pytest.approx(0.786328118345, rel=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_cross_entropy_of_a_network(backend: str) -> None:
    net = Network([3, 4, 4, 1])
    entropy = -gc.sum(net.y * gc.log(net.p) + (1 - net.y) * gc.log(1 - net.p))
    f = gc.function([net.x, net.y], [entropy, gc.grad(entropy, net.b[2])], backend=backend)
    found, by_b3 = f(X, Y)
    assert found == pytest.approx(0.425998612185, rel=1e-11)
    assert by_b3.item() == pytest.approx(-0.3468827515, rel=1e-9)


def test_the_gradient_of_a_cross_entropy_is_p_minus_y() -> None:
    net = Network([3, 4, 4, 1])
    entropy = -gc.sum(net.y * gc.log(net.p) + (1 - net.y) * gc.log(1 - net.p))
    slope = gc.function([net.x, net.y], gc.grad(entropy, net.b[2]), backend="reference")
    text = slope.graph_text()
    assert " / " not in text and "divide" not in text and "log" not in text
    p = re.findall(r"(\w+) = sigmoid", text)[-1]
    assert f" = {p} - y " in text


# --- f = (x + y)(2x - 3) -------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_polynomial_in_both_modes(dtype: str, backend: str) -> None:
    x, y = gc.placeholder("x", (), dtype), gc.placeholder("y", (), dtype)
    f = (x + y) * (2 * x - 3)
    one = gc.constant(1.0, dtype)
    zero = gc.constant(0.0, dtype)
    results = {
        "f": f,
        "grad": gc.grad(f, [x, y]),
        "vjp": gc.vjp(f, [x, y], one),
        "jvp": [gc.jvp(f, [x, y], [one, zero]), gc.jvp(f, [x, y], [zero, one])],
    }
    found = gc.function([x, y], results, backend=backend)(1, 2)
    assert found.pop("f") == -3
    for mode in ("grad", "vjp", "jvp"):
        assert [g.item() for g in found[mode]] == [5, -1]
        assert all(g.dtype == dtype for g in found[mode])


# --- stable as written ---------------------------------------------------------------------------


def xlogx(x: Any) -> Any:
    return gc.where(x > 0, x * gc.log(x), 0.0)


STABLE: dict[str, tuple[Callable[[Any], Any], list[float], list[float]]] = {
    "log(sigmoid(x))": (lambda x: gc.log(gc.sigmoid(x)), [-800, 0, 800], [-800, -np.log(2), 0]),
    "log(1 - sigmoid(x))": (
        lambda x: gc.log(1 - gc.sigmoid(x)),
        [-800, 0, 800],
        [0, -np.log(2), -800],
    ),
    "log(1 + exp(x))": (lambda x: gc.log(1 + gc.exp(x)), [-1000, 0, 1000], [0, np.log(2), 1000]),
    "log(softmax(x))": (lambda x: gc.log(gc.softmax(x)), [0, -800], [0, -800]),
    "logsumexp": (lambda x: gc.logsumexp(x), [1000, 1000], [1000 + np.log(2)]),
    "log(sum(exp(x)))": (lambda x: gc.log(gc.sum(gc.exp(x))), [-1000, -1000], [-1000 + np.log(2)]),
    "exp(x) - 1": (lambda x: gc.exp(x) - 1, [1e-20, -1e-20, 0], [1e-20, -1e-20, 0]),
    "log(1 + x)": (lambda x: gc.log(1 + x), [1e-20, -1e-20, 0], [1e-20, -1e-20, 0]),
    "sqrt(x * x)": (lambda x: gc.sqrt(x * x), [1e30, -1e-30, -2], [1e30, 1e-30, 2]),
    "grad of where(x > 0, sqrt(x), 0)": (
        lambda x: gc.grad(gc.sum(gc.where(x > 0, gc.sqrt(x), 0)), x),
        [0, -1, 4],
        [0, 0, 0.25],
    ),
    "grad of where(x > 0, x log(x), 0)": (
        lambda x: gc.grad(gc.sum(xlogx(x)), x),
        [0, 1, -2],
        [0, 1, 0],
    ),
    "grad of log(sigmoid(x))": (
        lambda x: gc.grad(gc.sum(gc.log(gc.sigmoid(x))), x),
        [-800, 0, 800],
        [1, 0.5, 0],
    ),
    "grad of -log(softmax(x))[0]": (
        lambda x: gc.grad(-gc.log(gc.softmax(x))[0], x),
        [-800, 0, 0],
        [-1, 0.5, 0.5],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", STABLE)
def test_naive_expressions_are_computed_stably(name: str, backend: str) -> None:
    build, values, wanted = STABLE[name]
    for dtype in DTYPES:
        x = gc.placeholder("x", (None,), dtype)
        found = gc.function([x], build(x), backend=backend)(np.array(values, dtype))
        assert found.dtype == dtype
        tolerance = 2e-6 if dtype == "float32" else 1e-13
        exact = np.array(wanted, dtype)
        np.testing.assert_allclose(np.atleast_1d(found), exact, rtol=tolerance, atol=0)
