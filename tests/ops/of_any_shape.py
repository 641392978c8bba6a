"""One compiled function for all shapes: tests of many shapes compile it once."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import graphc as gc


@cache
def compiled(
    build: Callable[..., Any],
    options: tuple[tuple[str, Any], ...],
    types: tuple[tuple[int, Any], ...],
    backend: str,
) -> gc.Function:
    """build(*placeholders, **options); types: the number of axes and the dtype of each input."""
    inputs = [gc.placeholder(f"x{n}", (None,) * rank, kind) for n, (rank, kind) in enumerate(types)]
    return gc.function(inputs, build(*inputs, **dict(options)), backend=backend)


def run(build: Callable[..., Any], *arrays: Any, backend: str = "llvm", **options: Any) -> Any:
    """build(*arrays, **options), with symbolic sizes."""
    feeds = [np.asarray(array) for array in arrays]
    types = tuple((array.ndim, array.dtype) for array in feeds)
    return compiled(build, tuple(options.items()), types, backend)(*feeds)
