"""The routine that runs loops in pieces side by side; speculative.py says what it rests on.

    @graphc_speculate(serial, lanes, frame, state, i64 length, i64 count, i64 words)

serial, lanes: the loop as one chain, and as `count` of them. state: `words` words, the first state
at the call and the last one after it. Steps are run ahead by guesses for as long as no more than
1/2^SPENT of all have been run in vain.
"""

from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText

ROUTINE = "graphc_speculate"
LEAST = 2048  # steps; fewer run one after the other
SPENT = 5
WARM_UP = 64  # steps of the first warm-up; four times as many after each failure
CHECKPOINTS = 32  # states kept of a piece


def routine(target: Target) -> FunctionText:
    """The pieces, their warm-ups and their checks, for all loops.

    until all steps are done, or too many were spent:
        warm up all lanes, from the present state, over the last steps before their pieces
        lane 0 must have come to the present state: else a longer warm-up, or no pieces at all
        run the pieces, keeping states
        for each piece but the first: where its start is not what the piece before ends with,
            run it from there until it meets a state that was kept
    the rest one after the other
    """
    text = _ROUTINE.replace("ATTRIBUTES", target.function_attributes)
    declarations = {"declare ptr @memcpy(ptr, ptr, i64)", "declare i32 @memcmp(ptr, ptr, i64)"}
    return FunctionText(text, declarations, {}, plain=True)


_ROUTINE = f"""define void @{ROUTINE}(ptr %serial, ptr %lanes, ptr %frame, ptr %state, \
i64 %length, i64 %count, i64 %words) ATTRIBUTES {{
entry:
  %bytes = mul i64 %words, 8
  %all.words = mul i64 %count, %words
  %all.bytes = mul i64 %all.words, 8
  %kept.words = mul i64 %all.words, {CHECKPOINTS}
  %states = alloca i64, i64 %all.words, align 16
  %starts = alloca i64, i64 %all.words, align 16
  %kept = alloca i64, i64 %kept.words, align 16
  %budget = lshr i64 %length, {SPENT}
  %short = icmp slt i64 %length, {LEAST}
  br i1 %short, label %rest, label %round

round:
  %t = phi i64 [ 0, %entry ], [ %u, %again ], [ %done.steps, %paid ]
  %warm = phi i64 [ {WARM_UP}, %entry ], [ %warm.longer, %again ], [ %warm.next, %paid ]
  %piece = phi i64 [ 0, %entry ], [ %piece, %again ], [ %piece.next, %paid ]
  %spent = phi i64 [ 0, %entry ], [ %spent.guess, %again ], [ %spent.now, %paid ]
  %early = icmp slt i64 %t, %warm
  br i1 %early, label %ahead, label %placed
ahead:
  call void %serial(ptr %frame, ptr %state, i64 %t, i64 %warm)
  br label %placed
placed:
  %u = phi i64 [ %t, %round ], [ %warm, %ahead ]
  %left = sub i64 %length, %u
  %most = sdiv i64 %left, %count
  %least = shl i64 %warm, 3
  %is.less = icmp slt i64 %piece, %least
  %wanted = select i1 %is.less, i64 %least, i64 %piece
  %is.more = icmp sgt i64 %wanted, %most
  %long = select i1 %is.more, i64 %most, i64 %wanted
  %twice = shl i64 %warm, 1
  %few = icmp slt i64 %long, %twice
  br i1 %few, label %rest, label %cut
cut:
  ; an odd number, so that pieces do not begin at like places of the cache
  %parts = sdiv i64 %long, {CHECKPOINTS}
  %parts.less = sub i64 %parts, 1
  %part = or i64 %parts.less, 1
  %stride = mul i64 %part, {CHECKPOINTS}
  br label %guess
guess:
  %g = phi i64 [ 0, %cut ], [ %g.next, %guess ]
  %g.word = mul i64 %g, %words
  %g.at = getelementptr i64, ptr %states, i64 %g.word
  call ptr @memcpy(ptr %g.at, ptr %state, i64 %bytes)
  %g.next = add i64 %g, 1
  %g.more = icmp slt i64 %g.next, %count
  br i1 %g.more, label %guess, label %warming
warming:
  %from = sub i64 %u, %warm
  call void %lanes(ptr %frame, ptr %states, i64 %from, i64 %u, i64 %stride, i64 0)
  %first.differs = call i32 @memcmp(ptr %states, ptr %state, i64 %bytes)
  %forgets = icmp eq i32 %first.differs, 0
  br i1 %forgets, label %pieces, label %failed
failed:
  %spent.guess = add i64 %spent, %warm
  %warm.longer = shl i64 %warm, 2
  %would = add i64 %spent.guess, %warm.longer
  %too.long = icmp sgt i64 %would, %budget
  br i1 %too.long, label %rest, label %again
again:
  br label %round

pieces:
  call ptr @memcpy(ptr %starts, ptr %states, i64 %all.bytes)
  br label %run
run:
  %c = phi i64 [ 0, %pieces ], [ %c.next, %run ]
  %c.offset = mul i64 %c, %part
  %c.begin = add i64 %u, %c.offset
  %c.end = add i64 %c.begin, %part
  call void %lanes(ptr %frame, ptr %states, i64 %c.begin, i64 %c.end, i64 %stride, i64 1)
  %c.word = mul i64 %c, %all.words
  %c.at = getelementptr i64, ptr %kept, i64 %c.word
  call ptr @memcpy(ptr %c.at, ptr %states, i64 %all.bytes)
  %c.next = add i64 %c, 1
  %c.more = icmp slt i64 %c.next, {CHECKPOINTS}
  br i1 %c.more, label %run, label %check

check:
  call ptr @memcpy(ptr %state, ptr %states, i64 %bytes)
  br label %next
next:
  %k = phi i64 [ 1, %check ], [ %k.next, %checked ]
  %spent.k = phi i64 [ %spent, %check ], [ %spent.now.k, %checked ]
  %k.more = icmp slt i64 %k, %count
  br i1 %k.more, label %compare, label %paying
compare:
  %k.word = mul i64 %k, %words
  %k.start = getelementptr i64, ptr %starts, i64 %k.word
  %k.differs = call i32 @memcmp(ptr %state, ptr %k.start, i64 %bytes)
  %k.right = icmp eq i32 %k.differs, 0
  %k.offset = mul i64 %k, %stride
  %k.begin = add i64 %u, %k.offset
  br i1 %k.right, label %right, label %repair
repair:
  %r = phi i64 [ 0, %compare ], [ %r.next, %repaired ]
  %spent.r = phi i64 [ %spent.k, %compare ], [ %spent.more, %repaired ]
  %r.more = icmp slt i64 %r, {CHECKPOINTS}
  br i1 %r.more, label %repeat, label %checked
repeat:
  %r.offset = mul i64 %r, %part
  %r.begin = add i64 %k.begin, %r.offset
  %r.end = add i64 %r.begin, %part
  call void %serial(ptr %frame, ptr %state, i64 %r.begin, i64 %r.end)
  %spent.more = add i64 %spent.r, %part
  %r.next = add i64 %r, 1
  %r.row = mul i64 %r, %all.words
  %r.word = add i64 %r.row, %k.word
  %r.at = getelementptr i64, ptr %kept, i64 %r.word
  %r.differs = call i32 @memcmp(ptr %state, ptr %r.at, i64 %bytes)
  %met = icmp eq i32 %r.differs, 0
  br i1 %met, label %right, label %repaired
repaired:
  br label %repair
right:
  %spent.right = phi i64 [ %spent.k, %compare ], [ %spent.more, %repeat ]
  %k.end = getelementptr i64, ptr %states, i64 %k.word
  call ptr @memcpy(ptr %state, ptr %k.end, i64 %bytes)
  br label %checked
checked:
  %spent.now.k = phi i64 [ %spent.r, %repair ], [ %spent.right, %right ]
  %k.next = add i64 %k, 1
  br label %next

paying:
  %spent.now = add i64 %spent.k, 0
  %all.steps = mul i64 %count, %stride
  %done.steps = add i64 %u, %all.steps
  %piece.next = shl i64 %stride, 1
  %repairs = icmp sgt i64 %spent.now, %spent
  %warm.double = shl i64 %warm, 1
  %may.double = icmp sle i64 %warm.double, %budget
  %doubles = and i1 %repairs, %may.double
  %warm.next = select i1 %doubles, i64 %warm.double, i64 %warm
  %too.much = icmp sgt i64 %spent.now, %budget
  br i1 %too.much, label %rest, label %paid
paid:
  br label %round

rest:
  %last = phi i64 [ 0, %entry ], [ %u, %placed ], [ %u, %failed ], [ %done.steps, %paying ]
  %some = icmp slt i64 %last, %length
  br i1 %some, label %serially, label %end
serially:
  call void %serial(ptr %frame, ptr %state, i64 %last, i64 %length)
  br label %end
end:
  ret void
}}
"""
