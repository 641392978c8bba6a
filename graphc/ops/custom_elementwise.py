"""Elementwise ops of users: a scalar function, compiled by Numba, inside the fused loops."""

from collections.abc import Callable
from dataclasses import field
from typing import Any, overload

import numpy as np

from graphc.dtypes import DType, as_dtype, is_complex, is_half
from graphc.errors import CustomOpError, DTypeError
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Elementwise, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Inference, OpDef
from graphc.ir.registry import public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.custom import custom_jvp, custom_vjp
from graphc.ops.definition import is_weak, promote_inputs
from graphc.records import dataclass
from graphc.scalar.expr import Call, Expr
from graphc.scalar.foreign import Foreign

__all__ = ["CustomElementwise", "custom_elementwise"]

Function = Callable[..., Any]


@dataclass(eq=False)
class CustomElementwise:
    """An op made by `custom_elementwise`. Call it with tensors."""

    name: str
    function: Function
    dtype: DType | None
    vjp: Function | None
    jvp: Function | None
    ops: dict[tuple[DType, ...], OpDef] = field(default_factory=dict)

    def __call__(self, *inputs: Any) -> Tensor:
        """Of one dtype and shape, by promotion and broadcasting."""
        if not inputs:
            raise CustomOpError(
                f"{self.name}: no inputs", fix="pass at least one", source=current_source()
            )
        if all(map(is_weak, inputs)):
            inputs = tuple(as_tensor(value) for value in inputs)
        tensors = promote_inputs(self.name, *inputs)
        dtype = tensors[0].dtype
        for one in (dtype, self.dtype):
            if one is not None and (is_complex(one) or is_half(one)):
                raise DTypeError(
                    f"{self.name}: numba functions of {one} are not supported",
                    source=current_source(),
                    fix='x.astype("float32")',
                )
        operands = (dtype,) * len(tensors)
        if operands not in self.ops:
            self.ops[operands] = self._op(operands)
        return self.ops[operands](*tensors)

    def _op(self, operands: tuple[DType, ...]) -> OpDef:
        """The op for these dtypes; compiles the function, so that it fails here if it does."""
        result = operands[0] if self.dtype is None else self.dtype
        foreign = Foreign(self.name, self.function, operands, result)
        try:
            _ = foreign.address
        except CustomOpError as error:
            error.source = current_source()
            raise

        def infer(call: Inference) -> TensorType:
            return TensorType(result, call.broadcast())

        def reference(attrs: Attributes, *arrays: np.ndarray) -> np.ndarray:
            return foreign.evaluate(*arrays)

        def element(context: LoweringContext, *elements: Expr) -> Expr:
            return Call(foreign, elements, result)

        return OpDef(
            self.name,
            infer=infer,
            reference=reference,
            lower=Elementwise(element),
            vjp=custom_vjp(self.name, self.vjp, broadcasts=True),
            jvp=None if self.jvp is None else custom_jvp(self.name, self.jvp),
            traits=frozenset({"custom", "elementwise"}),
        )

    def __repr__(self) -> str:
        return f"<custom elementwise op {self.name}>"


@overload
def custom_elementwise(
    function: Function,
    *,
    name: str | None = None,
    dtype: Any = None,
    vjp: Function | None = None,
    jvp: Function | None = None,
) -> CustomElementwise: ...


@overload
def custom_elementwise(
    function: None = None,
    *,
    name: str | None = None,
    dtype: Any = None,
    vjp: Function | None = None,
    jvp: Function | None = None,
) -> Callable[[Function], CustomElementwise]: ...


@public
def custom_elementwise(
    function: Function | None = None,
    *,
    name: str | None = None,
    dtype: Any = None,
    vjp: Function | None = None,
    jvp: Function | None = None,
) -> Any:
    """Make an elementwise op of a scalar function, compiled by Numba; also a decorator.

    function(*scalars) computes one element: plain Python of arithmetic, conditions, loops and
    `math.*`, or a function that `numba.njit` made. It must not raise. It is compiled when the op
    is first applied to a dtype, and called by the loops of every backend without Python: the op
    fuses with its neighbours. Inputs are promoted to one dtype and broadcast.

    name: that of the function by default. dtype: of the result; that of the inputs by default.
    vjp, jvp: as for `custom_op`.

    Raises CustomOpError (E413): a name that is no ASCII identifier, a function that Numba does not
    compile; DTypeError: float16, bfloat16 and complex inputs. GradientError E304: a derivative
    without vjp.

    >>> @gc.custom_elementwise(vjp=lambda x, dy: dy * gc.where(x > 0, 1.0, 0.1))
    ... def leaky(x):
    ...     return x if x > 0 else 0.1 * x
    """
    if function is None:
        return lambda given: custom_elementwise(given, name=name, dtype=dtype, vjp=vjp, jvp=jvp)
    called = getattr(function, "__name__", "function").strip("<>") if name is None else name
    if not isinstance(called, str) or not called.isidentifier() or not called.isascii():
        raise CustomOpError(
            f"custom_elementwise: {called!r} is not a usable name",
            fix="use an ASCII identifier",
            source=current_source(),
        )
    wanted = None if dtype is None else as_dtype(dtype)
    return CustomElementwise(called, function, wanted, vjp, jvp)
