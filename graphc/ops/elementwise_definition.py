"""Elementwise ops, each from one call: inference, lowering, derivatives, examples and docstring."""

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from graphc.dtypes import bool_, default_float, double, float64, is_inexact, real_dtype
from graphc.ir.lowering import Elementwise, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.parts import PartsRule
from graphc.ir.registry import public, register
from graphc.ir.tensor import Tensor
from graphc.ops.definition import (
    ANY,
    NUMERIC,
    WITHOUT_COMPLEX,
    Accepts,
    PartialRule,
    check_dtype,
    jvp_from_partials,
    promote_inputs,
    vjp_from_partials,
)
from graphc.scalar.expr import Expr

SAME, FLOAT, BOOL, MAGNITUDE = "same", "float", "bool", "magnitude"
_PARAMETERS = {1: ("x",), 2: ("x1", "x2"), 3: ("x1", "x2", "x3")}


def wide(function: Callable[..., Any]) -> Callable[..., Any]:
    """A reference computed in double precision and rounded once to the dtype of its inputs."""

    def reference(*arrays: np.ndarray) -> Any:
        dtype = arrays[0].dtype
        if not is_inexact(dtype) or dtype.itemsize == double(dtype).itemsize:
            return function(*arrays)
        wider = (array.astype(double(dtype)) for array in arrays)
        return np.asarray(function(*wider)).astype(dtype)

    return reference


def define_elementwise(
    name: str,
    doc: str,
    *,
    reference: Callable[..., Any],
    expr: Callable[..., Expr],
    arity: int = 1,
    accepts: Accepts = NUMERIC,
    result: str = SAME,
    partials: Sequence[PartialRule] | None = None,
    traits: Sequence[str] = (),
    symbol: str | None = None,
    domain: tuple[float, float] = (-3.0, 3.0),
    smooth: bool = True,
    parts: PartsRule | None = None,
) -> Callable[..., Tensor]:
    """Register an elementwise op and return its public function.

    reference(*arrays): numpy, after promotion. expr(*scalar expressions): one element.
    result: SAME dtype as the promoted inputs; FLOAT: integers become float32 first; BOOL: a truth
    value; MAGNITUDE: like SAME, but real. partials: for each input the derivative of the output, a
    number (1 and -1 cost nothing) or a rule (b, application) -> Partial; both vjp and jvp follow
    from them; without them the op blocks derivatives. domain: where examples are drawn; smooth:
    whether finite differences hold there. parts: what it means for complex numbers (`ir.parts`);
    None: not for them.
    """
    if parts is None:
        accepts = WITHOUT_COMPLEX.get(accepts, accepts)

    def build(*args: Any) -> Tensor:
        if len(args) != arity:
            raise TypeError(f"{name}() takes {arity} arguments, got {len(args)}")
        tensors = promote_inputs(name, *args)
        check_dtype(name, tensors[0].dtype, accepts)
        if result == FLOAT and not is_inexact(tensors[0].dtype):
            tensors = tuple(tensor.astype(default_float) for tensor in tensors)
        return op(*tensors)

    op = register_elementwise(
        name,
        build,
        reference=reference,
        expr=expr,
        arity=arity,
        accepts=accepts,
        result=result,
        partials=partials,
        traits=traits,
        symbol=symbol,
        domain=domain,
        smooth=smooth,
        parts=parts,
    )
    describe(build, name, document(doc, arity, accepts, result), arity)
    build.__module__ = sys._getframe(1).f_globals["__name__"]
    return public(build)


def register_elementwise(
    name: str,
    build: Callable[..., Tensor],
    *,
    reference: Callable[..., Any],
    expr: Callable[..., Expr],
    arity: int = 1,
    accepts: Accepts = NUMERIC,
    result: str = SAME,
    partials: Sequence[PartialRule] | None = None,
    traits: Sequence[str] = (),
    symbol: str | None = None,
    domain: tuple[float, float] = (-3.0, 3.0),
    smooth: bool = True,
    parts: PartsRule | None = None,
) -> OpDef:
    """The op alone, for a public function `build` that is written out; see define_elementwise."""
    assert partials is None or len(partials) == arity

    def infer(call: Inference) -> TensorType:
        dtype = bool_ if result == BOOL else call.types[0].dtype
        dtype = real_dtype(dtype) if result == MAGNITUDE else dtype
        return TensorType(dtype, call.broadcast())

    def run(attrs: Attributes, *arrays: np.ndarray) -> Any:
        return reference(*arrays)

    def lower(context: LoweringContext, *elements: Expr) -> Expr:
        return expr(*elements)

    def examples(rng: Generator) -> list[Example]:
        differentiable = smooth and partials is not None
        return elementwise_examples(build, rng, arity, domain, differentiable, accepts)

    blocked = ("nondifferentiable",) if partials is None else ()
    return register(
        OpDef(
            name,
            infer=infer,
            reference=run,
            lower=Elementwise(lower),
            vjp=None if partials is None else vjp_from_partials(partials),
            jvp=None if partials is None else jvp_from_partials(partials),
            traits=frozenset(("elementwise", *blocked, *traits)),
            examples=examples,
            symbol=symbol,
            parts=parts,
        )
    )


def describe(function: Callable[..., Any], name: str, doc: str, arity: int) -> None:
    """Give a generated function the name, docstring and signature of a written one."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__signature__ = _signature(arity)  # type: ignore[attr-defined]


@cache
def _signature(arity: int) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_ONLY
    return inspect.Signature([inspect.Parameter(text, kind) for text in _PARAMETERS[arity]])


def document(doc: str, arity: int, accepts: Accepts, result: str) -> str:
    """A docstring: what the function means, then shapes, dtypes and errors."""
    outcome = {
        SAME: "the dtype of x" if arity == 1 else "the promoted dtype",
        FLOAT: "floating point (integers and bool become float32)",
        BOOL: "bool",
        MAGNITUDE: "the dtype of x, real for complex x",
    }[result]
    if arity == 1:
        lines = [f"x: any shape, {accepts.text}. Result: the shape of x, {outcome}."]
    else:
        inputs = ", ".join(_PARAMETERS[arity])
        lines = [
            f"{inputs}: shapes that broadcast, {accepts.text}. Result: {outcome}.",
            "Raises ShapeError where the shapes do not broadcast.",
        ]
    if accepts.text != ANY.text:
        lines.append("Raises DTypeError for other dtypes.")
    return "\n".join((doc, "", *lines))


def elementwise_examples(
    function: Callable[..., Tensor],
    rng: Generator,
    arity: int,
    domain: tuple[float, float],
    differentiable: bool,
    accepts: Accepts = NUMERIC,
) -> list[Example]:
    """0-d, size-0, size-1 and ordinary shapes; for several inputs also broadcasting ones."""
    shapes: list[tuple[tuple[int, ...], ...]] = [
        (shape,) * arity for shape in ((), (0,), (1,), (7,), (2, 0, 3), (3, 1, 5), (4, 19))
    ]
    if arity == 2:
        shapes += [((3, 4), (4,)), ((), (5,)), ((2, 1, 3), (4, 1)), ((0, 3), (1, 3))]
    if arity == 3:
        shapes += [((3, 4), (4,), ()), ((2, 1), (1, 3), (2, 3))]

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        values = rng.uniform(*domain, size=shape)
        return values if accepts.holds(float64) else np.round(values).astype(np.int64)

    return [
        Example(function, tuple(draw(shape) for shape in group), differentiable) for group in shapes
    ]
