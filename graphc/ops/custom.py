"""Ops of users: a Python function on numpy arrays becomes an op of the graph."""

import re
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from graphc.dtypes import DType, as_dtype, result_type
from graphc.errors import CustomOpError, GradientError, GraphcError
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import HostCall
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Gradients, Inference, OpDef
from graphc.ir.registry import Builder, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.pairs import through_pairs
from graphc.records import dataclass
from graphc.shapes import Shape, Size, as_size

__all__ = ["CustomOp", "custom_op"]

Function = Callable[..., Any]
Infer = Callable[[Inference], tuple[TensorType, ...]]


@dataclass(frozen=True, eq=False)
class CustomOp:
    """An op made by `custom_op`. Call it with tensors, and attributes by name."""

    op: OpDef

    @property
    def name(self) -> str:
        return self.op.name

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        """The output, or a tuple of them. Inputs are tensors or become constants."""
        tensors = [as_tensor(value) for value in inputs]
        outputs = self.op.apply(tensors, {name: _plain(v) for name, v in attrs.items()})
        return outputs[0] if len(outputs) == 1 else outputs

    def __repr__(self) -> str:
        return f"<custom op {self.name}>"


@overload
def custom_op(
    name: str,
    function: Function,
    *,
    infer: str | Function = "same",
    dtype: Any = None,
    vjp: Function | None = None,
    jvp: Function | None = None,
    effect: bool = False,
) -> CustomOp: ...


@overload
def custom_op(
    name: str,
    function: None = None,
    *,
    infer: str | Function = "same",
    dtype: Any = None,
    vjp: Function | None = None,
    jvp: Function | None = None,
    effect: bool = False,
) -> Callable[[Function], CustomOp]: ...


@public
def custom_op(
    name: str,
    function: Function | None = None,
    *,
    infer: str | Function = "same",
    dtype: Any = None,
    vjp: Function | None = None,
    jvp: Function | None = None,
    effect: bool = False,
) -> Any:
    """Make an op of a Python function on numpy arrays; without `function`, a decorator.

    function(*arrays, **attrs) gets one read-only array per input and the attributes of the call,
    and returns an array, or a tuple of them. Compiled code calls it back, also inside loops. The
    arrays are copies that it may keep. It should depend on nothing else: equal calls are made
    once, and those on constants when the function is compiled. A function that `numba.njit` made is
    called by native code without Python, if it returns the declared dtypes and its attributes are
    numbers. effect=True says that it does more
    than compute, so that every call is made, in the order of the graph.

    infer: types of the outputs. "same": that of the first input. A signature such as
    "(n, k), (k, m) -> (n, m)": shapes by the names of their sizes; ints and "()" are allowed;
    what has one name must be equal. Or a function of the inputs' types (with `.dtype` and
    `.shape`, whose sizes may be symbolic) and the attributes, that returns a (dtype, shape) pair
    or a list of pairs. dtype: of the outputs where infer says shapes alone; that of the promoted
    inputs by default.

    vjp(*inputs, *cotangents, **attrs) builds the gradients of the inputs as tensors: one, or a
    tuple with one or None per input; it may be another custom op. jvp(*inputs, *tangents, **attrs)
    builds the tangents of the outputs; it follows from vjp where that is linear in the cotangents.

    Raises CustomOpError (E413): a signature that cannot be read, an infer that fails; ShapeError:
    inputs that do not fit the signature. At the call: HostCallError E411 (the function raised),
    E412 (it returned another dtype or shape than was inferred). GradientError E304: a derivative
    without vjp.

    >>> smooth = gc.custom_op("smooth", lambda x: scipy.ndimage.gaussian_filter(x, 2.0))
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise _wrong(f"custom_op: {name!r} is not a usable name", fix="use a Python identifier")
    if function is None:
        return lambda given: custom_op(
            name, given, infer=infer, dtype=dtype, vjp=vjp, jvp=jvp, effect=effect
        )
    given: Function = function
    wanted = None if dtype is None else as_dtype(dtype)

    def reference(attrs: Attributes, *arrays: np.ndarray) -> Any:
        return given(*arrays, **attrs)

    return CustomOp(
        OpDef(
            name,
            infer=_inference(name, infer, wanted),
            reference=reference,
            lower=HostCall(owned=True, jitted=given if hasattr(given, "py_func") else None),
            vjp=custom_vjp(name, vjp),
            parts=through_pairs,
            jvp=None if jvp is None else custom_jvp(name, jvp),
            traits=frozenset({"custom", "effect"} if effect else {"custom"}),
        )
    )


def _plain(value: Any) -> Any:
    """Attributes are plain values; lists become tuples, so that they can be compared."""
    return tuple(_plain(item) for item in value) if isinstance(value, list) else value


def _wrong(message: str, fix: str, details: Sequence[str] = ()) -> CustomOpError:
    return CustomOpError(message, details=details, fix=fix, source=current_source())


# --- types -------------------------------------------------------------------------------------


def _inference(name: str, infer: str | Function, dtype: DType | None) -> Infer:
    if callable(infer):
        return _by_function(name, infer, dtype)
    if not isinstance(infer, str):
        raise _wrong(
            f"{name}: infer is {type(infer).__name__}",
            fix='pass "same", a signature such as "(n, k) -> (n)", or a function of types',
        )
    if infer == "same":
        return lambda call: _as_first(name, call, dtype)
    takes, gives = _parsed(name, infer)
    return lambda call: _by_signature(call, infer, takes, gives, dtype)


def _as_first(name: str, call: Inference, dtype: DType | None) -> tuple[TensorType, ...]:
    if not call.types:
        raise CustomOpError(
            f"{name}: there is no input to take the type of",
            fix='say it: infer="-> (3)", dtype="float32"',
        )
    first = call.types[0]
    return (TensorType(first.dtype if dtype is None else dtype, first.shape),)


def _by_function(name: str, infer: Function, dtype: DType | None) -> Infer:
    def types(call: Inference) -> tuple[TensorType, ...]:
        try:
            answer = infer(*call.types, **call.attrs)
        except GraphcError:
            raise
        except Exception as error:
            raise CustomOpError(
                f"{name}: infer raised {type(error).__name__}: {error}",
                details=[f"input types: {', '.join(map(str, call.types))}"],
                fix="see the exception above",
            ) from error
        several = isinstance(answer, list) or (
            isinstance(answer, tuple) and bool(answer) and _as_type(answer[0], None) is not None
        )
        found = tuple(_as_type(item, dtype) for item in (answer if several else [answer]))
        if not found or None in found:
            raise CustomOpError(
                f"{name}: infer returned {answer!r}",
                fix="return a (dtype, shape) pair, or a list of pairs",
            )
        return tuple(one for one in found if one is not None)

    return types


def _as_type(value: Any, dtype: DType | None) -> TensorType | None:
    """A type from a type or a (dtype, shape) pair; None from anything else."""
    if isinstance(value, TensorType):
        return value if dtype is None else TensorType(dtype, value.shape)
    if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], tuple | list)):
        return None
    try:
        return TensorType(as_dtype(value[0]), tuple(as_size(size) for size in value[1]))
    except (GraphcError, TypeError):
        return None


Words = list[tuple[str | int, ...]]
_SHAPE = re.compile(r"\s*\(([^()]*)\)\s*")


def _parsed(name: str, signature: str) -> tuple[Words, Words]:
    """Shapes of the inputs and of the outputs, from "(n, k), (k) -> (n)"."""
    left, arrow, right = signature.partition("->")
    takes, gives = _shapes(left), _shapes(right)
    if not arrow or takes is None or not gives:
        raise _wrong(
            f"{name}: the signature {signature!r} cannot be read",
            fix='write shapes in parentheses: "(n, k), (k) -> (n)"',
        )
    known = {word for shape in takes for word in shape}
    unknown = {word for shape in gives for word in shape if isinstance(word, str)} - known
    if unknown:
        raise _wrong(
            f"{name}: no input has the size {min(map(str, unknown))!r} of the output",
            details=[f"signature {signature}"],
            fix="outputs use sizes of inputs and numbers; anything else needs an infer function",
        )
    return takes, gives


def _shapes(text: str) -> Words | None:
    found: Words = []
    position = 0
    while text[position:].strip():
        match = _SHAPE.match(text, position)
        if match is None:
            return None
        words = [word.strip() for word in match[1].split(",") if word.strip()]
        if not all(word.isidentifier() or word.isdecimal() for word in words):
            return None
        found.append(tuple(int(word) if word.isdecimal() else word for word in words))
        position = match.end()
        if text[position:].strip():
            if text[position] != ",":
                return None
            position += 1
    return found


def _by_signature(
    call: Inference, signature: str, takes: Words, gives: Words, dtype: DType | None
) -> tuple[TensorType, ...]:
    shapes = [t.shape for t in call.types]
    if [len(shape) for shape in shapes] != [len(words) for words in takes]:
        raise CustomOpError(
            f"{call.op}: the inputs do not fit the signature {signature}",
            details=[f"got {', '.join(map(str, call.types)) or 'no inputs'}"],
            fix=f"pass {len(takes)} input{'s' * (len(takes) != 1)} of these ranks",
        )
    sizes: dict[str, Size] = {}
    for words, shape in zip(takes, shapes, strict=True):
        for word, size in zip(words, shape, strict=True):
            held = word if isinstance(word, int) else sizes.setdefault(word, size)
            call.require_equal(held, size, f"size {word} of the signature {signature}")
    if dtype is None:
        dtype = result_type(*(t.dtype for t in call.types))

    def shape_of(words: tuple[str | int, ...]) -> Shape:
        return tuple(word if isinstance(word, int) else sizes[word] for word in words)

    return tuple(TensorType(dtype, shape_of(words)) for words in gives)


# --- derivatives -------------------------------------------------------------------------------


def custom_vjp(
    name: str, rule: Function | None, broadcasts: bool = False
) -> Callable[[Builder, Application, Gradients], Gradients]:
    """The rule of the op, from the user's. broadcasts: gradients may have the output's shape."""

    def apply(b: Builder, application: Application, gradients: Gradients) -> Gradients:
        if rule is None:
            sources = application.node.sources
            raise GradientError(
                f"{name} has no derivative",
                code="E304",
                source=sources[0] if sources else None,
                fix="pass vjp=lambda x, dy: ... where the op is made, or stop the path with "
                "gc.stop_gradient",
            )
        given = _or_zeros(b, application.outputs, gradients)
        answer = rule(*application.inputs, *given, **application.attrs)
        return _answers(name, "vjp", answer, application.inputs, broadcasts)

    return apply


def custom_jvp(name: str, rule: Function) -> Callable[[Builder, Application, Gradients], Gradients]:
    """The forward rule of the op, from the user's."""

    def apply(b: Builder, application: Application, tangents: Gradients) -> Gradients:
        given = _or_zeros(b, application.inputs, tangents)
        answer = rule(*application.inputs, *given, **application.attrs)
        return _answers(name, "jvp", answer, application.outputs)

    return apply


def _or_zeros(b: Builder, tensors: Sequence[Tensor], given: Gradients) -> list[Tensor]:
    return [
        b.zeros_like(tensor) if one is None else one
        for tensor, one in zip(tensors, given, strict=True)
    ]


def _answers(
    name: str, rule: str, answer: Any, wanted: Sequence[Tensor], broadcasts: bool = False
) -> Gradients:
    """What a rule returned: as many tensors as wanted, of no higher rank but for broadcasting."""
    several = list(answer) if isinstance(answer, tuple | list) else [answer]
    found = [None if one is None else as_tensor(one) for one in several]
    fits = len(found) == len(wanted) and all(
        one is None or broadcasts or one.ndim <= tensor.ndim
        for one, tensor in zip(found, wanted, strict=True)
    )
    if not fits:
        got = ", ".join("None" if one is None else str(one.type) for one in found)
        raise GradientError(
            f"{name}: {rule} returned {len(found)} for {len(wanted)}, or of another rank",
            code="E307",
            details=[f"got {got}", f"allowed {', '.join(str(t.type) for t in wanted)}"],
            source=current_source(),
            fix="return a tensor or None for each, in these shapes",
        )
    return found
