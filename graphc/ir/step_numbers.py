"""The numbers of the steps that loops are at, for what is to differ from step to step.

A body is traced once, whatever the number of its steps. What is drawn in it from a stream, without
a key, would be one number for all of them; so a loop lends its body the number of the step, and
takes it among its inputs if anything has asked for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from graphc.dtypes import int64
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.node import TensorType
from graphc.ir.tensor import Tensor


class StepNumber:
    """The number of a step in one loop; `tensor` is None as long as nothing has asked."""

    def __init__(self) -> None:
        self.tensor: Tensor | None = None

    def asked(self) -> Tensor:
        """int64[], an input of the body."""
        if self.tensor is None:
            self.tensor = PLACEHOLDER(name="step", type=TensorType(int64, ()))
        return self.tensor


_LOOPS: ContextVar[tuple[StepNumber, ...]] = ContextVar("loops", default=())


@contextmanager
def numbered_steps() -> Iterator[StepNumber]:
    """While a body is traced: the loop around it, inside of those that are traced already."""
    number = StepNumber()
    token = _LOOPS.set((*_LOOPS.get(), number))
    try:
        yield number
    finally:
        _LOOPS.reset(token)


def step_numbers() -> list[Tensor]:
    """One for each loop whose body is being traced, the outermost first."""
    return [loop.asked() for loop in _LOOPS.get()]
