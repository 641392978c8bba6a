"""Functions whose calls go around Python."""

from typing import Any

import numpy as np

import graphc as gc

X = np.arange(8, dtype="float32")


def warm(f: gc.Function, *args: Any) -> gc.Function:
    """Call until calls of these shapes are direct; slow machines may need more than three."""
    for _ in range(200):
        f(*args)
        if type(f.__call__) is type(len):
            return f
    raise AssertionError("no call was short enough")
