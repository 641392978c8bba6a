"""A compiled program as a C function: plain pointers and sizes in, a status out.

    i64 call(input pointers..., sizes..., output pointers...)

It makes the table of pointers that the entry wants, takes memory for temporaries (from the stack if
it is little), and reads the variables under the interpreter's lock, which it holds at no other
time. So it may run in any thread, in several at once. 0 says that all went well; else a record of
the failure is written (`backends.c_failures`).

Where a program cannot be called without Python, `call` is somebody else's routine of the same kind.
The other shapes of C functions (`Form`) are a few instructions around `call`.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.backends.base import CForm, CRequest
from graphc.backends.c_failures import DISAGREES, NO_MEMORY, SIZES, STATUS, VALUE, WRONG_LENGTH
from graphc.backends.llvm.cache import cached_objects
from graphc.backends.llvm.jit import Library, Module, library_symbols
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import Val
from graphc.loops.ir import Program
from graphc.memory.lives import ALIGNMENT
from graphc.records import dataclass
from graphc.shapes import Size, dim_max

ON_STACK = 16 << 10  # bytes of temporaries
_NAN = "0x7FF8000000000000"
_PYTHON = ("PyGILState_Ensure", "PyGILState_Release", "Py_IncRef", "Py_DecRef")


def _tell(sizes: int) -> str:
    """`graphc_tell`: the record of a failure, unless another call is writing one."""
    words = [(STATUS, "%status"), (VALUE, "%value")]
    lines = []
    for number in range(sizes):
        lines.append(f"%from{number} = getelementptr i64, ptr %sizes, i64 {number}")
        lines.append(f"%size{number} = load i64, ptr %from{number}")
        words.append((SIZES + number, f"%size{number}"))
    for place, word in words:
        lines.append(f"%to{place} = getelementptr i64, ptr @record, i64 {place}")
        lines.append(f"store atomic i64 {word}, ptr %to{place} monotonic, align 8")
    body = "\n".join(f"  {line}" for line in lines)
    return f"""@record = external global i64
define internal void @graphc_tell(i64 %status, i64 %value, ptr %sizes) cold noinline {{
entry:
  %before = load atomic i64, ptr @record monotonic, align 8
  %odd = and i64 %before, 1
  %writing = icmp ne i64 %odd, 0
  br i1 %writing, label %done, label %free
free:
  %begun = add i64 %before, 1
  %old = cmpxchg ptr @record, i64 %before, i64 %begun seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %old, 1
  br i1 %mine, label %write, label %done
write:
  fence seq_cst
{body}
  %ended = add i64 %before, 2
  store atomic i64 %ended, ptr @record release, align 8
  br label %done
done:
  ret void
}}
"""


@dataclass(frozen=True, slots=True)
class CEntry:
    """A C function at an address that is valid as long as this lives."""

    address: int
    keep: tuple[Any, ...]


def wrapped(form: CForm, request: CRequest, target: Target, call: int, keep: Any) -> CEntry:
    """A C function of the given form around a routine `call` at an address."""
    parameters = ", ".join(["ptr"] * request.inputs + ["i64"] * len(request.sizes) + ["ptr"])
    text = f"declare i64 @call({parameters})\n{_form_text(form, request)}"
    found = cached_objects([Module(text)], target)
    imports = {"call": call, **({"record": request.record} if "@record" in text else {})}
    library = Library(found.objects, ["graphc_function"], imports)
    return CEntry(library.address("graphc_function"), (library, keep))


def native_call(
    request: CRequest,
    program: Program,
    areas: Sequence[Size],
    threads: int,
    target: Target,
    code: tuple[int, Any],
) -> CEntry:
    """`call` for a program that needs no Python, but for the values of variables.

    areas: scratch bytes of its steps, of all threads together. code: its entry, and the library.
    """
    entry, keep = code
    constants = [np.ascontiguousarray(program.constants[name]) for name in program.constants]
    words = [*(array.ctypes.data for array in constants), *request.variables]
    context = np.array([*words, 0], np.int64)
    text = CallText(request, program, areas, threads, target).text()
    imports = {"entry": entry, "context": context.ctypes.data, "record": request.record}
    needed = [name for name in ("malloc", "free") if f"@{name}(" in text]
    imports.update(library_symbols(tuple(needed)))
    if request.variables:
        imports.update(
            {n: ctypes.cast(ctypes.pythonapi[n], ctypes.c_void_p).value or 0 for n in _PYTHON}
        )
    library = Library(cached_objects([Module(text)], target).objects, ["call"], imports)
    return CEntry(library.address("call"), (library, context, constants, keep))


class CallText:
    """Writes `call`."""

    def __init__(
        self,
        request: CRequest,
        program: Program,
        areas: Sequence[Size],
        threads: int,
        target: Target,
    ) -> None:
        self.threads = threads
        self.request = request
        self.program = program
        self.areas = areas
        self.target = target
        self.code = Code(has_fma=target.has_fma)
        self.builder = self.code.builder
        self.sizes = Sizes(self.code)

    def text(self) -> str:
        request, builder = self.request, self.builder
        parameters = [f"ptr %input{k}" for k in range(request.inputs)]
        parameters += [f"i64 %size{k}" for k in range(len(request.sizes))]
        parameters += [f"ptr %output{k}" for k in range(len(request.outputs))]
        for number, name in enumerate(request.sizes):
            self.sizes.symbols[name] = Val(f"%size{number}", "i64")
        buffers = list(self.program.buffers.values())
        count = len(buffers) + 2
        builder.line(f"%table = alloca [{count} x i64], align 64")
        builder.line(f"%sizes = alloca [{max(1, len(request.sizes))} x i64], align 8")
        builder.line("%fault = alloca i64, align 8")
        for number in range(len(request.sizes)):
            at = builder.value(f"getelementptr i64, ptr %sizes, i64 {number}")
            builder.line(f"store i64 %size{number}, ptr {at}")
        self._check_sizes()
        base, from_heap = self._arena()
        self._fill_table(buffers, base)
        held = self._take_variables()
        status = builder.emit("call i64 @entry(ptr %table, ptr %sizes, ptr %fault)", "i64")
        self._drop_variables(held)
        if from_heap is not None:
            builder.line(f"call void @free(ptr {from_heap})")
        builder.branch_if(builder.icmp("eq", status, builder.const(0, status)), "fine", "failed")
        builder.block("failed")
        value = builder.value("load i64, ptr %fault")
        self._tell(status.text, value)
        builder.line(f"ret i64 {status.text}")
        builder.block("fine")
        builder.line("ret i64 0")
        declared = [
            _tell(len(request.sizes)),
            "@context = external global i8",
            "declare i64 @entry(ptr, ptr, ptr)",
            "declare ptr @malloc(i64)",
            "declare void @free(ptr)",
            "declare i32 @PyGILState_Ensure()",
            "declare void @PyGILState_Release(i32)",
            "declare void @Py_IncRef(ptr)",
            "declare void @Py_DecRef(ptr)",
        ]
        function = builder.function(f"define i64 @call({', '.join(parameters)})")
        helpers = [function.definitions[name] for name in sorted(function.definitions)]
        return "\n".join([*declared, *sorted(function.declarations), *helpers, function.text])

    def _check_sizes(self) -> None:
        """Sizes that are negative or contradict each other: no memory is touched."""
        builder = self.builder
        for number in range(len(self.request.sizes)):
            size = Val(f"%size{number}", "i64")
            self._leave_if(builder.icmp("slt", size, builder.const(0, size)), DISAGREES)
        for left, right in self.request.constraints:
            values = self.sizes.first(left), self.sizes.first(right)
            self._leave_if(builder.icmp("ne", *values), DISAGREES)

    def _tell(self, status: str, value: str) -> None:
        line = f"call void @graphc_tell(i64 {status}, i64 {value}, ptr %sizes)"
        self.builder.line(line)

    def _leave_if(self, condition: Val, status: int) -> None:
        builder = self.builder
        leave, stay = builder.fresh_label("leave"), builder.fresh_label("stay")
        builder.branch_if(condition, leave, stay)
        builder.block(leave)
        self._tell(str(status), "0")
        builder.line(f"ret i64 {status}")
        builder.block(stay)

    def _arena(self) -> tuple[str, str | None]:
        """The aligned start of the memory for temporaries and scratch, and what is to be freed."""
        builder = self.builder
        scratch: Size = 0
        for area in self.areas:
            scratch = dim_max(scratch, area)
        self.scratch = self.request.peak
        whole = self.request.peak + scratch + ALIGNMENT
        if isinstance(whole, int) and whole <= ON_STACK:
            builder.line(f"%arena = alloca [{whole} x i8], align 64")
            return "%arena", None
        bytes_ = self.sizes.first(whole)
        start = builder.emit(f"call ptr @malloc(i64 {bytes_.text})", "ptr")
        none = builder.emit(f"icmp eq ptr {start.text}, null", "i1")
        self._leave_if(none, NO_MEMORY)
        number = builder.value(f"ptrtoint ptr {start.text} to i64")
        above = builder.value(f"add i64 {number}, {ALIGNMENT - 1}")
        aligned = builder.value(f"and i64 {above}, {-ALIGNMENT}")
        return builder.value(f"inttoptr i64 {aligned} to ptr"), start.text

    def _fill_table(self, buffers: Sequence[Any], base: str) -> None:
        places: dict[str, int] = {}
        for position, buffer in enumerate(buffers):
            number = places.get(buffer.role, 0)
            places[buffer.role] = number + 1
            match buffer.role:
                case "input":
                    self._store(position, f"%input{number}")
                case "output":
                    self._store(position, f"%output{self.request.outputs.index(number)}")
                case "temporary":
                    self._store(position, self._at(base, self.request.offsets.get(buffer.name, 0)))
                case "constant":
                    self._store(position, self._context(self._constant(buffer.name)))
        self._store(len(buffers), self._at(base, self.scratch))
        at = self.builder.value(f"getelementptr i64, ptr %table, i64 {len(buffers) + 1}")
        self.builder.line(f"store i64 {self.threads}, ptr {at}")
        self.variables = [p for p, buffer in enumerate(buffers) if buffer.role == "variable"]

    def _constant(self, name: str) -> int:
        return list(self.program.constants).index(name)

    def _at(self, base: str, offset: Size) -> str:
        place = self.sizes.first(offset)
        return self.builder.value(f"getelementptr i8, ptr {base}, i64 {place.text}")

    def _context(self, number: int) -> str:
        at = self.builder.value(f"getelementptr ptr, ptr @context, i64 {number}")
        return self.builder.value(f"load ptr, ptr {at}")

    def _store(self, position: int, pointer: str) -> None:
        at = self.builder.value(f"getelementptr ptr, ptr %table, i64 {position}")
        self.builder.line(f"store ptr {pointer}, ptr {at}")

    def _take_variables(self) -> list[str]:
        """References to the arrays that are the values now: they stay while the call runs."""
        builder, first = self.builder, len(self.program.constants)
        if not self.variables:
            return []
        state = builder.value("call i32 @PyGILState_Ensure()")
        held = []
        for number, position in enumerate(self.variables):
            reference = self._context(first + number)
            array = builder.value(f"load ptr, ptr {reference}")
            builder.line(f"call void @Py_IncRef(ptr {array})")
            at = builder.value(f"getelementptr i8, ptr {array}, i64 {self.request.data_field}")
            self._store(position, builder.value(f"load ptr, ptr {at}"))
            held.append(array)
        builder.line(f"call void @PyGILState_Release(i32 {state})")
        return held

    def _drop_variables(self, held: Sequence[str]) -> None:
        if not held:
            return
        builder = self.builder
        state = builder.value("call i32 @PyGILState_Ensure()")
        for array in held:
            builder.line(f"call void @Py_DecRef(ptr {array})")
        builder.line(f"call void @PyGILState_Release(i32 {state})")


def _form_text(form: CForm, request: CRequest) -> str:
    """`graphc_function` of a form. A failed call answers with NaN, or with 0 for "filter"."""
    element = form.element
    lines: list[str] = []
    count = request.inputs
    user = ["ptr %user"] if form.has_user_data else []
    if form.kind == "values":
        parameters = [f"{element} %x{k}" for k in range(count)]
        for k in range(count):
            lines += [f"%p{k} = alloca {element}", f"store {element} %x{k}, ptr %p{k}"]
        passed = [f"ptr %p{k}" for k in range(count)]
    else:
        integer, first = ("i64", "%n") if form.kind == "filter" else ("i32", "%n.32")
        array = f"ptr %x, {integer} {first}"
        parameters = [f"{integer} {first}, ptr %x" if form.kind == "vector" else array]
        if integer == "i32":
            lines.append("%n = sext i32 %n.32 to i64")
        if form.length is not None:
            lines += [
                f"%right = icmp eq i64 %n, {form.length}",
                "br i1 %right, label %go, label %wrong",
                "wrong:",
                f"call void @graphc_tell(i64 {WRONG_LENGTH}, i64 %n, ptr null)",
                "br label %failed",
                "go:",
            ]
        if form.spread:
            for k in range(count):
                lines.append(f"%p{k} = getelementptr {element}, ptr %x, i64 {k}")
            passed = [f"ptr %p{k}" for k in range(count)]
        else:
            passed = ["ptr %x", *["i64 %n"] * len(request.sizes)]
    result = "%result"
    if form.kind == "filter":
        parameters.append("ptr %result")
    else:
        lines.insert(0, f"%result = alloca {element}")
    passed.append(f"ptr {result}")
    lines += [
        f"%status = call i64 @call({', '.join(passed)})",
        "%fine = icmp eq i64 %status, 0",
        "br i1 %fine, label %done, label %failed",
        "done:",
    ]
    if form.kind == "filter":
        lines += ["ret i32 1", "failed:", "ret i32 0"]
        returned = "i32"
    else:
        lines += [
            f"%value = load {element}, ptr %result",
            f"ret {element} %value",
            "failed:",
            f"ret {element} {_NAN}",
        ]
        returned = element
    body = "\n".join(f"  {line}" if not line.endswith(":") else line for line in lines)
    header = f"define {returned} @graphc_function({', '.join([*parameters, *user])})"
    told = _tell(0) if "@graphc_tell" in body else ""
    return f"{told}{header} {{\nentry:\n{body}\n}}\n"
