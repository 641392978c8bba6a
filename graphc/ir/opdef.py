"""OpDef, and the one way to apply an op.

An op is one registration of adjacent facts: what type comes out (`infer`), what it means
(`reference`, in numpy), its derivatives (`vjp`, `jvp`), its elements (`lower`), what passes may
assume (`traits`) and inputs to test it on (`examples`). Nothing else in graphc names single ops.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.errors import DTypeError, GraphcError, ShapeError
from graphc.ir.batch import Batch
from graphc.ir.lowering import Branches, IndexChecks, Leaf, Lowering, Scan, While
from graphc.ir.node import Attributes, Node, TensorType, unique_type
from graphc.ir.parts import PartsRule
from graphc.ir.registry import Builder
from graphc.ir.source import Sources, current_sources
from graphc.ir.stretching import stretched
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.shapes import Dim, Shape, Size, broadcast_shapes, format_shape

if TYPE_CHECKING:
    from numpy.random import Generator as Generator
else:
    Generator = object  # numpy imports its random numbers when they are asked for, which takes long


@dataclass(frozen=True, slots=True)
class Constraint:
    """Two sizes that must be equal at the call; found by `infer` where they are symbolic.

    error: what to raise where they are not.
    """

    left: Size
    right: Size
    text: str
    sources: Sources
    error: type[GraphcError] = ShapeError


class Inference:
    """What `infer` sees: input types and attributes, and a way to demand equal sizes."""

    __slots__ = ("attrs", "constraints", "op", "types")

    def __init__(self, op: str, types: tuple[TensorType, ...], attrs: Attributes) -> None:
        self.op = op
        self.types = types
        self.attrs = attrs
        self.constraints: list[tuple[Size, Size, str, type[GraphcError]]] = []

    def require_equal(
        self,
        left: Size,
        right: Size,
        text: str,
        fix: str | None = None,
        error: type[GraphcError] = ShapeError,
    ) -> None:
        """Static sizes must agree now (`error`); symbolic ones are checked at every call."""
        if isinstance(left, int) and isinstance(right, int):
            if left != right:
                told = fix or "give arrays whose sizes agree there"
                raise error(f"{self.op}: {text}: {left} != {right}", fix=told)
        elif left != right:
            self.constraints.append((left, right, f"{self.op}: {text}", error))

    def broadcast(self, shapes: Sequence[Shape] | None = None) -> Shape:
        """The numpy broadcast of the shapes (of all inputs by default)."""
        shapes = [t.shape for t in self.types] if shapes is None else shapes
        wide = [shape for shape in shapes if shape]  # a scalar broadcasts to anything
        if not wide:
            return ()
        first = wide[0]
        for shape in wide:
            if shape is not first and shape != first:
                break
        else:
            return first

        def require(left: Size, right: Size, axis: int) -> None:
            text = " with ".join(map(format_shape, shapes))
            if isinstance(left, int) and isinstance(right, int) and left != right:
                raise ShapeError(
                    f"{self.op}: shapes do not broadcast: {text}",
                    details=[f"axis {axis}: {left} against {right}"],
                    fix="sizes must be equal, or one of them 1",
                )
            self.require_equal(left, right, f"broadcasting {text}, axis {axis}")

        return broadcast_shapes(shapes, require)


@dataclass(frozen=True, slots=True)
class Application:
    """A node with its output tensors: what derivative rules look at.

    wanted: for which inputs a vjp's answer will be used; None means for all.
    """

    node: Node
    outputs: tuple[Tensor, ...]
    wanted: tuple[bool, ...] | None = None

    def wants(self, number: int) -> bool:
        """Whether the gradient of input `number` will be used."""
        return self.wanted is None or self.wanted[number]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self.node.inputs

    @property
    def attrs(self) -> Attributes:
        return self.node.attrs

    @property
    def output(self) -> Tensor:
        return self.outputs[0]


@dataclass(frozen=True, slots=True)
class Example:
    """A call to test an op on: `build` makes the expression from tensors that hold `inputs`.

    differentiable: whether finite differences are to be compared (not at kinks or ties).
    """

    build: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    differentiable: bool = True


Gradients = Sequence[Tensor | None]
Answer = tuple[tuple[TensorType, ...], tuple[TensorType, ...], list[Constraint]]
SHOWN = 6  # inputs that an error names
LONGEST_SHAPE = 80  # characters of one in an error
MOST_ANSWERS = 256  # kept for each op


@dataclass(frozen=True, eq=False)
class OpDef:
    """One registration. See the module's docstring; `ir.lowering` lists the forms of `lower`.

    infer(call: Inference) -> output type or types
    reference(attrs, *arrays) -> array or tuple of arrays; symbolic sizes in attrs are bound
    vjp(b, application, gradients of the outputs) -> gradient of each input or None
    jvp(b, application, tangents of the inputs (None: zero)) -> tangent of each output or None
    parts(b, node, inputs) -> the outputs on real tensors, for complex numbers; see `ir.parts`
    batch(Batch) -> the outputs for many examples at once, see `ir.batch`. Few need it: elementwise
    ops broadcast, reductions and what goes along attrs["axis"] in order have one axis more in
    front, composites are taken apart, and anything else is a loop over the examples. A composite
    of ops without derivatives needs it.
    traits: elementwise, commutative, linear (in each input), view, loop, nondifferentiable, custom
    (made by a user, not registered), effect (does more than compute: never merged nor folded),
    transparent (the output is the first input), numbers (its lowering is given operands that are
    known numbers as such), ...
    symbol: infix or prefix sign for printing
    """

    name: str
    infer: Callable[[Inference], TensorType | tuple[TensorType, ...]]
    reference: Callable[..., Any]
    lower: Lowering
    vjp: Callable[[Builder, Application, Gradients], Gradients] | None = None
    jvp: Callable[[Builder, Application, Gradients], Gradients] | None = None
    batch: Callable[[Batch], Sequence[Tensor]] | None = None
    traits: frozenset[str] = frozenset()
    examples: Callable[[Generator], list[Example]] | None = None
    symbol: str | None = None
    index_checks: IndexChecks | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    parts: PartsRule | None = None
    _answers: "dict[tuple[Any, ...], Answer] | None" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # What a user's function answers may depend on more than the types.
        object.__setattr__(self, "_answers", None if "custom" in self.traits else {})

    def __call__(self, *inputs: Tensor, **attrs: Any) -> Tensor:
        """Apply an op of one output."""
        return Tensor(self._node(inputs, attrs))

    def apply(self, inputs: Sequence[Tensor], attrs: Attributes) -> tuple[Tensor, ...]:
        """A new node; errors carry the user's line."""
        node = self._node(tuple(inputs), attrs)
        return tuple([Tensor(node, position) for position in range(len(node.types))])

    def _node(self, inputs: tuple[Tensor, ...], attrs: Attributes) -> Node:
        sources = current_sources()
        given = tuple([tensor.node.types[tensor.index] for tensor in inputs])
        types, constraints = self.infer_types(given, attrs, sources, inputs)
        if constraints and "elementwise" in self.traits:
            fitting = stretched(inputs)
            if any(new is not old for new, old in zip(fitting, inputs, strict=True)):
                return self._node(fitting, attrs)
        return Node(self, inputs, attrs, types, sources)

    def infer_types(
        self,
        types: tuple[TensorType, ...],
        attrs: Attributes,
        sources: Sources = (),
        inputs: Sequence[Tensor] = (),
    ) -> tuple[tuple[TensorType, ...], list[Constraint]]:
        """Output types and the size equalities to check at run time.

        Answers are kept, as deep graphs ask for the same types again and again: by the identity
        of the types, which an answer keeps alive, and by attributes that are plain values.
        """
        plain = _plain(attrs) if attrs else ()
        if plain is None or self._answers is None:
            return self._inferred(types, attrs, sources, inputs)
        key = (*map(id, types), *plain)
        known = self._answers.get(key)
        if known is None:
            outputs, constraints = self._inferred(types, attrs, sources, inputs)
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            self._answers[key] = (types, outputs, constraints)
            return outputs, list(constraints)
        return known[1], [replace(one, sources=sources) for one in known[2]]

    def _inferred(
        self,
        types: tuple[TensorType, ...],
        attrs: Attributes,
        sources: Sources,
        inputs: Sequence[Tensor],
    ) -> tuple[tuple[TensorType, ...], list[Constraint]]:
        call = Inference(self.name, types, attrs)
        try:
            result = self.infer(call)
        except GraphcError as error:
            if error.source is None and sources:
                error.source = sources[0]
            if not error.details and inputs:
                error.details = (describe_inputs(inputs),)
            raise
        outputs = tuple(map(unique_type, result if isinstance(result, tuple) else (result,)))
        if self.parts is None:
            self._check_real(types, sources)
            self._check_real(outputs, sources)
        for output in outputs:
            if output.shape and not _is_possible(output.shape, output.dtype.itemsize):
                raise impossible_shape(self.name, output, sources)
        if not call.constraints:
            return outputs, []
        return outputs, [
            Constraint(left, right, text, sources, error)
            for left, right, text, error in call.constraints
        ]

    def _check_real(self, types: Sequence[TensorType], sources: Sources) -> None:
        for one in types:
            if one.dtype.kind == "c" and not isinstance(self.lower, Leaf | Scan | While | Branches):
                raise DTypeError(
                    f"{self.name}: not for {one.dtype.name}",
                    code="E214",
                    details=[f"got {one}, allowed: real dtypes"],
                    source=sources[0] if sources else None,
                    fix=real_instead(self.name),
                )

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def _plain(attrs: Attributes) -> tuple[Any, ...] | None:
    """Attributes as a key that tells 1, True and 1.0 apart; None if they are not that plain."""
    found: list[Any] = []
    for name, value in attrs.items():
        kind = type(value)
        if kind is tuple:
            for item in value:
                if type(item) is not int and type(item) is not Dim:
                    return None
        elif kind not in _PLAIN and not isinstance(value, np.dtype):
            return None
        found += (name, kind, value)
    return tuple(found)


_PLAIN = frozenset({int, bool, str, type(None)})
ORDER = frozenset(
    {"less", "less_equal", "greater", "greater_equal", "max", "min", "sort", "argmax", "argmin"}
)


def real_instead(name: str) -> str:
    """What to do where an op does not take complex numbers."""
    if name in ORDER:
        return "complex numbers have no order: take gc.abs(x), gc.real(x) or gc.imag(x) first"
    return "take gc.real(x), gc.imag(x) or gc.abs(x) first"


def _is_possible(shape: Shape, bytes: int) -> bool:
    """No known size is negative, and an array of known sizes can be addressed."""
    for size in shape:
        if not isinstance(size, int):
            bytes = 0
        elif size < 0:
            return False
        else:
            bytes *= size
    return bytes < 1 << 63


def impossible_shape(name: str, output: TensorType, sources: Sources) -> ShapeError:
    text = format_shape(output.shape)
    shown = text if len(text) <= LONGEST_SHAPE else f"{text[:LONGEST_SHAPE]}..."
    if any(isinstance(size, int) and size < 0 for size in output.shape):
        text, fix = f"{name}: negative size in {shown}", "sizes are ints >= 0 or symbolic"
    else:
        text = f"{name}: {shown} has more elements than memory has addresses"
        fix = "arrays have less than 2**63 bytes"
    return ShapeError(text, source=sources[0] if sources else None, fix=fix)


def describe_inputs(inputs: Sequence[Tensor]) -> str:
    """`x: float32[n, 5]    W1: float32[4, 2]`"""
    shown = [f"{t.name or t.node.op.name}: {t.type}" for t in inputs[:SHOWN]]
    return "    ".join(shown) + ("    ..." if len(inputs) > SHOWN else "")
