"""Random programs at the ends of the dtypes: casts, integers that wrap, NaN among what is searched.

Nothing here rounds, so every way to run a program gives the very same numbers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor

Rng = np.random.Generator
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = (*INTEGERS, "bool", "float16", "bfloat16", "float32", "float64")
SIZES = (0, 1, 2, 7, 8, 15, 16, 17, 31, 33)
ENDS = (*(np.nan, np.inf, -np.inf, -0.0, 0.5, -0.5, 2.5, 3e9, -3e9, 255.5, 127.9, -129), 65504)
FAR = (65520, 70000, 2.0**31, 2.0**53 + 2, 2.0**63, -(2.0**63), 2.0**64, 1e300, 1e-310, 1e-40)


def pick(rng: Rng, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def is_integer(x: Tensor) -> bool:
    return x.dtype.kind in "iu"


def is_number(x: Tensor) -> bool:
    return x.dtype.kind != "b"


def array_of(rng: Rng, shape: tuple[int, ...], tensor: Tensor) -> np.ndarray:
    """Small numbers, and those at the ends of what the dtype holds."""
    dtype = tensor.dtype
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if is_integer(tensor):
        ends = np.iinfo(dtype)
        few = rng.integers(0, 6, shape).astype(dtype)
        some = np.array([ends.min, ends.max, ends.max - 1, ends.max // 2 + 1, 3], dtype)
        return np.where(rng.random(shape) < 0.4, rng.choice(some, shape), few)
    numbers = np.round(rng.normal(size=shape) * 4) / 2
    numbers = np.where(rng.random(shape) < 0.2, rng.choice([*ENDS, *FAR], shape), numbers)
    with np.errstate(all="ignore"):
        return numbers.astype(dtype)


def alike(rng: Rng, values: list[Any], x: Tensor) -> Any:
    """Another value, or the same one, in the shape and dtype of x."""
    return gc.astype(pick(rng, [y for y in values if y.shape == x.shape]), x.dtype)


def arithmetic(rng: Rng, x: Tensor, y: Tensor) -> Any:
    ops: list[Callable[..., Tensor]] = [gc.maximum, gc.minimum, gc.less, gc.equal, gc.greater_equal]
    if is_integer(x):
        ops += [gc.add, gc.subtract, gc.multiply, gc.floor_divide, gc.remainder]
        ops += [gc.bitwise_and, gc.bitwise_xor, lambda a, b: a // 3 - b % -7 if signed(a) else a]
    return pick(rng, ops)(x, y)


def signed(x: Tensor) -> bool:
    return x.dtype.kind == "i"


def reduced(rng: Rng, x: Tensor) -> Any:
    axis = int(rng.integers(x.ndim))
    ops: list[Callable[..., Tensor]] = [gc.argsort, gc.sort, gc.cumulative_max, gc.cumulative_min]
    if is_integer(x):
        ops += [gc.cumulative_sum, gc.cumulative_prod, gc.sum, gc.prod]
    return pick(rng, ops)(x, axis=axis)


def placed(rng: Rng, x: Tensor) -> Any:
    ways: tuple[Callable[[], Tensor], ...] = (
        lambda: x[::-1],
        lambda: gc.roll(x, 1, axis=0),
        lambda: gc.concat([x, x[::2]], axis=0),
        lambda: gc.concat([x[1:], x[:1]], axis=0),
        lambda: x.at[::2].max(x[::2][::-1]),
        lambda: gc.take_along_axis(x, gc.argsort(x, axis=-1, descending=True), axis=-1),
    )
    return pick(rng, ways)()


def step(rng: Rng, values: list[Any]) -> Any:
    x = pick(rng, values[-4:])
    y = alike(rng, values, x)
    way = pick(
        rng, ("cast", "cast", "arithmetic", "arithmetic", "along", "place", "search", "sign")
    )
    if way == "cast":
        return gc.astype(x, pick(rng, DTYPES))
    if not is_number(x):
        return gc.where(x, y, ~x)
    if way == "arithmetic":
        return arithmetic(rng, x, y)
    if way == "along":
        return reduced(rng, x) if x.ndim else gc.abs(x)
    if way == "place":
        return placed(rng, x) if x.ndim else -x
    if way == "search":
        side = pick(rng, ("left", "right"))
        return gc.searchsorted(gc.sort(gc.reshape(x, (-1,))), y, side=side)
    return pick(rng, (gc.sign, gc.abs, gc.round, gc.isfinite, lambda a: gc.clip(a, 0, 100)))(x)


def same(found: np.ndarray, wanted: np.ndarray, where: str) -> None:
    assert found.dtype == wanted.dtype and found.shape == wanted.shape, where
    equal = (found == wanted) | ((found != found) & (wanted != wanted))
    assert equal.all(), f"{where}: {found[~equal][:3]}, not {wanted[~equal][:3]}"


def check(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [("n",), ("n", "m"), ("n", "m"), (int(rng.integers(1, 20)), "n")]
    inputs = [gc.placeholder(f"x{k}", s, pick(rng, DTYPES)) for k, s in enumerate(shapes)]
    values: list[Any] = list(inputs)
    for _ in range(int(rng.integers(3, 10))):
        values.append(step(rng, values))
    outputs = values[len(inputs) :]
    ways: tuple[dict[str, Any], ...] = (
        {"backend": "reference", "optimize": False},
        {"threads": 1, "check": "ir"},
        {"threads": 2, "optimize": False},
        {"backend": "interpreter"},
    )
    functions = [gc.function(inputs, outputs, on_unused_input="ignore", **way) for way in ways]
    for _ in range(3):
        sizes = {"n": int(pick(rng, SIZES)), "m": int(pick(rng, SIZES))}
        counts = [tuple(int(sizes.get(str(d), d)) for d in shape) for shape in shapes]
        feeds = [array_of(rng, s, x) for s, x in zip(counts, inputs, strict=True)]
        with np.errstate(all="ignore"):
            wanted, *found = [f(*feeds) for f in functions]
        for way, results in zip(ways[1:], found, strict=True):
            for number, (one, other) in enumerate(zip(results, wanted, strict=True)):
                where = f"seed {seed}, {sizes}, {way}, result {number}"
                same(np.asarray(one), np.asarray(other), where)


@pytest.mark.parametrize("seed", range(12))
def test_random_values(seed: int) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_random_values() -> None:
    for seed in range(1000, 1120):
        check(seed)
