"""The signature of a function: inputs, the structure of outputs, pairs of updates; all checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.errors import FunctionError
from graphc.ir.leaf import PLACEHOLDER, VARIABLE, Variable, as_tensor
from graphc.ir.source import Sources
from graphc.ir.tensor import Tensor
from graphc.ops.definition import convert, is_weak


@dataclass(frozen=True, slots=True)
class Structure:
    """How the caller wants the outputs: kind is "none", "one", "list", "tuple" or "dict"."""

    kind: str
    keys: tuple[Any, ...]

    @property
    def names(self) -> tuple[str | None, ...]:
        """What the caller calls each output, where keys are usable as names."""
        return tuple(k if isinstance(k, str) and k.isidentifier() else None for k in self.keys)

    def pack(self, outputs: list[np.ndarray]) -> Any:
        """The arrays in the structure that `outputs` had."""
        if self.kind == "one":
            return outputs[0]
        if self.kind == "list":
            return outputs
        if self.kind == "tuple":
            return tuple(outputs)
        if self.kind == "dict":
            return dict(zip(self.keys, outputs, strict=True))
        return None


def result_structure(outputs: Any) -> tuple[list[Tensor], Structure]:
    """The output tensors in order, and how to give their values back."""
    if outputs is None:
        return [], Structure("none", ())
    if isinstance(outputs, Mapping):
        tensors = [as_tensor(value) for value in outputs.values()]
        return tensors, Structure("dict", tuple(outputs))
    if isinstance(outputs, list | tuple):
        tensors = [as_tensor(value) for value in outputs]
        kind = "list" if isinstance(outputs, list) else "tuple"
        return tensors, Structure(kind, (None,) * len(tensors))
    return [as_tensor(outputs)], Structure("one", (None,))


def check_inputs(inputs: Sequence[Tensor], sources: Sources) -> None:
    """Inputs are placeholders, each once, with names of their own."""
    seen: dict[str, Tensor] = {}
    for tensor in inputs:
        if not isinstance(tensor, Tensor) or tensor.node.op is not PLACEHOLDER:
            raise FunctionError(
                f"inputs must be placeholders, got {tensor!r}",
                code="E205",
                source=sources[0] if sources else None,
                fix="variables need not be listed; other expressions are fed through givens",
            )
        name = str(tensor.name)
        if name in seen:
            same = seen[name].node is tensor.node
            raise FunctionError(
                f"input {name!r} is listed twice" if same else f"two inputs are named {name!r}",
                code="E206",
                details=[f"{name}: {t.type}, declared {t.source}" for t in (seen[name], tensor)],
                source=sources[0] if sources else None,
                fix="list each placeholder once, and give each a name of its own",
            )
        seen[name] = tensor


def named_updates(updates: Any, sources: Sources) -> list[tuple[Variable, Tensor]]:
    """(variable, new value) pairs of matching dtype and rank; each variable once."""
    pairs = list(updates.items()) if isinstance(updates, Mapping) else list(updates or ())
    source = sources[0] if sources else None
    seen: set[int] = set()
    result: list[tuple[Variable, Tensor]] = []
    for key, value in pairs:
        if not isinstance(key, Tensor) or key.node.op is not VARIABLE:
            raise FunctionError(
                f"updates: {key!r} is not a variable",
                code="E207",
                source=source,
                fix="only variables made with gc.variable can be updated",
            )
        variable = key if isinstance(key, Variable) else Variable(key.node)
        if id(variable.node) in seen:
            raise FunctionError(
                f"variable {variable.name!r} is updated twice",
                code="E207",
                details=[f"{variable.name}: {variable.type}, declared {variable.source}"],
                source=source,
                fix="combine the two expressions into one update",
            )
        seen.add(id(variable.node))
        new = convert(value, variable.dtype) if is_weak(value) else as_tensor(value)
        if new.dtype != variable.dtype or not _may_equal(new, variable):
            raise FunctionError(
                f"the update of {variable.name!r} has another dtype or shape",
                code="E208",
                details=[f"got {new.type}", f"allowed {variable.type}"],
                source=new.sources[0] if new.sources else source,
                fix="cast with .astype, reduce or broadcast the new value to the variable's shape",
            )
        result.append((variable, new))
    return result


def _may_equal(new: Tensor, variable: Variable) -> bool:
    """Static sizes are equal; symbolic ones are compared at the call."""
    return new.ndim == variable.ndim and all(
        not isinstance(size, int) or size == wanted
        for size, wanted in zip(new.shape, variable.shape, strict=True)
    )
