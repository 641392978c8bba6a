"""Memory that native code takes while it runs, and loops that people may interrupt.

The sizes of heap buffers are known only when a loop has counted its steps. Each has two words in
the table of pointers: its address, and its capacity in bytes. `grow` makes room, at least doubling
what is there, so that a tape which grows row by row is copied a constant number of times. The
entry frees everything when it returns, after a failure as well.
"""

import ctypes
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

from graphc.backends.llvm.text import FunctionText, TextBuilder
from graphc.loops.ir import Program

NO_MEMORY = -1  # what the entry returns
INTERRUPTED = -2

GROW = """define internal i1 @graphc_grow(ptr %slot, ptr %capacity, ptr %account, i64 %bytes) {
entry:
  %old = load ptr, ptr %slot, align 8
  %have = load i64, ptr %capacity, align 8
  %there = icmp ne ptr %old, null
  %fits = icmp sge i64 %have, %bytes
  %enough = and i1 %there, %fits
  br i1 %enough, label %done, label %more
more:
  %twice = shl i64 %have, 1
  %least = call i64 @llvm.smax.i64(i64 %bytes, i64 64)
  %size = call i64 @llvm.smax.i64(i64 %twice, i64 %least)
  %used = load i64, ptr %account, align 8
  %at.limit = getelementptr i64, ptr %account, i64 1
  %limit = load i64, ptr %at.limit, align 8
  %added = sub i64 %size, %have
  %total = add i64 %used, %added
  %too.much = icmp sgt i64 %total, %limit
  br i1 %too.much, label %failed, label %ask
ask:
  %new = call ptr @realloc(ptr %old, i64 %size)
  %none = icmp eq ptr %new, null
  br i1 %none, label %failed, label %kept
kept:
  store ptr %new, ptr %slot, align 8
  store i64 %size, ptr %capacity, align 8
  store i64 %total, ptr %account, align 8
  br label %done
done:
  ret i1 true
failed:
  ret i1 false
}
"""

# Once a second: what Python's signal handlers have to say. What they raise goes to `fault`.
INTERRUPTED_TEXT = """define internal i1 @graphc_interrupted(ptr %seen, ptr %fault) {
entry:
  %kind = alloca ptr
  %value = alloca ptr
  %trace = alloca ptr
  %now = call i64 @time(ptr null)
  %last = load i64, ptr %seen, align 8
  %same = icmp eq i64 %now, %last
  br i1 %same, label %no, label %ask
ask:
  store i64 %now, ptr %seen, align 8
  %state = call i32 @PyGILState_Ensure()
  %signals = call i32 @PyErr_CheckSignals()
  %raised = icmp ne i32 %signals, 0
  br i1 %raised, label %take, label %leave
take:
  call void @PyErr_Fetch(ptr %kind, ptr %value, ptr %trace)
  call void @PyErr_NormalizeException(ptr %kind, ptr %value, ptr %trace)
  %error = load ptr, ptr %value, align 8
  store ptr %error, ptr %fault, align 8
  call void @PyGILState_Release(i32 %state)
  ret i1 true
leave:
  call void @PyGILState_Release(i32 %state)
  br label %no
no:
  ret i1 false
}
"""

PYTHON_SYMBOLS = (
    "PyGILState_Ensure",
    "PyGILState_Release",
    "PyErr_CheckSignals",
    "PyErr_Fetch",
    "PyErr_NormalizeException",
)


def use_grow(builder: TextBuilder) -> None:
    builder.declare("llvm.smax.i64", "i64 @llvm.smax.i64(i64, i64)")
    builder.declare("realloc", "ptr @realloc(ptr, i64)")
    builder.define("graphc_grow", GROW)


def use_interrupted(builder: TextBuilder) -> None:
    builder.declare("time", "i64 @time(ptr)")
    builder.declare("PyGILState_Ensure", "i32 @PyGILState_Ensure()")
    builder.declare("PyGILState_Release", "void @PyGILState_Release(i32)")
    builder.declare("PyErr_CheckSignals", "i32 @PyErr_CheckSignals()")
    for name in ("PyErr_Fetch", "PyErr_NormalizeException"):
        builder.declare(name, f"void @{name}(ptr, ptr, ptr)")
    builder.define("graphc_interrupted", INTERRUPTED_TEXT)


class HeapTable:
    """Where the table keeps addresses and capacities: behind the buffers, the scratch area and the
    number of threads.

    The last pair is scratch memory whose size is not known at the call. Behind it stands the
    account: the bytes taken, and how many may be.
    """

    def __init__(self, program: Program) -> None:
        self.places = {name: position for position, name in enumerate(program.buffers)}
        names = [name for name, buffer in program.buffers.items() if buffer.role == "heap"]
        first = len(program.buffers) + 2
        self.capacities = {name: first + number for number, name in enumerate(names)}
        self.scratch = (first + len(names), first + len(names) + 1)
        self.account = first + len(names) + 2
        self.names = names
        self.has_counts = bool(program.counts)

    @property
    def words(self) -> int:
        """How many words the table has behind the number of threads."""
        return len(self.names) + 4 if self.has_counts else 0

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(place of the address, place of the capacity) of all that is to be freed."""
        return [*((self.places[n], self.capacities[n]) for n in self.names), self.scratch]


def freeing_entry(table: HeapTable, parameters: str, attributes: str) -> FunctionText:
    """@entry: @run, and then everything that it took from the heap goes back."""
    builder = TextBuilder()
    builder.declare("free", "void @free(ptr)")
    status = builder.emit(f"call i64 @run{parameters}", "i64")
    for address, capacity in table.pairs:
        slot = builder.value(f"getelementptr ptr, ptr %table, i64 {address}")
        held = builder.value(f"load ptr, ptr {slot}, align 8")
        builder.line(f"call void @free(ptr {held})")
        builder.line(f"store ptr null, ptr {slot}, align 8")
        bytes_ = builder.value(f"getelementptr i64, ptr %table, i64 {capacity}")
        builder.line(f"store i64 0, ptr {bytes_}, align 8")
    used = builder.value(f"getelementptr i64, ptr %table, i64 {table.account}")
    builder.line(f"store i64 0, ptr {used}, align 8")
    builder.line(f"ret i64 {status.text}")
    return builder.function(f"define i64 @entry{parameters} {attributes}", plain=True)


@cache
def memory_limit() -> int:
    """Bytes that one call may take: nine tenths of what this process may have.

    Linux promises memory that is not there and ends the process when it is used.
    """
    limits = [1 << 62]
    with suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError), open(path) as file:
            limits.append(int(file.read()))
    return min(limits) // 10 * 9


@cache
def python_symbols() -> Mapping[str, int]:
    """Addresses of the functions of Python that loops call."""
    found: dict[str, int] = {}
    for name in PYTHON_SYMBOLS:
        address = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
        assert address is not None
        found[name] = address
    return found


def raise_stopped(status: int, fault: int) -> None:
    """The exception for a negative status: MemoryError, or what a signal handler raised."""
    if status == INTERRUPTED:
        held = ctypes.cast(fault, ctypes.py_object)
        error: BaseException = held.value
        ctypes.pythonapi.Py_DecRef(held)
        raise error
    raise MemoryError("no memory for what a loop keeps of every step")
