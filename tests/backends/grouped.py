"""Many expressions in one compiled function, each compared with the interpreted graph.

One function of forty expressions compiles in a fraction of the time of forty functions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.dtypes import double, is_inexact
from graphc.errors import GraphcError
from tests.variants import Variant, in_some_layout

GROUP = 40  # expressions in one function
OPTIONS: Any = {"on_unused_input": "ignore"}
Results = list[np.ndarray] | GraphcError
Tolerances = Mapping[str, float]
Rounds = Callable[[gc.Function], Iterable[object]]  # all calls are made once for each


def once(_: gc.Function) -> Iterable[object]:
    return ("the only one",)


def check_all(
    variants: Iterable[Variant],
    backend: str,
    tolerances: Tolerances,
    size: int = GROUP,
    rounds: Rounds = once,
) -> None:
    """Those with one call apart from those with several: a call is one of all in the group."""
    waiting: dict[bool, list[Variant]] = {False: [], True: []}
    for variant in variants:
        group = waiting[len(variant.calls) > 1]
        group.append(variant)
        if len(group) == size:
            check(group, backend, tolerances, rounds)
            group.clear()
    for group in filter(None, waiting.values()):
        check(group, backend, tolerances, rounds)


def check(
    variants: Sequence[Variant], backend: str, tolerances: Tolerances, rounds: Rounds = once
) -> None:
    """All in one function; those that only fail, each in its own."""
    working: list[Variant] = []
    expected: list[list[Results]] = []
    for variant in variants:
        results = expected_of(variant)
        if all(isinstance(result, GraphcError) for result in results):
            check_failure(variant, results, backend, rounds)
        else:
            working.append(variant)
            expected.append(results)
    if working:
        group = Group(working, expected, backend, tolerances)
        for _ in rounds(group.function):
            group.check()


@lru_cache(256)  # those of one test, for the next one: the same variants on another backend
def expected_of(variant: Variant) -> list[Results]:
    """What each call gives, or the error it raises."""
    plain = gc.function(
        variant.inputs, variant.outputs, backend="reference", optimize=False, **OPTIONS
    )
    found: list[Results] = []
    for arrays in variant.calls:
        try:
            found.append(plain(*arrays))
        except GraphcError as error:
            found.append(error)
    return found


def check_failure(
    variant: Variant, expected: Sequence[Results], backend: str, rounds: Rounds
) -> None:
    function = gc.function(variant.inputs, variant.outputs, backend=backend, check=True, **OPTIONS)
    for _ in rounds(function):
        for arrays, wanted in zip(variant.calls, expected, strict=True):
            assert isinstance(wanted, GraphcError)
            with pytest.raises(GraphcError) as caught:
                function(*arrays)
            found = type(caught.value), caught.value.code
            assert found == (type(wanted), wanted.code), variant.label


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if found.tobytes() == expected.tobytes():
        return  # most are: the comparison below costs more than the call
    if not is_inexact(expected.dtype):
        np.testing.assert_array_equal(found, expected)
        return
    wide = expected.astype(double(expected.dtype))
    scale = float(np.abs(wide[np.isfinite(wide)]).max(initial=0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        np.testing.assert_allclose(
            found.astype(wide.dtype), wide, rtol=tolerance, atol=tolerance * scale
        )


class Group:
    """Several expressions in one compiled function."""

    def __init__(
        self,
        variants: Sequence[Variant],
        expected: Sequence[list[Results]],
        backend: str,
        tolerances: Tolerances,
    ) -> None:
        self.variants, self.expected, self.tolerances = variants, expected, tolerances
        self.repeatable = backend == "llvm"
        self.rng = np.random.default_rng(0)
        inputs = [tensor for variant in variants for tensor in variant.inputs]
        outputs = [tensor for variant in variants for tensor in variant.outputs]
        self.function = gc.function(inputs, outputs, backend=backend, check=True, **OPTIONS)
        # A call that works, for those whose turn it is not.
        self.usual = [
            next(n for n, result in enumerate(results) if isinstance(result, list))
            for results in expected
        ]

    def check(self) -> None:
        for turn in range(max(len(v.calls) for v in self.variants)):
            turns = [
                turn if turn < len(results) and isinstance(results[turn], list) else usual
                for results, usual in zip(self.expected, self.usual, strict=True)
            ]
            found = self.call(turns)
            self.compare(found, turns)
            if turn == 0 and self.repeatable:
                for first, again in zip(found, self.call(turns), strict=True):
                    assert first.tobytes() == again.tobytes(), "a repeated call gave other bits"
        for position, results in enumerate(self.expected):
            for turn, wanted in enumerate(results):
                if isinstance(wanted, GraphcError):
                    self.compare_error(position, turn, wanted)

    def call(self, turns: Sequence[int]) -> list[np.ndarray]:
        arrays = [a for v, n in zip(self.variants, turns, strict=True) for a in v.calls[n]]
        laid = [in_some_layout(array, self.rng) for array in arrays]
        found: list[np.ndarray] = self.function(*laid)
        for array, given in zip(arrays, laid, strict=True):
            if given.tobytes() == array.tobytes():
                continue
            np.testing.assert_array_equal(given, array, "a feed was written to")
        return found

    def compare(self, found: list[np.ndarray], turns: Sequence[int]) -> None:
        rest = iter(found)
        for variant, results, turn in zip(self.variants, self.expected, turns, strict=True):
            wanted = results[turn]
            assert isinstance(wanted, list)
            narrow = max((self.tolerances.get(t.dtype.name, 0) for t in variant.inputs), default=0)
            for value in wanted:
                tolerance = max(self.tolerances.get(value.dtype.name, 0), narrow)
                try:
                    assert_close(next(rest), value, tolerance)
                except AssertionError as error:
                    raise AssertionError(f"{variant.label}, call {turn}: {error}") from None

    def compare_error(self, position: int, turn: int, wanted: GraphcError) -> None:
        turns = [*self.usual[:position], turn, *self.usual[position + 1 :]]
        label = f"{self.variants[position].label}, call {turn}"
        try:
            self.call(turns)
        except GraphcError as error:
            assert (type(error), error.code) == (type(wanted), wanted.code), label
        else:
            raise AssertionError(f"{label} did not raise {wanted}")
