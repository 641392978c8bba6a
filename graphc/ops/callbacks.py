"""The op behind gc.debug: a value passes through, and a Python function is told."""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.errors import CustomOpError
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import HostCall
from graphc.ir.node import Attributes
from graphc.ir.opdef import Application, Example, Gradients, OpDef
from graphc.ir.registry import Builder, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.pairs import through_pairs

Function = Callable[..., object]


def _reference(attrs: Attributes, x: np.ndarray, *others: np.ndarray) -> np.ndarray:
    attrs["function"](x, *others)
    return x


def _vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    return [gradients[0], *[None] * (len(application.inputs) - 1)]


def _jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    return [tangents[0]]


CALLBACK = register(
    OpDef(
        "callback",
        infer=lambda call: call.types[0],
        reference=_reference,
        lower=HostCall(owned=True),
        vjp=_vjp,
        jvp=_jvp,
        parts=through_pairs,
        traits=frozenset({"effect", "transparent"}),
        examples=lambda rng: [
            Example(lambda x: call_back("example", _nothing, x, x * 2), (rng.normal(size=shape),))
            for shape in ((), (0,), (2, 3))
        ],
    )
)


def _nothing(*arrays: np.ndarray) -> None:
    pass


def call_back(label: str, function: Function, x: Any, *others: Any) -> Tensor:
    """x, with a call of `function(x, *others)` whenever it is computed."""
    if not callable(function):
        raise CustomOpError(
            f"{label}: {type(function).__name__} cannot be called",
            fix="pass a function of numpy arrays, then the tensors",
            source=current_source(),
        )
    tensors = [as_tensor(value) for value in (x, *others)]
    return CALLBACK(*tensors, label=label, function=function)
