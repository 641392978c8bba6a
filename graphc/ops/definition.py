"""How op files define their ops: promotion of inputs, derivatives from partials, and one call per
elementwise op."""

import functools
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from graphc.dtypes import (
    DType,
    bool_,
    default_float,
    double,
    float64,
    is_bool,
    is_complex,
    is_inexact,
    is_integer,
    is_numeric,
    real_dtype,
    result_type,
)
from graphc.errors import DTypeError, GraphcError
from graphc.ir.leaf import CONSTANT, as_tensor
from graphc.ir.lowering import Elementwise, LoweringContext
from graphc.ir.node import Attributes, Node, TensorType
from graphc.ir.opdef import (
    Application,
    Example,
    Generator,
    Gradients,
    Inference,
    OpDef,
    real_instead,
)
from graphc.ir.parts import PartsRule
from graphc.ir.registry import Builder, public, register
from graphc.ir.source import current_source, current_sources
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.scalar.expr import Expr
from graphc.shapes import Dim

# Promotion


@dataclass(frozen=True, slots=True)
class Accepts:
    """The dtypes that an op takes, and the words for it in docstrings and errors."""

    holds: Callable[[DType], bool]
    text: str


ANY = Accepts(lambda dtype: True, "any dtype")
NUMERIC = Accepts(lambda dtype: not is_bool(dtype), "numeric dtypes (not bool)")
REAL = Accepts(is_numeric, "real numeric dtypes (not bool)")
FLOATING = Accepts(lambda dtype: True, "any dtype")
ANY_REAL = Accepts(lambda dtype: not is_complex(dtype), "any dtype but complex ones")
INTEGRAL = Accepts(lambda dtype: is_integer(dtype) or is_bool(dtype), "integer dtypes and bool")
INTEGER = Accepts(is_integer, "integer dtypes")
WITHOUT_COMPLEX = {NUMERIC: REAL, ANY: ANY_REAL, FLOATING: ANY_REAL}


def is_weak(value: Any) -> bool:
    """Python scalars and symbolic sizes take the dtype of what they meet."""
    return isinstance(value, bool | int | float | complex | Dim) and not isinstance(
        value, np.generic
    )


def located(error: GraphcError, name: str) -> GraphcError:
    """The error with the op's name and the user's line, where it has none yet."""
    if not error.message.startswith(name + ":"):
        error.message = f"{name}: {error.message}"
    if error.source is None:
        error.source = current_source()
    return error


def promote_inputs(name: str, *values: Any) -> tuple[Tensor, ...]:
    """Tensors of one common dtype; casts are explicit nodes, weak scalars become constants."""
    dtype = _shared_dtype(values)
    try:
        if dtype is not None:
            return tuple([v if isinstance(v, Tensor) else _number(v, dtype) for v in values])
        values = tuple(value if is_weak(value) else as_tensor(value) for value in values)
        dtype = result_type(*map(_promotable, values))
        return tuple(convert(value, dtype) for value in values)
    except GraphcError as error:
        raise located(error, name) from None
    except OverflowError:
        raise located(
            DTypeError(
                "an integer does not fit any dtype",
                fix="write it as a float",
            ),
            name,
        ) from None


def _shared_dtype(values: tuple[Any, ...]) -> DType | None:
    """The answer in the common case: tensors of one dtype, and numbers beside floats."""
    shared: DType | None = None
    numbers = False
    for value in values:
        if isinstance(value, Tensor):
            dtype = value.dtype
            if shared is not None and dtype != shared:
                return None
            shared = dtype
        elif type(value) is float or type(value) is int:
            numbers = True
        else:
            return None
    return None if shared is None or (numbers and not is_inexact(shared)) else shared


def _promotable(value: Any) -> Any:
    if isinstance(value, Dim):
        return 1
    return value if is_weak(value) else value.dtype


def convert(value: Any, dtype: DType) -> Tensor:
    """`value` as a tensor of `dtype`."""
    if isinstance(value, Tensor):
        return value if value.dtype == dtype else value.astype(dtype)
    if is_weak(value) and not isinstance(value, Dim):
        return _number(value, dtype)
    return as_tensor(value, dtype)


def _number(value: complex, dtype: DType) -> Tensor:
    """A constant from a number of Python."""
    negative = (math.copysign(1.0, value.real) < 0, math.copysign(1.0, value.imag) < 0)
    array, type_ = _scalar(value, dtype, negative)
    return Tensor(Node(CONSTANT, (), {"value": array}, (type_,), current_sources()))


@functools.lru_cache(maxsize=1024, typed=True)
def _scalar(
    value: complex, dtype: DType, negative: tuple[bool, ...]
) -> tuple[np.ndarray, TensorType]:
    """A read-only scalar, shared by all constants of its value. negative: tells -0.0 from 0.0."""
    with np.errstate(over="ignore"):
        array = np.array(value, dtype=dtype)
    array.flags.writeable = False
    return array, TensorType(dtype, ())


def check_dtype(name: str, dtype: DType, accepts: Accepts) -> None:
    """DTypeError if the op does not take `dtype`."""
    if not accepts.holds(dtype):
        error = DTypeError(
            f"{name}: not for {dtype.name}",
            code="E214",
            details=[f"got {dtype.name}, allowed: {accepts.text}"],
            fix=real_instead(name) if is_complex(dtype) else "cast with x.astype(...)",
        )
        raise located(error, name)


def one_input(name: str, value: Any, accepts: Accepts = ANY) -> Tensor:
    """`value` as a tensor whose dtype the op takes."""
    (tensor,) = promote_inputs(name, value)
    check_dtype(name, tensor.dtype, accepts)
    return tensor


def floating(tensor: Tensor) -> Tensor:
    """Integers and truth values become float32; floating-point and complex tensors stay."""
    return tensor if is_inexact(tensor.dtype) else tensor.astype(default_float)


# Derivatives from partials


@dataclass(frozen=True, slots=True)
class Over:
    """A partial derivative 1 / divisor: the gradient is divided, which rounds once."""

    divisor: Tensor


# A number; a tensor to multiply by; a truth value: the gradient passes where it holds; or Over.
# None: the output does not depend on the input in a differentiable way.
Partial = Tensor | Over | int | float | None
PartialRule = Callable[[Builder, Application], Partial] | int | None


def scaled(b: Builder, gradient: Tensor, partial: Tensor | Over | int | float) -> Tensor:
    """gradient * partial."""
    if isinstance(partial, Over):
        return b.divide(gradient, partial.divisor)
    if isinstance(partial, Tensor):
        if is_bool(partial.dtype):
            return b.where(partial, gradient, 0)
        return b.multiply(gradient, partial)
    if partial == 1:
        return gradient
    return b.negative(gradient) if partial == -1 else b.multiply(gradient, partial)


def _partial(rule: PartialRule, b: Builder, application: Application) -> Partial:
    return rule(b, application) if callable(rule) else rule


def vjp_from_partials(partials: Sequence[PartialRule]) -> Callable[..., Gradients]:
    def vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
        gradient = gradients[0]
        assert gradient is not None
        results: list[Tensor | None] = []
        for number, rule in enumerate(partials):
            partial = _partial(rule, b, application) if application.wants(number) else None
            if partial is None:
                results.append(None)
            elif isinstance(partial, int | float) and partial == 0:
                results.append(b.zeros_like(application.inputs[number]))
            else:
                results.append(scaled(b, gradient, partial))
        return results

    return vjp


def jvp_from_partials(partials: Sequence[PartialRule]) -> Callable[..., Gradients]:
    def jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
        total: Tensor | None = None
        for rule, tangent in zip(partials, tangents, strict=True):
            if tangent is None:
                continue
            partial = _partial(rule, b, application)
            if partial is None or (isinstance(partial, int | float) and partial == 0):
                continue
            term = scaled(b, tangent, partial)
            if is_complex(term.dtype) and not is_complex(application.output.dtype):
                term = b.real(term)
            total = term if total is None else b.add(total, term)
        return [total]

    return jvp


def linear_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    """The jvp of a linear op of one input: the op on the tangent."""
    tangent = tangents[0]
    node = application.node
    return [None] if tangent is None else node.op.apply((tangent,), node.attrs)


# Elementwise ops

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
