"""How a compiled program is described on disk: JSON, in which sizes are text that reads back."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from graphc.backends.llvm.routines import Group
from graphc.loops.ir import Branch, Contraction, IndexCheck, KernelCall, Lapack, Loop
from graphc.shapes import Size, parse_size

PLAIN_STEPS = (KernelCall, Contraction, IndexCheck, Lapack, Loop, Branch)


class Facts(NamedTuple):
    """What an executable knows of its program at run time.

    areas, thread_areas: scratch bytes of each step, once and for each thread. routines: of LAPACK,
    with their sizes. imports: symbols of the object; lapack: the libraries of those that are
    routines. is_plain: whether steps run no Python, and time follows from the sizes.
    routine_groups: of shared routines, to be loaded first. rewrites: whether new values of
    variables may be written over the old ones. local: temporaries that need no memory from the
    caller.
    """

    areas: tuple[Size, ...]
    thread_areas: tuple[Size, ...]
    routines: tuple[tuple[str, tuple[tuple[str, Size], ...]], ...]
    imports: tuple[str, ...]
    lapack: Mapping[str, str]
    is_plain: bool
    routine_groups: tuple[Group, ...] = ()
    rewrites: bool = False
    local: tuple[str, ...] = ()


def stored_text(facts: Facts, description: Any) -> bytes:
    """Facts and what the compiler wants to have kept."""
    words = {
        "areas": [str(size) for size in facts.areas],
        "thread_areas": [str(size) for size in facts.thread_areas],
        "routines": [
            [name, [[axis, str(size)] for axis, size in axes]] for name, axes in facts.routines
        ],
        "imports": list(facts.imports),
        "lapack": dict(facts.lapack),
        "is_plain": facts.is_plain,
        "rewrites": facts.rewrites,
        "groups": [[one.key, one.exports, one.imports] for one in facts.routine_groups],
        "local": list(facts.local),
    }
    return json.dumps({"facts": words, "program": description}).encode()


def read_stored(text: bytes) -> tuple[Facts, Any]:
    """What `stored_text` wrote. ValueError, KeyError, TypeError or ShapeError for anything else."""
    found = json.loads(text)
    words = found["facts"]
    facts = Facts(
        tuple(parse_size(size) for size in words["areas"]),
        tuple(parse_size(size) for size in words["thread_areas"]),
        tuple(
            (name, tuple((axis, parse_size(size)) for axis, size in axes))
            for name, axes in words["routines"]
        ),
        tuple(words["imports"]),
        dict(words["lapack"]),
        bool(words["is_plain"]),
        tuple(Group(key, tuple(given), tuple(taken)) for key, given, taken in words["groups"]),
        bool(words["rewrites"]),
        tuple(words["local"]),
    )
    return facts, found["program"]
