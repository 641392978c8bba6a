"""Ops that change derivatives and nothing else: stop_gradient and custom_gradient."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.errors import GradientError
from graphc.ir.batch import Batch, whole
from graphc.ir.leaf import PLACEHOLDER, as_tensor
from graphc.ir.lowering import Composite, Elementwise, LoweringContext
from graphc.ir.node import TensorType
from graphc.ir.opdef import Application, Example, Gradients, Inference, OpDef
from graphc.ir.parts import expanded, partwise
from graphc.ir.registry import Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import substituted
from graphc.records import dataclass
from graphc.scalar.expr import Expr
from graphc.surface import surface

__all__ = ["custom_gradient", "stop_gradient"]

Outputs = Tensor | tuple[Tensor, ...] | list[Tensor]
GradientFunction = Callable[..., Any]


# --- stop_gradient -----------------------------------------------------------------------------


def _lower_identity(context: LoweringContext, element: Expr) -> Expr:
    return element


STOP_GRADIENT = register(
    OpDef(
        "stop_gradient",
        infer=lambda call: call.types[0],
        reference=lambda attrs, x: x,
        lower=Elementwise(_lower_identity),
        traits=frozenset({"elementwise", "nondifferentiable"}),
        parts=partwise,
        examples=lambda rng: [
            Example(lambda x: stop_gradient(x), (rng.normal(size=shape),), differentiable=False)
            for shape in ((), (0,), (3, 1, 5))
        ],
    )
)


@public
def stop_gradient(x: Any) -> Tensor:
    """x itself, a constant to differentiation: no derivative flows through it.

    x: any shape and dtype. The result has both.

    >>> gc.grad(gc.stop_gradient(x) * x, x)       # x, not 2 * x
    """
    return STOP_GRADIENT(as_tensor(x))


# --- custom_gradient ---------------------------------------------------------------------------
# The op takes the function's outputs y1..yk, then its arguments x1..xn, and gives y1..yk back.


@dataclass(frozen=True, slots=True)
class _Rule:
    """What the user's function answers, and the tensors that it was written for.

    In the body of a loop, and wherever else the op has come to, its inputs are others.
    """

    gradient: GradientFunction
    inputs: tuple[Tensor, ...]

    def answers(self, inputs: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor | None]:
        """Those for these inputs and cotangents."""
        answer = self.gradient(*given)
        answers = list(answer) if isinstance(answer, tuple | list) else [answer]
        moved = {
            old.key: new for old, new in zip(self.inputs, inputs, strict=True) if old.key != new.key
        }
        found = [as_tensor(value) for value in answers if value is not None]
        following = iter(substituted(found, moved) if moved else found)
        return [None if value is None else next(following) for value in answers]


def _infer_outputs(call: Inference) -> tuple[TensorType, ...]:
    return call.types[: call.attrs["count"]]


def _outputs_of(attrs: dict[str, Any], *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return arrays[: attrs["count"]]


def _build_outputs(b: Builder, *tensors: Tensor, count: int, gradient: object) -> Any:
    return tensors[:count]


def _call_gradient(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    """Nothing flows to the outputs as they were computed; the user's function answers for x."""
    count: int = application.attrs["count"]
    arguments = application.inputs[count:]
    given = [
        b.zeros_like(output) if gradient is None else b.conj(gradient)
        for output, gradient in zip(application.outputs, gradients, strict=True)
    ]
    answers = application.attrs["gradient"].answers(application.inputs, given)
    if len(answers) != len(arguments):
        raise _wrong_gradient(
            f"{len(answers)} gradients for {len(arguments)} arguments",
            "return one gradient, or None, for each argument of the function",
        )
    results: list[Tensor | None] = [None] * count
    for number, (gradient, argument) in enumerate(zip(answers, arguments, strict=True)):
        if gradient is None:
            results.append(None)
            continue
        if gradient.ndim > argument.ndim:
            raise _wrong_gradient(
                f"gradient {number} is {gradient.type}, its argument {argument.type}",
                "return gradients in the shapes of the arguments",
            )
        results.append(b.conj(gradient))
    return results


def _wrong_gradient(message: str, fix: str) -> GradientError:
    return GradientError(
        f"custom_gradient: {message}", code="E307", source=current_source(), fix=fix
    )


def _batch_custom_gradient(batch: Batch) -> Sequence[Tensor]:
    """The user's function answers for one example, from what it computed of it."""
    count: int = batch.attrs["count"]
    one = batch.node.inputs

    def gradient(*cotangents: Tensor) -> list[Tensor | None]:
        given = [PLACEHOLDER(name="cotangent", type=tensor.type) for tensor in one[:count]]
        answers = batch.attrs["gradient"].answers(one, given)
        found = [value for value in answers if value is not None]
        pairs = list(zip(given, cotangents, strict=True))
        of_all = iter(
            whole(tensor, own.ndim, batch.size)
            for tensor, own in zip(batch.batched(found, pairs), found, strict=True)
        )
        return [None if value is None else next(of_all) for value in answers]

    inputs = [batch.whole(number) for number in range(len(one))]
    return batch.apply(inputs, gradient=_Rule(gradient, tuple(inputs)))


def _square(x: Tensor) -> Tensor:
    square: Tensor = custom_gradient(lambda x: (x * x, lambda dy: dy * 2 * x.conj()))(x)
    return square


CUSTOM_GRADIENT = register(
    OpDef(
        "custom_gradient",
        infer=_infer_outputs,
        reference=_outputs_of,
        lower=Composite(_build_outputs),
        vjp=_call_gradient,
        batch=_batch_custom_gradient,
        parts=expanded,
        examples=lambda rng: [
            Example(_square, (rng.normal(size=shape),)) for shape in ((), (0,), (2, 3))
        ],
    )
)


@surface
def custom_gradient(function: Callable[..., tuple[Any, GradientFunction]]) -> Callable[..., Any]:
    """Give a function of tensors a gradient of its own.

    function(*xs) returns (y, gradient): y is a tensor, or a tuple or list of them; gradient(*dys)
    takes one cotangent per output, each in its output's shape, and returns one gradient per
    argument, in the argument's shape, or None where there is none. What `gradient` computes may
    use xs and y, and is differentiated in turn for second derivatives. Tensors that `function`
    uses without taking them as arguments get no gradient through it.

    The values are those of y; passes drop the op once nothing is to be differentiated. Forward
    mode follows from `gradient`, which must be linear in the cotangents.

    Raises GradientError E307 if `function` does not return such a pair, or `gradient` the wrong
    number of gradients or their shapes.

    >>> @gc.custom_gradient
    ... def log1pexp(x):
    ...     e = gc.exp(x)
    ...     return gc.log(1 + e), lambda dy: dy * (1 - 1 / (1 + e))
    """

    @functools.wraps(function)
    def wrapped(*arguments: Any) -> Any:
        tensors = [as_tensor(argument) for argument in arguments]
        outputs, gradient = _checked_pair(function(*tensors))
        structure = type(outputs)
        several = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
        held = [as_tensor(output) for output in several]
        attrs = {"count": len(held), "gradient": _Rule(gradient, (*held, *tensors))}
        results = CUSTOM_GRADIENT.apply([*held, *tensors], attrs)
        return structure(results) if structure in (tuple, list) else results[0]

    return wrapped


def _checked_pair(result: Any) -> tuple[Outputs, GradientFunction]:
    if isinstance(result, Sequence) and len(result) == 2 and callable(result[1]):
        return result[0], result[1]
    raise _wrong_gradient(
        f"the function must return (outputs, gradient function), got {type(result).__name__}",
        "return y, lambda dy: ...",
    )


public(custom_gradient)
