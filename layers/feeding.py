"""Data as a model takes it: batches from arrays, or from whatever yields batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers import limits
from graphc.layers.configured import written
from graphc.records import dataclass

Arrays = list[np.ndarray]


@dataclass
class Batch:
    """Inputs, targets and weights of some examples; with `steps` a row of batches for each."""

    x: Arrays
    y: Arrays
    weight: np.ndarray | None
    size: int
    steps: int = 1


def listed(value: Any, names: Sequence[str], what: str) -> list[Any]:
    """One item for each name: from a list, a dict of these names, or the only one."""
    if isinstance(value, Mapping):
        missing = [name for name in names if name not in value]
        if missing:
            raise data_error(
                f"{what}: {missing[0]!r} is missing",
                f"give a dict with {', '.join(map(repr, names))}",
            )
        return [value[name] for name in names]
    if (
        isinstance(value, tuple)
        or (isinstance(value, list) and len(names) > 1)
        or (isinstance(value, list) and len(value) == 1 and bool(getattr(value[0], "shape", ())))
    ):
        items = list(value)
    else:
        items = [value]
    if len(items) != len(names):
        raise data_error(
            f"{what}: {len(items)} given, the model has {len(names)}: {', '.join(names)}",
            "give one array for each, in their order",
        )
    return items


def data_error(message: str, fix: str, details: Sequence[str] = ()) -> gc.FeedError:
    return gc.FeedError(message, code="E242", details=details, source=written(), fix=fix)


def _unequal(value: Any) -> str:
    """How examples differ in length, if they do."""
    rows = [np.shape(row) if isinstance(row, np.ndarray) else len(row) for row in value
            if hasattr(row, "__len__")]  # fmt: skip
    other = next((number for number, size in enumerate(rows) if size != rows[0]), None)
    if other is None or len(rows) != len(value):
        return ""
    word = "shape" if isinstance(rows[0], tuple) else "length"
    return f"example 0 has {word} {rows[0]}, example {other} {word} {rows[other]}"


def as_array(value: Any, what: str) -> np.ndarray:
    """An array of numbers with an axis of examples."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise data_error(
            f"{what} is no array: {_unequal(value) or error}",
            "examples have one shape: pad the shorter ones, or feed those of each length apart",
        ) from None
    if type(value).__module__.startswith("numpy.ma") and np.any(value.mask):
        raise data_error(
            f"{what} is a masked array with elements without a value", "fill them with .filled(...)"
        )
    numbers = array.dtype.kind in "biuf" or array.dtype == gc.bfloat16
    if not numbers or array.ndim == 0:
        raise data_error(
            f"{what} is no array of numbers, but {array.dtype.name}{list(array.shape)}",
            "give an array with the examples along its first axis",
        )
    return array


def is_array(x: Any) -> bool:
    """Arrays and lists of numbers or arrays; anything else that is iterable yields batches."""
    if hasattr(x, "__array__") or isinstance(x, np.ndarray | str | bytes):
        return True  # text has parts, which are text
    return isinstance(x, list | tuple) and not (x and isinstance(x[0], tuple))


def check_lengths(named: Sequence[tuple[str, np.ndarray]]) -> int:
    """How many examples there are; FeedError (E242) if the arrays differ."""
    sizes = {len(array) for _, array in named}
    if len(sizes) > 1:
        raise data_error(
            "the arrays have different numbers of examples",
            "give as many targets and weights as inputs",
            [f"{name}: {list(array.shape)}" for name, array in named],
        )
    return sizes.pop() if sizes else 0


def weighted(
    y: Arrays, weight: np.ndarray | None, class_weight: Mapping[Any, float] | None
) -> np.ndarray | None:
    """Weights of samples times those of their classes."""
    if class_weight is None:
        return weight
    if len(y) != 1:
        raise data_error("class_weight: the model has several outputs", "use sample_weight")
    labels = y[0]
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(-1)
    labels = labels.reshape(len(labels), -1)
    if labels.shape[1] != 1:
        raise data_error("class_weight: a sample has several labels", "use sample_weight")
    factors = np.ones(len(labels), "float32")
    limits.real("class_weight", **{str(label): factor for label, factor in class_weight.items()})
    for label, factor in class_weight.items():
        factors[labels[:, 0] == label] = factor
    return factors if weight is None else (weight * factors.reshape(-1, *(1,) * (weight.ndim - 1)))


class ArrayData:
    """Examples in arrays, all with the same first axis."""

    def __init__(self, x: Arrays, y: Arrays, weight: np.ndarray | None, batch_size: int) -> None:
        named = [("x", a) for a in x] + [("y", a) for a in y]
        self.size = check_lengths([*named, *([] if weight is None else [("weights", weight)])])
        self.x, self.y, self.weight = x, y, weight
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise data_error(f"batch_size={batch_size!r}", "use a whole number >= 1")
        self.batch_size = int(batch_size)

    def first(self) -> Batch:
        """A few examples, which show shapes and dtypes."""
        return self._batch(slice(0, 1), 1)

    def steps(self) -> int:
        return -(-self.size // self.batch_size)

    def batches(self, order: np.ndarray | None, steps_per_call: int = 1) -> Iterator[Batch]:
        """All examples, in the given order. Where several steps make a call, whole batches go
        together; what is left over comes one by one."""
        position = 0
        while position < self.size:
            whole = (self.size - position) // self.batch_size
            steps = min(steps_per_call, whole) if steps_per_call > 1 else 1
            count = max(steps, 1) * self.batch_size
            rows: Any = slice(position, position + count)
            if order is not None:
                rows = order[rows]
            yield self._batch(rows, max(steps, 1))
            position += count

    def _batch(self, rows: Any, steps: int) -> Batch:
        def taken(array: np.ndarray) -> np.ndarray:
            found: np.ndarray = array[rows]
            return found.reshape(steps, -1, *found.shape[1:]) if steps > 1 else found

        weight = None if self.weight is None else taken(self.weight)
        size = len(self.x[0][rows])
        return Batch([taken(a) for a in self.x], [taken(a) for a in self.y], weight, size, steps)


class StreamData:
    """Batches from an iterable or a generator: (x, y) or (x, y, sample_weight).

    inputs, outputs: the names that a batch has arrays for, set when the model knows them.
    """

    def __init__(self, source: Iterable[Any]) -> None:
        self.source = self.items = source
        self.inputs: Sequence[str] = ()
        self.outputs: Sequence[str] = ()

    def first_item(self) -> Any:
        """What the source yields first; it is among the batches all the same."""
        items = iter(self.source)
        first = next(items, None)
        if first is None:
            raise data_error("the generator yields nothing", "yield (x, y)")
        if items is self.source:  # a generator yields it once
            self.items = chain([first], items)
        return first

    def steps(self) -> int | None:
        try:
            return len(self.source)  # type: ignore[arg-type]
        except TypeError:
            return None

    def batches(self, order: np.ndarray | None, steps_per_call: int = 1) -> Iterator[Batch]:
        """All that the source yields, in its order and one by one: the arguments mean nothing."""
        return map(self._batch, self.items)

    def _batch(self, item: Any) -> Batch:
        parts = item if isinstance(item, tuple) else (item,)
        if not 1 <= len(parts) <= 3:
            raise data_error(f"a batch is {item!r:.40}", "yield (x, y) or (x, y, sample_weight)")
        x = [as_array(a, "x") for a in listed(parts[0], self.inputs, "inputs")]
        targets = listed(parts[1], self.outputs, "targets") if parts[1:] else []
        y = [as_array(a, "y") for a in targets]
        weight = as_array(parts[2], "sample_weight") if len(parts) == 3 else None
        return Batch(x, y, weight, len(x[0]))
