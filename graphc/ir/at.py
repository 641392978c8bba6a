"""`x.at[key].set(values)`: new tensors in which some entries of x have other values."""

from typing import TYPE_CHECKING, Any

from graphc.ir.registry import call

if TYPE_CHECKING:
    from graphc.ir.tensor import Tensor


# What other libraries call updates that are written otherwise here.
_OTHERWISE = {
    "apply": "x.at[key].set(function(x[key]))",
    "divide": "x.at[key].multiply(1 / values)",
    "mul": "x.at[key].multiply(values)",
    "power": "x.at[key].set(x[key] ** values)",
    "subtract": "x.at[key].add(-values)",
}


class At:
    """`x.at`, to be followed by a key in brackets."""

    __slots__ = ("_tensor",)

    def __init__(self, tensor: "Tensor") -> None:
        self._tensor = tensor

    def __getitem__(self, key: Any) -> "Place":
        return Place(self._tensor, key)


class Place:
    """Entries of a tensor. All methods give a new tensor; the old one stays as it is.

    values: any shape that broadcasts to that of x[key], of a dtype that fits that of x. With arrays
    of integers an entry may be named twice: updates then happen in the order of the indices.
    """

    __slots__ = ("_key", "_tensor")

    def __init__(self, tensor: "Tensor", key: Any) -> None:
        self._tensor = tensor
        self._key = key

    def get(self) -> "Tensor":
        """x[key]."""
        return call("getitem", self._tensor, self._key)

    def set(self, values: Any) -> "Tensor":
        """x after `x[key] = values`; of several values for one entry the last is kept."""
        return call("update_at", self._tensor, self._key, values, "set")

    def add(self, values: Any) -> "Tensor":
        """x with the values added; several for one entry are all added."""
        return call("update_at", self._tensor, self._key, values, "add")

    def multiply(self, values: Any) -> "Tensor":
        """x multiplied by the values; several for one entry all count."""
        return call("update_at", self._tensor, self._key, values, "multiply")

    def min(self, values: Any) -> "Tensor":
        """The smaller of x and the values, at each entry."""
        return call("update_at", self._tensor, self._key, values, "min")

    def max(self, values: Any) -> "Tensor":
        """The larger of x and the values, at each entry."""
        return call("update_at", self._tensor, self._key, values, "max")

    def __getattr__(self, name: str) -> Any:
        here = f"; here that is {_OTHERWISE[name]}" if name in _OTHERWISE else ""
        raise AttributeError(f"x.at[key] has no {name!r}{here}")
