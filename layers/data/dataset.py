"""Dataset: a stream of examples, shuffled, batched, changed and prepared ahead of training.

    Dataset.from_arrays(X, Y).shuffle(seed=0).batch(32).map(augment).prefetch()

Every step returns a new dataset. Iterating begins anew, with another order if it is shuffled.
"""

import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from graphc.layers.configured import parameter_error
from graphc.surface import surface

__all__ = ["Dataset"]

Element = Any  # an array, or a tuple, list or dict of elements


def _map(function: Callable[..., Any], *elements: Element) -> Element:
    """`function` of the arrays at each place of elements of one structure."""
    first = elements[0]
    if isinstance(first, dict):
        return {key: _map(function, *(e[key] for e in elements)) for key in first}
    if isinstance(first, tuple | list):
        return type(first)(_map(function, *parts) for parts in zip(*elements, strict=True))
    return function(*elements)


def _leaves(element: Element) -> list[np.ndarray]:
    if isinstance(element, dict):
        return [leaf for part in element.values() for leaf in _leaves(part)]
    if isinstance(element, tuple | list):
        return [leaf for part in element for leaf in _leaves(part)]
    return [element]


def _stacked(elements: list[Element]) -> Element:
    try:
        return _map(lambda *rows: np.stack([np.asarray(row) for row in rows]), *elements)
    except ValueError as error:
        raise parameter_error(
            f"examples of different shapes do not make a batch: {error}",
            "bring them to one shape with map before batch",
        ) from None


def _count(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise parameter_error(f"Dataset.{name}: {value!r} is no count", f"use an int >= {least}")
    return int(value)


class Dataset:
    """Examples in order. An element is an array, or a tuple or dict of arrays, such as (x, y).

    make: returns a new iterator over the elements; it is given the number of the pass, 0 for the
    first. length: how many elements there are, None if that is not known.
    """

    def __init__(self, make: Callable[[int], Iterator[Element]], length: int | None = None) -> None:
        self._make = make
        self._length = length
        self._passes = itertools.count()

    # --- where examples come from ------------------------------------------------------------

    @staticmethod
    def from_arrays(*arrays: Any) -> "Dataset":
        """One element for each row: of one array, of several (as a tuple), or of a dict of arrays.

        Nothing is copied here. All have the same number of rows.
        """
        if not arrays:
            raise parameter_error("Dataset.from_arrays: no arrays", "pass one array or several")
        given = arrays[0] if len(arrays) == 1 else tuple(arrays)
        element = _map(np.asarray, given)
        rows = [array.shape[0] if array.ndim else None for array in _leaves(element)]
        if len(set(rows)) != 1 or rows[0] is None:
            raise parameter_error(
                f"Dataset.from_arrays: arrays of {', '.join(map(str, rows))} rows",
                "all arrays need the same number of rows",
            )
        return _Rows(element, rows[0])

    @staticmethod
    def from_tensor_slices(tensors: Any) -> "Dataset":
        """`from_arrays` of one structure: an array, or a tuple, list or dict of them."""
        return Dataset.from_arrays(tuple(tensors) if isinstance(tensors, list) else tensors)

    @staticmethod
    def zip(*datasets: Any) -> "Dataset":
        """Tuples of the elements of several datasets, as long as the shortest."""
        given = datasets[0] if len(datasets) == 1 else datasets
        if not isinstance(given, tuple | list) or not all(isinstance(d, Dataset) for d in given):
            raise parameter_error(
                f"Dataset.zip: {given!r:.60} are no datasets", "give several: Dataset.zip(a, b)"
            )
        known = [one.cardinality() for one in given]
        lengths = [length for length in known if length is not None]

        def make(number: int) -> Iterator[Element]:
            return zip(*(one._make(number) for one in given), strict=False)

        return Dataset(make, min(lengths) if len(lengths) == len(known) else None)

    @staticmethod
    def from_generator(
        make: Callable[[], Iterable[Element]], length: int | None = None
    ) -> "Dataset":
        """The elements of an iterable that `make()` returns anew for every pass."""
        if not callable(make):
            raise parameter_error(
                "Dataset.from_generator: an iterator can be used once alone",
                "pass the function that makes it: from_generator(lambda: read(path))",
            )
        return Dataset(lambda number: iter(make()), length)

    # --- steps ------------------------------------------------------------------------------

    @surface
    def shuffle(
        self,
        buffer_size: int | None = None,
        seed: int | None = None,
        reshuffle_each_iteration: bool = True,
    ) -> "Dataset":
        """Another order. Arrays are shuffled whole; of other sources, each element is drawn from
        the next buffer_size, which is needed then. With a seed the orders are the same each run."""
        entropy = np.random.SeedSequence(seed).entropy
        if buffer_size is None:
            raise parameter_error(
                "Dataset.shuffle: this source needs a buffer_size",
                "give the number of elements to draw from, or shuffle before other steps",
            )
        size = _count("shuffle", buffer_size)

        def make(number: int) -> Iterator[Element]:
            rng = _order_rng(entropy, number if reshuffle_each_iteration else 0)
            waiting: list[Element] = []
            for element in self._make(number):
                if len(waiting) < size:
                    waiting.append(element)
                    continue
                place = int(rng.integers(size))
                yield waiting[place]
                waiting[place] = element
            yield from (waiting[place] for place in rng.permutation(len(waiting)))

        return Dataset(make, self._length)

    @surface
    def batch(self, batch_size: int, drop_remainder: bool = False) -> "Dataset":
        """Elements stacked along a new axis, batch_size at a time; the last may be smaller."""
        size = _count("batch", batch_size)

        def make(number: int) -> Iterator[Element]:
            source = self._make(number)
            while chunk := list(itertools.islice(source, size)):
                if len(chunk) == size or not drop_remainder:
                    yield _stacked(chunk)

        return Dataset(make, _batches(self._length, size, drop_remainder))

    @surface
    def map(self, function: Callable[..., Element]) -> "Dataset":
        """`function` of every element; a tuple is passed as its parts: function(x, y)."""

        def make(number: int) -> Iterator[Element]:
            for element in self._make(number):
                yield function(*element) if isinstance(element, tuple) else function(element)

        return Dataset(make, self._length)

    @surface
    def filter(self, predicate: Callable[..., Any]) -> "Dataset":
        """The elements of which the predicate is true."""

        def make(number: int) -> Iterator[Element]:
            for element in self._make(number):
                if predicate(*element) if isinstance(element, tuple) else predicate(element):
                    yield element

        return Dataset(make)

    @surface
    def take(self, count: int) -> "Dataset":
        """The first elements."""
        most = _count("take", count, 0)
        length = None if self._length is None else min(self._length, most)
        return Dataset(lambda number: itertools.islice(self._make(number), most), length)

    @surface
    def skip(self, count: int) -> "Dataset":
        """All but the first elements."""
        first = _count("skip", count, 0)
        length = None if self._length is None else max(self._length - first, 0)
        return Dataset(lambda number: itertools.islice(self._make(number), first, None), length)

    @surface
    def repeat(self, count: int | None = None) -> "Dataset":
        """The elements again and again, without end or `count` times; shuffled anew each time."""
        times = None if count is None else _count("repeat", count, 0)

        def make(number: int) -> Iterator[Element]:
            rounds = itertools.count() if times is None else range(times)
            for turn in rounds:
                found = False
                for element in self._make(turn if times is None else number * times + turn):
                    found = True
                    yield element
                if not found:
                    return

        known = self._length is not None and times is not None
        return Dataset(make, self._length * times if known else None)  # type: ignore[operator]

    @surface
    def concatenate(self, dataset: "Dataset") -> "Dataset":
        """The elements of this dataset, then those of another one."""

        def make(number: int) -> Iterator[Element]:
            yield from self._make(number)
            yield from dataset._make(number)

        known = self._length is not None and dataset._length is not None
        length = self._length + dataset._length if known else None  # type: ignore[operator]
        return Dataset(make, length)

    def cache(self) -> "Dataset":
        """The elements are kept in memory when they have been made once."""
        kept: list[list[Element]] = []

        def make(number: int) -> Iterator[Element]:
            if kept:
                yield from kept[0]
                return
            found: list[Element] = []
            for element in self._make(number):
                found.append(element)
                yield element
            kept[:] = [found]  # only if all have been asked for

        return Dataset(make, self._length)

    @surface
    def prefetch(self, buffer_size: int = 2) -> "Dataset":
        """Elements are made ahead by a thread, while those before are used. Errors in it are raised
        where the element would come; the thread ends when the iterator is dropped. -1: as many as
        usual, which tf.data calls AUTOTUNE."""
        size = 2 if buffer_size == -1 else _count("prefetch", buffer_size)
        return Dataset(lambda number: _ahead(lambda: self._make(number), size), self._length)

    # --- use ----------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Element]:
        return self._make(next(self._passes))

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("the number of elements of this Dataset is not known")
        return self._length

    def cardinality(self) -> int | None:
        """How many elements there are; None if that is not known."""
        return self._length


class _Rows(Dataset):
    """Rows of arrays: shuffled by their numbers, batched by indexing."""

    def __init__(
        self, arrays: Element, rows: int, shuffled: tuple[Any, bool] | None = None
    ) -> None:
        self._arrays, self._shuffled = arrays, shuffled
        super().__init__(self._rows, rows)

    def _order(self, number: int) -> np.ndarray:
        assert self._length is not None
        if self._shuffled is None:
            return np.arange(self._length)
        entropy, again = self._shuffled
        return _order_rng(entropy, number if again else 0).permutation(self._length)

    def _rows(self, number: int) -> Iterator[Element]:
        for place in self._order(number):
            yield _map(lambda array, place=place: array[place], self._arrays)

    @surface
    def shuffle(
        self,
        buffer_size: int | None = None,
        seed: int | None = None,
        reshuffle_each_iteration: bool = True,
    ) -> "Dataset":
        entropy = np.random.SeedSequence(seed).entropy
        assert self._length is not None
        return _Rows(self._arrays, self._length, (entropy, reshuffle_each_iteration))

    @surface
    def batch(self, batch_size: int, drop_remainder: bool = False) -> "Dataset":
        size = _count("batch", batch_size)
        length = _batches(self._length, size, drop_remainder)

        def make(number: int) -> Iterator[Element]:
            order = self._order(number)
            for first in range(0, len(order), size):
                chosen = order[first : first + size]
                if len(chosen) == size or not drop_remainder:
                    yield _map(lambda array, chosen=chosen: array[chosen], self._arrays)

        return Dataset(make, length)


def _order_rng(entropy: Any, number: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(number,)))


def _batches(length: int | None, size: int, drop_remainder: bool) -> int | None:
    if length is None:
        return None
    return length // size if drop_remainder else -(-length // size)


_END = object()


def _ahead(make: Callable[[], Iterator[Element]], size: int) -> Iterator[Element]:
    """The elements of make(), which a thread runs at most `size` ahead."""
    ready: queue.Queue[Any] = queue.Queue(size)
    stop = threading.Event()

    def offer(item: Any) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for element in make():
                if stop.is_set():
                    return
                offer((element, None))
        except BaseException as error:  # raised again where the element is asked for
            offer((None, error))
            return
        offer((_END, None))

    thread = threading.Thread(target=produce, name="graphc-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            element, error = ready.get()
            if error is not None:
                raise error
            if element is _END:
                return
            yield element
    finally:
        stop.set()
