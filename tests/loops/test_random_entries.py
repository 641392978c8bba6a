"""Random loops that change entries of their states, for all sizes at once, beside loops in Python.

A program is a list of changes. It is run twice: on tensors, compiled, and on arrays of numpy, where
every change makes a new array.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

import graphc as gc

SIZES = (16, 0, 1, 2, 15, 17, 33)
DTYPES = ("float64", "float32", "int32", "int64", "bool", "complex64")
CHANGES = (*["entry"] * 8, "whole", "swap", "same", "flip", "old", "new", *["both"] * 3)
LOOPS = ("scan", "scan", "back", "while", "for")
States = list[Any]


class Change(NamedTuple):
    kind: str
    state: int
    other: int
    mode: str
    key: int
    inner: tuple["Change", ...] = ()  # run in a loop, or under a condition


class Tensors:
    """The operations of a program, as graphc has them."""

    astype, where = staticmethod(gc.astype), staticmethod(gc.where)
    sin, total = staticmethod(gc.sin), staticmethod(gc.sum)

    @staticmethod
    def at(x: Any, key: Any, mode: str, values: Any) -> Any:
        return getattr(x.at[key], mode)(values)

    @staticmethod
    def cond(holds: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        return gc.cond(holds, then, otherwise)

    @staticmethod
    def loop(kind: str, step: Any, states: Any, rows: Any) -> Any:
        count = rows[0].shape[0]
        if kind in ("scan", "back"):
            return gc.scan(step, states, rows, reverse=kind == "back")

        def at(k: Any, states: Any) -> Any:
            return step(states, tuple(gc.take(row, k, axis=0) for row in rows))[0]

        if kind == "for":
            return gc.fori_loop(0, count, at, states), ()
        begin = (gc.constant(0), *states)
        end = gc.while_loop(lambda s: s[0] < count, lambda s: (s[0] + 1, *at(s[0], s[1:])), begin)
        return end[1:], ()


class Arrays:
    """The same on arrays."""

    where, sin, total = staticmethod(np.where), staticmethod(np.sin), staticmethod(np.sum)

    @staticmethod
    def astype(x: Any, dtype: str) -> Any:
        return np.asarray(x).astype(dtype)

    @staticmethod
    def at(x: Any, key: Any, mode: str, values: Any) -> Any:
        found, values = np.array(x), np.asarray(values).astype(x.dtype)
        if mode == "set":
            found[key] = values
        else:
            getattr(np, {"max": "maximum"}.get(mode, mode)).at(found, key, values)
        return found

    @staticmethod
    def cond(holds: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        return then() if holds else otherwise()

    @staticmethod
    def loop(kind: str, step: Any, states: Any, rows: Any) -> Any:
        steps = [*zip(*rows, strict=True)]
        outputs = []
        for row in steps[::-1] if kind == "back" else steps:
            states, out = step(states, row)
            outputs.append(out)
        outputs = outputs[::-1] if kind == "back" else outputs
        return states, tuple(map(np.stack, zip(*outputs, strict=True)))


class Program:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        dtypes = [self.one(DTYPES) for _ in range(2)]
        count = self.rng.integers(1, 4)
        self.states = [(self.one(((1,), (2,), (2,))), self.one(dtypes)) for _ in range(count)]
        self.kind = self.one(LOOPS)
        self.changes = [self.change(2) for _ in range(self.rng.integers(1, 5))]

    def one(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def change(self, depth: int) -> Change:
        state, other = self.rng.integers(len(self.states), size=2)
        mode, key = self.one(("set", "add", "multiply", "max")), int(self.rng.integers(4))
        inner: tuple[Change, ...] = ()
        kind = self.one(CHANGES)
        if depth and self.rng.random() < 0.25:
            kind = self.one(("cond", "scan", "back", "while", "for"))
            inner = tuple(self.change(depth - 1) for _ in range(2))
        return Change(kind, int(state), int(other), mode, key, inner)

    def run(self, lib: Any, states: Sequence[Any], rows: Any) -> list[Any]:
        def step(c: Any, row: Any) -> Any:
            outputs: list[Any] = []
            return tuple(self.apply(lib, self.changes, list(c), row, outputs)), tuple(outputs)

        last, stacked = lib.loop(self.kind, step, tuple(states), rows)
        return [*last, *stacked]

    def value(self, lib: Any, change: Change, c: States, row: Any) -> Any:
        """A number for the state, made of an entry of the other one."""
        (shape, _), (_, dtype) = self.states[change.other], self.states[change.state]
        entry = c[change.other][row[: shape[0]]]
        kind = np.dtype(self.states[change.other][1]).kind
        entry = lib.astype(entry.real if kind == "c" else entry, "float64")
        return lib.astype(lib.sin(entry) * (1.0 if dtype.startswith(("f", "c")) else 3.0), dtype)

    def apply(
        self, lib: Any, changes: Sequence[Change], c: States, row: Any, outputs: States
    ) -> States:
        before = list(c)
        for change in changes:
            kind, state, other = change.kind, change.state, change.other
            (shape, dtype), x = self.states[state], c[state]
            if change.inner:
                c[:] = self.inside(lib, change, c, row)
            elif kind == "entry":
                mode = "set" if dtype == "bool" else change.mode
                mode = "add" if dtype == "complex64" and mode != "set" else mode
                key = keys_of(shape, row)[change.key]
                c[state] = lib.at(x, key, mode, self.value(lib, change, c, row))
            elif kind == "whole":
                c[state] = lib.where(x == x, x, x) if dtype == "bool" else x * x.dtype.type(-1)
            elif kind == "swap" and self.states[state] == self.states[other]:
                c[state], c[other] = c[other], c[state]
            elif kind == "same" and self.states[state] == self.states[other]:
                c[state] = c[other]
            elif kind == "flip":
                c[state] = x[::-1]
            elif kind == "both" and dtype != "bool":
                outputs.append(lib.total(x * before[state]))
            elif kind == "old":
                outputs.append(before[state])
            elif kind == "new":
                outputs.append(x)
        return c

    def inside(self, lib: Any, change: Change, c: States, row: Any) -> Any:
        i, j, several = row
        if change.kind == "cond":
            return lib.cond(
                i > 1,
                lambda: tuple(self.apply(lib, change.inner, list(c), row, [])),
                lambda: tuple(c),
            )

        def step(c: Any, k: Any) -> Any:
            return tuple(self.apply(lib, change.inner, list(c), (k[0], j, several), [])), ()

        return lib.loop(change.kind, step, tuple(c), (several,))[0]


def keys_of(shape: tuple[int], row: Any) -> tuple[Any, ...]:
    """Places of a state of so many axes that a step may change."""
    i, j, several = row
    if shape == (1,):
        return i, several, slice(None, None, 2), slice(None, None, -3)
    return (i, j), several, i, (slice(None), j)


def values(program: Program, n: int, m: int, t: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(n + 100 * m)
    states = []
    for shape, dtype in program.states:
        drawn = rng.normal(size=(n, m)[: shape[0]]) * 2
        states.append(drawn > 0 if dtype == "bool" else drawn.astype(dtype))
    return states, [rng.integers(-n, n, t), rng.integers(-m, m, t), rng.integers(-n, n, (t, 3))]


@pytest.mark.parametrize("seed", range(60))
def test_every_step_changes_what_it_says(seed: int) -> None:
    program = Program(seed)
    states = [
        gc.placeholder(f"s{number}", ("n", "m")[: shape[0]], dtype)
        for number, (shape, dtype) in enumerate(program.states)
    ]
    rows = [gc.placeholder(name, ("t",), "int64") for name in "ij"]
    rows.append(gc.placeholder("several", ("t", 3), "int64"))
    outputs = program.run(Tensors, states, tuple(rows))
    backends = ("llvm", "numba_cpu" if seed % 6 == 0 else "interpreter")
    functions = [
        gc.function([*states, *rows], outputs, backend=backend, on_unused_input="ignore")
        for backend in backends
    ]
    for number, n in enumerate(SIZES):
        m = SIZES[(number * 3 + seed) % len(SIZES)]
        given, indices = values(program, n, m, (seed + number) % 5 if n and m else 0)
        kept = [array.copy() for array in (*given, *indices)]
        expected = program.run(Arrays, given, tuple(indices))
        for function in functions:
            for found, wanted in zip(function(*given, *indices), expected, strict=False):
                assert found.dtype == wanted.dtype
                np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)
        for array, old in zip((*given, *indices), kept, strict=True):
            np.testing.assert_array_equal(array, old)
