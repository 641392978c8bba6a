"""The thread pool of the process, in LLVM IR: all functions share it, nothing of it is Python.

    void graphc_parallel(ptr task, ptr frame, i64 units, i64 work, i64 grain, i64 threads)

calls task(frame, begin, end, thread) for ranges that make up the units from 0 to `units`, on at
most `threads` threads, and returns when all calls have ended. `thread` is below `threads`, and no
two calls at a time have the same one; the caller is thread 0. Where `work` (in 1/64 ns, of all
units) is little there is one call. Else units are cut into chunks, of a length that is a multiple
of `grain` and follows from units, work and grain alone. Workers are started when they are first
wanted. Work that is less than it takes to wake a worker is shared with those that are awake. Who
finds the pool in use by another thread does all chunks alone, in order.

Without a task, `units` is added to the number of calls in which regions are to follow each other.

A worker has a state, which is how the caller talks to it:

    IDLE   it looks at its state a while (SPINS times, within calls CALL_SPINS, yielding its core
           to whoever wants it), then it goes to sleep: to be woken takes longer than many a step
    GO     there is work; the worker takes it by setting RUN. The caller takes it back, by setting
           IDLE, when no chunk is left: a worker that is slow to wake up is never waited for
    RUN    it takes one chunk after the other, and sets IDLE when none is left
    SLEEP  it waits to be signalled
    STOP   it ends

A forked child has no workers: it starts its own. At the end of the process they are stopped.
"""

import atexit
import ctypes
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from graphc.backends.llvm.cache import cached_objects
from graphc.backends.llvm.jit import PLAIN, Library, Module, library_symbols, once
from graphc.backends.llvm.one_thread import ALONE, CUT, DECLARED, PARALLEL
from graphc.backends.llvm.target import host

LITTLE = 1 << 21  # work that is not worth waking a second thread: 33 microseconds
MOST_WORKERS = 255
SPINS = 2000  # some tens of microseconds
CALL_SPINS = 5_000  # a few milliseconds, of which most are spent on yielding
IDLE, GO, RUN, SLEEP, STOP = range(5)
_WORKER_BYTES = 256  # its state, its lock and its signal, each on cache lines of its own
_LOCK, _SIGNAL, _THREAD = 128, 192, 64
_LIBC = (
    "pthread_create",
    "pthread_join",
    "pthread_mutex_init",
    "pthread_mutex_lock",
    "pthread_mutex_unlock",
    "pthread_cond_init",
    "pthread_cond_wait",
    "pthread_cond_signal",
    "pthread_sigmask",
    "sigfillset",
    "sched_yield",
)


def _pause() -> tuple[str, str]:
    """What a waiting loop does, and its declaration."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return "call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"
    if machine in ("aarch64", "arm64"):
        return "call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"
    return "fence acquire", ""


def pool_text() -> str:
    pause, declared = _pause()
    set_mask = 3 if sys.platform == "darwin" else 2
    return f"""
{declared}
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sched_yield()
{DECLARED}
@busy = internal global i64 0, align 128
@calls = internal global i64 0, align 128
@started = internal global i64 0, align 128
@next = internal global i64 0, align 128
@task = internal global ptr null, align 128
@frame = internal global ptr null
@units = internal global i64 0
@length = internal global i64 0
@workers = internal global [{MOST_WORKERS + 1} x [{_WORKER_BYTES} x i8]] zeroinitializer, align 256

define internal void @take(ptr %task, ptr %frame, i64 %units, i64 %length, i64 %thread) {{
entry:
  br label %head
head:
  %begin = atomicrmw add ptr @next, i64 %length monotonic
  %more = icmp slt i64 %begin, %units
  br i1 %more, label %body, label %done
body:
  %behind = add i64 %begin, %length
  %end = call i64 @llvm.smin.i64(i64 %behind, i64 %units)
  call void %task(ptr %frame, i64 %begin, i64 %end, i64 %thread)
  br label %head
done:
  ret void
}}

define internal ptr @worker(ptr %self) {{
entry:
  %lock = getelementptr i8, ptr %self, i64 {_LOCK}
  %signal = getelementptr i8, ptr %self, i64 {_SIGNAL}
  %address = ptrtoint ptr %self to i64
  %distance = sub i64 %address, ptrtoint (ptr @workers to i64)
  %thread = udiv i64 %distance, {_WORKER_BYTES}
  br label %awake
awake:
  br label %look
look:
  %spins = phi i64 [ 0, %awake ], [ %spins.next, %spin ], [ %spins.next, %stay ]
  %state = load atomic i64, ptr %self acquire, align 8
  switch i64 %state, label %spin [ i64 {GO}, label %claim
    i64 {STOP}, label %end ]
spin:
  {pause}
  %spins.next = add i64 %spins, 1
  %enough = icmp ugt i64 %spins.next, {SPINS}
  br i1 %enough, label %late, label %look
late:
  %calls = load atomic i64, ptr @calls monotonic, align 8
  %called = icmp sgt i64 %calls, 0
  %soon = icmp ult i64 %spins.next, {CALL_SPINS}
  %stays = and i1 %called, %soon
  br i1 %stays, label %stay, label %doze
stay:
  %yielded = call i32 @sched_yield()
  br label %look
doze:
  %locked = call i32 @pthread_mutex_lock(ptr %lock)
  %slept = cmpxchg ptr %self, i64 {IDLE}, i64 {SLEEP} seq_cst seq_cst
  br label %asleep
asleep:
  %seen = load atomic i64, ptr %self seq_cst, align 8
  %sleeps = icmp eq i64 %seen, {SLEEP}
  br i1 %sleeps, label %wait, label %wake
wait:
  %waited = call i32 @pthread_cond_wait(ptr %signal, ptr %lock)
  br label %asleep
wake:
  %unlocked = call i32 @pthread_mutex_unlock(ptr %lock)
  br label %awake
claim:
  %claimed = cmpxchg ptr %self, i64 {GO}, i64 {RUN} acq_rel acquire
  %mine = extractvalue {{ i64, i1 }} %claimed, 1
  br i1 %mine, label %run, label %awake
run:
  %task = load ptr, ptr @task
  %frame = load ptr, ptr @frame
  %units = load i64, ptr @units
  %length = load i64, ptr @length
  call void @take(ptr %task, ptr %frame, i64 %units, i64 %length, i64 %thread)
  store atomic i64 {IDLE}, ptr %self release, align 8
  br label %awake
end:
  ret ptr null
}}

; Have `wanted` workers, if the system lets us; how many there are. Signals stay with other threads.
define internal i64 @start(i64 %wanted) {{
entry:
  %all = alloca [32 x i64]
  %before = alloca [32 x i64]
  %have = load i64, ptr @started
  %filled = call i32 @sigfillset(ptr %all)
  %masked = call i32 @pthread_sigmask(i32 {set_mask}, ptr %all, ptr %before)
  br label %head
head:
  %count = phi i64 [ %have, %entry ], [ %number, %made ]
  %more = icmp slt i64 %count, %wanted
  br i1 %more, label %make, label %done
make:
  %number = add i64 %count, 1
  %self = getelementptr [{_WORKER_BYTES} x i8], ptr @workers, i64 %number
  %lock = getelementptr i8, ptr %self, i64 {_LOCK}
  %signal = getelementptr i8, ptr %self, i64 {_SIGNAL}
  %handle = getelementptr i8, ptr %self, i64 {_THREAD}
  store atomic i64 {IDLE}, ptr %self release, align 8
  %lock.made = call i32 @pthread_mutex_init(ptr %lock, ptr null)
  %signal.made = call i32 @pthread_cond_init(ptr %signal, ptr null)
  %failed = call i32 @pthread_create(ptr %handle, ptr null, ptr @worker, ptr %self)
  %good = icmp eq i32 %failed, 0
  br i1 %good, label %made, label %done
made:
  store i64 %number, ptr @started
  br label %head
done:
  %restored = call i32 @pthread_sigmask(i32 {set_mask}, ptr %before, ptr null)
  ret i64 %count
}}

; Change the state of a worker, and wake it if it sleeps.
define internal void @tell(ptr %self, i64 %state) {{
entry:
  %old = atomicrmw xchg ptr %self, i64 %state seq_cst
  %sleeps = icmp eq i64 %old, {SLEEP}
  br i1 %sleeps, label %wake, label %done
wake:
  %lock = getelementptr i8, ptr %self, i64 {_LOCK}
  %signal = getelementptr i8, ptr %self, i64 {_SIGNAL}
  %locked = call i32 @pthread_mutex_lock(ptr %lock)
  %signalled = call i32 @pthread_cond_signal(ptr %signal)
  %unlocked = call i32 @pthread_mutex_unlock(ptr %lock)
  br label %done
done:
  ret void
}}
{CUT}  %rouses = icmp sgt i64 %work, {LITTLE}
  %units.more = add i64 %units, %length
  %units.last = sub i64 %units.more, 1
  %chunks = udiv i64 %units.last, %length
  %several = icmp sgt i64 %threads, 1
  %parts = icmp sgt i64 %chunks, 1
  %divides = and i1 %several, %parts
  br i1 %divides, label %ask, label %alone
ask:
  %taken = cmpxchg ptr @busy, i64 0, i64 1 acquire monotonic
  %free = extractvalue {{ i64, i1 }} %taken, 1
  br i1 %free, label %count, label %alone
count:
  %others = sub i64 %threads, 1
  %rest = sub i64 %chunks, 1
  %useful = call i64 @llvm.smin.i64(i64 %others, i64 %rest)
  %wanted = call i64 @llvm.smin.i64(i64 %useful, i64 {MOST_WORKERS})
  %there = load i64, ptr @started
  %enough = icmp sge i64 %there, %wanted
  %hires = xor i1 %enough, true
  %hires.now = and i1 %hires, %rouses
  br i1 %hires.now, label %hire, label %ready
hire:
  %hired = call i64 @start(i64 %wanted)
  br label %ready
ready:
  %have = phi i64 [ %there, %count ], [ %hired, %hire ]
  %helpers = call i64 @llvm.smin.i64(i64 %wanted, i64 %have)
  store ptr %task, ptr @task
  store ptr %frame, ptr @frame
  store i64 %units, ptr @units
  store i64 %length, ptr @length
  store i64 0, ptr @next
  br label %call.head
call.head:
  %i = phi i64 [ 1, %ready ], [ %i.next, %call.next ]
  %call.more = icmp sle i64 %i, %helpers
  br i1 %call.more, label %call.body, label %own
call.body:
  %called = getelementptr [{_WORKER_BYTES} x i8], ptr @workers, i64 %i
  br i1 %rouses, label %call.any, label %call.awake
call.any:
  call void @tell(ptr %called, i64 {GO})
  br label %call.next
call.awake:
  %told = cmpxchg ptr %called, i64 {IDLE}, i64 {GO} acq_rel acquire
  br label %call.next
call.next:
  %i.next = add i64 %i, 1
  br label %call.head
own:
  call void @take(ptr %task, ptr %frame, i64 %units, i64 %length, i64 0)
  br label %join.head
join.head:
  %j = phi i64 [ 1, %own ], [ %j.next, %joined ]
  %join.more = icmp sle i64 %j, %helpers
  br i1 %join.more, label %join.body, label %finish
join.body:
  %other = getelementptr [{_WORKER_BYTES} x i8], ptr @workers, i64 %j
  %revoked = cmpxchg ptr %other, i64 {GO}, i64 {IDLE} acq_rel acquire
  br label %join.look
join.look:
  %spins = phi i64 [ 0, %join.body ], [ %spins.next, %join.again ]
  %state = load atomic i64, ptr %other acquire, align 8
  %runs = icmp eq i64 %state, {RUN}
  br i1 %runs, label %join.wait, label %joined
join.wait:
  {pause}
  %spins.next = add i64 %spins, 1
  %low = and i64 %spins.next, 255
  %long = icmp eq i64 %low, 0
  br i1 %long, label %join.yield, label %join.again
join.yield:
  %yielded = call i32 @sched_yield()
  br label %join.again
join.again:
  br label %join.look
joined:
  %j.next = add i64 %j, 1
  br label %join.head
finish:
  store atomic i64 0, ptr @busy release, align 8
  ret void
mark:
  %calls.before = atomicrmw add ptr @calls, i64 %units monotonic
  ret void
{ALONE}
; How many workers there are.
define i64 @graphc_pool_size() {{
  %count = load i64, ptr @started
  ret i64 %count
}}

; In a forked child, where no other thread is left.
define void @graphc_pool_forget() {{
  store i64 0, ptr @started
  store atomic i64 0, ptr @calls seq_cst, align 8
  store atomic i64 0, ptr @busy seq_cst, align 8
  ret void
}}

; Stop the workers for good: whoever comes later works alone. 0 while the pool is in use.
define i64 @graphc_pool_stop() {{
entry:
  %taken = cmpxchg ptr @busy, i64 0, i64 1 acquire monotonic
  %free = extractvalue {{ i64, i1 }} %taken, 1
  br i1 %free, label %stop, label %used
stop:
  %count = load i64, ptr @started
  br label %head
head:
  %i = phi i64 [ 1, %stop ], [ %i.next, %body ]
  %more = icmp sle i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %self = getelementptr [{_WORKER_BYTES} x i8], ptr @workers, i64 %i
  call void @tell(ptr %self, i64 {STOP})
  %at = getelementptr i8, ptr %self, i64 {_THREAD}
  %handle = load i64, ptr %at
  %joined = call i32 @pthread_join(i64 %handle, ptr null)
  %i.next = add i64 %i, 1
  br label %head
done:
  store i64 0, ptr @started
  ret i64 1
used:
  ret i64 0
}}
"""


@once
def _library() -> Library:
    names = (PARALLEL, "graphc_pool_size", "graphc_pool_forget", "graphc_pool_stop")
    found = cached_objects([Module(pool_text(), PLAIN)], host())
    library = Library(found.objects, names, library_symbols(_LIBC))
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_function(library, "graphc_pool_forget", None))
    atexit.register(_function(library, "graphc_pool_stop", ctypes.c_int64))
    return library


def _function(library: Library, name: str, result: type | None) -> Callable[[], Any]:
    function: Callable[[], Any] = ctypes.CFUNCTYPE(result)(library.address(name))
    return function


@cache
def parallel_address() -> int:
    """The address of `graphc_parallel`; the same one throughout the process."""
    return _library().address(PARALLEL)


def pool_size() -> int:
    """How many workers were started in this process."""
    size: int = _function(_library(), "graphc_pool_size", ctypes.c_int64)()
    return size
