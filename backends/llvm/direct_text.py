"""Calls without Python: the routine, in LLVM IR."""

from graphc.backends.llvm.direct_arguments import ARGUMENTS
from graphc.backends.llvm.direct_checks import CHECKS
from graphc.backends.llvm.direct_layout import (
    DENSE,
    FRAME_HEADER,
    HEADER,
    KNOWN,
    LIST,
    LONG,
    NAMED,
    NEXT,
    REWRITING,
    TAKEN,
)
from graphc.backends.llvm.direct_results import RESULTS

TEXT = f"""
@array_type = external global i8
@_Py_NoneStruct = external global i8
@list_type = external global i8
@tuple_type = external global i8
@dict_type = external global i8
@float_type = external global i8
@int_type = external global i8
@bool_type = external global i8
@true = external global i8
declare ptr @new_from_descr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare i32 @set_base_object(ptr, ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare ptr @PyList_GetItem(ptr, i64)
declare ptr @PyTuple_GetItem(ptr, i64)
declare i64 @PyDict_Size(ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare double @llvm.fabs.f64(double)
declare ptr @PyDict_GetItem(ptr, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)

{CHECKS}{ARGUMENTS}
define ptr @direct_call(ptr %self, ptr %arguments, i64 %given, ptr %names) {{
entry:
  %placed = alloca [{NAMED} x ptr]
  %at.out = alloca ptr
  %record = call ptr @data_of(ptr %self)
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
  %other.count = icmp ne i64 %given, %inputs
  %named = icmp ne ptr %names, null
  %incomplete = or i1 %other.count, %named
  br i1 %incomplete, label %arrange, label %answer.start

arrange:
  %too.many = icmp sgt i64 %given, %inputs
  br i1 %too.many, label %slow, label %arrange.all
arrange.all:
  %at.out.name = getelementptr i64, ptr %record, i64 11
  %out.name = load ptr, ptr %at.out.name
  %at.known = getelementptr i64, ptr %record, i64 {KNOWN}
  %known = load ptr, ptr %at.known
  store ptr @_Py_NoneStruct, ptr %at.out
  %arranged = call ptr @complete(ptr %known, i64 %inputs, ptr %out.name, ptr %arguments, \
i64 %given, ptr %names, ptr %placed, ptr %at.out)
  %given.out = load ptr, ptr %at.out
  %out.is.none = icmp eq ptr %given.out, @_Py_NoneStruct
  %kept.out = select i1 %out.is.none, ptr null, ptr %given.out
  %no.such.name = icmp eq ptr %arranged, null
  br i1 %no.such.name, label %slow, label %answer.start

; before a frame is looked at: a collection of garbage may run Python, even this function
answer.start:
  %out = phi ptr [ null, %entry ], [ %kept.out, %arrange.all ]
  %values = phi ptr [ %arguments, %entry ], [ %arranged, %arrange.all ]
  %several = icmp eq i64 %answer.kind, {LIST}
  br i1 %several, label %answer.list, label %begin
answer.list:
  %new.list = call ptr @PyList_New(i64 %outputs)
  %no.list = icmp eq ptr %new.list, null
  br i1 %no.list, label %failed, label %begin

; nothing else runs from here on, unless the call is long and the frame is taken meanwhile
begin:
  %list = phi ptr [ null, %answer.start ], [ %new.list, %answer.list ]
  %at.taken = getelementptr i64, ptr %record, i64 {TAKEN}
  %taken = load i64, ptr %at.taken
  %is.taken = icmp ne i64 %taken, 0
  %calls.elsewhere = load i64, ptr %busy
  %writes = icmp ne i64 %updates, 0
  %contended = icmp ne i64 %calls.elsewhere, 0
  %must.write.alone = and i1 %writes, %contended
  %reads = icmp ne i64 %variables, 0
  %written.over = icmp uge i64 %calls.elsewhere, {REWRITING}
  %must.read.later = and i1 %reads, %written.over
  %must.wait = or i1 %must.write.alone, %must.read.later
  %must.go = or i1 %must.wait, %is.taken
  br i1 %must.go, label %drop, label %frame.choose

; a frame for each of several shapes
frame.choose:
  %at.frame = phi ptr [ %record, %begin ], [ %at.next.frame, %other.shape ]
  %frame = load ptr, ptr %at.frame
  %no.frame = icmp eq ptr %frame, null
  br i1 %no.frame, label %drop, label %framed
other.shape:
  %at.next.frame = getelementptr i64, ptr %frame, i64 {NEXT}
  br label %frame.choose

framed:
  %table = load ptr, ptr %frame
  %at.sizes = getelementptr i64, ptr %frame, i64 1
  %sizes = load ptr, ptr %at.sizes
  %at.fault = getelementptr i64, ptr %frame, i64 2
  %fault = load ptr, ptr %at.fault
  %held = getelementptr i64, ptr %frame, i64 {FRAME_HEADER}
  %cells = getelementptr i64, ptr %held, i64 %variables
  %input.bytes = getelementptr i64, ptr %cells, i64 %inputs
  %output.bytes = getelementptr i64, ptr %input.bytes, i64 %inputs
  %first.shape = getelementptr i64, ptr %output.bytes, i64 %outputs
  br label %input.head

; every argument: an array of the expected dtype, rank and shape, dense and aligned; or a number
input.head:
  %i = phi i64 [ 0, %framed ], [ %i.next, %input.taken ]
  %input = phi ptr [ %first.input, %framed ], [ %input.next, %input.taken ]
  %shape = phi ptr [ %first.shape, %framed ], [ %shape.next, %input.taken ]
  %input.more = icmp slt i64 %i, %inputs
  br i1 %input.more, label %input.check, label %variable.head
input.check:
  %at.argument = getelementptr ptr, ptr %values, i64 %i
  %argument = load ptr, ptr %at.argument
  %at.type = getelementptr i8, ptr %argument, i64 8
  %type = load ptr, ptr %at.type
  %is.array = icmp eq ptr %type, @array_type
  br i1 %is.array, label %input.array, label %input.number
input.array:
  %input.fits = call i1 @is_expected(ptr %argument, ptr %input, ptr %shape, i32 {DENSE})
  %array.data = call ptr @data_of(ptr %argument)
  br i1 %input.fits, label %input.taken, label %other.shape
input.number:
  %cell = getelementptr i64, ptr %cells, i64 %i
  %number.data = call ptr @number_of(ptr %argument, ptr %type, ptr %input, ptr %cell)
  %no.number = icmp eq ptr %number.data, null
  br i1 %no.number, label %drop, label %input.taken
input.taken:
  %input.data = phi ptr [ %array.data, %input.array ], [ %number.data, %input.number ]
  %at.input.rank = getelementptr i64, ptr %input, i64 1
  %input.rank = load i64, ptr %at.input.rank
  %shape.next = getelementptr i64, ptr %shape, i64 %input.rank
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

{RESULTS}
execute:
  %at.long = getelementptr i64, ptr %frame, i64 {LONG}
  %long = load i64, ptr %at.long
  %is.long = icmp ne i64 %long, 0
  br i1 %is.long, label %take, label %run.short
run.short:
  %short.status = call i64 %run(ptr %table, ptr %sizes, ptr %fault)
  br label %ran

; without the interpreter's lock: the arrays of variables are held, and nobody takes the frame
take:
  store i64 1, ptr %at.taken
  br label %hold.head
hold.head:
  %h = phi i64 [ 0, %take ], [ %h.next, %hold ]
  %h.variable = phi ptr [ %input, %take ], [ %h.variable.next, %hold ]
  %h.more = icmp slt i64 %h, %variables
  br i1 %h.more, label %hold, label %run.long
hold:
  %h.reference = load ptr, ptr %h.variable
  %h.array = load ptr, ptr %h.reference
  call void @Py_IncRef(ptr %h.array)
  %h.place = getelementptr ptr, ptr %held, i64 %h
  store ptr %h.array, ptr %h.place
  %h.variable.next = getelementptr i64, ptr %h.variable, i64 2
  %h.next = add i64 %h, 1
  br label %hold.head
run.long:
  %state = call ptr @PyEval_SaveThread()
  %long.status = call i64 %run(ptr %table, ptr %sizes, ptr %fault)
  call void @PyEval_RestoreThread(ptr %state)
  br label %release.head
release.head:
  %r = phi i64 [ 0, %run.long ], [ %r.next, %release ]
  %r.more = icmp slt i64 %r, %variables
  br i1 %r.more, label %release, label %released
release:
  %r.place = getelementptr ptr, ptr %held, i64 %r
  %r.array = load ptr, ptr %r.place
  call void @Py_DecRef(ptr %r.array)
  %r.next = add i64 %r, 1
  br label %release.head
released:
  store i64 0, ptr %at.taken
  br label %ran
ran:
  %status = phi i64 [ %short.status, %run.short ], [ %long.status, %released ]
  %passed = icmp eq i64 %status, 0
  br i1 %passed, label %swap.head, label %check.failed

; new values in, old values become the spare arrays
swap.head:
  %s = phi i64 [ 0, %ran ], [ %s.next, %swap ]
  %swapped = phi ptr [ %variable, %ran ], [ %swapped.next, %swap ]
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
