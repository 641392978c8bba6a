"""gc.load_function: a function that was saved, compiled again."""

import os
from collections.abc import Mapping

from graphc.checks.options import check_words
from graphc.function import Function
from graphc.function_files import read_function
from graphc.ir.leaf import Variable
from graphc.saving import set_values
from graphc.surface import surface
from graphc.threads import thread_count

__all__ = ["load_function"]


@surface
def load_function(
    path: str | os.PathLike[str],
    variables: Mapping[str, Variable] | None = None,
    *,
    backend: str | None = None,
    threads: int | None = None,
    cache: bool = True,
) -> Function:
    """The function that `f.save(path)` wrote: same inputs, outputs, updates and options.

    variables: variables to use in place of those of the file, by name; they keep their values.
    The others are made anew with the saved values, and are in `f.variables`. Functions loaded
    from several files share state by sharing variables. backend: another one than it was compiled
    for. threads, cache: as in gc.function.

    >>> f = gc.load_function("train.safetensors")
    >>> g = gc.load_function("predict.safetensors", f.variables)

    Raises FileFormatError: no saved function, or damaged (E602); a variable of another type (E603).
    """
    saved, values = read_function(path, variables or {})
    options = dict(saved.options)
    made = Function(
        saved.graph,
        saved.structure,
        saved.defaults,
        backend=backend or options["backend"],
        allow_downcast=options["allow_downcast"],
        threads=thread_count(threads),
        checks=check_words(tuple(options["checks"]) or None),
        optimize=options["optimize"],
        cache=cache,
        constraints=saved.constraints,
    )
    set_values([saved.variables[name] for name in values], list(values.values()))
    return made
