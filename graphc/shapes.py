"""Shapes and axes: broadcasting, axis rules, and sizes as text.

A shape is a tuple of sizes, each an ``int`` or a symbolic :class:`Dim`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import TypeAlias

import numpy as np

from graphc.dims import (
    Dim,
    Size,
    ceil_div,
    combine,
    dim_max,
    dim_min,
    floor_div,
    is_symbol_name,
    lower_bound,
)
from graphc.errors import AxisError, DimError, ShapeError
from graphc.ranges import simplify, upper_bound

__all__ = [
    "Dim",
    "DimError",
    "Shape",
    "ShapeError",
    "Size",
    "as_size",
    "broadcast_shapes",
    "ceil_div",
    "dim_max",
    "dim_min",
    "evaluate",
    "floor_div",
    "format_shape",
    "is_static",
    "is_symbol_name",
    "lower_bound",
    "normalize_axes",
    "normalize_axis",
    "parse_size",
    "reduced_shape",
    "simplify",
    "size_product",
    "size_sum",
    "substitute",
    "symbols_of",
    "upper_bound",
]

Shape: TypeAlias = tuple[Size, ...]


def as_size(value: object) -> Size:
    """``value`` as a size: what `whole_number` takes, or a Dim."""
    if isinstance(value, Dim):
        return value
    number = whole_number(value)
    if number is not None:
        return number
    raise ShapeError(
        f"a size is an integer or a symbolic dimension, got {value!r} of type "
        f"{type(value).__name__}",
        fix="sizes are ints, or symbolic, such as x.shape[0]",
    )


def symbols_of(size: Size) -> frozenset[str]:
    """The names of the symbols in ``size``."""
    return size.symbols() if isinstance(size, Dim) else frozenset()


def evaluate(size: Size, bindings: Mapping[str, int]) -> int:
    """The number that ``size`` is where each symbol has its value in ``bindings``."""
    return size.evaluate(bindings) if isinstance(size, Dim) else size


def substitute(size: Size, mapping: Mapping[str, Size]) -> Size:
    """``size`` with the symbols in ``mapping`` replaced, all at once."""
    return size.substitute(mapping) if isinstance(size, Dim) else size


def is_static(shape: Shape) -> bool:
    """Whether every size is known while the graph is built."""
    return all(isinstance(size, int) for size in shape)


def size_product(shape: Sequence[Size]) -> Size:
    """The number of elements; 1 for the empty shape."""
    product: Size = 1
    for size in shape:
        product = product * size
    return product


def size_sum(sizes: Sequence[Size]) -> Size:
    """The sum of ``sizes`` in linear time; 0 where there are none."""
    return combine((size, 1) for size in sizes)


def format_shape(shape: Shape) -> str:
    """``[n, 784]``."""
    return f"[{', '.join(map(str, shape))}]"


def whole_number(value: object) -> int | None:
    """An integer of Python or numpy, or an array of one without axes, as an int; else None.

    A bool is no integer.
    """
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


# Axes


def normalize_axis(axis: int, ndim: int) -> int:
    """The axis counted from 0, for ``-ndim <= axis < ndim``."""
    position = whole_number(axis)
    if position is None:
        raise ShapeError(
            f"an axis is an integer, got {axis!r} of type {type(axis).__name__}",
            fix="count axes from 0, or from the last one, which is -1",
        )
    if -ndim <= position < ndim:
        return position + ndim if position < 0 else position
    if ndim == 0:
        raise AxisError(
            f"axis {position} does not exist: the tensor is a scalar (ndim 0)",
            fix="give an array with axes, or leave the axis out",
        )
    raise AxisError(
        f"axis {position} is out of range for ndim {ndim}: allowed are {-ndim} to {ndim - 1}",
        fix=f"axes count from 0; the last one is {ndim - 1}, or -1",
    )


def normalize_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """The axes counted from 0, in the order given; None means all of them."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, np.ndarray) and axis.ndim == 1:
        axis = axis.tolist()
    if not isinstance(axis, Sequence) or isinstance(axis, str):
        return (normalize_axis(axis, ndim),)
    axes = tuple(normalize_axis(one, ndim) for one in axis)
    if len(set(axes)) != len(axes):
        raise ShapeError(
            f"axes {tuple(axis)} name an axis twice (ndim {ndim})", fix="name each axis once"
        )
    return axes


def reduced_shape(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """``shape`` after a reduction over ``axes`` (counted from 0)."""
    if keepdims:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def broadcast_shapes(shapes: Sequence[Shape], require: Callable[[Size, Size, int], None]) -> Shape:
    """The common shape of ``shapes`` by numpy's rule, where only a static 1 stretches.

    ``require(a, b, axis)`` is called for two sizes that must be equal and are not known to be;
    ``axis`` counts from the right, -1 being the last. It raises where they cannot be equal. The
    result then has the static size if there is one, else the first.
    """
    if not shapes:
        return ()
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    ndim = max(map(len, shapes))
    return tuple(
        _broadcast_axis([shape[axis] for shape in shapes if len(shape) >= -axis], axis, require)
        for axis in range(-ndim, 0)
    )


def _broadcast_axis(
    sizes: Sequence[Size], axis: int, require: Callable[[Size, Size, int], None]
) -> Size:
    common: Size = 1
    for size in sizes:
        if size == 1 or size == common:
            continue
        if common == 1:
            common = size
            continue
        require(common, size, axis)
        if isinstance(common, Dim) and isinstance(size, int):
            common = size
    return common


# Text


def parse_size(text: str) -> Size:
    """The size that ``str`` printed: names, integers, ``+ - * // %``, ``max`` and ``min``."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ShapeError(
            f"not a size: {text!r}",
            fix='sizes are ints, None, or names and expressions such as "n" and "2*n + 1"',
        ) from error
    return _parse_node(tree.body, text)


def _parse_node(node: ast.expr, text: str) -> Size:
    pending: list[tuple[ast.operator, ast.expr]] = []
    while isinstance(node, ast.BinOp):  # a long sum nests to the left
        pending.append((node.op, node.right))
        node = node.left
    value = _parse_operand(node, text)
    while pending:
        operator, right = pending.pop()
        value = _apply(operator, value, _parse_node(right, text), text)
    return value


def _parse_operand(node: ast.expr, text: str) -> Size:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return value
        case ast.Name(id=name):
            return Dim.symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_parse_node(operand, text)
        case ast.Call(func=ast.Name(id="max" | "min" as name), args=[_, *_], keywords=[]):
            arguments = [_parse_node(argument, text) for argument in node.args]
            return dim_max(*arguments) if name == "max" else dim_min(*arguments)
    raise ShapeError(
        f"not a size: {text!r} contains {ast.unparse(node)!r}",
        fix='sizes are ints, None, or names and expressions such as "n" and "2*n + 1"',
    )


def _apply(operator: ast.operator, left: Size, right: Size, text: str) -> Size:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.FloorDiv():
            return floor_div(left, right)
        case ast.Mod():
            return left - right * floor_div(left, right)
    raise ShapeError(
        f"not a size: {text!r} uses {type(operator).__name__}; allowed are + - * // %",
        fix='sizes are ints, None, or names and expressions such as "n" and "2*n + 1"',
    )
