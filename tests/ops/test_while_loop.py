"""while_loop: values and derivatives on every backend, and how endless loops are stopped."""

import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FunctionError, ParameterError, StepLimitError
from graphc.ir.graph import Graph, counted_size
from graphc.ir.printer import format_graph
from graphc.ir.tensor import Tensor
from graphc.loops.ir import While

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
each_backend = pytest.mark.parametrize("backend", BACKENDS)
native = pytest.mark.parametrize("backend", ["llvm", "numba_cpu"])


def scalar(name: str = "x", dtype: str = "float64") -> Tensor:
    return gc.placeholder(name, (), dtype)


@each_backend
def test_steps_as_long_as_the_condition_holds(backend: str) -> None:
    n = scalar("n", "int64")

    def collatz(carry: dict[str, Tensor]) -> dict[str, Tensor]:
        k = carry["k"]
        return {"k": gc.where(k % 2 == 0, k // 2, 3 * k + 1), "steps": carry["steps"] + 1}

    last = gc.while_loop(lambda c: c["k"] > 1, collatz, {"steps": 0, "k": n})
    f = gc.function([n], last, backend=backend, check=True)
    for value, expected in ((27, 111), (1, 0), (6, 8), (-5, 0)):
        found = f(value)
        assert found["steps"] == expected
        assert found["k"] == min(value, 1)


@each_backend
def test_no_step_gives_the_first_carry(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "float64")
    y = gc.while_loop(lambda c: gc.sum(c) < 0, lambda c: c * 2, x)
    f = gc.function([x], [y, gc.grad(gc.sum(y * y), x)], backend=backend, check=True)
    for values in (np.array([1.0, 2]), np.zeros(0), np.ones(1)):
        found, slope = f(values)
        np.testing.assert_array_equal(found, values)
        np.testing.assert_array_equal(slope, 2 * values)


def halving(x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """A recurrent layer until its state is small, and a running total of what it went through."""
    found: tuple[Tensor, Tensor] = gc.while_loop(
        lambda c: gc.sum(gc.abs(c[0])) > 0.1,
        lambda c: (gc.tanh(c[0] @ w), c[1] + gc.sum(c[0] ** 2)),
        (x, 0.0),
    )
    return found


def plain_halving(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, float, int]:
    total, steps = 0.0, 0
    while np.abs(x).sum() > 0.1:
        x, total, steps = np.tanh(x @ w), total + (x**2).sum(), steps + 1
    return x, total, steps


POINT = (np.array([0.5, -0.7]), np.array([[0.5, 0.3], [-0.2, 0.4]]))


def unrolled(x: Tensor, w: Tensor, steps: int) -> Tensor:
    total = gc.constant(0.0, "float64")
    for _ in range(steps):
        x, total = gc.tanh(x @ w), total + gc.sum(x**2)
    return gc.sum(x * x) + total


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm"])
def test_derivatives_are_those_of_the_unrolled_loop(backend: str) -> None:
    x, w = gc.placeholder("x", ("n",), "float64"), gc.placeholder("w", ("n", "n"), "float64")
    steps = plain_halving(*POINT)[2]
    assert steps > 2
    direction = np.array([[0.3, -1.0], [0.7, 0.2]])

    def results(y: Tensor) -> list[Tensor]:
        slopes = gc.grad(y, [x, w])
        second = gc.grad(gc.sum(slopes[1] * direction) + gc.sum(slopes[0]), [x, w])
        return [y, *slopes, gc.jvp(y, [x, w], [x * 2, direction]), *second]

    final, total = halving(x, w)
    f = gc.function([x, w], results(gc.sum(final * final) + total), backend=backend, check=True)
    g = gc.function([x, w], results(unrolled(x, w, steps)), backend="reference")
    for one, other in zip(f(*POINT), g(*POINT), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-13)
    small = POINT[0] * 0.01  # no step
    nothing = np.zeros((2, 2))
    expected: list[Any] = [small @ small, 2 * small, nothing, 4 * small @ small, [2, 2], nothing]
    for one, other in zip(f(small, POINT[1]), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def test_gradients_by_finite_differences() -> None:
    gc.verify_grad(lambda x, w: halving(x, w)[1] + gc.sum(halving(x, w)[0]), list(POINT))


@each_backend
def test_loops_in_loops_and_branches(backend: str) -> None:
    """A while in a scan, in a while, in a branch; each counts anew at every turn."""
    x = gc.placeholder("x", ("t",), "float64")

    def shrink(c: Tensor) -> Tensor:
        found: Tensor = gc.while_loop(lambda a: a > 1, lambda a: a * 0.5 * gc.cos(a * 0.1), c)
        return found

    def step(carry: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        grown = gc.while_loop(lambda a: a < 3, lambda a: shrink(a * e) + a, carry * 0 + 1.0)
        carry = gc.cond(e > 2, lambda: shrink(carry + grown), lambda: carry * grown + e)
        return carry, gc.sin(carry)

    final, stacked = gc.scan(step, 0.3, x)
    cost = final + gc.sum(stacked)
    f = gc.function([x], [final, stacked, gc.grad(cost, x)], backend=backend, check=True)

    def plain(values: np.ndarray) -> tuple[float, list[float], float]:
        def shrunk(a: float) -> float:
            while a > 1:
                a = a * 0.5 * np.cos(a * 0.1)
            return a

        carry, rows = 0.3, []
        for e in values:
            grown = 1.0
            while grown < 3:
                grown = shrunk(grown * e) + grown
            carry = shrunk(carry + grown) if e > 2 else carry * grown + e
            rows.append(np.sin(carry))
        return carry, rows, carry + sum(rows)

    for values in (np.array([1.3, 2.6, 0.9, 5.1]), np.zeros(0), np.array([3.7])):
        found, rows, slope = f(values)
        expected = plain(values)
        np.testing.assert_allclose(found, expected[0], rtol=1e-12)
        np.testing.assert_allclose(rows, expected[1], rtol=1e-12)
        for k in range(len(values)):
            ends = []
            for sign in (1, -1):
                moved = values.copy()
                moved[k] += sign * 1e-6
                ends.append(plain(moved)[2])
            np.testing.assert_allclose(slope[k], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-8)


@native
def test_the_tape_grows_with_the_steps(backend: str) -> None:
    """One function, any number of steps."""
    x, n = scalar(), scalar("n", "int64")
    y, _ = gc.while_loop(lambda c: c[1] < n, lambda c: (gc.sin(c[0]) + 0.5, c[1] + 1), (x, 0))
    f = gc.function([x, n], [y, gc.grad(y, x)], backend=backend)
    for steps in (0, 1, 2, 1000, 3, 4097):
        value, slope = 0.2, 1.0
        for _ in range(steps):
            value, slope = np.sin(value) + 0.5, slope * np.cos(value)
        found = f(0.2, steps)
        np.testing.assert_allclose(found, [value, slope], rtol=1e-9, atol=1e-300)


def test_the_loop_that_saves_is_the_loop_that_computes() -> None:
    x = scalar()
    y = gc.while_loop(lambda c: c > 1, lambda c: gc.sqrt(c), x)
    program = gc.function([x], [y, gc.grad(y, x)]).stages.program
    assert program is not None
    assert sum(isinstance(step, While) for step in program.all_steps) == 1
    assert len(program.counts) == 1
    heap = [buffer for buffer in program.buffers.values() if buffer.role == "heap"]
    assert heap


@each_backend
def test_carries_that_gradients_pass_unchanged(backend: str) -> None:
    """The loop backwards needs none of the saved values, only the number of steps."""
    x, w = scalar(), scalar("w")
    y = gc.while_loop(lambda c: c < 10, lambda c: c + w, x)
    f = gc.function([x, w], gc.grad(y, [x, w]), backend=backend, check=True)
    assert f(1.0, 2.0) == [1, 5]
    assert f(20.0, 2.0) == [1, 0]


@each_backend
def test_dtypes_of_carries_unify(backend: str) -> None:
    x = scalar("x", "float32")
    wide = x.astype("float64")
    a, b = gc.while_loop(lambda c: c[1] < 3, lambda c: (c[0] + wide, c[1] + x), (x, 0))
    assert (a.dtype.name, b.dtype.name) == ("float64", "float32")
    assert gc.function([x], [a, b], backend=backend)(1.5) == [4.5, 3]


# --- loops that do not end -----------------------------------------------------------------------


@each_backend
@pytest.mark.parametrize("optimize", [True, False])
def test_too_many_steps_are_an_error_and_change_nothing(backend: str, optimize: bool) -> None:
    v = gc.variable(np.arange(3.0), "v")
    x = scalar()
    y = gc.while_loop(lambda c: c > 1, lambda c: c - 1, x, max_steps=4)
    f = gc.function([x], y, updates={v: v + y}, backend=backend, optimize=optimize)
    assert f(5.0) == 1
    before = v.value
    with pytest.raises(StepLimitError, match="after 4 steps") as caught:
        f(6.0)
    assert "E421" in str(caught.value)
    assert "test_while_loop.py" in str(caught.value)
    np.testing.assert_array_equal(v.value, before)
    assert f(2.0) == 1


class StoppedError(Exception):
    pass


@each_backend
def test_signals_stop_a_loop_that_does_not_end(backend: str) -> None:
    v = gc.variable(np.zeros(2), "v")
    x = scalar()
    y = gc.while_loop(lambda c: c > 0, lambda c: gc.cos(c) + 1, x)
    f = gc.function([x], y, updates={v: v + y}, backend=backend)
    f(-1.0)
    before = v.value

    def handler(number: int, frame: Any) -> None:
        raise StoppedError

    previous = signal.signal(signal.SIGVTALRM, handler)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)
    try:
        with pytest.raises(StoppedError):
            f(1.0)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
    np.testing.assert_array_equal(v.value, before)
    assert f(-1.0) == -1


def test_a_tape_is_never_larger_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.backends.llvm.bound.memory_limit", lambda: 1 << 20)
    v = gc.variable(np.ones(3), "v")
    x, n = scalar(), scalar("n", "int64")
    y, _ = gc.while_loop(lambda c: c[1] < n, lambda c: (gc.sin(c[0]) + 0.5, c[1] + 1), (x, 0))
    f = gc.function([x, n], y, updates={v: v + gc.grad(y, x)}, backend="llvm")
    f(0.2, 1000)
    before = v.value
    for _ in range(2):
        with pytest.raises(MemoryError, match="no memory"):
            f(0.2, 1 << 20)
    np.testing.assert_array_equal(v.value, before)
    f(0.2, 1000)


# --- loops that stand in a graph more than once: each has its own number of steps -----------------


def halved(x: Tensor) -> Tensor:
    found: Tensor = gc.while_loop(
        lambda c: gc.sum(gc.abs(c)) > 0.2, lambda c: c * 0.5 * gc.cos(c), x
    )
    return found


def assert_as_meant(inputs: list[Tensor], results: list[Tensor], *arrays: np.ndarray) -> None:
    meant = gc.function(inputs, results, backend="reference", optimize=False)(*arrays)
    for backend in ("interpreter", "llvm"):
        found = gc.function(inputs, results, backend=backend, check=True)(*arrays)
        for one, other in zip(found, meant, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, err_msg=backend)


# Rows of very different sizes: their loops take very different numbers of steps.
ROWS = np.array([[0.3, 0.2], [90.0, 70.0], [0.01, 0.02], [7.0, 300.0], [1.0, 2.0]])


@pytest.mark.parametrize("unroll", [2, 3])
def test_a_loop_in_steps_that_are_written_out(unroll: int) -> None:
    x = gc.placeholder("x", (None, "n"), "float64")

    def step(carry: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        found = halved(row + carry)
        return found, gc.sum(found)

    final, sums = gc.scan(step, x[0] * 0, x, unroll=unroll)
    slope = gc.grad(gc.sum(sums * sums) + gc.sum(final), x)
    assert_as_meant([x], [final, sums, slope, gc.grad(gc.sum(slope * slope), x)], ROWS)


def test_a_loop_in_branches_that_are_known_when_steps_are_written_out() -> None:
    x = gc.placeholder("x", (None, "n"), "float64")

    def step(carry: tuple[Tensor, Tensor], row: Tensor) -> Any:
        k, last = carry
        found = gc.cond(k >= 0, halved, lambda v: v, last + row)
        return (k * 0 + 1, found), gc.sum(found)

    (_, final), sums = gc.scan(step, (gc.constant(1), x[0] * 0), x, unroll=2)
    assert_as_meant([x], [final, sums, gc.grad(gc.sum(sums) + gc.sum(final), x)], ROWS)
    true = gc.constant(True)
    one, other = (gc.cond(true, lambda v: v * 2, lambda v: v, t) for t in (x, x[::-1]))
    assert_as_meant([x], [one, other], ROWS)


def test_a_loop_on_values_that_were_substituted() -> None:
    x = gc.placeholder("x", ("n", 2), "float64")
    y = halved(x)
    pair = [y, gc.grad(gc.sum(y), x)]
    large = gc.substitute(pair, {x: x * 30.0})
    assert_as_meant([x], [*pair, *large], ROWS[:2])
    expected = gc.function([x], pair)(ROWS * 30)
    found = gc.function([x], [*pair, *large])(ROWS)[2:]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_loops_that_were_read_from_text() -> None:
    """Text numbers the lengths of each graph from 0; what is read is told apart."""
    x = gc.placeholder("x", ("n",), "float64")
    text = format_graph(gc.Graph((x,), (gc.grad(gc.sum(halved(x)), x),)))
    assert set(re.findall("steps_[0-9]+", text)) == {"steps_0"}
    first, second = gc.parse_graph(text), gc.parse_graph(re.sub(r"\bx\b", "y", text))
    assert format_graph(first) == text
    both = [first.outputs[0], second.outputs[0]]
    f = gc.function([*first.inputs, *second.inputs], both)
    for one, values in zip(f(ROWS[0], ROWS[1]), ROWS[:2], strict=True):
        meant = gc.run(gc.grad(gc.sum(halved(x)), x), {x: values})
        np.testing.assert_allclose(one, meant, rtol=1e-6)


def test_loops_in_loops_read_back() -> None:
    x = gc.placeholder("x", ("m", "steps_0"), "float64")

    def step(carry: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        inner, sums = gc.scan(lambda c, v: (halved(c + v), c), carry, row, reverse=True)
        return gc.while_loop(lambda c: c > 1, lambda c: c / 2 + gc.sum(sums) * 0, inner), inner

    final, rows = gc.scan(step, 0.0, x)
    graph = gc.Graph((x,), (final, gc.grad(final + gc.sum(rows), x)))
    text = format_graph(graph)
    read = gc.parse_graph(text)
    assert format_graph(read) == text
    assert "steps_0" not in re.findall(r"while_loop\(.*length=(\w+)", text)  # an axis has it
    for found, meant in zip(
        gc.run(list(read.outputs), {read.inputs[0]: ROWS}),
        gc.run(list(graph.outputs), {x: ROWS}),
        strict=True,
    ):
        np.testing.assert_allclose(found, meant, rtol=1e-6)


def test_an_axis_cannot_have_the_name_of_a_length() -> None:
    """They would be one number."""
    x = gc.placeholder("x", ())
    y = gc.while_loop(lambda r: r < 100.0, lambda r: r * 2.0 + 0.1 * x, x)
    name = next(name for name in map(counted_size, Graph((x,), (y,)).nodes) if name)
    v = gc.placeholder("v", (name,))
    with pytest.raises(gc.FunctionError, match="number of steps of a loop, and that of an axis"):
        gc.function([x, v], [gc.grad(y, x), v * 2])


@pytest.mark.slow
def test_a_tape_that_finds_no_memory_is_an_error() -> None:
    program = """
    import resource
    import numpy as np
    import graphc as gc

    v = gc.variable(np.ones(1000), "v")
    x = gc.placeholder("x", (1000,), "float64")
    y = gc.while_loop(lambda c: c[0] > 0, lambda c: gc.cos(c) + 1, x)
    f = gc.function([x], gc.sum(y), updates={v: v - gc.grad(gc.sum(y), x)})
    f(-np.ones(1000))
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28), used + (1 << 28)))
    before = v.value
    for _ in range(2):
        try:
            f(np.ones(1000))
        except MemoryError as error:
            print(error)
    assert (v.value == before).all()
    print(f(-np.ones(1000)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == ["no memory for what a loop keeps of every step"] * 2 + [
        "-1000.0"
    ], done.stderr


# --- text and errors -----------------------------------------------------------------------------


def test_the_text_reads_back() -> None:
    x = scalar()
    y = gc.while_loop(lambda c: c > 1.1, lambda c: gc.sqrt(c), x, max_steps=9)
    graph = gc.Graph((x,), (y, gc.grad(y, x)))
    text = format_graph(graph)
    again = gc.parse_graph(text)
    assert format_graph(again) == text
    slope = gc.function(again.inputs, list(again.outputs))(5.0)[1]
    np.testing.assert_allclose(slope, gc.function([x], gc.grad(y, x))(5.0))
    assert "while" in gc.function([x], y).kernels()


@pytest.mark.parametrize(
    ("build", "code", "words"),
    [
        (lambda x: gc.while_loop(lambda c: c, lambda c: c, x), "E122", "float32[5]"),
        (lambda x: gc.while_loop(lambda c: c > 0, lambda c: c, x), "E122", "bool[5]"),
        (lambda x: gc.while_loop(lambda c: True, lambda c: c[:2], x), "E121", "float32[2]"),
        (lambda x: gc.while_loop(lambda c: True, lambda c: (c, c), x), "E121", "(*, *)"),
        (lambda x: gc.while_loop(lambda c: True, lambda c: c, None), "E121", "no carry"),
    ],
)
def test_errors_name_types_and_lines(build: Callable[[Tensor], Any], code: str, words: str) -> None:
    with pytest.raises(FunctionError) as caught:
        build(gc.placeholder("x", (5,)))
    assert code in str(caught.value)
    assert words in str(caught.value)
    assert "test_while_loop.py" in str(caught.value)


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ParameterError, match="max_steps is -1"):
        gc.while_loop(lambda c: c > 0, lambda c: c, scalar(), max_steps=-1)


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_complex_carries_branches_and_gradients(backend: str) -> None:
    x = gc.placeholder("x", (), "complex128")
    shift = gc.constant(1 + 0.2j, "complex128")
    z = gc.while_loop(lambda c: gc.abs(c) < 4, lambda c: c * c + shift, x)
    y = gc.cond(gc.real(z) > 0, lambda: z * (2 - 1j) * x, lambda: gc.exp(x) * z)
    total, _ = gc.scan(lambda c, e: (c * e + y, None), x, gc.constant(np.array([0.3, 0.2])))
    cost = gc.real(total) + 2 * gc.imag(total)
    f = gc.function([x], [cost, gc.grad(cost, x)], backend=backend)
    point, width = 0.1 + 0.3j, 1e-6
    slopes = [
        (f(point + width * way)[0] - f(point - width * way)[0]) / (2 * width) for way in (1, 1j)
    ]
    np.testing.assert_allclose(f(point)[1], slopes[0] + 1j * slopes[1], rtol=1e-7)


@each_backend
@pytest.mark.parametrize("most", [2**62, 2**63, 2**64, 2**70])
def test_limits_beyond_the_integers(backend: str, most: int) -> None:
    y = gc.while_loop(lambda c: c < 3, lambda c: c + 1, gc.constant(0), max_steps=most)
    assert gc.function([], y, backend=backend)() == 3
