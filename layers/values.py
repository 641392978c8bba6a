"""Values of many variables, set at once or not at all."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.configured import written


def assign(owner: Any, targets: Sequence[tuple[str, gc.Variable]], values: Sequence[Any]) -> None:
    """The variables get the values. All are checked first: after an error none has changed.

    targets: names for errors, and variables. Raises ShapeError (E245) for another number of arrays
    or another shape, and DTypeError for what is no array of numbers.
    """
    kind = f"{type(owner).__name__} {owner.name!r}"
    if len(values) != len(targets):
        raise gc.ShapeError(
            f"{kind} has {len(targets)} weights, and was given {len(values)} arrays",
            code="E245",
            details=[f"{name}: {variable.type}" for name, variable in targets[:12]],
            source=written(),
            fix="give one array for each, in the order of .weights; a model must be built first",
        )
    arrays: list[np.ndarray] = []
    for (name, variable), value in zip(targets, values, strict=True):
        array = np.asarray(value)
        if array.shape != variable.shape:
            raise gc.ShapeError(
                f"{kind}: the weight {name!r} has another shape",
                code="E245",
                details=[
                    f"got     {array.dtype.name}{list(array.shape)}",
                    f"allowed {variable.type}",
                ],
                source=written(),
                fix="load weights of a model with the same layers and sizes",
            )
        if array.dtype.kind not in "biufcV" or array.dtype.hasobject:
            raise gc.DTypeError(
                f"{kind}: the weight {name!r} was given {array.dtype.name}",
                code="E245",
                details=[f"allowed {variable.type}"],
                source=written(),
            )
        arrays.append(array.astype(variable.dtype))
    for (_, variable), array in zip(targets, arrays, strict=True):
        variable.value = array
