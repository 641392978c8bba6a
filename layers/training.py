"""Trainer: fit, evaluate and predict, for every model."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers import callbacks as hooks
from graphc.layers.arguments import check_counts
from graphc.layers.compiled import Compiled, Data
from graphc.layers.configured import written
from graphc.layers.feeding import ArrayData, Arrays, Batch, check_lengths, data_error, is_array
from graphc.layers.progress import Display
from graphc.layers.steps import FINITE, Settings, Steps, refuse_own
from graphc.layers.structures import leaves, mapped
from graphc.surface import surface


class Trainer(Compiled):
    """Training and use of a model on arrays."""

    stop_training: bool = False

    # --- fit ---

    @surface
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        steps_per_call: int | None = None,
    ) -> Any:
        """Train, and return the History of the losses and metrics of each epoch.

        x, y: arrays with the examples along the first axis, or lists or dicts of them; or x is a
        generator or an iterable of (x, y) or (x, y, sample_weight), such as a Dataset.
        batch_size: 32 by default. validation_split: the part of the arrays, from their end, that is
        not trained on. class_weight: how much an example of each class counts. shuffle: the order
        of examples is drawn anew for each epoch. steps_per_call: so many batches run in one native
        call; callbacks hear of the last one. verbose: 0 nothing, 1 a bar, 2 a line for each epoch.

        Raises FunctionError (E243): not compiled; FeedError or ShapeError (E242): data that does
        not fit, (E244): labels out of range; NumericsError (E248): the loss is NaN or infinite; the
        weights are those from before that step.
        """
        refuse_own(self, "train_step")
        if validation_split:
            x, y, sample_weight, validation_data = self._split(
                x, y, sample_weight, validation_split, validation_data
            )
        data, steps = self._data(x, y, sample_weight, class_weight, batch_size)
        per_call = self._steps_per_call if steps_per_call is None else steps_per_call
        check_counts(0, epochs=epochs, initial_epoch=initial_epoch)
        check_counts(1, steps_per_epoch=steps_per_epoch, steps_per_call=per_call)
        check_counts(1, validation_steps=validation_steps, validation_freq=validation_freq)
        check_counts(1, validation_batch_size=validation_batch_size)
        listeners = hooks.CallbackList(callbacks, add_history=True)
        guarded = not any(isinstance(c, hooks.TerminateOnNaN) for c in listeners.callbacks)
        total = steps_per_epoch or data.steps()
        listeners.set_model(self)
        listeners.set_params({"epochs": epochs, "steps": total, "verbose": verbose})
        self.stop_training = False
        display = Display(verbose, epochs)
        listeners.on_train_begin()
        logs: dict[str, Any] = {}
        try:
            for epoch in range(initial_epoch, epochs):
                display.begin(epoch, total)
                listeners.on_epoch_begin(epoch)
                batches = data.batches(self._order(data, shuffle), per_call)
                logs, done = self._epoch(
                    steps, batches, listeners, display, steps_per_epoch, epoch, guarded
                )
                if validation_data is not None and (epoch + 1) % validation_freq == 0:
                    values = self._validated(
                        validation_data, validation_batch_size or batch_size, validation_steps
                    )
                    logs |= {f"val_{name}": value for name, value in values.items()}
                display.end(done, logs)
                listeners.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
        finally:
            display.close()
        finalize = getattr(self.optimizer, "finalize_variable_values", None)
        if finalize is not None:
            finalize(self.trainable_weights)
        listeners.on_train_end(logs)
        return listeners.history

    def _order(self, data: Data, shuffle: bool) -> np.ndarray | None:
        """The order of the examples in the next epoch: a function of the seed and its number."""
        if not shuffle or not isinstance(data, ArrayData):
            return None
        order = np.random.default_rng(self._shuffling).permutation(data.size)
        self._shuffling[1] += 1
        return order

    def _epoch(
        self,
        steps: Steps,
        batches: Iterable[Batch],
        listeners: Any,
        display: Display,
        limit: int | None,
        epoch: int,
        guarded: bool,
    ) -> tuple[dict[str, Any], int]:
        """One pass over the batches: means of the losses, metrics, and the number of steps."""
        steps.reset()
        sums: dict[str, float] = {}
        count = done = 0
        means: dict[str, Any] = {}
        iterator = iter(batches)
        while limit is None or done < limit:
            batch = next(iterator, None)
            if batch is None:
                break
            listeners.on_train_batch_begin(done)
            values = self._run(steps, "train", batch, guarded, epoch, done)
            done += batch.steps
            count += batch.size
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value * batch.size
            means = {name: value / count for name, value in sums.items()}
            if display.bar is not None:
                display.step(done, means | steps.results())
            listeners.on_train_batch_end(done - 1, values)
            if self.stop_training:
                break
        if not done:
            raise data_error("there is no data to train on", "give one example at least")
        return means | steps.results(), done

    def _run(
        self,
        steps: Steps,
        kind: str,
        batch: Batch,
        guarded: bool = True,
        epoch: int = 0,
        step: int = 0,
    ) -> dict[str, Any]:
        """One call of a function; NumericsError (E248) where the loss is no finite number."""
        try:
            return steps.run(kind, batch, guarded)
        except gc.AssertionFailed as error:
            if FINITE not in str(error):
                raise
            raise self._not_finite(epoch, step) from error

    def _not_finite(self, epoch: int, step: int) -> gc.NumericsError:
        return gc.NumericsError(
            f"the loss became NaN or infinite in step {step + 1} of epoch {epoch + 1}",
            code="E248",
            details=[f"learning rate {self.optimizer.learning_rate:g}"],
            source=written(),
            fix="look for NaN in the data, scale the inputs to about 1, lower the learning rate, "
            'or clip gradients: optimizers.Adam(clipnorm=1); compile(check="nan") names the '
            "operation. The weights are those from before this step",
        )

    def _split(self, x: Any, y: Any, weight: Any, part: float, validation: Any) -> Any:
        """Training arrays, and the last part of all as validation data."""
        if validation is not None:
            raise data_error("validation_split and validation_data", "give one of them")
        if not 0 < part < 1:
            raise data_error(f"validation_split={part!r}", "use a number between 0 and 1")
        if y is None:
            raise data_error("validation_split needs arrays", "give validation_data")
        sizes = [len(leaf) for leaf in leaves([_whole(x), _whole(y)])]
        cut = sizes[0] - int(sizes[0] * part)
        if not 0 < cut < sizes[0]:
            raise data_error(
                f"validation_split={part!r} of {sizes[0]} examples leaves none on one side",
                "give more examples, or validation_data",
            )

        def taken(value: Any, rows: slice) -> Any:
            return None if value is None else mapped(lambda a: np.asarray(a)[rows], _whole(value))

        first, second = slice(0, cut), slice(cut, None)
        held: tuple[Any, ...] = (taken(x, second), taken(y, second))
        if weight is not None:
            held = (*held, taken(weight, second))
        return taken(x, first), taken(y, first), taken(weight, first), held

    def _validated(self, given: Any, batch_size: int | None, limit: int | None) -> dict[str, Any]:
        if isinstance(given, tuple) and len(given) in (2, 3):
            weight = given[2] if len(given) == 3 else None
            data, steps = self._data(given[0], given[1], weight, None, batch_size)
        else:
            data, steps = self._data(given, None, None, None, batch_size)
        return self._tested(data, steps, limit)

    def _tested(self, data: Data, steps: Steps, limit: int | None) -> dict[str, Any]:
        steps.reset()
        sums: dict[str, float] = {}
        count = 0
        for done, batch in enumerate(data.batches(None)):
            if done == limit:
                break
            for name, value in steps.run("test", batch).items():
                sums[name] = sums.get(name, 0.0) + value * batch.size
            count += batch.size
        if not count:
            raise data_error("there is no data to test on", "give one example at least")
        results = steps.results()
        steps.reset()
        return {name: value / count for name, value in sums.items()} | results

    # --- evaluate, predict, single batches ---

    @surface
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = 0,
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics, of prediction: a number, a list, or a dict by name."""
        refuse_own(self, "test_step")
        check_counts(1, steps=steps)
        data, functions = self._data(x, y, sample_weight, None, batch_size, usual=256)
        listeners = hooks.CallbackList(callbacks, model=self)
        listeners.on_test_begin()
        values = self._tested(data, functions, steps)
        listeners.on_test_end(values)
        if verbose:
            display = Display(2, 1)
            display.begin(0, None)
            display.title = "test"
            display.end(0, values)
        return values if return_dict else _listed(values)

    @surface
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = 0,
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for all examples, as arrays in the structure of the outputs.

        A model needs no compile for this. batch_size: 256 by default, or that of its Input.
        callbacks: hear on_predict_begin and on_predict_end.
        """
        refuse_own(self, "predict_step")
        check_counts(1, steps=steps)
        listeners = hooks.CallbackList(callbacks, model=self)
        listeners.on_predict_begin()
        found = self._predicted(x, batch_size, steps)
        listeners.on_predict_end()
        return found

    def _predicted(self, x: Any, batch_size: int | None, steps: int | None) -> Any:
        if not is_array(x) and not isinstance(x, dict) and isinstance(x, Iterable):
            items = (item[0] if isinstance(item, tuple) else item for item in islice(x, steps))
            return _joined([self._predicted(item, batch_size, None) for item in items])
        arrays = self._arrays(x)
        size = check_lengths([("x", a) for a in arrays])
        functions = self._predictor(arrays, x)
        data = ArrayData(arrays, [], None, self._batch_size(batch_size, 256, size))
        batches = data.batches(None) if size else iter([data.first()])
        parts = []
        for done, batch in enumerate(batches):
            if done == steps:
                break
            parts.append(functions.predict()(*functions.feeds(batch, targets=False)))
        return _joined(parts)

    def _predictor(self, arrays: Arrays, x: Any) -> Steps:
        """Functions for prediction, which need no compile."""
        batch = Batch([a[:1] for a in arrays], [], None, 1)
        if self.compiled:
            self._steps = self._ready(batch, x)
            return self._steps
        held: Steps | None = getattr(self, "_untrained", None)
        if held is None:
            held = self._ready(batch, x, Settings(None, None, None, None, None, {}))
            self._untrained = held
        return held

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for these examples, in one call."""
        arrays = self._arrays(x)
        functions = self._predictor(arrays, x)
        batch = Batch(arrays, [], None, len(arrays[0]))
        return functions.predict()(*functions.feeds(batch, targets=False))

    @surface
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step. Returns the loss and the metrics of this batch, before the step."""
        return self._on_batch("train", x, y, sample_weight, class_weight, return_dict)

    @surface
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and the metrics of one batch."""
        return self._on_batch("test", x, y, sample_weight, None, return_dict)

    def _on_batch(
        self, kind: str, x: Any, y: Any, weight: Any, class_weight: Any, return_dict: bool
    ) -> Any:
        refuse_own(self, f"{kind}_step")
        data, steps = self._data(x, y, weight, class_weight, None)
        assert isinstance(data, ArrayData)
        if not data.size:
            raise data_error("the batch has no examples", "give one example at least")
        steps.reset()
        batch = Batch(data.x, data.y, data.weight, data.size)
        values = self._run(steps, kind, batch) | steps.results()
        return values if return_dict else _listed(values)


def _listed(values: dict[str, Any]) -> Any:
    """The values without their names; one alone is no list."""
    found = list(values.values())
    return found[0] if len(found) == 1 else found


def _whole(value: Any) -> Any:
    """A list of numbers is one array; a list of arrays is several."""
    if isinstance(value, list) and not (value and hasattr(value[0], "shape")):
        return np.asarray(value)
    return value


def _joined(parts: list[Any]) -> Any:
    """Structures of arrays joined along the first axis."""
    if not parts:
        raise data_error("the generator yields nothing", "yield arrays of examples")
    first = parts[0]
    columns = [leaves(part) for part in parts]
    arrays = iter([np.concatenate(column) for column in zip(*columns, strict=True)])
    return mapped(lambda _: next(arrays), first)
