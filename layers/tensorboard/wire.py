"""The two formats of an event file: protocol buffers, and records with checksums (TFRecord)."""

import struct
from collections.abc import Iterable

__all__ = ["bytes_field", "double_field", "float_field", "int_field", "packed_doubles", "record"]


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as 64 bits."""
    value &= (1 << 64) - 1
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def int_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def double_field(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def bytes_field(number: int, value: bytes | str) -> bytes:
    """A string, bytes, or a message."""
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def float_field(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + struct.pack("<f", value)


def packed_doubles(number: int, values: Iterable[float]) -> bytes:
    numbers = list(values)
    return bytes_field(number, struct.pack(f"<{len(numbers)}d", *numbers))


def _table() -> list[int]:
    """The remainders of single bytes by Castagnoli's polynomial, reversed."""
    result = []
    for byte in range(256):
        rest = byte
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
        result.append(rest)
    return result


_TABLE = _table()


def crc32c(content: bytes) -> int:
    """The cyclic redundancy check of RFC 3720, appendix B.4."""
    rest = 0xFFFFFFFF
    for byte in content:
        rest = rest >> 8 ^ _TABLE[(rest ^ byte) & 0xFF]
    return rest ^ 0xFFFFFFFF


def _masked(content: bytes) -> bytes:
    """The checksum as records store it: rotated, and moved by a constant."""
    check = crc32c(content)
    return struct.pack("<I", ((check >> 15 | check << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(content: bytes) -> bytes:
    """Length, its checksum, content, its checksum."""
    length = struct.pack("<Q", len(content))
    return length + _masked(length) + content + _masked(content)
