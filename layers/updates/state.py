"""What every update rule starts from: gradients, learning rate, and variables that it keeps."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

import graphc as gc
from graphc.layers.configured import parameter_error, with_plain_numbers, written
from graphc.layers.limits import within
from graphc.layers.precision import precise, precise_dtype
from graphc.layers.structures import leaves

_NESTS = (gc.Tensor, list, tuple, Mapping)
Updates = dict[gc.Variable, gc.Tensor]
Rule = TypeVar("Rule", bound=Callable[..., Updates])


def rounded(updates: Mapping[gc.Variable, gc.Tensor]) -> Updates:
    """The updates in the dtypes of their variables."""
    return {variable: new.astype(variable.dtype) for variable, new in updates.items()}


def update_rule(function: Rule) -> Rule:
    """A function of this package: numbers of numpy become Python's, and updates are `rounded`."""
    plain = with_plain_numbers(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Updates:
        return rounded(plain(*args, **kwargs))

    return cast("Rule", call)


class State:
    """The variables that a rule keeps, one for each weight and role; each is made at first use.

    Rules called again with the same state go on with the same variables, so that several compiled
    functions can train one model.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], tuple[gc.Variable | None, gc.Variable]] = {}
        self._starts: dict[tuple[int, str], Any] = {}

    @property
    def variables(self) -> list[gc.Variable]:
        """All of them, in the order in which they were made."""
        return [variable for _, variable in self._kept.values()]

    def slot(
        self, param: gc.Variable, role: str, value: Any = 0.0, axes: Sequence[int] | None = None
    ) -> gc.Variable:
        """The variable of this role of a weight: of its shape, `value` at first.

        Its dtype is the `precise_dtype` of the weight.

        axes: those that keep their size; the others get size 1. All of them keep it without.
        """
        key = (id(param), role)
        if key not in self._kept:
            sizes = enumerate(param.shape)
            shape = [size if axes is None or axis in axes else 1 for axis, size in sizes]
            array = np.full(shape, value, precise_dtype(param.dtype))
            self._kept[key] = (param, gc.variable(array, f"{param.name}_{role}"))
        self._starts[key] = (value, None if axes is None else list(axes))
        return self._kept[key][1]

    def scalar(self, role: str, value: Any, dtype: str) -> gc.Variable:
        """The one variable of this role."""
        key = (0, role)
        if key not in self._kept:
            self._kept[key] = (None, gc.variable(np.asarray(value, dtype), role))
        self._starts[key] = (value, dtype)
        return self._kept[key][1]

    def recipe(self, params: Sequence[gc.Variable]) -> list[list[Any]] | None:
        """What `restore` needs to make the variables of these weights: values of JSON.

        For each variable the position of the weight, -1 for none, the role and the first value.
        None if a first value is more than a number.
        """
        places = {id(param): place for place, param in enumerate(params)}
        found: list[list[Any]] = []
        for key, start in self._starts.items():
            number, kind = start  # the dtype of a scalar, the axes of a slot
            if type(number) not in (int, float):
                return None
            if key[0] == 0 or key[0] in places:
                found.append([places.get(key[0], -1), key[1], number, kind])
        return found

    def restore(
        self, recipe: Sequence[Sequence[Any]], params: Sequence[gc.Variable]
    ) -> list[gc.Variable]:
        """The variables of a recipe, in its order; those that are there already stay."""
        return [
            self.scalar(role, value, kind)
            if place < 0
            else self.slot(params[place], role, value, kind)
            for place, role, value, kind in recipe
        ]


def weights(params: Any) -> list[gc.Variable]:
    """The weights to train; FunctionError for anything but variables of floating dtypes.

    params: a weight; lists, tuples and dicts of weights by any names; or updates, whose keys they
    are.
    """
    keys = isinstance(params, Mapping) and all(isinstance(key, gc.Tensor) for key in params)
    given = leaves(list(params) if keys or not isinstance(params, _NESTS) else params)
    for param in given:
        if not isinstance(param, gc.Variable) or not gc.isdtype(param.dtype, "real floating"):
            raise gc.FunctionError(
                f"{param!r} cannot be trained",
                code="E207",
                source=written(),
                fix="params are variables of a floating dtype: gc.variable(array, 'w')",
            )
    return given


def gradients(loss_or_grads: Any, params: Any) -> tuple[list[gc.Tensor], list[gc.Variable]]:
    """A gradient for each weight, in its `precise_dtype`.

    loss_or_grads: a scalar loss, or the list of gradients; nested as the params may be.
    """
    wrt = weights(params)
    if isinstance(loss_or_grads, gc.Tensor) and loss_or_grads.ndim == 0:
        return ([precise(grad) for grad in gc.grad(loss_or_grads, wrt)] if wrt else []), wrt
    if isinstance(loss_or_grads, gc.Tensor) or not isinstance(loss_or_grads, Sequence | Mapping):
        raise gc.ShapeError(
            f"a loss is a scalar, got {loss_or_grads!r}",
            source=written(),
            fix="reduce it with gc.mean, or pass the list of the gradients",
        )
    grads = leaves(loss_or_grads)
    if len(grads) != len(wrt):
        raise parameter_error(
            f"{len(grads)} gradients for {len(wrt)} parameters",
            "pass one gradient for each parameter, in their order",
        )
    return [
        gc.as_tensor(grad).astype(precise_dtype(param.dtype))
        for grad, param in zip(grads, wrt, strict=True)
    ], wrt


def fitting(value: Any, param: gc.Tensor) -> Any:
    """A learning rate in the `precise_dtype` of a weight; Python's numbers adapt by themselves."""
    return value.astype(precise_dtype(param.dtype)) if isinstance(value, gc.Tensor) else value


class Fitting:
    """A number or tensor for many weights: one expression for each of their dtypes."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self._found: dict[Any, Any] = {}

    def __call__(self, param: gc.Tensor) -> Any:
        if param.dtype not in self._found:
            number = not isinstance(self.value, gc.Tensor)
            self._found[param.dtype] = (
                gc.constant(self.value, precise_dtype(param.dtype))
                if number
                else fitting(self.value, param)
            )
        return self._found[param.dtype]


def counted(state: State, step: Any, updates: Updates) -> gc.Tensor:
    """The number of this update, 1 for the first, as float64; counts itself unless `step` is given.

    step: how many updates were made before.
    """
    if step is not None:
        within("updates", step=step)
    else:
        step = state.scalar("step", 0, "int64")
        updates[step] = step + 1
    return gc.as_tensor(step).astype("float64") + 1
