"""Connectionist temporal classification: labels of a sequence without their positions."""

from typing import Any

import graphc as gc
from graphc.layers.configured import written
from graphc.layers.losses.base import Loss, floating
from graphc.records import dataclass

__all__ = ["CTC", "ctc"]

# The logarithm of nothing. Finite, so that differences of two of them are no NaN.
_NEVER = -1e30


def ctc(
    y_true: Any,
    y_pred: Any,
    target_lengths: Any = None,
    input_lengths: Any = None,
    blank: int = 0,
    from_logits: bool = True,
) -> gc.Tensor:
    """-log of the probability of the labels, summed over all their positions in time: [samples].

    y_true: [samples, labels], class numbers. How many of a row count: those that are not `blank`,
    or target_lengths: [samples]. y_pred: [samples, time, classes], logits, or
    probabilities with from_logits=False. input_lengths: [samples], how many steps of time count;
    all without it. Labels that do not fit into the time cost infinity, with zero gradient.
    IndexOutOfRange at the call for labels that name no class.

    Graves, Fernández, Gomez and Schmidhuber, Connectionist temporal classification, 2006: the
    forward variables alpha, in logarithms, over the labels with blanks between them.
    """
    labels, scores = gc.as_tensor(y_true), floating(y_pred)
    if labels.ndim != 2 or scores.ndim != 3:
        raise gc.ShapeError(
            "ctc: labels are [samples, labels], predictions [samples, time, classes]",
            details=[f"y_true  {labels.type}", f"y_pred  {scores.type}"],
            source=written(),
            fix="pad the labels of all samples to one length with the blank",
        )
    if not gc.isdtype(labels.dtype, "integral"):
        labels = labels.astype("int64")
    logs = gc.nn.log_softmax(scores) if from_logits else gc.log(gc.maximum(scores, 1e-7))
    if target_lengths is None:
        used = gc.sum((labels != blank).astype("int64"), axis=1)
    else:
        used = gc.as_tensor(target_lengths).astype("int64")
        labels = gc.where(gc.arange(labels.shape[1]) < used[:, None], labels, blank)

    never = gc.as_tensor(_NEVER, scores.dtype)
    blanks = gc.full_like(labels, blank)
    count = labels.shape[1]
    pairs = gc.reshape(gc.stack([blanks, labels], axis=2), (labels.shape[0], 2 * count))
    ends = gc.full((labels.shape[0], 1), blank, dtype=labels.dtype)
    path = gc.concat([pairs, ends], axis=1)  # blank, a, blank, b, blank
    place = gc.arange(2 * count + 1)
    # From a label straight to the next one, unless they are equal: a blank must stand between.
    before = gc.pad(path, [(0, 0), (2, 0)], constant_values=blank)[:, : 2 * count + 1]
    skips = (path != blank) & (path != before)

    sequence = gc.moveaxis(logs, 1, 0)  # [time, samples, classes]
    emitted = gc.take_along_axis(
        sequence, gc.broadcast_to(path, (sequence.shape[0], *path.shape)), axis=2
    )
    within = gc.arange(sequence.shape[0])[:, None]
    if input_lengths is None:
        counts = gc.full_like(used, sequence.shape[0])
    else:
        counts = gc.as_tensor(input_lengths).astype("int64")
    active = within < counts[None, :]

    def step(alpha: gc.Tensor, now: tuple[gc.Tensor, gc.Tensor]) -> tuple[gc.Tensor, None]:
        score, runs = now
        one = gc.pad(alpha, [(0, 0), (1, 0)], constant_values=_NEVER)[:, : 2 * count + 1]
        two = gc.pad(alpha, [(0, 0), (2, 0)], constant_values=_NEVER)[:, : 2 * count + 1]
        two = gc.where(skips, two, never)
        reached = gc.logaddexp(gc.logaddexp(alpha, one), two) + score
        return gc.where(runs[:, None], gc.maximum(reached, never), alpha), None

    # Before the first step the path is at a place before the first blank: only the first blank and
    # the first label can follow, which is what a start at the first blank gives for both.
    start = gc.where(place == 0, 0.0, never) + gc.zeros(path.shape, dtype=scores.dtype)
    alpha, _ = gc.scan(step, start, (emitted, active))
    last = gc.take_along_axis(alpha, (2 * used)[:, None], axis=1)[:, 0]
    label = gc.take_along_axis(alpha, gc.maximum(2 * used - 1, 0)[:, None], axis=1)[:, 0]
    total = gc.logaddexp(last, gc.where(used > 0, label, never))
    possible = total > _NEVER / 2
    return gc.where(possible, -total, gc.inf)


@dataclass(frozen=True)
class CTC(Loss):
    """`ctc` of each sample: labels [samples, labels] padded with the blank, logits."""

    blank: int = 0
    from_logits: bool = True

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return ctc(y_true, y_pred, blank=self.blank, from_logits=self.from_logits)
