"""Custom ops: Python functions on arrays as ops."""

from typing import Any

import numba
import numpy as np
import pytest

import graphc as gc
from graphc.errors import CustomOpError, FeedError, GradientError, HostCallError, ShapeError

BACKENDS = ("llvm", "numba_cpu", "interpreter", "reference")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


ANYTHING: Any = 3


def numbers(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


@gc.custom_op("softly", vjp=lambda x, dy, *, width: dy * gc.cos(x) * width)
def softly(x: np.ndarray, *, width: int) -> Any:
    return np.sin(x) * x.dtype.type(width)


def test_value_and_gradient(backend: str) -> None:
    x = gc.placeholder("x", ("n", 2))
    y = softly(x * 2, width=3)
    f = gc.function([x], [y + 1, gc.grad(gc.sum(y), x)], backend=backend, check=True)
    array = numbers(3, 2)
    value, slope = f(array)
    np.testing.assert_allclose(value, np.sin(array * 2) * 3 + 1, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope, np.cos(array * 2) * 6, rtol=1e-5, atol=1e-6)


def test_derivatives_agree_with_finite_differences() -> None:
    gc.verify_grad(lambda x: softly(x, width=2), [np.linspace(-1, 1, 5)])


def test_forward_mode_follows_or_is_given() -> None:
    array = np.linspace(-1, 1, 5)
    x = gc.placeholder("x", (5,), "float64")
    given = gc.custom_op(
        "given", lambda x: x**2, vjp=lambda x, dy: 2 * x * dy, jvp=lambda x, t: 2 * x * t
    )
    ops: list[Any] = [given, lambda x: softly(x, width=2)]
    for op in ops:
        tangent = gc.jvp(op(x), x, gc.ones_like(x))
        gradient = gc.grad(gc.sum(op(x)), x)
        one, other = gc.function([x], [tangent, gradient])(array)
        np.testing.assert_allclose(one, other)


def test_a_gradient_may_be_a_custom_op(backend: str) -> None:
    slope = gc.custom_op("slope", lambda x, dy: dy * 3 * x**2)
    cube = gc.custom_op("cube", lambda x: x**3, vjp=slope)
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], gc.grad(gc.sum(cube(x)), x), backend=backend)
    np.testing.assert_allclose(f(numbers(4)), 3 * numbers(4) ** 2)


def test_gradient_through_a_loop(backend: str) -> None:
    double = gc.custom_op("double", lambda x: x * 2, vjp=lambda x, dy: dy * 2)
    x = gc.placeholder("x", ("n",))
    total, _ = gc.scan(lambda c, e: (double(c + e), None), 0.0, x)
    f = gc.function([x], [total, gc.grad(total, x)], backend=backend, check=True)
    value, slope = f(np.ones(3, "float32"))
    assert value == 14
    np.testing.assert_array_equal(slope, [8, 4, 2])


def test_signatures(backend: str) -> None:
    outer = gc.custom_op("outer", np.outer, infer="(n), (m) -> (n, m)")
    parts = gc.custom_op(
        "parts", lambda a, b: (a[0], np.float32(b.sum())), infer="(n, k), (k) -> (k), ()"
    )
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", (None,))
    table = outer(x, y)
    assert str(table.type) == f"float32[n, {y.shape[0]}]"
    row, total = parts(table, y)
    f = gc.function([x, y], [table, row, total], backend=backend, check=True)
    found = f(numbers(2) + 1, numbers(3))
    np.testing.assert_array_equal(found[0], np.outer([1, 2], [0, 1, 2]))
    np.testing.assert_array_equal(found[1], [0, 1, 2])
    assert found[2] == 3


def test_a_signature_is_checked_while_building_and_at_the_call() -> None:
    dot = gc.custom_op("dot", lambda a, b: np.float32(a @ b), infer="(n), (n) -> ()")
    with pytest.raises(ShapeError, match="size n of the signature"):
        dot(gc.zeros((3,)), gc.zeros((4,)))
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    f = gc.function([x, y], dot(x, y))
    assert f(numbers(3), numbers(3)) == 5
    with pytest.raises(FeedError, match="size n of the signature") as caught:
        f(numbers(3), numbers(4))
    assert "test_custom.py" in str(caught.value)


def test_infer_by_function_with_attributes_and_symbolic_sizes(backend: str) -> None:
    tiled = gc.custom_op(
        "tiled",
        lambda x, *, times: np.tile(x, times).astype("float64"),
        infer=lambda x, *, times: ("float64", (x.shape[0] * times,)),
    )
    x = gc.placeholder("x", ("n",))
    y = tiled(x, times=2)
    assert str(y.type) == "float64[2*n]"
    f = gc.function([x], y, backend=backend, check=True)
    for size in (3, 1, 0):
        np.testing.assert_array_equal(f(numbers(size)), np.tile(numbers(size), 2))


def test_attributes_are_part_of_the_identity() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], [softly(x, width=1), softly(x, width=2), softly(x, width=[1, 2][0])])
    one, two, again = f(numbers(3))
    np.testing.assert_array_equal(two, one * 2)
    np.testing.assert_array_equal(one, again)
    assert f.graph_text().count("softly") == 2


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: gc.custom_op("not a name", np.sin), "not a usable name"),
        (lambda: gc.custom_op("f", np.sin, infer="n -> n"), "cannot be read"),
        (lambda: gc.custom_op("f", np.sin, infer="(n) -> (m)"), "no input has the size 'm'"),
        (lambda: gc.custom_op("f", np.sin, infer=ANYTHING), "infer is int"),
        (lambda: gc.custom_op("f", np.sin)(), "no input to take the type of"),
        (lambda: gc.custom_op("f", np.sin, infer="(n) -> (n)")(gc.zeros((2, 2))), "do not fit"),
        (lambda: gc.custom_op("f", np.sin, infer=lambda x: x.size)(gc.zeros(2)), "AttributeError"),
        (lambda: gc.custom_op("f", np.sin, infer=lambda x: 3)(gc.zeros(2)), "infer returned 3"),
    ],
)
def test_wrong_declarations(build: Any, words: str) -> None:
    with pytest.raises(CustomOpError, match=words) as caught:
        build()
    assert caught.value.code == "E413"
    assert "test_custom.py" in str(caught.value)


def test_no_derivative() -> None:
    op = gc.custom_op("rough", np.sin)
    x = gc.placeholder("x", ("n",))
    with pytest.raises(GradientError, match="rough has no derivative") as caught:
        gc.grad(gc.sum(op(x)), x)
    assert caught.value.code == "E304" and "vjp=" in str(caught.value)


def test_wrong_number_of_gradients() -> None:
    op = gc.custom_op("odd", lambda x, y: x, vjp=lambda x, y, dy: dy)
    x = gc.placeholder("x", ("n",))
    with pytest.raises(GradientError, match="vjp returned 1 for 2"):
        gc.grad(gc.sum(op(x, x * 2)), x)


def test_errors_of_the_function(backend: str) -> None:
    x = gc.placeholder("x", ("n",))
    short = gc.function([x], gc.custom_op("short", lambda x: x[1:])(x * 2), backend=backend)
    with pytest.raises(HostCallError, match=r"got float32\[2\], allowed float32\[3\]"):
        short(numbers(3))
    wrong = gc.function([x], gc.custom_op("wrong", lambda x: x.missing)(x), backend=backend)
    with pytest.raises(HostCallError, match="AttributeError") as caught:
        wrong(numbers(3))
    assert isinstance(caught.value.__cause__, AttributeError)


def test_effect_keeps_every_call() -> None:
    seen: list[float] = []

    @gc.custom_op("note", effect=True)
    def note(x: np.ndarray) -> np.ndarray:
        seen.append(float(x.sum()))
        return x

    x = gc.placeholder("x", ("n",))
    f = gc.function([x], [note(x), note(x), note(gc.constant(2.0))])
    f(numbers(3))
    assert seen == [3, 3, 2]


def test_complex_arrays(backend: str) -> None:
    turn = gc.custom_op("turn", lambda z: z * 1j, vjp=lambda z, dy: dy * -1j)
    size = gc.custom_op("size", lambda z: np.abs(z), dtype="float32")
    z = gc.placeholder("z", ("n",), "complex64")
    cost = gc.sum(gc.real(turn(z) * z))
    f = gc.function([z], [turn(z) + 1, size(z), gc.grad(cost, z)], backend=backend, check=True)
    array = np.array([1 + 2j, 3j], "complex64")
    turned, sizes, _ = f(array)
    np.testing.assert_allclose(turned, array * 1j + 1)
    np.testing.assert_allclose(sizes, np.abs(array), rtol=1e-6)


# --- functions that Numba compiled -------------------------------------------------------------


@numba.njit
def running_sum(x: np.ndarray, width: int) -> np.ndarray:
    if x.size > 0 and x[0] < 0:
        raise ValueError("negative")
    out = np.empty_like(x)
    for i in range(x.size):
        total = x[i] * 0
        for k in range(max(0, i - width), i + 1):
            total += x[k]
        out[i] = total
    return out


@pytest.mark.parametrize("backend", BACKENDS[:2])
def test_jitted_function(backend: str) -> None:
    op = gc.custom_op("running_sum", running_sum)
    parts = gc.custom_op(
        "parts", numba.njit(lambda x: (x.sum(), x[::2].copy())), infer="(n) -> (), (n)"
    )
    x = gc.placeholder("x", ("n",))
    row = op(x * 2, width=1)
    total, _ = gc.scan(lambda c, e: (gc.sum(op(gc.stack([c, e]), width=1)), None), 0.0, x)
    f = gc.function([x], [row + 1, total], backend=backend, check=True)
    value, looped = f(np.ones(4, "float32"))
    np.testing.assert_array_equal(value, [3, 5, 5, 5])
    assert looped == 15
    assert f(np.zeros(0, "float32"))[0].shape == (0,)
    with pytest.raises(HostCallError, match="ValueError: negative") as caught:
        f(-np.ones(4, "float32"))
    assert isinstance(caught.value.__cause__, ValueError)
    count, halves = parts(x)
    g = gc.function([x], [count, halves], backend=backend)
    assert g(np.ones(1, "float32"))[0] == 1
    with pytest.raises(HostCallError, match="another shape than declared"):
        g(np.ones(4, "float32"))


def test_jitted_functions_are_called_without_python() -> None:
    def in_python(attrs: Any, x: np.ndarray) -> np.ndarray:
        raise AssertionError("called from Python")

    op = gc.custom_op("running_sum", running_sum)
    object.__setattr__(op.op, "reference", in_python)
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], op(x + 1, width=2))
    assert "call i64 @graphc_jitted_" in f.llvm()
    np.testing.assert_array_equal(f(np.zeros(3, "float32")), [1, 2, 3])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x.astype(np.float64), r"got float64\[3\], allowed float32\[3\]"),
        (lambda x: x[1:], r"got float32\[2\], allowed float32\[3\]"),
        (lambda x: x.no_such_thing, "the function raised TypingError"),
    ],
)
def test_unfit_jitted_functions(function: Any, words: str) -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], gc.custom_op("unfit", numba.njit(function))(x))
    with pytest.raises(HostCallError, match=words):
        f(numbers(3))


def test_python_numbers_take_the_declared_dtype(backend: str) -> None:
    mean = gc.custom_op("mean", lambda x: float(x.mean()), infer="(n) -> ()")
    x = gc.placeholder("x", ("n",))
    assert gc.function([x], mean(x) * 2, backend=backend)(numbers(3)) == 2
    wrong = gc.custom_op("wrong", lambda x: 1.5, infer="(n) -> ()", dtype="int64")
    with pytest.raises(HostCallError, match="got float, allowed int64"):
        gc.function([x], wrong(x), backend=backend)(numbers(3))
