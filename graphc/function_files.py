"""Compiled functions as files: the graph as text, its arrays as tensors, nothing that is run."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc import errors
from graphc.dtypes import as_dtype
from graphc.errors import FileFormatError, FunctionError, GraphcError
from graphc.ir.graph import Graph
from graphc.ir.leaf import Variable
from graphc.ir.node import TensorType
from graphc.ir.opdef import Constraint
from graphc.ir.parser import parse_graph
from graphc.ir.printer import Names, format_graph, large_constants
from graphc.ir.source import current_source
from graphc.records import dataclass
from graphc.shapes import parse_size
from graphc.structure import LEAF, NONE, Structure
from graphc.tensor_files import read_tensors, write_tensors

KEY, FORMAT = "graphc.function", 1


@dataclass(frozen=True, slots=True)
class Saved:
    """What makes a function again: the graph as the user wrote it, and how it was compiled.

    variables: by the names of the text. defaults: by input. options: keyword arguments of
    `Function`.
    """

    graph: Graph
    structure: Structure
    variables: Mapping[str, Variable]
    defaults: Mapping[str, np.ndarray]
    constraints: Sequence[Constraint]
    options: Mapping[str, Any]


def named_variables(graph: Graph) -> dict[str, Variable]:
    """The variables that a graph reads or updates, by the names that its text has for them."""
    names = Names(graph)
    return {names.operand(variable): variable for variable in graph.variables}


def write_function(
    path: str | os.PathLike[str], saved: Saved, values: Mapping[str, np.ndarray]
) -> None:
    """Write a function with the values of its variables; see `Function.save`."""
    text, constants = format_graph(saved.graph), large_constants(saved.graph)
    _check_readable(saved.graph, text, constants, saved.variables)
    content = {
        "format": FORMAT,
        "graph": text,
        "structure": _structure_out(saved.structure),
        "constraints": [
            [str(c.left), str(c.right), c.text, c.error.__name__] for c in saved.constraints
        ],
        "options": dict(saved.options),
    }
    arrays = {
        **{f"constant:{name}": array for name, array in constants.items()},
        **{f"variable:{name}": array for name, array in values.items()},
        **{f"default:{name}": array for name, array in saved.defaults.items()},
    }
    write_tensors(path, arrays, {KEY: json.dumps(content)})


def read_function(
    path: str | os.PathLike[str], variables: Mapping[str, Variable]
) -> tuple[Saved, dict[str, np.ndarray]]:
    """What `write_function` wrote, and the values of the variables that are not among `variables`.

    Raises FileFormatError: no function, or damaged (E602), a variable of another type (E603).
    """
    arrays, metadata = read_tensors(path)
    try:
        content = json.loads(metadata[KEY])
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this version reads {FORMAT}")
        parts: dict[str, dict[str, np.ndarray]] = {"constant": {}, "variable": {}, "default": {}}
        for name, array in arrays.items():
            kind, _, own = name.partition(":")
            parts[kind][own] = array
        _check_types(path, parts["variable"], variables)
        graph = parse_graph(content["graph"], parts["constant"], variables)
        found = named_variables(graph)
        saved = Saved(
            graph,
            _structure_in(content["structure"]),
            found,
            parts["default"],
            [
                Constraint(parse_size(left), parse_size(right), text, (), getattr(errors, error))
                for left, right, text, error in content["constraints"]
            ],
            content["options"],
        )
        values = {name: parts["variable"][name] for name in found if name not in variables}
    except FileFormatError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"{os.fspath(path)} holds no function",
            details=[
                f"{type(error).__name__}: {error}"
                if KEY in metadata
                else f"it holds {len(arrays)} arrays: {', '.join(sorted(arrays)):.60}"
            ],
            fix="f.save(path) writes such files; gc.load reads files of variables",
        ) from None
    return saved, values


def _check_types(
    path: str | os.PathLike[str],
    values: Mapping[str, np.ndarray],
    variables: Mapping[str, Variable],
) -> None:
    for name, array in values.items():
        given = variables.get(name)
        wanted = TensorType(as_dtype(array.dtype), array.shape)
        if given is not None and given.type != wanted:
            raise FileFormatError(
                f"{name}: {os.fspath(path)} needs {wanted}, given {given.type}",
                code="E603",
                source=current_source(),
                fix="leave it out: it is made anew with the saved value",
            )


def _check_readable(
    graph: Graph,
    text: str,
    constants: Mapping[str, np.ndarray],
    variables: Mapping[str, Variable],
) -> None:
    """Refuse now what could not be read later: ops that are Python functions."""
    try:
        again = format_graph(parse_graph(text, constants, variables))
        problem = None if again == text else "its text does not say all of it"
    except GraphcError as error:
        problem = error.message
    if problem is not None:
        raise FunctionError(
            f"{graph.name} cannot be saved",
            code="E505",
            details=[problem],
            fix="leave custom ops and debug calls out of a function that is saved",
        )


def _structure_out(structure: Structure) -> Any:
    if structure is LEAF or structure is NONE:
        return structure.kind
    for key in structure.keys:
        if not isinstance(key, str | int | None):
            raise FunctionError(
                f"an output is called {key!r}, a {type(key).__name__}",
                code="E206",
                fix="a function that is saved has dicts with strings as keys",
            )
    items = [_structure_out(item) for item in structure.items]
    return [structure.kind, list(structure.keys), items, structure.axis]


def _structure_in(content: Any) -> Structure:
    if content in ("leaf", "none"):
        return LEAF if content == "leaf" else NONE
    kind, keys, items, axis = content
    if kind not in ("list", "tuple", "dict", "trimmed"):
        raise ValueError(f"outputs in a {kind!r}")
    return Structure(kind, tuple(keys), tuple(map(_structure_in, items)), axis=axis)
