"""Host calls without Python: functions on whole arrays that the user had Numba compile.

    i64 @graphc_jitted_<step>(ptr table, ptr sizes)

It finds the arrays through the table, as a host call does, calls the function and copies what it
returns. 0 says that all went well; anything else (another shape, an exception) has the call made
again in Python, which words the error.
"""

import inspect
from collections.abc import Sequence
from typing import Any

from graphc.dtypes import DType, is_complex, is_half
from graphc.late_imports import late_module
from graphc.loops.ir import HostCall, Program
from graphc.scalar.printer import Dialect
from graphc.shapes import Shape

SYMBOL = "graphc_jitted_"


class Jitted:
    """A compiled step: its symbol and its address, valid as long as this lives."""

    def __init__(self, number: int, routine: Any) -> None:
        self.symbol = f"{SYMBOL}{number}"
        self._routine = routine

    @property
    def address(self) -> int:
        address: int = self._routine.address
        return address


def jitted_steps(program: Program) -> dict[int, Jitted]:
    """The host calls that need no Python, by the number of the step."""
    found: dict[int, Jitted] = {}
    for number, step in enumerate(program.all_steps):
        if isinstance(step, HostCall) and step.jitted is not None:
            routine = _routine(program, step)
            if routine is not None:
                found[number] = Jitted(number, routine)
    return found


def _routine(program: Program, step: HostCall) -> Any:
    """The C function of a step; None where the function needs Python's arrays or errors."""
    numba = late_module("numba")
    reads = [(program.buffers[name].dtype, shape) for name, shape in step.inputs]
    writes = [(program.buffers[name].dtype, shape) for name, shape in step.outputs]
    unfit = any(is_half(dtype) or is_complex(dtype) for dtype, _ in (*reads, *writes))
    attributes = _attributes(step)
    if unfit or attributes is None or any(not shape for _, shape in reads):
        return None
    arrays = [
        numba.types.Array(numba.from_dtype(dtype), len(shape), "C", readonly=True)
        for dtype, shape in reads
    ]
    signature = (*arrays, *(numba.typeof(value) for value in attributes))
    try:
        function = numba.njit([signature])(step.jitted.py_func)
        (overload,) = function.overloads.values()
        if not _returns(numba, overload.signature.return_type, writes):
            return None
        namespace = {"function": function, "carray": numba.carray}
        namespace |= {f"d{n}": dtype for n, (dtype, _) in enumerate((*reads, *writes))}
        exec(_source(program, step, attributes), namespace)
        pointers = numba.types.CPointer(numba.types.voidptr)
        integers = numba.types.CPointer(numba.types.int64)
        return numba.cfunc(numba.types.int64(pointers, integers))(namespace["run"])
    except numba.core.errors.NumbaError:
        return None


def _attributes(step: HostCall) -> list[bool | int | float] | None:
    """The attributes in the order of the function's parameters; plain numbers alone."""
    names = list(inspect.signature(step.jitted.py_func).parameters)[len(step.inputs) :]
    if set(names) != set(step.attrs):
        return None
    values = [step.attrs[name] for name in names]
    return values if all(isinstance(v, bool | int | float) for v in values) else None


def _returns(numba: Any, answer: Any, writes: Sequence[tuple[DType, Shape]]) -> bool:
    """Whether the function returns what was declared: arrays, or numbers where there is no axis."""
    answers = answer.types if isinstance(answer, numba.types.BaseTuple) else (answer,)
    if len(answers) != len(writes):
        return False
    for one, (dtype, shape) in zip(answers, writes, strict=True):
        element = numba.from_dtype(dtype)
        if shape:
            fits = isinstance(one, numba.types.Array) and one.ndim == len(shape)
            if not fits or one.dtype != element:
                return False
        elif one != element:
            return False
    return True


def _source(program: Program, step: HostCall, attributes: Sequence[bool | int | float]) -> str:
    """The function run(table, sizes) in Python, for Numba."""
    dialect = Dialect()
    names = (*program.sizes, *program.counts)
    for number, name in enumerate(names):
        dialect.rename_symbol(name, f"s{number}")
    slots = {name: position for position, name in enumerate(program.buffers)}

    def shape_of(shape: Shape) -> str:
        return "".join(f"{dialect.size(size)[0]}, " for size in shape)

    rows = [f"s{number} = sizes[{number}]" for number in range(len(names))]
    for number, (name, shape) in enumerate((*step.inputs, *step.outputs)):
        rows.append(
            f"a{number} = carray(table[{slots[name]}], ({shape_of(shape) or '1,'}), d{number})"
        )
    count = len(step.inputs)
    given = [*(f"a{number}" for number in range(count)), *map(repr, attributes)]
    results = [f"r{number}" for number in range(len(step.outputs))]
    rows.append(f"{', '.join(results)} = function({', '.join(given)})")
    for number, (_, shape) in enumerate(step.outputs):
        if shape:
            rows.append(f"if r{number}.shape != ({shape_of(shape)}):")
            rows.append("    return 1")
        rows.append(f"a{count + number}[{'...' if shape else '0'}] = r{number}")
    body = "\n".join(f"        {row}" for row in rows)
    return (
        f"def run(table, sizes):\n    try:\n{body}\n"
        "    except Exception:\n        return 2\n    return 0\n"
    )
