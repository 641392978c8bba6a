"""LayerGraph: layers between given inputs and outputs, so that they can be called anew.

Tensors know the call of the layer that they came from (`LayerOutput.call`). Expressions between
layers are kept as they are: their inputs are replaced when the layers are called again.
"""

from collections.abc import Sequence
from dataclasses import field
from typing import Any

import graphc as gc
from graphc.layers.configured import written
from graphc.layers.input import InputLayer
from graphc.layers.layer import Layer, LayerCall, LayerOutput
from graphc.layers.masks import mask_of
from graphc.layers.reuse import is_unchanged
from graphc.layers.structures import leaves, mapped, tensors_in
from graphc.records import dataclass

Key = tuple[int, int]


@dataclass(eq=False)
class Expression:
    """Operations between layers: `result` as a function of `inputs`."""

    result: gc.Tensor
    inputs: list[gc.Tensor]
    variables: list[gc.Variable] = field(default_factory=list)


Step = LayerCall | Expression


class LayerGraph:
    """The calls between `inputs` and `outputs`, which are structures of tensors.

    FunctionError (E246): the outputs need an Input or a placeholder that is not among the inputs.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        for what, value in (("inputs", inputs), ("outputs", outputs)):
            found = leaves(value)
            if not found or not all(isinstance(leaf, gc.Tensor) for leaf in found):
                wrong = next((leaf for leaf in found if not isinstance(leaf, gc.Tensor)), value)
                raise gc.FunctionError(
                    f"Model: {what} must be tensors, got {wrong!r:.60}",
                    code="E246",
                    source=written(),
                    fix="write x = Input(shape); y = Dense(n)(x); Model(x, y)",
                )
        self.inputs = inputs
        self.outputs = outputs
        self._given: set[Key] = {tensor.key for tensor in tensors_in(inputs)}
        self.steps: list[Step] = []
        self._collect(tensors_in(outputs))

    # --- what there is ------------------------------------------------------------------------

    @property
    def calls(self) -> list[LayerCall]:
        """In the order of computation, inputs first."""
        first = [t.call for t in tensors_in(self.inputs) if isinstance(t, LayerOutput)]
        return [
            *(call for call in first if isinstance(call.layer, InputLayer)),
            *(step for step in self.steps if isinstance(step, LayerCall)),
        ]

    @property
    def layers(self) -> list[Layer]:
        """Each once, in the order of computation."""
        return list({id(call.layer): call.layer for call in self.calls}.values())

    def by_depth(self) -> list[Layer]:
        """The layers behind the inputs in the order that Keras gives them: those with the longest
        way to an output first, and of those the ones that a search from the outputs meets first.

        An expression between layers is a step of such a way, as a layer is.
        """
        made = {
            tensor.key: number
            for number, step in enumerate(self.steps)
            for tensor in (leaves(step.outputs) if isinstance(step, LayerCall) else [step.result])
        }
        depths = [0] * len(self.steps)
        found: dict[int, int] = {}
        for number, step in reversed([*enumerate(self.steps)]):
            if isinstance(step, LayerCall):
                depths[number] = max(depths[number], found.get(id(step.layer), 0))
                found[id(step.layer)] = depths[number]
            for tensor in step.inputs:
                if tensor.key in made:
                    before = made[tensor.key]
                    depths[before] = max(depths[before], depths[number] + 1)
        met = [step.layer for step in self._met if isinstance(step, LayerCall)]
        layers = list({id(layer): layer for layer in met}.values())
        return sorted(layers, key=lambda layer: -found[id(layer)])

    @property
    def expressions(self) -> list[Expression]:
        return [step for step in self.steps if isinstance(step, Expression)]

    def _collect(self, outputs: Sequence[gc.Tensor]) -> None:
        """All steps, each after those that it needs. Iterative."""
        done: set[Any] = set()
        steps: dict[Any, Step] = {}
        waiting: list[gc.Tensor] = list(reversed(outputs))
        while waiting:
            tensor = waiting[-1]
            label = self._label(tensor)
            if label is None or label in done:
                waiting.pop()
                continue
            if label not in steps:
                steps[label] = self._step(tensor)
                needed = [t for t in steps[label].inputs if self._label(t) not in done]
                if needed:
                    waiting += reversed(needed)
                    continue
            waiting.pop()
            done.add(label)
            self.steps.append(steps[label])
        self._met = list(steps.values())  # in the order in which the search came to them

    def _label(self, tensor: gc.Tensor) -> Any:
        """What stands for the step that makes the tensor; None for the graph's inputs."""
        if tensor.key in self._given:
            return None
        return id(tensor.call) if isinstance(tensor, LayerOutput) else tensor.key

    def _step(self, tensor: gc.Tensor) -> Step:
        if isinstance(tensor, LayerOutput):
            if isinstance(tensor.call.layer, InputLayer):
                raise self._missing(tensor)
            return tensor.call
        found = Expression(tensor, [])
        seen: set[int] = {id(tensor.node)}
        waiting = [tensor]
        while waiting:
            current = waiting.pop()
            if isinstance(current, gc.Variable):
                found.variables.append(current)
            elif current.op.name == "placeholder":
                raise self._missing(current)
            for needed in current.node.inputs:
                if needed.key in self._given or isinstance(needed, LayerOutput):
                    found.inputs.append(needed)
                elif id(needed.node) not in seen:
                    seen.add(id(needed.node))
                    waiting.append(needed)
        return found

    def _missing(self, tensor: gc.Tensor) -> gc.FunctionError:
        inputs = ", ".join(str(t.name or t.type) for t in tensors_in(self.inputs))
        return gc.FunctionError(
            f"Model: the outputs need {tensor.name!r}, which is not among the inputs",
            code="E246",
            details=[f"inputs: {inputs}", f"{tensor.name}: {tensor.type}, written {tensor.source}"],
            source=written(),
            fix=f"list {tensor.name} in the inputs of the model",
        )

    # --- calling it anew ------------------------------------------------------------------------

    def replay(self, inputs: Sequence[gc.Tensor]) -> Any:
        """The outputs for other inputs: every layer is called again, in the open context.

        But for those whose inputs are the same, and whose results would be: see `layers.reuse`.
        """
        values: dict[Key, gc.Tensor] = {
            old.key: new for old, new in zip(tensors_in(self.inputs), inputs, strict=True)
        }

        def new(leaf: Any) -> Any:
            return values.get(leaf.key, leaf) if isinstance(leaf, gc.Tensor) else leaf

        for step in self.steps:
            needed = step.inputs
            if all(_is_same(tensor, values.get(tensor.key, tensor)) for tensor in needed):
                if not isinstance(step, LayerCall):
                    values[step.result.key] = step.result
                    continue
                if step.state is not None and is_unchanged(step.state, step.layer):
                    continue
            if isinstance(step, LayerCall):
                kwargs = {name: mapped(new, value) for name, value in step.kwargs.items()}
                made = step.layer(*mapped(new, step.args), **kwargs)
                pairs = zip(leaves(step.outputs), leaves(made), strict=True)
                values.update((old.key, tensor) for old, tensor in pairs)
            else:
                givens = [(tensor, values.get(tensor.key, tensor)) for tensor in _once(needed)]
                values[step.result.key] = gc.substitute(step.result, givens)
        return mapped(new, self.outputs)


def _is_same(old: gc.Tensor, new: gc.Tensor) -> bool:
    return new is old or (new.key == old.key and mask_of(new) is mask_of(old))


def _once(tensors: Sequence[gc.Tensor]) -> list[gc.Tensor]:
    return list({tensor.key: tensor for tensor in tensors}.values())
