"""Loads and stores under a mask, and from one address per lane."""

from graphc.backends.llvm.text import BITS, SUFFIX, TextBuilder, Val

ALONE = 'call void asm sideeffect "", ""()'


def _overload(type: str, lanes: int) -> str:
    return f"v{lanes}{SUFFIX.get(type, type)}"


def _all_lanes(mask: Val | None, lanes: int) -> str:
    return f"<{lanes} x i1> {'splat (i1 true)' if mask is None else mask.text}"


def first_lanes(b: TextBuilder, count: Val, type: str, lanes: int) -> Val:
    """The mask of the first `count` lanes of a vector of elements of a type."""
    index = f"i{BITS[type]}"
    limit = count if index == count.type else b.trunc(count, index)
    numbers = ", ".join(f"{index} {lane}" for lane in range(lanes))
    return b.icmp("slt", Val(f"<{numbers}>", index, lanes), b.splat(limit, lanes))


def masked_load(b: TextBuilder, type: str, pointer: Val, mask: Val) -> Val:
    """Zero where the mask is not set.

    The empty assembly keeps LLVM from making the load an operand of a masked instruction of
    AVX-512: where that has to overwrite an operand that is needed later, LLVM 22 takes the two
    apart again and forgets the mask of the load.
    """
    lanes = mask.lanes
    vector = f"<{lanes} x {type}>"
    name = f"llvm.masked.load.{_overload(type, lanes)}.p0"
    b.declare(name, f"{vector} @{name}(ptr, i32, <{lanes} x i1>, {vector})")
    loaded = b.emit(
        f"call {vector} @{name}(ptr {pointer.text}, i32 {BITS[type] // 8}, "
        f"{_all_lanes(mask, lanes)}, {vector} zeroinitializer)",
        type,
        lanes,
    )
    b.line(ALONE)
    return loaded


def masked_store(b: TextBuilder, value: Val, pointer: Val, mask: Val) -> None:
    lanes, vector = value.lanes, value.ir_type
    name = f"llvm.masked.store.{_overload(value.type, lanes)}.p0"
    b.declare(name, f"void @{name}({vector}, ptr, i32, <{lanes} x i1>)")
    b.line(
        f"call void @{name}({vector} {value.text}, ptr {pointer.text}, "
        f"i32 {BITS[value.type] // 8}, {_all_lanes(mask, lanes)})"
    )


def leading(mask: Val) -> int | None:
    """How many lanes are set, if it is known that these are the first ones and no others."""
    if not mask.text.startswith("<i1 "):
        return None
    bits = mask.text[1:-1].split(", ")
    count = bits.count("i1 true")
    return count if count and "i1 true" not in bits[count:] else None


def store_leading(b: TextBuilder, value: Val, pointer: Val, count: int) -> None:
    """Write the first lanes alone, in pieces of which each is a plain store.

    A masked store of AVX2 is a microprogram on processors of AMD, and a load of what it wrote waits
    until it has left the store queue.
    """
    vector = value.ir_type
    if count == 1:
        first = b.emit(f"extractelement {vector} {value.text}, i64 0", value.type)
    else:
        order = ", ".join(f"i32 {lane}" for lane in range(count))
        chosen = f"{vector} {value.text}, {vector} poison, <{count} x i32> <{order}>"
        first = b.emit(f"shufflevector {chosen}", value.type, count)
    b.store(first, pointer.text)


def masked_gather(b: TextBuilder, type: str, pointers: Val, mask: Val | None) -> Val:
    """Zero where the mask is not set."""
    lanes = pointers.lanes
    vector = f"<{lanes} x {type}>"
    name = f"llvm.masked.gather.{_overload(type, lanes)}.v{lanes}p0"
    b.declare(name, f"{vector} @{name}(<{lanes} x ptr>, i32, <{lanes} x i1>, {vector})")
    return b.emit(
        f"call {vector} @{name}(<{lanes} x ptr> {pointers.text}, i32 {BITS[type] // 8}, "
        f"{_all_lanes(mask, lanes)}, {vector} zeroinitializer)",
        type,
        lanes,
    )


def masked_scatter(b: TextBuilder, value: Val, pointers: Val, mask: Val | None) -> None:
    """Where two lanes have one address, the higher lane wins."""
    lanes, vector = value.lanes, value.ir_type
    name = f"llvm.masked.scatter.{_overload(value.type, lanes)}.v{lanes}p0"
    b.declare(name, f"void @{name}({vector}, <{lanes} x ptr>, i32, <{lanes} x i1>)")
    b.line(
        f"call void @{name}({vector} {value.text}, <{lanes} x ptr> {pointers.text}, "
        f"i32 {BITS[value.type] // 8}, {_all_lanes(mask, lanes)})"
    )
