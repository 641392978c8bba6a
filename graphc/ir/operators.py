"""Python's operators on tensors; each finds its op in the registry by name."""

from typing import TYPE_CHECKING, Any, cast

from graphc.ir.registry import call

if TYPE_CHECKING:
    from graphc.ir.tensor import Tensor


class Operators:
    """Operators of `Tensor`. The other operand may be anything `as_tensor` takes."""

    __slots__ = ()

    def __neg__(self) -> "Tensor":
        return call("negative", self)

    def __pos__(self) -> "Tensor":
        return call("positive", self)

    def __abs__(self) -> "Tensor":
        return call("abs", self)

    def __invert__(self) -> "Tensor":
        return call("bitwise_invert", self)

    def __getitem__(self, key: Any) -> "Tensor":
        return call("getitem", self, key)

    def __add__(self, other: Any) -> "Tensor":
        return call("add", self, other)

    def __radd__(self, other: Any) -> "Tensor":
        return call("add", other, self)

    def __sub__(self, other: Any) -> "Tensor":
        return call("subtract", self, other)

    def __rsub__(self, other: Any) -> "Tensor":
        return call("subtract", other, self)

    def __mul__(self, other: Any) -> "Tensor":
        return call("multiply", self, other)

    def __rmul__(self, other: Any) -> "Tensor":
        return call("multiply", other, self)

    def __truediv__(self, other: Any) -> "Tensor":
        return call("divide", self, other)

    def __rtruediv__(self, other: Any) -> "Tensor":
        return call("divide", other, self)

    def __floordiv__(self, other: Any) -> "Tensor":
        return call("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> "Tensor":
        return call("floor_divide", other, self)

    def __mod__(self, other: Any) -> "Tensor":
        return call("remainder", self, other)

    def __rmod__(self, other: Any) -> "Tensor":
        return call("remainder", other, self)

    def __divmod__(self, other: Any) -> "tuple[Tensor, Tensor]":
        return call("floor_divide", self, other), call("remainder", self, other)

    def __rdivmod__(self, other: Any) -> "tuple[Tensor, Tensor]":
        return call("floor_divide", other, self), call("remainder", other, self)

    def __round__(self, digits: int | None = None) -> "Tensor":
        return cast("Tensor", self).round(digits or 0)

    def __pow__(self, other: Any) -> "Tensor":
        return call("pow", self, other)

    def __rpow__(self, other: Any) -> "Tensor":
        return call("pow", other, self)

    def __matmul__(self, other: Any) -> "Tensor":
        return call("matmul", self, other)

    def __rmatmul__(self, other: Any) -> "Tensor":
        return call("matmul", other, self)

    def __and__(self, other: Any) -> "Tensor":
        return call("bitwise_and", self, other)

    def __rand__(self, other: Any) -> "Tensor":
        return call("bitwise_and", other, self)

    def __or__(self, other: Any) -> "Tensor":
        return call("bitwise_or", self, other)

    def __ror__(self, other: Any) -> "Tensor":
        return call("bitwise_or", other, self)

    def __xor__(self, other: Any) -> "Tensor":
        return call("bitwise_xor", self, other)

    def __rxor__(self, other: Any) -> "Tensor":
        return call("bitwise_xor", other, self)

    def __lshift__(self, other: Any) -> "Tensor":
        return call("bitwise_left_shift", self, other)

    def __rlshift__(self, other: Any) -> "Tensor":
        return call("bitwise_left_shift", other, self)

    def __rshift__(self, other: Any) -> "Tensor":
        return call("bitwise_right_shift", self, other)

    def __rrshift__(self, other: Any) -> "Tensor":
        return call("bitwise_right_shift", other, self)

    def __lt__(self, other: Any) -> "Tensor":
        return call("less", self, other)

    def __le__(self, other: Any) -> "Tensor":
        return call("less_equal", self, other)

    def __gt__(self, other: Any) -> "Tensor":
        return call("greater", self, other)

    def __ge__(self, other: Any) -> "Tensor":
        return call("greater_equal", self, other)

    def __eq__(self, other: object) -> "Tensor":  # type: ignore[override]
        return call("equal", self, other)

    def __ne__(self, other: object) -> "Tensor":  # type: ignore[override]
        return call("not_equal", self, other)

    # __eq__ builds a graph, so hashing must be stated; `Tensor` hashes by identity of its value.
    __hash__ = cast(Any, object.__hash__)
