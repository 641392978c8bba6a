"""Exception classes and the one message formatter: got / allowed / where written / how to fix.

Every error has a code. `E1xx` shapes and dtypes of ops, `E2xx` feeds, inputs, names and updates,
`E3xx` differentiation, `E4xx` values, `E5xx` backends and internal checks, `E6xx` environment.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

import numpy as np

__all__ = [
    "ArgumentError",
    "AssertionFailed",
    "AxisError",
    "BackendError",
    "CustomOpError",
    "DTypeError",
    "DimError",
    "DisconnectedError",
    "FeedError",
    "FeedTypeError",
    "FileFormatError",
    "FunctionError",
    "GradientError",
    "GraphcError",
    "HostCallError",
    "IndexOutOfRange",
    "LinearAlgebraError",
    "MemoryLimitError",
    "MissingExtraError",
    "NumericsError",
    "ParameterError",
    "ParseError",
    "RewriteError",
    "ShapeError",
    "StepLimitError",
    "SymbolicAttributeError",
    "SymbolicValueError",
    "ValidationError",
    "VerificationError",
]


class Location(Protocol):
    """Where the user wrote something; `ir.source.Source` is the implementation."""

    def describe(self) -> str: ...


class GraphcError(Exception):
    """Base of all errors that graphc raises on purpose.

    message: one line, what is wrong. code: `E101`... details: lines that show what was got and
    what is allowed. source: where the user wrote it; without one, the line that graphc was called
    from. fix: how to repair it.
    """

    code = "E500"
    # The line that the user is at. Set by ir.source; shapes and dtypes know nothing of lines.
    locate: ClassVar[Callable[[], Location | None]] = staticmethod(lambda: None)

    def __init_subclass__(cls) -> None:
        cls.__module__ = "graphc"  # tracebacks show the name under which users import it

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: Sequence[str] = (),
        source: Location | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.details = tuple(details)
        self.source = source
        self.called_from = type(self).locate() if source is None else source
        self.fix = fix

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.message}"]
        lines += [f"    {line}" for line in self.details]
        source = self.source or self.called_from
        if source is not None:
            lines.append(f"  written   {source.describe()}")
        if self.fix:
            lines.append(f"  fix       {self.fix}")
        return "\n".join(lines)


class ShapeError(GraphcError, ValueError):
    """Sizes, axes or ranks that do not fit together."""

    code = "E101"


class AxisError(ShapeError, IndexError):
    """An axis that a tensor does not have; an IndexError too, as in numpy."""


class DimError(GraphcError, TypeError):
    """A symbolic size was used where its value must be known."""

    code = "E108"


class DTypeError(GraphcError, TypeError):
    """A dtype that an op or a promotion does not accept."""

    code = "E110"


class SymbolicValueError(GraphcError, TypeError):
    """A symbolic tensor was used as if it held a value: bool(), iteration, item assignment."""

    code = "E211"


class ArgumentError(GraphcError, TypeError, ValueError):
    """An argument of a kind that a function does not take, or one that it does not have."""

    code = "E220"


class SymbolicAttributeError(SymbolicValueError, AttributeError):
    """An attribute that tensors of other libraries have."""


class FeedError(GraphcError, ValueError):
    """A missing, superfluous or unfit feed."""

    code = "E201"


class FeedTypeError(FeedError, TypeError):
    """A feed whose dtype would lose information."""

    code = "E202"


class FunctionError(GraphcError, ValueError):
    """Inputs, outputs, updates or givens of a function that contradict each other."""

    code = "E205"


class GradientError(GraphcError, ValueError):
    """A derivative that does not exist or was asked for wrongly."""

    code = "E301"


class DisconnectedError(GradientError):
    """The cost does not depend on a tensor that it is differentiated by."""

    code = "E303"


class IndexOutOfRange(GraphcError, IndexError):  # noqa: N818 - named as its base is
    """An index outside its axis, found while building or at run time."""

    code = "E401"


class HostCallError(GraphcError, RuntimeError):
    """A user's Python function inside a graph raised an exception, or returned something unfit.

    What it raised is the cause (`__cause__`) of this error.
    """

    code = "E411"


class CustomOpError(GraphcError, ValueError):
    """A custom op that was declared wrongly, or got inputs that its signature does not allow."""

    code = "E413"


class AssertionFailed(GraphcError, AssertionError):  # noqa: N818 - named as its base is
    """A condition of gc.assert_ that does not hold."""

    code = "E414"


class NumericsError(GraphcError, FloatingPointError):
    """A NaN or an infinity that a check found."""

    code = "E415"


class LinearAlgebraError(GraphcError, np.linalg.LinAlgError):
    """A matrix that an algorithm cannot handle, found at run time: it is singular, for example."""

    code = "E406"


class ValidationError(GraphcError, ArithmeticError):
    """A rewrite or a backend changed a number: always a defect of graphc or of a rule."""

    code = "E416"


class ParameterError(GraphcError, ValueError):
    """A number outside the range that an argument allows, known while the graph is built."""

    code = "E404"


class StepLimitError(GraphcError, RuntimeError):
    """A loop that does not end within the steps that it is allowed."""

    code = "E421"


class BackendError(GraphcError, RuntimeError):
    """An unknown backend, or a backend that failed to compile."""

    code = "E501"


class MemoryLimitError(GraphcError, MemoryError):
    """A call that needs more memory than `memory_limit` allows, or than there is (E605)."""

    code = "E506"


class VerificationError(GraphcError, RuntimeError):
    """An IR that breaks its own rules: always a defect of graphc itself."""

    code = "E503"


class RewriteError(GraphcError, RuntimeError):
    """Rewrite rules that undo each other or exceed their budget."""

    code = "E504"


class ParseError(GraphcError, ValueError):
    """Text that is not a printed graph."""

    code = "E505"


class MissingExtraError(GraphcError, ImportError):
    """An optional dependency that is not installed; the message names the extra."""

    code = "E601"


class FileFormatError(GraphcError, ValueError):
    """A file that is damaged, of another format, or does not fit what it is loaded into."""

    code = "E602"
