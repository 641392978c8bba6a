"""Arrays of variables on their way into a program's table, and new values on their way out.

    i64 take(words, table, over)   the arrays of the variables, and the spare ones for new values,
                                   into the table; 0 if a spare one is missing or somebody holds it.
                                   over: the present ones in place of spare ones
    void swap(words)               new values in; the old values become the spare arrays

words: the numbers of variables and of updates; for each variable the address of the reference to
its array and its position in the table; for each update the addresses of the references to its
array and to its spare, and the position. Both are called with the interpreter's lock.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np

from graphc.backends.base import BoundProgram
from graphc.backends.llvm.bound import Bound
from graphc.backends.llvm.cache import cached_objects
from graphc.backends.llvm.direct_call import numpy_type
from graphc.backends.llvm.direct_layout import DATA
from graphc.backends.llvm.jit import PLAIN, Library, Module, once
from graphc.backends.llvm.target import host

_TEXT = f"""
@array_type = external global i8

define i64 @take(ptr %words, ptr %table, i64 %over) {{
entry:
  %variables = load i64, ptr %words
  %at.updates = getelementptr i64, ptr %words, i64 1
  %updates = load i64, ptr %at.updates
  %first = getelementptr i64, ptr %words, i64 2
  br label %variable.head
variable.head:
  %v = phi i64 [ 0, %entry ], [ %v.next, %variable ]
  %row = phi ptr [ %first, %entry ], [ %row.next, %variable ]
  %variable.more = icmp slt i64 %v, %variables
  br i1 %variable.more, label %variable, label %update.head
variable:
  %reference = load ptr, ptr %row
  %array = load ptr, ptr %reference
  %field = getelementptr i8, ptr %array, i64 {DATA}
  %data = load ptr, ptr %field
  %at.place = getelementptr i64, ptr %row, i64 1
  %place = load i64, ptr %at.place
  %slot = getelementptr ptr, ptr %table, i64 %place
  store ptr %data, ptr %slot
  %row.next = getelementptr i64, ptr %row, i64 2
  %v.next = add i64 %v, 1
  br label %variable.head

update.head:
  %u = phi i64 [ 0, %variable.head ], [ %u.next, %usable ]
  %update = phi ptr [ %row, %variable.head ], [ %update.next, %usable ]
  %update.more = icmp slt i64 %u, %updates
  br i1 %update.more, label %look, label %done
look:
  %at.spare = getelementptr i64, ptr %update, i64 1
  %is.over = icmp ne i64 %over, 0
  br i1 %is.over, label %present, label %other
present:
  %present.reference = load ptr, ptr %update
  %present.array = load ptr, ptr %present.reference
  br label %usable
other:
  %spare.reference = load ptr, ptr %at.spare
  %spare = load ptr, ptr %spare.reference
  %missing = icmp eq ptr %spare, null
  br i1 %missing, label %none, label %judge
judge:
  %at.type = getelementptr i8, ptr %spare, i64 8
  %type = load ptr, ptr %at.type
  %is.array = icmp eq ptr %type, @array_type
  %references = load i32, ptr %spare
  %alone = icmp eq i32 %references, 1
  %fits = and i1 %is.array, %alone
  br i1 %fits, label %usable, label %none
usable:
  %memory = phi ptr [ %present.array, %present ], [ %spare, %judge ]
  %spare.field = getelementptr i8, ptr %memory, i64 {DATA}
  %spare.data = load ptr, ptr %spare.field
  %at.new = getelementptr i64, ptr %update, i64 2
  %new = load i64, ptr %at.new
  %new.slot = getelementptr ptr, ptr %table, i64 %new
  store ptr %spare.data, ptr %new.slot
  %update.next = getelementptr i64, ptr %update, i64 3
  %u.next = add i64 %u, 1
  br label %update.head
done:
  ret i64 1
none:
  ret i64 0
}}

define void @swap(ptr %words) {{
entry:
  %variables = load i64, ptr %words
  %at.updates = getelementptr i64, ptr %words, i64 1
  %updates = load i64, ptr %at.updates
  %twice = mul i64 %variables, 2
  %before = add i64 %twice, 2
  %first = getelementptr i64, ptr %words, i64 %before
  br label %head
head:
  %u = phi i64 [ 0, %entry ], [ %u.next, %swap ]
  %row = phi ptr [ %first, %entry ], [ %row.next, %swap ]
  %more = icmp slt i64 %u, %updates
  br i1 %more, label %swap, label %done
swap:
  %reference = load ptr, ptr %row
  %at.spare = getelementptr i64, ptr %row, i64 1
  %spare.reference = load ptr, ptr %at.spare
  %array = load ptr, ptr %reference
  %spare = load ptr, ptr %spare.reference
  store ptr %spare, ptr %reference
  store ptr %array, ptr %spare.reference
  %row.next = getelementptr i64, ptr %row, i64 3
  %u.next = add i64 %u, 1
  br label %head
done:
  ret void
}}
"""
_TAKE = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_SWAP = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


class Exchange:
    """See the protocol in `backends.base`."""

    def __init__(
        self,
        variables: tuple[tuple[int, int], ...],
        updates: tuple[tuple[int, int, int], ...],
        keep: Any,
    ) -> None:
        rows = [word for row in (*variables, *updates) for word in row]
        self._words = np.array([len(variables), len(updates), *rows], np.int64)
        self._address = self._words.ctypes.data
        self._keep = keep
        self._take, self._swap = _routines()

    def take(self, run: BoundProgram, over: bool) -> bool:
        assert isinstance(run, Bound)
        return bool(self._take(self._address, run.arguments[0], over))

    def swap(self) -> None:
        self._swap(self._address)


@cache
def _routines() -> tuple[Any, Any]:
    library = _library()
    return _TAKE(library.address("take")), _SWAP(library.address("swap"))


@once
def _library() -> Library:
    objects = cached_objects([Module(_TEXT, PLAIN)], host()).objects
    return Library(objects, ["take", "swap"], {"array_type": numpy_type()})
