"""Trimmed: a result whose size depends on data. It can be an output of a function, and nothing
else: sizes inside a graph follow from the sizes of the inputs."""

from typing import TYPE_CHECKING, Any, NoReturn

from graphc.dtypes import DType
from graphc.errors import SymbolicValueError
from graphc.ir.operators import Operators
from graphc.ir.source import current_source

if TYPE_CHECKING:
    from graphc.ir.tensor import Tensor

NOT_KNOWN = frozenset({"shape", "size", "type", "T", "mT", "at", "astype", "reshape", "transpose"})
NOT_KNOWN |= {"squeeze", "flatten", "dot", "clip", "sum", "prod", "mean", "var", "std", "max"}
NOT_KNOWN |= {"min", "any", "all", "argmax", "argmin"}


class Trimmed(Operators):
    """The first `count` entries of `padded` along `axis`: a compiled function returns just these.

    padded: a tensor with an upper bound as the size of `axis`. count: a scalar of int64. name: of
    the function that made it, for errors.
    """

    __slots__ = ("axis", "count", "name", "padded")
    __array_priority__ = 1000

    def __init__(self, name: str, padded: "Tensor", count: "Tensor", axis: int = 0) -> None:
        self.name = name
        self.padded = padded
        self.count = count
        self.axis = axis

    @property
    def dtype(self) -> DType:
        return self.padded.dtype

    @property
    def ndim(self) -> int:
        return self.padded.ndim

    def refuse(self) -> NoReturn:
        """SymbolicValueError: it was used as an operand."""
        raise SymbolicValueError(
            f"{self.name}: the size of this result depends on data, so it can only be an output of "
            "a function",
            code="E217",
            details=[f"at most {self.padded.type}, how many along axis {self.axis} is not known"],
            source=current_source(),
            fix=f"give {self.name} a size, to which it pads: "
            f"gc.{self.name}(..., size=...); or reduce a whole array: gc.sum(gc.where(mask, x, 0))",
        )

    def __getattr__(self, name: str) -> Any:
        if name in NOT_KNOWN:
            self.refuse()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __bool__(self) -> bool:
        self.refuse()

    def __len__(self) -> int:
        self.refuse()

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        self.refuse()

    def __repr__(self) -> str:
        return f"<Trimmed: the result of {self.name}, at most {self.padded.type}>"
