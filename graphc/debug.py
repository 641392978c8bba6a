"""Looking into a running program: `gc.debug.print` and `gc.debug.callback`."""

import string
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.errors import CustomOpError
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.callbacks import call_back

__all__ = ["callback", "print"]


def __dir__() -> list[str]:
    return __all__


_print = print


def callback(function: Callable[..., object], x: Any, *others: Any) -> Tensor:
    """x itself; whenever the program computes it, `function(x, *others)` is called.

    function gets read-only numpy arrays, copies that it may keep; what it returns is not used. It
    is called once for each time the value is computed: in a loop once a step, in a branch if that
    is taken, and not at all if no result needs the returned tensor. Calls are neither merged nor
    dropped, and are made in the order of the graph. A gradient through a loop does not call again.

    x, others: any shapes and dtypes. Gradients pass through to x. What the function raises ends
    the call with HostCallError E411; all variables have their old values.

    >>> seen = []
    >>> h = gc.debug.callback(seen.append, h)
    """
    return call_back("debug.callback", function, x, *others)


def print(format: str, x: Any, *others: Any) -> Tensor:
    """x itself; whenever the program computes it, the values are printed.

    format: as for str.format, with a place for each value: "{}", "{0}", "{:.3f}" for scalars. When
    and how often that happens is said at `callback`.

    >>> cost = gc.debug.print("cost {:.4f}", cost)
    """
    count = 1 + len(others)
    problem = _problem(format, count)
    if problem:
        raise CustomOpError(
            f"debug.print: the format {format!r} {problem}",
            fix="write one {} for each value, and braces in text twice: {{ }}",
            source=current_source(),
        )

    def show(*arrays: np.ndarray) -> None:
        _print(format.format(*(array[()] for array in arrays)), flush=True)

    return call_back("debug.print", show, x, *others)


def _problem(format: object, count: int) -> str:
    """What is wrong with a format for `count` values, or nothing."""
    if not isinstance(format, str):
        return "is no text"
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(format) if field is not None]
    except ValueError as error:
        return f"cannot be read: {error}"
    numbers = [field.partition(".")[0].partition("[")[0] for field in fields]
    if any(number and not number.isdecimal() for number in numbers):
        return "has a place with a name"
    highest = max((int(n) + 1 if n else numbers.count("") for n in numbers), default=0)
    return "" if highest <= count else f"has {highest} places for {count} values"
