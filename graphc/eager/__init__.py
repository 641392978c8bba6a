"""The Array API on values: each call builds a graph, compiles it and runs it.

    from graphc import eager as xp

    x = xp.asarray([1.0, 2.0, 3.0])
    y = xp.sum(x * 2)

A compiled function is kept for all calls of the same dtypes and ranks, so that other sizes do not
compile anew. For code that is written to the standard, and for trying out.
"""

from typing import Any

import graphc as gc
from graphc.eager import functions
from graphc.eager.array import Array as Array
from graphc.eager.calls import set_backend as set_backend

__array_api_version__ = gc.__array_api_version__
__version__ = gc.__version__

globals().update(functions.FUNCTIONS, **functions.WRITTEN)
globals().update({name: getattr(gc, name) for name in ("e", "inf", "nan", "newaxis", "pi")})
globals()["isdtype"] = gc.isdtype
globals().update({name: functions.extension(name) for name in ("linalg", "fft")})
globals().update(gc.__array_namespace_info__().dtypes())


def __getattr__(name: str) -> Any:
    raise AttributeError(f"graphc.eager has no {name!r}; it has the names of the Array API")
