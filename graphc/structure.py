"""Structures: lists, tuples and dicts, nested as the user likes, around tensors or arrays."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from graphc.ir.trimmed import Trimmed
from graphc.records import dataclass


@dataclass(frozen=True, slots=True)
class Structure:
    """What stands around the leaves. Hashable, if the keys of dicts are.

    kind: "leaf", "none" (None), "list", "tuple", "dict", "trimmed". keys: of a dict, else None for
    each item. cls: the class of a named tuple. axis: that "trimmed" cuts.
    """

    kind: str
    keys: tuple[Any, ...] = ()
    items: tuple["Structure", ...] = ()
    cls: type | None = None
    axis: int = 0

    @property
    def is_flat(self) -> bool:
        return all(item is LEAF for item in self.items)

    def pack(self, leaves: Sequence[Any]) -> Any:
        """The leaves in this structure."""
        if self is LEAF:
            return leaves[0]
        return self.build(list(leaves) if self.is_flat else self._parts(iter(leaves)))

    def packer(self) -> Callable[[list[Any]], Any]:
        """`pack`, prepared for many calls; it may keep the list that it is given."""
        if not self.is_flat or self.kind in ("leaf", "none"):
            return self.pack
        if self.kind == "dict":
            keys = self.keys
            return lambda leaves: dict(zip(keys, leaves, strict=True))
        return self.build

    def _parts(self, leaves: Iterator[Any]) -> list[Any]:
        return [
            next(leaves) if item is LEAF else item.build(item._parts(leaves)) for item in self.items
        ]

    def build(self, parts: list[Any]) -> Any:
        """The items as a value of this kind."""
        match self.kind:
            case "none":
                return None
            case "list":
                return parts
            case "tuple":
                return tuple(parts) if self.cls is None else self.cls(*parts)
            case "trimmed":
                padded, count = parts
                return padded[(*(slice(None),) * self.axis, slice(int(count)))].copy()
            case _:
                return dict(zip(self.keys, parts, strict=True))

    def paths(self, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """For each leaf the keys and positions that lead to it."""
        if self is LEAF:
            yield prefix
        for position, (key, item) in enumerate(zip(self.keys, self.items, strict=True)):
            yield from item.paths((*prefix, position if key is None else key))


LEAF = Structure("leaf")
NONE = Structure("none")


def flatten(value: Any) -> tuple[list[Any], Structure]:
    """The leaves in order, and the structure around them. Anything else than a list, tuple, dict
    or None is a leaf; a Trimmed is two, which `pack` makes one array of."""
    leaves: list[Any] = []
    return leaves, _open(value, leaves)


def _open(value: Any, leaves: list[Any]) -> Structure:
    if value is None:
        return NONE
    if isinstance(value, Trimmed):
        leaves += (value.padded, value.count)
        return Structure("trimmed", (None, None), (LEAF, LEAF), axis=value.axis)
    if isinstance(value, Mapping):
        items = tuple(_open(item, leaves) for item in value.values())
        return Structure("dict", tuple(value), items)
    if isinstance(value, list | tuple):
        items = tuple(_open(item, leaves) for item in value)
        kind = "list" if isinstance(value, list) else "tuple"
        named = type(value) if kind == "tuple" and hasattr(value, "_fields") else None
        return Structure(kind, (None,) * len(items), items, named)
    leaves.append(value)
    return LEAF
