"""grad, value_and_grad and vjp: reverse mode as the user asks for it."""

from collections.abc import Sequence
from typing import Any

from graphc.autodiff.activity import refuse_constants_of_bodies
from graphc.autodiff.arguments import (
    Disconnected,
    KnownGrads,
    Tensors,
    check_cost,
    check_floating,
    check_known_grads,
    fill_gradients,
    fit_to,
    flatten,
    flatten_like,
)
from graphc.autodiff.reverse import Backward, backpropagate
from graphc.dtypes import is_complex
from graphc.errors import GradientError
from graphc.garbage import uncollected
from graphc.ir.leaf import constant
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.passes.differentiable import prepare
from graphc.surface import surface

__all__ = ["grad", "value_and_grad", "vjp"]


@surface
def grad(
    cost: Tensor | None,
    wrt: Tensors,
    known_grads: KnownGrads | None = None,
    disconnected: Disconnected = "raise",
    *,
    consider_constant: Tensors = (),
) -> Any:
    """The gradient of a scalar by one or several tensors, as new expressions.

    cost: a real floating scalar, shape (). May be None if `known_grads` says where to start.
    wrt: one tensor, or lists, tuples and dicts of tensors, also nested: placeholders, variables or
    any value that the cost was computed from. The result has the same structure; each gradient has
    the shape and dtype of its tensor. For complex z = x + iy it is dcost/dx + i dcost/dy: a step
    against it descends, as for real numbers.
    known_grads: {tensor: its gradient}, or such pairs. The gradient of such a tensor is the given
    one, whatever the cost says, and what flows on from it is that.
    disconnected: what to do for a tensor that the cost does not depend on smoothly: "raise", give
    "zero", or give None ("none").
    consider_constant: tensors that nothing flows through, as if each had been written as
    gc.stop_gradient of itself here. Tensors of `wrt` that were computed from each other have
    gradients by all paths; with both named here these are partial derivatives.

    The expression is stabilised first, as if the cost had been written for computing:
    the gradient of `mean(-y * log(p) - (1 - y) * log(1 - p))` with `p = 1 / (1 + exp(-z))` is
    `(p - y) / n`. `where` lets nothing pass from the branch not taken, not even 0 * inf.
    At kinks: relu'(0) = 0, abs'(0) = 0; max and min pass the gradient to the first of equals.

    Raises GradientError: E301 the cost is not a real scalar, E304 an op without derivative, E306 a
    tensor is not floating; DisconnectedError: E302 only ops such as argmax, comparisons or casts
    to integers lead to the tensor, E303 nothing does.

    >>> x, y = gc.placeholder("x"), gc.placeholder("y")
    >>> dx, dy = gc.grad((x + y) * (2 * x - 3), [x, y])
    >>> gc.run([dx, dy], {x: 1.0, y: 2.0})
    [5.0, -1.0]
    """
    targets, structure = flatten(wrt, "wrt")
    known = check_known_grads(known_grads)
    seeds: list[tuple[Tensor, Tensor]] = []
    if cost is not None:
        seeds.append((check_cost(cost), constant(1, cost.dtype)))
    elif not known:
        raise GradientError(
            "grad needs a cost or known_grads",
            code="E301",
            source=current_source(),
            fix="pass a scalar",
        )
    check_floating(targets, "wrt")
    held, _ = flatten(consider_constant, "consider_constant")
    found = differentiate(seeds, targets, known, held)
    outputs = [output for output, _ in (*seeds, *known)]
    return structure.pack(
        fill_gradients(found.gradients, outputs, targets, disconnected, found.refused)
    )


@surface
def value_and_grad(cost: Tensor, wrt: Tensors, **options: Any) -> tuple[Tensor, Any]:
    """(cost, grad(cost, wrt)): for passing both to a function as outputs.

    options: those of `grad`.

    >>> loss, (dW, db) = gc.value_and_grad(loss, [W, b])
    """
    return cost, grad(cost, wrt, **options)


@public
def vjp(
    outputs: Tensors,
    wrt: Tensors,
    cotangents: Any,
    disconnected: Disconnected = "raise",
    *,
    consider_constant: Tensors = (),
) -> Any:
    """Vector-Jacobian product: the gradient by `wrt` of sum(output * cotangent) over all outputs,
    or Re(sum(output * conj(cotangent))) where they are complex.

    outputs: one tensor, or lists, tuples and dicts of them, floating, of any shape. cotangents: one
    per output, each broadcastable to its shape (tensors, arrays or numbers).
    The result has the structure of `wrt`. Theano's `Lop`. consider_constant: as in `grad`: where
    outputs = f(x, y), and y was computed from x, those of JAX's vjp of f have [x, y] here.
    Errors as in `grad`; E307 for cotangents that do not fit.

    >>> gc.vjp(A @ x, x, u)          # A.T @ u
    """
    sources, given_for = flatten(outputs, "outputs")
    targets, structure = flatten(wrt, "wrt")
    check_floating(sources, "outputs")
    check_floating(targets, "wrt")
    given = flatten_like(cotangents, given_for, "cotangents for the outputs")
    seeds = [
        (output, fit_to(cotangent, output, "cotangent"))
        for output, cotangent in zip(sources, given, strict=True)
    ]
    held, _ = flatten(consider_constant, "consider_constant")
    found = differentiate(seeds, targets, [], held)
    return structure.pack(
        fill_gradients(found.gradients, sources, targets, disconnected, found.refused)
    )


# --- the walk ----------------------------------------------------------------------------------


def differentiate(
    seeds: Sequence[tuple[Tensor, Tensor]],
    targets: Sequence[Tensor],
    known: Sequence[tuple[Tensor, Tensor]],
    held: Sequence[Tensor] = (),
) -> Backward:
    """Stabilise what is between the targets and the outputs, then walk it backwards."""
    kept = (*targets, *held)
    with uncollected():
        stable = stabilize_for_differentiation([output for output, _ in seeds], kept, known)
    fixed = frozenset(tensor.key for tensor, _ in known)
    starts = [
        (prepared, seed)
        for prepared, (output, seed) in zip(stable, seeds, strict=True)
        if output.key not in fixed
    ]
    for position, (tensor, gradient) in enumerate(known):
        others = [pair for index, pair in enumerate(known) if index != position]
        starts.append((stabilize_for_differentiation([tensor], kept, others)[0], gradient))
    with uncollected():
        backward = backpropagate(
            [(output, conjugate(seed)) for output, seed in starts],
            targets,
            fixed=fixed,
            constant=frozenset(tensor.key for tensor in held),
        )
    given = {tensor.key: gradient for tensor, gradient in known}
    backward.gradients = [
        given.get(target.key, None if found is None else conjugate(found))
        for target, found in zip(targets, backward.gradients, strict=True)
    ]
    return backward


def conjugate(gradient: Tensor) -> Tensor:
    """From what flows backwards to what users see, and back; see `autodiff.reverse`."""
    return BUILDER.conj(gradient) if is_complex(gradient.dtype) else gradient


def stabilize_for_differentiation(
    outputs: Sequence[Tensor],
    targets: Sequence[Tensor],
    known: Sequence[tuple[Tensor, Tensor]] = (),
) -> list[Tensor]:
    """The outputs in the form to differentiate; targets and known tensors stay as they are."""
    refuse_constants_of_bodies(outputs, targets)
    barriers = {tensor.key: tensor for tensor in (*targets, *(tensor for tensor, _ in known))}
    return prepare(outputs, list(barriers.values()))
