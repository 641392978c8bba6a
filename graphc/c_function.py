"""Compiled functions as C functions, for callers that know addresses: numba, scipy, samplers.

    f.address                               an integer
    f.ctypes                                a ctypes function, with its argument types
    f.c_function("double (double)")         the same for another C signature

The general signature has a pointer for every input, then the sizes (`f.c_function().sizes`) as
int64_t, then a pointer for every output, and returns an int64_t: 0, or not 0 if the call failed;
`f.c_function().error` then says how.
Arrays are dense (C order), aligned, as large as the declared shapes say, and results overlap
nothing; who calls sees to it. Complex numbers are pairs of floats.
"""

import ctypes
import math
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.backends.base import CAddress, CForm, CRequest, ForeignCallable, FormingBackend
from graphc.backends.c_failures import DISAGREES, NO_MEMORY, WRONG_LENGTH, Failure, FailureRecord
from graphc.backends.registry import DEFAULT, get_backend
from graphc.dtypes import DType, bool_, float32, float64, is_complex, is_half, real_dtype
from graphc.errors import FunctionError, GraphcError
from graphc.ir.storage import references
from graphc.ir.tensor import Tensor
from graphc.late_imports import late_module
from graphc.loops.ir import Fault
from graphc.shapes import evaluate
from graphc.surface import surface

if TYPE_CHECKING:
    from graphc.function import Function

_FLOATS: dict[DType, tuple[str, Any]] = {
    float64: ("double", ctypes.c_double),
    float32: ("float", ctypes.c_float),
}


class CFunction:
    """A C function at an address, which is valid as long as this or `ctypes` lives.

    signature: in C, without names. sizes: the names of the sizes that the general signature takes.
    needs_python: whether a call takes the interpreter's lock for its whole time, as is so for
    functions with updates, host calls, while loops, and factorisations of LAPACK.
    """

    def __init__(
        self,
        signature: str,
        prototype: Any,
        address: int,
        sizes: Sequence[str],
        keep: Any,
        failures: "_Failures",
        needs_python: bool,
    ) -> None:
        self.signature = signature
        self.address = address
        self.sizes = tuple(sizes)
        self.needs_python = needs_python
        self._failures = failures
        self.ctypes = prototype(address)
        self.ctypes.keep = (keep, failures.record)  # it may be all that is left of this

    @property
    def error(self) -> BaseException | None:
        """The error of the last failed call, as a call of the function would raise it.

        None before the first failure. Of calls that fail in several threads at the same moment, it
        is that of one.
        """
        return self._failures.last()

    def __repr__(self) -> str:
        return f"<graphc C function {self.signature} at {self.address:#x}>"


class CCallable:
    """The methods of `Function` for callers in C."""

    _c_functions: dict[str | None, CFunction]

    @property
    def address(self) -> int:
        """The address of the C function of the general signature, valid as long as f lives."""
        return self.c_function().address

    @property
    def ctypes(self) -> Any:
        """The C function of the general signature for ctypes; it keeps alive what it needs."""
        return self.c_function().ctypes

    @surface
    def export(
        self: Any, path: str | os.PathLike[str], *, name: str | None = None
    ) -> tuple[Path, Path]:
        """Write the function as an object file and a header beside it, for programs in C, C++ and
        whatever links objects: (path of the object, path of the header).

        path: ends in ".o". name: of the C function, by default that of the function. It has the
        general signature of `c_function`, needs neither graphc nor Python, and runs on one thread.
        Variables are constants in it, with the values that they have now. It is for processors that
        have what this one has. Raises FunctionError (E205) for functions with updates, with calls
        of Python or LAPACK, with loops that count their steps, and of other backends than LLVM;
        ArgumentError for what is no path, OSError as open() does.
        """
        export = late_module("graphc.exporting").export_function
        written: tuple[Path, Path] = export(self, path, name)
        return written

    def c_function(self: Any, signature: str | None = None) -> CFunction:
        """The function as a C function. Made at the first request.

        signature: None for the general one (see `graphc.c_function`); where all inputs are scalars
        of one floating type, or one is a vector, and the only output is a scalar of that type, also
        "double (double, ...)", "double (int, double *)", both with a "void *" at the end that is
        ignored, and "int (double *, intptr_t, double *, void *)". Those answer with NaN, the last
        one with 0, where a call fails. Raises FunctionError (E205) for any other.
        """
        if not isinstance(signature, str | None):
            raise FunctionError(
                f"{self.name}: {signature!r} is no signature of a C function",
                code="E205",
                fix='pass text such as "double (double)", or nothing for the general one',
            )
        key = None if signature is None else _normal(signature)
        made = self._c_functions.get(key)
        if made is None:
            made = self._c_functions[key] = _make(self, key)
        result: CFunction = made
        return result


def _normal(signature: str) -> str:
    """One spelling: `double (double, void *)`."""
    words = re.findall(r"\w+|\S", signature)
    text = " ".join(words).replace("( ", "(").replace(" )", ")").replace(" ,", ",")
    return text.replace("(void)", "()") if text.endswith("(void)") else text


def _make(function: "Function", signature: str | None) -> CFunction:
    sizes = function.stages.size_names
    prototype, text = _general(function)
    forms = _forms(function)
    signature = None if signature == _normal(text) else signature
    if signature is not None and signature not in forms:
        raise FunctionError(
            f"{function.name} is no C function {signature!r}",
            code="E205",
            details=[f"it can be: {', '.join((text, *forms))}"],
            fix="leave the signature away for the general one, or compile with inputs and outputs "
            'that fit: dtype "float64" is double',
        )
    executable = function.stages.executable
    failures = _Failures(function)
    request = _request(function, failures.record)
    entry: CAddress | None = None
    pure = function._border is not None and not function._updated
    if pure and isinstance(executable, ForeignCallable):
        entry = executable.c_call(request)
    python = _PythonCall(function, prototype, failures) if entry is None else None
    call = entry or python
    assert call is not None
    held = (call, python, function._variables)
    if signature is None:
        return CFunction(text, prototype, call.address, sizes, held, failures, python is not None)
    form, prototype = forms[signature]
    backend = get_backend(DEFAULT)
    assert isinstance(backend, FormingBackend)
    wrapper = backend.c_form(form, request, call.address, held)
    needs_python = python is not None
    return CFunction(signature, prototype, wrapper.address, (), wrapper, failures, needs_python)


def _request(function: "Function", record: FailureRecord) -> CRequest:
    if function._border is None:
        return general_request(function, record.address)
    for storage in function._variables:  # the code reads them without a lock
        storage.pin()
    return replace(
        general_request(function, record.address),
        variables=tuple(references(storage)[0] for storage in function._variables),
        data_field=object.__basicsize__,
    )


def general_request(function: "Function", record: int) -> CRequest:
    """What the general signature says of a function, but for its variables."""
    sizes = function.stages.size_names
    graph, border = function.stages.user_graph, function._border
    if border is None:
        order = tuple(range(len(graph.outputs)))
        return CRequest(len(graph.inputs), sizes, order, record)
    runner = border.runner
    return CRequest(
        len(graph.inputs),
        sizes,
        tuple(runner.output_order),
        record,
        tuple((one.left, one.right) for one in function._binder.constraints),
        runner.plan.peak,
        runner.plan.offsets,
    )


def _c_type(dtype: DType) -> tuple[str, Any]:
    """The name in C and the class in ctypes of an element."""
    if is_complex(dtype):
        dtype = real_dtype(dtype)
    if is_half(dtype):
        return "uint16_t", ctypes.c_uint16
    if dtype == bool_:
        return "bool", ctypes.c_bool
    if dtype in _FLOATS:
        return _FLOATS[dtype]
    return f"{dtype.name}_t", getattr(ctypes, f"c_{dtype.name}")


def general_words(tensors: Sequence[Tensor]) -> list[str]:
    """The names in C of the elements of tensors."""
    return [_c_type(tensor.dtype)[0] for tensor in tensors]


def _general(function: "Function") -> tuple[Any, str]:
    """The prototype and the text of the general signature."""
    graph = function.stages.user_graph
    inputs = [_c_type(tensor.dtype) for tensor in graph.inputs]
    outputs = [_c_type(tensor.dtype) for tensor in graph.outputs]
    sizes = function.stages.size_names
    arguments = [ctypes.POINTER(kind) for _, kind in inputs]
    arguments += [ctypes.c_int64] * len(sizes)
    arguments += [ctypes.POINTER(kind) for _, kind in outputs]
    words = [f"const {name} *" for name, _ in inputs]
    words += ["int64_t"] * len(sizes)
    words += [f"{name} *" for name, _ in outputs]
    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, *arguments)
    return prototype, f"int64_t ({', '.join(words)})"


def _forms(function: "Function") -> dict[str, tuple[CForm, Any]]:
    """The other signatures that fit, with their prototypes."""
    graph = function.stages.user_graph
    if len(graph.outputs) != 1 or graph.outputs[0].shape != ():
        return {}
    dtype = graph.outputs[0].dtype
    if dtype not in _FLOATS or any(tensor.dtype != dtype for tensor in graph.inputs):
        return {}
    name, kind = _FLOATS[dtype]
    count, pointer = len(graph.inputs), ctypes.POINTER(kind)
    found: dict[str, tuple[CForm, Any]] = {}

    def add(form: CForm, returned: str, result: Any, words: list[str], types: list[Any]) -> None:
        text = f"{returned} ({', '.join(words)})"
        found[_normal(text)] = form, ctypes.CFUNCTYPE(result, *types)

    scalars = all(tensor.shape == () for tensor in graph.inputs)
    vector = count == 1 and len(graph.inputs[0].shape) == 1
    if scalars:
        words, types = [name] * count, [kind] * count
        add(CForm("values", name), name, kind, words, types)
        user = CForm("values", name, has_user_data=True)
        add(user, name, kind, [*words, "void *"], [*types, ctypes.c_void_p])
    if (scalars and count) or vector:
        size = count if scalars else graph.inputs[0].shape[0]
        if not isinstance(size, int) and str(size) not in size.symbols():
            return found
        length = size if isinstance(size, int) else None
        for has_user in (False, True):
            form = CForm("vector", name, scalars, length, has_user)
            words = ["int", f"{name} *", *["void *"] * has_user]
            types = [ctypes.c_int, pointer, *[ctypes.c_void_p] * has_user]
            add(form, name, kind, words, types)
        add(
            CForm("filter", name, scalars, length, True),
            "int",
            ctypes.c_int,
            [f"{name} *", "intptr_t", f"{name} *", "void *"],
            [pointer, ctypes.c_ssize_t, pointer, ctypes.c_void_p],
        )
    return found


class _Failures:
    """The last failed call of a C function, and its error."""

    def __init__(self, function: "Function") -> None:
        self.record = FailureRecord(len(function.stages.size_names))
        self._name = function.name
        self._binder = function._binder
        self._runner = None if function._border is None else function._border.runner
        self._error: BaseException | None = None
        self._number = 0  # of the record, when the error was made

    def raised(self, error: BaseException) -> None:
        """Python's calls say it themselves."""
        self._error, self._number = error, self.record.number

    def last(self) -> BaseException | None:
        told = self.record.last()
        if told is not None and told.number > self._number:
            self._error, self._number = self._explain(told), told.number
        return self._error

    def check(self, sizes: tuple[int, ...]) -> None:
        """Whether they are sizes, and agree with each other."""
        if any(size < 0 for size in sizes):
            bindings = dict(zip(self._binder.size_names, sizes, strict=True))
            raise FunctionError(
                f"{self._name}: sizes are {bindings}", code="E205", fix="sizes are >= 0"
            )
        self._binder.check_constraints(sizes)

    def _explain(self, told: Failure) -> BaseException:
        if told.status == WRONG_LENGTH:
            (first, *more), count = self._binder.inputs, len(self._binder.inputs)
            length = count if more or not first.shape else first.shape[0]
            return FunctionError(
                f"{self._name}: the vector has {told.value} elements, allowed is {length}",
                code="E205",
                fix=f"call it with {length} elements",
            )
        try:
            self.check(told.sizes)
        except GraphcError as error:
            return error
        runner = self._runner
        assert runner is not None and told.status != DISAGREES  # the same sizes were checked
        if told.status == NO_MEMORY:
            return runner.shortage(told.sizes, MemoryError("no memory for temporaries"))
        return runner.error_of(Fault(told.status - 1, told.value), told.sizes)


class _PythonCall:
    """A C function that calls back into Python, for what native code alone cannot do."""

    def __init__(self, function: "Function", prototype: Any, failures: _Failures) -> None:
        self.function = function
        self.failures = failures
        self.callback = prototype(self.run)
        address = ctypes.cast(self.callback, ctypes.c_void_p).value
        assert address is not None
        self.address = address

    def run(self, *arguments: Any) -> int:
        """0, or 1 if it failed."""
        function = self.function
        graph, names = function.stages.user_graph, function.stages.size_names
        inputs, middle = len(graph.inputs), len(graph.inputs) + len(names)
        sizes = tuple(int(size) for size in arguments[inputs:middle])
        try:
            self.failures.check(sizes)
            bindings = dict(zip(names, sizes, strict=True))
            tensors = (*graph.inputs, *graph.outputs)
            pointers = (*arguments[:inputs], *arguments[middle:])
            arrays = [
                _array(pointer, tuple(evaluate(n, bindings) for n in tensor.shape), tensor.dtype)
                for pointer, tensor in zip(pointers, tensors, strict=True)
            ]
            function._run_once(sizes, arrays[:inputs], arrays[inputs:])
        except Exception as error:
            self.failures.raised(error)
            return 1
        return 0


def _array(pointer: Any, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    """The array at an address."""
    count = math.prod(shape) * dtype.itemsize
    if count == 0:
        return np.empty(shape, dtype)
    address = ctypes.cast(pointer, ctypes.c_void_p).value or 0
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(address))
    return memory.view(dtype).reshape(shape)
