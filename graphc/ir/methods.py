"""Methods of tensors by the names of numpy; each finds its op in the registry by name."""

from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from graphc.dtypes import DType
from graphc.errors import ShapeError
from graphc.ir.at import At
from graphc.ir.registry import call
from graphc.ir.source import current_source
from graphc.shapes import Size, size_product
from graphc.surface import surface

if TYPE_CHECKING:
    from graphc.ir.tensor import Tensor

Axis = int | tuple[int, ...] | list[int] | None


class Methods:
    """Methods of `Tensor`."""

    __slots__ = ()

    @property
    def dtype(self) -> DType:
        raise AttributeError("dtype")  # that of `Tensor`

    @property
    def T(self) -> "Tensor":
        """All axes reversed."""
        return call("transpose", self)

    @property
    def mT(self) -> "Tensor":
        """The last two axes exchanged."""
        return call("matrix_transpose", self)

    @property
    def real(self) -> "Tensor":
        """The real part."""
        return call("real", self)

    @property
    def imag(self) -> "Tensor":
        """The imaginary part."""
        return call("imag", self)

    def conj(self) -> "Tensor":
        """The complex conjugate."""
        return call("conj", self)

    @property
    def at(self) -> At:
        """`x.at[key].set(values)`, and add, multiply, min, max: x with other values at x[key]."""
        return At(cast("Tensor", self))

    def astype(self, dtype: Any, *, copy: bool = True) -> "Tensor":
        return call("astype", self, dtype, copy=copy)

    def reshape(self, *shape: Any) -> "Tensor":
        return call("reshape", self, _unpack(shape))

    def transpose(self, *axes: Any) -> "Tensor":
        return call("transpose", self, _unpack(axes) if axes else None)

    def squeeze(self, axis: Axis = None) -> "Tensor":
        return call("squeeze", self, axis)

    def swapaxes(self, axis1: int, axis2: int) -> "Tensor":
        return call("swapaxes", self, axis1, axis2)

    def flatten(self, ndim: int = 1) -> "Tensor":
        """With `ndim` axes, as Theano has it: the last ones of x become one."""
        shape = cast("Tensor", self).shape
        if ndim not in range(1, max(len(shape), 1) + 1):
            raise ShapeError(
                f"flatten: {ndim!r:.40} axes of a tensor of {len(shape)}",
                source=current_source(),
                fix="x.flatten() has one axis, x.flatten(2) two: the first of x, and all others",
            )
        return call("reshape", self, (*shape[: ndim - 1], size_product(shape[ndim - 1 :])))

    def ravel(self) -> "Tensor":
        return call("reshape", self, (-1,))

    def copy(self) -> "Tensor":
        """The same value: nothing writes into a tensor."""
        return call("positive", self)

    def dot(self, other: Any) -> "Tensor":
        return call("dot", self, other)

    def take(self, indices: Any, axis: int | None = None) -> "Tensor":
        return call("take", self, indices, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> "Tensor":
        return call("repeat", self, repeats, axis)

    def diagonal(self, offset: Size = 0, axis1: int = 0, axis2: int = 1) -> "Tensor":
        return call("diagonal", self, offset, axis1, axis2)

    def trace(self, offset: Size = 0, axis1: int = 0, axis2: int = 1) -> "Tensor":
        return call("trace", self, offset, axis1, axis2)

    def round(self, decimals: int = 0) -> "Tensor":
        """To so many digits behind the point, halves to the even one."""
        if not decimals:
            return call("round", self)
        scaled = call(
            "divide", call("round", call("multiply", self, 10.0**decimals)), 10.0**decimals
        )
        return call("astype", scaled, self.dtype)

    def argsort(self, axis: int = -1) -> "Tensor":
        return call("argsort", self, axis)

    def clip(self, min: Any = None, max: Any = None) -> "Tensor":
        return call("clip", self, min, max)

    def sum(self, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> "Tensor":
        return call("sum", self, axis=axis, keepdims=keepdims, dtype=dtype)

    def prod(self, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> "Tensor":
        return call("prod", self, axis=axis, keepdims=keepdims, dtype=dtype)

    def cumsum(self, axis: int | None = None) -> "Tensor":
        """Sums of the first elements; of all elements in order without an axis."""
        return call("cumulative_sum", *_along(self, axis))

    def cumprod(self, axis: int | None = None) -> "Tensor":
        """Products of the first elements; of all elements in order without an axis."""
        return call("cumulative_prod", *_along(self, axis))

    def mean(self, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> "Tensor":
        """dtype: what is averaged is cast to it first."""
        x = self if dtype is None else call("astype", self, dtype)
        return call("mean", x, axis=axis, keepdims=keepdims)

    def var(
        self, axis: Axis = None, keepdims: bool = False, *, correction: float = 0.0
    ) -> "Tensor":
        return call("var", self, axis=axis, keepdims=keepdims, correction=correction)

    def std(
        self, axis: Axis = None, keepdims: bool = False, *, correction: float = 0.0
    ) -> "Tensor":
        return call("std", self, axis=axis, keepdims=keepdims, correction=correction)

    def max(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return call("max", self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return call("min", self, axis=axis, keepdims=keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return call("any", self, axis=axis, keepdims=keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        return call("all", self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> "Tensor":
        return call("argmax", self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> "Tensor":
        return call("argmin", self, axis=axis, keepdims=keepdims)


for _name, _method in list(vars(Methods).items()):
    if isinstance(_method, FunctionType):  # errors for arguments are those of functions
        setattr(Methods, _name, surface(_method))


def _along(x: Any, axis: int | None) -> tuple[Any, int]:
    return (call("reshape", x, (-1,)), 0) if axis is None else (x, axis)


def _unpack(values: tuple[Any, ...]) -> Any:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    return values[0] if len(values) == 1 and isinstance(values[0], tuple | list) else values
