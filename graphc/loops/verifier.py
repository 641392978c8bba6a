"""Checks of a whole program: every kernel, and that steps fit their buffers and each other.

What depends on values (indices within their axes, memory written before it is read) is for the
interpreter to check.
"""

import itertools
from collections.abc import Sequence

from graphc.dtypes import float32, float64, int64, is_bool, is_integer, is_numeric
from graphc.errors import VerificationError
from graphc.ir.node import sizes_in
from graphc.lapack import ROUTINES, Operand
from graphc.loops.blame import require
from graphc.loops.ir import (
    Branch,
    Buffer,
    Contraction,
    HostCall,
    IndexCheck,
    Kernel,
    KernelCall,
    Lapack,
    Loop,
    Program,
    Step,
    While,
    flat_steps,
)
from graphc.loops.kernel_verifier import verify_kernel
from graphc.loops.printer import format_step
from graphc.ranges import at_least
from graphc.shapes import Size, size_product, substitute, symbols_of

__all__ = ["verify_kernel", "verify_program"]

GIVEN_ROLES = ("input", "variable", "constant")
RESULT_ROLES = ("output", "update")


def verify_program(program: Program) -> None:
    """VerificationError, with the printed step, if the program breaks a rule."""
    _check_buffers(program)
    kernels: dict[str, Kernel] = {}
    available = {name for name, item in program.buffers.items() if item.role in GIVEN_ROLES}
    _check_steps(program, program.steps, 0, available, kernels)
    for name in (*program.outputs, *(value for _, value in program.updates)):
        require(name in available, f"{name} is a result, but no step writes it")


def _check_steps(
    program: Program,
    steps: Sequence[Step],
    number: int,
    available: set[str],
    kernels: dict[str, Kernel],
) -> None:
    """Steps in order, the first at `number` among all; `available` grows by what they write."""
    for step in steps:
        try:
            if isinstance(step, KernelCall):
                _check_kernel(step.kernel, kernels)
            if isinstance(step, Loop):
                _check_loop(program, step, number, available, kernels)
            elif isinstance(step, While):
                _check_while(program, step, number, available, kernels)
            elif isinstance(step, Branch):
                _check_branch(program, step, number, available, kernels)
            else:
                available |= _check_step(program, step, available)
        except VerificationError as error:
            if not error.details:
                error.details = (f"step {number}: {format_step(step)}",)
            raise
        number += sum(1 for _ in flat_steps([step]))


def _check_views(
    program: Program, step: Loop | While, rows: Sequence[str], available: set[str]
) -> set[str]:
    """States, what they become and rows are views; the states, which the body sees."""
    views = {*rows, *(name for carry in step.carries for name in (carry.state, carry.following))}
    for name in sorted(views):
        require(name in program.buffers, f"{name} has no buffer")
        require(program.buffers[name].role == "view", f"{name} is no view")
    for carry in step.carries:
        require(carry.initial in available, f"{carry.initial} is read before any step writes it")
    return {carry.state for carry in step.carries}


def _check_results(step: Loop | While, rows: Sequence[str], inside: set[str]) -> set[str]:
    """The body writes what is handed on and every row; the last states, which then are there."""
    for name in sorted({*rows, *(carry.following for carry in step.carries)}):
        require(name in inside, f"{name} is handed on, but no step of the loop writes it")
    return {carry.final for carry in step.carries}


def _check_loop(
    program: Program,
    step: Loop,
    number: int,
    available: set[str],
    kernels: dict[str, Kernel],
) -> None:
    """Views are set before the body runs; it writes what is handed on and every stacked row."""
    _check_sizes(program, (step.length,), "the length")
    states = _check_views(program, step, [view for view, _ in step.slices], available)
    inside = available | states
    inside |= {view for view, buffer in step.slices if buffer in available}
    _check_steps(program, step.body, number + 1, inside, kernels)
    rows = [view for view, buffer in step.slices if buffer not in available]
    available |= _check_results(step, rows, inside)
    available |= {buffer for _, buffer in step.slices}


def _check_while(
    program: Program,
    step: While,
    number: int,
    available: set[str],
    kernels: dict[str, Kernel],
) -> None:
    """Test and body see the states; the body writes what is handed on and every stacked row."""
    require(step.count not in program.sizes, f"{step.count} is a size of the call")
    require(step.most is None or step.most >= 0, f"a loop of at most {step.most} steps")
    states = _check_views(program, step, [view for view, _ in step.tapes], available)
    for _, buffer in step.tapes:
        require(buffer in program.buffers, f"{buffer} has no buffer")
        require(program.buffers[buffer].role == "heap", f"{buffer} does not grow")
    tested = available | states
    _check_steps(program, step.test, number + 1, tested, kernels)
    require(step.holds in tested, f"{step.holds} is tested, but no step of the test writes it")
    holds = program.buffers[step.holds]
    require(
        is_bool(holds.dtype) and size_product(holds.shape) == 1, f"{step.holds} is not one bool"
    )
    inside = available | states
    number += 1 + sum(1 for _ in flat_steps(step.test))
    _check_steps(program, step.body, number, inside, kernels)
    available |= _check_results(step, [view for view, _ in step.tapes], inside)
    available |= {buffer for _, buffer in step.tapes}


def _check_branch(
    program: Program,
    step: Branch,
    number: int,
    available: set[str],
    kernels: dict[str, Kernel],
) -> None:
    """The selector is there before; every body writes all results."""
    require(step.selector in program.buffers, f"{step.selector} has no buffer")
    require(step.selector in available, f"{step.selector} is read before any step writes it")
    selector = program.buffers[step.selector]
    fits = is_bool(selector.dtype) or selector.dtype == int64
    require(
        fits and size_product(selector.shape) == 1,
        f"{step.selector} is {selector.dtype}{list(selector.shape)}, not one bool or int64",
    )
    require(bool(step.bodies), "a branch without bodies")
    number += 1
    for body in step.bodies:
        inside = set(available)
        _check_steps(program, body, number, inside, kernels)
        for name in step.out:
            require(name in inside, f"{name} is a result, but not every body writes it")
        number += sum(1 for _ in flat_steps(body))
    available |= set(step.out)


def _check_kernel(kernel: Kernel, kernels: dict[str, Kernel]) -> None:
    known = kernels.get(kernel.name)
    if known is None:
        verify_kernel(kernel)
        kernels[kernel.name] = kernel
    else:
        require(known is kernel or known == kernel, f"two kernels are called {kernel.name}")


def _check_buffers(program: Program) -> None:
    for name, buffer in program.buffers.items():
        require(name == buffer.name, f"buffer {buffer.name} is filed under {name}")
        _check_sizes(program, buffer.shape, f"the shape of {name}")
        counted = {s for size in buffer.shape for s in symbols_of(size)} - set(program.sizes)
        fits = buffer.role in ("heap", "view") or not counted
        require(fits, f"{name} of role {buffer.role} has a size that a loop binds")
    constants = {name for name, item in program.buffers.items() if item.role == "constant"}
    require(
        constants == program.constants.keys(),
        f"constants without value or buffer: {sorted(constants ^ program.constants.keys())}",
    )
    for name, value in program.constants.items():
        buffer = program.buffers[name]
        fits = value.dtype == buffer.dtype and value.shape == buffer.shape
        require(fits, f"constant {name} is {value.dtype}{list(value.shape)}")
    for name in program.outputs:
        _check_result(program, name)
    for variable, name in program.updates:
        _check_result(program, name)
        require(
            variable in program.buffers and program.buffers[variable].role == "variable",
            f"update of {variable}, which is no variable",
        )


def _check_result(program: Program, name: str) -> None:
    require(name in program.buffers, f"result {name} has no buffer")
    role = program.buffers[name].role
    require(role in RESULT_ROLES, f"result {name} is in a buffer of role {role}")


def _check_sizes(program: Program, sizes: tuple[Size, ...], what: str) -> None:
    for size in sizes:
        unknown = symbols_of(size) - {*program.sizes}
        unknown = unknown and unknown - {*program.counts}  # the steps are many to look through
        require(not unknown, f"{what} uses {', '.join(sorted(unknown))}, no size of the program")


def _check_step(program: Program, step: Step, available: set[str]) -> set[str]:
    """What the step writes."""
    match step:
        case KernelCall():
            read, written = _check_call(program, step)
        case Contraction():
            read, written = _check_contraction(program, step)
        case IndexCheck():
            _check_sizes(program, (step.count, step.minimum, step.size), "the check")
            read, written = {step.buffer}, set()
            if step.buffer in program.buffers:
                dtype = program.buffers[step.buffer].dtype
                require(is_integer(dtype), f"{step.buffer} is {dtype}, not an integer buffer")
        case HostCall():
            read, written = _check_host_call(program, step)
        case Lapack():
            read, written = _check_lapack(program, step)
    for name in sorted(read):
        require(name in program.buffers, f"{name} has no buffer")
        require(name in available, f"{name} is read before any step writes it")
    for name in sorted(written):
        require(name in program.buffers, f"{name} has no buffer")
        role = program.buffers[name].role
        require(role not in GIVEN_ROLES, f"{name} of role {role} is written")
    return written


def _check_call(program: Program, step: KernelCall) -> tuple[set[str], set[str]]:
    kernel = step.kernel
    parameters, arguments = kernel.parameters, step.arguments
    require(
        len(arguments) == len(parameters),
        f"{kernel.name} has {len(parameters)} parameters, got {len(arguments)} buffers",
    )
    require(
        len(step.sizes) == len(kernel.sizes),
        f"{kernel.name} has {len(kernel.sizes)} sizes, got {len(step.sizes)}",
    )
    _check_sizes(program, step.sizes, "a size")
    bound = dict(zip(kernel.sizes, step.sizes, strict=True))
    read: set[str] = set()
    written: set[str] = set()
    for parameter, name in zip(parameters, arguments, strict=True):
        (written if parameter.written else read).add(name)
        if name not in program.buffers:
            continue
        buffer = program.buffers[name]
        if buffer.dtype != parameter.dtype:
            raise VerificationError(
                f"{parameter.name} is {parameter.dtype}, the buffer {name} is {buffer.dtype}"
            )
        shape = tuple(substitute(size, bound) for size in parameter.shape)
        wanted, held = size_product(shape), size_product(buffer.shape)
        if isinstance(wanted, int) and isinstance(held, int):  # symbolic ones: the interpreter
            require(
                wanted == held,
                f"{parameter.name} has {wanted} elements, the buffer {name} has {held}",
            )
    both = sorted(name for name in written if name in read or arguments.count(name) > 1)
    require(not both, f"{', '.join(both)} is written and has two names in the kernel")
    return read, written


def _check_contraction(program: Program, step: Contraction) -> tuple[set[str], set[str]]:
    require(
        is_numeric(step.dtype) or is_bool(step.dtype), f"a contraction does not take {step.dtype}"
    )
    for name, wanted in zip((step.out, step.a, step.b), step.dtypes, strict=True):
        if name in program.buffers:
            dtype = program.buffers[name].dtype
            require(dtype == wanted, f"{name} is {dtype}, the contraction {wanted}")
    sizes = (step.m, step.n, step.k, *step.batch, *step.distances, *step.starts)
    _check_sizes(program, sizes, "the contraction")
    _check_sizes(program, tuple(itertools.chain(*step.strides)), "the contraction")
    require(
        all(len(item) == len(step.batch) for item in step.strides),
        f"{len(step.batch)} batch axes, strides for {[len(item) for item in step.strides]}",
    )
    for number, name in enumerate((step.out, step.a, step.b)):
        if name in program.buffers:
            _check_matrices(step, number, program.buffers[name])
    require(step.out not in (step.a, step.b), f"{step.out} is both read and written")
    return {step.a, step.b}, {step.out}


def _check_matrices(step: Contraction, number: int, buffer: Buffer) -> None:
    """Whether the matrices lie inside their buffer; symbolic ones: the interpreter."""
    (rows, columns), row = step.shapes[number], step.distances[number]
    sizes = (step.m, step.n, step.k, *step.batch)
    extents = {f"axis_{number}": size for number, size in enumerate(sizes)}
    require(
        rows == 1 or at_least(row - columns, 0, extents),
        f"rows of {columns} elements of {buffer.name} are {row} apart",
    )
    held = size_product(buffer.shape)
    axes = [(rows, row), (columns, 1), *zip(step.batch, step.strides[number], strict=True)]
    last = step.starts[number]
    for size, stride in axes:
        if not isinstance(size, int) or not isinstance(stride, int):
            return
        if size == 0:
            return
        last = last + (size - 1) * stride
    if isinstance(last, int) and isinstance(held, int):
        require(
            0 <= last < held,
            f"the contraction reaches element {last} of {buffer.name}, which has {held}",
        )


def _check_host_call(program: Program, step: HostCall) -> tuple[set[str], set[str]]:
    require(callable(step.function), f"{step.op} calls {step.function!r}, no function")
    _check_sizes(program, tuple(sizes_in(tuple(step.attrs.values()))), "an attribute")
    for name, shape in (*step.inputs, *step.outputs):
        _check_sizes(program, shape, f"the shape of {name}")
        if name in program.buffers:
            wanted, held = size_product(shape), size_product(program.buffers[name].shape)
            fits = wanted == held or not (isinstance(wanted, int) and isinstance(held, int))
            require(fits, f"{step.op} sees {name} as {list(shape)}, it has {held} elements")
    read, written = ({name for name, _ in pairs} for pairs in (step.inputs, step.outputs))
    require(len(written) == len(step.outputs), f"{step.op} writes one buffer twice")
    require(not read & written, f"{', '.join(sorted(read & written))} is both read and written")
    return read, written


def _check_lapack(program: Program, step: Lapack) -> tuple[set[str], set[str]]:
    routine = ROUTINES[step.routine]
    sizes = dict(step.sizes)
    require(sizes.keys() >= set(routine.size_names), f"the sizes are {list(sizes)}")
    require(step.dtype in (float32, float64), f"LAPACK does not take {step.dtype}")
    _check_sizes(program, (step.batch, *sizes.values()), "the routine")
    operands: list[tuple[str, Operand, Size]] = []
    for names, expected, count in (
        (step.inputs, routine.inputs, step.batch),
        (step.outputs, routine.outputs, step.batch),
        (step.workspace, routine.workspace, 1),
    ):
        require(len(names) == len(expected), f"{step.routine}: {len(names)} of {len(expected)}")
        operands += [(name, one, count) for name, one in zip(names, expected, strict=True)]
    written = [*step.outputs, *step.workspace]
    require(len(set(written)) == len(written), "a buffer is written twice")
    require(not set(written) & set(step.inputs), "a buffer is both read and written")
    for name, operand, count in operands:
        if name not in program.buffers:
            continue
        buffer = program.buffers[name]
        dtype = operand.dtype(step.dtype)
        require(buffer.dtype == dtype, f"{name} is {buffer.dtype}, the routine takes {dtype}")
        wanted = size_product([count, *(sizes[size] for size in operand.shape)])
        held = size_product(buffer.shape)
        if isinstance(wanted, int) and isinstance(held, int):
            require(wanted == held, f"{name} has {held} elements, the routine takes {wanted}")
    return set(step.inputs), set(written)
