"""What the user passes in and gets back: structures of tensors, checks, missing derivatives."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from graphc import structure
from graphc.autodiff.activity import depends_smoothly, describe, disconnected_error, written
from graphc.dtypes import is_complex, is_inexact
from graphc.errors import GradientError
from graphc.ir.leaf import as_tensor, constant
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.shapes import Size, format_shape
from graphc.structure import LEAF, Structure

__all__ = [
    "Disconnected",
    "KnownGrads",
    "Tensors",
    "check_cost",
    "check_floating",
    "check_known_grads",
    "fill_gradients",
    "fill_tangents",
    "fit_to",
    "flatten",
    "flatten_like",
    "zeros_for",
]

# One tensor, or lists, tuples and dicts of tensors, nested as the user likes.
Tensors = Tensor | Sequence[Any] | Mapping[Any, Any]
Disconnected = Literal["raise", "zero", "none"]
KnownGrads = Mapping[Tensor, Any] | Iterable[tuple[Tensor, Any]]

b = BUILDER


def flatten(value: Tensors, what: str) -> tuple[list[Tensor], Structure]:
    """The tensors in `value`, and the structure around them; None inside of one has no tensor.

    what: names the argument in the error for anything that is not a tensor.
    """
    leaves, around = structure.flatten(value)
    for leaf in [value] if value is None else leaves:
        if not isinstance(leaf, Tensor):
            raise GradientError(
                f"{what} must be tensors, got {type(leaf).__name__}: {leaf!r:.60}",
                code="E306",
                source=current_source(),
                fix="pass a tensor, or lists, tuples and dicts of tensors",
            )
    return leaves, around


def flatten_like(value: Any, like: Structure, what: str) -> list[Any]:
    """The part of `value` for each leaf of `like`, which may itself be a list of numbers.

    Dicts go by their keys, or by their order where these differ. GradientError if there are more
    or fewer parts than `like` has.
    """
    if like.kind == "none":
        return []
    items = (LEAF,) if like is LEAF else like.items
    parts = _parts(value, like)
    if len(parts) != len(items):
        raise GradientError(
            f"{what}: got {len(parts)}, expected {len(items)}",
            code="E307",
            source=current_source(),
            fix="give one for each tensor, in the same order and the same structure",
        )
    leaves: list[Any] = []
    for part, item in zip(parts, items, strict=True):
        leaves += [part] if item is LEAF else flatten_like(part, item, what)
    return leaves


def _parts(value: Any, like: Structure) -> list[Any]:
    if isinstance(value, Mapping):
        keys = like.keys if set(like.keys) == set(value) else value
        return [value[key] for key in keys]
    return list(value) if isinstance(value, tuple | list) else [value]


# --- missing derivatives -----------------------------------------------------------------------


def fill_gradients(
    gradients: Sequence[Tensor | None],
    outputs: Sequence[Tensor],
    targets: Sequence[Tensor],
    disconnected: Disconnected,
    refused: Sequence[Node] = (),
) -> list[Tensor | None]:
    """Gradients by targets that no path reached become an error, zeros or None.

    Where the outputs as the user wrote them do depend on the target, and only simplifying them
    took it away (`x**0`), the gradient is zero.
    """
    check_choice(disconnected)
    filled = list(gradients)
    for position, target in enumerate(targets):
        if filled[position] is None and depends_smoothly(outputs, target, refused):
            filled[position] = zeros_for(target)
        if filled[position] is None and disconnected == "raise":
            raise disconnected_error(outputs, target, refused)
        if filled[position] is None and disconnected == "zero":
            filled[position] = zeros_for(target)
    return filled


def fill_tangents(
    tangents: Sequence[Tensor | None],
    outputs: Sequence[Tensor],
    targets: Sequence[Tensor],
    disconnected: Disconnected,
) -> list[Tensor | None]:
    """Tangents of outputs that no path reached become an error, zeros or None."""
    check_choice(disconnected)
    filled = list(tangents)
    for position, output in enumerate(outputs):
        if filled[position] is None and disconnected == "raise":
            errors = [disconnected_error([output], target) for target in targets]
            raise min(errors, key=lambda error: error.code)  # a blocking op says more than no path
        if filled[position] is None and disconnected == "zero":
            filled[position] = zeros_for(output)
    return filled


def zeros_for(tensor: Tensor) -> Tensor:
    """Zeros in the shape and dtype of `tensor`."""
    zero = constant(0, tensor.dtype)
    return zero if tensor.ndim == 0 else b.broadcast_to(zero, tensor.shape)


# --- checks ------------------------------------------------------------------------------------


def check_choice(disconnected: str) -> None:
    """GradientError for a way of treating disconnected tensors that does not exist."""
    if disconnected not in ("raise", "zero", "none"):
        raise GradientError(
            f"disconnected must be 'raise', 'zero' or 'none', got {disconnected!r}",
            code="E307",
            source=current_source(),
            fix='use "raise", "zero" or "none"',
        )


def check_cost(cost: Tensor) -> Tensor:
    """GradientError unless the cost is a real floating scalar."""
    if not isinstance(cost, Tensor):
        raise GradientError(
            f"the cost must be a tensor, got {type(cost).__name__}",
            source=current_source(),
            fix="give the cost itself: gc.grad(f(w), w)"
            if callable(cost)
            else "give one scalar tensor; add up several costs, or use gc.vjp",
        )
    if cost.shape != ():
        raise GradientError(
            f"grad needs a scalar cost, got {cost.type}",
            code="E301",
            details=[f"{describe(cost)}: {cost.type}   {written(cost.node)}"],
            source=current_source(),
            fix="reduce it (cost.sum() or cost.mean()), or use gc.jacobian or gc.vjp",
        )
    check_floating([cost], "the cost")
    if is_complex(cost.dtype):
        raise GradientError(
            f"grad needs a real cost, got {cost.type}",
            code="E301",
            details=[f"{describe(cost)}: {cost.type}   {written(cost.node)}"],
            source=current_source(),
            fix="take gc.real(cost) or gc.abs(cost); gc.vjp differentiates complex outputs",
        )
    return cost


def check_floating(tensors: Iterable[Tensor], what: str) -> None:
    """GradientError for a tensor that is neither floating nor complex."""
    for tensor in tensors:
        if not is_inexact(tensor.dtype):
            raise GradientError(
                f"{what}: {tensor.dtype.name} values have no derivatives",
                code="E306",
                details=[f"{describe(tensor)}: {tensor.type}   {written(tensor.node)}"],
                source=current_source(),
                fix="compute with a floating dtype, or cast with x.astype('float32') before use",
            )


def check_known_grads(known_grads: KnownGrads | None) -> list[tuple[Tensor, Tensor]]:
    """Pairs (tensor, gradient); GradientError if one does not fit."""
    if known_grads is None:
        return []
    pairs: Sequence[Any] = [known_grads]
    if isinstance(known_grads, Mapping | Sequence):
        pairs = list(known_grads.items() if isinstance(known_grads, Mapping) else known_grads)
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise GradientError(
            f"known_grads must be a dict or a list of pairs, got {known_grads!r:.60}",
            code="E307",
            source=current_source(),
            fix="write known_grads={tensor: gradient}",
        )
    checked: list[tuple[Tensor, Tensor]] = []
    for key, gradient in pairs:
        (tensor,), _ = flatten([key], "the keys of known_grads")
        check_floating([tensor], "known_grads")
        checked.append((tensor, fit_to(gradient, tensor, "known gradient")))
    return checked


def fit_to(value: Any, like: Tensor, what: str) -> Tensor:
    """`value` as a tensor of the dtype and shape of `like`; smaller shapes broadcast."""
    tensor = as_tensor(value, like.dtype)
    if tensor.shape == like.shape:
        return tensor
    fits = tensor.ndim <= like.ndim and all(
        may_stretch(have, want)
        for have, want in zip(tensor.shape, like.shape[like.ndim - tensor.ndim :], strict=True)
    )
    if not fits:
        raise GradientError(
            f"{what} for {describe(like)}: shape {format_shape(tensor.shape)} does not fit "
            f"{format_shape(like.shape)}",
            code="E307",
            details=[f"{describe(like)}: {like.type}   {written(like.node)}"],
            source=current_source(),
            fix=f"give the {what} the shape of its tensor",
        )
    return b.broadcast_to(tensor, like.shape)


def may_stretch(have: Size, want: Size) -> bool:
    """Whether `have` can be broadcast to `want`, as far as is known now."""
    return have in (1, want) or not (isinstance(have, int) and isinstance(want, int))
