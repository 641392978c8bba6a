"""Loads and stores under a mask, and from one address per lane."""

from graphc.backends.llvm.text import BITS, SUFFIX, TextBuilder, Val


def _overload(type: str, lanes: int) -> str:
    return f"v{lanes}{SUFFIX.get(type, type)}"


def _all_lanes(mask: Val | None, lanes: int) -> str:
    return f"<{lanes} x i1> {'splat (i1 true)' if mask is None else mask.text}"


def masked_load(b: TextBuilder, type: str, pointer: Val, mask: Val) -> Val:
    """Zero where the mask is not set."""
    lanes = mask.lanes
    vector = f"<{lanes} x {type}>"
    name = f"llvm.masked.load.{_overload(type, lanes)}.p0"
    b.declare(name, f"{vector} @{name}(ptr, i32, <{lanes} x i1>, {vector})")
    return b.emit(
        f"call {vector} @{name}(ptr {pointer.text}, i32 {BITS[type] // 8}, "
        f"{_all_lanes(mask, lanes)}, {vector} zeroinitializer)",
        type,
        lanes,
    )


def masked_store(b: TextBuilder, value: Val, pointer: Val, mask: Val) -> None:
    lanes, vector = value.lanes, value.ir_type
    name = f"llvm.masked.store.{_overload(value.type, lanes)}.p0"
    b.declare(name, f"void @{name}({vector}, ptr, i32, <{lanes} x i1>)")
    b.line(
        f"call void @{name}({vector} {value.text}, ptr {pointer.text}, "
        f"i32 {BITS[value.type] // 8}, {_all_lanes(mask, lanes)})"
    )


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
