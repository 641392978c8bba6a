"""vmap: a function of one example becomes one of many."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphc.batching.walk import Batching
from graphc.dtypes import int64
from graphc.errors import FunctionError, GraphcError, ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.batch import whole
from graphc.ir.leaf import PLACEHOLDER, as_tensor
from graphc.ir.node import TensorType
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.step_numbers import numbered_steps
from graphc.ir.tensor import Tensor
from graphc.shapes import Shape, Size
from graphc.structure import flatten

__all__ = ["vmap"]

Axes = Any  # int, None, or a tuple, list or dict of axes
Path = tuple[Any, ...]


@public
def vmap(function: Callable[..., Any], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Any]:
    """A function that applies `function` to all examples of a batch at once.

    function: of tensors of one example, in lists, tuples and dicts as it likes. in_axes: along
    which axis each positional argument holds the examples; None: not at all, the argument is the
    same for all and is passed on as it is. An int or None for all arguments, or a tuple with an
    entry for each; an entry may in turn be a tuple, list or dict with entries for the parts of its
    argument. Arguments by name hold the examples along axis 0. out_axes: where the results have
    the axis of the examples, in the same way; None: the result does not depend on the example and
    has no such axis. Negative axes count from the end.

    The function is called once. Each op is replaced by one op on the whole batch, as a product of
    matrices by a batched product; the few that have no such form become a loop over the examples.
    What depends on no mapped argument is computed once. Calls nest, and derivatives go inside and
    outside: with `loss` of one example, the gradient for each is

    >>> each = gc.vmap(lambda x, y: gc.grad(loss(w, x, y), w))(xs, ys)

    Sizes may be symbolic; those that must be equal are compared at the call.

    Raises ShapeError E101 for an axis that an argument does not have, E130 where the numbers of
    examples differ; FunctionError E131 for in_axes or out_axes that do not have the structure of
    the arguments or results, without any mapped argument, and for a result without the axis of the
    examples that depends on the example.
    """

    @functools.wraps(function)
    def batched(*args: Any, **kwargs: Any) -> Any:
        mapped = _Arguments(_names(function, len(args)))
        positional = mapped.take(args, _one_each(in_axes, args), "in_axes")
        by_name = {name: mapped.take(value, 0, name, (name,)) for name, value in kwargs.items()}
        batching = mapped.batching()
        with numbered_steps() as number:
            leaves, structure = flatten(function(*positional, **by_name))
        if number.tensor is not None:
            batching.assume(number.tensor, BUILDER.arange(0, batching.size, dtype=int64))
        axes = _spread(out_axes, structure.pack(leaves), "out_axes", "the result")
        results = batching.batched([as_tensor(leaf) for leaf in leaves])
        ones = [as_tensor(leaf).ndim for leaf in leaves]
        return structure.pack(
            [
                _placed(result, ndim, axis, batching.size)
                for result, ndim, axis in zip(results, ones, axes, strict=True)
            ]
        )

    return batched


class _Arguments:
    """The arguments for one example, and which of them stand for what."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.pairs: list[tuple[Tensor, Tensor]] = []  # of one example; of all, the axis in front
        self.described: list[str] = []

    def take(self, value: Any, axes: Axes, what: str, path: Path = ()) -> Any:
        """The argument or arguments as the function gets them."""
        leaves, structure = flatten(value)
        spread = _spread(axes, value, what, "the arguments")
        paths = [(*path, *own) for own in structure.paths()]
        return structure.pack(
            [
                leaf if axis is None else self._mapped(leaf, axis, self._named(where))
                for leaf, axis, where in zip(leaves, spread, paths, strict=True)
            ]
        )

    def _named(self, path: Path) -> str:
        first = self.names[path[0]] if isinstance(path[0], int) else path[0]
        return "".join((str(first), *(f"[{part!r}]" for part in path[1:])))

    def _mapped(self, value: Any, axis: int, name: str) -> Tensor:
        tensor = as_tensor(value)
        axis = checked_axis(f"vmap: argument {name}", axis, tensor.ndim)
        self.described.append(f"{name}: {tensor.type}, {tensor.shape[axis]} along axis {axis}")
        tensor = BUILDER.moveaxis(tensor, axis, 0)
        own = "".join(c if c.isalnum() else "_" for c in name).strip("_")
        one = PLACEHOLDER(name=own, type=TensorType(tensor.dtype, tensor.shape[1:]))
        self.pairs.append((one, tensor))
        return one

    def batching(self) -> Batching:
        """Assumes the arguments, all of one number of examples."""
        if not self.pairs:
            raise FunctionError(
                "vmap: no argument is mapped",
                code="E131",
                source=current_source(),
                fix="give in_axes an axis for at least one argument",
            )
        size = self._common_size()
        batching = Batching(size)
        for one, tensor in self.pairs:
            shape: Shape = (size, *tensor.shape[1:])
            batching.assume(one, BUILDER.broadcast_to(tensor, shape))
        return batching

    def _common_size(self) -> Size:
        """A known size, where there is one; symbolic ones must be equal to it at the call."""
        sizes = [tensor.shape[0] for _, tensor in self.pairs]
        known = {size for size in sizes if isinstance(size, int)}
        if len(known) > 1:
            raise ShapeError(
                f"vmap: arguments of {' and '.join(map(str, sorted(known)))} examples",
                code="E130",
                details=self.described,
                source=current_source(),
                fix="all mapped arguments need one number of examples; in_axes says along which "
                "axis, None that an argument is the same for all",
            )
        return known.pop() if known else sizes[0]


def _placed(tensor: Tensor, ndim: int, axis: int | None, size: Size) -> Tensor:
    """A result with the axis of the examples where it is wanted."""
    if axis is None:
        if tensor.ndim > ndim:
            raise FunctionError(
                "vmap: a result depends on the example, and its out_axes is None",
                code="E131",
                details=[f"got {tensor.type}"],
                source=tensor.sources[0] if tensor.sources else current_source(),
                fix="give it an axis, or reduce over the examples outside of vmap",
            )
        return tensor
    axis = checked_axis("vmap: out_axes", axis, ndim + 1)
    return BUILDER.moveaxis(whole(tensor, ndim, size), 0, axis)


def _one_each(in_axes: Axes, args: Sequence[Any]) -> Axes:
    """in_axes with an entry for each argument."""
    if in_axes is None or isinstance(in_axes, int):
        return (in_axes,) * len(args)
    if isinstance(in_axes, tuple | list) and len(in_axes) == len(args):
        return tuple(in_axes)
    raise _unfit("in_axes", in_axes, f"{len(args)} arguments")


def _spread(axes: Axes, value: Any, what: str, of: str) -> list[int | None]:
    """An axis or None for each leaf of `value`."""
    if axes is None or (isinstance(axes, int) and not isinstance(axes, bool)):
        return [axes] * len(flatten(value)[0])
    if isinstance(axes, Mapping) and isinstance(value, Mapping) and set(axes) == set(value):
        pairs = [(axes[key], value[key]) for key in value]
    elif (
        isinstance(axes, tuple | list)
        and isinstance(value, tuple | list)
        and len(axes) == len(value)
    ):
        pairs = list(zip(axes, value, strict=True))
    else:
        raise _unfit(what, axes, of)
    return [axis for own, part in pairs for axis in _spread(own, part, what, of)]


def _unfit(what: str, axes: Axes, of: str) -> GraphcError:
    return FunctionError(
        f"vmap: {what}={axes!r:.60} does not fit {of}",
        code="E131",
        source=current_source(),
        fix="give an int, None, or a structure like theirs with an int or None for each part",
    )


def _names(function: Callable[..., Any], count: int) -> list[str]:
    """What errors call the positional arguments."""
    names: list[str] = []
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have none
        parameters = []
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}_{number}" for number in range(count - len(names))]
    return [*names, *(f"argument_{number}" for number in range(len(names), count))]
