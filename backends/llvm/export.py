"""A compiled program as an object file for C programs: it needs neither graphc nor Python.

    int64_t name(input pointers..., sizes..., output pointers...)

The texts of the program, of the routines it shares with others, and of the C function around it
(`c_entry`) become one module, in which all but `name` is internal. Constants and the values that
variables have now are in it, and it runs on one thread. What is left to link is C's own library.
"""

import hashlib
from collections.abc import Sequence

import llvmlite.binding as llvm
import numpy as np

from graphc.backends.base import CRequest
from graphc.backends.c_failures import SIZES
from graphc.backends.llvm.c_entry import CallText
from graphc.backends.llvm.imports import C_SYMBOLS
from graphc.backends.llvm.one_thread import PARALLEL, parallel_text
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.vector_math import LIBM_SYMBOLS
from graphc.loops.ir import Program
from graphc.memory.lives import ALIGNMENT
from graphc.shapes import Size

LEVEL = 2
_LONG = 4096  # bytes of an array that is not written as text
_MARKED = 32
_EXPORTED = "graphc_exported"
LINKABLE = frozenset({*C_SYMBOLS, *LIBM_SYMBOLS, "malloc", "free"})


class _ExportedCall(CallText):
    """`call` with the arrays of variables among its constants."""

    def _take_variables(self) -> list[str]:
        first = len(self.program.constants)
        for number, position in enumerate(self.variables):
            self._store(position, self._context(first + number))
        return []


def object_file(
    request: CRequest,
    program: Program,
    areas: Sequence[Size],
    text: str,
    values: Sequence[np.ndarray],
    symbol: str,
    target: Target,
) -> tuple[bytes, tuple[str, ...]]:
    """An object file that exports `symbol`, and the symbols that it imports but C has not.

    text: of the program. values: of its variables, in order.
    """
    arrays = [
        np.ascontiguousarray(array).tobytes() for array in (*program.constants.values(), *values)
    ]
    texts = [
        text,
        _ExportedCall(request, program, areas, 1, target).text(),
        _surroundings(request, arrays),
    ]
    if f"@{PARALLEL}(" in text:
        texts.append(parallel_text())
    context = llvm.create_context()
    whole = llvm.parse_assembly("", context)
    whole.triple, whole.data_layout = target.triple, target.data_layout
    for part in texts:
        module = llvm.parse_assembly(part, context)
        module.triple, module.data_layout = target.triple, target.data_layout
        whole.link_in(module)
    foreign = []
    for value in (*whole.functions, *whole.global_variables):
        if not value.is_declaration:
            value.linkage = "external" if value.name == _EXPORTED else "internal"
            if value.name == symbol:
                value.name = f"{symbol}.inside"
        elif not value.name.startswith("llvm.") and value.name not in LINKABLE:
            foreign.append(value.name)
    whole.get_function(_EXPORTED).name = symbol
    whole.verify()
    linked = str(whole)
    used = [name for name in sorted(foreign) if _is_used(linked, name)]
    return _filled(target.machine(LEVEL).emit_object(whole), arrays), tuple(used)


def _is_used(text: str, name: str) -> bool:
    """Whether a declared symbol stands anywhere but in its declaration."""
    return any(f"@{name}" in line and not line.startswith("declare") for line in text.splitlines())


def _constant(number: int, data: bytes) -> str:
    """The bytes of an array; of a long one, a mark in their place, see `_filled`."""
    if len(data) < _LONG:
        text = f'constant [{max(1, len(data))} x i8] c"{_escaped(data or bytes(1))}"'
    else:
        mark, rest = f"[{_MARKED} x i8]", f"[{len(data) - _MARKED} x i8]"
        value = f'{mark} c"{_escaped(_mark(number, data))}", {rest} zeroinitializer'
        text = f"externally_initialized constant <{{ {mark}, {rest} }}> <{{ {value} }}>"
    return f"@array{number} = {text}, align {ALIGNMENT}"


def _escaped(data: bytes) -> str:
    return "".join(f"\\{byte:02X}" for byte in data)


def _mark(number: int, data: bytes) -> bytes:
    """32 bytes that stand in no object file but where they were put."""
    return hashlib.sha256(b"%d\0" % number + data).digest()


def _filled(made: bytes, arrays: Sequence[bytes]) -> bytes:
    """The object file with the bytes of long arrays where their marks stand.

    As text they would take LLVM longer, and far more memory, than everything else.
    """
    filled = bytearray(made)
    for number, data in enumerate(arrays):
        if len(data) >= _LONG:
            place = made.find(_mark(number, data))
            assert place >= 0, "a constant is not in the object file"
            filled[place : place + len(data)] = data
    return bytes(filled)


def _surroundings(request: CRequest, arrays: Sequence[bytes]) -> str:
    """The constants, a place for the record of a failure, and the function that is exported."""
    lines = [f"@record = global [{SIZES + len(request.sizes) + 1} x i64] zeroinitializer"]
    lines += [_constant(number, data) for number, data in enumerate(arrays)]
    pointers = ", ".join(f"ptr @array{number}" for number in range(len(arrays))) or "ptr null"
    lines.append(f"@context = constant [{max(1, len(arrays))} x ptr] [{pointers}]")
    kinds = ["ptr"] * request.inputs + ["i64"] * len(request.sizes) + ["ptr"] * len(request.outputs)
    given = ", ".join(f"{kind} %a{number}" for number, kind in enumerate(kinds))
    lines += [
        f"declare i64 @call({', '.join(kinds)})",
        f"define i64 @{_EXPORTED}({given}) {{",
        "entry:",
        f"  %status = call i64 @call({given})",
        "  ret i64 %status",
        "}",
    ]
    return "\n".join(lines) + "\n"
