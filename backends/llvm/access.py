"""Loads and stores: which lanes touch which addresses, and under which mask.

How far apart neighbouring lanes find their elements decides the instruction:

    0            one scalar load
    1            a vector load or store, aligned to one element
    -1           the same, reversed
    2            where the elements are halves of whole pairs: both halves at once, then shuffled
    other        lane by lane from scalar addresses
    unrelated    a gather or scatter from one offset per lane

Lanes beyond the end of a loop (`tail`) and lanes whose condition does not hold (`conditions`)
touch no memory. A scalar load that must not happen reads a stack slot instead.
"""

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from graphc.backends.llvm.accumulate import choose, part
from graphc.backends.llvm.addresses import (
    Addresses,
    Array,
    Evaluator,
    Place,
    index_polynomial,
    remainder,
)
from graphc.backends.llvm.masked import (
    leading,
    masked_gather,
    masked_load,
    masked_scatter,
    masked_store,
    store_leading,
)
from graphc.backends.llvm.neighbours import Element, Group, load_together, shuffled
from graphc.backends.llvm.scalar_ops import emit_operation, from_memory, to_memory
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.text import BITS, Val
from graphc.scalar.expr import Expr
from graphc.shapes import Dim, Size, size_product

SAFE = Val("%safe", "ptr")
TOGETHER = 4  # neighbours of a lane that are stored together, at most


class Part(NamedTuple):
    """One of the neighbours that a lane has: where those of lane 0 begin, which it is, of how
    many."""

    start: Size
    which: int
    number: int


class Memory(Addresses):
    """The arrays of one function."""

    def __init__(self, code: Code, sizes: Sizes, evaluator: Evaluator) -> None:
        super().__init__(code, sizes, evaluator)
        self.tail: Val | None = None
        self.conditions: list[Val] = []
        self.has_gathers = self.has_masked_stores = False
        self.past_cache: dict[str, Val] = {}  # see streaming.py
        self.safe_bytes = 0
        self.neighbours: dict[Element, Group] = {}  # see neighbours.py
        self.registers: dict[str, Val] = {}  # arrays of one element that are not read from memory
        self._versions: dict[str, int] = {}
        self._counter = count(1)

    # Loads

    def load(self, name: str, index: Sequence[Expr], guards: Sequence[Val] = ()) -> Val:
        """The element at `index`: a scalar where all lanes read the same one, else a vector.

        guards: further conditions without which the index may be out of range.
        """
        if name in self.registers:
            return self.registers[name]
        array = self.arrays[name]
        place = self.place(array, index)
        guarded = bool(self.conditions) or any(not scope.is_loop for scope in self.code.scopes[1:])
        in_range = not guarded or self.is_in_range(name, index)
        conditions = [*([] if in_range else self.conditions), *guards]
        floor = self._floor(name, in_range)
        version = self._versions.get(name, 0)
        lanes = self.sizes.lanes
        if place.slope == 0:
            pointer = self._redirected(place.pointer, [self._any(c) for c in conditions], array, 1)
            return self._emit_load(array, pointer, 1, None, version, floor)
        if place.slope == 2 and not conditions and (half := self.part(array, index)) is not None:
            return self._load_half(array, half, version, floor)
        if place.slope not in (1, -1):
            return self._gather(array, index, place, conditions, version, floor)
        mask = self._mask(None if array.lanes > 1 else self.tail, conditions)
        pointer = place.pointer
        if place.slope == 1:
            pointer = self._redirected(pointer, [], array, lanes)
            return self._emit_load(array, pointer, lanes, mask, version, floor)
        back = self.code.constant(1 - lanes, "i64")
        pointer = self.code.gep(array.type, pointer, back)
        reversed_mask = None if mask is None else self._reverse(mask)
        loaded = self._emit_load(array, pointer, lanes, reversed_mask, version, floor)
        return self._reverse(loaded)

    def _emit_load(
        self, array: Array, pointer: Val, lanes: int, mask: Val | None, version: int, floor: int
    ) -> Val:
        builder = self.code.builder

        def make() -> Val:
            if mask is None:
                loaded = builder.load(pointer.text, array.type, lanes)
            else:
                loaded = masked_load(builder, array.type, pointer, mask)
            return from_memory(builder, loaded, array.dtype)

        operands = (pointer,) if mask is None else (pointer, mask)
        key = ("load", array.type, pointer.text, lanes, mask and mask.text, version)
        return self.code.pure(key, operands, make, floor)

    def _gather(
        self,
        array: Array,
        index: Sequence[Expr],
        place: Place,
        conditions: list[Val],
        version: int,
        floor: int,
    ) -> Val:
        """From an address per lane; only moved out of loops that surely run."""
        code, builder = self.code, self.code.builder
        floor = max(floor, self._doubtful_level())
        mask: Val | None = self._mask(self.tail, conditions)
        if mask is None and place.slope is not None and not self.has_gathers:
            group = self._group(array, index)
            if group is not None:
                start = self.pointer(array, group.start, [])
                rows = self.lane_pointers(array, start, place.slope)
                which = group.length, group.which
                return load_together(code, array.type, rows, *which, version, floor)
            return self._strided_load(array, place.pointer, place.slope, version, floor)
        offsets = self._offsets(place)
        if mask is self.tail and mask is not None and not self.has_gathers:
            # Lanes beyond the end read what lane 0 reads: no branch for each lane.
            first = code.splat(part(code, offsets, 0, 1), offsets.lanes)
            offsets, mask = choose(code, mask, offsets, first), None
        if mask is None and not self.has_gathers:
            own = [part(code, offsets, lane, 1) for lane in range(offsets.lanes)]
            by_lane = [code.gep(array.type, place.pointer, offset) for offset in own]
            return self._by_lane(array, by_lane, version, floor)
        pointers = code.gep(array.type, place.pointer, offsets)

        def make() -> Val:
            loaded = masked_gather(builder, array.type, pointers, mask)
            return from_memory(builder, loaded, array.dtype)

        operands = (pointers,) if mask is None else (pointers, mask)
        key = ("gather", array.type, pointers.text, mask and mask.text, version)
        return code.pure(key, operands, make, floor)

    def _group(self, array: Array, index: Sequence[Expr]) -> Group | None:
        """The neighbours with which an element is loaded, if there are any."""
        if not self.neighbours or self.sizes.lanes * BITS[array.type] < 128:
            return None
        place = index_polynomial(array, index)
        return None if place is None else self.neighbours.get((array.name, place))

    def _offsets(self, place: Place) -> Val:
        if place.offsets is not None:
            return place.offsets
        assert place.slope is not None
        return self.sizes.steps(place.slope)

    def _strided_load(
        self, array: Array, pointer: Val, slope: Size, version: int, floor: int
    ) -> Val:
        """Lane by lane: scalar addresses cost less than a vector of them."""
        return self._by_lane(array, self.lane_pointers(array, pointer, slope), version, floor)

    def _by_lane(self, array: Array, pointers: Sequence[Val], version: int, floor: int) -> Val:
        """Lane k from pointer k."""
        code, builder, lanes = self.code, self.code.builder, len(pointers)

        def make() -> Val:
            loaded = Val("poison", array.type, lanes)
            for lane, where in enumerate(pointers):
                one = builder.load(where.text, array.type)
                loaded = builder.emit(
                    f"insertelement {loaded.ir_type} {loaded.text}, {one.type} {one.text}, "
                    f"i64 {lane}",
                    array.type,
                    lanes,
                )
            return from_memory(builder, loaded, array.dtype)

        key = ("by lane", array.type, *[pointer.text for pointer in pointers], version)
        return code.pure(key, pointers, make, floor)

    # Neighbours of each lane: the real and imaginary parts of complex numbers, coordinates

    def part(self, array: Array, index: Sequence[Expr]) -> Part | None:
        """The part that is meant, where each lane has as many elements side by side as lie between
        lanes, and none of them leaves the array."""
        sizes, polynomial = self.sizes, index_polynomial(array, index)
        if sizes.lanes == 1 or array.lanes > 1 or not isinstance(polynomial, Dim):
            return None
        count = None if sizes.vector_axis is None else polynomial.coefficient(sizes.vector_axis)
        if not isinstance(count, int) or not 2 <= count <= TOGETHER:
            return None
        which = remainder(polynomial, count)
        if which is None or remainder(size_product(array.shape), count) != 0:
            return None
        return Part(polynomial - which, which, count)

    def _load_half(self, array: Array, half: Part, version: int, floor: int) -> Val:
        lanes = self.sizes.lanes
        pointer = self._redirected(self.pointer(array, half.start, []), [], array, 2 * lanes)
        mask = None if self.tail is None else self._repeated(self.tail, 2)
        pairs = self._emit_load(array, pointer, 2 * lanes, mask, version, floor)
        return shuffled(self.code, pairs, pairs, range(half.which, 2 * lanes, 2))

    def store_parts(self, name: str, start: Size, values: Sequence[Val]) -> None:
        """Write the elements of each lane, which lie side by side: as many vectors."""
        array, builder, lanes = self.arrays[name], self.code.builder, self.sizes.lanes
        parts = [to_memory(builder, self.code.splat(value, lanes), array.dtype) for value in values]
        count = len(parts)
        pointer = self.pointer(array, start, [])
        mask = self._mask(self.tail, self.conditions)
        masks = None if mask is None else self._repeated(mask, count)
        # Two vectors are stored as one.
        width = count * lanes if count == 2 else lanes
        for first in range(0, count * lanes, width):
            vector = self._interleaved(parts, range(first, first + width))
            to = self.code.gep(array.type, pointer, self.code.constant(first, "i64"))
            if masks is None:
                builder.store(vector, to.text)
                continue
            places = range(first, first + width)
            own = masks if width == masks.lanes else shuffled(self.code, masks, masks, places)
            masked_store(builder, vector, to, own)
        self.touch(name)

    def _interleaved(self, parts: Sequence[Val], places: range) -> Val:
        """Elements of the lanes side by side, from one place to another. What `to_memory` made is
        known here alone."""
        count, vector = len(parts), parts[0]
        for number in range(1, count):
            order = []
            for at, place in enumerate(places):
                lane, which = divmod(place, count)
                before = lane if number == 1 else at
                order.append(vector.lanes + lane if which == number else before)
            vector = shuffled(self.code, vector, parts[number], order, self.code.depth)
        return vector

    def _repeated(self, mask: Val, count: int) -> Val:
        """The mask of the neighbours: each lane as often as it has some."""
        return shuffled(self.code, mask, mask, [k // count for k in range(count * mask.lanes)])

    # Stores

    def store(self, name: str, index: Sequence[Expr], value: Val, accumulate: bool) -> None:
        """Write `value` (or add it) at `index`, in the lanes of the mask."""
        array = self.arrays[name]
        code, builder, lanes = self.code, self.code.builder, self.sizes.lanes
        place = self.place(array, index)
        # Scratch memory has room for the lanes beyond the end.
        tail = None if array.lanes > 1 else self.tail
        mask = None if lanes == 1 else self._mask(tail, self.conditions)
        value = code.splat(value, lanes)
        if accumulate:
            before = self.load(name, index)
            sides, dtype = (code.splat(before, lanes), value), array.dtype
            value = emit_operation(builder, "add", sides, dtype, dtype)
        value = to_memory(builder, value, array.dtype)
        if lanes > 1 and place.slope == -1 and array.lanes == 1:
            self._store_reversed(array, place, value, mask)
        elif lanes > 1 and place.slope != 1:
            self._scatter(array, place, value, mask)
        elif mask is None:
            self._store_whole(name, value, place.pointer)
        elif not self.has_masked_stores and (count := leading(mask)) is not None:
            store_leading(builder, value, place.pointer, count)
        else:
            masked_store(builder, value, place.pointer, mask)
        self.touch(name)

    def _store_whole(self, name: str, value: Val, pointer: Val) -> None:
        """A store of all lanes, past the cache where that was found to pay."""
        builder = self.code.builder
        streams = self.past_cache.get(name)
        if streams is None:
            builder.store(value, pointer.text)
            return
        past, plain, joined = (builder.fresh_label(hint) for hint in ("past", "plain", "stored"))
        builder.branch_if(streams, past, plain)
        builder.block(past)
        builder.store_past_cache(value, pointer.text)
        builder.branch(joined)
        builder.block(plain)
        builder.store(value, pointer.text)
        builder.branch(joined)
        builder.block(joined)

    def _store_reversed(self, array: Array, place: Place, value: Val, mask: Val | None) -> None:
        """Lane k to k elements before the place of lane 0."""
        code, builder = self.code, self.code.builder
        pointer = code.gep(array.type, place.pointer, code.constant(1 - value.lanes, "i64"))
        # What `to_memory` made is known here alone.
        turned = shuffled(code, value, value, range(value.lanes - 1, -1, -1), code.depth)
        if mask is None:
            builder.store(turned, pointer.text)
        else:
            masked_store(builder, turned, pointer, self._reverse(mask))

    def _scatter(self, array: Array, place: Place, value: Val, mask: Val | None) -> None:
        code, builder = self.code, self.code.builder
        if mask is not None or place.slope is None or self.has_gathers:
            pointers = code.gep(array.type, place.pointer, self._offsets(place))
            masked_scatter(builder, value, pointers, mask)
            return
        for lane, where in enumerate(self.lane_pointers(array, place.pointer, place.slope)):
            builder.store(builder.lane(value, lane), where.text)

    def touch(self, name: str) -> None:
        """What was loaded from the array before may have changed."""
        self._versions[name] = next(self._counter)

    # Conditions

    def _floor(self, name: str, in_range: bool) -> int:
        """The outermost level to which a load may move: not over stores, nor out of a branch."""
        floor = 0
        for level, scope in enumerate(self.code.scopes):
            if name in scope.stored or (level and not scope.is_loop and not in_range):
                floor = level
        return floor

    def _doubtful_level(self) -> int:
        """The innermost loop around that may not run at all."""
        levels = [level for level, scope in enumerate(self.code.scopes) if scope.runs is not None]
        return max(levels, default=0)

    def _redirected(self, pointer: Val, conditions: list[Val], array: Array, lanes: int) -> Val:
        """The pointer where the load happens, else one to a stack slot.

        A load that moves out of loops which may not run at all must not happen then.
        """
        code = self.code
        place = code.place(code.lowest([pointer, *conditions]))
        for scope in code.scopes[place + 1 :]:
            if scope.runs is not None and not array.is_scratch:
                conditions = [*conditions, scope.runs()]
        if not conditions:
            return pointer
        condition = conditions[0]
        for other in conditions[1:]:
            condition = code.operation("and", condition, other)
        self.safe_bytes = max(self.safe_bytes, lanes * BITS[array.type] // 8)
        return choose(code, condition, pointer, SAFE)

    def _mask(self, tail: Val | None, conditions: Sequence[Val]) -> Val | None:
        mask = tail
        for condition in conditions:
            wide = self.code.splat(condition, self.sizes.lanes)
            mask = wide if mask is None else self.code.operation("and", mask, wide)
        return mask

    def lane_mask(self) -> Val | None:
        """The lanes in which statements take effect; None for all."""
        return self._mask(self.tail, self.conditions)

    def _any(self, condition: Val) -> Val:
        """Whether the condition holds in a lane that takes part."""
        if condition.lanes == 1:
            return condition
        mask = condition
        if self.tail is not None:
            mask = self.code.operation("and", mask, self.tail)
        return self.code.pure(("any", mask.text), (mask,), lambda: self.code.builder.any(mask))

    def _reverse(self, a: Val) -> Val:
        return shuffled(self.code, a, a, range(a.lanes - 1, -1, -1))
