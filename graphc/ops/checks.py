"""Checks of values at run time: assert_ and check_numerics.

Both give their first input back. What they check is computed as one number: ALL_WELL, or the
row-major position of the first element that fails, which the program compares before any result
is handed out. So a check is a fused reduction in native code and a comparison.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.dtypes import int64, is_bool, is_complex, is_floating
from graphc.errors import AssertionFailed, CustomOpError, DTypeError, GraphcError, NumericsError
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import ALL_WELL, Elementwise, HostCall, IndexCheck, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.printer import format_expression
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.scalar.expr import Expr
from graphc.shapes import Shape, evaluate, size_product

__all__ = ["assert_", "check_numerics"]

KINDS = ("NaN", "inf", "-inf")  # of values that are not finite: position * 4 + number of the kind
SHOWN = 6  # elements of a value in a message


def _infer(call: Inference) -> TensorType:
    if call.types[1] != TensorType(int64, ()):
        raise DTypeError(f"{call.op}: the finding is {call.types[1]}, not int64[]")
    return call.types[0]


def _first(context: LoweringContext, x: Expr, found: Expr) -> Expr:
    return x


def _vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    return [gradients[0], None]


def _jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    return [tangents[0]]


def position_of(flat: int, shape: tuple[int, ...]) -> str:
    """`[2, 0]`, from a row-major position."""
    return str([int(part) for part in np.unravel_index(flat, shape)])


def _bound(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(evaluate(size, sizes) for size in shape)


def _first_position(failed: Tensor, number: Any) -> Tensor:
    """The least `number` where `failed` holds, both of shape (n,), else ALL_WELL."""
    numbers = BUILDER.where(failed, number, as_tensor(np.int64(ALL_WELL)))
    return BUILDER.min(numbers, initial=ALL_WELL)


# --- assert_ -----------------------------------------------------------------------------------


def _assert_checks(context: LoweringContext) -> list[IndexCheck]:
    message, shape = context.attrs["message"], context.attrs["shape"]

    def error(position: int, sizes: Mapping[str, int]) -> GraphcError:
        return _failed(message, position, _bound(shape, sizes))

    return [IndexCheck(1, 0, ALL_WELL + 1, ALL_WELL, error)]


def _failed(message: str, position: int, shape: tuple[int, ...]) -> AssertionFailed:
    where = [f"it fails first at {position_of(position, shape)} of {list(shape)}"] if shape else []
    return AssertionFailed(f"assert_: {message}", details=where)


ASSERT = register(
    OpDef(
        "assert_",
        infer=_infer,
        reference=lambda attrs, x, found: x,
        lower=Elementwise(_first),
        vjp=_vjp,
        jvp=_jvp,
        parts=partwise,
        index_checks=_assert_checks,
        traits=frozenset({"transparent"}),
        examples=lambda rng: [
            Example(lambda x: assert_(x, x < 9, "large"), (rng.normal(size=shape),))
            for shape in ((), (0,), (2, 3))
        ],
    )
)


def _show(attrs: Attributes, found: np.ndarray, *values: np.ndarray) -> np.ndarray:
    """Raise with the values if something was found."""
    if found == ALL_WELL:
        return found
    error = _failed(attrs["message"], int(found), attrs["shape"])
    names = attrs["names"]
    error.details += tuple(
        f"{name} = {' '.join(np.array2string(value, threshold=SHOWN, edgeitems=2).split())}"
        for name, value in zip(names, values, strict=True)
    )
    raise error


def _infer_finding(call: Inference) -> TensorType:
    return call.types[0]


SHOW = register(
    OpDef(
        "assert_showing",
        infer=_infer_finding,
        reference=_show,
        lower=HostCall(),
        traits=frozenset({"nondifferentiable"}),
        examples=lambda rng: [
            Example(
                lambda x: assert_(x, x < 9, "large", x * 2),
                (rng.normal(size=(2, 3)),),
            )
        ],
    )
)


@public
def assert_(
    x: Any, condition: Any, message: str = "the condition does not hold", *values: Any
) -> Tensor:
    """x itself; but where `condition` does not hold at run time, the call fails.

    x: any shape and dtype; the check is made where the result is needed. condition: a bool tensor
    of any shape, all of which must hold, or a Python bool. message: what the error says. values:
    tensors whose values it shows. A condition that holds already while the function is compiled
    costs nothing. Gradients pass through to x.

    Raises AssertionFailed (E414), with the first position at which the condition fails; for a
    Python bool at once. After it every variable has its old value.

    >>> p = gc.assert_(p, p > 0, "probabilities are positive", p)
    """
    tensor = as_tensor(x)
    if not isinstance(message, str):
        raise CustomOpError(
            f"assert_: the message is {type(message).__name__}",
            fix='write gc.assert_(x, condition, "message", *values)',
            source=current_source(),
        )
    if isinstance(condition, bool | np.bool_):
        if condition:
            return tensor
        error = _failed(message, 0, ())
        error.source = current_source()
        raise error
    test = as_tensor(condition)
    if not is_bool(test.dtype):
        raise DTypeError(
            f"assert_: the condition is {test.type}",
            source=current_source(),
            fix="pass a comparison: bool values",
        )
    count = size_product(test.shape)
    found = _first_position(
        BUILDER.logical_not(BUILDER.reshape(test, (count,))), BUILDER.arange(count)
    )
    attrs = {"message": message, "shape": test.shape}
    if values:
        shown = [as_tensor(value) for value in values]
        names = tuple(t.name or format_expression(t) for t in shown)
        (found,) = SHOW.apply([found, *shown], {**attrs, "names": names})
    return ASSERT(tensor, found, **attrs)


# --- check_numerics ----------------------------------------------------------------------------


def _numerics_checks(context: LoweringContext) -> list[IndexCheck]:
    message, name, kind = context.attrs["message"], context.attrs["name"], context.inputs[0]

    def error(found: int, sizes: Mapping[str, int]) -> GraphcError:
        shape = _bound(kind.shape, sizes)
        value, place = KINDS[found % 4], position_of(found // 4, shape)
        return NumericsError(
            f"check_numerics: {message}" if message else f"check_numerics: {name} is not finite",
            details=[f"{name} is {value} at {place} of {kind.dtype}{list(shape)}"],
            fix='gc.function(..., check="nan") names the op that made it',
        )

    return [IndexCheck(1, 0, ALL_WELL + 1, ALL_WELL, error)]


NUMERICS = register(
    OpDef(
        "check_numerics",
        infer=_infer,
        reference=lambda attrs, x, found: x,
        lower=Elementwise(_first),
        vjp=_vjp,
        jvp=_jvp,
        parts=partwise,
        index_checks=_numerics_checks,
        traits=frozenset({"transparent"}),
        examples=lambda rng: [
            Example(check_numerics, (rng.normal(size=shape),)) for shape in ((), (0,), (2, 3))
        ],
    )
)


@public
def check_numerics(x: Any, message: str | None = None) -> Tensor:
    """x itself; but where it holds a NaN or an infinity at run time, the call fails.

    x: any shape; dtypes without such values need no check. The check is made where the result is
    needed, in native code: one more reduction over x. Gradients pass through.

    Raises NumericsError (E415) with the value and the first position. After it every variable has
    its old value.

    >>> h = gc.check_numerics(gc.log(x))
    """
    tensor = as_tensor(x)
    if is_complex(tensor.dtype):
        parts = (BUILDER.real(tensor), BUILDER.imag(tensor))
        return BUILDER.complex(*(check_numerics(part, message) for part in parts))
    if not is_floating(tensor.dtype):
        return tensor
    count = size_product(tensor.shape)
    b = BUILDER
    flat = b.reshape(tensor, (count,))
    kind = b.where(b.isnan(flat), 0, b.where(flat > 0, 1, 2))
    found = _first_position(b.logical_not(b.isfinite(flat)), b.arange(count) * 4 + kind)
    name = tensor.name or format_expression(tensor)
    return NUMERICS(tensor, found, message=message or "", name=name)
