"""Python functions inside compiled programs, on every backend."""

import gc as garbage
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import HostCallError
from graphc.ir.lowering import HostCall
from graphc.ir.opdef import OpDef
from graphc.ir.tensor import Tensor
from tests.children import told_by

BACKENDS = ("llvm", "numba_cpu", "interpreter", "reference")
CUSTOM = frozenset({"custom"})


def host_op(
    reference: Callable[..., Any], *, owned: bool = False, effect: bool = False, outputs: int = 1
) -> OpDef:
    """An op that gives `outputs` values of its first input's type."""
    return OpDef(
        "host",
        infer=lambda call: (call.types[0],) * outputs,
        reference=reference,
        lower=HostCall(owned),
        traits=CUSTOM | {"effect"} if effect else CUSTOM,
    )


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def compiled(inputs: Any, outputs: Any, backend: str, **options: Any) -> Any:
    return gc.function(inputs, outputs, backend=backend, check=True, **options)


def numbers(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def test_between_kernels_and_with_symbolic_sizes(backend: str) -> None:
    host = host_op(lambda attrs, x: np.sort(x)[:, ::-1] * np.float32(attrs["size"]))
    x = gc.placeholder("x", ("n", 3))
    f = compiled([x], gc.sum(host(gc.exp(x), size=x.shape[0]) + 1, axis=0), backend)
    for rows in (4, 1, 0):
        array = numbers(rows, 3) / 8
        expected = (np.sort(np.exp(array))[:, ::-1] * rows + 1).sum(axis=0)
        np.testing.assert_allclose(f(array), expected, rtol=1e-6)


def test_sees_the_shape_of_its_argument_and_its_result(backend: str) -> None:
    shapes = []

    def reference(attrs: Any, x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape)
        return x.T.copy().reshape(x.shape)

    host = host_op(reference)
    x = gc.placeholder("x", (6,))
    f = compiled([x], gc.reshape(host(gc.reshape(x, (2, 3))), (3, 2)), backend)
    expected = numbers(2, 3).T.copy()
    np.testing.assert_array_equal(f(numbers(6)), expected)
    assert shapes == [(2, 3)]


def test_scalars_and_several_outputs(backend: str) -> None:
    host = host_op(lambda attrs, x: (x + 1, np.float32(x * 2)), outputs=2)
    x = gc.placeholder("x", ())
    one, two = host.apply([x], {})
    f = compiled([x], [one, two * 3], backend)
    assert [float(value) for value in f(np.float32(4))] == [5.0, 24.0]


def test_inside_a_loop(backend: str) -> None:
    host = host_op(lambda attrs, x: x * 2)
    x = gc.placeholder("x", ("n", 3))

    def step(carry: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        carry = host(carry + row)
        return carry, host(row)

    f = compiled([x], list(gc.scan(step, gc.zeros((3,)), x)), backend)
    array = numbers(4, 3)
    carry = np.zeros(3, "float32")
    for row in array:
        carry = (carry + row) * 2
    final, rows = f(array)
    np.testing.assert_array_equal(final, carry)
    np.testing.assert_array_equal(rows, array * 2)


@pytest.mark.parametrize("place", ["first", "in a loop"])
def test_an_exception_is_chained_and_changes_nothing(backend: str, place: str) -> None:
    def fail(attrs: Any, x: np.ndarray) -> np.ndarray:
        raise LookupError("no such thing")

    host = host_op(fail, owned=True)
    x = gc.placeholder("x", ("n", 3))
    w = gc.variable(np.ones(3, "float32"), "w")
    if place == "first":
        value = gc.sum(host(x * w), axis=0)
    else:
        value, _ = gc.scan(lambda c, row: (host(c * w + row), None), gc.zeros((3,)), x)
    f = compiled([x], value, backend, updates={w: w + value})
    for _ in range(2):
        with pytest.raises(HostCallError, match="LookupError: no such thing") as caught:
            f(numbers(2, 3))
        assert caught.value.code == "E411"
        assert isinstance(caught.value.__cause__, LookupError)
        assert "test_host_calls.py" in str(caught.value) and "host(" in str(caught.value)
        np.testing.assert_array_equal(w.value, np.ones(3))


def test_an_interrupt_is_not_an_error_of_the_function(backend: str) -> None:
    def interrupt(attrs: Any, x: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    x = gc.placeholder("x", ())
    with pytest.raises(KeyboardInterrupt):
        compiled([x], host_op(interrupt, owned=True)(x), backend)(np.float32(1))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda attrs, x: x.astype("float64"), r"got float64\[3\], allowed float32\[3\]"),
        (lambda attrs, x: x[:2], r"got float32\[2\], allowed float32\[3\]"),
        (lambda attrs, x: None, "got NoneType"),
        (lambda attrs, x: [[1], [1, 2]], "got list"),
        (lambda attrs, x: (x, x), "2 values, 1 were declared"),
    ],
)
def test_an_unfit_result_is_refused(backend: str, function: Any, words: str) -> None:
    x = gc.placeholder("x", ("n",))
    f = compiled([x], host_op(function, owned=True)(x), backend)
    with pytest.raises(HostCallError, match=words) as caught:
        f(numbers(3))
    assert caught.value.code == "E412"
    assert "test_host_calls.py" in str(caught.value)


def test_inputs_are_read_only(backend: str) -> None:
    def write(attrs: Any, x: np.ndarray) -> np.ndarray:
        x[0] = 7
        return x

    x = gc.placeholder("x", ("n",))
    for owned in (False, True):
        with pytest.raises(HostCallError, match="read-only") as caught:
            compiled([x], host_op(write, owned=owned)(x), backend)(numbers(3))
        assert "copy" in str(caught.value)


def test_arguments_that_were_kept_stay_as_they_were(backend: str) -> None:
    kept = []

    def keep(attrs: Any, x: np.ndarray) -> np.ndarray:
        kept.append(x)
        return x

    x = gc.placeholder("x", ("n",))
    f = compiled([x], gc.sum(host_op(keep, owned=True)(x * 2) + 1), backend)
    for value in range(3):
        f(np.full(100, value, "float32"))
    assert [array[0] for array in kept] == [0, 2, 4]


def test_effects_stay_apart_and_in_order(backend: str) -> None:
    seen: list[str] = []

    def note(attrs: Any, x: np.ndarray) -> np.ndarray:
        seen.append(attrs["word"])
        return x

    host = host_op(note, effect=True)
    x = gc.placeholder("x", ("n", 50))
    first = host(gc.exp(x), word="a")
    again = host(gc.exp(x), word="a")
    constant = host(gc.constant(1.0), word="constant")
    later = [host(gc.sum(first * k), word=str(k)) for k in range(3)]
    f = compiled([x], [first, again, constant, *later], backend)
    assert seen == []  # nothing is folded
    f(numbers(2, 50))
    assert seen == ["a", "a", "constant", "0", "1", "2"]


def test_without_effect_equal_calls_are_one(backend: str) -> None:
    seen = []

    def note(attrs: Any, x: np.ndarray) -> np.ndarray:
        seen.append(1)
        return x

    host = host_op(note)
    x = gc.placeholder("x", ("n",))
    compiled([x], [host(x + 1), host(x + 1) * 2], backend)(numbers(3))
    assert len(seen) == 1


def test_ops_of_one_name_are_different_ops(backend: str) -> None:
    one, other = host_op(lambda attrs, x: x + 1), host_op(lambda attrs, x: x + 2)
    x = gc.placeholder("x", ("n",))
    results = compiled([x], [one(x), other(x)], backend)(numbers(3))
    np.testing.assert_array_equal(results[1] - results[0], np.ones(3))


def test_a_function_may_call_a_function(backend: str) -> None:
    x = gc.placeholder("x", ("n",))
    inner = gc.function([x], x * 2, backend=backend)
    f = compiled([x], host_op(lambda attrs, x: inner(x) + 1)(x), backend)
    np.testing.assert_array_equal(f(numbers(3)), numbers(3) * 2 + 1)


@pytest.mark.parametrize("backend", ["llvm", "numba_cpu"])
def test_several_threads(backend: str) -> None:
    """Errors reach the thread that they belong to."""

    def choose(attrs: Any, x: np.ndarray) -> np.ndarray:
        if x[0] % 2:
            raise ValueError(f"odd {x[0]:g}")
        return x * 2

    x = gc.placeholder("x", ("n",))
    f = gc.function([x], host_op(choose, owned=True)(x + 0.0) + 1, backend=backend)
    f(np.zeros(3, "float32"))
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(50):
            value = number * 1000 + turn
            try:
                result = f(np.full(3, value, "float32"))
                if value % 2 or result[0] != value * 2 + 1:
                    wrong.append((value, result))
            except HostCallError as error:
                if not value % 2 or f"odd {value}" not in str(error.__cause__):
                    wrong.append((value, error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class Function:
    """A callable that can be watched."""

    def __call__(self, attrs: Any, x: np.ndarray) -> np.ndarray:
        return x


def test_dropped_functions_free_their_callbacks(backend: str) -> None:
    reference = Function()
    watched = weakref.ref(reference)
    x = gc.placeholder("x", ("n",))
    f = compiled([x], host_op(reference)(x) + 1, backend)
    f(numbers(3))
    del reference, f
    garbage.collect()
    assert watched() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("backend", ["llvm"])
def test_a_forked_child_calls(backend: str) -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], host_op(lambda attrs, x: x * 2)(x) + 1, backend=backend)
    assert told_by(lambda: str(f(numbers(3)).tolist())) == "[1.0, 3.0, 5.0]"


def test_is_listed() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], host_op(lambda attrs, x: x, effect=True)(x * 2) + 1)
    assert "python" in f.kernels()
    assert "[n] = python host(" in f.loops() and "effect" in f.loops()
    assert "graphc_host" in f.llvm()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["llvm", "numba_cpu"])
def test_many_calls_keep_memory_flat(backend: str) -> None:
    x = gc.placeholder("x", ("n",))
    host = host_op(lambda attrs, x: x + 1, owned=True)
    total, _ = gc.scan(lambda c, row: (host(c + row), None), gc.zeros(()), x)
    f = gc.function([x], total, backend=backend)

    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1])

    for turn in range(101):
        f(np.zeros(1000 + turn % 7, "float32"))
        if turn == 20:
            before = resident()
    assert resident() - before < 500  # pages
