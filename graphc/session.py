"""Running without naming a function first: `run` and `Session`."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphc.errors import FeedError
from graphc.function import Function, function
from graphc.ir.leaf import PLACEHOLDER, Variable
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.shapes import Dim
from graphc.structure import flatten
from graphc.surface import surface

__all__ = ["Session", "run"]

Feeds = Mapping[Any, Any]
Updates = Mapping[Variable, Any] | Sequence[tuple[Variable, Any]]


class Session:
    """Compiles what it is asked for and remembers it, as TensorFlow 1 did.

    `session.run(fetches, feed_dict)`: fetches are one expression, a list, a tuple or a dict of
    them; the feed's keys are placeholders or their names. Placeholders that the fetches do not
    need may be fed, so one feed serves several fetches. With `updates={v: new}` variables get new
    values after that, as in `gc.function`: `session.run(cost, feed, updates=step)` trains.
    allow_downcast: feeds of wider dtypes are cast to those of their placeholders, as TensorFlow
    does it: float64 arrays to float32.
    """

    def __init__(self, backend: str = "auto", *, allow_downcast: bool = False) -> None:
        self.backend = backend
        self.allow_downcast = allow_downcast
        # By fetches and sizes; the fetches are kept alive, for the keys hold identities.
        self._compiled: dict[Any, tuple[Function, Any]] = {}

    @surface
    def run(
        self, fetches: Any, feed_dict: Feeds | None = None, *, updates: Updates | None = None
    ) -> Any:
        """Values of `fetches`, which see the variables before the updates.

        updates: new values of variables, a dict or pairs, all computed from the old ones. A dict
        that is kept, or one of the same tensors, is compiled once.
        FeedError if a placeholder that they need is not fed (E201), or the feed has keys that are
        none of their placeholders (E202); FunctionError for updates as in `gc.function`.
        """
        return self.values(fetches, dict(feed_dict or {}), updates)

    def values(self, fetches: Any, feeds: Feeds, updates: Updates | None = None) -> Any:
        """`run`, of a feed that is a dict."""
        results, structure = flatten(fetches)
        changes = _parts(updates)
        leaves = [*results, *changes]
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        fed = [key for key in feeds if isinstance(key, Tensor)]
        # Fed placeholders belong to the key: sizes may follow from their shapes.
        counts = (len(results), len(changes))
        key = (structure, counts, tuple(t.key for t in tensors), tuple(t.key for t in fed))
        held = self._compiled.get(key)
        if held is None:
            inputs = self._inputs(leaves, fed)
            compiled = function(
                inputs,
                fetches,
                updates,
                backend=self.backend,
                name="run",
                on_unused_input="ignore",
                allow_downcast=self.allow_downcast,
            )
            held = (compiled, (fetches, fed, changes))
            if len(tensors) == len(leaves):  # numbers have no identity
                held = self._compiled.setdefault(key, held)
        return held[0](**_named_feeds(held[0], feeds))

    def _inputs(self, leaves: Sequence[Any], fed: Sequence[Tensor]) -> list[Tensor]:
        """The placeholders that are needed, and those fed ones that give a needed size."""
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        nodes = topological_order(tensors)
        inputs = [Tensor(node) for node in nodes if node.op is PLACEHOLDER]
        needed = {name for leaf in leaves if isinstance(leaf, Dim) for name in leaf.symbols()}
        for node in nodes:
            for declared in node.types:
                for size in declared.shape:
                    needed |= size.symbols() if isinstance(size, Dim) else set()
            needed |= {s for v in node.attrs.values() if isinstance(v, Dim) for s in v.symbols()}
        present = {tensor.key for tensor in inputs}
        for tensor in fed:
            gives = {s for size in tensor.shape if isinstance(size, Dim) for s in size.symbols()}
            if tensor.node.op is PLACEHOLDER and tensor.key not in present and gives & needed:
                inputs.append(tensor)
        return inputs

    def close(self) -> None:
        """Forget all compiled functions."""
        self._compiled.clear()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@surface
def run(
    outputs: Any,
    feed: Feeds | None = None,
    *,
    backend: str = "auto",
    allow_downcast: bool = False,
) -> Any:
    """Compile and run once: `gc.run(cost, {x: X, y: Y})`. allow_downcast: as in `Session`."""
    session = Session(backend, allow_downcast=allow_downcast)
    return session.values(outputs, dict(feed or {}))


def _parts(updates: Updates | None) -> list[Any]:
    """Variables and their new values, one after the other, of what `function` accepts."""
    pairs = updates.items() if isinstance(updates, Mapping) else updates or ()
    return [part for pair in pairs if isinstance(pair, tuple | list) for part in pair]


def _named_feeds(compiled: Function, feeds: Feeds) -> dict[str, Any]:
    """Feeds by name. Placeholders that are not needed are left out."""
    known = {tensor.key: str(tensor.name) for tensor in compiled.inputs}
    named: dict[str, Any] = {}
    spare: set[str] = set()
    for key, value in feeds.items():
        name = known.get(key.key) if isinstance(key, Tensor) else key
        if isinstance(key, Tensor) and name is None and key.node.op is PLACEHOLDER:
            spare.add(str(key.name))
        elif not isinstance(name, str) or name not in known.values():
            raise _unfit_key(key, known.values())
        elif name in named:
            raise FeedError(
                f"{name!r} was fed twice, as a placeholder and by name",
                code="E202",
                source=current_source(),
                fix="feed it once",
            )
        else:
            named[name] = value
    for tensor in compiled.inputs:
        if tensor.name in spare and tensor.name not in named:
            raise FeedError(
                f"another placeholder of the name {tensor.name!r} was fed",
                code="E201",
                details=[f"needed is {tensor.name}: {tensor.type}, written {tensor.source}"],
                source=current_source(),
                fix="feed the placeholder that the fetches were built from",
            )
    return named


def _unfit_key(key: Any, names: Any) -> FeedError:
    fix = "feed placeholders of the fetched expressions, or their names"
    if isinstance(key, Variable):
        fix = f"variables are not fed: set {key.name}.value = ..."
    elif isinstance(key, Tensor):
        fix = "only placeholders are fed; compile a function with givens to replace expressions"
    shown = repr(key) if not isinstance(key, Tensor) else repr(key.name or key.op.name)
    return FeedError(
        f"{shown} was fed, but is no placeholder of the fetches",
        code="E202",
        details=[f"they need: {', '.join(sorted(names)) or 'nothing'}"],
        source=key.sources[0] if isinstance(key, Tensor) and key.sources else current_source(),
        fix=fix,
    )
