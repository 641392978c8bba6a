"""Routines that no program owns: compiled once for the process, kept on disk by themselves.

A matrix product takes about ten functions, which are the same in every program. Programs import
them by name. Those that a program is the first to need make up a group: one entry of the cache,
one library, which stays as long as the process. Equal names stand for equal texts.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import NamedTuple

from graphc.backends.llvm.cache import cached_objects, kept_objects
from graphc.backends.llvm.imports import addresses
from graphc.backends.llvm.jit import Library
from graphc.backends.llvm.modules import heads, modules_of, names_in
from graphc.backends.llvm.one_thread import PARALLEL
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText
from graphc.records import dataclass


class Group(NamedTuple):
    """Routines of one entry of the cache. key: of the entry; empty if it is not kept."""

    key: str
    exports: tuple[str, ...]
    imports: tuple[str, ...]


class Loaded(NamedTuple):
    """The routines of this process. groups: where those of a program come from, in the order to
    load them in."""

    addresses: Mapping[str, int]
    groups: tuple[Group, ...]


@dataclass(slots=True)
class _Table:
    """What is there for a processor. groups: of each routine; loaded: all, in order."""

    addresses: dict[str, int] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    loaded: list[tuple[Group, Library]] = field(default_factory=list)

    def link(self, group: Group, objects: Sequence[bytes], symbols: Mapping[str, int]) -> None:
        """Add the routines of a group, in place of those that are there by other groups."""
        imports = addresses(group.imports, {**symbols, **self.addresses})
        library = Library(objects, group.exports, imports)
        self.loaded.append((group, library))
        for name in group.exports:
            self.addresses[name] = library.address(name)
            self.groups[name] = group


_lock = threading.RLock()
_tables: dict[Target, _Table] = {}
# A forked child finds the tables whole and the lock free.
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)


def load(
    functions: Mapping[str, FunctionText], symbols: Mapping[str, int], target: Target, cache: bool
) -> Loaded:
    """Routines by name, with all that they call. symbols: that they may import, where they lie."""
    with _lock:
        table = _tables.setdefault(target, _Table())
        missing = {name: one for name, one in functions.items() if name not in table.groups}
        if missing:
            own = heads(missing.values())
            every = heads(functions.values())
            outside = {name: head for name, head in every.items() if name not in own}
            found = cached_objects(modules_of(list(missing.values()), outside, own), target, cache)
            imports = sorted(names_in(missing.values()) & {*symbols, *outside, PARALLEL})
            group = Group(found.key, tuple(own), tuple(imports))
            table.link(group, found.objects, symbols)
        used = {table.groups[name] for name in functions}
        return Loaded(table.addresses, tuple(one for one, _ in table.loaded if one in used))


def recall(
    groups: Sequence[Group], symbols: Mapping[str, int], target: Target, folder: Path
) -> Mapping[str, int] | str:
    """The routines of a program that was kept in that folder, or why they are not there."""
    with _lock:
        table = _tables.setdefault(target, _Table())
        for group in groups:
            if all(name in table.groups for name in group.exports):
                continue
            objects = kept_objects(group.key, folder)
            if isinstance(objects, str):
                return objects
            table.link(group, objects, symbols)
        return table.addresses
