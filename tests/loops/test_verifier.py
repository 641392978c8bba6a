"""Everything the grammar forbids is refused, with the statement in the message."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from graphc.dtypes import bool_, float32, float64, int32, int64
from graphc.errors import VerificationError
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Buffer,
    Contraction,
    For,
    HostCall,
    If,
    Kernel,
    KernelCall,
    Let,
    Parameter,
    Program,
    Scratch,
    Statement,
    Store,
)
from graphc.loops.verifier import verify_kernel, verify_program
from graphc.scalar import expr as s
from graphc.scalar.expr import Call, Const, Expr, Index, Local, Read
from tests.loops.cases import (
    CASES,
    GATHER,
    LINE_12,
    SCATTER_ADD,
    SOFTMAX,
    at,
    at_i,
    at_j,
    batched_program,
    c32,
    float32_local,
    i,
    layer_program,
    n,
)

STORE = Store("y", (at_i,), at("x", at_i))
FLAG = Local("flag", bool_)


def kernel(*body: Statement) -> Kernel:
    parameters = (Parameter("x", float32, (n,)), Parameter("y", float32, (n,), written=True))
    return Kernel("k", parameters, ("n",), body, LINE_12)


def loop(*body: Statement) -> For:
    return For("i", n, "parallel", body)


def store(value: Expr) -> For:
    return loop(Store("y", (at_i,), value))


def summing(*body: Statement) -> tuple[Statement, ...]:
    """A serial loop inside the declaration of a sum, then a use of it."""
    return (Accumulator("acc", "add", float32), For("j", n, "serial", body), loop(STORE))


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_good_kernels(case: object) -> None:
    verify_kernel(case.kernel)  # type: ignore[attr-defined]


@pytest.mark.parametrize("program", [layer_program(), batched_program()], ids=lambda p: p.name)
def test_good_programs(program: Program) -> None:
    verify_program(program)


def test_scatter_is_good() -> None:
    verify_kernel(SCATTER_ADD)
    verify_kernel(GATHER)


BAD_KERNELS = {
    "unknown local": (store(float32_local("t")), "t has no value here"),
    "local of another body": (
        If(s.lt(Index(0), Index(n)), (Let("t", c32(1)),)),
        store(float32_local("t")),
        "t has no value here",
    ),
    "local of another dtype": (Let("t", Index(0)), store(float32_local("t")), "t is int64"),
    "twice": (Let("t", c32(1)), loop(Let("t", c32(2)), STORE), "t is assigned twice"),
    "unknown buffer": (store(at("z", at_i)), "z is not a buffer in scope"),
    "scratch of another body": (
        loop(Scratch("r", float32, (n,)), STORE),
        store(at("r", at_i)),
        "r is not a buffer in scope",
    ),
    "rank": (store(at("x", at_i, at_i)), "x has 1 axes, got 2 indices"),
    "index dtype": (store(at("x", c32(1))), "an index is float32, expected int64"),
    "axis out of scope": (loop(STORE), Store("y", (at_i,), c32(1)), "i uses i, not in scope"),
    "unknown size": (For("i", n * i, "serial", (STORE,)), "the extent uses i, not in scope"),
    "axis twice": (loop(loop(STORE)), "i already names an axis or size"),
    "axis like a size": (For("n", 3, "serial", (STORE,)), "n already names an axis or size"),
    "store dtype": (store(Index(1)), "the value is int64, expected float32"),
    "load dtype": (store(at("x", at_i, dtype=float64)), "x holds float32, not float64"),
    "read only": (loop(STORE, Store("x", (at_i,), c32(1))), "x is not written by this kernel"),
    "nothing stored": (Let("t", c32(1)), "nothing is stored in y"),
    "vector in vector": (
        For("j", n, "vector", (For("i", n, "vector", (STORE,)),)),
        "a vector loop inside a vector loop",
    ),
    "extent by lane": (
        For("i", n, "vector", (STORE, For("j", i, "serial", (Let("t", c32(1)),)))),
        "the extent depends on i, the axis of a vector loop",
    ),
    "condition": (If(c32(1), (STORE,)), "the condition is float32, expected bool"),
    "accumulator": (Accumulate("acc", c32(1)), "acc is not an accumulator in scope"),
    "accumulator dtype": (
        *summing(Accumulate("acc", Index(1))),
        "the value is int64, expected float32",
    ),
    "parallel sum": (
        Accumulator("acc", "add", float32),
        loop(Accumulate("acc", c32(1)), STORE),
        "the parallel loop over i feeds acc",
    ),
    "running sum": (
        *summing(Accumulate("acc", c32(1)), Let("t", float32_local("acc"))),
        "acc is read inside a loop that feeds it",
    ),
    "position missing": (Accumulator("acc", "argmax", float32), "argmax needs a position"),
    "position given": (*summing(Accumulate("acc", c32(1), at_j)), "add takes no position"),
    "combine": (Accumulator("acc", "median", float32), "'median' does not combine"),
    "and of floats": (Accumulator("acc", "and", float32), "and does not combine float32"),
    "sum of bools": (Accumulator("acc", "add", bool_), "add does not combine bool"),
    "parallel scatter": (
        loop(STORE, Store("y", (Index(0),), c32(1), accumulate=True)),
        "iterations of the parallel loop over i may add to one element",
    ),
    "read": (store(Read(0, (at_i,), float32)), "a kernel cannot hold in0[i]"),
    "constant": (store(Const(1, float32)), "1 is not the value of a float32 constant"),
    "operation": (store(Call("softplus", (c32(1),), float32)), "'softplus' is not a scalar"),
    "arity": (store(Call("add", (c32(1),), float32)), "add takes 2 operands, got 1"),
    "mixed": (store(Call("add", (c32(1), at_i), float32)), "operands of one dtype"),
    "floats only": (
        Let("t", Call("exp", (Index(n),), int64)),
        "exp does not take int64 in exp(n)",
    ),
    "comparison": (
        store(Call("lt", (c32(1), c32(2)), float32)),
        "lt gives bool, not float32",
    ),
    "select": (
        store(Call("select", (at_i, c32(1), c32(2)), float32)),
        "select takes bool, float32, float32, got int64, float32, float32",
    ),
    "loop kind": (For("i", n, "unrolled", (STORE,)), "'unrolled' is no kind of loop"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", BAD_KERNELS.values(), ids=list(BAD_KERNELS))
def test_bad_kernels(case: tuple[object, ...]) -> None:
    *body, message = case
    with pytest.raises(VerificationError) as caught:
        verify_kernel(kernel(*body))  # type: ignore[arg-type]
    assert str(message) in str(caught.value)


def test_the_message_shows_statement_and_line() -> None:
    with pytest.raises(VerificationError) as caught:
        verify_kernel(kernel(loop(Store("y", (at_i,), float32_local("t"), sources=LINE_12))))
    assert str(caught.value) == (
        "[E503] t has no value here\n    k: y[i] = t\n  written   train.py:12"
    )


def test_parameters_and_sizes_are_declared_once() -> None:
    good = kernel(loop(STORE))
    with pytest.raises(VerificationError, match="parameter x is declared twice"):
        verify_kernel(replace(good, parameters=(good.parameters[0], *good.parameters)))
    with pytest.raises(VerificationError, match="size n is declared twice"):
        verify_kernel(replace(good, sizes=("n", "n")))
    with pytest.raises(VerificationError, match="the shape of x uses n, not in scope"):
        verify_kernel(replace(good, sizes=()))


# Programs


def without_step(number: int) -> Program:
    program = layer_program()
    return replace(
        program, steps=tuple(step for at, step in enumerate(program.steps) if at != number)
    )


def with_step(number: int, **changes: object) -> Program:
    program = layer_program()
    steps = list(program.steps)
    steps[number] = replace(steps[number], **changes)  # type: ignore[arg-type]
    return replace(program, steps=tuple(steps))


def with_buffer(buffer: Buffer) -> Program:
    program = layer_program()
    return replace(program, buffers=program.buffers | {buffer.name: buffer})


BAD_PROGRAMS: dict[str, tuple[Callable[[], Program], str]] = {
    "read before written": (lambda: without_step(1), "t is read before any step writes it"),
    "output not written": (lambda: without_step(3), "rows is a result, but no step writes it"),
    "input written": (
        lambda: with_step(2, arguments=("t", "x")),
        "x of role input is written",
    ),
    "arguments": (lambda: with_step(2, arguments=("t",)), "2 parameters, got 1 buffers"),
    "sizes": (lambda: with_step(2, sizes=(n,)), "2 sizes, got 1"),
    "unknown size": (lambda: with_step(2, sizes=(n, i)), "a size uses i, no size of the program"),
    "aliased": (lambda: with_step(2, arguments=("t", "t")), "t is written and has two names"),
    "buffer dtype": (
        lambda: with_buffer(Buffer("p", float64, (n, 3), "output")),
        "y is float32, the buffer p is float64",
    ),
    "elements": (
        lambda: with_step(2, kernel=replace(SOFTMAX, name="other"), arguments=("t", "u")),
        "u has no buffer",
    ),
    "check of floats": (lambda: with_step(0, buffer="x"), "x is float32, not an integer buffer"),
    "strides": (lambda: with_step(1, batch=(2,)), "1 batch axes, strides for [0, 0, 0]"),
    "contraction dtype": (
        lambda: with_step(1, dtype=int32),
        "t is float32, the contraction int32",
    ),
    "contraction in place": (lambda: with_step(1, out="x"), "x is both read and written"),
    "constant": (
        lambda: with_buffer(Buffer("c", float32, (2,), "constant")),
        "constants without value or buffer: ['c']",
    ),
    "role of a result": (
        lambda: replace(layer_program(), outputs=("t",)),
        "result t is in a buffer of role temporary",
    ),
    "update": (
        lambda: replace(layer_program(), updates=(("x", "p"),)),
        "update of x, which is no variable",
    ),
    "two kernels of one name": (
        lambda: with_step(3, kernel=replace(GATHER, name="softmax")),
        "two kernels are called softmax",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD_PROGRAMS.values(), ids=list(BAD_PROGRAMS))
def test_bad_programs(make: Callable[[], Program], message: str) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_program(make())
    assert message in str(caught.value)


def test_a_bad_step_is_printed() -> None:
    with pytest.raises(VerificationError) as caught:
        verify_program(without_step(1))
    assert "step 1: p = softmax(t, n, m=3)" in str(caught.value)


def test_static_sizes_of_parameters_and_buffers_agree() -> None:
    copy = kernel(loop(STORE))
    buffers = [Buffer("a", float32, (4,), "input"), Buffer("b", float32, (3,), "output")]
    program = Program(
        "p",
        (),
        {buffer.name: buffer for buffer in buffers},
        (KernelCall(copy, ("a", "b"), (4,)),),
        outputs=("b",),
    )
    with pytest.raises(VerificationError, match="y has 4 elements, the buffer b has 3"):
        verify_program(program)


def test_constants_fit_their_buffers() -> None:
    program = with_buffer(Buffer("c", float32, (2,), "constant"))
    verify_program(replace(program, constants={"c": np.zeros(2, np.float32)}))
    with pytest.raises(VerificationError, match=r"constant c is float64\[2\]"):
        verify_program(replace(program, constants={"c": np.zeros(2)}))


def test_batch_strides() -> None:
    program = batched_program()
    (step,) = program.steps
    assert isinstance(step, Contraction)
    with pytest.raises(VerificationError, match="strides for"):
        verify_program(replace(program, steps=(replace(step, strides=((), (), ())),)))


def host_program(step: HostCall) -> Program:
    buffers = [
        Buffer("x", float32, (2, 3), "input"),
        Buffer("y", float32, (6,), "output"),
    ]
    return Program("f", (), {b.name: b for b in buffers}, (step,), ("y",))


def identity(attrs: object, x: np.ndarray) -> np.ndarray:
    return x


def test_host_call() -> None:
    verify_program(host_program(HostCall(identity, "host", {}, (("x", (3, 2)),), (("y", (2, 3)),))))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (HostCall(identity, "host", {}, (("x", (3,)),), (("y", (6,)),)), "sees x as"),
        (HostCall(identity, "host", {}, (("z", (6,)),), (("y", (6,)),)), "z has no buffer"),
        (HostCall(identity, "host", {}, (), (("x", (6,)),)), "is written"),
        (HostCall(identity, "host", {}, (), (("y", (6,)), ("y", (6,)))), "one buffer twice"),
        (HostCall(identity, "host", {"n": (n,)}, (), (("y", (6,)),)), "no size of the program"),
        (HostCall(3, "host", {}, (), (("y", (6,)),)), "no function"),  # type: ignore[arg-type]
    ],
)
def test_wrong_host_call(step: HostCall, words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        verify_program(host_program(step))
