"""Calls without Python: one native routine that checks arguments, runs a program and answers.

It serves all functions. It gets a record (an int64 array, the words below) and the arguments of
the call. Arguments that are dense arrays of the expected dtypes and of the shapes of the last call
are taken as they are. Everything else, and every failed check, goes to the callable `slow`, which
knows all cases and words all errors.

    record     frame, entry, busy, the number of inputs, variables, updates and outputs, what to
               answer (READY, ARRAY, LIST), slow, pack (a callable on that list, or 0), ready (the
               answer that READY means), the string "out" (or 0: an input has that name), how
               memory for the outputs may come (NOT_SO, SEQUENCE, or the keys of a dict), then
               inputs     descriptor, rank, position in the table
               variables  address of a reference to an array, position in the table
               updates    address of a reference to an array and to its spare, position
               outputs    descriptor, rank, position in the table
    frame      table, sizes and fault for the entry, the bytes of every input and of every output,
               then the shapes of inputs and of outputs

With `out=` results go into the arrays given there, which must be as dense as arguments, may be
written, and overlap neither an argument nor each other; else `slow` has the word.

The whole call holds the interpreter's lock: nothing else runs meanwhile, so that reading the
variables, running, and putting the updated arrays in place are one step. Who installs a frame sees
to it that the call is short. `busy` counts the calls elsewhere that are about to replace variables.
"""

import ctypes
import math
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from graphc.backends.base import CallLayout, Place
from graphc.backends.llvm.cache import cached_objects
from graphc.backends.llvm.jit import Library, Module
from graphc.backends.llvm.target import host

READY, ARRAY, LIST = range(3)
NOT_SO, SEQUENCE = range(2)
HEADER = 13
_METH_FASTCALL_KEYWORDS = 0x80 | 0x02
_ARRAY_TYPE, _NEW_FROM_DESCR = 2, 94  # in numpy's table of C functions

# Where a numpy array keeps its fields, in bytes; the object's header comes first.
_DATA, _RANK, _SHAPE, _DESCRIPTOR, _FLAGS = 16, 24, 32, 56, 64
_DENSE = 0x0001 | 0x0100  # C-contiguous and aligned
_WRITABLE = 0x0400
_SIZE, _ITEMS = 16, 24  # of a tuple; lists keep their size there too

_TEXT = f"""
@array_type = external global i8
@_Py_NoneStruct = external global i8
@list_type = external global i8
@tuple_type = external global i8
@dict_type = external global i8
declare ptr @new_from_descr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare ptr @PyList_GetItem(ptr, i64)
declare ptr @PyTuple_GetItem(ptr, i64)
declare i64 @PyDict_Size(ptr)
declare ptr @PyDict_GetItem(ptr, ptr)

define internal ptr @data_of(ptr %array) alwaysinline {{
  %field = getelementptr i8, ptr %array, i64 {_DATA}
  %data = load ptr, ptr %field
  ret ptr %data
}}

define internal i1 @is_array(ptr %object) {{
entry:
  %none = icmp eq ptr %object, null
  br i1 %none, label %no, label %there
there:
  %at.type = getelementptr i8, ptr %object, i64 8
  %type = load ptr, ptr %at.type
  %is.array = icmp eq ptr %type, @array_type
  ret i1 %is.array
no:
  ret i1 false
}}

; whether an array has the dtype and rank of a row of the record, a shape, and all of some flags
define internal i1 @is_expected(ptr %array, ptr %row, ptr %shape, i32 %wanted) {{
entry:
  %at.descriptor = getelementptr i8, ptr %array, i64 {_DESCRIPTOR}
  %descriptor = load ptr, ptr %at.descriptor
  %expected.descriptor = load ptr, ptr %row
  %right.dtype = icmp eq ptr %descriptor, %expected.descriptor
  %at.rank = getelementptr i8, ptr %array, i64 {_RANK}
  %rank.32 = load i32, ptr %at.rank
  %rank = sext i32 %rank.32 to i64
  %at.expected.rank = getelementptr i64, ptr %row, i64 1
  %expected.rank = load i64, ptr %at.expected.rank
  %right.rank = icmp eq i64 %rank, %expected.rank
  %at.flags = getelementptr i8, ptr %array, i64 {_FLAGS}
  %flags = load i32, ptr %at.flags
  %set.flags = and i32 %flags, %wanted
  %right.flags = icmp eq i32 %set.flags, %wanted
  %right.kind = and i1 %right.dtype, %right.rank
  %right = and i1 %right.kind, %right.flags
  %at.dimensions = getelementptr i8, ptr %array, i64 {_SHAPE}
  %dimensions = load ptr, ptr %at.dimensions
  br i1 %right, label %axis.head, label %done
axis.head:
  %axis = phi i64 [ 0, %entry ], [ %axis.next, %axis.check ]
  %axis.more = icmp slt i64 %axis, %rank
  br i1 %axis.more, label %axis.check, label %done
axis.check:
  %at.size = getelementptr i64, ptr %dimensions, i64 %axis
  %size = load i64, ptr %at.size
  %at.expected.size = getelementptr i64, ptr %shape, i64 %axis
  %expected.size = load i64, ptr %at.expected.size
  %same.size = icmp eq i64 %size, %expected.size
  %axis.next = add i64 %axis, 1
  br i1 %same.size, label %axis.head, label %done
done:
  %answer = phi i1 [ false, %entry ], [ true, %axis.head ], [ false, %axis.check ]
  ret i1 %answer
}}

; whether `out` is a list or tuple of `count` items, or a dict of as many
define internal i1 @is_structure(ptr %out, i64 %style, i64 %count) {{
entry:
  %at.type = getelementptr i8, ptr %out, i64 8
  %type = load ptr, ptr %at.type
  switch i64 %style, label %keys [ i64 {NOT_SO}, label %no
    i64 {SEQUENCE}, label %items ]
items:
  %is.list = icmp eq ptr %type, @list_type
  %is.tuple = icmp eq ptr %type, @tuple_type
  %is.sequence = or i1 %is.list, %is.tuple
  br i1 %is.sequence, label %measure, label %no
measure:
  %at.length = getelementptr i8, ptr %out, i64 {_SIZE}
  %length = load i64, ptr %at.length
  %right.length = icmp eq i64 %length, %count
  ret i1 %right.length
keys:
  %is.dict = icmp eq ptr %type, @dict_type
  br i1 %is.dict, label %entries, label %no
entries:
  %size = call i64 @PyDict_Size(ptr %out)
  %right.size = icmp eq i64 %size, %count
  ret i1 %right.size
no:
  ret i1 false
}}

; the item at a position of such a structure, borrowed; null if there is none
define internal ptr @item_of(ptr %out, i64 %style, i64 %position) {{
entry:
  %at.type = getelementptr i8, ptr %out, i64 8
  %type = load ptr, ptr %at.type
  %is.list = icmp eq ptr %type, @list_type
  br i1 %is.list, label %list, label %others
list:
  %of.list = call ptr @PyList_GetItem(ptr %out, i64 %position)
  ret ptr %of.list
others:
  %is.tuple = icmp eq ptr %type, @tuple_type
  br i1 %is.tuple, label %tuple, label %dict
tuple:
  %of.tuple = call ptr @PyTuple_GetItem(ptr %out, i64 %position)
  ret ptr %of.tuple
dict:
  %keys = inttoptr i64 %style to ptr
  %key = call ptr @PyTuple_GetItem(ptr %keys, i64 %position)
  %of.dict = call ptr @PyDict_GetItem(ptr %out, ptr %key)
  ret ptr %of.dict
}}

; whether [data, data + bytes) overlaps one of the arrays that rows of the record stand for
define internal i1 @meets(ptr %table, ptr %rows, i64 %count, ptr %sizes, ptr %data, i64 %bytes) {{
entry:
  %start = ptrtoint ptr %data to i64
  %end = add i64 %start, %bytes
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %k.next, %compare ]
  %row = phi ptr [ %rows, %entry ], [ %row.next, %compare ]
  %more = icmp slt i64 %k, %count
  br i1 %more, label %compare, label %done
compare:
  %at.place = getelementptr i64, ptr %row, i64 2
  %place = load i64, ptr %at.place
  %at.other = getelementptr i64, ptr %table, i64 %place
  %other.start = load i64, ptr %at.other
  %at.other.bytes = getelementptr i64, ptr %sizes, i64 %k
  %other.bytes = load i64, ptr %at.other.bytes
  %other.end = add i64 %other.start, %other.bytes
  %before.end = icmp ult i64 %start, %other.end
  %after.start = icmp ult i64 %other.start, %end
  %overlaps = and i1 %before.end, %after.start
  %row.next = getelementptr i64, ptr %row, i64 3
  %k.next = add i64 %k, 1
  br i1 %overlaps, label %done, label %head
done:
  %answer = phi i1 [ false, %head ], [ true, %compare ]
  ret i1 %answer
}}

define ptr @direct_call(ptr %self, ptr %arguments, i64 %given, ptr %names) {{
entry:
  %record = call ptr @data_of(ptr %self)
  %frame = load ptr, ptr %record
  %at.entry = getelementptr i64, ptr %record, i64 1
  %run = load ptr, ptr %at.entry
  %at.busy = getelementptr i64, ptr %record, i64 2
  %busy = load ptr, ptr %at.busy
  %at.inputs = getelementptr i64, ptr %record, i64 3
  %inputs = load i64, ptr %at.inputs
  %at.variables = getelementptr i64, ptr %record, i64 4
  %variables = load i64, ptr %at.variables
  %at.updates = getelementptr i64, ptr %record, i64 5
  %updates = load i64, ptr %at.updates
  %at.outputs = getelementptr i64, ptr %record, i64 6
  %outputs = load i64, ptr %at.outputs
  %at.answer = getelementptr i64, ptr %record, i64 7
  %answer.kind = load i64, ptr %at.answer
  %first.input = getelementptr i64, ptr %record, i64 {HEADER}
  %no.frame = icmp eq ptr %frame, null
  %other.count = icmp ne i64 %given, %inputs
  %named = icmp ne ptr %names, null
  %unfit = or i1 %no.frame, %other.count
  br i1 %unfit, label %slow, label %usual
usual:
  br i1 %named, label %by.name, label %framed

; the only name: out
by.name:
  %at.number = getelementptr i8, ptr %names, i64 {_SIZE}
  %number = load i64, ptr %at.number
  %at.name = getelementptr i8, ptr %names, i64 {_ITEMS}
  %name = load ptr, ptr %at.name
  %at.expected.name = getelementptr i64, ptr %record, i64 11
  %expected.name = load ptr, ptr %at.expected.name
  %right.name = icmp eq ptr %name, %expected.name
  %one.name = icmp eq i64 %number, 1
  %out.alone = and i1 %right.name, %one.name
  br i1 %out.alone, label %with.out, label %slow
with.out:
  %at.out = getelementptr ptr, ptr %arguments, i64 %given
  %given.out = load ptr, ptr %at.out
  %out.is.none = icmp eq ptr %given.out, @_Py_NoneStruct
  %kept.out = select i1 %out.is.none, ptr null, ptr %given.out
  br label %framed

framed:
  %out = phi ptr [ null, %usual ], [ %kept.out, %with.out ]
  %table = load ptr, ptr %frame
  %at.sizes = getelementptr i64, ptr %frame, i64 1
  %sizes = load ptr, ptr %at.sizes
  %at.fault = getelementptr i64, ptr %frame, i64 2
  %fault = load ptr, ptr %at.fault
  %input.bytes = getelementptr i64, ptr %frame, i64 3
  %output.bytes = getelementptr i64, ptr %input.bytes, i64 %inputs
  %first.shape = getelementptr i64, ptr %output.bytes, i64 %outputs
  %calls.elsewhere = load i64, ptr %busy
  %writes = icmp ne i64 %updates, 0
  %contended = icmp ne i64 %calls.elsewhere, 0
  %must.wait = and i1 %writes, %contended
  %several = icmp eq i64 %answer.kind, {LIST}
  br i1 %must.wait, label %slow, label %answer.start

; before arguments are in the table: a collection of garbage may run Python, even this function
answer.start:
  br i1 %several, label %answer.list, label %input.start
answer.list:
  %new.list = call ptr @PyList_New(i64 %outputs)
  %no.list = icmp eq ptr %new.list, null
  br i1 %no.list, label %failed, label %input.start
input.start:
  %list = phi ptr [ null, %answer.start ], [ %new.list, %answer.list ]
  br label %input.head

; every argument: an array of the expected dtype, rank and shape, dense and aligned
input.head:
  %i = phi i64 [ 0, %input.start ], [ %i.next, %input.taken ]
  %input = phi ptr [ %first.input, %input.start ], [ %input.next, %input.taken ]
  %shape = phi ptr [ %first.shape, %input.start ], [ %shape.next, %input.taken ]
  %input.more = icmp slt i64 %i, %inputs
  br i1 %input.more, label %input.check, label %variable.head
input.check:
  %at.argument = getelementptr ptr, ptr %arguments, i64 %i
  %argument = load ptr, ptr %at.argument
  %at.type = getelementptr i8, ptr %argument, i64 8
  %type = load ptr, ptr %at.type
  %is.array = icmp eq ptr %type, @array_type
  br i1 %is.array, label %input.array, label %drop
input.array:
  %input.fits = call i1 @is_expected(ptr %argument, ptr %input, ptr %shape, i32 {_DENSE})
  br i1 %input.fits, label %input.taken, label %drop
input.taken:
  %at.input.rank = getelementptr i64, ptr %input, i64 1
  %input.rank = load i64, ptr %at.input.rank
  %shape.next = getelementptr i64, ptr %shape, i64 %input.rank
  %input.data = call ptr @data_of(ptr %argument)
  %at.input.place = getelementptr i64, ptr %input, i64 2
  %input.place = load i64, ptr %at.input.place
  %input.slot = getelementptr ptr, ptr %table, i64 %input.place
  store ptr %input.data, ptr %input.slot
  %input.next = getelementptr i64, ptr %input, i64 3
  %i.next = add i64 %i, 1
  br label %input.head

variable.head:
  %v = phi i64 [ 0, %input.head ], [ %v.next, %variable.take ]
  %variable = phi ptr [ %input, %input.head ], [ %variable.next, %variable.take ]
  %variable.more = icmp slt i64 %v, %variables
  br i1 %variable.more, label %variable.take, label %update.head
variable.take:
  %variable.reference = load ptr, ptr %variable
  %variable.array = load ptr, ptr %variable.reference
  %variable.data = call ptr @data_of(ptr %variable.array)
  %at.variable.place = getelementptr i64, ptr %variable, i64 1
  %variable.place = load i64, ptr %at.variable.place
  %variable.slot = getelementptr ptr, ptr %table, i64 %variable.place
  store ptr %variable.data, ptr %variable.slot
  %variable.next = getelementptr i64, ptr %variable, i64 2
  %v.next = add i64 %v, 1
  br label %variable.head

; the new values go into the spare arrays: there must be one, and nobody else may read it
update.head:
  %u = phi i64 [ 0, %variable.head ], [ %u.next, %update.take ]
  %update = phi ptr [ %variable, %variable.head ], [ %update.next, %update.take ]
  %update.more = icmp slt i64 %u, %updates
  br i1 %update.more, label %update.check, label %output.start
update.check:
  %at.spare = getelementptr i64, ptr %update, i64 1
  %spare.reference = load ptr, ptr %at.spare
  %spare = load ptr, ptr %spare.reference
  %no.spare = icmp eq ptr %spare, null
  br i1 %no.spare, label %drop, label %update.array
update.array:
  %at.spare.type = getelementptr i8, ptr %spare, i64 8
  %spare.type = load ptr, ptr %at.spare.type
  %spare.is.array = icmp eq ptr %spare.type, @array_type
  %references = load i32, ptr %spare
  %alone = icmp eq i32 %references, 1
  %usable = and i1 %spare.is.array, %alone
  br i1 %usable, label %update.take, label %drop
update.take:
  %spare.data = call ptr @data_of(ptr %spare)
  %at.update.place = getelementptr i64, ptr %update, i64 2
  %update.place = load i64, ptr %at.update.place
  %update.slot = getelementptr ptr, ptr %table, i64 %update.place
  store ptr %spare.data, ptr %update.slot
  %update.next = getelementptr i64, ptr %update, i64 3
  %u.next = add i64 %u, 1
  br label %update.head

output.start:
  %has.out = icmp ne ptr %out, null
  %at.style = getelementptr i64, ptr %record, i64 12
  %style = load i64, ptr %at.style
  switch i64 %answer.kind, label %answer.ready [ i64 {ARRAY}, label %output.head
    i64 {LIST}, label %output.several ]
answer.ready:
  %at.ready = getelementptr i64, ptr %record, i64 10
  %ready = load ptr, ptr %at.ready
  call void @Py_IncRef(ptr %ready)
  br i1 %has.out, label %out.unneeded, label %output.head
out.unneeded:
  call void @Py_DecRef(ptr %ready)
  br label %slow
output.several:
  br i1 %has.out, label %out.several, label %output.head
out.several:
  %out.fits = call i1 @is_structure(ptr %out, i64 %style, i64 %outputs)
  br i1 %out.fits, label %output.head, label %drop
output.head:
  %o = phi i64 [ 0, %output.start ], [ 0, %answer.ready ], [ 0, %output.several ], \
[ 0, %out.several ], [ %o.next, %output.made ]
  %answer = phi ptr [ null, %output.start ], [ %ready, %answer.ready ], \
[ %list, %output.several ], [ %list, %out.several ], [ %answer.next, %output.made ]
  %output = phi ptr [ %update, %output.start ], [ %update, %answer.ready ], \
[ %update, %output.several ], [ %update, %out.several ], [ %output.next, %output.made ]
  %output.shape = phi ptr [ %shape, %output.start ], [ %shape, %answer.ready ], \
[ %shape, %output.several ], [ %shape, %out.several ], [ %output.shape.next, %output.made ]
  %output.more = icmp slt i64 %o, %outputs
  %at.output.rank = getelementptr i64, ptr %output, i64 1
  br i1 %output.more, label %output.choose, label %execute
output.choose:
  %output.rank = load i64, ptr %at.output.rank
  br i1 %has.out, label %output.take, label %output.make

; memory that the caller gave: nobody else may see it change
output.take:
  br i1 %several, label %output.find, label %output.found
output.find:
  %item = call ptr @item_of(ptr %out, i64 %style, i64 %o)
  br label %output.found
output.found:
  %memory = phi ptr [ %out, %output.take ], [ %item, %output.find ]
  %no.memory.given = icmp eq ptr %memory, @_Py_NoneStruct
  br i1 %no.memory.given, label %output.make, label %output.judge
output.judge:
  %memory.fits = call i1 @is_array(ptr %memory)
  br i1 %memory.fits, label %output.compare, label %unfit.out
output.compare:
  %memory.expected = call i1 @is_expected(ptr %memory, ptr %output, ptr %output.shape, \
i32 {_DENSE | _WRITABLE})
  br i1 %memory.expected, label %output.apart, label %unfit.out
output.apart:
  %memory.data = call ptr @data_of(ptr %memory)
  %at.memory.bytes = getelementptr i64, ptr %output.bytes, i64 %o
  %memory.bytes = load i64, ptr %at.memory.bytes
  %meets.input = call i1 @meets(ptr %table, ptr %first.input, i64 %inputs, ptr %input.bytes, \
ptr %memory.data, i64 %memory.bytes)
  %meets.output = call i1 @meets(ptr %table, ptr %update, i64 %o, ptr %output.bytes, \
ptr %memory.data, i64 %memory.bytes)
  %meets.any = or i1 %meets.input, %meets.output
  br i1 %meets.any, label %unfit.out, label %output.borrow
output.borrow:
  call void @Py_IncRef(ptr %memory)
  br label %output.keep
unfit.out:
  call void @Py_DecRef(ptr %answer)
  br label %slow

output.make:
  %output.descriptor = load ptr, ptr %output
  %output.rank.32 = trunc i64 %output.rank to i32
  call void @Py_IncRef(ptr %output.descriptor)
  %made = call ptr @new_from_descr(ptr @array_type, ptr %output.descriptor, \
i32 %output.rank.32, ptr %output.shape, ptr null, ptr null, i32 0, ptr null)
  %no.memory = icmp eq ptr %made, null
  br i1 %no.memory, label %give.up, label %output.keep
output.keep:
  %result = phi ptr [ %made, %output.make ], [ %memory, %output.borrow ]
  br i1 %several, label %output.listed, label %output.made
output.listed:
  %ignored = call i32 @PyList_SetItem(ptr %answer, i64 %o, ptr %result)
  br label %output.made
output.made:
  %answer.next = phi ptr [ %result, %output.keep ], [ %answer, %output.listed ]
  %result.data = call ptr @data_of(ptr %result)
  %at.output.place = getelementptr i64, ptr %output, i64 2
  %output.place = load i64, ptr %at.output.place
  %output.slot = getelementptr ptr, ptr %table, i64 %output.place
  store ptr %result.data, ptr %output.slot
  %output.next = getelementptr i64, ptr %output, i64 3
  %output.shape.next = getelementptr i64, ptr %output.shape, i64 %output.rank
  %o.next = add i64 %o, 1
  br label %output.head

execute:
  %status = call i64 %run(ptr %table, ptr %sizes, ptr %fault)
  %passed = icmp eq i64 %status, 0
  br i1 %passed, label %swap.head, label %check.failed

; new values in, old values become the spare arrays
swap.head:
  %s = phi i64 [ 0, %execute ], [ %s.next, %swap ]
  %swapped = phi ptr [ %variable, %execute ], [ %swapped.next, %swap ]
  %swap.more = icmp slt i64 %s, %updates
  br i1 %swap.more, label %swap, label %done
swap:
  %current.reference = load ptr, ptr %swapped
  %at.other = getelementptr i64, ptr %swapped, i64 1
  %other.reference = load ptr, ptr %at.other
  %current.array = load ptr, ptr %current.reference
  %other.array = load ptr, ptr %other.reference
  store ptr %other.array, ptr %current.reference
  store ptr %current.array, ptr %other.reference
  %swapped.next = getelementptr i64, ptr %swapped, i64 3
  %s.next = add i64 %s, 1
  br label %swap.head
done:
  %at.pack = getelementptr i64, ptr %record, i64 9
  %pack = load ptr, ptr %at.pack
  %packs = icmp ne ptr %pack, null
  br i1 %packs, label %packed, label %plain
plain:
  ret ptr %answer
packed:
  %structure = call ptr @PyObject_CallOneArg(ptr %pack, ptr %answer)
  call void @Py_DecRef(ptr %answer)
  ret ptr %structure

check.failed:
  call void @Py_DecRef(ptr %answer)
  br label %slow
give.up:
  call void @Py_DecRef(ptr %answer)
  br label %failed
failed:
  ret ptr null
drop:
  call void @Py_DecRef(ptr %list)
  br label %slow
slow:
  %at.slow = getelementptr i64, ptr %record, i64 8
  %callable = load ptr, ptr %at.slow
  %slow.answer = call ptr @PyObject_Vectorcall(ptr %callable, ptr %arguments, i64 %given, \
ptr %names)
  ret ptr %slow.answer
}}
"""


OUT = sys.intern("out")  # names of arguments are interned: equal ones are the same object


class Record(np.ndarray):
    """The words of a record, and all that they point to."""

    keep: tuple[Any, ...]


class DirectCall:
    """See the protocol in `backends.base`."""

    __slots__ = ("_kept", "_layout", "_record", "call")

    def __init__(self, library: Library, layout: CallLayout) -> None:
        parts = (layout.inputs, layout.variables, layout.updates, layout.outputs)
        answer = LIST if layout.as_list else ARRAY if layout.outputs else READY
        pack = 0 if layout.pack is None else id(layout.pack)
        style = id(layout.keys) if layout.keys else SEQUENCE if layout.is_flat else NOT_SO
        words = [0, library.address("entry"), layout.replacing, *map(len, parts), answer]
        words += [id(layout.slow), pack, id(layout.ready), id(OUT) if layout.takes_out else 0]
        words.append(style)
        assert len(words) == HEADER
        for row in (row for part in parts for row in part):
            words += (id(row.dtype), row.rank, row.position) if isinstance(row, Place) else row
        self._layout = layout
        self._record = np.array(words, np.int64).view(Record)
        address = _routine().address("direct_call")
        definition = _MethodDefinition(b"call", address, _METH_FASTCALL_KEYWORDS, None)
        make = ctypes.pythonapi["PyCFunction_NewEx"]
        make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, *[ctypes.py_object] * 2]
        self.call: Callable[..., Any] = make(ctypes.addressof(definition), self._record, "graphc")
        self._kept = (library, layout, _routine(), definition)
        self._record.keep = self._kept

    def install(
        self, run: Any, shapes: Sequence[Sequence[int]], keep: Any, fixed: Sequence[np.ndarray] = ()
    ) -> bool:
        """One store makes the frame valid: no call sees half of it."""
        if not run.is_direct:
            return False
        if fixed:
            run.point(fixed)
        places = (*self._layout.inputs, *self._layout.outputs)
        counts = [
            math.prod(shape) * place.dtype.itemsize
            for shape, place in zip(shapes, places, strict=True)
        ]
        frame = np.array([*run.arguments, *counts, *(n for s in shapes for n in s)], np.int64)
        before = self._record.keep
        self._record[0] = frame.ctypes.data
        self._record.keep = (*self._kept, frame, run, keep)
        del before  # not earlier: a call may not find its frame gone
        return True


class _MethodDefinition(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("method", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    )


@cache
def _routine() -> Library:
    """The routine in machine code, one for the process."""
    functions = (
        "Py_IncRef",
        "Py_DecRef",
        "PyList_New",
        "PyList_SetItem",
        "PyList_GetItem",
        "PyTuple_GetItem",
        "PyDict_Size",
        "PyDict_GetItem",
        "PyObject_CallOneArg",
        "PyObject_Vectorcall",
    )
    imports = {name: _address(name) for name in functions} | {"_Py_NoneStruct": id(None)}
    table = _numpy_functions()
    imports |= {f"{kind.__name__}_type": id(kind) for kind in (list, tuple, dict)}
    imports |= {"array_type": table[_ARRAY_TYPE], "new_from_descr": table[_NEW_FROM_DESCR]}
    return Library(cached_objects([Module(_TEXT)], host()).objects, ["direct_call"], imports)


def _address(name: str) -> int:
    address = ctypes.cast(ctypes.pythonapi[name], ctypes.c_void_p).value
    assert address is not None
    return address


def _numpy_functions() -> Sequence[int]:
    """numpy's table of C functions, as compiled extensions get it."""
    capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    pointer = ctypes.pythonapi["PyCapsule_GetPointer"]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return list((ctypes.c_int64 * 100).from_address(pointer(capsule, None)))


@cache
def is_possible() -> bool:
    """Whether objects lie in memory as the routine expects: probed, not assumed."""
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    if sys.implementation.name != "cpython" or not locked or np.intp().itemsize != 8:
        return False
    probes = [np.empty(shape, dtype) for shape, dtype in (((3,), np.int8), ((2, 5), np.float64))]
    if not _tuple_lies_as_expected((OUT,)) or not _list_has_its_size([OUT, OUT]):
        return False
    return all(map(_lies_as_expected, probes)) and _numpy_functions()[_ARRAY_TYPE] == id(np.ndarray)


def _lies_as_expected(array: np.ndarray) -> bool:
    if np.ndarray.__basicsize__ < _FLAGS + 4:
        return False
    words = (ctypes.c_int64 * (_FLAGS // 8 + 1)).from_address(id(array))
    shape = (ctypes.c_int64 * array.ndim).from_address(words[_SHAPE // 8])
    return (
        words[1] == id(np.ndarray)
        and words[_DATA // 8] == array.ctypes.data
        and words[_RANK // 8] & 0xFFFFFFFF == array.ndim
        and words[_DESCRIPTOR // 8] == id(array.dtype)
        and words[_FLAGS // 8] & _DENSE == _DENSE
        and tuple(shape) == array.shape
    )


def _tuple_lies_as_expected(names: tuple[str, ...]) -> bool:
    words = (ctypes.c_int64 * (tuple.__basicsize__ // 8 + len(names))).from_address(id(names))
    return words[_SIZE // 8] == len(names) and words[_ITEMS // 8] == id(names[0])


def _list_has_its_size(items: list[str]) -> bool:
    return ctypes.c_int64.from_address(id(items) + _SIZE).value == len(items)
