"""How special functions define their ops: graphs of simpler elementwise ops.

A special function uses its intermediate values many times, so it lowers to a graph, in which a
value has one node, and not to a scalar expression, which is a tree. Formulas that cancel are
computed in float64, and the result is rounded once; those that keep their precision in float32
(`single`) are computed there, in a third of the time. One set of coefficients serves all
precisions.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from graphc.dtypes import default_float, float32, float64, is_floating
from graphc.ir.lowering import Composite
from graphc.ir.node import TensorType
from graphc.ir.opdef import Application, Example, Generator, OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.late_imports import late_module
from graphc.ops.definition import (
    FLOATING,
    PartialRule,
    convert,
    jvp_from_partials,
    promote_inputs,
    vjp_from_partials,
)
from graphc.ops.elementwise_definition import FLOAT, describe, document, wide

Build = Callable[..., Tensor]


def scipy_special(name: str) -> Callable[..., Any]:
    """A function of scipy.special, which is imported when it is first called: it takes longer to
    load than graphc."""

    def function(*args: Any) -> Any:
        return getattr(late_module("scipy.special"), name)(*args)

    return function


def computed(build: Build, *, single: bool = False) -> Build:
    """(b, *tensors of one dtype, **attrs) -> build on them as float64, in their own dtype again;
    single: float32 does but for float64."""

    def run(b: Builder, *inputs: Tensor, **attrs: Any) -> Tensor:
        dtype = inputs[0].dtype
        used = float32 if single and dtype != float64 else float64
        return convert(build(b, *(convert(tensor, used) for tensor in inputs), **attrs), dtype)

    return run


def double_partial(build: Build, *, single: bool = False) -> PartialRule:
    """A partial derivative as a function (b, *inputs, **attrs) of the inputs, in float64."""

    def partial(b: Builder, application: Application) -> Tensor:
        return computed(build, single=single)(b, *application.inputs, **application.attrs)

    return partial


def single_partial(build: Build) -> PartialRule:
    """The same in float32, but for inputs of float64."""
    return double_partial(build, single=True)


def register_composed(
    name: str,
    *,
    build: Build,
    reference: Callable[..., Any],
    partials: Sequence[PartialRule] | None,
    examples: Callable[[Generator], list[Example]],
    traits: Sequence[str] = (),
    single: bool = False,
) -> OpDef:
    """The op alone. build(b, *inputs, **attrs): one element from float64 inputs, or float32 ones
    as well (`single`). reference(*arrays, **attrs): in numpy, in float64. partials = None: those of
    the graph that `build` makes."""
    return register(
        OpDef(
            name,
            infer=lambda call: TensorType(call.types[0].dtype, call.broadcast()),
            reference=lambda attrs, *arrays: wide(lambda *a: reference(*a, **attrs))(*arrays),
            lower=Composite(computed(build, single=single)),
            vjp=None if partials is None else vjp_from_partials(partials),
            jvp=None if partials is None else jvp_from_partials(partials),
            traits=frozenset(("elementwise", *traits)),
            examples=examples,
        )
    )


def composed_examples(
    function: Build, rng: Generator, arity: int, domain: tuple[float, float]
) -> list[Example]:
    """Few: a graph of a hundred nodes takes its time to compile."""
    groups: list[tuple[tuple[int, ...], ...]] = [((),) * arity, ((0,),) * arity, ((19,),) * arity]
    groups += [((3, 1, 5),)] if arity == 1 else [((2, 1, 3), (4, 1)), ((), (5,))]
    return [
        Example(function, tuple(rng.uniform(*domain, size=shape) for shape in group))
        for group in groups
    ]


def define_composed(
    name: str,
    doc: str,
    *,
    build: Build,
    reference: Callable[..., Any],
    partials: Sequence[PartialRule],
    domain: tuple[float, float] = (-3.0, 3.0),
    traits: Sequence[str] = (),
    single: bool = False,
) -> Build:
    """Register an elementwise op that lowers to a graph, and return its public function.

    Like `define_elementwise`, but build(b, *inputs) makes tensors out of float64 tensors, or of
    float32 ones as well (`single`).
    """
    arity = len(partials)

    def function(*args: Any) -> Tensor:
        if len(args) != arity:
            raise TypeError(f"{name}() takes {arity} arguments, got {len(args)}")
        tensors = promote_inputs(name, *args)
        return op(*(t if is_floating(t.dtype) else t.astype(default_float) for t in tensors))

    def examples(rng: Generator) -> list[Example]:
        return composed_examples(function, rng, arity, domain)

    op = register_composed(
        name,
        build=build,
        reference=reference,
        partials=partials,
        examples=examples,
        traits=traits,
        single=single,
    )
    describe(function, name, document(doc, arity, FLOATING, FLOAT), arity)
    function.__module__ = sys._getframe(1).f_globals["__name__"]
    return public(function)
