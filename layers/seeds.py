"""Where layers draw from: first values of weights from numpy, random masks from counted keys."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.configured import parameter_error, plain_number

__all__ = ["SeedGenerator", "set_random_seed"]


class _Source:
    """The generator of this process; entropy of the system until a seed is set."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.generator: np.random.Generator | None = None

    def draw(self) -> int:
        with self.lock:
            if self.generator is None:
                self.generator = np.random.default_rng()
            return int(self.generator.integers(0, 1 << 63))


_source = _Source()


def _checked_seed(name: str, seed: Any, least: int | None = None) -> int:
    number = plain_number(seed)
    if (
        not isinstance(number, int)
        or isinstance(number, bool)
        or (least is not None and number < least)
    ):
        text = "a seed is a whole number" + ("" if least is None else f" >= {least}")
        raise parameter_error(f"{name}: seed={seed!r:.60}", text)
    return number


def set_random_seed(seed: int) -> None:
    """Fix all that layers draw from now on: first weights, masks, the order of examples.

    The same seed and the same program give the same model. Without it every process differs.
    """
    generator = np.random.default_rng(_checked_seed("set_random_seed", seed, least=0))
    with _source.lock:
        _source.generator = generator


@contextmanager
def random_seed(seed: int) -> Iterator[None]:
    """As set_random_seed, inside the block alone."""
    before = _source.generator
    set_random_seed(seed)
    try:
        yield
    finally:
        with _source.lock:
            _source.generator = before


def new_seed() -> int:
    """A seed that no one else has, 0 <= seed < 2^63."""
    return _source.draw()


def new_generator() -> np.random.Generator:
    """A generator for the first values of a weight."""
    return np.random.default_rng(new_seed())


class SeedGenerator:
    """Keys of random numbers that a layer draws: new ones at every call of a function.

    The position is a variable uint64[2], seed and number of calls, which every function that draws
    moves on by one. Within a call the n-th draw of a context has the same key however often the
    graph was built, so that training goes on bit by bit after a model is loaded.
    """

    def __init__(self, seed: int | None = None, name: str = "seed_generator_state") -> None:
        start = new_seed() if seed is None else _checked_seed("SeedGenerator", seed)
        self.state = gc.variable(np.array([start % (1 << 64), 0], np.uint64), name)
        self.state.default_update = _advanced

    def key(self, number: int = 0) -> gc.Tensor:
        """The key of the n-th draw of a call. uint64[]"""
        call = gc.random.fold_in(self.state[0], self.state[1])
        return gc.random.fold_in(call, number)


def _advanced(state: Any) -> Any:
    return state + np.array([0, 1], np.uint64)
