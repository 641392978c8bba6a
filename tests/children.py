"""Forked children that run a task."""

import os
import signal
from collections.abc import Callable

PATIENCE = 100  # seconds for a child: one that hangs is ended, and the test fails


def child_of(task: Callable[[], None]) -> None:
    """Run a task in a child; an error there, or a child that hangs, is an error here."""

    def done() -> str:
        task()
        return "done"

    assert told_by(done) == "done"


def told_by(task: Callable[[], str]) -> str:
    """What a task in a child returns, or raises. A child that hangs is an error here."""
    source, sink = os.pipe()
    process = os.fork()
    if process == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE)
        try:
            os.write(sink, task().encode())
        except BaseException as error:
            os.write(sink, repr(error).encode())
        finally:
            os._exit(0)
    os.close(sink)
    with os.fdopen(source) as told:
        answer = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status == 0, (status, answer)
    return answer
