"""Loops that count their steps, and branches: printed, numbered, refused where they are wrong."""

from dataclasses import replace

import numpy as np
import pytest

import graphc as gc
from graphc.errors import VerificationError
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Branch, KernelCall, Program, While, bodies_of, flat_steps
from graphc.loops.order import uses
from graphc.loops.printer import format_program
from graphc.loops.verifier import verify_program


def scalar() -> Tensor:
    return gc.placeholder("x", (), "float64")


def counting() -> Program:
    x = scalar()
    y = gc.while_loop(lambda c: c > 1, lambda c: gc.sqrt(c) - 0.1, x, max_steps=9)
    program = gc.function([x], [y, gc.grad(y, x)], name="counting").stages.program
    assert program is not None
    return program


def choosing() -> Program:
    x = scalar()
    y = gc.cond(x > 0, lambda: gc.sin(x), lambda: x * 2)
    program = gc.function([x], y, name="choosing").stages.program
    assert program is not None
    return program


def with_step(program: Program, kind: type, **changes: object) -> Program:
    steps = tuple(
        replace(step, **changes) if isinstance(step, kind) else step  # type: ignore[arg-type]
        for step in program.steps
    )
    return replace(program, steps=steps)


def test_steps_are_numbered_through_their_bodies() -> None:
    for program in (counting(), choosing()):
        verify_program(program)
        flat = list(flat_steps(program.steps))
        assert len(flat) == 1 + max(
            int(line.split(":")[0])
            for line in format_program(program).splitlines()
            if line.strip().split(":")[0].isdigit()
        )
    (loop,) = [step for step in counting().steps if isinstance(step, While)]
    assert [len(body) for body in bodies_of(loop)] == [len(loop.test), len(loop.body)]


def test_the_text_says_what_the_steps_do() -> None:
    program = counting()
    (count,) = program.counts
    text = format_program(program)
    assert f"{count} = steps while " in text
    assert "(at most 9)" in text
    assert "branch " in format_program(choosing())


def test_a_loop_binds_its_size() -> None:
    program = counting()
    (loop,) = [step for step in program.steps if isinstance(step, While)]
    assert program.counts == (loop.count,)
    assert loop.count in uses(loop)[1]
    roles = {name: program.buffers[name].role for _, name in loop.tapes}
    assert set(roles.values()) == {"heap"}
    assert program.buffers[loop.holds].dtype == np.dtype(bool)


def test_a_branch_writes_its_results_in_every_body() -> None:
    (branch,) = [step for step in choosing().steps if isinstance(step, Branch)]
    for body in branch.bodies:
        (call,) = body
        assert isinstance(call, KernelCall)
        assert set(branch.out) <= set(call.arguments)


@pytest.mark.parametrize(
    ("program", "kind", "changes", "message"),
    [
        (counting, While, {"test": ()}, "no step of the test writes it"),
        (counting, While, {"body": ()}, "no step of the loop writes it"),
        (counting, While, {"most": -1}, "at most -1"),
        (counting, While, {"holds": "x"}, "not one bool"),
        (choosing, Branch, {"bodies": ()}, "without bodies"),
        (choosing, Branch, {"selector": "x"}, "not one bool or int64"),
        (choosing, Branch, {"bodies": ((), ())}, "not every body writes it"),
        (choosing, Branch, {"selector": "none"}, "no buffer"),
    ],
)
def test_wrong_steps_are_refused(
    program: object, kind: type, changes: dict[str, object], message: str
) -> None:
    assert callable(program)
    with pytest.raises(VerificationError, match=message):
        verify_program(with_step(program(), kind, **changes))
