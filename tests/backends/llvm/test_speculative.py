"""Loops in pieces side by side: whatever the map does, the results are those of the serial loop,
bit by bit."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm import carried
from graphc.backends.llvm.imports import C_SYMBOLS
from graphc.backends.llvm.jit import PLAIN, Library, Module, library_symbols, module_object
from graphc.backends.llvm.pieces import LEAST, ROUTINE, routine
from graphc.backends.llvm.target import host
from graphc.backends.llvm.text import module_text
from graphc.ir.tensor import Tensor

Array = np.ndarray[Any, Any]
Cell = Callable[[Any, Tensor], Any]


def serial(monkeypatch: pytest.MonkeyPatch, inputs: Any, outputs: Any) -> gc.Function:
    """The function with its loops as one chain."""
    with monkeypatch.context() as patch:
        patch.setattr(carried, "may_speculate", lambda *_: False)
        f = gc.function(inputs, outputs, cache=False)
    assert ROUTINE not in f.llvm()
    return f


def flat(results: Any) -> list[Array]:
    if isinstance(results, tuple | list):
        return [array for result in results for array in flat(result)]
    return [results]


def same_bits(found: Any, wanted: Any) -> bool:
    """Of what is not a number the sign is anything."""
    pairs = zip(flat(found), flat(wanted), strict=True)
    return all(a.dtype == b.dtype and plain(a) == plain(b) for a, b in pairs)


def plain(a: Array) -> tuple[bytes, bytes]:
    is_number = np.asarray(a == a)
    return np.where(is_number, a, a.dtype.type(0)).tobytes(), is_number.tobytes()


def leaky(s: Tensor, e: Tensor) -> Tensor:
    return 0.9 * s + e


def decayed(s: Tensor, e: Tensor) -> Tensor:
    return 0.9 * s + gc.tanh(e + 0.1 * s)


def wave(s: Tensor, e: Tensor) -> Tensor:
    return gc.sin(s) + e


def bell(s: Tensor, e: Tensor) -> Tensor:
    return gc.exp(-s * s) + e


def kinked(s: Tensor, e: Tensor) -> Tensor:
    return gc.where(e + 0.8 * s > 0, e + 0.8 * s, 0.01 * (e + 0.8 * s))


def reset(s: Tensor, e: Tensor) -> Tensor:
    return gc.where(s < 1, s + e, 0.0)


def chaotic(s: Tensor, e: Tensor) -> Tensor:
    return gc.where(abs(s) > 2, 0.3, 3.99 * s * (1 - s) + 1e-3 * e)


def walk(s: Tensor, e: Tensor) -> Tensor:
    return gc.maximum(s - e, e - s)


CELLS: list[Cell] = [leaky, decayed, wave, bell, kinked, reset, chaotic, walk]
LENGTHS = (0, 1, LEAST - 1, LEAST, LEAST + 1, 5000, 20011)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_bits_of_the_serial_loop(
    cell: Cell, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = gc.placeholder("x", ("t",), dtype)
    start = gc.placeholder("start", (), dtype)
    outputs = gc.scan(lambda s, e: (cell(s, e),) * 2, start, x)
    f = gc.function([x, start], outputs, cache=False)
    assert ROUTINE in f.llvm()
    g = serial(monkeypatch, [x, start], outputs)
    for length in LENGTHS:
        values = np.random.default_rng(length).normal(size=length).astype(dtype)
        first = np.asarray(0.25, dtype)
        assert same_bits(f(values, first), g(values, first)), length


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, 1e-40])
def test_numbers_that_are_none(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = gc.placeholder("x", ("t",))
    zero = gc.constant(np.float32(0))
    for cell in (leaky, decayed, kinked):
        outputs = gc.scan(lambda s, e, cell=cell: (cell(s, e),) * 2, zero, x)
        f, g = gc.function([x], outputs, cache=False), serial(monkeypatch, [x], outputs)
        for place in (0, 700, 9_000, 19_999):
            values = np.random.default_rng(2).normal(size=20_000).astype("float32")
            values[place] = bad
            assert same_bits(f(values), g(values))


def integer(s: Tensor, e: Tensor) -> Tensor:
    return s * 1664525 + e


def shifted(s: Tensor, e: Tensor) -> Tensor:
    return (s >> 1) ^ e


def parity(s: Tensor, e: Tensor) -> Tensor:
    return s ^ (e > 1)


def seen(s: Tensor, e: Tensor) -> Tensor:
    return s | (e > 2)


@pytest.mark.parametrize(
    ("cell", "dtype", "state"),
    [
        (integer, "int32", "int32"),
        (integer, "uint64", "uint64"),
        (shifted, "int64", "int64"),
        (shifted, "int8", "int8"),
        (parity, "float32", "bool"),
        (seen, "float32", "bool"),
        (decayed, "float16", "float16"),
        (leaky, "bfloat16", "bfloat16"),
    ],
)
def test_other_states(cell: Cell, dtype: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = gc.placeholder("x", ("t",), dtype)
    start = gc.constant(np.zeros((), state))
    outputs = gc.scan(lambda s, e: (cell(s, e),) * 2, start, x)
    f, g = gc.function([x], outputs, cache=False), serial(monkeypatch, [x], outputs)
    for length in (100, 3000, 30_000):
        values = (np.random.default_rng(1).normal(size=length) * 3).astype(dtype)
        assert same_bits(f(values), g(values))


OPERATIONS: list[Cell] = [
    lambda s, e: gc.maximum(e * s, e) + gc.minimum(-e, s),
    lambda s, e: gc.nn.relu(-e) * s + gc.clip(e, -0.0, 1.0),
    lambda s, e: gc.remainder(e, s) + gc.floor_divide(s, e),
    lambda s, e: gc.sign(e) * gc.sqrt(abs(s)) + gc.round(e / 3),
    lambda s, e: gc.atan2(e, s) + gc.copysign(gc.trunc(e), s),
    lambda s, e: gc.log1p(abs(s)) * gc.cos(e) + gc.erf(s),
    lambda s, e: abs(s) ** 0.3 + gc.tanh(e) - gc.expm1(-abs(s)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_operations_in_lanes(number: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros of both signs, infinities, NaN, huge and tiny numbers; a state that is no finite
    number is forgotten."""
    info = np.finfo(dtype)
    numbers = [0.0, 1.0, 0.5, 3.7, 100.0, 1e10, np.inf, np.nan]
    numbers += [float(info.max), float(info.tiny), float(info.smallest_subnormal)]
    special = np.array([sign * one for one in numbers for sign in (1, -1)], dtype)
    rng = np.random.default_rng(number)
    values = np.where(rng.random(9000) < 0.1, rng.choice(special, 9000), rng.normal(size=9000))
    zeros = rng.choice(np.array([0.0, -0.0, 1.0, -1.0]), 9000)
    x = gc.placeholder("x", ("t",), dtype)

    def step(s: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        s = OPERATIONS[number](s, e)
        return gc.where(abs(s) < 1e30, s, e), s

    outputs = gc.scan(step, gc.constant(np.ones((), dtype)), x)
    f, g = gc.function([x], outputs, cache=False), serial(monkeypatch, [x], outputs)
    assert ROUTINE in f.llvm()
    for given in (values, zeros):
        assert same_bits(f(given.astype(dtype)), g(given.astype(dtype)))


def test_steps_of_several_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number between two kernels of a step, and a table that all steps share."""
    x = gc.placeholder("x", ("t", 2))
    table = gc.placeholder("table", (3,))

    def step(s: Tensor, row: Tensor) -> Any:
        mixed = gc.stack([row[0] * s, table[1] - row[1]])
        following = 0.4 * gc.tanh(mixed[0]) + mixed[1] * table[2]
        return following, (mixed, following)

    outputs = gc.scan(step, gc.constant(np.float32(0)), x)
    f = gc.function([x, table], outputs, cache=False)
    g = serial(monkeypatch, [x, table], outputs)
    for length in (0, 1, 9001):
        values = np.random.default_rng(6).normal(size=(length, 2)).astype("float32")
        rows = np.array([1, 0.3, 0.2], "float32")
        assert same_bits(f(values, rows), g(values, rows))


def test_loops_in_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    x = gc.placeholder("x", ("n", "t"))
    zero = gc.constant(np.float32(0))

    def row(total: Tensor, values: Tensor) -> Any:
        last, states = gc.scan(lambda s, e: (decayed(s, e),) * 2, total, values)
        return 0.5 * last, states

    outputs = gc.scan(row, zero, x)
    f, g = gc.function([x], outputs, cache=False), serial(monkeypatch, [x], outputs)
    values = np.random.default_rng(7).normal(size=(3, 6000)).astype("float32")
    assert same_bits(f(values), g(values))
    assert same_bits(f(values[:, :5]), g(values[:, :5].copy()))


def test_several_states_rows_and_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two states that mix, rows of three numbers read and two written, from the last to the
    first; a number that all steps share."""
    x = gc.placeholder("x", ("t", 3), "float64")
    w = gc.placeholder("w", (), "float64")

    def step(carry: tuple[Tensor, Tensor], row: Tensor) -> Any:
        a, b = carry
        a, b = 0.5 * b + row[0], gc.tanh(w * a - row[2])
        return (a, b), (gc.stack([a, b * row[1]]), a - b)

    zeros = gc.constant(np.zeros((), "float64"))
    for reverse in (False, True):
        outputs = gc.scan(step, (zeros, zeros), x, reverse=reverse)
        f, g = gc.function([x, w], outputs, cache=False), serial(monkeypatch, [x, w], outputs)
        for length in (1, 4000, 12_345):
            values = np.random.default_rng(3).normal(size=(length, 3))
            for weight in (0.5, 1.0, 30.0):
                assert same_bits(f(values, weight), g(values, weight))


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1)])
def test_rows_in_shapes_of_their_own(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kernel writes as a number has one or several axes where it is kept."""
    x = gc.placeholder("x", ("t",), "float64")

    def step(s: Tensor, e: Tensor) -> Any:
        row = gc.reshape(e * s, shape)
        return 0.5 * s + gc.tanh(e) + 0.01 * row[(0,) * len(shape)], (row, row * s)

    outputs = gc.scan(step, gc.constant(np.float64(0)), x)
    f, g = gc.function([x], outputs, cache=False), serial(monkeypatch, [x], outputs)
    assert ROUTINE in f.llvm()
    values = np.random.default_rng(9).normal(size=7000)
    assert same_bits(f(values), g(values))


@pytest.mark.parametrize("cell", [decayed, wave])
def test_gradients(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    x = gc.placeholder("x", ("t",))
    zero = gc.constant(np.float32(0))
    s = gc.scan(lambda s, e: (cell(s, e),) * 2, zero, x)[1]
    outputs = gc.grad(gc.sum(s * s), x)
    f, g = gc.function([x], outputs, cache=False), serial(monkeypatch, [x], outputs)
    values = np.random.default_rng(4).normal(size=17_000).astype("float32")
    assert same_bits(f(values), g(values))


def test_short_loops_and_sums_stay_as_they_are() -> None:
    def text(length: int | str, cell: Cell) -> str:
        x = gc.placeholder("x", (length,))
        zero = gc.constant(np.float32(0))
        return gc.function([x], gc.scan(lambda s, e: (cell(s, e), s), zero, x), cache=False).llvm()

    assert ROUTINE in text(LEAST, leaky)
    assert ROUTINE not in text(LEAST - 1, leaky)
    assert ROUTINE not in text("t", lambda s, e: gc.exp(e) + s)
    assert ROUTINE in text("t", lambda s, e: s + gc.exp(s))


# --- the routine itself, with steps in Python -----------------------------------------------------

SERIAL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
LANES = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 4)
WHOLE = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, *[ctypes.c_int64] * 3)


Map = Callable[[int, int], int]  # (step, state) -> state


@pytest.fixture(scope="module")
def library() -> Library:
    text = module_text([routine(host())])
    symbols = {k: v for k, v in library_symbols(C_SYMBOLS).items() if k in ("memcpy", "memcmp")}
    return Library([module_object(Module(text, PLAIN), host())], [ROUTINE], symbols)


class Run:
    """A loop whose steps store their states. steps: run one after the other, and side by side."""

    def __init__(self, library: Library, step: Map, length: int, lanes: int) -> None:
        self.step, self.length, self.lanes = step, length, lanes
        self.stored = [-1] * length
        self.chained = self.in_lanes = 0
        state = (ctypes.c_int64 * 1)(7)
        whole = WHOLE(library.address(ROUTINE))
        chain, side_by_side = SERIAL(self.chain), LANES(self.side_by_side)
        pointers = [ctypes.cast(one, ctypes.c_void_p) for one in (chain, side_by_side)]
        whole(*pointers, None, ctypes.addressof(state), length, lanes, 1)
        self.final = state[0]

    def advance(self, state: int, at: int, keep: bool) -> int:
        assert 0 <= at < self.length
        state = self.step(at, state)
        if keep:
            self.stored[at] = state
        return state

    def chain(self, frame: int, states: int, begin: int, end: int) -> None:
        state = ctypes.c_int64.from_address(states)
        for at in range(begin, end):
            state.value = self.advance(state.value, at, keep=True)
        self.chained += end - begin

    def side_by_side(
        self, frame: int, states: int, begin: int, end: int, stride: int, keep: int
    ) -> None:
        for lane in range(self.lanes):
            state = ctypes.c_int64.from_address(states + 8 * lane)
            for at in range(begin, end):
                state.value = self.advance(state.value, at + lane * stride, keep=bool(keep))
        self.in_lanes += end - begin


def forgets(memory: int) -> Map:
    """A state that depends on the last few steps only."""
    inputs = np.random.default_rng(5).integers(0, 1 << 40, 100_000).tolist()
    return lambda at, state: (state >> (60 // memory)) ^ inputs[at]


def mixed(at: int, state: int) -> int:
    """Never forgets: one to one in the state."""
    return (state * 6364136223846793005 + at) % (1 << 62)


def few(at: int, state: int) -> int:
    """Few states: two chains meet by chance, and may part at no time after that."""
    return (state * state + at * 2654435761) % 97


def sometimes(at: int, state: int) -> int:
    """Forgets at once in the first half, never in the second."""
    return at % 1000 if at < 10_000 else mixed(at, state)


def late(at: int, state: int) -> int:
    """Forgets all at rare places only."""
    return at if at % 3000 == 0 else state + 1


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("length", [0, 1, LEAST - 1, LEAST, 3001, 20_003])
@pytest.mark.parametrize("step", [forgets(5), forgets(60), mixed, few, sometimes, late])
def test_the_routine(library: Library, step: Map, length: int, lanes: int) -> None:
    run = Run(library, step, length, lanes)
    state, wanted = 7, []
    for at in range(length):
        state = step(at, state)
        wanted.append(state)
    assert run.stored == wanted
    assert run.final == state
    # Side by side costs about as much as one after the other.
    assert run.chained + run.in_lanes <= length * 1.4


def test_what_is_saved(library: Library) -> None:
    run = Run(library, forgets(10), 20_000, 4)
    assert run.chained + run.in_lanes < 20_000 * 0.35


def test_what_is_lost(library: Library) -> None:
    """Where no state is forgotten: a few per cent, all of it at the beginning."""
    run = Run(library, mixed, 20_000, 4)
    assert run.chained == 20_000
    assert run.in_lanes <= 20_000 / 32
