"""Errors that name the kernel, the statement and the user's line."""

from graphc.errors import VerificationError
from graphc.loops.ir import Kernel, Statement
from graphc.loops.printer import format_statement


def blame(error: VerificationError, kernel: Kernel, statement: Statement) -> None:
    """Let the error carry the statement it came from; the innermost one wins."""
    if error.details:
        return
    error.details = (f"{kernel.name}: {format_statement(statement)}",)
    sources = getattr(statement, "sources", ()) or kernel.sources
    error.source = sources[0] if sources else None


def require(condition: bool, message: str) -> None:
    """VerificationError unless the condition holds."""
    if not condition:
        raise VerificationError(message)
