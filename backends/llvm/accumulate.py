"""Accumulators: identities, one step of combination, and the sum over the lanes of a vector.

The state of an accumulator is a list of values: the value so far, and for argmax and argmin its
position. In a vector loop every lane keeps a state of its own; lanes are combined by halving, in
one fixed order, so that results do not change from call to call.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from graphc.backends.llvm.scalar_ops import add_pair_products, emit_operation, register_type
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.text import Val
from graphc.dtypes import DType, highest, int64, is_bool, is_floating, is_signed, lowest

State = list[Val]


class Combination(NamedTuple):
    """How values of one dtype are combined: add mul maximum minimum and or argmax argmin."""

    combine: str
    dtype: DType

    @property
    def has_position(self) -> bool:
        return self.combine in ("argmax", "argmin")

    @property
    def is_sum(self) -> bool:
        """A sum of floating numbers."""
        return self.combine == "add" and is_floating(self.dtype)

    @property
    def is_inexact_sum(self) -> bool:
        """Long sums of it lose digits unless they are made of shorter ones."""
        return self.is_sum and self.dtype.itemsize <= 4

    def identity(self, code: Code, lanes: int) -> State:
        """The state of an accumulator that met no element."""
        type = register_type(self.dtype)
        value = code.constant(identity_value(self.combine, self.dtype), type, lanes)
        return [value, code.constant(0, "i64", lanes)] if self.has_position else [value]

    def merge(self, code: Code, first: State, second: State) -> State:
        """Two states as one; `first` comes first where positions decide."""
        x, y = first[0], second[0]
        if self.has_position:
            nothing = self.identity(code, x.lanes)
            if all(a.text == b.text for a, b in zip(first, nothing, strict=True)):
                return second
            return self._merge_positions(code, first, second, ordered=False)
        if not (self.combine == "add" and is_floating(self.dtype)):  # 0.0 + -0.0 is not -0.0
            neutral = self.identity(code, x.lanes)[0].text
            if x.text == neutral or y.text == neutral:
                return [y if x.text == neutral else x]
        return [
            code.pure(
                ("combine", self.combine, x.text, y.text, x.type, x.lanes),
                (x, y),
                lambda: emit_operation(code.builder, self.combine, (x, y), self.dtype, self.dtype),
            )
        ]

    def step(self, code: Code, state: State, value: Val, position: Val | None) -> State:
        """The state after one more element, which comes after those met before."""
        if position is None:
            return self.merge(code, state, [value])
        return self._merge_positions(code, state, [value, position], ordered=True)

    def fused_step(self, code: Code, state: State, factors: Sequence[Val]) -> State:
        """The sum so far and the product of two factors, rounded once."""
        x, y = factors
        return [
            code.pure(
                ("fma", x.text, y.text, state[0].text, x.type, x.lanes),
                (x, y, state[0]),
                lambda: code.builder.fma(x, y, state[0]),
            )
        ]

    def pair_step(self, code: Code, state: State, factors: Sequence[Val], at_once: bool) -> State:
        """The sum so far and the products of two pairs."""
        x, y = factors
        return [
            code.pure(
                ("pairs", x.text, y.text, state[0].text, x.type, x.lanes),
                (x, y, state[0]),
                lambda: add_pair_products(code.builder, state[0], x, y, at_once=at_once),
            )
        ]

    def _merge_positions(self, code: Code, first: State, second: State, ordered: bool) -> State:
        """The better value; of equals the lower position, which is `first`'s if ordered."""

        def take() -> Val:
            b = code.builder
            (x, p), (y, q) = first, second
            if is_floating(self.dtype):
                better = b.fcmp("ugt" if self.combine == "argmax" else "ult", y, x)
                x_is_number = b.fcmp("ord", x, x)
                better = b.and_(better, x_is_number)
                if ordered:
                    return better
                both_nan = b.and_(b.fcmp("uno", y, y), b.not_(x_is_number))
                equal = b.or_(b.fcmp("oeq", x, y), both_nan)
            else:
                x_wide, y_wide = (b.zext(v, "i8") if is_bool(self.dtype) else v for v in (x, y))
                sign = "s" if is_signed(self.dtype) else "u"
                better = b.icmp(sign + ("gt" if self.combine == "argmax" else "lt"), y_wide, x_wide)
                if ordered:
                    return better
                equal = b.icmp("eq", x, y)
            return b.or_(better, b.and_(equal, b.icmp("slt", q, p)))

        texts = tuple(v.text for v in (*first, *second))
        condition = code.pure(
            (self.combine, ordered, *texts, str(self.dtype), first[0].lanes),
            (*first, *second),
            take,
        )
        return [choose(code, condition, y, x) for x, y in zip(first, second, strict=True)]

    def _best_lane(self, code: Code, values: Val, positions: Val) -> State:
        """The best of all lanes first, then the lowest position where it stands."""
        extremum = Combination(self.combine.removeprefix("arg") + "imum", self.dtype)
        [best] = extremum.narrow(code, [values], 1)
        wanted = code.splat(best, values.lanes)

        def stands() -> Val:
            b = code.builder
            if not is_floating(self.dtype):
                return b.icmp("eq", values, wanted)
            return b.or_(b.fcmp("oeq", values, wanted), b.fcmp("uno", values, values))

        key = ("stands", values.text, wanted.text)
        here = code.pure(key, (values, wanted), stands)
        nowhere = code.constant(np.iinfo(np.int64).max, positions.type, positions.lanes)
        [first] = Combination("minimum", int64).narrow(
            code, [choose(code, here, positions, nowhere)], 1
        )
        return [best, first]

    def masked(self, code: Code, mask: Val | None, state: State, old: State) -> State:
        """The new state in the lanes of the mask, else the old one."""
        if mask is None:
            return state
        return [choose(code, mask, new, before) for new, before in zip(state, old, strict=True)]

    def narrow(self, code: Code, state: State, lanes: int) -> State:
        """The state of fewer lanes: the upper half is combined with the lower until they fit."""
        if lanes == 1 and state[0].lanes > 2 and self.has_position and not is_bool(self.dtype):
            return self._best_lane(code, *state)
        while state[0].lanes > lanes:
            half = state[0].lanes // 2
            low = [part(code, value, 0, half) for value in state]
            high = [part(code, value, half, half) for value in state]
            state = self.merge(code, low, high)
        return state


def choose(code: Code, condition: Val, a: Val, b: Val) -> Val:
    if a.text == b.text:
        return a
    return code.pure(
        ("select", condition.text, a.text, b.text, a.type, a.lanes),
        (condition, a, b),
        lambda: code.builder.select(condition, a, b),
    )


def part(code: Code, a: Val, start: int, lanes: int) -> Val:
    """Some neighbouring lanes of a vector."""
    if lanes == 1:
        return code.pure(("lane", a.text, start), (a,), lambda: code.builder.lane(a, start))
    picked = ", ".join(f"i32 {start + k}" for k in range(lanes))
    return code.pure(
        ("part", a.text, start, lanes),
        (a,),
        lambda: code.builder.emit(
            f"shufflevector {a.ir_type} {a.text}, {a.ir_type} poison, <{lanes} x i32> <{picked}>",
            a.type,
            lanes,
        ),
    )


def identity_value(combine: str, dtype: DType) -> float:
    """What an accumulator holds that met no element."""
    if combine in ("maximum", "argmax"):
        return lowest(dtype)
    if combine in ("minimum", "argmin"):
        return highest(dtype)
    if combine == "and":
        return 1 if is_bool(dtype) else -1
    return 1 if combine == "mul" else 0
