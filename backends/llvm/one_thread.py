"""Work on one thread: cut into the chunks that the pool cuts it into, done in order.

Chunks follow from the work alone, so that results do not depend on the number of threads. A
function that never has a second thread needs no pool: it takes LLVM ten times as long.
"""

from functools import cache

from graphc.backends.llvm.cache import cached_objects
from graphc.backends.llvm.jit import PLAIN, Library, Module, once
from graphc.backends.llvm.target import host

PARALLEL = "graphc_parallel"  # see `pool`
SHARED = 1 << 19  # work that is not worth a second thread, awake or not: 8 microseconds
CHUNK = 1 << 19  # work of one chunk, if there are not too many
MOST_CHUNKS = 256

DECLARED = """
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
"""

# The beginning of `graphc_parallel`: little work is one call, the length of chunks of other work;
# without a task, `mark`.
CUT = f"""
define void @{PARALLEL}(ptr %task, ptr %frame, i64 %units, i64 %work, i64 %grain, i64 %threads) {{
entry:
  %much = icmp sgt i64 %work, {SHARED}
  %some = icmp sgt i64 %units, 0
  %cut = and i1 %much, %some
  br i1 %cut, label %measure, label %whole
whole:
  %marks = icmp eq ptr %task, null
  br i1 %marks, label %mark, label %call
call:
  call void %task(ptr %frame, i64 0, i64 %units, i64 0)
  ret void
measure:
  %parts.wished = udiv i64 %work, {CHUNK}
  %parts.two = call i64 @llvm.smax.i64(i64 %parts.wished, i64 2)
  %parts.most = call i64 @llvm.smin.i64(i64 %parts.two, i64 {MOST_CHUNKS})
  %even = udiv i64 %units, %parts.most
  %grains = udiv i64 %even, %grain
  %grains.up = add i64 %grains, 1
  %single = icmp eq i64 %grain, 1
  %divides.even = mul i64 %even, %parts.most
  %exact = icmp eq i64 %divides.even, %units
  %as.even = and i1 %single, %exact
  %rounded = mul i64 %grains.up, %grain
  %length = select i1 %as.even, i64 %even, i64 %rounded
"""

# Its end: the chunks one after the other.
ALONE = """
alone:
  br label %alone.head
alone.head:
  %begin = phi i64 [ 0, %alone ], [ %behind, %alone.body ]
  %alone.more = icmp slt i64 %begin, %units
  br i1 %alone.more, label %alone.body, label %alone.done
alone.body:
  %behind = add i64 %begin, %length
  %end = call i64 @llvm.smin.i64(i64 %behind, i64 %units)
  call void %task(ptr %frame, i64 %begin, i64 %end, i64 0)
  br label %alone.head
alone.done:
  ret void
}
"""


def parallel_text() -> str:
    """`graphc_parallel` for one thread, as a module."""
    return f"{DECLARED}{CUT}  br label %alone\nmark:\n  ret void\n{ALONE}"


@once
def _library() -> Library:
    modules = [Module(parallel_text(), PLAIN)]
    return Library(cached_objects(modules, host()).objects, [PARALLEL], {})


@cache
def one_thread_address() -> int:
    """The address of a `graphc_parallel` for callers that have one thread."""
    return _library().address(PARALLEL)
