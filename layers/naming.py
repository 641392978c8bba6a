"""Names of layers and of their variables."""

import itertools
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache

_lock = threading.Lock()
_counters: dict[str, Iterator[int]] = defaultdict(itertools.count)


@cache
def snake_case(name: str) -> str:
    """`LayerNormalization` becomes `layer_normalization`, `ConvLSTM2D` `conv_lstm2d`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().lstrip("_")


def automatic_name(base: str) -> str:
    """`dense`, `dense_1`, `dense_2`, ... in this process."""
    with _lock:
        number = next(_counters[base])
    return f"{base}_{number}" if number else base


def identifier(text: str) -> str:
    """A name that a variable may have: letters, digits and underscores."""
    name = re.sub(r"\W", "_", text).strip("_") or "weight"
    return name if name[0].isalpha() else f"w_{name}"


def unique(names: Iterable[tuple[str, bool]]) -> list[str]:
    """Names made different by numbers. True marks a name that is kept if it can be."""
    found: list[str] = []
    pairs = list(names)
    taken = {name for name, fixed in pairs if fixed}
    seen: set[str] = set()
    for name, fixed in pairs:
        if not (fixed and name not in seen):
            candidates = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(1)))
            name = next(c for c in candidates if c not in seen and c not in taken)
        seen.add(name)
        found.append(name)
    return found
