"""Functions whose calls go around Python."""

from typing import Any

import numpy as np

import graphc as gc
from graphc.direct import program_of

X = np.arange(8, dtype="float32")


def warm(f: gc.Function, *args: Any) -> gc.Function:
    """Call until calls of these shapes are direct; slow machines may need more than three."""
    for _ in range(200):
        f(*args)
        if type(f.__call__) is type(len):
            return f
    raise AssertionError("no call was short enough")


def is_direct(f: gc.Function, *args: Any, **kwargs: Any) -> bool:
    """Whether a call leaves the long way alone, which notes how long a call took."""
    runner = program_of(f._run)
    assert runner is not None
    runner.seconds = -1.0
    f(*args, **kwargs)
    return runner.seconds < 0
