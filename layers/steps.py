"""The compiled functions of a model: a training step, a test step, prediction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gc
from graphc.layers import losses, metrics
from graphc.layers.calls import LayerOutput
from graphc.layers.configured import parameter_error, written
from graphc.layers.context import CallContext
from graphc.layers.feeding import Batch, data_error, listed
from graphc.layers.late import Pairs, late_updates
from graphc.layers.masks import mask_of, spread_mask
from graphc.layers.parameters import Parameter, trained_in
from graphc.layers.structures import leaves, mapped, tensors_in
from graphc.records import dataclass

if TYPE_CHECKING:
    from graphc.layers.model import Model

FINITE = "the loss is a finite number"


@dataclass
class Settings:
    """What `compile` was given, resolved."""

    optimizer: Any
    losses: Any
    loss_weights: Any
    metrics: Any
    weighted_metrics: Any
    options: dict[str, Any]


@dataclass(eq=False)
class NamedMetric:
    """A metric of one output, under the name that logs have for it."""

    name: str
    metric: Any
    output: int
    weighted: bool


class Steps:
    """Functions for one model, compiled when they are first needed, each for all batch sizes.

    inputs: placeholders; structure: of what the model is called with.
    """

    def __init__(self, model: "Model", settings: Settings, structure: Any) -> None:
        self.model, self.settings, self.structure = model, settings, structure
        self.options = {name: v for name, v in settings.options.items() if name != "autocast"}
        self.inputs = tensors_in(structure)
        declared = model.graph
        if declared is not None and same_tensors(self.inputs, tensors_in(declared.inputs)):
            self.predictions = leaves(declared.outputs)  # types are all that is asked of them
        else:
            self.predictions = leaves(model(structure, training=False))
        self.names = output_names(model, self.predictions)
        count = len(self.predictions)
        self.losses = self._losses(count)
        weights = settings.loss_weights
        self.loss_weights = (
            [1.0] * count if weights is None else self._of_outputs(weights, "loss_weights")
        )
        self.metrics = [
            *self._metrics(settings.metrics, False),
            *self._metrics(settings.weighted_metrics, True),
        ]
        self._functions: dict[Any, gc.Function] = {}
        self._results: gc.Function | None = None
        self._layers: list[Any] | None = None
        self._trainable: list[bool] = []
        self._keys: tuple[Any, ...] = ()

    # --- losses and metrics ---

    def _losses(self, count: int) -> list[Any]:
        given = self.settings.losses
        if given is None:
            return [None] * count
        if isinstance(given, list | tuple) or (
            isinstance(given, dict) and "class_name" not in given
        ):
            found = self._of_outputs(given, "losses")
        else:
            found = [given] * count
        return [None if one is None else losses.get(one) for one in found]

    def _of_outputs(self, given: Any, what: str) -> list[Any]:
        """A setting for each output: a list has one for each, even where there is one output."""
        return listed(tuple(given) if isinstance(given, list) else given, self.names, what)

    def _metrics(self, given: Any, weighted: bool) -> list[NamedMetric]:
        if given is None:
            return []
        many = len(self.names) > 1
        if isinstance(given, dict):
            pairs = [(self._position(name), value) for name, value in given.items()]
        elif many:
            if len(given) != len(self.names):
                raise data_error(
                    f"metrics: {len(given)} given for {len(self.names)} outputs",
                    "give a list or a dict with the metrics of each output",
                )
            pairs = list(enumerate(given))
        else:
            pairs = [(0, given)]
        found = []
        for output, value in pairs:
            for one in value if isinstance(value, list | tuple) else [value]:
                metric = metrics.get(one)
                name = f"{self.names[output]}_{metric.name}" if many else str(metric.name)
                found.append(NamedMetric(name, metric, output, weighted))
        return found

    def _position(self, name: str) -> int:
        if name not in self.names:
            raise parameter_error(
                f"there is no output {name!r}", f"use one of {', '.join(self.names)}", "E242"
            )
        return self.names.index(name)

    # --- functions ---

    def function(self, kind: str, batch: Batch, guarded: bool = True) -> gc.Function:
        """The function of "train" or "test" for targets of these dtypes and ranks."""
        signature = tuple((a.dtype.kind, a.ndim - (batch.steps > 1)) for a in batch.y)
        rank = None if batch.weight is None else batch.weight.ndim - (batch.steps > 1)
        key = (kind, signature, rank, self._trained(), guarded)
        if key not in self._functions:
            self._functions[key] = self._compiled(kind, batch, guarded)
        return self._functions[key]

    def _trained(self) -> tuple[Any, ...]:
        """The keys of what is trained. Layers are looked for once a pass over the data; whether
        they are to be trained, a callback may say before every step."""
        known = self._layers
        if known is None or [layer._trainable for layer in known] != self._trainable:
            self._layers = known = [layer for _, layer in self.model.all_layers()]
            self._trainable = [layer._trainable for layer in known]
            self._keys = tuple(parameter.variable.key for parameter in trained_in(known))
        return self._keys

    def _compiled(self, kind: str, batch: Batch, guarded: bool) -> gc.Function:
        targets = [self._target(n, array, batch.steps > 1) for n, array in enumerate(batch.y)]
        weight = None
        if batch.weight is not None:
            shape = batch.weight.shape[1:] if batch.steps > 1 else batch.weight.shape
            rest = [f"weight_{axis}" for axis in range(1, len(shape))]
            weight = gc.placeholder("sample_weight", (gc.dim("batch"), *rest))
        inputs = [*self.inputs, *targets, *([] if weight is None else [weight])]
        with CallContext(training=kind == "train") as context:
            outputs = leaves(self.model(self.structure))
            outputs, states = self._autocast(outputs, context)
            total, parts = self._cost(outputs, targets, weight, context)
        results: dict[str, gc.Tensor] = {"loss": total}
        if kind == "train" and guarded:
            results["loss"] = gc.assert_(total, gc.isfinite(total), FINITE)
        if len(outputs) > 1:
            results |= parts
        seen: Pairs = {}
        for one in self.metrics:
            seen |= one.metric.update(
                targets[one.output],
                outputs[one.output],
                _counted(outputs[one.output], weight if one.weighted else None),
            )
        return gc.function(
            inputs,
            results,
            updates=self._updates(kind, total, states, seen),
            name=kind,
            on_unused_input="ignore",
            **self.options,
        )

    def _autocast(self, outputs: list[Any], context: CallContext) -> tuple[list[Any], Pairs]:
        """What the layers returned and the states that they leave, with products in half precision
        if compile says so."""
        states = dict(context.updates)
        half = self.settings.options.get("autocast")
        if half is None:
            return outputs, states
        found, values, context.losses = gc.autocast(
            [outputs, list(states.values()), context.losses], half
        )
        found = [
            LayerOutput(new, old.call, old.mask) if isinstance(old, LayerOutput) else new
            for new, old in zip(found, outputs, strict=True)
        ]
        return found, dict(zip(states, values, strict=True))

    def _updates(self, kind: str, total: gc.Tensor, states: Pairs, seen: Pairs) -> Any:
        """Those of layers' states, of the weights, and of metrics; one of the later ones counts."""
        parameters = self.model.trainable_parameters if kind == "train" else []
        if not parameters:
            return states | seen
        optimizer = self.settings.optimizer

        def made(optimizer: Any) -> Pairs:
            return states | _new_weights(total, optimizer, parameters) | seen

        late = late_updates(total, optimizer, parameters, states | seen, made)
        return made(optimizer) if late is None else late

    def _target(self, number: int, array: np.ndarray, stacked: bool) -> gc.Tensor:
        """A placeholder for targets: the sizes of the output where those are symbolic."""
        shape = array.shape[1:] if stacked else array.shape
        output = self.predictions[number]
        sizes: list[Any] = [gc.dim("batch")]
        for axis in range(1, len(shape)):
            known = output.shape[axis] if axis < output.ndim else shape[axis]
            sizes.append(shape[axis] if isinstance(known, int) else f"target_{number}_{axis}")
        dtype: Any = {"b": "bool", "f": output.dtype}.get(array.dtype.kind, "int64")
        return gc.placeholder(f"target_{number}", sizes, dtype)

    def _cost(
        self, outputs: list[Any], targets: list[Any], weight: Any, context: CallContext
    ) -> tuple[gc.Tensor, dict[str, gc.Tensor]]:
        """The sum of the losses of the outputs, penalties of weights, and what layers added."""
        parts: dict[str, gc.Tensor] = {}
        total: Any = None
        for number, (loss, factor) in enumerate(zip(self.losses, self.loss_weights, strict=True)):
            if loss is None:
                continue
            value = loss(targets[number], outputs[number], weight)
            if value.ndim:
                value = gc.mean(value)
            parts[f"{self.names[number]}_loss"] = value
            value = value if factor == 1 else value * factor
            total = value if total is None else total + value
        for penalty in [*self.model.losses, *context.losses]:
            total = penalty if total is None else total + penalty
        if total is None:
            raise not_compiled(self.model, "has no loss")
        return total, parts

    def predict(self) -> gc.Function:
        if "predict" not in self._functions:
            with CallContext() as context:
                outputs = self.model(self.structure)
            made, states = self._autocast(leaves(outputs), context)
            results = iter(made)
            self._functions["predict"] = gc.function(
                self.inputs,
                mapped(lambda _: next(results), outputs),
                updates=states,
                name="predict",
                on_unused_input="ignore",
                **self.options,
            )
        return self._functions["predict"]

    # --- calls ---

    def feeds(self, batch: Batch, targets: bool = True) -> list[Any]:
        """The arrays of a batch as the functions take them."""
        found: list[Any] = []
        for array, tensor in zip(batch.x, self.inputs, strict=True):
            found.append(fitted(self.model, array, tensor, batch.steps > 1))
        if targets:
            for array, output in zip(batch.y, self.predictions, strict=True):
                kind = array.dtype.kind
                dtype: Any = {"b": bool, "f": output.dtype}.get(kind, np.int64)
                found.append(array.astype(dtype, copy=False))
            if batch.weight is not None:
                found.append(batch.weight.astype("float32", copy=False))
        return found

    def run(self, kind: str, batch: Batch, guarded: bool = True) -> dict[str, Any]:
        """One call: a step, or several; values are means over the steps."""
        function = self.function(kind, batch, guarded)
        feeds = self.feeds(batch)
        if batch.steps == 1:
            return {name: float(value) for name, value in function(*feeds).items()}
        found = function.repeat(batch.steps, *feeds)
        return {name: float(np.mean(value)) for name, value in found.items()}

    def results(self) -> dict[str, Any]:
        """The metrics over all batches since they were reset."""
        if not self.metrics:
            return {}
        if self._results is None:
            values = [one.metric.result() for one in self.metrics]
            self._results = gc.function([], values, name="metrics", default_updates=False)
        found = zip(self.metrics, self._results(), strict=True)
        return {one.name: float(v) if np.ndim(v) == 0 else v for one, v in found}

    def reset(self) -> None:
        """Before a pass over data."""
        self._layers = None
        for one in self.metrics:
            one.metric.reset()


def fitted(model: "Model", array: np.ndarray, tensor: gc.Tensor, stacked: bool = False) -> Any:
    """An input array in the dtype of its placeholder; ShapeError (E242) if it does not fit."""
    from_shape = array.shape[1:] if stacked else array.shape
    model.check_example(str(tensor.name), from_shape, tensor)
    wanted = tensor.dtype
    if array.dtype.kind == "f" and not gc.isdtype(wanted, "real floating"):
        raise data_error(
            f"input {tensor.name!r} is {wanted.name} and was given {array.dtype.name}",
            f"give integers: X.astype({wanted.name!r})",
        )
    return array.astype(wanted, copy=False)


def _new_weights(
    total: gc.Tensor, optimizer: Any, parameters: Sequence[Parameter]
) -> dict[gc.Variable, Any]:
    """The updates of the optimizer; constraints change the new values of weights."""
    found = dict(optimizer.updates(total, [p.variable for p in parameters]))
    by_key = {variable.key: variable for variable in found}
    for parameter in parameters:
        if parameter.constraint is not None:
            variable = by_key[parameter.variable.key]
            found[variable] = parameter.constraint(found[variable])
    return found


def _counted(output: Any, weight: Any) -> Any:
    """The weights of samples for a metric: padded steps of the output do not count."""
    mask = mask_of(output)
    if mask is None:
        return weight
    found = mask.astype("float32")
    return found if weight is None else found * spread_mask(weight, mask.ndim)


def same_tensors(some: Sequence[gc.Tensor], others: Sequence[gc.Tensor]) -> bool:
    return [tensor.key for tensor in some] == [tensor.key for tensor in others]


def output_names(model: "Model", outputs: Sequence[Any]) -> list[str]:
    """The keys of a dict of outputs, else the names of the layers that they come from."""
    if isinstance(model.output, dict):
        return [str(name) for name in model.output]
    labels = {id(layer): label for label, layer in model.sublayers()}
    declared = model.outputs
    found: list[str] = []
    for number in range(len(outputs)):
        call = getattr(declared[number], "call", None) if declared else None
        name = labels.get(id(call.layer)) if call is not None else None
        name = call.layer.name if call is not None and not call.layer._automatic else name
        name = name or f"output_{number}"
        found.append(name if name not in found else f"{name}_{number}")
    return found


def names_in(given: Any) -> list[str]:
    """The names of losses or metrics in what `compile` was given, but for those in descriptions."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, dict):
        given = [] if "class_name" in given else list(given.values())
    return [n for one in given for n in names_in(one)] if isinstance(given, list | tuple) else []


def not_compiled(model: "Model", problem: str) -> gc.FunctionError:
    return gc.FunctionError(
        f"{type(model).__name__} {model.name!r} {problem}",
        code="E243",
        source=written(),
        fix='call model.compile(optimizer="adam", loss="mse") first',
    )


def refuse_own(model: Any, step: str) -> None:
    """FunctionError (E243) if the class has a step of its own, as Keras's models may: nobody would
    call it."""
    if not callable(getattr(model, step, None)):
        return
    raise gc.FunctionError(
        f"{type(model).__name__}.{step} is not called: a step is a graph here, compiled once",
        code="E243",
        source=written(),
        fix="give compile(loss=...) a function of targets and predictions, or call a function of "
        "your own: gc.function(inputs, losses, updates=optimizer.updates(loss, weights))",
    )


def check_labels(steps: Steps, batch: Batch) -> None:
    """FeedError (E244): a class number that the model has no output for."""
    for number, loss in enumerate(steps.losses):
        if not isinstance(loss, losses.SparseCategoricalCrossentropy) or not len(batch.y):
            continue
        labels, classes = batch.y[number], steps.predictions[number].shape[-1]
        if not isinstance(classes, int) or labels.size == 0:
            continue
        ignored = getattr(loss, "ignore_class", None)
        wrong = ((labels < 0) | (labels >= classes)) & (labels != ignored)
        if wrong.any():
            place = tuple(int(n[0]) for n in np.nonzero(wrong))
            raise gc.FeedError(
                f"the label {labels[place]} is out of range: the model tells {classes} classes",
                code="E244",
                details=[
                    f"got     {labels.min()} to {labels.max()}, first at {list(place)}",
                    f"allowed 0 to {classes - 1}",
                ],
                source=written(),
                fix="number the classes from 0, and give the last layer a unit for each class",
            )


def new_inputs(batch: Batch, structure: Any) -> Any:
    """Placeholders for data of a model that has none: sizes of an example as they are."""
    numbers = iter(range(len(batch.x)))

    def made(array: Any) -> gc.Tensor:
        found = np.asarray(array)
        dtype = "float32" if found.dtype == np.float64 else found.dtype
        return gc.placeholder(f"x{next(numbers)}", (gc.dim("batch"), *found.shape[1:]), dtype)

    return mapped(made, structure)
