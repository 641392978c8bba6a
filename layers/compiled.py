"""Compiled: a model with what `compile` said, and the data that its functions take."""

from collections.abc import Iterable
from typing import Any

import graphc as gc
from graphc.layers import losses, optimizers
from graphc.layers import metrics as metric_names
from graphc.layers.configured import parameter_error
from graphc.layers.feeding import (
    ArrayData,
    Arrays,
    Batch,
    StreamData,
    as_array,
    check_lengths,
    data_error,
    is_array,
    listed,
    weighted,
)
from graphc.layers.layer import Layer
from graphc.layers.seeds import new_seed
from graphc.layers.steps import Settings, Steps, check_labels, names_in, new_inputs, not_compiled
from graphc.layers.structures import mapped, tensors_in
from graphc.surface import surface

Data = ArrayData | StreamData


class Compiled(Layer):
    """What a model was compiled with, its functions, and the data of a call for them."""

    @surface
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        steps_per_execution: int = 1,
        **options: Any,
    ) -> None:
        """Say how to train. Functions are compiled when they are first called.

        optimizer, loss, metrics: names or objects; for several outputs losses, loss_weights and
        metrics are lists or dicts by the names of the outputs. weighted_metrics: metrics that take
        sample weights into account. steps_per_execution: as steps_per_call of `fit`. options: of
        gc.function, such as backend and threads; and autocast="bfloat16" for products in half
        precision, see `gc.autocast`. Compiling again keeps the weights and forgets the state of
        the optimizer.
        """
        unknown = set(options) - {"backend", "threads", "check", "optimize", "cache", "autocast"}
        if unknown:
            raise parameter_error(
                f"compile: there is no option {min(unknown)!r}",
                "options are autocast, and of gc.function backend, threads, check, optimize, cache",
            )
        if options.get("autocast") is not None:
            gc.autocast([], options["autocast"])  # whether there is such a precision
        found = optimizers.get(optimizer)
        for name in names_in(loss):
            losses.get(name)
        for name in names_in([metrics, weighted_metrics]):
            metric_names.get(name)
        self._settings = Settings(found, loss, loss_weights, metrics, weighted_metrics, options)
        self._steps: Steps | None = None
        self._steps_per_call = steps_per_execution
        self._shuffling = [new_seed(), 0]

    @property
    def optimizer(self) -> Any:
        """The optimizer that compile was given."""
        return self._compiled_settings().optimizer

    @property
    def compiled(self) -> bool:
        return getattr(self, "_settings", None) is not None

    def _compiled_settings(self) -> Settings:
        if not self.compiled:
            raise not_compiled(self, "was not compiled")  # type: ignore[arg-type]
        return self._settings

    def _ready(self, batch: Batch, x: Any, settings: Settings | None = None) -> Steps:
        """The functions, for a model that is built by its first data if need be."""
        if settings is None:
            settings = self._compiled_settings()
            if self._steps is not None and self._steps.structure is not None:
                return self._steps
        declared: Any = getattr(self, "input", None)
        if declared is None:
            names = x if isinstance(x, dict) else None
            structure: Any = new_inputs(
                batch,
                {name: a for name, a in zip(names, batch.x, strict=True)}
                if names is not None
                else (batch.x if len(batch.x) > 1 else batch.x[0]),
            )
        else:
            structure = mapped(_as_placeholder, declared)
        return Steps(self, settings, structure)  # type: ignore[arg-type]

    # --- data ---

    def _input_names(self, x: Any) -> list[str]:
        declared: Any = getattr(self, "input", None)
        if isinstance(declared, dict):
            return [str(name) for name in declared]
        if declared is not None:
            calls = [getattr(t, "call", None) for t in tensors_in(declared)]
            return [
                str(t.name) if call is None else call.layer.name
                for t, call in zip(tensors_in(declared), calls, strict=True)
            ]
        if isinstance(x, dict):
            return [str(name) for name in x]
        many = isinstance(x, tuple) or (isinstance(x, list) and getattr(x[0], "ndim", 0) > 0)
        return [f"x{n}" for n in range(len(x))] if many else ["x"]

    def _batch_size(self, given: int | None, usual: int, examples: int) -> int:
        """What was given, or the batch size that an Input of the model has, or the usual one."""
        declared = tensors_in(getattr(self, "input", None))
        known = [t.shape[0] for t in declared if t.ndim and isinstance(t.shape[0], int)]
        if not known:
            return usual if given is None else given
        found = known[0] if given is None else given
        if found != known[0] or examples % found:
            raise data_error(
                f"{examples} examples do not fall into batches of {known[0]}, as the Input demands",
                "give as many examples as fill whole batches, and no other batch_size",
            )
        return found

    def _arrays(self, x: Any) -> Arrays:
        names = self._input_names(x)
        parts = listed(x, names, "inputs")
        return [as_array(a, f"input {name!r}") for a, name in zip(parts, names, strict=True)]

    def _data(
        self,
        x: Any,
        y: Any,
        weight: Any,
        class_weight: Any,
        batch_size: int | None,
        usual: int = 32,
    ) -> tuple[Data, Steps]:
        """What to iterate over, and the functions."""
        if y is None and not is_array(x) and not isinstance(x, dict) and isinstance(x, Iterable):
            return self._stream_data(x)
        arrays = self._arrays(x)
        check_lengths([("x", a) for a in arrays])
        steps = self._ready(Batch([a[:1] for a in arrays], [], None, 1), x)
        self._steps = steps
        for array, tensor in zip(arrays, steps.inputs, strict=True):
            first = tensor.shape[0] if tensor.ndim else None  # a batch, not all examples
            shape = (first, *array.shape[1:]) if isinstance(first, int) else array.shape
            steps.model.check_example(str(tensor.name), shape, tensor)
        targets: Arrays = []
        if y is not None:
            names = steps.names
            parts = listed(y, names, "y")
            targets = [as_array(a, f"target {n!r}") for a, n in zip(parts, names, strict=True)]
        elif any(loss is not None for loss in steps.losses):
            raise data_error("there are no targets", "write model.fit(X, y)")
        found = None if weight is None else as_array(weight, "sample_weight")
        batch_size = self._batch_size(batch_size, usual, len(arrays[0]))
        data = ArrayData(arrays, targets, weighted(targets, found, class_weight), batch_size)
        whole = Batch(arrays, targets, None, data.size)
        check_labels(steps, whole)
        return data, steps

    def _stream_data(self, source: Iterable[Any]) -> tuple[Data, Steps]:
        """Batches as they come; the first one shows what the functions are for."""
        stream = StreamData(source)
        first = stream.first_item()
        given = first[0] if isinstance(first, tuple) else first
        stream.inputs = self._input_names(given)
        arrays = [as_array(a, "x") for a in listed(given, stream.inputs, "inputs")]
        self._steps = self._ready(Batch(arrays, [], None, len(arrays[0])), given)
        stream.outputs = self._steps.names
        return stream, self._steps


def _as_placeholder(tensor: gc.Tensor) -> gc.Tensor:
    """An input that can be fed: the tensor itself, or a placeholder in the place of a result."""
    if tensor.op.name == "placeholder":
        return tensor
    return gc.placeholder(None, tensor.shape, tensor.dtype)
