"""Arrays for training: one-hot labels, padded sequences, windows of a series."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.layers.arguments import check_counts
from graphc.layers.configured import parameter_error
from graphc.layers.data.dataset import Dataset
from graphc.surface import surface

__all__ = ["pad_sequences", "timeseries_dataset_from_array", "to_categorical"]


@surface
def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """float64 rows with 1 at the class: [..., num_classes] for class numbers [...] or [..., 1].

    num_classes: the largest number + 1 by default. ParameterError: numbers out of range.
    """
    check_counts(1, num_classes=num_classes)
    labels = np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    whole = labels.dtype.kind in "biu" or (
        labels.dtype.kind == "f" and bool((labels == np.floor(labels)).all())
    )
    if not whole:
        raise parameter_error(
            f"to_categorical: {labels.dtype.name} values are no class numbers",
            "give whole numbers, from 0 on",
        )
    labels = labels.astype("int64")
    largest = int(labels.max()) if labels.size else -1
    count = max(largest + 1, 1) if num_classes is None else num_classes
    if labels.size and (labels.min() < 0 or largest >= count):
        raise parameter_error(
            f"to_categorical: class numbers from {labels.min()} to {largest}",
            f"number the classes from 0 to {count - 1}, or give more num_classes",
        )
    rows = np.zeros((*labels.shape, count))
    np.put_along_axis(rows, labels[..., None], 1.0, axis=-1)
    return rows


def _end(name: str, value: str) -> bool:
    """Whether a place is the end."""
    if value not in ("pre", "post"):
        raise parameter_error(f"pad_sequences: {name}={value!r:.60}", "use 'pre' or 'post'")
    return value == "post"


@surface
def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array [sequences, maxlen, ...].

    maxlen: the longest length by default. padding: whether `value` stands before a sequence that is
    shorter ("pre") or behind it ("post"). truncating: where longer ones are cut. Steps may be
    numbers or arrays of one shape. ParameterError: steps of different shapes.
    """
    check_counts(1, maxlen=maxlen)
    behind, cut_end = _end("padding", padding), _end("truncating", truncating)
    try:
        arrays = [np.asarray(one, dtype) for one in sequences]
    except (TypeError, ValueError, OverflowError) as error:
        raise parameter_error(
            f"pad_sequences: a sequence is no array of {np.dtype(dtype).name}: {error}",
            "give a list of lists or arrays of numbers, and dtype='float32' for floats",
        ) from None
    if any(not array.ndim for array in arrays):
        raise parameter_error(
            "pad_sequences: one of the sequences is a number", "give a list of lists or arrays"
        )
    shapes = {array.shape[1:] for array in arrays if len(array)}
    if len(shapes) > 1:
        raise parameter_error(
            f"pad_sequences: steps of shapes {', '.join(map(str, sorted(shapes)))}",
            "bring all steps to one shape",
        )
    longest = max((len(array) for array in arrays), default=0)
    size = longest if maxlen is None else maxlen
    result = np.full((len(arrays), size, *(shapes.pop() if shapes else ())), value, dtype)
    for row, array in zip(result, arrays, strict=True):
        kept = array[:size] if cut_end else array[max(len(array) - size, 0) :]
        if len(kept):
            row[slice(len(kept)) if behind else slice(size - len(kept), None)] = kept
    return result


@surface
def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> Dataset:
    """Windows of a series [steps, ...], as a Dataset of batches.

    A window has sequence_length steps that are sampling_rate apart; the next one starts
    sequence_stride later. targets: the target of the window that starts at each step, or None.
    start_index, end_index: the part of the series that is used. batch_size: None for windows that
    are not batched.
    """
    check_counts(
        1,
        sequence_length=sequence_length,
        sequence_stride=sequence_stride,
        sampling_rate=sampling_rate,
    )
    series = np.asarray(data)[start_index:end_index]
    goals = None if targets is None else np.asarray(targets)[start_index:end_index]
    count = len(series) - (sequence_length - 1) * sampling_rate
    count = count if goals is None else min(count, len(goals))
    if count < 1:
        raise parameter_error(
            f"timeseries_dataset_from_array: {len(series)} steps, and windows that span "
            f"{(sequence_length - 1) * sampling_rate + 1}",
            "give a longer series, or shorter windows",
        )
    starts = np.arange(0, count, sequence_stride)
    places = np.arange(sequence_length) * sampling_rate
    windows = Dataset.from_arrays(starts)
    if shuffle:
        windows = windows.shuffle(seed=seed)

    def taken(at: np.ndarray) -> Any:
        found = series[at[..., None] + places]
        return found if goals is None else (found, goals[at])

    return (windows if batch_size is None else windows.batch(batch_size)).map(taken)
