"""The registries: ops by name and public building functions by name.

They hold definitions only, filled while `graphc` is imported; user graphs live in their tensors.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from graphc.surface import surface

if TYPE_CHECKING:
    from graphc.ir.opdef import OpDef
    from graphc.ir.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

OPS: dict[str, "OpDef"] = {}
FUNCTIONS: dict[str, Callable[..., Any]] = {}


def register(op: "OpDef") -> "OpDef":
    """Add an op to the registry; a name is taken once."""
    if op.name in OPS:
        raise ValueError(f"op {op.name!r} is registered twice")
    OPS[op.name] = op
    return op


def public(function: F) -> F:
    """Make a building function available to operators, derivative rules and rewrites by name.

    What users call is its `surface`; graphc itself knows what its functions take.
    """
    name = function.__name__
    if name in FUNCTIONS:
        raise ValueError(f"function {name!r} is registered twice")
    FUNCTIONS[name] = function
    return surface(function)


def call(name: str, *args: Any, **kwargs: Any) -> "Tensor":
    """Call a public building function by name."""
    tensor: Tensor = FUNCTIONS[name](*args, **kwargs)
    return tensor


class Builder:
    """`b.exp(x)`: every public building function by name, so that op files need no imports."""

    def __getattr__(self, name: str) -> Callable[..., "Tensor"]:
        try:
            return FUNCTIONS[name]
        except KeyError:
            raise AttributeError(f"no building function named {name!r}") from None


BUILDER = Builder()
