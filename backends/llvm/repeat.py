"""Many steps of a program in one native call.

    i64 repeat(entry, table, sizes, fault, first, end,
               moves, number of moves, swaps, number of swaps)

first, end: the numbers of the steps. A call goes on where the last one with the same table ended.
moves: for each array that has a row per step, its position in the table and the bytes of a row.
swaps: for each variable that the program reads and updates, the positions of its value and of its
new value, and a second buffer. The first step reads the variable and writes the first buffer; after
that the two buffers take turns, so that the variable keeps its value until all steps are done.
"""

import ctypes
from collections.abc import Callable
from functools import cache

from graphc.backends.llvm.cache import cached_objects
from graphc.backends.llvm.jit import PLAIN, Library, Module, once
from graphc.backends.llvm.target import host

_TEXT = """
define i64 @repeat(ptr %entry, ptr %table, ptr %sizes, ptr %fault, i64 %first, i64 %end, \
ptr %moves, i64 %moving, ptr %swaps, i64 %swapping) {
start:
  br label %step.head
step.head:
  %t = phi i64 [ %first, %start ], [ %t.next, %swap.head ]
  %step.more = icmp slt i64 %t, %end
  br i1 %step.more, label %step, label %done
step:
  %status = call i64 %entry(ptr %table, ptr %sizes, ptr %fault)
  %passed = icmp eq i64 %status, 0
  br i1 %passed, label %move.head, label %failed

move.head:
  %m = phi i64 [ 0, %step ], [ %m.next, %move ]
  %move.more = icmp slt i64 %m, %moving
  br i1 %move.more, label %move, label %swap.head
move:
  %m.twice = mul i64 %m, 2
  %at.slot = getelementptr i64, ptr %moves, i64 %m.twice
  %slot = load i64, ptr %at.slot
  %at.width = getelementptr i64, ptr %at.slot, i64 1
  %width = load i64, ptr %at.width
  %at.row = getelementptr ptr, ptr %table, i64 %slot
  %row = load ptr, ptr %at.row
  %row.next = getelementptr i8, ptr %row, i64 %width
  store ptr %row.next, ptr %at.row
  %m.next = add i64 %m, 1
  br label %move.head

swap.head:
  %s = phi i64 [ 0, %move.head ], [ %s.next, %swap ]
  %t.next = add i64 %t, 1
  %swap.more = icmp slt i64 %s, %swapping
  br i1 %swap.more, label %swap, label %step.head
swap:
  %s.thrice = mul i64 %s, 3
  %at.value.slot = getelementptr i64, ptr %swaps, i64 %s.thrice
  %value.slot = load i64, ptr %at.value.slot
  %at.new.slot = getelementptr i64, ptr %at.value.slot, i64 1
  %new.slot = load i64, ptr %at.new.slot
  %at.second = getelementptr i64, ptr %at.value.slot, i64 2
  %second = load ptr, ptr %at.second
  %at.value = getelementptr ptr, ptr %table, i64 %value.slot
  %value = load ptr, ptr %at.value
  %at.new = getelementptr ptr, ptr %table, i64 %new.slot
  %new = load ptr, ptr %at.new
  store ptr %new, ptr %at.value
  %first.step = icmp eq i64 %t, 0
  %free = select i1 %first.step, ptr %second, ptr %value
  store ptr %free, ptr %at.new
  %s.next = add i64 %s, 1
  br label %swap.head

failed:
  ret i64 %status
done:
  ret i64 0
}
"""
_REPEAT = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    *[ctypes.c_void_p] * 4,
    *[ctypes.c_int64] * 2,
    *[ctypes.c_void_p, ctypes.c_int64] * 2,
)


@cache
def repeat_routine() -> Callable[..., int]:
    """The routine, one for the process. It runs without the interpreter's lock."""
    return _REPEAT(_library().address("repeat"))


@once
def _library() -> Library:
    return Library(cached_objects([Module(_TEXT, PLAIN)], host()).objects, ["repeat"], {})
