"""Calls without Python: what the routine asks about arguments and about memory for results."""

from graphc.backends.llvm.direct_layout import (
    DATA,
    DESCRIPTOR,
    FLAGS,
    ITEMS,
    NOT_SO,
    RANK,
    SEQUENCE,
    SHAPE,
    SIZE,
)
from graphc.placement import PAGE

CHECKS = f"""define internal ptr @data_of(ptr %array) alwaysinline {{
  %field = getelementptr i8, ptr %array, i64 {DATA}
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
  %at.descriptor = getelementptr i8, ptr %array, i64 {DESCRIPTOR}
  %descriptor = load ptr, ptr %at.descriptor
  %expected.descriptor = load ptr, ptr %row
  %right.dtype = icmp eq ptr %descriptor, %expected.descriptor
  %at.rank = getelementptr i8, ptr %array, i64 {RANK}
  %rank.32 = load i32, ptr %at.rank
  %rank = sext i32 %rank.32 to i64
  %at.expected.rank = getelementptr i64, ptr %row, i64 1
  %expected.rank = load i64, ptr %at.expected.rank
  %right.rank = icmp eq i64 %rank, %expected.rank
  %at.flags = getelementptr i8, ptr %array, i64 {FLAGS}
  %flags = load i32, ptr %at.flags
  %set.flags = and i32 %flags, %wanted
  %right.flags = icmp eq i32 %set.flags, %wanted
  %right.kind = and i1 %right.dtype, %right.rank
  %right = and i1 %right.kind, %right.flags
  %at.dimensions = getelementptr i8, ptr %array, i64 {SHAPE}
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
  %at.length = getelementptr i8, ptr %out, i64 {SIZE}
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

; memory for so many bytes, wherever in a page they begin, that only the list refers to; else null
define internal ptr @free_memory(ptr %list, i64 %bytes) {{
entry:
  %wanted = add i64 %bytes, {PAGE - 1}
  %at.size = getelementptr i8, ptr %list, i64 {SIZE}
  %size = load i64, ptr %at.size
  %at.items = getelementptr i8, ptr %list, i64 {ITEMS}
  %items = load ptr, ptr %at.items
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %k.next, %compare ]
  %more = icmp slt i64 %k, %size
  br i1 %more, label %compare, label %none
compare:
  %at.item = getelementptr ptr, ptr %items, i64 %k
  %item = load ptr, ptr %at.item
  %references = load i32, ptr %item
  %alone = icmp eq i32 %references, 1
  %at.shape = getelementptr i8, ptr %item, i64 {SHAPE}
  %shape = load ptr, ptr %at.shape
  %length = load i64, ptr %shape
  %fits = icmp eq i64 %length, %wanted
  %free = and i1 %alone, %fits
  %k.next = add i64 %k, 1
  br i1 %free, label %found, label %head
found:
  ret ptr %item
none:
  ret ptr null
}}
"""
