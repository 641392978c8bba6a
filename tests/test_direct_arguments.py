"""Numbers, names and defaults as arguments of calls that go around Python."""

import threading
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.direct_call import is_possible
from tests.direct_calls import X, warm

pytestmark = pytest.mark.skipif(not is_possible(), reason="needs CPython with its lock")

NUMBERS: list[tuple[str, list[Any]]] = [
    ("float32", [0.1, -0.0, 1e39, float("nan"), float("inf"), -3, 2**31, 2**70, np.float32(0.3)]),
    ("float64", [0.1, -0.0, 1e39, float("nan"), -3, 2**53 + 1, 2**70, np.float64(0.3)]),
    ("float16", [0.1, 1e39, 7, np.float16(0.3)]),
    ("bfloat16", [0.1, 7, gc.bfloat16.type(0.5)]),
    ("int8", [0, 127, -128, 128, -129, 1.0, np.int8(-5), True]),
    ("uint8", [0, 255, 256, -1, np.uint8(200)]),
    ("int16", [32767, -32768, 32768, np.int16(-5)]),
    ("uint16", [65535, 65536, -1, np.uint16(50000)]),
    ("int32", [2**31 - 1, -(2**31), 2**31, np.int32(-5)]),
    ("uint32", [2**32 - 1, 2**32, -1, np.uint32(2**31)]),
    ("int64", [2**63 - 1, -(2**63), 2**63, 0.5, np.int64(-5), np.int32(3), True]),
    ("uint64", [2**63 - 1, 2**63, 2**64, -1, np.uint64(2**63)]),
    ("bool", [True, False, 1, 0.0, np.True_, np.False_]),
    ("complex64", [1.5, 2, 1 + 2j, np.complex64(1 - 2j), np.float32(0.5)]),
    ("complex128", [1.5, 2, 1 + 2j, np.complex128(1 - 2j), 1e300]),
]


@pytest.mark.parametrize(("dtype", "numbers"), NUMBERS)
def test_numbers_are_what_they_are_as_arrays(dtype: str, numbers: list[Any]) -> None:
    """As a placeholder of the same type takes them that has never been called directly."""
    types = [bool, int, float, complex, None, *(np.dtype(kind).type for kind in "bBhHiIqQefdFD?")]
    others: list[Any] = [kind(1) if kind else [] for kind in types]
    c = gc.placeholder("c", (), dtype)
    direct = warm(gc.function([c], [c]), np.asarray(1, dtype))
    for number in [*numbers, *others]:
        expected: Any = None
        refusal = ""
        try:
            expected = gc.function([c], [c], name=direct.name)(number)[0]
        except gc.FeedError as error:
            refusal = str(error)
        if refusal:
            with pytest.raises(gc.FeedError) as raised:
                direct(number)
            assert str(raised.value) == refusal
        else:
            found = direct(number)[0]
            assert found.dtype == expected.dtype
            assert found.tobytes() == expected.tobytes(), number


def test_plain_numbers_need_no_python() -> None:
    x, rate, times = (
        gc.placeholder("x", ("n",)),
        gc.placeholder("rate", ()),
        gc.placeholder("times", (), "int64"),
    )
    f = warm(gc.function([x, rate, times], x * rate * times.astype("float32")), X, X[1], 1)
    f._call = None  # type: ignore[method-assign, assignment]  # where the long way begins
    for rate_fed in (0.5, 2, np.float32(0.25)):
        for times_fed in (3, np.int64(-2)):
            expected = X * np.float32(rate_fed) * np.float32(times_fed)
            np.testing.assert_array_equal(f(X, rate_fed, times_fed), expected)
    with pytest.raises(TypeError):
        f(X, 1e39, 1)


def test_numbers_in_threads_and_in_long_calls() -> None:
    """Each call has its own numbers, whoever calls meanwhile."""
    x, c = gc.placeholder("x", ("n",)), gc.placeholder("c", ())
    f = gc.function([x, c], gc.sum(gc.sin(x)) * 0 + c, threads=1)
    long = np.ones(400_000, "float32")
    for _ in range(6):
        f(long, 1.0)
    wrong: list[float] = []

    def call(start: int) -> None:
        for number in range(start, start + 40):
            if f(long, float(number)) != number:
                wrong.append(number)

    threads = [threading.Thread(target=call, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_arguments_by_name_and_defaults_need_no_python() -> None:
    x, y, c = (gc.placeholder(name, shape) for name, shape in (("x", (8,)), ("y", (8,)), ("c", ())))
    w = gc.variable(np.ones(8, "float32"), "w")
    f = gc.function([x, y, c], [x - c * y * w], defaults={"y": X + 1, "c": 0.5})
    warm(f, X, X, 2.0)
    kept, f._call = f._call, None  # type: ignore[method-assign, assignment]
    out = np.empty(8, "float32")
    right: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {"x": X, "y": X, "c": 2.0}),
        ((), {"c": 3, "x": X}),
        ((X,), {"c": X[2]}),
        ((X,), {}),
        ((X, X), {"out": [out]}),
        ((X, X, 2.0), {"out": None}),
        ((), {"out": [out], "x": X}),
    ]
    for args, named in right:
        arguments: dict[str, Any] = {"y": X + 1, "c": 0.5, **dict(zip("xyc", args, strict=False))}
        arguments |= {name: value for name, value in named.items() if name != "out"}
        a, b, factor = arguments["x"], arguments["y"], np.float32(arguments["c"])
        found = f(*args, **named)[0]
        np.testing.assert_array_equal(found, a - factor * b)
        assert (found is out) == (named.get("out") is not None)
    f._call = kept  # type: ignore[method-assign]
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((), {"y": X}),
        ((X,), {"x": X}),
        ((X, X, 1.0, 2.0), {}),
        ((X, X, 1.0), {"c": 1.0}),
        ((X,), {"z": X}),
        ((X,), {"c": X}),
        ((X,), {"c": None}),
    ]
    for args, named in wrong:
        with pytest.raises(gc.FeedError):
            f(*args, **named)


def test_more_inputs_than_names_are_known_of() -> None:
    inputs = [gc.placeholder(f"x{k}", (2,)) for k in range(40)]
    f = gc.function(inputs, gc.add_n(inputs), defaults={"x39": np.ones(2, "float32")})
    arrays = [np.full(2, k, "float32") for k in range(39)]
    warm(f, *arrays, np.ones(2, "float32"))
    out = np.empty(2, "float32")
    assert f(*arrays, np.ones(2, "float32"), out=out) is out
    assert f(*arrays)[0] == f(*arrays[:-1], x38=arrays[-1])[0] == out[0] == sum(range(39)) + 1
