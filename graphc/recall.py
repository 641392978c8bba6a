"""Compiled programs as plain values, for a cache: all that calls need of a program and its plan.

Steps are left out, and with them the user's lines. Whoever asks for these (people who look, and
errors at run time) has the passes run again, on the graph of the present program.
"""

import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc import errors
from graphc.dtypes import as_dtype
from graphc.errors import GraphcError
from graphc.ir.opdef import Constraint
from graphc.loops.ir import Buffer, Program
from graphc.memory.packing import Area
from graphc.memory.plan import MemoryPlan
from graphc.records import dataclass
from graphc.shapes import Size, parse_size

LARGEST = 16 << 20  # bytes of constants


@dataclass(frozen=True, slots=True)
class Outline:
    """A program without steps, and the slots of its plan.

    variables: the number of each of its variables among those of the graph. figures: see
    `Function.stats`. Functions share it: what it holds stays as it is.
    """

    program: Program
    plan: MemoryPlan
    constraints: list[Constraint]
    size_names: tuple[str, ...]
    variables: list[int]
    complex_parts: bool
    figures: dict[str, Any]


class NotPlainError(Exception):
    """The program has something that plain values cannot say, or too much of it."""


def description(outline: Outline) -> dict[str, Any]:
    """The outline of a program, as values of JSON."""
    program, plan = outline.program, outline.plan
    if sum(array.nbytes for array in program.constants.values()) > LARGEST:
        raise NotPlainError("its constants are large")
    text = _Texts()
    buffers = program.buffers.values()
    types: dict[Any, int] = {}  # many buffers, few kinds of them
    for b in buffers:
        types.setdefault((b.dtype.name, b.shape, b.role), len(types))
    return {
        "name": program.name,
        "sizes": list(program.sizes),
        "size_names": list(outline.size_names),
        "types": [[dtype, [text(size) for size in shape], role] for dtype, shape, role in types],
        "buffers": [[b.name, types[b.dtype.name, b.shape, b.role]] for b in buffers],
        "outputs": list(program.outputs),
        "updates": [list(pair) for pair in program.updates],
        "constants": {
            name: [
                array.dtype.name,
                list(array.shape),
                binascii.b2a_base64(np.ascontiguousarray(array).tobytes()).decode(),
            ]
            for name, array in program.constants.items()
        },
        "areas": [[text(area.unit), area.count, dict(area.starts)] for area in plan.areas],
        "constraints": [
            [text(one.left), text(one.right), one.text, one.error.__name__]
            for one in outline.constraints
        ],
        "variables": list(outline.variables),
        "complex_parts": outline.complex_parts,
        "figures": outline.figures,
    }


def outline_of(words: Mapping[str, Any]) -> Outline:
    """What `description` wrote."""
    read = _Sizes()
    types = [
        (as_dtype(dtype), tuple([read(size) for size in shape]), role)
        for dtype, shape, role in words["types"]
    ]
    buffers = {name: Buffer(name, *types[place]) for name, place in words["buffers"]}
    constants = {
        name: np.frombuffer(binascii.a2b_base64(data), as_dtype(dtype)).reshape(shape)
        for name, (dtype, shape, data) in words["constants"].items()
    }
    program = Program(
        words["name"],
        tuple(words["sizes"]),
        buffers,
        (),
        tuple(words["outputs"]),
        tuple((variable, new) for variable, new in words["updates"]),
        constants,
    )
    areas = tuple(Area(read(unit), count, starts) for unit, count, starts in words["areas"])
    plan = MemoryPlan({}, {}, {}, areas)
    constraints = [
        Constraint(read(left), read(right), text, (), _error(kind))
        for left, right, text, kind in words["constraints"]
    ]
    return Outline(
        program,
        plan,
        constraints,
        tuple(words["size_names"]),
        list(words["variables"]),
        bool(words["complex_parts"]),
        dict(words["figures"]),
    )


class _Texts:
    """Sizes as text, each checked once that it reads back."""

    def __init__(self) -> None:
        self.known: dict[Size, str] = {}

    def __call__(self, size: Size) -> str:
        text = self.known.get(size)
        if text is None:
            text = self.known[size] = str(size)
            if parse_size(text) != size:
                raise NotPlainError(f"the size {text} does not read back")
        return text


class _Sizes:
    """Reads sizes; equal texts once."""

    def __init__(self) -> None:
        self.known: dict[str, Size] = {}

    def __call__(self, text: str) -> Size:
        size = self.known.get(text)
        if size is None:
            size = self.known[text] = int(text) if text.isdecimal() else parse_size(text)
        return size


def _error(name: str) -> type[GraphcError]:
    kind = getattr(errors, name)
    if not (isinstance(kind, type) and issubclass(kind, GraphcError)):
        raise ValueError(f"{name} is no error")
    return kind


def with_sources(constraint: Constraint, place: int, whole: Sequence[Constraint]) -> Constraint:
    """The constraint with its lines, which only a check of the graph finds."""
    found = whole[place] if place < len(whole) else constraint
    return found if (found.left, found.right) == (constraint.left, constraint.right) else constraint
