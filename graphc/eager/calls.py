"""One call: a graph is built of the function, compiled and run. The compiled function is kept for
calls of the same structure, whatever their sizes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import graphc as gc
from graphc.records import dataclass

MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Size:
    """A size that may differ between calls of one compiled function."""

    value: int


class _Calls:
    """Compiled functions by what was called; the oldest go first."""

    def __init__(self) -> None:
        self.backend = "auto"
        self.kept: OrderedDict[Any, gc.Function] = OrderedDict()
        self.lock = threading.Lock()

    def find(self, key: Any) -> gc.Function | None:
        with self.lock:
            found = self.kept.get(key)
            if found is not None:
                self.kept.move_to_end(key)
            return found

    def keep(self, key: Any, compiled: gc.Function) -> None:
        with self.lock:
            self.kept[key] = compiled
            if len(self.kept) > MOST_KEPT:
                self.kept.popitem(last=False)


_calls = _Calls()


def set_backend(name: str) -> None:
    """What runs the calls from now on: "auto" (the default) or a name that gc.function takes."""
    gc.function([], gc.asarray(0), backend=name)  # BackendError for one that does not exist
    _calls.backend = name


def evaluate(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    static: bool = False,
) -> Any:
    """function(*args, **kwargs) of tensors, on arrays.

    Arrays, in lists, tuples and dicts too, are fed; everything else belongs to the graph. static:
    their sizes belong to it as well.
    """
    arguments = (args, kwargs)
    leaves = list(_leaves(arguments))
    key = (_calls.backend, function, _described(arguments, static))
    compiled = _calls.find(key)
    if compiled is None:
        compiled = _compile(function, arguments, leaves, static)
        _calls.keep(key, compiled)
    return compiled(*(_fed(leaf) for leaf in leaves))


def _compile(
    function: Callable[..., Any], arguments: Any, leaves: list[Any], static: bool
) -> gc.Function:
    inputs = [_placeholder(f"x{number}", leaf, static) for number, leaf in enumerate(leaves)]
    values = iter(
        given.shape[0] if isinstance(leaf, Size) else given
        for given, leaf in zip(inputs, leaves, strict=True)
    )
    args, kwargs = _rebuilt(arguments, values)
    return gc.function(
        inputs,
        function(*args, **kwargs),
        backend=_calls.backend,
        name=getattr(function, "__name__", "call"),
        on_unused_input="ignore",
    )


def _placeholder(name: str, leaf: Any, static: bool) -> gc.Tensor:
    if isinstance(leaf, Size):
        return gc.placeholder(name, (None,), "uint8")
    shape = leaf.shape if static else [1 if size == 1 else None for size in leaf.shape]
    return gc.placeholder(name, shape, leaf.dtype)


def _fed(leaf: Any) -> np.ndarray:
    return np.empty(leaf.value, "uint8") if isinstance(leaf, Size) else leaf


def _is_fed(value: Any) -> bool:
    return isinstance(value, np.ndarray | Size)


def _leaves(value: Any) -> Iterator[Any]:
    if _is_fed(value):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        yield from _leaves(list(value.values()))


def _rebuilt(value: Any, feeds: Iterator[Any]) -> Any:
    if _is_fed(value):
        return next(feeds)
    if isinstance(value, list | tuple):
        return type(value)(_rebuilt(item, feeds) for item in value)
    if isinstance(value, dict):
        return {name: _rebuilt(item, feeds) for name, item in value.items()}
    return value


def _described(value: Any, static: bool) -> Any:
    """What a compiled function depends on. Numbers that compare equal may still differ."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape if static else tuple(size == 1 for size in value.shape)
    if isinstance(value, Size):
        return Size
    if isinstance(value, list | tuple):
        return type(value), *(_described(item, static) for item in value)
    if isinstance(value, dict):
        return dict, *((name, _described(item, static)) for name, item in value.items())
    if isinstance(value, bool | int | float | complex | slice):
        return type(value), repr(value)
    return value
