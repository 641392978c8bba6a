"""Stores past the cache, for kernels that touch more memory than half of the cache.

An ordinary store reads the line that it writes into; one past the cache does not, and leaves the
cache to what is read again. From half of the cache on this is faster even where the next loop reads
what was stored: not all of it would be there any more, least of all in a cache that others share.
It pays only where every iteration writes whole lines (a line in two parts, with much arithmetic
between them, takes several times as long): neighbouring lanes store to neighbours, from the
beginning of a line. Whether that is so is known at run time, once a loop; and where sizes are
symbols, whether the arrays are large.
"""

from collections.abc import Iterator, Sequence

from graphc.backends.llvm.access import Memory
from graphc.backends.llvm.target import LINE, Target
from graphc.backends.llvm.text import Val
from graphc.loops.ir import For, If, Kernel, Statement, Store
from graphc.loops.tidy import values_of
from graphc.scalar.expr import Index, Load, walk
from graphc.shapes import Size, size_product

SHORTEST = 1024  # bytes of one run of stores


class Streaming:
    """What a kernel may store past the cache. touched: bytes of all its arrays."""

    def __init__(self, kernel: Kernel, target: Target) -> None:
        self.bound = target.cache_bytes // 2
        self.touched: Size = 0
        for parameter in kernel.parameters:
            self.touched = self.touched + size_product(parameter.shape) * parameter.dtype.itemsize
        self.buffers: set[str] = set()  # that are only written
        if not isinstance(self.touched, int) or self.is_large:
            loaded = {
                part.buffer
                for value in values_of(kernel.body)
                for part in walk(value)
                if isinstance(part, Load)
            }
            loaded |= {store.buffer for store in _stores(kernel.body) if store.accumulate}
            self.buffers = {p.name for p in kernel.parameters if p.written} - loaded

    @property
    def is_large(self) -> bool:
        """Whether all sizes are known, and are large."""
        return isinstance(self.touched, int) and self.touched > self.bound

    def stores(self, loop: For, lanes: int) -> list[Store]:
        """The stores of a loop that may go past the cache, each the only one to its buffer."""
        if not self.buffers:
            return []
        buffers = [store.buffer for store in _stores(loop.body)]
        return [
            item
            for item in loop.body
            if isinstance(item, Store)
            and item.buffer in self.buffers
            and buffers.count(item.buffer) == 1
            and all(isinstance(part, Index) for part in item.index)
            and not (isinstance(loop.extent, int) and loop.extent * _width(item) < SHORTEST)
            and lanes * _width(item) % LINE == 0
        ]

    def pays(self, memory: Memory, extent: Size) -> list[Val]:
        """What has to hold beside the alignment, as far as it is not known."""
        return [
            _exceeds(memory, size, bound)
            for size, bound in ((self.touched, self.bound), (extent, SHORTEST))
            if not isinstance(size, int)
        ]

    def misalignment(self, memory: Memory, store: Store) -> Val | None:
        """Bytes by which lane 0 stores behind the beginning of a line; None: not to neighbours."""
        code, array = memory.code, memory.arrays[store.buffer]
        place = memory.place(array, store.index)
        if place.slope != 1 or array.lanes > 1:
            return None
        pointer = place.pointer
        address = code.pure(
            ("ptrtoint", pointer.text),
            (pointer,),
            lambda: code.builder.emit(f"ptrtoint ptr {pointer.text} to i64", "i64"),
        )
        return code.operation("and", address, code.constant(LINE - 1, "i64"))

    def aligned(self, memory: Memory, stores: Sequence[Store], extent: Size) -> dict[str, Val]:
        """For each buffer the i1: whether a loop that begins here stores past the cache."""
        code, found = memory.code, {}
        for store in stores:
            behind = self.misalignment(memory, store)
            if behind is None:
                continue
            holds = _is_zero(memory, behind)
            for condition in self.pays(memory, extent):
                holds = code.operation("and", holds, condition)
            found[store.buffer] = holds
        return found

    def lead(self, memory: Memory, stores: Sequence[Store]) -> Val | None:
        """How many elements stand before the first whole line of the first store."""
        behind = self.misalignment(memory, stores[0])
        if behind is None:
            return None
        code = memory.code
        bytes_before = code.operation("sub", code.constant(LINE, "i64"), behind)
        bytes_before = code.operation("and", bytes_before, code.constant(LINE - 1, "i64"))
        shift = _width(stores[0]).bit_length() - 1
        return code.operation("lshr", bytes_before, code.constant(shift, "i64"))


def fence(memory: Memory, target: Target) -> None:
    """Stores past the cache are in no order with others, until here."""
    if target.is_x86:
        builder = memory.code.builder
        builder.declare("llvm.x86.sse.sfence", "void @llvm.x86.sse.sfence()")
        builder.line("call void @llvm.x86.sse.sfence()")


def _exceeds(memory: Memory, size: Size, bound: int) -> Val:
    code = memory.code
    value, limit = memory.sizes.first(size), code.constant(bound, "i64")
    key = ("exceeds", value.text, limit.text)
    return code.pure(key, (value,), lambda: code.builder.icmp("sgt", value, limit))


def _is_zero(memory: Memory, value: Val) -> Val:
    code = memory.code
    zero = code.constant(0, "i64")
    key = ("is zero", value.text)
    return code.pure(key, (value,), lambda: code.builder.icmp("eq", value, zero))


def _width(store: Store) -> int:
    return store.value.dtype.itemsize


def _stores(body: Sequence[Statement]) -> Iterator[Store]:
    for item in body:
        if isinstance(item, Store):
            yield item
        elif isinstance(item, For | If):
            yield from _stores(item.body)
