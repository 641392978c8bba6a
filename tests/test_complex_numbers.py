"""Complex numbers from end to end: functions, variables, loops, gradients, text, errors."""

import cmath
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.parser import parse_graph
from graphc.ir.printer import as_graph, format_graph

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
by_backend = pytest.mark.parametrize("backend", BACKENDS)


def numbers(*shape: int, dtype: str = "complex64", seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


# --- functions -----------------------------------------------------------------------------------


@by_backend
@pytest.mark.parametrize("size", [0, 1, 5])
def test_one_function_serves_all_sizes(backend: str, size: int) -> None:
    x, y = (gc.placeholder(name, ("n", 3), "complex64") for name in "xy")
    f = gc.function([x, y], [x * y - 1j, x[:, 0].conj(), abs(x)], backend=backend, check=True)
    a, b = numbers(size, 3), numbers(size, 3, seed=1)
    product, first, length = f(a, b)
    assert [r.dtype for r in (product, first, length)] == ["complex64", "complex64", "float32"]
    np.testing.assert_allclose(product, a * b - np.complex64(1j), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(first, a[:, 0].conj())
    np.testing.assert_allclose(length, np.abs(a), rtol=1e-6)


@by_backend
def test_feeds_of_all_layouts(backend: str) -> None:
    x = gc.placeholder("x", (None, None), "complex128")
    f = gc.function([x], x + 0, backend=backend)
    base = numbers(4, 6, dtype="complex128")
    frozen = base.copy()
    frozen.flags.writeable = False
    for array in (base, base.T, base[::2, ::-3], frozen, base.astype("complex64"), base.real):
        np.testing.assert_array_equal(f(array), array)
    result = f(base)
    result[...] = 0  # results belong to the caller
    assert f(base).any()


@by_backend
def test_scalars_and_constants(backend: str) -> None:
    x = gc.placeholder("x", (), "complex64")
    c = gc.constant([1 + 2j, 3.0], dtype="complex64")
    f = gc.function([x], [x * 2, x * c, gc.real(c), gc.full((2,), 1j)], backend=backend)
    twice, products, real, filled = f(1 - 1j)
    assert twice.shape == () and twice == 2 - 2j
    assert products.tolist() == [3 + 1j, 3 - 3j]
    assert real.tolist() == [1, 3] and filled.tolist() == [1j, 1j]


@by_backend
def test_variables_and_updates(backend: str) -> None:
    v = gc.variable(np.array([1 + 1j, 2.0], "complex64"), "v")
    w = gc.variable(np.float32(0), "w")
    f = gc.function([], v, updates={v: v * 1j, w: w + gc.sum(abs(v))}, backend=backend)
    assert f().tolist() == [1 + 1j, 2]
    assert v.value.dtype == np.complex64 and v.value.tolist() == [-1 + 1j, 2j]
    assert f().tolist() == [-1 + 1j, 2j] and v.value.tolist() == [-1 - 1j, -2]
    np.testing.assert_allclose(w.value, 2 * (np.sqrt(2) + 2), rtol=1e-6)
    v.value = [0, 1j]
    assert f().tolist() == [0, 1j]


@by_backend
def test_loops_and_branches(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "complex128")
    last, running = gc.scan(lambda c, e: (c * e + 1j, c.real), 1 + 0j * x[0], x)
    taken = gc.cond(abs(x[0]) > 10, lambda: x * 2, lambda: x.conj())
    f = gc.function([x], [last, running, taken], backend=backend, check=True)
    array = numbers(4, dtype="complex128")
    carry, seen = 1 + 0j, []
    for element in array:
        seen.append(carry.real)
        carry = carry * element + 1j
    found = f(array)
    np.testing.assert_allclose(found[0], carry, rtol=1e-12)
    np.testing.assert_allclose(found[1], seen, rtol=1e-12)
    np.testing.assert_array_equal(found[2], array.conj())


def test_branch_cuts_and_special_values() -> None:
    values = np.array([2, -2, 2 - 0.0j, -0.5, 0, 1j, -2j, 1e20 + 1e20j, -1e-20j], "complex128")
    values = np.concatenate([values, values.conj()])
    x = gc.placeholder("x", ("n",), "complex128")
    names = ("sqrt", "log", "asin", "acos", "atan", "asinh", "acosh", "exp", "tanh", "sinh")
    built = gc.function([x], [getattr(gc, name)(x) for name in names], check=True)(values)
    for name, found in zip(names, built, strict=True):
        with np.errstate(all="ignore"):
            expected = getattr(
                np,
                {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(
                    name, name.replace("as", "arcs").replace("ac", "arcc")
                ),
            )(values)
        with np.errstate(all="ignore"):
            finite = np.isfinite(expected)
        np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-13, atol=1e-290)


def test_infinite_parts() -> None:
    inf = np.inf
    values = np.array([complex(x, y) for x in (inf, -inf, 1, -2) for y in (inf, -inf, 0, -0.0, 3)])
    values = values[np.isinf(values)]
    x = gc.placeholder("x", ("n",), "complex128")
    names = ("sqrt", "log", "asin", "acos", "atan", "asinh", "acosh", "atanh", "abs")
    built = gc.function([x], [getattr(gc, name)(x) for name in names])(values)
    for name, found in zip(names, built, strict=True):
        with np.errstate(all="ignore"):
            expected = getattr(np, name if hasattr(np, name) else f"arc{name[1:]}")(values)
        np.testing.assert_allclose(found.real, expected.real, rtol=1e-13, err_msg=name)
        np.testing.assert_allclose(found.imag, expected.imag, rtol=1e-13, err_msg=name)


def test_division_does_not_overflow() -> None:
    x, y = gc.placeholder("x", (), "complex64"), gc.placeholder("y", (), "complex64")
    f = gc.function([x, y], [x / y, abs(x), 1 / y])
    quotient, length, inverse = f(np.complex64(1e30 + 1e30j), np.complex64(2e30 + 1e30j))
    np.testing.assert_allclose(quotient, (1 + 1j) / (2 + 1j), rtol=1e-6)
    np.testing.assert_allclose(length, np.sqrt(2) * 1e30, rtol=1e-6)
    np.testing.assert_allclose(inverse, 1 / (2e30 + 1e30j), rtol=1e-6)


def test_products_and_means() -> None:
    a, b = numbers(3, 4, dtype="complex128"), numbers(4, 2, dtype="complex128", seed=1)
    x, y = gc.constant(a), gc.constant(b)
    found = gc.run([x @ y, gc.vecdot(x, x), gc.mean(x), gc.einsum("ij,jk->ki", x, y), gc.prod(x)])
    expected = [a @ b, np.vecdot(a, a), a.mean(), (a @ b).T, a.prod()]
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_one_kernel() -> None:
    a, b, c = (gc.placeholder(name, ("n",), "complex64") for name in "abc")
    program = gc.function([a, b, c], abs(a * b + c)).stages.program
    assert program is not None and len(program.steps) == 1


@by_backend
def test_the_first_bad_number_is_found(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "complex64")
    f = gc.function([x], gc.log(x) * 2, check="nan", backend=backend)
    assert f([1.0]) == 0
    with pytest.raises(gc.NumericsError, match="first to give"):
        f([1, 0])


# --- gradients -----------------------------------------------------------------------------------


def test_a_step_against_the_gradient_descends() -> None:
    """The gradient of |z - c|^2 is 2 (z - c)."""
    z = gc.variable(np.array([3 - 2j, 1j]), "z")
    cost = gc.sum(gc.square(abs(z - (1 + 1j))))
    step = gc.function([], cost, updates={z: z - 0.25 * gc.grad(cost, z)})
    costs = [float(step()) for _ in range(20)]
    assert costs == sorted(costs, reverse=True) and costs[-1] < 1e-9
    np.testing.assert_allclose(z.value, 1 + 1j, atol=1e-5)


def test_gradients_of_parts() -> None:
    z = gc.placeholder("z", (), "complex128")
    costs = {"real": 1, "imag": 1j, "abs": (3 + 4j) / 5, "angle": 1j * (3 + 4j) / 25}
    for name, expected in costs.items():
        found = gc.run(gc.grad(getattr(gc, name)(z), z), {z: 3 + 4j})
        np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=name)
    assert gc.run(gc.grad(abs(z), z), {z: 0}) == 0
    holomorphic = gc.run(gc.grad(gc.real(z**3), z), {z: 1 + 2j})
    np.testing.assert_allclose(holomorphic, np.conj(3 * (1 + 2j) ** 2), rtol=1e-12)


def test_products_with_jacobians() -> None:
    z = gc.placeholder("z", (2,), "complex128")
    value, u = numbers(2, dtype="complex128"), numbers(2, dtype="complex128", seed=1)
    found = gc.run(
        [gc.vjp(gc.exp(z), z, u), gc.jvp(gc.exp(z), z, u), gc.jacobian(gc.exp(z), z)], {z: value}
    )
    np.testing.assert_allclose(found[0], u * np.conj(np.exp(value)), rtol=1e-12)
    np.testing.assert_allclose(found[1], u * np.exp(value), rtol=1e-12)
    np.testing.assert_allclose(found[2], np.diag(np.exp(value)), rtol=1e-12)


def test_loops_have_gradients() -> None:
    def last(x: gc.Tensor, w: gc.Tensor) -> gc.Tensor:
        carry: gc.Tensor = gc.scan(lambda c, e: (gc.sin(c * w) + e, None), x[0] * 0, x)[0]
        return carry

    gc.verify_grad(last, [numbers(4), numbers()])
    gc.verify_grad(lambda x, r: gc.real(x) * r + abs(x) ** 2 * gc.complex(r, r), [numbers(3), 2.0])


# --- text and errors -----------------------------------------------------------------------------


def test_constants_read_back() -> None:
    values = np.array([1 + 2j, -0.0 - 1e-30j, complex(np.nan, -np.inf), -1e20 + 0j], "complex64")
    x = gc.placeholder("x", (4,), "complex64")
    y = gc.pad(x * gc.constant(values) + complex(0.0, -0.0), 1, constant_values=1e-9 - 2j)
    text = format_graph(as_graph([y, y / np.complex64(3 - 1e-7j)]))
    assert format_graph(parse_graph(text)) == text
    assert "-0.0j)c64" in text


@pytest.mark.parametrize(
    "build",
    [
        lambda z: z < 1,
        lambda z: gc.maximum(z, z),
        lambda z: gc.max(z),
        lambda z: gc.sort(z),
        lambda z: gc.argmax(z),
        lambda z: gc.clip(z, 0, 1),
        lambda z: gc.floor(z),
        lambda z: z // 2,
        lambda z: z.astype("float32"),
        lambda z: gc.sigmoid(z),
        lambda z: z.at[0].max(1j),
        lambda z: gc.full((2,), 1j, "float32"),
        lambda z: gc.complex(z, z),
    ],
)
def test_what_complex_numbers_do_not_have(build: Any) -> None:
    z = gc.placeholder("z", (3,), "complex64")
    with pytest.raises(gc.DTypeError) as caught:
        build(z)
    assert caught.value.code == "E214" and "test_complex_numbers.py" in str(caught.value)


def test_what_gradients_need() -> None:
    z = gc.placeholder("z", (), "complex64")
    with pytest.raises(gc.GradientError, match="real cost"):
        gc.grad(z * z, z)
    with pytest.raises(gc.GradientError, match="jacobian of float32 by complex64"):
        gc.jacobian(abs(z), z)
    x = gc.placeholder("x", ())
    with pytest.raises(gc.FeedTypeError, match="imaginary part"):
        gc.function([x], x)(1j)


# --- infinite and undefined parts ----------------------------------------------------------------

INF, NAN = float("inf"), float("nan")
PARTS = (0.0, -0.0, 1.5, -1.5, INF, -INF, NAN)
POINTS = np.array([complex(x, y) for x in PARTS for y in PARTS])
C99 = ("exp", "sinh", "cosh", "tanh", "asin", "acos", "asinh", "acosh", "atanh", "sqrt", "log")


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
@pytest.mark.parametrize("name", C99)
def test_parts_beyond_numbers_are_those_of_c99(name: str, backend: str) -> None:
    x = gc.placeholder("x", ("n",), "complex128")
    function, known = getattr(gc, name), getattr(cmath, name)
    found = gc.function([x], function(x), backend=backend)(POINTS)
    for point, value in zip(POINTS, found, strict=True):
        if np.isfinite(point) or (name in ("tanh", "acosh") and point.real == 0):
            continue  # there the standard follows a later C than Python does
        try:
            wanted = known(complex(point))
        except (ValueError, OverflowError):  # Python refuses what C answers with NaN
            continue
        for one, other in ((value.real, wanted.real), (value.imag, wanted.imag)):
            np.testing.assert_allclose(abs(one), abs(other), rtol=1e-15, err_msg=str(point))


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_expm1_and_tanh_beyond_numbers(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "complex64")
    points = [complex(-INF, INF), complex(INF, NAN), complex(NAN, 0), complex(INF, 0), -0.0 + 0j]
    found = gc.function([x], gc.expm1(x), backend=backend)(np.array(points, "complex64"))
    np.testing.assert_array_equal(np.abs(found.real), [1, INF, NAN, INF, 0])
    np.testing.assert_array_equal(np.abs(found.imag), [0, NAN, 0, 0, 0])
    assert not np.signbit(found.real[-1])
    far = gc.function([x], gc.tanh(x), backend=backend)(
        np.array([complex(INF, 2), complex(-INF, -2)], "complex64")
    )
    np.testing.assert_array_equal(np.signbit(far.imag), [False, True])


def test_signs_at_zero() -> None:
    x = gc.placeholder("x", ("n",), "complex64")
    zeros = np.array([complex(a, b) for a in (0.0, -0.0) for b in (0.0, -0.0)], "complex64")
    found = gc.function([x], gc.sign(x))(zeros)
    assert not np.signbit(found.real).any() and not np.signbit(found.imag).any()
    grown = gc.function([x], gc.expm1(x))(zeros)
    np.testing.assert_array_equal(np.signbit(grown.imag), np.signbit(zeros.imag))
