"""Calls without Python: one native routine that checks arguments, runs a program and answers.

It serves all functions. It gets a record (an int64 array, see `direct_layout`) and the arguments of
the call. Arguments that are dense arrays of the expected dtypes and of shapes that have a frame are
taken as they are. Everything else, and every failed check, goes to the callable `slow`, which
knows all cases and words all errors.

With `out=` results go into the arrays given there, which must be as dense as arguments, may be
written, and overlap neither an argument nor each other; else `slow` has the word.

A short call holds the interpreter's lock: nothing else runs meanwhile, so that reading the
variables, running, and putting the updated arrays in place are one step. `busy` counts the calls
elsewhere that are about to replace variables; those that write over their values count for more,
and reading waits for them as well. A long call gives the lock back while it runs. It updates
nothing, holds the arrays of the variables that it reads, and has the frames for itself: calls that
come meanwhile go to `slow`.
"""

import ctypes
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from graphc.backends.base import CallLayout, Place
from graphc.backends.llvm.cache import cached_objects
from graphc.backends.llvm.direct_layout import (
    ARRAY,
    ARRAY_TYPE,
    DATA,
    DENSE,
    DESCRIPTOR,
    DESCRIPTOR_NUMBER,
    DESCRIPTOR_TYPE,
    FLAGS,
    HEADER,
    ITEMS,
    LIST,
    NAMED,
    NEW_FROM_DESCR,
    NEXT,
    NOT_SO,
    RANK,
    READY,
    SEQUENCE,
    SET_BASE_OBJECT,
    SHAPE,
    SIZE,
    TAKEN,
    VALUE,
)
from graphc.backends.llvm.direct_text import TEXT
from graphc.backends.llvm.host import HostCalls
from graphc.backends.llvm.jit import Library, Module, once
from graphc.backends.llvm.target import host

FRAMES = 4  # shapes that calls may have, for each function
_METH_FASTCALL_KEYWORDS = 0x80 | 0x02


OUT = sys.intern("out")  # names of arguments are interned: equal ones are the same object


class Record(np.ndarray):
    """The words of a record, and all that they point to."""

    keep: tuple[Any, ...]


class DirectCall:
    """See the protocol in `backends.base`."""

    __slots__ = ("_frames", "_host_calls", "_kept", "_layout", "_record", "call")

    def __init__(
        self, library: Library, layout: CallLayout, host_calls: HostCalls | None = None
    ) -> None:
        self._host_calls = host_calls
        if host_calls is not None:
            layout = replace(layout, slow=host_calls.after_direct(layout.slow))
        parts = (layout.inputs, layout.variables, layout.updates, layout.outputs)
        answer = LIST if layout.as_list else ARRAY if layout.outputs else READY
        pack = 0 if layout.pack is None else id(layout.pack)
        style = id(layout.keys) if layout.keys else SEQUENCE if layout.is_flat else NOT_SO
        words = [0, library.address("entry"), layout.replacing, *map(len, parts), answer]
        words += [id(layout.slow), pack, id(layout.ready), id(OUT) if layout.takes_out else 0]
        known = _known(layout)
        words += [style, 0, id(known) if known else 0]
        assert len(words) == HEADER
        for row in (row for part in parts for row in part):
            words += (id(row.dtype), row.rank, row.position) if isinstance(row, Place) else row
        for kept, place in layout.memory:
            words += (id(kept), place)
        self._layout = layout
        self._record = np.array(words, np.int64).view(Record)
        address = _routine().address("direct_call")
        definition = _MethodDefinition(b"call", address, _METH_FASTCALL_KEYWORDS, None)
        make = ctypes.pythonapi["PyCFunction_NewEx"]
        make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, *[ctypes.py_object] * 2]
        self.call: Callable[..., Any] = make(ctypes.addressof(definition), self._record, "graphc")
        self._frames: list[tuple[np.ndarray, Any, Any]] = []  # the newest last
        self._kept = (library, layout, _routine(), definition, known)
        self._record.keep = self._kept

    def install(
        self,
        run: Any,
        shapes: Sequence[Sequence[int]],
        keep: Any,
        fixed: Sequence[np.ndarray] = (),
        *,
        is_long: bool = False,
        alone: bool = False,
    ) -> bool:
        """One store makes the frame valid: no call sees half of it."""
        is_long = is_long or self._host_calls is not None  # they let other threads of Python run
        if not run.is_direct or (is_long and self._layout.updates):
            return False
        if self._host_calls is not None:
            self._host_calls.go_direct(run.arguments[0])
        if fixed:
            run.point(fixed)
        places = (*self._layout.inputs, *self._layout.outputs)
        counts = [
            math.prod(shape) * place.dtype.itemsize
            for shape, place in zip(shapes, places, strict=True)
        ]
        room = [0] * (len(self._layout.variables) + len(self._layout.inputs))
        words = [*run.arguments, self._record[0], is_long, *room, *counts]
        frame = np.array([*words, *(n for s in shapes for n in s)], np.int64)
        before = self._record.keep, self._frames
        self._record[0] = frame.ctypes.data
        kept = [] if alone else self._frames[1 - FRAMES :]
        if self._record[TAKEN]:  # by a call that may be in any of them
            kept = self._frames
        self._frames = [*kept, (frame, run, keep)]
        self._frames[0][0][NEXT] = 0
        self._record.keep = (*self._kept, self._frames)
        del before  # not earlier: a call may not find its frame gone
        return True


def _known(layout: CallLayout) -> tuple[Any, ...]:
    """The names and the defaults of the inputs, if there are few; callers' names are interned."""
    if len(layout.inputs) > NAMED:
        return ()
    return (*map(sys.intern, layout.names), *layout.defaults)


class _MethodDefinition(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("method", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    )


@once
def _routine() -> Library:
    """The routine in machine code, one for the process."""
    functions = (
        "Py_IncRef",
        "Py_DecRef",
        "PyList_New",
        "PyList_SetItem",
        "PyList_GetItem",
        "PyTuple_GetItem",
        "PyDict_Size",
        "PyDict_GetItem",
        "PyLong_AsLongLongAndOverflow",
        "PyObject_CallOneArg",
        "PyObject_Vectorcall",
        "PyEval_SaveThread",
        "PyEval_RestoreThread",
    )
    imports = {name: _address(name) for name in functions} | {"_Py_NoneStruct": id(None)}
    imports["true"] = id(True)
    table = _numpy_functions()
    imports |= {f"{kind.__name__}_type": id(kind) for kind in (list, tuple, dict, float, int, bool)}
    imports |= {"array_type": table[ARRAY_TYPE], "new_from_descr": table[NEW_FROM_DESCR]}
    imports["set_base_object"] = table[SET_BASE_OBJECT]
    return Library(cached_objects([Module(TEXT)], host()).objects, ["direct_call"], imports)


def _address(name: str) -> int:
    address = ctypes.cast(ctypes.pythonapi[name], ctypes.c_void_p).value
    assert address is not None
    return address


def numpy_type() -> int:
    """The address of the type of arrays."""
    return _numpy_functions()[ARRAY_TYPE]


def _numpy_functions() -> Sequence[int]:
    """numpy's table of C functions, as compiled extensions get it."""
    capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    pointer = ctypes.pythonapi["PyCapsule_GetPointer"]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return list((ctypes.c_int64 * (SET_BASE_OBJECT + 1)).from_address(pointer(capsule, None)))


@cache
def is_possible() -> bool:
    """Whether objects lie in memory as the routine expects: probed, not assumed."""
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    if sys.implementation.name != "cpython" or not locked or np.intp().itemsize != 8:
        return False
    probes = [np.empty(shape, dtype) for shape, dtype in (((3,), np.int8), ((2, 5), np.float64))]
    if not _tuple_lies_as_expected((OUT,)) or not _list_lies_as_expected([OUT, probes[0]]):
        return False
    if not all(map(_number_lies_as_expected, [*_NUMBERS, 1.5])):
        return False
    return all(map(_lies_as_expected, probes)) and _numpy_functions()[ARRAY_TYPE] == id(np.ndarray)


def _lies_as_expected(array: np.ndarray) -> bool:
    if np.ndarray.__basicsize__ < FLAGS + 4:
        return False
    words = (ctypes.c_int64 * (FLAGS // 8 + 1)).from_address(id(array))
    shape = (ctypes.c_int64 * array.ndim).from_address(words[SHAPE // 8])
    return (
        words[1] == id(np.ndarray)
        and words[DATA // 8] == array.ctypes.data
        and words[RANK // 8] & 0xFFFFFFFF == array.ndim
        and words[DESCRIPTOR // 8] == id(array.dtype)
        and words[FLAGS // 8] & DENSE == DENSE
        and tuple(shape) == array.shape
    )


# One number of each of numpy's dtypes that placeholders have.
_NUMBERS = [np.dtype(kind).type(3) for kind in "?bBhHiIlLqQefdFD"]


def _number_lies_as_expected(number: Any) -> bool:
    array = np.asarray(number)
    value = (ctypes.c_char * array.nbytes).from_address(id(number) + VALUE).raw
    own = ctypes.c_int64.from_address(id(array.dtype) + DESCRIPTOR_TYPE).value
    kind = ctypes.c_int32.from_address(id(array.dtype) + DESCRIPTOR_NUMBER).value
    return value == array.tobytes() and own == id(array.dtype.type) and kind == array.dtype.num


def _tuple_lies_as_expected(names: tuple[str, ...]) -> bool:
    words = (ctypes.c_int64 * (tuple.__basicsize__ // 8 + len(names))).from_address(id(names))
    return words[SIZE // 8] == len(names) and words[ITEMS // 8] == id(names[0])


def _list_lies_as_expected(items: list[Any]) -> bool:
    words = (ctypes.c_int64 * (ITEMS // 8 + 1)).from_address(id(items))
    first = (ctypes.c_int64 * len(items)).from_address(words[ITEMS // 8])
    return words[SIZE // 8] == len(items) and list(first) == [id(item) for item in items]
