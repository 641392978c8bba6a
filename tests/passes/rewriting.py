"""Rules applied to small expressions: the text before and after, and the values of both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.ir.printer import format_expression
from graphc.ir.tensor import Tensor
from graphc.rewrite.driver import RewriteLog, rewrite
from graphc.rewrite.rule import RuleTable
from graphc.shapes import Dim, parse_size

EXTREMES = (0.0, -0.0, 1.0, -1.0, 2.5, -3.0, 1e-40, -1e-45, 3e38, -3e38, np.inf, -np.inf, np.nan)
SYMBOLIC_SIZE = 13
FLOAT = ("float32[n]",) * 4
INT = ("int32[n]",) * 4
Build = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """build(x, y, z, w) becomes `after` and `rule` has a part in it; a text of None: unchanged."""

    rule: str
    build: Build
    after: str | None
    types: tuple[str, ...] = FLOAT
    extremes: bool = True  # whether values at extremes must be equal bit by bit

    def __str__(self) -> str:
        return f"{self.rule}: {self.after}"


@dataclass(frozen=True)
class Rewritten:
    """An expression and what became of it."""

    inputs: tuple[Tensor, ...]
    old: Tensor
    new: Tensor
    log: RewriteLog

    @property
    def before(self) -> str:
        return format_expression(self.old, 9)

    @property
    def after(self) -> str:
        return format_expression(self.new, 9)

    def values(self, arrays: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Both evaluated on the same arrays."""
        feeds = {
            tensor: np.array(array, tensor.dtype)
            for tensor, array in zip(self.inputs, arrays, strict=True)
        }
        old, new = (evaluate_tensors([one], feeds)[0] for one in (self.old, self.new))
        return old, new

    def extremes(self, seed: int) -> list[np.ndarray]:
        """Zeros of both signs, infinities, NaN, subnormal and huge numbers in every place."""
        rng = np.random.default_rng(seed)
        return [_filled(tensor, rng) for tensor in self.inputs]


def rewritten(table: RuleTable, build: Build, *types: str) -> Rewritten:
    """build(x, y, z, w) in normal form; as many inputs as `build` takes."""
    names = build.__code__.co_varnames[: build.__code__.co_argcount]
    inputs = tuple(placeholder(name, text) for name, text in zip(names, types, strict=False))
    old = build(*inputs)
    log = RewriteLog()
    (new,) = rewrite([old], table, log=log)
    assert new.type == old.type
    return Rewritten(inputs, old, new, log)


def check(table: RuleTable, case: Case, samples: int = 20) -> Rewritten:
    """The text is as expected, the rule fired (or nothing did), and every IEEE result is kept."""
    found = rewritten(table, case.build, *case.types)
    if case.after is None:
        assert case.rule not in found.log.rules()
        return found
    assert found.after == case.after
    assert case.rule in found.log.rules()
    if case.extremes:
        for seed in range(samples):
            assert_same_bits(*found.values(found.extremes(seed)))
    return found


def placeholder(name: str, text: str) -> Tensor:
    """`float32[n, 3]`"""
    dtype, _, sizes = text.rstrip("]").partition("[")
    shape = tuple(parse_size(size) for size in sizes.split(",") if size)
    return gc.placeholder(name, shape, dtype)


def assert_same_bits(old: np.ndarray, new: np.ndarray) -> None:
    """Equal as IEEE results: NaN at the same places, and zeros of the same sign."""
    np.testing.assert_array_equal(new, old)
    if old.dtype.kind == "f":
        zero = old == 0
        np.testing.assert_array_equal(np.signbit(new[zero]), np.signbit(old[zero]))


def _filled(tensor: Tensor, rng: np.random.Generator) -> np.ndarray:
    shape = tuple(SYMBOLIC_SIZE if isinstance(size, Dim) else size for size in tensor.shape)
    if tensor.dtype.kind == "f":
        return rng.choice(np.array(EXTREMES, tensor.dtype), size=shape)
    if tensor.dtype.kind == "b":
        return rng.uniform(size=shape) < 0.5
    limits = np.iinfo(tensor.dtype)
    choices = np.array([0, 1, 2, 7, int(limits.max), int(limits.min)], tensor.dtype)
    return rng.choice(choices, size=shape)
