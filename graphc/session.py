"""Running without naming a function first: `run`, `Session` and `jit`."""

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import default_float
from graphc.errors import FeedError
from graphc.function import Function, function
from graphc.ir.leaf import PLACEHOLDER, placeholder
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order

__all__ = ["Session", "jit", "run"]

Feeds = Mapping[Any, Any]


class Session:
    """Compiles what it is asked for and remembers it, as TensorFlow 1 did.

    `session.run(fetches, feed_dict)`: fetches are one expression, a list, a tuple or a dict of
    them; the feed's keys are placeholders or their names.
    """

    def __init__(self, backend: str = "auto") -> None:
        self.backend = backend
        self._compiled: dict[tuple[Any, ...], tuple[Function, Any]] = {}
        self._lock = threading.Lock()

    def run(self, fetches: Any, feed_dict: Feeds | None = None) -> Any:
        """Values of `fetches`. FeedError (E201) if a placeholder that they need is not fed."""
        tensors = _tensors_of(fetches)
        key = (_structure_of(fetches), *(t.key for t in tensors))
        with self._lock:
            held = self._compiled.get(key)
        if held is None:
            inputs = placeholders_of(tensors)
            # The fetches are kept with the function: keys are identities of living objects.
            held = (function(inputs, fetches, backend=self.backend, name="run"), fetches)
            with self._lock:
                self._compiled[key] = held
        compiled = held[0]
        return compiled(**_named_feeds(compiled, feed_dict or {}))

    def close(self) -> None:
        """Forget all compiled functions."""
        with self._lock:
            self._compiled.clear()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def run(outputs: Any, feed: Feeds | None = None, *, backend: str = "auto") -> Any:
    """Compile and run once: `gc.run(cost, {x: X, y: Y})`."""
    return Session(backend).run(outputs, feed)


def placeholders_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The placeholders that the tensors depend on, in order of first use."""
    return [Tensor(n) for n in topological_order(tensors) if n.op is PLACEHOLDER]


def _tensors_of(fetches: Any) -> list[Tensor]:
    if isinstance(fetches, Mapping):
        return list(fetches.values())
    return list(fetches) if isinstance(fetches, list | tuple) else [fetches]


def _structure_of(fetches: Any) -> tuple[Any, ...]:
    keys = tuple(fetches) if isinstance(fetches, Mapping) else ()
    return (type(fetches).__name__, keys)


def _named_feeds(compiled: Function, feed: Feeds) -> dict[str, Any]:
    """Feeds by name. Placeholders that the fetches do not need are an error: likely a slip."""
    known = {tensor.key: str(tensor.name) for tensor in compiled.inputs}
    names = set(known.values())
    named: dict[str, Any] = {}
    for key, value in feed.items():
        name = known.get(key.key) if isinstance(key, Tensor) else key
        if name not in names:
            shown = key.name if isinstance(key, Tensor) else key
            raise FeedError(
                f"{shown!r} was fed, but the fetches do not depend on it",
                code="E202",
                details=[f"they need: {', '.join(sorted(names)) or 'nothing'}"],
                source=key.sources[0] if isinstance(key, Tensor) and key.sources else None,
                fix="feed the placeholders of the fetched expressions only",
            )
        named[str(name)] = value
    return named


def jit(
    traced: Callable[..., Any] | None = None, *, backend: str = "auto"
) -> Callable[..., Any]:
    """Compile a Python function of tensors at its first call; usable as a decorator.

    Arguments are arrays or numbers. The function is traced once per combination of dtypes, ranks
    and axes of size 1 (which broadcast); all other sizes are symbolic, so no call recompiles for
    another size. Python floats are float32, ints int64.
    """
    if traced is None:
        return functools.partial(jit, backend=backend)
    wrapped = traced
    compiled: dict[tuple[Any, ...], Function] = {}
    lock = threading.Lock()

    @functools.wraps(wrapped)
    def call(*args: Any) -> Any:
        arrays = [_weak_array(value) for value in args]
        key = tuple((a.dtype.str, tuple(size == 1 for size in a.shape)) for a in arrays)
        with lock:
            if key not in compiled:
                inputs = [
                    placeholder(
                        f"x{number}",
                        tuple(1 if size == 1 else None for size in array.shape),
                        array.dtype,
                    )
                    for number, array in enumerate(arrays)
                ]
                compiled[key] = function(
                    inputs,
                    wrapped(*inputs),
                    backend=backend,
                    name=wrapped.__name__,
                    on_unused_input="ignore",
                )
        return compiled[key](*arrays)

    return call


def _weak_array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype == np.float64 and not isinstance(value, np.ndarray | np.generic):
        return array.astype(default_float)
    return array
