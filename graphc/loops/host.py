"""Host calls: Python functions on whole arrays, in the middle of a program.

Every backend runs them through `BoundHostCall`, and the graph interpreter through `host_results`,
so that arguments, checks and errors are the same everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import DType, kind_of
from graphc.errors import GraphcError, HostCallError
from graphc.ir.node import Attributes, substitute_dims
from graphc.ir.source import Sources
from graphc.loops.ir import HostCall
from graphc.shapes import Shape, evaluate

Expected = Sequence[tuple[DType, tuple[int, ...]]]


class BoundHostCall:
    """A host call for fixed sizes; many calls share one."""

    __slots__ = ("attrs", "expected", "shapes", "step")

    def __init__(self, step: HostCall, sizes: Mapping[str, int], dtypes: Sequence[DType]) -> None:
        """dtypes: of the outputs."""
        self.step = step
        self.attrs = {name: substitute_dims(value, sizes) for name, value in step.attrs.items()}
        self.shapes = [_bound(shape, sizes) for _, shape in step.inputs]
        shapes = [_bound(shape, sizes) for _, shape in step.outputs]
        self.expected: Expected = list(zip(dtypes, shapes, strict=True))

    def run(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Call the function and store what it returns.

        Arrays have the shapes that the function sees. Raises HostCallError for errors of a user's
        function, and what graphc's own functions raise.
        """
        step = self.step
        results = host_results(
            step.function, step.op, self.attrs, inputs, self.expected, step.owned, step.sources
        )
        for array, result in zip(outputs, results, strict=True):
            array[...] = result

    def run_flat(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """The same with dense arrays of any shapes with as many elements."""
        self.run(
            [a.reshape(shape, copy=False) for a, shape in zip(inputs, self.shapes, strict=True)],
            [
                array.reshape(shape, copy=False)
                for array, (_, shape) in zip(outputs, self.expected, strict=True)
            ],
        )


def _bound(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(evaluate(size, sizes) for size in shape)


def host_results(
    function: Callable[..., Any],
    op: str,
    attrs: Attributes,
    inputs: Sequence[np.ndarray],
    expected: Expected,
    owned: bool,
    sources: Sources,
) -> tuple[np.ndarray, ...]:
    """What the function returns, as arrays of the expected dtypes and shapes."""
    arguments = [_argument(array, owned) for array in inputs]
    source = sources[0] if sources else None
    try:
        with np.errstate(all="ignore"):
            result = function(attrs, *arguments)
    except GraphcError as error:
        if not owned:
            if error.source is None:
                error.source = source
            raise
        raise _raised(op, error, sources) from error
    except Exception as error:
        raise _raised(op, error, sources) from error
    results = result if isinstance(result, tuple) else (result,)
    if len(results) != len(expected):
        raise HostCallError(
            f"{op}: the function returned {_count(len(results))}, {len(expected)} were declared",
            code="E412",
            source=source,
            fix="return a tuple with one array per output",
        )
    return tuple(
        _checked(op, number, value, dtype, shape, sources)
        for number, (value, (dtype, shape)) in enumerate(zip(results, expected, strict=True))
    )


def _argument(array: np.ndarray, owned: bool) -> np.ndarray:
    """Read-only, so that nothing is changed behind the back of the program."""
    argument = np.array(array) if owned else np.asarray(array).view()
    argument.flags.writeable = False
    return argument


def _raised(op: str, error: Exception, sources: Sources) -> HostCallError:
    first, *_ = str(error).splitlines() or [""]
    fix = "see the exception above: its traceback ends in your function"
    if isinstance(error, ValueError) and "read-only" in first:
        fix = "inputs are read-only: write into a copy, x = x.copy()"
    return HostCallError(
        f"{op}: the function raised {type(error).__name__}{f': {first}' if first else ''}",
        code="E411",
        source=sources[0] if sources else None,
        fix=fix,
    )


def _checked(
    op: str, number: int, value: Any, dtype: DType, shape: tuple[int, ...], sources: Sources
) -> np.ndarray:
    if shape == () and kind_of(dtype) in _WEAK.get(type(value), ""):
        value = np.asarray(value).astype(dtype)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.asarray(value, object)
    if array.dtype == dtype and array.shape == shape:
        return array
    got = type(value).__name__
    if isinstance(value, np.ndarray | np.generic):
        got = f"{array.dtype}{list(array.shape)}"
    other_dtype = array.shape == shape
    raise HostCallError(
        f"{op}: the function returned another {'dtype' if other_dtype else 'shape'} than declared",
        code="E412",
        details=[f"output {number}: got {got}, allowed {dtype}{list(shape)}"],
        source=sources[0] if sources else None,
        fix=f'return y.astype("{dtype}")' if other_dtype else "declare what the function returns",
    )


# Kinds of dtypes that a Python number takes on, as everywhere.
_WEAK: dict[type, str] = {bool: "b", int: "iufc", float: "fc", complex: "c"}


def _count(number: int) -> str:
    return f"{number} value{'s' * (number != 1)}"
