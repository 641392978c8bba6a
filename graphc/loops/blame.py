"""Errors that name the kernel, the statement and the user's line."""

from collections.abc import Iterator
from contextlib import contextmanager

from graphc.errors import VerificationError
from graphc.loops.ir import Kernel, Statement
from graphc.loops.printer import format_statement


@contextmanager
def blaming(kernel: Kernel, statement: Statement) -> Iterator[None]:
    """A VerificationError raised inside carries the innermost statement."""
    try:
        yield
    except VerificationError as error:
        if not error.details:
            error.details = (f"{kernel.name}: {format_statement(statement)}",)
            sources = getattr(statement, "sources", ()) or kernel.sources
            error.source = sources[0] if sources else None
        raise


def require(condition: bool, message: str) -> None:
    """VerificationError unless the condition holds."""
    if not condition:
        raise VerificationError(message)
