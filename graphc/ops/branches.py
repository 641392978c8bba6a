"""Branches in the graph: cond and switch. Only the branch that is taken runs.

A branch is a graph of its own, an attribute of the node: all branches have the same inputs, the
values from outside that any of them uses. What a branch function builds belongs to the branch;
what was there before it was called is a value from outside, which a pass moves into the branch if
nothing else needs it.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import DType, int64, is_bool, is_inexact, is_integer
from graphc.errors import DTypeError, FunctionError
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER, as_tensor
from graphc.ir.lowering import Branches
from graphc.ir.node import TensorType, next_serial
from graphc.ir.opdef import Application, Example, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.ops.bodies import (
    Tree,
    built_since,
    call,
    common_dtype,
    inner_input,
    interpreted,
    may_be_equal,
    named_leaves,
    outer_values,
    rebuilt,
    require_equal_types,
    seen_through,
    structure,
    substituted,
    two_types,
    where_written,
)
from graphc.ops.body_batches import batch_branches

__all__ = ["checkpoint", "cond", "switch"]

# --- the op ------------------------------------------------------------------------------------
# inputs: the selector, a bool or int64 scalar, then the values that the branches use.
# attrs: branches, a tuple of graphs. False selects the first, True the second; an integer is
# moved into range.


def _infer(call: Inference) -> tuple[TensorType, ...]:
    selector, branches = call.types[0], call.attrs["branches"]
    if selector.shape != () or not (is_bool(selector.dtype) or selector.dtype == int64):
        raise DTypeError(f"{call.op}: the selector is {selector}, not a scalar bool or int64")
    first: Graph = branches[0]
    types = tuple(t.type for t in first.outputs)
    for number, branch in enumerate(branches):
        inner = [t.type for t in branch.inputs]
        require_equal_types(call, inner, call.types[1:], f"branch {number}: input")
        require_equal_types(call, [t.type for t in branch.outputs], types, "result")
    return types


def _vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    """The branch that was taken, backwards; it computes again what it needs."""
    inputs, branches = application.inputs, application.attrs["branches"]
    outputs = [n for n, gradient in enumerate(gradients) if gradient is not None]
    wanted = [
        p for p, t in enumerate(inputs) if p > 0 and is_inexact(t.dtype) and application.wants(p)
    ]
    pulled: list[Any] = []
    given: list[list[Tensor]] = []
    for branch in branches:
        cotangents = [
            PLACEHOLDER(name=f"cotangent{n}", type=branch.outputs[n].type) for n in outputs
        ]
        given.append(cotangents)
        pulled.append(
            b.vjp(
                seen_through([branch.outputs[n] for n in outputs]),
                [branch.inputs[p - 1] for p in wanted],
                [b.conj(cotangent) for cotangent in cotangents],  # vjp speaks of what users see
                disconnected="none",
            )
        )
    reached = [k for k in range(len(wanted)) if any(found[k] is not None for found in pulled)]
    backward = tuple(
        Graph(
            (*cotangents, *branch.inputs),
            tuple(_or_zeros(b, found[k], branch.inputs[wanted[k] - 1]) for k in reached),
            name=f"{branch.name}_backward",
        )
        for branch, cotangents, found in zip(branches, given, pulled, strict=True)
    )
    results: list[Tensor | None] = [None] * len(inputs)
    if reached:
        arriving = [gradient for gradient in gradients if gradient is not None]
        made = COND.apply([inputs[0], *arriving, *inputs[1:]], {"branches": backward})
        for k, gradient in zip(reached, made, strict=True):
            results[wanted[k]] = gradient
    return results


def _jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    """The tangents of the branch that was taken."""
    inputs, branches = application.inputs, application.attrs["branches"]
    moving = [p for p, tangent in enumerate(tangents) if p > 0 and tangent is not None]
    outputs = [n for n, t in enumerate(application.outputs) if is_inexact(t.dtype)]
    forward: list[Graph] = []
    for branch in branches:
        inner = [PLACEHOLDER(name=f"tangent{p}", type=branch.inputs[p - 1].type) for p in moving]
        pushed = b.jvp(
            [branch.outputs[n] for n in outputs],
            [branch.inputs[p - 1] for p in moving],
            inner,
            disconnected="zero",
        )
        name = f"{branch.name}_tangent"
        forward.append(Graph((*inner, *branch.inputs), tuple(pushed), name=name))
    results: list[Tensor | None] = [None] * len(application.outputs)
    if outputs and moving:
        given = [tangent for tangent in tangents[1:] if tangent is not None]
        made = COND.apply([inputs[0], *given, *inputs[1:]], {"branches": tuple(forward)})
        for n, tangent in zip(outputs, made, strict=True):
            results[n] = tangent
    return results


def _or_zeros(b: Builder, found: Tensor | None, like: Tensor) -> Tensor:
    return b.zeros_like(like) if found is None else b.conj(found)


COND = register(
    OpDef(
        "cond",
        infer=_infer,
        reference=interpreted,
        lower=Branches(),
        vjp=_vjp,
        jvp=_jvp,
        batch=batch_branches,
        traits=frozenset({"branches"}),
        examples=lambda rng: [
            *(
                Example(_one_of_two, (rng.uniform(0.5, 1.5, size=shape), np.array(start)))
                for shape in ((3,), (0,), ())
                for start in (-0.5, 0.5)
            ),
            Example(_one_of_three, (rng.normal(size=(2, 2)),)),
        ],
    )
)


def _one_of_two(x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = cond(
        start > 0, lambda: (BUILDER.sum(x * x), x + start), lambda: (start, BUILDER.sin(x))
    )
    return found


def _one_of_three(x: Tensor) -> Tensor:
    found: Tensor = switch(7, [lambda a: a, lambda a: a * a, lambda a: a @ a], x)
    return found


# --- building ----------------------------------------------------------------------------------


@public
def cond(
    predicate: Any, then: Callable[..., Tree], otherwise: Callable[..., Tree], *operands: Tree
) -> Tree:
    """`then(*operands)` if the predicate holds, else `otherwise(*operands)`; only that one runs.

    predicate: a bool scalar, shape (). operands: tensors or structures of them. Both functions are
    called once, with symbolic values; they may use any other tensor too, and return the same
    structure of tensors of the same shapes. Where dtypes differ, the result has what they promote
    to; a Python number takes the dtype of the other branch.

    What a branch computes, checks of indices included, happens only if it is taken; so does what
    was computed before for this branch alone. `gc.where` computes both sides and picks by element.
    The gradient is that of the branch that was taken: the other contributes zero, never NaN.

    Raises FunctionError: E122 the predicate is no bool scalar, E123 the branches return different
    structures, or results that have no common type.

    >>> y = gc.cond(gc.sum(x) > 0, lambda: gc.sqrt(gc.sum(x)), lambda: 0.0)
    """
    selector = check_predicate(predicate)
    return _branches("cond", selector, [otherwise, then], operands, ["otherwise", "then"])


@public
def switch(index: Any, branches: Sequence[Callable[..., Tree]], *operands: Tree) -> Tree:
    """`branches[index](*operands)`; only that branch runs.

    index: an integer scalar, shape (); it is moved into range: below 0 it selects the first
    branch, beyond the end the last. branches: at least one function. Otherwise as `cond`.

    Raises FunctionError: E122 the index is no integer scalar, or there is no branch; E123 as
    `cond`.

    >>> y = gc.switch(k, [gc.sin, gc.cos, gc.exp], x)
    """
    functions = list(branches)
    if not functions:
        raise FunctionError(
            "switch: there is no branch",
            code="E122",
            source=current_source(),
            fix="pass a list of functions",
        )
    selector = as_tensor(index)
    if selector.shape != () or not is_integer(selector.dtype):
        raise FunctionError(
            f"switch: the index is {selector.type}",
            code="E122",
            source=current_source(),
            fix="pass an integer scalar; of a boolean, use cond",
        )
    names = [f"branch {number}" for number in range(len(functions))]
    return _branches("switch", selector.astype(int64), functions, operands, names)


@public
def checkpoint(function: Callable[..., Tree]) -> Callable[..., Tree]:
    """`function`, whose intermediate values are computed again for the gradient, not kept.

    function: of tensors or structures of them, called once by every call of the result; arguments
    by name are handed on as they are, such as training=True. Its values and derivatives do not
    change; reverse mode keeps its operands and runs it once more. Errors are those of `function`.
    Raises ArgumentError (E220) for what is no function.

    >>> y = gc.checkpoint(lambda h: gc.tanh(h @ W1) @ W2)(h)
    """

    @functools.wraps(function)
    def wrapped(*operands: Tree, **settings: Any) -> Tree:
        body = functools.partial(function, **settings) if settings else function
        # A single branch: a body of its own, in the gradient too, so that nothing is shared.
        return _branches("checkpoint", as_tensor(0, int64), [body], operands, ["it"])

    return wrapped


def check_predicate(predicate: Any) -> Tensor:
    """The predicate as a bool scalar, or FunctionError E122."""
    tensor = as_tensor(predicate)
    if tensor.shape == () and is_bool(tensor.dtype):
        return tensor
    raise FunctionError(
        f"cond: the predicate is {tensor.type}, not a bool scalar",
        code="E122",
        source=current_source(),
        fix="compare (x > 0), reduce with gc.any or gc.all, or pick by element with gc.where",
    )


def _branches(
    kind: str,
    selector: Tensor,
    functions: Sequence[Callable[..., Tree]],
    operands: Sequence[Tree],
    names: Sequence[str],
) -> Tree:
    given = [
        rebuilt(tree, [as_tensor(leaf) for _, leaf in named_leaves(tree, "")]) for tree in operands
    ]
    built: list[tuple[int, Tree]] = []
    for function, name in zip(functions, names, strict=True):
        start = next_serial()
        built.append((start, call(kind, name, function, *given)))
    trees = [tree for _, tree in built]
    results = _unified(kind, trees, names)
    orders = [topological_order(group) for group in results]
    inside = [built_since(o, start) for o, (start, _) in zip(orders, built, strict=True)]
    outer: dict[tuple[int, int], Tensor] = {}
    for order, group, own in zip(orders, results, inside, strict=True):
        outer.update({tensor.key: tensor for tensor in outer_values(order, group, own)})
    graphs: list[Graph] = []
    for function, group in zip(functions, results, strict=True):
        inner = [inner_input(tensor, f"outer{n}") for n, tensor in enumerate(outer.values())]
        body = substituted(group, dict(zip(outer, inner, strict=True)))
        name = getattr(function, "__name__", "branch").strip("<>")
        graphs.append(Graph(tuple(inner), tuple(body), name=name))
    made = COND.apply([selector, *outer.values()], {"branches": tuple(graphs)})
    return rebuilt(trees[0], made)


def _unified(kind: str, trees: Sequence[Tree], names: Sequence[str]) -> list[list[Tensor]]:
    """The results of each branch, in common dtypes."""
    here = current_source()
    shapes = [structure(tree) for tree in trees]
    if len(set(shapes)) > 1:
        raise FunctionError(
            f"{kind}: the branches return different structures",
            code="E123",
            details=[f"{name} returns {shape}" for name, shape in zip(names, shapes, strict=True)],
            source=here,
            fix="return the same structure of tuples, lists and dicts",
        )
    leaves = [list(named_leaves(tree, "result")) for tree in trees]
    wrong: list[str] = []
    columns: list[list[Tensor]] = []
    for row in zip(*leaves, strict=True):
        values = [value for _, value in row]
        tensors = [as_tensor(value) for value in values]
        dtype = _common(values, tensors)
        fits = all(may_be_equal(tensor.shape, tensors[0].shape) for tensor in tensors)
        if dtype is None or not fits:
            wrong += two_types(
                row[0][0],
                [
                    (f"{name} gives", tensor.type, where_written(tensor, value, here))
                    for name, tensor, value in zip(names, tensors, values, strict=True)
                ],
            )
        else:
            columns.append([as_tensor(value, dtype) for value in values])
    if wrong:
        raise FunctionError(
            f"{kind}: the branches return different types",
            code="E123",
            details=wrong,
            source=here,
            fix="give the results one shape (broadcast_to, reshape) and dtypes that promote",
        )
    return [[column[number] for column in columns] for number in range(len(trees))]


def _common(values: Sequence[Any], tensors: Sequence[Tensor]) -> DType | None:
    """The dtype that holds the results of all branches, or None."""
    dtype, held = tensors[0].dtype, values[0]
    try:
        for value, tensor in zip(values[1:], tensors[1:], strict=True):
            if isinstance(value, bool | int | float | complex):
                dtype = common_dtype(value, tensor.dtype, dtype)
            else:
                dtype = common_dtype(held, dtype, tensor.dtype)
            held = value if isinstance(held, bool | int | float | complex) else held
    except DTypeError:
        return None
    return dtype
