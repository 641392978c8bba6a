"""gc.save and gc.load: the values of variables in a file, by name."""

import os
import re
from collections.abc import Mapping, Sequence

import numpy as np

from graphc.errors import FeedError, FileFormatError
from graphc.ir.leaf import Variable
from graphc.ir.source import current_source
from graphc.ir.storage import replace_arrays, share_lock, under_lock
from graphc.surface import surface
from graphc.tensor_files import read_tensors, write_tensors

__all__ = ["load", "save"]

_AUTOMATIC = re.compile("variable_[0-9]+")  # names that gc.variable makes
Variables = Mapping[str, Variable] | Sequence[Variable]


@surface
def save(path: str | os.PathLike[str], variables: Variables) -> None:
    """Write the values of variables to a safetensors file.

    variables: by name, or a sequence of variables that have different names of their own. All
    values are of one moment, also while calls in other threads update them. The file appears whole
    or not at all: a kill leaves the old one.

    >>> w = gc.variable(np.zeros(3, "float32"), "w")
    >>> gc.save("weights.safetensors", [w])

    Raises FeedError (E206): a variable without a name, or two with the same. MissingExtraError
    (E601): `pip install 'graphc[save]'`. OSError as open() does.
    """
    named = _named(variables)
    write_tensors(path, dict(zip(named, values_of(list(named.values())), strict=True)))


@surface
def load(path: str | os.PathLike[str], variables: Variables, *, strict: bool = True) -> list[str]:
    """Set variables to the values in a file that `save` wrote; the names that were found.

    variables: as in `save`. strict: the file must have the same names; False: names that only one
    of the two has are passed over. Dtypes and shapes must be equal. All variables are set or none.

    Raises FileFormatError: the file does not fit the variables (E603), is damaged (E602).
    """
    named = _named(variables)
    arrays, _ = read_tensors(path)
    problems = [
        f"{name}: the file has {_type(arrays[name])}, the variable is {variable.type}"
        for name, variable in named.items()
        if name in arrays
        and (arrays[name].dtype != variable.dtype or arrays[name].shape != variable.shape)
    ]
    if strict:
        problems += [f"{name}: not in the file" for name in named if name not in arrays]
        problems += [f"{name}: only in the file" for name in arrays if name not in named]
    if problems:
        raise FileFormatError(
            f"{os.fspath(path)} does not fit the variables",
            code="E603",
            details=problems,
            source=current_source(),
            fix="give each variable the name it was saved under; strict=False loads what both have",
        )
    found = [name for name in named if name in arrays]
    set_values([named[name] for name in found], [arrays[name] for name in found])
    return found


def values_of(variables: Sequence[Variable]) -> list[np.ndarray]:
    """Copies of the values, all of one moment."""
    storages = [variable.storage for variable in variables]
    if not storages:
        return []
    share_lock(storages)
    return under_lock(storages[0], lambda: [storage.array.copy() for storage in storages])


def set_values(variables: Sequence[Variable], arrays: Sequence[np.ndarray]) -> None:
    """Make copies of arrays of the right types the values, all at one moment."""
    storages = [variable.storage for variable in variables]
    if not storages:
        return
    copies = [np.array(array, order="C", copy=True) for array in arrays]
    share_lock(storages)
    under_lock(storages[0], lambda: replace_arrays(storages, copies))


def _type(array: np.ndarray) -> str:
    return f"{array.dtype.name}[{', '.join(map(str, array.shape))}]"


def _named(variables: Variables) -> dict[str, Variable]:
    if isinstance(variables, Mapping):
        pairs = list(variables.items())
    else:
        pairs = [(getattr(variable, "name", ""), variable) for variable in variables]
        for name, _ in pairs:
            if _AUTOMATIC.fullmatch(name):
                raise _unnamed(f"{name} has a name that changes from program to program")
    named: dict[str, Variable] = {}
    for name, variable in pairs:
        if not isinstance(name, str):
            raise _unnamed(f"{name!r:.60} is no name")
        if not isinstance(variable, Variable):
            raise _unnamed(f"{name or 'an entry'} is no variable but {type(variable).__name__}")
        if named.setdefault(name, variable) is not variable:
            raise _unnamed(f"two variables are called {name!r}")
    return named


def _unnamed(problem: str) -> FeedError:
    return FeedError(
        problem,
        code="E206",
        details=["allowed {name: variable}, or variables with names of their own"],
        source=current_source(),
        fix='write {"w": w, "b": b}',
    )
