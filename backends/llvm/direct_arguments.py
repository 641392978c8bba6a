"""Calls without Python: arguments by name or left out, and numbers in the place of arrays."""

import numpy as np

from graphc.backends.llvm.direct_layout import (
    DESCRIPTOR_NUMBER,
    DESCRIPTOR_TYPE,
    ITEMS,
    OWN_NUMBERS,
    SIZE,
    VALUE,
)

# Of Python's int: the LLVM type, and what makes it 64 bits wide again.
_INTEGERS = {
    f"{prefix}int{bits}": (f"i{bits}", extend)
    for prefix, extend in (("", "sext"), ("u", "zext"))
    for bits in (8, 16, 32)
}
_WIDE = {
    "int64": "  store i64 %whole, ptr %cell\n  br label %stored",
    "uint64": """\
  store i64 %whole, ptr %cell
  %negative = icmp slt i64 %whole, 0
  br i1 %negative, label %no, label %stored""",
    "float32": """\
  %whole.f32 = sitofp i64 %whole to float
  store float %whole.f32, ptr %cell
  br label %stored""",
    "float64": """\
  %whole.f64 = sitofp i64 %whole to double
  store double %whole.f64, ptr %cell
  br label %stored""",
}


def _narrow(name: str, kind: str, extend: str) -> str:
    return f"""\
  %{name}.value = trunc i64 %whole to {kind}
  store {kind} %{name}.value, ptr %cell
  %{name}.back = {extend} {kind} %{name}.value to i64
  %{name}.fits = icmp eq i64 %{name}.back, %whole
  br i1 %{name}.fits, label %stored, label %no"""


_CASES = {name: _narrow(name, *how) for name, how in _INTEGERS.items()} | _WIDE
_LABELS = " ".join(f"i32 {np.dtype(name).num}, label %to.{name}" for name in _CASES)
_BLOCKS = "\n".join(f"to.{name}:\n{text}" for name, text in _CASES.items())
_FLOAT32, _FLOAT64, _BOOL = (np.dtype(name).num for name in ("float32", "float64", "bool"))

ARGUMENTS = f"""
; where the value lies of a number that stands for an array without axes: in the object itself, or
; converted in the cell; null for all that is no such number, or that the dtype does not hold
define internal ptr @number_of(ptr %object, ptr %type, ptr %row, ptr %cell) noinline {{
entry:
  %at.overflow = alloca i32
  %value = getelementptr i8, ptr %object, i64 {VALUE}
  %at.rank = getelementptr i64, ptr %row, i64 1
  %rank = load i64, ptr %at.rank
  %has.axes = icmp ne i64 %rank, 0
  br i1 %has.axes, label %no, label %compare
compare:
  %descriptor = load ptr, ptr %row
  %at.number = getelementptr i8, ptr %descriptor, i64 {DESCRIPTOR_NUMBER}
  %number = load i32, ptr %at.number
  %at.own = getelementptr i8, ptr %descriptor, i64 {DESCRIPTOR_TYPE}
  %own = load ptr, ptr %at.own
  %is.own = icmp eq ptr %type, %own
  %is.known = icmp ult i32 %number, {OWN_NUMBERS}
  %is.inside = and i1 %is.own, %is.known
  br i1 %is.inside, label %inside, label %of.python
inside:
  ret ptr %value
of.python:
  %is.float = icmp eq ptr %type, @float_type
  br i1 %is.float, label %float, label %no.float
float:
  switch i32 %number, label %no [ i32 {_FLOAT64}, label %inside i32 {_FLOAT32}, label %narrow ]
narrow:
  %wide = load double, ptr %value
  %short = fptrunc double %wide to float
  %back = fpext float %short to double
  %size = call double @llvm.fabs.f64(double %back)
  %wide.size = call double @llvm.fabs.f64(double %wide)
  %is.infinite = fcmp oeq double %size, 0x7FF0000000000000
  %was.finite = fcmp one double %wide.size, 0x7FF0000000000000
  %is.too.large = and i1 %is.infinite, %was.finite
  store float %short, ptr %cell
  br i1 %is.too.large, label %no, label %stored
no.float:
  %is.int = icmp eq ptr %type, @int_type
  br i1 %is.int, label %int, label %no.int
int:
  %whole = call i64 @PyLong_AsLongLongAndOverflow(ptr %object, ptr %at.overflow)
  %overflow = load i32, ptr %at.overflow
  %overflows = icmp ne i32 %overflow, 0
  br i1 %overflows, label %no, label %int.fits
int.fits:
  switch i32 %number, label %no [ {_LABELS} ]
{_BLOCKS}
no.int:
  %is.bool = icmp eq ptr %type, @bool_type
  %wants.bool = icmp eq i32 %number, {_BOOL}
  %is.truth = and i1 %is.bool, %wants.bool
  br i1 %is.truth, label %truth, label %no
truth:
  %is.true = icmp eq ptr %object, @true
  %byte = zext i1 %is.true to i8
  store i8 %byte, ptr %cell
  br label %stored
stored:
  ret ptr %cell
no:
  ret ptr null
}}

; one argument per input, in their order, from those by position and by name and the defaults; and
; what `out=` was. known: a tuple of the names, then the defaults, None for those that have none: no
; argument that a call takes. null where there is no such name
define internal ptr @complete(ptr %known, i64 %inputs, ptr %out.name, ptr %arguments, \
i64 %given, ptr %names, ptr %placed, ptr %at.out) noinline {{
entry:
  %items = getelementptr i8, ptr %known, i64 {ITEMS}
  %unknown = icmp eq ptr %known, null
  %all = icmp eq i64 %given, %inputs
  %as.given = or i1 %unknown, %all
  %unnamed = icmp eq ptr %names, null
  br i1 %unnamed, label %start, label %measure
measure:
  %at.count = getelementptr i8, ptr %names, i64 {SIZE}
  %named = load i64, ptr %at.count
  br label %start
start:
  %count = phi i64 [ 0, %entry ], [ %named, %measure ]
  br i1 %as.given, label %name.head, label %place.head

place.head:
  %p = phi i64 [ 0, %start ], [ %p.next, %place ]
  %place.more = icmp slt i64 %p, %inputs
  br i1 %place.more, label %place, label %name.head
place:
  %is.given = icmp slt i64 %p, %given
  %default = add i64 %inputs, %p
  %at.argument = getelementptr ptr, ptr %arguments, i64 %p
  %at.default = getelementptr ptr, ptr %items, i64 %default
  %at.value = select i1 %is.given, ptr %at.argument, ptr %at.default
  %value = load ptr, ptr %at.value
  %at.place = getelementptr ptr, ptr %placed, i64 %p
  store ptr %value, ptr %at.place
  %p.next = add i64 %p, 1
  br label %place.head

name.head:
  %k = phi i64 [ 0, %start ], [ 0, %place.head ], [ %k.next, %name.done ]
  %name.more = icmp slt i64 %k, %count
  br i1 %name.more, label %name.take, label %end
name.take:
  %at.names = getelementptr i8, ptr %names, i64 {ITEMS}
  %at.name = getelementptr ptr, ptr %at.names, i64 %k
  %name = load ptr, ptr %at.name
  %named.place = add i64 %given, %k
  %at.named = getelementptr ptr, ptr %arguments, i64 %named.place
  %named.value = load ptr, ptr %at.named
  %is.out = icmp eq ptr %name, %out.name
  br i1 %is.out, label %out, label %search
out:
  store ptr %named.value, ptr %at.out
  br label %name.done
search:
  br i1 %as.given, label %no, label %search.head
search.head:
  %j = phi i64 [ %given, %search ], [ %j.next, %search.next ]
  %search.more = icmp slt i64 %j, %inputs
  br i1 %search.more, label %search.compare, label %no
search.compare:
  %at.known = getelementptr ptr, ptr %items, i64 %j
  %known.name = load ptr, ptr %at.known
  %is.it = icmp eq ptr %known.name, %name
  br i1 %is.it, label %found, label %search.next
search.next:
  %j.next = add i64 %j, 1
  br label %search.head
found:
  %at.found = getelementptr ptr, ptr %placed, i64 %j
  store ptr %named.value, ptr %at.found
  br label %name.done
name.done:
  %k.next = add i64 %k, 1
  br label %name.head

end:
  br i1 %all, label %as.they.are, label %in.order
as.they.are:
  ret ptr %arguments
in.order:
  br i1 %unknown, label %no, label %yes
yes:
  ret ptr %placed
no:
  ret ptr null
}}
"""
