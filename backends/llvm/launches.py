"""Calls of one kernel on other arrays (loops.launches), divided among threads at once.

The rows of a launch are constants: for each call the positions of its arrays in the table of the
program, its extent, and where its elements begin among those of all calls, in multiples of GRAIN.
So the entry has one call of the pool for all of them.
"""

from collections.abc import Sequence

from graphc.backends.llvm.emitter import FRAME
from graphc.backends.llvm.parallel import GRAIN, RANGE, THREADS, Range, divide
from graphc.backends.llvm.steps import StepEmitter
from graphc.backends.llvm.text import FunctionText, Val
from graphc.loops.ir import KernelCall
from graphc.shapes import substitute

_LAUNCH = "launch"


class LaunchSteps(StepEmitter):
    """The steps of a program, launches among them."""

    def _launch(self, calls: Sequence[KernelCall]) -> bool:
        """All of the calls at once; False if their kernel is no function of a range."""
        kernel = calls[0].kernel
        name, text = self.functions.kernel(kernel)
        division = text.division
        if division is None or text.area != 0 or text.thread_area != 0:
            return False
        for call in calls:
            self._remember(call, name, text)
        if _LAUNCH not in self.routines:
            self.routines[_LAUNCH] = _routine(self.target.function_attributes)
        rows: list[int] = []
        start = total = 0
        for call in calls:
            (extent,) = call.sizes
            assert isinstance(extent, int)
            rows += (*(self.slots[argument] for argument in call.arguments), extent, start)
            start += -(-extent // GRAIN) * GRAIN
            total += extent
        work = substitute(division.work, {kernel.sizes[0]: total})
        assert isinstance(work, int)
        builder = self.code.builder
        self.launches += 1
        table = f"launch{self.launches}.rows"
        words = ", ".join(f"i64 {word}" for word in rows)
        builder.define(table, f"@{table} = internal constant [{len(rows)} x i64] [{words}]")
        passed = [
            Val("%table", "ptr"),
            Val(f"@{table}", "ptr"),
            Val(f"@{name}", "ptr"),
            self.code.constant(len(calls), "i64"),
            self.code.constant(len(kernel.parameters), "i64"),
        ]
        self.frame_words = max(self.frame_words, len(passed))
        what = Range(
            self.code.constant(start, "i64"), self.code.constant(work, "i64"), division.grain
        )
        divide(builder, _LAUNCH, FRAME, passed, what, THREADS)
        return True


def _routine(attributes: str) -> FunctionText:
    """@launch, a function of a range of the elements of all rows.

    frame: table, rows, kernel, their number, arrays of each.
    """
    text = f"""define internal void @{_LAUNCH}{RANGE} {attributes} {{
entry:
  %table = load ptr, ptr %frame, align 8
  %at.rows = getelementptr i64, ptr %frame, i64 1
  %rows = load ptr, ptr %at.rows, align 8
  %at.kernel = getelementptr i64, ptr %frame, i64 2
  %kernel = load ptr, ptr %at.kernel, align 8
  %at.count = getelementptr i64, ptr %frame, i64 3
  %count = load i64, ptr %at.count, align 8
  %at.arrays = getelementptr i64, ptr %frame, i64 4
  %arrays = load i64, ptr %at.arrays, align 8
  %words = add i64 %arrays, 1
  %length = add i64 %arrays, 2
  %own = alloca i64, i64 %words, align 16
  br label %head
head:
  %r = phi i64 [ 0, %entry ], [ %r.next, %next ]
  %row = phi ptr [ %rows, %entry ], [ %row.next, %next ]
  %more = icmp slt i64 %r, %count
  br i1 %more, label %look, label %done
look:
  %at.extent = getelementptr i64, ptr %row, i64 %arrays
  %extent = load i64, ptr %at.extent, align 8
  %at.start = getelementptr i64, ptr %at.extent, i64 1
  %start = load i64, ptr %at.start, align 8
  %behind = icmp sge i64 %start, %end
  br i1 %behind, label %done, label %overlap
overlap:
  %from.begin = sub i64 %begin, %start
  %before = icmp slt i64 %from.begin, 0
  %first = select i1 %before, i64 0, i64 %from.begin
  %from.end = sub i64 %end, %start
  %short = icmp slt i64 %from.end, %extent
  %last = select i1 %short, i64 %from.end, i64 %extent
  %some = icmp slt i64 %first, %last
  br i1 %some, label %fill, label %next
fill:
  %a = phi i64 [ 0, %overlap ], [ %a.next, %array ]
  %a.more = icmp slt i64 %a, %arrays
  br i1 %a.more, label %array, label %call
array:
  %at.slot = getelementptr i64, ptr %row, i64 %a
  %slot = load i64, ptr %at.slot, align 8
  %at.pointer = getelementptr ptr, ptr %table, i64 %slot
  %pointer = load ptr, ptr %at.pointer, align 8
  %at.own = getelementptr ptr, ptr %own, i64 %a
  store ptr %pointer, ptr %at.own, align 8
  %a.next = add i64 %a, 1
  br label %fill
call:
  %at.size = getelementptr i64, ptr %own, i64 %arrays
  store i64 %extent, ptr %at.size, align 8
  call void %kernel(ptr %own, i64 %first, i64 %last, i64 %thread)
  br label %next
next:
  %r.next = add i64 %r, 1
  %row.next = getelementptr i64, ptr %row, i64 %length
  br label %head
done:
  ret void
}}
"""
    return FunctionText(text, set(), {})
