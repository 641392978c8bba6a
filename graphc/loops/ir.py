"""The loop IR: the grammar on one screen.

    Program   = name, sizes, buffers, steps, results
    Buffer    = name : dtype[shape], role
    Step      = KernelCall(kernel, buffers, sizes) | Contraction | IndexCheck | Lapack
              | HostCall(function, attributes, buffers)
              | Loop(length, carries, slices) { steps }
              | While(count, carries, tapes) { test } { steps }
              | Branch(selector) { steps } { steps } ...
    Kernel    = name, parameters, sizes, body
    Parameter = name : dtype[shape], row-major and dense, read or written
    Statement = For(axis, extent, kind) { body }
              | Let name = expr
              | Accumulator name = identity of combine     (declared outside the loop it sums over)
              | Accumulate name (combine)= expr [at position]
              | Store buffer[index] (= | +=) expr
              | If condition { body }
              | Scratch name : dtype[shape]                (one per iteration of the loop around it)
    Expr      = scalar.expr: Const | Index | Local | Load | Call

Meaning. A `parallel` loop has independent iterations. A `serial` loop runs in order. A `vector`
loop has independent iterations except that it may Accumulate into accumulators declared outside
it; it is never inside another vector loop, but may contain serial loops whose extents do not
depend on its axis. Locals are assigned once per iteration and seen by the statements after them in
the same or an inner body; an accumulator is read by `Local` after the loop that feeds it. Loads
and stores index dense row-major buffers with one int64 expression per axis, always in range.
Kernels are closed: equal kernels (but for names and sources) are emitted once.

Every statement carries the user's lines that it came from.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

import numpy as np

from graphc.dtypes import DType
from graphc.errors import GraphcError
from graphc.ir.source import Sources
from graphc.records import dataclass
from graphc.scalar.expr import Expr
from graphc.shapes import Shape, Size

LoopKind = Literal["parallel", "serial", "vector"]
Role = Literal["input", "variable", "constant", "output", "update", "temporary", "view", "heap"]
INNER_ROLES = ("temporary", "view", "heap")  # of buffers that a call does not hand over


@dataclass(frozen=True, slots=True)
class For:
    axis: str
    extent: Size
    kind: LoopKind
    body: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Let:
    name: str
    value: Expr
    sources: Sources = ()


@dataclass(frozen=True, slots=True)
class Accumulator:
    """combine: add mul maximum minimum and or argmax argmin.

    For argmax and argmin `name` holds the best value and `position_name` (int64) its position;
    the first of equals wins, and the first NaN wins over all. An accumulator that met no element
    holds the identity: 0, 1, the lowest or highest value (-inf, inf), true, false, position 0.
    fused: a product that is added need not be rounded by itself.
    """

    name: str
    combine: str
    dtype: DType
    position_name: str | None = None
    sources: Sources = ()
    fused: bool = False


@dataclass(frozen=True, slots=True)
class Accumulate:
    name: str
    value: Expr
    position: Expr | None = None
    sources: Sources = ()


@dataclass(frozen=True, slots=True)
class Store:
    """accumulate: add to what is there (only inside serial loops)."""

    buffer: str
    index: tuple[Expr, ...]
    value: Expr
    accumulate: bool = False
    sources: Sources = ()


@dataclass(frozen=True, slots=True)
class If:
    condition: Expr
    body: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Scratch:
    name: str
    dtype: DType
    shape: Shape


Statement = For | Let | Accumulator | Accumulate | Store | If | Scratch


@dataclass(frozen=True, slots=True)
class Parameter:
    """A dense row-major array; `shape` is the kernel's own view of the buffer it is given."""

    name: str
    dtype: DType
    shape: Shape
    written: bool = False


@dataclass(frozen=True, slots=True)
class Kernel:
    """sizes: names of the int64 run-time values that shapes, extents and indices use.

    fused: a product that an accumulator adds need not be rounded by itself.
    """

    name: str
    parameters: tuple[Parameter, ...]
    sizes: tuple[str, ...]
    body: tuple[Statement, ...]
    sources: Sources = ()
    comment: str = ""  # the equation, for people: `p = sigmoid(x @ w + b)`
    fused: bool = False


@dataclass(frozen=True, slots=True)
class KernelCall:
    """arguments: a buffer per parameter; sizes: the value of each of the kernel's sizes.

    Calls share equal kernels; sources and comment say what this call is for.
    """

    kernel: Kernel
    arguments: tuple[str, ...]
    sizes: tuple[Size, ...]
    sources: Sources = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Contraction:
    """out[b, i, j] = sum_k a'[b, i, k] * b'[b, k, j], a' = a or its transpose.

    All three are matrices at `offset(b)` of their buffers, the entries of a row side by side: a is
    [m, k], or [k, m] if transpose_a; b is [k, n], or [n, k] if transpose_b; out is [m, n]. `batch`
    are the batch sizes; `strides` give for out, a and b the distance in elements per batch axis (0
    broadcasts). rows: the distances from row to row, at least the length of a row; None: rows
    follow each other. offsets: where the first matrices begin; None: at the beginning. operands:
    the dtypes of a and b where they are narrower than that of out, in which products and sums are
    computed; None: that of out. No element of out is written twice.
    """

    out: str
    a: str
    b: str
    dtype: DType
    m: Size
    n: Size
    k: Size
    transpose_a: bool = False
    transpose_b: bool = False
    batch: tuple[Size, ...] = ()
    strides: tuple[tuple[Size, ...], tuple[Size, ...], tuple[Size, ...]] = ((), (), ())
    sources: Sources = ()
    comment: str = ""
    rows: tuple[Size, Size, Size] | None = None
    offsets: tuple[Size, Size, Size] | None = None
    operands: tuple[DType, DType] | None = None

    @property
    def dtypes(self) -> tuple[DType, DType, DType]:
        """Of out, a and b."""
        return self.dtype, *(self.operands or (self.dtype, self.dtype))

    @property
    def shapes(self) -> tuple[tuple[Size, Size], tuple[Size, Size], tuple[Size, Size]]:
        """Of the matrices out, a and b, as they lie in memory."""
        of_a = (self.k, self.m) if self.transpose_a else (self.m, self.k)
        of_b = (self.n, self.k) if self.transpose_b else (self.k, self.n)
        return (self.m, self.n), of_a, of_b

    @property
    def distances(self) -> tuple[Size, Size, Size]:
        """From row to row of out, a and b."""
        if self.rows is not None:
            return self.rows
        out, a, b = self.shapes
        return out[1], a[1], b[1]

    @property
    def fills_rows(self) -> bool:
        """Whether the rows of the results follow each other without a gap."""
        if self.distances[0] != self.n or self.starts[0] != 0:
            return False
        apart = self.m * self.n
        for size, stride in zip(reversed(self.batch), reversed(self.strides[0]), strict=True):
            if size != 1 and stride != apart:
                return False
            apart = apart * size
        return True

    @property
    def starts(self) -> tuple[Size, Size, Size]:
        """Where out, a and b begin in their buffers."""
        return (0, 0, 0) if self.offsets is None else self.offsets


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """Every element of the integer buffer must lie in [minimum, size); else a fault is raised.

    Runs before any kernel that indexes with the buffer. error: what to raise, of the bad number
    and the program's sizes; IndexOutOfRange by default.
    """

    buffer: str
    count: Size
    minimum: Size
    size: Size
    axis: int
    op: str
    sources: Sources = ()
    error: Callable[[int, Mapping[str, int]], GraphcError] | None = None


@dataclass(frozen=True, slots=True)
class HostCall:
    """outputs = function(attrs, *inputs): a Python function over whole arrays.

    inputs, outputs: buffers, each with the shape under which the function sees it. Symbolic sizes
    in attrs are bound at the call. owned: the inputs are copies that the function may keep.
    effect: it does more than compute; such calls run in the order in which they stand. jitted: the
    same on arrays and attributes as Numba compiles it, if the user had that done.
    """

    function: Callable[..., Any]
    op: str
    attrs: Mapping[str, Any]
    inputs: tuple[tuple[str, Shape], ...]
    outputs: tuple[tuple[str, Shape], ...]
    owned: bool = False
    effect: bool = False
    sources: Sources = ()
    comment: str = ""
    jitted: Any = None


@dataclass(frozen=True, slots=True)
class Lapack:
    """A routine of `graphc.lapack` for each matrix of a batch; a fault where one fails.

    inputs, outputs, workspace: a dense buffer for each operand of the routine; inputs and outputs
    hold the operands of all matrices one after the other, workspace those of one. An output that
    starts as a copy of an input may share its memory. sizes: of one matrix, all that the routine
    names. options: letters. caller: the function that the user called.
    """

    routine: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    workspace: tuple[str, ...]
    dtype: DType
    batch: Size
    sizes: tuple[tuple[str, Size], ...]
    options: tuple[tuple[str, str], ...] = ()
    caller: str = ""
    batched: bool = False
    sources: Sources = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Carry:
    """What a loop hands from step to step.

    The body reads the view `state` and writes the view `following`. In the first step `state` is
    `initial`; `following` is one of the two `spare` buffers in turn, `final` in the last step, and
    the state of the next. Without any step, `final` is a copy of `initial`.

    In place, without spare buffers: `state` and `following` are one name and `final` in every step,
    which starts as a copy of `initial`; the body changes some of its entries.
    """

    state: str
    following: str
    initial: str
    final: str
    spare: tuple[str, ...]

    @property
    def is_in_place(self) -> bool:
        return not self.spare


@dataclass(frozen=True, slots=True)
class Loop:
    """body, `length` times. slices: (view, buffer): in step t the view is row t of the buffer.

    reverse: from the last row to the first. Views are buffers of role "view": their memory is set
    by the loop. A body may read slices and write them (stacked outputs); each row once.
    """

    length: Size
    reverse: bool
    body: tuple["Step", ...]
    carries: tuple[Carry, ...]
    slices: tuple[tuple[str, str], ...]
    sources: Sources = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class While:
    """body as long as `holds`, which `test` writes before every step, is true.

    count: the size that is the number of steps when the loop has ended. carries: as in Loop, but
    `final` gets a copy of the last state. tapes: (view, buffer): in step t the view, which the
    body writes, is row t of the buffer; its role is heap, and it grows with the steps. most: a
    step beyond this number is a fault.
    """

    count: str
    holds: str
    test: tuple["Step", ...]
    body: tuple["Step", ...]
    carries: tuple[Carry, ...]
    tapes: tuple[tuple[str, str], ...]
    most: int | None = None
    sources: Sources = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the bodies: that whose position the selector holds, moved into range.

    selector: a buffer of one bool (False is position 0) or int64. Every body writes all of `out`.
    """

    selector: str
    bodies: tuple[tuple["Step", ...], ...]
    out: tuple[str, ...]
    sources: Sources = ()
    comment: str = ""


Step = KernelCall | Contraction | IndexCheck | HostCall | Lapack | Loop | While | Branch


@dataclass(frozen=True, slots=True)
class Buffer:
    name: str
    dtype: DType
    shape: Shape
    role: Role
    sources: Sources = ()


@dataclass(frozen=True)
class Program:
    """A whole function as steps over buffers, executed in order.

    sizes: symbolic sizes, bound at every call. buffers: in order; roles say who owns the memory:
    inputs, variables and constants are read only; outputs and updates are fresh at every call and
    written exactly once; temporaries live in the arena of the memory plan; views are set by the
    loop that uses them; heap buffers, whose shapes depend on the number of steps of a While, get
    their memory when they are first written, and lose it when the program ends. constants: their
    values.
    """

    name: str
    sizes: tuple[str, ...]
    buffers: dict[str, Buffer]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...] = ()
    updates: tuple[tuple[str, str], ...] = ()  # (variable's buffer, buffer of its new value)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """Steps and the steps inside loops and branches, each of these before its bodies."""
        return tuple(flat_steps(self.steps))

    @property
    def counts(self) -> tuple[str, ...]:
        """The sizes that loops bind, in order of first appearance."""
        found = (step.count for step in self.all_steps if isinstance(step, While))
        return tuple(dict.fromkeys(found))

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """Each distinct kernel once, in order of first call."""
        seen = {
            step.kernel.name: step.kernel for step in self.all_steps if isinstance(step, KernelCall)
        }
        return tuple(seen.values())


def flat_steps(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps, each loop and branch before its bodies."""
    for step in steps:
        yield step
        for body in bodies_of(step):
            yield from flat_steps(body)


def bodies_of(step: Step) -> tuple[tuple[Step, ...], ...]:
    """The steps inside a loop or branch, in the order in which they are numbered."""
    match step:
        case Loop():
            return (step.body,)
        case While():
            return (step.test, step.body)
        case Branch():
            return step.bodies
    return ()


class Fault(Exception):  # noqa: N818 - a status for the caller, never shown as an error
    """A failed step at run time: its position among `Program.all_steps`.

    value: the bad index of an IndexCheck, the code of a failed Lapack step (`lapack.encode`).
    For a While its limit. error: what a HostCall raised.
    """

    def __init__(self, step: int, value: int = 0, error: BaseException | None = None) -> None:
        super().__init__(step, value)
        self.step = step
        self.value = value
        self.error = error


def written_buffers(step: Step) -> tuple[str, ...]:
    """The buffers that a step itself fills, those inside loops and branches aside.

    Tapes grow by themselves and are not among them.
    """
    match step:
        case KernelCall(kernel, arguments):
            pairs = zip(kernel.parameters, arguments, strict=True)
            return tuple(name for parameter, name in pairs if parameter.written)
        case Contraction():
            return (step.out,)
        case HostCall():
            return tuple(name for name, _ in step.outputs)
        case Lapack():
            return (*step.outputs, *step.workspace)
        case Loop():
            held = [name for c in step.carries for name in (c.final, *c.spare)]
            return (*held, *(buffer for _, buffer in step.slices))
        case While():
            return tuple(name for c in step.carries for name in (c.final, *c.spare))
        case Branch():
            return step.out
    return ()
