"""Ctrl-C at every moment of a call, one after the other: no timer, and no luck."""

import dis
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FrameType
from typing import Any


def at_every_moment(work: Callable[[], object]) -> Iterator[str]:
    """Run it again and again, interrupted each time a moment later, until it comes to its end.

    Each time the place in the code is yielded. The error is held meanwhile, with all that its
    traceback leads to, as an interactive session does.
    """
    number = 0
    while True:
        error, place = _interrupted(work, number)
        if error is None:
            return
        yield place
        number += 1


def _interrupted(work: Callable[[], object], number: int) -> tuple[KeyboardInterrupt | None, str]:
    left = number
    place = ""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left, place
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti in _moments(frame.f_code):
            if left == 0:
                sys.settrace(None)
                place = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
                raise KeyboardInterrupt
            left -= 1
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks for it in a frame that is there
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt as error:
        return error, place
    finally:
        sys.settrace(before)
    return None, place


@cache
def _moments(code: CodeType) -> frozenset[int]:
    """Where Python handles signals: as a function begins or goes on, and right after calls.

    An error there counts as that of the call, which may belong to another block than what comes
    next: a call that ends its line is left out.
    """
    found: set[int] = set()
    line: int | None = None
    last = ""
    for instruction in dis.get_instructions(code):
        before, line = line, _line(instruction, line)
        if last == "RESUME" or (last.startswith("CALL") and line == before):
            found.add(instruction.offset)
        last = instruction.opname
    return frozenset(found)


def _line(instruction: dis.Instruction, before: int | None) -> int | None:
    positions = instruction.positions
    return before if positions is None else positions.lineno
