"""Calls without Python: memory for the results, that of the caller, of earlier results, or new.

A part of the routine in `direct_text`: it goes to `execute`, or hands the call over.
"""

from graphc.backends.llvm.direct_layout import ARRAY, DENSE, LIST, WRITABLE
from graphc.placement import LARGE, PAGE

RESULTS = f"""output.start:
  %output.words = mul i64 %outputs, 3
  %first.memory = getelementptr i64, ptr %update, i64 %output.words
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
i32 {DENSE | WRITABLE})
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

; a new array: a large one in memory that an earlier one was in; if there is none, Python finds some
output.make:
  %output.descriptor = load ptr, ptr %output
  %output.rank.32 = trunc i64 %output.rank to i32
  %at.made.bytes = getelementptr i64, ptr %output.bytes, i64 %o
  %made.bytes = load i64, ptr %at.made.bytes
  %is.large = icmp sge i64 %made.bytes, {LARGE}
  br i1 %is.large, label %output.look, label %output.new
output.new:
  call void @Py_IncRef(ptr %output.descriptor)
  %small = call ptr @new_from_descr(ptr @array_type, ptr %output.descriptor, \
i32 %output.rank.32, ptr %output.shape, ptr null, ptr null, i32 0, ptr null)
  %no.memory = icmp eq ptr %small, null
  br i1 %no.memory, label %give.up, label %output.keep
output.look:
  %o.twice = shl i64 %o, 1
  %at.kept = getelementptr i64, ptr %first.memory, i64 %o.twice
  %kept = load ptr, ptr %at.kept
  %at.begin = getelementptr i64, ptr %at.kept, i64 1
  %place = load i64, ptr %at.begin
  %room = call ptr @free_memory(ptr %kept, i64 %made.bytes)
  %no.room = icmp eq ptr %room, null
  br i1 %no.room, label %unfit.out, label %output.within
output.within:
  %room.data = call ptr @data_of(ptr %room)
  %room.start = ptrtoint ptr %room.data to i64
  %off = sub i64 %place, %room.start
  %gap = and i64 %off, {PAGE - 1}
  %large.data = getelementptr i8, ptr %room.data, i64 %gap
  call void @Py_IncRef(ptr %output.descriptor)
  %large = call ptr @new_from_descr(ptr @array_type, ptr %output.descriptor, \
i32 %output.rank.32, ptr %output.shape, ptr null, ptr %large.data, i32 {DENSE | WRITABLE}, ptr null)
  %no.large = icmp eq ptr %large, null
  br i1 %no.large, label %give.up, label %output.based
output.based:
  call void @Py_IncRef(ptr %room)
  %based = call i32 @set_base_object(ptr %large, ptr %room)
  %unbased = icmp slt i32 %based, 0
  br i1 %unbased, label %output.lost, label %output.keep
output.lost:
  call void @Py_DecRef(ptr %large)
  br label %give.up
output.keep:
  %result = phi ptr [ %small, %output.new ], [ %large, %output.based ], \
[ %memory, %output.borrow ]
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
"""
