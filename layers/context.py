"""CallContext: one use of layers, in training or not, and what the layers left to be done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

import graphc as gc

__all__ = ["CallContext"]


class CallContext:
    """How the layers that are called inside behave, and what becomes of it.

    training: whether dropout drops and batch normalisation uses the batch. A layer that is called
    outside of all contexts does not train, unless it is told `training=True`.

    updates: new values of variables, such as moving averages, as pairs for `gc.function`. losses:
    scalars to be added to the cost, such as penalties of activities. A layer that is called again
    with the same tensors gives the same expression, and so has the same dropout mask.

    >>> with CallContext(training=True) as context:
    ...     y = model(x)
    >>> train = gc.function([x], cost, updates=[*updates, *context.updates])
    """

    def __init__(self, training: bool = False) -> None:
        self._training = bool(training)
        self._losses: list[gc.Tensor] = []
        self._pending: dict[tuple[int, int], tuple[gc.Variable, gc.Tensor]] = {}
        self._made: dict[Any, Any] = {}
        self._draws: dict[int, int] = {}
        self._touches = [0]
        self._tokens: list[Token[CallContext | None]] = []

    @property
    def training(self) -> bool:
        self.touch()
        return self._training

    @property
    def losses(self) -> list[gc.Tensor]:
        self.touch()
        return self._losses

    @losses.setter
    def losses(self, new: list[gc.Tensor]) -> None:
        self.touch()
        self._losses = new

    def touch(self) -> None:
        """A layer asks for something of this context, or leaves something in it: what it gives is
        the result of a call in this context, and of no other."""
        self._touches[0] += 1

    @property
    def touches(self) -> int:
        return self._touches[0]

    @property
    def updates(self) -> list[tuple[gc.Variable, gc.Tensor]]:
        """(variable, new value): what the layers that were called want to remember."""
        self.touch()
        return list(self._pending.values())

    def latest(self, variable: gc.Variable) -> gc.Tensor:
        """What the variable will be after the updates so far."""
        self.touch()
        return self._pending.get(variable.key, (variable, variable))[1]

    def update(self, variable: gc.Variable, value: gc.Tensor) -> None:
        """The variable becomes `value` when the function has run."""
        self.touch()
        self._pending[variable.key] = (variable, value)

    def next_draw(self, owner: Any) -> int:
        """0, 1, 2, ...: which of its draws `owner` makes in this context."""
        self.touch()
        number = self._draws.get(id(owner), 0)
        self._draws[id(owner)] = number + 1
        return number

    def remembered(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` gave when it was first called with this key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def switched(self, training: bool) -> "CallContext":
        """This context with another `training`; updates, losses and draws are shared."""
        if training == self._training:
            return self
        other = CallContext(training)
        other._losses, other._pending = self._losses, self._pending
        other._made, other._draws = self._made, self._draws
        other._touches = self._touches
        return other

    def __enter__(self) -> "CallContext":
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _current.reset(self._tokens.pop())


_current: ContextVar[CallContext | None] = ContextVar("graphc_layers_context", default=None)


def current_context() -> CallContext | None:
    """The innermost context that is open in this thread."""
    return _current.get()


@contextmanager
def outside_contexts() -> Iterator[None]:
    """Inside the block no context is open: layers that are called there predict."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)
