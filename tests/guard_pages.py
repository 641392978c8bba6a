"""Memory between pages that nobody may touch: a read or write outside an array ends the process.

numpy gets an allocator of ours, so that feeds, results, variables, constants and scratch memory are
fenced; temporaries get memory of their own instead of a place in the arena; what native code takes
from the heap comes from the same allocator. An array ends exactly where its last page ends (side
"end") or begins where its first page begins ("start"); the rest of its pages is filled with a
pattern and looked at when the array goes. Fresh memory holds the pattern as well: it is nan as a
float, so that a read of what was never written shows in the results.

The side can change at any time: what is compiled once is called with both (`fence`, `renew`).
This is for processes of their own: `python -m tests.guarded_runs`.
"""

import ctypes
import mmap
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from graphc import placement
from graphc.backends.llvm import jit
from graphc.backends.llvm.executable import LlvmExecutable
from graphc.backends.llvm.target import host
from graphc.direct import DirectRoute
from graphc.function import Function, _long_way
from graphc.memory import results
from graphc.memory.lives import ALIGNMENT
from graphc.shapes import evaluate

Side = Literal["start", "end"]
PAGE = mmap.PAGESIZE
PATTERN = 255
_SET_HANDLER = 304  # its place in numpy's table of C functions

# Pages: one with the sizes, a fence, the data, a fence.
_TEXT = f"""
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i32 @mprotect(ptr, i64, i32)
declare ptr @memset(ptr, i32, i64)
declare ptr @memcpy(ptr, ptr, i64)
declare void @abort()

@at_end = internal global i8 1

; where the sizes of the memory at %pointer are kept
define internal ptr @sizes_of(ptr %pointer) {{
  %number = ptrtoint ptr %pointer to i64
  %page = and i64 %number, {-PAGE}
  %at = sub i64 %page, {2 * PAGE}
  %sizes = inttoptr i64 %at to ptr
  ret ptr %sizes
}}

define internal ptr @take(i64 %asked, i32 %content) {{
entry:
  %none.asked = icmp eq i64 %asked, 0
  %size = select i1 %none.asked, i64 1, i64 %asked
  %above = add i64 %size, {PAGE - 1}
  %room = and i64 %above, {-PAGE}
  %all = add i64 %room, {3 * PAGE}
  %map = call ptr @mmap(ptr null, i64 %all, i32 3, i32 34, i32 -1, i64 0)
  %number = ptrtoint ptr %map to i64
  %failed = icmp eq i64 %number, -1
  br i1 %failed, label %no, label %yes
no:
  ret ptr null
yes:
  store i64 %size, ptr %map
  %at.room = getelementptr i64, ptr %map, i64 1
  store i64 %room, ptr %at.room
  %data = getelementptr i8, ptr %map, i64 {2 * PAGE}
  %fence = getelementptr i8, ptr %map, i64 {PAGE}
  %last = getelementptr i8, ptr %data, i64 %room
  %r0 = call i32 @mprotect(ptr %fence, i64 {PAGE}, i32 0)
  %r1 = call i32 @mprotect(ptr %last, i64 {PAGE}, i32 0)
  %r2 = call ptr @memset(ptr %data, i32 {PATTERN}, i64 %room)
  %rest = sub i64 %room, %size
  %side = load i8, ptr @at_end
  %end = icmp ne i8 %side, 0
  %offset = select i1 %end, i64 %rest, i64 0
  %pointer = getelementptr i8, ptr %data, i64 %offset
  %r3 = call ptr @memset(ptr %pointer, i32 %content, i64 %size)
  ret ptr %pointer
}}

define void @turn(i8 %side) {{
  store i8 %side, ptr @at_end
  ret void
}}

define ptr @guarded_malloc(ptr %ignored, i64 %size) {{
  %pointer = call ptr @take(i64 %size, i32 {PATTERN})
  ret ptr %pointer
}}

define ptr @guarded_calloc(ptr %ignored, i64 %count, i64 %width) {{
  %size = mul i64 %count, %width
  %pointer = call ptr @take(i64 %size, i32 0)
  ret ptr %pointer
}}

define void @guarded_free(ptr %context, ptr %pointer, i64 %ignored) {{
entry:
  %nothing = icmp eq ptr %pointer, null
  br i1 %nothing, label %done, label %look
look:
  %sizes = call ptr @sizes_of(ptr %pointer)
  %size = load i64, ptr %sizes
  %at.room = getelementptr i64, ptr %sizes, i64 1
  %room = load i64, ptr %at.room
  %data = getelementptr i8, ptr %sizes, i64 {2 * PAGE}
  %start = icmp eq ptr %pointer, %data
  %rest = sub i64 %room, %size
  %first = select i1 %start, i64 %size, i64 0
  br label %head
head:
  %i = phi i64 [ 0, %look ], [ %next, %same ]
  %more = icmp slt i64 %i, %rest
  br i1 %more, label %body, label %whole
body:
  %place = add i64 %first, %i
  %at = getelementptr i8, ptr %data, i64 %place
  %byte = load i8, ptr %at
  %kept = icmp eq i8 %byte, {PATTERN - 256}
  br i1 %kept, label %same, label %changed
same:
  %next = add i64 %i, 1
  br label %head
changed:
  call void @abort()
  unreachable
whole:
  %all = add i64 %room, {3 * PAGE}
  %r = call i32 @munmap(ptr %sizes, i64 %all)
  br label %done
done:
  ret void
}}

define ptr @guarded_realloc(ptr %ignored, ptr %old, i64 %size) {{
entry:
  %new = call ptr @take(i64 %size, i32 {PATTERN})
  %nothing = icmp eq ptr %old, null
  %failed = icmp eq ptr %new, null
  %done.already = or i1 %nothing, %failed
  br i1 %done.already, label %done, label %move
move:
  %sizes = call ptr @sizes_of(ptr %old)
  %had = load i64, ptr %sizes
  %less = icmp slt i64 %had, %size
  %count = select i1 %less, i64 %had, i64 %size
  %r = call ptr @memcpy(ptr %new, ptr %old, i64 %count)
  call void @guarded_free(ptr null, ptr %old, i64 0)
  br label %done
done:
  ret ptr %new
}}

; the same on the heap of native code, which hands over no context
define ptr @heap_realloc(ptr %old, i64 %size) {{
  %new = call ptr @guarded_realloc(ptr null, ptr %old, i64 %size)
  ret ptr %new
}}
define void @heap_free(ptr %pointer) {{
  call void @guarded_free(ptr null, ptr %pointer, i64 0)
  ret void
}}
"""

_LIBC = ("mmap", "munmap", "mprotect", "memset", "memcpy", "abort")
_NAMES = ("malloc", "calloc", "realloc", "free")


class _Handler(ctypes.Structure):
    """numpy's PyDataMem_Handler (NEP 49)."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in _NAMES),
    )


def guard() -> None:
    """From now on, in this thread, for the rest of the process; `fence` says on which side."""
    exports = [*(f"guarded_{name}" for name in _NAMES), "heap_realloc", "heap_free", "turn"]
    image = jit.module_object(jit.Module(_TEXT), host())
    library = jit.Library([image], exports, jit.library_symbols(_LIBC))
    _kept.append(library)
    _fence_arrays(library)
    _fence_temporaries()
    for module in (placement, results):  # large arrays too begin or end at a fence
        vars(module)["LARGE"] = 1 << 62
    _fence_heap({"realloc": library.address("heap_realloc"), "free": library.address("heap_free")})


def fence(side: Side | None) -> None:
    """Where the next fences of arrays are; None: nowhere. What is there stays as it is."""
    library, set_handler, capsule = _kept[0], _kept[1], _kept[2]
    set_handler(None if side is None else capsule)
    ctypes.CFUNCTYPE(None, ctypes.c_int8)(library.address("turn"))(side != "start")


def renew(function: Function) -> None:
    """Let a function forget the memory that it keeps: its next calls take it from this side."""
    border = function._border
    if border is None:
        return
    runner = border.runner
    runner.idle.clear()
    runner.constants = [array.copy() for array in runner.constants]
    function.__call__ = _long_way(weakref.ref(function))
    function._route = DirectRoute(border, function.__call__)


_kept: list[Any] = []


def _fence_arrays(library: jit.Library) -> None:
    """All that numpy takes from now on."""
    functions = [library.address(f"guarded_{name}") for name in _NAMES]
    handler = _Handler(b"guard pages", 1, None, *functions)
    name = ctypes.c_char_p(b"mem_handler")
    make = ctypes.pythonapi["PyCapsule_New"]
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule = make(ctypes.addressof(handler), name, None)
    get = ctypes.pythonapi["PyCapsule_GetPointer"]
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    api = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    table = (ctypes.c_void_p * (_SET_HANDLER + 1)).from_address(get(api, None))
    address = table[_SET_HANDLER]
    assert address is not None
    make_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(address)
    usual = make_handler(capsule)
    _kept.extend((lambda new: make_handler(usual if new is None else new), capsule, handler, name))
    for side, size in (("start", 0), ("end", 3)):
        fence(side)  # type: ignore[arg-type]
        fresh = np.empty(3, np.int8)
        assert fresh.tolist() == [-1] * 3 and (fresh.ctypes.data + size) % PAGE == 0
    fence(None)


def _fence_temporaries() -> None:
    """Each in memory of its own, and so is the scratch memory."""
    bind: Callable[..., Any] = LlvmExecutable.bind

    def apart(
        self: Any, sizes: Sequence[int], temporaries: Sequence[np.ndarray], scratch: Any = None
    ) -> Any:
        values = dict(zip(self.program.sizes, map(int, sizes), strict=True))
        area = max((evaluate(size, values) for size in self.scratch), default=0)
        own = np.empty(-(-area // ALIGNMENT) * ALIGNMENT, np.uint8)
        return bind(self, sizes, [np.empty_like(array) for array in temporaries], own)

    LlvmExecutable.bind = apart  # type: ignore[method-assign]


def _fence_heap(addresses: Mapping[str, int]) -> None:
    """What compiled programs import under these names."""
    make: Callable[..., None] = jit.Library.__init__

    def importing(
        self: Any, objects: Sequence[bytes], exports: Sequence[str], imports: Mapping[str, int]
    ) -> None:
        own = {name: addresses.get(name, address) for name, address in imports.items()}
        make(self, objects, exports, own)

    jit.Library.__init__ = importing  # type: ignore[method-assign]
