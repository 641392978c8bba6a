"""How many threads a function runs on: `threads=`, then $GRAPHC_THREADS, $OMP_NUM_THREADS."""

import os
from typing import Any

from graphc.errors import FunctionError, GraphcError
from graphc.shapes import whole_number

MOST = 4096


def thread_count(threads: Any) -> int | None:
    """The number that the caller asks for, or that the environment does; None if neither does.

    Raises FunctionError (E205) for an argument that is no int from 1 on, GraphcError (E604) for
    such a variable of the environment.
    """
    if threads is not None:
        wanted = whole_number(threads)
        if wanted is None or not 1 <= wanted <= MOST:
            raise FunctionError(
                f"threads={threads!r} is no number of threads",
                code="E205",
                fix=f"threads is an int from 1 to {MOST}, or None for as many as there are cores",
            )
        return wanted
    for name in ("GRAPHC_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").strip()
        if text:
            # OMP_NUM_THREADS may be a list: one number for each level of nested regions.
            return _from_environment(name, text.partition(",")[0] if name[0] == "O" else text)
    return None


def _from_environment(name: str, text: str) -> int:
    wanted = text.strip()
    if not (wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted) <= MOST):
        raise GraphcError(
            f"the environment variable {name} is {text!r}, which is no number of threads",
            code="E604",
            fix=f"set {name} to a number from 1 to {MOST}, or unset it; threads= overrides it",
        )
    return int(wanted)


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
