"""Calls around Python beside those through it: the same results, refusals and variables."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.direct_call import is_possible
from graphc.function import _long_way
from graphc.structure import flatten

pytestmark = pytest.mark.skipif(not is_possible(), reason="needs CPython with its lock")

DTYPES = ("float32", "float64", "int64", "uint8", "bool", "complex64", "float16")
SHAPES: tuple[tuple[Any, ...], ...] = ((), (), ("n",), (4,), ("n", 3))
NUMBERS = (0.5, -0.0, 1e39, float("nan"), 65520.0, 3, -1, 256, 2**31, 2**63, 2**70, True, 1j)
TYPES = [np.dtype(kind).type for kind in "?bBhHiIlLqQefdgFD"]


class Subclass(np.ndarray):
    pass


class Wrapped:
    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def misaligned(array: np.ndarray) -> np.ndarray:
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    found = np.ndarray(array.shape, array.dtype, memory.data) if array.size else array
    found[...] = array
    return found


ODD: tuple[Callable[[np.ndarray], Any], ...] = (
    lambda a: a.view(Subclass),
    read_only,
    misaligned,
    np.asfortranarray,
    lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    lambda a: a.astype(a.dtype.newbyteorder("S")),
    lambda a: np.ones(a.shape, "float64"),
    lambda a: np.ones(a.shape, "int32"),
    lambda a: a.tolist(),
    Wrapped,
    lambda a: np.ma.array(a, mask=False),
    lambda a: np.ma.array(a, mask=True),
    lambda a: a[None],
    lambda a: a[..., :-1] if a.ndim else a,
    lambda a: a.astype(object),
    lambda a: None,
    lambda a: "text",
    lambda a: [1.0, [2.0]],
)


def draw(rng: np.random.Generator, shape: Sequence[Any], dtype: str, n: int) -> np.ndarray:
    sizes = [n if size == "n" else size for size in shape]
    values = np.asarray(rng.normal(size=sizes) * 3)
    return np.abs(values).astype(dtype) if dtype[0] == "u" else values.astype(dtype)


def odd(rng: np.random.Generator, usual: np.ndarray) -> Any:
    """Something in the place of an array."""
    way = rng.integers(5)
    if way == 0 or (usual.ndim == 0 and way > 2):
        return NUMBERS[rng.integers(len(NUMBERS))]
    if way == 1:
        return TYPES[rng.integers(len(TYPES))](rng.integers(0, 100))
    return ODD[rng.integers(len(ODD))](usual.copy())


Answer = tuple[str, Any]


def answer(function: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> Answer:
    """What a call gives: dtypes, shapes and bits; or what its error says, but for the line."""
    try:
        results = function(*args, **named)
    except gc.GraphcError as error:
        lines = str(error).splitlines()
        return type(error).__name__, [line for line in lines if "written" not in line]
    arrays, structure = flatten(results)
    return "ok", (structure, [(a.dtype, a.shape, a.tobytes()) for a in arrays])


class Both:
    """One function twice: the first may go around Python, the second never does."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.specs = [
            (SHAPES[rng.integers(len(SHAPES))], DTYPES[rng.integers(len(DTYPES))])
            for _ in range(rng.integers(1, 4))
        ]
        self.names = [f"x{number}" for number in range(len(self.specs))]
        self.structure = rng.integers(4)
        self.downcasts = bool(rng.random() < 0.2)
        self.defaults = {
            name: draw(rng, spec[0], spec[1], 5)
            for name, spec in zip(self.names, self.specs, strict=True)
            if rng.random() < 0.3
        }
        made = [self.make(), self.make()]
        self.functions = [function for function, _ in made]
        self.variables = [variable for _, variable in made]
        long = self.functions[1]
        long._route = None
        long.__call__ = _long_way(weakref.ref(long))

    def make(self) -> tuple[gc.Function, Any]:
        inputs = [
            gc.placeholder(name, shape, dtype)
            for name, (shape, dtype) in zip(self.names, self.specs, strict=True)
        ]
        v = gc.variable(np.arange(4.0), "v")
        values = [gc.logical_not(x) if x.dtype == np.bool_ else x + x for x in inputs]
        outputs: Any = [*values, v * 2]
        if self.structure == 1:
            outputs = tuple(outputs)
        elif self.structure == 2:
            outputs = dict(zip("abcd", outputs, strict=False))
        elif self.structure == 3:
            outputs = {"a": outputs[0], "b": outputs[1:]}
        known = dict(zip(self.names, inputs, strict=True))
        defaults = {known[name]: value for name, value in self.defaults.items()}
        f = gc.function(
            inputs,
            outputs,
            updates={v: v + 1},
            defaults=defaults,
            allow_downcast=self.downcasts,
            name="f",
        )
        return f, v

    def is_direct(self) -> bool:
        return type(self.functions[0].__call__) is type(len)

    def usual(self, rng: np.random.Generator, n: int) -> list[Any]:
        return [draw(rng, shape, dtype, n) for shape, dtype in self.specs]

    def memory(self, rng: np.random.Generator, args: Sequence[Any]) -> Any:
        """For results of such arguments, some of it of no use."""
        before = [variable.value for variable in self.variables]
        arrays, structure = flatten(self.functions[1](*args))
        for variable, value in zip(self.variables, before, strict=True):
            variable.value = value
        fresh: list[Any] = [np.empty_like(array) for array in arrays]
        place = rng.integers(len(fresh))
        bad = [None, read_only(fresh[place].copy()), np.empty(fresh[place].shape, "int16"), args[0]]
        if rng.random() < 0.6:
            fresh[place] = bad[rng.integers(len(bad))]
        return structure.pack(fresh)

    def check(self, args: Sequence[Any], named: Mapping[str, Any]) -> None:
        arrays = [a for a in (*args, *named.values()) if type(a) is np.ndarray]
        before = [array.copy() for array in arrays]
        direct, long = (answer(function, args, named) for function in self.functions)
        assert direct == long, (self.specs, args, named)
        for array, old in zip(arrays, before, strict=True):
            assert array.tobytes() == old.tobytes()
        np.testing.assert_array_equal(*(variable.value for variable in self.variables))


@pytest.mark.parametrize("seed", range(40))
def test_both_ways_say_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    both = Both(rng)
    for _ in range(200):  # slow machines may need more than three
        for n in (5, 7):
            both.check(both.usual(rng, n), {})
        if both.is_direct():
            break
    assert both.is_direct()
    for _ in range(40):
        n = int(rng.choice([5, 5, 7, 6, 0, 1]))
        usual = both.usual(rng, n)
        args = [odd(rng, array) if rng.random() < 0.4 else array for array in usual]
        split = len(args) if rng.random() < 0.5 else rng.integers(len(args) + 1)
        named = {
            name: value
            for name, value in zip(both.names[split:], args[split:], strict=True)
            if rng.random() < 0.8
        }
        if rng.random() < 0.3:
            named["out"] = both.memory(rng, usual)
        elif rng.random() < 0.1:
            named[str(rng.choice(["other", both.names[0]]))] = usual[0]
        both.check(args[:split], named)
